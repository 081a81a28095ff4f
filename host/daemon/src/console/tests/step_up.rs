//! The password once more: which routes ask for it, that none of them is reached
//! without, and that what a form sent is not lost (SEC-045).

use super::*;
use crate::accounts::rights::{Area, Level as May};
use crate::console::routes::StepUp;

/// What may be configured without the password once more, though it belongs to the
/// appliance: facts/appliance-security.md SEC-045 does not name it.
const NOT_ASKED: [&str; 3] = ["/webhooks", "/api/v1/webhooks", "/api/v1/site"];

impl Bench {
    /// An administrator whose password was given long ago.
    async fn long_ago(&self) -> String {
        let cookie = self.signed_in().await;
        self.console.sessions().age();
        cookie
    }

    async fn step_up(&self, cookie: &str, password: &str) -> Answer {
        self.post("/api/v1/step-up", cookie, json!({"password": password})).await
    }
}

/// What a path is with something in its places.
fn filled(path: &str) -> String {
    let path = path.replace("{id}", "1-1").replace("{name}", "nobody");
    let path = path.replace("{action}", "none").replace("{digest}", "00");
    path.replace("{document}", "thresholds").replace("{step}", "users")
}

#[tokio::test]
async fn no_marked_route_is_reached_by_an_old_session() {
    let bench = Bench::new().await;
    let cookie = bench.long_ago().await;
    let marked = routes::table().into_iter().filter(|route| route.step_up == StepUp::Always);
    let mut closed = 0;
    for route in marked {
        assert_eq!(route.method, Method::POST, "{}: only what changes something", route.path);
        let path = filled(route.path);
        if path.starts_with("/api/") {
            let answer = bench.post(&path, &cookie, json!({})).await;
            let kind = answer.json()["type"].clone();
            assert_eq!((answer.status.as_u16(), kind), (401, json!("step-up")), "{path}");
        } else {
            let asked = bench.form(&path, &cookie, "name=x").await;
            assert_eq!(asked.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(asked.body.contains("name=\"step-up-password\""), "{path}: {}", asked.body);
            let file = Request::post(&path)
                .header(header::HOST, HOST)
                .header("sec-fetch-site", "same-origin")
                .header(header::CONTENT_TYPE, "multipart/form-data; boundary=xyz")
                .header(header::COOKIE, &cookie);
            let asked = bench.send(file.body(Body::from("--xyz--")).expect("a request")).await;
            assert_eq!(asked.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(asked.body.contains("choose the file once more"), "{path}: {}", asked.body);
        }
        closed += 1;
    }
    assert!(closed > 40, "{closed} routes");
    assert_eq!(bench.get("/", &cookie).await.status, 200, "all the rest goes on");

    let fresh = bench.step_up(&cookie, NEW_PASSWORD).await;
    assert_eq!(fresh.status, 200, "{}", fresh.body);
    assert_eq!(bench.get("/api/v1/session", &cookie).await.status, 401, "another token");
    for route in routes::table().iter().filter(|route| route.step_up == StepUp::Always) {
        // What it wants would end this session, or the bench.
        if route.path.starts_with("/api/") && !route.path.contains("reset") {
            let answer = bench.post(&filled(route.path), &fresh.cookie(), json!({})).await;
            assert!(!answer.body.contains("\"step-up\""), "{}: {}", route.path, answer.body);
        }
    }
}

#[test]
fn what_decides_about_people_trust_and_the_appliance_is_marked() {
    for route in routes::table() {
        let Some((area, May::Configure)) = route.permission.needs() else { continue };
        let decides = matches!(area, Area::Accounts | Area::Plugins | Area::System);
        let excepted = NOT_ASKED.iter().any(|prefix| route.path.starts_with(prefix));
        if route.method == Method::POST && decides && !excepted {
            assert_ne!(route.step_up, StepUp::No, "{}", route.path);
        }
    }
    let marked = |path: &str| {
        let mut table = routes::table().into_iter().filter(|r| r.method == Method::POST);
        table.find(|route| route.path == path).map(|route| route.step_up)
    };
    for path in ["/api/v1/commands", "/api/v1/history/import"] {
        assert_eq!(marked(path), Some(StepUp::Always), "{path}");
    }
    for path in ["/orders", "/strings/{id}", "/blocks/{id}", "/api/v1/orders"] {
        assert_eq!(marked(path), Some(StepUp::ByAct), "{path}");
    }
}

#[tokio::test]
async fn a_form_waits_for_the_password_and_is_carried_out_then() {
    let bench = Bench::new().await;
    let cookie = bench.long_ago().await;
    let sent = "act=add-user&name=eve&role=viewer&role=operator";
    let asked = bench.form("/accounts?lang=de", &cookie, sent).await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    for wanted in [
        "Sind Sie es?",
        "action=\"/accounts?lang=de\"",
        "name=\"role\" value=\"viewer\"",
        "name=\"role\" value=\"operator\"",
        "name=\"name\" value=\"eve\"",
    ] {
        assert!(asked.body.contains(wanted), "{wanted} in {}", asked.body);
    }
    let wrong = bench.form("/accounts", &cookie, &format!("{sent}&step-up-password=x")).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.body.contains("not right") && wrong.body.contains("value=\"eve\""));
    assert!(bench.store.user("eve").expect("readable").is_none(), "nothing was done");

    let password = NEW_PASSWORD.replace(' ', "+");
    let right = format!("{sent}&step-up-password={password}");
    let done = bench.form("/accounts", &cookie, &right).await;
    assert!(done.status == 200 && done.body.contains("First password of eve"), "{}", done.body);
    assert_eq!(bench.get("/api/v1/session", &cookie).await.status, 401, "another token");
    let fresh = done.cookie();
    let next = bench.form("/accounts", &fresh, "act=delete-user&name=eve").await;
    assert_eq!(next.status, StatusCode::SEE_OTHER, "not asked again: {}", next.body);
    let audit = bench.get("/api/v1/audit", &fresh).await.body;
    assert!(audit.contains("give their password again"), "{audit}");
    assert!(!audit.contains(NEW_PASSWORD) && !audit.contains(&password));
}

#[tokio::test]
async fn a_file_is_asked_about_before_it_is_chosen() {
    let bench = Bench::new().await;
    let cookie = bench.long_ago().await;
    let page = bench.get("/licence", &cookie).await;
    assert!(page.body.contains("href=\"/step-up?to=/licence\""), "{}", page.body);
    let asked = bench.get("/step-up?to=/licence", &cookie).await;
    assert!(asked.status == 200 && asked.body.contains("name=\"to\" value=\"/licence\""));
    let password = NEW_PASSWORD.replace(' ', "+");
    let sent = format!("to=/licence&step-up-password={password}");
    let done = bench.form("/step-up", &cookie, &sent).await;
    assert_eq!(done.headers[header::LOCATION], "/licence", "{}", done.body);
    let page = bench.get("/licence", &done.cookie()).await;
    assert!(!page.body.contains("/step-up"), "{}", page.body);
    for elsewhere in ["https://evil.example", "//evil.example", "/nowhere"] {
        let sent = format!("to={elsewhere}&step-up-password={password}");
        let cookie = bench.login("admin", NEW_PASSWORD).await.cookie();
        let done = bench.form("/step-up", &cookie, &sent).await;
        assert_eq!(done.headers[header::LOCATION], "/", "{elsewhere}");
    }
}

#[tokio::test]
async fn what_switches_something_wants_the_password_and_silencing_does_not() {
    let bench = Bench::new().await;
    let cookie = bench.long_ago().await;
    let harmless = [json!({"order": "mute"}), json!({"order": "pause", "string": 1, "seconds": 9})];
    for order in harmless {
        assert_eq!(bench.post("/api/v1/orders", &cookie, order).await.status, 204);
    }
    assert_eq!(bench.guard.asked().len(), 2);
    for order in [
        json!({"order": "reset", "string": 1}),
        json!({"order": "alarm-relay", "healthy": false}),
        json!({"order": "output", "device": 1, "output": 1, "on": true}),
        json!({"order": "test", "string": 1}),
    ] {
        let refused = bench.post("/api/v1/orders", &cookie, order.clone()).await;
        assert_eq!(refused.json()["type"], "step-up", "{order}");
    }
    assert_eq!(bench.form("/orders", &cookie, "order=mute").await.status, StatusCode::SEE_OTHER);
    let asked = bench.form("/orders", &cookie, "order=reset&string=1").await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    assert!(asked.body.contains("name=\"order\" value=\"reset\""), "{}", asked.body);
    assert_eq!(bench.guard.asked().len(), 3, "nothing was switched");
    let password = NEW_PASSWORD.replace(' ', "+");
    let right = format!("order=reset&string=1&step-up-password={password}");
    let done = bench.form("/orders", &cookie, &right).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    assert_eq!(bench.guard.asked().last(), Some(&Order::Reset { string: 1 }));
}

#[tokio::test]
async fn programs_are_not_asked_and_people_of_elsewhere_sign_in_again() {
    let bench = Bench::new().await;
    let admin = bench.signed_in().await;
    let scopes = json!({"accounts": "configure"});
    let made =
        bench.post("/api/v1/tokens", &admin, json!({"name": "scada", "scopes": scopes})).await;
    let token = made.json()["token"].as_str().expect("a token").to_owned();
    let guest = bench.guest(&["admin"]);
    bench.console.sessions().age();
    let request = Request::post("/api/v1/roles/night")
        .header(header::HOST, HOST)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    let body = json!({"rights": {"accounts": "view"}}).to_string();
    let done = bench.send(request.body(Body::from(body)).expect("a request")).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);

    let refused = bench.step_up(&guest, "secret").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["type"]), (409, &json!("elsewhere")));
    let asked = bench.form("/accounts", &guest, "act=delete-user&name=eve").await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    assert!(asked.body.contains("href=\"/login\"") && !asked.body.contains("<form"));
}

#[tokio::test]
async fn guessing_here_is_slowed_as_at_the_door() {
    let bench = Bench::new().await;
    let cookie = bench.long_ago().await;
    for _ in 0..5 {
        assert_eq!(bench.step_up(&cookie, "guess").await.status, 401);
    }
    let slowed = bench.step_up(&cookie, NEW_PASSWORD).await;
    assert_eq!(slowed.status, StatusCode::TOO_MANY_REQUESTS, "{}", slowed.body);
    let page = bench.form("/accounts?lang=de", &cookie, "act=x&step-up-password=y").await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.body.contains("Zu viele Versuche"), "{}", page.body);
    assert!(page.headers.contains_key(header::RETRY_AFTER));
}
