//! Web servers that jobs may tell, from outside: added, tested, used, removed;
//! a key is shown once.

use super::*;
use std::io::{Read as _, Write as _};

const HOOK: &str = "[[job]]\nname = 'tell'\nwhen = { category = 'ups' }\n\
    action = { do = 'webhook', to = 'ops' }";

#[tokio::test]
async fn a_web_server_is_added_used_and_removed_and_its_key_is_shown_once() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let job = || bench.post("/api/v1/automation", &cookie, json!({"toml": HOOK}));
    let early = job().await;
    assert!(early.status == 409 && early.body.contains("add it first"), "{}", early.body);
    let url = json!({"url": "https://hooks.example.org/x"});
    let made = bench.post("/api/v1/webhooks/ops", &cookie, url.clone()).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let key = made.json()["key"].as_str().expect("a key").to_owned();
    let again = bench.post("/api/v1/webhooks/ops", &cookie, url).await.json();
    assert_eq!(again["key"], json!(null), "it has one");
    assert_eq!(job().await.status, 204);
    let shown = bench.get("/api/v1/webhooks", &cookie).await;
    assert!(!shown.body.contains(&key), "{}", shown.body);
    assert_eq!(shown.json()[0]["jobs"], json!(["tell"]));
    let used = bench.post("/api/v1/webhooks/ops/delete", &cookie, json!({})).await;
    assert!(used.status == 409 && used.body.contains("tell"), "{}", used.body);
    assert_eq!(bench.post("/api/v1/automation", &cookie, json!({"toml": ""})).await.status, 204);
    let removed = bench.post("/api/v1/webhooks/ops/delete", &cookie, json!({})).await;
    assert_eq!(removed.status, 204, "{}", removed.body);
    assert_eq!(bench.get("/api/v1/webhooks", &cookie).await.json(), json!([]));
    let events = bench.events().await;
    assert!(events.iter().any(|e| e.contains("let jobs tell https://hooks")), "{events:?}");
    assert!(!events.iter().any(|e| e.contains(&key)), "{events:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_web_server_is_named() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    for (name, body, status, why) in [
        ("OPS", json!({"url": "https://x/"}), 409, "a-z"),
        ("ops", json!({"url": "gopher://x/"}), 409, "https://host/path"),
        ("ops", json!({"url": "https://x/", "key": "short"}), 409, "16 to 256 bytes"),
        ("ops", json!({"url": "https://x/", "ca": "/etc/ca.pem"}), 409, "as PEM"),
        ("ops", json!({"url": "https://x/", "ca": "-----BEGIN x"}), 409, "ca: "),
        ("ops", json!({"url": "https://x/", "pin_sha256": "12"}), 409, "pin_sha256"),
        ("ops", json!({"url": "http://x/", "server_name": "y"}), 409, "are for https"),
        ("ops", json!({"link": "https://x/"}), 422, "link"),
        ("ops/test", json!({}), 404, "ops"),
        ("ops/delete", json!({}), 404, "ops"),
    ] {
        let refused = bench.post(&format!("/api/v1/webhooks/{name}"), &cookie, body).await;
        assert!(refused.status == status && refused.body.contains(why), "{why}: {}", refused.body);
    }
    assert_eq!(bench.get("/api/v1/webhooks", &cookie).await.json(), json!([]));
}

#[tokio::test]
async fn a_test_message_says_whether_it_was_taken() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let url = json!({"url": format!("http://127.0.0.1:{port}/x"), "key": "0123456789abcdef"});
    assert_eq!(bench.post("/api/v1/webhooks/ops", &cookie, url).await.status, 200);
    let serving = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in ["HTTP/1.1 204 x\r\n\r\n", "HTTP/1.1 404 x\r\n\r\n"] {
            let (mut peer, _) = listener.accept().expect("a client");
            let mut got = vec![0; 8_192];
            let len = peer.read(&mut got).expect("a request");
            peer.write_all(answer.as_bytes()).expect("answered");
            requests.push(String::from_utf8_lossy(&got[..len]).into_owned());
        }
        requests
    });
    let test = || bench.post("/api/v1/webhooks/ops/test", &cookie, json!({}));
    assert_eq!(test().await.json(), json!({"taken": true, "reason": null}));
    let refused = test().await.json();
    assert_eq!(refused, json!({"taken": false, "reason": "it answered 404"}));
    let requests = serving.join().expect("no panic");
    assert!(requests[0].contains("send a test message to ops"), "{requests:?}");
    // Nobody is there any more.
    let gone = test().await.json();
    assert!(gone["reason"].as_str().is_some_and(|why| why.contains("refuses")), "{gone}");
    let told = bench.events().await;
    let mut told = told.iter().filter(|event| event.contains("send a test message to ops"));
    let mut next = || told.next().map_or("", String::as_str);
    assert!(next().contains("refuses"), "the newest first");
    assert!(next().ends_with("; refused: it answered 404"));
    assert!(next().ends_with("send a test message to ops"), "this one was taken");
}
