//! The platform's plugins as an appliance runs them at once, with a compiler or
//! without: each signed again with machine code for the board, as a release is
//! by the platform's key.

use super::keys::Keys;
use crate::run::AnyError;
use evenkeel_image::board::Board;
use evenkeel_signing::{CodePart, PluginManifest, Roots, SecretKey, Trust, seal_plugin};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `bundles` with code for `board`, in `out/plugins`.
pub fn all(
    root: &Path,
    out: &Path,
    board: &Board,
    keys: &Keys,
    bundles: &[PathBuf],
) -> Result<Vec<PathBuf>, AnyError> {
    let compiler = crate::run::programs(root).join("evenkeeld");
    let described =
        Command::new(&compiler).args(["describe-code", "--target", &board.plugin_code]).output()?;
    let row: CodePart = serde_json::from_slice(&described.stdout)?;
    let workshop =
        SecretKey::read(&crate::plugins::development_key(root, "plugin", "development")?)?;
    let folder = super::fresh(&out.join("plugins"))?;
    let mut made = Vec::new();
    for bundle in bundles {
        let path = folder.join(bundle.file_name().unwrap_or_default());
        fs::write(&path, with_code(&compiler, &row, &workshop, &keys.plugin, bundle)?)?;
        made.push(path);
    }
    Ok(made)
}

/// The bundle in `path`, which the `workshop` built, with the code that `row`
/// describes, signed by `key`.
fn with_code(
    compiler: &Path,
    row: &CodePart,
    workshop: &SecretKey,
    key: &SecretKey,
    path: &Path,
) -> Result<Vec<u8>, AnyError> {
    let mut trust = Trust::new(Roots::none(), false)?;
    trust.add_development_key(workshop.public())?;
    let raw = fs::read(path)?;
    let bundle = trust.plugin(&raw).map_err(|error| format!("{}: {error}", path.display()))?;
    let component = bundle.part(PluginManifest::COMPONENT).ok_or("a bundle has a component")?;
    let input = path.with_extension("component");
    fs::write(&input, component)?;
    let compiled = Command::new(compiler)
        .args(["compile-plugin", "--target", &row.target])
        .stdin(File::open(&input)?)
        .stderr(Stdio::inherit())
        .output()?;
    fs::remove_file(&input)?;
    if !compiled.status.success() {
        let said = String::from_utf8_lossy(&compiled.stdout);
        return Err(format!("{} is not compiled: {said}", path.display()).into());
    }
    let mut manifest = bundle.manifest().clone();
    let names: Vec<String> = manifest.parts.iter().map(|part| part.name.clone()).collect();
    manifest.code = vec![row.clone()];
    let name = row.part_name();
    let mut parts: Vec<(&str, &[u8])> =
        names.iter().filter_map(|name| Some((name.as_str(), bundle.part(name)?))).collect();
    parts.push((&name, &compiled.stdout));
    Ok(seal_plugin(manifest, &parts, &[key])?)
}
