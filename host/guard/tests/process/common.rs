//! A simulated bus and a guard on it.

use evenkeel_core::command::{self, Request, VERSION};
use evenkeel_core::image::{self, Reader, Snapshot};
use evenkeel_core::settings::GuardSettings;
use evenkeel_sim::live;
use evenkeel_sim::scenario::Scenario;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::{Duration, Instant};

const BLOCKS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(20);

/// Wait until `holds`.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Read one answer.
pub fn answer<T: serde::de::DeserializeOwned>(stream: &mut UnixStream) -> T {
    let mut prefix = [0; 2];
    stream.read_exact(&mut prefix).expect("answered");
    let mut body = vec![0; command::body_len(prefix).expect("short")];
    stream.read_exact(&mut body).expect("answered");
    command::decode(&body).expect("an answer")
}

/// A field of a text as in `/proc/PID/status`.
pub fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
    status.lines().find_map(value).unwrap_or_default().trim()
}

/// A folder with a simulated bus in it.
pub struct Hardware {
    folder: tempfile::TempDir,
    simulation: Option<thread::JoinHandle<()>>,
}

impl Hardware {
    /// One string of a few blocks at `bus0`.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // A guard under another user has to find its socket and its state.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
        let scenario = format!("[[strings]]\nblocks = {BLOCKS}\n");
        let scenario = Scenario::parse(&scenario).expect("valid");
        let dir = folder.path().to_owned();
        let simulation = thread::spawn(move || {
            live::run(&scenario, &dir, None, &mut Vec::new()).expect("the simulation runs");
        });
        let this = Self { folder, simulation: Some(simulation) };
        eventually("the bus is there", || this.path("bus0").exists());
        let settings = format!(
            "cycle_ms = 500\n[[bus]]\nport = {:?}\n[[battery]]\nname = \"NP7\"\n\
             chemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n[[string]]\nname = \"A\"\n\
             module = \"C20\"\nbattery = \"NP7\"\nfirst_address = 1\nblocks = {BLOCKS}\n",
            this.path("bus0")
        );
        let sealed = GuardSettings::seal(&settings).expect("valid");
        fs::write(this.path("settings.toml"), sealed).expect("written");
        this
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Order the simulation to do something.
    pub fn order(&self, what: &str) {
        let (_, last) = live::send(&self.path("control"), what).expect("an answer");
        assert_eq!(last, "ok", "{what}");
    }

    /// Let any user open the port, once it is there.
    pub fn open_to_everybody(&self) {
        eventually("the bus is there", || self.path("bus0").exists());
        let everybody = fs::Permissions::from_mode(0o666);
        fs::set_permissions(self.path("bus0"), everybody).expect("set");
    }
}

impl Drop for Hardware {
    fn drop(&mut self) {
        // Both fail only when the simulation has ended, which its own panic says.
        let _ = live::send(&self.path("control"), "quit");
        let _ = self.simulation.take().map(thread::JoinHandle::join);
    }
}

/// A running guard. Dropping it kills it.
pub struct Guard {
    child: Child,
    log: PathBuf,
    socket: PathBuf,
    image: File,
    words: Vec<AtomicU32>,
}

impl Guard {
    /// Start one on `hardware`, and wait until it is ready.
    pub fn start(hardware: &Hardware, options: &[&str]) -> Self {
        let (log, socket) = (hardware.path("guard.log"), hardware.path("guard.sock"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_evenkeel-guard"))
            .arg("run")
            .args(["--settings".into(), hardware.path("settings.toml")])
            .args(["--state".into(), hardware.path("state")])
            .args(["--socket".into(), socket.clone()])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("started");
        let mut ready = [0; 6];
        let stdout = child.stdout.as_mut().expect("piped");
        stdout.read_exact(&mut ready).expect("it says that it is ready");
        assert_eq!(&ready, b"ready ");
        let image = fetch_image(&mut UnixStream::connect(&socket).expect("reached"));
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let image = image.unwrap_or_else(|| panic!("no image; the guard said:\n{}", said()));
        let words = (0..image::WORDS).map(|_| AtomicU32::new(0)).collect();
        Self { child, log, socket, image, words }
    }

    /// The image of a whole cycle.
    pub fn snapshot(&mut self) -> Snapshot {
        let mut reader = Reader::default();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut bytes = vec![0; image::BYTES];
            self.image.read_exact_at(&mut bytes, 0).expect("read");
            // Sequence and words may be of two cycles unless nothing changes.
            let mut again = bytes.clone();
            self.image.read_exact_at(&mut again, 0).expect("read");
            for (word, half) in self.words.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *word.get_mut() = u32::from_le_bytes(*half);
            }
            if bytes == again
                && let Ok(snapshot) = reader.read(&self.words)
            {
                return snapshot;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("no image; the guard said:\n{}", self.log());
    }

    /// Wait until the image is as wanted.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Snapshot) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let snapshot = self.snapshot();
            if wanted(&snapshot) {
                return;
            }
            let log = self.log();
            assert!(Instant::now() < deadline, "never: {what}; {:?}\n{log}", snapshot.cycle);
            assert!(self.child.try_wait().expect("a child").is_none(), "it has ended:\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A new client.
    pub fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).expect("reached")
    }

    /// What it has said on standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("readable")
    }

    /// The status of each of its threads, as text.
    pub fn threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status"));
        tasks.map(|task| status(task.expect("listed")).expect("readable")).collect()
    }

    /// Its resident memory, kB.
    pub fn resident_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let kb = field(&status, "VmRSS").strip_suffix(" kB").expect("in kB");
        kb.trim().parse().expect("a number")
    }

    /// Send it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process");
        kill_process(pid, signal).expect("sent");
    }

    /// Ask it to stop, and wait until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not stop:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// End it as a crash would.
    pub fn kill(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Say hello; the image's memory comes with the answer.
fn fetch_image(stream: &mut UnixStream) -> Option<File> {
    let hello = command::encode(&Request::Hello { version: VERSION }).expect("short");
    stream.write_all(&hello).expect("sent");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 8192];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(stream.as_fd(), &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)
        .expect("answered");
    let fds = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fds.map(File::from)
}
