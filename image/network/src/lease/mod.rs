//! An address from a server (DHCP, RFC 2131), as a state machine: bytes and the
//! time come in, bytes and changes come out; nothing is sent or waited for here.
//!
//! Terms: *selecting*, asking who lends; *requesting*, asking one for what it
//! offered; *checking*, looking whether somebody has the address already; *held*,
//! having a lease; *returning*, asking whether it still counts where the cable was
//! plugged in again, or after a restart (INIT-REBOOT). A held lease is renewed with its server at
//! half its time, with anybody at seven eighths, and given up when it ends,
//! whoever is silent.
//!
//! After a return the address stays in use while nobody says otherwise: a power
//! cut takes switch and server alike, and the server is the later one back. But
//! others are asked, too, in case the cable leads to another network now.
//!
//! Of a lease before a restart the address alone is known: nobody knows how long
//! the appliance was off. It is asked for first, and used when a server grants it.

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
/// Questions whether a lease still counts, before others are asked, too.
const RETURNS_MAX: u32 = 2;
/// Whoever has the address must have said so by then.
const CHECK: Duration = Duration::from_secs(2);
/// After an address that somebody had, the server is asked again so much later
/// at least (RFC 2131 §3.1).
const DECLINED: Duration = Duration::from_secs(10);

/// A client at one interface. Times are since any one moment.
#[derive(Clone, Debug)]
pub struct Client {
    hardware: [u8; 6],
    host_name: Option<String>,
    phase: Phase,
    /// What is in use, and since when; without the phase [`Phase::Held`] something
    /// else is being asked for meanwhile.
    lease: Option<(Terms, Duration)>,
    /// Of the last question.
    transaction: u32,
    /// When it began to ask.
    began: Duration,
    /// Of the last question.
    asked: Duration,
    /// Questions in this phase.
    questions: u32,
    /// Refusals in a row, of either side.
    refusals: u32,
    due: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Selecting,
    Requesting(Terms),
    Checking {
        terms: Terms,
        since: Duration,
    },
    /// With a lease, as this one; or after a restart, with this address.
    Returning(Option<Ipv4Addr>),
    Held,
}

/// What a step comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// To be sent.
    pub send: Option<Packet>,
    /// Find out whether somebody has this address already, and say so by
    /// [`Client::taken`] at once.
    pub check: Option<Ipv4Addr>,
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
    /// One that asks at once; for the address that it had before, if it had one.
    #[must_use]
    pub fn new(
        hardware: [u8; 6],
        host_name: Option<String>,
        before: Option<Ipv4Addr>,
        now: Duration,
    ) -> Self {
        Self {
            hardware,
            host_name,
            phase: before.map_or(Phase::Selecting, |_| Phase::Returning(before)),
            lease: None,
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
    pub fn due(&self) -> Duration {
        let ends = self.lease().map(|(_, ends)| ends);
        ends.map_or(self.due, |ends| ends.min(self.due))
    }

    /// The lease, and when it ends.
    #[must_use]
    pub fn lease(&self) -> Option<(&Terms, Duration)> {
        let (terms, since) = self.lease.as_ref()?;
        Some((terms, since.saturating_add(terms.lease)))
    }

    /// The address that is being looked for.
    #[must_use]
    pub const fn checking(&self) -> Option<Ipv4Addr> {
        match &self.phase {
            Phase::Checking { terms, .. } => Some(terms.address),
            _ => None,
        }
    }

    /// It is `now`; `random` is any number that nobody guesses.
    pub fn tick(&mut self, now: Duration, random: u32) -> Step {
        if self.lease().is_some_and(|(_, ends)| now >= ends) {
            self.lease = None;
            if matches!(self.phase, Phase::Held | Phase::Returning(_)) {
                self.begin(now);
            }
            let step = self.tick(now, random);
            // What was just got is not lost with what was before.
            let change = step.change.or(Some(Change::Lost));
            return Step { change, ..step };
        }
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
            // Nobody said that it is his.
            Phase::Checking { terms, since } => self.hold(terms, since),
            Phase::Returning(_) if self.questions >= RETURNS_MAX => {
                self.begin(now);
                self.discover(now, random)
            }
            Phase::Returning(before) => self.ask_again(before, now, random),
            Phase::Held => self.keep(now, random),
        }
    }

    /// These bytes came.
    pub fn hear(&mut self, bytes: &[u8], now: Duration) -> Step {
        if self.questions == 0 || self.lease().is_some_and(|(_, ends)| now >= ends) {
            // Nothing was asked that it could answer, or it comes too late.
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
                self.take(terms, now)
            }
            (Phase::Requesting(offered), Heard::Nak(server)) if server == offered.server => {
                self.refusals = self.refusals.saturating_add(1);
                self.begin(now);
                // One that refuses what it offers is not to be kept busy.
                self.due = now + pause(self.refusals - 1);
                Step::default()
            }
            (Phase::Returning(_) | Phase::Held, Heard::Ack(terms)) if self.has(terms.address) => {
                let since = self.asked;
                self.hold(terms, since)
            }
            (Phase::Returning(Some(before)), Heard::Ack(terms)) if terms.address == before => {
                self.take(terms, now)
            }
            (Phase::Returning(_), Heard::Nak(_)) => self.lose(now),
            (Phase::Held, Heard::Nak(server)) if self.may_refuse(server, now) => self.lose(now),
            _ => Step::default(),
        }
    }

    /// The cable was plugged in, after it had been away: perhaps somewhere else.
    pub fn reconnect(&mut self, now: Duration) {
        match (&self.lease, &self.phase) {
            (Some(_), _) => {
                self.phase = Phase::Returning(None);
                (self.began, self.due, self.questions) = (now, now, 0);
            }
            // Nobody heard what was asked until now.
            (None, Phase::Returning(_)) => {
                (self.began, self.due, self.questions) = (now, now, 0);
            }
            (None, _) => self.begin(now),
        }
    }

    /// Call itself otherwise from now on, and say so at once.
    pub fn rename(&mut self, host_name: Option<String>, now: Duration) {
        self.host_name = host_name;
        if self.phase == Phase::Held && self.questions == 0 {
            self.due = now;
        }
    }

    /// Somebody has the address that is being looked for.
    pub fn taken(&mut self, now: Duration) -> Step {
        let Phase::Checking { terms, .. } = self.phase.clone() else { return Step::default() };
        let kind = Kind::Decline { address: terms.address, server: terms.server };
        let step = self.say(kind, Ipv4Addr::BROADCAST, now);
        self.refusals = self.refusals.saturating_add(1);
        self.begin(now);
        self.due = now + pause(self.refusals - 1).max(DECLINED);
        step
    }

    /// From the start again; what is in use stays so meanwhile.
    fn begin(&mut self, now: Duration) {
        self.phase = Phase::Selecting;
        (self.began, self.due, self.questions) = (now, now, 0);
    }

    fn lose(&mut self, now: Duration) -> Step {
        self.begin(now);
        let change = self.lease.take().map(|_| Change::Lost);
        Step { change, ..Step::default() }
    }

    fn has(&self, address: Ipv4Addr) -> bool {
        self.lease.as_ref().is_some_and(|(terms, _)| terms.address == address)
    }

    /// Whether this server may end the lease: its own, or any that was asked.
    fn may_refuse(&self, server: Ipv4Addr, now: Duration) -> bool {
        self.lease.as_ref().is_some_and(|(terms, since)| {
            server == terms.server || now >= since.saturating_add(terms.rebind)
        })
    }

    /// What was asked for is granted; one that is not in use is looked for first.
    fn take(&mut self, terms: Terms, now: Duration) -> Step {
        // It counts from the question: the answer may have taken its time.
        let (since, address) = (self.asked, terms.address);
        if self.has(address) {
            return self.hold(terms, since);
        }
        self.phase = Phase::Checking { terms, since };
        self.due = now + CHECK;
        Step { check: Some(address), ..Step::default() }
    }

    fn hold(&mut self, terms: Terms, since: Duration) -> Step {
        self.due = since.saturating_add(terms.renew);
        self.lease = Some((terms.clone(), since));
        self.phase = Phase::Held;
        (self.questions, self.refusals) = (0, 0);
        Step { change: Some(Change::Got(terms)), ..Step::default() }
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

    /// Ask whether what is in use, or was before, still counts here.
    fn ask_again(&mut self, before: Option<Ipv4Addr>, now: Duration, random: u32) -> Step {
        let Some(address) = self.lease.as_ref().map(|(terms, _)| terms.address).or(before) else {
            self.begin(now);
            return self.discover(now, random);
        };
        if self.questions == 0 {
            self.transaction = random;
        }
        self.due = now + pause(self.questions);
        self.say(Kind::Return { address }, Ipv4Addr::BROADCAST, now)
    }

    fn keep(&mut self, now: Duration, random: u32) -> Step {
        let Some((terms, since)) = &self.lease else {
            self.begin(now);
            return self.discover(now, random);
        };
        let ends = since.saturating_add(terms.lease);
        let rebinds = since.saturating_add(terms.rebind);
        let (to, until) = match now >= rebinds {
            true => (Ipv4Addr::BROADCAST, ends),
            false => (terms.server, rebinds),
        };
        let address = terms.address;
        if self.questions == 0 {
            (self.transaction, self.began) = (random, now);
        }
        self.due = (now + ((until - now) / 2).max(RENEW_AGAIN)).min(until);
        self.say(Kind::Renew { address }, to, now)
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
        let send = Some(Packet { bytes: question.to_bytes(), to });
        Step { send, ..Step::default() }
    }
}

/// Time to wait after so many attempts before.
fn pause(attempts: u32) -> Duration {
    AGAIN * (1 << attempts.min(DOUBLINGS_MAX))
}
