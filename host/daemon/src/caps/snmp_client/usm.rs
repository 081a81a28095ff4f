//! The user-based security model of SNMPv3 (RFC 3412 §6, RFC 3414, RFC 3826,
//! RFC 7860), as the side that asks needs it.
//!
//! A pass phrase becomes a *master key* once, which is slow on purpose; with
//! the name of an agent's engine that becomes a *localised key*, which is
//! cheap. Pure but for the caller's salt: no clock, no socket.

use super::ber::{self, Garbled, Reader, element, integer, octets};
use super::pdu::Pdu;
use crate::grants::snmp::{Auth, Privacy, User};
use aes::cipher::KeyIvInit;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// Longest message that we take, bytes; agents are told so.
pub const MESSAGE_LEN_MAX: usize = 16 << 10;
/// A message older than this is not taken, s (RFC 3414 §2.2.3).
pub const WINDOW_S: u32 = 150;

const SECURITY_MODEL: i64 = 3;
const FLAG_AUTH: u8 = 1;
const FLAG_PRIVACY: u8 = 2;
const FLAG_REPORTABLE: u8 = 4;
/// A pass phrase is repeated to this length (RFC 3414 §A.2).
const STRETCHED_LEN: usize = 1 << 20;

/// What a user's pass phrases become, for any engine.
#[derive(Clone)]
pub struct Master {
    auth: Auth,
    auth_key: Vec<u8>,
    privacy: Option<(Privacy, Vec<u8>)>,
}

/// A user's keys for one engine.
#[derive(Clone)]
pub struct Keys {
    auth: Auth,
    auth_key: Vec<u8>,
    privacy: Option<(Privacy, Vec<u8>)>,
}

/// What is known of an agent's engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    /// Its name.
    pub id: Vec<u8>,
    /// How often it started.
    pub boots: u32,
    /// Its clock, s since it started.
    pub time_s: u32,
}

/// A message from an agent, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Ties it to the message that it answers.
    pub message_id: i32,
    /// The engine it says it is from.
    pub engine: Engine,
    /// Whether its signature was checked; otherwise it has none.
    pub authentic: bool,
    /// Whether it was encrypted.
    pub private: bool,
    /// What it says.
    pub pdu: Pdu,
}

/// Why a message from an agent is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is no message, or one of another kind.
    #[error("an answer is no SNMPv3 message: {0}")]
    Garbled(#[from] Garbled),
    /// Its signature is wrong.
    #[error("an answer has a wrong signature; check `auth` and `auth_key`")]
    Digest,
    /// It cannot be decrypted.
    #[error("an answer cannot be decrypted; check `privacy` and `privacy_key`")]
    Decryption,
}

/// Calls `$run::<Hash>` with the hash of an [`Auth`].
macro_rules! with_hash {
    ($auth:expr, $run:ident($($argument:expr),*)) => {
        match $auth {
            Auth::Sha1 => $run::<Sha1>($($argument),*),
            Auth::Sha224 => $run::<Sha224>($($argument),*),
            Auth::Sha256 => $run::<Sha256>($($argument),*),
            Auth::Sha384 => $run::<Sha384>($($argument),*),
            Auth::Sha512 => $run::<Sha512>($($argument),*),
        }
    };
}

/// Calls `$run::<Hmac<Hash>>` with the hash of an [`Auth`].
macro_rules! with_hmac {
    ($auth:expr, $run:ident($($argument:expr),*)) => {
        match $auth {
            Auth::Sha1 => $run::<Hmac<Sha1>>($($argument),*),
            Auth::Sha224 => $run::<Hmac<Sha224>>($($argument),*),
            Auth::Sha256 => $run::<Hmac<Sha256>>($($argument),*),
            Auth::Sha384 => $run::<Hmac<Sha384>>($($argument),*),
            Auth::Sha512 => $run::<Hmac<Sha512>>($($argument),*),
        }
    };
}

impl Master {
    /// Some milliseconds of work for each pass phrase.
    #[must_use]
    pub fn new(user: &User) -> Self {
        let (auth, ref phrase) = user.auth;
        let stretch = |phrase: &[u8]| with_hash!(auth, stretched(phrase));
        let privacy = user.privacy.as_ref();
        Self {
            auth,
            auth_key: stretch(phrase.bytes()),
            privacy: privacy.map(|(privacy, phrase)| (*privacy, stretch(phrase.bytes()))),
        }
    }

    /// The keys for one engine.
    #[must_use]
    pub fn localise(&self, engine_id: &[u8]) -> Keys {
        let auth = self.auth;
        let local = |key: &[u8]| with_hash!(auth, hashed(&[key, engine_id, key]));
        let privacy = self.privacy.as_ref().map(|(privacy, key)| (*privacy, local(key)));
        Keys { auth, auth_key: local(&self.auth_key), privacy }
    }
}

fn stretched<D: Digest>(phrase: &[u8]) -> Vec<u8> {
    // A whole number of phrases in one piece of work.
    let piece = phrase.repeat(4_096_usize.div_ceil(phrase.len().max(1)));
    let mut hash = D::new();
    let mut left = STRETCHED_LEN;
    while left > 0 {
        let take = left.min(piece.len());
        hash.update(&piece[..take]);
        left -= take;
    }
    hash.finalize().to_vec()
}

fn hashed<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = D::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().to_vec()
}

const fn mac_len(auth: Auth) -> usize {
    match auth {
        Auth::Sha1 => 12,
        Auth::Sha224 => 16,
        Auth::Sha256 => 24,
        Auth::Sha384 => 32,
        Auth::Sha512 => 48,
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

fn sign<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    mac::<M>(key, parts).finalize().into_bytes().to_vec()
}

fn verify<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    mac::<M>(key, parts).verify_truncated_left(tag).is_ok()
}

impl Keys {
    /// Whether messages are encrypted.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        self.privacy.is_some()
    }

    fn crypt(&self, engine: &Engine, salt: &[u8; 8], text: &mut [u8], decrypt: bool) {
        let Some((privacy, key)) = &self.privacy else { return };
        let mut iv = [0; 16];
        iv[..4].copy_from_slice(&engine.boots.to_be_bytes());
        iv[4..8].copy_from_slice(&engine.time_s.to_be_bytes());
        iv[8..].copy_from_slice(salt);
        // A localised key has 20 bytes or more, and 32 or more with AES-256.
        match (privacy, decrypt) {
            (Privacy::Aes128, false) => {
                encryptor::<cfb_mode::Encryptor<aes::Aes128>>(&key[..16], &iv).encrypt(text);
            }
            (Privacy::Aes128, true) => {
                encryptor::<cfb_mode::Decryptor<aes::Aes128>>(&key[..16], &iv).decrypt(text);
            }
            (Privacy::Aes256, false) => {
                encryptor::<cfb_mode::Encryptor<aes::Aes256>>(&key[..32], &iv).encrypt(text);
            }
            (Privacy::Aes256, true) => {
                encryptor::<cfb_mode::Decryptor<aes::Aes256>>(&key[..32], &iv).decrypt(text);
            }
        }
    }
}

fn encryptor<C: KeyIvInit>(key: &[u8], iv: &[u8; 16]) -> C {
    C::new_from_slices(key, iv).expect("key and initial vector have the cipher's lengths")
}

/// A message without any security: with an unknown engine it is the question
/// for the engine's name (RFC 3414 §4).
#[must_use]
pub fn unsigned(message_id: i32, engine: &Engine, pdu: &Pdu) -> Vec<u8> {
    let security = parameters(engine, "", &[], &[]);
    message(message_id, FLAG_REPORTABLE, &security, &scoped(&engine.id, "", pdu))
}

/// A signed message, encrypted when the user has privacy. The salt must be
/// another one in each message.
#[must_use]
pub fn seal(
    message_id: i32,
    engine: &Engine,
    user: &User,
    keys: &Keys,
    salt: u64,
    pdu: &Pdu,
) -> Vec<u8> {
    let mut data = scoped(&engine.id, &user.context, pdu);
    let mut flags = FLAG_REPORTABLE | FLAG_AUTH;
    let salt = salt.to_be_bytes();
    let mut privacy: &[u8] = &[];
    if keys.is_private() {
        keys.crypt(engine, &salt, &mut data, false);
        data = octets(&data);
        flags |= FLAG_PRIVACY;
        privacy = &salt;
    }
    let blank = vec![0; mac_len(keys.auth)];
    let security = parameters(engine, &user.name, &blank, privacy);
    let mut message = message(message_id, flags, &security, &data);
    let tag = with_hmac!(keys.auth, sign(&keys.auth_key, &[&message]));
    // Behind the signature come the privacy parameters and the data alone.
    let end = message.len() - data.len() - octets(privacy).len();
    let begin = end - blank.len();
    message[begin..end].copy_from_slice(&tag[..blank.len()]);
    message
}

fn message(id: i32, flags: u8, security: &[u8], data: &[u8]) -> Vec<u8> {
    let header = [
        integer(id.into()),
        integer(MESSAGE_LEN_MAX as i64),
        octets(&[flags]),
        integer(SECURITY_MODEL),
    ]
    .concat();
    let header = element(ber::SEQUENCE, &[&header]);
    element(ber::SEQUENCE, &[&integer(3), &header, &octets(security), data])
}

fn parameters(engine: &Engine, user: &str, tag: &[u8], privacy: &[u8]) -> Vec<u8> {
    let fields = [
        octets(&engine.id),
        integer(engine.boots.into()),
        integer(engine.time_s.into()),
        octets(user.as_bytes()),
        octets(tag),
        octets(privacy),
    ]
    .concat();
    element(ber::SEQUENCE, &[&fields])
}

fn scoped(engine_id: &[u8], context: &str, pdu: &Pdu) -> Vec<u8> {
    let (id, context) = (octets(engine_id), octets(context.as_bytes()));
    element(ber::SEQUENCE, &[&id, &context, &pdu.encode()])
}

/// Take a datagram apart. A signed one is checked with `keys`; without keys,
/// only unsigned ones are understood.
///
/// # Errors
/// [`Rejected`]; the message must be treated as if it had not come.
pub fn open(datagram: &[u8], keys: Option<&Keys>) -> Result<Incoming, Rejected> {
    let mut whole = Reader::new(datagram).tagged(ber::SEQUENCE)?;
    let version = whole.garbled("a version that is not 3");
    if whole.integer()? != 3 {
        return Err(version.into());
    }
    let mut header = whole.tagged(ber::SEQUENCE)?;
    let message_id = header.integer32()?;
    header.integer()?;
    let flags = match header.octets()? {
        [flags] => *flags,
        _ => return Err(header.garbled("flags of not one byte").into()),
    };
    if header.integer()? != SECURITY_MODEL {
        return Err(header.garbled("another security model than the user's").into());
    }
    let mut security = whole.tagged(ber::OCTETS)?.tagged(ber::SEQUENCE)?;
    let engine = engine(&mut security)?;
    security.octets()?;
    let tag = security.tagged(ber::OCTETS)?;
    let salt = security.octets()?;
    let (authentic, private) = (flags & FLAG_AUTH != 0, flags & FLAG_PRIVACY != 0);
    if authentic {
        check(datagram, &tag, keys.ok_or(Rejected::Digest)?)?;
    }
    let pdu = match (private, keys) {
        (false, _) => unscoped(&mut whole)?,
        (true, Some(keys)) if authentic && keys.is_private() => {
            let mut text = whole.octets()?.to_vec();
            let salt = salt.try_into().map_err(|_| Rejected::Decryption)?;
            keys.crypt(&engine, salt, &mut text, true);
            unscoped(&mut Reader::new(&text)).map_err(|_| Rejected::Decryption)?
        }
        (true, _) => return Err(Rejected::Decryption),
    };
    Ok(Incoming { message_id, engine, authentic, private, pdu })
}

fn engine(security: &mut Reader<'_>) -> Result<Engine, Garbled> {
    let id = security.octets()?.to_vec();
    let mut number = || {
        let range = security.garbled("an engine's clock out of range");
        u32::try_from(security.integer32()?).map_err(|_| range)
    };
    Ok(Engine { id, boots: number()?, time_s: number()? })
}

/// The signature was made over the message with zeros in its own place.
fn check(datagram: &[u8], tag: &Reader<'_>, keys: &Keys) -> Result<(), Rejected> {
    let (begin, len) = (tag.at(), tag.rest().len());
    if len != mac_len(keys.auth) {
        return Err(Rejected::Digest);
    }
    let parts = [&datagram[..begin], &vec![0; len], &datagram[begin + len..]];
    match with_hmac!(keys.auth, verify(&keys.auth_key, &parts, tag.rest())) {
        true => Ok(()),
        false => Err(Rejected::Digest),
    }
}

fn unscoped(reader: &mut Reader<'_>) -> Result<Pdu, Garbled> {
    let mut scoped = reader.tagged(ber::SEQUENCE)?;
    scoped.octets()?;
    scoped.octets()?;
    Pdu::decode(&mut scoped)
}

#[cfg(test)]
mod tests {
    use super::super::pdu::tests::pdu;
    use super::*;
    use proptest::prelude::*;

    fn user(auth: Auth, privacy: Option<Privacy>) -> User {
        User {
            name: "monitor".into(),
            auth: (auth, "maplesyrup".parse().expect("a secret")),
            privacy: privacy.map(|privacy| (privacy, "maplesyrup".parse().expect("a secret"))),
            context: "ups".into(),
            engine_id: None,
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn the_standard_s_own_keys() {
        // RFC 3414 §A.3.2.
        let master = Master::new(&user(Auth::Sha1, None));
        assert_eq!(hex(&master.auth_key), "9fb5cc0381497b3793528939ff788d5d79145211");
        let keys = master.localise(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(hex(&keys.auth_key), "6695febc9288e36282235fc7151f128497b38f3f");
    }

    const LEVELS: [(Auth, Option<Privacy>); 7] = [
        (Auth::Sha1, None),
        (Auth::Sha1, Some(Privacy::Aes128)),
        (Auth::Sha224, Some(Privacy::Aes128)),
        (Auth::Sha256, Some(Privacy::Aes128)),
        (Auth::Sha256, Some(Privacy::Aes256)),
        (Auth::Sha384, Some(Privacy::Aes256)),
        (Auth::Sha512, Some(Privacy::Aes256)),
    ];

    fn known() -> Vec<(User, Keys)> {
        let local = |(auth, privacy)| {
            let user = user(auth, privacy);
            let keys = Master::new(&user).localise(b"\x80\0\x1f\x88\x04ups");
            (user, keys)
        };
        LEVELS.into_iter().map(local).collect()
    }

    fn there() -> Engine {
        Engine { id: b"\x80\0\x1f\x88\x04ups".to_vec(), boots: 7, time_s: 12_345 }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn messages_come_back_and_changed_ones_do_not(pdu in pdu(), at: prop::sample::Index, flip in 1_u8..) {
            static KNOWN: std::sync::LazyLock<Vec<(User, Keys)>> = std::sync::LazyLock::new(known);
            for (user, keys) in KNOWN.iter() {
                let mut datagram = seal(9, &there(), user, keys, 77, &pdu);
                let incoming = open(&datagram, Some(keys)).expect("ours");
                prop_assert_eq!((incoming.message_id, &incoming.engine), (9, &there()));
                prop_assert!(incoming.authentic && incoming.private == keys.is_private());
                prop_assert_eq!(&incoming.pdu, &pdu);
                prop_assert_eq!(open(&datagram, None), Err(Rejected::Digest));
                let at = at.index(datagram.len());
                datagram[at] ^= flip;
                // A message whose signature was taken off is no longer authentic.
                let fooled = open(&datagram, Some(keys)).is_ok_and(|incoming| incoming.authentic);
                prop_assert!(!fooled, "byte {at} was changed");
            }
        }

        #[test]
        fn any_datagram_is_judged(datagram in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = open(&datagram, None);
        }
    }

    #[test]
    fn the_wrong_key_is_told_from_the_wrong_cipher() {
        let [(user, keys), ..] = &known()[3..] else { unreachable!("seven levels") };
        let pdu = Pdu {
            kind: super::super::pdu::Kind::Response,
            id: 1,
            status: 0,
            index: 0,
            bindings: Vec::new(),
        };
        let datagram = seal(9, &there(), user, keys, 77, &pdu);
        let mut other = keys.clone();
        other.auth_key[0] ^= 1;
        assert_eq!(open(&datagram, Some(&other)), Err(Rejected::Digest));
        let mut other = keys.clone();
        other.privacy.as_mut().expect("private").1[0] ^= 1;
        assert_eq!(open(&datagram, Some(&other)), Err(Rejected::Decryption));
    }
}
