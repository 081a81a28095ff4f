//! Plugins and bundles as an administrator is shown them: what a bundle is and
//! asks for, the mark by which that is accepted, what of its grants can do harm
//! and who confirmed it; and no secret.

use crate::caps::base;
use crate::config::PluginGrant;
use crate::plugin::library;
use crate::plugin::load::{self, Seen, SignerName};
use crate::plugin::permission::{self, Digest};
use crate::plugin::reason;
use crate::plugin::vault;
use crate::plugin::world::{DRIVER_0_1, World};
use crate::plugin_admin::{AdminError, BundleInfo, DangerInfo, MASK, PermissionInfo};
use evenkeel_signing::{PluginManifest, SettingKind, Trust};
use std::path::Path;

/// What there is to know about the bundle in `path`.
pub(super) fn info_of(path: &Path, shipped: bool, trust: &Trust) -> BundleInfo {
    let raw = load::read(path);
    let seen = match &raw {
        Ok(raw) => load::inspect_raw(raw, trust).map_err(|why| reason(&why)),
        Err(why) => Err(reason(why)),
    };
    let raw = raw.unwrap_or_default();
    match seen {
        Ok(seen) => info(&raw, shipped, seen),
        Err(problem) => BundleInfo {
            digest: library::hash(&raw),
            bytes: raw.len() as u64,
            shipped,
            problem: Some(problem),
            ..BundleInfo::default()
        },
    }
}

/// What there is to know about the uploaded bundle `raw`.
pub(super) fn usable(raw: &[u8], trust: &Trust) -> Result<BundleInfo, AdminError> {
    let seen = load::inspect_raw(raw, trust)
        .map_err(|why| AdminError::Refused(format!("the upload is refused: {}", reason(&why))))?;
    Ok(info(raw, false, seen))
}

fn info(raw: &[u8], shipped: bool, seen: Seen) -> BundleInfo {
    let Seen { manifest, signer } = seen;
    BundleInfo {
        digest: library::hash(raw),
        bytes: raw.len() as u64,
        shipped,
        problem: None,
        world: World::of(&manifest.world).map_or(String::new(), |w| w.to_string()),
        permissions: asked(&manifest),
        memory_bytes: manifest.limits.memory_bytes,
        call_cpu_ms: manifest.limits.poll_cpu_ms,
        consent: mark(shipped, &manifest, &signer).as_str().to_owned(),
        free_settings: manifest.world == DRIVER_0_1 && manifest.settings.is_empty(),
        settings: manifest.settings,
        name: manifest.name,
        version: manifest.version,
        vendor: manifest.vendor,
        description: manifest.description,
        signer: signer.name,
    }
}

/// What a manifest asks for: first by name, then what needs no name.
pub(super) fn asked(manifest: &PluginManifest) -> Vec<PermissionInfo> {
    let named = manifest.permissions.iter().map(|p| PermissionInfo {
        interface: p.interface.clone(),
        what: p.what.clone(),
        text: permission::words(&p.interface, &p.what),
        reason: p.reason.clone(),
    });
    let is_named = |i: &&String| manifest.permissions.iter().any(|p| p.interface == **i);
    // Types alone give no reach.
    let says_something = |i: &&String| !base(i).ends_with("/types");
    let alone = manifest.interfaces.iter().filter(|i| !is_named(i) && says_something(i));
    let alone = alone.map(|i| PermissionInfo {
        interface: i.clone(),
        what: String::new(),
        text: permission::words_alone(i),
        reason: String::new(),
    });
    named.chain(alone).collect()
}

/// The mark by which a person accepts what a manifest asks for.
pub(super) fn mark(shipped: bool, manifest: &PluginManifest, signer: &SignerName) -> Digest {
    match shipped {
        // Whoever signs the firmware vouches for what it brings.
        true => Digest::of(manifest),
        false => Digest::signed(manifest, &signer.id),
    }
}

/// A plugin without the texts of its secrets, to be shown. Without a manifest
/// nobody knows which settings are secret.
pub(super) fn masked(plugin: &PluginGrant, manifest: Option<&PluginManifest>) -> PluginGrant {
    let mut shown = plugin.clone();
    vault::take_locked(&mut shown);
    shown.grant = shown.grant.masked();
    let is_secret = |name: &str| {
        let known = manifest.and_then(|m| m.settings.iter().find(|spec| spec.name == name));
        match (manifest, known) {
            (Some(_), Some(spec)) => matches!(spec.kind, SettingKind::Secret { .. }),
            (Some(manifest), None) => manifest.world != DRIVER_0_1,
            (None, _) => true,
        }
    };
    let secrets = shown.settings.iter_mut().filter(|(name, _)| is_secret(name));
    secrets.for_each(|(_, text)| MASK.clone_into(text));
    shown
}

/// With the settings of `before` where only the mask is given.
pub(super) fn unmask_settings(
    plugin: &mut PluginGrant,
    before: Option<&PluginGrant>,
) -> Result<(), AdminError> {
    for (name, text) in plugin.settings.iter_mut().filter(|(_, text)| *text == MASK) {
        let known = before.and_then(|before| before.settings.get(name));
        let never =
            || AdminError::Conflict(format!("the secret {name:?} was never given; give it"));
        text.clone_from(known.ok_or_else(never)?);
    }
    Ok(())
}

/// What of the grants of a plugin can do harm, and who confirmed it. Only the
/// configuration file is believed without a word for each.
pub(super) fn dangers(plugin: &PluginGrant) -> Vec<DangerInfo> {
    let told = |danger: permission::Danger| DangerInfo {
        by_file: !plugin.confirm.contains(&danger.name),
        name: danger.name,
        text: danger.text,
    };
    permission::dangers(&plugin.grant).into_iter().map(told).collect()
}

/// The same in plain words alone.
pub(super) fn all_words(manifest: &PluginManifest) -> Vec<String> {
    asked(manifest).into_iter().map(|permission| permission.text).collect()
}
