//! The calendar with clocks that the test sets.

use super::*;

/// 2026-11-22 02:59:50 UTC, a Sunday.
const BEFORE_S: u64 = 1_795_316_390;

/// Clocks that go on when they are told to.
#[derive(Clone)]
pub struct Clock {
    began: Nanos,
    passed: Arc<AtomicU64>,
    /// What the clock on the wall showed then, s since 1970.
    base_s: u64,
}

impl Clock {
    /// At [`BEFORE_S`].
    pub fn new() -> Self {
        Self { began: clock::now(), passed: Arc::default(), base_s: BEFORE_S }
    }

    /// So many seconds pass.
    pub fn pass(&self, seconds: u64) {
        self.passed.fetch_add(seconds, Ordering::Relaxed);
    }

    /// The same with another clock on the wall.
    pub fn at(&self, base_s: u64) -> Self {
        Self { base_s, ..self.clone() }
    }

    /// For the automation.
    pub fn clocks(&self) -> Clocks {
        let Self { began, passed, base_s } = self.clone();
        Arc::new(move || {
            let seconds = passed.load(Ordering::Relaxed);
            (began + Nanos::from_secs(seconds), (base_s + seconds) * 1_000)
        })
    }
}

const CALENDAR: &str = "confirm = ['device.3:output.1', 'device.3:output.2']\n\
    [[schedule]]\nname = 'fan'\nwhen = { every = 'day', at = '03:00' }\nmissed = 'run_once'\n\
    [[schedule]]\nname = 'lamp'\nwhen = { every = 'day', at = '03:00' }\n\
    [[job]]\nname = 'fan'\nwhen = { kind = 'schedule_due', fields = { entry = 'fan' } }\n\
    action = { do = 'output', device = 3, output = 1, on = true }\n\
    [[job]]\nname = 'lamp'\nwhen = { kind = 'schedule_due', fields = { entry = 'lamp' } }\n\
    action = { do = 'output', device = 3, output = 2, on = true }\n\
    [[rule]]\nname = 'busy'\nwhen = 'ups.0.ups.load > 50'\n";

async fn start(dir: &Path, document: Option<&str>, clock: &Clock) -> Bench {
    Bench::with(dir, document, Arc::new(NoNotifiers), Some(clock.clocks())).await
}

fn runs(bench: &Bench) -> Vec<u8> {
    let mut outputs: Vec<u8> = bench
        .guard
        .asked()
        .iter()
        .filter_map(|order| match order {
            Order::Output { output, .. } => Some(*output),
            _ => None,
        })
        .collect();
    outputs.sort_unstable();
    outputs
}

/// Wait until the calendar that was looked at is on the disk.
async fn kept(bench: &Bench, unix_s: u64) {
    let is_kept = |b: &Bench| {
        let rows = b.store.jobs().expect("readable");
        let row = rows.iter().find(|(name, _)| name == "calendar");
        row.is_some_and(|(_, row)| String::from_utf8_lossy(row).contains(&unix_s.to_string()))
    };
    bench.until("kept", is_kept).await;
}

/// Wait until the disk, too, knows that what was begun is done: what a crash
/// finds there is done again.
async fn at_rest(bench: &Bench) {
    let begun = |(name, _): &(String, Vec<u8>)| name.starts_with("i/");
    bench.until("at rest", |b| !b.store.jobs().expect("readable").iter().any(begun)).await;
}

/// Wait until the points and the calendar were looked at.
async fn scanned(bench: &Bench) {
    bench.until("scanned", |b| b.automation.state().published.is_some()).await;
}

#[tokio::test]
async fn an_entry_of_the_calendar_starts_its_job_once_a_day() {
    let (dir, clock) = (tempfile::tempdir().expect("a directory"), Clock::new());
    let bench = start(dir.path(), Some(CALENDAR), &clock).await;
    kept(&bench, BEFORE_S).await;
    assert!(runs(&bench).is_empty());
    clock.pass(10);
    bench.until("run", |b| runs(b) == [1, 2]).await;
    clock.pass(3_600);
    kept(&bench, BEFORE_S + 10).await;
    clock.pass(86_400 - 3_600);
    bench.until("run again", |b| runs(b) == [1, 1, 2, 2]).await;
    assert!(!bench.has_told("ScheduleMissed"));
}

#[tokio::test]
async fn what_was_missed_while_the_daemon_was_away_is_made_up_for_or_told() {
    let (dir, clock) = (tempfile::tempdir().expect("a directory"), Clock::new());
    let bench = start(dir.path(), Some(CALENDAR), &clock).await;
    kept(&bench, BEFORE_S).await;
    bench.crash().await;
    // Two runs of each went by.
    clock.pass(2 * 86_400);
    let bench = start(dir.path(), None, &clock).await;
    bench.until("made up for", |b| runs(b) == [1]).await;
    bench.until("told", |b| b.has_told("ScheduleMissed")).await;
    let stored = bench.store.events(None, 99);
    let missed: Vec<&Event> = stored
        .iter()
        .map(|stored| &stored.event)
        .filter(|event| matches!(event, Event::ScheduleMissed { .. }))
        .collect();
    let newest = (BEFORE_S + 10 + 86_400) as i64;
    let wanted = Event::ScheduleMissed { entry: "lamp".into(), count: 2, planned_s: newest };
    assert_eq!(missed, [&wanted]);
    let due = stored.iter().find_map(|stored| match &stored.event {
        Event::ScheduleDue { entry, planned_s, late_s } => {
            Some((entry.as_str(), *planned_s, *late_s))
        }
        _ => None,
    });
    let planned_s = BEFORE_S + 10 + 86_400;
    assert_eq!(due, Some(("fan", planned_s as i64, 86_390)));
    clock.pass(10);
    bench.until("punctual", |b| runs(b) == [1, 1, 2]).await;
}

/// What was kept of the calendar is lost, as by a kill between the log and it.
#[tokio::test]
async fn what_the_log_says_was_due_is_not_due_again() {
    let (dir, clock) = (tempfile::tempdir().expect("a directory"), Clock::new());
    let bench = start(dir.path(), Some(CALENDAR), &clock).await;
    kept(&bench, BEFORE_S).await;
    let before = bench.store.jobs().expect("readable");
    clock.pass(10);
    let noted = |b: &Bench| {
        let is_done = |event: &Event| matches!(event, Event::JobDone { .. });
        b.store.events(None, 99).iter().filter(|stored| is_done(&stored.event)).count()
    };
    bench.until("run", |b| runs(b) == [1, 2] && noted(b) == 2).await;
    bench.crash().await;
    let store = Store::open(dir.path(), Limits::default()).expect("a store");
    let old = |name: &str| before.iter().find(|(n, _)| n == name).map(|(_, row)| row.clone());
    let rows = ["calendar", "place"].map(|name| (name.to_owned(), old(name)));
    store.keep_jobs(rows.to_vec()).done().await.expect("kept");
    drop(store);
    let bench = start(dir.path(), None, &clock).await;
    clock.pass(86_400);
    // The jobs, of which nothing was kept either, are done again under their names.
    bench.until("the next day", |b| runs(b) == [1, 1, 2, 2]).await;
    let due = |event: &Event| matches!(event, Event::ScheduleDue { .. });
    let due = bench.store.events(None, 99).iter().filter(|stored| due(&stored.event)).count();
    assert_eq!(due, 4, "two entries on two days");
}

/// The same for what was missed: it is told once.
#[tokio::test]
async fn what_the_log_says_was_missed_is_not_told_again() {
    let (dir, clock) = (tempfile::tempdir().expect("a directory"), Clock::new());
    let bench = start(dir.path(), Some(CALENDAR), &clock).await;
    kept(&bench, BEFORE_S).await;
    bench.crash().await;
    clock.pass(86_400);
    let missed = |b: &Bench| {
        let is_missed = |event: &Event| matches!(event, Event::ScheduleMissed { .. });
        b.store.events(None, 99).iter().filter(|stored| is_missed(&stored.event)).count()
    };
    // Twice killed between the note in the log and what is kept of the calendar.
    for _ in 0..2 {
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let before = store.jobs().expect("readable");
        drop(store);
        let bench = start(dir.path(), None, &clock).await;
        bench
            .until("made up for", |b| b.automation.status().pending.is_empty() && missed(b) > 0)
            .await;
        scanned(&bench).await;
        bench.crash().await;
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let old = |name: &str| before.iter().find(|(n, _)| n == name).map(|(_, row)| row.clone());
        let rows = ["calendar", "place"].map(|name| (name.to_owned(), old(name)));
        store.keep_jobs(rows.to_vec()).done().await.expect("kept");
        drop(store);
    }
    let bench = start(dir.path(), None, &clock).await;
    scanned(&bench).await;
    clock.pass(10);
    bench.until("punctual", |b| runs(b).contains(&2)).await;
    assert_eq!(missed(&bench), 1);
}

#[tokio::test]
async fn a_clock_that_nobody_set_misses_nothing_and_repeats_nothing() {
    let (dir, clock) = (tempfile::tempdir().expect("a directory"), Clock::new());
    let bench = start(dir.path(), Some(CALENDAR), &clock).await;
    kept(&bench, BEFORE_S).await;
    clock.pass(10);
    bench.until("run", |b| runs(b) == [1, 2]).await;
    kept(&bench, BEFORE_S + 10).await;
    at_rest(&bench).await;
    bench.crash().await;
    let bench = start(dir.path(), None, &clock.at(7)).await;
    scanned(&bench).await;
    assert!(runs(&bench).is_empty());
    bench.crash().await;
    clock.pass(3_600);
    let bench = start(dir.path(), None, &clock).await;
    scanned(&bench).await;
    assert!(runs(&bench).is_empty(), "it was done before the clock was lost");
    assert!(!bench.has_told("ScheduleMissed"));
}
