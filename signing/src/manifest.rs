//! The manifest of a plugin: what it is, what it wants and why, and the hashes
//! of its parts (facts/wasm-host.md §11). JSON; a field that this version does
//! not know is refused, because it might take something back.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::settings::check_schema;
use crate::text::is_printable;
use crate::{Digest, SettingSpec};

/// What a signed plugin bundle says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginManifest {
    /// Version of this format, [`PluginManifest::FORMAT`].
    pub format: u32,
    /// Always `plugin`.
    pub kind: String,
    /// `a-z`, `0-9`, `-`; 1 … 40 bytes; identifies the plugin on a device.
    pub name: String,
    /// Semantic version, for people; it may go down.
    pub version: String,
    /// Raised by 1 with each release that closes a hole, and never lowered. A
    /// keyring names the least that devices still accept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub security_version: u32,
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
    /// What the administrator can set; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<SettingSpec>,
    /// Devices that it is known to work with; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Model>,
    /// One row for each part with precompiled code; may be empty, and is empty
    /// in the bundles of vendors ([`crate::Reason::ForeignCode`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<CodePart>,
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

/// What a part with precompiled code was made for. It is run only where all
/// three match; elsewhere the component is compiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodePart {
    /// Target triple or `pulley32`/`pulley64`: `a-z`, `0-9`, `-`, `_`.
    pub target: String,
    /// Version of Wasmtime that compiled it, e.g. `48.0.8`.
    pub wasmtime: String,
    /// Hash of the engine's settings that it depends on.
    pub compat: Digest,
}

impl CodePart {
    /// Name of the part that holds the code.
    #[must_use]
    pub fn part_name(&self) -> String {
        format!("{}{}", PluginManifest::CODE_PREFIX, self.target)
    }
}

/// One piece of the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// `component`, `licence`, `sbom`, `notices` or `code-<target>`.
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
    /// The part that lists what the component was built from (CycloneDX, JSON).
    pub const SBOM: &'static str = "sbom";
    /// The part with the notices that licences of others ask for.
    pub const NOTICES: &'static str = "notices";
    /// How parts with precompiled code begin; the target follows.
    pub const CODE_PREFIX: &'static str = "code-";

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

    /// True when the plugin decides what a licence permits. A vendor must not
    /// ship such a plugin, so it counts wherever the world's name or package
    /// says so.
    #[must_use]
    pub fn is_licence_gate(&self) -> bool {
        let Some((package, world)) = self.world.split_once('/') else { return false };
        let world = world.split('@').next().unwrap_or_default();
        let package = package.rsplit(':').next().unwrap_or_default();
        world == "licence-gate" || matches!(package, "licence" | "licence-gate")
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
        rule(is_name(&self.name), "name", NAME)?;
        rule(semver::Version::parse(&self.version).is_ok(), "version", "must be like 1.2.3")?;
        rule(is_line(&self.vendor, 80), "vendor", LINE_80)?;
        rule(is_line(&self.description, 200), "description", LINE_200)?;
        rule(is_interface(&self.world), "world", INTERFACE)?;
        self.check_interfaces()?;
        self.check_limits()?;
        check_schema(&self.settings)?;
        let lines = self.models.iter().all(|m| is_line(&m.name, 80) && is_line(&m.source, 80));
        rule(self.models.len() <= 256, "models", "at most 256")?;
        rule(lines, "models", LINE_80)?;
        self.check_parts()?;
        self.check_code()
    }

    fn check_interfaces(&self) -> Result<(), ManifestError> {
        rule(self.interfaces.len() <= 64, "interfaces", "at most 64")?;
        rule(self.interfaces.iter().all(|i| is_interface(i)), "interfaces", INTERFACE)?;
        rule(self.interfaces.is_sorted_by(|a, b| a < b), "interfaces", "sorted, each once")?;
        rule(self.permissions.len() <= 64, "permissions", "at most 64")?;
        for permission in &self.permissions {
            let imported = self.interfaces.contains(&permission.interface);
            rule(imported, "permissions.interface", "must be in the list of interfaces")?;
            rule(is_name(&permission.what), "permissions.what", NAME)?;
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

    fn check_parts(&self) -> Result<(), ManifestError> {
        rule(self.parts.len() <= 16, "parts", "at most 16")?;
        let names: BTreeSet<_> = self.parts.iter().map(|p| p.name.as_str()).collect();
        if let Some(name) = names.iter().find(|name| !is_part_name(name)) {
            return Err(ManifestError::PartName { name: name.chars().take(40).collect() });
        }
        rule(names.len() == self.parts.len(), "parts", "each name once")?;
        rule(names.contains(Self::COMPONENT), "parts", "a part named \"component\" is needed")
    }

    fn check_code(&self) -> Result<(), ManifestError> {
        let target = |code: &CodePart| is_part_name(&code.part_name());
        rule(self.code.iter().all(target), "code.target", "1 to 35 of a-z, 0-9, '-' and '_'")?;
        let version = |code: &CodePart| semver::Version::parse(&code.wasmtime).is_ok();
        rule(self.code.iter().all(version), "code.wasmtime", "must be like 48.0.8")?;
        let described: BTreeSet<_> = self.code.iter().map(CodePart::part_name).collect();
        rule(described.len() == self.code.len(), "code", "each target once")?;
        let is_code = |part: &&Part| part.name.starts_with(Self::CODE_PREFIX);
        let parts = self.parts.iter().filter(is_code).map(|part| part.name.clone());
        let same = parts.collect::<BTreeSet<_>>() == described;
        rule(same, "code", "one row for each part code-<target>, and no other")
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
    /// A part that no bundle has. Names are never used as paths; all the same,
    /// one that looks like a path says that somebody hoped so.
    #[error(
        "no part of a plugin is called {name:?}; parts are component, licence, sbom, notices and \
        code-<target>"
    )]
    PartName {
        /// The name, shortened.
        name: String,
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

pub(crate) const NAME: &str = "1 to 40 of a-z, 0-9 and '-'";
pub(crate) const LINE_80: &str = "one line of 1 to 80 bytes, all characters visible";
pub(crate) const LINE_200: &str = "one line of 1 to 200 bytes, all characters visible";
const INTERFACE: &str = "must be like namespace:package/interface@1.2.3";

pub(crate) fn rule(
    holds: bool,
    field: &'static str,
    rule: &'static str,
) -> Result<(), ManifestError> {
    if holds { Ok(()) } else { Err(ManifestError::Field { field, rule }) }
}

pub(crate) fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Text that can be shown on one line and cannot disguise itself: every
/// character printable, and something to see.
pub(crate) fn is_line(text: &str, len_max: usize) -> bool {
    (1..=len_max).contains(&text.len()) && text.chars().all(is_printable) && !text.trim().is_empty()
}

fn is_part_name(name: &str) -> bool {
    let known = [
        PluginManifest::COMPONENT,
        PluginManifest::LICENCE,
        PluginManifest::SBOM,
        PluginManifest::NOTICES,
    ];
    let target = name.strip_prefix(PluginManifest::CODE_PREFIX).is_some_and(|target| {
        (1..=35).contains(&target.len())
            && target.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    });
    known.contains(&name) || target
}

fn is_zero(number: &u32) -> bool {
    *number == 0
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
            security_version: 0,
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
            settings: Vec::new(),
            models: Vec::new(),
            code: Vec::new(),
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
    fn a_manifest_of_the_first_release_still_parses() {
        let text = serde_json::to_string(&sample()).unwrap();
        for later in ["security_version", "settings", "code"] {
            assert!(!text.contains(later), "{later} is written only when it says something");
        }
        let manifest = PluginManifest { security_version: 7, ..sample() };
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(PluginManifest::parse(text.as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn any_world_is_accepted_and_gates_are_known() {
        for (world, is_gate) in [
            ("evenkeel:driver/device-driver@0.1.0", false),
            ("evenkeel:sensor/sensor-driver@0.1.0", false),
            ("evenkeel:gateway/gateway@0.2.0", false),
            ("evenkeel:notify/notifier@1.0.0", false),
            ("evenkeel:auth/authenticator@0.1.0", false),
            ("evenkeel:licence/licence-gate@0.1.0", true),
            ("evenkeel:licence/another@0.1.0", true),
            ("evenkeel:driver/licence-gate@0.1.0", true),
        ] {
            let manifest = PluginManifest { world: world.into(), ..sample() };
            manifest.check().unwrap();
            assert_eq!(manifest.is_licence_gate(), is_gate, "{world}");
        }
    }

    #[test]
    fn code_parts_and_their_rows_go_together() {
        let mut manifest = sample();
        let row = |target: &str| CodePart {
            target: target.into(),
            wasmtime: "48.0.8".into(),
            compat: Digest::of(b"settings"),
        };
        let part = |name: &str| Part { name: name.into(), ..sample().parts[0].clone() };
        manifest.code.push(row("x86_64-unknown-linux-musl"));
        manifest.parts.push(part("code-x86_64-unknown-linux-musl"));
        manifest.parts.push(part("sbom"));
        manifest.check().unwrap();
        type Break = fn(&mut PluginManifest);
        let cases: [(&str, Break); 5] = [
            ("code", |m| m.code.clear()),
            ("code", |m| m.parts.truncate(1)),
            ("code", |m| m.code.push(m.code[0].clone())),
            ("code.target", |m| m.code[0].target = "../x".into()),
            ("code.wasmtime", |m| m.code[0].wasmtime = "48".into()),
        ];
        for (name, breaks) in cases {
            let mut manifest = manifest.clone();
            breaks(&mut manifest);
            match manifest.check() {
                Err(ManifestError::Field { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn only_known_parts_are_accepted() {
        for name in ["../x", "/etc/x", "a\0b", "", "hook", "code-", "code-a/b", "Component"] {
            let mut manifest = sample();
            manifest.parts[0].name = name.into();
            match manifest.check() {
                Err(ManifestError::PartName { name: found }) => assert_eq!(found, name),
                other => panic!("{name}: {other:?}"),
            }
        }
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
        let cases: [(&str, Break); 15] = [
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
