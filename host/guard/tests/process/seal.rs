//! Settings that contradict themselves are never sealed, and the message names
//! the place.

use std::fs;
use std::process::Command;

const GOOD: &str = r#"
[[bus]]
port = "/dev/ttyS2"
[[battery]]
name = "NP7"
chemistry = "agm"
cells = 6
capacity_ah = 7.0
[[device]]
name = "AUX1"
kind = "aux"
address = 1025
[[device]]
name = "I1"
kind = "current-50"
address = 1026
[[string]]
name = "A"
module = "C20"
battery = "NP7"
first_address = 1
blocks = 4
current_sensor = "I1"
breaker = { relay = "AUX1.1", input = "AUX1.1" }
[[string]]
name = "B"
module = "C20"
battery = "NP7"
first_address = 5
blocks = 4
breaker = { relay = "AUX1.2", input = "AUX1.2" }
[[test]]
strings = [1, 2]
relay = "AUX1.3"
"#;

/// Seal these settings: what the guard says, when it refuses.
fn seal(body: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.toml");
    fs::write(&file, body).expect("written");
    let guard = env!("CARGO_BIN_EXE_evenkeel-guard");
    let output = Command::new(guard).arg("seal").arg(&file).output().expect("run");
    let sealed = fs::read_to_string(&file).expect("readable").starts_with("# evenkeel guard");
    assert_eq!(output.status.success(), sealed, "{output:?}");
    if sealed { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn contradictions_are_refused_by_place() {
    assert_eq!(seal(GOOD), Ok(()));
    for (from, to, said) in [
        ("AUX1.2\", input", "AUX1.1\", input", "string 2, breaker: AUX1.1 does something else"),
        ("AUX1.3", "AUX1.2", "test 1, relay: AUX1.2 does something else already"),
        ("AUX1.3", "AUX1.5", "test 1, relay: AUX1.5: a aux has 4 relays"),
        ("input = \"AUX1.2\"", "input = \"I1.1\"", "string 2, breaker, input: I1.1: a current-50"),
        ("sensor = \"I1\"", "sensor = \"AUX1\"", "string 1, current_sensor: there is no current"),
        ("first_address = 5", "first_address = 4", "string 2: "),
        ("address = 1026", "address = 1025", "device 2, address: 1025 is that of \"AUX1\""),
        ("strings = [1, 2]", "strings = [1, 3]", "test 1, strings: there is no string 3"),
        ("[[bus]]", "cycle_ms = 100\n[[bus]]", "cycle_ms: 100 is not in 500 … 8000"),
        ("[[test]]", "[limits.runaway]\ntrip_c = 80.0\n[[test]]", "string 1, limits, runaway."),
        ("blocks = 4\ncurr", "bloks = 4\ncurr", "unknown field `bloks`"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let refusal = seal(&GOOD.replacen(from, to, 1)).expect_err(to);
        assert!(refusal.contains(said), "{said:?} is not in:\n{refusal}");
    }
}
