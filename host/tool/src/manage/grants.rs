//! Words of the command line about grants and settings, and what they change
//! in a plugin as the API knows it.
//!
//! ```text
//! serial.ups=/dev/ttyS1          a plain text
//! read.values=["string","ups.0"] a list, as in the configuration file
//! secrets.shared=@secret.txt     from a file, so that nobody else sees it
//! serial.ups=                    granted no more
//! ```

use super::{Failure, read_file};
use serde_json::{Map, Value};
use std::path::Path;

/// Longest value, bytes.
const VALUE_MAX: usize = 16 << 10;

/// One thing that is granted, or no more.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Kind of thing: `serial`, `net`, …
    pub field: String,
    /// Logical name in the plugin's manifest.
    pub name: String,
    /// What it is; `None`: granted no more.
    pub value: Option<Value>,
}

impl Grant {
    /// From `field.name=value`.
    ///
    /// # Errors
    /// [`Failure::Usage`] says how it should look.
    pub fn parse(word: &str) -> Result<Self, Failure> {
        let usage = || {
            let text = format!("{word:?} is no grant; write it like serial.ups=/dev/ttyS1");
            Failure::Usage(text)
        };
        let (place, text) = word.split_once('=').ok_or_else(usage)?;
        let (field, name) = place.split_once('.').ok_or_else(usage)?;
        if field.is_empty() || name.is_empty() {
            return Err(usage());
        }
        let is_secret = matches!(field, "secrets" | "snmp");
        if is_secret && !text.is_empty() && !text.starts_with('@') {
            return Err(in_a_file(place));
        }
        let text = from_file(text)?;
        let value = if text.is_empty() { None } else { Some(value(place, &text)?) };
        Ok(Self { field: field.to_owned(), name: name.to_owned(), value })
    }

    /// Make it so in `plugin`.
    pub fn apply(self, plugin: &mut Map<String, Value>) {
        let grant = object(plugin, "grant");
        let Self { field, name, value } = self;
        let things = object(grant, &field);
        match value {
            Some(value) => things.insert(name, value),
            None => things.remove(&name),
        };
        if things.is_empty() {
            grant.remove(&field);
        }
    }
}

/// Make `name=value` so among the settings of `plugin`; empty: the default.
///
/// # Errors
/// [`Failure::Usage`] says how it should look.
pub fn set(plugin: &mut Map<String, Value>, word: &str) -> Result<(), Failure> {
    let usage = || Failure::Usage(format!("{word:?} is no setting; write it like name=value"));
    let (name, text) =
        word.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(usage)?;
    let settings = object(plugin, "settings");
    match from_file(text)? {
        text if text.is_empty() => settings.remove(name),
        text => settings.insert(name.to_owned(), text.into()),
    };
    Ok(())
}

/// What stands in the file of `@FILE`, without its last line feed; any other
/// text is itself.
fn from_file(text: &str) -> Result<String, Failure> {
    let Some(path) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let failed = |what: &str| {
        let source = std::io::Error::other(what.to_owned());
        Failure::File { path: path.into(), source }
    };
    let bytes = read_file(Path::new(path))?;
    if bytes.len() > VALUE_MAX {
        return Err(failed("it has more than 16 KiB, more than any value"));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed("it is no text"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// A list, a table or a quoted text is written as in the configuration file,
/// anything else is a plain text.
fn value(place: &str, text: &str) -> Result<Value, Failure> {
    if !text.starts_with(['[', '{', '"']) {
        return Ok(text.into());
    }
    let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("{place}: {why}"));
    let read: toml::Table =
        format!("value = {text}").parse().map_err(|e: toml::de::Error| wrong(&e.message()))?;
    let value = read.get("value").ok_or_else(|| wrong(&"there is no value"))?;
    serde_json::to_value(value).map_err(|e| wrong(&e))
}

fn in_a_file(place: &str) -> Failure {
    Failure::Usage(format!(
        "{place} holds a secret, and the command line can be seen by others: write the value to a \
        file and give {place}=@FILE"
    ))
}

fn object<'a>(parent: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let child = parent.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !child.is_object() {
        *child = Value::Object(Map::new());
    }
    child.as_object_mut().expect("it was made one just now")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn changed(words: &[&str], plugin: Value) -> Value {
        let mut plugin = plugin.as_object().cloned().expect("a table");
        for word in words {
            Grant::parse(word).expect(word).apply(&mut plugin);
        }
        Value::Object(plugin)
    }

    #[test]
    fn grants_are_added_changed_and_taken_back() {
        let before = json!({"name": "x", "grant": {"serial": {"ups": "/dev/ttyS1"}}});
        let after = changed(
            &[
                "serial.ups=",
                "net.peer=tls://a:1",
                "read.values=[\"ups.0\"]",
                "events.log=\"alarm\"",
            ],
            before,
        );
        let grant = json!({"net": {"peer": "tls://a:1"}, "read": {"values": ["ups.0"]},
            "events": {"log": "alarm"}});
        assert_eq!(after, json!({"name": "x", "grant": grant}));
    }

    #[test]
    fn secrets_come_from_files() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("agent");
        std::fs::write(&file, "{ address = \"a\", community = \"c\" }\n").expect("written");
        let word = format!("snmp.ups=@{}", file.display());
        let after = changed(&[&word, "secrets.old="], json!({}));
        assert_eq!(after["grant"]["snmp"]["ups"], json!({"address": "a", "community": "c"}));
        for word in ["secrets.shared=open", "snmp.ups={ community = \"c\" }"] {
            let error = Grant::parse(word).expect_err("seen by others").to_string();
            assert!(error.contains("=@FILE"), "{error}");
        }
        assert!(matches!(Grant::parse("secrets.x=@/not/there"), Err(Failure::File { .. })));
    }

    #[test]
    fn what_is_no_grant_is_named() {
        for word in
            ["", "serial", "serial.ups", "=x", ".ups=x", "serial.=x", "read.v=[1", "a.b=\"x"]
        {
            assert!(matches!(Grant::parse(word), Err(Failure::Usage(_))), "{word}");
        }
        let mut plugin = Map::new();
        set(&mut plugin, "unit=7").expect("good");
        set(&mut plugin, "text=a = b").expect("good");
        set(&mut plugin, "gone=").expect("good");
        assert_eq!(
            Value::Object(plugin.clone()),
            json!({"settings": {"unit": "7", "text": "a = b"}})
        );
        assert!(set(&mut plugin, "unit").is_err() && set(&mut plugin, "=1").is_err());
    }
}
