//! A serial line for tests: a device that answers from a recording, with a
//! fault on the line, and the port that delivers as the appliance would.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::case::{Asked, Case};
use super::fault::Fault;
use super::notation::{Pattern, Reply};
use crate::host::{Lines, Port, PortError, ReplyEnd};

/// Longest break, ms, as on the appliance.
const BREAK_MAX_MS: u32 = 1_000;

/// What is on the other end of a serial line.
pub trait Device {
    /// The bytes that arrive after `request` was sent, or a code of
    /// [`PortError`].
    ///
    /// # Errors
    /// The code.
    fn hear(&mut self, request: &[u8]) -> Result<Vec<u8>, u32>;

    /// The control lines that it drives.
    fn lines(&self) -> Lines {
        Lines::default()
    }

    /// DTR and RTS have these levels from now on: at the opening, too.
    fn set_lines(&mut self, _dtr: bool, _rts: bool) {}

    /// The line was at space for so long.
    fn send_break(&mut self, _ms: u32) {}
}

impl<F: FnMut(&[u8]) -> Result<Vec<u8>, u32>> Device for F {
    fn hear(&mut self, request: &[u8]) -> Result<Vec<u8>, u32> {
        self(request)
    }
}

/// A device that answers as one was recorded.
pub struct Recorded {
    /// What is wrong with the line.
    pub fault: Fault,
    /// Requests that the recording has no answer to.
    pub unrecorded: Vec<String>,
    /// How often a fault struck that strikes some answers only.
    pub struck: u32,
    /// Requests that it heard.
    pub(super) heard: u32,
    /// Each request is answered as it was for the first time: what damage means
    /// was judged by that answer.
    pub(super) is_steady: bool,
    /// Each exchange and how often it was asked.
    exchanges: Vec<(Pattern, Vec<Option<Reply>>, usize)>,
    late: Option<Vec<u8>>,
}

impl Recorded {
    /// The device of `case`.
    #[must_use]
    pub fn new(case: &Case, fault: Fault) -> Self {
        let by_bytes = case.exchanges.iter().filter_map(|exchange| match &exchange.asked {
            Asked::Bytes(request) => Some((request.clone(), exchange.replies.clone(), 0)),
            _ => None,
        });
        Self {
            fault,
            unrecorded: Vec::new(),
            struck: 0,
            heard: 0,
            is_steady: false,
            exchanges: by_bytes.collect(),
            late: None,
        }
    }

    /// What it says to `request`.
    pub(super) fn recorded(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let known = self.exchanges.iter_mut().find(|(pattern, ..)| pattern.matches(request));
        let Some((pattern, replies, asked)) = known else {
            self.unrecorded.push(request.escape_ascii().to_string());
            return None;
        };
        let last = replies.len().checked_sub(1)?;
        let at = if self.is_steady { 0 } else { last.min(*asked) };
        *asked += 1;
        Some(replies[at].as_ref()?.filled(&pattern.opened(request)))
    }
}

impl Device for Recorded {
    fn hear(&mut self, request: &[u8]) -> Result<Vec<u8>, u32> {
        self.heard += 1;
        let (fault, mut late) = (self.fault.clone(), self.late.take());
        let arrival = fault.arrival(request, &mut late, || self.recorded(request));
        self.late = late;
        self.struck += u32::from(arrival.is_struck);
        Ok(arrival.bytes.unwrap_or_default())
    }
}

/// One opening of a line. Waiting takes no time: what did not arrive at once
/// never does.
pub(super) struct BenchPort {
    device: Rc<RefCell<dyn Device>>,
    arrived: VecDeque<u8>,
}

impl BenchPort {
    pub(super) fn new(device: Rc<RefCell<dyn Device>>) -> Self {
        Self { device, arrived: VecDeque::new() }
    }
}

impl Port for BenchPort {
    fn transact(
        &mut self,
        request: &[u8],
        end: ReplyEnd,
        max: u32,
        timeout_ms: u32,
    ) -> Result<Vec<u8>, PortError> {
        self.send(request, timeout_ms)?;
        self.read_frame(end, max, timeout_ms)
    }

    fn send(&mut self, bytes: &[u8], _timeout_ms: u32) -> Result<(), PortError> {
        self.arrived.clear();
        if bytes.is_empty() {
            return Ok(());
        }
        let error = |code| PortError { code, detail: "no".to_owned(), partial: Vec::new() };
        self.arrived.extend(self.device.borrow_mut().hear(bytes).map_err(error)?);
        Ok(())
    }

    fn read_frame(
        &mut self,
        end: ReplyEnd,
        max: u32,
        _timeout_ms: u32,
    ) -> Result<Vec<u8>, PortError> {
        deliver(&mut self.arrived, end, max as usize)
    }

    fn set_lines(&mut self, dtr: bool, rts: bool) -> Result<(), PortError> {
        self.device.borrow_mut().set_lines(dtr, rts);
        Ok(())
    }

    fn lines(&mut self) -> Result<Lines, PortError> {
        Ok(self.device.borrow().lines())
    }

    fn send_break(&mut self, ms: u32) -> Result<(), PortError> {
        if !(1..=BREAK_MAX_MS).contains(&ms) {
            let detail = format!("a break of {ms} ms; 1 to {BREAK_MAX_MS} are possible");
            return Err(PortError { code: PortError::INVALID, detail, partial: Vec::new() });
        }
        self.device.borrow_mut().send_break(ms);
        Ok(())
    }
}

/// What the real host makes of the bytes that arrived; those behind the frame
/// stay.
fn deliver(arrived: &mut VecDeque<u8>, end: ReplyEnd, max: usize) -> Result<Vec<u8>, PortError> {
    let complete = match end {
        ReplyEnd::Terminator(byte) => arrived.iter().position(|b| *b == byte).map(|at| at + 1),
        ReplyEnd::Length(length) => Some(length as usize).filter(|length| *length <= arrived.len()),
        ReplyEnd::IdleUs(_) => Some(arrived.len()).filter(|length| *length > 0),
    };
    let (code, detail) = match complete {
        Some(length) if length <= max => return Ok(arrived.drain(..length).collect()),
        None if arrived.len() <= max => (PortError::TIMEOUT, "timeout"),
        _ => (PortError::TOO_LONG, "the reply is too long"),
    };
    Err(PortError { code, detail: detail.to_owned(), partial: arrived.drain(..).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_complete_as_the_host_would_say() {
        let cr = ReplyEnd::Terminator(b'\r');
        let deliver = |bytes: &[u8], end, max| {
            deliver(&mut bytes.iter().copied().collect::<VecDeque<u8>>(), end, max)
        };
        assert_eq!(deliver(b"ab\rcd", cr, 10).unwrap(), b"ab\r");
        assert_eq!(deliver(b"ab", cr, 10).unwrap_err().code, PortError::TIMEOUT);
        assert_eq!(deliver(b"abc\r", cr, 3).unwrap_err().code, PortError::TOO_LONG);
        assert_eq!(deliver(b"abc", ReplyEnd::Length(2), 9).unwrap(), b"ab");
        assert!(deliver(b"", ReplyEnd::IdleUs(500), 9).is_err());
    }

    #[test]
    fn several_frames_are_read_one_after_the_other() {
        let device = |_: &[u8]| Ok(b"one\rtwo\r".to_vec());
        let mut port = BenchPort::new(Rc::new(RefCell::new(device)));
        let cr = ReplyEnd::Terminator(b'\r');
        assert_eq!(port.transact(b"?", cr, 9, 1).unwrap(), b"one\r");
        assert_eq!(port.read_frame(cr, 9, 1).unwrap(), b"two\r");
        assert!(port.read_frame(cr, 9, 1).is_err());
    }
}
