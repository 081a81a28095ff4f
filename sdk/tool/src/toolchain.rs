//! Where the standard library for `wasm32-unknown-unknown` comes from
//! (facts/wasm-toolchain.md). Three places are tried in order and the one in
//! use is named on the screen:
//!
//! 1. the toolchain has it already;
//! 2. `rustup target add` brings it;
//! 3. Debian's `-web` packages of Rust, downloaded and unpacked into a private
//!    folder under the target directory. Nothing is installed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The target that plugins are compiled for: no WASI, no operating system.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// A compiler and standard library for [`TARGET`].
#[derive(Debug)]
pub enum Toolchain {
    /// The toolchain in use has the standard library.
    Rustup,
    /// Debian's compiler, which builds the standard library from source.
    Debian(Unpacked),
}

/// Debian's compiler in a private folder.
#[derive(Debug)]
pub struct Unpacked {
    root: PathBuf,
    libraries: PathBuf,
    linker: PathBuf,
}

/// Which places to look in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Source {
    /// The three places in order.
    Auto,
    /// Only what rustup has or brings.
    Rustup,
    /// Only Debian's packages; proves the fallback on a machine that does not
    /// need it.
    Debian,
}

/// Find a toolchain; `target_dir` is where Debian's packages would be unpacked.
///
/// # Errors
/// [`ToolchainError`] when no place has the standard library; it names the
/// last thing that failed.
pub fn find(target_dir: &Path, source: Source) -> Result<Toolchain, ToolchainError> {
    if source != Source::Debian {
        if has_std()? {
            eprintln!("toolchain: the standard library for {TARGET} is installed");
            return Ok(Toolchain::Rustup);
        }
        if rustup_adds_target() && has_std()? {
            eprintln!("toolchain: rustup brought the standard library for {TARGET}");
            return Ok(Toolchain::Rustup);
        }
        if source == Source::Rustup {
            return Err(ToolchainError::NotInRustup);
        }
    }
    let unpacked = debian(&target_dir.join("wasm-toolchain"))?;
    eprintln!("toolchain: Debian's compiler, unpacked in {}", unpacked.root.display());
    Ok(Toolchain::Debian(unpacked))
}

impl Toolchain {
    /// Set up a `cargo build` for [`TARGET`]. The library path is for this one
    /// command; other programs break on it.
    pub fn prepare(&self, cargo: &mut Command) {
        let Self::Debian(unpacked) = self else { return };
        cargo
            .env("LD_LIBRARY_PATH", &unpacked.libraries)
            .env("RUSTC", unpacked.root.join("usr/bin/rustc"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &unpacked.linker)
            .arg("-Zbuild-std=std,panic_abort");
    }
}

/// Why there is no toolchain for plugins.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// A program could not be started.
    #[error("cannot run `{program}`; is it installed?")]
    Start {
        /// Its name.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{program}` failed: {message}")]
    Failed {
        /// Its name and what it was asked.
        program: String,
        /// What it wrote.
        message: String,
    },
    /// A folder could not be read or made.
    #[error("cannot use the folder {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something that should have been there is not.
    #[error("{what} is missing in {}; delete that folder and try again", path.display())]
    Missing {
        /// What.
        what: String,
        /// Where.
        path: PathBuf,
    },
    /// rustup cannot help and nothing else was allowed.
    #[error("rustup has no {TARGET} and cannot download it; try `--std auto`")]
    NotInRustup,
}

/// Seconds that rustup may take; without a server it fails at once.
const RUSTUP_TIME_MAX: &str = "120";

fn has_std() -> Result<bool, ToolchainError> {
    let libdir = rustc(&["--print", "target-libdir", "--target", TARGET])?;
    let Ok(entries) = fs::read_dir(libdir.trim()) else { return Ok(false) };
    Ok(entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    }))
}

/// A failure of rustup is no error: the next place may do.
fn rustup_adds_target() -> bool {
    Command::new("timeout")
        .args([RUSTUP_TIME_MAX, "rustup", "target", "add", TARGET])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn debian(root: &Path) -> Result<Unpacked, ToolchainError> {
    let complete = root.join("complete");
    if !complete.exists() {
        let folder = |source| ToolchainError::Folder { path: root.to_owned(), source };
        if root.exists() {
            fs::remove_dir_all(root).map_err(folder)?;
        }
        fs::create_dir_all(root).map_err(folder)?;
        let packages = debian_packages()?;
        eprintln!("toolchain: downloading {}", packages.join(", "));
        download_and_unpack(root, &packages)?;
        fs::write(&complete, packages.join("\n")).map_err(folder)?;
    }
    Ok(Unpacked {
        libraries: only_entry(&root.join("usr/lib"), "-linux-gnu")?,
        linker: rust_lld()?,
        root: root.to_owned(),
    })
}

/// The compiler, the sources of the standard library, and the libraries that
/// the compiler itself is linked to. Their names carry version numbers that
/// move, so they are read from the dependencies.
fn debian_packages() -> Result<Vec<String>, ToolchainError> {
    let libstd = dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
    let llvm = dependency(&libstd, "libllvm")?;
    let fixed = ["rustc-web", "rust-web-src", "libstd-rust-web-dev"];
    Ok(fixed.into_iter().map(str::to_owned).chain([libstd, llvm]).collect())
}

/// The package with this beginning that `package` depends on.
fn dependency(package: &str, beginning: &str) -> Result<String, ToolchainError> {
    let text = run(Command::new("apt-cache").args(["depends", package]), "apt-cache")?;
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with(beginning))
        .map(str::to_owned)
        .ok_or_else(|| ToolchainError::Failed {
            program: format!("apt-cache depends {package}"),
            message: format!("no dependency {beginning}*; run `apt-get update` first"),
        })
}

fn download_and_unpack(root: &Path, packages: &[String]) -> Result<(), ToolchainError> {
    run(Command::new("apt-get").arg("download").args(packages).current_dir(root), "apt-get")?;
    let folder = |source| ToolchainError::Folder { path: root.to_owned(), source };
    for entry in fs::read_dir(root).map_err(folder)? {
        let archive = entry.map_err(folder)?.path();
        if archive.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg").arg("-x").arg(&archive).arg(root), "dpkg")?;
            fs::remove_file(&archive).map_err(folder)?;
        }
    }
    Ok(())
}

/// The linker of the toolchain in use; Debian's compiler has none for wasm.
fn rust_lld() -> Result<PathBuf, ToolchainError> {
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
    let version = rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let linker = sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
    if linker.exists() {
        Ok(linker)
    } else {
        Err(ToolchainError::Missing { what: "bin/rust-lld".into(), path: sysroot })
    }
}

fn only_entry(folder: &Path, part: &str) -> Result<PathBuf, ToolchainError> {
    let entries = fs::read_dir(folder)
        .map_err(|source| ToolchainError::Folder { path: folder.to_owned(), source })?;
    entries
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().contains(part))
        .map(|entry| entry.path())
        .ok_or_else(|| ToolchainError::Missing { what: format!("*{part}*"), path: folder.into() })
}

fn rustc(arguments: &[&str]) -> Result<String, ToolchainError> {
    run(Command::new("rustc").args(arguments), "rustc")
}

fn run(command: &mut Command, program: &'static str) -> Result<String, ToolchainError> {
    let Output { status, stdout, stderr } =
        command.output().map_err(|source| ToolchainError::Start { program, source })?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&stderr);
    Err(ToolchainError::Failed { program: program.into(), message: message.trim().to_owned() })
}
