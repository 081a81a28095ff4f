//! World `evenkeel:authenticator/authenticator`.

use bindings::exports::evenkeel::authenticator::login;

use super::{Appliance, Registered, life, started};
use crate::Authenticator;
use crate::worlds::{Attempt, SignIn};

/// Generated from `wit/authenticator`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["wit/log", "wit/clock", "wit/config", "wit/random", "wit/kv", "wit/crypto", "wit/net-client", "wit/plugin", "wit/authenticator"],
        world: "evenkeel:authenticator/authenticator",
        with: {
            "evenkeel:log/log@0.1.0": crate::wasm::imports::evenkeel::log::log,
            "evenkeel:clock/clock@0.1.1": crate::wasm::imports::evenkeel::clock::clock,
            "evenkeel:config/config@0.1.0": crate::wasm::imports::evenkeel::config::config,
            "evenkeel:random/random@0.1.0": crate::wasm::imports::evenkeel::random::random,
            "evenkeel:kv/kv@0.1.0": crate::wasm::imports::evenkeel::kv::kv,
            "evenkeel:crypto/crypto@0.1.0": crate::wasm::imports::evenkeel::crypto::crypto,
            "evenkeel:net-client/net-client@0.1.0": crate::wasm::imports::evenkeel::net_client::net_client,
        },
        generate_all,
        pub_export_macro: true,
    });
}

life!(Authenticator, |_: &mut R::Plugin| ());

impl<R: Registered> login::Guest for R
where
    R::Plugin: Authenticator<Appliance>,
{
    fn authenticate(attempt: login::Attempt) -> Result<login::Verdict, String> {
        let login::Attempt { user, password, peer, state } = attempt;
        let attempt = Attempt { user, password, peer, state };
        let verdict = R::with(|slot| started(slot).authenticate(&mut Appliance, &attempt))?;
        Ok(match verdict {
            SignIn::Accepted(words) => login::Verdict::Accepted(words),
            SignIn::Rejected => login::Verdict::Rejected,
            SignIn::Challenge { state, prompt } => {
                login::Verdict::Challenge(login::Challenge { state, prompt })
            }
        })
    }
}
