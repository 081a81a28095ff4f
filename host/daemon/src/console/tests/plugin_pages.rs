//! The plugins' pages over a real plugin host: what an administrator and a
//! viewer see, and what never leaves the appliance.

use super::*;
use crate::caps::Services;
use crate::plugin::Supervisor;
use crate::plugin::fixture::{self, Fixture, Kept};
use crate::plugin::supervisor::RosterStore as _;
use crate::plugin_admin::MASK;
use std::collections::BTreeSet;

/// A console over a plugin host, and what is kept of its plugins.
struct Host {
    bench: Bench,
    kept: Kept,
    digest: String,
    _fixture: Fixture,
}

/// A driver whose schema has a secret.
fn driver(fixture: &Fixture) -> Vec<u8> {
    let mut manifest = fixture::manifest(&[fixture::SERIAL, "evenkeel:points/points@0.1.1"]);
    manifest.world = "evenkeel:driver/device-driver@0.2.0".into();
    manifest.settings = serde_json::from_value(json!([
        {"name": "unit", "label": "Unit", "kind": {"integer": {"min": 1, "max": 247}}},
        {"name": "key", "label": "Key <of it>", "kind": {"secret": {"max_len": 20}}},
    ]))
    .expect("a schema");
    fixture.seal(&manifest, &fixture::driver_0_2(1, fixture::TELL))
}

async fn host() -> Host {
    let fixture = Fixture::new();
    fixture.put_key();
    let config = fixture::config(fixture.dir.path(), Vec::new());
    let kept = Kept::default();
    let events = Arc::new(|_| {});
    let store = Box::new(kept.clone());
    let plugins = Supervisor::start(&config, Services::default(), events, store).expect("starts");
    let raw = driver(&fixture);
    let info = plugins.upload(raw).await.expect("answered").expect("accepted");
    let guard = FakeGuard::start(|_| command::Answer::Done);
    let bench = Bench::with_plugins(guard, Arc::new(plugins)).await;
    Host { bench, kept, digest: info.digest, _fixture: fixture }
}

impl Host {
    fn viewer(&self) -> String {
        let token = Token::random().expect("random numbers");
        let (user, roles) = ("eve".to_owned(), BTreeSet::from(["viewer".to_owned()]));
        let account = Account { user, roles, via: Some("radius".into()), must_change: false };
        self.bench.console.sessions().begin(&token, account, crate::clock::now());
        token.set_cookie().split(';').next().expect("a pair").to_owned()
    }

    async fn install(&self, cookie: &str, fields: &str) -> Answer {
        let bundles = self.bench.get("/api/v1/bundles", cookie).await.json();
        let consent = bundles[0]["consent"].as_str().expect("a mark").to_owned();
        let form = format!("consent={consent}&grant.serial.ups=%2Fdev%2FttyS1&{fields}");
        self.bench.form(&format!("/bundles/{}", self.digest), cookie, &form).await
    }

    async fn settings(&self, cookie: &str) -> Json {
        let detail = self.bench.get("/api/v1/plugins/megatec", cookie).await.json();
        detail["plugin"]["settings"].clone()
    }

    fn kept(&self) -> String {
        self.kept.load().expect("readable").unwrap_or_default()
    }
}

#[tokio::test]
async fn settings_are_a_form_and_secrets_go_one_way() {
    let host = host().await;
    let cookie = host.bench.signed_in().await;
    let page = host.bench.get(&format!("/bundles/{}", host.digest), &cookie).await.body;
    for part in [
        "name=\"setting.unit\"",
        "1 to 247.",
        "name=\"setting.key\" type=\"password\"",
        "Key &#60;of it&#62;",
        "talk to the device on the serial line “ups”",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let wrong = host.install(&cookie, "points=ups.0&setting.unit=900&setting.key=s3cret").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("must be 1 to 247, not 900"), "{}", wrong.body);
    assert!(wrong.body.contains("aria-describedby=\"e-setting.unit h-setting.unit\""));
    assert!(!wrong.body.contains("s3cret"), "what was typed is not repeated");

    let done = host.install(&cookie, "points=ups.0&setting.unit=9&setting.key=s3cret").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    assert!(host.kept().contains("[entries.megatec") && !host.kept().contains("s3cret"));
    assert_eq!(host.settings(&cookie).await, json!({"unit": "9", "key": MASK}));
    for path in [
        "/plugins".to_owned(),
        "/plugins/megatec".to_owned(),
        format!("/bundles/{}?plugin=megatec", host.digest),
        "/api/v1/plugins".to_owned(),
        "/api/v1/plugins/megatec".to_owned(),
        "/api/v1/configuration/export".to_owned(),
        "/api/v1/support".to_owned(),
    ] {
        let answer = host.bench.get(&path, &cookie).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(!answer.body.contains("s3cret"), "{path}");
    }
    // Nothing in the field is no change; the box takes it back.
    let done = host.install(&cookie, "points=ups.0&setting.unit=8&setting.key=").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    assert_eq!(host.settings(&cookie).await, json!({"unit": "8", "key": MASK}));
    let done = host.install(&cookie, "points=ups.0&setting.key=&forget.key=true").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    assert_eq!(host.settings(&cookie).await, json!({}));
}

#[tokio::test]
async fn a_viewer_sees_no_button_and_a_page_with_a_way_out() {
    let host = host().await;
    let admin = host.bench.signed_in().await;
    let done = host.install(&admin, "points=ups.0").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    let viewer = host.viewer();
    let bundle = format!("/bundles/{}", host.digest);
    for path in ["/plugins", "/plugins/megatec", &bundle] {
        let forms = |body: &str| body.matches("<form").count();
        let (seen, whole) =
            (host.bench.get(path, &viewer).await, host.bench.get(path, &admin).await);
        assert_eq!(seen.status, StatusCode::OK, "{path}");
        assert!(seen.body.contains("megatec"), "{path}");
        assert_eq!(forms(&seen.body), 1, "{path}: signing out alone");
        assert!(forms(&whole.body) > 1, "{path}");
        let german = host.bench.get(&format!("{path}?lang=de"), &admin).await.body;
        assert!(german.contains("<html lang=\"de\">") && !german.contains("page-"), "{german}");
    }
    let german = host.bench.get(&format!("{bundle}?lang=de"), &admin).await.body;
    for part in ["mit dem Gerät an der seriellen Leitung „ups“ sprechen", "1 bis 247."] {
        assert!(german.contains(part), "{part}: {german}");
    }
    let refused = host.bench.form("/plugins/megatec", &viewer, "action=remove").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused.body.contains("needs configure in plugins") && refused.body.contains("href=\"/\"")
    );
    let nothing = host.bench.get("/no/such/page", &viewer).await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    assert!(nothing.body.contains("href=\"/\""), "{}", nothing.body);
    let nothing = host.bench.get("/api/v1/nothing", &viewer).await;
    assert_eq!(nothing.json()["type"], "not-found");
}

#[tokio::test]
async fn an_installed_authenticator_can_be_named_for_sign_in() {
    let peers = Peers::new(|_, _| Ok(Verdict::Accepted(vec!["ops".into()])));
    let guard = FakeGuard::start(|_| command::Answer::Done);
    let authenticator = PluginStatus { name: "radius".into(), world: "authenticator", ..plugin() };
    let plugins = Arc::new(NoPlugins(vec![plugin(), authenticator]));
    let remote = Remote::new(LoginSettings::default(), Arc::new(peers.clone()));
    let bench = Bench::with(guard, plugins, remote).await;
    let admin = bench.signed_in().await;
    assert_eq!(bench.login("ada", "secret").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(peers.asked(), [], "nobody is named yet");
    let name = |name: &str, roles: Json| json!({"authenticators": [name], "roles": roles});
    for (wish, word) in [
        (name("megatec", json!({"ops": "admin"})), "is no plugin"),
        (name("radius", json!({})), "nobody could sign in"),
        (name("radius", json!({"": "admin"})), "1 to 253"),
    ] {
        let refused = bench.post("/api/v1/sign-in", &admin, wish).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert!(refused.body.contains(word), "{}", refused.body);
    }
    let wish = name("radius", json!({"ops": "viewer"}));
    let now = bench.post("/api/v1/sign-in", &admin, wish).await;
    assert_eq!(now.json()["installed"], json!(["radius"]));
    let ada = bench.login("ada", "secret").await;
    assert_eq!(ada.json(), signed_in("ada", "viewer", "radius", false));
    let kept = crate::console::sign_in_settings::kept(&bench.store).expect("readable");
    assert_eq!(kept.expect("kept").authenticators, ["radius"]);
    let said = bench.form("/sign-in", &admin, "authenticators=&roles=").await;
    assert_eq!(said.status, StatusCode::SEE_OTHER, "{}", said.body);
    assert_eq!(bench.login("ada", "secret").await.status, StatusCode::UNAUTHORIZED);
    assert!(bench.events().await.iter().any(|e| e.contains("radius decide about sign-ins")));
}
