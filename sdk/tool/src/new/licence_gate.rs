//! Judges which edition an appliance is: a key that names the device's serial
//! number lifts the limits.

use evenkeel_sdk::register_licence_gate;
use evenkeel_sdk::worlds::{Edition, LicenceGate, LicenceKey, Plugin};

register_licence_gate!(Gate);

/// The gate.
pub struct Gate;

impl<H> Plugin<H> for Gate {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self)
    }
}

impl<H> LicenceGate<H> for Gate {
    fn judge(
        &mut self,
        _host: &mut H,
        device: &str,
        _utc_s: Option<u64>,
        keys: &[LicenceKey],
    ) -> Edition {
        match keys.iter().find(|key| key.payload == device.as_bytes()) {
            Some(key) => Edition {
                name: "full".into(),
                reason: format!("by {}", key.name),
                ..Edition::default()
            },
            None => Edition {
                name: "LC".into(),
                blocks: Some(24),
                ups_va: Some(6000),
                reason: format!("none of {} keys is for this device", keys.len()),
                ..Edition::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_sdk::testkit::Bench;

    use super::*;

    #[test]
    fn a_key_is_for_one_device() {
        let mut bench = Bench::default();
        let mut gate: Gate = Plugin::start(&mut bench).unwrap();
        let key = LicenceKey { name: "a.key".into(), payload: b"EK-1".to_vec() };
        let mut judge = |device: &str| gate.judge(&mut bench, device, None, &[key.clone()]);
        assert_eq!(judge("EK-1").name, "full");
        assert_eq!(judge("EK-2").blocks, Some(24));
    }
}
