//! Sees to it that every request that changes something is in the audit log
//! exactly once. Most of them are told by an event that says more than the
//! request does; what was not told when the answer is ready is entered with its
//! status, and with the words that its handler found for it ([`is_to`]), or else
//! by its method and path. The answer goes out when the entry is on the disk.

use crate::store::Store;
use std::cell::{Cell, RefCell};
use std::future::Future;

/// Longest path of an entry, characters.
const PATH_MAX: usize = 200;

tokio::task_local! {
    static NOTES: Notes;
}

/// What is known of the request that a task works on.
#[derive(Default)]
struct Notes {
    user: String,
    told: Cell<bool>,
    words: RefCell<Option<String>>,
}

/// The request that this task works on is in the audit log now. Elsewhere it
/// does nothing.
pub fn told() {
    // Not every task works on a request.
    let _ = NOTES.try_with(|notes| notes.told.set(true));
}

/// What the request that this task works on wants, to follow "tried to":
/// `acknowledge alarm 3: fan on order`. Elsewhere it does nothing.
pub fn is_to(what: String) {
    let _ = NOTES.try_with(|notes| notes.words.replace(Some(what)));
}

/// Whose request this task works on; empty where it works on none.
#[must_use]
pub fn who() -> String {
    NOTES.try_with(|notes| notes.user.clone()).unwrap_or_default()
}

/// Somebody's request: who, and from which address.
pub struct Request<'a> {
    /// A user's name.
    pub user: &'a str,
    /// Their address.
    pub from: String,
    /// Method and path.
    pub what: String,
}

impl<'a> Request<'a> {
    /// `path` is cut to what fits an entry.
    #[must_use]
    pub fn new(user: &'a str, from: String, method: &str, path: &str) -> Self {
        let path: String = path.chars().take(PATH_MAX).collect();
        Self { user, from, what: format!("{method} {path}") }
    }

    /// Enter that it was refused before anything was done.
    pub fn refused(&self, store: &Store, why: &str) {
        store.audit(self.user, &self.from, &self.what, why);
    }

    /// Do the work; enter it unless that told of itself. `status` gives the
    /// HTTP status of the answer.
    pub async fn follow<T>(
        self,
        store: &Store,
        work: impl Future<Output = T>,
        status: impl FnOnce(&T) -> u16,
    ) -> T {
        let notes = Notes { user: self.user.to_owned(), ..Notes::default() };
        let scope = async {
            let answer = work.await;
            NOTES.with(|notes| (answer, notes.told.get(), notes.words.take()))
        };
        let (answer, told, words) = NOTES.scope(notes, scope).await;
        if !told {
            let result = match status(&answer) {
                // A form is answered by leading elsewhere.
                200..=399 => "done".to_owned(),
                status => format!("refused with status {status}"),
            };
            let what = words.unwrap_or(self.what);
            store.audit_promptly(self.user, &self.from, &what, &result).await;
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{FILE, Limits};
    use evenkeel_core::events::Event;

    #[tokio::test]
    async fn a_request_is_told_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let request = || Request::new("admin", "::1".into(), "POST", "/api/v1/x");
        request().follow(&store, async { assert_eq!(who(), "admin") }, |()| 204).await;
        assert_eq!(who(), "", "nobody's request");
        request().follow(&store, async {}, |()| 409).await;
        let order = async {
            let (user, from, order) = ("admin".into(), "::1".into(), "mute".into());
            store.record(Event::Ordered { user, from, order, refused: None });
        };
        request().follow(&store, order, |()| 204).await;
        request().follow(&store, async { store.record(Event::GuardBack) }, |()| 200).await;
        request().follow(&store, async { is_to("reset alarm 3".into()) }, |()| 409).await;
        // What is on the disk now is all that there is after a power cut.
        let cut = tempfile::tempdir().expect("a directory");
        std::fs::copy(dir.path().join(FILE), cut.path().join(FILE)).expect("copied");
        let store = Store::open(cut.path(), Limits::default()).expect("a store");
        let lines = store.audit_lines(None, 99).expect("readable");
        let whole: Vec<String> =
            lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        assert_eq!(whole.len(), 5, "{whole:?}");
        assert!(whole[0].contains(r#""what":"POST /api/v1/x","result":"done""#), "{whole:?}");
        assert!(whole[1].contains("refused with status 409"), "{whole:?}");
        assert!(whole[2].contains(r#""what":"mute""#), "{whole:?}");
        assert!(whole[3].contains("POST /api/v1/x"), "an event of something else: {whole:?}");
        let refused = r#""what":"reset alarm 3","result":"refused with status 409""#;
        assert!(whole[4].contains(refused), "{whole:?}");
    }
}
