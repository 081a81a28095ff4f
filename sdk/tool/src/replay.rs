//! `replay`: a failure of a plugin again, from the recording that an appliance
//! kept of it (`data_dir/reports/<plugin>.<time>.rec`).
//!
//! What repeats it is the appliance's own daemon, `evenkeeld replay-plugin`:
//! the same host, and no second one that could differ. It is no part of the SDK's
//! package, and is looked for beside this program and on the path.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// The daemon's program.
const DAEMON: &str = "evenkeeld";

/// Why nothing was repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No daemon.
    #[error(
        "there is no evenkeeld beside this program or on the path. It is the appliance's daemon, \
         which repeats the failure, and no part of the SDK: ask the maker of the appliance for \
         the program of its version for a PC, or build it from the sources of the firmware \
         (there: `cargo build --release -p evenkeeld`), and name it with --daemon"
    )]
    NoDaemon,
    /// It does not start.
    #[error("cannot run {}; is it a program for this machine?", daemon.display())]
    Start {
        /// The program.
        daemon: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The failure did not come again, or nothing could be repeated.
    #[error("the failure was not repeated (evenkeeld: {0})")]
    NotRepeated(ExitStatus),
}

/// What to repeat.
#[derive(Debug, clap::Args)]
pub struct Recorded {
    /// The bundle that failed.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Its recording, `<plugin>.<time>.rec`.
    #[arg(long, value_name = "FILE")]
    recording: PathBuf,
    /// Folder with the public key that signed the bundle.
    #[arg(long, value_name = "DIR")]
    trust: PathBuf,
    /// The appliance's daemon; without it the one beside this program or on
    /// the path.
    #[arg(long, value_name = "FILE")]
    daemon: Option<PathBuf>,
}

/// Repeat it; the daemon says on standard output how it ended then and now.
///
/// # Errors
/// [`Error`], also when the failure did not come again.
pub fn replay(recorded: &Recorded) -> Result<(), Error> {
    let Recorded { bundle, recording, trust, daemon } = recorded;
    let daemon = match daemon {
        Some(daemon) => daemon.clone(),
        None => find(env::current_exe().ok().as_deref(), env::var_os("PATH").as_deref())?,
    };
    let status = Command::new(&daemon)
        .arg("replay-plugin")
        .arg("--bundle")
        .arg(bundle)
        .arg("--recording")
        .arg(recording)
        .arg("--trust")
        .arg(trust)
        .status()
        .map_err(|source| Error::Start { daemon, source })?;
    if status.success() { Ok(()) } else { Err(Error::NotRepeated(status)) }
}

/// The daemon beside the program `own`, or in a folder of `path`.
fn find(own: Option<&Path>, path: Option<&std::ffi::OsStr>) -> Result<PathBuf, Error> {
    let beside = own.and_then(Path::parent).map(Path::to_owned);
    let folders = beside.into_iter().chain(path.into_iter().flat_map(env::split_paths));
    let mut daemons = folders.map(|folder| folder.join(DAEMON));
    daemons.find(|daemon| daemon.is_file()).ok_or(Error::NoDaemon)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    /// A daemon that says what it was asked and ends with this code.
    fn daemon(folder: &Path, code: u8) -> PathBuf {
        let (file, said) = (folder.join(DAEMON), folder.join("said"));
        let text = format!("#!/bin/sh\necho \"$@\" > {}\nexit {code}\n", said.display());
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    fn recorded(daemon: PathBuf) -> Recorded {
        Recorded {
            bundle: "acme.evkp".into(),
            recording: "acme.1.rec".into(),
            trust: "keys".into(),
            daemon: Some(daemon),
        }
    }

    #[test]
    fn the_daemon_is_found_beside_or_on_the_path_and_missed_clearly() {
        let (beside, path) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let own = beside.path().join("evenkeel-plugin");
        let words = |path: &Path| env::join_paths([Path::new("/nowhere"), path]).unwrap();
        let found = || find(Some(&own), Some(&words(path.path())));
        let error = found().unwrap_err().to_string();
        for words in [
            "no part of the SDK",
            "ask the maker of the appliance",
            "from the sources of the firmware",
            "name it with --daemon",
        ] {
            assert!(error.contains(words), "{words:?} is not in {error}");
        }
        let on_path = daemon(path.path(), 0);
        assert_eq!(found().unwrap(), on_path);
        let nearer = daemon(beside.path(), 0);
        assert_eq!(found().unwrap(), nearer);
    }

    #[test]
    fn the_daemon_is_asked_and_its_word_counts() {
        let dir = tempfile::tempdir().unwrap();
        replay(&recorded(daemon(dir.path(), 0))).unwrap();
        let said = fs::read_to_string(dir.path().join("said")).unwrap();
        let wanted = "replay-plugin --bundle acme.evkp --recording acme.1.rec --trust keys";
        assert_eq!(said.trim(), wanted);
        let error = replay(&recorded(daemon(dir.path(), 1))).unwrap_err();
        assert!(error.to_string().starts_with("the failure was not repeated"), "{error}");
        let error = replay(&recorded(dir.path().join("none"))).unwrap_err();
        assert!(matches!(error, Error::Start { .. }), "{error}");
    }
}
