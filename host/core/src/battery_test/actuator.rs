//! How a UPS is told to test its battery, and what it says to that.
//!
//! The state machine only hands out a [`TestCommand`]. Whoever runs it gives
//! the command to a [`TestActuator`] — a relay of the guard, a UPS plugin of
//! the daemon — and puts the answer into the next [`TestFeedback`].

use serde::{Deserialize, Serialize};

/// What the UPS should do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TestCommand {
    /// Carry the load from the battery.
    Start,
    /// Back to mains. Given again every ten seconds until it is obeyed.
    Stop,
}

/// What is known of the UPS since the last step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TestFeedback {
    /// The answer to the last command: taken, or refused; `None` while there
    /// is none, or for a relay.
    pub accepted: Option<bool>,
    /// The UPS says whether it is testing; `None` when it cannot say.
    pub on_test: Option<bool>,
}

/// Why an actuator does not start a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This UPS knows no such command.
    #[error("the UPS cannot test its battery on command")]
    Unsupported,
    /// The UPS says no.
    #[error("the UPS refuses a battery test now")]
    Denied,
    /// Nobody answers.
    #[error("the UPS does not answer")]
    Unreachable,
}

/// Something that can make a UPS test its battery. Neither call waits for the
/// UPS to follow.
pub trait TestActuator {
    /// Begin.
    ///
    /// # Errors
    /// [`Refusal`] when it certainly will not.
    fn start(&mut self) -> Result<(), Refusal>;
    /// End; harmless when there is no test.
    fn stop(&mut self);
}

impl TestCommand {
    /// Give this command: the refusal, if there is one, belongs into the next
    /// [`TestFeedback::accepted`] as `Some(false)`.
    ///
    /// # Errors
    /// What [`TestActuator::start`] says.
    pub fn give(self, to: &mut impl TestActuator) -> Result<(), Refusal> {
        match self {
            Self::Start => to.start(),
            Self::Stop => {
                to.stop();
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A UPS that tests its battery only while it is allowed to.
    struct Ups {
        allowed: bool,
        on_test: bool,
    }

    impl TestActuator for Ups {
        fn start(&mut self) -> Result<(), Refusal> {
            self.on_test = self.allowed;
            if self.allowed { Ok(()) } else { Err(Refusal::Denied) }
        }

        fn stop(&mut self) {
            self.on_test = false;
        }
    }

    #[test]
    fn commands_reach_the_ups_and_refusals_come_back() {
        let mut ups = Ups { allowed: true, on_test: false };
        assert_eq!(TestCommand::Start.give(&mut ups), Ok(()));
        assert!(ups.on_test);
        ups.allowed = false;
        assert_eq!(TestCommand::Stop.give(&mut ups), Ok(()));
        assert!(!ups.on_test);
        assert_eq!(TestCommand::Start.give(&mut ups), Err(Refusal::Denied));
    }
}
