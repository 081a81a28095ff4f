//! Name and place of the site, as people call them: what a technician and a NOC
//! tell appliances apart by. A document like the other settings: kept with its
//! revisions, in the exported file, compared and restored there.

use crate::store::{Store, StoreError};
use evenkeel_core::settings::forms::Kind;
use serde::{Deserialize, Serialize};

/// Name of the document in the store.
pub const DOCUMENT: Kind = Kind::first("site");
/// Most characters of each.
pub const CHARS_MAX: usize = 80;

/// Where the appliance stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Site {
    /// What it is called: `Data centre north`. Empty: nobody named it.
    pub name: String,
    /// Where to find it: `Building 4, room 012`.
    pub place: String,
}

impl Site {
    /// It without spaces around.
    ///
    /// # Errors
    /// In words, when a text is too long or no text of one line.
    pub fn checked(self) -> Result<Self, String> {
        let Self { name, place } = self;
        let text = |what: &str, text: String| {
            let text = text.trim();
            if text.chars().count() > CHARS_MAX || text.chars().any(char::is_control) {
                return Err(format!("the {what} is one line of at most {CHARS_MAX} characters"));
            }
            Ok(text.to_owned())
        };
        Ok(Self { name: text("name", name)?, place: text("place", place)? })
    }

    /// As it is kept.
    #[must_use]
    pub fn text(&self) -> String {
        toml::to_string(self).expect("two plain texts")
    }
}

/// What somebody said before, if anybody did.
///
/// # Errors
/// When the store cannot be read.
pub fn kept(store: &Store) -> Result<Option<Site>, StoreError> {
    let kept = store.settings(&DOCUMENT)?.into_iter().next();
    let parse =
        |text: String| toml::from_str(&text).map_err(|_| StoreError::Record { what: "site" });
    kept.map(|revision| parse(revision.text)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever adds a name gives the document a second form, with a step back that
    /// takes it away (`evenkeel_core::settings::forms`).
    #[test]
    fn the_form_has_the_names_that_it_had() {
        let refused = toml::from_str::<Site>("'?' = 1").expect_err("`?` is no name");
        assert_eq!(refused.message(), "unknown field `?`, expected `name` or `place`");
    }

    #[test]
    fn texts_are_one_line_and_not_too_long() {
        let of = |name: &str| Site { name: name.into(), place: String::new() }.checked();
        assert_eq!(of(" Süd · 南 ").map(|site| site.name), Ok("Süd · 南".to_owned()));
        assert!(of(&"ü".repeat(CHARS_MAX)).is_ok() && of(&"ü".repeat(CHARS_MAX + 1)).is_err());
        assert!(of("a\nb").is_err() && of("a\u{7}b").is_err());
        let site = Site { name: "\"quoted\"".into(), place: "[4]".into() };
        assert_eq!(toml::from_str(&site.text()), Ok(site));
    }
}
