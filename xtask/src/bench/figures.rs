//! Figures as they are measured: printed at once, and kept for a program.

use serde_json::{Value, json};

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
        println!("{name}: {value:.1} {unit}");
        self.rows.push(self.row(name, value, unit));
    }

    /// A figure that must not exceed `budget`.
    pub fn within(&mut self, name: &str, value: f64, unit: &str, budget: f64) {
        let kept = value <= budget;
        let verdict = if kept { "kept" } else { "MISSED" };
        println!("{name}: {value:.1} {unit} (budget {budget} {unit}: {verdict})");
        let mut row = self.row(name, value, unit);
        row["budget"] = json!(budget);
        row["kept"] = json!(kept);
        self.rows.push(row);
    }

    /// Lines `name: value unit`, as our measuring programs print them; of
    /// others nothing is taken.
    pub fn take(&mut self, of: &str, text: &str, budgets: &[(&str, f64)]) {
        for line in text.lines() {
            let figure = line.rsplit_once(": ").and_then(|(name, rest)| {
                let (value, unit) = rest.split_once(' ')?;
                Some((name, value.parse::<f64>().ok()?, unit))
            });
            let Some((name, value, unit)) = figure else { continue };
            let full = format!("{of}, {name}");
            match budgets.iter().find(|(budgeted, _)| *budgeted == name) {
                Some((_, budget)) => self.within(&full, value, unit, *budget),
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
    }
}
