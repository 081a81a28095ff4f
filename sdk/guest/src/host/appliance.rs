//! What the appliance itself offers: clocks, settings, random numbers, a small
//! store, cryptography, events, and commands to devices.

/// The host's clocks (`evenkeel:clock`). Needs no permission. A plugin has no
/// other notion of time: `std::time` panics.
pub trait Clock {
    /// Milliseconds since the host started; never goes back.
    fn now_ms(&mut self) -> u64;

    /// Sleep for at most 10,000 ms; ends early when the appliance stops.
    fn sleep_ms(&mut self, ms: u32);

    /// Milliseconds since 1970-01-01 UTC; `None` while the appliance does not
    /// know the date. May jump when it is set.
    fn utc_ms(&mut self) -> Option<u64>;
}

/// The plugin's settings (`evenkeel:config`), checked by the host against the
/// schema in the manifest. [`Settings`](crate::Settings) reads them with their types.
pub trait Config {
    /// One setting; `None` when it is not in the schema, or has neither value
    /// nor default. Secrets are never readable.
    fn setting(&mut self, name: &str) -> Option<Setting>;
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// Text, and everything that is chosen from a list.
    Text(String),
    /// A number.
    Number(f64),
    /// A switch.
    Flag(bool),
}

/// Random numbers fit for keys (`evenkeel:random`). Needs no permission.
pub trait Random {
    /// `len` bytes, at most 1,024.
    fn random(&mut self, len: u32) -> Vec<u8>;
}

/// A small store that outlives restarts and updates (`evenkeel:kv`). What
/// `set` acknowledged survives a loss of power.
pub trait Kv {
    /// The value under `key`.
    ///
    /// # Errors
    /// [`KvError`].
    fn kv_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, KvError>;

    /// Store a value of at most 16,384 bytes under a key of 1 … 64 bytes.
    /// Writing the value that is already there costs nothing.
    ///
    /// # Errors
    /// [`KvError`].
    fn kv_set(&mut self, key: &str, value: &[u8]) -> Result<(), KvError>;

    /// Forget a key.
    ///
    /// # Errors
    /// [`KvError`].
    fn kv_delete(&mut self, key: &str) -> Result<(), KvError>;

    /// All keys, sorted.
    ///
    /// # Errors
    /// [`KvError`].
    fn kv_keys(&mut self) -> Result<Vec<String>, KvError>;
}

/// Digests and signatures at native speed, and secrets that never leave the
/// host (`evenkeel:crypto`).
pub trait Crypto {
    /// Algorithms: 1 MD5 and 2 SHA-1 (for protocols that know nothing better),
    /// 3 SHA-256, 4 SHA-384, 5 SHA-512.
    ///
    /// # Errors
    /// [`CryptoError`].
    fn digest(&mut self, algorithm: u32, data: &[u8]) -> Result<Vec<u8>, CryptoError>;

    /// True when `signature` (64 bytes) is the ed25519 signature of `message`
    /// by `public_key` (32 bytes).
    fn ed25519_verify(&mut self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool;

    /// A secret that the administrator entered under a logical name.
    ///
    /// # Errors
    /// [`CryptoError`] when it is not granted.
    fn open_secret(&mut self, name: &str) -> Result<Box<dyn Secret>, CryptoError>;
}

/// A secret: computed with, never read.
pub trait Secret {
    /// HMAC (RFC 2104) of `data` under the secret.
    ///
    /// # Errors
    /// [`CryptoError`].
    fn hmac(&mut self, algorithm: u32, data: &[u8]) -> Result<Vec<u8>, CryptoError>;

    /// Digest of `before`, the secret and `after`, one behind the other; both
    /// together are at least 16 bytes.
    ///
    /// # Errors
    /// [`CryptoError`].
    fn digest(
        &mut self,
        algorithm: u32,
        before: &[u8],
        after: &[u8],
    ) -> Result<Vec<u8>, CryptoError>;
}

/// The appliance's event log (`evenkeel:events`).
pub trait Events {
    /// Events after `sequence`, oldest first, at most `max` (≤ 64). Keep the
    /// last sequence and ask again at the next wake-up: the appliance wakes a
    /// plugin that may read the log when there is something new in it.
    ///
    /// # Errors
    /// [`EventsError`].
    fn events_since(&mut self, sequence: u64, max: u32) -> Result<Vec<Event>, EventsError>;

    /// Add an event about what this plugin watches; the appliance adds the
    /// plugin's name. `kind` is 1 … 40 bytes of `a-z 0-9 _`, of `text` 300 bytes
    /// are kept. Severity 0 needs no grant, 1 and 2 need one that says so; at
    /// most ten at once and one a minute.
    ///
    /// # Errors
    /// [`EventsError`].
    fn raise(&mut self, severity: u32, kind: &str, text: &str) -> Result<(), EventsError>;
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Counts up from event to event; never used twice.
    pub sequence: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub utc_ms: u64,
    /// 0 information, 1 warning, 2 alarm; more may come between.
    pub severity: u32,
    /// Area: `battery`, `ups`, `plugin`, `system`, `access`; more may come.
    pub category: String,
    /// What happened, as an identifier: `module_lost`.
    pub kind: String,
    /// What happened, for people, in the language of the appliance.
    pub text: String,
    /// The same in parts: `string` = `2`, `block` = `17`.
    pub details: Vec<(String, String)>,
}

/// Commands to devices and to the appliance (`evenkeel:commands/commands`).
pub trait Commands {
    /// What this plugin may tell whom, as offered now.
    fn offered(&mut self) -> Vec<Offer>;

    /// Tell, and wait for the outcome (≤ 30 s).
    ///
    /// # Errors
    /// [`TellError`].
    fn tell(&mut self, target: &str, name: &str, value: Option<&str>) -> Result<(), TellError>;
}

/// A command that somebody offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Subtree of the device: `ups.0`, `string.2`.
    pub target: String,
    /// NUT's name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// What it takes.
    pub parameter: OfferParameter,
}

/// What an offered command takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferParameter {
    /// Nothing.
    None,
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// One of these words.
    Word(Vec<String>),
    /// At most so many bytes.
    Text(u32),
}

error! {
    /// Why the store did not do it.
    KvError {
        /// The key or the value is out of range.
        INVALID = 1,
        /// More bytes than the administrator's quota.
        FULL = 2,
        /// More writes than the flash bears today; keep the value in memory.
        WORN = 3,
        /// The store cannot be read or written now.
        IO = 4,
    }
}

error! {
    /// Why nothing was computed.
    CryptoError {
        /// The secret is not granted to this plugin.
        DENIED = 1,
        /// Unknown algorithm, or a length out of range.
        INVALID = 2,
        /// No trusted key signed these bytes.
        UNTRUSTED = 3,
    }
}

error! {
    /// Why the event log could not be used.
    EventsError {
        /// The log is not granted to this plugin for reading, or events of this
        /// severity are not for adding.
        DENIED = 1,
        /// The kind or the text is malformed.
        INVALID = 2,
        /// More than ten at once or one a minute.
        QUOTA = 3,
        /// The log cannot be read now.
        IO = 4,
    }
}

error! {
    /// Why a command was not carried out.
    TellError {
        /// Target or command is not granted to this plugin.
        DENIED = 1,
        /// No such target, or it does not offer this command.
        UNKNOWN = 2,
        /// The value does not fit the parameter.
        INVALID = 3,
        /// The device refused or did not answer.
        FAILED = 4,
        /// Too many commands wait for this target.
        BUSY = 5,
        /// No outcome within the time; it may still happen.
        TIMEOUT = 6,
    }
}
