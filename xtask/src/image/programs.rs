//! The programs of the image: static, with a compiler of plugins where the
//! board says so.

use super::cross::Cross;
use crate::run::{AnyError, cargo, exec};
use evenkeel_image::board::Board;
use std::path::{Path, PathBuf};

/// Where the programs are.
pub struct Programs {
    /// First stage and supervisor.
    pub init: PathBuf,
    /// The guard.
    pub guard: PathBuf,
    /// The daemon.
    pub daemon: PathBuf,
    /// The keeper of network and clock.
    pub network: PathBuf,
}

/// Where [`build`] puts them.
pub fn built(root: &Path, board: &Board) -> Programs {
    let folder = root.join("target/image/build").join(&board.target).join("release");
    let program = |name: &str| folder.join(name);
    Programs {
        init: program("evenkeel-init"),
        guard: program("evenkeel-guard"),
        daemon: program("evenkeeld"),
        network: program("evenkeel-network"),
    }
}

/// Build them for `board`, in a target folder of their own: static programs
/// share no library with those of the tests. What was built before a command
/// was cut off is kept.
pub fn build(root: &Path, board: &Board, cross: Option<&Cross>) -> Result<Programs, AnyError> {
    let target = root.join("target/image/build");
    let triple = board.target.as_str();
    let flags = flags(root, cross).join("\x1f");
    let build = |arguments: &[&str]| {
        let mut cargo = cargo(&["build", "--locked", "--release", "--target", triple]);
        cargo.args(arguments).current_dir(root);
        cargo.env("CARGO_TARGET_DIR", &target).env("CARGO_ENCODED_RUSTFLAGS", &flags);
        if let Some(cross) = cross {
            cross.prepare(&mut cargo);
        }
        // Another way to compile would build everything again.
        exec(cargo.env("CARGO_INCREMENTAL", "0"))
    };
    let small = ["evenkeel-init", "evenkeel-guard", "evenkeel-network"];
    build(&small.map(|name| ["--package", name]).concat())?;
    build(&[&["--package", "evenkeeld", "--bin", "evenkeeld"], daemon_features(board)].concat())?;
    Ok(built(root, board))
}

/// What cargo is told of the daemon's features, for a build and for a list.
pub const fn daemon_features(board: &Board) -> &'static [&'static str] {
    match board.compiler {
        true => &["--no-default-features", "--features", "evenkeeld/compiler"],
        false => &["--no-default-features"],
    }
}

/// Static programs with no path of this machine in them: two builds in two
/// folders are the same bytes.
fn flags(root: &Path, cross: Option<&Cross>) -> Vec<String> {
    let mut flags =
        vec!["-Ctarget-feature=+crt-static".to_owned(), "-Crelocation-model=static".to_owned()];
    flags.extend(renamed(root, cross.map(Cross::place)));
    if cross.is_some() {
        // The C compiler brings the beginning and the end of a program.
        flags.push("-Clink-self-contained=no".to_owned());
    }
    flags
}

/// No path of this machine: sources are named as if they lay elsewhere, those
/// of the standard library below `rust` as well.
pub fn renamed(root: &Path, rust: Option<&Path>) -> Vec<String> {
    let mut flags = Vec::new();
    let mut rename = |from: &Path, to| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    if let Some(home) = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home) {
        rename(&home, "/cargo");
    }
    rename(root, "/evenkeel");
    if let Some(rust) = rust {
        // It lies below a root, too; the last that fits counts.
        rename(rust, "/rust");
    }
    flags
}
