//! `sign`: put component, licence, list of contents (SBOM) and manifest into a
//! signed bundle, after comparing what the component imports with what
//! plugin.toml asks for.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use evenkeel_signing::{PluginManifest, SealError, SecretKey, seal_plugin};

use crate::component::{self, Component, ComponentError};
use crate::project::{Plugin, Project, ProjectError};
use crate::sbom::{self, SbomError};

/// What was built, and from what.
pub struct Made {
    /// The component's file.
    pub component: PathBuf,
    /// A list of contents, CycloneDX in JSON.
    pub sbom: Option<String>,
}

impl Made {
    /// What `build` made of a plugin in Rust.
    ///
    /// # Errors
    /// [`SignError::Sbom`].
    pub fn by_cargo(project: &Project) -> Result<Self, SignError> {
        let sbom = sbom::generate(project).map_err(|source| SignError::Sbom { source })?;
        Ok(Self { component: project.component_path(), sbom: Some(sbom) })
    }

    /// A component that something else made.
    ///
    /// # Errors
    /// [`SignError::SbomFile`], also when the vendor's list is no CycloneDX.
    pub fn elsewhere(plugin: &Plugin, component: PathBuf) -> Result<Self, SignError> {
        let sbom = plugin.sbom().map_err(|source| SignError::SbomFile { source: source.into() })?;
        if let Some(text) = &sbom {
            sbom::summary(text.as_bytes())
                .map_err(|source| SignError::SbomFile { source: source.into() })?;
        }
        Ok(Self { component, sbom })
    }
}

/// Sign a built plugin and write `<name>-<version>.evkp` into `out_dir`.
/// Returns the path and the length of the bundle.
///
/// # Errors
/// [`SignError`], among others when plugin.toml does not ask for an interface
/// that the component imports.
pub fn sign(
    plugin: &Plugin,
    made: &Made,
    key: &SecretKey,
    out_dir: &Path,
) -> Result<(PathBuf, usize), SignError> {
    let path = &made.component;
    let bytes =
        fs::read(path).map_err(|source| SignError::NotBuilt { path: path.clone(), source })?;
    let component = component::inspect(&bytes).map_err(|source| SignError::Component { source })?;
    let manifest = plugin.manifest(interfaces(plugin, &component));
    compare(&manifest, &component)?;
    let licence = plugin.licence_text().map_err(|source| SignError::Licence { source })?;
    let notices = plugin.notices().map_err(|source| SignError::Notices { source })?;
    let mut parts: Vec<(&str, &[u8])> =
        vec![(PluginManifest::COMPONENT, &bytes), (PluginManifest::LICENCE, licence.as_bytes())];
    parts.extend(made.sbom.as_ref().map(|text| (PluginManifest::SBOM, text.as_bytes())));
    parts.extend(notices.as_ref().map(|text| (PluginManifest::NOTICES, text.as_bytes())));
    let file = format!("{}-{}.evkp", manifest.name, manifest.version);
    let bundle =
        seal_plugin(manifest, &parts, &[key]).map_err(|source| SignError::Seal { source })?;
    let path = out_dir.join(file);
    fs::create_dir_all(out_dir)
        .and_then(|()| fs::write(&path, &bundle))
        .map_err(|source| SignError::Write { path: path.clone(), source })?;
    Ok((path, bundle.len()))
}

/// Why a plugin cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// There is no component.
    #[error("cannot read the component {}; build it first", path.display())]
    NotBuilt {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The component breaks a rule.
    #[error("the component is refused; build it again")]
    Component {
        /// Which rule.
        source: ComponentError,
    },
    /// An import that nobody would have been asked about.
    #[error(
        "the component imports {interface}, but plugin.toml does not ask for it; \
        add a [[permissions]] entry with a reason, or remove the code that uses it"
    )]
    NotAskedFor {
        /// The interface.
        interface: String,
    },
    /// A permission that is not used.
    #[error(
        "plugin.toml asks for {interface}, but the component does not import it; \
        remove the [[permissions]] entry"
    )]
    NotUsed {
        /// The interface.
        interface: String,
    },
    /// Another world than stated.
    #[error("plugin.toml states the world {world}, but the component exports {exports}")]
    World {
        /// The world stated.
        world: String,
        /// What the component exports.
        exports: String,
    },
    /// More memory than stated.
    #[error(
        "the component may use {found} bytes of memory, plugin.toml allows {allowed}; \
        build it again"
    )]
    Memory {
        /// In the component.
        found: u64,
        /// In plugin.toml.
        allowed: u32,
    },
    /// No licence text.
    #[error("the licence text is missing")]
    Licence {
        /// Why.
        source: ProjectError,
    },
    /// No list of contents.
    #[error("the plugin's dependencies cannot be listed")]
    Sbom {
        /// Why.
        source: SbomError,
    },
    /// The vendor's list of contents is of no use.
    #[error("correct the file that `sbom_file` in plugin.toml names, a CycloneDX document in JSON")]
    SbomFile {
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No notices.
    #[error("the notices are missing")]
    Notices {
        /// Why.
        source: ProjectError,
    },
    /// The bundle cannot be made.
    #[error("the bundle cannot be made")]
    Seal {
        /// Why.
        source: SealError,
    },
    /// The bundle cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Interfaces that give a plugin no reach: everything else needs a permission.
/// Of cryptography and events only a part does (secrets, reading the log), which
/// the component does not show.
const HARMLESS: [&str; 9] = [
    "evenkeel:clock/",
    "evenkeel:commands/offers",
    "evenkeel:commands/types",
    "evenkeel:config/",
    "evenkeel:crypto/",
    "evenkeel:events/",
    "evenkeel:kv/",
    "evenkeel:log/",
    "evenkeel:random/",
];
/// A gateway is asked on its listeners whether or not it ever speaks unasked, so
/// that it needs the permission without the import.
const LISTENERS: &str = "evenkeel:net-server/";
const GATEWAY: &str = "evenkeel:gateway/";

/// The interfaces of the manifest: what the component imports, and that of the
/// listeners that are asked for.
fn interfaces(plugin: &Plugin, component: &Component) -> Vec<String> {
    let permissions = plugin.description.permissions.iter();
    let listeners = permissions.map(|p| &p.interface).filter(|name| name.starts_with(LISTENERS));
    let mut interfaces: Vec<_> = component.imports.iter().chain(listeners).cloned().collect();
    interfaces.sort();
    interfaces.dedup();
    interfaces
}

fn compare(manifest: &PluginManifest, component: &Component) -> Result<(), SignError> {
    let asked = |name: &str| manifest.permissions.iter().any(|p| p.interface == name);
    let harmless = |name: &str| HARMLESS.iter().any(|package| name.starts_with(package));
    if let Some(name) = component.imports.iter().find(|name| !harmless(name) && !asked(name)) {
        return Err(SignError::NotAskedFor { interface: name.clone() });
    }
    let listens =
        |interface: &str| interface.starts_with(LISTENERS) && manifest.world.starts_with(GATEWAY);
    let used = |interface: &String| component.imports.contains(interface) || listens(interface);
    let unused = manifest.permissions.iter().find(|p| !used(&p.interface));
    if let Some(permission) = unused {
        return Err(SignError::NotUsed { interface: permission.interface.clone() });
    }
    let package = manifest.world.split_inclusive('/').next().unwrap_or_default();
    if !component.exports.iter().any(|name| name.starts_with(package)) {
        return Err(SignError::World {
            world: manifest.world.clone(),
            exports: component.exports.join(", "),
        });
    }
    let allowed = manifest.limits.memory_bytes;
    if component.memory_max > u64::from(allowed) {
        return Err(SignError::Memory { found: component.memory_max, allowed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use evenkeel_signing::{Limits, Permission};

    use super::*;

    const SERIAL: &str = "evenkeel:serial/serial@0.1.0";

    fn component() -> Component {
        Component {
            imports: vec!["evenkeel:log/log@0.1.0".into(), SERIAL.into()],
            exports: vec!["evenkeel:driver/device@0.1.0".into()],
            memory_max: 1 << 20,
        }
    }

    fn manifest() -> PluginManifest {
        PluginManifest {
            format: 1,
            kind: "plugin".into(),
            name: "probe".into(),
            version: "1.0.0".into(),
            security_version: 0,
            vendor: "Acme".into(),
            world: "evenkeel:driver/device-driver@0.1.0".into(),
            description: "A probe.".into(),
            interfaces: component().imports,
            permissions: vec![Permission {
                interface: SERIAL.into(),
                what: "ups".into(),
                reason: "talks to the UPS".into(),
            }],
            limits: Limits { memory_bytes: 1 << 20, poll_cpu_ms: 10 },
            settings: Vec::new(),
            models: Vec::new(),
            code: Vec::new(),
            parts: Vec::new(),
            total_length: 0,
        }
    }

    #[test]
    fn what_is_imported_must_be_asked_for_and_the_reverse() {
        assert!(compare(&manifest(), &component()).is_ok());
        let mut silent = manifest();
        silent.permissions.clear();
        let error = compare(&silent, &component()).unwrap_err();
        assert!(matches!(&error, SignError::NotAskedFor { interface } if interface == SERIAL));
        let mut unused = component();
        unused.imports.pop();
        assert!(matches!(compare(&manifest(), &unused), Err(SignError::NotUsed { .. })));
    }

    #[test]
    fn a_gateway_asks_for_its_listener_without_importing_it() {
        let listener = Permission {
            interface: "evenkeel:net-server/net-server@0.1.0".into(),
            what: "modbus".into(),
            reason: "answers clients".into(),
        };
        let mut gateway = manifest();
        gateway.permissions.push(listener);
        assert!(matches!(compare(&gateway, &component()), Err(SignError::NotUsed { .. })));
        gateway.world = "evenkeel:gateway/gateway@0.1.0".into();
        let mut built = component();
        built.exports = vec!["evenkeel:gateway/service@0.1.0".into()];
        assert!(compare(&gateway, &built).is_ok());
    }

    #[test]
    fn world_and_memory_must_be_as_stated() {
        let mut other = component();
        other.exports = vec!["evenkeel:gateway/server@0.1.0".into()];
        assert!(matches!(compare(&manifest(), &other), Err(SignError::World { .. })));
        let mut greedy = component();
        greedy.memory_max += 65536;
        assert!(matches!(compare(&manifest(), &greedy), Err(SignError::Memory { .. })));
    }
}
