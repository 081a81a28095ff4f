//! A serial port of a UPS: 2400 baud, one line in, one line out, and every way
//! in which that goes wrong.
//!
//! Several ports may belong to one unit. Pure: the bytes have their times.

use super::megatec;
use super::unit::Unit;
use crate::line::CharTime;
use crate::noise::Noise;
use evenkeel_core::time::Nanos;
use std::collections::VecDeque;

/// Speed of the family.
const BAUD: u32 = 2_400;
/// Longest request that the unit's buffer holds.
const LINE_MAX: usize = 32;
/// Requests that wait for the unit.
const REQUESTS_MAX: usize = 8;
/// What the unit's controller takes to answer.
const THINKING: Nanos = Nanos::from_millis(40);
/// A unit that talks at random says one of these.
const NONSENSE: [&[u8]; 5] = [
    b"(999.9 999.9 999.9 999 99.9 99.9 99.9 11111111\r",
    b"(---.- @@@.@ 230.0 0a5 50.0 #### 27.0 0000100\r",
    b"(NAK\r",
    b"\x00\xFF\xFE\x80\r",
    b"#230.0 013 72.00 50.0\r",
];

/// What is wrong with a unit's replies, on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpsFaults {
    /// Says nothing.
    pub silence: bool,
    /// Probability that a reply has a wrong bit.
    pub garble_chance: f64,
    /// Replies end somewhere before their end.
    pub cut: bool,
    /// Replies are something else.
    pub nonsense: bool,
    /// Replies come so much later.
    pub late: Nanos,
}

/// A port.
#[derive(Clone, Debug)]
pub struct Port {
    noise: Noise,
    line: Vec<u8>,
    heard_until: Nanos,
    requests: VecDeque<(Nanos, Vec<u8>)>,
    spoken_until: Nanos,
    replies: VecDeque<(Nanos, u8)>,
}

impl Port {
    /// A quiet port.
    #[must_use]
    pub fn new(noise: Noise) -> Self {
        Self {
            noise,
            line: Vec::new(),
            heard_until: Nanos::default(),
            requests: VecDeque::new(),
            spoken_until: Nanos::default(),
            replies: VecDeque::new(),
        }
    }

    /// The appliance hands over bytes at `now`.
    pub fn hear(&mut self, now: Nanos, bytes: &[u8]) {
        for byte in bytes {
            self.heard_until = self.heard_until.max(now) + CharTime::at(BAUD).chars(1);
            if *byte == b'\r' {
                let line = std::mem::take(&mut self.line);
                if self.requests.len() < REQUESTS_MAX {
                    self.requests.push_back((self.heard_until, line));
                }
            } else if self.line.len() < LINE_MAX {
                self.line.push(*byte);
            }
        }
    }

    /// Let the unit answer what it has heard by `now`.
    pub fn advance(&mut self, now: Nanos, unit: &mut Unit, faults: &UpsFaults) {
        while let Some((at, line)) = self.requests.pop_front_if(|(at, _)| *at <= now) {
            unit.advance(at);
            if faults.silence || unit.is_dead() {
                continue;
            }
            let reply = self.spoil(megatec::answer(unit, &line), faults);
            let start = self.spoken_until.max(at + THINKING + faults.late);
            let due = |i: usize| start + CharTime::at(BAUD).chars(i + 1);
            self.spoken_until = start + CharTime::at(BAUD).chars(reply.len());
            self.replies.extend(reply.iter().enumerate().map(|(i, byte)| (due(i), *byte)));
        }
        unit.advance(now);
    }

    /// When [`Self::advance`] or [`Self::take`] next has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Nanos> {
        let request = self.requests.front().map(|(at, _)| *at);
        request.into_iter().chain(self.replies.front().map(|(at, _)| *at)).min()
    }

    /// Bytes that have arrived for the appliance by `now`.
    pub fn take(&mut self, now: Nanos) -> Vec<u8> {
        std::iter::from_fn(|| self.replies.pop_front_if(|(at, _)| *at <= now))
            .map(|(_, byte)| byte)
            .collect()
    }

    /// The cable was pulled: what is under way is lost.
    pub fn unplug(&mut self) {
        self.line.clear();
        self.requests.clear();
        self.replies.clear();
    }

    fn spoil(&mut self, mut reply: Vec<u8>, faults: &UpsFaults) -> Vec<u8> {
        if faults.nonsense && !reply.is_empty() {
            reply = NONSENSE[self.noise.below(NONSENSE.len())].to_vec();
        }
        if faults.cut {
            reply.truncate(self.noise.below(reply.len()));
        }
        if self.noise.chance(faults.garble_chance) {
            crate::line::flip_one_bit(&mut reply, &mut self.noise);
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::super::unit::UpsSpec;
    use super::*;

    struct Rig {
        unit: Unit,
        port: Port,
        faults: UpsFaults,
    }

    impl Rig {
        fn new() -> Self {
            let mut unit = Unit::new(UpsSpec::default());
            unit.set_frozen(true);
            Self { unit, port: Port::new(Noise::new(1, 0)), faults: UpsFaults::default() }
        }

        fn at_ms(&mut self, ms: u64) -> Vec<u8> {
            let now = Nanos::from_millis(ms);
            self.port.advance(now, &mut self.unit, &self.faults);
            self.port.take(now)
        }

        fn ask(&mut self, at_s: u64, request: &[u8]) -> Vec<u8> {
            self.port.hear(Nanos::from_secs(at_s), request);
            self.at_ms(at_s * 1_000 + 900)
        }
    }

    const Q1: &[u8] = b"(230.0 230.0 230.0 035 50.0 81.7 27.0 00001001\r";

    #[test]
    fn reply_comes_at_2400_baud() {
        let mut rig = Rig::new();
        rig.port.hear(Nanos(0), b"Q1\r");
        // 12.5 ms request, 40 ms thinking, 4.17 ms a character.
        assert_eq!(rig.at_ms(56), b"");
        assert_eq!(rig.at_ms(57), b"(");
        assert_eq!(rig.at_ms(99), Q1[1..11]);
        assert_eq!(rig.at_ms(249), Q1[11..]);
        assert_eq!(rig.port.next_due(), None);
    }

    #[test]
    fn request_may_come_in_pieces_and_in_packs() {
        let mut rig = Rig::new();
        assert_eq!(rig.ask(1, b"Q"), b"");
        assert_eq!(rig.ask(2, b"1\r"), Q1);
        assert_eq!(rig.ask(3, b"M\rF\r"), b"M\r#230.0 013 72.00 50.0\r");
    }

    #[test]
    fn flood_is_bounded() {
        let mut rig = Rig::new();
        rig.port.hear(Nanos(0), &[b'x'; 10_000]);
        assert!(rig.port.line.len() <= LINE_MAX);
        rig.port.hear(Nanos(0), &[b'\r'; 10_000]);
        assert!(rig.port.requests.len() <= REQUESTS_MAX);
    }

    #[test]
    fn faults_spoil_replies() {
        let mut rig = Rig::new();
        rig.faults.silence = true;
        assert_eq!(rig.ask(1, b"Q1\r"), b"");
        rig.faults = UpsFaults { cut: true, ..UpsFaults::default() };
        let cut = rig.ask(2, b"Q1\r");
        assert!(cut.len() < Q1.len() && Q1.starts_with(&cut));
        rig.faults = UpsFaults { garble_chance: 1.0, ..UpsFaults::default() };
        let garbled = rig.ask(3, b"Q1\r");
        assert_eq!(garbled.iter().zip(Q1).filter(|(a, b)| a != b).count(), 1);
        rig.faults = UpsFaults { nonsense: true, ..UpsFaults::default() };
        let nonsense = rig.ask(4, b"Q1\r");
        assert!(NONSENSE.contains(&nonsense.as_slice()));
        rig.faults = UpsFaults { late: Nanos::from_millis(2_000), ..UpsFaults::default() };
        assert_eq!(rig.ask(5, b"Q1\r"), b"");
        assert_eq!(rig.at_ms(7_900), Q1);
    }

    #[test]
    fn dead_unit_is_silent() {
        let mut rig = Rig::new();
        rig.unit.set_frozen(false);
        rig.unit.set_input(0.0);
        rig.unit.advance(Nanos::from_secs(3_600));
        assert_eq!(rig.ask(3_601, b"Q1\r"), b"");
    }

    #[test]
    fn two_ports_read_one_unit() {
        let mut rig = Rig::new();
        let mut second = Port::new(Noise::new(1, 1));
        assert_eq!(rig.ask(1, b"Q\r"), b"");
        second.hear(Nanos::from_secs(2), b"Q1\r");
        let now = Nanos::from_secs(3);
        second.advance(now, &mut rig.unit, &rig.faults);
        assert!(second.take(now).ends_with(b"00001000\r"), "the beeper is off on both");
    }
}
