//! The console from outside: requests into the router, and one over TLS.

use super::gate::Peer;
use super::remote::Remote;
use super::routes::{self, Permission};
use super::session::{Account, Token};
use super::{Console, Parts, challenge, claim, openapi, server};
use crate::accounts::book;
use crate::alarms::{Alarms, Itself};
use crate::caps::meter::Traffic;
use crate::certificate::Certificates;
use crate::commands::{Offer, Parameter, Switchboard};
use crate::firmware::Firmware;
use crate::guard::RecordRows;
use crate::guard::testing::FakeGuard;
use crate::hub::Hub;
use crate::jobs::{Automation, Executor, NoNotifiers, Receivers};
use crate::licence::Licences;
use crate::licence::tests::{FakeGate, trust_in};
use crate::login::{Asked, Attempt, Authenticators, LoginSettings, Nobody, Unavailable, Verdict};
use crate::network::NetworkKeeper;
use crate::plant::{Plant, testing};
use crate::plugin_admin::{NoPlugins, PluginAdmin};
use crate::plugin_status::{PluginState, PluginStatus};
use crate::store::{PastDischarge, Store};
use crate::telemetry::settings::Telemetry;
use crate::upses;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use evenkeel_core::command::{self, Order};
use evenkeel_core::discharge::{
    BlockDischarge, Collapse, CollapseCause, DischargeRecord, Part, RowHead,
};
use evenkeel_core::equalize::BlockReport;
use evenkeel_core::events::Event;
use evenkeel_core::image::{
    BlockRecord, DeviceRecord, Fault, Snapshot, StationRecord, StringRecord,
};
use evenkeel_core::licence::Limits;
use evenkeel_core::points::{Name, Point, Quality, Unit, Value};
use evenkeel_core::protect::{Condition, Level};
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower_service::Service as _;

const NEW_PASSWORD: &str = "three rusty anchors";
const HOST: &str = "ups.example";

struct Bench {
    dir: tempfile::TempDir,
    hub: Arc<Hub>,
    store: Arc<Store>,
    console: Arc<Console>,
    router: Router,
    guard: FakeGuard,
    switchboard: Arc<Switchboard>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_str(&self.body).expect("JSON")
    }

    fn cookie(&self) -> String {
        let cookie = self.headers[header::SET_COOKIE].to_str().expect("text");
        assert!(cookie.contains("; Secure; HttpOnly; Path=/; SameSite=Lax"), "{cookie}");
        cookie.split(';').next().expect("a pair").to_owned()
    }
}

fn plant(first_mv: u16) -> Plant {
    let block = |mv| BlockRecord {
        voltage_mv: mv,
        temperature_dc: 253,
        quality: Quality::Good,
        temperature_quality: Quality::Good,
        equalize: BlockReport {
            target_v: 13.6,
            deviation_v: f64::from(mv) / 1e3 - 13.6,
            ..BlockReport::default()
        },
        fault: Fault::None,
        read: crate::clock::now(),
        serial: 77,
        ..BlockRecord::default()
    };
    let mut string = StringRecord::new(vec![block(first_mv), block(13_600)]);
    string.equalize.target_v = 13.6;
    string.equalize.worst_v = f64::from(first_mv) / 1e3 - 13.6;
    string.equalize.members = 2;
    let snapshot = Snapshot { strings: vec![string], ..Snapshot::default() };
    Plant {
        snapshot,
        strings: vec!["<b>A".into()],
        devices: vec![],
        connected: true,
        over: Vec::new(),
    }
}

fn plugin() -> PluginStatus {
    PluginStatus {
        name: "megatec".into(),
        version: "0.1.0".into(),
        vendor: "dev".into(),
        signer: "\"workshop\" (fingerprint 0000)".into(),
        platform: true,
        awaits_consent: false,
        state: PluginState::Running,
        last_error: None,
        world: "driver",
        polls: 7,
        calls: 8,
        slowest_call_us: 1_500,
        traps: 0,
        cpu_ms: 3,
        memory_bytes: 1 << 20,
        poll_p50_us: 900,
        last_poll_us: 1_000,
        since_unix_ms: 1,
        in_call_ms: 0,
        refused: 0,
        last_refused: None,
        traffic: Traffic { serial_sent: 12, serial_received: 184, ..Traffic::default() },
    }
}

fn signed_in(user: &str, role: &str, origin: &str, must_change: bool) -> Json {
    let rights = book::built_in(role).expect("built in").by_name();
    json!({"user": user, "roles": [role], "rights": rights, "origin": origin,
        "must_change_password": must_change, "must_turn_on_second_factor": false})
}

type Opinion = fn(&str, &Attempt) -> Result<Verdict, Unavailable>;

/// Authenticators of a test, and what they were asked.
#[derive(Clone)]
struct Peers {
    answer: Arc<Mutex<Opinion>>,
    asked: Arc<Mutex<Vec<(String, Attempt)>>>,
}

impl Peers {
    fn new(answer: Opinion) -> Self {
        Self { answer: Arc::new(Mutex::new(answer)), asked: Arc::default() }
    }

    fn asked(&self) -> Vec<(String, String, String)> {
        let asked = super::lock(&self.asked);
        asked.iter().map(|(n, a)| (n.clone(), a.user.clone(), a.password.clone())).collect()
    }
}

impl Authenticators for Peers {
    fn authenticate(&self, name: &str, attempt: Attempt) -> Asked {
        let answer = super::lock(&self.answer)(name, &attempt);
        super::lock(&self.asked).push((name.to_owned(), attempt));
        Box::pin(async { answer })
    }
}

impl Bench {
    async fn new() -> Self {
        Self::with_guard(FakeGuard::start(|_| command::Answer::Done)).await
    }

    async fn with_guard(guard: FakeGuard) -> Self {
        Self::with_plugins(guard, Arc::new(NoPlugins(vec![plugin()]))).await
    }

    async fn with_plugins(guard: FakeGuard, plugins: Arc<dyn PluginAdmin>) -> Self {
        let nobody = Remote::new(LoginSettings::default(), Arc::new(Nobody));
        Self::with(guard, plugins, nobody).await
    }

    /// With authenticators that answer so.
    async fn with_peers(peers: Peers) -> Self {
        let settings = "authenticators = [\"radius\", \"second\"]\n\
                        [roles]\nops = \"admin\"\nall = \"viewer\"";
        let settings = toml::from_str(settings).expect("good settings");
        let guard = FakeGuard::start(|_| command::Answer::Done);
        let plugins = Arc::new(NoPlugins(vec![plugin()]));
        Self::with(guard, plugins, Remote::new(settings, Arc::new(peers))).await
    }

    async fn with(guard: FakeGuard, plugins: Arc<dyn PluginAdmin>, remote: Remote) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Store::open(dir.path(), Default::default()).expect("a store"));
        let hub = Arc::new(Hub::default());
        let notices = vec!["configuration refused".to_owned()];
        let path = dir.path().to_owned();
        let orders = Arc::new(guard.orders());
        let (sink, runtime) = (store.clone(), tokio::runtime::Handle::current());
        let events = Arc::new(move |event| sink.record(event));
        let commands = Switchboard::new(hub.clone(), orders.clone(), runtime, events);
        let commands = Arc::new(commands);
        let switchboard = commands.clone();
        let gate = Arc::new(FakeGate::default());
        let licences = Licences::open(
            &path,
            trust_in(&path),
            hub.clone(),
            store.clone(),
            gate,
            Arc::default(),
        );
        let licences = Arc::new(licences.expect("opened"));
        let sources = upses::testing::sources(vec![upses::testing::driver("ups.0")]);
        let alarms = Alarms::open(hub.clone(), store.clone(), sources.1, Box::new(Itself::default));
        let receivers = Arc::new(Receivers::open(store.clone()));
        let executor = Executor::new(
            orders.clone(),
            commands.clone(),
            Arc::new(NoNotifiers),
            receivers,
            hub.clone(),
        );
        let automation = Automation::open(hub.clone(), store.clone(), Arc::new(executor));
        let firmware = Firmware::new(path.join("slots.sock"), hub.clone(), store.clone(), None);
        let certificates = Certificates::new(path.clone());
        let unix_ms = crate::clock::unix_ms();
        certificates.open("rack-7.example", unix_ms).expect("an own certificate");
        let parts = Parts {
            firmware: Arc::new(firmware),
            certificates,
            network: NetworkKeeper::new(path.join("network.sock")),
            alarms: Arc::new(alarms),
            hub: hub.clone(),
            store: store.clone(),
            plugins,
            deliveries: Arc::new(Vec::new),
            orders,
            commands,
            automation: Arc::new(automation),
            licences,
            data_dir: path,
            remote,
            telemetry: Telemetry::default(),
        };
        let console = Console::new(parts, notices).await;
        let router = routes::router(&console);
        Self { dir, hub, store, console, router, guard, switchboard }
    }

    fn first_password(&self) -> String {
        let path = self.dir.path().join(claim::FIRST_PASSWORD);
        std::fs::read_to_string(path).expect("the first password").trim().to_owned()
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let mut request = request;
        request.extensions_mut().insert(Peer([192, 0, 2, 1].into()));
        let response = self.router.clone().call(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        // An export is no text, and is not read as one.
        let body = String::from_utf8_lossy(&body).into_owned();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str, cookie: &str) -> Answer {
        let request = Request::get(path).header(header::HOST, HOST).header(header::COOKIE, cookie);
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    async fn post(&self, path: &str, cookie: &str, body: Json) -> Answer {
        let request = Request::post(path)
            .header(header::HOST, HOST)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::COOKIE, cookie);
        self.send(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    async fn form(&self, path: &str, cookie: &str, body: &str) -> Answer {
        let request = Request::post(path)
            .header(header::HOST, HOST)
            .header(header::ORIGIN, format!("https://{HOST}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::COOKIE, cookie);
        self.send(request.body(Body::from(body.to_owned())).expect("a request")).await
    }

    async fn login(&self, user: &str, password: &str) -> Answer {
        self.post("/api/v1/login", "", json!({"user": user, "password": password})).await
    }

    /// The events in words, when all are there.
    async fn events(&self) -> Vec<String> {
        let flushed = self.store.record_acknowledged(Event::Unknown);
        flushed.done().await.expect("after the others");
        self.store.latest(64).iter().map(|e| e.event.to_string()).collect()
    }

    /// Sign in and change the first password.
    async fn signed_in(&self) -> String {
        let first = self.first_password();
        let cookie = self.login("admin", &first).await.cookie();
        let wish = json!({"old": first, "new": NEW_PASSWORD, "again": NEW_PASSWORD});
        self.post("/api/v1/password", &cookie, wish).await.cookie()
    }

    /// Everything a stream says until `enough`.
    async fn stream(&self, cookie: &str) -> axum::body::BodyDataStream {
        self.stream_in("en", cookie).await
    }

    async fn stream_in(&self, lang: &str, cookie: &str) -> axum::body::BodyDataStream {
        let request = Request::get(format!("/api/v1/stream?lang={lang}"))
            .header(header::HOST, HOST)
            .header(header::COOKIE, cookie)
            .body(Body::empty());
        let response = self.router.clone().call(request.expect("a request")).await;
        let response = response.expect("infallible");
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().into_data_stream()
    }
}

async fn next(stream: &mut axum::body::BodyDataStream) -> Option<String> {
    use futures_util::Stream as _;
    let chunk = std::future::poll_fn(|context| std::pin::Pin::new(&mut *stream).poll_next(context));
    let chunk = tokio::time::timeout(Duration::from_secs(10), chunk).await.expect("in time")?;
    Some(String::from_utf8(chunk.expect("no error").to_vec()).expect("text"))
}

#[tokio::test]
async fn anonymous_people_reach_what_is_public_and_nothing_else() {
    let bench = Bench::new().await;
    for route in routes::table() {
        let path = route.path.replace("{version}", "x").replace("{file}", "style.css");
        let answer = match route.method {
            Method::GET => bench.get(&path, "").await,
            _ => bench.post(&path, "", json!({})).await,
        };
        let place = format!("{} {path}: {}", route.method, answer.status);
        match (route.permission, path.starts_with("/api/")) {
            (Permission::Public, _) => {
                assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{place}");
                assert_ne!(answer.status, StatusCode::SEE_OTHER, "{place}");
            }
            (Permission::Metrics, _) | (_, true) => {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{place}");
            }
            (_, false) => assert_eq!(answer.headers[header::LOCATION], "/login", "{place}"),
        }
    }
}

#[tokio::test]
async fn the_first_password_opens_only_its_own_change() {
    let bench = Bench::new().await;
    let first = bench.first_password();
    let answer = bench.login("admin", &first).await;
    assert_eq!(answer.json(), signed_in("admin", "admin", "local", true));
    let cookie = answer.cookie();
    for route in routes::table() {
        use Permission::{Leave, Metrics, Public, Session};
        if matches!(route.permission, Public | Session | Leave) {
            continue;
        }
        let answer = match route.method {
            Method::GET => bench.get(route.path, &cookie).await,
            _ => bench.post(route.path, &cookie, json!({})).await,
        };
        match route.path.starts_with("/api/") || route.permission == Metrics {
            true => assert_eq!(answer.json()["type"], "password-change", "{}", route.path),
            false => assert_eq!(answer.headers[header::LOCATION], "/password", "{}", route.path),
        }
    }
    let wish = json!({"old": first, "new": "short", "again": "short"});
    let refused = bench.post("/api/v1/password", &cookie, wish).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let wish = json!({"old": "wrong", "new": NEW_PASSWORD, "again": NEW_PASSWORD});
    assert_eq!(bench.post("/api/v1/password", &cookie, wish).await.status, 401);
    assert!(bench.dir.path().join(claim::FIRST_PASSWORD).exists());

    let wish = json!({"old": first, "new": NEW_PASSWORD, "again": NEW_PASSWORD});
    let fresh = bench.post("/api/v1/password", &cookie, wish).await.cookie();
    assert!(!bench.dir.path().join(claim::FIRST_PASSWORD).exists());
    assert_eq!(bench.get("/api/v1/points", &cookie).await.status, 401, "old sessions are dead");
    assert_eq!(bench.get("/api/v1/points", &fresh).await.status, 200);
    assert_eq!(bench.login("admin", &first).await.status, 401);
    assert_eq!(bench.login("admin", NEW_PASSWORD).await.status, 200);
    let kinds = bench.store.latest(9);
    assert!(kinds.iter().any(|e| matches!(e.event, Event::PasswordChanged { .. })));
}

#[tokio::test]
async fn forms_do_the_same_as_the_api() {
    let bench = Bench::new().await;
    let first = bench.first_password();
    let answer = bench.form("/login", "", &format!("user=admin&password={first}")).await;
    assert_eq!(answer.headers[header::LOCATION], "/password");
    let body = format!("old={first}&new=three+rusty+anchors&again=three+rusty+anchors");
    let changed = bench.form("/password", &answer.cookie(), &body).await;
    assert_eq!(changed.headers[header::LOCATION], "/setup", "{}", changed.body);
    let wrong = bench.form("/login", "", "user=admin&password=x").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.body.contains("Wrong user or password"), "{}", wrong.body);
    let cookie = changed.cookie();
    let page = bench.get("/", &cookie).await;
    assert_eq!(page.status, 200);
    let out = bench.form("/logout", &cookie, "").await;
    assert_eq!(out.headers[header::LOCATION], "/login");
    assert!(out.headers.contains_key("clear-site-data"));
    assert_eq!(bench.get("/", &cookie).await.headers[header::LOCATION], "/login");
}

#[tokio::test]
async fn guessing_is_slowed_and_tells_nothing() {
    let bench = Bench::new().await;
    let unknown = bench.login("nobody", "x").await;
    let known = bench.login("admin", "x").await;
    assert_eq!((unknown.status, &unknown.body), (known.status, &known.body));
    for _ in 0..4 {
        bench.login("admin", "x").await;
    }
    let slowed = bench.login("admin", &bench.first_password()).await;
    assert_eq!(slowed.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(slowed.headers.contains_key(header::RETRY_AFTER));
    assert!(slowed.json()["retry_after_s"].as_u64().expect("seconds") >= 1);
    for name in ["admin\0", "admin\u{200b}", "admin ", "Admin", ""] {
        assert_ne!(bench.login(name, &bench.first_password()).await.status, 200, "{name:?}");
    }
}

#[tokio::test]
async fn an_unknown_user_costs_the_same_work() {
    let bench = Bench::new().await;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..15 {
        for (known, times) in times.iter_mut().enumerate() {
            let hash = (known == 1).then(|| {
                let user = bench.store.user("admin").expect("readable").expect("admin");
                let user: Json = serde_json::from_slice(&user).expect("JSON");
                user["hash"].as_str().expect("a hash").to_owned()
            });
            let begun = Instant::now();
            assert!(!bench.console.hasher.verify("x".into(), hash).await.expect("an answer"));
            times.push(begun.elapsed());
        }
    }
    let [unknown, known] = times.map(|mut t| {
        t.sort();
        t[0].as_secs_f64()
    });
    // The best of each: scheduling noise only ever adds.
    assert!((0.5..2.0).contains(&(unknown / known)), "{unknown} s against {known} s");
}

#[tokio::test]
async fn writes_from_other_sites_are_refused_everywhere() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    for route in routes::table().iter().filter(|r| r.method != Method::GET) {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "none"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("x-nothing", "x"),
        ] {
            let request = Request::post(route.path)
                .header(header::HOST, HOST)
                .header(header::COOKIE, &cookie)
                .header(header::CONTENT_TYPE, "application/json")
                .header(name, value);
            let answer = bench.send(request.body(Body::from("{}")).expect("a request")).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{} {name}: {value}", route.path);
        }
    }
    assert_eq!(bench.get("/api/v1/guard", &cookie).await.json()["type"], "no-guard");
    let text = Request::post("/api/v1/login")
        .header(header::HOST, HOST)
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, "text/plain");
    let text = text.body(Body::from("{}")).expect("a request");
    assert_eq!(bench.send(text).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let big = json!({"user": "x".repeat(20_000), "password": "x"});
    assert_eq!(bench.post("/api/v1/login", "", big).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn every_answer_has_the_headers() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    for path in ["/", "/login", "/password", "/api/v1/points", "/nothing", "/assets/x/y"] {
        let answer = bench.get(path, &cookie).await;
        let policy = answer.headers["content-security-policy"].to_str().expect("text");
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(answer.headers["x-frame-options"], "DENY", "{path}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
    }
    let page = bench.get("/", &cookie).await.body;
    let style = page.split('"').find(|t| t.ends_with("style.css")).expect("a style sheet");
    let answer = bench.get(style, "").await;
    assert!(answer.headers[header::CACHE_CONTROL].to_str().expect("text").contains("immutable"));
    let inline = [" style=", " onclick=", "<script>", "<style", "javascript:"];
    for path in ["/", "/login", "/password"] {
        let page = bench.get(path, &cookie).await.body;
        assert!(inline.iter().all(|bad| !page.contains(bad)), "{path}");
    }
}

#[tokio::test]
async fn the_api_tells_values_with_what_belongs_to_them() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    bench.hub.set_plant(plant(13_612));
    let name = Name::parse("ups.0.ups.load").expect("a name");
    let at = crate::clock::now();
    let load =
        Point { value: Value::Number(34.5), unit: Unit::Percent, quality: Quality::Good, at };
    bench.hub.publish("ups.0", crate::clock::now(), [(name, load)]);

    let points = bench.get("/api/v1/points?prefix=ups", &cookie).await.json();
    assert_eq!(points[0]["name"], "ups.0.ups.load");
    assert_eq!(points[0]["value"], 34.5);
    assert_eq!((&points[0]["unit"], &points[0]["quality"]), (&json!("%"), &json!("good")));
    assert!(points[0]["unix_ms"].as_u64() > Some(1_700_000_000_000));
    let strings = bench.get("/api/v1/strings", &cookie).await.json();
    assert_eq!(strings[0]["sum_v"], Json::Null, "not computable is null");
    assert_eq!(strings[0]["in_band"], false);
    assert_eq!(strings[0]["blocks"][0]["deviation_mv"], 12);
    assert_eq!(strings[0]["charge_percent"], json!({"value": null, "sigma": null}));
    assert_eq!(strings[0]["phase"], "unknown");
    assert_eq!(strings[0]["alarms"], json!([]));
    assert_eq!(strings[0]["blocks"][0]["temperature_c"], 25.3);
    assert_eq!(strings[0]["blocks"][1]["serial"], 77);
    assert_eq!(bench.get("/api/v1/plugins", &cookie).await.json()[0]["state"], "running");
    assert_eq!(bench.get("/api/v1/guard", &cookie).await.json()["connected"], true);
    let events = bench.get("/api/v1/events?after=0&limit=1", &cookie).await.json();
    assert_eq!((&events[0]["id"], &events[0]["data"]["kind"]), (&json!(1), &json!("login")));
    for bad in ["/api/v1/points?x=1", "/api/v1/events?after=-1", "/api/v1/history?block=1"] {
        let answer = bench.get(bad, &cookie).await;
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json", "{bad}");
        assert_eq!(answer.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn an_order_is_done_refused_or_unanswered_and_always_told() {
    let guard = FakeGuard::start(|order| match order {
        Order::Reset { .. } => command::Answer::Refused("this string is not tripped".into()),
        _ => command::Answer::Done,
    });
    let bench = Bench::with_guard(guard).await;
    let cookie = bench.signed_in().await;
    let pause = json!({"order": "pause", "string": 2, "seconds": 60});
    assert_eq!(bench.post("/api/v1/orders", &cookie, pause).await.status, 204);
    let reset = json!({"order": "reset", "string": 1});
    let refused = bench.post("/api/v1/orders", &cookie, reset).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.json()["detail"], "this string is not tripped");
    let senseless = json!({"order": "explode", "string": 1});
    assert_eq!(bench.post("/api/v1/orders", &cookie, senseless).await.status, 422);
    assert_eq!(
        bench.guard.asked(),
        [Order::Pause { string: 2, seconds: 60 }, Order::Reset { string: 1 }]
    );
    bench.store.record_acknowledged(Event::Unknown).done().await.expect("after the events");
    let told: Vec<_> = bench.store.latest(9).iter().map(|e| e.event.to_string()).collect();
    assert!(told.iter().any(|t| t.starts_with("admin ordered from 192.0.2.1: pause")), "{told:?}");
    assert!(told.iter().any(|t| t.ends_with("refused: this string is not tripped")), "{told:?}");

    let nobody = bench.guard.socket();
    std::fs::remove_file(nobody).expect("gone");
    let mute = bench.post("/api/v1/orders", &cookie, json!({"order": "mute"})).await;
    assert_eq!(
        (mute.status, &mute.json()["type"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("no-guard"))
    );
    assert!(mute.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn buttons_do_the_same_and_say_why_not() {
    let guard = FakeGuard::start(|order| match order {
        Order::Mute => command::Answer::Done,
        _ => command::Answer::Refused("<not> now".into()),
    });
    let bench = Bench::with_guard(guard).await;
    let cookie = bench.signed_in().await;
    let done = bench.form("/orders", &cookie, "order=mute").await;
    assert_eq!(
        (done.status, &done.headers[header::LOCATION]),
        (StatusCode::SEE_OTHER, &"/".parse().expect("a value"))
    );
    let refused = bench.form("/orders", &cookie, "order=pause&string=1").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("&#60;not&#62; now"), "{}", refused.body);
    let senseless = bench.form("/orders", &cookie, "order=test&string=1").await;
    assert_eq!(senseless.status, StatusCode::BAD_REQUEST);
    assert_eq!(bench.guard.asked(), [Order::Mute, Order::Pause { string: 1, seconds: 3_600 }]);
}

#[tokio::test]
async fn devices_buses_and_tests_are_told() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let mut plant = plant(13_612);
    plant.devices = vec!["AUX".into()];
    plant.snapshot.devices.push(DeviceRecord {
        bus: 1,
        address: 1_030,
        type_code: 96,
        quality: Quality::Good,
        wrong_kind: false,
        read: crate::clock::now(),
        serial: 5,
        inputs: 0b10,
        outputs: 0b1,
        commanded: 0b1,
        values: [f32::NAN; 8],
    });
    let station =
        |serial, address, type_code| StationRecord { serial, address, type_code, hardware: 1 };
    let mut bus = testing::bus(false);
    bus.found = vec![station(9, 0, 20), station(77, 1, 20), station(78, 2, 23)];
    plant.snapshot.buses.push(bus);
    plant.snapshot.strings[0].blocks[0].address = 1;
    plant.snapshot.strings[0].blocks[1].address = 2;
    plant.snapshot.tests.push(Default::default());
    bench.hub.set_plant(plant);
    let devices = bench.get("/api/v1/devices", &cookie).await.json();
    assert_eq!((&devices[0]["name"], &devices[0]["kind"]), (&json!("AUX"), &json!("aux")));
    assert_eq!(devices[0]["inputs"], json!([false, true, false, false]));
    assert_eq!(devices[0]["outputs"][0], json!({"on": true, "commanded": true}));
    let findings = bench.get("/api/v1/buses", &cookie).await.json()[0]["findings"].clone();
    let kinds: Vec<_> =
        findings.as_array().expect("a list").iter().map(|f| &f["finding"]).collect();
    assert_eq!(kinds, ["unaddressed", "present", "wrong-type", "missing"], "{findings}");
    assert_eq!(findings[2]["expected"], "C20");
    let tests = bench.get("/api/v1/tests", &cookie).await.json();
    assert_eq!((&tests[0]["state"], &tests[0]["test"]), (&json!("no test so far"), &json!(1)));
}

#[tokio::test]
async fn discharges_are_listed_told_and_downloaded() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let collapse = Collapse { at_s: 60.0, v: 9.5, cause: CollapseCause::Cutoff, order: 1 };
    let blocks = vec![
        BlockDischarge::default(),
        BlockDischarge { collapse: Some(collapse), ..BlockDischarge::default() },
    ];
    let record = DischargeRecord { blocks, collapsed: 1, duration_s: 90.0, ..Default::default() };
    let past = PastDischarge { string: 1, name: "A".into(), begun_unix_ms: 7_000, rows: 1, record };
    let head = RowHead {
        offset_ms: 0,
        current_a: -10.0,
        temperature_c: 25.0,
        scans: 1,
        part: Part::Discharge,
    };
    let rows = RecordRows { heads: vec![head], mv: vec![12_000, 9_500], ..Default::default() };
    bench.store.keep_discharge(&past, &rows).done().await.expect("on the disk");
    let list = bench.get("/api/v1/discharges?string=1", &cookie).await.json();
    assert_eq!((&list[0]["id"], &list[0]["first_collapsed"]), (&json!("1-7000"), &json!(2)));
    assert_eq!(bench.get("/api/v1/discharges?string=2", &cookie).await.json(), json!([]));
    let one = bench.get("/api/v1/discharges/1-7000", &cookie).await.json();
    assert_eq!(
        (&one["duration_s"], &one["blocks"][1]["collapse"]["v"]),
        (&json!(90.0), &json!(9.5))
    );
    let rows = bench.get("/api/v1/discharges/1-7000/rows", &cookie).await;
    assert!(rows.headers[header::CONTENT_TYPE].to_str().expect("text").starts_with("text/csv"));
    assert!(rows.body.ends_with("0.0,discharge,-10.00,25.0,12.000,9.500\r\n"), "{}", rows.body);
    for wrong in ["1-7001", "x", "1-", "-1", "99999-1"] {
        let answer = bench.get(&format!("/api/v1/discharges/{wrong}"), &cookie).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{wrong}");
    }
}

#[tokio::test]
async fn history_comes_as_columns() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let plant = plant(13_612);
    let string = &plant.snapshot.strings[0];
    let blocks = &string.blocks;
    let seen = |block: &BlockRecord| (plant.quality(block), plant.temperature_quality(block));
    let row = evenkeel_core::history::Row::of(5_000, string, blocks, seen);
    bench.store.append(vec![(1, (&row).into())]).done().await.expect("on the disk");
    let history = bench.get("/api/v1/history?string=1&block=1", &cookie).await.json();
    assert_eq!(history["unix_ms"], json!([5_000]));
    assert_eq!(history["voltage_mv"], json!([13_612]));
    assert_eq!(history["target_mv"], json!([13_600]));
    assert_eq!((&history["fault"], &history["flags"]), (&json!([""]), &json!([0])));
    let string = bench.get("/api/v1/history?string=1&points=10", &cookie).await.json();
    assert_eq!(string["voltage_max_mv"], json!([13_612]));
    let csv = bench.get("/api/v1/history/export?format=csv&string=1&block=1", &cookie).await;
    assert!(csv.body.contains("\r\n1970-01-01T00:00:05.000Z,1,1,13.612,"), "{}", csv.body);
    let csv = bench.get("/api/v1/history/export?format=csv&string=1", &cookie).await;
    assert_eq!(csv.body.lines().count(), 1 + blocks.len(), "no guard is needed: {}", csv.body);
    let check = bench.get("/api/v1/history/check", &cookie).await.json();
    assert_eq!((&check["whole"], &check["groups"]), (&json!(true), &json!(1)));
    let none = bench.get("/api/v1/history?string=9&block=1", &cookie).await.json();
    assert_eq!(none["unix_ms"], json!([]));
}

#[tokio::test]
async fn the_past_of_a_point_is_charted_listed_and_printed() {
    use evenkeel_core::history::Span;
    use evenkeel_core::history::series::{Measure, Row, Series};
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let row = |unix_s, value| Row { unix_s, value, quality: Quality::Good };
    let load = Span { min: 30_000_000, mean: 34_000_000, max: 61_000_000 };
    let series = Series {
        name: "ups.0.ups.load".into(),
        measure: Measure::Number(Unit::Percent),
        rows: vec![row(60, Some(load)), row(360, None)],
    };
    bench.store.append_series(vec![series]).done().await.expect("on the disk");
    let past = bench.get("/api/v1/history/points?name=ups.0.ups.load", &cookie).await.json();
    assert_eq!((&past["unit"], &past["unix_ms"]), (&json!("%"), &json!([60_000, 360_000])));
    assert_eq!((&past["value"], &past["max"]), (&json!([34.0, null]), &json!([61.0, null])));
    let names = bench.get("/api/v1/history/points/names", &cookie).await.json();
    assert_eq!(names, json!([{"name": "ups.0.ups.load", "unit": "%"}]));
    let none = bench.get("/api/v1/history/points?name=ups.7.ups.load", &cookie).await.json();
    assert_eq!((&none["unix_ms"], &none["age_ms"]), (&json!([]), &json!(null)));
    let csv = bench.get("/api/v1/history/export?format=csv&point=ups.0", &cookie).await.body;
    let line = "1970-01-01T00:01:00.000Z,ups.0.ups.load,%,34.0,30.0,61.0,good\r\n";
    assert!(csv.lines().count() == 3 && csv.contains(line), "{csv}");
    for bad in ["points?name=UPS", "points", "export?format=csv&point=.."] {
        let answer = bench.get(&format!("/api/v1/history/{bad}"), &cookie).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn an_export_is_imported_and_a_damaged_one_refused() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    let (cookie, theirs) = (bench.signed_in().await, other.signed_in().await);
    let plant = plant(13_612);
    let string = &plant.snapshot.strings[0];
    let seen = |block: &BlockRecord| (plant.quality(block), plant.temperature_quality(block));
    let row = evenkeel_core::history::Row::of(5_000, string, &string.blocks, seen);
    bench.store.append(vec![(1, (&row).into())]).done().await.expect("on the disk");
    let mut export = Request::get("/api/v1/history/export")
        .header(header::HOST, HOST)
        .header(header::COOKIE, &cookie)
        .body(Body::empty())
        .expect("a request");
    export.extensions_mut().insert(Peer([192, 0, 2, 1].into()));
    let answer = bench.router.clone().call(export).await.expect("infallible");
    let file = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a file").to_vec();
    let post = |file: Vec<u8>| {
        Request::post("/api/v1/history/import")
            .header(header::HOST, HOST)
            .header(header::ORIGIN, format!("https://{HOST}"))
            .header(header::COOKIE, &theirs)
            .body(Body::from(file))
            .expect("a request")
    };
    let mut damaged = file.clone();
    damaged[40] ^= 1;
    assert_eq!(other.send(post(damaged)).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    for added in [1, 0] {
        let done = other.send(post(file.clone())).await.json();
        assert_eq!(
            (&done["sheets_added"], &done["sheets_present"]),
            (&json!(added), &json!(1 - added))
        );
    }
    let history = other.get("/api/v1/history?string=1&block=1", &theirs).await.json();
    assert_eq!(history["voltage_mv"], json!([13_612]));
}

#[tokio::test]
async fn the_page_shows_real_values_and_escapes_names() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    bench.hub.set_plant(plant(13_612));
    let page = bench.get("/", &cookie).await.body;
    assert!(page.contains("<i>+12</i>"), "{page}");
    assert!(page.contains("13.600 V") && page.contains("configuration refused"));
    assert!(page.contains("&#60;b&#62;A") && !page.contains("<b>A"));
}

#[tokio::test]
async fn the_page_lists_alarms_and_has_buttons_without_script() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let mut plant = testing::plant(&[13.6, 13.6]);
    testing::mark(&mut plant.snapshot.strings[0], 1, Condition::VoltageLow, Level::Alarm);
    plant.snapshot.annunciation.buzzer = true;
    bench.hub.set_plant(plant);
    bench.console.alarms.look(crate::clock::now(), crate::clock::unix_ms());
    let alarms = bench.get("/api/v1/alarms", &cookie).await.json();
    let words = &alarms["alarms"][0]["words"];
    let (place, title) = (words["place"].as_str(), words["title"].as_str());
    let row = format!("<td>{}</td><td>{}", place.expect("a place"), title.expect("a title"));
    let page = bench.get("/", &cookie).await.body;
    assert!(page.contains(&row), "{row} in {page}");
    assert!(page.contains(r#"class="m0 w2""#), "the tile is marked");
    assert!(page.contains(r#"data-c="sounding" data-status="buzzer""#));
    for order in ["mute", "pause", "resume", "reset"] {
        assert!(page.contains(&format!(r#"name="order" value="{order}""#)), "{order}");
    }
}

#[tokio::test]
async fn the_first_view_of_512_blocks_is_light() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let mut big = plant(13_612);
    let block = big.snapshot.strings[0].blocks[0];
    big.snapshot.strings[0] = StringRecord::new(vec![block; 512]);
    bench.hub.set_limits(Limits { blocks: None, ups_va: None });
    bench.hub.set_plant(big);
    for (path, row, rows) in [
        ("/", "<i>+12</i>", 512),
        ("/?lang=de", "<i>+12</i>", 512),
        ("/strings/1", "<td>+12</td>", 512),
    ] {
        let page = bench.get(path, &cookie).await.body;
        assert_eq!(page.matches(row).count(), rows, "{path}");
        let mut bytes = page.len();
        for asset in page.split('"').filter(|t| t.starts_with("/assets/")) {
            bytes += bench.get(asset, "").await.body.len();
        }
        assert!(bytes <= 150_000, "{path}: {bytes} bytes; DESIGN.md allows 150 kB");
    }
}

#[tokio::test]
async fn the_stream_sends_all_then_changes_then_ends_with_the_session() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    bench.hub.set_plant(plant(13_612));
    let live = tokio::spawn(super::stream::run(bench.console.clone()));
    let mut stream = bench.stream(&cookie).await;
    let first = next(&mut stream).await.expect("an event");
    assert!(first.contains("event: snapshot") && first.contains("\"dev\":[12,0]"), "{first}");

    let begun = Instant::now();
    bench.hub.set_plant(plant(13_611));
    loop {
        let event = next(&mut stream).await.expect("an event");
        assert!(event.contains("event: delta"), "{event}");
        if event.contains(r#""dev":{"i":[0],"v":[11]}"#) {
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());

    assert_eq!(bench.post("/api/v1/logout", &cookie, json!({})).await.status, 204);
    let begun = Instant::now();
    while let Some(event) = next(&mut stream).await {
        if event.contains("event: end") {
            assert!(next(&mut stream).await.is_none(), "closed");
            assert!(begun.elapsed() < Duration::from_secs(1));
            live.abort();
            return;
        }
    }
    panic!("closed without a word");
}

#[tokio::test]
async fn streams_are_bounded() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(bench.stream(&cookie).await);
    }
    let fifth = bench.get("/api/v1/stream", &cookie).await;
    assert_eq!(fifth.status, StatusCode::SERVICE_UNAVAILABLE);
    drop(streams);
    let _again = bench.stream(&cookie).await;
}

#[test]
fn the_document_is_the_one_in_the_repository() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("EVENKEEL_REGENERATE").is_some() {
        std::fs::write(path, openapi::TEXT.as_str()).expect("written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let same = kept == *openapi::TEXT;
    assert!(same, "openapi.json is old; run this test with EVENKEEL_REGENERATE=1 and review it");
}

#[test]
fn document_and_routes_name_the_same_paths() {
    let document: Json = serde_json::from_str(&openapi::TEXT).expect("JSON");
    assert!(document["openapi"].as_str().expect("a version").starts_with("3.1"));
    let mut documented = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("methods").keys();
        documented.extend(methods.map(|m| (m.to_uppercase(), path.clone())));
    }
    let routes = routes::table().into_iter().filter(|r| r.path.starts_with("/api/"));
    let mut routes: Vec<_> = routes.map(|r| (r.method.to_string(), r.path.to_owned())).collect();
    documented.sort();
    routes.sort();
    assert_eq!(documented, routes);
}

#[test]
fn a_page_left_open_does_not_keep_its_session_alive() {
    let script = include_str!("assets/live.js");
    let asked: Vec<_> = script.split('"').filter(|t| t.starts_with("/api/")).collect();
    assert!(!asked.is_empty());
    for path in asked {
        let route = routes::table().into_iter().find(|r| r.path == path).expect(path);
        assert!(!route.permission.is_activity(), "{path}");
    }
}

#[tokio::test]
async fn who_is_signed_in_can_be_asked() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let session = bench.get("/api/v1/session", &cookie).await.json();
    assert_eq!(session, signed_in("admin", "admin", "local", false));
}

#[tokio::test]
async fn guessing_is_one_event_and_one_more_a_minute() {
    let bench = Bench::new().await;
    for _ in 0..4 {
        bench.login("admin", "x").await;
    }
    bench.store.record_acknowledged(Event::Unknown).done().await.expect("after the others");
    let events = bench.store.latest(64);
    let failures = events.iter().filter(|e| matches!(e.event, Event::LoginFailed { .. }));
    assert_eq!(failures.count(), 1, "{events:?}");
}

#[tokio::test]
async fn the_local_account_is_decided_here_whatever_others_say() {
    let peers = Peers::new(|name, _| match name {
        "radius" => Err(Unavailable("no answer from 10.0.0.1; check the secret".into())),
        _ => Err(Unavailable("the plugin is not running".into())),
    });
    let bench = Bench::with_peers(peers.clone()).await;
    let cookie = bench.signed_in().await;
    assert_eq!(bench.get("/api/v1/points", &cookie).await.status, 200);
    tokio::time::pause();
    assert_eq!(bench.login("admin", "wrong").await.status, 401);
    for name in ["Admin", "ADMIN", "admin\0", "", "two words", "\u{fc}"] {
        assert_eq!(bench.login(name, NEW_PASSWORD).await.status, 401, "{name:?}");
    }
    assert_eq!(bench.login("ada", "").await.status, 401);
    assert_eq!(peers.asked(), [], "nobody else was told a local name or password");

    for _ in 0..3 {
        assert_eq!(bench.login("ada", "secret").await.status, 401);
    }
    let asked = |name: &str| (name.to_owned(), "ada".to_owned(), "secret".to_owned());
    assert_eq!(peers.asked()[..2], [asked("radius"), asked("second")]);
    *super::lock(&peers.answer) = |_, _| Ok(Verdict::Accepted(vec!["all".into()]));
    assert_eq!(bench.login("ada", "secret").await.status, 200);
    let events = bench.events().await;
    let said = |text: &str| events.iter().filter(|e| e.contains(text)).count();
    assert_eq!(said("radius cannot be asked, local accounts sign in alone: no answer from"), 1);
    assert_eq!(said("second cannot be asked"), 1);
    assert_eq!(said("radius decides about sign-ins again"), 1);
}

#[tokio::test(start_paused = true)]
async fn refusals_take_the_same_time_and_a_silent_authenticator_ten_seconds() {
    struct Silent;
    impl Authenticators for Silent {
        fn authenticate(&self, _: &str, attempt: Attempt) -> Asked {
            match attempt.user.as_str() {
                "slow" => Box::pin(std::future::pending()),
                _ => Box::pin(async { Ok(Verdict::Rejected) }),
            }
        }
    }
    let settings = "authenticators = [\"radius\"]\n[roles]\nops = \"admin\"";
    let remote = Remote::new(toml::from_str(settings).expect("good"), Arc::new(Silent));
    let guard = FakeGuard::start(|_| command::Answer::Done);
    let bench = Bench::with(guard, Arc::new(NoPlugins(vec![plugin()])), remote).await;
    let mut times = Vec::new();
    for name in ["admin", "ada", "no such name", "slow"] {
        let begun = tokio::time::Instant::now();
        assert_eq!(bench.login(name, "x").await.status, 401);
        times.push(begun.elapsed().as_millis() / 100 * 100);
    }
    assert_eq!(times, [2_000, 2_000, 2_000, 12_000]);
    let events = bench.events().await;
    assert!(events.iter().any(|e| e.ends_with("alone: no answer within 10 s")), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn who_was_silent_just_now_is_asked_last() {
    let peers = Peers::new(|name, _| match name {
        "radius" => Err(Unavailable("silent".into())),
        _ => Ok(Verdict::Accepted(vec!["all".into()])),
    });
    let bench = Bench::with_peers(peers.clone()).await;
    for _ in 0..2 {
        assert_eq!(bench.login("ada", "x").await.json()["origin"], "second");
    }
    let names: Vec<_> = peers.asked().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["radius", "second", "second"]);
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_takes_the_time_of_one_attempt_and_no_blame_falls_on_others() {
    struct OneIsMute;
    impl Authenticators for OneIsMute {
        fn authenticate(&self, name: &str, _: Attempt) -> Asked {
            match name {
                "radius" => Box::pin(std::future::pending()),
                _ => Box::pin(async { Ok(Verdict::Accepted(vec!["all".into()])) }),
            }
        }
    }
    let settings = "authenticators = [\"radius\", \"second\"]\n[roles]\nall = \"admin\"";
    let remote = Remote::new(toml::from_str(settings).expect("good"), Arc::new(OneIsMute));
    let guard = FakeGuard::start(|_| command::Answer::Done);
    let bench = Bench::with(guard, Arc::new(NoPlugins(vec![plugin()])), remote).await;
    assert_eq!(bench.login("ada", "x").await.status, 401);
    assert_eq!(bench.login("ada", "x").await.json()["origin"], "second");
    let events = bench.events().await;
    assert!(events.iter().any(|e| e.contains("radius cannot be asked")), "{events:?}");
    assert!(!events.iter().any(|e| e.contains("second cannot be asked")), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn guessing_elsewhere_is_slowed_here_too() {
    let peers = Peers::new(|_, _| Ok(Verdict::Rejected));
    let bench = Bench::with_peers(peers.clone()).await;
    for name in ["ada", "ADA", "Ada", "aDa", "adA"] {
        assert_eq!(bench.login(name, "x").await.status, 401);
    }
    assert_eq!(bench.login("ada", "x").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(peers.asked().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_answered_once_and_its_state_stays_here() {
    let peers = Peers::new(|_, attempt| match (&attempt.state, attempt.password.as_str()) {
        (None, "secret") => {
            Ok(Verdict::Challenge { state: b"S7ATE".to_vec(), prompt: "Token\n<b>?".into() })
        }
        (Some(state), "123456") if state == b"S7ATE" => Ok(Verdict::Accepted(vec!["ops".into()])),
        _ => Ok(Verdict::Rejected),
    });
    let bench = Bench::with_peers(peers.clone()).await;
    let asked = bench.login("ada", "secret").await;
    assert_eq!(
        (asked.status, asked.json()),
        (StatusCode::ACCEPTED, json!({"challenge": "Token <b>?"}))
    );
    let cookie = asked.cookie();
    assert!(cookie.starts_with(challenge::CHALLENGE_COOKIE));
    assert_eq!(bench.get("/api/v1/points", &cookie).await.status, 401, "no session yet");
    let answer = json!({"answer": "123456"});
    assert_eq!(bench.post("/api/v1/login/answer", "", answer.clone()).await.status, 401);
    let good = bench.post("/api/v1/login/answer", &cookie, answer.clone()).await;
    assert_eq!(good.json(), signed_in("ada", "admin", "radius", false));
    assert_eq!(bench.get("/api/v1/points", &good.cookie()).await.status, 200);
    let again = bench.post("/api/v1/login/answer", &cookie, answer.clone()).await;
    assert_eq!(again.status, 401, "single use");

    let form = bench.form("/login", "", "user=ada&password=secret").await;
    assert!(form.body.contains("Token &#60;b&#62;?"), "{}", form.body);
    assert!(!form.body.contains("S7ATE") && !form.body.contains("secret"));
    let wrong = bench.form("/login/answer", &form.cookie(), "answer=000000").await;
    assert_eq!(wrong.status, 401);
    let late = bench.form("/login/answer", &form.cookie(), "answer=123456").await;
    assert_eq!(late.status, 401, "a wrong answer uses it up");
    let form = bench.form("/login", "", "user=ada&password=secret").await;
    let good = bench.form("/login/answer", &form.cookie(), "answer=123456").await;
    assert_eq!(good.headers[header::LOCATION], "/");
    let vias = peers.asked();
    assert!(vias.iter().all(|(via, ..)| via == "radius"), "only who asked judges: {vias:?}");
}

#[tokio::test]
async fn over_a_real_tls_socket() {
    let bench = Bench::new().await;
    let shown = bench.console.certificates.config(&["h2", "http/1.1"]).expect("opened");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let console = bench.console.clone();
    let server =
        tokio::spawn(async move { server::serve(console, listener, shown.into(), stopped).await });

    let mut roots = rustls::RootCertStore::empty();
    let pem = bench.dir.path().join("console-certificate.pem");
    let certificate: rustls::pki_types::CertificateDer<'_> =
        rustls::pki_types::pem::PemObject::from_pem_file(pem).expect("a certificate");
    roots.add(certificate).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(address).await.expect("connected");
    let name = "localhost".try_into().expect("a name");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let mut tls = connector.connect(name, tcp).await.expect("a trusted handshake");
    tls.write_all(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut answer = vec![0; 4_096];
    let read = tls.read(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(!answer.to_lowercase().contains("\r\nserver:"), "{answer}");

    // Plain text on the TLS port is closed without an answer.
    let mut plain = tokio::net::TcpStream::connect(address).await.expect("connected");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("HTTP"), "{rest:?}");

    stop.send(true).expect("running");
    tokio::time::timeout(Duration::from_secs(5), server).await.expect("stops").expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_listed_run_and_recorded() {
    let bench = Bench::new().await;
    bench.hub.set_plant(plant(13_600));
    let cookie = bench.signed_in().await;
    let list = bench.get("/api/v1/commands", &cookie).await.json();
    let pause = list.as_array().expect("a list").iter();
    let mut pause =
        pause.filter(|c| c["target"] == "string.1" && c["command"] == "equalization.pause");
    let takes = &pause.next().expect("offered")["parameter"];
    assert_eq!(*takes, json!({"kind": "number", "low": 1, "high": 604_800}));
    let run = |wish: Json| bench.post("/api/v1/commands", &cookie, wish);
    let pause = json!({"target": "string.1", "command": "equalization.pause", "value": "60"});
    assert_eq!(run(pause).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bench.guard.asked(), [Order::Pause { string: 1, seconds: 60 }]);
    for (wish, status) in [
        (json!({"target": "string.1", "command": "equalization.pause", "value": "x"}), 400),
        (json!({"target": "string.1", "command": "trip.reset"}), 404),
        (json!({"target": "string.9", "command": "equalization.resume"}), 404),
        (json!({"target": "string.1", "command": "equalization.resume", "force": true}), 422),
    ] {
        assert_eq!(run(wish.clone()).await.status.as_u16(), status, "{wish}");
    }
    bench.store.record_acknowledged(Event::Unknown).done().await.expect("after the events");
    let events = bench.get("/api/v1/events", &cookie).await.body;
    assert!(events.contains("admin from 192.0.2.1 told string.1: equalization.pause 60"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dangerous_command_is_confirmed_by_its_name() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let description = "Switch the load off".to_owned();
    let offer = Offer { name: "load.off".into(), description, parameter: Parameter::None };
    let announced = bench.switchboard.announce("ups.0", vec![offer], Arc::default());
    let list = bench.get("/api/v1/commands", &cookie).await.json();
    assert_eq!(list[0]["danger"], "switches the load off", "{list}");
    for confirm in [Json::Null, json!(""), json!("ups.0"), json!("ups.1:load.off")] {
        let wish = json!({"target": "ups.0", "command": "load.off", "confirm": confirm});
        let answer = bench.post("/api/v1/commands", &cookie, wish).await;
        assert_eq!(answer.status, StatusCode::PRECONDITION_REQUIRED, "{confirm}");
        assert!(answer.body.contains("ups.0:load.off"), "{}", answer.body);
    }
    let wish = json!({"target": "ups.0", "command": "load.off", "confirm": "ups.0:load.off"});
    let answer = bench.post("/api/v1/commands", &cookie, wish.clone()).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "its driver does not run: {}", answer.body);
    drop(announced);
    let answer = bench.post("/api/v1/commands", &cookie, wish).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

mod accounts;
mod alarms;
mod appliance;
mod automation;
mod commissioning;
mod configuration;
mod first_run;
mod network;
mod pages;
mod plugin_pages;
mod plugins;
mod second_factor;
mod step_up;
mod webhooks;
