//! Settings of the kind `secret`: what a plugin can do with them, and where
//! they never come to lie.

use super::*;
use crate::caps::crypto::INTERFACE as CRYPTO;
use crate::plugin::device_key::SECRET_FILE;
use crate::plugin::fixture::probe::{DRIVER, manifest, probe};
use crate::plugin::replay::replay;
use crate::plugin::report::Reports;
use crate::plugin::roster::{Entry, Source};
use crate::store::Limits;
use evenkeel_core::settings::forms::Kind;
use evenkeel_signing::SettingSpec;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::path::{Path, PathBuf};

const SECRET: &str = "s3cret";

/// A schema with a number and a secret of this name.
fn schema(secret: &str) -> Vec<SettingSpec> {
    serde_json::from_value(serde_json::json!([
        {"name": "unit", "label": "Unit", "kind": {"integer": {"min": 1, "max": 247}}},
        {"name": secret, "label": "Key", "kind": {"secret": {"max_len": 900}}},
    ]))
    .expect("a schema")
}

/// The plugin of this manifest with both settings, failing again and again.
fn run_failing(manifest: &PluginManifest, component: &[u8], secret: &str) -> Running {
    let fixture = Fixture::new();
    std::fs::write(fixture.file(), fixture.seal(manifest, component)).expect("written");
    fixture.put_key();
    let mut plugin = fixture::grant("/dev/ttyS1");
    let given = [("unit", "9"), (secret, SECRET)];
    plugin.settings = given.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let reports = Arc::new(Reports::open(fixture.dir.path()).expect("opened"));
    let services = Services { reports: Some(reports), ..Services::default() };
    let running = run_with(fixture, vec![plugin], CALL_MAX, services);
    running.wait("failed", |status| status.traps >= 1);
    running
}

fn files(running: &Running) -> Vec<PathBuf> {
    let files = std::fs::read_dir(running.fixture.dir.path().join("reports")).expect("listed");
    files.map(|entry| entry.expect("readable").path()).collect()
}

fn holds(file: &Path, part: &[u8]) -> bool {
    let bytes = std::fs::read(file).expect("readable");
    bytes.windows(part.len()).any(|here| here == part)
}

#[test]
fn a_driver_of_the_first_version_is_not_told_a_secret_and_no_file_has_it() {
    let mut manifest = fixture::manifest(&DRIVER_IMPORTS);
    manifest.settings = schema("key");
    let component = fixture::driver(&Guest { poll: "unreachable", ..IDLE });
    let running = run_failing(&manifest, &component, "key");
    let files_now = files(&running);
    assert!(files_now.len() >= 2, "{files_now:?}");
    for file in &files_now {
        assert!(!holds(file, SECRET.as_bytes()), "{}", file.display());
    }
    let recorded = files_now.iter().find(|file| file.extension().is_some_and(|e| e == "rec"));
    assert!(holds(recorded.expect("one"), b"unit"), "the others are there: it is repeated whole");
    running.supervisor.remove("megatec".into()).blocking_recv().expect("answered").expect("gone");
    assert!(files(&running).is_empty(), "its recordings go with it");
}

#[test]
fn a_plugin_computes_with_a_secret_setting_and_the_result_is_in_no_file() {
    let imports = format!(
        r#"(import {CRYPTO:?} "[static]secret.open" (func $open (param i32 i32 i32)))
        (import {CRYPTO:?} "[method]secret.hmac" (func $hmac (param i32 i32 i32 i32 i32)))
        (import {CRYPTO:?} "[resource-drop]secret" (func $drop (param i32)))"#
    );
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    let mac = mac.chain_update(b"probe").finalize().into_bytes();
    let begin = i64::from_le_bytes(mac[..8].try_into().expect("8 bytes"));
    // Falls in `answered` when what was computed is right.
    let wake = format!(
        "(call $open (i32.const 3000) (i32.const 5) (i32.const 4000))
        (if (i32.load8_u (i32.const 4000)) (then (unreachable)))
        (local.set $handle (i32.load (i32.const 4004)))
        (call $hmac (local.get $handle) (i32.const 3) (i32.const 3000) (i32.const 5)
            (i32.const 4000))
        (call $drop (local.get $handle))
        (if (i64.eq (i64.const {begin}) (i64.load (i32.load (i32.const 4004))))
            (then (call $answered)) (else (call $refused)))"
    );
    let mut manifest = manifest(&[CRYPTO], &[], &DRIVER);
    manifest.settings = schema("probe");
    let running = run_failing(&manifest, &probe(&imports, &wake, &DRIVER), "probe");
    let said = running.status().last_error.expect("a reason");
    assert!(said.contains("in answered"), "{said}");
    let files = files(&running);
    for file in &files {
        for part in [SECRET.as_bytes(), &mac[..8]] {
            assert!(!holds(file, part), "{}", file.display());
        }
    }
    let Fixture { compiler, trust, .. } = &running.fixture;
    let recorded = files.iter().find(|file| file.extension().is_some_and(|e| e == "rec"));
    let replayed = replay(compiler, trust, &running.fixture.file(), recorded.expect("one"));
    let replayed = replayed.unwrap_or_else(|e| panic!("{}", crate::plugin::reason(&e)));
    assert_eq!(replayed.withheld, 1, "and a replay says what it lacks");
}

/// A supervisor over this store, once these plugins are as they will be.
fn start(fixture: &Fixture, store: &Arc<Store>, settled: &[(&str, PluginState)]) -> Supervisor {
    let config = fixture::config(fixture.dir.path(), Vec::new());
    let kept = Box::new(RosterIn(Arc::clone(store)));
    let supervisor = Supervisor::start(&config, Services::default(), Arc::new(|_| {}), kept);
    let supervisor = supervisor.expect("starts");
    let deadline = Instant::now() + Duration::from_secs(20);
    let state = |id| supervisor.slot(id).map(|slot| slot.board.status().state);
    while settled.iter().any(|(id, wanted)| state(id) != Some(*wanted)) {
        assert!(Instant::now() < deadline, "never settled: {:?}", supervisor.plugins());
        thread::sleep(Duration::from_millis(5));
    }
    supervisor
}

#[test]
fn a_list_in_plain_is_sealed_its_past_goes_and_without_the_key_a_plugin_waits() {
    let fixture = Fixture::new();
    let mut manifest = fixture::manifest(&[fixture::LOG, fixture::CLOCK, fixture::POINTS]);
    manifest.settings = schema("key");
    std::fs::write(fixture.file(), fixture.seal(&manifest, &fixture::idle())).expect("written");
    fixture.put_key();
    let store = Store::open(fixture.dir.path(), Limits::default()).expect("a store");
    let store = Arc::new(store);
    let mut plugin = PluginGrant::new("megatec");
    plugin.points = "ups.0".into();
    let mut calm = plugin.clone().with_id("calm");
    calm.points = "ups.1".into();
    let entry = |plugin: &PluginGrant| Entry {
        plugin: plugin.clone(),
        source: Source::Shipped,
        consent: None,
        since_unix_ms: 0,
        verified: None,
        previous: None,
    };
    for secret in ["an-0ld-s3cret", SECRET] {
        plugin.settings.insert("key".into(), secret.into());
        let roster = Roster::default().with(entry(&plugin)).and_then(|r| r.with(entry(&calm)));
        let text = roster.expect("room").to_text();
        store.keep_settings(&Kind::first(DOCUMENT.name), &text).wait().expect("kept");
    }
    let kept = || store.revisions(DOCUMENT.name).expect("readable");
    assert!(kept().iter().all(|revision| revision.text.contains("s3cret")), "as it was before");

    let both = [("megatec", PluginState::Running), ("calm", PluginState::Running)];
    drop(start(&fixture, &store, &both));
    let texts: Vec<String> = kept().into_iter().map(|revision| revision.text).collect();
    assert!(texts.iter().all(|text| !text.contains("s3cret")), "{texts:?}");
    assert_eq!(texts.len(), 3, "one for this program, and one for each older form");
    drop(start(&fixture, &store, &both));
    assert_eq!(kept().into_iter().map(|r| r.text).collect::<Vec<_>>(), texts, "no new writes");

    std::fs::remove_file(fixture.dir.path().join(SECRET_FILE)).expect("there");
    let waits = [("megatec", PluginState::Refused), ("calm", PluginState::Running)];
    let supervisor = start(&fixture, &store, &waits);
    let said = supervisor.slot("megatec").and_then(|slot| slot.board.status().last_error);
    let said = said.expect("a reason");
    assert!(said.contains("cannot be read (settings.key)"), "{said}");
    let detail = supervisor.detail("megatec".into()).blocking_recv().expect("answered");
    let detail = detail.expect("installed");
    assert!(!detail.plugin.settings.contains_key("key"), "an empty field, to be filled in");
    let bundle = supervisor.bundles().blocking_recv().expect("answered").expect("listed").remove(0);
    let wanted = Wanted { plugin, bundle: None, consent: Some(bundle.consent) };
    supervisor.put(wanted).blocking_recv().expect("answered").expect("entered again");
    drop(supervisor);
    start(&fixture, &store, &both);
    assert!(kept().iter().all(|revision| !revision.text.contains("s3cret")));
}
