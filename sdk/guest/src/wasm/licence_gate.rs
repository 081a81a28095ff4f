//! World `evenkeel:licence/licence-gate`.

use bindings::exports::evenkeel::licence::gate;

use super::{Appliance, Registered, started};
use crate::LicenceGate;
use crate::worlds::LicenceKey;

/// Generated from `wit/licence`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod bindings {
    wit_bindgen::generate!({
        inline: "package evenkeel:sdk-licence-gate; world licence-gate { export evenkeel:licence/gate@0.1.0; }",
        path: ["wit/log", "wit/plugin", "wit/licence"],
        world: "evenkeel:sdk-licence-gate/licence-gate",
        pub_export_macro: true,
    });
}

/// Nothing is to be done after the start.
#[doc(hidden)]
pub fn begun<P: LicenceGate<Appliance>>(_plugin: &P) {}

impl<R: Registered> gate::Guest for R
where
    R::Plugin: LicenceGate<Appliance>,
{
    fn judge(device: String, utc_s: Option<u64>, keys: Vec<gate::Key>) -> gate::Verdict {
        let convert = |key: gate::Key| LicenceKey { name: key.name, payload: key.payload };
        let keys: Vec<_> = keys.into_iter().map(convert).collect();
        let edition = R::with(|slot| started(slot).judge(&mut Appliance, &device, utc_s, &keys));
        gate::Verdict {
            edition: edition.name,
            blocks: edition.blocks,
            ups_va: edition.ups_va,
            until: edition.until,
            reason: edition.reason,
        }
    }
}
