//! A plugin in Rust that panics, made by `evenkeel-plugin new` and built as the
//! plugins of the firmware are: its words are in the appliance's log, in its own
//! log, and in the report of the failure, with the name of the function.

use evenkeel_e2e::{Options, Stack};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

const WORDS: &str = "the inverter answered 7, which no table has";

#[test]
fn a_panic_of_a_plugin_is_in_the_log_with_its_words() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = Options::for_test(dir.path()).expect("built");
    let tool = options.programs.join("evenkeel-plugin");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let said = |arguments: &[&OsStr]| {
        let mut command = Command::new(&tool);
        command.args(arguments).current_dir(dir.path()).env("CARGO_NET_OFFLINE", "true");
        let output = command.env_remove("CARGO_TARGET_DIR").output().expect("the tool runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}\n{err}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let sdk = root.join("sdk/guest").canonicalize().expect("there");
    said(&["new".as_ref(), "loud".as_ref(), "--sdk".as_ref(), sdk.as_os_str()]);
    let plugin = dir.path().join("loud");
    fs::copy(root.join("Cargo.lock"), plugin.join("Cargo.lock")).expect("copied");
    let source = plugin.join("src/lib.rs");
    let good = fs::read_to_string(&source).expect("its source");
    // What a driver's author takes for impossible.
    let bad = "let next = self.0.poll(host);
        look_up(3 + 4);
        next";
    let mut changed = good.replace("self.0.poll(host)", bad);
    assert_ne!(good, changed, "it has another shape");
    changed.push_str(
        "\n#[inline(never)]\nfn look_up(answer: u32) {
            assert_eq!(answer, 0, \"the inverter answered {answer}, which no table has\");
        }\n",
    );
    fs::write(source, changed).expect("written");
    // Compiled once for all runs, crates of ours aside.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("loud");
    fs::create_dir_all(&kept).expect("a folder");
    std::os::unix::fs::symlink(&kept, plugin.join("target")).expect("linked");
    said(&["build".as_ref(), "loud".as_ref()]);
    let key = options.plugin_key.with_extension("key");
    let folder = dir.path().join("plugins");
    fs::create_dir_all(&folder).expect("a folder");
    let out = ["--out-dir".as_ref(), folder.as_os_str(), "loud".as_ref()];
    said(&[&["sign".as_ref(), "--key".as_ref(), key.as_os_str()][..], &out].concat());
    for name in ["megatec", "licence-lc"] {
        let path = evenkeel_e2e::bundle::built(&options.plugins, name).expect("built");
        fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("copied");
    }
    options.plugins = folder;
    options.daemon_settings = "[[plugin]]\nname = \"loud\"\npoints = \"ups.7\"\n\
        grant.serial.ups = \"/dev/ttyS9\"\n"
        .into();
    let mut stack = Stack::start(options).expect("the appliance runs");
    let mut client = stack.sign_in().expect("signed in");
    let detail = client.await_answer("/api/v1/plugins/loud", |detail| {
        detail["status"]["traps"].as_u64() >= Some(1)
    });
    let own = detail["log"].to_string();
    assert!(own.contains(WORDS) && own.contains("src/lib.rs"), "{own}");
    let log = stack.daemon.log();
    let line = log.lines().find(|line| line.contains(WORDS)).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("loud") && line.contains("ERROR"), "{line}");
    let reports = client.get("/api/v1/plugins/loud/reports").expect("answered");
    assert!(reports[0]["log"].to_string().contains(WORDS), "{reports:#}");
    let backtrace = reports[0]["backtrace"].as_array().expect("a list");
    assert!(backtrace.iter().any(|function| function == "loud::look_up"), "{reports:#}");
}
