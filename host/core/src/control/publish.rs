//! The process image's [`Snapshot`], serialized from where its parts are:
//! publishing copies no report and allocates nothing.

use super::{Bus, Control, StringControl, UpsTest};
use crate::bus::topology::Cable;
use crate::bus::wire::Found;
use crate::image::{BusRecord, BusWork, Cycle, DeviceRecord, Jitter, Snapshot, StationRecord};
use crate::protect::{Annunciation, Level};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

/// A [`Snapshot`] by reference: the same fields in the same order.
#[derive(Serialize)]
pub struct Published<'a> {
    cycle: &'a Cycle,
    jitter: &'a Jitter,
    annunciation: Annunciation,
    level: Level,
    buses: Each<'a, Bus>,
    devices: &'a [DeviceRecord],
    tests: Each<'a, UpsTest>,
    strings: Each<'a, StringControl>,
}

const _: fn(Snapshot) = |snapshot| {
    // A field more there is a field more here.
    let Snapshot {
        cycle: _,
        jitter: _,
        annunciation: _,
        level: _,
        buses: _,
        devices: _,
        tests: _,
        strings: _,
    } = snapshot;
};

impl Control {
    /// Everything it knows, to be published.
    #[must_use]
    pub fn published(&self) -> Published<'_> {
        Published {
            cycle: &self.cycle,
            jitter: &self.jitter,
            annunciation: self.annunciation,
            level: self.level,
            buses: Each(&self.buses),
            devices: self.devices.records(),
            tests: Each(&self.tests),
            strings: Each(&self.strings),
        }
    }

    /// The same as an owned snapshot, for tests and tools.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let bytes = postcard::to_allocvec(&self.published()).unwrap_or_default();
        postcard::from_bytes(&bytes).unwrap_or_default()
    }
}

/// Each element by its record.
struct Each<'a, T>(&'a [T]);

trait Recorded {
    type Record<'a>: Serialize
    where
        Self: 'a;
    fn record(&self) -> Self::Record<'_>;
}

/// A [`BusRecord`] by reference: the same fields in the same order.
#[derive(Serialize)]
struct PublishedBus<'a> {
    lost: bool,
    utilisation: f32,
    bad_frames: u64,
    unexpected_frames: u64,
    missed_replies: u64,
    strangers: [u16; 4],
    cable: Cable,
    work: BusWork,
    found: Stations<'a>,
}

struct Stations<'a>(&'a [Found]);

impl Serialize for Stations<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|found| StationRecord::from(*found)))
    }
}

impl Recorded for Bus {
    type Record<'a> = PublishedBus<'a>;
    fn record(&self) -> Self::Record<'_> {
        // A field more there is a field more here.
        let BusRecord {
            lost,
            utilisation,
            bad_frames,
            unexpected_frames,
            missed_replies,
            strangers,
            cable,
            work,
            found: _,
        } = self.record;
        PublishedBus {
            lost,
            utilisation,
            bad_frames,
            unexpected_frames,
            missed_replies,
            strangers,
            cable,
            work,
            found: Stations(self.errands.found()),
        }
    }
}

impl Recorded for UpsTest {
    type Record<'a> = &'a crate::battery_test::Report;
    fn record(&self) -> Self::Record<'_> {
        self.report()
    }
}

impl Recorded for StringControl {
    type Record<'a> = super::string::PublishedString<'a>;
    fn record(&self) -> Self::Record<'_> {
        self.published()
    }
}

impl<T: Recorded> Serialize for Each<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut seq = to.serialize_seq(Some(self.0.len()))?;
        self.0.iter().try_for_each(|each| seq.serialize_element(&each.record()))?;
        seq.end()
    }
}
