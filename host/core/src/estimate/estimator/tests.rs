//! The estimator of a string, as a guard runs it.

use super::*;
use crate::battery::Chemistry;
use crate::scan::BlockScan;
use proptest::prelude::*;

fn estimator(blocks: usize) -> StringEstimator {
    let config = Config::new(BatteryType::new(Chemistry::Agm, 6, 100.0), blocks);
    StringEstimator::new(config, &Learned::default())
}

fn scan(blocks: &[BlockScan], seconds: u64, amps: Option<f64>) -> StringScan<'_> {
    StringScan {
        now: Nanos::from_secs(seconds),
        wall_s: Some(1_800_000_000 + seconds),
        blocks,
        current_a: amps,
        string_v: None,
        ambient_c: Some(25.0),
    }
}

/// Blocks after `hours` at 20 A; each gives its own capacity until its knee.
fn blocks(hours: f64, capacities_ah: &[f64]) -> Vec<BlockScan> {
    let block = |ah: &f64| {
        let x = hours * 20.0 / (0.8 * ah);
        let cell_v = 2.12 - 0.17 * x - 0.2 * ((x - 1.0) / 0.05).exp();
        BlockScan { voltage_v: Some(6.0 * cell_v), ..BlockScan::default() }
    };
    capacities_ah.iter().map(block).collect()
}

#[test]
fn the_weakest_block_decides_and_is_learned() {
    let mut estimator = estimator(3);
    let float = [BlockScan { voltage_v: Some(13.6), ..BlockScan::default() }; 3];
    estimator.step(&scan(&float, 0, Some(0.0)), Phase::Float);
    let capacities = [90.0, 90.0, 70.0];
    let mut last = None;
    for second in (10..9_900).step_by(10) {
        let now = blocks(second as f64 / 3600.0, &capacities);
        let estimate = estimator.step(&scan(&now, second, Some(-20.0)), Phase::Discharge);
        if let (Some(before), Some(after)) = (last, estimate.runtime_s) {
            assert!(after <= before, "{second} s: from {before} to {after}");
        }
        last = estimate.runtime_s;
    }
    assert_eq!(estimator.estimate.limiting_block, Some(2));
    assert!(last.is_some_and(|s| s < 300.0), "{last:?}");
    let after = estimator.step(&scan(&float, 9_920, Some(10.0)), Phase::Recharge).clone();
    assert_eq!(after.runtime_s, None);
    assert!(after.blocks[2].capacity_ah < 0.9 * after.blocks[0].capacity_ah, "{after:?}");
    assert!(after.blocks[2].learned_depth > 0.5 && after.blocks[2].learned_wall_s > 0);
    // It outlives a restart.
    let again = StringEstimator::new(estimator.config.clone(), estimator.learned());
    assert_eq!(again.learned(), estimator.learned());
}

#[test]
fn what_is_not_known_is_not_shown() {
    let mut estimator = estimator(2);
    let before = estimator.step(&scan(&[BlockScan::default(); 2], 0, None), Phase::Unknown);
    assert!(before.whole.soc.is_nan() && before.runtime_s.is_none() && before.load_w.is_nan());
    assert_eq!(before.whole.learned_depth, 0.0);
    assert!(before.whole.capacity_sigma_ah > 8.0, "a guess says that it is one");
    let now = blocks(0.5, &[90.0, 90.0]);
    let blind = estimator.step(&scan(&now, 10, None), Phase::Discharge);
    assert_eq!(blind.runtime_s, None, "no current, no charge");
}

#[test]
fn nonsense_that_was_learned_is_ignored() {
    let nonsense = LearnedCapacity {
        capacity_ah: 9e9,
        sigma_ah: 1.0,
        depth: 0.5,
        ..LearnedCapacity::default()
    };
    let config = Config::new(BatteryType::new(Chemistry::Agm, 6, 100.0), 1);
    let learned = Learned { whole: Some(nonsense), blocks: vec![Some(nonsense); 9] };
    let estimator = StringEstimator::new(config, &learned);
    assert_eq!(*estimator.learned(), Learned { whole: None, blocks: vec![None] });
}

/// Step a string through a discharge at 20 A; the error of its runtime at
/// a quarter, over the whole time.
fn discharge(estimator: &mut StringEstimator, from_s: u64, capacity_ah: f64) -> f64 {
    let end_s = (0.8 * capacity_ah / 20.0 * 3600.0) as u64;
    let mut error = f64::NAN;
    for second in (0..end_s).step_by(10) {
        let now = blocks(second as f64 / 3600.0, &[capacity_ah]);
        let scan = scan(&now, from_s + second, Some(-20.0));
        let runtime_s = estimator.step(&scan, Phase::Discharge).runtime_s;
        if second <= end_s / 4 {
            let said_s = runtime_s.map_or(f64::NAN, f64::from);
            error = (said_s - (end_s - second) as f64) / end_s as f64;
        }
    }
    error
}

#[test]
fn a_second_discharge_knows_what_the_first_has_taught() {
    let mut estimator = estimator(1);
    let float = [BlockScan { voltage_v: Some(13.6), ..BlockScan::default() }];
    estimator.step(&scan(&float, 0, Some(0.0)), Phase::Float);
    let first = discharge(&mut estimator, 10, 65.0);
    estimator.step(&scan(&float, 19_900, Some(10.0)), Phase::Recharge);
    let learned = estimator.learned().whole.expect("a lesson");
    assert!(learned.depth > 0.7, "{learned:?}");
    let mut second = 19_900;
    for amps in [10.0, 10.0, 10.0, 10.0, 10.0, 5.0, 1.0, 0.1, 0.05] {
        let phase = if amps > 1.0 { Phase::Recharge } else { Phase::Float };
        for _ in 0..100 {
            estimator.step(&scan(&float, second, Some(amps)), phase);
            second += 36;
        }
    }
    assert!(estimator.estimate().whole.soc > 0.99, "{:?}", estimator.estimate().whole);
    let again = discharge(&mut estimator, second, 65.0);
    assert!(again.abs() < 0.06 && again.abs() < 0.6 * first.abs(), "{first}, then {again}");
}

#[test]
fn fits_in_pieces_say_what_a_fit_in_one_piece_says() {
    let run = |work: usize| {
        let mut estimator = estimator(2);
        estimator.config.work = work;
        (0..3_000).step_by(10).for_each(|second| {
            let now = blocks(second as f64 / 3600.0, &[90.0, 90.0]);
            estimator.step(&scan(&now, second, Some(-20.0)), Phase::Discharge);
        });
        f64::from(estimator.estimate().runtime_s.unwrap_or(f32::NAN))
    };
    let (whole_s, pieces_s) = (run(usize::MAX), run(1_000));
    assert!((pieces_s / whole_s - 1.0).abs() < 0.1, "{whole_s} s, in pieces {pieces_s} s");
}

#[test]
fn memory_of_a_string_and_a_block_is_bounded() {
    let string = size_of::<StringEstimator>() + Fitter::heap_bytes();
    let block = size_of::<BlockState>()
        + size_of::<BlockEstimate>()
        + size_of::<Option<LearnedCapacity>>()
        + POINTS * size_of::<f32>();
    assert!(string <= 20 * 1024 && block <= 300, "{string} bytes a string, {block} a block");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_input_harms(
        steps in proptest::collection::vec(
            (0u64..100_000, any::<f64>(), any::<f64>(), -300.0f64..300.0, 0.0f64..40.0, 0u8..8),
            1..40,
        ),
    ) {
        let mut estimator = estimator(2);
        for (seconds, wild_a, wild_v, amps, volts, kind) in steps {
            let pick = |wild: f64, tame: f64| if kind & 1 == 0 { wild } else { tame };
            let block = BlockScan {
                voltage_v: (kind & 2 == 0).then_some(pick(wild_v, volts)),
                temperature_c: Some(pick(wild_a, 25.0)),
                ..BlockScan::default()
            };
            let phase = [Phase::Discharge, Phase::Float, Phase::Unknown, Phase::Recharge]
                [usize::from(kind >> 1)];
            let amps = (kind & 4 == 0).then_some(pick(wild_a, amps));
            let estimate = estimator.step(&scan(&[block; 2], seconds, amps), phase);
            prop_assert!(estimate.runtime_s.is_none_or(|s| s >= 0.0));
            prop_assert!(!(estimate.whole.soc < 0.0 || estimate.whole.soc > 1.0));
        }
    }
}
