//! The largest values of a row, which comes in parts.

use super::TopStatistics;
use crate::lanes::Lanes;

/// One value in so many is looked at to guess where the largest begin.
const STEP: usize = 16;

/// Space that rows use in turn.
#[derive(Default)]
pub(super) struct Room {
    sample: Vec<f32>,
    passed: Vec<f32>,
}

/// The `top` largest values so far, or all if there are fewer. They are exact, and so is their
/// number where values are equal.
pub(super) struct Nearest {
    top: usize,
    /// In any order, which follows from the values alone.
    kept: Vec<f32>,
    /// The least of the `top` values, once there are as many. Nothing below it counts any more.
    floor: f32,
}

impl Nearest {
    /// Nothing yet.
    pub fn new(top: usize) -> Self {
        Self { top, kept: Vec::new(), floor: f32::NEG_INFINITY }
    }

    /// Takes the next part of the row. No value may be negative infinity or NaN.
    pub fn add(&mut self, values: &[f32], room: &mut Room) {
        let floor = match self.kept.is_empty() {
            true => guess(self.top, values, &mut room.sample),
            false => self.floor,
        };
        let mut passed = above(values, floor, &mut room.passed);
        // A guess that was too high leaves too few.
        if self.kept.is_empty() && passed.len() < self.top {
            passed = above(values, f32::NEG_INFINITY, &mut room.passed);
        }
        self.kept.extend_from_slice(passed);
        if self.kept.len() >= self.top {
            self.floor = nth_largest(&mut self.kept, self.top - 1);
            self.kept.truncate(self.top);
        }
    }

    /// Mean and population standard deviation of the largest values, in f64.
    pub fn statistics(&self) -> TopStatistics {
        let (n, kept) = (self.kept.len() as f64, self.kept.as_slice());
        let mean = Lanes::<8>::sum2(kept, kept, |x, _| f64::from(x)) / n;
        let var = Lanes::<8>::sum2(kept, kept, |x, _| (f64::from(x) - mean).powi(2)) / n;
        TopStatistics { mean, std: var.sqrt() }
    }

    /// The largest values, in any order.
    #[cfg(test)]
    pub fn values(&self) -> &[f32] {
        &self.kept
    }
}

/// A floor that nearly always lets the `top` largest values through, and few others. It is negative
/// infinity where most values would pass.
fn guess(top: usize, values: &[f32], sample: &mut Vec<f32>) -> f32 {
    // How many of the sample are among the largest, and three standard deviations more.
    let expected = top as f64 / STEP as f64;
    let rank = (expected + 3.0 * expected.sqrt()) as usize + 1;
    if rank.saturating_mul(2 * STEP) > values.len() {
        return f32::NEG_INFINITY;
    }
    sample.clear();
    sample.extend(values.iter().step_by(STEP));
    nth_largest(sample, rank)
}

/// The values above a floor, in their order.
fn above<'r>(values: &[f32], floor: f32, room: &'r mut Vec<f32>) -> &'r [f32] {
    room.resize(values.len(), 0.0);
    let mut count = 0;
    // Without a branch: which values pass cannot be foreseen.
    for &x in values {
        room[count] = x;
        count += usize::from(x > floor);
    }
    &room[..count]
}

/// Puts the largest values in front, and returns the one at place `n` of their order.
fn nth_largest(values: &mut [f32], n: usize) -> f32 {
    *values.select_nth_unstable_by(n, |a, b| b.total_cmp(a)).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn sorted(values: &[f32]) -> Vec<f32> {
        let mut values = values.to_vec();
        values.sort_unstable_by(|a, b| b.total_cmp(a));
        values
    }

    /// Rows for which a guess is good, and rows for which it is wrong.
    fn row(stream: &mut Stream, length: usize) -> Vec<f32> {
        let kind = stream.below(6);
        (0..length)
            .map(|i| match kind {
                0 => stream.normal() as f32,
                1 => i as f32,
                2 => -(i as f32),
                3 => stream.below(4) as f32,
                // Only the sample is large, or only the sample is small.
                4 => f32::from(u8::from(i % STEP == 0)) + 0.1 * stream.uniform() as f32,
                _ => f32::from(u8::from(i % STEP != 0)) - 0.1 * stream.uniform() as f32,
            })
            .collect()
    }

    #[test]
    fn the_largest_are_exact_whatever_the_guess() {
        let (mut stream, mut room) = (Stream::new(1, "test", &[]), Room::default());
        for _ in 0..2000 {
            let length = 1 + stream.below(1500);
            let (values, top) = (row(&mut stream, length), 1 + stream.below(length.min(200)));
            let part = 1 + stream.below(2 * length);
            let mut nearest = Nearest::new(top);
            values.chunks(part).for_each(|part| nearest.add(part, &mut room));
            assert_eq!(
                sorted(nearest.values()),
                sorted(&values)[..top],
                "{top} of {length} in parts of {part}"
            );
        }
    }

    #[test]
    fn statistics_are_mean_and_deviation() {
        let mut room = Room::default();
        let mut nearest = Nearest::new(3);
        nearest.add(&[0.5, -1.0, 0.25, 0.75, 0.0], &mut room);
        let TopStatistics { mean, std } = nearest.statistics();
        assert_eq!(mean, 0.5);
        assert!((std - (0.125f64 / 3.0).sqrt()).abs() < 1e-15, "{std}");
    }
}
