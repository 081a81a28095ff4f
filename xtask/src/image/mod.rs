//! `cargo xtask image`: the appliance's image, from sources to a disk that
//! boots, and the machine that plays its board.
//!
//! [`kernel`] fetches, [`programs`] builds, [`assemble`] puts together,
//! [`machine`] starts it in QEMU and plays the boot loader. What the parts are
//! made of, byte for byte, is in `image/builder`.

mod assemble;
mod kernel;
mod machine;
mod programs;

use crate::run::{AnyError, step};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// The board.
    #[arg(long, value_enum, default_value = "qemu-x86_64")]
    board: Board,
    /// Start the image in QEMU afterwards, once; the console is at the address
    /// that is shown.
    #[arg(long)]
    run: bool,
    /// Serial port of this machine that the image sees as its battery bus,
    /// e.g. the `bus0` of `evenkeel-sim`.
    #[arg(long, value_name = "DEVICE", requires = "run")]
    bus: Option<PathBuf>,
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

/// Build the image; with `--run` start it.
pub fn run(root: &Path, arguments: &Arguments) -> Result<(), AnyError> {
    let out = root.join("target/image").join(arguments.board.name());
    std::fs::create_dir_all(&out)?;
    let programs = step("programs of the image", || programs::build(root, arguments.board))?;
    let plugins = step("plugins", || Ok(crate::plugins::build(root)?))?;
    let kernel = step("kernel", || kernel::stock(root))?;
    let made = step("image", || {
        assemble::assemble(root, &out, arguments.board, &programs, &plugins, &kernel)
    })?;
    println!("{made}");
    if arguments.run {
        machine::run(&out, arguments.bus.as_deref(), arguments.port)?;
    }
    Ok(())
}
