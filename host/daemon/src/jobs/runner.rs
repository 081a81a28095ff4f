//! The circle: looks at the points, gives events to the engine, keeps what it
//! plans, has it done, and gives back what came of it.
//!
//! One task runs it; the console reads and changes the same state between two
//! turns. A disk that hangs or fails keeps nothing from being done: what cannot
//! be kept in [`KEEP_MAX`] is done anyway, and said once.

use super::execute::Executor;
use super::inherited::{Inherited, stands};
use super::memory::Memory;
use super::receivers::Receivers;
use super::status::LastOutcome;
use super::zone::Named;
use super::{DOCUMENT, past};
use crate::clock;
use crate::failure::chain;
use crate::hub::Hub;
use crate::store::{Ack, JobRow, Store, StoreError};
use crate::words::{Lang, Template, TemplateError, words};
use evenkeel_core::alarm::Thresholds;
use evenkeel_core::automation::{Clock, Document, Engine, Plan, Problem};
use evenkeel_core::events::Event;
use evenkeel_core::jobs::{Action, Change, Outcome, Task};
use evenkeel_core::points::{Name, Point, Quality, Unit, Value};
use evenkeel_core::rehearsal::{self, Frame, Script, Table, Telling};
use evenkeel_core::rules::{ROOT, Reading};
use evenkeel_core::time::Nanos;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Time between two evaluations of the rules.
pub const SCAN: Duration = Duration::from_millis(500);
/// Longest wait for the disk before something is done anyway.
const KEEP_MAX: Duration = Duration::from_secs(2);
/// Actions under way at the same time: of those that go over the network, and of
/// the others.
const ACTIONS_MAX: usize = 8;
/// Events that are read at once.
const BATCH: usize = 64;
/// The place is kept after so many events that started nothing.
const PLACE_EVERY: u64 = 64;
/// Rule points are published again so often: silent ones would become stale.
const PUBLISH_EVERY: Nanos = Nanos::from_secs(30);
/// After the longest delay of the rules, a rule that was true before a restart
/// and is false now is over.
const SETTLE: Nanos = Nanos::from_secs(10);
/// Events in which the last outcomes are looked for at the start.
const OUTCOMES_IN: usize = 500;

/// Why a document is not taken into force.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// It is wrong.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The time zone is none.
    #[error("{0}")]
    Zone(String),
    /// There are no words in that language.
    #[error("there is no language {0:?} here; there are {known}", known = languages())]
    Lang(String),
    /// A text is no template.
    #[error("job {job:?}: {error}")]
    Text {
        /// The job or sequence.
        job: String,
        /// What is wrong with it.
        error: TemplateError,
    },
    /// It names what there is not.
    #[error("job {job:?}: there is no webhook {webhook:?}; add it first")]
    NoWebhook {
        /// The job or sequence.
        job: String,
        /// The webhook.
        webhook: String,
    },
    /// The past is too long for what the rules read.
    #[error(
        "the rules read {values} values of that past, and {most} fit: choose a shorter time, or \
         rules of fewer points"
    )]
    TooMuchPast {
        /// Values that there are.
        values: usize,
        /// Most that are read.
        most: usize,
    },
    /// The store did not keep it.
    #[error("it cannot be kept")]
    Store(#[from] StoreError),
}

/// The monotonic clock and the one on the wall, ms since 1970: the machine's, or
/// a test's.
type Clocks = Arc<dyn Fn() -> (Nanos, u64) + Send + Sync>;
/// Names of what is being kept, and the store's promise.
type Keeping = (Vec<(String, bool)>, Ack<()>);

/// A document that can be taken into force.
pub struct Ready {
    plan: Plan,
    zone: Named,
    lang: Lang,
}

/// Rules, jobs and calendar at work.
pub struct Automation {
    hub: Arc<Hub>,
    store: Arc<Store>,
    executor: Arc<Executor>,
    state: Mutex<State>,
    /// A server that hangs keeps no UPS waiting: each has its own slots.
    near: Arc<Semaphore>,
    far: Arc<Semaphore>,
}

/// What a turn changes.
pub(super) struct State {
    pub(super) engine: Engine,
    pub(super) plan: Plan,
    pub(super) zone: Named,
    pub(super) lang: Lang,
    /// The wall clock at the start, less the monotonic one, ms.
    base_ms: u64,
    place: u64,
    kept_place: Option<u64>,
    kept_calendar: BTreeMap<String, i64>,
    inherited: Inherited,
    clocks: Clocks,
    /// When the rules began.
    began: Nanos,
    published: Option<Nanos>,
    names: Vec<Name>,
    keep_failed: bool,
    memory: Memory,
    pub(super) last: BTreeMap<String, LastOutcome>,
}

impl State {
    /// Both clocks, as the engine wants them.
    pub(super) fn clock(&self) -> Clock {
        let (now, unix_ms) = (self.clocks)();
        let steady_ms = self.base_ms + now.as_millis();
        Clock { now, steady_ms, unix_s: clock::set_s(unix_ms) }
    }

    /// Changes as rows, and with them how far the log and the calendar were
    /// looked at.
    fn rows(&mut self, changes: Vec<Change>) -> Vec<JobRow> {
        let row = |change| match change {
            Change::Episode(id, value) => (format!("e/{id}"), value.map(|value| json(&value))),
            Change::Instance(id, value) => (format!("i/{id}"), value.map(|value| json(&value))),
        };
        let mut rows: Vec<JobRow> = changes.into_iter().map(row).collect();
        if *self.engine.calendar().seen() != self.kept_calendar {
            self.kept_calendar = self.engine.calendar().seen().clone();
            rows.push(("calendar".to_owned(), Some(json(&self.kept_calendar))));
        }
        let machine = self.engine.machine();
        let (now, unix_ms) = (self.clocks)();
        rows.extend(self.memory.rows(machine, now, unix_ms, false));
        // Beside anything that is kept: without it, what the log says from then on
        // would not be known after a restart.
        let far = self.place.saturating_sub(self.kept_place.unwrap_or(0)) >= PLACE_EVERY;
        if (far || !rows.is_empty()) && self.kept_place != Some(self.place) {
            self.kept_place = Some(self.place);
            rows.push(("place".to_owned(), Some(json(&self.place))));
        }
        rows
    }
}

pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    // Plain data: each of its maps has texts for keys.
    serde_json::to_vec(value).expect("what is kept can be written as JSON")
}

impl Automation {
    /// What was in force, and what it had planned. A document that cannot be
    /// used any more is told, and an older one is taken.
    #[must_use]
    pub fn open(hub: Arc<Hub>, store: Arc<Store>, executor: Arc<Executor>) -> Self {
        let kept = store.settings(&DOCUMENT).unwrap_or_else(|e| {
            tracing::error!("no rules and jobs: {}", chain(&e));
            Vec::new()
        });
        let mut ready = None;
        for revision in kept {
            // A receiver may be gone since: what tells it fails, all else goes on.
            match Document::parse(&revision.text).map_err(NotTaken::from).and_then(ready_of) {
                Ok(good) => {
                    ready = Some(good);
                    break;
                }
                Err(e) => {
                    let reason = chain(&e);
                    tracing::error!("revision {} of rules and jobs: {reason}", revision.revision);
                    store.record(Event::SettingsRefused { what: DOCUMENT.name.to_owned(), reason });
                }
            }
        }
        let ready = ready.unwrap_or_else(|| {
            ready_of(Document::default()).expect("an empty document is a good one")
        });
        words().set_zone(ready.zone.clone());
        let state = Mutex::new(begin(ready, &store));
        let slots = || Arc::new(Semaphore::new(ACTIONS_MAX));
        Self { hub, store, executor, state, near: slots(), far: slots() }
    }

    /// Until the store is closed; dropping the future is the way to stop.
    pub async fn run(self: Arc<Self>) {
        let (sender, mut outcomes) = mpsc::channel::<(String, Outcome)>(ACTIONS_MAX * 2);
        let mut settled = self.store.settled();
        let mut scan = tokio::time::interval(SCAN);
        scan.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // What the log says was due before a restart is not due again.
        self.take_events(&mut settled).await;
        loop {
            tokio::select! {
                _ = scan.tick() => self.scan(),
                changed = settled.changed() => if changed.is_err() { return },
                Some((instance, outcome)) = outcomes.recv() => {
                    let mut state = self.state();
                    let clock = state.clock();
                    state.engine.finished(&instance, outcome, clock);
                }
            }
            self.take_events(&mut settled).await;
            let tasks = self.due();
            self.tell();
            self.keep().await;
            for task in tasks {
                self.carry_out(task, sender.clone());
            }
        }
    }

    /// What is to be done now. Messages are worded here and kept with the rest: each
    /// attempt says the same, also one after a crash.
    fn due(&self) -> Vec<Task> {
        let mut state = self.state();
        let (clock, lang) = (state.clock(), state.lang);
        let mut tasks = state.engine.due(clock);
        for task in tasks.iter_mut().filter(|task| task.action.is_message()) {
            // A text that cannot be filled is refused when it is carried out.
            let Ok(words) = self.executor.text(task, lang) else { continue };
            if task.words.is_none() {
                state.engine.planner.word(&task.instance, &words);
                task.words = Some(words);
            }
        }
        tasks
    }

    /// Evaluate the rules, look at the calendar, and show the rules' values.
    fn scan(&self) {
        let mut state = self.state();
        let state = &mut *state;
        let clock = state.clock();
        let points = self.hub.get(state.engine.machine().program().inputs());
        let readings: Vec<Reading<'_>> = points.iter().map(|p| Reading::from(p.as_ref())).collect();
        let before = state.engine.machine().values().to_vec();
        let events = state.engine.scan(&readings, clock, &state.zone);
        let values = state.engine.machine().values();
        let old = state.published.is_none_or(|at| clock.now.since(at) >= PUBLISH_EVERY);
        if (old || before != values) && !values.is_empty() {
            state.published = Some(clock.now);
            let point = |(name, value): (&Name, &evenkeel_core::rules::RuleValue)| {
                let quality = if value.known { Quality::Estimated } else { Quality::Stale };
                let value = Value::Flag(value.value);
                (name.clone(), Point { value, unit: Unit::None, quality, at: clock.now })
            };
            self.hub.publish(ROOT, clock.now, state.names.iter().zip(values).map(point));
        }
        for event in events {
            tracing::info!("{event}");
            self.store.record(event);
            state.memory.told();
        }
        self.confirm_inherited(state, clock);
    }

    /// After a restart nobody tells of what ended meanwhile: the present
    /// does.
    fn confirm_inherited(&self, state: &mut State, clock: Clock) {
        if state.inherited.is_empty() {
            return;
        }
        let plant = self.hub.whole_plant();
        let program = state.engine.machine().program();
        let settled = clock.now.since(state.began) >= program.longest_delay() + SETTLE;
        let is_rule = |key: &str| {
            key.strip_prefix("rule/").map(|name| program.rules().iter().any(|r| r.name == name))
        };
        let point = |name: &str| self.hub.get(&[Name::parse(name).ok()?]).pop().flatten();
        let says = |key: &str| match is_rule(key) {
            Some(false) => Some(false),
            // Its delay may only have begun anew.
            Some(true) if !settled => None,
            _ if key == "store_failed" => Some(self.store.health().error.is_some()),
            _ => stands(key, plant.as_deref(), point),
        };
        for key in state.inherited.over(clock.now, says) {
            tracing::info!("{key}: it is over since before the restart");
            state.engine.planner.over(&key, clock.steady_ms);
        }
    }

    async fn take_events(&self, settled: &mut tokio::sync::watch::Receiver<u64>) {
        loop {
            let newest = *settled.borrow_and_update();
            let place = self.state().place;
            if newest <= place {
                return;
            }
            let store = Arc::clone(&self.store);
            let read = tokio::task::spawn_blocking(move || store.events(Some(place), BATCH));
            let Ok(batch) = read.await else { return };
            let mut state = self.state();
            let clock = state.clock();
            if batch.is_empty() {
                state.place = newest;
                return;
            }
            for stored in &batch {
                state.engine.happened(stored.id, stored.unix_ms, &stored.event, clock);
                let State { engine, inherited, .. } = &mut *state;
                inherited.happened(&stored.event, || engine.planner.standing());
                state.place = stored.id;
            }
        }
    }

    /// Record what the planner says, and remember each job's last outcome.
    fn tell(&self) {
        let mut state = self.state();
        for event in state.engine.planner.said() {
            tracing::info!("{event}");
            if let Some((job, outcome)) = LastOutcome::of(&event, clock::unix_ms()) {
                state.last.insert(job, outcome);
            }
            self.store.record(event);
        }
    }

    /// Keep what changed, before anything of it is done.
    async fn keep(&self) {
        let Some((names, ack)) = self.begin_to_keep() else { return };
        let kept = tokio::time::timeout(KEEP_MAX, ack.done()).await;
        let failed = match kept {
            Ok(Ok(())) => None,
            Ok(Err(e)) => Some(chain(&e)),
            Err(_) => Some("the disk does not answer".to_owned()),
        };
        self.kept(names, failed);
    }

    /// Hand what changed to the store, in the order in which it changed: the
    /// console and the circle may both be about to.
    fn begin_to_keep(&self) -> Option<Keeping> {
        let mut state = self.state();
        let changes = state.engine.planner.changes();
        let names = changes.iter().map(Change::name).collect();
        let rows = state.rows(changes);
        (!rows.is_empty()).then(|| (names, self.store.keep_jobs(rows)))
    }

    /// What was not kept is tried again with the next change.
    fn kept(&self, names: Vec<(String, bool)>, failed: Option<String>) {
        let mut state = self.state();
        if let Some(reason) = &failed {
            if !state.keep_failed {
                tracing::error!("jobs are done, and not kept over a restart: {reason}");
            }
            state.engine.planner.unkept(names);
            state.kept_place = None;
            state.kept_calendar.clear();
            state.memory.lost();
        }
        state.keep_failed = failed.is_some();
    }

    /// The last of it, when the circle has stopped: what the rules remember. The
    /// store writes it before it closes.
    pub fn finish(&self) {
        let mut state = self.state();
        let State { engine, memory, clocks, .. } = &mut *state;
        let (now, unix_ms) = clocks();
        let rows = memory.rows(engine.machine(), now, unix_ms, true);
        if !rows.is_empty() {
            drop(self.store.keep_jobs(rows));
        }
    }

    fn carry_out(&self, task: Task, outcomes: mpsc::Sender<(String, Outcome)>) {
        let (executor, store) = (Arc::clone(&self.executor), Arc::clone(&self.store));
        let slots = Arc::clone(if is_far(&task.action) { &self.far } else { &self.near });
        let lang = self.state().lang;
        tokio::spawn(async move {
            let Ok(_slot) = slots.acquire_owned().await else { return };
            let (instance, entry) = (task.instance.clone(), guard_entry(&task));
            let outcome = executor.carry_out(task, lang).await;
            if let Some((who, what)) = entry {
                enter(&store, &who, &what, &outcome);
            }
            // At the end nobody waits for it; it is done again after the start.
            let _ = outcomes.send((instance, outcome)).await;
        });
    }

    /// Take a document into force.
    ///
    /// # Errors
    /// [`NotTaken`]; the one in force goes on then.
    pub async fn put(&self, document: Document) -> Result<(), NotTaken> {
        let text =
            document.to_text().map_err(|e| Problem::Line { line: 1, problem: e.to_string() })?;
        let ready = self.prepare(document)?;
        self.store.keep_settings(&DOCUMENT, &text).done().await?;
        self.commit(ready).await;
        Ok(())
    }

    /// Look at a document that is to come into force where there are these
    /// receivers.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn prepare_with(
        &self,
        document: Document,
        has_receiver: impl Fn(&str) -> bool,
    ) -> Result<Ready, NotTaken> {
        check(document, has_receiver)
    }

    /// Have a document in force that is kept.
    pub async fn commit(&self, ready: Ready) {
        self.take(ready);
        self.keep().await;
    }

    fn prepare(&self, document: Document) -> Result<Ready, NotTaken> {
        let receivers = self.executor.receivers();
        check(document, |name| receivers.get(name).is_some())
    }

    fn take(&self, ready: Ready) {
        let Ready { plan, zone, lang } = ready;
        let mut state = self.state();
        state.names = names(&plan);
        let clock = state.clock();
        state.engine.change(&plan, clock);
        words().set_zone(zone.clone());
        (state.plan, state.zone, state.lang) = (plan, zone, lang);
        let standing = state.engine.planner.standing();
        state.inherited.extend(standing.into_iter().filter(|key| key.starts_with("rule/")));
        (state.began, state.published) = (clock.now, None);
        self.hub.retract(ROOT);
    }

    /// Look at a document as [`Self::put`] does, and leave everything as it is.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn check(&self, document: Document) -> Result<(), NotTaken> {
        self.prepare(document).map(drop)
    }

    /// The web servers that jobs may tell.
    #[must_use]
    pub fn receivers(&self) -> &Receivers {
        self.executor.receivers()
    }

    /// The jobs and run orders in force that tell this receiver.
    #[must_use]
    pub fn told_by(&self, receiver: &str) -> BTreeSet<String> {
        let state = self.state();
        let told = told(state.plan.document()).filter(|(_, to)| *to == receiver);
        told.map(|(job, _)| job.to_owned()).collect()
    }

    /// Carry out one action that no job asked for, to see whether it works.
    pub async fn attempt(&self, task: Task) -> Outcome {
        let lang = self.state().lang;
        Arc::clone(&self.executor).carry_out(task, lang).await
    }

    /// What would happen with this document, or with the one in force, in a
    /// scripted time, with these thresholds. Long work: not on a thread of the runtime.
    ///
    /// # Errors
    /// [`NotTaken`] when the document is wrong.
    pub fn rehearse_script(
        &self,
        document: Option<Document>,
        thresholds: &Thresholds,
        script: &Script,
        frames: Vec<Frame>,
    ) -> Result<Table, NotTaken> {
        let begin_ms = u64::from(script.begin_unix_s) * 1_000;
        let ready = self.ready(document)?;
        let for_ms = u64::from(script.for_s) * 1_000;
        let (past, told) = (frames.into_iter(), Telling::Words(thresholds));
        Ok(rehearsal::rehearse(&ready.plan, past, told, begin_ms, for_ms, &ready.zone))
    }

    /// The same in the recorded past, ms since 1970.
    ///
    /// # Errors
    /// [`NotTaken`] when the document is wrong or the store cannot be read.
    pub fn rehearse_past(
        &self,
        document: Option<Document>,
        times: RangeInclusive<u64>,
    ) -> Result<Table, NotTaken> {
        let ready = self.ready(document)?;
        let past = past::frames(&self.store, ready.plan.program().inputs(), times.clone())?;
        let (begin_ms, for_ms) = (*times.start(), times.end().saturating_sub(*times.start()));
        let (frames, told) = (past.frames.into_iter(), Telling::Events);
        let mut table =
            rehearsal::rehearse(&ready.plan, frames, told, begin_ms, for_ms, &ready.zone);
        (table.not_recorded, table.events_from_ms) = (past.not_recorded, past.events_from_ms);
        Ok(table)
    }

    fn ready(&self, document: Option<Document>) -> Result<Ready, NotTaken> {
        match document {
            Some(document) => self.prepare(document),
            None => {
                let state = self.state();
                Ok(Ready { plan: state.plan.clone(), zone: state.zone.clone(), lang: state.lang })
            }
        }
    }

    // Poisoned by a panic in a handler: each change is made by one call into
    // the engine, which does not panic half way.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ready_of(document: Document) -> Result<Ready, NotTaken> {
    let zone = Named::find(&document.zone).map_err(NotTaken::Zone)?;
    let lang = document.lang.parse().map_err(|()| NotTaken::Lang(document.lang.clone()))?;
    let plan = document.plan()?;
    for (job, action) in actions(plan.document()) {
        let parsed = action.text().map(Template::parse).transpose();
        parsed.map_err(|error| NotTaken::Text { job: job.to_owned(), error })?;
    }
    Ok(Ready { plan, zone, lang })
}

fn languages() -> String {
    Lang::ALL.map(Lang::tag).join(", ")
}

/// Every action, with the job or run order that it belongs to.
fn actions(document: &Document) -> impl Iterator<Item = (&str, &Action)> {
    let of_jobs = document.job.iter().flat_map(|j| j.actions().map(|a| (j.name.as_str(), a)));
    let of_sequences =
        document.sequence.iter().flat_map(|s| s.actions().map(|a| (s.name.as_str(), a)));
    of_jobs.chain(of_sequences)
}

fn check(document: Document, has_receiver: impl Fn(&str) -> bool) -> Result<Ready, NotTaken> {
    let ready = ready_of(document)?;
    for (job, to) in told(ready.plan.document()) {
        if !has_receiver(to) {
            return Err(NotTaken::NoWebhook { job: job.to_owned(), webhook: to.to_owned() });
        }
    }
    Ok(ready)
}

/// Which jobs and run orders tell which receivers, by name.
fn told(document: &Document) -> impl Iterator<Item = (&str, &str)> {
    actions(document).filter_map(|(job, action)| match action {
        Action::Webhook { to, .. } => Some((job, to.as_str())),
        _ => None,
    })
}

/// Whether others on the network have to answer.
const fn is_far(action: &Action) -> bool {
    matches!(action, Action::Webhook { .. } | Action::Notify { .. } | Action::WakeOnLan { .. })
}

/// Who has the guard switch, sound, light or mute what, for the audit log; `None` when
/// it is nothing of the guard's.
fn guard_entry(task: &Task) -> Option<(String, String)> {
    let back = if task.undo { ", to take it back" } else { "" };
    let what = || (format!("job {}", task.job), format!("{}{back}", task.action));
    task.action.order().map(|_| what())
}

/// What came of it; what is tried again is entered when it came to an end.
fn enter(store: &Store, who: &str, what: &str, outcome: &Outcome) {
    match outcome {
        Outcome::Done | Outcome::Said(_) => store.audit(who, "", what, "done"),
        Outcome::Never(why) => store.audit(who, "", what, why),
        Outcome::Later(_) => {}
    }
}

/// The planner goes on where it was.
fn begin(ready: Ready, store: &Store) -> State {
    let rows = store.jobs().unwrap_or_else(|e| {
        tracing::error!("what jobs had planned is not known: {}", chain(&e));
        Vec::new()
    });
    let (mut episodes, mut instances) = (BTreeMap::new(), BTreeMap::new());
    let (mut place, mut seen, mut rules) = (None, BTreeMap::new(), BTreeMap::new());
    let mut unread = Vec::new();
    for (name, bytes) in rows {
        let row = match name.split_once('/') {
            Some(("e", id)) => {
                read(&bytes).map(|episode| drop(episodes.insert(id.to_owned(), episode)))
            }
            Some(("r", rule)) => {
                rules.insert(rule.to_owned(), bytes);
                Ok(())
            }
            Some(("i", id)) => read(&bytes).map(|i| drop(instances.insert(id.to_owned(), i))),
            _ if name == "place" => read(&bytes).map(|kept| place = Some(kept)),
            _ if name == "calendar" => read(&bytes).map(|kept| seen = kept),
            _ => Ok(()),
        };
        unread.extend(row.err().map(|e| (name, e)));
    }
    let newest = store.latest(1).first().map_or(0, |event| event.id);
    // Jobs begin with what happens from now on, and never ahead of the log.
    let place = place.map_or(newest, |place: u64| place.min(newest));
    let Ready { plan, zone, lang } = ready;
    let mut engine = Engine::new(&plan, seen.clone());
    let memory = Memory::restore(rules, &mut engine, clock::now(), clock::unix_ms());
    let base_ms = clock::unix_ms().saturating_sub(clock::now().as_millis());
    tell_unread(store, &unread);
    let told = store.events(None, OUTCOMES_IN);
    let ended = told.iter().filter_map(|stored| match &stored.event {
        Event::JobSaid { instance, .. }
        | Event::JobDone { instance, .. }
        | Event::JobFailed { instance, .. } => Some(instance),
        _ => None,
    });
    let ended = ended.cloned().collect();
    let steady_ms = base_ms + clock::now().as_millis();
    engine.planner.resume(episodes, instances, &ended, steady_ms);
    let inherited = Inherited::from(engine.planner.standing());
    let last = told
        .into_iter()
        .filter_map(|stored| LastOutcome::of(&stored.event, stored.unix_ms))
        .collect();
    State {
        engine,
        names: names(&plan),
        plan,
        zone,
        lang,
        base_ms,
        place,
        kept_place: None,
        kept_calendar: seen,
        inherited,
        clocks: Arc::new(|| (clock::now(), clock::unix_ms())),
        began: clock::now(),
        published: None,
        keep_failed: false,
        memory,
        last,
    }
}

fn names(plan: &Plan) -> Vec<Name> {
    let name = |rule: &evenkeel_core::rules::Rule| {
        Name::parse(&format!("{ROOT}.{}", rule.name)).expect("a rule's name is part of a point's")
    };
    plan.program().rules().iter().map(name).collect()
}

/// A row of another version is as good as none, and is told.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// What waited and is not done: the rows stay, for a program that can read them.
fn tell_unread(store: &Store, unread: &[(String, serde_json::Error)]) {
    let Some((first, e)) = unread.first() else { return };
    let reason = format!("{} rows are left out, the first {first}: {e}", unread.len());
    tracing::error!("kept jobs: {reason}");
    store.record(Event::KeptLost { what: "jobs".to_owned(), reason });
}

#[cfg(test)]
mod tests;
