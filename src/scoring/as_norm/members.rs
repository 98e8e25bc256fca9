//! Cosines with members of a cohort in f64.

use super::dots::Values;
use super::rows::Row;
use crate::lanes::Lanes;
use crate::scoring::Scorer;

/// A cohort for cosines in f64. Without a mean they are those of [`Scorer::score`], to the bit.
///
/// A mean m is taken out of the product: x.(y - m) = x.y - x.m. What that rounds is relative to
/// |y| + |m| instead of |y - m|. With n values, such a cosine differs from the score by at most
/// (n / 8 + 20) 2^-52 (1 + (|y| + |m|) / |y - m|). That is about 1e-14. It stays below 1e-7 for
/// members that barely differ from the mean: a scorer refuses those nearer than 1e-6 |m|.
pub(super) struct Members {
    values: Held,
    /// 1 over the length of each.
    inverse: Vec<f64>,
}

/// The members' values.
enum Held {
    /// Embeddings, and what is subtracted from them. They are stored as f32, which takes half the
    /// memory of the differences: reading them takes most of the time.
    Stored(Values, Option<Vec<f64>>),
    /// Vectors that f32 would round, `[members, dim]`.
    Wide(Vec<f64>),
}

impl Members {
    /// Vectors in f64, `[members, dim]`, and 1 over their lengths.
    pub fn wide(vectors: Vec<f64>, inverse: Vec<f64>) -> Self {
        Self { values: Held::Wide(vectors), inverse }
    }

    /// The embeddings of `scorer`, less its mean.
    ///
    /// # Panics
    /// If one has no direction, as in [`Scorer::unit`].
    pub fn of(scorer: &Scorer) -> Self {
        let embeddings = scorer.embeddings();
        let count = embeddings.len();
        let mut values = Values::zeros(count, embeddings.dim());
        for i in 0..count {
            values.member_mut(i).copy_from_slice(embeddings.row(i));
        }
        let inverse = (0..count).map(|i| scorer.inverse(i)).collect();
        Self { values: Held::Stored(values, scorer.mean().map(<[f64]>::to_vec)), inverse }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.inverse.len()
    }

    /// Appends to `cosines` those of a row with the members at `places`, which count from member
    /// `first` on.
    pub fn cosines(&self, row: &Row, first: usize, places: &[u32], cosines: &mut Vec<f64>) {
        let before = cosines.len();
        let less = match &self.values {
            Held::Stored(values, mean) => {
                values.dots(row.values, first, places, cosines);
                let dot = |mean: &[f64]| Lanes::<8>::sum2(row.values, mean, |x, m| x * m);
                mean.as_deref().map_or(0.0, dot)
            }
            Held::Wide(values) => {
                let dim = row.values.len();
                let member = |place: u32| &values[(first + place as usize) * dim..][..dim];
                let dot = |&place: &u32| Lanes::<8>::sum2(row.values, member(place), |x, y| x * y);
                cosines.extend(places.iter().map(dot));
                0.0
            }
        };
        let inverses = &self.inverse[first..];
        for (x, &place) in cosines[before..].iter_mut().zip(places) {
            *x = ((*x - less) * row.inverse * inverses[place as usize]).clamp(-1.0, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use crate::scoring::Embeddings;
    use crate::scoring::as_norm::rows::Rows;

    /// `dim` values around `centre`.
    fn voices(stream: &mut Stream, dim: usize, centre: f64) -> Embeddings {
        let mut all = Embeddings::new(dim);
        for i in 0..30 {
            let row: Vec<f32> = (0..dim).map(|_| (centre + stream.normal()) as f32).collect();
            all.push(&format!("u{i}"), &row).unwrap();
        }
        all
    }

    /// Calls `check` with the cosines of some pairs, their places, and what the cosines may differ
    /// by.
    fn each(scorer: &Scorer, check: &dyn Fn(f64, usize, usize, f64)) {
        let (members, mut rows) = (Members::of(scorer), Rows::default());
        rows.fill(scorer, 0..30);
        let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let dim = scorer.embeddings().dim();
        for a in 0..30 {
            let (mut cosines, first, places) = (Vec::new(), 4, [0, 7, 2, 25, 3]);
            members.cosines(&rows.row(a), first, &places, &mut cosines);
            for (cosine, b) in cosines.into_iter().zip(places.map(|b| first + b as usize)) {
                let y: Vec<f64> =
                    scorer.embeddings().row(b).iter().map(|&y| f64::from(y)).collect();
                let both = length(&y) + scorer.mean().map_or(0.0, length);
                let most = (dim as f64 / 8.0 + 20.0) * (1.0 + both * scorer.inverse(b));
                check(cosine, a, b, most * f64::EPSILON);
            }
        }
    }

    #[test]
    fn cosines_are_the_scores() {
        let mut stream = Stream::new(1, "test", &[]);
        for dim in [1, 3, 8, 64, 193] {
            let all = voices(&mut stream, dim, 0.1);
            let scorer = Scorer::new(&all, None).unwrap();
            each(&scorer, &|cosine, a, b, _| {
                assert_eq!(cosine, scorer.score(a, b), "{dim} values");
            });
        }
    }

    #[test]
    fn cosines_less_a_mean_are_the_scores_but_for_rounding() {
        let mut stream = Stream::new(2, "test", &[]);
        for dim in [3, 8, 64, 193] {
            // The last ones lie 1e-4 of their length from the mean.
            for centre in [0.1, 100.0, 1e4] {
                let all = voices(&mut stream, dim, centre);
                let scorer = Scorer::new(&all, Some(all.mean())).unwrap();
                each(&scorer, &|cosine, a, b, most| {
                    let off = (cosine - scorer.score(a, b)).abs();
                    assert!(off <= most, "{dim} values around {centre}: {off}, not {most}");
                    assert!(centre > 1.0 || most < 1e-12, "{most}");
                });
            }
        }
    }
}
