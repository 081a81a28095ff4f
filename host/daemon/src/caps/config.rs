//! `evenkeel:config`: the plugin's settings, as its signed schema says.

use crate::plugin::bindings::config::config::{Host, Value};
use evenkeel_signing::SettingValue;
use std::collections::BTreeMap;

/// The interface.
pub const INTERFACE: &str = "evenkeel:config/config@0.1.0";

/// The settings of one plugin; checked, with the defaults filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config(BTreeMap<String, SettingValue>);

impl Config {
    /// These settings.
    #[must_use]
    pub const fn new(values: BTreeMap<String, SettingValue>) -> Self {
        Self(values)
    }
}

impl Host for Config {
    fn get(&mut self, name: String) -> Option<Value> {
        Some(match self.0.get(&name)? {
            SettingValue::Text(text) => Value::Text(text.clone()),
            SettingValue::Number(number) => Value::Number(*number),
            SettingValue::Flag(flag) => Value::Flag(*flag),
            // `evenkeel:crypto` computes with it; it is never read.
            SettingValue::Secret => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cannot_be_read() {
        let values = [
            ("host", SettingValue::Text("a".into())),
            ("period", SettingValue::Number(2.5)),
            ("quiet", SettingValue::Flag(true)),
            ("password", SettingValue::Secret),
        ];
        let mut config = Config::new(values.into_iter().map(|(n, v)| (n.to_owned(), v)).collect());
        assert!(matches!(config.get("host".into()), Some(Value::Text(t)) if t == "a"));
        assert!(matches!(config.get("period".into()), Some(Value::Number(n)) if n == 2.5));
        assert!(matches!(config.get("quiet".into()), Some(Value::Flag(true))));
        assert!(config.get("password".into()).is_none() && config.get("other".into()).is_none());
    }
}
