//! The HTTP API against its own document, by schemathesis: it reads
//! `/api/v1/openapi.json` from the running appliance, asks for everything in it
//! with values that fit and values that do not, and holds each answer against
//! what is promised (status, content type, schema, who may ask). Whatever is
//! asked, the appliance goes on.
//!
//! `EVENKEEL_CONTRACT_CASES` sets how many requests per operation are made up
//! (10; those at the edges of every schema come on top).

use evenkeel_e2e::Stack;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// It never ends.
const ENDLESS: &str = "/api/v1/stream";
/// A schema cannot say all that a request must be: that a string of this number
/// exists, that a text is TOML, that 3.0 is no revision. So what fits the schema
/// may still be refused, with a reason.
const NOT_CHECKED: &str = "positive_data_acceptance";

/// What the tests have installed.
fn schemathesis() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    test.ancestors().nth(3).expect("target").join("python/bin/st")
}

#[test]
fn every_answer_is_as_the_document_says() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut admin = stack.sign_in().expect("signed in");
    let document = dir.path().join("openapi.json");
    let text = admin.get("/api/v1/openapi.json").expect("a document");
    fs::write(&document, text.to_string()).expect("written");
    let roles = admin.get("/api/v1/roles").expect("roles");
    let everything = roles.as_array().and_then(|all| all.iter().find(|r| r["name"] == "admin"));
    let scopes = &everything.expect("the administrator's")["rights"];
    let wish = json!({"name": "contract", "scopes": scopes});
    let token = admin.post("/api/v1/tokens", &wish).expect("made")["token"].clone();
    let certificate = dir.path().join("certificate.pem");
    fs::write(&certificate, stack.certificate().expect("a certificate")).expect("written");

    // It sends the token, and tries what comes of none and of a wrong one.
    let settings = format!("[auth.openapi.token]\nbearer = {token}\n");
    fs::write(dir.path().join("schemathesis.toml"), settings).expect("written");

    let cases = std::env::var("EVENKEEL_CONTRACT_CASES").unwrap_or_else(|_| "10".to_owned());
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let output = Command::new(schemathesis())
        .env("SCHEMATHESIS_HOOKS", "schemathesis_bodies")
        .env("PYTHONPATH", peers)
        // What was found before would come first, and runs would differ.
        .current_dir(dir.path())
        .arg("run")
        .arg(&document)
        .args(["--url", stack.address()])
        .arg("--tls-verify")
        .arg(&certificate)
        .args(["--exclude-path", ENDLESS, "--exclude-checks", NOT_CHECKED])
        .args(["--phases", "coverage,fuzzing", "--max-examples", &cases, "--seed", "1"])
        .args(["--continue-on-failure", "--no-color", "--warnings", "off"])
        // It leaves connections open; the console takes 32 from one address.
        .args(["--request-retries", "5"])
        .output()
        .expect("schemathesis is installed: run `cargo xtask test`");
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = said.split("= SUMMARY =").nth(1).unwrap_or(&said);
    println!("{summary}");
    stack.check().expect("the appliance runs");
    let mut again = stack.sign_in().expect("the administrator is there");
    let guard = again.get("/api/v1/guard").expect("answered");
    assert_eq!(guard["deadline_misses"], 0, "{guard:#}");
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}");
}
