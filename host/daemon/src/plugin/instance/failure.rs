//! Why an instance is over: in words, and as a report for whoever has to
//! repair it.

use super::{State, Surroundings};
use crate::caps::{Who, one_line};
use crate::clock;
use crate::plugin::budget::Cut;
use crate::plugin::limits::{COMPONENT_HANDLES_MAX, HOSTCALL_BYTES_MAX};
use crate::plugin::load::Package;
use crate::plugin::report::{Report, Reports};
use evenkeel_signing::Digest;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::warn;
use wasmtime::{FrameInfo, Trap, WasmBacktrace};

/// The call that makes an instance, for messages.
pub(super) const INSTANTIATION: &str = "instantiation";

/// Why an instance is over.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Before its first call.
    #[error("it cannot be instantiated: {detail}")]
    Instantiate {
        /// What the engine says.
        detail: String,
    },
    /// It said so itself.
    #[error("it does not accept its settings, correct them: {text}")]
    Declined {
        /// Its own words.
        text: String,
    },
    /// It broke its budget, or was told to stop.
    #[error("{call} {cut}")]
    Cut {
        /// The function: `start`, `wake`, …
        call: &'static str,
        /// Which limit.
        cut: Cut,
    },
    /// Asked for what its world does not have.
    #[error("it has no {call}; install a version of it that does")]
    Lacking {
        /// The function.
        call: &'static str,
    },
    /// It trapped.
    #[error("{call} trapped: {detail}")]
    Trapped {
        /// The function: `start`, `wake`, …
        call: &'static str,
        /// What and where.
        detail: String,
    },
}

/// Keeps what is known of a failure.
pub(super) struct Reporter {
    /// Whose.
    pub(super) who: Who,
    version: String,
    bundle: Digest,
    memory: Arc<AtomicU64>,
    reports: Option<Arc<Reports>>,
}

impl Reporter {
    pub(super) fn new(package: &Package, around: &Surroundings) -> Self {
        Self {
            who: around.who.clone(),
            version: package.manifest.version.clone(),
            bundle: package.hash,
            memory: Arc::clone(&around.memory),
            reports: around.services.reports.clone(),
        }
    }

    /// What `error` of a call means, and a report of it.
    pub(super) fn failed(
        &self,
        state: &State,
        call: &'static str,
        error: &wasmtime::Error,
    ) -> Failure {
        let failure = failure(state, call, error);
        self.keep(state, call, &failure, backtrace(error));
        failure
    }

    fn keep(&self, state: &State, call: &str, failure: &Failure, backtrace: Vec<String>) {
        let Some(reports) = &self.reports else { return };
        let (tape, gap) = state.tape.recorded();
        let report = Report {
            plugin: self.who.name.clone(),
            version: self.version.clone(),
            bundle: self.bundle,
            points: self.who.points.clone(),
            unix_ms: clock::unix_ms(),
            call: call.to_owned(),
            failure: failure.to_string(),
            backtrace,
            memory_bytes: self.memory.load(Ordering::Relaxed),
            cpu_us: state.budget.cpu_used().0 / 1_000,
            log: state.log.lines().iter().map(ToString::to_string).collect(),
            gap,
            repeats: 0,
        };
        if let Err(error) = reports.keep(report, &tape) {
            warn!(plugin = self.who.name, "its failure is not kept, check the disk: {error}");
        }
    }
}

/// An export that the plugin's world does not have. No guest code has run.
pub(super) fn lacking(call: &'static str) -> wasmtime::Error {
    Lacking(call).into()
}

#[derive(Debug, thiserror::Error)]
#[error("no {0}")]
struct Lacking(&'static str);

fn failure(state: &State, call: &'static str, error: &wasmtime::Error) -> Failure {
    if let Some(Lacking(call)) = error.downcast_ref() {
        return Failure::Lacking { call };
    }
    if let Some(cut) = state.budget.cut() {
        return Failure::Cut { call, cut };
    }
    if call == INSTANTIATION && !error.is::<Trap>() {
        return Failure::Instantiate { detail: one_line(&format!("{error:#}"), 300) };
    }
    let mut detail = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => {
            let text = error.root_cause().to_string();
            limit_met(&text).unwrap_or(text)
        }
    };
    let frames = backtrace(error);
    if !frames.is_empty() {
        detail.push_str(&format!(" in {}", frames.join(" ← ")));
    }
    if let Some(refusals) = state.limiter.refusals() {
        detail.push_str(&format!(" ({refusals})"));
    }
    Failure::Trapped { call, detail: one_line(&detail, 800) }
}

/// Which of our limits it met, where the engine says so in words of its own and
/// without the number.
fn limit_met(text: &str) -> Option<String> {
    if text.contains("fuel allocated for hostcalls") {
        return Some(format!(
            "more than {HOSTCALL_BYTES_MAX} bytes were to go from the plugin to the host in one call"
        ));
    }
    let handles = text.contains("store handle limit exceeded");
    handles.then(|| format!("it has {COMPONENT_HANDLES_MAX} handles and may have no more"))
}

/// Where it trapped, innermost first.
fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    let name = |frame: &FrameInfo| match frame.func_name() {
        Some(name) => one_line(name, 100),
        None => format!("function {}", frame.func_index()),
    };
    frames.iter().map(name).collect()
}
