//! A serial port of a PC, with the rules of the appliance: one deadline for
//! writing and reading, and replies by terminator, length or idle time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serial2::{CharSize, FlowControl, Parity as TheirParity, SerialPort, StopBits};

use super::record::Record;
use crate::host::{Line, Lines, Parity, Port, PortError, ReplyEnd};

/// An open port.
pub(super) struct PcPort {
    port: SerialPort,
    /// What arrived behind the last frame.
    arrived: Vec<u8>,
    record: Rc<RefCell<Record>>,
}

impl PcPort {
    /// Open the device that `ports` has under `name`.
    pub(super) fn open(
        ports: &BTreeMap<String, PathBuf>,
        name: &str,
        line: Line,
        record: &Rc<RefCell<Record>>,
    ) -> Result<Box<dyn Port>, PortError> {
        let denied = || error(PortError::DENIED, format!("add --port {name}=DEVICE"));
        let path = ports.get(name).ok_or_else(denied)?;
        let cannot = |e: io::Error| {
            error(PortError::NO_PORT, format!("cannot open {}: {e}", path.display()))
        };
        let port = SerialPort::open(path, |settings| configure(settings, line)).map_err(cannot)?;
        // A pseudo-terminal has no control lines; a real port that has none is
        // found out by the device's silence.
        let _ = port.set_dtr(line.dtr).and_then(|()| port.set_rts(line.rts));
        Ok(Box::new(Self { port, arrived: Vec::new(), record: Rc::clone(record) }))
    }

    /// Wait for more bytes, at most until `deadline`; none is a time-out.
    fn receive(&mut self, deadline: Instant) -> Result<usize, PortError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(0);
        }
        // A millisecond is the least that the system waits.
        self.port.set_read_timeout(left.max(Duration::from_millis(1))).map_err(failed)?;
        let mut buffer = [0; 512];
        match self.port.read(&mut buffer) {
            Ok(len) => {
                self.arrived.extend_from_slice(&buffer[..len]);
                Ok(len)
            }
            Err(e) if e.kind() == io::ErrorKind::TimedOut => Ok(0),
            Err(e) => Err(failed(e)),
        }
    }

    fn frame(&mut self, end: ReplyEnd, max: u32, timeout_ms: u32) -> Result<Vec<u8>, PortError> {
        let deadline = Instant::now() + Duration::from_millis(timeout_ms.into());
        let max = max as usize;
        loop {
            let complete = match end {
                ReplyEnd::Terminator(byte) => {
                    self.arrived.iter().position(|b| *b == byte).map(|at| at + 1)
                }
                ReplyEnd::Length(length) => {
                    Some(length as usize).filter(|length| *length <= self.arrived.len())
                }
                ReplyEnd::IdleUs(us) if !self.arrived.is_empty() => {
                    let quiet = Instant::now() + Duration::from_micros(us.into());
                    let idle = self.receive(quiet.min(deadline))? == 0;
                    idle.then_some(self.arrived.len())
                }
                ReplyEnd::IdleUs(_) => None,
            };
            match complete {
                Some(length) if length <= max => return Ok(self.arrived.drain(..length).collect()),
                _ if complete.is_some() || self.arrived.len() > max => {
                    return Err(self.fail(PortError::TOO_LONG, "the reply is too long"));
                }
                _ if self.receive(deadline)? == 0 && Instant::now() >= deadline => {
                    return Err(self.fail(PortError::TIMEOUT, "no complete reply in time"));
                }
                _ => {}
            }
        }
    }

    fn fail(&mut self, code: u32, detail: &str) -> PortError {
        PortError { partial: std::mem::take(&mut self.arrived), ..error(code, detail.to_owned()) }
    }
}

impl Port for PcPort {
    fn transact(
        &mut self,
        request: &[u8],
        end: ReplyEnd,
        max: u32,
        timeout_ms: u32,
    ) -> Result<Vec<u8>, PortError> {
        self.send(request, timeout_ms)?;
        let reply = self.frame(end, max, timeout_ms);
        self.record.borrow_mut().take(request, reply.as_deref().ok());
        reply
    }

    fn send(&mut self, bytes: &[u8], timeout_ms: u32) -> Result<(), PortError> {
        self.arrived.clear();
        self.port.discard_input_buffer().map_err(failed)?;
        let timeout = Duration::from_millis(timeout_ms.max(1).into());
        self.port.set_write_timeout(timeout).map_err(failed)?;
        self.port.write_all(bytes).map_err(failed)
    }

    fn read_frame(
        &mut self,
        end: ReplyEnd,
        max: u32,
        timeout_ms: u32,
    ) -> Result<Vec<u8>, PortError> {
        let frame = self.frame(end, max, timeout_ms)?;
        self.record.borrow_mut().hear(&frame);
        Ok(frame)
    }

    fn set_lines(&mut self, dtr: bool, rts: bool) -> Result<(), PortError> {
        self.port.set_dtr(dtr).and_then(|()| self.port.set_rts(rts)).map_err(failed)
    }

    fn lines(&mut self) -> Result<Lines, PortError> {
        let port = &self.port;
        let read = || {
            Ok(Lines {
                cts: port.read_cts()?,
                dsr: port.read_dsr()?,
                dcd: port.read_cd()?,
                ri: port.read_ri()?,
            })
        };
        read().map_err(failed)
    }

    fn send_break(&mut self, ms: u32) -> Result<(), PortError> {
        self.port.set_break(true).map_err(failed)?;
        std::thread::sleep(Duration::from_millis(ms.clamp(1, 1000).into()));
        self.port.set_break(false).map_err(failed)
    }
}

fn configure(mut settings: serial2::Settings, line: Line) -> io::Result<serial2::Settings> {
    settings.set_raw();
    settings.set_baud_rate(line.baud)?;
    settings.set_char_size(if line.data_bits == 7 { CharSize::Bits7 } else { CharSize::Bits8 });
    settings.set_parity(match line.parity {
        Parity::None => TheirParity::None,
        Parity::Even => TheirParity::Even,
        Parity::Odd => TheirParity::Odd,
    });
    settings.set_stop_bits(if line.two_stop_bits { StopBits::Two } else { StopBits::One });
    settings.set_flow_control(FlowControl::None);
    Ok(settings)
}

fn failed(source: io::Error) -> PortError {
    error(PortError::IO, source.to_string())
}

const fn error(code: u32, detail: String) -> PortError {
    PortError { code, detail, partial: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LINE: Line = Line {
        baud: 9600,
        data_bits: 8,
        parity: Parity::None,
        two_stop_bits: false,
        dtr: true,
        rts: false,
    };

    /// A port whose other end answers the first bytes that it hears.
    fn answered(answer: &'static [u8]) -> (PcPort, thread::JoinHandle<()>) {
        let (ours, mut theirs) = SerialPort::pair().expect("a pseudo-terminal");
        let far = thread::spawn(move || {
            theirs.set_read_timeout(Duration::from_secs(10)).unwrap();
            let mut buffer = [0; 64];
            theirs.read(&mut buffer).unwrap();
            theirs.write_all(answer).unwrap();
            // Held open until the other side has read it.
            let _ = theirs.read(&mut buffer);
        });
        let port = PcPort { port: ours, arrived: Vec::new(), record: Rc::default() };
        (port, far)
    }

    #[test]
    fn frames_end_as_the_driver_says() {
        let cr = ReplyEnd::Terminator(b'\r');
        let (mut port, far) = answered(b"one\rtwo\rrest");
        assert_eq!(port.transact(b"?", cr, 64, 5000).unwrap(), b"one\r");
        assert_eq!(port.read_frame(cr, 64, 5000).unwrap(), b"two\r");
        assert_eq!(port.read_frame(ReplyEnd::Length(2), 64, 5000).unwrap(), b"re");
        assert_eq!(port.read_frame(ReplyEnd::IdleUs(20_000), 64, 5000).unwrap(), b"st");
        let silence = port.read_frame(cr, 64, 50).unwrap_err();
        assert_eq!((silence.code, silence.partial), (PortError::TIMEOUT, Vec::new()));
        drop(port);
        far.join().unwrap();
        let (mut port, far) = answered(b"much too long\r");
        assert_eq!(port.transact(b"?", cr, 4, 5000).unwrap_err().code, PortError::TOO_LONG);
        drop(port);
        far.join().unwrap();
    }

    #[test]
    fn an_unknown_name_says_what_to_add() {
        let refused = PcPort::open(&BTreeMap::new(), "ups", LINE, &Rc::default());
        let Err(error) = refused else { panic!("opened") };
        assert!(error.detail.contains("--port ups=DEVICE"));
        let ports = BTreeMap::from([("ups".to_owned(), PathBuf::from("/nonexistent"))]);
        let Err(error) = PcPort::open(&ports, "ups", LINE, &Rc::default()) else { panic!() };
        assert_eq!(error.code, PortError::NO_PORT);
    }
}
