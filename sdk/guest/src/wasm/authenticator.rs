//! World `evenkeel:authenticator/authenticator`.

use bindings::exports::evenkeel::authenticator::login;

use super::{Appliance, Registered, started};
use crate::Authenticator;
use crate::worlds::{Attempt, SignIn};

/// Generated from `wit/authenticator`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod bindings {
    wit_bindgen::generate!({
        inline: "package evenkeel:sdk-authenticator; world authenticator { export evenkeel:authenticator/login@0.1.0; }",
        path: ["wit/log", "wit/clock", "wit/config", "wit/random", "wit/kv", "wit/crypto", "wit/net-client", "wit/plugin", "wit/authenticator"],
        world: "evenkeel:sdk-authenticator/authenticator",
        pub_export_macro: true,
    });
}

/// Nothing is to be done after the start.
#[doc(hidden)]
pub fn begun<P: Authenticator<Appliance>>(_plugin: &P) {}

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
