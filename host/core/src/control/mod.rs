//! A cycle's decisions for everything on all buses: readings in; duties,
//! outputs, errands and the process image out. The pure middle of the guard:
//! sized at start, allocates nothing afterwards.
//!
//! ```text
//!  masters ──▶ devices ──▶ strings (phase, protection, equalizer, estimators)
//!                              │        │
//!                 battery tests┘        ├──▶ duties ─────────┐
//!                                       ├──▶ breaker relays ─┤──▶ masters
//!              alarm relay, buzzer, LED ┴──▶ panel ──────────┘
//! ```

mod devices;
mod errands;
mod kept;
mod orders;
mod pause;
mod publish;
mod string;
mod survey;
mod ups_test;

pub use kept::Kept;
pub use publish::Published;
pub use string::{Kept as KeptString, StringControl, Surroundings};

use crate::bus::master::Master;
use crate::bus::topology::Cable;
use crate::bus::wire::Duty;
use crate::image::{BusRecord, BusWork, Condition, Cycle, Jitter};
use crate::protect::{Annunciation, Annunciator, General, Hands, Level};
use crate::settings::GuardSettings;
use crate::time::Nanos;
use devices::Devices;
use errands::Errands;
use ups_test::UpsTest;

/// A reading older than this many cycles is not used any more: two missed
/// scans are bridged, at the third the module drops its bypass by itself.
const FRESH_CYCLES: u64 = 3;

/// Control of everything.
pub struct Control {
    fresh: Nanos,
    strings: Vec<StringControl>,
    devices: Devices,
    tests: Vec<UpsTest>,
    annunciator: Annunciator,
    hands: Hands,
    annunciation: Annunciation,
    level: Level,
    /// System conditions that were alarms in the last cycle, and how many began.
    system_alarms: u64,
    system_raised: u32,
    buses: Vec<Bus>,
    /// Counters and times: the guard's business, shown in the image.
    pub cycle: Cycle,
    /// How late the guard woke up.
    pub jitter: Jitter,
}

/// What belongs to one bus.
struct Bus {
    /// Duties in its master's order of modules.
    duties: Vec<Duty>,
    errands: Errands,
    record: BusRecord,
}

/// Conditions of the guard that are alarms: nobody watches what it cannot see.
const SYSTEM_ALARMS: u64 = Condition::PortLost as u64 | Condition::DeviceLost as u64;
/// Those that are warnings.
const SYSTEM_WARNINGS: u64 = Condition::SettingsFallback as u64 | Condition::WatchdogLost as u64;

impl Control {
    /// For checked settings, with what was kept over a restart.
    #[must_use]
    pub fn new(settings: &GuardSettings, kept: &Kept) -> Self {
        let addresses: Vec<_> = (0..settings.buses.len()).map(|b| settings.modules_of(b)).collect();
        let strings = settings.strings.iter().enumerate().map(|(i, string)| {
            let own = &addresses[usize::from(string.bus) - 1];
            StringControl::new(string, settings, own, kept.of(i, &string.name))
        });
        let strings: Vec<_> = strings.collect();
        let tests = settings.tests.iter().enumerate().map(|(i, test)| {
            UpsTest::new(test, settings, &strings, kept.tests.get(i).copied().unwrap_or_default())
        });
        let buses = addresses.iter().enumerate().map(|(bus, addresses)| Bus {
            duties: vec![Duty::OFF; addresses.len()],
            errands: Errands::new(settings, bus),
            record: BusRecord {
                lost: false,
                utilisation: utilisation(settings, bus),
                bad_frames: 0,
                unexpected_frames: 0,
                missed_replies: 0,
                strangers: [0; 4],
                cable: Cable::Whole,
                work: BusWork::None,
                // Published from where they are found.
                found: Vec::new(),
            },
        });
        Self {
            fresh: Nanos(settings.cycle().0 * FRESH_CYCLES),
            tests: tests.collect(),
            devices: Devices::new(settings),
            annunciator: Annunciator::new(settings.annunciator),
            hands: Hands::default(),
            annunciation: Annunciation::default(),
            level: Level::Ok,
            system_alarms: 0,
            system_raised: 0,
            buses: buses.collect(),
            cycle: Cycle { period: settings.cycle(), ..Cycle::default() },
            jitter: Jitter::default(),
            strings,
        }
    }

    /// One cycle: look at what the masters have scanned, decide, and give each
    /// master its duties, outputs and errand. `wall_s` is the time of day,
    /// seconds since 1970 UTC, once the clock is set.
    pub fn step(&mut self, masters: &mut [Master], now: Nanos, wall_s: Option<u64>) {
        self.devices.look(masters, now, self.fresh);
        for (i, string) in self.strings.iter_mut().enumerate() {
            let bus = usize::from(string.settings.bus) - 1;
            let Some(master) = masters.get(bus) else { continue };
            let around = Surroundings {
                now,
                wall_s,
                testing: self.tests.iter().any(|test| test.runs_on(i)),
                commissioning: self.buses[bus].errands.is_commissioning(),
                ..self.devices.around(i)
            };
            string.step(master.modules(), around, self.fresh);
        }
        for test in &mut self.tests {
            test.step(&self.strings, &mut self.devices, now, wall_s);
        }
        self.announce(now);
        self.drive(masters);
    }

    /// The master of a bus (from 0) is idle and its cycle not over: true when
    /// it has something to go on with.
    pub fn go_on(&mut self, bus: usize, master: &mut Master) -> bool {
        self.buses.get_mut(bus).is_some_and(|bus| bus.errands.go_on(master))
    }

    /// The duties of the last step are on their way: show them as commanded.
    pub fn commanded(&mut self) {
        self.strings.iter_mut().for_each(StringControl::commanded);
    }

    /// The strings, in the settings' order.
    #[must_use]
    pub fn strings(&self) -> &[StringControl] {
        &self.strings
    }

    /// The duties of the last step for a bus (from 0), in its master's order.
    #[must_use]
    pub fn duties(&self, bus: usize) -> &[Duty] {
        self.buses.get(bus).map_or(&[], |bus| &bus.duties)
    }

    /// Before leaving: all bypasses off, and unless other settings go on at once,
    /// alarm relay dropped; relays that have to stay are kept by their devices.
    pub fn release(&mut self, masters: &mut [Master], for_good: bool) {
        for (bus, master) in self.buses.iter_mut().zip(masters.iter_mut()) {
            bus.duties.fill(Duty::OFF);
            master.command(&bus.duties);
        }
        if for_good {
            self.devices.show(Annunciation::default());
        }
        self.devices.command(masters);
    }

    /// A number that changes with what has to be written down at once: trips,
    /// their resets, and pauses.
    #[must_use]
    pub fn latches(&self) -> u64 {
        const PRIME: u64 = 0x100_0000_01b3;
        self.strings.iter().fold(0, |sum, string| {
            let trip = u64::from(string.protection.latch().trip.is_some());
            let pause = string.pause.until_wall_s().unwrap_or(0);
            (sum ^ trip ^ pause << 1).wrapping_mul(PRIME)
        })
    }

    fn announce(&mut self, now: Nanos) {
        let conditions = &mut self.cycle.conditions;
        *conditions &= !(Condition::DeviceLost as u64);
        *conditions |= if self.devices.is_any_lost() { Condition::DeviceLost as u64 } else { 0 };
        let alarms = *conditions & SYSTEM_ALARMS;
        self.system_raised =
            self.system_raised.wrapping_add((alarms & !self.system_alarms).count_ones());
        self.system_alarms = alarms;
        let tests = self.tests.iter().map(UpsTest::level).max().unwrap_or(Level::Ok);
        let system = match *conditions {
            _ if alarms != 0 => Level::Alarm,
            c if c & SYSTEM_WARNINGS != 0 => Level::Warning,
            _ => Level::Ok,
        };
        let reports = self.strings.iter().map(|s| s.protection.report());
        let general = General::of(reports, system.max(tests), self.system_raised);
        self.level = general.level;
        self.hands.mute |= self.devices.is_mute_pressed();
        self.annunciation = self.annunciator.step(now, general, self.hands);
        self.hands = Hands::default();
        self.devices.show(self.annunciation);
    }

    /// Everything that goes out on the buses.
    fn drive(&mut self, masters: &mut [Master]) {
        for (i, string) in self.strings.iter().enumerate() {
            self.devices.set_breaker(i, string.protection.report().relays);
        }
        self.devices.command(masters);
        for (i, (bus, master)) in self.buses.iter_mut().zip(masters.iter_mut()).enumerate() {
            bus.duties.fill(Duty::OFF);
            let on_bus = |s: &&mut StringControl| usize::from(s.settings.bus) == i + 1;
            for string in self.strings.iter_mut().filter(on_bus) {
                string.command(&mut bus.duties);
                if let Some(block) = string.measure
                    && bus.errands.measure(string.record.blocks[block].address)
                {
                    string.measure = None;
                }
            }
            bus.errands.step(master);
            (bus.record.cable, bus.record.work) = (bus.errands.cable(), bus.errands.work());
            master.command(&bus.duties);
            let counters = master.counters();
            bus.record.bad_frames = counters.bad_frames;
            bus.record.unexpected_frames = counters.unexpected;
            bus.record.missed_replies = counters.missed;
            bus.record.strangers = [0; 4];
            for (slot, stranger) in bus.record.strangers.iter_mut().zip(master.strangers()) {
                *slot = stranger.address;
            }
        }
    }

    /// Say which bus (from 0) has lost its port.
    pub fn set_lost(&mut self, bus: usize, lost: bool) {
        if let Some(bus) = self.buses.get_mut(bus) {
            bus.record.lost = lost;
        }
        let any = self.buses.iter().any(|b| b.record.lost);
        self.set_condition(Condition::PortLost, any);
    }

    /// Say whether a condition of the guard holds.
    pub fn set_condition(&mut self, condition: Condition, holds: bool) {
        self.cycle.conditions &= !(condition as u64);
        self.cycle.conditions |= if holds { condition as u64 } else { 0 };
    }
}

/// Share of a cycle for which the line of a bus (from 0) is busy.
fn utilisation(settings: &GuardSettings, bus: usize) -> f32 {
    let (busy, _) = settings.busy(&settings.timing(bus), bus);
    (busy.as_secs_f64() / settings.cycle().as_secs_f64()) as f32
}

#[cfg(test)]
mod tests;
