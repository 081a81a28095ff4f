//! What a string is doing: float, boost, discharge, recharge. Everybody who
//! decides about a string asks this one detector, so that protection,
//! equalization, estimators and recorder never disagree.
//!
//! ```text
//!              current out for two scans, or many blocks low, or falling fast
//!    Float ◀────────────────────────────────────────────▶ Discharge
//!     │ ▲ ▲                                                   │ none of them
//!     │ │ └── mean ≥ recovered_v (lithium: and charging) ── Recharge
//!     │ │                                                     ▲
//!     │ └──▶ Boost: mean above the float window               │
//!     └───────────── mean < recovered_v for a minute ─────────┘
//! ```
//! With a current sensor its sign decides at once, and the voltages are the
//! cross-check; without one the voltages decide (facts/battery-science.md
//! §3.4). All voltages are per cell, so that blocks of different nominal
//! voltage can stand in one string. The float window and the recovered voltage
//! move with the float voltage that the maker wants at the string's
//! temperature; the discharge voltage does not, rest voltages hardly depend on
//! temperature.
//!
//! *Charger off* is said of a string that is not discharging but sinks towards
//! its rest voltage, or stays below the recovered voltage without rising.

use crate::battery::BatteryType;
use crate::scan::{Phase, StringScan};
use crate::time::Nanos;

/// Least share of the blocks that must have a voltage.
pub const USABLE_SHARE: f64 = 0.75;
/// Share of the sensor's range below which a current is its offset.
const SENSOR_SHARE: f64 = 0.005;
/// Share of the capacity, 1/h, below which a current is no discharge.
const CAPACITY_SHARE_PER_H: f64 = 1.0 / 200.0;
/// Scans in a row that a current must be beyond its limit.
const CURRENT_SCANS: u8 = 2;
/// Fall of a block, V per cell and second, that only a load explains when more
/// than half of the blocks fall: at C/2 the polarisation alone falls by 18 mV
/// per cell and second.
const FALL_V_PER_S: f64 = 0.010;
/// A boost ends this far below where it began, V per cell.
const BOOST_HYSTERESIS_V: f64 = 0.01;
/// Time constants of the mean's two memories, s: their difference says whether
/// the string rises or sinks, free of noise.
const FAST_S: f64 = 60.0;
const SLOW_S: f64 = 1_800.0;
/// Difference of the memories that is a sinking string, V per cell. A cabinet
/// that warms by 5 K in an hour lowers a compensated charger by half of that.
const SINKING_V: f64 = 0.015;
/// Difference of the memories that is a rising string, V per cell.
const RISING_V: f64 = 0.001;
/// Time below the recovered voltage after which a string is not at float any
/// more, and time without rising there after which its charger is off, s.
const BELOW_S: f64 = 60.0;
const OFF_S: f64 = 600.0;
/// A string that stands this still (V per cell) for this long (s) above its
/// rest voltage is at float, however low its charger is set.
const STILL_V: f64 = 0.002;
const STILL_S: f64 = 12.0 * 3_600.0;
/// Distance from the rest voltage that tells a low float from a rest, V per cell.
const ABOVE_REST_V: f64 = 0.010;
/// Time after which current and voltages that contradict each other are told, s.
const DISAGREE_S: f64 = 60.0;

/// What the current sensor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// No sensor, or no good reading.
    Unknown,
    /// Below the sensor's and the capacity's limit.
    Still,
    /// Into the batteries.
    In,
    /// Out of the batteries.
    Out,
}

/// The voltages of one scan.
#[derive(Clone, Copy, Debug)]
struct Survey {
    usable: usize,
    low: usize,
    /// V per cell; NaN when no block is usable.
    mean_v: f64,
    /// More than half of the blocks fall as only a load explains.
    falling: bool,
    /// Mean block temperature, held within the compensated range, °C; the
    /// battery's reference when no block has one.
    celsius: f64,
}

/// The state machine above, for one string. A step allocates nothing.
#[derive(Clone, Debug)]
pub struct PhaseDetector {
    battery: BatteryType,
    cells: Vec<f64>,
    current_limit_a: f64,
    last_v: Vec<Option<f64>>,
    last_at: Option<Nanos>,
    stage: Phase,
    shown: Phase,
    /// Scans in a row with a current beyond its limit, and back within half of it.
    out_scans: u8,
    back_scans: u8,
    out: bool,
    /// The sensor has shown a current beyond its limit: it is alive.
    sensor_proven: bool,
    /// A discharge that the sensor does not see.
    by_voltage: bool,
    /// The memories of the mean, V per cell.
    fast_v: f64,
    slow_v: f64,
    below_s: f64,
    off_s: f64,
    still_s: f64,
    disagree_s: f64,
    charger_off: bool,
}

impl PhaseDetector {
    /// For a string whose blocks have that many `cells` each, of that type of
    /// `battery`; `sensor_range_a` is the rated current of its sensor, A.
    #[must_use]
    pub fn new(cells: Vec<f64>, battery: &BatteryType, sensor_range_a: Option<f64>) -> Self {
        let current_limit_a = (CAPACITY_SHARE_PER_H * battery.capacity_ah)
            .max(SENSOR_SHARE * sensor_range_a.unwrap_or(0.0));
        Self {
            current_limit_a,
            last_v: vec![None; cells.len()],
            battery: BatteryType { discharges: Vec::new(), ..battery.clone() },
            cells,
            last_at: None,
            stage: Phase::Unknown,
            shown: Phase::Unknown,
            out_scans: 0,
            back_scans: 0,
            out: false,
            sensor_proven: false,
            by_voltage: false,
            fast_v: f64::NAN,
            slow_v: f64::NAN,
            below_s: 0.0,
            off_s: 0.0,
            still_s: 0.0,
            disagree_s: 0.0,
            charger_off: false,
        }
    }

    /// The phase after one more scan. A scan of fewer blocks than configured
    /// has that many blocks without a voltage.
    pub fn step(&mut self, scan: &StringScan<'_>) -> Phase {
        let dt_s = self.last_at.map_or(0.0, |at| scan.now.since(at).as_secs_f64());
        let survey = self.survey(scan, dt_s);
        self.last_at = Some(scan.now);
        let flow = self.flow(scan.current_a);
        let enough = survey.usable as f64 >= USABLE_SHARE * self.cells.len() as f64;
        self.shown = if enough && survey.mean_v.is_finite() {
            self.judge(&survey, flow, dt_s);
            self.stage
        } else if flow == Flow::Out {
            self.stage = Phase::Discharge;
            self.stage
        } else {
            Phase::Unknown
        };
        self.shown
    }

    /// The phase after the last scan.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.shown
    }

    /// No discharge, but the string sinks towards rest, or stays below the
    /// recovered voltage without rising.
    #[must_use]
    pub fn charger_off(&self) -> bool {
        self.charger_off
    }

    /// Current and voltages have contradicted each other for a minute: the
    /// sensor is dead, reversed, or around another cable.
    #[must_use]
    pub fn sensor_disagrees(&self) -> bool {
        self.disagree_s >= DISAGREE_S
    }

    fn survey(&mut self, scan: &StringScan<'_>, dt_s: f64) -> Survey {
        let limit_v = self.battery.chemistry_data().discharge_v;
        let (mut usable, mut low) = (0, 0);
        let (mut sum_v, mut cells) = (0.0, 0.0);
        let (mut compared, mut falling) = (0, 0);
        for (i, (n, last)) in self.cells.iter().zip(&mut self.last_v).enumerate() {
            let voltage = scan.blocks.get(i).and_then(|b| b.voltage_v).filter(|v| v.is_finite());
            if let Some(v) = voltage {
                usable += 1;
                low += usize::from(v < limit_v * n);
                sum_v += v;
                cells += n;
                // A clock that stands still shows no fall.
                if let Some(last) = last.filter(|_| dt_s > 0.0) {
                    compared += 1;
                    falling += usize::from(last - v > FALL_V_PER_S * dt_s * n);
                }
            }
            *last = voltage;
        }
        let kelvin = |t: f64| t.clamp(5.0, 40.0);
        let warm = scan.temperatures().map(|(_, t)| t).filter(|t| t.is_finite());
        let count = warm.clone().count() as f64;
        let celsius = if count > 0.0 {
            warm.map(kelvin).sum::<f64>() / count
        } else {
            self.battery.reference_c
        };
        Survey { usable, low, mean_v: sum_v / cells, falling: 2 * falling > compared, celsius }
    }

    fn flow(&mut self, current_a: Option<f64>) -> Flow {
        let Some(amps) = current_a.filter(|a| a.is_finite()) else {
            (self.out_scans, self.back_scans, self.out) = (0, 0, false);
            return Flow::Unknown;
        };
        let limit_a = self.current_limit_a;
        let count = |holds: bool, scans: u8| if holds { scans.saturating_add(1) } else { 0 };
        self.out_scans = count(amps < -limit_a, self.out_scans);
        self.back_scans = count(amps > -0.5 * limit_a, self.back_scans);
        self.out |= self.out_scans >= CURRENT_SCANS;
        self.out &= self.back_scans < CURRENT_SCANS;
        let into = amps > limit_a;
        self.sensor_proven |= into || self.out;
        match () {
            () if self.out => Flow::Out,
            () if into => Flow::In,
            () => Flow::Still,
        }
    }

    fn judge(&mut self, survey: &Survey, flow: Flow, dt_s: f64) {
        let discharge = self.discharging(survey, flow);
        self.watch_sensor(survey, flow, dt_s);
        if discharge {
            self.stage = Phase::Discharge;
            self.forget(survey.mean_v);
            return;
        }
        self.remember(survey.mean_v, dt_s);
        let recovered_v = self.recovered_v(survey.celsius);
        let below = survey.mean_v < recovered_v;
        self.below_s = if below { self.below_s + dt_s } else { 0.0 };
        self.stage = match self.stage {
            Phase::Unknown if below => Phase::Recharge,
            Phase::Discharge | Phase::Recharge if !self.is_back(survey.mean_v, below, flow) => {
                Phase::Recharge
            }
            Phase::Float if self.below_s >= BELOW_S && self.still_s < STILL_S => Phase::Recharge,
            last => self.float_or_boost(survey, last == Phase::Boost),
        };
        self.watch_charger(survey.mean_v, below, flow, dt_s);
    }

    fn discharging(&mut self, survey: &Survey, flow: Flow) -> bool {
        let limit_v = self.battery.chemistry_data().discharge_v;
        let falling = survey.falling;
        // One low block is a low block, not a discharge, however short the string.
        let many_low = survey.low >= 2 && survey.low * 10 > self.cells.len();
        let low = survey.mean_v < limit_v || many_low;
        // A sensor that has moved is believed when it says that nothing flows:
        // a string may rest below the limit after a discharge.
        let unseen = low && (self.by_voltage || !(self.sensor_proven || self.charger_off));
        self.by_voltage = flow == Flow::Still && (falling || unseen);
        match flow {
            Flow::Out => true,
            Flow::In => falling,
            Flow::Still => self.by_voltage,
            Flow::Unknown => low || falling,
        }
    }

    fn watch_sensor(&mut self, survey: &Survey, flow: Flow, dt_s: f64) {
        let carried = flow == Flow::Out && survey.mean_v >= self.recovered_v(survey.celsius);
        let holds = self.by_voltage || carried;
        self.disagree_s = if holds { self.disagree_s + dt_s } else { 0.0 };
    }

    /// Mean from which a discharged string is back at float, V per cell: where
    /// the maker wants a low float voltage, half way to it.
    fn recovered_v(&self, celsius: f64) -> f64 {
        let data = self.battery.chemistry_data();
        match self.float_v(celsius) {
            Some(float_v) if !data.lithium => {
                data.recovered_v.min((data.discharge_v + float_v) / 2.0)
            }
            _ => data.recovered_v,
        }
    }

    fn float_v(&self, celsius: f64) -> Option<f64> {
        Some(self.battery.float_v(celsius)? / self.battery.cells_f64())
    }

    /// A string that was discharged is back at float.
    fn is_back(&self, mean_v: f64, below: bool, flow: Flow) -> bool {
        let data = self.battery.chemistry_data();
        if data.lithium {
            // Never on the plateau, nor while a surface voltage decays.
            let charging = flow == Flow::In || self.fast_v >= self.slow_v - RISING_V;
            return !below && charging;
        }
        let low_float = self.still_s >= STILL_S && mean_v > data.rest_full_v + ABOVE_REST_V;
        !below || low_float
    }

    fn float_or_boost(&self, survey: &Survey, boosted: bool) -> Phase {
        let data = self.battery.chemistry_data();
        let moved_v = match (self.float_v(survey.celsius), data.float_v) {
            (Some(now_v), Some(at_25_v)) => now_v - at_25_v,
            _ => 0.0,
        };
        let hysteresis_v = if boosted { BOOST_HYSTERESIS_V } else { 0.0 };
        let boost = survey.mean_v > data.boost_v + moved_v - hysteresis_v;
        if boost { Phase::Boost } else { Phase::Float }
    }

    fn watch_charger(&mut self, mean_v: f64, below: bool, flow: Flow, dt_s: f64) {
        if self.stage == Phase::Boost {
            self.forget(mean_v);
            return;
        }
        let rising = self.fast_v > self.slow_v + RISING_V;
        let idle = below && !rising && flow != Flow::In && self.stage == Phase::Recharge;
        self.off_s = if idle { self.off_s + dt_s } else { 0.0 };
        let sinking = self.fast_v < self.slow_v - SINKING_V && flow != Flow::In;
        self.charger_off = sinking || self.off_s >= OFF_S;
    }

    /// Start the memories of the mean anew.
    fn forget(&mut self, mean_v: f64) {
        (self.fast_v, self.slow_v) = (mean_v, mean_v);
        (self.below_s, self.off_s, self.still_s) = (0.0, 0.0, 0.0);
        self.charger_off = false;
    }

    fn remember(&mut self, mean_v: f64, dt_s: f64) {
        if !self.fast_v.is_finite() {
            self.forget(mean_v);
        }
        self.fast_v += dt_s / (dt_s + FAST_S) * (mean_v - self.fast_v);
        self.slow_v += dt_s / (dt_s + SLOW_S) * (mean_v - self.slow_v);
        let still = (self.fast_v - self.slow_v).abs() < STILL_V;
        self.still_s = if still { self.still_s + dt_s } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Chemistry;
    use crate::scan::BlockScan;
    use proptest::prelude::*;

    /// A string of eight blocks at one voltage per cell, on a clock of its own.
    struct Bench {
        detector: PhaseDetector,
        cells: f64,
        now: Nanos,
        celsius: f64,
    }

    impl Bench {
        fn new(chemistry: Chemistry, cells: u8, sensor_range_a: Option<f64>) -> Self {
            let battery = BatteryType::new(chemistry, cells, 100.0);
            let cells = f64::from(cells);
            let detector = PhaseDetector::new(vec![cells; 8], &battery, sensor_range_a);
            Self { detector, cells, now: Nanos::from_secs(1), celsius: 25.0 }
        }

        fn agm(sensor_range_a: Option<f64>) -> Self {
            Self::new(Chemistry::Agm, 6, sensor_range_a)
        }

        fn scan(&mut self, low: usize, v_per_cell: f64, current_a: Option<f64>) -> Phase {
            self.now = self.now + Nanos::from_secs(1);
            let blocks: Vec<BlockScan> = (0..8)
                .map(|i| BlockScan {
                    voltage_v: Some(if i < low { 2.10 } else { v_per_cell } * self.cells),
                    temperature_c: Some(self.celsius),
                    ..BlockScan::default()
                })
                .collect();
            self.detector.step(&StringScan {
                now: self.now,
                wall_s: None,
                blocks: &blocks,
                current_a,
                string_v: None,
                ambient_c: None,
            })
        }

        /// From the present voltage in equal steps to that one.
        fn glide(&mut self, from_v: f64, to_v: f64, seconds: u32, current_a: Option<f64>) -> Phase {
            (1..=seconds)
                .map(|s| from_v + (to_v - from_v) * f64::from(s) / f64::from(seconds))
                .map(|v| self.scan(0, v, current_a))
                .last()
                .expect("a second or more")
        }
    }

    #[test]
    fn discharge_then_recharge_then_float_by_voltage() {
        let mut b = Bench::agm(None);
        assert_eq!(b.scan(0, 2.27, None), Phase::Float);
        assert_eq!(b.scan(1, 2.27, None), Phase::Float, "one of eight is a low block");
        assert_eq!(b.scan(2, 2.27, None), Phase::Discharge);
        assert_eq!(b.scan(8, 2.05, None), Phase::Discharge);
        assert_eq!(b.glide(2.16, 2.19, 60, None), Phase::Recharge);
        assert_eq!(b.scan(0, 2.21, None), Phase::Float);
    }

    #[test]
    fn a_fast_fall_is_a_discharge_before_the_limit_is_reached() {
        let mut b = Bench::agm(None);
        b.scan(0, 2.27, None);
        assert_eq!(b.scan(0, 2.265, None), Phase::Float, "a small step of the charger is none");
        assert_eq!(b.scan(0, 2.250, None), Phase::Discharge);
        assert_eq!(b.scan(0, 2.250, None), Phase::Float);
    }

    #[test]
    fn current_decides_at_the_second_scan_and_ends_it() {
        // 100 Ah and ±200 A: 1 A of offset, 0.5 A of C/200.
        let mut b = Bench::agm(Some(200.0));
        assert_eq!(b.scan(0, 2.27, Some(-0.9)), Phase::Float);
        assert_eq!(b.scan(0, 2.265, Some(-1.1)), Phase::Float);
        assert_eq!(b.scan(0, 2.26, Some(-1.1)), Phase::Discharge);
        assert_eq!(b.scan(0, 2.255, Some(-0.6)), Phase::Discharge, "hysteresis");
        b.scan(0, 2.05, Some(-20.0));
        b.scan(0, 2.05, Some(0.0));
        assert_eq!(b.scan(0, 2.05, Some(0.0)), Phase::Recharge, "resting low is no discharge");
        assert_eq!(b.scan(0, 2.08, Some(10.0)), Phase::Recharge);
        assert_eq!(b.glide(2.08, 2.21, 600, Some(10.0)), Phase::Float);
    }

    #[test]
    fn voltages_stand_in_for_a_dead_sensor_and_say_so() {
        let mut b = Bench::agm(Some(200.0));
        b.scan(0, 2.27, Some(0.0));
        assert_eq!(b.scan(0, 2.20, Some(0.0)), Phase::Discharge);
        assert_eq!(b.glide(2.20, 2.16, 10, Some(0.0)), Phase::Recharge, "a slow fall is none");
        assert_eq!(b.scan(0, 2.04, Some(0.0)), Phase::Discharge);
        for _ in 0..70 {
            assert_eq!(b.scan(0, 2.03, Some(0.0)), Phase::Discharge);
        }
        assert!(b.detector.sensor_disagrees());
        assert_eq!(b.scan(0, 2.06, Some(8.0)), Phase::Recharge, "it moves after all");
        b.scan(0, 2.06, Some(8.0));
        assert!(!b.detector.sensor_disagrees());
    }

    #[test]
    fn a_reversed_sensor_is_told() {
        let mut b = Bench::agm(Some(50.0));
        for _ in 0..70 {
            b.scan(0, 2.25, Some(-5.0));
        }
        assert!(b.detector.sensor_disagrees());
    }

    #[test]
    fn boost_has_hysteresis_and_follows_the_temperature() {
        let mut b = Bench::agm(None);
        assert_eq!(b.scan(0, 2.40, None), Phase::Boost);
        assert_eq!(b.glide(2.40, 2.33, 10, None), Phase::Boost);
        assert_eq!(b.glide(2.33, 2.32, 2, None), Phase::Float);
        assert_eq!(b.scan(0, 2.33, None), Phase::Float);
        b.celsius = 5.0;
        assert_eq!(b.scan(0, 2.36, None), Phase::Float, "float is 2.33 V at 5 °C");
        b.celsius = 40.0;
        assert_eq!(b.glide(2.36, 2.30, 10, None), Phase::Boost, "float is 2.225 V at 40 °C");
    }

    #[test]
    fn a_charger_that_stops_is_noticed_while_the_string_sinks() {
        let mut b = Bench::agm(None);
        b.glide(2.27, 2.27, 600, None);
        assert!(!b.detector.charger_off());
        // §2.2: 13.60 V falls to 13.37 V in the first hour.
        assert_eq!(b.glide(2.27, 2.232, 3_600, None), Phase::Float);
        assert!(b.detector.charger_off());
        assert_eq!(b.glide(2.232, 2.183, 3 * 3_600, None), Phase::Recharge);
        assert!(b.detector.charger_off());
        assert_eq!(b.glide(2.183, 2.23, 600, None), Phase::Float);
        assert!(!b.detector.charger_off());
    }

    #[test]
    fn a_compensated_charger_is_not_taken_for_a_stopped_one() {
        let mut b = Bench::agm(None);
        b.glide(2.27, 2.27, 600, None);
        b.glide(2.27, 2.255, 3_600, None);
        assert!(!b.detector.charger_off());
    }

    #[test]
    fn a_charger_set_low_is_float_in_the_end_and_a_rest_is_not() {
        let mut b = Bench::agm(None);
        assert_eq!(b.scan(0, 2.18, None), Phase::Recharge);
        assert_eq!(b.glide(2.18, 2.18, 13 * 3_600, None), Phase::Float);
        assert_eq!(b.glide(2.18, 2.18, 3_600, None), Phase::Float, "and stays");
        let mut b = Bench::agm(None);
        assert_eq!(b.glide(2.158, 2.158, 13 * 3_600, None), Phase::Recharge);
        assert!(b.detector.charger_off());
    }

    #[test]
    fn lithium_is_back_only_above_the_plateau_and_charging() {
        let mut b = Bench::new(Chemistry::Lfp, 4, Some(50.0));
        b.scan(0, 3.20, Some(-20.0));
        b.scan(0, 3.20, Some(-20.0));
        assert_eq!(b.glide(3.31, 3.36, 1_800, Some(20.0)), Phase::Recharge, "the plateau");
        assert_eq!(b.glide(3.36, 3.42, 600, Some(20.0)), Phase::Float);
        assert_eq!(b.glide(3.42, 3.34, 1_800, Some(0.0)), Phase::Recharge, "decays to the plateau");
    }

    #[test]
    fn too_few_readings_are_unknown_unless_the_current_tells() {
        let mut b = Bench::agm(Some(50.0));
        b.scan(0, 2.27, Some(0.0));
        let mut scan = |current_a: f64| {
            b.detector.step(&StringScan {
                now: b.now,
                wall_s: None,
                blocks: &[BlockScan::default(); 8],
                current_a: Some(current_a),
                string_v: None,
                ambient_c: None,
            })
        };
        assert_eq!(scan(0.0), Phase::Unknown);
        assert_eq!(scan(-5.0), Phase::Unknown);
        assert_eq!(scan(-5.0), Phase::Discharge);
        b.scan(0, 2.27, Some(0.0));
        assert_eq!(b.scan(0, 2.27, Some(0.0)), Phase::Float);
    }

    proptest! {
        #[test]
        fn nothing_measured_makes_it_panic_or_lose_its_way(
            wild in proptest::collection::vec(
                (any::<u64>(), any::<Option<f64>>(), any::<Option<f64>>(), any::<Option<f64>>(), 0usize..10),
                0..40,
            ),
        ) {
            let mut b = Bench::agm(Some(200.0));
            for (now, voltage_v, temperature_c, current_a, count) in wild {
                let blocks = vec![BlockScan { voltage_v, temperature_c, ..BlockScan::default() }; count];
                b.detector.step(&StringScan {
                    now: Nanos(now), wall_s: None, blocks: &blocks, current_a, string_v: None, ambient_c: None,
                });
            }
            b.detector.last_at = None;
            let phase = b.glide(2.27, 2.27, 20 * 3_600, Some(0.0));
            prop_assert_eq!(phase, Phase::Float);
        }
    }
}
