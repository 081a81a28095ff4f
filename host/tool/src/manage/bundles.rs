//! The commands about signed bundles: what could be installed.

use super::model::{Bundle, Permission};
use super::table::{bytes, key, pairs, plain, table};
use super::{Failure, Work, read_file};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Digits by which a bundle may be named, at least.
const DIGITS_MIN: usize = 8;
/// What stands for the bundle that came with the firmware.
pub const FIRMWARE: &str = "firmware";

/// A bundle on this computer.
#[derive(Args)]
pub struct FileArgument {
    /// The bundle (.evkp).
    file: PathBuf,
}

/// A bundle on the appliance.
#[derive(Args)]
pub struct BundleArgument {
    /// Its SHA-256, or how that begins.
    sha256: String,
}

/// What a file is and asks for.
///
/// # Errors
/// [`Failure`].
pub fn inspect(work: &mut Work, argument: &FileArgument) -> Result<(), Failure> {
    let raw = read_file(&argument.file)?;
    let document = work.appliance.post_file("/api/v1/bundles/inspect", &raw)?;
    let bundle: Bundle = work.appliance.understand(&document)?;
    work.print(&document, || shown(&bundle))
}

/// Send a file.
///
/// # Errors
/// [`Failure`].
pub fn upload(work: &mut Work, argument: &FileArgument) -> Result<(), Failure> {
    let (document, bundle) = send(work, &argument.file)?;
    work.print(&document, || {
        let next = format!(
            "\n`evenkeel plugin grant {}` installs it, `evenkeel plugin update` puts it in the \
            place of an installed one\n",
            plain(&bundle.name)
        );
        shown(&bundle) + &next
    })
}

/// Every bundle.
///
/// # Errors
/// [`Failure`].
pub fn list(work: &mut Work) -> Result<(), Failure> {
    let (document, bundles) = all(work)?;
    let row = |b: &Bundle| {
        let from = if b.shipped { FIRMWARE } else { "upload" }.to_owned();
        let what = b.problem.as_ref().map_or(&b.description, |problem| problem).clone();
        let (name, world, version) = (b.name.clone(), b.world.clone(), b.version.clone());
        [name, world, version, key(&b.signer), from, short(&b.digest).to_owned(), what]
    };
    let rows: Vec<_> = bundles.iter().map(row).collect();
    let headings = ["PLUGIN", "FOR", "VERSION", "SIGNED BY", "FROM", "SHA-256", "WHAT"];
    work.print(&document, || table(headings, &rows))
}

/// Delete one.
///
/// # Errors
/// [`Failure`].
pub fn delete(work: &mut Work, argument: &BundleArgument) -> Result<(), Failure> {
    let (_, bundles) = all(work)?;
    let uploads: Vec<_> = bundles.into_iter().filter(|bundle| !bundle.shipped).collect();
    let digest = named(&uploads, &argument.sha256)?.digest.clone();
    work.appliance.post(&format!("/api/v1/bundles/{digest}/delete"), &Value::Null)?;
    work.print(&json!({"deleted": digest}), || format!("{} is deleted\n", short(&digest)))
}

/// Every bundle, as it came and as it is understood.
///
/// # Errors
/// [`Failure`].
pub fn all(work: &mut Work) -> Result<(Value, Vec<Bundle>), Failure> {
    let document = work.appliance.get("/api/v1/bundles")?;
    let bundles = work.appliance.understand(&document)?;
    Ok((document, bundles))
}

/// The bundle of the plugin `name` that a person means by `word`: a file,
/// which is sent, a SHA-256, or the firmware.
///
/// # Errors
/// [`Failure`].
pub fn meant(work: &mut Work, name: &str, word: &str) -> Result<Bundle, Failure> {
    let bundle = if Path::new(word).is_file() {
        send(work, Path::new(word))?.1
    } else {
        let (_, bundles) = all(work)?;
        let shipped = |b: &&Bundle| b.shipped && b.name == name;
        match word == FIRMWARE {
            true => bundles.iter().find(shipped).cloned().ok_or_else(|| {
                Failure::Usage(format!("the firmware brings no bundle of {name:?}"))
            })?,
            false => named(&bundles, word)?.clone(),
        }
    };
    if let Some(problem) = &bundle.problem {
        return Err(Failure::Outcome(format!("the bundle cannot be used: {problem}")));
    }
    match bundle.name == name {
        true => Ok(bundle),
        false => Err(Failure::Usage(format!(
            "that is a bundle of {:?}, not of {name:?}",
            plain(&bundle.name)
        ))),
    }
}

/// The one usable bundle of the plugin `name`.
///
/// # Errors
/// [`Failure::Usage`] when there is none, or it is not clear which.
pub fn only(work: &mut Work, name: &str) -> Result<Bundle, Failure> {
    let (_, bundles) = all(work)?;
    let fits = |b: &Bundle| b.problem.is_none() && b.name == name;
    let mut found: Vec<_> = bundles.into_iter().filter(fits).collect();
    match (found.pop(), found.is_empty()) {
        (Some(bundle), true) => Ok(bundle),
        (None, _) => Err(Failure::Usage(format!(
            "there is no bundle of {name:?}; `evenkeel plugin bundles` lists them, \
            `evenkeel plugin upload FILE` brings one"
        ))),
        (Some(last), false) => {
            found.push(last);
            let words = found.iter().map(|b| {
                let word = if b.shipped { FIRMWARE } else { short(&b.digest) };
                format!("--bundle {word} ({})", plain(&b.version))
            });
            let words = words.collect::<Vec<_>>().join(" or ");
            Err(Failure::Usage(format!("there are several bundles of {name:?}; say {words}")))
        }
    }
}

/// What a bundle is and asks for.
#[must_use]
pub fn shown(bundle: &Bundle) -> String {
    let mut text = pairs(&[
        ("plugin", bundle.name.clone()),
        ("version", bundle.version.clone()),
        ("what", bundle.description.clone()),
        ("for", bundle.world.clone()),
        ("vendor", bundle.vendor.clone()),
        ("signed by", bundle.signer.clone()),
        ("SHA-256", bundle.digest.clone()),
        ("length", bytes(bundle.bytes)),
        ("memory", format!("up to {}", bytes(bundle.memory_bytes))),
        ("processor", format!("up to {} ms a call", bundle.call_cpu_ms)),
    ]);
    text.push_str("\nit asks to\n");
    text.push_str(&asked(&bundle.permissions));
    text
}

/// Permissions in plain words, one a line.
#[must_use]
pub fn asked(permissions: &[Permission]) -> String {
    let line = |p: &Permission| {
        let reason =
            if p.reason.is_empty() { String::new() } else { format!(" — {}", plain(&p.reason)) };
        format!("  {}{reason}\n", plain(&p.text))
    };
    permissions.iter().map(line).collect()
}

/// The beginning of a SHA-256, for people.
#[must_use]
pub fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn send(work: &mut Work, file: &Path) -> Result<(Value, Bundle), Failure> {
    let raw = read_file(file)?;
    let document = work.appliance.post_file("/api/v1/bundles", &raw)?;
    let bundle = work.appliance.understand(&document)?;
    Ok((document, bundle))
}

fn named<'a>(bundles: &'a [Bundle], word: &str) -> Result<&'a Bundle, Failure> {
    let word = word.to_ascii_lowercase();
    let is_sha = word.len() >= DIGITS_MIN && word.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_sha {
        return Err(Failure::Usage(format!(
            "{word:?} is neither a file nor the SHA-256 of a bundle, {DIGITS_MIN} digits at least"
        )));
    }
    let mut found = bundles.iter().filter(|bundle| bundle.digest.starts_with(&word));
    match (found.next(), found.next()) {
        (Some(bundle), None) => Ok(bundle),
        (None, _) => Err(Failure::Usage(format!("there is no bundle {word}"))),
        // The same bytes in the firmware and among the uploads.
        (Some(one), Some(two)) if one.digest == two.digest => Ok(one),
        (Some(_), Some(_)) => {
            Err(Failure::Usage(format!("several bundles begin with {word}; give more digits")))
        }
    }
}
