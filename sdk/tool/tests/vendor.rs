//! A vendor without our tree: the SDK as a packaged tarball, unpacked somewhere
//! else, and a plugin made, tested, built, signed and inspected with it there.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace is there")
}

/// What a program wrote to standard output; it must succeed.
fn said(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.trim().to_owned()
}

/// The SDK as it would be uploaded, unpacked below `dir`. Returns its folder.
fn unpacked_sdk(dir: &Path) -> PathBuf {
    said(
        Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["package", "--package", "evenkeel-sdk", "--no-verify", "--allow-dirty"])
            .args(["--offline", "--target-dir"])
            .arg(dir.join("package")),
    );
    let crates = dir.join("package/package");
    let packed = fs::read_dir(&crates)
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable folder").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "crate"))
        .expect("a .crate file");
    said(Command::new("tar").arg("xzf").arg(&packed).arg("-C").arg(dir));
    dir.join(packed.file_stem().expect("a name"))
}

/// Every .wit file below `folder` and what it says, by package folder.
fn wit(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for package in fs::read_dir(folder).expect("a readable folder") {
        let package = package.expect("a readable folder").path();
        // The listing of a released folder is for those who change it.
        if !package.is_dir() {
            continue;
        }
        for file in fs::read_dir(&package).expect("a readable folder") {
            let file = file.expect("a readable folder").path();
            let name = package.file_name().expect("a name").to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(file).expect("text")));
        }
    }
    found.sort();
    found
}

/// The crate carries its own WIT, by links to the released folders: the newest
/// of each package, and older versions that the worlds still name.
#[test]
fn the_sdk_has_the_newest_wit_of_each_package() {
    let entries = fs::read_dir(root().join("wit")).unwrap().map(|entry| entry.unwrap().path());
    let mut versions: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    versions.sort();
    let mut newest = std::collections::BTreeMap::new();
    for (name, text) in versions.iter().flat_map(|version| wit(version)) {
        newest.insert(name, text);
    }
    let (older, ours): (Vec<_>, Vec<_>) =
        wit(&root().join("sdk/guest/wit")).into_iter().partition(|(name, _)| name.contains('.'));
    assert_eq!(ours, newest.into_iter().collect::<Vec<_>>());
    // `contacts-0.1.0`: what it says that it is.
    for (name, text) in older {
        let (package, version) = name.rsplit_once('-').expect("its version behind its name");
        assert!(text.contains(&format!("package evenkeel:{package}@{version};")), "{name}");
    }
}

#[test]
fn a_plugin_is_made_tested_built_signed_and_inspected_outside_the_workspace() {
    let dir = tempfile::tempdir().unwrap();
    let sdk = unpacked_sdk(dir.path());
    assert_eq!(wit(&sdk.join("wit")), wit(&root().join("sdk/guest/wit")));
    let tool = || {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_evenkeel-plugin"));
        tool.current_dir(dir.path())
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("CARGO_TARGET_DIR");
        tool
    };
    said(tool().args(["new", "acme", "--sdk"]).arg(&sdk));
    let plugin = dir.path().join("acme");
    // Versions that this machine has, and compiled once for all runs.
    fs::copy(root().join("Cargo.lock"), plugin.join("Cargo.lock")).unwrap();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vendor");
    fs::create_dir_all(&kept).unwrap();
    std::os::unix::fs::symlink(&kept, plugin.join("target")).unwrap();

    said(tool().args(["test", "acme"]));
    not_without_replays(&plugin, || tool().args(["test", "acme"]).output().unwrap());
    said(tool().args(["build", "acme"]));
    said(tool().args(["keygen", "--role", "plugin", "--name", "acme", "--out", "acme.key"]));
    let bundle = said(tool().args(["sign", "--key", "acme.key", "acme"]));
    let raw = fs::read(dir.path().join(&bundle)).unwrap();
    let machine = dir.path().to_string_lossy();
    let leaks = raw.windows(machine.len()).any(|bytes| bytes == machine.as_bytes());
    assert!(!leaks, "nothing of this machine is in the bundle");
    let report = said(tool().args(["inspect", "--trust", "acme.pub", &bundle]));
    assert!(report.contains("VERIFIED") && report.contains("acme 0.1.0"), "{report}");
    assert!(!report.contains("evenkeel:clock"), "what is not used is not imported\n{report}");

    // What the standard library only pretends to offer is found.
    let source = plugin.join("src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    let trap = "/// Never.\npub fn trap() -> std::time::Instant { println!(\"now\"); \
                std::time::Instant::now() }\n";
    fs::write(&source, format!("{text}\n{trap}")).unwrap();
    let refused = tool().args(["test", "acme"]).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    for reason in ["use evenkeel_sdk::host::Clock", "use evenkeel_sdk::host::Log"] {
        assert!(words.contains(reason), "{words}");
    }
}

/// A driver whose tests replay nothing is not in order.
fn not_without_replays(plugin: &Path, test: impl Fn() -> std::process::Output) {
    let source = plugin.join("src/lib.rs");
    let text = fs::read_to_string(&source).expect("its source");
    let (without, _) = text.split_once("#[cfg(test)]").expect("it has tests");
    fs::write(&source, without).expect("written");
    let refused = test();
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && words.contains("no test replays"), "{words}");
    fs::write(&source, text).expect("written");
}

/// One small plugin of every other world, and of every way to a device but
/// serial lines, on the SDK of the tree.
#[test]
fn every_world_builds_tests_and_signs() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("worlds");
    fs::create_dir_all(&kept).unwrap();
    let tool = || {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_evenkeel-plugin"));
        tool.current_dir(dir.path())
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("CARGO_TARGET_DIR");
        tool
    };
    said(tool().args(["keygen", "--role", "plugin", "--name", "acme", "--out", "acme.key"]));
    let worlds = ["gateway", "notifier", "authenticator", "licence-gate"];
    let worlds = worlds.map(|world| (world, ["--world", world]));
    let ways = ["tcp", "hid", "contacts"].map(|way| (way, ["--over", way]));
    for (world, words) in worlds.into_iter().chain(ways) {
        let new = tool()
            .args(["new", world])
            .args(words)
            .arg("--sdk")
            .arg(root().join("sdk/guest"))
            .output()
            .unwrap();
        assert!(new.status.success(), "{}", String::from_utf8_lossy(&new.stderr));
        let plugin = dir.path().join(world);
        fs::copy(root().join("Cargo.lock"), plugin.join("Cargo.lock")).unwrap();
        std::os::unix::fs::symlink(&kept, plugin.join("target")).unwrap();
        said(tool().args(["test", world]));
        said(tool().args(["build", world]));
        said(tool().args(["sign", "--key", "acme.key", world]));
    }
    it_runs_against_a_meter(dir.path(), tool);
}

/// `evenkeel-plugin run --peer`: the driver of the meter, and what is recorded.
fn it_runs_against_a_meter(dir: &Path, tool: impl Fn() -> Command) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let peer = format!("meter=tcp://{}", listener.local_addr().expect("its address"));
    let meter = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the driver connects");
        let mut asked = [0; 12];
        // Until the driver ends.
        while stream.read_exact(&mut asked).is_ok() {
            let answer = [asked[0], asked[1], 0, 0, 0, 9, 1, 4, 6, 0x08, 0xfd, 1, 0xf4, 0, 0x37];
            stream.write_all(&answer).expect("the driver listens");
        }
    });
    let words = ["run", "tcp", "--peer", &peer, "--polls", "2", "--record", "case"];
    let read = said(tool().args(words));
    meter.join().expect("the meter answered");
    for row in ["input.voltage = 230.1 V", "input.frequency = 50 Hz", "ups.load = 55 %"] {
        assert!(read.lines().any(|line| line == row), "no {row:?} in\n{read}");
    }
    let exchange = fs::read_to_string(dir.join("case/exchange.txt")).expect("recorded");
    let recorded = "over tcp meter\n> 00 xx 00 00 00 06 01 04 00 00 00 03\n\
                    < 00 xx 00 00 00 09 01 04 06 08 fd 01 f4 00 37\n";
    assert!(exchange.ends_with(recorded), "{exchange}");
    let points = fs::read_to_string(dir.join("case/expected.points")).expect("replayed");
    assert!(points.contains("ups.load = 55 %\n"), "{points}");
}
