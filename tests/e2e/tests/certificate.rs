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
