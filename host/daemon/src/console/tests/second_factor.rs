//! The second factor from outside: turned on, asked for, used up, guessed at,
//! turned off, taken away by an administrator, and required of roles.

use super::*;
use crate::console::session;
use totp_rs::{Builder, Secret};

const REQUIRED: &str = "/api/v1/second-factor/required";

/// What an app shows in so many seconds.
fn code(secret: &str, in_s: u64) -> String {
    let secret = Secret::try_from_base32(secret.replace(' ', "")).expect("base32");
    let totp = Builder::new().with_secret(secret).build().expect("a good secret");
    totp.generate(crate::clock::unix_ms() / 1_000 + in_s).to_string()
}

/// A cookie of an answer by its name.
fn named(answer: &Answer, name: &str) -> String {
    let cookies = answer.headers.get_all(header::SET_COOKIE).iter();
    let mut cookies = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
    cookies.find(|cookie| cookie.starts_with(name)).expect("such a cookie").to_owned()
}

impl Bench {
    /// Turn it on for who has `cookie`: their new cookie, the secret and the
    /// recovery codes.
    async fn with_factor(&self, cookie: &str) -> (String, String, Vec<String>) {
        self.with_factor_of("admin", cookie).await
    }

    async fn with_factor_of(&self, user: &str, cookie: &str) -> (String, String, Vec<String>) {
        let begun =
            self.post("/api/v1/second-factor", cookie, json!({"password": NEW_PASSWORD})).await;
        assert_eq!(begun.status, 200, "{}", begun.body);
        let secret = begun.json()["secret"].as_str().expect("text").to_owned();
        let wanted = format!("otpauth://totp/Evenkeel:{user}%40rack-7.example?secret={secret}");
        assert!(begun.json()["uri"].as_str().expect("text").starts_with(&wanted));
        let wish = json!({"code": code(&secret, 0)});
        let done = self.post("/api/v1/second-factor/confirm", cookie, wish).await;
        assert_eq!(done.status, 200, "{}", done.body);
        let codes = done.json()["recovery_codes"].as_array().expect("a list").clone();
        let codes = codes.iter().map(|code| code.as_str().expect("text").to_owned()).collect();
        (done.cookie(), secret, codes)
    }

    /// What the password gives: a question.
    async fn asked(&self, password: &str) -> Answer {
        let asked = self.login("admin", password).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
        assert!(asked.json()["challenge"].as_str().expect("text").contains("recovery code"));
        asked
    }

    /// A new user with a password of their own: their cookie.
    async fn joined(&self, admin: &str, user: &str, role: &str) -> String {
        let wish = json!({"name": user, "roles": [role]});
        let made = self.post("/api/v1/users", admin, wish).await;
        let first = made.json()["first_password"].as_str().expect("a password").to_owned();
        let cookie = self.login(user, &first).await.cookie();
        let wish = json!({"old": first, "new": NEW_PASSWORD, "again": NEW_PASSWORD});
        self.post("/api/v1/password", &cookie, wish).await.cookie()
    }

    async fn require(&self, cookie: &str, roles: &[&str]) -> Answer {
        self.post(REQUIRED, cookie, json!({"roles": roles})).await
    }

    async fn answered(&self, code: &str) -> Answer {
        let asked = self.asked(NEW_PASSWORD).await;
        let cookie = named(&asked, challenge::CHALLENGE_COOKIE);
        self.post("/api/v1/login/answer", &cookie, json!({"answer": code})).await
    }
}

#[tokio::test]
async fn a_password_alone_is_not_enough_and_a_code_counts_once() {
    let bench = Bench::new().await;
    let before = bench.signed_in().await;
    let (cookie, secret, codes) = bench.with_factor(&before).await;
    assert_eq!(bench.get("/api/v1/session", &before).await.status, 401, "older sessions end");
    let state = bench.get("/api/v1/second-factor", &cookie).await.json();
    assert_eq!((&state["on"], &state["recovery_left"]), (&json!(true), &json!(10)));
    assert_eq!(bench.get("/api/v1/users", &cookie).await.json()[0]["second_factor"], true);

    // The password opens nothing, nor does the cookie of the question.
    let asked = bench.asked(NEW_PASSWORD).await;
    let question = named(&asked, challenge::CHALLENGE_COOKIE);
    assert!(
        !asked
            .headers
            .get_all(header::SET_COOKIE)
            .iter()
            .any(|c| { c.to_str().is_ok_and(|c| c.starts_with(session::COOKIE)) })
    );
    assert_eq!(bench.get("/api/v1/session", &question).await.status, 401);
    let next = code(&secret, 30);
    let answer = bench.post("/api/v1/login/answer", &question, json!({"answer": next})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(bench.get("/api/v1/session", &answer.cookie()).await.status, 200);
    let replayed = bench.answered(&next).await;
    assert_eq!((replayed.status.as_u16(), replayed.body.contains("was used")), (401, true));

    let typed = codes[0].to_lowercase();
    assert_eq!(bench.answered(&typed).await.status, 200);
    assert_eq!(bench.answered(&typed).await.status, 401, "once");
    let events = bench.events().await;
    let says = |words: &str| events.iter().any(|event| event.contains(words));
    assert!(says("turn on the second factor") && says("recovery code; 9 are left"), "{events:?}");
    assert!(!events.iter().any(|event| event.contains(&secret)));
}

#[tokio::test]
async fn guessing_codes_is_slowed_though_the_password_is_right() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let (_, _, codes) = bench.with_factor(&cookie).await;
    let mut refused = 0;
    for guess in 0..60 {
        let asked = bench.login("admin", NEW_PASSWORD).await;
        if asked.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        let cookie = named(&asked, challenge::CHALLENGE_COOKIE);
        let answer = json!({"answer": format!("{guess:06}")});
        let answer = bench.post("/api/v1/login/answer", &cookie, answer).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        assert_eq!(answer.status, 401);
        refused += 1;
    }
    assert!((1..20).contains(&refused), "{refused} guesses at once");
    let waits = bench.login("admin", NEW_PASSWORD).await;
    let waits = match waits.status {
        StatusCode::ACCEPTED => {
            let cookie = named(&waits, challenge::CHALLENGE_COOKIE);
            bench.post("/api/v1/login/answer", &cookie, json!({"answer": codes[0]})).await
        }
        _ => waits,
    };
    assert_eq!(waits.status, StatusCode::TOO_MANY_REQUESTS, "also for the right one, for now");
}

#[tokio::test]
async fn it_is_turned_off_by_its_owner_with_a_code_or_by_an_administrator() {
    let bench = Bench::new().await;
    let first = bench.signed_in().await;
    let (cookie, _, codes) = bench.with_factor(&first).await;
    let again = bench.post("/api/v1/second-factor", &cookie, json!({"password": NEW_PASSWORD}));
    assert_eq!(again.await.status, StatusCode::CONFLICT, "it is on");
    let off = |password: &str, code: &str| {
        bench.post(
            "/api/v1/second-factor/remove",
            &cookie,
            json!({"password": password, "code": code}),
        )
    };
    assert_eq!(off("wrong", &codes[0]).await.status, 401);
    assert_eq!(off(NEW_PASSWORD, "000000").await.status, 401);
    assert_eq!(off(NEW_PASSWORD, &codes[0]).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bench.login("admin", NEW_PASSWORD).await.status, 200);

    let (cookie, ..) = bench.with_factor(&cookie).await;
    let taken = bench.post("/api/v1/users/admin/remove-second-factor", &cookie, json!({})).await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT, "{}", taken.body);
    assert_eq!(bench.login("admin", NEW_PASSWORD).await.status, 200);
    assert!(bench.events().await.iter().any(|e| e.contains("remove the second factor of admin")));
    // Nobody's account elsewhere has one here.
    let guest = bench.guest(&["viewer"]);
    let refused = bench.post("/api/v1/second-factor", &guest, json!({"password": "x"})).await;
    assert_eq!(
        (refused.status, refused.json()["type"].clone()),
        (StatusCode::CONFLICT, json!("elsewhere"))
    );
}

#[tokio::test]
async fn the_page_shows_a_picture_and_the_codes_once() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let page = bench.get("/second-factor", &cookie).await;
    assert!(page.body.contains("Turn it on"), "{}", page.body);
    let wrong = bench.form("/second-factor", &cookie, "act=begin&password=wrong").await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.body.contains("present password is wrong")),
        (401, true)
    );
    let password = NEW_PASSWORD.replace(' ', "+");
    let begun =
        bench.form("/second-factor", &cookie, &format!("act=begin&password={password}")).await;
    assert!(
        begun.body.contains("<svg class=\"qr\"") && !begun.body.contains("style="),
        "{}",
        begun.body
    );
    let secret = begun.body.split("<code class=\"secret\">").nth(1).expect("a secret");
    let secret = secret.split("</code>").next().expect("its end").to_owned();
    let bad = bench.form("/second-factor", &cookie, "act=confirm&code=000").await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bad.body.contains(&secret), "it waits on");
    let confirm = format!("act=confirm&code={}", code(&secret, 0));
    let done = bench.form("/second-factor", &cookie, &confirm).await;
    assert_eq!((done.status, done.body.matches("<li><code>").count()), (StatusCode::OK, 10));
    let page = bench.get("/second-factor?lang=de", &done.cookie()).await;
    assert!(
        page.body.contains("10 Wiederherstellungscodes sind") && !page.body.contains("<li><code>")
    );
    // And at the sign-in, without any script.
    let asked = bench.form("/login", "", &format!("user=admin&password={password}")).await;
    assert!(asked.body.contains("Code of your app"), "{}", asked.body);
}

#[tokio::test]
async fn who_has_a_second_factor_proves_themselves_by_both() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let (cookie, _, codes) = bench.with_factor(&cookie).await;
    bench.console.sessions().age();
    let wish = json!({"name": "eve", "roles": ["viewer"], "groups": []});
    assert_eq!(bench.post("/api/v1/users", &cookie, wish.clone()).await.status, 401);
    let alone = json!({"password": NEW_PASSWORD});
    let alone = bench.post("/api/v1/step-up", &cookie, alone).await;
    assert_eq!(alone.status, 401, "the password alone is not enough: {}", alone.body);
    let sent = "act=add-user&name=eve&role=viewer";
    let asked = bench.form("/accounts?lang=de", &cookie, sent).await;
    assert!(asked.body.contains("name=\"step-up-code\""), "{}", asked.body);
    assert!(asked.body.contains("Wiederherstellungscode"), "{}", asked.body);
    let password = NEW_PASSWORD.replace(' ', "+");
    let wrong = format!("{sent}&step-up-password={password}&step-up-code=000000");
    let wrong = bench.form("/accounts", &cookie, &wrong).await;
    assert_eq!(wrong.status, 401, "{}", wrong.body);
    assert!(bench.store.user("eve").expect("readable").is_none(), "nothing was done");
    let right = format!("{sent}&step-up-password={password}&step-up-code={}", codes[0]);
    let done = bench.form("/accounts", &cookie, &right).await;
    assert!(done.status == 200 && done.body.contains("First password of eve"), "{}", done.body);
    let cookie = done.cookie();
    bench.console.sessions().age();
    let used = json!({"password": NEW_PASSWORD, "code": codes[0]});
    let used = bench.post("/api/v1/step-up", &cookie, used).await;
    assert_eq!(used.status, 401, "a code counts once: {}", used.body);
    let both = json!({"password": NEW_PASSWORD, "code": codes[1]});
    let proven = bench.post("/api/v1/step-up", &cookie, both).await;
    assert_eq!(proven.status, 200, "{}", proven.body);
    assert_eq!(
        bench.post("/api/v1/users", &proven.cookie(), wish).await.status,
        409,
        "eve is there"
    );
}

#[tokio::test]
async fn a_role_that_requires_it_opens_nothing_before_it_is_on() {
    let bench = Bench::new().await;
    let admin = bench.signed_in().await;
    let before = bench.joined(&admin, "eve", "operator").await;
    let (_, token) = bench.token_of(&admin, "eve").await;
    let live = tokio::spawn(crate::console::stream::run(bench.console.clone()));
    let mut stream = bench.stream(&before).await;
    assert!(next(&mut stream).await.expect("a frame").contains("snapshot"));

    assert_eq!(bench.require(&admin, &["operator"]).await.status, 200);
    assert_eq!(bench.get(REQUIRED, &admin).await.json(), json!({"roles": ["operator"]}));
    // It holds at once: the stream ends, and the session leads nowhere else.
    while let Some(said) = next(&mut stream).await {
        assert!(said.contains("event:"), "{said}");
    }
    live.abort();
    let first = bench.login("eve", NEW_PASSWORD).await;
    let told = first.json();
    assert_eq!(
        (&told["must_turn_on_second_factor"], &told["rights"]),
        (&json!(true), &json!({})),
        "{told}"
    );
    for cookie in [&before, &first.cookie()] {
        for route in routes::table() {
            let path = route.path.replace("{id}", "1-1");
            let reads = route.method == Method::GET && !route.path.contains('{');
            if !reads || path.ends_with("/stream") || route.permission == Permission::Public {
                continue;
            }
            let answer = bench.get(&path, cookie).await;
            if matches!(route.permission, Permission::Session) {
                assert_eq!(answer.status, 200, "{path}");
            } else if path.starts_with("/api/") || path == "/metrics" {
                assert_eq!(answer.json()["type"], "second-factor-required", "{path}");
                assert!(answer.body.contains("POST the password to /api/v1/second-factor"));
            } else {
                assert_eq!(answer.headers[header::LOCATION], "/second-factor", "{path}");
            }
        }
        let mute = bench.post("/api/v1/orders", cookie, json!({"order": "mute"})).await;
        assert_eq!(mute.json()["type"], "second-factor-required");
    }
    assert!(bench.guard.asked().is_empty());
    assert_eq!(bench.bearer(Method::GET, "/api/v1/alarms", &token, json!(null)).await.status, 200);

    let (cookie, _, codes) = bench.with_factor_of("eve", &first.cookie()).await;
    let mute = bench.post("/api/v1/orders", &cookie, json!({"order": "mute"})).await;
    assert_eq!(mute.status, 204, "{}", mute.body);
    assert_eq!(bench.get("/api/v1/second-factor", &cookie).await.json()["required_by"], "operator");
    let off = json!({"password": NEW_PASSWORD, "code": codes[0]});
    let off = bench.post("/api/v1/second-factor/remove", &cookie, off).await;
    assert_eq!(off.status, StatusCode::CONFLICT);
    assert!(off.body.contains("the role operator requires it"), "{}", off.body);
    assert_eq!(bench.login("eve", NEW_PASSWORD).await.status, 202, "it is on");

    // Taken away by an administrator, and no more required.
    let taken = bench.post("/api/v1/users/eve/remove-second-factor", &admin, json!({})).await;
    assert_eq!(taken.status, 204, "{}", taken.body);
    let refused = bench.get("/api/v1/alarms", &cookie).await;
    assert_eq!(refused.json()["type"], "second-factor-required");
    assert_eq!(bench.require(&admin, &[]).await.status, 200);
    assert_eq!(bench.get("/api/v1/alarms", &cookie).await.status, 200);
    let events = bench.events().await;
    for said in [
        "require a second factor for the roles operator",
        "require a second factor of nobody",
        "turn off the second factor of their account",
    ] {
        assert!(events.iter().any(|event| event.contains(said)), "{said} in {events:?}");
    }
}

#[tokio::test]
async fn it_is_required_by_who_has_one_and_of_accounts_that_are_kept_here() {
    let bench = Bench::new().await;
    let admin = bench.signed_in().await;
    let locked = bench.require(&admin, &["admin"]).await;
    assert_eq!(locked.status, StatusCode::CONFLICT);
    assert!(locked.body.contains("turn on your own first"), "{}", locked.body);
    assert_eq!(bench.get("/api/v1/users", &admin).await.status, 200, "nobody is kept out");
    let unknown = bench.require(&admin, &["pilot"]).await;
    assert!(unknown.body.contains("there is no role"), "{}", unknown.body);

    let (admin, ..) = bench.with_factor(&admin).await;
    let rights = json!({"rights": {"accounts": "configure"}});
    assert_eq!(bench.post("/api/v1/roles/keys", &admin, rights).await.status, 204);
    assert_eq!(bench.require(&admin, &["admin", "keys"]).await.status, 200);
    let gone = bench.post("/api/v1/roles/keys/delete", &admin, json!({})).await;
    assert!(gone.body.contains("the roles that require a second factor"), "{}", gone.body);
    // Of who is vouched for elsewhere it is not asked here, and they may not let in
    // who may do more than they.
    let guest = bench.guest(&["keys"]);
    assert_eq!(bench.get("/api/v1/users", &guest).await.status, 200);
    let more = bench.require(&guest, &["keys"]).await;
    assert!(more.body.contains("which you do not have yourself"), "{}", more.body);
    bench.console.sessions().age();
    let old = bench.require(&admin, &[]).await;
    assert_eq!(old.json()["type"], "step-up", "{}", old.body);
}

#[tokio::test]
async fn the_page_requires_it_and_leads_to_it() {
    let bench = Bench::new().await;
    let admin = bench.signed_in().await;
    bench.joined(&admin, "eve", "viewer").await;
    let missing = "data-status=\"warning\">no second factor yet";
    let page = bench.get("/accounts", &admin).await.body;
    assert!(page.contains("value=\"require-factor\"") && !page.contains(missing));
    let refused = bench.form("/accounts", &admin, "act=require-factor&role=admin").await;
    assert!(refused.body.contains("turn on your own first"), "{}", refused.body);
    let done = bench.form("/accounts", &admin, "act=require-factor&role=viewer").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    let page = bench.get("/accounts", &admin).await.body;
    assert!(page.contains(missing) && page.contains("value=\"viewer\" checked"));

    let password = NEW_PASSWORD.replace(' ', "+");
    let led = bench.form("/login", "", &format!("user=eve&password={password}")).await;
    assert_eq!(led.headers[header::LOCATION], "/second-factor");
    let eve = led.cookie();
    let page = bench.get("/second-factor", &eve).await.body;
    assert!(page.contains("The role viewer requires a second factor."), "{page}");
    assert!(!page.contains("href=\"/alarms\""), "no menu of what does not open");
    let german = bench.get("/second-factor?lang=de", &eve).await.body;
    assert!(german.contains("Vorher öffnet sich nichts anderes."), "{german}");
    let begun = bench.form("/second-factor", &eve, &format!("act=begin&password={password}")).await;
    let secret = begun.body.split("<code class=\"secret\">").nth(1).expect("a secret");
    let secret = secret.split("</code>").next().expect("its end").to_owned();
    let confirm = format!("act=confirm&code={}", code(&secret, 0));
    let done = bench.form("/second-factor", &eve, &confirm).await;
    assert!(done.body.contains("<li><code>") && done.body.contains("go on"), "{}", done.body);
    let eve = done.cookie();
    assert_eq!(bench.get("/", &eve).await.status, 200);
    let page = bench.get("/second-factor", &eve).await.body;
    assert!(page.contains("It cannot be turned off") && !page.contains("value=\"remove\""));
    assert!(!bench.get("/accounts", &admin).await.body.contains(missing));
}
