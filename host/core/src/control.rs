//! From a scan to duties and to the process image: the pure middle of the
//! guard's cycle. Everything is sized at start; nothing here allocates
//! afterwards.

use crate::battery::{ModuleKind, Verdict, judge};
use crate::bus::master::Module;
use crate::bus::wire::{Duty, Flags, Identity};
use crate::equalize::{Equalizer, Orders};
use crate::image::{BlockRecord, Fault, Snapshot, StringRecord};
use crate::phase::PhaseDetector;
use crate::points::Quality;
use crate::scan::{BlockScan, StringScan};
use crate::settings::{GuardSettings, StringSettings};
use crate::time::Nanos;

/// A reading older than this many cycles is not used any more: two missed
/// scans are bridged, at the third the module drops its bypass by itself.
const FRESH_CYCLES: u64 = 3;

/// Control of all strings of a bus.
pub struct Control {
    fresh: Nanos,
    strings: Vec<StringControl>,
    /// Duties in the master's order of modules.
    duties: Vec<Duty>,
    /// What the image will show.
    pub snapshot: Snapshot,
}

struct StringControl {
    settings: StringSettings,
    phase: PhaseDetector,
    equalizer: Equalizer,
    paused_until: Nanos,
    /// Index of the string's first module in the master's list.
    first_module: usize,
    inputs: Vec<BlockScan>,
    duties: Vec<Duty>,
}

impl Control {
    /// For these settings; `addresses` are the master's, ascending.
    #[must_use]
    pub fn new(settings: &GuardSettings, addresses: &[u16]) -> Self {
        let cycle = settings.cycle();
        let strings: Vec<StringControl> = settings
            .strings
            .iter()
            .map(|s| StringControl {
                phase: PhaseDetector::new(s.equalizer(cycle).cells(), &s.battery(), None),
                equalizer: Equalizer::new(&s.equalizer(cycle)),
                paused_until: Nanos(0),
                first_module: addresses.partition_point(|a| *a < s.first_address),
                inputs: vec![BlockScan::default(); s.blocks.into()],
                duties: vec![Duty::OFF; s.blocks.into()],
                settings: s.clone(),
            })
            .collect();
        let mut snapshot = Snapshot::default();
        for string in &settings.strings {
            let first_block = snapshot.blocks.len() as u16;
            snapshot.strings.push(StringRecord {
                first_block,
                blocks: string.blocks,
                target_v: f64::NAN,
                sum_v: f64::NAN,
                worst_v: f64::NAN,
                ..StringRecord::default()
            });
            let addresses = string.first_address..=string.last_address();
            snapshot
                .blocks
                .extend(addresses.map(|address| BlockRecord { address, ..BlockRecord::default() }));
        }
        Self {
            fresh: Nanos(cycle.0 * FRESH_CYCLES),
            strings,
            duties: vec![Duty::OFF; addresses.len()],
            snapshot,
        }
    }

    /// Pause a string, counted from 0, until then; a time that has passed is
    /// no pause. A string that there is not is ignored.
    pub fn set_pause(&mut self, string: usize, until: Nanos) {
        if let Some(string) = self.strings.get_mut(string) {
            string.paused_until = until;
        }
    }

    /// The duties of the last step are on their way: show them as commanded.
    pub fn commanded(&mut self) {
        let duties = self.strings.iter().flat_map(|s| &s.duties);
        for (block, duty) in self.snapshot.blocks.iter_mut().zip(duties) {
            block.duty = *duty;
        }
    }

    /// One scan: readings in, duties out, snapshot updated (but for the
    /// duties, see [`Self::commanded`]).
    pub fn step(&mut self, modules: &[Module], now: Nanos) -> &[Duty] {
        let mut blocks = self.snapshot.blocks.as_mut_slice();
        for (string, record) in self.strings.iter_mut().zip(&mut self.snapshot.strings) {
            let (own, rest) = blocks.split_at_mut(string.inputs.len());
            blocks = rest;
            string.step(modules, own, record, now, self.fresh);
            let first = string.first_module;
            self.duties[first..first + string.duties.len()].copy_from_slice(&string.duties);
        }
        &self.duties
    }
}

impl StringControl {
    fn step(
        &mut self,
        modules: &[Module],
        blocks: &mut [BlockRecord],
        record: &mut StringRecord,
        now: Nanos,
        fresh: Nanos,
    ) {
        let own = &modules[self.first_module..self.first_module + blocks.len()];
        let inputs = own.iter().zip(blocks.iter_mut()).zip(&mut self.inputs);
        for (i, ((module, block), input)) in inputs.enumerate() {
            survey(module, self.settings.module, now, fresh, block);
            let good = block.quality == Quality::Good;
            let voltage_v = f64::from(block.voltage_mv) / 1e3;
            let applied = module.reading.map_or(0.0, |(r, _)| f64::from(r.duty) / 255.0);
            *input = BlockScan {
                voltage_v: good.then_some(voltage_v),
                temperature_c: good.then_some(f64::from(block.temperature_dc) / 10.0),
                bypass_a: applied * voltage_v / self.settings.module.data().bypass_ohm,
                resistance_mohm: None,
            };
            if good {
                let external = block.flags.has(Flags::EXTERNAL_SENSOR);
                self.equalizer.set_internal_sensor(i, !external);
            }
        }
        let scan = StringScan {
            now,
            wall_s: None,
            blocks: &self.inputs,
            current_a: None,
            string_v: None,
            ambient_c: None,
        };
        let phase = self.phase.step(&scan);
        let orders = Orders {
            paused: now < self.paused_until,
            charger_off: self.phase.charger_off(),
            ..Orders::default()
        };
        let report = self.equalizer.step(&scan, phase, &orders, &mut self.duties);
        *record = StringRecord {
            target_v: report.target_v,
            sum_v: report.sum_v,
            worst_v: report.worst_v,
            inhibits: report.inhibits,
            members: report.members,
            saturated: report.saturated,
            mean_duty: report.mean_duty,
            ..*record
        };
    }
}

/// What the image says about a block, from what the master knows of its module.
fn survey(module: &Module, kind: ModuleKind, now: Nanos, fresh: Nanos, block: &mut BlockRecord) {
    block.serial = module.identity.map_or(0, |i| i.serial);
    let Some((reading, read)) = module.reading else {
        return;
    };
    block.voltage_mv = reading.voltage_mv;
    block.temperature_dc = reading.temperature_dc;
    block.flags = reading.flags;
    block.read = read;
    let wrong = |i: Identity| i.type_code != kind.data().code;
    let verdict = judge(kind, &reading);
    // What never was a value does not become the last value of anything.
    let last = match verdict {
        Verdict::Valid if block.fault != Fault::WrongType => Quality::Stale,
        _ => Quality::Bad,
    };
    (block.fault, block.quality) = match verdict {
        _ if now.since(read) > fresh => (Fault::Silent, last),
        _ if module.identity.is_none() => (Fault::Unidentified, Quality::Bad),
        _ if module.identity.is_some_and(wrong) => (Fault::WrongType, Quality::Bad),
        Verdict::VoltageOutOfRange => (Fault::VoltageOutOfRange, Quality::Bad),
        Verdict::TemperatureInvalid => (Fault::TemperatureInvalid, Quality::Bad),
        Verdict::Valid => (Fault::None, Quality::Good),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::wire::Reading;

    const BODY: &str = "[bus]\nport = \"/dev/null\"\n\
        [[string]]\nname = \"B\"\nmodule = \"C20\"\nfirst_address = 10\nblocks = 2\ncapacity_ah = 7.0\n\
        [[string]]\nname = \"A\"\nmodule = \"C20\"\nfirst_address = 1\nblocks = 3\ncapacity_ah = 7.0\n";
    const ADDRESSES: [u16; 5] = [1, 2, 3, 10, 11];

    fn control() -> Control {
        Control::new(&GuardSettings::parse(BODY).expect("valid"), &ADDRESSES)
    }

    fn modules(voltages_mv: [u16; 5], read: Nanos) -> Vec<Module> {
        let module = |(address, voltage_mv)| Module {
            address,
            identity: Some(Identity { type_code: 20, hardware: 1, firmware: (1, 0), serial: 5 }),
            reading: Some((
                Reading {
                    sample: 1,
                    voltage_mv,
                    temperature_dc: 250,
                    duty: 0,
                    flags: Flags::default(),
                },
                read,
            )),
            ..Module::default()
        };
        ADDRESSES.into_iter().zip(voltages_mv).map(module).collect()
    }

    #[test]
    fn duties_go_to_the_modules_they_are_meant_for() {
        let mut control = control();
        let now = Nanos::from_secs(5);
        let modules = modules([13_500, 13_600, 13_500, 13_400, 13_800], now);
        let mut duties = Vec::new();
        for _ in 0..20 {
            duties = control.step(&modules, now).to_vec();
        }
        let on: Vec<bool> = duties.iter().map(|d| *d > Duty::OFF).collect();
        assert_eq!(on, [false, true, false, false, true]);
        assert_eq!(control.snapshot.strings[0].first_block, 0, "strings keep the settings' order");
        assert_eq!(control.snapshot.blocks[0].address, 10);
        assert!((control.snapshot.strings[0].target_v - 13.6).abs() < 1e-9);
        assert!((control.snapshot.strings[1].sum_v - 40.6).abs() < 1e-9);
    }

    #[test]
    fn faults_are_named_and_never_equalized() {
        let mut control = control();
        let now = Nanos::from_secs(100);
        let mut modules = modules([13_500, 17_001, 13_500, 13_400, 13_800], now);
        modules[0].identity = None;
        modules[2].reading = modules[2].reading.map(|(r, _)| (r, Nanos::from_secs(96)));
        modules[3].identity.as_mut().expect("identified").type_code = 40;
        modules[4].reading = None;
        let duties = control.step(&modules, now).to_vec();
        assert!(duties.iter().all(|d| *d == Duty::OFF));
        let seen: Vec<_> = control.snapshot.blocks.iter().map(|b| (b.fault, b.quality)).collect();
        assert_eq!(
            seen,
            [
                (Fault::WrongType, Quality::Bad),
                (Fault::NeverSeen, Quality::Bad),
                (Fault::Unidentified, Quality::Bad),
                (Fault::VoltageOutOfRange, Quality::Bad),
                (Fault::Silent, Quality::Stale),
            ]
        );
    }

    #[test]
    fn what_was_never_a_value_does_not_become_a_stale_one() {
        let mut control = control();
        let modules = modules([13_500, 13_600, 13_500, 13_400, 200], Nanos::from_secs(5));
        control.step(&modules, Nanos::from_secs(5));
        assert_eq!(control.snapshot.blocks[1].fault, Fault::VoltageOutOfRange);
        control.step(&modules, Nanos::from_secs(60));
        let seen = |block: usize| {
            let block = &control.snapshot.blocks[block];
            (block.fault, block.quality)
        };
        assert_eq!(seen(1), (Fault::Silent, Quality::Bad));
        assert_eq!(seen(0), (Fault::Silent, Quality::Stale));
    }

    #[test]
    fn duties_are_shown_once_they_were_sent() {
        let mut control = control();
        let now = Nanos::from_secs(5);
        let modules = modules([13_500, 13_600, 13_500, 13_400, 13_800], now);
        control.step(&modules, now);
        assert!(control.snapshot.blocks.iter().all(|b| b.duty == Duty::OFF));
        control.commanded();
        assert!(control.snapshot.blocks.iter().any(|b| b.duty > Duty::OFF));
    }

    #[test]
    fn a_pause_ends_by_itself() {
        let mut control = control();
        control.set_pause(1, Nanos::from_secs(10));
        control.set_pause(7, Nanos::from_secs(10));
        let modules = modules([13_500, 13_600, 13_500, 13_400, 13_800], Nanos::from_secs(9));
        control.step(&modules, Nanos::from_secs(9));
        assert!(!control.snapshot.strings[1].inhibits.is_empty());
        assert!(control.snapshot.strings[0].inhibits.is_empty());
        control.step(&modules, Nanos::from_secs(10));
        assert!(control.snapshot.strings[1].inhibits.is_empty());
    }
}
