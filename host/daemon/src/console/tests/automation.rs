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
    for words in ["warm", "switch output 2 of device 3 on", "rule = warm"] {
        assert!(page.body.contains(words), "{words} in {}", page.body);
    }
    let page = bench.get("/schedule", &cookie).await;
    for words in ["weekly", "Europe/Berlin", "Sun at 03:00", "starts no job", "It is left out"] {
        assert!(page.body.contains(words), "{words} in {}", page.body);
    }
    assert_eq!(page.body.matches(" 03:00<br>").count(), 4, "of five runs: {}", page.body);
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

/// The mark of the document that a form was made from.
async fn seen(bench: &Bench, path: &str, cookie: &str) -> String {
    let page = bench.get(path, cookie).await;
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    let (_, from) = page.body.split_once("name=\"seen\" value=\"").expect("a mark");
    from.split('"').next().expect("a value").to_owned()
}

#[tokio::test]
async fn a_job_is_made_tried_confirmed_changed_and_removed() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let mark = seen(&bench, "/automation/job", &cookie).await;
    let form = format!(
        "seen={mark}&name=horn&kind=ups_on_battery&fields=ups+%3D+ups.0&delay_s=60&still=yes\
         &action.do=output"
    );
    let chosen = bench.form("/automation/job", &cookie, &format!("{form}&act=choose")).await;
    assert_eq!(chosen.status, 200);
    assert!(chosen.body.contains("name=\"action.device\""), "{}", chosen.body);
    let lacking = bench.form("/automation/job", &cookie, &format!("{form}&act=save")).await;
    assert_eq!(lacking.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(lacking.body.contains("id=\"e-action.device\""), "{}", lacking.body);

    let form = format!("{form}&action.device=3&action.output=2&action.on=yes");
    let tried = bench.form("/automation/job", &cookie, &format!("{form}&act=try")).await;
    assert_eq!(tried.status, 200, "{}", tried.body);
    for said in ["Nothing of this was done", "job horn: switch output 2 of device 3 on", "00:02:0"]
    {
        assert!(tried.body.contains(said), "{said} in {}", tried.body);
    }
    assert!(bench.guard.asked().is_empty(), "nothing was done");

    let unsure = bench.form("/automation/job", &cookie, &format!("{form}&act=save")).await;
    assert_eq!(unsure.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(unsure.body.contains("value=\"device.3:output.2\""), "{}", unsure.body);
    let sure = format!("{form}&act=save&confirm=device.3%3Aoutput.2");
    let saved = bench.form("/automation/job", &cookie, &sure).await;
    assert_eq!(saved.headers[header::LOCATION], "/automation?saved=yes", "{}", saved.body);
    let document = bench.console.automation.document();
    assert_eq!((document.job.len(), document.job[0].delay_s), (1, 60));
    assert!(document.job[0].only_if_still_true);
    let again = bench.form("/automation/job", &cookie, &sure).await;
    assert!(again.body.contains("another one of this name"), "{}", again.body);

    let page = bench.get("/automation/job?name=horn", &cookie).await.body;
    assert!(page.contains("ups = ups.0") && page.contains("value=\"60\""), "{page}");
    let stale = format!("seen={mark}&was=horn&act=remove");
    let stale = bench.form("/automation/job", &cookie, &stale).await;
    assert!(stale.body.contains("Somebody else changed"), "{}", stale.body);
    let mark = seen(&bench, "/automation/job?name=horn", &cookie).await;
    let gone = format!("seen={mark}&was=horn&act=remove");
    assert_eq!(bench.form("/automation/job", &cookie, &gone).await.status, StatusCode::SEE_OTHER);
    let document = bench.console.automation.document();
    assert!(document.job.is_empty() && document.confirm.is_empty(), "{document:?}");
    assert_eq!(bench.get("/automation/job?name=horn", &cookie).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_wrong_with_a_job_is_said_at_its_field() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let mark = seen(&bench, "/automation/job", &cookie).await;
    for (fields, at) in [
        ("name=Horn&kind=x&action.do=mute", "e-name"),
        ("name=a&action.do=mute", "e-kind"),
        ("name=a&kind=x", "e-action.do"),
        ("name=a&kind=x&action.do=mute&delay_s=soon", "e-delay_s"),
        ("name=a&kind=x&action.do=mute&times=3", "e-every_s"),
        ("name=a&kind=x&action.do=mute&fields=ups", "e-fields"),
        ("name=a&kind=x&action.do=mute&undo.do=log", "e-undo.text"),
        ("name=a&kind=x&action.do=wake-on-lan&action.mac=z", "e-action.do"),
        ("name=a&kind=x&action.do=sequence&action.sequence=b", "there is no sequence"),
    ] {
        let body = format!("seen={mark}&act=save&{fields}");
        let answer = bench.form("/automation/job", &cookie, &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields}");
        assert!(answer.body.contains(at), "{fields}: {at} in {}", answer.body);
    }
    assert!(bench.console.automation.document().job.is_empty());
}

#[tokio::test]
async fn a_rule_is_made_and_its_expression_is_looked_at() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let mark = seen(&bench, "/automation/rule", &cookie).await;
    let form = |when: &str| {
        format!(
            "seen={mark}&act=save&name=warm&unknown=hold&severity=alarm&text=&event=yes&when={when}"
        )
    };
    let wrong = bench.form("/automation/rule", &cookie, &form("string.1.ambiant+%3E+30")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        wrong.body.contains("id=\"e-when\"") && wrong.body.contains("did you mean"),
        "{}",
        wrong.body
    );
    assert!(wrong.body.contains("character 1"), "{}", wrong.body);
    let good = bench.form("/automation/rule", &cookie, &form("string.1.ambient+%3E+30")).await;
    assert_eq!(good.status, StatusCode::SEE_OTHER, "{}", good.body);
    let page = bench.get("/automation/rule?name=warm", &cookie).await.body;
    assert!(page.contains("string.1.ambient &#62; 30"), "{page}");
    assert!(page.contains("<option value=\"hold\" selected>"), "{page}");
    let job = bench.get("/automation/job?rule=warm", &cookie).await.body;
    assert!(job.contains("rule = warm"), "{job}");
    let mark = seen(&bench, "/automation/rule?name=warm", &cookie).await;
    let gone = format!("seen={mark}&was=warm&act=remove");
    assert_eq!(bench.form("/automation/rule", &cookie, &gone).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_entry_of_the_calendar_is_looked_at_and_saved_in_local_time() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let mark = seen(&bench, "/schedule", &cookie).await;
    let wrong = bench.form("/schedule", &cookie, &format!("seen={mark}&zone=Mars")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("no time zone") && wrong.body.contains("e-zone"), "{}", wrong.body);
    let good = bench.form("/schedule", &cookie, &format!("seen={mark}&zone=Asia%2FKolkata")).await;
    assert_eq!(good.headers[header::LOCATION], "/schedule?saved=yes", "{}", good.body);

    let mark = seen(&bench, "/schedule/entry", &cookie).await;
    let form = format!(
        "seen={mark}&name=weekly&when.every=week&when.at=06%3A30&when.weekdays=mon\
         &when.weekdays=fri&missed=within_hours&hours=12"
    );
    let looked = bench.form("/schedule/entry", &cookie, &format!("{form}&act=look")).await;
    assert_eq!(looked.status, 200, "{}", looked.body);
    assert_eq!(looked.body.matches(" 06:30").count(), 5, "{}", looked.body);
    assert!(bench.console.automation.document().schedule.is_empty(), "only looked at");
    let saved = bench.form("/schedule/entry", &cookie, &format!("{form}&act=save")).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.body);
    let page = bench.get("/schedule?lang=de", &cookie).await.body;
    assert!(page.contains("Mo, Fr um 06:30") && page.contains("mehr als 12 h"), "{page}");
    for (fields, why) in [
        ("name=x&when.every=month&when.at=03%3A00&when.day=40", "day is 1 to 31"),
        ("name=x&when.every=week&when.at=03%3A00", "e-when.weekdays"),
        ("name=x&when.every=day&when.at=25%3A00", "not a time of day"),
        ("name=x&when.every=day&when.at=03%3A00&missed=within_hours", "e-hours"),
        ("name=weekly&when.every=day&when.at=03%3A00", "another one of this name"),
    ] {
        let body = format!("seen={mark}&act=save&{fields}");
        let answer = bench.form("/schedule/entry", &cookie, &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields}");
        assert!(answer.body.contains(why), "{fields}: {why} in {}", answer.body);
    }
}

#[tokio::test]
async fn the_page_of_the_dry_run_says_that_nothing_was_done() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let taken = bench.post("/api/v1/automation", &cookie, json!({"toml": GOOD})).await;
    assert_eq!(taken.status, 204);
    let page = bench.get("/automation/rehearsal", &cookie).await.body;
    assert!(page.contains("for_s = 2400"), "{page}");
    let script = "for_s+%3D+60%0D%0A%5B%5Bat%5D%5D%0D%0As+%3D+5%0D%0Apoints+%3D+%7B+%22string.1.ambient%22+%3D+31+%7D";
    let ran =
        bench.form("/automation/rehearsal", &cookie, &format!("act=script&script={script}")).await;
    assert_eq!(ran.status, 200, "{}", ran.body);
    for said in
        ["Nothing of this was done", "job fan: switch output 2", "00:00:05", "data-what=\"action\""]
    {
        assert!(ran.body.contains(said), "{said} in {}", ran.body);
    }
    let wrong = bench.form("/automation/rehearsal", &cookie, "act=script&script=for_s+%3D+0").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("for_s is 1 to"), "{}", wrong.body);
    let past = bench.form("/automation/rehearsal", &cookie, "act=past&days=7").await;
    assert_eq!(past.status, 200, "{}", past.body);
    let unknown = "what rules read of it could not be looked at: <code>string.1.ambient</code>";
    assert!(past.body.contains(unknown), "{}", past.body);
    assert!(past.body.contains("The log begins only at "), "{}", past.body);
    assert!(!ran.body.contains("data-log-begins"), "{}", ran.body);
    assert!(!ran.body.contains("data-not-recorded"), "a script is whole: {}", ran.body);
    let body = format!("act=script&script={script}");
    let german = bench.form("/automation/rehearsal?lang=de", &cookie, &body).await.body;
    for said in ["Auftrag fan: Ausgang 2 von Gerät 3 einschalten", "Regel warm"] {
        assert!(german.contains(said), "{said} in {german}");
    }
    assert!(!german.contains("job fan") && !german.contains("rule warm"), "{german}");
    assert!(bench.guard.asked().is_empty(), "nothing was done");
}

const LIMITS: &str = "[[job]]\nname = \"charge\"\n\
    when = { kind = \"alarm\", fields = { what = \"limit.battery.charge.low\" } }\n\
    action = { do = \"signal\", seconds = 60 }\nundo = { do = \"signal\", seconds = 0 }\n\
    [[job]]\nname = \"module\"\nwhen = { kind = \"module_lost\" }\n\
    action = { do = \"log\", text = \"m\" }\n";

#[tokio::test]
async fn the_console_s_own_outage_goes_through_the_thresholds_in_force() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let script = crate::console::pages::rehearsal::outage(&bench.console);
    let asked = json!({"toml": LIMITS, "script": script});
    let table = bench.post("/api/v1/automation/rehearsal", &cookie, asked.clone()).await.json();
    let text = table["text"].as_str().unwrap_or_default().to_owned();
    for said in
        ["raised, 40 %, limit 50 %", "job charge: sound the buzzer", "end the signal of the box"]
    {
        assert!(text.contains(said), "{said} in {table:#}");
    }
    assert_eq!(table["not_simulated"], json!(["module"]), "{table:#}");
    let taken = bench.post("/api/v1/automation", &cookie, json!({"toml": LIMITS})).await;
    assert_eq!(taken.status, 204, "{}", taken.body);
    let run = "act=script&script=for_s+%3D+60";
    let page = bench.form("/automation/rehearsal?lang=de", &cookie, run).await.body;
    assert!(page.contains("data-not-simulated"), "{page}");
    assert!(page.contains("<code>charge</code>, <code>module</code>"), "{page}");

    let off = json!({"thresholds": [
        {"at": "system", "quantity": "battery.charge", "side": "low", "warning": "off", "alarm": "off"}
    ]});
    assert_eq!(bench.post("/api/v1/thresholds", &cookie, off).await.status, 200);
    let table = bench.post("/api/v1/automation/rehearsal", &cookie, asked).await.json();
    let text = table["text"].as_str().unwrap_or_default();
    assert!(!text.contains("job charge: sound the buzzer"), "{text}");
    assert!(bench.guard.asked().is_empty(), "nothing was done");
}
