//! A block module: measures, bypasses, measures resistance (rules 1 … 8).

use crate::station::{Answer, Micros, Station, StationHardware};
use evenkeel_wire::{
    ADDRESS_MAX, Decoder, Duty, Flags, Identity, READING_SLOT_CHARS, RESISTANCE_SLOT_CHARS,
    Reading, Reply, Request, Resistance,
};

/// The duty falls linearly between these heat-sink temperatures, 0.1 °C.
const DERATE_FROM_DC: i16 = 600;
const DERATE_TO_DC: i16 = 750;
/// How long the block is excited for a resistance, windows not counted (rule 8).
const MEASURE_TIME: Micros = 2_000_000;

/// What a window brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Block voltage, mV.
    pub voltage_mv: u16,
    /// Temperature of the block, 0.1 °C; `None` when the sensor is broken.
    pub temperature_dc: Option<i16>,
    /// The temperature comes from the external sensor.
    pub external_sensor: bool,
}

/// What the board of a block module does.
pub trait ModuleHardware: StationHardware {
    /// Begin to integrate voltage and temperature.
    fn begin_window(&mut self);
    /// End it and tell the means.
    fn end_window(&mut self) -> Measured;
    /// Block voltage now, mV, for the floor: precision does not matter.
    fn block_mv(&mut self) -> u16;
    /// Temperature of the bypass's heat sink, 0.1 °C.
    fn sink_dc(&mut self) -> i16;
    /// Excite the block for a resistance measurement, or pause.
    fn excite(&mut self, on: bool);
    /// Evaluate what the excitation brought, µΩ; `None` when it is no value.
    fn resistance_uohm(&mut self) -> Option<u32>;
}

/// What the type of a module fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleConfig {
    /// Who it is.
    pub identity: Identity,
    /// Block voltage below which no bypass is on: 2,100 mV per lead cell.
    pub floor_mv: u16,
}

/// A block module.
#[derive(Clone, Debug)]
pub struct Module {
    decoder: Decoder,
    core: Core,
}

/// Everything but the decoder, which lends the frame that is handled.
#[derive(Clone, Debug)]
struct Core {
    config: ModuleConfig,
    station: Station,
    block_mv: u16,
    sink_dc: i16,
    held: Option<Held>,
    since_reset: bool,
    hold_expired: bool,
    window: Option<Window>,
    kept: Option<Reading>,
    resistance: Resistance,
    /// Excitation that is still to come, and when it was last counted.
    excitation: Option<(Micros, Micros)>,
}

/// The last duty and how long it is good.
#[derive(Clone, Copy, Debug)]
struct Held {
    duty: Duty,
    until: Micros,
}

/// A sample being taken.
#[derive(Clone, Copy, Debug)]
struct Window {
    sample: u8,
    until: Micros,
    duty_before: Duty,
}

impl Module {
    /// A module that has just got power (rule 1), with the address that its
    /// memory holds.
    #[must_use]
    pub fn new(config: ModuleConfig, address: u16) -> Self {
        let core = Core {
            config,
            station: Station::new(config.identity, address, 1..=ADDRESS_MAX),
            block_mv: u16::MAX,
            sink_dc: 0,
            held: None,
            since_reset: true,
            hold_expired: false,
            window: None,
            kept: None,
            resistance: Resistance::None,
            excitation: None,
        };
        Self { decoder: Decoder::default(), core }
    }

    /// Identity and address.
    #[must_use]
    pub const fn station(&self) -> &Station {
        &self.core.station
    }

    /// Take a byte whose stop bit ended at `now`.
    pub fn hear(
        &mut self,
        now: Micros,
        byte: u8,
        hardware: &mut impl ModuleHardware,
    ) -> Option<Answer<'_>> {
        // Rule 7: whatever is not a valid request is ignored.
        let frame = self.decoder.push(byte)?.ok()?;
        self.core.handle(now, &Request::parse(&frame).ok()?, hardware)
    }

    /// Take a request whose last stop bit ended at `now`, for a board whose
    /// receiver checks frames by itself.
    pub fn handle(
        &mut self,
        now: Micros,
        request: &Request<'_>,
        hardware: &mut impl ModuleHardware,
    ) -> Option<Answer<'_>> {
        self.core.handle(now, request, hardware)
    }

    /// Forget a half-received frame, for a board that knows the line was idle.
    pub fn line_idle(&mut self) {
        self.decoder.reset();
    }

    /// Let time pass until `now`. Must be called no later than
    /// [`Self::next_timer`].
    pub fn tick(&mut self, now: Micros, hardware: &mut impl ModuleHardware) {
        self.core.tick(now, hardware);
    }

    /// When the module next does something by itself.
    #[must_use]
    pub fn next_timer(&self) -> Option<Micros> {
        let core = &self.core;
        let window = core.window.map(|w| w.until);
        let hold = core.held.map(|h| h.until);
        let excited = core.excitation.filter(|_| core.window.is_none());
        let excited = excited.map(|(left, at)| at.saturating_add(left));
        [window, hold, excited, core.station.next_timer()].into_iter().flatten().min()
    }

    /// What the bypass shall be now.
    #[must_use]
    pub fn duty(&self) -> Duty {
        self.core.duty()
    }
}

impl Core {
    fn handle(
        &mut self,
        now: Micros,
        request: &Request<'_>,
        hardware: &mut impl ModuleHardware,
    ) -> Option<Answer<'_>> {
        match *request {
            Request::Sample { sample, window_ms } => {
                let duty_before = self.duty();
                self.pause_excitation(now, hardware);
                let until = now.saturating_add(u64::from(window_ms) * 1_000);
                self.window = Some(Window { sample, until, duty_before });
                hardware.begin_window();
                None
            }
            Request::Read { first, count } => {
                let place = self.station.place(first, count.into())?;
                let reading = self.kept?; // rule 3: nothing sampled, silent
                let reply = Reply::Reading { address: self.station.address(), reading };
                Some(self.station.answer(place, READING_SLOT_CHARS, &reply))
            }
            Request::Duties { first, hold_ds, ref duties } => {
                let duty = duties.get(self.station.place(first, duties.len())?)?;
                let until = now.saturating_add(u64::from(hold_ds) * 100_000);
                self.held = Some(Held { duty, until });
                self.since_reset = false;
                self.hold_expired = false;
                None
            }
            Request::Measure { address, start } => {
                self.station.place(address, 1)?;
                if start && self.excitation.is_none() {
                    self.resistance = Resistance::Measuring;
                    self.excitation = Some((MEASURE_TIME, now));
                    hardware.excite(self.window.is_none());
                }
                let resistance = self.resistance;
                let reply = Reply::Resistance { address, resistance };
                Some(self.station.answer(0, RESISTANCE_SLOT_CHARS, &reply))
            }
            _ => self.station.handle(now, request, hardware),
        }
    }

    fn tick(&mut self, now: Micros, hardware: &mut impl ModuleHardware) {
        self.station.tick(now, hardware);
        self.block_mv = hardware.block_mv();
        self.sink_dc = hardware.sink_dc();
        if self.held.is_some_and(|h| h.until <= now) {
            self.held = None;
            self.hold_expired = true;
        }
        self.tick_excitation(now, hardware);
        if let Some(window) = self.window.take_if(|w| w.until <= now) {
            self.kept = Some(self.reading(&window, hardware.end_window()));
            self.resume_excitation(now, hardware);
        }
    }

    /// Rule 8: count excitation outside windows only.
    fn tick_excitation(&mut self, now: Micros, hardware: &mut impl ModuleHardware) {
        let Some((left, counted)) = self.excitation.filter(|_| self.window.is_none()) else {
            return;
        };
        let left = left.saturating_sub(now.saturating_sub(counted));
        self.excitation = (left > 0).then_some((left, now));
        if left == 0 {
            hardware.excite(false);
            let result = hardware.resistance_uohm();
            self.resistance = result.map_or(Resistance::Failed, Resistance::Done);
        }
    }

    fn pause_excitation(&mut self, now: Micros, hardware: &mut impl ModuleHardware) {
        self.tick_excitation(now, hardware);
        if self.excitation.is_some() {
            hardware.excite(false);
        }
    }

    fn resume_excitation(&mut self, now: Micros, hardware: &mut impl ModuleHardware) {
        if let Some((_, counted)) = &mut self.excitation {
            *counted = now;
            hardware.excite(true);
        }
    }

    fn reading(&self, window: &Window, measured: Measured) -> Reading {
        Reading {
            sample: window.sample,
            voltage_mv: measured.voltage_mv,
            temperature_dc: measured.temperature_dc.unwrap_or(0),
            // Rounded: 65,535 / 257 = 255.
            duty: ((u32::from(window.duty_before.0) + 128) / 257) as u8,
            flags: self.flags(&measured),
        }
    }

    fn flags(&self, measured: &Measured) -> Flags {
        let states = [
            (Flags::FLOOR, self.below_floor()),
            (Flags::DERATED, self.sink_dc > DERATE_FROM_DC),
            (Flags::HOLD_EXPIRED, self.hold_expired),
            (Flags::RESET, self.since_reset),
            (Flags::EXTERNAL_SENSOR, measured.external_sensor),
            (Flags::SENSOR_FAULT, measured.temperature_dc.is_none()),
            (Flags::BUTTON, self.station.is_button_down()),
            (Flags::MEASURING, self.excitation.is_some()),
        ];
        states.into_iter().filter(|(_, set)| *set).fold(Flags::default(), |f, (bit, _)| f.with(bit))
    }

    /// Rules 2, 4, 5 and 8.
    fn duty(&self) -> Duty {
        match self.held {
            Some(held)
                if self.window.is_none() && self.excitation.is_none() && !self.below_floor() =>
            {
                derated(held.duty, self.sink_dc)
            }
            _ => Duty::OFF,
        }
    }

    const fn below_floor(&self) -> bool {
        self.block_mv < self.config.floor_mv
    }
}

/// Rule 4: less and less from 60 °C to 75 °C.
fn derated(duty: Duty, sink_dc: i16) -> Duty {
    let span = i32::from(DERATE_TO_DC - DERATE_FROM_DC);
    let room = (i32::from(DERATE_TO_DC) - i32::from(sink_dc)).clamp(0, span);
    // At most the duty itself.
    Duty((i32::from(duty.0) * room / span) as u16)
}
