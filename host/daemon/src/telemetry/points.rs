//! Points as metrics: `string.2.block.17.voltage` in V becomes
//! `evenkeel_block_voltage_volts{string="2",block="17"}`.
//!
//! The rule: the words of the name become the family's name, its numbers
//! become labels — the number of a string, block, device, bus or UPS under that
//! word, any other under `index`. Units are those of OpenMetrics: a ratio for
//! %, ohms for mΩ. Yes is 1 and no is 0; of words only a `status` of the
//! appliance's own is a number: 0 ok, 1 notice, 2 warning, 3 alarm.

use super::text::Page;
use evenkeel_core::points::{Point, Quality, Unit, Value, battery, names};

/// Add a point that can be used and is a number.
pub fn add(page: &mut Page, name: &str, point: &Point) {
    // A counter of the guard's own family has this one.
    let counted = name == "guard.deadline-misses";
    if counted || matches!(point.quality, Quality::Stale | Quality::Bad) {
        return;
    }
    let own = battery::variable(name);
    let number = match &point.value {
        Value::Number(number) => *number,
        Value::Flag(flag) => f64::from(u8::from(*flag)),
        Value::Text(word) if own.is_some_and(|row| row.name == "status") => {
            let known = ["ok", "notice", "warning", "alarm"];
            let Some(rank) = known.iter().position(|known| known == word) else { return };
            rank as f64
        }
        Value::Text(_) => return,
    };
    let (unit, scale) = unit(point.unit);
    let (family, labels) = family(name);
    let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let help = own.map(|row| row.meaning).or_else(|| ups_meaning(name));
    page.gauge(&family, unit, help.unwrap_or("a point of a plugin"), &labels, number * scale);
}

/// Name of the family without its unit, and the labels.
fn family(name: &str) -> (String, Vec<(String, String)>) {
    let mut words: Vec<&str> = Vec::new();
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut before = "";
    for part in name.split('.') {
        if part.parse::<u16>().is_ok() {
            // The root's number, and a block's, are told by their own words.
            let own = (words.len() == 1 || before == "block")
                && before.starts_with(|first: char| first.is_ascii_alphabetic());
            let label = if own { before.replace('-', "_") } else { "index".to_owned() };
            let again = labels.iter().filter(|(name, _)| *name == label).count();
            let label = if again == 0 { label } else { format!("{label}{}", labels.len()) };
            labels.push((label, part.to_owned()));
        } else {
            words.push(part);
        }
        before = part;
    }
    if words.first() == Some(&"string") && words.get(1) == Some(&"block") {
        words.remove(0);
    }
    let mut family = format!("evenkeel_{}", words.join("_").replace('-', "_"));
    // These endings mean something to the reader of the page.
    let taken = ["_total", "_info", "_count", "_sum", "_bucket", "_created"];
    if taken.iter().any(|ending| family.ends_with(ending)) {
        family.push_str("_value");
    }
    (family, labels)
}

/// The unit's word, and what a number in the point's unit is multiplied by.
const fn unit(unit: Unit) -> (&'static str, f64) {
    match unit {
        Unit::None => ("", 1.0),
        Unit::Volt => ("volts", 1.0),
        Unit::Ampere => ("amperes", 1.0),
        Unit::Hertz => ("hertz", 1.0),
        Unit::Percent => ("ratio", 0.01),
        Unit::Celsius => ("celsius", 1.0),
        Unit::Second => ("seconds", 1.0),
        Unit::Watt => ("watts", 1.0),
        Unit::VoltAmpere => ("volt_amperes", 1.0),
        Unit::AmpereHour => ("ampere_hours", 1.0),
        Unit::Milliohm => ("ohms", 1e-3),
        Unit::Year => ("years", 1.0),
    }
}

fn ups_meaning(name: &str) -> Option<&'static str> {
    let below = name.splitn(3, '.').nth(2)?;
    names::UPS.iter().find(|row| row.name == below).map(|row| row.meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::time::Nanos;

    fn shown(name: &str, value: Value, unit: Unit, quality: Quality) -> String {
        let mut page = Page::default();
        add(&mut page, name, &Point { value, unit, quality, at: Nanos(0) });
        let text = page.finish();
        let mut samples = text.lines().filter(|line| !line.starts_with('#'));
        let of_a_point = |line: &&str| !line.starts_with("evenkeel_scrape");
        samples.find(of_a_point).unwrap_or("nothing").to_owned()
    }

    #[test]
    fn words_name_the_family_and_numbers_are_labels() {
        let number = |name: &str, unit| shown(name, Value::Number(50.0), unit, Quality::Good);
        for (name, unit, line) in [
            (
                "string.2.block.17.resistance",
                Unit::Milliohm,
                "evenkeel_block_resistance_ohms{block=\"17\",string=\"2\"} 0.05",
            ),
            ("string.2.charge", Unit::Percent, "evenkeel_string_charge_ratio{string=\"2\"} 0.5"),
            ("ups.0.ups.load", Unit::Percent, "evenkeel_ups_ups_load_ratio{ups=\"0\"} 0.5"),
            (
                "ups.0.input.l1-n.voltage",
                Unit::Volt,
                "evenkeel_ups_input_l1_n_voltage_volts{ups=\"0\"} 50",
            ),
            (
                "device.1.output.4.commanded",
                Unit::None,
                "evenkeel_device_output_commanded{device=\"1\",index=\"4\"} 50",
            ),
            ("guard.x", Unit::None, "evenkeel_guard_x 50"),
            (
                "a.1.b.2.c.3.total",
                Unit::None,
                "evenkeel_a_b_c_total_value{a=\"1\",index=\"2\",index2=\"3\"} 50",
            ),
        ] {
            assert_eq!(number(name, unit), line);
        }
    }

    #[test]
    fn only_what_is_worth_something_is_told() {
        let left_out = "nothing";
        let word = |word: &str| Value::Text(word.to_owned());
        for (name, value, quality, line) in [
            ("guard.buzzer", Value::Flag(true), Quality::Good, "evenkeel_guard_buzzer 1"),
            ("guard.buzzer", Value::Flag(true), Quality::Stale, left_out),
            ("ups.0.a", Value::Number(1.0), Quality::Bad, left_out),
            ("ups.0.a", Value::Number(1.0), Quality::Estimated, "evenkeel_ups_a{ups=\"0\"} 1"),
            (
                "string.1.status",
                word("alarm"),
                Quality::Good,
                "evenkeel_string_status{string=\"1\"} 3",
            ),
            ("ups.0.ups.status", word("OL"), Quality::Good, left_out),
            ("guard.deadline-misses", Value::Number(1.0), Quality::Good, left_out),
        ] {
            assert_eq!(shown(name, value, Unit::None, quality), line, "{name}");
        }
    }
}
