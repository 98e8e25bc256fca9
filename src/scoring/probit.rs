//! The standard normal distribution: its quantile and the inverse of that.

/// Quantile of the standard normal distribution (Acklam's rational approximation, relative error
/// below 1.2e-9); infinite at 0 and 1.
pub(super) fn probit(p: f64) -> f64 {
    const A: [f64; 6] = [
        -39.69683028665376,
        220.9460984245205,
        -275.9285104469687,
        138.357751867269,
        -30.66479806614716,
        2.506628277459239,
    ];
    const B: [f64; 5] = [
        -54.47609879822406,
        161.5858368580409,
        -155.6989798598866,
        66.80131188771972,
        -13.28068155288572,
    ];
    const C: [f64; 6] = [
        -0.007784894002430293,
        -0.3223964580411365,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] =
        [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416];
    let poly = |c: &[f64], x: f64| c.iter().fold(0.0, |acc, k| acc * x + k);
    if p > 0.5 {
        return -probit(1.0 - p);
    }
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p < 0.02425 {
        let q = (-2.0 * p.ln()).sqrt();
        return poly(&C, q) / (poly(&D, q) * q + 1.0);
    }
    let q = p - 0.5;
    let r = q * q;
    poly(&A, r) * q / (poly(&B, r) * r + 1.0)
}

/// The probability of values below `z`: the inverse of [`probit`], by bisection.
pub(super) fn cumulative(z: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        *(if probit(middle) < z { &mut low } else { &mut high }) = middle;
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles from tables of the normal distribution.
    #[test]
    fn probit_is_the_normal_quantile() {
        for (p, z) in
            [(0.5, 0.0), (0.975, 1.959_963_985), (0.001, -3.090_232_306), (0.2, -0.841_621_234)]
        {
            assert!((probit(p) - z).abs() < 1e-7, "{p}");
            assert!((cumulative(z) - p).abs() < 1e-8, "{z}");
        }
        assert_eq!((probit(0.0), probit(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn there_and_back() {
        for p in [1e-6, 1e-5, 0.003, 0.02425, 0.1, 0.7, 0.95] {
            assert!((cumulative(probit(p)) / p - 1.0).abs() < 1e-7, "{p}");
        }
    }
}
