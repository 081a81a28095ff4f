//! The board of a device that is no block module: what the reference firmware
//! ([`evenkeel_module`]) measures and switches, and what may be broken.

use crate::line::CharTime;
use crate::module::{Scheduled, micros, nanos};
use crate::noise::Noise;
use evenkeel_core::bus::wire::{DeviceKind, Ends, FULL_SCALE, Identity, Led, NO_VALUE, Request};
use evenkeel_core::time::Nanos;
use evenkeel_module::{Answer, DeviceHardware, StationHardware};

/// Relay of an AUX that trips its string's breaker.
pub const TRIP: u16 = 0x01;
/// Relay of an AUX that lets the UPS carry its load from the string's battery
/// while it is on, as in a battery test.
pub const TEST: u16 = 0x08;
/// Input of an AUX that is closed while its string's breaker is open.
pub const BREAKER_OPEN: u16 = 0x01;

/// What devices are connected to.
pub trait DevicePlant {
    /// Current of a string now, A, positive into the batteries.
    fn string_amps(&self, string: usize) -> f64;
    /// The breaker of a string is open. A string without a breaker never is.
    fn breaker_is_open(&self, _string: usize) -> bool {
        false
    }
    /// The trip relay of a string's breaker is on. Without a breaker it is
    /// connected to nothing.
    fn command_breaker(&mut self, _string: usize, _trip: bool) {}
    /// The UPS of a string is told to carry its load from the battery.
    fn command_test(&mut self, _string: usize, _on: bool) {}
}

/// A device as it was made and wired.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceSpec {
    /// 1,025 … 1,279; 0 is factory-new.
    pub address: u16,
    /// What it is.
    pub kind: DeviceKind,
    /// Serial number.
    pub serial: u32,
    /// The string that it measures or switches, from 0.
    pub string: usize,
    /// Error of a current sensor at 0 A, A.
    pub offset_a: f64,
    /// Factor of a current sensor, 1 = exact.
    pub gain: f64,
    /// White noise of a current reading, A rms.
    pub noise_a: f64,
    /// Error of its bit clock, 1 = exact.
    pub clock: f64,
    /// The line's speed.
    pub char_time: CharTime,
}

/// What acts on a device, and what is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DeviceFaults {
    /// Hears nothing and says nothing.
    pub vanished: bool,
    /// Probability that a reply has a wrong bit.
    pub garble_chance: f64,
    /// The address button is pressed.
    pub button: bool,
    /// The Hall element or the analog inputs are broken.
    pub sensor_fault: bool,
}

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    firmware: evenkeel_module::Device,
    board: Board,
    /// Its outputs when last looked at, and when they changed.
    outputs: u16,
    switched: Nanos,
}

#[derive(Clone, Debug)]
struct Board {
    spec: DeviceSpec,
    faults: DeviceFaults,
    noise: Noise,
    amps: f64,
    breaker_open: bool,
    /// Contacts that the test or scenario closes.
    contacts: u16,
    /// What is on the analog inputs, as a fraction of full scale.
    analog: [f64; 8],
    ends: Ends,
    loop_closed: bool,
    address: u16,
    led: Led,
}

impl Device {
    /// A device that has just got power.
    #[must_use]
    pub fn new(spec: DeviceSpec, noise: Noise) -> Self {
        let board = Board {
            address: spec.address,
            spec,
            faults: DeviceFaults::default(),
            noise,
            amps: 0.0,
            breaker_open: false,
            contacts: 0,
            analog: [0.0; 8],
            ends: Ends::Both,
            loop_closed: true,
            led: Led::Normal,
        };
        Self { firmware: board.boot(), board, outputs: 0, switched: Nanos(0) }
    }

    /// What it was when it was made.
    #[must_use]
    pub fn spec(&self) -> &DeviceSpec {
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

    /// Its outputs now, bit set = on.
    #[must_use]
    pub fn outputs(&self) -> u16 {
        self.firmware.outputs()
    }

    /// When an output last changed; time 0 if none ever did.
    #[must_use]
    pub fn switched(&self) -> Nanos {
        self.switched
    }

    /// The ends of the ring that it feeds, if it is a panel.
    #[must_use]
    pub fn ends(&self) -> Option<Ends> {
        (self.board.spec.kind == DeviceKind::Panel).then_some(self.board.ends)
    }

    /// The string whose breaker its trip relay acts on, and whether it is on.
    #[must_use]
    pub fn breaker_command(&self) -> Option<(usize, bool)> {
        let Board { spec, .. } = &self.board;
        (spec.kind == DeviceKind::Aux).then(|| (spec.string, self.outputs() & TRIP != 0))
    }

    /// The string from whose battery its test relay lets the UPS live, and
    /// whether it is on.
    #[must_use]
    pub fn test_command(&self) -> Option<(usize, bool)> {
        let Board { spec, .. } = &self.board;
        (spec.kind == DeviceKind::Aux).then(|| (spec.string, self.outputs() & TEST != 0))
    }

    /// Break or mend it, or press its address button.
    pub fn faults_mut(&mut self) -> &mut DeviceFaults {
        &mut self.board.faults
    }

    /// Close these contacts at its inputs; a panel's mute button is the first.
    pub fn set_contacts(&mut self, contacts: u16) {
        self.board.contacts = contacts;
    }

    /// Close or open the contact at one input, from 0.
    pub fn set_contact(&mut self, input: u8, closed: bool) {
        let bit = 1_u16.checked_shl(input.into()).unwrap_or(0);
        match closed {
            true => self.board.contacts |= bit,
            false => self.board.contacts &= !bit,
        }
    }

    /// Put this on an analog input, as a fraction of 10 V or 20 mA.
    pub fn set_analog(&mut self, channel: usize, fraction: f64) {
        if let Some(input) = self.board.analog.get_mut(channel) {
            *input = fraction;
        }
    }

    /// What a panel finds between the two ends of its ring.
    pub(crate) fn set_loop_closed(&mut self, closed: bool) {
        self.board.loop_closed = closed;
    }

    /// Restart, as after a power cut.
    pub fn reset(&mut self) {
        self.board.ends = Ends::Both;
        self.firmware = self.board.boot();
    }

    /// Take a byte that has arrived at `at`.
    pub fn hear(&mut self, at: Nanos, byte: u8) -> Option<Scheduled> {
        if self.board.faults.vanished {
            self.firmware.line_idle();
            return None;
        }
        let answer = self.firmware.hear(micros(at), byte, &mut self.board);
        let answer = answer.map(|answer| self.board.send(&answer, at));
        self.note_outputs(at);
        answer
    }

    /// Take a whole request whose last byte has arrived at `at`: the same as
    /// [`Self::hear`] of its bytes with nothing left in the decoder.
    pub fn handle(&mut self, at: Nanos, request: &Request<'_>) -> Option<Scheduled> {
        if self.board.faults.vanished {
            return None;
        }
        let answer = self.firmware.handle(micros(at), request, &mut self.board);
        let answer = answer.map(|answer| self.board.send(&answer, at));
        self.note_outputs(at);
        answer
    }

    /// Take bytes that another station sent: see
    /// [`Module::overhear`](crate::module::Module::overhear).
    pub fn overhear(&mut self, now: Nanos, bytes: &[u8]) {
        let rest = match bytes.iter().rposition(|b| *b == 0) {
            Some(end) => {
                self.firmware.line_idle();
                &bytes[end + 1..]
            }
            None => bytes,
        };
        for byte in rest {
            let _ = self.firmware.hear(micros(now), *byte, &mut self.board);
        }
    }

    /// Let time pass until `now`, connected to that plant. Must be called no
    /// later than [`Self::next_timer`].
    pub fn tick(&mut self, now: Nanos, plant: &impl DevicePlant) {
        self.board.amps = plant.string_amps(self.board.spec.string);
        self.board.breaker_open = plant.breaker_is_open(self.board.spec.string);
        self.firmware.tick(micros(now), &mut self.board);
        self.note_outputs(now);
    }

    /// When the device next does something by itself.
    #[must_use]
    pub fn next_timer(&self) -> Option<Nanos> {
        self.firmware.next_timer().map(nanos)
    }

    fn note_outputs(&mut self, at: Nanos) {
        let outputs = self.firmware.outputs();
        if outputs != self.outputs {
            (self.outputs, self.switched) = (outputs, at);
        }
    }
}

impl Board {
    /// What of an answer gets onto the line.
    fn send(&mut self, answer: &Answer<'_>, at: Nanos) -> Scheduled {
        let Self { spec, noise, faults, .. } = self;
        let garbled = noise.chance(faults.garble_chance);
        Scheduled::of(answer, at, spec.char_time, spec.clock, garbled.then_some(noise))
    }

    fn boot(&self) -> evenkeel_module::Device {
        let DeviceSpec { kind, serial, .. } = self.spec;
        let identity = Identity { type_code: kind.code(), hardware: 1, firmware: (1, 0), serial };
        evenkeel_module::Device::new(kind, identity, self.address)
    }

    /// The sensor's reading of the true current, as a fraction of full scale.
    fn current(&mut self, full_scale_a: u16) -> f64 {
        let noise_a = self.spec.noise_a * self.noise.normal();
        let read_a = self.amps * self.spec.gain + self.spec.offset_a + noise_a;
        read_a / f64::from(full_scale_a)
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

impl DeviceHardware for Board {
    /// Truth changes slowly: its value at the window's end is the mean.
    fn begin_window(&mut self) {}

    fn end_window(&mut self, analog: &mut [i16]) {
        for (channel, value) in analog.iter_mut().enumerate() {
            let fraction = match self.spec.kind.full_scale_a() {
                Some(full_scale_a) => self.current(full_scale_a),
                None => self.analog[channel],
            };
            // `as` saturates; a converter does too.
            let measured = (fraction * f64::from(FULL_SCALE)).round() as i16;
            *value = if self.faults.sensor_fault { NO_VALUE } else { measured.max(-i16::MAX) };
        }
    }

    fn inputs(&mut self) -> u16 {
        let feedback = self.spec.kind == DeviceKind::Aux && self.breaker_open;
        self.contacts | if feedback { BREAKER_OPEN } else { 0 }
    }

    fn feed(&mut self, ends: Ends) {
        self.ends = ends;
    }

    fn is_loop_closed(&mut self) -> bool {
        self.loop_closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Bus;
    use crate::module::{Sense, Sensed};
    use evenkeel_core::bus::wire::{Decoder, FRAME_MAX, Io, IoFlags, Outputs, Reply};

    const BAUD: u32 = 115_200;

    /// A string with a breaker that latches.
    #[derive(Default)]
    struct Breaker {
        open: bool,
    }

    impl Sense for Breaker {
        fn sense(&self, _module: usize) -> Sensed {
            Sensed::DISCONNECTED
        }
    }

    impl DevicePlant for Breaker {
        fn string_amps(&self, _string: usize) -> f64 {
            if self.open { 0.0 } else { -25.0 }
        }
        fn breaker_is_open(&self, _string: usize) -> bool {
            self.open
        }
        fn command_breaker(&mut self, _string: usize, trip: bool) {
            self.open |= trip;
        }
    }

    fn device(address: u16, kind: DeviceKind) -> Device {
        let spec = DeviceSpec {
            address,
            kind,
            serial: address.into(),
            string: 0,
            offset_a: 0.5,
            gain: 1.1,
            noise_a: 0.0,
            clock: 1.0,
            char_time: CharTime::at(BAUD),
        };
        Device::new(spec, Noise::new(1, address.into()))
    }

    /// Send a request at `at` and let 50 ms pass; the replies.
    fn ask(bus: &mut Bus, plant: &mut Breaker, at: Nanos, request: &Request<'_>) -> Vec<Reply> {
        let mut frame = [0; FRAME_MAX];
        let len = request.encode(&mut frame);
        bus.transmit(at, &frame[..len]);
        for ms in 0..50 {
            let now = at + Nanos::from_millis(ms);
            bus.tick(now, plant);
            bus.deliver(now);
            let commands: Vec<_> = bus.breaker_commands().collect();
            commands.into_iter().for_each(|(string, trip)| plant.command_breaker(string, trip));
        }
        let mut decoder = Decoder::default();
        let bytes = bus.receive();
        bytes.iter().filter_map(|b| Reply::parse(&decoder.push(*b)?.ok()?).ok()).collect()
    }

    fn read(bus: &mut Bus, plant: &mut Breaker, at: Nanos, first: u16) -> Option<Io> {
        ask(bus, plant, at, &Request::Sample { sample: 1, window_ms: 20 });
        let request = Request::ReadIo { first, count: 1, channels: 1 };
        match ask(bus, plant, at + Nanos::from_millis(50), &request)[..] {
            [Reply::Io { io, .. }] => Some(io),
            _ => None,
        }
    }

    #[test]
    fn a_trip_opens_the_breaker_and_its_feedback_and_current_show_it() {
        let devices = vec![device(1_025, DeviceKind::Current50), device(1_026, DeviceKind::Aux)];
        let mut bus = Bus::new(BAUD, Vec::new(), Noise::new(1, 1)).with_devices(devices);
        let mut plant = Breaker::default();
        let mut second = 0;
        let mut state = |bus: &mut Bus, plant: &mut Breaker| {
            second += 1;
            let current = read(bus, plant, Nanos::from_secs(second), 1_025).expect("read");
            let aux = read(bus, plant, Nanos::from_millis(1_000 * second + 500), 1_026);
            let aux = aux.expect("read");
            (
                current.fraction(0).map(|f| (f * 50e3).round()),
                aux.inputs,
                aux.flags.has(IoFlags::RESET),
            )
        };
        // 25 A out of the batteries, read 10 % too high and 0.5 A off; in mA.
        assert_eq!(state(&mut bus, &mut plant), (Some(-27_000.0), 0, true));
        let outputs = Outputs { on: TRIP, keep: 0 };
        let trip = Request::Outputs { address: 1_026, outputs, hold_ds: 30 };
        ask(&mut bus, &mut plant, Nanos::from_millis(1_900), &trip);
        let switched_ms = bus.device_mut(1_026).expect("a device").switched().as_millis();
        assert!((1_901..1_905).contains(&switched_ms), "{switched_ms}");
        assert_eq!(state(&mut bus, &mut plant), (Some(500.0), BREAKER_OPEN, false));
    }

    #[test]
    fn nothing_sampled_is_nothing_to_say() {
        let devices = vec![device(1_200, DeviceKind::Site)];
        let mut bus = Bus::new(BAUD, Vec::new(), Noise::new(1, 1)).with_devices(devices);
        let mut plant = Breaker::default();
        let request = Request::ReadIo { first: 1_200, count: 1, channels: 8 };
        assert_eq!(ask(&mut bus, &mut plant, Nanos(0), &request), []);
        bus.device_mut(1_200).expect("a device").set_analog(0, 0.25);
        bus.device_mut(1_200).expect("a device").set_contacts(0x1FF);
        let io = read(&mut bus, &mut plant, Nanos::from_secs(1), 1_200).expect("read");
        assert_eq!((io.channels, io.fraction(0), io.inputs), (1, Some(0.25), 0xFF));
    }
}
