//! A device that is no block module: current sensor, inputs and relays, panel
//! (rules 13 … 15).

use crate::station::{Answer, Micros, Station, StationHardware};
use evenkeel_wire::{
    CHANNELS_MAX, DEVICE_MAX, DEVICE_MIN, Decoder, DeviceKind, Ends, Identity, Io, IoFlags, Reply,
    Request, io_slot_chars, panel,
};

/// How long a press of the mute button is shown at least.
const PRESS_SHOWN: Micros = 2_000_000;

/// What the board of a device does.
pub trait DeviceHardware: StationHardware {
    /// Begin to integrate the analog channels.
    fn begin_window(&mut self);
    /// End it and tell the means: fractions of
    /// [`FULL_SCALE`](evenkeel_wire::FULL_SCALE), or
    /// [`NO_VALUE`](evenkeel_wire::NO_VALUE).
    fn end_window(&mut self, analog: &mut [i16]);
    /// Digital inputs now, bit set = contact closed. A panel's mute button is
    /// debounced.
    fn inputs(&mut self) -> u16;
    /// Panel: feed these ends of the ring.
    fn feed(&mut self, ends: Ends);
    /// Panel: what is sent into one end of the ring arrives at the other.
    fn is_loop_closed(&mut self) -> bool;
}

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    decoder: Decoder,
    core: Core,
}

#[derive(Clone, Debug)]
struct Core {
    kind: DeviceKind,
    station: Station,
    outputs: u16,
    keep: u16,
    hold_until: Option<Micros>,
    since_reset: bool,
    hold_expired: bool,
    /// Sample number and end of the window.
    window: Option<(u8, Micros)>,
    kept: Option<Io>,
    ends: Ends,
    feed_until: Option<Micros>,
    /// The mute button counts as pressed until then: a short press reaches
    /// the appliance even when a scan is lost.
    mute_until: Option<Micros>,
}

impl Device {
    /// A device that has just got power, with the address that its memory
    /// holds. Its type code is the kind's.
    #[must_use]
    pub fn new(kind: DeviceKind, identity: Identity, address: u16) -> Self {
        let identity = Identity { type_code: kind.code(), ..identity };
        let core = Core {
            kind,
            station: Station::new(identity, address, DEVICE_MIN..=DEVICE_MAX),
            outputs: 0,
            keep: 0,
            hold_until: None,
            since_reset: true,
            hold_expired: false,
            window: None,
            kept: None,
            ends: Ends::Both,
            feed_until: None,
            mute_until: None,
        };
        Self { decoder: Decoder::default(), core }
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> DeviceKind {
        self.core.kind
    }

    /// Identity and address.
    #[must_use]
    pub const fn station(&self) -> &Station {
        &self.core.station
    }

    /// What the outputs shall be now, bit set = on.
    #[must_use]
    pub const fn outputs(&self) -> u16 {
        self.core.outputs
    }

    /// Take a byte whose stop bit ended at `now`.
    pub fn hear(
        &mut self,
        now: Micros,
        byte: u8,
        hardware: &mut impl DeviceHardware,
    ) -> Option<Answer<'_>> {
        let frame = self.decoder.push(byte)?.ok()?;
        self.core.handle(now, &Request::parse(&frame).ok()?, hardware)
    }

    /// Take a request whose last stop bit ended at `now`, for a board whose
    /// receiver checks frames by itself.
    pub fn handle(
        &mut self,
        now: Micros,
        request: &Request<'_>,
        hardware: &mut impl DeviceHardware,
    ) -> Option<Answer<'_>> {
        self.core.handle(now, request, hardware)
    }

    /// Forget a half-received frame, for a board that knows the line was idle.
    pub fn line_idle(&mut self) {
        self.decoder.reset();
    }

    /// Let time pass until `now`. Must be called no later than
    /// [`Self::next_timer`].
    pub fn tick(&mut self, now: Micros, hardware: &mut impl DeviceHardware) {
        self.core.tick(now, hardware);
    }

    /// When the device next does something by itself.
    #[must_use]
    pub fn next_timer(&self) -> Option<Micros> {
        let core = &self.core;
        let window = core.window.map(|(_, until)| until);
        [window, core.hold_until, core.feed_until, core.station.next_timer()]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Core {
    fn handle(
        &mut self,
        now: Micros,
        request: &Request<'_>,
        hardware: &mut impl DeviceHardware,
    ) -> Option<Answer<'_>> {
        match *request {
            Request::Sample { sample, window_ms } => {
                self.window = Some((sample, now.saturating_add(u64::from(window_ms) * 1_000)));
                hardware.begin_window();
                None
            }
            Request::ReadIo { first, count, channels } => {
                let place = self.station.place(first, count.into())?;
                let mut io = self.kept?; // rule 13: nothing sampled, silent
                io.channels = io.channels.min(channels);
                io.analog[io.channels.into()..].fill(0);
                let reply = Reply::Io { address: self.station.address(), io };
                Some(self.station.answer(place, io_slot_chars(channels), &reply))
            }
            Request::Outputs { address, outputs, hold_ds } => {
                self.station.place(address, 1)?;
                self.outputs = outputs.on & self.kind.output_mask();
                self.keep = outputs.keep;
                self.hold_until = Some(now.saturating_add(u64::from(hold_ds) * 100_000));
                self.since_reset = false;
                self.hold_expired = false;
                None
            }
            Request::Feed { address, ends, hold_ds } if self.kind == DeviceKind::Panel => {
                self.station.place(address, 1)?;
                self.ends = ends;
                self.feed_until = Some(now.saturating_add(u64::from(hold_ds) * 100_000));
                hardware.feed(ends);
                None
            }
            _ => self.station.handle(now, request, hardware),
        }
    }

    fn tick(&mut self, now: Micros, hardware: &mut impl DeviceHardware) {
        self.station.tick(now, hardware);
        if self.kind == DeviceKind::Panel && hardware.inputs() & panel::MUTE != 0 {
            self.mute_until = Some(now.saturating_add(PRESS_SHOWN));
        }
        self.mute_until.take_if(|until| *until <= now);
        if self.hold_until.take_if(|until| *until <= now).is_some() {
            self.outputs &= self.keep;
            self.hold_expired = true;
        }
        if self.feed_until.take_if(|until| *until <= now).is_some() {
            self.ends = Ends::Both;
            hardware.feed(Ends::Both);
        }
        if let Some((sample, _)) = self.window.take_if(|(_, until)| *until <= now) {
            self.kept = Some(self.io(sample, hardware));
        }
    }

    fn io(&mut self, sample: u8, hardware: &mut impl DeviceHardware) -> Io {
        let mut analog = [0; CHANNELS_MAX];
        let channels = self.kind.channels();
        hardware.end_window(&mut analog[..channels.into()]);
        let inputs = match self.kind {
            DeviceKind::Panel => u16::from(self.mute_until.is_some()) * panel::MUTE,
            _ => hardware.inputs() & ((1 << self.kind.inputs()) - 1),
        };
        let is_panel = self.kind == DeviceKind::Panel;
        let states = [
            (IoFlags::RESET, self.since_reset),
            (IoFlags::HOLD_EXPIRED, self.hold_expired),
            (IoFlags::LOOP_OPEN, is_panel && !hardware.is_loop_closed()),
            (IoFlags::ONE_END, self.ends != Ends::Both),
            (IoFlags::BUTTON, self.station.is_button_down()),
        ];
        let set = states.into_iter().filter(|(_, set)| *set);
        let flags = set.fold(IoFlags::default(), |f, (bit, _)| f.with(bit));
        Io { sample, inputs, outputs: self.outputs, flags, channels, analog }
    }
}
