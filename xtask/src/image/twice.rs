//! Two builds of one source are the same bytes: the image is built a second
//! time from a copy of the source in another folder, and compared.
//!
//! Fetched packages, keys and the signed plugins are shared: they are inputs.

use super::{How, assemble};
use crate::run::{AnyError, command, exec, sources};
use evenkeel_e2e::machine::{CONTROL, LOADER, PARTITION, VARIABLES};
use evenkeel_image::board::Board;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Bytes that are compared at once.
const CHUNK: u64 = 1 << 20;

/// Build the image of `board` again, and compare it with the one in `out`.
pub fn check(
    root: &Path,
    board: &Board,
    plugins: &[PathBuf],
    how: How<'_>,
    out: &Path,
) -> Result<(), AnyError> {
    let copy = super::fresh(&root.join("target/image/twice"))?;
    copy_sources(root, &copy)?;
    fs::create_dir_all(copy.join("target/image"))?;
    for shared in ["debug", "dev-keys", "image/kernel", "image/toolchain", "image/u-boot"] {
        let target = root.join("target").join(shared);
        symlink(target, copy.join("target").join(shared))?;
    }
    let again = super::build(&copy, board, plugins, how)?;
    let bundle = assemble::bundle_name(board);
    let own = board.loader.as_ref().is_some_and(|loader| loader.defconfig.is_some());
    let loader: &[&str] = if own { &[LOADER, CONTROL] } else { &[] };
    let all = ["sbom.cdx.json", "first-stage.cpio", "root.sqfs", &bundle, "disk.img"];
    let made = board.uefi.is_some() && how.keys.are_for_development();
    let uefi: &[&str] = if made { &[PARTITION, VARIABLES] } else { &[] };
    for name in all.iter().chain(loader).chain(uefi) {
        if let Some(at) = first_difference(&out.join(name), &again.join(name))? {
            return Err(format!("{name} differs from byte {at} on; see {}", again.display()).into());
        }
    }
    println!("   both builds are the same bytes");
    Ok(fs::remove_dir_all(copy)?)
}

/// The files that the version control knows, as they are now.
fn copy_sources(root: &Path, copy: &Path) -> Result<(), AnyError> {
    let mut cp = command("cp", &["--no-dereference", "--preserve=mode", "--parents"]);
    exec(cp.args(sources(root, &["."])?).arg(copy).current_dir(root))
}

/// Where two files differ first; `None` when they are the same.
fn first_difference(one: &Path, other: &Path) -> Result<Option<u64>, AnyError> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut here, mut there) = (Vec::new(), Vec::new());
    let mut at = 0;
    loop {
        here.clear();
        there.clear();
        one.by_ref().take(CHUNK).read_to_end(&mut here)?;
        other.by_ref().take(CHUNK).read_to_end(&mut there)?;
        if here != there {
            let same = here.iter().zip(&there).take_while(|(a, b)| a == b).count();
            return Ok(Some(at + same as u64));
        }
        if here.is_empty() {
            return Ok(None);
        }
        at += here.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_found_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let mut bytes = vec![7; CHUNK as usize + 10];
        let one = file("one", &bytes);
        assert_eq!(first_difference(&one, &file("same", &bytes)).unwrap(), None);
        let shorter = file("shorter", &bytes[..bytes.len() - 1]);
        assert_eq!(first_difference(&one, &shorter).unwrap(), Some(CHUNK + 9));
        bytes[CHUNK as usize + 3] = 8;
        assert_eq!(first_difference(&one, &file("other", &bytes)).unwrap(), Some(CHUNK + 3));
    }
}
