//! An analogue input of the guard's devices, such as a temperature probe.
//! Source of the exhibit `gauge-0.1.0.evkp`, kept to be read; the smallest
//! driver that uses what 0.3 added, `contacts.measure`.

use evenkeel_sdk::host::{Contacts, Points};
use evenkeel_sdk::register_driver;
use evenkeel_sdk::{Driver, Plugin, Quality, Update, Value};
use std::borrow::Cow;

register_driver!(Gauge);

/// The driver.
pub struct Gauge;

impl<H: Contacts + Points> Plugin<H> for Gauge {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self)
    }

    fn wake(&mut self, host: &mut H) -> u32 {
        let told = match host.measure_contact("probe") {
            Ok(measured) => host.publish(&[Update {
                name: Cow::Borrowed("battery.temperature"),
                value: Value::Number(measured.value),
                unit: "°C",
                quality: Quality::Good,
            }]),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = told {
            host.lost(&reason);
        }
        1000
    }
}

impl<H: Contacts + Points> Driver<H> for Gauge {}
