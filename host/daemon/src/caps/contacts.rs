//! `evenkeel:contacts`: inputs, outputs and analogue inputs of the guard's
//! devices, under logical names.
//!
//! The guard owns the devices. What they read is in its process image, which
//! the hub shows as far as the licence covers it; switching is an order to the
//! guard. The guard is the one who knows which relays its settings give to
//! breakers, alarms and tests, and refuses them; the refusal names the contact.
//!
//! Reading an output takes a grant of it, switching it one that says so, which
//! an administrator has to confirm ([`crate::plugin::permission::dangers`]).

use super::bucket::Bucket;
use super::meter::{Beyond, Meter};
use super::rates::{Rate, Rates};
use super::{Site, Who, one_line};
use crate::clock;
use crate::commands::relay::Switch;
use crate::commands::{CommandError, Switchboard};
use crate::grants::Named;
use crate::grants::contact::{ContactGrant, Place, Side};
use crate::hub::Hub;
use crate::plant::{Plant, number};
use crate::plugin::bindings::contacts::contacts as wit;
use evenkeel_core::bus::wire::DeviceKind;
use evenkeel_core::image::DeviceRecord;
use evenkeel_core::points::Quality;
use evenkeel_core::settings::kind_name;
use evenkeel_core::time::Nanos;
use std::sync::Arc;

/// The interface.
pub const INTERFACE: &str = "evenkeel:contacts/contacts@0.1.1";
/// Readings that are answered at once.
pub const BURST: u32 = 1_000;
/// Afterwards, one per this time; bounds how often the hub's lock is taken.
pub const INTERVAL: Nanos = Nanos::from_millis(1);
/// Switchings of one output: some at once, then half a million a year, which
/// is what relays of this kind are built for.
pub const SWITCHES: Rate = Rate { most: 10, every: Nanos::from_secs(60) };

/// The contacts of one plugin.
#[derive(Debug)]
pub struct Contacts {
    who: Who,
    meter: Arc<Meter>,
    granted: Named<ContactGrant>,
    hub: Arc<Hub>,
    switchboard: Arc<Switchboard>,
    rates: Arc<Rates>,
    reads: Bucket,
}

/// Why a call failed. What the guest is told is `code` and the text.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// Not granted.
    #[error("the contact {name:?} is not granted to this plugin")]
    Denied {
        /// Logical name.
        name: String,
    },
    /// Of another kind than the call is for.
    #[error("{name:?} is {at}, {is}")]
    Side {
        /// Logical name.
        name: String,
        /// What it is.
        at: Place,
        /// What can be done with such a thing.
        is: &'static str,
    },
    /// Granted to be read alone.
    #[error("{name:?} ({at}) is granted for reading; add `switch = true` to its grant")]
    ReadOnly {
        /// Logical name.
        name: String,
        /// What it is.
        at: Place,
    },
    /// It is not there now.
    #[error("{at}: {why}")]
    Unknown {
        /// What it should be.
        at: Place,
        /// What is known.
        why: String,
    },
    /// The guard does not.
    #[error("{at} was not switched")]
    Failed {
        /// What should be switched.
        at: Place,
        /// What the guard says.
        source: CommandError,
    },
    /// Read without pause.
    #[error("contacts are read more often than {BURST} times at once and 1000 times a second")]
    Reads,
    /// More than a relay bears.
    #[error("{at} is switched more often than {} times at once and once a minute", SWITCHES.most)]
    Switches {
        /// Which.
        at: Place,
    },
}

impl ContactError {
    /// The code in `contacts.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Denied { .. } | Self::Side { .. } | Self::ReadOnly { .. } => 1,
            Self::Unknown { .. } => 2,
            Self::Failed { .. } => 3,
            Self::Reads | Self::Switches { .. } => 4,
        }
    }
}

impl Beyond for ContactError {
    fn beyond(&self) -> Option<&'static str> {
        match self {
            Self::Denied { .. } => Some("contact not granted"),
            Self::ReadOnly { .. } => Some("contact granted for reading only"),
            Self::Reads => Some("quota of contact readings"),
            Self::Switches { .. } => Some("quota of switchings"),
            Self::Side { .. } | Self::Unknown { .. } | Self::Failed { .. } => None,
        }
    }
}

impl From<ContactError> for wit::Error {
    fn from(error: ContactError) -> Self {
        Self { code: error.code(), detail: crate::plugin::reason(&error) }
    }
}

impl Contacts {
    /// What is granted to this plugin.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        Self {
            who: site.who.clone(),
            meter: Arc::clone(site.meter),
            granted: site.grants.contacts.clone(),
            hub: Arc::clone(&site.services.hub),
            switchboard: Arc::clone(&site.services.commands),
            rates: Arc::clone(&site.services.rates),
            reads: Bucket::new(BURST, INTERVAL, clock::now()),
        }
    }

    fn granted(&self, name: &str) -> Result<&ContactGrant, ContactError> {
        let denied = || ContactError::Denied { name: one_line(name, 80) };
        self.granted.get(name).ok_or_else(denied)
    }

    fn read_at(&mut self, name: &str, now: Nanos) -> Result<wit::Reading, ContactError> {
        let at = self.granted(name)?.at.clone();
        let is = "an analogue input: measure it";
        if at.side == Side::Analog {
            return Err(ContactError::Side { name: name.to_owned(), at, is });
        }
        let (_, device) = self.device(&at, now)?;
        let bits = if at.side == Side::Input { device.inputs } else { device.outputs };
        let closed = bits & (1 << (at.number - 1)) != 0;
        Ok(wit::Reading { closed, age_ms: now.since(device.read).as_millis() })
    }

    fn measure_at(&mut self, name: &str, now: Nanos) -> Result<wit::Measurement, ContactError> {
        let at = self.granted(name)?.at.clone();
        if at.side != Side::Analog {
            let is = "which is open or closed: read it";
            return Err(ContactError::Side { name: name.to_owned(), at, is });
        }
        let (_, device) = self.device(&at, now)?;
        let value = device.values.get(usize::from(at.number - 1)).copied();
        let Some(value) = value.filter(|value| value.is_finite()).map(f64::from) else {
            let why = "its signal is none; check wire, sensor and settings".to_owned();
            return Err(ContactError::Unknown { at, why });
        };
        Ok(wit::Measurement { value, age_ms: now.since(device.read).as_millis() })
    }

    fn switch_at(&mut self, name: &str, closed: bool, now: Nanos) -> Result<(), ContactError> {
        let ContactGrant { at, switch } = self.granted(name)?.clone();
        if at.side != Side::Output {
            let is = "an input: it cannot be switched";
            return Err(ContactError::Side { name: name.to_owned(), at, is });
        }
        if !switch {
            return Err(ContactError::ReadOnly { name: name.to_owned(), at });
        }
        // What does not answer would be switched some time, perhaps long after
        // it was wanted.
        let (index, _) = self.device(&at, now)?;
        let switches = self.rates.spend(&at.to_string(), SWITCHES, now);
        if !(switches && self.rates.write(&self.who.name, now)) {
            return Err(ContactError::Switches { at });
        }
        let switch =
            Switch { device: &at.device, number: number(index), output: at.number, on: closed };
        let who = format!("plugin {}", self.who.name);
        let switched = self.switchboard.switch(&who, switch);
        switched.map_err(|source| ContactError::Failed { at, source })
    }

    /// The device of a channel, which it has and which was read lately, and its
    /// index in the image.
    fn device(&mut self, at: &Place, now: Nanos) -> Result<(usize, DeviceRecord), ContactError> {
        if !self.reads.admit(now) {
            return Err(ContactError::Reads);
        }
        let plant = self.hub.plant();
        let found = plant.as_deref().ok_or("the guard was not reached yet".to_owned());
        let found = found.and_then(|plant| find(plant, at));
        found.map_err(|why| ContactError::Unknown { at: at.clone(), why })
    }
}

/// The device of a channel in this plant, or why it is none.
fn find(plant: &Plant, at: &Place) -> Result<(usize, DeviceRecord), String> {
    let index = plant.devices.iter().position(|name| *name == at.device);
    let Some((index, device)) = index.and_then(|i| Some((i, plant.snapshot.devices.get(i)?)))
    else {
        let known = match plant.devices.is_empty() {
            true => "it has none".to_owned(),
            false => format!("it has {}", plant.devices.join(", ")),
        };
        return Err(format!("the guard has no such device; {known}"));
    };
    let kind = DeviceKind::from_code(device.type_code);
    let count = kind.map_or(0, |kind| match at.side {
        Side::Input => kind.inputs(),
        Side::Output => kind.outputs(),
        Side::Analog => kind.channels(),
    });
    if at.number > count {
        let kind = kind.map_or("an unknown device", kind_name);
        return Err(format!("a device of the kind {kind} has {count} of these"));
    }
    match plant.device_quality(device) {
        Quality::Good | Quality::Estimated => Ok((index, *device)),
        Quality::Stale if !plant.connected => Err("the guard does not answer".to_owned()),
        _ if device.wrong_kind => Err("at its address is a device of another kind".to_owned()),
        _ => Err("the device does not answer".to_owned()),
    }
}

impl wit::Host for Contacts {
    fn read(&mut self, name: String) -> Result<wit::Reading, wit::Error> {
        let read = self.read_at(&name, clock::now());
        Ok(self.meter.noted(read)?)
    }

    fn switch(&mut self, name: String, closed: bool) -> Result<(), wit::Error> {
        let switched = self.switch_at(&name, closed, clock::now());
        Ok(self.meter.noted(switched)?)
    }

    fn measure(&mut self, name: String) -> Result<wit::Measurement, wit::Error> {
        let measured = self.measure_at(&name, clock::now());
        Ok(self.meter.noted(measured)?)
    }
}

#[cfg(test)]
mod tests {
    use super::wit::Host as _;
    use super::*;
    use crate::caps::testing::Place as Surroundings;
    use crate::guard::testing::FakeGuard;
    use crate::plant::testing;
    use evenkeel_core::command::{Answer, Order};
    use evenkeel_core::control::{Control, Kept};
    use evenkeel_core::events::Event;
    use evenkeel_core::settings::GuardSettings;
    use std::sync::Mutex;

    /// AUX1.1 is a breaker's, all of PANEL are the alarms'.
    const SETTINGS: &str = "[[bus]]\nport = \"/dev/null\"\n\
        [[battery]]\nname = \"b\"\nchemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n\
        [[device]]\nname = \"AUX1\"\nkind = \"aux\"\naddress = 1030\n\
        [[device]]\nname = \"PANEL\"\nkind = \"panel\"\naddress = 1031\n\
        [[device]]\nname = \"SITE\"\nkind = \"site\"\naddress = 1032\n\
        [[string]]\nname = \"A\"\nmodule = \"C20\"\nbattery = \"b\"\nfirst_address = 1\n\
        blocks = 2\nbreaker.relay = \"AUX1.1\"\n";
    const NAMES: [&str; 3] = ["AUX1", "PANEL", "SITE"];

    fn record(kind: DeviceKind) -> DeviceRecord {
        DeviceRecord {
            bus: 1,
            address: 1_030,
            type_code: kind.code(),
            quality: Quality::Good,
            wrong_kind: false,
            read: Nanos(0),
            serial: 1,
            inputs: 0b0010,
            outputs: 0b0100,
            commanded: 0b0100,
            values: [f32::NAN, 21.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        }
    }

    fn plant() -> Plant {
        let mut plant = testing::plant(&[13.6, 13.5]);
        plant.devices = NAMES.map(str::to_owned).to_vec();
        let kinds = [DeviceKind::Aux, DeviceKind::Panel, DeviceKind::Site];
        plant.snapshot.devices = kinds.map(record).to_vec();
        plant
    }

    struct Bench {
        here: Surroundings,
        guard: FakeGuard,
        events: Arc<Mutex<Vec<Event>>>,
        _runtime: tokio::runtime::Runtime,
    }

    impl Bench {
        /// A guard that decides as the real one.
        fn new() -> Self {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            let settings = GuardSettings::parse(SETTINGS).expect("valid");
            let mut control = Control::new(&settings, &Kept::default());
            let guard = FakeGuard::with_devices(&NAMES, move |order| {
                match control.order(order, Nanos(0), None) {
                    Ok(()) => Answer::Done,
                    Err(refusal) => Answer::Refused(refusal.to_string()),
                }
            });
            let events = Arc::new(Mutex::new(Vec::new()));
            let kept = Arc::clone(&events);
            let sink = Arc::new(move |event| kept.lock().expect("whole").push(event));
            let mut here = Surroundings::default();
            let (hub, orders) = (Arc::clone(&here.services.hub), Arc::new(guard.orders()));
            hub.set_plant(plant());
            let switchboard = Switchboard::new(hub, orders, runtime.handle().clone(), sink);
            here.services.commands = Arc::new(switchboard);
            Self { here, guard, events, _runtime: runtime }
        }

        fn contacts(&mut self, granted: &[(&str, &str)]) -> Contacts {
            for (name, value) in granted {
                let grant = toml::from_str::<toml::Table>(&format!("it = {value}"));
                let grant = grant.expect("TOML").remove("it").expect("there").try_into();
                self.here.grants.contacts.insert((*name).into(), grant.expect("a contact"));
            }
            Contacts::new(&self.here.site())
        }
    }

    const SWITCHED: &str = "{ at = \"AUX1.output.2\", switch = true }";

    #[test]
    fn inputs_outputs_and_signals_are_read() {
        let mut bench = Bench::new();
        let mut contacts = bench.contacts(&[
            ("door", "\"AUX1.input.2\""),
            ("window", "\"AUX1.input.1\""),
            ("fan", "\"SITE.output.3\""),
            ("warm", "\"SITE.analog.2\""),
            ("torn", "\"SITE.analog.1\""),
        ]);
        let mut closed = |name: &str| contacts.read(name.into()).map(|r| r.closed);
        assert!(closed("door").expect("read") && !closed("window").expect("read"));
        assert!(closed("fan").expect("read"), "as it is, not as it was commanded");
        let warm = contacts.measure_at("warm", Nanos::from_secs(3)).expect("measured");
        assert_eq!((warm.value, warm.age_ms), (21.5, 3_000));
        let torn = contacts.measure("torn".into()).expect_err("no signal");
        assert!(torn.code == 2 && torn.detail.contains("SITE.analog.1"), "{torn:?}");
        let wrong = contacts.read("warm".into()).expect_err("no contact");
        assert!(wrong.code == 1 && wrong.detail.contains("measure it"), "{wrong:?}");
        assert_eq!(contacts.measure("door".into()).expect_err("no signal").code, 1);
    }

    #[test]
    fn without_a_grant_nothing_is_read_or_switched() {
        let mut bench = Bench::new();
        let mut nothing = bench.contacts(&[]);
        for name in ["door", "AUX1.input.2", ""] {
            assert_eq!(nothing.read(name.into()).expect_err("denied").code, 1);
            assert_eq!(nothing.measure(name.into()).expect_err("denied").code, 1);
            assert_eq!(nothing.switch(name.into(), true).expect_err("denied").code, 1);
        }
        let mut read = bench.contacts(&[("fan", "\"AUX1.output.2\""), ("in", "\"AUX1.input.2\"")]);
        let error = read.switch("fan".into(), true).expect_err("denied");
        assert!(error.code == 1 && error.detail.contains("`switch = true`"), "{error:?}");
        assert_eq!(read.switch("in".into(), true).expect_err("an input").code, 1);
        assert!(bench.guard.asked().is_empty());
    }

    #[test]
    fn who_reaches_beyond_its_contacts_is_named() {
        let mut bench = Bench::new();
        let mut contacts = bench.contacts(&[("fan", "\"AUX1.output.2\""), ("out", SWITCHED)]);
        assert!(contacts.read("fan".into()).is_ok());
        assert!(contacts.measure("fan".into()).is_err(), "a mistake, and no attempt");
        assert_eq!(bench.here.meter.refusals(), (0, None));
        assert!(contacts.switch("pump".into(), true).is_err());
        assert!(contacts.read("AUX1.output.1".into()).is_err());
        assert!(contacts.switch("fan".into(), true).is_err());
        for i in 0..=SWITCHES.most {
            let switched = contacts.switch("out".into(), i % 2 == 0);
            assert_eq!(switched.is_ok(), i < SWITCHES.most);
        }
        assert!((0..10_000).any(|_| contacts.read("fan".into()).is_err()), "a flood");
        let news = bench.here.meter.take_news();
        let begin = [
            "contact granted for reading only: \"fan\" (AUX1.output.2)",
            "contact not granted: the contact \"pump\"",
            "quota of contact readings: contacts are read more often",
            "quota of switchings: AUX1.output.2",
        ];
        assert_eq!(news.len(), begin.len(), "{news:?}");
        assert!(news.iter().zip(begin).all(|(said, begin)| said.starts_with(begin)), "{news:?}");
        assert_eq!(bench.here.meter.refusals().0, 5);
    }

    /// The whole way: manifest, grant, linker, call.
    #[test]
    fn a_component_needs_declaration_permission_and_grant() {
        use crate::plugin::fixture::Fixture;
        use crate::plugin::fixture::probe::{DRIVER, FALL, RESULT, manifest, probe};

        let bench = Bench::new();
        let imports =
            format!("(import {INTERFACE:?} \"switch\" (func $switch (param i32 i32 i32 i32)))");
        let switch = "(call $switch (i32.const 3000) (i32.const 5) (i32.const 1)";
        let component = probe(&imports, &format!("{switch} {RESULT}) {FALL}"), &DRIVER);
        let fixture = Fixture::new();
        let run = |declared: &[&str], asked: &[&str], granted: bool| {
            let raw = fixture.seal(&manifest(declared, asked, &DRIVER), &component);
            let mut grants = crate::grants::Grants::default();
            if granted {
                let at = "AUX1.output.2".parse().expect("a place");
                grants.contacts.insert("probe".into(), ContactGrant { at, switch: true });
            }
            let mut instance = fixture.start(&raw, bench.here.services.clone(), grants)?;
            Ok::<_, String>(instance.wake().expect_err("falls").to_string())
        };
        let text = run(&[], &[], true).expect_err("refused");
        assert!(text.contains("imports evenkeel:contacts/contacts@0.1.1, which its"), "{text}");
        let text = run(&[INTERFACE], &[INTERFACE], false).expect_err("refused");
        assert!(text.contains("add `grant.contacts.probe = \"AUX1.input.2\"`"), "{text}");
        let text = run(&[INTERFACE], &[], true).expect("runs");
        assert!(text.contains("in refused"), "granted, and not asked for: {text}");
        assert!(bench.guard.asked().is_empty());
        let text = run(&[INTERFACE], &[INTERFACE], true).expect("runs");
        assert!(text.contains("in answered"), "{text}");
        assert_eq!(bench.guard.asked(), [Order::Output { device: 1, output: 2, on: true }]);
    }

    #[test]
    fn an_output_is_switched_by_the_guard_and_told() {
        let mut bench = Bench::new();
        let mut contacts = bench.contacts(&[("fan", SWITCHED)]);
        contacts.switch("fan".into(), true).expect("switched");
        contacts.switch("fan".into(), false).expect("switched");
        let orders = [true, false].map(|on| Order::Output { device: 1, output: 2, on });
        assert_eq!(bench.guard.asked(), orders);
        let events = bench.events.lock().expect("whole");
        assert_eq!(events[0].to_string(), "plugin megatec told device.1: output.2 on");
    }

    #[test]
    fn relays_of_protection_and_alarms_are_refused_by_name() {
        let mut bench = Bench::new();
        let mut contacts = bench.contacts(&[
            ("trip", "{ at = \"AUX1.output.1\", switch = true }"),
            ("alarm", "{ at = \"PANEL.output.1\", switch = true }"),
        ]);
        for (name, at) in [("trip", "AUX1.output.1"), ("alarm", "PANEL.output.1")] {
            let error = contacts.switch(name.into(), true).expect_err("refused");
            assert_eq!(error.code, 3);
            let words = "belongs to a breaker or to the alarms";
            assert!(error.detail.contains(at) && error.detail.contains(words), "{error:?}");
        }
        let events = bench.events.lock().expect("whole");
        assert!(events.iter().all(|event| event.to_string().contains("not done")));
    }

    #[test]
    fn what_is_not_there_or_silent_says_so_and_is_not_switched() {
        let mut bench = Bench::new();
        let granted = [
            ("fan", SWITCHED),
            ("gone", "{ at = \"AUX9.output.1\", switch = true }"),
            ("fifth", "\"AUX1.input.5\""),
        ];
        let mut contacts = bench.contacts(&granted);
        let error = contacts.switch("gone".into(), true).expect_err("unknown");
        assert!(error.code == 2 && error.detail.ends_with("it has AUX1, PANEL, SITE"), "{error:?}");
        let error = contacts.read("fifth".into()).expect_err("unknown");
        assert!(error.detail.ends_with("of the kind aux has 4 of these"), "{error:?}");
        let mut lost = plant();
        lost.snapshot.devices[0].quality = Quality::Bad;
        bench.here.services.hub.set_plant(lost);
        let error = contacts.switch("fan".into(), true).expect_err("silent");
        assert!(error.code == 2 && error.detail.contains("does not answer"), "{error:?}");
        bench.here.services.hub.set_plant(Plant { connected: false, ..plant() });
        let error = contacts.read("fan".into()).expect_err("no guard");
        assert!(error.code == 2 && error.detail.contains("the guard does not"), "{error:?}");
        assert!(bench.guard.asked().is_empty());
    }

    /// The guard that answers counts its devices otherwise than the image did.
    #[test]
    fn an_output_is_found_by_name_in_the_guard_that_switches_it() {
        let mut bench = Bench::new();
        let mut swapped = plant();
        swapped.devices.swap(0, 2);
        swapped.snapshot.devices.swap(0, 2);
        bench.here.services.hub.set_plant(swapped);
        let mut contacts = bench.contacts(&[("fan", SWITCHED)]);
        contacts.switch("fan".into(), true).expect("switched");
        assert_eq!(bench.guard.asked(), [Order::Output { device: 1, output: 2, on: true }]);
    }

    #[test]
    fn a_relay_is_not_worn_out_by_a_plugin_that_starts_again_and_again() {
        let mut bench = Bench::new();
        let mut switched = 0;
        for _ in 0..4 {
            let mut contacts = bench.contacts(&[("fan", SWITCHED)]);
            let codes = (0..5).map(|i| contacts.switch("fan".into(), i % 2 == 0));
            switched += codes.filter(Result::is_ok).count();
        }
        assert_eq!(switched, SWITCHES.most as usize);
        let mut contacts = bench.contacts(&[("fan", SWITCHED)]);
        let error = contacts.switch("fan".into(), true).expect_err("too often");
        assert!(error.code == 4 && error.detail.contains("AUX1.output.2"), "{error:?}");
        let now = clock::now();
        let read = (0..10_000).filter(|_| contacts.read_at("fan", now).is_ok()).count();
        assert!(read <= BURST as usize, "{read}");
        assert_eq!(contacts.read_at("fan", now).expect_err("a flood").code(), 4);
    }
}
