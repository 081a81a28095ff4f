//! A host that answers from a recording, with a fault on the line, and writes
//! down what the driver does.

use std::cell::RefCell;
use std::rc::Rc;

use super::case::{Case, Exchange};
use crate::host::{Host, Level, Line, Port, PortError, ReplyEnd, Update};

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

/// A [`Host`] that keeps what it is told.
pub struct Recorder {
    /// Successful publications, in order.
    pub published: Vec<Vec<Update>>,
    /// Reasons given for losing the device.
    pub lost: Vec<String>,
    /// Requests that the recording has no answer to.
    pub unrecorded: Vec<String>,
    device: Rc<RefCell<Device>>,
}

impl Recorder {
    /// A host with the device of `case` on its line.
    #[must_use]
    pub fn new(case: &Case, fault: Fault) -> Self {
        let exchanges = case.exchanges.iter().map(|exchange| (exchange.clone(), 0)).collect();
        let device = Device { exchanges, fault, late: None, unrecorded: Vec::new() };
        Self {
            published: Vec::new(),
            lost: Vec::new(),
            unrecorded: Vec::new(),
            device: Rc::new(RefCell::new(device)),
        }
    }

    /// Change the fault from here on.
    pub fn set_fault(&mut self, fault: Fault) {
        self.device.borrow_mut().fault = fault;
    }
}

impl Host for Recorder {
    fn open(&mut self, _name: &str, _line: Line) -> Result<Box<dyn Port>, PortError> {
        Ok(Box::new(RecordedPort(Rc::clone(&self.device))))
    }

    fn publish(&mut self, updates: &[Update]) -> Result<(), String> {
        self.unrecorded.append(&mut self.device.borrow_mut().unrecorded);
        self.published.push(updates.to_vec());
        Ok(())
    }

    fn lost(&mut self, reason: &str) {
        self.unrecorded.append(&mut self.device.borrow_mut().unrecorded);
        self.lost.push(reason.to_owned());
    }

    fn log(&mut self, _level: Level, _message: &str) {}
}

struct RecordedPort(Rc<RefCell<Device>>);

impl Port for RecordedPort {
    fn transact(
        &mut self,
        request: &[u8],
        end: ReplyEnd,
        max: u32,
        _timeout_ms: u32,
    ) -> Result<Vec<u8>, PortError> {
        let arrived = self.0.borrow_mut().answer(request);
        deliver(arrived.unwrap_or_default(), end, max as usize)
    }
}

struct Device {
    /// Each exchange and how often it was asked.
    exchanges: Vec<(Exchange, usize)>,
    fault: Fault,
    late: Option<Vec<u8>>,
    unrecorded: Vec<String>,
}

impl Device {
    fn answer(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        match &self.fault {
            Fault::Silent => return None,
            Fault::Replace { request: hit, reply } if hit == request => {
                return Some(reply.clone());
            }
            _ => {}
        }
        let recorded = self.recorded(request);
        if self.fault == Fault::Late {
            return std::mem::replace(&mut self.late, recorded);
        }
        recorded
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

/// What the real host makes of the bytes that arrived.
fn deliver(mut arrived: Vec<u8>, end: ReplyEnd, max: usize) -> Result<Vec<u8>, PortError> {
    let complete = match end {
        ReplyEnd::Terminator(byte) => arrived.iter().position(|b| *b == byte).map(|at| at + 1),
        ReplyEnd::Length(length) => Some(length as usize).filter(|length| *length <= arrived.len()),
        ReplyEnd::IdleUs(_) => Some(arrived.len()).filter(|length| *length > 0),
    };
    let error =
        |code, detail: &str, partial| Err(PortError { code, detail: detail.into(), partial });
    match complete {
        Some(length) if length <= max => {
            arrived.truncate(length);
            Ok(arrived)
        }
        None if arrived.len() <= max => error(PortError::TIMEOUT, "timeout", arrived),
        _ => error(PortError::TOO_LONG, "the reply is too long", arrived),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_complete_as_the_host_would_say() {
        let cr = ReplyEnd::Terminator(b'\r');
        assert_eq!(deliver(b"ab\rcd".to_vec(), cr, 10).unwrap(), b"ab\r");
        assert_eq!(deliver(b"ab".to_vec(), cr, 10).unwrap_err().code, PortError::TIMEOUT);
        assert_eq!(deliver(b"abc\r".to_vec(), cr, 3).unwrap_err().code, PortError::TOO_LONG);
        assert_eq!(deliver(b"abc".to_vec(), ReplyEnd::Length(2), 9).unwrap(), b"ab");
        assert!(deliver(Vec::new(), ReplyEnd::IdleUs(500), 9).is_err());
    }
}
