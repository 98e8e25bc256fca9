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

/// Members that are compared with a row side by side.
const TOGETHER: usize = 4;

/// A row, and the members with which it is compared.
struct Pairs<'a, T> {
    row: &'a [f64],
    inverse: f64,
    values: &'a [T],
    inverses: &'a [f64],
    places: &'a [u32],
}

impl<T: Copy> Pairs<'_, T> {
    /// The values of a member.
    fn member(&self, place: u32) -> &[T] {
        &self.values[place as usize * self.row.len()..][..self.row.len()]
    }

    /// The cosine of a sum of products with a member.
    fn cosine(&self, dot: f64, place: u32) -> f64 {
        (dot * self.inverse * self.inverses[place as usize]).clamp(-1.0, 1.0)
    }
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

/// [`each`], four members side by side, so that no addition waits for the one before. The order of
/// every sum is that of [`Lanes`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn with_512_bits<T: Copy + Into<f64>>(pairs: &Pairs<T>, cosines: &mut Vec<f64>) {
    use std::arch::x86_64::{__m512d, _mm512_add_pd, _mm512_mul_pd, _mm512_setzero_pd};
    let (together, rest) = pairs.places.as_chunks::<TOGETHER>();
    let (groups, row_rest) = pairs.row.as_chunks::<8>();
    let wide = |values: &[T; 8]| -> __m512d { bytemuck::cast(values.map(Into::<f64>::into)) };
    for places in together {
        let members = places.map(|place| pairs.member(place).as_chunks::<8>());
        let [b0, b1, b2, b3] = members.map(|(b, _)| b);
        let [mut s0, mut s1, mut s2, mut s3] = [_mm512_setzero_pd(); TOGETHER];
        for ((((x, b0), b1), b2), b3) in groups.iter().zip(b0).zip(b1).zip(b2).zip(b3) {
            let x: __m512d = bytemuck::cast(*x);
            s0 = _mm512_add_pd(s0, _mm512_mul_pd(x, wide(b0)));
            s1 = _mm512_add_pd(s1, _mm512_mul_pd(x, wide(b1)));
            s2 = _mm512_add_pd(s2, _mm512_mul_pd(x, wide(b2)));
            s3 = _mm512_add_pd(s3, _mm512_mul_pd(x, wide(b3)));
        }
        for ((sums, (_, member_rest)), &place) in
            [s0, s1, s2, s3].into_iter().zip(members).zip(places)
        {
            let lanes: [f64; 8] = bytemuck::cast(sums);
            let behind = row_rest.iter().zip(member_rest).map(|(&x, &y)| x * y.into());
            let dot = lanes.into_iter().sum::<f64>() + behind.sum::<f64>();
            cosines.push(pairs.cosine(dot, place));
        }
    }
    each(&Pairs { places: rest, ..*pairs }, cosines);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_256_bits<T: Copy + Into<f64>>(pairs: &Pairs<T>, cosines: &mut Vec<f64>) {
    each(pairs, cosines);
}

#[inline(always)]
fn each<T: Copy + Into<f64>>(pairs: &Pairs<T>, cosines: &mut Vec<f64>) {
    cosines.reserve(pairs.places.len());
    for &place in pairs.places {
        let product = |x: f64, y: T| x * Into::<f64>::into(y);
        let dot = Lanes::<8>::sum2(pairs.row, pairs.member(place), product);
        cosines.push(pairs.cosine(dot, place));
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
