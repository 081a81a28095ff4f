//! The commissioning report: what hangs on the buses beside what the settings say
//! of it, at one moment, with who looked. A page prints it, programs read it.

use super::{Answer, off_thread};
use crate::clock;
use crate::console::Console;
use crate::console::api::guard_settings::in_force;
use crate::console::by::By;
use crate::console::problem::Problem;
use crate::guard_settings::DOCUMENT;
use crate::plant::{Plant, words};
use crate::site::Site;
use axum::Json;
use evenkeel_core::image::BlockRecord;
use evenkeel_core::points::Quality;
use evenkeel_core::settings::{GuardSettings, StringSettings};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What was found, and what was set.
#[derive(Serialize, ToSchema)]
pub struct CommissioningOut {
    /// When this was looked at.
    pub(in crate::console) unix_ms: u64,
    /// Who looked.
    pub(in crate::console) by: String,
    /// What the site is called, and where it is.
    pub(in crate::console) site: Site,
    /// The appliance's name in its network.
    pub(in crate::console) host_name: String,
    /// Its serial number.
    pub(in crate::console) serial: String,
    /// Number of the settings in force, in hexadecimal.
    pub(in crate::console) settings: String,
    /// Since when they are in force; null: nobody wrote that down.
    pub(in crate::console) settings_unix_ms: Option<u64>,
    /// Whose they are; null: they came with the guard's file.
    pub(in crate::console) settings_by: Option<String>,
    /// The buses.
    pub(in crate::console) buses: Vec<BusOut>,
    /// The strings.
    pub(in crate::console) strings: Vec<StringOut>,
    /// Sensors, contacts and relays.
    pub(in crate::console) devices: Vec<DeviceOut>,
    /// What is not as the settings say; empty: all of it is.
    pub(in crate::console) open: Vec<Open>,
}

/// A bus.
#[derive(Serialize, ToSchema)]
#[schema(as = CommissioningBusOut)]
pub struct BusOut {
    /// Counted from 1.
    pub(in crate::console) bus: u8,
    /// Its port.
    pub(in crate::console) port: String,
    /// Its speed, bit/s.
    pub(in crate::console) baud: u32,
    /// Modules of the settings, and those that answer.
    pub(in crate::console) modules: usize,
    /// See `modules`.
    pub(in crate::console) answering: usize,
    /// Share of a cycle for which the line is busy.
    pub(in crate::console) utilisation: f64,
    /// Stations that the last search found; null: nobody searched.
    pub(in crate::console) found: Option<usize>,
    /// The plan of its wiring; null: there is none.
    pub(in crate::console) wiring: Option<WiringOut>,
}

/// The sums of a wiring plan.
#[derive(Serialize, ToSchema)]
pub struct WiringOut {
    /// Modules of all loops.
    pub(in crate::console) modules: u32,
    /// Loops.
    pub(in crate::console) loops: usize,
    /// What everything draws, mA.
    pub(in crate::console) needs_ma: u32,
    /// What the supply gives, mA.
    pub(in crate::console) supply_ma: u32,
}

/// A string.
#[derive(Serialize, ToSchema)]
#[schema(as = CommissioningStringOut)]
pub struct StringOut {
    /// Its name.
    pub(in crate::console) name: String,
    /// Its blocks by type: `32 × NP7-12 (C20)`.
    pub(in crate::console) blocks: Vec<String>,
    /// Its bus.
    pub(in crate::console) bus: u8,
    /// First and last address.
    pub(in crate::console) addresses: [u16; 2],
    /// Sum of the blocks, V; null when one is missing.
    pub(in crate::console) sum_v: Option<f64>,
    /// Block by block.
    pub(in crate::console) rows: Vec<BlockOut>,
}

/// A block.
#[derive(Serialize, ToSchema)]
#[schema(as = CommissioningBlockOut)]
pub struct BlockOut {
    /// Counted from 1.
    pub(in crate::console) block: usize,
    /// Address of its module.
    pub(in crate::console) address: u16,
    /// Type of its module, as set.
    pub(in crate::console) module: &'static str,
    /// Its serial number; null: it never answered.
    pub(in crate::console) serial: Option<u32>,
    /// Its voltage, V; null: not measured now.
    pub(in crate::console) voltage_v: Option<f64>,
    /// Its temperature, °C; null: not measured now.
    pub(in crate::console) temperature_c: Option<f64>,
    /// Its internal resistance as last measured, mΩ; null: never.
    pub(in crate::console) resistance_mohm: Option<f64>,
}

/// A sensor, contacts, relays.
#[derive(Serialize, ToSchema)]
#[schema(as = CommissioningDeviceOut)]
pub struct DeviceOut {
    /// Its name.
    pub(in crate::console) name: String,
    /// What it is, in words.
    pub(in crate::console) kind: String,
    /// Its bus.
    pub(in crate::console) bus: u8,
    /// Its address.
    pub(in crate::console) address: u16,
    /// Its serial number; null: it never answered.
    pub(in crate::console) serial: Option<u32>,
    /// It answers, and is what it is meant to be.
    pub(in crate::console) good: bool,
}

/// Something that is not as the settings say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "open", rename_all = "kebab-case")]
pub enum Open {
    /// The guard is not there, or its last good settings stand in for its file.
    Guard {},
    /// The port of a bus is gone.
    Port {
        /// The bus.
        bus: u8,
    },
    /// Nobody has searched a bus for what hangs on it.
    NotSearched {
        /// The bus.
        bus: u8,
    },
    /// A module does not answer.
    Silent {
        /// The string.
        string: String,
        /// The block, from 1.
        block: usize,
        /// Its address.
        address: u16,
    },
    /// A station that the search found is of another type than its settings.
    OtherType {
        /// The bus.
        bus: u8,
        /// Its address.
        address: u16,
        /// What it is, in words.
        found: String,
    },
    /// A station speaks that no settings know.
    Stranger {
        /// The bus.
        bus: u8,
        /// Its address.
        address: u16,
    },
    /// A device does not answer, or is something else.
    Device {
        /// Its name.
        name: String,
    },
    /// No plan says how a bus is wired and supplied.
    NoPlan {
        /// The bus.
        bus: u8,
    },
}

/// What hangs on the buses beside what the settings say of it.
#[utoipa::path(get, path = "/api/v1/commissioning", tag = "guard", responses(
    (status = 200, body = CommissioningOut),
    (status = 503, body = Problem, description = "The guard has not answered yet")))]
pub async fn commissioning(by: By) -> Answer<CommissioningOut> {
    report(&by.console, &by.caller.user).await.map(Json)
}

/// The report, for somebody.
///
/// # Errors
/// When the guard has never answered, or the store cannot be read.
pub async fn report(console: &Arc<Console>, user: &str) -> Result<CommissioningOut, Problem> {
    let seen = in_force(console)?;
    let settings = GuardSettings::parse(&seen.text).map_err(|error| {
        Problem::new(
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            "no-guard",
            "The guard's settings cannot be read",
        )
        .detail(error.to_string())
    })?;
    let store = Arc::clone(&console.store);
    let kept = off_thread(console, move || store.settings(&DOCUMENT)).await?;
    let kept = kept.map_err(|e| Problem::store(&e))?;
    let kept = kept.into_iter().next().filter(|revision| revision.text == seen.text);
    let plant = console.hub.plant().filter(|plant| plant.connected);
    let (buses, strings, devices) = match &plant {
        Some(plant) => found(&settings, plant),
        None => (Vec::new(), Vec::new(), Vec::new()),
    };
    let open = match &plant {
        Some(plant) if seen.fallback.is_none() => open(&settings, plant, &strings, &devices),
        Some(plant) => [vec![Open::Guard {}], open(&settings, plant, &strings, &devices)].concat(),
        None => vec![Open::Guard {}],
    };
    Ok(CommissioningOut {
        unix_ms: clock::unix_ms(),
        by: user.to_owned(),
        site: console.site(),
        host_name: console.certificates.host_name(),
        serial: console.licences.status().serial,
        settings: format!("{:08x}", seen.number),
        settings_unix_ms: kept.as_ref().map(|revision| revision.unix_ms),
        settings_by: kept.map(|revision| revision.by).filter(|by| !by.is_empty()),
        buses,
        strings,
        devices,
        open,
    })
}

fn found(settings: &GuardSettings, plant: &Plant) -> (Vec<BusOut>, Vec<StringOut>, Vec<DeviceOut>) {
    let all = plant.snapshot.strings.iter();
    let strings = settings.strings.iter().zip(all).map(|(own, record)| {
        let rows = record.blocks.iter().zip(1..).map(|(block, number)| row(number, block));
        let rows: Vec<BlockOut> = rows.collect();
        string(own, rows)
    });
    let strings: Vec<StringOut> = strings.collect();
    let buses = settings.buses.iter().zip(&plant.snapshot.buses).zip(1u8..);
    let buses = buses.map(|((own, record), number)| BusOut {
        bus: number,
        port: own.port.display().to_string(),
        baud: own.baud,
        modules: settings.modules_of(usize::from(number) - 1).len(),
        answering: strings
            .iter()
            .filter(|string| string.bus == number)
            .flat_map(|string| &string.rows)
            .filter(|row| row.voltage_v.is_some())
            .count(),
        utilisation: f64::from(record.utilisation),
        found: (!record.found.is_empty()).then_some(record.found.len()),
        wiring: own.wiring.as_ref().map(|plan| WiringOut {
            modules: plan.modules(),
            loops: plan.loops.len(),
            needs_ma: plan.needs_ma(),
            supply_ma: plan.supply_ma,
        }),
    });
    let buses = buses.collect();
    let devices =
        settings.devices.iter().zip(&plant.snapshot.devices).map(|(own, record)| DeviceOut {
            name: own.name.clone(),
            kind: words::kind(record.type_code),
            bus: record.bus,
            address: record.address,
            serial: Some(record.serial).filter(|serial| *serial != 0),
            good: record.quality == Quality::Good && !record.wrong_kind,
        });
    let devices = devices.collect();
    (buses, strings, devices)
}

fn string(own: &StringSettings, rows: Vec<BlockOut>) -> StringOut {
    let blocks = own
        .runs()
        .into_iter()
        .map(|run| format!("{} × {} ({})", run.blocks, run.battery, run.module.data().name));
    let volts: Option<Vec<f64>> = rows.iter().map(|row| row.voltage_v).collect();
    StringOut {
        name: own.name.clone(),
        blocks: blocks.collect(),
        bus: own.bus,
        addresses: [own.first_address, own.last_address()],
        sum_v: volts.map(|volts| volts.iter().sum()),
        rows,
    }
}

fn row(number: usize, block: &BlockRecord) -> BlockOut {
    let good = |quality: Quality| quality == Quality::Good;
    BlockOut {
        block: number,
        address: block.address,
        module: block.module.data().name,
        serial: Some(block.serial).filter(|serial| *serial != 0),
        voltage_v: good(block.quality).then(|| f64::from(block.voltage_mv) / 1e3),
        temperature_c: good(block.temperature_quality)
            .then(|| f64::from(block.temperature_dc) / 10.0),
        resistance_mohm: block.resistance.map(|(mohm, _)| f64::from(mohm)),
    }
}

fn open(
    settings: &GuardSettings,
    plant: &Plant,
    strings: &[StringOut],
    devices: &[DeviceOut],
) -> Vec<Open> {
    let mut open = Vec::new();
    for (index, (own, record)) in settings.buses.iter().zip(&plant.snapshot.buses).enumerate() {
        let bus = u8::try_from(index + 1).unwrap_or(u8::MAX);
        if record.lost {
            open.push(Open::Port { bus });
        }
        if record.found.is_empty() {
            open.push(Open::NotSearched { bus });
        }
        if own.wiring.is_none() {
            open.push(Open::NoPlan { bus });
        }
        let strangers = record.strangers.iter().copied().filter(|address| *address != 0);
        open.extend(strangers.map(|address| Open::Stranger { bus, address }));
        let blocks = plant.snapshot.strings.iter().flat_map(|string| &string.blocks);
        let blocks: Vec<&BlockRecord> = blocks.filter(|block| block.bus == bus).collect();
        for station in &record.found {
            let set = blocks.iter().find(|block| block.address == station.address);
            if set.is_some_and(|block| block.module.data().code != station.type_code) {
                let found = words::kind(station.type_code);
                open.push(Open::OtherType { bus, address: station.address, found });
            }
        }
    }
    for string in strings {
        let silent = string.rows.iter().filter(|row| row.voltage_v.is_none());
        open.extend(silent.map(|row| Open::Silent {
            string: string.name.clone(),
            block: row.block,
            address: row.address,
        }));
    }
    let wrong = devices.iter().filter(|device| !device.good);
    open.extend(wrong.map(|device| Open::Device { name: device.name.clone() }));
    open
}
