//! One notifier and the event log: tells it what happened, in order, one by
//! one, and remembers how far it came.
//!
//! ```text
//!   next event ──▶ severe enough? ──no──▶ passed over
//!                        │ yes
//!                        ▼              later: pause, 1 s … 5 min
//!                     told it ─────────────────────────┐
//!                        │ ▲                           │
//!          done or never │ └───────────────────────────┘
//!                        ▼
//!               place moves on, and is kept
//! ```
//!
//! At least once: the place is kept after the event was acknowledged, so that
//! a restart in between tells it again, under the same sequence number.

use super::record::record;
use crate::caps::bucket::Bucket;
use crate::failure::chain;
use crate::plugin::bindings::sink;
use crate::store::{Store, StoreError, StoredEvent};
use crate::{caps::one_line, clock};
use evenkeel_core::events::{Event, Severity};
use evenkeel_core::time::Nanos;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::warn;

/// Shortest and longest pause before an event is told again.
pub const PAUSE: core::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(300);
/// Copies of a plugin that one event may take down with it.
const DEATHS_MAX: u32 = 3;
/// Events that are read at once; the place is kept after so many at the latest.
const BATCH: usize = 64;
/// A greater gap between two ids is no trimmed log but a new store, whose ids
/// begin behind any that the old one can have had.
const GAP_MAX: u64 = 1_000_000;
/// Events about untold events: they are told too, and must not feed on themselves.
const UNTOLD_BURST: u32 = 5;
const UNTOLD_INTERVAL: Nanos = Nanos::from_secs(600);

/// Somebody who is told events.
pub trait Recipient: Send + Sync + 'static {
    /// What it is called on this appliance.
    fn id(&self) -> &str;
    /// Least severity that it may be told.
    fn least(&self) -> Severity;
    /// Tell it one event.
    fn tell(&self, event: sink::Event) -> impl Future<Output = Told> + Send;
    /// Telling it fails, and why; for people.
    fn failing(&self, reason: &str);
}

/// What became of telling an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is acknowledged.
    Done,
    /// It may work later.
    Later(String),
    /// It never will.
    Never(String),
    /// Nobody is there to be told.
    Away,
    /// The plugin did not survive it, or was stopped.
    Died,
}

/// How far one notifier is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Progress {
    /// What it is called on this appliance.
    pub id: String,
    /// Events that are not told yet, at most: the less severe count too.
    pub waiting: u64,
    /// The last event that was acknowledged since the daemon started.
    pub last_told: Option<u64>,
    /// When, ms since 1970.
    pub last_told_unix_ms: Option<u64>,
    /// Why the present event is not told yet.
    pub error: Option<String>,
}

/// Brings the log to one recipient.
pub struct Courier<R> {
    recipient: R,
    store: Arc<Store>,
    progress: Arc<Mutex<Progress>>,
    first_pause: Duration,
    untold: Bucket,
    /// The last event that needs not be told any more.
    place: u64,
    /// The same on the disk.
    kept: u64,
    keep_failed: bool,
}

impl<R: Recipient> Courier<R> {
    /// A courier for `recipient`, who shows how far it is in `progress`.
    pub fn new(recipient: R, store: Arc<Store>, progress: Arc<Mutex<Progress>>) -> Self {
        let untold = Bucket::new(UNTOLD_BURST, UNTOLD_INTERVAL, clock::now());
        let first_pause = *PAUSE.start();
        let (place, kept, keep_failed) = (0, 0, false);
        Self { recipient, store, progress, first_pause, untold, place, kept, keep_failed }
    }

    /// Until the store is closed; dropping the future is the way to stop.
    pub async fn run(mut self) {
        let mut settled = self.store.settled();
        self.find_place().await;
        loop {
            settled.borrow_and_update();
            let (store, place) = (Arc::clone(&self.store), self.place);
            let batch = off_thread(move || store.events(Some(place), BATCH)).await;
            if batch.is_empty() {
                self.keep_place().await;
                self.show(|progress| progress.waiting = 0);
                if settled.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let newest = batch.last().map_or(place, |event| event.id).max(*settled.borrow());
            for stored in batch {
                self.show(|progress| progress.waiting = newest.saturating_sub(stored.id) + 1);
                self.mind_the_gap(stored.id);
                if stored.event.severity() >= self.recipient.least() {
                    self.tell(&stored).await;
                }
                self.place = stored.id;
            }
            self.keep_place().await;
        }
    }

    /// Where it was; one that was never told anything begins now.
    async fn find_place(&mut self) {
        let last = self.store.latest(1).first().map_or(0, |event| event.id);
        let (store, id) = (Arc::clone(&self.store), self.recipient.id().to_owned());
        match off_thread(move || store.told(&id)).await {
            Ok(Some(place)) => {
                self.kept = place;
                // Never ahead of the log: that would be silence for long.
                self.place = place.min(last);
            }
            Ok(None) => self.place = last,
            Err(e) => {
                warn!(
                    plugin = self.recipient.id(),
                    "is told what happens from now on: {}",
                    chain(&e)
                );
                self.place = last;
            }
        }
        self.keep_place().await;
    }

    /// Tell one event until it is done or given up.
    async fn tell(&mut self, stored: &StoredEvent) {
        let (mut pause, mut deaths) = (self.first_pause, 0);
        loop {
            match self.recipient.tell(record(stored)).await {
                Told::Done => return self.done(stored),
                Told::Never(reason) => return self.give_up(&reason),
                Told::Away => tokio::time::sleep(self.first_pause).await,
                Told::Died => {
                    deaths += 1;
                    if deaths == DEATHS_MAX {
                        return self.give_up("the plugin failed each time it was told of it");
                    }
                    tokio::time::sleep(self.first_pause).await;
                }
                Told::Later(reason) => {
                    self.failing(&reason);
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(*PAUSE.end());
                }
            }
        }
    }

    fn done(&self, stored: &StoredEvent) {
        self.show(|progress| {
            progress.last_told = Some(stored.id);
            progress.last_told_unix_ms = Some(clock::unix_ms());
            progress.error = None;
        });
    }

    fn give_up(&mut self, reason: &str) {
        self.failing(reason);
        self.show(|progress| progress.error = None);
        self.say_untold(1, reason);
    }

    /// Say why, unless that was the last thing said.
    fn failing(&self, reason: &str) {
        let reason = one_line(reason, crate::plugin::REASON_LEN_MAX);
        let mut progress = lock(&self.progress);
        if progress.error.as_deref() != Some(&*reason) {
            self.recipient.failing(&reason);
            progress.error = Some(reason);
        }
    }

    /// Events between the last place and `id` are gone from the log.
    fn mind_the_gap(&mut self, id: u64) {
        let count = id.saturating_sub(self.place).saturating_sub(1);
        if (1..=GAP_MAX).contains(&count) {
            self.say_untold(count, "the log had been trimmed before they were told");
        }
    }

    fn say_untold(&mut self, count: u64, reason: &str) {
        let (name, reason) = (self.recipient.id().to_owned(), reason.to_owned());
        warn!(plugin = name, "{count} events are not told: {reason}");
        if self.untold.admit(clock::now()) {
            self.store.record(Event::EventsUntold { name, count, reason });
        }
    }

    async fn keep_place(&mut self) {
        if self.kept == self.place {
            return;
        }
        let kept: Result<(), StoreError> =
            self.store.keep_told(self.recipient.id(), Some(self.place)).done().await;
        match kept {
            Ok(()) => (self.kept, self.keep_failed) = (self.place, false),
            Err(e) if !self.keep_failed => {
                self.keep_failed = true;
                let plugin = self.recipient.id();
                warn!(plugin, "how far it was told is not kept: {}", chain(&e));
            }
            // Said already; the next event tries again.
            Err(_) => {}
        }
    }

    fn show(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut lock(&self.progress));
    }
}

/// A panic leaves whole values: each change is an assignment.
pub(super) fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reading the store waits for the disk.
async fn off_thread<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(read).await.expect("reading the store does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Limits;
    use std::collections::VecDeque;
    use std::path::Path;
    use tokio::sync::mpsc;

    /// A recipient that answers as it was told to, then with `Done`.
    struct Fake {
        least: Severity,
        answers: Mutex<VecDeque<Told>>,
        told: mpsc::UnboundedSender<u64>,
        said: Arc<Mutex<Vec<String>>>,
    }

    impl Recipient for Fake {
        fn id(&self) -> &str {
            "syslog"
        }

        fn least(&self) -> Severity {
            self.least
        }

        async fn tell(&self, event: sink::Event) -> Told {
            let answer = self.answers.lock().expect("no panic").pop_front();
            self.told.send(event.sequence).expect("the test listens");
            answer.unwrap_or(Told::Done)
        }

        fn failing(&self, reason: &str) {
            self.said.lock().expect("no panic").push(reason.to_owned());
        }
    }

    /// A courier at work.
    struct AtWork {
        store: Arc<Store>,
        told: mpsc::UnboundedReceiver<u64>,
        said: Arc<Mutex<Vec<String>>>,
        progress: Arc<Mutex<Progress>>,
        task: tokio::task::JoinHandle<()>,
    }

    impl AtWork {
        async fn next(&mut self) -> u64 {
            let next = tokio::time::timeout(Duration::from_secs(20), self.told.recv()).await;
            next.expect("in time").expect("at work")
        }

        /// When everything that has happened by now is told and kept, and
        /// nothing waits.
        async fn at_rest(&self) {
            let id = self.store.latest(1)[0].id;
            let is_kept = || self.store.told("syslog").expect("readable") >= Some(id);
            while !is_kept() || lock(&self.progress).waiting > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }

        async fn stop(self) -> Arc<Store> {
            self.task.abort();
            let _ = self.task.await;
            self.store
        }
    }

    fn store(dir: &Path) -> Arc<Store> {
        let limits = Limits {
            events: 10,
            access: 5,
            history_bytes: 1 << 20,
            values_bytes: 1 << 20,
            revisions: 3,
            audit: 99,
        };
        Arc::new(Store::open(dir, limits).expect("a store"))
    }

    fn start(store: Arc<Store>, least: Severity, answers: &[Told]) -> AtWork {
        let (sender, told) = mpsc::unbounded_channel();
        let (said, progress) = (Arc::default(), Arc::default());
        let answers = Mutex::new(answers.iter().cloned().collect());
        let fake = Fake { least, answers, told: sender, said: Arc::clone(&said) };
        let mut courier = Courier::new(fake, Arc::clone(&store), Arc::clone(&progress));
        courier.first_pause = Duration::from_millis(5);
        AtWork { store, told, said, progress, task: tokio::spawn(courier.run()) }
    }

    async fn record(store: &Store, event: Event) -> u64 {
        store.record_acknowledged(event).done().await.expect("on the disk")
    }

    fn info() -> Event {
        Event::DaemonStarted { version: "1".into() }
    }

    fn warning() -> Event {
        Event::UpsOnBattery { ups: "ups.0".into() }
    }

    #[tokio::test]
    async fn what_happens_from_now_on_is_told_in_order_and_from_its_severity_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(dir.path());
        record(&store, warning()).await;
        let mut work = start(store, Severity::Warning, &[]);
        work.at_rest().await;
        record(&work.store, info()).await;
        let first = record(&work.store, warning()).await;
        record(&work.store, info()).await;
        let second = record(&work.store, Event::GuardLost).await;
        assert_eq!((work.next().await, work.next().await), (first, second));
        work.at_rest().await;
        let progress = lock(&work.progress).clone();
        assert_eq!((progress.waiting, progress.last_told), (0, Some(second)));
        assert!(progress.last_told_unix_ms.is_some() && progress.error.is_none());
    }

    #[tokio::test]
    async fn a_restart_goes_on_where_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut work = start(store(dir.path()), Severity::Info, &[]);
        record(&work.store, info()).await;
        work.at_rest().await;
        drop(work.stop().await);

        let store = store(dir.path());
        let missed = record(&store, info()).await;
        work = start(store, Severity::Info, &[]);
        assert_eq!(work.next().await, missed);
        let new = record(&work.store, info()).await;
        assert_eq!(work.next().await, new);
    }

    #[tokio::test]
    async fn an_event_waits_for_its_turn_and_holds_back_those_after_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let refuses = || Told::Later("it refuses".into());
        let answers = [refuses(), Told::Away, refuses(), Told::Died];
        let work = start(store(dir.path()), Severity::Info, &[]);
        work.store.keep_told("syslog", Some(0)).done().await.expect("on the disk");
        let store = work.stop().await;
        let first = record(&store, info()).await;
        let second = record(&store, info()).await;
        let mut work = start(store, Severity::Info, &answers);
        for _ in 0..5 {
            assert_eq!(work.next().await, first);
        }
        assert_eq!(work.next().await, second);
        work.at_rest().await;
        assert_eq!(*work.said.lock().expect("no panic"), ["it refuses"], "said once");
        assert_eq!(lock(&work.progress).error, None);
    }

    #[tokio::test]
    async fn what_is_given_up_is_said_and_does_not_feed_on_itself() {
        let dir = tempfile::tempdir().expect("a directory");
        let answers = vec![Told::Never("no way".into()); 1_000];
        let mut work = start(store(dir.path()), Severity::Info, &answers);
        // Until it has found its place.
        while work.store.told("syslog").expect("readable").is_none() {
            record(&work.store, info()).await;
        }
        let own = |store: &Store| {
            let events = store.events(None, 99).into_iter();
            events.filter(|e| matches!(e.event, Event::EventsUntold { .. })).count()
        };
        record(&work.store, info()).await;
        work.at_rest().await;
        let told = own(&work.store);
        assert!((1..=UNTOLD_BURST as usize).contains(&told), "{told}");
        record(&work.store, info()).await;
        work.at_rest().await;
        let untold = own(&work.store);
        assert!(untold <= UNTOLD_BURST as usize, "{untold}");
        assert!(work.told.try_recv().is_ok());
    }

    #[tokio::test]
    async fn an_event_that_takes_the_plugin_down_is_passed_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(dir.path());
        store.keep_told("syslog", Some(0)).done().await.expect("on the disk");
        let poison = record(&store, info()).await;
        let answers = vec![Told::Died; DEATHS_MAX as usize];
        let mut work = start(store, Severity::Info, &answers);
        for _ in 0..DEATHS_MAX {
            assert_eq!(work.next().await, poison);
        }
        assert!(work.next().await > poison, "the event that says so");
    }

    #[tokio::test]
    async fn a_log_that_was_trimmed_is_told_of() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(dir.path());
        store.keep_told("syslog", Some(1)).done().await.expect("on the disk");
        for _ in 0..25 {
            record(&store, info()).await;
        }
        let mut work = start(store, Severity::Warning, &[]);
        let notice = work.next().await;
        let event = work.store.events(Some(notice - 1), 1).remove(0).event;
        assert!(
            matches!(event, Event::EventsUntold { count, .. } if (14..25).contains(&count)),
            "{event:?}"
        );
    }

    #[tokio::test]
    async fn a_place_ahead_of_the_log_is_not_silence() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(dir.path());
        store.keep_told("syslog", Some(u64::MAX)).done().await.expect("on the disk");
        record(&store, info()).await;
        let mut work = start(store, Severity::Info, &[]);
        while work.store.told("syslog").expect("readable") == Some(u64::MAX) {
            tokio::task::yield_now().await;
        }
        let new = record(&work.store, info()).await;
        assert_eq!(work.next().await, new);
    }
}
