//! The planner: which action is due now, as a function of what happened, of
//! what was done, and of the time.
//!
//! ```text
//!   event ──▶ episode + instance ──due──▶ Task ──▶ (the daemon does it) ──▶ finished
//!                 ▲   │                                                        │
//!       keys over │   └── again after a pause ◀── failed, may work later ──────┤
//!                 ▼                                                            ▼
//!            counter-job                                     next repetition, or the end
//! ```
//!
//! Times are ms on one *steady* line: it goes on evenly while the daemon runs,
//! whatever is done to the clock on the wall, and begins at the wall clock's
//! time. An instance that comes from an earlier run is never later than its
//! whole wait ([`Planner::resume`]): a clock that stood wrong delays nothing for
//! ever.
//!
//! Everything that must outlive a crash leaves as a [`Change`]; the holder
//! commits changes together with the place in the event log up to which events
//! were given in, so that the log itself is the queue.

mod resume;
mod walk;
mod withdraw;

use super::sequence::{Phase, Sequence, Step};
use super::{ATTEMPTS_MAX, Action, Job, PENDING_MAX, PENDING_OF_JOB_MAX, conditions, fields};
use crate::events::{Budget, Event};
use crate::time::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most episodes; the oldest without anything to do goes first.
pub const EPISODES_MAX: usize = 2_000;
/// First pause before another attempt, ms; it doubles up to [`PAUSE_MAX_MS`].
const PAUSE_MS: u64 = 2_000;
const PAUSE_MAX_MS: u64 = 300_000;
/// Dropped jobs are told so often at once …
const DROPS: u32 = 5;
/// … and then one in this time.
const DROP_EVERY: Nanos = Nanos::from_secs(600);

/// One job taken up because of one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// The job.
    pub job: String,
    /// Id of the event.
    pub event_id: u64,
    /// When it happened, ms since 1970.
    pub unix_ms: u64,
    /// The event.
    pub event: Event,
    /// Whether it says that something lasts.
    pub lasting: bool,
    /// What of that is not over; empty: nothing any more, or it never lasted.
    pub keys: BTreeSet<String>,
    /// Its action was begun, so that the counter-job has something to undo.
    pub begun: bool,
    /// What that was: it is taken back as it was done, whatever the jobs are
    /// by then. `None` where nothing takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did: Option<Box<Did>>,
}

/// What an episode does and how that is taken back, as its job was when it
/// began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Did {
    /// The action.
    pub action: Action,
    /// What takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Action>,
    /// The run order that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
}

impl Episode {
    /// Whether what began it is still so; what never lasted is not over.
    #[must_use]
    pub fn is_true(&self) -> bool {
        !self.lasting || !self.keys.is_empty()
    }
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its episode.
    pub episode: String,
    /// What of the job.
    pub stage: Stage,
    /// When, ms on the steady line.
    pub due_ms: u64,
    /// When that was decided; of a run order whose step acts, since when.
    pub planned_ms: u64,
    /// Attempts that failed.
    pub failed: u32,
    /// Why the last of them did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It was handed out and may have been done.
    pub begun: bool,
    /// What it says, from its first attempt on ([`Planner::word`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

/// What of a job an instance is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The action, for the how manyth time, from 0.
    Action(u16),
    /// The counter-job.
    Undo,
    /// A run order at this step, from 0.
    Sequence(u16, Phase),
    /// An action of a step.
    Step(u16, u16),
    /// An undo of a step.
    StepUndo(u16, u16),
}

/// Something to be kept; `None`: to be forgotten.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An episode by its name.
    Episode(String, Option<Episode>),
    /// An instance by its name.
    Instance(String, Option<Instance>),
}

impl Change {
    /// Its name, and whether it is an episode: for [`Planner::unkept`].
    #[must_use]
    pub fn name(&self) -> (String, bool) {
        match self {
            Self::Episode(id, _) => (id.clone(), true),
            Self::Instance(id, _) => (id.clone(), false),
        }
    }
}

/// Something to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The instance: its name goes wherever it goes.
    pub instance: String,
    /// The job.
    pub job: String,
    /// What.
    pub action: Action,
    /// It takes something back.
    pub undo: bool,
    /// Why: the event, its id, and when it happened, ms since 1970.
    pub event: Event,
    /// Id of the event.
    pub event_id: u64,
    /// When it happened, ms since 1970.
    pub event_unix_ms: u64,
    /// What an earlier attempt said: this one says the same.
    pub words: Option<String>,
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Done, and this is what was said.
    Said(String),
    /// Not done, and why; it may work later.
    Later(String),
    /// Not done, and why; it never will.
    Never(String),
}

/// Plans what to do.
#[derive(Clone, Debug)]
pub struct Planner {
    jobs: Vec<Job>,
    sequences: Vec<Sequence>,
    episodes: BTreeMap<String, Episode>,
    instances: BTreeMap<String, Instance>,
    /// Handed out, and not finished.
    running: BTreeSet<String>,
    changed: BTreeMap<String, bool>,
    said: Vec<Event>,
    last_started: BTreeMap<String, u64>,
    dropped: BTreeMap<String, u64>,
    drops: Budget,
}

impl Planner {
    /// These jobs, with nothing to do.
    #[must_use]
    pub fn new(jobs: Vec<Job>, sequences: Vec<Sequence>) -> Self {
        Self {
            jobs,
            sequences,
            episodes: BTreeMap::new(),
            instances: BTreeMap::new(),
            running: BTreeSet::new(),
            changed: BTreeMap::new(),
            said: Vec::new(),
            last_started: BTreeMap::new(),
            dropped: BTreeMap::new(),
            drops: Budget::new(DROPS, DROP_EVERY),
        }
    }

    /// Other jobs from now on. What those that are gone have done is taken
    /// back ([`Did`]), the rest of theirs is forgotten; what is being done is
    /// finished.
    pub fn change(&mut self, jobs: Vec<Job>, sequences: Vec<Sequence>, now_ms: u64) {
        (self.jobs, self.sequences) = (jobs, sequences);
        self.withdraw(now_ms);
        let lost = self.instances.iter().filter(|(_, instance)| !self.has_stage(instance));
        let lost: Vec<String> = lost.map(|(id, _)| id.clone()).collect();
        lost.iter().for_each(|id| self.forget(id));
    }

    /// An event that was not given in before, at `unix_ms` of the wall clock.
    pub fn event(&mut self, id: u64, unix_ms: u64, event: &Event, now_ms: u64) {
        let keys = conditions(event);
        for (key, _) in keys.iter().filter(|(_, raised)| !raised) {
            self.over(key, now_ms);
        }
        let raised: BTreeSet<String> =
            keys.iter().filter(|(_, raised)| *raised).map(|(key, _)| key.clone()).collect();
        let known = fields(event);
        let fits = |job: &&Job| job.when.fits(event, &known, &job.name);
        let started: Vec<Job> = self.jobs.iter().filter(fits).cloned().collect();
        for job in started {
            let (lasting, name) = (!raised.is_empty(), format!("{id}.{}", job.name));
            if job.follows() && !lasting {
                continue;
            }
            let is_new = |key: &&String| !self.has_taken_up(&job.name, key);
            let new: BTreeSet<String> = raised.iter().filter(is_new).cloned().collect();
            if lasting && new.is_empty() || self.episodes.contains_key(&name) {
                continue;
            }
            let free_ms = self.free_ms(&job, now_ms);
            // Of many one acts; what it is about is all of them. Where nothing
            // follows, the others are over and done with.
            let is_one_of_many = free_ms > now_ms;
            if is_one_of_many && (!job.follows() || self.join(&job.name, &new)) {
                continue;
            }
            if !self.has_room(&job.name, now_ms) {
                continue;
            }
            self.last_started.insert(job.name.clone(), free_ms);
            let episode = Episode {
                job: job.name.clone(),
                event_id: id,
                unix_ms,
                event: event.clone(),
                lasting,
                keys: new,
                begun: false,
                did: None,
            };
            self.make_room(now_ms);
            self.episodes.insert(name.clone(), episode);
            self.mark(&name, true);
            let due_ms = free_ms.saturating_add(u64::from(job.delay_s) * 1_000);
            self.plan(&name, Stage::Action(0), due_ms, now_ms);
        }
    }

    /// When an event may start a job again: now, or when its time of "one of
    /// many" is over.
    fn free_ms(&self, job: &Job, now_ms: u64) -> u64 {
        let free = |last: &u64| last.saturating_add(u64::from(job.coalesce_s) * 1_000);
        self.last_started.get(&job.name).map_or(now_ms, free).max(now_ms)
    }

    /// Let the newest episode of a job that is not over last until `keys` are
    /// over, too; false when there is none.
    fn join(&mut self, job: &str, keys: &BTreeSet<String>) -> bool {
        let stands = |(_, e): &(&String, &mut Episode)| e.job == job && !e.keys.is_empty();
        let newest = self.episodes.iter_mut().filter(stands).max_by_key(|(_, e)| e.event_id);
        let Some((name, episode)) = newest else { return false };
        episode.keys.extend(keys.iter().cloned());
        let name = name.clone();
        self.mark(&name, true);
        true
    }

    /// What `key` says is over, by an event or by the present values.
    pub fn over(&mut self, key: &str, now_ms: u64) {
        let ended: Vec<String> = self
            .episodes
            .iter_mut()
            .filter_map(|(name, episode)| episode.keys.remove(key).then(|| name.clone()))
            .collect();
        for name in ended {
            self.mark(&name, true);
            self.end_if_over(&name, now_ms);
        }
    }

    /// Every key that some job waits for the end of.
    #[must_use]
    pub fn standing(&self) -> BTreeSet<String> {
        self.episodes.values().flat_map(|episode| episode.keys.iter().cloned()).collect()
    }

    /// What is to be done now. Each task is to be [`Self::finished`]. `is_true`
    /// says what a rule is.
    pub fn due(&mut self, now_ms: u64, is_true: impl Fn(&str) -> bool) -> Vec<Task> {
        // A run order plans what is then due at once.
        for _ in 0..2 {
            self.walk_sequences(now_ms, &is_true);
        }
        let is_due = |(id, instance): &(&String, &Instance)| {
            instance.due_ms <= now_ms && !self.running.contains(*id)
        };
        let due = self.instances.iter().filter(is_due).map(|(id, i)| (i.due_ms, id.clone()));
        let due: BTreeSet<(u64, String)> = due.collect();
        let mut tasks = Vec::new();
        for (_, id) in due {
            let Some(mut instance) = self.instances.get(&id).cloned() else { continue };
            if matches!(instance.stage, Stage::Sequence(..)) || self.waits_for_undo(&instance) {
                continue;
            }
            let Some(task) = self.task(&id) else {
                self.forget(&id);
                continue;
            };
            if matches!(instance.stage, Stage::Action(_)) {
                self.supersede_undo(&task.job);
            }
            if let Action::Sequence { .. } = task.action {
                instance.stage = Stage::Sequence(0, Phase::Begin);
                self.begun(&instance.episode.clone());
                self.put(id, instance);
                continue;
            }
            if matches!(instance.stage, Stage::Action(_)) {
                self.begun(&instance.episode.clone());
            }
            instance.begun = true;
            self.put(id.clone(), instance);
            self.running.insert(id);
            tasks.push(task);
        }
        tasks
    }

    /// What came of a task.
    pub fn finished(&mut self, id: &str, outcome: Outcome, now_ms: u64) {
        self.running.remove(id);
        // It may have been taken back meanwhile, with its job.
        let (Some(task), Some(mut instance)) = (self.task(id), self.instances.get(id).cloned())
        else {
            return self.forget(id);
        };
        let (job, action) = (task.job, task.action.to_string());
        let act = Some(Box::new(task.action.clone().without_secrets()));
        let name = id.to_owned();
        let mut said = None;
        let reason = match outcome {
            Outcome::Later(reason)
                if instance.failed + 1 < ATTEMPTS_MAX && self.may_go_on(&instance) =>
            {
                let pause = (PAUSE_MS << instance.failed.min(10)).min(PAUSE_MAX_MS);
                instance.failed += 1;
                instance.reason = Some(reason);
                instance.begun = false;
                (instance.planned_ms, instance.due_ms) = (now_ms, now_ms.saturating_add(pause));
                return self.put(name, instance);
            }
            Outcome::Later(reason) | Outcome::Never(reason) => Some(reason),
            Outcome::Done => None,
            Outcome::Said(text) => {
                said = Some(text);
                None
            }
        };
        let attempts = instance.failed + 1;
        self.said.push(match (reason, task.action) {
            (None, Action::Log { text, severity }) => {
                let text = said.unwrap_or(text);
                Event::JobSaid { job, instance: name, severity, text }
            }
            (None, _) => Event::JobDone { job, instance: name, action, act, attempts },
            (Some(reason), _) => Event::JobFailed { job, instance: name, action, act, reason },
        });
        self.settle(id, &instance, now_ms);
    }

    /// Whether it may be tried again: of a job that is gone only what takes it
    /// back.
    fn may_go_on(&self, instance: &Instance) -> bool {
        let job = self.episodes.get(&instance.episode).and_then(|episode| self.job(&episode.job));
        job.is_some() || withdraw::takes_back(&instance.stage)
    }

    /// What a task says, before it says it: whoever is told twice is told the
    /// same.
    pub fn word(&mut self, id: &str, words: &str) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.words = Some(words.to_owned());
            self.mark(id, false);
        }
    }

    /// It came to an end, and what follows from that.
    fn settle(&mut self, id: &str, instance: &Instance, now_ms: u64) {
        self.forget(id);
        if let Stage::Action(turn) = instance.stage {
            self.repeat(instance, turn, now_ms);
        }
        self.end_if_over(&instance.episode, now_ms);
    }

    /// What is to be kept since the last call.
    pub fn changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_iter()
            .map(|(id, is_episode)| match is_episode {
                true => Change::Episode(id.clone(), self.episodes.get(&id).cloned()),
                false => Change::Instance(id.clone(), self.instances.get(&id).cloned()),
            })
            .collect()
    }

    /// These were not kept after all: they are changes again.
    pub fn unkept(&mut self, names: impl IntoIterator<Item = (String, bool)>) {
        self.changed.extend(names);
    }

    /// Events to be told since the last call.
    pub fn said(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.said)
    }

    /// When the next thing is due; `None`: nothing waits. A run order is
    /// looked at whenever anybody looks.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        let waiting = self.instances.iter().filter(|(id, _)| !self.running.contains(*id));
        waiting.map(|(_, instance)| instance.due_ms).min()
    }

    /// What waits: name, instance, and its job.
    pub fn pending(&self) -> impl Iterator<Item = (&str, &Instance, &str)> {
        self.instances.iter().filter_map(|(id, instance)| {
            let episode = self.episodes.get(&instance.episode)?;
            Some((id.as_str(), instance, episode.job.as_str()))
        })
    }

    fn job(&self, name: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.name == name)
    }

    fn sequence(&self, episode: &str) -> Option<&Sequence> {
        let episode = self.episodes.get(episode)?;
        let Some(job) = self.job(&episode.job) else {
            return episode.did.as_ref()?.sequence.as_ref();
        };
        self.sequence_of(&job.action)
    }

    fn sequence_of(&self, action: &Action) -> Option<&Sequence> {
        let Action::Sequence { sequence } = action else { return None };
        self.sequences.iter().find(|known| known.name == *sequence)
    }

    /// What takes an episode back: as it was when it began.
    fn undo_of(&self, episode: &str) -> Option<&Action> {
        let episode = self.episodes.get(episode)?;
        match &episode.did {
            Some(did) => did.undo.as_ref(),
            None => self.job(&episode.job)?.undo.as_ref(),
        }
    }

    /// What an episode does, in its first turn and in those that follow.
    fn action_of(&self, episode: &str) -> Option<&Action> {
        let episode = self.episodes.get(episode)?;
        // What will be taken back as it began goes on as it began.
        match episode.did.as_ref().filter(|did| did.undo.is_some()) {
            Some(did) => Some(&did.action),
            None => self.job(&episode.job).map(|job| &job.action),
        }
    }

    /// Whether what it is about is there: the jobs may have changed.
    fn has_stage(&self, instance: &Instance) -> bool {
        match instance.stage {
            Stage::Sequence(step, _) => {
                let sequence = self.sequence(&instance.episode);
                sequence.is_some_and(|s| usize::from(step) < s.step.len())
            }
            _ => self.action(instance).is_some(),
        }
    }

    fn action(&self, instance: &Instance) -> Option<(Action, bool)> {
        let episode = &instance.episode;
        let step = |n: u16| -> Option<&Step> { self.sequence(episode)?.step.get(usize::from(n)) };
        match instance.stage {
            Stage::Action(_) => Some((self.action_of(episode)?.clone(), false)),
            Stage::Undo => Some((self.undo_of(episode)?.clone(), true)),
            Stage::Step(n, action) => {
                Some((step(n)?.actions.get(usize::from(action))?.clone(), false))
            }
            Stage::StepUndo(n, action) => {
                Some((step(n)?.undo.get(usize::from(action))?.clone(), true))
            }
            Stage::Sequence(..) => None,
        }
    }

    fn task(&self, id: &str) -> Option<Task> {
        let instance = self.instances.get(id)?;
        let episode = self.episodes.get(&instance.episode)?;
        let (action, undo) = self.action(instance)?;
        Some(Task {
            instance: id.to_owned(),
            job: episode.job.clone(),
            action,
            undo,
            event: episode.event.clone(),
            event_id: episode.event_id,
            event_unix_ms: episode.unix_ms,
            words: instance.words.clone(),
        })
    }

    fn has_taken_up(&self, job: &str, key: &str) -> bool {
        self.episodes.values().any(|episode| episode.job == job && episode.keys.contains(key))
    }

    fn has_room(&mut self, job: &str, now_ms: u64) -> bool {
        let of_job = self.pending().filter(|(_, _, name)| *name == job).count();
        if of_job < PENDING_OF_JOB_MAX && self.instances.len() < PENDING_MAX {
            return true;
        }
        self.drop_one(job, now_ms);
        false
    }

    /// Something of this job is not done for want of room.
    fn drop_one(&mut self, job: &str, now_ms: u64) {
        let dropped = self.dropped.entry(job.to_owned()).or_default();
        *dropped += 1;
        if self.drops.spend(Nanos::from_millis(now_ms)) {
            let count = std::mem::take(dropped);
            self.said.push(Event::JobsDropped { job: job.to_owned(), count });
        }
    }

    /// The oldest episode without anything to do makes room for a new one; a
    /// counter-job that is lost with it is told.
    fn make_room(&mut self, now_ms: u64) {
        if self.episodes.len() < EPISODES_MAX {
            return;
        }
        let busy: BTreeSet<&String> = self.instances.values().map(|i| &i.episode).collect();
        let idle = self.episodes.iter().filter(|(name, _)| !busy.contains(name));
        let oldest = idle.min_by_key(|(_, episode)| episode.event_id).map(|(name, _)| name.clone());
        let Some(name) = oldest else { return };
        self.mark(&name, true);
        let has_undo = self.undo_of(&name).is_some();
        let Some(Episode { job, begun, .. }) = self.episodes.remove(&name) else { return };
        if begun && has_undo {
            self.drop_one(&job, now_ms);
        }
    }

    fn plan(&mut self, episode: &str, stage: Stage, due_ms: u64, now_ms: u64) {
        let ordinal = match stage {
            Stage::Action(turn) => turn.to_string(),
            Stage::Undo => "undo".to_owned(),
            Stage::Sequence(..) => "0".to_owned(),
            Stage::Step(step, n) => format!("s{}.{}", step + 1, n + 1),
            Stage::StepUndo(step, n) => format!("u{}.{}", step + 1, n + 1),
        };
        let instance = Instance {
            episode: episode.to_owned(),
            stage,
            due_ms,
            planned_ms: now_ms,
            failed: 0,
            reason: None,
            begun: false,
            words: None,
        };
        self.put(format!("{episode}.{ordinal}"), instance);
    }

    fn begun(&mut self, episode: &str) {
        let Some(known) = self.episodes.get(episode).filter(|known| !known.begun) else { return };
        let did = self.job(&known.job).and_then(|job| {
            let (action, undo) = (job.action.clone(), job.undo.clone());
            let sequence = self.sequence_of(&action).cloned();
            let has_end = undo.is_some() || sequence.is_some();
            has_end.then(|| Box::new(Did { action, undo, sequence }))
        });
        if let Some(known) = self.episodes.get_mut(episode) {
            known.begun = true;
            known.did = known.did.take().or(did);
            self.mark(episode, true);
        }
    }

    fn repeat(&mut self, done: &Instance, turn: u16, now_ms: u64) {
        let Some(episode) = self.episodes.get(&done.episode) else { return };
        let Some(job) = self.job(&episode.job) else { return };
        let goes_on = episode.is_true() || !job.only_if_still_true;
        let Some(repeat) = job.repeat.filter(|r| turn + 1 < r.times && goes_on) else { return };
        let due_ms = now_ms.saturating_add(u64::from(repeat.every_s) * 1_000);
        self.plan(&done.episode, Stage::Action(turn + 1), due_ms, now_ms);
    }

    /// What follows when an episode is over, and when nothing of it is left.
    fn end_if_over(&mut self, name: &str, now_ms: u64) {
        let Some(episode) = self.episodes.get(name) else { return };
        // Of a job that is gone nothing waits any more but what takes it back.
        let only = self.job(&episode.job).is_none_or(|job| job.only_if_still_true);
        let under_way = |id: &String| self.instances.get(id).is_some_and(|i| i.episode == name);
        if self.running.iter().any(under_way) {
            // Nothing is taken back while it is being done.
            return;
        }
        let (begun, is_true) = (episode.begun, episode.is_true());
        let has_undo = self.undo_of(name).is_some();
        if !is_true {
            if only {
                self.take_back(name);
            }
            if begun
                && has_undo
                && !self.stands_elsewhere(name)
                && let Some(episode) = self.episodes.get_mut(name)
            {
                // Once; the mark is kept with the plan.
                episode.begun = false;
                self.mark(name, true);
                self.plan(name, Stage::Undo, now_ms, now_ms);
            }
        }
        self.remove_if_idle(name);
    }

    /// An episode that lasts no longer, and of which nothing is to be done.
    fn remove_if_idle(&mut self, name: &str) {
        let lasts = self.episodes.get(name).is_none_or(|e| e.lasting && e.is_true());
        let busy = self.instances.values().any(|instance| instance.episode == name);
        if !lasts && !busy {
            self.episodes.remove(name);
            self.mark(name, true);
        }
    }

    /// Whether what an episode did is still wanted, because of another of its
    /// job, or is taken back with another that is gone: where the counter-job
    /// changes a state that they share. A horn is on or off, whatever it is on
    /// for.
    fn stands_elsewhere(&self, name: &str) -> bool {
        let Some(job) = self.episodes.get(name).map(|episode| &episode.job) else { return false };
        let undo = self.undo_of(name);
        let takes_back = |id: &String| {
            self.instances.get(id).is_some_and(|undo| matches!(undo.stage, Stage::Undo))
        };
        let is_gone = self.job(job).is_none();
        let wants = |(other, e): (&String, &Episode)| {
            let wanted = e.lasting && e.is_true() && e.begun;
            let with_it = || {
                let id = format!("{other}.undo");
                is_gone && takes_back(&id) && !self.running.contains(&id)
            };
            other != name && e.job == *job && self.undo_of(other) == undo && (wanted || with_it())
        };
        undo.is_some_and(Action::sets_state) && self.episodes.iter().any(wants)
    }

    /// Whether an action has to wait, because its opposite is being done.
    fn waits_for_undo(&self, instance: &Instance) -> bool {
        let Some(episode) = self.episodes.get(&instance.episode) else { return false };
        matches!(instance.stage, Stage::Action(_))
            && self.undos(&episode.job).any(|id| self.running.contains(id))
    }

    /// What an earlier episode was to take back, and did not yet, is wanted
    /// again.
    fn supersede_undo(&mut self, job: &str) {
        let waiting: Vec<String> = self.undos(job).cloned().collect();
        for id in waiting {
            let episode = self.instances.get(&id).map(|undo| undo.episode.clone());
            self.forget(&id);
            episode.iter().for_each(|episode| self.remove_if_idle(episode));
        }
    }

    /// The counter-jobs of a job that shares a state, as far as they wait and
    /// are the one that it has now.
    fn undos<'a>(&'a self, job: &'a str) -> impl Iterator<Item = &'a String> {
        let undo = self.job(job).and_then(|job| job.undo.as_ref());
        let undo = undo.filter(|undo| undo.sets_state());
        let is_of_job = move |name: &String| self.episodes.get(name).is_some_and(|e| e.job == job);
        let is_undo = move |i: &Instance| {
            matches!(i.stage, Stage::Undo)
                && is_of_job(&i.episode)
                && self.undo_of(&i.episode) == undo
        };
        let undos = self.instances.iter().filter(move |(_, i)| undo.is_some() && is_undo(i));
        undos.map(|(id, _)| id)
    }

    /// Forget what was to be done and is not begun.
    fn take_back(&mut self, episode: &str) {
        let waits = |(id, instance): &(&String, &Instance)| {
            instance.episode == episode
                && matches!(instance.stage, Stage::Action(_))
                && !self.running.contains(*id)
        };
        let taken: Vec<String> =
            self.instances.iter().filter(waits).map(|(id, _)| id.clone()).collect();
        taken.iter().for_each(|id| self.forget(id));
    }

    fn put(&mut self, id: String, instance: Instance) {
        self.mark(&id, false);
        self.instances.insert(id, instance);
    }

    fn forget(&mut self, id: &str) {
        if self.instances.remove(id).is_some() {
            self.mark(id, false);
        }
        self.running.remove(id);
    }

    fn mark(&mut self, id: &str, is_episode: bool) {
        self.changed.insert(id.to_owned(), is_episode);
    }
}
