//! How long things take on the bus: character times, bursts, whole cycles.

use super::wire::{
    BURST_MAX, DUTIES_MAX, DeviceKind, FOUND_SLOT_CHARS, IDENTITY_SLOT_CHARS, READING_SLOT_CHARS,
    RESISTANCE_SLOT_CHARS, SEARCH_SLOTS, TURNAROUND_CHARS, io_slot_chars,
};
use crate::time::Nanos;

/// Identity bursts per cycle: strangers are met quickly without starving READ.
pub(super) const IDENTIFY_PER_CYCLE: usize = 4;

/// Characters of the requests, frame end and the zero byte in front included;
/// of DUTIES without its duties.
const SAMPLE_CHARS: u32 = 10;
const READ_CHARS: u32 = 9;
const READ_IO_CHARS: u32 = 10;
const DUTIES_CHARS: u32 = 9;
const OUTPUTS_CHARS: u32 = 13;
const SEARCH_CHARS: u32 = 13;
const OFFER_CHARS: u32 = 10;
const ASSIGN_CHARS: u32 = 14;
const MEASURE_CHARS: u32 = 9;
const LED_CHARS: u32 = 10;
const FEED_CHARS: u32 = 10;

/// How the master talks to its modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Line speed, bit/s; a character is 10 bits.
    pub baud: u32,
    /// Integration time of a sample, ms.
    pub window_ms: u8,
    /// Extra time granted after a burst's last slot for drivers, adapters and
    /// cables between the master and the line.
    pub slack: Nanos,
    /// Time until duties and outputs lapse: three cycles, tenths of a second.
    pub hold_ds: u8,
}

impl Timing {
    /// How long the line is busy in a cycle in which every module answers, and
    /// the most bursts that a cycle can have, for runs of so many modules.
    #[must_use]
    pub fn load(&self, runs: &[usize]) -> (Nanos, u32) {
        let (mut chars, mut bursts) = (0, 0);
        for run in runs {
            let reads = run.div_ceil(BURST_MAX.into()) as u32;
            let duties = run.div_ceil(DUTIES_MAX) as u32;
            bursts += reads;
            chars += reads * (READ_CHARS + TURNAROUND_CHARS) + *run as u32 * READING_SLOT_CHARS;
            chars += duties * DUTIES_CHARS + 2 * *run as u32;
        }
        let window = Nanos::from_millis(self.window_ms.into());
        (window + self.chars(chars + SAMPLE_CHARS), bursts + IDENTIFY_PER_CYCLE as u32)
    }

    /// What devices add to [`Self::load`]: line time and bursts. Ascending by
    /// address, as [`super::master::Master`] has them.
    #[must_use]
    pub fn device_load(&self, devices: &[(u16, DeviceKind)]) -> (Nanos, u32) {
        let (mut chars, mut bursts) = (0, 0);
        let mut last: Option<(u16, DeviceKind)> = None;
        for &(address, kind) in devices {
            let joins = last.is_some_and(|(before, other)| {
                before + 1 == address && other.channels() == kind.channels()
            });
            if !joins {
                bursts += 1;
                chars += READ_IO_CHARS + TURNAROUND_CHARS;
            }
            chars += io_slot_chars(kind.channels());
            chars += if kind.outputs() > 0 { OUTPUTS_CHARS } else { 0 };
            last = Some((address, kind));
        }
        (self.chars(chars), bursts)
    }

    /// Duration of so many characters.
    pub(super) fn chars(&self, n: u32) -> Nanos {
        Nanos(u64::from(n) * 10 * 1_000_000_000 / u64::from(self.baud.max(1)))
    }

    /// IDENTIFY to `count` stations, and their replies.
    pub(super) fn identify(&self, count: usize) -> Nanos {
        self.burst(READ_CHARS, count, IDENTITY_SLOT_CHARS)
    }

    /// How many stations an IDENTIFY can ask in a time.
    pub(super) fn identify_fits(&self, time: Nanos) -> usize {
        let most = usize::from(BURST_MAX);
        (1..=most).take_while(|count| self.identify(*count) <= time).count()
    }

    /// READ to `count` modules, and their replies.
    pub(super) fn read(&self, count: usize) -> Nanos {
        self.burst(READ_CHARS, count, READING_SLOT_CHARS)
    }

    /// READ_IO to `count` devices, and their replies.
    pub(super) fn read_io(&self, count: usize, channels: u8) -> Nanos {
        self.burst(READ_IO_CHARS, count, io_slot_chars(channels))
    }

    /// DUTIES for `count` modules.
    pub(super) fn duties(&self, count: usize) -> Nanos {
        self.chars(DUTIES_CHARS + 2 * count as u32)
    }

    /// OUTPUTS to `count` devices.
    pub(super) fn outputs(&self, count: usize) -> Nanos {
        self.chars(OUTPUTS_CHARS * count as u32)
    }

    /// SEARCH, all its slots.
    pub(super) fn search(&self) -> Nanos {
        self.burst(SEARCH_CHARS, SEARCH_SLOTS.into(), FOUND_SLOT_CHARS)
    }

    /// OFFER and its slot.
    pub(super) fn offer(&self) -> Nanos {
        self.burst(OFFER_CHARS, 1, FOUND_SLOT_CHARS)
    }

    /// ASSIGN and its slot.
    pub(super) fn assign(&self) -> Nanos {
        self.burst(ASSIGN_CHARS, 1, FOUND_SLOT_CHARS)
    }

    /// MEASURE and its slot.
    pub(super) fn measure(&self) -> Nanos {
        self.burst(MEASURE_CHARS, 1, RESISTANCE_SLOT_CHARS)
    }

    /// LED.
    pub(super) fn led(&self) -> Nanos {
        self.chars(LED_CHARS)
    }

    /// FEED.
    pub(super) fn feed(&self) -> Nanos {
        self.chars(FEED_CHARS)
    }

    fn burst(&self, request_chars: u32, count: usize, slot_chars: u32) -> Nanos {
        self.chars(request_chars + TURNAROUND_CHARS + count as u32 * slot_chars)
    }
}
