//! The compiler for boards with another processor than this machine's
//! (facts/image-recipe.md §8, facts/wasm-toolchain.md).
//!
//! Debian's Rust of the newest version is unpacked in a folder and builds the
//! standard library from its sources, which come with it; Debian's C compiler
//! links, against musl of the board's processor, unpacked as well. One way
//! everywhere, whatever rustup can download, so that everybody has the same
//! bytes.

use crate::debian::{self, Package, Source};
use crate::run::AnyError;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a processor's programs are built with.
struct Target {
    /// As the Rust compiler calls it.
    triple: &'static str,
    /// As Debian calls it.
    architecture: &'static str,
    /// Beginning of the C compiler's programs, and its package.
    gcc: &'static str,
    gcc_package: &'static str,
    /// Folder of musl in its package.
    musl: &'static str,
}

const TARGETS: &[Target] = &[Target {
    triple: "armv7-unknown-linux-musleabihf",
    architecture: "armhf",
    gcc: "arm-linux-gnueabihf",
    gcc_package: "gcc-arm-linux-gnueabihf",
    musl: "arm-linux-musleabihf",
}];

/// Debian's Rust, with the sources of its library.
pub struct Rust {
    place: PathBuf,
}

impl Rust {
    /// Unpacked in `folder`.
    pub fn find(folder: &Path) -> Result<Self, AnyError> {
        fs::create_dir_all(folder)?;
        // As the compiler finds itself, and so names its sources.
        Ok(Self { place: rust(&folder.canonicalize()?)? })
    }

    /// Where the compiler and the sources of the standard library are.
    pub fn place(&self) -> &Path {
        &self.place
    }

    fn libraries(&self) -> PathBuf {
        self.place.join("usr/lib/x86_64-linux-gnu")
    }

    /// Have `cargo` compile with it. The library path is for this one command;
    /// other programs break on it.
    pub fn prepare(&self, cargo: &mut Command) {
        cargo
            .env("LD_LIBRARY_PATH", self.libraries())
            .env("RUSTC", self.place.join("usr/bin/rustc"))
            .env("RUSTC_BOOTSTRAP", "1");
    }
}

/// A compiler for another processor.
pub struct Cross {
    target: &'static Target,
    rust: Rust,
    musl: PathBuf,
    gcc: PathBuf,
}

impl Cross {
    /// For `triple`, with everything it needs in `folder`; `None` when this
    /// machine's own compiler does.
    pub fn find(folder: &Path, triple: &str) -> Result<Option<Self>, AnyError> {
        let Some(target) = TARGETS.iter().find(|target| target.triple == triple) else {
            return Ok(None);
        };
        let gcc = format!("/usr/bin/{}-gcc", target.gcc);
        debian::install(&[(&gcc, target.gcc_package)], &[])?;
        let rust = Rust::find(folder)?;
        let (musl, gcc) = musl(&folder.canonicalize()?, target)?;
        Ok(Some(Self { target, rust, musl, gcc }))
    }

    /// What the compiler says of itself.
    pub fn rust_version(&self) -> Result<String, AnyError> {
        let mut rustc = Command::new(self.rust.place.join("usr/bin/rustc"));
        let output =
            rustc.arg("--version").env("LD_LIBRARY_PATH", self.rust.libraries()).output()?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Beginning of the names of the C compiler's programs, without a hyphen.
    pub const fn gcc(&self) -> &'static str {
        self.target.gcc
    }

    /// The C library that programs are linked to.
    pub fn libc(&self) -> Result<Package, AnyError> {
        Package::unpacked(&self.musl, "musl-dev")
    }

    /// Where the compiler and the sources of the standard library are.
    pub fn place(&self) -> &Path {
        self.rust.place()
    }

    /// Set up a `cargo build` for the target.
    pub fn prepare(&self, cargo: &mut Command) {
        let Target { triple, gcc, .. } = self.target;
        let (lower, upper) = (triple.replace('-', "_"), triple.to_uppercase().replace('-', "_"));
        self.rust.prepare(cargo);
        cargo
            .env(format!("CARGO_TARGET_{upper}_LINKER"), &self.gcc)
            .env(format!("CC_{lower}"), &self.gcc)
            .env(format!("AR_{lower}"), format!("{gcc}-ar"))
            // Times of 64 bits: the clock goes on after January 2038.
            .env("RUST_LIBC_UNSTABLE_MUSL_V1_2_3", "1")
            .arg("-Zbuild-std=std,panic_abort");
    }
}

/// Compiler, sources of the standard library, and the libraries that the
/// compiler is linked to. Their names carry numbers that move, so they are read
/// from the dependencies.
fn rust(folder: &Path) -> Result<PathBuf, AnyError> {
    let source = Source::new(folder, debian::HERE);
    let library = source.dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
    let llvm = source.dependency(&library, "libllvm")?;
    let fixed = ["rustc-web", "rust-web-src", "libstd-rust-web-dev"].map(str::to_owned);
    let unpacked = folder.join(&library);
    source.unpack(&[&fixed[..], &[library, llvm]].concat(), &unpacked)?;
    Ok(unpacked)
}

/// Where musl is, and a program that has the C compiler use it in the place of
/// its own library.
fn musl(folder: &Path, target: &Target) -> Result<(PathBuf, PathBuf), AnyError> {
    let unpacked = folder.join(target.musl);
    let source = Source::new(folder, target.architecture);
    // Named by its one dependency, so that lists are fetched when they are not there.
    source.dependency("musl-dev", "musl")?;
    source.unpack(&["musl-dev".to_owned()], &unpacked)?;
    let library = unpacked.join("usr/lib").join(target.musl);
    let include = unpacked.join("usr/include").join(target.musl);
    let specs = fs::read_to_string(library.join("musl-gcc.specs"))?
        .replace(&format!("/usr/lib/{}", target.musl), &library.display().to_string())
        .replace(&format!("/usr/include/{}", target.musl), &include.display().to_string());
    let ours = folder.join(format!("{}.specs", target.musl));
    fs::write(&ours, specs)?;
    // The standard library asks for this name; nothing unwinds, panics abort.
    let gcc = format!("{}-gcc", target.gcc);
    let unwinder = Command::new(&gcc).arg("-print-file-name=libgcc_eh.a").output()?;
    let unwinder = PathBuf::from(String::from_utf8(unwinder.stdout)?.trim());
    fs::copy(&unwinder, library.join("libunwind.a"))?;
    let program = folder.join(format!("{}-gcc", target.musl));
    let (specs, library) = (ours.display(), library.display());
    fs::write(&program, format!("#!/bin/sh\nexec {gcc} -specs={specs} -L{library} \"$@\"\n"))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok((unpacked, program))
}
