//! Errors of the HTTP API: `application/problem+json` (RFC 9457).

use crate::accounts::rights::{Area, Level};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fmt;

/// What went wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// A stable word for programs.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The same in short, for people.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Try again after so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem without further words.
    #[must_use]
    pub const fn new(status: StatusCode, kind: &'static str, title: &'static str) -> Self {
        Self { kind, title, status: status.as_u16(), detail: None, retry_after_s: None }
    }

    /// With what to do about it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With the time after which it may work.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The request makes no sense.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request makes no sense")
            .detail(detail)
    }

    /// More was sent than `what` ever has.
    #[must_use]
    pub fn too_long(what: &str, max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", "The file is too long")
            .detail(format!("{what} has at most {max} bytes; is it the right file?"))
    }

    /// Nobody is signed in.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not-signed-in", "Nobody is signed in")
            .detail("POST user and password to /api/v1/login and send the cookie it sets")
    }

    /// Nobody has claimed the appliance.
    #[must_use]
    pub fn unclaimed() -> Self {
        let title = "Nobody has claimed the appliance";
        Self::new(StatusCode::UNAUTHORIZED, "not-claimed", title)
            .detail("open it in a browser, type the claim code and choose a password")
    }

    /// Somebody wants what needs a password that is not old.
    #[must_use]
    pub fn step_up() -> Self {
        let title = "The password is asked for again";
        Self::new(StatusCode::UNAUTHORIZED, "step-up", title).detail(
            "the last one is more than 5 minutes old: POST it to /api/v1/step-up, then repeat \
             this; for an account that is kept elsewhere, sign in again",
        )
    }

    /// Somebody wants what none of their roles allows.
    #[must_use]
    pub fn not_allowed(user: &str, area: Area, level: Level) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not-allowed", "This account may not do that").detail(
            format!(
                "it needs {level} in {area}, which no role of {user} has; ask an administrator"
            ),
        )
    }

    /// The store failed.
    #[must_use]
    pub fn store(error: &crate::store::StoreError) -> Self {
        tracing::error!("{}", crate::failure::chain(error));
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store", "The store cannot be used")
            .detail("try again; when it goes on, check the appliance's disk and its log")
            .retry_after(5)
    }

    /// Words for a page.
    #[must_use]
    pub fn text(&self) -> String {
        self.to_string()
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail.as_deref().unwrap_or(self.title))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let kind = (header::CONTENT_TYPE, "application/problem+json");
        let mut response = (self.status(), [kind], body).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
