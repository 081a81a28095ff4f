//! World `evenkeel:licence/licence-gate`.

use bindings::exports::evenkeel::licence::gate;

use super::{Appliance, Registered, life, started};
use crate::LicenceGate;
use crate::worlds::LicenceKey;

/// Generated from `wit/licence`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["wit/log", "wit/plugin", "wit/licence"],
        world: "evenkeel:licence/licence-gate",
        with: {
            "evenkeel:log/log@0.1.0": crate::wasm::imports::evenkeel::log::log,
        },
        generate_all,
        pub_export_macro: true,
    });
}

life!(LicenceGate, |_: &mut R::Plugin| ());

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
