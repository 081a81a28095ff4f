//! Releases that cannot run, made of the good one in seconds: a part of it is
//! replaced, and the whole is sealed again, with the development key unless
//! another is given.

use crate::bench::Built;
use evenkeel_e2e::machine::{Line, Machine, squash};
use evenkeel_image::archive::{self, Entry};
use evenkeel_image::board::Board;
use evenkeel_image::release::Parts;
use evenkeel_loader::boot::Boot;
use evenkeel_signing::SecretKey;
use evenkeel_signing::slot::Slot;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Raises SIGILL: `ud2`.
pub const CRASHES: &[u8] = &[0x0f, 0x0b];
/// Waits for a signal again and again: `mov eax, 34; syscall; jmp` to its
/// beginning (`pause`).
pub const HANGS: &[u8] = &[0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];

/// The good release, taken apart.
pub struct Good {
    board: String,
    boot: Vec<u8>,
    root: PathBuf,
    squashed: PathBuf,
    key: SecretKey,
    dir: tempfile::TempDir,
}

impl Good {
    pub fn of(built: &Built) -> Self {
        let machine = Machine::new(&built.image, 0, [Line::Nothing, Line::Nothing]);
        let boot = machine.expect("a machine").boot_image(Slot::A).expect("a boot image");
        let key = built.target().join("dev-keys/firmware.key");
        Self {
            board: Board::read(&built.image).expect("a board").name,
            boot,
            root: built.image.join("root"),
            squashed: built.image.join("root.sqfs"),
            key: SecretKey::read(&key).expect("the development key"),
            dir: tempfile::tempdir().expect("a folder"),
        }
    }

    /// Sealed by this key from now on.
    pub fn sealed_by(self, key: SecretKey) -> Self {
        Self { key, ..self }
    }

    /// With another keyring in it.
    pub fn with_keyring(&self, version: &str, raw: &[u8]) -> Vec<u8> {
        let Boot { kernel, archive, command_line } =
            Boot::unpack(&self.boot).expect("a boot image");
        let more = archive::pack(&[("trust/keyring.evkk", Entry::File(raw.to_vec()))]);
        // Of two archives in a row the kernel has the later one's files.
        let mut archive = archive.to_vec();
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(more.expect("packed"));
        let boot = Boot { kernel, archive: &archive, command_line }.pack().expect("packed");
        let put = |root: &Path| {
            for place in ["etc/evenkeel/firmware", "etc/evenkeel/trust"] {
                fs::write(root.join(place).join("keyring.evkk"), raw).expect("written");
            }
        };
        self.seal(version, 1, boot, self.changed_root(version, put))
    }

    /// The same under another version and epoch.
    pub fn again(&self, version: &str, epoch: u32) -> Vec<u8> {
        self.seal(version, epoch, self.boot.clone(), self.good_root())
    }

    /// With a first stage that is nothing but `code`.
    pub fn with_first_stage(&self, version: &str, code: &[u8]) -> Vec<u8> {
        let Boot { kernel, command_line, .. } = Boot::unpack(&self.boot).expect("a boot image");
        let archive = archive::pack(&[
            ("dev", Entry::Folder),
            ("dev/console", Entry::Device(5, 1)),
            ("init", Entry::Program(program(code))),
        ]);
        let boot = Boot { kernel, archive: &archive.expect("packed"), command_line };
        self.seal(version, 1, boot.pack().expect("packed"), self.good_root())
    }

    /// With a root that is no file system, under a hash tree that holds.
    pub fn without_root(&self, version: &str) -> Vec<u8> {
        self.seal(version, 1, self.boot.clone(), vec![0x5a; 64 << 10])
    }

    /// With a root that `spoil` has changed.
    pub fn with_root(&self, version: &str, spoil: impl FnOnce(&Path)) -> Vec<u8> {
        self.seal(version, 1, self.boot.clone(), self.changed_root(version, spoil))
    }

    fn changed_root(&self, version: &str, change: impl FnOnce(&Path)) -> Vec<u8> {
        let folder = self.dir.path().join(version);
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--sparse=always"]).arg(&self.root).arg(&folder);
        assert!(copy.status().expect("cp").success());
        change(&folder);
        let image = folder.with_extension("sqfs");
        squash(&folder, &image).expect("squashed");
        fs::read(image).expect("read")
    }

    fn good_root(&self) -> Vec<u8> {
        fs::read(&self.squashed).expect("a root")
    }

    fn seal(&self, version: &str, epoch: u32, boot: Vec<u8>, root: Vec<u8>) -> Vec<u8> {
        let release = Parts { boot, root, source: "a variant".into() }.release(
            &self.board,
            version,
            epoch,
            &self.key,
        );
        release.expect("a release").bundle
    }
}

/// Put a program that is nothing but `code` in the place of another.
pub fn replace(root: &Path, name: &str, code: &[u8]) {
    let path = root.join(name);
    assert!(path.exists(), "{} is there", path.display());
    fs::remove_file(&path).expect("removed");
    fs::write(&path, program(code)).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
}

/// The smallest static program for x86-64: header, one segment, `code`.
fn program(code: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 64 + 56;
    const AT: u64 = 0x40_0000;
    let len = HEADERS + code.len() as u64;
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // An executable file for this processor, of the format's version 1.
    bytes.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    // Entry; where the segments are described; no sections.
    for word in [AT + HEADERS, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    // No flags; lengths of both headers, one segment, no sections.
    bytes.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // Loaded, to be read and run.
    bytes.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, AT, AT, len, len, 0x1000] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(code);
    bytes
}
