//! Normalisation by the moments of all ranks of a training, forwards and backwards.
//!
//! A rank normalises its part of a batch by the moments of the whole batch. Forwards, ranks add up
//! the numbers of values, their sums and their squares' sums. Backwards they add up what the
//! gradient of the input needs of the others: the sums of the output's gradient, and of its product
//! with the normalised input. So N ranks are one process with the whole batch, but for rounding.
//!
//! The sums are made on the host, in f64: each layer waits for the device.
//!
//! Layers do not know of ranks. [`synchronised`] has all normalisations of a thread by batch
//! statistics take part, recomputations of a reversible body included.

use std::cell::RefCell;
use std::sync::Arc;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{TensorData, read_sync};

use super::plain::{Four, moved, unbiased};
use super::{Norm, NormOps, autodiff};
use crate::backend::collective::Communicator;

/// A normalisation with other ranks.
#[derive(Debug, Clone)]
pub struct Together {
    /// Its settings.
    pub norm: Norm,
    /// The ranks that take part.
    pub ranks: Arc<dyn Communicator>,
}

thread_local! {
    /// The ranks that this thread normalises with.
    static RANKS: RefCell<Option<Arc<dyn Communicator>>> = const { RefCell::new(None) };
}

/// Does work whose normalisations by batch statistics take the moments of all ranks. All ranks do
/// the same work on parts of a batch. A fault of the connection is a panic, as all faults in
/// operations are.
pub fn synchronised<T>(ranks: &Arc<dyn Communicator>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Arc<dyn Communicator>>);

    impl Drop for Restore {
        fn drop(&mut self) {
            RANKS.set(self.0.take());
        }
    }

    let _restore = Restore(RANKS.replace(Some(ranks.clone())));
    work()
}

/// The ranks that this thread normalises with.
pub(super) fn ranks() -> Option<Arc<dyn Communicator>> {
    RANKS.with_borrow(Clone::clone)
}

/// Normalisation with other ranks. Its parts are operations that all backends have.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait TogetherOps: NormOps {
    /// [`NormOps::normalize`] by the moments of all ranks.
    fn normalize_together(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        var: FloatTensor<Self>,
        together: Together,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        normalize::<Self>([x, other, gamma, beta, mean, var], &together)
    }
}

#[cfg(feature = "flex")]
impl TogetherOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl TogetherOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl TogetherOps for burn::backend::Cube {}

impl<B: TogetherOps, C: CheckpointStrategy> TogetherOps for Autodiff<B, C> {
    fn normalize_together(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        var: FloatTensor<Self>,
        together: Together,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let Together { norm, ranks } = together;
        autodiff::normalize::<B, C>([x, other, gamma, beta, mean, var], norm, Some(ranks))
    }
}

/// [`NormOps::normalize`] of high-level tensors' inner ones, by all ranks.
pub(super) fn dispatched(
    [x, other, gamma, beta, mean, var]: [FloatTensor<Dispatch>; 6],
    together: Together,
) -> Four<Dispatch> {
    <Dispatch as TogetherOps>::normalize_together(x, other, gamma, beta, mean, var, together)
}

/// The values of a small tensor. It waits for the device.
fn values<B: NormOps>(tensor: FloatTensor<B>) -> Vec<f64> {
    match read_sync(B::float_into_data(tensor)) {
        Ok(data) => data.iter::<f64>().collect(),
        Err(e) => panic!("{e}"),
    }
}

/// Sums over ranks.
fn sums(ranks: &dyn Communicator, values: &[f64]) -> Vec<f64> {
    ranks.sum_f64(values).unwrap_or_else(|e| panic!("{e}"))
}

/// Values of each channel of one rank.
fn count<B: NormOps>(x: &FloatTensor<B>) -> usize {
    let shape = x.shape();
    shape.num_elements() / shape[1]
}

/// Numbers of each channel as a tensor beside another one.
fn vector<B: NormOps>(values: &[f64], beside: &FloatTensor<B>) -> FloatTensor<B> {
    let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    let count = values.len();
    B::float_from_data(TensorData::new(values, [count]), &beside.device())
}

/// `1 / sqrt(variance + epsilon)`, rounded as the gradient rounds it.
fn inverse(variance: f64, norm: Norm) -> f64 {
    f64::from((1.0 / (variance + norm.epsilon).sqrt()) as f32)
}

/// [`NormOps::normalize`] by the moments of all ranks.
pub(super) fn normalize<B: NormOps>(
    [x, other, gamma, beta, mean, var]: [FloatTensor<B>; 6],
    together: &Together,
) -> Four<B> {
    let Together { norm, ranks } = together;
    let (own, channels) = (count::<B>(&x) as f64, x.shape()[1]);
    // Only the moments are wanted of this.
    let alone = Norm { rectify: false, add: false, momentum: None, ..*norm };
    let small = || gamma.clone();
    let (_, moments, ..) =
        B::normalize(x.clone(), small(), small(), beta.clone(), small(), small(), alone);
    let moments = values::<B>(moments);
    let (means, variances) = moments.split_at(channels);
    let mut told = vec![own];
    told.extend(means.iter().map(|mean| own * mean));
    told.extend(means.iter().zip(variances).map(|(mean, var)| own * (var + mean * mean)));
    let sums = sums(&**ranks, &told);
    let total = sums[0];
    let means: Vec<f64> = sums[1..=channels].iter().map(|sum| sum / total).collect();
    let variance = |(sum, mean): (&f64, &f64)| {
        let variance = sum / total - mean * mean;
        // Rounding can make it negative. NaN stays.
        f64::from(if variance < 0.0 { 0.0 } else { variance as f32 })
    };
    let variances: Vec<f64> = sums[1 + channels..].iter().zip(&means).map(variance).collect();
    let inverses: Vec<f64> = variances.iter().map(|&var| inverse(var, *norm)).collect();
    let scale = B::float_mul(gamma.clone(), vector::<B>(&inverses, &gamma));
    let batch_mean = vector::<B>(&means, &gamma);
    let shift = B::float_sub(beta, B::float_mul(batch_mean.clone(), scale.clone()));
    let y = B::affine(x, other, scale, shift, norm.add, norm.rectify);
    let batch_var = vector::<B>(&variances, &gamma);
    let row = |t: &FloatTensor<B>| B::float_reshape(t.clone(), [1, channels].into());
    let moments = B::float_cat(vec![row(&batch_mean), row(&batch_var)], 0);
    let Some(momentum) = norm.momentum else { return (y, moments, mean, var) };
    let batch_var = B::float_mul_scalar(batch_var, unbiased(total as usize).into());
    let mean = moved::<B>(mean, batch_mean, momentum);
    (y, moments, mean, moved::<B>(var, batch_var, momentum))
}

/// [`NormOps::normalize_gradients`] where the moments are those of all ranks. Gradients of gamma
/// and beta are this rank's part of them.
///
/// The gradient of one rank alone is `scale * (dy - mean(dy) - normalised * mean(dy *
/// normalised))`. Here the means are those of all ranks, so each channel's difference is a line in
/// the input.
pub(super) fn gradients<B: NormOps>(
    [x, y, gamma, beta, moments, dy]: [FloatTensor<B>; 6],
    norm: Norm,
    ranks: &dyn Communicator,
) -> Four<B> {
    let (own, channels) = (count::<B>(&x) as f64, x.shape()[1]);
    let (dx, dother, dgamma, dbeta) =
        B::normalize_gradients(x.clone(), y, gamma.clone(), beta, moments.clone(), dy, norm);
    let flat = B::float_reshape(moments, [2 * channels].into());
    let all = vec![dgamma.clone(), dbeta.clone(), gamma.clone(), flat];
    let all = values::<B>(B::float_cat(all, 0));
    let part = |i: usize| &all[i * channels..(i + 1) * channels];
    let mut told = vec![own];
    told.extend(&all[..2 * channels]);
    let sums = sums(ranks, &told);
    let total = sums[0];
    let line = |c: usize| {
        let [dgamma, dbeta, gamma, mean, variance] = [0, 1, 2, 3, 4].map(|i| part(i)[c]);
        let inverse = inverse(variance, norm);
        let scale = gamma * inverse;
        let slope = scale * inverse * (dgamma / own - sums[1 + c] / total);
        (slope, scale * (dbeta / own - sums[1 + channels + c] / total) - mean * slope)
    };
    let (slopes, shifts): (Vec<f64>, Vec<f64>) = (0..channels).map(line).unzip();
    let [slopes, shifts] = [slopes, shifts].map(|line| vector::<B>(&line, &gamma));
    (B::affine(x, dx, slopes, shifts, true, false), dother, dgamma, dbeta)
}

#[cfg(test)]
mod tests;
