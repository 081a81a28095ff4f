//! The first run from outside: what an appliance shows that nobody has claimed,
//! how somebody claims it, and that nobody does so twice (SEC-002, UX-071).

use super::*;

#[tokio::test]
async fn an_unclaimed_appliance_shows_its_claim_page_and_a_status_code() {
    let bench = Bench::new().await;
    let claim = bench.get("/login?lang=de", "").await;
    assert_eq!(claim.status, 200);
    for wanted in ["lang=\"de\"", "Dieses Gerät übernehmen", "name=\"user\" value=\"admin\""] {
        assert!(claim.body.contains(wanted), "{wanted} in {}", claim.body);
    }
    assert!(claim.headers[header::SET_COOKIE].to_str().expect("text").starts_with("lang=de;"));
    assert!(!claim.body.contains(&bench.first_password()));
    let api = bench.get("/api/v1/strings", "").await;
    assert_eq!((api.status.as_u16(), &api.json()["type"]), (401, &json!("not-claimed")));
    assert_eq!(bench.get("/", "").await.headers[header::LOCATION], "/login");
    let user = bench.store.user("admin").expect("readable").expect("there");
    let kept = String::from_utf8(user).expect("text");
    assert!(kept.contains("$argon2id$") && !kept.contains(&bench.first_password()), "a hash");
}

#[tokio::test]
async fn a_wrong_code_is_refused_and_slowed() {
    let bench = Bench::new().await;
    for _ in 0..5 {
        let wrong = bench.form("/login", "lang=de", "user=admin&password=00000-00000").await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
        assert!(wrong.body.contains("Das ist nicht richtig"), "{}", wrong.body);
    }
    let first = bench.first_password();
    let slowed = bench.form("/login", "lang=de", &format!("user=admin&password={first}")).await;
    assert_eq!(slowed.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(slowed.body.contains("Zu viele Versuche. In "), "{}", slowed.body);
}

#[tokio::test]
async fn the_code_counts_once_and_leads_to_ones_own_password_and_the_setup() {
    let bench = Bench::new().await;
    let code = bench.first_password();
    let sent = format!("user=admin&password={code}");
    let cookie = bench.form("/login", "", &sent).await.cookie();
    let page = bench.get("/password?lang=de", &cookie).await;
    assert!(page.body.contains("Wählen Sie Ihr eigenes Kennwort"), "{}", page.body);
    for (new, again, said) in [
        ("zu+kurz", "zu+kurz", "mindestens 15 Zeichen"),
        ("passwordpassword1", "passwordpassword1", "leicht zu erraten"),
        ("three+rusty+anchors", "three+rusty+anchor", "nicht gleich"),
    ] {
        let wish = format!("old={code}&new={new}&again={again}");
        let refused = bench.form("/password?lang=de", &cookie, &wish).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{new}");
        assert!(refused.body.contains(said), "{said} in {}", refused.body);
    }
    let wish = format!("old={code}&new=three+rusty+anchors&again=three+rusty+anchors");
    let claimed = bench.form("/password", &cookie, &wish).await;
    assert_eq!(claimed.headers[header::LOCATION], "/setup", "{}", claimed.body);
    assert_eq!(bench.get("/setup", &claimed.cookie()).await.status, 200);

    assert_eq!(bench.form("/login", "", &sent).await.status, StatusCode::UNAUTHORIZED, "once");
    let door = bench.get("/login", "").await.body;
    assert!(door.contains("autocomplete=\"username\"") && !door.contains("Claim"), "{door}");
    assert_eq!(bench.get("/api/v1/strings", "").await.json()["type"], "not-signed-in");
    // Another first password is a person's, not the appliance's.
    let admin = claimed.cookie();
    let reset = bench.post("/api/v1/users/admin/reset", &admin, json!({})).await;
    assert_eq!(reset.status, 200, "{}", reset.body);
    assert!(!bench.get("/login", "").await.body.contains("Claim"), "it stays claimed");
}

/// A claimed appliance with a battery, and its administrator.
async fn claimed() -> (Bench, String) {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    bench.hub.set_plant(plant(13_600));
    bench.hub.set_batteries(vec![vec![("12 V 7 Ah".to_owned(), 2)]]);
    (bench, cookie)
}

/// Where a form leads.
fn led(answer: &Answer) -> &str {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    answer.headers[header::LOCATION].to_str().expect("text")
}

#[tokio::test]
async fn each_step_saves_what_its_ordinary_page_saves_and_leads_on() {
    let (bench, cookie) = claimed().await;
    let list = bench.get("/setup?lang=de", &cookie).await.body;
    for said in ["Batteriestränge", "nicht eingestellt", "href=\"/setup/appliance\""] {
        assert!(list.contains(said), "{said} in {list}");
    }
    let page = bench.get("/setup/appliance", &cookie).await.body;
    assert!(page.contains("rack-7.example"), "{page}");
    let seen = page.split("name=\"seen\" value=\"").nth(1).expect("a mark");
    let seen = seen.split('"').next().expect("its end").to_owned();
    let send =
        async |step: &str, body: &str| bench.form(&format!("/setup/{step}"), &cookie, body).await;
    let wrong = send("appliance", &format!("act=save&seen={seen}&zone=Mars&lang=de")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("there is no time zone") && wrong.body.contains("value=\"Mars\""));
    let site = "name=Rechenzentrum+S%C3%BCd&place=Geb%C3%A4ude+4";
    let long = format!("act=save&seen={seen}&zone=UTC&lang=de&name={}", "x".repeat(81));
    let long = send("appliance", &long).await;
    assert!(long.status == 422 && long.body.contains("at most 80 characters"), "{}", long.body);
    let right = format!("act=save&seen={seen}&zone=Europe/Berlin&lang=de&{site}");
    assert_eq!(led(&send("appliance", &right).await), "/setup/battery");
    let kept = bench.get("/api/v1/automation", &cookie).await.body;
    assert!(kept.contains("Europe/Berlin"), "{kept}");
    let site = json!({"name": "Rechenzentrum Süd", "place": "Gebäude 4"});
    assert_eq!(bench.get("/api/v1/site", &cookie).await.json(), site);
    let file = bench.get("/api/v1/configuration/export", &cookie).await.body;
    assert!(file.contains("[site]") && file.contains("Rechenzentrum Süd"), "{file}");
    assert!(bench.get("/", &cookie).await.body.contains("Rechenzentrum Süd, Gebäude 4"));
    let named = bench.post("/api/v1/site", &cookie, json!({"name": "Nord\n"})).await;
    assert_eq!(named.status, 200, "{}", named.body);
    assert_eq!(bench.get("/api/v1/site", &cookie).await.json()["name"], "Nord");
    let file = "[export]\nof = \"evenkeel configuration\"\nform = 1\n[site]\nname = \"Ost\"\n";
    let taken = bench.post("/api/v1/configuration/import", &cookie, json!({"file": file})).await;
    assert_eq!(taken.status, 200, "{}", taken.body);
    assert_eq!(bench.get("/api/v1/site", &cookie).await.json()["name"], "Ost");

    let page = bench.get("/setup/battery", &cookie).await.body;
    assert!(page.contains("2 × 12 V 7 Ah") && page.contains("2 of 2 answer"), "{page}");
    assert_eq!(led(&send("battery", "act=discover&bus=1").await), "/setup/battery");
    let discover = Order::Commission(evenkeel_core::command::Commission::Discover { bus: 1 });
    assert_eq!(bench.guard.asked(), [discover]);
    assert_eq!(led(&send("battery", "act=settle").await), "/setup/limits");

    let page = bench.get("/setup/limits?lang=de", &cookie).await.body;
    assert!(page.contains("<tbody>\n<tr><td>"), "limits are proposed: {page}");
    assert_eq!(led(&send("limits", "act=settle").await), "/setup/receiver");

    let wrong = send("receiver", "act=save&name=ops&url=nonsense").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.body);
    assert!(wrong.body.contains("value=\"nonsense\""), "{}", wrong.body);
    let made = send("receiver", "act=save&name=ops&url=http%3A%2F%2F127.0.0.1%3A1%2Fx").await;
    assert!(made.status == 200 && made.body.contains("class=\"secret\""), "{}", made.body);
    assert!(made.body.contains("class=\"trouble\""), "nobody took the test: {}", made.body);
    assert!(bench.get("/api/v1/webhooks", &cookie).await.body.contains("\"ops\""));

    assert_eq!(led(&send("ups", "act=settle").await), "/setup/users");
    let added = send("users", "act=add&name=eve&role=operator").await;
    assert!(added.body.contains("First password of eve"), "{}", added.body);
    let users = bench.get("/api/v1/users", &cookie).await.json();
    assert_eq!((&users[1]["name"], &users[1]["roles"]), (&json!("eve"), &json!(["operator"])));
    let list = bench.get("/setup", &cookie).await.body;
    assert!(list.contains("Everything is set") && !list.contains("left for later"), "{list}");
    assert!(!bench.get("/", &cookie).await.body.contains("Not set"));
}

#[tokio::test]
async fn what_is_left_out_stays_marked_and_is_taken_up_again() {
    let (bench, cookie) = claimed().await;
    let live = bench.get("/", &cookie).await.body;
    assert!(live.contains("Not set") && live.contains("href=\"/setup\""), "{live}");
    let steps = ["appliance", "battery", "limits", "receiver", "ups", "users"];
    for (step, next) in steps.iter().zip(["battery", "limits", "receiver", "ups", "users", ""]) {
        let left = bench.form(&format!("/setup/{step}"), &cookie, "act=skip").await;
        assert_eq!(led(&left).trim_start_matches("/setup").trim_start_matches('/'), next);
    }
    let list = bench.get("/setup", &cookie).await.body;
    assert_eq!(list.matches("left for later").count(), steps.len(), "{list}");
    assert!(list.contains("class=\"go\" href=\"/setup/appliance\""), "the first again: {list}");
    let live = bench.get("/", &cookie).await.body;
    for said in ["Battery strings", "Whom it tells", "Users"] {
        assert!(live.contains(said), "{said} in {live}");
    }
    bench.form("/setup/ups", &cookie, "act=settle").await;
    assert_eq!(bench.get("/setup", &cookie).await.body.matches("left for later").count(), 5);
    assert_eq!(bench.get("/setup/else", &cookie).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bench.form("/setup/limits", &cookie, "act=add").await.status, 400);
}

#[tokio::test]
async fn a_step_gives_nobody_more_than_its_ordinary_page() {
    let (bench, admin) = claimed().await;
    let role = json!({"rights": {"system": "configure"}});
    assert!(bench.post("/api/v1/roles/janitor", &admin, role).await.status.is_success());
    let eve = bench.guest(&["janitor"]);
    for step in ["appliance", "battery", "limits", "receiver", "ups", "users"] {
        let page = bench.get(&format!("/setup/{step}"), &eve).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{step}");
    }
    for (step, body) in [
        ("appliance", "act=save&zone=UTC"),
        ("battery", "act=discover&bus=1"),
        ("users", "act=add&name=eve&role=admin"),
    ] {
        let refused = bench.form(&format!("/setup/{step}"), &eve, body).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{step}: {}", refused.body);
    }
    assert!(bench.guard.asked().is_empty());
    let viewer = bench.guest(&["viewer"]);
    let list = bench.get("/setup", &viewer).await;
    assert!(list.status == 200 && !list.body.contains("href=\"/setup/"), "{}", list.body);
    assert_eq!(bench.form("/setup/ups", &viewer, "act=skip").await.status, 403);

    // Users want the password again, in the setup as elsewhere.
    bench.console.sessions().age();
    let sent = "act=add&name=eve&role=operator";
    let asked = bench.form("/setup/users", &admin, sent).await;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED, "{}", asked.body);
    assert!(asked.body.contains("name=\"step-up-password\""), "{}", asked.body);
    assert_eq!(led(&bench.form("/setup/users", &admin, "act=skip").await), "/setup");
}
