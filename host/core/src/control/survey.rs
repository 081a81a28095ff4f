//! From what the bus masters know to what everybody decides on: the record of
//! a block with its qualities, its [`BlockScan`], and the records of devices.

use crate::battery::{ModuleKind, TEMPERATURE_DC};
use crate::bus::master::{Device, Module};
use crate::image::{BlockRecord, DeviceRecord, Fault};
use crate::points::Quality;
use crate::scan::BlockScan;
use crate::settings::DeviceSettings;
use crate::time::Nanos;

/// Take over what the master knows of a block's module into its record, and
/// return what of it may be decided on. A reading older than `fresh` is stale.
pub fn block(module: &Module, now: Nanos, fresh: Nanos, record: &mut BlockRecord) -> BlockScan {
    record.serial = module.identity.map_or(0, |i| i.serial);
    let measured = module.resistance.map(|(micro_ohm, at)| (micro_ohm as f32 / 1e3, at));
    let news = measured.filter(|(_, at)| record.resistance.is_none_or(|(_, last)| last != *at));
    record.resistance = measured.or(record.resistance);
    let Some((reading, read)) = module.reading else {
        return BlockScan::default();
    };
    record.voltage_mv = reading.voltage_mv;
    record.temperature_dc = reading.temperature_dc;
    record.flags = reading.flags;
    record.read = read;
    let kind = record.module.data();
    let possible_v = (kind.min_mv..=kind.max_mv).contains(&reading.voltage_mv);
    let possible_c =
        !reading.flags.sensor_fault() && TEMPERATURE_DC.contains(&reading.temperature_dc);
    let volts = f64::from(reading.voltage_mv) / 1e3;
    record.bypass_a = (f64::from(reading.duty) / 255.0 * volts / kind.bypass_ohm) as f32;
    let silent = now.since(read) > fresh;
    let known = match module.identity {
        None => Some(Fault::Unidentified),
        Some(i) if i.type_code != kind.code => Some(Fault::WrongType),
        Some(_) => None,
    };
    // What never was a value does not become the last value of anything.
    let quality = |possible: bool| match possible && known != Some(Fault::WrongType) {
        false => Quality::Bad,
        true if silent => Quality::Stale,
        true if known.is_some() => Quality::Bad,
        true => Quality::Good,
    };
    record.quality = quality(possible_v);
    record.temperature_quality = quality(possible_c);
    record.fault = match known {
        _ if silent => Fault::Silent,
        Some(fault) => fault,
        None if !possible_v => Fault::VoltageOutOfRange,
        None if !possible_c => Fault::TemperatureInvalid,
        None => Fault::None,
    };
    let good = |quality: Quality, value: f64| (quality == Quality::Good).then_some(value);
    // At 0 V it is a fuse that is gone.
    let beneath = known.is_none() && !silent && (1..kind.min_mv).contains(&reading.voltage_mv);
    BlockScan {
        voltage_v: good(record.quality, volts),
        beneath_v: beneath.then_some(volts),
        temperature_c: good(record.temperature_quality, f64::from(reading.temperature_dc) / 10.0),
        bypass_a: if silent { 0.0 } else { f64::from(record.bypass_a) },
        // More than the module can measure is that much at least: an open cell.
        resistance_mohm: news
            .map(|(mohm, _)| f64::from(mohm).min(kind.max_mohm))
            .filter(|m| kind.measures(*m)),
    }
}

/// Take over what the master knows of a device into its record.
pub fn device(
    device: &Device,
    settings: &DeviceSettings,
    now: Nanos,
    fresh: Nanos,
    record: &mut DeviceRecord,
) {
    record.serial = device.identity.map_or(0, |i| i.serial);
    record.wrong_kind = device.is_wrong_kind();
    let Some((io, read)) = device.io else { return };
    (record.read, record.inputs, record.outputs) = (read, io.inputs, io.outputs);
    for (i, value) in record.values.iter_mut().enumerate() {
        let fraction = io.fraction(i);
        let scaled = match device.kind.full_scale_a() {
            Some(amps) => fraction.map(|f| f64::from(f) * f64::from(amps)),
            None => {
                let channel = settings.channels.iter().find(|c| usize::from(c.number) == i + 1);
                fraction.zip(channel).and_then(|(f, channel)| channel.value(f))
            }
        };
        *value = scaled.map_or(f32::NAN, |v| v as f32);
    }
    record.quality = match device.identity {
        _ if record.wrong_kind => Quality::Bad,
        _ if now.since(read) > fresh => Quality::Stale,
        None => Quality::Bad,
        Some(_) => Quality::Good,
    };
}

/// The record of a block before anything was read.
#[must_use]
pub fn unread(bus: u8, address: u16, module: ModuleKind, cells: u8) -> BlockRecord {
    BlockRecord { bus, address, module, cells, ..BlockRecord::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::wire::{Flags, Identity, Reading};

    const FRESH: Nanos = Nanos::from_secs(3);
    const NOW: Nanos = Nanos::from_secs(100);

    fn module(type_code: u8, voltage_mv: u16, temperature_dc: i16, age_s: u64) -> Module {
        let flags = Flags::default();
        let reading = Reading { sample: 1, voltage_mv, temperature_dc, duty: 255, flags };
        Module {
            address: 1,
            identity: Some(Identity { type_code, hardware: 1, firmware: (1, 0), serial: 5 }),
            reading: Some((reading, NOW - Nanos::from_secs(age_s))),
            ..Module::default()
        }
    }

    fn look(module: &Module) -> (BlockScan, BlockRecord) {
        let mut record = unread(1, 1, ModuleKind::C20, 6);
        (block(module, NOW, FRESH, &mut record), record)
    }

    #[test]
    fn a_good_reading_is_decided_on() {
        let (scan, record) = look(&module(20, 13_620, 251, 0));
        assert_eq!((scan.voltage_v, scan.temperature_c), (Some(13.62), Some(25.1)));
        assert!((scan.bypass_a - 0.15).abs() < 0.001, "{}", scan.bypass_a);
        assert_eq!((record.quality, record.fault), (Quality::Good, Fault::None));
    }

    #[test]
    fn each_fault_takes_away_what_it_falsifies_and_nothing_else() {
        let none = (None, None);
        for (module, seen, fault, quality) in [
            (module(20, 9_699, 250, 0), (None, Some(25.0)), Fault::VoltageOutOfRange, Quality::Bad),
            (
                module(20, 13_620, 901, 0),
                (Some(13.62), None),
                Fault::TemperatureInvalid,
                Quality::Good,
            ),
            (module(23, 13_620, 250, 0), none, Fault::WrongType, Quality::Bad),
            (module(20, 13_620, 250, 4), none, Fault::Silent, Quality::Stale),
            (module(20, 9_699, 250, 4), none, Fault::Silent, Quality::Bad),
            (
                Module { identity: None, ..module(20, 13_620, 250, 0) },
                none,
                Fault::Unidentified,
                Quality::Bad,
            ),
            (Module::default(), none, Fault::NeverSeen, Quality::Bad),
        ] {
            let (scan, record) = look(&module);
            assert_eq!((scan.voltage_v, scan.temperature_c), seen, "{fault:?}");
            assert_eq!((record.fault, record.quality), (fault, quality));
        }
    }

    #[test]
    fn a_reading_below_the_range_is_no_voltage_but_tells_a_collapse() {
        let (scan, record) = look(&module(20, 9_391, 250, 0));
        assert_eq!((scan.voltage_v, scan.beneath_v), (None, Some(9.391)));
        assert_eq!(record.quality, Quality::Bad);
        for other in [module(20, 0, 250, 0), module(20, 9_391, 250, 4), module(20, 17_001, 250, 0)]
        {
            assert_eq!(look(&other).0.beneath_v, None);
        }
    }

    #[test]
    fn a_resistance_is_news_once() {
        let mut with = module(20, 13_620, 250, 0);
        with.resistance = Some((22_000, NOW));
        let mut record = unread(1, 1, ModuleKind::C20, 6);
        assert_eq!(block(&with, NOW, FRESH, &mut record).resistance_mohm, Some(22.0));
        assert_eq!(block(&with, NOW, FRESH, &mut record).resistance_mohm, None);
        with.resistance = Some((1, NOW + NOW));
        assert_eq!(block(&with, NOW, FRESH, &mut record).resistance_mohm, None, "no block");
        with.resistance = Some((4_000_000, NOW + NOW + NOW));
        let open = block(&with, NOW, FRESH, &mut record).resistance_mohm;
        assert_eq!(open, Some(ModuleKind::C20.data().max_mohm));
    }
}
