//! Rules, jobs and calendar from outside: the API, the page, and what is
//! refused.

use super::*;

const GOOD: &str = "zone = \"Europe/Berlin\"\nconfirm = [\"device.3:output.2\"]\n\
    [[rule]]\nname = \"warm\"\nwhen = \"string.1.ambient > 30 °C hyst 2\"\n\
    [[job]]\nname = \"fan\"\nwhen = { kind = \"rule_raised\", fields = { rule = \"warm\" } }\n\
    action = { do = \"output\", device = 3, output = 2, on = true }\n\
    [[schedule]]\nname = \"weekly\"\nwhen = { every = \"week\", weekdays = [\"sun\"], at = \"03:00\" }\n";

#[tokio::test]
async fn a_document_is_taken_shown_and_kept() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let check = json!({"toml": GOOD, "check_only": true});
    assert_eq!(bench.post("/api/v1/automation", &cookie, check).await.status, 204);
    let empty = bench.get("/api/v1/automation", &cookie).await.json();
    assert_eq!(empty["document"], json!({"zone": "UTC"}), "only looked at");

    let taken = bench.post("/api/v1/automation", &cookie, json!({"toml": GOOD})).await;
    assert_eq!(taken.status, 204, "{}", taken.body);
    let shown = bench.get("/api/v1/automation", &cookie).await.json();
    assert_eq!(shown["dangers"][0]["name"], "device.3:output.2");
    // Its JSON is the same document.
    let again = json!({"document": shown["document"]});
    assert_eq!(bench.post("/api/v1/automation", &cookie, again).await.status, 204);
    let status = bench.get("/api/v1/automation/status", &cookie).await.json();
    assert_eq!(status["rules"][0]["known"], false);
    assert_eq!(status["schedule"][0]["next_unix_ms"].as_array().map(Vec::len), Some(5));
    assert_eq!(bench.store.settings(&crate::jobs::DOCUMENT).expect("readable").len(), 1);
    let page = bench.get("/automation", &cookie).await;
    assert_eq!(page.status, 200);
    for words in ["warm", "switch output 2 of device 3 on", "weekly", "Europe/Berlin"] {
        assert!(page.body.contains(words), "{words} in {}", page.body);
    }
    let events = bench.events().await;
    assert!(events.iter().any(|e| e.contains("1 rules, 1 jobs")), "{events:?}");
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_place() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    for (from, to, status, why) in [
        ("ambient", "ambiant", 409, "did you mean string.1.ambient?"),
        ("zone = \"Europe/Berlin\"", "zone = \"Mars\"", 409, "no time zone"),
        ("[\"device.3:output.2\"]", "[]", 428, "device.3:output.2"),
        ("[[job]]", "[[jobs]]", 409, "line 6"),
    ] {
        let document = GOOD.replacen(from, to, 1);
        let refused = bench.post("/api/v1/automation", &cookie, json!({"toml": document})).await;
        assert_eq!(refused.status, status, "{to}: {}", refused.body);
        assert!(
            refused.json()["detail"].as_str().is_some_and(|d| d.contains(why)),
            "{}",
            refused.body
        );
    }
    for (nonsense, status) in
        [(json!({}), 400), (json!({"toml": "", "document": {}}), 400), (json!({"tomll": ""}), 422)]
    {
        assert_eq!(bench.post("/api/v1/automation", &cookie, nonsense).await.status, status);
    }
}

#[tokio::test]
async fn a_dry_run_is_a_table() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let script = "for_s = 60\n[[at]]\ns = 5\npoints = { \"string.1.ambient\" = 31 }";
    let asked = json!({"toml": GOOD, "script": script});
    let table = bench.post("/api/v1/automation/rehearsal", &cookie, asked).await.json();
    assert_eq!(table["rows"][0]["at_ms"], 5_000, "{table:#}");
    let text = table["text"].as_str().unwrap_or_default();
    assert!(text.contains("job fan: switch output 2 of device 3 on"), "{text}");
    for (wrong, status) in [
        (json!({"script": "for_s = 0"}), 409),
        (json!({"from": 5, "to": 4}), 400),
        (json!({}), 400),
    ] {
        let answer = bench.post("/api/v1/automation/rehearsal", &cookie, wrong).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    assert!(bench.guard.asked().is_empty(), "nothing was done");
}
