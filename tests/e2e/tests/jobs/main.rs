//! Rules and jobs of the running appliance against a real web server and a
//! real socket: the mains go, and what was asked for happens, once, also when
//! the daemon is killed in between; a dry run prints a table and does nothing.

mod site;
mod webhooks;

use serde_json::json;
use site::{SOON, Site, await_point, await_status, message, notes, start, take};
use std::net::UdpSocket;

/// What the UPS says of its beeper.
const BEEPER: &str = "ups.0.ups.beeper.status";
/// Where the relay's state shows, as the device on the bus reports it.
const RELAY: &str = "device.3.output.2";

/// The mains, a rule on them, and what they start; magic packets go to `port`.
fn document(port: u16, delay_s: u32) -> String {
    format!(
        "lang = 'de'\nconfirm = ['device.3:output.2']\n\
         [[rule]]\nname = 'mains-lost'\nwhen = \"ups.0.ups.status has 'OB'\"\n\
         [[job]]\nname = 'tell'\nwhen = {{ kind = 'ups_on_battery' }}\n\
         action = {{ do = 'webhook', to = 'ops', text = '{{ups}}: {{ups.0.ups.status}}' }}\n\
         undo = {{ do = 'webhook', to = 'ops' }}\n\
         [[job]]\nname = 'wake'\nwhen = {{ kind = 'ups_on_battery', fields = {{ ups = 'ups.0' }} }}\n\
         action = {{ do = 'wake-on-lan', mac = '00:11:22:33:44:55', to = '127.0.0.1:{port}', \
         secure_on = '01:02:03:04:05:06' }}\n\
         [[job]]\nname = 'horn'\nwhen = {{ kind = 'rule_raised', fields = {{ rule = 'mains-lost' }} }}\n\
         delay_s = {delay_s}\nonly_if_still_true = true\n\
         action = {{ do = 'output', device = 3, output = 2, on = true }}\n\
         undo = {{ do = 'output', device = 3, output = 2, on = false }}\n"
    )
}

#[test]
fn mains_off_does_what_was_asked_for_and_mains_on_takes_it_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let Site { stack, mut client, mut receiver, .. } = start(dir.path());
    let peer = UdpSocket::bind("127.0.0.1:0").expect("bound");
    peer.set_read_timeout(Some(SOON)).expect("set");
    take(&mut client, &document(peer.local_addr().expect("bound").port(), 1));

    stack.control("mains off").expect("obeyed");
    let told = message(&mut receiver);
    assert_eq!((&told["job"], &told["undo"]), (&json!("tell"), &json!(false)), "{told:#}");
    assert_eq!(told["event"], json!({"kind": "ups_on_battery", "ups": "ups.0"}));
    assert!(told["text"].as_str().is_some_and(|t| t.starts_with("ups.0: OB")), "{told:#}");
    let mut packet = [0; 200];
    let len = peer.recv(&mut packet).expect("a magic packet");
    assert_eq!(
        (len, &packet[..12]),
        (108, &[255, 255, 255, 255, 255, 255, 0, 17, 34, 51, 68, 85][..])
    );
    assert_eq!(packet[102..108], [1, 2, 3, 4, 5, 6]);
    await_point(&mut client, RELAY, |p| p["value"] == true && p["quality"] == "good");

    stack.control("mains on").expect("obeyed");
    let over = message(&mut receiver);
    assert_eq!((&over["job"], &over["undo"]), (&json!("tell"), &json!(true)), "{over:#}");
    assert!(over["text"].as_str().is_some_and(|t| t.contains("läuft")), "in German: {over:#}");
    await_point(&mut client, RELAY, |p| p["value"] == false && p["quality"] == "good");
    let status = await_status(&mut client, "at rest", |s| s["pending"] == json!([]));
    assert_eq!(status["jobs"][2]["last"]["failed"], false, "{status:#}");
}

#[test]
fn a_job_sounds_the_buzzer_of_the_box_until_it_is_taken_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let Site { stack, mut client, receiver: _receiver, .. } = start(dir.path());
    take(
        &mut client,
        "[[job]]\nname = 'beep'\nwhen = { kind = 'ups_on_battery' }\n\
         action = { do = 'signal', tone = 'steady', seconds = 1800 }\n\
         undo = { do = 'signal', seconds = 0 }\n",
    );
    await_point(&mut client, "guard.buzzer", |p| p["value"] == false);
    stack.control("mains off").expect("obeyed");
    await_point(&mut client, "guard.buzzer", |p| p["value"] == true && p["quality"] == "good");
    stack.control("mains on").expect("obeyed");
    await_point(&mut client, "guard.buzzer", |p| p["value"] == false);
    await_status(&mut client, "at rest", |s| s["pending"] == json!([]));
}

#[test]
fn a_job_commands_a_ups_and_the_ups_obeys() {
    let dir = tempfile::tempdir().expect("a folder");
    let Site { stack, mut client, receiver: _receiver, .. } = start(dir.path());
    await_point(&mut client, BEEPER, |p| p["value"] == "enabled");
    take(
        &mut client,
        "[[job]]\nname = 'quiet'\nwhen = { kind = 'ups_on_battery' }\n\
         action = { do = 'command', target = 'ups.0', command = 'beeper.toggle' }\n",
    );
    stack.control("mains off").expect("obeyed");
    // The UPS itself says so, over its serial line.
    await_point(&mut client, BEEPER, |p| p["value"] == "disabled" && p["quality"] == "good");
    let status = await_status(&mut client, "done", |s| s["jobs"][0]["last"].is_object());
    assert_eq!(status["jobs"][0]["last"]["failed"], false, "{status:#}");
    assert_eq!(notes(&mut client, "quiet"), 1, "{status:#}");
}

#[test]
fn a_daemon_that_is_killed_does_it_when_it_is_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let Site { mut stack, mut client, receiver: _receiver, .. } = start(dir.path());
    take(&mut client, &document(9, 8));
    stack.control("mains off").expect("obeyed");
    await_status(&mut client, "waiting", |s| {
        s["pending"].as_array().is_some_and(|list| list.iter().any(|p| p["job"] == "horn"))
    });
    stack.daemon.kill();
    stack.restart_daemon().expect("the daemon starts again");
    let mut client = stack.sign_in().expect("signed in");
    await_point(&mut client, RELAY, |p| p["value"] == true && p["quality"] == "good");
    await_status(&mut client, "at rest", |s| s["pending"] == json!([]));
    assert_eq!(notes(&mut client, "horn"), 1);
}

#[test]
fn a_dry_run_prints_a_table_and_nothing_happens() {
    let dir = tempfile::tempdir().expect("a folder");
    let Site { stack: _stack, mut client, receiver: _receiver, .. } = start(dir.path());
    let script = "for_s = 900\n[[at]]\ns = 0\npoints = { 'ups.0.ups.status' = 'OB' }\n\
                  [[at]]\ns = 600\npoints = { 'ups.0.ups.status' = 'OL' }\n";
    let asked = json!({ "toml": document(9, 60), "script": script });
    let answer = client.post("/api/v1/automation/rehearsal", &asked).expect("a table");
    let table = answer["text"].as_str().unwrap_or_default();
    println!("{table}");
    for line in [
        "60.0 s  action  job horn: switch output 2 of device 3 on",
        "job wake: wake 00:11:22:33:44:55",
        "job tell: send it to ops, to take it back",
        "job horn: switch output 2 of device 3 off, to take it back",
    ] {
        assert!(table.contains(line), "{line:?} in\n{table}");
    }
    let status = client.get("/api/v1/automation/status").expect("answered");
    assert_eq!((&status["jobs"], &status["pending"]), (&json!([]), &json!([])));
    let events = client.get("/api/v1/events?limit=1000").expect("answered").to_string();
    assert!(!events.contains("job_done") && !events.contains("rule_raised"), "{events}");
    let refused = json!({ "toml": document(9, 60).replace("device.3:output.2", "no") });
    let refused = client.post("/api/v1/automation", &refused).expect_err("not confirmed");
    assert!(refused.to_string().contains("428"), "{refused}");
}
