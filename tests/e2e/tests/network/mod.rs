//! The network of the running appliance: QEMU's own server lends an address,
//! its router announces an IPv6 network, both again when the cable was away; a
//! change that nobody confirms goes back by itself, one that is confirmed
//! outlives a power cut. What the appliance is called is in its certificate.

use crate::bench::{BOOT, Bench, Built, SCENARIO, first_sign_in, it_protects};
use crate::{BOARD, events};
use evenkeel_e2e::Program;
use evenkeel_e2e::machine::OTHER;
use serde_json::{Value, json};
use std::time::Instant;

/// What the appliance is called.
const NAME: &str = "rack-7";
/// Time for a confirmation that does not come: enough to reach the other address.
const WITHIN_S: u64 = 40;

#[test]
fn an_address_is_lent_and_a_change_goes_back_unless_it_is_confirmed() {
    let built = Built::find(BOARD);
    let mut bench = Bench::new(&built, SCENARIO);
    let (_, mut qemu, begun) = bench.on();
    let mut client = bench.console(&mut qemu, begun);
    let password = first_sign_in(&mut client, &mut qemu);
    let network = client.await_answer("/api/v1/network", |network| {
        let eth0 = &network["interfaces"][0];
        eth0["lease_left_s"].is_number() && has(&eth0["addresses"], "fec0::")
    });
    let eth0 = &network["interfaces"][0];
    assert!(has(&eth0["addresses"], "10.0.2.15/24"), "{network:#}");
    assert!(has(&eth0["gateways"], "10.0.2.2"), "{network:#}");
    assert_eq!(network["dns"], json!(["10.0.2.3"]), "{network:#}");
    assert_eq!(network["trial_left_s"], Value::Null, "{network:#}");

    pulled_out_and_plugged_in(&bench, &mut qemu, &mut client, &network);

    let wrong = change(&mut client, "10.0.2.255/24", 600).expect_err("nobody can have it");
    assert!(wrong.contains("interfaces.eth0.ipv4"), "{wrong}");

    // Somebody reaches it there, and says nothing.
    let address = format!("{OTHER}/24");
    let tried = change(&mut client, &address, WITHIN_S).expect("on trial");
    assert_eq!(tried["before"]["interfaces"]["eth0"]["ipv4"], "dhcp", "{tried:#}");
    let other = bench.machine.other_address().expect("a copy has one");
    let begun = Instant::now();
    Bench::console_at(&other, &mut qemu, begun);
    let mut client = bench.console(&mut qemu, begun);
    println!("back at the address before after {:.1} s", begun.elapsed().as_secs_f64());
    client.login("admin", &password).expect("in");
    let network = client.get("/api/v1/network").expect("a network");
    assert_eq!(network["settings"]["interfaces"]["eth0"]["ipv4"], "dhcp", "{network:#}");
    events(&mut client, "network_lapsed");

    // And now somebody does; then the power fails.
    change(&mut client, &address, 120).expect("on trial");
    let mut client = Bench::console_at(&other, &mut qemu, Instant::now());
    client.login("admin", &password).expect("in");
    let kept = client.post("/api/v1/network/confirm", &json!({})).expect("kept");
    assert_eq!(kept["trial_left_s"], Value::Null, "{kept:#}");
    client.await_answer("/api/v1/certificate", |shown| has(&shown["names"], NAME));
    qemu.kill();
    let (_, mut qemu, begun) = bench.on();
    let mut client = Bench::console_at(&other, &mut qemu, begun);
    client.login("admin", &password).expect("in");
    let network = client.get("/api/v1/network").expect("a network");
    assert_eq!(network["interfaces"][0]["addresses"], json!([address]), "{network:#}");
    let shown = client.get("/api/v1/certificate").expect("a certificate");
    assert!(has(&shown["names"], NAME), "{shown:#}");
    it_protects(&mut client);
}

/// The cable was away for an instant: the server is asked whether the address
/// still counts, and the router is heard anew.
fn pulled_out_and_plugged_in(
    bench: &Bench,
    qemu: &mut Program,
    client: &mut evenkeel_e2e::Client,
    before: &Value,
) {
    let left_s = |network: &Value| network["interfaces"][0]["lease_left_s"].as_u64();
    bench.machine.plug(false).expect("pulled out");
    qemu.await_words("interface eth0: unplugged", BOOT).expect("told");
    bench.machine.plug(true).expect("plugged in");
    qemu.await_words("interface eth0: plugged in again", BOOT).expect("told");
    // A lease of a day: what is left grows only when it is lent anew.
    let network = client.await_answer("/api/v1/network", |network| {
        left_s(network) > left_s(before) && has(&network["interfaces"][0]["addresses"], "fec0::")
    });
    let (before, now) = (&before["interfaces"][0], &network["interfaces"][0]);
    assert_eq!(now["gateways"], before["gateways"], "{network:#}");
    assert_eq!(now["problem"], Value::Null, "{network:#}");
}

/// Have this address and name on trial, and no IPv6.
fn change(
    client: &mut evenkeel_e2e::Client,
    address: &str,
    within_s: u64,
) -> Result<Value, String> {
    let eth0 = json!({"ipv4": address, "ipv4_gateway": "10.0.2.2", "ipv6": "off"});
    let settings = json!({"interfaces": {"eth0": eth0}, "dns": ["10.0.2.3"], "host_name": NAME});
    let wanted = json!({"settings": settings, "confirm_within_s": within_s});
    client.post("/api/v1/network", &wanted).map_err(|error| error.to_string())
}

/// Whether one of them begins like this.
fn has(list: &Value, begin: &str) -> bool {
    let mut texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.any(|text| text.starts_with(begin))
}
