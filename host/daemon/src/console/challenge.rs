//! Questions between password and session: what an authenticator asks back, and
//! the code of the second factor.
//!
//! What belongs to a question stays here. The browser holds a secret in a cookie
//! that finds it once, for [`CHALLENGE_TIME`]; the page knows the question alone.

use super::access::{self, Entry};
use super::problem::Problem;
use super::remote::Visitor;
use super::session::{SessionId, Token};
use super::{Console, lock};
use crate::clock;
use evenkeel_core::time::Nanos;
use std::collections::HashMap;
use std::net::IpAddr;

/// A challenge is answered within this time.
pub const CHALLENGE_TIME: Nanos = Nanos::from_secs(120);
/// Cookie that finds a challenge.
pub const CHALLENGE_COOKIE: &str = "__Host-challenge";
/// Challenges that wait; the oldest goes for a further one.
const CHALLENGES_MAX: usize = 64;

/// A challenge that waits for its answer.
pub struct Pending {
    name: String,
    account: String,
    since: Nanos,
    /// What was asked.
    pub question: Question,
}

/// What is asked, and what its judge needs.
pub enum Question {
    /// An authenticator asks back.
    Authenticator {
        /// Which.
        via: String,
        /// What it wants to have again with the answer.
        state: Vec<u8>,
    },
    /// A code of a local user's second factor.
    Code,
}

/// All that wait, by the hash of their secret.
#[derive(Default)]
pub struct Challenges(HashMap<SessionId, Pending>);

impl Pending {
    /// A question to `visitor`, from now on.
    #[must_use]
    pub fn new(visitor: Visitor, question: Question) -> Self {
        let Visitor { name, account, .. } = visitor;
        Self { name, account, since: clock::now(), question }
    }

    /// Who has to answer it, from `from`.
    #[must_use]
    pub fn visitor(&self, from: IpAddr) -> Visitor {
        Visitor { name: self.name.clone(), account: self.account.clone(), from }
    }

    /// Wait for the answer to `prompt`.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub fn ask(self, console: &Console, prompt: String) -> Result<Entry, Problem> {
        let token = access::token()?;
        lock(&console.challenges).put(token.id(), self);
        let seconds = CHALLENGE_TIME.0 / 1_000_000_000;
        Ok(Entry::Asked { cookie: token.set_brief_cookie(CHALLENGE_COOKIE, seconds), prompt })
    }
}

/// The challenge behind a secret, which is used up.
pub fn take(console: &Console, token: &Token) -> Option<Pending> {
    lock(&console.challenges).take(token.id(), clock::now())
}

impl Challenges {
    fn put(&mut self, id: SessionId, pending: Pending) {
        let now = pending.since;
        self.0.retain(|_, p| now.since(p.since) < CHALLENGE_TIME);
        if self.0.len() >= CHALLENGES_MAX {
            let oldest = self.0.iter().min_by_key(|(_, p)| p.since).map(|(id, _)| *id);
            oldest.map(|id| self.0.remove(&id));
        }
        self.0.insert(id, pending);
    }

    fn take(&mut self, id: SessionId, now: Nanos) -> Option<Pending> {
        self.0.remove(&id).filter(|p| now.since(p.since) < CHALLENGE_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(second: u64) -> Pending {
        let since = Nanos::from_secs(second);
        let question = Question::Code;
        Pending { name: "a".into(), account: "a".into(), since, question }
    }

    #[test]
    fn a_challenge_is_found_once_in_its_time_and_there_are_not_many() {
        let id = || Token::random().expect("random numbers").id();
        let mut challenges = Challenges::default();
        let ids: Vec<_> = (0..80).map(|_| id()).collect();
        for (second, id) in (1_000..).zip(&ids) {
            challenges.put(*id, pending(second));
        }
        assert_eq!(challenges.0.len(), CHALLENGES_MAX);
        let now = Nanos::from_secs(1_080);
        assert!(challenges.take(ids[0], now).is_none(), "the oldest went");
        assert!(challenges.take(ids[79], now).is_some());
        assert!(challenges.take(ids[79], now).is_none(), "once");
        assert!(challenges.take(ids[78], Nanos::from_secs(1_078 + 119)).is_some());
        assert!(challenges.take(ids[77], Nanos::from_secs(1_077 + 120)).is_none(), "too late");
        assert!(challenges.take(id(), now).is_none());
        challenges.put(id(), pending(2_000));
        assert_eq!(challenges.0.len(), 1, "what is over is forgotten");
    }
}
