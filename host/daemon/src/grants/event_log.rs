//! What a plugin may read of the event log, and how bad the events may be that
//! it adds, as an administrator grants it.
//!
//! ```toml
//! grant.events.log = "warning"                            # read, from warnings on
//! grant.events.log = { raise = "alarm" }                  # add, up to alarms
//! grant.events.log = { least = "info", raise = "warning" }
//! ```

use evenkeel_core::events::Severity;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use core::fmt;

/// How bad the events of a plugin may be that no grant says more of.
pub const RAISE_ALWAYS: Severity = Severity::Info;

/// A grant of the event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventGrant {
    /// It may read events from this severity on, or be told of them; `None`:
    /// none at all.
    pub least: Option<Severity>,
    /// It may add events up to this severity.
    pub raise: Severity,
}

impl EventGrant {
    /// To read events from this severity on.
    #[must_use]
    pub const fn reading(least: Severity) -> Self {
        Self { least: Some(least), raise: RAISE_ALWAYS }
    }
}

impl Serialize for EventGrant {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Table {
            #[serde(skip_serializing_if = "Option::is_none")]
            least: Option<Severity>,
            raise: Severity,
        }
        match *self {
            Self { least: Some(least), raise: RAISE_ALWAYS } => least.serialize(to),
            Self { least, raise } => Table { least, raise }.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for EventGrant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WordOrTable)
    }
}

/// By hand, because an untagged enum would swallow what is wrong.
struct WordOrTable;

impl<'de> Visitor<'de> for WordOrTable {
    type Value = EventGrant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"warning\" or { least = \"info\", raise = \"alarm\" }")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<EventGrant, E> {
        Severity::deserialize(StrDeserializer::new(word)).map(EventGrant::reading)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EventGrant, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            least: Option<Severity>,
            raise: Option<Severity>,
        }
        match Table::deserialize(MapAccessDeserializer::new(map))? {
            Table { least: None, raise: None } => Err(A::Error::custom(
                "grants nothing; write `least = \"warning\"` to let events be read, or \
                 `raise = \"alarm\"` to let them be added",
            )),
            Table { least, raise } => {
                Ok(EventGrant { least, raise: raise.unwrap_or(RAISE_ALWAYS) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<EventGrant, toml::de::Error> {
        #[derive(Deserialize)]
        struct Document {
            log: EventGrant,
        }
        toml::from_str(&format!("log = {value}")).map(|document: Document| document.log)
    }

    #[test]
    fn what_is_written_is_read_back() {
        use Severity::{Alarm, Info, Warning};
        for (text, least, raise) in [
            ("\"warning\"", Some(Warning), Info),
            ("{ raise = \"alarm\" }", None, Alarm),
            ("{ least = \"info\", raise = \"warning\" }", Some(Info), Warning),
            ("{ least = \"alarm\" }", Some(Alarm), Info),
            ("{ raise = \"info\" }", None, Info),
        ] {
            let grant = read(text).expect(text);
            assert_eq!(grant, EventGrant { least, raise }, "{text}");
            let json = serde_json::to_string(&grant).expect("serializes");
            assert_eq!(serde_json::from_str::<EventGrant>(&json).expect(&json), grant);
        }
    }

    #[test]
    fn what_grants_nothing_or_is_misspelt_is_refused() {
        assert!(read("{}").expect_err("nothing").message().contains("grants nothing"));
        assert!(read("\"warn\"").expect_err("no severity").message().contains("warning"));
        for bad in ["{ raise = \"alarms\" }", "{ rise = \"alarm\" }", "3"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
