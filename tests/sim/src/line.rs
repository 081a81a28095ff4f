//! The wire of the battery bus: half-duplex, at a given speed, in any clock.
//!
//! # Terms
//! A *transmission* is a run of bytes that one station sends without a gap;
//! each byte takes ten bit times (8N1). A transmission is heard when its last
//! byte has arrived. Where two stations send at the same time, both runs are
//! garbled for as long as they overlap. The master's bytes are cut at frame
//! ends, so that a module may answer the first of two requests (and collide
//! with the second, as on a real wire).

use crate::noise::Noise;
use evenkeel_core::bus::wire::Ends;
use evenkeel_core::time::Nanos;
use std::ops::Range;

/// Bits of a character: start, eight data, stop.
const CHAR_BITS: u64 = 10;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Station {
    /// The appliance.
    Master,
    /// The module of that number (its place on the wire, not its address);
    /// the devices' numbers follow the modules'.
    Module(usize),
}

/// A transmission as the listeners hear it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Who sent it.
    pub from: Station,
    /// Start of its first byte.
    pub start: Nanos,
    /// What arrived, after collisions and bit errors.
    pub bytes: Vec<u8>,
}

/// Duration of characters at a speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharTime {
    baud: u64,
}

impl CharTime {
    /// At `baud` bits a second; 0 is taken as 1.
    #[must_use]
    pub fn at(baud: u32) -> Self {
        Self { baud: u64::from(baud).max(1) }
    }

    /// Duration of `count` characters.
    #[must_use]
    pub fn chars(self, count: usize) -> Nanos {
        Nanos((count as u64).saturating_mul(CHAR_BITS * 1_000_000_000) / self.baud)
    }
}

/// A loop of stations behind the bus converter: a ring with two ends, or a
/// line with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loop {
    /// Numbers of the stations, in the order of the cable from end A.
    pub stations: Range<usize>,
    /// The cable comes back to end B.
    pub ring: bool,
    /// Where the cable is cut: before the station of that place in the loop;
    /// as many as there are stations is behind the last one.
    pub breaks: Vec<usize>,
}

impl Loop {
    /// A whole loop.
    #[must_use]
    pub fn whole(stations: Range<usize>, ring: bool) -> Self {
        Self { stations, ring, breaks: Vec::new() }
    }

    /// The station of that number is connected when these ends are fed; `None`
    /// when it is not in this loop.
    #[must_use]
    pub fn connects(&self, station: usize, ends: Ends) -> Option<bool> {
        let place = station.checked_sub(self.stations.start)?;
        if !self.stations.contains(&station) {
            return None;
        }
        let from_a = ends != Ends::B && self.breaks.iter().all(|at| *at > place);
        let from_b = self.ring && ends != Ends::A && self.breaks.iter().all(|at| *at <= place);
        Some(from_a || from_b)
    }

    /// Current can go around.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ring && self.breaks.is_empty()
    }
}

/// The wire and what is on it.
#[derive(Clone, Debug)]
pub struct Line {
    char_time: CharTime,
    traffic: Vec<Transmission>,
    master_free: Nanos,
    bit_error_chance: f64,
    noise: Noise,
}

#[derive(Clone, Debug)]
struct Transmission {
    from: Station,
    start: Nanos,
    end: Nanos,
    bytes: Vec<u8>,
    delivered: bool,
}

impl Line {
    /// A quiet line at `baud`.
    #[must_use]
    pub fn new(baud: u32, noise: Noise) -> Self {
        Self {
            char_time: CharTime::at(baud),
            traffic: Vec::new(),
            master_free: Nanos::default(),
            bit_error_chance: 0.0,
            noise,
        }
    }

    /// The line's speed.
    #[must_use]
    pub fn char_time(&self) -> CharTime {
        self.char_time
    }

    /// From now on a transmission gets one wrong bit with this probability.
    pub fn set_bit_errors(&mut self, chance_per_transmission: f64) {
        self.bit_error_chance = chance_per_transmission;
    }

    /// The master hands over bytes at `now`; they follow what it is still
    /// sending.
    pub fn send_requests(&mut self, now: Nanos, bytes: &[u8]) {
        let mut frame = Vec::new();
        for byte in bytes {
            frame.push(*byte);
            // A zero byte in front belongs to its frame.
            if *byte == 0 && frame.iter().any(|b| *b != 0) {
                self.send_request(now, std::mem::take(&mut frame));
            }
        }
        if !frame.is_empty() {
            self.send_request(now, frame);
        }
    }

    fn send_request(&mut self, now: Nanos, frame: Vec<u8>) {
        let start = now.max(self.master_free);
        self.master_free = self.put(Station::Master, start, frame);
    }

    /// A module begins to send at `start`.
    pub fn send_reply(&mut self, module: usize, start: Nanos, bytes: Vec<u8>) {
        self.put(Station::Module(module), start, bytes);
    }

    /// When the next transmission will have arrived, and whose it is.
    #[must_use]
    pub fn next_end(&self) -> Option<(Nanos, Station)> {
        self.next().map(|i| (self.traffic[i].end, self.traffic[i].from))
    }

    /// The earliest transmission that has arrived by `now`.
    pub fn deliver(&mut self, now: Nanos) -> Option<Heard> {
        let index = self.next().filter(|i| self.traffic[*i].end <= now)?;
        let bytes = self.disturbed(index);
        let transmission = &mut self.traffic[index];
        transmission.delivered = true;
        let heard = Heard { from: transmission.from, start: transmission.start, bytes };
        self.forget();
        Some(heard)
    }

    /// Nobody is connected any more: what was on the wire is lost.
    pub fn clear(&mut self) {
        self.traffic.clear();
        self.master_free = Nanos::default();
    }

    fn put(&mut self, from: Station, start: Nanos, bytes: Vec<u8>) -> Nanos {
        let end = start + self.char_time.chars(bytes.len());
        self.traffic.push(Transmission { from, start, end, bytes, delivered: false });
        end
    }

    fn next(&self) -> Option<usize> {
        let waiting = self.traffic.iter().enumerate().filter(|(_, t)| !t.delivered);
        waiting.min_by_key(|(_, t)| t.end).map(|(index, _)| index)
    }

    /// The bytes of a transmission after collisions and bit errors.
    fn disturbed(&mut self, index: usize) -> Vec<u8> {
        let (this, noise) = (&self.traffic[index], &mut self.noise);
        let mut bytes = this.bytes.clone();
        let overlapping = |from: Nanos, to: Nanos| {
            self.traffic.iter().any(|t| t.from != this.from && t.start < to && t.end > from)
        };
        if overlapping(this.start, this.end) {
            for (i, byte) in bytes.iter_mut().enumerate() {
                let from = this.start + self.char_time.chars(i);
                if overlapping(from, this.start + self.char_time.chars(i + 1)) {
                    *byte = noise.byte();
                }
            }
        }
        if noise.chance(self.bit_error_chance) {
            flip_one_bit(&mut bytes, noise);
        }
        bytes
    }

    /// Drop delivered transmissions that nothing on the wire can overlap.
    fn forget(&mut self) {
        let oldest = self
            .traffic
            .iter()
            .filter(|t| !t.delivered)
            .map(|t| t.start)
            .min()
            .unwrap_or(Nanos(u64::MAX));
        self.traffic.retain(|t| !t.delivered || t.end > oldest);
    }
}

/// Flip one random bit, if there is any.
pub(crate) fn flip_one_bit(bytes: &mut [u8], noise: &mut Noise) {
    let at = noise.below(bytes.len());
    let bit = noise.below(8);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAUD: u32 = 100_000; // a character is 100 µs

    fn line() -> Line {
        Line::new(BAUD, Noise::new(1, 0))
    }

    fn micros(us: u64) -> Nanos {
        Nanos(us * 1_000)
    }

    #[test]
    fn bytes_take_ten_bit_times() {
        let mut line = line();
        line.send_requests(micros(0), &[1, 2, 0]);
        assert_eq!(line.next_end(), Some((micros(300), Station::Master)));
        assert_eq!(line.deliver(micros(299)), None);
        let heard = line.deliver(micros(300)).map(|h| (h.from, h.start, h.bytes));
        assert_eq!(heard, Some((Station::Master, micros(0), vec![1, 2, 0])));
        assert_eq!(line.next_end(), None);
    }

    #[test]
    fn a_cut_ring_is_two_lines() {
        let mut ring = Loop::whole(10..15, true);
        assert!(ring.is_closed());
        ring.breaks.push(2);
        let reached = |ring: &Loop, ends| -> Vec<usize> {
            (10..15).filter(|n| ring.connects(*n, ends) == Some(true)).collect()
        };
        assert_eq!(reached(&ring, Ends::Both), [10, 11, 12, 13, 14]);
        assert_eq!(reached(&ring, Ends::A), [10, 11]);
        assert_eq!(reached(&ring, Ends::B), [12, 13, 14]);
        ring.breaks.push(4);
        assert_eq!(reached(&ring, Ends::Both), [10, 11, 14]);
        ring.ring = false;
        assert_eq!(reached(&ring, Ends::Both), [10, 11], "a line loses all behind the cut");
        assert_eq!(ring.connects(15, Ends::Both), None);
    }

    #[test]
    fn rounding_does_not_add_up() {
        assert_eq!(CharTime::at(115_200).chars(11_520), Nanos::from_secs(1));
    }

    #[test]
    fn frames_of_one_write_arrive_one_by_one() {
        let mut line = line();
        line.send_requests(micros(0), &[1, 0, 2, 0, 3]);
        line.send_requests(micros(10), &[4]);
        let ends: Vec<_> = std::iter::from_fn(|| line.deliver(micros(9_999)))
            .map(|h| (h.start, h.bytes))
            .collect();
        assert_eq!(
            ends,
            [
                (micros(0), vec![1, 0]),
                (micros(200), vec![2, 0]),
                (micros(400), vec![3]),
                (micros(500), vec![4])
            ]
        );
    }

    #[test]
    fn neighbours_do_not_collide() {
        let mut line = line();
        line.send_reply(0, micros(0), vec![7; 4]);
        line.send_reply(1, micros(400), vec![8; 4]);
        assert_eq!(line.deliver(micros(400)).map(|h| h.bytes), Some(vec![7; 4]));
        assert_eq!(line.deliver(micros(800)).map(|h| h.bytes), Some(vec![8; 4]));
        assert!(line.traffic.is_empty());
    }

    #[test]
    fn overlap_garbles_both_and_only_there() {
        let mut line = line();
        line.send_reply(0, micros(0), vec![7; 20]);
        line.send_reply(1, micros(1_000), vec![8; 20]);
        let first = line.deliver(micros(2_000)).expect("arrived").bytes;
        let second = line.deliver(micros(3_000)).expect("arrived").bytes;
        assert_eq!(first[..10], [7; 10]);
        assert_ne!(first[10..], [7; 10]);
        assert_ne!(second[..10], [8; 10]);
        assert_eq!(second[10..], [8; 10]);
    }

    #[test]
    fn bit_errors_come_as_often_as_ordered() {
        let mut line = line();
        line.set_bit_errors(0.25);
        let mut wrong = 0;
        for i in 0..2_000 {
            line.send_reply(0, micros(i * 1_000), vec![0x55; 5]);
            let bytes = line.deliver(micros(i * 1_000 + 500)).expect("arrived").bytes;
            wrong += bytes.iter().map(|b| (b ^ 0x55).count_ones()).sum::<u32>();
        }
        assert!((430..570).contains(&wrong), "{wrong}");
    }
}
