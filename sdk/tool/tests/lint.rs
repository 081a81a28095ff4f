//! The lint of `evenkeel-plugin test` against what the standard library only
//! pretends to offer in a plugin: every rule finds what it is for, and says
//! what to use instead.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

const RULES: &str = include_str!("../src/clippy.toml");

/// What each rule is about, as an unwary author would write it.
const TRAPS: &[(&str, &str)] = &[
    ("std::time::Instant", "let _ = std::time::Instant::now();"),
    ("std::time::SystemTime", "let _ = std::time::SystemTime::now();"),
    ("std::collections::HashMap", "let _ = std::collections::HashMap::<u8, u8>::new();"),
    ("std::collections::HashSet", "let _ = std::collections::HashSet::<u8>::new();"),
    ("std::hash::RandomState", "let _ = std::hash::RandomState::new();"),
    ("std::fs::File", "let _ = std::fs::File::open(\"a\");"),
    ("std::fs::OpenOptions", "let _ = std::fs::OpenOptions::new();"),
    ("std::net::TcpStream", "let _ = std::net::TcpStream::connect(\"127.0.0.1:1\");"),
    ("std::net::TcpListener", "let _ = std::net::TcpListener::bind(\"127.0.0.1:1\");"),
    ("std::net::UdpSocket", "let _ = std::net::UdpSocket::bind(\"127.0.0.1:1\");"),
    ("std::thread::Builder", "let _ = std::thread::Builder::new();"),
    ("std::thread::JoinHandle", "let _: Option<std::thread::JoinHandle<()>> = None;"),
    ("std::process::Command", "let _ = std::process::Command::new(\"ls\");"),
    ("std::thread::spawn", "std::thread::spawn(|| ());"),
    ("std::thread::sleep", "std::thread::sleep(core::time::Duration::from_millis(1));"),
    ("std::thread::scope", "std::thread::scope(|_| ());"),
    ("std::thread::park", "std::thread::park();"),
    ("std::fs::copy", "let _ = std::fs::copy(\"a\", \"b\");"),
    ("std::fs::create_dir_all", "let _ = std::fs::create_dir_all(\"a\");"),
    ("std::fs::metadata", "let _ = std::fs::metadata(\"a\");"),
    ("std::fs::read_dir", "let _ = std::fs::read_dir(\"a\");"),
    ("std::fs::remove_file", "let _ = std::fs::remove_file(\"a\");"),
    ("std::fs::rename", "let _ = std::fs::rename(\"a\", \"b\");"),
    ("std::fs::read", "let _ = std::fs::read(\"a\");"),
    ("std::fs::read_to_string", "let _ = std::fs::read_to_string(\"a\");"),
    ("std::fs::write", "let _ = std::fs::write(\"a\", \"b\");"),
    ("std::env::var", "let _ = std::env::var(\"A\");"),
    ("std::env::vars", "let _ = std::env::vars();"),
    ("std::env::args", "let _ = std::env::args();"),
    ("std::io::stdin", "let _ = std::io::stdin();"),
    ("std::io::stdout", "let _ = std::io::stdout();"),
    ("std::io::stderr", "let _ = std::io::stderr();"),
    ("std::process::abort", "std::process::abort();"),
    ("std::process::exit", "std::process::exit(1);"),
    ("std::println", "println!(\"a\");"),
    ("std::print", "print!(\"a\");"),
    ("std::eprintln", "eprintln!(\"a\");"),
    ("std::eprint", "eprint!(\"a\");"),
    ("std::dbg", "dbg!(1);"),
];

/// Path and reason of every rule.
fn rules() -> Vec<(String, String)> {
    let rules: toml::Table = RULES.parse().expect("TOML");
    let lists = ["disallowed-types", "disallowed-methods", "disallowed-macros"];
    let text = |rule: &toml::Value, field: &str| rule[field].as_str().expect("text").to_owned();
    let rule = |rule: &toml::Value| (text(rule, "path"), text(rule, "reason"));
    let found = lists.iter().flat_map(|list| rules[*list].as_array().expect("a list"));
    found.map(rule).collect()
}

/// A plugin of one source file, without dependencies.
fn plugin(source: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |file: &str, text: &str| {
        fs::write(folder.path().join(file), text).expect("written");
    };
    write("Cargo.toml", "[package]\nname = \"trap\"\nedition = \"2024\"\n[workspace]\n");
    write(
        "plugin.toml",
        "name = \"trap\"\nversion = \"0.1.0\"\nvendor = \"Acme\"\nlicence = \"MIT\"\n\
         world = \"evenkeel:driver/device-driver@0.2.0\"\ndescription = \"Traps\"\n\
         limits = { memory_bytes = 1048576, poll_cpu_ms = 10 }\n",
    );
    fs::create_dir(folder.path().join("src")).expect("a folder");
    write("src/lib.rs", source);
    folder
}

/// Whether the plugin passes, and what is said about it.
fn test(folder: &tempfile::TempDir) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_evenkeel-plugin"))
        .arg("test")
        .arg(folder.path())
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("the tool starts");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_rule_finds_its_trap_and_says_what_to_use() {
    let paths: BTreeSet<_> = rules().into_iter().map(|(path, _)| path).collect();
    let known: BTreeSet<_> = TRAPS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(paths, known, "each rule has a trap, and each trap a rule");
    let function = |(i, (_, trap)): (usize, &(&str, &str))| format!("pub fn f{i}() {{ {trap} }}\n");
    let source: String = TRAPS.iter().enumerate().map(function).collect();
    let (passed, said) = test(&plugin(&source));
    assert!(!passed && said.contains("the lint found what does not work in a plugin"), "{said}");
    for (path, reason) in rules() {
        let found = ["type", "method", "macro"]
            .iter()
            .any(|kind| said.contains(&format!("use of a disallowed {kind} `{path}`")));
        assert!(found, "{path} is not found:\n{said}");
        assert!(said.contains(&reason), "{path} says {reason:?}:\n{said}");
    }
}

#[test]
fn what_works_in_a_plugin_passes() {
    let source = "//! Sound.\n/// Adds.\npub fn add(a: u8, b: u8) -> u8 { a.saturating_add(b) }\n\
                  /// Counts.\npub fn count() -> std::collections::BTreeMap<u8, u8> { Default::default() }\n";
    let (passed, said) = test(&plugin(source));
    assert!(passed, "{said}");
}
