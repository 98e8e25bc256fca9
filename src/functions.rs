//! Functions of f32 numbers, without branches, so that loops over them become vector instructions.
//! Errors are a few units in the last place; see the tests. The runtime of `infer` and the CPU
//! paths of `backend` compute with them, each with its own way to find vector instructions out.

use crate::lanes::Lanes;

/// What SimAM adds to a variance.
pub(crate) const SIMAM_LAMBDA: f64 = 1e-4;

/// `e^x`. Arguments beyond ±87 count as ±87, so results are finite and above 0.
///
/// As in Cephes: `x = n ln 2 + r`, a polynomial of `r`, and `n` added to the exponent.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding it leaves the nearest integer in the low bits.
    const LARGE: f32 = 1.5 * (1 << 23) as f32;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + LARGE;
    let n = shifted - LARGE;
    // ln 2 in two parts; n times the first is exact.
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut p = 1.987_569_2e-4;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + c;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (p * (r * r) + r + 1.0) * power
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent, as a quotient of polynomials (Eigen's).
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let x = x.clamp(-7.905_311, 7.905_311);
    let square = x * x;
    let mut p = -2.760_768_5e-16;
    for c in
        [2.000_188e-13, -8.604_672e-11, 5.122_297e-8, 1.485_722_4e-5, 6.372_619e-4, 4.893_524_6e-3]
    {
        p = p * square + c;
    }
    let mut q = 1.198_258_4e-6;
    for c in [1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3] {
        q = q * square + c;
    }
    x * p / q
}

/// The error function, as a quotient of polynomials (Eigen's). It is off by at most 4.5e-7, found
/// at steps of 2e-5 from -10 to 10.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let mut p = -2.726_142_3e-10;
    for c in [
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_6e-5,
        -7.349_906e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ] {
        p = p * square + c;
    }
    let mut q = -1.456_607_2e-5;
    for c in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
        q = q * square + c;
    }
    x * p / q
}

/// `x (1 + erf(x / sqrt(2))) / 2`.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)) * 0.5
}

/// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`.
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    const ROOT: f32 = 0.797_884_6;
    x * (1.0 + tanh(ROOT * (x + 0.044_715 * (x * x * x)))) * 0.5
}

/// Values of a softmax that are computed side by side.
const LANES: usize = 16;

/// Softmax of a row, in place.
#[inline(always)]
pub(crate) fn softmax(row: &mut [f32]) {
    let mut largest = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for values in whole {
        for (largest, &v) in largest.iter_mut().zip(values) {
            *largest = if v > *largest { v } else { *largest };
        }
    }
    let largest = largest.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    row.iter_mut().for_each(|v| *v = exp(*v - largest));
    let sum = Lanes::<LANES>::sum2(row, row, |v, _| f64::from(v));
    let scale = (1.0 / sum) as f32;
    row.iter_mut().for_each(|v| *v *= scale);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error over a range, relative to the larger of the value and `floor`.
    fn error(range: f64, floor: f64, f: fn(f32) -> f32, wanted: impl Fn(f64) -> f64) -> f64 {
        let off = |i: i32| {
            let x = (f64::from(i) / 20_000.0 * range) as f32;
            let wanted = wanted(f64::from(x));
            (f64::from(f(x)) - wanted).abs() / wanted.abs().max(floor)
        };
        (-20_000..=20_000).map(off).fold(0.0, f64::max)
    }

    /// By its integral, Simpson's rule.
    fn exact_erf(x: f64) -> f64 {
        let steps = 200;
        let h = x / f64::from(steps);
        let at = |i: i32| (-(h * f64::from(i)).powi(2)).exp();
        let weight = |i: i32| if i % 2 == 1 { 4.0 } else { 2.0 };
        let inner: f64 = (1..steps).map(|i| weight(i) * at(i)).sum();
        (at(0) + at(steps) + inner) * h / 3.0 * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn functions_err_by_a_few_units_in_the_last_place() {
        let exact_gelu = |x: f64| x * (1.0 + exact_erf(x / 2f64.sqrt())) / 2.0;
        let root = (2.0 / std::f64::consts::PI).sqrt();
        let exact_tanh = |x: f64| x * (1.0 + (root * (x + 0.044715 * x.powi(3))).tanh()) / 2.0;
        let errors = [
            error(86.9, 0.0, exp, f64::exp),
            error(40.0, 0.0, sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
            error(12.0, 0.0, tanh, f64::tanh),
            error(6.0, 0.0, erf, exact_erf),
        ];
        assert!(errors.iter().all(|&error| error < 5e-7), "{errors:?}");
        // Where the parenthesis is nearly 0, its error is multiplied by the argument.
        let errors = [error(6.0, 6.0, gelu, exact_gelu), error(6.0, 6.0, gelu_tanh, exact_tanh)];
        assert!(errors.iter().all(|&error| error < 5e-7), "{errors:?}");
    }

    #[test]
    fn results_stay_within_their_bounds_and_nan_stays() {
        for f in [exp, sigmoid, tanh, erf, gelu, gelu_tanh] {
            assert!(f(f32::NAN).is_nan());
        }
        assert!(exp(1e30).is_finite() && exp(-1e30) > 0.0);
        let ends = [tanh(1e30), -erf(-1e30), sigmoid(1e30)];
        assert!(ends.iter().all(|v| (1.0 - 1e-6..=1.0).contains(v)), "{ends:?}");
    }
}
