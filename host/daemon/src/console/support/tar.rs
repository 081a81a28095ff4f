//! An archive that every system can open: POSIX ustar (IEEE Std 1003.1-2017,
//! "pax", ustar interchange format), plain files alone, all of them in memory.

/// Length of a block, bytes.
const BLOCK: usize = 512;

/// An archive of these files; names are plain and shorter than 100 bytes.
#[must_use]
pub fn archive(files: &[(String, Vec<u8>)], unix_s: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        out.extend(header(name, bytes.len(), unix_s));
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    // The end is two empty blocks.
    out.resize(out.len() + 2 * BLOCK, 0);
    out
}

fn header(name: &str, length: usize, unix_s: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put =
        |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name.get(..99).unwrap_or(name));
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{length:011o}"));
    put(136, &format!("{unix_s:011o}"));
    // The sum is made over a header whose own place is blank.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn another_program_opens_it() {
        let files = [
            ("about.json".to_owned(), b"{}".to_vec()),
            ("reports/megatec.1.json".to_owned(), vec![b'x'; 1_000]),
            ("empty".to_owned(), Vec::new()),
        ];
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("support.tar");
        std::fs::write(&file, archive(&files, 1_795_000_000)).expect("written");
        let done = Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(dir.path()).output();
        let done = done.expect("tar is on every system");
        assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
        for (name, bytes) in files {
            assert_eq!(std::fs::read(dir.path().join(&name)).expect(&name), bytes, "{name}");
        }
    }
}
