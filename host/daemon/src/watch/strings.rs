//! What the guard's verdicts about one string mean as events: alarms, trip,
//! breaker, discharge, feasibility, charger.
//!
//! The guard holds and debounces; here a verdict becomes an event when it
//! differs from what was told. One condition of a string is one event, however
//! many blocks have it; blocks that join later are told when they do.

use super::{EVENT_EVERY, EVENTS};
use crate::plant::{Finding, Plant, findings, number};
use evenkeel_core::alarm::Kind;
use evenkeel_core::discharge::{DischargeRecord, Stage};
use evenkeel_core::equalize::{ChargerVerdict, Feasibility};
use evenkeel_core::events::{Budget, Event};
use evenkeel_core::image::StringRecord;
use evenkeel_core::protect::{BreakerState, Condition, Level};
use evenkeel_core::time::Nanos;
use std::collections::BTreeSet;

/// What was told of one string.
pub struct Verdicts {
    alarms: Vec<Told>,
    budget: Budget,
    tripped: bool,
    breaker_failed: bool,
    discharge: Option<Stage>,
    infeasible: Option<u16>,
    /// The sign of the deviation that was told; 0: set right, or unknown.
    charger: i32,
}

/// A condition that was told.
struct Told {
    condition: Condition,
    level: Level,
    blocks: BTreeSet<u16>,
}

/// The blocks of a string whose bus is lost: the guard knows of them what it
/// knew.
struct Dark {
    /// Counted from 1.
    blocks: BTreeSet<u16>,
    /// None is left.
    whole: bool,
}

impl Dark {
    fn of(plant: &Plant, record: &StringRecord) -> Self {
        let blocks = record.blocks.iter().enumerate();
        let lost = blocks.filter(|(_, block)| plant.bus_lost(block.bus));
        let blocks: BTreeSet<u16> = lost.map(|(b, _)| number(b)).collect();
        let whole = !blocks.is_empty() && blocks.len() == record.blocks.len();
        Self { blocks, whole }
    }

    /// What is found where something is known, and every danger.
    fn visible(&self, record: &StringRecord) -> Vec<Finding> {
        let mut found = findings(record);
        if self.blocks.is_empty() {
            return found;
        }
        found.retain_mut(|finding| {
            if Kind::Finding(finding.condition).is_safety() {
                return true;
            }
            let of_string = record.protect.string.level_of(finding.condition);
            finding.blocks.retain(|block| !self.blocks.contains(block));
            let of_block = |block: &u16| {
                let found = record.protect.blocks.get(usize::from(block - 1));
                found.map_or(Level::Ok, |found| found.level_of(finding.condition))
            };
            let of_blocks = finding.blocks.iter().map(of_block).max().unwrap_or(Level::Ok);
            finding.level = if self.whole { of_blocks } else { of_blocks.max(of_string) };
            finding.level > Level::Ok
        });
        found
    }

    /// Whether nobody can see that what was told is over.
    fn hides(&self, told: &Told) -> bool {
        let of_string = told.blocks.is_empty() && self.whole;
        let seen = Kind::Finding(told.condition).is_safety();
        !seen && (of_string || !told.blocks.is_disjoint(&self.blocks))
    }
}

impl Default for Verdicts {
    fn default() -> Self {
        Self {
            alarms: Vec::new(),
            budget: Budget::new(EVENTS, EVENT_EVERY),
            tripped: false,
            breaker_failed: false,
            discharge: None,
            infeasible: None,
            charger: 0,
        }
    }
}

impl Verdicts {
    /// What is new about string `index` (from 0).
    pub fn step(&mut self, plant: &Plant, index: usize, now: Nanos) -> Vec<Event> {
        let (record, string) = (&plant.snapshot.strings[index], number(index));
        let mut events = Vec::new();
        self.trip(record, string, &mut events);
        self.discharge(record.discharge.as_ref(), string, &mut events);
        self.equalizing(record, string, now, &mut events);
        // Without its bus nobody knows; the dead bus itself is told.
        let dark = Dark::of(plant, record);
        self.alarms(&dark.visible(record), &dark, string, now, &mut events);
        events
    }

    fn trip(&mut self, record: &StringRecord, string: u16, events: &mut Vec<Event>) {
        match (&record.protect.trip, self.tripped) {
            (Some(trip), false) => events.push(Event::Tripped {
                string,
                block: number(trip.block.into()),
                cause: trip.cause,
                temperature_dc: (trip.temperature_c * 10.0).round() as i32,
            }),
            (None, true) => events.push(Event::TripReset { string }),
            _ => {}
        }
        self.tripped = record.protect.trip.is_some();
        let failed = record.protect.breaker == BreakerState::Failed;
        match (failed, self.breaker_failed) {
            (true, false) => events.push(Event::BreakerFailed { string }),
            (false, true) => events.push(Event::BreakerFailureOver { string }),
            _ => {}
        }
        self.breaker_failed = failed;
    }

    fn discharge(
        &mut self,
        record: Option<&DischargeRecord>,
        string: u16,
        events: &mut Vec<Event>,
    ) {
        let Some(record) = record else {
            self.discharge = Some(Stage::None);
            return;
        };
        let was = self.discharge.replace(record.stage);
        match (was, record.stage) {
            (Some(Stage::Discharge), Stage::Discharge) => {}
            (_, Stage::Discharge) => events.push(Event::DischargeBegan { string }),
            (Some(Stage::Discharge), _) => {
                let drawn = record.drawn_ah.filter(|ah| ah.is_finite());
                events.push(Event::DischargeEnded {
                    string,
                    duration_s: record.duration_s.round() as u64,
                    drawn_mah: drawn.map(|ah| (ah * 1e3).round() as u64),
                    first_collapsed: record.order_of_collapse().next().map(|(i, _)| number(i)),
                });
            }
            _ => {}
        }
    }

    fn equalizing(
        &mut self,
        record: &StringRecord,
        string: u16,
        now: Nanos,
        events: &mut Vec<Event>,
    ) {
        // A verdict that is not known (any more) takes nothing back.
        match record.equalize.feasibility {
            Feasibility::Infeasible { block, needs_a, gives_a }
                if self.infeasible != Some(block) && self.budget.spend(now) =>
            {
                self.infeasible = Some(block);
                let (needs_ma, gives_ma) = (milli(needs_a), milli(gives_a));
                let block = number(block.into());
                events.push(Event::EqualizingInfeasible { string, block, needs_ma, gives_ma });
            }
            Feasibility::Feasible if self.infeasible.is_some() && self.budget.spend(now) => {
                self.infeasible = None;
                events.push(Event::EqualizingFeasible { string });
            }
            _ => {}
        }
        let by_mv = match record.equalize.charger {
            ChargerVerdict::Unknown => return,
            ChargerVerdict::Right | ChargerVerdict::NoFloat => 0,
            ChargerVerdict::High { by_v } => i32::try_from(milli(by_v)).unwrap_or(i32::MAX).max(1),
            ChargerVerdict::Low { by_v } => -i32::try_from(milli(by_v)).unwrap_or(i32::MAX).max(1),
        };
        if by_mv.signum() != self.charger && self.budget.spend(now) {
            self.charger = by_mv.signum();
            events.push(match by_mv {
                0 => Event::ChargerRight { string },
                by_mv => Event::ChargerWrong { string, by_mv },
            });
        }
    }

    fn alarms(
        &mut self,
        found: &[Finding],
        dark: &Dark,
        string: u16,
        now: Nanos,
        events: &mut Vec<Event>,
    ) {
        let found: Vec<_> = found.iter().filter(|f| is_event(f)).collect();
        for finding in &found {
            events.extend(self.raised(finding, dark, string, now));
        }
        let budget = &mut self.budget;
        self.alarms.retain(|told| {
            let stands = found.iter().any(|f| f.condition == told.condition);
            let over = !stands && !dark.hides(told) && budget.spend(now);
            if over {
                events.push(Event::AlarmOver { string, condition: told.condition });
            }
            !over
        });
    }

    fn raised(&mut self, finding: &Finding, dark: &Dark, string: u16, now: Nanos) -> Option<Event> {
        let Finding { condition, mut level, ref blocks, .. } = *finding;
        let mut stand: BTreeSet<u16> = blocks.iter().copied().collect();
        let at = self.alarms.iter().position(|told| told.condition == condition);
        if let Some(told) = at.and_then(|at| self.alarms.get(at)).filter(|told| dark.hides(told)) {
            // What was told of what nobody sees now goes on.
            level = level.max(told.level);
            stand.extend(told.blocks.intersection(&dark.blocks));
        }
        let mut news = blocks.clone();
        if let Some(told) = at.and_then(|at| self.alarms.get_mut(at)).filter(|t| level <= t.level) {
            news.retain(|block| !told.blocks.contains(block));
            if news.is_empty() {
                // What fell or went and comes again is told again.
                (told.level, told.blocks) = (level, stand);
                return None;
            }
        }
        if !self.budget.spend(now) {
            return None;
        }
        let told = Told { condition, level, blocks: stand };
        match at.and_then(|at| self.alarms.get_mut(at)) {
            Some(before) => *before = told,
            None => self.alarms.push(told),
        }
        Some(Event::AlarmRaised { string, condition, level, blocks: news })
    }
}

/// Conditions that have events of their own are not told twice.
fn is_event(finding: &Finding) -> bool {
    use Condition as C;
    let own = matches!(finding.condition, C::ModuleLost | C::Tripped | C::BreakerFailed);
    finding.level >= Level::Warning && !own
}

fn milli(amount: f64) -> u32 {
    (amount.abs() * 1e3).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::testing;
    use evenkeel_core::discharge::{BlockDischarge, Collapse, CollapseCause};
    use evenkeel_core::protect::{Trip, TripCause};

    fn step(verdicts: &mut Verdicts, plant: &Plant, second: u64) -> Vec<Event> {
        verdicts.step(plant, 0, Nanos::from_secs(second))
    }

    fn raised(level: Level, blocks: &[u16]) -> Event {
        let (condition, blocks) = (Condition::VoltageHigh, blocks.to_vec());
        Event::AlarmRaised { string: 1, condition, level, blocks }
    }

    fn high(levels: &[Level]) -> Plant {
        let mut plant = testing::plant(&vec![13.6; levels.len()]);
        for (block, level) in levels.iter().enumerate() {
            let string = &mut plant.snapshot.strings[0];
            testing::mark(string, block, Condition::VoltageHigh, *level);
        }
        plant
    }

    #[test]
    fn a_condition_is_one_event_and_those_that_join_are_told() {
        use Level::{Alarm, Ok, Warning};
        let mut verdicts = Verdicts::default();
        assert_eq!(step(&mut verdicts, &high(&[Ok, Ok, Ok]), 0), []);
        assert_eq!(
            step(&mut verdicts, &high(&[Warning, Warning, Ok]), 1),
            [raised(Warning, &[1, 2])]
        );
        assert_eq!(step(&mut verdicts, &high(&[Warning, Warning, Ok]), 2), []);
        assert_eq!(
            step(&mut verdicts, &high(&[Warning, Warning, Warning]), 3),
            [raised(Warning, &[3])]
        );
        assert_eq!(
            step(&mut verdicts, &high(&[Alarm, Warning, Warning]), 4),
            [raised(Alarm, &[1, 2, 3])]
        );
        assert_eq!(step(&mut verdicts, &high(&[Warning, Ok, Ok]), 5), []);
        let over = Event::AlarmOver { string: 1, condition: Condition::VoltageHigh };
        assert_eq!(step(&mut verdicts, &high(&[Ok, Ok, Ok]), 6), [over]);
    }

    #[test]
    fn a_dead_bus_raises_and_clears_nothing() {
        let mut verdicts = Verdicts::default();
        let mut plant = high(&[Level::Alarm]);
        assert_eq!(step(&mut verdicts, &plant, 1).len(), 1);
        plant.snapshot.strings[0].protect.blocks[0] = Default::default();
        plant.snapshot.strings[0].protect.all = Default::default();
        plant.snapshot.buses = vec![testing::bus(true)];
        assert_eq!(step(&mut verdicts, &plant, 2), []);
        plant.snapshot.buses = vec![testing::bus(false)];
        assert!(matches!(step(&mut verdicts, &plant, 3)[..], [Event::AlarmOver { .. }]));
    }

    #[test]
    fn a_dead_bus_hides_its_own_blocks_alone() {
        use Level::{Alarm, Ok, Warning};
        let mut verdicts = Verdicts::default();
        let on = |levels: &[Level], lost| {
            let mut plant = high(levels);
            plant.snapshot.buses = vec![testing::bus(false), testing::bus(lost)];
            let blocks = plant.snapshot.strings[0].blocks.iter_mut();
            blocks.skip(2).for_each(|block| block.bus = 2);
            plant
        };
        assert_eq!(step(&mut verdicts, &on(&[Ok, Ok, Alarm], false), 1), [raised(Alarm, &[3])]);
        // Of block 3 nothing is known any more; of block 1 something new.
        assert_eq!(step(&mut verdicts, &on(&[Ok, Ok, Ok], true), 2), []);
        let joined = [raised(Alarm, &[1])];
        assert_eq!(step(&mut verdicts, &on(&[Warning, Ok, Ok], true), 3), joined);
        assert_eq!(step(&mut verdicts, &on(&[Ok, Ok, Ok], true), 4), [], "3 may have it still");
        let mut danger = on(&[Ok, Ok, Ok], true);
        let fault = Condition::GroundFault;
        danger.snapshot.strings[0].protect.string.insert(fault, Alarm);
        danger.snapshot.strings[0].protect.all.insert(fault, Alarm);
        let told = step(&mut verdicts, &danger, 5);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(matches!(told[0], Event::AlarmRaised { condition, .. } if condition == fault));
        let over = step(&mut verdicts, &on(&[Ok, Ok, Ok], false), 6);
        assert_eq!(over.len(), 2, "{over:?}");
    }

    #[test]
    fn an_alarm_that_flaps_does_not_fill_the_log() {
        let mut verdicts = Verdicts::default();
        let level = |s| if s % 2 == 0 { Level::Alarm } else { Level::Ok };
        let hour = (0..3_600).flat_map(|s| step(&mut verdicts, &high(&[level(s)]), s)).count();
        assert!((200..=20 + 3_600 / 15 + 1).contains(&hour), "{hour} events in an hour");
    }

    #[test]
    fn trip_breaker_and_reset() {
        let mut verdicts = Verdicts::default();
        let mut plant = testing::plant(&[13.6, 13.6]);
        let trip =
            Trip { cause: TripCause::TwoTemperatures, block: 1, temperature_c: 61.5, wall_s: None };
        plant.snapshot.strings[0].protect.trip = Some(trip);
        let told = step(&mut verdicts, &plant, 1);
        let text = told[0].to_string();
        assert!(text.contains("block 2 at 61.5 °C"), "{text}");
        plant.snapshot.strings[0].protect.breaker = BreakerState::Failed;
        assert_eq!(step(&mut verdicts, &plant, 2), [Event::BreakerFailed { string: 1 }]);
        assert_eq!(step(&mut verdicts, &plant, 3), []);
        assert_eq!(
            step(&mut verdicts, &testing::plant(&[13.6, 13.6]), 4),
            [Event::TripReset { string: 1 }, Event::BreakerFailureOver { string: 1 }]
        );
        assert_eq!(step(&mut verdicts, &testing::plant(&[13.6, 13.6]), 5), []);
    }

    #[test]
    fn a_discharge_is_told_with_what_it_did() {
        let mut verdicts = Verdicts::default();
        let mut plant = testing::plant(&[12.0, 12.0]);
        assert_eq!(step(&mut verdicts, &plant, 1), []);
        let collapse = Collapse { at_s: 60.0, v: 9.0, cause: CollapseCause::Cutoff, order: 1 };
        let mut record = DischargeRecord { stage: Stage::Discharge, ..Default::default() };
        record.blocks = vec![
            BlockDischarge::default(),
            BlockDischarge { collapse: Some(collapse), ..Default::default() },
        ];
        plant.snapshot.strings[0].discharge = Some(record.clone());
        assert_eq!(step(&mut verdicts, &plant, 2), [Event::DischargeBegan { string: 1 }]);
        assert_eq!(step(&mut verdicts, &plant, 3), []);
        (record.stage, record.collapsed) = (Stage::After, 1);
        (record.duration_s, record.drawn_ah) = (90.4, Some(12.5));
        plant.snapshot.strings[0].discharge = Some(record.clone());
        let ended = Event::DischargeEnded {
            string: 1,
            duration_s: 90,
            drawn_mah: Some(12_500),
            first_collapsed: Some(2),
        };
        assert_eq!(step(&mut verdicts, &plant, 4), [ended]);
        plant.snapshot.strings[0].discharge =
            Some(DischargeRecord { stage: Stage::Finished, ..record });
        assert_eq!(step(&mut verdicts, &plant, 5), []);
        let old = step(&mut Verdicts::default(), &plant, 6);
        assert_eq!(old, [], "a discharge of long ago is no news");
    }

    #[test]
    fn equalizing_and_charger_are_told_when_they_change() {
        let mut verdicts = Verdicts::default();
        let mut plant = testing::plant(&[13.6]);
        let equalize = |plant: &mut Plant, feasibility, charger| {
            plant.snapshot.strings[0].equalize.feasibility = feasibility;
            plant.snapshot.strings[0].equalize.charger = charger;
        };
        let infeasible = Feasibility::Infeasible { block: 16, needs_a: 0.23, gives_a: 0.15 };
        equalize(&mut plant, infeasible, ChargerVerdict::Low { by_v: 0.84 });
        let told: Vec<_> = step(&mut verdicts, &plant, 1).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "string 1 cannot be equalized: block 17 needs 230 mA, module gives 150",
                "charger of string 1 too low: raise it by 0.84 V"
            ]
        );
        equalize(&mut plant, Feasibility::Unknown, ChargerVerdict::Unknown);
        assert_eq!(step(&mut verdicts, &plant, 2), [], "unknown takes nothing back");
        equalize(&mut plant, Feasibility::Feasible, ChargerVerdict::Right);
        assert_eq!(
            step(&mut verdicts, &plant, 3),
            [Event::EqualizingFeasible { string: 1 }, Event::ChargerRight { string: 1 }]
        );
    }
}
