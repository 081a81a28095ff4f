//! Who may use the appliance, and for what: local users, groups, roles and
//! tokens (facts/appliance-security.md §2.1, §2.5).
//!
//! [`rights`] says what there is to be allowed, [`book`] how roles and groups
//! allow it and which changes are refused, [`user`] and [`token`] what is kept;
//! this file keeps it in the store. What somebody may do is looked up with
//! every request: a change holds at once.

pub mod book;
pub mod required;
pub mod rights;
pub mod second_factor;
pub mod token;
pub mod user;

use crate::clock;
use crate::store::{Store, StoreError};
use book::{Book, Refusal, Users};
use required::Required;
use rights::{Area, Level, Rights};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use token::{Fresh, Presented, TokenRecord};
use user::User;

/// Name of the document with roles, groups and tokens.
const DOCUMENT: &str = "accounts";

/// Users, groups, roles and tokens.
pub struct Accounts {
    store: Arc<Store>,
    /// As kept; `None` until it could be read.
    book: Mutex<Option<Arc<Book>>>,
    /// For which roles a second factor is required.
    required: Mutex<Arc<Required>>,
    /// One change after the other.
    turn: tokio::sync::Mutex<()>,
}

/// Why accounts were not changed, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// It may not be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed.
    #[error("accounts cannot be kept")]
    Store(#[source] StoreError),
    /// The system has no random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

/// What is wanted of a user; the password is not among it.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Roles of their own.
    pub roles: BTreeSet<String>,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// They may not sign in.
    pub disabled: bool,
    /// They may not sign in from then on.
    pub expires_unix_ms: Option<u64>,
}

/// What is wanted of a token.
#[derive(Clone, Debug)]
pub struct WantedToken {
    /// What it is for.
    pub name: String,
    /// In whose name it acts.
    pub owner: String,
    /// What it may do.
    pub scopes: BTreeMap<Area, Level>,
    /// From when it counts no more.
    pub expires_unix_ms: Option<u64>,
}

/// A program with a token.
pub struct Bearer {
    /// Id of the token.
    pub id: String,
    /// In whose name it acts.
    pub owner: String,
    /// What it may do now.
    pub rights: Rights,
}

impl Accounts {
    /// Accounts of this store.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        let required = Mutex::new(Arc::new(Required::open(&store)));
        Self { store, book: Mutex::default(), required, turn: tokio::sync::Mutex::default() }
    }

    /// Roles, groups and tokens.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn book(&self) -> Result<Arc<Book>, StoreError> {
        let mut book = lock(&self.book);
        if let Some(book) = &*book {
            return Ok(Arc::clone(book));
        }
        let kept = self.store.document(DOCUMENT)?;
        let parse = |bytes: Vec<u8>| {
            serde_json::from_slice(&bytes).map_err(|_| StoreError::Record { what: "accounts" })
        };
        let read = Arc::new(kept.map(parse).transpose()?.unwrap_or_default());
        Ok(Arc::clone(book.insert(read)))
    }

    /// A local user.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.store.user(name)?.map(parse_user).transpose()
    }

    /// All local users.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn users(&self) -> Result<Users, StoreError> {
        let users = self.store.users()?.into_iter();
        users.map(|(name, bytes)| Ok((name, parse_user(bytes)?))).collect()
    }

    /// Keep a user as they are; for those who change their own password.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep(&self, name: &str, user: &User) -> Result<(), StoreError> {
        let record = serde_json::to_vec(user).map_err(|_| StoreError::Record { what: "user" })?;
        self.store.put_user(name, record).done().await
    }

    /// Change a user, for what they do to their own account; what `change` says.
    ///
    /// # Errors
    /// When there is no such user, or the store fails; nothing has changed then.
    pub async fn update<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut User) -> T,
    ) -> Result<T, AccountError> {
        let _turn = self.turn.lock().await;
        let before = self.existing(name)?;
        let mut after = before.clone();
        let said = change(&mut after);
        if after != before {
            self.keep(name, &after).await.map_err(AccountError::Store)?;
        }
        Ok(said)
    }

    /// What a local user may do now; `None`: nothing, not even be signed in.
    #[must_use]
    pub fn rights_of_user(&self, name: &str) -> Option<Rights> {
        let user = self.user(name).ok()??;
        user.is_active(clock::unix_ms()).then(|| self.readable().rights(&user))
    }

    /// What these roles allow now.
    #[must_use]
    pub fn rights_of_roles(&self, roles: &BTreeSet<String>) -> Rights {
        self.readable().rights_of(roles.iter().map(String::as_str))
    }

    /// Whoever sends this `Authorization` header, if it is a token that counts.
    #[must_use]
    pub fn bearer(&self, header: &str) -> Option<Bearer> {
        let presented = Presented::parse(header)?;
        let book = self.book().ok()?;
        let record = book.tokens.get(&presented.id).filter(|record| presented.is(record))?;
        let rights = self.rights_of_token(&presented.id)?;
        Some(Bearer { id: presented.id, owner: record.owner.clone(), rights })
    }

    /// What the token of this id may do now; `None`: it counts no more.
    #[must_use]
    pub fn rights_of_token(&self, id: &str) -> Option<Rights> {
        let book = self.book().ok()?;
        let record = book.tokens.get(id).filter(|record| record.is_alive(clock::unix_ms()))?;
        let owner = self.rights_of_user(&record.owner)?;
        Some(owner.and(Rights::from(&record.scopes)))
    }

    /// Add a user with a first password, of which `hash` is kept, that counts
    /// until `first_until_unix_ms`.
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed then.
    pub async fn add_user(
        &self,
        name: &str,
        wanted: Wanted,
        hash: String,
        first_until_unix_ms: u64,
        by: &Rights,
    ) -> Result<(), AccountError> {
        let _turn = self.turn.lock().await;
        if self.user(name).map_err(AccountError::Store)?.is_some() {
            return Err(Refusal::Exists { what: "user", name: name.to_owned() }.into());
        }
        if !is_user_name(name) {
            return Err(Refusal::Name(name.chars().take(64).collect()).into());
        }
        let user = first_password(User::default(), hash, first_until_unix_ms);
        self.put_user(name, with(user, wanted)?, by).await
    }

    /// Change what a user may do.
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed then.
    pub async fn change_user(
        &self,
        name: &str,
        wanted: Wanted,
        by: &Rights,
    ) -> Result<(), AccountError> {
        let _turn = self.turn.lock().await;
        let user = self.existing(name)?;
        self.put_user(name, with(user, wanted)?, by).await
    }

    /// Give a user another first password (SEC-006).
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed then.
    pub async fn reset_password(
        &self,
        name: &str,
        hash: String,
        first_until_unix_ms: u64,
        by: &Rights,
    ) -> Result<(), AccountError> {
        let _turn = self.turn.lock().await;
        let user = first_password(self.existing(name)?, hash, first_until_unix_ms);
        self.put_user(name, user, by).await
    }

    /// Ask a user for their password alone: their phone is lost, and so are their
    /// recovery codes.
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed then.
    pub async fn remove_second_factor(&self, name: &str, by: &Rights) -> Result<(), AccountError> {
        let _turn = self.turn.lock().await;
        let user = User { second_factor: None, ..self.existing(name)? };
        self.put_user(name, user, by).await
    }

    /// Forget a user, and their tokens.
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed then.
    pub async fn remove_user(&self, name: &str, by: &Rights) -> Result<(), AccountError> {
        let _turn = self.turn.lock().await;
        let (book, users) = self.present()?;
        book.check_user(&users, name, None, by)?;
        let mut after = Book::clone(&book);
        // First the tokens: without them an account that stays does no harm.
        after.tokens.retain(|_, token| token.owner != name);
        self.put_book(&book, after).await?;
        self.store.forget_user(name).done().await.map_err(AccountError::Store)
    }

    /// Change roles, groups or tokens.
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed then.
    pub async fn change(
        &self,
        change: impl FnOnce(&mut Book, &Users) -> Result<(), Refusal>,
    ) -> Result<(), AccountError> {
        let _turn = self.turn.lock().await;
        let (book, users) = self.present()?;
        let mut after = Book::clone(&book);
        change(&mut after, &users)?;
        self.put_book(&book, after).await
    }

    /// Make a token; what its holder sends, which is not kept.
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed then.
    pub async fn add_token(&self, wanted: WantedToken, by: &Rights) -> Result<Fresh, AccountError> {
        let fresh = Fresh::random().map_err(AccountError::Random)?;
        let WantedToken { name, owner, scopes, expires_unix_ms } = wanted;
        let good = (1..=token::NAME_MAX).contains(&name.chars().count())
            && !name.chars().any(char::is_control);
        if !good {
            return Err(Refusal::Name(name.chars().take(token::NAME_MAX).collect()).into());
        }
        let created_unix_ms = clock::unix_ms();
        if expires_unix_ms.is_some_and(|end| end <= created_unix_ms) {
            return Err(Refusal::Over.into());
        }
        let sha256 = fresh.sha256.clone();
        let record = TokenRecord { name, owner, sha256, scopes, created_unix_ms, expires_unix_ms };
        self.change(|book, users| book.put_token(&fresh.id, record, users, by)).await?;
        Ok(fresh)
    }

    /// Roles that cannot be read allow nothing; those that come with the
    /// appliance hold all the same.
    fn readable(&self) -> Arc<Book> {
        self.book().unwrap_or_default()
    }

    fn present(&self) -> Result<(Arc<Book>, Users), AccountError> {
        let read = || Ok((self.book()?, self.users()?));
        read().map_err(AccountError::Store)
    }

    fn existing(&self, name: &str) -> Result<User, AccountError> {
        let user = self.user(name).map_err(AccountError::Store)?;
        user.ok_or_else(|| book::unknown("user", name).into())
    }

    async fn put_user(&self, name: &str, user: User, by: &Rights) -> Result<(), AccountError> {
        let (book, users) = self.present()?;
        book.check_user(&users, name, Some(&user), by)?;
        self.keep(name, &user).await.map_err(AccountError::Store)
    }

    async fn put_book(&self, before: &Book, after: Book) -> Result<(), AccountError> {
        if *before == after {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&after)
            .map_err(|_| AccountError::Store(StoreError::Record { what: "accounts" }))?;
        let kept = self.store.keep_document(DOCUMENT, Some(bytes)).done().await;
        kept.map_err(AccountError::Store)?;
        *lock(&self.book) = Some(Arc::new(after));
        Ok(())
    }
}

/// Whether a name can be that of a local user: plain characters alone, so that
/// no two names look alike (SEC-010).
#[must_use]
pub fn is_user_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

fn with(user: User, wanted: Wanted) -> Result<User, Refusal> {
    let Wanted { roles, groups, disabled, expires_unix_ms } = wanted;
    let changed = expires_unix_ms != user.expires_unix_ms;
    if changed && expires_unix_ms.is_some_and(|end| end <= clock::unix_ms()) {
        return Err(Refusal::Over);
    }
    Ok(User { roles, groups, disabled, expires_unix_ms, ..user })
}

fn first_password(user: User, hash: String, until_unix_ms: u64) -> User {
    User {
        hash,
        must_change: true,
        changed_unix_ms: clock::unix_ms(),
        first_until_unix_ms: Some(until_unix_ms),
        ..user
    }
}

fn parse_user(bytes: Vec<u8>) -> Result<User, StoreError> {
    serde_json::from_slice(&bytes).map_err(|_| StoreError::Record { what: "user" })
}

// What these locks guard is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Limits;
    use book::{ADMIN, OPERATOR, VIEWER};

    async fn begun() -> (tempfile::TempDir, Accounts) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Store::open(dir.path(), Limits::default()).expect("a store"));
        let accounts = Accounts::new(store);
        accounts.keep("admin", &User::first("x".into(), 0)).await.expect("kept");
        (dir, accounts)
    }

    fn wanted(role: &str) -> Wanted {
        Wanted { roles: BTreeSet::from([role.to_owned()]), ..Wanted::default() }
    }

    #[tokio::test]
    async fn users_come_change_and_go() {
        let (_dir, accounts) = begun().await;
        let all = Rights::ALL;
        accounts.add_user("eve", wanted(OPERATOR), "h".into(), 1, &all).await.expect("added");
        let again = accounts.add_user("eve", wanted(OPERATOR), "h".into(), 1, &all).await;
        assert!(matches!(again, Err(AccountError::Refused(Refusal::Exists { .. }))));
        for bad in ["", "Eve", "e ve", "eve\u{200b}"] {
            let refused = accounts.add_user(bad, wanted(OPERATOR), "h".into(), 1, &all).await;
            assert!(matches!(refused, Err(AccountError::Refused(Refusal::Name(_)))), "{bad:?}");
        }
        let rights = accounts.rights_of_user("eve").expect("active");
        assert_eq!(rights.level(Area::Alarms), Level::Operate);
        let disabled = Wanted { disabled: true, ..wanted(VIEWER) };
        accounts.change_user("eve", disabled, &all).await.expect("changed");
        assert_eq!(accounts.rights_of_user("eve"), None);
        accounts.remove_user("eve", &all).await.expect("removed");
        assert_eq!(accounts.user("eve").expect("readable"), None);
        let last = accounts.remove_user("admin", &all).await;
        assert!(matches!(last, Err(AccountError::Refused(Refusal::LastAdministrator))));
        let over = Wanted { expires_unix_ms: Some(1), ..wanted(VIEWER) };
        let refused = accounts.add_user("old", over, "h".into(), 1, &all).await;
        assert!(matches!(refused, Err(AccountError::Refused(Refusal::Over))));
    }

    #[tokio::test]
    async fn a_token_never_may_more_than_its_owner_and_goes_with_them() {
        let (dir, accounts) = begun().await;
        let all = Rights::ALL;
        accounts.add_user("scada", wanted(VIEWER), "h".into(), 1, &all).await.expect("added");
        let token = |level| WantedToken {
            name: "values".into(),
            owner: "scada".into(),
            scopes: BTreeMap::from([(Area::Devices, level)]),
            expires_unix_ms: None,
        };
        let more = accounts.add_token(token(Level::Operate), &all).await;
        assert!(matches!(more, Err(AccountError::Refused(Refusal::NotYours { .. }))));
        let fresh = accounts.add_token(token(Level::View), &all).await.expect("made");
        let header = format!("Bearer {}", fresh.text);
        let bearer = accounts.bearer(&header).expect("it counts");
        assert_eq!(bearer.owner, "scada");
        assert_eq!(bearer.rights.by_name(), BTreeMap::from([(Area::Devices, Level::View)]));
        let kept = accounts.store.document(DOCUMENT).expect("readable").expect("kept");
        let secret = fresh.text.rsplit('_').next().expect("a secret");
        assert!(!String::from_utf8(kept).expect("JSON").contains(secret));

        // After a restart; then without its owner.
        drop(accounts);
        let store = Arc::new(Store::open(dir.path(), Limits::default()).expect("a store"));
        let accounts = Accounts::new(store);
        assert!(accounts.bearer(&header).is_some());
        accounts.remove_user("scada", &all).await.expect("removed");
        assert!(accounts.bearer(&header).is_none());
        assert!(accounts.book().expect("readable").tokens.is_empty());
        assert!(accounts.rights_of_roles(&BTreeSet::from([ADMIN.to_owned()])) == Rights::ALL);
    }
}
