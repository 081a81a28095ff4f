//! The distribution's kernel, for development and CI: fetched as a package,
//! unpacked, never installed; with the modules that the first stage loads, in
//! the order in which they need each other (facts/image-recipe.md §2.1).

use crate::debian::{Package, Source};
use crate::run::{AnyError, exec};
use evenkeel_image::board::Board;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A kernel with its modules.
pub struct Kernel {
    /// Where it comes from.
    pub package: Package,
    /// The kernel.
    pub image: Vec<u8>,
    /// File names and content, in the order in which they are loaded.
    pub modules: Vec<(String, Vec<u8>)>,
    /// The device tree of a board that does not describe itself.
    pub device_tree: Option<Vec<u8>>,
}

/// The distribution's kernel for `board`.
pub fn stock(root: &Path, board: &Board) -> Result<Kernel, AnyError> {
    let folder = root.join("target/image/kernel");
    fs::create_dir_all(&folder)?;
    let source = Source::new(&folder, &board.kernel.architecture);
    let package = source.dependency(&board.kernel.package, "linux-image-")?;
    let unpacked = folder.join(&package);
    source.unpack(std::slice::from_ref(&package), &unpacked)?;
    let release = package.trim_start_matches("linux-image-").to_owned();
    let image = fs::read(unpacked.join("boot").join(format!("vmlinuz-{release}")))?;
    exec(Command::new("/sbin/depmod").arg("-b").arg(&unpacked).arg(&release))?;
    let mut modules: Vec<(String, Vec<u8>)> = Vec::new();
    for module in &board.kernel.modules {
        for path in needed(&unpacked, &release, module)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !modules.iter().any(|(known, _)| *known == name) {
                modules.push((name, fs::read(path)?));
            }
        }
    }
    println!("   {release}, {} modules", modules.len());
    let tree = |name| fs::read(unpacked.join("usr/lib").join(&package).join(name));
    let device_tree = board.loader.as_ref().and_then(|loader| loader.device_tree.as_ref());
    let device_tree = device_tree.map(tree).transpose()?;
    Ok(Kernel { package: Package::unpacked(&unpacked, &package)?, image, modules, device_tree })
}

/// The files of a module and of what it needs, in the order of loading. One
/// that is built into the kernel has none.
fn needed(unpacked: &Path, release: &str, module: &str) -> Result<Vec<PathBuf>, AnyError> {
    let output = Command::new("/sbin/modprobe")
        .arg("-d")
        .arg(unpacked)
        .args(["-S", release, "--show-depends", module])
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the kernel {release} has no module {module}: {said}").into());
    }
    let text = String::from_utf8(output.stdout)?;
    let paths = text.lines().filter_map(|line| line.strip_prefix("insmod "));
    Ok(paths.map(|path| PathBuf::from(path.trim())).collect())
}
