//! `cargo xtask wit`: released WIT never changes.
//!
//! A folder `wit/since-<version>` with a file `FROZEN` is released: plugins
//! built for it are in the field, and the component model compares types for
//! equality, so that one more case of an enum has all of them refused
//! (facts/wasm-host.md §4.1). `FROZEN` lists what the folder's packages are made
//! of ([`listing`]); `check` reads the WIT anew and demands the same. What the
//! listing does not show, comments and the order of functions, may change.
//!
//! `wit/README.md` says how interfaces grow nevertheless.

mod listing;
mod track;

use crate::run::AnyError;
use listing::Listing;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use wit_parser::{PackageName, Resolve, UnresolvedPackageGroup};

/// What can be done with `wit/`.
#[derive(clap::Subcommand)]
pub enum Action {
    /// See that no released folder has changed and that none breaks its elders.
    Check,
    /// Freeze the newest folder: write down what its packages are made of.
    Release,
}

/// The listing in a released folder.
const FROZEN: &str = "FROZEN";
const INTRODUCTION: &str = "\
# What this folder released, written by `cargo xtask wit release`; never edited
# and never written again. Plugins in the field are linked to exactly this.
";

pub fn run(root: &Path, action: &Action) -> Result<(), AnyError> {
    let folders = read(&root.join("wit"))?;
    match action {
        Action::Check => {
            check(&folders)?;
            println!("{} folders are as they were released", released(&folders).count());
        }
        Action::Release => println!("{}", release(&folders)?.display()),
    }
    Ok(())
}

/// One folder `since-<version>`.
struct Folder {
    path: PathBuf,
    /// What its WIT says now.
    now: Listing,
    /// Its `FROZEN`, when it is released.
    frozen: Option<String>,
}

impl Folder {
    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What its `FROZEN` must be.
    fn text(&self) -> String {
        format!("{INTRODUCTION}{}", self.now)
    }
}

fn released(folders: &[Folder]) -> impl Iterator<Item = (&Folder, &String)> {
    folders.iter().filter_map(|folder| Some((folder, folder.frozen.as_ref()?)))
}

/// The folders of `wit`, oldest first. Each is read with those before it, which
/// its packages may name.
fn read(wit: &Path) -> Result<Vec<Folder>, AnyError> {
    let mut paths: BTreeMap<(u32, u32), PathBuf> = BTreeMap::new();
    for path in folders_in(wit)? {
        paths.insert(version(&path)?, path);
    }
    let mut packages: Vec<PathBuf> = Vec::new();
    let mut folders = Vec::new();
    for path in paths.into_values() {
        let own = folders_in(&path)?;
        packages.extend(own.iter().cloned());
        let now = resolve(&packages, &own)?;
        let frozen = match fs::read_to_string(path.join(FROZEN)) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(format!("{}/{FROZEN}: {error}", path.display()).into()),
        };
        folders.push(Folder { path, now, frozen });
    }
    Ok(folders)
}

/// `since-0.2` is (0, 2).
fn version(path: &Path) -> Result<(u32, u32), AnyError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbers = name.strip_prefix("since-").and_then(|version| version.split_once('.'));
    numbers.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?))).ok_or_else(
        || format!("{}: name it since-<major>.<minor>, or move it away", path.display()).into(),
    )
}

/// The folders in a folder, sorted.
fn folders_in(path: &Path) -> Result<Vec<PathBuf>, AnyError> {
    let entries = fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// What the packages in the folders `own` are made of, given `packages`, to
/// which they belong.
fn resolve(packages: &[PathBuf], own: &[PathBuf]) -> Result<Listing, AnyError> {
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let mut names: BTreeSet<PackageName> = BTreeSet::new();
    let mut groups = Vec::new();
    for path in packages {
        let group = UnresolvedPackageGroup::parse_dir(path).map_err(|e| format!("{e:#}"))?;
        if own.contains(path) {
            names.insert(group.main.name.clone());
            names.extend(group.nested.iter().map(|package| package.name.clone()));
        }
        groups.push(group);
    }
    if let Some(first) = groups.pop() {
        resolve.push_groups(first, groups).map_err(|e| format!("{e}"))?;
    }
    Ok(Listing::of(&resolve, &names))
}

/// Every released folder is as it was, every folder but the newest is released,
/// and newer versions of a package suit plugins that were built for older ones.
fn check(folders: &[Folder]) -> Result<(), AnyError> {
    for (folder, frozen) in released(folders) {
        if *frozen == folder.text() {
            continue;
        }
        let (name, changes) = (folder.name(), folder.now.changes_since(&Listing::parse(frozen)));
        if changes.is_empty() {
            return Err(format!("{name}/{FROZEN} was edited; restore it: git checkout").into());
        }
        return Err(format!(
            "{name} is released and has changed:\n  {}\nPlugins built for it would be refused. \
             Undo this, and put it into a new folder: copy the package into the next \
             wit/since-<major>.<minor>, raise its version there (see wit/README.md) and bind that",
            changes.join("\n  ")
        )
        .into());
    }
    if let Some((_newest, elders)) = folders.split_last()
        && let Some(forgotten) = elders.iter().find(|folder| folder.frozen.is_none())
    {
        let name = forgotten.name();
        return Err(format!(
            "{name} has no {FROZEN}, and a newer folder is there: restore the file, or release \
             it with `cargo xtask wit release` before the newer one is begun"
        )
        .into());
    }
    for (i, newer) in folders.iter().enumerate() {
        for older in &folders[..i] {
            let breaks = track::breaks(&older.now, &newer.now);
            if !breaks.is_empty() {
                return Err(format!(
                    "{} breaks plugins built for {}:\n  {}\nWithin one track a package only \
                     gains functions and types that plugins import; give it the version of a \
                     new track (0.1.x → 0.2.0) and serve both",
                    newer.name(),
                    older.name(),
                    breaks.join("\n  ")
                )
                .into());
            }
        }
    }
    Ok(())
}

/// Write the listing of the newest folder, which must have none.
fn release(folders: &[Folder]) -> Result<PathBuf, AnyError> {
    check(folders)?;
    let newest = folders.last().ok_or("there is no folder wit/since-<major>.<minor>")?;
    let path = newest.path.join(FROZEN);
    // Not even between our look and now: a released folder is never written again.
    let mut file = fs::File::create_new(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!(
            "{} is released already and stays as it is; begin the next folder for what is new",
            newest.name()
        ),
        _ => format!("{}: {error}", path.display()),
    })?;
    file.write_all(newest.text().as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wit() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")
    }

    /// A copy of the project's WIT to do harm to.
    struct Copy(tempfile::TempDir);

    impl Copy {
        fn new() -> Self {
            let copy = Self(tempfile::tempdir().unwrap());
            let folders = folders_in(&wit()).unwrap();
            // What is not released yet is what these tests make themselves.
            for version in folders.into_iter().filter(|folder| folder.join(FROZEN).exists()) {
                copy.add(&version, &version.file_name().unwrap().to_string_lossy());
            }
            copy
        }

        /// Copy a folder of packages under another name.
        fn add(&self, from: &Path, name: &str) {
            let to = self.0.path().join(name);
            fs::create_dir_all(&to).unwrap();
            fs::copy(from.join(FROZEN), to.join(FROZEN)).unwrap();
            for package in folders_in(from).unwrap() {
                self.add_package(&package, &to);
            }
        }

        fn add_package(&self, package: &Path, folder: &Path) {
            let to = folder.join(package.file_name().unwrap());
            fs::create_dir_all(&to).unwrap();
            for file in fs::read_dir(package).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }

        /// The next folder, with `package` of `since-0.2`, at another version.
        fn next(&self, package: &str, versions: (&str, &str)) {
            let next = self.0.path().join("since-0.4");
            self.add_package(&wit().join("since-0.2").join(package), &next);
            self.edit(&format!("since-0.4/{package}/{package}.wit"), versions.0, versions.1);
        }

        /// Replace the first `old` in a file.
        fn edit(&self, file: &str, old: &str, new: &str) {
            let path = self.0.path().join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(old), "{file} has {old:?}");
            fs::write(&path, text.replacen(old, new, 1)).unwrap();
        }

        fn check(&self) -> Result<(), String> {
            read(self.0.path()).and_then(|folders| check(&folders)).map_err(|e| e.to_string())
        }

        fn refusal(&self) -> String {
            self.check().expect_err("refused")
        }

        fn release(&self) -> Result<PathBuf, String> {
            read(self.0.path()).and_then(|folders| release(&folders)).map_err(|e| e.to_string())
        }
    }

    /// SHA-256 of each listing, a line more with each release: WIT and listing that
    /// are changed together still say what they say, and are not what was released.
    const RELEASED: &[(&str, &str)] = &[
        ("since-0.1", "9d9f7b8967544e89a8d2d9629f557de7abbb2b3bb428fafe2017105fc48a518d"),
        ("since-0.2", "f33ea913c8480724e217d809ca327da6318e1c7825d41e934f9d6413e9806087"),
        ("since-0.3", "3e4d27b62b6ff9a87fc6bdfb741f37f33a28889fd094ede0398b1a92581620e5"),
    ];

    /// What of `folders` is not as it was released.
    fn unlike_released(folders: &[Folder]) -> Vec<String> {
        let now = released(folders).map(|(folder, text)| {
            (folder.name(), evenkeel_signing::Digest::of(text.as_bytes()).to_string())
        });
        let now: BTreeSet<_> = now.collect();
        let then = RELEASED.iter().map(|(name, digest)| ((*name).into(), (*digest).into()));
        let then: BTreeSet<(String, String)> = then.collect();
        now.symmetric_difference(&then).map(|(name, digest)| format!("{name} {digest}")).collect()
    }

    /// The check itself: `wit/` as it is.
    #[test]
    fn what_was_released_is_as_it_was() {
        let folders = read(&wit()).unwrap_or_else(|e| panic!("{e}"));
        check(&folders).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(unlike_released(&folders), [""; 0]);
    }

    #[test]
    fn wit_and_listing_that_are_edited_together_are_found() {
        let copy = Copy::new();
        let wit = copy.0.path().join("since-0.2/kv/kv.wit");
        let text = fs::read_to_string(&wit).unwrap();
        fs::write(&wit, text.replacen("keys:", "clear: func();\n    keys:", 1)).unwrap();
        fs::remove_file(copy.0.path().join("since-0.2/FROZEN")).unwrap();
        let folders = read(copy.0.path()).unwrap();
        let changed = folders.iter().find(|folder| folder.name() == "since-0.2").unwrap();
        fs::write(changed.path.join(FROZEN), changed.text()).unwrap();
        assert_eq!(copy.check(), Ok(()), "they say the same");
        let folders = read(copy.0.path()).unwrap();
        let unlike = unlike_released(&folders);
        assert!(unlike.len() == 2 && unlike.iter().all(|one| one.starts_with("since-0.2")));
    }

    #[test]
    fn each_kind_of_change_is_named_with_what_to_do() {
        let changes = [
            (
                "since-0.2/points/points.wit",
                "enum quality { good, estimated, bad }",
                "enum quality { good, estimated, bad, old }",
                "evenkeel:points@0.1.1, interface points: `enum quality { good, estimated, bad }` \
                 became `enum quality { good, estimated, bad, old }`",
            ),
            (
                "since-0.1/driver/driver.wit",
                "{ name: string, value: string }",
                "{ value: string, name: string }",
                "evenkeel:driver@0.1.0, interface device: `record setting { name: string, value: \
                 string }` became `record setting { value: string, name: string }`",
            ),
            (
                "since-0.2/hid/hid.wit",
                "read: func(timeout-ms: u32)",
                "read: func(within-ms: u32)",
                "evenkeel:hid@0.1.0, interface hid: `method device.read(timeout-ms: u32) -> \
                 result<list<u8>, error>` became `method device.read(within-ms: u32) -> \
                 result<list<u8>, error>`",
            ),
            (
                "since-0.2/driver/driver.wit",
                "import evenkeel:hid/hid@0.1.0;",
                "",
                "evenkeel:driver@0.2.0, world device-driver: `import evenkeel:hid/hid@0.1.0` is gone",
            ),
            (
                "since-0.2/plugin/plugin.wit",
                "wake: func() -> u32;",
                "wake: func() -> u32; nap: func();",
                "evenkeel:plugin@0.1.0, interface life: `func nap()` is new",
            ),
            (
                "since-0.2/kv/kv.wit",
                "package evenkeel:kv@0.1.0;",
                "package evenkeel:kv@0.1.0; interface more { f: func(); }",
                "evenkeel:kv@0.1.0: `interface more` is new",
            ),
        ];
        for (file, old, new, words) in changes {
            let copy = Copy::new();
            copy.edit(file, old, new);
            let said = copy.refusal();
            let folder = file.split('/').next().unwrap();
            assert!(said.starts_with(&format!("{folder} is released and has changed:")), "{said}");
            assert!(said.lines().any(|line| line.trim() == words), "no {words:?} in\n{said}");
            assert!(said.contains("put it into a new folder"), "{said}");
            assert_eq!(said.lines().count(), 3 + usize::from(words.contains("more")), "{said}");
        }
    }

    #[test]
    fn a_package_that_vanishes_or_appears_is_a_change() {
        let copy = Copy::new();
        fs::remove_dir_all(copy.0.path().join("since-0.2/contacts")).unwrap();
        assert!(copy.check().is_err(), "a world still names it");
        let copy = Copy::new();
        fs::remove_dir_all(copy.0.path().join("since-0.2/licence")).unwrap();
        let said = copy.refusal();
        assert!(said.contains("`package evenkeel:licence@0.1.0` is gone"), "{said}");
        let copy = Copy::new();
        let extra = copy.0.path().join("since-0.2/extra");
        fs::create_dir(&extra).unwrap();
        fs::write(extra.join("extra.wit"), "package evenkeel:extra@0.1.0;").unwrap();
        assert!(copy.refusal().contains("`package evenkeel:extra@0.1.0` is new"));
    }

    #[test]
    fn comments_and_the_order_of_functions_may_change() {
        let copy = Copy::new();
        copy.edit("since-0.1/log/log.wit", "/// Closed set", "// Better said.\n    /// Closed set");
        copy.edit("since-0.2/clock/clock.wit", "    now-ms: func() -> u64;\n", "");
        copy.edit("since-0.2/clock/clock.wit", "utc-ms", "now-ms: func() -> u64;\n    utc-ms");
        assert_eq!(copy.check(), Ok(()));
    }

    #[test]
    fn a_listing_is_neither_edited_nor_written_twice() {
        let copy = Copy::new();
        copy.edit("since-0.2/FROZEN", "# What", "# Nearly what");
        assert!(copy.refusal().contains("since-0.2/FROZEN was edited"));
        let said = Copy::new().release().expect_err("refused");
        assert!(said.contains("since-0.3 is released already"), "{said}");
    }

    #[test]
    fn the_next_folder_is_free_until_it_is_released() {
        let copy = Copy::new();
        copy.next("kv", ("@0.1.0", "@0.1.1"));
        assert_eq!(copy.check(), Ok(()));
        copy.edit("since-0.4/kv/kv.wit", "keys:", "clear: func();\n    keys:");
        assert_eq!(copy.check(), Ok(()));
        assert_eq!(copy.release(), Ok(copy.0.path().join("since-0.4/FROZEN")));
        assert_eq!(copy.check(), Ok(()));
        copy.edit("since-0.4/kv/kv.wit", "clear: func();", "");
        assert!(copy.refusal().contains("`func clear()` is gone"));
        let copy = Copy::new();
        copy.next("kv", ("@0.1.0", "@0.1.1"));
        fs::remove_file(copy.0.path().join("since-0.2/FROZEN")).unwrap();
        assert!(copy.refusal().contains("since-0.2 has no FROZEN, and a newer folder is there"));
    }

    /// A newer version of a track serves plugins built for the older one.
    #[test]
    fn a_track_only_grows() {
        let old = "enum stop-bits { one, two }";
        let copy = Copy::new();
        copy.next("serial", ("@0.1.1", "@0.1.2"));
        copy.edit("since-0.4/serial/serial.wit", old, "enum stop-bits { one, two, half }");
        let said = copy.refusal();
        assert!(said.starts_with("since-0.4 breaks plugins built for since-0.1:"), "{said}");
        assert!(
            said.contains("evenkeel:serial@0.1.2, interface serial: `enum stop-bits"),
            "{said}"
        );
        copy.edit("since-0.4/serial/serial.wit", "@0.1.2", "@0.2.0");
        assert_eq!(copy.check(), Ok(()), "another track");
        let copy = Copy::new();
        copy.next("plugin", ("@0.1.0", "@0.1.1"));
        copy.edit("since-0.4/plugin/plugin.wit", "wake:", "nap: func();\n    wake:");
        let said = copy.refusal();
        assert!(said.contains("`func nap()` is new where plugins export"), "{said}");
    }
}
