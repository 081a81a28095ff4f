//! Every message is there, is well formed, and says what it should.

use super::*;
use evenkeel_core::alarm::{AlarmEvent, Book, Now, Standing};
use evenkeel_core::battery_test::{Cause, Verdict};
use evenkeel_core::command::Tone;
use evenkeel_core::events::{SalvagedTable, Severity};
use evenkeel_core::jobs::{Action, Reason};
use evenkeel_core::protect::{Condition, Level, TripCause};
use std::collections::BTreeSet;

/// A file without syntax errors, whose names are each there once.
#[test]
fn every_file_can_be_read_and_says_nothing_twice() {
    for lang in Lang::ALL {
        for file in [lang.file(), lang.pages()] {
            let errors = FluentResource::try_new(file.to_owned()).err().map(|(_, errors)| errors);
            assert!(errors.is_none(), "{}: {errors:?}", lang.tag());
        }
        let names = names(lang);
        let once: BTreeSet<_> = names.iter().collect();
        assert_eq!(once.len(), names.len(), "{}: a name is there twice", lang.tag());
        let english: BTreeSet<_> = super::names(Lang::En).into_iter().collect();
        let unknown: Vec<_> = names.iter().filter(|name| !english.contains(*name)).collect();
        assert!(unknown.is_empty(), "{}: not in English: {unknown:?}", lang.tag());
    }
}

/// How much of each language is there; English and German whole.
#[test]
fn english_and_german_are_complete() {
    let all = names(Lang::En).len();
    for lang in Lang::ALL {
        let missing = words().missing(lang);
        let percent = 100 * (all - missing.len()) / all;
        println!("{:8} {percent:3} % of {all} messages", lang.tag());
        assert!(missing.len() < all, "{} has nothing", lang.tag());
        if matches!(lang, Lang::En | Lang::De) {
            assert!(missing.is_empty(), "{} lacks {missing:?}", lang.tag());
        }
    }
}

/// Whatever the product can name has a message.
#[test]
fn everything_that_can_be_said_has_its_message() {
    let words = words();
    let has = |name: &str| assert!(words.has(Lang::En, name, None), "no message {name}");
    for kind in Kind::all() {
        has(&kind.message());
    }
    let quantities = Quantity::OF_BLOCKS.into_iter().chain(Quantity::OF_STRINGS);
    for quantity in quantities.chain([Quantity::Point]) {
        has(&format!("quantity-{}", quantity.as_str()));
    }
    for topic in guidance::topics() {
        for attribute in ["causes", "action"] {
            let name = format!("guide-{topic}");
            assert!(words.has(Lang::En, &name, Some(attribute)), "no {attribute} of {name}");
        }
    }
    for name in event_names() {
        has(&name);
    }
    for reason in Reason::ALL {
        has(&format!("job-reason-{}", reason.code()));
    }
}

/// The messages of the events that the core declares, read from its source: an
/// event that somebody adds must be said, too.
fn event_names() -> Vec<String> {
    let source = include_str!("../../../core/src/events.rs");
    let (_, from) = source.split_once("pub enum Event {").expect("there");
    let (variants, _) = from.split_once("\n}\n").expect("it ends");
    let names = variants.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?;
        let end = name.find(|c: char| !c.is_ascii_alphanumeric())?;
        let (name, rest) = name.split_at(end);
        let starts = name.starts_with(|c: char| c.is_ascii_uppercase());
        // What became of an alarm has messages of its own.
        (starts && name != "Alarm" && rest.starts_with([' ', ','])).then(|| {
            let mut kebab = String::from("event");
            for c in name.chars() {
                if c.is_ascii_uppercase() {
                    kebab.push('-');
                }
                kebab.push(c.to_ascii_lowercase());
            }
            kebab
        })
    });
    let names: Vec<_> = names.collect();
    assert!(names.len() > 50, "{names:?}");
    names
}

fn examples() -> Vec<Event> {
    let from = || "::1".to_owned();
    vec![
        Event::StringOutOfBand { string: 1, deviation_mv: -905 },
        Event::ModulesLost { string: 2, blocks: vec![1, 2, 3, 7] },
        Event::AlarmRaised {
            string: 2,
            condition: Condition::VoltageHigh,
            level: Level::Alarm,
            blocks: vec![3, 4, 5],
        },
        Event::AlarmRaised {
            string: 2,
            condition: Condition::SumMismatch,
            level: Level::Warning,
            blocks: vec![],
        },
        Event::Tripped {
            string: 1,
            block: 3,
            cause: TripCause::TwoTemperatures,
            temperature_dc: 612,
        },
        Event::DischargeEnded {
            string: 1,
            duration_s: 605,
            drawn_mah: Some(12_500),
            first_collapsed: Some(7),
        },
        Event::DischargeEnded { string: 1, duration_s: 5, drawn_mah: None, first_collapsed: None },
        Event::TestEnded { test: 1, verdict: Some(Verdict::Fail), cause: None },
        Event::TestEnded { test: 1, verdict: None, cause: Some(Cause::ByHand) },
        Event::TestEnded { test: 1, verdict: None, cause: None },
        Event::ChargerWrong { string: 1, by_mv: -1_500 },
        Event::GuardCondition { condition: "memory not locked".into() },
        Event::StoreRecovered { samples_lost: 0 },
        Event::LoginFailed { user: "x".into(), from: from(), count: 2, by: Some("radius".into()) },
        Event::Login { user: "x".into(), from: from(), via: None },
        Event::LoginWithoutRole {
            user: "x".into(),
            from: from(),
            via: "radius".into(),
            words: vec!["staff".into(), "ops".into()],
        },
        Event::Commanded {
            who: "ann".into(),
            target: "ups.0".into(),
            command: "beeper.disable".into(),
            value: None,
            refused: Some("busy".into()),
        },
        Event::StoreSalvaged {
            moved_to: "evenkeel.redb.damaged".into(),
            reason: "worn".into(),
            tables: vec![
                SalvagedTable { table: "events".into(), kept: 2_950, lost: 50 },
                SalvagedTable { table: "users".into(), kept: 2, lost: 0 },
                SalvagedTable { table: "later".into(), kept: 0, lost: 7 },
            ],
            audit_gaps: vec![],
        },
        Event::Unknown,
    ]
}

/// Neither the name of a value that is missing nor that of a message shows.
fn whole(lang: Lang, text: &str) {
    let odd = ["{", "}", "$", "event-", "finding-", "alarm-", "limit-", "level-", "none"];
    let odd: Vec<_> = odd.iter().filter(|odd| text.contains(**odd)).collect();
    assert!(odd.is_empty() && !text.is_empty(), "{}: {text}: {odd:?}", lang.tag());
}

#[test]
fn events_are_said_whole_in_every_language() {
    for lang in Lang::ALL {
        for event in examples() {
            whole(lang, &words().event(lang, &event));
        }
    }
    let say = |lang, event: &Event| words().event(lang, event);
    assert_eq!(
        say(Lang::De, &examples()[0]),
        "Strang 1 außerhalb des Bands: ein Block liegt \u{2212}905\u{a0}mV neben dem Sollwert"
    );
    assert_eq!(
        say(Lang::De, &examples()[2]),
        "Alarm: Strang 2 Blöcke 3\u{2013}5: Blockspannung zu hoch"
    );
    assert_eq!(
        say(Lang::En, &examples()[5]),
        "String 1 fed the load for 10\u{a0}min 5\u{a0}s, 12.5\u{a0}Ah; block 7 collapsed first"
    );
    assert_eq!(say(Lang::En, &examples()[8]), "Battery test 1 not completed: stopped by a user");
    assert_eq!(
        say(Lang::De, &examples()[11]),
        "Wächter: Arbeitsspeicher des Wächters nicht festgehalten"
    );
    let salvaged = examples().iter().rev().nth(1).map(|event| say(Lang::De, event));
    assert_eq!(
        salvaged.as_deref(),
        Some(
            "Der Speicher war beschädigt (worn); aufgehoben als evenkeel.redb.damaged; im neuen \
             sind: Ereignisse 2950 (50 verloren), Benutzer 2, later 0 (7 verloren)"
        )
    );
    assert_eq!(
        say(Lang::En, &examples()[13]),
        "2 failed sign-ins as \u{201c}x\u{201d} from ::1, rejected by radius"
    );
}

/// One of each; whatever a user chose has a digit in it.
fn actions() -> Vec<Action> {
    let text = str::to_owned;
    let mac = toml::from_str("do = 'wake-on-lan'\nmac = '00:11:22:33:44:55'").expect("good");
    vec![
        Action::Log { text: text("t1"), severity: Severity::Info },
        Action::Output { device: 3, output: 2, on: true },
        Action::Output { device: 3, output: 2, on: false },
        Action::AlarmRelay { healthy: true },
        Action::AlarmRelay { healthy: false },
        Action::Mute {},
        Action::Signal { tone: Tone::Silent, lamp: true, seconds: 60 },
        Action::Signal { tone: Tone::Slow, lamp: true, seconds: 60 },
        Action::Signal { tone: Tone::Slow, lamp: true, seconds: 0 },
        Action::Lamp { bus: 1, address: 3, seconds: 9 },
        Action::Command { target: text("u0"), command: text("c1"), value: None },
        Action::Notify { plugin: text("p1"), text: None },
        Action::Webhook { to: text("h1"), text: None },
        mac,
        Action::Sequence { sequence: text("s1") },
    ]
}

#[test]
fn what_a_job_did_is_said_in_the_language_of_the_reader() {
    let is_word = |word: &&str| word.len() > 1 && word.chars().all(char::is_alphabetic);
    let split = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(is_word);
        words.map(str::to_owned).collect()
    };
    for action in actions() {
        let (job, instance, said) = ("j1".to_owned(), "7.j1.0".to_owned(), action.to_string());
        let act = Some(Box::new(action));
        let (action, reason) = (said.clone(), Reason::Interrupted.text().to_owned());
        let done = Event::JobDone {
            job: job.clone(),
            instance: instance.clone(),
            action: action.clone(),
            act: act.clone(),
            attempts: 1,
        };
        let failed = Event::JobFailed { job, instance, action, act, reason: reason.clone() };
        for event in [&done, &failed] {
            let german = words().event(Lang::De, event);
            let both = split(&(said.clone() + " " + &reason));
            let english: Vec<_> = split(&german).intersection(&both).cloned().collect();
            assert!(english.is_empty(), "{german}: {english:?}");
            assert!(words().event(Lang::En, event).contains(&said), "{said}");
            let field = words().field(Lang::De, event, "action");
            let is_german = |value| matches!(value, template::Value::Text(text) if text != said);
            assert!(field.is_some_and(is_german), "{said}");
        }
    }
    let aborted = Some(Reason::Over.text().to_owned());
    let given_up = Event::SequenceEnded { sequence: "s1".into(), aborted };
    let german = words().event(Lang::De, &given_up);
    assert_eq!(german, "Ablauf s1 wurde abgebrochen: was dazu führte, ist vorbei");
}

#[test]
fn an_alarm_is_said_with_its_blocks_its_value_and_what_to_do() {
    let kind = Kind::Limit(Quantity::BlockTemperature, evenkeel_core::alarm::Side::High);
    let hot = |block, value| Standing {
        value: Some(value),
        limit: Some(40.0),
        ..Standing::plain(kind, Place::Block(2, block), Severity::Alarm)
    };
    let mut book = Book::default();
    let now = Now { standing: vec![hot(3, 41.0), hot(4, 43.5), hot(5, 40.5)], blind: vec![] };
    let changes = book.step(&now, 0);
    let alarm = words().alarm(Lang::De, book.alarms()[0]);
    assert_eq!(alarm.title, "Blocktemperatur zu hoch");
    assert_eq!(alarm.place, "Strang 2 Blöcke 3\u{2013}5");
    assert_eq!(alarm.value, "43,5\u{a0}°C (Grenze 40\u{a0}°C)");
    assert_eq!((alarm.urgency.as_str(), alarm.state.as_str()), ("heute", "nicht quittiert"));
    let event = Event::Alarm(AlarmEvent::of(&changes[0]).expect("told"));
    assert_eq!(
        words().event(Lang::En, &event),
        "Alarm: String 2: Block temperature too high (blocks 3\u{2013}5), 43.5\u{a0}°C, limit \
         40\u{a0}°C"
    );
    for lang in Lang::ALL {
        whole(lang, &words().event(lang, &event));
        let said = words().alarm(lang, book.alarms()[0]);
        for text in [said.title, said.place, said.causes, said.action, said.urgency, said.state] {
            whole(lang, &text);
        }
    }
}

#[test]
fn a_browser_gets_the_language_it_likes_best() {
    for (header, lang) in [
        ("de-AT,de;q=0.9,en;q=0.8", Lang::De),
        ("fi, fr;q=0.5, sk;q=0.7", Lang::Sk),
        ("zh-TW", Lang::ZhHant),
        ("zh-CN, zh;q=0.9", Lang::ZhHans),
        ("pt", Lang::PtBr),
        ("fi;q=1, *;q=0.1", Lang::En),
        ("de;q=0", Lang::En),
        ("", Lang::En),
    ] {
        assert_eq!(Lang::accepted(header), lang, "{header}");
    }
}
