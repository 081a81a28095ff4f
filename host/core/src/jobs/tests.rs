//! The planner against crashes, repetitions and its bounds, in virtual time.

use super::*;
use crate::events::Event;
use proptest::prelude::*;
use std::collections::BTreeMap;

mod alarms;
mod orders;

const MINUTE: u64 = 60_000;

fn job(text: &str) -> Job {
    let job: Job = toml::from_str(text).expect(text);
    job.check(&[]).expect(text);
    job
}

fn planner(jobs: &[&str]) -> Planner {
    Planner::new(jobs.iter().map(|text| job(text)).collect(), Vec::new())
}

const HORN: &str = "name = 'horn'\nwhen = { kind = 'ups_on_battery' }\ndelay_s = 60\n\
    only_if_still_true = true\naction = { do = 'output', device = 1, output = 2, on = true }\n\
    undo = { do = 'output', device = 1, output = 2, on = false }";
const HOOK: &str = "name = 'hook'\nwhen = { category = 'ups' }\n\
    action = { do = 'webhook', to = 'x' }";

fn on_battery() -> Event {
    Event::UpsOnBattery { ups: "ups.0".into() }
}

fn on_mains() -> Event {
    Event::UpsOnMains { ups: "ups.0".into() }
}

fn due(planner: &mut Planner, now_ms: u64) -> Vec<Task> {
    planner.due(now_ms, |_| false)
}

fn names(tasks: &[Task]) -> Vec<&str> {
    tasks.iter().map(|task| task.instance.as_str()).collect()
}

/// What a planner keeps, as the store does.
#[derive(Default)]
struct Kept {
    episodes: BTreeMap<String, Episode>,
    instances: BTreeMap<String, Instance>,
}

impl Kept {
    fn keep(&mut self, planner: &mut Planner) {
        for change in planner.changes() {
            match change {
                Change::Episode(id, Some(episode)) => drop(self.episodes.insert(id, episode)),
                Change::Episode(id, None) => drop(self.episodes.remove(&id)),
                Change::Instance(id, Some(instance)) => drop(self.instances.insert(id, instance)),
                Change::Instance(id, None) => drop(self.instances.remove(&id)),
            }
        }
    }

    fn resume(&self, jobs: &[&str], now_ms: u64) -> Planner {
        let mut planner = planner(jobs);
        planner.resume(self.episodes.clone(), self.instances.clone(), now_ms);
        planner
    }
}

#[test]
fn a_job_waits_is_done_and_is_taken_back() {
    let mut planner = planner(&[HORN]);
    planner.event(7, 0, &on_battery(), 1_000);
    assert!(due(&mut planner, MINUTE).is_empty());
    let tasks = due(&mut planner, MINUTE + 1_000);
    assert_eq!(names(&tasks), ["7.horn.0"]);
    assert!(due(&mut planner, 2 * MINUTE).is_empty(), "handed out once");
    planner.finished("7.horn.0", Outcome::Done, 2 * MINUTE);
    assert!(matches!(&planner.said()[..], [Event::JobDone { attempts: 1, .. }]));
    planner.event(8, 0, &on_mains(), 3 * MINUTE);
    let tasks = due(&mut planner, 3 * MINUTE);
    assert_eq!((names(&tasks), tasks[0].undo), (vec!["7.horn.undo"], true));
    planner.finished("7.horn.undo", Outcome::Done, 3 * MINUTE);
    assert!(planner.pending().next().is_none() && planner.standing().is_empty());
}

#[test]
fn what_is_over_before_it_is_due_is_not_done() {
    let mut planner = planner(&[HORN]);
    planner.event(7, 0, &on_battery(), 0);
    planner.event(8, 0, &on_mains(), MINUTE - 1);
    assert!(due(&mut planner, 10 * MINUTE).is_empty());
    planner.event(9, 0, &on_battery(), 11 * MINUTE);
    assert_eq!(names(&due(&mut planner, 12 * MINUTE)), ["9.horn.0"]);
}

#[test]
fn nothing_is_taken_back_while_it_is_being_done() {
    let mut planner = planner(&[HORN]);
    planner.event(7, 0, &on_battery(), 0);
    assert_eq!(due(&mut planner, MINUTE).len(), 1);
    planner.event(8, 0, &on_mains(), MINUTE);
    assert!(due(&mut planner, MINUTE).is_empty());
    planner.finished("7.horn.0", Outcome::Done, MINUTE + 5);
    assert_eq!(names(&due(&mut planner, MINUTE + 5)), ["7.horn.undo"]);
}

#[test]
fn what_stands_already_is_not_taken_up_again() {
    let mut planner = planner(&[HOOK]);
    planner.event(7, 0, &on_battery(), 0);
    planner.event(8, 0, &on_battery(), 1);
    assert_eq!(names(&due(&mut planner, 1)), ["7.hook.0"], "a restart tells it again");
    let low = Event::UpsBatteryLow { ups: "ups.0".into() };
    planner.event(9, 0, &low, 2);
    assert_eq!(names(&due(&mut planner, 2)), ["9.hook.0"], "this is something else");
    planner.event(10, 0, &on_mains(), 3);
    planner.event(11, 0, &on_battery(), 4);
    assert_eq!(names(&due(&mut planner, 4)), ["10.hook.0", "11.hook.0"]);
}

#[test]
fn it_is_tried_again_with_growing_pauses_and_given_up() {
    let mut planner = planner(&[HOOK]);
    planner.event(7, 0, &on_battery(), 0);
    let (mut now, mut pauses) = (0, Vec::new());
    while let Some(next) = planner.next_ms() {
        pauses.push(next - now);
        now = next;
        let tasks = due(&mut planner, now);
        planner.finished(&tasks[0].instance, Outcome::Later("no route".into()), now);
    }
    assert_eq!(pauses.len() as u32, ATTEMPTS_MAX);
    assert!(pauses.windows(2).all(|w| w[0] <= w[1]) && now < 30 * MINUTE, "{pauses:?}");
    match &planner.said()[..] {
        [Event::JobFailed { reason, .. }] => assert_eq!(reason, "no route"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn repetitions_end_by_number_or_with_what_began_them() {
    let text = HORN.replace("delay_s = 60", "repeat = { times = 3, every_s = 10 }");
    let run = |over_at: Option<u64>| {
        let mut planner = planner(&[&text]);
        planner.event(7, 0, &on_battery(), 0);
        let mut done = Vec::new();
        for second in 0..60 {
            if over_at == Some(second) {
                planner.event(8, 0, &on_mains(), second * 1_000);
            }
            for task in due(&mut planner, second * 1_000) {
                planner.finished(&task.instance, Outcome::Done, second * 1_000);
                done.push(format!("{second} {}", task.instance));
            }
        }
        done
    };
    assert_eq!(run(None), ["0 7.horn.0", "10 7.horn.1", "20 7.horn.2"]);
    assert_eq!(run(Some(15)), ["0 7.horn.0", "10 7.horn.1", "15 7.horn.undo"]);
}

#[test]
fn a_crash_does_again_what_may_be_done_again_and_nothing_else() {
    let shut = "name = 'shut'\nwhen = { category = 'ups' }\n\
        action = { do = 'command', target = 'ups.0', command = 'shutdown.return' }";
    let mut kept = Kept::default();
    let mut before = planner(&[HOOK, shut]);
    before.event(7, 0, &on_battery(), 0);
    assert_eq!(names(&due(&mut before, 0)), ["7.hook.0", "7.shut.0"]);
    kept.keep(&mut before);
    let mut after = kept.resume(&[HOOK, shut], 5);
    assert_eq!(names(&due(&mut after, 5)), ["7.hook.0"]);
    match &after.said()[..] {
        [Event::JobFailed { instance, reason, .. }] => {
            assert_eq!(instance, "7.shut.0");
            assert!(reason.contains("nobody knows"));
        }
        other => panic!("{other:?}"),
    }
    after.event(7, 0, &on_battery(), 5);
    assert!(due(&mut after, 5).is_empty(), "the same event begins nothing twice");
}

#[test]
fn a_clock_that_stands_wrong_after_a_restart_delays_nothing_for_ever() {
    let mut kept = Kept::default();
    let mut before = planner(&[HORN]);
    let wall = 1_800_000_000_000;
    before.event(7, wall, &on_battery(), wall);
    kept.keep(&mut before);
    let mut after = kept.resume(&[HORN], 5_000);
    assert!(due(&mut after, MINUTE).is_empty());
    assert_eq!(names(&due(&mut after, 5_000 + MINUTE)), ["7.horn.0"]);
    let gone = kept.resume(&[HOOK], 5_000);
    assert!(gone.pending().next().is_none(), "its job is gone");
}

#[test]
fn a_flood_is_bounded_and_told() {
    let mut planner = planner(&["name = 'hook'\nwhen = { category = 'access' }\n\
        action = { do = 'webhook', to = 'x' }"]);
    let login = Event::Logout { user: "a".into(), from: "b".into() };
    for id in 0..10_000 {
        planner.event(id, 0, &login, id);
    }
    assert_eq!(planner.pending().count(), PENDING_OF_JOB_MAX);
    let said = planner.said();
    assert!((1..=5).contains(&said.len()), "{said:?}");
    let text = "name = 'hook'\nwhen = { category = 'access' }\ncoalesce_s = 60\n\
        action = { do = 'webhook', to = 'x' }";
    let mut planner = super::tests::planner(&[text]);
    (0..120).for_each(|second| planner.event(second, 0, &login, second * 1_000));
    assert_eq!(planner.pending().count(), 2);
}

#[derive(Clone, Debug)]
enum Happens {
    Battery,
    Mains,
    Wait(u64),
    Finish(bool),
    Crash,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        Just(Happens::Battery),
        Just(Happens::Mains),
        (1u64..50_000).prop_map(Happens::Wait),
        any::<bool>().prop_map(Happens::Finish),
        Just(Happens::Crash),
    ]
}

proptest! {
    /// Whatever happens and whenever it crashes: in the end the horn is as
    /// the mains are.
    #[test]
    fn the_counter_job_has_the_last_word(story in proptest::collection::vec(happens(), 1..60)) {
        let text = HORN.replace("delay_s = 60", "delay_s = 20");
        let (mut planner, mut kept) = (planner(&[&text]), Kept::default());
        let (mut now, mut id) = (0, 0);
        let mut running: Vec<Task> = Vec::new();
        let mut horn = false;
        let mut event = |planner: &mut Planner, event: Event, now| {
            id += 1;
            planner.event(id, now, &event, now);
        };
        let end = [Happens::Mains];
        for what in story.iter().chain(&end) {
            match what {
                Happens::Battery => event(&mut planner, on_battery(), now),
                Happens::Mains => event(&mut planner, on_mains(), now),
                Happens::Wait(ms) => now += ms,
                Happens::Finish(well) => if let Some(task) = running.pop() {
                    if *well { horn = !task.undo; }
                    let outcome = if *well { Outcome::Done } else { Outcome::Later("x".into()) };
                    planner.finished(&task.instance, outcome, now);
                },
                Happens::Crash => {
                    planner = kept.resume(&[&text], now);
                    running.clear();
                }
            }
            running.extend(due(&mut planner, now));
            kept.keep(&mut planner);
        }
        for _ in 0..200 {
            for task in std::mem::take(&mut running) {
                horn = !task.undo;
                planner.finished(&task.instance, Outcome::Done, now);
            }
            now += 10_000;
            running.extend(due(&mut planner, now));
        }
        prop_assert!(!horn);
        prop_assert!(planner.pending().next().is_none());
        prop_assert!(planner.standing().is_empty());
    }
}
