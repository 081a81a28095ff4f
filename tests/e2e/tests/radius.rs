//! Signing in by RADIUS: against FreeRADIUS, and against a server that forges
//! (facts/radius-syslog-smtp.md §1, §2, §6.5).

use evenkeel_e2e::{Client, ClientError, Options, Stack, make_certificates};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

const SECRET: &str = "a long shared secret";

/// FreeRADIUS with a folder of its own.
struct FreeRadius(Child);

/// How FreeRADIUS listens, and whether it proves what it says.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Signed,
    /// As the version of Debian 12 is by itself.
    Unsigned,
    Tls,
}

impl FreeRadius {
    fn start(dir: &Path, port: u16, manner: Manner) -> Self {
        let folder = dir.join("freeradius");
        std::fs::create_dir_all(&folder).expect("a folder");
        let (clients, listen) = match manner {
            Manner::Signed | Manner::Unsigned => (UDP_CLIENT, UDP),
            Manner::Tls => (TLS_CLIENT, TLS),
        };
        if manner == Manner::Tls {
            make_certificates(&folder);
        }
        let sign = if manner == Manner::Unsigned { "" } else { SIGN };
        let config = [("CLIENTS", clients), ("LISTEN", listen), ("SIGN", sign)]
            .into_iter()
            .fold(CONFIG.to_owned(), |text, (word, with)| text.replace(word, with));
        let config = config.replace("DIR", &folder.display().to_string());
        let config = config.replace("PORT", &port.to_string()).replace("SECRET", SECRET);
        let dictionary = "$INCLUDE /usr/share/freeradius/dictionary\n";
        let files =
            [("radiusd.conf", config.as_str()), ("users", USERS), ("dictionary", dictionary)];
        for (name, text) in files {
            std::fs::write(folder.join(name), text).expect("written");
        }
        let log = folder.join("radius.log");
        // An earlier one is not this one's word that it is ready.
        let _ = std::fs::remove_file(&log);
        let child = Command::new("/usr/sbin/freeradius")
            .args(["-f", "-D", "/usr/share/freeradius", "-d"])
            .arg(&folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("freeradius is installed: run `cargo xtask test`");
        let server = Self(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        let ready =
            || std::fs::read_to_string(&log).unwrap_or_default().contains("Ready to process");
        while !ready() {
            assert!(Instant::now() < deadline, "freeradius does not start; see {}", log.display());
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn stack(dir: &Path, port: u16, secret: &str) -> Stack {
    stack_asking(dir, &format!("\"udp://127.0.0.1:{port}\""), secret)
}

/// An appliance whose grant of the server is this.
fn stack_asking(dir: &Path, server: &str, secret: &str) -> Stack {
    let mut options = Options::for_test(dir).expect("built");
    options.daemon_settings = format!(
        "[[plugin]]\nname = \"radius\"\ngrant.net.server = {server}\n\
         grant.secrets.server = \"{secret}\"\nsettings.timeout-s = \"3\"\n\n\
         [login]\nauthenticators = [\"radius\"]\n\n\
         [login.roles]\nevenkeel-admin = \"admin\"\nevenkeel-viewer = \"viewer\"\n"
    );
    Stack::start(options).expect("starts")
}

/// The local administrator, when the plugin runs.
fn admin(stack: &mut Stack) -> Client {
    let mut admin = stack.sign_in().expect("signed in");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let plugins = admin.get("/api/v1/plugins").expect("answered");
        let plugins = plugins.as_array().cloned().unwrap_or_default();
        let radius = plugins.iter().find(|p| p["name"] == "radius").cloned().unwrap_or_default();
        match radius["state"].as_str() {
            Some("running") => return admin,
            Some("starting") | None if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(100));
            }
            _ => panic!("the plugin does not run: {radius:#}"),
        }
    }
}

fn enter(stack: &Stack, user: &str, password: &str) -> Result<(Client, Value), u16> {
    let certificate = stack.certificate().expect("a certificate");
    let mut client = Client::new(stack.address(), &certificate).expect("a client");
    let login = json!({"user": user, "password": password});
    match client.post("/api/v1/login", &login) {
        Ok(answer) => Ok((client, answer)),
        Err(ClientError::Status { status, .. }) => Err(status),
        Err(other) => panic!("{other}"),
    }
}

fn refused(stack: &Stack, user: &str, password: &str) {
    let status = enter(stack, user, password).map(|(_, answer)| answer);
    assert_eq!(status, Err(401), "{user}");
}

/// Wait for an event that says this.
fn told(admin: &mut Client, text: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let events = admin.get("/api/v1/events?limit=100").expect("answered").to_string();
        if events.contains(text) {
            return;
        }
        assert!(Instant::now() < deadline, "{text:?} was not told: {events}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address").port()
}

#[test]
fn people_sign_in_by_freeradius_and_the_local_administrator_without() {
    let dir = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let server = FreeRadius::start(dir.path(), port, Manner::Signed);
    let mut stack = stack(dir.path(), port, SECRET);
    let mut admin = admin(&mut stack);

    let begun = Instant::now();
    let (mut ada, who) = enter(&stack, "ada", "analytical engine").expect("accepted");
    println!("sign-in by RADIUS took {:?}", begun.elapsed());
    assert_eq!((&who["roles"], &who["origin"]), (&json!(["admin"]), &json!("radius")));
    ada.post("/api/v1/orders", &json!({"order": "mute"})).expect("an administrator may");

    let (mut eve, who) = enter(&stack, "eve", "nobody listens").expect("accepted");
    assert_eq!((&who["roles"], &who["origin"]), (&json!(["viewer"]), &json!("radius")));
    eve.get("/api/v1/points").expect("a viewer may look");
    let order = eve.post("/api/v1/orders", &json!({"order": "mute"}));
    assert!(matches!(order, Err(ClientError::Status { status: 403, .. })), "{order:?}");

    refused(&stack, "ada", "difference engine");
    refused(&stack, "bob", "no group at all");
    told(&mut admin, "rejected by radius");
    told(&mut admin, "bob from 127.0.0.1 was accepted by radius and has no role here");

    let (mut grace, asked) = enter(&stack, "grace", "cobol 1959").expect("challenged");
    assert_eq!(asked, json!({"challenge": "Code of your token"}));
    let answer = grace.post("/api/v1/login/answer", &json!({"answer": "123456"}));
    assert_eq!(answer.expect("accepted")["roles"], json!(["admin"]));
    grace.get("/api/v1/points").expect("signed in");

    drop(server);
    refused(&stack, "ada", "analytical engine");
    told(&mut admin, "radius cannot be asked, local accounts sign in alone");
    stack.sign_in().expect("the local administrator always may");

    let _server = FreeRadius::start(dir.path(), port, Manner::Signed);
    enter(&stack, "ada", "analytical engine").expect("accepted again");
    told(&mut admin, "radius decides about sign-ins again");
    stack.check().expect("all programs run");
}

#[test]
fn within_tls_the_server_is_who_its_certificate_says() {
    let dir = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let _server = FreeRadius::start(dir.path(), port, Manner::Tls);
    let authority = dir.path().join("freeradius/ca.pem");
    let server =
        format!("{{ url = \"tls://127.0.0.1:{port}\", ca = \"{}\" }}", authority.display());
    let mut stack = stack_asking(dir.path(), &server, "radsec");
    let mut client = admin(&mut stack);
    let (_, who) = enter(&stack, "ada", "analytical engine").expect("accepted");
    assert_eq!((&who["roles"], &who["origin"]), (&json!(["admin"]), &json!("radius")));
    refused(&stack, "ada", "difference engine");
    told(&mut client, "rejected by radius");
    let (mut grace, asked) = enter(&stack, "grace", "cobol 1959").expect("challenged");
    assert_eq!(asked, json!({"challenge": "Code of your token"}));
    let answer = grace.post("/api/v1/login/answer", &json!({"answer": "123456"}));
    assert_eq!(answer.expect("accepted")["roles"], json!(["admin"]));

    // An authority of the same name that did not sign the server's certificate.
    let other = dir.path().join("other");
    std::fs::create_dir(&other).expect("a folder");
    make_certificates(&other);
    std::fs::copy(other.join("ca.pem"), &authority).expect("replaced");
    stack.daemon.stop();
    stack.restart_daemon().expect("starts again");
    let mut client = admin(&mut stack);
    refused(&stack, "ada", "analytical engine");
    told(&mut client, "radius cannot be asked, local accounts sign in alone");
    told(&mut client, "certificate");
}

#[test]
fn a_server_that_proves_nothing_lets_nobody_in() {
    let dir = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let _server = FreeRadius::start(dir.path(), port, Manner::Unsigned);
    let mut stack = stack(dir.path(), port, SECRET);
    let mut admin = admin(&mut stack);
    refused(&stack, "ada", "analytical engine");
    told(&mut admin, "it has no Message-Authenticator");
    stack.sign_in().expect("the local administrator always may");
}

#[test]
fn a_wrong_secret_is_silence_and_the_event_says_what_to_check() {
    let dir = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let _server = FreeRadius::start(dir.path(), port, Manner::Signed);
    let mut stack = stack(dir.path(), port, "not the secret");
    let mut admin = admin(&mut stack);
    refused(&stack, "ada", "analytical engine");
    told(&mut admin, "no answer from the server in 3 s");
    told(&mut admin, "that the shared secret is the same on both sides");
    stack.sign_in().expect("the local administrator always may");
}

/// An Access-Accept to `request` for an administrator; with `signed`, with a
/// Message-Authenticator.
fn accept(request: &[u8], secret: &[u8], signed: bool) -> Vec<u8> {
    let mut packet = vec![2, request[1], 0, 0];
    packet.extend(&request[4..20]);
    if signed {
        packet.extend([80, 18]);
        packet.extend([0; 16]);
    }
    packet.extend([11, 16]);
    packet.extend(b"evenkeel-admin");
    let len = packet.len() as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    if signed {
        let mut mac = Hmac::<Md5>::new_from_slice(secret).expect("any length");
        mac.update(&packet);
        packet[22..38].copy_from_slice(&mac.finalize().into_bytes());
    }
    let response = Md5::new().chain_update(&packet).chain_update(secret).finalize();
    packet[4..20].copy_from_slice(&response);
    packet
}

#[test]
fn forged_accepts_are_refused() {
    const STRIPPED: u8 = 0;
    const GUESSED: u8 = 1;
    const HONEST: u8 = 2;
    let dir = tempfile::tempdir().expect("a folder");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("an address").port();
    let mode = Arc::new(AtomicU8::new(STRIPPED));
    let now = Arc::clone(&mode);
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let request = &buffer[..len];
            let answer = match now.load(Ordering::SeqCst) {
                STRIPPED => accept(request, SECRET.as_bytes(), false),
                GUESSED => accept(request, b"a guessed secret", true),
                _ => accept(request, SECRET.as_bytes(), true),
            };
            let _ = socket.send_to(&answer, from);
        }
    });
    let mut stack = stack(dir.path(), port, SECRET);
    let mut admin = admin(&mut stack);
    refused(&stack, "mallory", "x");
    told(&mut admin, "it has no Message-Authenticator");
    mode.store(GUESSED, Ordering::SeqCst);
    refused(&stack, "mallory", "x");
    stack.sign_in().expect("the local administrator always may");
    // The same answer with both proofs: it was for them that it was refused.
    mode.store(HONEST, Ordering::SeqCst);
    enter(&stack, "ada", "x").expect("accepted");
}

/// `ada` is an administrator, `eve` may look, `bob` has no role, `grace` has a
/// token. The version of Debian 12 signs answers when told to.
const CONFIG: &str = r#"
name = radius
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = DIR
logdir = DIR
run_dir = DIR
db_dir = DIR
log {
    destination = files
    file = DIR/radius.log
}
security {
    reject_delay = 0
}
thread pool {
    start_servers = 1
    max_servers = 4
}
CLIENTS
modules {
    files {
        filename = DIR/users
    }
    pap {
    }
}
server default {
    LISTEN
    authorize {
        if (&User-Name == "grace" && !&State && &User-Password == "cobol 1959") {
            update reply {
                &State := 0x5331
                &Reply-Message := "Code of your token"
            }
            update control {
                &Auth-Type := Accept
                &Response-Packet-Type := Access-Challenge
            }
        }
        elsif (&User-Name == "grace" && &State == 0x5331 && &User-Password == "123456") {
            update reply {
                &Filter-Id := "evenkeel-admin"
            }
            update control {
                &Auth-Type := Accept
            }
        }
        else {
            files
            pap
        }
    }
    authenticate {
        Auth-Type PAP {
            pap
        }
    }
SIGN
}
"#;

/// The Class of `eve` is "evenkeel-viewer".
const USERS: &str = r#"
ada Cleartext-Password := "analytical engine"
	Filter-Id = "evenkeel-admin"

eve Cleartext-Password := "nobody listens"
	Class = 0x6576656e6b65656c2d766965776572

bob Cleartext-Password := "no group at all"
	Filter-Id = "staff"
"#;

/// Answers carry their proof.
const SIGN: &str = r#"
    post-auth {
        update reply {
            &Message-Authenticator := 0x00
        }
        Post-Auth-Type REJECT {
            update reply {
                &Message-Authenticator := 0x00
            }
        }
        Post-Auth-Type Challenge {
            update reply {
                &Message-Authenticator := 0x00
            }
        }
    }
"#;

const UDP_CLIENT: &str = r#"
client appliance {
    ipaddr = 127.0.0.1
    secret = "SECRET"
    require_message_authenticator = yes
}
"#;

const UDP: &str = "
    listen {
        type = auth
        ipaddr = 127.0.0.1
        port = PORT
    }
";

const TLS_CLIENT: &str = "
clients radsec {
    client appliance {
        ipaddr = 127.0.0.1
        proto = tls
        secret = radsec
        require_message_authenticator = yes
    }
}
";

const TLS: &str = r#"
    listen {
        type = auth
        proto = tcp
        ipaddr = 127.0.0.1
        port = PORT
        clients = radsec
        tls {
            private_key_file = DIR/server.key
            certificate_file = DIR/server.pem
            ca_file = DIR/ca.pem
            require_client_cert = no
            tls_min_version = "1.2"
            tls_max_version = "1.3"
        }
    }
"#;
