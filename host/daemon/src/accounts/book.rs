//! Roles, groups and tokens, as one document, and the rules by which it may be
//! changed. Pure: nothing here reads a clock or a disk.
//!
//! A user has roles of their own and those of their groups, and may do what any
//! of them allows. Three roles come with the appliance and cannot be changed.
//! Nobody gives away what they do not have (SEC-054).

use super::rights::{Area, Level, Rights};
use super::token::TokenRecord;
use super::user::User;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The role that may do everything.
pub const ADMIN: &str = "admin";
/// The role of daily work.
pub const OPERATOR: &str = "operator";
/// The role that may look.
pub const VIEWER: &str = "viewer";
/// The roles that come with the appliance, most first.
pub const BUILT_IN: [&str; 3] = [ADMIN, OPERATOR, VIEWER];

/// Most roles, groups and users, each.
pub const COUNT_MAX: usize = 64;
/// Most tokens.
pub const TOKENS_MAX: usize = 128;
/// Longest name of a role or group, characters.
pub const NAME_MAX: usize = 32;

/// Users by their names.
pub type Users = BTreeMap<String, User>;

/// Roles, groups and tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Book {
    /// The roles that somebody made, with their levels.
    pub roles: BTreeMap<String, BTreeMap<Area, Level>>,
    /// The groups, with the roles of their members.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// The tokens by their ids.
    pub tokens: BTreeMap<String, TokenRecord>,
}

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name cannot be one.
    #[error("{0:?} cannot be a name; use 1 to {NAME_MAX} of a-z, 0-9, '-', '_' and '.'")]
    Name(String),
    /// The role comes with the appliance.
    #[error("the role {0} comes with the appliance and stays as it is; make one of your own")]
    BuiltIn(String),
    /// Something that does not exist was named.
    #[error("there is no {what} {name:?}")]
    Unknown {
        /// User, role, group or token.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It exists already.
    #[error("there is a {what} {name:?} already")]
    Exists {
        /// User, role or group.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Somebody has it.
    #[error("{name} is in use by {by}; take it from them first")]
    InUse {
        /// The role or group.
        name: String,
        /// Who has it.
        by: String,
    },
    /// There are as many as there may be.
    #[error("there are {most} {what} already; remove one first")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many.
        most: usize,
    },
    /// It would give more than the giver has.
    #[error("this gives {level} in {area}, which you do not have yourself")]
    NotYours {
        /// Where.
        area: Area,
        /// What.
        level: Level,
    },
    /// Nobody could administer the appliance any more.
    #[error(
        "nobody would be left who may do everything; give another user the role {ADMIN}, without \
         an end, first"
    )]
    LastAdministrator,
    /// The account could do nothing.
    #[error("name at least one role or group")]
    NoRole,
    /// They would keep themselves out.
    #[error(
        "you have the role {0} and no second factor yet; turn on your own first, under Second \
         factor (/second-factor), then require it"
    )]
    NoFactor(String),
    /// A time that is over.
    #[error("the end must be in the future")]
    Over,
}

/// The levels of a role that comes with the appliance.
#[must_use]
pub fn built_in(name: &str) -> Option<Rights> {
    let seen = [Area::Battery, Area::Devices, Area::Alarms, Area::Events, Area::History];
    let viewer = seen
        .into_iter()
        .chain([Area::Automation, Area::Plugins, Area::System])
        .fold(Rights::NONE, |rights, area| rights.with(area, Level::View));
    let worked = [Area::Battery, Area::Devices, Area::Alarms];
    match name {
        ADMIN => Some(Rights::ALL),
        OPERATOR => {
            Some(worked.into_iter().fold(viewer, |rights, area| rights.with(area, Level::Operate)))
        }
        VIEWER => Some(viewer),
        _ => None,
    }
}

impl Book {
    /// What a role allows.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<Rights> {
        built_in(name).or_else(|| self.roles.get(name).map(Rights::from))
    }

    /// What these roles allow together; unknown ones allow nothing.
    #[must_use]
    pub fn rights_of<'a>(&self, roles: impl IntoIterator<Item = &'a str>) -> Rights {
        let known = roles.into_iter().filter_map(|role| self.role(role));
        known.fold(Rights::NONE, Rights::or)
    }

    /// What a user may do, by their own roles and their groups'.
    #[must_use]
    pub fn rights(&self, user: &User) -> Rights {
        self.rights_of(self.roles_of(user))
    }

    /// A user's roles: their own, and their groups'.
    pub fn roles_of<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a str> {
        let groups = user.groups.iter().filter_map(|group| self.groups.get(group));
        user.roles.iter().chain(groups.flatten()).map(String::as_str)
    }

    /// Make or change a role.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed then.
    pub fn put_role(
        &mut self,
        name: &str,
        levels: &BTreeMap<Area, Level>,
        by: &Rights,
    ) -> Result<(), Refusal> {
        named(name)?;
        own(name)?;
        if !self.roles.contains_key(name) {
            room(self.roles.len(), COUNT_MAX, "roles")?;
        }
        let rights = Rights::from(levels);
        within(&rights, by)?;
        // Nor is more than one's own taken away from others.
        within(&self.role(name).unwrap_or_default(), by)?;
        self.roles.insert(name.to_owned(), rights.by_name());
        Ok(())
    }

    /// Forget a role that nobody has.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn remove_role(&mut self, name: &str, users: &Users) -> Result<(), Refusal> {
        own(name)?;
        let holder = users.iter().find(|(_, user)| user.roles.contains(name));
        let group = self.groups.iter().find(|(_, roles)| roles.contains(name));
        let by = holder
            .map(|(user, _)| format!("user {user}"))
            .or(group.map(|(group, _)| format!("group {group}")));
        if let Some(by) = by {
            return Err(Refusal::InUse { name: name.to_owned(), by });
        }
        self.roles.remove(name).map(drop).ok_or_else(|| unknown("role", name))
    }

    /// Make or change a group.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed then.
    pub fn put_group(
        &mut self,
        name: &str,
        roles: BTreeSet<String>,
        users: &Users,
        by: &Rights,
    ) -> Result<(), Refusal> {
        named(name)?;
        let before = self.groups.get(name);
        if before.is_none() {
            room(self.groups.len(), COUNT_MAX, "groups")?;
        }
        self.known_roles(&roles)?;
        within(&self.rights_of(roles.iter().map(String::as_str)), by)?;
        let before = before.into_iter().flatten().map(String::as_str);
        within(&self.rights_of(before), by)?;
        let mut after = self.clone();
        after.groups.insert(name.to_owned(), roles);
        after.administered(users)?;
        *self = after;
        Ok(())
    }

    /// Forget a group without members.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn remove_group(&mut self, name: &str, users: &Users) -> Result<(), Refusal> {
        if let Some((user, _)) = users.iter().find(|(_, user)| user.groups.contains(name)) {
            let by = format!("user {user}");
            return Err(Refusal::InUse { name: name.to_owned(), by });
        }
        self.groups.remove(name).map(drop).ok_or_else(|| unknown("group", name))
    }

    /// Whether `users` with `name` as `after` may follow (`None`: without
    /// them). `by`: what whoever changes it may do.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_user(
        &self,
        users: &Users,
        name: &str,
        after: Option<&User>,
        by: &Rights,
    ) -> Result<(), Refusal> {
        let before = users.get(name);
        within(&before.map(|user| self.rights(user)).unwrap_or_default(), by)?;
        let mut wanted = users.clone();
        match after {
            Some(user) => {
                if before.is_none() {
                    room(users.len(), COUNT_MAX, "users")?;
                }
                self.known_roles(&user.roles)?;
                let missing = user.groups.iter().find(|g| !self.groups.contains_key(*g));
                if let Some(group) = missing {
                    return Err(unknown("group", group));
                }
                if user.roles.is_empty() && user.groups.is_empty() {
                    return Err(Refusal::NoRole);
                }
                within(&self.rights(user), by)?;
                wanted.insert(name.to_owned(), user.clone());
            }
            None if wanted.remove(name).is_none() => return Err(unknown("user", name)),
            None => {}
        }
        self.administered(&wanted)
    }

    /// Keep a token.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn put_token(
        &mut self,
        id: &str,
        token: TokenRecord,
        users: &Users,
        by: &Rights,
    ) -> Result<(), Refusal> {
        let owner = users.get(&token.owner).ok_or_else(|| unknown("user", &token.owner))?;
        room(self.tokens.len(), TOKENS_MAX, "tokens")?;
        let scopes = Rights::from(&token.scopes);
        within(&scopes, by)?;
        within(&scopes, &self.rights(owner))?;
        self.tokens.insert(id.to_owned(), token);
        Ok(())
    }

    fn known_roles(&self, roles: &BTreeSet<String>) -> Result<(), Refusal> {
        let missing = roles.iter().find(|role| self.role(role).is_none());
        missing.map_or(Ok(()), |role| Err(unknown("role", role)))
    }

    /// Somebody may do everything, for good.
    fn administered(&self, users: &Users) -> Result<(), Refusal> {
        let lasting = |user: &&User| !user.disabled && user.expires_unix_ms.is_none();
        let mut users = users.values().filter(lasting);
        match users.any(|user| self.rights(user) == Rights::ALL) {
            true => Ok(()),
            false => Err(Refusal::LastAdministrator),
        }
    }
}

/// `rights` are all among `by`.
pub(super) fn within(rights: &Rights, by: &Rights) -> Result<(), Refusal> {
    let more = Area::ALL.into_iter().find(|area| !by.allow(*area, rights.level(*area)));
    more.map_or(Ok(()), |area| Err(Refusal::NotYours { area, level: rights.level(area) }))
}

/// Whether a name can be that of a role or group.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let good = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(good)
}

fn named(name: &str) -> Result<(), Refusal> {
    match is_name(name) {
        true => Ok(()),
        false => Err(Refusal::Name(name.chars().take(2 * NAME_MAX).collect())),
    }
}

fn own(name: &str) -> Result<(), Refusal> {
    match BUILT_IN.contains(&name) {
        true => Err(Refusal::BuiltIn(name.to_owned())),
        false => Ok(()),
    }
}

fn room(count: usize, most: usize, what: &'static str) -> Result<(), Refusal> {
    if count < most { Ok(()) } else { Err(Refusal::Full { what, most }) }
}

pub(super) fn unknown(what: &'static str, name: &str) -> Refusal {
    Refusal::Unknown { what, name: name.chars().take(2 * NAME_MAX).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(roles: &[&str], groups: &[&str]) -> User {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        User { roles: set(roles), groups: set(groups), ..User::default() }
    }

    fn users() -> Users {
        let named = |name: &str, user| (name.to_owned(), user);
        Users::from([named("admin", user(&[ADMIN], &[])), named("eve", user(&[VIEWER], &[]))])
    }

    fn levels(pairs: &[(Area, Level)]) -> BTreeMap<Area, Level> {
        pairs.iter().copied().collect()
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn what_comes_with_the_appliance_is_ordered_and_stays() {
        let [admin, operator, viewer] = BUILT_IN.map(|name| built_in(name).expect("built in"));
        assert!(admin.include(&operator) && operator.include(&viewer) && viewer != operator);
        assert_eq!(viewer.level(Area::Accounts), Level::None);
        assert_eq!(viewer.level(Area::Audit), Level::None);
        let mut book = Book::default();
        for name in BUILT_IN {
            let refused = book.put_role(name, &levels(&[]), &Rights::ALL);
            assert_eq!(refused, Err(Refusal::BuiltIn(name.to_owned())));
            assert!(book.remove_role(name, &users()).is_err());
        }
    }

    #[test]
    fn groups_add_to_what_a_user_may() {
        let mut book = Book::default();
        let audit = levels(&[(Area::Audit, Level::View)]);
        book.put_role("auditor", &audit, &Rights::ALL).expect("made");
        book.put_group("night", set(&["auditor", OPERATOR]), &users(), &Rights::ALL).expect("made");
        let rights = book.rights(&user(&[VIEWER], &["night"]));
        assert_eq!(rights.level(Area::Audit), Level::View);
        assert_eq!(rights.level(Area::Battery), Level::Operate);
        assert_eq!(book.rights(&user(&["gone"], &["gone"])), Rights::NONE, "unknown: nothing");
        let mut people = users();
        people.insert("bob".into(), user(&[], &["night"]));
        for refused in [book.remove_group("night", &people), book.remove_role("auditor", &people)] {
            assert!(matches!(refused, Err(Refusal::InUse { .. })), "{refused:?}");
        }
        book.remove_group("night", &users()).expect("nobody is in it");
        book.remove_role("auditor", &users()).expect("nobody has it");
    }

    #[test]
    fn nobody_gives_or_takes_more_than_they_have() {
        let mut book = Book::default();
        let some =
            Rights::NONE.with(Area::Accounts, Level::Configure).with(Area::Battery, Level::Operate);
        let more = levels(&[(Area::Battery, Level::Configure)]);
        assert!(matches!(book.put_role("a", &more, &some), Err(Refusal::NotYours { .. })));
        book.put_role("a", &more, &Rights::ALL).expect("the administrator may");
        let less = levels(&[(Area::Battery, Level::View)]);
        assert!(book.put_role("a", &less, &some).is_err(), "it allows more than theirs");
        assert!(book.put_group("g", set(&["a"]), &users(), &some).is_err());
        let check =
            |name: &str, after: Option<&User>| book.check_user(&users(), name, after, &some);
        assert!(check("bob", Some(&user(&["a"], &[]))).is_err());
        assert!(check("admin", Some(&user(&[VIEWER], &[]))).is_err(), "no taking from above");
        assert!(check("admin", None).is_err());
    }

    #[test]
    fn somebody_may_always_do_everything() {
        let mut book = Book::default();
        let all = Rights::ALL;
        let last = Err(Refusal::LastAdministrator);
        assert_eq!(book.check_user(&users(), "admin", None, &all), last);
        let disabled = User { disabled: true, ..user(&[ADMIN], &[]) };
        assert_eq!(book.check_user(&users(), "admin", Some(&disabled), &all), last);
        let ending = User { expires_unix_ms: Some(9), ..user(&[ADMIN], &[]) };
        assert_eq!(book.check_user(&users(), "admin", Some(&ending), &all), last);
        // By a group, too.
        book.put_group("chiefs", set(&[ADMIN]), &users(), &all).expect("made");
        let chief = user(&[], &["chiefs"]);
        book.check_user(&users(), "admin", Some(&chief), &all).expect("still an administrator");
        let people = Users::from([("admin".to_owned(), chief)]);
        assert_eq!(book.put_group("chiefs", set(&[VIEWER]), &people, &all), last);
        assert!(book.groups["chiefs"].contains(ADMIN), "nothing has changed");
        book.check_user(&users(), "eve", None, &all).expect("eve may go");
    }

    #[test]
    fn names_are_plain_and_there_are_not_too_many() {
        let mut book = Book::default();
        for bad in ["", "A", "a b", "ä", "a\0", &"a".repeat(NAME_MAX + 1)] {
            let refused = book.put_role(bad, &levels(&[]), &Rights::ALL);
            assert!(matches!(refused, Err(Refusal::Name(_))), "{bad:?}");
        }
        for n in 0..COUNT_MAX {
            book.put_role(&format!("r{n}"), &levels(&[]), &Rights::ALL).expect("room");
        }
        let full = book.put_role("more", &levels(&[]), &Rights::ALL);
        assert!(matches!(full, Err(Refusal::Full { .. })));
        book.put_role("r0", &levels(&[]), &Rights::ALL).expect("it is there already");
    }
}
