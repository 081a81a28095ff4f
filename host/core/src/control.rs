//! From a scan to duties and to the process image: the pure middle of the
//! guard's cycle. Everything is sized at start; nothing here allocates
//! afterwards.

use crate::battery::{ModuleKind, Verdict, judge};
use crate::bus::master::Module;
use crate::bus::wire::{Duty, Identity};
use crate::equalize::{BlockInput, Equalizer};
use crate::image::{BlockRecord, Fault, Snapshot, StringRecord};
use crate::points::Quality;
use crate::settings::{GuardSettings, StringSettings};
use crate::time::Nanos;

/// A reading this many cycles old is not used any more (two missed scans are
/// bridged; the module drops its bypass after three).
const FRESH_CYCLES: f64 = 2.5;

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
    equalizer: Equalizer,
    paused_until: Option<Nanos>,
    /// Index of the string's first module in the master's list.
    first_module: usize,
    inputs: Vec<Option<BlockInput>>,
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
                equalizer: Equalizer::new(s.equalizer(cycle)),
                paused_until: None,
                first_module: addresses.partition_point(|a| *a < s.first_address),
                inputs: vec![None; s.blocks.into()],
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
            fresh: Nanos((cycle.0 as f64 * FRESH_CYCLES) as u64),
            strings,
            duties: vec![Duty::OFF; addresses.len()],
            snapshot,
        }
    }

    /// Pause a string (counted from 1) until then, or end its pause.
    /// False when there is no such string.
    pub fn set_pause(&mut self, string: u16, until: Option<Nanos>) -> bool {
        let index = usize::from(string).wrapping_sub(1);
        self.strings.get_mut(index).map(|s| s.paused_until = until).is_some()
    }

    /// One scan: readings in, duties out, snapshot updated.
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
        for ((module, block), input) in own.iter().zip(blocks.iter_mut()).zip(&mut self.inputs) {
            survey(module, self.settings.module, now, fresh, block);
            *input = (block.quality == Quality::Good).then(|| BlockInput {
                voltage_v: f64::from(block.voltage_mv) / 1e3,
                temperature_c: f64::from(block.temperature_dc) / 10.0,
            });
        }
        let paused = self.paused_until.is_some_and(|until| now < until);
        let report = self.equalizer.step(&self.inputs, paused, &mut self.duties);
        for (block, duty) in blocks.iter_mut().zip(&self.duties) {
            block.duty = *duty;
        }
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
    (block.fault, block.quality) = match judge(kind, &reading) {
        _ if now.since(read) > fresh => (Fault::Silent, Quality::Stale),
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
    use crate::bus::wire::{Flags, Reading};

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
        modules[2].reading = modules[2].reading.map(|(r, _)| (r, Nanos::from_secs(97)));
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
    fn a_pause_ends_by_itself() {
        let mut control = control();
        assert!(control.set_pause(2, Some(Nanos::from_secs(10))));
        assert!(!control.set_pause(3, None));
        assert!(!control.set_pause(0, None));
        let modules = modules([13_500, 13_600, 13_500, 13_400, 13_800], Nanos::from_secs(9));
        control.step(&modules, Nanos::from_secs(9));
        assert!(!control.snapshot.strings[1].inhibits.is_empty());
        assert!(control.snapshot.strings[0].inhibits.is_empty());
        control.step(&modules, Nanos::from_secs(10));
        assert!(control.snapshot.strings[1].inhibits.is_empty());
    }
}
