//! The tables of the README, made from the map: what a person reads there is
//! what the server does.

use crate::table::{Bits, COILS, INPUTS, SECTIONS};
use crate::value::UPS_BITS;
use std::fmt::Write as _;

/// All tables, as Markdown.
#[must_use]
pub fn tables() -> String {
    let mut text = String::new();
    for section in SECTIONS {
        let (base, stride) = (section.base, section.stride);
        let last = base + (section.entries - 1) * stride;
        let place = match section.entries {
            1 => format!("from {base}"),
            _ => format!("from {base} + {stride}·(n−1), the last from {last}"),
        };
        line(&mut text, &format!("\n### {}: {place}\n", section.title));
        line(&mut text, "| offset | type | point | meaning |\n|---|---|---|---|");
        for row in section.rows {
            let (point, kind) = (cell(row.point), row.kind.title());
            line(&mut text, &format!("| {} | {kind} | {point} | {} |", row.offset, row.meaning));
        }
    }
    line(&mut text, "\n### Bits of the UPS status\n");
    let bits = UPS_BITS.iter().enumerate();
    let bits: Vec<String> = bits.map(|(at, word)| format!("{at} {word}")).collect();
    line(&mut text, &bits.join(", "));
    line(&mut text, "\n### Discrete inputs\n");
    line(&mut text, "| address | point | 1 means |\n|---|---|---|");
    INPUTS.iter().for_each(|bits| bit_row(&mut text, bits, ""));
    line(&mut text, "\n### Coils\n");
    line(&mut text, "| address | point | meaning | commands |\n|---|---|---|---|");
    for coils in COILS {
        let off = coils.off.map(|off| format!(", `{off}`")).unwrap_or_default();
        bit_row(&mut text, &coils.bits, &format!(" `{}`{off} |", coils.on.0));
    }
    text
}

fn bit_row(text: &mut String, bits: &Bits, more: &str) {
    let (first, last) = (bits.base, bits.base + bits.entries - 1);
    let place = if first == last { first.to_string() } else { format!("{first}–{last}") };
    line(text, &format!("| {place} | {} | {} |{more}", cell(bits.point), bits.meaning));
}

fn cell(point: &str) -> String {
    if point.is_empty() { String::new() } else { format!("`{point}`") }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- map -->\n";
    const END: &str = "<!-- end of map -->";

    /// The map is a contract: what moves here breaks somebody's building.
    #[test]
    fn the_manual_shows_the_map() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let manual = std::fs::read_to_string(path).expect("a manual");
        let (before, rest) = manual.split_once(BEGIN).expect("a beginning");
        let (_, after) = rest.split_once(END).expect("an end");
        let wanted = format!("{before}{BEGIN}{}{END}{after}", tables());
        if std::env::var_os("EVENKEEL_REGENERATE").is_some() {
            std::fs::write(path, &wanted).expect("written");
        }
        assert!(
            manual == wanted,
            "README.md is old; run this test with EVENKEEL_REGENERATE=1 and review it"
        );
    }
}
