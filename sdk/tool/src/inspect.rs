//! `inspect`: what a bundle is and wants, in plain words. Without a key to
//! trust it shows the envelope and nothing else: unsigned bytes are not parsed.

use std::fmt::{self, Write as _};

use evenkeel_signing::{BundleError, Envelope, Keyring, Kind, PluginBundle};

/// A report for people on `raw`. With an empty keyring nothing is verified, and
/// the report says so.
///
/// # Errors
/// [`BundleError`] when the file is no bundle, or no key of `keyring` vouches
/// for it.
pub fn inspect(raw: &[u8], keyring: &Keyring) -> Result<String, BundleError> {
    let envelope = Envelope::read(raw)?;
    let mut report = String::new();
    // Writing to a String cannot fail.
    let _ = write_envelope(&mut report, &envelope);
    if keyring.keys().next().is_none() {
        report.push_str(
            "\nNOTHING IS VERIFIED: no key was given with --trust. What the bundle says \
             about itself\nis not shown, because anybody may have written it.\n",
        );
        return Ok(report);
    }
    let plugin = envelope.verify(keyring, Kind::Plugin)?.plugin()?;
    let _ = write_plugin(&mut report, &plugin);
    Ok(report)
}

fn write_envelope(out: &mut String, envelope: &Envelope<'_>) -> fmt::Result {
    writeln!(out, "{} bundle, {} bytes", envelope.kind(), envelope.size())?;
    envelope.signers().try_for_each(|id| writeln!(out, "  said to be signed by key {id}"))
}

fn write_plugin(out: &mut String, plugin: &PluginBundle<'_>) -> fmt::Result {
    let manifest = plugin.manifest();
    for key in plugin.signers() {
        writeln!(out, "\nVERIFIED: signed by {:?}, key {}", key.name(), key.id())?;
    }
    writeln!(out, "\n{} {} by {}", manifest.name, manifest.version, manifest.vendor)?;
    writeln!(out, "  {}", manifest.description)?;
    writeln!(out, "  built for {}", manifest.world)?;
    writeln!(out, "\nIt asks for")?;
    for permission in &manifest.permissions {
        let words = in_words(&permission.interface, &permission.what);
        writeln!(out, "  {words}\n    because it {}", permission.reason)?;
    }
    let free = |i: &&String| !manifest.permissions.iter().any(|p| p.interface == **i);
    for interface in manifest.interfaces.iter().filter(free) {
        writeln!(out, "  {} (needs no permission)", in_words(interface, ""))?;
    }
    let limits = manifest.limits;
    writeln!(
        out,
        "\nIt lives with {} KiB of memory and {} ms of processor time per poll",
        limits.memory_bytes / 1024,
        limits.poll_cpu_ms
    )?;
    writeln!(out, "\nParts")?;
    for part in &manifest.parts {
        writeln!(out, "  {:<12} {:>8} bytes  sha256 {}", part.name, part.size, part.sha256)?;
    }
    Ok(())
}

/// What an interface lets a plugin do.
fn in_words(interface: &str, what: &str) -> String {
    match interface.split_once('/').map_or(interface, |(package, _)| package) {
        "evenkeel:serial" => format!("use the serial line that you map to \"{what}\""),
        "evenkeel:points" => format!("publish values of one device of kind \"{what}\""),
        "evenkeel:log" => "write to the log".to_owned(),
        "evenkeel:clock" => "see how much time has passed".to_owned(),
        _ => format!("use {interface} for \"{what}\""),
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_signing::{Limits, Permission, PluginManifest, Role, SecretKey, seal_plugin};

    use super::*;

    fn bundle(key: &SecretKey) -> Vec<u8> {
        let serial = "evenkeel:serial/serial@0.1.0".to_owned();
        let manifest = PluginManifest {
            format: 1,
            kind: "plugin".into(),
            name: "probe".into(),
            version: "1.0.0".into(),
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
            models: Vec::new(),
            parts: Vec::new(),
            total_length: 0,
        };
        seal_plugin(manifest, &[("component", b"bytes")], &[key]).unwrap()
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
        let stranger = SecretKey::generate(Role::Plugin, "stranger").unwrap();
        assert!(inspect(&bundle(&stranger), &ring).is_err());
    }
}
