//! Signed bundles for tests: a built plugin under another version, signed
//! again, as its vendor would do it.

use evenkeel_signing::{PluginManifest, PublicKey, Roots, SecretKey, Trust, seal_plugin};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The built bundle of the plugin `name` in the folder `plugins`.
///
/// # Errors
/// When it is not built.
pub fn built(plugins: &Path, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let begin = format!("{name}-");
    for entry in fs::read_dir(plugins)? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if file.starts_with(&begin) && file.ends_with(".evkp") {
            return Ok(path);
        }
    }
    Err(format!("{name} is not built; run `cargo xtask test`, which builds everything first")
        .into())
}

/// The bundle in `path`, which the public key `signed_by` signed, as `change`
/// would have it, signed by `key`.
///
/// # Errors
/// When the bundle is not what it should be, or the change breaks a rule.
pub fn signed_again(
    path: &Path,
    signed_by: &Path,
    key: &SecretKey,
    change: impl FnOnce(&mut PluginManifest),
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut trust = Trust::new(Roots::none(), false)?;
    trust.add_development_key(PublicKey::read(signed_by)?)?;
    let raw = fs::read(path)?;
    let bundle = trust.plugin(&raw)?;
    let mut manifest = bundle.manifest().clone();
    change(&mut manifest);
    let names: Vec<String> = manifest.parts.iter().map(|part| part.name.clone()).collect();
    let parts: Vec<(&str, &[u8])> =
        names.iter().filter_map(|name| Some((name.as_str(), bundle.part(name)?))).collect();
    Ok(seal_plugin(manifest, &parts, &[key])?)
}
