//! Sending a signed message to a web server (`evenkeel_core::jobs::wire` says
//! what it looks like; RFC 9112, RFC 2104). Which servers, says
//! [`receivers`](super::receivers).
//!
//! ```toml
//! [[webhook]]
//! name = "hosts"
//! url = "https://hooks.example.org/evenkeel"
//! key = "at least 16 characters that both sides know"
//! ca = "-----BEGIN CERTIFICATE-----…"
//! ```
//!
//! One connection per message, no redirects, the same rules about addresses
//! and certificates as for plugins (facts/appliance-security.md SEC-072, SEC-094).

use crate::caps::net_client::stream::{self, Wait};
use crate::clock;
use crate::failure::chain;
use crate::grants::{Authorities, Endpoint, Pin, TlsName, Transport, Trust};
use crate::plugin::stop::Stop;
use evenkeel_core::jobs::{Outcome, Task, wire};
use evenkeel_core::time::Nanos;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Longest time for one attempt.
const TIME_MAX: Nanos = Nanos::from_secs(20);
/// The key has at least so many bytes.
const KEY_MIN: usize = 16;
const KEY_MAX: usize = 256;
const PATH_MAX: usize = 1_000;
/// Longest beginning of an answer that is looked at, bytes.
const ANSWER_MAX: usize = 512;

/// A web server that may be told.
#[derive(Debug)]
pub struct Webhook {
    written: Written,
    endpoint: Endpoint,
    /// What goes into the request: path and query, and the host.
    path: String,
    authority: String,
}

/// A web server as somebody writes it down.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// What jobs call it: 1 to 40 of a-z, 0-9 and '-'.
    pub name: String,
    /// `https://host[:port]/path`; `http` where the network is trusted.
    pub url: String,
    /// What messages are signed by, 16 to 256 bytes.
    #[serde(default)]
    pub key: String,
    /// Its authorities, other than the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Authorities>,
    /// The name that its certificate is for, other than the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<TlsName>,
    /// Its certificate itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin_sha256: Option<Pin>,
}

/// Without the key.
impl core::fmt::Debug for Written {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { name, url, .. } = self;
        f.debug_struct("Written").field("name", name).field("url", url).finish_non_exhaustive()
    }
}

impl Webhook {
    /// What jobs call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.written.name
    }

    /// As it was written down, with its key.
    #[must_use]
    pub const fn written(&self) -> &Written {
        &self.written
    }
}

impl TryFrom<Written> for Webhook {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { name, url, key, ca, server_name, pin_sha256 } = written.clone();
        if !evenkeel_core::rules::is_name(&name) {
            return Err(format!("webhook name {name:?} is not 1 to 40 of a-z, 0-9, '-'"));
        }
        if !(KEY_MIN..=KEY_MAX).contains(&key.len()) {
            return Err(format!("webhook {name:?}: a key has {KEY_MIN} to {KEY_MAX} bytes"));
        }
        let bad = || format!("webhook {name:?}: {url:?} is not like https://host/path");
        let (scheme, transport, default) = match url.split_once("://").ok_or_else(bad)?.0 {
            "https" => ("https://", Transport::Tls, 443),
            "http" => ("http://", Transport::Tcp, 80),
            _ => return Err(bad()),
        };
        let rest = &url[scheme.len()..];
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let visible = path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !visible || path.len() > PATH_MAX {
            return Err(bad());
        }
        // An IPv6 address has colons of its own, within brackets.
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let port = if has_port { String::new() } else { format!(":{default}") };
        let kind = if transport == Transport::Tls { "tls" } else { "tcp" };
        let mut endpoint: Endpoint =
            format!("{kind}://{authority}{port}").parse().map_err(|_| bad())?;
        endpoint.trust = Trust { ca, server_name, pin_sha256 };
        if transport != Transport::Tls && endpoint.trust != Trust::default() {
            return Err(format!("webhook {name:?}: ca, server_name and pin_sha256 are for https"));
        }
        let (authority, path) = (authority.to_owned(), path.to_owned());
        Ok(Self { written, endpoint, path, authority })
    }
}

/// The body.
#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    job: &'a str,
    undo: bool,
    event_id: u64,
    unix_ms: u64,
    severity: evenkeel_core::events::Severity,
    category: evenkeel_core::events::Category,
    text: &'a str,
    event: &'a evenkeel_core::events::Event,
}

/// Send what `task` is about, with `text` for people; waits for the answer, on a
/// thread that may.
pub fn send(webhook: &Webhook, task: &Task, text: &str, unix_s: u64) -> Outcome {
    let id = wire::delivery_id(&task.instance, task.event_unix_ms);
    let body = Body {
        id: &id,
        job: &task.job,
        undo: task.undo,
        event_id: task.event_id,
        unix_ms: task.event_unix_ms,
        severity: task.event.severity(),
        category: task.event.category(),
        text,
        event: &task.event,
    };
    let body = match serde_json::to_vec(&body) {
        Ok(body) => body,
        Err(e) => return Outcome::Never(format!("the event cannot be written as JSON: {e}")),
    };
    let request = request(webhook, &id, unix_s, &body);
    match exchange(webhook, &request) {
        Ok(status @ (200..=299)) => {
            tracing::debug!("webhook {}: {status}", webhook.name());
            Outcome::Done
        }
        Ok(status @ (408 | 425 | 429 | 500..=599)) => {
            Outcome::Later(format!("it answered {status}"))
        }
        Ok(status) => Outcome::Never(format!("it answered {status}")),
        Err(why) => Outcome::Later(why),
    }
}

fn request(webhook: &Webhook, id: &str, unix_s: u64, body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(webhook.written.key.as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(&wire::signed_bytes(unix_s, body));
    let signature: String =
        mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let Webhook { path, authority, .. } = webhook;
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: Evenkeel\r\n\
         Content-Type: application/json\r\nContent-Length: {len}\r\nConnection: close\r\n\
         Evenkeel-Id: {id}\r\nEvenkeel-Time: {unix_s}\r\nEvenkeel-Signature: v1={signature}\r\n\r\n",
        len = body.len(),
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// Send and read the status.
fn exchange(webhook: &Webhook, request: &[u8]) -> Result<u16, String> {
    let stop = Stop::new().map_err(|e| format!("no descriptor is left: {e}"))?;
    let deadline = clock::now() + TIME_MAX;
    let wait = |during| Wait { stop: &stop, deadline, during };
    let (mut stream, _) = stream::connect(&webhook.endpoint, wait("connecting"))
        .map_err(|(_, fault)| chain(&fault))?;
    stream.write(request, wait("sending")).map_err(|fault| chain(&fault))?;
    let mut answer = Vec::new();
    loop {
        if let Some(status) = status(&answer)? {
            return Ok(status);
        }
        let more = stream.read(ANSWER_MAX, wait("waiting for its answer"));
        answer.extend(more.map_err(|fault| chain(&fault))?);
    }
}

/// The status of an answer that begins so; `None` until it can be known.
fn status(answer: &[u8]) -> Result<Option<u16>, String> {
    const LINE: &[u8] = b"HTTP/1.";
    let known = answer.len().min(LINE.len());
    if answer[..known] != LINE[..known] {
        return Err("what answers does not speak HTTP; check the port".to_owned());
    }
    // HTTP/1.x SP three digits, and one more byte to be sure that they are all.
    let Some(code) = answer.get(8..13) else { return Ok(None) };
    let status = std::str::from_utf8(&code[1..4]).ok().and_then(|digits| digits.parse().ok());
    let framed = code[0] == b' ' && matches!(code[4], b' ' | b'\r' | b'\n');
    match status.filter(|status| framed && (100..=999).contains(status)) {
        // 1xx comes before the answer; nobody asked for one.
        Some(100..=199) | None => Err("its answer cannot be read".to_owned()),
        Some(status) => Ok(Some(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::events::Event;
    use evenkeel_core::jobs::Action;
    use proptest::prelude::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    fn webhook(url: &str) -> Result<Webhook, String> {
        written(url, "0123456789abcdef")
    }

    fn written(url: &str, key: &str) -> Result<Webhook, String> {
        let (name, url, key) = ("x".into(), url.to_owned(), key.to_owned());
        Webhook::try_from(Written { name, url, key, ..Written::default() })
    }

    fn task() -> Task {
        Task {
            instance: "7.hook.0".into(),
            job: "hook".into(),
            action: Action::Webhook { to: "x".into(), text: None },
            undo: false,
            event: Event::UpsOnBattery { ups: "ups.0".into() },
            event_id: 7,
            event_unix_ms: 1_795_247_521_000,
            words: None,
        }
    }

    #[test]
    fn a_url_is_an_endpoint_and_a_path() {
        for (url, port, path) in [
            ("https://hooks.example.org", 443, "/"),
            ("https://hooks.example.org:8443/a?b=c", 8_443, "/a?b=c"),
            ("http://[::1]/x", 80, "/x"),
            ("http://[::1]:81/x", 81, "/x"),
        ] {
            let hook = webhook(url).expect(url);
            assert_eq!((hook.endpoint.port, hook.path.as_str()), (port, path), "{url}");
        }
        for bad in [
            "ftp://x/",
            "https://",
            "https://a b/",
            "https://x/\u{e4}",
            "https://x/a#b",
            "https://u@x/",
            "x",
        ] {
            assert!(webhook(bad).is_err(), "{bad}");
        }
        assert!(written("https://x/", "short").is_err());
        assert!(!format!("{:?}", webhook("https://x/").expect("good")).contains("0123456789"));
    }

    /// A server that answers so, and what it was sent.
    fn server(answer: &'static str) -> (u16, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let serving = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().expect("a client");
            let mut got = vec![0; 4_096];
            let len = peer.read(&mut got).expect("a request");
            peer.write_all(answer.as_bytes()).expect("answered");
            String::from_utf8_lossy(&got[..len]).into_owned()
        });
        (port, serving)
    }

    #[test]
    fn what_is_sent_is_signed_and_the_answer_decides() {
        for (answer, wanted) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", Outcome::Done),
            ("HTTP/1.0 503 x\r\n\r\n", Outcome::Later("it answered 503".into())),
            ("HTTP/1.1 302 x\r\nLocation: /\r\n\r\n", Outcome::Never("it answered 302".into())),
            ("SSH-2.0", Outcome::Later("what answers does not speak HTTP; check the port".into())),
        ] {
            let (port, serving) = server(answer);
            let hook = webhook(&format!("http://127.0.0.1:{port}/x")).expect("good");
            assert_eq!(send(&hook, &task(), "on battery", 17), wanted);
            let sent = serving.join().expect("no panic");
            let (head, body) = sent.split_once("\r\n\r\n").expect("head and body");
            let mut mac = Hmac::<Sha256>::new_from_slice(b"0123456789abcdef").expect("a key");
            mac.update(format!("17.{body}").as_bytes());
            let hex: String =
                mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
            assert!(head.contains(&format!("Evenkeel-Signature: v1={hex}")), "{head}");
            let id = "7.hook.0.1795247521000";
            assert!(head.contains(&format!("Evenkeel-Id: {id}\r\n")), "{head}");
            assert!(body.contains(&format!("{{\"id\":\"{id}\"")), "{body}");
        }
    }

    #[test]
    fn nobody_there_is_tried_again() {
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("bound").port();
        let hook = webhook(&format!("http://127.0.0.1:{port}/")).expect("good");
        assert!(
            matches!(send(&hook, &task(), "on battery", 17), Outcome::Later(why) if why.contains("refuses"))
        );
    }

    proptest! {
        #[test]
        fn any_answer_is_a_status_or_not(answer in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = status(&answer);
        }

        #[test]
        fn any_url_is_one_or_not(url in "\\PC{0,40}") {
            let _ = webhook(&url);
        }
    }
}
