//! A set of rules compiled: every point once, every operation in one list,
//! each rule behind those that it reads.

use super::expr::{self, Draft, ExprError, Op, Operand, Slot};
use super::{INPUTS_MAX, OPS_MAX, RULES_MAX, Rule, TEXT_MAX, Unknown, is_name};
use crate::points::Name;
use crate::time::Nanos;
use std::collections::BTreeMap;

/// Why a set of rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Too many.
    #[error("{got} {what}; at most {most} are possible")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there may be.
        most: usize,
    },
    /// A name is not one.
    #[error("rule {name:?}: a name has 1 to 40 of a-z, 0-9, '-'")]
    Name {
        /// The name.
        name: String,
    },
    /// Two rules have one name.
    #[error("rule {name:?} stands here twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// Its text is too long, or not visible.
    #[error("rule {name:?}: a text has at most 200 bytes and no control characters")]
    Text {
        /// The rule.
        name: String,
    },
    /// An expression is wrong.
    #[error("rule {name:?}, {source}")]
    Expression {
        /// The rule.
        name: String,
        /// What is wrong with it.
        source: ExprError,
    },
    /// A rule reads one that does not exist.
    #[error("rule {name:?} reads rule.{missing}, which does not exist{hint}")]
    Missing {
        /// The rule.
        name: String,
        /// What it reads.
        missing: String,
        /// What may have been meant.
        hint: String,
    },
    /// Rules read each other in a circle.
    #[error("rules read each other in a circle: {}; a latch (sr) in one rule remembers instead", .0.join(" → "))]
    Circle(Vec<String>),
}

/// An operation that is linked: points and rules by their index.
pub(super) type Linked = Op<u32, u32>;

/// Where a rule's value comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// Index of the rule as written.
    pub rule: u32,
    /// Its last operation.
    pub slot: Slot,
    /// What unknown means.
    pub unknown: Unknown,
}

/// Compiled rules; [`Machine`](super::Machine) runs them.
#[derive(Clone, Debug, Default)]
pub struct Program {
    rules: Vec<Rule>,
    inputs: Vec<Name>,
    pub(super) ops: Vec<Linked>,
    /// In the order of `ops`: each is due when its slot was computed.
    pub(super) outputs: Vec<Output>,
}

impl Program {
    /// Compile.
    ///
    /// # Errors
    /// [`RuleError`] names the rule, and what is wrong with it.
    pub fn compile(rules: &[Rule]) -> Result<Self, RuleError> {
        bound("rules", rules.len(), RULES_MAX)?;
        let mut index = BTreeMap::new();
        for (n, rule) in rules.iter().enumerate() {
            check(rule)?;
            if index.insert(rule.name.as_str(), n).is_some() {
                return Err(RuleError::Twice { name: rule.name.clone() });
            }
        }
        let drafts = rules.iter().map(|rule| {
            expr::parse(&rule.when)
                .map_err(|source| RuleError::Expression { name: rule.name.clone(), source })
        });
        let drafts = drafts.collect::<Result<Vec<_>, _>>()?;
        bound("operations of all rules together", drafts.iter().map(Vec::len).sum(), OPS_MAX)?;
        let reads = reads(rules, &drafts, &index)?;
        let mut linker = Linker::default();
        for rule in order(rules, &reads)? {
            let slot = linker.link(&drafts[rule], &index);
            let unknown = rules[rule].unknown;
            linker.outputs.push(Output { rule: rule as u32, slot, unknown });
        }
        let mut inputs: Vec<(Name, u32)> = linker.inputs.into_iter().collect();
        bound("points that are read", inputs.len(), INPUTS_MAX)?;
        inputs.sort_by_key(|(_, n)| *n);
        Ok(Self {
            rules: rules.to_vec(),
            inputs: inputs.into_iter().map(|(name, _)| name).collect(),
            ops: linker.ops,
            outputs: linker.outputs,
        })
    }

    /// The rules as they were written.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The longest delay of any rule: so long after the beginning a rule may
    /// be false only because its delay begins anew.
    #[must_use]
    pub fn longest_delay(&self) -> Nanos {
        let delays = self.ops.iter().filter_map(|op| match op {
            Op::Ton(_, delay) => Some(*delay),
            _ => None,
        });
        delays.max().unwrap_or_default()
    }

    /// The points that it reads: what [`Machine::step`](super::Machine::step)
    /// wants, in this order.
    #[must_use]
    pub fn inputs(&self) -> &[Name] {
        &self.inputs
    }
}

fn bound(what: &'static str, got: usize, most: usize) -> Result<(), RuleError> {
    if got > most { Err(RuleError::TooMany { what, got, most }) } else { Ok(()) }
}

fn check(rule: &Rule) -> Result<(), RuleError> {
    let name = || rule.name.clone();
    if !is_name(&rule.name) {
        return Err(RuleError::Name { name: name() });
    }
    if rule.text.len() > TEXT_MAX || rule.text.chars().any(char::is_control) {
        return Err(RuleError::Text { name: name() });
    }
    Ok(())
}

/// Which rules each rule reads.
fn reads(
    rules: &[Rule],
    drafts: &[Vec<Draft>],
    index: &BTreeMap<&str, usize>,
) -> Result<Vec<Vec<usize>>, RuleError> {
    let of = |(rule, draft): (&Rule, &Vec<Draft>)| {
        let named = draft.iter().filter_map(|op| match op {
            Op::Rule(name) => Some(name),
            _ => None,
        });
        let found = named.map(|missing| {
            index.get(missing.as_str()).copied().ok_or_else(|| {
                let like = |known: &&&str| {
                    known.starts_with(missing.as_str()) || missing.starts_with(**known)
                };
                let hint = index.keys().find(like);
                let hint = hint.map(|near| format!("; did you mean rule.{near}?"));
                let (name, hint) = (rule.name.clone(), hint.unwrap_or_default());
                RuleError::Missing { name, missing: missing.clone(), hint }
            })
        });
        found.collect()
    };
    rules.iter().zip(drafts).map(of).collect()
}

/// Rules behind those that they read. Without recursion: a thousand rules may
/// stand in one chain.
fn order(rules: &[Rule], reads: &[Vec<usize>]) -> Result<Vec<usize>, RuleError> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Open,
        Done,
    }
    let mut seen = vec![Seen::Not; rules.len()];
    let mut order = Vec::with_capacity(rules.len());
    for root in 0..rules.len() {
        // Rule, and which of those that it reads is next.
        let mut path = vec![(root, 0)];
        while let Some((rule, next)) = path.pop() {
            if seen[rule] == Seen::Done {
                continue;
            }
            seen[rule] = Seen::Open;
            let Some(&read) = reads[rule].get(next) else {
                seen[rule] = Seen::Done;
                order.push(rule);
                continue;
            };
            path.push((rule, next + 1));
            if seen[read] == Seen::Open {
                let from = path.iter().position(|(r, _)| *r == read).unwrap_or(0);
                let circle = path[from..].iter().map(|(r, _)| *r).chain([read]);
                return Err(RuleError::Circle(circle.map(|r| rules[r].name.clone()).collect()));
            }
            path.push((read, 0));
        }
    }
    Ok(order)
}

#[derive(Default)]
struct Linker {
    inputs: BTreeMap<Name, u32>,
    ops: Vec<Linked>,
    outputs: Vec<Output>,
}

impl Linker {
    /// Append one rule; its last slot.
    fn link(&mut self, draft: &[Draft], rules: &BTreeMap<&str, usize>) -> Slot {
        let base = self.ops.len() as Slot;
        for op in draft {
            let linked = match op {
                Op::Const(value) => Op::Const(*value),
                Op::Flag(of) => Op::Flag(self.input(of)),
                Op::Rule(name) => {
                    let rule = rules.get(name.as_str()).copied();
                    Op::Rule(rule.expect("looked at before") as u32)
                }
                Op::Fresh(of) => Op::Fresh(self.input(of)),
                Op::Compare { of, relation, to, hysteresis } => {
                    let (of, relation, hysteresis) = (self.input(of), *relation, *hysteresis);
                    let to = match to {
                        Operand::Number(number) => Operand::Number(*number),
                        Operand::Point(name) => Operand::Point(self.input(name)),
                    };
                    Op::Compare { of, relation, to, hysteresis }
                }
                Op::Text { of, is, how } => {
                    Op::Text { of: self.input(of), is: is.clone(), how: *how }
                }
                Op::Known(a) => Op::Known(base + a),
                Op::Not(a) => Op::Not(base + a),
                Op::And(a, b) => Op::And(base + a, base + b),
                Op::Or(a, b) => Op::Or(base + a, base + b),
                Op::Xor(a, b) => Op::Xor(base + a, base + b),
                Op::Ton(a, delay) => Op::Ton(base + a, *delay),
                Op::Tof(a, delay) => Op::Tof(base + a, *delay),
                Op::Tp(a, delay) => Op::Tp(base + a, *delay),
                Op::Sr { set, reset } => Op::Sr { set: base + set, reset: base + reset },
                Op::Rs { set, reset } => Op::Rs { set: base + set, reset: base + reset },
                Op::Rise(a) => Op::Rise(base + a),
                Op::Fall(a) => Op::Fall(base + a),
                Op::Ctu { count, reset, to } => {
                    Op::Ctu { count: base + count, reset: base + reset, to: *to }
                }
                Op::Ctd { count, load, from } => {
                    Op::Ctd { count: base + count, load: base + load, from: *from }
                }
                Op::Window(window) => Op::Window(*window),
            };
            self.ops.push(linked);
        }
        self.ops.len() as Slot - 1
    }

    fn input(&mut self, name: &Name) -> u32 {
        let next = self.inputs.len() as u32;
        *self.inputs.entry(name.clone()).or_insert(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn rule(name: &str, when: &str) -> Rule {
        Rule {
            name: name.into(),
            when: when.into(),
            unknown: Unknown::False,
            severity: crate::events::Severity::Warning,
            text: String::new(),
            event: true,
        }
    }

    #[test]
    fn rules_stand_behind_what_they_read_and_points_are_read_once() {
        let program = Program::compile(&[
            rule("c", "rule.a and rule.b"),
            rule("b", "rule.a or ups.0.battery.charge < 5"),
            rule("a", "ups.0.battery.charge < 9"),
        ])
        .expect("good");
        let order: Vec<u32> = program.outputs.iter().map(|o| o.rule).collect();
        assert_eq!(order, [2, 1, 0]);
        assert_eq!(program.inputs().len(), 1);
    }

    #[test]
    fn a_circle_is_named() {
        let circle = Program::compile(&[
            rule("x", "rule.a"),
            rule("a", "not rule.b"),
            rule("b", "rule.c"),
            rule("c", "rule.a"),
        ]);
        let text = circle.expect_err("a circle").to_string();
        assert!(text.contains("a → b → c → a"), "{text}");
        let own = Program::compile(&[rule("a", "rule.a")]).expect_err("a circle").to_string();
        assert!(own.contains("a → a"), "{own}");
    }

    #[test]
    fn what_is_wrong_with_a_set_is_named() {
        let error = |rules: &[Rule]| Program::compile(rules).expect_err("wrong").to_string();
        assert!(error(&[rule("A", "true")]).contains("a name has"));
        assert!(error(&[rule("a", "true"), rule("a", "true")]).contains("twice"));
        assert!(error(&[rule("a", "rule.bee"), rule("b", "true")]).contains("mean rule.b?"));
        let long = Rule { text: "x".repeat(201), ..rule("a", "true") };
        assert!(error(&[long]).contains("200 bytes"));
        assert!(error(&vec![rule("a", "true"); 1_001]).contains("at most 1000"));
        let wide = "true or ".repeat(40) + "true";
        let many: Vec<_> = (0..400).map(|n| rule(&format!("r{n}"), &wide)).collect();
        assert!(error(&many).contains("operations"));
    }

    #[test]
    fn a_thousand_rules_in_one_chain_are_ordered() {
        let name = |n: usize| format!("r{n}");
        let mut chain: Vec<_> =
            (0..999).map(|n| rule(&name(n), &format!("rule.{}", name(n + 1)))).collect();
        chain.push(rule(&name(999), "true"));
        let program = Program::compile(&chain).expect("good");
        assert_eq!(program.outputs[0].rule, 999);
    }
}
