//! What rules, jobs and calendar are doing, for the console.

use super::runner::Automation;
use crate::clock;
use evenkeel_core::events::Event;
use evenkeel_core::jobs::Stage;

/// Runs of an entry of the calendar that are shown.
const PREVIEW: usize = 5;

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The zone of the calendar.
    pub zone: String,
    /// In the order in which they were written.
    pub rules: Vec<RuleStatus>,
    /// The same.
    pub jobs: Vec<JobStatus>,
    /// The same.
    pub schedule: Vec<EntryStatus>,
    /// What waits, by the time when it is due.
    pub pending: Vec<Pending>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct RuleStatus {
    /// Its name.
    pub name: String,
    /// Its expression.
    pub when: String,
    /// What it is now.
    pub value: bool,
    /// False: only because an input is not known.
    pub known: bool,
}

/// A job.
#[derive(Clone, Debug)]
pub struct JobStatus {
    /// Its name.
    pub name: String,
    /// What it does.
    pub action: String,
    /// How much of it waits or is under way.
    pub pending: usize,
    /// What came of it last.
    pub last: Option<LastOutcome>,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastOutcome {
    /// When, ms since 1970.
    pub unix_ms: u64,
    /// It was not carried out.
    pub failed: bool,
    /// The event that tells it.
    pub event: Event,
}

/// An entry of the calendar.
#[derive(Clone, Debug)]
pub struct EntryStatus {
    /// Its name.
    pub name: String,
    /// The next runs, s since 1970.
    pub next_unix_s: Vec<i64>,
}

/// Something that waits.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its name.
    pub instance: String,
    /// Its job.
    pub job: String,
    /// In so many ms; 0: it is under way, or waits for its turn.
    pub in_ms: u64,
    /// Attempts that failed.
    pub failed: u32,
    /// Why the last of them did.
    pub reason: Option<String>,
}

impl LastOutcome {
    /// The job that an event is about, and what it says of it.
    #[must_use]
    pub fn of(event: &Event, unix_ms: u64) -> Option<(String, Self)> {
        let (job, failed) = match event {
            Event::JobDone { job, .. } | Event::JobSaid { job, .. } => (job, false),
            Event::JobFailed { job, .. } => (job, true),
            _ => return None,
        };
        Some((job.clone(), Self { unix_ms, failed, event: event.clone() }))
    }
}

impl Automation {
    /// How everything is doing. The next runs of many entries take a while:
    /// not on a thread of the runtime.
    #[must_use]
    pub fn status(&self) -> Status {
        let state = self.state();
        let now = state.clock();
        let machine = state.engine.machine();
        let rules = machine.program().rules().iter().zip(machine.values());
        let rules = rules.map(|(rule, value)| RuleStatus {
            name: rule.name.clone(),
            when: rule.when.clone(),
            value: value.value,
            known: value.known,
        });
        let document = state.plan.document();
        let jobs = document.job.iter().map(|job| JobStatus {
            name: job.name.clone(),
            action: job.action.to_string(),
            pending: state
                .engine
                .planner
                .pending()
                .filter(|(_, _, name)| *name == job.name)
                .count(),
            last: state.last.get(&job.name).cloned(),
        });
        let pending = state.engine.planner.pending();
        let pending = pending.filter(|(_, i, _)| !matches!(i.stage, Stage::Sequence(..)));
        let pending = pending.map(|(instance, i, job)| Pending {
            instance: instance.to_owned(),
            job: job.to_owned(),
            in_ms: i.due_ms.saturating_sub(now.steady_ms),
            failed: i.failed,
            reason: i.reason.clone(),
        });
        let mut pending: Vec<Pending> = pending.collect();
        pending.sort_by_key(|waiting| waiting.in_ms);
        let (rules, jobs) = (rules.collect(), jobs.collect());
        let (entries, zone) = (document.schedule.clone(), state.zone.clone());
        let name = document.zone.clone();
        // The circle does not wait for a calendar.
        drop(state);
        let unix_s = (clock::unix_ms() / 1_000) as i64;
        let schedule = entries.iter().map(|entry| EntryStatus {
            name: entry.name.clone(),
            next_unix_s: entry.upcoming(unix_s, PREVIEW, &zone),
        });
        Status { zone: name, rules, jobs, schedule: schedule.collect(), pending }
    }

    /// The document in force, in its text form.
    #[must_use]
    pub fn text(&self) -> String {
        let state = self.state();
        state.plan.document().to_text().expect("it was written when it was taken into force")
    }

    /// The document in force.
    #[must_use]
    pub fn document(&self) -> evenkeel_core::automation::Document {
        self.state().plan.document().clone()
    }
}
