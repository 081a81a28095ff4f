//! The console in a real browser, over the running appliance: see
//! tests/browser. Screenshots for a person go to target/screenshots.

use evenkeel_e2e::{Options, Stack, bundle};
use evenkeel_signing::SecretKey;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Run a script of tests/browser with these words, and show what it says.
fn run(target: &Path, script: &str, words: &[&OsStr]) {
    // Node finds packages beside the script, so the scripts go to their packages.
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../browser");
    for file in ["kit.mjs", script] {
        std::fs::copy(source.join(file), target.join("browser").join(file))
            .expect("packages are installed: run `cargo xtask test`");
    }
    let script = target.join("browser").join(script);
    let output = Command::new("node").arg(script).args(words).output().expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Run a script over a new appliance, whose simulated hardware it can tell what
/// to do.
fn run_over_hardware(script: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options::for_test(dir.path()).expect("built");
    let target = target(&options);
    let stack = Stack::start(options).expect("a running stack");
    let (password, control) =
        (stack.first_password().expect("there"), dir.path().join("hw/control"));
    let shots = target.join("screenshots");
    let words = [stack.address().as_ref(), password.as_ref(), control.as_ref(), shots.as_ref()];
    run(&target, script, &words);
}

fn target(options: &Options) -> PathBuf {
    options.programs.parent().expect("a target folder").to_owned()
}

#[test]
fn a_person_sees_the_strings_close_and_the_ups_on_battery() {
    run_over_hardware("console.mjs");
}

#[test]
fn a_technician_goes_through_the_pages() {
    run_over_hardware("pages.mjs");
}

#[test]
fn an_administrator_claims_the_appliance_and_sets_it_up() {
    run_over_hardware("setup.mjs");
}

#[test]
fn a_person_installs_updates_and_removes_a_plugin() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options::for_test(dir.path()).expect("built");
    let target = target(&options);
    let first = bundle::built(&options.plugins, "megatec").expect("built");
    let key = SecretKey::read(&options.plugin_key.with_extension("key")).expect("the key");
    let next = bundle::signed_again(&first, &options.plugin_key, &key, |manifest| {
        manifest.version = "0.2.0".to_owned();
    });
    let next_file = dir.path().join("megatec-0.2.0.evkp");
    std::fs::write(&next_file, next.expect("signed")).expect("written");
    let stack = Stack::start(options).expect("a running stack");
    let (password, line) = (stack.first_password().expect("there"), dir.path().join("hw/ups0"));
    let shots = target.join("screenshots");
    let words: [&OsStr; 6] = [
        stack.address().as_ref(),
        password.as_ref(),
        line.as_ref(),
        first.as_ref(),
        next_file.as_ref(),
        shots.as_ref(),
    ];
    run(&target, "plugins.mjs", &words);
}
