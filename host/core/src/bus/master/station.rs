//! What the master knows of the stations on its bus, and how it finds them in
//! its lists, which are ascending by address.

use crate::bus::wire::{
    ADDRESS_MAX, BURST_MAX, DEVICE_MAX, DEVICE_MIN, DeviceKind, Identity, Io, Outputs, Reading,
};
use crate::time::Nanos;

/// Most unconfigured addresses that are remembered.
pub const STRANGERS_MAX: usize = 16;

/// What the master knows of one module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// Its bus address.
    pub address: u16,
    /// Who it is; `None` until it said so.
    pub identity: Option<Identity>,
    /// Last reading and when its sample was taken.
    pub reading: Option<(Reading, Nanos)>,
    /// READ requests in a row that it did not answer.
    pub missed: u32,
    /// Last measured internal resistance of its block, µΩ, and when the
    /// result came.
    pub resistance: Option<(u32, Nanos)>,
}

/// What the master knows of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its bus address.
    pub address: u16,
    /// What it is meant to be.
    pub kind: DeviceKind,
    /// Who it is; `None` until it said so.
    pub identity: Option<Identity>,
    /// Last state and when its sample was taken.
    pub io: Option<(Io, Nanos)>,
    /// READ_IO requests in a row that it did not answer.
    pub missed: u32,
    /// What its outputs shall be; `None` until somebody said so.
    pub(super) outputs: Option<Outputs>,
}

impl Device {
    /// It says that it is something else than it is meant to be.
    #[must_use]
    pub fn is_wrong_kind(&self) -> bool {
        self.identity.is_some_and(|identity| identity.type_code != self.kind.code())
    }
}

/// An address that nobody configured and that spoke unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stranger {
    /// Its bus address.
    pub address: u16,
    /// Frames that came from it.
    pub frames: u32,
}

/// Why a master cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Out of range.
    #[error("module address {0} is not in 1 … {ADDRESS_MAX}")]
    Address(u16),
    /// Out of range.
    #[error("device address {0} is not in {DEVICE_MIN} … {DEVICE_MAX}")]
    DeviceAddress(u16),
    /// The same twice, or not ascending.
    #[error("bus address {0} appears twice or out of order")]
    Order(u16),
}

/// The modules of these addresses, as long as nobody has spoken.
pub(super) fn modules(addresses: impl IntoIterator<Item = u16>) -> Result<Vec<Module>, BuildError> {
    let mut modules: Vec<Module> = Vec::new();
    for address in addresses {
        if address == 0 || address > ADDRESS_MAX {
            return Err(BuildError::Address(address));
        }
        if modules.last().is_some_and(|last| last.address >= address) {
            return Err(BuildError::Order(address));
        }
        modules.push(Module { address, ..Module::default() });
    }
    Ok(modules)
}

/// The devices of these addresses, as long as nobody has spoken.
pub(super) fn devices(
    list: impl IntoIterator<Item = (u16, DeviceKind)>,
) -> Result<Vec<Device>, BuildError> {
    let mut devices: Vec<Device> = Vec::new();
    for (address, kind) in list {
        if !(DEVICE_MIN..=DEVICE_MAX).contains(&address) {
            return Err(BuildError::DeviceAddress(address));
        }
        if devices.last().is_some_and(|last| last.address >= address) {
            return Err(BuildError::Order(address));
        }
        devices.push(Device { address, kind, identity: None, io: None, missed: 0, outputs: None });
    }
    Ok(devices)
}

/// Index of the station with that address.
pub(super) fn find<T>(stations: &[T], address: u16, of: impl Fn(&T) -> u16) -> Option<usize> {
    stations.binary_search_by_key(&address, of).ok()
}

/// End of the run of consecutive addresses from `from`, at most `max` long.
pub(super) fn run_end<T>(
    stations: &[T],
    from: usize,
    max: usize,
    of: impl Fn(&T) -> u16,
) -> Option<usize> {
    let rest = stations.get(from..)?;
    let first = of(rest.first()?);
    let run = rest.iter().zip(first..).take(max).take_while(|(station, at)| of(station) == *at);
    Some(from + run.count())
}

/// The next run of stations without identity, of which `of` tells the address
/// and that it has none.
pub(super) fn unmet_run<T>(
    stations: &[T],
    next: usize,
    of: impl Fn(&T) -> (u16, bool),
) -> Option<(usize, usize)> {
    let from = next + stations.get(next..)?.iter().position(|s| of(s).1)?;
    let to = run_end(stations, from, BURST_MAX.into(), |s| of(s).0)?;
    let unmet = stations[from..to].iter().take_while(|s| of(s).1);
    Some((from, from + unmet.count()))
}
