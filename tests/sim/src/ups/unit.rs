//! A UPS unit: mains, load, battery, tests and shutdowns. No words, no wires.
//!
//! A simple energy model: the battery loses what the load takes, its voltage
//! follows charge and load with a lag, and charging takes some hours.
//! Behaviour of commands: facts/ups-serial-protocols.md §1.4.

use crate::noise::Noise;
use evenkeel_core::time::Nanos;
use serde::Deserialize;

/// Longest step of the energy model.
const STEP: Nanos = Nanos::from_secs(1);
/// Power factor of the load times nothing else: W per VA.
const POWER_FACTOR: f64 = 0.8;
/// Battery to load.
const EFFICIENCY: f64 = 0.85;
/// Share of the rated energy that UPS rates leave.
const RATE_FACTOR: f64 = 0.7;
/// Empty to full.
const RECHARGE_S: f64 = 8.0 * 3600.0;
/// Lag of the terminal voltage.
const VOLTAGE_TAU_S: f64 = 15.0;
/// The low-battery flag comes at this charge.
const LOW_CHARGE: f64 = 0.20;
/// The output stays off at least so long.
const OFF_MIN: Nanos = Nanos::from_secs(10);
/// AVR boosts below and trims above these shares of the nominal voltage.
const BOOST_BELOW: f64 = 0.90;
const TRIM_ABOVE: f64 = 1.10;
/// Outside of these, the unit goes to battery.
const MAINS_OK: core::ops::Range<f64> = 0.75..1.25;

/// How the unit works, and so how it states its battery voltage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpsKind {
    /// Battery voltage of the whole pack.
    #[default]
    LineInteractive,
    /// Battery voltage per cell.
    Online,
}

/// A unit as ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct UpsSpec {
    /// How it works.
    pub kind: UpsKind,
    /// Rating, VA.
    pub rated_va: f64,
    /// Nominal mains and output voltage, V.
    pub nominal_v: f64,
    /// Nominal battery voltage, V.
    pub battery_v: f64,
    /// Battery capacity, Ah.
    pub battery_ah: f64,
    /// Load at the start, % of the rating.
    pub load_percent: f64,
    /// Same seed, same noise.
    pub seed: u64,
}

impl Default for UpsSpec {
    fn default() -> Self {
        Self {
            kind: UpsKind::LineInteractive,
            rated_va: 3_000.0,
            nominal_v: 230.0,
            battery_v: 72.0,
            battery_ah: 9.0,
            load_percent: 35.0,
            seed: 1,
        }
    }
}

/// What the unit would show on its panel.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "names with units")]
pub struct Status {
    pub input_v: f64,
    /// Voltage of the last transfer; the input voltage after it was read.
    pub fault_v: f64,
    pub output_v: f64,
    pub load_percent: f64,
    pub hertz: f64,
    /// Per 2 V cell.
    pub cell_v: f64,
    pub celsius: f64,
    pub mains_failed: bool,
    pub battery_low: bool,
    pub avr_active: bool,
    pub testing: bool,
    pub shutting_down: bool,
    pub beeper: bool,
}

/// How long a battery test lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestLength {
    /// A fixed time.
    For(Nanos),
    /// Until the low-battery flag.
    UntilLow,
}

/// When the output returns after a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Ten seconds after mains is there.
    WithMains,
    /// So long after the output went off, and not without mains.
    After(Nanos),
    /// Only by command.
    Never,
}

/// The output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    On,
    Ending {
        at: Nanos,
        then: Return,
    },
    Off {
        since: Nanos,
        then: Return,
    },
    /// Ordered on again; off until then.
    Starting {
        at: Nanos,
    },
}

/// A unit.
#[derive(Clone, Debug)]
pub struct Unit {
    spec: UpsSpec,
    noise: Noise,
    now: Nanos,
    /// What the grid offers, V; 0 without mains.
    input_v: f64,
    mains_since: Option<Nanos>,
    fault_v: Option<f64>,
    load_percent: f64,
    charge: f64,
    cell_v: f64,
    celsius: f64,
    output: Output,
    test: Option<TestLength>,
    test_began: Nanos,
    beeper: bool,
    frozen: bool,
}

impl Unit {
    /// Charged, with mains, output on.
    #[must_use]
    pub fn new(spec: UpsSpec) -> Self {
        let noise = Noise::new(spec.seed, 0);
        let mut unit = Self {
            noise,
            now: Nanos::default(),
            input_v: spec.nominal_v,
            mains_since: Some(Nanos::default()),
            fault_v: None,
            load_percent: spec.load_percent,
            charge: 1.0,
            cell_v: 0.0,
            celsius: 27.0,
            output: Output::On,
            test: None,
            test_began: Nanos::default(),
            beeper: true,
            frozen: false,
            spec,
        };
        unit.cell_v = unit.cell_target_v();
        unit
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &UpsSpec {
        &self.spec
    }

    /// Charge of the battery, 0 … 1.
    #[must_use]
    pub fn charge(&self) -> f64 {
        self.charge
    }

    /// The output feeds its load.
    #[must_use]
    pub fn is_output_on(&self) -> bool {
        matches!(self.output, Output::On | Output::Ending { .. })
    }

    /// The unit has no source of power left, so it cannot even answer.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        !self.mains_ok() && self.charge <= 0.0
    }

    /// Set what the grid offers, V (0: mains failure).
    pub fn set_input(&mut self, volts: f64) {
        self.input_v = volts;
        if !self.mains_ok() {
            self.mains_since = None;
            self.fault_v = Some(volts);
        } else if self.mains_since.is_none() {
            self.mains_since = Some(self.now);
        }
    }

    /// Set the load, % of the rating.
    pub fn set_load(&mut self, percent: f64) {
        self.load_percent = percent;
    }

    /// Frozen: no noise, and the energy model stands still. Flags still follow
    /// mains and commands, so that two readers can be compared exactly.
    pub fn set_frozen(&mut self, on: bool) {
        self.frozen = on;
    }

    /// Begin a battery test. False when it cannot: no mains, or output off.
    pub fn start_test(&mut self, length: TestLength) -> bool {
        let possible = self.mains_ok() && self.is_output_on();
        if possible {
            self.test = Some(length);
            self.test_began = self.now;
        }
        possible
    }

    /// End a battery test.
    pub fn cancel_test(&mut self) {
        self.test = None;
    }

    /// Beeper on ↔ off.
    pub fn toggle_beeper(&mut self) {
        self.beeper = !self.beeper;
    }

    /// Output off after `delay`.
    pub fn shut_down(&mut self, delay: Nanos, then: Return) {
        self.output = match self.output {
            Output::Off { since, .. } => Output::Off { since, then },
            _ => Output::Ending { at: self.now + delay, then },
        };
    }

    /// Cancel a shutdown, or switch the output on after the shortest off time.
    pub fn cancel_shutdown(&mut self) {
        self.output = match self.output {
            Output::Off { since, .. } => Output::Starting { at: since + OFF_MIN },
            Output::Ending { .. } => Output::On,
            other => other,
        };
    }

    /// Let time pass; earlier than before is a no-op.
    pub fn advance(&mut self, to: Nanos) {
        while self.now < to {
            let next = to.min(self.now + STEP);
            let dt_s = next.since(self.now).as_secs_f64();
            self.now = next;
            if !self.frozen {
                self.spend(dt_s);
            }
            self.switch();
        }
    }

    /// Read the panel. Noise is drawn here, and the fault voltage is read.
    pub fn status(&mut self) -> Status {
        let nominal_v = self.spec.nominal_v;
        let mains_failed = !self.mains_ok();
        let ratio = self.input_v / nominal_v;
        let input_v = if self.input_v > 0.0 { self.input_v + self.jitter(0.4) } else { 0.0 };
        let output_on = self.is_output_on();
        let line_interactive = self.spec.kind == UpsKind::LineInteractive;
        let gain = match ratio {
            _ if mains_failed || !line_interactive => None,
            r if r < BOOST_BELOW => Some(1.15),
            r if r > TRIM_ABOVE => Some(0.87),
            _ => Some(1.0),
        };
        let output_v = match gain {
            _ if !output_on => 0.0,
            Some(gain) => input_v * gain,
            None => nominal_v + self.jitter(0.2),
        };
        Status {
            input_v,
            fault_v: self.fault_v.take().unwrap_or(input_v),
            output_v,
            load_percent: if output_on {
                (self.load_percent + self.jitter(0.4)).max(0.0)
            } else {
                0.0
            },
            hertz: if self.input_v > 0.0 || output_on { 50.0 + self.jitter(0.03) } else { 0.0 },
            cell_v: self.cell_v + self.jitter(0.002),
            celsius: self.celsius + self.jitter(0.05),
            mains_failed,
            battery_low: self.charge < LOW_CHARGE,
            avr_active: gain.is_some_and(|g| g != 1.0),
            testing: self.test.is_some(),
            shutting_down: self.output != Output::On,
            beeper: self.beeper,
        }
    }

    fn jitter(&mut self, deviation: f64) -> f64 {
        if self.frozen { 0.0 } else { deviation * self.noise.normal() }
    }

    fn mains_ok(&self) -> bool {
        MAINS_OK.contains(&(self.input_v / self.spec.nominal_v))
    }

    /// The battery carries the load.
    fn discharging(&self) -> bool {
        self.is_output_on() && (!self.mains_ok() || self.test.is_some())
    }

    fn load_w(&self) -> f64 {
        self.spec.rated_va * POWER_FACTOR * self.load_percent / 100.0
    }

    /// Where the terminal voltage is heading, V per cell.
    fn cell_target_v(&self) -> f64 {
        if self.discharging() {
            let knee = 0.15 * (-self.charge / 0.05).exp();
            1.95 + 0.16 * self.charge - 0.10 * self.load_percent / 100.0 - knee
        } else if self.mains_ok() {
            2.15 + 0.12 * self.charge
        } else {
            1.98 + 0.16 * self.charge
        }
    }

    fn spend(&mut self, dt_s: f64) {
        let rated_wh = self.spec.battery_v * self.spec.battery_ah * RATE_FACTOR;
        if self.discharging() {
            self.charge -= self.load_w() / EFFICIENCY * dt_s / 3600.0 / rated_wh;
        } else if self.mains_ok() {
            self.charge += dt_s / RECHARGE_S;
        }
        self.charge = self.charge.clamp(0.0, 1.0);
        self.cell_v += (dt_s / VOLTAGE_TAU_S).min(1.0) * (self.cell_target_v() - self.cell_v);
        let warm_c = 25.0 + 0.05 * self.load_percent + if self.discharging() { 6.0 } else { 0.0 };
        self.celsius += dt_s / 900.0 * (warm_c - self.celsius);
    }

    /// Tests end, shutdowns begin and end, an empty battery ends everything.
    fn switch(&mut self) {
        let now = self.now;
        let over = self.test.is_some_and(|test| match test {
            TestLength::For(length) => now.since(self.test_began) >= length,
            TestLength::UntilLow => self.charge < LOW_CHARGE,
        });
        if over || !self.mains_ok() || !self.is_output_on() {
            self.test = None;
        }
        if self.is_dead() && self.is_output_on() {
            self.output = Output::Off { since: now, then: Return::WithMains };
        }
        self.output = match self.output {
            Output::Ending { at, then } if at <= now => Output::Off { since: at, then },
            Output::Off { since, then } if self.returns(since, then) => Output::On,
            Output::Starting { at } if at <= now && !self.is_dead() => Output::On,
            other => other,
        };
    }

    fn returns(&self, off_since: Nanos, then: Return) -> bool {
        let Some(mains_since) = self.mains_since else { return false };
        match then {
            Return::WithMains => self.now.since(mains_since.max(off_since)) >= OFF_MIN,
            Return::After(wait) => self.now.since(off_since) >= wait.max(OFF_MIN),
            Return::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> Unit {
        Unit::new(UpsSpec::default())
    }

    fn secs(s: u64) -> Nanos {
        Nanos::from_secs(s)
    }

    #[test]
    fn battery_falls_runs_low_dies_and_recovers() {
        let mut u = unit();
        let full_v = u.status().cell_v;
        u.set_input(0.0);
        u.advance(secs(60));
        let s = u.status();
        assert!(s.mains_failed && !s.battery_low && s.cell_v < full_v - 0.1, "{s:?}");
        let low_at = (60..3_600).find(|t| {
            u.advance(secs(*t));
            u.status().battery_low
        });
        // 72 V × 9 Ah × 0.7 at 840 W / 0.85: 1,653 s to empty, 80 % of that to low.
        assert!(low_at.is_some_and(|t| (1_250..1_400).contains(&t)), "{low_at:?}");
        u.advance(secs(3_600));
        assert!(u.is_dead() && !u.is_output_on());
        u.set_input(230.0);
        u.advance(secs(3_609));
        assert!(!u.is_output_on());
        u.advance(secs(3_611));
        assert!(u.is_output_on());
        u.advance(secs(3_600 * 10));
        assert!(u.charge() == 1.0 && (u.status().cell_v - 2.27).abs() < 0.02);
    }

    #[test]
    fn fault_voltage_is_read_once() {
        let mut u = unit();
        u.set_input(140.0);
        assert_eq!(u.status().fault_v, 140.0);
        u.set_input(230.0);
        u.advance(secs(1));
        let s = u.status();
        assert_eq!(s.fault_v, s.input_v);
    }

    #[test]
    fn avr_boosts_and_trims() {
        let mut u = unit();
        for (input_v, boosts, active) in
            [(200.0, true, true), (230.0, false, false), (260.0, false, true)]
        {
            u.set_input(input_v);
            let s = u.status();
            assert_eq!(
                (s.avr_active, s.output_v > s.input_v * 1.05),
                (active, boosts),
                "{input_v}"
            );
            assert!((205.0..240.0).contains(&s.output_v));
        }
    }

    #[test]
    fn tests_end_by_time_by_low_battery_and_by_command() {
        let mut u = unit();
        assert!(u.start_test(TestLength::For(secs(10))));
        u.advance(secs(9));
        assert!(u.status().testing && !u.status().mains_failed);
        u.advance(secs(10));
        assert!(!u.status().testing && u.charge() < 1.0);
        assert!(u.start_test(TestLength::UntilLow));
        u.advance(secs(3_600));
        assert!(!u.status().testing && u.charge() < 0.4);
        assert!(u.start_test(TestLength::UntilLow));
        u.cancel_test();
        assert!(!u.status().testing);
        u.set_input(0.0);
        assert!(!u.start_test(TestLength::UntilLow));
    }

    #[test]
    fn shutdown_returns_as_ordered() {
        for (then, on_at_s) in [
            (Return::WithMains, Some(70)),
            (Return::After(secs(180)), Some(240)),
            (Return::Never, None),
        ] {
            let mut u = unit();
            u.shut_down(secs(60), then);
            u.advance(secs(59));
            assert!(u.is_output_on() && u.status().shutting_down);
            u.advance(secs(60));
            assert!(!u.is_output_on() && u.status().output_v == 0.0);
            let on_at = (61..1_000).find(|t| {
                u.advance(secs(*t));
                u.is_output_on()
            });
            assert_eq!(on_at, on_at_s, "{then:?}");
        }
    }

    #[test]
    fn shutdown_on_battery_waits_for_mains() {
        let mut u = unit();
        u.set_input(0.0);
        u.shut_down(secs(12), Return::After(secs(60)));
        u.advance(secs(600));
        assert!(!u.is_output_on());
        u.set_input(230.0);
        u.advance(secs(601));
        assert!(u.is_output_on());
    }

    #[test]
    fn cancel_keeps_on_or_switches_on_after_ten_seconds() {
        let mut u = unit();
        u.shut_down(secs(12), Return::Never);
        u.advance(secs(5));
        u.cancel_shutdown();
        u.advance(secs(30));
        assert!(u.is_output_on() && !u.status().shutting_down);
        u.shut_down(Nanos(0), Return::Never);
        u.advance(secs(32));
        assert!(!u.is_output_on());
        u.cancel_shutdown();
        u.advance(secs(39));
        assert!(!u.is_output_on());
        u.advance(secs(42));
        assert!(u.is_output_on());
    }

    #[test]
    fn frozen_unit_repeats_itself_but_shows_mains() {
        let mut u = unit();
        u.set_frozen(true);
        let s = u.status();
        u.advance(secs(500));
        assert_eq!(u.status(), s);
        u.set_input(0.0);
        u.advance(secs(600));
        assert!(u.status().mains_failed);
        assert_eq!(u.status().cell_v, s.cell_v);
    }
}
