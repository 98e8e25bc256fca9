//! BatchNorm that does what it is told rather than what the device implies, with PyTorch's running
//! statistics.

use burn::module::{Module, Param, RunningState};
use burn::tensor::Tensor;

use super::{Init, Mode};
use crate::backend::norm::{Norm, normalize, rectify};

const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Batch normalisation over every axis but the second, epsilon 1e-5, momentum 0.1.
///
/// Differences from Burn's own layer: the [`Mode`] is explicit (a pass without a tape can still use
/// batch statistics), and the running variance is the *unbiased* one, as in PyTorch.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// `[channels]`; absent in a layer without affine part.
    pub weight: Option<Param<Tensor<1>>>,
    /// `[channels]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// `[channels]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// `[channels]`, unbiased.
    pub running_var: RunningState<Tensor<1>>,
}

impl BatchNorm {
    /// The layer: weight 1, bias 0, running mean 0, running variance 1.
    pub fn new(init: Init, channels: usize) -> Self {
        Self {
            weight: Some(init.constant("weight", channels, 1.0)),
            bias: Some(init.constant("bias", channels, 0.0)),
            ..Self::without_affine(init, channels)
        }
    }

    /// The layer without weight and bias (PyTorch's `affine=False`).
    pub fn without_affine(init: Init, channels: usize) -> Self {
        Self {
            weight: None,
            bias: None,
            running_mean: init.buffer("running_mean", channels, 0.0),
            running_var: init.buffer("running_var", channels, 1.0),
        }
    }

    /// `[batch, channels, ...]` -> the same shape.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, mode: Mode) -> Tensor<D> {
        self.apply(x, mode, false)
    }

    /// The same with ReLU behind it where `rectified`, as one operation while training.
    pub(super) fn apply<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: Mode,
        rectified: bool,
    ) -> Tensor<D> {
        let device = x.device();
        let channels = x.dims()[1];
        let weight =
            self.weight.as_ref().map_or_else(|| Tensor::ones([channels], &device), |w| w.val());
        let bias =
            self.bias.as_ref().map_or_else(|| Tensor::zeros([channels], &device), |b| b.val());
        if mode == Mode::Eval {
            let (mean, var) = (self.running_mean.value_sync(), self.running_var.value_sync());
            let scale = weight / (var + EPSILON).sqrt();
            let shift = bias - mean * scale.clone();
            let mut shape = [1; D];
            shape[1] = channels;
            let y = x * scale.reshape(shape) + shift.reshape(shape);
            return if rectified { rectify(y) } else { y };
        }
        let count = x.shape().num_elements() / channels;
        let (y, moments) =
            normalize(x, weight, bias, Norm { epsilon: EPSILON, rectify: rectified });
        if mode == Mode::Train {
            // torch divides the sum of squares by n - 1 for the running statistics only; it refuses
            // n = 1, where we keep 0.
            let unbiased = count as f64 / (count.max(2) - 1) as f64;
            let row = |i: usize| moments.clone().slice([i..i + 1, 0..channels]).reshape([channels]);
            track(&self.running_mean, row(0));
            track(&self.running_var, row(1) * unbiased);
        }
        y
    }
}

/// The factor and the summand that a layer's evaluation comes to, computed as it computes them.
pub fn scale_and_shift(
    weight: &[f32],
    bias: &[f32],
    mean: &[f32],
    var: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let scale: Vec<f32> =
        weight.iter().zip(var).map(|(w, v)| w / (v + EPSILON as f32).sqrt()).collect();
    let shift = bias.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
    (scale, shift)
}

/// The running variance whose divisor is 1: a layer with it and mean 0 has its weight as factor and
/// its bias as summand.
pub fn identity_variance() -> f32 {
    1.0 - EPSILON as f32
}

fn track(state: &RunningState<Tensor<1>>, batch: Tensor<1>) {
    let old = state.value_sync();
    state.update(old * (1.0 - MOMENTUM) + batch * MOMENTUM);
    // Burn defers the update to the next read; a checkpoint written before that would be one step
    // old.
    state.value_sync();
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Packed models rely on it: to the bit.
    #[test]
    fn factor_and_summand_are_what_evaluation_computes() {
        let device = Device::default();
        let vector = |v: &[f32]| Tensor::<1>::from_floats(v, &device);
        let (weight, bias) = ([0.7, -1.3, 2.1], [0.1, 0.2, -0.3]);
        let (mean, var) = ([0.33, -4.1, 1e-3], [0.9, 1e-4, 37.0]);
        let layer = |weight: &[f32], bias: &[f32], mean: &[f32], var: &[f32]| BatchNorm {
            weight: Some(Param::from_tensor(vector(weight))),
            bias: Some(Param::from_tensor(vector(bias))),
            running_mean: burn::module::RunningState::new(vector(mean)),
            running_var: burn::module::RunningState::new(vector(var)),
        };
        let x = Tensor::<3>::from_floats([[[1.0, -0.37], [2.7, 9.1], [0.001, -5.0]]], &device);
        let wanted = layer(&weight, &bias, &mean, &var).forward(x.clone(), Mode::Eval).into_data();
        let (scale, shift) = scale_and_shift(&weight, &bias, &mean, &var);
        let folded = layer(&scale, &shift, &[0.0; 3], &[identity_variance(); 3]);
        assert_eq!(folded.forward(x, Mode::Eval).into_data(), wanted);
    }

    #[test]
    fn modes_differ_only_in_statistics() {
        let device = Device::default();
        let bn = BatchNorm::new(Init::new(&device, 0), 2);
        let x = Tensor::<3>::from_floats([[[1.0, 3.0], [0.0, 4.0]]], &device);
        let eval = bn.forward(x.clone(), Mode::Eval).into_data().try_to_vec::<f32>().unwrap();
        assert!((eval[0] - 1.0).abs() < 1e-4 && (eval[3] - 4.0).abs() < 1e-4);
        let replay = bn.forward(x.clone(), Mode::Replay).into_data();
        let stats = || bn.running_var.value().into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(stats(), [1.0, 1.0], "replay must not move the running statistics");
        let train = bn.forward(x, Mode::Train).into_data();
        assert_eq!(replay, train);
        // Unbiased variances of {1, 3} and {0, 4} are 2 and 8.
        assert_eq!(stats(), [0.9 + 0.2, 0.9 + 0.8]);
        assert_eq!(bn.running_mean.value().into_data().try_to_vec::<f32>().unwrap(), [0.2, 0.2]);
    }
}
