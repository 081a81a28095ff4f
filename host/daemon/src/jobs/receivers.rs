//! The web servers that jobs may tell, as administrators wrote them: kept as a
//! settings document of the store, changed over the API, in force at once.
//!
//! Who may change jobs chooses among receivers; where messages may go at all, and
//! by which key they are signed, is an administrator's decision
//! (facts/appliance-security.md SEC-094). A key is never shown again.

use super::webhook::{Webhook, Written};
use crate::failure::chain;
use crate::grants::Authorities;
use crate::plugin_admin::MASK;
use crate::store::{Store, StoreError};
use evenkeel_core::events::Event;
use evenkeel_core::settings::forms::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The document among the settings in the store.
pub const DOCUMENT: Kind = Kind::first("webhooks");
/// Most receivers.
pub const RECEIVERS_MAX: usize = 64;
/// Bytes of a key that is made here.
const KEY_BYTES: usize = 32;

/// Why a receiver is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// What was asked for is wrong.
    #[error("{0}")]
    Wrong(String),
    /// There is no such receiver.
    #[error("there is no webhook {0:?}")]
    Unknown(String),
    /// There are as many as may be.
    #[error("there are {RECEIVERS_MAX} webhooks already; remove one first")]
    Full,
    /// The system has no random numbers for a key.
    #[error("no key can be made")]
    Random(#[source] getrandom::Error),
    /// The store did not keep it.
    #[error("it cannot be kept")]
    Store(#[from] StoreError),
}

/// The receivers in force, by name.
pub struct Receivers {
    store: Arc<Store>,
    known: Mutex<Book>,
    /// Held by whoever changes them, from the copy to the acknowledgement.
    changing: Turn,
}

/// Who holds it changes the receivers.
type Turn = Arc<tokio::sync::Mutex<()>>;

type Book = BTreeMap<String, Arc<Webhook>>;

/// The document: `[[webhook]]` with what [`super::webhook`] describes.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    webhook: Vec<Written>,
}

/// All receivers as somebody wants them to be: another document.
pub struct Offer {
    book: Book,
    /// Keys that were made for those that had none, by name.
    pub made: BTreeMap<String, String>,
}

impl Offer {
    /// Whether there will be one of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.book.contains_key(name)
    }

    /// The document to be kept.
    #[must_use]
    pub fn text(&self) -> String {
        text(&self.book)
    }
}

/// What somebody wants a receiver to be.
#[derive(Debug)]
pub struct Wanted {
    /// All of it but the key.
    pub written: Written,
    /// Its key; without one it keeps the one that it has, or gets a new one.
    pub key: Option<String>,
}

impl Receivers {
    /// Those that were kept. What cannot be used any more is told, and an older
    /// revision is taken.
    #[must_use]
    pub fn open(store: Arc<Store>) -> Self {
        let revisions = store.settings(&DOCUMENT).unwrap_or_else(|e| {
            tracing::error!("no webhooks: {}", chain(&e));
            Vec::new()
        });
        let mut known = Book::new();
        for revision in revisions {
            match read(&revision.text) {
                Ok(good) => {
                    known = good;
                    break;
                }
                Err(reason) => {
                    tracing::error!("revision {} of the webhooks: {reason}", revision.revision);
                    let what = DOCUMENT.name.to_owned();
                    store.record(Event::SettingsRefused { what, reason });
                }
            }
        }
        Self { store, known: Mutex::new(known), changing: Turn::default() }
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Webhook>> {
        self.known().get(name).cloned()
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Webhook>> {
        self.known().values().cloned().collect()
    }

    /// Add one, or change the one of that name. The key that was made for it, if
    /// one was: there is no other time to learn it.
    ///
    /// # Errors
    /// [`ReceiverError`]; those in force stay then.
    pub async fn put(&self, wanted: Wanted) -> Result<Option<String>, ReceiverError> {
        let _turn = self.changing.lock().await;
        let mut book = self.known().clone();
        let Wanted { mut written, key } = wanted;
        let before = book.get(&written.name);
        let (key, made) = match (key, before) {
            (Some(key), _) => (key, None),
            (None, Some(before)) => (before.written().key.clone(), None),
            (None, None) => {
                let key = random_key().map_err(ReceiverError::Random)?;
                (key.clone(), Some(key))
            }
        };
        if before.is_none() && book.len() >= RECEIVERS_MAX {
            return Err(ReceiverError::Full);
        }
        written.key = key;
        let webhook = Webhook::try_from(written).map_err(ReceiverError::Wrong)?;
        book.insert(webhook.name().to_owned(), Arc::new(webhook));
        self.keep(book).await?;
        Ok(made)
    }

    /// Remove one.
    ///
    /// # Errors
    /// [`ReceiverError`].
    pub async fn remove(&self, name: &str) -> Result<(), ReceiverError> {
        let _turn = self.changing.lock().await;
        let mut book = self.known().clone();
        book.remove(name).ok_or_else(|| ReceiverError::Unknown(name.to_owned()))?;
        self.keep(book).await
    }

    /// The document in force, with its keys.
    #[must_use]
    pub fn text(&self) -> String {
        text(&self.known())
    }

    /// Whoever holds this changes the receivers; nobody else does meanwhile.
    pub async fn turn(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.changing).lock_owned().await
    }

    /// Look at a whole document. Where a key is missing or [`MASK`], the one in
    /// force stays; a receiver that is new gets a random one.
    ///
    /// # Errors
    /// [`ReceiverError`].
    pub fn look(&self, wanted: &str) -> Result<Offer, ReceiverError> {
        let Document { webhook } =
            toml::from_str(wanted).map_err(|e| ReceiverError::Wrong(e.message().to_owned()))?;
        if webhook.len() > RECEIVERS_MAX {
            return Err(ReceiverError::Full);
        }
        let known = self.known().clone();
        let mut offer = Offer { book: Book::new(), made: BTreeMap::new() };
        for mut written in webhook {
            let name = written.name.clone();
            let before = known.get(&name).map(|webhook| webhook.written());
            let is_file = matches!(written.ca, Some(Authorities::File(_)));
            if is_file && before.is_none_or(|before| before.ca != written.ca) {
                let text = format!("{name:?}: ca: give the certificates themselves, as PEM");
                return Err(ReceiverError::Wrong(text));
            }
            if written.key.is_empty() || written.key == MASK {
                written.key = match before {
                    Some(before) => before.key.clone(),
                    None => random_key().map_err(ReceiverError::Random)?,
                };
                if before.is_none() {
                    offer.made.insert(name.clone(), written.key.clone());
                }
            }
            let webhook = Webhook::try_from(written)
                .map_err(|why| ReceiverError::Wrong(format!("{name:?}: {why}")))?;
            if offer.book.insert(name.clone(), Arc::new(webhook)).is_some() {
                return Err(ReceiverError::Wrong(format!("{name:?} is there twice")));
            }
        }
        Ok(offer)
    }

    /// Have receivers in force that are kept; whoever does holds the
    /// [turn](Self::turn).
    pub fn take(&self, offer: Offer) {
        *self.known() = offer.book;
    }

    async fn keep(&self, book: Book) -> Result<(), ReceiverError> {
        self.store.keep_settings(&DOCUMENT, &text(&book)).done().await?;
        *self.known() = book;
        Ok(())
    }

    // Poisoned by a panic in a handler: each change is one assignment.
    fn known(&self) -> MutexGuard<'_, Book> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(book: &Book) -> String {
    let webhook = book.values().map(|webhook| webhook.written().clone()).collect();
    toml::to_string(&Document { webhook }).expect("plain texts and tables")
}

fn read(text: &str) -> Result<Book, String> {
    let Document { webhook } = toml::from_str(text).map_err(|e| e.message().to_owned())?;
    let parsed = webhook.into_iter().map(|written| {
        Webhook::try_from(written).map(|webhook| (webhook.name().to_owned(), Arc::new(webhook)))
    });
    parsed.collect()
}

fn random_key() -> Result<String, getrandom::Error> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Limits;
    use std::path::Path;

    fn open(dir: &Path) -> (Arc<Store>, Receivers) {
        let store = Arc::new(Store::open(dir, Limits::default()).expect("a store"));
        (store.clone(), Receivers::open(store))
    }

    fn wanted(name: &str, url: &str, key: Option<&str>) -> Wanted {
        let written = Written { name: name.into(), url: url.into(), ..Written::default() };
        Wanted { written, key: key.map(str::to_owned) }
    }

    /// Whoever adds a name gives the document a second form, with a step back that
    /// takes it away (`evenkeel_core::settings::forms`).
    #[test]
    fn the_form_has_the_names_that_it_had() {
        for (text, wanted) in [
            ("'?' = 1", "`webhook`"),
            (
                "[[webhook]]\n'?' = 1",
                "one of `name`, `url`, `key`, `ca`, `server_name`, `pin_sha256`",
            ),
        ] {
            let refused = toml::from_str::<Document>(text).err().expect("`?` is no name");
            assert_eq!(refused.message(), format!("unknown field `?`, expected {wanted}"));
        }
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, receivers) = open(dir.path());
        let made = receivers.put(wanted("a", "https://one.example/x", None)).await.expect("kept");
        let made = made.expect("a key was made");
        assert_eq!(made.len(), 2 * KEY_BYTES);
        let given = wanted("b", "http://two.example/", Some("a key of their own"));
        assert_eq!(receivers.put(given).await.expect("kept"), None);
        // Another address, the same key.
        let moved = receivers.put(wanted("a", "https://three.example/", None)).await;
        assert_eq!(moved.expect("kept"), None);
        receivers.remove("b").await.expect("removed");
        assert!(matches!(receivers.remove("b").await, Err(ReceiverError::Unknown(_))));
        drop((store, receivers));
        let (_store, receivers) = open(dir.path());
        let there = receivers.all();
        assert_eq!(there.len(), 1);
        assert_eq!(there[0].written().url, "https://three.example/");
        assert_eq!(there[0].written().key, made);
        assert!(!format!("{there:?}").contains(&made));
    }

    #[tokio::test]
    async fn what_is_wrong_changes_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, receivers) = open(dir.path());
        for (bad, why) in [
            (wanted("A", "https://x/", None), "a-z"),
            (wanted("a", "ftp://x/", None), "https://host/path"),
            (wanted("a", "https://x/", Some("short")), "16 to 256 bytes"),
        ] {
            let refused = receivers.put(bad).await.expect_err(why).to_string();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(receivers.all().is_empty());
        for n in 0..RECEIVERS_MAX {
            let good = wanted(&format!("a{n}"), "https://x/", Some("0123456789abcdef"));
            receivers.put(good).await.expect("kept");
        }
        let more = receivers.put(wanted("more", "https://x/", None)).await;
        assert!(matches!(more, Err(ReceiverError::Full)));
        receivers.put(wanted("a7", "https://y/", None)).await.expect("one that is there");
        // A revision that cannot be used: the one before is in force.
        store.keep_settings(&DOCUMENT, "webhook = 7").done().await.expect("kept");
        drop((store, receivers));
        let (store, receivers) = open(dir.path());
        assert_eq!(receivers.all().len(), RECEIVERS_MAX);
        // What was recorded goes through the writer's thread first.
        store.record_acknowledged(Event::Unknown).done().await.expect("on the disk");
        let told = store.latest(8).into_iter().any(
            |e| matches!(&e.event, Event::SettingsRefused { what, .. } if what == DOCUMENT.name),
        );
        assert!(told, "the refusal is an event");
    }
}
