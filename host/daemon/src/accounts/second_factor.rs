//! The second factor of local users (facts/appliance-security.md SEC-007): a
//! code that an app on their phone shows for half a minute (TOTP, RFC 6238:
//! SHA-1, six digits, 30 s), or one of ten recovery codes for the day on which
//! the phone is lost. Either counts once.
//!
//! Pure: time comes in as a number. Who calls keeps what [`SecondFactor::take`]
//! changed before anybody is let in.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use totp_rs::{Builder, Secret, Totp};

/// Codes of so many steps before and after the present one count: clocks differ,
/// and people type slowly.
const SKEW: u16 = 1;
/// Bytes of a secret: as many as the hash has.
const SECRET_BYTES: usize = 20;
/// Recovery codes that somebody gets.
pub const RECOVERY_CODES: usize = 10;
/// Random bytes of a recovery code: 16 letters and digits.
const RECOVERY_BYTES: usize = 10;
/// What the app calls the appliance.
const ISSUER: &str = "Evenkeel";

/// A user's second factor, as kept with them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondFactor {
    /// What app and appliance share, base32.
    secret: String,
    /// The step (30 s since 1970) of the last code that counted.
    used_step: u64,
    /// SHA-256 of the recovery codes that are left, hexadecimal.
    recovery: BTreeSet<String>,
    /// Since when it is asked for, ms since 1970.
    pub since_unix_ms: u64,
}

/// A secret that is not in force until somebody shows a code of it.
#[derive(Clone)]
pub struct Enrolment {
    secret: Secret,
}

/// What somebody showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A code of the app.
    Code,
    /// A recovery code; so many are left.
    Recovery(usize),
}

impl SecondFactor {
    /// Whether this answer is good, which uses it up. `unix_s`: `None` while nobody
    /// set the clock; then recovery codes alone count.
    pub fn take(&mut self, answer: &str, unix_s: Option<u64>) -> Option<Shown> {
        let answer = normal(answer);
        let step = unix_s.and_then(|unix_s| {
            let totp = totp(Secret::try_from_base32(&self.secret).ok()?)?;
            totp.check(&answer, unix_s).filter(|step| *step > self.used_step)
        });
        if let Some(step) = step {
            self.used_step = step;
            return Some(Shown::Code);
        }
        let was_left = self.recovery.remove(&hash(&answer));
        was_left.then_some(Shown::Recovery(self.recovery.len()))
    }

    /// Recovery codes that are left.
    #[must_use]
    pub fn recovery_left(&self) -> usize {
        self.recovery.len()
    }
}

impl Enrolment {
    /// A new secret.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret)?;
        Ok(Self { secret: Secret::from(secret) })
    }

    /// The secret for somebody who types it into their app, base32.
    #[must_use]
    pub fn secret(&self) -> String {
        self.secret.to_base32()
    }

    /// The same as an address that apps read from a picture; `user` at `host`, both
    /// of plain characters.
    #[must_use]
    pub fn uri(&self, user: &str, host: &str) -> String {
        let at = if host.is_empty() { String::new() } else { format!("%40{host}") };
        let secret = self.secret();
        format!("otpauth://totp/{ISSUER}:{user}{at}?secret={secret}&issuer={ISSUER}")
    }

    /// Take it into force by its first code; with it the recovery codes, which are
    /// shown once. `None`: it is no code of this secret.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn confirm(
        &self,
        code: &str,
        unix_s: u64,
    ) -> Result<Option<(SecondFactor, Vec<String>)>, getrandom::Error> {
        let code = normal(code);
        let step = totp(self.secret.clone()).and_then(|totp| totp.check(&code, unix_s));
        let Some(used_step) = step else { return Ok(None) };
        let codes = (0..RECOVERY_CODES).map(|_| recovery_code()).collect::<Result<Vec<_>, _>>()?;
        let recovery = codes.iter().map(|code| hash(&normal(code))).collect();
        let since_unix_ms = unix_s * 1_000;
        let secret = self.secret();
        Ok(Some((SecondFactor { secret, used_step, recovery, since_unix_ms }, codes)))
    }
}

// Secrets are not for logs.
impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondFactor")
            .field("since_unix_ms", &self.since_unix_ms)
            .finish_non_exhaustive()
    }
}

/// `None`: the secret is too short for anybody to have made it here.
fn totp(secret: Secret) -> Option<Totp> {
    Builder::new().with_secret(secret).with_skew(SKEW).build().ok()
}

/// What was typed, without what people put between groups.
fn normal(answer: &str) -> String {
    let plain = answer.chars().filter(|c| !c.is_whitespace() && *c != '-');
    // Longer than any code: it is none.
    plain.take(4 * RECOVERY_BYTES).collect::<String>().to_ascii_uppercase()
}

fn hash(normal: &str) -> String {
    Sha256::digest(normal).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `ABCD-EFGH-IJKL-MNOP`.
fn recovery_code() -> Result<String, getrandom::Error> {
    let mut bytes = [0; RECOVERY_BYTES];
    getrandom::fill(&mut bytes)?;
    let plain: Vec<char> = Secret::from(bytes.to_vec()).to_base32().chars().collect();
    Ok(plain.chunks(4).map(|four| four.iter().collect()).collect::<Vec<String>>().join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_247_521;

    fn code(secret: &str, unix_s: u64) -> String {
        let secret = Secret::try_from_base32(secret).expect("base32");
        totp(secret).expect("long enough").generate(unix_s).to_string()
    }

    fn on() -> (SecondFactor, Vec<String>) {
        let enrolment = Enrolment::random().expect("random numbers");
        let first = code(&enrolment.secret(), NOW);
        enrolment.confirm(&first, NOW).expect("random numbers").expect("its code")
    }

    /// RFC 6238, appendix B: the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let enrolment = Enrolment { secret: Secret::from(b"12345678901234567890".to_vec()) };
        for (unix_s, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(self::code(&enrolment.secret(), unix_s), code);
            let (mut factor, _) =
                enrolment.confirm(code, unix_s).expect("random numbers").expect("its code");
            assert_eq!(factor.take(code, Some(unix_s)), None, "used when it was confirmed");
        }
        assert_eq!(
            enrolment.uri("eve", "rack-7"),
            "otpauth://totp/Evenkeel:eve%40rack-7?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Evenkeel"
        );
    }

    #[test]
    fn a_code_counts_once_and_a_step_around_its_time() {
        let (mut factor, _) = on();
        let secret = factor.secret.clone();
        let late = code(&secret, NOW + 30);
        for (seconds, expected) in [(-31_i64, None), (91, None), (60, Some(Shown::Code))] {
            let unix_s = NOW.saturating_add_signed(seconds);
            assert_eq!(factor.clone().take(&late, Some(unix_s)), expected, "{seconds} s");
        }
        let spaced = format!(" {} {}", &late[..3], &late[3..]);
        assert_eq!(factor.take(&spaced, Some(NOW + 40)), Some(Shown::Code));
        assert_eq!(factor.take(&late, Some(NOW + 41)), None, "once");
        // Nor one that is older than what was used.
        assert_eq!(factor.take(&code(&secret, NOW + 1), Some(NOW + 41)), None);
        assert_eq!(factor.take(&code(&secret, NOW + 60), Some(NOW + 61)), Some(Shown::Code));
        assert_eq!(factor.take(&code(&secret, NOW + 120), None), None, "the clock is not set");
    }

    #[test]
    fn recovery_codes_count_once_each_and_are_kept_as_hashes() {
        let (mut factor, codes) = on();
        assert_eq!(codes.len(), RECOVERY_CODES);
        let kept = serde_json::to_string(&factor).expect("JSON");
        assert!(codes.iter().all(|code| code.len() == 19 && !kept.contains(&normal(code))));
        let typed = codes[3].to_lowercase().replace('-', " ");
        assert_eq!(factor.take(&typed, None), Some(Shown::Recovery(9)), "also without a clock");
        assert_eq!(factor.take(&codes[3], Some(NOW)), None, "once");
        for wrong in ["", "000000", "AAAA-AAAA-AAAA-AAAA", &"7".repeat(10_000)] {
            assert_eq!(factor.take(wrong, Some(NOW)), None, "{wrong:?}");
        }
        assert_eq!(factor.recovery_left(), 9);
        assert!(!format!("{factor:?}").contains(&factor.secret));
        let read: SecondFactor = serde_json::from_str(&kept).expect("its own form");
        assert_eq!(read.recovery_left(), RECOVERY_CODES);
    }

    #[test]
    fn what_is_no_code_of_the_secret_begins_nothing() {
        let enrolment = Enrolment::random().expect("random numbers");
        let right = code(&enrolment.secret(), NOW);
        let wrong = if right == "123456" { "123457" } else { "123456" };
        for wrong in [wrong, "", "12345", "١٢٣٤٥٦"] {
            assert!(enrolment.confirm(wrong, NOW).expect("random numbers").is_none(), "{wrong:?}");
        }
    }
}
