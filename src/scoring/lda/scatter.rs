//! Means of speakers, and how their utterances lie about them.

use super::Groups;
use crate::error::Result;
use crate::scoring::linear::{Matrix, add_to_columns, mean_column, vectors};

/// Vectors of one product, at least, so that it is worth its beginning.
const TOGETHER: usize = 512;

/// What training needs to know of the vectors of each speaker.
pub(in crate::scoring) struct Scatter {
    /// Utterances of each speaker.
    pub counts: Vec<f64>,
    /// A column a speaker.
    pub means: Matrix,
    /// The sum over all utterances of `(x - m)(x - m)'`, where `m` is the speaker's mean.
    pub within: Matrix,
}

impl Scatter {
    /// Looks at all utterances. `columns` makes vectors `[dim]` of the embeddings at some places.
    ///
    /// # Errors
    /// Those of `columns`.
    pub fn of(
        groups: &Groups,
        dim: usize,
        columns: &dyn Fn(&[usize]) -> Result<Matrix>,
    ) -> Result<Self> {
        let mut within = Matrix::zeros(dim, dim);
        let (mut counts, mut means, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for places in groups.iter() {
            let mut vectors = columns(places)?;
            let mean = mean_column(&vectors);
            let negative: Vec<f64> = mean.iter().map(|x| -x).collect();
            add_to_columns(&mut vectors, &negative);
            counts.push(places.len() as f64);
            means.extend(mean);
            waiting.extend_from_slice(vectors.as_slice());
            if waiting.len() >= TOGETHER * dim {
                add_products(&mut within, std::mem::take(&mut waiting));
            }
        }
        add_products(&mut within, waiting);
        Ok(Self { means: Matrix::from_vec(dim, counts.len(), means), counts, within })
    }

    /// Number of utterances.
    pub fn utterances(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// The means less `centre`, each times the root of its count.
    pub(super) fn weighted_means(&self, centre: &[f64]) -> Matrix {
        let mut values = Vec::with_capacity(self.means.len());
        for (mean, count) in vectors(&self.means).zip(&self.counts) {
            values.extend(mean.iter().zip(centre).map(|(m, c)| (m - c) * count.sqrt()));
        }
        Matrix::from_vec(self.means.nrows(), self.counts.len(), values)
    }
}

/// Adds the products of vectors, one after the other in `values`, with themselves.
fn add_products(sum: &mut Matrix, values: Vec<f64>) {
    let dim = sum.nrows();
    if values.is_empty() {
        return;
    }
    let vectors = Matrix::from_vec(dim, values.len() / dim, values);
    sum.gemm(1.0, &vectors, &vectors.transpose(), 1.0);
}
