//! Steps that embeddings pass through before they are scored.

use super::Embeddings;
use super::lda::{Groups, Lda};
use super::linear::{self, Matrix, add_to_columns};
use crate::error::{Error, Result};

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub enum Link {
    /// A vector `[dim]` is subtracted.
    Mean(Vec<f64>),
    /// The length becomes 1.
    LengthNorm,
    /// A projection.
    Lda(Lda),
}

impl Link {
    /// Number of values that go in and that come out, where the step has its own.
    fn dims(&self) -> Option<[usize; 2]> {
        match self {
            Self::Mean(mean) => Some([mean.len(); 2]),
            Self::LengthNorm => None,
            Self::Lda(lda) => Some(lda.dims()),
        }
    }
}

/// Steps, one after the other (WeSpeaker `embedding_processing.py`), such as `mean-subtract |
/// length-norm | lda | length-norm`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chain(Vec<Link>);

impl Chain {
    /// No steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a step behind the others.
    ///
    /// # Errors
    /// A step that wants another number of values; a mean with values that are not finite.
    pub fn push(&mut self, link: Link) -> Result<()> {
        if let (Some([_, before]), Some([after, _])) = (self.dims(), link.dims())
            && before != after
        {
            let message = format!("a step for {after} values behind one that gives {before}");
            return Err(Error::invalid(message));
        }
        if let Link::Mean(mean) = &link
            && !mean.iter().all(|x| x.is_finite())
        {
            return Err(Error::invalid("the mean holds values that are not finite"));
        }
        self.0.push(link);
        Ok(())
    }

    /// Trains an LDA to `dim` values on embeddings, as the steps so far leave them, and adds it.
    ///
    /// # Errors
    /// Fewer than one value or more than come in; no two speakers of several utterances; an
    /// embedding that has no direction; embeddings of another dimension than the steps'.
    pub fn push_lda(&mut self, embeddings: &Embeddings, groups: &Groups, dim: usize) -> Result<()> {
        let input = self.output_dim(embeddings.dim());
        let lda = Lda::train(groups, input, dim, &|places| self.columns(embeddings, places))?;
        self.push(Link::Lda(lda))
    }

    /// The steps.
    pub fn links(&self) -> &[Link] {
        &self.0
    }

    /// The chain with another mean in the place of the one that it subtracts first, or in front of
    /// its steps.
    ///
    /// # Errors
    /// A mean of another number of values, or with values that are not finite.
    pub fn with_mean(&self, mean: Vec<f64>) -> Result<Self> {
        let rest = match self.0.as_slice() {
            [Link::Mean(_), rest @ ..] | rest => rest,
        };
        let mut chain = Self::new();
        chain.push(Link::Mean(mean))?;
        rest.iter().try_for_each(|link| chain.push(link.clone()))?;
        Ok(chain)
    }

    /// Number of values that come out where `input` go in.
    pub fn output_dim(&self, input: usize) -> usize {
        self.dims().map_or(input, |[_, output]| output)
    }

    /// Number of values that go in, where a step asks for it.
    pub fn input_dim(&self) -> Option<usize> {
        self.dims().map(|[input, _]| input)
    }

    fn dims(&self) -> Option<[usize; 2]> {
        let mut dims = self.0.iter().filter_map(Link::dims);
        let [input, output] = dims.next()?;
        Some([input, dims.next_back().map_or(output, |[_, output]| output)])
    }

    /// An embedding after all steps.
    ///
    /// # Errors
    /// An embedding of another dimension, or one that has no direction where its length is to
    /// become 1.
    pub fn apply(&self, embedding: &[f64]) -> Result<Vec<f64>> {
        self.check(embedding.len())?;
        let column = Matrix::from_column_slice(embedding.len(), 1, embedding);
        let done = self.apply_columns(column).map_err(|_| no_direction("the embedding"))?;
        Ok(done.as_slice().to_vec())
    }

    /// The embeddings at some places after all steps, as columns.
    ///
    /// # Errors
    /// Embeddings of another dimension; one that has no direction, by its id.
    pub(super) fn columns(&self, embeddings: &Embeddings, places: &[usize]) -> Result<Matrix> {
        self.check(embeddings.dim())?;
        let mut values = Vec::with_capacity(embeddings.dim() * places.len());
        for &place in places {
            values.extend(embeddings.row(place).iter().map(|&x| f64::from(x)));
        }
        let columns = Matrix::from_vec(embeddings.dim(), places.len(), values);
        self.apply_columns(columns)
            .map_err(|i| no_direction(&format!("embedding `{}`", embeddings.id(places[i]))))
    }

    fn check(&self, dim: usize) -> Result<()> {
        match self.input_dim() {
            Some(wanted) if wanted != dim => Err(Error::invalid(format!(
                "{wanted} values are wanted, the embeddings have {dim}"
            ))),
            _ => Ok(()),
        }
    }

    /// Columns after all steps, or the number of the first one that has no direction.
    fn apply_columns(&self, mut columns: Matrix) -> Result<Matrix, usize> {
        for link in &self.0 {
            match link {
                Link::Mean(mean) => {
                    let negative: Vec<f64> = mean.iter().map(|x| -x).collect();
                    add_to_columns(&mut columns, &negative);
                }
                Link::LengthNorm => linear::normalise(&mut columns, 1.0)?,
                Link::Lda(lda) => columns = lda.project(columns),
            }
        }
        Ok(columns)
    }
}

/// What has length zero where a direction is asked for.
pub(super) fn no_direction(what: &str) -> Error {
    Error::Undefined(format!("{what} becomes zero: it has no direction to compare"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::reference::{Reference, far};

    #[test]
    fn the_chain_equals_the_references() {
        let Some(reference) = Reference::open() else { return };
        let (dev, groups) = reference.speakers("dev");
        let mut chain = Chain::new();
        chain.push(Link::Mean(dev.mean())).unwrap();
        assert!(far(&dev.mean(), &reference.f64("mean/dev_f64")) < 1e-10);
        chain.push(Link::LengthNorm).unwrap();
        chain.push_lda(&dev, &groups, 24).unwrap();
        chain.push(Link::LengthNorm).unwrap();
        let [_, _, Link::Lda(lda), _] = chain.links() else { panic!("{:?}", chain.links()) };
        assert!(far(lda.mean(), &reference.f64("chain/lda_mean")) < 1e-10);
        // Signs of columns are arbitrary.
        let sizes = |values: &[f64]| values.iter().map(|x| x.abs()).collect::<Vec<f64>>();
        let wanted = sizes(&reference.f64("chain/lda_matrix"));
        assert!(far(&sizes(lda.matrix()), &wanted) < 1e-9);
        let eval = reference.embeddings("eval");
        let raw = |i: usize| eval.row(i).iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        let out: Vec<Vec<f64>> = (0..eval.len()).map(|i| chain.apply(&raw(i)).unwrap()).collect();
        assert!(far(&sizes(&out.concat()), &sizes(&reference.f64("chain/eval_out"))) < 1e-10);
        let cosine = |&(a, b): &(usize, usize)| -> f64 {
            out[a].iter().zip(&out[b]).map(|(x, y)| x * y).sum()
        };
        let cosines: Vec<f64> = reference.trials("trials/eval").iter().map(cosine).collect();
        assert!(far(&cosines, &reference.f64("chain/cosine_eval")) < 1e-10);
        let together = chain.columns(&eval, &[3, 0]).unwrap();
        assert!(far(together.as_slice(), &[&out[3][..], &out[0]].concat()) < 1e-12);
    }

    #[test]
    fn steps_fit_each_other() {
        let mut chain = Chain::new();
        assert_eq!((chain.input_dim(), chain.output_dim(7)), (None, 7));
        chain.push(Link::LengthNorm).unwrap();
        let lda = Lda::new(vec![0.0; 3], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]).unwrap();
        chain.push(Link::Lda(lda)).unwrap();
        assert_eq!((chain.input_dim(), chain.output_dim(3)), (Some(3), 2));
        assert!(chain.push(Link::Mean(vec![0.0; 3])).is_err());
        assert!(chain.push(Link::Mean(vec![f64::NAN; 2])).is_err());
        assert!(chain.apply(&[1.0; 2]).is_err());
        let error = chain.apply(&[0.0; 3]).unwrap_err().to_string();
        assert!(error.contains("has no direction"), "{error}");
        let centred = chain.with_mean(vec![1.0, 0.0, 0.0]).unwrap();
        assert_eq!(centred.apply(&[4.0, 4.0, 0.0]).unwrap(), [0.6, 0.8]);
        let again = centred.with_mean(vec![0.0; 3]).unwrap();
        assert_eq!((again.links().len(), chain.links().len()), (3, 2));
        assert_eq!(again.apply(&[0.0, 0.0, 2.0]).unwrap(), [1.0, 1.0]);
        assert!(chain.with_mean(vec![0.0; 2]).is_err());
        let mut all = Embeddings::new(3);
        all.push("silent", &[0.0; 3]).unwrap();
        let error = again.columns(&all, &[0]).unwrap_err().to_string();
        assert!(error.contains("embedding `silent` becomes zero"), "{error}");
    }
}
