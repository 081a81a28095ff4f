//! A kernel of our own: Debian's sources of the kernel, with the options of
//! `image/kernel/common.config` and the board's `kernel.config`, all drivers
//! built in (facts/image-recipe.md §2.2). Kept by what it was made from.

use super::cross::Cross;
use super::kernel::Kernel;
use super::options;
use crate::debian::{self, Source};
use crate::run::{AnyError, command, exec, quiet};
use evenkeel_image::board::{Board, KERNEL_CONFIG};
use evenkeel_signing::Digest;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a kernel is built with, by the program or file that it brings.
pub const PACKAGES: &[(&str, &str)] = &[
    ("/usr/bin/bc", "bc"),
    ("/usr/bin/bison", "bison"),
    ("/usr/bin/flex", "flex"),
    ("/usr/bin/make", "make"),
    ("/usr/bin/xz", "xz-utils"),
    ("/usr/include/libelf.h", "libelf-dev"),
    ("/usr/include/openssl/evp.h", "libssl-dev"),
];

/// How the kernel calls a processor, and what it builds for one.
struct Processor {
    /// As Debian calls it.
    debian: &'static str,
    linux: &'static str,
    image: &'static str,
}

const PROCESSORS: &[Processor] = &[
    Processor { debian: "armhf", linux: "arm", image: "zImage" },
    Processor { debian: "amd64", linux: "x86", image: "bzImage" },
];

/// The own kernel for `board`.
pub fn make(root: &Path, board: &Board, cross: Option<&Cross>) -> Result<Kernel, AnyError> {
    let theirs = super::folder(root, &board.name).join(KERNEL_CONFIG);
    if !theirs.exists() {
        let text = format!("{} has no {KERNEL_CONFIG}: take the stock kernel", board.name);
        return Err(text.into());
    }
    let processor = PROCESSORS.iter().find(|known| known.debian == board.kernel.architecture);
    let processor = processor.ok_or("the board's processor has no row in own_kernel.rs")?;
    let place = root.join("target/image/kernel");
    fs::create_dir_all(&place)?;
    let (package, sources) = sources(&place)?;
    let common = fs::read_to_string(root.join("image/kernel/common.config"))?;
    let wanted = common + &fs::read_to_string(theirs)?;
    let gcc = cross.map_or_else(String::new, |cross| format!("{}-", cross.gcc()));
    let compiler = Command::new(format!("{gcc}gcc")).arg("--version").output()?.stdout;
    let inputs = [package.version.as_bytes(), processor.linux.as_bytes(), wanted.as_bytes()];
    let name = Digest::of(&[&inputs.join(&0), &compiler[..]].join(&0)).to_string();
    let made = place.join(format!("own-{}-{}", board.name, &name[..16]));
    let image = made.join("arch").join(processor.linux).join("boot").join(processor.image);
    if !image.exists() {
        build(&sources, &made, processor, &gcc, &wanted)?;
    }
    println!("   {} {}, all drivers built in", package.name, package.version);
    Ok(Kernel { package, image: fs::read(image)?, modules: Vec::new(), device_tree: None })
}

/// The newest sources that the distribution has, unpacked in `place` once.
fn sources(place: &Path) -> Result<(debian::Package, PathBuf), AnyError> {
    let source = Source::new(place, debian::HERE);
    let name = source.dependency("linux-source", "linux-source-")?;
    let folder = place.join(&name);
    source.unpack(std::slice::from_ref(&name), &folder)?;
    let unpacked = folder.join("sources");
    if !unpacked.exists() {
        let partial = super::fresh(&folder.join("partial"))?;
        let archive = folder.join("usr/src").join(format!("{name}.tar.xz"));
        let mut tar = command("tar", &["--strip-components=1", "--extract", "--file"]);
        exec(tar.arg(archive).arg("--directory").arg(&partial))?;
        fs::rename(partial, &unpacked)?;
    }
    Ok((debian::Package::unpacked(&folder, &name)?, unpacked.canonicalize()?))
}

/// Build it in `made`. What was begun and cut off is begun again.
fn build(
    sources: &Path,
    made: &Path,
    processor: &Processor,
    gcc: &str,
    wanted: &str,
) -> Result<(), AnyError> {
    let place = super::fresh(&made.with_extension("partial"))?.canonicalize()?;
    let fragment = place.join("wanted");
    fs::write(&fragment, wanted)?;
    let make = |arguments: &[&str]| {
        let mut make = command("make", &["--silent", "--directory"]);
        make.arg(sources).arg(format!("O={}", place.display())).args(arguments);
        make.arg(format!("ARCH={}", processor.linux)).arg(format!("CROSS_COMPILE={gcc}"));
        // Nothing of this machine in it.
        make.env("KBUILD_BUILD_TIMESTAMP", "@0").env("KBUILD_BUILD_VERSION", "1");
        make.env("KBUILD_BUILD_USER", "evenkeel").env("KBUILD_BUILD_HOST", "evenkeel");
        quiet(make.env("KCONFIG_ALLCONFIG", &fragment))
    };
    make(&["allnoconfig"])?;
    options::check(wanted, &fs::read_to_string(place.join(".config"))?)
        .map_err(|wrong| format!("the kernel's configuration: {wrong}"))?;
    let jobs = std::thread::available_parallelism()?.get().to_string();
    println!("   building it; this takes minutes");
    make(&["--jobs", &jobs, processor.image])?;
    Ok(fs::rename(place, made)?)
}
