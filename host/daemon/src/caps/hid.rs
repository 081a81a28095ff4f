//! `evenkeel:hid`: USB-HID devices under logical names.
//!
//! The guest names a device as its manifest does; which one that is, by its ids
//! or its file, only the grant knows, and whether it may be written to: what is sent
//! to a UPS can switch off what it feeds. It is looked for at the first use and
//! again after it was unplugged. [`raw`] has the system's side, [`descriptor`]
//! what the host has to know of a report descriptor.
//!
//! To a guest every report begins with its id, 0 where the device has none.
//! hidraw says so of output and feature reports; of input reports it gives the
//! id only where there is one.

pub mod descriptor;
pub mod raw;

use super::bucket::Bucket;
use super::log::{Level, Log};
use super::meter::{Beyond, Meter, Way};
use super::{Site, one_line};
use crate::clock;
use crate::grants::Named;
use crate::grants::hid::{HidGrant, HidPlace};
use crate::plugin::bindings::hid::hid as wit;
use crate::plugin::limits::HANDLES_MAX;
use crate::plugin::stop::{Stop, Woken};
use descriptor::numbers_reports;
use evenkeel_core::time::Nanos;
use raw::{Found, Raw, System};
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};

/// The interface.
pub const INTERFACE: &str = "evenkeel:hid/hid@0.1.0";
/// Longest report in bytes, its id included.
pub const REPORT_BYTES_MAX: usize = 4_096;
/// Longest wait for a report, in ms.
pub const TIMEOUT_MS_MAX: u32 = 30_000;
/// Times that a device may be looked for and opened at once.
pub const OPENS_BURST: u32 = 10;
/// Afterwards, once per this time.
pub const OPENS_INTERVAL: Nanos = Nanos::from_secs(1);
/// Reports that may be read, sent or asked for at once.
pub const REPORTS_BURST: u32 = 500;
/// Afterwards, one per this time.
pub const REPORTS_INTERVAL: Nanos = Nanos::from_millis(5);

/// The HID devices of one plugin.
#[derive(Debug)]
pub struct Hid {
    log: Log,
    meter: Arc<Meter>,
    granted: Named<HidGrant>,
    system: Arc<dyn System>,
    opens: Bucket,
    reports: Bucket,
    table: ResourceTable,
    stop: Arc<Stop>,
}

/// A device that a guest holds; the thing itself comes and goes.
#[derive(Debug)]
pub struct Device {
    place: HidPlace,
    write: bool,
    open: Option<Open>,
}

/// A device that is there.
#[derive(Debug)]
struct Open {
    raw: Box<dyn Raw>,
    descriptor: Vec<u8>,
    numbers_reports: bool,
}

/// Why a call failed. What the guest is told is `code` and the text.
#[derive(Debug, thiserror::Error)]
pub enum HidError {
    /// Not granted.
    #[error("the USB device {name:?} is not granted to this plugin")]
    Denied {
        /// Logical name.
        name: String,
    },
    /// Granted, and not to be written to.
    #[error(
        "{place} is granted to be read; to send it reports it must be granted with `write = true`"
    )]
    ReadOnly {
        /// Which.
        place: HidPlace,
    },
    /// It is not there.
    #[error("no USB-HID device {place} is connected; check its cable and power")]
    Absent {
        /// Which.
        place: HidPlace,
    },
    /// Several fit.
    #[error("several devices {place} are connected; grant one by its serial number: {serials}")]
    Ambiguous {
        /// Which.
        place: HidPlace,
        /// Theirs.
        serials: String,
    },
    /// It was there.
    #[error("{place} was unplugged while {during}; it is looked for again at the next call")]
    Vanished {
        /// Which.
        place: HidPlace,
        /// What was being done.
        during: &'static str,
    },
    /// Nothing came.
    #[error("{place} sent no report within {timeout_ms} ms")]
    Timeout {
        /// Which.
        place: HidPlace,
        /// The time.
        timeout_ms: u32,
    },
    /// A parameter out of range.
    #[error("{parameter} {found} is not in {low} … {high}")]
    Range {
        /// Which one.
        parameter: &'static str,
        /// Its value.
        found: usize,
        /// Least.
        low: usize,
        /// Most.
        high: usize,
    },
    /// The devices cannot be listed, or this one not opened.
    #[error("{place} cannot be opened; may the service use it?")]
    Open {
        /// Which.
        place: HidPlace,
        /// What the system says.
        source: io::Error,
    },
    /// The device or the system says no.
    #[error("{place} failed while {during}")]
    Io {
        /// Which.
        place: HidPlace,
        /// What was being done.
        during: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// More than is possible.
    #[error("{place} sent a report of more than {REPORT_BYTES_MAX} bytes")]
    TooLong {
        /// Which.
        place: HidPlace,
    },
    /// The plugin is to stop.
    #[error("the plugin is being stopped")]
    Stopped,
    /// Too many handles.
    #[error("more than {HANDLES_MAX} devices are open; drop one first")]
    Handles,
    /// Looked for again and again.
    #[error(
        "devices were opened more often than {OPENS_BURST} times at once and once a second; \
         keep the device open, or wake less often"
    )]
    Opens,
    /// Too many reports.
    #[error("more than {REPORTS_BURST} reports at once and 200 a second")]
    Reports,
}

impl HidError {
    /// The code in `hid.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Denied { .. } | Self::ReadOnly { .. } => 1,
            Self::Absent { .. } | Self::Ambiguous { .. } | Self::Vanished { .. } => 2,
            Self::Timeout { .. } => 3,
            Self::Range { .. } => 4,
            Self::Open { .. } | Self::Io { .. } | Self::TooLong { .. } | Self::Stopped => 5,
            Self::Handles | Self::Opens | Self::Reports => 6,
        }
    }
}

impl Beyond for HidError {
    fn beyond(&self) -> Option<&'static str> {
        match self {
            Self::Denied { .. } => Some("USB device not granted"),
            Self::ReadOnly { .. } => Some("USB device not granted to be written to"),
            Self::Handles | Self::Opens | Self::Reports => Some("quota of USB devices"),
            Self::Absent { .. }
            | Self::Ambiguous { .. }
            | Self::Vanished { .. }
            | Self::Timeout { .. }
            | Self::Range { .. }
            | Self::Open { .. }
            | Self::Io { .. }
            | Self::TooLong { .. }
            | Self::Stopped => None,
        }
    }
}

impl From<HidError> for wit::Error {
    fn from(error: HidError) -> Self {
        Self { code: error.code(), detail: crate::plugin::reason(&error) }
    }
}

impl Hid {
    /// The devices that are granted.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let now = clock::now();
        Self {
            log: site.log.clone(),
            meter: Arc::clone(site.meter),
            granted: site.grants.hid.clone(),
            system: Arc::clone(&site.services.hid),
            opens: Bucket::new(OPENS_BURST, OPENS_INTERVAL, now),
            reports: Bucket::new(REPORTS_BURST, REPORTS_INTERVAL, now),
            table,
            stop: Arc::clone(site.stop),
        }
    }

    /// Do `call` with the device behind a handle, which is opened first when
    /// need be. What is `asked` was checked before the device is touched.
    fn use_device<A, T>(
        &mut self,
        device: &Resource<Device>,
        asked: Result<A, HidError>,
        call: impl FnOnce(A, &Used<'_>) -> Result<T, HidError>,
    ) -> wasmtime::Result<Result<T, wit::Error>> {
        let Self { log, meter, system, opens, reports, table, stop, .. } = self;
        let Device { place, open, .. } = table.get_mut(device)?;
        let now = clock::now();
        let done = asked.and_then(|asked| {
            if !reports.admit(now) {
                return Err(HidError::Reports);
            }
            let here = match open.take() {
                Some(here) => here,
                None if !opens.admit(now) => return Err(HidError::Opens),
                None => {
                    let (here, path) = find(place, system.as_ref())?;
                    let text = format!("USB device {place} opened as {}", path.display());
                    log.say(Level::Info, &text);
                    here
                }
            };
            let done = call(asked, &Used { place, here: &here, stop });
            // One that is gone is closed, so that the next call looks for it.
            *open = Some(here).filter(|_| !matches!(done, Err(HidError::Vanished { .. })));
            done
        });
        Ok(meter.noted(done).map_err(Into::into))
    }

    /// [`Self::use_device`] for what brings a report.
    fn bring<A>(
        &mut self,
        device: &Resource<Device>,
        asked: Result<A, HidError>,
        call: impl FnOnce(A, &Used<'_>) -> Result<Vec<u8>, HidError>,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        let done = self.use_device(device, asked, call)?;
        Ok(done.inspect(|report| self.meter.received(Way::Usb, report.len())))
    }

    /// [`Self::use_device`] for what takes `report` away.
    fn take(
        &mut self,
        device: &Resource<Device>,
        report: &[u8],
        call: impl FnOnce(&Used<'_>) -> Result<(), HidError>,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        let Device { place, write, .. } = self.table.get(device)?;
        let asked = match *write {
            true => range("report bytes", report.len(), 1, REPORT_BYTES_MAX),
            false => Err(HidError::ReadOnly { place: place.clone() }),
        };
        let done = self.use_device(device, asked, |(), used| call(used))?;
        Ok(done.inspect(|()| self.meter.sent(Way::Usb, report.len())))
    }
}

/// Look for a device and open it.
fn find(place: &HidPlace, system: &dyn System) -> Result<(Open, PathBuf), HidError> {
    let failed = |source| HidError::Open { place: place.clone(), source };
    let absent = || HidError::Absent { place: place.clone() };
    let path = match place {
        HidPlace::Path(path) => path.as_path().to_owned(),
        HidPlace::Usb { vendor, product, serial } => {
            let fits = |found: &Found| {
                let ids = (found.vendor, found.product) == (*vendor, *product);
                ids && serial.as_ref().is_none_or(|serial| *serial == found.serial)
            };
            let mut found = system.list().map_err(failed)?;
            found.retain(fits);
            match &found[..] {
                [] => return Err(absent()),
                [only] => only.path.clone(),
                several => {
                    let serials: Vec<String> =
                        several.iter().map(|found| one_line(&found.serial, 64)).collect();
                    let serials = one_line(&serials.join(", "), 300);
                    return Err(HidError::Ambiguous { place: place.clone(), serials });
                }
            }
        }
    };
    let raw = match system.open(&path) {
        Err(e) if e.raw_os_error().is_some_and(|code| is_gone(Errno::from_raw_os_error(code))) => {
            return Err(absent());
        }
        raw => raw.map_err(failed)?,
    };
    let told = |errno: Errno| failed(errno.into());
    if let HidPlace::Usb { vendor, product, .. } = place
        && raw.ids().map_err(told)? != (*vendor, *product)
    {
        // Another one took its file since the list was made.
        return Err(absent());
    }
    let descriptor = raw.descriptor().map_err(told)?;
    let numbers_reports = numbers_reports(&descriptor);
    Ok((Open { raw, descriptor, numbers_reports }, path))
}

/// A device in use.
struct Used<'a> {
    place: &'a HidPlace,
    here: &'a Open,
    stop: &'a Stop,
}

impl Used<'_> {
    fn read(&self, timeout_ms: u32) -> Result<Vec<u8>, HidError> {
        const DURING: &str = "waiting for a report";
        let deadline = clock::now() + Nanos::from_millis(timeout_ms.into());
        let fd = self.here.raw.fd();
        loop {
            let woken = self.stop.wait_for(fd, PollFlags::IN, deadline);
            let woken = woken.map_err(|source| self.io(DURING, source))?;
            let events = match woken {
                Woken::Stopped => return Err(HidError::Stopped),
                Woken::TimedOut => {
                    return Err(HidError::Timeout { place: self.place.clone(), timeout_ms });
                }
                Woken::Ready(events) => events,
            };
            // Room for one byte too many, and for the id in front.
            let mut report = vec![0; 1 + REPORT_BYTES_MAX];
            let from = usize::from(!self.here.numbers_reports);
            match rustix::io::read(fd, &mut report[from..]) {
                Ok(0) => return Err(self.failed(DURING, Errno::NODEV)),
                Ok(len) if from + len > REPORT_BYTES_MAX => {
                    return Err(HidError::TooLong { place: self.place.clone() });
                }
                Ok(len) => {
                    report.truncate(from + len);
                    return Ok(report);
                }
                // This is what hidraw says of a device that is gone.
                Err(Errno::IO) => return Err(self.failed(DURING, Errno::NODEV)),
                // Nothing to read, and there never will be.
                Err(Errno::AGAIN) if events.intersects(PollFlags::ERR | PollFlags::HUP) => {
                    return Err(self.failed(DURING, Errno::NODEV));
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(self.failed(DURING, errno)),
            }
        }
    }

    fn write(&self, report: &[u8]) -> Result<(), HidError> {
        const DURING: &str = "sending a report";
        let sent = rustix::io::retry_on_intr(|| rustix::io::write(self.here.raw.fd(), report));
        sent.map(drop).map_err(|errno| self.failed(DURING, errno))
    }

    fn get_feature(&self, id: u8, max: usize) -> Result<Vec<u8>, HidError> {
        let mut report = vec![0; max];
        report[0] = id;
        let len = self.here.raw.get_feature(&mut report);
        let len = len.map_err(|errno| self.failed("reading a feature report", errno))?;
        report.truncate(len);
        Ok(report)
    }

    fn set_feature(&self, report: &[u8]) -> Result<(), HidError> {
        let set = self.here.raw.set_feature(report);
        set.map_err(|errno| self.failed("sending a feature report", errno))
    }

    fn failed(&self, during: &'static str, errno: Errno) -> HidError {
        match is_gone(errno) {
            true => HidError::Vanished { place: self.place.clone(), during },
            false => self.io(during, errno.into()),
        }
    }

    fn io(&self, during: &'static str, source: io::Error) -> HidError {
        HidError::Io { place: self.place.clone(), during, source }
    }
}

/// The device behind a file is not there any more.
const fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NODEV | Errno::NXIO | Errno::NOENT | Errno::SHUTDOWN)
}

impl wit::Host for Hid {}

impl wit::HostDevice for Hid {
    fn open(&mut self, name: String) -> wasmtime::Result<Result<Resource<Device>, wit::Error>> {
        let denied = || HidError::Denied { name: one_line(&name, 80) };
        let opened = match self.granted.get(&name).cloned().ok_or_else(denied) {
            Ok(HidGrant { at: place, write }) => {
                match self.table.push(Device { place, write, open: None }) {
                    Ok(device) => Ok(device),
                    Err(ResourceTableError::Full) => Err(HidError::Handles),
                    Err(error) => return Err(error.into()),
                }
            }
            Err(denied) => Err(denied),
        };
        Ok(self.meter.noted(opened).map_err(Into::into))
    }

    fn descriptor(
        &mut self,
        device: Resource<Device>,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        self.use_device(&device, Ok(()), |(), used| Ok(used.here.descriptor.clone()))
    }

    fn ids(
        &mut self,
        device: Resource<Device>,
    ) -> wasmtime::Result<Result<(u16, u16), wit::Error>> {
        self.use_device(&device, Ok(()), |(), used| {
            used.here.raw.ids().map_err(|errno| used.failed("reading its ids", errno))
        })
    }

    fn read(
        &mut self,
        device: Resource<Device>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        let asked = range("timeout-ms", timeout_ms as usize, 0, TIMEOUT_MS_MAX as usize);
        self.bring(&device, asked, |(), used| used.read(timeout_ms))
    }

    fn write(
        &mut self,
        device: Resource<Device>,
        report: Vec<u8>,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        self.take(&device, &report, |used| used.write(&report))
    }

    fn get_feature(
        &mut self,
        device: Resource<Device>,
        id: u8,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        let asked = range("max", max as usize, 1, REPORT_BYTES_MAX);
        self.bring(&device, asked, |(), used| used.get_feature(id, max as usize))
    }

    fn set_feature(
        &mut self,
        device: Resource<Device>,
        report: Vec<u8>,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        self.take(&device, &report, |used| used.set_feature(&report))
    }

    fn drop(&mut self, device: Resource<Device>) -> wasmtime::Result<()> {
        self.table.delete(device)?;
        Ok(())
    }
}

fn range(parameter: &'static str, found: usize, low: usize, high: usize) -> Result<(), HidError> {
    match (low..=high).contains(&found) {
        true => Ok(()),
        false => Err(HidError::Range { parameter, found, low, high }),
    }
}

#[cfg(test)]
mod tests;
