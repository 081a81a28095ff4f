//! Refusals that the administrator must be able to act on although nothing in
//! the file may be read: which plugin, which version, whose key, and why. And
//! what counts when nobody knows any more what he decided.

use super::*;
use crate::plugin::roster::DOCUMENT;
use crate::store::{self, Limits};
use redb::{Database, ReadableTable as _, TableDefinition};

/// `"acme" (fingerprint 21fe 31df 0000 1111`
fn beginning(fixture: &Fixture) -> String {
    let beginning: String = fixture.fingerprint().chars().take(19).collect();
    format!("\"acme\" (fingerprint {beginning}")
}

fn all_in(text: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(text.contains(word), "{word:?} is not in {text}"));
}

/// What the status and the event say of a plugin that is refused.
fn said(running: &Running) -> String {
    let status = running.wait("refused", |s| s.state == PluginState::Refused);
    let text = status.last_error.expect("a reason");
    let told =
        |event: &Event| matches!(event, Event::PluginRefused { reason, .. } if *reason == text);
    assert!(running.events().iter().any(told), "{:?}", running.events());
    text
}

/// A plugin that runs under the name `cellar`.
fn cellar() -> Running {
    let fixture = Fixture::new();
    let raw = fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), &fixture::idle());
    std::fs::write(fixture.file(), raw).expect("written");
    fixture.put_key();
    let plugin = fixture::grant("/dev/ttyS1").with_id("cellar");
    let running = run_config(fixture, vec![plugin]);
    running.wait("running", |s| s.state == PluginState::Running);
    running
}

/// The same daemon, started again.
fn again(before: Running) -> Running {
    let Running { supervisor, kept, fixture, .. } = before;
    drop(supervisor);
    let plugin = fixture::grant("/dev/ttyS1").with_id("cellar");
    run_on(machine(), fixture, vec![plugin], kept)
}

#[test]
fn a_plugin_whose_key_is_withdrawn_is_named_with_version_and_key_also_after_a_restart() {
    let running = cellar();
    let key = answered(running.supervisor.keys()).expect("told").remove(0);
    answered(running.supervisor.withdraw_key(key.id, "it was stolen".into())).expect("withdrawn");
    let acme = beginning(&running.fixture);
    let words = ["\"cellar\"", "version 0.1.0", &acme, "it was stolen"];
    all_in(&said(&running), &words);
    let running = again(running);
    all_in(&said(&running), &words);
    // Who asks for it all the same is told the same.
    let refused = answered(running.supervisor.restart("cellar".into())).expect_err("refused");
    all_in(&refused.to_string(), &words);
}

#[test]
fn a_plugin_whose_key_is_gone_is_named_with_version_and_the_key_that_it_had() {
    let running = cellar();
    let acme = beginning(&running.fixture);
    std::fs::remove_file(running.fixture.dir.path().join("acme.pub")).expect("there");
    let running = again(running);
    let unknown = "no key that signed it is trusted here";
    all_in(&said(&running), &["\"cellar\"", "version 0.1.0", &acme, unknown]);
}

#[test]
fn a_plugin_under_its_floor_is_named_with_the_version_that_is_refused() {
    let fixture = Fixture::new();
    fixture.put_key();
    let machine = || Machine { probation: Nanos::from_millis(100), ..super::machine() };
    let running = run_on(machine(), fixture, Vec::new(), Kept::default());
    let old = running.upload(release(&running.fixture, "0.1.0", 1));
    let new = running.upload(release(&running.fixture, "0.2.0", 2));
    let wanted = running.wanted(&new);
    let wanted = Wanted { plugin: wanted.plugin.clone().with_id("cellar"), ..wanted };
    answered(running.supervisor.put(wanted.clone())).expect("installed");
    let deadline = Instant::now() + Duration::from_secs(20);
    let back = |bundle: &BundleInfo| {
        let (digest, consent) = (bundle.digest.clone(), bundle.consent.clone());
        let wanted = Wanted { bundle: Some(digest), consent: Some(consent), ..wanted.clone() };
        answered(running.supervisor.put(wanted))
    };
    let refused = loop {
        match back(&old) {
            Err(refused) => break refused.to_string(),
            Ok(()) => back(&new).expect("a later one"),
        }
        assert!(Instant::now() < deadline, "it never stands the test");
        thread::sleep(Duration::from_millis(150));
    };
    let floor = "its security version is 1, and a release with 2 has proved itself";
    all_in(&refused, &["\"cellar\"", "\"megatec\" 0.1.0", &beginning(&running.fixture), floor]);
}

/// A vendor's key lies in the trust directory, and the administrator had
/// withdrawn it: when the list cannot be read it must not count again.
#[test]
fn what_was_withdrawn_does_not_count_again_when_the_list_cannot_be_read() {
    let running = cellar();
    let key = answered(running.supervisor.keys()).expect("told").remove(0);
    let id = key.id.clone();
    answered(running.supervisor.withdraw_key(id.clone(), "stolen".into())).expect("withdrawn");
    let text = running.kept.load().expect("read").expect("kept");
    // One name too many among the plugins: the decisions are there still.
    let damaged = text.replace("[entries.cellar.plugin]", "[entries.cellar.plugin]\nmore = 1");
    assert_ne!(damaged, text);
    running.kept.save(&damaged).expect("kept");
    let running = again(running);
    all_in(&said(&running), &["\"cellar\"", "\"acme\"", "stolen"]);
    let lost = |running: &Running| {
        let events = running.events();
        let reason = events.iter().find_map(|event| match event {
            Event::DecisionsLost { reason } => Some(reason.clone()),
            _ => None,
        });
        reason.unwrap_or_else(|| panic!("{events:?}"))
    };
    all_in(&lost(&running), &["more", "what was decided about keys holds"]);

    // Nothing of it makes sense.
    running.kept.save("entries = 7").expect("kept");
    let running = again(running);
    let unread = "what was decided about keys cannot be read";
    all_in(&said(&running), &["\"cellar\"", &beginning(&running.fixture), unread]);
    all_in(&lost(&running), &["no key counts but the platform's"]);
    let kept = || running.kept.load().expect("read").expect("kept");
    assert_eq!(kept(), "entries = 7", "nothing is written over it that nobody decided");
    let keys = answered(running.supervisor.keys()).expect("told");
    assert!(keys[0].refused.as_deref().is_some_and(|why| why.contains(unread)), "{keys:?}");
    // A person may trust the key again, and says so.
    answered(running.supervisor.restore_key(id)).expect("restored");
    answered(running.supervisor.restart("cellar".into())).expect("trusted");
    running.wait("running", |s| s.state == PluginState::Running);
    assert!(kept().contains("[entries.cellar"), "what a person decided is kept");
}

#[test]
fn a_list_of_which_only_damaged_rows_are_left_is_no_new_beginning() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path(), Limits::default()).expect("a store");
    let roster = RosterIn(Arc::new(store));
    assert_eq!(roster.load(), Ok(None), "a new appliance");
    roster.save(&Roster::default().to_text()).expect("kept");
    assert!(roster.load().expect("read").is_some());
    drop(roster);
    let rows: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("settings");
    let file = Database::open(dir.path().join(store::FILE)).expect("a store");
    let write = file.begin_write().expect("begun");
    {
        let mut rows = write.open_table(rows).expect("there");
        let keys: Vec<u64> = (rows.range((DOCUMENT.name, 0)..=(DOCUMENT.name, u64::MAX)))
            .expect("read")
            .map(|row| row.expect("read").0.value().1)
            .collect();
        for key in keys {
            rows.insert((DOCUMENT.name, key), &b"{"[..]).expect("written");
        }
    }
    write.commit().expect("written");
    drop(file);
    let store = Store::open(dir.path(), Limits::default()).expect("a store");
    let why = RosterIn(Arc::new(store)).load().expect_err("damaged");
    assert!(why.contains("damaged"), "{why}");
}
