//! `cargo xtask image`: the appliance's image, from sources to a disk that
//! boots, and the machine that plays its board.
//!
//! [`kernel`] fetches, [`programs`] builds, [`precompile`] gives the plugins
//! their code, [`assemble`] puts together. What the parts are made of, byte for
//! byte, is in `image/builder`; the machine with its boot loader is
//! `evenkeel_e2e::machine`, which the tests use as well.

mod assemble;
mod kernel;
mod precompile;
mod programs;

use crate::debian;
use crate::run::{AnyError, step};
use evenkeel_e2e::machine::{Line, Machine};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// The board.
    #[arg(long, value_enum, default_value = "qemu-x86_64")]
    board: Board,
    /// Use the programs and plugins that are built already.
    #[arg(long)]
    no_build: bool,
    /// Start the image in QEMU afterwards, once; the console is at the address
    /// that is shown.
    #[arg(long)]
    run: bool,
    /// Serial port of this machine that the image sees as its battery bus,
    /// e.g. the `bus0` of `evenkeel-sim`.
    #[arg(long, value_name = "DEVICE", requires = "run")]
    bus: Option<PathBuf>,
    /// Serial port of this machine that the image sees as its UPS, e.g. `ups0`
    /// of `evenkeel-sim`.
    #[arg(long, value_name = "DEVICE", requires = "run")]
    ups: Option<PathBuf>,
    /// Port of this machine for the console.
    #[arg(long, default_value_t = 8_443, requires = "run")]
    port: u16,
}

/// Hardware that an image is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Board {
    /// A PC in QEMU.
    #[value(name = "qemu-x86_64")]
    QemuX86,
}

impl Board {
    /// As in headers and manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QemuX86 => "qemu-x86_64",
        }
    }

    /// The compiler's name of it.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::QemuX86 => "x86_64-unknown-linux-gnu",
        }
    }
}

/// Debian packages by the program that they bring.
pub const PACKAGES: &[(&str, &str)] = &[
    ("/usr/bin/mksquashfs", "squashfs-tools"),
    ("/usr/bin/zstd", "zstd"),
    ("/sbin/depmod", "kmod"),
    ("/sbin/mke2fs", "e2fsprogs"),
    ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
];

/// Build the image; with `--run` start it.
pub fn run(root: &Path, arguments: &Arguments) -> Result<(), AnyError> {
    step("install what the image needs", || debian::install(PACKAGES, &[]))?;
    if !arguments.no_build {
        crate::run::build_programs()?;
    }
    let plugins = match arguments.no_build {
        true => crate::plugins::built(root)?,
        false => step("plugins", || Ok(crate::plugins::build(root)?))?,
    };
    let out = build(root, arguments.board, &plugins, arguments.no_build)?;
    if !arguments.run {
        return Ok(());
    }
    let line = |path: &Option<PathBuf>| path.clone().map_or(Line::Nothing, Line::Port);
    let lines = [line(&arguments.bus), line(&arguments.ups)];
    let mut machine = Machine::new(&out, arguments.port, lines);
    let slot = machine.load()?;
    println!("── loader: slot {slot}");
    println!("── console at {} once the daemon is up; Ctrl-A X ends QEMU", machine.address());
    crate::run::exec(&mut machine.command(slot)?)
}

/// Build the image of `board` with these plugins; gives its folder.
pub fn build(
    root: &Path,
    board: Board,
    plugins: &[PathBuf],
    no_build: bool,
) -> Result<PathBuf, AnyError> {
    let out = root.join("target/image").join(board.name());
    fs::create_dir_all(&out)?;
    let programs = match no_build {
        true => programs::built(root, board),
        false => step("programs of the image (the first time this takes minutes)", || {
            programs::build(root, board)
        })?,
    };
    let plugins =
        step("machine code of the plugins", || precompile::all(root, &out, board, plugins))?;
    let kernel = step("kernel", || kernel::stock(root))?;
    let made =
        step("image", || assemble::assemble(root, &out, board, &programs, &plugins, &kernel))?;
    print!("{made}");
    Ok(out)
}

/// An empty folder.
fn fresh(folder: &Path) -> Result<PathBuf, AnyError> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}
