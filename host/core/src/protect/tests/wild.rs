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

    /// Temperatures that wander like temperatures, in a string whose limits
    /// are near, so that some of them trip.
    #[test]
    fn a_trip_had_its_conditions_for_its_hold_time(
        rates in proptest::collection::vec((-20.0..60.0f64, -20.0..60.0f64, phase(), 1..40usize), 1..30)
    ) {
        let mut rig = Rig::new(3);
        rig.celsius(35.0);
        let mut hot_for_s = 0.0;
        for (a, b, phase, scans) in rates {
            rig.phase = phase;
            for _ in 0..scans {
                for (i, rate) in [a, b].into_iter().enumerate() {
                    let c = rig.blocks[i].temperature_c.unwrap_or(35.0) + rate / 120.0;
                    rig.blocks[i].temperature_c = Some(c.clamp(20.0, 84.0));
                }
                let limit_c = if rig.phase == Phase::Discharge { 75.0 } else { 40.0 };
                let hottest = [0, 1].map(|i| rig.blocks[i].temperature_c.unwrap_or(0.0));
                let hot = hottest.into_iter().any(|c| c >= limit_c);
                hot_for_s = if hot { hot_for_s + 30.0 } else { 0.0 };
                let tripped = rig.scan(30.0).trip;
                // Reset in the model: a trip before is a failure.
                if let Some(trip) = tripped {
                    prop_assert!(hot_for_s >= 300.0 + 30.0, "{trip:?} after {hot_for_s} s");
                    return Ok(());
                }
            }
        }
    }
}
