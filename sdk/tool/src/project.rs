//! A plugin's folder and its `plugin.toml`: what the author says about the
//! plugin. What the component really imports is read from the component.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use evenkeel_signing::{Limits, Model, Permission, PluginManifest, SettingSpec};
use serde::Deserialize;

/// A plugin in whatever language: a folder with a `plugin.toml`.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// The folder, absolute.
    pub folder: PathBuf,
    /// What `plugin.toml` says.
    pub description: Description,
}

/// A plugin in Rust, which cargo builds.
#[derive(Debug)]
pub struct Project {
    /// What is true of every plugin.
    pub plugin: Plugin,
    /// The workspace that it belongs to, or the folder itself.
    pub workspace: PathBuf,
    /// Name of its cargo package.
    pub package: String,
}

/// The fields of `plugin.toml`; their rules are those of [`PluginManifest`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    pub name: String,
    pub version: String,
    /// Raised by 1 with each release that closes a hole.
    #[serde(default)]
    pub security_version: u32,
    pub vendor: String,
    /// SPDX expression.
    pub licence: String,
    /// Text of the licence, a file in the plugin's folder.
    pub licence_file: Option<PathBuf>,
    /// Notices that licences of others ask for, a file in the plugin's folder.
    pub notices_file: Option<PathBuf>,
    /// What it was built from (CycloneDX, JSON), a file in the plugin's folder;
    /// for a plugin in Rust it is made.
    pub sbom_file: Option<PathBuf>,
    pub world: String,
    pub description: String,
    #[serde(default)]
    pub permissions: Vec<Permission>,
    pub limits: Limits,
    #[serde(default)]
    pub settings: Vec<SettingSpec>,
    #[serde(default)]
    pub models: Vec<Model>,
}

impl Project {
    /// Read the folder of a plugin in Rust.
    ///
    /// # Errors
    /// [`ProjectError`] names the file and what is wrong with it.
    pub fn open(folder: &Path) -> Result<Self, ProjectError> {
        let plugin = Plugin::open(folder)?;
        let cargo = plugin.folder.join("Cargo.toml");
        if !cargo.exists() {
            return Err(ProjectError::NotRust { folder: plugin.folder });
        }
        let cargo: CargoFile = parse(&cargo)?;
        let workspace = workspace(&plugin.folder)?;
        Ok(Self { package: cargo.package.name, workspace, plugin })
    }

    /// Where cargo and this tool put what they make.
    #[must_use]
    pub fn target_dir(&self) -> PathBuf {
        self.workspace.join("target")
    }

    /// Where `build` puts the component.
    #[must_use]
    pub fn component_path(&self) -> PathBuf {
        let file = format!("{}.wasm", self.plugin.description.name);
        self.target_dir().join("plugins").join(file)
    }
}

impl Plugin {
    /// Read the folder of a plugin.
    ///
    /// # Errors
    /// [`ProjectError`] names the file and what is wrong with it.
    pub fn open(folder: &Path) -> Result<Self, ProjectError> {
        let folder = folder.canonicalize().map_err(|source| cannot("open", folder, source))?;
        Ok(Self { description: parse(&folder.join("plugin.toml"))?, folder })
    }

    /// The licence text that travels with the plugin.
    ///
    /// # Errors
    /// [`ProjectError::File`] when the licence file cannot be read.
    pub fn licence_text(&self) -> Result<String, ProjectError> {
        let Some(file) = &self.description.licence_file else {
            return Ok(format!("SPDX-License-Identifier: {}\n", self.description.licence));
        };
        read(&self.folder.join(file))
    }

    /// The notices that travel with the plugin, if there are any.
    ///
    /// # Errors
    /// [`ProjectError::File`] when the file cannot be read.
    pub fn notices(&self) -> Result<Option<String>, ProjectError> {
        self.optional(self.description.notices_file.as_deref())
    }

    /// The list of what it was built from, if the vendor made one.
    ///
    /// # Errors
    /// [`ProjectError::File`] when the file cannot be read.
    pub fn sbom(&self) -> Result<Option<String>, ProjectError> {
        self.optional(self.description.sbom_file.as_deref())
    }

    fn optional(&self, file: Option<&Path>) -> Result<Option<String>, ProjectError> {
        file.map(|file| read(&self.folder.join(file))).transpose()
    }

    /// The manifest without parts; `imports` come from the component. What it is
    /// to be asked for stands in the list of interfaces as well.
    #[must_use]
    pub fn manifest(&self, imports: Vec<String>) -> PluginManifest {
        let Description {
            name,
            version,
            security_version,
            vendor,
            world,
            description,
            permissions,
            limits,
            settings,
            models,
            ..
        } = self.description.clone();
        let asked = permissions.iter().map(|permission| permission.interface.clone());
        let interfaces: BTreeSet<String> = imports.into_iter().chain(asked).collect();
        PluginManifest {
            format: PluginManifest::FORMAT,
            kind: PluginManifest::KIND.to_owned(),
            name,
            version,
            security_version,
            vendor,
            world,
            description,
            interfaces: interfaces.into_iter().collect(),
            permissions,
            limits,
            settings,
            models,
            code: Vec::new(),
            parts: Vec::new(),
            total_length: 0,
        }
    }
}

/// Why a plugin's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The operating system refused.
    #[error("cannot {action} {}; is this the folder of a plugin?", path.display())]
    File {
        /// `open` or `read`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Built by something else than cargo.
    #[error(
        "{} has no Cargo.toml, so cargo cannot build it; build the component with the tools \
        of your language, and give it to `evenkeel-plugin sign --component`",
        folder.display()
    )]
    NotRust {
        /// The plugin's folder.
        folder: PathBuf,
    },
    /// A file does not say what it must.
    #[error("correct {}", path.display())]
    Toml {
        /// Which file.
        path: PathBuf,
        /// Line and reason.
        source: Box<toml::de::Error>,
    },
}

/// What is of interest in a Cargo.toml.
#[derive(Deserialize)]
struct CargoFile {
    package: CargoPackage,
}

#[derive(Deserialize)]
struct CargoPackage {
    name: String,
}

#[derive(Deserialize)]
struct MaybeWorkspace {
    workspace: Option<toml::Table>,
}

/// The nearest folder upwards whose Cargo.toml opens a workspace.
fn workspace(folder: &Path) -> Result<PathBuf, ProjectError> {
    for candidate in folder.ancestors() {
        let file = candidate.join("Cargo.toml");
        if file.exists() && parse::<MaybeWorkspace>(&file)?.workspace.is_some() {
            return Ok(candidate.to_owned());
        }
    }
    Ok(folder.to_owned())
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, ProjectError> {
    toml::from_str(&read(path)?)
        .map_err(|source| ProjectError::Toml { path: path.to_owned(), source: Box::new(source) })
}

fn read(path: &Path) -> Result<String, ProjectError> {
    fs::read_to_string(path).map_err(|source| cannot("read", path, source))
}

fn cannot(action: &'static str, path: &Path, source: io::Error) -> ProjectError {
    ProjectError::File { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, plugin: &str) {
        fs::write(folder.join("Cargo.toml"), "[package]\nname = \"probe\"\n[workspace]\n").unwrap();
        fs::write(folder.join("plugin.toml"), plugin).unwrap();
    }

    const PLUGIN: &str = r#"
        name = "probe"
        version = "0.1.0"
        vendor = "Acme"
        licence = "MIT"
        world = "evenkeel:driver/device-driver@0.1.0"
        description = "A probe"
        limits = { memory_bytes = 1048576, poll_cpu_ms = 10 }
    "#;

    #[test]
    fn a_folder_becomes_a_manifest() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), PLUGIN);
        let project = Project::open(folder.path()).unwrap();
        assert_eq!(project.package, "probe");
        assert_eq!(project.plugin.licence_text().unwrap(), "SPDX-License-Identifier: MIT\n");
        let manifest = project.plugin.manifest(vec!["evenkeel:log/log@0.1.0".into()]);
        assert_eq!((manifest.name.as_str(), manifest.vendor.as_str()), ("probe", "Acme"));
    }

    #[test]
    fn settings_are_written_as_tables() {
        let folder = tempfile::tempdir().unwrap();
        let settings = r#"
            security_version = 2
            notices_file = "NOTICES"
            [[settings]]
            name = "low-v"
            label = "Voltage when empty"
            help = "Of the whole battery."
            kind.number = { min = 10, max = 60.5, step = 0.1, unit = "V" }
            [[settings]]
            name = "version"
            label = "Protocol version"
            kind.choice = { choices = [{ value = "v1", label = "1" }], default = "v1" }
        "#;
        write(folder.path(), &format!("{PLUGIN}\n{settings}"));
        fs::write(folder.path().join("NOTICES"), "Thanks.\n").unwrap();
        let project = Project::open(folder.path()).unwrap();
        assert_eq!(project.plugin.notices().unwrap().as_deref(), Some("Thanks.\n"));
        let manifest = project.plugin.manifest(Vec::new());
        assert_eq!((manifest.security_version, manifest.settings.len()), (2, 2));
        let low = &manifest.settings[0];
        assert!(low.parse("21.3").is_ok() && low.parse("9.9").is_err());
        write(folder.path(), &format!("{PLUGIN}\n[[settings]]\nname = \"a\"\nknob = 1\n"));
        assert!(matches!(Project::open(folder.path()), Err(ProjectError::Toml { .. })));
    }

    #[test]
    fn a_plugin_of_another_language_has_no_cargo_package() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("sbom_file = \"sbom.json\"\n{PLUGIN}");
        fs::write(folder.path().join("plugin.toml"), text).unwrap();
        fs::write(folder.path().join("sbom.json"), "{}").unwrap();
        let plugin = Plugin::open(folder.path()).unwrap();
        assert_eq!(plugin.sbom().unwrap().as_deref(), Some("{}"));
        let error = Project::open(folder.path()).unwrap_err();
        assert!(matches!(&error, ProjectError::NotRust { .. }), "{error}");
        assert!(error.to_string().contains("sign --component"));
    }

    #[test]
    fn unknown_fields_and_missing_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Project::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("plugin.toml"), "{error}");
        write(folder.path(), &format!("{PLUGIN}\nroot = true\n"));
        assert!(matches!(Project::open(folder.path()), Err(ProjectError::Toml { .. })));
    }
}
