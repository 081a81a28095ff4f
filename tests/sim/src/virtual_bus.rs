//! Bus and plant moving together, in whatever clock the caller owns.
//!
//! The plant is stepped exactly to each instant at which a module acts on it
//! or reads it (a request, the end of a sample, a lapsed duty), and at least
//! every `step` between. A run depends on the traffic alone, never on how
//! often [`VirtualBus::advance`] is called.
//!
//! A test's loop over a master with `poll(now)` and `receive(now, bytes)`:
//! ```text
//! loop {
//!     match master.poll(now) {
//!         Send(bytes) => bus.transmit(now, bytes),
//!         Wait(until) => now = min(until, bus.next_due() or until); bus.advance(now),
//!         Scanned     => read bus.plant(), decide, send duties,
//!     }
//!     master.receive(now, &bus.receive(now));
//! }
//! ```

use crate::bus::Bus;
use crate::device::DevicePlant;
use crate::plant::Plant;
use evenkeel_core::time::Nanos;

/// A bus with its plant.
#[derive(Clone, Debug)]
pub struct VirtualBus {
    bus: Bus,
    plant: Plant,
    step: Nanos,
    plant_at: Nanos,
}

impl VirtualBus {
    /// At time 0. `step` is the longest plant step; at most 0.5 s make sense,
    /// 0.1 s is used live.
    #[must_use]
    pub fn new(mut bus: Bus, plant: Plant, step: Nanos) -> Self {
        bus.tick(Nanos::default(), &plant);
        let step = step.max(Nanos::from_millis(1));
        Self { bus, plant, step, plant_at: Nanos::default() }
    }

    /// The master begins to send `bytes` at `now`, or after what it is still
    /// sending.
    pub fn transmit(&mut self, now: Nanos, bytes: &[u8]) {
        self.advance(now);
        self.bus.transmit(now, bytes);
    }

    /// When something next happens on the line: the earliest time at which
    /// [`Self::receive`] may bring new bytes. `None`: silence until the master
    /// sends.
    #[must_use]
    pub fn next_due(&self) -> Option<Nanos> {
        self.bus.next_event().map(|event| event.at)
    }

    /// Bytes that have arrived for the master by `now`, since the last call.
    pub fn receive(&mut self, now: Nanos) -> Vec<u8> {
        self.advance(now);
        self.bus.receive()
    }

    /// Let everything happen until `to`; earlier than before is a no-op.
    pub fn advance(&mut self, to: Nanos) {
        while let Some(event) = self.bus.next_event().filter(|event| event.at <= to) {
            if event.touches_plant {
                self.step_plant(event.at);
            }
            self.bus.deliver(event.at);
        }
        while self.plant_at + self.step <= to {
            self.step_plant(self.plant_at + self.step);
        }
    }

    /// The truth.
    #[must_use]
    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    /// For mains and room temperature.
    pub fn plant_mut(&mut self) -> &mut Plant {
        &mut self.plant
    }

    /// The modules and their line.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// For faults.
    pub fn bus_mut(&mut self) -> &mut Bus {
        &mut self.bus
    }

    /// True voltages of a string's blocks now, V.
    pub fn true_volts(&self, string: usize) -> impl Iterator<Item = f64> + Clone + '_ {
        self.plant.volts(string)
    }

    /// Bring the plant and the modules to `to`, exactly.
    fn step_plant(&mut self, to: Nanos) {
        loop {
            let next = to.min(self.plant_at + self.step);
            if next > self.plant_at {
                for (number, module) in self.bus.modules().iter().enumerate() {
                    self.plant.set_duty(number, module.duty());
                }
                for (string, trip) in self.bus.breaker_commands() {
                    self.plant.command_breaker(string, trip);
                }
                for (string, on) in self.bus.test_commands() {
                    self.plant.command_test(string, on);
                }
                self.plant.step(next.since(self.plant_at).as_secs_f64());
                self.plant_at = next;
            }
            self.bus.tick(self.plant_at.max(next), &self.plant);
            if next >= to {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use evenkeel_core::bus::wire::{Decoder, Duty, DutyList, FRAME_MAX, Reading, Reply, Request};

    fn wire(request: &Request<'_>) -> Vec<u8> {
        let mut frame = [0; FRAME_MAX];
        let len = request.encode(&mut frame);
        frame[..len].to_vec()
    }

    fn replies(bytes: &[u8]) -> Vec<Option<Reply>> {
        let mut decoder = Decoder::default();
        bytes
            .iter()
            .filter_map(|b| decoder.push(*b).map(|f| f.ok().and_then(|f| Reply::parse(&f).ok())))
            .collect()
    }

    fn demo() -> VirtualBus {
        Scenario::demo().bus(Nanos::from_millis(500)).expect("the demo is valid")
    }

    /// SAMPLE at `at`, READ of 1 … 64 after it: (readings by address, time).
    fn scan(bus: &mut VirtualBus, at: Nanos, count: u8) -> Vec<Option<Reading>> {
        bus.transmit(at, &wire(&Request::Sample { sample: 1, window_ms: 100 }));
        let read = at + Nanos::from_millis(102);
        bus.transmit(read, &wire(&Request::Read { first: 1, count }));
        let bytes = bus.receive(at + Nanos::from_millis(300));
        replies(&bytes)
            .into_iter()
            .map(|reply| match reply {
                Some(Reply::Reading { reading, .. }) => Some(reading),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn burst_of_64_arrives_whole_and_true() {
        let mut bus = demo();
        let readings = scan(&mut bus, Nanos::from_secs(10), 64);
        let truth: Vec<f64> = (0..2).flat_map(|s| bus.true_volts(s).collect::<Vec<_>>()).collect();
        assert_eq!(readings.len(), 64);
        for (reading, volts) in readings.iter().zip(truth) {
            let read_v = f64::from(reading.expect("undisturbed").voltage_mv) / 1e3;
            // The blocks drift a few mV in the 200 ms between.
            assert!((read_v - volts).abs() < 0.010, "{read_v} of {volts}");
        }
    }

    #[test]
    fn duties_move_the_plant_and_lapse() {
        let (mut bus, mut control) = (demo(), demo());
        let duties = [Duty::FULL; 1];
        let request = Request::Duties { first: 40, hold_ds: 100, duties: DutyList::Owned(&duties) };
        bus.transmit(Nanos::from_secs(1), &wire(&request));
        let end = Nanos::from_secs(31);
        bus.advance(end);
        control.advance(end);
        let fall_v = control.true_volts(1).nth(7).expect("a block")
            - bus.true_volts(1).nth(7).expect("a block");
        // 150 mA for the 10 s of the hold, not the 30 s that passed.
        assert!((0.025..0.055).contains(&fall_v), "{fall_v}");
    }

    #[test]
    fn two_modules_of_one_address_garble_each_other() {
        let mut bus = demo();
        let mut twin = bus.bus().modules()[4].spec().clone();
        twin.serial += 1;
        let mut modules = bus.bus().modules().to_vec();
        modules[9] = crate::module::Module::new(twin, crate::noise::Noise::new(9, 9));
        bus.bus = Bus::new(115_200, modules, crate::noise::Noise::new(1, 1));
        let identify = Request::Identify { first: 5, count: 1 };
        bus.transmit(Nanos(0), &wire(&identify));
        let bytes = bus.receive(Nanos::from_millis(50));
        assert!(replies(&bytes).iter().all(Option::is_none));
        assert!(!bytes.is_empty());
    }

    #[test]
    fn run_does_not_depend_on_the_callers_steps() {
        let run = |advance_ms: u64| {
            let mut bus = demo();
            let mut heard = Vec::new();
            for second in 0..20 {
                heard.extend(scan(&mut bus, Nanos::from_secs(second), 64));
                for ms in (300..1_000).step_by(advance_ms as usize) {
                    bus.advance(Nanos::from_secs(second) + Nanos::from_millis(ms));
                }
            }
            bus.advance(Nanos::from_secs(30));
            (heard, bus.true_volts(0).collect::<Vec<_>>())
        };
        assert_eq!(run(7), run(350));
    }

    #[test]
    fn bit_errors_are_noticed_by_the_check_sum() {
        let mut bus = demo();
        bus.bus_mut().line_mut().set_bit_errors(0.2);
        let mut lost = 0;
        for second in 1..20 {
            let readings = scan(&mut bus, Nanos::from_secs(second), 64);
            lost += readings.iter().filter(|r| r.is_none()).count();
            for reading in readings.into_iter().flatten() {
                assert!((12_900..14_800).contains(&reading.voltage_mv));
            }
        }
        assert!(lost > 20, "{lost}");
    }
}
