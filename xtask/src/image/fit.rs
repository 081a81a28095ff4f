//! The boot image for U-Boot: a flattened image tree with kernel, first stage
//! and a device tree for each slot, which holds the slot's command line, so
//! that one image fits into either slot (facts/image-recipe.md §6.2).
//!
//! The tree has a hash of each part and no signature of its own: the link
//! between U-Boot and the boot image is the board's maker's to close.

use crate::run::{AnyError, command, exec};
use evenkeel_image::board::Board;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// Debian packages by the program that they bring.
pub const PACKAGES: &[(&str, &str)] =
    &[("/usr/bin/mkimage", "u-boot-tools"), ("/usr/bin/fdtput", "device-tree-compiler")];

/// What the loader starts.
pub struct Parts<'a> {
    /// The kernel.
    pub kernel: &'a [u8],
    /// The packed first stage.
    pub archive: &'a [u8],
    /// The kernel's description of the board.
    pub device_tree: &'a [u8],
}

/// Make it in `out`.
pub fn pack(out: &Path, board: &Board, load: u32, parts: &Parts<'_>) -> Result<Vec<u8>, AnyError> {
    let folder = super::fresh(&out.join("fit"))?;
    fs::write(folder.join("kernel"), parts.kernel)?;
    fs::write(folder.join("archive"), parts.archive)?;
    for slot in ["a", "b"] {
        let path = folder.join(format!("tree-{slot}"));
        fs::write(&path, parts.device_tree)?;
        let line = format!("{} evenkeel.slot={slot}", board.kernel.command_line);
        let options = ["-t", "s", "-p"];
        exec(command("fdtput", &options).arg(&path).args(["/chosen", "bootargs", &line]))?;
    }
    fs::write(folder.join("boot.its"), source(load))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(program: &str, arguments: &[&str], folder: &Path) -> String {
        let output = command(program, arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn u_boot_s_own_tool_finds_kernel_and_first_stage_and_both_slots() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("board.dts"), "/dts-v1/;\n/ { chosen { }; };\n").unwrap();
        said("dtc", &["-q", "-o", "board.dtb", "board.dts"], dir.path());
        let device_tree = fs::read(dir.path().join("board.dtb")).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let board = crate::image::board(root, "beaglebone-black").unwrap();
        let load = board.loader.as_ref().unwrap().load;
        let parts = Parts { kernel: b"kernel", archive: b"archive", device_tree: &device_tree };
        let made = pack(dir.path(), &board, load, &parts).unwrap();
        assert_eq!(made, pack(dir.path(), &board, load, &parts).unwrap(), "the same bytes");
        let image = dir.path().join("fit/boot.itb");
        let listed = said("dumpimage", &["-l", image.to_str().unwrap()], dir.path());
        for wanted in ["conf-a", "conf-b", "0x82000000", "Hash algo:    sha256"] {
            assert!(listed.contains(wanted), "no {wanted} in:\n{listed}");
        }
        let take = ["-T", "flat_dt", "-p", "3", "-o", "tree", image.to_str().unwrap()];
        said("dumpimage", &take, dir.path());
        let line = said("fdtget", &["-t", "s", "tree", "/chosen", "bootargs"], dir.path());
        assert!(line.trim().ends_with("evenkeel.slot=b") && line.contains("ttyO0"), "{line}");
    }
}
