//! The commands about what is installed.

use super::model::{Danger, Delivery, Detail, Permission, Said, Status, Traffic};
use super::table::{bytes, key, pairs, plain, table, utc};
use super::{Failure, Work, segment, terminal};
use clap::Args;
use serde_json::{Value, json};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A plugin that is compiled first may take this long to start; longer is told.
const START_MAX: Duration = Duration::from_secs(20);
/// Lines of its log with everything else; `log` shows more.
const LAST_LINES: usize = 5;
/// Time between two looks at one that starts.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// One plugin.
#[derive(Args)]
pub struct One {
    /// What the plugin is called on the appliance.
    pub id: String,
}

/// One plugin, or all.
#[derive(Args)]
pub struct OneOrAll {
    /// What the plugin is called on the appliance; all when not given.
    id: Option<String>,
}

/// A plugin's log.
#[derive(Args)]
pub struct LogArguments {
    /// What the plugin is called on the appliance.
    id: String,
    /// At most so many lines, the newest.
    #[arg(long, value_name = "N", default_value_t = 50)]
    lines: usize,
}

/// A plugin to be removed.
#[derive(Args)]
pub struct RemoveArguments {
    /// What the plugin is called on the appliance.
    id: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Everything that is installed.
///
/// # Errors
/// [`Failure`].
pub fn list(work: &mut Work) -> Result<(), Failure> {
    let document = work.appliance.get("/api/v1/plugins")?;
    let plugins: Vec<Status> = work.appliance.understand(&document)?;
    let row = |p: &Status| {
        let error = p.last_error.clone().unwrap_or_default();
        let (name, world, version) = (p.name.clone(), p.world.clone(), p.version.clone());
        [name, world, version, key(&p.signer), p.state.clone(), p.traps.to_string(), error]
    };
    let rows: Vec<_> = plugins.iter().map(row).collect();
    work.print(&document, || match rows.is_empty() {
        true => {
            "no plugin is installed; `evenkeel plugin bundles` lists what could be\n".to_owned()
        }
        false => {
            let headings =
                ["PLUGIN", "FOR", "VERSION", "SIGNED BY", "STATE", "FAILURES", "LAST PROBLEM"];
            table(headings, &rows)
        }
    })
}

/// Everything about one plugin.
///
/// # Errors
/// [`Failure`].
pub fn show(work: &mut Work, one: &One) -> Result<(), Failure> {
    let (document, detail) = detail(work, &one.id)?;
    work.print(&document, || shown(&detail))
}

/// What plugins cost.
///
/// # Errors
/// [`Failure`].
pub fn metrics(work: &mut Work, which: &OneOrAll) -> Result<(), Failure> {
    let (document, plugins): (Value, Vec<Status>) = match &which.id {
        Some(id) => {
            let (document, detail) = detail(work, id)?;
            (document["status"].clone(), vec![detail.status])
        }
        None => {
            let document = work.appliance.get("/api/v1/plugins")?;
            let plugins = work.appliance.understand(&document)?;
            (document, plugins)
        }
    };
    let row = |p: &Status| {
        let Traffic { serial_sent, serial_received, .. } = p.traffic;
        let Traffic { usb_sent, usb_received, net_sent, net_received, .. } = p.traffic;
        [
            p.name.clone(),
            p.state.clone(),
            utc(p.since_unix_ms),
            p.calls.to_string(),
            p.polls.to_string(),
            format!("{} ms", p.cpu_ms),
            micros(p.poll_p50_us),
            micros(p.slowest_call_us),
            bytes(p.memory_bytes),
            p.traps.to_string(),
            bytes(serial_sent + usb_sent + net_sent),
            bytes(serial_received + usb_received + net_received),
            p.refused.to_string(),
        ]
    };
    let rows: Vec<_> = plugins.iter().map(row).collect();
    let headings = [
        "PLUGIN",
        "STATE",
        "SINCE (UTC)",
        "CALLS",
        "POLLS",
        "PROCESSOR",
        "USUAL POLL",
        "SLOWEST CALL",
        "MEMORY",
        "FAILURES",
        "SENT",
        "RECEIVED",
        "REFUSED",
    ];
    work.print(&document, || table(headings, &rows))
}

/// What a plugin said last.
///
/// # Errors
/// [`Failure`].
pub fn log(work: &mut Work, arguments: &LogArguments) -> Result<(), Failure> {
    let (document, detail) = detail(work, &arguments.id)?;
    let skip = detail.log.len().saturating_sub(arguments.lines);
    let text: String = detail.log.iter().skip(skip).map(|said| line(said) + "\n").collect();
    let lines = document["log"].as_array().into_iter().flatten().skip(skip).cloned().collect();
    work.print(&Value::Array(lines), || text)
}

/// Switch on or off, restart, roll back.
///
/// # Errors
/// [`Failure`].
pub fn act(work: &mut Work, one: &One, action: &str) -> Result<(), Failure> {
    let id = segment("plugin", &one.id)?;
    work.appliance.post(&format!("/api/v1/plugins/{id}/{action}"), &Value::Null)?;
    settled(work, id)
}

/// Remove it.
///
/// # Errors
/// [`Failure`].
pub fn remove(work: &mut Work, arguments: &RemoveArguments) -> Result<(), Failure> {
    let id = segment("plugin", &arguments.id)?;
    // One that is not there is told before anybody is asked.
    detail(work, id)?;
    if !arguments.yes {
        let question = format!("Remove {id}, its settings and what it was granted?");
        let instead = format!("{id} was not removed: give --yes to have it done unasked");
        if !terminal::agreed(&question, &instead)? {
            return Err(Failure::Word(format!("{id} was not removed")));
        }
    }
    work.appliance.post(&format!("/api/v1/plugins/{id}/remove"), &Value::Null)?;
    work.print(&json!({"removed": id}), || format!("{id} is removed\n"))
}

/// One plugin, as it came and as it is understood.
///
/// # Errors
/// [`Failure`].
pub fn detail(work: &mut Work, id: &str) -> Result<(Value, Detail), Failure> {
    let id = segment("plugin", id)?;
    let document = work.appliance.get(&format!("/api/v1/plugins/{id}"))?;
    let detail = work.appliance.understand(&document)?;
    Ok((document, detail))
}

/// Wait until a plugin has started, and say how it is.
///
/// # Errors
/// [`Failure::Outcome`] when it does not do its work, though it should.
pub fn settled(work: &mut Work, id: &str) -> Result<(), Failure> {
    let begun = Instant::now();
    let (document, status) = loop {
        let (document, detail) = detail(work, id)?;
        if detail.status.state != "starting" || begun.elapsed() > START_MAX {
            break (document["status"].clone(), detail.status);
        }
        sleep(LOOK_EVERY);
    };
    let why = status.last_error.as_deref().map_or(String::new(), |why| format!(": {why}"));
    match status.state.as_str() {
        "running" | "disabled" | "stopped" => work.print(&document, || {
            let state = if status.state == "disabled" { "switched off" } else { &status.state };
            format!("{id} {} is {state}\n", plain(&status.version)).replace("  ", " ")
        }),
        "starting" => Err(Failure::Outcome(format!(
            "{id} is still starting; `evenkeel plugin show {id}` tells how it goes on"
        ))),
        state => Err(Failure::Outcome(format!("{id} is {state}{why}"))),
    }
}

fn line(said: &Said) -> String {
    format!("{}  {:5}  {}", utc(said.unix_ms), plain(&said.level), plain(&said.text))
}

/// What it costs and did, for those who look at one plugin.
fn figures(status: &Status) -> Vec<String> {
    let Traffic { serial_sent, serial_received, usb_sent, usb_received, .. } = status.traffic;
    let Traffic { net_sent, net_received, host_sent, host_received, .. } = status.traffic;
    let ways = [
        ("serial lines", serial_sent, serial_received),
        ("USB", usb_sent, usb_received),
        ("network", net_sent, net_received),
        ("appliance", host_sent, host_received),
    ];
    let used = ways.into_iter().filter(|(_, sent, received)| sent + received > 0);
    let traffic = used.map(|(way, sent, received)| {
        format!("{way}: {} sent, {} received", bytes(sent), bytes(received))
    });
    let now = (status.in_call_ms > 0)
        .then(|| format!("the present call has lasted {} ms", status.in_call_ms));
    let Status { calls, polls, cpu_ms, .. } = status;
    let (usual, slowest) = (micros(status.poll_p50_us), micros(status.slowest_call_us));
    let lines = [
        format!("{calls} calls, {polls} of them polls; usual poll {usual}, slowest call {slowest}"),
        format!("{cpu_ms} ms of processor time, {} of memory", bytes(status.memory_bytes)),
    ];
    lines.into_iter().chain(now).chain(traffic).collect()
}

fn shown(detail: &Detail) -> String {
    let Detail { status, plugin, bundle, .. } = detail;
    let text = |field: &str| plugin[field].as_str().unwrap_or_default().to_owned();
    let signer = if detail.signer.is_empty() { &status.signer } else { &detail.signer };
    let platform = if status.platform { ", a key of the platform" } else { "" };
    let refused = match &status.last_refused {
        Some(last) => format!("{} times what it may not, last: {last}", status.refused),
        None => String::new(),
    };
    let accepted = match (detail.consented, status.awaits_consent) {
        (_, true) => "no, and it does not run before",
        (true, false) => "yes",
        (false, false) => "not yet",
    };
    let mut out = pairs(&[
        ("plugin", status.name.clone()),
        ("version", status.version.clone()),
        ("state", format!("{} since {} UTC", status.state, utc(status.since_unix_ms))),
        ("problem", status.last_error.clone().unwrap_or_default()),
        ("failures", status.traps.to_string()),
        ("tried", refused),
        ("for", status.world.clone()),
        ("vendor", status.vendor.clone()),
        (
            "signed by",
            if signer.is_empty() { String::new() } else { format!("{signer}{platform}") },
        ),
        ("bundle", bundle.clone().unwrap_or_else(|| "the firmware's".to_owned())),
        ("publishes", text("points")),
        ("accepted", accepted.to_owned()),
        ("roll-back", if detail.can_roll_back { "possible" } else { "" }.to_owned()),
    ]);
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            out.push_str(&format!("\n{title}\n"));
            lines.iter().for_each(|line| out.push_str(&format!("  {}\n", plain(line))));
        }
    };
    let asked = |p: &Permission| match p.reason.as_str() {
        "" => p.text.clone(),
        reason => format!("{}: {reason}", p.text),
    };
    section("it may", detail.permissions.iter().map(asked).collect());
    section("granted", granted(&plugin["grant"]));
    let words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let settings = plugin["settings"].as_object().into_iter().flatten();
    section("settings", settings.map(|(name, v)| format!("{name} = {}", words(v))).collect());
    let danger = |d: &Danger| {
        let by =
            if d.by_file { "whoever wrote the configuration file" } else { "an administrator" };
        format!("{} ({}, confirmed by {by})", d.text, d.name)
    };
    section("of that can do harm", detail.dangers.iter().map(danger).collect());
    let told = |delivery: &Delivery| {
        let last = delivery.last_told_unix_ms.map_or("nothing since the start".to_owned(), utc);
        let error = delivery.error.iter().map(|why| format!("the next is not told yet: {why}"));
        let lines =
            [format!("waiting, at most: {}", delivery.waiting), format!("last told: {last}")];
        lines.into_iter().chain(error).collect()
    };
    section("what it told", detail.delivery.as_ref().map(told).unwrap_or_default());
    section("figures", figures(status));
    let skip = detail.log.len().saturating_sub(LAST_LINES);
    section("it said last", detail.log.iter().skip(skip).map(line).collect());
    out
}

/// `serial.ups = "/dev/ttyS1"`, as it is given on the command line.
fn granted(grant: &Value) -> Vec<String> {
    let fields = grant.as_object().into_iter().flatten();
    fields
        .flat_map(|(field, things)| {
            let things = things.as_object().into_iter().flatten();
            things.map(move |(what, thing)| format!("{field}.{what} = {thing}"))
        })
        .collect()
}

/// A duration, for people.
fn micros(us: u64) -> String {
    if us < 10_000 { format!("{us} µs") } else { format!("{} ms", us / 1_000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_shown_without_gaps() {
        let detail: Detail = serde_json::from_value(json!({
            "status": {"name": "megatec", "version": "0.1.0", "vendor": "Acme", "state": "running",
                "signer": "\"acme\" (fingerprint 21fe)", "platform": true,
                "awaits_consent": false, "last_error": null, "world": "driver", "polls": 1,
                "calls": 2, "slowest_call_us": 1, "traps": 3, "cpu_ms": 1, "memory_bytes": 1,
                "poll_p50_us": 1, "since_unix_ms": 0, "in_call_ms": 7, "refused": 9,
                "last_refused": "log quota: more than it may",
                "traffic": {"serial_sent": 5, "serial_received": 6}},
            "plugin": {"name": "megatec", "points": "ups.0", "settings": {"no-ratings": "true"},
                "grant": {"serial": {"ups": "/dev/ttyS1"}}, "confirm": []},
            "bundle": null, "signer": "", "consented": true, "can_roll_back": false,
            "permissions": [{"interface": "i", "what": "ups", "text": "talk to a device",
                "reason": "because"}],
            "dangers": [{"name": "commands.x=ups.0:load.off", "text": "ups.0 switches the load off",
                "by_file": true}],
            "delivery": {"waiting": 3, "last_told": 7, "last_told_unix_ms": 0, "error": "down"},
            "log": [{"unix_ms": 0, "level": "warn", "text": "hello\u{1b}"}],
            "more": "of a later version",
        }))
        .expect("understood");
        let text = shown(&detail);
        for line in [
            "state      running since 1970-01-01 00:00:00 UTC",
            "bundle     the firmware's",
            "signed by  \"acme\" (fingerprint 21fe), a key of the platform",
            "failures   3",
            "tried      9 times what it may not, last: log quota: more than it may",
            "it may\n  talk to a device: because",
            "figures\n  2 calls, 1 of them polls; usual poll 1 µs, slowest call 1 µs\n  1 ms of \
             processor time, 1 B of memory\n  the present call has lasted 7 ms\n  serial lines: 5 B \
             sent, 6 B received\n",
            "it said last\n  1970-01-01 00:00:00  warn   hello\u{fffd}",
            "granted\n  serial.ups = \"/dev/ttyS1\"",
            "settings\n  no-ratings = true",
            "of that can do harm\n  ups.0 switches the load off (commands.x=ups.0:load.off, \
             confirmed by whoever wrote the configuration file)",
            "what it told\n  waiting, at most: 3\n  last told: 1970-01-01 00:00:00\n  the next is \
             not told yet: down",
        ] {
            assert!(text.contains(line), "{line}:\n{text}");
        }
        assert!(!text.contains("problem") && !text.contains("roll-back"), "{text}");
    }
}
