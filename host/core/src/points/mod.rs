//! Points: how a value travels outside the guard — always with its unit, its
//! quality and its time.
//!
//! A point has a dotted name. What the guard knows is `string.<n>.…`,
//! `string.<n>.block.<m>.…`, `device.<n>.…`, `bus.<n>.…` and `guard.…`, counted
//! from 1; UPSes are `ups.<n>.…` followed by a NUT variable name (RFC 9271).
//! [`battery`] and [`names`] are the contract.

pub mod battery;
pub mod names;

use crate::time::Nanos;
use core::fmt;
use serde::{Deserialize, Serialize};

pub use names::{Name, NameError, Unit};

/// What a reader may do with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Quality {
    /// Measured, in range, fresh.
    Good,
    /// Computed from measurements, not measured itself.
    Estimated,
    /// The last value of a source that has fallen silent.
    Stale,
    /// Not to be used: out of range, faulty sensor, wrong module.
    Bad,
}

impl Quality {
    /// The word used in the API and the console.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Estimated => "estimated",
            Self::Stale => "stale",
            Self::Bad => "bad",
        }
    }
}

/// A point's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A finite number in the point's [`Unit`].
    Number(f64),
    /// Text of at most [`Value::TEXT_MAX`] bytes without control characters.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

impl Value {
    /// Longest text in bytes.
    pub const TEXT_MAX: usize = 256;
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(t) => f.write_str(t),
            Self::Flag(b) => write!(f, "{b}"),
        }
    }
}

/// A value with what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The value.
    pub value: Value,
    /// Its unit; [`Unit::None`] for text, flags and plain numbers.
    pub unit: Unit,
    /// What a reader may do with it.
    pub quality: Quality,
    /// When it was measured, on the monotonic clock.
    pub at: Nanos,
}
