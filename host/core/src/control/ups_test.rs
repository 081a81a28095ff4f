//! The battery test of one UPS: its rules are [`BatteryTest`]'s, its actuator
//! a relay that lets the UPS run on battery while it is on.

use super::StringControl;
use super::devices::Devices;
use crate::battery_test::{
    BatteryTest, Hold, Memory, Refusal, Report, StringInput, TestActuator, TestCommand,
    TestFeedback, TestInput,
};
use crate::image::STRINGS_MAX;
use crate::protect::Level;
use crate::scan::{Phase, StringScan};
use crate::settings::{ChannelIndex, GuardSettings, TestSettings, Use, find};
use crate::time::Nanos;

/// A test and where it acts.
pub struct UpsTest {
    machine: BatteryTest,
    /// Its strings, from 0.
    strings: Vec<usize>,
    relay: Option<ChannelIndex>,
    mains: Option<ChannelIndex>,
    /// Whether the last command was obeyed.
    accepted: Option<bool>,
}

impl UpsTest {
    /// For checked settings.
    pub fn new(
        test: &TestSettings,
        settings: &GuardSettings,
        strings: &[StringControl],
        memory: Memory,
    ) -> Self {
        let numbers = test.strings.iter().map(|n| usize::from(*n).saturating_sub(1));
        let own: Vec<usize> = numbers.filter(|n| *n < strings.len()).collect();
        let batteries: Vec<_> =
            own.iter().map(|n| (strings[*n].reference(), strings[*n].len())).collect();
        let channel = |channel: Option<&_>, usage| {
            channel.and_then(|c| find(&settings.devices, "", c, usage).ok())
        };
        Self {
            machine: BatteryTest::new(test.rules.clone(), &batteries, memory),
            relay: channel(test.relay.as_ref(), Use::Output),
            mains: channel(test.mains.as_ref(), Use::Input),
            strings: own,
            accepted: None,
        }
    }

    /// One cycle, after its strings'.
    pub fn step(
        &mut self,
        strings: &[StringControl],
        devices: &mut Devices,
        now: Nanos,
        wall_s: Option<u64>,
    ) {
        let mut inputs = [NO_STRING; STRINGS_MAX];
        let command = self
            .with_input(strings, devices, now, wall_s, &mut inputs, |test, input| test.step(input));
        if let Some(command) = command {
            self.act(command, devices);
        }
    }

    /// Begin a test by hand.
    ///
    /// # Errors
    /// [`Hold`] says what forbids it.
    pub fn start(
        &mut self,
        strings: &[StringControl],
        devices: &Devices,
        now: Nanos,
        wall_s: Option<u64>,
    ) -> Result<(), Hold> {
        let mut inputs = [NO_STRING; STRINGS_MAX];
        self.with_input(strings, devices, now, wall_s, &mut inputs, |test, input| test.start(input))
    }

    /// End a test by hand.
    pub fn stop(&mut self) {
        self.machine.stop();
    }

    /// Whether the string (from 0) is being tested.
    pub fn runs_on(&self, string: usize) -> bool {
        self.machine.is_under_way() && self.owns(string)
    }

    /// Whether the string (from 0) belongs to this UPS.
    pub fn owns(&self, string: usize) -> bool {
        self.strings.contains(&string)
    }

    /// Somebody can start it.
    pub fn has_actuator(&self) -> bool {
        self.relay.is_some()
    }

    /// What there is to know.
    pub fn report(&self) -> &Report {
        self.machine.report()
    }

    /// What has to be kept.
    pub fn memory(&self) -> Memory {
        *self.machine.memory()
    }

    /// How bad it stands.
    pub fn level(&self) -> Level {
        let report = self.machine.report();
        match report.not_stopped || report.not_started {
            true => Level::Alarm,
            false => Level::Ok,
        }
    }

    fn with_input<'a, T>(
        &mut self,
        strings: &'a [StringControl],
        devices: &Devices,
        now: Nanos,
        wall_s: Option<u64>,
        inputs: &mut [StringInput<'a>; STRINGS_MAX],
        then: impl FnOnce(&mut BatteryTest, &TestInput<'_>) -> T,
    ) -> T {
        let own = self.strings.iter().filter_map(|n| strings.get(*n));
        for (input, string) in inputs.iter_mut().zip(own.clone()) {
            *input = StringInput { scan: string.scan_as_reference(), phase: string.phase() };
        }
        let charged =
            |s: &StringControl| matches!(s.phase(), Phase::Float | Phase::Boost | Phase::Recharge);
        let mains = match self.mains {
            Some(input) => devices.input(input),
            // A string that is being charged has mains.
            None => own.clone().any(charged).then_some(true),
        };
        let count = self.strings.len().min(STRINGS_MAX);
        let input = TestInput {
            now,
            wall_s,
            strings: &inputs[..count],
            mains,
            full: None,
            alarm: own.clone().any(|s| s.protection.report().level == Level::Alarm),
            measuring: own.clone().any(|s| s.measuring().is_some()),
            feedback: TestFeedback { accepted: self.accepted, on_test: None },
        };
        then(&mut self.machine, &input)
    }

    fn act(&mut self, command: TestCommand, devices: &mut Devices) {
        let mut relay = Relay { relay: self.relay, devices };
        self.accepted = Some(command.give(&mut relay).is_ok());
    }
}

const NO_STRING: StringInput<'static> = StringInput {
    scan: StringScan {
        now: Nanos(0),
        wall_s: None,
        blocks: &[],
        current_a: None,
        string_v: None,
        ambient_c: None,
    },
    phase: Phase::Unknown,
};

/// The UPS's test input, behind a relay.
struct Relay<'a> {
    relay: Option<ChannelIndex>,
    devices: &'a mut Devices,
}

impl TestActuator for Relay<'_> {
    fn start(&mut self) -> Result<(), Refusal> {
        let relay = self.relay.ok_or(Refusal::Unsupported)?;
        self.devices.set(relay, true);
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(relay) = self.relay {
            self.devices.set(relay, false);
        }
    }
}
