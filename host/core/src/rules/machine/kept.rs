//! What rules remember, as a small value that outlives the daemon.
//!
//! A rule is known by its name and its expression: one that was edited begins
//! anew, one whose severity or text was edited does not.
//!
//! # Time that nobody saw
//! Time while nobody evaluates the rules counts for no timer. An interruption of
//! up to [`OFF_MAX`], as of a restart or an update, is no gap: delays and pulses
//! go on where they stood. A longer one, or one of which the clock does not tell
//! how long it was, is a gap like that of an unknown input: a delay that runs
//! starts again, a pulse is over. Latches, counters, hysteresis and what an edge
//! compares with stand still either way, and what was told is not told again.

use super::{Machine, Memory, Op};
use crate::rules::{Rule, Unknown};
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// Longest interruption that is no gap. What is kept may be a minute old when
/// power fails, so this is more than a restart takes.
pub const OFF_MAX: Nanos = Nanos::from_secs(180);

/// What one rule remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptRule {
    /// Of its expression.
    sum: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    value: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    told: bool,
    /// Changes that may still be told at once, and ms towards one more; `None`:
    /// as at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget: Option<(u32, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ops: Vec<KeptOp>,
}

/// What one of its operations remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptOp {
    /// Its place in the rule.
    at: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<bool>,
    /// For how long its timer has run, ms; no longer than it is to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ran_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    count: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Machine {
    /// What the rules remember since the last evaluation, by their names; one
    /// that is as at its beginning is left out.
    pub fn kept(&self) -> impl Iterator<Item = (&str, KeptRule)> {
        self.program.outputs.iter().enumerate().filter_map(|(n, output)| {
            let index = output.rule as usize;
            let rule = &self.program.rules()[index];
            let kept = KeptRule {
                sum: sum(rule),
                value: self.values[index].value,
                told: self.told[index],
                budget: self.budgets[index].kept(self.last),
                ops: self.ops_of(n).filter_map(|op| self.kept_op(n, op)).collect(),
            };
            let is_new = !kept.value && !kept.told && kept.budget.is_none() && kept.ops.is_empty();
            (!is_new).then_some((rule.name.as_str(), kept))
        })
    }

    /// Go on with a rule as it was kept, before the first evaluation; `off`: how
    /// long nobody evaluated it, if that is known. False when there is no such
    /// rule any more: then it begins anew.
    pub fn resume(&mut self, name: &str, kept: &KeptRule, off: Option<Nanos>, now: Nanos) -> bool {
        let outputs = self.program.outputs.iter().enumerate();
        let found = outputs
            .map(|(n, output)| (n, output.rule as usize))
            .find(|(_, index)| self.program.rules()[*index].name == name);
        let Some((n, index)) = found.filter(|(_, i)| sum(&self.program.rules()[*i]) == kept.sum)
        else {
            return false;
        };
        let is_gap = off.is_none_or(|off| off > OFF_MAX);
        let ops = self.ops_of(n);
        for op in &kept.ops {
            let at = ops.start.saturating_add(op.at as usize);
            let Some(memory) = self.memory.get_mut(at).filter(|_| ops.contains(&at)) else {
                continue;
            };
            let ran = op.ran_ms.map(Nanos::from_millis);
            let runs = ran.zip(length(&self.program.ops[at])).is_some_and(|(ran, all)| ran < all);
            let since = ran.filter(|_| !(runs && is_gap)).map(|_| now);
            let before = since.and(ran).unwrap_or_default();
            *memory = Memory { held: op.held, since, before, count: op.count };
        }
        self.values[index].value = kept.value;
        self.told[index] = kept.told;
        if let Some((left, ms)) = kept.budget {
            self.budgets[index].resume(left, Nanos::from_millis(ms), now);
        }
        self.last = self.last.max(now);
        true
    }

    /// Operations of the rule of the `n`th output.
    fn ops_of(&self, n: usize) -> core::ops::Range<usize> {
        let end = |n: usize| self.program.outputs[n].slot as usize + 1;
        n.checked_sub(1).map_or(0, end)..end(n)
    }

    fn kept_op(&self, n: usize, op: usize) -> Option<KeptOp> {
        let Memory { held, count, .. } = self.memory[op];
        let most = length(&self.program.ops[op]).unwrap_or_default();
        let ran = self.memory[op].ran(self.last).map(|ran| ran.min(most).as_millis());
        let at = (op - self.ops_of(n).start) as u32;
        let is_new = held.is_none() && ran.is_none() && count == 0;
        (!is_new).then_some(KeptOp { at, held, ran_ms: ran, count })
    }
}

/// How long a timer is to run.
fn length<P, R>(op: &Op<P, R>) -> Option<Nanos> {
    match op {
        Op::Ton(_, length) | Op::Tof(_, length) | Op::Tp(_, length) => Some(*length),
        _ => None,
    }
}

/// FNV-1a, 64 bits: enough to tell an expression from an edited one.
fn sum(rule: &Rule) -> u64 {
    let unknown = match rule.unknown {
        Unknown::False => 0,
        Unknown::True => 1,
        Unknown::Hold => 2,
    };
    let bytes = rule.when.bytes().chain([0, unknown]);
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Edge, Moment, Reading};
    use super::*;
    use crate::events::Severity;
    use crate::rules::Program;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const WHENS: [&str; 12] = [
        "ton(device.1.input.1, 3 s)",
        "tof(device.1.input.1, 4 s)",
        "tp(device.1.input.2, 5 s)",
        "sr(device.1.input.1, device.1.input.2)",
        "rs(device.1.input.1, device.1.input.2)",
        "ctu(device.1.input.1, device.1.input.2, 3)",
        "ctd(device.1.input.1, device.1.input.2, 2)",
        "rise(device.1.input.1) or fall(device.1.input.2)",
        "string.1.ambient > 0 hyst 10",
        "ton(rule.r3 xor string.1.ambient > 5 hyst 4, 2 s) and not tof(rise(rule.r0), 6 s)",
        "device.1.input.2",
        "sr(ton(device.1.input.2, 1 s), rule.r5)",
    ];

    fn rules() -> Vec<Rule> {
        let rule = |(n, when): (usize, &&str)| Rule {
            name: format!("r{n}"),
            when: (*when).to_owned(),
            unknown: [Unknown::False, Unknown::True, Unknown::Hold][n % 3],
            severity: Severity::Warning,
            text: String::new(),
            event: true,
        };
        WHENS.iter().enumerate().map(rule).collect()
    }

    fn program(rules: &[Rule]) -> Program {
        Program::compile(rules).expect("good rules")
    }

    /// What is seen in one snapshot.
    #[derive(Clone, Copy, Debug)]
    struct Seen {
        wait_ms: u64,
        flags: [Option<bool>; 2],
        ambient: Option<f64>,
    }

    fn seen() -> impl Strategy<Value = Seen> {
        let flag = || prop_oneof![4 => Just(Some(true)), 4 => Just(Some(false)), 1 => Just(None)];
        let ambient = prop::option::weighted(0.9, -20.0..20.0);
        (1_u64..2_500, [flag(), flag()], ambient).prop_map(|(wait_ms, flags, ambient)| Seen {
            wait_ms,
            flags,
            ambient,
        })
    }

    fn step(machine: &mut Machine, seen: &Seen, now: Nanos) -> Vec<Edge> {
        let flag = |flag: Option<bool>| flag.map_or(Reading::Unknown, Reading::Flag);
        let of = |name: String| match name.as_str() {
            "device.1.input.1" => flag(seen.flags[0]),
            "device.1.input.2" => flag(seen.flags[1]),
            _ => seen.ambient.map_or(Reading::Unknown, Reading::Number),
        };
        let names = machine.program().inputs().iter().map(ToString::to_string);
        let readings: Vec<_> = names.map(of).collect();
        let mut edges = Vec::new();
        machine.step(&readings, Moment { now, local: None }, &mut edges);
        edges
    }

    /// Through bytes, as the store does.
    fn written(machine: &Machine) -> BTreeMap<String, KeptRule> {
        let kept = machine.kept().map(|(name, kept)| {
            let bytes = postcard::to_allocvec(&Whole::of(&kept)).expect("written");
            let whole: Whole = postcard::from_bytes(&bytes).expect("read");
            (name.to_owned(), whole.into_kept())
        });
        kept.collect()
    }

    /// All fields, for a form without names.
    #[derive(Serialize, Deserialize)]
    struct Whole(u64, bool, bool, Option<(u32, u64)>, Vec<(u32, Option<bool>, Option<u64>, u32)>);

    impl Whole {
        fn of(kept: &KeptRule) -> Self {
            let ops = kept.ops.iter().map(|op| (op.at, op.held, op.ran_ms, op.count)).collect();
            Self(kept.sum, kept.value, kept.told, kept.budget, ops)
        }

        fn into_kept(self) -> KeptRule {
            let op = |(at, held, ran_ms, count)| KeptOp { at, held, ran_ms, count };
            let ops = self.4.into_iter().map(op).collect();
            KeptRule { sum: self.0, value: self.1, told: self.2, budget: self.3, ops }
        }
    }

    fn resumed(kept: &BTreeMap<String, KeptRule>, off: Option<Nanos>, now: Nanos) -> Machine {
        let mut machine = Machine::new(program(&rules()));
        for (name, kept) in kept {
            assert!(machine.resume(name, kept, off, now));
        }
        machine
    }

    proptest! {
        #[test]
        fn a_run_in_two_parts_is_the_run_in_one(
            seen in prop::collection::vec(seen(), 2..120),
            splits in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
            later_ms in 0_u64..1_000_000,
        ) {
            let (mut whole, mut parted) = (Machine::new(program(&rules())), Machine::new(program(&rules())));
            let (mut now, mut other) = (Nanos::from_secs(1_000), Nanos::from_secs(1_000));
            let splits: Vec<_> = splits.iter().map(|at| at.index(seen.len())).collect();
            for (n, seen) in seen.iter().enumerate() {
                now = now + Nanos::from_millis(seen.wait_ms);
                other = other + Nanos::from_millis(seen.wait_ms);
                let edges = step(&mut whole, seen, now);
                prop_assert_eq!(&edges, &step(&mut parted, seen, other), "at {}", n);
                prop_assert_eq!(whole.values(), parted.values(), "at {}", n);
                if splits.contains(&n) {
                    // Another boot: its clock begins anywhere.
                    other = Nanos::from_millis(later_ms);
                    parted = resumed(&written(&parted), Some(OFF_MAX), other);
                }
            }
        }

        #[test]
        fn a_long_interruption_does_what_a_gap_of_all_inputs_does(
            seen in prop::collection::vec(seen(), 2..60),
            at in any::<prop::sample::Index>(),
            off in prop::option::of(181_u64..1_000_000),
        ) {
            // Of timers of inputs: those of rules see what the rule decides.
            let simple = |n: &usize| [0, 3, 4, 5, 6, 8, 10].contains(n);
            let (mut gap, mut parted) = (Machine::new(program(&rules())), Machine::new(program(&rules())));
            let (mut now, at) = (Nanos::from_secs(9), at.index(seen.len()));
            for (n, seen) in seen.iter().enumerate() {
                now = now + Nanos::from_millis(seen.wait_ms);
                step(&mut gap, seen, now);
                step(&mut parted, seen, now);
                let alike = (0..WHENS.len()).filter(simple);
                for rule in alike {
                    prop_assert_eq!(gap.values()[rule], parted.values()[rule], "rule {} at {}", rule, n);
                }
                if n == at {
                    let nothing = Seen { wait_ms: 0, flags: [None; 2], ambient: None };
                    step(&mut gap, &nothing, now);
                    // What is held is decided again by the next snapshot.
                    parted = resumed(&written(&parted), off.map(Nanos::from_secs), now);
                }
            }
        }

        #[test]
        fn whatever_was_kept_is_taken_without_a_panic(
            ops in prop::collection::vec((any::<u32>(), any::<Option<bool>>(), any::<Option<u64>>(), any::<u32>()), 0..9),
            budget in any::<Option<(u32, u64)>>(),
            seen in prop::collection::vec(seen(), 1..9),
        ) {
            let mut machine = Machine::new(program(&rules()));
            for rule in rules() {
                let kept = Whole(sum(&rule), true, false, budget, ops.clone()).into_kept();
                prop_assert!(machine.resume(&rule.name, &kept, None, Nanos(5)));
            }
            for (n, seen) in seen.iter().enumerate() {
                step(&mut machine, seen, Nanos::from_secs(n as u64));
            }
        }
    }

    #[test]
    fn a_rule_that_was_edited_begins_anew() {
        let mut machine = Machine::new(program(&rules()));
        let on = Seen { wait_ms: 0, flags: [Some(true); 2], ambient: Some(9.0) };
        step(&mut machine, &on, Nanos::from_secs(1));
        let kept = written(&machine);
        let mut edited = rules();
        edited[3].when = "sr(device.1.input.2, device.1.input.1)".to_owned();
        edited[8].severity = Severity::Alarm;
        edited[10].name = "other".to_owned();
        let mut machine = Machine::new(program(&edited));
        let resumed: Vec<_> = kept
            .iter()
            .filter(|(name, kept)| machine.resume(name, kept, Some(Nanos(0)), Nanos::from_secs(9)))
            .map(|(name, _)| name.as_str())
            .collect();
        assert!(!resumed.contains(&"r3") && !resumed.contains(&"r10"), "{resumed:?}");
        assert!(resumed.contains(&"r8") && machine.values()[8].value);
        assert!(!machine.values()[3].value);
    }

    #[test]
    fn what_does_not_change_is_kept_the_same() {
        let mut machine = Machine::new(program(&rules()));
        assert_eq!(machine.kept().count(), 0, "nothing happened");
        let on = Seen { wait_ms: 0, flags: [Some(true), Some(false)], ambient: Some(9.0) };
        for second in 0..400 {
            step(&mut machine, &on, Nanos::from_secs(second));
        }
        let before = written(&machine);
        step(&mut machine, &on, Nanos::from_secs(4_000));
        assert_eq!(written(&machine), before, "time alone is no reason to write");
    }
}
