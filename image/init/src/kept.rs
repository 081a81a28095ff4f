//! What outlives the data partition, where it is kept: a block on the partition
//! of the state record ([`Kept`]). The serial number goes into it once, and
//! back onto a data partition that has none.

use crate::log;
use evenkeel_signing::Serial;
use evenkeel_signing::slot::Kept;
use evenkeel_signing::slot::kept::{KEPT_AT, KEPT_LEN};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

/// Where the daemon has the serial number, on the data partition.
const SERIAL: &str = "daemon/store/serial";
/// Longest file with one, in bytes.
const SERIAL_LEN_MAX: u64 = 64;

/// What the block on the device `state` says.
///
/// # Errors
/// When it cannot be read.
pub fn read(state: &Path) -> io::Result<Kept> {
    let mut bytes = [0; KEPT_LEN];
    File::open(state)?.read_exact_at(&mut bytes, KEPT_AT)?;
    Ok(Kept::decode(&bytes))
}

/// Keep this; on the disk when this returns.
///
/// # Errors
/// When it cannot be written, or reads differently.
pub fn write(state: &Path, kept: &Kept) -> io::Result<()> {
    let bytes = kept.encode().ok_or_else(|| io::Error::other("the block is too small"))?;
    let file = OpenOptions::new().read(true).write(true).open(state)?;
    file.write_all_at(&bytes, KEPT_AT)?;
    file.sync_all()?;
    match read(state)? == *kept {
        true => Ok(()),
        false => Err(io::Error::other("it was written and reads differently")),
    }
}

/// Keep the serial number that is on the `data` partition, unless there is one
/// already: the first is the appliance's.
pub fn collect(state: &Path, data: &Path) {
    let done = read(state).and_then(|mut kept| {
        if kept.serial().is_some() {
            return Ok(());
        }
        let Some(serial) = serial(data)? else { return Ok(()) };
        kept.set_serial(&serial);
        write(state, &kept)
    });
    if let Err(error) = done {
        log::say(&format!("the serial number is not kept: {error}"));
    }
}

/// The serial number on the data partition. The folder is the daemon's, and
/// faces the network: no link leads out of it.
fn serial(data: &Path) -> io::Result<Option<Serial>> {
    let folder = File::open(data)?;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match openat2(&folder, SERIAL, flags, Mode::empty(), how) {
        Ok(file) => File::from(file),
        // The daemon makes it at its first start.
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut text = String::new();
    file.take(SERIAL_LEN_MAX).read_to_string(&mut text)?;
    Ok(text.trim().parse().ok())
}

/// Put the serial number back on a `data` partition that has none, for `user`.
///
/// # Errors
/// When it cannot be written.
pub fn put_back(kept: &Kept, data: &Path, user: u32) -> io::Result<()> {
    let path = data.join(SERIAL);
    let Some(serial) = kept.serial() else { return Ok(()) };
    // One that is there, damaged or not, is the daemon's to judge.
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    fchown(&file, Some(user), None)?;
    file.write_all(format!("{serial}\n").as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Bench {
        dir: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("state"), vec![0; 1 << 20]).unwrap();
            fs::create_dir_all(dir.path().join("data/daemon/store")).unwrap();
            Self { dir }
        }

        fn state(&self) -> std::path::PathBuf {
            self.dir.path().join("state")
        }

        fn data(&self) -> std::path::PathBuf {
            self.dir.path().join("data")
        }

        fn put(&self, text: &str) {
            fs::write(self.data().join(SERIAL), text).unwrap();
        }
    }

    fn me() -> u32 {
        rustix::process::getuid().as_raw()
    }

    #[test]
    fn the_first_serial_number_is_the_appliance_s_and_comes_back() {
        let bench = Bench::new();
        collect(&bench.state(), &bench.data());
        assert_eq!(read(&bench.state()).unwrap(), Kept::default(), "there is none yet");
        let [first, second] = [1, 2].map(Serial::from_random);
        bench.put(&format!("{first}\n"));
        collect(&bench.state(), &bench.data());
        bench.put(&format!("{second}\n"));
        collect(&bench.state(), &bench.data());
        let kept = read(&bench.state()).unwrap();
        assert_eq!(kept.serial(), Some(first.clone()));
        put_back(&kept, &bench.data(), me()).unwrap();
        assert_eq!(serial(&bench.data()).unwrap(), Some(second), "what is there stays");
        fs::remove_dir_all(bench.data()).unwrap();
        put_back(&kept, &bench.data(), me()).unwrap();
        assert_eq!(serial(&bench.data()).unwrap(), Some(first));
    }

    #[test]
    fn no_link_of_the_daemon_leads_out_of_its_folder() {
        let bench = Bench::new();
        let elsewhere = bench.dir.path().join("elsewhere");
        fs::write(&elsewhere, Serial::from_random(3).to_string()).unwrap();
        symlink(&elsewhere, bench.data().join(SERIAL)).unwrap();
        assert!(serial(&bench.data()).is_err());
        collect(&bench.state(), &bench.data());
        assert_eq!(read(&bench.state()).unwrap(), Kept::default());
    }

    #[test]
    fn what_is_no_serial_number_is_not_kept() {
        let bench = Bench::new();
        for text in ["", "no number", &"7".repeat(1_000)] {
            bench.put(text);
            collect(&bench.state(), &bench.data());
            assert_eq!(read(&bench.state()).unwrap(), Kept::default(), "{text:?}");
        }
    }
}
