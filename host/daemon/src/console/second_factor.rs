//! The second factor at the sign-in, and how people turn it on and off for
//! themselves (facts/appliance-security.md SEC-007, SEC-032).
//!
//! Turning it on takes the password and a first code of the new secret; turning
//! it off takes the password and a code. Who lost phone and recovery codes asks
//! an administrator. Sessions from before it was on end.

use super::access::{self, Cookie, Entry, bad_json};
use super::by::By;
use super::challenge::{Pending, Question};
use super::problem::Problem;
use super::remote::Visitor;
use super::session::{Account, Caller};
use super::{Console, gate, lock};
use crate::accounts::AccountError;
use crate::accounts::second_factor::{Enrolment, Shown};
use crate::accounts::user::User;
use crate::clock;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Json, State};
use axum::http::StatusCode;
use evenkeel_core::events::Event;
use evenkeel_core::time::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// What the person is asked; every door says it in the same words.
const PROMPT: &str = "Code of your app, or a recovery code";
/// A new secret is confirmed within this time.
const ENROL_TIME: Nanos = Nanos::from_secs(600);
/// New secrets that wait; the oldest goes for a further one.
const ENROLMENTS_MAX: usize = 64;

/// New secrets that nobody has confirmed yet, by user.
#[derive(Default)]
pub struct Enrolments(HashMap<String, (Enrolment, Nanos)>);

/// One's own second factor.
#[derive(Debug, Serialize, ToSchema)]
pub struct SecondFactorOut {
    /// It is asked for at the sign-in.
    pub on: bool,
    /// Since when.
    pub since_unix_ms: Option<u64>,
    /// Recovery codes that are left.
    pub recovery_left: usize,
    /// The role that requires it, if one does: it cannot be turned off then.
    pub required_by: Option<String>,
}

/// Who wants to turn it on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginIn {
    /// Their password.
    pub password: String,
}

/// A new secret.
#[derive(Serialize, ToSchema)]
pub struct NewSecretOut {
    /// For who types it into an app, base32.
    pub secret: String,
    /// The same as apps read it from a picture (`otpauth:`).
    pub uri: String,
}

/// A code of the new secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmIn {
    /// As the app shows it.
    pub code: String,
}

/// What helps when the phone is lost.
#[derive(Serialize, ToSchema)]
pub struct RecoveryOut {
    /// Shown once; each counts once.
    pub recovery_codes: Vec<String>,
}

/// Who wants to turn it off.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveIn {
    /// Their password.
    pub password: String,
    /// A code of the app, or a recovery code.
    pub code: String,
}

/// One's own second factor.
#[utoipa::path(get, path = "/api/v1/second-factor", tag = "access",
    responses((status = 200, body = SecondFactorOut)))]
pub async fn show(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<SecondFactorOut>, Problem> {
    present(&console, &caller.account).map(Json)
}

/// Begin to turn it on: a new secret, in force when it is confirmed within ten
/// minutes.
#[utoipa::path(post, path = "/api/v1/second-factor", request_body = BeginIn, tag = "access",
    responses((status = 200, body = NewSecretOut),
    (status = 401, body = Problem, description = "The password is wrong"),
    (status = 409, body = Problem, description = "It is on already, or kept elsewhere")))]
pub async fn begin(
    by: By,
    body: Result<Json<BeginIn>, JsonRejection>,
) -> Result<Json<NewSecretOut>, Problem> {
    let Json(BeginIn { password }) = body.map_err(bad_json)?;
    start(&by, password).await.map(Json)
}

/// Take the new secret into force by its first code; ends all other sessions and
/// sets a new session cookie.
#[utoipa::path(post, path = "/api/v1/second-factor/confirm", request_body = ConfirmIn,
    tag = "access", responses((status = 200, body = RecoveryOut),
    (status = 409, body = Problem, description = "No secret waits, or the clock is not set"),
    (status = 422, body = Problem, description = "It is no code of the secret")))]
pub async fn confirm(
    by: By,
    body: Result<Json<ConfirmIn>, JsonRejection>,
) -> Result<(Cookie, Json<RecoveryOut>), Problem> {
    let Json(ConfirmIn { code }) = body.map_err(bad_json)?;
    let (cookie, recovery_codes) = turn_on(&by, &code).await?;
    Ok((cookie, Json(RecoveryOut { recovery_codes })))
}

/// Turn it off.
#[utoipa::path(post, path = "/api/v1/second-factor/remove", request_body = RemoveIn,
    tag = "access", responses((status = 204, description = "Done"),
    (status = 401, body = Problem, description = "The password or the code is wrong"),
    (status = 409, body = Problem, description = "It is not on, or a role requires it")))]
pub async fn remove(
    by: By,
    body: Result<Json<RemoveIn>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(RemoveIn { password, code }) = body.map_err(bad_json)?;
    turn_off(&by, password, &code).await.map(|()| StatusCode::NO_CONTENT)
}

/// Ask a visitor whose password was right.
///
/// # Errors
/// When there are no random numbers.
pub fn ask(console: &Console, visitor: Visitor) -> Result<Entry, Problem> {
    Pending::new(visitor, Question::Code).ask(console, PROMPT.to_owned())
}

/// Judge what a visitor answered.
///
/// # Errors
/// It is no code, it was used, or the account is no more what it was.
pub async fn judge(console: &Console, visitor: Visitor, code: &str) -> Result<Entry, Problem> {
    let Visitor { name, account, from } = visitor;
    let unix_s = set_s();
    let taken = console.accounts.update(&account, |user| {
        let now = clock::unix_ms();
        let counts = user.is_active(now) && user.password_counts(now);
        let must_change = user.must_change;
        let factor = user.second_factor.as_mut().filter(|_| counts)?;
        factor.take(code, unix_s).map(|shown| (shown, must_change))
    });
    let taken = match taken.await {
        Ok(taken) => taken,
        Err(AccountError::Store(e)) => {
            console.throttle().not_judged(&account, from);
            return Err(Problem::store(&e));
        }
        // They were removed meanwhile.
        Err(_) => None,
    };
    let Some((shown, must_change)) = taken else {
        console.sign_in_failed(&account, from, None);
        return Err(wrong_code(unix_s));
    };
    console.throttle().succeeded(&account, from, clock::now());
    if let Shown::Recovery(left) = shown {
        let order = format!("sign in with a recovery code; {left} are left");
        let (user, from) = (name.clone(), from.to_string());
        console.store.record(Event::Ordered { user, from, order, refused: None });
    }
    let account = access::local_account(name, must_change);
    access::begin(console, account, from).map(|(cookie, who)| Entry::In(cookie, who))
}

/// Somebody whose password was right proves themselves once more; who has no second
/// factor needs no code.
///
/// # Errors
/// It is no code, or was used before.
pub async fn prove(by: &By, user: &User, code: &str) -> Result<(), Problem> {
    if user.second_factor.is_none() {
        return Ok(());
    }
    let (name, unix_s) = (&by.caller.user, set_s());
    let taken = by.console.accounts.update(name, |user| {
        user.second_factor.as_mut().and_then(|factor| factor.take(code, unix_s))
    });
    // The attempt that the password began stays charged for a wrong code.
    let taken = taken.await.map_err(|e| access::account_problem(&e))?;
    if let Shown::Recovery(left) = taken.ok_or_else(|| wrong_code(unix_s))? {
        let order = format!("prove themselves with a recovery code; {left} are left");
        by.console.store.record(by.event(order, None));
    }
    Ok(())
}

/// What there is of an account's own.
pub fn present(console: &Console, account: &Account) -> Result<SecondFactorOut, Problem> {
    let user = match &account.via {
        None => console.accounts.user(&account.user).map_err(|e| Problem::store(&e))?,
        Some(_) => None,
    };
    let factor = user.and_then(|user| user.second_factor);
    let required_by = match &account.via {
        None => console.accounts.required_of(&account.user),
        Some(_) => None,
    };
    Ok(SecondFactorOut {
        required_by,
        on: factor.is_some(),
        since_unix_ms: factor.as_ref().map(|factor| factor.since_unix_ms),
        recovery_left: factor.map_or(0, |factor| factor.recovery_left()),
    })
}

/// A new secret for who gives their password.
pub async fn start(by: &By, password: String) -> Result<NewSecretOut, Problem> {
    let user = own(by, password).await?;
    by.console.throttle().succeeded(&by.caller.user, by.from, clock::now());
    if user.second_factor.is_some() {
        return Err(conflict("It is on already").detail("turn it off first"));
    }
    let enrolment = Enrolment::random().map_err(|e| access::no_random(&e))?;
    let host = by.console.certificates.host_name();
    let (secret, uri) = (enrolment.secret(), enrolment.uri(&by.caller.user, &host));
    lock(&by.console.enrolments).put(by.caller.user.clone(), enrolment, clock::now());
    Ok(NewSecretOut { secret, uri })
}

/// The secret that waits for its first code, once more.
pub fn waiting(by: &By) -> Option<NewSecretOut> {
    let enrolment = lock(&by.console.enrolments).get(&by.caller.user, clock::now())?;
    let uri = enrolment.uri(&by.caller.user, &by.console.certificates.host_name());
    Some(NewSecretOut { secret: enrolment.secret(), uri })
}

/// Take the new secret into force; the recovery codes.
pub async fn turn_on(by: &By, code: &str) -> Result<(Cookie, Vec<String>), Problem> {
    let user = by.caller.user.clone();
    if by.caller.must_change {
        return Err(gate::must_change());
    }
    let waiting = lock(&by.console.enrolments).get(&user, clock::now());
    let Some(enrolment) = waiting.filter(|_| by.caller.account.via.is_none()) else {
        return Err(conflict("No new secret waits").detail("begin again; it waits for 10 minutes"));
    };
    let unix_s = set_s().ok_or_else(|| {
        conflict("The clock is not set").detail("codes depend on the time; set the clock first")
    })?;
    let confirmed = enrolment.confirm(code, unix_s).map_err(|e| access::no_random(&e))?;
    let Some((factor, codes)) = confirmed else {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "code", "The code is wrong")
            .detail(
                "type the code that the app shows now; if that fails again, compare the clocks \
                 of phone and appliance",
            ));
    };
    let done = by.console.accounts.update(&user, |user| user.second_factor = Some(factor)).await;
    by.told("turn on the second factor of their account".to_owned(), done)
        .await
        .map_err(|e| access::account_problem(&e))?;
    lock(&by.console.enrolments).0.remove(&user);
    by.console.sessions().end_all(&user);
    let cookie = access::open(&by.console, access::local_account(user, false))?;
    Ok((cookie, codes))
}

/// Ask for the password alone from now on.
pub async fn turn_off(by: &By, password: String, code: &str) -> Result<(), Problem> {
    let user = own(by, password).await?;
    let name = &by.caller.user;
    if user.second_factor.is_none() {
        by.console.throttle().succeeded(name, by.from, clock::now());
        return Err(conflict("It is not on"));
    }
    let order = "turn off the second factor of their account".to_owned();
    if let Some(role) = by.console.accounts.required_of(name) {
        by.console.throttle().succeeded(name, by.from, clock::now());
        let refused = conflict("It stays on").detail(format!(
            "the role {role} requires it; for another phone, have an administrator remove it on \
             the Accounts page: the next sign-in turns on another"
        ));
        return by.told(order, Err(refused)).await;
    }
    let unix_s = set_s();
    let done = by.console.accounts.update(name, |user| {
        let taken = user.second_factor.as_mut().and_then(|factor| factor.take(code, unix_s));
        if taken.is_some() {
            user.second_factor = None;
        }
        taken
    });
    let done = done.await.map_err(|e| access::account_problem(&e))?;
    // The attempt that the password began stays charged for a wrong code.
    let done = done.map(|_| ()).ok_or_else(|| wrong_code(unix_s));
    let done = by.told(order, done).await;
    if done.is_ok() {
        by.console.throttle().succeeded(name, by.from, clock::now());
    }
    done
}

/// Who gives their own password; the attempt is charged until somebody tells the
/// throttle otherwise.
async fn own(by: &By, password: String) -> Result<User, Problem> {
    if by.caller.must_change {
        return Err(gate::must_change());
    }
    access::own_password(by, password).await
}

/// Seconds since 1970, `None` while nobody set the clock.
fn set_s() -> Option<u64> {
    clock::set_s(clock::unix_ms()).and_then(|unix_s| u64::try_from(unix_s).ok())
}

fn wrong_code(unix_s: Option<u64>) -> Problem {
    access::wrong(match unix_s {
        Some(_) => "The code is wrong, or was used before",
        None => {
            "The code is wrong; while the appliance's clock is not set, only recovery codes count"
        }
    })
}

fn conflict(title: &'static str) -> Problem {
    Problem::new(StatusCode::CONFLICT, "second-factor", title)
}

impl Enrolments {
    fn put(&mut self, user: String, enrolment: Enrolment, now: Nanos) {
        self.0.retain(|_, (_, since)| now.since(*since) < ENROL_TIME);
        if self.0.len() >= ENROLMENTS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, (_, since))| *since);
            let oldest = oldest.map(|(user, _)| user.clone());
            oldest.map(|user| self.0.remove(&user));
        }
        self.0.insert(user, (enrolment, now));
    }

    fn get(&self, user: &str, now: Nanos) -> Option<Enrolment> {
        let (enrolment, since) = self.0.get(user)?;
        (now.since(*since) < ENROL_TIME).then(|| enrolment.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_secret_waits_ten_minutes_and_few_wait() {
        let mut all = Enrolments::default();
        let new = || Enrolment::random().expect("random numbers");
        for second in 0..80 {
            all.put(format!("user{second}"), new(), Nanos::from_secs(second));
        }
        assert_eq!(all.0.len(), ENROLMENTS_MAX);
        assert!(all.get("user0", Nanos::from_secs(80)).is_none(), "the oldest went");
        assert!(all.get("user79", Nanos::from_secs(79 + 599)).is_some());
        assert!(all.get("user79", Nanos::from_secs(79 + 600)).is_none());
        all.put("eve".into(), new(), Nanos::from_secs(900));
        assert_eq!(all.0.len(), 1, "what is over is forgotten");
    }
}
