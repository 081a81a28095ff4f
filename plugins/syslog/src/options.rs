//! What the administrator can choose; `plugin.toml` has the schema. Pure.

use crate::message::{Facility, Sender};
use evenkeel_sdk::Settings;
use evenkeel_sdk::host::Config;

/// Every choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Who is said to be speaking.
    pub sender: Sender,
    /// A line feed behind each message of plain TCP, for old receivers.
    pub line_feeds: bool,
}

impl Options {
    /// Read the settings; what is not set keeps its default.
    ///
    /// # Errors
    /// A sentence for the administrator, who must change a setting.
    pub fn read<H: Config>(settings: &mut Settings<'_, H>) -> Result<Self, String> {
        let mut options = Self::default();
        let sender = &mut options.sender;
        if let Some(name) = settings.text("facility")? {
            sender.facility = Facility::parse(&name)
                .ok_or_else(|| format!("facility {name:?} is not one of {}", Facility::names()))?;
        }
        for (key, field) in [("hostname", &mut sender.hostname), ("app-name", &mut sender.app_name)]
        {
            if let Some(name) = settings.text(key)? {
                if !name.bytes().all(|b| b.is_ascii_graphic()) {
                    return Err(format!("{key} {name:?} must be visible ASCII without blanks"));
                }
                *field = name;
            }
        }
        sender.bom = !settings.switch("no-byte-order-mark")?;
        options.line_feeds = settings.switch("line-feeds")?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sdk::testkit::Bench;

    fn read(settings: &[(&str, &str)]) -> Result<Options, String> {
        Options::read(&mut Settings::of(&mut Bench::with_settings(settings)))
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        assert_eq!(read(&[]), Ok(Options::default()));
        let set = read(&[
            ("facility", "daemon"),
            ("hostname", "rack-7"),
            ("app-name", "ups"),
            ("no-byte-order-mark", "true"),
            ("line-feeds", "true"),
        ]);
        let sender = Sender {
            facility: Facility::parse("daemon").expect("known"),
            hostname: "rack-7".into(),
            app_name: "ups".into(),
            bom: false,
        };
        assert_eq!(set, Ok(Options { sender, line_feeds: true }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (key, value) in [
            ("facility", "LOCAL0"),
            ("hostname", "rack 7"),
            ("app-name", "é"),
            ("no-byte-order-mark", "yes"),
            ("line-feeds", "on"),
        ] {
            let error = read(&[(key, value)]).expect_err(key);
            assert!(error.contains(key), "{error}");
        }
    }
}
