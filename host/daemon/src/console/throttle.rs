//! How often somebody may try to sign in (facts/appliance-security.md
//! SEC-030, SEC-031), as a function of (state, account, source, now).
//!
//! - Per account: after 5 failures in a row 1, 2, 4 … 60 s between attempts;
//!   after 100 nobody gets in from an unknown source until restart.
//! - Per source (IPv4 address or IPv6 /64): 10 attempts a minute.
//! - All sources together: 30 attempts a minute.
//! - A source with a good sign-in in the last day is not held up by what others
//!   do to the account: it has a small bucket of its own instead.

use evenkeel_core::time::Nanos;
use std::collections::HashMap;
use std::net::IpAddr;

/// Failures in a row without a delay.
const FREE_FAILURES: u32 = 5;
/// Failures in a row after which the account is shut.
const FAILURES_MAX: u32 = 100;
const DELAY_MAX: Nanos = Nanos::from_secs(60);
const TRUST_FOR: Nanos = Nanos::from_secs(24 * 3_600);
/// Accounts and sources remembered; then the least recently used one goes.
const TABLE_MAX: usize = 1_024;

/// What is remembered.
#[derive(Debug)]
pub struct Throttle {
    accounts: HashMap<String, Account>,
    sources: HashMap<Source, Bucket>,
    trusted: HashMap<(Source, String), Bucket>,
    all: Bucket,
}

/// Try again after so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// At least 1.
    pub seconds: u64,
}

#[derive(Debug, Default)]
struct Account {
    failures: u32,
    last: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    V4(u32),
    V6(u64),
}

/// A token bucket: full at first.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    room: f64,
    per_second: f64,
    last: Nanos,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            accounts: HashMap::new(),
            sources: HashMap::new(),
            trusted: HashMap::new(),
            all: Bucket::new(30.0, 30.0 / 60.0),
        }
    }
}

impl Throttle {
    /// Somebody wants to try. Counts as a failure until
    /// [`succeeded`](Self::succeeded), so that attempts at the same time count.
    ///
    /// # Errors
    /// [`Wait`] when they must not try yet; then nothing was counted.
    pub fn attempt(&mut self, account: &str, from: IpAddr, now: Nanos) -> Result<(), Wait> {
        let source = Source::of(from);
        if let Some(bucket) = self.trusted.get_mut(&(source, account.to_owned())) {
            if now.since(bucket.last) < TRUST_FOR {
                return bucket.take(now);
            }
            self.trusted.remove(&(source, account.to_owned()));
        }
        make_room(&mut self.accounts, |a| a.last);
        let state = self.accounts.entry(account.to_owned()).or_default();
        state.check(now)?;
        make_room(&mut self.sources, |b| b.last);
        let bucket = self.sources.entry(source).or_insert_with(|| Bucket::new(10.0, 10.0 / 60.0));
        bucket.take(now)?;
        self.all.take(now)?;
        state.failures = state.failures.saturating_add(1);
        state.last = now;
        Ok(())
    }

    /// The attempt was a good one.
    pub fn succeeded(&mut self, account: &str, from: IpAddr, now: Nanos) {
        self.accounts.remove(account);
        make_room(&mut self.trusted, |b| b.last);
        let mut bucket = Bucket::new(5.0, 5.0 / 60.0);
        bucket.last = now;
        self.trusted.insert((Source::of(from), account.to_owned()), bucket);
    }
}

impl Account {
    fn check(&self, now: Nanos) -> Result<(), Wait> {
        if self.failures >= FAILURES_MAX {
            return Err(Wait { seconds: 24 * 3_600 });
        }
        if self.failures < FREE_FAILURES {
            return Ok(());
        }
        let doublings = (self.failures - FREE_FAILURES).min(6);
        let delay = Nanos::from_secs(1 << doublings).min(DELAY_MAX);
        Wait::until(self.last + delay, now)
    }
}

impl Bucket {
    const fn new(room: f64, per_second: f64) -> Self {
        Self { tokens: room, room, per_second, last: Nanos(0) }
    }

    fn take(&mut self, now: Nanos) -> Result<(), Wait> {
        let gained = now.since(self.last).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + gained).min(self.room);
        self.last = now;
        if self.tokens < 1.0 {
            let seconds = ((1.0 - self.tokens) / self.per_second).ceil() as u64;
            return Err(Wait { seconds: seconds.max(1) });
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

impl Wait {
    fn until(then: Nanos, now: Nanos) -> Result<(), Self> {
        match then.since(now).0.div_ceil(1_000_000_000) {
            0 => Ok(()),
            seconds => Err(Self { seconds }),
        }
    }
}

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.to_bits()),
            IpAddr::V6(v6) => Self::V6((v6.to_bits() >> 64) as u64),
        }
    }
}

fn make_room<K: Clone + Eq + std::hash::Hash, V>(
    table: &mut HashMap<K, V>,
    last: impl Fn(&V) -> Nanos,
) {
    if table.len() >= TABLE_MAX
        && let Some(oldest) = table.iter().min_by_key(|(_, v)| last(v)).map(|(k, _)| k.clone())
    {
        table.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Nanos {
        Nanos::from_millis(1_000_000 + ms)
    }

    fn address(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn delay_doubles_after_five_failures() {
        let mut t = Throttle::default();
        for _ in 0..5 {
            assert_eq!(t.attempt("admin", address(1), at(0)), Ok(()));
        }
        assert_eq!(t.attempt("admin", address(2), at(1)), Err(Wait { seconds: 1 }));
        assert_eq!(t.attempt("admin", address(2), at(1_000)), Ok(()));
        assert_eq!(t.attempt("admin", address(3), at(1_000)), Err(Wait { seconds: 2 }));
        assert_eq!(t.attempt("other", address(3), at(1_000)), Ok(()), "other accounts are free");
        t.succeeded("admin", address(4), at(3_000));
        assert_eq!(t.attempt("admin", address(2), at(3_000)), Ok(()), "success forgives");
    }

    #[test]
    fn delay_ends_at_a_minute_and_the_account_at_a_hundred() {
        let mut t = Throttle::default();
        let mut now = 0;
        for n in 0..100 {
            while t.attempt("admin", address(n), at(now)).is_err() {
                now += 1_000;
            }
        }
        assert!(now < 100 * 61_000, "{now} ms");
        let wait = t.attempt("admin", address(200), at(now + 3_600_000));
        assert_eq!(wait, Err(Wait { seconds: 86_400 }));
    }

    #[test]
    fn a_source_has_ten_a_minute_and_a_v6_site_is_one_source() {
        let mut t = Throttle::default();
        for n in 0..10 {
            let from = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
            assert_eq!(t.attempt(&format!("user{n}"), from, at(0)), Ok(()));
        }
        let from = IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]);
        assert_eq!(t.attempt("x", from, at(0)), Err(Wait { seconds: 6 }));
        assert_eq!(t.attempt("x", from, at(6_000)), Ok(()));
    }

    #[test]
    fn all_sources_together_have_thirty_a_minute() {
        let mut t = Throttle::default();
        let tried = (0..100).filter(|n| t.attempt(&format!("u{n}"), address(*n), at(0)).is_ok());
        assert_eq!(tried.count(), 30);
    }

    #[test]
    fn nobody_can_lock_the_owner_out() {
        let mut t = Throttle::default();
        t.attempt("admin", address(1), at(0)).expect("free");
        t.succeeded("admin", address(1), at(0));
        for n in 2..=255 {
            let _ = t.attempt("admin", address(n), at(u64::from(n) * 60_000));
        }
        let now = at(255 * 60_000);
        assert!(t.attempt("admin", address(9), now).is_err());
        let good = (0..20).filter(|_| t.attempt("admin", address(1), now).is_ok()).count();
        assert_eq!(good, 5, "but a stolen workstation has few guesses");
    }

    #[test]
    fn memory_is_bounded() {
        let mut t = Throttle::default();
        for n in 0..5_000_u64 {
            let _ = t.attempt(
                &n.to_string(),
                IpAddr::from(n.to_be_bytes().map(u16::from)),
                at(n * 10_000),
            );
        }
        assert!(t.accounts.len() <= TABLE_MAX && t.sources.len() <= TABLE_MAX);
    }
}
