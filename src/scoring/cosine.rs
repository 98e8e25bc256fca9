//! Cosine scores, optionally after subtracting a mean embedding.

use crate::error::{Error, Result};
use crate::scoring::Embeddings;

/// Scores pairs of a set of embeddings: (x - m).(y - m) / (|x - m| |y - m|), in f64 from f32 storage.
pub struct Scorer<'a> {
    embeddings: &'a Embeddings,
    mean: Option<Vec<f64>>,
    inverse_length: Vec<f64>,
}

impl<'a> Scorer<'a> {
    /// Prepares lengths. A zero vector has no direction: an error naming the utterance.
    pub fn new(embeddings: &'a Embeddings, mean: Option<Vec<f64>>) -> Result<Self> {
        if let Some(m) = &mean
            && m.len() != embeddings.dim()
        {
            let message = format!("the mean has {} values, the embeddings {}", m.len(), embeddings.dim());
            return Err(Error::invalid(message));
        }
        let mut scorer = Self { embeddings, mean, inverse_length: Vec::with_capacity(embeddings.len()) };
        for (i, id) in embeddings.ids().iter().enumerate() {
            let square = scorer.dot(i, i);
            if square == 0.0 {
                return Err(Error::Undefined(format!("embedding `{id}` is zero: it has no direction to compare")));
            }
            scorer.inverse_length.push(1.0 / square.sqrt());
        }
        Ok(scorer)
    }

    /// The cosine of two embeddings by their places.
    pub fn score(&self, a: usize, b: usize) -> f64 {
        self.dot(a, b) * self.inverse_length[a] * self.inverse_length[b]
    }

    /// The unit vector at a place.
    pub fn unit(&self, i: usize) -> Vec<f64> {
        let row = self.embeddings.row(i);
        let value = |j: usize| f64::from(row[j]) - self.mean.as_ref().map_or(0.0, |m| m[j]);
        (0..row.len()).map(|j| value(j) * self.inverse_length[i]).collect()
    }

    /// The embeddings.
    pub fn embeddings(&self) -> &Embeddings {
        self.embeddings
    }

    fn dot(&self, a: usize, b: usize) -> f64 {
        let (x, y) = (self.embeddings.row(a), self.embeddings.row(b));
        match &self.mean {
            None => lanes(x, y, |i| f64::from(x[i]) * f64::from(y[i])),
            Some(m) => lanes(x, y, |i| (f64::from(x[i]) - m[i]) * (f64::from(y[i]) - m[i])),
        }
    }
}

/// Sums `term` over the indices in eight lanes, which the compiler vectorises.
#[inline(always)]
fn lanes(x: &[f32], y: &[f32], term: impl Fn(usize) -> f64) -> f64 {
    let n = x.len().min(y.len());
    let mut sums = [0.0f64; 8];
    let whole = n / 8 * 8;
    for i in (0..whole).step_by(8) {
        for (l, sum) in sums.iter_mut().enumerate() {
            *sum += term(i + l);
        }
    }
    sums.iter().sum::<f64>() + (whole..n).map(term).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_are_cosines() {
        let mut e = Embeddings::new(11);
        let row = |k: usize| -> Vec<f32> { (0..11).map(|i| ((i * k) % 7) as f32 - 2.0).collect() };
        (1..5).for_each(|k| e.push(&k.to_string(), &row(k)).unwrap());
        let mean = e.mean();
        for m in [None, Some(mean)] {
            let scorer = Scorer::new(&e, m.clone()).unwrap();
            for a in 0..4 {
                assert!((scorer.score(a, a) - 1.0).abs() < 1e-14);
                for b in 0..4 {
                    let direct: f64 = scorer.unit(a).iter().zip(scorer.unit(b)).map(|(x, y)| x * y).sum();
                    assert!((scorer.score(a, b) - direct).abs() < 1e-14);
                }
            }
        }
    }

    #[test]
    fn zero_vectors_are_errors() {
        let mut e = Embeddings::new(2);
        e.push("silent", &[0.0, 0.0]).unwrap();
        assert!(Scorer::new(&e, None).err().unwrap().to_string().contains("silent"));
        assert!(Scorer::new(&e, Some(vec![0.0; 3])).is_err());
    }
}
