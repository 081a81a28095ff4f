//! Jobs on alarms of the book: they begin with the alarm and are taken back
//! with it, whatever people do to it meanwhile.

use super::*;
use crate::alarm::{Act, AlarmEvent, Book, Kind, Now, Place, Standing};
use crate::events::Severity;

const FAN: &str = "name = 'fan'\n\
    when = { kind = 'alarm', fields = { what = 'ups-overload' } }\n\
    action = { do = 'output', device = 1, output = 2, on = true }\n\
    undo = { do = 'output', device = 1, output = 2, on = false }";

/// A book, and a planner that hears its events.
struct Site {
    book: Book,
    planner: Planner,
    now_ms: u64,
    events: u64,
}

impl Site {
    fn new() -> Self {
        Self { book: Book::default(), planner: planner(&[FAN]), now_ms: 0, events: 0 }
    }

    fn tell(&mut self, change: &crate::alarm::Change) {
        let Some(event) = AlarmEvent::of(change) else { return };
        self.events += 1;
        self.planner.event(self.events, self.now_ms, &Event::Alarm(event), self.now_ms);
    }

    /// Half a minute later the UPS is overloaded, or not; what is done then.
    fn overloaded(&mut self, so: bool) -> Vec<bool> {
        self.now_ms += MINUTE / 2;
        let place = Place::Source("ups.0".into());
        let standing = Standing::plain(Kind::UpsOverload, place, Severity::Alarm);
        let standing = if so { vec![standing] } else { Vec::new() };
        for change in self.book.step(&Now { standing, blind: vec![] }, self.now_ms) {
            self.tell(&change);
        }
        self.done()
    }

    /// A person does something; what is done then.
    fn act(&mut self, act: Act) -> Vec<bool> {
        let id = self.book.alarms()[0].id;
        let change = self.book.act(id, None, &act, "ann", self.now_ms).expect("possible");
        self.tell(&change);
        self.done()
    }

    /// What is due, true for on and false for off.
    fn done(&mut self) -> Vec<bool> {
        let tasks = due(&mut self.planner, self.now_ms);
        for task in &tasks {
            self.planner.finished(&task.instance, Outcome::Done, self.now_ms);
        }
        tasks.iter().map(|task| !task.undo).collect()
    }
}

fn acknowledge() -> Act {
    Act::Acknowledge { note: String::new() }
}

#[test]
fn a_job_on_an_alarm_is_taken_back_when_the_alarm_is_over() {
    let mut site = Site::new();
    assert_eq!(site.overloaded(true), [true]);
    assert_eq!(site.overloaded(true), []);
    assert_eq!(site.act(acknowledge()), [], "that somebody knows begins nothing");
    assert_eq!(site.overloaded(false), [false]);
    assert_eq!(site.overloaded(true), [true], "and anew");
    assert_eq!(site.overloaded(false), [false]);
    assert!(site.planner.standing().is_empty());
}

#[test]
fn a_shelved_alarm_that_ends_takes_its_job_back() {
    let mut site = Site::new();
    assert_eq!(site.overloaded(true), [true]);
    let shelf = Act::Shelve { seconds: 600, reason: "fan on order".into() };
    assert_eq!(site.act(shelf), []);
    assert_eq!(site.overloaded(false), [false]);
    assert_eq!(site.overloaded(true), [], "it is put aside");
    assert_eq!(site.act(Act::Unshelve), [true], "and back among the others");
    assert_eq!(site.overloaded(false), [false]);
}

#[test]
fn a_shelf_that_is_over_begins_nothing_when_the_alarm_is() {
    let mut site = Site::new();
    assert_eq!(site.overloaded(true), [true]);
    site.act(Act::Shelve { seconds: 60, reason: "fan on order".into() });
    assert_eq!(site.overloaded(false), [false]);
    for _ in 0..10 {
        assert_eq!(site.overloaded(false), []);
    }
    assert!(site.events >= 4, "the end of the shelf was told");
    assert!(site.planner.standing().is_empty());
}

#[test]
fn what_can_never_be_taken_back_is_refused() {
    let job = |when: &str, follows: &str| {
        let text = format!("name = 'x'\nwhen = {when}\naction = {{ do = 'mute' }}\n{follows}");
        toml::from_str::<Job>(&text).expect(&text).check(&[])
    };
    let (undo, still) = ("undo = { do = 'mute' }", "only_if_still_true = true");
    for (when, why) in [
        ("{ kind = 'login' }", "login only happens"),
        ("{ kind = 'ups_on_mains' }", "told by alarm, alarm_raised, "),
        ("{ kind = 'alarm', fields = { change = 'over' } }", "leave change out"),
        ("{ kind = 'alarm', fields = { what = 'ups-on-battery' } }", "alarm ups-on-battery is"),
        (
            "{ kind = 'alarm', fields = { what = ['cable-broken', 'guard-lost'] } }",
            "alarm cable-broken is",
        ),
    ] {
        assert_eq!(job(when, ""), Ok(()), "{when}");
        for follows in [undo, still] {
            let refused = job(when, follows).expect_err(when);
            assert!(refused.starts_with("undo and only_if_still_true need"), "{refused}");
            assert!(refused.contains(why), "{refused}");
        }
    }
    for when in [
        "{ category = 'ups' }",
        "{ kind = 'alarm' }",
        "{ kind = 'alarm', fields = { change = ['raised', 'over'] } }",
        "{ kind = 'alarm', fields = { what = 'limit.*' } }",
        "{ kind = 'alarm', fields = { what = ['cable-broken', 'ups-overload'] } }",
        "{ kind = 'alarm', fields = { what = 'limit.block-voltage.high' } }",
    ] {
        assert_eq!(job(when, undo), Ok(()), "{when}");
    }
}
