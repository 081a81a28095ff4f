//! A small trained network that reads a discharge curve: how much is left.
//!
//! The hypotheses of [`super::hypothesis`] know the published shapes; the
//! network has seen twenty-four thousand cells of each chemistry that were put
//! together from random parts (open-circuit curve, collapse, resistance, effect
//! of the rate, health), none of them a published model. Their errors differ,
//! so what they say together ([`super::fit`]) is better than either.
//!
//! # Terms
//! *Features* describe the discharge so far ([`features`]). Two layers of
//! `x / (1 + |x|)` and a straight way past them give five numbers: the median of
//! ln(charge left / charge expected) and, by way of ln(1 + eˣ), the distances of
//! the 25 and 75 % and of the 10 and 90 % quantiles from their neighbours.
//!
//! The weights are made by `host/tool/train` (its README says how, and what the
//! population is); they were never fitted to a recording or a named model.
//!
//! # Files
//! `<chemistry>.weights`, little-endian: mean and deviation of each feature
//! (f32); then each of seven tables (first layer and its offsets, second, third,
//! the straight way): a scale (f32) and its numbers over that scale (i16), an
//! input's row after the other.

pub(super) mod features;

use features::COUNT;

use crate::battery::Chemistry;

/// Nodes of the two hidden layers, and what comes out.
const HIDDEN: (usize, usize) = (48, 32);
const OUT: usize = 5;
/// Rows and columns of the tables, in their order.
const TABLES: [(usize, usize); 7] = [
    (COUNT, HIDDEN.0),
    (1, HIDDEN.0),
    (HIDDEN.0, HIDDEN.1),
    (1, HIDDEN.1),
    (HIDDEN.1, OUT),
    (1, OUT),
    (COUNT, OUT),
];
/// Bytes of a file.
const BYTES: usize = {
    let (mut bytes, mut i) = (8 * COUNT, 0);
    while i < TABLES.len() {
        bytes += 4 + 2 * TABLES[i].0 * TABLES[i].1;
        i += 1;
    }
    bytes
};
/// A feature further from its mean than this many deviations is taken as here.
const REACH: f32 = 5.0;

/// Trained weights of a chemistry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Net {
    bytes: &'static [u8; BYTES],
}

/// A table of a file: its numbers are `scale` times what stands there.
#[derive(Clone, Copy)]
struct Table {
    scale: f32,
    numbers: &'static [u8],
    columns: usize,
}

impl Net {
    /// The weights for this chemistry.
    pub(super) const fn of(chemistry: Chemistry) -> Self {
        let bytes = match chemistry {
            Chemistry::Flooded | Chemistry::Agm | Chemistry::Gel => {
                include_bytes!("lead.weights")
            }
            Chemistry::NiCd | Chemistry::NiMh => include_bytes!("nickel.weights"),
            Chemistry::Lfp => include_bytes!("lfp.weights"),
            Chemistry::Nmc => include_bytes!("nmc.weights"),
        };
        Self { bytes }
    }

    /// ln(charge left / charge expected): its 10, 25, 50, 75 and 90 %
    /// quantiles, ascending. Finite for finite features.
    pub(super) fn ln_left(self, features: &[f32; COUNT]) -> [f32; OUT] {
        let mut x = *features;
        let means = self.bytes[..4 * COUNT].chunks_exact(4);
        let scales = self.bytes[4 * COUNT..8 * COUNT].chunks_exact(4);
        for ((x, mean), scale) in x.iter_mut().zip(means).zip(scales) {
            *x = ((*x - float(mean)) / float(scale)).clamp(-REACH, REACH);
        }
        let tables = self.tables();
        let mut first = [0.0; HIDDEN.0];
        tables[1].add(&[1.0], &mut first);
        tables[0].add(&x, &mut first);
        first.iter_mut().for_each(|x| *x /= 1.0 + x.abs());
        let mut second = [0.0; HIDDEN.1];
        tables[3].add(&[1.0], &mut second);
        tables[2].add(&first, &mut second);
        second.iter_mut().for_each(|x| *x /= 1.0 + x.abs());
        let mut out = [0.0; OUT];
        tables[5].add(&[1.0], &mut out);
        tables[4].add(&second, &mut out);
        tables[6].add(&x, &mut out);
        let [lowest, low, middle, high, highest] = out;
        let (low, high) = (middle - softplus(low), middle + softplus(high));
        [low - softplus(lowest), low, middle, high, high + softplus(highest)]
    }

    fn tables(self) -> [Table; 7] {
        let mut from = 8 * COUNT;
        TABLES.map(|(rows, columns)| {
            let numbers = from + 4;
            let scale = float(&self.bytes[from..numbers]);
            from = numbers + 2 * rows * columns;
            Table { scale, numbers: &self.bytes[numbers..from], columns }
        })
    }
}

impl Table {
    /// `out` += `x` · table.
    fn add(&self, x: &[f32], out: &mut [f32]) {
        for (x, row) in x.iter().zip(self.numbers.chunks_exact(2 * self.columns)) {
            let x = x * self.scale;
            for (out, number) in out.iter_mut().zip(row.chunks_exact(2)) {
                *out += x * f32::from(i16::from_le_bytes([number[0], number[1]]));
            }
        }
    }
}

/// A little-endian number; four bytes.
fn float(bytes: &[u8]) -> f32 {
    bytes.try_into().map_or(f32::NAN, f32::from_le_bytes)
}

/// ln(1 + eˣ).
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the training program says of the same features: a line has the
    /// chemistry, the features and the five answers.
    #[test]
    fn it_says_what_it_said_in_training() {
        let mut lines = 0;
        for line in include_str!("answers.txt").lines() {
            let (name, numbers) = line.split_once(' ').expect("a name");
            let chemistry = match name {
                "lead" => Chemistry::Agm,
                "nickel" => Chemistry::NiCd,
                "lfp" => Chemistry::Lfp,
                _ => Chemistry::Nmc,
            };
            let numbers: Vec<f32> = numbers.split(' ').map(|n| n.parse().expect("f32")).collect();
            let features = numbers[..COUNT].try_into().expect("all features");
            let got = Net::of(chemistry).ln_left(&features);
            for (got, want) in got.iter().zip(&numbers[COUNT..]) {
                // Numbers of sixteen bits.
                assert!((got - want).abs() < 0.01, "{name}: {got} for {want}");
            }
            lines += 1;
        }
        assert_eq!(lines, 40);
    }

    proptest! {
        #[test]
        fn any_number_gives_an_ordered_answer(
            features in proptest::array::uniform28(any::<f32>()),
        ) {
            prop_assume!(features.iter().all(|x| x.is_finite()));
            for chemistry in Chemistry::ALL {
                let answer = Net::of(chemistry).ln_left(&features);
                prop_assert!(answer.iter().all(|x| x.is_finite()), "{answer:?}");
                prop_assert!(answer.is_sorted(), "{answer:?}");
            }
        }
    }
}
