//! `test`: the plugin's own tests, conformance included, and the lint against
//! what the standard library only pretends to offer in a plugin.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use crate::project::Project;

/// The rules of the lint; `new` writes them into a plugin for its editor.
pub const RULES: &str = include_str!("clippy.toml");

/// Lint the plugin and run its tests.
///
/// # Errors
/// [`CheckError`]; cargo has said the details.
pub fn check(project: &Project) -> Result<(), CheckError> {
    // The rules are the tool's, so that no plugin escapes them by leaving the
    // file out.
    let folder = project.target_dir().join("evenkeel-lint");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join("clippy.toml"), RULES))
        .map_err(|source| CheckError::Rules { path: folder.clone(), source })?;
    let mut lint = cargo(project);
    lint.args(["clippy", "--quiet", "--lib", "--package", &project.package, "--"])
        .args(["--deny", "clippy::disallowed_types"])
        .args(["--deny", "clippy::disallowed_methods"])
        .args(["--deny", "clippy::disallowed_macros"])
        .env("CLIPPY_CONF_DIR", &folder);
    run(&mut lint).and_then(|status| match status.success() {
        true => Ok(()),
        false => Err(CheckError::Lint { status }),
    })?;
    let mut tests = cargo(project);
    tests.args(["test", "--package", &project.package]);
    run(&mut tests).and_then(|status| match status.success() {
        true => Ok(()),
        false => Err(CheckError::Tests { status }),
    })
}

/// Why a plugin is not in order.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The rules cannot be written.
    #[error("cannot write the lint's rules into {}", path.display())]
    Rules {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// cargo is not there.
    #[error("cannot run cargo; is Rust installed?")]
    Start {
        /// Why.
        source: io::Error,
    },
    /// The lint found something.
    #[error("the lint found what does not work in a plugin ({status}); correct what it says above")]
    Lint {
        /// How it ended.
        status: ExitStatus,
    },
    /// A test failed.
    #[error("the plugin's tests fail ({status}), see above")]
    Tests {
        /// How they ended.
        status: ExitStatus,
    },
}

fn cargo(project: &Project) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&project.workspace);
    cargo
}

fn run(command: &mut Command) -> Result<ExitStatus, CheckError> {
    command.status().map_err(|source| CheckError::Start { source })
}
