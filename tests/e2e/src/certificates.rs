//! Certificates for peers that speak TLS: made by `openssl`, as their
//! administrators do.

use std::path::Path;
use std::process::Command;

/// Make an authority (`ca.pem`) and a certificate of it for 127.0.0.1
/// (`server.pem`, `server.key`) in a folder.
///
/// # Panics
/// When `openssl` is not installed or refuses: the test has failed.
pub fn make_certificates(dir: &Path) {
    let openssl = |arguments: &str| openssl(dir, arguments);
    std::fs::write(dir.join("san"), "subjectAltName=IP:127.0.0.1\n").expect("written");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority"
    ));
    openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=server"));
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile san -days 2 -out server.pem",
    );
}

/// Have the authority of a folder sign a request (PKCS#10, PEM) with the names
/// that it asks for; the certificate as PEM.
///
/// # Panics
/// OpenSSL is missing or refuses.
#[must_use]
pub fn sign(dir: &Path, request: &str) -> String {
    std::fs::write(dir.join("request.csr"), request).expect("written");
    openssl(
        dir,
        "x509 -req -in request.csr -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy \
         -days 90 -out signed.pem",
    );
    std::fs::read_to_string(dir.join("signed.pem")).expect("signed")
}

fn openssl(dir: &Path, arguments: &str) {
    let done = Command::new("openssl")
        .args(arguments.split_ascii_whitespace())
        .current_dir(dir)
        .output()
        .expect("openssl is installed: run `cargo xtask test`");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The fingerprint of a certificate, as `openssl x509 -fingerprint -sha256` shows it.
///
/// # Panics
/// As [`make_certificates`].
#[must_use]
pub fn fingerprint(certificate: &Path) -> String {
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(certificate);
    let done = command.output().expect("openssl is installed: run `cargo xtask test`");
    let said = String::from_utf8(done.stdout).expect("text");
    let (_, digits) = said.trim().split_once('=').expect("name=value");
    digits.to_owned()
}
