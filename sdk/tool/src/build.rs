//! `build`: compile a plugin for wasm and make a component of it.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::component::{self, Component, ComponentError};
use crate::packages::{self, PackagesError};
use crate::project::Project;
use crate::toolchain::{self, Source, TARGET, ToolchainError};

/// What `build` made.
#[derive(Debug)]
pub struct Built {
    /// The component's file.
    pub path: PathBuf,
    /// Length of the core module in bytes.
    pub module_len: usize,
    /// Length of the component in bytes.
    pub component_len: usize,
    /// What it imports and exports.
    pub component: Component,
}

/// Build the plugin and write its component to [`Project::component_path`].
///
/// # Errors
/// [`BuildError`], with the step that failed.
pub fn build(project: &Project, std: Source) -> Result<Built, BuildError> {
    let toolchain = toolchain::find(&project.target_dir(), std)
        .map_err(|source| BuildError::Toolchain { source })?;
    let flags = rustc_flags(project)?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(&project.workspace)
        .args(["build", "--lib", "--profile", PROFILE, "--target", TARGET])
        .args(["--package", &project.package])
        // A target folder of its own, so that native builds go on meanwhile.
        .env("CARGO_TARGET_DIR", wasm_dir(project))
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    toolchain.prepare(&mut cargo);
    let status = cargo.status().map_err(|source| BuildError::Start { source })?;
    if !status.success() {
        return Err(BuildError::Cargo { status });
    }
    componentize(project)
}

/// Why a plugin cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No compiler for wasm.
    #[error("there is no toolchain for plugins on this machine")]
    Toolchain {
        /// What failed last.
        source: ToolchainError,
    },
    /// cargo does not know what the plugin is made of.
    #[error("the plugin's packages cannot be listed")]
    Packages {
        /// Why.
        source: PackagesError,
    },
    /// cargo is not there.
    #[error("cannot run cargo; is Rust installed?")]
    Start {
        /// Why.
        source: io::Error,
    },
    /// cargo failed; it has said why.
    #[error("cargo failed ({status}); correct what it says above")]
    Cargo {
        /// How it ended.
        status: ExitStatus,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The result breaks a rule.
    #[error("the plugin compiles, but the appliance would not run it")]
    Component {
        /// Which rule.
        source: ComponentError,
    },
}

/// Profile of the workspace that optimizes for size and aborts on panic.
const PROFILE: &str = "plugin";
/// The compiler asks for 1 MiB of stack by default; drivers need little.
const STACK_BYTES: u32 = 64 << 10;

fn wasm_dir(project: &Project) -> PathBuf {
    project.target_dir().join("wasm")
}

/// Small stack, bounded memory, and no path of this machine in the result.
fn rustc_flags(project: &Project) -> Result<Vec<String>, BuildError> {
    let memory = project.plugin.description.limits.memory_bytes;
    let mut flags = vec![
        format!("-Clink-arg=-zstack-size={STACK_BYTES}"),
        format!("-Clink-arg=--max-memory={memory}"),
        format!("--remap-path-prefix={}=/plugin", project.workspace.display()),
    ];
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    if let Some(home) = cargo_home {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.display()));
    }
    // An SDK in a folder of this machine.
    let packages =
        packages::list(&project.workspace).map_err(|source| BuildError::Packages { source })?;
    let elsewhere = |package: &&packages::Package| {
        package.is_local() && !package.folder().starts_with(&project.workspace)
    };
    flags.extend(packages.iter().filter(elsewhere).map(|package| {
        format!("--remap-path-prefix={}=/{}", package.folder().display(), package.name)
    }));
    Ok(flags)
}

fn componentize(project: &Project) -> Result<Built, BuildError> {
    let file = format!("{}.wasm", project.package.replace('-', "_"));
    let module_path = wasm_dir(project).join(TARGET).join(PROFILE).join(file);
    let module = fs::read(&module_path).map_err(|source| cannot("read", &module_path, source))?;
    let refused = |source| BuildError::Component { source };
    let bytes = component::encode(&module).map_err(refused)?;
    let component = component::inspect(&bytes).map_err(refused)?;
    let path = project.component_path();
    let folder = path.parent().unwrap_or(&path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, &bytes))
        .map_err(|source| cannot("write", &path, source))?;
    Ok(Built { module_len: module.len(), component_len: bytes.len(), component, path })
}

fn cannot(action: &'static str, path: &Path, source: io::Error) -> BuildError {
    BuildError::File { action, path: path.to_owned(), source }
}
