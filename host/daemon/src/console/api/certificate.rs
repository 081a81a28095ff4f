//! The certificate that the appliance shows, over the HTTP API: what it is,
//! a request to an authority, and the installation of what the authority sent.

use crate::certificate::{About, CertificateError, Certificates, NAMES_MAX, Status};
use crate::clock;
use crate::console::Console;
use crate::console::access::bad_json;
use crate::console::by::By;
use crate::console::problem::Problem;
use crate::failure::chain;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The certificate.
#[derive(Serialize, ToSchema)]
pub struct CertificateOut {
    /// Who it is for.
    subject: String,
    /// Who says so.
    issuer: String,
    /// Host names and addresses under which browsers believe it.
    names: Vec<String>,
    /// The certificates that come with it, from its issuer on.
    issuers: Vec<String>,
    /// Its key, such as `ECDSA P-256`.
    key: String,
    /// Valid from.
    from_unix_ms: u64,
    /// Valid until.
    until_unix_ms: u64,
    /// SHA-256 as browsers show it.
    fingerprint: String,
    /// An administrator installed it; otherwise the appliance made it.
    installed: bool,
    /// It is on trial: unless it is confirmed in so many seconds, the one before
    /// is shown again.
    trial_left_s: Option<u64>,
    /// A request waits for its certificate.
    requested: bool,
}

/// What to ask an authority for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestIn {
    /// 1 to 20 host names and addresses, the one that people use first.
    pub(in crate::console) names: Vec<String>,
    /// The organisation, at most 64 bytes.
    #[serde(default)]
    pub(in crate::console) organisation: String,
}

/// A request for an authority.
#[derive(Serialize, ToSchema)]
pub struct RequestOut {
    /// PKCS#10 as PEM. Its key stays here.
    request: String,
}

/// What the appliance shows within TLS.
#[utoipa::path(get, path = "/api/v1/certificate", tag = "system", responses(
    (status = 200, body = CertificateOut)))]
pub async fn certificate(
    State(console): State<Arc<Console>>,
) -> Result<Json<CertificateOut>, Problem> {
    shown(&console.certificates).map(Json)
}

/// Make a key, and a request for a certificate of it. The key of an earlier
/// request is forgotten.
#[utoipa::path(post, path = "/api/v1/certificate/request", request_body = RequestIn,
    tag = "system", responses(
    (status = 200, body = RequestOut),
    (status = 409, body = Problem, description = "A name is none")))]
pub async fn request(
    by: By,
    body: Result<Json<RequestIn>, JsonRejection>,
) -> Result<Json<RequestOut>, Problem> {
    let Json(wanted) = body.map_err(bad_json)?;
    ask(&by, wanted).await.map(|request| Json(RequestOut { request }))
}

/// Make a request.
pub(in crate::console) async fn ask(by: &By, wanted: RequestIn) -> Result<String, Problem> {
    let shown: Vec<_> =
        wanted.names.iter().take(NAMES_MAX).map(|n| crate::caps::one_line(n, 80)).collect();
    let what = format!("make a key and request a certificate for {}", shown.join(", "));
    change(by, what, move |all| all.request(&wanted.names, &wanted.organisation)).await
}

/// Show this certificate on trial: PEM with the certificate, those between it
/// and its authority, and its key unless it was requested here. Reach the
/// appliance anew, see that it works, and confirm within 120 s; otherwise the
/// one before is shown again.
#[utoipa::path(post, path = "/api/v1/certificate", tag = "system",
    request_body(content = String, content_type = "application/x-pem-file"), responses(
    (status = 200, body = CertificateOut),
    (status = 409, body = Problem, description = "Not taken, and why"),
    (status = 413, body = Problem, description = "Too long")))]
pub async fn install(
    by: By,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<CertificateOut>, Problem> {
    let too_long = |_| {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", "The text is too long")
            .detail("a certificate with its chain and key has at most 64 KiB")
    };
    let raw = body.map_err(too_long)?;
    try_out(&by, raw.to_vec()).await?;
    shown(&by.console.certificates).map(Json)
}

/// Show a certificate on trial.
pub(in crate::console) async fn try_out(by: &By, text: Vec<u8>) -> Result<About, Problem> {
    let (now, unix_s) = (clock::now(), clock::set_s(clock::unix_ms()));
    let what = "show another certificate on trial".to_owned();
    change(by, what, move |all| all.try_out(&text, now, unix_s)).await
}

/// Keep the certificate that is on trial.
#[utoipa::path(post, path = "/api/v1/certificate/confirm", tag = "system", responses(
    (status = 200, body = CertificateOut),
    (status = 409, body = Problem, description = "None is on trial")))]
pub async fn confirm(by: By) -> Result<Json<CertificateOut>, Problem> {
    keep(&by).await?;
    shown(&by.console.certificates).map(Json)
}

/// Keep what is on trial.
pub(in crate::console) async fn keep(by: &By) -> Result<About, Problem> {
    let now = clock::now();
    change(by, "keep the certificate on trial".to_owned(), move |all| all.keep(now)).await
}

/// End the trial now.
#[utoipa::path(post, path = "/api/v1/certificate/give-up", tag = "system", responses(
    (status = 200, body = CertificateOut),
    (status = 409, body = Problem, description = "None is on trial")))]
pub async fn give_up(by: By) -> Result<Json<CertificateOut>, Problem> {
    end_trial(&by).await?;
    shown(&by.console.certificates).map(Json)
}

/// End the trial now.
pub(in crate::console) async fn end_trial(by: &By) -> Result<(), Problem> {
    change(by, "give up the certificate on trial".to_owned(), Certificates::give_up).await
}

/// Show the appliance's own certificate again; the installed one and its key
/// are forgotten.
#[utoipa::path(post, path = "/api/v1/certificate/remove", tag = "system", responses(
    (status = 200, body = CertificateOut),
    (status = 409, body = Problem, description = "None is installed")))]
pub async fn remove(by: By) -> Result<Json<CertificateOut>, Problem> {
    forget(&by).await?;
    shown(&by.console.certificates).map(Json)
}

/// Forget the installed certificate.
pub(in crate::console) async fn forget(by: &By) -> Result<(), Problem> {
    change(by, "remove the installed certificate".to_owned(), Certificates::remove).await
}

async fn change<T: Send + 'static>(
    by: &By,
    what: String,
    work: impl FnOnce(&Certificates) -> Result<T, CertificateError> + Send + 'static,
) -> Result<T, Problem> {
    let certificates = Arc::clone(&by.console.certificates);
    // It makes keys, and waits for the disk.
    let done = tokio::task::spawn_blocking(move || work(&certificates)).await;
    let done = match done {
        Ok(done) => done.map_err(|error| problem(&error)),
        Err(_) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "Not done")),
    };
    by.told(what, done).await
}

fn problem(error: &CertificateError) -> Problem {
    let (status, kind) = match error {
        CertificateError::Refused(_) => (StatusCode::CONFLICT, "certificate"),
        CertificateError::Name(_) | CertificateError::Names | CertificateError::Organisation => {
            (StatusCode::CONFLICT, "names")
        }
        CertificateError::NoTrial => (StatusCode::CONFLICT, "no-trial"),
        CertificateError::NotInstalled => (StatusCode::CONFLICT, "not-installed"),
        CertificateError::Own(_) => (StatusCode::SERVICE_UNAVAILABLE, "disk"),
    };
    Problem::new(status, kind, "The certificate is not changed").detail(chain(error))
}

fn shown(certificates: &Certificates) -> Result<CertificateOut, Problem> {
    let now = clock::now();
    let none = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "disk", "There is none yet");
    let Status { shown, installed, trial_left_s, requested } =
        certificates.status(now).ok_or_else(none)?;
    let ms = |s: i64| u64::try_from(s).unwrap_or(0).saturating_mul(1_000);
    Ok(CertificateOut {
        key: shown.key.to_string(),
        subject: shown.subject,
        issuer: shown.issuer,
        names: shown.names,
        issuers: shown.issuers,
        from_unix_ms: ms(shown.from_s),
        until_unix_ms: ms(shown.until_s),
        fingerprint: shown.fingerprint,
        installed,
        trial_left_s,
        requested,
    })
}
