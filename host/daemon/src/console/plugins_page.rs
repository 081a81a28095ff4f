//! The plugins' pages: what is installed and how it is doing, what could be
//! installed and what it asks for, and the forms for both. Plain pages that
//! need no script.
//!
//! A form is read into the same request as the API's ([`PluginIn`]); nothing
//! can be done here that cannot be done there.

use super::api::plugins::{ActionIn, PluginIn, answered, install as put, keep, perform};
use super::gate::Peer;
use super::page::{self, VERSION, render};
use super::problem::Problem;
use super::session::Caller;
use super::{Console, clock};
use crate::caps::log::Said;
use crate::config::PluginGrant;
use crate::grants::Grants;
use crate::plugin::grant::kind_of;
use crate::plugin_admin::{BundleInfo, PermissionInfo, PluginDetail};
use crate::plugin_status::{PluginState, PluginStatus};
use askama::Template;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "plugins.html")]
struct PluginsPage<'a> {
    version: &'a str,
    user: &'a str,
    plugins: Vec<PluginStatus>,
    bundles: Vec<BundleInfo>,
}

#[derive(Template)]
#[template(path = "plugin.html")]
struct PluginPage<'a> {
    version: &'a str,
    user: &'a str,
    detail: &'a PluginDetail,
    actions: Vec<(&'static str, &'static str)>,
    digest: Option<String>,
}

#[derive(Template)]
#[template(path = "bundle.html")]
struct BundlePage<'a> {
    version: &'a str,
    user: &'a str,
    bundle: &'a BundleInfo,
    form: InstallForm,
    fields: Vec<Field>,
    others: Vec<&'a PermissionInfo>,
    publishes: bool,
    problem: String,
    /// Dangerous grants that want a second word: name and what can happen.
    confirm: Vec<String>,
}

/// A thing to be granted: where it is written, what it is for.
struct Field {
    name: String,
    label: String,
    reason: String,
    example: &'static str,
    value: String,
}

/// What the install form sends.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct InstallForm {
    #[serde(default)]
    id: String,
    #[serde(default)]
    points: String,
    /// One `name = value` a line.
    #[serde(default)]
    settings: String,
    /// The mark, when the box is ticked.
    #[serde(default)]
    consent: String,
    /// Dangerous grants, one a line.
    #[serde(default)]
    confirm: String,
    /// `grant.<field>.<name>`.
    #[serde(flatten)]
    grants: BTreeMap<String, String>,
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
pub async fn plugins(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let bundles = match answered(console.plugins.bundles()).await {
        Ok(bundles) => bundles,
        Err(problem) => return page::refused(&problem),
    };
    let plugins = console.plugins.plugins();
    render(StatusCode::OK, &PluginsPage { version: &VERSION, user: &caller.user, plugins, bundles })
}

/// One plugin.
pub async fn plugin(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    let detail = match answered(console.plugins.detail(id)).await {
        Ok(detail) => detail,
        Err(problem) => return page::refused(&problem),
    };
    let mut actions = match detail.status.state {
        PluginState::Disabled => vec![("enable", "Switch on")],
        _ => vec![("restart", "Restart"), ("disable", "Switch off")],
    };
    if detail.can_roll_back {
        actions.push(("roll-back", "Back to the version before"));
    }
    actions.push(("remove", "Remove"));
    // What it runs now, to change its grants.
    let bundles = answered(console.plugins.bundles()).await.unwrap_or_default();
    let digest = detail.bundle.clone().or_else(|| {
        let name = &detail.plugin.name;
        bundles.iter().find(|b| b.shipped && b.name == *name).map(|b| b.digest.clone())
    });
    let (version, user) = (&VERSION, &caller.user);
    render(StatusCode::OK, &PluginPage { version, user, detail: &detail, actions, digest })
}

/// A button was pressed.
pub async fn act(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    form: Result<Form<Button>, FormRejection>,
) -> Response {
    let attempt = async {
        let Form(Button { action }) = form.map_err(|e| Problem::bad_request(e.body_text()))?;
        perform(&console, &caller, from, id.clone(), action).await?;
        Ok::<_, Problem>(action)
    };
    match attempt.await {
        Ok(ActionIn::Remove) => Redirect::to("/plugins").into_response(),
        Ok(_) => Redirect::to(&format!("/plugins/{id}")).into_response(),
        Err(problem) => page::refused(&problem),
    }
}

/// A file was sent.
pub async fn upload(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    Extension(caller): Extension<Caller>,
    form: Result<Multipart, MultipartRejection>,
) -> Response {
    let attempt = async {
        let mut form = form.map_err(|e| Problem::bad_request(e.body_text()))?;
        let bad = |e: axum::extract::multipart::MultipartError| Problem::bad_request(e.body_text());
        while let Some(field) = form.next_field().await.map_err(bad)? {
            if field.name() == Some("bundle") {
                let raw = field.bytes().await.map_err(bad)?;
                return keep(&console, &caller, from, raw.to_vec()).await;
            }
        }
        Err(Problem::bad_request("no file was chosen"))
    };
    match attempt.await {
        Ok(info) => Redirect::to(&format!("/bundles/{}", info.digest)).into_response(),
        Err(problem) => page::refused(&problem),
    }
}

/// What a bundle asks for, and the form to install it.
pub async fn bundle(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
    Query(For { plugin }): Query<For>,
) -> Response {
    let found = async {
        let bundle = find(&console, &digest).await?;
        // An installed copy's values, so that an update asks for nothing twice.
        let id = plugin.unwrap_or_else(|| bundle.name.clone());
        let detail = answered(console.plugins.detail(id)).await.ok();
        Ok::<_, Problem>((bundle, detail))
    };
    match found.await {
        Ok((bundle, detail)) => {
            let form = detail.map(|detail| form_of(&detail.plugin)).unwrap_or_default();
            form_page(&caller, &bundle, form, None)
        }
        Err(problem) => page::refused(&problem),
    }
}

/// The install form was sent.
pub async fn install(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
    form: Result<Form<InstallForm>, FormRejection>,
) -> Response {
    let Form(form) = match form {
        Ok(form) => form,
        Err(e) => return page::refused(&Problem::bad_request(e.body_text())),
    };
    let bundle = match find(&console, &digest).await {
        Ok(bundle) => bundle,
        Err(problem) => return page::refused(&problem),
    };
    let attempt = async {
        let wanted = wanted(&bundle, &form).map_err(Problem::bad_request)?;
        let id = wanted.plugin.id().to_owned();
        put(&console, &caller, from, wanted).await.map(|()| id)
    };
    match attempt.await {
        Ok(id) => Redirect::to(&format!("/plugins/{id}")).into_response(),
        Err(problem) => form_page(&caller, &bundle, form, Some(&problem)),
    }
}

async fn find(console: &Console, digest: &str) -> Result<BundleInfo, Problem> {
    let bundles = answered(console.plugins.bundles()).await?;
    let found = bundles.into_iter().find(|b| b.digest == digest && b.problem.is_none());
    found.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such usable bundle")
    })
}

fn form_page(
    caller: &Caller,
    bundle: &BundleInfo,
    form: InstallForm,
    problem: Option<&Problem>,
) -> Response {
    let (named, others): (Vec<_>, Vec<_>) = bundle
        .permissions
        .iter()
        .partition(|p| !p.what.is_empty() && kind_of(&p.interface).is_some());
    let fields = named.iter().filter_map(|p| field(p, &form)).collect();
    let publishes = |p: &&PermissionInfo| p.interface.starts_with("evenkeel:points/points@");
    let confirm = problem.filter(|p| p.kind == "confirm").map(Problem::text);
    let page = BundlePage {
        version: &VERSION,
        user: &caller.user,
        publishes: bundle.permissions.iter().any(|p| publishes(&p)),
        bundle,
        fields,
        others,
        problem: problem.map(Problem::text).unwrap_or_default(),
        confirm: confirm.into_iter().collect(),
        form,
    };
    render(problem.map_or(StatusCode::OK, Problem::status), &page)
}

fn field(permission: &PermissionInfo, form: &InstallForm) -> Option<Field> {
    let kind = kind_of(&permission.interface)?;
    let name = format!("grant.{}.{}", kind.field, permission.what);
    Some(Field {
        value: form.grants.get(&name).cloned().unwrap_or_default(),
        name,
        label: permission.text.clone(),
        reason: permission.reason.clone(),
        example: kind.example,
    })
}

/// The form for what is installed.
fn form_of(plugin: &PluginGrant) -> InstallForm {
    let mut grants = BTreeMap::new();
    // Every grant has a text form: what it is written as in the configuration.
    if let Ok(toml::Value::Table(fields)) = toml::Value::try_from(&plugin.grant) {
        for (field, things) in fields {
            let toml::Value::Table(things) = things else { continue };
            for (what, thing) in things {
                let text = match thing {
                    toml::Value::String(text) => text,
                    other => other.to_string(),
                };
                grants.insert(format!("grant.{field}.{what}"), text);
            }
        }
    }
    let settings: Vec<_> = plugin.settings.iter().map(|(k, v)| format!("{k} = {v}")).collect();
    InstallForm {
        id: plugin.id().to_owned(),
        points: plugin.points.clone(),
        settings: settings.join("\n"),
        consent: String::new(),
        confirm: plugin.confirm.join("\n"),
        grants,
    }
}

/// The request that a form means.
fn wanted(bundle: &BundleInfo, form: &InstallForm) -> Result<PluginIn, String> {
    let id = if form.id.is_empty() { bundle.name.as_str() } else { form.id.trim() };
    let mut document = toml::Table::new();
    document.insert("name".into(), bundle.name.clone().into());
    document.insert("id".into(), id.into());
    document.insert("points".into(), form.points.trim().into());
    document.insert("grant".into(), toml::Value::Table(grants(&form.grants)?));
    document.insert("settings".into(), toml::Value::Table(settings(&form.settings)?));
    let confirm = form.confirm.lines().map(str::trim).filter(|line| !line.is_empty());
    document.insert("confirm".into(), confirm.map(toml::Value::from).collect::<Vec<_>>().into());
    let plugin: PluginGrant =
        toml::Value::Table(document).try_into().map_err(|e| e.message().to_owned())?;
    Ok(PluginIn {
        plugin: plugin.with_id(id),
        bundle: (!bundle.shipped).then(|| bundle.digest.clone()),
        consent: (!form.consent.is_empty()).then(|| form.consent.clone()),
    })
}

/// Texts by `grant.<field>.<name>`; a list or a table is written as in the
/// configuration, anything else is a plain text.
fn grants(texts: &BTreeMap<String, String>) -> Result<toml::Table, String> {
    let mut grants = toml::Table::new();
    for (name, text) in texts {
        let named = name.strip_prefix("grant.").and_then(|rest| rest.split_once('.'));
        let (field, what) = named.ok_or_else(|| format!("there is no field {name:?}"))?;
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let value = match text.starts_with(['[', '{', '"']) {
            true => {
                let line = format!("value = {text}");
                let read = line.parse::<toml::Table>();
                let read = read.map_err(|e| format!("{what}: {}", e.message()))?;
                read.get("value").cloned().unwrap_or_else(|| text.into())
            }
            false => text.into(),
        };
        let things = grants.entry(field).or_insert_with(|| toml::Table::new().into());
        if let toml::Value::Table(things) = things {
            things.insert(what.to_owned(), value);
        }
    }
    // A wrong field is named here and not as a line of nobody's file.
    let checked: Result<Grants, _> = toml::Value::Table(grants.clone()).try_into();
    checked.map(|_| grants).map_err(|e| e.message().to_owned())
}

fn settings(text: &str) -> Result<toml::Table, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let (name, value) =
            line.split_once('=').ok_or_else(|| format!("{line:?} is not like name = value"))?;
        Ok((name.trim().to_owned(), toml::Value::from(value.trim())))
    };
    lines.map(pair).collect()
}

/// When something was said, for a template.
fn at(said: &Said) -> String {
    clock::utc(said.unix_ms)
}

/// The colour of a state.
const fn status_of(state: &PluginState) -> &'static str {
    match state {
        PluginState::Running => "ok",
        PluginState::Starting | PluginState::Disabled | PluginState::Stopped => "unknown",
        PluginState::Backoff | PluginState::Quarantined | PluginState::Refused => "warning",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> BundleInfo {
        BundleInfo {
            digest: "ab".repeat(32),
            bytes: 1,
            shipped: false,
            problem: None,
            name: "modbus-server".into(),
            version: "0.1.0".into(),
            vendor: "Acme".into(),
            description: "Serves Modbus.".into(),
            world: "gateway".into(),
            signer: "acme".into(),
            permissions: Vec::new(),
            memory_bytes: 1 << 20,
            call_cpu_ms: 50,
            consent: "c0ffee".into(),
        }
    }

    fn form(pairs: &[(&str, &str)]) -> InstallForm {
        let grants = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        InstallForm { grants, ..InstallForm::default() }
    }

    #[test]
    fn a_form_means_the_same_as_the_configuration() {
        let mut form = form(&[
            ("grant.listen.modbus", "tcp://[::]:502"),
            ("grant.read.values", "[\"string\", \"ups.0\"]"),
            ("grant.serial.unused", " "),
        ]);
        form.settings = "unit = 7\n\n name = a = b ".into();
        form.confirm = "x\n".into();
        let wanted = wanted(&bundle(), &form).expect("good");
        assert_eq!(wanted.plugin.id(), "modbus-server");
        assert_eq!(wanted.plugin.grant.read["values"].len(), 2);
        assert!(wanted.plugin.grant.serial.is_empty());
        assert_eq!(wanted.plugin.settings["unit"], "7");
        assert_eq!(wanted.plugin.settings["name"], "a = b");
        assert_eq!(wanted.plugin.confirm, ["x"]);
        assert_eq!(wanted.consent, None, "the box was not ticked");
        // And back: an update begins with what is installed.
        let again = form_of(&wanted.plugin);
        let both = super::wanted(&bundle(), &again).expect("good");
        assert_eq!(both.plugin, wanted.plugin);
    }

    #[test]
    fn mistakes_in_a_form_are_named() {
        let refused = |form: &InstallForm| wanted(&bundle(), form).expect_err("refused");
        let wrong = refused(&form(&[("grant.listen.modbus", "502")]));
        assert!(wrong.contains("tcp://0.0.0.0:502"), "{wrong}");
        assert!(refused(&form(&[("grant.root.x", "1")])).contains("unknown field `root`"));
        assert!(refused(&form(&[("root", "1")])).contains("\"root\""));
        assert!(!refused(&form(&[("grant.read.values", "[\"string\"")])).is_empty());
        let mut bad = InstallForm { settings: "unit".into(), ..InstallForm::default() };
        assert!(refused(&bad).contains("name = value"));
        bad = InstallForm { points: "string.1".into(), ..InstallForm::default() };
        assert!(refused(&bad).contains("guard"));
        bad = InstallForm { id: "A B".into(), ..InstallForm::default() };
        assert!(refused(&bad).contains("an id is"));
    }
}
