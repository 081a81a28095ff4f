//! The worlds that this version runs, and the calls into a plugin of each.
//!
//! What a plugin *is* shows in what it exports; the manifest's word must
//! agree. Every world since 0.2 exports `evenkeel:plugin/life` and one
//! interface of its own. Drivers of 0.1 had both in one; they are run as
//! drivers that know no commands.

use crate::plugin::bindings::{device, device_0_1, gate, life, login, service, sink};
use crate::plugin::instance::State;
use core::fmt;
use std::collections::BTreeMap;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

/// What a plugin is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum World {
    /// Reads one device and commands it.
    Driver,
    /// Shows the appliance in another protocol.
    Gateway,
    /// Tells others what happened.
    Notifier,
    /// Asks others who may sign in.
    Authenticator,
    /// Judges the edition.
    LicenceGate,
}

/// Names as in manifests, and what each means.
const NAMES: [(&str, World); 6] = [
    ("evenkeel:driver/device-driver@0.1.0", World::Driver),
    ("evenkeel:driver/device-driver@0.2.0", World::Driver),
    ("evenkeel:gateway/gateway@0.1.0", World::Gateway),
    ("evenkeel:notifier/notifier@0.1.0", World::Notifier),
    ("evenkeel:authenticator/authenticator@0.1.0", World::Authenticator),
    ("evenkeel:licence/licence-gate@0.1.0", World::LicenceGate),
];

/// The driver world before there was `life`.
pub const DRIVER_0_1: &str = NAMES[0].0;

impl World {
    /// The world with this name in a manifest; `None` if this version does
    /// not run it.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, world)| *world)
    }

    /// All names, for the message that one is not among them.
    #[must_use]
    pub fn known() -> String {
        NAMES.map(|(name, _)| name).join(", ")
    }

    /// The word for people and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Gateway => "gateway",
            Self::Notifier => "notifier",
            Self::Authenticator => "authenticator",
            Self::LicenceGate => "licence-gate",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the exports of a linked component are.
#[derive(Clone)]
pub struct Exports {
    life: LifeAt,
    task: TaskAt,
}

#[derive(Clone)]
enum LifeAt {
    V01(device_0_1::GuestIndices),
    V02(life::GuestIndices),
}

#[derive(Clone)]
enum TaskAt {
    None,
    Device(device::GuestIndices),
    Service(service::GuestIndices),
    Sink(sink::GuestIndices),
    Login(login::GuestIndices),
    Gate(gate::GuestIndices),
}

impl Exports {
    /// Find what the world named `name` demands.
    ///
    /// # Errors
    /// What is missing, or of another type.
    pub fn find(name: &str, world: World, pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        if name == DRIVER_0_1 {
            let life = LifeAt::V01(device_0_1::GuestIndices::new(pre)?);
            return Ok(Self { life, task: TaskAt::None });
        }
        let task = match world {
            World::Driver => TaskAt::Device(device::GuestIndices::new(pre)?),
            World::Gateway => TaskAt::Service(service::GuestIndices::new(pre)?),
            World::Notifier => TaskAt::Sink(sink::GuestIndices::new(pre)?),
            World::Authenticator => TaskAt::Login(login::GuestIndices::new(pre)?),
            World::LicenceGate => TaskAt::Gate(gate::GuestIndices::new(pre)?),
        };
        Ok(Self { life: LifeAt::V02(life::GuestIndices::new(pre)?), task })
    }

    /// The exports of one instance.
    ///
    /// # Errors
    /// What the engine says; [`Exports::find`] has seen that they are there.
    pub fn load(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Guest> {
        let life = match &self.life {
            LifeAt::V01(at) => Life::V01(at.load(&mut *store, instance)?),
            LifeAt::V02(at) => Life::V02(at.load(&mut *store, instance)?),
        };
        let task = match &self.task {
            TaskAt::None => Task::None,
            TaskAt::Device(at) => Task::Device(at.load(store, instance)?),
            TaskAt::Service(at) => Task::Service(at.load(store, instance)?),
            TaskAt::Sink(at) => Task::Sink(at.load(store, instance)?),
            TaskAt::Login(at) => Task::Login(at.load(store, instance)?),
            TaskAt::Gate(at) => Task::Gate(at.load(store, instance)?),
        };
        Ok(Guest { life, task })
    }
}

/// The exports of one instance: functions that can be called.
pub struct Guest {
    life: Life,
    /// What its world adds.
    pub task: Task,
}

enum Life {
    V01(device_0_1::Guest),
    V02(life::Guest),
}

/// What a world adds to `life`.
pub enum Task {
    /// Nothing: a driver of 0.1.
    None,
    /// `evenkeel:driver/device`
    Device(device::Guest),
    /// `evenkeel:gateway/service`
    Service(service::Guest),
    /// `evenkeel:notifier/sink`
    Sink(sink::Guest),
    /// `evenkeel:authenticator/login`
    Login(login::Guest),
    /// `evenkeel:licence/gate`
    Gate(gate::Guest),
}

impl Guest {
    /// What its `wake` is called in its own world.
    #[must_use]
    pub const fn wake_name(&self) -> &'static str {
        match self.life {
            Life::V01(_) => "poll",
            Life::V02(_) => "wake",
        }
    }

    /// `start`. Settings are handed over in 0.1 and asked for since.
    ///
    /// # Errors
    /// A trap; the inner error is the plugin's own.
    pub fn start(
        &self,
        store: &mut Store<State>,
        settings: &BTreeMap<String, String>,
        previous: Option<&[u8]>,
    ) -> wasmtime::Result<Result<(), String>> {
        match &self.life {
            Life::V01(guest) => {
                let settings: Vec<_> = settings
                    .iter()
                    .map(|(name, value)| device_0_1::Setting {
                        name: name.clone(),
                        value: value.clone(),
                    })
                    .collect();
                guest.call_start(store, &settings)
            }
            Life::V02(guest) => guest.call_start(store, previous),
        }
    }

    /// `wake`, in 0.1 `poll`: ms until the next.
    ///
    /// # Errors
    /// A trap.
    pub fn wake(&self, store: &mut Store<State>) -> wasmtime::Result<u32> {
        match &self.life {
            Life::V01(guest) => guest.call_poll(store),
            Life::V02(guest) => guest.call_wake(store),
        }
    }

    /// `save`: state to hand over; nothing in 0.1.
    ///
    /// # Errors
    /// A trap.
    pub fn save(&self, store: &mut Store<State>) -> wasmtime::Result<Vec<u8>> {
        match &self.life {
            Life::V01(_) => Ok(Vec::new()),
            Life::V02(guest) => guest.call_save(store),
        }
    }
}
