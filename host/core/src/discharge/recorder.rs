//! [`Recorder`]: one string's discharge recorder, stepped once per scan.
//!
//! It starts and stops by itself, from the string's phase. A charging current
//! ends the discharge in the same scan, before the phase follows, so that no
//! voltage of the charge is taken for one of the end. See [`super`].

use super::head::{Part, RowHead};
use super::meter::DrawMeter;
use super::record::{Collapse, DischargeRecord, End, Reading, RecordId, Stage};
use super::rows::{Chunk, Ring, Rows};
use super::signature::{COUP_SHARE, CollapseCause, Signature, finite, median};
use crate::battery::BatteryType;
use crate::scan::{Phase, StringScan};
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// A block is collapsed when it was in so many readings one after the other.
const COLLAPSE_READINGS: u8 = 2;
/// Not one reading for so long ends a record.
const LOST: Nanos = Nanos::from_secs(600);
/// A current above this share of the capacity per hour is a charge, not noise
/// of the sensor.
const CHARGE_SHARE: f64 = 0.005;

/// What of the recorder can be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Scans kept from before the discharge, 0 … 120.
    pub before_scans: u16,
    /// How long mains are back when the after-return voltages are taken, s:
    /// 5 … 600.
    pub after_return_s: u16,
    /// How long recording goes on at most after mains returned, minutes:
    /// 1 … 1,440 and no less than `after_return_s`.
    pub after_minutes: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { before_scans: 30, after_return_s: 60, after_minutes: 30 }
    }
}

/// Why settings of the recorder make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value} is not in {low} … {high}")]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it says.
    pub value: u16,
    /// What it may say at least.
    pub low: u16,
    /// What it may say at most.
    pub high: u16,
}

impl Config {
    /// Say what is impossible.
    ///
    /// # Errors
    /// [`ConfigError`] names the field and its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let after_low = self.after_return_s.div_ceil(60).max(1);
        for (field, value, low, high) in [
            ("before_scans", self.before_scans, 0, 120),
            ("after_return_s", self.after_return_s, 5, 600),
            ("after_minutes", self.after_minutes, after_low, 1_440),
        ] {
            if !(low..=high).contains(&value) {
                return Err(ConfigError { field, value, low, high });
            }
        }
        Ok(())
    }
}

/// The recorder of one string.
#[derive(Clone, Debug)]
pub struct Recorder {
    config: Config,
    signature: Signature,
    capacity_ah: f64,
    meter: DrawMeter,
    ring: Ring,
    rows: Rows,
    record: DischargeRecord,
    /// Beside the record's blocks: how it stands with their collapse.
    watch: Vec<Watch>,
    /// This scan's voltages, mV, 0: none.
    mv: Vec<u16>,
    /// Room for a median.
    scratch: Vec<f64>,
    last: Nanos,
    last_reading: Nanos,
    returned: Nanos,
}

/// A block that may be collapsing.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    /// How far it stood behind the median before the discharge, V.
    lag_before_v: f64,
    readings: u8,
    since: Option<(Reading, CollapseCause)>,
    confirmed: bool,
}

impl Recorder {
    /// For a string of `blocks` blocks of this type. `rows_max` bounds the
    /// memory, see [`rows_within`](super::rows_within).
    #[must_use]
    pub fn new(config: Config, battery: &BatteryType, blocks: usize, rows_max: usize) -> Self {
        let mut record = DischargeRecord::default();
        record.blocks.resize(blocks, super::BlockDischarge::default());
        Self {
            signature: Signature::of(battery),
            capacity_ah: battery.capacity_ah,
            meter: DrawMeter::default(),
            ring: Ring::new(blocks, config.before_scans.into()),
            rows: Rows::new(blocks, rows_max),
            record,
            watch: vec![Watch::default(); blocks],
            mv: vec![0; blocks],
            scratch: Vec::with_capacity(blocks),
            last: Nanos(0),
            last_reading: Nanos(0),
            returned: Nanos(0),
            config,
        }
    }

    /// A learned capacity, Ah, instead of the rated one; nonsense is ignored.
    pub fn set_capacity_ah(&mut self, ah: f64) {
        if ah.is_finite() && ah > 0.0 {
            self.capacity_ah = ah;
            self.signature.window_ah = COUP_SHARE * ah;
        }
    }

    /// The record, running or finished, until the next discharge begins.
    #[must_use]
    pub fn record(&self) -> Option<&DischargeRecord> {
        (self.record.stage != Stage::None).then_some(&self.record)
    }

    /// Recording: the string should be scanned as fast as its bus allows.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        matches!(self.record.stage, Stage::Discharge | Stage::After)
    }

    /// Rows of the course from number `from_row` (from 0) that fit into
    /// `bytes_max` when encoded; one row needs 64 bytes and 3 per block.
    #[must_use]
    pub fn chunk(&self, from_row: usize, bytes_max: usize) -> Chunk<'_> {
        self.rows.chunk(self.record.id, from_row, bytes_max)
    }

    /// Memory that the recorder holds for good, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let per_block = size_of::<super::BlockDischarge>()
            + size_of::<Watch>()
            + size_of::<u16>()
            + size_of::<f64>();
        self.rows.bytes() + self.ring.bytes() + self.watch.len() * per_block
    }

    /// One scan. Blocks that the scan lacks have no reading, surplus ones are
    /// ignored.
    pub fn step(&mut self, scan: &StringScan<'_>, phase: Phase) {
        // A clock that jumps back stands still for as long.
        self.last = self.last.max(scan.now);
        let now = self.last;
        let row = self.take(scan);
        if self.mv.iter().any(|mv| *mv != 0) {
            self.last_reading = now;
        }
        let charging = finite(scan.current_a).is_some_and(|a| a > CHARGE_SHARE * self.capacity_ah);
        let feeding = phase == Phase::Discharge && !charging;
        match self.record.stage {
            Stage::None | Stage::Finished if feeding => {
                self.begin(scan);
                self.discharge(scan, row);
            }
            Stage::None | Stage::Finished => self.ring.push(row, &self.mv),
            Stage::Discharge if feeding || (phase == Phase::Unknown && !charging) => {
                self.discharge(scan, row);
                self.end_if(now.since(self.last_reading) >= LOST, End::Lost);
            }
            Stage::Discharge => {
                self.record.stage = Stage::After;
                self.returned = now;
                self.meter.pause();
                self.after(row, phase);
            }
            Stage::After if feeding => {
                self.record.stage = Stage::Discharge;
                self.record.interruptions = self.record.interruptions.saturating_add(1);
                self.record.blocks.iter_mut().for_each(|b| b.after = None);
                self.discharge(scan, row);
            }
            Stage::After => self.after(row, phase),
        }
    }

    /// The scan as a row, its offset counted from the boot; voltages into `mv`.
    fn take(&mut self, scan: &StringScan<'_>) -> RowHead {
        let voltages = scan.blocks.iter().map(|b| b.voltage_v).chain(core::iter::repeat(None));
        for (mv, voltage) in self.mv.iter_mut().zip(voltages) {
            // 0 means "no reading", so a block at 0 V or reversed reads 1 mV.
            *mv = finite(voltage).map_or(0, |v| (v * 1e3).round().clamp(1.0, 65_535.0) as u16);
        }
        let (sum, count) = scan
            .temperatures()
            .filter(|(_, c)| c.is_finite())
            .fold((0.0, 0.0), |(sum, count), (_, c)| (sum + c, count + 1.0));
        RowHead {
            offset_ms: self.last.as_millis().cast_signed(),
            current_a: finite(scan.current_a).map_or(f32::NAN, |a| a as f32),
            temperature_c: if count > 0.0 { (sum / count) as f32 } else { f32::NAN },
            scans: 1,
            part: Part::Before,
        }
    }

    fn begin(&mut self, scan: &StringScan<'_>) {
        let start_ms = self.last.as_millis().cast_signed();
        self.record.reset(RecordId { start: self.last });
        self.record.wall_start_s = scan.wall_s;
        self.record.joined_late = self.ring.len() == 0 && self.config.before_scans > 0;
        self.meter = DrawMeter::default();
        self.watch.fill(Watch::default());
        self.rows.begin(&self.ring, start_ms);
        for (row, mv) in self.ring.iter() {
            let at_s = (row.offset_ms - start_ms) as f32 / 1e3;
            for (block, mv) in self.record.blocks.iter_mut().zip(mv) {
                block.before = reading(*mv, at_s).or(block.before);
            }
        }
        self.scratch.clear();
        let before = self.record.blocks.iter().filter_map(|b| b.before);
        self.scratch.extend(before.map(|r| f64::from(r.v)));
        if let Some(median_v) = median(&mut self.scratch) {
            for (watch, block) in self.watch.iter_mut().zip(&self.record.blocks) {
                watch.lag_before_v = block.before.map_or(0.0, |r| median_v - f64::from(r.v));
            }
        }
        self.ring.clear();
    }

    /// A scan of the discharge.
    fn discharge(&mut self, scan: &StringScan<'_>, row: RowHead) {
        self.push(row, Part::Discharge);
        let at_s = self.offset().as_secs_f64();
        self.meter.step(self.last, scan.current_a, finite(scan.string_v).or(scan.sum_v()));
        let record = &mut self.record;
        record.duration_s = at_s;
        record.scans = record.scans.saturating_add(1);
        record.drawn_ah = self.meter.ah();
        record.drawn_wh = self.meter.wh();
        record.mean_w = self.meter.mean_w();
        record.metered_s = self.meter.known_s();
        record.gaps = self.meter.gaps();
        record.depth = record.drawn_ah.map(|ah| ah / self.capacity_ah);
        for (block, mv) in record.blocks.iter_mut().zip(&self.mv) {
            let Some(reading) = reading(*mv, at_s as f32) else {
                block.missing = block.missing.saturating_add(1);
                continue;
            };
            block.start = block.start.or(Some(reading));
            block.end = Some(reading);
            if block.min.is_none_or(|min| reading.v < min.v) {
                block.min = Some(reading);
            }
        }
        self.look_for_collapse(scan, at_s);
    }

    fn look_for_collapse(&mut self, scan: &StringScan<'_>, at_s: f64) {
        self.scratch.clear();
        let known = self.mv.iter().filter(|mv| **mv != 0);
        self.scratch.extend(known.map(|mv| f64::from(*mv) / 1e3));
        let median_v = median(&mut self.scratch);
        let allowance_v = self.signature.allowance_now_v(self.meter.ah(), at_s);
        let mut fresh = false;
        for (i, (watch, mv)) in self.watch.iter_mut().zip(&self.mv).enumerate() {
            // A block with a reversed cell is soon below what its module measures.
            let beneath_v = finite(scan.blocks.get(i).and_then(|b| b.beneath_v));
            let now = reading(*mv, at_s as f32)
                .or(beneath_v.map(|v| Reading { v: v as f32, at_s: at_s as f32 }));
            let Some(now) = now.filter(|_| !watch.confirmed) else { continue };
            let block_v = f64::from(now.v);
            let judged = self.signature.judge(block_v, median_v, watch.lag_before_v, allowance_v);
            let Some(cause) = judged else {
                (watch.readings, watch.since) = (0, None);
                continue;
            };
            watch.since = watch.since.or(Some((now, cause)));
            watch.readings = watch.readings.saturating_add(1);
            watch.confirmed = watch.readings >= COLLAPSE_READINGS;
            fresh |= watch.confirmed;
        }
        if fresh {
            self.put_in_order();
        }
    }

    /// Newly confirmed blocks take the next places: the earlier first, then
    /// the lower one.
    fn put_in_order(&mut self) {
        loop {
            let open = self.watch.iter().zip(&self.record.blocks).enumerate();
            let open = open.filter(|(_, (w, b))| w.confirmed && b.collapse.is_none());
            let first = open
                .filter_map(|(i, (w, _))| w.since.map(|(r, cause)| (i, r, cause)))
                .min_by(|(_, a, _), (_, b, _)| a.at_s.total_cmp(&b.at_s).then(a.v.total_cmp(&b.v)));
            let Some((block, Reading { v, at_s }, cause)) = first else { return };
            self.record.collapsed = self.record.collapsed.saturating_add(1);
            let order = self.record.collapsed;
            self.record.blocks[block].collapse = Some(Collapse { at_s, v, cause, order });
        }
    }

    /// A scan with mains back.
    fn after(&mut self, row: RowHead, phase: Phase) {
        self.push(row, Part::After);
        let at_s = self.offset().as_secs_f64() as f32;
        let back = self.last.since(self.returned);
        if back >= Nanos::from_secs(self.config.after_return_s.into()) {
            for (block, mv) in self.record.blocks.iter_mut().zip(&self.mv) {
                block.after = block.after.or(reading(*mv, at_s));
            }
            self.end_if(phase == Phase::Float, End::Float);
            let minutes = u64::from(self.config.after_minutes);
            self.end_if(back >= Nanos::from_secs(60 * minutes), End::Time);
        }
    }

    fn end_if(&mut self, done: bool, end: End) {
        if done && self.is_recording() {
            self.record.stage = Stage::Finished;
            self.record.ended = Some(end);
        }
    }

    fn offset(&self) -> Nanos {
        self.last.since(self.record.id.start)
    }

    fn push(&mut self, row: RowHead, part: Part) {
        let offset_ms = row.offset_ms - self.record.id.start.as_millis().cast_signed();
        self.rows.push(RowHead { offset_ms, part, ..row }, &self.mv);
    }
}

fn reading(mv: u16, at_s: f32) -> Option<Reading> {
    (mv != 0).then(|| Reading { v: f32::from(mv) / 1e3, at_s })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Chemistry;
    use crate::discharge::rows_within;
    use crate::scan::BlockScan;
    use proptest::prelude::*;

    /// A string whose voltages a test says.
    struct Bench {
        recorder: Recorder,
        blocks: Vec<BlockScan>,
        now_s: u64,
    }

    impl Bench {
        fn new(blocks: usize) -> Self {
            let battery = BatteryType::new(Chemistry::Agm, 6, 100.0);
            let recorder = Recorder::new(Config::default(), &battery, blocks, 200);
            let full = BlockScan { voltage_v: Some(13.6), ..BlockScan::default() };
            Self { recorder, blocks: vec![full; blocks], now_s: 1_000 }
        }

        fn run(
            &mut self,
            seconds: u64,
            phase: Phase,
            amps: f64,
            volts: impl Fn(u64, usize) -> f64,
        ) {
            for s in 0..seconds {
                for (i, block) in self.blocks.iter_mut().enumerate() {
                    block.voltage_v = Some(volts(s, i)).filter(|v| *v != 0.0);
                    block.temperature_c = Some(25.0);
                }
                let scan = StringScan {
                    now: Nanos::from_secs(self.now_s),
                    wall_s: Some(1_700_000_000 + self.now_s),
                    blocks: &self.blocks,
                    current_a: Some(amps),
                    string_v: None,
                    ambient_c: None,
                };
                self.recorder.step(&scan, phase);
                self.now_s += 1;
            }
        }

        fn float(&mut self, seconds: u64) {
            self.run(seconds, Phase::Float, 0.1, |_, _| 13.6);
        }

        fn record(&self) -> &DischargeRecord {
            self.recorder.record().expect("there was a discharge")
        }
    }

    #[test]
    fn order_of_collapse_and_tables() {
        let mut bench = Bench::new(8);
        bench.float(100);
        assert!(bench.recorder.record().is_none());
        // All dip within the first 2 %; block 5 loses a cell at 400 s, block 2
        // at 600 s, block 7 falls below its end voltage at 800 s.
        bench.run(1_000, Phase::Discharge, -60.0, |s, i| match (i, s) {
            (_, 0..100) => 10.0,
            (5, 400..) => 9.9,
            (2, 600..) => 9.8,
            (7, 800..) => 10.1,
            _ => 12.0 - s as f64 * 4e-4,
        });
        let record = bench.record();
        let order: Vec<_> = record.order_of_collapse().map(|(i, c)| (i, c.at_s, c.cause)).collect();
        let expected = [
            (5, 400.0, CollapseCause::Reversal),
            (2, 600.0, CollapseCause::Reversal),
            (7, 800.0, CollapseCause::Cutoff),
        ];
        assert_eq!(order, expected);
        assert!((record.drawn_ah.expect("metered") - 60.0 * 999.0 / 3600.0).abs() < 1e-6);
        assert!((record.depth.expect("capacity") - 0.1665).abs() < 1e-6);
        bench.run(60, Phase::Recharge, 20.0, |_, _| 12.9);
        bench.run(60, Phase::Recharge, 20.0, |_, i| 13.0 + i as f64 * 0.01);
        bench.float(1);
        let record = bench.record();
        assert_eq!((record.stage, record.ended), (Stage::Finished, Some(End::Float)));
        let block = record.blocks[3];
        assert_eq!(block.before, Some(Reading { v: 13.6, at_s: -1.0 }));
        assert_eq!(block.start, Some(Reading { v: 10.0, at_s: 0.0 }));
        assert_eq!(block.end, Some(Reading { v: 11.6, at_s: 999.0 }));
        assert_eq!(block.min, Some(Reading { v: 10.0, at_s: 0.0 }));
        assert_eq!(block.after, Some(Reading { v: 13.03, at_s: 1_060.0 }));
        assert_eq!(record.wall_start_s, Some(1_700_001_100));
    }

    #[test]
    fn one_bad_reading_is_no_collapse_and_a_missing_one_is_marked() {
        let mut bench = Bench::new(4);
        bench.float(40);
        bench.run(900, Phase::Discharge, -60.0, |s, i| match (s, i) {
            (500, 1) => 9.0,
            (600..610, 2) => 0.0,
            (890.., 3) => 0.0,
            _ => 12.0,
        });
        let record = bench.record();
        assert_eq!(record.collapsed, 0);
        assert_eq!(record.blocks[1].min, Some(Reading { v: 9.0, at_s: 500.0 }));
        assert_eq!((record.blocks[2].missing, record.blocks[3].missing), (10, 10));
        let stale = record.blocks[3].end.expect("it was read once").at_s;
        assert_eq!(
            (stale, record.duration_s),
            (889.0, 899.0),
            "the end table shows that it is old"
        );
    }

    #[test]
    fn five_seconds_of_outage_and_what_was_before() {
        let mut bench = Bench::new(3);
        bench.float(100);
        bench.run(5, Phase::Discharge, -60.0, |_, _| 12.3);
        bench.float(100);
        let record = bench.record();
        assert_eq!((record.duration_s, record.stage), (4.0, Stage::Finished));
        assert_eq!(record.blocks[0].after.map(|r| r.at_s), Some(65.0));
        let chunk = bench.recorder.chunk(0, 1 << 20);
        let offsets: Vec<_> = chunk.heads().map(|head| head.offset_ms).collect();
        let ends = (offsets.first(), offsets.last());
        assert_eq!(ends, (Some(&-25_000), Some(&65_000)), "an eighth of the rows");
    }

    #[test]
    fn repeated_outages_are_one_record_until_it_ends() {
        let mut bench = Bench::new(3);
        bench.float(100);
        for _ in 0..4 {
            bench.run(100, Phase::Discharge, -60.0, |_, _| 12.3);
            bench.run(100, Phase::Recharge, 10.0, |_, _| 12.9);
        }
        let first = bench.record().clone();
        assert_eq!((first.interruptions, first.scans, first.duration_s), (3, 400, 699.0));
        assert!((first.drawn_ah.expect("metered") - 60.0 * 4.0 * 99.0 / 3600.0).abs() < 1e-6);
        assert_eq!(first.blocks[0].after.map(|r| r.at_s), Some(760.0), "of the last return");
        bench.run(1_800, Phase::Recharge, 10.0, |_, _| 12.9);
        assert_eq!(bench.record().ended, Some(End::Time));
        bench.run(1, Phase::Discharge, -60.0, |_, _| 12.3);
        assert_ne!(bench.record().id, first.id);
        assert_eq!(bench.record().blocks[0].before, Some(Reading { v: 12.9, at_s: -1.0 }));
    }

    #[test]
    fn restart_in_the_middle_says_so() {
        let mut bench = Bench::new(3);
        bench.run(10, Phase::Discharge, -60.0, |_, _| 11.8);
        assert!(bench.record().joined_late);
        assert_eq!(bench.record().blocks[0].before, None);
    }

    #[test]
    fn charging_current_ends_the_discharge_before_the_phase_does() {
        let mut bench = Bench::new(3);
        bench.float(40);
        bench.run(100, Phase::Discharge, -60.0, |_, _| 11.5);
        bench.run(3, Phase::Discharge, 20.0, |_, _| 12.4);
        assert_eq!(bench.record().stage, Stage::After);
        assert_eq!(bench.record().blocks[0].end, Some(Reading { v: 11.5, at_s: 99.0 }));
    }

    #[test]
    fn lost_bus_ends_a_record() {
        let mut bench = Bench::new(3);
        bench.float(40);
        bench.run(100, Phase::Discharge, -60.0, |_, _| 11.5);
        bench.run(601, Phase::Unknown, -60.0, |_, _| 0.0);
        assert_eq!(bench.record().ended, Some(End::Lost));
        assert_eq!(bench.record().blocks[0].end.map(|r| r.at_s), Some(99.0));
    }

    #[test]
    fn budget_for_a_thousand_blocks() {
        let battery = BatteryType::new(Chemistry::Agm, 1, 1_000.0);
        let rows = rows_within(1_400_000, 1_024, 30);
        let recorder = Recorder::new(Config::default(), &battery, 1_024, rows);
        assert!(rows > 600 && recorder.bytes() < 1_600_000, "{rows} rows, {}", recorder.bytes());
    }

    #[test]
    fn settings_say_what_is_wrong() {
        assert_eq!(Config::default().check(), Ok(()));
        let bad = Config { after_return_s: 600, after_minutes: 5, ..Config::default() };
        assert_eq!(
            bad.check().map_err(|e| e.to_string()),
            Err("after_minutes: 5 is not in 10 … 1440".into())
        );
        assert!(toml::from_str::<Config>("before = 3").is_err());
    }

    fn any_value() -> impl Strategy<Value = Option<f64>> {
        prop_oneof![
            Just(None),
            Just(Some(f64::NAN)),
            Just(Some(f64::INFINITY)),
            (-1e6..1e6).prop_map(Some),
            (5.0..15.0).prop_map(Some),
        ]
    }

    fn any_phase() -> impl Strategy<Value = Phase> {
        use Phase::{Boost, Discharge, Float, Recharge, Unknown};
        prop_oneof![Just(Unknown), Just(Float), Just(Boost), Just(Discharge), Just(Recharge)]
    }

    proptest! {
        #[test]
        fn nothing_panics_nothing_grows(
            scans in proptest::collection::vec(
                (any_value(), any_value(), any::<u64>(), any_phase(), 0usize..6), 1..300),
            leaps: bool,
        ) {
            let battery = BatteryType::new(Chemistry::Agm, 6, 100.0);
            let mut recorder = Recorder::new(Config::default(), &battery, 4, 64);
            let memory = recorder.bytes();
            for (i, (volts, amps, time, phase, blocks)) in scans.into_iter().enumerate() {
                let block = BlockScan { voltage_v: volts, temperature_c: amps, ..Default::default() };
                let blocks = vec![block; blocks];
                let now = if leaps { Nanos(time) } else { Nanos::from_secs(i as u64) };
                recorder.step(&StringScan {
                    now, wall_s: Some(time), blocks: &blocks, current_a: amps,
                    string_v: volts, ambient_c: volts,
                }, phase);
                prop_assert_eq!(recorder.bytes(), memory);
                if let Some(record) = recorder.record() {
                    prop_assert_eq!(record.order_of_collapse().count(), usize::from(record.collapsed));
                    prop_assert_eq!(record.blocks.len(), 4);
                }
            }
        }
    }
}
