//! The settings file and its last good copy.
//!
//! A file that is missing, damaged or senseless never stops the guard as long
//! as it once had good settings: those go on, and the refusal is said loudly
//! (standard error, and a condition in the process image).

use evenkeel_core::settings::{GuardSettings, SettingsError};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Longest settings file, bytes.
const FILE_MAX: u64 = 256 * 1024;
const LAST_GOOD: &str = "guard-settings.last-good.toml";

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
}

/// Settings in force.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: GuardSettings,
    /// Number of their seal.
    pub crc: u32,
    /// Why the file itself is not in force, if it is not.
    pub fallback: Option<Error>,
}

/// Load the settings, or the last good ones; remember good ones.
///
/// # Errors
/// When neither the file nor a last good copy can be used.
pub fn load(file: &Path, state_dir: &Path) -> Result<Loaded, Error> {
    let last_good = state_dir.join(LAST_GOOD);
    match load_one(file) {
        Ok((settings, crc, text)) => {
            if read_text(&last_good).ok().as_deref() != Some(text.as_str())
                && let Err(error) = replace(&last_good, &text)
            {
                // Protecting now matters more than being able to fall back later.
                crate::say(&format!("{error}; there is no copy to fall back to"));
            }
            Ok(Loaded { settings, crc, fallback: None })
        }
        Err(refusal) => match load_one(&last_good) {
            Ok((settings, crc, _)) => Ok(Loaded { settings, crc, fallback: Some(refusal) }),
            Err(_) => Err(refusal),
        },
    }
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

fn load_one(path: &Path) -> Result<(GuardSettings, u32, String), Error> {
    let text = read_text(path)?;
    let (settings, crc) = GuardSettings::load(&text)
        .map_err(|source| Error::Refused { path: path.to_owned(), source })?;
    Ok((settings, crc, text))
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
        assert!(load(&file, &dir).expect("good").fallback.is_none());

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
}
