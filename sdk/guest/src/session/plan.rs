//! The plan of a family: which request is asked when.

use crate::table::{Request, Word};

/// One line of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// What is asked.
    pub request: &'static Request,
    /// How often.
    pub every: Every,
    /// Under which condition.
    pub only: Only,
    /// The device may not know it: a refusal, silence or rubbish gives no
    /// values and a note in the log. A refusal is not asked again before the
    /// next connection.
    pub optional: bool,
}

/// How often a request is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// At every poll.
    Poll,
    /// At the first poll after each connection and at every n-th from there.
    Nth(u32),
    /// At the first poll after each connection.
    Connection,
}

/// Under which condition a request is asked. When it no longer holds, the
/// points of the request become bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Always.
    Always,
    /// When a point that was read by a row above has this text.
    Text(&'static str, &'static str),
    /// When a flag above says this word.
    Status(Word),
}

impl Ask {
    /// Asked at every poll.
    #[must_use]
    pub const fn always(request: &'static Request) -> Self {
        Self { request, every: Every::Poll, only: Only::Always, optional: false }
    }

    /// Asked once after each connection.
    #[must_use]
    pub const fn once(request: &'static Request) -> Self {
        Self { every: Every::Connection, ..Self::always(request) }
    }

    /// Asked at every n-th poll.
    #[must_use]
    pub const fn each(request: &'static Request, nth: u32) -> Self {
        Self { every: Every::Nth(nth), ..Self::always(request) }
    }

    /// Only when the condition holds.
    #[must_use]
    pub const fn only(mut self, only: Only) -> Self {
        self.only = only;
        self
    }

    /// The device may not know it.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}
