//! The configuration from outside: taken away, put back, through time; and the
//! archive for support. No secret leaves, and nobody gains a right.

use super::*;
use crate::plugin_admin::MASK;
use evenkeel_core::settings::forms::Kind;

const JOBS: &str = "[[job]]\nname = 'tell'\nwhen = { category = 'ups' }\n\
    action = { do = 'webhook', to = 'ops' }\n\
    [[job]]\nname = 'wake'\nwhen = { category = 'ups' }\n\
    action = { do = 'wake-on-lan', mac = '02:00:00:00:00:01', secure_on = '68:75:73:68:21:21' }\n";
const KEY: &str = "hush-hush-hush-hush";
const HOOK_PATH: &str = "T0-hush-path";
const FILE: &str = "/api/v1/configuration/export";
const IMPORT: &str = "/api/v1/configuration/import";

/// An appliance with something in every document.
async fn furnished() -> (Bench, String) {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let url = format!("https://hooks.example.org/{HOOK_PATH}");
    let hook = json!({"url": url, "key": KEY});
    assert_eq!(bench.post("/api/v1/webhooks/ops", &cookie, hook).await.status, 200);
    let jobs = bench.post("/api/v1/automation", &cookie, json!({"toml": JOBS})).await;
    assert_eq!(jobs.status, 204, "{}", jobs.body);
    let set = bench.post("/api/v1/thresholds", &cookie, thresholds(45.0)).await;
    assert_eq!(set.status, 200, "{}", set.body);
    (bench, cookie)
}

fn thresholds(warning: f64) -> Json {
    let rule = json!({"at": "system", "quantity": "block-temperature", "side": "high",
        "warning": warning});
    json!({"thresholds": [rule]})
}

async fn export(bench: &Bench, cookie: &str) -> String {
    let answer = bench.get(FILE, cookie).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.headers[header::CONTENT_DISPOSITION].to_str().expect("text").contains(".toml"));
    answer.body
}

async fn import(bench: &Bench, cookie: &str, file: &str) -> Answer {
    bench.post(IMPORT, cookie, json!({"file": file})).await
}

fn of<'a>(changes: &'a Json, name: &str) -> &'a Json {
    let documents = changes["documents"].as_array().expect("documents");
    documents.iter().find(|document| document["name"] == name).unwrap_or(&Json::Null)
}

#[tokio::test]
async fn what_is_taken_away_comes_back_whole_and_without_secrets() {
    let (bench, cookie) = furnished().await;
    let file = export(&bench, &cookie).await;
    for told in ["[export]", "[[thresholds.threshold]]", "\"tell\"", "hooks.example.org", MASK] {
        assert!(file.contains(told), "{told}: {file}");
    }
    for secret in [KEY, "68:75:73:68"] {
        assert!(!file.contains(secret), "{file}");
    }
    let same = import(&bench, &cookie, &file).await;
    assert_eq!(same.status, 200, "{}", same.body);
    let same = same.json();
    for name in ["thresholds", "automation", "webhooks", "login"] {
        assert_eq!(of(&same, name)["changed"], false, "{same}");
    }
    // Everything is changed, and comes back; the secrets are those that were there.
    let gone = json!({"toml": ""});
    assert_eq!(bench.post("/api/v1/automation", &cookie, gone).await.status, 204);
    assert_eq!(bench.post("/api/v1/thresholds", &cookie, thresholds(50.0)).await.status, 200);
    let unknown = import(&bench, &cookie, &file).await;
    assert_eq!(unknown.status, StatusCode::CONFLICT, "the secret of the card is gone");
    assert!(
        unknown.body.contains("automation: the network card 02:00:00:00:00:01"),
        "{unknown:?}",
        unknown = unknown.body
    );
    let before = bench.get("/api/v1/thresholds", &cookie).await.body;
    assert!(before.contains("50.0"), "nothing was changed: {before}");
    let written =
        file.replacen(&format!("secure_on = \"{MASK}\""), "secure_on = \"68:75:73:68:21:21\"", 1);
    let back = import(&bench, &cookie, &written).await;
    assert_eq!(back.status, 200, "{}", back.body);
    let back = back.json();
    assert_eq!((&back["done"], &of(&back, "webhooks")["changed"]), (&json!(true), &json!(false)));
    assert!(!back.to_string().contains("68:75"), "{back}");
    assert_eq!(
        export(&bench, &cookie).await.lines().skip(9).collect::<Vec<_>>(),
        file.lines().skip(9).collect::<Vec<_>>()
    );
    let kept = bench.store.settings(&crate::jobs::receivers::DOCUMENT).expect("readable");
    assert!(kept[0].text.contains(KEY));
    let kept = bench.store.settings(&crate::jobs::DOCUMENT).expect("readable");
    assert!(kept[0].text.contains("68:75:73:68:21:21") && kept[0].by == "admin", "{kept:?}");
    let lines = bench.get("/api/v1/audit", &cookie).await.body;
    for told in [
        "export the configuration, without secrets",
        "import the configuration (changed: thresholds, automation)",
    ] {
        assert!(lines.contains(told), "{told}: {lines}");
    }
}

#[tokio::test]
async fn a_look_changes_nothing_and_all_or_nothing_comes_into_force() {
    let (bench, cookie) = furnished().await;
    let file = export(&bench, &cookie).await;
    let other = file.replace("warning = 45.0", "warning = 44.0").replace(HOOK_PATH, "other");
    assert_ne!(other, file);
    let look = json!({"file": other, "check_only": true});
    let look = bench.post(IMPORT, &cookie, look).await.json();
    assert_eq!((&look["done"], &of(&look, "thresholds")["changed"]), (&json!(false), &json!(true)));
    let lines = of(&look, "thresholds")["lines"].to_string();
    assert!(lines.contains(r#"{"mark":"gone","text":"warning = 45.0"}"#), "{lines}");
    assert!(lines.contains(r#"{"mark":"new","text":"warning = 44.0"}"#), "{lines}");
    assert_eq!(
        export(&bench, &cookie).await.lines().skip(9).collect::<Vec<_>>(),
        file.lines().skip(9).collect::<Vec<_>>(),
        "nothing was changed"
    );

    // One document that is wrong keeps the others out.
    for (from, to, why) in [
        ("block-temperature", "block-colour", "thresholds: "),
        ("to = \"ops\"", "to = \"nobody\"", "automation: job \"tell\": there is no webhook"),
        ("name = \"ops\"", "name = \"others\"", "automation: job \"tell\": there is no webhook"),
        ("https://hooks", "gopher://hooks", "webhooks: \"ops\": "),
        ("authenticators = []", "authenticators = [\"none\"]", "login: authenticator \"none\""),
        ("[login]", "[login]\nform = 9", "login: form 9 is newer"),
        ("[login]", "[teleport]\n[login]", "knows no teleport"),
        ("evenkeel configuration", "a cake", "no configuration of an appliance"),
    ] {
        let wrong = other.replace(from, to);
        assert_ne!(wrong, other, "{from}");
        let refused = import(&bench, &cookie, &wrong).await;
        assert!(matches!(refused.status.as_u16(), 409 | 422), "{to}: {}", refused.body);
        assert!(
            refused.json()["detail"].as_str().is_some_and(|d| d.contains(why)),
            "{}",
            refused.body
        );
        let now = bench.get("/api/v1/thresholds", &cookie).await.body;
        assert!(now.contains("45.0") && !now.contains("44.0"), "{to}: {now}");
        assert!(bench.get("/api/v1/webhooks", &cookie).await.body.contains(HOOK_PATH), "{to}");
    }
    let mark = look["mark"].as_str().expect("a mark");
    let chosen = json!({"file": other, "documents": ["webhooks"], "mark": mark});
    let done = bench.post(IMPORT, &cookie, chosen.clone()).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(bench.get("/api/v1/thresholds", &cookie).await.body.contains("45.0"), "not chosen");
    let stale = bench.post(IMPORT, &cookie, chosen).await;
    assert_eq!((stale.status, &stale.json()["type"]), (StatusCode::CONFLICT, &json!("changed")));
    let none = json!({"file": other, "documents": ["plugins"]});
    assert_eq!(bench.post(IMPORT, &cookie, none).await.status, 400);
}

#[tokio::test]
async fn a_webhook_of_another_appliance_gets_a_key_that_is_shown_once() {
    let (bench, cookie) = furnished().await;
    let file = export(&bench, &cookie).await;
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let only = |check_only: bool| json!({"file": file, "documents": ["webhooks"], "check_only": check_only});
    let look = bench.post(IMPORT, &cookie, only(true)).await.json();
    assert_eq!((&look["keyless"], &look["keys"]), (&json!(["ops"]), &json!({})));
    let done = bench.post(IMPORT, &cookie, only(false)).await.json();
    let key = done["keys"]["ops"].as_str().expect("a key").to_owned();
    assert_eq!(key.len(), 64);
    let kept = bench.store.settings(&crate::jobs::receivers::DOCUMENT).expect("readable");
    assert!(kept[0].text.contains(&key) && !kept[0].text.contains(MASK));
    let lines: String = done["documents"].to_string();
    assert!(!lines.contains(&key), "not among the differences");
    assert!(!bench.get(FILE, &cookie).await.body.contains(&key));
}

#[tokio::test]
async fn nobody_changes_by_a_file_what_they_may_not_change_on_its_page() {
    let (bench, admin) = furnished().await;
    let rights = json!({"rights": {"system": "configure", "alarms": "view", "automation": "view"}});
    let made = bench.post("/api/v1/roles/keeper", &admin, rights).await;
    assert_eq!(made.status, 204, "{}", made.body);
    let keeper = bench.guest(&["keeper"]);
    let file = export(&bench, &admin).await;
    let own = export(&bench, &keeper).await;
    assert!(file.contains("[login]") && !own.contains("[login]"), "what they may not see: {own}");
    assert_eq!(import(&bench, &keeper, &own).await.status, 200, "nothing differs");
    let hotter = import(&bench, &keeper, &own.replace("45.0", "60.0")).await;
    assert_eq!(hotter.status, StatusCode::FORBIDDEN);
    assert!(hotter.body.contains("thresholds: it needs configure in alarms"), "{}", hotter.body);
    let role = file.replace("[login.roles]", "[login.roles]\nall = \"admin\"");
    assert_ne!(role, file);
    let risen = import(&bench, &keeper, &role).await;
    assert_eq!(risen.status, StatusCode::FORBIDDEN);
    assert!(risen.body.contains("login: it needs view in accounts"), "{}", risen.body);
    let look = json!({"file": role, "check_only": true});
    let look = bench.post(IMPORT, &keeper, look).await.json();
    assert_eq!(of(&look, "login")["lines"], json!([]), "what they may not see: {look}");
    // Accounts are no document: a file that brings some is none of ours.
    let users =
        import(&bench, &admin, &format!("{file}\n[users.eve]\nroles = [\"admin\"]\n")).await;
    assert!(users.status == 422 && users.body.contains("knows no users"), "{}", users.body);
    let closed = bench.get("/api/v1/configuration/login", &keeper).await;
    assert_eq!(closed.status, StatusCode::FORBIDDEN);
    let back = json!({"revision": 1});
    let refused = bench.post("/api/v1/configuration/thresholds/restore", &keeper, back).await;
    assert_eq!(refused.status, 200, "it is what is in force: {}", refused.body);
}

#[tokio::test]
async fn a_document_has_a_past_to_compare_and_to_go_back_to() {
    let (bench, cookie) = furnished().await;
    assert_eq!(bench.post("/api/v1/thresholds", &cookie, thresholds(50.0)).await.status, 200);
    let list = bench.get("/api/v1/configuration", &cookie).await.json();
    let newest = &list.as_array().expect("documents")[0];
    assert_eq!((&newest["name"], &newest["newest"]["by"]), (&json!("thresholds"), &json!("admin")));
    let path = "/api/v1/configuration/thresholds";
    let past = bench.get(path, &cookie).await.json();
    let numbers: Vec<_> =
        past.as_array().expect("a list").iter().map(|r| r["revision"].clone()).collect();
    assert_eq!(numbers, [2, 1]);
    let diff = bench.get(&format!("{path}/diff?from=1&to=2"), &cookie).await.json();
    assert!(diff.to_string().contains(r#"{"mark":"new","text":"warning = 50.0"}"#), "{diff}");
    assert_eq!(bench.get(&format!("{path}/diff?from=2"), &cookie).await.json(), json!([]));
    assert_eq!(bench.get(&format!("{path}/diff?from=9"), &cookie).await.status, 404);
    assert_eq!(bench.get("/api/v1/configuration/cakes", &cookie).await.status, 404);

    let look = json!({"revision": 1, "check_only": true});
    let look = bench.post(&format!("{path}/restore"), &cookie, look).await.json();
    assert_eq!((&look["done"], &of(&look, "thresholds")["changed"]), (&json!(false), &json!(true)));
    let done = bench.post(&format!("{path}/restore"), &cookie, json!({"revision": 1})).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(bench.get("/api/v1/thresholds", &cookie).await.body.contains("45.0"));
    let past = bench.get(path, &cookie).await.json();
    assert_eq!(past[0]["revision"], 3, "a new revision: {past}");
    let told = bench.events().await;
    assert!(told.iter().any(|e| e.contains("restore revision 1 of thresholds")), "{told:?}");

    // A key that changed can be seen to have, and comes back with its revision.
    let moved = json!({"url": "https://hooks.example.org/other", "key": "another-key-of-theirs"});
    assert_eq!(bench.post("/api/v1/webhooks/ops", &cookie, moved).await.status, 200);
    let hooks = "/api/v1/configuration/webhooks";
    let diff = bench.get(&format!("{hooks}/diff?from=1"), &cookie).await.body;
    assert!(diff.contains(&format!("{MASK} 1")) && diff.contains(&format!("{MASK} 2")), "{diff}");
    assert!(!diff.contains(KEY) && !diff.contains("another-key"), "{diff}");
    assert_eq!(
        bench.post(&format!("{hooks}/restore"), &cookie, json!({"revision": 1})).await.status,
        200
    );
    let kept = bench.store.settings(&crate::jobs::receivers::DOCUMENT).expect("readable");
    assert!(kept[0].text.contains(KEY), "the key of then");
    // The appliance's own file is changed where it lies.
    bench
        .store
        .keep_settings(&Kind::first("configuration"), "listen = \"[::]:443\"\n")
        .done()
        .await
        .expect("kept");
    bench
        .store
        .keep_settings(&Kind::first("configuration"), "listen = \"[::]:444\"\n")
        .done()
        .await
        .expect("kept");
    let own = bench
        .post("/api/v1/configuration/configuration/restore", &cookie, json!({"revision": 1}))
        .await;
    assert_eq!(own.status, StatusCode::CONFLICT, "{}", own.body);
    let diff =
        bench.get("/api/v1/configuration/configuration/diff?from=1&to=2", &cookie).await.body;
    assert!(diff.contains(":444"), "{diff}");
}

/// A file as a form sends it.
async fn send_file(bench: &Bench, cookie: &str, file: &str) -> Answer {
    let body = format!(
        "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{file}\r\n--xyz--\r\n"
    );
    let request = Request::post("/configuration")
        .header(header::HOST, HOST)
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=xyz")
        .header(header::CONTENT_LENGTH, body.len())
        .header(header::COOKIE, cookie);
    bench.send(request.body(Body::from(body)).expect("a request")).await
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn hidden(page: &str, name: &str) -> String {
    let (_, from) = page.split_once(&format!("name=\"{name}\" value=\"")).expect(name);
    from.split('"').next().expect("a value").to_owned()
}

#[tokio::test]
async fn a_file_is_looked_at_and_imported_and_a_revision_restored_on_the_page() {
    let (bench, cookie) = furnished().await;
    let file = export(&bench, &cookie).await.replace("45.0", "44.0");
    let refused = send_file(&bench, &cookie, "no = 'configuration'").await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("no configuration of an appliance"), "{}", refused.body);
    let look = send_file(&bench, &cookie, &file).await;
    assert_eq!(look.status, 200, "{}", look.body);
    assert!(look.body.contains("<ins>+ warning = 44.0</ins>"), "{}", look.body);
    assert!(look.body.contains("value=\"thresholds\" checked"), "{}", look.body);
    assert!(!look.body.contains(KEY), "{}", look.body);
    let mark = hidden(&look.body, "mark");
    // As browsers send what stands in a form.
    let sent = escaped(&file.replace('\n', "\r\n"));
    let form = format!("file={sent}&mark={mark}&document=thresholds&act=import");
    let wrong = form.replace(&mark, "0123456789abcdef");
    let wrong = bench.form("/configuration/import", &cookie, &wrong).await;
    assert_eq!(wrong.status, StatusCode::CONFLICT);
    assert!(wrong.body.contains("came into force since"), "{}", wrong.body);
    let done = bench.form("/configuration/import", &cookie, &form).await;
    assert_eq!(done.headers[header::LOCATION], "/configuration?told=imported", "{}", done.body);
    assert!(bench.get("/api/v1/thresholds", &cookie).await.body.contains("44.0"));

    let page = bench.get("/configuration/thresholds?back=1&lang=de", &cookie).await.body;
    assert!(
        page.contains("Dies soll gelten") && page.contains("<del>− warning = 44.0</del>"),
        "{page}"
    );
    let form = format!("revision=1&mark={}", hidden(&page, "mark"));
    let untouched = bench.form("/configuration/thresholds", &cookie, &form).await;
    assert_eq!(untouched.status, 400, "nobody ticked the box");
    let done =
        bench.form("/configuration/thresholds", &cookie, &format!("{form}&confirm=yes")).await;
    assert_eq!(done.headers[header::LOCATION], "/configuration/thresholds?told=restored");
    assert!(bench.get("/api/v1/thresholds", &cookie).await.body.contains("45.0"));
    let eve = bench.guest(&["viewer"]);
    let page = bench.get("/configuration/thresholds?back=1", &eve).await;
    assert!(page.status == 200 && !page.body.contains("name=\"mark\""), "{}", page.body);
}

#[tokio::test]
async fn the_archive_for_support_has_no_secret_in_it_and_is_bounded() {
    let (bench, cookie) = furnished().await;
    let own = "[[plugin]]\nname = \"radius\"\nsettings = { pin = \"hush-setting\" }\n\
        grant.secrets.shared = \"hush-shared\"\n\
        grant.snmp.ups = { community = \"hush-community\", auth_key = \"hush-auth\" }\n\
        [metrics]\nbearer_sha256 = \"hush-bearer\"\n";
    bench.store.keep_settings(&Kind::first("configuration"), own).done().await.expect("kept");
    let token = bench
        .post("/api/v1/tokens", &cookie, json!({"name": "scada", "scopes": {"system": "view"}}))
        .await;
    let token = token.json()["token"].as_str().expect("a token").to_owned();
    // Somebody types their password where the name belongs.
    bench.login("hush-typed-as-a-name", "hush-password").await;
    for n in 0..3_000 {
        bench.store.record(Event::DaemonStarted { version: format!("{n} {}", "x".repeat(400)) });
        if n % 500 == 0 {
            bench.events().await;
        }
    }
    bench.events().await;

    let answer = bench.get("/api/v1/support", &cookie).await;
    assert_eq!(answer.status, 200);
    let archive = answer.body;
    assert!(archive.len() < 1 << 20, "{} bytes", archive.len());
    for told in [
        "about.json",
        "store.json",
        "plugins.json",
        "events.jsonl",
        "metrics.txt",
        "configuration.toml",
        "https://hooks.example.org/…",
        "2999 xxx",
        "0.1.0",
    ] {
        assert!(archive.contains(told), "{told}");
    }
    let session = cookie.split('=').nth(1).expect("a cookie");
    let admin = bench.store.user("admin").expect("readable").expect("there");
    let admin: Json = serde_json::from_slice(&admin).expect("JSON");
    let mut secrets = vec![
        KEY.to_owned(),
        HOOK_PATH.into(),
        "68:75:73".into(),
        "hush-".into(),
        token,
        session.to_owned(),
        NEW_PASSWORD.into(),
        "$argon2".into(),
        "PRIVATE KEY".into(),
    ];
    secrets.extend(texts(&admin).into_iter().filter(|text| text.len() >= 16));
    for file in std::fs::read_dir(bench.dir.path()).expect("readable") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.contains("key") {
            let bytes = std::fs::read(&path).expect("readable");
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let text = String::from_utf8_lossy(&bytes);
            // Not its first and last line, which say what it is.
            secrets.extend(text.lines().map(str::to_owned).filter(|line| line.len() >= 32));
            secrets.push(hex);
        }
    }
    assert!(secrets.len() > 10, "{secrets:?}");
    for secret in secrets {
        assert!(!archive.contains(&secret), "{secret}");
    }
    let viewer = bench.guest(&["viewer"]);
    assert_eq!(bench.get("/api/v1/support", &viewer).await.status, StatusCode::FORBIDDEN);
    let lines = bench.get("/api/v1/audit", &cookie).await.body;
    assert!(lines.contains("take the archive for support"), "{lines}");
}

/// Every text of a document.
fn texts(value: &Json) -> Vec<String> {
    match value {
        Json::String(text) => vec![text.clone()],
        Json::Array(values) => values.iter().flat_map(texts).collect(),
        Json::Object(values) => values.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn a_required_second_factor_is_exported_imported_and_restored_by_who_may() {
    let (bench, cookie) = furnished().await;
    let require = |roles: &[&str]| {
        let wish = json!({"roles": roles});
        bench.post("/api/v1/second-factor/required", &cookie, wish)
    };
    assert_eq!(require(&["operator"]).await.status, 200);
    let file = export(&bench, &cookie).await;
    assert!(file.contains("[second-factor]\nroles = [\"operator\"]"), "{file}");
    assert_eq!(require(&["viewer"]).await.status, 200);
    let done = import(&bench, &cookie, &file).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let now =
        || async { bench.console.accounts.required().roles.iter().cloned().collect::<Vec<_>>() };
    assert_eq!(now().await, ["operator"]);
    // No file keeps out who imports it.
    let own = file.replace("roles = [\"operator\"]", "roles = [\"admin\"]");
    let refused = import(&bench, &cookie, &own).await;
    assert!(refused.body.contains("turn on your own first"), "{}", refused.body);
    assert_eq!(now().await, ["operator"]);
    let shown = bench.get("/configuration/second-factor?lang=de", &cookie).await;
    assert!(shown.body.contains("Verlangter zweiter Faktor"), "{}", shown.body);
}
