//! The plugins' pages: what is installed and how it is doing, what could be
//! installed and what it asks for, and the forms for both. Plain pages that
//! need no script.
//!
//! A form is read into the same request as the API's
//! ([`InstallForm`]); nothing can be done here that cannot be done there. Who
//! may only look sees no button.

use super::api::plugins::{A_BUNDLE, ActionIn, answered, detail_of, install as put, keep, perform};
use super::by::By;
use super::page::{self, VERSION};
use super::pages::fields::{self, Sent};
use super::pages::reader::Reader;
use super::plugins_form::{self, GrantField, InstallForm};
use super::problem::Problem;
use super::settings_form::{self, Input, SettingField, Texts};
use super::who::Who;
use super::{Console, clock};
use crate::accounts::rights::{Area, Level};
use crate::caps::log::Said;
use crate::config::PluginGrant;
use crate::plugin::permission::{self, Danger};
use crate::plugin::report::Report;
use crate::plugin_admin::{BundleInfo, PermissionInfo, PluginDetail};
use crate::plugin_status::{PluginState, PluginStatus};
use crate::words::words;
use askama::Template;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use fluent_bundle::FluentArgs;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "plugins.html")]
struct PluginsPage<'a> {
    version: &'a str,
    who: Who<'a>,
    plugins: Vec<PluginStatus>,
    bundles: Vec<BundleInfo>,
}

#[derive(Template)]
#[template(path = "plugin.html")]
struct PluginPage<'a> {
    version: &'a str,
    who: Who<'a>,
    detail: &'a PluginDetail,
    reports: Vec<Report>,
    /// What a button sends, and the name of its word.
    actions: Vec<(&'static str, &'static str)>,
    digest: Option<String>,
}

#[derive(Template)]
#[template(path = "bundle.html")]
struct BundlePage<'a> {
    version: &'a str,
    who: Who<'a>,
    bundle: &'a BundleInfo,
    /// It changes what is installed.
    installed: bool,
    form: InstallForm,
    grants: Vec<GrantField>,
    settings: Vec<SettingField>,
    publishes: bool,
    problem: String,
    id_help: String,
    id_error: String,
    points_error: String,
    settings_error: String,
    /// Dangerous grants that want a second word.
    dangers: Vec<Danger>,
}

/// Which installed plugin an install form is for.
#[derive(Deserialize)]
pub struct For {
    plugin: Option<String>,
}

/// A button of a plugin's page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Button {
    action: ActionIn,
}

/// Everything installed, and every bundle.
pub async fn plugins(State(console): State<Arc<Console>>, reader: Reader) -> page::Answer {
    let bundles = answered(console.plugins.bundles()).await?;
    let (who, plugins) = (reader.who(Area::Plugins, Level::Configure), console.plugins.plugins());
    Ok(reader.show(StatusCode::OK, &PluginsPage { version: &VERSION, who, plugins, bundles }))
}

/// One plugin.
pub async fn plugin(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path(id): Path<String>,
) -> page::Answer {
    let detail = detail_of(&console, id.clone()).await?;
    let reports = answered(console.plugins.reports(id)).await?;
    let mut actions = match detail.status.state {
        PluginState::Disabled => vec![("enable", "page-plugin-enable")],
        _ => vec![("restart", "page-plugin-restart"), ("disable", "page-plugin-disable")],
    };
    if detail.can_roll_back {
        actions.push(("roll-back", "page-plugin-roll-back"));
    }
    actions.push(("remove", "page-remove"));
    // What it runs now, to change its grants.
    let bundles = answered(console.plugins.bundles()).await.unwrap_or_default();
    let digest = detail.bundle.clone().or_else(|| {
        let name = &detail.plugin.name;
        bundles.iter().find(|b| b.shipped && b.name == *name).map(|b| b.digest.clone())
    });
    let who = reader.who(Area::Plugins, Level::Configure);
    let page = PluginPage { version: &VERSION, who, detail: &detail, reports, actions, digest };
    Ok(reader.show(StatusCode::OK, &page))
}

/// A button was pressed.
pub async fn act(
    by: By,
    Path(id): Path<String>,
    Sent(Button { action }): Sent<Button>,
) -> page::Answer {
    perform(&by, id.clone(), action).await?;
    let to = match action {
        ActionIn::Remove => "/plugins".to_owned(),
        _ => format!("/plugins/{id}"),
    };
    Ok(Redirect::to(&to).into_response())
}

/// A file was sent.
pub async fn upload(by: By, form: Result<Multipart, MultipartRejection>) -> page::Answer {
    let raw = fields::file(form, "bundle", A_BUNDLE).await?;
    let info = keep(&by, raw.to_vec()).await?;
    Ok(Redirect::to(&format!("/bundles/{}", info.digest)).into_response())
}

/// What a bundle asks for, and the form to install it.
pub async fn bundle(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path(digest): Path<String>,
    Query(For { plugin }): Query<For>,
) -> page::Answer {
    let bundle = find(&console, &digest).await?;
    // An installed copy's values, so that an update asks for nothing twice.
    let id = plugin.unwrap_or_else(|| bundle.name.clone());
    let before = installed(&console, &bundle, id).await;
    let form = before.as_ref().map(InstallForm::of).unwrap_or_default();
    let settings = before.as_ref().map(|before| before.settings.clone()).unwrap_or_default();
    let draft = Draft { form, settings, errors: Texts::new(), problem: String::new() };
    Ok(form_page(StatusCode::OK, &reader, &bundle, before.as_ref(), draft))
}

/// The install form was sent.
pub async fn install(
    by: By,
    reader: Reader,
    Path(digest): Path<String>,
    Sent(form): Sent<InstallForm>,
) -> page::Answer {
    let bundle = find(&by.console, &digest).await?;
    let id = form.id(&bundle).to_owned();
    let before = installed(&by.console, &bundle, id.clone()).await;
    let (status, errors, problem) = match form.wanted(&bundle, before.as_ref()) {
        Ok(wanted) => match put(&by, wanted).await {
            Ok(()) => return Ok(Redirect::to(&format!("/plugins/{id}")).into_response()),
            Err(problem) => (problem.status(), Texts::new(), problem.text()),
        },
        Err(errors) => {
            let text = match errors.get("") {
                Some(text) => text.clone(),
                None => reader.word("page-plugin-wrong"),
            };
            (StatusCode::UNPROCESSABLE_ENTITY, errors, text)
        }
    };
    let known = before.as_ref().map(|before| before.settings.clone()).unwrap_or_default();
    let (settings, _) = settings_form::read(&bundle.settings, &form.fields, &known);
    let draft = Draft { form, settings, errors, problem };
    Ok(form_page(status, &reader, &bundle, before.as_ref(), draft))
}

async fn find(console: &Console, digest: &str) -> Result<BundleInfo, Problem> {
    let bundles = answered(console.plugins.bundles()).await?;
    let found = bundles.into_iter().find(|b| b.digest == digest && b.problem.is_none());
    found.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such usable bundle")
    })
}

/// What is installed under this id of the bundle's plugin.
async fn installed(console: &Console, bundle: &BundleInfo, id: String) -> Option<PluginGrant> {
    let detail = answered(console.plugins.detail(id)).await.ok()?;
    Some(detail.plugin).filter(|plugin| plugin.name == bundle.name)
}

/// What stands in the form, and what is wrong with it.
struct Draft {
    form: InstallForm,
    /// By the plugin's names.
    settings: Texts,
    /// By the fields' names.
    errors: Texts,
    problem: String,
}

fn form_page(
    status: StatusCode,
    reader: &Reader,
    bundle: &BundleInfo,
    before: Option<&PluginGrant>,
    draft: Draft,
) -> Response {
    let Draft { form, settings, errors, problem } = draft;
    // What is dangerous is known once the form makes sense.
    let wanted = form.wanted(bundle, before).map(|wanted| wanted.plugin);
    let dangers = match (&wanted, problem.is_empty()) {
        (Ok(plugin), false) => {
            let mut dangers = permission::dangers(&plugin.grant);
            dangers.retain(|danger| !plugin.confirm.contains(&danger.name));
            dangers
        }
        _ => Vec::new(),
    };
    let form = form.shown_again(before);
    let error = |field: &str| errors.get(field).cloned().unwrap_or_default();
    let page = BundlePage {
        version: &VERSION,
        who: reader.who(Area::Plugins, Level::Configure),
        installed: before.is_some(),
        publishes: plugins_form::publishes(bundle),
        grants: plugins_form::grant_fields(reader.lang, bundle, &form.fields, &errors),
        settings: settings_form::fields(reader.lang, &bundle.settings, &settings, &errors),
        bundle,
        problem,
        id_help: reader.word("page-bundle-id-help"),
        id_error: error("id"),
        points_error: error("points"),
        settings_error: error("settings"),
        dangers,
        form,
    };
    reader.show(status, &page)
}

/// What a plugin is for, for a template; empty while nobody knows.
fn world(who: &Who<'_>, world: &str) -> String {
    if world.is_empty() { String::new() } else { who.word(&format!("page-world-{world}")) }
}

/// What a plugin is doing, for a template.
fn state(who: &Who<'_>, state: &PluginState) -> String {
    who.word(&format!("page-plugin-is-{}", state.as_str()))
}

/// A permission in plain words, for a template.
fn permission_text(who: &Who<'_>, permission: &PermissionInfo) -> String {
    plugins_form::permission_text(who.lang, permission)
}

/// A message with a number, for a template.
fn number_in(who: &Who<'_>, name: &str, number: &u64) -> String {
    words().message(who.lang, name, &FluentArgs::from_iter([("count", *number)]))
}

/// For how long it has been in one call, for a template.
fn in_call(who: &Who<'_>, ms: &u64) -> String {
    number_in(who, "page-plugin-in-call", &(ms / 1_000))
}

/// Bytes both ways, for a template.
fn traffic(who: &Who<'_>, sent: &u64, received: &u64) -> String {
    let args = FluentArgs::from_iter([("sent", *sent), ("received", *received)]);
    words().message(who.lang, "page-plugin-traffic", &args)
}

/// Where it failed, innermost first, for a template.
fn backtrace(who: &Who<'_>, functions: &[String]) -> String {
    let between = format!(", {} ", who.word("page-plugin-called-by"));
    format!("{} {}", who.word("page-plugin-in"), functions.join(&between))
}

/// When something was said, for a template.
fn at(said: &Said) -> String {
    clock::utc(said.unix_ms)
}

/// A time, for a template.
fn time(unix_ms: &u64) -> String {
    clock::utc(*unix_ms)
}

/// The name of a key without its fingerprint, for a template.
fn key_name(signer: &str) -> &str {
    signer.split_once(" (").map_or(signer, |(name, _)| name).trim_matches('"')
}

/// The colour of a state.
const fn status_of(state: &PluginState) -> &'static str {
    match state {
        PluginState::Running => "ok",
        PluginState::Starting | PluginState::Disabled | PluginState::Stopped => "unknown",
        PluginState::Backoff | PluginState::Quarantined | PluginState::Refused => "warning",
    }
}
