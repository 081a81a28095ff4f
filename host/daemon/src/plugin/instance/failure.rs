//! Why an instance is over: in words, and as a report for whoever has to
//! repair it.

use super::{State, Surroundings};
use crate::caps::{Who, one_line};
use crate::clock;
use crate::plugin::budget::Cut;
use crate::plugin::limits::{COMPONENT_HANDLES_MAX, HOSTCALL_BYTES_MAX};
use crate::plugin::load::Package;
use crate::plugin::report::{Report, Reports};
use core::fmt::{self, Write as _};
use evenkeel_signing::Digest;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::warn;
use wasmtime::{FrameInfo, Trap, WasmBacktrace};

/// Longest name of a function in a report, in bytes.
const NAME_MAX: usize = 120;
/// A name that a compiler mangled and that is longer is shown as it stands: few
/// bytes can stand for endlessly many.
const MANGLED_MAX: usize = 4_096;

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
        Some(name) => spoken(name),
        None => format!("function {}", frame.func_index()),
    };
    frames.iter().map(name).collect()
}

/// A function's name as its author wrote it, where a Rust compiler mangled it. The
/// plugin's file says it, so it is anything.
fn spoken(name: &str) -> String {
    let plain = |name: &str| one_line(name, NAME_MAX);
    if name.len() > MANGLED_MAX {
        return plain(name);
    }
    let Ok(demangled) = rustc_demangle::try_demangle(name) else { return plain(name) };
    let mut bounded = Bounded(String::new());
    // An error is the end of the room, and what fitted is enough. The alternate form
    // leaves out the hash, by which a person knows nothing.
    let _ = write!(bounded, "{demangled:#}");
    plain(&bounded.0)
}

/// Takes what [`NAME_MAX`] can show, and one piece more, so that the cut is seen.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.0.len() > NAME_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_as_their_authors_did() {
        let (now, before) = ("_RNvCs1234_4loud3sum", "_ZN4loud4wire5parse17h05af221e174051e9E");
        assert_eq!((spoken(now), spoken(before)), ("loud::sum".into(), "loud::wire::parse".into()));
        let of_a_trait = "_RNvXCs1234_4loudNtB2_4UnitNtB2_6Driver4poll";
        assert_eq!(spoken(of_a_trait), "<loud::Unit as loud::Driver>::poll");
        for plain in ["exports_evenkeel_notifier_notify", "cabi_realloc", "_ZN", "_R"] {
            assert_eq!(spoken(plain), plain);
        }
    }

    #[test]
    fn no_name_is_long_or_more_than_a_line() {
        // Each tuple is of two of the one before: forty of them say 2^40 types.
        let mut bomb = "_RINvC4loud1fTyyE".to_owned();
        let mut last = "Ba_".to_owned();
        for _ in 0..40 {
            let at = bomb.len() - "_R".len();
            bomb.push_str(&format!("T{last}{last}E"));
            last = format!("B{}_", base_62(at - 1));
        }
        bomb.push('E');
        let long = format!("_ZN{}E", "9evilevil9".repeat(1_000));
        for name in [bomb.as_str(), &long, "a\nb\u{1b}[2J", &"ä".repeat(9_999)] {
            let shown = spoken(name);
            assert!(shown.len() <= NAME_MAX, "{shown}");
            assert!(!shown.contains(char::is_control), "{shown:?}");
        }
        assert!(spoken(&bomb).starts_with("loud::f::<(u64, u64), ((u64, u64), "), "{bomb}");
    }

    /// A back reference of Rust's mangling (v0).
    fn base_62(mut number: usize) -> String {
        const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut digits = Vec::new();
        loop {
            digits.insert(0, char::from(DIGITS[number % 62]));
            number /= 62;
            if number == 0 {
                return digits.into_iter().collect();
            }
        }
    }
}
