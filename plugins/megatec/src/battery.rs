//! What the family does not report: how many packs stand behind the voltage,
//! and an estimate of the charge (facts/ups-serial-protocols.md §1.6).

use evenkeel_sdk::Settings;
use evenkeel_sdk::host::{Config, Quality, Update, Value};

/// What is known about the battery; all voltages are of the whole battery.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Battery {
    packs: Option<f64>,
    low_v: Option<f64>,
    high_v: Option<f64>,
}

impl Battery {
    /// What the administrator says.
    pub(crate) fn from_settings<H: Config>(settings: &mut Settings<'_, H>) -> Result<Self, String> {
        let battery = Self {
            packs: settings.number("battery-packs", 0.5..=120.0, "a multiplier from 0.5 to 120")?,
            low_v: settings.number("battery-low-v", 1.0..=999.0, VOLTAGE)?,
            high_v: settings.number("battery-high-v", 1.0..=999.0, VOLTAGE)?,
        };
        match (battery.low_v, battery.high_v) {
            (Some(low), Some(high)) if low >= high => {
                Err("setting battery-high-v must be above battery-low-v".to_owned())
            }
            _ => Ok(battery),
        }
    }

    /// Fill the gaps from the nominal and the present voltage.
    pub(crate) fn learn(self, nominal_v: Option<f64>, reading_v: Option<f64>) -> Self {
        let Some(nominal) = nominal_v.filter(|v| *v > 0.0) else { return self };
        Self {
            packs: self.packs.or_else(|| packs(nominal, reading_v?)),
            low_v: self.low_v.or(Some(nominal * 104.0 / 120.0)),
            high_v: self.high_v.or(Some(nominal * 130.0 / 120.0)),
        }
    }

    /// Points that stay the same while a device is connected.
    pub(crate) fn constants(self) -> impl Iterator<Item = Update> {
        let rounded = |volts: f64| (volts * 100.0).round_ties_even() / 100.0;
        let packs = self.packs.map(|packs| Update {
            name: "battery.packs".into(),
            value: Value::Number(packs),
            unit: "",
            quality: Quality::Estimated,
        });
        let low = self.low_v.map(|v| Update::estimate("battery.voltage.low", rounded(v), "V"));
        let high = self.high_v.map(|v| Update::estimate("battery.voltage.high", rounded(v), "V"));
        [packs, low, high].into_iter().flatten()
    }

    /// Charge in whole per cent for a reported voltage: a straight line from
    /// low to high, clamped. It deserves no more digits. Nothing where the
    /// battery is not known; without a voltage it is bad.
    pub(crate) fn charge(self, reading_v: Option<f64>) -> Option<Update> {
        let (packs, low, high) = (self.packs?, self.low_v?, self.high_v?);
        if high <= low {
            return None;
        }
        let Some(volts) = reading_v else {
            let unknown = Update::estimate("battery.charge", 0.0, "%");
            return Some(Update { quality: Quality::Bad, ..unknown });
        };
        let charge = (100.0 * (packs * volts - low) / (high - low)).clamp(0.0, 100.0);
        Some(Update::estimate("battery.charge", charge.round_ties_even(), "%"))
    }
}

const VOLTAGE: &str = "a voltage from 1 to 999";

/// The greatest usual multiplier that brings the reading near the nominal
/// voltage: 1 where the whole battery is reported, the number of cells or of
/// blocks where one of them is.
fn packs(nominal_v: f64, reading_v: f64) -> Option<f64> {
    const USUAL: [f64; 17] = [
        120.0, 100.0, 80.0, 60.0, 48.0, 36.0, 30.0, 24.0, 18.0, 12.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.0,
        0.5,
    ];
    let near = 0.8 * nominal_v..=1.25 * nominal_v;
    USUAL.into_iter().find(|packs| near.contains(&(packs * reading_v)))
}

#[cfg(test)]
mod tests {
    use evenkeel_sdk::testkit::Bench;

    use super::*;

    #[test]
    fn packs_follow_from_nominal_voltage() {
        let cases = [
            (24.0, 27.4, Some(1.0)),
            (24.0, 2.05, Some(12.0)),
            (24.0, 13.6, Some(2.0)),
            (240.0, 2.27, Some(120.0)),
            (12.0, 27.0, Some(0.5)),
            (24.0, 0.0, None),
            (24.0, 90.0, None),
        ];
        for (nominal, reading, expected) in cases {
            assert_eq!(packs(nominal, reading), expected, "{reading} V of {nominal} V");
        }
    }

    #[test]
    fn charge_is_a_clamped_line() {
        let battery = Battery::default().learn(Some(24.0), Some(2.05));
        let charge = |volts| match battery.charge(Some(volts)).unwrap().value {
            Value::Number(number) => number,
            other => panic!("{other:?}"),
        };
        assert_eq!(charge(2.05), 73.0);
        assert_eq!(charge(1.0), 0.0);
        assert_eq!(charge(2.4), 100.0);
        assert_eq!(battery.charge(None).unwrap().quality, Quality::Bad, "no voltage, no charge");
        assert_eq!(Battery::default().charge(Some(2.05)), None);
    }

    #[test]
    fn settings_win_over_guesses_and_must_make_sense() {
        let battery = |pairs: &[(&str, &str)]| {
            Battery::from_settings(&mut Settings::of(&mut Bench::with_settings(pairs)))
        };
        let given = battery(&[("battery-packs", "6")]).unwrap();
        assert_eq!(given.learn(Some(24.0), Some(2.05)).packs, Some(6.0));
        assert_eq!(given.learn(None, Some(2.05)), given);
        assert!(battery(&[("battery-low-v", "26"), ("battery-high-v", "20")]).is_err());
    }
}
