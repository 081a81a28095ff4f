//! `cargo xtask sdk`: what a vendor needs, as one file to hand over.
//!
//! `evenkeel-sdk-<version>.tar.gz` holds the guest crate with its WIT, the tool
//! `evenkeel-plugin`, the crate of signatures that it is built on, the examples,
//! and the versions of everything else that they are built from
//! (`Cargo.lock`). It is a workspace of its own, with the folders as they are
//! here; tests, and what only tests need, stay behind.

use crate::run::{AnyError, cargo, command, exec, sources};
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What goes in, as git's paths: the template is what `evenkeel-plugin new`
/// writes, and its manifest belongs to our workspace.
const PARTS: &[&str] = &[
    "sdk",
    "signing/Cargo.toml",
    "signing/src",
    "plugins/template",
    ":!sdk/tool/tests",
    ":!plugins/template/Cargo.toml",
];
/// The crates among them.
const MEMBERS: &[&str] =
    &["sdk/guest", "sdk/tool", "sdk/examples/room", "sdk/examples/thermometer", "signing"];

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder for the file; target/sdk when not given.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Pack it; gives the file.
pub fn run(root: &Path, arguments: &Arguments) -> Result<PathBuf, AnyError> {
    let out = arguments.out.clone().unwrap_or_else(|| root.join("target/sdk"));
    let name = format!("evenkeel-sdk-{}", env!("CARGO_PKG_VERSION"));
    let folder = out.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    // Links to the WIT become what they lead to.
    let mut copy = command("cp", &["-RL", "--parents"]);
    exec(copy.args(sources(root, PARTS)?).arg(&folder).current_dir(root))?;
    edit(&root.join("Cargo.toml"), &folder.join("Cargo.toml"), workspace)?;
    for member in MEMBERS {
        let manifest = folder.join(member).join("Cargo.toml");
        edit(&manifest, &manifest, |table| drop(table.remove("dev-dependencies")))?;
    }
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    // Takes out what is not used, and leaves the versions of the rest.
    exec(cargo(&["update", "--workspace", "--quiet"]).current_dir(&folder))?;
    let file = out.join(format!("{name}.tar.gz"));
    let options = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"];
    let mut pack = command("tar", &options);
    pack.args(["--use-compress-program", "gzip -n", "--create", "--file"]).arg(&file);
    exec(pack.arg("--directory").arg(&out).arg(&name))?;
    fs::remove_dir_all(folder)?;
    Ok(file)
}

/// Our workspace without the crates that stay behind, and without the profiles
/// of an appliance's programs.
fn workspace(manifest: &mut Table) {
    if let Some(Value::Table(profiles)) = manifest.get_mut("profile") {
        profiles.retain(|name, _| name == "plugin");
    }
    let Some(Value::Table(workspace)) = manifest.get_mut("workspace") else { return };
    workspace.remove("default-members");
    workspace.insert("members".to_owned(), MEMBERS.to_vec().into());
    if let Some(Value::Table(dependencies)) = workspace.get_mut("dependencies") {
        dependencies.retain(|_, wanted| {
            let path = wanted.get("path").and_then(Value::as_str);
            path.is_none_or(|path| MEMBERS.contains(&path))
        });
    }
}

fn edit(from: &Path, to: &Path, change: impl FnOnce(&mut Table)) -> Result<(), AnyError> {
    let mut table: Table = fs::read_to_string(from)?.parse()?;
    change(&mut table);
    Ok(fs::write(to, table.to_string())?)
}
