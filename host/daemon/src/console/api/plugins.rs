//! Plugins over the HTTP API: bundles, installation, grants, switching.
//!
//! Each change becomes an event that names who wanted it and what came of it.

use crate::config::PluginGrant;
use crate::console::Console;
use crate::console::access::bad_json;
use crate::console::api::firmware;
use crate::console::by::By;
use crate::console::path::Path;
use crate::console::problem::Problem;
use crate::plugin_admin::{AdminError, BundleInfo, KeyInfo, PluginDetail, Reply, Wanted};
use crate::plugin_status::PluginStatus;
use crate::store::StoreError;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::http::StatusCode;
use evenkeel_signing::Kind;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is uploaded, and how long it may be.
pub(in crate::console) const A_BUNDLE: (&str, usize) =
    ("a plugin's bundle", Kind::Plugin.len_max());
const A_KEYRING: (&str, usize) = ("a keyring", Kind::Keyring.len_max());

/// A plugin as it shall be: installed, updated or reconfigured.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginIn {
    /// `name`; `id` when there are several of it; `enabled`; `points`, the
    /// subtree under which it publishes; `grant`, what it may use by logical
    /// name; `settings`; `confirm`, dangerous grants repeated. A secret given
    /// as `••••••••` stays as it is.
    #[schema(value_type = Object)]
    pub plugin: PluginGrant,
    /// SHA-256 of the uploaded bundle; null for the one of the firmware.
    #[serde(default)]
    pub bundle: Option<String>,
    /// The bundle's `consent` mark: its permissions were read and accepted.
    #[serde(default)]
    pub consent: Option<String>,
}

/// What can be done to an installed plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActionIn {
    /// Switch it on.
    Enable,
    /// Switch it off; its points go.
    Disable,
    /// Start it anew, out of quarantine too.
    Restart,
    /// Back to the version before.
    RollBack,
    /// Remove it and what it was granted.
    Remove,
}

impl ActionIn {
    const fn words(self) -> &'static str {
        match self {
            Self::Enable => "switch on",
            Self::Disable => "switch off",
            Self::Restart => "restart",
            Self::RollBack => "roll back",
            Self::Remove => "remove",
        }
    }
}

/// The plugins and what they are doing.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins",
    responses((status = 200, body = Vec<PluginStatus>)))]
pub async fn list(State(console): State<Arc<Console>>) -> Json<Vec<PluginStatus>> {
    Json(console.plugins.plugins())
}

/// Everything about one plugin.
#[utoipa::path(get, path = "/api/v1/plugins/{id}", tag = "plugins",
    params(("id" = String, Path)), responses(
    (status = 200, body = PluginDetail),
    (status = 404, body = Problem)))]
pub async fn detail(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
) -> Result<Json<PluginDetail>, Problem> {
    detail_of(&console, id).await.map(Json)
}

/// Every bundle that is here, with what it asks for.
#[utoipa::path(get, path = "/api/v1/bundles", tag = "plugins", responses(
    (status = 200, body = Vec<BundleInfo>)))]
pub async fn bundles(
    State(console): State<Arc<Console>>,
) -> Result<Json<Vec<BundleInfo>>, Problem> {
    answered(console.plugins.bundles()).await.map(Json)
}

/// Upload a signed bundle (`.evkp`), at most 8 MiB. It is kept only when a
/// trusted key signed it; nothing of it runs yet.
#[utoipa::path(post, path = "/api/v1/bundles", tag = "plugins",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 200, body = BundleInfo),
    (status = 409, body = Problem, description = "Refused; the detail says why"),
    (status = 413, body = Problem, description = "Too long; the detail says how long it may be")))]
pub async fn upload(
    by: By,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<BundleInfo>, Problem> {
    let raw = body.map_err(unread(A_BUNDLE))?;
    keep(&by, raw.to_vec()).await.map(Json)
}

/// What a bundle is and asks for, without keeping it.
#[utoipa::path(post, path = "/api/v1/bundles/inspect", tag = "plugins",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 200, body = BundleInfo),
    (status = 409, body = Problem, description = "It would be refused; the detail says why"),
    (status = 413, body = Problem, description = "Too long; the detail says how long it may be")))]
pub async fn inspect(
    State(console): State<Arc<Console>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<BundleInfo>, Problem> {
    let raw = body.map_err(unread(A_BUNDLE))?;
    answered(console.plugins.inspect(raw.to_vec())).await.map(Json)
}

/// Delete an uploaded bundle that no plugin needs.
#[utoipa::path(post, path = "/api/v1/bundles/{digest}/delete", tag = "plugins",
    params(("digest" = String, Path)), responses(
    (status = 204, description = "Gone"),
    (status = 404, body = Problem),
    (status = 409, body = Problem, description = "In use")))]
pub async fn delete_bundle(by: By, Path(digest): Path<String>) -> Result<StatusCode, Problem> {
    let what = format!("delete the bundle {}", shown(&digest));
    let done = answered(by.console.plugins.delete_bundle(digest)).await;
    by.told(what, done).await.map(|()| StatusCode::NO_CONTENT)
}

/// Install a plugin, or change an installed one.
#[utoipa::path(post, path = "/api/v1/plugins", request_body = PluginIn, tag = "plugins", responses(
    (status = 204, description = "Done; it is starting"),
    (status = 409, body = Problem,
        description = "`consent` or `confirm`: say more; `refused`, `conflict`: the detail says why")))]
pub async fn put(
    by: By,
    body: Result<Json<PluginIn>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(wanted) = body.map_err(bad_json)?;
    install(&by, wanted).await.map(|()| StatusCode::NO_CONTENT)
}

/// Switch a plugin on or off, restart it, roll it back or remove it.
#[utoipa::path(post, path = "/api/v1/plugins/{id}/{action}", tag = "plugins",
    params(("id" = String, Path), ("action" = inline(ActionIn), Path)), responses(
    (status = 204, description = "Done"),
    (status = 404, body = Problem),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn act(
    by: By,
    Path((id, action)): Path<(String, ActionIn)>,
) -> Result<StatusCode, Problem> {
    perform(&by, id, action).await.map(|()| StatusCode::NO_CONTENT)
}

/// A vendor's key to be trusted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyIn {
    /// The text of its public key file.
    key: String,
    /// Its fingerprint, as the vendor gave it by another way.
    fingerprint: String,
}

/// Why a key is trusted no more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawIn {
    /// For people, 1 … 200 bytes.
    reason: String,
}

/// The keys that plugins may be signed with, and those that are known and do
/// not count.
#[utoipa::path(get, path = "/api/v1/plugin-keys", tag = "plugins", responses(
    (status = 200, body = Vec<KeyInfo>)))]
pub async fn keys(State(console): State<Arc<Console>>) -> Result<Json<Vec<KeyInfo>>, Problem> {
    answered(console.plugins.keys()).await.map(Json)
}

/// Trust a vendor's key.
#[utoipa::path(post, path = "/api/v1/plugin-keys", request_body = KeyIn, tag = "plugins",
    responses((status = 200, body = KeyInfo),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn add_key(
    by: By,
    body: Result<Json<KeyIn>, JsonRejection>,
) -> Result<Json<KeyInfo>, Problem> {
    let Json(KeyIn { key, fingerprint }) = body.map_err(bad_json)?;
    let what = format!("trust the vendor's key {}", shown(&fingerprint));
    let done = answered(by.console.plugins.add_key(key, fingerprint)).await;
    by.told(what, done).await.map(Json)
}

/// Trust a key no more. Plugins that it signed stop at once.
#[utoipa::path(post, path = "/api/v1/plugin-keys/{id}/withdraw", request_body = WithdrawIn,
    tag = "plugins", params(("id" = String, Path)), responses(
    (status = 204, description = "Done"), (status = 404, body = Problem),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn withdraw_key(
    by: By,
    Path(id): Path<String>,
    body: Result<Json<WithdrawIn>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(WithdrawIn { reason }) = body.map_err(bad_json)?;
    let what = format!("withdraw the trust in the key {}", shown(&id));
    let done = answered(by.console.plugins.withdraw_key(id, reason)).await;
    by.told(what, done).await.map(|()| StatusCode::NO_CONTENT)
}

/// Trust a key again that was withdrawn here.
#[utoipa::path(post, path = "/api/v1/plugin-keys/{id}/restore", tag = "plugins",
    params(("id" = String, Path)), responses(
    (status = 204, description = "Done; restart what it signed"),
    (status = 404, body = Problem),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn restore_key(by: By, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let what = format!("trust the key {} again", shown(&id));
    let done = answered(by.console.plugins.restore_key(id)).await;
    by.told(what, done).await.map(|()| StatusCode::NO_CONTENT)
}

/// Take a keyring of the platform into force: new keys, revocations, least
/// security versions.
#[utoipa::path(post, path = "/api/v1/plugin-keyring", tag = "plugins",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 204, description = "In force"),
    (status = 409, body = Problem, description = "Refused; the detail says why"),
    (status = 413, body = Problem, description = "Too long; the detail says how long it may be")))]
pub async fn put_keyring(
    by: By,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let raw = body.map_err(unread(A_KEYRING))?;
    let what = format!("take a keyring of {} bytes into force", raw.len());
    let done = take_keyring(&by.console, raw.to_vec()).await;
    by.told(what, done).await.map(|()| StatusCode::NO_CONTENT)
}

/// By the keeper of the slots first: what it refuses is in force for nobody.
async fn take_keyring(console: &Console, raw: Vec<u8>) -> Result<(), Problem> {
    let (firmware, bytes) = (Arc::clone(&console.firmware), raw.clone());
    let taken = tokio::task::spawn_blocking(move || firmware.keyring(&bytes)).await;
    let taken = taken.map_err(|_| Problem::store(&StoreError::Closed))?;
    taken.map_err(|error| firmware::titled(&error, "The keyring is not taken into force"))?;
    answered(console.plugins.put_keyring(raw)).await
}

/// What the plugin host knows of a plugin, and how far it is as a notifier.
pub(in crate::console) async fn detail_of(
    console: &Console,
    id: String,
) -> Result<PluginDetail, Problem> {
    let mut detail = answered(console.plugins.detail(id)).await?;
    let id = detail.plugin.id();
    detail.delivery = (console.deliveries)().into_iter().find(|progress| progress.id == id);
    Ok(detail)
}

/// Keep an upload.
pub(in crate::console) async fn keep(by: &By, raw: Vec<u8>) -> Result<BundleInfo, Problem> {
    let what = format!("upload a plugin bundle of {} bytes", raw.len());
    let done = answered(by.console.plugins.upload(raw)).await;
    let what = match &done {
        Ok(info) => format!("{what}: {} {}, signed by {}", info.name, info.version, info.signer),
        Err(_) => what,
    };
    by.told(what, done).await
}

/// Install or change a plugin.
pub(in crate::console) async fn install(by: &By, wanted: PluginIn) -> Result<(), Problem> {
    let PluginIn { plugin, bundle, consent } = wanted;
    let source = bundle.as_deref().map_or("the firmware".to_owned(), shown);
    let what = format!("install or change the plugin {} from {source}", shown(plugin.id()));
    let done = answered(by.console.plugins.put(Wanted { plugin, bundle, consent })).await;
    by.told(what, done).await
}

/// Do something to an installed plugin.
pub(in crate::console) async fn perform(
    by: &By,
    id: String,
    action: ActionIn,
) -> Result<(), Problem> {
    let what = format!("{} the plugin {}", action.words(), shown(&id));
    let plugins = &by.console.plugins;
    let done = answered(match action {
        ActionIn::Enable => plugins.switch(id, true),
        ActionIn::Disable => plugins.switch(id, false),
        ActionIn::Restart => plugins.restart(id),
        ActionIn::RollBack => plugins.roll_back(id),
        ActionIn::Remove => plugins.remove(id),
    })
    .await;
    by.told(what, done).await
}

pub(in crate::console) async fn answered<T>(reply: Reply<T>) -> Result<T, Problem> {
    // The answer is dropped when the plugin host stops.
    reply.await.unwrap_or(Err(AdminError::Off)).map_err(|error| problem(&error))
}

fn problem(error: &AdminError) -> Problem {
    let (status, kind, title) = match error {
        AdminError::Unknown(_) => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
        AdminError::Conflict(_) => {
            (StatusCode::CONFLICT, "conflict", "That does not go with what is there")
        }
        AdminError::Refused(_) => (StatusCode::CONFLICT, "refused", "The plugin is refused"),
        AdminError::Consent { .. } => {
            (StatusCode::CONFLICT, "consent", "The plugin's permissions need your consent")
        }
        AdminError::Confirm { .. } => {
            (StatusCode::CONFLICT, "confirm", "A dangerous grant needs a second word")
        }
        AdminError::Store(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "store", "The store cannot be used")
        }
        AdminError::Off => (StatusCode::SERVICE_UNAVAILABLE, "off", "No plugin can be run now"),
    };
    Problem::new(status, kind, title).detail(error.to_string())
}

/// Why the bytes of `what`, which has at most `max`, did not come.
fn unread((what, max): (&str, usize)) -> impl Fn(BytesRejection) -> Problem {
    move |rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_long(what, max),
        _ => Problem::bad_request(rejection.body_text()),
    }
}

/// What somebody sent, in an event.
pub(super) fn shown(text: &str) -> String {
    format!("{:?}", crate::caps::one_line(text, 70))
}
