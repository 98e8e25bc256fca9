//! Cosine scores, optionally after subtracting a mean embedding.

#![allow(unsafe_code, reason = "vector instructions are used where the processor has them")]

use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::scoring::Embeddings;

/// Differences smaller than this, relative to the values, are noise: an f32 network gives one
/// recording embeddings that differ by 1e-7 to 1e-6 from machine to machine.
pub(super) const NOISE: f64 = 1e-6;

/// The cosine of two embeddings. It is not a number where one has no direction.
#[cfg(feature = "burn")]
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Scores pairs of a set of embeddings by their cosine, (x - m).(y - m) / (|x - m| |y - m|), where
/// m is a mean embedding or zero. It computes in f64 from the stored f32 values.
pub struct Scorer<'a> {
    embeddings: &'a Embeddings,
    mean: Option<Vec<f64>>,
    /// 1 / |x - m|; 0 where there is no direction.
    inverse_length: Vec<f64>,
}

impl<'a> Scorer<'a> {
    /// Prepares the length of every embedding. `mean` is `[dim]`. A zero vector has no direction,
    /// and neither has an embedding that equals the mean.
    ///
    /// # Errors
    /// An embedding without a direction, by its id; a mean of another dimension.
    pub fn new(embeddings: &'a Embeddings, mean: Option<Vec<f64>>) -> Result<Self> {
        Self::for_places(embeddings, mean, 0..embeddings.len())
    }

    /// [`new`](Self::new) for the two sides of `trials`, which are places of embeddings. Other
    /// embeddings may lack a direction.
    ///
    /// # Errors
    /// As [`new`](Self::new), for the embeddings of the trials.
    pub fn for_trials(
        embeddings: &'a Embeddings,
        mean: Option<Vec<f64>>,
        trials: &[(usize, usize)],
    ) -> Result<Self> {
        Self::for_places(embeddings, mean, trials.iter().flat_map(|&(a, b)| [a, b]))
    }

    /// [`new`](Self::new) for the embeddings at `places`. Other embeddings may lack a direction.
    ///
    /// # Errors
    /// As [`new`](Self::new), for these embeddings.
    pub fn for_places(
        embeddings: &'a Embeddings,
        mean: Option<Vec<f64>>,
        places: impl IntoIterator<Item = usize>,
    ) -> Result<Self> {
        let scorer = Self::unchecked(embeddings, mean)?;
        scorer.check(places)?;
        Ok(scorer)
    }

    fn unchecked(embeddings: &'a Embeddings, mean: Option<Vec<f64>>) -> Result<Self> {
        if let Some(m) = &mean
            && m.len() != embeddings.dim()
        {
            let message =
                format!("the mean has {} values, the embeddings {}", m.len(), embeddings.dim());
            return Err(Error::invalid(message));
        }
        let mut scorer =
            Self { embeddings, mean, inverse_length: Vec::with_capacity(embeddings.len()) };
        let shortest = scorer
            .mean
            .as_ref()
            .map_or(0.0, |m| NOISE * m.iter().map(|x| x * x).sum::<f64>().sqrt());
        for i in 0..embeddings.len() {
            let length = scorer.dot(i, i).sqrt();
            scorer.inverse_length.push(if length > shortest { 1.0 / length } else { 0.0 });
        }
        Ok(scorer)
    }

    fn check(&self, places: impl IntoIterator<Item = usize>) -> Result<()> {
        match places.into_iter().find(|&i| self.inverse_length[i] == 0.0) {
            None => Ok(()),
            Some(i) => {
                let what = if self.mean.is_some() { "the mean itself" } else { "zero" };
                let id = self.embeddings.id(i);
                Err(Error::Undefined(format!(
                    "embedding `{id}` is {what}: it has no direction to compare"
                )))
            }
        }
    }

    /// 1 / |x - m| of an embedding.
    ///
    /// # Panics
    /// As [`score`](Self::score).
    pub(super) fn inverse(&self, i: usize) -> f64 {
        let inverse = self.inverse_length[i];
        assert!(inverse > 0.0, "embedding `{}` has no direction", self.embeddings.id(i));
        inverse
    }

    /// The cosine of two embeddings by their places, -1 to 1.
    ///
    /// # Panics
    /// If one of them has no direction, which [`for_places`](Self::for_places) allows.
    pub fn score(&self, a: usize, b: usize) -> f64 {
        // Rounding can lead beyond -1 and 1.
        (self.dot(a, b) * self.inverse(a) * self.inverse(b)).clamp(-1.0, 1.0)
    }

    /// The unit vector of an embedding less the mean, `[dim]`.
    ///
    /// # Panics
    /// As [`score`](Self::score).
    pub fn unit(&self, i: usize) -> Vec<f64> {
        let (row, inverse) = (self.embeddings.row(i), self.inverse(i));
        let value = |j: usize| f64::from(row[j]) - self.mean.as_ref().map_or(0.0, |m| m[j]);
        (0..row.len()).map(|j| value(j) * inverse).collect()
    }

    /// Writes the values of an embedding less the mean, `[dim]`, and returns 1 over their length.
    ///
    /// # Panics
    /// As [`score`](Self::score).
    pub(super) fn write_centred(&self, i: usize, values: &mut [f64]) -> f64 {
        let values = values.iter_mut().zip(self.embeddings.row(i));
        match &self.mean {
            None => values.for_each(|(v, &x)| *v = f64::from(x)),
            Some(mean) => values.zip(mean).for_each(|((v, &x), m)| *v = f64::from(x) - m),
        }
        self.inverse(i)
    }

    /// The mean that is subtracted, `[dim]`.
    pub(super) fn mean(&self) -> Option<&[f64]> {
        self.mean.as_deref()
    }

    /// The embeddings.
    pub fn embeddings(&self) -> &Embeddings {
        self.embeddings
    }

    fn dot(&self, a: usize, b: usize) -> f64 {
        product(self.embeddings.row(a), self.embeddings.row(b), self.mean())
    }
}

/// (x - m).(y - m), where m is a mean or zero. It is summed in the order of [`Lanes`], so no bit
/// depends on the processor.
fn product(x: &[f32], y: &[f32], mean: Option<&[f64]>) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has these instructions.
        return unsafe { with_256_bits(x, y, mean) };
    }
    plain(x, y, mean)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_256_bits(x: &[f32], y: &[f32], mean: Option<&[f64]>) -> f64 {
    plain(x, y, mean)
}

/// The plain twin of [`product`].
#[inline(always)]
fn plain(x: &[f32], y: &[f32], mean: Option<&[f64]>) -> f64 {
    match mean {
        None => Lanes::<8>::sum2(x, y, |x, y| f64::from(x) * f64::from(y)),
        Some(mean) => {
            Lanes::<8>::sum3(x, y, mean, |x, y, m| (f64::from(x) - m) * (f64::from(y) - m))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn cosines_are_those_of_directions() {
        assert_eq!(cosine(&[2.0, 0.0], &[3.0, 0.0]), 1.0);
        assert_eq!(cosine(&[2.0, 0.0], &[0.0, -3.0]), 0.0);
        assert!(cosine(&[0.0, 0.0], &[1.0, 1.0]).is_nan());
    }

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
                    let direct: f64 =
                        scorer.unit(a).iter().zip(scorer.unit(b)).map(|(x, y)| x * y).sum();
                    assert!((scorer.score(a, b) - direct).abs() < 1e-14);
                }
                let mut centred = [0.0; 11];
                let inverse = scorer.write_centred(a, &mut centred);
                assert_eq!(scorer.unit(a), centred.map(|x| x * inverse));
            }
        }
    }

    #[test]
    fn products_are_those_of_the_plain_twin() {
        let mut stream = Stream::new(1, "test", &[]);
        for dim in [1, 7, 8, 64, 193] {
            let mut values = || (0..dim).map(|_| stream.normal() as f32).collect::<Vec<f32>>();
            let (x, y) = (values(), values());
            let mean: Vec<f64> = values().into_iter().map(|m| f64::from(m) / 7.0).collect();
            for mean in [None, Some(&mean[..])] {
                assert_eq!(product(&x, &y, mean), plain(&x, &y, mean), "{dim} values");
                let m = |j: usize| mean.map_or(0.0, |mean| mean[j]);
                let term = |j: usize| (f64::from(x[j]) - m(j)) * (f64::from(y[j]) - m(j));
                let direct: f64 = (0..dim).map(term).sum();
                assert!((plain(&x, &y, mean) - direct).abs() < 1e-12, "{dim} values");
            }
        }
    }

    #[test]
    fn a_zero_vector_is_an_error_where_it_is_used() {
        let mut e = Embeddings::new(2);
        e.push("silent", &[0.0, 0.0]).unwrap();
        e.push("a", &[1.0, 2.0]).unwrap();
        e.push("b", &[-2.0, 1.0]).unwrap();
        assert!(Scorer::new(&e, None).err().unwrap().to_string().contains("`silent` is zero"));
        let error = Scorer::for_trials(&e, None, &[(1, 2), (2, 0)]).err().unwrap().to_string();
        assert!(error.contains("`silent` is zero"), "{error}");
        assert_eq!(Scorer::for_trials(&e, None, &[(1, 2)]).unwrap().score(1, 2), 0.0);
        assert!(Scorer::new(&e, Some(vec![0.0; 3])).is_err());
    }

    #[test]
    #[should_panic(expected = "`silent` has no direction")]
    fn what_has_no_direction_has_no_score() {
        let mut e = Embeddings::new(1);
        e.push("silent", &[0.0]).unwrap();
        Scorer::for_trials(&e, None, &[]).unwrap().score(0, 0);
    }

    #[test]
    fn copies_score_one_and_not_more() {
        let mut e = Embeddings::new(7);
        for i in 0..50 {
            let row: Vec<f32> = (0..7).map(|j| ((i * 7 + j) as f32 * 0.37).sin() * 3.0).collect();
            e.push(&format!("a{i}"), &row).unwrap();
            e.push(&format!("b{i}"), &row.iter().map(|x| -x).collect::<Vec<f32>>()).unwrap();
        }
        let scorer = Scorer::new(&e, None).unwrap();
        for i in 0..50 {
            let (same, opposite) = (scorer.score(2 * i, 2 * i), scorer.score(2 * i, 2 * i + 1));
            assert!(
                (1.0 - 1e-14..=1.0).contains(&same) && (-1.0..=-1.0 + 1e-14).contains(&opposite)
            );
        }
    }

    #[test]
    fn the_mean_itself_has_no_direction() {
        let mut e = Embeddings::new(3);
        e.push("a", &[0.1, 0.7, -0.3]).unwrap();
        e.push("b", &[0.1, 0.7, -0.3]).unwrap();
        // Rounding leaves 1e-9 of its length.
        let mean = e.mean().iter().map(|x| x * (1.0 + 1e-9)).collect();
        assert!(
            Scorer::new(&e, Some(mean))
                .err()
                .unwrap()
                .to_string()
                .contains("`a` is the mean itself")
        );
        e.push("c", &[0.2, 0.7, -0.3]).unwrap();
        assert!(Scorer::new(&e, Some(e.mean())).is_ok());
        // A mean of zero changes nothing, however short the embeddings are.
        let mut short = Embeddings::new(1);
        short.push("a", &[1e-30]).unwrap();
        assert!(Scorer::new(&short, Some(vec![0.0])).is_ok());
    }
}
