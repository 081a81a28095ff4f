//! From the text of one expression to its operations. Total: any text is an
//! expression or an [`ExprError`] with its place.

use super::lex::{self, Relation, Token};
use super::near::{self, Known};
use super::{EXPRESSION_MAX, ROOT};
use crate::points::{Name, Unit};
use crate::schedule::Window;
use crate::time::Nanos;

/// Deepest nesting of parentheses, functions and `not`.
const DEPTH_MAX: u32 = 24;
/// Longest delay: 30 days.
const DELAY_MAX_S: f64 = 30.0 * 86_400.0;
/// Highest count.
const COUNT_MAX: f64 = 1e6;

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("character {at}: {problem}")]
pub struct ExprError {
    /// Place, counted from 1 in characters.
    pub at: usize,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

/// Index of an operation among those of its expression.
pub(super) type Slot = u32;

/// One operation; its operands stand before it. `I` is how a point is named:
/// a [`Name`] in a draft, a number in a program; `R` the same of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Op<I, R> {
    Const(bool),
    Flag(I),
    Rule(R),
    Fresh(I),
    Compare { of: I, relation: Relation, to: Operand<I>, hysteresis: f64 },
    Text { of: I, is: Box<str>, how: Match },
    Known(Slot),
    Not(Slot),
    And(Slot, Slot),
    Or(Slot, Slot),
    Xor(Slot, Slot),
    Ton(Slot, Nanos),
    Tof(Slot, Nanos),
    Tp(Slot, Nanos),
    Sr { set: Slot, reset: Slot },
    Rs { set: Slot, reset: Slot },
    Rise(Slot),
    Fall(Slot),
    Ctu { count: Slot, reset: Slot, to: u32 },
    Ctd { count: Slot, load: Slot, from: u32 },
    Window(Window),
}

/// What a point is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand<I> {
    Number(f64),
    Point(I),
}

/// How a text is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Whole,
    Other,
    Word,
}

/// An operation of an expression that is not linked yet.
pub(super) type Draft = Op<Name, String>;

/// Parse an expression. Its value is that of the last operation.
pub(super) fn parse(text: &str) -> Result<Vec<Draft>, ExprError> {
    let mut parser = Parser { text, at: 0, ops: Vec::new(), depth: 0 };
    if text.len() > EXPRESSION_MAX {
        let problem = format!("an expression has at most {EXPRESSION_MAX} bytes");
        return Err(parser.error(EXPRESSION_MAX, problem));
    }
    parser.either()?;
    match parser.peek()? {
        (_, Token::End, _) => Ok(parser.ops),
        (at, ..) => Err(parser.error(at, "expected and, or, xor, or the end".into())),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    ops: Vec<Draft>,
    depth: u32,
}

type Parsed<T> = Result<T, ExprError>;

impl<'a> Parser<'a> {
    fn either(&mut self) -> Parsed<Slot> {
        self.chain("or", Self::exclusive, Op::Or)
    }

    fn exclusive(&mut self) -> Parsed<Slot> {
        self.chain("xor", Self::both, Op::Xor)
    }

    fn both(&mut self) -> Parsed<Slot> {
        self.chain("and", Self::negated, Op::And)
    }

    fn chain(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Parsed<Slot>,
        join: fn(Slot, Slot) -> Draft,
    ) -> Parsed<Slot> {
        let mut left = part(self)?;
        while self.takes(Token::Word(word))? {
            let right = part(self)?;
            left = self.emit(join(left, right));
        }
        Ok(left)
    }

    fn negated(&mut self) -> Parsed<Slot> {
        let (at, ..) = self.peek()?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(at, format!("nested deeper than {DEPTH_MAX}")));
        }
        let slot = if self.takes(Token::Word("not"))? {
            let of = self.negated()?;
            self.emit(Op::Not(of))
        } else if self.takes(Token::Open)? {
            let inner = self.either()?;
            self.expect(Token::Close, "')'")?;
            inner
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(slot)
    }

    fn primary(&mut self) -> Parsed<Slot> {
        let (at, token, end) = self.peek()?;
        let Token::Word(word) = token else {
            let wanted = "expected a point, a function, not or '('";
            return Err(self.error(at, wanted.to_owned()));
        };
        self.at = end;
        match word {
            "true" | "false" => return Ok(self.emit(Op::Const(word == "true"))),
            "and" | "or" | "xor" | "has" | "hyst" => {
                return Err(self.error(at, format!("expected a point before {word:?}")));
            }
            _ => {}
        }
        if self.takes(Token::Open)? {
            return self.function(word, at);
        }
        self.condition(word, at)
    }

    fn function(&mut self, name: &str, at: usize) -> Parsed<Slot> {
        let op = match name {
            "ton" | "tof" | "tp" => {
                let of = self.either()?;
                self.expect(Token::Comma, "',' and a delay")?;
                let delay = self.delay()?;
                match name {
                    "ton" => Op::Ton(of, delay),
                    "tof" => Op::Tof(of, delay),
                    _ => Op::Tp(of, delay),
                }
            }
            "sr" | "rs" => {
                let set = self.either()?;
                self.expect(Token::Comma, "',' and what resets it")?;
                let reset = self.either()?;
                if name == "sr" { Op::Sr { set, reset } } else { Op::Rs { set, reset } }
            }
            "rise" => Op::Rise(self.either()?),
            "fall" => Op::Fall(self.either()?),
            "known" => Op::Known(self.either()?),
            "ctu" | "ctd" => {
                let count = self.either()?;
                self.expect(Token::Comma, "',' and what resets it")?;
                let other = self.either()?;
                self.expect(Token::Comma, "',' and a count")?;
                let to = self.count()?;
                match name {
                    "ctu" => Op::Ctu { count, reset: other, to },
                    _ => Op::Ctd { count, load: other, from: to },
                }
            }
            "window" => Op::Window(self.window()?),
            "fresh" => {
                let (at, token, end) = self.peek()?;
                let Token::Word(word) = token else {
                    return Err(self.error(at, "expected a point".to_owned()));
                };
                self.at = end;
                Op::Fresh(self.point(word, at)?.0)
            }
            _ => {
                let known = "ton, tof, tp, sr, rs, rise, fall, ctu, ctd, window, fresh, known";
                return Err(
                    self.error(at, format!("there is no function {name:?}; there are {known}"))
                );
            }
        };
        self.expect(Token::Close, "')'")?;
        Ok(self.emit(op))
    }

    /// A point, and what it is compared with.
    fn condition(&mut self, word: &str, at: usize) -> Parsed<Slot> {
        if let Some(rule) = word.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('.')) {
            if !super::is_name(rule) {
                return Err(self.error(at, format!("{rule:?} cannot be the name of a rule")));
            }
            return Ok(self.emit(Op::Rule(rule.to_owned())));
        }
        let (of, known) = self.point(word, at)?;
        if self.takes(Token::Word("has"))? {
            let is = self.quoted("the word that it has")?;
            return Ok(self.emit(Op::Text { of, is, how: Match::Word }));
        }
        let (relation_at, token, end) = self.peek()?;
        let Token::Relation(relation) = token else { return Ok(self.emit(Op::Flag(of))) };
        self.at = end;
        if matches!(self.peek()?.1, Token::Text(_)) {
            let how = match relation {
                Relation::Equal => Match::Whole,
                Relation::Differs => Match::Other,
                _ => {
                    return Err(
                        self.error(relation_at, "texts are compared by ==, != or has".into())
                    );
                }
            };
            let is = self.quoted("a text")?;
            return Ok(self.emit(Op::Text { of, is, how }));
        }
        let to = self.operand(known)?;
        let mut hysteresis = 0.0;
        if self.takes(Token::Word("hyst"))? {
            let (at, ..) = self.peek()?;
            hysteresis = self.quantity(known)?;
            let ordered = !matches!(relation, Relation::Equal | Relation::Differs);
            if hysteresis < 0.0 || !ordered {
                let problem = "a hysteresis is at least 0, for <, <=, > and >=";
                return Err(self.error(at, problem.to_owned()));
            }
        }
        Ok(self.emit(Op::Compare { of, relation, to, hysteresis }))
    }

    fn point(&mut self, word: &str, at: usize) -> Parsed<(Name, Known)> {
        let name = Name::parse(word).map_err(|e| self.error(at, format!("{word:?}: {e}")))?;
        match near::known(&name) {
            Some(known) => Ok((name, known)),
            None => {
                let near = near::near(word);
                let hint = match near.is_empty() {
                    true => {
                        "see the list of names; a driver's own are <device>.experimental.…".into()
                    }
                    false => format!("did you mean {}?", near.join(" or ")),
                };
                Err(self.error(at, format!("no point is called {word:?}; {hint}")))
            }
        }
    }

    fn operand(&mut self, known: Known) -> Parsed<Operand<Name>> {
        match self.peek()? {
            (at, Token::Word(word), end) => {
                self.at = end;
                let (name, other) = self.point(word, at)?;
                match (known, other) {
                    (Known::Unit(a), Known::Unit(b)) if a != b => {
                        let (a, b) = (said(a), said(b));
                        Err(self.error(
                            at,
                            format!("{word} is in {b}, what it is compared with in {a}"),
                        ))
                    }
                    _ => Ok(Operand::Point(name)),
                }
            }
            _ => self.quantity(known).map(Operand::Number),
        }
    }

    /// A number in the unit of the point, which may stand behind it.
    fn quantity(&mut self, known: Known) -> Parsed<f64> {
        let (at, number) = self.number("a number, a point or a text in quotes")?;
        let (unit_at, token, end) = self.peek()?;
        let Token::Word(word) = token else { return Ok(number) };
        let Known::Unit(unit) = known else {
            if Unit::from_symbol(word).is_some() {
                self.at = end;
            }
            return Ok(number);
        };
        if unit == Unit::Second
            && let Some(seconds) = seconds(word)
        {
            self.at = end;
            return Ok(number * seconds);
        }
        if unit != Unit::None && word == unit.symbol() {
            self.at = end;
            return Ok(number);
        }
        match Unit::from_symbol(word).is_some() || seconds(word).is_some() {
            true => {
                Err(self.error(unit_at, format!("this point is in {}, not in {word}", said(unit))))
            }
            false if word.is_empty() => Err(self.error(at, "expected a number".into())),
            false => Ok(number),
        }
    }

    fn delay(&mut self) -> Parsed<Nanos> {
        let (at, number) = self.number("a delay like 500 ms, 60 s, 5 min or 2 h")?;
        let (_, token, end) = self.peek()?;
        let Token::Word(word) = token else {
            return Err(self.error(at, "a delay has a unit: ms, s, min, h or d".into()));
        };
        let Some(unit) = seconds(word) else {
            return Err(
                self.error(at, format!("{word:?} is no unit of time; use ms, s, min, h or d"))
            );
        };
        self.at = end;
        let seconds = number * unit;
        if !(0.0..=DELAY_MAX_S).contains(&seconds) {
            return Err(self.error(at, "a delay is 0 to 30 days".into()));
        }
        Ok(Nanos::from_millis((seconds * 1e3).round() as u64))
    }

    fn count(&mut self) -> Parsed<u32> {
        let (at, number) = self.number("a count")?;
        let whole = number.fract() == 0.0 && (1.0..=COUNT_MAX).contains(&number);
        match whole {
            true => Ok(number as u32),
            false => {
                Err(self.error(at, format!("a count is a whole number from 1 to {COUNT_MAX}")))
            }
        }
    }

    fn window(&mut self) -> Parsed<Window> {
        let (at, ..) = self.peek()?;
        let text = self.quoted("a window like '08:00-18:00 mon-fri'")?;
        text.parse().map_err(|e| self.error(at, format!("{e}")))
    }

    fn number(&mut self, wanted: &str) -> Parsed<(usize, f64)> {
        match self.peek()? {
            (at, Token::Number(number), end) => {
                self.at = end;
                Ok((at, number))
            }
            (at, ..) => Err(self.error(at, format!("expected {wanted}"))),
        }
    }

    fn quoted(&mut self, wanted: &str) -> Parsed<Box<str>> {
        match self.peek()? {
            (_, Token::Text(text), end) => {
                self.at = end;
                Ok(text.into())
            }
            (at, ..) => Err(self.error(at, format!("expected {wanted}, in quotes"))),
        }
    }

    fn expect(&mut self, token: Token<'_>, wanted: &str) -> Parsed<()> {
        let (at, ..) = self.peek()?;
        match self.takes(token)? {
            true => Ok(()),
            false => Err(self.error(at, format!("expected {wanted}"))),
        }
    }

    fn takes(&mut self, wanted: Token<'_>) -> Parsed<bool> {
        let (_, token, end) = self.peek()?;
        let same = token == wanted;
        if same {
            self.at = end;
        }
        Ok(same)
    }

    fn peek(&self) -> Parsed<(usize, Token<'a>, usize)> {
        lex::next(self.text, self.at).map_err(|(at, problem)| self.error(at, problem))
    }

    fn emit(&mut self, op: Draft) -> Slot {
        self.ops.push(op);
        self.ops.len() as Slot - 1
    }

    fn error(&self, at: usize, problem: String) -> ExprError {
        let before = self.text.char_indices().take_while(|(byte, _)| *byte < at).count();
        ExprError { at: before + 1, problem }
    }
}

fn seconds(word: &str) -> Option<f64> {
    match word {
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "min" => Some(60.0),
        "h" => Some(3_600.0),
        "d" => Some(86_400.0),
        _ => None,
    }
}

fn said(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "no unit",
        unit => unit.symbol(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn precedence_is_not_and_xor_or() {
        let ops = parse("rule.a or rule.b and not rule.c xor rule.d").expect("good");
        let wanted: [Draft; 8] = [
            Op::Rule("a".into()),
            Op::Rule("b".into()),
            Op::Rule("c".into()),
            Op::Not(2),
            Op::And(1, 3),
            Op::Rule("d".into()),
            Op::Xor(4, 5),
            Op::Or(0, 6),
        ];
        assert_eq!(ops, wanted);
    }

    #[test]
    fn units_are_those_of_the_point() {
        let limit = |text: &str| match parse(text).expect(text).pop() {
            Some(Op::Compare { to: Operand::Number(to), hysteresis, .. }) => (to, hysteresis),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(limit("ups.0.battery.runtime < 5 min hyst 30 s"), (300.0, 30.0));
        assert_eq!(limit("ups.0.battery.charge <= 20% hyst 5"), (20.0, 5.0));
        assert_eq!(limit("string.1.ambient > -3.5 °C"), (-3.5, 0.0));
        assert_eq!(limit("ups.0.experimental.fan > 3 V"), (3.0, 0.0));
    }

    #[test]
    fn errors_say_where_what_and_what_instead() {
        for (text, at, why) in [
            ("", 1, "expected a point"),
            ("ups.0.batery.charge < 20", 1, "did you mean ups.0.battery.charge?"),
            ("ups.0.battery.charge < 20 V", 27, "this point is in %, not in V"),
            ("ups.0.battery.charge < ", 24, "expected a number"),
            ("ups.0.battery.charge < 'x'", 22, "compared by =="),
            ("ups.0.battery.charge < string.1.voltage", 24, "is in V"),
            ("ups.0.battery.charge == 5 hyst 1", 32, "for <, <=, > and >="),
            ("ton(rule.a)", 11, "expected ',' and a delay"),
            ("ton(rule.a, 5)", 13, "a delay has a unit"),
            ("ton(rule.a, 5 weeks)", 13, "no unit of time"),
            ("ton(rule.a, 31 d)", 13, "0 to 30 days"),
            ("ctu(rule.a, rule.b, 1.5)", 21, "whole number"),
            ("timer(rule.a)", 1, "there is no function"),
            ("rule.a rule.b", 8, "expected and, or, xor"),
            ("(rule.a", 8, "expected ')'"),
            ("window('8-18')", 8, "is not a window"),
            ("rule.A", 1, "cannot be the name of a rule"),
            ("and rule.b", 1, "expected a point before"),
            ("string.1.ambient > 30 °F", 23, "expected and, or, xor"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.problem.contains(why), "{text}: {error}");
            assert_eq!(error.at, at, "{text}: {error}");
        }
        assert!(parse(&"(".repeat(600)).expect_err("deep").problem.contains("nested deeper"));
        assert!(parse(&"not ".repeat(200)).expect_err("deep").problem.contains("nested deeper"));
        assert!(parse(&"x".repeat(1_001)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_with_a_place_in_it(text in "\\PC{0,80}") {
            if let Err(e) = parse(&text) {
                prop_assert!(e.at <= text.chars().count() + 1);
            }
        }

        #[test]
        fn any_words_are_parsed_or_refused(words in proptest::collection::vec(
            prop::sample::select(vec!["(", ")", ",", "ton", "not", "and", "or", "rule.a", "5", "s",
                "ups.0.ups.status", "has", "'OB'", "<", "==", "hyst", "ctu", "window", "%", "-"]), 0..24,
        )) {
            // Operands always stand before their operation.
            if let Ok(ops) = parse(&words.join(" ")) {
                for (n, op) in ops.iter().enumerate() {
                    if let Op::And(a, b) | Op::Or(a, b) | Op::Xor(a, b) = op {
                        prop_assert!((*a as usize) < n && (*b as usize) < n);
                    }
                }
            }
        }
    }
}
