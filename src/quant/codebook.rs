//! The values a tensor's weights may take, on the host: made from weights, followed as weights
//! move, and what a file holds of them.

use super::{Scheme, TensorScheme, kmeans};
use crate::error::{Error, Result};

/// A tensor's codebook.
#[derive(Debug, Clone, PartialEq)]
pub struct Codebook {
    scheme: TensorScheme,
    groups: usize,
    /// Ascending centroids, or a scale (and an offset) for each group.
    values: Vec<f32>,
}

impl Codebook {
    /// The scheme's codebook for weights of a shape (output channels first). k-means gives fewer
    /// than `2^bits` centroids where there are fewer distinct weights, which are then kept exactly:
    /// one where all weights are the same.
    ///
    /// # Errors
    /// Weights that are not finite; fewer weights than centroids.
    pub fn fit(scheme: TensorScheme, weights: &[f32], shape: &[usize]) -> Result<Self> {
        finite(weights)?;
        if weights.len() < 1 << scheme.bits {
            let (n, k) = (weights.len(), 1 << scheme.bits);
            return Err(Error::Invalid(format!(
                "{n} weights are fewer than the {k} values of {} bits",
                scheme.bits
            )));
        }
        let groups = scheme.groups(shape);
        let values = match scheme.scheme {
            Scheme::KMeans => kmeans::centroids(weights, 1 << scheme.bits)?,
            _ => scales(scheme, weights, groups),
        };
        Ok(Self { scheme, groups, values: plain(values) })
    }

    /// One that was stored, for a tensor of a shape.
    ///
    /// # Errors
    /// A wrong number of values, or one that is not finite.
    pub fn stored(scheme: TensorScheme, values: Vec<f32>, shape: &[usize]) -> Result<Self> {
        let groups = scheme.groups(shape);
        let right = match scheme.scheme {
            Scheme::KMeans => (1..=1 << scheme.bits).contains(&values.len()),
            _ => values.len() == groups * (1 + usize::from(scheme.offset)),
        };
        if !right {
            return Err(Error::Invalid(format!(
                "{} values for {} bits",
                values.len(),
                scheme.bits
            )));
        }
        if values.iter().any(|v| !v.is_finite()) {
            return Err(Error::Invalid("values that are not finite".into()));
        }
        Ok(Self { scheme, groups, values })
    }

    /// The codebook for weights that have moved a little: k-means goes on with `steps` of Lloyd's
    /// iterations, scales are taken anew. Lloyd's iterations never add a centroid, so a codebook
    /// that has fewer than `2^bits` is made anew when weights have left its values.
    ///
    /// # Errors
    /// Weights that are not finite.
    pub fn follow(&self, weights: &[f32], steps: usize) -> Result<Self> {
        finite(weights)?;
        let most = 1 << self.scheme.bits;
        let values = match self.scheme.scheme {
            Scheme::KMeans if self.values.len() < most && !self.is_exact(weights) => {
                kmeans::centroids(weights, most)?
            }
            Scheme::KMeans => kmeans::refine(weights, &self.values, steps)?,
            Scheme::BinaryStatic => self.values.clone(),
            Scheme::BinaryAdaptive => scales(self.scheme, weights, self.groups),
        };
        Ok(Self { values: plain(values), ..*self })
    }

    /// Whether every weight is one of the centroids.
    fn is_exact(&self, weights: &[f32]) -> bool {
        let bounds = kmeans::bounds(&self.values);
        weights.iter().all(|&w| self.values[kmeans::nearest(&bounds, w)] == w)
    }

    /// Centroids that are the means of given members; one without members stays.
    ///
    /// # Errors
    /// Weights that are not finite.
    pub fn means(&self, weights: &[f32], codes: &[u8]) -> Result<Self> {
        finite(weights)?;
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

    /// Rows of the table.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Values a code can stand for, in each group.
    pub fn entries(&self) -> usize {
        if self.scheme.scheme.is_binary() { 2 } else { self.values.len() }
    }

    /// What a file holds, with the last centroid repeated where there are fewer than `2^bits`.
    pub fn padded(&self) -> Vec<f32> {
        let mut values = self.values.clone();
        if !self.scheme.scheme.is_binary() {
            values.resize(1 << self.scheme.bits, *self.values.last().expect("at least one"));
        }
        values
    }

    /// `[groups, 2^bits]`: each group's values, the last one repeated where there are fewer.
    pub fn table(&self) -> Vec<f32> {
        match self.scheme.scheme {
            Scheme::KMeans => self.padded(),
            _ => {
                self.pairs().flat_map(|(scale, offset)| [offset - scale, offset + scale]).collect()
            }
        }
    }

    /// `[groups, 2^bits - 1]`: what separates the values.
    pub fn bounds(&self) -> Vec<f32> {
        match self.scheme.scheme {
            Scheme::KMeans => {
                let mut bounds = kmeans::bounds(&self.values);
                bounds.resize((1 << self.scheme.bits) - 1, f32::MAX);
                bounds
            }
            _ => self.pairs().map(|(_, offset)| offset).collect(),
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (f32, f32)> + '_ {
        let each = 1 + usize::from(self.scheme.offset);
        self.values.chunks(each).map(|pair| (pair[0], pair.get(1).copied().unwrap_or(0.0)))
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

/// The number of the first weight that is not finite, as an error.
pub(super) fn finite(weights: &[f32]) -> Result<()> {
    match weights.iter().position(|w| !w.is_finite()) {
        Some(i) => Err(Error::Invalid(format!("weight {i} is {}", weights[i]))),
        None => Ok(()),
    }
}

/// Each group's mean distance from its middle (0, or its mean), with the middle behind it where
/// there is one.
fn scales(scheme: TensorScheme, weights: &[f32], groups: usize) -> Vec<f32> {
    let group = |w: &[f32]| {
        let n = w.len() as f64;
        let middle =
            if scheme.offset { w.iter().map(|&w| f64::from(w)).sum::<f64>() / n } else { 0.0 };
        // What is stored is the middle in f32: the distances are from that.
        let middle = f64::from(middle as f32);
        let scale = w.iter().map(|&w| (f64::from(w) - middle).abs()).sum::<f64>() / n;
        let pair = [scale as f32, middle as f32];
        pair.into_iter().take(1 + usize::from(scheme.offset))
    };
    weights.chunks(weights.len() / groups).flat_map(group).collect()
}

/// Without negative zeros, which a sum would turn into positive ones.
fn plain(values: Vec<f32>) -> Vec<f32> {
    values.into_iter().map(|v| v + 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn binary(scheme: Scheme, per_channel: bool, offset: bool) -> TensorScheme {
        TensorScheme { scheme, bits: 1, per_channel, offset }
    }

    #[test]
    fn what_cannot_be_quantized_is_refused() {
        let refused = |scheme, weights: &[f32], wanted: &str| {
            let error = Codebook::fit(scheme, weights, &[weights.len()]).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        };
        refused(
            TensorScheme::kmeans(2),
            &[1.0, 2.0, 3.0],
            "3 weights are fewer than the 4 values of 2 bits",
        );
        refused(TensorScheme::kmeans(1), &[0.5, f32::NAN], "weight 1 is NaN");
        refused(
            binary(Scheme::BinaryAdaptive, false, true),
            &[1.0, f32::INFINITY],
            "weight 1 is inf",
        );
    }

    #[test]
    fn binary_values_are_means_of_magnitudes() {
        let weights = [1.0, -3.0, 2.0, 6.0];
        let fit = |per_channel, offset| {
            Codebook::fit(binary(Scheme::BinaryStatic, per_channel, offset), &weights, &[2, 2])
                .unwrap()
                .table()
        };
        assert_eq!(fit(false, false), [-3.0, 3.0]);
        assert_eq!(fit(true, false), [-2.0, 2.0, -4.0, 4.0]);
        assert_eq!(fit(false, true), [-1.0, 4.0]); // 1.5 -+ 2.5
        assert_eq!(fit(true, true), [-3.0, 1.0, 2.0, 6.0]);
    }

    #[test]
    fn static_scales_stay_and_adaptive_ones_follow() {
        for (scheme, wanted) in
            [(Scheme::BinaryStatic, [-1.5, 1.5]), (Scheme::BinaryAdaptive, [-4.0, 4.0])]
        {
            let book = Codebook::fit(binary(scheme, false, false), &[1.0, -2.0], &[2]).unwrap();
            assert_eq!(book.follow(&[3.0, -5.0], 1).unwrap().table(), wanted);
        }
    }

    /// Every scheme with every choice.
    fn schemes() -> Vec<TensorScheme> {
        let choices = [(false, false), (true, false), (false, true), (true, true)];
        let of_two = [Scheme::BinaryStatic, Scheme::BinaryAdaptive]
            .into_iter()
            .flat_map(|s| choices.map(|(per_channel, offset)| binary(s, per_channel, offset)));
        (1..=3).map(TensorScheme::kmeans).chain(of_two).collect()
    }

    /// The values that a book, and the same book read from a file, give to weights.
    fn kept(book: &Codebook, weights: &[f32], shape: &[usize]) -> Vec<f32> {
        let values = book.decode(&book.encode(weights));
        let stored = Codebook::stored(book.scheme(), book.values().to_vec(), shape).unwrap();
        assert_eq!(stored.decode(&stored.encode(weights)), values);
        values
    }

    #[test]
    fn a_layer_of_one_value_is_kept_exactly() {
        for value in [0.0, -0.0, 0.5, -1e30, f32::MAX, f32::from_bits(1), -f32::from_bits(7)] {
            for scheme in schemes() {
                let (weights, shape) = ([value; 12], [3, 4]);
                let book = Codebook::fit(scheme, &weights, &shape).unwrap();
                assert_eq!(kept(&book, &weights, &shape), weights, "{scheme:?}");
                assert_eq!(book.error(&weights), 0.0);
                let followed = book.follow(&weights, 3).unwrap();
                assert_eq!(followed, book, "{scheme:?}: {value}");
            }
        }
        // A table's zeros have no sign, wherever they are computed.
        let book = Codebook::fit(TensorScheme::kmeans(2), &[-0.0, 0.0, -0.0, 0.0], &[4]).unwrap();
        assert!(book.table().iter().all(|v| v.to_bits() == 0));
        assert_eq!((book.values(), book.entries()), (&[0.0][..], 1));
    }

    /// A channel that is all zero beside others.
    #[test]
    fn a_channel_of_one_value_is_kept_exactly() {
        let weights = [0.0, 0.0, 0.0, 0.0, 1.0, -3.0, 2.0, 6.0];
        for scheme in schemes().into_iter().filter(|s| s.per_channel) {
            let book = Codebook::fit(scheme, &weights, &[2, 4]).unwrap();
            assert_eq!(kept(&book, &weights, &[2, 4])[..4], [0.0; 4], "{scheme:?}");
        }
    }

    /// A codebook of one value follows a layer that comes to life.
    #[test]
    fn a_codebook_grows_with_the_weights() {
        let dead = Codebook::fit(TensorScheme::kmeans(2), &[0.0; 8], &[8]).unwrap();
        let alive = [0.1, 0.1, -0.2, 0.3, 0.1, -0.2, 0.3, 0.3];
        let book = dead.follow(&alive, 1).unwrap();
        assert_eq!(book.values(), [-0.2, 0.1, 0.3]);
        assert_eq!(book.decode(&book.encode(&alive)), alive);
        let more = [0.1, 0.2, -0.2, 0.3, 0.5, -0.4, 0.35, 0.6];
        let book = book.follow(&more, 1).unwrap();
        assert_eq!(book, Codebook::fit(TensorScheme::kmeans(2), &more, &[8]).unwrap());
        assert_eq!(book.values().len(), 4);
    }

    #[test]
    fn weights_that_are_not_finite_are_never_followed() {
        for scheme in schemes() {
            let book = Codebook::fit(scheme, &[1.0, -2.0, 3.0, 4.0, 0.5, 0.25, 7.0, 8.0], &[2, 4])
                .unwrap();
            let bad = [1.0, -2.0, 3.0, f32::INFINITY, 0.5, 0.25, 7.0, 8.0];
            for error in [book.follow(&bad, 1).unwrap_err(), book.means(&bad, &[0; 8]).unwrap_err()]
            {
                assert_eq!(error.to_string(), "weight 3 is inf");
            }
        }
    }

    proptest! {
        #[test]
        fn values_are_the_nearest_ones(mut weights in prop::collection::vec(-1f32..1.0, 8..60), bits in 1usize..=3) {
            weights[0] += 3.0;
            let book = Codebook::fit(TensorScheme::kmeans(bits), &weights, &[weights.len()]).unwrap();
            let codes = book.encode(&weights);
            for (w, v) in weights.iter().zip(book.decode(&codes)) {
                let nearest = book.values().iter().map(|c| (c - w).abs()).fold(f32::INFINITY, f32::min);
                prop_assert!((v - w).abs() <= nearest + 1e-6);
            }
            prop_assert!(book.follow(&weights, 3).unwrap().error(&weights) <= book.error(&weights) + 1e-6);
            let means = book.means(&weights, &codes).unwrap();
            prop_assert!(means.error(&weights) <= book.error(&weights) + 1e-6);
            let stored = Codebook::stored(book.scheme(), book.values().to_vec(), &[weights.len()]).unwrap();
            prop_assert_eq!(stored, book);
        }
    }
}
