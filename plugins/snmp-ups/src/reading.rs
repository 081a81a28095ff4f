//! From an agent's values to points. Pure: every quirk of real cards that is a
//! matter of numbers is settled here (facts/snmp.md §2.2).

use evenkeel_sdk::host::SnmpValue;
use evenkeel_sdk::{Quality, Update, Value};

use crate::mib::{Alarms, Column, Flag, Meaning, Object, Scale};

/// Raw values that devices send for "unknown".
const UNKNOWN: [f64; 4] = [-1.0, 65_535.0, 2_147_483_647.0, 4_294_967_295.0];

/// What a poll has found.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    updates: Vec<Update>,
    flags: Vec<Flag>,
    alarms: Vec<String>,
}

impl Reading {
    /// Take the value of a scalar. One that is absent now and was there before
    /// becomes bad.
    pub(crate) fn take(&mut self, object: &Object, value: &SnmpValue) {
        match object.meaning {
            Meaning::Text => self.text(object.points, text(value)),
            Meaning::Word(words) => {
                let known = whole(value).and_then(|raw| find(words, raw).copied());
                self.text(object.points, known.map(str::to_owned));
            }
            Meaning::Status(words) => {
                let flags = whole(value).and_then(|raw| find(words, raw));
                self.flags.extend(flags.copied().unwrap_or_default());
            }
            Meaning::Number(scale) => {
                for point in object.points {
                    self.number(point.to_string(), scale, value);
                }
            }
            Meaning::Duration(seconds) => {
                let by = if matches!(value, SnmpValue::Ticks(_)) { 0.01 } else { seconds };
                let scale = Scale::new("s", by, (0.0, 1e8));
                for point in object.points {
                    self.number(point.to_string(), scale, value);
                }
            }
            Meaning::Countdown => {
                for point in object.points {
                    let left = raw(value).filter(|left| (-1.0..=1e8).contains(left));
                    self.measured(point.to_string(), "s", left.map(|left| (left, Quality::Good)));
                }
            }
        }
    }

    /// Take a cell of a table of phases: that of the `phase`th of `count`.
    pub(crate) fn take_phase(
        &mut self,
        column: &Column,
        phase: usize,
        count: usize,
        value: &SnmpValue,
    ) {
        let name = match (count, column.several, phase) {
            (1, ..) | (_, "", 1) => column.single.to_owned(),
            (_, "", _) => return,
            (_, several, _) => several.replace('#', &phase.to_string()),
        };
        self.number(name, column.scale, value);
    }

    /// How many phases a table has.
    pub(crate) fn count(&mut self, name: &'static str, count: usize) {
        self.measured(name.to_owned(), "", Some((count as f64, Quality::Good)));
    }

    /// Take a row of the table of alarms. True when it says that the card has
    /// lost its UPS: then all other values are old.
    pub(crate) fn take_alarm(&mut self, alarms: &Alarms, base: &[u32], named: &SnmpValue) -> bool {
        let SnmpValue::Oid(oid) = named else { return false };
        let number = oid.strip_prefix(base).and_then(|rest| rest.strip_prefix(alarms.names));
        let number = match number {
            Some([number] | [number, 0]) => Some(*number),
            _ => None,
        };
        match number.and_then(|n| alarms.known.iter().find(|alarm| alarm.number == n)) {
            Some(alarm) => {
                self.flags.extend(alarm.flag);
                if !alarm.text.is_empty() {
                    self.alarms.push(alarm.text.to_owned());
                }
            }
            None => {
                let dotted: Vec<_> = oid.iter().take(20).map(u32::to_string).collect();
                self.alarms.push(format!("alarm {}", dotted.join(".")));
            }
        }
        number == Some(alarms.unit_lost)
    }

    /// The points, with `ups.status` and `ups.alarm` from all that was taken.
    pub(crate) fn finish(mut self) -> Vec<Update> {
        let status = status(&mut self.flags, !self.alarms.is_empty());
        self.updates.push(Update::text("ups.status", status));
        let mut alarm = self.alarms.join("; ");
        if alarm.len() > 250 {
            // The host takes 256 bytes; texts of alarms are ASCII.
            alarm.truncate(247);
            alarm.push_str("...");
        }
        self.updates.push(Update::text("ups.alarm", alarm));
        self.updates
    }

    /// The points alone, for values that never change.
    pub(crate) fn finish_constants(self) -> Vec<Update> {
        self.updates
    }

    fn text(&mut self, points: &[&'static str], text: Option<String>) {
        for point in points {
            let quality = if text.is_some() { Quality::Good } else { Quality::Bad };
            let text = text.clone().unwrap_or_default();
            self.put(Update { quality, ..Update::text(point, text) });
        }
    }

    fn number(&mut self, name: String, scale: Scale, value: &SnmpValue) {
        let known = raw(value).filter(|raw| !UNKNOWN.contains(raw));
        self.measured(name, scale.unit, known.and_then(|raw| scaled(raw, scale)));
    }

    fn measured(&mut self, name: String, unit: &'static str, number: Option<(f64, Quality)>) {
        let (number, quality) = number.unwrap_or((0.0, Quality::Bad));
        self.put(Update { name: name.into(), value: Value::Number(number), unit, quality });
    }

    /// A later value of the same point counts, unless it is a bad one.
    fn put(&mut self, update: Update) {
        match self.updates.iter_mut().find(|known| known.name == update.name) {
            Some(known) if update.quality != Quality::Bad => *known = update,
            Some(_) => {}
            None => self.updates.push(update),
        }
    }
}

/// The words of `ups.status`: exactly one that tells where the power comes
/// from, unless nobody says.
fn status(flags: &mut Vec<Flag>, alarm: bool) -> String {
    flags.sort_unstable();
    flags.dedup();
    if flags.contains(&Flag::OnBattery) {
        flags.retain(|flag| *flag != Flag::OnLine);
    }
    let words = alarm.then_some("ALARM").into_iter().chain(flags.iter().map(|flag| flag.word()));
    words.collect::<Vec<_>>().join(" ")
}

fn find<T>(table: &[(i64, T)], code: i64) -> Option<&T> {
    table.iter().find(|(known, _)| *known == code).map(|(_, means)| means)
}

/// A number in any of the types that devices use for one.
fn raw(value: &SnmpValue) -> Option<f64> {
    match value {
        SnmpValue::Octets(bytes) => {
            let text = std::str::from_utf8(bytes).ok()?.trim_matches(|c| c == ' ' || c == '\0');
            let plain =
                !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-'));
            text.parse().ok().filter(|_| plain)
        }
        value => value.number(),
    }
}

fn whole(value: &SnmpValue) -> Option<i64> {
    raw(value).filter(|raw| raw.fract() == 0.0).map(|raw| raw as i64)
}

/// The number in its unit, without the noise of binary fractions.
fn scaled(raw: f64, scale: Scale) -> Option<(f64, Quality)> {
    let (low, high) = scale.range;
    let number = rounded(raw * scale.by);
    if (low..=high).contains(&number) {
        return Some((number, Quality::Good));
    }
    let tenth = rounded(number / 10.0);
    (scale.or_tenths && (low..=high).contains(&tenth)).then_some((tenth, Quality::Estimated))
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// What people can read of a text.
fn text(value: &SnmpValue) -> Option<String> {
    let SnmpValue::Octets(bytes) = value else { return None };
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| matches!(c, ' '..='~'))
        .take(120)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mib::{CELSIUS, DECIAMPERES, VOLTS, number};

    fn one(object: &Object, value: SnmpValue) -> (Value, Quality) {
        let mut reading = Reading::default();
        reading.take(object, &value);
        let [update] = &reading.finish_constants()[..] else { panic!("one point") };
        (update.value.clone(), update.quality)
    }

    #[test]
    fn numbers_come_in_many_types_and_unknown_ones_are_bad() {
        let amperes = number(&[2, 6], &["battery.current"], DECIAMPERES);
        for (value, wanted) in [
            (SnmpValue::Integer(-12), Some(-1.2)),
            (SnmpValue::Unsigned(12), Some(1.2)),
            (SnmpValue::Octets(b"12".to_vec()), Some(1.2)),
            (SnmpValue::Octets(b" 12\0".to_vec()), Some(1.2)),
            (SnmpValue::Octets(b"inf".to_vec()), None),
            (SnmpValue::Octets(b"1e9".to_vec()), None),
            (SnmpValue::Octets(Vec::new()), None),
            (SnmpValue::Integer(-1), None),
            (SnmpValue::Integer(0xffff), None),
            (SnmpValue::Unsigned(u64::MAX), None),
            (SnmpValue::Absent, None),
        ] {
            let (found, quality) = one(&amperes, value.clone());
            let found = (quality == Quality::Good).then_some(found);
            assert_eq!(found, wanted.map(Value::Number), "{value:?}");
        }
    }

    #[test]
    fn tenths_are_seen_by_what_is_plausible() {
        let volts = number(&[9, 1], &["input.voltage.nominal"], VOLTS);
        assert_eq!(one(&volts, SnmpValue::Integer(230)), (Value::Number(230.0), Quality::Good));
        let tenths = (Value::Number(230.5), Quality::Estimated);
        assert_eq!(one(&volts, SnmpValue::Integer(2_305)), tenths);
        let warm = number(&[2, 7], &["battery.temperature"], CELSIUS);
        assert_eq!(one(&warm, SnmpValue::Integer(243)).0, Value::Number(24.3));
    }

    #[test]
    fn a_duration_in_ticks_is_what_it_says() {
        let left = crate::mib::duration(&[2, 3], &["battery.runtime"], 60.0);
        assert_eq!(one(&left, SnmpValue::Integer(42)).0, Value::Number(2_520.0));
        assert_eq!(one(&left, SnmpValue::Ticks(252_000)).0, Value::Number(2_520.0));
    }

    #[test]
    fn the_status_has_one_source_of_power() {
        let words = |mut flags: Vec<Flag>, alarm| status(&mut flags, alarm);
        assert_eq!(
            words(vec![Flag::LowBattery, Flag::OnBattery, Flag::OnBattery], true),
            "ALARM OB LB"
        );
        assert_eq!(words(vec![Flag::OnLine, Flag::OnBattery], false), "OB");
        assert_eq!(words(vec![], false), "");
    }

    #[test]
    fn an_alarm_that_nobody_knows_is_shown_by_its_number() {
        let Some(alarms) = &crate::rfc1628::RFC1628.alarms else { panic!("a table") };
        let mut reading = Reading::default();
        let name = |n: u32| SnmpValue::Oid(vec![1, 3, 6, 1, 2, 1, 33, 1, 6, 3, n]);
        let base = crate::rfc1628::RFC1628.base;
        assert!(!reading.take_alarm(alarms, base, &name(8)));
        assert!(!reading.take_alarm(alarms, base, &name(148)));
        assert!(reading.take_alarm(alarms, base, &name(20)));
        let updates = reading.finish();
        let shown = "overload; alarm 1.3.6.1.2.1.33.1.6.3.148; the card has lost its UPS";
        assert_eq!(
            updates,
            [Update::text("ups.status", "ALARM OVER"), Update::text("ups.alarm", shown)]
        );
    }
}
