//! Updates that cannot run come back by themselves, and say why: a kernel that
//! panics, a kernel and a root that are damaged, a daemon that crashes, a guard
//! that hangs, a plugin that is missing (FW-3 of facts/firmware-trust.md).

mod variant;

pub use variant::Good;

use crate::bench::{Bench, Built, SCENARIO, first_sign_in, it_protects};
use crate::{BOARD, off_within};
use evenkeel_e2e::{Client, Program};
use evenkeel_signing::slot::{Reason, Slot, SlotState};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use variant::{CRASHES, HANGS, replace};

/// One start of a system that comes to nothing.
const START: Duration = Duration::from_secs(300);
/// From the order to restart to the console of the system before.
const RETURN: Duration = Duration::from_secs(300);

/// An appliance that runs, and somebody who is signed in.
struct Appliance {
    bench: Bench,
    qemu: Program,
    client: Client,
    password: String,
}

impl Appliance {
    fn on(built: &Built) -> Self {
        let mut bench = Bench::new(built, SCENARIO);
        let (_, mut qemu, begun) = bench.on();
        let mut client = bench.console(&mut qemu, begun);
        let password = first_sign_in(&mut client, &mut qemu);
        Self { bench, qemu, client, password }
    }

    /// Update to `bundle`, let it fail after `spoil`, and see that the system
    /// before is back with this `reason` after so many `starts` of the new one.
    fn returns_from(
        &mut self,
        what: &str,
        bundle: &[u8],
        spoil: impl FnOnce(&Bench),
        (starts, reason): (usize, Reason),
    ) {
        it_protects(&mut self.client);
        self.client.post_bytes("/api/v1/firmware", bundle).expect("installed");
        // Its answer may be lost in the restart.
        let _ = self.client.post("/api/v1/firmware/activate", &json!({}));
        let begun = Instant::now();
        off_within(&mut self.qemu, START);
        spoil(&self.bench);
        let mut tried = 0;
        let switched_on = loop {
            let (slot, qemu, switched_on) = self.bench.on();
            self.qemu = qemu;
            if slot == Slot::A {
                break switched_on;
            }
            tried += 1;
            assert!(tried <= starts, "{what}: started {tried} times");
            off_within(&mut self.qemu, START);
        };
        self.client = self.bench.console(&mut self.qemu, switched_on);
        let took = begun.elapsed();
        println!("{what}: back after {tried} starts, {:.1} s", took.as_secs_f64());
        assert_eq!(tried, starts, "{what}");
        assert!(took < RETURN, "{what}: {took:?}");
        self.client.login("admin", &self.password).expect("the data is there");
        self.says(what, reason);
    }

    /// Why it is back, in the events, in the API, on the page and in the record.
    fn says(&mut self, what: &str, reason: Reason) {
        let text = reason.to_string();
        self.client.await_answer("/api/v1/events", |events| {
            events.as_array().is_some_and(|all| {
                all.iter()
                    .map(ToString::to_string)
                    .any(|event| event.contains("\"firmware_returned\"") && event.contains(&text))
            })
        });
        let firmware = self.client.get("/api/v1/firmware").expect("slots");
        assert_eq!(firmware["slot"], "A", "{what}: {firmware:#}");
        assert_eq!(firmware["started_because"], text, "{what}: {firmware:#}");
        assert_eq!(firmware["other"]["state"], "bad", "{what}: {firmware:#}");
        assert_eq!(firmware["other"]["reason"], text, "{what}: {firmware:#}");
        let page = self.client.get_text("/firmware", None).expect("a page");
        assert!(page.contains(&text), "{what}: {page}");
        let record = self.bench.machine.record().expect("a record");
        assert_eq!(record.slot(Slot::B).state, SlotState::Bad, "{what}");
        assert!(record.is_good(Slot::A), "{what}");
    }
}

/// It is given three minutes to come up.
#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn a_daemon_that_crashes_is_given_up_by_the_keeper() {
    let built = Built::find(BOARD);
    let crashes = |root: &Path| replace(root, "sbin/evenkeeld", CRASHES);
    let bundle = Good::of(&built).with_root("0.9.1", crashes);
    let expected = (1, Reason::Daemon);
    Appliance::on(&built).returns_from("a daemon that crashes", &bundle, |_| (), expected);
}

/// Three starts of a minute each.
#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn a_guard_that_hangs_is_bitten_by_the_watchdog() {
    let built = Built::find(BOARD);
    let hangs = |root: &Path| replace(root, "sbin/evenkeel-guard", HANGS);
    let bundle = Good::of(&built).with_root("0.9.2", hangs);
    let expected = (3, Reason::NotUp);
    Appliance::on(&built).returns_from("a guard that hangs", &bundle, |_| (), expected);
}

/// One appliance after another bad update; it protects after each of them.
#[test]
fn what_cannot_start_comes_back_by_itself_and_says_why() {
    let built = Built::find(BOARD);
    let good = Good::of(&built);
    let mut appliance = Appliance::on(&built);
    let bundle = good.with_first_stage("0.9.3", CRASHES);
    appliance.returns_from("a kernel that panics", &bundle, |_| (), (3, Reason::NotUp));

    let bundle = good.without_root("0.9.4");
    appliance.returns_from("a root that is none", &bundle, |_| (), (1, Reason::Root));

    let damage = |bench: &Bench| {
        let byte = bench.machine.read("boot_b", 1 << 20, 1).expect("read")[0];
        bench.machine.write("boot_b", 1 << 20, &[byte ^ 1]).expect("written");
    };
    let bundle = good.again("0.9.5", 1);
    appliance.returns_from("a damaged kernel", &bundle, damage, (0, Reason::BootImage));
    assert_eq!(appliance.bench.machine.refused, [(Slot::B, Reason::BootImage)]);
    it_protects(&mut appliance.client);
}

/// What ran before has three minutes to run again.
#[test]
#[ignore = "takes minutes: cargo xtask soak"]
fn a_plugin_that_is_missing_is_waited_for_and_then_missed() {
    let built = Built::find(BOARD);
    let good = Good::of(&built);
    let mut appliance = Appliance::on(&built);
    let bundle = good.with_root("0.9.6", |root| {
        let shelf = fs::read_dir(root.join("usr/lib/evenkeel/plugins")).expect("plugins");
        let paths = shelf.map(|entry| entry.expect("a plugin").path());
        let mut named = paths.filter(|path| path.to_string_lossy().contains("/megatec-"));
        fs::remove_file(named.next().expect("it is there")).expect("removed");
    });
    appliance.returns_from("a missing plugin", &bundle, |_| (), (1, Reason::Plugins));
    it_protects(&mut appliance.client);
}
