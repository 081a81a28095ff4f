//! Devices, buses and battery tests over the HTTP API.

use super::{Time, finite};
use crate::console::Console;
use crate::plant::{Plant, device_status, number, scale, words};
use axum::Json;
use axum::extract::State;
use evenkeel_core::battery_test::{Report, Suspect};
use evenkeel_core::bus::discover::{self, Finding};
use evenkeel_core::bus::topology::Cable;
use evenkeel_core::bus::wire::{DeviceKind, Found};
use evenkeel_core::image::{BusRecord, DeviceRecord};
use evenkeel_core::points::Quality;
use evenkeel_core::time::Nanos;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// One sensor, contact or relay device.
#[derive(Serialize, ToSchema)]
pub struct DeviceOut {
    /// Number in the settings' order, counted from 1.
    device: u16,
    /// Name in the settings.
    name: String,
    /// What it is meant to be, e.g. `current-200`.
    kind: String,
    /// Its bus, counted from 1.
    bus: u8,
    /// Its bus address.
    address: u16,
    /// Serial number; null while unknown.
    serial: Option<u32>,
    /// `ok`, `lost` or `wrong kind`.
    status: &'static str,
    /// What inputs, outputs and analogue values are worth.
    quality: super::QualityOut,
    /// Contacts, the first first; true: closed.
    inputs: Vec<bool>,
    /// Outputs, the first first.
    outputs: Vec<OutputOut>,
    /// Analogue inputs on the scale of the settings (A for a current sensor);
    /// null where there is no usable value.
    analog: Vec<Option<f64>>,
    /// When it was read, ms since 1970; null when it never was.
    unix_ms: Option<u64>,
    /// How long ago, ms.
    age_ms: Option<u64>,
}

/// One output of a device.
#[derive(Serialize, ToSchema)]
struct OutputOut {
    /// As the device reports it.
    on: bool,
    /// As it shall be.
    commanded: bool,
}

/// One bus.
#[derive(Serialize, ToSchema)]
pub struct BusOut {
    /// Number, counted from 1.
    bus: u16,
    /// Its port is closed or gone.
    lost: bool,
    /// Line time of a full cycle over the cycle, 0 … 1.
    utilisation: Option<f64>,
    /// Frames with a wrong check sum or framing.
    bad_frames: u64,
    /// Good frames nobody had asked for.
    unexpected_frames: u64,
    /// Replies that did not come.
    missed_replies: u64,
    /// Addresses that spoke and are not configured.
    strangers: Vec<u16>,
    /// The cable is whole.
    cable_whole: bool,
    /// How it is, in words.
    cable: String,
    /// Commissioning work, in words; empty for none.
    work: String,
    /// What the last discovery says of every station and every configured
    /// address; empty without one.
    findings: Vec<FindingOut>,
}

/// A station that was found, or a configured address where none was.
#[derive(Serialize, ToSchema)]
struct FindingOut {
    /// `present`, `other-hardware`, `missing`, `unaddressed`, `foreign`,
    /// `duplicate` or `wrong-type`.
    finding: &'static str,
    /// Bus address; 0: it has none.
    address: u16,
    /// Serial number; null for what is missing.
    serial: Option<u32>,
    /// What is there; null for what is missing.
    kind: Option<String>,
    /// What should be there; null where nothing else should.
    expected: Option<String>,
}

/// One battery test, in the settings' order.
#[derive(Serialize, ToSchema)]
pub struct TestOut {
    /// Number, counted from 1.
    test: u16,
    /// Where it stands, in words.
    state: String,
    /// It draws current, or is about to or about to end.
    under_way: bool,
    /// Why a test must not start now, in words; null: it may.
    hold: Option<&'static str>,
    /// For so many seconds; null when nobody knows.
    hold_s: Option<u64>,
    /// How long the battery carries, or carried, the load, s.
    elapsed_s: Option<f64>,
    /// Share of the capacity drawn; null without a current sensor.
    drawn_share: Option<f64>,
    /// When the next one is due, ms since 1970.
    next_due_unix_ms: Option<u64>,
    /// What the last one says, in words.
    verdict: Option<&'static str>,
    /// Blocks to be checked, all of them.
    suspects_count: u16,
    /// The worst of them, worst first.
    suspects: Vec<SuspectOut>,
    /// Alarm: the UPS did not start when told to.
    not_started: bool,
    /// Alarm: the UPS does not go back to mains.
    not_stopped: bool,
}

/// A block to be checked.
#[derive(Serialize, ToSchema)]
struct SuspectOut {
    /// Its string, counted from 1.
    string: u16,
    /// Its number, counted from 1.
    block: u16,
    /// How far it was below the median under load, V.
    lag_v: Option<f64>,
    /// Its internal resistance over the string's median.
    resistance_ratio: Option<f64>,
    /// 1 reaches a limit.
    severity: Option<f64>,
}

/// Sensors, contacts and relays.
#[utoipa::path(get, path = "/api/v1/devices", tag = "values",
    responses((status = 200, body = Vec<DeviceOut>)))]
pub async fn devices(State(console): State<Arc<Console>>) -> Json<Vec<DeviceOut>> {
    let (plant, time) = (console.hub.plant(), Time::now());
    let devices = plant.iter().flat_map(|plant| {
        let records = plant.snapshot.devices.iter().enumerate();
        records.map(move |(index, device)| device_out(plant, index, device, time))
    });
    Json(devices.collect())
}

/// Battery buses: counters, cable, and what the last discovery found.
#[utoipa::path(get, path = "/api/v1/buses", tag = "system",
    responses((status = 200, body = Vec<BusOut>)))]
pub async fn buses(State(console): State<Arc<Console>>) -> Json<Vec<BusOut>> {
    let plant = console.hub.plant();
    let buses = plant.iter().flat_map(|plant| {
        let records = plant.snapshot.buses.iter().enumerate();
        records.map(move |(index, bus)| bus_out(plant, index, bus))
    });
    Json(buses.collect())
}

/// Battery tests.
#[utoipa::path(get, path = "/api/v1/tests", tag = "values",
    responses((status = 200, body = Vec<TestOut>)))]
pub async fn tests(State(console): State<Arc<Console>>) -> Json<Vec<TestOut>> {
    let plant = console.hub.plant();
    let tests = plant.iter().flat_map(|plant| {
        let reports = plant.snapshot.tests.iter().enumerate();
        reports.map(move |(index, report)| test_out(plant, index, report))
    });
    Json(tests.collect())
}

fn device_out(plant: &Plant, index: usize, device: &DeviceRecord, time: Time) -> DeviceOut {
    let kind = DeviceKind::from_code(device.type_code);
    let quality = plant.device_quality(device);
    let bit = |word: u16, n: u8| word & (1 << n) != 0;
    let read = (device.read != Nanos(0)).then_some(device.read);
    let output = |n| OutputOut { on: bit(device.outputs, n), commanded: bit(device.commanded, n) };
    let channels = usize::from(kind.map_or(0, DeviceKind::channels));
    let usable = quality != Quality::Bad;
    let analog = device.values.iter().take(channels);
    DeviceOut {
        device: number(index),
        name: plant.devices.get(index).cloned().unwrap_or_default(),
        kind: words::kind(device.type_code),
        bus: device.bus,
        address: device.address,
        serial: (device.serial != 0).then_some(device.serial),
        status: device_status(device),
        quality: quality.into(),
        inputs: (0..kind.map_or(0, DeviceKind::inputs)).map(|n| bit(device.inputs, n)).collect(),
        outputs: (0..kind.map_or(0, DeviceKind::outputs)).map(output).collect(),
        analog: analog.map(|v| finite((*v).into()).filter(|_| usable)).collect(),
        unix_ms: read.map(|at| time.date_of(at)),
        age_ms: read.map(|at| time.age_ms(at)),
    }
}

fn bus_out(plant: &Plant, index: usize, bus: &BusRecord) -> BusOut {
    BusOut {
        bus: number(index),
        lost: bus.lost,
        utilisation: finite(bus.utilisation.into()),
        bad_frames: bus.bad_frames,
        unexpected_frames: bus.unexpected_frames,
        missed_replies: bus.missed_replies,
        strangers: bus.strangers.into_iter().filter(|address| *address != 0).collect(),
        cable_whole: bus.cable == Cable::Whole,
        cable: words::cable(bus.cable),
        work: words::bus_work(bus.work),
        findings: findings(plant, number(index), bus),
    }
}

fn findings(plant: &Plant, bus: u16, record: &BusRecord) -> Vec<FindingOut> {
    if record.found.is_empty() {
        return Vec::new();
    }
    let own = |of: u8| u16::from(of) == bus;
    let blocks = plant.snapshot.strings.iter().flat_map(|string| &string.blocks);
    let blocks = blocks.filter(|b| own(b.bus)).map(|b| (b.address, b.module.data().code));
    let devices = plant.snapshot.devices.iter().filter(|d| own(d.bus));
    let mut expected: Vec<_> = blocks.chain(devices.map(|d| (d.address, d.type_code))).collect();
    expected.sort_unstable();
    let found: Vec<_> = record
        .found
        .iter()
        .map(|s| Found {
            serial: s.serial,
            address: s.address,
            type_code: s.type_code,
            hardware: s.hardware,
        })
        .collect();
    discover::classify(&found, &expected).into_iter().map(finding_out).collect()
}

fn finding_out(finding: Finding) -> FindingOut {
    let station = |finding, found: Found, expected: Option<u8>| FindingOut {
        finding,
        address: found.address,
        serial: Some(found.serial),
        kind: Some(words::kind(found.type_code)),
        expected: expected.map(words::kind),
    };
    match finding {
        Finding::Present(found) => station("present", found, None),
        Finding::OtherHardware(found) => station("other-hardware", found, None),
        Finding::Unaddressed(found) => station("unaddressed", found, None),
        Finding::Foreign(found) => station("foreign", found, None),
        Finding::Duplicate(found) => station("duplicate", found, None),
        Finding::WrongType { found, type_code } => station("wrong-type", found, Some(type_code)),
        Finding::Missing { address, type_code } => FindingOut {
            finding: "missing",
            address,
            serial: None,
            kind: None,
            expected: Some(words::kind(type_code)),
        },
    }
}

fn test_out(plant: &Plant, index: usize, report: &Report) -> TestOut {
    TestOut {
        test: number(index),
        state: words::test_state(report),
        under_way: words::is_under_way(report),
        hold: report.hold.map(|hold| hold.reason.text()),
        hold_s: report.hold.and_then(|hold| hold.for_s),
        elapsed_s: finite(report.elapsed_s.into()),
        drawn_share: report.drawn_share.and_then(|share| finite(share.into())),
        next_due_unix_ms: report.next_due_s.map(|s| s.saturating_mul(1_000)),
        verdict: report.verdict.map(evenkeel_core::battery_test::Verdict::text),
        suspects_count: report.suspects.count,
        suspects: report.suspects.iter().map(|suspect| suspect_out(plant, suspect)).collect(),
        not_started: report.not_started,
        not_stopped: report.not_stopped,
    }
}

fn suspect_out(plant: &Plant, suspect: &Suspect) -> SuspectOut {
    let string = plant.snapshot.strings.get(usize::from(suspect.string));
    let block = string.and_then(|s| Some((s, s.blocks.get(usize::from(suspect.block))?)));
    let by = block.map_or(1.0, |(string, block)| scale(string, block));
    SuspectOut {
        string: number(suspect.string.into()),
        block: number(suspect.block.into()),
        lag_v: finite(f64::from(suspect.lag_v) * by),
        resistance_ratio: suspect.resistance_ratio.and_then(|ratio| finite(ratio.into())),
        severity: finite(suspect.severity.into()),
    }
}
