//! Asking a gateway plugin for an answer, over its restarts.
//!
//! A request waits while the plugin restarts or is busy. When the plugin fails
//! *while* it serves a request, that request is the cause and its source gets a
//! strike; one that only waited is asked again. That is sound because a
//! gateway keeps nothing of a connection between two requests.

use super::limits::{PAUSE, SERVE_WAIT, TURNS_MAX};
use super::strikes::Strikes;
use crate::clock;
use crate::console::throttle::Source;
use crate::plugin::bindings::service::Served;
use crate::plugin::inbox::{Inbox, Undone};
use evenkeel_core::time::Nanos;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

/// The plugin behind the listeners.
#[derive(Debug)]
pub(super) struct Gateway {
    plugin: String,
    inbox: Arc<Inbox>,
    turns: Semaphore,
    strikes: Mutex<Strikes>,
}

/// Whose request it is.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    /// Logical name of the listener.
    pub(super) listener: Arc<str>,
    /// The connection.
    pub(super) id: u64,
    /// Where it comes from.
    pub(super) source: Source,
}

/// What became of a request.
pub(super) enum Outcome {
    /// This is the answer.
    Served(Served),
    /// There is none, and the connection is to be closed: the plugin failed
    /// over it, or did not come to it in time.
    Over,
}

impl Gateway {
    pub(super) fn new(plugin: &str, inbox: &Arc<Inbox>) -> Self {
        Self {
            plugin: plugin.to_owned(),
            inbox: Arc::clone(inbox),
            turns: Semaphore::new(TURNS_MAX),
            strikes: Mutex::default(),
        }
    }

    /// What it is called.
    pub(super) fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Whether nothing is taken from this source now.
    pub(super) fn is_held(&self, source: Source) -> bool {
        self.held(source).is_some()
    }

    /// Have the gateway look at what arrived.
    pub(super) async fn serve(&self, asker: &Asker, data: &[u8]) -> Outcome {
        let deadline = Instant::now() + SERVE_WAIT;
        let data: Arc<[u8]> = data.into();
        loop {
            let turn = async {
                // Its other connections wait with it.
                while let Some(held) = self.held(asker.source) {
                    sleep(Duration::from_nanos(held.0)).await;
                }
                let turn = self.turns.acquire().await;
                self.inbox.opened().await;
                turn
            };
            let Ok(Ok(_turn)) = tokio::time::timeout_at(deadline, turn).await else {
                return Outcome::Over;
            };
            let begun = Arc::new(AtomicBool::new(false));
            let (seen, whole, who) = (Arc::clone(&begun), Arc::clone(&data), asker.clone());
            let asked = self.inbox.ask(move |plugin| {
                seen.store(true, Ordering::Relaxed);
                plugin.serve(&who.listener, who.id, &whole)
            });
            let mut answer = match asked {
                Ok(answer) => answer,
                // It ended just now; the next `opened` waits.
                Err(Undone::NotRunning) => continue,
                // Others than connections fill the inbox.
                Err(_) => {
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let answered = tokio::select! {
                answered = &mut answer => answered,
                // Once begun it is waited for: a command may take its time.
                () = sleep_until(deadline) => match begun.load(Ordering::Relaxed) {
                    true => answer.await,
                    false => return Outcome::Over,
                },
            };
            match answered {
                Ok(served) => return Outcome::Served(served),
                Err(_) if begun.load(Ordering::Relaxed) => {
                    self.strike(asker);
                    return Outcome::Over;
                }
                Err(_) => {}
            }
        }
    }

    /// Tell the gateway that a connection is over; one that does not run has
    /// forgotten it anyway.
    pub(super) async fn closed(&self, id: u64) {
        while self.inbox.tell(move |plugin| plugin.closed(id)) == Err(Undone::Full) {
            sleep(PAUSE).await;
        }
    }

    fn held(&self, source: Source) -> Option<Nanos> {
        let strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        strikes.held(source, clock::now())
    }

    fn strike(&self, asker: &Asker) {
        let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        let hold = strikes.strike(asker.source, clock::now());
        let (plugin, seconds) = (self.plugin.as_str(), hold.as_millis() / 1_000);
        let (listener, source) = (&asker.listener, asker.source);
        warn!(
            plugin,
            "it failed over what {source:?} sent to {listener:?}; that source is not listened to \
             for {seconds} s"
        );
    }
}
