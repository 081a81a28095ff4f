//! The plugin's settings with their types. The host has checked them against
//! the schema in the manifest; what is checked here is what a schema cannot say.

use std::ops::RangeInclusive;

use crate::host::{Config, Setting};
use crate::table::plain_decimal;

/// Settings, read one by one.
pub struct Settings<'a, H>(&'a mut H);

impl<'a, H: Config> Settings<'a, H> {
    /// The settings of this plugin.
    #[must_use]
    pub const fn of(host: &'a mut H) -> Self {
        Self(host)
    }

    /// A switch; absent means off.
    ///
    /// # Errors
    /// A sentence, when the value is neither `true` nor `false`.
    pub fn switch(&mut self, name: &str) -> Result<bool, String> {
        match self.0.setting(name) {
            None => Ok(false),
            Some(Setting::Flag(flag)) => Ok(flag),
            Some(Setting::Text(text)) if text == "true" => Ok(true),
            Some(Setting::Text(text)) if text == "false" => Ok(false),
            Some(_) => Err(format!("setting {name} is neither true nor false")),
        }
    }

    /// A number within `range`; absent gives `None`. `meaning` says for people
    /// what is allowed: `a multiplier from 0.5 to 120`.
    ///
    /// # Errors
    /// A sentence, when the value is no number or out of range.
    pub fn number(
        &mut self,
        name: &str,
        range: RangeInclusive<f64>,
        meaning: &str,
    ) -> Result<Option<f64>, String> {
        let number = match self.0.setting(name) {
            None => return Ok(None),
            Some(Setting::Number(number)) => Some(number),
            Some(Setting::Text(text)) => plain_decimal(text.as_bytes()),
            Some(Setting::Flag(_)) => None,
        };
        match number.filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("setting {name} is not {meaning}")),
        }
    }

    /// A text; absent gives `None`.
    ///
    /// # Errors
    /// A sentence, when the value is a number or a switch.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.0.setting(name) {
            None => Ok(None),
            Some(Setting::Text(text)) => Ok(Some(text)),
            Some(_) => Err(format!("setting {name} is not a text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::Bench;

    #[test]
    fn settings_have_types() {
        let mut bench = Bench::with_settings(&[("quiet", "true"), ("packs", "12"), ("name", "A")]);
        let mut settings = Settings::of(&mut bench);
        assert_eq!(settings.switch("quiet"), Ok(true));
        assert_eq!(settings.switch("loud"), Ok(false));
        assert_eq!(settings.number("packs", 0.5..=120.0, "0.5 to 120"), Ok(Some(12.0)));
        assert_eq!(settings.number("cells", 0.5..=120.0, "0.5 to 120"), Ok(None));
        assert_eq!(settings.text("name"), Ok(Some("A".into())));
    }

    #[test]
    fn mistakes_are_named() {
        let mut bench = Bench::with_settings(&[("quiet", "yes")]);
        assert!(Settings::of(&mut bench).switch("quiet").unwrap_err().contains("quiet"));
        assert!(Settings::of(&mut bench).number("quiet", 0.0..=1.0, "0 to 1").is_err());
        for text in ["121", "0.4", "-1", "1e1", "NaN", "inf", "1.2.3", "."] {
            let mut bench = Bench::with_settings(&[("packs", text)]);
            let taken = Settings::of(&mut bench).number("packs", 0.5..=120.0, "0.5 to 120");
            assert!(taken.is_err(), "{text:?} passed");
        }
    }
}
