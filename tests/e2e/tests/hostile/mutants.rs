//! The plugins that are built, damaged: every one of them is signed, uploaded
//! and installed over the API of the running appliance, so that the damage is
//! met behind the signature. Each is refused by name, or runs within its
//! limits; the appliance and the neighbour notice nothing.
//!
//! `EVENKEEL_MUTANTS` asks for more (`cargo xtask soak`).

use evenkeel_e2e::{Client, ClientError, Options, Stack, bundle};
use evenkeel_signing::{PluginManifest, PublicKey, Roots, SecretKey, Trust, seal_plugin};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

#[path = "../../../../host/daemon/src/plugin/fixture/mutate.rs"]
mod mutate;

/// What each of them is called on the appliance.
const ID: &str = "mutant";
/// In a run of all tests.
const COUNT: usize = 100;

/// A plugin as it was built.
struct Built {
    manifest: PluginManifest,
    component: Vec<u8>,
}

/// All of them, without their permissions and settings: nobody grants them
/// anything, so that nothing is refused for that.
fn built(plugins: &Path, key: &Path) -> Vec<Built> {
    let mut trust = Trust::new(Roots::none(), false).expect("no roots");
    trust.add_development_key(PublicKey::read(key).expect("a key")).expect("a first key");
    let entries = fs::read_dir(plugins).expect("plugins are built");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "evkp"));
    paths.sort();
    let of = |path: &std::path::PathBuf| {
        let raw = fs::read(path).expect("readable");
        let bundle = trust.plugin(&raw).expect("built and signed");
        let mut manifest = bundle.manifest().clone();
        manifest.permissions.clear();
        manifest.settings.clear();
        // Machine code would be run in its place.
        manifest.code.clear();
        Built { manifest, component: bundle.component().to_vec() }
    };
    paths.iter().map(of).collect()
}

/// How one of them ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum End {
    Invalid,
    Refused,
    Failed,
    Ran,
}

/// Upload and install it, see how it does, and remove it.
fn tried(client: &mut Client, raw: &[u8]) -> End {
    let bundle = client.post_bytes("/api/v1/bundles", raw).expect("signed by a trusted key");
    let wish = json!({
        "plugin": {"name": bundle["name"], "id": ID, "points": "ups.9"},
        "bundle": bundle["digest"], "consent": bundle["consent"],
    });
    let end = match client.post("/api/v1/plugins", &wish) {
        Ok(_) => {
            let path = format!("/api/v1/plugins/{ID}");
            let seen = client.await_answer(&path, |d| d["status"]["state"] != "starting");
            let status = &seen["status"];
            assert!(status["memory_bytes"].as_u64() <= Some(8 << 20), "{status:#}");
            client.post(&format!("{path}/remove"), &Value::Null).expect("removed");
            if status["state"] == "running" { End::Ran } else { End::Failed }
        }
        Err(ClientError::Status { status: 409, body, .. }) => {
            let problem: Value = serde_json::from_str(&body).expect("a problem");
            let text = problem["detail"].as_str().expect("a reason");
            assert!(text.contains(&format!("plugin {ID:?}")), "it names the plugin: {text}");
            let invalid = text.contains("no valid component");
            if invalid { End::Invalid } else { End::Refused }
        }
        Err(other) => panic!("{other}"),
    };
    let digest = bundle["digest"].as_str().expect("a digest");
    client.post(&format!("/api/v1/bundles/{digest}/delete"), &Value::Null).expect("deleted");
    end
}

#[test]
fn damaged_components_of_real_plugins_end_as_refusals_or_within_their_limits() {
    let count = std::env::var("EVENKEEL_MUTANTS").map_or(COUNT, |n| n.parse().expect("a number"));
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options::for_test(dir.path()).expect("built");
    let key = SecretKey::read(&options.plugin_key.with_extension("key")).expect("a key");
    let plugins = built(&options.plugins, &options.plugin_key);
    assert!(plugins.len() >= 6, "every plugin of the tree");
    bundle::built(&options.plugins, "megatec").expect("one of them");
    let mut stack = Stack::start(options).expect("the appliance runs");
    let mut client = stack.sign_in().expect("signed in");
    let mut random = mutate::Random::new();
    let (mut ends, begun) = (BTreeMap::<End, usize>::new(), Instant::now());
    for n in 0..count {
        let Built { manifest, component } = &plugins[n % plugins.len()];
        let damage = if n % 3 == 0 { mutate::mutated } else { mutate::bent };
        let damaged = damage(component, &mut random);
        let raw = seal_plugin(manifest.clone(), &[("component", &damaged)], &[&key]);
        let end = tried(&mut client, &raw.expect("sealed"));
        *ends.entry(end).or_default() += 1;
        stack.check().expect("all programs run");
    }
    println!("{count} damaged components in {:?}: {ends:?}", begun.elapsed());
    assert!(ends.get(&End::Invalid) > Some(&(count / 4)), "the damage is met: {ends:?}");
    let survived = ends.get(&End::Ran).copied().unwrap_or_default();
    assert!(survived > 0, "and some of it does not matter: {ends:?}");
    let plugins = client.get("/api/v1/plugins").expect("answered");
    let good = plugins.as_array().expect("a list").iter().find(|p| p["name"] == "megatec");
    let good = good.expect("installed");
    assert_eq!((&good["state"], &good["traps"]), (&json!("running"), &json!(0)), "{good:#}");
    let guard = client.get("/api/v1/guard").expect("answered");
    assert!(guard["deadline_misses"] == 0 && guard["cycles"].as_u64() > Some(3), "{guard:#}");
}
