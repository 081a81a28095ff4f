//! A token bucket: so many at once, so many per second. Pure; time comes in.

use evenkeel_core::time::Nanos;

/// Admits `burst` events at once and one more each `interval`.
#[derive(Debug)]
pub struct Bucket {
    tokens: u32,
    burst: u32,
    interval: Nanos,
    /// Up to here tokens were handed out; a remainder below one interval stays.
    filled: Nanos,
}

impl Bucket {
    /// A full bucket at `now`. `interval` is at least 1 ns.
    #[must_use]
    pub const fn new(burst: u32, interval: Nanos, now: Nanos) -> Self {
        let interval = if interval.0 == 0 { Nanos(1) } else { interval };
        Self { tokens: burst, burst, interval, filled: now }
    }

    /// Whether one more event at `now` is within the rate.
    pub fn admit(&mut self, now: Nanos) -> bool {
        self.take(1, now)
    }

    /// Whether `count` more events at `now` are within the rate; all or none.
    pub fn take(&mut self, count: u32, now: Nanos) -> bool {
        self.fill(now);
        let admitted = self.tokens >= count;
        self.tokens -= if admitted { count } else { 0 };
        admitted
    }

    /// `count` events happened at `now`, whether they were within the rate or not.
    pub fn charge(&mut self, count: u32, now: Nanos) {
        self.fill(now);
        self.tokens = self.tokens.saturating_sub(count);
    }

    fn fill(&mut self, now: Nanos) {
        let fresh = now.since(self.filled).0 / self.interval.0;
        if fresh >= u64::from(self.burst - self.tokens) {
            self.tokens = self.burst;
            self.filled = self.filled.max(now);
        } else {
            self.tokens += fresh as u32;
            self.filled = self.filled + Nanos(fresh * self.interval.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let ms = Nanos::from_millis;
        let mut bucket = Bucket::new(3, ms(100), ms(0));
        let admitted = (0..100).filter(|i| bucket.admit(ms(i * 10))).count();
        // Three at once, and one for each of the 100 ms that passed in 990 ms.
        assert_eq!(admitted, 3 + 9);
    }

    #[test]
    fn an_idle_bucket_fills_up_and_not_over() {
        let mut bucket = Bucket::new(2, Nanos::from_secs(1), Nanos(0));
        assert!(bucket.admit(Nanos(0)) && bucket.admit(Nanos(0)) && !bucket.admit(Nanos(0)));
        let later = Nanos::from_secs(3_600);
        assert!(bucket.admit(later) && bucket.admit(later) && !bucket.admit(later));
        assert!(bucket.admit(Nanos(u64::MAX)));
    }

    #[test]
    fn many_are_taken_at_once_or_not_at_all() {
        let mut bucket = Bucket::new(5, Nanos::from_secs(1), Nanos(0));
        assert!(!bucket.take(6, Nanos(0)) && bucket.take(4, Nanos(0)));
        assert!(!bucket.take(2, Nanos(0)) && bucket.take(1, Nanos(0)));
        bucket.charge(3, Nanos::from_secs(2));
        assert!(!bucket.admit(Nanos::from_secs(2)) && bucket.admit(Nanos::from_secs(3)));
    }
}
