//! The appliance's decisions as a [`Guardian`]: control of the duties, and
//! protection that trips by an AUX on the bus.

use super::case::Case;
use super::rig::{Around, Guardian, Opinion};
use crate::device::{BREAKER_OPEN, TRIP};
use evenkeel_core::battery::{BatteryType, Chemistry};
use evenkeel_core::bus::master::{Device, Master};
use evenkeel_core::bus::wire::{Duty, Io, Outputs};
use evenkeel_core::control::Control;
use evenkeel_core::equalize::Inhibits;
use evenkeel_core::image::BlockRecord;
use evenkeel_core::points::Quality;
use evenkeel_core::protect::{
    BreakerSettings, Config, Contact, Drive, Inputs, Latch, Limits, StringProtection,
};
use evenkeel_core::scan::{BlockScan, Phase, StringScan};
use evenkeel_core::settings::GuardSettings;
use evenkeel_core::time::Nanos;

/// Readings of devices are good for so many cycles.
const FRESH_CYCLES: u64 = 3;

/// The guard's control and protection.
pub struct ControlGuardian {
    control: Control,
    duties: Vec<Duty>,
    strings: Vec<Protected>,
    fresh: Nanos,
}

/// Protection of a string with a current sensor and an AUX, in this order
/// among the master's devices.
struct Protected {
    protection: StringProtection,
    first_module: usize,
    scans: Vec<BlockScan>,
}

impl ControlGuardian {
    /// For a case and its settings.
    #[must_use]
    pub fn new(case: &Case, settings: &GuardSettings) -> Self {
        let addresses = settings.addresses();
        let strings = case.scenario.strings.iter().map(|table| {
            let cells = table.module.data().lead_cells;
            let battery = BatteryType {
                float_v_per_cell: Some(table.float_v_per_cell),
                ..BatteryType::new(Chemistry::Agm, cells, table.capacity_ah)
            };
            let breaker = BreakerSettings {
                relay: 0,
                drive: Drive::Pulse,
                input: Some(0),
                contact: Contact::NormallyClosed,
                confirm_ms: 10_000,
                attempts: 3,
                escalation_relay: None,
            };
            let blocks = table.blocks.into();
            let limits = Limits::default();
            let config = Config { blocks, battery, limits, breaker: Some(breaker) };
            Protected {
                protection: StringProtection::new(&config, Latch::default()),
                first_module: addresses.partition_point(|a| *a < table.first_address),
                scans: vec![BlockScan::default(); blocks],
            }
        });
        Self {
            control: Control::new(settings, &addresses),
            duties: vec![Duty::OFF; addresses.len()],
            strings: strings.collect(),
            fresh: Nanos(settings.cycle().0 * FRESH_CYCLES),
        }
    }
}

impl Guardian for ControlGuardian {
    fn step(&mut self, master: &mut Master, around: &Around<'_>) {
        self.duties.copy_from_slice(self.control.step(master.modules(), around.now));
        let snapshot = &self.control.snapshot;
        for (index, string) in self.strings.iter_mut().enumerate() {
            let record = &snapshot.strings[index];
            let blocks = &snapshot.blocks[usize::from(record.first_block)..];
            for (scan, block) in string.scans.iter_mut().zip(blocks) {
                *scan = scanned(block);
            }
            let io = |device: usize| fresh(&master.devices()[device], around.now, self.fresh);
            let full_scale_a = master.devices()[2 * index].kind.full_scale_a().unwrap_or(0);
            let current_a = io(2 * index)
                .and_then(|io| io.fraction(0))
                .map(|fraction| f64::from(fraction) * f64::from(full_scale_a));
            let breaker_open = io(2 * index + 1).map(|io| io.inputs & BREAKER_OPEN != 0);
            let scan = StringScan {
                now: around.now,
                wall_s: Some(around.wall_s),
                blocks: &string.scans,
                current_a,
                string_v: None,
                ambient_c: Some(around.ambient_c[index]),
            };
            let inputs = Inputs { breaker_open, ..Inputs::default() };
            let report = string.protection.step(&scan, phase(record.inhibits), &inputs);
            if report.bypass_off {
                let own = string.first_module..string.first_module + string.scans.len();
                self.duties[own].fill(Duty::OFF);
            }
            let on = if report.relays.trip { TRIP } else { 0 };
            master.set_outputs(2 * index + 1, Outputs { on, keep: 0 });
        }
        master.command(&self.duties);
    }

    fn commanded(&mut self) {
        self.control.commanded();
    }

    fn duties(&self) -> &[Duty] {
        &self.duties
    }

    fn opinion(&self, string: usize) -> Opinion {
        let record = &self.control.snapshot.strings[string];
        let report = self.strings[string].protection.report();
        Opinion {
            inhibited: !record.inhibits.is_empty() || report.bypass_off,
            tripped: report.trip.is_some(),
            out_of_reach: record.saturated > 0,
            worst_v: record.worst_v,
            sum_v: record.sum_v,
        }
    }

    fn protects(&self) -> bool {
        true
    }
}

fn scanned(block: &BlockRecord) -> BlockScan {
    let good = block.quality == Quality::Good;
    BlockScan {
        voltage_v: good.then(|| f64::from(block.voltage_mv) / 1e3),
        temperature_c: good.then(|| f64::from(block.temperature_dc) / 10.0),
        ..BlockScan::default()
    }
}

fn fresh(device: &Device, now: Nanos, limit: Nanos) -> Option<Io> {
    device.io.filter(|(_, at)| now.since(*at) <= limit).map(|(io, _)| io)
}

fn phase(inhibits: Inhibits) -> Phase {
    if inhibits.contains(Inhibits::DISCHARGE) {
        Phase::Discharge
    } else if inhibits.contains(Inhibits::RECOVERY) {
        Phase::Recharge
    } else {
        Phase::Float
    }
}
