//! Running compiled rules: one pass over the operations per snapshot.
//!
//! ```text
//!   readings, now, local time ──▶ ops[0] … ops[n] ──▶ value of each rule ──▶ edges
//!                                    │  ▲
//!                                 memory of timers, latches, counters, hysteresis
//! ```

mod kept;

pub use kept::{KeptRule, OFF_MAX};

use super::Unknown;
use super::expr::{Match, Op, Operand, Slot};
use super::lex::Relation;
use super::program::{Linked, Program};
use crate::events::Budget;
use crate::points::{Point, Quality, Value};
use crate::schedule::Local;
use crate::time::Nanos;

/// Changes of one rule that are told at once …
const EDGES: u32 = 10;
/// … and then one in this time. What was not told yet is told when it still
/// holds.
const EDGE_EVERY: Nanos = Nanos::from_secs(30);

/// What is known of a point in one snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading<'a> {
    /// Nothing that could be used.
    Unknown,
    /// A number in the point's unit.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// Yes or no.
    Flag(bool),
}

impl<'a> From<Option<&'a Point>> for Reading<'a> {
    fn from(point: Option<&'a Point>) -> Self {
        let usable = |p: &&Point| matches!(p.quality, Quality::Good | Quality::Estimated);
        match point.filter(usable).map(|p| &p.value) {
            Some(Value::Number(number)) if number.is_finite() => Self::Number(*number),
            Some(Value::Text(text)) => Self::Text(text),
            Some(Value::Flag(flag)) => Self::Flag(*flag),
            _ => Self::Unknown,
        }
    }
}

/// When a snapshot was taken.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// On the monotonic clock; never goes back.
    pub now: Nanos,
    /// Local time; `None` while nobody knows it.
    pub local: Option<Local>,
}

/// What a rule is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleValue {
    /// Its value, unknown already decided.
    pub value: bool,
    /// False while that is decided by [`Unknown`] alone.
    pub known: bool,
}

/// A rule that became another, and is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Index of the rule as written.
    pub rule: usize,
    /// What it is now.
    pub value: bool,
}

/// True, false, or `None` for unknown.
type Tri = Option<bool>;

/// What an operation remembers.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    /// Output of a timer, latch or comparison; last known input of an edge.
    held: Tri,
    since: Option<Nanos>,
    /// What counts of the time before `since`.
    before: Nanos,
    count: u32,
}

/// Rules at work.
#[derive(Clone, Debug)]
pub struct Machine {
    program: Program,
    slots: Vec<Tri>,
    memory: Vec<Memory>,
    values: Vec<RuleValue>,
    told: Vec<bool>,
    budgets: Vec<Budget>,
    /// When the last evaluation was.
    last: Nanos,
}

impl Machine {
    /// At the beginning: every rule false and not known.
    #[must_use]
    pub fn new(program: Program) -> Self {
        let (ops, rules) = (program.ops.len(), program.rules().len());
        Self {
            program,
            slots: vec![None; ops],
            memory: vec![Memory::default(); ops],
            values: vec![RuleValue::default(); rules],
            told: vec![false; rules],
            budgets: vec![Budget::new(EDGES, EDGE_EVERY); rules],
            last: Nanos::default(),
        }
    }

    /// What it runs.
    #[must_use]
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// What each rule is, in the order in which they were written.
    #[must_use]
    pub fn values(&self) -> &[RuleValue] {
        &self.values
    }

    /// One evaluation: `readings` in the order of [`Program::inputs`]; those
    /// that are missing are unknown. `edges` gets what is to be told.
    pub fn step(&mut self, readings: &[Reading<'_>], at: Moment, edges: &mut Vec<Edge>) {
        self.last = self.last.max(at.now);
        let mut outputs = self.program.outputs.iter().peekable();
        for (n, op) in self.program.ops.iter().enumerate() {
            let scan = Scan { slots: &self.slots, values: &self.values, readings, at };
            let value = scan.eval(op, &mut self.memory[n]);
            self.slots[n] = value;
            // Every rule has a slot of its own, its last.
            if let Some(output) = outputs.next_if(|output| output.slot as usize == n) {
                let rule = &mut self.values[output.rule as usize];
                let decided = match output.unknown {
                    Unknown::False => false,
                    Unknown::True => true,
                    Unknown::Hold => rule.value,
                };
                *rule = RuleValue { value: value.unwrap_or(decided), known: value.is_some() };
            }
        }
        let rules = self.values.iter().zip(&mut self.told).zip(&mut self.budgets);
        for (rule, ((value, told), budget)) in rules.enumerate() {
            if value.value != *told && budget.spend(at.now) {
                *told = value.value;
                edges.push(Edge { rule, value: value.value });
            }
        }
    }
}

/// What operations may look at.
struct Scan<'a> {
    slots: &'a [Tri],
    values: &'a [RuleValue],
    readings: &'a [Reading<'a>],
    at: Moment,
}

impl Scan<'_> {
    fn eval(&self, op: &Linked, memory: &mut Memory) -> Tri {
        let now = self.at.now;
        match op {
            Op::Const(value) => Some(*value),
            Op::Flag(of) => match self.reading(*of) {
                Reading::Flag(flag) => Some(flag),
                Reading::Number(number) => Some(number != 0.0),
                Reading::Text(_) | Reading::Unknown => None,
            },
            Op::Rule(rule) => self.values.get(*rule as usize).map(|rule| rule.value),
            Op::Fresh(of) => Some(self.reading(*of) != Reading::Unknown),
            Op::Compare { of, relation, to, hysteresis } => {
                let (a, b) = (self.number(*of), self.operand(to));
                let held = memory.held == Some(true);
                let now = a.zip(b).map(|(a, b)| compare(a, *relation, b, *hysteresis, held));
                memory.held = now.or(memory.held);
                now
            }
            Op::Text { of, is, how } => self.text(*of, is, *how),
            Op::Known(a) => Some(self.slot(*a).is_some()),
            Op::Not(a) => self.slot(*a).map(|a| !a),
            Op::And(a, b) => and(self.slot(*a), self.slot(*b)),
            Op::Or(a, b) => and(self.slot(*a).map(|a| !a), self.slot(*b).map(|b| !b)).map(|x| !x),
            Op::Xor(a, b) => self.slot(*a).zip(self.slot(*b)).map(|(a, b)| a != b),
            Op::Ton(a, delay) => memory.ton(self.slot(*a), *delay, now),
            Op::Tof(a, delay) => memory.tof(self.slot(*a), *delay, now),
            Op::Tp(a, length) => Some(memory.pulse(self.slot(*a), *length, now)),
            Op::Sr { set, reset } => Some(memory.latch(self.slot(*set), self.slot(*reset), true)),
            Op::Rs { set, reset } => Some(memory.latch(self.slot(*set), self.slot(*reset), false)),
            Op::Rise(a) => memory.edge(self.slot(*a), true),
            Op::Fall(a) => memory.edge(self.slot(*a), false),
            Op::Ctu { count, reset, to } => {
                let rose = memory.edge(self.slot(*count), true) == Some(true);
                memory.count = match self.slot(*reset) {
                    Some(true) => 0,
                    _ => memory.count.saturating_add(u32::from(rose)),
                };
                Some(memory.count >= *to)
            }
            Op::Ctd { count, load, from } => {
                let rose = memory.edge(self.slot(*count), true) == Some(true);
                memory.count = match self.slot(*load) {
                    Some(true) => *from,
                    _ => memory.count.saturating_sub(u32::from(rose)),
                };
                Some(memory.count == 0)
            }
            Op::Window(window) => self.at.local.map(|local| window.contains(local)),
        }
    }

    fn slot(&self, slot: Slot) -> Tri {
        self.slots.get(slot as usize).copied().flatten()
    }

    fn reading(&self, input: u32) -> Reading<'_> {
        self.readings.get(input as usize).copied().unwrap_or(Reading::Unknown)
    }

    fn number(&self, input: u32) -> Option<f64> {
        match self.reading(input) {
            Reading::Number(number) => Some(number),
            _ => None,
        }
    }

    fn operand(&self, operand: &Operand<u32>) -> Option<f64> {
        match operand {
            Operand::Number(number) => Some(*number),
            Operand::Point(input) => self.number(*input),
        }
    }

    fn text(&self, of: u32, is: &str, how: Match) -> Tri {
        let Reading::Text(text) = self.reading(of) else { return None };
        Some(match how {
            Match::Whole => text == is,
            Match::Other => text != is,
            Match::Word => text.split_ascii_whitespace().any(|word| word == is),
        })
    }
}

impl Memory {
    /// IEC 61131-3 TON: true when the input was true for `delay` without a
    /// gap. What is on already stays on through a gap.
    fn ton(&mut self, input: Tri, delay: Nanos, now: Nanos) -> Tri {
        match input {
            None => {
                self.stop();
                None
            }
            Some(false) => {
                self.stop();
                self.held = Some(false);
                Some(false)
            }
            Some(true) => {
                self.since.get_or_insert(now);
                if self.ran(now).is_some_and(|ran| ran >= delay) {
                    self.held = Some(true);
                }
                self.held.or(Some(false))
            }
        }
    }

    /// IEC 61131-3 TOF: [`Self::ton`] upside down, and off at the beginning.
    fn tof(&mut self, input: Tri, delay: Nanos, now: Nanos) -> Tri {
        if self.held.is_none() && input == Some(false) {
            self.held = Some(true);
        }
        self.ton(input.map(|on| !on), delay, now).map(|off| !off)
    }

    /// IEC 61131-3 TP: a rise begins a pulse that nothing cuts short.
    fn pulse(&mut self, input: Tri, length: Nanos, now: Nanos) -> bool {
        let rose = self.edge(input, true) == Some(true);
        match self.ran(now) {
            Some(ran) if ran < length => {}
            // A rise in the evaluation in which the pulse ends begins none.
            Some(_) => self.stop(),
            None => self.since = (rose && length > Nanos(0)).then_some(now),
        }
        self.since.is_some()
    }

    /// For how long the timer runs.
    fn ran(&self, now: Nanos) -> Option<Nanos> {
        self.since.map(|since| now.since(since) + self.before)
    }

    fn stop(&mut self) {
        (self.since, self.before) = (None, Nanos::default());
    }

    fn latch(&mut self, set: Tri, reset: Tri, set_wins: bool) -> bool {
        let held = match (set == Some(true), reset == Some(true)) {
            (true, true) => set_wins,
            (true, false) => true,
            (false, true) => false,
            (false, false) => self.held == Some(true),
        };
        self.held = Some(held);
        held
    }

    /// Whether the input became `wanted` between the last known value and now.
    fn edge(&mut self, input: Tri, wanted: bool) -> Tri {
        let input = input?;
        let before = self.held.replace(input);
        Some(input == wanted && before == Some(!wanted))
    }
}

/// Kleene's conjunction.
const fn and(a: Tri, b: Tri) -> Tri {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// `held`: it was true; then the limit lies further off by the hysteresis.
fn compare(a: f64, relation: Relation, b: f64, hysteresis: f64, held: bool) -> bool {
    let slack = if held { hysteresis } else { 0.0 };
    match relation {
        Relation::Greater => a > b - slack,
        Relation::AtLeast => a >= b - slack,
        Relation::Less => a < b + slack,
        Relation::AtMost => a <= b + slack,
        Relation::Equal => a == b,
        Relation::Differs => a != b,
    }
}

#[cfg(test)]
mod tests;
