//! What the store is asked to do before power fails, and what it must hold
//! after the first so many of these jobs.

use super::super::{Ack, Limits, PastDischarge, ShelfChange, Store, StoreError};
use super::disk::Chance;
use crate::guard::RecordRows;
use evenkeel_core::discharge::DischargeRecord;
use evenkeel_core::events::Event;
use evenkeel_core::history::level::{DAY_MS, HOUR_MS};
use evenkeel_core::history::series::{self, Measure};
use evenkeel_core::history::{Head, Key, Level, Place, Record, Row, Series, Sheet, Span};
use evenkeel_core::points::{Quality, Unit};
use evenkeel_core::settings::forms::Kind;
use evenkeel_signing::audit::verify;
use std::collections::{BTreeMap, BTreeSet};

/// Small, so that the oldest goes while power fails.
pub const LIMITS: Limits = Limits {
    events: 60,
    access: 30,
    history_bytes: 28 << 10,
    values_bytes: 8 << 10,
    revisions: 3,
    audit: 9_999,
};
/// So many of the newest samples are looked at: there is room for more, and not
/// for all.
const SAMPLES: usize = 8;
/// Blocks of a sample.
const BLOCKS: usize = 40;
/// Between two jobs, ms: samples lie on different days, so that each ends one.
const JOB_MS: u64 = 7 * HOUR_MS;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// One job.
#[derive(Clone, Debug)]
pub enum Step {
    /// An event, numbered; every third is about access.
    Event(u64),
    /// A user's record.
    User(&'static str, Vec<u8>),
    /// A settings document.
    Settings(&'static str, String),
    /// How far a notifier was told.
    Told(&'static str, Option<u64>),
    /// A document.
    Document(&'static str, Option<Vec<u8>>),
    /// A value of a plugin.
    Shelf(&'static str, &'static str, Option<Vec<u8>>),
    /// A discharge record that began then.
    Discharge(u64),
    /// A history sample at that many times [`JOB_MS`].
    Sample(u64),
    /// Values of points then.
    Values(u64),
    /// Rows of jobs, one of them under this name; `None` takes it away.
    Jobs(&'static str, Option<Vec<u8>>),
    /// A sheet of another appliance, of that day behind all others.
    Import(u64),
}

/// The acknowledgement of a job.
pub enum Answer {
    /// With the id of the event.
    Event(u64, Ack<u64>),
    /// Without.
    Plain(Ack<()>),
}

/// What the store holds beside events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    users: BTreeMap<&'static str, Vec<u8>>,
    settings: BTreeMap<&'static str, Vec<String>>,
    told: BTreeMap<&'static str, u64>,
    documents: BTreeMap<&'static str, Vec<u8>>,
    shelves: BTreeMap<(&'static str, String), Vec<u8>>,
    discharges: Vec<u64>,
    samples: Vec<u64>,
    values: Vec<u64>,
    jobs: BTreeMap<String, Vec<u8>>,
    /// Days that were taken in.
    imported: BTreeSet<u64>,
    /// Jobs that the audit log tells of.
    audited: Vec<u64>,
}

impl Step {
    /// The `n`th job.
    pub fn random(n: u64, chance: &mut Chance) -> Self {
        let name = NAMES[chance.below(NAMES.len())];
        let most = if chance.below(8) == 0 { 6_000 } else { 300 };
        let large = 1 + chance.below(most);
        let bytes = vec![n as u8; large];
        let maybe = (chance.below(4) > 0).then(|| bytes.clone());
        match chance.below(15) {
            0..=3 => Self::Event(n),
            4 => Self::User(name, bytes),
            5 => Self::Settings(name, format!("{n}").repeat(1 + chance.below(40))),
            6 => Self::Told(name, chance.coin().then_some(n)),
            7 => Self::Document(name, maybe),
            8 if chance.below(4) == 0 => Self::Discharge(n),
            8 => Self::Shelf(name, NAMES[chance.below(NAMES.len())], maybe),
            9 | 10 => Self::Values(n),
            11 => Self::Jobs(name, maybe),
            12 if chance.below(3) == 0 => Self::Import(n),
            _ => Self::Sample(n),
        }
    }

    /// Ask for it.
    pub fn send(&self, store: &Store) -> Answer {
        Answer::Plain(match self.clone() {
            Self::Event(n) => return Answer::Event(n, store.record_acknowledged(event(n))),
            Self::User(name, bytes) => store.put_user(name, bytes),
            Self::Settings(name, text) => store.keep_settings(&Kind::first(name), &text),
            Self::Told(name, last) => store.keep_told(name, last),
            Self::Document(name, bytes) => store.keep_document(name, bytes),
            Self::Shelf(owner, key, value) => {
                let change = ShelfChange::Put { key: key.to_owned(), value, wear: vec![1] };
                store.change_shelf(owner, change)
            }
            Self::Discharge(begun) => {
                let (past, rows) = discharge(begun);
                store.keep_discharge(&past, &rows)
            }
            Self::Sample(at) => store.append(vec![(1, (&sample(at)).into())]),
            Self::Values(at) => store.append_series(values(at)),
            // Two rows, which are there both or not at all.
            Self::Jobs(name, value) => {
                let beside = value.as_ref().map(|bytes| bytes.iter().rev().copied().collect());
                store.keep_jobs(vec![(format!("i/{name}"), value), (format!("k/{name}"), beside)])
            }
            Self::Import(n) => store.take_columns(imported(n)),
        })
    }
}

impl State {
    /// As it is after one more job.
    pub fn after(&self, step: &Step) -> Self {
        let mut next = self.clone();
        match step.clone() {
            Step::Event(n) => next.audited.extend(n.is_multiple_of(3).then_some(n)),
            Step::User(name, bytes) => drop(next.users.insert(name, bytes)),
            Step::Settings(name, text) => {
                let revisions = next.settings.entry(name).or_default();
                if revisions.last() != Some(&text) {
                    revisions.push(text);
                }
                let surplus = revisions.len().saturating_sub(LIMITS.revisions as usize);
                revisions.drain(..surplus);
            }
            Step::Told(name, last) => put(&mut next.told, name, last),
            Step::Document(name, bytes) => put(&mut next.documents, name, bytes),
            Step::Shelf(owner, key, value) => put(&mut next.shelves, (owner, key.into()), value),
            Step::Discharge(begun) => next.discharges.push(begun),
            Step::Sample(at) => {
                next.samples.push(at);
                newest(&mut next.samples);
            }
            Step::Values(at) => {
                next.values.push(at);
                newest(&mut next.values);
            }
            Step::Jobs(name, value) => {
                put(&mut next.jobs, format!("k/{name}"), value.clone());
                put(&mut next.jobs, format!("i/{name}"), value);
            }
            Step::Import(n) => drop(next.imported.insert(n)),
        }
        next
    }

    /// What a store holds; what is there must be whole.
    pub fn of(store: &Store) -> Result<Self, StoreError> {
        let mut state = Self::default();
        for name in NAMES {
            put(&mut state.users, name, store.user(name)?);
            let revisions = store.settings(&Kind::first(name))?.into_iter().rev().map(|r| r.text);
            let revisions: Vec<_> = revisions.collect();
            put(&mut state.settings, name, (!revisions.is_empty()).then_some(revisions));
            put(&mut state.told, name, store.told(name)?);
            put(&mut state.documents, name, store.document(name)?);
            for (key, length) in store.shelf(name)? {
                let value = store.kept(name, &key)?.expect("what is listed is there");
                assert_eq!(value.len(), length);
                state.shelves.insert((name, key), value);
            }
        }
        for past in store.discharges(None)?.into_iter().rev() {
            let whole = discharge(past.begun_unix_ms);
            let rows = store.discharge_rows(past.string, past.begun_unix_ms)?;
            assert_eq!((&past, rows.as_ref()), (&whole.0, Some(&whole.1)));
            state.discharges.push(past.begun_unix_ms);
        }
        for block in [0, BLOCKS - 1] {
            state.samples.clear();
            store.each_record(1, block, 0..=u64::MAX, |head, record| {
                let whole = sample(head.unix_ms / JOB_MS);
                assert_eq!((head, record), (&whole.head, &whole.blocks[block]));
                state.samples.push(head.unix_ms / JOB_MS);
            })?;
            assert!(state.samples.is_sorted(), "block {block}: {:?}", state.samples);
            newest(&mut state.samples);
        }
        for name in ["ups.0.input.voltage", "ups.0.ups.load"] {
            state.values.clear();
            for row in store.series(name, Level::Raw, &(0..=u64::MAX))?.rows {
                let at = row.unix_s * 1_000 / JOB_MS;
                assert_eq!(row, values_row(at));
                state.values.push(at);
            }
            assert!(state.values.is_sorted(), "{name}: {:?}", state.values);
            newest(&mut state.values);
        }
        state.jobs.extend(store.jobs()?);
        store.each_record(IMPORTED, 0, 0..=u64::MAX, |head, record| {
            let n = head.unix_ms / DAY_MS - AFTER_DAYS;
            assert_eq!((head, record), (&sample_of_day(n).head, &sample_of_day(n).blocks[0]));
            state.imported.insert(n);
        })?;
        for line in store.audit_lines(Some(0), usize::MAX)? {
            let line: serde_json::Value = serde_json::from_slice(&line).expect("whole");
            if line["what"] == "sign out" {
                let n = line["who"].as_str().and_then(|who| who.split_once(':'));
                state.audited.extend(n.map(|(n, _)| n.parse::<u64>().expect("a number")));
            }
        }
        verify(&store.audit_export()?, store.audit_key()).expect("an unbroken chain");
        Ok(state)
    }
}

/// The event of job `n`.
pub fn event(n: u64) -> Event {
    let user = format!("{n}:{}", "x".repeat((n % 90) as usize));
    match n % 3 {
        0 => Event::Logout { user, from: "::1".into() },
        _ => Event::DaemonStarted { version: user },
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

fn discharge(begun_unix_ms: u64) -> (PastDischarge, RecordRows) {
    let record = DischargeRecord { duration_s: begun_unix_ms as f64, ..Default::default() };
    let past = PastDischarge { string: 1, name: "A".into(), begun_unix_ms, rows: 0, record };
    let mv = vec![begun_unix_ms as u16; 700];
    (past, RecordRows { mv, ..RecordRows::default() })
}

fn sample(at: u64) -> Row {
    let record = |block: usize| Record {
        voltage_mv: Some(Span::of(13_000 + (at as i32 * 31 + block as i32 * 57) % 1_000)),
        ..Record::default()
    };
    let target_mv = Some(Span::of(13_000 + at as i32));
    let head = Head { unix_ms: at * JOB_MS, target_mv, ..Head::default() };
    Row { head, blocks: (0..BLOCKS).map(record).collect() }
}

/// String of another appliance, and when its days begin: the ring takes them last.
const IMPORTED: u16 = 7;
const AFTER_DAYS: u64 = 9_000;

/// The row of two points then.
fn values(at: u64) -> Vec<Series> {
    let series = |(name, unit): (&str, _)| Series {
        name: name.to_owned(),
        measure: Measure::Number(unit),
        rows: vec![values_row(at)],
    };
    [("ups.0.input.voltage", Unit::Volt), ("ups.0.ups.load", Unit::Percent)].map(series).to_vec()
}

fn values_row(at: u64) -> series::Row {
    let value = Some(Span::of((at * 7_919 % 4_096) as i64 * 100_000));
    series::Row { unix_s: at * JOB_MS / 1_000, value, quality: Quality::Good }
}

fn sample_of_day(n: u64) -> Row {
    let mut row = sample(n);
    row.head.unix_ms = (AFTER_DAYS + n) * DAY_MS;
    row.blocks.truncate(4);
    row
}

fn imported(n: u64) -> Vec<(Key, Vec<u8>)> {
    let row = sample_of_day(n);
    let period = Level::Raw.period(row.head.unix_ms);
    let place = Place { level: Level::Raw, period, string: IMPORTED, part: 0 };
    let sheet = Sheet::from(&row);
    let columns = (0..).zip(sheet.encode(place));
    columns.map(|(block, column)| (Key { place, block }, column)).collect()
}

fn newest(samples: &mut Vec<u64>) {
    samples.drain(..samples.len().saturating_sub(SAMPLES));
}
