//! A vendor with the packed SDK and nothing else of ours: unpacked outside the
//! tree, the tool is installed from it as its README says, and what that writes
//! is built with the crate beside it, run against a device on a serial line, and
//! trusted by a device whose keyring the same tool made.

use evenkeel_signing::{PublicKey, Roots, Trust};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a program wrote to standard output; it must succeed. No network: what
/// the workspace is built from is enough.
fn said<S: AsRef<OsStr>>(folder: &Path, program: impl AsRef<OsStr>, arguments: &[S]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("CARGO_NET_OFFLINE", "true");
    // What is built here is run once: nobody looks into it.
    command.env("CARGO_PROFILE_DEV_DEBUG", "false").env("CARGO_INCREMENTAL", "0");
    let output = command.env_remove("CARGO_TARGET_DIR").output().expect("the program starts");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.trim().to_owned()
}

#[test]
fn the_tool_is_installed_and_makes_a_plugin_from_the_packed_sdk_alone() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let packed = said(
        dir.path(),
        env!("CARGO_BIN_EXE_xtask"),
        &["sdk".as_ref(), "--out".as_ref(), out.as_os_str()],
    );
    println!("{packed}: {} bytes", fs::metadata(&packed).unwrap().len());
    said(dir.path(), "tar", &["xzf", &packed]);
    let sdk = dir.path().join(
        Path::new(&packed).file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.gz"),
    );
    let names = said(&sdk, "find", &[".", "-type", "l"]);
    assert_eq!(names, "", "links would lead out of it");

    // Compiled once for all runs, crates of ours aside.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk");
    let install = ["install", "--locked", "--debug", "--path", "sdk/tool", "--root"];
    let mut words: Vec<&OsStr> = install.iter().map(OsStr::new).collect();
    words.extend([dir.path().as_os_str(), OsStr::new("--target-dir"), kept.as_os_str()]);
    said(&sdk, env!("CARGO"), &words);

    let tool = dir.path().join("bin/evenkeel-plugin");
    let guest = sdk.join("sdk/guest");
    said(
        dir.path(),
        &tool,
        &["new".as_ref(), "acme".as_ref(), "--sdk".as_ref(), guest.as_os_str()],
    );
    let plugin = dir.path().join("acme");
    // The versions that this machine has.
    fs::copy(sdk.join("Cargo.lock"), plugin.join("Cargo.lock")).unwrap();
    std::os::unix::fs::symlink(&kept, plugin.join("target")).unwrap();
    said(dir.path(), &tool, &["build", "acme"]);
    said(dir.path(), &tool, &["keygen", "--role", "plugin", "--name", "acme", "--out", "acme.key"]);
    let bundle = said(dir.path(), &tool, &["sign", "--key", "acme.key", "acme"]);
    let report = said(dir.path(), &tool, &["inspect", "--trust", "acme.pub", &bundle]);
    assert!(report.contains("VERIFIED") && report.contains("acme 0.1.0"), "{report}");
    assert!(!report.contains("WARNING"), "{report}");
    it_runs_against_a_device(dir.path(), &tool);
    a_keyring_of_the_tool_is_one_for_a_device(dir.path(), &tool, &bundle);
}

/// What the template's imagined unit answers (`testcases/on_mains`).
const ANSWERS: [(&[u8], &[u8]); 3] = [
    (b"$ST*D1\r", b"$ST,230.1,49.9,055,L,00*BB\r"),
    (b"$ID*B7\r", b"$ID,EXAMPLE,EP-1000,1.07,I*05\r"),
    (b"$BA*AD\r", b"$BA,273,087,45*D5\r"),
];

/// The unit, until `over`.
fn answer(line: &OwnedFd, over: &AtomicBool) {
    let (mut heard, tick) = (Vec::new(), Timespec { tv_sec: 0, tv_nsec: 5_000_000 });
    while !over.load(Ordering::Relaxed) {
        let mut ready = [PollFd::new(line, PollFlags::IN)];
        poll(&mut ready, Some(&tick)).expect("polled");
        if !ready[0].revents().contains(PollFlags::IN) {
            // Nobody has the line open: hung up, at once and each time.
            std::thread::sleep(std::time::Duration::from_millis(1));
            continue;
        }
        let mut chunk = [0; 64];
        let len = rustix::io::read(line, &mut chunk).unwrap_or(0);
        heard.extend_from_slice(&chunk[..len]);
        let known = ANSWERS.iter().find(|(asked, _)| heard.ends_with(asked));
        if let Some((_, answered)) = known {
            heard.clear();
            assert_eq!(rustix::io::write(line, answered), Ok(answered.len()));
        }
    }
}

/// `evenkeel-plugin run`, on a pseudo-terminal.
fn it_runs_against_a_device(dir: &Path, tool: &Path) {
    let line = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a line");
    grantpt(&line).and_then(|()| unlockpt(&line)).expect("a line");
    let port = format!("ups={}", ptsname(&line, Vec::new()).expect("a name").to_string_lossy());
    let over = AtomicBool::new(false);
    let read = std::thread::scope(|scope| {
        scope.spawn(|| answer(&line, &over));
        let words = ["run", "acme", "--port", &port, "--polls", "1", "--record", "case"];
        // The unit ends whatever becomes of it.
        let read = std::panic::catch_unwind(|| said(dir, tool, &words));
        over.store(true, Ordering::Relaxed);
        read.expect("it runs")
    });
    for row in ["input.voltage = 230.1 V", "ups.load = 55 %", "device.model = \"EP-1000\""] {
        assert!(read.lines().any(|line| line == row), "no {row:?} in\n{read}");
    }
    let exchange = fs::read_to_string(dir.join("case/exchange.txt")).expect("recorded");
    assert!(exchange.contains("> \"$ST*D1\\r\"\n< \"$ST,230.1,"), "{exchange}");
}

/// `evenkeel-plugin keyring`: two roots sign, and a device that knows both
/// trusts the vendor whom they name.
fn a_keyring_of_the_tool_is_one_for_a_device(dir: &Path, tool: &Path, bundle: &str) {
    for name in ["root-a", "root-b"] {
        let out = format!("{name}.key");
        said(dir, tool, &["keygen", "--role", "root", "--name", name, "--out", &out]);
    }
    let text = "sequence = 1\nissued = 2026-01-01\nexpires = 2126-01-01\n\n\
        [[keys]]\nfile = \"acme.pub\"\nvendor = true\n";
    fs::write(dir.join("ring.toml"), text).expect("written");
    let make = ["keyring", "make", "--key", "root-a.key", "--out", "one.evkk", "ring.toml"];
    said(dir, tool, &make);
    let sign = ["keyring", "sign", "--key", "root-b.key", "--trust", "root-a.pub"];
    said(dir, tool, &[&sign[..], &["--out", "both.evkk", "one.evkk"]].concat());
    let roots =
        ["root-a.pub", "root-b.pub"].map(|name| PublicKey::read(&dir.join(name)).expect("a key"));
    let mut trust =
        Trust::new(Roots::new(roots.into(), 2).expect("two of two"), true).expect("trust");
    let raw = fs::read(dir.join(bundle)).expect("built");
    let unknown = trust.plugin(&raw).map(drop).expect_err("a stranger's").sentence();
    assert!(unknown.contains("no key that signed it is trusted here"), "{unknown}");
    let one = trust.accept_keyring(&fs::read(dir.join("one.evkk")).expect("made"), None);
    assert!(one.is_err(), "one root is too few");
    trust
        .accept_keyring(&fs::read(dir.join("both.evkk")).expect("signed"), None)
        .expect("two roots");
    let plugin = trust.plugin(&raw).map_err(|refusal| refusal.sentence()).expect("trusted");
    assert!(!plugin.is_platform() && plugin.manifest().name == "acme");
}
