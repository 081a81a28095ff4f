//! A plugin in C on the running appliance: made from the WIT by `wit-bindgen c`
//! and clang as its Makefile says, with nothing of the Rust SDK, signed by
//! `evenkeel-plugin`, installed, granted a line, and printing events on it.
//!
//! `wit-bindgen` and `wasm-tools` are used here as the libraries that those
//! programs are made of, which are in the tree anyway: installing the programs
//! would compile for minutes what is then called once.

use evenkeel_e2e::{Options, Stack};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;
use wit_component::ComponentEncoder;

const SOON: Duration = Duration::from_secs(40);

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/examples/c")
}

/// What a program wrote to standard output; it must succeed.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.trim().to_owned()
}

/// The steps of the Makefile, in `build`; gives the component.
fn component(build: &Path) -> PathBuf {
    let make = |target: PathBuf| {
        let build = format!("BUILD={}", build.display());
        said(Command::new("make").arg("-C").arg(source()).arg(build).arg(target));
    };
    make(build.join("wit"));
    bindings(build);
    make(build.join("module.wasm"));
    let module = fs::read(build.join("module.wasm")).expect("a module");
    let mut encoder = ComponentEncoder::default();
    let encoded = encoder.validate(true).module(&module).and_then(ComponentEncoder::encode);
    let bytes = encoded.expect("it fits its world");
    println!("core module {} bytes, component {} bytes", module.len(), bytes.len());
    let path = build.join("line-printer.wasm");
    fs::write(&path, bytes).expect("written");
    path
}

/// `wit-bindgen c --world notifier --out-dir <build> <build>/wit`
fn bindings(build: &Path) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(build.join("wit")).expect("sound WIT");
    let world = resolve.select_world(&[package], Some("notifier")).expect("the world");
    let mut files = Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    generator.generate(&mut resolve, world, &mut files).expect("generated");
    for (name, content) in files.iter() {
        fs::write(build.join(name), content).expect("written");
    }
}

/// A printer at the far end of a serial line.
struct Printer {
    paper: OwnedFd,
    line: PathBuf,
    printed: Vec<u8>,
}

impl Printer {
    fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let paper = openpt(flags).expect("a pseudo-terminal");
        grantpt(&paper).expect("granted");
        unlockpt(&paper).expect("unlocked");
        let name = ptsname(&paper, Vec::new()).expect("a name");
        let line = name.into_string().expect("ASCII").into();
        Self { paper, line, printed: Vec::new() }
    }

    /// The first line that says `wanted`, within a while.
    fn line(&mut self, wanted: &str, within: Duration) -> Option<String> {
        let begun = Instant::now();
        loop {
            let text = str::from_utf8(&self.printed).expect("ASCII alone");
            // The last line may be half printed.
            let whole = text.rsplit_once("\r\n").map_or("", |(whole, _)| whole);
            if let Some(line) = whole.split("\r\n").find(|line| line.contains(wanted)) {
                return Some(line.to_owned());
            }
            if begun.elapsed() > within {
                return None;
            }
            self.wait();
        }
    }

    fn wait(&mut self) {
        let tick = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        let mut ready = [PollFd::new(&self.paper, PollFlags::IN)];
        poll(&mut ready, Some(&tick)).expect("polled");
        if !ready[0].revents().contains(PollFlags::IN) {
            // Nobody has the line open yet: hung up, at once and each time.
            return std::thread::sleep(Duration::from_millis(5));
        }
        let mut chunk = [0; 512];
        let len = rustix::io::read(&self.paper, &mut chunk).unwrap_or(0);
        self.printed.extend_from_slice(&chunk[..len]);
    }
}

/// An appliance with this bundle beside its usual plugins, and its key.
fn appliance(dir: &Path, bundle: &Path, key: &Path, printer: &Printer) -> Stack {
    let options = Options::for_test(dir).expect("everything is built");
    let plugins = dir.join("plugins");
    fs::create_dir_all(&plugins).expect("a folder");
    let usual = fs::read_dir(&options.plugins).expect("built plugins");
    let bundles = usual.map(|entry| entry.expect("readable").path());
    for path in bundles.filter(|path| path.extension().is_some_and(|end| end == "evkp")) {
        fs::copy(&path, plugins.join(path.file_name().expect("a name"))).expect("copied");
    }
    fs::copy(bundle, plugins.join(bundle.file_name().expect("a name"))).expect("copied");
    fs::create_dir_all(dir.join("trust")).expect("a folder");
    fs::copy(key, dir.join("trust/acme-dev.pub")).expect("copied");
    let daemon_settings = format!(
        "[[plugin]]\nname = \"line-printer\"\ngrant.events.log = \"info\"\n\
         grant.serial.printer = {:?}\nsettings = {{ columns = \"72\" }}\n",
        printer.line
    );
    Stack::start(Options { plugins, daemon_settings, ..options }).expect("a running stack")
}

#[test]
fn a_plugin_in_c_prints_what_happens() {
    let dir = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    let component = component(&dir.path().join("build"));
    println!("from the WIT to the component: {} ms", begun.elapsed().as_millis());
    let programs = Options::for_test(dir.path()).expect("everything is built").programs;
    let tool = || {
        let mut tool = Command::new(programs.join("evenkeel-plugin"));
        tool.current_dir(dir.path());
        tool
    };
    let key = ["keygen", "--role", "plugin", "--name", "acme-dev", "--out", "acme-dev.key"];
    said(tool().args(key));
    let sign = ["sign", "--key", "acme-dev.key", "--component"];
    let bundle = PathBuf::from(said(tool().args(sign).arg(&component).arg(source())));
    let report = said(tool().args(["inspect", "--trust", "acme-dev.pub"]).arg(&bundle));
    assert!(report.contains("VERIFIED") && report.contains("line-printer 0.1.0"), "{report}");
    for name in ["log", "clock", "net-client", "kv", "crypto"] {
        let import = format!("evenkeel:{name}/");
        assert!(!report.contains(&import), "what is not used is not imported\n{report}");
    }

    let mut printer = Printer::new();
    let key = dir.path().join("acme-dev.pub");
    let mut stack = appliance(dir.path(), &bundle, &key, &printer);
    // A notifier that is new begins at some moment after its start: have
    // something happen until the first of it is on paper.
    let begun = Instant::now();
    let line = loop {
        stack.sign_in().expect("signed in");
        if let Some(line) = printer.line(" info access: ", Duration::from_millis(300)) {
            break line;
        }
        assert!(begun.elapsed() < SOON, "nothing is printed: {}", stack.daemon.log());
    };
    let (time, rest) = line.split_at("2026-11-21 17:37:52".len());
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00 00:00:00", "{line}");
    assert!(rest.contains("admin"), "{line}");
    // Nobody misses a guard that was not heard yet.
    let mut client = stack.sign_in().expect("signed in");
    client.await_answer("/api/v1/guard", |guard| guard["cycles"].as_u64() > Some(0));
    stack.guard.kill();
    let line = printer.line(" ALARM ", SOON).expect("printed");
    println!("printed: {line}");
    assert!(line.len() <= 72, "as long as the paper is wide: {line}");
}
