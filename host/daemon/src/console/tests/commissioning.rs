//! The guard's settings from outside: looked at, taken, refused, brought back, and
//! the report of what was found.

use super::*;
use crate::guard::testing::SETTINGS;
use crate::guard_settings::DOCUMENT;
use evenkeel_core::command::Order;
use evenkeel_core::protect::{Condition, Level};
use evenkeel_core::scan::Phase;
use evenkeel_core::settings::GuardSettings;

const PATH: &str = "/api/v1/guard/settings";

/// A guard that was reached, and an administrator.
async fn reached(guard: FakeGuard) -> (Bench, String) {
    let bench = Bench::with_guard(guard).await;
    let cookie = bench.signed_in().await;
    bench.hub.set_plant(testing::plant(&[13.6; 4]));
    let settings = bench.guard.orders().settings().await.expect("settings");
    bench.hub.set_guard_settings(settings);
    (bench, cookie)
}

async fn bench() -> (Bench, String) {
    reached(FakeGuard::start(|_| command::Answer::Done)).await
}

fn number() -> String {
    format!("{:08x}", GuardSettings::number(SETTINGS))
}

#[tokio::test]
async fn settings_are_looked_at_taken_and_brought_back() {
    let (bench, cookie) = bench().await;
    let before = bench.get(PATH, &cookie).await.json();
    assert_eq!((&before["number"], &before["text"]), (&json!(number()), &json!(SETTINGS)));
    assert_eq!(before["hindrances"], json!([]));
    let text = SETTINGS.replace("blocks = 4", "blocks = 3");
    let look = bench.post(&format!("{PATH}/preview"), &cookie, json!({"text": text})).await.json();
    assert_eq!(look["refused"], Json::Null, "{look}");
    let words = look["changes"].to_string();
    assert!(words.contains("string A: blocks becomes 3, was 4."), "{words}");
    assert!(words.contains("begins anew"), "{words}");
    assert!(bench.guard.asked().is_empty(), "looking asks nobody");

    let wish = json!({"text": text, "instead_of": number()});
    let done = bench.post(PATH, &cookie, wish.clone()).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(done.json()["text"], json!(text));
    assert_eq!(bench.guard.asked(), [Order::MakeWay { despite_alarm: false }]);
    let again = bench.post(PATH, &cookie, wish).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "others are in force: {}", again.body);

    let kept = bench.store.settings(&DOCUMENT).expect("readable");
    let whose: Vec<_> = kept.iter().map(|r| (r.by.as_str(), r.text.as_str())).collect();
    assert_eq!(whose, [("admin", text.as_str()), ("", SETTINGS)], "what was there first is kept");
    let lines = bench.get("/api/v1/audit", &cookie).await.body;
    assert!(lines.contains("protect by the settings"), "{lines}");
    let back = json!({"revision": 1});
    let back = bench.post("/api/v1/configuration/guard/restore", &cookie, back).await;
    assert_eq!(back.status, 200, "{}", back.body);
    let now = bench.get(PATH, &cookie).await.json();
    let now = GuardSettings::parse(now["text"].as_str().expect("text")).expect("valid");
    assert_eq!(now, GuardSettings::parse(SETTINGS).expect("valid"));
}

#[tokio::test]
async fn what_cannot_be_in_force_is_refused_with_its_place() {
    let (bench, cookie) = bench().await;
    let wiring = "port = \"/dev/ttyS2\"\n[bus.wiring]\nsupply_ma = 20\nstrings = 1\n\
        manager_to_converter_m = 1.0\n[[bus.wiring.loop]]\nmodules = 4\npatch_m = 0.3\n\
        length_m = 20.0\n";
    let second = "blocks = 4\n[[string]]\nname = \"B\"\nmodule = \"C20\"\nbattery = \"12 V\"\n\
        first_address = 4\nblocks = 2\n";
    let crossed = "blocks = 4\n[limits]\nlost_warning_s = 50.0\nlost_alarm_s = 20.0\n";
    for (from, to, why) in [
        ("blocks = 4", "blocks = 0", "string 1, blocks: 0 is not in 1"),
        ("\"C20\"", "\"C40\"", "12.0 V nominal, a C40 module measures 2 V"),
        ("blocks = 4\n", second, "addresses 4 … 5 overlap those of string 1 (1 … 4)"),
        ("blocks = 4\n", crossed, "limits, lost_alarm_s"),
        ("port = \"/dev/ttyS2\"\n", wiring, "mA, the supply gives 20 mA"),
        ("[[string]]", "[[string", "line 10"),
        ("[[bus]]", "volume = 11\n[[bus]]", "volume"),
    ] {
        let text = SETTINGS.replacen(from, to, 1);
        assert_ne!(text, SETTINGS, "{from}");
        let look = bench.post(&format!("{PATH}/preview"), &cookie, json!({"text": text})).await;
        let refused = look.json()["refused"].as_str().unwrap_or_default().to_owned();
        assert!(refused.contains(why), "{why}: {}", look.body);
        let wish = json!({"text": text, "instead_of": number()});
        let done = bench.post(PATH, &cookie, wish).await;
        assert_eq!(done.status, 422, "{}", done.body);
    }
    let wish = json!({"text": SETTINGS, "instead_of": "now"});
    assert_eq!(bench.post(PATH, &cookie, wish).await.status, 422);
    assert!(bench.guard.asked().is_empty(), "nothing of it came to the guard");
}

#[tokio::test]
async fn a_battery_that_is_needed_is_left_alone() {
    let guard = FakeGuard::start(|order| match order {
        Order::MakeWay { despite_alarm: true } => command::Answer::Done,
        _ => command::Answer::Refused("a battery has an alarm; see to it first".into()),
    });
    let (bench, cookie) = reached(guard).await;
    let text = SETTINGS.replace("7.0", "9.0");
    let wish = json!({"text": text, "instead_of": number()});
    let last_word = bench.post(PATH, &cookie, wish.clone()).await;
    assert_eq!(last_word.status, StatusCode::CONFLICT, "the guard has it: {}", last_word.body);
    assert!(last_word.body.contains("see to it first"), "{}", last_word.body);

    let mut plant = testing::plant(&[13.6; 4]);
    testing::mark(&mut plant.snapshot.strings[0], 0, Condition::VoltageHigh, Level::Alarm);
    plant.snapshot.strings[0].protect.level = Level::Alarm;
    bench.hub.set_plant(plant.clone());
    let refused = bench.post(PATH, &cookie, wish).await;
    assert!(refused.body.contains("not now: string A has an alarm"), "{}", refused.body);
    let despite = json!({"text": text, "instead_of": number(), "despite_alarm": true});
    plant.snapshot.strings[0].phase = Phase::Discharge;
    bench.hub.set_plant(plant.clone());
    let refused = bench.post(PATH, &cookie, despite.clone()).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert!(refused.body.contains("feeds its load"), "{}", refused.body);
    plant.snapshot.strings[0].phase = Phase::Float;
    bench.hub.set_plant(plant);
    let done = bench.post(PATH, &cookie, despite).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let kept = bench.store.settings(&DOCUMENT).expect("readable");
    assert_eq!(kept[0].text, text, "only what the guard took is kept: {kept:?}");
}

/// What the form of `SETTINGS` sends.
fn form_fields(change: &[(&str, &str)]) -> String {
    let mut fields = crate::console::pages::commissioning::form::fields_of(
        &GuardSettings::parse(SETTINGS).expect("valid"),
    );
    fields.push(("instead_of".to_owned(), number()));
    fields.push(("act".to_owned(), "look-form".to_owned()));
    for (name, value) in change {
        fields.retain(|(field, _)| field != name);
        fields.push(((*name).to_owned(), (*value).to_owned()));
    }
    let pairs = fields.iter().map(|(n, v)| format!("{n}={}", v.replace(' ', "+")));
    pairs.collect::<Vec<_>>().join("&")
}

/// The value of a hidden field, as a browser sends it.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).expect(name);
    let (value, _) = rest.split_once('"').expect("its end");
    let plain = value.replace("&#34;", "\"").replace("&#38;", "&").replace("&#39;", "'");
    let code = |b: u8| format!("%{b:02X}");
    plain.bytes().map(code).collect()
}

#[tokio::test]
async fn a_form_is_looked_at_and_taken() {
    let (bench, cookie) = bench().await;
    let page = bench.get("/commissioning?lang=de", &cookie).await.body;
    for said in ["Stränge und Batterien", "name=\"string.1.blocks\"", "Gel OPzV 2 V 420 Ah"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let sent = form_fields(&[("string.1.blocks", "x")]);
    let wrong = bench.form("/commissioning", &cookie, &sent).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("id=\"w-string-1-blocks\""), "{}", wrong.body);
    assert!(wrong.body.contains("value=\"x\""), "what was written stays");
    let sent = form_fields(&[("string.1.blocks", "3")]);
    let looked = bench.form("/commissioning", &cookie, &sent).await;
    assert_eq!(looked.status, 200, "{}", looked.body);
    assert!(looked.body.contains("blocks becomes 3, was 4."), "{}", looked.body);
    let (text, instead_of) = (hidden(&looked.body, "text"), number());
    let form = format!("act=take&instead_of={instead_of}&text={text}");
    bench.console.sessions().age();
    let asked = bench.form("/commissioning", &cookie, &form).await;
    assert!(asked.body.contains("name=\"step-up-password\""), "{}", asked.body);
    let proven = format!("{form}&step-up-password={}", NEW_PASSWORD.replace(' ', "+"));
    let taken = bench.form("/commissioning", &cookie, &proven).await;
    assert_eq!(taken.headers[header::LOCATION], "/commissioning?told=taken", "{}", taken.body);
    let cookie = taken.cookie();
    let now = bench.hub.guard_settings().expect("reached");
    assert_eq!(GuardSettings::parse(&now.text).expect("valid").strings[0].blocks(), 3);

    let stale = bench.form("/commissioning", &cookie, &form_fields(&[])).await;
    assert!(stale.status == 422 && stale.body.contains("begin anew"), "{}", stale.body);
    let text = "act=look-text&text=%5B%5Bbus%5D%5D%0D%0Aport+%3D+1";
    let text = bench.form("/commissioning", &cookie, text).await;
    assert!(text.status == 422 && text.body.contains("line 2"), "{}", text.body);
    let begun = bench.form("/commissioning", &cookie, "act=discover&bus=1").await;
    assert_eq!(begun.headers[header::LOCATION], "/commissioning?told=begun", "{}", begun.body);
    let no_number = bench.form("/commissioning", &cookie, "act=swap&bus=1&address=x").await;
    assert_eq!(no_number.status, 400);
}

#[tokio::test]
async fn who_may_only_operate_looks_and_takes_nothing() {
    let (bench, cookie) = bench().await;
    let user = json!({"name": "eve", "roles": ["operator"], "groups": []});
    let first = bench.post("/api/v1/users", &cookie, user).await.json();
    let first = first["first_password"].as_str().expect("a password").to_owned();
    let eve = bench.login("eve", &first).await.cookie();
    let own = "an own passphrase of eve";
    let wish = json!({"old": first, "new": own, "again": own});
    let eve = bench.post("/api/v1/password", &eve, wish).await.cookie();
    let page = bench.get("/commissioning", &eve).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(!page.body.contains("value=\"take\""), "{}", page.body);
    let form = format!("act=take&instead_of={}&text=x", number());
    assert_eq!(bench.form("/commissioning", &eve, &form).await.status, StatusCode::FORBIDDEN);
    let wish = json!({"text": SETTINGS, "instead_of": number()});
    assert_eq!(bench.post(PATH, &eve, wish).await.status, StatusCode::FORBIDDEN);
    let address = "act=address&bus=1&first=1&count=4";
    let address = bench.form("/commissioning", &eve, address).await;
    assert_eq!(address.status, StatusCode::FORBIDDEN, "{}", address.body);
}

#[tokio::test]
async fn the_report_says_what_was_found_and_what_is_open() {
    let (bench, cookie) = bench().await;
    let mut plant = testing::plant(&[13.6, 13.5, 13.4, 13.7]);
    let silent = &mut plant.snapshot.strings[0].blocks[2];
    silent.quality = evenkeel_core::points::Quality::Bad;
    plant.snapshot.buses[0].strangers[0] = 900;
    bench.hub.set_plant(plant);
    let report = bench.get("/api/v1/commissioning", &cookie).await;
    assert_eq!(report.status, 200, "{}", report.body);
    let report = report.json();
    assert_eq!((&report["by"], &report["settings"]), (&json!("admin"), &json!(number())));
    assert_eq!(report["strings"][0]["rows"][1]["voltage_v"], json!(13.5));
    assert_eq!(report["strings"][0]["rows"][2]["voltage_v"], Json::Null);
    assert_eq!(report["strings"][0]["sum_v"], Json::Null, "one is missing");
    assert_eq!(
        (&report["buses"][0]["modules"], &report["buses"][0]["answering"]),
        (&json!(4), &json!(3))
    );
    let open = report["open"].to_string();
    for told in ["\"silent\"", "\"stranger\"", "\"not-searched\"", "\"no-plan\""] {
        assert!(open.contains(told), "{told}: {open}");
    }
    let page = bench.get("/commissioning/report?lang=de", &cookie).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for said in ["Inbetriebnahmebericht", "Block 3 (Adresse", "13.500", "Adresse 900", "admin"] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    let never = Bench::new().await;
    let cookie = never.signed_in().await;
    assert_eq!(never.get("/api/v1/commissioning", &cookie).await.status, 503);
    let page = never.get("/commissioning", &cookie).await;
    assert_eq!(page.status, 503, "{}", page.body);
}
