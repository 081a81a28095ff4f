//! What a discharge so far looks like, in numbers without a unit.
//!
//! The same numbers in the same order are what the network was trained with
//! (`host/tool/train/features.py`); changing one means training again.

use super::super::shape::interpolate;

/// How many.
pub(in super::super) const COUNT: usize = 10 + (AT.len() - 1) + WINDOWS.len() + 1;
/// Points at most, with the voltage of now.
const POINTS_MAX: usize = super::super::curve::POINTS + 1;
/// Shares of the charge drawn at which the voltage is read; the last is now.
const AT: [f64; 13] = [0.03, 0.08, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.82, 0.88, 0.94, 1.0];
/// Falls from each of these (indices of [`AT`]) until now.
const WINDOWS: [usize; 5] = [11, 10, 8, 5, 2];
/// Where the late and the middle part of the curve begin (indices of [`AT`]).
const LATE: usize = 10;
const MIDDLE: usize = 3;
/// The least voltage above the cut-off and the least falls that count, V.
const LEFT_MIN_V: f64 = 0.002;
const WINDOW_MIN_V: f64 = 0.001;
const PART_MIN_V: f64 = 0.0002;
/// A fall of this, V over the charge drawn, is neither flat nor steep.
const FALL_V: f64 = 0.02;

/// A discharge so far.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Scene {
    /// Charge drawn and missing at the start, Ah, as the present current
    /// counts it.
    pub drawn_ah: f64,
    pub missing_ah: f64,
    /// Expected of a full discharge at this load, Ah, and its deviation in ln.
    pub expected_ah: f64,
    pub expected_sigma: f64,
    pub rated_ah: f64,
    /// Current out of the battery, A.
    pub amps: f64,
    pub celsius: f64,
    /// V per cell.
    pub cutoff_v: f64,
    /// Ohmic drop that a new block would have, V per cell.
    pub drop_v: f64,
    /// The load is a constant power.
    pub power: bool,
}

/// The features, and the voltage now, V per cell; `points` are charge drawn
/// (Ah) and voltage of a cell at the present current, in order. `None` if a
/// number is none.
pub(in super::super) fn features(
    scene: &Scene,
    points: impl Iterator<Item = (f64, f64)>,
) -> Option<([f32; COUNT], f64)> {
    let total_ah = (scene.drawn_ah + scene.missing_ah).max(0.002 * scene.expected_ah);
    let at = read(points.map(|(ah, volts)| ((ah + scene.missing_ah) / total_ah, volts)))?;
    let now_v = at[AT.len() - 1];
    let left_v = (now_v - scene.cutoff_v).max(LEFT_MIN_V);
    let known = [
        (total_ah / scene.expected_ah).ln(),
        (scene.amps / scene.rated_ah).ln(),
        (scene.celsius - 25.0) / 15.0,
        scene.expected_sigma,
        if scene.power { 1.0 } else { 0.0 },
        scene.missing_ah / total_ah,
        scene.cutoff_v,
        scene.drop_v,
        now_v,
        left_v.ln(),
    ];
    let falls = (1..AT.len()).map(|i| {
        let fall_v = (at[i - 1] - at[i]) / (AT[i] - AT[i - 1]);
        (fall_v / FALL_V).asinh()
    });
    let windows =
        WINDOWS.iter().map(|i| ((at[*i] - now_v) / (1.0 - AT[*i])).max(WINDOW_MIN_V).ln());
    let late_v = (at[LATE] - now_v).max(PART_MIN_V) / (1.0 - AT[LATE]);
    let middle_v = (at[MIDDLE] - at[LATE]).max(PART_MIN_V) / (AT[LATE] - AT[MIDDLE]);
    let bend = core::iter::once((late_v / middle_v).ln());
    let mut features = [0.0; COUNT];
    let all = known.into_iter().chain(falls).chain(windows).chain(bend);
    for (slot, number) in features.iter_mut().zip(all) {
        *slot = number as f32;
    }
    features.iter().all(|x| x.is_finite()).then_some((features, now_v))
}

/// The voltage at each of [`AT`]; `points` are shares and volts, in order.
fn read(points: impl Iterator<Item = (f64, f64)>) -> Option<[f64; AT.len()]> {
    let mut curve = [(0.0, 0.0); POINTS_MAX];
    let mut count = 0_usize;
    for (slot, point) in curve[..POINTS_MAX - 1].iter_mut().zip(points) {
        *slot = point;
        count += 1;
    }
    // The last point is an average of the last while: on to now.
    let (share, volts) = curve[count.checked_sub(1)?];
    let now_v = if count > 1 {
        let (before, before_v) = curve[count - 2];
        let slope = (volts - before_v) / (share - before).max(1e-9);
        volts + slope.min(0.0) * (1.0 - share).max(0.0)
    } else {
        volts
    };
    curve[count] = (share.max(1.0), now_v);
    let curve = &curve[..=count];
    Some(AT.map(|at| interpolate(curve, at.clamp(curve[0].0, curve[count].0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENE: Scene = Scene {
        drawn_ah: 40.0,
        missing_ah: 0.0,
        expected_ah: 80.0,
        expected_sigma: 0.12,
        rated_ah: 100.0,
        amps: 10.0,
        celsius: 25.0,
        cutoff_v: 1.75,
        drop_v: 0.01,
        power: false,
    };

    #[test]
    fn a_straight_line_falls_alike_everywhere() {
        let line = (0..32).map(|i| (1.25 * (f64::from(i) + 0.5), 2.1 - 0.002 * f64::from(i)));
        let (features, now_v) = features(&SCENE, line).expect("numbers");
        assert!((now_v - 2.037).abs() < 1e-9, "{now_v}");
        assert!((f64::from(features[0]) - 0.5_f64.ln()).abs() < 1e-6);
        // The first reading is at the first point's share, all others between.
        assert!(features[11..22].iter().all(|f| (f - features[11]).abs() < 1e-4), "{features:?}");
        assert!(features[COUNT - 1].abs() < 1e-4, "no bend: {features:?}");
    }

    #[test]
    fn without_numbers_there_are_no_features() {
        assert!(features(&SCENE, core::iter::empty()).is_none());
        assert!(features(&SCENE, core::iter::once((1.0, f64::NAN))).is_none());
        let nothing = Scene { amps: 0.0, ..SCENE };
        assert!(features(&nothing, core::iter::once((1.0, 2.1))).is_none());
        let (flat, _) = features(&SCENE, core::iter::once((0.0, 2.1))).expect("a voltage");
        assert_eq!(flat[10..22], [0.0; 12]);
        // A clock that stood still.
        assert!(features(&SCENE, [(0.0, 2.1); 40].into_iter()).is_none_or(|(f, _)| f[8] > 2.0));
    }
}
