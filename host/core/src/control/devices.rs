//! Sensors, contacts and relays: which device and channel stands for what,
//! what they read, and what their outputs shall be.

use super::{Surroundings, survey};
use crate::bus::master::Master;
use crate::bus::wire::{DeviceKind, Outputs, panel};
use crate::image::DeviceRecord;
use crate::points::Quality;
use crate::protect::{Annunciation, Contact, Drive, Relays};
use crate::settings::{ChannelIndex, DeviceSettings, GuardSettings, StringSettings, Use, find};
use crate::time::Nanos;

/// A device that has not been read for so long is lost.
const LOST_AFTER: Nanos = Nanos::from_secs(10);

/// All devices of all buses.
pub struct Devices {
    settings: Vec<DeviceSettings>,
    /// Bus (from 0) and index in its master's list.
    places: Vec<(usize, usize)>,
    records: Vec<DeviceRecord>,
    outputs: Vec<Outputs>,
    /// Outputs that breakers, tests and the panel use, as bits.
    reserved: Vec<u16>,
    strings: Vec<Wiring>,
    started: Option<Nanos>,
    now: Nanos,
}

/// What the channels mean to a string.
struct Wiring {
    current: Option<usize>,
    voltage: Option<ChannelIndex>,
    ambient: Option<ChannelIndex>,
    ground: Option<ChannelIndex>,
    breaker: Option<Breaker>,
}

#[derive(Clone, Copy)]
struct Breaker {
    relay: ChannelIndex,
    input: Option<ChannelIndex>,
    contact: Contact,
    escalation: Option<ChannelIndex>,
}

impl Devices {
    /// For checked settings.
    pub fn new(settings: &GuardSettings) -> Self {
        let devices = &settings.devices;
        let place = |device: &DeviceSettings| {
            let bus = usize::from(device.bus) - 1;
            let own = settings.devices_of(bus);
            (bus, own.iter().position(|(a, _)| *a == device.address).unwrap_or(usize::MAX))
        };
        let record = |device: &DeviceSettings| DeviceRecord {
            bus: device.bus,
            address: device.address,
            type_code: device.kind.code(),
            quality: Quality::Bad,
            wrong_kind: false,
            read: Nanos(0),
            serial: 0,
            inputs: 0,
            outputs: 0,
            commanded: 0,
            values: [f32::NAN; 8],
        };
        let mut this = Self {
            places: devices.iter().map(place).collect(),
            records: devices.iter().map(record).collect(),
            outputs: vec![Outputs::default(); devices.len()],
            reserved: vec![0; devices.len()],
            strings: settings.strings.iter().map(|s| Wiring::new(s, devices)).collect(),
            settings: devices.clone(),
            started: None,
            now: Nanos(0),
        };
        this.reserve(settings);
        this
    }

    /// Take over what the masters have read.
    pub fn look(&mut self, masters: &[Master], now: Nanos, fresh: Nanos) {
        self.now = now;
        self.started = self.started.or(Some(now));
        let places = self.places.iter().zip(&self.settings).zip(&mut self.records);
        for (((bus, index), settings), record) in places {
            let device = masters.get(*bus).and_then(|m| m.devices().get(*index));
            if let Some(device) = device {
                survey::device(device, settings, now, fresh, record);
            }
        }
    }

    /// What the devices say about a string (from 0).
    pub fn around(&self, string: usize) -> Surroundings {
        let Some(wiring) = self.strings.get(string) else { return Surroundings::default() };
        let current = wiring.current.map(|device| ChannelIndex { device, channel: 0 });
        let analog = |channel: Option<ChannelIndex>| channel.and_then(|c| self.analog(c));
        let input = wiring.breaker.and_then(|b| Some((b, self.input(b.input?)?)));
        Surroundings {
            current_a: analog(current),
            voltage_v: analog(wiring.voltage),
            ambient_c: analog(wiring.ambient),
            ground_a: analog(wiring.ground),
            breaker_open: input.map(|(breaker, made)| breaker.contact.is_open(made)),
            ..Surroundings::default()
        }
    }

    /// A digital input; `None` when it was not read lately.
    pub fn input(&self, channel: ChannelIndex) -> Option<bool> {
        let record = self.good(channel.device)?;
        Some(record.inputs & bit(channel) != 0)
    }

    /// Switch an output.
    pub fn set(&mut self, channel: ChannelIndex, on: bool) {
        if let Some(outputs) = self.outputs.get_mut(channel.device) {
            outputs.on &= !bit(channel);
            outputs.on |= if on { bit(channel) } else { 0 };
        }
    }

    /// Whether a person may switch this output: it exists and is free.
    pub fn free(&self, channel: ChannelIndex) -> Option<bool> {
        let settings = self.settings.get(channel.device)?;
        let exists = channel.channel < settings.kind.outputs();
        exists.then(|| self.reserved[channel.device] & bit(channel) == 0)
    }

    /// Drive the relays of a string's breaker.
    pub fn set_breaker(&mut self, string: usize, relays: Relays) {
        let Some(breaker) = self.strings.get(string).and_then(|w| w.breaker) else { return };
        self.set(breaker.relay, relays.trip);
        if let Some(escalation) = breaker.escalation {
            self.set(escalation, relays.escalation);
        }
    }

    /// Drive alarm relay, buzzer and lamps of every panel.
    pub fn show(&mut self, annunciation: Annunciation) {
        let Annunciation { relay, buzzer, red, green } = annunciation;
        let bits = [
            (panel::ALARM_RELAY, relay),
            (panel::BUZZER, buzzer),
            (panel::RED, red),
            (panel::GREEN, green),
        ];
        let on = bits.iter().filter(|(_, on)| *on).fold(0, |all, (bit, _)| all | bit);
        let panels = self.settings.iter().zip(&mut self.outputs);
        panels
            .filter(|(s, _)| s.kind == DeviceKind::Panel)
            .for_each(|(_, outputs)| outputs.on = on);
    }

    /// Give the masters all outputs.
    pub fn command(&mut self, masters: &mut [Master]) {
        let all = self.places.iter().zip(&self.outputs).zip(&mut self.records);
        for (((bus, index), outputs), record) in all {
            record.commanded = outputs.on;
            if let Some(master) = masters.get_mut(*bus) {
                master.set_outputs(*index, *outputs);
            }
        }
    }

    /// A device has not been read for long, or is none of those configured.
    pub fn is_any_lost(&self) -> bool {
        let started = self.started.unwrap_or(self.now);
        self.records.iter().any(|record| {
            record.wrong_kind || self.now.since(record.read.max(started)) > LOST_AFTER
        })
    }

    /// The mute button of a panel was pressed.
    pub fn is_mute_pressed(&self) -> bool {
        let panels = self.settings.iter().enumerate();
        panels
            .filter(|(_, s)| s.kind == DeviceKind::Panel)
            .any(|(i, _)| self.good(i).is_some_and(|record| record.inputs & panel::MUTE != 0))
    }

    /// For the image.
    pub fn records(&self) -> &[DeviceRecord] {
        &self.records
    }

    fn analog(&self, channel: ChannelIndex) -> Option<f64> {
        let value = *self.good(channel.device)?.values.get(usize::from(channel.channel))?;
        value.is_finite().then_some(f64::from(value))
    }

    fn good(&self, device: usize) -> Option<&DeviceRecord> {
        self.records.get(device).filter(|record| record.quality == Quality::Good)
    }

    /// Outputs that are spoken for, and those that must stay as they are while
    /// nobody commands them: whatever a person switched, and relays that hold
    /// a breaker open.
    fn reserve(&mut self, settings: &GuardSettings) {
        for (i, device) in settings.devices.iter().enumerate() {
            let panel = device.kind == DeviceKind::Panel;
            self.reserved[i] = if panel { device.kind.output_mask() } else { 0 };
        }
        for (_, channel) in settings.relays_in_use() {
            if let Ok(index) = find(&settings.devices, "", channel, Use::Output) {
                self.reserved[index.device] |= bit(index);
            }
        }
        for (i, device) in settings.devices.iter().enumerate() {
            self.outputs[i].keep = device.kind.output_mask() & !self.reserved[i];
        }
        for string in &settings.strings {
            let Some(breaker) = string.breaker.as_ref().filter(|b| b.drive == Drive::Hold) else {
                continue;
            };
            if let Ok(index) = find(&settings.devices, "", &breaker.relay, Use::Output) {
                self.outputs[index.device].keep |= bit(index);
            }
        }
    }
}

impl Wiring {
    fn new(string: &StringSettings, devices: &[DeviceSettings]) -> Self {
        let channel = |channel: Option<&_>, usage| {
            channel.and_then(|channel| find(devices, "", channel, usage).ok())
        };
        let sensor = string.current_sensor.as_ref();
        Self {
            current: sensor.and_then(|name| devices.iter().position(|d| d.name == *name)),
            voltage: channel(string.voltage.as_ref(), Use::Analog),
            ambient: channel(string.ambient.as_ref(), Use::Analog),
            ground: channel(string.ground.as_ref(), Use::Analog),
            breaker: string.breaker.as_ref().and_then(|breaker| {
                Some(Breaker {
                    relay: channel(Some(&breaker.relay), Use::Output)?,
                    input: channel(breaker.input.as_ref(), Use::Input),
                    contact: breaker.contact,
                    escalation: channel(breaker.escalation_relay.as_ref(), Use::Output),
                })
            }),
        }
    }
}

const fn bit(channel: ChannelIndex) -> u16 {
    1 << (channel.channel & 0xF)
}
