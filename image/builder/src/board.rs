//! What differs from board to board, as data: `image/boards/<name>/board.toml`.
//!
//! A board names its processor and kernel, the serial ports of the battery bus
//! and the UPS, and, where it is one, the machine in QEMU that stands for it.
//! Everything else of an image is the same on every board.

use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file in a board's folder, and in the folder of an image.
pub const FILE: &str = "board.toml";

/// In the folder of a board that has a kernel of its own: its options.
pub const KERNEL_CONFIG: &str = "kernel.config";
/// In the folder of a board whose loader is made here: options of U-Boot.
pub const LOADER_CONFIG: &str = "loader.config";
/// The same: what it does.
pub const LOADER_ENVIRONMENT: &str = "loader.env";

/// One kind of hardware that an image is made for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// As in headers and manifests: lower-case letters, digits, `-`, `_`.
    pub name: String,
    /// What it is and how far it was tried, for people.
    pub about: String,
    /// The compiler's name of its processor, e.g. `armv7-unknown-linux-musleabihf`.
    pub target: String,
    /// What plugins are compiled for: a triple, or one of Wasmtime's
    /// interpreters (`pulley32`).
    pub plugin_code: String,
    /// Whether its daemon compiles plugins. Without, a plugin runs only with
    /// code that the platform signed.
    pub compiler: bool,
    /// The guard's serial port, in /dev.
    pub bus: String,
    /// The daemon's serial port, in /dev.
    pub ups: String,
    /// Its kernel.
    pub kernel: Kernel,
    /// How its loader, U-Boot, is told what to start; absent where the boot image
    /// is the one of our own loader, or of who plays it.
    pub loader: Option<Loader>,
    /// The firmware that starts our own loader under Secure Boot.
    pub uefi: Option<Uefi>,
    /// The machine in QEMU that stands for it; absent for real hardware.
    pub machine: Option<Machine>,
}

/// A distribution's kernel.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Debian's name of the processor.
    pub architecture: String,
    /// The package that depends on the newest kernel.
    pub package: String,
    /// What first stage and root need, by module names.
    pub modules: Vec<String>,
    /// Its command line; the loader adds the slot.
    pub command_line: String,
}

/// A loader that reads a flattened image tree (U-Boot's FIT).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Loader {
    /// The kernel's name of the device tree, e.g. `am335x-boneblack.dtb`;
    /// absent: the machine in QEMU describes itself.
    pub device_tree: Option<String>,
    /// Where the kernel is put and entered, an address of the board's memory.
    pub load: u32,
    /// U-Boot's own configuration of the board, which is built with
    /// [`LOADER_CONFIG`] and [`LOADER_ENVIRONMENT`]; absent where it is not
    /// made here.
    pub defconfig: Option<String>,
}

/// Firmware that judges and starts our own loader, and the kernel for it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Uefi {
    /// The compiler's name of its programs, e.g. `x86_64-unknown-uefi`.
    pub target: String,
    /// The Debian package with the firmware for QEMU.
    pub package: String,
    /// Its program, in the package.
    pub code: PathBuf,
    /// Its variables before it has any, in the package.
    pub variables: PathBuf,
    /// What the machine needs besides for Secure Boot.
    pub arguments: Vec<String>,
}

/// A machine in QEMU.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// QEMU's program for the processor.
    pub program: String,
    /// The Debian package that brings it.
    pub package: String,
    /// Machine, processor and memory.
    pub arguments: Vec<String>,
    /// Its disk, network and source of randomness, as `-device` has them.
    pub disk: String,
    /// See `disk`.
    pub network: String,
    /// See `disk`.
    pub random: String,
    /// What connects the character devices `line0` (battery bus) and `line1`
    /// (UPS), behind the console.
    pub lines: Vec<String>,
}

/// Why there is no board.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// Not there.
    #[error("{} cannot be read; the boards are the folders of image/boards", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not as described above.
    #[error("{} is no description of a board", path.display())]
    Text {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A name that cannot be a folder's.
    #[error("{} names the board {name:?}; use a-z, 0-9, - and _", path.display())]
    Name {
        /// Which.
        path: PathBuf,
        /// The name.
        name: String,
    },
}

impl Board {
    /// The board that `folder` describes, be it a board's folder or an image's;
    /// both have its name.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn read(folder: &Path) -> Result<Self, BoardError> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path)
            .map_err(|source| BoardError::File { path: path.clone(), source })?;
        let board: Self = toml::from_str(&text)
            .map_err(|e| BoardError::Text { path: path.clone(), source: Box::new(e) })?;
        let letter = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if board.name.is_empty() || !board.name.bytes().all(letter) {
            return Err(BoardError::Name { path, name: board.name });
        }
        Ok(board)
    }

    /// Names of the boards in `folder`, in order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.path().join(FILE).exists() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Who may open which serial port, as the first program reads it.
    #[must_use]
    pub fn ports(&self) -> String {
        format!("{} guard\n{} daemon\n", self.bus, self.ups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boards() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards")
    }

    #[test]
    fn every_board_can_be_read_under_its_folder_s_name() {
        let names = Board::names(&boards()).unwrap();
        assert!(names.len() >= 3, "{names:?}");
        for name in names {
            let board = Board::read(&boards().join(&name)).unwrap();
            assert_eq!(board.name, name);
            assert_ne!(board.bus, board.ups, "{name}: the bus is the guard's alone");
            let Board { machine, loader, .. } = &board;
            assert!(machine.is_some() || loader.is_some(), "{name}: who starts it?");
            if let Some(loader) = loader {
                let described = loader.device_tree.is_some() || machine.is_some();
                assert!(described, "{name}: who knows its device tree?");
                for file in [LOADER_CONFIG, LOADER_ENVIRONMENT] {
                    let there = boards().join(&name).join(file).exists();
                    assert_eq!(there, loader.defconfig.is_some(), "{name}: {file}");
                }
            }
            let line = &board.kernel.command_line;
            let console = line.split(' ').find_map(|word| word.strip_prefix("console="));
            let console = console.unwrap_or_else(|| panic!("{name} has no console: {line}"));
            let tty = console.split(',').next().unwrap();
            assert!(![&*board.bus, &*board.ups].contains(&tty), "{name}: {tty} is the console");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Board::read(dir.path()).unwrap_err().to_string();
        assert!(missing.contains("image/boards"), "{missing}");
        let text = fs::read_to_string(boards().join("qemu-arm").join(FILE)).unwrap();
        let read = |text: &str| {
            fs::write(dir.path().join(FILE), text).unwrap();
            Board::read(dir.path())
        };
        let refused = read(&text.replace("name = \"qemu-arm\"", "name = \"../arm\""));
        assert!(matches!(refused, Err(BoardError::Name { .. })), "{refused:?}");
        for wrong in [
            format!("colour = 1\n{text}"),
            text.replace("compiler = false", ""),
            text.replace("compiler = false", "compiler = \"no\""),
        ] {
            let refused = read(&wrong);
            assert!(matches!(refused, Err(BoardError::Text { .. })), "{refused:?}");
        }
    }
}
