//! What the guard's verdicts are called by people.

use evenkeel_core::battery::ModuleKind;
use evenkeel_core::battery_test::{Report as TestReport, State};
use evenkeel_core::bus::topology::{Cable, Spot};
use evenkeel_core::bus::wire::DeviceKind;
use evenkeel_core::equalize::{ChargerVerdict, Feasibility};
use evenkeel_core::health::{AdviceText, HealthReport, StringText};
use evenkeel_core::image::BusWork;
use evenkeel_core::protect::Trip;
use evenkeel_core::scan::Phase;
use evenkeel_core::settings::kind_name;

/// What a string is doing.
#[must_use]
pub const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Unknown => "unknown",
        Phase::Float => "float",
        Phase::Boost => "boost",
        Phase::Discharge => "discharge",
        Phase::Recharge => "recharge",
    }
}

/// Whether the charger is set right.
#[must_use]
pub fn charger(verdict: ChargerVerdict) -> String {
    match verdict {
        ChargerVerdict::Unknown => "not known yet".to_owned(),
        ChargerVerdict::Right => "right".to_owned(),
        ChargerVerdict::Low { by_v } => format!("too low: raise it by {by_v:.2} V"),
        ChargerVerdict::High { by_v } => format!("too high: lower it by {by_v:.2} V"),
        ChargerVerdict::NoFloat => "this chemistry has no float voltage".to_owned(),
    }
}

/// Whether a string can be equalized.
#[must_use]
pub fn feasibility(verdict: Feasibility) -> String {
    match verdict {
        Feasibility::Unknown => "not known yet".to_owned(),
        Feasibility::Feasible => "feasible".to_owned(),
        Feasibility::Infeasible { block, needs_a, gives_a } => format!(
            "block {} needs {} mA, module gives {}",
            u32::from(block) + 1,
            milli(needs_a),
            milli(gives_a)
        ),
    }
}

/// Why a string was tripped.
#[must_use]
pub fn trip(trip: &Trip) -> String {
    let block = u32::from(trip.block) + 1;
    format!("{}, block {block} at {:.1} °C", trip.cause.text(), trip.temperature_c)
}

/// What to do about block `index` (from 0); empty for nothing.
#[must_use]
pub fn block_advice(health: &HealthReport, index: usize) -> String {
    match health.blocks.get(index) {
        Some(block) if block.advice.action.rank() > 0 => {
            AdviceText { number: index + 1, health: block }.to_string()
        }
        _ => String::new(),
    }
}

/// The gravest advice about a string: as a whole, or the worst block's; empty
/// for none.
#[must_use]
pub fn worst_advice(health: &HealthReport) -> String {
    let whole = StringText(health).to_string();
    if !whole.is_empty() {
        return whole;
    }
    let blocks = health.blocks.iter().enumerate();
    let worst = blocks.rev().max_by_key(|(_, block)| block.advice.action.rank());
    worst.map_or_else(String::new, |(index, _)| block_advice(health, index))
}

/// How a cable is.
#[must_use]
pub fn cable(cable: Cable) -> String {
    match cable {
        Cable::Whole => "whole".to_owned(),
        Cable::Broken(at) => format!("broken {}", spot(at)),
        Cable::Cut { first, last, unreachable } => {
            format!("broken {} and {}; {unreachable} modules unreachable", spot(first), spot(last))
        }
        Cable::Unclear => "loose contact: answers contradict each other".to_owned(),
        Cable::LastSilent(at) => format!("last module or its cable silent, {}", spot(at)),
    }
}

fn spot(at: Spot) -> String {
    match (at.after, at.before) {
        (Some(after), Some(before)) => format!("between addresses {after} and {before}"),
        (None, Some(before)) => format!("between the bus converter and address {before}"),
        (Some(after), None) => format!("between address {after} and the bus converter"),
        (None, None) => "at the bus converter".to_owned(),
    }
}

/// What a person has a bus do; empty for nothing.
#[must_use]
pub fn bus_work(work: BusWork) -> String {
    match work {
        BusWork::None => String::new(),
        BusWork::Discovering { searches } => format!("searching, {searches} searches so far"),
        BusWork::Discovered { incomplete: true, .. } => {
            "search given up: too many stations, or a line that garbles everything".to_owned()
        }
        BusWork::Discovered { unclear: 0, .. } => "search complete".to_owned(),
        BusWork::Discovered { unclear, .. } => {
            format!("search complete, {unclear} serial numbers cannot be told apart")
        }
        BusWork::Addressing { next, done, of, note } => {
            format!("address {next} next, {done} of {of} done: {}", note.text())
        }
        BusWork::Addressed { count } => format!("{count} addresses given"),
        BusWork::LocatingBreak => "locating the break of the ring".to_owned(),
    }
}

/// Where a battery test stands.
#[must_use]
pub fn test_state(test: &TestReport) -> String {
    match test.state {
        State::Idle => "no test so far".to_owned(),
        State::Waiting => match test.hold {
            Some(hold) => format!("due, waits: {}", hold.reason.text()),
            None => "due".to_owned(),
        },
        State::Starting => "starting".to_owned(),
        State::Running => "running".to_owned(),
        State::Stopping(None) => "ending".to_owned(),
        State::Stopping(Some(cause)) => format!("being stopped: {}", cause.text()),
        State::Done => match test.verdict {
            Some(verdict) => verdict.text().to_owned(),
            None => "done".to_owned(),
        },
        State::Aborted(cause) => format!("not completed: {}", cause.text()),
    }
}

/// A battery test draws current, or is about to or about to end.
#[must_use]
pub const fn is_under_way(test: &TestReport) -> bool {
    matches!(test.state, State::Starting | State::Running | State::Stopping(_))
}

/// What a station of this type code is.
#[must_use]
pub fn kind(type_code: u8) -> String {
    if let Some(kind) = DeviceKind::from_code(type_code) {
        return kind_name(kind).to_owned();
    }
    let module = ModuleKind::ALL.into_iter().map(ModuleKind::data);
    match module.into_iter().find(|data| data.code == type_code) {
        Some(data) => data.name.to_owned(),
        None => format!("unknown type {type_code}"),
    }
}

fn milli(amperes: f64) -> i64 {
    (amperes * 1e3).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_name_the_block_and_what_to_do() {
        let infeasible = Feasibility::Infeasible { block: 16, needs_a: 0.23, gives_a: 0.15 };
        assert_eq!(feasibility(infeasible), "block 17 needs 230 mA, module gives 150");
        assert_eq!(charger(ChargerVerdict::Low { by_v: 0.84 }), "too low: raise it by 0.84 V");
        let broken = Cable::Broken(Spot { after: Some(4), before: Some(5) });
        assert_eq!(cable(broken), "broken between addresses 4 and 5");
    }

    #[test]
    fn every_station_has_a_name() {
        assert_eq!(kind(DeviceKind::Panel.code()), "panel");
        assert_eq!(kind(ModuleKind::C20.data().code), ModuleKind::C20.data().name);
        assert_eq!(kind(255), "unknown type 255");
    }
}
