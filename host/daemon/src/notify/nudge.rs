//! Wakes the plugins that read the event log when there is something new in
//! it, so that none of them has to ask again and again. Notifiers are not
//! among them: they are told.

use crate::caps::{base, events};
use crate::plugin::slot::Slot;
use crate::store::Store;
use std::sync::Arc;

/// Wake those of the plugins that `present` finds who read the log, whenever
/// events are on the disk, until the store is closed.
pub async fn run(store: Arc<Store>, present: impl Fn() -> Vec<Arc<Slot>>) {
    let mut settled = store.settled();
    drop(store);
    while settled.changed().await.is_ok() {
        present().iter().filter(|slot| reads(slot)).for_each(|slot| slot.inbox.nudge());
    }
}

fn reads(slot: &Slot) -> bool {
    let Some(granted) = slot.facts().map(|facts| &facts.granted) else { return false };
    let declared = granted.interfaces.iter().any(|i| base(i) == base(events::INTERFACE));
    declared && granted.grants.events.values().any(|grant| grant.least.is_some())
}
