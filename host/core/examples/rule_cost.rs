//! What one evaluation of 1,000 rules costs on this machine: `cargo xtask
//! bench` runs it. The rules are mixed as people mix them: comparisons with
//! hysteresis, words, timers, latches, and rules that read rules.

use evenkeel_core::events::Severity;
use evenkeel_core::rules::{Machine, Moment, Program, RULES_MAX, Reading, Rule, Unknown};
use evenkeel_core::time::Nanos;
use std::time::Instant;

/// Evaluations that are measured.
const ROUNDS: u32 = 2_000;

fn main() {
    let rule = |n: usize| {
        let block = n % 512 + 1;
        let when = match n % 4 {
            0 => format!("string.1.block.{block}.voltage > 14.4 V hyst 0.2"),
            1 => format!(
                "ton(string.1.block.{block}.temperature > 40 hyst 3, 60 s) and not rule.r{}",
                n - 1
            ),
            2 => format!(
                "sr(rule.r{}, string.1.block.{block}.voltage < 13) or ups.0.ups.status has 'OB'",
                n - 1
            ),
            _ => format!(
                "ctu(rise(rule.r{}), rule.r{}, 5) xor tof(rule.r{}, 10 s)",
                n - 1,
                n - 2,
                n - 3
            ),
        };
        let (name, text) = (format!("r{n}"), String::new());
        let (unknown, severity, event) = (Unknown::Hold, Severity::Warning, true);
        Rule { name, when, unknown, severity, text, event }
    };
    let rules: Vec<Rule> = (0..RULES_MAX).map(rule).collect();
    let begun = Instant::now();
    let program = Program::compile(&rules).expect("good rules");
    let compiled = begun.elapsed();
    let names: Vec<String> = program.inputs().iter().map(ToString::to_string).collect();
    let mut machine = Machine::new(program);
    let (mut edges, mut worst) = (Vec::new(), 0);
    let mut all = Vec::with_capacity(ROUNDS as usize);
    for round in 0..ROUNDS {
        let wave = f64::from(round % 100) / 25.0;
        let reading = |name: &String| match name.as_str() {
            "ups.0.ups.status" => Reading::Text("OL CHRG"),
            name if name.ends_with("voltage") => Reading::Number(12.0 + wave),
            _ => Reading::Number(30.0 + 5.0 * wave),
        };
        let readings: Vec<Reading<'_>> = names.iter().map(reading).collect();
        let now = Nanos::from_millis(500 * u64::from(round));
        edges.clear();
        let begun = Instant::now();
        machine.step(&readings, Moment { now, local: None }, &mut edges);
        let took = begun.elapsed().as_nanos();
        worst = took.max(worst);
        all.push(took);
    }
    all.sort_unstable();
    let median = all[all.len() / 2];
    println!(
        "{RULES_MAX} rules over {} points: compiled in {} µs, evaluated in {:.1} µs (median), {:.1} µs (worst of {ROUNDS}): {:.4} % of a core at two a second",
        names.len(),
        compiled.as_micros(),
        median as f64 / 1e3,
        worst as f64 / 1e3,
        median as f64 * 2.0 / 1e7,
    );
}
