//! What an administrator set, whole: taken away as a file, put back from one,
//! and back to an earlier revision (facts/console-ux.md §4.8, UX-091, UX-093;
//! facts/appliance-security.md SEC-084).
//!
//! A change is [looked at](look) first, which says document by document what
//! would differ, and then [taken](take): all of it comes into force, or nothing
//! does. Each document goes through the checks of its own page, and whoever
//! changes it may do so there.
//!
//! Accounts are not among the documents: users, roles, groups and tokens are not
//! in the file and not changed by one, so that no edited file gives anybody
//! rights. Nor are keys, certificates, licences and plugins: they belong to this
//! one appliance, or need a person's consent.

pub mod diff;
pub mod file;
pub mod masks;

use super::Console;
use super::api::guard_settings::{self as guard_settings_api, in_force as in_force_at_guard};
use super::by::By;
use super::problem::Problem;
use super::{required_factor, sign_in_settings};
use crate::accounts::required::{self, Required};
use crate::accounts::rights::{Area, Level};
use crate::alarms;
use crate::config;
use crate::failure::chain;
use crate::guard_settings;
use crate::jobs;
use crate::jobs::receivers::{self, Offer};
use crate::login::LoginSettings;
use crate::site::{self, Site};
use crate::store::{Revision, StoreError};
use axum::http::StatusCode;
use diff::Line;
use evenkeel_core::alarm::Thresholds;
use evenkeel_core::settings::forms::Kind;
use masks::Masks;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::Table;

/// A document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// When there is an alarm.
    Thresholds,
    /// Rules, jobs and calendar.
    Automation,
    /// Whom jobs may tell.
    Webhooks,
    /// Who else decides about sign-ins.
    Login,
    /// Which roles require a second factor.
    SecondFactor,
    /// What the site is called.
    Site,
    /// By what the guard protects.
    Guard,
    /// The daemon's own file, which is changed where it lies.
    Appliance,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Thresholds,
        Self::Automation,
        Self::Webhooks,
        Self::Login,
        Self::SecondFactor,
        Self::Site,
        Self::Guard,
        Self::Appliance,
    ];

    /// As the store knows it.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Guard => guard_settings::DOCUMENT,
            Self::Thresholds => alarms::DOCUMENT,
            Self::Automation => jobs::DOCUMENT,
            Self::Webhooks => receivers::DOCUMENT,
            Self::Login => sign_in_settings::DOCUMENT,
            Self::SecondFactor => required::DOCUMENT,
            Self::Site => site::DOCUMENT,
            Self::Appliance => config::DOCUMENT,
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.kind().name
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// Who may see it sees this.
    #[must_use]
    pub const fn seen_in(self) -> Area {
        match self {
            Self::Guard => Area::Battery,
            Self::Thresholds => Area::Alarms,
            Self::Automation | Self::Webhooks => Area::Automation,
            Self::Login | Self::SecondFactor => Area::Accounts,
            Self::Site | Self::Appliance => Area::System,
        }
    }

    /// Who may change it configures this; `None`: nobody may here.
    #[must_use]
    pub const fn changed_in(self) -> Option<Area> {
        match self {
            Self::Guard => Some(Area::Battery),
            Self::Thresholds => Some(Area::Alarms),
            Self::Automation => Some(Area::Automation),
            Self::Webhooks | Self::Site => Some(Area::System),
            Self::Login | Self::SecondFactor => Some(Area::Accounts),
            Self::Appliance => None,
        }
    }
}

/// What would become of one document.
pub struct Planned {
    /// Which.
    pub part: Part,
    /// What differs; nothing: it stays as it is.
    pub lines: Vec<Line>,
    /// Why it cannot come into force.
    pub refused: Option<Problem>,
}

/// What would become of all of them.
pub struct Plan {
    /// Each document that was named.
    pub documents: Vec<Planned>,
    /// Stands for what was in force then.
    pub mark: String,
    ready: Ready,
    /// What is to be kept.
    kept: Vec<(Kind, String)>,
}

impl Plan {
    /// The web servers for which a key would be made.
    #[must_use]
    pub fn keyless(&self) -> Vec<String> {
        let offer = self.ready.webhooks.iter();
        offer.flat_map(|offer| offer.made.keys().cloned()).collect()
    }

    /// One document more: what it will be.
    fn add(
        &mut self,
        by: &By,
        part: Part,
        wanted: &Table,
        before: &Table,
    ) -> Result<Table, Problem> {
        let mut table = wanted.clone();
        masks::put_in(part, &mut table, before).map_err(|mac| {
            let text = "its secure_on is not known here; write it in the file, or take it out";
            refused(format!("the network card {mac}: {text}"))
        })?;
        let text = prepared(by, part, &table.to_string(), &mut self.ready)?;
        let after: Table = text.parse().unwrap_or_default();
        if after == *before {
            // Whoever may not change it may leave it as it is.
            self.ready.forget(part);
            return Ok(after);
        }
        let area = part.changed_in().unwrap_or(Area::System);
        if !by.caller.may(area, Level::Configure) {
            return Err(Problem::not_allowed(&by.caller.user, area, Level::Configure));
        }
        if let Some(settings) = self.ready.login.take_if(|_| part == Part::Login) {
            self.ready.login = Some(sign_in_settings::checked(by, settings)?);
        }
        if part == Part::SecondFactor
            && let Some(wanted) = &self.ready.second_factor
        {
            required_factor::check(by, wanted)?;
        }
        self.kept.push((part.kind(), text));
        Ok(after)
    }
}

/// What was done.
pub struct Taken {
    /// Each document that was named.
    pub documents: Vec<Planned>,
    /// The keys that were made, by the names of the web servers.
    pub keys: BTreeMap<String, String>,
}

/// What can come into force at once.
#[derive(Default)]
struct Ready {
    guard: Option<String>,
    thresholds: Option<Thresholds>,
    automation: Option<jobs::Ready>,
    webhooks: Option<Offer>,
    login: Option<LoginSettings>,
    second_factor: Option<Required>,
    site: Option<Site>,
}

/// The file of what this person may see.
///
/// # Errors
/// When the store cannot be read.
pub async fn export(By { console, caller, .. }: &By) -> Result<String, Problem> {
    let mut documents = BTreeMap::new();
    for part in Part::ALL.into_iter().filter(|part| caller.may(part.seen_in(), Level::View)) {
        let table = in_force(console, part).await?;
        if part == Part::Guard && table.is_empty() {
            // It was never reached: an empty document would say that there is nothing.
            continue;
        }
        documents.insert(part, masks::taken_out(part, table));
    }
    let mut plugins = Vec::new();
    if caller.may(Area::Plugins, Level::View) {
        for status in console.plugins.plugins() {
            // One that was removed just now is none.
            if let Ok(Ok(detail)) = console.plugins.detail(status.name).await {
                plugins.extend(toml::Value::try_from(detail.plugin).ok());
            }
        }
    }
    Ok(file::write(crate::clock::unix_ms(), documents, plugins))
}

/// A document in force, with its secrets.
///
/// # Errors
/// When the store cannot be read.
pub async fn in_force(console: &Arc<Console>, part: Part) -> Result<Table, Problem> {
    let text = match part {
        Part::Appliance => {
            let newest = revisions(console, part).await?.into_iter().next();
            newest.map(|revision| revision.text).unwrap_or_default()
        }
        _ => text_in_force(console, part),
    };
    // It was read before it came into force.
    Ok(text.parse().unwrap_or_default())
}

fn text_in_force(console: &Console, part: Part) -> String {
    match part {
        Part::Guard => console.hub.guard_settings().map_or_else(String::new, |s| s.text.clone()),
        Part::Thresholds => console.alarms.thresholds().to_toml(),
        Part::Automation => console.automation.text(),
        Part::Webhooks => console.automation.receivers().text(),
        Part::Login => {
            toml::to_string(&console.remote.settings()).expect("text keys and plain values")
        }
        Part::Site => console.site().text(),
        Part::SecondFactor => console.accounts.required().text(),
        // Of this one only what is kept is known.
        Part::Appliance => String::new(),
    }
}

/// The revisions that this program can read, newest first.
///
/// # Errors
/// When the store cannot be read.
pub async fn revisions(console: &Arc<Console>, part: Part) -> Result<Vec<Revision>, Problem> {
    let store = Arc::clone(&console.store);
    let read = move || store.settings(&part.kind());
    super::api::off_thread(console, read).await?.map_err(|e| Problem::store(&e))
}

/// A revision as a document, with its secrets.
///
/// # Errors
/// When there is no such revision, or it cannot be read.
pub async fn revision(console: &Arc<Console>, part: Part, number: u64) -> Result<Table, Problem> {
    let all = revisions(console, part).await?;
    let none = |why: &str| {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such revision")
            .detail(format!("revision {number} of {} {why}", part.name()))
    };
    let found = all.into_iter().find(|revision| revision.revision == number);
    let found = found.ok_or_else(|| none("is not kept"))?;
    found.text.parse().map_err(|_| none("cannot be read"))
}

/// Look at what these documents would change. One that could not come into force
/// says why.
pub fn look(by: &By, wanted: &BTreeMap<Part, Table>) -> Plan {
    let mut plan = Plan {
        documents: Vec::new(),
        mark: mark(&by.console),
        ready: Ready::default(),
        kept: Vec::new(),
    };
    // Web servers come first: jobs name them.
    let mut parts: Vec<Part> = wanted.keys().copied().collect();
    parts.sort_by_key(|part| *part != Part::Webhooks);
    for part in parts {
        let area = part.seen_in();
        if !by.caller.may(area, Level::View) {
            let problem = Problem::not_allowed(&by.caller.user, area, Level::View);
            // What differs would tell them what is in force.
            let refused = Some(named(part, problem));
            plan.documents.push(Planned { part, lines: Vec::new(), refused });
            continue;
        }
        let before: Table = text_in_force(&by.console, part).parse().unwrap_or_default();
        let (lines, refused) = match plan.add(by, part, &wanted[&part], &before) {
            Ok(after) => (differences(part, before, after), None),
            Err(problem) => {
                plan.ready.forget(part);
                (differences(part, before, wanted[&part].clone()), Some(named(part, problem)))
            }
        };
        plan.documents.push(Planned { part, lines, refused });
    }
    if let Err(problem) = nobody_tells_who_is_gone(&by.console, &plan.ready) {
        let webhooks = plan.documents.iter_mut().filter(|d| d.part == Part::Webhooks);
        webhooks.for_each(|webhooks| webhooks.refused = Some(problem.clone()));
    }
    plan.documents.sort_by_key(|document| document.part);
    plan
}

/// Stands for everything that is in force.
fn mark(console: &Console) -> String {
    let mut hash = Sha256::new();
    for part in Part::ALL {
        hash.update(text_in_force(console, part));
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Have these documents in force: all of them, or none. With a `mark`, only if
/// what is in force is still what was looked at. `what` is for the audit log.
///
/// # Errors
/// Why nothing was changed.
pub async fn take(
    by: &By,
    wanted: BTreeMap<Part, Table>,
    mark: Option<&str>,
    what: String,
) -> Result<Taken, Problem> {
    let done = take_quietly(by, &wanted, mark).await;
    let what = match &done {
        Ok(taken) => {
            let changed = taken.documents.iter().filter(|document| !document.lines.is_empty());
            let names: Vec<_> = changed.map(|document| document.part.name()).collect();
            format!("{what} (changed: {})", or_nothing(&names.join(", ")))
        }
        Err(_) => what,
    };
    by.told(what, done).await
}

async fn take_quietly(
    by: &By,
    wanted: &BTreeMap<Part, Table>,
    mark: Option<&str>,
) -> Result<Taken, Problem> {
    let turn = by.console.automation.receivers().turn().await;
    let Plan { documents, mark: seen, ready, kept } = look(by, wanted);
    if mark.is_some_and(|mark| mark != seen) {
        let text = "something else came into force since you looked at it; look at it again";
        return Err(
            Problem::new(StatusCode::CONFLICT, "changed", "Nothing was changed").detail(text)
        );
    }
    if let Some(problem) = documents.iter().find_map(|document| document.refused.clone()) {
        return Err(problem);
    }
    if let Some(text) = &ready.guard {
        // It has the last word: what it refuses leaves everything as it was.
        let seen = in_force_at_guard(&by.console)?;
        let text = text.clone();
        guard_settings_api::hand_over(&by.console, &seen, text, seen.number, false).await?;
    }
    let keys = ready.webhooks.as_ref().map(|offer| offer.made.clone()).unwrap_or_default();
    if !kept.is_empty() {
        // On its own: whoever asked for it may go away before it is in force.
        let kept = by.console.store.keep_settings_together(&kept);
        let console = Arc::clone(&by.console);
        let work = tokio::spawn(async move {
            let _turn = turn;
            kept.done().await?;
            ready.come_into_force(&console).await;
            Ok::<(), StoreError>(())
        });
        let done = work.await.unwrap_or(Err(StoreError::Closed));
        done.map_err(|e| Problem::store(&e))?;
    }
    Ok(Taken { documents, keys })
}

/// What differs between two documents, for people.
#[must_use]
pub fn differences(part: Part, before: Table, after: Table) -> Vec<Line> {
    let mut masks = Masks::default();
    let mut shown = |table| masks.covered(part, table).to_string();
    let (before, after) = (shown(before), shown(after));
    diff::lines(&before, &after)
}

/// A document as it will be kept; what can come into force goes to `ready`.
fn prepared(by: &By, part: Part, wanted: &str, ready: &mut Ready) -> Result<String, Problem> {
    let console = &by.console;
    match part {
        Part::Guard => {
            let seen = in_force_at_guard(console)?;
            let changes = guard_settings_api::look(&seen, wanted).map_err(refused)?;
            if changes.is_empty() {
                return Ok(seen.text.clone());
            }
            guard_settings_api::permit(console, false)?;
            ready.guard = Some(wanted.to_owned());
            Ok(wanted.to_owned())
        }
        Part::Thresholds => {
            let wrong = |e: &dyn std::fmt::Display| refused(e.to_string());
            let parsed = Thresholds::parse(wanted).map_err(|e| wrong(&e))?;
            let rules = parsed.rules().to_vec();
            let thresholds = console.alarms.checked(rules).map_err(|e| wrong(&e))?;
            let text = thresholds.to_toml();
            ready.thresholds = Some(thresholds);
            Ok(text)
        }
        Part::Automation => {
            let document = evenkeel_core::automation::Document::parse(wanted)
                .map_err(|e| refused(e.to_string()))?;
            let text = document.to_text().map_err(|e| refused(e.to_string()))?;
            let receivers = console.automation.receivers();
            let offer = ready.webhooks.as_ref();
            let has = |name: &str| match offer {
                Some(offer) => offer.has(name),
                None => receivers.get(name).is_some(),
            };
            let done = console.automation.prepare_with(document, has);
            ready.automation = Some(done.map_err(|e| refused(chain(&e)))?);
            Ok(text)
        }
        Part::Webhooks => {
            let offer = console.automation.receivers().look(wanted);
            let offer = offer.map_err(|e| refused(chain(&e)))?;
            let text = offer.text();
            ready.webhooks = Some(offer);
            Ok(text)
        }
        Part::Login => {
            let settings: LoginSettings =
                toml::from_str(wanted).map_err(|e| refused(e.message().to_owned()))?;
            let text = toml::to_string(&settings).expect("text keys and plain values");
            ready.login = Some(settings);
            Ok(text)
        }
        Part::SecondFactor => {
            let required = Required::parse(wanted).map_err(refused)?;
            let text = required.text();
            ready.second_factor = Some(required);
            Ok(text)
        }
        Part::Site => {
            let site: Site = toml::from_str(wanted).map_err(|e| refused(e.message().to_owned()))?;
            let site = site.checked().map_err(refused)?;
            let text = site.text();
            ready.site = Some(site);
            Ok(text)
        }
        Part::Appliance => Err(refused("it is changed where the file lies".to_owned())),
    }
}

/// Jobs that go on as they are find every web server that they tell.
fn nobody_tells_who_is_gone(console: &Console, ready: &Ready) -> Result<(), Problem> {
    let (Some(offer), None) = (&ready.webhooks, &ready.automation) else { return Ok(()) };
    for webhook in console.automation.receivers().all() {
        let name = webhook.name();
        if let Some(job) = console.automation.told_by(name).first().filter(|_| !offer.has(name)) {
            let text = format!("{name:?} would be gone, and the job {job:?} tells it");
            return Err(named(Part::Webhooks, refused(text)));
        }
    }
    Ok(())
}

impl Ready {
    /// This document stays as it is.
    fn forget(&mut self, part: Part) {
        match part {
            Part::Guard => self.guard = None,
            Part::Thresholds => self.thresholds = None,
            Part::Automation => self.automation = None,
            Part::Webhooks => self.webhooks = None,
            Part::Login => self.login = None,
            Part::SecondFactor => self.second_factor = None,
            Part::Site => self.site = None,
            Part::Appliance => {}
        }
    }

    async fn come_into_force(self, console: &Console) {
        // The guard has taken its own before any other was kept.
        let Self { guard: _, thresholds, automation, webhooks, login, second_factor, site } = self;
        if let Some(offer) = webhooks {
            console.automation.receivers().take(offer);
        }
        if let Some(ready) = automation {
            console.automation.commit(ready).await;
        }
        if let Some(thresholds) = thresholds {
            console.alarms.take(thresholds);
        }
        if let Some(settings) = login {
            console.remote.set(settings);
        }
        if let Some(required) = second_factor {
            console.accounts.set_required(required);
        }
        if let Some(site) = site {
            *super::lock(&console.site) = site;
        }
    }
}

fn or_nothing(names: &str) -> &str {
    if names.is_empty() { "nothing" } else { names }
}

fn refused(detail: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, "refused", "The configuration is as it was").detail(detail)
}

/// With the name of the document that it is about.
fn named(part: Part, problem: Problem) -> Problem {
    let text = format!("{}: {problem}", part.name());
    problem.detail(text)
}
