//! A TEMPer thermometer on USB: the smallest driver of a USB-HID device.
//!
//! It is asked by one output report and answers by one input report of eight bytes:
//!
//! ```text
//! > 01 80 33 01 00 00 00 00
//! < 80 80 09 5A 4E 20 00 00      bytes 2 and 3: 0x095A = 2394
//! ```
//! What the number counts depends on the stick: hundredths of a degree, or 256ths.
//! Its reports bear no number, so that the host's id in front is 0.

use evenkeel_sdk::host::{Hid, HidDevice, HidError, Level, Log, Points};
use evenkeel_sdk::{Driver, Plugin, Quality, Update, Value};

evenkeel_sdk::register_driver!(Thermometer);

/// The device, as `plugin.toml` names it.
const STICK: &str = "stick";
const PERIOD_MS: u32 = 2_000;
const ANSWER_MS: u32 = 1_000;
/// Reports that nobody asked for, or asked for too long ago, before each question.
const STALE_MAX: u32 = 8;
const QUESTION: [u8; 9] = [0, 0x01, 0x80, 0x33, 0x01, 0, 0, 0, 0];
/// What the sensor can be trusted in, °C.
const RANGE: core::ops::RangeInclusive<f64> = -40.0..=125.0;

/// The thermometer.
#[derive(Default)]
pub struct Thermometer {
    stick: Option<Box<dyn HidDevice>>,
    is_lost: bool,
}

impl<H: Hid + Log + Points> Plugin<H> for Thermometer {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn wake(&mut self, host: &mut H) -> u32 {
        match self.celsius(host) {
            Ok(celsius) => {
                self.is_lost = false;
                let update = Update {
                    name: "experimental.room.temperature".into(),
                    value: Value::Number(celsius),
                    unit: "°C",
                    quality: Quality::Good,
                };
                if let Err(reason) = host.publish(&[update]) {
                    host.log(Level::Error, &reason);
                }
            }
            Err(reason) => {
                // Said once; until it is read again its temperature is stale.
                if !self.is_lost {
                    host.lost(&reason);
                }
                self.is_lost = true;
            }
        }
        PERIOD_MS
    }
}

/// There is nothing that it could be told.
impl<H: Hid + Log + Points> Driver<H> for Thermometer {}

impl Thermometer {
    fn celsius<H: Hid>(&mut self, host: &mut H) -> Result<f64, String> {
        let mut stick = match self.stick.take() {
            Some(stick) => stick,
            None => host.open_hid(STICK).map_err(|error| error.detail)?,
        };
        let answer = ask(stick.as_mut());
        // The handle outlives the device: one that is plugged in again is found by it.
        self.stick = Some(stick);
        let ((vendor, product), report) = answer.map_err(|error| error.detail)?;
        let counts = counts_per_degree(vendor, product)
            .ok_or_else(|| format!("{vendor:04x}:{product:04x} is no thermometer known here"))?;
        decode(&report, counts).ok_or_else(|| format!("{report:02x?} is no reading"))
    }
}

/// Who it is, and what it answers.
fn ask(stick: &mut dyn HidDevice) -> Result<((u16, u16), Vec<u8>), HidError> {
    let ids = stick.ids()?;
    for _ in 0..STALE_MAX {
        match stick.read(0) {
            Ok(_) => {}
            Err(error) if error.code == HidError::TIMEOUT => break,
            Err(error) => return Err(error),
        }
    }
    stick.write(&QUESTION)?;
    Ok((ids, stick.read(ANSWER_MS)?))
}

fn counts_per_degree(vendor: u16, product: u16) -> Option<f64> {
    match (vendor, product) {
        (0x413d, 0x2107) => Some(100.0),
        (0x0c45, 0x7401) => Some(256.0),
        _ => None,
    }
}

/// The temperature in a report, its id included.
fn decode(report: &[u8], counts_per_degree: f64) -> Option<f64> {
    let &[0, 0x80, _, high, low, _, _, _, _] = report else { return None };
    let celsius = f64::from(i16::from_be_bytes([high, low])) / counts_per_degree;
    RANGE.contains(&celsius).then_some(celsius)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sdk::testkit::{Bench, BenchHid, conformance};
    use std::cell::RefCell;
    use std::path::Path;
    use std::rc::Rc;

    const READING: [u8; 9] = [0, 0x80, 0x80, 0x09, 0x5A, 0x4E, 0x20, 0, 0];

    /// The stick, and the thermometer that reads it. It answers with `reports`.
    fn rig(ids: (u16, u16)) -> (Bench, Rc<RefCell<BenchHid>>, Thermometer) {
        let mut bench = Bench::default();
        let stick = Rc::new(RefCell::new(BenchHid { ids, ..BenchHid::default() }));
        bench.hids.insert(STICK.into(), Rc::clone(&stick));
        (bench, stick, Thermometer::default())
    }

    #[test]
    fn readings_of_both_kinds_are_understood_and_nothing_else_is() {
        assert_eq!(decode(&READING, 100.0), Some(23.94));
        assert_eq!(decode(&[0, 0x80, 2, 0xFF, 0x80, 0, 0, 0, 0], 256.0), Some(-0.5));
        for wrong in [
            &READING[..8],
            &READING[1..],
            &[&READING[..], &[0]].concat(),
            &[0, 0x82, 0x80, 0x09, 0x5A, 0, 0, 0, 0],
            &[1, 0x80, 0x80, 0x09, 0x5A, 0, 0, 0, 0],
            &[0, 0x80, 0x80, 0x7F, 0xFF, 0, 0, 0, 0],
            &[],
        ] {
            assert_eq!(decode(wrong, 100.0), None, "{wrong:02x?}");
        }
        assert_eq!(counts_per_degree(0x051d, 0x0002), None);
    }

    #[test]
    fn a_stick_that_answers_nothing_is_lost_and_stale_reports_are_no_answer() {
        let (mut bench, stick, mut thermometer) = rig((0x413d, 0x2107));
        stick.borrow_mut().reports.push_back(READING.to_vec());
        thermometer.wake(&mut bench);
        assert_eq!(stick.borrow().written, [QUESTION]);
        assert_eq!((bench.published.len(), bench.lost.len()), (0, 1), "it came unasked");
    }

    /// The folder in `testcases` has what the stick is asked and answers; the kit
    /// adds what can go wrong with it and with its cable.
    #[test]
    fn a_stick_is_read_whole_and_with_every_fault() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testcases"));
        conformance::<Thermometer>(folder, &[]);
    }

    #[test]
    fn a_stranger_under_the_same_name_and_no_grant_are_told() {
        let (mut bench, stick, mut thermometer) = rig((0x051d, 0x0002));
        stick.borrow_mut().reports.push_back(READING.to_vec());
        thermometer.wake(&mut bench);
        let mut nothing = Bench::default();
        Thermometer::default().wake(&mut nothing);
        assert!(nothing.lost[0].contains("not granted"), "{:?}", nothing.lost);
        assert!(bench.published.is_empty() && !bench.lost.is_empty());
    }
}
