//! Switching an output of one of the guard's devices for a plugin that was
//! granted it: in the queue of its device, with a deadline, and an event.

use super::{CommandError, PLUGIN_RUN_MAX, Patience, Switchboard};
use crate::guard::Orders;
use evenkeel_core::events::Event;
use std::time::Instant;

/// An output, and how it shall be.
#[derive(Clone, Copy, Debug)]
pub struct Switch<'a> {
    /// Name of the device in the guard's settings.
    pub device: &'a str,
    /// Its number there when it was looked up, for the event.
    pub number: u16,
    /// The output, counted from 1.
    pub output: u8,
    /// On or off.
    pub on: bool,
}

impl Switchboard {
    /// Switch an output for the plugin `who`, and wait for the guard's word, at
    /// most [`PLUGIN_RUN_MAX`]. The guard refuses outputs that protection or tests use. Not
    /// on a thread of the runtime.
    ///
    /// # Errors
    /// [`CommandError`]; it was tried if there is an event of it.
    pub fn switch(&self, who: &str, switch: Switch<'_>) -> Result<(), CommandError> {
        let now = Instant::now();
        let deadline = now + PLUGIN_RUN_MAX;
        let target = format!("device.{}", switch.number);
        // Plugins of one device wait for each other: the guard answers in a cycle.
        let _place = self.place(&target, Patience::Own, now)?;
        let Switch { device, output, on, .. } = switch;
        let give = async |orders: &Orders| orders.switch(device.to_owned(), output, on).await;
        let outcome = self.ask_guard(deadline, give);
        if let Some(events) = &self.events {
            events(Event::Commanded {
                who: who.to_owned(),
                target,
                command: format!("output.{output}"),
                value: Some(if on { "on" } else { "off" }.to_owned()),
                refused: outcome.as_ref().err().map(ToString::to_string),
            });
        }
        outcome
    }
}
