//! The past as a dry run goes through it: the log of events, and what the
//! history keeps of what rules read: of strings and blocks, and of what UPSes,
//! devices and sensors said.

use super::runner::NotTaken;
use crate::plant::words;
use crate::store::history::Whose;
use crate::store::{Store, StoreError};
use evenkeel_core::events::Event;
use evenkeel_core::history::level::HOUR_MS;
use evenkeel_core::history::series::Row;
use evenkeel_core::history::{Head, Level, Record, Span};
use evenkeel_core::points::{Name, Quality, Value};
use evenkeel_core::rehearsal::upses::Upses;
use evenkeel_core::rehearsal::{Frame, STATUS};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Most values that are read: 25 MB of memory, a month of 170 blocks.
const VALUES_MAX: usize = 400_000;

/// Takes a value out of what was kept.
type Take = fn(&Head, &Record) -> Option<Value>;
/// Points of one block, or of one string.
type Points<'a> = Vec<(&'a Name, Take)>;

/// What is known of a time of the past.
#[derive(Debug)]
pub struct Past {
    /// What happened, oldest first.
    pub frames: Vec<Frame>,
    /// Points of which nothing is known, by name.
    pub not_recorded: Vec<String>,
    /// The log of events begins only here, ms since 1970; `None`: it reaches
    /// back over all of the time.
    pub events_from_ms: Option<u64>,
}

/// What happened in `times` (ms since 1970). Of the points in `inputs` those
/// that history keeps, and the status words of UPSes as the log tells of them.
///
/// # Errors
/// When the store cannot be read, or holds more than [`VALUES_MAX`] values of it.
pub fn frames(
    store: &Store,
    inputs: &[Name],
    times: RangeInclusive<u64>,
) -> Result<Past, NotTaken> {
    let mut frames: BTreeMap<u64, Frame> = BTreeMap::new();
    let (mut upses, mut first_ms) = (Upses::default(), None);
    store.each_event(|stored| {
        first_ms.get_or_insert(stored.unix_ms);
        upses.happened(stored.unix_ms, &stored.event);
        // What rules, jobs and calendar made of it then is made anew.
        if times.contains(&stored.unix_ms) && !is_ours(&stored.event) {
            frame(&mut frames, stored.unix_ms).events.push(stored.event);
        }
    });
    let mut kept: BTreeMap<(u16, Option<usize>), Points<'_>> = BTreeMap::new();
    let (mut values, mut recorded) = (0, BTreeSet::new());
    for name in inputs {
        if let Some((whose, take)) = kept_as(name.as_str()) {
            kept.entry((whose.string, whose.block)).or_default().push((name, take));
        }
        let of_ups = name.as_str().strip_suffix(STATUS);
        let words = of_ups.and_then(|ups| upses.words(ups, *times.start(), *times.end()));
        for (unix_ms, words) in words.into_iter().flatten() {
            values += 1;
            if words.is_some() {
                recorded.insert(name);
            }
            let value = words.map(|words| Value::Text(words.to_owned()));
            frame(&mut frames, unix_ms).points.push((name.clone(), value));
        }
    }
    for name in inputs {
        if kept_as(name.as_str()).is_some() || name.as_str().ends_with(STATUS) {
            continue;
        }
        for (unix_ms, value) in values_of(store, name, &times)? {
            values += 1;
            if values > VALUES_MAX {
                break;
            }
            if value.is_some() {
                recorded.insert(name);
            }
            frame(&mut frames, unix_ms).points.push((name.clone(), value));
        }
    }
    for ((string, block), points) in kept {
        let whose = Whose { string, block };
        store.past(whose, Level::Raw, times.clone(), |head, record| {
            values += points.len();
            if values <= VALUES_MAX {
                let frame = frame(&mut frames, head.unix_ms);
                for (name, take) in &points {
                    let value = take(head, record);
                    if value.is_some() {
                        recorded.insert(*name);
                    }
                    frame.points.push(((*name).clone(), value));
                }
            }
        })?;
    }
    match values > VALUES_MAX {
        true => Err(NotTaken::TooMuchPast { values, most: VALUES_MAX }),
        false => {
            let unknown = inputs.iter().filter(|name| !recorded.contains(name));
            let not_recorded = unknown.map(ToString::to_string).collect();
            // A log without any event knows of nothing up to the end.
            let first_ms = first_ms.unwrap_or(u64::MAX).min(*times.end());
            let events_from_ms = (first_ms > *times.start()).then_some(first_ms);
            Ok(Past { frames: frames.into_values().collect(), not_recorded, events_from_ms })
        }
    }
}

/// What a point said within `times`, and what it had said when they began; nothing
/// where its row holds no more.
fn values_of(
    store: &Store,
    name: &Name,
    times: &RangeInclusive<u64>,
) -> Result<Vec<(u64, Option<Value>)>, StoreError> {
    let (from, to) = (*times.start(), *times.end());
    let mut past = store.series(name.as_str(), Level::Raw, &(from.saturating_sub(HOUR_MS)..=to))?;
    past.rows.sort_by_key(|row| row.unix_s);
    let Some(measure) = past.measure else { return Ok(Vec::new()) };
    let value_of = |row: &Row| Some(measure.value(row.value?.mean));
    let mut values = Vec::new();
    for (at, row) in past.rows.iter().enumerate() {
        let begins = row.unix_s * 1_000;
        let next = past.rows.get(at + 1).map(|next| next.unix_s * 1_000);
        let ends = row.holds_until() * 1_000;
        // What a row says counts from the beginning of the times on.
        if next.unwrap_or(ends).min(ends) > from {
            values.push((begins.max(from), value_of(row)));
        }
        if next.is_none_or(|next| next > ends) && (from..=to).contains(&ends) {
            values.push((ends, None));
        }
    }
    Ok(values)
}

fn frame(frames: &mut BTreeMap<u64, Frame>, unix_ms: u64) -> &mut Frame {
    frames.entry(unix_ms).or_insert_with(|| Frame { unix_ms, ..Frame::default() })
}

/// `string.1.block.2.voltage`: whose it is, and how to get it; `None` for what
/// history does not keep.
fn kept_as(name: &str) -> Option<(Whose, Take)> {
    let (string, what) = name.strip_prefix("string.")?.split_once('.')?;
    let string = string.parse().ok()?;
    let Some((block, what)) = what.strip_prefix("block.").and_then(|rest| rest.split_once('.'))
    else {
        return Some((Whose { string, block: None }, of_string(what)?));
    };
    let block = Some(block.parse::<usize>().ok()?.checked_sub(1)?);
    Some((Whose { string, block }, of_block(what)?))
}

fn of_string(what: &str) -> Option<Take> {
    Some(match what {
        "ambient" => |head, _| mean(head.ambient_dc, 10.0),
        "current" => |head, _| mean(head.current_ma, 1e3),
        "phase" => |head, _| Some(Value::Text(words::phase(head.phase.phase()).to_owned())),
        "target" => |head, _| mean(head.target_mv, 1e3),
        "voltage.measured" => |head, _| mean(head.string_mv, 1e3),
        _ => return None,
    })
}

fn of_block(what: &str) -> Option<Take> {
    fn over(span: Option<Span<u32>>, by: f64) -> Option<Value> {
        span.map(|span| Value::Number(f64::from(span.mean) / by))
    }
    Some(match what {
        "bypass.commanded" => |_, record| mean(Some(record.duty_hp), 2.0),
        "capacity" => |_, record| over(record.capacity_cah, 100.0),
        "charge" => |_, record| over(record.charge_pm, 10.0),
        "resistance" => |_, record| over(record.resistance_uohm, 1e3),
        "temperature" => |_, record| {
            mean(record.temperature_dc, 10.0)
                .filter(|_| record.temperature_quality < Quality::Stale)
        },
        "voltage" => {
            |_, record| mean(record.voltage_mv, 1e3).filter(|_| record.quality < Quality::Stale)
        }
        _ => return None,
    })
}

fn mean(span: Option<Span>, by: f64) -> Option<Value> {
    span.map(|span| Value::Number(f64::from(span.mean) / by))
}

const fn is_ours(event: &Event) -> bool {
    matches!(
        event,
        Event::RuleRaised { .. }
            | Event::RuleCleared { .. }
            | Event::ScheduleDue { .. }
            | Event::ScheduleMissed { .. }
            | Event::JobSaid { .. }
            | Event::JobDone { .. }
            | Event::JobFailed { .. }
            | Event::JobWithdrawn { .. }
            | Event::JobsDropped { .. }
            | Event::SequenceEnded { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::history::{PhaseCode, Row};

    #[test]
    fn what_history_keeps_is_found_by_name() {
        let whose = |name| kept_as(name).map(|(whose, _)| (whose.string, whose.block));
        assert_eq!(whose("string.2.block.17.voltage"), Some((2, Some(16))));
        assert_eq!(whose("string.2.block.17.bypass.commanded"), Some((2, Some(16))));
        assert_eq!(whose("string.2.voltage.measured"), Some((2, None)));
        let others = ["string.2.voltage", "string.2.block.17.voltage.x", "ups.0.ups.load", ""];
        for other in others.into_iter().chain(["string.2.block.0.voltage", "string.2.block.1"]) {
            assert_eq!(whose(other), None, "{other}");
        }
    }

    #[test]
    fn where_the_log_begins_within_the_time_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Default::default()).expect("a store");
        let begins = |times: RangeInclusive<u64>| {
            frames(&store, &[], times).expect("readable").events_from_ms
        };
        assert_eq!(begins(5_000..=9_000), Some(9_000), "there is none");
        let event = Event::DaemonStarted { version: "1".into() };
        store.record_acknowledged(event).wait().expect("on the disk");
        let first = store.latest(1)[0].unix_ms;
        assert_eq!(begins(first - 60_000..=first + 60_000), Some(first));
        assert_eq!(begins(first..=first + 60_000), None, "all of it");
        assert_eq!(begins(first - 60_000..=first - 30_000), Some(first - 30_000), "none of it");
    }

    #[test]
    fn what_a_ups_said_holds_until_the_next_row_or_the_end_of_its_hour() {
        use evenkeel_core::history::series::Measure;
        use evenkeel_core::history::{Series, series};
        use evenkeel_core::points::Unit;
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Default::default()).expect("a store");
        let row = |unix_s, millionths| series::Row {
            unix_s,
            value: Some(Span::of(millionths)),
            quality: Quality::Good,
        };
        let of = |name: &str, measure, rows| Series { name: name.to_owned(), measure, rows };
        let percent = Measure::Number(Unit::Percent);
        let kept = vec![
            of("device.1.input.2", Measure::Flag, vec![row(7_300, 1_000_000)]),
            of(
                "ups.0.battery.charge",
                percent,
                vec![row(7_200, 90_000_000), row(7_500, 24_500_000)],
            ),
        ];
        store.append_series(kept).wait().expect("on the disk");
        let names = ["ups.0.battery.charge", "device.1.input.2", "ups.0.ups.load"];
        let names = names.map(|name| Name::parse(name).expect("a name"));
        let past = frames(&store, &names, 7_400_000..=20_000_000).expect("readable");
        assert_eq!(past.not_recorded, ["ups.0.ups.load"]);
        let told = |name: &Name| {
            let frames = past.frames.iter();
            let points = frames.flat_map(|frame| {
                frame.points.iter().map(move |(of, value)| (of, (frame.unix_ms, value.clone())))
            });
            points.filter(|(of, _)| *of == name).map(|(_, told)| told).collect::<Vec<_>>()
        };
        let number = |number| Some(Value::Number(number));
        let charge = [(7_400_000, number(90.0)), (7_500_000, number(24.5)), (10_800_000, None)];
        assert_eq!(told(&names[0]), charge);
        assert_eq!(told(&names[1]), [(7_400_000, Some(Value::Flag(true))), (10_800_000, None)]);
    }

    #[test]
    fn points_get_the_values_they_had() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Default::default()).expect("a store");
        let record = |quality, mv| Record {
            voltage_mv: Some(Span::of(mv)),
            resistance_uohm: Some(Span::of(4_100)),
            charge_pm: Some(Span::of(995)),
            quality,
            ..Record::default()
        };
        for (unix_ms, quality) in [(1_000, Quality::Good), (2_000, Quality::Stale)] {
            let current_ma = Some(Span::of(-12_500));
            let head = Head { unix_ms, current_ma, phase: PhaseCode(3), ..Head::default() };
            let blocks = vec![record(quality, 13_600), record(quality, 13_700)];
            store.append(vec![(1, (&Row { head, blocks }).into())]).wait().expect("on the disk");
        }
        let names = [
            "block.2.voltage",
            "block.2.resistance",
            "block.2.charge",
            "current",
            "phase",
            "block.9.voltage",
            "voltage",
        ];
        let names = names.map(|name| Name::parse(&format!("string.1.{name}")).expect("a name"));
        let past = frames(&store, &names, 0..=u64::MAX).expect("readable");
        assert_eq!(past.not_recorded, ["string.1.block.9.voltage", "string.1.voltage"]);
        let frames = past.frames;
        let value = |n: usize, name: &Name| {
            let found = frames[n].points.iter().find(|(of, _)| of == name);
            found.unwrap_or_else(|| panic!("{name:?} in {frames:?}")).1.clone()
        };
        let number = |number| Some(Value::Number(number));
        assert_eq!(frames.iter().map(|f| f.unix_ms).collect::<Vec<_>>(), [1_000, 2_000]);
        assert_eq!([value(0, &names[0]), value(1, &names[0])], [number(13.7), None], "stale");
        assert_eq!([value(0, &names[1]), value(0, &names[2])], [number(4.1), number(99.5)]);
        assert_eq!(value(1, &names[3]), number(-12.5));
        assert_eq!(value(1, &names[4]), Some(Value::Text("discharge".into())));
    }
}
