//! Rows come back, means are of time, and a sampler tells all there is in few.

use super::super::level::DAY_MS;
use super::*;
use crate::history::Damage;
use crate::points::{Point, Value};
use crate::time::Nanos;
use proptest::prelude::*;

const DAY: u64 = DAY_MS / 1_000;

fn any_row() -> impl Strategy<Value = Row> {
    let number = prop_oneof![-5_000i64..5_000, -VALUE_MAX..=VALUE_MAX];
    let value = (number, 0i64..1_000_000, 0i64..1_000, 0u32..7).prop_map(|(mean, up, down, e)| {
        let scale = 10i64.pow(e);
        let within = |value: i64| (value.clamp(-VALUE_MAX, VALUE_MAX) / scale) * scale;
        Span { min: within(mean - down), mean: within(mean), max: within(mean + up) }
    });
    let quality = (0usize..4)
        .prop_map(|n| [Quality::Good, Quality::Estimated, Quality::Stale, Quality::Bad][n]);
    let unix_s = prop_oneof![0..1u64 << 38, 1_780_000_000u64..1_780_010_000];
    (unix_s, proptest::option::of(value), quality).prop_map(|(unix_s, value, quality)| Row {
        unix_s,
        value,
        quality,
    })
}

fn any_series() -> impl Strategy<Value = Series> {
    let name = "(ups|device)\\.[0-9]\\.[a-z]{1,9}";
    let measure = (0..Unit::ALL.len())
        .prop_map(|n| Unit::ALL.get(n + 1).map_or(Measure::Flag, |unit| Measure::Number(*unit)));
    (name, measure, proptest::collection::vec(any_row(), 1..60))
        .prop_map(|(name, measure, rows)| Series { name, measure, rows })
}

proptest! {
    #[test]
    fn a_column_comes_back_in_its_place_alone(series in any_series(), period in any::<u32>()) {
        let bytes = Column::encode(Level::Hour, period, &series).expect("rows");
        let column = Column::parse(Level::Hour, period, &series.name, &bytes).expect("whole");
        prop_assert_eq!(column.measure(), series.measure);
        prop_assert_eq!(column.rows().collect::<Vec<_>>(), series.rows);
        for (level, period, name) in [
            (Level::Raw, period, series.name.as_str()),
            (Level::Hour, !period, series.name.as_str()),
            (Level::Hour, period, "ups.0"),
        ] {
            prop_assert_eq!(Column::parse(level, period, name, &bytes).err(), Some(Damage::Crc));
        }
    }

    #[test]
    fn a_group_comes_back(series in proptest::collection::vec(any_series(), 0..9)) {
        prop_assert_eq!(series_of(&group_of(&series)), Ok(series));
    }

    #[test]
    fn no_change_goes_unnoticed(
        series in any_series(), at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let mut bytes = Column::encode(Level::Raw, 1, &series).expect("rows");
        let place = at.index(bytes.len());
        bytes[place] ^= flip;
        prop_assert!(Column::parse(Level::Raw, 1, &series.name, &bytes).is_err());
        let mut bytes = group_of(&[series]);
        let place = at.index(bytes.len());
        bytes[place] ^= flip;
        prop_assert!(series_of(&bytes).is_err());
    }

    /// As a forger would write them.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
        use super::super::codec::{CRC, sealed};
        let mut digest = CRC.digest();
        digest.update(&[Level::Raw.code(), 1, 0, 0, 0, b'a']);
        let column = sealed([&[0x13][..], &bytes].concat(), digest);
        if let Ok(column) = Column::parse(Level::Raw, 1, "a", &column) {
            prop_assert!(column.rows().count() <= super::super::codec::ROWS_MAX);
        }
        _ = series_of(&sealed([&[0x14][..], &bytes].concat(), CRC.digest()));
    }

    #[test]
    fn extremes_survive_in_every_level(rows in proptest::collection::vec(any_row(), 1..80)) {
        let hours = summarize(&rows, Level::Hour);
        let days = summarize(&hours, Level::Day);
        let extremes = |rows: &[Row]| {
            let spans = rows.iter().filter_map(|row| row.value);
            (spans.clone().map(|s| s.min).min(), spans.map(|s| s.max).max())
        };
        prop_assert_eq!(extremes(&hours), extremes(&rows));
        prop_assert_eq!(extremes(&days), extremes(&rows));
        let ordered = |row: &Row| row.value.is_none_or(|s| s.min <= s.mean && s.mean <= s.max);
        prop_assert!(hours.iter().chain(&days).all(ordered));
    }
}

#[test]
fn values_have_five_digits_and_no_more_than_their_unit() {
    for (value, unit, kept) in [
        (230.1, Unit::Volt, 230_100_000),
        (230.123_4, Unit::Volt, 230_120_000),
        (-12.345_67, Unit::Volt, -12_346_000),
        (0.012_345_67, Unit::Ampere, 12_350),
        (49.987, Unit::Hertz, 49_990_000),
        (34.06, Unit::Percent, 34_100_000),
        (1_234_567.0, Unit::Second, 1_234_600_000_000),
        (0.000_000_4, Unit::None, 0),
    ] {
        assert_eq!(millionths(value, unit), Some(kept), "{value}");
    }
    for value in [f64::NAN, f64::INFINITY, 5e9] {
        assert_eq!(millionths(value, Unit::None), None);
    }
}

#[test]
fn a_mean_counts_how_long_a_value_held() {
    let row = |unix_s, value: i64| Row {
        unix_s,
        value: Some(Span::of(value * 1_000_000)),
        quality: Quality::Good,
    };
    // 10 for 50 minutes, then 40 for ten: the last row holds to the end of its hour.
    let hours = summarize(&[row(0, 10), row(3_000, 40), row(3_600, 7)], Level::Hour);
    let mean = |n: usize| hours[n].value.map(|span| span.mean / 1_000_000);
    assert_eq!((mean(0), mean(1), hours.len()), (Some(15), Some(7), 2));
    let gap = Row { value: None, quality: Quality::Bad, ..row(600, 0) };
    let hour = summarize(&[row(0, 10), gap], Level::Hour)[0];
    assert_eq!((hour.value, hour.quality), (Some(Span::of(10_000_000)), Quality::Good));
    assert_eq!(summarize(&[gap], Level::Hour)[0], gap);
}

fn point(value: f64, unit: Unit, quality: Quality) -> Point {
    Point { value: Value::Number(value), unit, quality, at: Nanos(0) }
}

/// Rows that a sampler makes of one point, which is looked at every second.
fn sampled(unit: Unit, seconds: u64, value: impl Fn(u64) -> Option<f64>) -> Vec<Row> {
    let mut sampler = Sampler::new(Nanos::from_secs(1_200));
    for second in 0..seconds {
        let quality = if value(second).is_some() { Quality::Good } else { Quality::Bad };
        let point = point(value(second).unwrap_or(0.0), unit, quality);
        let now = Nanos::from_secs(second);
        sampler.look(DAY_MS + second * 1_000, now, [("ups.0.x", &point)].into_iter());
    }
    sampler.finish().into_iter().flat_map(|series| series.rows).collect()
}

#[test]
fn what_stays_the_same_is_one_row_an_hour() {
    let rows = sampled(Unit::Volt, DAY, |_| Some(230.1));
    let times: Vec<u64> = rows.iter().map(|row| row.unix_s - DAY).collect();
    assert_eq!(times, (0..24).map(|hour| hour * 3_600).collect::<Vec<_>>());
}

#[test]
fn noise_is_a_row_every_five_minutes_and_a_leap_is_told_at_once() {
    let noise = |second: u64| 230.0 + (second * 7 % 5) as f64 / 10.0;
    let rows = sampled(Unit::Volt, 3_600, |s| Some(if s >= 1_000 { 0.0 } else { noise(s) }));
    let times: Vec<u64> = rows.iter().map(|row| row.unix_s - DAY).collect();
    assert_eq!(times, [0, 300, 600, 900, 1_000], "then it is quiet");
    let span = rows[0].value.expect("a value");
    assert_eq!((span.min, span.mean, span.max), (230_000_000, 230_200_000, 230_400_000));
    assert_eq!(rows[4].value, Some(Span::of(0)));
}

#[test]
fn what_leaps_all_the_time_is_bounded_and_its_extremes_are_told() {
    let rows = sampled(Unit::None, DAY, |second| Some((second % 2) as f64));
    assert!((1_500..2_100).contains(&rows.len()), "{}", rows.len());
    let last = rows.last().and_then(|row| row.value).expect("a value");
    assert_eq!((last.min, last.max), (0, 1_000_000));
}

#[test]
fn a_flag_stays_one() {
    let mut sampler = Sampler::new(Nanos::from_secs(60));
    let flag = |on| Point { value: Value::Flag(on), ..point(0.0, Unit::None, Quality::Good) };
    for (second, on) in [(1, false), (2, true), (61, true)] {
        let now = Nanos::from_secs(second);
        sampler.look(second * 1_000, now, [("device.1.input.2", &flag(on))].into_iter());
    }
    let series = &sampler.finish()[0];
    let values = series.rows.iter().filter_map(|row| row.value);
    let values: Vec<_> = values.map(|span| series.measure.value(span.mean)).collect();
    assert_eq!(values, [Value::Flag(false), Value::Flag(true)]);
}

#[test]
fn what_is_not_known_is_no_value() {
    let rows = sampled(Unit::Percent, 3_600, |s| (!(600..1_200).contains(&s)).then_some(50.0));
    let told: Vec<_> = rows.iter().map(|row| (row.unix_s - DAY, row.value.is_some())).collect();
    assert_eq!(told, [(0, true), (600, false), (1_200, true)]);
}

#[test]
fn a_point_that_goes_is_told_gone_and_leaves_room() {
    let mut sampler = Sampler::new(Nanos::from_secs(10));
    let here = point(1.0, Unit::None, Quality::Good);
    let many: Vec<String> = (0..300).map(|n| format!("ups.0.experimental.x{n}")).collect();
    let all = || many.iter().map(|name| (name.as_str(), &here));
    sampler.look(0, Nanos::from_secs(1), all());
    assert!(sampler.left_out());
    sampler.look(11_000, Nanos::from_secs(12), [].into_iter());
    sampler.look(22_000, Nanos::from_secs(23), [].into_iter());
    let series = sampler.take(Nanos::from_secs(23));
    assert_eq!(series.len(), SOURCE_POINTS_MAX);
    let values: Vec<_> = series[0].rows.iter().map(|row| row.value.is_some()).collect();
    assert_eq!(values, [true, false]);
    sampler.look(30_000, Nanos::from_secs(31), [("ups.0.y", &here)].into_iter());
    assert_eq!(sampler.finish().len(), 1, "there is room again");
}

/// A day of a UPS: what it tells, with the noise and the digits that such have
/// (facts/ups-serial-protocols.md: tenths of a volt and of a hertz, whole per cents
/// of load), looked at every second, in bytes a row.
#[test]
fn a_day_of_a_ups_is_small() {
    let mut seed = 1u64;
    let mut noise = move |most: f64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (seed >> 33) as f64 / (1u64 << 31) as f64;
        (uniform * 2.0 - 1.0) * most
    };
    let digits = |value: f64, by: f64| (value * by).round() / by;
    let mut sampler = Sampler::new(Nanos::from_secs(1_200));
    let (mut rows, mut bytes, mut groups) = (0, 0, 0);
    let mut days: std::collections::BTreeMap<String, Series> = std::collections::BTreeMap::new();
    let mut points: Vec<(String, Point)> = Vec::new();
    for second in 0..DAY {
        // A driver asks every five seconds.
        if second % 5 == 0 {
            let hour = second as f64 / 3_600.0;
            let office = if (8.0..18.0).contains(&hour) { 14.0 } else { 0.0 };
            let mains = 231.0 + 3.0 * (hour / 3.8).sin() + noise(0.6);
            let load = 31.0 + office + noise(1.4);
            let value = |name: &str, value, unit| {
                (format!("ups.0.{name}"), point(value, unit, Quality::Good))
            };
            points = vec![
                value("battery.charge", 100.0, Unit::Percent),
                value("battery.runtime", digits(3_000.0 - 40.0 * load, 0.1), Unit::Second),
                value("battery.voltage", digits(54.6 + noise(0.04), 10.0), Unit::Volt),
                value("input.frequency", digits(50.0 + noise(0.06), 10.0), Unit::Hertz),
                value("input.voltage", digits(mains, 10.0), Unit::Volt),
                value("output.frequency", 50.0, Unit::Hertz),
                value("output.voltage", digits(230.0 + noise(0.1), 10.0), Unit::Volt),
                value("ups.load", load.round(), Unit::Percent),
                value("ups.power.nominal", 3_000.0, Unit::VoltAmpere),
                value(
                    "ups.temperature",
                    digits(29.0 + office / 6.0 + noise(0.1), 10.0),
                    Unit::Celsius,
                ),
            ];
        }
        let now = Nanos::from_secs(second);
        sampler.look(
            20_000 * DAY_MS + second * 1_000,
            now,
            points.iter().map(|(name, point)| (name.as_str(), point)),
        );
        if second % 1_200 == 1_199 {
            let taken = sampler.take(now);
            groups += group_of(&taken).len();
            for series in taken {
                let Series { name, measure, rows } = series;
                let day = Series { name: name.clone(), measure, rows: Vec::new() };
                days.entry(name).or_insert(day).rows.extend(rows);
            }
        }
    }
    for series in days.values() {
        let own = Column::encode(Level::Raw, 20_000, series).expect("rows").len();
        // Its key, and what the store needs beside.
        let whole = own + series.name.len() + 17;
        println!("{:32} {:5} rows {own:5} bytes", series.name, series.rows.len());
        (rows, bytes) = (rows + series.rows.len(), bytes + whole);
    }
    let per_row = f64::from(bytes as u32) / f64::from(rows as u32);
    println!("{rows} rows, {bytes} bytes with keys: {per_row:.2} a row; groups {groups} bytes");
    assert!(per_row < 2.6, "{per_row:.2} bytes a row");
    assert!(bytes < 6_000, "{bytes} bytes a day");
}
