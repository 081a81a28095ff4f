//! The capability against peers on the loopback, good and bad.

use super::*;
use crate::caps::testing::Place;
use crate::grants::{Authorities, Pin, Trust};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use wit::{Host as _, HostConnection as _, HostDatagrams as _};

const LONG_MS: u32 = 20_000;

/// A plugin that may reach `peers`, and how it is told to stop.
fn client(peers: &[(&str, Endpoint)]) -> (NetClient, Arc<Stop>) {
    let mut place = Place::default();
    for (name, endpoint) in peers {
        place.grants.net.insert((*name).to_owned(), endpoint.clone());
    }
    (NetClient::new(&place.site()), Arc::clone(&place.stop))
}

fn endpoint(text: &str) -> Endpoint {
    text.parse().expect("good")
}

/// A listener on the loopback, and the endpoint that leads there.
fn listener(scheme: &str) -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, endpoint(&format!("{scheme}://{address}")))
}

fn connect(net: &mut NetClient, timeout_ms: u32) -> Result<Resource<Connection>, wit::Error> {
    net.connect("server".into(), timeout_ms).expect("no trap")
}

fn read(net: &mut NetClient, connection: &Resource<Connection>) -> Result<Vec<u8>, wit::Error> {
    net.read(Resource::new_borrow(connection.rep()), 100, LONG_MS).expect("no trap")
}

fn write(
    net: &mut NetClient,
    connection: &Resource<Connection>,
    data: &[u8],
) -> Result<(), wit::Error> {
    net.write(Resource::new_borrow(connection.rep()), data.to_vec(), LONG_MS).expect("no trap")
}

/// What went wrong: the code, and the text for the administrator.
fn failed<T>(result: Result<T, wit::Error>) -> (u32, String) {
    result.map(|_| ()).map_err(|e| (e.code, e.detail)).expect_err("an error")
}

/// Answers one connection with what it was sent.
fn echo(listener: TcpListener) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let (mut peer, _) = listener.accept().expect("a connection");
        let mut data = [0; 100];
        while let Ok(len @ 1..) = peer.read(&mut data) {
            peer.write_all(&data[..len]).expect("sent");
        }
    })
}

#[test]
fn without_a_grant_everything_is_denied() {
    let (mut net, _stop) = client(&[("server", endpoint("tcp://127.0.0.1:9"))]);
    let connected = net.connect("other\n".into(), LONG_MS).expect("no trap");
    let (code, text) = failed(connected);
    assert_eq!(
        (code, text.as_str()),
        (1, "the peer \"other\u{fffd}\" is not granted to this plugin")
    );
    assert_eq!(failed(net.open("other".into()).expect("no trap")).0, 1);
    assert_eq!(failed(net.transport_of("other".into()).expect("no trap")).0, 1);
}

#[test]
fn what_is_written_arrives_and_what_is_answered_is_read() {
    let (listener, endpoint) = listener("tcp");
    let peer = echo(listener);
    let (mut net, _stop) = client(&[("server", endpoint)]);
    let transport = net.transport_of("server".into()).expect("no trap").expect("granted");
    assert_eq!(transport, wit::Transport::Tcp);
    let connection = connect(&mut net, LONG_MS).expect("connected");
    write(&mut net, &connection, b"hello").expect("sent");
    assert_eq!(read(&mut net, &connection).expect("answered"), b"hello");
    // Nothing comes; the connection is as good as before.
    let borrowed = Resource::new_borrow(connection.rep());
    assert_eq!(failed(net.read(borrowed, 100, 0).expect("no trap")).0, 4);
    write(&mut net, &connection, b"again").expect("sent");
    assert_eq!(read(&mut net, &connection).expect("answered"), b"again");
    wit::HostConnection::drop(&mut net, connection).expect("known");
    peer.join().expect("the peer sees the end");
}

#[test]
fn a_peer_that_refuses_is_named() {
    let (listener, endpoint) = listener("tcp");
    let shown = endpoint.to_string();
    drop(listener);
    let (mut net, _stop) = client(&[("server", endpoint)]);
    let (code, text) = failed(connect(&mut net, LONG_MS));
    assert_eq!(
        (code, text),
        (3, format!("{shown}: it refuses; check its port and that the service there runs"))
    );
}

#[test]
fn a_peer_without_a_way_to_it_is_unreachable() {
    // Which addresses have no route depends on the machine; what the system
    // says then does not.
    let fault =
        Fault::from(io::Error::from_raw_os_error(rustix::io::Errno::HOSTUNREACH.raw_os_error()));
    let error: wit::Error = Peer::new(&endpoint("tcp://192.0.2.7:9"), None).failed(fault).into();
    assert_eq!(error.code, 2);
    assert!(
        error.detail.starts_with("tcp://192.0.2.7:9: it cannot be reached; check"),
        "{error:?}"
    );
    let (mut net, _stop) = client(&[("server", endpoint("tcp://name.invalid:9"))]);
    let (code, text) = failed(connect(&mut net, LONG_MS));
    assert_eq!(code, 2, "{text}");
    assert!(text.starts_with("tcp://name.invalid:9: its name "), "{text}");
}

#[test]
fn a_name_that_leads_back_into_the_appliance_is_denied() {
    let (listener, _) = listener("tcp");
    let port = listener.local_addr().expect("bound").port();
    let peer = endpoint(&format!("tcp://localhost:{port}"));
    let (mut net, _stop) = client(&[("server", peer)]);
    let (code, text) = failed(connect(&mut net, LONG_MS));
    assert_eq!(code, 1);
    assert!(text.contains("is the appliance's own or everybody's"), "{text}");
}

/// A listener whose queue of connections is full: further ones are not answered.
fn deaf() -> (TcpListener, Vec<TcpStream>, Endpoint) {
    let socket = stream::socket("127.0.0.1:0".parse().expect("good"), SocketType::STREAM);
    let socket = socket.expect("a socket");
    rustix::net::bind(&socket, &std::net::SocketAddrV4::new([127, 0, 0, 1].into(), 0))
        .expect("bound");
    rustix::net::listen(&socket, 0).expect("listens");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("bound");
    let waiting = (0..2)
        .filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok())
        .collect();
    (listener, waiting, endpoint(&format!("tcp://{address}")))
}

#[test]
fn a_peer_that_does_not_answer_is_late() {
    let (_listener, _waiting, endpoint) = deaf();
    let (mut net, _stop) = client(&[("server", endpoint)]);
    let begun = Instant::now();
    let (code, text) = failed(connect(&mut net, 100));
    assert_eq!(code, 4, "{text}");
    assert!(text.ends_with("no answer in time while connecting"), "{text}");
    assert!((100..5_000).contains(&begun.elapsed().as_millis()));
}

#[test]
fn a_peer_that_takes_nothing_is_late_and_the_connection_over() {
    let (listener, endpoint) = listener("tcp");
    let (mut net, _stop) = client(&[("server", endpoint)]);
    let connection = connect(&mut net, LONG_MS).expect("connected");
    let _silent = listener.accept().expect("a connection");
    let mut send = || {
        let borrowed = Resource::new_borrow(connection.rep());
        net.write(borrowed, vec![0; BYTES_MAX], 100).expect("no trap")
    };
    let full = (0..60).find_map(|_| send().err()).expect("the system buffers no 4 MB");
    assert_eq!(full.code, 4, "{}", full.detail);
    assert_eq!(failed(send()).0, 5, "how much arrived is not known");
}

#[test]
fn a_peer_that_ends_the_connection_is_seen() {
    let (listener, endpoint) = listener("tcp");
    let (mut net, _stop) = client(&[("server", endpoint)]);
    let connection = connect(&mut net, LONG_MS).expect("connected");
    let (mut peer, _) = listener.accept().expect("a connection");
    peer.write_all(b"bye").expect("sent");
    drop(peer);
    assert_eq!(read(&mut net, &connection).expect("the last words"), b"bye");
    let (code, text) = failed(read(&mut net, &connection));
    assert_eq!(code, 5);
    assert!(text.ends_with("it ended the connection"), "{text}");
    assert_eq!(failed(write(&mut net, &connection, b"x")).0, 5);
}

#[test]
fn stop_wakes_whoever_waits() {
    let (listener, endpoint) = listener("tcp");
    let (mut net, stop) = client(&[("server", endpoint)]);
    let connection = connect(&mut net, LONG_MS).expect("connected");
    let _silent = listener.accept().expect("a connection");
    let begun = Instant::now();
    let stopper = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        stop.request();
    });
    let (code, text) = failed(read(&mut net, &connection));
    assert_eq!(code, 9);
    assert!(text.ends_with("the plugin is being stopped"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    stopper.join().expect("no panic");
    assert_eq!(failed(connect(&mut net, LONG_MS)).0, 9);
}

#[test]
fn numbers_out_of_range_are_refused() {
    let (listener, endpoint) = listener("tcp");
    let (mut net, _stop) = client(&[("server", endpoint)]);
    assert_eq!(failed(connect(&mut net, 0)).0, 8);
    let connection = connect(&mut net, u32::MAX).expect("clamped");
    let _peer = listener.accept().expect("a connection");
    let borrowed = || Resource::new_borrow(connection.rep());
    assert_eq!(failed(net.read(borrowed(), 0, 1).expect("no trap")).0, 8);
    assert_eq!(failed(net.read(borrowed(), 65_537, 1).expect("no trap")).0, 8);
    assert_eq!(failed(net.write(borrowed(), vec![0; 65_537], 1).expect("no trap")).0, 8);
    assert_eq!(failed(net.write(borrowed(), vec![0; 1], 0).expect("no trap")).0, 8);
    net.write(borrowed(), Vec::new(), 1).expect("no trap").expect("nothing to do");
}

#[test]
fn datagrams_are_no_connections_and_the_other_way_round() {
    let (mut net, _stop) = client(&[
        ("server", endpoint("udp://127.0.0.1:9")),
        ("stream", endpoint("tls://127.0.0.1:9")),
    ]);
    let (code, text) = failed(connect(&mut net, LONG_MS));
    assert_eq!(code, 8);
    assert!(text.contains("grant it as tcp:// or tls://"), "{text}");
    let (code, text) = failed(net.open("stream".into()).expect("no trap"));
    assert_eq!(code, 8);
    assert!(text.contains("grant it as udp://"), "{text}");
}

#[test]
fn connecting_in_a_loop_is_quota_and_so_are_handles() {
    let (listener, peer) = listener("tcp");
    let (mut net, _stop) = client(&[("server", peer)]);
    for _ in 0..CONNECTS_BURST {
        let connection = connect(&mut net, LONG_MS).expect("connected");
        wit::HostConnection::drop(&mut net, connection).expect("known");
        drop(listener.accept().expect("a connection"));
    }
    let (code, text) = failed(connect(&mut net, LONG_MS));
    assert_eq!(code, 7);
    assert!(text.contains("keep the connection open"), "{text}");

    let (mut net, _stop) = client(&[("server", endpoint("udp://127.0.0.1:9"))]);
    net.connects = SharedBucket::new(Bucket::new(1_000, CONNECTS_INTERVAL, clock::now()));
    let mut open = || net.open("server".into()).expect("no trap");
    let mut held: Vec<_> = (0..HANDLES_MAX).map(|_| open().expect("room")).collect();
    assert_eq!(failed(open()).0, 7);
    let datagrams = held.pop().expect("64 sockets");
    wit::HostDatagrams::drop(&mut net, datagrams).expect("known");
    net.open("server".into()).expect("no trap").expect("room again");
}

#[test]
fn sending_without_end_is_quota() {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = receiver.local_addr().expect("bound");
    let (mut net, _stop) = client(&[("server", endpoint(&format!("udp://{address}")))]);
    let datagrams = net.open("server".into()).expect("no trap").expect("open");
    let mut send = |len| {
        let borrowed = Resource::new_borrow(datagrams.rep());
        net.send(borrowed, vec![0; len]).expect("no trap")
    };
    let sent = (0..2_000).take_while(|_| send(DATAGRAM_BYTES_MAX).is_ok()).count();
    assert!((512..1_000).contains(&sent), "{sent} times 8 KiB, of 4 MiB and what is refilled");
    assert_eq!(failed(send(DATAGRAM_BYTES_MAX)).0, 7);
    assert_eq!(failed(send(DATAGRAM_BYTES_MAX + 1)).0, 8);
}

#[test]
fn whoever_falls_and_starts_again_has_not_more_of_the_network() {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = receiver.local_addr().expect("bound");
    let mut place = Place::default();
    place.grants.net.insert("server".into(), endpoint(&format!("udp://{address}")));
    let (mut opened, mut sent) = (0, 0);
    // A new instance each time, that sends as much as it can.
    for _ in 0..2 * CONNECTS_BURST {
        let mut net = NetClient::new(&place.site());
        let Ok(datagrams) = net.open("server".into()).expect("no trap") else { continue };
        opened += 1;
        let mut send = || {
            let borrowed = Resource::new_borrow(datagrams.rep());
            net.send(borrowed, vec![0; DATAGRAM_BYTES_MAX]).expect("no trap")
        };
        sent += (0..2_000).take_while(|_| send().is_ok()).count();
    }
    assert!((CONNECTS_BURST..2 * CONNECTS_BURST).contains(&opened), "{opened}");
    assert!((512..1_000).contains(&sent), "{sent} times 8 KiB, of 4 MiB and what is refilled");
    place.who.name = "another".into();
    let mut other = NetClient::new(&place.site());
    other.open("server".into()).expect("no trap").expect("has its own");
}

#[test]
fn datagrams_come_from_the_peer_alone() {
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = peer.local_addr().expect("bound");
    let (mut net, _stop) = client(&[("server", endpoint(&format!("udp://{address}")))]);
    let datagrams = net.open("server".into()).expect("no trap").expect("open");
    let borrowed = || Resource::new_borrow(datagrams.rep());
    net.send(borrowed(), b"ping".to_vec()).expect("no trap").expect("sent");
    let mut data = [0; 10];
    let (len, from) = peer.recv_from(&mut data).expect("arrived");
    assert_eq!(&data[..len], b"ping");
    stranger.send_to(b"evil", from).expect("sent");
    // Longer than what is passed on.
    peer.send_to(&[0; DATAGRAM_BYTES_MAX + 1], from).expect("sent");
    peer.send_to(b"pong", from).expect("sent");
    let received = net.receive(borrowed(), LONG_MS).expect("no trap");
    assert_eq!(received.expect("the peer's"), b"pong");
    assert_eq!(failed(net.receive(borrowed(), 0).expect("no trap")).0, 4);
    // The system tells when nobody is there any more.
    drop(peer);
    net.send(borrowed(), b"ping".to_vec()).expect("no trap").expect("sent");
    assert_eq!(failed(net.receive(borrowed(), LONG_MS).expect("no trap")).0, 3);
}

/// An authority, and what it issues.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("good");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("made");
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).expect("written");
        Self { issuer, dir }
    }

    fn trust(&self) -> Trust {
        Trust { ca: Some(Authorities::File(self.dir.path().join("ca.pem"))), ..Trust::default() }
    }

    /// A peer within TLS with a certificate for `name`, valid from `from` to
    /// `to` days from now, that sends back what it is sent.
    fn serve(&self, name: &str, from: i64, to: i64) -> Served {
        let day = |days: i64| time::OffsetDateTime::now_utc() + time::Duration::days(days);
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("good");
        (params.not_before, params.not_after) = (day(from), day(to));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let pin = Pin(Sha256::digest(certificate.der()).into());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("they fit");
        let (listener, endpoint) = listener("tls");
        let peer = thread::spawn(move || {
            let (socket, _) = listener.accept().expect("a connection");
            let session = ServerConnection::new(Arc::new(config)).expect("a session");
            let mut stream = StreamOwned::new(session, socket);
            let mut data = [0; 65_536];
            while let Ok(len @ 1..) = stream.read(&mut data) {
                if stream.write_all(&data[..len]).is_err() {
                    break;
                }
            }
        });
        Served { endpoint, pin, peer }
    }
}

struct Served {
    endpoint: Endpoint,
    pin: Pin,
    peer: thread::JoinHandle<()>,
}

impl Served {
    /// Connect with this trust; what the peer sent back, or the error.
    fn ask(mut self, trust: Trust) -> Result<Vec<u8>, wit::Error> {
        self.endpoint.trust = trust;
        let (mut net, _stop) = client(&[("server", self.endpoint)]);
        let connection = connect(&mut net, LONG_MS)?;
        write(&mut net, &connection, b"hello")?;
        let answer = read(&mut net, &connection)?;
        wit::HostConnection::drop(&mut net, connection).expect("known");
        self.peer.join().expect("ends with the connection");
        Ok(answer)
    }
}

#[test]
fn a_peer_with_a_good_certificate_is_spoken_to() {
    let authority = Authority::new("a");
    let answer = authority.serve("127.0.0.1", -1, 1).ask(authority.trust());
    assert_eq!(answer.expect("trusted"), b"hello");
    let pem = authority.issuer.pem().parse().expect("PEM");
    let within = Trust { ca: Some(pem), ..Trust::default() };
    let answer = authority.serve("127.0.0.1", -1, 1).ask(within);
    assert_eq!(answer.expect("trusted by the grant's own text"), b"hello");
    let server_name = Some("logs.example".parse().expect("a name"));
    let trust = Trust { server_name, ..authority.trust() };
    let answer = authority.serve("logs.example", -1, 1).ask(trust);
    assert_eq!(answer.expect("trusted under its name"), b"hello");
}

#[test]
fn expired_misnamed_and_unknown_certificates_are_told_apart() {
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let namesake = Authority::new("a");
    let served = |name, from, to| authority.serve(name, from, to);
    let system = Trust::default();
    for (served, trust, why) in [
        (served("127.0.0.1", -3, -1), authority.trust(), "has expired; renew it"),
        (served("127.0.0.1", 1, 3), authority.trust(), "not valid yet"),
        (served("logs.example", -1, 1), authority.trust(), "is for another name"),
        (served("127.0.0.1", -1, 1), other.trust(), "from an unknown authority"),
        (served("127.0.0.1", -1, 1), namesake.trust(), "bears a known one's name"),
        (served("127.0.0.1", -1, 1), system, "authorit"),
    ] {
        let shown = served.endpoint.to_string();
        let (code, text) = failed(served.ask(trust));
        assert_eq!(code, 6, "{text}");
        assert!(text.starts_with(&shown) && text.contains(why), "{text}");
    }
}

#[test]
fn a_pinned_certificate_is_trusted_and_no_other() {
    let authority = Authority::new("a");
    let served = authority.serve("logs.example", -3, -1);
    let pin = served.pin;
    let pinned = Trust { pin_sha256: Some(pin), ..Trust::default() };
    assert_eq!(served.ask(pinned.clone()).expect("the very one"), b"hello");
    let (code, text) = failed(authority.serve("logs.example", -3, -1).ask(pinned));
    assert_eq!(code, 6);
    assert!(text.contains("is not the pinned one"), "{text}");
    let served = authority.serve("127.0.0.1", -3, -1);
    let both = Trust { pin_sha256: Some(served.pin), ..authority.trust() };
    assert!(failed(served.ask(both)).1.contains("has expired"), "with `ca` both must hold");
}

#[test]
fn a_lot_goes_through_tls_in_both_directions() {
    let authority = Authority::new("a");
    let mut served = authority.serve("127.0.0.1", -1, 1);
    served.endpoint.trust = authority.trust();
    let (mut net, _stop) = client(&[("server", served.endpoint)]);
    let connection = connect(&mut net, LONG_MS).expect("connected");
    let data: Vec<u8> = (0..BYTES_MAX).map(|i| (i % 251) as u8).collect();
    write(&mut net, &connection, &data).expect("sent");
    let mut back = Vec::new();
    while back.len() < data.len() {
        let borrowed = Resource::new_borrow(connection.rep());
        back.extend(net.read(borrowed, 65_536, LONG_MS).expect("no trap").expect("more"));
    }
    assert!(back == data);
}

#[test]
fn what_speaks_no_tls_is_said_to_be_so() {
    let authority = Authority::new("a");
    let (listener, mut peer) = listener("tls");
    peer.trust = authority.trust();
    let other = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a connection");
        socket.write_all(b"220 mail.example ESMTP\r\n").expect("sent");
        // Until the other side has seen it.
        let _ = socket.read(&mut [0; 1_000]);
        let _ = socket.read(&mut [0; 1_000]);
    });
    let (mut net, _stop) = client(&[("server", peer.clone())]);
    let (code, text) = failed(connect(&mut net, LONG_MS));
    assert_eq!(code, 6);
    assert!(text.contains("does not speak TLS; check the port"), "{text}");
    other.join().expect("no panic");
    // Nobody answers at all: the handshake is what took too long.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    peer.port = silent.local_addr().expect("bound").port();
    let (mut net, _stop) = client(&[("server", peer)]);
    let (code, text) = failed(connect(&mut net, 200));
    assert_eq!(code, 4);
    assert!(text.contains("while agreeing on TLS"), "{text}");
}
