//! A serial port for somebody else: a pseudo-terminal behind a link.

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A port at a fixed path that can appear and disappear.
#[derive(Debug)]
pub struct Endpoint {
    link: PathBuf,
    pair: Option<Pair>,
}

#[derive(Debug)]
struct Pair {
    ours: OwnedFd,
    /// Kept open so that the appliance may close and open its side at will
    /// without a hang-up on ours.
    _theirs: OwnedFd,
}

impl Endpoint {
    /// A port at `link`, not there yet.
    #[must_use]
    pub fn new(link: PathBuf) -> Self {
        Self { link, pair: None }
    }

    /// Where the appliance finds it.
    #[must_use]
    pub fn link(&self) -> &Path {
        &self.link
    }

    /// Make the port appear or disappear.
    ///
    /// # Errors
    /// When the system refuses a pseudo-terminal or the link.
    pub fn set_plugged(&mut self, plugged: bool) -> io::Result<()> {
        if plugged && self.pair.is_none() {
            let (pair, path) = Pair::open()?;
            replace_link(&path, &self.link)?;
            self.pair = Some(pair);
        } else if !plugged && self.pair.take().is_some() {
            fs::remove_file(&self.link)?;
        }
        Ok(())
    }

    /// To wait on; none while unplugged.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pair.as_ref().map(|pair| pair.ours.as_fd())
    }

    /// What the appliance has written, without waiting.
    ///
    /// # Errors
    /// When the pseudo-terminal fails.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let Some(pair) = &self.pair else { return Ok(Vec::new()) };
        let mut buffer = [0; 4096];
        match rustix::io::read(&pair.ours, &mut buffer) {
            Ok(len) => Ok(buffer[..len].to_vec()),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deliver bytes. What does not fit is lost, as on a wire that nobody
    /// reads.
    ///
    /// # Errors
    /// When the pseudo-terminal fails.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let Some(pair) = &self.pair else { return Ok(()) };
        match rustix::io::write(&pair.ours, bytes) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if self.pair.is_some() {
            // Nothing is left to do about a link that cannot be removed.
            let _ = fs::remove_file(&self.link);
        }
    }
}

impl Pair {
    /// A raw pseudo-terminal and the path of its other side.
    fn open() -> io::Result<(Self, PathBuf)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = rustix::pty::openpt(flags)?;
        rustix::pty::grantpt(&ours)?;
        rustix::pty::unlockpt(&ours)?;
        let path = rustix::pty::ptsname(&ours, Vec::new())?;
        let path = path.into_string().map_err(io::Error::other)?;
        let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags)?;
        let mut termios = rustix::termios::tcgetattr(&theirs)?;
        termios.make_raw();
        rustix::termios::tcsetattr(&theirs, OptionalActions::Now, &termios)?;
        rustix::fs::fcntl_setfl(&ours, OFlags::NONBLOCK)?;
        Ok((Self { ours, _theirs: theirs }, path.into()))
    }
}

/// Point `link` at `target`, whatever stood there, in one instant.
fn replace_link(target: &Path, link: &Path) -> io::Result<()> {
    let fresh = link.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => symlink(target, &fresh)?,
    }
    fs::rename(&fresh, link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::{Read, Write};

    #[test]
    fn bytes_cross_unchanged_and_reopening_is_no_hang_up() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut port = Endpoint::new(dir.path().join("port"));
        port.set_plugged(true).expect("plugged");
        for _ in 0..2 {
            let mut theirs =
                OpenOptions::new().read(true).write(true).open(port.link()).expect("open");
            theirs.write_all(b"\x03\r\n\x00\x04").expect("written");
            assert_eq!(port.read().expect("alive"), b"\x03\r\n\x00\x04");
            port.write(b"\r\x00\x11\xFF").expect("written");
            let mut got = [0; 4];
            theirs.read_exact(&mut got).expect("read");
            assert_eq!(&got, b"\r\x00\x11\xFF");
        }
        assert_eq!(port.read().expect("alive"), b"");
    }

    #[test]
    fn unplugged_port_is_gone_and_comes_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let link = dir.path().join("port");
        let mut port = Endpoint::new(link.clone());
        port.set_plugged(true).expect("plugged");
        let mut theirs = OpenOptions::new().read(true).write(true).open(&link).expect("open");
        port.set_plugged(false).expect("unplugged");
        assert!(!link.is_symlink() && port.fd().is_none());
        // A hung-up terminal reads as its end or as an error, never as bytes.
        assert!(!matches!(theirs.read(&mut [0; 8]), Ok(1..)));
        port.set_plugged(true).expect("plugged");
        assert!(link.exists());
        drop(port);
        assert!(!link.is_symlink());
    }

    #[test]
    fn flood_without_a_reader_is_lost_not_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut port = Endpoint::new(dir.path().join("port"));
        port.set_plugged(true).expect("plugged");
        for _ in 0..100 {
            port.write(&[0x55; 1024]).expect("never waits");
        }
    }
}
