//! `evenkeel audit verify`: was an exported audit log tampered with? The form
//! of the log is [`evenkeel_signing::audit`].

use evenkeel_signing::audit::{AuditKey, AuditKeyError, Fault, LOG_MAX, Report, verify};
use evenkeel_signing::date_utc;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Why there is no verdict, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The key is none.
    #[error("--key: {0}; GET /api/v1/store of the appliance shows it as audit_key")]
    Key(#[from] AuditKeyError),
    /// The log is not what the appliance wrote.
    #[error("{}: TAMPERED WITH: {fault}", path.display())]
    Fault {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
}

/// Look at an export; `key` is the appliance's, in hexadecimal.
///
/// # Errors
/// [`AuditError`]; [`AuditError::Fault`] names what was done to the log.
pub fn run(path: &Path, key: Option<&str>) -> Result<String, AuditError> {
    let key = key.map(AuditKey::parse).transpose()?;
    let failed = |source| AuditError::Read { path: path.to_owned(), source };
    let mut log = Vec::new();
    // One more than is looked at, so that a longer one is refused.
    let mut file = File::open(path).map_err(failed)?.take(LOG_MAX as u64 + 1);
    file.read_to_end(&mut log).map_err(failed)?;
    match verify(&log, key) {
        Ok(report) => Ok(words(path, &report)),
        Err(fault) => Err(AuditError::Fault { path: path.to_owned(), fault }),
    }
}

fn words(path: &Path, report: &Report) -> String {
    let Report { first, last, seals, exported_unix_ms, key, .. } = report;
    let exported = date_utc(exported_unix_ms / 1_000);
    let mut text = format!(
        "{}: verified: entries {first} to {last}, {seals} of them seals, exported on {exported} UTC\n",
        path.display()
    );
    // Writing to a string does not fail.
    let _ = match report.key_is_known {
        true => writeln!(text, "sealed by the given key"),
        false => writeln!(
            text,
            "sealed by key {key}\nThat key is the log's own word: compare it with audit_key of \
             the appliance, or give that one with --key."
        ),
    };
    for (from, to) in &report.missing {
        let _ = writeln!(
            text,
            "entries {from} to {to} are MISSING: the appliance itself does not have them; an \
             entry behind them says when its store was damaged"
        );
    }
    if *first > 1 {
        let _ =
            writeln!(text, "entries 1 to {} are older than what the appliance keeps", first - 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_signing::audit::{Entry, Head, SealKey};

    #[test]
    fn a_verdict_names_the_entry() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("audit.jsonl");
        let key = SealKey::generate().expect("random numbers");
        let mut head = Head { seq: 7, ..Head::default() };
        let mut log = head.opening(&key.public()) + "\n";
        for n in 0..5 {
            let [who, from, what, result] = ["admin", "::1", "mute", "done"].map(str::to_owned);
            log += &(head.append(&Entry { unix_ms: n, who, from, what, result }) + "\n");
        }
        log += &(head.seal(&key, 9) + "\n");
        log += &(head.ending(8, &key, 1_795_247_521_000) + "\n");
        std::fs::write(&path, &log).expect("written");
        let known = key.public().to_string();
        let said = run(&path, Some(&known)).expect("whole");
        assert!(said.contains("entries 8 to 13, 1 of them seals"), "{said}");
        assert!(said.contains("2026-11-21") && said.contains("given key"), "{said}");
        assert!(run(&path, None).expect("whole").contains(&known));

        std::fs::write(&path, log.replacen("mute", "test", 1)).expect("written");
        let error = run(&path, None).expect_err("altered").to_string();
        assert!(error.contains("entry 8 was altered"), "{error}");
        assert!(matches!(run(&path, Some("x")), Err(AuditError::Key(_))));
        assert!(matches!(run(dir.path(), None), Err(AuditError::Read { .. })));
    }
}
