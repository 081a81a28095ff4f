//! `cargo xtask image`: the appliance's image, from sources to a disk that
//! boots, and the machine that plays its board.
//!
//! What differs from board to board is data, in `image/boards`. [`kernel`]
//! fetches, or [`own_kernel`] builds, [`programs`] builds, with [`cross`] for another processor,
//! [`loader`] is the boot loader of a board with U-Boot, [`uefi`] that of one with UEFI,
//! [`precompile`] gives the plugins their code, [`assemble`] puts together, with
//! [`keys`] of the workshop or of a platform. What the parts are made of, byte for
//! byte, is in `image/builder`; the machine with its boot loader is
//! `evenkeel_e2e::machine`, which the tests use as well.

mod assemble;
mod cross;
mod kernel;
mod keys;
mod loader;
mod options;
mod own_kernel;
pub mod platform;
mod precompile;
mod programs;
mod sbom;
mod twice;
mod uefi;

use crate::debian;
use crate::run::{AnyError, command, step};
use cross::Cross;
use evenkeel_e2e::fit;
use evenkeel_e2e::machine::{Line, Machine};
use evenkeel_image::board::Board;
use evenkeel_image::release::EPOCH;
use kernel::Kernel;
pub use keys::Keys;
use loader::Loader;
use programs::Programs;
use std::fs;
use std::path::{Path, PathBuf};

/// Whose kernel an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// Debian's, with the modules that the board needs.
    Stock,
    /// Ours, without modules, for boards that have its options.
    Own,
}

#[derive(clap::Args)]
pub struct Arguments {
    /// The board: a folder of image/boards.
    #[arg(long, value_name = "NAME", default_value = "qemu-x86_64")]
    board: String,
    /// The distribution's kernel, or one that is built here; a release has the
    /// latter, and a development image the former, unless something is said.
    #[arg(long, value_enum)]
    kernel: Option<Choice>,
    /// Make an image for production, with the keys of the platform in this
    /// folder; image/README.md says what belongs into it.
    #[arg(long, value_name = "FOLDER")]
    release: Option<PathBuf>,
    /// Use the programs and plugins that are built already.
    #[arg(long)]
    no_build: bool,
    /// Build it a second time in another folder, and compare every byte.
    #[arg(long, conflicts_with = "no_build")]
    twice: bool,
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

/// Debian packages that every board's image needs, by the program that they
/// bring.
const PACKAGES: &[(&str, &str)] = &[
    ("/usr/bin/mksquashfs", "squashfs-tools"),
    ("/usr/bin/zstd", "zstd"),
    ("/sbin/depmod", "kmod"),
    ("/sbin/mke2fs", "e2fsprogs"),
];

/// Where a board is described.
fn folder(root: &Path, name: &str) -> PathBuf {
    root.join("image/boards").join(name)
}

/// The board of this name.
pub fn board(root: &Path, name: &str) -> Result<Board, AnyError> {
    let names = Board::names(&root.join("image/boards"))?;
    if !names.iter().any(|known| known == name) {
        return Err(format!("no board {name:?}; there are {}", names.join(", ")).into());
    }
    Ok(Board::read(&folder(root, name))?)
}

/// Install what the image of `board` is made and started with.
pub fn install(board: &Board, kernel: Choice) -> Result<(), AnyError> {
    let program = board.machine.as_ref().map(|machine| format!("/usr/bin/{}", machine.program));
    let machine = board.machine.as_ref().zip(program.as_deref());
    let machine = machine.map(|(machine, program)| (program, machine.package.as_str()));
    let boot = if board.loader.is_some() { fit::PACKAGES } else { &[] };
    let own = board.loader.as_ref().is_some_and(|loader| loader.defconfig.is_some());
    let loader = if own { loader::PACKAGES } else { &[] };
    let kernel = if kernel == Choice::Own { own_kernel::PACKAGES } else { &[] };
    let (uefi, signed) = match board.uefi {
        Some(_) => (uefi::PACKAGES, evenkeel_e2e::uefi::PACKAGES),
        None => (&[][..], &[][..]),
    };
    let programs = PACKAGES.iter().chain(boot).chain(loader).chain(kernel);
    let packages = programs.chain(uefi).chain(signed).copied();
    let firmware = board.uefi.as_ref().map(|uefi| (uefi.code.to_string_lossy(), &*uefi.package));
    let firmware = firmware.as_ref().map(|(file, package)| (&**file, *package));
    let packages: Vec<_> = packages.chain(machine).chain(firmware).collect();
    debian::install(&packages, &[])
}

/// Build the image; with `--run` start it.
pub fn run(root: &Path, arguments: &Arguments) -> Result<(), AnyError> {
    let board = board(root, &arguments.board)?;
    if arguments.run && board.machine.is_none() {
        return Err(format!("QEMU has no machine for {}: {}", board.name, board.about).into());
    }
    println!("── {}", board.about);
    let default = if arguments.release.is_some() { Choice::Own } else { Choice::Stock };
    let kernel = arguments.kernel.unwrap_or(default);
    step("install what the image needs", || install(&board, kernel))?;
    if !arguments.no_build {
        crate::run::build_programs()?;
    }
    let plugins = match arguments.no_build {
        true => crate::plugins::built(root)?,
        false => step("plugins", || Ok(crate::plugins::build(root)?))?,
    };
    let keys = match &arguments.release {
        Some(folder) => Keys::of_platform(folder)?,
        None => Keys::development(root)?,
    };
    let source = revision(root)?;
    let how = How { kernel, keys: &keys, source: &source, no_build: arguments.no_build };
    let out = build(root, &board, &plugins, how)?;
    if arguments.twice {
        step("the same in another folder", || twice::check(root, &board, &plugins, how, &out))?;
    }
    if !arguments.run {
        return Ok(());
    }
    let line = |path: &Option<PathBuf>| path.clone().map_or(Line::Nothing, Line::Port);
    let lines = [line(&arguments.bus), line(&arguments.ups)];
    let mut machine = Machine::new(&out, arguments.port, lines)?.verified();
    let slot = machine.load()?;
    match slot {
        Some(slot) => println!("── loader: slot {slot}"),
        None => println!("── the board's own loader chooses the slot"),
    }
    println!("── console at {} once the daemon is up; Ctrl-A X ends QEMU", machine.address());
    crate::run::exec(&mut machine.command(slot)?)
}

/// Which sources these are, as the version control says it.
pub fn revision(root: &Path) -> Result<String, AnyError> {
    let options = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"];
    let output = command("git", &options).current_dir(root).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?.trim().to_owned()),
        // An archive of them, without their history.
        false => Ok("unknown".to_owned()),
    }
}

/// How an image is built.
#[derive(Clone, Copy)]
pub struct How<'a> {
    /// Whose kernel.
    pub kernel: Choice,
    /// Who seals it.
    pub keys: &'a Keys,
    /// [`revision`] of the sources.
    pub source: &'a str,
    /// Of programs that are built already.
    pub no_build: bool,
}

/// Build the image of `board` with these plugins; gives its folder.
pub fn build(
    root: &Path,
    board: &Board,
    plugins: &[PathBuf],
    how: How<'_>,
) -> Result<PathBuf, AnyError> {
    let out = how.keys.place(root, board);
    fs::create_dir_all(&out)?;
    let toolchain = root.join("target/image/toolchain");
    let cross = step("compiler", || Cross::find(&toolchain, &board.target))?;
    let loader = step("boot loader", || {
        uefi::make(root, &out, board, how.keys, EPOCH)?;
        loader::make(root, &out, board, cross.as_ref(), EPOCH)
    })?;
    let programs = match how.no_build {
        true => programs::built(root, board),
        false => step("programs of the image (the first time this takes minutes)", || {
            programs::build(root, board, cross.as_ref())
        })?,
    };
    let plugins =
        step("code of the plugins", || precompile::all(root, &out, board, how.keys, plugins))?;
    let kernel = step("kernel", || match how.kernel {
        Choice::Stock => kernel::stock(root, board),
        Choice::Own => own_kernel::make(root, board, cross.as_ref()),
    })?;
    let sbom = step("bill of materials", || {
        let loader = loader.iter().map(|loader| (loader.name, &*loader.version, loader.purl()));
        let package = &kernel.package;
        let parts = [(&*package.name, &*package.version, package.purl())];
        let parts: Vec<_> = parts.into_iter().chain(loader).collect();
        let bill = sbom::document(root, board, cross.as_ref(), &plugins, &parts)?;
        fs::write(out.join(sbom::FILE), &bill)?;
        Ok(bill)
    })?;
    let source = how.source.to_owned();
    let inside = Inside { programs, plugins, loader, kernel, sbom, source };
    let made = step("image", || assemble::assemble(root, &out, board, how.keys, &inside))?;
    print!("{made}");
    Ok(out)
}

/// What an image is put together from.
struct Inside {
    programs: Programs,
    plugins: Vec<PathBuf>,
    loader: Option<Loader>,
    kernel: Kernel,
    sbom: String,
    source: String,
}

/// An empty folder.
fn fresh(folder: &Path) -> Result<PathBuf, AnyError> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}
