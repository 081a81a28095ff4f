//! Somebody who keeps the appliance busy, remembers what it said was on its
//! disk, and looks again after it was killed.

use crate::{Client, ClientError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A job that waits for a while, for every change of the thresholds.
const JOB: &str = "[[job]]\nname = 'later'\ndelay_s = 120\n\
    when = { kind = 'settings_in_force', fields = { what = 'thresholds' } }\n\
    action = { do = 'log', text = 'later' }\n";
/// So many times settings are changed in each turn, then in every [`SELDOM`]th: what
/// waits is bounded.
const OFTEN: u64 = 40;
const SELDOM: u64 = 50;
/// So many newest rows are remembered: a chart of more would sum them up.
const ROWS_MAX: usize = 600;

/// What the appliance has shown so far: all of it is on its disk.
#[derive(Debug, Default)]
pub struct Witness {
    events: BTreeMap<u64, Value>,
    /// Entries of the audit log.
    entries: BTreeMap<u64, Value>,
    /// Rows of a block's history: voltage by time.
    rows: BTreeMap<u64, Value>,
    /// Rows of a point's history.
    values: BTreeMap<u64, Value>,
    /// Jobs that wait, with the time when they are due.
    jobs: BTreeMap<String, Instant>,
    /// The job is in force.
    has_job: bool,
    /// Settings: the last that were taken, and the last that were sent.
    settings: (u64, u64),
    turns: u64,
    last: u64,
    last_entry: u64,
    /// From when on rows are read, ms since 1970.
    rows_from: u64,
}

/// What was shown and is not there any more, or is something else.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Ids.
    pub events: Vec<u64>,
    /// Numbers in the audit log.
    pub entries: Vec<u64>,
    /// Times of rows, ms since 1970.
    pub rows: Vec<u64>,
    /// The same of a point.
    pub values: Vec<u64>,
    /// Names of jobs that waited.
    pub jobs: Vec<String>,
    /// Settings in force, which are older than those that were taken or newer than
    /// those that were sent.
    pub settings: Option<String>,
}

impl Witness {
    /// Give orders, change settings and read everything for so long. What the API
    /// shows, or says that it has taken, is on the disk.
    ///
    /// # Errors
    /// [`ClientError`] of reading; orders and settings may be refused.
    pub fn keep_busy(&mut self, client: &mut Client, time: Duration) -> Result<(), ClientError> {
        let end = Instant::now() + time;
        if !self.has_job {
            self.has_job = client.post("/api/v1/automation", &json!({"toml": JOB})).is_ok();
        }
        while Instant::now() < end {
            // Its event is what counts, whatever the guard says to it.
            let _ = client.post("/api/v1/orders", &json!({"order": "mute"}));
            self.turns += 1;
            if self.turns <= OFTEN || self.turns.is_multiple_of(SELDOM) {
                self.change(client);
            }
            self.read(client)?;
            newest(&mut self.rows);
            newest(&mut self.values);
            let first = self.rows.keys().chain(self.values.keys()).min();
            self.rows_from = first.copied().unwrap_or(0);
        }
        Ok(())
    }

    fn change(&mut self, client: &mut Client) {
        let next = self.settings.1 + 1;
        self.settings.1 = next;
        if client.post("/api/v1/thresholds", &thresholds(next)).is_ok() {
            self.settings.0 = next;
        }
    }

    /// Look at what is new.
    fn read(&mut self, client: &mut Client) -> Result<(), ClientError> {
        let path = format!("/api/v1/events?after={}&limit=1000", self.last);
        for event in list(&client.get(&path)?) {
            let Some(id) = event["id"].as_u64() else { continue };
            self.last = self.last.max(id);
            self.events.insert(id, timeless(event));
        }
        let path = format!("/api/v1/audit?after={}&limit=1000", self.last_entry);
        for entry in list(&client.get(&path)?) {
            let Some(number) = entry["seq"].as_u64() else { continue };
            self.last_entry = self.last_entry.max(number);
            self.entries.insert(number, entry.clone());
        }
        let times = format!("points=4000&from={}", self.rows_from);
        let history = client.get(&format!("/api/v1/history?string=1&block=1&{times}"))?;
        self.rows.extend(column(&history, "voltage_mv"));
        let path = format!("/api/v1/history/points?name=ups.0.input.voltage&{times}");
        self.values.extend(column(&client.get(&path)?, "value"));
        let status = client.get("/api/v1/automation/status")?;
        for job in list(&status["pending"]) {
            if let (Some(name), Some(in_ms)) = (job["instance"].as_str(), job["in_ms"].as_u64()) {
                let due = Instant::now() + Duration::from_millis(in_ms);
                self.jobs.entry(name.to_owned()).or_insert(due);
            }
        }
        Ok(())
    }

    /// Those that wait for a while yet, and are not there.
    fn jobs_not_in(&self, there: &BTreeMap<String, Instant>) -> Vec<String> {
        let soon = Instant::now() + Duration::from_secs(60);
        let waiting =
            self.jobs.iter().filter(|(name, due)| **due > soon && !there.contains_key(*name));
        waiting.map(|(name, _)| name.clone()).collect()
    }

    /// How much was seen: events, entries of the audit log, rows of both kinds, and
    /// jobs.
    #[must_use]
    pub fn seen(&self) -> [usize; 5] {
        let rows = [self.rows.len(), self.values.len()];
        [self.events.len(), self.entries.len(), rows[0], rows[1], self.jobs.len()]
    }

    /// Settings that were taken.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.settings.0
    }

    /// What was shown and is not there any more.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn missing(&self, client: &mut Client) -> Result<Missing, ClientError> {
        let mut there = Self { rows_from: self.rows_from, ..Self::default() };
        loop {
            let before = (there.last, there.last_entry);
            there.read(client)?;
            if (there.last, there.last_entry) == before {
                break;
            }
        }
        let settings = client.get("/api/v1/thresholds")?;
        let level = settings["thresholds"][0]["warning"].as_f64();
        let allowed = (self.settings.0..=self.settings.1).map(level_of);
        let are_right = self.settings.0 == 0 || allowed.into_iter().any(|l| Some(l) == level);
        Ok(Missing {
            events: gone(&self.events, &there.events),
            entries: gone(&self.entries, &there.entries),
            rows: gone(&self.rows, &there.rows),
            values: gone(&self.values, &there.values),
            jobs: self.jobs_not_in(&there.jobs),
            settings: (!are_right).then(|| settings.to_string()),
        })
    }
}

fn newest(rows: &mut BTreeMap<u64, Value>) {
    while rows.len() > ROWS_MAX {
        rows.pop_first();
    }
}

/// The `n`th settings: each differs from those before it.
fn thresholds(n: u64) -> Value {
    json!({"thresholds": [{
        "at": "system", "quantity": "block-temperature", "side": "high",
        "warning": level_of(n), "alarm": 90.0,
    }]})
}

fn level_of(n: u64) -> f64 {
    50.0 + (n % 3_000) as f64 / 100.0
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Values of a history by their times.
fn column(history: &Value, name: &str) -> Vec<(u64, Value)> {
    let times = list(&history["unix_ms"]).filter_map(Value::as_u64);
    times.zip(list(&history[name]).cloned()).collect()
}

fn gone(seen: &BTreeMap<u64, Value>, there: &BTreeMap<u64, Value>) -> Vec<u64> {
    let lost = seen.iter().filter(|(key, value)| there.get(key) != Some(value));
    lost.map(|(key, _)| *key).collect()
}

/// An event without its age.
fn timeless(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(fields) = event.as_object_mut() {
        fields.remove("age_ms");
    }
    event
}
