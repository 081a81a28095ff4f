//! The live stream (facts/console-ux.md §4.3): server-sent events, first the
//! whole [`View`], then what changed in it.
//!
//! One task makes a [`Frame`] whenever something changed, at most four a
//! second and at least one, in each language that somebody reads; all streams of
//! a language share it. A stream that missed a frame gets the whole view instead
//! of a backlog.
//!
//! A change is an object with the changed members only. A changed array of
//! scalars is `{"i": [indices], "v": [values]}` while its length stays; arrays
//! of objects are objects by index.

use super::Console;
use super::api::alarms::{LangQuery, unknown_language};
use super::problem::Problem;
use super::session::{Caller, Shown};
use super::view::View;
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::words::Lang;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::stream::unfold;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};

/// Streams of all sessions together.
pub const STREAMS_MAX: usize = 32;
/// Shortest time between two frames: a value is on the page within 300 ms.
const SPACING: Duration = Duration::from_millis(200);
/// Longest time between two frames while somebody looks.
const TICK: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(15);

/// One state of the page.
struct Frame {
    id: u64,
    whole: String,
    /// What changed since the frame before.
    delta: String,
}

/// The newest frame of each language, and a bell for whoever needs one soon.
pub struct Live {
    frames: [watch::Sender<Option<Arc<Frame>>>; Lang::ALL.len()],
    bell: Notify,
}

impl Default for Live {
    fn default() -> Self {
        let frames = std::array::from_fn(|_| watch::Sender::new(None));
        Self { frames, bell: Notify::new() }
    }
}

/// Make frames while somebody looks, until the task is dropped.
pub async fn run(console: Arc<Console>) {
    let mut hub = console.hub.changes();
    let mut store = console.store.changes();
    let mut told: [(u64, Value); Lang::ALL.len()] = Default::default();
    loop {
        let changed = async {
            tokio::select! {
                // Neither sender goes away while the console holds them.
                _ = hub.changed() => {}
                _ = store.changed() => {}
                () = console.live.bell.notified() => {}
            }
        };
        let _ = timeout(TICK, changed).await;
        let mut is_read = false;
        let languages = Lang::ALL.into_iter().zip(&console.live.frames);
        for ((lang, frames), (id, before)) in languages.zip(&mut told) {
            if frames.receiver_count() == 0 {
                continue;
            }
            is_read = true;
            let now = serde_json::to_value(View::of(&console, lang)).unwrap_or_default();
            if let Some(delta) = difference(before, &now) {
                *id += 1;
                let (whole, delta) = (now.to_string(), delta.to_string());
                frames.send_replace(Some(Arc::new(Frame { id: *id, whole, delta })));
                *before = now;
            }
        }
        if is_read {
            sleep(SPACING).await;
        }
    }
}

/// The live stream: `snapshot` events carry the whole view, `delta` events
/// what changed since the event before, `end` says that the session is over.
#[utoipa::path(get, path = "/api/v1/stream", params(LangQuery), tag = "values", responses(
    (status = 200, content_type = "text/event-stream", body = String),
    (status = 503, body = Problem, description = "Too many streams")))]
pub async fn stream(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<LangQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Query(LangQuery { lang }) = query.map_err(|e| Problem::bad_request(e.body_text()))?;
    let lang = match &lang {
        Some(tag) => tag.parse::<Lang>().map_err(|()| unknown_language(tag))?,
        None => Lang::En,
    };
    let full = |detail: &str| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "streams", "Too many live pages")
            .detail(detail)
            .retry_after(30)
    };
    let own = caller.streams.clone().try_acquire_owned();
    let own = own.map_err(|_| full("close another live page of this session"))?;
    let device = console.stream_slots.clone().try_acquire_owned();
    let device = device.map_err(|_| full("the appliance serves no further live page now"))?;
    let mut frames = console.live.frames[lang as usize].subscribe();
    // The newest frame may be from when somebody last looked: wait for a fresh one.
    frames.mark_unchanged();
    console.live.bell.notify_one();
    let viewer = Viewer {
        console,
        ended: caller.ended.clone(),
        caller,
        frames,
        last: None,
        over: false,
        _slots: (own, device),
    };
    let events = unfold(viewer, |mut viewer| async move {
        let event = viewer.next().await?;
        Some((Ok::<_, Infallible>(event), viewer))
    });
    Ok(Sse::new(events))
}

/// One stream.
struct Viewer {
    console: Arc<Console>,
    caller: Caller,
    ended: watch::Receiver<()>,
    frames: watch::Receiver<Option<Arc<Frame>>>,
    last: Option<u64>,
    over: bool,
    _slots: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Viewer {
    fn may_go_on(&self) -> bool {
        let console = &self.console;
        let rights = match &self.caller.shown {
            Shown::Session(id) => {
                let alive = console.sessions().alive(*id, clock::now());
                console.rights(&self.caller.account).filter(|_| alive)
            }
            Shown::Token(id) => console.accounts.rights_of_token(id),
        };
        rights.is_some_and(|rights| rights.allow(Area::Battery, Level::View))
    }

    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        let fresh = tokio::select! {
            _ = self.ended.changed() => None,
            fresh = timeout(HEARTBEAT, self.frames.changed()) => Some(fresh.is_ok()),
        };
        let alive = self.may_go_on();
        let Some(fresh) = fresh.filter(|_| alive) else {
            self.over = true;
            return Some(Event::default().event("end").data("session ended"));
        };
        let frame = self.frames.borrow_and_update().clone().filter(|_| fresh);
        let Some(frame) = frame else { return Some(Event::default().comment("alive")) };
        let follows = self.last.is_some_and(|last| last + 1 == frame.id);
        let (kind, data) =
            if follows { ("delta", &frame.delta) } else { ("snapshot", &frame.whole) };
        self.last = Some(frame.id);
        Some(Event::default().event(kind).id(frame.id.to_string()).data(data))
    }
}

/// What must be changed to get from `before` to `now`; `None` when nothing.
fn difference(before: &Value, now: &Value) -> Option<Value> {
    match (before, now) {
        _ if before == now => None,
        (Value::Object(before), Value::Object(now)) => {
            let changed = now.iter().filter_map(|(key, value)| {
                let old = before.get(key).unwrap_or(&Value::Null);
                difference(old, value).map(|change| (key.clone(), change))
            });
            Some(Value::Object(changed.collect()))
        }
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            Some(array_difference(before, now))
        }
        _ => Some(now.clone()),
    }
}

fn array_difference(before: &[Value], now: &[Value]) -> Value {
    let changed = || before.iter().zip(now).enumerate().filter(|(_, (old, new))| old != new);
    if now.iter().all(Value::is_object) {
        let members = changed()
            .filter_map(|(i, (old, new))| difference(old, new).map(|d| (i.to_string(), d)));
        return Value::Object(members.collect::<Map<_, _>>());
    }
    if now.iter().any(|v| v.is_array() || v.is_object()) {
        return Value::Array(now.to_vec());
    }
    let (indices, values): (Vec<_>, Vec<_>) = changed().map(|(i, (_, new))| (i, new)).unzip();
    json!({ "i": indices, "v": values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_travels() {
        let before = json!({"a": "x", "s": [{"n": "A", "dev": [1, 2, 3]}, {"n": "B", "dev": [4]}], "e": [["ok", ["t"]]]});
        let mut now = before.clone();
        assert_eq!(difference(&before, &now), None);
        now["s"][0]["dev"] = json!([1, null, 5]);
        assert_eq!(
            difference(&before, &now),
            Some(json!({"s": {"0": {"dev": {"i": [1, 2], "v": [null, 5]}}}}))
        );
        now["s"][0]["dev"] = json!([1]);
        now["e"] = json!([["ok", ["u"]]]);
        assert_eq!(
            difference(&before, &now),
            Some(json!({"s": {"0": {"dev": [1]}}, "e": [["ok", ["u"]]]}))
        );
        assert_eq!(difference(&Value::Null, &before), Some(before));
    }
}
