//! `run`: a driver on this machine, against a real device. A small program is
//! written into the target folder that joins the plugin with the runner of
//! the SDK (`evenkeel_sdk::run`); cargo builds and runs it.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::packages::{self, PackagesError};
use crate::project::Project;

/// Build the runner of `project` and run it with `words`.
///
/// # Errors
/// [`RunError`]; the runner and cargo have said the details.
pub fn run(project: &Project, words: &[String]) -> Result<(), RunError> {
    let runners = project.target_dir().join("evenkeel-run");
    let folder = runners.join(&project.package);
    let source = folder.join("src");
    let write = |path: PathBuf, text: &str| {
        fs::write(&path, text).map_err(|source| RunError::Write { path, source })
    };
    fs::create_dir_all(&source)
        .map_err(|error| RunError::Write { path: source.clone(), source: error })?;
    write(folder.join("Cargo.toml"), &manifest(project, &sdk(project)?))?;
    write(source.join("main.rs"), &program(project))?;
    // The same versions as the plugin's, wherever they are known.
    let lock = project.workspace.join("Cargo.lock");
    if let Ok(text) = fs::read_to_string(lock) {
        write(folder.join("Cargo.lock"), &text)?;
    }
    let mut cargo = cargo(&folder);
    cargo.args(["run", "--quiet", "--"]).args(words);
    // A folder of their own: a plugin's library has the same file name here and
    // in its workspace, and each would be joined to the other's SDK.
    cargo.env("CARGO_TARGET_DIR", runners.join("target"));
    let status = cargo.status().map_err(|source| RunError::Start { source })?;
    if status.success() { Ok(()) } else { Err(RunError::Ended { status }) }
}

/// Why a driver did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file of the runner cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
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
    /// cargo does not know the plugin's dependencies.
    #[error("the plugin's SDK cannot be found")]
    Packages {
        /// Why.
        source: PackagesError,
    },
    /// The plugin is no driver on our SDK.
    #[error("the plugin does not depend on evenkeel-sdk, and `run` needs it")]
    NoSdk,
    /// The runner failed.
    #[error("the driver did not run ({status}), see above")]
    Ended {
        /// How it ended.
        status: ExitStatus,
    },
}

/// The plugin's SDK as a dependency: the runner must be joined to the same one.
fn sdk(project: &Project) -> Result<String, RunError> {
    let packages =
        packages::list(&project.plugin.folder).map_err(|source| RunError::Packages { source })?;
    let sdk = packages.iter().find(|package| package.name == "evenkeel-sdk");
    let sdk = sdk.ok_or(RunError::NoSdk)?;
    Ok(match sdk.is_local() {
        true => format!("path = {:?}", sdk.folder().display().to_string()),
        false => format!("version = \"={}\"", sdk.version),
    })
}

fn manifest(project: &Project, sdk: &str) -> String {
    let folder = project.plugin.folder.display().to_string();
    format!(
        "[package]\nname = \"evenkeel-run\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nplugin = {{ package = {:?}, path = {folder:?} }}\n\
         evenkeel-sdk = {{ {sdk}, features = [\"run\"] }}\n\n[workspace]\n",
        project.package
    )
}

fn program(project: &Project) -> String {
    format!(
        "//! Runs {} on a PC.\n\nfn main() -> std::process::ExitCode {{\n    \
         evenkeel_sdk::run::main::<plugin::EvenkeelPlugin>()\n}}\n",
        project.package
    )
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder);
    cargo
}
