//! Puts the image together: boot image, root, header, disk, bundle.

use super::kernel::Kernel;
use super::keys::{Keys, Text};
use super::programs::Programs;
use super::{Inside, fresh, loader, sbom};
use crate::run::{AnyError, command, exec};
use evenkeel_e2e::fit::Fit;
use evenkeel_e2e::machine::{CONTROL, LOADER};
use evenkeel_e2e::uefi;
use evenkeel_image::archive::{self, Entry};
use evenkeel_image::board::{self, Board};
use evenkeel_image::disk;
use evenkeel_image::release::{EPOCH, PRODUCT, Parts, Release};
use evenkeel_loader::boot::Boot;
use evenkeel_signing::slot::{Header, Record, Slot, header::HEADER_LEN};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

const DISK_LEN: u64 = 512 << 20;
/// The data partition as it leaves the factory, in the folder of an image.
const DATA: &str = "data.ext4";
/// The bundle to try an update with; made in workshops only.
pub const NEXT: &str = "next.evkf";

/// What was made, for people.
#[derive(Debug)]
pub struct Made {
    sizes: Vec<(&'static str, u64)>,
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (what, bytes) in &self.sizes {
            writeln!(f, "   {what:<22}{bytes:>12} bytes")?;
        }
        Ok(())
    }
}

/// Make everything in `out`: `disk.img`, `evenkeel-<version>-<board>.evkf`.
pub fn assemble(
    root: &Path,
    out: &Path,
    board: &Board,
    keys: &Keys,
    inside: &Inside,
) -> Result<Made, AnyError> {
    let Inside { programs, kernel, source, .. } = inside;
    let key = &keys.firmware;
    let version = env!("CARGO_PKG_VERSION");
    let archive = first_stage(out, board, programs, kernel, keys)?;
    let boot = boot_image(out, board, keys, inside, &archive)?;
    let data = data(root, out, board)?;
    let parts = Parts { boot, root: root_image(out, board, inside, keys)?, source: source.clone() };
    let first = parts.release(&board.name, version, EPOCH, key)?;
    let bundle = out.join(bundle_name(board));
    fs::write(&bundle, &first.bundle)?;
    if keys.are_for_development() {
        // The same under a later version: to try an update with.
        let next = parts.release(&board.name, &next(version)?, EPOCH, key)?;
        fs::write(out.join(NEXT), next.bundle)?;
    }
    fs::write(out.join(evenkeel_e2e::machine::KEY), key.public().to_text())?;
    fs::copy(super::folder(root, &board.name).join(board::FILE), out.join(board::FILE))?;
    write_disk(out, &parts.boot, &first, &data)?;
    let len = |path: &Path| fs::metadata(path).map(|metadata| metadata.len());
    Ok(Made {
        sizes: vec![
            ("init", len(&programs.init)?),
            ("guard", len(&programs.guard)?),
            ("daemon", len(&programs.daemon)?),
            ("network", len(&programs.network)?),
            ("kernel", kernel.image.len() as u64),
            ("first stage, packed", archive.len() as u64),
            ("boot image", parts.boot.len() as u64),
            ("root with hash tree", first.root.len() as u64),
            ("bundle", first.bundle.len() as u64),
        ],
    })
}

/// The bundle's file for `board`, of this version.
pub fn bundle_name(board: &Board) -> String {
    format!("{PRODUCT}-{}-{}.evkf", env!("CARGO_PKG_VERSION"), board.name)
}

/// Kernel and first stage in one piece, as the board's loader takes it.
fn boot_image(
    out: &Path,
    board: &Board,
    keys: &Keys,
    inside: &Inside,
    archive: &[u8],
) -> Result<Vec<u8>, AnyError> {
    let (kernel, command_line) = (&inside.kernel.image, board.kernel.command_line.as_str());
    let Some(settings) = &board.loader else {
        let kernel = &match board.uefi {
            Some(_) => uefi::sign(kernel, keys.uefi()?, out)?,
            None => kernel.clone(),
        };
        return Ok(Boot { kernel, archive, command_line }.pack()?);
    };
    let keys = keys.boot()?;
    let control = out.join(CONTROL);
    if let Some(loader) = &inside.loader {
        fs::copy(&loader.program, out.join(LOADER))?;
        loader::control(&control, &loader.tree)?;
    }
    let tree = inside.loader.as_ref().map(|loader| &loader.tree);
    let tree = inside.kernel.device_tree.as_ref().or(tree);
    let device_tree = tree.ok_or("nobody knows the board's device tree")?;
    let fit = Fit { kernel, archive, device_tree, command_line, load: settings.load };
    let told = inside.loader.is_some().then_some(control.as_path());
    Ok(fit.pack(&out.join("fit"), Some(keys), told)?)
}

/// The version after `version`, as one that was never released.
fn next(version: &str) -> Result<String, AnyError> {
    let (begin, patch) = version.rsplit_once('.').ok_or("a version has three numbers")?;
    Ok(format!("{begin}.{}-next", patch.parse::<u32>()? + 1))
}

/// The archive that the kernel starts from, packed.
fn first_stage(
    out: &Path,
    board: &Board,
    programs: &Programs,
    kernel: &Kernel,
    keys: &Keys,
) -> Result<Vec<u8>, AnyError> {
    let mut entries = vec![
        ("dev".to_owned(), Entry::Folder),
        ("dev/console".to_owned(), Entry::Device(5, 1)),
        ("init".to_owned(), Entry::Program(fs::read(&programs.init)?)),
        ("modules".to_owned(), Entry::Folder),
        ("proc".to_owned(), Entry::Folder),
        ("root".to_owned(), Entry::Folder),
        ("sys".to_owned(), Entry::Folder),
        ("trust".to_owned(), Entry::Folder),
    ];
    let mut last = None;
    for (name, text) in keys.identity(board) {
        let folder = name.split_once('/').map(|(folder, _)| folder.to_owned());
        if folder != last {
            entries.extend(folder.iter().map(|name| (format!("trust/{name}"), Entry::Folder)));
        }
        last = folder;
        entries.push((format!("trust/{name}"), Entry::File(text)));
    }
    let order: String = kernel.modules.iter().map(|(name, _)| format!("{name}\n")).collect();
    entries.push(("modules/order".to_owned(), Entry::File(order.into_bytes())));
    for (name, content) in &kernel.modules {
        entries.push((format!("modules/{name}"), Entry::File(content.clone())));
    }
    let entries: Vec<(&str, Entry)> =
        entries.iter().map(|(name, entry)| (name.as_str(), entry.clone())).collect();
    let path = out.join("first-stage.cpio");
    fs::write(&path, archive::pack(&entries)?)?;
    let packed = out.join("first-stage.cpio.zst");
    let options = ["-19", "--quiet", "--force", "--single-thread", "-o"];
    exec(command("zstd", &options).arg(&packed).arg(&path))?;
    Ok(fs::read(packed)?)
}

/// The root: programs, plugins, keys, empty folders to mount on.
fn root_image(
    out: &Path,
    board: &Board,
    inside: &Inside,
    keys: &Keys,
) -> Result<Vec<u8>, AnyError> {
    let Inside { programs, plugins, sbom, .. } = inside;
    let root = fresh(&out.join("root"))?;
    for folder in ["data", "dev", "etc/evenkeel/trust", "proc", "run", "sbin", "sys", "tmp"] {
        fs::create_dir_all(root.join(folder))?;
    }
    let shelf = root.join("usr/lib/evenkeel/plugins");
    fs::create_dir_all(&shelf)?;
    for (from, name) in [
        (&programs.init, "init"),
        (&programs.guard, "evenkeel-guard"),
        (&programs.daemon, "evenkeeld"),
        (&programs.network, "evenkeel-network"),
    ] {
        copy(from, &root.join("sbin").join(name), 0o755)?;
    }
    std::os::unix::fs::symlink("init", root.join("sbin/evenkeel-keeper"))?;
    // Servers for names are known when the network is.
    std::os::unix::fs::symlink("/run/network/resolv.conf", root.join("etc/resolv.conf"))?;
    write_all(&root.join("etc/evenkeel/firmware"), &keys.identity(board))?;
    write_all(&root.join("etc/evenkeel/trust"), &keys.trust())?;
    for plugin in plugins {
        copy(plugin, &shelf.join(plugin.file_name().unwrap_or_default()), 0o644)?;
    }
    fs::write(root.join("etc/evenkeel/ports"), board.ports())?;
    fs::write(root.join("usr/lib/evenkeel").join(sbom::FILE), sbom)?;
    // The way back to how it left the factory; its zeros take no room.
    fs::hard_link(out.join(DATA), root.join("usr/lib/evenkeel/factory.ext4"))?;
    let users = "root:x:0:0::/:/\nguard:x:1000:1000::/:/\ndaemon:x:1001:1000::/:/\n\
        network:x:1002:1000::/:/\n";
    fs::write(root.join("etc/passwd"), users)?;
    fs::write(root.join("etc/group"), "root:x:0:\nguard:x:1000:\n")?;
    let image = out.join("root.sqfs");
    evenkeel_e2e::machine::squash(&root, &image)?;
    Ok(fs::read(image)?)
}

/// The data partition as it leaves the factory: settings of the demonstration
/// plant at the board's ports, nothing else.
fn data(root: &Path, out: &Path, board: &Board) -> Result<Vec<u8>, AnyError> {
    let data = fresh(&out.join("data"))?;
    fs::create_dir_all(data.join("guard/state"))?;
    fs::create_dir_all(data.join("daemon/store"))?;
    for (name, place) in
        [("guard.toml", "guard/guard.toml"), ("evenkeeld.toml", "daemon/evenkeeld.toml")]
    {
        let text = fs::read_to_string(root.join("image/plant").join(name))?;
        let text = text.replace("/dev/BUS", &format!("/dev/{}", board.bus));
        fs::write(data.join(place), text.replace("/dev/UPS", &format!("/dev/{}", board.ups)))?;
    }
    // This machine's own guard: the board's may be for another processor.
    let guard = crate::run::programs(root).join("evenkeel-guard");
    exec(Command::new(guard).arg("seal").arg(data.join("guard/guard.toml")))?;
    let partition = disk::layout(DISK_LEN)?.pop().ok_or("no data partition")?;
    let image = out.join(DATA);
    evenkeel_e2e::machine::format_data(&data, &image, partition.len)?;
    Ok(fs::read(image)?)
}

fn write_disk(out: &Path, boot: &[u8], release: &Release, data: &[u8]) -> Result<(), AnyError> {
    let Release { root, header, .. } = release;
    let partitions = disk::layout(DISK_LEN)?;
    let file = File::create(out.join("disk.img"))?;
    file.set_len(DISK_LEN)?;
    for (at, bytes) in disk::table(DISK_LEN, &partitions) {
        file.write_all_at(&bytes, at)?;
    }
    let record = Record::factory(Slot::A, Header::tag(header), EPOCH).encode();
    for partition in &partitions {
        let place: &[(u64, &[u8])] = match partition.name {
            "boot_a" => &[(0, boot), (partition.len - HEADER_LEN as u64, header)],
            "root_a" => &[(0, root)],
            "state" => &[(0, &record)],
            "data" => &[(0, data)],
            _ => &[],
        };
        for (at, bytes) in place {
            if at + bytes.len() as u64 > partition.len {
                return Err(format!("partition {} is too small", partition.name).into());
            }
            file.write_all_at(bytes, partition.start + at)?;
        }
    }
    Ok(())
}

fn write_all(folder: &Path, files: &[Text]) -> Result<(), AnyError> {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), AnyError> {
    fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}
