//! What integers cost.

use std::collections::BTreeMap;

use super::{ALONE, FloatLayer, Passes};
use crate::error::Result;
use crate::infer::kernels::Level;
use crate::infer::runtime::Runtime;
use crate::inference::Features;
use crate::model_file::Model;
use crate::quant::{Activations, RangeMethod, Ranges};
use crate::scoring::cosine;

/// Cosine distances of embeddings in integers to those in f32.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Distance {
    /// The mean over utterances.
    pub mean: f64,
    /// The first utterance, from 0, with the largest one, and that distance.
    pub largest: (usize, f64),
}

/// What measures embeddings in integers.
pub(super) struct Judge<'a> {
    pub model: &'a Model,
    pub features: &'a [Features],
    pub method: RangeMethod,
    /// Embeddings in f32.
    pub wanted: Vec<Vec<f32>>,
    /// Of all layers that could compute in integers.
    pub ranges: BTreeMap<String, Ranges>,
    pub passes: Passes<'a>,
}

impl Judge<'_> {
    /// The activations of a model in which these layers compute in integers.
    pub fn activations(&self, integers: &[&str]) -> Activations {
        let ranges = |&name: &&str| Some((name.to_owned(), *self.ranges.get(name)?));
        Activations {
            bits: Activations::BITS,
            method: self.method,
            utterances: self.features.len(),
            layers: integers.iter().filter_map(ranges).collect(),
        }
    }

    /// The cosine distances of the first embeddings where these layers compute in integers.
    pub fn distance(&mut self, integers: &[&str], utterances: usize) -> Result<Distance> {
        if integers.is_empty() {
            return Ok(Distance::default());
        }
        let activations = Some(self.activations(integers));
        let runtime = Runtime::with_activations(self.model, Level::best(), activations)?;
        let (mut sum, mut largest) = (0.0, (0, 0.0));
        let pairs = self.features.iter().zip(&self.wanted).take(utterances);
        for (place, (utterance, wanted)) in pairs.enumerate() {
            let made = runtime.embed(&utterance.values, utterance.frames)?;
            let distance = cosine_distance(&made, wanted);
            sum += distance;
            if distance > largest.1 {
                largest = (place, distance);
            }
            self.passes.add();
        }
        Ok(Distance { mean: sum / utterances as f64, largest })
    }

    /// What each of these layers costs alone.
    pub fn alone(&mut self, layers: &[&str]) -> Result<Vec<FloatLayer>> {
        let few = self.features.len().min(ALONE);
        let mut costs = Vec::with_capacity(layers.len());
        for &name in layers {
            let cost = self.distance(&[name], few)?.mean;
            costs.push(FloatLayer { name: name.to_owned(), cost });
        }
        Ok(costs)
    }

    /// Keeps the costliest layers in f32, so that the mean cosine distance is within a limit. Gives
    /// the layers in integers, those in f32, and the distances.
    pub fn within<'n>(
        &mut self,
        all: &[&'n str],
        limit: f64,
    ) -> Result<(Vec<&'n str>, Vec<FloatLayer>, Distance)> {
        let count = self.features.len();
        let whole = self.distance(all, count)?;
        if whole.mean <= limit {
            return Ok((all.to_vec(), Vec::new(), whole));
        }
        let costs = self.alone(all)?;
        let mut ranked: Vec<(&'n str, FloatLayer)> = all.iter().copied().zip(costs).collect();
        ranked.sort_by(|(_, a), (_, b)| b.cost.total_cmp(&a.cost));
        let order: Vec<&str> = ranked.iter().map(|&(name, _)| name).collect();
        // So many in f32 are too few, and so many enough.
        let (mut few, mut enough, mut distance) = (0_usize, order.len(), Distance::default());
        while enough - few > 1 {
            let middle = few.midpoint(enough);
            let found = self.distance(&order[middle..], count)?;
            if found.mean <= limit {
                (enough, distance) = (middle, found);
            } else {
                few = middle;
            }
        }
        let floats = ranked.into_iter().take(enough).map(|(_, layer)| layer).collect();
        Ok((order[enough..].to_vec(), floats, distance))
    }
}

/// 1 - cos; 1 for a vector without direction.
fn cosine_distance(a: &[f32], b: &[f32]) -> f64 {
    let cosine = cosine(a, b);
    // Rounding can lead below 0.
    if cosine.is_nan() { 1.0 } else { (1.0 - cosine).max(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_directions() {
        assert_eq!(cosine_distance(&[3.0, 4.0], &[6.0, 8.0]), 0.0);
        assert_eq!(cosine_distance(&[1.0, 0.0], &[0.0, -2.0]), 1.0);
        assert_eq!(cosine_distance(&[1.0, 0.0], &[-2.0, 0.0]), 2.0);
        assert!((cosine_distance(&[1.0, 0.0], &[1.0, 1.0]) - (1.0 - 0.5f64.sqrt())).abs() < 1e-15);
        assert_eq!(cosine_distance(&[0.0, 0.0], &[1.0, 1.0]), 1.0);
    }
}
