//! What helps somebody else to help: one archive with what the appliance says of
//! itself (facts/console-ux.md §5 page 34).
//!
//! In it is nothing that opens anything: no password or its hash, no key, no
//! token, no secret of a plugin. Who signed in and from where is not in it
//! either: events of access stay here, as names that were typed by mistake are
//! sometimes passwords. Addresses of web servers are cut to their hosts, because
//! what follows is a secret with some.
//!
//! Every file is cut to [`FILE_MAX`], events to the newest.

use super::by::By;
use super::configuration;
use super::problem::Problem;
use super::{Console, api};
use crate::accounts::rights::{Area, Level};
use crate::clock;
use axum::extract::State;
use axum::http::StatusCode;
use evenkeel_core::events::Category;
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::fmt::Display;
use std::io;
use std::sync::Arc;

/// Most bytes of a file in the archive.
pub const FILE_MAX: usize = 512 << 10;
/// Most files.
pub const FILES_MAX: usize = 80;
/// Newest events that are looked through.
const EVENTS_MAX: usize = 2_000;

/// The archive.
///
/// # Errors
/// When the store cannot be read.
pub async fn archive(by: &By) -> Result<Vec<u8>, Problem> {
    let console = &by.console;
    let now = clock::unix_ms();
    let state = || State(Arc::clone(console));
    let mut files = vec![
        ("about.json", pretty(&about(by, now))),
        ("store.json", pretty(&api::store::store(state()).await.0)),
        ("buses.json", pretty(&api::bench::buses(state()).await.0)),
        ("devices.json", pretty(&api::bench::devices(state()).await.0)),
        ("events.jsonl", events(console).await?),
        ("metrics.txt", metrics(console).await?),
        ("configuration.toml", configuration_of(by).await?),
    ];
    // While the guard was never there, there is nothing to say of it.
    if let Ok(guard) = api::guard(state()).await {
        files.push(("guard.json", pretty(&guard.0)));
    }
    if let Ok(firmware) = api::firmware::firmware(state()).await {
        files.push(("firmware.json", pretty(&firmware.0)));
    }
    let mut files: Vec<_> = files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    if by.caller.may(Area::Plugins, Level::View) {
        files.extend(plugins(console).await);
    }
    files.truncate(FILES_MAX);
    let files: Vec<_> =
        files.into_iter().map(|(name, text)| (name, cut(text).into_bytes())).collect();
    packed(&files, now / 1_000).map_err(|e| not_made(&e))
}

/// A fault of ours: nothing in it depends on who asks.
fn not_made(error: &dyn Display) -> Problem {
    tracing::error!("the archive for support cannot be made: {error}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "support", "The archive cannot be made")
        .detail("see the appliance's log")
}

/// An archive (tar) of these files, all of them in memory.
fn packed(files: &[(String, Vec<u8>)], unix_s: u64) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(unix_s);
        archive.append_data(&mut header, name, bytes.as_slice())?;
    }
    archive.into_inner()
}

fn about(by: &By, now: u64) -> Json {
    let console = &by.console;
    let licence = console.licences.status();
    let certificate = console.certificates.status(clock::now()).map(|status| {
        json!({
            "fingerprint": status.shown.fingerprint,
            "until_s": status.shown.until_s,
            "installed": status.installed,
        })
    });
    let notices: Vec<_> = console.notices.iter().map(|row| row.1.join(" ")).collect();
    let health = console.store.health();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "time": clock::utc(now) + " UTC",
        "serial": licence.serial,
        "edition": licence.edition.name,
        "edition_because": licence.edition.reason,
        "certificate": certificate,
        "notices": notices,
        "store_error": health.error,
        "left_out": "secrets, users, events of access, addresses of web servers after the host",
    })
}

/// The newest events but those of access, one a line, oldest first.
async fn events(console: &Arc<Console>) -> Result<String, Problem> {
    let store = Arc::clone(&console.store);
    let events = api::off_thread(console, move || store.events(None, EVENTS_MAX)).await?;
    let mut text = String::new();
    let shown = events.iter().filter(|event| event.event.category() != Category::Access);
    for stored in shown {
        let line = json!({
            "id": stored.id,
            "unix_ms": stored.unix_ms,
            "severity": stored.event.severity(),
            "text": stored.event.to_string(),
        });
        text.push_str(&line.to_string());
        text.push('\n');
    }
    // Of too many the newest.
    let mut over = text.len().saturating_sub(FILE_MAX);
    while over > 0 && !text.is_char_boundary(over) {
        over += 1;
    }
    let from = text[over..].find('\n').filter(|_| over > 0).map_or(over, |end| over + end + 1);
    Ok(text.split_off(from))
}

async fn metrics(console: &Arc<Console>) -> Result<String, Problem> {
    let all = Arc::clone(console);
    let page = move || {
        let plugins = all.plugins.plugins();
        crate::telemetry::page(&all.hub, &plugins, &all.store, &all.telemetry.flash)
    };
    api::off_thread(console, page).await
}

/// The export, in which addresses of web servers are cut to their hosts.
async fn configuration_of(by: &By) -> Result<String, Problem> {
    let text = configuration::export(by).await?;
    let mut table: toml::Table = text.parse().map_err(|e| not_made(&e))?;
    let webhooks = table.get_mut("webhooks").and_then(|webhooks| webhooks.get_mut("webhook"));
    let webhooks = webhooks.and_then(toml::Value::as_array_mut).into_iter().flatten();
    for url in webhooks.filter_map(|webhook| webhook.get_mut("url")) {
        let host = url.as_str().map(host_of).unwrap_or_default();
        *url = toml::Value::String(host);
    }
    Ok(table.to_string())
}

/// `https://host:port/…` of an address.
fn host_of(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return String::new() };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Before an @ stands somebody's name, and maybe their password.
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/…")
}

/// How each plugin does, and how it failed. What it wrote into its log stays
/// here: it may have written there what it was told in confidence.
async fn plugins(console: &Console) -> Vec<(String, String)> {
    let all = console.plugins.plugins();
    let mut files = vec![("plugins.json".to_owned(), pretty(&all))];
    for plugin in all {
        let Ok(Ok(reports)) = console.plugins.reports(plugin.name).await else { continue };
        for mut report in reports {
            report.log.clear();
            // A name is made of a-z, 0-9, '.' and '-'.
            let name: String = report.plugin.chars().take(60).collect();
            files.push((format!("reports/{name}.{}.json", report.unix_ms), pretty(&report)));
        }
    }
    files
}

fn pretty(value: &impl Serialize) -> String {
    // Plain data: each of its maps has texts for keys.
    serde_json::to_string_pretty(value).expect("what is shown can be written as JSON") + "\n"
}

/// Not longer than may be; what is cut says so.
fn cut(mut text: String) -> String {
    if text.len() > FILE_MAX {
        let mut end = FILE_MAX - 32;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("\n(cut: it is longer)\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn another_program_opens_it() {
        let files = [
            ("about.json".to_owned(), b"{}".to_vec()),
            ("reports/megatec.1.json".to_owned(), vec![b'x'; 1_000]),
            ("empty".to_owned(), Vec::new()),
        ];
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("support.tar");
        std::fs::write(&file, packed(&files, 1_795_000_000).expect("in memory")).expect("written");
        let done = Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(dir.path()).output();
        let done = done.expect("tar is on every system");
        assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
        for (name, bytes) in files {
            assert_eq!(std::fs::read(dir.path().join(&name)).expect(&name), bytes, "{name}");
        }
    }

    #[test]
    fn of_an_address_the_host_is_left() {
        for (url, host) in [
            ("https://hooks.example.org/services/T0/hush", "https://hooks.example.org/…"),
            ("http://a:hush@10.0.0.1:8080/x?token=hush", "http://10.0.0.1:8080/…"),
            ("https://x?hush", "https://x/…"),
            ("hush", ""),
        ] {
            assert_eq!(host_of(url), host);
        }
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let long = cut("ü".repeat(FILE_MAX));
        assert!(long.len() <= FILE_MAX && long.ends_with("(cut: it is longer)\n"));
        assert_eq!(cut("short".to_owned()), "short");
    }
}
