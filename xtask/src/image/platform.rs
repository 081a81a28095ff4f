//! A platform of nobody, for tests: its keys and its keyring are made by the
//! commands of image/README.md, and its images are for production like any.

use super::fresh;
use crate::plugins::tool;
use crate::run::AnyError;
use evenkeel_e2e::{fit, uefi};
use std::fs;
use std::path::{Path, PathBuf};

const DESCRIPTION: &str = "\
sequence = 1
issued = 2026-11-23
expires = 2056-11-23

[[keys]]
file = \"firmware.pub\"

[[keys]]
file = \"plugin.pub\"
";

/// The platform's folder; made at the first time. Its secret roots are in
/// `elsewhere`, where nobody's roots are.
pub fn example(root: &Path) -> Result<PathBuf, AnyError> {
    let folder = root.join("target/example-platform");
    let keyring = folder.join("keyring.evkk");
    if keyring.exists() && folder.join("uefi.crt").exists() {
        return Ok(folder);
    }
    fresh(&folder)?;
    uefi::make_key(&folder)?;
    let (elsewhere, roots) = (folder.join("elsewhere"), folder.join("roots"));
    fs::create_dir_all(&elsewhere)?;
    fs::create_dir_all(&roots)?;
    let generate = |role: &str, name: &str, out: &Path| {
        let words = ["keygen", "--role", role, "--name", name, "--out"].map(Path::new);
        tool(root, &[&words[..], &[out]].concat())
    };
    for n in 1..=3 {
        let name = format!("root-{n}");
        generate("root", &name, &elsewhere.join(format!("{name}.key")))?;
        let public = format!("{name}.pub");
        fs::rename(elsewhere.join(&public), roots.join(&public))?;
    }
    generate("firmware", "firmware-1", &folder.join("firmware.key"))?;
    generate("plugin", "plugin-1", &folder.join("plugin.key"))?;
    fit::make_key(&folder)?;
    let description = folder.join("keyring.toml");
    fs::write(&description, DESCRIPTION)?;
    let first = elsewhere.join("keyring.evkk");
    let key = |n| elsewhere.join(format!("root-{n}.key"));
    let make = ["keyring", "make", "--key"].map(Path::new);
    tool(root, &[&make[..], &[&key(1), "--out".as_ref(), &first, &description]].concat())?;
    let sign = ["keyring", "sign", "--key"].map(Path::new);
    let trusted = roots.join("root-1.pub");
    let more = [&*key(2), "--trust".as_ref(), &trusted, "--out".as_ref(), &keyring, &first];
    tool(root, &[&sign[..], &more].concat())?;
    Ok(folder)
}
