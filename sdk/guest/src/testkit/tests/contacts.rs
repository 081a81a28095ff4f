//! Drivers of a UPS that says by contacts how it is, sound and careless.

use super::*;
use crate::host::{Contacts, ContactsError};
use crate::testkit::conform::follows;

/// What a driver does wrong.
const NOTHING: u8 = 0;
const IGNORES_AGE: u8 = 1;
const TAKES_AN_UNKNOWN_ONE_FOR_OPEN: u8 = 2;
const IGNORES_A_MISSING_WARNING: u8 = 3;
const FLAPS: u8 = 4;
const NEVER_CHANGES: u8 = 5;
const TELLS_WITHOUT_LOOKING: u8 = 6;
const NAMES_NOBODY: u8 = 7;
const GIVES_UP_FOR_EVER: u8 = 8;
const SWITCHES_BACK: u8 = 9;
const LOOKS_AT_REFUSALS_ALONE: u8 = 10;
const IGNORES_THE_AGE_OF_SIGNALS: u8 = 11;

/// Oldest reading that counts, ms.
const AGE_MS_MAX: u64 = 10_000;

/// A driver of a UPS: `on-battery` and `low` close when they are true, `room` is
/// a temperature, `shutdown` switches the UPS off.
struct Careless<const WRONG: u8> {
    on_battery: Steady,
    low: Steady,
    is_lost: bool,
}

/// A contact that counts as changed when two readings in a row say so.
#[derive(Default)]
struct Steady {
    level: Option<bool>,
    before: Option<bool>,
}

impl Steady {
    fn read<const WRONG: u8>(&mut self, host: &mut Bench, name: &str) -> Result<bool, String> {
        let contact = match host.read_contact(name) {
            Err(_) if WRONG == TAKES_AN_UNKNOWN_ONE_FOR_OPEN => return Ok(false),
            Err(_) if WRONG == IGNORES_A_MISSING_WARNING && name == "low" => return Ok(false),
            read => read.map_err(|error: ContactsError| error.detail)?,
        };
        if contact.age_ms > AGE_MS_MAX && WRONG != IGNORES_AGE {
            return Err(format!("the contact {name} was read {} s ago", contact.age_ms / 1_000));
        }
        let is_settled = self.before == Some(contact.closed) && WRONG != NEVER_CHANGES;
        self.before = Some(contact.closed);
        if is_settled || self.level.is_none() || WRONG == FLAPS {
            self.level = self.before;
        }
        Ok(self.level.unwrap_or_default())
    }
}

impl<const WRONG: u8> Careless<WRONG> {
    fn read(&mut self, host: &mut Bench) -> Result<[Update; 2], String> {
        let status = match self.on_battery.read::<WRONG>(host, "on-battery")? {
            true if self.low.read::<WRONG>(host, "low")? => "OB LB",
            true => "OB",
            // Read in any case: a broken wire is to be seen before it counts.
            false => {
                self.low.read::<WRONG>(host, "low")?;
                "OL"
            }
        };
        let room = match host.measure_contact("room") {
            Err(_) if WRONG == TAKES_AN_UNKNOWN_ONE_FOR_OPEN => 21.5,
            room => {
                let room = room.map_err(|error| error.detail)?;
                let is_seen = WRONG != IGNORES_AGE && WRONG != IGNORES_THE_AGE_OF_SIGNALS;
                let is_old = room.age_ms > AGE_MS_MAX && is_seen;
                if is_old { Err("the signal room is old")? } else { room.value }
            }
        };
        Ok([Update::text("ups.status", status), update("ambient.temperature", room, "°C")])
    }
}

impl<const WRONG: u8> Plugin<Bench> for Careless<WRONG> {
    fn start(_host: &mut Bench) -> Result<Self, String> {
        Ok(Self { on_battery: Steady::default(), low: Steady::default(), is_lost: false })
    }

    fn wake(&mut self, host: &mut Bench) -> u32 {
        if WRONG == GIVES_UP_FOR_EVER && self.is_lost {
            return 1_000;
        }
        match self.read(host) {
            Ok(updates) => {
                self.is_lost = false;
                host.publish(&updates).expect("a bench takes all");
            }
            Err(words) => {
                if !self.is_lost {
                    host.lost(if WRONG == NAMES_NOBODY { "no contact" } else { &words });
                }
                self.is_lost = true;
            }
        }
        1_000
    }
}

impl<const WRONG: u8> Driver<Bench> for Careless<WRONG> {
    fn command(
        &mut self,
        host: &mut Bench,
        _name: &str,
        _value: Option<&str>,
    ) -> Result<(), CommandError> {
        match host.switch_contact("shutdown", true) {
            Err(_) if WRONG == TELLS_WITHOUT_LOOKING => {}
            Err(e) if WRONG == LOOKS_AT_REFUSALS_ALONE && e.code == ContactsError::UNKNOWN => {}
            told => told.map_err(|error| CommandError::Refused(error.detail))?,
        }
        if WRONG == SWITCHES_BACK {
            let _ = host.switch_contact("shutdown", false);
        }
        Ok(())
    }
}

fn ups(on_battery: &str, status: &str) -> Case {
    case(
        &format!(
            "over contacts\ncontact on-battery {on_battery}\ncontact low open\n\
             relay shutdown open\nsignal room 21.5\n> switch shutdown closed\n"
        ),
        &format!("ups.status = \"{status}\"\nambient.temperature = 21.5 °C\n"),
        "load.off = accepted\n",
    )
}

/// The same UPS with and without mains.
fn both() -> [Case; 2] {
    let (mains, mut battery) = (ups("open", "OL"), ups("closed", "OB"));
    battery.name = "battery".to_owned();
    [mains, battery]
}

#[test]
fn a_sound_driver_passes_and_follows() {
    for case in both() {
        assert_eq!(verdict::<Careless<NOTHING>>(&case), None);
    }
    assert_eq!(said(|| follows::<Careless<NOTHING>>(&both())), None);
}

#[test]
fn each_way_to_be_careless_is_found_by_the_test_for_it() {
    let [case, _] = both();
    let unsaid = "nothing is said of ";
    is_found(verdict::<Careless<IGNORES_AGE>>(&case), &[unsaid, "the stale low"]);
    let open = verdict::<Careless<TAKES_AN_UNKNOWN_ONE_FOR_OPEN>>(&case);
    is_found(open, &["values out of silence"]);
    let warning = verdict::<Careless<IGNORES_A_MISSING_WARNING>>(&case);
    is_found(warning, &[unsaid, "the unknown low"]);
    let flaps = verdict::<Careless<FLAPS>>(&case);
    is_found(flaps, &["ups.status = \"OB\"", "the bouncing on-battery"]);
    let told = "load.off under refusal: lost or refused wanted";
    is_found(verdict::<Careless<TELLS_WITHOUT_LOOKING>>(&case), &[told]);
    let alone = verdict::<Careless<LOOKS_AT_REFUSALS_ALONE>>(&case);
    is_found(alone, &["load.off under silence: lost or refused wanted"]);
    let signals = verdict::<Careless<IGNORES_THE_AGE_OF_SIGNALS>>(&case);
    is_found(signals, &[unsaid, "the stale room"]);
    is_found(verdict::<Careless<NAMES_NOBODY>>(&case), &["hand on the host's words"]);
    is_found(verdict::<Careless<GIVES_UP_FOR_EVER>>(&case), &["back after silence"]);
    let back = verdict::<Careless<SWITCHES_BACK>>(&case);
    is_found(back, &["sent what the recording lacks", "switch shutdown open"]);
    assert_eq!(verdict::<Careless<NEVER_CHANGES>>(&case), None, "it is never put to it here");
    is_found(said(|| follows::<Careless<NEVER_CHANGES>>(&both())), &["unit: then battery"]);
}
