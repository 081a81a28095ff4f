//! What each step of the setup shows, and what its buttons do: always what an
//! ordinary page does, for who may do it there.

use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::accounts::{FirstPassword, NewUserIn, roles_of, users_of};
use crate::console::api::site;
use crate::console::api::webhooks::{WebhookIn, WebhookOut, accept, attempt, listed};
use crate::console::by::By;
use crate::console::orders::{OrderIn, give};
use crate::console::page::Refused;
use crate::console::pages::automation;
use crate::console::pages::bus_work::bus_work;
use crate::console::pages::edit;
use crate::console::pages::fields::Fields;
use crate::console::pages::reader::Reader;
use crate::console::pages::thresholds;
use crate::console::problem::Problem;
use crate::console::setup::Step;
use crate::jobs::Named;
use crate::plugin_status::PluginState;
use crate::site::Site;
use crate::words::Lang;
use axum::http::StatusCode;
use fluent_bundle::FluentArgs;
use std::collections::BTreeSet;

/// What came of a button.
pub enum Outcome {
    /// The step is settled.
    Settled,
    /// It is left for later.
    Left,
    /// Something began; the step is looked at again.
    Again,
    /// The step as it is to be shown, and what is wrong.
    Shown(StatusCode, Content, String),
}

/// What a step shows.
pub enum Content {
    /// Who the appliance is, and its clock.
    Appliance {
        /// Name and value.
        facts: Vec<(String, String)>,
        /// What the site is called and where it is.
        site: Site,
        /// Its time zone.
        zone: String,
        /// Language of its messages: tag, own name, chosen.
        languages: Vec<(&'static str, &'static str, bool)>,
        /// Stands for the document that was seen.
        seen: String,
    },
    /// The battery.
    Battery {
        /// Name, blocks by their type, how it is.
        strings: Vec<[String; 3]>,
        /// Number, stations found, work that goes on.
        buses: Vec<(u8, String, String)>,
    },
    /// What holds: quantity, warning, alarm.
    Limits(Vec<[String; 3]>),
    /// Whom jobs may tell.
    Receiver {
        /// Those that there are.
        receivers: Vec<WebhookOut>,
        /// What was entered.
        fields: Fields,
        /// A key that was made, shown once, and whether the test message came.
        made: Option<Made>,
    },
    /// Drivers and UPSes.
    Ups {
        /// Name and state of each plugin.
        plugins: Vec<(String, String)>,
        /// What UPSes are called.
        upses: BTreeSet<String>,
    },
    /// Who signs in.
    Users {
        /// Name and roles.
        users: Vec<(String, String)>,
        /// Roles that can be given.
        roles: Vec<String>,
        /// Of somebody who was added; shown once.
        first: Option<FirstPassword>,
    },
}

/// A receiver that was just made.
pub struct Made {
    /// Its key, if one was made.
    pub key: Option<String>,
    /// It took the test message.
    pub taken: bool,
    /// That, in words.
    pub said: String,
}

/// What a step shows now, to who may see that elsewhere.
pub fn content(console: &Console, reader: &Reader, step: Step) -> Result<Content, Problem> {
    let area = match step {
        Step::Appliance | Step::Receiver => Area::Automation,
        Step::Battery => Area::Battery,
        Step::Limits => Area::Alarms,
        Step::Ups => Area::Plugins,
        Step::Users => Area::Accounts,
    };
    if !reader.caller.may(area, Level::View) {
        return Err(Problem::not_allowed(&reader.caller.user, area, Level::View));
    }
    Ok(match step {
        Step::Appliance => appliance(console, reader, None),
        Step::Battery => battery(console, reader),
        Step::Limits => Content::Limits(thresholds::in_force(console, reader)),
        Step::Receiver => {
            let mut fields = Fields::default();
            fields.set("name", "operations");
            Content::Receiver { receivers: listed(console), fields, made: None }
        }
        Step::Ups => ups(console, reader),
        Step::Users => users(console, None)?,
    })
}

/// Do what a button of a step says, other than leaving or settling it.
pub async fn perform(
    by: &By,
    reader: &Reader,
    step: Step,
    sent: &Fields,
) -> Result<Outcome, Refused> {
    match (step, sent.one("act")) {
        (Step::Appliance, "save") => save_clock(by, reader, sent).await,
        (Step::Battery, "discover") => {
            let bus = sent.one("bus").parse();
            let bus = bus.map_err(|_| Problem::bad_request("a bus is a number from 1"))?;
            give(by, OrderIn::Discover { bus }).await?;
            Ok(Outcome::Again)
        }
        (Step::Receiver, "save") => save_receiver(by, reader, sent).await,
        (Step::Users, "add") => add_user(by, sent).await,
        _ => Err(Problem::bad_request("there is no such button").into()),
    }
}

/// The step is the appliance's; what it changes may be another's.
fn need(by: &By, area: Area) -> Result<(), Problem> {
    let level = Level::Configure;
    let refused = || Problem::not_allowed(&by.caller.user, area, level);
    by.caller.may(area, level).then_some(()).ok_or_else(refused)
}

async fn save_clock(by: &By, reader: &Reader, sent: &Fields) -> Result<Outcome, Refused> {
    need(by, Area::Automation)?;
    need(by, Area::System)?;
    let site = Site { name: sent.one("name").to_owned(), place: sent.one("place").to_owned() };
    let site = match site.checked() {
        Ok(site) => site,
        Err(wrong) => {
            let content = appliance(&by.console, reader, Some(sent));
            return Ok(Outcome::Shown(StatusCode::UNPROCESSABLE_ENTITY, content, wrong));
        }
    };
    let (mut document, _) = automation::present(&by.console);
    sent.one("zone").clone_into(&mut document.zone);
    sent.one("lang").clone_into(&mut document.lang);
    let errors = edit::put((by, reader), document, sent, "").await;
    if errors.is_empty() {
        site::name(by, site).await?;
        return Ok(Outcome::Settled);
    }
    let content = appliance(&by.console, reader, Some(sent));
    Ok(Outcome::Shown(errors.status(), content, errors.whole))
}

async fn save_receiver(by: &By, reader: &Reader, sent: &Fields) -> Result<Outcome, Refused> {
    need(by, Area::System)?;
    let name = sent.one("name").to_owned();
    let (url, none) = (sent.one("url").to_owned(), None);
    let wanted = WebhookIn { url, key: None, ca: None, server_name: None, pin_sha256: none };
    let is_new = listed(&by.console).iter().all(|webhook| webhook.name != name);
    let done = match is_new {
        true => accept(by, name.clone(), wanted).await,
        false => Err(Problem::new(StatusCode::CONFLICT, "taken", "There is one of this name")
            .detail(reader.word("page-name-taken"))),
    };
    let key = match done {
        Ok(key) => key,
        Err(problem) if problem.status() == StatusCode::CONFLICT => {
            let (receivers, fields) = (listed(&by.console), sent.clone());
            let content = Content::Receiver { receivers, fields, made: None };
            return Ok(Outcome::Shown(StatusCode::UNPROCESSABLE_ENTITY, content, problem.text()));
        }
        Err(problem) => return Err(problem.into()),
    };
    let reason = attempt(by, name.clone()).await?;
    let (taken, mut args) = (reason.is_none(), FluentArgs::new());
    args.set("name", name);
    args.set("reason", reason.unwrap_or_default());
    let said = reader.say(if taken { "page-webhook-took" } else { "page-webhook-took-not" }, &args);
    let made = Some(Made { key, taken, said });
    let content =
        Content::Receiver { receivers: listed(&by.console), fields: Fields::default(), made };
    Ok(Outcome::Shown(StatusCode::OK, content, String::new()))
}

async fn add_user(by: &By, sent: &Fields) -> Result<Outcome, Refused> {
    need(by, Area::Accounts)?;
    if !by.caller.proven {
        return Err(Problem::step_up().into());
    }
    let (name, roles) = (sent.one("name").to_owned(), sent.all("role"));
    let user = NewUserIn { name, roles, groups: BTreeSet::new(), expires_unix_ms: None };
    match by.add_user(user).await {
        Ok(first) => {
            let content = users(&by.console, Some(first))?;
            Ok(Outcome::Shown(StatusCode::OK, content, String::new()))
        }
        Err(problem) if problem.status().is_client_error() => {
            let content = users(&by.console, None)?;
            Ok(Outcome::Shown(StatusCode::UNPROCESSABLE_ENTITY, content, problem.text()))
        }
        Err(problem) => Err(problem.into()),
    }
}

fn appliance(console: &Console, reader: &Reader, sent: Option<&Fields>) -> Content {
    let (document, seen) = automation::present(console);
    let entered = |field: &str, kept: &str| {
        sent.map_or_else(|| kept.to_owned(), |sent| sent.one(field).to_owned())
    };
    let kept = console.site();
    let site = Site { name: entered("name", &kept.name), place: entered("place", &kept.place) };
    let (zone, lang) = (entered("zone", &document.zone), entered("lang", &document.lang));
    let now = Named::find(&document.zone).map(|zone| zone.written(clock::unix_ms()));
    let shown = console.certificates.status(clock::now());
    let facts = [
        ("page-setup-name", console.certificates.host_name()),
        ("page-setup-serial", console.licences.status().serial),
        ("page-setup-now", now.unwrap_or_default()),
        ("page-certificate-fingerprint", shown.map_or_else(String::new, |s| s.shown.fingerprint)),
    ];
    Content::Appliance {
        facts: facts.map(|(name, text)| (reader.word(name), text)).to_vec(),
        site,
        languages: Lang::ALL.map(|l| (l.tag(), l.own_name(), l.tag() == lang)).to_vec(),
        zone,
        seen,
    }
}

fn battery(console: &Console, reader: &Reader) -> Content {
    let Some(plant) = console.hub.plant() else {
        return Content::Battery { strings: Vec::new(), buses: Vec::new() };
    };
    let runs = console.hub.batteries();
    let number = |count: usize| {
        let mut args = FluentArgs::new();
        args.set("count", count as f64);
        reader.say("page-setup-blocks", &args)
    };
    let strings = plant.strings.iter().enumerate().map(|(index, name)| {
        let types = runs.get(index).into_iter().flatten();
        let types: Vec<_> = types.map(|(battery, count)| format!("{count} × {battery}")).collect();
        let blocks = plant.snapshot.blocks_of(index);
        let seen = blocks.iter().filter(|block| block.serial != 0).count();
        let types = if types.is_empty() { number(blocks.len()) } else { types.join(", ") };
        let mut args = FluentArgs::new();
        args.set("seen", seen as f64);
        args.set("of", blocks.len() as f64);
        [name.clone(), types, reader.say("page-setup-seen", &args)]
    });
    let strings = strings.collect();
    let buses = plant.snapshot.buses.iter().zip(1u8..).map(|(bus, number)| {
        let mut args = FluentArgs::new();
        args.set("count", bus.found.len() as f64);
        let found = match bus.found.is_empty() {
            true => reader.word("page-setup-not-searched"),
            false => reader.say("page-setup-found", &args),
        };
        (number, found, bus_work(reader.lang, bus.work))
    });
    Content::Battery { strings, buses: buses.collect() }
}

fn ups(console: &Console, reader: &Reader) -> Content {
    let plugins = console.plugins.plugins().into_iter();
    let state = |state: PluginState| reader.word(&format!("page-plugin-is-{}", state.as_str()));
    let plugins = plugins.map(|plugin| (plugin.name, state(plugin.state))).collect();
    let points = console.hub.query("ups");
    let of = |name: &String| name.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    Content::Ups { plugins, upses: points.iter().map(|(name, _)| of(name)).collect() }
}

fn users(console: &Console, first: Option<FirstPassword>) -> Result<Content, Problem> {
    let users = users_of(console)?.into_iter();
    let users = users.map(|user| {
        let roles: Vec<_> = user.roles.into_iter().chain(user.groups).collect();
        (user.name, roles.join(", "))
    });
    let roles = roles_of(console)?.into_iter().map(|role| role.name).collect();
    Ok(Content::Users { users: users.collect(), roles, first })
}
