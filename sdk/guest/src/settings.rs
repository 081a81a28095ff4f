//! The plugin's settings as the administrator gave them. A setting that nobody
//! asked for is refused: it is most likely misspelt.

use std::ops::RangeInclusive;

use crate::table::plain_decimal;

/// Pairs of name and value, taken out one by one.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pairs: Vec<(String, String)>,
}

impl Settings {
    /// Settings from pairs of name and value.
    #[must_use]
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self { pairs }
    }

    /// Take a switch; absent means off.
    ///
    /// # Errors
    /// A sentence, when the value is neither `true` nor `false`.
    pub fn take_switch(&mut self, name: &str) -> Result<bool, String> {
        match self.take(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(format!("setting {name}: {other:?} is neither true nor false")),
        }
    }

    /// Take a decimal number within `range`; absent gives `None`. `meaning`
    /// says for people what is allowed: `a multiplier from 0.5 to 120`.
    ///
    /// # Errors
    /// A sentence, when the value is no number or out of range.
    pub fn take_number(
        &mut self,
        name: &str,
        range: RangeInclusive<f64>,
        meaning: &str,
    ) -> Result<Option<f64>, String> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        match plain_decimal(text.as_bytes()) {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(format!("setting {name}: {text:?} is not {meaning}")),
        }
    }

    /// Check that every setting was taken.
    ///
    /// # Errors
    /// A sentence that names the first one left.
    pub fn finish(self) -> Result<(), String> {
        match self.pairs.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!("there is no setting {name:?}; correct or remove it")),
        }
    }

    fn take(&mut self, name: &str) -> Result<Option<String>, String> {
        let Some(at) = self.pairs.iter().position(|(known, _)| known == name) else {
            return Ok(None);
        };
        let (_, value) = self.pairs.remove(at);
        if self.pairs.iter().any(|(known, _)| known == name) {
            return Err(format!("setting {name} is given twice; keep one"));
        }
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::new(pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect())
    }

    #[test]
    fn what_is_asked_for_is_taken() {
        let mut given = settings(&[("quiet", "true"), ("packs", "12")]);
        assert_eq!(given.take_switch("quiet"), Ok(true));
        assert_eq!(given.take_switch("loud"), Ok(false));
        assert_eq!(given.take_number("packs", 0.5..=120.0, "0.5 to 120"), Ok(Some(12.0)));
        assert_eq!(given.take_number("packs", 0.5..=120.0, "0.5 to 120"), Ok(None));
        assert_eq!(given.finish(), Ok(()));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(settings(&[("quiet", "yes")]).take_switch("quiet").unwrap_err().contains("quiet"));
        for text in ["121", "0.4", "-1", "1e1", "NaN", "inf", "1.2.3", ".", ""] {
            let taken =
                settings(&[("packs", text)]).take_number("packs", 0.5..=120.0, "0.5 to 120");
            assert!(taken.is_err(), "{text:?} passed");
        }
        assert!(settings(&[("quite", "true")]).finish().unwrap_err().contains("quite"));
        let mut twice = settings(&[("quiet", "true"), ("quiet", "false")]);
        assert!(twice.take_switch("quiet").unwrap_err().contains("twice"));
    }
}
