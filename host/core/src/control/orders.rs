//! What people order.

use super::pause::UserPause;
use super::{Control, StringControl};
use crate::bus::wire::DEVICE_MAX;
use crate::command::{Commission, LOCATE_MAX_S, Order, PAUSE_MAX_S, Refusal, SIGNAL_MAX_S};
use crate::protect::{Hands, Signal};
use crate::settings::ChannelIndex;
use crate::time::Nanos;

impl Control {
    /// Carry out what a person ordered.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub fn order(&mut self, order: Order, now: Nanos, wall_s: Option<u64>) -> Result<(), Refusal> {
        match order {
            Order::Pause { string, seconds } => {
                range("a pause in seconds", seconds, 1, PAUSE_MAX_S)?;
                let string = self.string(string)?;
                self.strings[string].pause = UserPause::begin(seconds, now, wall_s);
            }
            Order::Resume { string } => {
                let string = self.string(string)?;
                self.strings[string].pause = UserPause::default();
            }
            Order::Reset { string } => {
                let string = self.string(string)?;
                if self.strings[string].protection.report().trip.is_none() {
                    return Err(Refusal::NotNow("this string is not tripped"));
                }
                self.strings[string].reset = true;
            }
            Order::Mute => self.hands.mute = true,
            Order::AlarmRelay { healthy } => {
                self.hands = Hands { open_relay: !healthy, close_relay: healthy, ..self.hands };
            }
            Order::Signal { tone, lamp, seconds } => {
                range("a signal's time in seconds", seconds.into(), 0, SIGNAL_MAX_S.into())?;
                self.hands.signal = Some(Signal { tone, lamp, seconds });
            }
            Order::Output { device, output, on } => self.output(device, output, on)?,
            Order::Locate { bus, address, seconds } => {
                range("a lamp's time in seconds", seconds.into(), 0, LOCATE_MAX_S.into())?;
                range("a lamp's bus address", address.into(), 1, DEVICE_MAX.into())?;
                self.bus(bus)?.errands.locate(address, seconds);
            }
            Order::Measure { string: number, block } => {
                let string = self.string(number)?;
                let index = usize::from(block).checked_sub(1);
                let index = index.filter(|i| *i < self.strings[string].len());
                let index = index.ok_or(Refusal::NoBlock(number, block))?;
                self.strings[string].wanted = Some(index);
            }
            Order::Test { string } => self.start_test(string, now, wall_s)?,
            Order::StopTest { string } => {
                let string = self.string(string)?;
                let test = self.tests.iter_mut().find(|t| t.owns(string));
                test.ok_or(Refusal::NotNow("this string has no battery test"))?.stop();
            }
            Order::Commission(commission) => self.commission(commission)?,
            Order::MakeWay { despite_alarm } => self.make_way(despite_alarm)?,
            // Answered by the reader of the recorders, see `Control::rows`.
            Order::Rows { string, .. } => return Err(Refusal::NoRecord(string)),
        }
        Ok(())
    }

    /// Rows of the discharge record of a string (from 1), from row `from` on,
    /// encoded into `out`; returns their length.
    ///
    /// # Errors
    /// [`Refusal::NoRecord`] when there is none.
    pub fn rows(&self, string: u16, from: u32, out: &mut [u8]) -> Result<usize, Refusal> {
        let index = self.string(string)?;
        let recorder = &self.strings[index].recorder;
        recorder.record().ok_or(Refusal::NoRecord(string))?;
        let chunk = recorder.chunk(from as usize, out.len());
        let bytes = postcard::to_slice(&chunk, out).map_err(|_| Refusal::NoRecord(string))?;
        Ok(bytes.len())
    }

    /// Whether other settings may take the place of these: measuring and
    /// protection outrank them. What says no more than that something of the
    /// settings does not answer speaks for new ones, not against them.
    fn make_way(&self, despite_alarm: bool) -> Result<(), Refusal> {
        let no = |why| Err(Refusal::NotNow(why));
        if self.strings.iter().any(StringControl::is_discharging) {
            return no("a battery is being discharged; wait until it is over");
        }
        if (0..self.strings.len()).any(|s| self.tests.iter().any(|test| test.runs_on(s))) {
            return no("a battery test is under way; end it, or wait until it is over");
        }
        let reports = || self.strings.iter().map(|s| s.protection.report());
        if reports().any(|report| report.trip.is_some()) {
            return no("a string is tripped; see to its cause and reset it first");
        }
        if self.buses.iter().any(|bus| bus.errands.is_busy()) {
            return no("work on a bus is under way; end it, or wait until it is over");
        }
        let mut alarms = reports().map(|report| report.all.alarm.of_batteries());
        if !despite_alarm && alarms.any(|alarms| !alarms.is_empty()) {
            return no("a battery has an alarm; see to it first");
        }
        Ok(())
    }

    fn string(&self, number: u16) -> Result<usize, Refusal> {
        let count = self.strings.len();
        let index = usize::from(number).checked_sub(1).filter(|i| *i < count);
        index.ok_or(Refusal::NoString(number, count as u16))
    }

    fn bus(&mut self, number: u8) -> Result<&mut super::Bus, Refusal> {
        let index = usize::from(number).checked_sub(1);
        index.and_then(|i| self.buses.get_mut(i)).ok_or(Refusal::NoBus(number))
    }

    fn output(&mut self, device: u16, output: u8, on: bool) -> Result<(), Refusal> {
        let none = Refusal::NoOutput(device, output);
        let index = usize::from(device).checked_sub(1).ok_or(none)?;
        let channel = ChannelIndex { device: index, channel: output.checked_sub(1).ok_or(none)? };
        match self.devices.free(channel) {
            None => Err(none),
            Some(false) => Err(Refusal::Reserved(device, output)),
            Some(true) => {
                self.devices.set(channel, on);
                Ok(())
            }
        }
    }

    fn commission(&mut self, commission: Commission) -> Result<(), Refusal> {
        match commission {
            Commission::Discover { bus } => self.bus(bus)?.errands.discover(),
            Commission::Address { bus, first, count } => self.address(bus, first, count)?,
            Commission::Swap { bus, address } => self.address(bus, address, 1)?,
            Commission::LocateBreak { bus } => {
                if !self.bus(bus)?.errands.locate_break() {
                    return Err(Refusal::NotNow(
                        "only a ring is asked from both ends; of a line the silent end tells",
                    ));
                }
            }
            Commission::Stop { bus } => self.bus(bus)?.errands.stop(),
        }
        Ok(())
    }

    fn address(&mut self, bus: u8, first: u16, count: u16) -> Result<(), Refusal> {
        match self.bus(bus)?.errands.address(first, count) {
            true => Ok(()),
            false => {
                Err(Refusal::NotNow("these addresses are not all in the settings of this bus"))
            }
        }
    }

    fn start_test(&mut self, number: u16, now: Nanos, wall_s: Option<u64>) -> Result<(), Refusal> {
        let string = self.string(number)?;
        let test = self.tests.iter_mut().find(|t| t.owns(string));
        let test = test.ok_or(Refusal::NotNow("this string has no battery test"))?;
        if !test.has_actuator() {
            return Err(Refusal::NotNow("no relay is configured to start the test"));
        }
        test.start(&self.strings, &self.devices, now, wall_s)
            .map_err(|hold| Refusal::NotNow(hold.reason.text()))
    }
}

/// A number is within its range.
fn range(what: &'static str, got: u32, low: u32, high: u32) -> Result<(), Refusal> {
    if (low..=high).contains(&got) { Ok(()) } else { Err(Refusal::Range { what, low, high, got }) }
}
