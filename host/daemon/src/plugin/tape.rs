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
//! What is recorded can be sensitive: what came from the network, values of the
//! plugin's store, the value of a command. Recordings are files of the daemon's
//! user alone, until an administrator hands one out. Three things are in none:
//! - secret settings and granted secrets: the plugin is not told them, so that
//!   they pass neither place ([`crate::plugin::load::Package::told`]). Settings
//!   of a driver of 0.1 that has no schema are told and recorded, all of them;
//! - what was [computed](Tape::withheld) with a secret, from which a weak one
//!   could be guessed: zeros stand for it, and behind the first of them a
//!   replay may take another course, which it says;
//! - the [password](masked) of somebody who signs in.
//!
//! A recording begins with the start of the instance: one that began in the
//! middle could not be repeated. Of a long one beginning and end are kept
//! ([`reel`]); how many calls are missing stands between them. Behind such a gap
//! the instance is no longer as it was then, so playing is the best that can be
//! done: calls come with their inputs, and an answer of the host is the next
//! recorded one of the same function.

pub mod heard;
pub mod reel;

use crate::caps::one_line;
use crate::plugin::bindings::{gate, login, sink};
use core::marker::PhantomData;
use reel::Reel;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wasmtime::component::HasData;

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
    /// So many calls into it are not here.
    Gap { calls: u64 },
}

/// A call on a tape, for people.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What it was called with.
    pub input: Input,
    /// The host's functions that it called meanwhile, in order.
    pub host_calls: Vec<String>,
}

/// Records, or plays a recording.
#[derive(Debug)]
pub struct Tape(Mode);

impl core::fmt::Display for Heard {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const LEN_MAX: usize = 2_000;
        let (input, calls) = (format!("{:?}", self.input), self.host_calls.join(", "));
        let (input, calls) = (one_line(&input, LEN_MAX), one_line(&calls, LEN_MAX));
        match calls.is_empty() {
            true => write!(f, "{input}"),
            false => write!(f, "{input}, in which it called {calls}"),
        }
    }
}

#[derive(Debug)]
enum Mode {
    Recording(Reel),
    Playing(Player),
}

/// A recording that is played.
#[derive(Debug)]
struct Player {
    bytes: Vec<u8>,
    at: usize,
    /// Calls that are missing in front of what is played now.
    gap: Option<u64>,
    diverged: Option<String>,
    /// Answers that were zeros instead of what was computed with a secret.
    withheld: u64,
}

impl Default for Tape {
    fn default() -> Self {
        Self(Mode::Recording(Reel::default()))
    }
}

impl Tape {
    /// A tape that gives the recorded answers.
    #[must_use]
    pub const fn playing(bytes: Vec<u8>) -> Self {
        Self(Mode::Playing(Player { bytes, at: 0, gap: None, diverged: None, withheld: 0 }))
    }

    /// What was recorded, and what is missing; nothing when it is played.
    #[must_use]
    pub fn recorded(&self) -> (Vec<u8>, Option<String>) {
        let Mode::Recording(reel) = &self.0 else { return (Vec::new(), None) };
        let (head, tail, missing) = reel.kept();
        let gap = missing.filter(|missing| missing.between > 0);
        let gap =
            gap.map_or_else(Vec::new, |missing| Entry::Gap { calls: missing.between }.bytes());
        ([head, &gap, &tail].concat(), missing.map(|missing| missing.to_string()))
    }

    /// Where the plugin took another course than the recording, if it did.
    #[must_use]
    pub fn diverged(&self) -> Option<&str> {
        match &self.0 {
            Mode::Recording(_) => None,
            Mode::Playing(player) => player.diverged.as_deref(),
        }
    }

    /// Answers so far that the plugin did not get as they were, because they
    /// were computed with a secret.
    #[must_use]
    pub const fn withheld_count(&self) -> u64 {
        match &self.0 {
            Mode::Recording(_) => 0,
            Mode::Playing(player) => player.withheld,
        }
    }

    /// The last call in a recording.
    #[must_use]
    pub fn last_call(bytes: &[u8]) -> Option<Heard> {
        let (mut at, mut last) = (0, None::<Heard>);
        while let Some(entry) = take(bytes, &mut at) {
            match (entry, &mut last) {
                (Entry::Call(input), last) => *last = Some(Heard { input, host_calls: Vec::new() }),
                (Entry::Host { call, .. }, Some(heard)) => heard.host_calls.push(call),
                _ => {}
            }
        }
        last
    }

    /// The plugin is about to be called.
    pub fn call(&mut self, input: impl FnOnce() -> Input) {
        if let Mode::Recording(reel) = &mut self.0 {
            reel.push(&Entry::Call(input()).bytes(), true);
        }
    }

    /// The next call to be played; `None` at the end.
    pub fn next_call(&mut self) -> Option<Input> {
        let Mode::Playing(player) = &mut self.0 else { return None };
        loop {
            match take(&player.bytes, &mut player.at)? {
                Entry::Call(input) => return Some(input),
                Entry::Gap { calls } => player.gap = Some(calls),
                Entry::Host { call, .. } => {
                    player.diverge(&format!("it did not call {call}"));
                    player.gap?;
                }
            }
        }
    }

    /// The host's answer to `call`: made and recorded, or as it was recorded.
    fn host<R: Serialize + DeserializeOwned>(&mut self, call: &str, make: impl FnOnce() -> R) -> R {
        self.answer(call, make, |answer| bytes(answer))
    }

    /// [`host`](Self::host) for bytes that were computed with a secret: so many
    /// zeros are recorded in their place.
    fn withheld<E, T>(
        &mut self,
        call: &str,
        make: impl FnOnce() -> Result<Result<Vec<u8>, E>, T>,
    ) -> Result<Result<Vec<u8>, E>, T>
    where
        E: Serialize + DeserializeOwned,
        T: Serialize + DeserializeOwned,
    {
        let answer = self.answer(call, make, |answer| match answer {
            Ok(Ok(computed)) => bytes(&Ok::<_, T>(Ok::<_, E>(vec![0_u8; computed.len()]))),
            told => bytes(told),
        });
        if let (Mode::Playing(player), Ok(Ok(_))) = (&mut self.0, &answer) {
            player.withheld += 1;
        }
        answer
    }

    /// The answer to `call`, of which `said` is recorded.
    fn answer<R: DeserializeOwned>(
        &mut self,
        call: &str,
        make: impl FnOnce() -> R,
        said: impl FnOnce(&R) -> Vec<u8>,
    ) -> R {
        match &mut self.0 {
            Mode::Recording(reel) => {
                let answer = make();
                let bytes = said(&answer);
                let entry = Entry::Host { call: call.to_owned(), answer: bytes };
                reel.push(&entry.bytes(), false);
                answer
            }
            Mode::Playing(player) => player.answer(call).unwrap_or_else(|| {
                player.diverge(&format!("it called {call}, and that was not recorded there"));
                make()
            }),
        }
    }

    /// The host's functions that were called, in order.
    #[cfg(test)]
    pub(crate) fn calls(bytes: &[u8]) -> Vec<String> {
        let mut at = 0;
        let entries = std::iter::from_fn(|| take(bytes, &mut at));
        let call = |entry| match entry {
            Entry::Host { call, .. } => Some(call),
            Entry::Call(_) | Entry::Gap { .. } => None,
        };
        entries.filter_map(call).collect()
    }
}

impl Player {
    /// The recorded answer to `call`, which comes next; behind a gap, the next
    /// one within the call that is played.
    fn answer<R: DeserializeOwned>(&mut self, call: &str) -> Option<R> {
        if self.diverged.is_some() && self.gap.is_none() {
            return None;
        }
        let mut at = self.at;
        while let Some(Entry::Host { call: recorded, answer }) = take(&self.bytes, &mut at) {
            if recorded == call {
                self.at = at;
                return postcard::from_bytes(&answer).ok();
            }
            self.gap?;
            self.diverge(&format!("it did not call {recorded}"));
        }
        None
    }

    /// Kept is the first.
    fn diverge(&mut self, how: &str) {
        if self.diverged.is_none() {
            let behind =
                self.gap.map(|calls| format!("behind the {calls} calls that are missing, "));
            self.diverged = Some(behind.unwrap_or_default() + how);
        }
    }
}

impl Entry {
    fn bytes(&self) -> Vec<u8> {
        bytes(self)
    }
}

/// Entries and answers are plain data, which always can be written.
fn bytes(data: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(data).unwrap_or_default()
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

    /// The same for what is computed with a secret.
    fn withheld<E: Serialize + DeserializeOwned>(
        &mut self,
        call: &str,
        make: impl FnOnce(&mut T) -> wasmtime::Result<Result<Vec<u8>, E>>,
    ) -> wasmtime::Result<Result<Vec<u8>, E>> {
        let host = &mut *self.host;
        let made = self.tape.withheld(call, || make(host).map_err(|e| e.root_cause().to_string()));
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
        let mut tape = Tape::playing(bytes);
        assert!(matches!(tape.next_call(), Some(Input::Wake)));
        assert_eq!(tape.host("a", || -> u32 { panic!("made again") }), 7);
        let text = tape.host("b", || -> Option<String> { panic!("made again") });
        assert_eq!(text.as_deref(), Some("text"));
        assert!(matches!(tape.next_call(), Some(Input::Save)));
        assert!(tape.next_call().is_none() && tape.diverged().is_none());
    }

    #[test]
    fn another_course_is_noticed() {
        let mut tape = Tape::default();
        tape.host("a", || 7_u32);
        let bytes = tape.recorded().0;
        let mut other = Tape::playing(bytes.clone());
        assert_eq!(other.host("b", || 1_u32), 1);
        assert!(other.diverged().is_some_and(|how| how.contains("called b")));
        assert!(Tape::playing(bytes).next_call().is_none());
    }

    /// Calls of 10 kB each, numbered by their names.
    fn long(calls: u32) -> (Vec<u8>, Option<String>) {
        let mut tape = Tape::default();
        for n in 0..calls {
            tape.call(|| Input::Command { name: format!("call-{n}"), value: None });
            tape.host("a", || vec![0_u8; 10_000]);
            tape.host("b", || n);
        }
        tape.recorded()
    }

    #[test]
    fn a_full_tape_keeps_its_beginning_and_its_end_and_says_so() {
        let (bytes, gap) = long(1_000);
        assert!(bytes.len() <= reel::HEAD_BYTES_MAX + reel::TAIL_BYTES_MAX + 20);
        assert!(gap.is_some_and(|gap| gap.ends_with("and not the 975 between them")));
        let last = Tape::last_call(&bytes).expect("there");
        assert!(matches!(last.input, Input::Command { name, .. } if name == "call-999"));
        assert_eq!(last.host_calls, ["a", "b"]);
        let mut tape = Tape::playing(bytes);
        let mut played = Vec::new();
        while let Some(Input::Command { name, .. }) = tape.next_call() {
            tape.host("a", || -> Vec<u8> { panic!("made again") });
            played.push((name, tape.host("b", || -> u32 { panic!("made again") })));
        }
        assert_eq!((played.len(), tape.diverged()), (25, None));
        let seen = |at: usize| (played[at].0.as_str(), played[at].1);
        assert_eq!((seen(0), seen(15)), (("call-0", 0), ("call-15", 15)));
        assert_eq!((seen(16), seen(24)), (("call-991", 991), ("call-999", 999)));
        assert_eq!(long(20).1, None, "as long as nothing is lost nothing is said");
    }

    #[test]
    fn behind_a_gap_it_goes_on_whatever_the_plugin_does() {
        let mut tape = Tape::playing(long(1_000).0);
        for _ in 0..16 {
            assert!(tape.next_call().is_some());
            tape.host("a", Vec::<u8>::new);
            tape.host("b", || 0_u32);
        }
        assert!(tape.next_call().is_some() && tape.diverged().is_none());
        assert_eq!(tape.host("b", || 0_u32), 991, "the next of the same function");
        let how = tape.diverged().map(str::to_owned);
        assert_eq!(
            how.as_deref(),
            Some("behind the 975 calls that are missing, it did not call a")
        );
        assert!(tape.next_call().is_some());
        assert_eq!(tape.host("c", || 7_u32), 7, "made, for want of a recorded one");
        assert_eq!(tape.host("b", || 0_u32), 992);
        let rest = std::iter::from_fn(|| tape.next_call()).count();
        assert_eq!(rest, 7, "up to the last call");
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
        let bytes = tape.recorded().0;
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
