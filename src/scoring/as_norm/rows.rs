//! Embeddings less a mean, in f64.

use crate::scoring::directions::Directions;

/// Embeddings less a mean, and 1 over their lengths.
#[derive(Default)]
pub(super) struct Rows {
    values: Vec<f64>,
    inverse: Vec<f64>,
    dim: usize,
}

/// One of them.
pub(super) struct Row<'a> {
    pub values: &'a [f64],
    /// 1 over their length.
    pub inverse: f64,
}

impl Rows {
    /// A single unit vector.
    pub fn of_unit(unit: &[f64]) -> Self {
        Self { values: unit.to_vec(), inverse: vec![1.0], dim: unit.len() }
    }

    /// Takes the vectors at `places` instead of what it holds.
    ///
    /// # Panics
    /// If one has no direction, as in [`Directions::write`].
    pub fn fill(&mut self, of: &dyn Directions, places: impl ExactSizeIterator<Item = usize>) {
        self.dim = of.dim();
        self.values.resize(places.len() * self.dim, 0.0);
        self.inverse.clear();
        let rows = self.values.chunks_exact_mut(self.dim);
        self.inverse.extend(rows.zip(places).map(|(row, i)| of.write(i, row)));
    }

    /// Number of embeddings.
    pub fn len(&self) -> usize {
        self.inverse.len()
    }

    /// An embedding less the mean.
    pub fn row(&self, i: usize) -> Row<'_> {
        let values = &self.values[i * self.dim..][..self.dim];
        Row { values, inverse: self.inverse[i] }
    }

    /// Writes the unit vector of an embedding.
    pub fn write_unit(&self, i: usize, unit: &mut Vec<f64>) {
        let Row { values, inverse, .. } = self.row(i);
        unit.clear();
        unit.extend(values.iter().map(|x| x * inverse));
    }
}
