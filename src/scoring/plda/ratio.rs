//! The log-likelihood ratio of two transformed vectors.

/// What the ratio needs for enrolments of `n` utterances, worked out once.
///
/// With the mean `e` of the enrolment and the test vector `t`, both transformed, each value's ratio
/// is log N(t; n psi e / (n psi + 1), 1 + psi / (n psi + 1)) - log N(t; 0, 1 + psi).
#[derive(Debug, Clone)]
pub(super) struct Ratio {
    /// n psi / (n psi + 1).
    gain: Vec<f64>,
    /// 1 / (1 + psi / (n psi + 1)).
    same: Vec<f64>,
    /// 1 / (1 + psi).
    other: Vec<f64>,
    /// What does not depend on the vectors.
    constant: f64,
}

impl Ratio {
    /// For enrolments of `count` utterances and the variances `psi` between speakers.
    pub fn new(psi: &[f64], count: usize) -> Self {
        let n = count as f64;
        let same: Vec<f64> = psi.iter().map(|p| 1.0 / (1.0 + p / (n * p + 1.0))).collect();
        let other: Vec<f64> = psi.iter().map(|p| 1.0 / (1.0 + p)).collect();
        let logs: f64 = same.iter().zip(&other).map(|(s, o)| s.ln() - o.ln()).sum();
        let gain = psi.iter().map(|p| n * p / (n * p + 1.0)).collect();
        Self { gain, same, other, constant: 0.5 * logs }
    }

    /// The ratio, natural logarithm.
    pub fn of(&self, enrolled: &[f64], test: &[f64]) -> f64 {
        let vectors = enrolled.iter().zip(test);
        let weights = self.gain.iter().zip(&self.same).zip(&self.other);
        let squares: f64 = vectors
            .zip(weights)
            .map(|((e, t), ((gain, same), other))| {
                let rest = t - gain * e;
                rest * rest * same - t * t * other
            })
            .sum();
        self.constant - 0.5 * squares
    }
}
