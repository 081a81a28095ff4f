//! Opens a root under its hash tree by the kernel's device mapper
//! (`linux/dm-ioctl.h`, facts/image-recipe.md §4.2): three calls on
//! `/dev/mapper/control`, no library and no program.

use evenkeel_signing::slot::{Header, header::BLOCK};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};
use std::ffi::c_void;
use std::io;
use std::path::{Path, PathBuf};

const CREATE: Opcode = 0xc138_fd03 as Opcode;
const RESUME: Opcode = 0xc138_fd06 as Opcode;
const LOAD: Opcode = 0xc138_fd09 as Opcode;
const REMOVE: Opcode = 0xc138_fd04 as Opcode;
const READ_ONLY: u32 = 1;
/// `struct dm_ioctl`, and behind it `struct dm_target_spec` and its words.
const HEAD_LEN: usize = 312;
const SPEC_LEN: usize = 40;
/// Room for the words of a verity target: two paths, two hashes, numbers.
const LEN: usize = 1_024;
const SECTORS: u64 = BLOCK / 512;

/// What happens when an altered byte is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The kernel stops.
    Panic,
    /// Whoever reads it gets an error.
    Error,
}

/// Open the root on `device` as `header` says; gives the device that is read
/// through the hash tree.
///
/// # Errors
/// When the kernel refuses.
pub fn open_verity(
    name: &str,
    device: &Path,
    header: &Header,
    damage: Damage,
) -> io::Result<PathBuf> {
    let control = open("/dev/mapper/control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let mut request = Request::new(CREATE, name, READ_ONLY)?;
    request.send(&control)?;
    let minor = request.minor();
    let mut load = Request::new(LOAD, name, READ_ONLY)?;
    load.target(header.data_blocks * SECTORS, "verity", &words(device, header, damage))?;
    load.send(&control)?;
    Request::new(RESUME, name, 0)?.send(&control)?;
    Ok(PathBuf::from(format!("/dev/dm-{minor}")))
}

/// Close a mapped device that nobody uses any more.
///
/// # Errors
/// When somebody does.
pub fn close(name: &str) -> io::Result<()> {
    let control = open("/dev/mapper/control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    Request::new(REMOVE, name, 0)?.send(&control)
}

/// The words of a verity target.
fn words(device: &Path, header: &Header, damage: Damage) -> String {
    let device = device.display();
    let salt: String = header.salt.iter().map(|byte| format!("{byte:02x}")).collect();
    let (blocks, tree, root) = (header.data_blocks, header.tree_block(), header.root);
    let option = match damage {
        Damage::Panic => " 1 panic_on_corruption",
        Damage::Error => "",
    };
    format!("1 {device} {device} {BLOCK} {BLOCK} {blocks} {tree} sha256 {root} {salt}{option}")
}

/// One call: the bytes that go to the kernel and come back.
struct Request {
    opcode: Opcode,
    bytes: [u8; LEN],
}

impl Request {
    fn new(opcode: Opcode, name: &str, flags: u32) -> io::Result<Self> {
        let mut this = Self { opcode, bytes: [0; LEN] };
        if name.is_empty() || name.len() > 127 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "name of a mapped device"));
        }
        for (at, word) in [(0, 4), (12, LEN as u32), (16, HEAD_LEN as u32), (28, flags)] {
            this.put(at, word);
        }
        this.bytes[48..48 + name.len()].copy_from_slice(name.as_bytes());
        Ok(this)
    }

    /// Add the one target, `sectors` long.
    fn target(&mut self, sectors: u64, kind: &str, words: &str) -> io::Result<()> {
        let at = HEAD_LEN + SPEC_LEN;
        // A zero ends the words.
        if kind.len() > 15 || words.len() >= LEN - at {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "words of a mapped device"));
        }
        self.put(20, 1);
        self.bytes[HEAD_LEN + 8..HEAD_LEN + 16].copy_from_slice(&sectors.to_ne_bytes());
        self.bytes[HEAD_LEN + 24..HEAD_LEN + 24 + kind.len()].copy_from_slice(kind.as_bytes());
        self.bytes[at..at + words.len()].copy_from_slice(words.as_bytes());
        Ok(())
    }

    fn put(&mut self, at: usize, word: u32) {
        self.bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }

    /// Minor number of the device that was made: low and high bits stand apart
    /// in the kernel's number (`huge_encode_dev`).
    fn minor(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.bytes[40..48]);
        let device = u64::from_ne_bytes(bytes);
        (device & 0xff) | ((device >> 12) & 0xfff_ff00)
    }

    #[allow(unsafe_code, reason = "the device mapper speaks by ioctl")]
    fn send(&mut self, control: impl AsFd) -> io::Result<()> {
        // SAFETY: the opcode belongs to the device mapper, to whose control
        // file it goes; the request is a `dm_ioctl` of `data_size` bytes, all
        // of which are ours for reading and writing while the call lasts.
        unsafe { ioctl(control, self)? };
        Ok(())
    }
}

// SAFETY: the opcode and the pointer belong together, see `Request::send`; the
// kernel reads and writes no more than `data_size` bytes, which is `LEN`.
#[allow(unsafe_code, reason = "the device mapper speaks by ioctl")]
unsafe impl Ioctl for &mut Request {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.bytes.as_mut_ptr().cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_signing::Digest;

    fn header() -> Header {
        Header {
            epoch: 1,
            development: true,
            product: "evenkeel".into(),
            board: "qemu-x86_64".into(),
            version: "0.1.0".into(),
            boot: Digest([1; 32]),
            boot_len: 1,
            root: Digest([0xab; 32]),
            salt: [0xcd; 32],
            data_blocks: 1_676,
            schema: 1,
            readable_from: 1,
        }
    }

    #[test]
    fn the_words_are_those_of_the_kernel_s_documentation() {
        let words = words(Path::new("/dev/vda3"), &header(), Damage::Panic);
        let (root, salt) = ("ab".repeat(32), "cd".repeat(32));
        let expected = format!(
            "1 /dev/vda3 /dev/vda3 4096 4096 1676 1677 sha256 {root} {salt} 1 panic_on_corruption"
        );
        assert_eq!(words, expected);
    }

    #[test]
    fn a_request_has_its_fields_in_place() {
        let mut request = Request::new(LOAD, "root", READ_ONLY).unwrap();
        request.target(8 * 1_676, "verity", "1 a b").unwrap();
        let word = |at: usize| u32::from_ne_bytes(request.bytes[at..at + 4].try_into().unwrap());
        assert_eq!([word(0), word(12), word(16), word(20), word(28)], [4, 1_024, 312, 1, 1]);
        assert_eq!(&request.bytes[48..53], b"root\0");
        assert_eq!(word(HEAD_LEN + 8), 8 * 1_676);
        assert_eq!(&request.bytes[336..343], b"verity\0");
        assert_eq!(&request.bytes[352..358], b"1 a b\0");
        assert!(Request::new(LOAD, &"x".repeat(128), 0).is_err());
        assert!(Request::new(LOAD, "x", 0).unwrap().target(1, "v", &"x".repeat(700)).is_err());
    }

    #[test]
    fn a_minor_number_is_put_together_again() {
        let mut request = Request::new(CREATE, "root", 0).unwrap();
        request.bytes[40..48].copy_from_slice(&0x0010_fd05u64.to_ne_bytes());
        assert_eq!(request.minor(), 0x105);
    }
}
