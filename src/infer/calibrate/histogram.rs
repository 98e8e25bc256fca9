//! What values a layer reads or makes, and the range that bytes have to stand for.

use crate::infer::kernels::Scale;
use crate::quant::RangeMethod;

/// Bins of the values on either side of 0.
const BINS: usize = 2048;
/// The part of the values on either side of 0 that a range by percentile holds.
const PERCENTILE: f64 = 0.9999;
/// Ranges that are tried for the least squared error: values are cut off at one of so many equal
/// parts of the largest, at two, and so on.
const FRACTIONS: u32 = 32;

/// The largest values on either side of 0.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Peaks {
    negative: f32,
    positive: f32,
    /// Whether there was a value that is not finite.
    is_endless: bool,
}

impl Peaks {
    /// Takes notice of values.
    pub fn see(&mut self, values: &[f32]) {
        for &value in values {
            self.negative = self.negative.max(-value);
            self.positive = self.positive.max(value);
        }
        self.is_endless |= !values.iter().all(|value| value.is_finite());
    }
}

/// How often values occurred.
#[derive(Debug)]
pub(super) struct Histogram {
    negative: Side,
    positive: Side,
}

/// Values on one side of 0, without their sign. 0 itself is on none.
#[derive(Debug)]
struct Side {
    most: f32,
    /// Bins of a value of 1.
    factor: f32,
    counts: Vec<u64>,
}

impl Side {
    fn new(most: f32) -> Self {
        Self { most, factor: BINS as f32 / most, counts: vec![0; BINS] }
    }

    fn see(&mut self, value: f32) {
        // A product that is too large becomes the largest integer.
        let bin = (value * self.factor) as usize;
        self.counts[bin.min(BINS - 1)] += 1;
    }

    /// What divides the values into those of a range by percentile and the others.
    fn percentile(&self) -> f32 {
        let count: u64 = self.counts.iter().sum();
        let wanted = (count as f64 * PERCENTILE).ceil() as u64;
        let mut within = 0;
        let last = self.counts.iter().position(|count| {
            within += count;
            within >= wanted
        });
        last.map_or(0.0, |bin| self.place(bin as f64 + 1.0) as f32)
    }

    /// The value so many bins from 0.
    fn place(&self, bins: f64) -> f64 {
        f64::from(self.most) * (bins / BINS as f64)
    }

    /// The squared error of all values, which have this sign, when they become bytes.
    fn error(&self, scale: Scale, sign: f32) -> f64 {
        let of = |(bin, &count): (usize, &u64)| {
            let value = sign * self.place(bin as f64 + 0.5) as f32;
            let error = f64::from(scale.value(scale.byte(value))) - f64::from(value);
            count as f64 * error * error
        };
        self.counts.iter().enumerate().filter(|&(_, &count)| count > 0).map(of).sum()
    }
}

impl Histogram {
    /// An empty one for values with these peaks.
    ///
    /// # Errors
    /// Values that no range can have: what they are.
    pub fn new(peaks: Peaks) -> Result<Self, &'static str> {
        let Peaks { negative, positive, is_endless } = peaks;
        if is_endless {
            return Err("values that are not finite");
        }
        if negative == 0.0 && positive == 0.0 {
            return Err("nothing but zeros in the calibration");
        }
        Ok(Self { negative: Side::new(negative), positive: Side::new(positive) })
    }

    /// Counts values, none of them beyond the peaks.
    pub fn see(&mut self, values: &[f32]) {
        for &value in values {
            if value > 0.0 {
                self.positive.see(value);
            } else if value < 0.0 {
                self.negative.see(-value);
            }
        }
    }

    /// The range of a method.
    pub fn range(&self, method: RangeMethod) -> [f32; 2] {
        match method {
            RangeMethod::Percentile => {
                // No range has -0.
                [0.0 - self.negative.percentile(), self.positive.percentile()]
            }
            RangeMethod::Mse => self.least_error(),
        }
    }

    /// The range of values that are cut off at so many parts of the largest.
    fn cut(&self, parts: u32) -> [f32; 2] {
        let [negative, positive] = [self.negative.most, self.positive.most];
        let end = negative.max(positive) * (parts as f32 / FRACTIONS as f32);
        // No range has -0.
        [0.0 - negative.min(end), positive.min(end)]
    }

    /// Of the ranges that are tried, the one with the least squared error; the widest of equal
    /// ones.
    fn least_error(&self) -> [f32; 2] {
        let (mut least, mut range) = (f64::INFINITY, [0.0; 2]);
        for part in (1..=FRACTIONS).rev() {
            let tried = self.cut(part);
            let scale = Scale::of(tried);
            let error = self.negative.error(scale, -1.0) + self.positive.error(scale, 1.0);
            if error < least {
                (least, range) = (error, tried);
            }
        }
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn histogram(values: &[f32]) -> Histogram {
        let mut peaks = Peaks::default();
        peaks.see(values);
        let mut histogram = Histogram::new(peaks).unwrap();
        histogram.see(values);
        histogram
    }

    /// One value of 10,000 on a side may be beyond.
    #[test]
    fn percentiles_leave_out_few_values_of_each_side() {
        let mut values: Vec<f32> = (1..=10_000).map(|i| i as f32 / 10_000.0).collect();
        values.extend([0.0; 500]);
        let bin = 1.0 / BINS as f32;
        let [low, high] = histogram(&values).range(RangeMethod::Percentile);
        assert_eq!(low.to_bits(), 0);
        assert!((0.9999..=1.0).contains(&high), "{high}");
        // A value far away takes a bin of its own.
        values.extend([100.0, -3.0, -1.0]);
        let [low, high] = histogram(&values).range(RangeMethod::Percentile);
        assert_eq!(low, -3.0);
        assert!((1.0..=1.0 + 100.0 * bin).contains(&high), "{high}");
        // Two of them are too many to be left out.
        values.push(100.0);
        assert_eq!(histogram(&values).range(RangeMethod::Percentile)[1], 100.0);
    }

    fn error(range: [f32; 2], values: &[f32]) -> f64 {
        let scale = Scale::of(range);
        let of = |&value: &f32| f64::from(scale.value(scale.byte(value)) - value).powi(2);
        values.iter().map(of).sum()
    }

    /// By the values themselves, no range that is tried is better by more than what bins lose.
    #[test]
    fn the_range_by_error_has_the_least() {
        for seed in 0..3 {
            let mut stream = Stream::new(seed, "values", &[]);
            let mut values: Vec<f32> = (0..200_000).map(|_| stream.normal() as f32).collect();
            // One value far beyond all others is worth less than what steps become finer by.
            values.push(12.0);
            let seen = histogram(&values);
            let errors: Vec<f64> = (1..=FRACTIONS).map(|p| error(seen.cut(p), &values)).collect();
            let best = errors.iter().copied().fold(f64::INFINITY, f64::min);
            let range = seen.range(RangeMethod::Mse);
            let ours = error(range, &values);
            assert!(ours <= 1.05 * best, "{ours} where {best} is possible");
            assert!(ours < 0.9 * errors[FRACTIONS as usize - 1], "{range:?}");
        }
    }

    #[test]
    fn ranges_without_values_are_refused() {
        let of = |values: &[f32]| {
            let mut peaks = Peaks::default();
            peaks.see(values);
            Histogram::new(peaks).err()
        };
        assert!(of(&[]).unwrap().contains("zeros"));
        assert!(of(&[0.0, -0.0]).unwrap().contains("zeros"));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(of(&[1.0, bad, 2.0]).unwrap().contains("not finite"));
        }
        assert_eq!(of(&[-1e-30]), None);
    }
}
