//! What is secret in the documents, and what is shown instead: nothing of it
//! leaves the appliance, and nothing of it is shown.
//!
//! A secret is told by its place. In the appliance's own file, which people
//! write, more than is needed is taken for one: every setting and every granted
//! secret of a plugin, and whatever is called like a secret.

use super::Part;
use crate::plugin_admin::MASK;
use toml::{Table, Value};

/// Lines of the appliance's file that are secret wherever they stand.
const NAMES: [&str; 8] =
    ["auth_key", "bearer_sha256", "community", "key", "password", "privacy_key", "secret", "token"];
/// Tables of it of which every line is.
const TABLES: [&str; 2] = ["secrets", "settings"];

/// Covers secrets so that the same one looks the same in all the documents that
/// it covers, and another one does not.
#[derive(Default)]
pub struct Masks {
    seen: Vec<String>,
}

impl Masks {
    /// A document that may be shown.
    #[must_use]
    pub fn covered(&mut self, part: Part, mut table: Table) -> Table {
        each_secret(part, &mut table, &mut |secret| {
            let text = match &secret {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let known = self.seen.iter().position(|seen| *seen == text);
            let number = known.unwrap_or_else(|| {
                self.seen.push(text);
                self.seen.len() - 1
            });
            *secret = Value::String(format!("{MASK} {}", number + 1));
        });
        table
    }
}

/// A document that may leave the appliance.
#[must_use]
pub fn taken_out(part: Part, mut table: Table) -> Table {
    each_secret(part, &mut table, &mut |secret| *secret = Value::String(MASK.to_owned()));
    table
}

/// The secrets that were taken out, from the document in force: those of a
/// network card, by its address. Those of web servers are put in where they
/// are read (`jobs::receivers`).
///
/// # Errors
/// The address of a card whose secret is not known.
pub fn put_in(part: Part, table: &mut Table, in_force: &Table) -> Result<(), String> {
    if part != Part::Automation {
        return Ok(());
    }
    let mut known = Vec::new();
    each_card(&mut in_force.clone(), &mut |card| {
        if let (Some(mac), Some(secret)) = (card.get("mac"), card.get("secure_on")) {
            known.push((mac.clone(), secret.clone()));
        }
        Ok(())
    })?;
    each_card(table, &mut |card| {
        if card.get("secure_on").and_then(Value::as_str) != Some(MASK) {
            return Ok(());
        }
        let mac = card.get("mac").cloned().unwrap_or(Value::String(String::new()));
        let secret = known.iter().find(|(of, _)| *of == mac).map(|(_, secret)| secret.clone());
        let secret = secret.ok_or_else(|| mac.as_str().unwrap_or_default().to_owned())?;
        card.insert("secure_on".to_owned(), secret);
        Ok(())
    })
}

fn each_secret(part: Part, table: &mut Table, visit: &mut dyn FnMut(&mut Value)) {
    match part {
        Part::Guard | Part::Thresholds | Part::Login | Part::SecondFactor | Part::Site => {}
        Part::Webhooks => {
            let webhooks = table.get_mut("webhook").and_then(Value::as_array_mut);
            let keys = webhooks.into_iter().flatten().filter_map(|webhook| webhook.get_mut("key"));
            keys.for_each(visit);
        }
        Part::Automation => {
            let done = each_card(table, &mut |card| {
                card.get_mut("secure_on").into_iter().for_each(&mut *visit);
                Ok(())
            });
            debug_assert_eq!(done, Ok(()), "it never fails");
        }
        Part::Appliance => cover_file(table, false, visit),
    }
}

fn cover_file(table: &mut Table, all: bool, visit: &mut dyn FnMut(&mut Value)) {
    for (name, value) in table.iter_mut() {
        let all = all || TABLES.contains(&name.as_str()) || NAMES.contains(&name.as_str());
        cover_value(value, all, visit);
    }
}

fn cover_value(value: &mut Value, all: bool, visit: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Table(table) => cover_file(table, all, visit),
        Value::Array(values) => values.iter_mut().for_each(|value| cover_value(value, all, visit)),
        value if all => visit(value),
        _ => {}
    }
}

/// Every table with a `secure_on`.
fn each_card(
    table: &mut Table,
    visit: &mut dyn FnMut(&mut Table) -> Result<(), String>,
) -> Result<(), String> {
    if table.contains_key("secure_on") {
        visit(table)?;
    }
    table.iter_mut().try_for_each(|(_, value)| each_card_in(value, visit))
}

fn each_card_in(
    value: &mut Value,
    visit: &mut dyn FnMut(&mut Table) -> Result<(), String>,
) -> Result<(), String> {
    match value {
        Value::Table(table) => each_card(table, visit),
        Value::Array(values) => values.iter_mut().try_for_each(|v| each_card_in(v, visit)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().expect("a document")
    }

    const FILE: &str = r#"
        data_dir = "/var/lib/evenkeel"
        [[plugin]]
        name = "a"
        points = "ups.0"
        settings = { unit = "hush-1", key = "hush-2" }
        [plugin.grant]
        serial.ups = "/dev/ttyS1"
        secrets.radius = "hush-3"
        snmp.ups = { address = "ups.example.org", community = "hush-4", auth_key = "hush-5", privacy_key = "hush-6" }
        [metrics]
        bearer_sha256 = "hush-7"
        [login.roles]
        key-keepers = "admin"
    "#;
    const HOOKS: &str = "[[webhook]]\nname = 'ops'\nurl = 'https://x/'\nkey = 'hush-8'\n";
    const JOBS: &str = "[[job]]\nname = 'wake'\n[job.action]\ndo = 'wake-on-lan'\n\
        mac = '02:00:00:00:00:01'\nsecure_on = '68:75:73:68'\n";

    #[test]
    fn no_secret_of_any_document_is_shown_or_leaves() {
        for (part, text, secret) in [
            (Part::Appliance, FILE, "hush-"),
            (Part::Webhooks, HOOKS, "hush-"),
            (Part::Automation, JOBS, "68:75"),
        ] {
            assert!(text.contains(secret));
            for shown in [taken_out(part, table(text)), Masks::default().covered(part, table(text))]
            {
                let shown = shown.to_string();
                assert!(!shown.contains(secret) && shown.contains(MASK), "{shown}");
            }
        }
        let shown = taken_out(Part::Appliance, table(FILE)).to_string();
        for told in ["/dev/ttyS1", "ups.example.org", "key-keepers = \"admin\"", "ups.0"] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
    }

    #[test]
    fn whether_a_secret_changed_can_be_seen() {
        let mut masks = Masks::default();
        let mut covered = |text: &str| masks.covered(Part::Webhooks, table(text)).to_string();
        let before = covered(HOOKS);
        assert_eq!(covered(HOOKS), before);
        assert_ne!(covered(&HOOKS.replace('8', "9")), before);
    }

    #[test]
    fn the_secret_of_a_card_stays_when_it_was_taken_out() {
        let in_force = table(JOBS);
        let mut back = taken_out(Part::Automation, in_force.clone());
        put_in(Part::Automation, &mut back, &in_force).expect("known");
        assert_eq!(back, in_force);
        let mut other = taken_out(Part::Automation, table(&JOBS.replace(":01", ":02")));
        let unknown = put_in(Part::Automation, &mut other, &in_force);
        assert_eq!(unknown, Err("02:00:00:00:00:02".to_owned()));
    }
}
