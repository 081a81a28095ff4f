//! The breaker between a string and its DC bus, and what fails about it.

/// A breaker with a shunt trip and an auxiliary contact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breaker {
    closed: bool,
    /// It opens in so many seconds.
    opens_in_s: Option<f64>,
    /// From the trip command to open contacts, s.
    pub delay_s: f64,
    /// Does not move any more.
    pub stuck: bool,
    /// The auxiliary contact says this, whatever the breaker does.
    pub lying: Option<bool>,
}

impl Default for Breaker {
    /// Closed and healthy: 50 ms.
    fn default() -> Self {
        Self { closed: true, opens_in_s: None, delay_s: 0.05, stuck: false, lying: None }
    }
}

impl Breaker {
    /// The main contacts are closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// What the auxiliary contact says: closed.
    #[must_use]
    pub fn feedback_closed(&self) -> bool {
        self.lying.unwrap_or(self.closed)
    }

    /// Voltage on the shunt trip. Tripping an open breaker does nothing.
    pub fn trip(&mut self) {
        if self.closed && !self.stuck && self.opens_in_s.is_none() {
            self.opens_in_s = Some(self.delay_s);
        }
    }

    /// Somebody closes it by hand.
    pub fn close(&mut self) {
        if !self.stuck {
            (self.closed, self.opens_in_s) = (true, None);
        }
    }

    /// Let `dt_s` seconds pass.
    pub(super) fn step(&mut self, dt_s: f64) {
        let Some(left_s) = self.opens_in_s else { return };
        if self.stuck {
            self.opens_in_s = None;
        } else if left_s > dt_s {
            self.opens_in_s = Some(left_s - dt_s);
        } else {
            (self.closed, self.opens_in_s) = (false, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_one_opens_late() {
        let mut breaker = Breaker { delay_s: 3.0, ..Breaker::default() };
        breaker.trip();
        breaker.step(2.9);
        breaker.trip();
        assert!(breaker.is_closed() && breaker.feedback_closed());
        breaker.step(0.2);
        assert!(!breaker.is_closed() && !breaker.feedback_closed());
        breaker.close();
        breaker.step(10.0);
        assert!(breaker.is_closed(), "an old trip command does not last");
    }

    #[test]
    fn stuck_one_stays_and_a_liar_says_otherwise() {
        let mut breaker = Breaker { stuck: true, lying: Some(false), ..Breaker::default() };
        breaker.trip();
        breaker.step(1.0);
        assert!(breaker.is_closed() && !breaker.feedback_closed());
    }
}
