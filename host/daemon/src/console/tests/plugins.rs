//! Plugins from the console, with the real plugin host behind it.

use super::*;
use crate::caps::Services;
use crate::config::PluginGrant;
use crate::plugin::fixture::{self, Fixture, Kept};
use crate::plugin::report::Reports;
use crate::plugin::{Supervisor, replay};

struct Desk {
    bench: Bench,
    fixture: Fixture,
    cookie: String,
}

impl Desk {
    async fn new() -> Self {
        Self::of(Fixture::new(), Vec::new()).await
    }

    /// With these plugins from the start.
    async fn of(fixture: Fixture, plugins: Vec<PluginGrant>) -> Self {
        fixture.put_key();
        let dir = fixture.dir.path();
        let mut config = fixture::config(dir, plugins);
        config.data_dir = dir.join("data");
        let reports = Reports::open(&config.data_dir).expect("opened");
        let services = Services { reports: Some(Arc::new(reports)), ..Services::default() };
        let nothing = Arc::new(|_| {});
        let store = Box::new(Kept::default());
        let plugins = Supervisor::start(&config, services, nothing, store);
        let plugins = Arc::new(plugins.expect("starts"));
        let bench = Bench::with_plugins(FakeGuard::start(|_| command::Answer::Done), plugins).await;
        let cookie = bench.signed_in().await;
        Self { bench, fixture, cookie }
    }

    fn bundle(&self) -> Vec<u8> {
        let manifest = fixture::manifest(&fixture::DRIVER_IMPORTS);
        self.fixture.seal(&manifest, &fixture::idle())
    }

    async fn upload(&self, path: &str, kind: &str, body: Vec<u8>) -> Answer {
        let request = Request::post(path)
            .header(header::HOST, HOST)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, kind)
            .header(header::COOKIE, &self.cookie);
        self.bench.send(request.body(Body::from(body)).expect("a request")).await
    }

    async fn state(&self) -> Json {
        self.bench.get("/api/v1/plugins", &self.cookie).await.json()[0]["state"].clone()
    }
}

const RAW: &str = "application/octet-stream";

#[tokio::test]
async fn a_failure_is_shown_and_its_recording_repeats_it() {
    let fixture = Fixture::new();
    let guest = fixture::Guest {
        poll: "(call $deep) (i32.const 0)",
        extra: "(func $deep unreachable)",
        ..fixture::IDLE
    };
    let raw = fixture.seal(&fixture::manifest(&fixture::DRIVER_IMPORTS), &fixture::driver(&guest));
    std::fs::write(fixture.file(), raw).expect("written");
    let desk = Desk::of(fixture, vec![fixture::grant("/dev/ttyS1")]).await;
    let (bench, cookie) = (&desk.bench, desk.cookie.as_str());
    let list = "/api/v1/plugins/megatec/reports";
    let deadline = Instant::now() + Duration::from_secs(20);
    let report = loop {
        let reports = bench.get(list, cookie).await.json();
        if !reports[0].is_null() {
            break reports[0].clone();
        }
        assert!(Instant::now() < deadline, "{reports}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((&report["call"], &report["backtrace"][0]), (&json!("poll"), &json!("deep")));
    let path = format!("{list}/{}/recording", report["unix_ms"]);
    let page = bench.get("/plugins/megatec", cookie).await.body;
    assert!(page.contains("How it failed last") && page.contains(&path), "{page}");

    // Who may look reads the reports, and takes no recording along.
    let viewer = bench.guest(&["viewer"]);
    assert_eq!(bench.get(list, &viewer).await.status, StatusCode::OK);
    assert_eq!(bench.get(&path, &viewer).await.status, StatusCode::FORBIDDEN);
    let page = bench.get("/plugins/megatec", &viewer).await.body;
    assert!(page.contains("How it failed last") && !page.contains("/recording"), "{page}");

    for gone in ["/api/v1/plugins/other/reports", "/api/v1/plugins/megatec/reports/1/recording"] {
        assert_eq!(bench.get(gone, cookie).await.status, StatusCode::NOT_FOUND, "{gone}");
    }
    let request = Request::get(&path).header(header::HOST, HOST).header(header::COOKIE, cookie);
    let mut request = request.body(Body::empty()).expect("a request");
    request.extensions_mut().insert(Peer([192, 0, 2, 1].into()));
    let answer = bench.router.clone().call(request).await.expect("infallible");
    let name = answer.headers()[header::CONTENT_DISPOSITION].to_str().expect("text").to_owned();
    assert!(name.contains("\"megatec.") && name.ends_with(".rec\""), "{name}");
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
    let recording = desk.fixture.dir.path().join("taken.rec");
    std::fs::write(&recording, bytes).expect("written");
    let Fixture { compiler, trust, .. } = &desk.fixture;
    let replayed = replay::replay(compiler, trust, &desk.fixture.file(), &recording);
    let replayed = replayed.unwrap_or_else(|e| panic!("{}", crate::plugin::reason(&e)));
    let again = replayed.failure.map(|failure| failure.to_string());
    assert_eq!(again.as_deref(), report["failure"].as_str());
    bench.store.record_acknowledged(Event::Unknown).done().await.expect("after the others");
    let told = bench.store.latest(64).iter().any(|stored| {
        let text = stored.event.to_string();
        text.contains("take the recording of a failure of the plugin \"megatec\"")
    });
    assert!(told, "who took it is known");
}

#[tokio::test]
async fn a_program_uploads_installs_and_switches_a_plugin() {
    let desk = Desk::new().await;
    let (bench, cookie) = (&desk.bench, desk.cookie.as_str());
    let answer = desk.upload("/api/v1/bundles", RAW, desk.bundle()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let info = answer.json();
    assert_eq!(info["name"], "megatec");
    let signer = info["signer"].as_str().unwrap_or("?");
    assert!(signer.starts_with("\"acme\" (fingerprint "), "{signer}");
    let wanted = |consent: Json, line: &str| {
        json!({
            "plugin": {"name": "megatec", "points": "ups.0", "grant": {"serial": {"ups": line}}},
            "bundle": info["digest"],
            "consent": consent,
        })
    };
    for (body, kind, words) in [
        (wanted(Json::Null, "/dev/ttyS1"), "consent", "serial line “ups”"),
        (wanted(json!("0"), "/dev/ttyS1"), "consent", "serial line “ups”"),
        (wanted(info["consent"].clone(), "ttyS1"), "bad-request", "absolute path"),
        (json!({"plugin": {"name": "apc"}}), "refused", "no such file"),
        (json!({"plugin": {"name": "apc"}, "bundle": "../x"}), "not-found", "no uploaded bundle"),
    ] {
        let answer = bench.post("/api/v1/plugins", cookie, body).await;
        let problem = answer.json();
        assert_eq!(problem["type"], kind, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains(words)), "{problem}");
    }
    let good = wanted(info["consent"].clone(), "/dev/ttyS1");
    let answer = bench.post("/api/v1/plugins", cookie, good).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    let detail = bench.get("/api/v1/plugins/megatec", cookie).await.json();
    assert_eq!((&detail["consented"], &detail["bundle"]), (&json!(true), &info["digest"]));
    assert_eq!(detail["plugin"]["grant"]["serial"]["ups"], "/dev/ttyS1");
    for (action, state) in [("disable", "disabled"), ("enable", "starting running")] {
        let path = format!("/api/v1/plugins/megatec/{action}");
        let answer = bench.post(&path, cookie, json!({})).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
        assert!(state.contains(desk.state().await.as_str().unwrap_or("?")), "{action}");
    }
    let path = format!("/api/v1/bundles/{}/delete", info["digest"].as_str().unwrap_or("?"));
    assert_eq!(bench.post(&path, cookie, json!({})).await.json()["type"], "conflict");
    let gone = bench.post("/api/v1/plugins/megatec/remove", cookie, json!({})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(bench.post(&path, cookie, json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bench.get("/api/v1/plugins/megatec", cookie).await.status, StatusCode::NOT_FOUND);
    let odd = bench.post("/api/v1/plugins/megatec/explode", cookie, json!({})).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
    // Who did what is in the log, which is written in order.
    bench.store.record_acknowledged(Event::GuardBack).done().await.expect("written");
    let told = bench.get("/api/v1/events?limit=100", cookie).await.body;
    for words in ["upload a plugin bundle", "switch off the plugin", "remove the plugin"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[tokio::test]
async fn what_nobody_signed_is_not_kept() {
    let desk = Desk::new().await;
    let mut forged = desk.bundle();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for (raw, words) in
        [(forged, "component"), (b"PK".to_vec(), "refused"), (Vec::new(), "refused")]
    {
        let answer = desk.upload("/api/v1/bundles", RAW, raw).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{}", answer.body);
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
    }
    let answer = desk.upload("/api/v1/bundles", RAW, vec![0; 9 << 20]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let said = answer.json();
    assert_eq!(said["type"], "too-long");
    let words = "a plugin's bundle has at most 8388608 bytes";
    assert!(said["detail"].as_str().is_some_and(|text| text.starts_with(words)), "{said}");
    let mut body = b"--x\r\nContent-Disposition: form-data; name=\"bundle\"\r\n\r\n".to_vec();
    body.resize(9 << 20, 0);
    let answer = desk.upload("/bundles", "multipart/form-data; boundary=x", body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.body.contains("has at most 8388608 bytes"), "{}", answer.body);
    assert_eq!(desk.bench.get("/api/v1/bundles", &desk.cookie).await.json(), json!([]));
}

#[tokio::test]
async fn a_person_does_the_same_with_forms() {
    let desk = Desk::new().await;
    let (bench, cookie) = (&desk.bench, desk.cookie.as_str());
    let mut body =
        b"--x\r\nContent-Disposition: form-data; name=\"bundle\"; filename=\"../a.evkp\"\r\n\r\n"
            .to_vec();
    body.extend_from_slice(&desk.bundle());
    body.extend_from_slice(b"\r\n--x--\r\n");
    let sent = desk.upload("/bundles", "multipart/form-data; boundary=x", body).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    let page = sent.headers[header::LOCATION].to_str().expect("text").to_owned();
    let asks = bench.get(&page, cookie).await.body;
    for words in
        ["serial line “ups”", "talks to the UPS", "name=\"grant.serial.ups\"", "write to the log"]
    {
        assert!(asks.contains(words), "{words}: {asks}");
    }
    let mark = asks.split("name=\"consent\" value=\"").nth(1).and_then(|t| t.split('"').next());
    let mark = mark.expect("a mark");
    let unread = "points=ups.0&grant.serial.ups=/dev/ttyS1";
    let refused = bench.form(&page, cookie, unread).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("value=\"/dev/ttyS1\""), "what was typed is still there");
    let wrong = format!("points=ups.0&grant.serial.ups=ttyS1&consent={mark}");
    assert!(bench.form(&page, cookie, &wrong).await.body.contains("absolute path"));
    let good = format!("{unread}&consent={mark}");
    let done = bench.form(&page, cookie, &good).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    assert_eq!(done.headers[header::LOCATION], "/plugins/megatec");
    let shown = bench.get("/plugins/megatec", cookie).await.body;
    assert!(shown.contains("Switch off") && shown.contains("acme"), "{shown}");
    assert!(bench.get("/plugins", cookie).await.body.contains("href=\"/plugins/megatec\""));
    let again = bench.get(&format!("{page}?plugin=megatec"), cookie).await.body;
    assert!(again.contains("value=\"/dev/ttyS1\"") && again.contains("value=\"ups.0\""));
    let off = bench.form("/plugins/megatec", cookie, "action=disable").await;
    assert_eq!(off.status, StatusCode::SEE_OTHER);
    assert_eq!(desk.state().await, "disabled");
    let gone = bench.form("/plugins/megatec", cookie, "action=remove").await;
    assert_eq!(gone.headers[header::LOCATION], "/plugins");
}

#[tokio::test]
async fn a_vendor_s_key_is_compared_trusted_and_withdrawn() {
    let desk = Desk::new().await;
    let (bench, cookie) = (&desk.bench, desk.cookie.as_str());
    let theirs = evenkeel_signing::SecretKey::generate(evenkeel_signing::Role::Plugin, "bolt");
    let theirs = theirs.expect("a key");
    let (text, fingerprint) = (theirs.public().to_text(), theirs.public().fingerprint());
    let manifest = fixture::manifest(&fixture::DRIVER_IMPORTS);
    let parts: [(&str, &[u8]); 1] = [("component", &fixture::idle())];
    let raw = evenkeel_signing::seal_plugin(manifest, &parts, &[&theirs]).expect("sealed");
    let refused = desk.upload("/api/v1/bundles", RAW, raw.clone()).await;
    assert!(refused.body.contains(&fingerprint), "the key is named: {}", refused.body);

    let add = |text: &str, fingerprint: &str| json!({"key": text, "fingerprint": fingerprint});
    for (key, given, words) in [
        (text.as_str(), "dead beef", "the fingerprint of this key is"),
        ("rubbish", fingerprint.as_str(), "key"),
    ] {
        let answer = bench.post("/api/v1/plugin-keys", cookie, add(key, given)).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert!(answer.body.contains(words), "{}", answer.body);
    }
    let typed = fingerprint.to_uppercase().replace(' ', "  ");
    let added = bench.post("/api/v1/plugin-keys", cookie, add(&text, &typed)).await;
    assert_eq!(added.status, StatusCode::OK, "{}", added.body);
    let id = added.json()["id"].as_str().expect("an id").to_owned();

    let info = desk.upload("/api/v1/bundles", RAW, raw).await.json();
    let wanted = json!({
        "plugin": {"name": "megatec", "points": "ups.0",
            "grant": {"serial": {"ups": "/dev/ttyS1"}}},
        "bundle": info["digest"], "consent": info["consent"],
    });
    let answer = bench.post("/api/v1/plugins", cookie, wanted).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    // It was stolen: what it signed runs no more.
    let path = format!("/api/v1/plugin-keys/{id}/withdraw");
    let gone = bench.post(&path, cookie, json!({"reason": "stolen"})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
    assert_eq!(desk.state().await, "refused");
    let detail = bench.get("/api/v1/plugins/megatec", cookie).await.body;
    assert!(
        detail.contains("the trust in this key was withdrawn on this device: stolen"),
        "{detail}"
    );
    let again = bench.post("/api/v1/plugins/megatec/restart", cookie, json!({})).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let back = format!("/api/v1/plugin-keys/{id}/restore");
    assert_eq!(bench.post(&back, cookie, json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bench.post(&back, cookie, json!({})).await.status, StatusCode::NOT_FOUND);
    let again = bench.post("/api/v1/plugins/megatec/restart", cookie, json!({})).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT, "{}", again.body);
    // What no root signed is no keyring.
    let forged = desk.upload("/api/v1/plugin-keyring", RAW, b"EVENKEEL".to_vec()).await;
    assert_eq!(forged.status, StatusCode::CONFLICT);
}
