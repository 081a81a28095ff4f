//! The boot image for U-Boot: a flattened image tree with kernel, first stage
//! and a device tree for each slot, which holds the slot's command line, so
//! that one image fits into either slot (facts/image-recipe.md §6.2).
//!
//! The tree has a hash of each part and no signature of its own: the link
//! between U-Boot and the boot image is the board's maker's to close.

use super::kernel::Kernel;
use crate::run::{AnyError, command, exec};
use evenkeel_image::board::{Board, Loader};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// Debian packages by the program that they bring.
pub const PACKAGES: &[(&str, &str)] =
    &[("/usr/bin/mkimage", "u-boot-tools"), ("/usr/bin/fdtput", "device-tree-compiler")];

/// Make it in `out`, from the first stage's packed `archive`.
pub fn pack(
    out: &Path,
    board: &Board,
    loader: &Loader,
    kernel: &Kernel,
    archive: &[u8],
) -> Result<Vec<u8>, AnyError> {
    let tree = kernel.device_tree.as_ref().ok_or("a board with a loader has a device tree")?;
    let folder = super::fresh(&out.join("fit"))?;
    fs::write(folder.join("kernel"), &kernel.image)?;
    fs::write(folder.join("archive"), archive)?;
    for slot in ["a", "b"] {
        let path = folder.join(format!("tree-{slot}"));
        fs::write(&path, tree)?;
        let line = format!("{} evenkeel.slot={slot}", board.kernel.command_line);
        let options = ["-t", "s", "-p"];
        exec(command("fdtput", &options).arg(&path).args(["/chosen", "bootargs", &line]))?;
    }
    fs::write(folder.join("boot.its"), source(loader.load))?;
    let mut make = command("mkimage", &["-f", "boot.its", "boot.itb"]);
    // Its time of making would be another in each build.
    make.current_dir(&folder).env("SOURCE_DATE_EPOCH", "0").stdout(Stdio::null());
    exec(&mut make)?;
    Ok(fs::read(folder.join("boot.itb"))?)
}

/// What `mkimage` makes the tree from.
fn source(load: u32) -> String {
    let mut images = String::new();
    let mut part = |name: &str, kind: &str, more: &str| {
        let file = name;
        // Writing into a text cannot fail.
        let _ = writeln!(
            images,
            "{name} {{ data = /incbin/(\"{file}\"); type = \"{kind}\"; arch = \"arm\"; \
            compression = \"none\"; {more} hash {{ algo = \"sha256\"; }}; }};"
        );
    };
    let at = format!("os = \"linux\"; load = <{load:#x}>; entry = <{load:#x}>;");
    part("kernel", "kernel", &at);
    part("archive", "ramdisk", "os = \"linux\";");
    part("tree-a", "flat_dt", "");
    part("tree-b", "flat_dt", "");
    let slot = |letter: &str| {
        format!(
            "conf-{letter} {{ kernel = \"kernel\"; ramdisk = \"archive\"; fdt = \"tree-{letter}\"; }};"
        )
    };
    format!(
        "/dts-v1/;\n/ {{ description = \"Evenkeel\"; #address-cells = <1>;\nimages {{\n{images}}};\n\
        configurations {{ default = \"conf-a\";\n{}\n{}\n}};\n}};\n",
        slot("a"),
        slot("b")
    )
}
