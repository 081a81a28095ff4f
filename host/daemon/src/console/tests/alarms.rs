//! Alarms and thresholds from outside: API and page, and who may what.

use super::*;
use evenkeel_core::time::Nanos;

/// A console whose string has a block that is too warm.
async fn warm() -> (Bench, String) {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let mut plant = plant(13_600);
    testing::mark(&mut plant.snapshot.strings[0], 0, Condition::TemperatureHigh, Level::Warning);
    bench.hub.set_plant(plant);
    bench.console.alarms.look(Nanos::from_secs(1), 1_000);
    (bench, cookie)
}

async fn first(bench: &Bench, cookie: &str) -> Json {
    bench.get("/api/v1/alarms", cookie).await.json()["alarms"][0].clone()
}

/// Whether the administrator is in the audit log with this.
async fn has_entry(bench: &Bench, cookie: &str, what: &str, result: &str) -> bool {
    bench.events().await;
    let log = bench.get("/api/v1/audit?limit=1000", cookie).await.json();
    let wanted = [json!("admin"), json!("192.0.2.1"), json!(what), json!(result)];
    let entries = log.as_array().into_iter().flatten();
    let mut entries =
        entries.map(|entry| ["who", "from", "what", "result"].map(|name| entry[name].clone()));
    entries.any(|entry| entry == wanted)
}

#[tokio::test]
async fn an_alarm_is_listed_with_guidance_and_acknowledged() {
    let (bench, cookie) = warm().await;
    let alarm = first(&bench, &cookie).await;
    assert_eq!(alarm["kind"], "finding.temperature-high");
    assert_eq!((&alarm["state"], &alarm["severity"]), (&json!("raised"), &json!("warning")));
    assert_eq!(alarm["members"][0]["place"], "string.1.block.1");
    let action = alarm["words"]["action"].as_str().expect("text");
    assert!(action.contains("ventilation"), "{action}");
    let german = bench.get("/api/v1/alarms?lang=de", &cookie).await.json();
    assert_eq!(german["alarms"][0]["words"]["title"], "Blocktemperatur zu hoch");
    assert_eq!(bench.get("/api/v1/alarms?lang=tlh", &cookie).await.status, 400);

    let path = format!("/api/v1/alarms/{}/acknowledge", alarm["id"]);
    let seen = json!({"round": alarm["round"], "note": "cooling"});
    assert_eq!(bench.post(&path, &cookie, json!({"round": 9})).await.status, 409);
    assert_eq!(bench.post(&path, &cookie, seen.clone()).await.status, 204);
    assert_eq!(bench.post(&path, &cookie, seen).await.status, 409, "once");
    let alarm = first(&bench, &cookie).await;
    assert_eq!(alarm["acknowledged"]["user"], "admin");
    assert_eq!(alarm["acknowledged"]["note"], "cooling");
    let events = bench.events().await;
    assert!(events.iter().any(|text| text.contains("by admin: cooling")), "{events:?}");

    for (path, body, status, words) in [
        ("1/shelve", json!({"seconds": 600}), 400, "the reason has 1 to 500"),
        ("1/shelve", json!({"seconds": 1, "reason": "x"}), 400, "60 to 86400 s, not 1"),
        ("1/reset", json!({}), 409, "nothing to reset"),
        ("1/unshelve", json!({}), 409, "not shelved"),
        ("1/ignore", json!({}), 404, "acknowledge, shelve, unshelve and reset"),
        ("77/unshelve", json!({}), 404, "no alarm 77"),
        ("x/unshelve", json!({}), 400, ""),
    ] {
        let answer = bench.post(&format!("/api/v1/alarms/{path}"), &cookie, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(words), "{path}: {detail}");
    }
    let shelf = json!({"seconds": 600, "reason": "fan on order"});
    assert_eq!(bench.post("/api/v1/alarms/1/shelve", &cookie, shelf).await.status, 204);
    assert_eq!(first(&bench, &cookie).await["state"], "shelved");
    let form = bench.form("/alarms/1", &cookie, "action=unshelve&round=1&lang=en").await;
    assert_eq!(form.headers[header::LOCATION], "/alarms?lang=en", "{}", form.body);
    for (what, result) in [
        ("acknowledge alarm 1", "refused with status 409"),
        ("acknowledge alarm 1: cooling", "done"),
        ("shelve alarm 1 for 1 s: x", "refused with status 400"),
        ("shelve alarm 1 for 600 s: fan on order", "done"),
        ("take alarm 1 off the shelf", "done"),
        ("POST /api/v1/alarms/1/ignore", "refused with status 404"),
    ] {
        assert!(has_entry(&bench, &cookie, what, result).await, "{what}: {result}");
    }
}

#[tokio::test]
async fn the_page_works_without_a_script() {
    let (bench, cookie) = warm().await;
    let page = bench.get("/alarms?lang=de", &cookie).await;
    assert_eq!(page.status, 200);
    for said in ["<html lang=\"de\">", "Blocktemperatur zu hoch", "Lüftung", "Quittieren"] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    assert!(!page.body.contains("<script"));
    let form = "action=acknowledge&round=1&note=%3Cb%3Ehot&lang=de";
    let done = bench.form("/alarms/1", &cookie, form).await;
    assert_eq!(done.headers[header::LOCATION], "/alarms?lang=de", "{}", done.body);
    let page = bench.get("/alarms", &cookie).await;
    assert!(page.body.contains("Acknowledged by admin"), "{}", page.body);
    assert!(page.body.contains("&#60;b&#62;hot") || page.body.contains("&lt;b&gt;hot"));
    let again = bench.form("/alarms/1", &cookie, form).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.body.contains("has acknowledged it already"), "{}", again.body);
    let shelve = "action=shelve&round=1&reason=fan&hours=2&lang=en";
    let done = bench.form("/alarms/1", &cookie, shelve).await;
    assert_eq!(done.headers[header::LOCATION], "/alarms?lang=en", "{}", done.body);
    assert!(bench.get("/alarms", &cookie).await.body.contains("Take off the shelf"));
}

#[tokio::test]
async fn a_viewer_sees_alarms_and_does_nothing() {
    let answer: Opinion = |_, _| Ok(Verdict::Accepted(vec!["all".into()]));
    let bench = Bench::with_peers(Peers::new(answer)).await;
    let mut plant = plant(13_600);
    testing::mark(&mut plant.snapshot.strings[0], 0, Condition::TemperatureHigh, Level::Warning);
    bench.hub.set_plant(plant);
    bench.console.alarms.look(Nanos::from_secs(1), 1_000);
    let cookie = bench.login("eve", "x").await.cookie();
    let page = bench.get("/alarms", &cookie).await;
    assert!(page.body.contains("Block temperature high"), "{}", page.body);
    assert!(!page.body.contains("action=\"/alarms/"), "no form for who may not");
    for path in ["/api/v1/alarms/1/acknowledge", "/api/v1/thresholds"] {
        let answer = bench.post(path, &cookie, json!({})).await;
        assert_eq!(
            (answer.status, answer.json()["type"].clone()),
            (StatusCode::FORBIDDEN, json!("not-allowed"))
        );
    }
    let answer = bench.form("/alarms/1", &cookie, "action=acknowledge&round=1").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(first(&bench, &cookie).await["state"], "raised");
}

#[tokio::test]
async fn thresholds_are_previewed_set_and_explained() {
    let (bench, cookie) = warm().await;
    let rule = json!({
        "at": "string.1", "quantity": "block-temperature", "side": "high",
        "warning": 25, "alarm": "off", "delay_s": 0
    });
    let wish = json!({"thresholds": [rule]});
    let preview = bench.post("/api/v1/thresholds/preview", &cookie, wish.clone()).await;
    assert_eq!(preview.status, 200, "{}", preview.body);
    assert_eq!(preview.json()["now"]["warning"], 2);
    let before = bench.get("/api/v1/thresholds", &cookie).await.json();
    assert_eq!(before["thresholds"], json!([]), "a preview sets nothing");
    let set = bench.post("/api/v1/thresholds", &cookie, wish).await;
    assert_eq!(set.status, 200, "{}", set.body);
    let what = "thresholds: set block-temperature high at string.1, warning 25, alarm off";
    assert!(has_entry(&bench, &cookie, what, "done").await);
    // In force at once: what the preview counted stands now.
    bench.console.alarms.look(Nanos::from_secs(2), 2_000);
    bench.console.alarms.look(Nanos::from_secs(3), 3_000);
    let alarms = bench.get("/api/v1/alarms", &cookie).await.json();
    let limit = alarms["alarms"].as_array().expect("a list").iter();
    let limit = limit.filter(|alarm| alarm["kind"] == "limit.block-temperature.high");
    let members = limit.map(|alarm| alarm["members"].as_array().map_or(0, Vec::len));
    assert_eq!(members.sum::<usize>(), 1, "protection tells the other: {alarms:#}");
    let at = bench.get("/api/v1/thresholds?place=string.1.block.2", &cookie).await.json();
    let of = |quantity: &str, side: &str| {
        let list = at["effective"].as_array().expect("a list");
        let found = list.iter().find(|e| e["quantity"] == quantity && e["side"] == side);
        found.expect("there").clone()
    };
    let high = of("block-temperature", "high");
    assert_eq!(high["warning"], json!({"value": 25.0, "from": "string.1"}));
    assert_eq!(high["hysteresis"]["from"], "built-in");
    assert_eq!(of("block-health", "low")["alarm"], json!({"value": 80.0, "from": "built-in"}));

    for (rule, words) in [
        (
            json!({"at": "string.1", "quantity": "block-temperature", "side": "high",
            "warning": 50, "alarm": 45}),
            "must be below the alarm at 45",
        ),
        (json!({"at": "cellar", "quantity": "block-temperature", "side": "high"}), "no scope"),
        (json!({"at": "system", "quantity": "ups.load", "side": "high", "delay_s": 1e9}), "86400"),
    ] {
        let answer = bench.post("/api/v1/thresholds", &cookie, json!({"thresholds": [rule]})).await;
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{}", answer.body);
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
    }
    let set = bench.post("/api/v1/thresholds", &cookie, json!({"thresholds": []})).await;
    assert_eq!(set.status, 200, "{}", set.body);
    let what = "thresholds: take away block-temperature high at string.1";
    assert!(has_entry(&bench, &cookie, what, "done").await);
}
