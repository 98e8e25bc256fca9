//! What convolutions compute in. In bf16 and f16 a convolution rounds its input and weights, and
//! gives f32 again: weights, optimizer states, BatchNorm, the streams of reversible networks,
//! pooling, head and loss stay f32, and what the tape keeps of a convolution is half as large.

use burn::module::{Module, Param, Reparameterization, Reparameterizer};
use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::backend::convolution::allow_tf32;
use crate::backend::has_tf32;
use crate::error::{Error, Remedy, Result};

/// The precision of convolutions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits throughout.
    #[default]
    F32,
    /// f32 whose products round their factors to 11 significant bits (NVIDIA GPUs from Ampere on).
    Tf32,
    /// Convolutions in bfloat16: 8 significant bits, the range of f32.
    Bf16,
    /// Convolutions in half precision: 11 significant bits, a small range. The loss is scaled.
    F16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::F32, Self::Tf32, Self::Bf16, Self::F16];

    /// The name, as options and recipes have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// For what is left out of files where it is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether small gradients would become 0 unless the loss is multiplied by a large factor.
    pub fn scales_loss(self) -> bool {
        match self {
            Self::F16 => true,
            Self::F32 | Self::Tf32 | Self::Bf16 => false,
        }
    }

    /// Refuses a device that does not compute in it.
    ///
    /// # Errors
    /// Such a device, with [`Remedy::UseF32`].
    pub fn check(self, device: &Device) -> Result<()> {
        const NO_TYPE: &str = "the backend or the device's driver has no arithmetic of this type";
        let (fits, why) = match self {
            Self::F32 => return Ok(()),
            Self::Tf32 => (
                has_tf32(device),
                "NVIDIA GPUs from compute capability 8.0 on (Ampere) do, on the backend cuda",
            ),
            Self::Bf16 => (device.supports_dtype(DType::BF16), NO_TYPE),
            Self::F16 => (device.supports_dtype(DType::F16), NO_TYPE),
        };
        match fits {
            true => Ok(()),
            false => {
                let name = self.name();
                let error = format!("{device:?} does not compute in {name}: {why}");
                Err(Error::Backend(error).with(Remedy::UseF32))
            }
        }
    }

    /// A network whose convolutions compute in it. TF32 is a switch of the whole process: from now
    /// on its convolutions and matrix products may use it, or may not.
    ///
    /// # Errors
    /// Those of [`Precision::check`].
    pub fn apply<M: Module>(self, module: M, device: &Device) -> Result<M> {
        self.check(device)?;
        allow_tf32(self == Self::Tf32);
        Ok(match self {
            Self::F32 | Self::Tf32 => module,
            Self::Bf16 => module.apply_reparameterization(Lower(DType::BF16)),
            Self::F16 => module.apply_reparameterization(Lower(DType::F16)),
        })
    }
}

/// A weight in f32 that is used in fewer bits.
#[derive(Module, Debug)]
struct Lowered {
    #[module(skip)]
    dtype: DType,
}

impl Reparameterization for Lowered {
    const NAME: &'static str = "lowered";

    fn apply<const D: usize>(&self, weight: Tensor<D>) -> Tensor<D> {
        weight.cast(self.dtype)
    }
}

/// Kernels of convolutions are the parameters of four axes.
struct Lower(DType);

impl Reparameterizer for Lower {
    type Reparam = Lowered;

    fn reparameterize<const D: usize>(
        &mut self,
        _path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Lowered>) {
        (param, (D == 4).then_some(Lowered { dtype: self.0 }))
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

    /// Output and gradients of single layers: bf16 rounds by 2^-9, f16 by 2^-12, and more where the
    /// backend adds up in it.
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
            let wanted = run(Precision::F32);
            for precision in [Precision::Bf16, Precision::F16] {
                for (ours, wanted) in run(precision).iter().zip(&wanted) {
                    assert_eq!(ours.dtype(), DType::F32);
                    let d = distance(ours, wanted);
                    assert!((1e-5..8e-3).contains(&d), "{config:?} {precision:?}: {d}");
                }
            }
        }
    }

    /// Near f32, not equal to it, and in f32 wherever it is seen from outside. Losses (at a scale
    /// of 32) and gradients of whole networks are not compared: rectifiers whose input is nearly 0
    /// change sides, a few in a thousand in each layer, and each takes its gradient along.
    #[test]
    fn fewer_bits_are_used_inside_and_f32_outside() {
        let device = Device::default();
        for name in ["resnet10", "rev1-resnet10", "df-resnet32"] {
            let wanted = step(name, Precision::F32, &device);
            for precision in [Precision::Bf16, Precision::F16] {
                precision.check(&device).expect("the default backend computes in it");
                let ours = step(name, precision, &device);
                assert_eq!(ours.len(), wanted.len());
                for ((what, a), (same, b)) in ours.iter().zip(&wanted) {
                    let about = || format!("{name}, {precision:?}: {what}");
                    assert_eq!((what, a.dtype()), (same, DType::F32));
                    assert!(a.iter::<f32>().all(f32::is_finite), "{}", about());
                    if what.contains("running_var") {
                        let d = distance(a, b);
                        assert!(d < 0.06, "{}: {d}", about());
                    }
                    assert!(what != "loss" || distance(a, b) > 1e-7, "{} is the same", about());
                }
            }
        }
    }

    #[test]
    fn names_are_those_of_recipes() {
        for precision in Precision::ALL {
            let json = serde_json::to_string(&precision).unwrap();
            assert_eq!(json, format!("\"{}\"", precision.name()));
            assert_eq!(serde_json::from_str::<Precision>(&json).unwrap(), precision);
            assert_eq!(precision.scales_loss(), precision.name() == "f16");
        }
    }

    /// No CPU has TF32, and ndarray has no small floats at all.
    #[test]
    fn a_device_without_it_is_refused() {
        use crate::backend::BackendKind;
        for kind in [BackendKind::Flex, BackendKind::Ndarray] {
            let Ok(device) = kind.device(0) else { continue };
            Precision::F32.check(&device).unwrap();
            for precision in [Precision::Tf32, Precision::Bf16, Precision::F16] {
                let small = precision != Precision::Tf32;
                if kind == BackendKind::Flex && small {
                    precision.check(&device).unwrap();
                    continue;
                }
                let error = precision.check(&device).unwrap_err();
                assert_eq!(error.remedy(), Some(&Remedy::UseF32));
                let wanted = format!("does not compute in {}: ", precision.name());
                assert!(error.to_string().contains(&wanted), "{error}");
            }
        }
    }
}
