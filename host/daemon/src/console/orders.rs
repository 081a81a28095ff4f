//! Orders to the guard, from programs and from the page's buttons. Each one
//! becomes an event that names who gave it and what came of it.

use super::access::bad_json;
use super::by::By;
use super::page;
use super::pages::fields::Sent;
use super::problem::Problem;
use crate::accounts::rights::{Area, Level};
use crate::failure::chain;
use crate::guard::OrderError;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use evenkeel_core::command::{Commission, Order};
use serde::Deserialize;
use utoipa::ToSchema;

/// Longest pause that the page's button gives, s.
const FORM_PAUSE_S: u32 = 3_600;

/// What the guard is to do. Strings, blocks, buses, devices and outputs are
/// counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OrderIn {
    /// Switch the bypasses of a string off for 1 … 604800 s.
    Pause {
        /// The string.
        string: u16,
        /// For how long, s.
        seconds: u32,
    },
    /// End a pause.
    Resume {
        /// The string.
        string: u16,
    },
    /// Let a tripped string be connected again.
    Reset {
        /// The string.
        string: u16,
    },
    /// Silence the buzzer until something new happens.
    Mute {},
    /// Pick the general alarm relay up, or let it drop by hand.
    AlarmRelay {
        /// True: picked up.
        healthy: bool,
    },
    /// Switch an output that no breaker uses.
    Output {
        /// The device.
        device: u16,
        /// The output.
        output: u8,
        /// On or off.
        on: bool,
    },
    /// Let the lamp of a module or device say "here I am" for 1 … 250 s; 0 ends it.
    Locate {
        /// The bus.
        bus: u8,
        /// The address.
        address: u16,
        /// For how long, s.
        seconds: u8,
    },
    /// Measure the internal resistance of a block.
    Measure {
        /// The string.
        string: u16,
        /// The block.
        block: u16,
    },
    /// Begin a battery test.
    Test {
        /// The string.
        string: u16,
    },
    /// End a battery test.
    StopTest {
        /// The string.
        string: u16,
    },
    /// Find every module and device on a bus.
    Discover {
        /// The bus.
        bus: u8,
    },
    /// Give out addresses by button press.
    Address {
        /// The bus.
        bus: u8,
        /// First address.
        first: u16,
        /// How many.
        count: u16,
    },
    /// Give a lost module's address to the module whose button is pressed.
    Swap {
        /// The bus.
        bus: u8,
        /// The address.
        address: u16,
    },
    /// Find where a ring is broken.
    LocateBreak {
        /// The bus.
        bus: u8,
    },
    /// End commissioning work on a bus.
    Stop {
        /// The bus.
        bus: u8,
    },
}

/// A button of the page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Button {
    order: String,
    string: Option<u16>,
}

impl From<OrderIn> for Order {
    fn from(order: OrderIn) -> Self {
        match order {
            OrderIn::Pause { string, seconds } => Self::Pause { string, seconds },
            OrderIn::Resume { string } => Self::Resume { string },
            OrderIn::Reset { string } => Self::Reset { string },
            OrderIn::Mute {} => Self::Mute,
            OrderIn::AlarmRelay { healthy } => Self::AlarmRelay { healthy },
            OrderIn::Output { device, output, on } => Self::Output { device, output, on },
            OrderIn::Locate { bus, address, seconds } => Self::Locate { bus, address, seconds },
            OrderIn::Measure { string, block } => Self::Measure { string, block },
            OrderIn::Test { string } => Self::Test { string },
            OrderIn::StopTest { string } => Self::StopTest { string },
            OrderIn::Discover { bus } => Self::Commission(Commission::Discover { bus }),
            OrderIn::Address { bus, first, count } => {
                Self::Commission(Commission::Address { bus, first, count })
            }
            OrderIn::Swap { bus, address } => Self::Commission(Commission::Swap { bus, address }),
            OrderIn::LocateBreak { bus } => Self::Commission(Commission::LocateBreak { bus }),
            OrderIn::Stop { bus } => Self::Commission(Commission::Stop { bus }),
        }
    }
}

impl OrderIn {
    /// What is needed for it in [`Area::Battery`]: who changes addresses changes
    /// how the battery is set up.
    const fn level(self) -> Level {
        match self {
            Self::Address { .. } | Self::Swap { .. } => Level::Configure,
            _ => Level::Operate,
        }
    }

    /// Whether it switches something or empties a battery: a session gives its
    /// password again for it (SEC-045).
    const fn needs_password(self) -> bool {
        matches!(
            self,
            Self::Reset { .. } | Self::AlarmRelay { .. } | Self::Output { .. } | Self::Test { .. }
        )
    }

    /// The order in words, for the event.
    fn text(self) -> String {
        match self {
            Self::Pause { string, seconds } => {
                format!("pause equalization of string {string} for {seconds} s")
            }
            Self::Resume { string } => format!("resume equalization of string {string}"),
            Self::Reset { string } => format!("reset the trip of string {string}"),
            Self::Mute {} => "mute the buzzer".to_owned(),
            Self::AlarmRelay { healthy: true } => "pick the alarm relay up".to_owned(),
            Self::AlarmRelay { healthy: false } => "let the alarm relay drop".to_owned(),
            Self::Output { device, output, on } => {
                let on = if on { "on" } else { "off" };
                format!("switch output {output} of device {device} {on}")
            }
            Self::Locate { bus, address, seconds } => {
                format!("light the lamp of address {address} on bus {bus} for {seconds} s")
            }
            Self::Measure { string, block } => {
                format!("measure the resistance of string {string} block {block}")
            }
            Self::Test { string } => format!("begin the battery test of string {string}"),
            Self::StopTest { string } => format!("end the battery test of string {string}"),
            Self::Discover { bus } => format!("discover what is on bus {bus}"),
            Self::Address { bus, first, count } => {
                format!("give out {count} addresses from {first} on bus {bus}")
            }
            Self::Swap { bus, address } => {
                format!("give address {address} of bus {bus} to a new module")
            }
            Self::LocateBreak { bus } => format!("locate the break of bus {bus}"),
            Self::Stop { bus } => format!("end the work on bus {bus}"),
        }
    }
}

/// Have the guard do something.
#[utoipa::path(post, path = "/api/v1/orders", request_body = OrderIn, tag = "orders", responses(
    (status = 204, description = "Done"),
    (status = 401, body = Problem, description = "Nobody is signed in; or the order switches \
        something and the password is old (`step-up`)"),
    (status = 409, body = Problem, description = "The guard refused; the detail says why"),
    (status = 503, body = Problem, description = "The guard does not answer")))]
pub async fn order(
    by: By,
    body: Result<Json<OrderIn>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(order) = body.map_err(bad_json)?;
    give(&by, order).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The same from the page's buttons.
pub async fn order_form(by: By, Sent(button): Sent<Button>) -> page::Answer {
    give(&by, pressed(&button)?).await?;
    Ok(Redirect::to("/").into_response())
}

fn pressed(button: &Button) -> Result<OrderIn, Problem> {
    match (button.order.as_str(), button.string) {
        ("mute", None) => Ok(OrderIn::Mute {}),
        ("reset", Some(string)) => Ok(OrderIn::Reset { string }),
        ("pause", Some(string)) => Ok(OrderIn::Pause { string, seconds: FORM_PAUSE_S }),
        ("resume", Some(string)) => Ok(OrderIn::Resume { string }),
        _ => Err(Problem::bad_request("there is no such button")),
    }
}

pub(super) async fn give(by: &By, order: OrderIn) -> Result<(), Problem> {
    let (area, level) = (Area::Battery, order.level());
    if !by.caller.may(area, level) {
        return Err(Problem::not_allowed(&by.caller.user, area, level));
    }
    if order.needs_password() && !by.caller.proven {
        return Err(Problem::step_up());
    }
    let done = by.console.orders.give(order.into()).await;
    by.told(order.text(), done).await.map_err(|error| problem(&error))
}

fn problem(error: &OrderError) -> Problem {
    match error {
        OrderError::Refused(why) => {
            Problem::new(StatusCode::CONFLICT, "refused", "The guard refused the order").detail(why)
        }
        OrderError::Busy | OrderError::Unanswered(_) | OrderError::Changing => {
            tracing::warn!("order not carried out: {}", chain(error));
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "no-guard",
                "The guard does not answer; nobody knows whether the order was carried out",
            )
            .detail(chain(error))
            .retry_after(5)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_a_tagged_object_and_nothing_else_is() {
        let read = |text: &str| serde_json::from_str::<OrderIn>(text);
        let pause = read(r#"{"order": "pause", "string": 2, "seconds": 60}"#);
        assert_eq!(pause.ok(), Some(OrderIn::Pause { string: 2, seconds: 60 }));
        assert_eq!(read(r#"{"order": "mute"}"#).ok(), Some(OrderIn::Mute {}));
        assert_eq!(
            read(r#"{"order": "locate-break", "bus": 1}"#).map(Order::from).ok(),
            Some(Order::Commission(Commission::LocateBreak { bus: 1 }))
        );
        for wrong in [
            r#"{"order": "pause", "string": 2}"#,
            r#"{"order": "mute", "string": 2}"#,
            r#"{"order": "reset", "string": 70000}"#,
            r#"{"order": "rows", "string": 1, "from": 0}"#,
            r#"{"string": 1}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_button_is_one_of_four() {
        let press = |order: &str, string| {
            pressed(&Button { order: order.to_owned(), string }).map_err(|p| p.status)
        };
        assert_eq!(press("pause", Some(1)), Ok(OrderIn::Pause { string: 1, seconds: 3_600 }));
        assert_eq!(press("mute", None), Ok(OrderIn::Mute {}));
        assert_eq!(press("test", Some(1)), Err(400));
        assert_eq!(press("reset", None), Err(400));
    }
}
