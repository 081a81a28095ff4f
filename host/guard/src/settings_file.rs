//! The settings file and its last good copy.
//!
//! A file that is missing, damaged or senseless never stops the guard as long
//! as it once had good settings: those go on, and the refusal is said loudly
//! (standard error, and a condition in the process image).
//!
//! Settings are good once the guard came to a cycle with them: only then they
//! become the last good ones ([`Loaded::confirm`]). New ones with which it never
//! gets so far are given up after [`TRIES_MAX`] starts, as a file beside counts
//! (`guard-settings.tried`: their number and the starts).

use evenkeel_core::settings::{GuardSettings, SettingsError, TEXT_MAX};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Longest settings file, bytes: the text, and its seal above.
const FILE_MAX: u64 = TEXT_MAX as u64 + 64;
const LAST_GOOD: &str = "guard-settings.last-good.toml";
const TRIED: &str = "guard-settings.tried";
/// Starts that settings get to come to a cycle. One may be lost to a power cut.
const TRIES_MAX: u32 = 3;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("settings file {path} cannot be {verb}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed, as a participle.
        verb: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is longer than any settings.
    #[error("settings file {path} has more than {FILE_MAX} bytes", path = .0.display())]
    TooLong(PathBuf),
    /// The file's content is refused.
    #[error("settings file {path} is refused", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: SettingsError,
    },
    /// The guard ended before its first cycle, each time.
    #[error("settings file {path} was tried {TRIES_MAX} times, and the guard came to no cycle with it", path = .0.display())]
    Tried(PathBuf),
}

/// Settings in force.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: GuardSettings,
    /// Their sealed text.
    pub text: String,
    /// Number of their seal.
    pub crc: u32,
    /// Why the file itself is not in force, if it is not.
    pub fallback: Option<Error>,
}

/// Load the settings, or the last good ones.
///
/// # Errors
/// When neither the file nor a last good copy can be used.
pub fn load(file: &Path, state_dir: &Path) -> Result<Loaded, Error> {
    let last_good = load_one(&state_dir.join(LAST_GOOD));
    let refusal = match (load_one(file), &last_good) {
        (Ok(loaded), Ok(good)) if loaded.text != good.text => {
            match try_once_more(&state_dir.join(TRIED), loaded.crc) {
                true => return Ok(loaded),
                false => Error::Tried(file.to_owned()),
            }
        }
        // Nothing else could be in force.
        (Ok(loaded), _) => return Ok(loaded),
        (Err(refusal), _) => refusal,
    };
    match last_good {
        Ok(good) => Ok(Loaded { fallback: Some(refusal), ..good }),
        Err(_) => Err(refusal),
    }
}

impl Loaded {
    /// What these settings will be once they are in force: sealed, checked, and
    /// on the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(settings: GuardSettings, text: String, file: &Path) -> Result<Self, Error> {
        replace(file, &text)?;
        let crc = GuardSettings::number(GuardSettings::unsealed(&text));
        Ok(Self { settings, text, crc, fallback: None })
    }

    /// The guard runs with them: from now on they are what it falls back to.
    pub fn confirm(&self, state_dir: &Path) {
        let last_good = state_dir.join(LAST_GOOD);
        if read_text(&last_good).ok().as_deref() != Some(self.text.as_str())
            && let Err(error) = replace(&last_good, &self.text)
        {
            // Protecting now matters more than being able to fall back later.
            crate::say(&format!("{error}; there is no copy to fall back to"));
        }
        // What was given up stays so; what is in force was tried well.
        if self.fallback.is_none() {
            // Usually there is none.
            let _ = fs::remove_file(state_dir.join(TRIED));
        }
    }
}

/// Count a start with settings of this number; false when they had enough.
fn try_once_more(tried: &Path, crc: u32) -> bool {
    let text = read_text(tried).unwrap_or_default();
    let count = text.trim().strip_prefix(&format!("{crc:08x} ")).and_then(|n| n.parse().ok());
    let count: u32 = count.unwrap_or(0);
    if count >= TRIES_MAX {
        return false;
    }
    if let Err(error) = replace(tried, &format!("{crc:08x} {}\n", count + 1)) {
        crate::say(&format!("{error}; starts with new settings are not counted"));
    }
    true
}

/// Read a text file of bounded length.
///
/// # Errors
/// When it cannot be read or is too long.
pub fn read_text(path: &Path) -> Result<String, Error> {
    let io = |source| Error::Io { path: path.to_owned(), verb: "read", source };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(io)?;
    let read = file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(io)?;
    if read as u64 > FILE_MAX {
        return Err(Error::TooLong(path.to_owned()));
    }
    Ok(text)
}

/// Replace a file so that after a power cut either the old or the new content
/// is there, whole.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let io = |source| Error::Io { path: path.to_owned(), verb: "written", source };
    let temporary = path.with_extension("new");
    let mut file = fs::File::create(&temporary).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    fs::rename(&temporary, path).map_err(io)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|d| d.sync_all()).map_err(io)
}

fn load_one(path: &Path) -> Result<Loaded, Error> {
    let text = read_text(path)?;
    let (settings, crc) = GuardSettings::load(&text)
        .map_err(|source| Error::Refused { path: path.to_owned(), source })?;
    Ok(Loaded { settings, text, crc, fallback: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "[[bus]]\nport = \"/dev/null\"\n[[battery]]\nname = \"b\"\n\
                        chemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n[[string]]\n\
                        name = \"A\"\nmodule = \"C20\"\nbattery = \"b\"\nfirst_address = 1\n\
                        blocks = 2\n";

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("evenkeel-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        dir
    }

    #[test]
    fn damaged_settings_fall_back_to_the_last_good_ones() {
        let dir = folder("settings");
        let file = dir.join("guard.toml");
        let good = GuardSettings::seal(BODY).expect("valid");
        replace(&file, &good).expect("written");
        let loaded = load(&file, &dir).expect("good");
        assert!(loaded.fallback.is_none());
        loaded.confirm(&dir);

        fs::write(&file, good.replace("7.0", "8.0")).expect("written");
        let loaded = load(&file, &dir).expect("the last good ones");
        assert_eq!(loaded.settings.batteries[0].capacity_ah, 7.0);
        let error = loaded.fallback.expect("a refusal");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(cause.contains("damaged"), "{cause}");

        fs::remove_file(&file).expect("removed");
        assert!(load(&file, &dir).expect("the last good ones").fallback.is_some());
        fs::remove_file(dir.join(LAST_GOOD)).expect("removed");
        assert!(load(&file, &dir).is_err(), "nothing left to stand on");
        fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn settings_that_never_come_to_a_cycle_are_given_up() {
        let dir = folder("tried");
        let file = dir.join("guard.toml");
        replace(&file, &GuardSettings::seal(BODY).expect("valid")).expect("written");
        for _ in 0..=TRIES_MAX {
            let only = load(&file, &dir).expect("good");
            assert!(only.fallback.is_none(), "nothing else could be in force");
        }
        load(&file, &dir).expect("good").confirm(&dir);
        let new = GuardSettings::seal(&BODY.replace("7.0", "8.0")).expect("valid");
        replace(&file, &new).expect("written");
        for _ in 0..TRIES_MAX {
            assert_eq!(load(&file, &dir).expect("tried").text, new);
        }
        let given_up = load(&file, &dir).expect("the last good ones");
        assert_eq!(given_up.settings.batteries[0].capacity_ah, 7.0);
        assert!(matches!(given_up.fallback, Some(Error::Tried(_))), "{:?}", given_up.fallback);
        given_up.confirm(&dir);
        assert!(load(&file, &dir).expect("good").fallback.is_some(), "they stay given up");
        // Others begin anew, and once they were good nothing is counted.
        let other = GuardSettings::seal(&BODY.replace("7.0", "9.0")).expect("valid");
        replace(&file, &other).expect("written");
        let loaded = load(&file, &dir).expect("tried");
        assert_eq!(
            (loaded.settings.batteries[0].capacity_ah, loaded.fallback.is_none()),
            (9.0, true)
        );
        loaded.confirm(&dir);
        assert!(!dir.join(TRIED).exists());
        fs::remove_dir_all(dir).expect("removed");
    }
}
