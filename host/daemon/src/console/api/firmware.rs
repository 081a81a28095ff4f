//! The appliance's own software over the HTTP API: what runs, taking a bundle
//! into the other slot piece by piece, and restarting into it.

use super::Answer;
use crate::console::Console;
use crate::console::by::By;
use crate::console::path::Path;
use crate::console::problem::Problem;
use crate::failure::chain;
use crate::firmware::keeper::KeeperError;
use crate::firmware::preflight::Hindrance;
use crate::firmware::{Firmware, FirmwareError, PIECES_MAX};
use crate::store::StoreError;
use crate::trail;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use evenkeel_core::events::Event;
use evenkeel_signing::Kind;
use evenkeel_signing::slot::talk;
use futures_util::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

/// A sender that says nothing for so long is gone.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// What runs, and how it stands with the two slots.
#[derive(Serialize, ToSchema)]
pub struct FirmwareOut {
    /// The slot that runs, `A` or `B`.
    pub(in crate::console) slot: String,
    /// Its version.
    pub(in crate::console) version: String,
    /// Raised by releases that close a hole.
    pub(in crate::console) epoch: u32,
    /// Least epoch that may start here.
    pub(in crate::console) floor: u32,
    /// Signed with a development key: for a workshop, not for a plant.
    pub(in crate::console) development: bool,
    /// Number of the keyring that says whose firmware starts here; null in a
    /// workshop, which has no roots.
    pub(in crate::console) keyring: Option<u32>,
    /// Root of the hash tree over what runs.
    pub(in crate::console) root: String,
    /// Why the last start happened.
    pub(in crate::console) started_because: String,
    /// What runs has not proved itself yet; null: it has.
    pub(in crate::console) trial: Option<TrialOut>,
    /// The slot that does not run.
    pub(in crate::console) other: OtherOut,
    /// What is being taken in; null: nothing.
    pub(in crate::console) installing: Option<ProgressOut>,
    /// What speaks against an update now; empty: nothing.
    pub(in crate::console) hindrances: Vec<HindranceOut>,
    /// After so many seconds of healthy running nothing older than what runs
    /// starts any more; null: so it is.
    pub(in crate::console) permanent_in_s: Option<u64>,
}

/// A new system that has not proved itself.
#[derive(Serialize, ToSchema)]
pub(in crate::console) struct TrialOut {
    /// Starts that are left to it.
    pub(in crate::console) tries_left: u8,
    /// For so long it has been healthy, s.
    pub(in crate::console) healthy_s: u64,
    /// What is missing; null: nothing but time.
    pub(in crate::console) missing: Option<String>,
    /// Plugins that ran before and do not now, which does not stand in its way:
    /// of others than the platform, or that a person has to say a word about.
    pub(in crate::console) without: Vec<String>,
}

/// The slot that does not run.
#[derive(Serialize, ToSchema)]
pub(in crate::console) struct OtherOut {
    /// `empty`, `writing`, `ready`, `trial`, `good` or `bad`.
    pub(in crate::console) state: String,
    /// Version of what it holds; null: nothing that could start.
    pub(in crate::console) version: Option<String>,
    /// Why it is bad or empty.
    pub(in crate::console) reason: Option<String>,
}

/// How far an installation is.
#[derive(Serialize, ToSchema)]
pub(in crate::console) struct ProgressOut {
    /// Version of the bundle.
    pub(in crate::console) version: String,
    /// Bytes that were taken, checked and written: where the rest goes on.
    pub(in crate::console) taken: u64,
    /// Its length, bytes.
    pub(in crate::console) total: u64,
}

/// Something that speaks against an update now.
#[derive(Serialize, ToSchema)]
pub(in crate::console) struct HindranceOut {
    /// What, for programs.
    #[serde(flatten)]
    pub(in crate::console) what: Hindrance,
    /// The same, for people.
    pub(in crate::console) text: String,
}

/// Where an upload begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct InstallIn {
    /// Byte of the bundle with which the body begins: 0, or `taken`.
    #[serde(default)]
    from: u64,
}

/// What can be done with the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActionIn {
    /// Restart into what was installed.
    Activate,
    /// Restart into the other slot, which proved itself before.
    GoBack,
    /// Give up what was installed.
    Abandon,
    /// From now on nothing older starts, also when a person goes back.
    MakePermanent,
}

impl ActionIn {
    /// It restarts the appliance.
    pub(in crate::console) const fn restarts(self) -> bool {
        matches!(self, Self::Activate | Self::GoBack)
    }
}

/// What runs, and how it stands with the two slots.
#[utoipa::path(get, path = "/api/v1/firmware", tag = "system", responses(
    (status = 200, body = FirmwareOut),
    (status = 404, body = Problem, description = "This is no appliance with slots")))]
pub async fn firmware(State(console): State<Arc<Console>>) -> Answer<FirmwareOut> {
    out_of(&console).await.map(Json)
}

/// Take a firmware bundle (`.evkf`) into the other slot. The body is the whole
/// bundle, or what of it is missing when `from` says so; each piece is checked
/// before it is written. Nothing starts yet.
#[utoipa::path(post, path = "/api/v1/firmware", tag = "system", params(InstallIn),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 200, body = FirmwareOut),
    (status = 404, body = Problem, description = "This is no appliance with slots"),
    (status = 409, body = Problem, description = "Not now, or refused; the detail says why"),
    (status = 411, body = Problem, description = "No Content-Length"),
    (status = 413, body = Problem, description = "Too long for firmware")))]
pub async fn install(
    by: By,
    query: Result<Query<InstallIn>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Answer<FirmwareOut> {
    let Query(InstallIn { from }) =
        query.map_err(|e| Problem::bad_request(format!("from: {e}")))?;
    let length = length(&headers)?.saturating_add(from);
    take_in(&by, length, from, body.into_data_stream()).await.map(Json)
}

/// Take a bundle of `length` bytes in, of which `pieces` are what begins at
/// `from`.
pub(in crate::console) async fn take_in(
    by: &By,
    length: u64,
    from: u64,
    mut pieces: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin,
) -> Result<FirmwareOut, Problem> {
    if length > Kind::Firmware.len_max() as u64 {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-long",
            "This is too long for firmware",
        ));
    }
    let console = &by.console;
    let (sender, taken) = mpsc::channel(PIECES_MAX);
    let firmware = Arc::clone(&console.firmware);
    let taking = tokio::task::spawn_blocking(move || firmware.install(length, from, taken));
    let mut sender = Some(sender);
    // A sender that breaks off leaves a short file, and the keeper says so. Of
    // a refused file the rest is read too: who still sends hears no answer.
    while let Ok(Some(Ok(piece))) = timeout(SILENT_MAX, pieces.next()).await {
        if let Some(keeper) = &sender
            && !piece.is_empty()
            && keeper.send(piece.into()).await.is_err()
        {
            sender = None;
        }
    }
    drop(sender);
    let taken = taking.await.map_err(|_| Problem::store(&StoreError::Closed))?;
    let (user, from) = (by.caller.user.clone(), by.from.to_string());
    match taken {
        Ok(()) => {
            let answer = out_of(console).await?;
            let version = answer.other.version.clone().unwrap_or_default();
            console.store.record(Event::FirmwareInstalled { version, user, from });
            Ok(answer)
        }
        Err(error) => {
            let reason = chain(&error);
            console.store.record(Event::FirmwareRefused { reason, user, from });
            Err(problem(&error))
        }
    }
}

/// Restart into what was installed, or back, or give it up, or close the way
/// back to what is older.
#[utoipa::path(post, path = "/api/v1/firmware/{action}", tag = "system",
    params(("action" = inline(ActionIn), Path)), responses(
    (status = 200, body = FirmwareOut),
    (status = 404, body = Problem, description = "This is no appliance with slots"),
    (status = 409, body = Problem, description = "Not now, or refused; the detail says why")))]
pub async fn act(by: By, Path(action): Path<ActionIn>) -> Answer<FirmwareOut> {
    perform(&by, action).await.map(Json)
}

/// Do something with the slots; before a restart the answer is how it stood,
/// for afterwards nobody can say.
pub(in crate::console) async fn perform(by: &By, action: ActionIn) -> Result<FirmwareOut, Problem> {
    trail::is_to(action.words().to_owned());
    let after = |work: fn(&Firmware) -> Result<(), FirmwareError>| {
        move |firmware: &Firmware| {
            let status = firmware.status()?;
            work(firmware)?;
            Ok(status)
        }
    };
    match action {
        ActionIn::Activate => answered(&by.console, after(Firmware::activate)).await,
        ActionIn::GoBack => answered(&by.console, after(Firmware::go_back)).await,
        ActionIn::Abandon => {
            let abandon = |firmware: &Firmware| {
                firmware.abandon()?;
                firmware.status()
            };
            answered(&by.console, abandon).await
        }
        ActionIn::MakePermanent => {
            let permanent = |firmware: &Firmware| {
                firmware.make_permanent()?;
                firmware.status()
            };
            answered(&by.console, permanent).await
        }
    }
}

/// How it stands with the slots.
pub(in crate::console) async fn out_of(console: &Console) -> Result<FirmwareOut, Problem> {
    answered(console, Firmware::status).await
}

async fn answered(
    console: &Console,
    work: impl FnOnce(&Firmware) -> Result<talk::Status, FirmwareError> + Send + 'static,
) -> Result<FirmwareOut, Problem> {
    let firmware = Arc::clone(&console.firmware);
    let done = tokio::task::spawn_blocking(move || Ok((work(&firmware)?, firmware.hindrances())));
    let done = done.await.map_err(|_| Problem::store(&StoreError::Closed))?;
    let (status, hindrances) = done.map_err(|error| problem(&error))?;
    Ok(out(status, hindrances))
}

impl ActionIn {
    /// For the audit log.
    const fn words(self) -> &'static str {
        match self {
            Self::Activate => "restart into the firmware that was installed",
            Self::GoBack => "restart into the firmware of the other slot",
            Self::Abandon => "give up the firmware that was installed",
            Self::MakePermanent => "make the running firmware permanent",
        }
    }
}

/// How long a request says that its body is, bytes.
pub(in crate::console) fn length(headers: &HeaderMap) -> Result<u64, Problem> {
    let value = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.parse().ok()).ok_or_else(|| {
        Problem::new(StatusCode::LENGTH_REQUIRED, "no-length", "The length is not said")
            .detail("send Content-Length; the bundle is not sent in chunks of unknown number")
    })
}

pub(super) fn problem(error: &FirmwareError) -> Problem {
    titled(error, "The firmware is not changed")
}

/// What went wrong with the keeper of the slots, under this title.
pub(super) fn titled(error: &FirmwareError, title: &'static str) -> Problem {
    let (status, kind) = match error {
        FirmwareError::Keeper(KeeperError::Absent { .. }) => (StatusCode::NOT_FOUND, "no-slots"),
        FirmwareError::NotNow(_) => (StatusCode::CONFLICT, "not-now"),
        FirmwareError::Keeper(KeeperError::Refused(_)) => (StatusCode::CONFLICT, "refused"),
        FirmwareError::Broken => (StatusCode::CONFLICT, "broken-off"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "keeper"),
    };
    Problem::new(status, kind, title).detail(chain(error))
}

fn out(status: talk::Status, hindrances: Vec<Hindrance>) -> FirmwareOut {
    let talk::Status { slot, version, epoch, floor, development, keyring, root, .. } = status;
    let trial = status.trial.map(|trial| TrialOut {
        tries_left: trial.tries_left,
        healthy_s: trial.healthy_s,
        missing: trial.missing,
        without: trial.without,
    });
    let talk::Other { state, version: held, reason } = status.other;
    let installing = status.installing.map(|progress| ProgressOut {
        version: progress.version,
        taken: progress.taken,
        total: progress.total,
    });
    let hindrance = |what: Hindrance| HindranceOut { text: what.to_string(), what };
    FirmwareOut {
        slot,
        version,
        epoch,
        floor,
        development,
        keyring,
        root,
        started_because: status.started_because,
        trial,
        other: OtherOut { state, version: held, reason },
        installing,
        hindrances: hindrances.into_iter().map(hindrance).collect(),
        permanent_in_s: status.permanent_in_s,
    }
}
