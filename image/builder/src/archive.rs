//! The archive that a kernel unpacks into its first file system: cpio "newc"
//! (kernel documentation, "initramfs buffer format"). Every entry belongs to
//! root and to the first second of 1970.

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder,
    /// A file that may be read.
    File(Vec<u8>),
    /// A program.
    Program(Vec<u8>),
    /// A device file: character device, major, minor.
    Device(u32, u32),
}

/// Why an archive cannot be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// A name that the format cannot hold.
    #[error("{0:?} is no name for an archive: relative, without `..`, and at most 200 bytes")]
    Name(String),
    /// A file that the format cannot hold.
    #[error("{0:?} is too large for an archive")]
    Size(String),
}

/// An archive of `entries`, pairs of name and content; the folders above a
/// name stand before it.
///
/// # Errors
/// [`ArchiveError`] for a name or a length that the format cannot hold.
pub fn pack(entries: &[(&str, Entry)]) -> Result<Vec<u8>, ArchiveError> {
    let mut out = Vec::new();
    for (number, (name, entry)) in entries.iter().enumerate() {
        let bad =
            name.is_empty() || name.len() > 200 || name.starts_with('/') || name.contains('\0');
        if bad || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(ArchiveError::Name((*name).to_owned()));
        }
        let (mode, content, device): (u32, &[u8], _) = match entry {
            Entry::Folder => (0o040_755, &[], (0, 0)),
            Entry::File(content) => (0o100_644, content, (0, 0)),
            Entry::Program(content) => (0o100_755, content, (0, 0)),
            Entry::Device(major, minor) => (0o020_600, &[], (*major, *minor)),
        };
        let size =
            u32::try_from(content.len()).map_err(|_| ArchiveError::Size((*name).to_owned()))?;
        put(&mut out, number as u32 + 1, mode, name, size, device);
        out.extend_from_slice(content);
        align(&mut out);
    }
    put(&mut out, 0, 0, "TRAILER!!!", 0, (0, 0));
    Ok(out)
}

fn put(out: &mut Vec<u8>, inode: u32, mode: u32, name: &str, size: u32, device: (u32, u32)) {
    out.extend_from_slice(b"070701");
    let links = if mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
    let name_len = name.len() as u32 + 1;
    // inode, mode, user, group, links, time, size, device (2), of the entry
    // (2), length of the name, checksum
    for field in [inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_len, 0] {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    align(out);
}

fn align(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    #[test]
    fn cpio_reads_what_was_packed() {
        let entries = [
            ("dev", Entry::Folder),
            ("dev/console", Entry::Device(5, 1)),
            ("init", Entry::Program(b"\x7fELF".to_vec())),
            ("trust", Entry::Folder),
            ("trust/a", Entry::File(vec![7; 4_001])),
        ];
        let archive = pack(&entries).unwrap();
        assert_eq!(archive, pack(&entries).unwrap(), "twice the same bytes");
        let mut cpio = Command::new("cpio")
            .args(["--list", "--verbose", "--numeric-uid-gid", "--quiet"])
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cpio is installed");
        cpio.stdin.take().unwrap().write_all(&archive).unwrap();
        let listed = String::from_utf8(cpio.wait_with_output().unwrap().stdout).unwrap();
        let rows: Vec<Vec<&str>> =
            listed.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows.len(), 5, "{listed}");
        assert!(rows[1][0].starts_with("crw-------"), "{listed}");
        assert!(rows[2][0].starts_with("-rwxr-xr-x"), "{listed}");
        assert_eq!((rows[4][2], rows[4][3], rows[4][4]), ("0", "0", "4001"), "{listed}");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", "/etc", "../x", "a/../b", "a//b", "./a", "a\0b"] {
            let made = pack(&[(name, Entry::Folder)]);
            assert_eq!(made, Err(ArchiveError::Name(name.to_owned())));
        }
    }
}
