//! Alarms over the HTTP API: the list, what people do with one, and the
//! thresholds with a preview of what they would tell.

use super::Answer;
use crate::alarms::{AlarmError, Shown};
use crate::clock;
use crate::console::Console;
use crate::console::access::bad_json;
use crate::console::by::By;
use crate::console::path::Path;
use crate::console::problem::Problem;
use crate::failure::chain;
use crate::store::StoreError;
use crate::trail;
use crate::words::{Lang, words};
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use evenkeel_core::alarm::book::{Mark, Member, Shelf};
use evenkeel_core::alarm::preview::Count;
use evenkeel_core::alarm::threshold::{Effective, Level, Sourced};
use evenkeel_core::alarm::{Act, Place, Quantity, Refusal, Rule, Side, Thresholds};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// The alarms.
#[derive(Serialize, ToSchema)]
pub struct AlarmsOut {
    /// Worst first.
    alarms: Vec<AlarmOut>,
    /// There are more than can be held; the least are left out.
    full: bool,
    /// Why their state cannot be kept now; null: it is.
    unkept: Option<String>,
}

/// An alarm.
#[derive(Serialize, ToSchema)]
struct AlarmOut {
    /// Counts up; never used twice.
    id: u64,
    /// Which round of it: give it when acknowledging, and what came since is
    /// not acknowledged unseen.
    round: u32,
    /// Code of what it is about, e.g. `bus-lost`, `finding.temperature-high`.
    kind: String,
    /// Where, e.g. `string.2`, `ups.0`.
    place: String,
    /// `warning` or `alarm`.
    #[schema(value_type = String)]
    severity: evenkeel_core::events::Severity,
    /// `raised`, `acknowledged`, `returned`, `latched` or `shelved`.
    state: &'static str,
    /// People or the plant are in danger.
    danger: bool,
    /// It comes and goes too often to be told each time.
    flapping: bool,
    /// When it was raised, ms since 1970.
    raised_unix_ms: u64,
    /// When it was last raised anew, ms since 1970.
    round_unix_ms: u64,
    /// Since when it is over, ms since 1970; null: it is not.
    over_unix_ms: Option<u64>,
    /// How long ago it was raised, ms.
    age_ms: u64,
    /// Who acknowledged it.
    acknowledged: Option<MarkOut>,
    /// Who put it aside.
    shelved: Option<ShelfOut>,
    /// Where it is true, or was last.
    members: Vec<MemberOut>,
    /// In words.
    words: WordsOut,
}

/// Who did something.
#[derive(Serialize, ToSchema)]
struct MarkOut {
    /// Who.
    user: String,
    /// When, ms since 1970.
    unix_ms: u64,
    /// Their words.
    note: String,
}

/// Who put it aside.
#[derive(Serialize, ToSchema)]
struct ShelfOut {
    /// Who, when, why.
    by: MarkOut,
    /// Until when, ms since 1970.
    until_unix_ms: u64,
}

/// A place of an alarm.
#[derive(Serialize, ToSchema)]
struct MemberOut {
    /// Where, e.g. `string.2.block.17`.
    place: String,
    /// What is true there: the alarm's kind or a consequence.
    kind: String,
    /// How bad.
    #[schema(value_type = String)]
    severity: evenkeel_core::events::Severity,
    /// Since when, ms since 1970.
    since_unix_ms: u64,
    /// What was measured.
    value: Option<f64>,
    /// The limit there.
    limit: Option<f64>,
    /// Their unit.
    unit: &'static str,
}

/// An alarm in words.
#[derive(Serialize, ToSchema)]
struct WordsOut {
    /// What is wrong.
    title: String,
    /// Where.
    place: String,
    /// What was measured at the worst place; empty: nothing.
    value: String,
    /// Likely causes.
    causes: String,
    /// What to do.
    action: String,
    /// How soon.
    urgency: String,
}

/// In which language.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LangQuery {
    /// Tag of one of the twelve languages, e.g. `de`; English when not given.
    pub(crate) lang: Option<String>,
}

/// What somebody wants done.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActIn {
    /// The round that they saw; when it has changed, nothing is done.
    pub(crate) round: Option<u32>,
    /// A note, to acknowledge or reset; may be left out.
    #[serde(default)]
    pub(crate) note: String,
    /// Why, to shelve.
    #[serde(default)]
    pub(crate) reason: String,
    /// For how long, to shelve, 60 … 86400 s.
    #[serde(default)]
    pub(crate) seconds: u64,
}

/// Thresholds: a list of `{at, quantity, side, warning, alarm, hysteresis,
/// delay_s, off_delay_s, latch, during}`; levels are numbers or `"off"`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesIn {
    /// All of them: what is not in the list is not in force any more.
    #[schema(value_type = Vec<Object>)]
    thresholds: Vec<Rule>,
}

/// The thresholds in force.
#[derive(Serialize, ToSchema)]
pub struct ThresholdsOut {
    /// As they were set.
    #[schema(value_type = Vec<Object>)]
    thresholds: Vec<Rule>,
    /// What follows from them for the place that was asked for.
    effective: Vec<EffectiveOut>,
}

/// What holds for one quantity and side at a place.
#[derive(Serialize, ToSchema)]
struct EffectiveOut {
    /// Which quantity.
    quantity: &'static str,
    /// Its unit.
    unit: &'static str,
    /// `high` or `low`.
    side: &'static str,
    /// Warning from here on; null: never.
    #[schema(value_type = Object)]
    warning: FieldOut<Option<f64>>,
    /// Alarm from here on; null: never.
    #[schema(value_type = Object)]
    alarm: FieldOut<Option<f64>>,
    /// Over when back by this much.
    #[schema(value_type = Object)]
    hysteresis: FieldOut<f64>,
    /// Begins when beyond for so long, s.
    #[schema(value_type = Object)]
    delay_s: FieldOut<f64>,
    /// Ends when back for so long, s.
    #[schema(value_type = Object)]
    off_delay_s: FieldOut<f64>,
    /// Stays until a person resets it.
    #[schema(value_type = Object)]
    latch: FieldOut<bool>,
}

/// A value and who set it: a scope, or `built-in`.
#[derive(Serialize)]
struct FieldOut<T> {
    value: T,
    from: String,
}

/// For which place.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlaceQuery {
    /// A place, e.g. `string.2.block.17`, for what is in force there.
    place: Option<String>,
}

/// What thresholds would tell of.
#[derive(Serialize, ToSchema)]
pub struct PreviewOut {
    /// With the values of this moment.
    now: CountOut,
    /// In the last 30 days, as far as the samples of the history show: what was
    /// beyond only between two of them is not counted.
    past: CountOut,
    /// So many values of the past were looked at.
    values: u64,
    /// The quantities of which the past is known.
    kept: Vec<&'static str>,
    /// What has a threshold at some place here and of which the history holds
    /// nothing: quantities, and single points by their name.
    without_past: Vec<String>,
}

/// How many places.
#[derive(Serialize, ToSchema)]
struct CountOut {
    /// With an alarm.
    alarm: usize,
    /// With a warning and no alarm.
    warning: usize,
    /// The first 64 of them, alarms first.
    places: Vec<String>,
}

/// The alarms, worst first.
#[utoipa::path(get, path = "/api/v1/alarms", params(LangQuery), tag = "alarms",
    responses((status = 200, body = AlarmsOut)))]
pub async fn alarms(
    State(console): State<Arc<Console>>,
    query: Result<Query<LangQuery>, QueryRejection>,
) -> Answer<AlarmsOut> {
    let Query(query) = query.map_err(super::bad_query)?;
    let lang = match &query.lang {
        None => Lang::En,
        Some(tag) => tag.parse().map_err(|()| unknown_language(tag))?,
    };
    let (alarms, full, unkept) = console.alarms.shown();
    let now = clock::unix_ms();
    let alarms = alarms.into_iter().map(|shown| out(lang, &shown, now)).collect();
    Ok(Json(AlarmsOut { alarms, full, unkept }))
}

/// Acknowledge, shelve, unshelve or reset an alarm. Answers when it is on the
/// disk.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/{action}", tag = "alarms", request_body = ActIn,
    params(("id" = u64, Path, description = "From the list"),
        ("action" = String, Path, description = "acknowledge, shelve, unshelve or reset")),
    responses((status = 204, description = "Done and kept"),
        (status = 400, body = Problem, description = "Note, reason or time make no sense"),
        (status = 404, body = Problem, description = "There is no such alarm or action"),
        (status = 409, body = Problem, description = "Its state does not allow it, or it changed"),
        (status = 503, body = Problem, description = "It cannot be kept, and is not done")))]
pub async fn act(
    by: By,
    Path((id, action)): Path<(u64, String)>,
    body: Result<Json<ActIn>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(wish) = body.map_err(bad_json)?;
    perform(&by, id, &action, wish).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The thresholds, and what follows from them for a place.
#[utoipa::path(get, path = "/api/v1/thresholds", params(PlaceQuery), tag = "alarms",
    responses((status = 200, body = ThresholdsOut)))]
pub async fn thresholds(
    State(console): State<Arc<Console>>,
    query: Result<Query<PlaceQuery>, QueryRejection>,
) -> Answer<ThresholdsOut> {
    let Query(query) = query.map_err(super::bad_query)?;
    let place = query.place.map(|text| text.parse::<Place>()).transpose();
    let place = place.map_err(|e| Problem::bad_request(e.to_string()))?;
    Ok(Json(thresholds_out(&console, place.as_ref())))
}

/// Have these thresholds in force from now on, instead of those before.
#[utoipa::path(post, path = "/api/v1/thresholds", request_body = RulesIn, tag = "alarms",
    responses((status = 200, body = ThresholdsOut),
        (status = 422, body = Problem, description = "The detail names the threshold and why"),
        (status = 503, body = Problem, description = "They cannot be kept, and are not in force")))]
pub async fn put_thresholds(
    by: By,
    body: Result<Json<RulesIn>, JsonRejection>,
) -> Answer<ThresholdsOut> {
    let Json(RulesIn { thresholds }) = body.map_err(bad_json)?;
    set(&by, thresholds).await.map_err(|e| problem(&e))?;
    Ok(Json(thresholds_out(&by.console, None)))
}

/// What the API and the page do alike: have thresholds in force, and tell who did.
pub(in crate::console) async fn set(by: &By, rules: Vec<Rule>) -> Result<(), AlarmError> {
    let what = changed(by.console.alarms.thresholds().rules(), &rules);
    let done = by.console.alarms.set_thresholds(rules).await;
    by.told(what, done).await
}

/// What these thresholds would tell of, now and in the last 30 days; they do
/// not come into force.
#[utoipa::path(post, path = "/api/v1/thresholds/preview", request_body = RulesIn, tag = "alarms",
    responses((status = 200, body = PreviewOut),
        (status = 422, body = Problem, description = "The detail names the threshold and why")))]
pub async fn preview(
    State(console): State<Arc<Console>>,
    body: Result<Json<RulesIn>, JsonRejection>,
) -> Answer<PreviewOut> {
    let Json(RulesIn { thresholds }) = body.map_err(bad_json)?;
    let alarms = Arc::clone(&console.alarms);
    let found = super::off_thread(&console, move || alarms.preview(thresholds)).await?;
    let found = found.map_err(|e| problem(&e))?;
    let kept = found.kept.iter().map(|quantity| quantity.as_str()).collect();
    let without = found.without_past.iter().map(|(quantity, point)| match point {
        Some(place) => place.to_string(),
        None => quantity.to_string(),
    });
    let without_past = without.collect();
    let (now, past) = (count_out(found.now), count_out(found.past));
    Ok(Json(PreviewOut { now, past, values: found.values, kept, without_past }))
}

/// What the API and the page do alike.
pub(crate) async fn perform(by: &By, id: u64, action: &str, wish: ActIn) -> Result<(), Problem> {
    let act = match action {
        "acknowledge" => Act::Acknowledge { note: wish.note },
        "shelve" => Act::Shelve { seconds: wish.seconds, reason: wish.reason },
        "unshelve" => Act::Unshelve,
        "reset" => Act::Reset { note: wish.note },
        _ => {
            let problem =
                Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such action");
            return Err(problem.detail("actions are acknowledge, shelve, unshelve and reset"));
        }
    };
    trail::is_to(act_in_words(id, &act));
    let done = by.console.alarms.act(id, wish.round, &act, &by.caller.user).await;
    done.map_err(|e| problem(&e))
}

/// For the audit log: `shelve alarm 3 for 600 s: fan on order`.
fn act_in_words(id: u64, act: &Act) -> String {
    let (what, note) = match act {
        Act::Acknowledge { note } => (format!("acknowledge alarm {id}"), note.as_str()),
        Act::Shelve { seconds, reason } => {
            (format!("shelve alarm {id} for {seconds} s"), reason.as_str())
        }
        Act::Unshelve => (format!("take alarm {id} off the shelf"), ""),
        Act::Reset { note } => (format!("reset alarm {id}"), note.as_str()),
    };
    let colon = if note.trim().is_empty() { "" } else { ": " };
    format!("{what}{colon}{note}")
}

/// For the audit log: which thresholds are new or others, and which are gone.
fn changed(before: &[Rule], after: &[Rule]) -> String {
    let id = |rule: &Rule| format!("{} {} at {}", rule.quantity, rule.side.as_str(), rule.at);
    let set = after.iter().filter(|rule| !before.contains(rule)).map(|rule| {
        let level = |name: &str, level: Option<Level>| match level {
            Some(Level::At(level)) => format!(", {name} {level}"),
            Some(Level::Off(_)) => format!(", {name} off"),
            None => String::new(),
        };
        let levels = level("warning", rule.warning) + &level("alarm", rule.alarm);
        format!("set {}{levels}", id(rule))
    });
    let gone = before.iter().filter(|rule| !after.iter().any(|other| id(other) == id(rule)));
    let gone = gone.map(|rule| format!("take away {}", id(rule)));
    let parts: Vec<String> = set.chain(gone).collect();
    match parts.is_empty() {
        true => "thresholds: set the same again".to_owned(),
        false => format!("thresholds: {}", parts.join("; ")),
    }
}

/// A tag that is none of ours.
pub(crate) fn unknown_language(tag: &str) -> Problem {
    let tags = Lang::ALL.map(Lang::tag).join(", ");
    Problem::bad_request(format!("{tag:?} is none of the languages {tags}"))
}

pub(in crate::console) fn problem(error: &AlarmError) -> Problem {
    match error {
        AlarmError::Refused(refusal) => {
            let (status, kind) = match refusal {
                Refusal::NoAlarm(_) => (StatusCode::NOT_FOUND, "not-found"),
                Refusal::Text { .. } | Refusal::Time(_) => (StatusCode::BAD_REQUEST, "bad-request"),
                _ => (StatusCode::CONFLICT, "refused"),
            };
            Problem::new(status, kind, "Nothing was done with the alarm")
                .detail(refusal.to_string())
        }
        AlarmError::Thresholds(error) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Problem::new(status, "thresholds", "The thresholds make no sense")
                .detail(error.to_string())
        }
        AlarmError::Store(source @ StoreError::Document { .. }) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store", "It cannot be kept")
                .detail(chain(source))
        }
        AlarmError::Store(source) => Problem::store(source),
    }
}

fn out(lang: Lang, shown: &Shown, now: u64) -> AlarmOut {
    let alarm = &shown.alarm;
    let said = words().alarm(lang, alarm);
    AlarmOut {
        id: alarm.id,
        round: alarm.round,
        kind: alarm.kind.to_string(),
        place: alarm.place.to_string(),
        severity: alarm.severity,
        state: alarm.state().as_str(),
        danger: alarm.kind.is_safety(),
        flapping: alarm.flapping,
        raised_unix_ms: alarm.raised_ms,
        round_unix_ms: alarm.round_ms,
        over_unix_ms: alarm.over_ms,
        age_ms: now.saturating_sub(alarm.raised_ms),
        acknowledged: alarm.acknowledged.as_ref().map(mark_out),
        shelved: alarm
            .shelf
            .as_ref()
            .map(|Shelf { by, until_ms }| ShelfOut { by: mark_out(by), until_unix_ms: *until_ms }),
        members: alarm.members.iter().map(member_out).collect(),
        words: WordsOut {
            title: said.title,
            place: said.place,
            value: said.value,
            causes: said.causes,
            action: said.action,
            urgency: said.urgency,
        },
    }
}

fn mark_out(mark: &Mark) -> MarkOut {
    MarkOut { user: mark.user.clone(), unix_ms: mark.unix_ms, note: mark.note.clone() }
}

fn member_out((place, member): (&Place, &Member)) -> MemberOut {
    MemberOut {
        place: place.to_string(),
        kind: member.kind.to_string(),
        severity: member.severity,
        since_unix_ms: member.since_ms,
        value: member.value,
        limit: member.limit,
        unit: member.kind.unit(),
    }
}

fn thresholds_out(console: &Console, place: Option<&Place>) -> ThresholdsOut {
    let thresholds = console.alarms.thresholds();
    let effective = place.map_or_else(Vec::new, |place| {
        let batteries = console.hub.batteries();
        let battery = crate::alarms::battery(&batteries, place);
        quantities(place, &thresholds)
            .into_iter()
            .flat_map(|quantity| [(quantity, Side::High), (quantity, Side::Low)])
            .filter(|(quantity, side)| quantity.has(*side))
            .map(|(quantity, side)| {
                effective_out(thresholds.effective(place, battery, quantity, side), quantity, side)
            })
            .collect()
    });
    ThresholdsOut { thresholds: thresholds.rules().to_vec(), effective }
}

/// What can have a threshold there: of a UPS, what has one.
fn quantities(place: &Place, thresholds: &Thresholds) -> Vec<Quantity> {
    match place {
        Place::Block(..) => Quantity::OF_BLOCKS.to_vec(),
        Place::String(_) => Quantity::OF_STRINGS.into_iter().chain(Quantity::OF_BLOCKS).collect(),
        Place::Point(_) => vec![Quantity::Point],
        Place::Source(_) => {
            let names = evenkeel_core::points::names::UPS.iter();
            let all = names.filter_map(|variable| Quantity::of_ups(variable.name));
            let watched = |q: &Quantity| {
                thresholds.watches(*q, Side::High) || thresholds.watches(*q, Side::Low)
            };
            all.filter(watched).collect()
        }
        _ => Vec::new(),
    }
}

fn effective_out(effective: Effective, quantity: Quantity, side: Side) -> EffectiveOut {
    EffectiveOut {
        quantity: quantity.as_str(),
        unit: quantity.unit(),
        side: side.as_str(),
        warning: field_out(effective.warning),
        alarm: field_out(effective.alarm),
        hysteresis: field_out(effective.hysteresis),
        delay_s: field_out(effective.delay_s),
        off_delay_s: field_out(effective.off_delay_s),
        latch: field_out(effective.latch),
    }
}

fn field_out<T>(field: Sourced<T>) -> FieldOut<T> {
    let from = field.from.map_or_else(|| "built-in".to_owned(), |scope| scope.to_string());
    FieldOut { value: field.value, from }
}

fn count_out(count: Count) -> CountOut {
    let places = count.places.iter().map(|(place, _)| place.to_string()).collect();
    CountOut { alarm: count.alarm, warning: count.warning, places }
}
