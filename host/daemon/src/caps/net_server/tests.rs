//! Listeners over real sockets, in front of a gateway that runs.
//!
//! The gateway consumes one byte at a time and sends it back doubled. `x`
//! makes it trap, `c` closes, `w` wants more than there is, `u` is answered
//! unasked, `t` tells how often `closed` was called.

use super::limits::{PER_SOURCE_MAX, TURNS_MAX};
use super::wit::Host as _;
use super::{NetServer, Servers};
use crate::caps::Services;
use crate::caps::testing::Place;
use crate::certificate::Certificates;
use crate::config::PluginGrant;
use crate::plugin::Supervisor;
use crate::plugin::fixture::{self, Fixture};
use crate::plugin::supervisor::RosterStore;

use crate::plugin_status::{PluginList as _, PluginState};
use evenkeel_signing::{Permission, PluginManifest};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SERVE: &str = r#"(local.set $byte (i32.load8_u (local.get $data)))
    (i32.store (i32.const 64) (i32.const 1))
    (i32.store (i32.const 68) (i32.const 128))
    (i32.store (i32.const 72) (i32.const 2))
    (i32.store8 (i32.const 76) (i32.const 0))
    (i32.store8 (i32.const 128) (local.get $byte))
    (i32.store8 (i32.const 129) (local.get $byte))
    (if (i32.eq (local.get $byte) (i32.const 120)) (then unreachable))
    (if (i32.eq (local.get $byte) (i32.const 99)) (then (i32.store8 (i32.const 76) (i32.const 1))))
    (if (i32.eq (local.get $byte) (i32.const 119))
        (then (i32.store (i32.const 64) (i32.const 0)) (i32.store (i32.const 72) (i32.const 0))))
    (if (i32.eq (local.get $byte) (i32.const 117))
        (then (call $send (local.get $connection) (i32.const 128) (i32.const 2) (i32.const 256))
            (i32.store (i32.const 72) (i32.const 0))))
    (if (i32.eq (local.get $byte) (i32.const 116))
        (then (i32.store8 (i32.const 128) (i32.add (i32.const 48) (i32.load8_u (i32.const 2048))))))
    (i32.const 64)"#;

/// A store that keeps nothing.
struct Forgetful;

impl RosterStore for Forgetful {
    fn load(&self) -> Result<Option<String>, String> {
        Ok(None)
    }

    fn save(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

struct Running {
    supervisor: Supervisor,
    services: Services,
    address: SocketAddr,
    certificates: Arc<Certificates>,
    fixture: Fixture,
}

/// A gateway behind `scheme` on a port of its own.
async fn run(scheme: &str) -> Running {
    let address = match scheme {
        "udp" => UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()),
        _ => TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()),
    };
    let address = address.expect("a free port");
    let fixture = Fixture::new();
    let listen = Permission {
        interface: fixture::NET_SERVER.into(),
        what: "peers".into(),
        reason: "answers them".into(),
    };
    let manifest = PluginManifest {
        name: "echo".into(),
        world: "evenkeel:gateway/gateway@0.1.0".into(),
        permissions: vec![listen],
        ..fixture::manifest(&[fixture::NET_SERVER])
    };
    let raw = fixture.seal(&manifest, &fixture::gateway(SERVE));
    std::fs::write(fixture.dir.path().join("echo.evkp"), raw).expect("written");
    fixture.put_key();
    let listen = format!("{scheme}://{address}").parse().expect("an address");
    let mut plugin = PluginGrant::new("echo");
    plugin.grant.listen.insert("peers".to_owned(), listen);
    let dir = fixture.dir.path();
    let config = fixture::config(dir, vec![plugin]);
    let certificates = Certificates::new(dir.into());
    let servers = Servers::new(tokio::runtime::Handle::current(), certificates.clone());
    let services = Services { servers: Arc::new(servers), ..Services::default() };
    let store = Box::new(Forgetful);
    let supervisor = Supervisor::start(&config, services.clone(), Arc::new(|_| {}), store);
    let supervisor = supervisor.expect("starts");
    let running = Running { supervisor, services, address, certificates, fixture };
    running.wait("running", |state, _| state == PluginState::Running).await;
    running
}

impl Running {
    async fn wait(&self, what: &str, wanted: impl Fn(PluginState, u64) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.supervisor.plugins().remove(0);
            if wanted(status.state, status.traps) {
                return;
            }
            assert!(Instant::now() < deadline, "not {what}: {status:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn connect(&self) -> TcpStream {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match TcpStream::connect(self.address).await {
                Ok(stream) => return stream,
                Err(e) => assert!(Instant::now() < deadline, "{e}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// What comes back, until there are `len` bytes or the connection is over.
async fn answer(stream: &mut TcpStream, len: usize) -> String {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 64]);
    while bytes.len() < len {
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut chunk)).await;
        match read.expect("in time") {
            Ok(n) if n > 0 => bytes.extend_from_slice(&chunk[..n]),
            _ => break,
        }
    }
    String::from_utf8(bytes).expect("text")
}

/// Everything until the connection is over.
async fn answer_of(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut bytes)).await;
    // A reset is an end, too.
    let _ = read.expect("in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn ask(stream: &mut TcpStream, bytes: &str) -> String {
    stream.write_all(bytes.as_bytes()).await.expect("sent");
    answer(stream, 2 * bytes.len()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_in_order_and_what_is_not_whole_waits() {
    let running = run("tcp").await;
    let mut one = running.connect().await;
    let mut other = running.connect().await;
    assert_eq!(ask(&mut one, "abca").await, "aabbcc", "`c` closes");
    assert_eq!(ask(&mut other, "123").await, "112233");
    assert_eq!(ask(&mut other, "u").await, "uu");
    // Told of the one that is over.
    assert_eq!(ask(&mut other, "t").await, "1t");
    other.write_all(b"w").await.expect("sent");
    let more = tokio::time::timeout(Duration::from_millis(200), other.read_u8()).await;
    assert!(more.is_err(), "nothing is answered before it is whole");
}

/// Numbers count from one for every plugin, so they are easy to guess.
#[tokio::test(flavor = "multi_thread")]
async fn another_plugin_s_connections_are_out_of_reach() {
    let running = run("tcp").await;
    let mut stream = running.connect().await;
    assert_eq!(ask(&mut stream, "a").await, "aa");
    let mut here = Place::default();
    here.services = running.services.clone();
    let mut other = NetServer::new(&here.site());
    for number in 0..20 {
        let sent = other.send(number, b"forged".to_vec()).expect_err("there is none");
        assert_eq!((sent.code, sent.detail.as_str()), (1, "the connection is closed"));
        other.close(number);
    }
    assert_eq!(here.meter.traffic().net_sent, 0);
    assert_eq!(ask(&mut stream, "b").await, "bb", "neither written to nor closed");
    // The same calls of the one whose connection it is.
    here.who.name = "echo".into();
    let mut owner = NetServer::new(&here.site());
    owner.send(1, b"own".to_vec()).expect("sent");
    owner.close(1);
    assert_eq!(answer_of(&mut stream).await, "own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_costs_one_connection_and_the_others_wait_for_the_restart() {
    let running = run("tcp").await;
    let (mut bad, mut good) = (running.connect().await, running.connect().await);
    assert_eq!(ask(&mut good, "a").await, "aa");
    bad.write_all(b"x").await.expect("sent");
    assert_eq!(answer(&mut bad, 1).await, "", "closed");
    running.wait("trapped", |_, traps| traps == 1).await;
    // From the same place nothing is taken for a while, and new ones are shut
    // out; the connection itself lives.
    let mut late = running.connect().await;
    assert_eq!(answer(&mut late, 1).await, "", "held off");
    let begun = Instant::now();
    assert_eq!(ask(&mut good, "b").await, "bb");
    assert!(begun.elapsed() > Duration::from_secs(5), "after the source was held off");
    running.wait("running", |state, traps| state == PluginState::Running && traps == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_source_has_so_many_connections_and_gives_them_back() {
    let running = run("tcp").await;
    let mut open = Vec::new();
    for _ in 0..PER_SOURCE_MAX {
        let mut stream = running.connect().await;
        assert_eq!(ask(&mut stream, "a").await, "aa");
        open.push(stream);
    }
    let mut more = running.connect().await;
    assert_eq!(answer(&mut more, 1).await, "", "refused");
    let mut first = open.remove(0);
    assert_eq!(ask(&mut first, "c").await, "cc");
    assert_eq!(answer(&mut first, 1).await, "", "closed");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut again = running.connect().await;
        again.write_all(b"a").await.expect("sent");
        if answer(&mut again, 2).await == "aa" {
            break;
        }
        assert!(Instant::now() < deadline);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn within_tls_it_shows_the_certificate_of_the_console() {
    let running = run("tls").await;
    // There is no certificate before the console has made one.
    let dir = running.fixture.dir.path();
    running.certificates.open("ups", crate::clock::unix_ms()).expect("an own certificate");
    let mut roots = rustls::RootCertStore::empty();
    let pem = dir.join("console-certificate.pem");
    let certificate: rustls::pki_types::CertificateDer<'_> =
        rustls::pki_types::pem::PemObject::from_pem_file(pem).expect("a certificate");
    roots.add(certificate).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let name = "localhost".try_into().expect("a name");
    let tcp = running.connect().await;
    let mut within = connector.connect(name, tcp).await.expect("a trusted handshake");
    within.write_all(b"a").await.expect("sent");
    let mut answer = [0; 2];
    within.read_exact(&mut answer).await.expect("answered");
    assert_eq!(&answer, b"aa");
    let mut plain = running.connect().await;
    plain.write_all(b"plain text is not spoken here").await.expect("sent");
    assert!(!answer_of(&mut plain).await.contains('p'));
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_are_answered_one_by_one() {
    let running = run("udp").await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let mut buffer = [0; 16];
    for (sent, wanted) in [("a", "aa"), ("bzzz", "bb"), ("u", "uu")] {
        let deadline = Instant::now() + Duration::from_secs(10);
        let len = loop {
            socket.send_to(sent.as_bytes(), running.address).await.expect("sent");
            let wait = Duration::from_millis(500);
            let received = tokio::time::timeout(wait, socket.recv(&mut buffer)).await;
            if let Ok(Ok(len)) = received {
                break len;
            }
            assert!(Instant::now() < deadline, "no answer to {sent}");
        };
        assert_eq!(&buffer[..len], wanted.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_is_free_when_the_plugin_is_stopped() {
    let running = run("tcp").await;
    let mut open = running.connect().await;
    assert_eq!(ask(&mut open, "a").await, "aa");
    running.supervisor.stop();
    assert_eq!(answer(&mut open, 1).await, "", "closed with it");
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(running.address).await.is_ok() {
        assert!(Instant::now() < deadline, "still listening");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What is said of connections while this is held, on this thread.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `w` is never a whole request: it could go on for ever. On one thread, whose
/// log is heard.
#[tokio::test]
async fn a_peer_that_fills_the_buffer_is_closed_and_the_others_are_answered() {
    let said = Said::default();
    let writer = said.clone();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    let _heard = tracing::subscriber::set_default(log);
    let running = run("tcp").await;
    let (mut bad, mut good) = (running.connect().await, running.connect().await);
    let mut sent = 0;
    // The system buffers some of it; what it takes is bounded all the same.
    while sent < 16 << 20 && bad.write_all(&[b'w'; 4_096]).await.is_ok() {
        sent += 4_096;
    }
    assert_eq!(answer_of(&mut bad).await, "", "closed, and nothing answered");
    assert_eq!(ask(&mut good, "a").await, "aa");
    let said = String::from_utf8(said.0.lock().expect("no panic").clone()).expect("text");
    assert!(said.contains("echo finds no request in 65536 bytes"), "{said}");
}

/// While the plugin is busy, requests of three sources wait for their turns;
/// commands and events still find room in its inbox.
#[tokio::test(flavor = "multi_thread")]
async fn requests_leave_room_in_the_inbox_of_a_busy_plugin() {
    let running = run("tcp").await;
    let slot = running.supervisor.slot("echo").expect("installed");
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (begun, busy) = std::sync::mpsc::channel::<()>();
    let busied = slot.inbox.ask(move |_| {
        begun.send(()).expect("awaited");
        // Until the test lets go of it.
        let _ = held.recv();
        Ok(())
    });
    let _busied = busied.map_err(|undone| format!("{undone}")).expect("asked");
    busy.recv_timeout(Duration::from_secs(20)).expect("it is busy");
    let mut waiting = Vec::new();
    for source in 1..=3 {
        for _ in 0..PER_SOURCE_MAX {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind(SocketAddr::from(([127, 0, 0, source], 0))).expect("an address of ours");
            let mut stream = socket.connect(running.address).await.expect("connected");
            stream.write_all(b"a").await.expect("sent");
            waiting.push(stream);
        }
    }
    assert!(waiting.len() > 2 * TURNS_MAX);
    // All that may have come to the inbox have when as many are there.
    let deadline = Instant::now() + Duration::from_secs(20);
    while slot.inbox.waiting() < TURNS_MAX {
        assert!(Instant::now() < deadline, "{} wait", slot.inbox.waiting());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = slot.inbox.ask(|_| Ok(7)).map_err(|undone| format!("{undone}"));
    assert_eq!(slot.inbox.waiting(), TURNS_MAX + 1, "the rest waits for its turn");
    release.send(()).expect("it waits");
    let mut asked = asked.expect("there is room");
    let answered = tokio::time::timeout(Duration::from_secs(20), &mut asked).await;
    assert!(matches!(answered, Ok(Ok(7))), "a command is carried out");
    for stream in &mut waiting {
        assert_eq!(answer(stream, 2).await, "aa", "everybody has a turn");
    }
}
