//! What a job does, in words.

use super::{Lang, Words};
use evenkeel_core::command::Tone;
use evenkeel_core::jobs::Action;
use fluent_bundle::{FluentArgs, FluentValue};

/// Of an action.
pub fn action(words: &Words, lang: Lang, action: &Action) -> String {
    let (name, values) = message_of(action);
    let mut args = FluentArgs::new();
    values.into_iter().for_each(|(name, value)| args.set(name, value));
    words.message(lang, name, &args)
}

type Values<'a> = Vec<(&'static str, FluentValue<'a>)>;

fn message_of(action: &Action) -> (&'static str, Values<'_>) {
    let text = |text: &str| FluentValue::from(text.to_owned());
    match action {
        Action::Log { text: said, .. } => ("action-log", vec![("text", text(said))]),
        Action::Output { device, output, on } => (
            if *on { "action-output-on" } else { "action-output-off" },
            vec![("device", (*device).into()), ("output", (*output).into())],
        ),
        Action::AlarmRelay { healthy: true } => ("action-relay-up", vec![]),
        Action::AlarmRelay { healthy: false } => ("action-relay-down", vec![]),
        Action::Mute {} => ("action-mute", vec![]),
        Action::Signal { seconds: 0, .. } => ("action-signal-end", vec![]),
        Action::Signal { tone: Tone::Silent, seconds, .. } => {
            ("action-signal-lamp", vec![("seconds", (*seconds).into())])
        }
        Action::Signal { seconds, .. } => ("action-signal", vec![("seconds", (*seconds).into())]),
        Action::Lamp { bus, address, .. } => {
            ("action-lamp", vec![("bus", (*bus).into()), ("address", (*address).into())])
        }
        Action::Command { target, command, value } => {
            let value = value.iter().map(|value| format!(" {value}")).collect::<String>();
            let command = format!("{command}{value}");
            ("action-command", vec![("target", text(target)), ("command", text(&command))])
        }
        Action::Notify { plugin, .. } => ("action-notify", vec![("plugin", text(plugin))]),
        Action::Webhook { to, .. } => ("action-webhook", vec![("to", text(to))]),
        Action::WakeOnLan { mac, to, .. } => (
            "action-wake-on-lan",
            vec![("mac", text(&mac.to_string())), ("to", text(&to.to_string()))],
        ),
        Action::Sequence { sequence } => ("action-sequence", vec![("sequence", text(sequence))]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::words;
    use super::*;

    #[test]
    fn an_action_is_said_in_the_language_of_the_page() {
        let command = Action::Command {
            target: "ups.0".into(),
            command: "load.off.delay".into(),
            value: Some("120".into()),
        };
        let off = Action::Output { device: 3, output: 2, on: false };
        // What English says is what the log says.
        for one in [&command, &off, &Action::Mute {}, &Action::AlarmRelay { healthy: false }] {
            assert_eq!(action(words(), Lang::En, one), one.to_string());
        }
        assert_eq!(action(words(), Lang::De, &off), "Ausgang 2 von Gerät 3 ausschalten");
        let said = action(words(), Lang::De, &command);
        assert_eq!(said, "ups.0 befehlen: load.off.delay 120");
    }
}
