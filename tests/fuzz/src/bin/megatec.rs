//! The Megatec driver against a unit that answers anything: no panic, no
//! value that is not finite, no text with control characters.
#![no_main]

use evenkeel_plugin_megatec::Megatec;
use evenkeel_sdk::host::{Host, Level, Line, Port, PortError, ReplyEnd, Update, Value};
use evenkeel_sdk::{Driver, Settings};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::rc::Rc;

/// What is left of the input, as the unit's answers.
type Answers = Rc<RefCell<Vec<u8>>>;

struct Unit(Answers);

impl Host for Unit {
    fn open(&mut self, _name: &str, _line: Line) -> Result<Box<dyn Port>, PortError> {
        Ok(Box::new(Self(self.0.clone())))
    }

    fn publish(&mut self, updates: &[Update]) -> Result<(), String> {
        for update in updates {
            match &update.value {
                Value::Number(n) => assert!(n.is_finite(), "{update:?}"),
                Value::Text(t) => assert!(!t.chars().any(char::is_control), "{update:?}"),
                Value::Flag(_) => {}
            }
        }
        Ok(())
    }

    fn lost(&mut self, _reason: &str) {}

    fn log(&mut self, _level: Level, _message: &str) {}
}

impl Port for Unit {
    fn transact(
        &mut self,
        _request: &[u8],
        _end: ReplyEnd,
        max: u32,
        _timeout_ms: u32,
    ) -> Result<Vec<u8>, PortError> {
        let mut left = self.0.borrow_mut();
        let end = left.iter().position(|b| *b == b'\r').map(|at| at + 1);
        let len = end.unwrap_or(left.len()).min(max as usize);
        let reply: Vec<u8> = left.drain(..len).collect();
        if end.is_some() && !reply.is_empty() {
            return Ok(reply);
        }
        Err(PortError { code: PortError::TIMEOUT, detail: "silence".into(), partial: reply })
    }
}

fuzz_target!(|data: &[u8]| {
    let mut driver = Megatec::start(Settings::new(Vec::new())).expect("no settings are fine");
    let mut unit = Unit(Rc::new(RefCell::new(data.to_vec())));
    for _ in 0..8 {
        let wait_ms = driver.poll(&mut unit);
        assert!((100..=60_000).contains(&wait_ms));
    }
});
