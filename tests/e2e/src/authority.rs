//! A certificate authority for the peers of a test.

use std::path::Path;
use std::process::Command;

/// Make an authority (`ca.pem`) and a certificate for 127.0.0.1 (`server.pem`,
/// `server.key`) in a folder, by OpenSSL's own program.
///
/// # Panics
/// OpenSSL is missing or refuses.
pub fn make_certificates(dir: &Path) {
    let openssl = |arguments: &str| {
        let done = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(dir)
            .output()
            .expect("openssl is installed: run `cargo xtask test`");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
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
