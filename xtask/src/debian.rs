//! Debian packages that the commands need: what is missing is installed, and
//! said. What is for another machine than this one is unpacked in a folder.

use crate::run::{AnyError, command, exec};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Install those of `packages`, pairs of a file and the package that brings it,
/// whose file is not there, and `more`.
pub fn install(packages: &[(&str, &str)], more: &[&str]) -> Result<(), AnyError> {
    let missing = packages.iter().filter(|(file, _)| !Path::new(file).exists()).map(|(_, p)| *p);
    let packages: Vec<&str> = missing.chain(more.iter().copied()).collect();
    if packages.is_empty() {
        println!("   Debian packages: nothing missing");
        return Ok(());
    }
    println!("   Debian packages: {}", packages.join(" "));
    update()?;
    let options = ["install", "--yes", "--quiet", "--no-install-recommends"];
    apt(&[&options, packages.as_slice()].concat())
}

/// Fetch the lists of what can be had.
pub fn update() -> Result<(), AnyError> {
    apt(&["update", "--quiet"])
}

/// apt-get, through sudo unless we are root already.
fn apt(arguments: &[&str]) -> Result<(), AnyError> {
    let mut apt = if is_root()? {
        command("apt-get", arguments)
    } else {
        let mut sudo = command("sudo", &["apt-get"]);
        sudo.args(arguments);
        sudo
    };
    exec(apt.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()))
}

fn is_root() -> Result<bool, AnyError> {
    let id = Command::new("id").arg("-u").output()?;
    Ok(String::from_utf8_lossy(&id.stdout).trim() == "0")
}

/// Debian's name of the processor that the commands run on.
pub const HERE: &str = "amd64";

/// Names of the package files that a folder was unpacked from, in that folder.
const UNPACKED: &str = "packages.txt";

/// A package that something was taken from.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    architecture: String,
}

impl Package {
    /// The package `name` that was unpacked in `folder`.
    pub fn unpacked(folder: &Path, name: &str) -> Result<Self, AnyError> {
        let text = fs::read_to_string(folder.join(UNPACKED))?;
        let found = text.lines().find_map(|line| Self::of_file(line).filter(|p| p.name == name));
        Ok(found.ok_or(format!("{} was not made from {name}", folder.display()))?)
    }

    /// The package `name` of this machine.
    pub fn installed(name: &str) -> Result<Self, AnyError> {
        let form = "${Package}_${Version}_${Architecture}.deb";
        let output = Command::new("dpkg-query").args(["-W", "-f", form, name]).output()?;
        let text = String::from_utf8(output.stdout)?;
        Ok(Self::of_file(&text).ok_or(format!("{name} is not installed"))?)
    }

    /// `name_version_architecture.deb`, with colons as apt writes them.
    fn of_file(file: &str) -> Option<Self> {
        let mut words = file.strip_suffix(".deb")?.split('_');
        let mut word = || words.next().map(str::to_owned);
        let (name, version, architecture) = (word()?, word()?, word()?);
        Some(Self { name, version: version.replace("%3a", ":"), architecture })
    }

    /// The package URL.
    pub fn purl(&self) -> String {
        let Self { name, version, architecture } = self;
        format!("pkg:deb/debian/{name}@{}?arch={architecture}", version.replace(':', "%3A"))
    }
}

/// Packages of one processor, to be unpacked and never installed.
pub struct Source {
    /// For apt: lists of its own for a foreign processor, so that this
    /// machine's packages know nothing of them.
    options: Vec<String>,
    lists: Option<PathBuf>,
}

impl Source {
    /// Of `architecture`; foreign lists are kept below `folder`.
    pub fn new(folder: &Path, architecture: &str) -> Self {
        if architecture == HERE {
            return Self { options: Vec::new(), lists: None };
        }
        let lists = folder.join(format!("lists-{architecture}"));
        let settings = [
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures={architecture}"),
            format!("Dir::State::Lists={}", lists.display()),
            // No index of the foreign lists in the place of this machine's.
            "Dir::Cache::pkgcache=".to_owned(),
            "Dir::Cache::srcpkgcache=".to_owned(),
        ];
        let options = settings.map(|setting| format!("-o{setting}")).to_vec();
        Self { options, lists: Some(lists) }
    }

    /// The package whose name begins with `beginning`, of those that `package`
    /// depends on; lists are fetched when they do not know it.
    pub fn dependency(&self, package: &str, beginning: &str) -> Result<String, AnyError> {
        if let Some(found) = self.known_dependency(package, beginning)? {
            return Ok(found);
        }
        self.update()?;
        let found = self.known_dependency(package, beginning)?;
        Ok(found.ok_or(format!("apt knows no {package} that depends on {beginning}…"))?)
    }

    fn known_dependency(&self, package: &str, begin: &str) -> Result<Option<String>, AnyError> {
        let asked = ["depends", package];
        let output = Command::new("apt-cache").args(&self.options).args(asked).output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(names.find(|name| name.starts_with(begin)).map(str::to_owned))
    }

    fn update(&self) -> Result<(), AnyError> {
        let Some(lists) = &self.lists else { return update() };
        fs::create_dir_all(lists.join("partial"))?;
        let mut update = command("apt-get", &self.options);
        // One list that is out of step with the others fails the command, and
        // the others serve (facts/image-recipe.md §1): what is missing in the
        // end is told by the package's name.
        let done = update.args(["update", "--quiet"]).stdout(Stdio::null()).output()?;
        if !done.status.success() {
            println!("   some of Debian's foreign lists cannot be had now; the others serve");
        }
        Ok(())
    }

    /// Fetch `packages` and unpack them together in `folder`, once.
    pub fn unpack(&self, packages: &[String], folder: &Path) -> Result<(), AnyError> {
        if folder.join(UNPACKED).exists() {
            return Ok(());
        }
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        println!("   fetching {}", packages.join(" "));
        let partial = folder.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        let files = partial.join("packages");
        fs::create_dir_all(&files)?;
        let mut fetch = command("apt-get", &self.options);
        fetch.args(["download", "--quiet"]).args(packages).current_dir(&files);
        exec(fetch.stdout(Stdio::null()).stderr(Stdio::null()))?;
        let mut names = String::new();
        for entry in fs::read_dir(&files)? {
            let entry = entry?;
            exec(Command::new("dpkg-deb").arg("-x").arg(entry.path()).arg(&partial))?;
            names += &format!("{}\n", entry.file_name().to_string_lossy());
        }
        fs::remove_dir_all(files)?;
        fs::write(partial.join(UNPACKED), names)?;
        Ok(fs::rename(partial, folder)?)
    }
}

/// Sources of a package with the distribution's changes, unpacked and never
/// built as a package.
pub struct Sources {
    /// Where they are.
    pub folder: PathBuf,
    /// The package's version.
    pub version: String,
}

impl Sources {
    /// Those of `name`, fetched into `folder` once.
    pub fn unpacked(folder: &Path, name: &str) -> Result<Self, AnyError> {
        let (place, note) = (folder.join("sources"), folder.join(UNPACKED));
        if !note.exists() {
            println!("   fetching the sources of {name}");
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            fs::create_dir_all(folder.join("lists/partial"))?;
            // As make and the compiler find themselves.
            let folder = folder.canonicalize()?;
            let list = folder.join("sources.list");
            fs::write(&list, source_lists()?)?;
            let settings = [
                format!("Dir::Etc::sourcelist={}", list.display()),
                "Dir::Etc::sourceparts=/dev/null".to_owned(),
                format!("Dir::State::Lists={}", folder.join("lists").display()),
                "Dir::Cache::pkgcache=".to_owned(),
                "Dir::Cache::srcpkgcache=".to_owned(),
            ];
            let options = settings.map(|setting| format!("-o{setting}"));
            let apt = |arguments: &[&str]| {
                let mut apt = command("apt-get", &options);
                apt.args(arguments).current_dir(&folder);
                exec(apt.stdout(Stdio::null()).stderr(Stdio::null()))
            };
            apt(&["update", "--quiet"])?;
            apt(&["source", "--download-only", "--quiet", name])?;
            let described = fs::read_dir(&folder)?
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .find(|file| file.ends_with(".dsc"))
                .ok_or_else(|| format!("apt fetched no sources of {name}"))?;
            // apt has checked them; the changes are applied here.
            let mut unpack = command("dpkg-source", &["--no-check", "-x", &described, "sources"]);
            exec(unpack.current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::null()))?;
            fs::write(&note, described)?;
        }
        let described = fs::read_to_string(note)?;
        let version = described.trim_end_matches(".dsc").rsplit('_').next().unwrap_or_default();
        Ok(Self { folder: place.canonicalize()?, version: version.to_owned() })
    }
}

/// Where the sources of this machine's packages are: its own places, asked for
/// sources.
fn source_lists() -> Result<String, AnyError> {
    let mut ask = command("apt-get", &["indextargets", "--format"]);
    let output = ask.args(["$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]);
    let output = output.arg("Origin: Debian").output()?;
    let mut rows: Vec<String> = String::from_utf8(output.stdout)?
        .lines()
        .map(|place| format!("deb-src [signed-by={KEYS}] {place}\n"))
        .collect();
    rows.sort();
    rows.dedup();
    if rows.is_empty() {
        return Err("apt knows no list of Debian's packages; run `apt-get update`".into());
    }
    Ok(rows.concat())
}

/// Debian's keys, by the package of which every Debian has it.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_its_file() {
        let package = Package::of_file("libllvm22_1%3a22.1.8-1~deb12u1_amd64.deb").unwrap();
        assert_eq!((&*package.name, &*package.version), ("libllvm22", "1:22.1.8-1~deb12u1"));
        assert_eq!(package.purl(), "pkg:deb/debian/libllvm22@1%3A22.1.8-1~deb12u1?arch=amd64");
        assert!(Package::of_file("libllvm22.deb").is_none());
        assert!(Package::of_file("").is_none());
    }
}
