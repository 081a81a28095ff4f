//! Drivers of a UPS on USB, sound and careless.

use super::*;
use crate::host::{Hid, HidDevice, HidError};

/// What a driver does wrong.
const NOTHING: u8 = 0;
const FILLS_WITH_ZEROS: u8 = 1;
const SAYS_NOTHING: u8 = 2;
const NAMES_NOBODY: u8 = 3;
const FORGETS_AN_UNPLUGGED_DEVICE: u8 = 4;
const REPEATS_OLD_VALUES: u8 = 5;
const TAKES_ANY_REPORT: u8 = 6;
const TELLS_WITHOUT_LOOKING: u8 = 7;
const TAKES_NO_REPORT_FOR_ONE: u8 = 8;
const SAYS_LOST_AGAIN_AND_AGAIN: u8 = 9;
const TELLS_SOMETHING_ELSE: u8 = 10;

/// A driver of a UPS that has its charge in the feature report 0c and says in
/// the input report 13 whether it has mains; the feature report 0d mutes it.
struct Careless<const WRONG: u8> {
    device: Option<Box<dyn HidDevice>>,
    has_mains: Option<bool>,
    is_lost: bool,
    is_forgotten: bool,
    last: Vec<Update>,
}

impl<const WRONG: u8> Careless<WRONG> {
    fn read(&mut self, host: &mut Bench) -> Result<Vec<Update>, HidError> {
        if self.is_forgotten {
            return Err(HidError::new(HidError::NO_DEVICE, "051d:0002 is lost"));
        }
        let device = match &mut self.device {
            Some(device) => device,
            None => self.device.insert(host.open_hid("ups")?),
        };
        let mut charge = device.get_feature(0x0c, 8)?;
        if WRONG == FILLS_WITH_ZEROS {
            charge.resize(2, 0);
        }
        let [0x0c, percent] = charge[..] else {
            return Err(HidError::new(HidError::IO, "051d:0002: no charge in its report"));
        };
        loop {
            match device.read(0) {
                Ok(report) => match report[..] {
                    [0x13, status] => self.has_mains = Some(status & 1 != 0),
                    [_, status] if WRONG == TAKES_ANY_REPORT => {
                        self.has_mains = Some(status & 1 != 0);
                    }
                    _ => {}
                },
                Err(error) if error.code == HidError::TIMEOUT => break,
                Err(error) => return Err(error),
            }
        }
        let mut updates = vec![update("battery.charge", f64::from(percent), "%")];
        let has_mains = match self.has_mains {
            None if WRONG == TAKES_NO_REPORT_FOR_ONE => Some(false),
            known => known,
        };
        if let Some(has_mains) = has_mains {
            updates.push(Update::text("ups.status", if has_mains { "OL" } else { "OB" }));
        }
        Ok(updates)
    }
}

impl<const WRONG: u8> Plugin<Bench> for Careless<WRONG> {
    fn start(_host: &mut Bench) -> Result<Self, String> {
        Ok(Self {
            device: None,
            has_mains: None,
            is_lost: false,
            is_forgotten: false,
            last: Vec::new(),
        })
    }

    fn wake(&mut self, host: &mut Bench) -> u32 {
        match self.read(host) {
            Ok(updates) => {
                self.is_lost = false;
                self.last.clone_from(&updates);
                host.publish(&updates).expect("a bench takes all");
            }
            Err(_) if WRONG == SAYS_NOTHING => {}
            Err(error) => {
                let words = if WRONG == NAMES_NOBODY { "no answer" } else { &error.detail };
                if !self.is_lost || WRONG == SAYS_LOST_AGAIN_AND_AGAIN {
                    host.lost(words);
                }
                let is_gone = error.code == HidError::NO_DEVICE;
                self.is_lost = true;
                self.is_forgotten = is_gone && WRONG == FORGETS_AN_UNPLUGGED_DEVICE;
                self.has_mains = None;
                if WRONG == REPEATS_OLD_VALUES && is_gone && !self.last.is_empty() {
                    host.publish(&self.last).expect("a bench takes all");
                }
            }
        }
        1_000
    }
}

impl<const WRONG: u8> Driver<Bench> for Careless<WRONG> {
    fn command(
        &mut self,
        _host: &mut Bench,
        _name: &str,
        _value: Option<&str>,
    ) -> Result<(), CommandError> {
        let report = [0x0d, if WRONG == TELLS_SOMETHING_ELSE { 3 } else { 1 }];
        let device = self.device.as_mut().expect("it was polled before");
        match device.set_feature(&report) {
            Err(_) if WRONG == TELLS_WITHOUT_LOOKING => Ok(()),
            told => told.map_err(|error| CommandError::Lost(error.detail)),
        }
    }
}

fn ups() -> Case {
    case(
        "over hid ups 051d:0002\n> feature 0c\n< 0c [64]\n> input\n< 13 [01]\n< 14 [00]\n\
         > set 0d 01\n",
        "battery.charge = 100 %\nups.status = \"OL\"\n",
        "beeper.mute = accepted\n",
    )
}

#[test]
fn a_sound_driver_passes() {
    assert_eq!(verdict::<Careless<NOTHING>>(&ups()), None);
}

#[test]
fn each_way_to_be_careless_is_found_by_the_test_for_it() {
    let case = ups();
    let cut = "the report 0c 64 cut after 1";
    is_found(verdict::<Careless<FILLS_WITH_ZEROS>>(&case), &["battery.charge = 0 %", cut]);
    is_found(verdict::<Careless<SAYS_NOTHING>>(&case), &["lost is said once", "not []"]);
    is_found(verdict::<Careless<NAMES_NOBODY>>(&case), &["hand on the host's words"]);
    let forgets = verdict::<Careless<FORGETS_AN_UNPLUGGED_DEVICE>>(&case);
    is_found(forgets, &["back after an unplugged device"]);
    let repeats = verdict::<Careless<REPEATS_OLD_VALUES>>(&case);
    is_found(repeats, &["battery.charge", "out of an unplugged device"]);
    // The report 14 says nothing about mains.
    is_found(verdict::<Careless<TAKES_ANY_REPORT>>(&case), &["unit: whole"]);
    let told = "beeper.mute under an unplugged device: lost or refused wanted";
    is_found(verdict::<Careless<TELLS_WITHOUT_LOOKING>>(&case), &[told]);
    let late = "answers that come late";
    is_found(verdict::<Careless<TAKES_NO_REPORT_FOR_ONE>>(&case), &["\"OB\"", late]);
    is_found(verdict::<Careless<SAYS_LOST_AGAIN_AND_AGAIN>>(&case), &["lost is said once"]);
    let else_ = verdict::<Careless<TELLS_SOMETHING_ELSE>>(&case);
    is_found(else_, &["sent what the recording lacks", "set 0d 03"]);
}
