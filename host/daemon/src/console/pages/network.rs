//! Network and clock (facts/console-ux.md §5 page 28): the interfaces as they
//! are, what is asked for names and for the time, and a form for all of it. A
//! change is on trial and goes back by itself unless somebody who reaches the
//! console by the new way keeps it (UX-092).

use super::edit::Errors;
use super::fields::{Fields, Sent};
use super::reader::Reader;
use super::{Told, VERSION};
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::network::{change, end_trial, keep, problem_of};
use crate::console::by::By;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use evenkeel_core::network::{InterfaceStatus, Status, TRIAL_S, TimeStatus};
use evenkeel_core::settings::network::{Interface, Ipv4, Ipv6, Network, Written, WrittenInterface};
use fluent_bundle::FluentArgs;
use std::sync::Arc;

/// What a select says of an address that is written beside it.
const OWN: &str = "own";

#[derive(Template)]
#[template(path = "pages/network.html")]
struct NetworkPage<'a> {
    version: &'a str,
    who: Who<'a>,
    /// What was done; empty: nothing.
    told: String,
    /// Where the console will be, when that is known.
    links: Vec<String>,
    /// Why there is nothing to be seen, or what was refused.
    problem: String,
    /// Of the settings that are kept; empty: none.
    kept_problem: String,
    /// That a change is on trial, and how long; empty: none is.
    trial: String,
    interfaces: Vec<Row>,
    facts: Vec<(String, String)>,
    /// Names of the interfaces that can be set; none: nothing can.
    names: Vec<String>,
    fields: Fields,
    errors: Errors,
}

/// One family of addresses of an interface, in the form.
struct Family<'a> {
    /// `ipv4` or `ipv6`.
    family: &'static str,
    /// What it is called, and before the names of its fields.
    title: &'static str,
    prefix: &'static str,
    /// Names of the fields of address and gateway.
    ids: (String, String),
    /// How addresses are learned, as it is sent and in words.
    learned: (&'static str, &'static str),
    /// What is chosen.
    how: &'a str,
    address: &'a str,
    gateway: &'a str,
    /// What is wrong with the address, and with the gateway; empty: nothing.
    wrong: (&'a str, &'a str),
}

impl NetworkPage<'_> {
    fn families(&self, name: &str) -> [Family<'_>; 2] {
        let one = |family: &'static str, (title, prefix), learned| {
            let field = |what: &str| self.fields.one(&format!("{family}{what}.{name}"));
            let wrong = |what: &str| self.errors.at(&format!("interfaces.{name}.{family}{what}"));
            Family {
                family,
                title,
                prefix,
                ids: (format!("{family}_address.{name}"), format!("{family}_gateway.{name}")),
                learned,
                how: field(""),
                address: field("_address"),
                gateway: field("_gateway"),
                wrong: (wrong(""), wrong("_gateway")),
            }
        };
        [
            one("ipv4", ("IPv4", "IPv4: "), ("dhcp", "page-network-dhcp")),
            one("ipv6", ("IPv6", "IPv6: "), ("auto", "page-network-auto")),
        ]
    }
}

/// An interface as it is, in words.
struct Row {
    name: String,
    carrier: bool,
    addresses: String,
    gateways: String,
    lease: String,
    problem: String,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(Told { told }): Query<Told>,
) -> page::Answer {
    let told = match told.as_str() {
        "kept" => reader.word("page-network-kept"),
        "given-up" => reader.word("page-network-given-up"),
        _ => String::new(),
    };
    let page = page_of(&console, &reader).await;
    Ok(reader.show(StatusCode::OK, &NetworkPage { told, ..page }))
}

/// The form was sent. The answer is the page itself: the address that was just
/// spoken to may be gone before another one is asked for.
pub async fn save(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> page::Answer {
    let tried = attempt(&by, &reader, &sent).await;
    let page = page_of(&by.console, &reader).await;
    let (status, page) = match tried {
        Ok(network) => {
            let told = reader.word("page-network-on-trial");
            let links = network.interfaces.values().flat_map(links).collect();
            (StatusCode::OK, NetworkPage { told, links, ..page })
        }
        Err((status, errors)) => {
            let problem = errors.whole.clone();
            (status, NetworkPage { problem, errors, fields: sent, ..page })
        }
    };
    Ok(reader.show(status, &page))
}

/// A button was pressed.
pub async fn act(by: By, reader: Reader, Path(action): Path<String>) -> page::Answer {
    let done = match action.as_str() {
        "confirm" => keep(&by).await.map(|()| "kept"),
        "give-up" => end_trial(&by).await.map(|()| "given-up"),
        other => Err(Problem::bad_request(format!("there is no action {other:?}"))),
    };
    match done {
        Ok(told) => Ok(Redirect::to(&format!("/network?told={told}")).into_response()),
        Err(problem) => {
            let page = page_of(&by.console, &reader).await;
            let page = NetworkPage { problem: problem.text(), ..page };
            Ok(reader.show(problem.status(), &page))
        }
    }
}

/// Put what a form wants on trial.
async fn attempt(by: &By, reader: &Reader, sent: &Fields) -> Result<Network, (StatusCode, Errors)> {
    let mut errors = Errors::default();
    let within_s = sent.one("confirm_within_s").parse().ok();
    if within_s.is_none() {
        let said = reader.word("page-whole-number");
        errors.fields.insert("confirm_within_s".to_owned(), said);
    }
    let network = Network::try_from(written(sent));
    if let Err(refusal) = &network {
        errors.fields.insert(refusal.field.clone(), refusal.problem.clone());
    }
    let (Some(within_s), Ok(network)) = (within_s, network) else {
        return Err((errors.status(), errors));
    };
    match change(by, Written::from(&network), within_s).await {
        Ok(()) => Ok(network),
        Err(problem) => {
            errors.whole = problem.text();
            Err((problem.status(), errors))
        }
    }
}

/// What a form says.
fn written(sent: &Fields) -> Written {
    let text = |name: &str| Some(sent.one(name).to_owned()).filter(|text| !text.is_empty());
    let list = |name: &str| {
        let split = sent.one(name).split([',', ';', ' ', '\n', '\r', '\t']);
        split.filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let interface = |name: &str| {
        let family = |family: &str| {
            let field = |what: &str| format!("{family}{what}.{name}");
            match sent.one(&field("")) {
                OWN => (sent.one(&field("_address")).to_owned(), text(&field("_gateway"))),
                how => (how.to_owned(), None),
            }
        };
        let ((ipv4, ipv4_gateway), (ipv6, ipv6_gateway)) = (family("ipv4"), family("ipv6"));
        WrittenInterface { ipv4, ipv4_gateway, ipv6, ipv6_gateway }
    };
    let names = sent.all("interface");
    Written {
        host_name: text("host_name"),
        dns: Some(list("dns")).filter(|dns| !dns.is_empty()),
        ntp: match sent.one("ntp_how") {
            "learned" => None,
            "off" => Some(Vec::new()),
            _ => Some(list("ntp")),
        },
        interfaces: names.into_iter().map(|name| (name.clone(), interface(&name))).collect(),
    }
}

/// The form of what is in force.
fn fields_of(written: &Written) -> Fields {
    let mut fields = Fields::default();
    fields.set("confirm_within_s", TRIAL_S.to_string());
    fields.set("host_name", written.host_name.as_deref().unwrap_or_default());
    fields.set("dns", written.dns.as_deref().unwrap_or_default().join("\n"));
    let ntp_how = match written.ntp.as_deref() {
        None => "learned",
        Some([]) => "off",
        Some(_) => OWN,
    };
    fields.set("ntp_how", ntp_how);
    fields.set("ntp", written.ntp.as_deref().unwrap_or_default().join("\n"));
    for (name, interface) in &written.interfaces {
        let WrittenInterface { ipv4, ipv4_gateway, ipv6, ipv6_gateway } = interface;
        for (family, how, gateway) in [("ipv4", ipv4, ipv4_gateway), ("ipv6", ipv6, ipv6_gateway)] {
            let own = how.contains('/');
            fields.set(&format!("{family}.{name}"), if own { OWN } else { how.as_str() });
            let address = if own { how.as_str() } else { "" };
            fields.set(&format!("{family}_address.{name}"), address);
            let gateway = gateway.as_deref().unwrap_or_default();
            fields.set(&format!("{family}_gateway.{name}"), gateway);
        }
    }
    fields
}

/// Where the console answers by an interface, as far as that is said.
fn links(interface: &Interface) -> Vec<String> {
    let ipv4 = match interface.ipv4 {
        Ipv4::Static(own) => Some(format!("https://{}/network", own.address)),
        Ipv4::Off | Ipv4::Dhcp => None,
    };
    let ipv6 = match interface.ipv6 {
        Ipv6::Static(own) => Some(format!("https://[{}]/network", own.address)),
        Ipv6::Off | Ipv6::Auto => None,
    };
    ipv4.into_iter().chain(ipv6).collect()
}

async fn page_of<'a>(console: &Console, reader: &'a Reader) -> NetworkPage<'a> {
    let empty = NetworkPage {
        version: &VERSION,
        who: reader.who(Area::System, Level::Configure),
        told: String::new(),
        links: Vec::new(),
        problem: String::new(),
        kept_problem: String::new(),
        trial: String::new(),
        interfaces: Vec::new(),
        facts: Vec::new(),
        names: Vec::new(),
        fields: Fields::default(),
        errors: Errors::default(),
    };
    let status = match console.network.status().await {
        Ok(status) => status,
        Err(error) => return NetworkPage { problem: problem_of(&error).text(), ..empty },
    };
    let trial = status.trial_left_s.map(|left| seconds(reader, "page-network-trial", left));
    NetworkPage {
        kept_problem: status.problem.clone().unwrap_or_default(),
        trial: trial.unwrap_or_default(),
        interfaces: status.interfaces.iter().map(|one| row(reader, one)).collect(),
        facts: facts(reader, &status),
        names: status.network.interfaces.keys().cloned().collect(),
        fields: fields_of(&status.network),
        ..empty
    }
}

fn row(reader: &Reader, status: &InterfaceStatus) -> Row {
    let lease = status.lease.as_ref().map(|lease| {
        let mut args = FluentArgs::new();
        args.set("server", lease.server.to_string());
        args.set("minutes", lease.left_s.div_ceil(60) as f64);
        reader.say("page-network-lease", &args)
    });
    Row {
        name: status.name.clone(),
        carrier: status.carrier,
        addresses: or_none(status.addresses.join(", ")),
        gateways: or_none(listed(status.gateways.iter())),
        lease: or_none(lease.unwrap_or_default()),
        problem: status.problem.clone().unwrap_or_default(),
    }
}

fn facts(reader: &Reader, status: &Status) -> Vec<(String, String)> {
    let TimeStatus { servers, offset_us, synchronized_s_ago, problem } = &status.time;
    let offset = offset_us.map(|us| {
        let mut args = FluentArgs::new();
        args.set("ms", us as f64 / 1e3);
        reader.say("page-network-ms", &args)
    });
    let ago = synchronized_s_ago.map(|s| seconds(reader, "page-network-ago", s));
    [
        ("page-network-host-name", crate::network::host_name()),
        ("page-network-dns-asked", listed(status.dns.iter())),
        ("page-network-clock", clock::utc(clock::unix_ms()) + " UTC"),
        ("page-network-ntp-asked", servers.join(", ")),
        ("page-network-synchronized", ago.unwrap_or_default()),
        ("page-network-offset", offset.unwrap_or_default()),
        ("page-network-time-problem", problem.clone().unwrap_or_default()),
    ]
    .map(|(name, text)| (reader.word(name), or_none(text)))
    .to_vec()
}

fn seconds(reader: &Reader, message: &str, seconds: u64) -> String {
    let mut args = FluentArgs::new();
    args.set("seconds", seconds as f64);
    reader.say(message, &args)
}

fn listed(all: impl Iterator<Item = impl ToString>) -> String {
    all.map(|one| one.to_string()).collect::<Vec<_>>().join(", ")
}

fn or_none(text: String) -> String {
    if text.is_empty() { "–".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::settings::network::Refusal;

    fn sent(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn what_a_form_shows_is_what_it_sends() {
        let own = WrittenInterface {
            ipv4: "192.0.2.7/24".to_owned(),
            ipv4_gateway: Some("192.0.2.1".to_owned()),
            ipv6: "2001:db8::7/64".to_owned(),
            ipv6_gateway: None,
        };
        let learned = WrittenInterface {
            ipv4: "dhcp".to_owned(),
            ipv4_gateway: None,
            ipv6: "off".to_owned(),
            ipv6_gateway: None,
        };
        let list = |texts: &[&str]| Some(texts.iter().map(|t| (*t).to_owned()).collect());
        for (dns, ntp) in [
            (None, None),
            (list(&["192.0.2.53", "2001:db8::53"]), list(&[])),
            (None, list(&["ntp.example.org", "192.0.2.1"])),
        ] {
            let interfaces = [("eth0", own.clone()), ("eth1", learned.clone())];
            let interfaces = interfaces.map(|(name, i)| (name.to_owned(), i)).into();
            let whole = Written { host_name: Some("rack-7".to_owned()), dns, ntp, interfaces };
            let mut fields = fields_of(&whole);
            for name in whole.interfaces.keys() {
                fields.0.push(("interface".to_owned(), name.clone()));
            }
            assert_eq!(written(&fields), whole);
        }
    }

    #[test]
    fn an_address_without_its_prefix_is_refused_at_its_field() {
        let fields = sent(&[
            ("interface", "eth0"),
            ("ipv4.eth0", "own"),
            ("ipv4_address.eth0", "192.0.2.7"),
            ("ipv6.eth0", "auto"),
            ("ntp_how", "learned"),
        ]);
        let Refusal { field, problem } = Network::try_from(written(&fields)).expect_err("refused");
        assert_eq!(field, "interfaces.eth0.ipv4");
        assert!(problem.contains("192.0.2.7/24"), "{problem}");
    }
}
