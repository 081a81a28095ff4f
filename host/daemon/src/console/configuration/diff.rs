//! What differs between two texts, line by line, for people: what is gone, what
//! is new, and a little of what stays around it.

use serde::Serialize;
use utoipa::ToSchema;

/// Lines that stay the same and are shown around a difference.
const AROUND: usize = 3;
/// Largest product of lines that are compared with each other; beyond that all
/// of the old ones are gone and all of the new ones new.
const CELLS_MAX: usize = 1 << 20;

/// A line, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Line {
    /// What became of it.
    pub mark: Mark,
    /// Itself; of lines that are left out, how many they are.
    pub text: String,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// It stays.
    Same,
    /// It was there before.
    Gone,
    /// It is there after.
    New,
    /// So many lines that stay are not shown.
    LeftOut,
}

/// The differences; none when there is none.
#[must_use]
pub fn lines(before: &str, after: &str) -> Vec<Line> {
    if before == after {
        return Vec::new();
    }
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut all: Vec<(Mark, &str)> = old[..head].iter().map(|line| (Mark::Same, *line)).collect();
    let middle = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);
    all.extend(compared(middle.0, middle.1));
    all.extend(old_rest[old_rest.len() - tail..].iter().map(|line| (Mark::Same, *line)));
    shortened(&all)
}

/// By the longest common sequence.
fn compared<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Mark, &'a str)> {
    let width = new.len() + 1;
    let cells = (old.len() + 1).saturating_mul(width);
    let mut all = Vec::with_capacity(old.len() + new.len());
    let (mut at_old, mut at_new) = (0, 0);
    if cells <= CELLS_MAX {
        // How long the common sequence of what follows is, from here on.
        let mut common = vec![0u32; cells];
        for i in (0..old.len()).rev() {
            for j in (0..new.len()).rev() {
                common[i * width + j] = match old[i] == new[j] {
                    true => common[(i + 1) * width + j + 1] + 1,
                    false => common[(i + 1) * width + j].max(common[i * width + j + 1]),
                };
            }
        }
        while at_old < old.len() && at_new < new.len() {
            let here = at_old * width + at_new;
            if old[at_old] == new[at_new] {
                all.push((Mark::Same, old[at_old]));
                (at_old, at_new) = (at_old + 1, at_new + 1);
            } else if common[here + width] >= common[here + 1] {
                all.push((Mark::Gone, old[at_old]));
                at_old += 1;
            } else {
                all.push((Mark::New, new[at_new]));
                at_new += 1;
            }
        }
    }
    all.extend(old[at_old..].iter().map(|line| (Mark::Gone, *line)));
    all.extend(new[at_new..].iter().map(|line| (Mark::New, *line)));
    all
}

/// With [`AROUND`] lines around each difference.
fn shortened(all: &[(Mark, &str)]) -> Vec<Line> {
    let mut shown = vec![false; all.len()];
    for (at, _) in all.iter().enumerate().filter(|(_, (mark, _))| *mark != Mark::Same) {
        let end = (at + AROUND + 1).min(all.len());
        shown[at.saturating_sub(AROUND)..end].fill(true);
    }
    let (mut lines, mut hidden) = (Vec::new(), 0usize);
    let left_out = |hidden: usize| Line { mark: Mark::LeftOut, text: hidden.to_string() };
    for ((mark, text), shown) in all.iter().zip(shown) {
        if shown {
            if hidden > 0 {
                lines.push(left_out(std::mem::take(&mut hidden)));
            }
            lines.push(Line { mark: *mark, text: (*text).to_owned() });
        } else {
            hidden += 1;
        }
    }
    if hidden > 0 {
        lines.push(left_out(hidden));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(before: &str, after: &str) -> String {
        let mark = |mark| match mark {
            Mark::Same => ' ',
            Mark::Gone => '-',
            Mark::New => '+',
            Mark::LeftOut => '~',
        };
        let lines = lines(before, after).into_iter();
        lines.map(|line| format!("{}{} ", mark(line.mark), line.text)).collect()
    }

    #[test]
    fn what_is_gone_and_new_is_told_with_a_little_around_it() {
        assert_eq!(shown("a\nb\n", "a\nb\n"), "");
        assert_eq!(shown("a\nb\nc\n", "a\nx\nc\n"), " a -b +x  c ");
        assert_eq!(shown("", "a\n"), "+a ");
        assert_eq!(shown("a\n", ""), "-a ");
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        assert_eq!(shown(before, &before.replace('5', "x")), "~1  2  3  4 -5 +x  6  7  8 ~1 ");
        assert_eq!(shown("a\nb\na\nb\n", "b\na\nc\nb\n"), "-a  b  a +c  b ");
    }

    #[test]
    fn two_long_texts_are_compared_in_bounded_memory() {
        let many = |word: &str| (0..5_000).map(|n| format!("{word}{n}\n")).collect::<String>();
        let told = lines(&many("a"), &many("b"));
        assert_eq!(told.len(), 10_000);
        assert!(told[..5_000].iter().all(|line| line.mark == Mark::Gone));
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_from_the_differences(
            before in "([abc]\n){0,12}", after in "([abc]\n){0,12}",
        ) {
            let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
            let all = compared(&old, &new);
            let of = |skipped| {
                all.iter().filter(move |(mark, _)| *mark != skipped).map(|(_, text)| *text)
            };
            prop_assert_eq!(of(Mark::New).collect::<Vec<_>>(), old);
            prop_assert_eq!(of(Mark::Gone).collect::<Vec<_>>(), new);
        }
    }
}
