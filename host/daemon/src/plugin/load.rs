//! From a file to something that may run, or a refusal that says why not.
//!
//! The order is the point: read into memory (bounded), verify the signature
//! over the raw bytes, and only then look inside. Never verify a path and open
//! it again. Each step may refuse; nothing of the guest has run when all are
//! done.

use crate::caps::config::Config;
use crate::caps::kv::QUOTA_BYTES;
use crate::caps::offer_for;
use crate::config::PluginGrant;
use crate::grants::{Grants, Named, Secret};
use crate::plugin::compile::{Compiler, Precompiled, Source};
use crate::plugin::grant::{self, Granted};
use crate::plugin::instance::State;
use crate::plugin::limits::MEMORY_BYTES_MAX;
use crate::plugin::roster::Verified;
use crate::plugin::world::{DRIVER_0_1, Exports, World};
use evenkeel_signing::{
    Digest, Kind, PluginBundle, PluginManifest, SettingValue, Trust, check_settings,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

mod refusal;

pub use refusal::{Identity, Reason, Refusal, Signed, Unaccepted};

/// Ending of plugin files.
pub const FILE_EXTENSION: &str = "evkp";

/// A plugin that is verified, compiled and linked.
pub struct Package {
    /// Where it was read from.
    pub file: PathBuf,
    /// SHA-256 of the whole file.
    pub hash: Digest,
    /// What it says about itself; signed.
    pub manifest: PluginManifest,
    /// What it may do.
    pub granted: Granted,
    /// Its settings as it may read them.
    pub config: Config,
    /// Its settings as its `start` is told them (0.1): no secret is among them.
    pub told: BTreeMap<String, String>,
    /// The key that signed it.
    pub signer: SignerName,
    /// What it is for.
    pub world: World,
    /// Ready to be instantiated, any number of times.
    pub pre: InstancePre<State>,
    /// Where its functions are.
    pub exports: Exports,
    /// Where its machine code came from.
    pub code: Source,
    /// What it cost to come this far.
    pub cost: Cost,
}

impl Package {
    /// What its signature vouches for.
    #[must_use]
    pub fn verified(&self) -> Verified {
        Verified::new(&self.manifest.version, &self.signer)
    }
}

/// Time that the steps of [`load`] took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Reading, signature, manifest, hashes of the parts.
    pub verify: Duration,
    /// Obtaining machine code for the component.
    pub compile: Duration,
    /// Comparing imports with grants, and linking.
    pub link: Duration,
}

/// Read, verify, compile and link the plugin in `file` as far as `grant` goes.
///
/// # Errors
/// [`Refusal`], before any code of the plugin has run.
pub fn load(
    compiler: &Compiler,
    trust: &Trust,
    file: &Path,
    grant: &PluginGrant,
) -> Result<Package, Refusal> {
    load_accepted(compiler, trust, file, grant, |_, _| Ok(()))
}

/// [`load`], when `accept` has nothing against the manifest and the id of the
/// key that signed it. It is asked as soon as the signature held, and before
/// anything else is looked at.
///
/// # Errors
/// [`Refusal`], as of [`load`].
pub fn load_accepted(
    compiler: &Compiler,
    trust: &Trust,
    file: &Path,
    grant: &PluginGrant,
    accept: impl FnOnce(&PluginManifest, &SignerName) -> Result<(), Unaccepted>,
) -> Result<Package, Refusal> {
    load_for(compiler, trust, file, |manifest, signer| {
        accept(manifest, signer).map_err(Reason::Unaccepted)?;
        if manifest.name != grant.name {
            return Err(Reason::Name { wanted: grant.name.clone(), found: manifest.name.clone() });
        }
        let mut granted =
            grant::intersect(manifest, grant).map_err(|source| Reason::Grant { source })?;
        let entered = entered(manifest, grant)?;
        for (name, secret) in &entered.secrets {
            // What is granted under a name has it.
            granted.grants.secrets.entry(name.clone()).or_insert_with(|| secret.clone());
        }
        Ok((granted, entered))
    })
}

/// [`load`] for a plugin that is to reach nothing: every interface is there
/// that it asks for, and nothing behind it.
///
/// # Errors
/// [`Refusal`], as of [`load`].
pub fn load_without_grants(
    compiler: &Compiler,
    trust: &Trust,
    file: &Path,
) -> Result<Package, Refusal> {
    load_for(compiler, trust, file, |manifest, _| {
        let interfaces = manifest.interfaces.iter().cloned().collect();
        let granted = Granted { interfaces, grants: Grants::default(), kv_bytes: QUOTA_BYTES };
        Ok((granted, Entered::default()))
    })
}

/// What is granted and set is `given` for a manifest.
fn load_for(
    compiler: &Compiler,
    trust: &Trust,
    file: &Path,
    given: impl FnOnce(&PluginManifest, &SignerName) -> Result<(Granted, Entered), Reason>,
) -> Result<Package, Refusal> {
    let refused = |reason| Refusal::of_file(file, reason);
    let mut cost = Cost::default();
    let begun = Instant::now();
    let raw = read(file).map_err(refused)?;
    let bundle = verify(&raw, trust).map_err(refused)?;
    cost.verify = begun.elapsed();
    let first = SignerName::first(&bundle);
    let signed = Signed { version: bundle.manifest().version.clone(), signer: first.clone() };
    let given = |manifest: &PluginManifest| given(manifest, &first);
    let Prepared { granted, entered, world, pre, exports, code } =
        prepare(compiler, &bundle, given, &mut cost)
            .map_err(|reason| Refusal { now: Some(Box::new(signed)), ..refused(reason) })?;
    let (file, hash, manifest) = (file.to_owned(), Digest::of(&raw), bundle.manifest().clone());
    let Entered { config, told, .. } = entered;
    let package = Package {
        file,
        hash,
        manifest,
        granted,
        config,
        told,
        signer: first,
        world,
        pre,
        exports,
        code,
        cost,
    };
    Ok(package)
}

/// The key that signed a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignerName {
    /// For people.
    pub name: String,
    /// For comparisons.
    pub id: String,
    /// A key of the platform is among those that signed.
    pub platform: bool,
}

impl SignerName {
    /// Name and beginning of the fingerprint: enough to know which of one's keys
    /// it is, and not to compare strangers.
    #[must_use]
    pub fn short(&self) -> String {
        let name = self.name.split(" (fingerprint ").next().unwrap_or_default();
        let digits: Vec<&str> = (0..4).filter_map(|i| self.id.get(4 * i..4 * i + 4)).collect();
        format!("{name} (fingerprint {} …)", digits.join(" "))
    }

    /// The first of the trusted keys, of which there is one at least.
    fn first(bundle: &PluginBundle<'_>) -> Self {
        let signer = bundle.signers().first();
        signer.map_or_else(Self::default, |s| Self {
            name: s.to_string(),
            id: s.id().to_string(),
            platform: bundle.is_platform(),
        })
    }
}

/// What a bundle says about itself, and who signed it.
#[derive(Debug)]
pub struct Seen {
    /// Signed.
    pub manifest: PluginManifest,
    /// The key.
    pub signer: SignerName,
}

/// Look at the bundle in `file` without preparing to run it.
///
/// # Errors
/// [`Refusal`].
pub fn inspect(file: &Path, trust: &Trust) -> Result<Seen, Refusal> {
    let seen = read(file).and_then(|raw| inspect_raw(&raw, trust));
    seen.map_err(|reason| Refusal::of_file(file, reason))
}

/// The same for bytes.
///
/// # Errors
/// [`Reason`].
pub fn inspect_raw(raw: &[u8], trust: &Trust) -> Result<Seen, Reason> {
    if raw.len() > Kind::Plugin.len_max() {
        return Err(Reason::Oversized);
    }
    let bundle = verify(raw, trust)?;
    Ok(Seen { manifest: bundle.manifest().clone(), signer: SignerName::first(&bundle) })
}

/// The file of the plugin `name` in `dir`: `<name>.evkp`, or
/// `<name>-<version>.evkp` as the plugin tool writes it.
///
/// # Errors
/// [`Refusal`] when there is none, or more than one: which of them is meant
/// is not for a file name to decide.
pub fn find(dir: &Path, name: &str) -> Result<PathBuf, Refusal> {
    let plain = dir.join(format!("{name}.{FILE_EXTENSION}"));
    let refused = |reason| Refusal::of_file(&plain, reason);
    let entries = std::fs::read_dir(dir).map_err(|source| refused(Reason::Read { source }))?;
    let mut found: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|file| is_file_of(file, name))
        .collect();
    found.sort();
    match found.as_slice() {
        [] => Err(refused(Reason::Missing { dir: dir.to_owned() })),
        [file] => Ok(dir.join(file)),
        _ => Err(refused(Reason::Ambiguous { files: found.join(", ") })),
    }
}

/// `megatec.evkp` or `megatec-0.1.0.evkp`. A version begins with digits and a
/// dot, and a name has no dot: the files of `apc` and `apc-2` are told apart.
fn is_file_of(file: &str, name: &str) -> bool {
    let stem = file.strip_suffix(FILE_EXTENSION).and_then(|stem| stem.strip_suffix('.'));
    let Some(rest) = stem.and_then(|stem| stem.strip_prefix(name)) else { return false };
    let version = rest.strip_prefix('-').and_then(|version| version.split_once('.'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    rest.is_empty() || version.is_some_and(|(major, _)| is_number(major))
}

/// The whole file, never more than a plugin may have.
///
/// # Errors
/// [`Reason::Read`] or [`Reason::Oversized`].
pub fn read(path: &Path) -> Result<Vec<u8>, Reason> {
    let max = Kind::Plugin.len_max();
    let mut raw = Vec::new();
    File::open(path)
        .and_then(|file| file.take(max as u64 + 1).read_to_end(&mut raw))
        .map_err(|source| Reason::Read { source })?;
    if raw.len() > max { Err(Reason::Oversized) } else { Ok(raw) }
}

fn verify<'a>(raw: &'a [u8], trust: &Trust) -> Result<PluginBundle<'a>, Reason> {
    trust.plugin(raw).map_err(|source| Reason::Untrusted { source })
}

/// What is known after the signature held.
struct Prepared {
    granted: Granted,
    entered: Entered,
    world: World,
    pre: InstancePre<State>,
    exports: Exports,
    code: Source,
}

fn prepare(
    compiler: &Compiler,
    bundle: &PluginBundle<'_>,
    given: impl FnOnce(&PluginManifest) -> Result<(Granted, Entered), Reason>,
    cost: &mut Cost,
) -> Result<Prepared, Reason> {
    let manifest = bundle.manifest();
    let (granted, entered) = given(manifest)?;
    let Some(world) = World::of(&manifest.world) else {
        return Err(Reason::World { found: manifest.world.clone() });
    };
    let begun = Instant::now();
    let brought = precompiled(bundle);
    let (component, code) =
        compiler.component(bundle.component(), &brought).map_err(Reason::Code)?;
    cost.compile = begun.elapsed();
    let (begun, engine) = (Instant::now(), compiler.engine());
    check_imports(engine, &component, &granted.interfaces)?;
    check_memory(&component, manifest.limits.memory_bytes)?;
    let shape = |error: wasmtime::Error| Reason::Shape {
        world: manifest.world.clone(),
        detail: detail(&error),
    };
    let linker = link(engine, &granted.interfaces).map_err(shape)?;
    let pre = linker.instantiate_pre(&component).map_err(shape)?;
    let exports = Exports::find(&manifest.world, world, &pre).map_err(shape)?;
    cost.link = begun.elapsed();
    Ok(Prepared { granted, entered, world, pre, exports, code })
}

/// Make the machine code of a bundle and keep it, so that to install it needs
/// none to be made: a person reads what it asks for meanwhile.
///
/// # Errors
/// [`Reason`], which whoever installs it will be told.
pub fn compile_ahead(compiler: &Compiler, trust: &Trust, raw: &[u8]) -> Result<Source, Reason> {
    let bundle = verify(raw, trust)?;
    let made = compiler.component(bundle.component(), &precompiled(&bundle));
    made.map(|(_, source)| source).map_err(Reason::Code)
}

/// The machine code that a bundle of the platform brings along. That of others
/// is no code to us, whatever else they are trusted with: it would run outside
/// of the sandbox. [`Trust`] refuses such a bundle before, and says why.
fn precompiled<'a>(bundle: &'a PluginBundle<'_>) -> Vec<Precompiled<'a>> {
    let code = bundle.manifest().code.iter().filter(|_| bundle.is_platform());
    let found = code.filter_map(|code| {
        Some(Precompiled {
            target: &code.target,
            wasmtime: &code.wasmtime,
            compat: code.compat,
            bytes: bundle.part(&code.part_name())?,
        })
    });
    found.collect()
}

/// What an administrator entered, apart by who comes to know it.
#[derive(Default)]
struct Entered {
    /// Read by the plugin.
    config: Config,
    /// Told to its `start`.
    told: BTreeMap<String, String>,
    /// Kept from it: computed with through `evenkeel:crypto`.
    secrets: Named<Secret>,
}

/// The settings by the schema. Drivers of 0.1 that have none judge their
/// settings themselves, and are told all of them: nobody says which are secret.
fn entered(manifest: &PluginManifest, grant: &PluginGrant) -> Result<Entered, Reason> {
    if manifest.world == DRIVER_0_1 && manifest.settings.is_empty() {
        return Ok(Entered { told: grant.settings.clone(), ..Entered::default() });
    }
    let values = check_settings(&manifest.settings, &grant.settings)
        .map_err(|source| Reason::Settings { source })?;
    let given = grant.settings.iter().filter(|(name, _)| values.contains_key(*name));
    let (secrets, told): (Vec<_>, Vec<_>) =
        given.partition(|(name, _)| values.get(*name) == Some(&SettingValue::Secret));
    let told = told.into_iter().map(|(name, text)| (name.clone(), text.clone())).collect();
    let secret = |(name, text): (&String, &String)| (name.clone(), Secret::of_setting(text));
    let secrets = secrets.into_iter().map(secret).collect();
    Ok(Entered { config: Config::new(values), told, secrets })
}

/// What the component really imports, which cannot lie, is all declared.
fn check_imports(
    engine: &Engine,
    component: &Component,
    declared: &BTreeSet<String>,
) -> Result<(), Reason> {
    for (import, _) in component.component_type().imports(engine) {
        if !import.starts_with("evenkeel:") {
            return Err(Reason::Foreign { import: detail_of(import) });
        }
        if !declared.contains(import) {
            return Err(Reason::Undeclared { import: detail_of(import) });
        }
    }
    Ok(())
}

fn check_memory(component: &Component, memory_bytes: u32) -> Result<(), Reason> {
    const PAGE_BYTES: u64 = 64 << 10;
    let allowed = u64::from(memory_bytes).min(MEMORY_BYTES_MAX as u64);
    let pages = component.resources_required().and_then(|r| r.max_initial_memory_size);
    let needed = pages.unwrap_or(0).saturating_mul(PAGE_BYTES);
    if needed > allowed { Err(Reason::Memory { needed, allowed }) } else { Ok(()) }
}

/// Only what is granted is there: absence is the strongest check.
fn link(engine: &Engine, interfaces: &BTreeSet<String>) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    // `grant::intersect` has refused what is not offered.
    for offer in interfaces.iter().filter_map(|interface| offer_for(interface)) {
        (offer.link)(&mut linker)?;
    }
    Ok(linker)
}

fn detail(error: &wasmtime::Error) -> String {
    detail_of(&format!("{error:#}"))
}

/// Text that a vendor can influence, for one line of a message.
fn detail_of(text: &str) -> String {
    crate::caps::one_line(text, 300)
}

#[cfg(test)]
mod code;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::fixture::{self, Fixture};
    use crate::plugin::fixture::{CLOCK, DRIVER_IMPORTS, LOG, POINTS};

    /// The refusal as the administrator reads it.
    fn refused(fixture: &Fixture, raw: &[u8]) -> String {
        let error = fixture.load(raw).map(|_| ()).expect_err("refused");
        assert!(error.to_string().contains("megatec.evkp"), "names the file: {error}");
        crate::plugin::reason(&error)
    }

    #[test]
    fn a_signed_and_granted_plugin_is_accepted() {
        let fixture = Fixture::new();
        let raw = fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), &fixture::idle());
        let package =
            fixture.load(&raw).unwrap_or_else(|e| panic!("{}", crate::plugin::reason(&e)));
        assert_eq!(package.manifest.name, "megatec");
        let signer = format!("\"acme\" (fingerprint {})", fixture.fingerprint());
        assert_eq!(package.signer.name, signer);
        assert!(!package.signer.platform, "an administrator trusts it");
    }

    #[test]
    fn every_tampering_is_refused_with_its_own_words() {
        let fixture = Fixture::new();
        let raw = fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), &fixture::idle());
        let manifest_at = 24 + 96;
        let component_at = raw.len() - 4_096;
        let change = |at: usize| {
            let mut raw = raw.clone();
            raw[at] ^= 1;
            raw
        };
        let mut unsigned = raw.clone();
        unsigned[16] = 0;
        let mut renamed = raw.clone();
        renamed[24] ^= 1;
        let cases = [
            ("no bundle", b"\0asm\x0d\0\x01\0".to_vec(), "not an Evenkeel bundle"),
            ("empty", Vec::new(), "not an Evenkeel bundle"),
            ("unsigned", unsigned, "the bundle is not signed"),
            ("unknown key id", renamed, "no key that signed it is trusted here"),
            ("signature", change(24 + 32 + 5), "signature by \"acme\" does not hold"),
            ("manifest", change(manifest_at + 5), "signature by \"acme\" does not hold"),
            ("component", change(component_at + 5), "\"component\" was changed after signing"),
            ("truncated", raw[..raw.len() - 1].to_vec(), "cut off"),
            ("truncated header", raw[..20].to_vec(), "cut off"),
            ("truncated manifest", raw[..manifest_at + 10].to_vec(), "cut off"),
            ("longer", [raw.as_slice(), b"x"].concat(), "follow the end"),
            ("oversized", vec![b'E'; Kind::Plugin.len_max() + 1], "more than 8388608 bytes"),
        ];
        for (case, raw, words) in cases {
            let text = refused(&fixture, &raw);
            assert!(text.contains(words), "{case}: {text}");
        }
    }

    #[test]
    fn what_was_compiled_at_its_upload_is_not_compiled_to_be_installed() {
        let fixture = Fixture::new();
        let raw = fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), &fixture::idle());
        let ahead = compile_ahead(&fixture.compiler, &fixture.trust, &raw);
        assert_eq!(ahead.map_err(|why| crate::plugin::reason(&why)), Ok(Source::Compiler));
        assert_eq!(fixture.load(&raw).expect("loaded").code, Source::Cache);
        let strangers = compile_ahead(&fixture.compiler, &fixture::nobody(), &raw);
        assert!(matches!(strangers, Err(Reason::Untrusted { .. })), "nothing is compiled unsigned");
    }

    #[test]
    fn a_stranger_s_signature_names_the_key_and_what_to_do() {
        let (ours, theirs) = (Fixture::new(), Fixture::new());
        let raw = theirs.seal(&fixture::manifest(&DRIVER_IMPORTS), &fixture::idle());
        let text = refused(&ours, &raw);
        assert!(
            text.contains(&theirs.fingerprint())
                && text.contains("ask the vendor for the fingerprint")
        );
        let mut nobody = Fixture::new();
        nobody.trust = fixture::nobody();
        assert!(nobody.load(&raw).is_err(), "no key means no plugin");
    }

    #[test]
    fn imports_beyond_the_manifest_are_refused() {
        let fixture = Fixture::new();
        let manifest = fixture::manifest(&[LOG, CLOCK, POINTS]);
        let text = refused(&fixture, &fixture.seal(&manifest, &fixture::uses_serial()));
        assert!(
            text.contains("imports evenkeel:serial/serial@0.1.0, which its manifest does"),
            "{text}"
        );
        assert!(text.contains("signed by \"acme\""), "{text}");
        let foreign =
            fixture::component("(component (import \"wasi:cli/environment@0.2.0\" (instance)))");
        let text = refused(&fixture, &fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), &foreign));
        assert!(text.contains("imports wasi:cli/environment@0.2.0 from outside"), "{text}");
    }

    #[test]
    fn what_is_no_driver_is_refused() {
        let fixture = Fixture::new();
        let full = fixture::manifest(&DRIVER_IMPORTS);
        let cases = [
            (fixture::component("(module)"), "no valid component"),
            (b"\x7fELF".to_vec(), "no valid component"),
            (fixture::component("(component)"), "does not fit its world evenkeel:driver"),
            (fixture::driver(&fixture::Guest { memory_pages: 17, ..fixture::IDLE }), "to start"),
        ];
        for (component, words) in cases {
            let text = refused(&fixture, &fixture.seal(&full, &component));
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn the_manifest_is_held_to_the_grant() {
        let fixture = Fixture::new();
        let seal = |manifest: &PluginManifest| fixture.seal(manifest, &fixture::idle());
        let mut other = fixture::manifest(&DRIVER_IMPORTS);
        other.name = "apc".into();
        assert!(refused(&fixture, &seal(&other)).contains("holds the plugin \"apc\""));
        let mut newer = fixture::manifest(&DRIVER_IMPORTS);
        newer.world = "evenkeel:driver/device-driver@0.9.0".into();
        assert!(
            refused(&fixture, &seal(&newer))
                .contains("is made for evenkeel:driver/device-driver@0.9.0")
        );
        newer.world = "evenkeel:gateway/gateway@0.1.0".into();
        assert!(
            refused(&fixture, &seal(&newer)).contains("no exported instance"),
            "it says it is a gateway"
        );
        let mut wants = fixture::manifest(&DRIVER_IMPORTS);
        wants.permissions[0].what = "modem".into();
        assert!(refused(&fixture, &seal(&wants)).contains("add `grant.serial.modem ="));
    }

    #[test]
    fn a_plugin_s_file_is_found_with_or_without_a_version() {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str| std::fs::write(dir.path().join(name), "").expect("written");
        let found = |name| find(dir.path(), name).map(|p| p.file_name().map(|f| f.to_owned()));
        for other in ["apc-2.evkp", "apc-2-1.0.0.evkp", "apcupsd-1.0.0.evkp", "apc-1.0.0.wasm"] {
            put(other);
        }
        let missing = crate::plugin::reason(&found("apc").expect_err("missing"));
        assert!(missing.contains("apc.evkp") && missing.contains("install it"), "{missing}");
        put("apc-1.0.0.evkp");
        assert_eq!(found("apc").expect("one"), Some("apc-1.0.0.evkp".into()));
        put("apc.evkp");
        let two = crate::plugin::reason(&found("apc").expect_err("two"));
        assert!(two.contains("apc-1.0.0.evkp, apc.evkp; leave the one"), "{two}");
    }
}
