//! k-means: the codebook is the values themselves, ascending. There are fewer than `2^bits` of them
//! where there are fewer distinct weights, which are then kept exactly.

use super::{Rule, Search, TensorScheme};
use crate::error::Result;
use crate::quant::kmeans;

/// Centroids of a tensor's weights.
pub(super) struct Centroids;

impl Rule for Centroids {
    fn bits(&self, wanted: usize) -> usize {
        wanted
    }

    fn has_scales(&self) -> bool {
        false
    }

    fn has_centroids(&self) -> bool {
        true
    }

    fn stored_shape(&self, _scheme: TensorScheme, _groups: usize, count: usize) -> Vec<usize> {
        vec![count]
    }

    fn allows(&self, scheme: TensorScheme, _groups: usize, count: usize) -> bool {
        (1..=1 << scheme.bits).contains(&count)
    }

    fn entries(&self, count: usize) -> usize {
        count
    }

    fn padded(&self, scheme: TensorScheme, numbers: &[f32]) -> Vec<f32> {
        let mut padded = numbers.to_vec();
        padded.resize(1 << scheme.bits, *numbers.last().expect("at least one centroid"));
        padded
    }

    fn table(&self, scheme: TensorScheme, numbers: &[f32]) -> Vec<f32> {
        self.padded(scheme, numbers)
    }

    fn bounds(&self, scheme: TensorScheme, numbers: &[f32]) -> Vec<f32> {
        let mut bounds = kmeans::bounds(numbers);
        bounds.resize((1 << scheme.bits) - 1, f32::MAX);
        bounds
    }
}

impl Search for Centroids {
    fn fit(&self, scheme: TensorScheme, _groups: usize, weights: &[f32]) -> Result<Vec<f32>> {
        kmeans::centroids(weights, 1 << scheme.bits)
    }

    /// Lloyd's iterations. They never add a centroid, so a codebook that has fewer than `2^bits`
    /// is made anew when weights have left its values.
    fn follow(
        &self,
        scheme: TensorScheme,
        _groups: usize,
        numbers: &[f32],
        weights: &[f32],
        steps: usize,
    ) -> Result<Vec<f32>> {
        let most = 1 << scheme.bits;
        match numbers.len() < most && !are_among(weights, numbers) {
            true => kmeans::centroids(weights, most),
            false => kmeans::refine(weights, numbers, steps),
        }
    }

    fn trimmed(&self, mut numbers: Vec<f32>) -> Vec<f32> {
        numbers.dedup();
        numbers
    }
}

/// Whether every weight is one of the centroids.
fn are_among(weights: &[f32], centroids: &[f32]) -> bool {
    let bounds = kmeans::bounds(centroids);
    weights.iter().all(|&w| centroids[kmeans::nearest(&bounds, w)] == w)
}
