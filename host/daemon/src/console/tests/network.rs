//! The network over the API: somebody stands in for the program that keeps it.

use super::*;
use evenkeel_core::network::{Answer as Said, Ask, Status, TimeStatus};
use evenkeel_core::settings::network::{Network, Written};
use evenkeel_signing::slot::talk::{line, parse};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;

/// Takes every change, and keeps what it was asked. One trial lapsed before.
fn keeper(bench: &Bench) -> Arc<Mutex<Vec<Ask>>> {
    let listener = UnixListener::bind(bench.dir.path().join("network.sock")).expect("bound");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let factory = Written::from(&Network::factory());
    let mut trial: Option<Written> = None;
    let mut lapsed = 1;
    std::thread::spawn(move || {
        for peer in listener.incoming() {
            let mut input = BufReader::new(peer.expect("a peer"));
            let mut text = Vec::new();
            input.read_until(b'\n', &mut text).expect("a line");
            let ask: Ask = parse(&text).expect("a question");
            let said = match &ask {
                Ask::Status => Said::Status(Box::new(Status {
                    network: trial.clone().unwrap_or_else(|| factory.clone()),
                    trial_left_s: trial.as_ref().map(|_| 119),
                    before: trial.as_ref().map(|_| factory.clone()),
                    problem: None,
                    interfaces: vec![],
                    dns: vec!["192.0.2.53".parse().expect("an address")],
                    time: TimeStatus { offset_us: Some(1_500), ..TimeStatus::default() },
                })),
                Ask::TryOut { network, .. } => {
                    trial = Some(network.clone());
                    Said::Done
                }
                Ask::Confirm | Ask::GiveUp if trial.is_none() => {
                    Said::Refused { reason: "no change of the network is on trial".to_owned() }
                }
                Ask::Confirm | Ask::GiveUp => {
                    trial = None;
                    Said::Done
                }
                Ask::Lapsed => Said::Lapsed { count: std::mem::take(&mut lapsed) },
            };
            crate::console::lock(&kept).push(ask);
            let line = line(&said).expect("a line");
            input.get_mut().write_all(&line).expect("answered");
        }
    });
    asked
}

fn read(answer: &Answer) -> Json {
    serde_json::from_str(&answer.body).expect("JSON")
}

#[tokio::test]
async fn off_an_image_the_network_is_the_host_s() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    for answer in [
        bench.get("/api/v1/network", &cookie).await,
        bench.post("/api/v1/network/confirm", &cookie, json!({})).await,
        bench
            .post(
                "/api/v1/network",
                &cookie,
                json!({"settings": {"interfaces": {"eth0": {"ipv4": "dhcp", "ipv6": "auto"}}}}),
            )
            .await,
    ] {
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.body);
        assert!(answer.body.contains("change it there"), "{}", answer.body);
    }
    assert_eq!(bench.console.network.lapsed().await, None);
}

#[tokio::test]
async fn a_change_is_tried_out_and_confirmed_and_everything_is_told() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let asked = keeper(&bench);
    let now = read(&bench.get("/api/v1/network", &cookie).await);
    assert_eq!(now["settings"]["interfaces"]["eth0"]["ipv4"], "dhcp", "{now:#}");
    assert_eq!((&now["dns"], &now["time"]["offset_ms"]), (&json!(["192.0.2.53"]), &json!(1.5)));

    let eth0 = json!({"ipv4": "192.0.2.7/24", "ipv4_gateway": "192.0.2.1", "ipv6": "off"});
    let settings = json!({"ntp": [], "interfaces": {"eth0": eth0}});
    let tried = bench.post("/api/v1/network", &cookie, json!({"settings": settings})).await;
    let tried = read(&tried);
    assert_eq!(tried["trial_left_s"], 119, "{tried:#}");
    assert_eq!(tried["before"]["interfaces"]["eth0"]["ipv4"], "dhcp");
    let kept = bench.post("/api/v1/network/confirm", &cookie, json!({})).await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.body);
    let late = bench.post("/api/v1/network/confirm", &cookie, json!({})).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.body);

    let within: Vec<u64> = crate::console::lock(&asked)
        .iter()
        .filter_map(|ask| match ask {
            Ask::TryOut { within_s, .. } => Some(*within_s),
            _ => None,
        })
        .collect();
    assert_eq!(within, [120], "if nothing else is said");
    assert_eq!(bench.console.network.lapsed().await, Some(1));
    assert_eq!(bench.console.network.lapsed().await, None, "told once");
    let events = bench.events().await.join("\n");
    assert!(events.contains("within 120 s: eth0 192.0.2.7/24 and off, ntp"), "{events}");
    assert!(events.contains("keep the network that is on trial"), "{events}");
}

#[tokio::test]
async fn a_refusal_names_the_field_and_nothing_is_tried_out() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let asked = keeper(&bench);
    let good = json!({"eth0": {"ipv4": "dhcp", "ipv6": "auto"}});
    for (body, named) in [
        (json!({"settings": {"interfaces": good}, "confirm_within_s": 9}), "confirm_within_s: "),
        (json!({"settings": {"interfaces": {}}}), "interfaces: "),
        (json!({"settings": {"interfaces": good, "dns": ["a;b"]}}), "dns: "),
        (
            json!({"settings": {"interfaces": {"eth0": {"ipv4": "192.0.2.0/24", "ipv6": "off"}}}}),
            "interfaces.eth0.ipv4: ",
        ),
    ] {
        let refused = bench.post("/api/v1/network", &cookie, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
        let detail = read(&refused)["detail"].as_str().map(str::to_owned).unwrap_or_default();
        assert!(detail.starts_with(named), "{detail}");
    }
    let tried = crate::console::lock(&asked).iter().any(|ask| matches!(ask, Ask::TryOut { .. }));
    assert!(!tried);
}

#[tokio::test]
async fn the_page_says_whose_the_network_is() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let page = bench.get("/network", &cookie).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(page.body.contains("change it there"), "{}", page.body);
    assert!(!page.body.contains("action=\"/network\""), "nothing can be set: {}", page.body);
}

#[tokio::test]
async fn a_form_is_tried_out_and_kept() {
    let bench = Bench::new().await;
    let cookie = bench.signed_in().await;
    let asked = keeper(&bench);
    let page = bench.get("/network?lang=de", &cookie).await.body;
    for said in ["Netz und Uhrzeit", "192.0.2.53", "1.5 ms", "name=\"ipv4_address.eth0\""] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let form = "interface=eth0&ipv6.eth0=off&ntp_how=off&host_name=rack-7&confirm_within_s=60";
    let own = |address: &str| format!("{form}&ipv4.eth0=own&ipv4_address.eth0={address}");
    let wrong = bench.form("/network", &cookie, &own("192.0.2.7")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.body);
    for said in ["aria-describedby=\"wrong-ipv4_address.eth0\"", "such as 192.0.2.7/24"] {
        assert!(wrong.body.contains(said), "{said}: {}", wrong.body);
    }
    assert!(wrong.body.contains("value=\"192.0.2.7\""), "what was written stays: {}", wrong.body);
    let soon = bench.form("/network", &cookie, &form.replace("=60", "=5")).await;
    assert_eq!(soon.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", soon.body);

    let tried = bench.form("/network", &cookie, &own("192.0.2.7%2F24")).await;
    assert_eq!(tried.status, StatusCode::OK, "{}", tried.body);
    for said in ["href=\"https://192.0.2.7/network\"", "in 119 seconds", "/network/confirm"] {
        assert!(tried.body.contains(said), "{said}: {}", tried.body);
    }
    let kept = bench.form("/network/confirm", &cookie, "").await;
    assert_eq!(kept.headers[header::LOCATION], "/network?told=kept", "{}", kept.body);
    let late = bench.form("/network/give-up", &cookie, "").await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.body);
    let wanted: Vec<Written> = crate::console::lock(&asked)
        .iter()
        .filter_map(|ask| match ask {
            Ask::TryOut { network, within_s: 60 } => Some(network.clone()),
            _ => None,
        })
        .collect();
    let [wanted] = wanted.as_slice() else { panic!("{wanted:?}") };
    assert_eq!(wanted.interfaces["eth0"].ipv4, "192.0.2.7/24");
    assert_eq!(
        (wanted.host_name.as_deref(), wanted.ntp.as_deref()),
        (Some("rack-7"), Some(&[][..]))
    );
}
