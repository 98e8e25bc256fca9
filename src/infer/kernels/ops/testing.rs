//! Values for tests.

use super::{GUARD, Level, Plane, Source, Target, outer, places};
use crate::rng::Stream;

/// Runs a test at every level that this machine has.
pub(super) fn for_levels(test: impl Fn(Level)) {
    Level::available().into_iter().for_each(test);
}

/// A value and its memory.
#[derive(Debug, Clone)]
pub(super) struct Held {
    values: Vec<f32>,
    size: Vec<usize>,
    plane: Plane,
}

impl Held {
    fn filled(size: &[usize], pad: usize, fill: f32) -> Self {
        let plane = Plane::of(size, pad);
        let mut values = vec![0.0; plane.buffer()];
        values[GUARD..GUARD + plane.len()].fill(fill);
        Self { values, size: size.to_vec(), plane }
    }

    /// Memory in which all but the guards is NaN.
    pub fn garbage(size: &[usize], pad: usize) -> Self {
        Self::filled(size, pad, f32::NAN)
    }

    /// These values, one after another.
    pub fn of(size: &[usize], pad: usize, dense: &[f32]) -> Self {
        let mut held = Self::filled(size, pad, 0.0);
        let Plane { width, pitch, .. } = held.plane;
        for (row, values) in dense.chunks(width).enumerate() {
            held.values[GUARD + row * pitch..][..width].copy_from_slice(values);
        }
        held
    }

    /// Normal numbers.
    pub fn noise(size: &[usize], pad: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "operations", &[]);
        let count = size.iter().product();
        let dense: Vec<f32> = (0..count).map(|_| stream.normal() as f32).collect();
        Self::of(size, pad, &dense)
    }

    pub fn scale(&mut self, by: f32) {
        self.values.iter_mut().for_each(|v| *v *= by);
    }

    pub fn source(&self) -> Source<'_> {
        Source { values: &self.values, size: &self.size, plane: self.plane }
    }

    pub fn target(&mut self) -> Target<'_> {
        Target { values: &mut self.values, size: &self.size, plane: self.plane }
    }

    /// The memory, with guards.
    pub fn memory(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The values, one after another.
    pub fn dense(&self) -> Vec<f32> {
        (0..self.plane.rows).flat_map(|row| self.source().row(row).to_vec()).collect()
    }

    /// The value at a place on each axis.
    pub fn at(&self, place: &[usize]) -> f32 {
        let index = place.iter().zip(&self.size).fold(0, |index, (&i, &n)| index * n + i);
        let row = self.source().row(index / self.plane.width);
        row[index % self.plane.width]
    }

    /// A function of each value and its place.
    pub fn indexed<T>(&self, f: impl Fn(f32, &[usize]) -> T) -> Vec<T> {
        let outer = outer(&self.size);
        let place = |i: usize| {
            let mut place = places(outer, i / self.plane.width)[..outer.len()].to_vec();
            place.push(i % self.plane.width);
            place
        };
        self.dense().into_iter().enumerate().map(|(i, v)| f(v, &place(i))).collect()
    }

    /// Asserts that these are the values, up to an error relative to the largest, and that all else
    /// is 0.
    pub fn near(&self, wanted: &[f64], tolerance: f64) {
        let dense = self.dense();
        assert_eq!(dense.len(), wanted.len());
        let largest = wanted.iter().fold(0.0f64, |largest, v| largest.max(v.abs()));
        for (i, (&v, &w)) in dense.iter().zip(wanted).enumerate() {
            let off = (f64::from(v) - w).abs();
            assert!(off <= tolerance * largest, "value {i} of {:?}: {v}, not {w}", self.size);
        }
        let Plane { width, pitch, .. } = self.plane;
        for (i, &v) in self.values.iter().enumerate() {
            let inside = (GUARD..GUARD + self.plane.len()).contains(&i);
            if !(inside && (i - GUARD) % pitch < width) {
                assert_eq!(v, 0.0, "place {i} beside the values of {:?}", self.size);
            }
        }
    }
}
