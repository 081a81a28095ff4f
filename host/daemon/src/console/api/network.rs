//! The appliance's network and clock, over the HTTP API. A change is in force two
//! seconds after it was asked for, and goes back by itself unless it is confirmed
//! in time (facts/console-ux.md UX-092): an address that was taken away can
//! confirm nothing, so that who confirms comes by one that stays.

use super::Answer;
use crate::caps::one_line;
use crate::console::Console;
use crate::console::access::bad_json;
use crate::console::by::By;
use crate::console::problem::Problem;
use crate::failure::chain;
use crate::network::NetworkError;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use evenkeel_core::network::{InterfaceStatus, Status, TRIAL_S, TRIAL_S_MAX, TRIAL_S_MIN};
use evenkeel_core::settings::network::{Network, Refusal, Written, WrittenInterface};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Longest text of a change in the audit log.
const TOLD_MAX: usize = 400;

/// The network as it is wanted.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// One label of a-z, 0-9 and '-', such as `rack-7`; servers of addresses are
    /// told it, and the own certificate names it once it was confirmed.
    #[serde(default)]
    host_name: Option<String>,
    /// At most 3 addresses of servers for names; `null`: those that are learned.
    #[serde(default)]
    dns: Option<Vec<String>>,
    /// At most 4 names or addresses of servers for the time; `null`: those that
    /// are learned; none: the clock is left alone.
    #[serde(default)]
    ntp: Option<Vec<String>>,
    /// 1 to 4 interfaces by their names, such as `eth0`.
    interfaces: BTreeMap<String, InterfaceSettings>,
}

/// One interface as it is wanted.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InterfaceSettings {
    /// `dhcp`, `off`, or an address with its prefix, such as `192.0.2.7/24`.
    ipv4: String,
    /// With an address of its own: the way to other networks.
    #[serde(default)]
    ipv4_gateway: Option<String>,
    /// `auto`, `off`, or an address with its prefix, such as `2001:db8::7/64`.
    ipv6: String,
    /// With an address of its own: the way to other networks.
    #[serde(default)]
    ipv6_gateway: Option<String>,
}

/// A change of the network.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkIn {
    /// The whole of what is wanted.
    settings: NetworkSettings,
    /// It goes back unless it is confirmed within so many seconds, 10 to 600;
    /// 120 if nothing is said.
    #[serde(default)]
    confirm_within_s: Option<u64>,
}

/// The network.
#[derive(Serialize, ToSchema)]
pub struct NetworkOut {
    /// What is in force.
    settings: NetworkSettings,
    /// It is on trial: unless it is confirmed in so many seconds, `before` comes
    /// back.
    trial_left_s: Option<u64>,
    /// What comes back when the trial ends.
    before: Option<NetworkSettings>,
    /// Why the kept settings are not in force, and those of the factory are.
    problem: Option<String>,
    /// The interfaces as they are.
    interfaces: Vec<InterfaceOut>,
    /// Servers for names that are asked.
    dns: Vec<String>,
    /// The clock.
    time: TimeOut,
}

/// One interface as it is.
#[derive(Serialize, ToSchema)]
pub struct InterfaceOut {
    /// Its name.
    name: String,
    /// Something is plugged in at the other end.
    carrier: bool,
    /// Addresses with their prefixes, but those of the link alone.
    addresses: Vec<String>,
    /// The ways to other networks.
    gateways: Vec<String>,
    /// The server that lent the address.
    lease_server: Option<String>,
    /// The lease ends in so many seconds, unless it is renewed.
    lease_left_s: Option<u64>,
    /// What does not work.
    problem: Option<String>,
}

/// The clock.
#[derive(Serialize, ToSchema)]
pub struct TimeOut {
    /// Servers that are asked.
    servers: Vec<String>,
    /// How far the clock was off when they were last believed, ms; positive: it
    /// was slow.
    offset_ms: Option<f64>,
    /// That was so many seconds ago.
    synchronized_s_ago: Option<u64>,
    /// What does not work.
    problem: Option<String>,
}

/// The network, its addresses, and the clock.
#[utoipa::path(get, path = "/api/v1/network", tag = "system", responses(
    (status = 200, body = NetworkOut),
    (status = 404, body = Problem, description = "The network is the host's")))]
pub async fn network(State(console): State<Arc<Console>>) -> Answer<NetworkOut> {
    out_of(&console).await.map(Json)
}

/// Have another network, on trial: reach the appliance anew and confirm in time,
/// otherwise the one before comes back by itself, after a power cut, too.
#[utoipa::path(post, path = "/api/v1/network", tag = "system", request_body = NetworkIn,
    responses(
    (status = 200, body = NetworkOut),
    (status = 404, body = Problem, description = "The network is the host's"),
    (status = 422, body = Problem, description = "Refused; the detail names the field")))]
pub async fn put(by: By, body: Result<Json<NetworkIn>, JsonRejection>) -> Answer<NetworkOut> {
    let Json(NetworkIn { settings, confirm_within_s }) = body.map_err(bad_json)?;
    let within_s = confirm_within_s.unwrap_or(TRIAL_S);
    change(&by, Written::from(settings), within_s).await?;
    out_of(&by.console).await.map(Json)
}

/// Put `written` on trial for somebody.
///
/// # Errors
/// The [`Problem`]; the network is as it was.
pub async fn change(by: &By, written: Written, within_s: u64) -> Result<(), Problem> {
    let order =
        format!("change the network, to be confirmed within {within_s} s: {}", told(&written));
    let done = try_out(&by.console, written, within_s).await;
    by.told(order, done).await
}

async fn try_out(console: &Console, written: Written, within_s: u64) -> Result<(), Problem> {
    let refused = |refusal: Refusal| {
        let title = "The network is as it was";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::new(status, "network", title).detail(refusal.to_string())
    };
    if !(TRIAL_S_MIN..=TRIAL_S_MAX).contains(&within_s) {
        let problem = format!("write {TRIAL_S_MIN} to {TRIAL_S_MAX} seconds");
        return Err(refused(Refusal { field: "confirm_within_s".to_owned(), problem }));
    }
    let network = Network::try_from(written).map_err(refused)?;
    console.network.try_out(Written::from(&network), within_s).await.map_err(|e| problem_of(&e))
}

/// Keep the network that is on trial.
#[utoipa::path(post, path = "/api/v1/network/confirm", tag = "system", responses(
    (status = 200, body = NetworkOut),
    (status = 404, body = Problem, description = "The network is the host's"),
    (status = 409, body = Problem, description = "None is on trial")))]
pub async fn confirm(by: By) -> Answer<NetworkOut> {
    keep(&by).await?;
    out_of(&by.console).await.map(Json)
}

/// Keep it, for somebody.
///
/// # Errors
/// The [`Problem`].
pub async fn keep(by: &By) -> Result<(), Problem> {
    let done = by.console.network.confirm().await.map_err(|e| problem_of(&e));
    by.told("keep the network that is on trial".to_owned(), done).await
}

/// End the trial now: the network before comes back.
#[utoipa::path(post, path = "/api/v1/network/give-up", tag = "system", responses(
    (status = 200, body = NetworkOut),
    (status = 404, body = Problem, description = "The network is the host's"),
    (status = 409, body = Problem, description = "None is on trial")))]
pub async fn give_up(by: By) -> Answer<NetworkOut> {
    end_trial(&by).await?;
    out_of(&by.console).await.map(Json)
}

/// End it, for somebody.
///
/// # Errors
/// The [`Problem`].
pub async fn end_trial(by: &By) -> Result<(), Problem> {
    let done = by.console.network.give_up().await.map_err(|e| problem_of(&e));
    by.told("give up the network that is on trial".to_owned(), done).await
}

async fn out_of(console: &Console) -> Result<NetworkOut, Problem> {
    let status = console.network.status().await.map_err(|e| problem_of(&e))?;
    Ok(NetworkOut::from(status))
}

/// Why the network is not as it was wanted, for who asked.
pub fn problem_of(error: &NetworkError) -> Problem {
    let (status, kind, title) = match error {
        NetworkError::Absent(_) => {
            (StatusCode::NOT_FOUND, "host-network", "The network is the host's")
        }
        NetworkError::Refused(_) => (StatusCode::CONFLICT, "refused", "The network is as it was"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "network-keeper", "The network cannot be asked"),
    };
    Problem::new(status, kind, title).detail(match error {
        // Which file is missing says nothing to who reads this.
        NetworkError::Absent(_) => error.to_string(),
        _ => chain(error),
    })
}

/// A change in words, for the audit log.
fn told(written: &Written) -> String {
    let interfaces = written
        .interfaces
        .iter()
        .map(|(name, interface)| format!("{name} {} and {}", interface.ipv4, interface.ipv6));
    let mut parts: Vec<String> = interfaces.collect();
    parts.extend(written.host_name.iter().map(|name| format!("host name {name}")));
    parts.extend(written.dns.iter().map(|all| format!("dns {}", all.join(" "))));
    parts.extend(written.ntp.iter().map(|all| format!("ntp {}", all.join(" "))));
    one_line(&parts.join(", "), TOLD_MAX)
}

impl From<NetworkSettings> for Written {
    fn from(settings: NetworkSettings) -> Self {
        let NetworkSettings { host_name, dns, ntp, interfaces } = settings;
        let interface = |interface: InterfaceSettings| {
            let InterfaceSettings { ipv4, ipv4_gateway, ipv6, ipv6_gateway } = interface;
            WrittenInterface { ipv4, ipv4_gateway, ipv6, ipv6_gateway }
        };
        let interfaces = interfaces.into_iter().map(|(name, i)| (name, interface(i))).collect();
        Self { host_name, dns, ntp, interfaces }
    }
}

impl From<Written> for NetworkSettings {
    fn from(written: Written) -> Self {
        let Written { host_name, dns, ntp, interfaces } = written;
        let interface = |interface: WrittenInterface| {
            let WrittenInterface { ipv4, ipv4_gateway, ipv6, ipv6_gateway } = interface;
            InterfaceSettings { ipv4, ipv4_gateway, ipv6, ipv6_gateway }
        };
        let interfaces = interfaces.into_iter().map(|(name, i)| (name, interface(i))).collect();
        Self { host_name, dns, ntp, interfaces }
    }
}

impl From<Status> for NetworkOut {
    fn from(status: Status) -> Self {
        let Status { network, trial_left_s, before, problem, interfaces, dns, time } = status;
        Self {
            settings: network.into(),
            trial_left_s,
            before: before.map(Into::into),
            problem,
            interfaces: interfaces.into_iter().map(Into::into).collect(),
            dns: dns.iter().map(ToString::to_string).collect(),
            time: TimeOut {
                servers: time.servers,
                offset_ms: time.offset_us.map(|us| us as f64 / 1e3),
                synchronized_s_ago: time.synchronized_s_ago,
                problem: time.problem,
            },
        }
    }
}

impl From<InterfaceStatus> for InterfaceOut {
    fn from(status: InterfaceStatus) -> Self {
        let InterfaceStatus { name, carrier, addresses, gateways, lease, problem } = status;
        Self {
            name,
            carrier,
            addresses,
            gateways: gateways.iter().map(ToString::to_string).collect(),
            lease_server: lease.as_ref().map(|lease| lease.server.to_string()),
            lease_left_s: lease.map(|lease| lease.left_s),
            problem,
        }
    }
}
