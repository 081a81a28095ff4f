//! The capability against simulated devices: reports go through a real
//! descriptor (a pair of sockets that keeps messages whole), requests are
//! answered by the test.

use super::wit::HostDevice as _;
use super::*;
use crate::caps::testing::Place;
use crate::plugin::fixture::Fixture;
use crate::plugin::fixture::probe::{DRIVER, FALL, RESULT, manifest, probe};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A descriptor with report ids, and one without.
const NUMBERED: [u8; 4] = [0x85, 0x01, 0x09, 0x04];
const PLAIN: [u8; 2] = [0x09, 0x04];

/// What is plugged in.
#[derive(Debug, Default)]
struct Bus(Mutex<Vec<Plugged>>);

#[derive(Debug)]
struct Plugged {
    found: Found,
    descriptor: Vec<u8>,
    features: Arc<Mutex<BTreeMap<u8, Vec<u8>>>>,
    /// The device's ends of what was opened.
    ends: Vec<OwnedFd>,
}

#[derive(Debug)]
struct Opened {
    fd: OwnedFd,
    ids: (u16, u16),
    descriptor: Vec<u8>,
    features: Arc<Mutex<BTreeMap<u8, Vec<u8>>>>,
}

impl Bus {
    fn plug(&self, n: u32, ids: (u16, u16), serial: &str, descriptor: &[u8]) {
        let path = format!("/dev/hidraw{n}").into();
        let found = Found { path, vendor: ids.0, product: ids.1, serial: serial.into() };
        let features = Arc::new(Mutex::new(BTreeMap::from([(7, vec![7, 1, 2, 3])])));
        let descriptor = descriptor.to_vec();
        self.0.lock().expect("whole").push(Plugged {
            found,
            descriptor,
            features,
            ends: Vec::new(),
        });
    }

    fn unplug(&self) {
        self.0.lock().expect("whole").clear();
    }

    fn send(&self, report: &[u8]) {
        let bus = self.0.lock().expect("whole");
        let end = bus[0].ends.last().expect("opened");
        rustix::io::write(end, report).expect("sent");
    }

    fn heard(&self) -> Vec<u8> {
        let bus = self.0.lock().expect("whole");
        let mut report = vec![0; 64];
        let len = rustix::io::read(bus[0].ends.last().expect("opened"), &mut report);
        report.truncate(len.expect("received"));
        report
    }
}

impl System for Bus {
    fn list(&self) -> io::Result<Vec<Found>> {
        Ok(self.0.lock().expect("whole").iter().map(|one| one.found.clone()).collect())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Raw>> {
        let mut bus = self.0.lock().expect("whole");
        let one = bus.iter_mut().find(|one| one.found.path == path).ok_or(Errno::NOENT)?;
        let (fd, end) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            None,
        )?;
        one.ends.push(end);
        let ids = (one.found.vendor, one.found.product);
        let (descriptor, features) = (one.descriptor.clone(), Arc::clone(&one.features));
        Ok(Box::new(Opened { fd, ids, descriptor, features }))
    }
}

impl Raw for Opened {
    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn ids(&self) -> Result<(u16, u16), Errno> {
        Ok(self.ids)
    }

    fn descriptor(&self) -> Result<Vec<u8>, Errno> {
        Ok(self.descriptor.clone())
    }

    fn get_feature(&self, report: &mut [u8]) -> Result<usize, Errno> {
        let features = self.features.lock().expect("whole");
        let known = features.get(&report[0]).ok_or(Errno::PROTO)?;
        let len = known.len().min(report.len());
        report[..len].copy_from_slice(&known[..len]);
        Ok(len)
    }

    fn set_feature(&self, report: &[u8]) -> Result<(), Errno> {
        self.features.lock().expect("whole").insert(report[0], report.to_vec());
        Ok(())
    }
}

struct Bench {
    bus: Arc<Bus>,
    here: Place,
}

impl Bench {
    fn new() -> Self {
        let bus = Arc::new(Bus::default());
        let mut here = Place::default();
        here.services.hid = Arc::clone(&bus) as Arc<dyn System>;
        Self { bus, here }
    }

    /// With the device granted to be written to.
    fn hid(&mut self, granted: &str) -> Hid {
        self.granted(granted, true)
    }

    fn granted(&mut self, at: &str, write: bool) -> Hid {
        let grant = HidGrant { at: at.parse().expect("a device"), write };
        self.here.grants.hid.insert("ups".into(), grant);
        Hid::new(&self.here.site())
    }
}

fn opened(hid: &mut Hid) -> u32 {
    hid.open("ups".into()).expect("no trap").expect("granted").rep()
}

/// The handle again: a guest lends it to each call.
fn lent(rep: u32) -> Resource<Device> {
    Resource::new_borrow(rep)
}

fn code<T>(called: wasmtime::Result<Result<T, wit::Error>>) -> Result<T, u32> {
    called.expect("no trap").map_err(|error| error.code)
}

#[test]
fn reports_come_whole_with_their_id_in_front() {
    for (descriptor, sent, told) in [
        (&NUMBERED[..], vec![1, 80, 90], vec![1, 80, 90]),
        (&PLAIN[..], vec![80, 90], vec![0, 80, 90]),
    ] {
        let mut bench = Bench::new();
        bench.bus.plug(0, (0x051d, 2), "", descriptor);
        let mut hid = bench.hid("051d:0002");
        let ups = opened(&mut hid);
        assert_eq!(code(hid.descriptor(lent(ups))).as_deref(), Ok(descriptor));
        assert_eq!(code(hid.ids(lent(ups))), Ok((0x051d, 2)));
        bench.bus.send(&sent);
        assert_eq!(code(hid.read(lent(ups), 1_000)), Ok(told));
        assert_eq!(code(hid.write(lent(ups), vec![1, 5])), Ok(()));
        assert_eq!(bench.bus.heard(), [1, 5]);
        assert_eq!(code(hid.get_feature(lent(ups), 7, 3)), Ok(vec![7, 1, 2]));
        assert_eq!(code(hid.set_feature(lent(ups), vec![9, 9])), Ok(()));
        assert_eq!(code(hid.get_feature(lent(ups), 9, 64)), Ok(vec![9, 9]));
        assert_eq!(code(hid.get_feature(lent(ups), 8, 64)), Err(5), "no such report");
        hid.drop(Resource::new_own(ups)).expect("no trap");
    }
}

#[test]
fn a_wait_ends_at_its_deadline_and_at_a_stop() {
    let mut bench = Bench::new();
    bench.bus.plug(0, (0x051d, 2), "", &PLAIN);
    let mut hid = bench.hid("051d:0002");
    let ups = opened(&mut hid);
    let begun = Instant::now();
    assert_eq!(code(hid.read(lent(ups), 30)), Err(3));
    assert!(begun.elapsed() >= Duration::from_millis(30));
    assert_eq!(code(hid.read(lent(ups), 0)), Err(3), "0 asks what is there now");
    let stop = Arc::clone(&bench.here.stop);
    std::thread::spawn(move || stop.request());
    assert_eq!(code(hid.read(lent(ups), 30_000)), Err(5));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_was_unplugged_is_said_so_and_found_again_wherever_it_comes_back() {
    let mut bench = Bench::new();
    let mut hid = bench.hid("051d:0002:B");
    let ups = opened(&mut hid);
    let error = hid.read(lent(ups), 10).expect("no trap").expect_err("absent");
    assert!(error.code == 2 && error.detail.contains("051d:0002:B is connected; check"));
    bench.bus.plug(0, (0x051d, 2), "A", &PLAIN);
    bench.bus.plug(1, (0x051d, 2), "B", &PLAIN);
    assert_eq!(code(hid.get_feature(lent(ups), 7, 9)), Ok(vec![7, 1, 2, 3]));
    let bus = Arc::clone(&bench.bus);
    let unplugged = std::thread::spawn(move || bus.unplug());
    let error = hid.read(lent(ups), 10_000).expect("no trap").expect_err("gone");
    assert!(error.code == 2 && error.detail.contains("was unplugged while waiting"), "{error:?}");
    unplugged.join().expect("no panic");
    assert_eq!(code(hid.write(lent(ups), vec![0])), Err(2), "and is still away");
    bench.bus.plug(5, (0x051d, 2), "B", &PLAIN);
    assert_eq!(code(hid.write(lent(ups), vec![0, 1])), Ok(()));
    assert_eq!(bench.bus.heard(), [0, 1]);
}

#[test]
fn two_of_a_kind_are_told_apart_by_serial_number_or_file() {
    let mut bench = Bench::new();
    bench.bus.plug(0, (0x051d, 2), "A", &PLAIN);
    bench.bus.plug(1, (0x051d, 2), "B", &PLAIN);
    let mut hid = bench.hid("051d:0002");
    let ups = opened(&mut hid);
    let error = hid.ids(lent(ups)).expect("no trap").expect_err("which?");
    assert!(error.code == 2 && error.detail.ends_with("serial number: A, B"), "{error:?}");
    let mut by_file = bench.hid("/dev/hidraw1");
    let ups = opened(&mut by_file);
    assert_eq!(code(by_file.ids(lent(ups))), Ok((0x051d, 2)));
}

#[test]
fn without_a_grant_nothing_is_opened() {
    let mut bench = Bench::new();
    bench.bus.plug(0, (0x051d, 2), "", &PLAIN);
    let mut hid = bench.hid("051d:0002");
    for name in ["", "modem", "051d:0002", "/dev/hidraw0"] {
        assert_eq!(code(hid.open(name.into())).map(|_| ()), Err(1), "{name}");
    }
    assert!(bench.bus.0.lock().expect("whole")[0].ends.is_empty());
}

#[test]
fn what_is_granted_to_be_read_is_told_nothing() {
    let mut bench = Bench::new();
    bench.bus.plug(0, (0x051d, 2), "", &NUMBERED);
    let mut hid = bench.granted("051d:0002", false);
    let ups = opened(&mut hid);
    for _ in 0..2 {
        let error = hid.write(lent(ups), vec![1, 5]).expect("no trap").expect_err("read only");
        assert!(error.code == 1 && error.detail.contains("`write = true`"), "{error:?}");
        assert_eq!(code(hid.set_feature(lent(ups), vec![7, 0])), Err(1));
    }
    assert_eq!(code(hid.get_feature(lent(ups), 7, 9)), Ok(vec![7, 1, 2, 3]), "as it was");
    bench.bus.send(&[1, 80]);
    assert_eq!(code(hid.read(lent(ups), 1_000)), Ok(vec![1, 80]));
    let news = bench.here.meter.take_news();
    assert!(news[0].starts_with("USB device not granted to be written to: 051d:0002"), "{news:?}");
    assert_eq!(bench.here.meter.traffic().usb_sent, 0);
}

#[test]
fn sizes_and_times_are_bounded() {
    let mut bench = Bench::new();
    bench.bus.plug(0, (0x051d, 2), "", &PLAIN);
    let mut hid = bench.hid("051d:0002");
    let ups = opened(&mut hid);
    assert_eq!(code(hid.read(lent(ups), TIMEOUT_MS_MAX + 1)), Err(4));
    for size in [0, REPORT_BYTES_MAX + 1] {
        assert_eq!(code(hid.write(lent(ups), vec![0; size])), Err(4));
        assert_eq!(code(hid.set_feature(lent(ups), vec![0; size])), Err(4));
        assert_eq!(code(hid.get_feature(lent(ups), 0, size as u32)), Err(4));
    }
    assert_eq!(
        code(hid.get_feature(lent(ups), 7, REPORT_BYTES_MAX as u32)).map(|r| r.len()),
        Ok(4)
    );
    bench.bus.send(&vec![1; REPORT_BYTES_MAX]);
    assert_eq!(code(hid.read(lent(ups), 1_000)), Err(5), "with its id it is too long");
    bench.bus.send(&vec![1; REPORT_BYTES_MAX - 1]);
    assert_eq!(code(hid.read(lent(ups), 1_000)).map(|r| r.len()), Ok(REPORT_BYTES_MAX));
}

#[test]
fn handles_openings_and_reports_are_bounded() {
    let mut bench = Bench::new();
    bench.bus.plug(0, (0x051d, 2), "", &PLAIN);
    let mut hid = bench.hid("051d:0002");
    let first = opened(&mut hid);
    for _ in 1..HANDLES_MAX {
        opened(&mut hid);
    }
    assert_eq!(code(hid.open("ups".into())).map(|_| ()), Err(6));
    let done = (0..5_000).filter(|_| code(hid.ids(lent(first))).is_ok()).count();
    assert!((REPORTS_BURST as usize..3_000).contains(&done), "{done}");
    let mut hid = bench.hid("051d:0009");
    let absent = opened(&mut hid);
    let tried = (0..100).filter(|_| code(hid.ids(lent(absent))) == Err(2)).count();
    assert!((OPENS_BURST as usize..=OPENS_BURST as usize + 1).contains(&tried), "{tried}");
    assert_eq!(code(hid.ids(lent(absent))), Err(6));
}

#[test]
fn reports_are_counted_and_who_reaches_too_far_is_named() {
    let mut bench = Bench::new();
    bench.bus.plug(0, (0x051d, 2), "", &PLAIN);
    let mut hid = bench.hid("051d:0002");
    let ups = opened(&mut hid);
    code(hid.write(lent(ups), vec![0, 1, 2])).expect("sent");
    code(hid.set_feature(lent(ups), vec![9, 1])).expect("sent");
    code(hid.get_feature(lent(ups), 7, 64)).expect("4 bytes");
    bench.bus.send(&[1, 2, 3]);
    code(hid.read(lent(ups), 1_000)).expect("3 bytes, and an id in front");
    let meter = Arc::clone(&bench.here.meter);
    assert_eq!((meter.traffic().usb_sent, meter.traffic().usb_received), (5, 8));
    assert!(code(hid.write(lent(ups), Vec::new())).is_err() && meter.refusals().0 == 0);
    assert!(hid.open("modem".into()).expect("no trap").is_err());
    while code(hid.ids(lent(ups))).is_ok() {}
    let news = meter.take_news();
    assert_eq!(news.len(), 2, "{news:?}");
    assert!(news[0].starts_with("USB device not granted: the USB device \"modem\""), "{news:?}");
    assert!(news[1].starts_with("quota of USB devices: more than 500 reports"), "{news:?}");
    assert_eq!(meter.traffic().usb_sent, 5, "what was refused never went out");
}

/// The whole way: manifest, grant, linker, call.
#[test]
fn a_component_needs_declaration_permission_and_grant() {
    let bench = Bench::new();
    bench.bus.plug(0, (0x051d, 2), "", &PLAIN);
    let imports =
        format!("(import {INTERFACE:?} \"[static]device.open\" (func $open (param i32 i32 i32)))");
    let wake = format!("(call $open (i32.const 3000) (i32.const 5) {RESULT}) {FALL}");
    let component = probe(&imports, &wake, &DRIVER);
    let fixture = Fixture::new();
    let run = |declared: &[&str], asked: &[&str], granted: bool| {
        let raw = fixture.seal(&manifest(declared, asked, &DRIVER), &component);
        let mut grants = crate::grants::Grants::default();
        if granted {
            let at = "051d:0002".parse().expect("a device");
            grants.hid.insert("probe".into(), HidGrant { at, write: false });
        }
        let mut instance = fixture.start(&raw, bench.here.services.clone(), grants)?;
        Ok::<_, String>(instance.wake().expect_err("falls").to_string())
    };
    let text = run(&[], &[], true).expect_err("refused");
    assert!(text.contains("imports evenkeel:hid/hid@0.1.0, which its"), "{text}");
    let text = run(&[INTERFACE], &[INTERFACE], false).expect_err("refused");
    assert!(text.contains("add `grant.hid.probe = \"051d:0002\"`"), "{text}");
    let text = run(&[INTERFACE], &[], true).expect("runs");
    assert!(text.contains("in refused"), "granted, and not asked for: {text}");
    let text = run(&[INTERFACE], &[INTERFACE], true).expect("runs");
    assert!(text.contains("in answered"), "{text}");
}
