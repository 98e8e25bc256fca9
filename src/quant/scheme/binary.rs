//! Two values a group: its middle minus and plus its scale. The middle is 0, or the mean weight
//! where the scheme has an offset; the scale is the weights' mean distance from it. The codebook is
//! `[groups, 1]` scales or `[groups, 2]` scales and offsets.

use super::{Rule, Search, TensorScheme};
use crate::error::Result;

/// Scales of a tensor's weights.
pub(super) struct Binary {
    /// Scales follow the weights; otherwise they stay as they were at the beginning.
    pub adaptive: bool,
}

/// Numbers of a group.
fn columns(scheme: TensorScheme) -> usize {
    1 + usize::from(scheme.offset)
}

/// Scale and offset of each group.
fn pairs(scheme: TensorScheme, numbers: &[f32]) -> impl Iterator<Item = (f32, f32)> {
    numbers.chunks(columns(scheme)).map(|pair| (pair[0], pair.get(1).copied().unwrap_or(0.0)))
}

/// The numbers of each group.
fn scales(scheme: TensorScheme, groups: usize, weights: &[f32]) -> Vec<f32> {
    let group = |w: &[f32]| {
        let n = w.len() as f64;
        let middle =
            if scheme.offset { w.iter().map(|&w| f64::from(w)).sum::<f64>() / n } else { 0.0 };
        // A file stores the middle in f32: distances are from that.
        let middle = f64::from(middle as f32);
        let scale = w.iter().map(|&w| (f64::from(w) - middle).abs()).sum::<f64>() / n;
        let pair = [scale as f32, middle as f32];
        pair.into_iter().take(columns(scheme))
    };
    weights.chunks(weights.len() / groups).flat_map(group).collect()
}

impl Rule for Binary {
    fn bits(&self, _wanted: usize) -> usize {
        1
    }

    fn has_scales(&self) -> bool {
        true
    }

    fn has_centroids(&self) -> bool {
        false
    }

    fn stored_shape(&self, scheme: TensorScheme, groups: usize, _count: usize) -> Vec<usize> {
        vec![groups, columns(scheme)]
    }

    fn allows(&self, scheme: TensorScheme, groups: usize, count: usize) -> bool {
        count == groups * columns(scheme)
    }

    fn entries(&self, _count: usize) -> usize {
        2
    }

    fn padded(&self, _scheme: TensorScheme, numbers: &[f32]) -> Vec<f32> {
        numbers.to_vec()
    }

    fn table(&self, scheme: TensorScheme, numbers: &[f32]) -> Vec<f32> {
        pairs(scheme, numbers)
            .flat_map(|(scale, offset)| [offset - scale, offset + scale])
            .collect()
    }

    fn bounds(&self, scheme: TensorScheme, numbers: &[f32]) -> Vec<f32> {
        pairs(scheme, numbers).map(|(_, offset)| offset).collect()
    }
}

impl Search for Binary {
    fn fit(&self, scheme: TensorScheme, groups: usize, weights: &[f32]) -> Result<Vec<f32>> {
        Ok(scales(scheme, groups, weights))
    }

    fn follow(
        &self,
        scheme: TensorScheme,
        groups: usize,
        numbers: &[f32],
        weights: &[f32],
        _steps: usize,
    ) -> Result<Vec<f32>> {
        match self.adaptive {
            true => Ok(scales(scheme, groups, weights)),
            false => Ok(numbers.to_vec()),
        }
    }

    fn trimmed(&self, numbers: Vec<f32>) -> Vec<f32> {
        numbers
    }
}
