//! The engine that all plugins share: one configuration, every switch of it
//! set on purpose (facts/wasm-host.md §8.2), and the thread that drives the
//! epoch.
//!
//! The daemon's engine has no compiler, even where one is built in: machine
//! code is made in another process ([`super::compile`]) by an engine of the
//! same [`config`].

use evenkeel_signing::Digest;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;
use wasmtime::{Config, Engine, WasmBacktraceDetails};

/// Interval at which a running plugin is looked at.
pub const TICK: Duration = Duration::from_millis(10);
/// Stack of the guest in bytes; its thread's stack leaves room for the host.
pub const WASM_STACK_BYTES: usize = 128 << 10;

/// The Wasmtime that this program is built with, to the patch: `48.0.8`.
pub const WASMTIME: &str = env!("EVENKEEL_WASMTIME");
/// What its machine code is for: the target triple, or the interpreter where
/// there is no compiler for the processor.
pub const TARGET: &str = if cfg!(target_arch = "arm") {
    "pulley32"
} else if cfg!(feature = "interpreter") {
    "pulley64"
} else {
    env!("EVENKEEL_TARGET")
};
/// Raised with every change of [`config`] on which compiled code depends; a
/// test notices such a change.
pub const CONFIGURATION: u32 = 1;

/// What [`CONFIGURATION`] is called in manifests with precompiled code.
#[must_use]
pub fn compat() -> Digest {
    Digest::of(format!("evenkeel engine configuration {CONFIGURATION}").as_bytes())
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Wasmtime does not work here.
    #[error("the plugin engine cannot be built on this machine; plugins stay off: {detail}")]
    Build {
        /// What Wasmtime says.
        detail: String,
    },
    /// No thread.
    #[error("the plugin clock's thread cannot be started; plugins stay off")]
    Ticker {
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// Build the engine and start its clock, which ends with the last user of the
/// engine.
///
/// # Errors
/// [`EngineError`] when the machine lacks what is needed.
pub fn start() -> Result<Engine, EngineError> {
    let engine = Engine::new(&running())
        .map_err(|error| EngineError::Build { detail: format!("{error:#}") })?;
    let weak = engine.weak();
    let tick = move || {
        // The upgraded engine is dropped before the sleep: this thread never
        // keeps it alive.
        while weak.upgrade().map(|engine| engine.increment_epoch()).is_some() {
            thread::sleep(TICK);
        }
    };
    thread::Builder::new()
        .name("plugin-clock".into())
        .stack_size(64 << 10)
        .spawn(tick)
        .map_err(|source| EngineError::Ticker { source })?;
    Ok(engine)
}

/// Nothing in this process can reach the compiler, by mistake or otherwise.
#[cfg(feature = "compiler")]
fn running() -> Config {
    let mut config = config();
    config.enable_compiler(false);
    config
}

#[cfg(not(feature = "compiler"))]
fn running() -> Config {
    config()
}

/// An engine that compiles and never runs: for the processor of this machine,
/// or for any that `target`, a triple, names.
///
/// # Errors
/// [`EngineError`] when the machine lacks what is needed, or there is no
/// compiler for the target.
#[cfg(feature = "compiler")]
pub fn compiling(target: Option<&str>) -> Result<Engine, EngineError> {
    let mut config = config();
    if let Some(target) = target {
        config
            .target(target)
            .map_err(|error| EngineError::Build { detail: format!("{error:#}") })?;
    }
    // A driver waits for its line and computes some 20 µs per poll; compiling
    // is what it costs. Without the optimiser that takes a quarter less, and a
    // poll 10 µs more (`examples/plugin_cost.rs`). The register allocator stays
    // the default one, which everybody tests: the sandbox rests on it.
    config.cranelift_opt_level(wasmtime::OptLevel::None);
    Engine::new(&config).map_err(|error| EngineError::Build { detail: format!("{error:#}") })
}

/// The configuration under which plugins are compiled and run. Garbage
/// collection, threads, exceptions and async are not compiled in at all
/// (workspace `Cargo.toml`).
#[must_use]
pub fn config() -> Config {
    let mut config = Config::new();
    #[cfg(feature = "interpreter")]
    config.target(TARGET).expect("one of Wasmtime's own targets");
    // Processor time and stack.
    config.epoch_interruption(true);
    config.consume_fuel(false);
    config.concurrency_support(false);
    config.max_wasm_stack(WASM_STACK_BYTES);
    // The language: what a driver compiled by rustc needs, and no more.
    config.wasm_relaxed_simd(false);
    config.wasm_simd(false);
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_tail_call(false);
    config.gc_support(false);
    // Address space: small reservations, equal for all, and no moving.
    config.memory_reservation(16 << 20);
    config.memory_reservation_for_growth(0);
    config.memory_may_move(false);
    // What a trap tells. `Disable` also keeps the environment out of it.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.wasm_backtrace_max_frames(NonZeroUsize::new(16));
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If this fails, [`config`] or Wasmtime's major version has changed: raise
    /// [`CONFIGURATION`] and write the new number here.
    #[cfg(all(feature = "compiler", not(feature = "interpreter"), target_arch = "x86_64"))]
    #[test]
    fn the_configuration_has_a_number_of_its_own() {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut config = config();
        // For this target whatever the processor of this machine can do.
        config.target("x86_64-unknown-linux-gnu").expect("known");
        let engine = Engine::new(&config).expect("an engine");
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        assert_eq!((CONFIGURATION, hasher.finish()), (1, 12_733_197_730_559_233_544));
        assert!(WASMTIME.starts_with("48."), "{WASMTIME}");
    }

    #[test]
    fn the_clock_ends_with_the_engine() {
        let engine = start().expect("an engine");
        let weak = engine.weak();
        drop(engine);
        // At most one tick may hold it for an instant.
        thread::sleep(TICK * 5);
        assert!(weak.upgrade().is_none());
    }
}
