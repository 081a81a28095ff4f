//! Tables and lines of text for people. Text of plugins and appliances is
//! somebody else's: it never reaches the terminal as a command to it.

/// Rows under headings, each column as wide as its longest cell.
#[must_use]
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> =
        rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))).collect();
    let width = |i: usize| {
        let cells = rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count());
        cells.chain(headings.get(i).map(|h| h.chars().count())).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = line(&headings.map(str::to_owned), &widths);
    for row in &rows {
        text.push_str(&line(row, &widths));
    }
    text
}

/// Names and values, one pair a line; pairs without a value are left out.
#[must_use]
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let shown: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    shown.iter().map(|(name, value)| format!("{name:width$}  {}\n", plain(value))).collect()
}

/// One line of visible characters.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// The same with line feeds.
#[must_use]
pub fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// A key in a table: its name, and the beginning of its fingerprint, of
/// `"acme" (fingerprint 21fe 31df …)`.
#[must_use]
pub fn key(signer: &str) -> String {
    let Some((name, fingerprint)) = signer.split_once(" (fingerprint ") else {
        return signer.to_owned();
    };
    let begin: Vec<&str> = fingerprint.trim_end_matches(')').split(' ').take(4).collect();
    format!("{} {} …", name.trim_matches('"'), begin.join(" "))
}

/// Bytes, for people.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

/// Date and time in UTC of ms since 1970 (civil calendar, days counted from
/// 1 March 0000 so that leap days come last).
#[must_use]
pub fn utc(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000;
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

fn line<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    format!("{}\n", padded.join("  ").trim_end())
}

/// Control characters, and those that turn or hide text around them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [["megatec".into(), "ok".into()], ["b".into(), String::new()]];
        let text = table(["PLUGIN", "STATE"], &rows);
        assert_eq!(text, "PLUGIN   STATE\nmegatec  ok\nb\n");
        assert_eq!(pairs(&[("a", "1".into()), ("bc", String::new())]), "a  1\n");
    }

    #[test]
    fn a_key_is_shown_by_its_name_and_how_its_fingerprint_begins() {
        let whole = "\"acme\" (fingerprint 21fe 31df 0000 1111 2222 3333)";
        assert_eq!(key(whole), "acme 21fe 31df 0000 1111 …");
        assert_eq!((key("").as_str(), key("acme").as_str()), ("", "acme"));
    }

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(plain("a\u{1b}[2J\r\n\u{202e}b"), "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(plain_lines("a\nb\tc"), "a\nb\u{fffd}c");
        assert!(!table(["H"], &[["x\u{7}".into()]]).contains('\u{7}'));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix_ms, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400_000, "2000-02-29 00:00:00"),
            (1_709_251_199_999, "2024-02-29 23:59:59"),
            (1_709_251_200_000, "2024-03-01 00:00:00"),
            (4_102_444_800_000, "2100-01-01 00:00:00"),
        ] {
            assert_eq!(utc(unix_ms), text);
        }
        // Any number is some date.
        assert!(!utc(u64::MAX).is_empty());
    }
}
