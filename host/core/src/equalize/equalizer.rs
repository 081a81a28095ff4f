//! The equalizer of a string: one scan in, one duty per block out.

use super::charger::{ChargerCheck, ChargerVerdict};
use super::config::Config;
use super::feasibility::{Observed, Watch};
use super::inhibit::{Gate, Inhibits, Orders};
use super::place::Place;
use super::report::{Activity, BlockReport, Report};
use super::target::HealthyMean;
use super::truth::{Compare, Truth};
use crate::battery::BatteryType;
use crate::bus::wire::Duty;
use crate::scan::{Phase, StringScan};
use crate::time::Nanos;

/// Distance of the healthy mean from the maker's float voltage, as a share of
/// the nominal voltage, that excluded blocks may cause (0.05 V per lead cell).
const WINDOW_SHARE: f64 = 0.025;
/// No filter believes in a longer gap between two scans, cycles.
const GAP_CYCLES: f64 = 10.0;

/// The equalizer of one string. Built once; a step allocates nothing.
#[derive(Clone, Debug)]
pub struct Equalizer {
    cycle_s: f64,
    enabled: bool,
    boost_allowed: bool,
    hot_c: f64,
    /// The first block's: the string's float voltage and chemistry.
    battery: Option<BatteryType>,
    places: Vec<Place>,
    reports: Vec<BlockReport>,
    target: HealthyMean,
    gate: Gate,
    watch: Watch,
    charger: ChargerCheck,
    compare: Compare,
    /// Voltages per cell as they make the target.
    per_cell: Vec<Option<f64>>,
    temperatures: Vec<f64>,
    last_at: Option<Nanos>,
}

impl Equalizer {
    /// For a string as configured.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let cycle_s = config.cycle.as_secs_f64();
        let count = config.blocks.len();
        let first = config.blocks.first().map(|b| b.battery.clone());
        let nominal_v = first.as_ref().map_or(2.0, |b| b.chemistry_data().nominal_v);
        Self {
            cycle_s,
            enabled: config.enabled,
            boost_allowed: config.boost_allowed,
            hot_c: config.hot_c,
            battery: first,
            places: config.blocks.iter().map(|b| Place::new(b, cycle_s)).collect(),
            reports: vec![BlockReport::default(); count],
            target: HealthyMean::new(config.cells(), nominal_v),
            gate: Gate::default(),
            watch: Watch::new(&config.blocks),
            charger: ChargerCheck::new(&config.blocks),
            compare: Compare::default(),
            per_cell: vec![None; count],
            temperatures: Vec::with_capacity(count),
            last_at: None,
        }
    }

    /// What the last step found and did at each block.
    #[must_use]
    pub fn blocks(&self) -> &[BlockReport] {
        &self.reports
    }

    /// Whether the block's temperature comes from inside its module, as the
    /// module says now; an external sensor can be plugged in at any time. A
    /// block that there is not is ignored.
    pub fn set_internal_sensor(&mut self, block: usize, internal: bool) {
        if let Some(place) = self.places.get_mut(block) {
            place.warmth.set_internal_sensor(internal);
        }
    }

    /// One scan: `duties` get one entry per block. A block that is missing at
    /// the end of the scan has no reading. `phase` is the
    /// [phase detector](crate::phase)'s for the same scan.
    ///
    /// # Panics
    /// When `duties` has not one entry per block: a programming error.
    pub fn step(
        &mut self,
        scan: &StringScan<'_>,
        phase: Phase,
        orders: &Orders,
        duties: &mut [Duty],
    ) -> Report {
        assert_eq!(duties.len(), self.places.len(), "one duty per block");
        let dt_s = self.elapsed(scan.now);
        for (i, place) in self.places.iter_mut().enumerate() {
            let block = scan.blocks.get(i).copied().unwrap_or_default();
            place.read(&block, self.hot_c, orders.measuring == Some(i), dt_s);
        }
        let median_c = self.lower_warm_blocks();
        let target = self.aim();
        let usable = self.places.iter().filter(|p| p.voltage_v.is_some()).count();
        let inhibits = self
            .gate
            .step(usable, self.places.len(), phase, self.boost_allowed, orders)
            .with(Inhibits::DISABLED, !self.enabled);
        duties.fill(Duty::OFF);
        match target {
            Some(target_v) if inhibits.is_empty() => self.control(target_v, phase, dt_s, duties),
            _ => self.release(),
        }
        let mut report = self.report(target, inhibits, duties);
        report.pushed_out = phase == Phase::Float
            && report.excluded > 0
            && median_c.is_some_and(|c| self.leaves_window(report.target_v_per_cell, c));
        report.charger = self.charger.step(scan, phase, dt_s);
        report.truth = self.truth(scan, phase, report.sum_v, dt_s);
        report
    }

    fn elapsed(&mut self, now: Nanos) -> f64 {
        let dt_s = self.last_at.map_or(self.cycle_s, |at| now.since(at).as_secs_f64());
        self.last_at = Some(now);
        dt_s.min(GAP_CYCLES * self.cycle_s)
    }

    /// Lower the targets of blocks warmer than the median, which is returned, °C.
    fn lower_warm_blocks(&mut self) -> Option<f64> {
        self.temperatures.clear();
        self.temperatures.extend(self.places.iter().filter_map(|p| p.warmth.celsius()));
        let median_c = if self.temperatures.is_empty() {
            None
        } else {
            let middle = self.temperatures.len() / 2;
            Some(*self.temperatures.select_nth_unstable_by(middle, f64::total_cmp).1)
        };
        for place in &mut self.places {
            place.lower(median_c);
        }
        median_c
    }

    /// The target, V per cell, and every block's report of it.
    fn aim(&mut self) -> Option<f64> {
        for (i, (place, per_cell)) in self.places.iter().zip(&mut self.per_cell).enumerate() {
            let lower_v = place.lowered_v + self.watch.conceded_v(i);
            *per_cell = place
                .voltage_v
                .filter(|_| place.counts())
                .map(|volts| (volts + lower_v) / place.cells);
        }
        let target = self.target.step(&self.per_cell);
        for (i, (place, report)) in self.places.iter().zip(&mut self.reports).enumerate() {
            let target_v = target.map_or(f64::NAN, |t| t * place.cells - place.lowered_v);
            *report = BlockReport {
                target_v,
                deviation_v: place.voltage_v.map_or(f64::NAN, |v| v - target_v),
                conceded_v: self.watch.conceded_v(i),
                member: self.target.is_member(i),
                activity: place.rest.unwrap_or(Activity::Inhibited),
            };
        }
        target
    }

    /// All bypasses off.
    fn release(&mut self) {
        self.places.iter_mut().for_each(|p| p.law.rest(self.cycle_s));
        self.watch.interrupt();
    }

    /// Duties by the law.
    fn control(&mut self, target_v: f64, phase: Phase, dt_s: f64, duties: &mut [Duty]) {
        let blocks = self.places.iter_mut().zip(&mut self.reports).zip(duties);
        for (i, ((place, report), duty)) in blocks.enumerate() {
            let (None, Some(voltage_v)) = (place.rest, place.voltage_v) else {
                place.law.rest(self.cycle_s);
                self.watch.observe(i, None, dt_s);
                continue;
            };
            let error_v = report.deviation_v + report.conceded_v;
            let wish = place.law.step(voltage_v, error_v, place.bypass_a);
            *duty = Duty::from_fraction(wish.fraction);
            report.activity = match wish {
                w if w.limited => Activity::Derated,
                w if w.saturated => Activity::Saturated,
                _ => Activity::Controlled,
            };
            let observed = Observed {
                error_v: report.deviation_v,
                bypass_a: place.bypass_a,
                full_a: place.law.full_a(voltage_v),
                limited: wish.limited && wish.saturated,
            };
            self.watch.observe(i, Some(observed).filter(|_| report.member), dt_s);
        }
        if phase == Phase::Float {
            self.watch.step(target_v, dt_s);
        }
        self.pin_common_mode();
    }

    /// The errors are relative to the mean, so a current common to all
    /// integrators changes no error and would random-walk upward on noise: the
    /// smallest integrator of the members is subtracted from all in every
    /// cycle (§3.3).
    fn pin_common_mode(&mut self) {
        let members =
            self.places.iter().zip(&self.reports).filter(|(p, r)| r.member && p.rest.is_none());
        let smallest = members.map(|(p, _)| p.law.integrator_a()).fold(f64::INFINITY, f64::min);
        if smallest.is_finite() {
            self.places.iter_mut().for_each(|p| p.law.lower(smallest));
        }
    }

    /// The target, V per cell, is outside the maker's float window.
    fn leaves_window(&self, target_v: f64, celsius: f64) -> bool {
        self.battery.as_ref().is_some_and(|b| {
            let window_v = WINDOW_SHARE * b.chemistry_data().nominal_v;
            let float_v = b.float_v(celsius).map(|v| v / b.cells_f64());
            float_v.is_some_and(|float_v| (target_v - float_v).abs() > window_v)
        })
    }

    fn truth(&mut self, scan: &StringScan<'_>, phase: Phase, sum_v: f64, dt_s: f64) -> Truth {
        let blocks = self.places.iter().zip(&self.reports).filter_map(|(p, r)| {
            Some((p.voltage_v?, r.target_v)).filter(|(_, target)| target.is_finite())
        });
        // Only at float there is no current whose drop in the links would count.
        let string_v = scan.string_v.filter(|_| phase == Phase::Float);
        self.compare.step(blocks, string_v, Some(sum_v).filter(|s| s.is_finite()), dt_s)
    }

    fn report(&self, target: Option<f64>, inhibits: Inhibits, duties: &[Duty]) -> Report {
        let count = self.places.len().max(1) as f64;
        let blocks = || self.places.iter().zip(&self.reports);
        let of = |wanted: fn(&Place, &BlockReport) -> bool| {
            blocks().filter(|(p, r)| wanted(p, r)).count() as u16
        };
        let worst = self
            .reports
            .iter()
            .enumerate()
            .filter(|(_, r)| r.deviation_v.is_finite())
            .max_by(|(_, a), (_, b)| a.deviation_v.abs().total_cmp(&b.deviation_v.abs()));
        let complete = self.places.iter().all(|p| p.voltage_v.is_some());
        let sum_v: f64 = self.places.iter().filter_map(|p| p.voltage_v).sum();
        Report {
            target_v: self.reports.iter().map(|r| r.target_v).sum::<f64>() / count,
            target_v_per_cell: target.unwrap_or(f64::NAN),
            sum_v: if complete { sum_v } else { f64::NAN },
            worst_v: worst.map_or(f64::NAN, |(_, r)| r.deviation_v),
            worst_block: worst.map(|(i, _)| i as u16),
            inhibits,
            members: of(|_, r| r.member),
            excluded: of(|p, r| p.voltage_v.is_some() && !r.member),
            saturated: of(|_, r| matches!(r.activity, Activity::Saturated | Activity::Derated)),
            mean_duty: duties.iter().map(|d| d.fraction()).sum::<f64>() / count,
            feasibility: self.watch.verdict(),
            pushed_out: false,
            truth: Truth::default(),
            charger: ChargerVerdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::{Chemistry, ModuleKind};
    use crate::scan::BlockScan;
    use proptest::prelude::*;

    fn config() -> Config {
        let battery = BatteryType::new(Chemistry::Agm, 6, 7.0);
        Config::uniform(4, ModuleKind::C20, &battery, Nanos::from_secs(1))
    }

    /// An equalizer with modules that do as commanded.
    struct Bench {
        equalizer: Equalizer,
        duties: [Duty; 4],
        now: Nanos,
        phase: Phase,
        orders: Orders,
    }

    const APART: [f64; 4] = [13.9, 13.7, 13.5, 13.7];

    fn blocks(volts: [f64; 4]) -> [BlockScan; 4] {
        volts.map(|v| BlockScan {
            voltage_v: Some(v),
            temperature_c: Some(25.0),
            ..BlockScan::default()
        })
    }

    impl Bench {
        fn new(config: &Config) -> Self {
            Self {
                equalizer: Equalizer::new(config),
                duties: [Duty::OFF; 4],
                now: Nanos::from_secs(1),
                phase: Phase::Float,
                orders: Orders::default(),
            }
        }

        fn scan(&mut self, mut blocks: [BlockScan; 4]) -> Report {
            self.now = self.now + Nanos::from_secs(1);
            for (block, duty) in blocks.iter_mut().zip(self.duties) {
                block.bypass_a = duty.fraction() * block.voltage_v.unwrap_or(0.0) / 90.7;
            }
            let scan = StringScan {
                now: self.now,
                wall_s: None,
                blocks: &blocks,
                current_a: None,
                string_v: None,
                ambient_c: None,
            };
            self.equalizer.step(&scan, self.phase, &self.orders, &mut self.duties)
        }

        fn run(&mut self, volts: [f64; 4], cycles: usize) -> Report {
            (0..cycles).map(|_| self.scan(blocks(volts))).last().expect("cycles")
        }

        fn activity(&self) -> [Activity; 4] {
            core::array::from_fn(|i| self.equalizer.blocks()[i].activity)
        }
    }

    #[test]
    fn only_blocks_above_the_target_shed_current() {
        let mut b = Bench::new(&config());
        let report = b.run(APART, 20);
        assert!((report.target_v - 13.7).abs() < 1e-9);
        assert_eq!((b.duties[0], b.duties[2]), (Duty::FULL, Duty::OFF));
        assert_eq!((report.saturated, report.members), (1, 4));
        assert!((report.worst_v.abs() - 0.2).abs() < 1e-9);
        assert_eq!(b.activity()[0], Activity::Saturated);
    }

    #[test]
    fn every_inhibit_is_off_at_once_and_comes_back_by_a_ramp() {
        let mut b = Bench::new(&config());
        b.run(APART, 20);
        b.orders.battery_test = true;
        let report = b.run(APART, 1);
        assert_eq!(report.inhibits, Inhibits::BATTERY_TEST);
        assert_eq!((b.duties, b.activity()), ([Duty::OFF; 4], [Activity::Inhibited; 4]));
        b.orders.battery_test = false;
        b.run(APART, 1);
        assert!((b.duties[0].fraction() - 0.1).abs() < 1e-3, "{:?}", b.duties);
        b.run(APART, 20);
        b.phase = Phase::Discharge;
        assert_eq!(b.run(APART, 1).inhibits, Inhibits::DISCHARGE);
        assert_eq!(b.duties, [Duty::OFF; 4]);
    }

    #[test]
    fn switched_off_is_off_and_boost_is_as_configured() {
        let mut b = Bench::new(&Config { enabled: false, ..config() });
        assert_eq!(b.run(APART, 3).inhibits, Inhibits::DISABLED);
        for (boost_allowed, on) in [(false, false), (true, true)] {
            let mut b = Bench::new(&Config { boost_allowed, ..config() });
            b.phase = Phase::Boost;
            b.run(APART.map(|v| v + 0.8), 20);
            assert_eq!(b.duties[0] > Duty::OFF, on);
            assert!(
                b.duties[0] < Duty::FULL,
                "14.7 V on full would be hotter than the sheet allows"
            );
        }
    }

    #[test]
    fn a_lost_block_has_its_bypass_off_and_the_rest_goes_on() {
        for without in [
            |b: &mut BlockScan| b.voltage_v = None,
            |b: &mut BlockScan| b.temperature_c = None,
            |b: &mut BlockScan| b.voltage_v = Some(f64::NAN),
        ] {
            let mut b = Bench::new(&config());
            b.run([13.9, 13.8, 13.5, 13.6], 20);
            let mut lost = blocks([13.9, 13.8, 13.5, 13.6]);
            without(&mut lost[0]);
            let report = b.scan(lost);
            assert_eq!((b.duties[0], b.activity()[0]), (Duty::OFF, Activity::NoReading));
            assert!(b.duties[1] > Duty::OFF && report.inhibits.is_empty());
            assert_eq!(report.members, 3);
        }
    }

    #[test]
    fn a_hot_block_is_left_alone_until_it_is_cool_and_makes_no_target() {
        let mut b = Bench::new(&config());
        let mut at = |celsius: f64| {
            let mut hot = blocks(APART);
            hot.iter_mut().for_each(|b| b.temperature_c = Some(42.9));
            hot[0].temperature_c = Some(celsius);
            b.scan(hot);
            (b.duties[0] > Duty::OFF, b.equalizer.blocks()[0].member)
        };
        assert_eq!(at(44.0), (true, true));
        assert_eq!(at(45.1), (false, false));
        assert_eq!(at(44.0), (false, false));
        assert_eq!(at(42.9), (true, true));
    }

    #[test]
    fn a_block_under_measurement_or_below_its_floor_is_off_alone() {
        let mut b = Bench::new(&config());
        b.run(APART, 20);
        b.orders.measuring = Some(0);
        b.run(APART, 1);
        assert_eq!((b.duties[0], b.activity()[0]), (Duty::OFF, Activity::Measuring));
        b.orders.measuring = None;
        b.run([12.59, 13.9, 13.9, 13.8], 1);
        assert_eq!(b.activity()[0], Activity::LowVoltage);
        assert!(b.duties[1] > Duty::OFF);
    }

    #[test]
    fn a_warm_block_has_a_lower_target_and_the_others_share_the_difference() {
        let mut b = Bench::new(&config());
        let mut warm = blocks([13.7; 4]);
        warm[1].temperature_c = Some(33.0);
        let report = b.scan(warm);
        let targets: Vec<f64> = b.equalizer.blocks().iter().map(|r| r.target_v).collect();
        // 8 K · 18 mV/K = 144 mV lower; the sum stays what the charger holds.
        assert!((targets[0] - targets[1] - 0.144).abs() < 1e-9, "{targets:?}");
        assert!((targets.iter().sum::<f64>() - 4.0 * 13.7).abs() < 1e-9);
        assert!((report.target_v - 13.7).abs() < 1e-9);
        assert!(b.duties[1] > Duty::OFF && b.duties[0] == Duty::OFF);
    }

    #[test]
    fn blocks_of_different_nominal_voltage_meet_per_cell() {
        let mut config = config();
        config.blocks[1].module = ModuleKind::C30;
        config.blocks[1].battery = BatteryType::new(Chemistry::Agm, 3, 7.0);
        let mut b = Bench::new(&config);
        let report = b.run([13.65, 6.85, 13.60, 13.65], 20);
        let per_cell = (13.65 + 6.85 + 13.60 + 13.65) / 21.0;
        assert!((b.equalizer.blocks()[1].target_v - 3.0 * per_cell).abs() < 1e-9);
        assert_eq!(report.members, 4);
        assert!(b.duties[1] > Duty::OFF && b.duties[2] == Duty::OFF);
    }

    #[test]
    fn an_excluded_block_that_pushes_the_others_out_is_told() {
        let mut b = Bench::new(&config());
        let report = b.run([11.4, 14.0, 14.0, 14.0], 20);
        assert_eq!((report.members, report.excluded), (3, 1));
        assert!(report.pushed_out && report.equalizing_error());
        let report = b.run([12.9, 13.8, 13.8, 13.8], 20);
        assert!(report.excluded == 1 && !report.equalizing_error());
    }

    /// Noise alone must not make everybody burn current (§3.3).
    #[test]
    fn common_mode_stays_pinned() {
        let mut b = Bench::new(&config());
        let mut noise = 1u32;
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            13.7 + (f64::from(noise >> 16) / 65_536.0 - 0.5) * 0.004
        };
        let mut smallest = f64::INFINITY;
        for cycle in 0..3_600 {
            b.run([next(), next(), next(), next()], 1);
            if cycle > 3_000 {
                smallest = smallest.min(b.duties.iter().map(|d| d.fraction()).fold(1.0, f64::min));
            }
        }
        assert_eq!(smallest, 0.0);
        let mean: f64 = b.duties.iter().map(|d| d.fraction()).sum::<f64>() / 4.0;
        assert!(mean < 0.2, "mean duty {mean}");
    }

    /// Plausible blocks with a wild one now and then.
    fn block() -> impl Strategy<Value = BlockScan> {
        let volts = prop_oneof![20 => 13.0..14.0f64, 1 => any::<f64>()];
        let celsius = prop_oneof![20 => -20.0..60.0f64, 1 => any::<f64>()];
        let bypass = prop_oneof![5 => 0.0..0.15f64, 1 => any::<f64>()];
        (proptest::option::weighted(0.9, volts), proptest::option::weighted(0.9, celsius), bypass)
            .prop_map(|(voltage_v, temperature_c, bypass_a)| BlockScan {
                voltage_v,
                temperature_c,
                bypass_a,
                ..BlockScan::default()
            })
    }

    #[test]
    fn duties_are_possible_whatever_is_measured() {
        use proptest::test_runner::TestRunner;
        use std::cell::Cell;
        let shed = Cell::new(0);
        let scans = proptest::collection::vec((any::<u32>(), block()), 4 * 50);
        let run = TestRunner::default().run(&scans, |readings| {
            let mut eq = Equalizer::new(&config());
            for scan in readings.chunks_exact(4) {
                let blocks: Vec<BlockScan> = scan.iter().map(|(_, b)| *b).collect();
                let mut duties = [Duty::FULL; 4];
                let scan = StringScan {
                    now: Nanos::from_millis(scan[0].0.into()),
                    wall_s: None,
                    blocks: &blocks,
                    current_a: None,
                    string_v: Some(54.0),
                    ambient_c: None,
                };
                let report = eq.step(&scan, Phase::Float, &Orders::default(), &mut duties);
                for (block, duty) in blocks.iter().zip(duties) {
                    let usable = block.voltage_v.is_some() && block.temperature_c.is_some();
                    prop_assert!(usable || duty == Duty::OFF);
                    shed.set(shed.get() + u32::from(duty > Duty::OFF));
                }
                prop_assert!(report.inhibits.is_empty() || duties == [Duty::OFF; 4]);
                prop_assert!(eq.places.iter().all(|p| p.law.integrator_a() >= 0.0));
            }
            Ok(())
        });
        assert!(run.is_ok(), "{run:?}");
        assert!(shed.get() > 0, "the law was never asked");
    }
}
