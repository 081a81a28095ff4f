//! The install form: what a person enters on a bundle's page, and the request
//! that it means — the same as the API's ([`PluginIn`]).
//!
//! Each grant is a field named `grant.<kind>.<name>`, as in the configuration
//! file; settings are [`settings_form`]'s. What is wrong is said beside its
//! field.

use super::api::plugins::PluginIn;
use super::settings_form::{self, Texts};
use crate::caps::base;
use crate::config::PluginGrant;
use crate::grants::Grants;
use crate::plugin::grant::{Field, Kind, kind_of};
use crate::plugin_admin::{BundleInfo, MASK, PermissionInfo};
use crate::words::{Lang, words};
use fluent_bundle::FluentArgs;
use serde::Deserialize;

/// What the install form sends.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct InstallForm {
    /// What it is called on this appliance.
    #[serde(default)]
    pub id: String,
    /// Where its values go.
    #[serde(default)]
    pub points: String,
    /// For a plugin without a schema: one `name = value` a line.
    #[serde(default)]
    pub settings: String,
    /// The mark, when the box is ticked.
    #[serde(default)]
    pub consent: String,
    /// Dangerous grants, one a line.
    #[serde(default)]
    pub confirm: String,
    /// Grants and settings, by their fields.
    #[serde(flatten)]
    pub fields: Texts,
}

/// A thing to be granted: where it is written, what it is for.
#[derive(Debug)]
pub struct GrantField {
    /// Name of the field.
    pub name: String,
    /// What the plugin could do, in plain words.
    pub label: String,
    /// Why the vendor says that it is needed.
    pub reason: String,
    /// How it is written.
    pub example: &'static str,
    /// What is granted now; empty for a secret.
    pub value: String,
    /// It is never shown.
    pub is_secret: bool,
    /// It is a secret, and there is one.
    pub is_set: bool,
    /// What is wrong with it; empty when nothing is.
    pub error: String,
}

/// What is granted by name, as fields with `values` by their names.
#[must_use]
pub fn grant_fields(
    lang: Lang,
    bundle: &BundleInfo,
    values: &Texts,
    errors: &Texts,
) -> Vec<GrantField> {
    let field = |(permission, kind): (&PermissionInfo, &Kind)| {
        let name = name_of(kind, permission);
        let value = values.get(&name).cloned().unwrap_or_default();
        let is_secret = kind.field == Field::Secrets;
        GrantField {
            label: permission_text(lang, permission),
            reason: permission.reason.clone(),
            // The quotes belong to the configuration file.
            example: kind.example.trim_matches('"'),
            is_secret,
            is_set: is_secret && value == MASK,
            value: if is_secret { String::new() } else { value },
            error: errors.get(&name).cloned().unwrap_or_default(),
            name,
        }
    };
    named(bundle).map(field).collect()
}

/// What a permission means, in the reader's language.
#[must_use]
pub fn permission_text(lang: Lang, permission: &PermissionInfo) -> String {
    let interface = base(&permission.interface);
    let name = interface.replace(['/', ':'], "-").replace("evenkeel-", "page-may-");
    let what = if permission.what.is_empty() { "none" } else { &permission.what };
    match words().has_word(&name) {
        true => words().message(lang, &name, &FluentArgs::from_iter([("what", what)])),
        false => permission.text.clone(),
    }
}

/// What is granted by name.
fn named(bundle: &BundleInfo) -> impl Iterator<Item = (&PermissionInfo, &'static Kind)> {
    let wanted = bundle.permissions.iter().filter(|p| !p.what.is_empty());
    wanted.filter_map(|p| Some((p, kind_of(&p.interface)?)))
}

/// Whether it publishes points.
#[must_use]
pub fn publishes(bundle: &BundleInfo) -> bool {
    bundle.permissions.iter().any(|p| p.interface.starts_with("evenkeel:points/points@"))
}

fn name_of(kind: &Kind, permission: &PermissionInfo) -> String {
    format!("grant.{}.{}", kind.field, permission.what)
}

impl InstallForm {
    /// The form for what is installed.
    #[must_use]
    pub fn of(plugin: &PluginGrant) -> Self {
        let mut fields = Texts::new();
        // Every grant has a text form: what it is written as in the configuration.
        if let Ok(toml::Value::Table(kinds)) = toml::Value::try_from(&plugin.grant) {
            for (kind, things) in kinds {
                let toml::Value::Table(things) = things else { continue };
                for (what, thing) in things {
                    let text = match thing {
                        toml::Value::String(text) => text,
                        other => other.to_string(),
                    };
                    fields.insert(format!("grant.{kind}.{what}"), text);
                }
            }
        }
        let lines: Vec<_> = plugin.settings.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        Self {
            id: plugin.id().to_owned(),
            points: plugin.points.clone(),
            settings: lines.join("\n"),
            consent: String::new(),
            confirm: plugin.confirm.join("\n"),
            fields,
        }
    }

    /// What it is to be called.
    #[must_use]
    pub fn id<'a>(&'a self, bundle: &'a BundleInfo) -> &'a str {
        match self.id.trim() {
            "" => &bundle.name,
            id => id,
        }
    }

    /// The request that it means, where `before` is installed under its id.
    ///
    /// # Errors
    /// What is wrong, by the fields' names; what belongs to none, by "".
    pub fn wanted(
        &self,
        bundle: &BundleInfo,
        before: Option<&PluginGrant>,
    ) -> Result<PluginIn, Texts> {
        let mut errors = Texts::new();
        let mut document = toml::Table::new();
        document.insert("name".into(), bundle.name.clone().into());
        for (field, text) in [("id", self.id(bundle)), ("points", self.points.trim())] {
            let mut alone = document.clone();
            alone.insert(field.into(), text.into());
            match toml::Value::Table(alone.clone()).try_into::<PluginGrant>() {
                Ok(_) => document = alone,
                Err(e) => drop(errors.insert(field.into(), e.message().to_owned())),
            }
        }
        if publishes(bundle) && self.points.trim().is_empty() {
            errors.insert("points".into(), "it publishes values; say where, such as ups.0".into());
        }
        let enabled = before.is_none_or(|before| before.enabled);
        document.insert("enabled".into(), enabled.into());
        document
            .insert("grant".into(), toml::Value::Table(self.grants(bundle, before, &mut errors)));
        if let Some(bytes) = before.and_then(|before| before.kv_bytes) {
            document.insert("kv_bytes".into(), i64::from(bytes).into());
        }
        let settings = self.read_settings(bundle, before, &mut errors);
        document.insert("settings".into(), toml::Value::Table(settings));
        let confirm = self.confirm.lines().map(str::trim).filter(|line| !line.is_empty());
        document
            .insert("confirm".into(), confirm.map(toml::Value::from).collect::<Vec<_>>().into());
        if !errors.is_empty() {
            return Err(errors);
        }
        let plugin: Result<PluginGrant, _> = toml::Value::Table(document).try_into();
        let plugin = plugin.map_err(|e| general(e.message()))?;
        Ok(PluginIn {
            plugin: plugin.with_id(self.id(bundle)),
            bundle: (!bundle.shipped).then(|| bundle.digest.clone()),
            consent: (!self.consent.is_empty()).then(|| self.consent.clone()),
        })
    }

    /// What was entered, as the page shows it again: a secret that is installed
    /// is set, one that was only just typed is not repeated.
    #[must_use]
    pub fn shown_again(mut self, before: Option<&PluginGrant>) -> Self {
        let installed = before.map(|before| Self::of(before).fields).unwrap_or_default();
        let secret = |name: &String| name.starts_with("grant.secrets.");
        self.fields.retain(|name, _| !secret(name));
        self.fields.extend(installed.into_iter().filter(|(name, _)| secret(name)));
        self
    }

    /// Texts by `grant.<kind>.<name>`; a list or a table is written as in the
    /// configuration, anything else is a plain text.
    fn grants(
        &self,
        bundle: &BundleInfo,
        before: Option<&PluginGrant>,
        errors: &mut Texts,
    ) -> toml::Table {
        let mut grants = toml::Table::new();
        let mut known = Vec::new();
        for (permission, kind) in named(bundle) {
            let name = name_of(kind, permission);
            let text = self.fields.get(&name).map(|text| text.trim()).unwrap_or_default();
            let is_set = before.is_some_and(|b| b.grant.secrets.contains_key(&permission.what));
            let text = match text {
                // A secret that is not given anew stays.
                "" if kind.field == Field::Secrets && is_set => MASK,
                text => text,
            };
            match one_grant(kind.field.as_str(), &permission.what, text) {
                _ if text.is_empty() => {
                    let example = kind.example.trim_matches('"');
                    let words = format!("it needs {}, such as {example}", kind.words);
                    errors.insert(name.clone(), words);
                }
                Ok(value) => {
                    let things = grants
                        .entry(kind.field.as_str())
                        .or_insert_with(|| toml::Table::new().into());
                    if let toml::Value::Table(things) = things {
                        things.insert(permission.what.clone(), value);
                    }
                }
                Err(why) => drop(errors.insert(name.clone(), why)),
            }
            known.push(name);
        }
        let strange = |name: &&String| !known.contains(name) && !settings_form::is_ours(name);
        if let Some(name) = self.fields.keys().find(strange) {
            errors.extend(general(&format!("there is no field {name:?}")));
        }
        grants
    }

    fn read_settings(
        &self,
        bundle: &BundleInfo,
        before: Option<&PluginGrant>,
        errors: &mut Texts,
    ) -> toml::Table {
        if bundle.free_settings {
            return lines(&self.settings).unwrap_or_else(|why| {
                errors.insert("settings".into(), why);
                toml::Table::new()
            });
        }
        let empty = Texts::new();
        let before = before.map_or(&empty, |before| &before.settings);
        let (settings, wrong) = settings_form::read(&bundle.settings, &self.fields, before);
        errors.extend(wrong);
        settings.into_iter().map(|(name, text)| (name, text.into())).collect()
    }
}

/// An error that belongs to no field.
fn general(text: &str) -> Texts {
    Texts::from([(String::new(), text.to_owned())])
}

/// The value of one grant, checked by itself so that what is wrong can be said
/// beside its field.
fn one_grant(kind: &str, what: &str, text: &str) -> Result<toml::Value, String> {
    let value = match text.starts_with(['[', '{', '"']) {
        true => {
            let read = format!("value = {text}").parse::<toml::Table>();
            let read = read.map_err(|e| e.message().to_owned())?;
            read.get("value").cloned().unwrap_or_else(|| text.into())
        }
        false => text.into(),
    };
    let things = toml::Table::from_iter([(what.to_owned(), value.clone())]);
    let alone = toml::Table::from_iter([(kind.to_owned(), toml::Value::Table(things))]);
    let checked: Result<Grants, _> = toml::Value::Table(alone).try_into();
    checked.map(|_| value).map_err(|e| e.message().to_owned())
}

fn lines(text: &str) -> Result<toml::Table, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let (name, value) =
            line.split_once('=').ok_or_else(|| format!("{line:?} is not like name = value"))?;
        Ok((name.trim().to_owned(), toml::Value::from(value.trim())))
    };
    lines.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(interface: &str, what: &str) -> PermissionInfo {
        let (interface, what) = (interface.to_owned(), what.to_owned());
        PermissionInfo { interface, what, text: String::new(), reason: String::new() }
    }

    fn bundle() -> BundleInfo {
        BundleInfo {
            name: "modbus-server".into(),
            permissions: vec![
                asks("evenkeel:net-server/net-server@0.1.0", "modbus"),
                asks("evenkeel:points/reader@0.1.1", "values"),
                asks("evenkeel:crypto/crypto@0.1.0", "shared"),
                asks("evenkeel:log/log@0.1.0", ""),
            ],
            settings: serde_json::from_value(serde_json::json!([
                {"name": "unit", "label": "Unit", "kind": {"integer": {"min": 1, "max": 247}}},
            ]))
            .expect("a schema"),
            ..BundleInfo::default()
        }
    }

    fn form(pairs: &[(&str, &str)]) -> InstallForm {
        let fields = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        InstallForm { fields, ..InstallForm::default() }
    }

    const GOOD: [(&str, &str); 4] = [
        ("grant.listen.modbus", "tcp://[::]:502"),
        ("grant.read.values", "[\"string\", \"ups.0\"]"),
        ("grant.secrets.shared", "correct horse"),
        ("setting.unit", "7"),
    ];

    #[test]
    fn a_form_means_the_same_as_the_configuration() {
        let mut form = form(&GOOD);
        form.confirm = "x\n".into();
        let wanted = form.wanted(&bundle(), None).expect("good");
        assert_eq!(wanted.plugin.id(), "modbus-server");
        assert_eq!(wanted.plugin.grant.read["values"].len(), 2);
        assert_eq!(wanted.plugin.settings["unit"], "7");
        assert_eq!(wanted.plugin.confirm, ["x"]);
        assert_eq!(wanted.consent, None, "the box was not ticked");
        // And back: a change begins with what is installed, but for the secret.
        let mut installed = wanted.plugin.clone();
        installed.grant = installed.grant.masked();
        installed.enabled = false;
        let mut again = InstallForm::of(&installed);
        let fields = grant_fields(Lang::En, &bundle(), &again.fields, &Texts::new());
        let secret = fields.iter().find(|f| f.is_secret).expect("there");
        assert!(secret.is_set && secret.value.is_empty());
        again.fields.insert("grant.secrets.shared".into(), String::new());
        again.fields.insert("setting.unit".into(), "8".into());
        let both = again.wanted(&bundle(), Some(&installed)).expect("good").plugin;
        assert_eq!(both.grant, installed.grant);
        assert_eq!((both.settings["unit"].as_str(), both.enabled), ("8", false));
    }

    #[test]
    fn mistakes_are_said_beside_their_fields() {
        let wrong = |change: &[(&str, &str)]| {
            let mut form = form(&GOOD);
            form.fields.extend(change.iter().map(|(n, v)| ((*n).into(), (*v).into())));
            form.wanted(&bundle(), None).expect_err("refused")
        };
        for (field, text, word) in [
            ("grant.listen.modbus", "502", "tcp://0.0.0.0:502"),
            ("grant.listen.modbus", " ", "the listener"),
            ("grant.read.values", "[\"string\"", ""),
            ("grant.secrets.shared", "", "the secret"),
            ("setting.unit", "900", "1 to 247"),
            ("grant.root.x", "1", "grant.root.x"),
        ] {
            let errors = wrong(&[(field, text)]);
            let at = if field == "grant.root.x" { "" } else { field };
            let error = errors.get(at).expect(field);
            assert!(error.contains(word) && !error.is_empty(), "{field}: {error}");
            assert_eq!(errors.len(), 1, "{errors:?}");
        }
        for (id, points, field, word) in
            [("A B", "", "id", "an id is"), ("", "string.1", "points", "guard")]
        {
            let form = InstallForm { id: id.into(), points: points.into(), ..form(&GOOD) };
            let errors = form.wanted(&bundle(), None).expect_err("refused");
            assert!(errors[field].contains(word), "{errors:?}");
        }
    }

    #[test]
    fn a_typed_secret_is_not_repeated() {
        let again = form(&GOOD).shown_again(None);
        assert!(!again.fields.values().any(|text| text == "correct horse"));
        let fields = grant_fields(Lang::En, &bundle(), &again.fields, &Texts::new());
        assert!(fields.iter().all(|f| f.value != "correct horse" && !f.is_set));
    }

    #[test]
    fn a_plugin_without_a_schema_is_given_lines() {
        let old = BundleInfo { free_settings: true, settings: Vec::new(), ..bundle() };
        let mut form = form(&GOOD[..3]);
        form.settings = "unit = 7\n\n name = a = b ".into();
        let wanted = form.wanted(&old, None).expect("good").plugin;
        assert_eq!((&*wanted.settings["unit"], &*wanted.settings["name"]), ("7", "a = b"));
        form.settings = "unit".into();
        assert!(form.wanted(&old, None).expect_err("refused")["settings"].contains("name = value"));
    }
}
