//! Linear discriminant analysis: the directions in which speakers differ most, for what their own
//! utterances differ.

mod groups;
mod scatter;

pub use groups::Groups;
pub(super) use scatter::Scatter;

use super::linear::{Eigen, Matrix, add_to_columns, eigen, scale_columns, symmetric, times};
use crate::error::{Error, Result};

/// `(x - mean)' * matrix`, which makes the covariance within speakers the unit matrix and that
/// between them diagonal.
#[derive(Debug, Clone, PartialEq)]
pub struct Lda {
    mean: Vec<f64>,
    /// `[output, input]`
    transposed: Matrix,
}

impl Lda {
    /// The least eigenvalue of the covariance within speakers, as a part of the largest one.
    /// Smaller ones are raised to it, as in WeSpeaker and Kaldi.
    pub const FLOOR: f64 = 1e-6;

    /// A projection by its mean `[input]` and its matrix `[input, output]`, row by row.
    ///
    /// # Errors
    /// A matrix without rows or columns, or of more columns than rows; values that are not finite.
    pub fn new(mean: Vec<f64>, matrix: &[f64]) -> Result<Self> {
        let input = mean.len();
        let output = matrix.len().checked_div(input).unwrap_or(0);
        if output == 0 || output > input || output * input != matrix.len() {
            let (values, what) = (matrix.len(), format!("a mean of {input}"));
            return Err(Error::invalid(format!("LDA: {values} values of a matrix for {what}")));
        }
        if !mean.iter().chain(matrix).all(|x| x.is_finite()) {
            return Err(Error::invalid("LDA: holds values that are not finite"));
        }
        Ok(Self { mean, transposed: Matrix::from_column_slice(output, input, matrix) })
    }

    /// Finds the `dim` best directions (WeSpeaker `embedding_processing.py`, class `Lda`): the
    /// covariances within and between speakers weigh each speaker by the number of utterances and
    /// divide by all of them; speakers of one utterance are left out. `columns` makes vectors
    /// `[input]` of the embeddings at some places.
    ///
    /// # Errors
    /// Fewer than one direction or more than `input`; no speaker of several utterances; speakers
    /// whose utterances are all one and the same; those of `columns`.
    pub(super) fn train(
        groups: &Groups,
        input: usize,
        dim: usize,
        columns: &dyn Fn(&[usize]) -> Result<Matrix>,
    ) -> Result<Self> {
        if dim == 0 || dim > input {
            return Err(Error::invalid(format!("LDA to {dim}: 1 to {input} are possible")));
        }
        let several = groups.of_several();
        if several.speakers() < 2 {
            return Err(Error::Undefined(
                "LDA needs two speakers of several utterances at least".into(),
            ));
        }
        let scatter = Scatter::of(&several, input, columns)?;
        let total = scatter.utterances();
        let mut mean = times(&scatter.means, &scatter.counts);
        mean.iter_mut().for_each(|m| *m /= total);
        let about = scatter.weighted_means(&mean);
        let between = &about * about.transpose() / total;
        let Eigen { values, vectors } = eigen(symmetric(&(&scatter.within / total)))?;
        let least = values[0] * Self::FLOOR;
        if least <= 0.0 {
            return Err(Error::Undefined("the utterances of each speaker are equal".into()));
        }
        // A column of `whiten` has unit variance within speakers.
        let mut whiten = vectors;
        let factors: Vec<f64> = values.iter().map(|v| 1.0 / v.max(least).sqrt()).collect();
        scale_columns(&mut whiten, &factors);
        let seen = eigen(symmetric(&(whiten.transpose() * between * &whiten)))?;
        // From the least of those that are kept to the best, as WeSpeaker has them.
        let kept: Vec<usize> = (0..dim).rev().collect();
        let matrix = whiten * seen.vectors.select_columns(&kept);
        Ok(Self { mean, transposed: matrix.transpose() })
    }

    /// The mean that is subtracted, `[input]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The matrix `[input, output]`, row by row. The last column is the best direction.
    pub fn matrix(&self) -> &[f64] {
        self.transposed.as_slice()
    }

    /// Number of values that go in and that come out.
    pub fn dims(&self) -> [usize; 2] {
        [self.transposed.ncols(), self.transposed.nrows()]
    }

    /// Projects columns `[input]`.
    pub(super) fn project(&self, mut columns: Matrix) -> Matrix {
        let negative: Vec<f64> = self.mean.iter().map(|x| -x).collect();
        add_to_columns(&mut columns, &negative);
        &self.transposed * columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use crate::scoring::{Embeddings, linear::vectors};

    /// Speakers differ in the first direction alone, their own utterances in both.
    fn two_directions() -> (Embeddings, Groups) {
        let (mut all, mut stream) = (Embeddings::new(2), Stream::new(1, "lda", &[]));
        for i in 0..200 {
            let speaker = f64::from(i % 10) - 4.5;
            let row = [5.0 + speaker + 0.1 * stream.normal(), 7.0 + 3.0 * stream.normal()];
            all.push(&format!("{}-{i}", i % 10), &row.map(|x| x as f32)).unwrap();
        }
        let groups = Groups::new(&all, &|id| Some(id.split('-').next()?.to_owned())).unwrap();
        (all, groups)
    }

    fn train(all: &Embeddings, groups: &Groups, dim: usize) -> Result<Lda> {
        let columns = |places: &[usize]| {
            let values = places.iter().flat_map(|&i| all.row(i).iter().map(|&x| f64::from(x)));
            Ok(Matrix::from_vec(all.dim(), places.len(), values.collect()))
        };
        Lda::train(groups, all.dim(), dim, &columns)
    }

    #[test]
    fn the_direction_that_tells_speakers_apart_is_kept() {
        let (all, groups) = two_directions();
        let lda = train(&all, &groups, 1).unwrap();
        assert_eq!(lda.dims(), [2, 1]);
        let &[first, second] = lda.matrix() else { panic!("{lda:?}") };
        assert!(first.abs() > 20.0 * second.abs(), "{lda:?}");
        assert!((lda.mean()[0] - 5.0).abs() < 0.1);
        let both = train(&all, &groups, 2).unwrap();
        assert_eq!(both.matrix()[1], first, "the best direction is the last one");
        let again = Lda::new(lda.mean().to_vec(), lda.matrix()).unwrap();
        assert_eq!(again, lda);
        let at_mean = lda.project(Matrix::from_column_slice(2, 1, lda.mean()));
        assert!(vectors(&at_mean).all(|x| x == [0.0]));
    }

    #[test]
    fn what_tells_nothing_is_refused() {
        let (all, groups) = two_directions();
        for dim in [0, 3] {
            let error = train(&all, &groups, dim).unwrap_err().to_string();
            assert!(error.contains("1 to 2 are possible"), "{error}");
        }
        let alone = Groups::new(&all, &|id| Some(id.to_owned())).unwrap();
        let error = train(&all, &alone, 1).unwrap_err().to_string();
        assert!(error.contains("two speakers of several utterances"), "{error}");
        let mut same = Embeddings::new(2);
        for i in 0..6 {
            same.push(&format!("{}-{i}", i % 3), &[(i % 3) as f32, 1.0]).unwrap();
        }
        let groups = Groups::new(&same, &|id| Some(id.split('-').next()?.to_owned())).unwrap();
        let error = train(&same, &groups, 1).unwrap_err().to_string();
        assert!(error.contains("are equal"), "{error}");
        assert!(Lda::new(vec![0.0; 2], &[1.0; 3]).is_err() && Lda::new(vec![], &[]).is_err());
        assert!(Lda::new(vec![0.0; 2], &[1.0, f64::NAN]).is_err());
    }
}
