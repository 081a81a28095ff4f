//! What protection found of a string in a scan, and what it wants done.

use super::breaker::BreakerState;
use super::condition::{CONDITIONS, Condition, Conditions, Findings, Level};
use super::runaway::Trip;
use serde::{Deserialize, Serialize};

/// Findings and demands of one scan of a string.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The worst of everything below.
    pub level: Level,
    /// What is wrong with the string itself.
    pub string: Findings,
    /// What is wrong with each block, in the string's order.
    pub blocks: Vec<Findings>,
    /// String and blocks in one.
    pub all: Findings,
    /// By condition ([`Condition::ALL`]'s order): the worst block.
    pub worst: [Option<Worst>; CONDITIONS],
    /// Why the string is tripped; stays until a person resets it.
    pub trip: Option<Trip>,
    /// A reset was asked for in this scan and refused: the cause persists.
    pub reset_refused: bool,
    /// What the breaker is doing.
    pub breaker: BreakerState,
    /// Relays to be energised now.
    pub relays: Relays,
    /// Every bypass of the string is to be off: alarm of the runaway rule, or tripped.
    pub bypass_off: bool,
    /// Counts alarms as they begin (wraps): one more is a new alarm.
    pub raised: u32,
    /// Float current over what was learned at this temperature; NaN while not known.
    pub float_current_ratio: f64,
}

/// Relays of a string's breaker to be energised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relays {
    /// The relay that trips the breaker.
    pub trip: bool,
    /// The relay for when the breaker does not open.
    pub escalation: bool,
}

/// The worst block of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// Its place in the string, from 0.
    pub block: u16,
    /// Its level.
    pub level: Level,
    /// What was measured, in the condition's unit; `None` where nothing was.
    pub value: Option<f32>,
}

impl Report {
    /// An empty report of so many blocks.
    #[must_use]
    pub fn new(blocks: usize) -> Self {
        Self {
            level: Level::Ok,
            string: Findings::default(),
            blocks: vec![Findings::default(); blocks],
            all: Findings::default(),
            worst: [None; CONDITIONS],
            trip: None,
            reset_refused: false,
            breaker: BreakerState::Closed,
            relays: Relays::default(),
            bypass_off: false,
            raised: 0,
            float_current_ratio: f64::NAN,
        }
    }

    /// Forget the findings but for the counter of alarms; the alarms that stood
    /// go into `before`: one per block, then the string's.
    pub(super) fn begin(&mut self, before: &mut [Conditions]) {
        let stood = self.blocks.iter().chain([&self.string]).map(|f| f.alarm);
        before.iter_mut().zip(stood).for_each(|(before, alarm)| *before = alarm);
        self.string = Findings::default();
        self.blocks.fill(Findings::default());
        self.worst = [None; CONDITIONS];
        self.reset_refused = false;
    }

    /// Something is wrong with the string.
    pub(super) fn mark(&mut self, condition: Condition, level: Level) {
        self.string.insert(condition, level);
    }

    /// Something is wrong with a block; the farther `value` is from `normal`,
    /// the worse.
    pub(super) fn mark_block(
        &mut self,
        block: usize,
        condition: Condition,
        level: Level,
        value: Option<f64>,
        normal: f64,
    ) {
        if level == Level::Ok {
            return;
        }
        let Some(findings) = self.blocks.get_mut(block) else { return };
        findings.insert(condition, level);
        let distance = |value: Option<f32>| value.map_or(0.0, |v| (f64::from(v) - normal).abs());
        let value = value.map(|v| v as f32).filter(|v| v.is_finite());
        let worst = &mut self.worst[condition as usize];
        let worse = worst.is_none_or(|w| {
            level > w.level || (level == w.level && distance(value) > distance(w.value))
        });
        if worse {
            *worst = Some(Worst { block: block as u16, level, value });
        }
    }

    /// Sum up; `before` is what [`Self::begin`] wrote.
    pub(super) fn end(&mut self, before: &[Conditions]) {
        self.all = self.blocks.iter().fold(self.string, |all, block| Findings {
            notice: all.notice.union(block.notice),
            warning: all.warning.union(block.warning),
            alarm: all.alarm.union(block.alarm),
        });
        self.level = self.all.level();
        let stand = self.blocks.iter().chain([&self.string]).map(|f| f.alarm);
        let begun = stand.zip(before).map(|(now, before)| now.without(*before).bits().count_ones());
        self.raised = self.raised.wrapping_add(begun.sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_block_and_new_alarms() {
        let mut report = Report::new(3);
        let mut before = vec![Conditions::default(); 4];
        let mut scan = |marks: &[(usize, Level, f64)]| {
            report.begin(&mut before);
            for (block, level, value) in marks {
                report.mark_block(*block, Condition::VoltageLow, *level, Some(*value), 13.6);
            }
            report.mark_block(9, Condition::VoltageLow, Level::Alarm, None, 13.6);
            report.end(&before);
            let worst = report.worst[Condition::VoltageLow as usize].map(|w| w.block);
            (report.level, worst, report.raised)
        };
        let (low, lower) = ((0, Level::Warning, 11.0), (1, Level::Warning, 10.5));
        assert_eq!(scan(&[]), (Level::Ok, None, 0));
        assert_eq!(scan(&[low, lower]), (Level::Warning, Some(1), 0));
        assert_eq!(scan(&[lower, (2, Level::Alarm, 12.0)]), (Level::Alarm, Some(2), 1));
        let both = [(0, Level::Alarm, 9.0), (2, Level::Alarm, 12.0)];
        assert_eq!(scan(&both), (Level::Alarm, Some(0), 2), "the same condition on a second block");
        assert_eq!(scan(&both), (Level::Alarm, Some(0), 2));
        assert_eq!(scan(&[]), (Level::Ok, None, 2));
    }
}
