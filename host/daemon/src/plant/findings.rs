//! What protection finds wrong with a string: one row per condition, with all
//! the blocks that have it.

use super::{number, scale};
use evenkeel_core::events::Ranges;
use evenkeel_core::image::StringRecord;
use evenkeel_core::protect::{Condition, Level};
use std::fmt;

/// One condition of a string.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which.
    pub condition: Condition,
    /// The worst level at which it stands.
    pub level: Level,
    /// Blocks that have it, counted from 1, in order; empty when it is the
    /// string's own.
    pub blocks: Vec<u16>,
    /// The worst block and what was measured there, in [`unit`] of the condition.
    pub worst: Option<(u16, f64)>,
}

/// What is wrong with a string and its blocks, worst first.
#[must_use]
pub fn findings(string: &StringRecord) -> Vec<Finding> {
    let standing = |condition: Condition| {
        let level = string.protect.all.level_of(condition).max(worst_level(string, condition));
        (level > Level::Ok).then(|| finding(string, condition, level))
    };
    let mut findings: Vec<_> = Condition::ALL.into_iter().filter_map(standing).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    findings
}

/// Unit of what is measured for a condition; `None` when nothing is.
#[must_use]
pub const fn unit(condition: Condition) -> Option<&'static str> {
    use Condition as C;
    match condition {
        C::VoltageHigh | C::VoltageLow | C::VoltageDeviation | C::VoltageStuck => Some("V"),
        C::OpenLink | C::ShortedCell | C::ReversedCell => Some("V"),
        C::TemperatureHigh | C::TemperatureLow => Some("°C"),
        C::TemperatureRise => Some("K"),
        C::Heating => Some("K/h"),
        C::ResistanceHigh | C::ResistanceCritical | C::ResistanceLow => Some("%"),
        _ => None,
    }
}

fn worst_level(string: &StringRecord, condition: Condition) -> Level {
    string.protect.worst[condition as usize].map_or(Level::Ok, |worst| worst.level)
}

fn finding(string: &StringRecord, condition: Condition, level: Level) -> Finding {
    let blocks = string.protect.blocks.iter().enumerate();
    let blocks = blocks.filter(|(_, found)| found.level_of(condition) > Level::Ok);
    let worst = string.protect.worst[condition as usize].and_then(|worst| {
        let block = string.blocks.get(usize::from(worst.block))?;
        let value = f64::from(worst.value?);
        let volts = matches!(unit(condition), Some("V"));
        let value = if volts { value * scale(string, block) } else { value };
        Some((number(worst.block.into()), value))
    });
    Finding { condition, level, blocks: blocks.map(|(i, _)| number(i)).collect(), worst }
}

/// In words: `block voltage high: blocks 3–5, worst block 4 at 14.93 V`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.text())?;
        match self.blocks[..] {
            [] => return Ok(()),
            [block] => write!(f, ": block {block}")?,
            _ => write!(f, ": blocks {}", Ranges(&self.blocks))?,
        }
        let (Some((block, value)), Some(unit)) = (self.worst, unit(self.condition)) else {
            return Ok(());
        };
        let decimals = if unit == "V" { 2 } else { 1 };
        if self.blocks.len() > 1 {
            write!(f, ", worst block {block}")?;
        }
        write!(f, " at {value:.decimals$} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use evenkeel_core::protect::Worst;

    #[test]
    fn one_row_per_condition_with_its_blocks_the_worst_first() {
        let mut string = testing::string(&[13.6; 6]);
        testing::mark(&mut string, 0, Condition::TemperatureHigh, Level::Warning);
        for block in [2, 3, 4] {
            testing::mark(&mut string, block, Condition::VoltageHigh, Level::Alarm);
        }
        let worst = Worst { block: 3, level: Level::Alarm, value: Some(14.93) };
        string.protect.worst[Condition::VoltageHigh as usize] = Some(worst);
        let texts: Vec<_> = findings(&string).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "block voltage high: blocks 3\u{2013}5, worst block 4 at 14.93 V",
                "block temperature high: block 1"
            ]
        );
    }

    #[test]
    fn a_worst_block_of_other_cells_is_told_in_its_own_volts() {
        let mut string = testing::string(&[13.6, 6.8]);
        string.blocks[1].cells = 3;
        testing::mark(&mut string, 1, Condition::VoltageLow, Level::Alarm);
        let worst = Worst { block: 1, level: Level::Alarm, value: Some(11.0) };
        string.protect.worst[Condition::VoltageLow as usize] = Some(worst);
        assert_eq!(findings(&string)[0].worst, Some((2, 5.5)));
    }
}
