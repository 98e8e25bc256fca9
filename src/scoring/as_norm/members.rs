//! Cosines with members of a cohort in f64.

#![allow(unsafe_code, reason = "vector instructions are used where the processor has them")]

use crate::lanes::Lanes;
use crate::scoring::Scorer;

/// A cohort for cosines in f64. They are those of [`Scorer::score`], to the bit.
pub(super) struct Members {
    /// `[count, dim]`.
    values: Values,
    /// 1 over the length of each.
    inverse: Vec<f64>,
}

/// Values less the mean. Without a mean they are f32, which takes half the memory.
enum Values {
    Stored(Vec<f32>),
    Centred(Vec<f64>),
}

impl Members {
    /// The embeddings of `scorer`, less its mean.
    ///
    /// # Panics
    /// If one has no direction, as in [`Scorer::unit`].
    pub fn of(scorer: &Scorer) -> Self {
        let embeddings = scorer.embeddings();
        let (count, dim) = (embeddings.len(), embeddings.dim());
        let mut inverse = Vec::with_capacity(count);
        let values = if scorer.has_mean() {
            let mut values = vec![0.0; count * dim];
            let rows = values.chunks_exact_mut(dim).enumerate();
            inverse.extend(rows.map(|(i, row)| scorer.write_centred(i, row)));
            Values::Centred(values)
        } else {
            let mut centred = vec![0.0; dim];
            inverse.extend((0..count).map(|i| scorer.write_centred(i, &mut centred)));
            Values::Stored((0..count).flat_map(|i| embeddings.row(i)).copied().collect())
        };
        Self { values, inverse }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.inverse.len()
    }

    /// Appends to `cosines` those of a row, which is its values and 1 over their length, with the
    /// members at `places`. The places count from member `first` on.
    pub fn cosines(
        &self,
        (row, inverse): (&[f64], f64),
        first: usize,
        places: &[u32],
        cosines: &mut Vec<f64>,
    ) {
        let inverses = &self.inverse[first..];
        let start = first * row.len();
        match &self.values {
            Values::Stored(values) => {
                let values = &values[start..];
                dispatch(&Pairs { row, inverse, values, inverses, places }, cosines);
            }
            Values::Centred(values) => {
                let values = &values[start..];
                dispatch(&Pairs { row, inverse, values, inverses, places }, cosines);
            }
        }
    }
}

/// A row, and the members with which it is compared.
struct Pairs<'a, T> {
    row: &'a [f64],
    inverse: f64,
    values: &'a [T],
    inverses: &'a [f64],
    places: &'a [u32],
}

/// Appends the cosines, with the widest vectors that the processor has. Their width changes no bit.
fn dispatch<T: Copy + Into<f64>>(pairs: &Pairs<T>, cosines: &mut Vec<f64>) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has these instructions.
            return unsafe { with_512_bits(pairs, cosines) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { with_256_bits(pairs, cosines) };
        }
    }
    each(pairs, cosines);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn with_512_bits<T: Copy + Into<f64>>(pairs: &Pairs<T>, cosines: &mut Vec<f64>) {
    each(pairs, cosines);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_256_bits<T: Copy + Into<f64>>(pairs: &Pairs<T>, cosines: &mut Vec<f64>) {
    each(pairs, cosines);
}

#[inline(always)]
fn each<T: Copy + Into<f64>>(pairs: &Pairs<T>, cosines: &mut Vec<f64>) {
    let (row, dim) = (pairs.row, pairs.row.len());
    cosines.reserve(pairs.places.len());
    for &place in pairs.places {
        let place = place as usize;
        let member = &pairs.values[place * dim..][..dim];
        let dot = Lanes::<8>::sum2(row, member, |x, y| x * Into::<f64>::into(y));
        cosines.push((dot * pairs.inverse * pairs.inverses[place]).clamp(-1.0, 1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use crate::scoring::Embeddings;
    use crate::scoring::as_norm::rows::Rows;

    #[test]
    fn cosines_are_the_scores() {
        let mut stream = Stream::new(1, "test", &[]);
        for dim in [1, 3, 8, 64, 193] {
            let mut all = Embeddings::new(dim);
            for i in 0..30 {
                let row: Vec<f32> = (0..dim).map(|_| 0.1 + stream.normal() as f32).collect();
                all.push(&format!("u{i}"), &row).unwrap();
            }
            for mean in [None, Some(all.mean())] {
                let scorer = Scorer::new(&all, mean).unwrap();
                let (members, mut rows) = (Members::of(&scorer), Rows::default());
                rows.fill(&scorer, 0..30);
                for a in 0..30 {
                    let (mut cosines, first, places) = (Vec::new(), 4, [0, 7, 2, 25]);
                    members.cosines(rows.row(a), first, &places, &mut cosines);
                    let wanted = places.map(|b| scorer.score(a, first + b as usize));
                    assert_eq!(cosines, wanted, "{dim} values");
                }
            }
        }
    }
}
