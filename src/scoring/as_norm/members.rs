//! Cosines with members of a cohort in f64.

use super::dots::Values;
use super::rows::Row;
use crate::lanes::Lanes;
use crate::scoring::Scorer;

/// A cohort for cosines in f64. They are those of [`Scorer::score`], to the bit.
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
        match &self.values {
            Held::Stored(values, Some(mean)) => {
                values.dots_less(mean, row.values, first, places, cosines);
            }
            Held::Stored(values, None) if row.is_stored => {
                values.dots(row.values, first, places, cosines);
            }
            Held::Stored(values, None) => {
                values.plain::<false>(row.values, row.values, first, places, cosines);
            }
            Held::Wide(values) => {
                let dim = row.values.len();
                let member = |place: u32| &values[(first + place as usize) * dim..][..dim];
                let dot = |&place: &u32| Lanes::<8>::sum2(row.values, member(place), |x, y| x * y);
                cosines.extend(places.iter().map(dot));
            }
        }
        let inverses = &self.inverse[first..];
        for (x, &place) in cosines[before..].iter_mut().zip(places) {
            *x = (*x * row.inverse * inverses[place as usize]).clamp(-1.0, 1.0);
        }
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
                    let (mut cosines, first, places) = (Vec::new(), 4, [0, 7, 2, 25, 3]);
                    members.cosines(&rows.row(a), first, &places, &mut cosines);
                    let wanted = places.map(|b| scorer.score(a, first + b as usize));
                    assert_eq!(cosines, wanted, "{dim} values");
                }
            }
        }
    }
}
