//! The appliance's decisions as a [`Guardian`].

use super::rig::{Guardian, Opinion, Seen};
use evenkeel_core::bus::wire::Duty;
use evenkeel_core::control::Control;
use evenkeel_core::settings::GuardSettings;

/// The guard's control.
pub struct ControlGuardian(Control);

impl ControlGuardian {
    /// For these settings.
    #[must_use]
    pub fn new(settings: &GuardSettings) -> Self {
        Self(Control::new(settings, &settings.addresses()))
    }
}

impl Guardian for ControlGuardian {
    fn step(&mut self, seen: &Seen<'_>) -> &[Duty] {
        self.0.step(seen.modules, seen.now)
    }

    fn commanded(&mut self) {
        self.0.commanded();
    }

    fn opinion(&self, string: usize) -> Opinion {
        let record = &self.0.snapshot.strings[string];
        Opinion {
            inhibited: !record.inhibits.is_empty(),
            tripped: false,
            out_of_reach: record.saturated > 0,
            worst_v: record.worst_v,
            sum_v: record.sum_v,
        }
    }

    fn protects(&self) -> bool {
        false
    }
}
