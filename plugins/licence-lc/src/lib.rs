//! The licence gate: which edition is this appliance? A pure function
//! ([`judge`]) of licences that the appliance has verified ([`payload`] says
//! what is in them), its serial number and the date.
//!
//! It gates values only; the appliance asks nobody before it protects a
//! battery or raises an alarm.

use evenkeel_sdk::worlds::{Edition, LicenceKey};
use evenkeel_sdk::{LicenceGate, Plugin};
use judge::{Key, Verdict};

pub mod judge;
pub mod payload;

/// The gate. It keeps nothing: what was true a moment ago is judged anew.
pub struct LicenceLc;

impl<H> Plugin<H> for LicenceLc {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self)
    }
}

impl<H> LicenceGate<H> for LicenceLc {
    fn judge(
        &mut self,
        _host: &mut H,
        device: &str,
        utc_s: Option<u64>,
        keys: &[LicenceKey],
    ) -> Edition {
        let keys: Vec<_> =
            keys.iter().map(|key| Key { name: &key.name, payload: &key.payload }).collect();
        let Verdict { edition, blocks, ups_va, until, reason } = judge::judge(device, utc_s, &keys);
        Edition { name: edition, blocks, ups_va, until, reason }
    }
}

evenkeel_sdk::register_licence_gate!(LicenceLc);
