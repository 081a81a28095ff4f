//! One bus module, built from the protocol description alone.
//!
//! Follows the rules of [`evenkeel_core::bus::wire`] (numbers in the code are
//! theirs) and facts/battery-science.md §3.5 (heat). Pure: bytes and the time
//! at which each has arrived go in, a reply with the time at which it starts
//! comes out.

use crate::line::{CharTime, flip_one_bit};
use crate::noise::Noise;
use evenkeel_core::battery::ModuleKind;
use evenkeel_core::bus::wire::{
    Decoder, Duty, FRAME_MAX, Flags, IDENTITY_SLOT_CHARS, Identity, READING_SLOT_CHARS, Reading,
    Reply, Request, TURNAROUND_CHARS,
};
use evenkeel_core::time::Nanos;

/// Voltage below which a module refuses to bypass, V per lead cell.
const FLOOR_V_PER_CELL: f64 = 2.10;
/// The duty falls linearly between these heat-sink temperatures, °C.
const DERATE_FROM_C: f64 = 60.0;
const DERATE_TO_C: f64 = 75.0;
/// Heat sink: mean rise per watt, K/W, and its time constant, s.
const SINK_K_PER_W: f64 = 7.0;
const SINK_TAU_S: f64 = 360.0;
/// How much of the heat sink's rise an internal sensor reads.
const INTERNAL_SENSOR_SHARE: f64 = 0.2;

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
}

impl Sensed {
    /// A module without a block.
    pub const DISCONNECTED: Self = Self { volts: 0.0, celsius: 25.0 };
}

/// A module as it leaves the factory and was addressed.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleSpec {
    /// 1 … 1,024; 0 is factory-new and silent.
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
    /// One encoded frame.
    pub bytes: Vec<u8>,
}

/// A module.
#[derive(Clone, Debug)]
pub struct Module {
    decoder: Decoder,
    core: Core,
}

impl Module {
    /// A module that has just got power (rule 1).
    #[must_use]
    pub fn new(spec: ModuleSpec, noise: Noise) -> Self {
        Self { decoder: Decoder::default(), core: Core::new(spec, noise) }
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &ModuleSpec {
        &self.core.spec
    }

    /// What is broken.
    #[must_use]
    pub fn faults(&self) -> &ModuleFaults {
        &self.core.faults
    }

    /// Break or mend it.
    pub fn faults_mut(&mut self) -> &mut ModuleFaults {
        &mut self.core.faults
    }

    /// Restart, as after a power cut (rule 1).
    pub fn reset(&mut self) {
        let core = &self.core;
        let faults = core.faults;
        self.core = Core { faults, ..Core::new(core.spec.clone(), core.noise.clone()) };
        self.decoder.reset();
    }

    /// Take a byte that has arrived at `at`.
    pub fn hear(&mut self, at: Nanos, byte: u8) -> Option<Scheduled> {
        if self.core.faults.vanished {
            self.decoder.reset();
            return None;
        }
        // Rule 6: whatever is not a valid request is ignored.
        let frame = self.decoder.push(byte)?.ok()?;
        self.core.handle(at, &Request::parse(&frame).ok()?)
    }

    /// Take bytes that another module sent. A reply is no request: all it can
    /// do is to leave the half frame of a disturbed end in the decoder, which
    /// then costs the next request.
    pub fn overhear(&mut self, bytes: &[u8]) {
        let rest = match bytes.iter().rposition(|b| *b == 0) {
            Some(end) => {
                self.decoder.reset();
                &bytes[end + 1..]
            }
            None => bytes,
        };
        for byte in rest {
            // Only a zero byte completes a frame, and there is none.
            let _ = self.decoder.push(*byte);
        }
    }

    /// Let time pass until `now`, with the terminals as `sensed` at `now`. Must
    /// be called no later than [`Self::next_timer`].
    pub fn tick(&mut self, now: Nanos, sensed: Sensed) {
        self.core.tick(now, sensed);
    }

    /// When the module next does something by itself.
    #[must_use]
    pub fn next_timer(&self) -> Option<Nanos> {
        let window = self.core.window.as_ref().map(|w| w.until);
        let hold = self.core.held.map(|h| h.until);
        window.into_iter().chain(hold).min()
    }

    /// Bypass now: share of the time that it is on, 0 … 1.
    #[must_use]
    pub fn duty(&self) -> f64 {
        self.core.duty()
    }
}

/// Everything but the decoder, which lends the frame that is handled.
#[derive(Clone, Debug)]
struct Core {
    spec: ModuleSpec,
    faults: ModuleFaults,
    noise: Noise,
    now: Nanos,
    /// Truth at the last tick; none before the first.
    sensed: Option<Sensed>,
    sink_rise_k: f64,
    held: Option<Held>,
    since_reset: bool,
    hold_expired: bool,
    window: Option<Window>,
    kept: Option<Reading>,
}

/// The last duty and how long it is good.
#[derive(Clone, Copy, Debug)]
struct Held {
    duty: Duty,
    until: Nanos,
}

/// A sample being taken.
#[derive(Clone, Debug)]
struct Window {
    sample: u8,
    until: Nanos,
    duty_before: f64,
}

impl Core {
    fn new(spec: ModuleSpec, noise: Noise) -> Self {
        Self {
            spec,
            faults: ModuleFaults::default(),
            noise,
            now: Nanos::default(),
            sensed: None,
            sink_rise_k: 0.0,
            held: None,
            since_reset: true,
            hold_expired: false,
            window: None,
            kept: None,
        }
    }

    fn handle(&mut self, at: Nanos, request: &Request<'_>) -> Option<Scheduled> {
        match *request {
            Request::Sample { sample, window_ms } => {
                let until = at + Nanos::from_millis(window_ms.into());
                let duty_before = self.duty();
                self.window = Some(Window { sample, until, duty_before });
                None
            }
            Request::Read { first, count } => {
                let place = self.place(first, count.into())?;
                let reading = self.kept?; // rule 3: nothing sampled, silent
                let reply = Reply::Reading { address: self.spec.address, reading };
                Some(self.reply(at, place, READING_SLOT_CHARS, &reply))
            }
            Request::Identify { first, count } => {
                let place = self.place(first, count.into())?;
                let reply =
                    Reply::Identity { address: self.spec.address, identity: self.identity() };
                Some(self.reply(at, place, IDENTITY_SLOT_CHARS, &reply))
            }
            Request::Duties { first, hold_ds, ref duties } => {
                let duty = duties.get(self.place(first, duties.len())?)?;
                let until = at + Nanos::from_millis(100 * u64::from(hold_ds));
                self.held = Some(Held { duty, until });
                self.since_reset = false;
                self.hold_expired = false;
                None
            }
        }
    }

    /// Own position in a run of `count` addresses from `first`. A factory-new
    /// module (address 0) is in none.
    fn place(&self, first: u16, count: usize) -> Option<usize> {
        let place = usize::from(self.spec.address.checked_sub(first)?);
        (self.spec.address != 0 && place < count).then_some(place)
    }

    fn reply(&mut self, request_end: Nanos, place: usize, slot: u32, reply: &Reply) -> Scheduled {
        let mut frame = [0; FRAME_MAX];
        let len = reply.encode(&mut frame);
        let mut bytes = frame[..len].to_vec();
        if self.noise.chance(self.faults.garble_chance) {
            flip_one_bit(&mut bytes, &mut self.noise);
        }
        let chars = TURNAROUND_CHARS as usize + place * slot as usize;
        let wait = self.spec.char_time.chars(chars).0 as f64 * self.spec.clock;
        Scheduled { start: request_end + Nanos(wait.round() as u64), bytes }
    }

    fn identity(&self) -> Identity {
        let spec = &self.spec;
        Identity {
            type_code: spec.kind.data().code,
            hardware: spec.hardware,
            firmware: spec.firmware,
            serial: spec.serial,
        }
    }

    fn tick(&mut self, now: Nanos, sensed: Sensed) {
        let watts = self.duty() * sensed.volts * sensed.volts / self.spec.kind.data().bypass_ohm;
        let share = (now.since(self.now).as_secs_f64() / SINK_TAU_S).min(1.0);
        self.sink_rise_k += share * (watts * SINK_K_PER_W - self.sink_rise_k);
        self.now = now;
        self.sensed = Some(sensed);
        if self.held.is_some_and(|h| h.until <= now) {
            self.held = None;
            self.hold_expired = true;
        }
        if let Some(window) = self.window.take_if(|w| w.until <= now) {
            self.kept = Some(self.measure(&window, sensed));
        }
    }

    /// The result of a sample. A stuck module keeps its voltage.
    fn measure(&mut self, window: &Window, sensed: Sensed) -> Reading {
        let volts = sensed.volts + self.spec.noise_v * self.noise.normal();
        let stuck = self.kept.filter(|_| self.faults.stuck);
        let warmed = if self.spec.external_sensor { 0.0 } else { INTERNAL_SENSOR_SHARE };
        let celsius = sensed.celsius + warmed * self.sink_rise_k;
        Reading {
            sample: window.sample,
            // `as` saturates at the ends of the field.
            voltage_mv: stuck.map_or((volts * 1e3).round() as u16, |r| r.voltage_mv),
            temperature_dc: if self.faults.sensor_fault {
                0
            } else {
                (celsius * 10.0).round() as i16
            },
            duty: (window.duty_before * 255.0).round() as u8,
            flags: self.flags(),
        }
    }

    fn flags(&self) -> Flags {
        let states = [
            (Flags::FLOOR, self.below_floor()),
            (Flags::DERATED, self.derating() < 1.0),
            (Flags::HOLD_EXPIRED, self.hold_expired),
            (Flags::RESET, self.since_reset),
            (Flags::EXTERNAL_SENSOR, self.spec.external_sensor),
            (Flags::SENSOR_FAULT, self.faults.sensor_fault),
            (Flags::BUTTON, self.faults.button),
        ];
        states.into_iter().filter(|(_, set)| *set).fold(Flags::default(), |f, (bit, _)| f.with(bit))
    }

    /// Rules 2, 4 and 5.
    fn duty(&self) -> f64 {
        match self.held {
            Some(held) if self.window.is_none() && !self.below_floor() => {
                held.duty.fraction() * self.derating()
            }
            _ => 0.0,
        }
    }

    fn below_floor(&self) -> bool {
        let floor_v = FLOOR_V_PER_CELL * f64::from(self.spec.kind.data().lead_cells);
        self.sensed.is_some_and(|s| s.volts < floor_v)
    }

    fn derating(&self) -> f64 {
        let ambient_c = self.sensed.map_or(25.0, |s| s.celsius);
        let sink_c = ambient_c + self.sink_rise_k;
        ((DERATE_TO_C - sink_c) / (DERATE_TO_C - DERATE_FROM_C)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::bus::wire::DutyList;

    const FLOAT: Sensed = Sensed { volts: 13.8, celsius: 25.0 };
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
        let reading =
            sample(&mut m, Nanos::from_secs(1), Sensed { volts: 13.8014, celsius: -10.26 });
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
        let low = Sensed { volts: 12.59, celsius: 25.0 };
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
            let sensed = Sensed { volts: 13.8, celsius };
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
        let reading = sample(&mut m, Nanos::from_secs(2), Sensed { volts: 12.7, celsius: 30.0 });
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
