//! Numbers and units as each language writes them: decimal mark, grouping from
//! 10,000 on, and the space before a unit. Never used for programs: API, CSV
//! and logs have a point and no grouping (UX-081).

use super::Lang;

const NBSP: char = '\u{a0}';
const NARROW: char = '\u{202f}';

/// How a number is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Digits behind the decimal mark.
    pub digits: usize,
    /// A plus before what is not negative.
    pub sign: bool,
}

/// A number.
#[must_use]
pub fn plain(lang: Lang, value: f64, style: Style) -> String {
    if !value.is_finite() {
        return "\u{2013}".to_owned();
    }
    let text = format!("{:.*}", style.digits, value.abs());
    // What is rounded to nothing has no sign.
    let zero = text.bytes().all(|b| matches!(b, b'0' | b'.'));
    let sign = match (value < 0.0 && !zero, style.sign && !zero) {
        (true, _) => "\u{2212}",
        (false, true) => "+",
        (false, false) => "",
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (decimal, group) = marks(lang);
    let mut out = sign.to_owned();
    let grouped = whole.len() >= 5;
    for (at, digit) in whole.chars().enumerate() {
        if grouped && at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(group);
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push(decimal);
        out.push_str(fraction);
    }
    out
}

/// A number and its unit; `V/cell` and years are words and translated.
#[must_use]
pub fn with_unit(lang: Lang, value: f64, style: Style, unit: &str) -> String {
    let number = plain(lang, value, style);
    match unit {
        "" => number,
        "%" if !spaced_percent(lang) => format!("{number}%"),
        "%" if lang == Lang::Fr => format!("{number}{NARROW}%"),
        unit => format!("{number}{NBSP}{}", word(lang, unit)),
    }
}

/// A measured value with as many digits as its unit deserves.
#[must_use]
pub fn measured(lang: Lang, value: f64, unit: &str) -> String {
    let digits = match unit {
        "V/cell" => 3,
        "V" if value.abs() < 100.0 => 2,
        "V" | "A" | "°C" | "K" | "Hz" | "Ah" | "years" | "K/h" => 1,
        "mΩ" => 2,
        "s" | "W" | "VA" => 0,
        "%" => 1,
        _ if value == value.trunc() => 0,
        _ => 2,
    };
    // A whole percentage, hour or limit is written whole.
    let digits = if digits == 1 && value == value.trunc() { 0 } else { digits };
    match unit {
        "s" if value >= 60.0 => span(lang, value),
        unit => with_unit(lang, value, Style { digits, sign: false }, unit),
    }
}

/// A length of time: `10 min 5 s`.
#[must_use]
pub fn span(lang: Lang, seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0).round() as u64 } else { 0 };
    let [day, hour, minute, second] = symbols(lang);
    let parts = [
        (seconds / 86_400, day),
        (seconds / 3_600 % 24, hour),
        (seconds / 60 % 60, minute),
        (seconds % 60, second),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    // Two parts are exact enough.
    let shown = parts.iter().skip(first).take(2).enumerate();
    let shown = shown.filter(|(at, (count, _))| *at == 0 || *count > 0);
    let part = |(_, (count, unit)): (usize, &(u64, &str))| format!("{count}{NBSP}{unit}");
    shown.map(part).collect::<Vec<_>>().join(" ")
}

/// A length of time in seconds, as a field for seconds takes it.
#[must_use]
pub fn seconds(lang: Lang, seconds: f64) -> String {
    let digits = usize::from(seconds != seconds.trunc());
    with_unit(lang, seconds, Style { digits, sign: false }, "s")
}

/// Day, hour, minute and second; the symbols are international but for these.
const fn symbols(lang: Lang) -> [&'static str; 4] {
    match lang {
        Lang::Fr => ["j", "h", "min", "s"],
        Lang::It => ["g", "h", "min", "s"],
        Lang::Nl => ["d", "u", "min", "s"],
        Lang::Pl => ["d", "godz.", "min", "s"],
        Lang::ZhHans => ["天", "小时", "分钟", "秒"],
        Lang::ZhHant => ["天", "小時", "分鐘", "秒"],
        _ => ["d", "h", "min", "s"],
    }
}

/// Decimal mark and the mark between groups of three.
const fn marks(lang: Lang) -> (char, char) {
    match lang {
        Lang::En | Lang::ZhHans | Lang::ZhHant => ('.', ','),
        Lang::De | Lang::Es | Lang::It | Lang::PtBr | Lang::Nl => (',', '.'),
        Lang::Fr => (',', NARROW),
        Lang::Pl | Lang::Cs | Lang::Sk => (',', NBSP),
    }
}

/// What stands before the decimals.
#[must_use]
pub const fn decimal_mark(lang: Lang) -> char {
    marks(lang).0
}

const fn spaced_percent(lang: Lang) -> bool {
    matches!(lang, Lang::De | Lang::Fr | Lang::Es | Lang::Cs | Lang::Sk)
}

/// Units that are words.
const fn word(lang: Lang, unit: &str) -> &str {
    match (unit.as_bytes(), lang) {
        (b"V/cell", Lang::De) => "V/Zelle",
        (b"V/cell", Lang::Fr) => "V/élément",
        (b"V/cell", Lang::Es) => "V/celda",
        (b"V/cell", Lang::It) => "V/cella",
        (b"V/cell", Lang::PtBr) => "V/célula",
        (b"V/cell", Lang::Nl) => "V/cel",
        (b"V/cell", Lang::Pl) => "V/ogniwo",
        (b"V/cell", Lang::Cs) => "V/článek",
        (b"V/cell", Lang::Sk) => "V/článok",
        (b"V/cell", Lang::ZhHans) => "V/单体",
        (b"V/cell", Lang::ZhHant) => "V/單體",
        (b"years", Lang::De) => "Jahre",
        (b"years", Lang::Fr) => "ans",
        (b"years", Lang::Es) => "años",
        (b"years", Lang::It) => "anni",
        (b"years", Lang::PtBr) => "anos",
        (b"years", Lang::Nl) => "jaar",
        (b"years", Lang::Pl) => "lat",
        (b"years", Lang::Cs) => "let",
        (b"years", Lang::Sk) => "rokov",
        (b"years", Lang::ZhHans | Lang::ZhHant) => "年",
        _ => unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn two(lang: Lang, value: f64) -> String {
        plain(lang, value, Style { digits: 2, sign: false })
    }

    #[test]
    fn each_language_has_its_marks() {
        assert_eq!(two(Lang::En, 1_234_567.891), "1,234,567.89");
        assert_eq!(two(Lang::De, 1_234_567.891), "1.234.567,89");
        assert_eq!(two(Lang::Fr, -12_345.6), "\u{2212}12\u{202f}345,60");
        assert_eq!(two(Lang::Pl, 1_234.5), "1234,50", "four digits stay together");
        let signed = Style { digits: 0, sign: true };
        assert_eq!(plain(Lang::En, 900.0, signed), "+900");
        assert_eq!(plain(Lang::En, -0.2, signed), "0");
        assert_eq!(plain(Lang::En, f64::NAN, signed), "\u{2013}");
    }

    #[test]
    fn units_stand_as_the_language_wants() {
        assert_eq!(measured(Lang::En, 95.0, "%"), "95%");
        assert_eq!(measured(Lang::De, 95.5, "%"), "95,5\u{a0}%");
        assert_eq!(measured(Lang::De, 2.2678, "V/cell"), "2,268\u{a0}V/Zelle");
        assert_eq!(measured(Lang::En, 13.6, "V"), "13.60\u{a0}V");
        assert_eq!(measured(Lang::En, 125.0, "s"), "2\u{a0}min 5\u{a0}s");
    }

    #[test]
    fn spans_have_two_parts() {
        for (seconds, text) in
            [(0.0, "0 s"), (59.6, "1 min"), (3_600.0, "1 h"), (93_784.0, "1 d 2 h"), (-5.0, "0 s")]
        {
            assert_eq!(span(Lang::En, seconds).replace(NBSP, " "), text);
        }
        assert_eq!(span(Lang::Fr, 93_784.0), "1\u{a0}j 2\u{a0}h");
        assert_eq!(measured(Lang::ZhHans, 90.0, "s"), "1\u{a0}分钟 30\u{a0}秒");
        assert_eq!(seconds(Lang::De, 86_400.0), "86.400\u{a0}s", "as its field takes it");
        assert_eq!(seconds(Lang::De, 0.5), "0,5\u{a0}s");
    }

    proptest! {
        #[test]
        fn any_number_is_written(value in any::<f64>(), digits in 0usize..7, sign: bool) {
            for lang in Lang::ALL {
                let written = plain(lang, value, Style { digits, sign });
                prop_assert!(!written.is_empty());
            }
            let _ = span(Lang::Fr, value);
            let _ = measured(Lang::De, value, "s");
        }
    }
}
