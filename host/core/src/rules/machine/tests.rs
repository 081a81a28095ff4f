//! Rules at work: each block by example, and all of them against a slow,
//! obvious model in virtual time.

use super::super::{Rule, Unknown};
use super::*;
use crate::events::Severity;
use proptest::prelude::*;

const FLAG: &str = "device.1.input.1";

fn machine(whens: &[&str]) -> Machine {
    let rule = |(n, when): (usize, &&str)| Rule {
        name: format!("r{n}"),
        when: (*when).to_owned(),
        unknown: Unknown::Hold,
        severity: Severity::Warning,
        text: String::new(),
        event: true,
    };
    let rules: Vec<_> = whens.iter().enumerate().map(rule).collect();
    Machine::new(Program::compile(&rules).expect("good rules"))
}

fn at(ms: u64) -> Moment {
    Moment { now: Nanos::from_secs(1_000) + Nanos::from_millis(ms), local: None }
}

fn reading(flag: Option<bool>) -> Reading<'static> {
    flag.map_or(Reading::Unknown, Reading::Flag)
}

/// Values of rule 0 after each of these inputs, a second apart.
fn run(when: &str, inputs: &[Option<bool>]) -> Vec<Option<bool>> {
    let mut machine = machine(&[when]);
    let step = |(second, input): (usize, &Option<bool>)| {
        machine.step(&[reading(*input)], at(second as u64 * 1_000), &mut Vec::new());
        let value = machine.values()[0];
        value.known.then_some(value.value)
    };
    inputs.iter().enumerate().map(step).collect()
}

const T: Option<bool> = Some(true);
const F: Option<bool> = Some(false);
const U: Option<bool> = None;

#[test]
fn timers_are_those_of_the_standard() {
    let ton = format!("ton({FLAG}, 2 s)");
    assert_eq!(run(&ton, &[F, T, T, T, F, T, F]), [F, F, F, T, F, F, F]);
    assert_eq!(run(&ton, &[T, U, T, T, T]), [F, U, F, F, T], "a gap begins it again");
    assert_eq!(run(&ton, &[T, T, T, U, T]), [F, F, T, U, T], "what is on stays on");
    let tof = format!("tof({FLAG}, 2 s)");
    assert_eq!(run(&tof, &[F, T, F, F, F, T, F]), [F, T, T, T, F, T, T]);
    let tp = format!("tp({FLAG}, 2 s)");
    assert_eq!(run(&tp, &[F, T, F, T, F, T]), [F, T, T, F, F, T], "nothing cuts it short");
    assert_eq!(run(&tp, &[T, T]), [F, F], "true from the beginning is no rise");
}

#[test]
fn latches_edges_and_counters_stand_still_in_a_gap() {
    let two = |when: &str, inputs: &[(Option<bool>, Option<bool>)]| {
        let mut machine = machine(&[when]);
        let step = |(n, (a, b)): (usize, &(Option<bool>, Option<bool>))| {
            machine.step(&[reading(*a), reading(*b)], at(n as u64), &mut Vec::new());
            machine.values()[0].value
        };
        inputs.iter().enumerate().map(step).collect::<Vec<_>>()
    };
    let sr = "sr(device.1.input.1, device.1.input.2)";
    assert_eq!(two(sr, &[(T, F), (F, F), (U, U), (T, T), (F, T)]), [true, true, true, true, false]);
    let rs = "rs(device.1.input.1, device.1.input.2)";
    assert_eq!(two(rs, &[(T, F), (U, F), (T, T)]), [true, true, false]);
    assert_eq!(run(&format!("rise({FLAG})"), &[F, T, T, U, T, F, U, T]), [F, T, F, U, F, F, U, T]);
    assert_eq!(run(&format!("fall({FLAG})"), &[T, U, F, F]), [F, U, T, F]);
    let ctu = "ctu(device.1.input.1, device.1.input.2, 2)";
    assert_eq!(
        two(ctu, &[(F, F), (T, F), (F, F), (T, U), (T, F), (F, T), (T, F)]),
        [false, false, false, true, true, false, false]
    );
    let ctd = "ctd(device.1.input.1, device.1.input.2, 1)";
    assert_eq!(two(ctd, &[(F, F), (F, T), (F, F), (T, F)]), [true, false, false, true]);
}

#[test]
fn a_comparison_has_hysteresis_and_keeps_it_through_a_gap() {
    let mut machine = machine(&["string.1.ambient > 30 hyst 2"]);
    let mut value = |reading| {
        machine.step(&[reading], at(0), &mut Vec::new());
        (machine.values()[0].value, machine.values()[0].known)
    };
    assert_eq!(value(Reading::Number(30.0)), (false, true));
    assert_eq!(value(Reading::Number(30.1)), (true, true));
    assert_eq!(value(Reading::Number(28.1)), (true, true));
    assert_eq!(value(Reading::Unknown), (true, false));
    assert_eq!(value(Reading::Number(28.1)), (true, true));
    assert_eq!(value(Reading::Number(28.0)), (false, true));
    assert_eq!(value(Reading::Text("31")), (false, false), "a text is no number");
}

#[test]
fn each_rule_says_what_unknown_means() {
    let mut rules = machine(&[
        "device.1.input.1",
        "device.1.input.1",
        "device.1.input.1",
        "known(device.1.input.1)",
        "fresh(device.1.input.1)",
    ])
    .program
    .rules()
    .to_vec();
    (rules[0].unknown, rules[1].unknown) = (Unknown::False, Unknown::True);
    let mut machine = Machine::new(Program::compile(&rules).expect("good rules"));
    let mut values = |flag| {
        machine.step(&[reading(flag)], at(0), &mut Vec::new());
        machine.values().iter().map(|v| v.value).collect::<Vec<_>>()
    };
    assert_eq!(values(T), [true, true, true, true, true]);
    assert_eq!(values(U), [false, true, true, false, false]);
    assert_eq!(values(F), [false, false, false, true, true]);
    assert_eq!(values(U), [false, true, false, false, false]);
}

#[test]
fn texts_windows_and_other_rules() {
    let mut machine = machine(&[
        "ups.0.ups.status has 'OB'",
        "ups.0.ups.status == 'OL'",
        "rule.r0 and window('08:00-18:00 mon-fri')",
    ]);
    let mut values = |status, local| {
        let at = Moment { local, ..at(0) };
        machine.step(&[Reading::Text(status)], at, &mut Vec::new());
        machine.values().iter().map(|v| v.value).collect::<Vec<_>>()
    };
    let noon = Some(Local { weekday: 2, minute: 720 });
    assert_eq!(values("OB LB", noon), [true, false, true]);
    assert_eq!(values("OL", noon), [false, true, false]);
    assert_eq!(values("BOB", noon), [false, false, false], "words are whole words");
    assert_eq!(values("OB", None), [true, false, false], "nobody knows the time");
}

#[test]
fn a_rule_that_flaps_is_told_of_twice_a_minute_and_truly() {
    let mut machine = machine(&[FLAG]);
    let mut edges = Vec::new();
    for second in 0..3_600 {
        machine.step(&[Reading::Flag(second % 2 == 0)], at(second * 1_000), &mut edges);
    }
    assert!((60..=10 + 120 + 1).contains(&edges.len()), "{} in an hour", edges.len());
    for second in 3_600..3_640 {
        machine.step(&[Reading::Flag(true)], at(second * 1_000), &mut edges);
    }
    assert!(edges.last().is_some_and(|edge| edge.value), "the end is told");
    assert!(edges.windows(2).all(|w| w[0].value != w[1].value));
}

/// TON, TOF and SR, said as the standard says them, over the whole past.
fn model(past: &[(u64, bool, bool)], delay_ms: u64) -> (bool, bool, bool) {
    let (now, ..) = *past.last().expect("a past");
    let run = |wanted: bool| {
        let run = past.iter().rev().take_while(|(_, on, _)| *on == wanted);
        run.last().map(|(since, ..)| now - since)
    };
    let ton = run(true).is_some_and(|for_ms| for_ms >= delay_ms);
    let ever = past.iter().any(|(_, on, _)| *on);
    let tof = ever && run(false).is_none_or(|for_ms| for_ms < delay_ms);
    let sr =
        past.iter().rev().find(|(_, set, reset)| *set || *reset).is_some_and(|(_, set, _)| *set);
    (ton, tof, sr)
}

proptest! {
    #[test]
    fn timers_and_latches_do_what_the_model_does(
        steps in proptest::collection::vec((1u64..2_000, any::<bool>(), any::<bool>()), 1..60),
        delay_ms in 1u64..4_000,
    ) {
        let flags = "device.1.input.1, device.1.input.2";
        let mut machine = machine(&[
            &format!("ton({FLAG}, {delay_ms} ms)"),
            &format!("tof({FLAG}, {delay_ms} ms)"),
            &format!("sr({flags})"),
        ]);
        let (mut past, mut now) = (Vec::new(), 0);
        for (wait, a, b) in steps {
            now += wait;
            past.push((now, a, b));
            machine.step(&[Reading::Flag(a), Reading::Flag(b)], at(now), &mut Vec::new());
            let values = machine.values();
            let ours = (values[0].value, values[1].value, values[2].value);
            prop_assert_eq!(ours, model(&past, delay_ms));
        }
    }

    #[test]
    fn unknown_never_becomes_known_by_logic_that_depends_on_it(a in 0u8..3, b in 0u8..3) {
        // Whatever a known input is replaced by unknown: the outcome stays or
        // becomes unknown, and never turns round.
        let tri = |n: u8| match n { 0 => F, 1 => T, _ => U };
        let ops = ["and", "or", "xor"];
        for op in ops {
            let when = format!("device.1.input.1 {op} device.1.input.2");
            let eval = |a, b| {
                let mut machine = machine(&[&when]);
                machine.step(&[reading(a), reading(b)], at(0), &mut Vec::new());
                let value = machine.values()[0];
                value.known.then_some(value.value)
            };
            let whole = eval(tri(a), tri(b));
            let less = eval(U, tri(b));
            prop_assert!(less.is_none() || less == whole, "{} {:?} {:?}", op, less, whole);
        }
    }

    #[test]
    fn the_same_snapshots_give_the_same_edges(
        steps in proptest::collection::vec((any::<bool>(), -50.0f64..50.0), 1..80),
    ) {
        let whens = ["ton(device.1.input.1, 3 s) xor rule.r1", "string.1.ambient > 0 hyst 10",
            "ctu(rule.r1, device.1.input.1, 3)"];
        let run = || {
            let mut machine = machine(&whens);
            let names: Vec<String> = machine.program().inputs().iter().map(ToString::to_string).collect();
            let mut edges = Vec::new();
            for (second, (flag, number)) in steps.iter().enumerate() {
                let of = |name: &String| match name.starts_with("device") {
                    true => Reading::Flag(*flag),
                    false => Reading::Number(*number),
                };
                let readings: Vec<_> = names.iter().map(of).collect();
                machine.step(&readings, at(second as u64 * 1_000), &mut edges);
            }
            edges
        };
        prop_assert_eq!(run(), run());
    }
}
