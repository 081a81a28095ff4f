//! The pages of the plan from outside: what they show, what a form does, what
//! is said about a bad one, and what somebody who may only look does not see.

use super::*;

/// Everything that a page may be asked for by somebody who may only look.
const PAGES: [&str; 15] = [
    "/strings/1",
    "/blocks/1-1",
    "/discharges",
    "/discharges/1-7000",
    "/events",
    "/thresholds",
    "/thresholds?at=string.1.block.2",
    "/automation",
    "/schedule",
    "/webhooks",
    "/licence",
    "/firmware",
    "/certificate",
    "/configuration",
    "/configuration/automation?from=0",
];

async fn bench() -> (Bench, String) {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    bench.hub.set_plant(plant(13_612));
    (bench, cookie)
}

/// Two discharges of the string, an hour apart.
async fn discharged(bench: &Bench) {
    for (begun_unix_ms, end) in [(7_000, 9.5), (3_607_000, 11.5)] {
        let reading = |v| Some(evenkeel_core::discharge::Reading { v, at_s: 90.0 });
        let collapse = Collapse { at_s: 60.0, v: end, cause: CollapseCause::Cutoff, order: 1 };
        let weak = BlockDischarge {
            collapse: Some(collapse),
            end: reading(end),
            ..BlockDischarge::default()
        };
        let blocks = vec![BlockDischarge { end: reading(12.0), ..Default::default() }, weak];
        let record = DischargeRecord {
            blocks,
            collapsed: 1,
            duration_s: 90.0,
            drawn_ah: Some(1.5),
            ..Default::default()
        };
        let past = PastDischarge { string: 1, name: "A".into(), begun_unix_ms, rows: 2, record };
        let head = |offset_ms| RowHead {
            offset_ms,
            current_a: -10.0,
            temperature_c: 25.0,
            scans: 1,
            part: Part::Discharge,
        };
        let heads = vec![head(0), head(90_000)];
        let rows =
            RecordRows { heads, mv: vec![12_800, 12_700, 12_000, 9_500], ..Default::default() };
        bench.store.keep_discharge(&past, &rows).done().await.expect("on the disk");
    }
}

#[tokio::test]
async fn pages_are_in_the_readers_language_and_need_no_script() {
    let (bench, cookie) = bench().await;
    discharged(&bench).await;
    for path in PAGES.into_iter().chain(["/audit"]) {
        let mark = if path.contains('?') { '&' } else { '?' };
        let german = bench.get(&format!("{path}{mark}lang=de"), &cookie).await;
        assert_eq!(german.status, 200, "{path}: {}", german.body);
        assert!(german.body.contains("<html lang=\"de\">"), "{path}");
        assert!(german.body.contains(">Ereignisse</a>"), "{path}: the menu is German");
        assert!(!german.body.contains("page-"), "{path} shows the name of a message");
        assert!(!german.body.contains("<script") && !german.body.contains("style="), "{path}");
        let kept = german.headers[header::SET_COOKIE].to_str().expect("text").to_owned();
        assert!(kept.starts_with("lang=de; Secure;"), "{kept}");
        let kept = format!("{cookie}; lang=de");
        let again = bench.get(path, &kept).await;
        assert!(again.body.contains("<html lang=\"de\">"), "{path} remembers");
        assert!(bench.get(path, &cookie).await.body.contains("<html lang=\"en\">"), "{path}");
        assert_eq!(bench.get(&format!("{path}{mark}lang=tlh"), &cookie).await.status, 400);
        let mut bytes = german.body.len();
        for asset in german.body.split('"').filter(|t| t.starts_with("/assets/")) {
            bytes += bench.get(asset, "").await.body.len();
        }
        assert!(bytes <= 150_000, "{path}: {bytes} bytes; 150 kB are allowed");
    }
}

#[tokio::test]
async fn the_live_page_its_stream_and_a_refusal_are_in_the_readers_language() {
    let (bench, cookie) = bench().await;
    let german = bench.get("/?lang=de", &cookie).await;
    for part in ["<html lang=\"de\">", "Strang 1", "Neueste Ereignisse", "13,600 V"] {
        assert!(german.body.contains(part), "{part} in {}", german.body);
    }
    assert!(!german.body.contains("page-"), "{}", german.body);
    let english = bench.get("/", &cookie).await.body;
    assert!(english.contains("<html lang=\"en\">") && english.contains("Recent events"));
    let live = tokio::spawn(crate::console::stream::run(bench.console.clone()));
    let mut streams = Vec::new();
    for (tag, word) in [("de", "\"name\":\"Strang 1"), ("en", "\"name\":\"String 1")] {
        let mut stream = bench.stream_in(tag, &cookie).await;
        let first = next(&mut stream).await.expect("an event");
        assert!(first.contains("event: snapshot") && first.contains(word), "{first}");
        streams.push(stream);
    }
    live.abort();
    assert_eq!(bench.get("/api/v1/stream?lang=tlh", &cookie).await.status, 400);
    let nothing = bench.get("/no/such/page?lang=de", &cookie).await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    for part in ["<html lang=\"de\">", "Nicht gefunden", "Hier ist nichts.", "Zurück"] {
        assert!(nothing.body.contains(part), "{part} in {}", nothing.body);
    }
    let nothing = bench.get("/no/such/page", &cookie).await.body;
    assert!(nothing.contains("Not found") && nothing.contains("Back to the live page"));
}

#[tokio::test]
async fn who_may_only_look_finds_no_button() {
    let (bench, admin) = bench().await;
    discharged(&bench).await;
    let document = "[[rule]]\nname = \"warm\"\nwhen = \"string.1.ambient > 30 °C\"\n\
        [[job]]\nname = \"note\"\nwhen = { kind = \"rule_raised\" }\naction = { do = \"mute\" }\n\
        [[schedule]]\nname = \"weekly\"\nwhen = { every = \"day\", at = \"03:00\" }\n";
    let taken = bench.post("/api/v1/automation", &admin, json!({"toml": document})).await;
    assert_eq!(taken.status, 204, "{}", taken.body);
    let eve = bench.guest(&["viewer"]);
    for path in PAGES {
        let page = bench.get(path, &eve).await;
        assert_eq!(page.status, 200, "{path}");
        let (main, posts) = (page.body.split("<main>").nth(1).expect("a page"), "method=\"post\"");
        // A dry run does nothing, and is for whoever may look.
        let dry = main.matches("action=\"/automation/rehearsal\"").count();
        assert_eq!(main.matches(posts).count(), dry, "{path}: {main}");
        let buttons = bench.get(path, &admin).await.body;
        let buttons = buttons.split("<main>").nth(1).expect("a page").matches(posts).count();
        let has_none = path.starts_with("/discharges")
            || path.starts_with("/configuration/")
            || ["/events", "/webhooks", "/firmware"].contains(&path);
        assert_eq!(buttons > dry, !has_none, "{path} for an administrator");
    }
    assert_eq!(bench.get("/audit", &eve).await.status, StatusCode::FORBIDDEN);
    for (path, body) in [("/thresholds", "at=system&act=save"), ("/strings/1", "order=resume")] {
        assert_eq!(bench.form(path, &eve, body).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_string_and_its_blocks_are_shown_and_told_what_to_do() {
    let (bench, cookie) = bench().await;
    let page = bench.get("/strings/1?sort=worst", &cookie).await.body;
    let first = page.find("/blocks/1-1\"").expect("block 1");
    assert!(first < page.find("/blocks/1-2\"").expect("block 2"), "the worst first");
    for said in ["13.612", "+12", "&#60;b&#62;A", "aria-sort=\"other\""] {
        assert!(page.contains(said), "{said} in {page}");
    }
    let page = bench.get("/strings/1?sort=voltage", &cookie).await.body;
    assert!(page.find("/blocks/1-2\"") < page.find("/blocks/1-1\""), "the lowest first");
    let block = bench.get("/blocks/1-1", &cookie).await.body;
    for said in ["13.612", "77", "rel=\"next\"", "string.1.block.1"] {
        assert!(block.contains(said), "{said} in {block}");
    }
    assert!(!block.contains("rel=\"prev\""));
    for wrong in
        ["/strings/2", "/strings/0", "/strings/x", "/blocks/1-3", "/blocks/1", "/blocks/1-0"]
    {
        assert_eq!(bench.get(wrong, &cookie).await.status, StatusCode::NOT_FOUND, "{wrong}");
    }
    let done = bench.form("/strings/1", &cookie, "order=pause&hours=2").await;
    assert_eq!(done.headers[header::LOCATION], "/strings/1", "{}", done.body);
    let long = bench.form("/strings/1", &cookie, "order=pause&hours=999").await;
    assert_eq!(long.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(long.body.contains("1 to 168") && long.body.contains("aria-invalid"), "{}", long.body);
    let done = bench.form("/blocks/1-2", &cookie, "order=measure").await;
    assert_eq!(done.headers[header::LOCATION], "/blocks/1-2?told=measure", "{}", done.body);
    assert!(bench.get("/blocks/1-2?told=measure", &cookie).await.body.contains("being measured"));
    bench.form("/blocks/1-2", &cookie, "order=locate").await;
    for (path, body) in
        [("/strings/1", "order=jump"), ("/blocks/1-1", ""), ("/blocks/1-1", "order=reset")]
    {
        assert_eq!(
            bench.form(path, &cookie, body).await.status,
            StatusCode::BAD_REQUEST,
            "{path} {body}"
        );
    }
    let asked: Vec<_> = bench.guard.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
}

#[tokio::test]
async fn a_blocks_past_is_a_chart_with_a_table() {
    let (bench, cookie) = bench().await;
    let plant = plant(13_612);
    let string = &plant.snapshot.strings[0];
    let seen = |block: &BlockRecord| (plant.quality(block), plant.temperature_quality(block));
    let now = crate::clock::unix_ms();
    for minutes in [40, 20, 0] {
        let at = now - minutes * 60_000;
        let row = evenkeel_core::history::Row::of(at, string, &string.blocks, seen);
        bench.store.append(vec![(1, (&row).into())]).done().await.expect("on the disk");
    }
    let page = bench.get("/blocks/1-1?span=24h", &cookie).await.body;
    assert!(page.contains("class=\"line\" d=\"M0.0"), "{page}");
    assert!(page.contains("From 13.612\u{a0}V to 13.612\u{a0}V, last 13.612\u{a0}V."), "{page}");
    assert!(page.contains("As a table: Voltage"), "{page}");
    let page = bench.get("/strings/1?span=1h", &cookie).await.body;
    assert!(page.contains("class=\"band\" d=\"M0.0"), "{page}");
}

#[tokio::test]
async fn thresholds_are_inherited_looked_at_and_saved() {
    let (bench, cookie) = bench().await;
    let page = bench.get("/thresholds", &cookie).await.body;
    assert!(page.contains("built in") && page.contains("90"), "{page}");
    let seen = |page: &str| {
        let (_, from) = page.split_once("name=\"seen\" value=\"").expect("a mark");
        from.split('"').next().expect("a value").to_owned()
    };
    let limits = "block-temperature.high.warning=25%2C0&block-temperature.high.alarm=40";
    let look = format!("at=system&seen={}&act=preview&{limits}", seen(&page));
    let looked = bench.form("/thresholds", &cookie, &look).await;
    assert_eq!(looked.status, 200, "{}", looked.body);
    assert!(
        looked.body.contains("With these limits no place alarms and 2 warn now"),
        "{}",
        looked.body
    );
    assert!(looked.body.contains("Nothing of this is saved yet"), "{}", looked.body);
    assert!(looked.body.contains("value=\"25,0\""), "what was entered stays");
    assert!(bench.console.alarms.thresholds().rules().is_empty(), "only looked at");

    let save = look.replace("act=preview", "act=save");
    let saved = bench.form("/thresholds", &cookie, &save).await;
    assert_eq!(
        saved.headers[header::LOCATION],
        "/thresholds?saved=yes&at=system",
        "{}",
        saved.body
    );
    assert_eq!(bench.console.alarms.thresholds().rules().len(), 1);
    let events = bench.events().await;
    let told = "thresholds: set block-temperature high at system, warning 25, alarm 40";
    assert_eq!(events.iter().filter(|event| event.contains(told)).count(), 1, "{events:?}");
    let again = bench.form("/thresholds", &cookie, &save).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "it is no more what was seen");
    assert!(again.body.contains("Somebody else"), "{}", again.body);

    // A block inherits, and can have its own; the button gives it back.
    let block = bench.get("/thresholds?at=string.1.block.2", &cookie).await.body;
    assert!(
        block.contains("placeholder=\"25\u{a0}°C\"") && block.contains("Whole system"),
        "{block}"
    );
    let own = format!(
        "at=string.1.block.2&seen={}&act=save&block-temperature.high.alarm=off",
        seen(&block)
    );
    assert_eq!(bench.form("/thresholds", &cookie, &own).await.status, StatusCode::SEE_OTHER);
    let rules = bench.console.alarms.thresholds().rules().to_vec();
    assert_eq!((rules.len(), rules[1].at.to_string()), (2, "string.1.block.2".to_owned()));
    let system = bench.get("/thresholds", &cookie).await.body;
    assert!(system.contains("String 1 block 2 (1)"), "{system}");
    let own = own.replace("act=save", "act=inherit+block-temperature.high");
    let given = bench.form("/thresholds", &cookie, &own).await;
    assert_eq!(given.status, 200);
    assert!(!given.body.contains("value=\"off\""), "{}", given.body);
}

#[tokio::test]
async fn a_bad_threshold_is_named_at_its_field() {
    let (bench, cookie) = bench().await;
    for (fields, at) in [
        ("block-temperature.high.warning=warm", "A number from"),
        ("block-temperature.high.warning=900", "to 100\u{a0}°C"),
        (
            "block-temperature.high.warning=40&block-temperature.high.alarm=30",
            "must be below the alarm",
        ),
        ("string-charge.low.delay_s=-1", "A number from 0\u{a0}s"),
    ] {
        let body = format!("at=system&act=save&{fields}");
        let answer = bench.form("/thresholds", &cookie, &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields}");
        assert!(answer.body.contains(at), "{at} in {}", answer.body);
        assert!(answer.body.contains("aria-invalid=\"true\""), "{fields}");
        assert!(bench.console.alarms.thresholds().rules().is_empty());
    }
    let nowhere = bench.get("/thresholds?at=cellar", &cookie).await;
    assert_eq!(nowhere.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(nowhere.body.contains("is no scope"), "{}", nowhere.body);
    assert_eq!(bench.form("/thresholds", &cookie, "at=cellar").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn events_are_filtered_by_what_the_address_says() {
    let (bench, cookie) = bench().await;
    let lost = Event::ModulesLost { string: 1, blocks: vec![2] };
    bench.store.record_acknowledged(lost).done().await.expect("on the disk");
    for (query, wanted) in [
        ("", true),
        ("?severity=warning", true),
        ("?about=string.1.block.2&category=battery", true),
        ("?about=string.1.block.1", false),
        ("?category=ups", false),
        ("?to=2020-01-01T00:00", false),
        ("?from=2020-01-01T00:00", true),
    ] {
        let page = bench.get(&format!("/events{query}"), &cookie).await;
        assert_eq!(page.status, 200, "{query}");
        assert_eq!(page.body.contains("stopped answering"), wanted, "{query}: {}", page.body);
    }
    let wrong = bench.get("/events?from=yesterday", &cookie).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("id=\"e-from\""), "{}", wrong.body);
    for event in 0..120 {
        let event = Event::StringInBand { string: event % 2 + 1 };
        bench.store.record_acknowledged(event).done().await.expect("on the disk");
    }
    let page = bench.get("/events?about=string.1", &cookie).await.body;
    assert!(!page.contains("/events?before="), "61 of them fit");
    let page = bench.get("/events", &cookie).await.body;
    let (_, older) = page.split_once("/events?before=").expect("older ones");
    let older = older.split('"').next().expect("an address");
    let page = bench.get(&format!("/events?before={older}"), &cookie).await.body;
    assert!(page.contains("stopped answering"), "{page}");
}

#[tokio::test]
async fn the_audit_log_is_read_and_checked() {
    let (bench, cookie) = bench().await;
    bench.form("/strings/1", &cookie, "order=resume").await;
    bench.events().await;
    let page = bench.get("/audit", &cookie).await.body;
    assert!(page.contains("192.0.2.1") && page.contains("admin"), "{page}");
    assert!(!page.contains("Whole:"), "only on demand");
    let page = bench.get("/audit?check=yes&text=resume", &cookie).await.body;
    assert!(page.contains("data-status=\"ok\">Whole: entries 1 to"), "{page}");
    let page = bench.get("/audit?text=nobody-has-this", &cookie).await.body;
    assert!(page.contains("No such entries"), "{page}");
}

#[tokio::test]
async fn a_discharge_is_gone_through_and_compared() {
    let (bench, cookie) = bench().await;
    discharged(&bench).await;
    let list = bench.get("/discharges", &cookie).await.body;
    assert!(list.contains("/discharges/1-7000\"") && list.contains("2: 9.50"), "{list}");
    let page = bench.get("/discharges/1-7000", &cookie).await.body;
    assert!(page.contains("9.500") && page.contains("Block 2: 1\u{a0}min"), "{page}");
    let early = bench.get("/discharges/1-7000?at=0", &cookie).await.body;
    assert!(early.contains("12.700") && early.contains("\u{2212}50"), "{early}");
    let beside = bench.get("/discharges/1-7000?with=1-3607000", &cookie).await.body;
    assert!(beside.contains("\u{2212}2000"), "two volts less: {beside}");
    for wrong in ["/discharges/1-1", "/discharges/x", "/discharges/1-7000?with=2-1"] {
        assert_eq!(bench.get(wrong, &cookie).await.status, StatusCode::NOT_FOUND, "{wrong}");
    }
}

/// What needs no translation: names and units.
const UNTRANSLATED: [&str; 13] =
    ["CSV", "Evenkeel", "V", "°C", "mΩ", "mA", "bit/s", "IPv4", "IPv6", "UTC", "TOML", "ms", "KiB"];

/// The text of a template: neither what is in braces, tags, nor code, whose
/// names and expressions are the same everywhere.
fn bare(template: &str) -> String {
    let parts = template.split("<code").enumerate();
    let parts = parts.map(|(at, part)| match part.split_once("</code>") {
        Some((_, behind)) if at > 0 => behind,
        _ => part,
    });
    let template = parts.collect::<String>();
    let mut text = String::new();
    let (mut braces, mut tag) = (0_i32, false);
    for c in template.chars() {
        match c {
            '{' => braces += 1,
            '}' => braces -= 1,
            '<' if braces == 0 => tag = true,
            '>' if braces == 0 => tag = false,
            _ if braces > 0 || tag => continue,
            c => text.push(c),
        }
        if matches!(c, '}' | '>') {
            text.push(' ');
        }
    }
    text
}

#[tokio::test]
async fn what_is_read_goes_compressed_and_what_may_be_secret_or_lasts_does_not() {
    let (bench, cookie) = bench().await;
    let how = |method: Method, path: &str, body: &'static str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HOST)
            .header(header::ORIGIN, format!("https://{HOST}"))
            .header(header::COOKIE, &cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT_ENCODING, "gzip, deflate, br");
        let request = request.body(Body::from(body)).expect("a request");
        let router = bench.router.clone();
        async move {
            let mut request = request;
            request.extensions_mut().insert(Peer([192, 0, 2, 1].into()));
            let response = router.clone().call(request).await.expect("infallible");
            let how = response.headers().get(header::CONTENT_ENCODING);
            (response.status().as_u16(), how.map(|how| how.to_str().expect("text").to_owned()))
        }
    };
    let page = bench.get("/", &cookie).await.body;
    let sheet = page.split('"').find(|t| t.ends_with("/style.css")).expect("a style sheet");
    for path in ["/", "/alarms", "/api/v1/openapi.json", sheet] {
        assert_eq!(how(Method::GET, path, "").await, (200, Some("gzip".to_owned())), "{path}");
    }
    // A first password is shown once, beside what was sent.
    let add = how(Method::POST, "/accounts", "act=add-user&name=eve&role=viewer").await;
    assert_eq!(add, (200, None));
    assert_eq!(how(Method::GET, "/api/v1/stream", "").await, (200, None));
    assert!(!bench.get("/", &cookie).await.headers.contains_key(header::CONTENT_ENCODING));
}

#[test]
fn no_template_says_anything_but_in_the_readers_language() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/templates");
    let folders = [root.clone(), root.join("pages")];
    let mut looked_at = 0;
    for folder in folders {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("listed").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            if path.is_dir() {
                continue;
            }
            let text = bare(&std::fs::read_to_string(&path).expect("readable"));
            let text = text.replace("&nbsp;", " ");
            let words = text.split_whitespace().map(|word| word.trim_matches([',', '.', ':', '·']));
            let bare: Vec<&str> = words
                .filter(|word| word.chars().filter(|c| c.is_alphabetic()).count() > 1)
                .filter(|word| !UNTRANSLATED.contains(word))
                // What a macro writes into a tag.
                .filter(|word| !word.starts_with("aria-"))
                .collect();
            assert!(bare.is_empty(), "{name} says {bare:?}; it belongs into words/pages");
            looked_at += 1;
        }
    }
    assert!(looked_at > 40, "{looked_at} templates");
}
