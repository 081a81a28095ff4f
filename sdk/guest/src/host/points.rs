//! Measured values: publishing one's own (`evenkeel:points/points`), reading
//! those of others (`evenkeel:points/reader`).

use std::borrow::Cow;

/// Publishing the values of a device below the subtree that was granted.
pub trait Points {
    /// Publish values: all of them, or none and a sentence that says why.
    ///
    /// # Errors
    /// The host's sentence.
    fn publish(&mut self, updates: &[Update]) -> Result<(), String>;

    /// The device no longer answers: every point of this plugin becomes stale.
    fn lost(&mut self, reason: &str);
}

/// Reading what others publish, within the subtrees that were granted.
pub trait Reader {
    /// One point each, in the order of `names` (≤ 256); `None` where there is
    /// no such point.
    ///
    /// # Errors
    /// [`ReaderError`].
    fn read_points(&mut self, names: &[&str]) -> Result<Vec<Option<Point>>, ReaderError>;

    /// The points below `prefix` in the order of their names, from the first
    /// one after `after`, at most `max` (≤ 256). Ask again with the last name.
    ///
    /// # Errors
    /// [`ReaderError`].
    fn list_points(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        max: u32,
    ) -> Result<Vec<Point>, ReaderError>;
}

/// A point as a reader sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Whole name: `string.1.block.17.voltage`.
    pub name: String,
    /// The value.
    pub value: Value,
    /// Unit symbol; empty for text, flags and plain numbers.
    pub unit: String,
    /// How far to trust it.
    pub state: State,
    /// Milliseconds since it was measured.
    pub age_ms: u64,
}

/// How far to trust a value that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Measured or stated by the device.
    Good,
    /// Computed.
    Estimated,
    /// It was good once; nobody renews it.
    Stale,
    /// Not to be used.
    Bad,
}

error! {
    /// Why points could not be read.
    ReaderError {
        /// Outside the granted subtrees.
        DENIED = 1,
        /// No point name.
        INVALID = 2,
        /// Read more often than the host allows.
        QUOTA = 3,
    }
}

/// A value of one point, ready to be published. The host stamps the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// NUT variable name below the device's subtree, e.g. `input.voltage`.
    pub name: Cow<'static, str>,
    /// The value.
    pub value: Value,
    /// Unit symbol, e.g. `V`; empty for text, flags and plain numbers.
    pub unit: &'static str,
    /// How far to trust it.
    pub quality: Quality,
}

/// What a point can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A finite number, in the unit of the update.
    Number(f64),
    /// Text for people or for scripts.
    Text(Cow<'static, str>),
    /// Yes or no.
    Flag(bool),
}

/// How far to trust a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Measured or stated by the device.
    Good,
    /// Computed.
    Estimated,
    /// Not to be used.
    Bad,
}

impl Update {
    /// A text that the device stated.
    #[must_use]
    pub fn text(name: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        let value = Value::Text(text.into());
        Self { name: Cow::Borrowed(name), value, unit: "", quality: Quality::Good }
    }

    /// A number that was computed, not measured.
    #[must_use]
    pub fn estimate(name: &'static str, number: f64, unit: &'static str) -> Self {
        let value = Value::Number(number);
        Self { name: Cow::Borrowed(name), value, unit, quality: Quality::Estimated }
    }
}

/// The number published under `name`, if `updates` hold one that may be used.
#[must_use]
pub fn number(updates: &[Update], name: &str) -> Option<f64> {
    updates.iter().find(|update| update.name == name).and_then(|update| match update.value {
        Value::Number(number) if update.quality != Quality::Bad => Some(number),
        _ => None,
    })
}
