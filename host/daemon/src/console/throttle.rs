//! How often somebody may try to sign in (facts/appliance-security.md
//! SEC-030, SEC-031), as a function of (state, account, source, now).
//!
//! - Per account: after 5 failures in a row 1, 2, 4 … 60 s between attempts;
//!   after 100 only a trusted source gets in, until one does or the daemon is
//!   restarted.
//! - Per source (IPv4 address or IPv6 /64): 10 attempts a minute.
//! - All sources together: 30 attempts a minute.
//! - A source is trusted for an account for a day from its last good sign-in.
//!   It is not held up by what others do, and is not in the counts above: it
//!   has 5 attempts a minute of its own, and loses the trust with the 20th
//!   failure or when the password is changed from elsewhere.
//!
//! What is remembered is bounded. The accounts with the fewest failures are
//! forgotten first: inventing names does not forget the failures of a real one.

use evenkeel_core::time::Nanos;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

/// Failures in a row without a delay.
const FREE_FAILURES: u32 = 5;
/// Failures in a row after which the account is shut.
const FAILURES_MAX: u32 = 100;
const DELAY_MAX: Nanos = Nanos::from_secs(60);
const TRUST_FOR: Nanos = Nanos::from_secs(24 * 3_600);
/// Failures of a trusted source with which it loses the trust.
const TRUSTED_FAILURES_MAX: u32 = 20;
/// Accounts, sources and trusted sources remembered, each.
const TABLE_MAX: usize = 1_024;

/// What is remembered.
#[derive(Debug)]
pub struct Throttle {
    accounts: HashMap<String, Account>,
    sources: HashMap<Source, Bucket>,
    trusted: HashMap<(Source, String), Trust>,
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

/// A source with a good sign-in.
#[derive(Debug)]
struct Trust {
    /// When that was; failures do not renew it.
    since: Nanos,
    failures: u32,
    bucket: Bucket,
}

/// Where somebody comes from: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// An address.
    V4(u32),
    /// The upper half of an address.
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
    /// [`Wait`] when they must not try yet; that is no failure of the account.
    pub fn attempt(&mut self, account: &str, from: IpAddr, now: Nanos) -> Result<(), Wait> {
        let source = Source::of(from);
        let key = (source, account.to_owned());
        if let Some(trust) = self.trusted.get_mut(&key) {
            if now.since(trust.since) < TRUST_FOR && trust.failures < TRUSTED_FAILURES_MAX {
                trust.bucket.take(now)?;
                trust.failures += 1;
                return Ok(());
            }
            self.trusted.remove(&key);
        }
        make_room(&mut self.accounts, account, |a| (a.failures, a.last));
        let state = self.accounts.entry(key.1).or_default();
        state.check(now)?;
        make_room(&mut self.sources, &source, |b| b.last);
        let bucket = self.sources.entry(source).or_insert_with(|| Bucket::new(10.0, 10.0 / 60.0));
        bucket.take(now)?;
        self.all.take(now)?;
        state.failures = state.failures.saturating_add(1);
        state.last = now;
        Ok(())
    }

    /// The attempt could not be judged: the appliance was at fault.
    pub fn not_judged(&mut self, account: &str, from: IpAddr) {
        let source = Source::of(from);
        if let Some(trust) = self.trusted.get_mut(&(source, account.to_owned())) {
            trust.failures = trust.failures.saturating_sub(1);
            return trust.bucket.put_back();
        }
        if let Some(state) = self.accounts.get_mut(account) {
            state.failures = state.failures.saturating_sub(1);
        }
        if let Some(bucket) = self.sources.get_mut(&source) {
            bucket.put_back();
        }
        self.all.put_back();
    }

    /// The attempt was a good one.
    pub fn succeeded(&mut self, account: &str, from: IpAddr, now: Nanos) {
        self.accounts.remove(account);
        let key = (Source::of(from), account.to_owned());
        make_room(&mut self.trusted, &key, |t| t.since);
        let mut bucket = Bucket::new(5.0, 5.0 / 60.0);
        bucket.last = now;
        self.trusted.insert(key, Trust { since: now, failures: 0, bucket });
    }

    /// A new password: whoever knew the old one from elsewhere is a stranger.
    pub fn password_changed(&mut self, account: &str, from: IpAddr) {
        let source = Source::of(from);
        self.trusted.retain(|(other, name), _| name != account || *other == source);
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

    fn put_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.room);
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
    /// Of an address; an IPv4 address in IPv6 form is the IPv4 address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.to_bits()),
            IpAddr::V6(v6) => Self::V6((v6.to_bits() >> 64) as u64),
        }
    }
}

/// Forget what is worth least when `key` would be one too many.
fn make_room<K, V, Q, W>(table: &mut HashMap<K, V>, key: &Q, worth: impl Fn(&V) -> W)
where
    K: Clone + Eq + Hash + Borrow<Q>,
    Q: Eq + Hash + ?Sized,
    W: Ord,
{
    if table.len() >= TABLE_MAX
        && !table.contains_key(key)
        && let Some(least) = table.iter().min_by_key(|(_, v)| worth(v)).map(|(k, _)| k.clone())
    {
        table.remove(least.borrow());
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
    fn trust_ends_after_a_day_whatever_is_tried_and_after_twenty_failures() {
        let trusted = |t: &Throttle| t.trusted.len();
        let mut t = Throttle::default();
        t.succeeded("admin", address(1), at(0));
        for hour in 1..=5 {
            t.attempt("admin", address(1), at(hour * 4 * 3_600_000)).expect("trusted");
        }
        t.attempt("admin", address(1), at(24 * 3_600_000)).expect("as a stranger");
        assert_eq!(trusted(&t), 0, "attempts do not renew it");

        t.succeeded("admin", address(1), at(0));
        for n in 0..20 {
            t.attempt("admin", address(1), at(n * 60_000)).expect("trusted");
        }
        assert_eq!(trusted(&t), 1);
        t.attempt("admin", address(1), at(20 * 60_000)).expect("as a stranger");
        assert_eq!(trusted(&t), 0);
    }

    #[test]
    fn a_new_password_makes_strangers_of_the_others() {
        let mut t = Throttle::default();
        for n in 1..4 {
            t.succeeded("admin", address(n), at(0));
        }
        t.succeeded("other", address(1), at(0));
        t.password_changed("admin", address(2));
        let mut left: Vec<_> = t.trusted.keys().map(|(_, name)| name.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["admin", "other"]);
        assert!(t.trusted.contains_key(&(Source::of(address(2)), "admin".into())));
    }

    #[test]
    fn invented_names_do_not_forget_the_failures_of_a_real_one() {
        let mut t = Throttle::default();
        for _ in 0..5 {
            t.attempt("admin", address(1), at(0)).expect("free");
        }
        for n in 0..3_000_u64 {
            let source = IpAddr::from([(n >> 16) as u8, (n >> 8) as u8, n as u8, 1]);
            t.attempt(&format!("u{n}"), source, at(100 + n * 10_000)).expect("slow enough");
        }
        assert_eq!(t.accounts["admin"].failures, 5);
    }

    #[test]
    fn an_attempt_that_could_not_be_judged_costs_nothing() {
        let mut t = Throttle::default();
        for _ in 0..100 {
            t.attempt("admin", address(1), at(0)).expect("never used up");
            t.not_judged("admin", address(1));
        }
        t.succeeded("admin", address(1), at(0));
        for _ in 0..100 {
            t.attempt("admin", address(1), at(0)).expect("never used up");
            t.not_judged("admin", address(1));
        }
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
