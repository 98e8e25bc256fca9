//! Vectors whose directions are compared.

use super::{Models, Scorer};

/// Vectors of one dimension, each with a factor: a vector's product with a unit vector, times the
/// factor, is its score. The vector times the factor is no longer than one.
pub(super) trait Directions: Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// Values of a vector.
    fn dim(&self) -> usize;

    /// What a vector is called.
    fn name(&self, i: usize) -> &str;

    /// Writes a vector, `[dim]`, and returns its factor.
    ///
    /// # Panics
    /// If the vector has no direction.
    fn write(&self, i: usize, values: &mut [f64]) -> f64;

    /// Writes a vector times its factor.
    ///
    /// # Panics
    /// As [`write`](Self::write).
    fn write_scaled(&self, i: usize, values: &mut [f64]) {
        let factor = self.write(i, values);
        values.iter_mut().for_each(|x| *x *= factor);
    }
}

/// The utterances, less the mean. The factor makes unit vectors of them.
impl Directions for Scorer<'_> {
    fn count(&self) -> usize {
        self.embeddings().len()
    }

    fn dim(&self) -> usize {
        self.embeddings().dim()
    }

    fn name(&self, i: usize) -> &str {
        self.embeddings().id(i)
    }

    fn write(&self, i: usize, values: &mut [f64]) -> f64 {
        self.write_centred(i, values)
    }
}

impl Directions for Models {
    fn count(&self) -> usize {
        self.len()
    }

    fn dim(&self) -> usize {
        Self::dim(self)
    }

    fn name(&self, i: usize) -> &str {
        Self::name(self, i)
    }

    fn write(&self, i: usize, values: &mut [f64]) -> f64 {
        values.copy_from_slice(self.values(i));
        self.factor(i)
    }
}
