//! As many plugins at once as a large site has: each runs and is called again
//! and again, and what they cost in memory is printed.

use evenkeel_e2e::{Options, Stack};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::UdpSocket;

/// All plugins of the appliance.
const PLUGINS: usize = 40;
/// The UPS driver and the licence gate that every appliance of a test has.
const USUAL: usize = 2;

/// Who runs, with the calls so far; `None` while somebody does not.
fn running(plugins: &Value) -> Option<Vec<u64>> {
    let list = plugins.as_array().filter(|list| list.len() == PLUGINS)?;
    let run = list.iter().all(|plugin| plugin["state"] == "running");
    run.then(|| list.iter().filter_map(|plugin| plugin["polls"].as_u64()).collect())
}

#[test]
fn forty_plugins_run_and_each_polls() {
    let dir = tempfile::tempdir().expect("a folder");
    // An agent that never answers: each driver goes on asking.
    let agent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = agent.local_addr().expect("bound");
    let mut options = Options::for_test(dir.path()).expect("built");
    for n in USUAL..PLUGINS {
        let _ = write!(
            options.daemon_settings,
            "[[plugin]]\nname = \"snmp-ups\"\nid = \"ups-{n}\"\npoints = \"ups.{n}\"\n\
             grant.snmp.ups = {{ address = \"{address}\", version = \"v2c\", community = \"c\" }}\n\n"
        );
    }
    let mut stack = Stack::start(options).expect("the appliance runs");
    let mut client = stack.sign_in().expect("signed in");
    let plugins = client.await_answer("/api/v1/plugins", |plugins| running(plugins).is_some());
    let before = running(&plugins).expect("all run");
    println!("{PLUGINS} plugins run: daemon {:?} kB resident", stack.daemon.resident_kb());
    // The licence gate is called when there is something to judge, and no more.
    let polled = |plugins: &Value| {
        let now = running(plugins)?;
        let more = now.iter().zip(&before).filter(|(now, before)| now > before).count();
        (more >= PLUGINS - 1).then_some(now)
    };
    let plugins = client.await_answer("/api/v1/plugins", |plugins| polled(plugins).is_some());
    println!("each was called again: daemon {:?} kB resident", stack.daemon.resident_kb());
    for plugin in plugins.as_array().expect("a list") {
        assert_eq!(plugin["traps"], 0, "{plugin:#}");
    }
    let guard = client.get("/api/v1/guard").expect("answered");
    assert_eq!(guard["deadline_misses"], 0, "{guard:#}");
    stack.check().expect("all programs run");
}
