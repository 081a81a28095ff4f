//! Who is signed in (facts/appliance-security.md SEC-040 … SEC-047), as a
//! function of (state, token, now). Sessions live in memory: after a restart
//! everybody signs in again.

use crate::accounts::rights::{Area, Level, Rights};
use evenkeel_core::time::Nanos;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Name of the cookie.
pub const COOKIE: &str = "__Host-sid";
/// A session ends this long after the last request that a person caused.
const IDLE: Nanos = Nanos::from_secs(15 * 60);
/// A session ends this long after it began.
const ABSOLUTE: Nanos = Nanos::from_secs(12 * 3_600);
/// A password counts for what could do harm for so long (SEC-045).
const PROOF: Nanos = Nanos::from_secs(5 * 60);
/// Sessions of one user; the least recently used one ends for a further one.
const PER_USER: usize = 5;
/// Streams of one session.
const STREAMS: usize = 4;

/// A secret that names a session: 256 random bits. Only its hash is kept.
pub struct Token([u8; 32]);

/// The name under which a session is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 32]);

/// An account, as far as its session must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Who.
    pub user: String,
    /// The roles that an authenticator's words gave; a local account's are kept
    /// with it.
    pub roles: BTreeSet<String>,
    /// The authenticator that vouches for them; `None`: the account is kept here.
    pub via: Option<String>,
    /// The password is the first one and must be changed before anything else.
    pub must_change: bool,
}

impl Account {
    /// Who keeps it: `local`, or the authenticator.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.via.as_deref().unwrap_or("local")
    }
}

/// How somebody showed who they are.
#[derive(Clone, PartialEq, Eq)]
pub enum Shown {
    /// By the cookie of a session.
    Session(SessionId),
    /// By the token of this id.
    Token(String),
}

/// Somebody who is signed in, or a program with a token.
#[derive(Clone)]
pub struct Caller {
    /// Who.
    pub user: String,
    /// The whole account.
    pub account: Account,
    /// Their session or token.
    pub shown: Shown,
    /// What they may do.
    pub rights: Rights,
    /// The password is the first one and must be changed before anything else.
    pub must_change: bool,
    /// Their role requires a second factor, which must be turned on before anything
    /// else.
    pub must_enrol: bool,
    /// They gave their password just now, or are a program with a token.
    pub proven: bool,
    /// Slots for streams of this session.
    pub streams: Arc<Semaphore>,
    /// Closes when the session ends.
    pub ended: watch::Receiver<()>,
}

/// All sessions.
#[derive(Default)]
pub struct Sessions {
    /// By the name that each began with; it keeps that when its token changes.
    people: HashMap<SessionId, Session>,
    programs: HashMap<String, Streams>,
}

struct Session {
    account: Account,
    /// What opens it now.
    token: SessionId,
    /// Their password counts for what could do harm until then.
    proven_until: Nanos,
    /// Address of the last request; empty before the first.
    from: String,
    begun: Nanos,
    used: Nanos,
    streams: Streams,
}

/// A session as it is shown.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Names it, and opens nothing: the beginning of a hash of a hash.
    pub id: String,
    /// Whose it is.
    pub account: Account,
    /// Address of the last request.
    pub from: String,
    /// How long ago it began.
    pub begun: Nanos,
    /// How long ago a person last did something.
    pub idle: Nanos,
    /// When it ends unless somebody does something.
    pub left: Nanos,
}

impl Listed {
    /// Whether somebody shows this session.
    #[must_use]
    pub fn is(&self, shown: &Shown) -> bool {
        matches!(shown, Shown::Session(id) if id.listed() == self.id)
    }
}

impl SessionId {
    fn listed(&self) -> String {
        let hash = Sha256::digest(self.0);
        hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What bounds the streams of a session or token, and ends them with it.
struct Streams {
    slots: Arc<Semaphore>,
    ended: watch::Sender<()>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(STREAMS)), ended: watch::Sender::new(()) }
    }
}

impl Caller {
    /// True when they may do this.
    #[must_use]
    pub fn may(&self, area: Area, level: Level) -> bool {
        self.rights.allow(area, level)
    }
}

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// From the cookie of this name in a `Cookie` header.
    #[must_use]
    pub fn from_cookies(header: &str, cookie: &str) -> Option<Self> {
        let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
        let hex = pairs.into_iter().find(|(name, _)| *name == cookie)?.1;
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// A `Set-Cookie` header that hands it to the browser.
    #[must_use]
    pub fn set_cookie(&self) -> String {
        format!("{COOKIE}={}; Secure; HttpOnly; Path=/; SameSite=Lax", self.hex())
    }

    /// The same under another name, for so many seconds.
    #[must_use]
    pub fn set_brief_cookie(&self, cookie: &str, seconds: u64) -> String {
        let hex = self.hex();
        format!("{cookie}={hex}; Secure; HttpOnly; Path=/; SameSite=Lax; Max-Age={seconds}")
    }

    fn hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// A `Set-Cookie` header that takes it back.
    #[must_use]
    pub fn clear_cookie() -> String {
        format!("{COOKIE}=; Secure; HttpOnly; Path=/; SameSite=Lax; Max-Age=0")
    }

    /// The name under which something is kept for who holds it.
    #[must_use]
    pub fn id(&self) -> SessionId {
        SessionId(Sha256::digest(self.0).into())
    }
}

impl Sessions {
    /// Begin a session.
    pub fn begin(&mut self, token: &Token, account: Account, now: Nanos) {
        let user = &account.user;
        self.people.retain(|_, s| s.alive(now));
        while self.people.values().filter(|s| s.account.user == *user).count() >= PER_USER {
            let own = self.people.iter().filter(|(_, s)| s.account.user == *user);
            let Some(oldest) = own.min_by_key(|(_, s)| s.used).map(|(id, _)| *id) else { break };
            self.people.remove(&oldest);
        }
        let (from, streams) = (String::new(), Streams::default());
        let (token, proven_until) = (token.id(), now + PROOF);
        let session =
            Session { account, token, proven_until, from, begun: now, used: now, streams };
        self.people.insert(token, session);
    }

    /// Who holds this session has given their password again: it counts anew, and
    /// another token opens the session from now on (SEC-040).
    pub fn step_up(&mut self, id: SessionId, token: &Token, now: Nanos) {
        if let Some(session) = self.people.get_mut(&id) {
            (session.token, session.proven_until, session.used) = (token.id(), now + PROOF, now);
        }
    }

    /// As if everybody's password had been given long ago.
    #[cfg(test)]
    pub fn age(&mut self) {
        self.people.values_mut().for_each(|session| session.proven_until = Nanos(0));
    }

    /// Who holds this token, where `rights` tells what an account may do now;
    /// one that may not even be signed in ends with it. `active`: a person
    /// caused the request, so the idle time starts again.
    pub fn find(
        &mut self,
        token: &Token,
        active: bool,
        now: Nanos,
        rights: impl FnOnce(&Account) -> Option<Rights>,
    ) -> Option<Caller> {
        let token = token.id();
        let id = *self.people.iter().find(|(_, session)| session.token == token)?.0;
        if !self.alive(id, now) {
            return None;
        }
        let session = self.people.get_mut(&id)?;
        let Some(rights) = rights(&session.account) else {
            self.people.remove(&id);
            return None;
        };
        if active {
            session.used = now;
        }
        Some(Caller {
            user: session.account.user.clone(),
            account: session.account.clone(),
            shown: Shown::Session(id),
            rights,
            must_change: session.account.must_change,
            // The gate knows the accounts.
            must_enrol: false,
            proven: now < session.proven_until,
            streams: session.streams.slots.clone(),
            ended: session.streams.ended.subscribe(),
        })
    }

    /// A program that acts in the name of `owner`.
    pub fn program(&mut self, id: String, owner: String, rights: Rights) -> Caller {
        let streams = self.programs.entry(id.clone()).or_default();
        let (slots, ended) = (streams.slots.clone(), streams.ended.subscribe());
        let (roles, via, must_change) = (BTreeSet::new(), None, false);
        Caller {
            user: owner.clone(),
            account: Account { user: owner, roles, via, must_change },
            shown: Shown::Token(id),
            rights,
            must_change,
            must_enrol: false,
            proven: true,
            streams: slots,
            ended,
        }
    }

    /// True while the session goes on; ends it when its time is over.
    pub fn alive(&mut self, id: SessionId, now: Nanos) -> bool {
        let alive = self.people.get(&id).is_some_and(|s| s.alive(now));
        if !alive {
            self.people.remove(&id);
        }
        alive
    }

    /// A request of this session came from there.
    pub fn came_from(&mut self, shown: &Shown, from: &str) {
        if let Shown::Session(id) = shown
            && let Some(session) = self.people.get_mut(id)
            && session.from != from
        {
            from.clone_into(&mut session.from);
        }
    }

    /// All sessions that go on.
    pub fn listed(&mut self, now: Nanos) -> Vec<Listed> {
        self.people.retain(|_, session| session.alive(now));
        let listed = |(id, session): (&SessionId, &Session)| {
            let (begun, idle) = (now.since(session.begun), now.since(session.used));
            Listed {
                id: id.listed(),
                account: session.account.clone(),
                from: session.from.clone(),
                begun,
                idle,
                left: IDLE.since(idle).min(ABSOLUTE.since(begun)),
            }
        };
        self.people.iter().map(listed).collect()
    }

    /// End the session that is listed under this name, and its streams.
    pub fn end_listed(&mut self, listed: &str) {
        self.people.retain(|id, _| id.listed() != listed);
    }

    /// End one session, and its streams.
    pub fn end(&mut self, id: SessionId) {
        self.people.remove(&id);
    }

    /// End every session of a user.
    pub fn end_all(&mut self, user: &str) {
        self.people.retain(|_, s| s.account.user != user);
    }

    /// End the streams of a token that counts no more.
    pub fn end_program(&mut self, id: &str) {
        self.programs.remove(id);
    }
}

impl Session {
    fn alive(&self, now: Nanos) -> bool {
        now.since(self.used) < IDLE && now.since(self.begun) < ABSOLUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(n: u64) -> Nanos {
        Nanos::from_secs(1_000 + n * 60)
    }

    fn begin(sessions: &mut Sessions, user: &str, now: Nanos) -> Token {
        let token = Token::random().expect("random numbers");
        let (user, roles) = (user.to_owned(), BTreeSet::new());
        sessions.begin(&token, Account { user, roles, via: None, must_change: false }, now);
        token
    }

    fn find(sessions: &mut Sessions, token: &Token, active: bool, now: Nanos) -> Option<Caller> {
        sessions.find(token, active, now, |_| Some(Rights::ALL))
    }

    #[test]
    fn cookie_comes_back_and_nothing_else_does() {
        let token = Token::random().expect("random numbers");
        let header = token.set_cookie();
        let pair = header.split(';').next().expect("a pair");
        let back = Token::from_cookies(&format!("a=b; {pair}; c=d"), COOKIE).expect("a token");
        assert!(back.id() == token.id());
        for bad in ["", "__Host-sid", "__Host-sid=zz", &pair[..70], &pair.replace("sid", "x")] {
            assert!(Token::from_cookies(bad, COOKIE).is_none(), "{bad}");
        }
        assert!(Token::from_cookies(&format!("{COOKIE}={}", "é".repeat(32)), COOKIE).is_none());
    }

    #[test]
    fn idle_and_absolute_time_end_it() {
        let mut sessions = Sessions::default();
        let token = begin(&mut sessions, "a", minute(0));
        assert!(find(&mut sessions, &token, true, minute(14)).is_some());
        assert!(find(&mut sessions, &token, false, minute(28)).is_some());
        assert!(find(&mut sessions, &token, true, minute(29)).is_none(), "a stream is no activity");
        let token = begin(&mut sessions, "a", minute(0));
        for m in (0..720).step_by(10) {
            assert!(find(&mut sessions, &token, true, minute(m)).is_some());
        }
        assert!(find(&mut sessions, &token, true, minute(720)).is_none());
    }

    #[test]
    fn the_end_reaches_the_streams() {
        let mut sessions = Sessions::default();
        let (a, b) = (begin(&mut sessions, "a", minute(0)), begin(&mut sessions, "b", minute(0)));
        let caller = find(&mut sessions, &a, true, minute(0)).expect("signed in");
        assert!(caller.ended.has_changed().is_ok());
        sessions.end_all("a");
        assert!(caller.ended.has_changed().is_err(), "closed");
        assert!(find(&mut sessions, &b, true, minute(0)).is_some());
    }

    #[test]
    fn a_password_counts_for_five_minutes_and_anew_under_another_token() {
        let mut sessions = Sessions::default();
        let first = begin(&mut sessions, "a", minute(0));
        let caller = find(&mut sessions, &first, true, minute(4)).expect("signed in");
        assert!(caller.proven);
        assert!(!find(&mut sessions, &first, true, minute(5)).expect("signed in").proven);
        let second = Token::random().expect("random numbers");
        let Shown::Session(id) = caller.shown else { panic!("a session") };
        sessions.step_up(id, &second, minute(6));
        assert!(find(&mut sessions, &first, true, minute(6)).is_none(), "the old one is dead");
        let again = find(&mut sessions, &second, true, minute(6)).expect("signed in");
        assert!(again.proven && again.shown == caller.shown);
        assert!(caller.ended.has_changed().is_ok(), "its streams go on");
        assert!(!find(&mut sessions, &second, true, minute(11)).expect("signed in").proven);
        sessions.end(id);
        assert!(find(&mut sessions, &second, true, minute(11)).is_none());
    }

    #[test]
    fn a_sixth_session_ends_the_least_used() {
        let mut sessions = Sessions::default();
        let tokens: Vec<_> = (0..6).map(|n| begin(&mut sessions, "a", minute(n))).collect();
        assert!(find(&mut sessions, &tokens[0], true, minute(6)).is_none());
        assert!(tokens[1..].iter().all(|t| find(&mut sessions, t, true, minute(6)).is_some()));
    }

    #[test]
    fn sessions_are_listed_and_ended_by_a_name_that_opens_nothing() {
        let mut sessions = Sessions::default();
        let (a, b) = (begin(&mut sessions, "a", minute(0)), begin(&mut sessions, "b", minute(5)));
        let caller = find(&mut sessions, &a, true, minute(4)).expect("signed in");
        sessions.came_from(&caller.shown, "192.0.2.7");
        let listed = sessions.listed(minute(10));
        let own = listed.iter().find(|one| one.is(&caller.shown)).expect("listed");
        assert_eq!((own.account.user.as_str(), own.from.as_str()), ("a", "192.0.2.7"));
        let minutes = |n: u64| Nanos::from_secs(60 * n);
        assert_eq!((own.begun, own.idle, own.left), (minutes(10), minutes(6), minutes(9)));
        assert!(!a.set_cookie().contains(&own.id));
        sessions.end_listed(&own.id);
        assert!(caller.ended.has_changed().is_err(), "its streams end");
        assert!(find(&mut sessions, &b, true, minute(10)).is_some());
        assert_eq!(sessions.listed(minute(30)).len(), 0, "it ended by itself");
    }

    #[test]
    fn an_account_that_may_not_be_signed_in_is_signed_out() {
        let mut sessions = Sessions::default();
        let token = begin(&mut sessions, "a", minute(0));
        let caller = find(&mut sessions, &token, true, minute(0)).expect("signed in");
        assert!(sessions.find(&token, true, minute(1), |_| None).is_none());
        assert!(caller.ended.has_changed().is_err(), "its streams end");
        assert!(find(&mut sessions, &token, true, minute(1)).is_none());
    }

    #[test]
    fn the_streams_of_a_token_are_bounded_together_and_end_with_it() {
        let mut sessions = Sessions::default();
        let mut call = || sessions.program("1".into(), "a".into(), Rights::NONE);
        let (first, second) = (call(), call());
        assert!(Arc::ptr_eq(&first.streams, &second.streams));
        sessions.end_program("1");
        assert!(first.ended.has_changed().is_err() && second.ended.has_changed().is_err());
    }
}
