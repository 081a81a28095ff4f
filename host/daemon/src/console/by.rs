//! Who does something by a request. Whatever they try is told by an event, with
//! what came of it (facts/appliance-security.md SEC-110).

use super::Console;
use super::gate::Peer;
use super::problem::Problem;
use super::session::Caller;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use evenkeel_core::events::Event;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

/// Somebody who changes something.
pub struct By {
    /// Where.
    pub console: Arc<Console>,
    /// Who.
    pub caller: Caller,
    /// From which address.
    pub from: IpAddr,
}

impl FromRequestParts<Arc<Console>> for By {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Arc<Console>,
    ) -> Result<Self, Problem> {
        // The gate puts both there before any handler runs.
        let caller = parts.extensions.get::<Caller>().ok_or_else(Problem::unauthorized)?;
        let Peer(from) = parts.extensions.get().ok_or_else(Problem::unauthorized)?;
        Ok(Self { console: Arc::clone(console), caller: caller.clone(), from: *from })
    }
}

impl By {
    /// Tell what was tried, in words, and what came of it.
    ///
    /// # Errors
    /// What came of it.
    pub async fn told<T, E: Display>(&self, order: String, done: Result<T, E>) -> Result<T, E> {
        let refused = done.as_ref().err().map(ToString::to_string);
        let told = self.event(order, refused);
        self.console.store.record_promptly(told).await;
        done
    }

    /// That they order this.
    #[must_use]
    pub fn event(&self, order: String, refused: Option<String>) -> Event {
        let (user, from) = (self.caller.user.clone(), self.from.to_string());
        Event::Ordered { user, from, order, refused }
    }
}
