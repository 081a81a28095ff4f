//! What stands in the list of plugins, and that every program reads it: older
//! ones, and this one what a newer one kept.

use super::*;

fn plugin(id: &str, points: &str) -> PluginGrant {
    let text = format!("name = \"megatec\"\nid = \"{id}\"\npoints = \"{points}\"");
    toml::from_str(&text).expect("good")
}

fn entry(id: &str, points: &str, source: Source) -> Entry {
    let plugin = plugin(id, points);
    let (consent, verified, previous) = (None, None, None);
    Entry { plugin, source, consent, since_unix_ms: 1_000, verified, previous }
}

fn uploaded(digest: &str) -> Source {
    Source::Uploaded(digest.into())
}

fn ids(roster: &Roster) -> Vec<&str> {
    roster.entries().map(|(id, _)| id).collect()
}

#[test]
fn the_file_is_applied_once_and_again_when_it_changes() {
    let file = [plugin("a", "ups.0"), plugin("b", "ups.1")];
    let roster = Roster::default().provision(&file, 1);
    assert_eq!(ids(&roster), ["a", "b"]);
    // Switched off in the console: the unchanged file has no word in it.
    let roster = roster.switched("a", false).expect("known").provision(&file, 2);
    assert!(!roster.get("a").expect("known").plugin.enabled);
    // Removed there: no start brings it back, but another word of the file.
    let roster = roster.without("b").expect("known").provision(&file, 3);
    assert_eq!(ids(&roster), ["a"]);
    let other = [plugin("a", "ups.0"), plugin("b", "ups.2")];
    assert_eq!(ids(&roster.clone().provision(&other, 3)), ["a", "b"]);
    let changed = [plugin("a", "ups.7")];
    let roster = roster.provision(&changed, 4);
    assert_eq!(ids(&roster), ["a"], "the file names b no more");
    assert!(roster.get("a").expect("known").plugin.enabled);
    // What was installed by hand stays, unless the file takes its place.
    let roster = roster.with(entry("c", "ups.3", uploaded("33"))).expect("room");
    assert_eq!(ids(&roster.clone().provision(&changed, 5)), ["a", "c"]);
    let file = [plugin("a", "ups.7"), plugin("d", "ups.3")];
    assert_eq!(ids(&roster.provision(&file, 6)), ["a", "d"]);
}

#[test]
fn every_point_has_one_producer() {
    let roster = Roster::default().with(entry("a", "ups.0", Source::Shipped)).expect("room");
    let refused = roster.with(entry("b", "ups.0.battery", Source::Shipped)).expect_err("taken");
    assert!(refused.to_string().contains("one producer"), "{refused}");
    roster.with(entry("a", "ups.0.battery", Source::Shipped)).expect("its own place");
    roster.with(entry("b", "", Source::Shipped)).expect("publishes nothing");
}

#[test]
fn there_are_only_so_many() {
    let with = |roster: &Roster, n| roster.with(entry(&format!("p{n}"), "", Source::Shipped));
    let full = (0..ENTRIES_MAX).fold(Roster::default(), |r, n| with(&r, n).expect("room"));
    assert_eq!(with(&full, ENTRIES_MAX), Err(RosterError::Full));
    with(&full, 0).expect("a change of one that is there");
    with(&full.without("p0").expect("known"), ENTRIES_MAX).expect("room again");
}

#[test]
fn a_new_version_can_be_taken_back_and_forth() {
    let first = Roster::default().with(entry("a", "ups.0", uploaded("11"))).expect("room");
    let second = first.with(entry("a", "ups.0", uploaded("22"))).expect("room");
    assert!(second.needs("11") && second.needs("22"));
    let reconfigured = second.with(entry("a", "ups.1", uploaded("22"))).expect("room");
    let back = reconfigured.rolled_back("a").expect("an earlier one");
    let now = back.get("a").expect("known");
    assert_eq!((&now.source, now.plugin.points.as_str()), (&uploaded("11"), "ups.0"));
    let forth = back.rolled_back("a").expect("the later one");
    assert_eq!(forth.get("a").expect("known").plugin.points, "ups.1");
    assert!(matches!(first.rolled_back("a"), Err(RosterError::NoPrevious { .. })));
    assert!(matches!(first.rolled_back("x"), Err(RosterError::Unknown { .. })));
    assert!(!first.without("a").expect("known").needs("11"));
}

#[test]
fn a_version_is_on_probation_only_after_an_update() {
    let first = Roster::default().with(entry("a", "ups.0", uploaded("11"))).expect("room");
    let mut update = entry("a", "ups.0", uploaded("22"));
    update.since_unix_ms = 5_000;
    let second = first.with(update).expect("room");
    let on = |roster: &Roster, at| roster.get("a").expect("known").on_probation(at);
    assert!(!on(&first, 1_001), "nothing to go back to");
    assert!(on(&second, 5_001) && on(&second, 0));
    assert!(!on(&second, 5_000 + PROBATION_MS));
    // What was gone back to does not go forward by itself.
    let back = second.rolled_back("a").expect("an earlier one");
    assert!(!on(&back, 5_001));
}

#[test]
fn with_the_last_plugin_of_a_name_its_floor_is_forgotten() {
    let mut roster = Roster::default().with(entry("a", "ups.0", uploaded("11"))).expect("room");
    roster = roster.with(entry("b", "ups.1", uploaded("11"))).expect("room");
    let signer = "a".repeat(64);
    roster.decisions.proven.raise("megatec", &signer, 4_294_967_295);
    let one = roster.without("a").expect("known");
    assert!(one.decisions.proven.of("megatec", &signer).is_some(), "b is one still");
    let none = one.without("b").expect("known");
    assert_eq!(none.decisions.proven.of("megatec", &signer), None);
}

#[test]
fn the_document_is_read_as_it_was_written() {
    let mut one = entry("a", "ups.0", uploaded("11"));
    one.plugin.grant =
        toml::from_str("serial.ups = \"/dev/ttyS1\"\nsecrets.key = \"s\"").expect("good");
    let roster = Roster::default().with(one).expect("room").provision(&[plugin("b", "")], 1);
    assert_eq!(Roster::parse(&roster.to_text()).expect("reads"), roster);
    assert!(Roster::parse("{\"entries\": {}, \"provisioned\": {}, \"more\": 1}").is_err());
}

/// A roster in which everything stands that can.
fn full() -> Roster {
    let signer = SignerName { name: "\"acme\" (fingerprint x)".into(), ..Default::default() };
    let full = |version: &str| {
        let mut one = entry("a", "ups.0", uploaded(version));
        one.consent = Some(Digest::from("mark".to_owned()));
        one.verified = Some(Verified::new(version, &signer));
        one.plugin.kv_bytes = Some(1);
        one.plugin.confirm = vec!["fan".into()];
        one.plugin.settings = [("unit".to_owned(), "9".to_owned())].into();
        one
    };
    let (one, two) = (full("0.1.0"), full("0.2.0"));
    let roster = Roster::default().with(one).and_then(|roster| roster.with(two));
    let mut roster = roster.expect("room").provision(&[plugin("b", "")], 1);
    roster.decisions.vendor_keys = vec!["a key".into()];
    let id = evenkeel_signing::Digest::of(b"a key");
    let (name, reason) = ("acme".into(), "stolen".into());
    roster.decisions.withdrawn = vec![Withdrawn { id, name, reason }];
    roster.decisions.proven.raise("megatec", &"a".repeat(64), 3);
    roster.decisions.keyring_sequence = 7;
    roster
}

/// Names of what stands in a document, but for what a person chose.
fn names(text: &str) -> Vec<String> {
    fn walk(at: &str, value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Table(table) => table.iter().for_each(|(name, value)| {
                let chosen = ["entries", "provisioned", "proven", "settings"];
                let is_chosen = chosen.iter().any(|c| at == *c || at.ends_with(&format!(".{c}")));
                let name = if is_chosen { "*" } else { name };
                let at = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
                walk(&at, value, names);
            }),
            Value::Array(rows) => rows.iter().for_each(|row| walk(at, row, names)),
            _ => names.push(at.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk("", &Value::Table(text.parse().expect("a document")), &mut found);
    found.sort();
    found.dedup();
    // Those of a grant are the configuration file's.
    found.retain(|name| !name.contains(".grant."));
    found
}

/// What stood in the document when its second form was the newest. A name
/// more than here belongs into a form of its own.
const SECOND: [&str; 30] = [
    "decisions.keyring_sequence",
    "decisions.proven.*",
    "decisions.vendor_keys",
    "decisions.withdrawn.id",
    "decisions.withdrawn.name",
    "decisions.withdrawn.reason",
    "entries.*.consent",
    "entries.*.plugin.confirm",
    "entries.*.plugin.enabled",
    "entries.*.plugin.id",
    "entries.*.plugin.kv_bytes",
    "entries.*.plugin.name",
    "entries.*.plugin.points",
    "entries.*.plugin.settings.*",
    "entries.*.previous.consent",
    "entries.*.previous.plugin.confirm",
    "entries.*.previous.plugin.enabled",
    "entries.*.previous.plugin.id",
    "entries.*.previous.plugin.kv_bytes",
    "entries.*.previous.plugin.name",
    "entries.*.previous.plugin.points",
    "entries.*.previous.plugin.settings.*",
    "entries.*.previous.since_unix_ms",
    "entries.*.previous.source.uploaded",
    "entries.*.since_unix_ms",
    "entries.*.source",
    "entries.*.source.uploaded",
    "form",
    "provisioned.*",
    "sealed",
];

#[test]
fn every_form_has_the_names_that_it_had() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut vault = vault::Vault::of_device(dir.path());
    let sealed = vault.seal(&full().to_text()).expect("sealed");
    let texts = DOCUMENT.chain.texts(&sealed);
    assert_eq!(texts.len(), 3, "one for each form");
    assert_eq!(names(&texts[1]), SECOND);
}

/// To an older program everything is there that it knows, whatever forms
/// there are by now; what was decided about keys above all.
#[test]
fn an_older_program_reads_what_this_one_keeps_and_this_one_what_a_newer_one_keeps() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut vault = vault::Vault::of_device(dir.path());
    let text = full().to_text();
    let sealed = vault.seal(&text).expect("sealed");
    let kept = DOCUMENT.chain.texts(&sealed);
    let read = |chain: &Chain, texts: &[String], vault: &mut vault::Vault| {
        let found = chain.readable(texts.iter().rev().map(String::as_str)).remove(0).1;
        let decided = Roster::decisions_of(&found).expect("strict");
        assert_eq!(decided, full().decisions);
        Roster::parse(&vault.open(&found).expect("a document").text).expect("strict")
    };
    assert_eq!(read(&DOCUMENT.chain, &kept, &mut vault), full());
    let second = Chain { steps: &DOCUMENT.chain.steps[..1], ..DOCUMENT.chain };
    let older = read(&second, &kept, &mut vault);
    let entry = older.get("a").expect("there");
    assert_eq!((&entry.verified, &entry.plugin.points[..]), (&None, "ups.0"));
    assert!(entry.previous.as_ref().is_some_and(|entry| entry.verified.is_none()));

    // A newer program, which knows two more things of a plugin and a key.
    const NEWER: &[Step] = &[
        Step { forward: vault::forward, back: vault::back },
        Step { forward: |_| {}, back: without_verified },
        Step {
            forward: |_| {},
            back: |document| {
                let decisions = document.get_mut("decisions").and_then(Value::as_table_mut);
                decisions.and_then(|table| table.remove("countersigned"));
                let a = document.get_mut("entries").and_then(|entries| entries.get_mut("a"));
                a.and_then(Value::as_table_mut).and_then(|table| table.remove("colour"));
                Vec::new()
            },
        },
    ];
    let newer = Chain { steps: NEWER, names: DOCUMENT.chain.names };
    let mut table: Table = sealed.parse().expect("a document");
    let decisions = table["decisions"].as_table_mut().expect("a table");
    decisions.insert("countersigned".into(), Value::Boolean(true));
    let a = table["entries"]["a"].as_table_mut().expect("a table");
    a.insert("colour".into(), Value::String("red".into()));
    let kept = newer.texts(&table.to_string());
    assert_eq!(kept.len(), 4);
    assert_eq!(read(&DOCUMENT.chain, &kept, &mut vault), full());
}
