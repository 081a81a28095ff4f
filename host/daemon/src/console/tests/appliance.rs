//! The pages of the appliance itself from outside: firmware, licence and web
//! servers, for who may change them and for who may only look.

use super::*;
use evenkeel_signing::slot::Order;
use evenkeel_signing::slot::talk::{
    Answer as Said, Ask, News, Other, Progress, Status, Trial, line, parse,
};
use evenkeel_signing::{Kind, Role, SecretKey, seal};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixListener;

/// Questions, each with the bytes that followed it.
type Asked = Vec<(Ask, Vec<u8>)>;

/// Somebody in the place of the keeper of the slots.
struct FakeKeeper {
    asked: Arc<Mutex<Asked>>,
}

impl FakeKeeper {
    /// Answers questions by `status`, takes everything else, and keeps it.
    fn start(bench: &Bench, status: Status) -> Self {
        let listener = UnixListener::bind(bench.dir.path().join("slots.sock")).expect("bound");
        let asked = Arc::new(Mutex::new(Asked::new()));
        let kept = Arc::clone(&asked);
        let mut news = Vec::new();
        std::thread::spawn(move || {
            for peer in listener.incoming() {
                let mut input = BufReader::new(peer.expect("a peer"));
                let mut text = Vec::new();
                input.read_until(b'\n', &mut text).expect("a line");
                let ask: Ask = parse(&text).expect("a question");
                let mut bytes = Vec::new();
                if matches!(ask, Ask::Install { .. } | Ask::Keyring { .. }) {
                    input.read_to_end(&mut bytes).expect("the bytes");
                }
                let said = match ask {
                    Ask::Status => Said::Status(Box::new(status.clone())),
                    Ask::News => Said::News { news: std::mem::take(&mut news) },
                    Ask::MakePermanent => {
                        let (version, floor) = (status.version.clone(), status.epoch);
                        news.push(News::Permanent { version, floor });
                        Said::Done
                    }
                    _ => Said::Done,
                };
                crate::console::lock(&kept).push((ask, bytes));
                let line = line(&said).expect("a line");
                input.get_mut().write_all(&line).expect("answered");
            }
        });
        Self { asked }
    }

    /// What was wanted besides the status.
    fn wanted(&self) -> Asked {
        let asked = crate::console::lock(&self.asked);
        asked
            .iter()
            .filter(|(ask, _)| !matches!(ask, Ask::Status | Ask::News | Ask::Health(_)))
            .cloned()
            .collect()
    }
}

/// Slot A runs version 1.0.0; slot B holds 1.1.0, in this state.
fn status(state: &str) -> Status {
    Status {
        slot: "A".into(),
        version: "1.0.0".into(),
        epoch: 3,
        floor: 2,
        development: false,
        keyring: Some(1),
        root: "ab".repeat(32),
        started_because: "power came back".into(),
        trial: None,
        other: Other { state: state.into(), version: Some("1.1.0".into()), reason: None },
        installing: None,
        permanent_in_s: Some(600_000),
    }
}

/// A plant with which an update may happen, and an administrator.
async fn bench() -> (Bench, String) {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    bench.hub.set_plant(testing::plant(&[13.6, 13.6]));
    (bench, cookie)
}

/// Send a form with one file.
async fn send_file(bench: &Bench, path: &str, cookie: &str, field: &str, file: &[u8]) -> Answer {
    let head = format!(
        "--xyz\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"a\"\r\n\r\n"
    );
    let body = [head.as_bytes(), file, b"\r\n--xyz--\r\n"].concat();
    let request = Request::post(path)
        .header(header::HOST, HOST)
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=xyz")
        .header(header::CONTENT_LENGTH, body.len())
        .header(header::COOKIE, cookie);
    bench.send(request.body(Body::from(body)).expect("a request")).await
}

#[tokio::test]
async fn an_appliance_without_slots_says_so() {
    let (bench, cookie) = bench().await;
    let page = bench.get("/firmware", &cookie).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("has no slots for firmware"), "{}", page.body);
    assert!(!page.body.contains("action=\"/firmware"), "{}", page.body);
}

#[tokio::test]
async fn firmware_is_taken_in_and_started_after_a_tick() {
    let (bench, cookie) = bench().await;
    let keeper = FakeKeeper::start(&bench, status("ready"));
    let page = bench.get("/firmware?lang=de", &cookie).await.body;
    for said in ["1.0.0", "1.1.0", "bereit zum Start", "Nichts spricht dagegen", "power came back"]
    {
        assert!(page.contains(said), "{said} in {page}");
    }
    assert!(!page.contains("Entwicklungsschlüssel"), "{page}");
    let sent = send_file(&bench, "/firmware", &cookie, "bundle", b"all of it").await;
    assert_eq!(sent.headers[header::LOCATION], "/firmware?told=taken", "{}", sent.body);
    let whole = Ask::Install { length: 9, from: 0 };
    assert_eq!(keeper.wanted(), [(whole, b"all of it".to_vec())]);

    let untold = bench.form("/firmware/activate", &cookie, "").await;
    assert_eq!(untold.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(untold.body.contains("Tick that"), "{}", untold.body);
    assert_eq!(keeper.wanted().len(), 1, "nothing was done");
    let told = bench.form("/firmware/activate", &cookie, "confirm=yes").await;
    assert!(told.status == 200 && told.body.contains("restarts now"), "{}", told.body);
    let given = bench.form("/firmware/abandon", &cookie, "").await;
    assert_eq!(given.headers[header::LOCATION], "/firmware?told=abandoned", "{}", given.body);
    let wanted: Vec<Ask> = keeper.wanted().into_iter().map(|(ask, _)| ask).collect();
    assert_eq!(wanted[1..], [Ask::Activate, Ask::Abandon]);
    assert_eq!(bench.form("/firmware/explode", &cookie, "confirm=yes").await.status, 400);
    let events = bench.events().await;
    assert!(events.iter().any(|event| event.contains("1.1.0")), "{events:?}");
}

#[tokio::test]
async fn the_way_back_is_closed_after_a_tick_and_for_ever() {
    let (bench, cookie) = bench().await;
    let keeper = FakeKeeper::start(&bench, status("good"));
    let page = bench.get("/firmware?lang=de", &cookie).await.body;
    for said in ["Endgültig machen", "darf noch starten", "/firmware/make-permanent"] {
        assert!(page.contains(said), "{said} in {page}");
    }
    let untold = bench.form("/firmware/make-permanent", &cookie, "").await;
    assert_eq!(untold.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(untold.body.contains("may never start again"), "{}", untold.body);
    assert!(keeper.wanted().is_empty());
    let told = bench.form("/firmware/make-permanent", &cookie, "confirm=yes").await;
    assert_eq!(told.headers[header::LOCATION], "/firmware?told=permanent", "{}", told.body);
    let done = bench.post("/api/v1/firmware/make-permanent", &cookie, json!({})).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let wanted: Vec<Ask> = keeper.wanted().into_iter().map(|(ask, _)| ask).collect();
    assert_eq!(wanted, [Ask::MakePermanent, Ask::MakePermanent]);
    let events = bench.events().await;
    let told = "firmware 1.0.0 is permanent: nothing below epoch 3 starts";
    assert!(events.iter().any(|event| event == told), "{events:?}");
}

#[tokio::test]
async fn what_is_permanent_or_on_trial_has_no_button_for_it() {
    let trial = Trial { tries_left: 2, healthy_s: 3, missing: None, without: Vec::new() };
    for (closed, said) in [
        (Status { permanent_in_s: None, ..status("good") }, "lower epoch does not start any more"),
        (Status { trial: Some(trial), ..status("good") }, "may start still"),
    ] {
        let (bench, cookie) = bench().await;
        let _keeper = FakeKeeper::start(&bench, closed);
        let page = bench.get("/firmware", &cookie).await.body;
        assert!(page.contains(said), "{page}");
        assert!(!page.contains("make-permanent"), "{page}");
    }
}

#[tokio::test]
async fn everything_is_erased_for_who_may_and_types_the_serial_number() {
    let (bench, cookie) = bench().await;
    let keeper = FakeKeeper::start(&bench, status("good"));
    assert!(bench.get("/firmware", &cookie).await.body.contains("action=\"/factory-reset\""));
    let licence = bench.get("/api/v1/licence", &cookie).await.body;
    let licence: Json = serde_json::from_str(&licence).expect("JSON");
    let serial = licence["serial"].as_str().expect("a number").to_owned();
    let reset = |serial: String| {
        let (bench, cookie) = (&bench, &cookie);
        async move { bench.post("/api/v1/factory-reset", cookie, json!({"serial": serial})).await }
    };
    for wrong in ["", "yes", "7QK4-M2ZD-9XWB-U"] {
        let refused = reset(wrong.to_owned()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
    }
    let refused = bench.form("/factory-reset?lang=de", &cookie, "serial=nein").await;
    assert!(refused.body.contains("nichts wurde getan"), "{}", refused.body);
    let mut hot = testing::plant(&[13.6, 13.6]);
    testing::mark(&mut hot.snapshot.strings[0], 0, Condition::VoltageHigh, Level::Alarm);
    bench.hub.set_plant(hot);
    assert_eq!(reset(serial.clone()).await.status, StatusCode::CONFLICT);
    bench.hub.set_plant(testing::plant(&[13.6, 13.6]));
    assert!(keeper.wanted().is_empty(), "{:?}", keeper.wanted());

    // Whoever may configure the system alone may not.
    let role = json!({"rights": {"system": "configure"}});
    assert!(bench.post("/api/v1/roles/janitor", &cookie, role).await.status.is_success());
    let eve = bench.guest(&["janitor"]);
    assert!(!bench.get("/firmware", &eve).await.body.contains("/factory-reset"));
    let body = json!({"serial": serial});
    let refused = bench.post("/api/v1/factory-reset", &eve, body).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);

    assert_eq!(reset(serial.to_lowercase()).await.status, 200);
    let order = Order::person("admin", "192.0.2.1");
    assert_eq!(keeper.wanted(), [(Ask::FactoryReset { order }, Vec::new())]);
    let events = bench.events().await;
    let told = "admin ordered from 192.0.2.1: set the appliance back to how it left the factory";
    assert!(events.iter().any(|event| event.starts_with(told)), "{events:?}");
    let done = bench.form("/factory-reset", &cookie, &format!("serial={serial}")).await;
    assert!(done.status == 200 && done.body.contains("erases everything now"), "{}", done.body);
}

#[tokio::test]
async fn a_file_goes_on_where_it_broke_off() {
    let (bench, cookie) = bench().await;
    let progress = Progress { version: "1.1.0".into(), taken: 4, total: 9 };
    let without = vec!["acme".into()];
    let missing = Some("plugins".into());
    let trial = Trial { tries_left: 2, healthy_s: 60, missing, without };
    let begun = Status {
        installing: Some(progress),
        trial: Some(trial),
        development: true,
        ..status("writing")
    };
    let keeper = FakeKeeper::start(&bench, begun);
    let page = bench.get("/firmware", &cookie).await.body;
    for said in ["<progress", "max=\"9\" value=\"4\"", "development key", "2 starts", "plugins"] {
        assert!(page.contains(said), "{said} in {page}");
    }
    send_file(&bench, "/firmware", &cookie, "bundle", b"all of it").await;
    let rest = Ask::Install { length: 9, from: 4 };
    assert_eq!(keeper.wanted(), [(rest, b"of it".to_vec())]);
    send_file(&bench, "/firmware", &cookie, "bundle", b"another").await;
    let other = Ask::Install { length: 7, from: 0 };
    assert_eq!(keeper.wanted()[1], (other, b"another".to_vec()));
    assert_eq!(send_file(&bench, "/firmware", &cookie, "bundle", b"").await.status, 400);
    assert_eq!(keeper.wanted().len(), 2);
}

/// A keyring says whose firmware starts, too.
#[tokio::test]
async fn a_keyring_goes_to_the_keeper_first() {
    let (bench, cookie) = bench().await;
    let keeper = FakeKeeper::start(&bench, status("good"));
    let page = bench.get("/firmware", &cookie).await.body;
    assert!(page.contains("Number of the keyring in force</dt><dd>1<"), "{page}");
    let request = Request::post("/api/v1/plugin-keyring")
        .header(header::HOST, HOST)
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::COOKIE, &cookie);
    bench.send(request.body(Body::from("a keyring")).expect("a request")).await;
    let [(Ask::Keyring { length: 9, now_unix_s: Some(_) }, bytes)] = &keeper.wanted()[..] else {
        panic!("{:?}", keeper.wanted());
    };
    assert_eq!(bytes, b"a keyring");
}

#[tokio::test]
async fn what_speaks_against_an_update_is_said_and_holds() {
    let (bench, cookie) = bench().await;
    let keeper = FakeKeeper::start(&bench, status("ready"));
    let mut hot = testing::plant(&[13.6, 13.6]);
    testing::mark(&mut hot.snapshot.strings[0], 0, Condition::VoltageHigh, Level::Alarm);
    bench.hub.set_plant(hot);
    let page = bench.get("/firmware", &cookie).await.body;
    assert!(page.contains("Measuring and protecting come first"), "{page}");
    let refused = bench.form("/firmware/activate", &cookie, "confirm=yes").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("not now: "), "{}", refused.body);
    let refused = send_file(&bench, "/firmware", &cookie, "bundle", b"all of it").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(keeper.wanted().is_empty(), "{:?}", keeper.wanted());
}

#[tokio::test]
async fn a_licence_is_installed_and_removed_and_protection_is_never_limited() {
    let (bench, cookie) = bench().await;
    let key = SecretKey::generate(Role::Licence, "development-sales").expect("a key");
    key.public().write_new(&bench.dir.path().join("licence.pub")).expect("written");
    let page = bench.get("/licence", &cookie).await.body;
    for said in ["first 24 blocks", "Protection is never limited", "LC edition"] {
        assert!(page.contains(said), "{said} in {page}");
    }
    let wrong = send_file(&bench, "/licence", &cookie, "licence", b"no licence").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.body);
    assert!(wrong.body.contains("role=\"alert\""), "{}", wrong.body);
    let whole = seal(Kind::Licence, b"full", &[], &[&key]).expect("sealed");
    let sent = send_file(&bench, "/licence", &cookie, "licence", &whole).await;
    assert_eq!(sent.headers[header::LOCATION], "/licence?saved=yes", "{}", sent.body);
    let page = bench.get("/licence?saved=yes&lang=de", &cookie).await.body;
    for said in ["Nichts ist begrenzt", "Schutz ist nie begrenzt", "Gespeichert"] {
        assert!(page.contains(said), "{said} in {page}");
    }
    let (_, action) = page.split_once("action=\"/licence/").expect("a button");
    let action = format!("/licence/{}", action.split('"').next().expect("an address"));
    assert_eq!(
        bench.form(&action, &cookie, "").await.headers[header::LOCATION],
        "/licence?saved=yes"
    );
    assert_eq!(bench.form(&action, &cookie, "").await.status, StatusCode::NOT_FOUND);
    assert!(bench.get("/licence", &cookie).await.body.contains("first 24 blocks"));
    let long = send_file(&bench, "/licence", &cookie, "licence", &vec![0; 40_000]).await;
    assert!(long.status.is_client_error(), "{}", long.status);
}

#[tokio::test]
async fn a_web_server_is_added_tested_and_removed_on_its_page() {
    let (bench, cookie) = bench().await;
    let form = |body: &'static str| bench.form("/webhooks/edit", &cookie, body);
    let made = form("name=ops&url=http%3A%2F%2F127.0.0.1%3A1%2Fx").await;
    assert_eq!(made.status, 200, "{}", made.body);
    let (_, key) = made.body.split_once("class=\"secret\">").expect("a key");
    let key = key.split('<').next().expect("a key").to_owned();
    assert!(key.len() >= 16, "{key}");
    let page = bench.get("/webhooks", &cookie).await.body;
    assert!(page.contains("127.0.0.1:1") && !page.contains(&key), "{page}");
    assert!(!bench.get("/webhooks/edit?name=ops", &cookie).await.body.contains(&key));
    let again = form("name=ops&url=https%3A%2F%2Fy%2F").await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "there is one");
    let wrong = form("was=ops&url=https%3A%2F%2Fy%2F&pin_sha256=12").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("id=\"e-pin_sha256\""), "{}", wrong.body);
    let saved = form("was=ops&url=http%3A%2F%2F127.0.0.1%3A1%2Fy").await;
    assert_eq!(saved.headers[header::LOCATION], "/webhooks?saved=yes", "{}", saved.body);

    let tested = bench.form("/webhooks", &cookie, "name=ops&act=test").await;
    assert!(tested.body.contains("ops did not take the message: "), "{}", tested.body);
    let gone = bench.form("/webhooks", &cookie, "name=ops&act=remove").await;
    assert_eq!(gone.headers[header::LOCATION], "/webhooks?saved=yes", "{}", gone.body);
    assert_eq!(bench.get("/webhooks/edit?name=ops", &cookie).await.status, 404);
    for (body, status) in [("name=ops&act=jump", 400), ("name=ops&act=test", 404)] {
        assert_eq!(bench.form("/webhooks", &cookie, body).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn who_may_only_look_changes_nothing_of_the_appliance() {
    let (bench, _) = bench().await;
    let keeper = FakeKeeper::start(&bench, status("ready"));
    let eve = bench.guest(&["viewer"]);
    for path in ["/firmware", "/licence", "/webhooks", "/certificate"] {
        let page = bench.get(path, &eve).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains(&format!("href=\"{path}\"")), "{path} is in the menu");
        let main = page.body.split("<main>").nth(1).expect("a page");
        assert!(!main.contains("method=\"post\""), "{path}: {main}");
    }
    for (path, body) in [
        ("/firmware/activate", "confirm=yes"),
        ("/licence/x/delete", ""),
        ("/certificate/request", "names=rack-7.example.org"),
        ("/certificate/remove", ""),
        ("/webhooks", "name=ops&act=test"),
        ("/webhooks/edit", "name=ops&url=https%3A%2F%2Fx%2F"),
    ] {
        assert_eq!(bench.form(path, &eve, body).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(keeper.wanted().is_empty());
}

#[tokio::test]
async fn a_certificate_is_requested_and_installed_on_its_page() {
    let (bench, cookie) = bench().await;
    let page = bench.get("/certificate", &cookie).await;
    assert!(page.body.contains("rack-7.example"), "the own one: {}", page.body);
    assert!(!page.body.contains("action=\"/certificate/remove\""), "none is installed");
    assert_eq!(page.headers[header::STRICT_TRANSPORT_SECURITY], "max-age=0");

    let sent = "names=rack-7.example.org%0D%0A192.0.2.7&organisation=Harbour";
    let made = bench.form("/certificate/request", &cookie, sent).await;
    assert!(made.body.contains("BEGIN CERTIFICATE REQUEST"), "{}", made.body);
    let wrong = bench.form("/certificate/request", &cookie, "names=r%C3%A4ck&organisation=H").await;
    assert_eq!(wrong.status, StatusCode::CONFLICT);
    assert!(wrong.body.contains("is no host name and no address"), "{}", wrong.body);
    assert!(wrong.body.contains("value=\"H\""), "what was filled in stays");
    let refused = send_file(&bench, "/certificate", &cookie, "certificate", b"nothing").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("BEGIN CERTIFICATE"), "{}", refused.body);

    let pair = rcgen::generate_simple_self_signed(["rack-7.example.org".to_owned()]).expect("made");
    let text = pair.cert.pem() + &pair.signing_key.serialize_pem();
    let tried = send_file(&bench, "/certificate", &cookie, "certificate", text.as_bytes()).await;
    assert_eq!(tried.headers[header::LOCATION], "/certificate?told=trial", "{}", tried.body);
    let page = bench.get("/certificate?told=trial&lang=de", &cookie).await;
    assert!(page.body.contains("Auf Probe, noch"), "{}", page.body);
    let kept = bench.form("/certificate/confirm", &cookie, "").await;
    assert_eq!(kept.headers[header::LOCATION], "/certificate?told=kept", "{}", kept.body);
    let page = bench.get("/certificate?told=kept", &cookie).await;
    assert!(page.body.contains("action=\"/certificate/remove\""), "{}", page.body);
    assert_eq!(page.headers[header::STRICT_TRANSPORT_SECURITY], "max-age=31536000");
    let removed = bench.form("/certificate/remove", &cookie, "").await;
    assert_eq!(removed.headers[header::STRICT_TRANSPORT_SECURITY], "max-age=0");
    assert_eq!(bench.form("/certificate/remove", &cookie, "").await.status, StatusCode::CONFLICT);
    assert_eq!(bench.form("/certificate/jump", &cookie, "").await.status, 400);
}
