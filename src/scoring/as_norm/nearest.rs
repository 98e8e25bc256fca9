//! The largest cosines of a row, which comes in parts.
//!
//! Bounds tell which members can be among the nearest, and only their cosines are computed: first
//! those of the members with the largest bounds, and then those of every other member whose bound
//! reaches the `top`-th cosine of these. What is found does not depend on how close the bounds are,
//! to the bit.

use super::TopStatistics;
use super::between::between;
use crate::scoring::select::nth_largest;

/// One value in so many is looked at to guess where the largest begin. It is odd: speakers whose
/// kind alternates, such as women and men, are all looked at.
const STEP: usize = 9;

/// The members that come first are more than `top` by one in so many at most. The `top`-th of their
/// cosines is nearly always the `top`-th of all. As many have bounds above it anyway.
const MORE: usize = 2;

/// Space that rows use in turn.
#[derive(Default)]
pub(super) struct Room {
    sample: Vec<f32>,
    places: [Vec<u32>; 2],
    cosines: [Vec<f64>; 2],
}

/// The `top` largest cosines so far, or all if there are fewer. They are exact, and so is their
/// number where cosines are equal.
pub(super) struct Nearest {
    top: usize,
    /// The cosines above the floor, in the order of the members. Those at the floor follow.
    kept: Vec<f64>,
    /// The least of the `top` cosines, once there are as many. Nothing below it counts any more.
    floor: f64,
}

impl Nearest {
    /// Nothing yet.
    pub fn new(top: usize) -> Self {
        Self { top, kept: Vec::new(), floor: f64::NEG_INFINITY }
    }

    /// Takes the next part of the row, of which no cosine exceeds its bound. No part is longer than
    /// the first. `cosines` appends the cosines at places of this part. No bound may be infinite or
    /// NaN.
    pub fn add(
        &mut self,
        bounds: &[f32],
        cosines: &dyn Fn(&[u32], &mut Vec<f64>),
        room: &mut Room,
    ) {
        let least = if self.kept.len() < self.top && bounds.len() > self.top {
            self.begin(bounds, cosines, room)
        } else {
            let floor = below(self.floor);
            cosines(between(bounds, floor, f32::INFINITY, &mut room.places[0]), &mut self.kept);
            None
        };
        self.settle(least, &mut room.cosines[0]);
    }

    /// Takes the next part of a row without bounds: all cosines.
    pub fn add_all(
        &mut self,
        members: u32,
        cosines: &dyn Fn(&[u32], &mut Vec<f64>),
        room: &mut Room,
    ) {
        let places = &mut room.places[0];
        places.clear();
        places.extend(0..members);
        cosines(places, &mut self.kept);
        self.settle(None, &mut room.cosines[0]);
    }

    /// Takes the first part, which holds more than `top` members. Gives the least of the `top`
    /// largest cosines, where it has found nothing but these.
    fn begin(
        &mut self,
        bounds: &[f32],
        cosines: &dyn Fn(&[u32], &mut Vec<f64>),
        room: &mut Room,
    ) -> Option<f64> {
        let Room { sample, places: [near, far], cosines: [a, b] } = room;
        let mut guess = Guess::new(self.top, bounds, sample);
        let (mut cut, mut count) = loop {
            let cut = guess.next_floor();
            let count = between(bounds, cut, f32::INFINITY, near).len();
            // A guess that was too high leaves too few.
            if count >= self.top {
                break (cut, count);
            }
        };
        let wanted = self.top + self.top / MORE;
        if count > wanted {
            sample.clear();
            sample.extend(near[..count].iter().map(|&place| bounds[place as usize]));
            cut = nth_largest(sample, wanted - 1, f32::total_cmp);
            count = between(bounds, cut, f32::INFINITY, near).len();
        }
        let near = &near[..count];
        a.clear();
        cosines(near, a);
        // As many members reach the cosine at place `top`, so nothing below it counts.
        b.clear();
        b.extend_from_slice(a);
        let least = nth_largest(b, self.top - 1, f64::total_cmp);
        b.clear();
        let far = between(bounds, below(least), cut, far);
        cosines(far, b);
        self.merge([near, far], [a, b], least);
        (self.kept.len() == self.top).then_some(least)
    }

    /// Keeps the cosines of two lists of members from `least` on, in the order of the members.
    fn merge(&mut self, [near, far]: [&[u32]; 2], [a, b]: [&[f64]; 2], least: f64) {
        let (mut i, mut j, mut count) = (0, 0, 0);
        self.kept.resize(a.len() + b.len(), 0.0);
        // Without a branch on the cosines, as in `between`.
        while i < near.len() && j < far.len() {
            let is_near = near[i] < far[j];
            let x = if is_near { a[i] } else { b[j] };
            self.kept[count] = x;
            count += usize::from(x >= least);
            i += usize::from(is_near);
            j += usize::from(!is_near);
        }
        for &x in a[i..].iter().chain(&b[j..]) {
            self.kept[count] = x;
            count += usize::from(x >= least);
        }
        self.kept.truncate(count);
    }

    /// Drops what is not among the `top` largest, of which the least may be known.
    fn settle(&mut self, least: Option<f64>, room: &mut Vec<f64>) {
        if self.kept.len() < self.top {
            return;
        }
        let floor = least.unwrap_or_else(|| {
            room.clear();
            room.extend_from_slice(&self.kept);
            nth_largest(room, self.top - 1, f64::total_cmp)
        });
        let mut count = 0;
        // Without a branch, as in `between`.
        for i in 0..self.kept.len() {
            let x = self.kept[i];
            self.kept[count] = x;
            count += usize::from(x > floor);
        }
        self.kept.truncate(count);
        self.kept.resize(self.top, floor);
        self.floor = floor;
    }

    /// Mean and population standard deviation of the largest cosines.
    pub fn statistics(&self) -> TopStatistics {
        TopStatistics::of(&self.kept)
    }

    /// The least of the `top` largest cosines, once as many have come.
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// The largest cosines, in any order.
    #[cfg(test)]
    pub fn values(&self) -> &[f64] {
        &self.kept
    }
}

/// An f32 below this value.
pub(super) fn below(value: f64) -> f32 {
    (value as f32).next_down()
}

/// Floors that let the largest values through, and few others.
struct Guess<'a> {
    sample: &'a mut Vec<f32>,
    /// How many of the sample the next floor lets through.
    rank: usize,
}

impl<'a> Guess<'a> {
    /// Looks at `values`, of which the `top` largest are wanted.
    fn new(top: usize, values: &[f32], sample: &'a mut Vec<f32>) -> Self {
        sample.clear();
        sample.extend(values.iter().step_by(STEP));
        // How many of the sample are among the largest, and two standard deviations more.
        let expected = top as f64 / STEP as f64;
        Self { sample, rank: (expected + 2.0 * expected.sqrt()) as usize + 1 }
    }

    /// The first floor is nearly always low enough. Each further one lets twice as many through,
    /// and all if that were most of them.
    fn next_floor(&mut self) -> f32 {
        if self.rank > self.sample.len() / 2 {
            return f32::NEG_INFINITY;
        }
        let floor = nth_largest(self.sample, self.rank, f32::total_cmp);
        self.rank *= 2;
        floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn sorted(values: &[f64]) -> Vec<f64> {
        let mut values = values.to_vec();
        values.sort_unstable_by(|a, b| b.total_cmp(a));
        values
    }

    /// Rows for which a guess is good, and rows for which it is wrong.
    fn row(stream: &mut Stream, length: usize) -> Vec<f64> {
        let kind = stream.below(6);
        (0..length)
            .map(|i| match kind {
                0 => stream.normal(),
                1 => i as f64,
                2 => -(i as f64),
                3 => stream.below(4) as f64,
                // Only the sample is large, or only the sample is small.
                4 => f64::from(u8::from(i % STEP == 0)) + 0.1 * stream.uniform(),
                _ => f64::from(u8::from(i % STEP != 0)) - 0.1 * stream.uniform(),
            })
            .collect()
    }

    fn found(values: &[f64], bounds: Option<&[f32]>, top: usize, part: usize) -> Nearest {
        let (mut nearest, mut room) = (Nearest::new(top), Room::default());
        for first in (0..values.len()).step_by(part) {
            let end = values.len().min(first + part);
            let cosines = |places: &[u32], to: &mut Vec<f64>| {
                to.extend(places.iter().map(|&i| values[first + i as usize]));
            };
            match bounds {
                Some(bounds) => nearest.add(&bounds[first..end], &cosines, &mut room),
                None => nearest.add_all((end - first) as u32, &cosines, &mut room),
            }
        }
        nearest
    }

    #[test]
    fn the_largest_are_exact_whatever_the_guess_and_the_bounds() {
        let mut stream = Stream::new(1, "test", &[]);
        for _ in 0..2000 {
            let length = 1 + stream.below(1500);
            let (values, top) = (row(&mut stream, length), 1 + stream.below(length.min(200)));
            let part = 1 + stream.below(2 * length);
            let slack = [0.0, 1e-3, 0.3, 10.0][stream.below(4)];
            let bounds: Vec<f32> =
                values.iter().map(|x| ((x + slack * stream.uniform()) as f32).next_up()).collect();
            let nearest = found(&values, Some(&bounds), top, part);
            assert_eq!(
                sorted(nearest.values()),
                sorted(&values)[..top],
                "{top} of {length} in parts of {part}, bounds up to {slack} above"
            );
            // To the bit, and in the same order.
            assert_eq!(nearest.values(), found(&values, None, top, length).values());
        }
    }

    #[test]
    fn statistics_are_mean_and_deviation() {
        let TopStatistics { mean, std } =
            found(&[0.5, -1.0, 0.25, 0.75, 0.0], None, 3, 5).statistics();
        assert_eq!(mean, 0.5);
        assert!((std - (0.125f64 / 3.0).sqrt()).abs() < 1e-15, "{std}");
    }
}
