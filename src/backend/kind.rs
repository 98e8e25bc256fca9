//! Which backend runs the tensors: chosen at run time among those compiled in.

#![allow(unsafe_code, reason = "the environment is changed before any thread begins")]

use burn::tensor::{Device, Tensor};

use super::failure::{brief, failure};
use crate::error::{Error, Remedy, Result};
use crate::panics::quietly;

/// A backend, compiled in or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum BackendKind {
    /// Burn's own CPU kernels: the default for training and inference.
    Flex,
    /// The older CPU backend: slow, a second opinion.
    Ndarray,
    /// GPUs through Vulkan, Metal or DirectX 12.
    Wgpu,
    /// NVIDIA GPUs.
    Cuda,
}

impl BackendKind {
    /// All of them, compiled in or not.
    pub const ALL: [Self; 4] = [Self::Flex, Self::Ndarray, Self::Wgpu, Self::Cuda];

    /// The name, which is also the Cargo feature's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// Whether this build holds it.
    pub fn is_compiled(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::Ndarray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu-bare"),
            Self::Cuda => cfg!(feature = "cuda-bare"),
        }
    }

    /// Makes it the backend of `Device::default()`. In a build that can use GPUs that would be a
    /// GPU, even where there is none. Burn's optimizers load their records there first.
    ///
    /// # Safety
    /// The program has no other threads yet: this sets an environment variable.
    pub unsafe fn make_default(self) {
        if self.is_compiled() {
            // SAFETY: the caller's promise.
            unsafe { std::env::set_var("BURN_DEVICE", self.name()) };
        }
    }

    /// Opens device `index` and runs one operation on it. So a missing driver is an error here and
    /// not a panic in the middle of the work.
    ///
    /// # Errors
    /// [`Error::Backend`] if the backend is not compiled in, its driver is missing or fails, or it
    /// has no such device.
    pub fn device(self, index: usize) -> Result<Device> {
        let name = self.name();
        if !self.is_compiled() {
            let compiled: Vec<&str> =
                Self::ALL.iter().filter(|b| b.is_compiled()).map(|b| b.name()).collect();
            let compiled = compiled.join(", ");
            let error =
                Error::Backend(format!("backend {name} is not in this build (it has: {compiled})"));
            return Err(error.with(Remedy::RebuildWith { feature: name }));
        }
        let opened = quietly(|| {
            let device = self.open(index)?;
            // The processor is always there.
            if matches!(self, Self::Wgpu | Self::Cuda) {
                Tensor::<1>::ones([4], &device).exp().sum().into_data();
            }
            Ok(device)
        });
        let driver = if self == Self::Wgpu {
            "; is a Vulkan, Metal or DirectX 12 driver installed?"
        } else {
            ""
        };
        opened.unwrap_or_else(|why| {
            let told = brief(&why);
            let error =
                Error::Backend(format!("backend {name} cannot use device {index}: {told}{driver}"));
            match failure(&why).remedy() == Some(&Remedy::OtherToolkit) {
                true => Err(error.with(Remedy::OtherToolkit)),
                false => Err(error),
            }
        })
    }

    /// All devices in the order of their numbers; none if the backend is not compiled in.
    fn devices(self) -> Vec<Device> {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => vec![Device::flex()],
            #[cfg(not(feature = "flex"))]
            Self::Flex => Vec::new(),
            #[cfg(feature = "ndarray")]
            #[expect(deprecated, reason = "kept as a second opinion for as long as Burn ships it")]
            Self::Ndarray => vec![Device::ndarray()],
            #[cfg(not(feature = "ndarray"))]
            Self::Ndarray => Vec::new(),
            #[cfg(feature = "wgpu-bare")]
            Self::Wgpu => Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec(),
            #[cfg(not(feature = "wgpu-bare"))]
            Self::Wgpu => Vec::new(),
            #[cfg(feature = "cuda-bare")]
            Self::Cuda => Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(),
            #[cfg(not(feature = "cuda-bare"))]
            Self::Cuda => Vec::new(),
        }
    }

    fn open(self, index: usize) -> Result<Device> {
        // Number 0 is the device that wgpu itself prefers.
        #[cfg(feature = "wgpu-bare")]
        if self == Self::Wgpu && index == 0 {
            return Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
        }
        let mut devices = self.devices();
        #[cfg(feature = "cuda-bare")]
        if self == Self::Cuda {
            let driver =
                devices.is_empty().then(|| "no NVIDIA GPU with a driver was found".to_owned());
            let lacks: Vec<_> = driver.into_iter().chain(super::nvrtc::missing()).collect();
            if !lacks.is_empty() {
                return Err(Error::Backend(format!("backend cuda: {}", lacks.join("; "))));
            }
        }
        if index < devices.len() {
            #[cfg(feature = "cuda-bare")]
            if self == Self::Cuda
                && let Some(why) = super::nvrtc::unknown(index)
            {
                let error = Error::Backend(format!("backend cuda: {why}"));
                return Err(error.with(Remedy::OtherToolkit));
            }
            return Ok(devices.swap_remove(index));
        }
        let there: Vec<_> = (0..devices.len()).map(|i| i.to_string()).collect();
        let there = if there.is_empty() { "none at all".to_owned() } else { there.join(", ") };
        Err(Error::Backend(format!(
            "backend {} has no device {index}; there are: {there}",
            self.name()
        )))
    }
}

/// Whether the device's tensor cores multiply in TF32. If so, Burn's matrix products of f32 round
/// their factors to 11 significant bits, with autotune and without.
pub fn has_tf32(device: &Device) -> bool {
    #[cfg(feature = "cube")]
    {
        use burn::backend::DispatchDevice;
        use burn_cubecl::cubecl::ir::{ElemType, FloatKind};
        if let DispatchDevice::Cube(device) = device.clone().inner().as_dispatch() {
            let tf32 = ElemType::Float(FloatKind::TF32);
            return device.client().properties().supports_type(tf32);
        }
    }
    #[cfg(not(feature = "cube"))]
    let _ = device;
    false
}

/// Whether a device works through a queue of its own.
pub fn is_gpu(device: &Device) -> bool {
    #[cfg(feature = "cube")]
    return matches!(device.clone().inner().as_dispatch(), burn::backend::DispatchDevice::Cube(_));
    #[cfg(not(feature = "cube"))]
    {
        let _ = device;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "wgpu-bare")]
    use crate::nn::Precision;
    #[cfg(feature = "wgpu-bare")]
    use burn::tensor::DType;

    #[test]
    fn no_cpu_has_tf32() {
        for kind in [BackendKind::Flex, BackendKind::Ndarray] {
            if let Ok(device) = kind.device(0) {
                assert!(!has_tf32(&device) && !has_tf32(&device.autodiff()));
            }
        }
    }

    #[test]
    fn compiled_backends_open_and_others_say_how_to_get_them() {
        for kind in BackendKind::ALL {
            match (kind.is_compiled(), kind.device(0)) {
                (false, result) => {
                    let error = result.unwrap_err();
                    let remedy = Remedy::RebuildWith { feature: kind.name() };
                    assert_eq!(error.remedy(), Some(&remedy), "{error}");
                }
                (true, Ok(_)) => (),
                (true, Err(e)) => {
                    assert!(matches!(kind, BackendKind::Wgpu | BackendKind::Cuda), "{e}")
                }
            }
        }
        assert!(BackendKind::Flex.device(1).is_err());
    }

    #[cfg(feature = "cuda-bare")]
    #[test]
    fn what_cuda_lacks_is_told() {
        let (devices, lacks) =
            (BackendKind::Cuda.devices().len(), crate::backend::nvrtc::missing());
        let index = if lacks.is_none() { devices } else { 0 };
        let error = BackendKind::Cuda.device(index).unwrap_err().to_string();
        assert_eq!(error.contains("no NVIDIA GPU"), devices == 0, "{error}");
        assert!(lacks.iter().all(|why| error.contains(why)), "{error}");
        assert_eq!(error.contains("there are: 0"), devices > 0 && lacks.is_none(), "{error}");
    }

    #[cfg(feature = "wgpu-bare")]
    #[test]
    fn a_gpu_that_is_not_there_is_named() {
        if BackendKind::Wgpu.device(0).is_ok() {
            let error = BackendKind::Wgpu.device(77).unwrap_err().to_string();
            assert!(error.contains("backend wgpu has no device 77; there are: 0"), "{error}");
        }
    }

    /// CubeCL knows TF32 on CUDA alone.
    #[cfg(feature = "wgpu-bare")]
    #[test]
    fn wgpu_has_no_tf32() {
        if let Ok(device) = BackendKind::Wgpu.device(0) {
            assert!(!has_tf32(&device));
        }
    }

    /// WGSL has no bf16, and f16 where the driver has it.
    #[cfg(feature = "wgpu-bare")]
    #[test]
    fn precisions_that_wgpu_lacks_are_refused() {
        let Ok(device) = BackendKind::Wgpu.device(0) else { return };
        for precision in [Precision::Tf32, Precision::Bf16] {
            let error = precision.check(&device).unwrap_err();
            let told = format!("does not compute in {}: ", precision.name());
            assert!(error.to_string().contains(&told), "{error}");
            assert_eq!(error.remedy(), Some(&Remedy::UseF32), "{error}");
        }
        assert_eq!(Precision::F16.check(&device).is_ok(), device.supports_dtype(DType::F16));
        Precision::F32.check(&device).unwrap();
    }
}
