//! Rules: what people want to know that no alarm tells them, as PLC
//! programmers write it — conditions over any points, with timers, latches and
//! counters.
//!
//! A rule has a name, an expression and what it means that an input is not
//! known. Its value is a virtual point, `rule.<name>`, for other rules,
//! gateways and the console; when it changes that is an event
//! ([`Event::RuleRaised`](crate::events::Event::RuleRaised),
//! [`RuleCleared`](crate::events::Event::RuleCleared)), and
//! [`jobs`](crate::jobs) make events do things.
//!
//! ```toml
//! [[rule]]
//! name = "mains-lost-long"
//! when = "ton(ups.0.ups.status has 'OB', 60 s)"
//! severity = "alarm"
//!
//! [[rule]]
//! name = "room-warm"
//! when = "string.1.ambient > 30 °C hyst 2 and not rule.door-open"
//! unknown = "hold"
//! ```
//!
//! # The language
//! | written | means |
//! |---|---|
//! | `ups.0.battery.charge < 20 %` | a point against a number, in the point's unit; seconds may be written `5 min` |
//! | `… > 30 hyst 2` | true above 30, false again at 28; for `<` the other way |
//! | `string.1.current > string.2.current` | two points |
//! | `ups.0.ups.status has 'OB'` | a word of a text; `== 'OL'`, `!= 'OL'` the whole text |
//! | `device.1.input.2`, `rule.warm` | a flag; a number that is not 0 |
//! | `not`, `and`, `xor`, `or` | from the tightest to the loosest; parentheses |
//! | `ton(x, 60 s)`, `tof(x, 60 s)`, `tp(x, 60 s)` | on-delay, off-delay, pulse: IEC 61131-3 §2.5.2.3.4 |
//! | `sr(set, reset)`, `rs(set, reset)` | latch; set wins in `sr`, reset in `rs` |
//! | `rise(x)`, `fall(x)` | true in the one evaluation in which `x` changed |
//! | `ctu(x, reset, 5)` | five rises of `x` since the reset |
//! | `ctd(x, load, 5)` | true until it is loaded with 5, and again when five rises of `x` have used that up |
//! | `window('08:00-18:00 mon-fri')` | local time of day, [`Window`](crate::schedule::Window) |
//! | `fresh(point)`, `known(x)` | never unknown: whether the source, or the whole of `x`, says anything |
//!
//! # What is not known
//! A point that is stale, bad or missing is *unknown*, and unknown is carried
//! as Kleene's third value: `false and unknown` is false, `true and unknown` is
//! unknown. A gap proves nothing: a delay that runs starts again behind it, a latch
//! and a counter stand still, an edge is only seen between two known values. What
//! remains unknown at the end is decided by the rule: [`Unknown`].
//!
//! # Cost
//! A set of rules is compiled into one flat list of operations, inputs first,
//! every rule behind those that it reads ([`Program`]); one evaluation is one
//! pass over the list, without allocation, in bounded time ([`RULES_MAX`],
//! [`OPS_MAX`]). Rules that read each other in a circle are refused by name.
//!
//! # What is remembered
//! Timers, latches and counters outlive the daemon and an edit of other rules
//! ([`KeptRule`]); a rule whose expression was edited begins anew. Time while
//! nobody looks counts for no timer; an interruption of more than [`OFF_MAX`] is
//! a gap. At the very beginning what is true is no edge.

mod expr;
mod lex;
mod machine;
mod near;
mod program;

pub use expr::ExprError;
pub use machine::{Edge, KeptRule, Machine, Moment, OFF_MAX, Reading, RuleValue};
pub use program::{Program, RuleError};

use crate::events::Severity;
use serde::{Deserialize, Serialize};

/// First part of the names of the virtual points.
pub const ROOT: &str = "rule";
/// Most rules.
pub const RULES_MAX: usize = 1_000;
/// Most operations of all rules together.
pub const OPS_MAX: usize = 20_000;
/// Most points that all rules together read.
pub const INPUTS_MAX: usize = 4_000;
/// Longest expression, bytes.
pub const EXPRESSION_MAX: usize = 1_000;
/// Longest name of a rule, job, sequence or entry of the calendar, bytes.
pub const NAME_MAX: usize = 40;
/// Longest text of a rule, bytes.
pub const TEXT_MAX: usize = 200;

/// A rule as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is called: 1 … [`NAME_MAX`] of `a–z 0–9 -`.
    pub name: String,
    /// The expression.
    pub when: String,
    /// What an unknown outcome means.
    #[serde(default)]
    pub unknown: Unknown,
    /// How bad it is when it is true.
    #[serde(default = "warning")]
    pub severity: Severity,
    /// What the event says; the name when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// False: it only has its point, and tells nobody.
    #[serde(default = "yes")]
    pub event: bool,
}

/// What a rule is while its outcome is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// Not true.
    #[default]
    False,
    /// True: for what must not be missed because a sensor is gone.
    True,
    /// What it was last.
    Hold,
}

const fn warning() -> Severity {
    Severity::Warning
}

const fn yes() -> bool {
    true
}

/// Whether this can be the name of a rule, job, sequence or calendar entry.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}
