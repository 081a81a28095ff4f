//! The programs of the image: static, without the compiler of plugins.

use super::Board;
use crate::run::{AnyError, cargo, exec};
use std::path::{Path, PathBuf};

/// Where the programs are.
pub struct Programs {
    /// First stage and supervisor.
    pub init: PathBuf,
    /// The guard.
    pub guard: PathBuf,
    /// The daemon.
    pub daemon: PathBuf,
}

/// Build them for `board`, in a target folder of their own: static programs
/// share no library with those of the tests.
pub fn build(root: &Path, board: Board) -> Result<Programs, AnyError> {
    let target = root.join("target/image/build");
    let triple = board.triple();
    let flags = "-C target-feature=+crt-static -C relocation-model=static";
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
    let build = |arguments: &[&str]| {
        let mut cargo = cargo(&["build", "--release", "--target", triple]);
        cargo.args(arguments).env("CARGO_TARGET_DIR", &target).env(&variable, flags);
        exec(&mut cargo)
    };
    build(&["--package", "evenkeel-init", "--package", "evenkeel-guard"])?;
    build(&["--package", "evenkeeld", "--bin", "evenkeeld", "--no-default-features"])?;
    let program = |name: &str| target.join(triple).join("release").join(name);
    Ok(Programs {
        init: program("evenkeel-init"),
        guard: program("evenkeel-guard"),
        daemon: program("evenkeeld"),
    })
}
