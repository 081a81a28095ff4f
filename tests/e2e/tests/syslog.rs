//! Events on their way to a syslog server: the whole appliance with its
//! notifier against rsyslog over UDP, TCP and TLS, with a server that dies and
//! comes back, and with one whose certificate is not to be trusted.

use evenkeel_e2e::{Client, Options, Program, Stack, make_certificates};
use serde_json::{Value, json};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(40);
/// The server's inputs; each has a copy of the notifier and a file of its name.
const INPUTS: [&str; 3] = ["udp", "tcp", "tls"];
/// A syslog server with three inputs, each with a file of its own.
struct Rsyslog {
    dir: PathBuf,
    udp: u16,
    tcp: u16,
    tls: u16,
    program: Option<Program>,
}

impl Rsyslog {
    /// Start one in `dir`, with an authority and a certificate of its own.
    fn start(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("a folder");
        make_certificates(dir);
        let free = || {
            // Held at the same time, so that they differ; free again on return.
            let [a, b] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
            let c = UdpSocket::bind("127.0.0.1:0").expect("a port");
            let addresses = [a.local_addr(), b.local_addr(), c.local_addr()];
            addresses.map(|address| address.expect("bound").port())
        };
        let [tcp, tls, udp] = free();
        let mut server = Self { dir: dir.to_owned(), udp, tcp, tls, program: None };
        std::fs::write(dir.join("rsyslog.conf"), server.config()).expect("written");
        server.run();
        server
    }

    fn config(&self) -> String {
        let Self { dir, udp, tcp, tls, .. } = self;
        let dir = dir.display();
        let file = |name: &str| {
            format!(
                "ruleset(name=\"{name}\") {{ action(type=\"omfile\" file=\"{dir}/{name}.log\" \
                 template=\"parts\" flushInterval=\"0\" asyncWriting=\"off\") }}\n"
            )
        };
        // The text last, and quoted as JSON: it may hold anything.
        format!(
            "global(workDirectory=\"{dir}\" maxMessageSize=\"8k\" parser.escapeControlCharactersOnReceive=\"off\"\n\
             defaultNetstreamDriverCAFile=\"{dir}/ca.pem\" \
             defaultNetstreamDriverCertFile=\"{dir}/server.pem\" \
             defaultNetstreamDriverKeyFile=\"{dir}/server.key\")\n\
             template(name=\"parts\" type=\"list\" option.jsonf=\"on\") {{\n\
             property(outname=\"pri\" name=\"pri\" format=\"jsonf\")\n\
             property(outname=\"time\" name=\"timereported\" dateFormat=\"rfc3339\" format=\"jsonf\")\n\
             property(outname=\"host\" name=\"hostname\" format=\"jsonf\")\n\
             property(outname=\"app\" name=\"app-name\" format=\"jsonf\")\n\
             property(outname=\"msgid\" name=\"msgid\" format=\"jsonf\")\n\
             property(outname=\"sd\" name=\"structured-data\" format=\"jsonf\")\n\
             property(outname=\"msg\" name=\"msg\" format=\"jsonf\")\n}}\n\
             module(load=\"imudp\")\nmodule(load=\"imtcp\")\n{}{}{}\
             input(type=\"imudp\" address=\"127.0.0.1\" port=\"{udp}\" ruleset=\"udp\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{tcp}\" ruleset=\"tcp\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{tls}\" ruleset=\"tls\" \
             streamDriver.name=\"ossl\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n",
            file("udp"),
            file("tcp"),
            file("tls"),
        )
    }

    /// The notifier once for each input, under its name.
    fn entries(&self) -> [String; 3] {
        let Self { udp, tcp, .. } = self;
        [
            entry("udp", &format!("\"udp://127.0.0.1:{udp}\"")),
            entry("tcp", &format!("\"tcp://127.0.0.1:{tcp}\"")),
            entry("tls", &self.tls_grant(&self.dir)),
        ]
    }

    /// The grant of the input within TLS, with the authority of a folder.
    fn tls_grant(&self, authority: &Path) -> String {
        let (port, ca) = (self.tls, authority.join("ca.pem"));
        format!("{{ url = \"tls://127.0.0.1:{port}\", ca = \"{}\" }}", ca.display())
    }

    fn run(&mut self) {
        let daemon = "/usr/sbin/rsyslogd";
        assert!(Path::new(daemon).exists(), "rsyslog is installed: run `cargo xtask test`");
        let mut command = Command::new(daemon);
        command.arg("-n").arg("-f").arg(self.dir.join("rsyslog.conf"));
        command.arg("-i").arg(self.dir.join("rsyslog.pid"));
        let log = self.dir.join("rsyslogd.log");
        self.program = Some(Program::start("rsyslogd", &mut command, &log).expect("started"));
        // It says nothing when it is ready; a connection does.
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.tls)).is_err() {
            assert!(begun.elapsed() < SOON, "rsyslogd does not listen, see {}", log.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn kill(&mut self) {
        self.program.take().expect("running").kill();
    }

    /// What arrived on one of the inputs.
    fn arrived(&self, input: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.join(input).with_extension("log"));
        let lines = text.unwrap_or_default();
        // The last line may be half written.
        let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    fn await_event(&self, input: &str, id: u64) -> Value {
        self.await_message(input, |message| sequence(message) == id)
    }

    fn await_kind(&self, input: &str, kind: &str) -> Value {
        self.await_message(input, |message| message["msgid"] == kind)
    }

    /// The first such message that arrives on an input.
    fn await_message(&self, input: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            if let Some(found) = self.arrived(input).into_iter().find(&wanted) {
                return found;
            }
            assert!(begun.elapsed() < SOON, "it never came: {:#?}", self.arrived(input));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The event's own number in a message.
fn sequence(message: &Value) -> u64 {
    let data = message["sd"].as_str().expect("structured data");
    let begin = data.split(" sequence=\"").nth(1).expect("a sequence");
    begin.split('"').next().expect("a value").parse().expect("a number")
}

/// A `[[plugin]]` entry for a copy of the notifier.
fn entry(id: &str, server: &str) -> String {
    format!(
        "[[plugin]]\nname = \"syslog\"\nid = \"{id}\"\ngrant.events.log = \"info\"\n\
         grant.net.server = {server}\nsettings = {{ hostname = \"rack-7.example\" }}\n\n"
    )
}

/// An appliance with these entries.
fn appliance(dir: &Path, entries: &[String]) -> Stack {
    let options = Options::for_test(dir).expect("everything is built");
    Stack::start(Options { daemon_settings: entries.concat(), ..options }).expect("a running stack")
}

fn plugin<'a>(list: &'a Value, id: &str) -> &'a Value {
    let mut plugins = list.as_array().expect("a list").iter();
    plugins.find(|plugin| plugin["name"] == id).expect("installed")
}

/// Wait until the list of plugins is as wanted.
fn await_plugins(stack: &mut Stack, what: &str, wanted: impl Fn(&Value) -> bool) {
    let mut client = stack.sign_in().expect("signed in");
    let begun = Instant::now();
    loop {
        let list = client.get("/api/v1/plugins").expect("answered");
        if wanted(&list) {
            return;
        }
        assert!(begun.elapsed() < SOON, "{what} never came: {list:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn await_running(stack: &mut Stack, ids: &[&str]) {
    await_plugins(stack, "every notifier", |list| {
        ids.iter().all(|id| plugin(list, id)["state"] == "running")
    });
}

/// The newest events, oldest first.
fn events(client: &mut Client) -> Vec<Value> {
    let list = client.get("/api/v1/events?limit=500").expect("answered");
    list.as_array().expect("a list").clone()
}

/// Somebody signs in: the event about it, when it is in the log.
fn sign_in(stack: &mut Stack) -> Value {
    let begun_ms = unix_ms();
    let mut client = stack.sign_in().expect("signed in");
    let is_it = |event: &Value| {
        event["data"]["kind"] == "login" && event["unix_ms"].as_u64() >= Some(begun_ms)
    };
    loop {
        if let Some(event) = events(&mut client).into_iter().rfind(is_it) {
            return event;
        }
        assert!(unix_ms() < begun_ms + 40_000, "signing in is no event");
    }
}

/// Have something happen until the first of it has arrived on these inputs:
/// from then on everything must. A notifier that is new begins at some moment
/// after its start.
fn await_first(stack: &mut Stack, server: &Rsyslog, inputs: &[&str]) {
    await_running(stack, inputs);
    let begun = Instant::now();
    while inputs.iter().any(|input| server.arrived(input).is_empty()) {
        assert!(begun.elapsed() < SOON, "nothing arrives: {}", stack.daemon.log());
        sign_in(stack);
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn id(event: &Value) -> u64 {
    event["id"].as_u64().expect("a number")
}

fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("the clock is after 1970").as_millis() as u64
}

#[test]
fn events_arrive_by_udp_tcp_and_tls_in_all_their_parts() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Rsyslog::start(&dir.path().join("rsyslog"));
    let mut stack = appliance(dir.path(), &server.entries());
    await_first(&mut stack, &server, &INPUTS);
    let event = sign_in(&mut stack);
    for input in INPUTS {
        let message = server.await_event(input, id(&event));
        assert_eq!(message["pri"], "134", "local0, information");
        assert_eq!(message["host"], "rack-7.example");
        assert_eq!(message["app"], "evenkeel");
        assert_eq!(message["msgid"], "login");
        let data = message["sd"].as_str().expect("text");
        assert!(data.starts_with("[meta sequenceId=\""), "{data}");
        let parts = format!(
            "[event@32473 sequence=\"{}\" category=\"access\" from=\"127.0.0.1\" user=\"admin\"]",
            id(&event)
        );
        assert!(data.ends_with(&parts), "{data}");
        assert_eq!(message["msg"].as_str().map(str::trim_start), event["text"].as_str());
        let time = message["time"].as_str().expect("text");
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    }
    stack.guard.kill();
    let alarm = server.await_kind("tls", "guard_lost");
    assert_eq!(alarm["pri"], "129", "local0, alert");
    for input in INPUTS {
        let mut delays: Vec<u64> = (0..20)
            .map(|_| {
                let event = sign_in(&mut stack);
                server.await_event(input, id(&event));
                unix_ms().saturating_sub(event["unix_ms"].as_u64().expect("a time"))
            })
            .collect();
        delays.sort_unstable();
        println!("{input}: event to line of the server's file {} ms (median of 20)", delays[10]);
    }
}

#[test]
fn a_job_has_a_notifier_tell_its_own_text_and_one_that_is_not_there_fails() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Rsyslog::start(&dir.path().join("rsyslog"));
    let mut stack = appliance(dir.path(), &server.entries());
    await_first(&mut stack, &server, &INPUTS);
    let mut client = stack.sign_in().expect("signed in");
    client.await_answer("/api/v1/points?prefix=ups.0.ups.status", |points| {
        points[0]["quality"] == "good" && points[0]["value"].to_string().contains("OL")
    });
    let job = |name: &str, plugin: &str| {
        format!(
            "[[job]]\nname = '{name}'\nwhen = {{ kind = 'ups_on_battery' }}\n\
             action = {{ do = 'notify', plugin = '{plugin}', text = 'Netzausfall: {{ups}}' }}\n"
        )
    };
    let document = format!("lang = 'de'\n{}{}", job("tell", "tls"), job("nobody", "none"));
    client.post("/api/v1/automation", &json!({ "toml": document })).expect("taken");
    stack.control("mains off").expect("obeyed");
    let is_ours = |message: &Value| message["msg"].to_string().contains("Netzausfall: ups.0");
    let message = server.await_message("tls", is_ours);
    let all = client.await_answer("/api/v1/events?limit=500", |events| {
        let events = events.to_string();
        events.contains("job_done") && events.contains("job_failed")
    });
    let all = all.as_array().expect("a list");
    let of = |kind: &str| all.iter().filter(|e| e["data"]["kind"] == kind).collect::<Vec<_>>();
    // It is about the event that began the job, and as bad as that.
    let begun = of("ups_on_battery");
    assert_eq!((begun.len(), sequence(&message)), (1, id(begun[0])));
    assert_eq!((&message["msgid"], &message["pri"]), (&json!("ups_on_battery"), &json!("132")));
    let (done, failed) = (of("job_done"), of("job_failed"));
    assert_eq!((done.len(), &done[0]["data"]["job"]), (1, &json!("tell")), "{done:#?}");
    assert_eq!((failed.len(), &failed[0]["data"]["job"]), (1, &json!("nobody")), "{failed:#?}");
    let reason = failed[0]["data"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("no plugin \"none\" is installed"), "{reason}");
    // The other copies were told by the log alone, in its words.
    assert!(server.arrived("tcp").iter().all(|message| !is_ours(message)));
}

#[test]
fn what_a_server_misses_while_it_is_down_arrives_when_it_is_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut server = Rsyslog::start(&dir.path().join("rsyslog"));
    let mut stack = appliance(dir.path(), &server.entries());
    await_first(&mut stack, &server, &INPUTS);
    let first = id(&sign_in(&mut stack));
    INPUTS.iter().for_each(|input| drop(server.await_event(input, first)));
    server.kill();
    sign_in(&mut stack);
    await_plugins(&mut stack, "an error", |list| {
        INPUTS.iter().all(|id| plugin(list, id)["last_error"].to_string().contains("it refuses"))
    });
    // Where a notifier was outlives the daemon.
    stack.daemon.kill();
    stack.restart_daemon().expect("started again");
    await_running(&mut stack, &INPUTS);
    sign_in(&mut stack);
    server.run();
    let last = id(&sign_in(&mut stack));
    let mut client = stack.sign_in().expect("signed in");
    let happened: Vec<u64> = events(&mut client).iter().map(id).collect();
    for input in INPUTS {
        server.await_event(input, last);
        let mut arrived: Vec<u64> = server.arrived(input).iter().map(sequence).collect();
        let doubles = arrived.len();
        arrived.sort_unstable();
        arrived.dedup();
        let wanted = happened.iter().filter(|id| (first..=last).contains(id));
        let missing: Vec<_> = wanted.filter(|id| arrived.binary_search(id).is_err()).collect();
        assert!(missing.is_empty(), "{missing:?} are lost by {input}: {arrived:?}");
        println!("{input}: {} events, {} of them twice", arrived.len(), doubles - arrived.len());
    }
}

#[test]
fn a_server_with_an_unknown_authority_gets_nothing_and_the_reason_is_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Rsyslog::start(&dir.path().join("rsyslog"));
    let other = dir.path().join("other");
    std::fs::create_dir_all(&other).expect("a folder");
    make_certificates(&other);
    let strange = entry("tls", &server.tls_grant(&other));
    let mut stack = appliance(dir.path(), &[strange]);
    await_running(&mut stack, &["tls"]);
    sign_in(&mut stack);
    await_plugins(&mut stack, "the reason", |list| {
        let error = plugin(list, "tls")["last_error"].to_string();
        error.contains("unknown authority") && error.contains("127.0.0.1")
    });
    assert_eq!(server.arrived("tls"), [] as [Value; 0]);
}
