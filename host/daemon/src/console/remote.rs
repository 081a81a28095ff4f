//! Accounts that are kept elsewhere: asks the authenticators, gives the roles,
//! keeps the state of their challenges, and tells when nobody could be asked
//! (facts/radius-syslog-smtp.md §5, §6).

use super::access::{self, Entry};
use super::challenge::{Pending, Question};
use super::problem::Problem;
use super::session::Account;
use super::{Console, lock};
use crate::accounts::rights::Rights;
use crate::caps::one_line;
use crate::clock;
use crate::login::{Attempt, Authenticators, LoginSettings, Unavailable, Verdict};
use evenkeel_core::events::{Budget, Event};
use evenkeel_core::time::Nanos;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// All authenticators together have so long for one attempt.
pub const ASK_TIME: Duration = Duration::from_secs(10);
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
        Self { settings: Mutex::new(settings), by_file, authenticators, told: Mutex::new(told) }
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

    /// When to tell a refusal of an attempt that began at `begun`.
    pub async fn refusal_time(&self, begun: Instant) {
        if self.is_on() {
            let steps = begun.elapsed().as_nanos() / REFUSAL_STEP.as_nanos() + 1;
            // An attempt takes seconds: no truncation.
            sleep_until(begun + REFUSAL_STEP * steps as u32).await;
        }
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

/// Have the authenticator `via` judge the answer to what it asked in `state`.
pub async fn answer(
    console: &Console,
    visitor: Visitor,
    via: String,
    state: Vec<u8>,
    answer: String,
) -> Result<Entry, Problem> {
    decide(console, visitor, answer, Some(state), &[via]).await
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
            let prompt = one_line(&prompt.replace(['\r', '\n', '\t'], " "), 300);
            Pending::new(visitor, Question::Authenticator { via, state }).ask(console, prompt)
        }
    }
}

/// The first of `names` that decides, and its verdict.
async fn ask(console: &Console, attempt: Attempt, names: &[String]) -> Option<(String, Verdict)> {
    let deadline = Instant::now() + ASK_TIME;
    for name in &in_order(console, names) {
        if Instant::now() >= deadline {
            // One before took all the time: who had none is not blamed, and so comes
            // before that one the next time.
            break;
        }
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
/// another may answer, and of several silent ones the last comes last.
fn in_order(console: &Console, names: &[String]) -> Vec<String> {
    let told = lock(&console.remote.told);
    let now = clock::now();
    let silent = |name: &String| {
        let failed = told.peers.get(name).and_then(|peer| peer.failed);
        failed.filter(|failed| now.since(*failed) < LAST_FOR)
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
