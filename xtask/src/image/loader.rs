//! The boot loader of a board whose loader is made here: U-Boot from the
//! distribution's sources with its security fixes, with the options and the
//! script of the board's folder (facts/image-recipe.md §6.2), and the loader's
//! own device tree, which says that nobody is asked anything.

use super::cross::Cross;
use super::options;
use crate::debian::Sources;
use crate::run::{AnyError, command, exec, quiet};
use evenkeel_e2e::fit;
use evenkeel_e2e::machine::TREE;
use evenkeel_image::board::{Board, LOADER_CONFIG, LOADER_ENVIRONMENT};
use evenkeel_signing::Digest;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What U-Boot is built with, by the program or file that it brings.
pub const PACKAGES: &[(&str, &str)] = &[
    ("/usr/bin/bison", "bison"),
    ("/usr/bin/flex", "flex"),
    ("/usr/bin/make", "make"),
    ("/usr/bin/dpkg-source", "dpkg-dev"),
    ("/usr/include/openssl/evp.h", "libssl-dev"),
];

/// A boot loader.
pub struct Loader {
    /// What it is.
    pub name: &'static str,
    /// Of its sources.
    pub version: String,
    /// As it stands in the board's flash.
    pub program: PathBuf,
    /// The board, as the machine describes itself.
    pub tree: Vec<u8>,
}

/// The loader of `board`, when it is made here. Of a slot's epoch, when it has
/// no record, it accepts `least` and above.
pub fn make(
    root: &Path,
    out: &Path,
    board: &Board,
    cross: Option<&Cross>,
    least: u32,
) -> Result<Option<Loader>, AnyError> {
    let defconfig = board.loader.as_ref().and_then(|loader| loader.defconfig.as_deref());
    let Some(defconfig) = defconfig else { return Ok(None) };
    let gcc = cross.ok_or("a loader is made for boards with another processor")?.gcc();
    let sources = Sources::unpacked(&root.join("target/image/u-boot"), "u-boot")?;
    let folder = super::folder(root, &board.name);
    let config = fs::read_to_string(folder.join(LOADER_CONFIG))?;
    let environment = fs::read_to_string(folder.join(LOADER_ENVIRONMENT))?;
    let environment = format!("{environment}least={least:x}\n");
    let compiler = Command::new(format!("{gcc}-gcc")).arg("--version").output()?.stdout;
    let inputs = [
        sources.version.as_bytes(),
        defconfig.as_bytes(),
        config.as_bytes(),
        environment.as_bytes(),
        &compiler,
    ];
    let name = Digest::of(&inputs.join(&0)).to_string();
    let place = out.join("u-boot").join(&name[..16]);
    let program = place.join("u-boot.bin");
    if !program.exists() {
        let asked = Asked { defconfig, config: &config, environment: &environment };
        build(&sources, &place.with_extension("partial"), gcc, &asked)?;
        fs::rename(place.with_extension("partial"), &place)?;
    }
    println!("   U-Boot {}, {} bytes", sources.version, fs::metadata(&program)?.len());
    let (name, version) = ("u-boot", sources.version);
    Ok(Some(Loader { name, version, program, tree: describe(out, board)? }))
}

impl Loader {
    /// The package URL of its sources.
    pub fn purl(&self) -> String {
        let Self { name, version, .. } = self;
        format!("pkg:deb/debian/{name}@{}?arch=source", version.replace(':', "%3A"))
    }
}

/// What a loader is to be.
struct Asked<'a> {
    defconfig: &'a str,
    config: &'a str,
    environment: &'a str,
}

/// Build it in `place`. What was begun and cut off is begun again.
fn build(sources: &Sources, place: &Path, gcc: &str, asked: &Asked<'_>) -> Result<(), AnyError> {
    super::fresh(place)?;
    // As make finds itself.
    let place = &place.canonicalize()?;
    let make = |arguments: &[&str]| {
        let mut make = command("make", &["--silent", "--directory"]);
        make.arg(&sources.folder).arg(format!("O={}", place.display())).args(arguments);
        make.arg(format!("CROSS_COMPILE={gcc}-"));
        // No path of this machine and no time in it.
        make.arg(format!("KCFLAGS=-ffile-prefix-map={}/=", sources.folder.display()));
        quiet(make.env("SOURCE_DATE_EPOCH", "0"))
    };
    make(&[asked.defconfig])?;
    let script = place.join("script.env");
    fs::write(&script, asked.environment)?;
    let file = place.join(".config");
    let wanted = format!("{}CONFIG_DEFAULT_ENV_FILE=\"{}\"\n", asked.config, script.display());
    fs::write(&file, options::merge(&fs::read_to_string(&file)?, &wanted))?;
    make(&["olddefconfig"])?;
    options::check(&wanted, &fs::read_to_string(&file)?)
        .map_err(|wrong| format!("U-Boot's configuration of {}: {wrong}", place.display()))?;
    let jobs = std::thread::available_parallelism()?.get().to_string();
    make(&["--jobs", &jobs, "u-boot.bin"])
}

/// The machine's device tree, as QEMU makes it; the same each time.
fn describe(out: &Path, board: &Board) -> Result<Vec<u8>, AnyError> {
    let machine = board.machine.as_ref().ok_or("no machine describes the board")?;
    let path = out.join("machine.partial");
    let mut qemu = command(&machine.program, &machine.arguments);
    let dump = format!("dumpdtb={},dtb-randomness=off", path.display());
    qemu.args(["-machine", &dump, "-display", "none"]).stdin(Stdio::null());
    exec(qemu.stdout(Stdio::null()).stderr(Stdio::null()))?;
    // QEMU leaves a megabyte of room in it.
    let tree = out.join(TREE);
    exec(command("dtc", &["-q", "-I", "dtb", "-O", "dtb", "-o"]).arg(&tree).arg(&path))?;
    fs::remove_file(path)?;
    Ok(fs::read(tree)?)
}

/// The loader's own device tree in `path`, before it is told a key: after its
/// script it stops, and there is no prompt.
pub fn control(path: &Path, tree: &[u8]) -> Result<(), AnyError> {
    fs::write(path, tree)?;
    fit::put(path, "s", "/config", "bootcmd", "boot")?;
    Ok(fit::put(path, "i", "/config", "bootsecure", "1")?)
}
