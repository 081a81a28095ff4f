//! The boot image for U-Boot: a flattened image tree with kernel, first stage
//! and a device tree for each slot, which holds the slot's command line, so
//! that one image fits into either slot (facts/image-recipe.md §6.2).
//!
//! Each slot's configuration is signed over all that it starts. A loader that
//! was told the key ([`Fit::pack`]) takes no other.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Debian packages by the program that they bring.
pub const PACKAGES: &[(&str, &str)] = &[
    ("/usr/bin/mkimage", "u-boot-tools"),
    ("/usr/bin/fdtput", "device-tree-compiler"),
    ("/usr/bin/openssl", "openssl"),
];

/// Name of the key in trees and of its files.
const KEY: &str = "boot";

/// What the loader starts.
#[derive(Clone, Copy, Debug)]
pub struct Fit<'a> {
    /// The kernel.
    pub kernel: &'a [u8],
    /// The packed first stage.
    pub archive: &'a [u8],
    /// The kernel's description of the board.
    pub device_tree: &'a [u8],
    /// The kernel's command line; the slot is added.
    pub command_line: &'a str,
    /// Where the kernel is put and entered.
    pub load: u32,
}

impl Fit<'_> {
    /// Make it in `folder`, which is emptied, and sign it with the key in
    /// `keys` ([`make_key`]); without, nobody has signed it. The public half is
    /// written into the loader's own tree `control`, as the one that must have
    /// signed. The same bytes each time.
    ///
    /// # Errors
    /// When a file cannot be written, or a tool fails.
    pub fn pack(
        &self,
        folder: &Path,
        keys: Option<&Path>,
        control: Option<&Path>,
    ) -> io::Result<Vec<u8>> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        fs::write(folder.join("kernel"), self.kernel)?;
        fs::write(folder.join("archive"), self.archive)?;
        for slot in ["a", "b"] {
            let path = folder.join(format!("tree-{slot}"));
            fs::write(&path, self.device_tree)?;
            let line = format!("{} evenkeel.slot={slot}", self.command_line);
            put(&path, "s", "/chosen", "bootargs", &line)?;
        }
        fs::write(folder.join("boot.its"), source(self.load, keys.is_some()))?;
        let mut make = Command::new("mkimage");
        make.args(["-f", "boot.its"]);
        if let Some(keys) = keys {
            make.arg("-k").arg(keys.canonicalize()?).arg("-r");
        }
        if let Some(control) = control {
            make.arg("-K").arg(control.canonicalize()?);
        }
        // Its time of making would be another in each build.
        make.arg("boot.itb").current_dir(folder).env("SOURCE_DATE_EPOCH", "0");
        run(&mut make)?;
        fs::read(folder.join("boot.itb"))
    }
}

/// Make the key that signs boot images in `folder`, once: U-Boot has RSA alone.
///
/// # Errors
/// When openssl fails.
pub fn make_key(folder: &Path) -> io::Result<()> {
    let file = |ending: &str| folder.join(format!("{KEY}.{ending}"));
    if file("crt").exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let options = ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"];
    run(Command::new("openssl").args(options).arg("-out").arg(file("key")))?;
    let options = ["req", "-batch", "-new", "-x509", "-subj", "/CN=Evenkeel boot", "-key"];
    run(Command::new("openssl").args(options).arg(file("key")).arg("-out").arg(file("crt")))
}

/// Set a property of the device tree in `path`; the node is made where there is
/// none.
///
/// # Errors
/// When fdtput fails.
pub fn put(path: &Path, kind: &str, node: &str, name: &str, value: &str) -> io::Result<()> {
    run(Command::new("fdtput").args(["-p", "-t", kind]).arg(path).args([node, name, value]))
}

/// An error says what the tool said.
fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} failed: {}", said.trim())))
}

/// What `mkimage` makes the tree from.
fn source(load: u32, signed: bool) -> String {
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
    let signature = match signed {
        true => format!(
            "signature {{ algo = \"sha256,rsa3072\"; key-name-hint = \"{KEY}\"; \
            sign-images = \"kernel\", \"ramdisk\", \"fdt\"; }};"
        ),
        false => String::new(),
    };
    let slot = |letter: &str| {
        format!(
            "conf-{letter} {{ kernel = \"kernel\"; ramdisk = \"archive\"; fdt = \"tree-{letter}\"; \
            {signature} }};"
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
    use std::path::PathBuf;

    fn said(program: &str, arguments: &[&str], folder: &Path) -> String {
        let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A folder with a device tree, and what is packed of it.
    fn folder() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("board.dts"), "/dts-v1/;\n/ { chosen { }; };\n").unwrap();
        said("dtc", &["-q", "-o", "board.dtb", "board.dts"], dir.path());
        let (control, tree) = (dir.path().join("board.dtb"), dir.path().join("board.dtb"));
        let tree = fs::read(tree).unwrap();
        (dir, control, tree)
    }

    #[test]
    fn u_boot_s_own_tool_finds_kernel_and_first_stage_and_both_slots() {
        let (dir, _, device_tree) = folder();
        let fit = Fit {
            kernel: b"kernel",
            archive: b"archive",
            device_tree: &device_tree,
            command_line: "console=ttyO0",
            load: 0x8200_0000,
        };
        let place = dir.path().join("fit");
        let made = fit.pack(&place, None, None).unwrap();
        assert_eq!(made, fit.pack(&place, None, None).unwrap(), "the same bytes");
        let image = place.join("boot.itb");
        let listed = said("dumpimage", &["-l", image.to_str().unwrap()], dir.path());
        for wanted in ["conf-a", "conf-b", "0x82000000", "Hash algo:    sha256"] {
            assert!(listed.contains(wanted), "no {wanted} in:\n{listed}");
        }
        let take = ["-T", "flat_dt", "-p", "3", "-o", "tree", image.to_str().unwrap()];
        said("dumpimage", &take, dir.path());
        let line = said("fdtget", &["-t", "s", "tree", "/chosen", "bootargs"], dir.path());
        assert_eq!(line.trim(), "console=ttyO0 evenkeel.slot=b");
    }

    #[test]
    fn a_loader_is_told_the_key_that_must_have_signed() {
        let (dir, control, device_tree) = folder();
        let keys = dir.path().join("keys");
        make_key(&keys).unwrap();
        let key = fs::read(keys.join("boot.key")).unwrap();
        make_key(&keys).unwrap();
        assert_eq!(fs::read(keys.join("boot.key")).unwrap(), key, "made once");
        let fit = Fit {
            kernel: b"kernel",
            archive: b"archive",
            device_tree: &device_tree,
            command_line: "",
            load: 0,
        };
        let place = dir.path().join("fit");
        let made = fit.pack(&place, Some(&keys), Some(&control)).unwrap();
        assert_eq!(made, fit.pack(&place, Some(&keys), None).unwrap(), "the same bytes");
        let node = ["board.dtb", "/signature/key-boot"];
        let required = ["-t", "s", node[0], node[1], "required"];
        assert_eq!(said("fdtget", &required, dir.path()).trim(), "conf");
        let bits = ["-t", "i", node[0], node[1], "rsa,num-bits"];
        assert_eq!(said("fdtget", &bits, dir.path()).trim(), "3072");
        let missing = fit.pack(&place, Some(&dir.path().join("nowhere")), None);
        assert!(missing.is_err(), "{missing:?}");
    }
}
