//! The board of a device that is no block module: what the reference firmware
//! ([`evenkeel_module`]) measures and switches, and what may be broken.

use crate::line::CharTime;
use crate::module::{Scheduled, micros, nanos};
use crate::noise::Noise;
use evenkeel_core::bus::wire::{DeviceKind, Ends, FULL_SCALE, Identity, Led, NO_VALUE};
use evenkeel_core::time::Nanos;
use evenkeel_module::{DeviceHardware, StationHardware};

/// Relay of an AUX that trips its string's breaker.
pub const TRIP: u16 = 0x01;
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
        Self { firmware: board.boot(), board }
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

    /// Break or mend it, or press its address button.
    pub fn faults_mut(&mut self) -> &mut DeviceFaults {
        &mut self.board.faults
    }

    /// Close these contacts at its inputs; a panel's mute button is the first.
    pub fn set_contacts(&mut self, contacts: u16) {
        self.board.contacts = contacts;
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
        let answer = self.firmware.hear(micros(at), byte, &mut self.board)?;
        let Board { spec, noise, faults, .. } = &mut self.board;
        let garbled = noise.chance(faults.garble_chance);
        Some(Scheduled::of(&answer, at, spec.char_time, spec.clock, garbled.then_some(noise)))
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
    }

    /// When the device next does something by itself.
    #[must_use]
    pub fn next_timer(&self) -> Option<Nanos> {
        self.firmware.next_timer().map(nanos)
    }
}

impl Board {
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
