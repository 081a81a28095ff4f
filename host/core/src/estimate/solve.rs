//! Linear regression with normal priors in a handful of coefficients, by
//! normal equations and Cholesky's factor: no allocation, no failure but a
//! matrix that is none.

/// Number of coefficients.
pub(super) const N: usize = 6;

/// The normal equations, coefficients counted from their prior means.
#[derive(Clone, Debug)]
pub(super) struct Normal {
    matrix: [[f64; N]; N],
    right: [f64; N],
    square: f64,
    /// −ln of the product of the prior's deviations; the weights are the same
    /// for all that is compared.
    ln_scale: f64,
}

/// The coefficients and how well they explain what was added.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    /// Deviation of each coefficient from its prior mean.
    pub theta: [f64; N],
    /// ln of the evidence, up to what all hypotheses share.
    pub evidence: f64,
    /// Square of what is left unexplained, over its expected variance.
    pub misfit: f64,
    factor: [[f64; N]; N],
}

impl Normal {
    /// Nothing added yet; `sigma` are the deviations of the prior.
    pub(super) fn new(sigma: [f64; N]) -> Self {
        let mut matrix = [[0.0; N]; N];
        let mut ln_scale = 0.0;
        for (i, sigma) in sigma.into_iter().enumerate() {
            let sigma = sigma.max(1e-9);
            matrix[i][i] = 1.0 / (sigma * sigma);
            ln_scale -= sigma.ln();
        }
        Self { matrix, right: [0.0; N], square: 0.0, ln_scale }
    }

    /// A measurement: `row`·θ ≈ `value`, with one over its variance.
    #[inline]
    pub(super) fn add(&mut self, row: &[f64; N], value: f64, weight: f64) {
        for i in 0..N {
            let scaled = weight * row[i];
            self.right[i] += scaled * value;
            for (sum, other) in self.matrix[i][..=i].iter_mut().zip(row) {
                *sum += scaled * other;
            }
        }
        self.square += weight * value * value;
    }

    /// The best coefficients; `None` if a number is none.
    pub(super) fn solve(&self) -> Option<Solution> {
        let mut factor = [[0.0; N]; N];
        let mut ln_diagonal = 0.0;
        for i in 0..N {
            for j in 0..=i {
                let dot: f64 = (0..j).map(|k| factor[i][k] * factor[j][k]).sum();
                let rest = self.matrix[i][j] - dot;
                if i == j {
                    if !(rest > 0.0 && rest.is_finite()) {
                        return None;
                    }
                    factor[i][i] = rest.sqrt();
                    ln_diagonal += factor[i][i].ln();
                } else {
                    factor[i][j] = rest / factor[j][j];
                }
            }
        }
        let theta = back(&factor, &self.right);
        let explained: f64 = theta.iter().zip(&self.right).map(|(t, r)| t * r).sum();
        let misfit = self.square - explained;
        let evidence = self.ln_scale - ln_diagonal - 0.5 * misfit;
        evidence.is_finite().then_some(Solution { theta, evidence, misfit, factor })
    }
}

impl Solution {
    /// Hold a coefficient at or above `least`; the others move with it as
    /// their correlation demands, and the evidence pays for it.
    pub(super) fn bound(&mut self, index: usize, least: f64) {
        let short = least - self.theta[index];
        if short <= 0.0 {
            return;
        }
        let mut unit = [0.0; N];
        unit[index] = 1.0;
        let column = back(&self.factor, &unit);
        for (theta, covariance) in self.theta.iter_mut().zip(&column) {
            *theta += short * covariance / column[index];
        }
        self.theta[index] = least;
        self.misfit += short * short / column[index];
        self.evidence -= 0.5 * short * short / column[index];
    }
}

/// Solve L·Lᵀ·x = b.
fn back(factor: &[[f64; N]; N], right: &[f64; N]) -> [f64; N] {
    let mut x = *right;
    for i in 0..N {
        let dot: f64 = (0..i).map(|k| factor[i][k] * x[k]).sum();
        x[i] = (x[i] - dot) / factor[i][i];
    }
    for i in (0..N).rev() {
        let dot: f64 = (i + 1..N).map(|k| factor[k][i] * x[k]).sum();
        x[i] = (x[i] - dot) / factor[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Normal {
        let mut normal = Normal::new([10.0; N]);
        for i in 0..20 {
            let x = f64::from(i) / 20.0;
            normal.add(&[1.0, x, x * x, 0.0, 0.0, 0.0], 2.0 - 3.0 * x, 1e6);
        }
        normal
    }

    #[test]
    fn a_line_is_found() {
        let solution = line().solve().expect("solvable");
        for (got, want) in solution.theta.iter().zip([2.0, -3.0, 0.0, 0.0, 0.0, 0.0]) {
            assert!((got - want).abs() < 1e-3, "{:?}", solution.theta);
        }
    }

    #[test]
    fn a_bound_holds_and_the_others_make_up_for_it() {
        let free = line().solve().expect("solvable");
        let mut held = free.clone();
        held.bound(2, 0.5);
        assert!((held.theta[2] - 0.5).abs() < 1e-12);
        assert!(held.theta[1] < free.theta[1] - 0.3 && held.evidence < free.evidence);
        let before = held.theta;
        held.bound(2, 0.1);
        assert_eq!(held.theta, before, "already above");
    }

    #[test]
    fn numbers_that_are_none_give_nothing() {
        let mut normal = line();
        normal.add(&[1.0, f64::NAN, 0.0, 0.0, 0.0, 0.0], 1.0, 1.0);
        assert!(normal.solve().is_none());
    }
}
