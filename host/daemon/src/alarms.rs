//! Alarms: feeds the book (`evenkeel_core::alarm`) from the hub, keeps it, and
//! does with it what people want.
//!
//! # Promises
//! - What somebody did is on the disk before they are told that it is done.
//!   What the book itself decides is kept soon; a restart that comes first
//!   raises it again.
//! - The book goes on whatever the disk does: looking waits for nobody.
//! - Alarms know no licence. What is measured at a block over it is not shown
//!   with them ([`Alarms::shown`]).

pub mod past;
mod sight;

use crate::clock;
use crate::failure::chain;
use crate::hub::Hub;
use crate::store::{Store, StoreError};
use crate::upses::{Sources, Upses};
use evenkeel_core::alarm::preview::{self, Count};
use evenkeel_core::alarm::survey::{Survey, add_limits};
use evenkeel_core::alarm::{
    Act, Alarm, AlarmEvent, Book, Place, Quantity, Reading, Refusal, Rule, ThresholdError,
    Thresholds, Watcher,
};
use evenkeel_core::events::{Event, Severity};
use evenkeel_core::settings::forms::Kind;
use evenkeel_core::time::Nanos;
use past::{History, Single};
use sight::Sight;
pub use sight::battery;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Name of the book among the documents.
const BOOK: &str = "alarms";
/// The thresholds among the settings.
pub const DOCUMENT: Kind = Kind::first("thresholds");
/// Most bytes of the kept book; the store takes 256 KiB.
const BOOK_MAX: usize = 250 << 10;
/// Longest time between two looks.
const TICK: Duration = Duration::from_secs(1);
/// Shortest time between two looks, whatever the plugins publish.
const SPACING: Duration = Duration::from_millis(500);
/// What changed without anybody being told (a member joined) is kept this
/// often: the flash wears.
const KEEP_EVERY: Nanos = Nanos::from_secs(30);
/// The days of the past that a preview looks at, ms.
pub const PAST_MS: u64 = 30 * 24 * 3_600_000;

/// What the appliance says of itself.
#[derive(Clone, Debug, Default)]
pub struct Itself {
    /// Plugins that stay off because they failed or were refused.
    pub plugins_off: Vec<String>,
    /// How badly an installed certificate needs another one.
    pub certificate: Option<Severity>,
}

/// Asks the appliance about itself.
pub type AskItself = Box<dyn Fn() -> Itself + Send + Sync>;

/// The alarms of the appliance.
pub struct Alarms {
    hub: Arc<Hub>,
    store: Arc<Store>,
    /// Where UPSes are looked for.
    sources: Sources,
    itself: AskItself,
    state: Mutex<State>,
    /// Whoever writes the book holds this from the copy to the acknowledgement,
    /// so that no older copy is written behind a newer one.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    book: Book,
    survey: Survey,
    watcher: Watcher,
    thresholds: Thresholds,
    upses: Upses,
    /// The book as it is on the disk.
    kept: Vec<u8>,
    kept_at: Nanos,
    /// Something changed that a restart should know of.
    news: bool,
    /// Why the book cannot be kept.
    unkept: Option<String>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum AlarmError {
    /// The alarm does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The thresholds make no sense.
    #[error(transparent)]
    Thresholds(#[from] ThresholdError),
    /// It cannot be kept.
    #[error("it cannot be kept, and is not done")]
    Store(#[source] StoreError),
}

/// An alarm as people may see it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The alarm; values over the licence are not in it.
    pub alarm: Alarm,
}

/// What thresholds would tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// With the values of this moment.
    pub now: Count,
    /// In the last 30 days.
    pub past: Count,
    /// So many values of the past were looked at.
    pub values: u64,
    /// The quantities of which the past is known.
    pub kept: BTreeSet<Quantity>,
    /// What has a threshold here and no past: a quantity, or a single point.
    pub without_past: BTreeSet<Subject>,
}

/// A quantity, and of single points which.
pub type Subject = (Quantity, Option<Place>);

impl Alarms {
    /// The alarms as they were kept.
    #[must_use]
    pub fn open(hub: Arc<Hub>, store: Arc<Store>, sources: Sources, itself: AskItself) -> Self {
        let state = State {
            book: kept_book(&store),
            thresholds: kept_thresholds(&store),
            ..State::default()
        };
        for event in forgotten(&store, &state.book) {
            tracing::info!("{event}");
            store.record(Event::Alarm(event));
        }
        let (state, writing) = (Mutex::new(state), tokio::sync::Mutex::default());
        Self { hub, store, sources, itself, state, writing }
    }

    /// Look and keep until the task is dropped.
    pub async fn run(self: Arc<Self>) {
        let mut changes = self.hub.changes();
        loop {
            // The sender lives in the hub, which this holds.
            let _ = tokio::time::timeout(TICK, changes.changed()).await;
            let now = clock::now();
            self.look(now, clock::unix_ms());
            if self.has_news(now) {
                self.keep(now).await;
            }
            tokio::time::sleep(SPACING).await;
        }
    }

    /// One look at everything.
    pub fn look(&self, now: Nanos, unix_ms: u64) {
        let mut guard = self.state();
        let state = &mut *guard;
        let sight = self.sight(&mut state.upses, now);
        let itself = (self.itself)();
        let book = &state.book;
        let before = |kind, place: &Place| book.standing(kind, place);
        let survey = &mut state.survey;
        let mut seen = sight.seen(&itself, |seen| survey.step(seen, before, now));
        let readings = sight.readings(&self.hub, &state.thresholds);
        let limits = state.watcher.step(&state.thresholds, readings.into_iter(), before, now);
        add_limits(&mut seen, limits);
        let changes = state.book.step(&seen, unix_ms);
        state.news |= !changes.is_empty();
        drop(guard);
        for event in changes.iter().filter_map(AlarmEvent::of) {
            tracing::info!("{event}");
            self.store.record(Event::Alarm(event));
        }
    }

    /// The alarms, worst first, and why they cannot be kept, if so.
    #[must_use]
    pub fn shown(&self) -> (Vec<Shown>, bool, Option<String>) {
        let plant = self.hub.plant();
        let state = self.state();
        let alarms = state.book.alarms().into_iter().map(|alarm| {
            let mut alarm = alarm.clone();
            for (place, member) in &mut alarm.members {
                let Place::Block(string, block) = place else { continue };
                let index = |n: &u16| usize::from(*n).saturating_sub(1);
                let over = |plant: &crate::plant::Plant| plant.is_over(index(string), index(block));
                if plant.as_deref().is_some_and(over) {
                    (member.value, member.limit) = (None, None);
                }
            }
            Shown { alarm }
        });
        (alarms.collect(), state.book.is_full(), state.unkept.clone())
    }

    /// Do something with an alarm; done when it is on the disk.
    ///
    /// # Errors
    /// [`AlarmError`]; nothing has changed then.
    pub async fn act(
        &self,
        id: u64,
        round: Option<u32>,
        act: &Act,
        user: &str,
    ) -> Result<(), AlarmError> {
        let _writing = self.writing.lock().await;
        let unix_ms = clock::unix_ms();
        let (kept, round) = {
            let state = self.state();
            let mut planned = state.book.clone();
            let round = round.or_else(|| planned.alarm(id).map(|alarm| alarm.round));
            planned.act(id, round, act, user, unix_ms)?;
            (planned.encode(BOOK_MAX).kept, round)
        };
        let ack = self.store.keep_document(BOOK, Some(kept.clone()));
        ack.done().await.map_err(AlarmError::Store)?;
        let told = {
            let mut state = self.state();
            // Whatever came in between came after what this person saw: what is
            // kept is put right by the next look.
            let change = state.book.act(id, round, act, user, unix_ms);
            (state.kept, state.news) = (kept, true);
            AlarmEvent::of(&change?)
        };
        if let Some(event) = told {
            tracing::info!("{event}");
            self.store.record_promptly(Event::Alarm(event)).await;
        }
        Ok(())
    }

    /// The thresholds in force.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        self.state().thresholds.clone()
    }

    /// Have these thresholds in force from now on.
    ///
    /// # Errors
    /// [`AlarmError`]; those before stay in force then.
    pub async fn set_thresholds(&self, rules: Vec<Rule>) -> Result<(), AlarmError> {
        let thresholds = self.checked(rules)?;
        let kept = self.store.keep_settings(&DOCUMENT, &thresholds.to_toml());
        kept.done().await.map_err(AlarmError::Store)?;
        self.take(thresholds);
        Ok(())
    }

    /// Have thresholds in force that were [checked](Self::checked) and are kept.
    pub fn take(&self, thresholds: Thresholds) {
        let batteries = self.hub.batteries();
        let mut state = self.state();
        state.watcher.change(&thresholds, |place| sight::battery(&batteries, place));
        state.thresholds = thresholds;
    }

    /// What these rules would tell of. Reads the past: not on a thread that
    /// others wait for.
    ///
    /// # Errors
    /// [`AlarmError`].
    pub fn preview(&self, rules: Vec<Rule>) -> Result<Preview, AlarmError> {
        let thresholds = self.checked(rules)?;
        let batteries = self.hub.batteries();
        let mut upses = self.state().upses.clone();
        let sight = self.sight(&mut upses, clock::now());
        let readings = sight.readings(&self.hub, &thresholds);
        let watched: BTreeSet<Subject> =
            readings.iter().map(|reading| subject(reading.quantity, &reading.place)).collect();
        let points: Vec<Single> = readings.iter().filter_map(kept_alone).collect();
        let now = preview::now(&thresholds, readings.into_iter());
        let battery = |place: &Place| sight::battery(&batteries, place);
        let (mut replay, mut values) = (preview::Replay::new(&thresholds, battery), 0);
        let mut seen = BTreeSet::new();
        let from_ms = clock::unix_ms().saturating_sub(PAST_MS);
        let of_block = |string: u16, block: u16| sight.known(string, block);
        self.store
            .each_past(from_ms, &of_block, &points, &mut |past| {
                values += 1;
                seen.insert(subject(past.quantity, &past.place));
                replay.push(&past);
            })
            .map_err(AlarmError::Store)?;
        let of_points = seen.iter().map(|(quantity, _)| *quantity);
        let kept = Store::KEPT.iter().copied().chain(of_points).collect();
        let without_past = watched.difference(&seen).cloned().collect();
        Ok(Preview { now, past: replay.count(), values, kept, without_past })
    }

    /// These rules as thresholds that could come into force.
    ///
    /// # Errors
    /// [`AlarmError::Thresholds`].
    pub fn checked(&self, rules: Vec<Rule>) -> Result<Thresholds, AlarmError> {
        let thresholds = Thresholds::new(rules)?;
        let batteries = self.hub.batteries();
        let places = sight::blocks(&self.hub);
        let typed = places.iter().map(|place| (place, sight::battery(&batteries, place)));
        thresholds.check(typed)?;
        Ok(thresholds)
    }

    fn sight(&self, upses: &mut Upses, now: Nanos) -> Sight {
        let upses = upses.look(&(self.sources)(), &self.hub, now);
        Sight::of(&self.hub, &self.store, upses)
    }

    fn has_news(&self, now: Nanos) -> bool {
        let state = self.state();
        state.news || now.since(state.kept_at) >= KEEP_EVERY
    }

    /// Keep the book, if it is another than the kept one.
    async fn keep(&self, now: Nanos) {
        let _writing = self.writing.lock().await;
        let kept = {
            let mut state = self.state();
            (state.news, state.kept_at) = (false, now);
            let encoded = state.book.encode(BOOK_MAX);
            if encoded.left_out > 0 {
                tracing::warn!("{} alarms are not kept: they are too many", encoded.left_out);
            }
            if encoded.kept == state.kept {
                return;
            }
            encoded.kept
        };
        let done = self.store.keep_document(BOOK, Some(kept.clone())).done().await;
        let mut state = self.state();
        match done {
            Ok(()) => (state.kept, state.unkept) = (kept, None),
            Err(e) => {
                if state.unkept.is_none() {
                    tracing::error!("alarms are not kept: {}", chain(&e));
                }
                (state.unkept, state.news) = (Some(chain(&e)), true);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is one call of the core, which leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn subject(quantity: Quantity, place: &Place) -> Subject {
    (quantity, matches!(place, Place::Point(_)).then(|| place.clone()))
}

/// The point that a reading of a UPS or of a single point is kept as.
fn kept_alone(reading: &Reading<'_>) -> Option<Single> {
    let Reading { place, quantity, .. } = reading;
    let name = match (place, quantity) {
        (Place::Source(root), Quantity::Ups(variable)) => format!("{root}.{variable}"),
        (Place::Point(name), Quantity::Point) => name.clone(),
        _ => return None,
    };
    Some(Single { name, place: place.clone(), quantity: *quantity })
}

/// The kept book. One that cannot be read is told: nobody would look for alarms that
/// were acknowledged, shelved or latched.
fn kept_book(store: &Store) -> Book {
    let kept = match store.document(BOOK) {
        Ok(Some(bytes)) => Book::decode(&bytes).map_err(|e| e.to_string()),
        Ok(None) => return Book::default(),
        Err(e) => Err(chain(&e)),
    };
    let (book, lost) = match kept {
        Ok(kept) if kept.left_out > 0 => {
            let lost = format!("{} alarms of another version are left out", kept.left_out);
            (kept.kept, Some(lost))
        }
        Ok(kept) => (kept.kept, None),
        Err(e) => (Book::default(), Some(format!("alarms begin anew: {e}"))),
    };
    if let Some(reason) = lost {
        tracing::error!("kept alarms: {reason}");
        store.record(Event::KeptLost { what: "alarms".to_owned(), reason });
    }
    book
}

/// What the log says to stand and the book knows nothing of, because it was lost or
/// kept before that: it is told to be over, so that nobody waits for an end that
/// never comes. If it is true, the first look raises it again.
fn forgotten(store: &Store, book: &Book) -> Vec<AlarmEvent> {
    let mut told = BTreeMap::new();
    store.each_event(|stored| {
        let Event::Alarm(event) = stored.event else { return };
        let key = (event.what, event.place.clone());
        match event.stands() {
            Some(true) => drop(told.insert(key, event)),
            Some(false) => drop(told.remove(&key)),
            None => {}
        }
    });
    let known = |event: &AlarmEvent| {
        let is_it = |alarm: &&Alarm| {
            (Some(alarm.kind), Some(&alarm.place)) == (event.what, event.place.as_ref())
        };
        book.alarms().into_iter().any(|alarm| is_it(&alarm) && alarm.is_active())
    };
    told.into_values().filter(|event| !known(event)).map(AlarmEvent::ended).collect()
}

/// The newest revision that can be read.
fn kept_thresholds(store: &Store) -> Thresholds {
    let revisions = store.settings(&DOCUMENT).unwrap_or_else(|e| {
        tracing::error!("thresholds cannot be read, the built-in ones are in force: {}", chain(&e));
        Vec::new()
    });
    for revision in revisions {
        match Thresholds::parse(&revision.text) {
            Ok(thresholds) => return thresholds,
            Err(e) => {
                let (what, reason) = (DOCUMENT.name.to_owned(), e.to_string());
                tracing::error!("revision {} of the thresholds: {e}", revision.revision);
                store.record(Event::SettingsRefused { what, reason });
            }
        }
    }
    Thresholds::default()
}

#[cfg(test)]
mod tests;
