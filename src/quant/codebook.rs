//! The values a tensor's weights may take, on the host: made from weights, moved with them, and
//! read from a file.

use super::{TensorScheme, kmeans};
use crate::bytes::counted;
use crate::error::{Error, Result};

/// A tensor's codebook.
#[derive(Debug, Clone, PartialEq)]
pub struct Codebook {
    scheme: TensorScheme,
    groups: usize,
    /// As a file stores them: ascending centroids, or a scale (and an offset) for each group.
    values: Vec<f32>,
}

impl Codebook {
    /// The scheme's codebook for weights of a shape (output channels first). k-means gives fewer
    /// than `2^bits` centroids where there are fewer distinct weights, which are then kept exactly:
    /// one where all weights are the same.
    ///
    /// # Errors
    /// Weights that are not finite; fewer weights than `2^bits`.
    pub fn fit(scheme: TensorScheme, weights: &[f32], shape: &[usize]) -> Result<Self> {
        finite(weights)?;
        if weights.len() < 1 << scheme.bits {
            let (n, k) = (weights.len(), 1 << scheme.bits);
            let bits = counted(scheme.bits, "bit");
            return Err(Error::Invalid(format!(
                "{n} weights are fewer than the {k} values of {bits}"
            )));
        }
        let groups = scheme.groups(shape);
        let values = scheme.scheme.search().fit(scheme, groups, weights)?;
        Ok(Self { scheme, groups, values: plain(values) })
    }

    /// A stored codebook, for a tensor of a shape.
    ///
    /// # Errors
    /// A wrong number of values, or one that is not finite.
    pub fn stored(scheme: TensorScheme, values: Vec<f32>, shape: &[usize]) -> Result<Self> {
        let groups = scheme.groups(shape);
        if !scheme.scheme.rule().allows(scheme, groups, values.len()) {
            let (values, bits) = (counted(values.len(), "value"), counted(scheme.bits, "bit"));
            return Err(Error::Invalid(format!("{values} for {bits}")));
        }
        if values.iter().any(|v| !v.is_finite()) {
            return Err(Error::Invalid("values that are not finite".into()));
        }
        Ok(Self { scheme, groups, values })
    }

    /// The codebook for weights that have moved a little: k-means goes on with at most `steps` of
    /// Lloyd's iterations, adaptive scales are taken anew, static ones stay. A k-means codebook of
    /// fewer than `2^bits` values is made anew when weights have left them.
    ///
    /// # Errors
    /// Weights that are not finite.
    pub fn follow(&self, weights: &[f32], steps: usize) -> Result<Self> {
        finite(weights)?;
        let search = self.scheme.scheme.search();
        let values = search.follow(self.scheme, self.groups, &self.values, weights, steps)?;
        Ok(Self { values: plain(values), ..*self })
    }

    /// Centroids that are the means of given members; one without members stays.
    ///
    /// # Errors
    /// Weights that are not finite; a scheme without centroids.
    pub fn means(&self, weights: &[f32], codes: &[u8]) -> Result<Self> {
        finite(weights)?;
        if !self.scheme.scheme.rule().has_centroids() {
            return Err(Error::invalid("means of members: only k-means codebooks have them"));
        }
        let mut sums = vec![(0.0f64, 0u32); self.values.len()];
        for (&w, &code) in weights.iter().zip(codes) {
            let sum = &mut sums[usize::from(code)];
            *sum = (sum.0 + f64::from(w), sum.1 + 1);
        }
        let mean = |(&(sum, n), &old): (&(f64, u32), &f32)| {
            if n == 0 { old } else { (sum / f64::from(n)) as f32 }
        };
        Ok(Self { values: plain(sums.iter().zip(&self.values).map(mean).collect()), ..*self })
    }

    /// The scheme.
    pub fn scheme(&self) -> TensorScheme {
        self.scheme
    }

    /// What a file holds.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Groups of weights, which are the rows of the table.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Values a code can stand for, in each group.
    pub fn entries(&self) -> usize {
        self.scheme.scheme.rule().entries(self.values.len())
    }

    /// What a file holds, with the last centroid repeated where there are fewer than `2^bits`.
    pub fn padded(&self) -> Vec<f32> {
        self.scheme.scheme.rule().padded(self.scheme, &self.values)
    }

    /// `[groups, 2^bits]`: each group's values, the last one repeated where there are fewer.
    pub fn table(&self) -> Vec<f32> {
        self.scheme.scheme.rule().table(self.scheme, &self.values)
    }

    /// `[groups, 2^bits - 1]`: what separates the values.
    pub fn bounds(&self) -> Vec<f32> {
        self.scheme.scheme.rule().bounds(self.scheme, &self.values)
    }

    /// Each weight's code.
    pub fn encode(&self, weights: &[f32]) -> Vec<u8> {
        let (bounds, each) = (self.bounds(), weights.len() / self.groups);
        let rows = weights.chunks(each).zip(bounds.chunks(bounds.len() / self.groups));
        let most = self.entries() - 1;
        rows.flat_map(|(w, bounds)| {
            w.iter().map(move |&w| kmeans::nearest(bounds, w).min(most) as u8)
        })
        .collect()
    }

    /// The value of each code.
    pub fn decode(&self, codes: &[u8]) -> Vec<f32> {
        let (table, each) = (self.table(), codes.len() / self.groups);
        let row = table.len() / self.groups;
        codes.iter().enumerate().map(|(i, &c)| table[i / each * row + usize::from(c)]).collect()
    }

    /// Sum of squared differences between weights and their values.
    pub fn error(&self, weights: &[f32]) -> f64 {
        let values = self.decode(&self.encode(weights));
        weights.iter().zip(values).map(|(&w, v)| (f64::from(w) - f64::from(v)).powi(2)).sum()
    }
}

/// An error that names the first weight that is not finite, if there is one.
pub(super) fn finite(weights: &[f32]) -> Result<()> {
    match weights.iter().position(|w| !w.is_finite()) {
        Some(i) => Err(Error::Invalid(format!("weight {i} is {}", weights[i]))),
        None => Ok(()),
    }
}

/// Without negative zeros, which a sum would turn into positive ones.
fn plain(values: Vec<f32>) -> Vec<f32> {
    values.into_iter().map(|v| v + 0.0).collect()
}

#[cfg(test)]
mod tests;
