//! The daemon as a process: what it makes is private, what is in its way does
//! not keep it from starting, and a damaged configuration falls back.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running daemon; killed when dropped.
struct Daemon(Child);

impl Daemon {
    fn start(config: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeeld"));
        command.arg("--config").arg(config).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect("started"))
    }

    /// The first line on standard output: `None` when it ended without one.
    fn ready(&mut self) -> Option<String> {
        let out = self.0.stdout.take().expect("asked once");
        BufReader::new(out).lines().next().map(|line| line.expect("text"))
    }

    /// Ends it; what it logged.
    fn log(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.0);
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let mut log = String::new();
        self.0.stderr.take().expect("asked once").read_to_string(&mut log).expect("text");
        self.0.wait().expect("ended");
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Mostly it ended in `log`.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn configuration(dir: &Path, port: u16) -> PathBuf {
    let file = dir.join("evenkeeld.toml");
    let (data, guard) = (dir.join("data"), dir.join("guard.sock"));
    let (plugins, trust) = (dir.join("plugins"), dir.join("trust"));
    let text = format!(
        "data_dir = {data:?}\nlisten = \"127.0.0.1:{port}\"\nguard_socket = {guard:?}\n\
         plugin_dir = {plugins:?}\ntrust_dir = {trust:?}\n"
    );
    fs::write(&file, text).expect("written");
    file
}

#[test]
fn what_it_makes_is_for_its_user_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut daemon = Daemon::start(&configuration(dir.path(), 0));
    assert!(daemon.ready().expect("ready").starts_with("evenkeeld ready https://127.0.0.1:"));
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let data = dir.path().join("data");
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> =
        fs::read_dir(&data).expect("readable").map(|e| e.expect("one").path()).collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let wanted = if file.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&file), wanted, "{}", file.display());
    }
}

#[test]
fn a_damaged_configuration_falls_back_to_the_stored_revision() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = configuration(dir.path(), 0);
    let good = fs::read_to_string(&config).expect("readable");
    fs::write(&config, good.replace("listen", "lisden")).expect("written");
    let mut daemon = Daemon::start(&config);
    assert_eq!(daemon.ready(), None, "nothing to fall back to");
    assert!(daemon.log().contains("lisden"));
    assert!(!dir.path().join("data").exists(), "and no store was begun");

    fs::write(&config, &good).expect("written");
    let mut daemon = Daemon::start(&config);
    assert!(daemon.ready().is_some());
    drop(daemon.log());
    fs::write(&config, good.replace("listen", "lisden")).expect("written");
    let mut daemon = Daemon::start(&config);
    assert!(daemon.ready().is_some());
    let log = daemon.log();
    assert!(
        log.contains("line 2") && log.contains("lisden") && log.contains("revision 1"),
        "{log}"
    );
}

#[test]
fn a_taken_port_and_files_in_the_way_are_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let config = configuration(dir.path(), taken.local_addr().expect("an address").port());
    // A directory where the file should be: cannot be written, whoever runs this.
    fs::create_dir_all(dir.path().join("data/address")).expect("a directory");
    let mut daemon = Daemon::start(&config);
    std::thread::sleep(std::time::Duration::from_secs(1));
    drop(taken);
    assert!(daemon.ready().is_some());
    let log = daemon.log();
    assert!(log.contains("cannot listen on") && log.contains("tried again"), "{log}");
    assert!(log.contains("address cannot be written"), "{log}");
}

#[test]
fn a_store_that_cannot_be_opened_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = configuration(dir.path(), 0);
    let store = dir.path().join("data/evenkeel.redb");
    fs::create_dir_all(&store).expect("a directory in the way");
    let mut daemon = Daemon::start(&config);
    assert!(daemon.ready().is_some(), "the console runs");
    assert!(!dir.path().join("data/first-password").exists(), "no user yet");
    fs::remove_dir(&store).expect("out of the way");
    let password = dir.path().join("data/first-password");
    for _ in 0..300 {
        if password.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let log = daemon.log();
    assert!(password.exists(), "{log}");
    assert!(log.contains("store can be written again"), "{log}");
}
