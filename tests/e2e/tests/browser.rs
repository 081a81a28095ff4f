//! The console in a real browser, over the running appliance: see
//! tests/browser/console.mjs. Screenshots for a person go to target/screenshots.

use evenkeel_e2e::{Options, Stack};
use std::path::Path;
use std::process::Command;

#[test]
fn a_person_sees_the_strings_close_and_the_ups_on_battery() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options::for_test(dir.path()).expect("built");
    let target = options.programs.parent().expect("a target folder").to_owned();
    let stack = Stack::start(options).expect("a running stack");
    // Node finds packages beside the script, so the script goes to its packages.
    let script = target.join("browser/console.mjs");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../browser/console.mjs");
    std::fs::copy(source, &script).expect("packages are installed: run `cargo xtask test`");
    let output = Command::new("node")
        .arg(script)
        .arg(stack.address())
        .arg(stack.first_password().expect("there"))
        .arg(dir.path().join("hw/control"))
        .arg(target.join("screenshots"))
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
