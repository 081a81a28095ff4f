//! Figures as they are measured: printed at once, and kept for a program.

use serde_json::{Value, json};

/// What a figure must keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// It is no more than this.
    Most(f64),
    /// It is no less than this.
    Least(f64),
}

/// All figures so far.
#[derive(Default)]
pub struct Figures {
    part: String,
    rows: Vec<Value>,
}

impl Figures {
    /// What follows belongs to this part.
    pub fn begin(&mut self, part: &str) {
        println!("── {part}");
        part.clone_into(&mut self.part);
    }

    /// A figure without a budget.
    pub fn add(&mut self, name: &str, value: f64, unit: &str) {
        println!("{name}: {} {unit}", written(value));
        self.rows.push(self.row(name, value, unit));
    }

    /// A figure that must not exceed `budget`.
    pub fn within(&mut self, name: &str, value: f64, unit: &str, budget: f64) {
        self.held(name, value, unit, Budget::Most(budget));
    }

    fn held(&mut self, name: &str, value: f64, unit: &str, budget: Budget) {
        let (field, sign, number, kept) = match budget {
            Budget::Most(most) => ("budget", "≤", most, value <= most),
            Budget::Least(least) => ("at_least", "≥", least, value >= least),
        };
        let verdict = if kept { "kept" } else { "MISSED" };
        let (value_text, budget_text) = (written(value), written(number));
        println!("{name}: {value_text} {unit} (budget {sign} {budget_text} {unit}: {verdict})");
        let mut row = self.row(name, value, unit);
        row[field] = json!(number);
        row["kept"] = json!(kept);
        self.rows.push(row);
    }

    /// Lines `name: value unit`, as our measuring programs print them; of
    /// others nothing is taken.
    pub fn take(&mut self, of: &str, text: &str, budgets: &[(&str, f64)]) {
        let budget = |name: &str| budgets.iter().find(|(budgeted, _)| *budgeted == name);
        self.judge(of, text, |name| budget(name).map(|(_, most)| Budget::Most(*most)));
    }

    /// The same, with what `budget` says about a name.
    pub fn judge(&mut self, of: &str, text: &str, budget: impl Fn(&str) -> Option<Budget>) {
        for line in text.lines() {
            let figure = line.rsplit_once(": ").and_then(|(name, rest)| {
                let (value, unit) = rest.split_once(' ')?;
                Some((name, value.parse::<f64>().ok()?, unit))
            });
            let Some((name, value, unit)) = figure else { continue };
            let full = format!("{of}, {name}");
            match budget(name) {
                Some(budget) => self.held(&full, value, unit, budget),
                None => self.add(&full, value, unit),
            }
        }
    }

    /// All of them, a JSON array.
    pub fn json(&self) -> String {
        format!("{:#}\n", Value::Array(self.rows.clone()))
    }

    fn row(&self, name: &str, value: f64, unit: &str) -> Value {
        json!({"part": self.part, "name": name, "value": value, "unit": unit})
    }
}

/// As exact as it matters.
fn written(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_figures_with_their_verdict() {
        let mut figures = Figures::default();
        figures.begin("plugins");
        figures.take(
            "megatec",
            "noise\nlink: 12 µs\ncold: all: 60000 µs\nx: y z\n",
            &[("cold: all", 5e4)],
        );
        let rows: Value = serde_json::from_str(&figures.json()).expect("JSON");
        assert_eq!(rows.as_array().map(Vec::len), Some(2));
        assert_eq!((&rows[0]["name"], &rows[0]["kept"]), (&json!("megatec, link"), &Value::Null));
        assert_eq!((&rows[1]["value"], &rows[1]["kept"]), (&json!(60_000.0), &json!(false)));
        assert_eq!(rows[1]["part"], "plugins");
        figures.judge("x", "days: 90 days\n", |_| Some(Budget::Least(94.0)));
        let rows: Value = serde_json::from_str(&figures.json()).expect("JSON");
        assert_eq!((&rows[2]["at_least"], &rows[2]["kept"]), (&json!(94.0), &json!(false)));
    }
}
