//! Temperatures as the law may use them.
//!
//! A module with its sensor inside sits on the block and warms its own sensor
//! by several kelvin at full bypass (facts/battery-science.md §3.5). Taken for
//! the block's, that warmth would lower the block's target, which asks for more
//! bypass, which warms the sensor more. So it is subtracted here, from the
//! bypass that the module reports, with the heat sink's time constant.
//! Protection goes on with the sensor's own value: to read too warm is its
//! safe side.

/// Rise of an internal sensor per watt of bypass, K/W: about 3 K at the peak of
/// 2.2 W; a fifth of the heat sink's own 7 K/W.
const SENSOR_K_PER_W: f64 = 1.4;
/// Time constant of the heat sink, s.
const SINK_S: f64 = 360.0;
/// Average of a block's temperature, s: blocks take hours, sensors have steps.
const AVERAGE_S: f64 = 300.0;

/// One block's temperature.
#[derive(Clone, Copy, Debug)]
pub(super) struct Warmth {
    internal_sensor: bool,
    rise_k: f64,
    celsius: Option<f64>,
}

impl Warmth {
    pub fn new(internal_sensor: bool) -> Self {
        Self { internal_sensor, rise_k: 0.0, celsius: None }
    }

    /// Another sensor: its own heat starts from nothing.
    pub fn set_internal_sensor(&mut self, internal: bool) {
        if self.internal_sensor != internal {
            *self = Self::new(internal);
        }
    }

    /// A scan: °C of the sensor and W of the bypass before it.
    pub fn step(&mut self, celsius: Option<f64>, watts: f64, dt_s: f64) {
        if self.internal_sensor && watts.is_finite() {
            let end_k = SENSOR_K_PER_W * watts.clamp(0.0, 5.0);
            self.rise_k += dt_s / (dt_s + SINK_S) * (end_k - self.rise_k);
        }
        self.celsius = celsius.filter(|c| c.is_finite()).map(|now| {
            let now = now - self.rise_k;
            self.celsius.map_or(now, |last| last + dt_s / (dt_s + AVERAGE_S) * (now - last))
        });
    }

    /// The block's own temperature, °C.
    pub fn celsius(&self) -> Option<f64> {
        self.celsius
    }
}

/// How far the target of a block that is `warmer_k` warmer than the string's
/// median is lowered, K: not at all up to 2 K, wholly from 3 K on, and in
/// between without a jump (§2.7: never spend bypass to lift a block that is
/// more than 3 K warmer).
pub(super) fn lowered_k(warmer_k: f64) -> f64 {
    warmer_k.max(0.0) * (warmer_k - 2.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_heat_is_taken_off_an_internal_sensor_alone() {
        let settled = |internal| {
            let mut warmth = Warmth::new(internal);
            (0..7_200).for_each(|_| warmth.step(Some(28.0), 2.0, 1.0));
            warmth.celsius().expect("measured")
        };
        assert!((settled(true) - 25.2).abs() < 0.01, "{}", settled(true));
        assert!((settled(false) - 28.0).abs() < 1e-9);
    }

    #[test]
    fn another_sensor_starts_anew() {
        let mut warmth = Warmth::new(true);
        (0..3_600).for_each(|_| warmth.step(Some(28.0), 2.0, 1.0));
        warmth.set_internal_sensor(true);
        assert!(warmth.celsius().is_some(), "the same one goes on");
        warmth.set_internal_sensor(false);
        warmth.step(Some(25.0), 2.0, 1.0);
        assert_eq!(warmth.celsius(), Some(25.0));
    }

    #[test]
    fn targets_are_lowered_without_a_jump() {
        for (warmer_k, lowered) in [(-5.0, 0.0), (2.0, 0.0), (2.5, 1.25), (3.0, 3.0), (8.0, 8.0)] {
            assert!((lowered_k(warmer_k) - lowered).abs() < 1e-12, "{warmer_k}");
        }
    }
}
