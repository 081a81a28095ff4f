//! What a plugin was built from: a CycloneDX 1.5 document in JSON, made from
//! `cargo metadata` (facts/wasm-host.md §11.4).
//!
//! It lists every package that the plugin's package depends on for wasm,
//! development and build dependencies apart. Packages that only run inside the
//! compiler (procedural macros and what they need) have the scope `excluded`.
//! No date, no machine, no random number: the same sources give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::project::Project;
use crate::toolchain::TARGET;

/// The document for a plugin.
///
/// # Errors
/// [`SbomError`] when cargo cannot list the dependencies.
pub fn generate(project: &Project) -> Result<String, SbomError> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(&project.workspace)
        .args(["metadata", "--format-version", "1", "--filter-platform", TARGET])
        .output()
        .map_err(|source| SbomError::Start { source })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(SbomError::Cargo { message });
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).map_err(|source| SbomError::Metadata { source })?;
    let document = document(&metadata, &project.package)
        .ok_or_else(|| SbomError::NoPackage { name: project.package.clone() })?;
    serde_json::to_string(&document).map_err(|source| SbomError::Metadata { source })
}

/// Read a document as far as a summary needs it; gives the packages with their
/// licences, and says which are in the component itself.
///
/// # Errors
/// What the parser says of a text that is no CycloneDX document.
pub fn summary(text: &[u8]) -> Result<Summary, serde_json::Error> {
    let document: Document = serde_json::from_slice(text)?;
    let (inside, compiler): (Vec<Component>, Vec<Component>) =
        document.components.into_iter().partition(|component| component.scope != EXCLUDED);
    let mut licences = BTreeMap::new();
    for component in &inside {
        *licences.entry(component.licence_text()).or_insert(0) += 1;
    }
    Ok(Summary { packages: inside.len(), only_in_compiler: compiler.len(), licences })
}

/// A document in three numbers.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    /// Packages whose code may be in the component.
    pub packages: usize,
    /// Packages that only ran inside the compiler.
    pub only_in_compiler: usize,
    /// How many of `packages` stand under each licence.
    pub licences: BTreeMap<String, usize>,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// cargo is not there.
    #[error("cannot run cargo; is Rust installed?")]
    Start {
        /// Why.
        source: io::Error,
    },
    /// cargo failed.
    #[error("`cargo metadata` failed: {message}")]
    Cargo {
        /// What it wrote.
        message: String,
    },
    /// Not what this tool understands.
    #[error("`cargo metadata` wrote something unexpected; is this cargo too new?")]
    Metadata {
        /// Where and why.
        source: serde_json::Error,
    },
    /// The package is not in its own workspace.
    #[error("cargo does not list the package {name:?}; is it a member of the workspace?")]
    NoPackage {
        /// Its name.
        name: String,
    },
}

const REQUIRED: &str = "required";
const EXCLUDED: &str = "excluded";
/// For packages whose manifest names a file instead of an expression.
const OTHER_LICENCE: &str = "see the package";

/// What is of interest in the output of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

/// `kind` is nothing for a normal dependency.
#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// A CycloneDX document, as far as it is written here.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    bom_format: String,
    spec_version: String,
    version: u32,
    metadata: About,
    components: Vec<Component>,
    #[serde(default)]
    dependencies: Vec<Edges>,
}

#[derive(Serialize, Deserialize)]
struct About {
    component: Component,
}

#[derive(Serialize, Deserialize)]
struct Component {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: String,
    version: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    licenses: Vec<Licence>,
    purl: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Licence {
    Expression(String),
    License(NamedLicence),
}

#[derive(Serialize, Deserialize)]
struct NamedLicence {
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Edges {
    #[serde(rename = "ref")]
    reference: String,
    depends_on: Vec<String>,
}

impl Component {
    fn licence_text(&self) -> String {
        let texts = self.licenses.iter().map(|licence| match licence {
            Licence::Expression(text) | Licence::License(NamedLicence { name: text }) => {
                text.as_str()
            }
        });
        texts.collect::<Vec<_>>().join(", ")
    }
}

impl Package {
    fn is_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }

    /// The package URL; a package from git says from where.
    fn purl(&self) -> String {
        let Self { name, version, .. } = self;
        let git = self.source.as_ref().and_then(|source| source.strip_prefix("git+"));
        let from = git.map(|url| format!("?vcs_url=git%2B{}", url.replace('#', "%40")));
        format!("pkg:cargo/{name}@{version}{}", from.unwrap_or_default())
    }

    fn component(&self, kind: &str, scope: &str) -> Component {
        // An older spelling of "either of them" that is no SPDX expression.
        let licence = self.license.as_ref().map_or_else(
            || Licence::License(NamedLicence { name: OTHER_LICENCE.to_owned() }),
            |text| Licence::Expression(text.replace('/', " OR ")),
        );
        Component {
            kind: kind.to_owned(),
            reference: self.purl(),
            name: self.name.clone(),
            version: self.version.clone(),
            scope: scope.to_owned(),
            licenses: vec![licence],
            purl: self.purl(),
        }
    }
}

/// The document for the package `root`; none when it is not there.
fn document(metadata: &Metadata, root: &str) -> Option<Document> {
    let graph = Graph::of(metadata);
    let member = |package: &&&Package| package.name == root && package.source.is_none();
    let root = *graph.packages.values().find(member)?;
    let inside = graph.reach(&root.id, &|package| !package.is_macro());
    let all = graph.reach(&root.id, &|_| true);
    let mut components: Vec<Component> = all
        .iter()
        .filter(|id| **id != root.id)
        .filter_map(|id| {
            let scope = if inside.contains(id) { REQUIRED } else { EXCLUDED };
            Some(graph.packages.get(id)?.component("library", scope))
        })
        .collect();
    components.sort_by(|a, b| a.reference.cmp(&b.reference));
    let mut dependencies: Vec<Edges> = all.iter().filter_map(|id| graph.edges(id)).collect();
    dependencies.sort_by(|a, b| a.reference.cmp(&b.reference));
    Some(Document {
        bom_format: "CycloneDX".to_owned(),
        spec_version: "1.5".to_owned(),
        version: 1,
        metadata: About { component: root.component("application", REQUIRED) },
        components,
        dependencies,
    })
}

/// Packages and their normal dependencies, by id.
struct Graph<'a> {
    packages: BTreeMap<&'a str, &'a Package>,
    normal: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Graph<'a> {
    fn of(metadata: &'a Metadata) -> Self {
        let packages = metadata.packages.iter().map(|p| (p.id.as_str(), p)).collect();
        let is_normal = |dep: &&Dependency| dep.dep_kinds.iter().any(|kind| kind.kind.is_none());
        let normal = metadata.resolve.nodes.iter().map(|node| {
            let deps = node.deps.iter().filter(is_normal).map(|dep| dep.pkg.as_str());
            (node.id.as_str(), deps.collect())
        });
        Self { packages, normal: normal.collect() }
    }

    /// Everything that `from` depends on through packages that `passes`, itself
    /// included.
    fn reach(&self, from: &'a str, passes: &dyn Fn(&Package) -> bool) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(id) = waiting.pop() {
            let package = self.packages.get(id).filter(|package| passes(package));
            if package.is_some() && reached.insert(id) {
                waiting.extend(self.normal.get(id).into_iter().flatten());
            }
        }
        reached
    }

    fn edges(&self, id: &str) -> Option<Edges> {
        let targets = self.normal.get(id).into_iter().flatten();
        let purls: BTreeSet<String> =
            targets.filter_map(|id| Some(self.packages.get(id)?.purl())).collect();
        let reference = self.packages.get(id)?.purl();
        Some(Edges { reference, depends_on: purls.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// `probe` → `sdk` → `codec`, `derive` (a macro) → `syn`; `codec` has a
    /// development dependency `bench`.
    const METADATA: &str = r#"{
        "packages": [
            {"id": "p", "name": "probe", "version": "1.0.0", "license": "MIT", "source": null,
             "targets": [{"kind": ["cdylib"]}]},
            {"id": "s", "name": "sdk", "version": "0.1.0", "license": "Apache-2.0", "source": null,
             "targets": [{"kind": ["lib"]}]},
            {"id": "c", "name": "codec", "version": "2.0.0", "license": "MIT/Apache-2.0",
             "source": "git+https://example.org/codec#0123abcd", "targets": [{"kind": ["lib"]}]},
            {"id": "d", "name": "derive", "version": "3.0.0", "license": null,
             "source": "registry+x", "targets": [{"kind": ["proc-macro"]}]},
            {"id": "y", "name": "syn", "version": "4.0.0", "license": "MIT",
             "source": "registry+x", "targets": [{"kind": ["lib"]}]},
            {"id": "b", "name": "bench", "version": "5.0.0", "license": "MIT",
             "source": "registry+x", "targets": [{"kind": ["lib"]}]}
        ],
        "resolve": {"nodes": [
            {"id": "p", "deps": [{"pkg": "s", "dep_kinds": [{"kind": null}]}]},
            {"id": "s", "deps": [{"pkg": "d", "dep_kinds": [{"kind": null}]},
                                 {"pkg": "c", "dep_kinds": [{"kind": "dev"}, {"kind": null}]}]},
            {"id": "c", "deps": [{"pkg": "b", "dep_kinds": [{"kind": "dev"}]}]},
            {"id": "d", "deps": [{"pkg": "y", "dep_kinds": [{"kind": null}]}]},
            {"id": "y", "deps": []},
            {"id": "b", "deps": []}
        ]}
    }"#;

    fn text(metadata: &str) -> String {
        let metadata: Metadata = serde_json::from_str(metadata).unwrap();
        serde_json::to_string(&document(&metadata, "probe").unwrap()).unwrap()
    }

    #[test]
    fn normal_dependencies_are_listed_with_licence_and_scope() {
        let document: Document = serde_json::from_str(&text(METADATA)).unwrap();
        let found: Vec<(&str, &str, String)> = document
            .components
            .iter()
            .map(|c| (c.purl.as_str(), c.scope.as_str(), c.licence_text()))
            .collect();
        let codec = "pkg:cargo/codec@2.0.0?vcs_url=git%2Bhttps://example.org/codec%400123abcd";
        assert_eq!(
            found,
            [
                (codec, REQUIRED, "MIT OR Apache-2.0".to_owned()),
                ("pkg:cargo/derive@3.0.0", EXCLUDED, OTHER_LICENCE.to_owned()),
                ("pkg:cargo/sdk@0.1.0", REQUIRED, "Apache-2.0".to_owned()),
                ("pkg:cargo/syn@4.0.0", EXCLUDED, "MIT".to_owned()),
            ]
        );
        assert_eq!(document.metadata.component.purl, "pkg:cargo/probe@1.0.0");
        let sdk = document.dependencies.iter().find(|e| e.reference.contains("/sdk@")).unwrap();
        assert_eq!(sdk.depends_on, [codec, "pkg:cargo/derive@3.0.0"]);
    }

    #[test]
    fn a_summary_counts_what_is_in_the_component() {
        let summary = summary(text(METADATA).as_bytes()).unwrap();
        assert_eq!((summary.packages, summary.only_in_compiler), (2, 2));
        assert_eq!(summary.licences["Apache-2.0"], 1);
        assert!(super::summary(b"{}").is_err());
    }

    #[test]
    fn the_order_of_cargo_does_not_matter() {
        let mut shuffled: serde_json::Value = serde_json::from_str(METADATA).unwrap();
        shuffled["packages"].as_array_mut().unwrap().reverse();
        shuffled["resolve"]["nodes"].as_array_mut().unwrap().reverse();
        assert_eq!(text(&shuffled.to_string()), text(METADATA));
    }

    #[test]
    fn cargo_is_asked_about_a_real_folder_twice_with_one_answer() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "Cargo.toml",
            "[package]\nname = \"probe\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\
             [workspace]\n[dependencies]\nhelper = { path = \"helper\" }\n",
        );
        write("src/lib.rs", "");
        let helper = "[package]\nname = \"helper\"\nversion = \"0.2.0\"\nlicense = \"MIT\"\n";
        write("helper/Cargo.toml", helper);
        write("helper/src/lib.rs", "");
        write(
            "plugin.toml",
            "name = \"probe\"\nversion = \"1.0.0\"\nvendor = \"Acme\"\nlicence = \"MIT\"\n\
             world = \"evenkeel:driver/device-driver@0.1.0\"\ndescription = \"A probe\"\n\
             limits = { memory_bytes = 1048576, poll_cpu_ms = 10 }\n",
        );
        let project = Project::open(dir.path()).unwrap();
        let first = generate(&project).unwrap();
        assert_eq!(first, generate(&project).unwrap());
        assert!(first.contains("pkg:cargo/helper@0.2.0"), "{first}");
        let machine = Path::new(&project.plugin.folder).display().to_string();
        assert!(!first.contains(&machine), "no path of this machine");
    }
}
