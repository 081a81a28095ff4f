//! The planner against crashes, repetitions and its bounds, in virtual time.

use super::*;
use crate::events::Event;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

mod alarms;
mod orders;
mod removed;

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
        planner.resume(self.episodes.clone(), self.instances.clone(), &BTreeSet::new(), now_ms);
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
fn a_message_says_the_same_in_every_attempt_also_after_a_crash() {
    let (mut kept, mut before) = (Kept::default(), planner(&[HOOK]));
    before.event(7, 0, &on_battery(), 0);
    assert_eq!(due(&mut before, 0)[0].words, None);
    before.word("7.hook.0", "230 V");
    before.finished("7.hook.0", Outcome::Later("503".into()), 0);
    let again = due(&mut before, MINUTE);
    assert_eq!(again[0].words.as_deref(), Some("230 V"));
    kept.keep(&mut before);
    let mut after = kept.resume(&[HOOK], MINUTE);
    let again = due(&mut after, 2 * MINUTE);
    assert_eq!((names(&again), again[0].words.as_deref()), (vec!["7.hook.0"], Some("230 V")));
}

#[test]
fn what_the_log_says_came_to_an_end_is_not_done_again() {
    let shut = "name = 'shut'\nwhen = { category = 'ups' }\nrepeat = { times = 2, every_s = 9 }\n\
        action = { do = 'command', target = 'ups.0', command = 'shutdown.return' }";
    let (mut kept, mut before) = (Kept::default(), planner(&[HOOK, shut]));
    before.event(7, 0, &on_battery(), 0);
    assert_eq!(names(&due(&mut before, 0)), ["7.hook.0", "7.shut.0"]);
    kept.keep(&mut before);
    // Both were noted as done, and killed before that was kept here.
    let ended = ["7.hook.0", "7.shut.0"].map(str::to_owned).into();
    let mut after = planner(&[HOOK, shut]);
    after.resume(kept.episodes.clone(), kept.instances.clone(), &ended, 0);
    assert!(after.said().is_empty(), "it was said");
    assert!(due(&mut after, 8_000).is_empty());
    assert_eq!(names(&due(&mut after, 9_000)), ["7.shut.1"], "what follows follows");
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

fn lost(block: u16) -> Event {
    Event::ModuleLost { string: 1, block }
}

fn back(block: u16) -> Event {
    Event::ModuleBack { string: 1, block }
}

const FAN: &str = "name = 'fan'\nwhen = { kind = 'module_lost' }\n\
    action = { do = 'output', device = 1, output = 2, on = true }\n\
    undo = { do = 'output', device = 1, output = 2, on = false }";

/// What is due is done; true for on and false for off.
fn carried_out(planner: &mut Planner, now_ms: u64) -> Vec<bool> {
    let tasks = due(planner, now_ms);
    for task in &tasks {
        planner.finished(&task.instance, Outcome::Done, now_ms);
    }
    tasks.iter().map(|task| !task.undo).collect()
}

#[test]
fn a_state_that_two_want_is_taken_back_with_the_last() {
    let mut planner = planner(&[FAN]);
    planner.event(1, 0, &lost(3), 0);
    planner.event(2, 0, &lost(4), 0);
    assert_eq!(carried_out(&mut planner, 0), [true, true]);
    planner.event(3, 0, &back(3), 1);
    assert_eq!(carried_out(&mut planner, 1), [false; 0], "block 4 is lost still");
    planner.event(4, 0, &back(4), 2);
    assert_eq!(carried_out(&mut planner, 2), [false]);
    assert!(planner.standing().is_empty() && planner.pending().next().is_none());
}

#[test]
fn each_is_told_to_be_over_when_the_counter_job_tells() {
    let tell = "undo = { do = 'log', text = 'over' }";
    let (head, _) = FAN.split_once("undo").expect("it has one");
    let mut planner = planner(&[&format!("{head}{tell}")]);
    planner.event(1, 0, &lost(3), 0);
    planner.event(2, 0, &lost(4), 0);
    carried_out(&mut planner, 0);
    planner.event(3, 0, &back(3), 1);
    assert_eq!(carried_out(&mut planner, 1), [false]);
    planner.event(4, 0, &back(4), 2);
    assert_eq!(carried_out(&mut planner, 2), [false]);
}

#[test]
fn what_is_to_be_taken_back_and_wanted_again_stays() {
    let mut planner = planner(&[FAN]);
    planner.event(1, 0, &lost(3), 0);
    assert_eq!(carried_out(&mut planner, 0), [true]);
    planner.event(2, 0, &back(3), 1);
    let undo = due(&mut planner, 1);
    assert_eq!(names(&undo), ["1.fan.undo"]);
    planner.event(3, 0, &lost(3), 2);
    assert!(due(&mut planner, 2).is_empty(), "its opposite is being done");
    planner.finished("1.fan.undo", Outcome::Later("no answer".into()), 3);
    assert_eq!(carried_out(&mut planner, 3), [true]);
    assert!(due(&mut planner, 10 * MINUTE).is_empty(), "the old one is not taken back any more");
    assert_eq!(planner.standing().len(), 1);
}

#[test]
fn one_of_many_lasts_as_long_as_all_of_them() {
    let text = format!("{FAN}\ncoalesce_s = 60");
    let mut planner = planner(&[&text]);
    planner.event(1, 0, &lost(3), 0);
    assert_eq!(carried_out(&mut planner, 0), [true]);
    planner.event(2, 0, &lost(4), 10_000);
    assert_eq!(carried_out(&mut planner, 10_000), [false; 0], "one of many");
    planner.event(3, 0, &back(3), 20_000);
    assert_eq!(carried_out(&mut planner, 20_000), [false; 0], "block 4 is lost still");
    planner.event(4, 0, &back(4), 30_000);
    assert_eq!(carried_out(&mut planner, 30_000), [false]);
    // Nothing stands that could stand for it: it is done when it may be.
    planner.event(5, 0, &lost(5), 40_000);
    planner.event(6, 0, &lost(6), 50_000);
    assert_eq!(carried_out(&mut planner, 59_999), [false; 0]);
    assert_eq!(carried_out(&mut planner, 60_000), [true]);
    planner.event(7, 0, &back(5), 61_000);
    assert_eq!(carried_out(&mut planner, 61_000), [false; 0]);
    planner.event(8, 0, &back(6), 62_000);
    assert_eq!(carried_out(&mut planner, 62_000), [false]);
}

#[test]
fn a_counter_job_that_is_lost_for_want_of_room_is_told() {
    let mut planner = planner(&[FAN]);
    for id in 0..2_001u16 {
        planner.event(id.into(), 0, &lost(id), id.into());
        carried_out(&mut planner, id.into());
    }
    let dropped = |event: &Event| matches!(event, Event::JobsDropped { count: 1, .. });
    assert_eq!(planner.said().iter().filter(|event| dropped(event)).count(), 1);
    assert_eq!(planner.standing().len(), 2_000);
}

#[derive(Clone, Debug)]
enum Happens {
    Lost(u16),
    Back(u16),
    Wait(u64),
    Finish(bool),
    Crash,
}

/// When a job is removed.
#[derive(Clone, Copy, Debug)]
enum Removed {
    /// While it is at work.
    Now,
    /// While nobody is, so that the next start does not know it.
    Away,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        (1u16..3).prop_map(Happens::Lost),
        (1u16..3).prop_map(Happens::Back),
        (1u64..50_000).prop_map(Happens::Wait),
        any::<bool>().prop_map(Happens::Finish),
        Just(Happens::Crash),
    ]
}

proptest! {
    /// Whatever happens and whenever it crashes: when all is quiet the fan is on
    /// when a module is lost, and off when none is, or when its job was removed.
    #[test]
    fn the_last_state_is_the_right_one(
        story in proptest::collection::vec(happens(), 1..60),
        timing in prop_oneof![Just(""), Just("delay_s = 20\nonly_if_still_true = true"),
            Just("coalesce_s = 20"), Just("coalesce_s = 20\ndelay_s = 10")],
        removed in prop_oneof![Just(None), Just(Some(Removed::Now)), Just(Some(Removed::Away))],
    ) {
        let text = format!("{FAN}\n{timing}");
        let (mut planner, mut kept) = (planner(&[&text]), Kept::default());
        let (mut now, mut id) = (0, 0);
        let mut running: Vec<Task> = Vec::new();
        let (mut on, mut gone) = (false, BTreeSet::new());
        for what in &story {
            let event = match what {
                Happens::Lost(block) => gone.insert(*block).then(|| lost(*block)),
                Happens::Back(block) => gone.remove(block).then(|| back(*block)),
                Happens::Wait(ms) => {
                    now += ms;
                    None
                }
                Happens::Finish(well) => {
                    if let Some(task) = running.pop() {
                        if *well { on = !task.undo; }
                        let outcome = if *well { Outcome::Done } else { Outcome::Later("x".into()) };
                        planner.finished(&task.instance, outcome, now);
                    }
                    None
                }
                Happens::Crash => {
                    planner = kept.resume(&[&text], now);
                    running.clear();
                    None
                }
            };
            if let Some(event) = event {
                id += 1;
                planner.event(id, now, &event, now);
            }
            running.extend(due(&mut planner, now));
            kept.keep(&mut planner);
        }
        match removed {
            Some(Removed::Now) => planner.change(Vec::new(), Vec::new(), now),
            Some(Removed::Away) => {
                planner = kept.resume(&[], now);
                running.clear();
            }
            None => {}
        }
        if removed.is_some() {
            gone.clear();
        }
        for _ in 0..200 {
            for task in std::mem::take(&mut running) {
                on = !task.undo;
                planner.finished(&task.instance, Outcome::Done, now);
            }
            now += 10_000;
            running.extend(due(&mut planner, now));
        }
        prop_assert_eq!(on, !gone.is_empty());
        prop_assert!(planner.pending().next().is_none());
        prop_assert_eq!(planner.standing().len(), gone.len());
    }
}

#[test]
fn what_was_done_is_told_as_data_without_a_password_and_older_logs_are_read() {
    let wake = "name = 'wake'\nwhen = { kind = 'ups_on_battery' }\n\
        action = { do = 'wake-on-lan', mac = '00:11:22:33:44:55', secure_on = 'aa:bb:cc:dd' }";
    let mut planner = planner(&[wake]);
    planner.event(7, 0, &on_battery(), 0);
    let tasks = due(&mut planner, 0);
    assert!(matches!(&tasks[0].action, Action::WakeOnLan { secure_on: Some(_), .. }));
    planner.finished("7.wake.0", Outcome::Done, 0);
    let [told] = &planner.said()[..] else { panic!("one event") };
    let is_open = |act: &Action| matches!(act, Action::WakeOnLan { secure_on: None, .. });
    let Event::JobDone { act: Some(act), .. } = told else { panic!("{told:?}") };
    assert!(is_open(act), "{act:?}");
    let text = toml::to_string(told).expect("written");
    assert_eq!(toml::from_str::<Event>(&text).as_ref(), Ok(told), "{text}");
    let (head, _) = text.split_once("[act]").expect("a table");
    for other in [head.to_owned(), format!("{head}[act]\ndo = 'fly'\nto = [1]\n")] {
        let read: Event = toml::from_str(&other).expect(&other);
        assert!(matches!(read, Event::JobDone { act: None, .. }), "{read:?}");
    }
}
