//! Tidiness is a test: the invariants of DESIGN.md that manifests and sources
//! can prove.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything that `core` may pull in, directly or not: nothing with I/O,
/// clocks, threads or a runtime.
const CORE_TREE: &[&str] = &[
    "byteorder",
    "cobs",
    "crc",
    "crc-catalog",
    "evenkeel-core",
    "evenkeel-wire",
    "hash32",
    "heapless",
    "postcard",
    "proc-macro2",
    "quote",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_spanned",
    "stable_deref_trait",
    "syn",
    "thiserror",
    "thiserror-impl",
    "toml",
    "toml_datetime",
    "toml_parser",
    "toml_writer",
    "unicode-ident",
    "winnow",
];

/// The files at the edges that may contain unsafe code: shared memory, an
/// allocator that counts, and system calls without a safe wrapper.
const UNSAFE_FILES: &[&str] = &[
    "host/daemon/src/caps/hid/raw.rs",
    "host/daemon/src/guard.rs",
    "host/daemon/src/plugin/compile.rs",
    "host/daemon/src/plugin/compile/confine.rs",
    "host/daemon/src/plugin/heap.rs",
    "host/guard/src/alloc_check.rs",
    "host/guard/src/memory.rs",
    "host/guard/src/realtime.rs",
    "host/guard/src/sys.rs",
    "image/init/src/mapper.rs",
    "image/init/src/watchdog.rs",
    "image/loader/src/firmware/disk.rs",
    "image/loader/src/firmware/kernel.rs",
    // Its tests stand in for real-time hardware.
    "host/guard/tests/process/common.rs",
];

fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// Files of the project, by path from its root.
fn files() -> BTreeMap<String, PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git ls-files: {output:?}");
    String::from_utf8(output.stdout)
        .expect("paths are UTF-8")
        .lines()
        .map(|line| (line.to_owned(), root().join(line)))
        .filter(|(_, path)| path.is_file())
        .collect()
}

fn rust_files() -> Vec<(String, String)> {
    files()
        .into_iter()
        .filter(|(name, _)| name.ends_with(".rs"))
        .map(|(name, path)| (name, fs::read_to_string(path).expect("sources are UTF-8")))
        .collect()
}

/// The packages in the normal dependency tree of a crate.
fn tree(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// A source without its tests, which may do what they like.
fn without_tests(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod tests {").next().unwrap_or(source)
}

/// Files that another one has as a module for its tests only.
fn test_files(sources: &[(String, String)]) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for (name, source) in sources {
        // `a/mod.rs` and `a/lib.rs` have their modules beside them, `a/b.rs` in `a/b/`.
        let stem = name.trim_end_matches(".rs");
        let folder = ["/mod", "/lib", "/main"].iter().find_map(|end| stem.strip_suffix(end));
        for declared in source.split("#[cfg(test)]\nmod ").skip(1) {
            if let Some((module, _)) = declared.split_once(';').filter(|(m, _)| !m.contains(' ')) {
                files.insert(format!("{}/{module}.rs", folder.unwrap_or(stem)));
            }
        }
    }
    files
}

#[test]
fn core_depends_on_nothing_that_does_anything() {
    let allowed: BTreeSet<String> = CORE_TREE.iter().map(|s| (*s).to_owned()).collect();
    let strangers: Vec<String> = tree("evenkeel-core").difference(&allowed).cloned().collect();
    assert!(strangers.is_empty(), "argue for these in CORE_TREE or drop them: {strangers:?}");
}

#[test]
fn core_has_no_unsafe_no_io_no_clock_no_thread() {
    let sources = rust_files();
    let lib = sources.iter().find(|(name, _)| name == "host/core/src/lib.rs").expect("core");
    assert!(lib.1.contains("#![forbid(unsafe_code)]"));
    let banned = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::time",
        "std::process",
        "std::env",
        "std::io",
        "std::os",
        "println!",
        "eprintln!",
        "Instant::now",
        "SystemTime",
    ];
    let tests = test_files(&sources);
    assert!(tests.contains("host/core/src/control/tests.rs"), "{tests:?}");
    let core = sources.iter().filter(|(name, _)| name.starts_with("host/core/src/"));
    for (name, source) in core.filter(|(name, _)| !tests.contains(name)) {
        for word in banned {
            assert!(!without_tests(source).contains(word), "{name} uses {word}");
        }
    }
}

#[test]
fn the_rooms_depend_in_one_direction() {
    let ours = |package: &str| -> BTreeSet<String> {
        tree(package).into_iter().filter(|p| p.starts_with("evenkeel") && p != package).collect()
    };
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(ours("evenkeel-wire"), set(&[]), "the protocol depends on nothing of ours");
    assert_eq!(ours("evenkeel-core"), set(&["evenkeel-wire"]));
    assert_eq!(ours("evenkeel-module"), set(&["evenkeel-wire"]), "a module is no appliance");
    assert_eq!(ours("evenkeel-guard"), set(&["evenkeel-core", "evenkeel-wire"]));
    for package in ["evenkeel-signing", "evenkeel-sdk", "evenkeel-plugin-megatec", "evenkeel-guard"]
    {
        let tree = tree(package);
        for banned in ["evenkeeld", "tokio", "wasmtime"] {
            assert!(!tree.contains(banned), "{package} depends on {banned}");
        }
    }
}

/// Protection and alarms are never gated: nothing that keeps a battery safe
/// can even ask what is licensed.
#[test]
fn nothing_that_keeps_a_battery_safe_knows_of_licences() {
    // Events tell of editions, and the list of modules names the module.
    let may = ["host/core/src/licence/", "host/core/src/events.rs", "host/core/src/lib.rs"];
    let safe = |name: &str| {
        ["host/guard/", "host/core/", "host/wire/"].iter().any(|room| name.starts_with(room))
            && !may.iter().any(|file| name.starts_with(file))
    };
    let sources: Vec<_> = rust_files().into_iter().filter(|(name, _)| safe(name)).collect();
    for room in ["host/guard/src/cycle.rs", "host/core/src/control/mod.rs"] {
        assert!(sources.iter().any(|(name, _)| name == room), "{room} is looked at");
    }
    for (name, source) in sources {
        let speaks = source.to_lowercase().contains("licence");
        assert!(!speaks, "{name} speaks of licences");
    }
}

#[test]
fn unsafe_code_stays_at_the_edges() {
    for (name, source) in rust_files() {
        let found = source.lines().any(|line| {
            let code = line.split("//").next().unwrap_or(line);
            ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|word| code.contains(word))
        });
        let allowed = UNSAFE_FILES.contains(&name.as_str()) || name == "xtask/tests/tidy.rs";
        assert!(!found || allowed, "{name}: unsafe code belongs to {UNSAFE_FILES:?}");
    }
}

#[test]
fn every_source_says_what_it_does() {
    for (name, source) in rust_files() {
        assert!(source.starts_with("//!"), "{name} does not open with //!");
    }
}

#[test]
fn all_plugins_are_alike() {
    for entry in fs::read_dir(root().join("plugins")).expect("plugins") {
        let plugin = entry.expect("readable").path();
        for part in ["Cargo.toml", "plugin.toml", "README.md", "sample.toml", "src", "testcases"] {
            assert!(plugin.join(part).exists(), "{} lacks {part}", plugin.display());
        }
        let cases = fs::read_dir(plugin.join("testcases")).expect("testcases").count();
        assert!(cases > 0, "{} has no recorded exchange", plugin.display());
    }
}

/// Nothing of a developer's machine, and no package registry, is written down.
#[test]
fn the_tree_names_no_machine() {
    let banned = [
        "/wo\u{72}k/",
        "/ro\u{6f}t/",
        "crates\u{2e}io",
        "npmjs\u{2e}org",
        "debian\u{2e}org",
        "pythonhosted\u{2e}org",
    ];
    for (name, path) in files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        // Lock files name the default registry: that is their format.
        let lock = Path::new(&name).file_name().is_some_and(|f| f == "Cargo.lock");
        for word in banned.iter().filter(|w| !(lock && **w == "crates\u{2e}io")) {
            assert!(!text.contains(word), "{name} names {word}");
        }
    }
}
