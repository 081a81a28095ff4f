//! A short campaign, and the proof that its invariants can fail: guardians
//! that do one thing wrong are found out.

use evenkeel_core::bus::master::Master;
use evenkeel_core::bus::wire::{Duty, Outputs};
use evenkeel_core::command::Order;
use evenkeel_core::settings::GuardSettings;
use evenkeel_sim::campaign::{
    self, Around, Case, ControlGuardian, Guardian, Invariant, Kind, Opinion, Violation,
};

/// The first seed of a kind.
fn case(kind: Kind) -> Case {
    (1..).map(Case::of).find(|case| case.kind == kind).expect("every kind occurs")
}

fn violation<G: Guardian>(
    case: Case,
    guardian: impl FnOnce(&GuardSettings) -> G,
) -> Option<Violation> {
    campaign::run(case, guardian).expect("a case").violation
}

#[test]
fn twenty_seeds_hold() {
    let summary = campaign::run_all(1, 20, 2, ControlGuardian::new).expect("cases");
    assert_eq!(summary.failures, std::collections::BTreeMap::new());
    assert!(summary.tally.scans > 20_000 && summary.tally.converged > 5, "{:?}", summary.tally);
}

#[test]
fn a_seed_replays_exactly_on_any_number_of_threads() {
    let run = |threads| {
        let summary = campaign::run_all(100, 3, threads, ControlGuardian::new).expect("cases");
        format!("{summary:?}")
    };
    assert_eq!(run(1), run(3));
}

/// What a wrong guardian does to duties and opinions of the right one.
trait Spoil: FnMut(&Master, &mut [Duty], &mut [Opinion]) {}
impl<F: FnMut(&Master, &mut [Duty], &mut [Opinion])> Spoil for F {}

/// A guardian with one thing wrong.
struct Wrong<F> {
    inner: ControlGuardian,
    spoil: F,
    duties: Vec<Duty>,
    opinions: Vec<Opinion>,
}

impl<F: Spoil> Wrong<F> {
    fn of(settings: &GuardSettings, spoil: F) -> Self {
        let inner = ControlGuardian::new(settings);
        let opinions = (0..settings.strings.len()).map(|s| inner.opinion(s)).collect();
        Self {
            inner,
            spoil,
            duties: settings.modules_of(0).iter().map(|_| Duty::OFF).collect(),
            opinions,
        }
    }
}

impl<F: Spoil> Guardian for Wrong<F> {
    fn step(&mut self, master: &mut Master, around: &Around) {
        self.inner.step(master, around);
        self.duties.copy_from_slice(self.inner.duties());
        for (string, opinion) in self.opinions.iter_mut().enumerate() {
            *opinion = self.inner.opinion(string);
        }
        (self.spoil)(master, &mut self.duties, &mut self.opinions);
        for (string, opinion) in self.opinions.iter().enumerate() {
            if !opinion.tripped {
                master.set_outputs(3 * string + 1, Outputs::default());
            }
        }
        master.command(&self.duties);
    }

    fn duties(&self) -> &[Duty] {
        &self.duties
    }

    fn order(&mut self, order: Order, around: &Around) -> bool {
        self.inner.order(order, around)
    }

    fn restart(&mut self) {
        self.inner.restart();
    }

    fn commanded(&mut self) {
        self.inner.commanded();
    }

    fn opinion(&self, string: usize) -> Opinion {
        self.opinions[string]
    }
}

#[test]
fn a_guardian_that_never_trips_is_found_out() {
    let blind = |_: &Master, _: &mut [Duty], opinions: &mut [Opinion]| {
        opinions.iter_mut().for_each(|o| o.tripped = false);
    };
    let found = violation(case(Kind::Runaway), |s| Wrong::of(s, blind));
    assert_eq!(found.map(|v| v.invariant), Some(Invariant::LateTrip));
}

#[test]
fn a_guardian_that_believes_one_sensor_is_found_out() {
    let nervous = |master: &Master, _: &mut [Duty], opinions: &mut [Opinion]| {
        let hot = |m: &evenkeel_core::bus::master::Module| {
            m.reading.is_some_and(|(reading, _)| reading.temperature_dc > 600)
        };
        opinions[0].tripped |= master.modules().iter().any(hot);
    };
    // Some liar reads 60 °C where nothing is warm.
    let mut liars = (1..).map(Case::of).filter(|case| case.kind == Kind::Lying).take(30);
    let found = liars.find_map(|case| violation(case, |s| Wrong::of(s, nervous)));
    assert_eq!(found.map(|v| v.invariant), Some(Invariant::FalseTrip));
}

#[test]
fn a_guardian_that_ignores_inhibits_is_found_out() {
    let stubborn = |_: &Master, duties: &mut [Duty], _: &mut [Opinion]| duties.fill(Duty::FULL);
    let found = violation(case(Kind::Outage), |s| Wrong::of(s, stubborn));
    assert_eq!(found.map(|v| v.invariant), Some(Invariant::BypassWhileInhibited));
}

#[test]
fn a_guardian_that_goes_on_in_a_pause_is_found_out() {
    let deaf = |_: &Master, duties: &mut [Duty], opinions: &mut [Opinion]| {
        duties.fill(Duty::from_fraction(0.5));
        opinions.iter_mut().for_each(|o| o.inhibited = false);
    };
    let pauses = |case: &Case| {
        let first = case.orders.first().map(|(_, order)| *order);
        matches!(first, Some(Order::Pause { .. }))
    };
    let case = (1..).map(Case::of).find(pauses).expect("some begin with one");
    let found = violation(case, |s| Wrong::of(s, deaf));
    assert_eq!(found.map(|v| v.invariant), Some(Invariant::BypassWhilePaused));
}

#[test]
fn a_guardian_that_forgets_a_trip_is_found_out() {
    let mut trips = 0;
    let forgetful = move |_: &Master, _: &mut [Duty], opinions: &mut [Opinion]| {
        trips += u32::from(opinions[0].tripped);
        opinions[0].tripped &= trips < 20;
    };
    let trips = |case: &Case| {
        let outcome = campaign::run(case.clone(), ControlGuardian::new).expect("a case");
        outcome.tally.tripped > 0
    };
    let mut hot = (1..).map(Case::of).filter(|case| case.kind == Kind::Runaway);
    let found = violation(hot.find(trips).expect("one trips"), |s| Wrong::of(s, forgetful));
    assert_eq!(found.map(|v| v.invariant), Some(Invariant::LatchLost));
}

#[test]
fn a_guardian_that_sees_no_discharge_is_found_out() {
    let blind = |_: &Master, duties: &mut [Duty], opinions: &mut [Opinion]| {
        duties.fill(Duty::from_fraction(0.5));
        opinions.iter_mut().for_each(|o| o.inhibited = false);
    };
    let found = violation(case(Kind::Outage), |s| Wrong::of(s, blind));
    assert_eq!(found.map(|v| v.invariant), Some(Invariant::BypassInDischarge));
}

#[test]
fn a_guardian_that_does_nothing_is_found_out() {
    let idle = |_: &Master, duties: &mut [Duty], _: &mut [Opinion]| duties.fill(Duty::OFF);
    let found = violation(case(Kind::Calm), |s| Wrong::of(s, idle));
    assert_eq!(found.map(|v| v.invariant), Some(Invariant::NotConverged));
    let silent = |_: &Master, _: &mut [Duty], opinions: &mut [Opinion]| {
        opinions.iter_mut().for_each(|o| o.out_of_reach = false);
    };
    let found = violation(case(Kind::OutOfReach), |s| Wrong::of(s, silent));
    assert_eq!(found.map(|v| v.invariant), Some(Invariant::NoVerdict));
}

#[test]
fn a_guardian_that_misreads_is_found_out() {
    let off = |_: &Master, _: &mut [Duty], opinions: &mut [Opinion]| {
        opinions.iter_mut().for_each(|o| o.sum_v += 3.0);
    };
    let found = violation(case(Kind::Calm), |s| Wrong::of(s, off));
    assert_eq!(found.map(|v| v.invariant), Some(Invariant::SumOfVoltages));
}
