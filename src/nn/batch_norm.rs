//! BatchNorm that does what it is told rather than what the device implies, with PyTorch's running
//! statistics.

use burn::module::{Flag, Module, ModuleMapper, Param, RunningState};
use burn::tensor::Tensor;

use super::{Epsilon, Init, Mode};
use crate::backend::norm::{Running, affine, normalize_with};

const MOMENTUM: f64 = 0.1;

/// Batch normalisation over every axis but the second, epsilon 1e-5 unless told otherwise, momentum
/// 0.1.
///
/// Differences from Burn's own layer: the [`Mode`] is explicit (a pass without a tape can still use
/// batch statistics), and the running variance is the *unbiased* one, as in PyTorch. A held layer
/// is in [`Mode::Eval`] while everything around it trains.
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
    #[module(skip)]
    epsilon: Epsilon,
    /// Whether the layer is held.
    held: Param<Flag>,
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
            epsilon: Epsilon::default(),
            held: Param::<Flag>::from_bool(false),
        }
    }

    /// With another epsilon.
    pub fn epsilon(self, epsilon: Epsilon) -> Self {
        Self { epsilon, ..self }
    }

    /// What is added to variances.
    pub fn added(&self) -> Epsilon {
        self.epsilon
    }

    /// `[batch, channels, ...]` -> the same shape.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, mode: Mode) -> Tensor<D> {
        self.apply(x, mode, false)
    }

    /// The same with ReLU behind it where `rectified`, as one operation.
    pub(super) fn apply<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: Mode,
        rectified: bool,
    ) -> Tensor<D> {
        self.run(x, None, mode, rectified)
    }

    /// The same with `other`, of the same shape, added and ReLU behind the sum, as one operation.
    pub(super) fn apply_sum<const D: usize>(
        &self,
        x: Tensor<D>,
        other: Tensor<D>,
        mode: Mode,
    ) -> Tensor<D> {
        self.run(x, Some(other), mode, true)
    }

    fn run<const D: usize>(
        &self,
        x: Tensor<D>,
        other: Option<Tensor<D>>,
        mode: Mode,
        rectified: bool,
    ) -> Tensor<D> {
        let device = x.device();
        let channels = x.dims()[1];
        let weight =
            self.weight.as_ref().map_or_else(|| Tensor::ones([channels], &device), |w| w.val());
        let bias =
            self.bias.as_ref().map_or_else(|| Tensor::zeros([channels], &device), |b| b.val());
        let running = || (self.running_mean.value_sync(), self.running_var.value_sync());
        let epsilon = self.epsilon.value();
        let mode = if self.held.is_enabled() { Mode::Eval } else { mode };
        match mode {
            Mode::Eval => {
                let (mean, var) = running();
                let scale = weight / (var + epsilon).sqrt();
                let shift = bias - mean * scale.clone();
                affine(x, other, [scale, shift], rectified)
            }
            Mode::Train => {
                let (mean, var) = running();
                // A pass without a tape stays one, wherever the statistics are kept.
                let on_tape = mean.is_autodiff();
                let [mean, var] = [mean, var].map(|t| placed(t, false));
                let running = Some(Running { mean, var, momentum: MOMENTUM });
                let (y, _, [mean, var]) =
                    normalize_with(x, other, [weight, bias], running, epsilon, rectified);
                store(&self.running_mean, placed(mean, on_tape));
                store(&self.running_var, placed(var, on_tape));
                y
            }
            Mode::Replay => normalize_with(x, other, [weight, bias], None, epsilon, rectified).0,
        }
    }
}

/// The factor and the summand that a layer's evaluation comes to, computed as it computes them.
pub fn scale_and_shift(
    weight: &[f32],
    bias: &[f32],
    mean: &[f32],
    var: &[f32],
    epsilon: Epsilon,
) -> (Vec<f32>, Vec<f32>) {
    let epsilon = epsilon.value() as f32;
    let scale: Vec<f32> = weight.iter().zip(var).map(|(w, v)| w / (v + epsilon).sqrt()).collect();
    let shift = bias.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
    (scale, shift)
}

/// The same values on the tape's backend, or off it.
fn placed(x: Tensor<1>, on_tape: bool) -> Tensor<1> {
    match (x.is_autodiff(), on_tape) {
        (true, false) => x.inner(),
        (false, true) => x.autodiff(),
        (true, true) | (false, false) => x,
    }
}

/// Makes this the state's value. Burn's own `update` waits for the next read, so that a checkpoint
/// written before it would be one step old, and divides by the number of threads that updated.
fn store(state: &RunningState<Tensor<1>>, value: Tensor<1>) {
    struct Put(Tensor<1>);

    impl ModuleMapper for Put {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|_| Tensor::from_dispatch(self.0.clone().into_dispatch()))
        }
    }

    // Clones of a state share its value.
    state.clone().map(&mut Put(value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Run;
    use crate::nn::{Combine, Exec, Map};
    use crate::rng::Stream;
    use burn::tensor::{Device, TensorData};

    /// Packed models rely on it: to the bit.
    #[test]
    fn factor_and_summand_are_what_evaluation_computes() {
        [Epsilon::E5, Epsilon::E6].into_iter().for_each(compare_with_evaluation);
    }

    fn compare_with_evaluation(epsilon: Epsilon) {
        let device = Device::default();
        let vector = |v: &[f32]| Tensor::<1>::from_floats(v, &device);
        let (weight, bias) = ([0.7, -1.3, 2.1], [0.1, 0.2, -0.3]);
        let (mean, var) = ([0.33, -4.1, 1e-3], [0.9, 1e-4, 37.0]);
        let layer = |weight: &[f32], bias: &[f32], mean: &[f32], var: &[f32]| BatchNorm {
            weight: Some(Param::from_tensor(vector(weight))),
            bias: Some(Param::from_tensor(vector(bias))),
            running_mean: burn::module::RunningState::new(vector(mean)),
            running_var: burn::module::RunningState::new(vector(var)),
            epsilon,
            held: Param::<Flag>::from_bool(false),
        };
        let x = Tensor::<3>::from_floats([[[1.0, -0.37], [2.7, 9.1], [0.001, -5.0]]], &device);
        let wanted = layer(&weight, &bias, &mean, &var).forward(x.clone(), Mode::Eval).into_data();
        let (scale, shift) = scale_and_shift(&weight, &bias, &mean, &var, epsilon);
        let folded = layer(&scale, &shift, &[0.0; 3], &[epsilon.identity_variance(); 3]);
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

    /// A held layer comes back from evaluation held, and evaluates all the time.
    #[test]
    fn a_held_layer_stays_what_it_is() {
        struct Hold;
        impl ModuleMapper for Hold {
            fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
                flag.with_value(true)
            }
        }
        let device = Device::default();
        let x = Tensor::<3>::from_floats([[[1.0, 3.0], [0.0, 4.0]]], &device);
        let free = BatchNorm::new(Init::new(&device, 0), 2);
        let wanted = free.forward(x.clone(), Mode::Eval).into_data();
        let held = free.map(&mut Hold).train().valid().train();
        for mode in [Mode::Train, Mode::Eval, Mode::Replay] {
            assert_eq!(held.forward(x.clone().autodiff(), mode).into_data(), wanted, "{mode:?}");
        }
        assert_eq!(held.running_mean.value().into_data().iter::<f32>().sum::<f32>(), 0.0);
    }

    /// To the bit, gradients and running statistics included.
    #[test]
    fn the_end_of_a_block_equals_its_parts() {
        let device = Device::default();
        let noise = |seed: u64| {
            let mut stream = Stream::new(seed, "block", &[]);
            let values: Vec<f32> = (0..2 * 3 * 5 * 7).map(|_| stream.normal() as f32).collect();
            Tensor::<4>::from_data(TensorData::new(values, [2, 3, 5, 7]), &device)
        };
        for mode in [Mode::Eval, Mode::Train, Mode::Replay] {
            let run = |fused: bool| {
                let norm = BatchNorm::new(Init::new(&device, 0), 3).train();
                let [x, other] = [1, 2].map(|seed| noise(seed).autodiff().require_grad());
                let mut e = Run::new(mode);
                let y = if fused {
                    e.norm_add_relu(&norm, x.clone(), |_| other.clone())
                } else {
                    let y = e.norm(&norm, x.clone(), false);
                    let y = e.combine(Combine::Add, y, other.clone());
                    e.map(Map::Relu, y)
                };
                let g = (y.clone() * noise(3).autodiff()).sum().backward();
                let weight = norm.weight.as_ref().unwrap().val();
                [
                    y.into_data(),
                    x.grad(&g).unwrap().into_data(),
                    other.grad(&g).unwrap().into_data(),
                    weight.grad(&g).unwrap().into_data(),
                    norm.running_mean.value().into_data(),
                    norm.running_var.value().into_data(),
                ]
            };
            assert_eq!(run(true), run(false), "{mode:?}");
        }
    }
}
