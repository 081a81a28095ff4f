//! Other settings over the socket. Whoever may talk to the guard reads those in
//! force part by part and offers a text the same way; the guard judges it as it
//! judges its file, writes it to the file with its seal, and goes on with it. It
//! alone writes that file: what lies there was checked by what will run with it.
//!
//! One text is put together at a time. Whoever offers says its number at the end,
//! so that parts of two people never become settings.

use crate::settings_file::Loaded;
use evenkeel_core::command::{Answer, PART_MAX, Taking};
use evenkeel_core::settings::{GuardSettings, TEXT_MAX};
use evenkeel_core::time::Nanos;
use std::path::{Path, PathBuf};

/// What a running guard cannot change about itself.
#[derive(Debug)]
pub struct Bounds {
    /// Folders besides `/dev` in which it may open ports.
    pub ports: Vec<PathBuf>,
    /// The longest cycle that its watchdog bears.
    pub cycle_max: Option<Nanos>,
}

/// The settings in force, and what is offered in their place.
#[derive(Debug)]
pub struct Change<'a> {
    in_force: &'a Loaded,
    file: &'a Path,
    bounds: &'a Bounds,
    offered: Vec<u8>,
    taken: Option<Loaded>,
}

/// Settings that were offered, and are good.
#[derive(Debug)]
pub struct Candidate {
    settings: GuardSettings,
    sealed: String,
}

impl<'a> Change<'a> {
    /// Nothing is offered yet.
    pub const fn new(in_force: &'a Loaded, file: &'a Path, bounds: &'a Bounds) -> Self {
        Self { in_force, file, bounds, offered: Vec::new(), taken: None }
    }

    /// A part of the text in force.
    pub fn part(&self, from: u32) -> Answer {
        let text = GuardSettings::unsealed(&self.in_force.text).as_bytes();
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(text.len());
        let bytes = &text[from..text.len().min(from + PART_MAX)];
        let fallback = self.in_force.fallback.as_ref().map(|refusal| {
            let cause = std::error::Error::source(refusal).map(|cause| format!(": {cause}"));
            format!("{refusal}{}", cause.unwrap_or_default())
        });
        Answer::Settings {
            crc: self.in_force.crc,
            len: u32::try_from(text.len()).unwrap_or(u32::MAX),
            bytes: bytes.to_vec(),
            fallback,
        }
    }

    /// A part of a text.
    pub fn offer(&mut self, at: u32, bytes: &[u8]) -> Answer {
        if at == 0 {
            self.offered.clear();
        }
        let Ok(at) = usize::try_from(at) else { return refused("it is too long") };
        if at != self.offered.len() {
            return refused("somebody else offers settings at the same time; begin anew");
        }
        if at + bytes.len() > TEXT_MAX {
            self.offered = Vec::new();
            return refused(&format!("settings have at most {TEXT_MAX} bytes"));
        }
        self.offered.extend_from_slice(bytes);
        Answer::Done
    }

    /// Judge what was offered.
    ///
    /// # Errors
    /// In words: why it cannot be in force.
    pub fn judge(&self, wanted: Taking) -> Result<Candidate, String> {
        if wanted.instead_of != self.in_force.crc {
            return Err(format!(
                "other settings came into force meanwhile (number {:08x}); look at them first",
                self.in_force.crc
            ));
        }
        let text = std::str::from_utf8(&self.offered).ok();
        let text = text.filter(|text| GuardSettings::number(text) == wanted.crc);
        let text = text.ok_or("what arrived is not what was offered; offer it again")?;
        let sealed = GuardSettings::seal(text).map_err(|error| error.to_string())?;
        let settings = GuardSettings::parse(text).map_err(|error| error.to_string())?;
        self.bounds.check(&settings)?;
        Ok(Candidate { settings, sealed })
    }

    /// Keep what was judged: from the next cycle on it is in force.
    ///
    /// # Errors
    /// When it cannot be kept; nothing has changed then.
    pub fn take(&mut self, candidate: Candidate) -> Result<(), String> {
        let Candidate { settings, sealed } = candidate;
        let kept = Loaded::keep(settings, sealed, self.file).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        })?;
        self.offered = Vec::new();
        self.taken = Some(kept);
        Ok(())
    }

    /// Settings were taken, and those in force are to make way.
    pub const fn is_due(&self) -> bool {
        self.taken.is_some()
    }

    /// What was taken.
    pub fn taken(self) -> Option<Loaded> {
        self.taken
    }
}

impl Bounds {
    fn check(&self, settings: &GuardSettings) -> Result<(), String> {
        for (bus, number) in settings.buses.iter().zip(1..) {
            let folder = bus.port.parent().unwrap_or(Path::new(""));
            if !folder.starts_with("/dev") && !self.ports.iter().any(|known| known == folder) {
                return Err(format!(
                    "bus {number}, port: {} is in a folder that the running guard may not open; \
                     name a port in /dev, or seal the settings by hand and start the guard again",
                    bus.port.display()
                ));
            }
        }
        if self.cycle_max.is_some_and(|most| settings.cycle() > most) {
            let most = self.cycle_max.map_or(0, Nanos::as_millis);
            return Err(format!("cycle_ms: the watchdog bears {most} at most"));
        }
        Ok(())
    }
}

fn refused(why: &str) -> Answer {
    Answer::Refused(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "[[bus]]\nport = \"/dev/null\"\n[[battery]]\nname = \"b\"\n\
                        chemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n[[string]]\n\
                        name = \"A\"\nmodule = \"C20\"\nbattery = \"b\"\nfirst_address = 1\n\
                        blocks = 2\n";

    fn in_force() -> Loaded {
        let text = GuardSettings::seal(BODY).expect("valid");
        let settings = GuardSettings::parse(BODY).expect("valid");
        Loaded { settings, text, crc: GuardSettings::number(BODY), fallback: None }
    }

    fn bounds() -> Bounds {
        Bounds { ports: vec!["/run/ports".into()], cycle_max: Some(Nanos::from_secs(3)) }
    }

    /// Offer `text` whole and have it judged.
    fn judged(change: &mut Change<'_>, text: &str) -> Result<Candidate, String> {
        let mut at = 0;
        for part in text.as_bytes().chunks(PART_MAX) {
            assert_eq!(change.offer(at, part), Answer::Done);
            at += part.len() as u32;
        }
        let instead_of = GuardSettings::number(BODY);
        change.judge(Taking { crc: GuardSettings::number(text), instead_of, despite_alarm: false })
    }

    #[test]
    fn the_text_in_force_is_read_part_by_part() {
        let long = format!("{BODY}{}", "# a remark\n".repeat(1_000));
        let text = GuardSettings::seal(&long).expect("valid");
        let (in_force, bounds) = (Loaded { text, ..in_force() }, bounds());
        let change = Change::new(&in_force, Path::new("/absent"), &bounds);
        let mut read = Vec::new();
        loop {
            let Answer::Settings { len, bytes, fallback: None, .. } =
                change.part(read.len() as u32)
            else {
                panic!("no part")
            };
            assert_eq!(len as usize, long.len());
            if bytes.is_empty() {
                break;
            }
            read.extend(bytes);
        }
        assert_eq!(read, long.as_bytes());
        let Answer::Settings { bytes, .. } = change.part(u32::MAX) else { panic!("no part") };
        assert!(bytes.is_empty());
    }

    #[test]
    fn what_is_good_is_kept_and_what_is_not_leaves_the_file_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("guard.toml");
        let (in_force, bounds) = (in_force(), bounds());
        let mut change = Change::new(&in_force, &file, &bounds);
        for (from, to, why) in [
            ("blocks = 2", "blocks = 0", "string 1, blocks"),
            ("/dev/null", "/tmp/port", "may not open"),
            ("[[bus]]", "cycle_ms = 8000\n[[bus]]", "watchdog bears 3000"),
            ("[[bus]]", "[[bus", "cannot be read"),
        ] {
            let error = judged(&mut change, &BODY.replace(from, to)).expect_err(why);
            assert!(error.contains(why), "{why}: {error}");
        }
        for text in [BODY.replace("/dev/null", "/run/ports/bus0"), BODY.replace("7.0", "8.0")] {
            let candidate = judged(&mut change, &text).expect("good");
            assert!(!change.is_due() && !file.exists(), "judging changes nothing");
            let seen = Change::new(&in_force, Path::new("/absent/file"), &bounds).take(candidate);
            assert!(seen.expect_err("no folder").contains("cannot be written"));
        }
        let text = BODY.replace("7.0", "8.0");
        let candidate = judged(&mut change, &text).expect("good");
        change.take(candidate).expect("kept");
        let kept = std::fs::read_to_string(&file).expect("there");
        assert_eq!(GuardSettings::load(&kept).expect("sealed").1, GuardSettings::number(&text));
        assert_eq!(change.taken().map(|taken| taken.crc), Some(GuardSettings::number(&text)));
    }

    #[test]
    fn parts_of_two_people_never_become_settings() {
        let (in_force, bounds) = (in_force(), bounds());
        let mut change = Change::new(&in_force, Path::new("/absent"), &bounds);
        assert_eq!(change.offer(0, b"one"), Answer::Done);
        assert_eq!(change.offer(0, b"other"), Answer::Done);
        assert!(matches!(change.offer(3, b"one"), Answer::Refused(_)));
        let crc = GuardSettings::number("oneone");
        let instead_of = in_force.crc;
        let wanted = Taking { crc, instead_of, despite_alarm: false };
        assert!(change.judge(wanted).expect_err("mixed").contains("offer it again"));
        let stale = change.judge(Taking { instead_of: instead_of ^ 1, ..wanted });
        assert!(stale.expect_err("seen others").contains("came into force meanwhile"));
        let much = vec![b'#'; PART_MAX];
        let most = TEXT_MAX / PART_MAX;
        assert_eq!(change.offer(0, &much), Answer::Done);
        let answers: Vec<_> =
            (1..=most).map(|n| change.offer((n * PART_MAX) as u32, &much)).collect();
        assert!(matches!(answers.last(), Some(Answer::Refused(why)) if why.contains("at most")));
    }
}
