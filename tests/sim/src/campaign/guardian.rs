//! The appliance's decisions as a [`Guardian`]: the guard's whole control.

use super::rig::{Around, Guardian, Opinion};
use evenkeel_core::bus::master::Master;
use evenkeel_core::bus::wire::Duty;
use evenkeel_core::command::Order;
use evenkeel_core::control::{Control, Kept};
use evenkeel_core::equalize::Feasibility;
use evenkeel_core::settings::GuardSettings;

/// See the head of this file.
pub struct ControlGuardian {
    control: Control,
    settings: GuardSettings,
}

impl ControlGuardian {
    /// For these settings, with nothing kept.
    #[must_use]
    pub fn new(settings: &GuardSettings) -> Self {
        Self { control: Control::new(settings, &Kept::default()), settings: settings.clone() }
    }
}

impl Guardian for ControlGuardian {
    fn step(&mut self, master: &mut Master, around: &Around) {
        self.control.step(std::slice::from_mut(master), around.now, Some(around.wall_s));
    }

    fn order(&mut self, order: Order, around: &Around) -> bool {
        self.control.order(order, around.now, Some(around.wall_s)).is_ok()
    }

    fn restart(&mut self) {
        let mut kept = Kept::default();
        self.control.keep(&mut kept);
        self.control = Control::new(&self.settings, &kept);
    }

    fn go_on(&mut self, master: &mut Master) -> bool {
        self.control.go_on(0, master)
    }

    fn commanded(&mut self) {
        self.control.commanded();
    }

    fn duties(&self) -> &[Duty] {
        self.control.duties(0)
    }

    fn opinion(&self, string: usize) -> Opinion {
        let string = &self.control.strings()[string];
        let (equalize, protect) = (string.equalization(), string.protection());
        Opinion {
            inhibited: !equalize.inhibits.is_empty(),
            tripped: protect.trip.is_some(),
            out_of_reach: matches!(equalize.feasibility, Feasibility::Infeasible { .. }),
            worst_v: equalize.worst_v,
            sum_v: equalize.sum_v,
        }
    }
}
