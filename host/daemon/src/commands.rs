//! The switchboard: who can be told what, and telling them.
//!
//! A *target* is a subtree of points: `ups.0` is the device of the driver that
//! publishes there and that announced what can be told to it; `string.1` and
//! `guard` are the appliance itself, whose commands are orders to the guard.
//! Resetting a trip and switching outputs are not among them: those stay with
//! people at the console, and with plugins that were granted an output
//! ([`relay`]).
//!
//! What may be told by whom is decided before ([`crate::caps::commands`] for
//! plugins, the console for people). Here a value is held against what was
//! offered, few commands wait for a target, every one has a deadline, and each
//! that was tried is an event that names who asked.
//!
//! A plugin that tells somebody waits on its only thread, and behind it all whom
//! it serves. So a target that does not answer holds it once: while an earlier
//! command is under way, given up by its asker or not, and as long again as a
//! failed one held them, plugins are told at once that the target is busy.

mod appliance;
pub mod relay;

use crate::caps::net_server::limits::SERVE_WAIT;
use crate::guard::{OrderError, Orders};
use crate::hub::Hub;
use crate::plugin::inbox::{Inbox, Undone};
use crate::plugin::supervisor::EventSink;
use core::fmt;
use evenkeel_core::command::Order;
use evenkeel_core::events::Event;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Longest time from the wish to its outcome.
pub const RUN_MAX: Duration = Duration::from_secs(30);
/// The same when a plugin wishes, for all wishes of one call of it: its thread
/// waits, and whoever asks a gateway something waits for that thread,
/// [`SERVE_WAIT`] at most.
pub const PLUGIN_RUN_MAX: Duration = Duration::from_secs(8);
const _: () = assert!(2 * PLUGIN_RUN_MAX.as_secs() < SERVE_WAIT.as_secs());
/// A command that failed sooner has held nobody.
const HELD_MIN: Duration = Duration::from_secs(1);
/// Commands that may wait for one target, the running one included.
pub const WAITING_MAX: usize = 4;

/// What a command takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// Nothing.
    None,
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// One of these words.
    Word(Vec<String>),
    /// At most so many bytes of visible text.
    Text(u32),
}

/// Something that can be told to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// NUT's name where it has one: `test.battery.start.quick`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// What it takes.
    pub parameter: Parameter,
}

/// An offer with its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Subtree of the device.
    pub target: String,
    /// What it offers.
    pub offer: Offer,
}

/// Why a command was not carried out, or that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such target, or it does not offer this.
    #[error("{target:?} offers no command {name:?} now")]
    Unknown {
        /// The target.
        target: String,
        /// The command.
        name: String,
    },
    /// The value does not fit.
    #[error("this command takes {wanted}")]
    Invalid {
        /// What it takes, in words.
        wanted: String,
    },
    /// The device, its driver or the guard said no, or did not answer.
    #[error("{0}")]
    Failed(String),
    /// Too many wait, or an earlier one that was not answered.
    #[error("earlier commands still wait for this target; try again in some seconds")]
    Busy,
    /// No outcome within the time.
    #[error("it was not confirmed in time; it may still happen")]
    Late,
}

impl CommandError {
    /// The code in `commands.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Unknown { .. } => 2,
            Self::Invalid { .. } => 3,
            Self::Failed(_) => 4,
            Self::Busy => 5,
            Self::Late => 6,
        }
    }
}

impl Parameter {
    /// Hold a value against it.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] says what it takes.
    pub fn check(&self, value: Option<&str>) -> Result<(), CommandError> {
        let fits = match (self, value) {
            (Self::None, None) => true,
            (Self::Number(low, high), Some(text)) => {
                text.parse().is_ok_and(|number: i64| (*low..=*high).contains(&number))
            }
            (Self::Word(words), Some(text)) => words.iter().any(|word| word == text),
            (Self::Text(max), Some(text)) => {
                text.len() <= *max as usize && text.chars().all(evenkeel_signing::is_printable)
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(CommandError::Invalid { wanted: self.to_string() }) }
    }
}

/// What it takes, in words.
impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no value"),
            Self::Number(low, high) => write!(f, "a whole number from {low} to {high}"),
            Self::Word(words) => write!(f, "one of {}", words.join(", ")),
            Self::Text(max) => write!(f, "visible text of at most {max} bytes"),
        }
    }
}

/// Knows the targets and hands commands to them.
#[derive(Default)]
pub struct Switchboard {
    inner: Mutex<Inner>,
    queues: Queues,
    appliance: Option<Appliance>,
    events: Option<EventSink>,
}

#[derive(Default)]
struct Inner {
    devices: BTreeMap<String, Device>,
    next_id: u64,
}

/// How it stands with the commands to each target. Shared with those under way,
/// which outlast whoever gave them up.
type Queues = Arc<Mutex<BTreeMap<String, Queue>>>;

/// The commands to one target; forgotten when nothing of this is left.
#[derive(Debug, Default)]
struct Queue {
    /// Under way, the running one included.
    waiting: usize,
    /// Until then no plugin is held by it again: the last one was, for nothing.
    resting_until: Option<Instant>,
}

impl Queue {
    fn rests(&self, now: Instant) -> bool {
        self.resting_until.is_some_and(|until| now < until)
    }
}

/// Who asks, and so how long it may take and behind whom it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// A person, or a job, in a thread of their own: [`WAITING_MAX`] wait.
    Own,
    /// A plugin: nobody waits behind another one.
    Shared,
}

/// A driver that offers commands.
struct Device {
    id: u64,
    offers: Vec<Offer>,
    inbox: Arc<Inbox>,
}

/// The appliance as a target.
struct Appliance {
    hub: Arc<Hub>,
    orders: Arc<Orders>,
    runtime: Handle,
}

impl fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets: Vec<String> = self.lock().devices.keys().cloned().collect();
        f.debug_struct("Switchboard").field("targets", &targets).finish_non_exhaustive()
    }
}

/// An announcement that stands; its offers are over when it is dropped.
#[derive(Debug)]
pub struct Announced {
    switchboard: Arc<Switchboard>,
    target: String,
    id: u64,
}

impl Drop for Announced {
    fn drop(&mut self) {
        let mut inner = self.switchboard.lock();
        // A later announcement for the same target is somebody else's.
        if inner.devices.get(&self.target).is_some_and(|device| device.id == self.id) {
            inner.devices.remove(&self.target);
        }
    }
}

/// How a command reaches its target.
enum Way {
    Driver(Arc<Inbox>),
    Guard(Order),
}

impl Switchboard {
    /// A switchboard to which the appliance itself is connected: what there is
    /// shows in `hub`, what is told goes through `orders`. Every command is
    /// told to `events`.
    #[must_use]
    pub fn new(hub: Arc<Hub>, orders: Arc<Orders>, runtime: Handle, events: EventSink) -> Self {
        let appliance = Some(Appliance { hub, orders, runtime });
        Self { inner: Mutex::default(), queues: Queues::default(), appliance, events: Some(events) }
    }

    /// The driver behind `inbox` says what can be told to `target`, in place
    /// of what it said before. The offers are checked.
    #[must_use]
    pub fn announce(
        self: &Arc<Self>,
        target: &str,
        offers: Vec<Offer>,
        inbox: Arc<Inbox>,
    ) -> Announced {
        let mut inner = self.lock();
        inner.next_id += 1;
        let id = inner.next_id;
        inner.devices.insert(target.to_owned(), Device { id, offers, inbox });
        Announced { switchboard: Arc::clone(self), target: target.to_owned(), id }
    }

    /// Everything that can be told now, by target.
    #[must_use]
    pub fn list(&self) -> Vec<Offered> {
        let mut list = self.appliance_offers();
        for (target, device) in &self.lock().devices {
            let offered = |offer: &Offer| Offered { target: target.clone(), offer: offer.clone() };
            list.extend(device.offers.iter().map(offered));
        }
        list.sort_by(|a, b| (&a.target, &a.offer.name).cmp(&(&b.target, &b.offer.name)));
        list
    }

    /// Tell `target` to do `name` for `who`, and wait for the outcome, at most
    /// [`RUN_MAX`]. Not on a thread of the runtime.
    ///
    /// # Errors
    /// [`CommandError`]; it was tried if there is an event of it.
    pub fn run(
        &self,
        who: &str,
        target: &str,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), CommandError> {
        self.tell((RUN_MAX, Patience::Own), who, target, name, value)
    }

    /// [`Self::run`] for a plugin, whose thread waits for `time` at the most, and
    /// not at all for a target that has not dealt with an earlier command.
    ///
    /// # Errors
    /// [`CommandError`], as of [`Self::run`].
    pub fn run_for_plugin(
        &self,
        time: Duration,
        who: &str,
        target: &str,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), CommandError> {
        self.tell((time, Patience::Shared), who, target, name, value)
    }

    fn tell(
        &self,
        (time, patience): (Duration, Patience),
        who: &str,
        target: &str,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), CommandError> {
        let begun = Instant::now();
        let deadline = begun + time;
        let way = self.find(target, name, value)?;
        let place = self.place(target, patience, begun)?;
        let outcome = match way {
            Way::Driver(inbox) => to_driver(&inbox, place, name, value, deadline),
            Way::Guard(order) => {
                let _place = place;
                self.to_guard(order, deadline)
            }
        };
        if outcome.is_err() {
            self.rest(target, begun);
        }
        if let Some(events) = &self.events {
            events(Event::Commanded {
                who: who.to_owned(),
                target: target.to_owned(),
                command: name.to_owned(),
                value: value.map(str::to_owned),
                refused: outcome.as_ref().err().map(ToString::to_string),
            });
        }
        outcome
    }

    fn find(&self, target: &str, name: &str, value: Option<&str>) -> Result<Way, CommandError> {
        let unknown = || CommandError::Unknown { target: target.to_owned(), name: name.to_owned() };
        if let Some(device) = self.lock().devices.get(target) {
            let offer = device.offers.iter().find(|offer| offer.name == name);
            offer.ok_or_else(unknown)?.parameter.check(value)?;
            return Ok(Way::Driver(Arc::clone(&device.inbox)));
        }
        let offers = self.appliance_offers();
        let offered = offers.iter().find(|one| one.target == target && one.offer.name == name);
        offered.ok_or_else(unknown)?.offer.parameter.check(value)?;
        appliance::order(target, name, value).map(Way::Guard).ok_or_else(unknown)
    }

    fn appliance_offers(&self) -> Vec<Offered> {
        let plant = self.appliance.as_ref().and_then(|appliance| appliance.hub.plant());
        plant.map(|plant| appliance::offers(&plant.snapshot)).unwrap_or_default()
    }

    fn to_guard(&self, order: Order, deadline: Instant) -> Result<(), CommandError> {
        self.ask_guard(deadline, async |orders: &Orders| orders.give(order).await)
    }

    fn ask_guard(
        &self,
        deadline: Instant,
        give: impl AsyncFnOnce(&Orders) -> Result<(), OrderError>,
    ) -> Result<(), CommandError> {
        let Some(appliance) = &self.appliance else {
            return Err(CommandError::Failed("no guard is connected".to_owned()));
        };
        let orders = &appliance.orders;
        // Within the runtime: it is its clock that ends the wait.
        let given = async { tokio::time::timeout_at(deadline.into(), give(orders)).await };
        match appliance.runtime.block_on(given) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(OrderError::Busy)) => Err(CommandError::Busy),
            Ok(Err(error)) => Err(CommandError::Failed(crate::failure::chain(&error))),
            Err(_) => Err(CommandError::Late),
        }
    }

    /// A place in the queue of `target`.
    fn place(&self, target: &str, patience: Patience, now: Instant) -> Result<Place, CommandError> {
        let mut queues = lock(&self.queues);
        queues.retain(|_, queue| queue.waiting > 0 || queue.rests(now));
        let queue = queues.entry(target.to_owned()).or_default();
        let is_full = match patience {
            Patience::Own => queue.waiting >= WAITING_MAX,
            Patience::Shared => queue.waiting > 0 || queue.rests(now),
        };
        if is_full {
            return Err(CommandError::Busy);
        }
        queue.waiting += 1;
        Ok(Place { queues: Arc::clone(&self.queues), target: target.to_owned() })
    }

    /// A command to `target` that began then has failed just now: plugins leave it
    /// alone for as long as that took.
    fn rest(&self, target: &str, begun: Instant) {
        let held = begun.elapsed();
        if held >= HELD_MIN {
            let mut queues = lock(&self.queues);
            let until = Instant::now() + held;
            queues.entry(target.to_owned()).or_default().resting_until = Some(until);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

// A panic leaves whole values: each change is one map operation.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One command under way; given back when dropped.
#[derive(Debug)]
struct Place {
    queues: Queues,
    target: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(queue) = lock(&self.queues).get_mut(&self.target) {
            queue.waiting -= 1;
        }
    }
}

/// Have a driver do it. What has waited past the deadline is not begun. The place
/// goes along: it is taken until the driver is done with it, or gone.
fn to_driver(
    inbox: &Inbox,
    place: Place,
    name: &str,
    value: Option<&str>,
    deadline: Instant,
) -> Result<(), CommandError> {
    let (name, value) = (name.to_owned(), value.map(str::to_owned));
    let left = deadline.saturating_duration_since(Instant::now());
    let answer = inbox.ask_within(left, move |plugin| {
        let _place = place;
        match Instant::now() < deadline {
            true => plugin.command(&name, value.as_deref()).map(Some),
            false => Ok(None),
        }
    });
    match answer {
        Ok(Some(Ok(()))) => Ok(()),
        Ok(Some(Err(error))) => {
            Err(CommandError::Failed(crate::caps::one_line(&error.detail, 300)))
        }
        Ok(None) | Err(Undone::Late) => Err(CommandError::Late),
        Err(Undone::Full) => Err(CommandError::Busy),
        Err(error @ (Undone::NotRunning | Undone::Failed)) => {
            Err(CommandError::Failed(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::testing::FakeGuard;
    use crate::plant::testing;
    use evenkeel_core::command::Answer;

    fn offer(name: &str, parameter: Parameter) -> Offer {
        Offer { name: name.to_owned(), description: "Does it".to_owned(), parameter }
    }

    struct Bench {
        switchboard: Arc<Switchboard>,
        events: Arc<Mutex<Vec<Event>>>,
        guard: FakeGuard,
        _runtime: tokio::runtime::Runtime,
    }

    fn bench(answer: Answer) -> Bench {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let guard = FakeGuard::start(move |_| answer.clone());
        let hub = Arc::new(Hub::default());
        hub.set_plant(testing::plant(&[13.6, 13.5]));
        let events = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&events);
        let sink: EventSink = Arc::new(move |event| kept.lock().expect("whole").push(event));
        let orders = Arc::new(guard.orders());
        let switchboard = Switchboard::new(hub, orders, runtime.handle().clone(), sink);
        Bench { switchboard: Arc::new(switchboard), events, guard, _runtime: runtime }
    }

    #[test]
    fn the_appliance_offers_what_is_harmless_and_does_it() {
        let bench = bench(Answer::Done);
        let list = bench.switchboard.list();
        assert!(list.iter().any(|o| o.target == "guard" && o.offer.name == "beeper.mute"));
        for one in &list {
            assert_eq!(evenkeel_core::danger::danger_of(&one.offer.name), None);
            assert!(!one.offer.name.contains("reset") && !one.offer.name.contains("output"));
        }
        let run = |target, name, value| bench.switchboard.run("somebody", target, name, value);
        assert_eq!(run("guard", "beeper.mute", None), Ok(()));
        assert_eq!(run("string.1", "equalization.pause", Some("60")), Ok(()));
        assert_eq!(run("string.1", "resistance.measure", Some("2")), Ok(()));
        let wanted = [
            Order::Mute,
            Order::Pause { string: 1, seconds: 60 },
            Order::Measure { string: 1, block: 2 },
        ];
        assert_eq!(bench.guard.asked(), wanted);
        let events = bench.events.lock().expect("whole");
        assert!(events[1].to_string().contains("somebody told string.1: equalization.pause 60"));
    }

    #[test]
    fn a_wish_is_held_against_the_offer_and_an_outcome_is_told() {
        let bench = bench(Answer::Refused("not today".to_owned()));
        let run = |target, name, value| {
            bench.switchboard.run("x", target, name, value).map_err(|error| error.code())
        };
        assert_eq!(run("string.2", "equalization.resume", None), Err(2));
        assert_eq!(run("string.1", "trip.reset", None), Err(2));
        assert_eq!(run("ups.0", "beeper.mute", None), Err(2));
        assert_eq!(run("string.1", "equalization.pause", None), Err(3));
        assert_eq!(run("string.1", "equalization.pause", Some("0")), Err(3));
        assert_eq!(run("string.1", "resistance.measure", Some("3")), Err(3));
        assert_eq!(run("guard", "beeper.mute", Some("1")), Err(3));
        assert!(bench.events.lock().expect("whole").is_empty(), "nothing was tried");
        assert_eq!(run("guard", "beeper.mute", None), Err(4));
        let events = bench.events.lock().expect("whole");
        assert!(events[0].to_string().ends_with("not done: not today"), "{}", events[0]);
    }

    #[test]
    fn offers_vanish_with_the_driver_and_a_new_one_is_not_touched() {
        let switchboard = Arc::new(Switchboard::default());
        let announce = |name| {
            let offers = vec![offer(name, Parameter::None)];
            switchboard.announce("ups.0", offers, Arc::default())
        };
        let old = announce("beeper.toggle");
        let new = announce("beeper.mute");
        drop(old);
        assert_eq!(switchboard.list().len(), 1);
        let error = switchboard.run("x", "ups.0", "beeper.toggle", None).expect_err("gone");
        assert_eq!(error.code(), 2);
        let error = switchboard.run("x", "ups.0", "beeper.mute", None).expect_err("not running");
        assert_eq!(error, CommandError::Failed("the plugin is not running".to_owned()));
        drop(new);
        assert!(switchboard.list().is_empty());
    }

    #[test]
    fn few_wait_for_a_target_and_a_plugin_waits_behind_nobody() {
        let switchboard = Switchboard::default();
        let now = Instant::now();
        let place = |target, patience| switchboard.place(target, patience, now);
        let places: Vec<_> = (0..WAITING_MAX).map(|_| place("ups.0", Patience::Own)).collect();
        assert!(places.iter().all(Result::is_ok));
        for patience in [Patience::Own, Patience::Shared] {
            assert_eq!(place("ups.0", patience).map(drop), Err(CommandError::Busy));
        }
        let other = place("ups.1", Patience::Shared).expect("another target");
        assert_eq!(place("ups.1", Patience::Shared).map(drop), Err(CommandError::Busy));
        drop(place("ups.1", Patience::Own).expect("a person may wait"));
        drop((places, other));
        drop(place("ups.1", Patience::Shared).expect("it is free again"));
        drop(place("ups.0", Patience::Own).expect("free again"));
        drop(place("ups.2", Patience::Own).expect("free"));
        assert_eq!(lock(&switchboard.queues).len(), 1, "those without commands are forgotten");
    }

    /// A driver that runs, and that never comes to its errands.
    fn mute() -> (Arc<Switchboard>, Arc<Inbox>, Announced) {
        let (switchboard, inbox) = (Arc::new(Switchboard::default()), Arc::new(Inbox::default()));
        inbox.open();
        let offers = vec![offer("beeper.toggle", Parameter::None)];
        let announced = switchboard.announce("ups.0", offers, Arc::clone(&inbox));
        (switchboard, inbox, announced)
    }

    const SHORT: Duration = Duration::from_millis(100);

    #[test]
    fn what_a_mute_target_has_not_dealt_with_makes_it_busy_at_once() {
        let (switchboard, inbox, _announced) = mute();
        let tell = |time| switchboard.run_for_plugin(time, "x", "ups.0", "beeper.toggle", None);
        let begun = Instant::now();
        assert_eq!(tell(SHORT), Err(CommandError::Late));
        assert!((SHORT..HELD_MIN).contains(&begun.elapsed()));
        // Nobody waits for it any more, and it is there all the same.
        let begun = Instant::now();
        assert_eq!(tell(Duration::from_secs(60)), Err(CommandError::Busy));
        assert!(begun.elapsed() < Duration::from_secs(30));
        // The driver is started anew: what waited is gone with the old one.
        inbox.close();
        let error = tell(Duration::from_secs(60)).expect_err("it does not run");
        assert_eq!(error, CommandError::Failed("the plugin is not running".to_owned()));
    }

    #[test]
    fn what_took_long_and_failed_holds_no_plugin_again_for_as_long() {
        let (switchboard, inbox, _announced) = mute();
        let tell = |time| switchboard.run_for_plugin(time, "x", "ups.0", "beeper.toggle", None);
        assert_eq!(tell(Duration::from_secs(2)), Err(CommandError::Late));
        inbox.close();
        inbox.open();
        assert_eq!(tell(SHORT), Err(CommandError::Busy), "it rests for two seconds");
        // A person has the time.
        let deadline = Instant::now() + Duration::from_secs(60);
        let patient = (SHORT, Patience::Own);
        let by_hand = switchboard.tell(patient, "ada", "ups.0", "beeper.toggle", None);
        assert_eq!(by_hand, Err(CommandError::Late));
        inbox.close();
        inbox.open();
        while tell(SHORT) == Err(CommandError::Busy) {
            assert!(Instant::now() < deadline, "it rests for ever");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn a_value_fits_its_parameter_or_not() {
        let words = Parameter::Word(vec!["on".to_owned(), "off".to_owned()]);
        for (parameter, good, bad) in [
            (Parameter::Number(-5, 5), "-5", "6"),
            (Parameter::Number(0, 5), "0", "1.5"),
            (words, "off", "OFF"),
            (Parameter::Text(3), "°C", "abcd"),
            (Parameter::Text(9), "", "a\nb"),
        ] {
            assert_eq!(parameter.check(Some(good)), Ok(()), "{parameter}");
            assert!(parameter.check(Some(bad)).is_err(), "{parameter}");
            assert!(parameter.check(None).is_err(), "{parameter}");
        }
        assert!(Parameter::None.check(Some("")).is_err());
    }
}
