//! Why the planner itself does not do something, or gives it up. The log has the
//! words of this file; pages and messages have those of their language, found by
//! them ([`Reason::of`]), so that older logs are read in it as well.

/// A reason of the planner's own; what those say who carry a job out is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// What began it is over.
    Over,
    /// Its job was removed.
    Removed,
    /// The appliance stopped while it was done.
    Interrupted,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Over, Self::Removed, Self::Interrupted];

    /// In the words of the log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Over => "what began it is over",
            Self::Removed => "its job was removed",
            Self::Interrupted => {
                "the appliance stopped in the middle of it; nobody knows whether it was done"
            }
        }
    }

    /// Its code, which names its message.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Removed => "removed",
            Self::Interrupted => "interrupted",
        }
    }

    /// The reason that these words of the log are, if they are one.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.text() == text)
    }
}
