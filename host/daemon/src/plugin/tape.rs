//! The flight recorder: everything that a plugin's behaviour depends on, in
//! order, so that a failure can be repeated exactly (facts/wasm-host.md §15).
//!
//! A component computes; what it computes from are the calls into it and the
//! results of its calls to the host. Both pass through one place each: calls
//! into it through [`Tape::call`], and calls to the host through [`Taped`], in
//! which the linker wraps every capability ([`crate::caps::OFFERS`]). The
//! bindings' traits have to be implemented for it ([`heard`]), so no interface
//! and no function can be forgotten.
//!
//! What is recorded can be sensitive: what came from the network, values of
//! the plugin's store, digests that were computed with a secret. Recordings are
//! files of the daemon's user alone. A password is never in one.
//!
//! A recording begins with the start of the instance and ends when it is full:
//! one that began in the middle could not be repeated. What is missing is told
//! in its `gap`.

pub mod heard;

use crate::plugin::bindings::{gate, login, sink};
use core::marker::PhantomData;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wasmtime::component::HasData;

/// Longest recording in bytes.
pub const BYTES_MAX: usize = 256 << 10;

/// A call into a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Input {
    /// `start`
    Start {
        /// The administrator's.
        settings: BTreeMap<String, String>,
        /// What the instance before it saved.
        previous: Option<Vec<u8>>,
    },
    /// `wake`, in 0.1 `poll`
    Wake,
    /// `save`
    Save,
    /// `command` of a driver
    Command {
        /// Its name.
        name: String,
        /// Its value.
        value: Option<String>,
    },
    /// `serve` of a gateway
    Serve {
        /// Name of the listener.
        listener: String,
        /// The connection.
        connection: u64,
        /// What arrived.
        data: Vec<u8>,
    },
    /// `closed` of a gateway
    Closed {
        /// The connection.
        connection: u64,
    },
    /// `notify` of a notifier
    Notify(sink::Event),
    /// `authenticate` of an authenticator, without the [password](masked)
    Authenticate(login::Attempt),
    /// `judge` of a licence gate
    Judge {
        /// Serial number of the appliance.
        device: String,
        /// The time.
        utc_s: Option<u64>,
        /// Licence keys.
        keys: Vec<gate::Key>,
    },
}

/// One thing that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Entry {
    /// It was called.
    Call(Input),
    /// It called, and this was the answer.
    Host { call: String, answer: Vec<u8> },
}

/// Records, or plays a recording.
#[derive(Debug)]
pub struct Tape(Mode);

#[derive(Debug)]
enum Mode {
    Recording { bytes: Vec<u8>, gap: Option<String> },
    Playing { bytes: Vec<u8>, at: usize, diverged: Option<String> },
}

impl Default for Tape {
    fn default() -> Self {
        Self(Mode::Recording { bytes: Vec::new(), gap: None })
    }
}

impl Tape {
    /// A tape that gives the recorded answers.
    #[must_use]
    pub const fn playing(bytes: Vec<u8>) -> Self {
        Self(Mode::Playing { bytes, at: 0, diverged: None })
    }

    /// What was recorded, and what is missing.
    #[must_use]
    pub fn recorded(&self) -> (&[u8], Option<&str>) {
        match &self.0 {
            Mode::Recording { bytes, gap } => (bytes, gap.as_deref()),
            Mode::Playing { bytes, diverged, .. } => (bytes, diverged.as_deref()),
        }
    }

    /// The plugin is about to be called.
    pub fn call(&mut self, input: impl FnOnce() -> Input) {
        if let Mode::Recording { gap: None, .. } = &self.0 {
            self.push(&Entry::Call(input()));
        }
    }

    /// The next call to be played; `None` at the end.
    pub fn next_call(&mut self) -> Option<Input> {
        let Mode::Playing { bytes, at, .. } = &mut self.0 else { return None };
        match take(bytes, at)? {
            Entry::Call(input) => Some(input),
            Entry::Host { call, .. } => {
                self.diverge(format!("it did not call {call}"));
                None
            }
        }
    }

    /// The host's answer to `call`: made and recorded, or as it was recorded.
    fn host<R: Serialize + DeserializeOwned>(&mut self, call: &str, make: impl FnOnce() -> R) -> R {
        match &mut self.0 {
            Mode::Recording { gap: Some(_), .. } => make(),
            Mode::Recording { .. } => {
                let answer = make();
                // These are plain data, which always can be written.
                let bytes = postcard::to_allocvec(&answer).unwrap_or_default();
                self.push(&Entry::Host { call: call.to_owned(), answer: bytes });
                answer
            }
            Mode::Playing { bytes, at, diverged } => {
                if diverged.is_none()
                    && let Some(Entry::Host { call: recorded, answer }) = take(bytes, at)
                    && recorded == call
                    && let Ok(answer) = postcard::from_bytes(&answer)
                {
                    return answer;
                }
                self.diverge(format!("it called {call}, and that was not recorded there"));
                make()
            }
        }
    }

    /// The host's functions that were called, in order.
    #[cfg(test)]
    pub(crate) fn calls(bytes: &[u8]) -> Vec<String> {
        let mut at = 0;
        let entries = std::iter::from_fn(|| take(bytes, &mut at));
        let call = |entry| match entry {
            Entry::Host { call, .. } => Some(call),
            Entry::Call(_) => None,
        };
        entries.filter_map(call).collect()
    }

    fn push(&mut self, entry: &Entry) {
        let Mode::Recording { bytes, gap } = &mut self.0 else { return };
        let entry = postcard::to_allocvec(entry).unwrap_or_default();
        if bytes.len() + entry.len() > BYTES_MAX {
            *gap = Some(format!("the recording was full after {} bytes", bytes.len()));
        } else {
            bytes.extend_from_slice(&entry);
        }
    }

    fn diverge(&mut self, how: String) {
        if let Mode::Playing { diverged: diverged @ None, .. } = &mut self.0 {
            *diverged = Some(how);
        }
    }
}

fn take(bytes: &[u8], at: &mut usize) -> Option<Entry> {
    let (entry, rest) = postcard::take_from_bytes(bytes.get(*at..)?).ok()?;
    *at = bytes.len() - rest.len();
    Some(entry)
}

/// An attempt as it is recorded: a password belongs into no file. As long as
/// it was, so that what depends on its length alone is repeated.
#[must_use]
pub fn masked(attempt: &login::Attempt) -> login::Attempt {
    login::Attempt { password: "*".repeat(attempt.password.len()), ..attempt.clone() }
}

/// A capability with the tape that hears it.
pub struct Taped<'a, T> {
    /// The capability.
    pub host: &'a mut T,
    /// The tape.
    pub tape: &'a mut Tape,
}

/// [`Taped`] for the linker.
pub struct HasTaped<T>(PhantomData<T>);

impl<T: 'static> HasData for HasTaped<T> {
    type Data<'a> = Taped<'a, T>;
}

impl<T> Taped<'_, T> {
    /// A call that may end in a trap, of which the text is recorded.
    fn trappable<R: Serialize + DeserializeOwned>(
        &mut self,
        call: &str,
        make: impl FnOnce(&mut T) -> wasmtime::Result<R>,
    ) -> wasmtime::Result<R> {
        let host = &mut *self.host;
        let made = self.tape.host(call, || make(host).map_err(|e| e.root_cause().to_string()));
        made.map_err(wasmtime::Error::msg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_in_order_and_are_not_made_again() {
        let mut tape = Tape::default();
        tape.call(|| Input::Wake);
        assert_eq!(tape.host("a", || 7_u32), 7);
        assert_eq!(tape.host("b", || Some("text".to_owned())).as_deref(), Some("text"));
        tape.call(|| Input::Save);
        let (bytes, gap) = tape.recorded();
        assert_eq!(gap, None);
        let mut tape = Tape::playing(bytes.to_vec());
        assert!(matches!(tape.next_call(), Some(Input::Wake)));
        assert_eq!(tape.host("a", || -> u32 { panic!("made again") }), 7);
        let text = tape.host("b", || -> Option<String> { panic!("made again") });
        assert_eq!(text.as_deref(), Some("text"));
        assert!(matches!(tape.next_call(), Some(Input::Save)));
        assert!(tape.next_call().is_none() && tape.recorded().1.is_none());
    }

    #[test]
    fn another_course_is_noticed() {
        let mut tape = Tape::default();
        tape.host("a", || 7_u32);
        let bytes = tape.recorded().0.to_vec();
        let mut other = Tape::playing(bytes.clone());
        assert_eq!(other.host("b", || 1_u32), 1);
        assert!(other.recorded().1.is_some_and(|how| how.contains("called b")));
        assert!(Tape::playing(bytes).next_call().is_none());
    }

    #[test]
    fn a_full_tape_stops_and_says_so() {
        let mut tape = Tape::default();
        for _ in 0..100 {
            tape.host("a", || vec![0_u8; 10_000]);
        }
        let (bytes, gap) = tape.recorded();
        assert!(bytes.len() <= BYTES_MAX && bytes.len() > BYTES_MAX - 20_000);
        assert!(gap.is_some_and(|gap| gap.contains("full")));
    }

    #[test]
    fn a_password_is_in_no_recording() {
        let attempt = login::Attempt {
            user: "ada".into(),
            password: "hunter2é".into(),
            peer: "192.0.2.7".into(),
            state: Some(vec![1]),
        };
        let mut tape = Tape::default();
        tape.call(|| Input::Authenticate(masked(&attempt)));
        let bytes = tape.recorded().0.to_vec();
        assert!(!bytes.windows(7).any(|part| part == b"hunter2"));
        let Some(Input::Authenticate(played)) = Tape::playing(bytes).next_call() else {
            panic!("recorded");
        };
        assert_eq!((played.user.as_str(), played.password.as_str()), ("ada", "*********"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_recording_without_a_panic(bytes: Vec<u8>) {
            let mut tape = Tape::playing(bytes);
            while tape.next_call().is_some() {}
            tape.host("a", || 7_u32);
        }
    }
}
