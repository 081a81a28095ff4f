//! The board of one bus module: what the reference firmware
//! ([`evenkeel_module`]) measures, heats and blinks, and what may be broken.
//!
//! Heat: facts/battery-science.md §3.5. Pure: bytes and the time at which each
//! has arrived go in, a reply with the time at which it starts comes out.

use crate::line::{CharTime, flip_one_bit};
use crate::noise::Noise;
use evenkeel_core::battery::ModuleKind;
use evenkeel_core::bus::wire::{Identity, Led, Request};
use evenkeel_core::time::Nanos;
use evenkeel_module::{Answer, Measured, Micros, ModuleConfig, ModuleHardware, StationHardware};

/// Voltage below which a module refuses to bypass, mV per lead cell.
const FLOOR_MV_PER_CELL: u16 = 2_100;
/// Heat sink: mean rise per watt, K/W, and its time constant, s.
const SINK_K_PER_W: f64 = 7.0;
const SINK_TAU_S: f64 = 360.0;
/// How much of the heat sink's rise an internal sensor reads.
const INTERNAL_SENSOR_SHARE: f64 = 0.2;
/// White noise of a resistance measurement, of the value, rms.
const RESISTANCE_NOISE: f64 = 0.005;

/// What a module's Kelvin pair and sensor are connected to.
pub trait Sense {
    /// Truth at the terminals of the module of that number, now.
    fn sense(&self, module: usize) -> Sensed;
}

/// What there is to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensed {
    /// Voltage across the block, V.
    pub volts: f64,
    /// Temperature of the block, °C.
    pub celsius: f64,
    /// Internal resistance of the block, Ω; infinite without a block.
    pub ohm: f64,
}

impl Sensed {
    /// A module without a block.
    pub const DISCONNECTED: Self = Self { volts: 0.0, celsius: 25.0, ohm: f64::INFINITY };
}

/// Serial numbers of modules that replace others, each the former's number and
/// this, and again this much more.
const SPARES: u32 = 1_000_000;
const SPARES_STEP: u32 = 10_000;

/// A module as it leaves the factory and was addressed.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleSpec {
    /// 1 … 1,024; 0 is factory-new.
    pub address: u16,
    /// Its type.
    pub kind: ModuleKind,
    /// Serial number.
    pub serial: u32,
    /// Hardware revision.
    pub hardware: u8,
    /// Firmware version.
    pub firmware: (u8, u8),
    /// White noise of a voltage reading, V rms.
    pub noise_v: f64,
    /// Error of its bit clock, 1 = exact.
    pub clock: f64,
    /// The temperature comes from an external sensor, which the module's own
    /// heat does not reach.
    pub external_sensor: bool,
    /// The line's speed.
    pub char_time: CharTime,
}

/// What is broken, on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ModuleFaults {
    /// Hears nothing and says nothing.
    pub vanished: bool,
    /// The voltage reading stays what it was.
    pub stuck: bool,
    /// Probability that a reply has a wrong bit.
    pub garble_chance: f64,
    /// The temperature sensor is broken.
    pub sensor_fault: bool,
    /// The address button is pressed.
    pub button: bool,
}

/// A reply and when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Start of its first byte.
    pub start: Nanos,
    /// The bytes, frame end included.
    pub bytes: Vec<u8>,
}

impl Scheduled {
    /// An answer to a request that ended at `asked`, by a clock that is wrong
    /// by that factor, with one wrong bit by chance.
    pub(crate) fn of(
        answer: &Answer<'_>,
        asked: Nanos,
        char_time: CharTime,
        clock: f64,
        garble: Option<&mut Noise>,
    ) -> Self {
        let mut bytes = answer.bytes.to_vec();
        if let Some(noise) = garble {
            flip_one_bit(&mut bytes, noise);
        }
        let wait = char_time.chars(answer.after_chars as usize).0 as f64 * clock;
        Self { start: asked + Nanos(wait.round() as u64), bytes }
    }
}

/// A module.
#[derive(Clone, Debug)]
pub struct Module {
    firmware: evenkeel_module::Module,
    board: Board,
}

/// Everything but the firmware.
#[derive(Clone, Debug)]
struct Board {
    spec: ModuleSpec,
    faults: ModuleFaults,
    noise: Noise,
    now: Nanos,
    /// Truth at the last tick; none before the first.
    sensed: Option<Sensed>,
    sink_rise_k: f64,
    /// The last voltage reading, for a stuck one.
    last_mv: Option<u16>,
    /// The address in its memory.
    address: u16,
    led: Led,
}

impl Module {
    /// A module that has just got power.
    #[must_use]
    pub fn new(spec: ModuleSpec, noise: Noise) -> Self {
        let board = Board {
            address: spec.address,
            spec,
            faults: ModuleFaults::default(),
            noise,
            now: Nanos::default(),
            sensed: None,
            sink_rise_k: 0.0,
            last_mv: None,
            led: Led::Normal,
        };
        Self { firmware: board.boot(), board }
    }

    /// What it was when it was made.
    #[must_use]
    pub fn spec(&self) -> &ModuleSpec {
        &self.board.spec
    }

    /// Its bus address now.
    #[must_use]
    pub fn address(&self) -> u16 {
        self.board.address
    }

    /// What its lamp shows.
    #[must_use]
    pub fn led(&self) -> Led {
        self.board.led
    }

    /// What is broken.
    #[must_use]
    pub fn faults(&self) -> &ModuleFaults {
        &self.board.faults
    }

    /// Break or mend it.
    pub fn faults_mut(&mut self) -> &mut ModuleFaults {
        &mut self.board.faults
    }

    /// Restart, as after a power cut.
    pub fn reset(&mut self) {
        self.firmware = self.board.boot();
    }

    /// Take it off and put a factory-new one in its place: the next of the
    /// serial numbers from a million on, no address, nothing broken.
    pub fn replace(&mut self) {
        let serial = &mut self.board.spec.serial;
        *serial = if *serial < SPARES { *serial + SPARES } else { *serial + SPARES_STEP };
        self.board.address = 0;
        self.board.faults = ModuleFaults::default();
        self.board.led = Led::Normal;
        self.reset();
    }

    /// Take a byte that has arrived at `at`.
    pub fn hear(&mut self, at: Nanos, byte: u8) -> Option<Scheduled> {
        if self.board.faults.vanished {
            self.firmware.line_idle();
            return None;
        }
        let answer = self.firmware.hear(micros(at), byte, &mut self.board)?;
        Some(self.board.send(&answer, at))
    }

    /// Take a whole request whose last byte has arrived at `at`: the same as
    /// [`Self::hear`] of its bytes with nothing left in the decoder.
    pub fn handle(&mut self, at: Nanos, request: &Request<'_>) -> Option<Scheduled> {
        if self.board.faults.vanished {
            return None;
        }
        let answer = self.firmware.handle(micros(at), request, &mut self.board)?;
        Some(self.board.send(&answer, at))
    }

    /// Take bytes that another module sent. A reply is no request: all it can
    /// do is to leave the half frame of a disturbed end in the decoder, which
    /// then costs the next request.
    pub fn overhear(&mut self, bytes: &[u8]) {
        let rest = match bytes.iter().rposition(|b| *b == 0) {
            Some(end) => {
                self.firmware.line_idle();
                &bytes[end + 1..]
            }
            None => bytes,
        };
        for byte in rest {
            // Only a zero byte completes a frame, and there is none.
            let _ = self.firmware.hear(micros(self.board.now), *byte, &mut self.board);
        }
    }

    /// Let time pass until `now`, with the terminals as `sensed` at `now`. Must
    /// be called no later than [`Self::next_timer`].
    pub fn tick(&mut self, now: Nanos, sensed: Sensed) {
        self.board.warm(now, sensed, self.firmware.duty().fraction());
        self.firmware.tick(micros(now), &mut self.board);
    }

    /// When the module next does something by itself.
    #[must_use]
    pub fn next_timer(&self) -> Option<Nanos> {
        self.firmware.next_timer().map(nanos)
    }

    /// Bypass now: share of the time that it is on, 0 … 1.
    #[must_use]
    pub fn duty(&self) -> f64 {
        self.firmware.duty().fraction()
    }
}

impl Board {
    /// What of an answer gets onto the line.
    fn send(&mut self, answer: &Answer<'_>, at: Nanos) -> Scheduled {
        let Self { spec, noise, faults, .. } = self;
        let garbled = noise.chance(faults.garble_chance);
        Scheduled::of(answer, at, spec.char_time, spec.clock, garbled.then_some(noise))
    }

    fn boot(&self) -> evenkeel_module::Module {
        let spec = &self.spec;
        let data = spec.kind.data();
        let identity = Identity {
            type_code: data.code,
            hardware: spec.hardware,
            firmware: spec.firmware,
            serial: spec.serial,
        };
        let floor_mv = FLOOR_MV_PER_CELL * u16::from(data.lead_cells);
        evenkeel_module::Module::new(ModuleConfig { identity, floor_mv }, self.address)
    }

    /// The heat sink follows the bypass.
    fn warm(&mut self, now: Nanos, sensed: Sensed, duty: f64) {
        let watts = duty * sensed.volts * sensed.volts / self.spec.kind.data().bypass_ohm;
        let share = (now.since(self.now).as_secs_f64() / SINK_TAU_S).min(1.0);
        self.sink_rise_k += share * (watts * SINK_K_PER_W - self.sink_rise_k);
        self.now = now;
        self.sensed = Some(sensed);
    }

    fn sensed(&self) -> Sensed {
        self.sensed.unwrap_or(Sensed::DISCONNECTED)
    }
}

impl StationHardware for Board {
    fn button(&mut self) -> bool {
        self.faults.button
    }

    fn store_address(&mut self, address: u16) {
        self.address = address;
    }

    fn show(&mut self, pattern: Led) {
        self.led = pattern;
    }
}

impl ModuleHardware for Board {
    /// Truth changes slowly: its value at the window's end is the mean.
    fn begin_window(&mut self) {}

    fn end_window(&mut self) -> Measured {
        let sensed = self.sensed();
        let volts = sensed.volts + self.spec.noise_v * self.noise.normal();
        // `as` saturates at the ends of the field.
        let fresh_mv = (volts * 1e3).round() as u16;
        let voltage_mv = self.last_mv.filter(|_| self.faults.stuck).unwrap_or(fresh_mv);
        self.last_mv = Some(voltage_mv);
        let warmed = if self.spec.external_sensor { 0.0 } else { INTERNAL_SENSOR_SHARE };
        let celsius = sensed.celsius + warmed * self.sink_rise_k;
        Measured {
            voltage_mv,
            temperature_dc: (!self.faults.sensor_fault).then(|| (celsius * 10.0).round() as i16),
            external_sensor: self.spec.external_sensor,
        }
    }

    fn block_mv(&mut self) -> u16 {
        (self.sensed().volts * 1e3).round() as u16
    }

    fn sink_dc(&mut self) -> i16 {
        ((self.sensed().celsius + self.sink_rise_k) * 10.0).round() as i16
    }

    /// The excitation is an alternating current without a mean: the plant does
    /// not notice it.
    fn excite(&mut self, _on: bool) {}

    fn resistance_uohm(&mut self) -> Option<u32> {
        let ohm = self.sensed().ohm * (1.0 + RESISTANCE_NOISE * self.noise.normal());
        (ohm.is_finite() && ohm > 0.0).then(|| (ohm * 1e6).round() as u32)
    }
}

/// The firmware's clock.
pub(crate) fn micros(at: Nanos) -> Micros {
    at.0 / 1_000
}

/// The first instant at which the firmware's clock shows this.
pub(crate) fn nanos(at: Micros) -> Nanos {
    Nanos(at.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::bus::wire::{
        Decoder, Duty, DutyList, FRAME_MAX, Flags, Identity, Reading, Reply, Request,
    };

    const FLOAT: Sensed = Sensed { volts: 13.8, celsius: 25.0, ohm: 0.022 };
    const BAUD: u32 = 115_200;

    fn module(address: u16) -> Module {
        let spec = ModuleSpec {
            address,
            kind: ModuleKind::C20,
            serial: 77,
            hardware: 3,
            firmware: (1, 4),
            noise_v: 0.0,
            clock: 1.0,
            external_sensor: false,
            char_time: CharTime::at(BAUD),
        };
        let mut module = Module::new(spec, Noise::new(1, 0));
        module.tick(Nanos(0), FLOAT);
        module
    }

    /// The request's last byte arrives at `at`.
    fn ask(module: &mut Module, at: Nanos, request: &Request<'_>) -> Option<Scheduled> {
        let mut frame = [0; FRAME_MAX];
        let len = request.encode(&mut frame);
        frame[..len].iter().fold(None, |reply, b| reply.or(module.hear(at, *b)))
    }

    fn parse(reply: &Scheduled) -> Reply {
        let mut decoder = Decoder::default();
        let (last, head) = reply.bytes.split_last().expect("a frame has bytes");
        head.iter().for_each(|b| assert!(decoder.push(*b).is_none()));
        Reply::parse(&decoder.push(*last).expect("its end").expect("a frame")).expect("a reply")
    }

    fn duties(module: &mut Module, at: Nanos, duty: f64, hold_ds: u8) {
        let duties = [Duty::from_fraction(duty)];
        let first = module.spec().address;
        let request = Request::Duties { first, hold_ds, duties: DutyList::Owned(&duties) };
        assert_eq!(ask(module, at, &request), None);
    }

    /// One SAMPLE of 100 ms at `at`, and what READ brings then.
    fn sample(module: &mut Module, at: Nanos, sensed: Sensed) -> Reading {
        ask(module, at, &Request::Sample { sample: 9, window_ms: 100 });
        assert_eq!(module.duty(), 0.0, "rule 2: bypass off at once");
        let end = at + Nanos::from_millis(100);
        assert_eq!(module.next_timer(), Some(end));
        module.tick(end, sensed);
        let first = module.spec().address;
        let reply = ask(module, end, &Request::Read { first, count: 1 }).expect("an answer");
        match parse(&reply) {
            Reply::Reading { reading, .. } => reading,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rule_1_reset_until_the_first_duties() {
        let mut m = module(5);
        assert!(sample(&mut m, Nanos::from_secs(1), FLOAT).flags.has(Flags::RESET));
        duties(&mut m, Nanos::from_secs(2), 0.5, 250);
        assert!(!sample(&mut m, Nanos::from_secs(3), FLOAT).flags.has(Flags::RESET));
        m.reset();
        assert_eq!(m.duty(), 0.0);
        assert_eq!(ask(&mut m, Nanos::from_secs(4), &Request::Read { first: 5, count: 1 }), None);
    }

    #[test]
    fn rule_2_duty_returns_after_the_window_and_was_reported() {
        let mut m = module(5);
        duties(&mut m, Nanos(0), 0.5, 250);
        let reading = sample(
            &mut m,
            Nanos::from_secs(1),
            Sensed { volts: 13.8014, celsius: -10.26, ..FLOAT },
        );
        assert_eq!((reading.sample, reading.voltage_mv, reading.duty), (9, 13_801, 128));
        assert_eq!(reading.temperature_dc, -103);
        assert!((m.duty() - 0.5).abs() < 1e-4);
    }

    #[test]
    fn rule_3_slots_begin_where_the_description_says() {
        let mut m = module(5);
        let read = Request::Read { first: 2, count: 10 };
        assert_eq!(ask(&mut m, Nanos(0), &read), None, "nothing sampled: silent");
        sample(&mut m, Nanos::from_secs(1), FLOAT);
        let end = Nanos::from_secs(2);
        let reply = ask(&mut m, end, &read).expect("an answer");
        assert_eq!(reply.start, end + CharTime::at(BAUD).chars(12 + 3 * 16));
        let identify = Request::Identify { first: 5, count: 1 };
        let reply = ask(&mut m, end, &identify).expect("an answer");
        assert_eq!(reply.start, end + CharTime::at(BAUD).chars(12));
        let identity = Identity { type_code: 20, hardware: 3, firmware: (1, 4), serial: 77 };
        assert_eq!(parse(&reply), Reply::Identity { address: 5, identity });
        for (first, count) in [(6, 10), (1, 4)] {
            assert_eq!(ask(&mut m, end, &Request::Read { first, count }), None, "not asked");
        }
    }

    #[test]
    fn rule_4_floor_refuses_and_recovers() {
        let mut m = module(5);
        duties(&mut m, Nanos(0), 1.0, 250);
        let low = Sensed { volts: 12.59, celsius: 25.0, ..FLOAT };
        let reading = sample(&mut m, Nanos::from_secs(1), low);
        assert!(reading.flags.has(Flags::FLOOR));
        assert_eq!(m.duty(), 0.0);
        assert!(!sample(&mut m, Nanos::from_secs(2), FLOAT).flags.has(Flags::FLOOR));
        assert_eq!(m.duty(), 1.0);
    }

    #[test]
    fn rule_4_heat_derates_in_a_hot_room_only() {
        for (celsius, derated) in [(25.0, false), (58.0, true)] {
            let mut m = module(5);
            let sensed = Sensed { volts: 13.8, celsius, ..FLOAT };
            for second in 0..3_600 {
                duties(&mut m, Nanos::from_secs(second), 1.0, 20);
                m.tick(Nanos::from_secs(second), sensed);
            }
            let reading = sample(&mut m, Nanos::from_secs(3_600), sensed);
            assert_eq!(reading.flags.has(Flags::DERATED), derated, "{celsius} °C");
            assert_eq!(m.duty() < 1.0, derated);
            assert!(m.duty() > 0.3, "{}", m.duty());
            assert!(reading.temperature_dc > (celsius * 10.0) as i16 + 10, "it warms its sensor");
        }
    }

    #[test]
    fn rule_5_old_duties_lapse() {
        let mut m = module(5);
        duties(&mut m, Nanos::from_secs(1), 0.7, 30);
        assert_eq!(m.next_timer(), Some(Nanos::from_secs(4)));
        m.tick(Nanos::from_millis(3_999), FLOAT);
        assert!(m.duty() > 0.69);
        m.tick(Nanos::from_secs(4), FLOAT);
        assert_eq!(m.duty(), 0.0);
        assert!(sample(&mut m, Nanos::from_secs(5), FLOAT).flags.has(Flags::HOLD_EXPIRED));
        duties(&mut m, Nanos::from_secs(6), 0.7, 30);
        assert!(!sample(&mut m, Nanos::from_secs(7), FLOAT).flags.has(Flags::HOLD_EXPIRED));
    }

    #[test]
    fn rule_6_noise_between_frames_is_ignored() {
        let mut m = module(5);
        for byte in (1..=255).chain([0, 3, 2, 1, 4, 3, 0xFB, 0x6F, 0]) {
            assert_eq!(m.hear(Nanos(0), byte), None);
        }
        assert!(ask(&mut m, Nanos(0), &Request::Identify { first: 5, count: 1 }).is_some());
    }

    #[test]
    fn disturbed_reply_costs_the_next_request_and_no_more() {
        let mut m = module(5);
        let identify = Request::Identify { first: 5, count: 1 };
        m.overhear(&[9, 9, 0]);
        assert!(ask(&mut m, Nanos(0), &identify).is_some());
        m.overhear(&[9, 0, 9]);
        assert!(ask(&mut m, Nanos(0), &identify).is_none());
        assert!(ask(&mut m, Nanos(0), &identify).is_some());
    }

    #[test]
    fn factory_new_module_is_silent() {
        let mut m = module(0);
        assert_eq!(ask(&mut m, Nanos(0), &Request::Identify { first: 1, count: 64 }), None);
    }

    #[test]
    fn faults_show() {
        let mut m = module(5);
        sample(&mut m, Nanos::from_secs(1), FLOAT);
        *m.faults_mut() = ModuleFaults {
            stuck: true,
            sensor_fault: true,
            button: true,
            ..ModuleFaults::default()
        };
        let reading =
            sample(&mut m, Nanos::from_secs(2), Sensed { volts: 12.7, celsius: 30.0, ..FLOAT });
        assert_eq!(reading.voltage_mv, 13_800);
        assert!(reading.flags.has(Flags::SENSOR_FAULT | Flags::BUTTON));
        let identify = Request::Identify { first: 5, count: 1 };
        let good = ask(&mut m, Nanos(0), &identify);
        m.faults_mut().garble_chance = 1.0;
        assert_ne!(ask(&mut m, Nanos(0), &identify), good);
        m.faults_mut().vanished = true;
        assert_eq!(ask(&mut m, Nanos(0), &identify), None);
    }
}
