//! What the daemon and the keeper of the slots say to each other, over a local
//! socket: one line of JSON each way, at most [`LINE_MAX`] bytes with its end.
//!
//! The daemon is the face to the network and has no way to a slot; the keeper
//! is a small process with no network that judges every byte again. Behind the
//! line [`Ask::Install`] follow the bytes of the bundle from the place that it
//! names, and nothing else; the answer comes when the last is in, or at the
//! first that is refused.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Where the keeper listens.
pub const SOCKET: &str = "/run/evenkeel/slots.sock";
/// Longest line, in bytes.
pub const LINE_MAX: usize = 16 << 10;
/// Most plugins in a [`Health`].
pub const PLUGINS_MAX: usize = 64;

/// What the daemon asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// How it stands; answered by [`Answer::Status`].
    Status,
    /// How the appliance is doing; said every few seconds.
    Health(Health),
    /// Take a bundle in. Behind the line follow its bytes from `from` on.
    Install {
        /// Length of the whole bundle, in bytes.
        length: u64,
        /// Where the bytes begin: 0, or where [`Progress::taken`] is.
        from: u64,
    },
    /// Take a keyring into force, for firmware too. Behind the line follow its
    /// bytes.
    Keyring {
        /// Its length, in bytes.
        length: u32,
        /// The date, in seconds since 1970 UTC, where it is known.
        now_unix_s: Option<u64>,
    },
    /// Give up what is being or was installed.
    Abandon,
    /// Restart into what was installed.
    Activate,
    /// Restart into the other slot, which proved itself before.
    GoBack,
    /// What the running system closed stays closed: nothing older starts any
    /// more.
    MakePermanent,
    /// Restart, and make the data partition anew.
    FactoryReset {
        /// Whose word that is; told afterwards.
        order: super::Order,
    },
    /// What happened since it was asked last; answered by [`Answer::News`].
    News,
}

/// How the appliance is doing, as the daemon sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// The guard's cycles come in time.
    pub guard: bool,
    /// The console answered a request of its own.
    pub console: bool,
    /// Nothing that hangs on mains is known to be off.
    pub mains: bool,
    /// Names of the plugins that run and that a key of the platform signed, at
    /// most [`PLUGINS_MAX`], as in each of these lists.
    pub plugins: Vec<String>,
    /// Of those that run and that only keys of others signed.
    pub others: Vec<String>,
    /// Of those that do not run because that is a person's word: switched off,
    /// or waiting for consent to what the new version asks for.
    pub excused: Vec<String>,
}

/// What the keeper answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is not done.
    Refused {
        /// Why, for people.
        reason: String,
    },
    /// How it stands.
    Status(Box<Status>),
    /// What happened.
    News {
        /// In its order.
        news: Vec<News>,
    },
}

/// How it stands with the slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The slot that runs, `A` or `B`.
    pub slot: String,
    /// Version of what runs.
    pub version: String,
    /// Its epoch.
    pub epoch: u32,
    /// Least epoch that may start here.
    pub floor: u32,
    /// It was signed with a development key.
    pub development: bool,
    /// Number of the keyring that says whose firmware starts here; `None` where
    /// there are no roots, as in a workshop.
    pub keyring: Option<u32>,
    /// Root of the hash tree over what runs.
    pub root: String,
    /// Why the last start happened, for people.
    pub started_because: String,
    /// What runs is on trial.
    pub trial: Option<Trial>,
    /// The other slot.
    pub other: Other,
    /// What is being taken in.
    pub installing: Option<Progress>,
    /// After so many seconds of healthy running what runs becomes permanent by
    /// itself; `None`: it is.
    pub permanent_in_s: Option<u64>,
}

/// A new system that has not proved itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Starts that are left to it.
    pub tries_left: u8,
    /// For so long it has been healthy, in seconds.
    pub healthy_s: u64,
    /// What is missing, for people; `None`: nothing but time.
    pub missing: Option<String>,
    /// Plugins that ran before and do not now, which does not stand in its way.
    pub without: Vec<String>,
}

/// The slot that does not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Other {
    /// `empty`, `writing`, `ready`, `trial`, `good` or `bad`.
    pub state: String,
    /// Version of what it holds, when its header says so.
    pub version: Option<String>,
    /// Why it is bad or empty, for people.
    pub reason: Option<String>,
}

/// How far an installation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Version of the bundle.
    pub version: String,
    /// Bytes of it that were taken, checked and written.
    pub taken: u64,
    /// Its length in bytes.
    pub total: u64,
}

/// Something that happened to the slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "kebab-case", deny_unknown_fields)]
pub enum News {
    /// What runs proved healthy.
    Confirmed {
        /// Its version.
        version: String,
        /// Plugins that ran before it and do not now.
        without: Vec<String>,
    },
    /// The appliance went back to this slot.
    Returned {
        /// Version that was given up, when it is known.
        version: Option<String>,
        /// Why, for people.
        reason: String,
    },
    /// Nothing older starts any more.
    Permanent {
        /// Version of what runs.
        version: String,
        /// The least epoch from now on.
        floor: u32,
    },
    /// The data partition was made anew.
    Reset {
        /// Serial number of the appliance, which it kept; `None`: it had none.
        serial: Option<String>,
        /// Whose word that was.
        order: super::Order,
    },
}

impl super::SlotState {
    /// Its name, as in [`Other::state`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Writing => "writing",
            Self::Ready => "ready",
            Self::Trial => "trial",
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

/// One line with its end.
///
/// # Errors
/// When it would be longer than [`LINE_MAX`].
pub fn line(message: &impl Serialize) -> Result<Vec<u8>, LineError> {
    let mut bytes = serde_json::to_vec(message).map_err(LineError::Meaning)?;
    bytes.push(b'\n');
    if bytes.len() <= LINE_MAX { Ok(bytes) } else { Err(LineError::Length) }
}

/// Read a line, with or without its end.
///
/// # Errors
/// [`LineError`].
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, LineError> {
    if bytes.len() > LINE_MAX {
        return Err(LineError::Length);
    }
    serde_json::from_slice(bytes).map_err(LineError::Meaning)
}

/// Why a line is none.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Too long.
    #[error("the line has more than {LINE_MAX} bytes")]
    Length,
    /// Not what is agreed.
    #[error("the line means nothing: {0}")]
    Meaning(serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_go_both_ways() {
        let asks = [
            Ask::Status,
            Ask::Health(Health {
                guard: true,
                plugins: vec!["megatec".into()],
                ..Health::default()
            }),
            Ask::Install { length: 1 << 25, from: 4_096 },
            Ask::News,
        ];
        for ask in asks {
            let bytes = line(&ask).unwrap();
            assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(parse::<Ask>(&bytes).unwrap(), ask);
        }
        let news = vec![News::Returned { version: None, reason: "it\nhung".into() }];
        let bytes = line(&Answer::News { news: news.clone() }).unwrap();
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
        assert_eq!(parse::<Answer>(&bytes).unwrap(), Answer::News { news });
    }

    #[test]
    fn what_nobody_agreed_on_is_refused() {
        for text in [r#"{"ask":"reboot"}"#, r#"{"ask":"install","length":1}"#, "", "status"] {
            assert!(parse::<Ask>(text.as_bytes()).is_err(), "{text}");
        }
        let long = Health { plugins: vec!["x".repeat(LINE_MAX)], ..Health::default() };
        assert!(matches!(line(&Ask::Health(long)), Err(LineError::Length)));
        assert!(matches!(parse::<Ask>(&[b' '; LINE_MAX + 1]), Err(LineError::Length)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>) {
            let _ = parse::<Ask>(&bytes);
            let _ = parse::<Answer>(&bytes);
        }
    }
}
