//! Passwords (facts/appliance-security.md §2.1, §2.2): argon2id, one hash at a
//! time, and what a new password must be.

use argon2::password_hash::{Output, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::sync::LazyLock;
use tokio::sync::Semaphore;

/// Fewest characters.
pub const CHARS_MIN: usize = 15;
/// Most characters.
pub const CHARS_MAX: usize = 256;
/// Hashes that run or wait; a further one is refused.
const QUEUE: usize = 1 + 4;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// A hash that no password has, of the same cost: an unknown user costs as
/// much work as a known one (SEC-009).
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Makes and checks hashes, one at a time.
pub struct Hasher {
    queue: Semaphore,
    running: Semaphore,
}

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many attempts wait already.
    #[error("too many sign-ins at the same time; try again in a few seconds")]
    Busy,
    /// argon2, the random source or the thread failed.
    #[error("password could not be hashed: {0}")]
    Failed(String),
}

/// Why a new password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    /// Too short.
    #[error(
        "the new password needs at least {CHARS_MIN} characters; a sentence is easy to remember"
    )]
    Short,
    /// Too long.
    #[error("the new password may have at most {CHARS_MAX} characters")]
    Long,
    /// Typed differently the second time.
    #[error("the two new passwords are not the same")]
    Unconfirmed,
    /// The old one.
    #[error("the new password must differ from the present one")]
    Same,
    /// On the list, a repetition, a row of the keyboard, a name.
    #[error("the new password is easy to guess; avoid names, repetitions and rows of keys")]
    Guessable,
}

impl Weak {
    /// The message that says it on a page.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Short => "page-password-short",
            Self::Long => "page-password-long",
            Self::Unconfirmed => "page-password-unconfirmed",
            Self::Same => "page-password-same",
            Self::Guessable => "page-password-guessable",
        }
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self { queue: Semaphore::new(QUEUE), running: Semaphore::new(1) }
    }
}

impl Hasher {
    /// Hash a new password.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn hash(&self, password: String) -> Result<String, HashError> {
        self.alone(move || {
            let mut salt = [0; 16];
            getrandom::fill(&mut salt).map_err(failed)?;
            let salt = SaltString::encode_b64(&salt).map_err(failed)?;
            let params = params()?;
            let hash = PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: (&params).try_into().map_err(failed)?,
                salt: Some(salt.as_salt()),
                hash: Some(output(password.as_bytes(), salt.as_salt(), params)?),
            };
            Ok(hash.to_string())
        })
        .await
    }

    /// True when `password` belongs to `hash`. Without a hash (an unknown
    /// user) it does the same work and is false.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, HashError> {
        self.alone(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
            let hash = PasswordHash::new(&hash).map_err(failed)?;
            let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
                return Err(failed("the stored hash is cut"));
            };
            let params = Params::try_from(&hash).map_err(failed)?;
            // Compares in constant time.
            Ok(output(password.as_bytes(), salt, params)? == expected && known)
        })
        .await
    }

    async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let _place = self.queue.try_acquire().map_err(|_| HashError::Busy)?;
        let _turn = self.running.acquire().await.map_err(failed)?;
        tokio::task::spawn_blocking(work).await.map_err(failed)?
    }
}

/// Check a new password of somebody who, with the site and its appliance, goes by
/// these `known` names.
///
/// # Errors
/// [`Weak`] says what is wrong with it.
pub fn check(known: &[&str], old: &str, new: &str, again: &str) -> Result<(), Weak> {
    let characters = new.chars().count();
    if characters < CHARS_MIN {
        return Err(Weak::Short);
    }
    if characters > CHARS_MAX {
        return Err(Weak::Long);
    }
    if new != again {
        return Err(Weak::Unconfirmed);
    }
    if new == old {
        return Err(Weak::Same);
    }
    if guessable(known, new) { Err(Weak::Guessable) } else { Ok(()) }
}

/// A first password: 100 random bits in four groups that can be read out.
///
/// # Errors
/// When the system has no random numbers.
pub fn random() -> Result<String, getrandom::Error> {
    // 32 letters and digits without i, l, o and u: no two look alike.
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes)?;
    let letters = bytes.map(|b| char::from(LETTERS[usize::from(b % 32)]));
    Ok(letters
        .chunks(5)
        .map(|group| group.iter().collect::<String>())
        .collect::<Vec<_>>()
        .join("-"))
}

fn params() -> Result<Params, HashError> {
    Params::new(MEMORY_KIB, PASSES, 1, Some(32)).map_err(failed)
}

/// glibc gives a freed block back to the system when it was mapped for itself,
/// and, after the first one of 32 MiB or less, takes blocks of that size from
/// a heap that it keeps. So more is asked for than is used: what is not
/// touched costs address space only.
const BLOCKS_MIN: usize = 33 << 10;

/// argon2id, in memory that the system has back afterwards.
fn output(password: &[u8], salt: Salt<'_>, params: Params) -> Result<Output, HashError> {
    let count = params.block_count();
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(count.max(BLOCKS_MIN)).map_err(failed)?;
    blocks.resize(count, Block::default());
    let mut bytes = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut bytes).map_err(failed)?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Output::init_with(argon.params().output_len().unwrap_or(32), |out| {
        Ok(argon.hash_password_into_with_memory(password, salt, out, &mut blocks)?)
    })
    .map_err(failed)
}

fn failed(error: impl ToString) -> HashError {
    HashError::Failed(error.to_string())
}

/// Passwords that many people have (SEC-004), sorted.
static COMMON: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("common_passwords.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});
/// Digits behind common passwords that make them no better.
const TAIL_MAX: usize = 4;

/// Words that add nothing to a password.
const WORDS: [&str; 22] = [
    "password",
    "passwort",
    "kennwort",
    "letmein",
    "welcome",
    "willkommen",
    "administrator",
    "admin",
    "evenkeel",
    "battery",
    "batterie",
    "changeme",
    "secret",
    "iloveyou",
    "qwertyuiop",
    "qwertzuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "qwerty",
    "qwertz",
    "master",
];
const ROWS: [&str; 2] = ["01234567890123456789", "abcdefghijklmnopqrstuvwxyz"];

/// True when hardly anything is left without known words, rows and repetitions, or
/// it is made of what many people have.
fn guessable(known: &[&str], password: &str) -> bool {
    let plain = password.to_lowercase();
    let mut rest: String = plain.chars().map(unleet).collect();
    let known = known.iter().flat_map(|name| name.split(|c: char| !c.is_alphanumeric()));
    let known: Vec<String> = known.filter(|word| word.len() > 2).map(str::to_lowercase).collect();
    for word in WORDS.into_iter().chain(known.iter().map(String::as_str)) {
        rest = rest.replace(&word.chars().map(unleet).collect::<String>(), "");
    }
    let bare: String = plain.chars().filter(|c| c.is_alphanumeric()).collect();
    let unleeted: String = plain.chars().map(unleet).filter(|c| c.is_alphanumeric()).collect();
    if is_common(&plain) || is_common(&bare) || is_common(&unleeted) {
        return true;
    }
    let reversed: String = plain.chars().rev().collect();
    let row =
        ROWS.iter().any(|row| [&plain, &reversed].iter().any(|p| longest_common(p, row) >= 10));
    let distinct = rest.chars().collect::<std::collections::BTreeSet<_>>().len();
    row || distinct < 5 || rest.chars().count() < 6 || repeats(&plain)
}

/// One or two common passwords, and perhaps a few digits.
fn is_common(text: &str) -> bool {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count().min(TAIL_MAX);
    let one = |text: &str| COMMON.binary_search(&text).is_ok();
    let two = |text: &str| {
        let places = text.char_indices().map(|(at, _)| at);
        one(text) || places.skip(1).any(|at| one(&text[..at]) && one(&text[at..]))
    };
    // Digits are bytes of their own.
    (0..=digits).any(|tail| two(&text[..text.len() - tail]))
}

fn unleet(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// True when it is a short text again and again.
fn repeats(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    (1..=chars.len() / 2).any(|n| chars.iter().zip(&chars[n..]).all(|(a, b)| a == b))
}

/// Length of the longest piece of `row` in `text`.
fn longest_common(text: &str, row: &str) -> usize {
    let pieces =
        (0..row.len()).flat_map(|from| (from + 1..=row.len()).map(move |to| &row[from..to]));
    pieces.filter(|piece| text.contains(piece)).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordVerifier as _;

    #[tokio::test]
    async fn a_hash_belongs_to_its_password_only() {
        let hasher = Hasher::default();
        let hash = hasher.hash("Grüße vom Akku 🔋".into()).await.expect("a hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let verify = async |p: &str, h: Option<&String>| {
            hasher.verify(p.into(), h.cloned()).await.expect("an answer")
        };
        assert!(verify("Grüße vom Akku 🔋", Some(&hash)).await);
        assert!(!verify("Grüße vom Akku 🔋 ", Some(&hash)).await);
        assert!(!verify("", None).await);
        PasswordHash::new(NOBODY).expect("the hash of nobody is well formed");
        // As the library itself makes and checks them.
        let parsed = PasswordHash::new(&hash).expect("well formed");
        let library = Argon2::default();
        assert!(library.verify_password("Grüße vom Akku 🔋".as_bytes(), &parsed).is_ok());
    }

    #[tokio::test]
    async fn a_crowd_is_sent_away() {
        let hasher = std::sync::Arc::new(Hasher::default());
        let tasks: Vec<_> = (0..12)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.verify("x".into(), None).await.is_ok() })
            })
            .collect();
        let mut served = 0;
        for task in tasks {
            served += usize::from(task.await.expect("no panic"));
        }
        assert!((QUEUE..12).contains(&served), "{served}");
    }

    #[test]
    fn weak_passwords_are_named() {
        let long = "ä-ö-ü Bahnhof ".repeat(19);
        for (new, expected) in [
            ("kurzer Satz 14", Err(Weak::Short)),
            ("kurzer Satz 15 ", Ok(())),
            (&long[..], Err(Weak::Long)),
            ("passwordpassword1", Err(Weak::Guessable)),
            ("P@ssw0rd!P@ssw0rd!", Err(Weak::Guessable)),
            ("evenkeel-admin-2026", Err(Weak::Guessable)),
            ("aaaaaaaaaaaaaaaaaaaa", Err(Weak::Guessable)),
            ("abcabcabcabcabcabc", Err(Weak::Guessable)),
            ("123456789012345", Err(Weak::Guessable)),
            ("old-but-good-enough", Err(Weak::Same)),
            ("three rusty anchors", Ok(())),
            ("1q2w3e4r5t6y7u8i9o0p", Err(Weak::Guessable)),
            ("iloveyou princess 2026", Err(Weak::Guessable)),
            ("Sunsh1ne-B@sketb4ll", Err(Weak::Guessable)),
            ("werk-sued-rack-7 werk", Ok(())),
            ("Werk Werk Rack Rack 7", Err(Weak::Guessable)),
            ("four monkeys eat red dragons", Ok(())),
        ] {
            assert_eq!(
                check(&["admin", "Werk Süd", "rack-7"], "old-but-good-enough", new, new),
                expected,
                "{new}"
            );
        }
        let differs = check(&["admin"], "", "three rusty anchors", "three rusty anchor");
        assert_eq!(differs, Err(Weak::Unconfirmed));
    }

    #[test]
    fn common_passwords_are_sorted_and_enough() {
        assert!(COMMON.is_sorted() && COMMON.len() >= 3_000, "{}", COMMON.len());
        assert!(COMMON.iter().all(|one| is_common(one) && one.to_lowercase() == **one));
        let long = COMMON.iter().filter(|one| one.chars().count() >= CHARS_MIN);
        for password in long {
            assert_eq!(check(&[], "", password, password), Err(Weak::Guessable), "{password}");
        }
    }

    #[test]
    fn first_passwords_are_good_and_never_the_same() {
        let (a, b) = (random().expect("random"), random().expect("random"));
        assert_ne!(a, b);
        assert_eq!(a.len(), 23);
        assert_eq!(check(&["admin"], "", &a, &a), Ok(()));
    }
}
