//! Installing, granting and updating: what changes what a plugin may do, and
//! what a person must have read before.

use super::bundles::{self, asked};
use super::grants::{self, Grant};
use super::model::{Bundle, Detail};
use super::plugins::{detail, settled};
use super::table::plain;
use super::{Failure, Work, segment, terminal};
use crate::appliance::client::ClientError;
use clap::Args;
use serde_json::{Map, Value, json};

/// Below the help of `grant`.
pub const GRANT_HELP: &str = "\
Grants are written like
  serial.ups=/dev/ttyS1                a serial line
  net.server=tls://logs.example:6514   a peer to connect to
  listen.modbus=tcp://[::]:502         an address to answer on
  read.values='[\"string\", \"ups.0\"]'    points to read
  commands.ups='[\"ups.0:beeper.*\"]'    commands to give
  events.log=warning                   events to be told of
  secrets.shared=@FILE                 a secret, from a file
  snmp.ups=@FILE                       an SNMP agent, from a file:
                                       { address = \"…\", version = \"v2c\", community = \"…\" }
An empty value takes a grant back. What is not named stays as it is. What can cut
power or empty a battery must be repeated by --confirm; the refusal says how.";

/// What a plugin shall be and may do.
#[derive(Args)]
pub struct GrantArguments {
    /// What the plugin is called, or shall be called, on the appliance.
    id: String,
    /// What it may use.
    #[arg(value_name = "GRANT")]
    grants: Vec<String>,
    /// Name of the plugin, when it is called otherwise on the appliance.
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    /// Its code: a file, the SHA-256 of a bundle on the appliance, or
    /// "firmware". Not needed when there is one bundle of it, or it is
    /// installed.
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<String>,
    /// Where its values go, such as ups.0.
    #[arg(long, value_name = "POINTS")]
    points: Option<String>,
    /// A setting of the plugin; @FILE as the value reads it from a file, an
    /// empty value is the default. May be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    setting: Vec<String>,
    #[command(flatten)]
    word: Word,
}

/// Another version of a plugin.
#[derive(Args)]
pub struct UpdateArguments {
    /// What the plugin is called on the appliance.
    id: String,
    /// A file, the SHA-256 of a bundle on the appliance, or "firmware".
    bundle: String,
    #[command(flatten)]
    word: Word,
}

/// What a person says beforehand.
#[derive(Args)]
struct Word {
    /// Accept what the plugin asks for without being asked.
    #[arg(long)]
    yes: bool,
    /// Repeat a dangerous grant, in the words of the refusal. May be given
    /// several times.
    #[arg(long, value_name = "WORDS")]
    confirm: Vec<String>,
}

/// Install, or change what it may do.
///
/// # Errors
/// [`Failure`].
pub fn grant(work: &mut Work, arguments: &GrantArguments) -> Result<(), Failure> {
    let id = segment("plugin", &arguments.id)?;
    let changes: Vec<Grant> =
        arguments.grants.iter().map(|word| Grant::parse(word)).collect::<Result<_, _>>()?;
    let before = installed(work, id)?;
    let name = name_of(id, arguments.of.as_deref(), before.as_ref())?;
    let bundle = match (&arguments.bundle, &before) {
        (Some(word), _) => bundles::meant(work, &name, word)?,
        (None, Some(before)) => present(work, &name, before)?,
        (None, None) => bundles::only(work, &name)?,
    };
    let mut plugin = match &before {
        Some(before) => before.plugin.as_object().cloned().unwrap_or_default(),
        None => fresh(id, &name),
    };
    changes.into_iter().for_each(|change| change.apply(&mut plugin));
    for word in &arguments.setting {
        grants::set(&mut plugin, word)?;
    }
    if let Some(points) = &arguments.points {
        plugin.insert("points".to_owned(), points.as_str().into());
    }
    put(work, id, plugin, &bundle, before.as_ref(), &arguments.word)
}

/// Put another version in place.
///
/// # Errors
/// [`Failure`].
pub fn update(work: &mut Work, arguments: &UpdateArguments) -> Result<(), Failure> {
    let (_, before) = detail(work, &arguments.id)?;
    let name = name_of(&arguments.id, None, Some(&before))?;
    let bundle = bundles::meant(work, &name, &arguments.bundle)?;
    let plugin = before.plugin.as_object().cloned().unwrap_or_default();
    put(work, &arguments.id, plugin, &bundle, Some(&before), &arguments.word)
}

fn put(
    work: &mut Work,
    id: &str,
    mut plugin: Map<String, Value>,
    bundle: &Bundle,
    before: Option<&Detail>,
    word: &Word,
) -> Result<(), Failure> {
    accepted(work, id, bundle, before, word)?;
    let confirmed = plugin.get("confirm").and_then(Value::as_array).cloned().unwrap_or_default();
    let confirmed =
        confirmed.into_iter().chain(word.confirm.iter().map(|word| word.as_str().into()));
    plugin.insert("confirm".to_owned(), confirmed.collect());
    let source = if bundle.shipped { Value::Null } else { bundle.digest.as_str().into() };
    let wanted = json!({"plugin": plugin, "bundle": source, "consent": bundle.consent});
    work.appliance.post("/api/v1/plugins", &wanted)?;
    settled(work, id)
}

/// See to it that a person has read what the bundle asks for.
fn accepted(
    work: &mut Work,
    id: &str,
    bundle: &Bundle,
    before: Option<&Detail>,
    word: &Word,
) -> Result<(), Failure> {
    let known = match before.filter(|before| before.consented) {
        Some(before) => bundle_of(work, &bundle.name, before)?,
        None => None,
    };
    if known.as_ref().is_some_and(|known| known.consent == bundle.consent) {
        return Ok(());
    }
    let (name, version, signer) = (&bundle.name, &bundle.version, &bundle.signer);
    let mut text = format!("{name} {version}, signed by {signer}, asks to\n");
    text = plain(text.trim_end()) + "\n" + &asked(&bundle.permissions);
    if let Some(known) = known.filter(|known| known.signer != *signer) {
        let (version, signer) = (plain(&known.version), plain(&known.signer));
        text.push_str(&format!("The installed {version} is signed by {signer}.\n"));
    }
    eprint!("{text}");
    let instead = format!("{id} is as it was: give --yes when you accept what is asked");
    if !word.yes && !terminal::agreed("Accept that?", &instead)? {
        return Err(Failure::Word(format!("{id} is as it was")));
    }
    Ok(())
}

fn installed(work: &mut Work, id: &str) -> Result<Option<Detail>, Failure> {
    match detail(work, id) {
        Ok((_, detail)) => Ok(Some(detail)),
        Err(Failure::Client(ClientError::Refused(refusal))) if refusal.status == 404 => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn name_of(id: &str, of: Option<&str>, before: Option<&Detail>) -> Result<String, Failure> {
    let is = before.and_then(|before| before.plugin["name"].as_str());
    match (is, of) {
        (Some(is), Some(of)) if is != of => Err(Failure::Usage(format!(
            "{id} is a {}, not a {of}; remove it first, or choose another name",
            plain(is)
        ))),
        (Some(name), _) | (None, Some(name)) => Ok(name.to_owned()),
        (None, None) => Ok(id.to_owned()),
    }
}

/// The bundle that an installed plugin runs.
fn present(work: &mut Work, name: &str, before: &Detail) -> Result<Bundle, Failure> {
    bundle_of(work, name, before)?.ok_or_else(|| {
        Failure::Usage(format!(
            "its present bundle cannot be used; name another by --bundle, \
            `evenkeel plugin bundles` lists those of {name:?}"
        ))
    })
}

fn bundle_of(work: &mut Work, name: &str, before: &Detail) -> Result<Option<Bundle>, Failure> {
    let (_, bundles) = bundles::all(work)?;
    let is = |b: &Bundle| match &before.bundle {
        Some(digest) => !b.shipped && b.digest == *digest,
        None => b.shipped && b.name == name,
    };
    Ok(bundles.into_iter().find(|b| b.problem.is_none() && is(b)))
}

fn fresh(id: &str, name: &str) -> Map<String, Value> {
    let mut plugin = Map::new();
    plugin.insert("name".to_owned(), name.into());
    if id != name {
        plugin.insert("id".to_owned(), id.into());
    }
    plugin
}
