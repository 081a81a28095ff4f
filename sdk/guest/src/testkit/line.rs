//! A serial line for tests: a device that answers from a recording, with a
//! fault on the line, and the port that delivers as the appliance would.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::case::{Case, Exchange};
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

/// What is wrong with the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// No reply at all.
    Silent,
    /// Each reply comes when the next request has been sent.
    Late,
    /// Replies to one request are always these bytes.
    Replace {
        /// The request.
        request: Vec<u8>,
        /// What arrives.
        reply: Vec<u8>,
    },
}

impl Fault {
    /// [`Fault::Replace`] from slices.
    #[must_use]
    pub fn replace(request: &[u8], reply: &[u8]) -> Self {
        Self::Replace { request: request.to_vec(), reply: reply.to_vec() }
    }
}

/// A device that answers as one was recorded.
pub struct Recorded {
    /// What is wrong with the line.
    pub fault: Fault,
    /// Requests that the recording has no answer to.
    pub unrecorded: Vec<String>,
    /// How often [`Fault::Replace`] struck.
    pub replaced: u32,
    /// Each exchange and how often it was asked.
    exchanges: Vec<(Exchange, usize)>,
    late: Option<Vec<u8>>,
}

impl Recorded {
    /// The device of `case`.
    #[must_use]
    pub fn new(case: &Case, fault: Fault) -> Self {
        let exchanges = case.exchanges.iter().map(|exchange| (exchange.clone(), 0)).collect();
        Self { fault, unrecorded: Vec::new(), replaced: 0, exchanges, late: None }
    }

    fn recorded(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let Some((exchange, asked)) =
            self.exchanges.iter_mut().find(|(exchange, _)| exchange.request == request)
        else {
            self.unrecorded.push(request.escape_ascii().to_string());
            return None;
        };
        let last = exchange.replies.len().checked_sub(1)?;
        let reply = exchange.replies[last.min(*asked)].clone();
        *asked += 1;
        reply
    }
}

impl Device for Recorded {
    fn hear(&mut self, request: &[u8]) -> Result<Vec<u8>, u32> {
        let reply = match &self.fault {
            Fault::Silent => None,
            Fault::Replace { request: hit, reply } if hit == request => {
                self.replaced += 1;
                Some(reply.clone())
            }
            Fault::None | Fault::Replace { .. } => self.recorded(request),
            Fault::Late => {
                let reply = self.recorded(request);
                std::mem::replace(&mut self.late, reply)
            }
        };
        Ok(reply.unwrap_or_default())
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
