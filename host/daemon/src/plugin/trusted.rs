//! Whom this appliance trusts: the keys in its trust directory, the keyring
//! that the platform's roots signed, and what the administrator decided. The
//! judgement is [`evenkeel_signing::Trust`]; here are its files.
//!
//! | file | what |
//! |---|---|
//! | `<trust_dir>/*.pub`, role root | the platform's roots; most of them must sign a keyring |
//! | `<trust_dir>/*.pub`, role plugin | a vendor whom the one who set the appliance up trusts |
//! | the same, named `…development…` | the workshop's own key, as good as the platform's; refused in production |
//! | `<trust_dir>/keyring.evkk` | the keyring of the firmware |
//! | `<data_dir>/keyring.evkk` | a later one, accepted since |
//! | `<run>/keyring.evkk` | the one that an appliance's keeper of the slots has in force: it outlives updates and the data partition |
//! | `<image>/product`, `<image>/development/*.pub` | an image, and one for development: without such a key it is one for production |

use crate::clock;
use crate::files::write_private;
use crate::plugin::roster::{Decisions, Roster, Withdrawn};
use crate::plugin::supervisor::RosterStore;
use evenkeel_signing::{KeyError, KeyId, Kind, PublicKey, Role, Roots, Trust, TrustError};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Ending of files with trusted keys.
pub const KEY_EXTENSION: &str = "pub";
/// Name of a keyring's file.
pub const KEYRING: &str = "keyring.evkk";

/// Where trust lies.
#[derive(Clone, Debug)]
pub struct Places {
    /// Comes with the firmware, or from whoever set the appliance up.
    pub trust_dir: PathBuf,
    /// The daemon's own.
    pub data_dir: PathBuf,
    /// What the image says of itself, under its own signature; absent on a
    /// machine that runs the daemon without one.
    pub image: PathBuf,
    /// Where the keeper of the slots shows the keyring in force.
    pub run: PathBuf,
}

/// Where an image says what it is.
pub const IMAGE: &str = "/etc/evenkeel/firmware";
/// Where an image's programs meet.
const RUN: &str = "/run/evenkeel";

impl Places {
    /// These folders, on this machine.
    #[must_use]
    pub fn new(trust_dir: &Path, data_dir: &Path) -> Self {
        let (trust_dir, data_dir) = (trust_dir.to_owned(), data_dir.to_owned());
        Self { trust_dir, data_dir, image: IMAGE.into(), run: RUN.into() }
    }

    /// Whether this is an image for production. One that cannot be looked into
    /// is.
    fn is_production(&self) -> bool {
        let is_absent = |path: &Path| {
            let found = std::fs::symlink_metadata(path);
            found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        if is_absent(&self.image) {
            return false;
        }
        let Ok(entries) = std::fs::read_dir(self.image.join("development")) else { return true };
        let mut names = entries.filter_map(|entry| Some(entry.ok()?.path()));
        !names.any(|path| path.extension().is_some_and(|e| e == KEY_EXTENSION))
    }
}

/// Something that is there to be trusted and is not.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The directory.
    #[error("trusted keys in {} cannot be listed; no plugin will run", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// One key file.
    #[error("key {} is not used", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// One key, or a keyring, that makes no sense here.
    #[error("{what} is not used")]
    Trust {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: TrustError,
    },
    /// A file that cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Everything that is trusted now, and what could not be.
#[must_use]
pub fn load(places: &Places, decisions: &Decisions) -> (Trust, Vec<Problem>) {
    let mut problems = Vec::new();
    let keys = key_files(&places.trust_dir, &mut problems);
    let is_root = |key: &PublicKey| key.role() == Role::Root;
    let (roots, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(|(_, key)| is_root(key));
    let mut trust = with_roots(roots, places.is_production(), &mut problems);
    trust.require_sequence(decisions.keyring_sequence);
    for dir in [&places.trust_dir, &places.data_dir, &places.run] {
        keyring(&mut trust, &dir.join(KEYRING), &mut problems);
    }
    for (path, key) in keys {
        let added = match key.is_development() {
            true => trust.add_development_key(key),
            false => trust.add_vendor_key(key).map(|_| ()),
        };
        problems.extend(added.err().map(|e| not_used(format!("key {}", path.display()), e)));
    }
    for text in &decisions.vendor_keys {
        let added = PublicKey::parse(text)
            .map_err(|source| TrustError::Key { source })
            .and_then(|key| trust.add_vendor_key(key));
        problems.extend(added.err().map(|e| not_used("an added key".to_owned(), e)));
    }
    for Withdrawn { id, name, reason } in &decisions.withdrawn {
        let done = trust.revoke_key(KeyId(*id), name, reason);
        problems.extend(done.err().map(|e| not_used(format!("the withdrawal of {name:?}"), e)));
    }
    for (plugin, signer, least) in decisions.proven.all() {
        let done = trust.raise_floor(plugin, signer, least);
        problems.extend(done.err().map(|e| not_used(format!("the floor of {plugin:?}"), e)));
    }
    (trust, problems)
}

/// What counts while nobody knows what was decided: of the keys that are here
/// the platform's alone, without those in `withdrawn`, of which it is known that
/// they were taken back. A person who trusts one of the others again says so.
#[must_use]
pub fn closed(places: &Places, withdrawn: &[Withdrawn]) -> Decisions {
    let (trust, _) = load(places, &Decisions::default());
    let vendors = trust.trusted().signers().filter(|signer| !signer.is_platform());
    let vendors = vendors.map(|signer| Withdrawn {
        id: signer.id().0,
        name: signer.name().to_owned(),
        reason: LOST.to_owned(),
    });
    let mut rows = withdrawn.to_vec();
    for row in vendors {
        if !rows.iter().any(|known| known.id == row.id) {
            rows.push(row);
        }
    }
    Decisions { withdrawn: rows, ..Decisions::default() }
}

/// Why a vendor's key does not count while the decisions are [`closed`].
pub const LOST: &str = "what was decided about keys cannot be read, and until somebody trusts it \
    again no key counts but the platform's";

/// Whom the appliance trusts whenever it is asked: what is decided in the
/// `roster` at the time. While that cannot be read it is [`closed`], and `told`
/// is given the reason, each once.
pub fn now(
    places: Places,
    roster: impl RosterStore + Sync + 'static,
    told: impl Fn(String) + Send + Sync + 'static,
) -> Box<dyn Fn() -> Trust + Send + Sync> {
    /// What was read last, and what went wrong since.
    #[derive(Default)]
    struct Last {
        withdrawn: Vec<Withdrawn>,
        why: Option<String>,
    }
    let last = Mutex::new(Last::default());
    Box::new(move || {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let decisions = match decided(&roster) {
            Ok(decisions) => {
                *last = Last { withdrawn: decisions.withdrawn.clone(), why: None };
                decisions
            }
            Err(why) => {
                if last.why.as_ref() != Some(&why) {
                    told(why.clone());
                }
                last.why = Some(why);
                closed(&places, &last.withdrawn)
            }
        };
        // What cannot be used is told where plugins are loaded.
        load(&places, &decisions).0
    })
}

fn decided(roster: &impl RosterStore) -> Result<Decisions, String> {
    match roster.load()? {
        Some(text) => Roster::decisions_of(&text).map_err(|e| format!("it makes no sense: {e}")),
        None => Ok(Decisions::default()),
    }
}

/// Accept a keyring and keep it; returns its sequence number, which is to be
/// kept among the decisions.
///
/// # Errors
/// [`Problem`]; the one in force stays.
pub fn accept(places: &Places, trust: &mut Trust, raw: &[u8]) -> Result<u32, Problem> {
    let date = Some(clock::unix_ms() / 1_000);
    let accepted = trust
        .accept_keyring(raw, date)
        .map_err(|source| not_used("the keyring".to_owned(), source))?;
    let path = places.data_dir.join(KEYRING);
    write_private(&path, raw).map_err(|source| Problem::Read { path, source })?;
    Ok(accepted.sequence)
}

/// The id of a key, from its text.
#[must_use]
pub fn key_id(text: &str) -> Option<KeyId> {
    serde_json::from_value(text.into()).ok().map(KeyId)
}

/// With a development key among the roots, production has none.
fn with_roots(
    roots: Vec<(PathBuf, PublicKey)>,
    production: bool,
    problems: &mut Vec<Problem>,
) -> Trust {
    let count = roots.len();
    let keys = roots.into_iter().map(|(_, key)| key).collect();
    let made = match count {
        0 => Ok(Roots::none()),
        // More than half.
        _ => Roots::new(keys, count / 2 + 1),
    };
    made.and_then(|roots| Trust::new(roots, production)).unwrap_or_else(|source| {
        problems.push(not_used("the platform's roots".to_owned(), source));
        Trust::new(Roots::none(), production)
            .expect("no root is a development key when there is none")
    })
}

fn keyring(trust: &mut Trust, path: &Path, problems: &mut Vec<Problem>) {
    let mut raw = Vec::new();
    let max = Kind::Keyring.len_max() as u64;
    let read = File::open(path).and_then(|file| file.take(max + 1).read_to_end(&mut raw));
    match read {
        Ok(_) => {
            // What was accepted once stays in force when it expires.
            let refused = trust.accept_keyring(&raw, None).err();
            let in_force = trust.keyring().map(|keyring| keyring.sequence);
            let replaced = |error: &TrustError| matches!(error, TrustError::Older { found, .. } if Some(*found) < in_force);
            let what = || format!("the keyring {}", path.display());
            let wrong = refused.filter(|error| !replaced(error));
            problems.extend(wrong.map(|source| not_used(what(), source)));
        }
        Err(source) if source.kind() == io::ErrorKind::NotFound => {}
        Err(source) => problems.push(Problem::Read { path: path.to_owned(), source }),
    }
}

fn key_files(dir: &Path, problems: &mut Vec<Problem>) -> Vec<(PathBuf, PublicKey)> {
    let listed: io::Result<Vec<PathBuf>> =
        std::fs::read_dir(dir).and_then(|dir| dir.map(|entry| Ok(entry?.path())).collect());
    let mut paths = match listed {
        Ok(paths) => paths,
        Err(source) => {
            problems.push(Problem::Directory { path: dir.to_owned(), source });
            return Vec::new();
        }
    };
    paths.retain(|path| path.extension().is_some_and(|e| e == KEY_EXTENSION));
    paths.sort();
    let mut keys = Vec::new();
    for path in paths {
        match PublicKey::read(&path) {
            Ok(key) => keys.push((path, key)),
            Err(source) => problems.push(Problem::Key { path, source }),
        }
    }
    keys
}

fn not_used(what: String, source: TrustError) -> Problem {
    Problem::Trust { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_signing::SecretKey;

    fn put(dir: &Path, role: Role, name: &str) -> SecretKey {
        let key = SecretKey::generate(role, name).expect("a key");
        std::fs::write(dir.join(format!("{name}.pub")), key.public().to_text()).expect("written");
        key
    }

    /// All in `dir`, where there is no image.
    fn places(dir: &Path) -> Places {
        Places { image: dir.join("image"), run: dir.join("run"), ..Places::new(dir, dir) }
    }

    /// What is trusted, and what is said of what is not.
    fn judged(places: &Places) -> (Vec<String>, Vec<String>) {
        let (trust, problems) = load(places, &Decisions::default());
        let mut trusted = names(&trust);
        trusted.sort();
        (trusted, problems.iter().map(|problem| crate::plugin::reason(problem)).collect())
    }

    #[test]
    fn an_image_for_production_refuses_development_keys_by_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let places = places(dir.path());
        put(dir.path(), Role::Plugin, "acme");
        let key = put(dir.path(), Role::Plugin, "development");
        let both = ["acme Administrator", "development Platform"].map(str::to_owned).to_vec();
        assert_eq!(judged(&places), (both.clone(), vec![]), "a workshop without an image");
        std::fs::create_dir_all(places.image.join("development")).expect("made");
        std::fs::write(places.image.join("product"), "evenkeel").expect("written");
        let (trusted, said) = judged(&places);
        assert_eq!(trusted, both[..1]);
        assert!(
            said.len() == 1
                && said[0].contains("development.pub is not used")
                && said[0].contains(&key.public().fingerprint())
                && said[0].contains("is a development key; a device in production never trusts"),
            "{said:?}"
        );
        // No more through the administrator's door.
        let added = key.public().to_text();
        let decisions = Decisions { vendor_keys: vec![added], ..Default::default() };
        let (trust, problems) = load(&places, &decisions);
        assert_eq!((names(&trust), problems.len()), (both[..1].to_vec(), 2));
        let mark = places.image.join("development/firmware.pub");
        std::fs::write(mark, "a key").expect("written");
        assert_eq!(judged(&places), (both.clone(), vec![]), "an image for development");
        std::fs::remove_dir_all(&places.image).expect("removed");
        std::fs::write(&places.image, "not a folder").expect("written");
        assert_eq!(judged(&places).0, both[..1], "in doubt it is production");
    }

    #[test]
    fn a_root_for_development_roots_nothing_in_production() {
        let dir = tempfile::tempdir().expect("a directory");
        let places = places(dir.path());
        put(dir.path(), Role::Root, "root-dev");
        assert_eq!(judged(&places), (vec![], vec![]));
        std::fs::create_dir_all(&places.image).expect("made");
        let (_, said) = judged(&places);
        assert!(
            said.len() == 1 && said[0].contains("the platform's roots is not used"),
            "{said:?}"
        );
    }

    fn names(trust: &Trust) -> Vec<String> {
        trust.trusted().signers().map(|s| format!("{} {:?}", s.name(), s.origin())).collect()
    }

    #[test]
    fn keys_come_from_the_directory_and_from_the_administrator() {
        let dir = tempfile::tempdir().expect("a directory");
        let places = places(dir.path());
        put(dir.path(), Role::Root, "root-1");
        put(dir.path(), Role::Plugin, "development");
        put(dir.path(), Role::Plugin, "acme");
        put(dir.path(), Role::Licence, "development-licence");
        std::fs::write(dir.path().join("broken.pub"), "x").expect("written");
        std::fs::write(dir.path().join("notes.txt"), "x").expect("written");
        let added = SecretKey::generate(Role::Plugin, "bolt").expect("a key").public();
        let mut decisions = Decisions { vendor_keys: vec![added.to_text()], ..Default::default() };
        let (trust, problems) = load(&places, &decisions);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].to_string().contains("broken.pub"));
        let mut found = names(&trust);
        found.sort();
        let wanted = [
            "acme Administrator",
            "bolt Administrator",
            "development Platform",
            "development-licence Platform",
        ];
        assert_eq!(found, wanted);
        let id = added.id().0;
        assert_eq!(key_id(&added.id().to_string()), Some(added.id()));
        let row = Withdrawn { id, name: "bolt".into(), reason: "stolen".into() };
        decisions.withdrawn.push(row);
        let (trust, _) = load(&places, &decisions);
        assert!(!names(&trust).iter().any(|n| n.starts_with("bolt")));
        assert_eq!(trust.refused().len(), 1);
    }

    /// A list of plugins that is what somebody says.
    type Said = std::sync::Arc<Mutex<Result<Option<String>, String>>>;

    impl RosterStore for Said {
        fn load(&self) -> Result<Option<String>, String> {
            self.lock().expect("no panic").clone()
        }

        fn save(&self, _: &str) -> Result<(), String> {
            Err("nobody asked".into())
        }
    }

    #[test]
    fn while_the_decisions_cannot_be_read_no_vendor_counts_and_nothing_withdrawn_does() {
        let dir = tempfile::tempdir().expect("a directory");
        let places = places(dir.path());
        let acme = put(dir.path(), Role::Plugin, "acme").public();
        let bolt = put(dir.path(), Role::Plugin, "bolt").public();
        let platform = put(dir.path(), Role::Plugin, "development").public();
        put(dir.path(), Role::Plugin, "development-2");
        let withdrawn = |key: &PublicKey| Withdrawn {
            id: key.id().0,
            name: key.name().into(),
            reason: "stolen".into(),
        };
        let mut roster = Roster::default();
        roster.decisions.withdrawn = vec![withdrawn(&bolt), withdrawn(&platform)];
        let said: Said = std::sync::Arc::new(Mutex::new(Ok(Some(roster.to_text()))));
        let told = std::sync::Arc::new(Mutex::new(Vec::new()));
        let keep = told.clone();
        let now = now(places.clone(), said.clone(), move |why| {
            keep.lock().expect("no panic").push(why);
        });
        let sorted = |trust: Trust| {
            let mut names = names(&trust);
            names.sort();
            names
        };
        assert_eq!(sorted(now()), ["acme Administrator", "development-2 Platform"]);
        for why in [Err("the disk is gone".to_owned()), Ok(Some("decisions = 7".to_owned()))] {
            *said.lock().expect("no panic") = why;
            for _ in 0..2 {
                let trust = now();
                assert_eq!(names(&trust), ["development-2 Platform"]);
                let why = |key: &PublicKey| {
                    let row = trust.refused().iter().find(|row| row.key.id == key.id());
                    format!("{:?}", row.expect("refused").why)
                };
                assert!(why(&acme).contains("cannot be read"), "{}", why(&acme));
                assert!(why(&bolt).contains("stolen") && why(&platform).contains("stolen"));
            }
        }
        let told = told.lock().expect("no panic").clone();
        assert_eq!(told.len(), 2, "each reason once: {told:?}");
        assert!(told[0].contains("the disk is gone") && told[1].contains("makes no sense"));
        // At a start nothing is known of withdrawals.
        let fresh = closed(&places, &[]);
        let (trust, _) = load(&places, &fresh);
        assert_eq!(sorted(trust), ["development Platform", "development-2 Platform"]);
        *said.lock().expect("no panic") = Ok(Some(roster.to_text()));
        assert_eq!(now().trusted().keys().count(), 2, "as it was decided");
    }

    #[test]
    fn a_directory_that_is_not_there_trusts_nobody() {
        let dir = tempfile::tempdir().expect("a directory");
        let gone = dir.path().join("gone");
        let places = Places { trust_dir: gone, ..places(dir.path()) };
        let (trust, problems) = load(&places, &Decisions::default());
        assert_eq!((trust.trusted().keys().count(), problems.len()), (0, 1));
    }
}
