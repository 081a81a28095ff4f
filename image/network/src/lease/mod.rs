//! An address from a server (DHCP, RFC 2131), as a state machine: bytes and the
//! time come in, bytes and changes come out; nothing is sent or waited for here.
//!
//! Terms: *selecting*, asking who lends; *requesting*, asking one for what it
//! offered; *held*, having a lease. A held lease is renewed with its server at
//! half its time, with anybody at seven eighths, and given up when it ends,
//! whoever is silent.
//!
//! Not done: remembering a lease over a restart, and looking whether somebody
//! else has the address already (ARP, DECLINE).

#[cfg(test)]
mod tests;
pub mod wire;

use core::net::Ipv4Addr;
use std::time::Duration;
use wire::{Heard, Kind, Question, Terms};

/// How often one server is asked for what it offered.
const REQUESTS_MAX: u32 = 4;
/// Time to the next question, at first; it doubles.
const AGAIN: Duration = Duration::from_secs(4);
/// So often it doubles: to 64 s.
const DOUBLINGS_MAX: u32 = 4;
/// Least time between two questions for renewal.
const RENEW_AGAIN: Duration = Duration::from_secs(60);

/// A client at one interface. Times are since any one moment.
#[derive(Clone, Debug)]
pub struct Client {
    hardware: [u8; 6],
    host_name: Option<String>,
    phase: Phase,
    /// Of the last question.
    transaction: u32,
    /// When it began to ask.
    began: Duration,
    /// Of the last question.
    asked: Duration,
    /// Questions in this phase.
    questions: u32,
    /// Refusals in a row.
    refusals: u32,
    due: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Selecting,
    Requesting(Terms),
    Held { terms: Terms, since: Duration },
}

/// What a step comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// To be sent.
    pub send: Option<Packet>,
    /// What it means for the interface.
    pub change: Option<Change>,
}

/// Something to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// To whom, at the port of servers.
    pub to: Ipv4Addr,
}

/// What happened to the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there, or was renewed.
    Got(Terms),
    /// It is gone: the address may not be used any more.
    Lost,
}

impl Client {
    /// One that asks at once.
    #[must_use]
    pub fn new(hardware: [u8; 6], host_name: Option<String>, now: Duration) -> Self {
        Self {
            hardware,
            host_name,
            phase: Phase::Selecting,
            transaction: 0,
            began: now,
            asked: now,
            questions: 0,
            refusals: 0,
            due: now,
        }
    }

    /// When to [`tick`](Self::tick) next.
    #[must_use]
    pub const fn due(&self) -> Duration {
        self.due
    }

    /// The lease, and when it ends.
    #[must_use]
    pub const fn lease(&self) -> Option<(&Terms, Duration)> {
        match &self.phase {
            Phase::Held { terms, since } => Some((terms, since.saturating_add(terms.lease))),
            _ => None,
        }
    }

    /// It is `now`; `random` is any number that nobody guesses.
    pub fn tick(&mut self, now: Duration, random: u32) -> Step {
        if now < self.due {
            return Step::default();
        }
        match self.phase.clone() {
            Phase::Selecting => self.discover(now, random),
            Phase::Requesting(_) if self.questions >= REQUESTS_MAX => {
                self.begin(now);
                self.discover(now, random)
            }
            Phase::Requesting(terms) => self.request(&terms, now),
            Phase::Held { terms, since } => self.keep(&terms, since, now, random),
        }
    }

    /// These bytes came.
    pub fn hear(&mut self, bytes: &[u8], now: Duration) -> Step {
        if self.questions == 0 {
            // Nothing was asked that it could answer.
            return Step::default();
        }
        // What is garbled or another's is passed over: anybody can send it.
        let Ok(heard) = wire::parse(bytes, self.transaction, self.hardware) else {
            return Step::default();
        };
        match (self.phase.clone(), heard) {
            (Phase::Selecting, Heard::Offer(terms)) => {
                self.phase = Phase::Requesting(terms.clone());
                self.questions = 0;
                self.request(&terms, now)
            }
            (Phase::Requesting(offered), Heard::Ack(terms))
                if (terms.server, terms.address) == (offered.server, offered.address) =>
            {
                self.hold(terms)
            }
            (Phase::Requesting(offered), Heard::Nak(server)) if server == offered.server => {
                self.refusals = self.refusals.saturating_add(1);
                self.begin(now);
                // One that refuses what it offers is not to be kept busy.
                self.due = now + pause(self.refusals - 1);
                Step::default()
            }
            (Phase::Held { terms: held, since }, Heard::Ack(terms))
                if terms.address == held.address && now < since.saturating_add(held.lease) =>
            {
                self.hold(terms)
            }
            (Phase::Held { terms: held, since }, Heard::Nak(server))
                if server == held.server || now >= since.saturating_add(held.rebind) =>
            {
                self.begin(now);
                Step { send: None, change: Some(Change::Lost) }
            }
            _ => Step::default(),
        }
    }

    /// From the start again.
    fn begin(&mut self, now: Duration) {
        self.phase = Phase::Selecting;
        (self.began, self.due, self.questions) = (now, now, 0);
    }

    fn hold(&mut self, terms: Terms) -> Step {
        // It counts from the question: the answer may have taken its time.
        self.due = self.asked.saturating_add(terms.renew);
        self.phase = Phase::Held { terms: terms.clone(), since: self.asked };
        (self.questions, self.refusals) = (0, 0);
        Step { send: None, change: Some(Change::Got(terms)) }
    }

    fn discover(&mut self, now: Duration, random: u32) -> Step {
        if self.questions == 0 {
            self.transaction = random;
        }
        // So that many that were switched on together do not stay together.
        let jitter = Duration::from_millis(u64::from(random >> 8) % 2_000);
        self.due = now + pause(self.questions) - Duration::from_secs(1) + jitter;
        self.say(Kind::Discover, Ipv4Addr::BROADCAST, now)
    }

    fn request(&mut self, terms: &Terms, now: Duration) -> Step {
        self.due = now + pause(self.questions);
        let kind = Kind::Request { address: terms.address, server: terms.server };
        self.say(kind, Ipv4Addr::BROADCAST, now)
    }

    fn keep(&mut self, terms: &Terms, since: Duration, now: Duration, random: u32) -> Step {
        let ends = since.saturating_add(terms.lease);
        let rebinds = since.saturating_add(terms.rebind);
        if now >= ends {
            self.begin(now);
            let Step { send, .. } = self.discover(now, random);
            return Step { send, change: Some(Change::Lost) };
        }
        let (to, until) = match now >= rebinds {
            true => (Ipv4Addr::BROADCAST, ends),
            false => (terms.server, rebinds),
        };
        if self.questions == 0 {
            (self.transaction, self.began) = (random, now);
        }
        self.due = (now + ((until - now) / 2).max(RENEW_AGAIN)).min(until);
        self.say(Kind::Renew { address: terms.address }, to, now)
    }

    fn say(&mut self, kind: Kind, to: Ipv4Addr, now: Duration) -> Step {
        self.asked = now;
        self.questions = self.questions.saturating_add(1);
        let question = Question {
            kind,
            transaction: self.transaction,
            hardware: self.hardware,
            since: now.saturating_sub(self.began),
            host_name: self.host_name.as_deref(),
        };
        Step { send: Some(Packet { bytes: question.to_bytes(), to }), change: None }
    }
}

/// Time to wait after so many attempts before.
fn pause(attempts: u32) -> Duration {
    AGAIN * (1 << attempts.min(DOUBLINGS_MAX))
}
