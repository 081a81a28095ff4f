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

/// Where [`build`] puts them.
pub fn built(root: &Path, board: Board) -> Programs {
    let folder = root.join("target/image/build").join(board.triple()).join("release");
    let program = |name: &str| folder.join(name);
    Programs {
        init: program("evenkeel-init"),
        guard: program("evenkeel-guard"),
        daemon: program("evenkeeld"),
    }
}

/// Build them for `board`, in a target folder of their own: static programs
/// share no library with those of the tests. What was built before a command
/// was cut off is kept.
pub fn build(root: &Path, board: Board) -> Result<Programs, AnyError> {
    let target = root.join("target/image/build");
    let triple = board.triple();
    let flags = "-C target-feature=+crt-static -C relocation-model=static";
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
    let build = |arguments: &[&str]| {
        let mut cargo = cargo(&["build", "--release", "--target", triple]);
        cargo.args(arguments).env("CARGO_TARGET_DIR", &target).env(&variable, flags);
        // Another way to compile would build everything again.
        exec(cargo.env("CARGO_INCREMENTAL", "0"))
    };
    build(&["--package", "evenkeel-init", "--package", "evenkeel-guard"])?;
    build(&["--package", "evenkeeld", "--bin", "evenkeeld", "--no-default-features"])?;
    Ok(built(root, board))
}
