//! A certificate of somebody's own authority, made by OpenSSL: requested over the
//! API, shown on trial, confirmed, shown by a gateway too and after a restart,
//! and given up again.

use evenkeel_e2e::{Client, ClientError, Options, PATIENCE, Stack, make_certificates, sign};
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn conflict(answer: Result<Value, ClientError>) -> String {
    match answer {
        Err(ClientError::Status { status: 409, body, .. }) => body,
        other => panic!("was answered {other:?}"),
    }
}

/// Whether somebody who trusts this authority alone reaches the console.
fn reaches(stack: &Stack, authority: &[u8]) -> bool {
    let mut client = Client::new(stack.address(), authority).expect("a client");
    match client.get("/api/v1/session") {
        Err(ClientError::Status { status: 401, .. }) => true,
        Err(ClientError::Transport { .. }) => false,
        other => panic!("was answered {other:?}"),
    }
}

/// What OpenSSL sees of whoever listens on a port.
fn issuer_at(port: u16) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]);
    let output = command.stdin(Stdio::null()).output().expect("openssl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find(|line| line.starts_with("issuer")).unwrap_or_default().to_owned()
}

fn events(client: &mut Client) -> String {
    client.get("/api/v1/events?limit=200").expect("answered").to_string()
}

fn appliance(dir: &Path) -> (Stack, Client, u16) {
    let port =
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let mut options = Options::for_test(dir).expect("built");
    options.daemon_settings = format!(
        "[[plugin]]\nname = \"modbus-server\"\ngrant.listen.modbus = \"tls://127.0.0.1:{port}\"\n\
         grant.read.values = [\"guard\"]\ngrant.commands.writes = []\n"
    );
    let mut stack = Stack::start(options).expect("a running stack");
    let client = stack.sign_in().expect("signed in");
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "the gateway does not listen: {}", stack.daemon.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    (stack, client, port)
}

#[test]
fn a_certificate_is_requested_tried_out_kept_and_given_up() {
    let dir = tempfile::tempdir().expect("a folder");
    make_certificates(dir.path());
    let authority = std::fs::read(dir.path().join("ca.pem")).expect("made");
    let (mut stack, mut client, port) = appliance(dir.path());
    let own = client.get("/api/v1/certificate").expect("answered");
    assert_eq!((&own["installed"], &own["trial_left_s"]), (&json!(false), &Value::Null));
    assert!(!reaches(&stack, &authority));
    let none = conflict(client.post("/api/v1/certificate/confirm", &json!({})));
    assert!(none.contains("no certificate is on trial"), "{none}");

    let names = json!({"names": ["rack-7.example.org", "127.0.0.1"], "organisation": "Harbour"});
    let asked = client.post("/api/v1/certificate/request", &names).expect("a request");
    let signed = sign(dir.path(), asked["request"].as_str().expect("PEM"));
    assert_eq!(client.get("/api/v1/certificate").expect("answered")["requested"], true);

    // Somebody else's, of the same names.
    let other = dir.path().join("other");
    std::fs::create_dir(&other).expect("a folder");
    make_certificates(&other);
    let strange = std::fs::read(other.join("server.pem")).expect("made");
    let refused = conflict(client.post_bytes("/api/v1/certificate", &strange));
    assert!(refused.contains("send the key along, or request a certificate first"), "{refused}");
    let garbage = conflict(client.post_bytes("/api/v1/certificate", b"rack 7"));
    assert!(garbage.contains("BEGIN CERTIFICATE"), "{garbage}");
    assert_eq!(
        client.get("/api/v1/certificate").expect("answered")["fingerprint"],
        own["fingerprint"]
    );

    let trial = client.post_bytes("/api/v1/certificate", signed.as_bytes()).expect("taken");
    assert_eq!(trial["names"], json!(["rack-7.example.org", "127.0.0.1"]));
    assert!(trial["trial_left_s"].as_u64().is_some_and(|s| (100..=120).contains(&s)), "{trial}");
    assert!(reaches(&stack, &authority), "whoever comes now sees it");
    client.post("/api/v1/certificate/give-up", &json!({})).expect("given up");
    assert!(!reaches(&stack, &authority));

    client.post_bytes("/api/v1/certificate", signed.as_bytes()).expect("taken again");
    let kept = client.post("/api/v1/certificate/confirm", &json!({})).expect("kept");
    assert_eq!((&kept["installed"], &kept["requested"]), (&json!(true), &json!(false)));
    assert!(reaches(&stack, &authority));
    assert!(issuer_at(port).contains("test-authority"), "{}", issuer_at(port));

    stack.daemon.kill();
    stack.restart_daemon().expect("starts again");
    assert!(reaches(&stack, &authority), "after a restart");
    let mut client = Client::new(stack.address(), &authority).expect("a client");
    let password = stack.password().expect("signed in before").to_owned();
    client.login("admin", &password).expect("signed in");
    let told = events(&mut client);
    for what in ["request a certificate for rack-7.example.org", "keep the certificate on trial"] {
        assert!(told.contains(what), "{what}: {told}");
    }
    assert!(!told.contains("PRIVATE KEY"));

    client.post("/api/v1/certificate/remove", &json!({})).expect("removed");
    assert!(!reaches(&stack, &authority));
    let mut client = stack.sign_in().expect("the own one is trusted as before");
    let back = client.get("/api/v1/certificate").expect("answered");
    assert_eq!(back["fingerprint"], own["fingerprint"]);
}

/// Certificates and keys as administrators have them, by OpenSSL; each is taken,
/// or refused with its reason, and a refusal changes nothing.
#[test]
fn what_openssl_makes_is_taken_or_refused_with_its_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let (_stack, mut client, _) = appliance(dir.path());
    let made = |kind: &str, more: &str| {
        let words = format!(
            "req -x509 -newkey {kind} -keyout key.pem -out cert.pem -days 2 -subj /CN=rack-7 {more}"
        );
        let mut command = Command::new("openssl");
        command.args(words.split_ascii_whitespace()).current_dir(dir.path());
        let done = command.output().expect("openssl is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("made");
        read("cert.pem") + &read("key.pem")
    };
    let own = client.get("/api/v1/certificate").expect("answered")["fingerprint"].clone();
    let named = "-nodes -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:FALSE";
    for (kind, key) in [
        ("rsa:2048", "RSA 2048"),
        ("ec -pkeyopt ec_paramgen_curve:secp384r1", "ECDSA P-384"),
        ("ed25519", "Ed25519"),
    ] {
        let text = made(kind, named);
        let tried = client.post_bytes("/api/v1/certificate", text.as_bytes()).expect(kind);
        assert_eq!(tried["key"], key);
        client.post("/api/v1/certificate/give-up", &json!({})).expect("given up");
    }
    let password = "-passout pass:secret -addext subjectAltName=IP:127.0.0.1";
    let authority = "-nodes -addext subjectAltName=IP:127.0.0.1";
    for (kind, more, reason) in [
        ("rsa:1024", named, "RSA from 2048 bits can"),
        ("ec -pkeyopt ec_paramgen_curve:secp224r1", named, "the key cannot be used"),
        ("rsa:2048", &format!("{named} -sha1"), "a hash that browsers refuse"),
        ("rsa:2048", password, "the key is encrypted"),
        ("rsa:2048", authority, "an authority's own"),
        ("rsa:2048", "-nodes -addext basicConstraints=CA:FALSE", "has no names"),
    ] {
        let text = made(kind, more);
        let refused = conflict(client.post_bytes("/api/v1/certificate", text.as_bytes()));
        assert!(refused.contains(reason), "{kind} {more}: {refused}");
        assert!(!refused.contains("PRIVATE KEY-----\n"), "{refused}");
    }
    let now = client.get("/api/v1/certificate").expect("answered");
    assert_eq!((&now["fingerprint"], &now["trial_left_s"]), (&own, &Value::Null));
}
