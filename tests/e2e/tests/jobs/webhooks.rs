//! What a receiver of messages may rely on (`evenkeel_core::jobs::wire`), with a
//! receiver that is busy, one whose answer is lost because the daemon is killed
//! before it, and one behind TLS.

use super::site::{KEY, Site, await_status, delivery, notes, receiver, start, take};
use evenkeel_e2e::{Client, Program, fingerprint, make_certificates};
use serde_json::{Value, json};

/// A job that tells the receiver `to` of the mains, with a value that changes.
fn tells(to: &str) -> String {
    format!(
        "[[job]]\nname = 'tell'\nwhen = {{ kind = 'ups_on_battery' }}\n\
         action = {{ do = 'webhook', to = '{to}', text = '{{ups}}: {{ups.0.ups.status}}' }}\n"
    )
}

/// Let jobs know the receiver at this path by the name `to`.
fn hook(client: &mut Client, port: &str, to: &str) {
    let hook = json!({ "url": format!("http://127.0.0.1:{port}/{to}"), "key": KEY });
    client.post(&format!("/api/v1/webhooks/{to}"), &hook).expect("kept");
}

/// Everything that came until a message that is sent now.
fn came(client: &mut Client, receiver: &mut Program) -> Vec<Value> {
    let tested = client.post("/api/v1/webhooks/ops/test", &json!({})).expect("answered");
    assert_eq!(tested["taken"], true, "{tested:#}");
    let mut all = Vec::new();
    loop {
        let next = delivery(receiver);
        if next["message"]["job"] == "test" {
            return all;
        }
        all.push(next);
    }
}

#[test]
fn killed_between_a_delivery_and_its_note_it_sends_the_same_again_and_notes_it_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let Site { mut stack, mut client, mut receiver, port } = start(dir.path());
    hook(&mut client, &port, "lost");
    take(&mut client, &tells("lost"));
    stack.control("mains off").expect("obeyed");
    let first = delivery(&mut receiver);
    assert_eq!(first["again"], false);
    let text = first["message"]["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("ups.0: OB"), "{first:#}");
    assert_eq!(notes(&mut client, "tell"), 0, "nobody answered yet");
    // It has the message, and its answer is on no way.
    stack.daemon.kill();
    // What the text was made of is another by now.
    stack.control("mains on").expect("obeyed");
    stack.restart_daemon().expect("the daemon starts again");
    let second = delivery(&mut receiver);
    assert_eq!((&second["id"], &second["again"]), (&first["id"], &json!(true)));
    assert_eq!(second["body"], first["body"], "byte for byte");
    let mut client = stack.sign_in().expect("signed in");
    await_status(&mut client, "at rest", |s| s["pending"] == json!([]));
    assert_eq!(notes(&mut client, "tell"), 1);
    // What is noted is never sent again, whatever is killed.
    stack.daemon.kill();
    stack.restart_daemon().expect("the daemon starts again");
    let mut client = stack.sign_in().expect("signed in");
    await_status(&mut client, "at rest", |s| s["pending"] == json!([]));
    assert_eq!(came(&mut client, &mut receiver), [] as [Value; 0]);
    assert_eq!(notes(&mut client, "tell"), 1);
}

#[test]
fn a_busy_receiver_is_told_the_same_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let Site { stack, mut client, mut receiver, port } = start(dir.path());
    hook(&mut client, &port, "busy");
    take(&mut client, &tells("busy"));
    stack.control("mains off").expect("obeyed");
    let first = delivery(&mut receiver);
    let second = delivery(&mut receiver);
    let parts = |delivery: &Value| ["id", "body"].map(|part| delivery[part].clone());
    assert_eq!(parts(&first), parts(&second));
    await_status(&mut client, "at rest", |s| s["pending"] == json!([]));
    assert_eq!(came(&mut client, &mut receiver), [] as [Value; 0], "two attempts and no third");
    assert_eq!(notes(&mut client, "tell"), 1);
    let events = client.get("/api/v1/events?limit=1000").expect("answered").to_string();
    assert!(events.contains("\"attempts\":2"), "{events}");
    // The next event is another delivery.
    stack.control("mains on").expect("obeyed");
    client.await_answer("/api/v1/events?limit=1000", |events| {
        events.to_string().contains("\"ups_on_mains\"")
    });
    stack.control("mains off").expect("obeyed");
    let next = delivery(&mut receiver);
    assert_eq!(next["again"], false);
    assert_ne!(next["id"], first["id"]);
}

#[test]
fn a_receiver_behind_tls_is_told_when_its_authority_or_its_pin_fits() {
    let dir = tempfile::tempdir().expect("a folder");
    let [own, other] = ["own", "other"].map(|name| dir.path().join(name));
    for files in [&own, &other] {
        std::fs::create_dir_all(files).expect("a folder");
        make_certificates(files);
    }
    let Site { stack, mut client, receiver: _plain, .. } = start(dir.path());
    let (mut receiver, port) = receiver(&own, Some(&own));
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).expect("a certificate");
    let attempt = |client: &mut Client, trust: Value| {
        let mut hook = trust;
        hook["url"] = json!(format!("https://127.0.0.1:{port}/x"));
        hook["key"] = json!(KEY);
        client.post("/api/v1/webhooks/safe", &hook).expect("kept");
        client.post("/api/v1/webhooks/safe/test", &json!({})).expect("answered")
    };
    // The authorities of the system, another one, and the pin of another one.
    let wrong_pin = fingerprint(&other.join("server.pem"));
    for (trust, why) in [
        (json!({}), "unknown authority"),
        (json!({ "ca": read(other.join("ca.pem")) }), "unknown authority"),
        (json!({ "pin_sha256": wrong_pin }), "pin"),
    ] {
        let tested = attempt(&mut client, trust);
        assert_eq!(tested["taken"], false, "{tested:#}");
        assert!(tested["reason"].as_str().is_some_and(|r| r.contains(why)), "{why}: {tested:#}");
    }
    let pin = fingerprint(&own.join("server.pem"));
    for trust in [json!({ "ca": read(own.join("ca.pem")) }), json!({ "pin_sha256": pin })] {
        let tested = attempt(&mut client, trust);
        assert_eq!(tested["taken"], true, "{tested:#}");
        // The first that it ever got: nothing was said to one that is not trusted.
        assert_eq!(delivery(&mut receiver)["message"]["job"], "test");
    }
    take(&mut client, &tells("safe"));
    stack.control("mains off").expect("obeyed");
    assert_eq!(delivery(&mut receiver)["message"]["job"], "tell");
    receiver.check().expect("it runs");
}
