//! `licence`: make a licence for one appliance. Only who holds a licence key
//! can; the gate `plugins/licence-lc` says how each field is judged.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use evenkeel_signing::{Kind, SealError, SecretKey, Serial, seal};
use serde::Serialize;

/// What the licence grants, and to whom.
#[derive(Args)]
pub struct Terms {
    /// Serial number of the appliance, as its console shows it.
    #[arg(long)]
    serial: Serial,
    /// Name of the edition, for people.
    #[arg(long, default_value = "full")]
    edition: String,
    /// Blocks; without it there is no limit.
    #[arg(long)]
    blocks: Option<u32>,
    /// Largest UPS, VA; without it there is no limit.
    #[arg(long)]
    ups_va: Option<u32>,
    /// First second of validity, since 1970; now without it.
    #[arg(long)]
    not_before: Option<u64>,
    /// Last second of validity, since 1970; for ever without it.
    #[arg(long)]
    not_after: Option<u64>,
    /// Who bought it.
    #[arg(long)]
    customer: String,
    /// Its number at the vendor.
    #[arg(long)]
    id: String,
}

/// The payload; every field is written, null included.
#[derive(Serialize)]
struct Payload<'a> {
    format: u32,
    product: &'a str,
    serial: String,
    edition: &'a str,
    blocks: Option<u32>,
    ups_va: Option<u32>,
    not_before: u64,
    not_after: Option<u64>,
    customer: &'a str,
    id: &'a str,
}

/// Make a licence and write it to a new file.
///
/// # Errors
/// [`LicenceError`]. An existing file is never overwritten.
pub fn make(terms: &Terms, key: &SecretKey, out: &Path) -> Result<(), LicenceError> {
    let bundle = sealed(terms, key)?;
    let write = |source| LicenceError::Write { path: out.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).open(out).map_err(write)?;
    file.write_all(&bundle).and_then(|()| file.sync_all()).map_err(write)
}

/// Why there is no licence.
#[derive(Debug, thiserror::Error)]
pub enum LicenceError {
    /// It would end before it begins.
    #[error("--not-after {last} is before --not-before {first}; correct one of them")]
    Never {
        /// First second.
        first: u64,
        /// Last second.
        last: u64,
    },
    /// A text that the appliance would refuse.
    #[error("--{field} must be 1 to {TEXT_MAX} visible characters")]
    Text {
        /// Which.
        field: &'static str,
    },
    /// The payload cannot be written as JSON.
    #[error("the licence cannot be written")]
    Encode {
        /// Why.
        source: serde_json::Error,
    },
    /// It cannot be signed.
    #[error("the licence cannot be signed")]
    Seal {
        /// Why.
        source: SealError,
    },
    /// The file.
    #[error("cannot write {}; an existing file is kept, choose another name", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Longest text that appliances read, in characters.
const TEXT_MAX: usize = 80;

fn sealed(terms: &Terms, key: &SecretKey) -> Result<Vec<u8>, LicenceError> {
    let texts = [("edition", &terms.edition), ("customer", &terms.customer), ("id", &terms.id)];
    let good = |text: &str| {
        (1..=TEXT_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    };
    if let Some((field, _)) = texts.into_iter().find(|(_, text)| !good(text)) {
        return Err(LicenceError::Text { field });
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let first = terms.not_before.unwrap_or(now);
    if let Some(last) = terms.not_after.filter(|last| *last < first) {
        return Err(LicenceError::Never { first, last });
    }
    let payload = Payload {
        format: 1,
        product: "evenkeel",
        serial: terms.serial.to_string(),
        edition: &terms.edition,
        blocks: terms.blocks,
        ups_va: terms.ups_va,
        not_before: first,
        not_after: terms.not_after,
        customer: &terms.customer,
        id: &terms.id,
    };
    let text = serde_json::to_vec(&payload).map_err(|source| LicenceError::Encode { source })?;
    seal(Kind::Licence, &text, &[], &[key]).map_err(|source| LicenceError::Seal { source })
}

#[cfg(test)]
mod tests {
    use evenkeel_signing::{Envelope, Keyring, Role};

    use super::*;

    fn terms() -> Terms {
        Terms {
            serial: Serial::from_random(7),
            edition: "full".into(),
            blocks: Some(64),
            ups_va: None,
            not_before: Some(10),
            not_after: None,
            customer: "Harbour \"Authority\"".into(),
            id: "17".into(),
        }
    }

    #[test]
    fn a_licence_is_signed_and_states_every_field() {
        let key = SecretKey::generate(Role::Licence, "sales").unwrap();
        let bundle = sealed(&terms(), &key).unwrap();
        let mut ring = Keyring::new();
        ring.insert(key.public()).unwrap();
        let verified = Envelope::read(&bundle).unwrap().verify(&ring, Kind::Licence).unwrap();
        let payload: serde_json::Value = serde_json::from_slice(verified.manifest()).unwrap();
        assert_eq!(payload["serial"], terms().serial.to_string());
        assert_eq!((&payload["blocks"], &payload["ups_va"]), (&64.into(), &().into()));
        assert_eq!(payload.as_object().map(serde_json::Map::len), Some(10));
    }

    #[test]
    fn what_appliances_would_refuse_is_not_made() {
        let key = SecretKey::generate(Role::Licence, "sales").unwrap();
        let refused = |terms: &Terms, key: &SecretKey| sealed(terms, key).unwrap_err();
        let never = Terms { not_after: Some(9), ..terms() };
        assert!(matches!(refused(&never, &key), LicenceError::Never { first: 10, last: 9 }));
        let nobody = Terms { customer: String::new(), ..terms() };
        assert!(matches!(refused(&nobody, &key), LicenceError::Text { field: "customer" }));
        let other = SecretKey::generate(Role::Plugin, "acme").unwrap();
        assert!(matches!(refused(&terms(), &other), LicenceError::Seal { .. }));
    }

    #[test]
    fn a_licence_overwrites_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (key, out) = (SecretKey::generate(Role::Licence, "s").unwrap(), dir.path().join("x"));
        make(&terms(), &key, &out).unwrap();
        assert!(matches!(make(&terms(), &key, &out), Err(LicenceError::Write { .. })));
    }
}
