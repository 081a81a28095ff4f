//! The distribution's kernel, for development and CI: fetched as a package,
//! unpacked, never installed; with the modules that the first stage loads, in
//! the order in which they need each other (facts/image-recipe.md §2.1).

use crate::run::{AnyError, command, exec};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package whose dependency is the newest kernel.
const PACKAGE: &str = "linux-image-cloud-amd64";
/// What the first stage and the root need.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_rng",
    "dm-mod",
    "dm-verity",
    "squashfs",
    "ext4",
    "softdog",
];

/// A kernel with its modules.
pub struct Kernel {
    /// The kernel.
    pub image: Vec<u8>,
    /// File names and content, in the order in which they are loaded.
    pub modules: Vec<(String, Vec<u8>)>,
}

/// The distribution's kernel.
pub fn stock(root: &Path) -> Result<Kernel, AnyError> {
    let folder = root.join("target/image/kernel");
    fs::create_dir_all(&folder)?;
    let package = match newest()? {
        Some(package) => package,
        None => {
            crate::debian::update()?;
            newest()?.ok_or(format!("apt knows no {PACKAGE}"))?
        }
    };
    let unpacked = folder.join(&package);
    if !unpacked.exists() {
        println!("   fetching {package}");
        let mut fetch = command("apt-get", &["download", "--quiet", &package]);
        exec(fetch.current_dir(&folder).stderr(Stdio::null()))?;
        let file = only(&folder, |name| name.starts_with(&package) && name.ends_with(".deb"))?;
        let partial = folder.join("unpacking");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        exec(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&partial))?;
        fs::remove_file(file)?;
        fs::rename(partial, &unpacked)?;
    }
    let release = package.trim_start_matches("linux-image-").to_owned();
    let image = fs::read(unpacked.join("boot").join(format!("vmlinuz-{release}")))?;
    exec(Command::new("/sbin/depmod").arg("-b").arg(&unpacked).arg(&release))?;
    let mut modules: Vec<(String, Vec<u8>)> = Vec::new();
    for module in MODULES {
        for path in needed(&unpacked, &release, module)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !modules.iter().any(|(known, _)| *known == name) {
                modules.push((name, fs::read(path)?));
            }
        }
    }
    println!("   {release}, {} modules", modules.len());
    Ok(Kernel { image, modules })
}

/// The name of the package with the newest kernel, if apt's lists have it.
fn newest() -> Result<Option<String>, AnyError> {
    let output = Command::new("apt-cache").args(["depends", PACKAGE]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let found = text.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    Ok(found.map(|release| format!("linux-image-{release}")))
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

fn only(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf, AnyError> {
    let entries = fs::read_dir(folder)?.filter_map(Result::ok);
    let mut found = entries.filter(|entry| wanted(&entry.file_name().to_string_lossy()));
    let entry = found.next().ok_or("apt-get fetched no package")?;
    Ok(entry.path())
}
