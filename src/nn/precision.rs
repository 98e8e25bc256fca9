//! What convolutions compute in. In bf16 a convolution rounds its input and weights to 8 bits of
//! mantissa, and gives f32 again: weights, optimizer states, BatchNorm, the streams of reversible
//! networks, pooling, head and loss stay f32, and what the tape keeps of a convolution is half as
//! large.

use burn::module::{Module, Param, Reparameterization, Reparameterizer};
use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Remedy, Result};

/// The precision of convolutions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits throughout; where `cuda` has autotune, matrix kernels that round factors to TF32 (10
    /// bits of mantissa) take part on GPUs from Ampere on.
    #[default]
    F32,
    /// Convolutions in bfloat16.
    Bf16,
}

impl Precision {
    /// The name, as options and recipes have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// For what is left out of files where it is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// A network whose convolutions compute in it.
    ///
    /// # Errors
    /// A device without it.
    pub fn apply<M: Module>(self, module: M, device: &Device) -> Result<M> {
        match self {
            Self::F32 => Ok(module),
            Self::Bf16 if !device.supports_dtype(DType::BF16) => {
                Err(Error::Backend(format!("{device:?} does not compute in bf16"))
                    .with(Remedy::UseF32))
            }
            Self::Bf16 => Ok(module.apply_reparameterization(Lower)),
        }
    }
}

/// A weight in f32 that is used in fewer bits.
#[derive(Module, Debug, Default)]
struct Lowered {}

impl Reparameterization for Lowered {
    const NAME: &'static str = "lowered";

    fn apply<const D: usize>(&self, weight: Tensor<D>) -> Tensor<D> {
        weight.cast(DType::BF16)
    }
}

/// Kernels of convolutions are the parameters of four axes.
struct Lower;

impl Reparameterizer for Lower {
    type Reparam = Lowered;

    fn reparameterize<const D: usize>(
        &mut self,
        _path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Lowered>) {
        (param, (D == 4).then(Lowered::default))
    }
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;
    use crate::losses::HeadConfig;
    use crate::nn::{Conv2dConfig, collect_named, gradients_named};
    use crate::rng::Stream;
    use crate::train::Trainee;
    use crate::zoo::Architecture;
    use burn::tensor::{Int, TensorData};

    fn step(name: &str, precision: Precision, device: &Device) -> Vec<(String, TensorData)> {
        let arch = Architecture {
            width: 8,
            mels: 16,
            embedding_dim: 6,
            ..Architecture::named(name).unwrap()
        };
        let trainee = Trainee::new(&arch, &HeadConfig::default(), 5, device, 3).unwrap();
        let network = precision.apply(trainee.network, device).unwrap();
        let trainee = Trainee { network, ..trainee }.train();
        let mut stream = Stream::new(4, "precision", &[]);
        let noise: Vec<f32> = (0..4 * 32 * 16).map(|_| stream.normal() as f32).collect();
        let autodiff = device.clone().autodiff();
        let x = Tensor::<3>::from_data(TensorData::new(noise, [4, 32, 16]), &autodiff);
        let y = Tensor::<1, Int>::from_data(TensorData::new(vec![0i64, 3, 1, 3], [4]), &autodiff);
        let pass = trainee.pass(x, y, 0.2);
        let gradients = pass.loss.backward();
        let mut all = vec![("loss".to_owned(), pass.loss.into_data())];
        all.extend(gradients_named(&trainee, &gradients));
        all.extend(
            collect_named(&trainee.valid()).into_iter().filter(|(n, _)| n.contains("running_")),
        );
        all
    }

    fn distance(a: &TensorData, b: &TensorData) -> f64 {
        let numbers = |d: &TensorData| d.clone().convert::<f64>().try_to_vec::<f64>().unwrap();
        let (a, b) = (numbers(a), numbers(b));
        let off: f64 = a.iter().zip(&b).map(|(x, y)| (x - y).powi(2)).sum();
        (off / b.iter().map(|x| x * x).sum::<f64>()).sqrt()
    }

    /// Output and gradients of single layers: 2^-9 for each factor rounded.
    #[test]
    fn layers_are_near_f32() {
        let device = Device::default().autodiff();
        let noise = |shape: [usize; 4], seed| {
            let mut stream = Stream::new(seed, "precision", &[]);
            let values =
                (0..shape.iter().product()).map(|_| stream.normal() as f32).collect::<Vec<_>>();
            Tensor::<4>::from_data(TensorData::new(values, shape), &device)
        };
        for config in [
            Conv2dConfig::new(6, 8, 3),
            Conv2dConfig::new(6, 8, 3).stride([2, 2]),
            Conv2dConfig::new(6, 8, 1),
            Conv2dConfig::new(6, 6, 3).depthwise(),
        ] {
            let run = |precision: Precision| {
                let layer = config.init(crate::nn::Init::new(&device.clone().inner(), 1));
                let layer = precision.apply(layer, &device.clone().inner()).unwrap().train();
                let x = noise([2, 6, 9, 14], 1).require_grad();
                let y = layer.forward(x.clone());
                let gradients = (y.clone() * noise(y.dims(), 2)).sum().backward();
                let (_, weight) = gradients_named(&layer, &gradients).remove(0);
                [y.into_data(), x.grad(&gradients).unwrap().into_data(), weight]
            };
            for (ours, wanted) in run(Precision::Bf16).iter().zip(&run(Precision::F32)) {
                assert_eq!(ours.dtype(), DType::F32);
                let d = distance(ours, wanted);
                assert!((1e-5..8e-3).contains(&d), "{config:?}: {d}");
            }
        }
    }

    /// Near f32, not equal to it, and in f32 wherever it is seen from outside. Losses (at a scale
    /// of 32) and gradients of whole networks are not compared: rectifiers whose input is nearly 0
    /// change sides, a few in a thousand in each layer, and each takes its gradient along.
    #[test]
    fn bf16_is_used_inside_and_f32_outside() {
        let device = Device::default();
        assert!(device.supports_dtype(DType::BF16), "the default backend computes in bf16");
        for name in ["resnet10", "rev1-resnet10", "df-resnet32"] {
            let (ours, wanted) =
                (step(name, Precision::Bf16, &device), step(name, Precision::F32, &device));
            assert_eq!(ours.len(), wanted.len());
            for ((what, a), (same, b)) in ours.iter().zip(&wanted) {
                assert_eq!((what, a.dtype()), (same, DType::F32));
                assert!(a.iter::<f32>().all(f32::is_finite), "{name}: {what}");
                if what.contains("running_var") {
                    let d = distance(a, b);
                    assert!(d < 0.06, "{name}: {what}: {d}");
                }
                assert!(what != "loss" || distance(a, b) > 1e-7, "{name} has not used it");
            }
        }
    }
}
