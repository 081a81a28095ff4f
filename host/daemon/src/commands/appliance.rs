//! The appliance as a target of commands: which ones it offers, and the order
//! to the guard that each of them is. Pure.

use super::{Offer, Offered, Parameter};
use crate::plant::number;
use evenkeel_core::command::{Order, PAUSE_MAX_S};
use evenkeel_core::image::Snapshot;

/// The target that is the box itself.
const GUARD: &str = "guard";
const MUTE: &str = "beeper.mute";
const PAUSE: &str = "equalization.pause";
const RESUME: &str = "equalization.resume";
const MEASURE: &str = "resistance.measure";
const START_TEST: &str = "test.battery.start";
const STOP_TEST: &str = "test.battery.stop";

/// What can be told to the appliance as it is.
pub(super) fn offers(snapshot: &Snapshot) -> Vec<Offered> {
    let mut offers = vec![offered(GUARD, MUTE, "Silence the buzzer", Parameter::None)];
    for (index, string) in snapshot.strings.iter().enumerate() {
        let target = format!("string.{}", number(index));
        let mut offer = |name, description, parameter| {
            offers.push(offered(&target, name, description, parameter));
        };
        let seconds = Parameter::Number(1, PAUSE_MAX_S.into());
        offer(PAUSE, "Switch the bypasses off for so many seconds", seconds);
        offer(RESUME, "End a pause of equalization", Parameter::None);
        let blocks = i64::try_from(string.blocks.len()).unwrap_or(i64::MAX);
        let block = Parameter::Number(1, blocks);
        offer(MEASURE, "Measure the internal resistance of this block", block);
        if !snapshot.tests.is_empty() {
            offer(START_TEST, "Begin the battery test, if the rules allow it", Parameter::None);
            offer(STOP_TEST, "End the battery test", Parameter::None);
        }
    }
    offers
}

/// The order that a command is; `None` when there is no such command.
pub(super) fn order(target: &str, name: &str, value: Option<&str>) -> Option<Order> {
    if target == GUARD {
        return (name == MUTE).then_some(Order::Mute);
    }
    let string = target.strip_prefix("string.")?.parse().ok()?;
    match name {
        PAUSE => Some(Order::Pause { string, seconds: value?.parse().ok()? }),
        RESUME => Some(Order::Resume { string }),
        MEASURE => Some(Order::Measure { string, block: value?.parse().ok()? }),
        START_TEST => Some(Order::Test { string }),
        STOP_TEST => Some(Order::StopTest { string }),
        _ => None,
    }
}

fn offered(target: &str, name: &str, description: &str, parameter: Parameter) -> Offered {
    let (name, description) = (name.to_owned(), description.to_owned());
    Offered { target: target.to_owned(), offer: Offer { name, description, parameter } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::testing;

    #[test]
    fn every_offer_is_an_order() {
        let snapshot = testing::plant(&[13.6]).snapshot;
        for one in offers(&snapshot) {
            let value = matches!(one.offer.parameter, Parameter::Number(..)).then_some("1");
            assert!(order(&one.target, &one.offer.name, value).is_some(), "{one:?}");
        }
        assert_eq!(order("string.2", STOP_TEST, None), Some(Order::StopTest { string: 2 }));
        assert_eq!(order("string.x", STOP_TEST, None), None);
        assert_eq!(order("guard", RESUME, None), None);
    }
}
