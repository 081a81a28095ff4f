//! What all worlds export: `evenkeel:plugin/life`.

use bindings::exports::evenkeel::plugin::life;

use super::{Appliance, Registered, report_panics, started};
use crate::Plugin;

/// Generated from `wit/plugin`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod bindings {
    wit_bindgen::generate!({
        inline: "package evenkeel:sdk-life; world life { export evenkeel:plugin/life@0.1.0; }",
        path: ["wit/plugin"],
        world: "evenkeel:sdk-life/life",
        pub_export_macro: true,
    });
}

impl<R: Registered> life::Guest for R {
    fn start(previous: Option<Vec<u8>>) -> Result<(), String> {
        // First, so that no message of a panic is lost.
        report_panics();
        let mut plugin = R::Plugin::start(&mut Appliance)?;
        if let Some(state) = previous {
            plugin.resume(&state);
        }
        R::begun(&plugin);
        R::with(|slot| *slot = Some(plugin));
        Ok(())
    }

    fn wake() -> u32 {
        R::with(|slot| started(slot).wake(&mut Appliance))
    }

    fn save() -> Vec<u8> {
        R::with(|slot| started(slot).save())
    }
}
