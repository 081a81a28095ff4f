//! Jobs that are removed, renamed or changed while what they did stands.

use super::*;

fn withdrawn(planner: &mut Planner) -> Vec<String> {
    let said = planner.said().into_iter();
    let withdrawn = said.filter_map(|event| match event {
        Event::JobWithdrawn { job } => Some(job),
        _ => None,
    });
    withdrawn.collect()
}

fn change(planner: &mut Planner, jobs: &[&str], now_ms: u64) {
    planner.change(jobs.iter().map(|text| job(text)).collect(), Vec::new(), now_ms);
}

/// A planner whose fan is on for a lost module.
fn on() -> Planner {
    let mut planner = planner(&[FAN]);
    planner.event(1, 0, &lost(3), 0);
    assert_eq!(carried_out(&mut planner, 0), [true]);
    planner.said();
    planner
}

fn is_at_rest(planner: &Planner) -> bool {
    planner.pending().next().is_none() && planner.standing().is_empty()
}

#[test]
fn what_a_removed_or_renamed_job_did_is_taken_back_and_told() {
    let renamed = FAN.replace("'fan'", "'ventilator'");
    for jobs in [&[][..], &[HOOK][..], &[renamed.as_str()][..]] {
        let mut planner = on();
        change(&mut planner, jobs, 5);
        assert_eq!(withdrawn(&mut planner), ["fan"]);
        assert_eq!(carried_out(&mut planner, 5), [false]);
        match &planner.said()[..] {
            [Event::JobDone { job, instance, .. }] => {
                assert_eq!((job.as_str(), instance.as_str()), ("fan", "1.fan.undo"));
            }
            other => panic!("{other:?}"),
        }
        assert!(is_at_rest(&planner), "{jobs:?}");
    }
}

#[test]
fn what_was_not_begun_or_has_no_counter_job_is_forgotten() {
    for text in [HORN, HOOK] {
        let mut planner = planner(&[text]);
        planner.event(7, 0, &on_battery(), 0);
        carried_out(&mut planner, 0);
        planner.said();
        change(&mut planner, &[], 5);
        assert_eq!(withdrawn(&mut planner), [""; 0], "{text}");
        assert!(due(&mut planner, 10 * MINUTE).is_empty() && is_at_rest(&planner), "{text}");
    }
}

#[test]
fn what_is_being_done_is_taken_back_when_it_came_to_an_end() {
    for outcome in [Outcome::Done, Outcome::Later("no answer".into())] {
        let mut planner = planner(&[FAN]);
        planner.event(1, 0, &lost(3), 0);
        assert_eq!(names(&due(&mut planner, 0)), ["1.fan.0"]);
        change(&mut planner, &[], 1);
        assert!(due(&mut planner, 1).is_empty(), "it is under way");
        planner.finished("1.fan.0", outcome, 2);
        assert_eq!(names(&due(&mut planner, 10 * MINUTE)), ["1.fan.undo"], "and not tried again");
        planner.finished("1.fan.undo", Outcome::Done, 10 * MINUTE);
        assert!(is_at_rest(&planner));
    }
}

#[test]
fn one_state_of_many_episodes_is_taken_back_once() {
    let mut planner = on();
    planner.event(2, 0, &lost(4), 0);
    assert_eq!(carried_out(&mut planner, 0), [true]);
    change(&mut planner, &[], 1);
    assert_eq!(carried_out(&mut planner, 1), [false]);
    assert!(is_at_rest(&planner));
}

#[test]
fn a_restart_takes_back_what_is_not_taken_back_yet() {
    // Removed, and killed before it was taken back.
    let (mut kept, mut before) = (Kept::default(), on());
    change(&mut before, &[], 5);
    kept.keep(&mut before);
    let mut after = kept.resume(&[], 10);
    let tasks = due(&mut after, 10);
    let off = Action::Output { device: 1, output: 2, on: false };
    assert_eq!((names(&tasks), &tasks[0].action), (vec!["1.fan.undo"], &off));
    after.finished("1.fan.undo", Outcome::Done, 10);
    assert!(is_at_rest(&after));

    // Killed between the new document and what it does.
    let (mut kept, mut before) = (Kept::default(), on());
    kept.keep(&mut before);
    let mut after = kept.resume(&[HOOK], 10);
    assert_eq!(withdrawn(&mut after), ["fan"]);
    assert_eq!(carried_out(&mut after, 10), [false]);
    assert!(is_at_rest(&after));
}

#[test]
fn the_end_takes_back_what_was_done_and_not_what_would_be_done_now() {
    let mut planner = on();
    change(&mut planner, &[&FAN.replace("output = 2", "output = 3")], 5);
    assert_eq!(withdrawn(&mut planner), [""; 0]);
    assert!(due(&mut planner, 5).is_empty(), "what began it stands");
    planner.event(2, 0, &back(3), 6);
    let tasks = due(&mut planner, 6);
    assert_eq!(tasks[0].action, Action::Output { device: 1, output: 2, on: false });
    // The other output is wanted by now: neither is taken for the other.
    planner.finished(&tasks[0].instance, Outcome::Later("no answer".into()), 6);
    planner.event(3, 0, &lost(4), 7);
    let tasks = due(&mut planner, MINUTE);
    let outputs: Vec<_> = tasks.iter().map(|task| task.action.to_string()).collect();
    assert_eq!(outputs.len(), 2, "{outputs:?}");
    assert!(outputs.contains(&"switch output 2 of device 1 off".to_owned()), "{outputs:?}");
    assert!(outputs.contains(&"switch output 3 of device 1 on".to_owned()), "{outputs:?}");
}
