//! Accounts from outside: every path against every role, users from their first
//! password to their removal, tokens, and changes that hold at once.

use super::*;
use crate::accounts::rights::Rights;
use std::collections::BTreeSet;

/// Who tries the paths.
struct Tried {
    name: &'static str,
    rights: Rights,
    cookie: String,
    token: String,
}

impl Bench {
    /// Somebody whose roles an authenticator gave.
    pub(super) fn guest(&self, roles: &[&str]) -> String {
        let token = Token::random().expect("random numbers");
        let roles = roles.iter().map(|r| (*r).to_owned()).collect::<BTreeSet<_>>();
        let (user, via) = ("guest".to_owned(), Some("radius".to_owned()));
        let account = Account { user, roles, via, must_change: false };
        self.console.sessions().begin(&token, account, crate::clock::now());
        token.set_cookie().split(';').next().expect("a pair").to_owned()
    }

    pub(super) async fn bearer(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Json,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HOST)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    /// A token that sees alarms in somebody's name.
    pub(super) async fn token_of(&self, admin: &str, owner: &str) -> (String, String) {
        let wish = json!({"name": "scada", "owner": owner, "scopes": {"alarms": "view"}});
        self.made(admin, wish).await
    }

    async fn token(&self, admin: &str, scopes: Json) -> (String, String) {
        let wish = json!({"name": "scada", "scopes": scopes});
        self.made(admin, wish).await
    }

    async fn made(&self, admin: &str, wish: Json) -> (String, String) {
        let made = self.post("/api/v1/tokens", admin, wish).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let text = |name: &str| made.json()[name].as_str().expect("text").to_owned();
        (text("id"), text("token"))
    }
}

/// What a path is with something in its places.
fn filled(path: &str) -> String {
    let path = path.replace("{id}", "1-1").replace("{version}", "x").replace("{file}", "x");
    let path = path.replace("{name}", "nobody").replace("{action}", "none");
    path.replace("{digest}", "00").replace("{document}", "thresholds")
}

#[tokio::test]
async fn every_path_asks_for_its_level_and_nothing_less_opens_it() {
    let bench = Bench::new().await;
    let admin = bench.signed_in().await;
    let keys = json!({"accounts": "configure", "audit": "view"});
    let made = bench.post("/api/v1/roles/keys", &admin, json!({"rights": keys})).await;
    assert_eq!(made.status, StatusCode::NO_CONTENT, "{}", made.body);
    let mut tried = Vec::new();
    for name in ["viewer", "operator", "keys", "unheard-of"] {
        let rights = bench.console.accounts.rights_of_roles(&BTreeSet::from([name.to_owned()]));
        let scopes = json!(rights.by_name());
        let (_, token) = bench.token(&admin, scopes).await;
        tried.push(Tried { name, rights, cookie: bench.guest(&[name]), token });
    }
    let (mut opened, mut closed) = (0, 0);
    for route in routes::table() {
        let Some((area, level)) = route.permission.needs() else { continue };
        let path = filled(route.path);
        let is_api = path.starts_with("/api/") || path == "/metrics";
        // The stream never ends.
        let is_stream = path.ends_with("/stream");
        for who in &tried {
            let allowed = who.rights.allow(area, level);
            if is_stream && allowed {
                continue;
            }
            let place = format!("{} {path} as {}", route.method, who.name);
            let body = json!({"order": "mute"});
            let by_cookie = match route.method {
                Method::GET => bench.get(&path, &who.cookie).await,
                _ => bench.post(&path, &who.cookie, body.clone()).await,
            };
            let by_token = bench.bearer(route.method.clone(), &path, &who.token, body).await;
            if who.rights == Rights::NONE {
                assert!(matches!(by_cookie.status.as_u16(), 401 | 303), "{place}: not signed in");
                assert_eq!(by_token.status, StatusCode::FORBIDDEN, "{place}");
                continue;
            }
            if allowed {
                assert_ne!(by_cookie.status, StatusCode::FORBIDDEN, "{place}");
                opened += 1;
            } else if path == "/" {
                assert_eq!(by_cookie.headers[header::LOCATION], "/accounts", "{place}");
            } else {
                assert_eq!(by_cookie.status, StatusCode::FORBIDDEN, "{place}");
                assert!(by_cookie.body.contains(&format!("{level} in {area}")), "{place}");
                closed += 1;
            }
            let shut = by_token.status == StatusCode::FORBIDDEN;
            assert_eq!(shut, !allowed || !is_api, "{place} by token: {}", by_token.status);
        }
    }
    assert!(opened > 60 && closed > 60, "{opened} opened, {closed} refused");
    assert_eq!(bench.guard.asked().len(), 2, "the operator and their token muted the buzzer");
}

#[tokio::test]
async fn a_user_begins_with_a_first_password_and_ends_at_once() {
    let bench = Bench::new().await;
    let admin = bench.signed_in().await;
    let wish = json!({"name": "eve", "roles": ["operator"]});
    let made = bench.post("/api/v1/users", &admin, wish.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let first = made.json()["first_password"].as_str().expect("a password").to_owned();
    let again = bench.post("/api/v1/users", &admin, wish).await;
    assert_eq!((again.status, again.body.contains("already")), (StatusCode::CONFLICT, true));
    let cookie = bench.login("eve", &first).await.cookie();
    assert_eq!(bench.get("/api/v1/alarms", &cookie).await.json()["type"], "password-change");
    let wish = json!({"old": first, "new": NEW_PASSWORD, "again": NEW_PASSWORD});
    let cookie = bench.post("/api/v1/password", &cookie, wish).await.cookie();
    let mute = json!({"order": "mute"});
    assert_eq!(bench.post("/api/v1/orders", &cookie, mute.clone()).await.status, 204);
    let swap = json!({"order": "swap", "bus": 1, "address": 2});
    let refused = bench.post("/api/v1/orders", &cookie, swap).await;
    assert!(refused.body.contains("configure in battery"), "{}", refused.body);

    // Less is allowed: the session is over, the next one may less.
    let less = bench.post("/api/v1/users/eve", &admin, json!({"roles": ["viewer"]})).await;
    assert_eq!(less.status, StatusCode::NO_CONTENT, "{}", less.body);
    assert_eq!(bench.get("/api/v1/alarms", &cookie).await.status, 401);
    let cookie = bench.login("eve", NEW_PASSWORD).await.cookie();
    assert_eq!(bench.post("/api/v1/orders", &cookie, mute).await.status, 403);
    let live = tokio::spawn(crate::console::stream::run(bench.console.clone()));
    let mut stream = bench.stream(&cookie).await;
    assert!(next(&mut stream).await.expect("a frame").contains("snapshot"));
    let off = json!({"roles": ["viewer"], "disabled": true});
    assert_eq!(bench.post("/api/v1/users/eve", &admin, off).await.status, 204);
    while let Some(said) = next(&mut stream).await {
        assert!(said.contains("event:"), "{said}");
    }
    live.abort();
    assert_eq!(bench.login("eve", NEW_PASSWORD).await.status, 401, "disabled");
    assert_eq!(bench.post("/api/v1/users/eve/delete", &admin, json!({})).await.status, 204);
    let last = bench.post("/api/v1/users/admin/delete", &admin, json!({})).await;
    assert!(last.body.contains("nobody would be left"), "{}", last.body);
    let events = bench.events().await;
    for said in ["add the user eve with the roles operator", "disabled", "remove the user eve"] {
        assert!(events.iter().any(|e| e.contains(said)), "{said} in {events:?}");
    }
    assert!(events.iter().all(|e| !e.contains(&first)), "no password is told");
}

#[tokio::test]
async fn a_role_that_changes_holds_at_once() {
    let bench = Bench::new().await;
    let admin = bench.signed_in().await;
    let role = |rights: Json| bench.post("/api/v1/roles/night", &admin, json!({"rights": rights}));
    assert_eq!(role(json!({"alarms": "operate"})).await.status, 204);
    let guest = bench.guest(&["night"]);
    assert_eq!(bench.get("/api/v1/alarms", &guest).await.status, 200);
    let preview = bench.get("/api/v1/roles/night/preview", &admin).await.json();
    let seen: Vec<_> = preview.as_array().expect("a list").iter().map(|s| &s["path"]).collect();
    assert!(seen.contains(&&json!("/alarms")) && !seen.contains(&&json!("/")), "{seen:?}");
    assert_eq!(role(json!({"system": "view"})).await.status, 204);
    assert_eq!(bench.get("/api/v1/alarms", &guest).await.status, 403);
    assert_eq!(bench.get("/", &guest).await.headers[header::LOCATION], "/licence");
    assert_eq!(role(json!({"devices": "view"})).await.status, 204);
    assert_eq!(bench.get("/", &guest).await.status, 403, "no page is left for them");
    let wrong = role(json!({"alarms": "everything"})).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.body);
    let wish = json!({"roles": ["night"]});
    assert_eq!(bench.post("/api/v1/groups/shift", &admin, wish).await.status, 204);
    let used = bench.post("/api/v1/roles/night/delete", &admin, json!({})).await;
    assert!(used.body.contains("in use by group shift"), "{}", used.body);
}

#[tokio::test]
async fn a_token_is_for_programs_and_counts_until_it_is_withdrawn() {
    let bench = Bench::new().await;
    let admin = bench.signed_in().await;
    let (id, token) = bench.token(&admin, json!({"alarms": "view", "battery": "view"})).await;
    let get = |path: &'static str| bench.bearer(Method::GET, path, &token, json!(null));
    assert_eq!(get("/api/v1/alarms").await.status, 200);
    assert_eq!(
        get("/api/v1/session").await.json()["rights"],
        json!({"alarms": "view", "battery": "view"})
    );
    for path in ["/", "/alarms", "/password"] {
        assert_eq!(get(path).await.status, 403, "{path} is for people");
    }
    // With a token the cookie does not count: it may no more than the token.
    let request = Request::get("/api/v1/audit")
        .header(header::HOST, HOST)
        .header(header::COOKIE, &admin)
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    let both = bench.send(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(both.status, StatusCode::FORBIDDEN);
    let listed = bench.get("/api/v1/tokens", &admin).await;
    assert!(listed.body.contains(&id) && !listed.body.contains(&token), "{}", listed.body);
    let gone = bench.post(&format!("/api/v1/tokens/{id}/delete"), &admin, json!({})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(get("/api/v1/alarms").await.status, 401);
    let unknown = bench.post(&format!("/api/v1/tokens/{id}/delete"), &admin, json!({})).await;
    assert!(unknown.body.contains("there is no token"), "{}", unknown.body);
    let events = bench.events().await;
    assert!(events.iter().all(|e| !e.contains(&token)), "{events:?}");
}

#[tokio::test]
async fn the_page_does_what_the_api_does() {
    let bench = Bench::new().await;
    let admin = bench.signed_in().await;
    let form = |body: &'static str| bench.form("/accounts", &admin, body);
    let made = form("act=add-user&name=eve&role=viewer&role=operator").await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    assert!(made.body.contains("First password of eve"), "shown once");
    let seen = bench.get("/accounts", &admin).await.body;
    assert!(seen.contains("operator, viewer") && !seen.contains("First password of eve"));
    for (body, said) in [
        ("act=put-role&name=night&alarms=operate&audit=none", "alarms: operate"),
        ("act=put-group&name=shift&role=night", "shift"),
        ("act=put-user&name=eve&group=shift", "<td>shift</td>"),
    ] {
        let done = form(body).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{body}: {}", done.body);
        assert!(bench.get("/accounts", &admin).await.body.contains(said), "{body}");
    }
    let token = form("act=add-token&name=scada&owner=eve&days=30&alarms=view").await;
    assert!(token.body.contains("ek1_"), "{}", token.body);
    let refused = form("act=add-token&name=scada&owner=eve&days=30&audit=view").await;
    assert!(refused.body.contains("you do not have") || refused.body.contains("view in audit"));
    let refused = form("act=add-token&name=scada&owner=eve&days=0").await;
    assert!(refused.body.contains("1 to 3650"), "{}", refused.body);
    let refused = form("act=delete-group&name=shift").await;
    assert!(refused.body.contains("in use by user eve"), "{}", refused.body);
    for body in
        ["act=delete-user&name=eve", "act=delete-group&name=shift", "act=delete-role&name=night"]
    {
        assert_eq!(form(body).await.status, StatusCode::SEE_OTHER, "{body}");
    }
    let guest = bench.guest(&["viewer"]);
    assert_eq!(bench.get("/accounts", &guest).await.status, StatusCode::FORBIDDEN);
    assert!(!bench.get("/", &guest).await.body.contains("href=\"/accounts\""), "not in the menu");
}

#[tokio::test]
async fn who_is_signed_in_is_listed_and_signed_out() {
    let bench = Bench::new().await;
    let admin = bench.signed_in().await;
    let other = bench.login("admin", NEW_PASSWORD).await.cookie();
    let guest = bench.guest(&["viewer"]);
    let end = |id: &Json, cookie: &str| {
        let (path, cookie) =
            (format!("/api/v1/sessions/{}/end", id.as_str().expect("a name")), cookie.to_owned());
        let bench = &bench;
        async move { bench.post(&path, &cookie, json!({})).await.status.as_u16() }
    };
    bench.get("/api/v1/session", &other).await;
    let all = bench.get("/api/v1/sessions", &admin).await.json();
    let all = all.as_array().expect("a list");
    assert_eq!(all.len(), 3, "{all:?}");
    let this: Vec<_> = all.iter().filter(|session| session["this"] == true).collect();
    assert_eq!((this.len(), &this[0]["from"]), (1, &json!("192.0.2.1")));
    for secret in [&admin, &other] {
        let secret = secret.split('=').nth(1).expect("a cookie");
        assert!(all.iter().all(|session| !session.to_string().contains(secret)));
    }
    // Who answers for nothing sees and ends their own alone.
    let own = bench.get("/api/v1/sessions", &guest).await.json();
    assert_eq!((own.as_array().map(Vec::len), &own[0]["user"]), (Some(1), &json!("guest")));
    assert_eq!(end(&this[0]["id"], &guest).await, 403);
    assert_eq!(end(&json!("0123456789abcdef"), &admin).await, 404);
    let page = bench.get("/accounts", &admin).await.body;
    assert!(page.contains("Sign out: guest,") && page.contains("this one"), "{page}");
    assert_eq!(end(&json!("others"), &admin).await, 204);
    assert_eq!(bench.get("/api/v1/session", &other).await.status, 401, "signed out");
    assert_eq!(bench.get("/api/v1/session", &admin).await.status, 200);
    assert_eq!(bench.get("/api/v1/session", &guest).await.status, 200, "not theirs");
    let form = format!("act=end-session&id={}", own[0]["id"].as_str().expect("a name"));
    assert_eq!(bench.form("/accounts", &admin, &form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(bench.get("/api/v1/session", &guest).await.status, 401, "signed out");
    let told = bench.events().await;
    assert!(told.iter().any(|e| e.contains("end a session of guest")), "{told:?}");
}
