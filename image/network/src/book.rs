//! Which settings are in force: those that are kept, or those that are on
//! trial. What is on trial stands in memory alone, so that a crash, a restart
//! or a power cut bring back what was before, as the end of its time does.

use evenkeel_core::network::{TRIAL_S_MAX, TRIAL_S_MIN};
use evenkeel_core::settings::network::{DocumentError, LEN_MAX, Network};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The document, in the folder of this program.
const FILE: &str = "network.toml";

/// The settings.
#[derive(Debug)]
pub struct Book {
    folder: PathBuf,
    kept: Network,
    trial: Option<Trial>,
}

#[derive(Debug)]
struct Trial {
    network: Network,
    until: Duration,
}

/// Why something about the settings is not done.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The file.
    #[error("{} cannot be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What stands in it.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// There is nothing to confirm or to end.
    #[error("no change of the network is on trial; its time may be over")]
    NoTrial,
    /// So much time is not given.
    #[error("confirm_within_s: write {TRIAL_S_MIN} to {TRIAL_S_MAX} seconds")]
    Time,
}

impl Book {
    /// Of the document in `folder`; what the factory set where there is none,
    /// and where it cannot be read, with why.
    #[must_use]
    pub fn open(folder: &Path) -> (Self, Option<BookError>) {
        let (kept, problem) = match read(&folder.join(FILE)) {
            Ok(Some(kept)) => (kept, None),
            Ok(None) => (Network::factory(), None),
            Err(problem) => (Network::factory(), Some(problem)),
        };
        (Self { folder: folder.to_owned(), kept, trial: None }, problem)
    }

    /// Where it is kept.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is in force.
    #[must_use]
    pub fn in_force(&self) -> &Network {
        self.trial.as_ref().map_or(&self.kept, |trial| &trial.network)
    }

    /// What was confirmed last.
    #[must_use]
    pub const fn kept(&self) -> &Network {
        &self.kept
    }

    /// When the trial ends, and what comes back then.
    #[must_use]
    pub fn trial(&self) -> Option<(Duration, &Network)> {
        self.trial.as_ref().map(|trial| (trial.until, &self.kept))
    }

    /// Put this in force, on trial. Another trial ends by that; what comes back
    /// is what was confirmed last.
    ///
    /// # Errors
    /// [`BookError::Time`].
    pub fn try_out(
        &mut self,
        network: Network,
        within_s: u64,
        now: Duration,
    ) -> Result<(), BookError> {
        if !(TRIAL_S_MIN..=TRIAL_S_MAX).contains(&within_s) {
            return Err(BookError::Time);
        }
        self.trial = Some(Trial { network, until: now + Duration::from_secs(within_s) });
        Ok(())
    }

    /// Keep what is on trial.
    ///
    /// # Errors
    /// [`BookError::NoTrial`]; when it cannot be kept, the trial goes on.
    pub fn confirm(&mut self, now: Duration) -> Result<(), BookError> {
        let trial = self.trial.as_ref().filter(|trial| now < trial.until);
        let network = trial.ok_or(BookError::NoTrial)?.network.clone();
        let path = self.folder.join(FILE);
        write_whole(&path, &network.to_text())
            .map_err(|source| BookError::File { path, source })?;
        (self.kept, self.trial) = (network, None);
        Ok(())
    }

    /// End the trial.
    ///
    /// # Errors
    /// [`BookError::NoTrial`].
    pub fn give_up(&mut self) -> Result<(), BookError> {
        self.trial.take().map(|_| ()).ok_or(BookError::NoTrial)
    }

    /// Whether the trial ended just now because nobody confirmed it.
    pub fn lapse(&mut self, now: Duration) -> bool {
        self.trial.take_if(|trial| now >= trial.until).is_some()
    }
}

fn read(path: &Path) -> Result<Option<Network>, BookError> {
    let failed = |source| BookError::File { path: path.to_owned(), source };
    let mut text = String::new();
    let read = File::open(path).and_then(|f| f.take(LEN_MAX as u64 + 1).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(Some(Network::parse(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Whole, or as it was: a power cut leaves one of both.
///
/// # Errors
/// What the system says.
pub fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::settings::network::{Interface, Ipv4, Ipv6};

    fn other() -> Network {
        let interface = Interface { ipv4: Ipv4::Dhcp, ipv6: Ipv6::Off };
        Network { interfaces: [("eth1".to_owned(), interface)].into(), ..Network::factory() }
    }

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn kept(dir: &tempfile::TempDir) -> Network {
        let (book, problem) = Book::open(dir.path());
        assert!(problem.is_none(), "{problem:?}");
        book.in_force().clone()
    }

    #[test]
    fn what_nobody_confirms_goes_and_what_was_confirmed_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, _) = Book::open(dir.path());
        assert_eq!(*book.in_force(), Network::factory());
        book.try_out(other(), 120, at(5)).unwrap();
        assert_eq!(*book.in_force(), other());
        assert_eq!(kept(&dir), Network::factory(), "a power cut here brings back the one before");
        assert!(!book.lapse(at(124)));
        assert!(book.lapse(at(125)) && !book.lapse(at(125)), "told once");
        assert_eq!(*book.in_force(), Network::factory());
        assert!(matches!(book.confirm(at(125)), Err(BookError::NoTrial)), "too late");

        book.try_out(other(), 120, at(200)).unwrap();
        book.confirm(at(319)).unwrap();
        assert!(!book.lapse(at(1_000)));
        assert_eq!((book.in_force().clone(), kept(&dir)), (other(), other()));
        assert!(matches!(book.give_up(), Err(BookError::NoTrial)));
    }

    #[test]
    fn a_trial_after_a_trial_comes_back_to_what_was_confirmed() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, _) = Book::open(dir.path());
        book.try_out(other(), 10, at(0)).unwrap();
        let third = Network { host_name: Some("rack-7".to_owned()), ..other() };
        book.try_out(third.clone(), 10, at(5)).unwrap();
        assert!(!book.lapse(at(12)), "its own time");
        assert_eq!(*book.in_force(), third);
        book.give_up().unwrap();
        assert_eq!(*book.in_force(), Network::factory());
        for within_s in [0, 9, 601, u64::MAX] {
            assert!(matches!(book.try_out(other(), within_s, at(0)), Err(BookError::Time)));
        }
    }

    #[test]
    fn a_damaged_document_is_told_and_the_factory_s_settings_hold() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [&b"interfaces = 3"[..], b"\xff\xfe", &[b' '; LEN_MAX + 10]] {
            fs::write(dir.path().join(FILE), bytes).unwrap();
            let (book, problem) = Book::open(dir.path());
            assert!(problem.is_some());
            assert_eq!(*book.in_force(), Network::factory());
        }
    }

    #[test]
    fn what_cannot_be_kept_stays_on_trial() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, _) = Book::open(&dir.path().join("missing"));
        book.try_out(other(), 10, at(0)).unwrap();
        assert!(matches!(book.confirm(at(1)), Err(BookError::File { .. })));
        assert!(book.lapse(at(10)), "and goes with its time");
    }
}
