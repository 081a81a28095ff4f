//! `cargo xtask plugins`: build and sign every plugin in `plugins/`.
//!
//! The work is done by `evenkeel-plugin`, as a vendor would do it; this only
//! goes through the folders and makes a development key where there is none.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Build and sign each plugin of the workspace at `root`. Returns the bundles,
/// `target/plugins/<name>-<version>.evkp`, in the order of the folders.
///
/// They are signed with the development key in `target/dev-keys/`, whose public
/// half, `plugin.pub`, a development device must be told to trust.
///
/// # Errors
/// A sentence that names the plugin and the step that failed.
pub fn build(root: &Path) -> Result<Vec<PathBuf>, String> {
    let key = development_key(root, "plugin", "development")?;
    // Signs what the stacks of tests and demo are licensed by.
    development_key(root, "licence", "development-licences")?;
    let mut bundles = Vec::new();
    for folder in plugin_folders(root)? {
        eprintln!("plugin {}", folder.display());
        tool(root, &["build".as_ref(), folder.as_ref()])?;
        let path = tool(root, &["sign".as_ref(), "--key".as_ref(), key.as_ref(), folder.as_ref()])?;
        bundles.push(PathBuf::from(path));
    }
    Ok(bundles)
}

/// The bundles that [`build`] made.
pub fn built(root: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = root.join("target/plugins");
    let cannot = |error| format!("cannot read {}: {error}", folder.display());
    let mut bundles = Vec::new();
    for entry in fs::read_dir(&folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Tests sign the template, which is no plugin for an appliance.
        if name.ends_with(".evkp") && !name.starts_with("template-") {
            bundles.push(path);
        }
    }
    bundles.sort();
    Ok(bundles)
}

/// The secret key for development with this role, `<role>.key`, made at the
/// first call.
pub fn development_key(root: &Path, role: &str, name: &str) -> Result<PathBuf, String> {
    let folder = root.join("target/dev-keys");
    let key = folder.join(format!("{role}.key"));
    if !key.exists() {
        fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let name = ["--role", role, "--name", name, "--out"];
        let mut arguments: Vec<&Path> = vec!["keygen".as_ref()];
        arguments.extend(name.iter().map(Path::new));
        arguments.push(&key);
        tool(root, &arguments)?;
    }
    eprintln!("signing with the DEVELOPMENT key {}; never trust it in production", key.display());
    Ok(key)
}

/// Folders in `plugins/` that hold a plugin.toml, by name.
///
/// Without the template: it is what `evenkeel-plugin new` writes, which that
/// tool's own tests build and sign, and no plugin for an appliance.
fn plugin_folders(root: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = root.join("plugins");
    let cannot = |error| format!("cannot read {}: {error}", folder.display());
    let mut folders = Vec::new();
    for entry in fs::read_dir(&folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.join("plugin.toml").exists() && !path.ends_with("template") {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Run `evenkeel-plugin`; gives the line that it writes to standard output.
pub fn tool(root: &Path, arguments: &[&Path]) -> Result<String, String> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .args(["run", "--quiet", "--package", "evenkeel-plugin", "--"])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        let words: Vec<_> = arguments.iter().map(|word| word.display().to_string()).collect();
        return Err(format!("`evenkeel-plugin {}` failed, see above", words.join(" ")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
