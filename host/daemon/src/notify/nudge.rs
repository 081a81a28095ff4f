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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::Services;
    use crate::config::PluginGrant;
    use crate::grants::event_log::EventGrant;
    use crate::plugin::Supervisor;
    use crate::plugin::fixture::probe::{DRIVER, manifest, probe};
    use crate::plugin::fixture::{self, Fixture};
    use crate::plugin_status::{PluginList as _, PluginState};
    use crate::store::Limits;
    use evenkeel_core::events::{Event, Severity};
    use evenkeel_signing::PluginManifest;
    use std::time::{Duration, Instant};

    #[tokio::test(flavor = "multi_thread")]
    async fn who_reads_the_log_is_woken_when_something_happens_and_nobody_else() {
        let fixture = Fixture::new();
        fixture.put_key();
        let dir = fixture.dir.path();
        let store = Arc::new(Store::open(dir, Limits::default()).expect("a store"));
        // Left alone, it wakes once a minute.
        let component = probe("", "(return (i32.const 60000))", &DRIVER);
        let mut plugins = Vec::new();
        for (name, asked) in [("deaf", &[][..]), ("reader", &[events::INTERFACE][..])] {
            let manifest = manifest(&[events::INTERFACE], asked, &DRIVER);
            let manifest = PluginManifest { name: name.into(), ..manifest };
            let file = dir.join(format!("{name}.evkp"));
            std::fs::write(file, fixture.seal(&manifest, &component)).expect("written");
            let mut plugin = PluginGrant::new(name);
            plugin.grant.events.insert("probe".into(), EventGrant::reading(Severity::Info));
            plugins.push(plugin);
        }
        let config = fixture::config(dir, plugins);
        let kept = Box::new(fixture::Kept::default());
        let supervisor = Supervisor::start(&config, Services::default(), Arc::new(|_| {}), kept);
        let supervisor = Arc::new(supervisor.expect("starts"));
        let slots = Arc::clone(&supervisor);
        let nudging = tokio::spawn(run(Arc::clone(&store), move || slots.all()));
        let polls = |name: &str| {
            let all = supervisor.plugins();
            let one = all.iter().find(|one| one.name == name && one.state == PluginState::Running);
            one.map_or(0, |one| one.polls)
        };
        let until = |wanted: &dyn Fn() -> bool| {
            let deadline = Instant::now() + Duration::from_secs(60);
            while !wanted() {
                assert!(Instant::now() < deadline, "{:#?}", supervisor.plugins());
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        until(&|| polls("deaf") == 1 && polls("reader") == 1);
        store.record(Event::UpsOnBattery { ups: "ups.0".into() });
        until(&|| polls("reader") == 2);
        assert_eq!(polls("deaf"), 1);
        nudging.abort();
        supervisor.stop();
    }
}
