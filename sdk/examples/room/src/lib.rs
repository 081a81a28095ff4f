//! A battery room: a driver without a device of its own. It reads a contact at one
//! of the appliance's modules, switches a relay that it was granted, hears what
//! happens, and says what it sees.
//!
//! A lead battery in trouble gives off hydrogen: each alarm has the fan ventilate
//! for a while. The door is watched, and its opening is a warning in the log.

use evenkeel_sdk::host::{Clock, Config, Contacts, Event, Events, Level, Log, Points};
use evenkeel_sdk::{Driver, Plugin, Quality, Settings, Update, Value};

evenkeel_sdk::register_driver!(Room);

/// The inputs and outputs, as `plugin.toml` names them.
const DOOR: &str = "door";
const FAN: &str = "fan";
/// Time between two looks; events wake it sooner.
const PERIOD_MS: u32 = 1_000;
/// A reading that is older than this is none: the appliance reads each device
/// every few seconds.
const AGE_MS_MAX: u64 = 15_000;
/// Ventilation after an alarm, when no setting says otherwise.
const VENTILATE_S: f64 = 600.0;
/// Severity of the events that are a reason to ventilate.
const ALARM: u32 = 2;
/// What happened longer ago is no reason any more.
const NEWS_MS: u64 = 60_000;
/// Events that are read at once, and how often in one look: the log may be long.
const PIECE: u32 = 64;
const PIECES: u32 = 4;
/// Pause after the relay was not switched: a relay bears few attempts.
const RETRY_MS: u64 = 30_000;

/// The room.
#[derive(Default)]
pub struct Room {
    ventilate_ms: u64,
    /// The last event that was looked at.
    heard: u64,
    /// The fan shall run until then, on the host's clock.
    fan_until: u64,
    /// The relay is left alone until then.
    retry_at: u64,
    /// How the door is, and how it was read the last time.
    door_closed: Option<bool>,
    door_before: Option<bool>,
    is_lost: bool,
}

impl<H: Clock + Config + Contacts + Events + Log + Points> Plugin<H> for Room {
    fn start(host: &mut H) -> Result<Self, String> {
        let range = 1.0..=86_400.0;
        let given = Settings::of(host).number("ventilate-s", range, "a time from 1 s to a day")?;
        let seconds = given.unwrap_or(VENTILATE_S);
        // Within the range, so that nothing is cut off but fractions.
        let ventilate_ms = (seconds * 1_000.0) as u64;
        Ok(Self { ventilate_ms, ..Self::default() })
    }

    fn resume(&mut self, state: &[u8]) {
        if let Ok(heard) = state.try_into() {
            self.heard = u64::from_le_bytes(heard);
        }
    }

    fn wake(&mut self, host: &mut H) -> u32 {
        self.listen(host);
        match read(host) {
            Ok((door, fan)) => {
                self.is_lost = false;
                self.look(host, door, fan);
            }
            Err(reason) => {
                // Said once; until both are read again they are stale.
                if !self.is_lost {
                    host.lost(&reason);
                }
                self.is_lost = true;
                self.door_before = None;
            }
        }
        PERIOD_MS
    }

    fn save(&mut self) -> Vec<u8> {
        self.heard.to_le_bytes().to_vec()
    }
}

/// It offers no commands: the fan is the room's own matter.
impl<H: Clock + Config + Contacts + Events + Log + Points> Driver<H> for Room {}

/// Whether door and fan are closed.
fn read<H: Contacts>(host: &mut H) -> Result<(bool, bool), String> {
    let mut closed = |name| {
        let contact = host.read_contact(name).map_err(|error| error.detail)?;
        match contact.age_ms > AGE_MS_MAX {
            true => Err(format!("the contact {name} was read {} s ago", contact.age_ms / 1_000)),
            false => Ok(contact.closed),
        }
    };
    Ok((closed(DOOR)?, closed(FAN)?))
}

impl Room {
    /// Hear what happened since the last time.
    fn listen<H: Clock + Events + Log>(&mut self, host: &mut H) {
        for _ in 0..PIECES {
            let events = match host.events_since(self.heard, PIECE) {
                Ok(events) => events,
                Err(error) => return host.log(Level::Warn, &error.detail),
            };
            let Some(last) = events.last() else { return };
            self.heard = last.sequence;
            // Without a date nobody knows how old it is: rather once too often.
            let oldest = host.utc_ms().map_or(0, |now| now.saturating_sub(NEWS_MS));
            let is_reason = |e: &&Event| e.severity >= ALARM && e.utc_ms >= oldest;
            if let Some(alarm) = events.iter().find(is_reason) {
                self.fan_until = host.now_ms() + self.ventilate_ms;
                host.log(Level::Info, &format!("ventilates because of: {}", alarm.text));
            }
        }
    }

    fn look<H: Clock + Contacts + Events + Log + Points>(
        &mut self,
        host: &mut H,
        door: bool,
        fan: bool,
    ) {
        // A door that was read so twice in a row has moved; a contact that bounces
        // has not.
        let twice = self.door_before.replace(door) == Some(door);
        let door = self.door_closed.filter(|_| !twice).unwrap_or(door);
        if self.door_closed.replace(door).is_some_and(|before| before != door) {
            let (severity, kind, text) = match door {
                true => (0, "door_closed", "The door of the battery room is closed"),
                false => (1, "door_open", "The door of the battery room is open"),
            };
            if let Err(error) = host.raise(severity, kind, text) {
                host.log(Level::Warn, &error.detail);
            }
        }
        let now = host.now_ms();
        let wanted = now < self.fan_until;
        if fan != wanted && now >= self.retry_at {
            match host.switch_contact(FAN, wanted) {
                Ok(()) => host.log(Level::Info, if wanted { "fan on" } else { "fan off" }),
                Err(error) => {
                    self.retry_at = now + RETRY_MS;
                    host.log(Level::Error, &format!("the fan is not switched: {}", error.detail));
                }
            }
        }
        // The relay as it was read: what was ordered just now shows the next time.
        let flags = [("experimental.door.closed", door), ("experimental.fan.on", fan)];
        let updates = flags.map(|(name, closed)| Update {
            name: name.into(),
            value: Value::Flag(closed),
            unit: "",
            quality: Quality::Good,
        });
        if let Err(reason) = host.publish(&updates) {
            host.log(Level::Error, &reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sdk::host::Contact;
    use evenkeel_sdk::testkit::{Bench, conformance};
    use std::path::Path;

    /// Each folder in `testcases` has a state of the room; the kit adds what can go
    /// wrong with its contacts, and goes from each to each other.
    #[test]
    fn every_state_with_every_fault_and_every_change() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testcases"));
        conformance::<Room>(folder, &[]);
    }

    fn bench() -> Bench {
        let mut bench = Bench::default();
        (bench.raise_max, bench.utc_ms) = (1, Some(1_000_000));
        bench.contacts.insert(DOOR.into(), Contact { closed: true, age_ms: 0 });
        bench.contacts.insert(FAN.into(), Contact { closed: false, age_ms: 0 });
        bench
    }

    fn started(bench: &mut Bench) -> Room {
        <Room as Plugin<Bench>>::start(bench).expect("good settings")
    }

    fn flag(bench: &Bench, name: &str) -> Value {
        bench.last(name).expect("published").value.clone()
    }

    fn alarm(sequence: u64, utc_ms: u64) -> Event {
        let text = "block 17 is hot".to_owned();
        Event { sequence, utc_ms, severity: ALARM, text, ..Event::default() }
    }

    #[test]
    fn the_door_is_followed_and_its_opening_is_a_warning() {
        let mut bench = bench();
        let mut room = started(&mut bench);
        room.wake(&mut bench);
        assert_eq!(flag(&bench, "experimental.door.closed"), Value::Flag(true));
        assert!(bench.raised.is_empty(), "how it is at first is no event");
        bench.contacts.insert(DOOR.into(), Contact { closed: false, age_ms: 0 });
        room.wake(&mut bench);
        room.wake(&mut bench);
        assert_eq!(flag(&bench, "experimental.door.closed"), Value::Flag(false));
        let said: Vec<_> = bench.raised.iter().map(|(s, kind, _)| (*s, kind.as_str())).collect();
        assert_eq!(said, [(1, "door_open")]);
    }

    #[test]
    fn an_alarm_ventilates_for_a_while_and_old_ones_do_not() {
        let mut bench = bench();
        bench.set("ventilate-s", "30");
        bench.events = vec![alarm(1, 0), alarm(2, 939_999)];
        let mut room = started(&mut bench);
        room.wake(&mut bench);
        assert!(!bench.contacts[FAN].closed, "old news");
        bench.events.push(Event { severity: 1, ..alarm(3, 999_000) });
        room.wake(&mut bench);
        assert!(!bench.contacts[FAN].closed, "a warning");
        bench.events.push(alarm(4, 999_000));
        room.wake(&mut bench);
        assert!(bench.contacts[FAN].closed);
        bench.now_ms += 29_999;
        room.wake(&mut bench);
        assert_eq!(flag(&bench, "experimental.fan.on"), Value::Flag(true));
        bench.now_ms += 1;
        room.wake(&mut bench);
        assert!(!bench.contacts[FAN].closed, "it is over, and the alarm is not heard again");
        let mut next = started(&mut bench);
        <Room as Plugin<Bench>>::resume(&mut next, &<Room as Plugin<Bench>>::save(&mut room));
        next.wake(&mut bench);
        assert!(!bench.contacts[FAN].closed, "nor by the next version");
    }

    #[test]
    fn a_long_log_is_read_piece_by_piece() {
        let mut bench = bench();
        bench.events = (1..=600).map(|n| alarm(n, 0)).collect();
        bench.events.push(alarm(601, 999_000));
        let mut room = started(&mut bench);
        let wakes = (1..10).find(|_| {
            room.wake(&mut bench);
            bench.contacts[FAN].closed
        });
        assert_eq!(wakes, Some(3));
    }

    #[test]
    fn what_is_not_granted_or_not_there_is_said_and_not_repeated_without_pause() {
        let mut bench = bench();
        bench.read_only.insert(FAN.into());
        bench.events = vec![alarm(1, 999_000)];
        let mut room = started(&mut bench);
        for _ in 0..10 {
            room.wake(&mut bench);
        }
        let told = bench.logged.iter().filter(|(_, text)| text.contains("granted for reading"));
        assert_eq!(told.count(), 1);
        assert_eq!(flag(&bench, "experimental.fan.on"), Value::Flag(false));
        bench.contacts.remove(DOOR);
        let published = bench.published.len();
        room.wake(&mut bench);
        assert_eq!((bench.published.len(), bench.lost.len()), (published, 1));
    }

    #[test]
    fn a_time_that_cannot_be_is_refused() {
        let mut bench = Bench::with_settings(&[("ventilate-s", "0")]);
        let refused = <Room as Plugin<Bench>>::start(&mut bench).map(drop);
        assert!(refused.expect_err("no time").contains("ventilate-s"));
    }
}
