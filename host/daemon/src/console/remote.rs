//! Accounts that are kept elsewhere: asks the authenticators, gives the roles,
//! keeps what belongs to a challenge, and tells when nobody could be asked
//! (facts/radius-syslog-smtp.md §5, §6).
//!
//! A challenge's state stays here. The browser holds a secret in a cookie that
//! finds it once, for [`CHALLENGE_TIME`]; the page knows the question alone.

use super::access::{self, Entry};
use super::problem::Problem;
use super::session::{Account, SessionId, Token};
use super::{Console, lock};
use crate::accounts::rights::Rights;
use crate::caps::one_line;
use crate::clock;
use crate::login::{Attempt, Authenticators, LoginSettings, Unavailable, Verdict};
use evenkeel_core::events::{Budget, Event};
use evenkeel_core::time::Nanos;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// All authenticators together have so long for one attempt.
pub const ASK_TIME: Duration = Duration::from_secs(10);
/// A challenge is answered within this time.
pub const CHALLENGE_TIME: Nanos = Nanos::from_secs(120);
/// Cookie that finds a challenge.
pub const CHALLENGE_COOKIE: &str = "__Host-challenge";
/// Challenges that wait; the oldest goes for a further one.
const CHALLENGES_MAX: usize = 64;
/// Refusals are told at multiples of this time after the attempt: whether the
/// name was asked of somebody else does not show.
const REFUSAL_STEP: Duration = Duration::from_secs(2);
/// An authenticator that could not be asked comes after the others for this time.
const LAST_FOR: Nanos = Nanos::from_secs(60);
/// Events about one matter at once; then one each [`EVENT_EVERY`].
const EVENTS: u32 = 5;
const EVENT_EVERY: Nanos = Nanos::from_secs(60);

/// Accounts that are kept elsewhere.
pub struct Remote {
    settings: Mutex<LoginSettings>,
    by_file: bool,
    authenticators: Arc<dyn Authenticators>,
    challenges: Mutex<Challenges>,
    told: Mutex<Told>,
}

/// Somebody at the door.
pub struct Visitor {
    /// The name as it was given.
    pub name: String,
    /// The name under which attempts are counted.
    pub account: String,
    /// Where they come from.
    pub from: IpAddr,
}

/// A challenge that waits for its answer.
pub struct Pending {
    name: String,
    account: String,
    via: String,
    state: Vec<u8>,
    since: Nanos,
}

/// All that wait, by the hash of their secret.
#[derive(Default)]
struct Challenges(HashMap<SessionId, Pending>);

/// What was told of authenticators.
struct Told {
    /// Those that were asked, by id.
    peers: BTreeMap<String, Peer>,
    no_role: Budget,
}

/// How an authenticator did.
struct Peer {
    /// That it cannot be asked was told, and not that it can again.
    told_down: bool,
    /// When it could not be asked last.
    failed: Option<Nanos>,
    budget: Budget,
}

impl Remote {
    /// Ask `authenticators` as `settings` say.
    #[must_use]
    pub fn new(settings: LoginSettings, authenticators: Arc<dyn Authenticators>) -> Self {
        let told = Told { peers: BTreeMap::new(), no_role: Budget::new(EVENTS, EVENT_EVERY) };
        let by_file = !settings.authenticators.is_empty();
        let (challenges, told) = (Mutex::default(), Mutex::new(told));
        Self { settings: Mutex::new(settings), by_file, authenticators, challenges, told }
    }

    /// Whether anybody else may decide.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !lock(&self.settings).authenticators.is_empty()
    }

    /// Who decides, and what their words mean.
    #[must_use]
    pub fn settings(&self) -> LoginSettings {
        lock(&self.settings).clone()
    }

    /// Whether the configuration file says who decides, and nobody else may.
    #[must_use]
    pub const fn by_file(&self) -> bool {
        self.by_file
    }

    /// From now on decide so; the file has the last word.
    pub fn set(&self, settings: LoginSettings) {
        if !self.by_file {
            *lock(&self.settings) = settings;
        }
    }

    /// The challenge behind a secret, which is used up.
    #[must_use]
    pub fn take_challenge(&self, token: &Token) -> Option<Pending> {
        lock(&self.challenges).take(token.id(), clock::now())
    }

    /// When to tell a refusal of an attempt that began at `begun`.
    pub async fn refusal_time(&self, begun: Instant) {
        if self.is_on() {
            let steps = begun.elapsed().as_nanos() / REFUSAL_STEP.as_nanos() + 1;
            // An attempt takes seconds: no truncation.
            sleep_until(begun + REFUSAL_STEP * steps as u32).await;
        }
    }
}

impl Pending {
    /// Who has to answer it, from `from`.
    #[must_use]
    pub fn visitor(&self, from: IpAddr) -> Visitor {
        Visitor { name: self.name.clone(), account: self.account.clone(), from }
    }
}

/// Have the authenticators decide about a visitor and their password.
pub async fn enter(
    console: &Console,
    visitor: Visitor,
    password: String,
) -> Result<Entry, Problem> {
    let names = console.remote.settings().authenticators;
    decide(console, visitor, password, None, &names).await
}

/// Have the authenticator that asked judge the answer.
pub async fn answer(
    console: &Console,
    pending: Pending,
    from: IpAddr,
    answer: String,
) -> Result<Entry, Problem> {
    let visitor = pending.visitor(from);
    decide(console, visitor, answer, Some(pending.state), &[pending.via]).await
}

async fn decide(
    console: &Console,
    visitor: Visitor,
    password: String,
    state: Option<Vec<u8>>,
    names: &[String],
) -> Result<Entry, Problem> {
    let Visitor { name, account, from } = &visitor;
    let peer = from.to_canonical().to_string();
    let attempt = Attempt { user: name.clone(), password, peer, state };
    let Some((via, verdict)) = ask(console, attempt, names).await else {
        // Local accounts decide alone, and this is none.
        console.throttle().not_judged(account, *from);
        return Err(access::wrong_password());
    };
    match verdict {
        Verdict::Accepted(words) => let_in(console, &visitor, via, &words),
        Verdict::Rejected => {
            // People type passwords into name fields.
            console.sign_in_failed(access::UNKNOWN, *from, Some(&via));
            Err(access::wrong_password())
        }
        Verdict::Challenge { state, prompt } => {
            let token = access::token()?;
            let since = clock::now();
            let pending =
                Pending { name: visitor.name, account: visitor.account, via, state, since };
            lock(&console.remote.challenges).put(token.id(), pending);
            let prompt = one_line(&prompt.replace(['\r', '\n', '\t'], " "), 300);
            let seconds = CHALLENGE_TIME.0 / 1_000_000_000;
            Ok(Entry::Asked { cookie: token.set_brief_cookie(CHALLENGE_COOKIE, seconds), prompt })
        }
    }
}

/// The first of `names` that decides, and its verdict.
async fn ask(console: &Console, attempt: Attempt, names: &[String]) -> Option<(String, Verdict)> {
    let deadline = Instant::now() + ASK_TIME;
    for name in &in_order(console, names) {
        let asked = console.remote.authenticators.authenticate(name, attempt.clone());
        let answer = timeout_at(deadline, asked).await.unwrap_or_else(|_| {
            Err(Unavailable(format!("no answer within {} s", ASK_TIME.as_secs())))
        });
        tell(console, name, answer.as_ref().err());
        if let Ok(verdict) = answer {
            return Some((name.clone(), verdict));
        }
    }
    None
}

/// Who is asked first: nobody waits for one that was silent just now while
/// another may answer.
fn in_order(console: &Console, names: &[String]) -> Vec<String> {
    let told = lock(&console.remote.told);
    let now = clock::now();
    let silent = |name: &String| {
        let failed = told.peers.get(name).and_then(|peer| peer.failed);
        failed.is_some_and(|failed| now.since(failed) < LAST_FOR)
    };
    let mut names = names.to_vec();
    names.sort_by_key(silent);
    names
}

/// Tell it when an authenticator cannot be asked, or can again.
fn tell(console: &Console, name: &str, failed: Option<&Unavailable>) {
    let mut told = lock(&console.remote.told);
    let fresh =
        || Peer { told_down: false, failed: None, budget: Budget::new(EVENTS, EVENT_EVERY) };
    let peer = told.peers.entry(name.to_owned()).or_insert_with(fresh);
    let now = clock::now();
    peer.failed = failed.map(|_| now);
    let name = name.to_owned();
    let event = match failed {
        Some(Unavailable(reason)) => {
            let reason = one_line(reason, 400);
            Event::AuthenticatorUnavailable { name, reason }
        }
        None => Event::AuthenticatorBack { name },
    };
    if failed.is_some() != peer.told_down && peer.budget.spend(now) {
        peer.told_down = failed.is_some();
        console.store.record(event);
    }
}

fn let_in(
    console: &Console,
    visitor: &Visitor,
    via: String,
    words: &[String],
) -> Result<Entry, Problem> {
    let Visitor { name, account, from } = visitor;
    let user = name.clone();
    let roles = console.remote.settings().roles(words);
    if console.accounts.rights_of_roles(&roles) == Rights::NONE {
        if lock(&console.remote.told).no_role.spend(clock::now()) {
            let words = words.iter().take(8).map(|word| one_line(word, 64)).collect();
            let from = from.to_string();
            console.store.record(Event::LoginWithoutRole { user, from, via, words });
        }
        return Err(access::wrong_password());
    }
    console.throttle().succeeded(account, *from, clock::now());
    let account = Account { user, roles, via: Some(via), must_change: false };
    access::begin(console, account, *from).map(|(cookie, who)| Entry::In(cookie, who))
}

impl Challenges {
    fn put(&mut self, id: SessionId, pending: Pending) {
        let now = pending.since;
        self.0.retain(|_, p| now.since(p.since) < CHALLENGE_TIME);
        if self.0.len() >= CHALLENGES_MAX {
            let oldest = self.0.iter().min_by_key(|(_, p)| p.since).map(|(id, _)| *id);
            oldest.map(|id| self.0.remove(&id));
        }
        self.0.insert(id, pending);
    }

    fn take(&mut self, id: SessionId, now: Nanos) -> Option<Pending> {
        self.0.remove(&id).filter(|p| now.since(p.since) < CHALLENGE_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(second: u64) -> Pending {
        let since = Nanos::from_secs(second);
        let (name, account, via) = ("a".into(), "a".into(), "radius".into());
        Pending { name, account, via, state: vec![1], since }
    }

    #[test]
    fn a_challenge_is_found_once_in_its_time_and_there_are_not_many() {
        let id = || Token::random().expect("random numbers").id();
        let mut challenges = Challenges::default();
        let ids: Vec<_> = (0..80).map(|_| id()).collect();
        for (second, id) in (1_000..).zip(&ids) {
            challenges.put(*id, pending(second));
        }
        assert_eq!(challenges.0.len(), CHALLENGES_MAX);
        let now = Nanos::from_secs(1_080);
        assert!(challenges.take(ids[0], now).is_none(), "the oldest went");
        assert!(challenges.take(ids[79], now).is_some());
        assert!(challenges.take(ids[79], now).is_none(), "once");
        assert!(challenges.take(ids[78], Nanos::from_secs(1_078 + 119)).is_some());
        assert!(challenges.take(ids[77], Nanos::from_secs(1_077 + 120)).is_none(), "too late");
        assert!(challenges.take(id(), now).is_none());
        challenges.put(id(), pending(2_000));
        assert_eq!(challenges.0.len(), 1, "what is over is forgotten");
    }
}
