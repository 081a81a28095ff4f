//! `new`: write a plugin that builds, tests and signs. A driver of a serial
//! device is a copy of `plugins/template`; other drivers and the other worlds
//! begin with one source file.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::check;

/// What a new plugin is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum World {
    /// Reads one device and tells it what to do.
    Driver,
    /// Shows the appliance to others in their protocol.
    Gateway,
    /// Tells people or other systems what happened.
    Notifier,
    /// Decides by asking somebody else whether a person may sign in.
    Authenticator,
    /// Judges which edition an appliance is.
    LicenceGate,
}

/// How a driver reaches its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Over {
    /// A serial line.
    Serial,
    /// A connection over the network.
    Tcp,
    /// USB-HID reports.
    Hid,
    /// Contacts and relays.
    Contacts,
}

/// Write the plugin `name` into the folder `parent`/`name`, which must not
/// exist. Returns the folder. `sdk` is the folder of the SDK's crate.
///
/// # Errors
/// [`NewError`].
pub fn new(
    parent: &Path,
    name: &str,
    world: World,
    over: Over,
    sdk: &Path,
) -> Result<PathBuf, NewError> {
    if world != World::Driver && over != Over::Serial {
        return Err(NewError::NoDriver);
    }
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !first || name.len() > 40 || !name.bytes().all(known) {
        return Err(NewError::Name { name: name.to_owned() });
    }
    let folder = parent.join(name);
    if folder.exists() {
        return Err(NewError::Exists { path: folder });
    }
    write(&folder, "Cargo.toml", &cargo_toml(name, &dependency(sdk)?))?;
    write(&folder, "clippy.toml", check::RULES)?;
    write(&folder, ".gitignore", "/target\n*.key\n")?;
    for (path, text) in files(name, world, over) {
        write(&folder, path, &text)?;
    }
    Ok(folder)
}

/// Why there is no new plugin.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// No name.
    #[error("{name:?} is no name for a plugin; use a-z, 0-9 and '-', a letter first, at most 40")]
    Name {
        /// What was given.
        name: String,
    },
    /// A way to a device for what has none.
    #[error("only a driver has a device; leave --over out, or --world")]
    NoDriver,
    /// The folder is there.
    #[error("{} exists; choose another name or remove it", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// No SDK there.
    #[error("{} holds no evenkeel-sdk; give the folder of its crate", path.display())]
    Sdk {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The world of drivers.
const DRIVER: &str = "evenkeel:driver/device-driver@0.2.0";

/// The files of `plugins/template` that are copied; Cargo.toml is written anew,
/// because the one there belongs to a workspace.
const TEMPLATE: &[(&str, &str)] = &[
    ("README.md", include_str!("../../../plugins/template/README.md")),
    ("plugin.toml", include_str!("../../../plugins/template/plugin.toml")),
    ("sample.toml", include_str!("../../../plugins/template/sample.toml")),
    ("src/lib.rs", include_str!("../../../plugins/template/src/lib.rs")),
    ("src/table.rs", include_str!("../../../plugins/template/src/table.rs")),
    (
        "testcases/on_battery/exchange.txt",
        include_str!("../../../plugins/template/testcases/on_battery/exchange.txt"),
    ),
    (
        "testcases/on_battery/expected.points",
        include_str!("../../../plugins/template/testcases/on_battery/expected.points"),
    ),
    (
        "testcases/on_mains/exchange.txt",
        include_str!("../../../plugins/template/testcases/on_mains/exchange.txt"),
    ),
    (
        "testcases/on_mains/expected.commands",
        include_str!("../../../plugins/template/testcases/on_mains/expected.commands"),
    ),
    (
        "testcases/on_mains/expected.points",
        include_str!("../../../plugins/template/testcases/on_mains/expected.points"),
    ),
    (
        "testcases/other_device/exchange.txt",
        include_str!("../../../plugins/template/testcases/other_device/exchange.txt"),
    ),
    (
        "testcases/other_device/expected.err",
        include_str!("../../../plugins/template/testcases/other_device/expected.err"),
    ),
];

/// The recorded exchanges of a driver that begins with one source file.
macro_rules! cases {
    ($over:literal: $($path:literal),* $(,)?) => {
        &[$((
            concat!("testcases/", $path),
            include_str!(concat!("new/", $over, "/testcases/", $path)),
        )),*]
    };
}

/// Of each way but serial lines: source, sentence and recorded exchanges.
const fn by(over: Over) -> Option<(&'static str, &'static str, Files)> {
    match over {
        Over::Serial => None,
        Over::Tcp => Some((
            include_str!("new/tcp/lib.rs"),
            "Reads a meter that speaks Modbus TCP",
            cases!("tcp":
                "on_mains/exchange.txt",
                "on_mains/expected.commands",
                "on_mains/expected.points",
                "other_device/exchange.txt",
                "other_device/expected.err",
            ),
        )),
        Over::Hid => Some((
            include_str!("new/hid/lib.rs"),
            "Reads a UPS on USB",
            cases!("hid":
                "on_battery/exchange.txt",
                "on_battery/expected.commands",
                "on_battery/expected.points",
            ),
        )),
        Over::Contacts => Some((
            include_str!("new/contacts/lib.rs"),
            "Reads a UPS that says by contacts how it is",
            cases!("contacts":
                "battery_low/exchange.txt",
                "battery_low/expected.commands",
                "battery_low/expected.points",
                "on_battery/exchange.txt",
                "on_battery/expected.commands",
                "on_battery/expected.points",
                "on_mains/exchange.txt",
                "on_mains/expected.commands",
                "on_mains/expected.points",
            ),
        )),
    }
}

/// Files by their paths in the plugin.
type Files = &'static [(&'static str, &'static str)];

fn driver(name: &str, over: Over) -> Vec<(&'static str, String)> {
    if let Some((source, sentence, cases)) = by(over) {
        let mut files = single(name, source, DRIVER, sentence);
        files.extend(cases.iter().map(|(path, text)| (*path, (*text).to_owned())));
        return files;
    }
    let rename = |(path, text): &(&'static str, &str)| {
        let text = match *path {
            "README.md" => text.replacen("# template", &format!("# {name}"), 1),
            "plugin.toml" => text.replacen("\"template\"", &format!("{name:?}"), 1),
            _ => (*text).to_owned(),
        };
        (*path, text)
    };
    TEMPLATE.iter().map(rename).collect()
}

/// The files of a plugin for `world`, Cargo.toml and rules of the lint aside.
fn files(name: &str, world: World, over: Over) -> Vec<(&'static str, String)> {
    match world {
        World::Driver => driver(name, over),
        World::Gateway => single(
            name,
            include_str!("new/gateway.rs"),
            "evenkeel:gateway/gateway@0.1.0",
            "Answers each line with the value of the point that it names",
        ),
        World::Notifier => single(
            name,
            include_str!("new/notifier.rs"),
            "evenkeel:notifier/notifier@0.1.0",
            "Sends each event as one datagram",
        ),
        World::Authenticator => single(
            name,
            include_str!("new/authenticator.rs"),
            "evenkeel:authenticator/authenticator@0.1.0",
            "Asks a peer whether a person may sign in",
        ),
        World::LicenceGate => single(
            name,
            include_str!("new/licence_gate.rs"),
            "evenkeel:licence/licence-gate@0.1.0",
            "Judges which edition an appliance is",
        ),
    }
}

/// A plugin of one source file, which says in its first lines what it asks for.
fn single(name: &str, source: &str, world: &str, sentence: &str) -> Vec<(&'static str, String)> {
    let mut manifest = format!(
        "# What this plugin is, what it wants and why.\nname = {name:?}\nversion = \"0.1.0\"\n\
         vendor = \"Example Power\"\nlicence = \"Apache-2.0\"\nworld = {world:?}\n\
         description = {sentence:?}\n"
    );
    for wish in source.lines().filter_map(|line| line.strip_prefix("// asks: ")) {
        let mut words = wish.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let _ = write!(
            manifest,
            "\n[[permissions]]\ninterface = {:?}\nwhat = {:?}\nreason = {:?}\n",
            word(),
            word(),
            word()
        );
    }
    manifest.push_str("\n[limits]\nmemory_bytes = 1_048_576\npoll_cpu_ms = 50\n");
    let source: String = source
        .lines()
        .filter(|line| !line.starts_with("// asks: "))
        .flat_map(|line| [line, "\n"])
        .collect();
    vec![
        ("plugin.toml", manifest),
        ("README.md", format!("# {name}\n\n## What it does\n{sentence}.\n")),
        ("src/lib.rs", source),
    ]
}

/// The line of Cargo.toml that brings the SDK.
fn dependency(sdk: &Path) -> Result<String, NewError> {
    let missing = || NewError::Sdk { path: sdk.to_owned() };
    let folder = sdk.canonicalize().map_err(|_| missing())?;
    if !folder.join("Cargo.toml").exists() {
        return Err(missing());
    }
    Ok(format!("evenkeel-sdk = {{ path = {:?} }}", folder.display().to_string()))
}

fn cargo_toml(name: &str, sdk: &str) -> String {
    format!(
        "[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         rust-version = \"1.95\"\npublish = false\n\n\
         # cdylib for the appliance, rlib for tests and `evenkeel-plugin run`.\n\
         [lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n\n[dependencies]\n{sdk}\n\n\
         # Small, no unwinding tables; the names of functions stay, for reports of\n\
         # failures. `evenkeel-plugin build` uses it.\n\
         [profile.plugin]\ninherits = \"release\"\nopt-level = \"s\"\nlto = \"fat\"\n\
         codegen-units = 1\npanic = \"abort\"\nstrip = \"debuginfo\"\n\n[workspace]\n"
    )
}

fn write(folder: &Path, file: &str, text: &str) -> Result<(), NewError> {
    let path = folder.join(file);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(&path, text))
        .map_err(|source| NewError::Write { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every file below `folder`, by its path from there.
    fn list(folder: &Path, below: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                list(folder, &path, found);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }

    #[test]
    fn the_whole_template_is_in_the_tool() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/template");
        let mut wanted = BTreeSet::new();
        list(&folder, &folder, &mut wanted);
        wanted.remove("Cargo.toml");
        let ours: BTreeSet<_> = TEMPLATE.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(ours, wanted);
        for (path, text) in TEMPLATE {
            assert_eq!(*text, fs::read_to_string(folder.join(path)).unwrap(), "{path}");
        }
    }

    #[test]
    fn names_folders_and_sdks_are_checked_first() {
        let dir = tempfile::tempdir().unwrap();
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest");
        let make = |name: &str, sdk: &Path| new(dir.path(), name, World::Driver, Over::Serial, sdk);
        for name in ["", "Acme", "7up", "a b", "../up", &"a".repeat(41)] {
            assert!(matches!(make(name, &sdk), Err(NewError::Name { .. })), "{name}");
        }
        assert!(matches!(make("acme", Path::new("/nonexistent")), Err(NewError::Sdk { .. })));
        make("acme", &sdk).unwrap();
        assert!(matches!(make("acme", &sdk), Err(NewError::Exists { .. })));
        let cargo = fs::read_to_string(dir.path().join("acme/Cargo.toml")).unwrap();
        assert!(cargo.contains("evenkeel-sdk = { path ="), "{cargo}");
    }

    #[test]
    fn every_world_has_a_description_that_is_read() {
        let worlds = [World::Gateway, World::Notifier, World::Authenticator, World::LicenceGate];
        let ways = [Over::Tcp, Over::Hid, Over::Contacts];
        let worlds = worlds.map(|world| (world, Over::Serial));
        for (world, over) in worlds.into_iter().chain(ways.map(|over| (World::Driver, over))) {
            let dir = tempfile::tempdir().unwrap();
            let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest");
            let folder = new(dir.path(), "acme", world, over, &sdk).unwrap();
            let project = crate::project::Project::open(&folder).unwrap();
            assert_eq!(project.plugin.description.name, "acme");
            let source = fs::read_to_string(folder.join("src/lib.rs")).unwrap();
            assert!(!source.contains("// asks"), "{world:?}");
        }
    }

    #[test]
    fn every_case_of_a_way_is_written() {
        for (over, way) in [(Over::Tcp, "tcp"), (Over::Hid, "hid"), (Over::Contacts, "contacts")] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/new").join(way);
            let mut wanted = BTreeSet::new();
            list(&folder, &folder.join("testcases"), &mut wanted);
            let (.., cases) = by(over).unwrap();
            let ours: BTreeSet<_> = cases.iter().map(|(path, _)| (*path).to_owned()).collect();
            assert_eq!(ours, wanted, "{way}");
        }
    }

    #[test]
    fn only_a_driver_reaches_a_device() {
        let dir = tempfile::tempdir().unwrap();
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest");
        let gateway = new(dir.path(), "acme", World::Gateway, Over::Tcp, &sdk);
        assert!(matches!(gateway, Err(NewError::NoDriver)), "{gateway:?}");
    }
}
