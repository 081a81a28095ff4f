//! The manifest of a plugin: what it is, what it wants and why, and the hashes
//! of its parts (facts/wasm-host.md §11). JSON; a field that this version does
//! not know is refused, because it might take something back.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Digest;
use crate::text::is_printable;

/// What a signed plugin bundle says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginManifest {
    /// Version of this format, [`PluginManifest::FORMAT`].
    pub format: u32,
    /// Always `plugin`.
    pub kind: String,
    /// `a-z`, `0-9`, `-`; 1 … 40 bytes; identifies the plugin on a device.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// Who made it, for people.
    pub vendor: String,
    /// World that the component was built for, e.g.
    /// `evenkeel:driver/device-driver@0.1.0`.
    pub world: String,
    /// One sentence for people.
    pub description: String,
    /// Interfaces that the component imports: sorted, each once.
    pub interfaces: Vec<String>,
    /// What it wants to use, and why.
    pub permissions: Vec<Permission>,
    /// What it may consume.
    pub limits: Limits,
    /// Devices that it is known to work with; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Model>,
    /// Payload, in the order of the file.
    pub parts: Vec<Part>,
    /// Length of the whole bundle in bytes.
    pub total_length: u64,
}

/// A wish of the plugin, which the administrator grants or refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// One of [`PluginManifest::interfaces`].
    pub interface: String,
    /// The logical name in that interface: a line (`ups`), a kind of subtree.
    pub what: String,
    /// Why, for the person who decides.
    pub reason: String,
}

/// Resources that the plugin was written to live with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Linear memory in bytes: whole pages of 64 KiB, at most 64 MiB.
    pub memory_bytes: u32,
    /// Processor time of one poll in milliseconds, 1 … 10,000.
    pub poll_cpu_ms: u32,
}

/// A device, and how well it is known to work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Maker and model as on the label.
    pub name: String,
    /// How sure we are.
    pub support: Support,
    /// Where the protocol description comes from.
    pub source: String,
}

/// How well a device is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// Tried on the device itself.
    Tested,
    /// Tried against a recording or a simulator of it.
    Simulated,
    /// Follows from the protocol description; nobody tried.
    Expected,
}

/// One piece of the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// `component`, `licence`, …: `a-z`, `0-9`, `-`; 1 … 40 bytes.
    pub name: String,
    /// Length in bytes, padding not counted.
    pub size: u64,
    /// Hash of those bytes.
    pub sha256: Digest,
}

impl PluginManifest {
    /// The version of this format.
    pub const FORMAT: u32 = 1;
    /// The value of [`PluginManifest::kind`].
    pub const KIND: &'static str = "plugin";
    /// The part that every plugin has.
    pub const COMPONENT: &'static str = "component";
    /// The part that holds the licence text.
    pub const LICENCE: &'static str = "licence";

    /// Parse and check a manifest. Give it signed bytes only.
    ///
    /// # Errors
    /// [`ManifestError`] names the field and the rule that it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|source| ManifestError::Json { source })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Check every rule that the field documentation states.
    ///
    /// # Errors
    /// [`ManifestError`] names the field and the rule that it breaks.
    pub fn check(&self) -> Result<(), ManifestError> {
        rule(
            self.format == Self::FORMAT,
            "format",
            "1 is the only format that this version knows",
        )?;
        rule(self.kind == Self::KIND, "kind", "must be \"plugin\"")?;
        rule(is_name(&self.name), "name", "1 to 40 of a-z, 0-9 and '-'")?;
        rule(semver::Version::parse(&self.version).is_ok(), "version", "must be like 1.2.3")?;
        rule(is_line(&self.vendor, 80), "vendor", LINE_80)?;
        rule(is_line(&self.description, 200), "description", LINE_200)?;
        rule(is_interface(&self.world), "world", INTERFACE)?;
        self.check_interfaces()?;
        self.check_limits()?;
        self.check_lists()
    }

    fn check_interfaces(&self) -> Result<(), ManifestError> {
        rule(self.interfaces.len() <= 64, "interfaces", "at most 64")?;
        rule(self.interfaces.iter().all(|i| is_interface(i)), "interfaces", INTERFACE)?;
        rule(self.interfaces.is_sorted_by(|a, b| a < b), "interfaces", "sorted, each once")?;
        rule(self.permissions.len() <= 64, "permissions", "at most 64")?;
        for permission in &self.permissions {
            let imported = self.interfaces.contains(&permission.interface);
            rule(imported, "permissions.interface", "must be in the list of interfaces")?;
            rule(is_name(&permission.what), "permissions.what", "1 to 40 of a-z, 0-9 and '-'")?;
            let has_reason = is_line(&permission.reason, 200);
            rule(has_reason, "permissions.reason", LINE_200)?;
        }
        let distinct: BTreeSet<_> =
            self.permissions.iter().map(|p| (&p.interface, &p.what)).collect();
        rule(distinct.len() == self.permissions.len(), "permissions", "each once")
    }

    fn check_limits(&self) -> Result<(), ManifestError> {
        let memory = self.limits.memory_bytes;
        let whole = memory.is_multiple_of(64 << 10) && (1..=64 << 20).contains(&memory);
        rule(whole, "limits.memory_bytes", "a multiple of 65536, at most 67108864")?;
        let cpu = (1..=10_000).contains(&self.limits.poll_cpu_ms);
        rule(cpu, "limits.poll_cpu_ms", "1 to 10000")
    }

    fn check_lists(&self) -> Result<(), ManifestError> {
        rule(self.models.len() <= 256, "models", "at most 256")?;
        let lines = self.models.iter().all(|m| is_line(&m.name, 80) && is_line(&m.source, 80));
        rule(lines, "models", LINE_80)?;
        rule(self.parts.len() <= 16, "parts", "at most 16")?;
        rule(
            self.parts.iter().all(|p| is_name(&p.name)),
            "parts.name",
            "1 to 40 of a-z, 0-9 and '-'",
        )?;
        let names: BTreeSet<_> = self.parts.iter().map(|p| p.name.as_str()).collect();
        rule(names.len() == self.parts.len(), "parts", "each name once")?;
        rule(names.contains(Self::COMPONENT), "parts", "a part named \"component\" is needed")
    }
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, or not these fields.
    #[error("it is not a plugin manifest of format 1; ask the vendor for a build for this version")]
    Json {
        /// Where and why.
        source: serde_json::Error,
    },
    /// A field breaks its rule.
    #[error("field `{field}`: {rule}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
}

const LINE_80: &str = "one line of 1 to 80 bytes, all characters visible";
const LINE_200: &str = "one line of 1 to 200 bytes, all characters visible";
const INTERFACE: &str = "must be like namespace:package/interface@1.2.3";

fn rule(holds: bool, field: &'static str, rule: &'static str) -> Result<(), ManifestError> {
    if holds { Ok(()) } else { Err(ManifestError::Field { field, rule }) }
}

fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Text that can be shown on one line and cannot disguise itself: every
/// character printable, and something to see.
fn is_line(text: &str, len_max: usize) -> bool {
    (1..=len_max).contains(&text.len()) && text.chars().all(is_printable) && !text.trim().is_empty()
}

fn is_interface(text: &str) -> bool {
    let Some((namespace, rest)) = text.split_once(':') else { return false };
    let Some((package, rest)) = rest.split_once('/') else { return false };
    let Some((name, version)) = rest.split_once('@') else { return false };
    [namespace, package, name].into_iter().all(is_name) && semver::Version::parse(version).is_ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A manifest without parts: what a tool hands to `seal_plugin`.
    pub(crate) fn sample() -> PluginManifest {
        PluginManifest {
            format: 1,
            kind: "plugin".into(),
            name: "megatec".into(),
            version: "0.1.0".into(),
            vendor: "Evenkeel".into(),
            world: "evenkeel:driver/device-driver@0.1.0".into(),
            description: "Reads a UPS.".into(),
            interfaces: vec![
                "evenkeel:log/log@0.1.0".into(),
                "evenkeel:serial/serial@0.1.0".into(),
            ],
            permissions: vec![Permission {
                interface: "evenkeel:serial/serial@0.1.0".into(),
                what: "ups".into(),
                reason: "talks to the UPS".into(),
            }],
            limits: Limits { memory_bytes: 1 << 20, poll_cpu_ms: 50 },
            models: Vec::new(),
            parts: vec![Part { name: "component".into(), size: 3, sha256: Digest::of(b"abc") }],
            total_length: 0,
        }
    }

    #[test]
    fn a_good_manifest_goes_both_ways() {
        let bytes = serde_json::to_vec(&sample()).unwrap();
        assert_eq!(PluginManifest::parse(&bytes).unwrap(), sample());
    }

    #[test]
    fn unknown_and_repeated_fields_are_refused() {
        let text = serde_json::to_string(&sample()).unwrap();
        for extra in ["\"admin\":true", "\"name\":\"other\""] {
            let text = text.replacen('{', &format!("{{{extra},"), 1);
            let error = PluginManifest::parse(text.as_bytes()).unwrap_err();
            assert!(matches!(error, ManifestError::Json { .. }), "{extra}: {error}");
        }
    }

    #[test]
    fn text_for_people_cannot_disguise_itself() {
        type Put = fn(&mut PluginManifest, String);
        let fields: [(&str, Put); 5] = [
            ("vendor", |m, text| m.vendor = text),
            ("description", |m, text| m.description = text),
            ("permissions.reason", |m, text| m.permissions[0].reason = text),
            ("models", |m, text| m.models[0].name = text),
            ("models", |m, text| m.models[0].source = text),
        ];
        let model = Model { name: "A 1".into(), support: Support::Tested, source: "B".into() };
        for (name, put) in fields {
            for hidden in ["\u{202e}", "\u{2066}", "\u{200b}", "\u{61c}", "\u{feff}", "\u{85}"] {
                let mut manifest = PluginManifest { models: vec![model.clone()], ..sample() };
                put(&mut manifest, "Müller 25 °C".into());
                manifest.check().unwrap();
                put(&mut manifest, format!("Evil{hidden}Acme"));
                match manifest.check() {
                    Err(ManifestError::Field { field, .. }) => assert_eq!(field, name),
                    other => panic!("{name} with {hidden:?}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn each_broken_field_is_named() {
        type Break = fn(&mut PluginManifest);
        let cases: [(&str, Break); 16] = [
            ("format", |m| m.format = 2),
            ("kind", |m| m.kind = "firmware".into()),
            ("name", |m| m.name = "../etc".into()),
            ("version", |m| m.version = "1".into()),
            ("vendor", |m| m.vendor = "a\u{1b}[2J".into()),
            ("description", |m| m.description.clear()),
            ("world", |m| m.world = "device-driver".into()),
            ("interfaces", |m| m.interfaces.reverse()),
            ("permissions.interface", |m| m.interfaces.truncate(1)),
            ("permissions.what", |m| m.permissions[0].what = "*".into()),
            ("permissions.reason", |m| m.permissions[0].reason.clear()),
            ("permissions", |m| m.permissions.push(m.permissions[0].clone())),
            ("limits.memory_bytes", |m| m.limits.memory_bytes += 1),
            ("limits.poll_cpu_ms", |m| m.limits.poll_cpu_ms = 0),
            ("parts", |m| m.parts.clear()),
            ("parts.name", |m| m.parts[0].name = "a b".into()),
        ];
        for (name, breaks) in cases {
            let mut manifest = sample();
            breaks(&mut manifest);
            match manifest.check() {
                Err(ManifestError::Field { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
