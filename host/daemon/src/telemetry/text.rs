//! OpenMetrics 1.0 text: families of samples, each family in one piece.
//!
//! A family has a name that ends in its unit, a type, a unit and a help text;
//! a sample is told from the others of its family by its labels. Names must
//! not clash; what would clash is left out, as the whole page is refused
//! otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most samples of a page. 512 blocks have about 8,000.
pub const SAMPLES_MAX: usize = 60_000;
/// What the page is, for the HTTP header.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Longest label value, characters.
const LABEL_MAX: usize = 200;

/// A page in the making.
#[derive(Debug, Default)]
pub struct Page {
    families: BTreeMap<String, Family>,
    samples: usize,
    dropped: usize,
}

#[derive(Debug)]
struct Family {
    kind: &'static str,
    unit: &'static str,
    help: String,
    /// Value by labels as they are written.
    samples: BTreeMap<String, f64>,
}

impl Page {
    /// A value that goes up and down. `unit` is a word that `name` does not
    /// have yet, or empty. What is not finite is left out.
    pub fn gauge(
        &mut self,
        name: &str,
        unit: &'static str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.add("gauge", name, unit, help, labels, value);
    }

    /// A value that counts up.
    pub fn counter(
        &mut self,
        name: &str,
        unit: &'static str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.add("counter", name, unit, help, labels, value);
    }

    /// Words, as labels.
    pub fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        self.add("info", name, "", help, labels, 1.0);
    }

    fn add(
        &mut self,
        kind: &'static str,
        name: &str,
        unit: &'static str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        if !value.is_finite() {
            return;
        }
        let name = if unit.is_empty() { name.to_owned() } else { format!("{name}_{unit}") };
        let new = || Family { kind, unit, help: help.to_owned(), samples: BTreeMap::new() };
        let family = self.families.entry(name).or_insert_with(new);
        let labels = written(labels);
        let clash = family.kind != kind || family.unit != unit;
        if clash || self.samples >= SAMPLES_MAX {
            self.dropped += 1;
        } else if family.samples.insert(labels, value).is_none() {
            self.samples += 1;
        }
    }

    /// The page as text.
    #[must_use]
    pub fn finish(mut self) -> String {
        let dropped = self.dropped as f64;
        self.samples = 0;
        self.gauge("evenkeel_scrape_left_out", "", "samples that did not fit", &[], dropped);
        let mut text = String::new();
        for (name, family) in &self.families {
            let Family { kind, unit, help, samples } = family;
            if samples.is_empty() {
                continue;
            }
            let suffix = match *kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "# TYPE {name} {kind}");
            if !unit.is_empty() {
                let _ = writeln!(text, "# UNIT {name} {unit}");
            }
            let _ = writeln!(text, "# HELP {name} {}", escaped(help));
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{suffix}{labels} {value}");
            }
        }
        text.push_str("# EOF\n");
        text
    }
}

/// `{a="1",b="2"}`, in the order of their names; nothing without labels.
fn written(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    let pair = |(name, value): (&str, &str)| {
        let value: String = value.chars().take(LABEL_MAX).collect();
        format!("{name}=\"{}\"", escaped(&value))
    };
    let pairs: Vec<String> = labels.into_iter().map(pair).collect();
    format!("{{{}}}", pairs.join(","))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_in_one_piece() {
        let mut page = Page::default();
        page.gauge("b", "volts", "a \"b\"\n", &[("z", "1"), ("a", "x\\y\"\n")], 1.5);
        page.counter("a", "", "counts", &[], 3.0);
        page.gauge("b", "volts", "", &[("z", "2")], f64::NAN);
        page.gauge("b", "volts", "", &[("z", "2")], -1e-7);
        page.counter("b", "volts", "another type", &[], 1.0);
        let text = page.finish();
        let expected = concat!(
            "# TYPE a counter\n# HELP a counts\na_total 3\n",
            "# TYPE b_volts gauge\n# UNIT b_volts volts\n# HELP b_volts a \\\"b\\\"\\n\n",
            "b_volts{a=\"x\\\\y\\\"\\n\",z=\"1\"} 1.5\nb_volts{z=\"2\"} -0.0000001\n",
            "# TYPE evenkeel_scrape_left_out gauge\n",
            "# HELP evenkeel_scrape_left_out samples that did not fit\n",
            "evenkeel_scrape_left_out 1\n# EOF\n",
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_page_is_bounded() {
        let mut page = Page::default();
        for n in 0..SAMPLES_MAX + 10 {
            page.gauge("a", "", "", &[("n", &n.to_string())], 0.0);
        }
        let text = page.finish();
        assert!(text.contains("evenkeel_scrape_left_out 10\n"));
        assert_eq!(text.lines().filter(|line| line.starts_with("a{")).count(), SAMPLES_MAX);
    }
}
