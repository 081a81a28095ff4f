//! The address that an interface had last, over restarts: it is asked for first.
//! It is written when another one is lent, and not at renewals, so that the flash
//! does not wear; how long it was lent for would say nothing after a restart.

use crate::book;
use evenkeel_core::settings::network::is_usable_ipv4;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Longest text that is read: no address is longer.
const LEN_MAX: u64 = 16;

/// What is remembered of one interface.
pub struct Memory(PathBuf);

impl Memory {
    /// Of `interface`, in `folder`.
    #[must_use]
    pub fn new(folder: &Path, interface: &str) -> Self {
        Self(folder.join(format!("lease-{interface}.address")))
    }

    /// The last address; what cannot be read is none, and nothing is lost by it.
    #[must_use]
    pub fn recall(&self) -> Option<Ipv4Addr> {
        let mut text = String::new();
        File::open(&self.0).ok()?.take(LEN_MAX + 1).read_to_string(&mut text).ok()?;
        let address = text.strip_suffix('\n').unwrap_or(&text).parse().ok();
        address.filter(|address| is_usable_ipv4(*address, 32))
    }

    /// Remember this one.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep(&self, address: Ipv4Addr) -> io::Result<()> {
        match self.recall() == Some(address) {
            true => Ok(()),
            false => book::write_whole(&self.0, &format!("{address}\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_address_is_remembered_for_its_interface_and_nonsense_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, other) = (Memory::new(dir.path(), "eth0"), Memory::new(dir.path(), "eth1"));
        assert_eq!(memory.recall(), None);
        let address = Ipv4Addr::new(223, 255, 255, 254);
        memory.keep(address).unwrap();
        assert_eq!((memory.recall(), other.recall()), (Some(address), None));
        let file = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let written = fs::metadata(&file).unwrap().modified().unwrap();
        memory.keep(address).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), written, "no wear");
        for nonsense in ["", "127.0.0.1", "0.0.0.0", "192.0.2.7/24", "192.0.2.7             x"] {
            fs::write(&file, nonsense).unwrap();
            assert_eq!(memory.recall(), None, "{nonsense:?}");
        }
    }
}
