//! Machine code for a verified component: from its bundle, from the cache, or
//! from the compiler, which works in a process of its own.
//!
//! The daemon never compiles. Compiling is where a hostile component could take
//! memory and time without end, and denial of service while compiling is
//! outside Wasmtime's security policy (facts/wasm-host.md §2, §9); so it is
//! done by a short-lived child of the same program ([`helper`]), which limits
//! itself before it reads a byte ([`child`], [`confine`]). The same program and
//! not one beside it: compiler and runtime are then one build with one engine
//! configuration, and code that the daemon never touches costs it no memory.
//! A build without the compiler is the cargo feature `compiler` switched off.
//!
//! What the helper cannot protect from is a compiler that makes *wrong* code
//! of a crafted component: what it returns is run. Against that stand the
//! signature before and the daemon's own confinement after.

#[cfg(feature = "compiler")]
mod cache;
#[cfg(feature = "compiler")]
pub mod child;
#[cfg(feature = "compiler")]
mod confine;
#[cfg(feature = "compiler")]
pub mod helper;

use crate::plugin::engine;
#[cfg(feature = "compiler")]
use cache::{Cache, Key};
use evenkeel_signing::Digest;
#[cfg(feature = "compiler")]
use helper::{Helper, HelperError};
#[cfg(feature = "compiler")]
use std::path::Path;
#[cfg(feature = "compiler")]
use std::sync::{Condvar, Mutex, PoisonError};
#[cfg(feature = "compiler")]
use tracing::{info, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Where code comes from.
pub struct Compiler {
    engine: Engine,
    #[cfg(feature = "compiler")]
    helper: Helper,
    /// `None` when it cannot be kept: every start compiles.
    #[cfg(feature = "compiler")]
    cache: Option<Cache>,
    #[cfg(feature = "compiler")]
    turns: Turns,
}

/// Machine code that a bundle of the platform brings along. To make one for
/// any other bundle is to let its signer run what he likes in this process.
#[derive(Clone, Copy, Debug)]
pub struct Precompiled<'a> {
    /// What it is for, as [`engine::TARGET`].
    pub target: &'a str,
    /// Version of Wasmtime that made it, as [`engine::WASMTIME`].
    pub wasmtime: &'a str,
    /// Settings that it was made with, as [`engine::compat`].
    pub compat: Digest,
    /// The code.
    pub bytes: &'a [u8],
}

impl Precompiled<'_> {
    fn fits(&self) -> bool {
        self.target == engine::TARGET
            && self.wasmtime == engine::WASMTIME
            && self.compat == engine::compat()
    }
}

/// Where the code of a component came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From its bundle.
    Bundle,
    /// From the cache.
    Cache,
    /// From the compiler, just now.
    Compiler,
}

/// Why there is no code for a component.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// Not a component.
    #[error("it is no valid component; ask the vendor for a correct build: {detail}")]
    Invalid {
        /// What the compiler says.
        detail: String,
    },
    /// The compiler did not finish.
    #[cfg(feature = "compiler")]
    #[error("it cannot be compiled")]
    Helper {
        /// What became of its process.
        #[source]
        source: HelperError,
    },
    /// This build only runs precompiled code.
    #[error(
        "this appliance has no compiler, and the bundle has no code for {} made by Wasmtime {} \
        with settings {}; ask the vendor to have the maker of the appliance add the code and sign \
        the bundle",
        engine::TARGET,
        engine::WASMTIME,
        engine::compat()
    )]
    NoCompiler,
    /// Code that was made for this engine and is refused by it.
    #[error("its machine code cannot be loaded: {detail}")]
    Load {
        /// What the engine says.
        detail: String,
    },
}

/// Code of which the origin is known: signed by the platform, authenticated or
/// just made by our own compiler. There is no other way to obtain one.
struct Trusted<'a>(&'a [u8]);

impl Compiler {
    /// For `engine`; compiled code is kept in `data_dir`.
    #[cfg(feature = "compiler")]
    #[must_use]
    pub fn new(engine: Engine, helper: Helper, data_dir: &Path) -> Self {
        let cache = Cache::open(data_dir)
            .map_err(|error| {
                let error = crate::plugin::reason(&error);
                warn!("compiled plugins are not kept, each start compiles them again: {error}");
            })
            .ok();
        Self { engine, helper, cache, turns: Turns::default() }
    }

    /// For `engine`, and nothing is kept.
    #[cfg(feature = "compiler")]
    #[must_use]
    pub fn without_cache(engine: Engine, helper: Helper) -> Self {
        Self { engine, helper, cache: None, turns: Turns::default() }
    }

    /// For `engine`, from bundles alone.
    #[cfg(not(feature = "compiler"))]
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// The engine for which code is made.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether code that was made is there the next time.
    #[must_use]
    pub const fn keeps_code(&self) -> bool {
        #[cfg(feature = "compiler")]
        return self.cache.is_some();
        #[cfg(not(feature = "compiler"))]
        return false;
    }

    /// The component of a verified bundle as something that can be linked;
    /// `shipped` is the code that the same bundle brings along, if the platform
    /// signed it.
    ///
    /// # Errors
    /// [`CodeError`]; nothing of the component has run.
    pub fn component(
        &self,
        bytes: &[u8],
        shipped: &[Precompiled<'_>],
    ) -> Result<(Component, Source), CodeError> {
        if let Some(code) = shipped.iter().find(|code| code.fits()) {
            // Signed by the platform with the bundle that the caller verified.
            return Ok((self.load(&Trusted(code.bytes))?, Source::Bundle));
        }
        self.without_shipped(bytes)
    }

    #[cfg(feature = "compiler")]
    fn without_shipped(&self, bytes: &[u8]) -> Result<(Component, Source), CodeError> {
        let key = Key::of(bytes);
        // Whoever comes while another compiles the same finds it in the cache.
        let _turn = self.turns.take(key);
        if let Some(cache) = &self.cache
            && let Some(code) = cache.find(&key)
        {
            // Authenticated by the cache.
            match self.load(&Trusted(&code)) {
                Ok(component) => return Ok((component, Source::Cache)),
                Err(error) => {
                    // Another processor under the same disk, for example.
                    info!("a kept plugin is compiled again: {error}");
                    cache.drop_entry(&key);
                }
            }
        }
        let code = self.helper.compile(bytes).map_err(|error| match error {
            HelperError::Invalid { detail } => CodeError::Invalid { detail },
            source => CodeError::Helper { source },
        })?;
        // Made by our own program, and handed over on a pipe that only it had.
        let component = self.load(&Trusted(&code))?;
        if let Some(cache) = &self.cache
            && let Err(error) = cache.keep(&key, &code)
        {
            warn!("a compiled plugin is not kept, check the disk: {error}");
        }
        Ok((component, Source::Compiler))
    }

    #[cfg(not(feature = "compiler"))]
    fn without_shipped(&self, _: &[u8]) -> Result<(Component, Source), CodeError> {
        Err(CodeError::NoCompiler)
    }

    #[expect(unsafe_code, reason = "machine code has to be taken on trust")]
    fn load(&self, code: &Trusted<'_>) -> Result<Component, CodeError> {
        // SAFETY: the bytes must be what `precompile_component` once returned,
        // unchanged. `Trusted` is made in three places: of code in a bundle
        // that a key of the platform signed (a vendor's signature does not
        // count: `Trust` refuses his code, and `load::precompiled` leaves it
        // out), of a cache entry whose HMAC under the device's key held, and of
        // the helper's answer. So whoever can choose these bytes could as well
        // choose the firmware. They are in memory that nobody else writes. What
        // another version or processor made is refused by Wasmtime's own
        // comparison.
        let loaded = unsafe { Component::deserialize(&self.engine, code.0) };
        loaded.map_err(|error| CodeError::Load {
            detail: crate::caps::one_line(&format!("{error:#}"), 300),
        })
    }
}

/// What is being compiled: each component by one at a time.
#[cfg(feature = "compiler")]
#[derive(Default)]
struct Turns {
    taken: Mutex<Vec<Key>>,
    ended: Condvar,
}

#[cfg(feature = "compiler")]
impl Turns {
    /// Waits until nobody else is at `key`.
    fn take(&self, key: Key) -> Turn<'_> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.wait_while(taken, |taken| taken.contains(&key));
        waited.unwrap_or_else(PoisonError::into_inner).push(key);
        Turn { turns: self, key }
    }
}

/// Over when it is dropped.
#[cfg(feature = "compiler")]
struct Turn<'a> {
    turns: &'a Turns,
    key: Key,
}

#[cfg(feature = "compiler")]
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|key| *key != self.key);
        self.turns.ended.notify_all();
    }
}

#[cfg(all(test, feature = "compiler"))]
mod tests;
