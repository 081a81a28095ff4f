//! `test`: the plugin's own tests, conformance included, and the lint against
//! what the standard library only pretends to offer in a plugin.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use evenkeel_signing::Permission;

use crate::project::{Description, Project};

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
    // The SDK itself may use files in its test kit.
    lint.args(["clippy", "--quiet", "--lib", "--no-deps", "--package", &project.package, "--"])
        .args(["--deny", "clippy::disallowed_types"])
        .args(["--deny", "clippy::disallowed_methods"])
        .args(["--deny", "clippy::disallowed_macros"])
        .env("CLIPPY_CONF_DIR", &folder);
    run(&mut lint).and_then(|status| match status.success() {
        true => Ok(()),
        false => Err(CheckError::Lint { status }),
    })?;
    // The conformance kit writes down what it replayed.
    let replayed = folder.join("replayed");
    fs::write(&replayed, "").map_err(|source| CheckError::Rules { path: folder, source })?;
    let mut tests = cargo(project);
    tests.args(["test", "--package", &project.package]).env(REPLAYED, &replayed);
    run(&mut tests).and_then(|status| match status.success() {
        true => Ok(()),
        false => Err(CheckError::Tests { status }),
    })?;
    let is_empty = fs::metadata(&replayed).map_or(true, |file| file.len() == 0);
    match is_empty && has_a_device(&project.plugin.description) {
        true => Err(CheckError::NotReplayed),
        false => Ok(()),
    }
}

/// Where `evenkeel_sdk::testkit::conformance` writes down what it replayed.
const REPLAYED: &str = "EVENKEEL_REPLAYED";

/// A driver of a device on one of the ways that the conformance kit knows.
fn has_a_device(plugin: &Description) -> bool {
    const WAYS: [&str; 4] =
        ["evenkeel:serial/", "evenkeel:net-client/", "evenkeel:hid/", "evenkeel:contacts/"];
    let is_way = |p: &Permission| WAYS.iter().any(|way| p.interface.starts_with(way));
    plugin.world.starts_with("evenkeel:driver/") && plugin.permissions.iter().any(is_way)
}

/// Why a plugin is not in order.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no room for rules and notes.
    #[error("cannot write into {}", path.display())]
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
    /// No exchange was replayed to the driver.
    #[error(
        "no test replays a recorded exchange to this driver: record one with `evenkeel-plugin run \
        --record testcases/NAME`, or write what its reports or contacts say, and let a test call \
        evenkeel_sdk::testkit::conformance, as the plugin that `evenkeel-plugin new` writes does"
    )]
    NotReplayed,
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
