//! `cargo xtask image`: the appliance's image, from sources to a disk that
//! boots, and the machine that plays its board.
//!
//! What differs from board to board is data, in `image/boards`. [`kernel`]
//! fetches, or [`own_kernel`] builds, [`programs`] builds, with [`cross`] for another processor,
//! [`loader`] is the boot loader of a board whose loader is made here,
//! [`precompile`] gives the plugins their code, [`assemble`] puts together. What the parts are made of, byte for
//! byte, is in `image/builder`; the machine with its boot loader is
//! `evenkeel_e2e::machine`, which the tests use as well.

mod assemble;
mod cross;
mod kernel;
mod loader;
mod options;
mod own_kernel;
mod precompile;
mod programs;
mod sbom;
mod twice;

use crate::debian;
use crate::run::{AnyError, step};
use cross::Cross;
use evenkeel_e2e::fit;
use evenkeel_e2e::machine::{Line, Machine};
use evenkeel_image::board::Board;
use evenkeel_image::release::EPOCH;
use kernel::Kernel;
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
    /// The distribution's kernel, or one that is built here.
    #[arg(long, value_enum, default_value_t = Choice::Stock)]
    kernel: Choice,
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
    let packages = PACKAGES.iter().chain(boot).chain(loader).chain(kernel).copied();
    let packages: Vec<_> = packages.chain(machine).collect();
    debian::install(&packages, &[])
}

/// Build the image; with `--run` start it.
pub fn run(root: &Path, arguments: &Arguments) -> Result<(), AnyError> {
    let board = board(root, &arguments.board)?;
    if arguments.run && board.machine.is_none() {
        return Err(format!("QEMU has no machine for {}: {}", board.name, board.about).into());
    }
    println!("── {}", board.about);
    step("install what the image needs", || install(&board, arguments.kernel))?;
    if !arguments.no_build {
        crate::run::build_programs()?;
    }
    let plugins = match arguments.no_build {
        true => crate::plugins::built(root)?,
        false => step("plugins", || Ok(crate::plugins::build(root)?))?,
    };
    let how = How { kernel: arguments.kernel, no_build: arguments.no_build };
    let out = build(root, &board, &plugins, how)?;
    if arguments.twice {
        step("the same in another folder", || twice::check(root, &board, &plugins, how, &out))?;
    }
    if !arguments.run {
        return Ok(());
    }
    let line = |path: &Option<PathBuf>| path.clone().map_or(Line::Nothing, Line::Port);
    let lines = [line(&arguments.bus), line(&arguments.ups)];
    let mut machine = Machine::new(&out, arguments.port, lines)?;
    let slot = machine.load()?;
    match slot {
        Some(slot) => println!("── loader: slot {slot}"),
        None => println!("── the board's own loader chooses the slot"),
    }
    println!("── console at {} once the daemon is up; Ctrl-A X ends QEMU", machine.address());
    crate::run::exec(&mut machine.command(slot)?)
}

/// How an image is built.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Whose kernel.
    pub kernel: Choice,
    /// Of programs that are built already.
    pub no_build: bool,
}

/// Build the image of `board` with these plugins; gives its folder.
pub fn build(
    root: &Path,
    board: &Board,
    plugins: &[PathBuf],
    how: How,
) -> Result<PathBuf, AnyError> {
    let out = root.join("target/image").join(&board.name);
    fs::create_dir_all(&out)?;
    let toolchain = root.join("target/image/toolchain");
    let cross = step("compiler", || Cross::find(&toolchain, &board.target))?;
    let programs = match how.no_build {
        true => programs::built(root, board),
        false => step("programs of the image (the first time this takes minutes)", || {
            programs::build(root, board, cross.as_ref())
        })?,
    };
    let plugins = step("code of the plugins", || precompile::all(root, &out, board, plugins))?;
    let loader = step("boot loader", || loader::make(root, &out, board, cross.as_ref(), EPOCH))?;
    let kernel = step("kernel", || match how.kernel {
        Choice::Stock => kernel::stock(root, board),
        Choice::Own => own_kernel::make(root, board, cross.as_ref()),
    })?;
    let sbom = step("bill of materials", || {
        let bill = sbom::document(root, board, cross.as_ref(), &plugins, &kernel.package)?;
        fs::write(out.join(sbom::FILE), &bill)?;
        Ok(bill)
    })?;
    let inside = Inside { programs, plugins, loader, kernel, sbom };
    let made = step("image", || assemble::assemble(root, &out, board, &inside))?;
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
}

/// An empty folder.
fn fresh(folder: &Path) -> Result<PathBuf, AnyError> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}
