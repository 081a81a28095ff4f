//! From licences to a verdict; pure.

use crate::payload::{FORMAT, Licence, PRODUCT};
use core::cmp::Reverse;
use core::fmt;

/// Licences that are looked at.
pub const KEYS_MAX: usize = 64;
/// Blocks of the LC edition.
pub const LC_BLOCKS: u32 = 24;
/// Largest UPS of the LC edition, VA.
pub const LC_UPS_VA: u32 = 6_000;

/// A licence as it comes in.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// What was signed.
    pub payload: &'a [u8],
}

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// For people: `LC`, `full`.
    pub edition: String,
    /// Blocks; `None`: no limit.
    pub blocks: Option<u32>,
    /// Largest UPS, VA; `None`: no limit.
    pub ups_va: Option<u32>,
    /// When this may be different, seconds since 1970; `None`: never.
    pub until: Option<u64>,
    /// Why.
    pub reason: String,
}

/// Why a licence does not count.
#[derive(Debug, PartialEq, Eq)]
enum No {
    Unreadable(String),
    Format(u32),
    Product(String),
    Serial { found: String, device: String },
    NotYet { from: u64 },
    Expired { on: u64 },
}

/// Judge `keys` for the appliance with serial number `device` at `utc_s`,
/// seconds since 1970, `None` while the date is not known.
#[must_use]
pub fn judge(device: &str, utc_s: Option<u64>, keys: &[Key<'_>]) -> Verdict {
    let (mut good, mut refused, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys.iter().take(KEYS_MAX) {
        match standing(device, utc_s, key.payload) {
            Ok(licence) => good.push((key.name, licence)),
            Err(no) => {
                if let No::NotYet { from } = no {
                    changes.push(from);
                }
                refused.push(format!("licence {} {no}", key.name));
            }
        }
    }
    // The first of equals: names do not decide by chance of the order.
    good.sort_by_key(|(_, licence)| Reverse(worth(licence)));
    let Some((name, best)) = good.first() else { return lc(&refused, &changes) };
    changes.extend(best.not_after.map(|last| last.saturating_add(1)));
    let mut reasons = vec![counts(name, best, utc_s)];
    reasons.extend(good[1..].iter().map(|(name, _)| format!("licence {name} gives no more")));
    reasons.append(&mut refused);
    Verdict {
        edition: best.edition.clone(),
        blocks: best.blocks.map(|blocks| blocks.max(LC_BLOCKS)),
        ups_va: best.ups_va.map(|va| va.max(LC_UPS_VA)),
        until: changes.into_iter().min(),
        reason: reasons.join("; "),
    }
}

fn lc(refused: &[String], changes: &[u64]) -> Verdict {
    let reason = match refused {
        [] => "no licence is installed".to_owned(),
        refused => refused.join("; "),
    };
    Verdict {
        edition: "LC".to_owned(),
        blocks: Some(LC_BLOCKS),
        ups_va: Some(LC_UPS_VA),
        until: changes.iter().copied().min(),
        reason,
    }
}

fn standing(device: &str, utc_s: Option<u64>, payload: &[u8]) -> Result<Licence, No> {
    let licence = Licence::parse(payload).map_err(No::Unreadable)?;
    if licence.format != FORMAT {
        return Err(No::Format(licence.format));
    }
    if licence.product != PRODUCT {
        return Err(No::Product(licence.product));
    }
    if !licence.serial.eq_ignore_ascii_case(device) {
        return Err(No::Serial { found: licence.serial, device: device.to_owned() });
    }
    // Who does not know the date cannot say that it is over.
    match utc_s {
        Some(now) if now < licence.not_before => Err(No::NotYet { from: licence.not_before }),
        Some(now) if licence.not_after.is_some_and(|last| now > last) => {
            Err(No::Expired { on: licence.not_after.unwrap_or(now) })
        }
        _ => Ok(licence),
    }
}

/// More blocks, then a larger UPS, then a longer time.
fn worth(licence: &Licence) -> (u64, u64, u64) {
    let more = |limit: Option<u32>| limit.map_or(u64::MAX, u64::from);
    (more(licence.blocks), more(licence.ups_va), licence.not_after.unwrap_or(u64::MAX))
}

fn counts(name: &str, licence: &Licence, utc_s: Option<u64>) -> String {
    let blocks = match licence.blocks {
        Some(blocks) => format!("{} blocks", blocks.max(LC_BLOCKS)),
        None => "any number of blocks".to_owned(),
    };
    let ups = match licence.ups_va {
        Some(va) => format!("UPSes up to {} VA", va.max(LC_UPS_VA)),
        None => "UPSes of any size".to_owned(),
    };
    let until = match (licence.not_after, utc_s) {
        (None, _) => String::new(),
        (Some(last), Some(_)) => format!(", until {}", Date(last)),
        (Some(last), None) => {
            format!(", until {}; the date is not known, set the clock", Date(last))
        }
    };
    let Licence { id, customer, .. } = licence;
    format!("licence {name} ({id}, {customer}) counts: {blocks}, {ups}{until}")
}

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot be read, ask for a new one: {why}"),
            Self::Format(found) => write!(
                f,
                "is of format {found}, and this version reads format {FORMAT}; update the appliance"
            ),
            Self::Product(found) => write!(f, "is for the product {found:?}"),
            Self::Serial { found, device } => {
                write!(f, "is for the appliance {found}, and this one is {device}")
            }
            Self::NotYet { from } => write!(f, "is not valid before {}", Date(*from)),
            Self::Expired { on } => write!(f, "expired on {}", Date(*on)),
        }
    }
}

/// Seconds since 1970 as a day in UTC.
struct Date(u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const YEAR_MAX: u64 = 9_999;
        let mut days = self.0 / 86_400;
        let leap = |year: u64| {
            (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
        };
        let mut year = 1970;
        while year <= YEAR_MAX && days >= 365 + u64::from(leap(year)) {
            days -= 365 + u64::from(leap(year));
            year += 1;
        }
        if year > YEAR_MAX {
            return f.write_str("the end of time");
        }
        let february = 28 + u64::from(leap(year));
        let mut month = 1;
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        write!(f, "{year}-{month:02}-{:02}", days + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    const DEVICE: &str = "7QK4-M2ZD-9XWB-U";
    /// 2026-11-21 12:00 UTC.
    const NOW: u64 = 1_795_262_400;

    fn licence(blocks: &str, ups_va: &str, not_before: u64, not_after: &str) -> String {
        format!(
            r#"{{"format": 1, "product": "evenkeel", "serial": "7qk4-m2zd-9xwb-u",
            "edition": "full", "blocks": {blocks}, "ups_va": {ups_va}, "not_before": {not_before},
            "not_after": {not_after}, "customer": "C", "id": "1"}}"#
        )
    }

    fn judged(utc_s: Option<u64>, licences: &[&str]) -> Verdict {
        let names = ["a", "b", "c"];
        let keys = names.iter().zip(licences);
        let keys: Vec<_> =
            keys.map(|(name, text)| Key { name, payload: text.as_bytes() }).collect();
        judge(DEVICE, utc_s, &keys)
    }

    #[test]
    fn every_recorded_licence_is_judged_as_expected() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testcases");
        for case in std::fs::read_dir(folder).expect("testcases") {
            let case = case.expect("readable").path();
            let payload = std::fs::read(case.join("licence.json")).expect("a licence");
            let expected = std::fs::read_to_string(case.join("expected")).expect("a verdict");
            let verdict = judge(DEVICE, Some(NOW), &[Key { name: "test", payload: &payload }]);
            let found = format!("{}: {}", verdict.edition, verdict.reason);
            assert!(found.starts_with(expected.trim()), "{}: {found}", case.display());
        }
    }

    #[test]
    fn without_a_licence_it_is_lc_for_ever() {
        let verdict = judged(Some(NOW), &[]);
        assert_eq!((verdict.blocks, verdict.ups_va, verdict.until), (Some(24), Some(6_000), None));
        assert_eq!(verdict.reason, "no licence is installed");
    }

    #[test]
    fn the_best_licence_counts_and_the_others_are_named() {
        let (small, large) = (licence("64", "null", 0, "null"), licence("128", "1", 0, "null"));
        let old = licence("null", "null", 0, "99");
        let verdict = judged(Some(NOW), &[&small, &large, &old]);
        assert_eq!((verdict.blocks, verdict.ups_va), (Some(128), Some(6_000)));
        assert_eq!(
            verdict.reason,
            "licence b (1, C) counts: 128 blocks, UPSes up to 6000 VA; licence a gives no more; \
             licence c expired on 1970-01-01"
        );
    }

    #[test]
    fn it_is_asked_again_when_something_ends_or_begins() {
        let ends = licence("null", "null", 0, &(NOW + 100).to_string());
        let begins = licence("64", "null", NOW + 50, "null");
        assert_eq!(judged(Some(NOW), &[&ends]).until, Some(NOW + 101));
        assert_eq!(judged(Some(NOW), &[&ends, &begins]).until, Some(NOW + 50));
        assert_eq!(judged(Some(NOW), &[&begins]).until, Some(NOW + 50));
        assert_eq!(judged(Some(NOW + 100), &[&ends]).edition, "full", "the last second counts");
        assert_eq!(judged(Some(NOW + 101), &[&ends]).edition, "LC");
    }

    #[test]
    fn without_a_date_a_dated_licence_holds_and_says_so() {
        let verdict = judged(None, &[&licence("null", "null", NOW, "5")]);
        assert_eq!((verdict.edition.as_str(), verdict.blocks), ("full", None));
        assert!(verdict.reason.ends_with("the date is not known, set the clock"), "{verdict:?}");
    }

    #[test]
    fn no_licence_gives_less_than_lc() {
        let verdict = judged(Some(NOW), &[&licence("1", "0", 0, "null")]);
        assert_eq!((verdict.blocks, verdict.ups_va), (Some(24), Some(6_000)));
    }

    #[test]
    fn days_are_the_calendar_s() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (1_709_251_200, "2024-03-01"),
            (4_107_542_399, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
            (u64::MAX, "the end of time"),
        ] {
            assert_eq!(Date(seconds).to_string(), day);
        }
    }

    proptest! {
        /// Any bytes end in a verdict, and garbage lifts nothing.
        #[test]
        fn judging_is_total(payload: Vec<u8>, device: String, utc_s: Option<u64>) {
            let verdict = judge(&device, utc_s, &[Key { name: "x", payload: &payload }]);
            prop_assert_eq!(verdict.blocks, Some(LC_BLOCKS));
        }

        /// A licence with one byte changed, cut or doubled ends in a verdict too.
        #[test]
        fn damage_ends_in_a_verdict(at in 0usize..220, byte: u8, cut in 0usize..400) {
            let mut payload = licence("null", "null", 0, "null").into_bytes();
            let at = at % payload.len();
            payload[at] = byte;
            payload.truncate(cut);
            let verdict = judge(DEVICE, Some(NOW), &[Key { name: "x", payload: &payload }]);
            prop_assert!(verdict.blocks.is_none_or(|blocks| blocks >= LC_BLOCKS));
        }
    }
}
