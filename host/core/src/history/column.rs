//! How a row becomes bits: models and expectations per value, the same code in
//! both directions ([`Coder`]).
//!
//! # A span
//! 1. present (a model each for "was present before" and "was not"); absent: done
//! 2. flat: lowest, mean and highest are one
//! 3. mean less (base + guess), signed: the *surprise*. The *guess* is a [`Track`]'s of
//!    what the means before were above their bases
//! 4. unless flat: highest − mean, then mean − lowest, unsigned
//!
//! A value counts as present before the first one. Priors (odds of 65536, bits as if
//! seen): "present" 65000 (16) after one that was, 16000 (2) after one that was not;
//! "flat" 65300 (40) where readings are single, 8000 (2) where they are summaries;
//! differences upwards and downwards near. Readings are single in level 0, but for the
//! two spans of all blocks in a head.
//!
//! # A head
//! time: its interval less the interval before, signed (the first interval is 0,
//! and counts from the time in front of the stream); a bit "something rare
//! changed", and if so phase and inhibits as exclusive-or with those before,
//! unsigned; then the spans `blocks_mv`, `blocks_dc`, `target_mv`, `current_ma`,
//! `string_mv`, `ambient_dc`. Base: 0, of the target the mean block voltage (the last
//! one known). Intervals are wide, phase and inhibits plain, "rare" 3000 (4); means of
//! the first two spans near, of the others wide.
//!
//! # A record
//! a bit "something rare changed", and if so for state, resistance, charge and
//! capacity a bit "changed" each, with the difference to the one before, signed
//! (absent is 0, others one more; the state is quality, temperature quality ≪ 2,
//! fault ≪ 4, flags ≪ 12, exclusive-or, unsigned); then the spans of voltage and
//! temperature; a bit "it rests"; and unless it does the span of the duty, always
//! present. In version 2 of a column the numbers of resistance, charge and capacity
//! are means, and behind the duty stands for each of the three that is present a bit
//! "flat" and, unless it is, highest − mean and mean − lowest, unsigned (flat 60000 (4),
//! both near). Base: the head's mean block voltage and temperature (the last one known),
//! of the duty what the surprise in the voltage tells of it ([`Pull`]). Expectations
//! begin anew with each block. "Rare" is 2000 (6), "changed" and the numbers plain;
//! means of voltage and temperature near, of the duty wide.
//!
//! "It rests" has twelve models: by whether it rested before (it did before the first
//! record; 50000 (1), else 20000 (1)), and by how far the voltage is above the head's
//! target: −2 mV or less, −1, 0, 1, 2 or more, one of them not known.
//!
//! The base of the duty, in whole numbers, divisions towards zero: c·p/s, *c* the
//! surprise in the voltage, or 0 while s < 16 or when |c| > 4096. *p* and *s* are 0 at
//! first; after a duty whose mean is *e*, unless |c| or |e| > 4096, p grows by
//! c·e − p/32 and s by c·c − s/32.

use super::number::{Number, Track};
use super::range::{Bit, Coder};
use super::record::{Head, PhaseCode, Record, Span, TIME_MAX};
use crate::points::Quality;
use core::ops::RangeInclusive;

/// Models of a span.
#[derive(Clone, Debug)]
pub(super) struct SpanModels {
    present: [Bit; 2],
    flat: Bit,
    mean: Number,
    up: Number,
    down: Number,
}

impl SpanModels {
    /// Surprises like `mean`, in summaries or in single readings (`flat`).
    pub(super) fn new(mean: Number, flat: bool) -> Self {
        Self {
            present: [Bit::prior(16_000, 2), Bit::prior(65_000, 16)],
            flat: if flat { Bit::prior(65_300, 40) } else { Bit::prior(8_000, 2) },
            mean,
            up: Number::near(),
            down: Number::near(),
        }
    }
}

/// What came before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SpanPast {
    absent: bool,
    track: Track,
    /// How far the last guess was off.
    surprise: i64,
}

fn span<C: Coder>(
    coder: &mut C,
    models: &mut SpanModels,
    past: &mut SpanPast,
    base: i64,
    value: Option<Span>,
) -> Option<Span> {
    let bounds = i32::MIN.into()..=i32::MAX.into();
    let wide = wide_span(coder, models, past, base, &bounds, value.map(|span| span.map(i64::from)));
    // Within the bounds it fits.
    wide.map(|span| span.map(|value| value as i32))
}

/// The same of any numbers within `bounds`, which are within ±2⁵².
pub(super) fn wide_span<C: Coder>(
    coder: &mut C,
    models: &mut SpanModels,
    past: &mut SpanPast,
    base: i64,
    bounds: &RangeInclusive<i64>,
    value: Option<Span<i64>>,
) -> Option<Span<i64>> {
    let present = coder.bit(&mut models.present[usize::from(!past.absent)], value.is_some());
    past.absent = !present;
    past.surprise = 0;
    if !present {
        return None;
    }
    let within = |number: i64| number.clamp(*bounds.start(), *bounds.end());
    let value = value.unwrap_or_default();
    let flat = coder.bit(&mut models.flat, value.is_flat());
    let guess = base.saturating_add(past.track.guess());
    let mean = within(guess.saturating_add(models.mean.signed(coder, value.mean - guess)));
    past.surprise = mean - guess;
    past.track.learn(mean - base);
    if flat {
        return Some(Span::of(mean));
    }
    let beyond = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let up = models.up.unsigned(coder, value.max.abs_diff(value.mean));
    let down = models.down.unsigned(coder, value.mean.abs_diff(value.min));
    let (min, max) = (mean.saturating_sub(beyond(down)), mean.saturating_add(beyond(up)));
    Some(Span { min: within(min), mean, max: within(max) })
}

/// Heads, one after the other.
#[derive(Clone, Debug)]
pub(super) struct HeadColumn {
    interval: Number,
    rare: Bit,
    codes: [Number; 2],
    spans: [SpanModels; 6],
    past: [SpanPast; 6],
    last: Head,
    last_interval_ms: i64,
}

impl HeadColumn {
    pub(super) fn new(first_unix_ms: u64, single: bool) -> Self {
        let spread = || SpanModels::new(Number::near(), false);
        let flat = || SpanModels::new(Number::wide(), single);
        Self {
            interval: Number::wide(),
            rare: Bit::prior(3_000, 4),
            codes: [Number::default(), Number::default()],
            spans: [spread(), spread(), flat(), flat(), flat(), flat()],
            past: Default::default(),
            last: Head { unix_ms: first_unix_ms.min(TIME_MAX), ..Head::default() },
            last_interval_ms: 0,
        }
    }

    pub(super) fn row<C: Coder>(&mut self, coder: &mut C, head: &Head) -> Head {
        let last = self.last;
        let interval_ms = head.unix_ms.min(TIME_MAX) as i64 - last.unix_ms as i64;
        let more_ms = self.interval.signed(coder, interval_ms - self.last_interval_ms);
        let interval_ms = self.last_interval_ms.saturating_add(more_ms);
        let unix_ms = (last.unix_ms as i64).saturating_add(interval_ms).clamp(0, TIME_MAX as i64);
        self.last_interval_ms = unix_ms - last.unix_ms as i64;
        let (mut phase, mut inhibits) = (last.phase, last.inhibits);
        if coder.bit(&mut self.rare, (head.phase, head.inhibits) != (phase, inhibits)) {
            let changed = self.codes[0].unsigned(coder, (head.phase.0 ^ phase.0).into());
            phase = PhaseCode(phase.0 ^ changed as u8);
            inhibits ^= self.codes[1].unsigned(coder, (head.inhibits ^ inhibits).into()) as u32;
        }
        let [a, b, c, d, e, f] = &mut self.spans;
        let [ap, bp, cp, dp, ep, fp] = &mut self.past;
        let blocks_mv = span(coder, a, ap, 0, head.blocks_mv);
        let middle = mean(blocks_mv).or(mean(last.blocks_mv)).unwrap_or(0);
        self.last = Head {
            // The clamp makes it fit.
            unix_ms: unix_ms as u64,
            blocks_mv,
            blocks_dc: span(coder, b, bp, 0, head.blocks_dc),
            target_mv: span(coder, c, cp, middle, head.target_mv),
            current_ma: span(coder, d, dp, 0, head.current_ma),
            string_mv: span(coder, e, ep, 0, head.string_mv),
            ambient_dc: span(coder, f, fp, 0, head.ambient_dc),
            phase,
            inhibits,
        };
        self.last
    }
}

fn mean(span: Option<Span>) -> Option<i64> {
    span.map(|span| span.mean.into())
}

/// What of a duty the surprise in the same row's voltage tells: the control law
/// is proportional (facts/battery-science.md §3.2), and its gain is learned by
/// least squares over the surprises so far, an older one 1/32 less with each.
#[derive(Clone, Copy, Debug, Default)]
struct Pull {
    product: i64,
    square: i64,
}

impl Pull {
    /// Surprises beyond this are no noise.
    const MOST: i64 = 1 << 12;

    const fn guess(&self, cause: i64) -> i64 {
        if self.square < 16 || cause.abs() > Self::MOST {
            return 0;
        }
        // At most 2¹² · 2⁴¹.
        cause * self.product / self.square
    }

    fn learn(&mut self, cause: i64, effect: i64) {
        if cause.abs() > Self::MOST || effect.abs() > Self::MOST {
            return;
        }
        self.product += cause * effect - self.product / 32;
        self.square += cause * cause - self.square / 32;
    }
}

/// Records of a block, one after the other.
#[derive(Clone, Debug)]
pub(super) struct BlockColumn {
    rare: Bit,
    changed: [Bit; 4],
    codes: [Number; 4],
    spans: [SpanModels; 3],
    past: [SpanPast; 3],
    pull: Pull,
    /// By whether the block rested before, and how far it is above its target.
    resting: [[Bit; HUNGERS]; 2],
    rested: bool,
    /// State, resistance, charge, capacity as they are written.
    last: [u64; 4],
    middle: [i64; 2],
    /// Of the last three, unless each is one reading.
    spreads: Option<[SpreadModels; 3]>,
}

/// How far lowest and highest lie from a mean that stands already.
#[derive(Clone, Debug)]
struct SpreadModels {
    flat: Bit,
    up: Number,
    down: Number,
}

impl SpreadModels {
    fn new() -> Self {
        Self { flat: Bit::prior(60_000, 4), up: Number::near(), down: Number::near() }
    }

    fn around<C: Coder>(&mut self, coder: &mut C, mean: u32, value: Span<u32>) -> Span<u32> {
        if coder.bit(&mut self.flat, value.is_flat()) {
            return Span::of(mean);
        }
        let far = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let up = far(self.up.unsigned(coder, value.max.abs_diff(value.mean).into()));
        let down = far(self.down.unsigned(coder, value.mean.abs_diff(value.min).into()));
        Span { min: mean.saturating_sub(down), mean, max: mean.saturating_add(up) }
    }
}

impl BlockColumn {
    /// With `spread`, of version 2.
    pub(super) fn new(single: bool, spread: bool) -> Self {
        Self {
            rare: Bit::prior(2_000, 6),
            changed: [Bit::EVEN; 4],
            codes: core::array::from_fn(|_| Number::default()),
            spans: [
                SpanModels::new(Number::near(), single),
                SpanModels::new(Number::near(), single),
                SpanModels::new(Number::wide(), single),
            ],
            past: Default::default(),
            pull: Pull::default(),
            resting: [[Bit::prior(20_000, 1); HUNGERS], [Bit::prior(50_000, 1); HUNGERS]],
            rested: true,
            last: [0; 4],
            middle: [0; 2],
            spreads: spread.then(|| core::array::from_fn(|_| SpreadModels::new())),
        }
    }

    /// The next block begins: models stay, expectations go; rare values are
    /// expected to be those of the block before.
    pub(super) fn next_block(&mut self) {
        (self.past, self.pull, self.middle) = Default::default();
        self.rested = true;
    }

    pub(super) fn row<C: Coder>(&mut self, coder: &mut C, head: &Head, record: &Record) -> Record {
        let rare = rare_of(record);
        if coder.bit(&mut self.rare, rare != self.last) {
            for (field, wanted) in rare.into_iter().enumerate() {
                let last = self.last[field];
                if !coder.bit(&mut self.changed[field], wanted != last) {
                    continue;
                }
                let codes = &mut self.codes[field];
                self.last[field] = match field {
                    0 => last ^ codes.unsigned(coder, wanted ^ last),
                    _ => last.wrapping_add_signed(
                        codes.signed(coder, (wanted as i64).wrapping_sub(last as i64)),
                    ),
                };
            }
        }
        self.middle = [
            mean(head.blocks_mv).unwrap_or(self.middle[0]),
            mean(head.blocks_dc).unwrap_or(self.middle[1]),
        ];
        let [voltage, temperature, duty] = &mut self.spans;
        let [voltage_past, temperature_past, duty_past] = &mut self.past;
        let voltage_mv = span(coder, voltage, voltage_past, self.middle[0], record.voltage_mv);
        let temperature_dc =
            span(coder, temperature, temperature_past, self.middle[1], record.temperature_dc);
        let resting = &mut self.resting[usize::from(self.rested)][hunger(head, voltage_mv)];
        self.rested = coder.bit(resting, record.duty_hp == Span::default());
        let mut duty_hp = Span::default();
        if !self.rested {
            let cause = voltage_past.surprise;
            let pulled = self.pull.guess(cause);
            duty_hp =
                span(coder, duty, duty_past, pulled, Some(record.duty_hp)).unwrap_or_default();
            self.pull.learn(cause, pulled + duty_past.surprise);
        }
        let mut out = Record { voltage_mv, temperature_dc, duty_hp, ..rare_to(self.last) };
        let spreads = self.spreads.iter_mut().flatten();
        for ((models, known), value) in spreads.zip(out.rare_mut()).zip(record.rare()) {
            if let Some(span) = known {
                *span = models.around(coder, span.mean, value.unwrap_or_default());
            }
        }
        out
    }
}

/// How far a block is above its target: below by 2 mV or more, by 1, on it, above by
/// 1, by 2 or more, not known.
fn hunger(head: &Head, voltage_mv: Option<Span>) -> usize {
    match (mean(voltage_mv), mean(head.target_mv)) {
        // −2 … 2 makes 0 … 4.
        (Some(voltage), Some(target)) => ((voltage - target).clamp(-2, 2) + 2) as usize,
        _ => HUNGERS - 1,
    }
}

const HUNGERS: usize = 6;

fn rare_of(record: &Record) -> [u64; 4] {
    let [resistance, charge, capacity] =
        record.rare().map(|value| value.map_or(0, |span| u64::from(span.mean) + 1));
    let state = quality_code(record.quality)
        | quality_code(record.temperature_quality) << 2
        | u64::from(record.fault) << 4
        | u64::from(record.flags) << 12;
    [state, resistance, charge, capacity]
}

fn rare_to([state, resistance, charge, capacity]: [u64; 4]) -> Record {
    let known =
        |value: u64| value.checked_sub(1).and_then(|value| u32::try_from(value).ok()).map(Span::of);
    Record {
        resistance_uohm: known(resistance),
        charge_pm: known(charge),
        capacity_cah: known(capacity),
        quality: quality_from(state),
        temperature_quality: quality_from(state >> 2),
        // The lowest eight bits of each.
        fault: (state >> 4) as u8,
        flags: (state >> 12) as u8,
        ..Record::default()
    }
}

pub(super) const fn quality_code(quality: Quality) -> u64 {
    match quality {
        Quality::Good => 0,
        Quality::Estimated => 1,
        Quality::Stale => 2,
        Quality::Bad => 3,
    }
}

pub(super) const fn quality_from(code: u64) -> Quality {
    match code & 3 {
        0 => Quality::Good,
        1 => Quality::Estimated,
        2 => Quality::Stale,
        _ => Quality::Bad,
    }
}
