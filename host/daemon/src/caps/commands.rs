//! `evenkeel:commands`: a driver offers what can be told to its device, and
//! others tell it.
//!
//! Offers stand for the plugin's own subtree and end with its instance. What a
//! plugin may tell whom are the patterns granted to it, under whatever logical
//! names; a dangerous command must be granted by its whole name
//! ([`crate::grants::CommandPattern`]). A plugin learns nothing of commands
//! that it may not give.

use super::meter::{Meter, Way};
use super::rates::{Rates, WRITTEN};
use super::{Site, Who};
use crate::clock;
use crate::commands::{Announced, CommandError, Offer, PLUGIN_RUN_MAX, Parameter, Switchboard};
use crate::grants::CommandPattern;
use crate::plugin::bindings::commands::{commands as wit, offers, types};
use crate::plugin::inbox::Inbox;
use evenkeel_core::points::{Name, NameError};
use evenkeel_core::time::Nanos;
use evenkeel_signing::is_printable;
use std::sync::Arc;
use std::time::Instant;

/// Giving commands.
pub const INTERFACE: &str = "evenkeel:commands/commands@0.1.0";
/// Offering them.
pub const OFFERS_INTERFACE: &str = "evenkeel:commands/offers@0.1.0";
/// Offers of one plugin.
pub const OFFERS_MAX: usize = 64;
/// Longest description, bytes.
pub const DESCRIPTION_MAX: usize = 200;
/// Words of one parameter, and bytes of one word.
pub const WORDS_MAX: usize = 32;
/// Longest text that a command takes, bytes.
pub const TEXT_MAX: u32 = 256;

/// A driver's side.
#[derive(Debug)]
pub struct Offers {
    who: Who,
    switchboard: Arc<Switchboard>,
    inbox: Arc<Inbox>,
    /// What stands; withdrawn with this.
    announced: Option<Announced>,
}

/// Why an announcement is not accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Nothing is granted under which it could stand.
    #[error("no subtree of points is granted, so there is no target to offer commands for")]
    NoTarget,
    /// Malformed.
    #[error("not a command name: {0}")]
    Name(NameError),
    /// Twice the same.
    #[error("the command {0:?} is offered twice")]
    Twice(String),
    /// Nothing to show to people.
    #[error("{0:?} needs a description of 1 to {DESCRIPTION_MAX} visible bytes")]
    Description(String),
    /// No value could ever fit, or too many words.
    #[error("the parameter of {0:?} is empty, too long, or not visible")]
    Parameter(String),
    /// Too many.
    #[error("{0} offers, {OFFERS_MAX} are possible")]
    Count(usize),
}

impl OfferError {
    /// The code in `commands.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Count(_) => 2,
            _ => 1,
        }
    }
}

impl Offers {
    /// For the device of this plugin.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        let (who, inbox) = (site.who.clone(), Arc::clone(site.inbox));
        Self { who, switchboard: Arc::clone(&site.services.commands), inbox, announced: None }
    }

    fn accept(&mut self, list: Vec<offers::Offer>) -> Result<(), OfferError> {
        if self.who.points.is_empty() {
            return Err(OfferError::NoTarget);
        }
        if list.len() > OFFERS_MAX {
            return Err(OfferError::Count(list.len()));
        }
        let mut checked: Vec<Offer> = Vec::with_capacity(list.len());
        for offer in list {
            let offer = check(offer)?;
            if checked.iter().any(|other| other.name == offer.name) {
                return Err(OfferError::Twice(offer.name));
            }
            checked.push(offer);
        }
        let (target, inbox) = (&self.who.points, Arc::clone(&self.inbox));
        self.announced = Some(self.switchboard.announce(target, checked, inbox));
        Ok(())
    }
}

impl offers::Host for Offers {
    fn announce(&mut self, list: Vec<offers::Offer>) -> Result<(), offers::Error> {
        self.accept(list)
            .map_err(|error| offers::Error { code: error.code(), detail: error.to_string() })
    }
}

fn check(offer: offers::Offer) -> Result<Offer, OfferError> {
    let offers::Offer { name, description, parameter } = offer;
    Name::parse(&name).map_err(OfferError::Name)?;
    let visible =
        |text: &str, max: usize| (1..=max).contains(&text.len()) && text.chars().all(is_printable);
    if !visible(&description, DESCRIPTION_MAX) || description.trim().is_empty() {
        return Err(OfferError::Description(name));
    }
    let parameter = match parameter {
        types::Parameter::None => Parameter::None,
        types::Parameter::Number((low, high)) if low <= high => Parameter::Number(low, high),
        types::Parameter::Word(words)
            if (1..=WORDS_MAX).contains(&words.len())
                && words.iter().all(|word| visible(word, WORDS_MAX)) =>
        {
            Parameter::Word(words)
        }
        types::Parameter::Text(max) if (1..=TEXT_MAX).contains(&max) => Parameter::Text(max),
        _ => return Err(OfferError::Parameter(name)),
    };
    Ok(Offer { name, description, parameter })
}

/// The side of those who tell others.
#[derive(Debug)]
pub struct Commands {
    who: Who,
    switchboard: Arc<Switchboard>,
    allowed: Vec<CommandPattern>,
    rates: Arc<Rates>,
    meter: Arc<Meter>,
    /// Until then the present call may wait for commands.
    wait_until: Instant,
}

impl Commands {
    /// What is granted to this plugin.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        Self {
            who: site.who.clone(),
            switchboard: Arc::clone(&site.services.commands),
            allowed: site.grants.commands.values().flatten().cloned().collect(),
            rates: Arc::clone(&site.services.rates),
            meter: Arc::clone(site.meter),
            wait_until: Instant::now() + PLUGIN_RUN_MAX,
        }
    }

    /// A call into the plugin begins; all commands that it gives share
    /// [`PLUGIN_RUN_MAX`].
    pub fn begin_call(&mut self) {
        self.wait_until = Instant::now() + PLUGIN_RUN_MAX;
    }

    fn allows(&self, target: &str, name: &str) -> bool {
        self.allowed.iter().any(|pattern| pattern.allows(target, name))
    }

    fn refuse(&self, target: &str, name: &str) -> Option<wit::Error> {
        if !self.allows(target, name) {
            let detail = format!(
                "{name:?} to {target:?} is not granted; a dangerous command must be granted by \
                 its whole name"
            );
            self.meter.refuse("command not granted", &detail, clock::now());
            return Some(wit::Error { code: 1, detail: super::one_line(&detail, 400) });
        }
        None
    }
}

impl Commands {
    fn run_at(
        &self,
        target: &str,
        name: &str,
        value: Option<&str>,
        now: Nanos,
    ) -> Result<(), wit::Error> {
        if let Some(refused) = self.refuse(target, name) {
            return Err(refused);
        }
        if !self.rates.write(&self.who.name, now) {
            let (most, minutes) = (WRITTEN.most, WRITTEN.every.as_millis() / 60_000);
            let detail = format!("more than {most} commands at once and one in {minutes} min");
            self.meter.refuse("command quota", &detail, now);
            return Err(wit::Error { code: CommandError::Busy.code(), detail });
        }
        let left = self.wait_until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let detail = format!(
                "commands have held this call for {} s; give no more in it",
                PLUGIN_RUN_MAX.as_secs()
            );
            return Err(wit::Error { code: CommandError::Busy.code(), detail });
        }
        let who = format!("plugin {}", self.who.name);
        self.switchboard
            .run_for_plugin(left, &who, target, name, value)
            .map_err(|error| wit::Error { code: error.code(), detail: error.to_string() })
    }
}

impl wit::Host for Commands {
    fn list(&mut self) -> Vec<wit::Command> {
        let all = self.switchboard.list().into_iter();
        let allowed = all.filter(|one| self.allows(&one.target, &one.offer.name));
        let told = |one: crate::commands::Offered| wit::Command {
            target: one.target,
            name: one.offer.name,
            description: one.offer.description,
            parameter: match one.offer.parameter {
                Parameter::None => types::Parameter::None,
                Parameter::Number(low, high) => types::Parameter::Number((low, high)),
                Parameter::Word(words) => types::Parameter::Word(words),
                Parameter::Text(max) => types::Parameter::Text(max),
            },
        };
        allowed.map(told).collect()
    }

    fn run(
        &mut self,
        target: String,
        name: String,
        value: Option<String>,
    ) -> Result<(), wit::Error> {
        let len = target.len() + name.len() + value.as_ref().map_or(0, String::len);
        self.meter.sent(Way::Host, len);
        self.run_at(&target, &name, value.as_deref(), clock::now())
    }
}

#[cfg(test)]
mod tests {
    use super::offers::Host as _;
    use super::wit::Host as _;
    use super::*;
    use crate::caps::net_server::limits::SERVE_WAIT;
    use crate::caps::testing::Place;
    use std::time::Instant;

    fn offer(name: &str, parameter: types::Parameter) -> offers::Offer {
        offers::Offer { name: name.to_owned(), description: "Does it".to_owned(), parameter }
    }

    fn granted(patterns: &[&str]) -> (Offers, Commands) {
        let mut here = Place::default();
        let patterns = patterns.iter().map(|text| text.parse().expect("a pattern")).collect();
        here.grants.commands.insert("ups".into(), patterns);
        let mut offers = Offers::new(&here.site());
        let names = ["beeper.toggle", "load.off", "test.battery.start.quick"];
        let all = names.map(|name| offer(name, types::Parameter::None)).to_vec();
        offers.announce(all).expect("accepted");
        let commands = Commands::new(&here.site());
        (offers, commands)
    }

    fn code(commands: &mut Commands, target: &str, name: &str) -> Option<u32> {
        commands.run(target.into(), name.into(), None).err().map(|error| error.code)
    }

    #[test]
    fn what_is_not_granted_is_denied_and_not_even_seen() {
        let (_offers, mut commands) = granted(&["ups.0:test.battery.*"]);
        let seen: Vec<String> = commands.list().into_iter().map(|one| one.name).collect();
        assert_eq!(seen, ["test.battery.start.quick"]);
        // The driver of this test does not run: granted, and it failed.
        assert_eq!(code(&mut commands, "ups.0", "test.battery.start.quick"), Some(4));
        assert_eq!(code(&mut commands, "ups.0", "test.battery.stop"), Some(2), "not offered");
        for (target, name) in [
            ("ups.0", "beeper.toggle"),
            ("ups.1", "test.battery.start.quick"),
            ("ups.0", "load.off"),
        ] {
            assert_eq!(code(&mut commands, target, name), Some(1), "{target}:{name}");
        }
        let (_offers, mut nothing) = granted(&[]);
        assert!(nothing.list().is_empty());
        assert_eq!(code(&mut nothing, "ups.0", "beeper.toggle"), Some(1));
    }

    #[test]
    fn a_dangerous_command_is_granted_by_its_name_alone() {
        let (_offers, mut all) = granted(&["ups.0:*"]);
        assert_eq!(code(&mut all, "ups.0", "load.off"), Some(1));
        assert!(all.list().iter().all(|one| one.name != "load.off"));
        let (_offers, mut named) = granted(&["ups.0:load.off"]);
        assert_eq!(code(&mut named, "ups.0", "load.off"), Some(4), "the driver does not run");
    }

    #[test]
    fn offers_end_with_the_instance() {
        let (offers, mut commands) = granted(&["ups.0:*"]);
        assert_eq!(commands.list().len(), 2);
        drop(offers);
        assert!(commands.list().is_empty());
    }

    #[test]
    fn offers_are_looked_at() {
        let place = Place::default();
        let mut offers = Offers::new(&place.site());
        let mut code = |list: Vec<offers::Offer>| offers.announce(list).err().map(|e| e.code);
        use types::Parameter as P;
        assert_eq!(code(vec![offer("Load.Off", P::None)]), Some(1));
        assert_eq!(code(vec![offer("a", P::Number((2, 1)))]), Some(1));
        assert_eq!(code(vec![offer("a", P::Word(vec![]))]), Some(1));
        assert_eq!(code(vec![offer("a", P::Text(9_999))]), Some(1));
        assert_eq!(code(vec![offer("a", P::None), offer("a", P::None)]), Some(1));
        let hidden = offers::Offer { description: "\u{1b}".into(), ..offer("a", P::None) };
        assert_eq!(code(vec![hidden]), Some(1));
        let many = (0..65).map(|i| offer(&format!("c{i}"), P::None)).collect();
        assert_eq!(code(many), Some(2));
        assert_eq!(code(vec![offer("a", P::Number((-1, 1)))]), None);
    }

    /// The gateway's thread is back long before those who wait for it are closed,
    /// however many of them have something to tell.
    #[test]
    fn mute_targets_hold_the_plugin_once_and_what_is_late_is_said_so() {
        let mut here = Place::default();
        let patterns = ["ups.0:*", "ups.1:*"].map(|text| text.parse().expect("a pattern"));
        here.grants.commands.insert("ups".into(), patterns.to_vec());
        // Drivers that run, and that never come to their errands.
        here.inbox.open();
        let announce = |here: &Place| {
            let mut offers = Offers::new(&here.site());
            offers
                .announce(vec![offer("beeper.toggle", types::Parameter::None)])
                .expect("accepted");
            offers
        };
        let _first = announce(&here);
        here.who.points = "ups.1".into();
        let _second = announce(&here);
        let mut commands = Commands::new(&here.site());
        let begun = Instant::now();
        commands.begin_call();
        let told = |commands: &Commands, target: &str| {
            commands.run_at(target, "beeper.toggle", None, Nanos(1)).expect_err("mute")
        };
        let error = told(&commands, "ups.0");
        assert!(begun.elapsed() >= PLUGIN_RUN_MAX, "{error:?}");
        assert_eq!((error.code, error.detail.contains("not confirmed in time")), (6, true));
        let error = told(&commands, "ups.1");
        assert_eq!((error.code, error.detail.contains("held this call for 8 s")), (5, true));
        // The next in the line, and the one behind it.
        for _ in 0..2 {
            commands.begin_call();
            let error = told(&commands, "ups.0");
            assert_eq!((error.code, error.detail.contains("earlier commands")), (5, true));
        }
        assert!(begun.elapsed() < SERVE_WAIT / 2, "all of it: {:?}", begun.elapsed());
    }

    #[test]
    fn a_flood_of_commands_is_busy() {
        let (_offers, mut commands) = granted(&["ups.0:*"]);
        let tried = (0..100).filter(|_| code(&mut commands, "ups.0", "beeper.toggle") == Some(4));
        assert!(tried.count() <= WRITTEN.most as usize + 1);
        assert_eq!(code(&mut commands, "ups.0", "beeper.toggle"), Some(5));
    }

    #[test]
    fn a_day_of_commands_is_the_rate_however_often_the_plugin_falls() {
        let mut here = Place::default();
        here.grants.commands.insert("ups".into(), vec!["ups.0:*".parse().expect("a pattern")]);
        let mut offers = Offers::new(&here.site());
        offers.announce(vec![offer("beeper.toggle", types::Parameter::None)]).expect("accepted");
        let day = (0..86_400).filter(|s| {
            // A new instance each time: nothing is forgotten with the old one.
            let commands = Commands::new(&here.site());
            let done = commands.run_at("ups.0", "beeper.toggle", None, Nanos::from_secs(*s));
            // The driver of this test does not run: admitted, and it failed.
            done.expect_err("not done").code == 4
        });
        let most = u64::from(WRITTEN.most) + 86_400_000 / WRITTEN.every.as_millis();
        let given = day.count() as u64;
        assert!((most - 1..=most).contains(&given), "{given} of {most}");
    }
}
