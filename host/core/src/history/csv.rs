//! History as text for spreadsheets: a line per record.

use super::level::Level;
use super::record::{DUTY_FULL, Head, Record, Span};
use super::series;
use crate::points::Unit;
use core::fmt::Write as _;

/// The first line.
pub const CSV_HEAD: &str = "time,string,block,voltage_v,voltage_min_v,voltage_max_v,temperature_c,\
    temperature_min_c,temperature_max_c,bypass_percent,resistance_mohm,charge_percent,capacity_ah,\
    quality,fault,target_v,current_a,string_v,ambient_c,phase,bypass_min_percent,\
    bypass_max_percent,flags,target_min_v,target_max_v,current_min_a,current_max_a,string_min_v,\
    string_max_v,ambient_min_c,ambient_max_c,resistance_min_mohm,resistance_max_mohm,\
    charge_min_percent,charge_max_percent,capacity_min_ah,capacity_max_ah,level\r\n";

/// The first line of points.
pub const SERIES_CSV_HEAD: &str = "time,point,unit,value,min,max,quality\r\n";

/// Append the line of a row of that level; string and block count from 1. Nothing
/// stands where nothing is known. Times are UTC (RFC 3339), of an hour or day that of
/// its first record.
pub fn csv_line(
    out: &mut String,
    level: Level,
    (string, block): (u16, usize),
    head: &Head,
    record: &Record,
) {
    // Writing to a String cannot fail, here and below.
    let _ = write!(out, "{},{string},{block}", Utc(head.unix_ms));
    spread(out, record.voltage_mv, 1_000);
    spread(out, record.temperature_dc, 10);
    let bypass = |half: i32| f64::from(half) * 100.0 / f64::from(DUTY_FULL);
    let _ = write!(out, ",{:.1}", bypass(record.duty_hp.mean));
    let rares = record.rare().into_iter().zip([3, 1, 2]);
    for (span, decimals) in rares.clone() {
        rare(out, span.map(|span| span.mean), decimals);
    }
    let _ = write!(out, ",{},{}", record.quality.as_str(), record.fault);
    let heads =
        [(head.target_mv, 3), (head.current_ma, 3), (head.string_mv, 3), (head.ambient_dc, 1)];
    for (span, decimals) in heads {
        out.push(',');
        if let Some(span) = span {
            number(out, span.mean, 10i32.pow(decimals));
        }
    }
    let duty = record.duty_hp;
    let _ = write!(
        out,
        ",{},{:.1},{:.1},{}",
        head.phase.word(),
        bypass(duty.min),
        bypass(duty.max),
        record.flags
    );
    for (span, decimals) in heads {
        for of in [|s: Span| s.min, |s: Span| s.max] {
            out.push(',');
            if let Some(span) = span {
                number(out, of(span), 10i32.pow(decimals));
            }
        }
    }
    for (span, decimals) in rares {
        rare(out, span.map(|span| span.min), decimals);
        rare(out, span.map(|span| span.max), decimals);
    }
    let _ = write!(out, ",{}\r\n", level.word());
}

/// Append the line of a row of a point; nothing stands where nothing is known.
pub fn series_line(out: &mut String, name: &str, unit: Unit, row: &series::Row) {
    let _ = write!(out, "{},{name},{}", Utc(row.unix_s * 1_000), unit.symbol());
    for of in [|s: Span<i64>| s.mean, |s: Span<i64>| s.min, |s: Span<i64>| s.max] {
        out.push(',');
        if let Some(span) = row.value {
            let value = of(span) as f64 / series::SCALE;
            let _ = write!(out, "{value:.*}", series::decimals(unit));
        }
    }
    let _ = write!(out, ",{}\r\n", row.quality.as_str());
}

fn rare(out: &mut String, value: Option<u32>, decimals: i32) {
    out.push(',');
    if let Some(value) = value {
        let value = f64::from(value) / 10f64.powi(decimals);
        let _ = write!(out, "{value:.*}", decimals.unsigned_abs() as usize);
    }
}

fn spread(out: &mut String, span: Option<Span>, scale: i32) {
    for of in [|s: Span| s.mean, |s: Span| s.min, |s: Span| s.max] {
        out.push(',');
        if let Some(span) = span {
            number(out, of(span), scale);
        }
    }
}

/// `value` / `scale`, with all its decimals; `scale` is a power of ten.
fn number(out: &mut String, value: i32, scale: i32) {
    let _ = write!(out, "{:.*}", scale.ilog10() as usize, f64::from(value) / f64::from(scale));
}

/// A time as `2026-11-21T20:41:29.123Z`.
#[derive(Clone, Copy, Debug)]
pub struct Utc(
    /// ms since 1970.
    pub u64,
);

impl core::fmt::Display for Utc {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (days, ms) = (self.0 / 86_400_000, self.0 % 86_400_000);
        // Years begin in March here, so that the leap day is their last.
        let shifted = days + 719_468;
        let (era, day) = (shifted / 146_097, shifted % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (year, month) = match month {
            0..=9 => (400 * era + year, month + 3),
            _ => (400 * era + year + 1, month - 9),
        };
        let (s, ms) = (ms / 1_000, ms % 1_000);
        let (h, min, s) = (s / 3_600, s / 60 % 60, s % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{min:02}:{s:02}.{ms:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::record::PhaseCode;
    use crate::points::Quality;

    #[test]
    fn dates() {
        for (unix_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_293_689_123, "2026-11-21T20:41:29.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Utc(unix_ms).to_string(), text);
        }
    }

    #[test]
    fn a_line_has_as_many_cells_as_the_head() {
        let cells = |line: &str| line.trim_end().split(',').count();
        let mut line = String::new();
        csv_line(&mut line, Level::Raw, (1, 2), &Head::default(), &Record::default());
        assert_eq!(cells(&line), cells(CSV_HEAD), "{line}");
        assert!(line.ends_with(",records\r\n"), "{line}");
        let head = Head {
            current_ma: Some(Span { min: -7, mean: -5, max: 2 }),
            target_mv: Some(Span::of(13_620)),
            phase: PhaseCode(1),
            ..Head::default()
        };
        let record = Record {
            voltage_mv: Some(Span { min: 13_600, mean: 13_610, max: 13_620 }),
            temperature_dc: Some(Span::of(-4)),
            duty_hp: Span { min: 0, mean: 3, max: 200 },
            resistance_uohm: Some(Span::of(4_123)),
            charge_pm: Some(Span { min: 412, mean: 700, max: 990 }),
            quality: Quality::Good,
            fault: 0,
            flags: 5,
            ..Record::default()
        };
        line.clear();
        csv_line(&mut line, Level::Hour, (1, 2), &head, &record);
        assert_eq!(
            line,
            "1970-01-01T00:00:00.000Z,1,2,13.610,13.600,13.620,-0.4,-0.4,-0.4,1.5,4.123,70.0,,good,0,\
             13.620,-0.005,,,float,0.0,100.0,5,13.620,13.620,-0.007,0.002,,,,,4.123,4.123,41.2,\
             99.0,,,hours\r\n"
        );
        let mut row = series::Row {
            unix_s: 60,
            value: Some(Span { min: 229_900_000, mean: 230_100_000, max: 230_500_000 }),
            quality: Quality::Good,
        };
        line.clear();
        series_line(&mut line, "ups.0.input.voltage", Unit::Volt, &row);
        (row.value, row.quality) = (None, Quality::Stale);
        series_line(&mut line, "ups.0.ups.load", Unit::Percent, &row);
        assert_eq!(
            line,
            "1970-01-01T00:01:00.000Z,ups.0.input.voltage,V,230.100,229.900,230.500,good\r\n\
             1970-01-01T00:01:00.000Z,ups.0.ups.load,%,,,,stale\r\n"
        );
        assert!(line.lines().all(|line| cells(line) == cells(SERIES_CSV_HEAD)));
    }
}
