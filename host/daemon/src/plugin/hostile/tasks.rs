//! Notifiers and authenticators that trap, compute or wait for ever where they
//! are asked: whoever waits for an event to be told, or to be signed in, hears of
//! the end, and which call it was.

use super::*;
use crate::plugin::bindings::{login, sink};
use crate::plugin::fixture::probe::{self, Task, probe};

const CLOCK_0_2: &str = "evenkeel:clock/clock@0.1.1";
/// What a notifier's interface is made of.
const EVENTS: &str = "evenkeel:events/types@0.1.0";
const CALL_SHORT: Nanos = Nanos::from_millis(400);

/// How a task ends that a probe of `world` carries out by this body, when it is called.
fn ended(
    (world, interface, function, parameters): (&str, &str, &str, &str),
    body: &str,
    call: impl Fn(&mut Instance) -> Result<(), Failure>,
) -> String {
    let functions = format!(
        "(func (export \"{interface}#{function}\") (param {parameters}) (result i32)
            {body} (i32.const 16))"
    );
    let task = Task { world, interface, functions: &functions };
    let sleep = format!("(import {CLOCK_0_2:?} \"sleep-ms\" (func $sleep (param i32)))");
    let fixture = Fixture::new();
    let interfaces = match interface {
        "evenkeel:notifier/sink@0.1.0" => &[CLOCK_0_2, EVENTS][..],
        _ => &[CLOCK_0_2],
    };
    let raw = fixture.seal(&probe::manifest(interfaces, &[], &task), &probe(&sleep, "", &task));
    std::fs::write(fixture.file(), raw).expect("written");
    let package = load(&fixture, &fixture::grant("/dev/ttyS1")).unwrap_or_else(|e| panic!("{e}"));
    let started = start(&package, CALL_SHORT, Services::default());
    let (mut instance, _around) = started.unwrap_or_else(|e| panic!("{e}"));
    instance.wake().expect("wakes");
    let begun = clock::now();
    let text = call(&mut instance).expect_err("ends").to_string();
    assert!(clock::now().since(begun) < Nanos::from_secs(10), "{text}");
    text
}

/// What they do, and the words for it.
const HARM: [(&str, &str); 3] = [
    ("unreachable", "trapped: wasm `unreachable`"),
    ("(loop $l (br $l))", "used more than its 50 ms of processor time"),
    ("(loop $l (call $sleep (i32.const 20)) (br $l))", "did not return within 400 ms"),
];

#[test]
fn a_notifier_that_traps_or_never_returns_is_ended() {
    let notify = (
        "evenkeel:notifier/notifier@0.1.0",
        "evenkeel:notifier/sink@0.1.0",
        "notify",
        "i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32",
    );
    let event = sink::Event {
        sequence: 7,
        utc_ms: 0,
        severity: 2,
        category: "ups".into(),
        kind: "ups_lost".into(),
        text: "lost".into(),
        details: Vec::new(),
    };
    for (body, words) in HARM {
        let text = ended(notify, body, |it| it.notify(&event).map(drop));
        assert!(text.starts_with("notify ") && text.contains(words), "{text}");
    }
}

#[test]
fn an_authenticator_that_traps_or_never_returns_is_ended() {
    let authenticate = (
        "evenkeel:authenticator/authenticator@0.1.0",
        "evenkeel:authenticator/login@0.1.0",
        "authenticate",
        "i32 i32 i32 i32 i32 i32 i32 i32 i32",
    );
    let attempt = login::Attempt {
        user: "ada".into(),
        password: "correcthorse".into(),
        peer: "192.0.2.9".into(),
        state: None,
    };
    for (body, words) in HARM {
        let text = ended(authenticate, body, |it| it.authenticate(&attempt).map(drop));
        assert!(text.starts_with("authenticate ") && text.contains(words), "{text}");
        assert!(!text.contains("correcthorse"), "{text}");
    }
}
