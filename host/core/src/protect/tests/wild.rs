//! Whatever comes in: no panic, and no trip whose conditions did not hold.

use super::*;
use proptest::prelude::*;

fn number(plausible: impl Strategy<Value = f64> + 'static) -> BoxedStrategy<Option<f64>> {
    let wild = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1e300), any::<f64>()];
    proptest::option::weighted(0.95, prop_oneof![30 => plausible, 1 => wild]).boxed()
}

fn block() -> impl Strategy<Value = BlockScan> {
    let fields = (number(9.0..16.0f64), number(20.0..85.0f64), any::<f64>(), number(1.0..9.0f64));
    fields.prop_map(|(voltage_v, temperature_c, bypass_a, resistance_mohm)| BlockScan {
        voltage_v,
        beneath_v: resistance_mohm,
        temperature_c,
        bypass_a,
        resistance_mohm,
    })
}

fn phase() -> impl Strategy<Value = Phase> {
    use Phase::{Boost, Discharge, Float, Recharge, Unknown};
    proptest::sample::select(vec![Unknown, Float, Float, Float, Boost, Discharge, Recharge])
}

fn seconds() -> impl Strategy<Value = f64> {
    prop_oneof![20 => Just(10.0), 2 => Just(0.0), 1 => 0.0..1e6f64, 1 => Just(-500.0)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_panics_and_nothing_grows(
        scans in proptest::collection::vec(
            (proptest::collection::vec(block(), 0..6), phase(), seconds(),
             number(-300.0..30.0f64), number(40.0..60.0f64), number(-30.0..70.0f64),
             any::<Option<bool>>(), any::<bool>()),
            1..80,
        )
    ) {
        let mut rig = Rig::new(4);
        rig.baseline = vec![Some(4.0), Some(f32::NAN), Some(0.0)];
        for (blocks, phase, after_s, current_a, string_v, ambient_c, open, reset) in scans {
            (rig.blocks, rig.phase, rig.current_a) = (blocks, phase, current_a);
            (rig.string_v, rig.ambient_c) = (string_v, ambient_c);
            (rig.breaker_open, rig.reset, rig.ground_leak_a) = (open, reset, string_v);
            if after_s < 0.0 {
                rig.now = rig.now - Nanos::from_secs(500);
            }
            let report = rig.scan(after_s.max(0.0)).clone();
            prop_assert_eq!(report.blocks.len(), 4);
            let worst = report.blocks.iter().map(|b| b.level()).max();
            prop_assert_eq!(report.level, report.string.level().max(worst.unwrap_or_default()));
        }
    }
}

/// Two blocks that wander like blocks beside one at rest, without a current
/// sensor: a trip needs two of them hot, or one at 75 °C, for the hold time.
#[test]
fn a_trip_had_its_conditions_for_its_hold_time() {
    use proptest::test_runner::TestRunner;
    use std::cell::Cell;
    let (trips, calm) = (Cell::new(0), Cell::new(0));
    let leg = (-20.0..60.0f64, -20.0..60.0f64, phase(), 1..40usize);
    let legs = proptest::collection::vec(leg, 1..30);
    let run = TestRunner::default().run(&legs, |legs| {
        let mut rig = Rig::new(3);
        rig.celsius(35.0);
        let mut held_s = 0.0;
        for (a, b, phase, scans) in legs {
            rig.phase = phase;
            for _ in 0..scans {
                for (i, rate) in [a, b].into_iter().enumerate() {
                    let c = rig.blocks[i].temperature_c.unwrap_or(35.0) + rate / 120.0;
                    rig.blocks[i].temperature_c = Some(c.clamp(20.0, 84.0));
                }
                let c = [0, 1].map(|i| rig.blocks[i].temperature_c.unwrap_or(0.0));
                let limit_c = if phase == Phase::Discharge { 75.0 } else { 40.0 };
                let both = c.into_iter().all(|c| c >= limit_c);
                let holds = both || c.into_iter().any(|c| c >= 75.0);
                held_s = if holds { held_s + 30.0 } else { 0.0 };
                if let Some(trip) = rig.scan(30.0).trip {
                    prop_assert!(held_s >= 300.0 + 30.0, "{trip:?} after {held_s} s");
                    trips.set(trips.get() + 1);
                    return Ok(());
                }
            }
        }
        calm.set(calm.get() + 1);
        Ok(())
    });
    assert!(run.is_ok(), "{run:?}");
    assert!(trips.get() > 0 && calm.get() > 0, "{} trips, {} none", trips.get(), calm.get());
}
