//! The boot image of boards whose loader is our own or plays it: kernel,
//! archive with the first stage, command line, in one piece.
//!
//! | byte | | |
//! |-----:|---|---|
//! | 0 | 8 bytes | magic, "EVKBOOT1" |
//! | 8 | `u32` | length of the kernel |
//! | 12 | `u32` | length of the archive |
//! | 16 | `u32` | length of the command line |
//! | 20 | `u32` | 0 |
//! | 24 | | kernel, archive, command line |
//!
//! The signed header of the slot holds the SHA-256 of all of it. Boards with
//! U-Boot have a signed FIT image instead (facts/image-recipe.md §6).

use alloc::vec::Vec;

const MAGIC: &[u8; 8] = b"EVKBOOT1";
const HEADER_LEN: usize = 24;
const COMMAND_LINE_MAX: usize = 2_048;

/// What a loader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot<'a> {
    /// The kernel as its build made it (`bzImage`).
    pub kernel: &'a [u8],
    /// The archive that the kernel unpacks (may be compressed).
    pub archive: &'a [u8],
    /// The kernel's command line; the loader adds the slot.
    pub command_line: &'a str,
}

/// Why bytes are no boot image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// Something else.
    #[error("this is no boot image")]
    Magic,
    /// Lengths that do not fit.
    #[error("the boot image is cut off or its lengths are wrong")]
    Length,
    /// A command line that no kernel takes.
    #[error("the command line of the boot image is no text of at most {COMMAND_LINE_MAX} bytes")]
    CommandLine,
}

impl<'a> Boot<'a> {
    /// The bytes for the slot.
    ///
    /// # Errors
    /// [`BootError`] for what the format cannot hold.
    pub fn pack(&self) -> Result<Vec<u8>, BootError> {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| BootError::Length);
        if !is_command_line(self.command_line) {
            return Err(BootError::CommandLine);
        }
        let mut out = MAGIC.to_vec();
        for part in [self.kernel, self.archive, self.command_line.as_bytes()] {
            out.extend(len(part)?.to_le_bytes());
        }
        out.extend([0; 4]);
        for part in [self.kernel, self.archive, self.command_line.as_bytes()] {
            out.extend_from_slice(part);
        }
        Ok(out)
    }

    /// Take a boot image apart that was checked against a signed header.
    ///
    /// # Errors
    /// [`BootError`] when it is none.
    pub fn unpack(bytes: &'a [u8]) -> Result<Self, BootError> {
        let (head, rest) = bytes.split_at_checked(HEADER_LEN).ok_or(BootError::Length)?;
        if !head.starts_with(MAGIC) {
            return Err(BootError::Magic);
        }
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&head[at..at + 4]);
            u32::from_le_bytes(word) as usize
        };
        let (kernel, rest) = rest.split_at_checked(word(8)).ok_or(BootError::Length)?;
        let (archive, rest) = rest.split_at_checked(word(12)).ok_or(BootError::Length)?;
        if rest.len() != word(16) || word(20) != 0 {
            return Err(BootError::Length);
        }
        let command_line = core::str::from_utf8(rest).map_err(|_| BootError::CommandLine)?;
        match is_command_line(command_line) {
            true => Ok(Self { kernel, archive, command_line }),
            false => Err(BootError::CommandLine),
        }
    }
}

fn is_command_line(text: &str) -> bool {
    text.len() <= COMMAND_LINE_MAX && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_goes_both_ways_and_no_bytes_cause_a_panic(
            kernel: Vec<u8>,
            archive: Vec<u8>,
            command_line in "[ -~]{0,80}",
            cut: usize,
            at: usize,
            by: u8,
        ) {
            let boot = Boot { kernel: &kernel, archive: &archive, command_line: &command_line };
            let mut bytes = boot.pack().unwrap();
            prop_assert_eq!(Boot::unpack(&bytes), Ok(boot));
            let len = bytes.len();
            prop_assert!(Boot::unpack(&bytes[..cut % len]).is_err());
            bytes[at % len] ^= by;
            let _ = Boot::unpack(&bytes);
        }
    }

    #[test]
    fn a_command_line_is_one_line() {
        let boot = Boot { kernel: b"k", archive: b"a", command_line: "quiet\nroot=/dev/sda" };
        assert_eq!(boot.pack(), Err(BootError::CommandLine));
    }
}
