//! Reading: is the log whole, and who vouches for it up to where?

use super::{AuditKey, HASH_LEN, Head, SALVAGE, end_message, hash, names_gap, seal_message};
use crate::Digest;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Most bytes of a log that is looked at.
pub const LOG_MAX: usize = 256 << 20;

/// A log in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Number of its first entry.
    pub first: u64,
    /// Number of its last entry.
    pub last: u64,
    /// When that one was written, ms since 1970; 0 for an empty log.
    pub last_unix_ms: u64,
    /// Entries that are seals.
    pub seals: u64,
    /// Entries between the first and the last that the appliance itself does not
    /// have (from, to): its store was damaged, as an entry behind them says.
    pub missing: Vec<(u64, u64)>,
    /// When it was exported, ms since 1970.
    pub exported_unix_ms: u64,
    /// The key that sealed it.
    pub key: AuditKey,
    /// The key was named by the caller, not by the log itself.
    pub key_is_known: bool,
}

/// What is wrong with a log; the first thing that is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It does not begin as an export.
    #[error("this is no audit log: its first line is not the one that an export begins with")]
    NoLog,
    /// Too long to be looked at.
    #[error("this is no audit log: it is longer than 256 MiB")]
    TooLong,
    /// It was sealed by another device.
    #[error("the log was sealed with key {found}, not with the key that was given")]
    OtherKey {
        /// The key in the log.
        found: Box<AuditKey>,
    },
    /// A line that nobody wrote.
    #[error("line {line} is no entry (after entry {after}); it was altered or inserted")]
    NoEntry {
        /// Counted from 1.
        line: usize,
        /// The entry in front of it.
        after: u64,
    },
    /// An entry does not have its hash.
    #[error("entry {seq} was altered, or the one before it together with its hash")]
    Altered {
        /// Its number.
        seq: u64,
    },
    /// A seal is not by the key.
    #[error("the seal {seq} is not by the device's key: it or entries behind {since} were forged")]
    Forged {
        /// Number of the seal.
        seq: u64,
        /// The last seal before it that is good, or the entry before the log.
        since: u64,
    },
    /// Entries are not there.
    #[error("entries {from} to {to} were removed")]
    Removed {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Entries stand in another order.
    #[error("entry {found} stands where entry {expected} belongs: the order was changed")]
    Reordered {
        /// Which belongs here.
        expected: u64,
        /// Which is here.
        found: u64,
    },
    /// An entry is there again.
    #[error("entry {seq} is there twice")]
    Twice {
        /// Its number.
        seq: u64,
    },
    /// The end of the export is missing.
    #[error(
        "the log was cut off behind entry {last}: the end of the export is missing. It is \
         vouched for up to entry {sealed}"
    )]
    Truncated {
        /// The last entry that is there.
        last: u64,
        /// The last seal.
        sealed: u64,
    },
    /// The end of the export is not by the key.
    #[error(
        "the end of the export is not by the device's key: entries behind {sealed} were removed \
         or forged"
    )]
    EndForged {
        /// The last seal that is good.
        sealed: u64,
    },
    /// There is more behind the end.
    #[error("line {line} stands behind the end of the export; it was added")]
    BehindEnd {
        /// Counted from 1.
        line: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    evenkeel_audit: u32,
    key: String,
    first: u64,
    before: Digest,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Line {
    #[expect(dead_code, reason = "they must be there and of their kind")]
    Entry {
        seq: u64,
        unix_ms: u64,
        who: String,
        from: String,
        what: String,
        result: String,
        hash: Digest,
    },
    #[expect(dead_code, reason = "the hash is taken from its place in the line")]
    Seal {
        seq: u64,
        unix_ms: u64,
        seal: String,
        hash: Digest,
    },
    End {
        end: u64,
        unix_ms: u64,
        signature: String,
    },
}

/// Look at an export. `key` is the appliance's, known from elsewhere; without
/// one the log is taken at its word about who sealed it.
///
/// # Errors
/// The first [`Fault`].
pub fn verify(log: &[u8], key: Option<AuditKey>) -> Result<Report, Fault> {
    if log.len() > LOG_MAX {
        return Err(Fault::TooLong);
    }
    let mut lines = log.split_inclusive(|byte| *byte == b'\n').enumerate();
    let opening = lines.next().and_then(|(_, line)| opening(line)).ok_or(Fault::NoLog)?;
    let found = AuditKey::parse(&opening.key).map_err(|_| Fault::NoLog)?;
    if key.is_some_and(|key| key != found) {
        return Err(Fault::OtherKey { found: Box::new(found) });
    }
    let before = opening.first.checked_sub(1).ok_or(Fault::NoLog)?;
    let mut missing = Vec::new();
    let mut first = opening.first;
    let mut walk = Walk {
        log,
        key: found,
        head: Head { seq: before, hash: opening.before },
        sealed: before,
        unix_ms: 0,
        seals: 0,
        exported: None,
        told: Vec::new(),
    };
    while let Some((index, line)) = lines.next() {
        let Some(exported_unix_ms) = walk.line(index + 1, line, first)? else { continue };
        if walk.exported.is_some_and(|other| other != exported_unix_ms) {
            return Err(Fault::BehindEnd { line: index + 1 });
        }
        if let Some((index, line)) = lines.next() {
            // The parts of a log with a gap are of one export and one key.
            let next = self::opening(line).filter(|next| next.key == opening.key);
            let gap = next.as_ref().and_then(|next| {
                let (from, to) = (walk.head.seq.checked_add(1)?, next.first.checked_sub(1)?);
                (from <= to).then_some((from, to))
            });
            let (next, gap) = next.zip(gap).ok_or(Fault::BehindEnd { line: index + 1 })?;
            missing.push(gap);
            first = next.first;
            walk.head = Head { seq: gap.1, hash: next.before };
            walk.sealed = gap.1;
            walk.exported = Some(exported_unix_ms);
            continue;
        }
        let unsaid = missing.iter().find(|gap| !walk.is_told(**gap));
        if let Some(&(from, to)) = unsaid {
            return Err(Fault::Removed { from, to });
        }
        return Ok(Report {
            first: opening.first,
            last: walk.head.seq,
            last_unix_ms: walk.unix_ms,
            seals: walk.seals,
            missing,
            exported_unix_ms,
            key: found,
            key_is_known: key.is_some(),
        });
    }
    Err(Fault::Truncated { last: walk.head.seq, sealed: walk.sealed })
}

struct Walk<'a> {
    log: &'a [u8],
    key: AuditKey,
    head: Head,
    /// The last good seal.
    sealed: u64,
    unix_ms: u64,
    seals: u64,
    /// When the part before this one was exported.
    exported: Option<u64>,
    /// Entries about gaps: their numbers and results.
    told: Vec<(u64, String)>,
}

impl Walk<'_> {
    /// One line; gives the time of the export when it is its end.
    fn line(&mut self, number: usize, line: &[u8], first: u64) -> Result<Option<u64>, Fault> {
        let no_entry = Fault::NoEntry { line: number, after: self.head.seq };
        let Some(whole) = line.strip_suffix(b"\n") else {
            return Err(Fault::Truncated { last: self.head.seq, sealed: self.sealed });
        };
        let mut told = None;
        let (seq, unix_ms, seal) =
            match serde_json::from_slice(whole).map_err(|_| no_entry.clone())? {
                Line::Entry { seq, unix_ms, who, what, result, .. } => {
                    told = (who == "appliance" && what == SALVAGE).then_some((seq, result));
                    (seq, unix_ms, None)
                }
                Line::Seal { seq, unix_ms, seal, .. } => (seq, unix_ms, Some(seal)),
                Line::End { end, unix_ms, signature } => {
                    let message = end_message(first, &self.head, unix_ms);
                    return match end == self.head.seq && self.key.verifies(&message, &signature) {
                        true => Ok(Some(unix_ms)),
                        false => Err(Fault::EndForged { sealed: self.sealed }),
                    };
                }
            };
        self.in_order(seq)?;
        let now = Head::of_line(seq, whole).ok_or(no_entry)?;
        if now.hash != hash(&self.head.hash, &whole[..whole.len() - HASH_LEN]) {
            return Err(Fault::Altered { seq });
        }
        if let Some(seal) = seal {
            if !self.key.verifies(&seal_message(&self.head, unix_ms), &seal) {
                return Err(Fault::Forged { seq, since: self.sealed });
            }
            (self.sealed, self.seals) = (seq, self.seals + 1);
        }
        self.told.extend(told);
        (self.head, self.unix_ms) = (now, unix_ms);
        Ok(None)
    }

    /// Whether an entry behind a gap names it.
    fn is_told(&self, gap: (u64, u64)) -> bool {
        self.told.iter().any(|(seq, result)| *seq > gap.1 && names_gap(result, gap))
    }

    fn in_order(&self, found: u64) -> Result<(), Fault> {
        let expected = self.head.seq.saturating_add(1);
        match found.cmp(&expected) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(Fault::Twice { seq: found }),
            std::cmp::Ordering::Greater => Err(match numbers(self.log).contains(&expected) {
                true => Fault::Reordered { expected, found },
                false => Fault::Removed { from: expected, to: found - 1 },
            }),
        }
    }
}

fn opening(line: &[u8]) -> Option<Opening> {
    let opening: Opening = serde_json::from_slice(line).ok()?;
    (opening.evenkeel_audit == 1).then_some(opening)
}

/// The numbers of all entries, wherever they stand.
fn numbers(log: &[u8]) -> BTreeSet<u64> {
    let lines = log.split(|byte| *byte == b'\n');
    let numbers = lines.filter_map(|line| match serde_json::from_slice(line).ok()? {
        Line::Entry { seq, .. } | Line::Seal { seq, .. } => Some(seq),
        Line::End { .. } => None,
    });
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, SealKey, lost_entries};
    use super::*;
    use proptest::prelude::*;

    fn key() -> SealKey {
        SealKey::parse(&"07".repeat(32)).expect("a key")
    }

    fn entry(n: u64) -> Entry {
        let what = format!("switch output {n} \"on\"\n");
        let (who, from, result) = ("ädmin".into(), "::1".into(), "done".into());
        Entry { unix_ms: 1_000 + n, who, from, what, result }
    }

    /// Seals are 5, 10 and 15; entries 1 to 17; begins behind `before`.
    fn log(before: Head) -> Vec<String> {
        let mut head = before;
        let mut lines = vec![head.opening(&key().public())];
        for n in 1..=17 {
            let line = if n % 5 == 0 { head.seal(&key(), n) } else { head.append(&entry(n)) };
            lines.push(line);
        }
        lines.push(head.ending(before.seq + 1, &key(), 99));
        lines
    }

    fn judged(lines: &[String]) -> Result<Report, Fault> {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        verify(text.as_bytes(), Some(key().public()))
    }

    /// An entry's line with other words, its hash made to fit.
    fn rewritten(lines: &[String], at: usize) -> String {
        let before = Head::of_line(0, lines[at - 1].as_bytes()).expect("a line with a hash");
        let mut head = Head { seq: at as u64 - 1, hash: before.hash };
        head.append(&Entry { who: "nobody".into(), ..entry(at as u64) })
    }

    #[test]
    fn a_whole_log_is_vouched_for() {
        let report = judged(&log(Head::default())).expect("whole");
        assert_eq!((report.first, report.last, report.seals), (1, 17, 3));
        assert_eq!((report.last_unix_ms, report.exported_unix_ms), (1_017, 99));
        assert!(report.key_is_known);
        let later = judged(&log(Head { seq: 400, hash: Digest([9; 32]) })).expect("whole");
        assert_eq!((later.first, later.last), (401, 417));
        let empty =
            [Head::default().opening(&key().public()), Head::default().ending(1, &key(), 5)];
        assert_eq!(judged(&empty).expect("whole").last, 0);
    }

    #[test]
    fn each_kind_of_tampering_is_named() {
        let good = log(Head::default());
        let with = |change: &dyn Fn(&mut Vec<String>)| {
            let mut lines = good.clone();
            change(&mut lines);
            judged(&lines).expect_err("tampered")
        };
        let altered = with(&|lines| lines[7] = lines[7].replace("done", "gone"));
        assert_eq!(altered, Fault::Altered { seq: 7 });
        let rehashed = with(&|lines| lines[7] = rewritten(lines, 7));
        assert_eq!(rehashed, Fault::Altered { seq: 8 });
        let removed = with(&|lines| drop(lines.drain(3..5)));
        assert_eq!(removed, Fault::Removed { from: 3, to: 4 });
        let swapped = with(&|lines| lines.swap(3, 4));
        assert_eq!(swapped, Fault::Reordered { expected: 3, found: 4 });
        let repeated = with(&|lines| lines.insert(4, lines[3].clone()));
        assert_eq!(repeated, Fault::Twice { seq: 3 });
        let cut = with(&|lines| lines.truncate(13));
        assert_eq!(cut, Fault::Truncated { last: 12, sealed: 10 });
        let tail = with(&|lines| drop(lines.drain(16..18)));
        assert_eq!(tail, Fault::EndForged { sealed: 15 });
        let added = with(&|lines| lines.push(lines[3].clone()));
        assert_eq!(added, Fault::BehindEnd { line: 20 });
        let garbage = with(&|lines| lines[2] = "{}".to_owned());
        assert_eq!(garbage, Fault::NoEntry { line: 3, after: 1 });
    }

    #[test]
    fn a_gap_that_the_device_vouches_for_is_told_and_two_exports_are_not_one() {
        let first = log(Head::default());
        let unsaid = [first.clone(), log(Head { seq: 20, hash: Digest([9; 32]) })].concat();
        assert_eq!(judged(&unsaid), Err(Fault::Removed { from: 18, to: 20 }));
        let later = |gap: &str| {
            let before = Head { seq: 20, hash: Digest([9; 32]) };
            let (mut head, mut lines) = (before, vec![before.opening(&key().public())]);
            let result = lost_entries(&["3 to 4".to_owned(), gap.to_owned()]);
            let who = "appliance".to_owned();
            lines.push(head.append(&Entry { who, what: SALVAGE.to_owned(), result, ..entry(1) }));
            lines.extend((2..=15).map(|n| head.append(&entry(n))));
            lines.push(head.seal(&key(), 16));
            lines.push(head.append(&entry(17)));
            lines.push(head.ending(21, &key(), 99));
            lines
        };
        let other_gap = [first.clone(), later("18 to 21")].concat();
        assert_eq!(judged(&other_gap), Err(Fault::Removed { from: 18, to: 20 }));
        let later = later("18 to 20");
        let report = judged(&[first.clone(), later.clone()].concat()).expect("two parts");
        assert_eq!((report.first, report.last, report.seals), (1, 37, 4));
        assert_eq!(report.missing, [(18, 20)]);
        let mut other_time = later.clone();
        let head = Head::of_line(37, later[17].as_bytes()).expect("a line");
        other_time[18] = head.ending(21, &key(), 100);
        let spliced = judged(&[first.clone(), other_time].concat());
        assert_eq!(spliced, Err(Fault::BehindEnd { line: 38 }));
        let twice = judged(&[first.clone(), first.clone()].concat());
        assert_eq!(twice, Err(Fault::BehindEnd { line: 20 }));
        let cut = judged(&[first.clone(), later[..5].to_vec()].concat());
        assert_eq!(cut, Err(Fault::Truncated { last: 24, sealed: 20 }));
        // Between the parts one is left out.
        let mut removed = [first, later].concat();
        removed.drain(15..19);
        assert!(matches!(judged(&removed), Err(Fault::NoEntry { .. })));
    }

    #[test]
    fn a_chain_that_was_made_anew_lacks_the_seals() {
        let mut lines = log(Head::default());
        let seal = lines[10].clone();
        let mut head = Head::of_line(6, lines[6].as_bytes()).expect("a line");
        for (at, line) in lines.iter_mut().enumerate().take(10).skip(7) {
            *line = head.append(&Entry { who: "nobody".into(), ..entry(at as u64) });
        }
        // The seal as it was, with a hash that fits.
        let body = &seal[..seal.len() - HASH_LEN];
        lines[10] = format!("{body},\"hash\":\"{}\"}}", hash(&head.hash, body.as_bytes()));
        assert_eq!(judged(&lines), Err(Fault::Forged { seq: 10, since: 5 }));
    }

    #[test]
    fn another_device_is_no_witness() {
        let text = log(Head::default()).join("\n") + "\n";
        let other = SealKey::parse(&"08".repeat(32)).expect("a key").public();
        let found = Box::new(key().public());
        assert_eq!(verify(text.as_bytes(), Some(other)), Err(Fault::OtherKey { found }));
        assert!(!verify(text.as_bytes(), None).expect("whole").key_is_known);
        assert_eq!(verify(b"", None), Err(Fault::NoLog));
    }

    proptest! {
        #[test]
        fn no_changed_byte_goes_unnoticed(at in any::<prop::sample::Index>(), byte: u8) {
            let mut text = (log(Head::default()).join("\n") + "\n").into_bytes();
            let at = at.index(text.len());
            prop_assume!(text[at] != byte);
            text[at] = byte;
            prop_assert!(verify(&text, Some(key().public())).is_err());
        }

        #[test]
        fn no_bytes_are_too_strange(log: Vec<u8>) {
            prop_assert!(verify(&log, None).is_err());
        }
    }
}
