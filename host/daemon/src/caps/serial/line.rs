//! One open serial line: the system's side of [`super`].
//!
//! A line belongs to one opener: `flock` keeps other plugins and well-behaved
//! programs out, `TIOCEXCL` every program that is not root. DTR and RTS are
//! set when the line is opened and then left alone, at closing too: many UPSes
//! switch the load on such an edge.
//!
//! `TIOCEXCL` belongs to the device and not to the descriptor: on a
//! pseudo-terminal, whose far end stays open, it would outlive the line and
//! lock everybody out who is not root. A line takes it back when it is
//! dropped, and throws away what was not sent: a request that goes out late
//! is answered by nobody, and closing would wait for it.
//!
//! Every wait has an absolute deadline and ends at once when the plugin is
//! told to stop.

use crate::clock;
use crate::plugin::stop::{Stop, Woken};
use evenkeel_core::time::Nanos;
use rustix::event::PollFlags;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, ioctl_tiocexcl,
    ioctl_tiocnxcl, tcflush, tcgetattr, tcsetattr,
};
use serial2::SerialPort;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::debug;

/// How a line is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Baud.
    pub baud: u32,
    /// Seven data bits instead of eight.
    pub seven_bits: bool,
    /// Parity.
    pub parity: Parity,
    /// Two stop bits instead of one.
    pub two_stop_bits: bool,
    /// Level of DTR.
    pub dtr: bool,
    /// Level of RTS.
    pub rts: bool,
}

/// Parity of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// No parity bit.
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// When a reply is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyEnd {
    /// At this byte, which is part of the reply.
    Terminator(u8),
    /// After this many bytes.
    Length(usize),
    /// When nothing came for this long, after at least one byte.
    Idle(Nanos),
}

/// Why a line could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// No such device now.
    #[error("the device {} is absent; plug it in or correct the grant", path.display())]
    Absent {
        /// The device file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Somebody else has it.
    #[error(
        "the line is in use by another plugin or program; stop that one, or grant another line"
    )]
    InUse,
    /// It cannot be set as asked.
    #[error(
        "the device {} cannot be opened as a serial line; check its permissions and that it \
        is one", path.display()
    )]
    Open {
        /// The device file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The device went away while it was used.
    #[error("the device vanished")]
    Vanished {
        /// Received so far.
        partial: Vec<u8>,
    },
    /// No complete reply.
    #[error("no complete reply in time ({} bytes came)", partial.len())]
    Timeout {
        /// Received so far.
        partial: Vec<u8>,
    },
    /// A reply without end.
    #[error("the reply does not end within {} bytes", partial.len())]
    TooLong {
        /// Received so far.
        partial: Vec<u8>,
    },
    /// The plugin is told to stop.
    #[error("the plugin is being stopped")]
    Stopped {
        /// Received so far.
        partial: Vec<u8>,
    },
    /// Reading or writing failed.
    #[error("the line failed")]
    Io {
        /// Received so far.
        partial: Vec<u8>,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl LineError {
    /// The bytes received before it failed.
    #[must_use]
    pub fn into_partial(self) -> Vec<u8> {
        match self {
            Self::Vanished { partial }
            | Self::Timeout { partial }
            | Self::TooLong { partial }
            | Self::Stopped { partial }
            | Self::Io { partial, .. } => partial,
            Self::Absent { .. } | Self::InUse | Self::Open { .. } => Vec::new(),
        }
    }
}

/// An open line, locked for its holder.
#[derive(Debug)]
pub struct Line {
    port: SerialPort,
    /// Received behind the end of the last frame.
    surplus: Vec<u8>,
}

impl Line {
    /// Open and set the line.
    ///
    /// # Errors
    /// [`LineError::Absent`], [`LineError::InUse`] or [`LineError::Open`].
    pub fn open(path: &Path, settings: &Settings) -> Result<Self, LineError> {
        let refused = |errno: Errno| match errno {
            Errno::NOENT | Errno::NXIO | Errno::NODEV | Errno::IO | Errno::NOTDIR => {
                LineError::Absent { path: path.to_owned(), source: errno.into() }
            }
            Errno::BUSY | Errno::WOULDBLOCK => LineError::InUse,
            _ => LineError::Open { path: path.to_owned(), source: errno.into() },
        };
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(refused)?;
        flock(&fd, FlockOperation::NonBlockingLockExclusive).map_err(refused)?;
        let attributes = tcgetattr(&fd).map_err(refused)?;
        // From here on, whatever goes wrong, the drop releases the device. Not
        // before: until the lock is ours, the flag is somebody else's.
        let line = Self { port: SerialPort::from(fd), surplus: Vec::new() };
        let fd = &line.port;
        ioctl_tiocexcl(fd).map_err(refused)?;
        let wanted = attributes_for(attributes, settings).map_err(refused)?;
        tcsetattr(fd, OptionalActions::Flush, &wanted).map_err(refused)?;
        // The system accepts what it can and stays silent about the rest.
        let got = tcgetattr(fd).map_err(refused)?;
        if got.output_speed() != settings.baud || shape(&got) != shape(&wanted) {
            let source =
                io::Error::other("it does not support this speed, parity or character size");
            return Err(LineError::Open { path: path.to_owned(), source });
        }
        set_modem_line("DTR", line.port.set_dtr(settings.dtr), path)?;
        set_modem_line("RTS", line.port.set_rts(settings.rts), path)?;
        Ok(line)
    }

    /// Drop what was received, send `tx`, and read one reply of at most `max`
    /// bytes before `deadline`.
    ///
    /// # Errors
    /// Any [`LineError`] but those of [`Line::open`], with the bytes so far.
    pub fn transact(
        &mut self,
        tx: &[u8],
        end: ReplyEnd,
        max: usize,
        deadline: Nanos,
        stop: &Stop,
    ) -> Result<Vec<u8>, LineError> {
        self.surplus.clear();
        tcflush(&self.port, QueueSelector::IFlush).map_err(|e| failed(e, Vec::new()))?;
        self.send(tx, deadline, stop)?;
        let reply = self.frame(end, max, deadline, stop);
        self.or_flush(reply)
    }

    /// Read one frame that the device sends by itself. What arrived since the
    /// last frame counts.
    ///
    /// # Errors
    /// As [`Line::transact`].
    pub fn frame(
        &mut self,
        end: ReplyEnd,
        max: usize,
        deadline: Nanos,
        stop: &Stop,
    ) -> Result<Vec<u8>, LineError> {
        let mut surplus = std::mem::take(&mut self.surplus);
        let frame = self.read(&mut surplus, end, max, deadline, stop);
        self.surplus = surplus;
        frame
    }

    /// Set the levels of DTR and RTS.
    ///
    /// # Errors
    /// [`LineError::Io`] on a line that has none.
    pub fn set_modem_lines(&self, dtr: bool, rts: bool) -> Result<(), LineError> {
        let set = self.port.set_dtr(dtr).and_then(|()| self.port.set_rts(rts));
        set.map_err(|source| LineError::Io { partial: Vec::new(), source })
    }

    /// CTS, DSR, DCD and RI.
    ///
    /// # Errors
    /// [`LineError::Io`] on a line that has none.
    pub fn modem_lines(&self) -> Result<(bool, bool, bool, bool), LineError> {
        let read = || {
            let port = &self.port;
            Ok((port.read_cts()?, port.read_dsr()?, port.read_cd()?, port.read_ri()?))
        };
        read().map_err(|source| LineError::Io { partial: Vec::new(), source })
    }

    /// Hold the line at space for `time`, or until the plugin is to stop.
    ///
    /// # Errors
    /// [`LineError::Io`].
    pub fn send_break(&self, time: Duration, stop: &Stop) -> Result<(), LineError> {
        let failed = |source| LineError::Io { partial: Vec::new(), source };
        self.port.set_break(true).map_err(failed)?;
        stop.wait(time);
        self.port.set_break(false).map_err(failed)
    }

    /// Send `tx` before `deadline`. What could not be sent by then never is.
    ///
    /// # Errors
    /// As [`Line::transact`].
    pub fn send(&self, tx: &[u8], deadline: Nanos, stop: &Stop) -> Result<(), LineError> {
        self.or_flush(self.write(tx, deadline, stop))
    }

    /// After a failure, throw away what waits to be sent.
    fn or_flush<T>(&self, result: Result<T, LineError>) -> Result<T, LineError> {
        if result.is_err() {
            // The failure is told; a line that cannot be flushed is gone.
            let _ = tcflush(&self.port, QueueSelector::OFlush);
        }
        result
    }

    fn write(&self, mut tx: &[u8], deadline: Nanos, stop: &Stop) -> Result<(), LineError> {
        while !tx.is_empty() {
            match self.wait(PollFlags::OUT, deadline, stop) {
                Ok(true) => {}
                Ok(false) => return Err(LineError::Timeout { partial: Vec::new() }),
                Err(error) => return Err(error.with(Vec::new())),
            }
            match rustix::io::write(&self.port, tx) {
                Ok(count) => tx = &tx[count..],
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(failed(errno, Vec::new())),
            }
        }
        Ok(())
    }

    /// A frame; `surplus` is what came before and then what came behind it.
    fn read(
        &self,
        surplus: &mut Vec<u8>,
        end: ReplyEnd,
        max: usize,
        deadline: Nanos,
        stop: &Stop,
    ) -> Result<Vec<u8>, LineError> {
        let mut frame = Vec::new();
        let mut chunk = std::mem::take(surplus);
        loop {
            let wanted = match end {
                ReplyEnd::Terminator(last) => {
                    chunk.iter().position(|b| *b == last).map(|at| at + 1)
                }
                ReplyEnd::Length(length) => {
                    length.checked_sub(frame.len()).filter(|missing| *missing <= chunk.len())
                }
                ReplyEnd::Idle(_) => None,
            };
            surplus.extend_from_slice(&chunk[wanted.unwrap_or(chunk.len())..]);
            chunk.truncate(wanted.unwrap_or(chunk.len()));
            let room = max - frame.len();
            frame.extend_from_slice(&chunk[..chunk.len().min(room)]);
            match wanted {
                _ if chunk.len() > room => return Err(LineError::TooLong { partial: frame }),
                Some(_) => return Ok(frame),
                None => {}
            }
            let until = match end {
                ReplyEnd::Idle(gap) if !frame.is_empty() => deadline.min(clock::now() + gap),
                _ => deadline,
            };
            match self.wait(PollFlags::IN, until, stop) {
                Ok(true) => {}
                // Quiet for the whole gap, not just until the deadline.
                Ok(false) if until < deadline => return Ok(frame),
                Ok(false) => return Err(LineError::Timeout { partial: frame }),
                Err(error) => return Err(error.with(frame)),
            }
            chunk.resize(256, 0);
            match rustix::io::read(&self.port, &mut chunk[..]) {
                Ok(0) => return Err(LineError::Vanished { partial: frame }),
                Ok(count) => chunk.truncate(count),
                Err(Errno::AGAIN | Errno::INTR) => chunk.clear(),
                Err(errno) => return Err(failed(errno, frame)),
            }
        }
    }

    /// True when the line is ready, false at the deadline.
    fn wait(&self, events: PollFlags, deadline: Nanos, stop: &Stop) -> Result<bool, WaitError> {
        match stop.wait_for(self.port.as_fd(), events, deadline).map_err(WaitError::Io)? {
            Woken::Ready(ready) if ready.intersects(events) => Ok(true),
            Woken::Ready(_) => Err(WaitError::Vanished),
            Woken::Stopped => Err(WaitError::Stopped),
            Woken::TimedOut => Ok(false),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A device that vanished answers neither; there is nobody to tell.
        let _ = ioctl_tiocnxcl(&self.port);
        let _ = tcflush(&self.port, QueueSelector::IOFlush);
    }
}

/// Why a wait ended badly; becomes a [`LineError`] with the bytes so far.
enum WaitError {
    Vanished,
    Stopped,
    Io(io::Error),
}

impl WaitError {
    fn with(self, partial: Vec<u8>) -> LineError {
        match self {
            Self::Vanished => LineError::Vanished { partial },
            Self::Stopped => LineError::Stopped { partial },
            Self::Io(source) => LineError::Io { partial, source },
        }
    }
}

fn failed(errno: Errno, partial: Vec<u8>) -> LineError {
    match errno {
        Errno::IO | Errno::NODEV | Errno::NXIO | Errno::PIPE => LineError::Vanished { partial },
        errno => LineError::Io { partial, source: errno.into() },
    }
}

/// A pseudo-terminal has no such lines, and some adapters lack them: that is
/// no reason not to use the rest.
fn set_modem_line(name: &str, result: io::Result<()>, path: &Path) -> Result<(), LineError> {
    let Err(source) = result else { return Ok(()) };
    match Errno::from_io_error(&source) {
        Some(Errno::INVAL | Errno::NOTTY) => {
            debug!("{} has no {name}: {source}", path.display());
            Ok(())
        }
        _ => Err(LineError::Open { path: path.to_owned(), source }),
    }
}

fn attributes_for(mut attributes: Termios, settings: &Settings) -> Result<Termios, Errno> {
    attributes.make_raw();
    attributes.set_speed(settings.baud)?;
    let modes = &mut attributes.control_modes;
    modes.remove(SHAPE | ControlModes::CRTSCTS);
    // HUPCL would drop DTR when the line is closed.
    modes.remove(ControlModes::HUPCL);
    modes.insert(ControlModes::CREAD | ControlModes::CLOCAL);
    modes.insert(if settings.seven_bits { ControlModes::CS7 } else { ControlModes::CS8 });
    modes.insert(match settings.parity {
        Parity::None => ControlModes::empty(),
        Parity::Even => ControlModes::PARENB,
        Parity::Odd => ControlModes::PARENB | ControlModes::PARODD,
    });
    modes.set(ControlModes::CSTOPB, settings.two_stop_bits);
    attributes.special_codes[SpecialCodeIndex::VMIN] = 1;
    attributes.special_codes[SpecialCodeIndex::VTIME] = 0;
    Ok(attributes)
}

/// The modes that give a character its shape on the wire.
const SHAPE: ControlModes = ControlModes::CSIZE
    .union(ControlModes::PARENB)
    .union(ControlModes::PARODD)
    .union(ControlModes::CSTOPB);

fn shape(attributes: &Termios) -> ControlModes {
    attributes.control_modes & SHAPE
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::JoinHandle;
    use std::time::{Duration, Instant};

    /// The far end of a line: a pseudo-terminal's master.
    pub(crate) struct Pty {
        master: OwnedFd,
        /// Where the near end is opened.
        pub(crate) path: PathBuf,
    }

    impl Pty {
        pub(crate) fn new() -> Self {
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let master = openpt(flags).expect("a pseudo-terminal");
            grantpt(&master).expect("granted");
            unlockpt(&master).expect("unlocked");
            let name = ptsname(&master, Vec::new()).expect("a name");
            let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())).to_owned();
            Self { master, path }
        }

        pub(crate) fn linked(link: &Path) -> Self {
            let pty = Self::new();
            let _ = std::fs::remove_file(link);
            std::os::unix::fs::symlink(&pty.path, link).expect("linked");
            pty
        }

        pub(crate) fn send(&self, bytes: &[u8]) {
            assert_eq!(rustix::io::write(&self.master, bytes), Ok(bytes.len()));
        }

        /// What has arrived at the far end, after a moment.
        fn take(&self) -> Vec<u8> {
            std::thread::sleep(Duration::from_millis(100));
            rustix::fs::fcntl_setfl(&self.master, OFlags::NONBLOCK).expect("set");
            let (mut bytes, mut chunk) = (Vec::new(), [0; 4_096]);
            while let Ok(count @ 1..) = rustix::io::read(&self.master, &mut chunk) {
                bytes.extend_from_slice(&chunk[..count]);
            }
            bytes
        }

        fn put(&self, bytes: &[u8]) {
            rustix::io::write(&self.master, bytes).expect("written");
        }
    }

    /// A device that answers every request that ends with a carriage return;
    /// it unplugs itself when dropped.
    pub(crate) struct Far {
        end: Arc<AtomicBool>,
        thread: Option<JoinHandle<()>>,
        /// Where the near end is opened.
        pub(crate) path: PathBuf,
    }

    impl Far {
        pub(crate) fn answer(
            pty: Pty,
            mut answer: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static,
        ) -> Self {
            let end = Arc::new(AtomicBool::new(false));
            let (ended, path) = (Arc::clone(&end), pty.path.clone());
            let run = move || {
                let stop = Stop::new().expect("a descriptor");
                let mut request = Vec::new();
                let mut byte = [0];
                while !ended.load(Ordering::Acquire) {
                    let soon = clock::now() + Nanos::from_millis(5);
                    let woken = stop.wait_for(pty.master.as_fd(), PollFlags::IN, soon);
                    if !matches!(woken, Ok(Woken::Ready(e)) if e.contains(PollFlags::IN)) {
                        // Nobody has the near end open: HUP at once, each time.
                        std::thread::sleep(Duration::from_millis(1));
                        continue;
                    }
                    if rustix::io::read(&pty.master, &mut byte) != Ok(1) {
                        continue;
                    }
                    request.push(byte[0]);
                    if byte[0] == b'\r' {
                        pty.put(&answer(&std::mem::take(&mut request)));
                    }
                }
            };
            let thread = Some(std::thread::spawn(run));
            Self { end, thread, path }
        }
    }

    impl Drop for Far {
        fn drop(&mut self) {
            self.end.store(true, Ordering::Release);
            if let Some(thread) = self.thread.take() {
                let _ = thread.join();
            }
        }
    }

    const SETTINGS: Settings = Settings {
        baud: 2_400,
        seven_bits: false,
        parity: Parity::None,
        two_stop_bits: false,
        dtr: true,
        rts: false,
    };

    fn open(path: &Path) -> Line {
        Line::open(path, &SETTINGS).expect("opens")
    }

    fn stop() -> Stop {
        Stop::new().expect("a descriptor")
    }

    fn soon(ms: u64) -> Nanos {
        clock::now() + Nanos::from_millis(ms)
    }

    fn ask(line: &mut Line, end: ReplyEnd, max: usize, ms: u64) -> Result<Vec<u8>, LineError> {
        line.transact(b"Q1\r", end, max, soon(ms), &stop())
    }

    #[test]
    fn a_reply_ends_at_its_terminator() {
        let far = Far::answer(Pty::new(), |request| {
            assert_eq!(request, b"Q1\r");
            b"(208.4 140.0\rlate".to_vec()
        });
        let mut line = open(&far.path);
        let end = ReplyEnd::Terminator(b'\r');
        assert_eq!(ask(&mut line, end, 64, 5_000).expect("a reply"), b"(208.4 140.0\r");
        // What came after it is not the beginning of the next reply.
        assert_eq!(ask(&mut line, end, 64, 5_000).expect("a reply"), b"(208.4 140.0\r");
    }

    #[test]
    fn a_reply_ends_after_its_length_or_when_the_line_is_quiet() {
        let far = Far::answer(Pty::new(), |_| b"0123456789".to_vec());
        let mut line = open(&far.path);
        assert_eq!(ask(&mut line, ReplyEnd::Length(4), 64, 5_000).expect("a reply"), b"0123");
        let idle = ReplyEnd::Idle(Nanos::from_millis(50));
        let begun = Instant::now();
        assert_eq!(ask(&mut line, idle, 64, 5_000).expect("a reply"), b"0123456789");
        assert!(begun.elapsed() >= Duration::from_millis(50));
        assert!(begun.elapsed() < Duration::from_secs(4), "not the deadline");
    }

    #[test]
    fn silence_and_half_replies_time_out_with_what_came() {
        let far = Far::answer(Pty::new(), |_| b"(208".to_vec());
        let mut line = open(&far.path);
        for end in
            [ReplyEnd::Terminator(b'\r'), ReplyEnd::Length(5), ReplyEnd::Idle(Nanos::from_secs(9))]
        {
            match ask(&mut line, end, 64, 80) {
                Err(LineError::Timeout { partial }) => assert_eq!(partial, b"(208"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_reply_without_end_is_cut_at_the_maximum() {
        let far = Far::answer(Pty::new(), |_| vec![b'x'; 1_000]);
        let mut line = open(&far.path);
        for end in [ReplyEnd::Terminator(b'\r'), ReplyEnd::Idle(Nanos::from_millis(20))] {
            match ask(&mut line, end, 100, 5_000) {
                Err(LineError::TooLong { partial }) => assert_eq!(partial, [b'x'; 100]),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_line_belongs_to_one() {
        let pty = Pty::new();
        let line = open(&pty.path);
        assert!(matches!(Line::open(&pty.path, &SETTINGS), Err(LineError::InUse)));
        drop(line);
        open(&pty.path);
    }

    /// Runs `test` without the right to pass over `TIOCEXCL`, as the daemon
    /// runs on the appliance. Rights belong to a thread.
    fn unprivileged(test: impl FnOnce() + Send + 'static) {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        let run = move || {
            let mut rights = capabilities(None).expect("known");
            rights.effective.remove(CapabilitySet::SYS_ADMIN);
            set_capabilities(None, rights).expect("given up");
            test();
        };
        if let Err(panic) = std::thread::spawn(run).join() {
            std::panic::resume_unwind(panic);
        }
    }

    #[test]
    fn a_closed_line_can_be_opened_again_by_an_ordinary_user() {
        unprivileged(|| {
            let pty = Pty::new();
            for _ in 0..3 {
                let line = open(&pty.path);
                assert!(matches!(Line::open(&pty.path, &SETTINGS), Err(LineError::InUse)));
                drop(line);
            }
        });
    }

    #[test]
    fn a_line_that_could_not_be_set_is_not_locked_for_ever() {
        unprivileged(|| {
            let pty = Pty::new();
            // A pseudo-terminal has no parity.
            let parity = Settings { parity: Parity::Even, ..SETTINGS };
            for _ in 0..2 {
                let refused = Line::open(&pty.path, &parity);
                assert!(matches!(refused, Err(LineError::Open { .. })), "{refused:?}");
            }
            open(&pty.path);
        });
    }

    #[test]
    fn a_loser_does_not_unlock_the_winner_s_line() {
        unprivileged(|| {
            let pty = Pty::new();
            let line = open(&pty.path);
            assert!(Line::open(&pty.path, &SETTINGS).is_err());
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
            let stranger = rustix::fs::open(&pty.path, flags, Mode::empty());
            assert!(matches!(stranger, Err(Errno::BUSY)), "{stranger:?}");
            drop(line);
        });
    }

    #[test]
    fn what_could_not_be_sent_is_never_sent() {
        let pty = Pty::new();
        let mut line = open(&pty.path);
        // Far more than a pseudo-terminal holds while nobody reads.
        let sent = line.send(&[b'x'; 1 << 17], soon(50), &stop());
        assert!(matches!(sent, Err(LineError::Timeout { .. })), "{sent:?}");
        let unanswered = line.transact(b"Q1\r", ReplyEnd::Length(1), 64, soon(50), &stop());
        assert!(matches!(unanswered, Err(LineError::Timeout { .. })), "{unanswered:?}");
        line.send(b"F\r", soon(1_000), &stop()).expect("sent");
        // Up to 4 KiB had arrived when the rest was thrown away.
        let arrived = pty.take();
        let old = arrived.iter().take_while(|byte| **byte == b'x').count();
        assert!(old <= 4_096, "{old} bytes of the first request");
        assert_eq!(&arrived[old..], b"F\r");
    }

    #[test]
    fn what_is_no_line_is_told_from_what_is_absent() {
        let absent = Line::open(Path::new("/dev/ttyNONE7"), &SETTINGS);
        assert!(matches!(absent, Err(LineError::Absent { .. })));
        let null = Line::open(Path::new("/dev/null"), &SETTINGS);
        assert!(matches!(null, Err(LineError::Open { .. })));
        // A pseudo-terminal has no parity, and says nothing when asked for it.
        let pty = Pty::new();
        let parity = Line::open(&pty.path, &Settings { parity: Parity::Even, ..SETTINGS });
        assert!(matches!(parity, Err(LineError::Open { .. })));
    }

    #[test]
    fn a_stop_ends_a_wait_at_once() {
        let pty = Pty::new();
        let mut line = open(&pty.path);
        let stop = Arc::new(stop());
        let other = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            other.request();
            Instant::now()
        });
        let result = line.transact(b"Q1\r", ReplyEnd::Length(1), 64, soon(60_000), &stop);
        assert!(matches!(result, Err(LineError::Stopped { .. })));
        let requested = thread.join().expect("no panic");
        assert!(requested.elapsed() < Duration::from_millis(100));
    }

    #[test]
    fn an_unplugged_line_says_so() {
        let pty = Pty::new();
        let mut line = open(&pty.path);
        let unplug = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            drop(pty);
        });
        let result = ask(&mut line, ReplyEnd::Length(1), 64, 5_000);
        assert!(matches!(result, Err(LineError::Vanished { .. })), "{result:?}");
        unplug.join().expect("no panic");
        assert!(matches!(
            ask(&mut line, ReplyEnd::Length(1), 64, 50),
            Err(LineError::Vanished { .. })
        ));
    }
}
