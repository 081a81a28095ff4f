//! What an Access-Accept says about a person, as words that an administrator
//! maps to roles: the values of the attributes that the settings list
//! (facts/radius-syslog-smtp.md §5).
//!
//! ```text
//! Filter-Id, Class          text as it is: `evenkeel-admin`
//! Service-Type              number: `Service-Type=6`
//! 26.318.1                  vendor 318, type 1: text as it is, or `26.318.1=2`
//! ```

use crate::packet::{Attributes, kind};

/// What is listed when the settings say nothing.
pub const DEFAULT: &str = "Filter-Id, Class";
/// Entries in the list.
const LIST_MAX: usize = 16;
/// Words about one person.
const WORDS_MAX: usize = 32;

/// Attributes by name.
const NAMES: [(&str, u8, Form); 6] = [
    ("Filter-Id", kind::FILTER_ID, Form::Text),
    ("Class", kind::CLASS, Form::Text),
    ("Callback-Id", kind::CALLBACK_ID, Form::Text),
    ("Management-Policy-Id", kind::MANAGEMENT_POLICY_ID, Form::Text),
    ("Service-Type", kind::SERVICE_TYPE, Form::Number),
    ("Management-Privilege-Level", kind::MANAGEMENT_PRIVILEGE_LEVEL, Form::Number),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Number,
}

/// Where a word comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Standard(u8, Form),
    Vendor(u32, u8),
}

/// The list of the settings: names, and `26.<vendor>.<type>`, with commas.
///
/// # Errors
/// What is no attribute, in a sentence for the administrator.
pub fn parse(list: &str) -> Result<Vec<Source>, String> {
    let entries: Vec<_> = list.split(',').map(str::trim).collect();
    if entries.len() > LIST_MAX {
        return Err(format!("setting attributes lists more than {LIST_MAX}"));
    }
    entries.into_iter().map(source).collect()
}

fn source(entry: &str) -> Result<Source, String> {
    let name = entry.to_owned();
    if let Some((_, kind, form)) = NAMES.iter().find(|(known, ..)| *known == entry) {
        return Ok(Source { name, place: Place::Standard(*kind, *form) });
    }
    let vendor = entry.strip_prefix("26.").and_then(|rest| rest.split_once('.'));
    let parsed = vendor.and_then(|(id, kind)| Some((id.parse().ok()?, kind.parse().ok()?)));
    match parsed {
        Some((id, kind)) => Ok(Source { name, place: Place::Vendor(id, kind) }),
        None => Err(format!(
            "setting attributes: {entry:?} is neither 26.<vendor>.<type> nor one of {}",
            NAMES.map(|(name, ..)| name).join(", ")
        )),
    }
}

/// The words that `attributes` say, in the order of the list.
#[must_use]
pub fn of(sources: &[Source], attributes: &Attributes) -> Vec<String> {
    sources.iter().flat_map(|source| source.words(attributes)).take(WORDS_MAX).collect()
}

impl Source {
    fn words(&self, attributes: &Attributes) -> Vec<String> {
        match self.place {
            Place::Standard(kind, Form::Text) => attributes.of(kind).filter_map(text).collect(),
            Place::Standard(kind, Form::Number) => {
                attributes.of(kind).filter_map(|value| self.number(value)).collect()
            }
            Place::Vendor(id, kind) => {
                let values = attributes.of_vendor(id, kind);
                values.filter_map(|value| text(value).or_else(|| self.number(value))).collect()
            }
        }
    }

    fn number(&self, value: &[u8]) -> Option<String> {
        let number = u32::from_be_bytes(value.try_into().ok()?);
        Some(format!("{}={number}", self.name))
    }
}

/// Text that people can read; other bytes are no word.
fn text(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::{Shared, reply};
    use crate::packet::{Reply, decode};
    use proptest::prelude::*;

    fn accepted(attributes: &[(u8, &[u8])]) -> Attributes {
        let mac: (u8, &[u8]) = (kind::MESSAGE_AUTHENTICATOR, &[0; 16]);
        let attributes: Vec<_> = [mac].iter().chain(attributes).copied().collect();
        let bytes = reply(2, 1, &[0; 16], &attributes, Shared(b"s"));
        match decode(&bytes, 1, &[0; 16], &mut Shared(b"s")) {
            Ok(Reply::Accept(attributes)) => attributes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_are_what_the_list_names() {
        let attributes = accepted(&[
            (11, b"ops"),
            (25, b"\x01\xff opaque"),
            (25, b"ou=night shift"),
            (6, &[0, 0, 0, 6]),
            (26, b"\0\0\x01\x3e\x01\x06\0\0\0\x02"),
            (26, b"\0\0\0\x09\x01\x13shell:priv-lvl=15"),
        ]);
        let words = |list: &str| of(&parse(list).expect("a list"), &attributes);
        assert_eq!(words(DEFAULT), ["ops", "ou=night shift"], "bytes are no word");
        assert_eq!(words("Service-Type,26.318.1"), ["Service-Type=6", "26.318.1=2"]);
        assert_eq!(words("26.9.1"), ["shell:priv-lvl=15"]);
        assert_eq!(words("Callback-Id, 26.9.2"), [""; 0]);
    }

    #[test]
    fn a_wrong_list_is_said() {
        for wrong in ["", "Filter-Id,", "filter-id", "26.318", "26.x.1", "26.1.256", "18"] {
            let error = parse(wrong).expect_err(wrong);
            assert!(error.contains("Filter-Id"), "{error}");
        }
        assert!(parse(&["Class"; 17].join(",")).is_err());
    }

    proptest! {
        #[test]
        fn any_list_is_read_or_refused(list in "\\PC{0,60}") {
            let _ = parse(&list);
        }
    }
}
