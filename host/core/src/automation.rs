//! Everything that users add of their own — rules, jobs, run orders, the
//! calendar — as one document, and at work.
//!
//! [`Document`] is what is written (TOML, or the same as JSON over the API);
//! [`Document::plan`] looks at all of it at once and either says what is wrong,
//! or gives a [`Plan`]. An [`Engine`] runs a plan: [`scan`](Engine::scan) turns
//! a snapshot into events, [`happened`](Engine::happened) takes events in from
//! the log, [`due`](Engine::due) says what to do. The daemon and the rehearsal
//! ([`rehearsal`](crate::rehearsal)) run the same engine; they differ in who
//! carries its tasks out.

use crate::events::Event;
use crate::jobs::{Danger, JOBS_MAX, Job, Outcome, Planner, SEQUENCES_MAX, Sequence, Task};
use crate::rules::{Edge, KeptRule, Machine, Moment, Program, Reading, Rule, RuleError};
use crate::schedule::{Calendar, ENTRIES_MAX, Entry, Local, Zone};
use crate::time::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Longest document, bytes.
pub const DOCUMENT_MAX: usize = 512 * 1_024;

/// Rules, jobs, run orders and calendar as they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Time zone of the calendar and of windows, as the IANA calls it.
    #[serde(default = "utc")]
    pub zone: String,
    /// Language of what jobs say and send, as its tag (BCP 47): `en`, `de`, …
    #[serde(default = "english", skip_serializing_if = "is_english")]
    pub lang: String,
    /// The rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rule: Vec<Rule>,
    /// The jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub job: Vec<Job>,
    /// The run orders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequence: Vec<Sequence>,
    /// The calendar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<Entry>,
    /// Dangerous actions, each by the name of its [`Danger`]: the second word,
    /// without which none of them is taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirm: Vec<String>,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn english() -> String {
    "en".to_owned()
}

fn is_english(tag: &str) -> bool {
    tag == "en"
}

impl Default for Document {
    fn default() -> Self {
        let (rule, job, sequence, schedule, confirm) = Default::default();
        Self { zone: utc(), lang: english(), rule, job, sequence, schedule, confirm }
    }
}

/// Why a document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is no such document.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// It is too long.
    #[error("the document has {0} bytes; {DOCUMENT_MAX} are possible")]
    TooLong(usize),
    /// A rule is wrong.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A part of it is wrong.
    #[error("{what} {name:?}: {problem}")]
    Part {
        /// Job, sequence or schedule.
        what: &'static str,
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There are too many of something.
    #[error("{got} of {what}; at most {most} are possible")]
    TooMany {
        /// What.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there may be.
        most: usize,
    },
    /// Dangerous actions were not confirmed.
    #[error("confirm {}", list(.0))]
    Unconfirmed(Vec<Danger>),
}

fn list(dangers: &[Danger]) -> String {
    let said = dangers.iter().map(|danger| format!("{:?}, which {}", danger.name, danger.what));
    said.collect::<Vec<_>>().join("; ")
}

/// A document that was looked at.
#[derive(Clone, Debug)]
pub struct Plan {
    document: Document,
    program: Program,
}

impl Document {
    /// Read the text form.
    ///
    /// # Errors
    /// [`Problem::Line`] names the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > DOCUMENT_MAX {
            return Err(Problem::TooLong(text.len()));
        }
        toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            let before = text.as_bytes().iter().take(at);
            let line = before.filter(|b| **b == b'\n').count() + 1;
            Problem::Line { line, problem: e.message().to_owned() }
        })
    }

    /// The text form of it.
    ///
    /// # Errors
    /// When it holds what TOML cannot say.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Look at all of it.
    ///
    /// # Errors
    /// The first [`Problem`].
    pub fn plan(self) -> Result<Plan, Problem> {
        let program = Program::compile(&self.rule)?;
        bound("job", self.job.len(), JOBS_MAX)?;
        bound("sequence", self.sequence.len(), SEQUENCES_MAX)?;
        bound("schedule", self.schedule.len(), ENTRIES_MAX)?;
        unique("job", self.job.iter().map(|job| &job.name))?;
        unique("sequence", self.sequence.iter().map(|sequence| &sequence.name))?;
        unique("schedule", self.schedule.iter().map(|entry| &entry.name))?;
        let part = |what, name: &String| {
            let name = name.clone();
            move |problem| Problem::Part { what, name, problem }
        };
        for entry in &self.schedule {
            entry.check().map_err(|e| part("schedule", &entry.name)(e.problem))?;
        }
        let is_rule = |name: &str| self.rule.iter().any(|rule| rule.name == name);
        for sequence in &self.sequence {
            sequence.check(is_rule).map_err(part("sequence", &sequence.name))?;
        }
        for job in &self.job {
            job.check(&self.sequence).map_err(part("job", &job.name))?;
        }
        let unconfirmed: Vec<Danger> =
            self.dangers().into_iter().filter(|d| !self.confirm.contains(&d.name)).collect();
        match unconfirmed.is_empty() {
            true => Ok(Plan { document: self, program }),
            false => Err(Problem::Unconfirmed(unconfirmed)),
        }
    }

    /// Everything in it that can hurt.
    #[must_use]
    pub fn dangers(&self) -> BTreeSet<Danger> {
        let of_jobs = self.job.iter().flat_map(Job::actions);
        let of_sequences = self.sequence.iter().flat_map(Sequence::actions);
        of_jobs.chain(of_sequences).filter_map(|action| action.danger()).collect()
    }
}

fn bound(what: &'static str, got: usize, most: usize) -> Result<(), Problem> {
    if got > most { Err(Problem::TooMany { what, got, most }) } else { Ok(()) }
}

fn unique<'a>(what: &'static str, names: impl Iterator<Item = &'a String>) -> Result<(), Problem> {
    let mut known = BTreeSet::new();
    for name in names {
        if !known.insert(name) {
            let problem = "it stands here twice".to_owned();
            return Err(Problem::Part { what, name: name.clone(), problem });
        }
    }
    Ok(())
}

impl Plan {
    /// Its rules.
    #[must_use]
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// What it was made of.
    #[must_use]
    pub const fn document(&self) -> &Document {
        &self.document
    }
}

/// The time of one scan.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// On the monotonic clock.
    pub now: Nanos,
    /// On the planner's steady line, ms.
    pub steady_ms: u64,
    /// Of the wall clock, s since 1970; `None`: it was never set.
    pub unix_s: Option<i64>,
}

/// A plan at work.
#[derive(Clone, Debug)]
pub struct Engine {
    machine: Machine,
    calendar: Calendar,
    /// What is to be done.
    pub planner: Planner,
    edges: Vec<Edge>,
}

impl Engine {
    /// A plan at its beginning; `seen` is the calendar's, from before.
    #[must_use]
    pub fn new(plan: &Plan, seen: BTreeMap<String, i64>) -> Self {
        let document = &plan.document;
        Self {
            machine: Machine::new(plan.program.clone()),
            calendar: Calendar::new(document.schedule.clone(), seen),
            planner: Planner::new(document.job.clone(), document.sequence.clone()),
            edges: Vec::new(),
        }
    }

    /// Another plan from now on: rules that are the same go on, the others begin
    /// anew; what is planned goes on as far as its jobs are still there, and what
    /// the others have done is taken back.
    pub fn change(&mut self, plan: &Plan, clock: Clock) {
        let document = &plan.document;
        let before = core::mem::replace(&mut self.machine, Machine::new(plan.program.clone()));
        for (name, kept) in before.kept() {
            self.machine.resume(name, &kept, Some(Nanos::default()), clock.now);
        }
        // What is planned anew has missed nothing.
        let same = |name: &String| {
            self.calendar.entries().iter().any(|e| e.name == *name && document.schedule.contains(e))
        };
        let mut seen = self.calendar.seen().clone();
        seen.retain(|name, _| same(name));
        self.calendar = Calendar::new(document.schedule.clone(), seen);
        let (jobs, sequences) = (document.job.clone(), document.sequence.clone());
        self.planner.change(jobs, sequences, clock.steady_ms);
    }

    /// The rules.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Go on with a rule as it was kept ([`Machine::resume`]).
    pub fn resume_rule(&mut self, name: &str, kept: &KeptRule, off: Option<Nanos>, now: Nanos) {
        self.machine.resume(name, kept, off, now);
    }

    /// The calendar.
    #[must_use]
    pub const fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Evaluate the rules on one snapshot, and look at the calendar. What
    /// comes of it is to be recorded, and to come back by [`Self::happened`].
    pub fn scan(&mut self, readings: &[Reading<'_>], clock: Clock, zone: &impl Zone) -> Vec<Event> {
        let local = clock.unix_s.map(|unix_s| Local::at(unix_s, zone));
        let at = Moment { now: clock.now, local };
        self.edges.clear();
        self.machine.step(readings, at, &mut self.edges);
        let rules = self.machine.program().rules();
        let told = self.edges.iter().filter(|edge| rules[edge.rule].event);
        let mut events: Vec<Event> = told
            .map(|edge| {
                let rule = &rules[edge.rule];
                let text = if rule.text.is_empty() { &rule.name } else { &rule.text }.clone();
                let (severity, rule) = (rule.severity, rule.name.clone());
                match edge.value {
                    true => Event::RuleRaised { rule, severity, text },
                    false => Event::RuleCleared { rule, text },
                }
            })
            .collect();
        for due in clock.unix_s.map(|now_s| self.calendar.step(now_s, zone)).unwrap_or_default() {
            let (entry, planned_s) = (due.entry, due.planned_s);
            events.push(match due.run {
                true => Event::ScheduleDue { entry, planned_s, late_s: due.late_s },
                false => {
                    let count = due.left_out.saturating_add(1);
                    Event::ScheduleMissed { entry, count, planned_s }
                }
            });
        }
        events
    }

    /// An event of the log.
    pub fn happened(&mut self, id: u64, unix_ms: u64, event: &Event, clock: Clock) {
        if let Event::ScheduleDue { entry, planned_s, .. }
        | Event::ScheduleMissed { entry, planned_s, .. } = event
        {
            self.calendar.told(entry, *planned_s);
        }
        self.planner.event(id, unix_ms, event, clock.steady_ms);
    }

    /// What is to be done now; each is to be [`Self::finished`].
    pub fn due(&mut self, clock: Clock) -> Vec<Task> {
        let rules = self.machine.program().rules().iter().zip(self.machine.values());
        let is_true =
            |name: &str| rules.clone().any(|(rule, value)| rule.name == name && value.value);
        self.planner.due(clock.steady_ms, is_true)
    }

    /// What came of a task.
    pub fn finished(&mut self, instance: &str, outcome: Outcome, clock: Clock) {
        self.planner.finished(instance, outcome, clock.steady_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"
zone = "Europe/Berlin"
confirm = ["ups.0:shutdown.return", "device.3:output.2"]

[[rule]]
name = "long"
when = "ton(ups.0.ups.status has 'OB', 60 s)"
severity = "alarm"

[[job]]
name = "horn"
when = { kind = "rule_raised", fields = { rule = "long" } }
action = { do = "output", device = 3, output = 2, on = true }
undo = { do = "output", device = 3, output = 2, on = false }

[[job]]
name = "down"
when = { kind = "ups_battery_low" }
action = { do = "sequence", sequence = "servers" }

[[sequence]]
name = "servers"
[[sequence.step]]
actions = [{ do = "webhook", to = "hosts" }]
wait_s = 30
[[sequence.step]]
actions = [{ do = "command", target = "ups.0", command = "shutdown.return", value = "60" }]
no_return = true

[[schedule]]
name = "weekly"
when = { every = "week", weekdays = ["sun"], at = "03:00" }
"#;

    /// Whoever adds a name gives the document a second form, with a step back that
    /// takes it away (`settings::forms`).
    #[test]
    fn the_form_has_the_names_that_it_had() {
        const ACTIONS: [(&str, &str); 11] = [
            ("log", "text severity"),
            ("output", "device output on"),
            ("alarm-relay", "healthy"),
            ("mute", ""),
            ("signal", "tone lamp seconds"),
            ("lamp", "bus address seconds"),
            ("command", "target command value"),
            ("notify", "plugin text"),
            ("webhook", "to text"),
            ("wake-on-lan", "mac to secure_on"),
            ("sequence", "sequence"),
        ];
        const RHYTHMS: [(&str, &str); 7] = [
            ("minutes", "minutes window"),
            ("day", "days at"),
            ("week", "weekdays at"),
            ("month", "day at"),
            ("month-weekday", "nth weekday at"),
            ("year", "month day at"),
            ("once", "on at"),
        ];
        let names = |text: &str| crate::settings::forms::names_at::<Document>(text).join(" ");
        for (text, wanted) in [
            ("", "zone lang rule job sequence schedule confirm"),
            ("[[rule]]\n", "name when unknown severity text event"),
            ("[[job]]\n", "name when delay_s repeat only_if_still_true coalesce_s action undo"),
            ("[[job]]\n[job.when]\n", "kind category severity fields"),
            ("[[job]]\n[job.repeat]\n", "times every_s"),
            ("[[sequence]]\n", "name step"),
            (
                "[[sequence]]\n[[sequence.step]]\n",
                "actions within_s wait_s until until_within_s no_return undo",
            ),
            ("[[schedule]]\n", "name when from until missed"),
        ] {
            assert_eq!(names(&format!("{text}'?' = 1")), wanted, "{text}");
        }
        for (at, tag, kinds) in
            [("job.action", "do", &ACTIONS[..]), ("schedule.when", "every", &RHYTHMS[..])]
        {
            let (row, _) = at.split_once('.').expect("of a row");
            let of = |kind: &str| format!("[[{row}]]\n[{at}]\n{tag} = '{kind}'\n'?' = 1");
            let known: Vec<&str> = kinds.iter().map(|(kind, _)| *kind).collect();
            assert_eq!(names(&of("?")), known.join(" "));
            for (kind, wanted) in kinds {
                assert_eq!(names(&of(kind)), *wanted, "{kind}");
            }
        }
    }

    #[test]
    fn a_good_document_is_a_plan_and_comes_back() {
        let document = Document::parse(GOOD).expect("good");
        let again = document.to_text().expect("written");
        assert_eq!(Document::parse(&again).expect("good"), document);
        let plan = document.clone().plan().expect("a plan");
        assert_eq!(plan.document(), &document);
        assert_eq!(Document::parse("").expect("good"), Document::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, why) in [
            ("[[rule]]", "[[rules]]", "line 5: unknown field `rules`"),
            ("'OB', 60 s", "'OB', 60", "rule \"long\", character"),
            ("name = \"horn\"", "name = \"down\"", "job \"down\": it stands here twice"),
            ("kind = \"ups_battery_low\"", "", "job \"down\": when names none"),
            ("sequence = \"servers\" }", "sequence = \"none\" }", "there is no sequence"),
            ("wait_s = 30", "until = \"x\"", "until and until_within_s"),
            ("wait_s = 30", "until = \"x\"\nuntil_within_s = 9", "which does not exist"),
            ("\"ups.0:shutdown.return\", ", "", "confirm \"ups.0:shutdown.return\", which shuts"),
            ("\"device.3:output.2\"", "", "confirm \"device.3:output.2\", which switches"),
            ("[\"sun\"]", "[]", "schedule \"weekly\": weekdays"),
            ("do = \"webhook\"", "do = \"web\"", "unknown variant `web`"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let problem = Document::parse(&text).and_then(Document::plan).expect_err(to);
            assert!(problem.to_string().contains(why), "{to}: {problem}");
        }
        let long = "#".repeat(DOCUMENT_MAX + 1);
        assert_eq!(Document::parse(&long), Err(Problem::TooLong(DOCUMENT_MAX + 1)));
    }

    proptest! {
        #[test]
        fn any_text_is_a_document_or_refused(at in 0usize..1_400, with in "\\PC{0,6}") {
            let mut text: Vec<char> = GOOD.chars().collect();
            let at = at.min(text.len());
            text.splice(at..(at + 3).min(text.len()), with.chars());
            let _ = Document::parse(&text.into_iter().collect::<String>()).and_then(Document::plan);
        }
    }
}
