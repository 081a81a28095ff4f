//! `inspect`: what a bundle is and wants, in plain words. Without a key to
//! trust it shows the envelope and nothing else: unsigned bytes are not parsed.

use std::fmt::{self, Write as _};

use evenkeel_signing::{
    BundleError, Digest, Envelope, Keyring, KeyringError, KeyringManifest, Kind, PluginBundle,
    PluginManifest, SettingKind, SettingSpec, Signer, Support, Verified, date_utc,
};

use crate::sbom;

/// A report for people on `raw`. With an empty keyring nothing is verified, and
/// the report says so.
///
/// # Errors
/// [`InspectError`] when the file is no bundle, no key of `keyring` vouches
/// for it, or what it says breaks a rule.
pub fn inspect(raw: &[u8], keyring: &Keyring) -> Result<String, InspectError> {
    let bundle = |source| InspectError::Bundle { source };
    let envelope = Envelope::read(raw).map_err(bundle)?;
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_envelope(&mut out, &envelope);
    if keyring.keys().next().is_none() {
        out.push_str(
            "\nNOTHING IS VERIFIED: no key was given with --trust. What the bundle says \
             about itself\nis not shown, because anybody may have written it.\n",
        );
        return Ok(out);
    }
    let verified = envelope.verify(keyring, envelope.kind()).map_err(bundle)?;
    let _ = write_signers(&mut out, &verified);
    match envelope.kind() {
        Kind::Plugin => {
            let plugin = verified.plugin().map_err(bundle)?;
            let _ = write_plugin(&mut out, &plugin);
        }
        Kind::Keyring => {
            let text = verified.manifest_alone().map_err(bundle)?;
            let keyring =
                KeyringManifest::parse(text).map_err(|source| InspectError::Keyring { source })?;
            let _ = write_keyring(&mut out, &keyring);
        }
        Kind::Licence => {
            let text = verified.manifest_alone().map_err(bundle)?;
            let shown = String::from_utf8_lossy(text);
            let _ = writeln!(out, "\nIt says, for the licence gate\n  {}", shown.escape_debug());
        }
        Kind::Firmware => out.push_str("\nThis tool does not look into firmware.\n"),
    }
    Ok(out)
}

/// Why a bundle cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// No bundle, not trusted, or changed.
    #[error("the bundle is refused")]
    Bundle {
        /// Why.
        source: BundleError,
    },
    /// A signed keyring that no device accepts.
    #[error("what the keyring says is refused")]
    Keyring {
        /// Why.
        source: KeyringError,
    },
}

fn write_envelope(out: &mut String, envelope: &Envelope<'_>) -> fmt::Result {
    writeln!(out, "{} bundle, {} bytes", envelope.kind(), envelope.size())?;
    envelope.signers().try_for_each(|id| writeln!(out, "  said to be signed by key {id}"))
}

fn write_signers(out: &mut String, verified: &Verified<'_>) -> fmt::Result {
    for signer in verified.signers() {
        writeln!(out, "\nVERIFIED: signed by {:?}", signer.name())?;
        writeln!(out, "  fingerprint {}", signer.fingerprint())?;
    }
    // What a keyring names when it takes this bundle back.
    writeln!(out, "  manifest sha256 {}", Digest::of(verified.manifest()))
}

fn write_plugin(out: &mut String, plugin: &PluginBundle<'_>) -> fmt::Result {
    let manifest = plugin.manifest();
    writeln!(out, "\n{} {} by {}", manifest.name, manifest.version, manifest.vendor)?;
    writeln!(out, "  {}", manifest.description)?;
    writeln!(out, "  built for {}", manifest.world)?;
    writeln!(out, "  security version {}", manifest.security_version)?;
    if manifest.is_licence_gate() {
        writeln!(out, "  it decides what a licence permits: only the platform may sign it")?;
    }
    write_wishes(out, manifest)?;
    write_settings(out, &manifest.settings)?;
    let limits = manifest.limits;
    writeln!(
        out,
        "\nIt lives with {} KiB of memory and {} ms of processor time per poll",
        limits.memory_bytes / 1024,
        limits.poll_cpu_ms
    )?;
    if !manifest.models.is_empty() {
        writeln!(out, "\nIt knows")?;
    }
    for model in &manifest.models {
        let how = match model.support {
            Support::Tested => "tried on the device",
            Support::Simulated => "tried against a recording or simulator",
            Support::Expected => "not tried, follows from the description",
        };
        writeln!(out, "  {}: {how} ({})", model.name, model.source)?;
    }
    write_parts(out, plugin)
}

fn write_wishes(out: &mut String, manifest: &PluginManifest) -> fmt::Result {
    writeln!(out, "\nIt asks for")?;
    for permission in &manifest.permissions {
        let words = in_words(&permission.interface, &permission.what);
        writeln!(out, "  {words}\n    because it {}", permission.reason)?;
    }
    let free = |i: &&String| !manifest.permissions.iter().any(|p| p.interface == **i);
    for interface in manifest.interfaces.iter().filter(free) {
        writeln!(out, "  {} (needs no permission)", in_words(interface, ""))?;
    }
    Ok(())
}

fn write_settings(out: &mut String, settings: &[SettingSpec]) -> fmt::Result {
    if settings.is_empty() {
        return writeln!(out, "\nIt describes no settings");
    }
    writeln!(out, "\nIt can be set")?;
    for setting in settings {
        let default = match (setting.required, setting.default_value()) {
            (true, _) => ", must be given".to_owned(),
            (false, Some(value)) => format!(", {value} when not given"),
            (false, None) => ", may be left out".to_owned(),
        };
        let SettingSpec { name, label, kind, .. } = setting;
        writeln!(out, "  {name}: {label}\n    {}{default}", kind_in_words(kind))?;
    }
    Ok(())
}

/// What may be entered.
fn kind_in_words(kind: &SettingKind) -> String {
    match kind {
        SettingKind::Text { max_len, .. } => format!("a line of at most {max_len} bytes"),
        SettingKind::Number { min, max, step, unit, .. } => {
            let step = step.map_or_else(String::new, |step| format!(" in steps of {step}"));
            format!("a number from {min} to {max} {unit}").trim_end().to_owned() + &step
        }
        SettingKind::Integer { min, max, unit, .. } => {
            format!("a whole number from {min} to {max} {unit}").trim_end().to_owned()
        }
        SettingKind::Switch { .. } => "true or false".to_owned(),
        SettingKind::Choice { choices, .. } => {
            let values: Vec<&str> = choices.iter().map(|choice| choice.value.as_str()).collect();
            format!("one of {}", values.join(", "))
        }
        SettingKind::Secret { max_len } => format!("a secret of at most {max_len} bytes"),
    }
}

fn write_parts(out: &mut String, plugin: &PluginBundle<'_>) -> fmt::Result {
    let manifest = plugin.manifest();
    writeln!(out, "\nParts")?;
    for part in &manifest.parts {
        writeln!(out, "  {:<12} {:>8} bytes  sha256 {}", part.name, part.size, part.sha256)?;
    }
    for code in &manifest.code {
        let name = code.part_name();
        writeln!(out, "  {name}: Wasmtime {}, settings {}", code.wasmtime, code.compat)?;
    }
    if !manifest.code.is_empty() && !plugin.signers().iter().any(Signer::is_platform) {
        writeln!(
            out,
            "\nWARNING: it brings machine code along, and no key given with --platform signed it. \
             An\nappliance refuses it: only the platform may sign machine code. Sign the component \
             alone,\nwhich the appliance compiles itself."
        )?;
    }
    let Some(text) = plugin.part(PluginManifest::SBOM) else {
        return writeln!(out, "\nIt does not say what it was built from (no part sbom)");
    };
    let Ok(summary) = sbom::summary(text) else {
        return writeln!(out, "\nThe part sbom is no CycloneDX document");
    };
    let (inside, compiler) = (summary.packages, summary.only_in_compiler);
    writeln!(out, "\nIt was built from {inside} packages, and {compiler} only to compile them")?;
    let licences = summary.licences.iter();
    licences.into_iter().try_for_each(|(licence, count)| writeln!(out, "  {count:>4} {licence}"))
}

fn write_keyring(out: &mut String, keyring: &KeyringManifest) -> fmt::Result {
    let (issued, expires) = (date_utc(keyring.issued_unix_s), date_utc(keyring.expires_unix_s));
    writeln!(out, "\nKeyring {}, made {issued}, expires {expires}", keyring.sequence)?;
    writeln!(out, "\nIt trusts")?;
    for entry in &keyring.keys {
        let whose = if entry.vendor { "a vendor's key" } else { "a key of the platform" };
        let dev = if entry.is_development() { ", NOT FOR PRODUCTION" } else { "" };
        writeln!(out, "  {:?}, {whose} for {} bundles{dev}", entry.name, entry.role)?;
        let fingerprint = entry.public().map(|key| key.fingerprint());
        writeln!(out, "    fingerprint {}", fingerprint.unwrap_or_default())?;
    }
    writeln!(out, "\nIt takes back")?;
    for key in &keyring.revoked_keys {
        let since = date_utc(key.since_unix_s);
        writeln!(out, "  the key {:?} since {since}: {}\n    {}", key.name, key.reason, key.id)?;
    }
    for bundle in &keyring.revoked_bundles {
        writeln!(out, "  a bundle of {}: {}\n    {}", bundle.name, bundle.reason, bundle.sha256)?;
    }
    for floor in &keyring.floors {
        let (plugin, least) = (&floor.plugin, floor.security_version);
        writeln!(out, "  {plugin} below security version {least}: {}", floor.reason)?;
    }
    if keyring.revoked_keys.is_empty()
        && keyring.revoked_bundles.is_empty()
        && keyring.floors.is_empty()
    {
        writeln!(out, "  nothing")?;
    }
    Ok(())
}

/// What an interface lets a plugin do.
fn in_words(interface: &str, what: &str) -> String {
    let path = interface.split('@').next().unwrap_or(interface);
    let words = match path {
        "evenkeel:serial/serial" => format!("use the serial line that you map to \"{what}\""),
        "evenkeel:points/points" => format!("publish values of one device of kind \"{what}\""),
        "evenkeel:hid/hid" => format!("use the USB device that you map to \"{what}\""),
        "evenkeel:contacts/contacts" => {
            format!("read or SWITCH the contact that you map to \"{what}\"")
        }
        "evenkeel:net-client/net-client" => {
            format!("connect to the peer that you map to \"{what}\"")
        }
        "evenkeel:net-server/net-server" => {
            format!("speak unasked to those who connect to \"{what}\"")
        }
        "evenkeel:snmp-client/snmp-client" => {
            format!("ask the SNMP agent that you map to \"{what}\"")
        }
        "evenkeel:commands/offers" => format!("offer commands (\"{what}\")"),
        "evenkeel:commands/commands" => format!("GIVE COMMANDS to UPSes (\"{what}\")"),
        "evenkeel:events/events" => format!("read and add events (\"{what}\")"),
        "evenkeel:kv/kv" => "keep data over restarts".to_owned(),
        "evenkeel:crypto/crypto" => "compute with secrets that it cannot read".to_owned(),
        "evenkeel:config/config" => "read its own settings".to_owned(),
        "evenkeel:random/random" => "draw random numbers".to_owned(),
        "evenkeel:log/log" => "write to the log".to_owned(),
        "evenkeel:clock/clock" => "see the time".to_owned(),
        _ => return format!("use {interface} for \"{what}\""),
    };
    // An interface without a logical name in the manifest.
    words.replace(" (\"\")", "").replace(" that you map to \"\"", "")
}

#[cfg(test)]
mod tests {
    use evenkeel_signing::{
        CodePart, KeyEntry, Limits, Model, Origin, Permission, Role, SecretKey, seal_keyring,
        seal_plugin,
    };

    use super::*;

    fn bundle(key: &SecretKey) -> Vec<u8> {
        let code = CodePart {
            target: "pulley32".into(),
            wasmtime: "48.0.8".into(),
            compat: Digest::of(b"settings"),
        };
        bundle_with(key, vec![code])
    }

    fn bundle_with(key: &SecretKey, code: Vec<CodePart>) -> Vec<u8> {
        let serial = "evenkeel:serial/serial@0.1.0".to_owned();
        let manifest = PluginManifest {
            format: 1,
            kind: "plugin".into(),
            name: "probe".into(),
            version: "1.0.0".into(),
            security_version: 4,
            vendor: "Acme".into(),
            world: "evenkeel:driver/device-driver@0.1.0".into(),
            description: "A probe.".into(),
            interfaces: vec![serial.clone()],
            permissions: vec![Permission {
                interface: serial,
                what: "ups".into(),
                reason: "talks to the UPS".into(),
            }],
            limits: Limits { memory_bytes: 1 << 20, poll_cpu_ms: 10 },
            settings: settings(),
            models: vec![Model {
                name: "Acme 1000".into(),
                support: Support::Tested,
                source: "manual".into(),
            }],
            code,
            parts: Vec::new(),
            total_length: 0,
        };
        let mut parts: Vec<(&str, &[u8])> =
            vec![("component", b"bytes"), ("sbom", SBOM.as_bytes())];
        parts.extend(manifest.code.first().map(|_| ("code-pulley32", &b"code"[..])));
        seal_plugin(manifest, &parts, &[key]).unwrap()
    }

    const SBOM: &str = r#"{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "a", "name": "probe",
            "version": "1.0.0", "purl": "a"}},
        "components": [{"type": "library", "bom-ref": "b", "name": "sdk", "version": "0.1.0",
            "licenses": [{"expression": "Apache-2.0"}], "purl": "b"}]}"#;

    fn settings() -> Vec<SettingSpec> {
        let setting = |name: &str, required, kind| SettingSpec {
            name: name.into(),
            label: "A label".into(),
            help: String::new(),
            required,
            kind,
        };
        let low = SettingKind::Number {
            min: 10.0,
            max: 60.5,
            step: Some(0.5),
            unit: "V".into(),
            default: Some(12.0),
        };
        vec![
            setting("low-v", false, low),
            setting("password", true, SettingKind::Secret { max_len: 32 }),
        ]
    }

    #[test]
    fn without_trust_the_manifest_stays_closed() {
        let key = SecretKey::generate(Role::Plugin, "acme").unwrap();
        let report = inspect(&bundle(&key), &Keyring::new()).unwrap();
        assert!(report.contains("NOTHING IS VERIFIED"));
        assert!(report.contains(&key.public().id().to_string()));
        assert!(!report.contains("probe") && !report.contains("Acme"), "{report}");
    }

    #[test]
    fn with_trust_permissions_are_said_in_words() {
        let key = SecretKey::generate(Role::Plugin, "acme").unwrap();
        let mut ring = Keyring::new();
        ring.insert(key.public()).unwrap();
        let report = inspect(&bundle(&key), &ring).unwrap();
        assert!(report.contains("VERIFIED: signed by \"acme\""));
        assert!(report.contains("serial line that you map to \"ups\""));
        assert!(report.contains("because it talks to the UPS"));
        for line in [
            format!("fingerprint {}", key.public().fingerprint()),
            "security version 4".into(),
            "a number from 10 to 60.5 V in steps of 0.5, 12 when not given".into(),
            "a secret of at most 32 bytes, must be given".into(),
            "Acme 1000: tried on the device (manual)".into(),
            "code-pulley32: Wasmtime 48.0.8".into(),
            "built from 1 packages, and 0 only to compile".into(),
            "1 Apache-2.0".into(),
        ] {
            assert!(report.contains(&line), "{line} is not in\n{report}");
        }
        let stranger = SecretKey::generate(Role::Plugin, "stranger").unwrap();
        assert!(inspect(&bundle(&stranger), &ring).is_err());
    }

    #[test]
    fn machine_code_that_an_appliance_refuses_is_warned_of() {
        let key = SecretKey::generate(Role::Plugin, "acme").unwrap();
        let report = |raw: &[u8], origin| {
            let mut ring = Keyring::new();
            ring.insert_from(key.public(), origin).unwrap();
            inspect(raw, &ring).unwrap()
        };
        let (code, none) = (bundle(&key), bundle_with(&key, Vec::new()));
        assert!(report(&code, Origin::Administrator).contains("WARNING: it brings machine code"));
        assert!(!report(&code, Origin::Platform).contains("WARNING"), "the platform may");
        assert!(!report(&none, Origin::Administrator).contains("WARNING"), "there is none");
    }

    #[test]
    fn a_keyring_is_shown_to_who_trusts_a_root() {
        let root = SecretKey::generate(Role::Root, "root-a").unwrap();
        let acme = SecretKey::generate(Role::Plugin, "acme").unwrap().public();
        let manifest = KeyringManifest {
            format: KeyringManifest::FORMAT,
            kind: KeyringManifest::KIND.into(),
            sequence: 7,
            issued_unix_s: 1_763_683_200,
            expires_unix_s: 1_800_000_000,
            keys: vec![KeyEntry::of(&acme, true)],
            revoked_keys: Vec::new(),
            revoked_bundles: Vec::new(),
            floors: Vec::new(),
        };
        let raw = seal_keyring(&manifest, &[&root]).unwrap();
        let mut ring = Keyring::new();
        ring.insert(root.public()).unwrap();
        let report = inspect(&raw, &ring).unwrap();
        assert!(report.contains("Keyring 7, made 2025-11-21, expires 2027-01-15"), "{report}");
        assert!(report.contains("\"acme\", a vendor's key for plugin bundles"), "{report}");
        assert!(report.contains(&acme.fingerprint()) && report.contains("nothing"), "{report}");
        assert!(!inspect(&raw, &Keyring::new()).unwrap().contains("acme"));
    }

    #[test]
    fn interfaces_of_any_version_are_said_in_words() {
        assert_eq!(in_words("evenkeel:clock/clock@0.1.1", ""), "see the time");
        let commands = "evenkeel:commands/commands@0.1.0";
        assert_eq!(in_words(commands, "shutdown"), "GIVE COMMANDS to UPSes (\"shutdown\")");
        assert_eq!(in_words(commands, ""), "GIVE COMMANDS to UPSes");
        assert!(in_words("acme:x/y@1.0.0", "z").contains("acme:x/y@1.0.0"));
    }
}
