//! The system's side of USB-HID devices: Linux' hidraw
//! (Documentation/hid/hidraw.rst, include/uapi/linux/hidraw.h).
//!
//! Which devices are connected is read in sysfs, so that none has to be opened
//! to be found. Behind [`System`] and [`Raw`], what is told and what is done can
//! be tested without a device.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{self, Direction, Ioctl, IoctlOutput, Opcode, opcode};
use std::ffi::c_void;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Most bytes of a report descriptor that the kernel gives.
const DESCRIPTOR_MAX: usize = 4_095;
/// Most bytes of a device's `uevent` that are looked at.
const UEVENT_MAX: u64 = 4_096;
/// Most devices that are looked at.
const DEVICES_MAX: usize = 256;

/// Where devices are found and opened.
pub trait System: fmt::Debug + Send + Sync {
    /// The devices that are connected.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<Found>>;

    /// Open one.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Raw>>;
}

/// A device that is connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its file.
    pub path: PathBuf,
    /// Vendor id.
    pub vendor: u16,
    /// Product id.
    pub product: u16,
    /// Serial number; empty where it has none.
    pub serial: String,
}

/// An open device. Input and output reports are read from and written to its
/// descriptor.
pub trait Raw: fmt::Debug + Send {
    /// Its descriptor, which does not block.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Vendor id and product id.
    ///
    /// # Errors
    /// What the system says.
    fn ids(&self) -> Result<(u16, u16), Errno>;

    /// Its report descriptor.
    ///
    /// # Errors
    /// What the system says.
    fn descriptor(&self) -> Result<Vec<u8>, Errno>;

    /// Read the feature report whose id is in the first byte; returns its
    /// length.
    ///
    /// # Errors
    /// What the system says.
    fn get_feature(&self, report: &mut [u8]) -> Result<usize, Errno>;

    /// Send a feature report.
    ///
    /// # Errors
    /// What the system says.
    fn set_feature(&self, report: &[u8]) -> Result<(), Errno>;
}

/// The kernel's hidraw.
#[derive(Clone, Debug)]
pub struct Linux {
    class: PathBuf,
    dev: PathBuf,
}

impl Default for Linux {
    fn default() -> Self {
        Self { class: "/sys/class/hidraw".into(), dev: "/dev".into() }
    }
}

impl System for Linux {
    fn list(&self) -> io::Result<Vec<Found>> {
        let entries = match fs::read_dir(&self.class) {
            // A kernel without hidraw has no such devices.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries.take(DEVICES_MAX) {
            let name = entry?.file_name();
            let mut text = Vec::new();
            let uevent = File::open(self.class.join(&name).join("device/uevent"));
            let read = uevent.and_then(|file| file.take(UEVENT_MAX).read_to_end(&mut text));
            // One that is unplugged meanwhile is none.
            let Some(device) = read.ok().and_then(|_| parse(&text)) else { continue };
            found.push(Found { path: self.dev.join(name), ..device });
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Raw>> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        Ok(Box::new(Hidraw(rustix::fs::open(path, flags, Mode::empty())?)))
    }
}

/// What the kernel says of a device: `HID_ID=0003:0000051D:00000002` (bus,
/// vendor, product) and `HID_UNIQ=`, its serial number.
fn parse(uevent: &[u8]) -> Option<Found> {
    let text = String::from_utf8_lossy(uevent);
    let field = |name: &str| {
        text.lines().find_map(|line| line.split_once('=').filter(|(key, _)| *key == name))
    };
    let mut ids = field("HID_ID")?.1.split(':').map(|hex| u32::from_str_radix(hex, 16).ok());
    let (_bus, vendor, product) = (ids.next()??, ids.next()??, ids.next()??);
    Some(Found {
        path: PathBuf::new(),
        vendor: u16::try_from(vendor).ok()?,
        product: u16::try_from(product).ok()?,
        serial: field("HID_UNIQ").map_or(String::new(), |(_, serial)| serial.trim().to_owned()),
    })
}

#[derive(Debug)]
struct Hidraw(OwnedFd);

impl Raw for Hidraw {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn ids(&self) -> Result<(u16, u16), Errno> {
        // struct hidraw_devinfo: bus, vendor, product.
        let mut info = [0; 8];
        request(self.fd(), Direction::Read, 0x03, &mut info)?;
        let at = |i| u16::from_ne_bytes([info[i], info[i + 1]]);
        Ok((at(4), at(6)))
    }

    fn descriptor(&self) -> Result<Vec<u8>, Errno> {
        let mut size = [0; 4];
        request(self.fd(), Direction::Read, 0x01, &mut size)?;
        let len = (u32::from_ne_bytes(size) as usize).min(DESCRIPTOR_MAX);
        // struct hidraw_report_descriptor: how many are wanted, then the bytes.
        let mut bytes = vec![0; 4 + 4_096];
        bytes[..4].copy_from_slice(&(len as u32).to_ne_bytes());
        request(self.fd(), Direction::Read, 0x02, &mut bytes)?;
        Ok(bytes[4..4 + len].to_vec())
    }

    fn get_feature(&self, report: &mut [u8]) -> Result<usize, Errno> {
        request(self.fd(), Direction::ReadWrite, 0x07, report)
    }

    fn set_feature(&self, report: &[u8]) -> Result<(), Errno> {
        request(self.fd(), Direction::ReadWrite, 0x06, &mut report.to_vec()).map(drop)
    }
}

/// A request of hidraw's, whose argument is a buffer.
struct Request<'a> {
    code: Opcode,
    buffer: &'a mut [u8],
}

// SAFETY: the argument is a buffer that is readable and writable for as long as
// the request lasts, and its length is in the code, which is how hidraw knows
// how many bytes it may read or write at most. It keeps no pointer.
#[expect(unsafe_code, reason = "the kernel has to be given a buffer")]
unsafe impl Ioctl for Request<'_> {
    type Output = usize;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.code
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.buffer.as_mut_ptr().cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> Result<usize, Errno> {
        usize::try_from(out).map_err(|_| Errno::INVAL)
    }
}

/// Ask the driver behind `fd` for its request `number`; returns what it does.
#[expect(unsafe_code, reason = "hidraw has no other interface")]
fn request(
    fd: BorrowedFd<'_>,
    direction: Direction,
    number: u8,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    /// What the size in a request's code has room for.
    const SIZE_MAX: usize = (1 << 14) - 1;
    if buffer.len() > SIZE_MAX {
        return Err(Errno::INVAL);
    }
    let code = opcode::from_components(direction, b'H', number, buffer.len());
    let request = Request { code, buffer };
    let len = request.buffer.len();
    // SAFETY: `Request` holds a live buffer of the length that its code names.
    // A driver other than hidraw behind a path that an administrator granted
    // knows none of these codes (type 'H', sizes included) and refuses them;
    // one that knew them would be bounded by the same length.
    let done = unsafe { ioctl::ioctl(fd, request) }?;
    Ok(done.min(len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn device(dir: &Path, name: &str, uevent: &str) {
        let folder = dir.join(name).join("device");
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join("uevent"), uevent).expect("written");
    }

    #[test]
    fn devices_are_found_without_being_opened() {
        let dir = tempfile::tempdir().expect("a directory");
        device(
            dir.path(),
            "hidraw1",
            "DRIVER=hid-generic\nHID_ID=0003:0000051D:00000002\nHID_NAME=American Power\n\
             HID_PHYS=usb-1/input0\nHID_UNIQ=QB12  \nMODALIAS=x\n",
        );
        device(dir.path(), "hidraw0", "HID_ID=0005:000004B4:0000A001\n");
        device(dir.path(), "hidraw2", "HID_ID=0003:051D\n");
        fs::create_dir(dir.path().join("hidraw3")).expect("made");
        let linux = Linux { class: dir.path().into(), dev: "/dev".into() };
        let found = |n, vendor, product, serial: &str| Found {
            path: format!("/dev/hidraw{n}").into(),
            vendor,
            product,
            serial: serial.into(),
        };
        let wanted = [found(0, 0x04b4, 0xa001, ""), found(1, 0x051d, 0x0002, "QB12")];
        assert_eq!(linux.list().expect("listed"), wanted);
        let nowhere = Linux { class: dir.path().join("none"), dev: "/dev".into() };
        assert!(nowhere.list().expect("a kernel without hidraw").is_empty());
    }

    /// The codes of linux/hidraw.h, which are the same on all machines.
    #[test]
    fn the_codes_of_the_requests_are_the_kernel_s() {
        let code = |direction, number, len| opcode::from_components(direction, b'H', number, len);
        assert_eq!(code(Direction::Read, 0x01, 4), 0x8004_4801);
        assert_eq!(code(Direction::Read, 0x02, 4_100), 0x9004_4802);
        assert_eq!(code(Direction::Read, 0x03, 8), 0x8008_4803);
        assert_eq!(code(Direction::ReadWrite, 0x06, 9), 0xC009_4806);
        assert_eq!(code(Direction::ReadWrite, 0x07, 9), 0xC009_4807);
    }

    #[test]
    fn what_is_no_hid_device_refuses_every_request() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        fs::write(&path, "text").expect("written");
        let raw = Linux::default().open(&path).expect("opened");
        assert_eq!(raw.ids(), Err(Errno::NOTTY));
        assert_eq!(raw.descriptor(), Err(Errno::NOTTY));
        assert_eq!(raw.get_feature(&mut [0; 9]), Err(Errno::NOTTY));
        assert_eq!(raw.set_feature(&[0; 9]), Err(Errno::NOTTY));
        assert_eq!(raw.set_feature(&[0; 20_000]), Err(Errno::INVAL));
    }

    proptest! {
        #[test]
        fn any_uevent_is_read_without_a_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
