//! What is in an image: a CycloneDX 1.5 document in JSON, beside the bundle and
//! in the root under its hash tree (facts/firmware-trust.md §11).
//!
//! It lists the crates that are compiled into the programs and the loader, with their
//! licences, standard and C library, the plugins, the kernel, and the boot loader
//! where it is made here. No date, no
//! machine, no random number: the same sources give the same bytes.

use super::cross::Cross;
use super::programs::daemon_features;
use crate::debian::Package;
use crate::run::{AnyError, cargo};
use evenkeel_image::board::Board;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The document's name, beside the bundle and in the root.
pub const FILE: &str = "sbom.cdx.json";

/// The document for the image of `board`. `firmware`: what is below the
/// programs, kernel and loader, each with version and package URL.
pub fn document(
    root: &Path,
    board: &Board,
    cross: Option<&Cross>,
    plugins: &[PathBuf],
    firmware: &[(&str, &str, String)],
) -> Result<String, AnyError> {
    let mut components = BTreeMap::new();
    let mut add = |component: Value| {
        components.insert(component["bom-ref"].to_string(), component);
    };
    for (package, features) in [
        ("evenkeel-init", &[][..]),
        ("evenkeel-guard", &[]),
        ("evenkeel-network", &[]),
        ("evenkeeld", daemon_features(board)),
    ] {
        crates(root, package, features, &board.target)?.into_iter().for_each(&mut add);
    }
    if let Some(uefi) = &board.uefi {
        let features = ["--features", "firmware"];
        let loader = crates(root, "evenkeel-loader", &features, &uefi.target)?;
        loader.into_iter().for_each(&mut add);
    }
    let (rust, libc) = match cross {
        Some(cross) => (cross.rust_version()?, cross.libc()?),
        None => (said(Command::new("rustc").arg("--version"))?, Package::installed("libc6-dev")?),
    };
    let rust = rust.split(' ').nth(1).ok_or("rustc has no version")?.to_owned();
    add(component("library", "std", &rust, &format!("pkg:generic/rust-std@{rust}"), None));
    add(component("library", &libc.name, &libc.version, &libc.purl(), None));
    for (name, version, purl) in firmware {
        add(component("operating-system", name, version, purl, None));
    }
    for plugin in plugins {
        let stem = plugin.file_stem().unwrap_or_default().to_string_lossy();
        let (name, version) = stem.rsplit_once('-').ok_or("a bundle is named with its version")?;
        let purl = format!("pkg:generic/evenkeel-plugin-{name}@{version}");
        add(component("application", name, version, &purl, None));
    }
    let version = env!("CARGO_PKG_VERSION");
    let image = format!("pkg:generic/evenkeel@{version}?board={}", board.name);
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": component("firmware", "evenkeel", version, &image, None) },
        "components": components.into_values().collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string(&document)?)
}

/// Crates that are compiled into `package` for `target`, itself included;
/// `features`: what cargo is told of them.
fn crates(
    root: &Path,
    package: &str,
    features: &[&str],
    target: &str,
) -> Result<Vec<Value>, AnyError> {
    let mut tree = cargo(&["tree", "--locked", "--package", package, "--target", target]);
    // Macros run in the compiler, and are in no program.
    tree.args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe"]);
    tree.args(["--format", "{p}|{l}"]);
    tree.args(features).current_dir(root);
    said(&mut tree)?.lines().map(crate_of).collect()
}

/// One line of the tree: `name vX.Y.Z (folder)|licence`.
fn crate_of(line: &str) -> Result<Value, AnyError> {
    let odd = || format!("cargo tree said {line:?}");
    let (package, licence) = line.split_once('|').ok_or_else(odd)?;
    let (name, rest) = package.split_once(" v").ok_or_else(odd)?;
    let version = rest.split(' ').next().ok_or_else(odd)?;
    let purl = format!("pkg:cargo/{name}@{version}");
    // An older spelling of "either of them" that is no SPDX expression.
    let licence = Some(licence.replace('/', " OR ")).filter(|licence| !licence.is_empty());
    Ok(component("library", name, version, &purl, licence.as_deref()))
}

fn component(kind: &str, name: &str, version: &str, purl: &str, licence: Option<&str>) -> Value {
    let licences = licence.map(|expression| json!([{ "expression": expression }]));
    json!({
        "type": kind,
        "bom-ref": purl,
        "name": name,
        "version": version,
        "licenses": licences.unwrap_or_else(|| json!([])),
        "purl": purl,
    })
}

fn said(command: &mut Command) -> Result<String, AnyError> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_tree_is_taken_apart() {
        let found = crate_of("redb v4.4.0|MIT/Apache-2.0").unwrap();
        assert_eq!(found["purl"], "pkg:cargo/redb@4.4.0");
        assert_eq!(found["licenses"], json!([{ "expression": "MIT OR Apache-2.0" }]));
        let ours = crate_of("evenkeeld v0.1.0 (/src/host/daemon)|Apache-2.0").unwrap();
        assert_eq!((&ours["name"], &ours["version"]), (&json!("evenkeeld"), &json!("0.1.0")));
        assert_eq!(crate_of("ring v0.17.14|").unwrap()["licenses"], json!([]));
        assert!(crate_of("error: no such target").is_err());
    }

    #[test]
    fn what_is_in_a_program_is_listed_and_what_runs_in_the_compiler_is_not() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let has = |board: &str, name: &str| {
            let board = crate::image::board(root, board).unwrap();
            let crates = crates(root, "evenkeeld", daemon_features(&board), &board.target).unwrap();
            crates.iter().any(|found| found["name"] == name)
        };
        assert!(has("qemu-arm", "pulley-interpreter"), "an ARM board interprets");
        assert!(has("qemu-arm", "redb") && !has("qemu-arm", "serde_derive"));
        assert!(!has("qemu-arm", "cranelift-codegen"), "and does not compile");
        assert!(has("qemu-x86_64", "cranelift-codegen"), "a PC does");
    }
}
