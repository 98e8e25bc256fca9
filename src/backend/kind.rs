//! Which backend runs the tensors: chosen at run time among those compiled in.

#![allow(unsafe_code, reason = "the environment is changed before any thread begins")]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use burn::tensor::{Device, Tensor};

use crate::error::{Error, Result};

/// A backend's name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
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

    /// Makes it the backend of `Device::default()`. Without it that is a GPU in every build that
    /// can use one, there or not, and Burn's optimizers load their records on the default device,
    /// to be moved where they belong by the next step.
    ///
    /// # Safety
    /// The program has no other threads yet: this sets an environment variable.
    pub unsafe fn make_default(self) {
        if self.is_compiled() {
            // SAFETY: the caller's promise.
            unsafe { std::env::set_var("BURN_DEVICE", self.name()) };
        }
    }

    /// Opens device `index` and runs one operation on it, so that a missing driver is an error here
    /// and not a panic in the middle of the work.
    pub fn device(self, index: usize) -> Result<Device> {
        let name = self.name();
        if !self.is_compiled() {
            let compiled: Vec<&str> =
                Self::ALL.iter().filter(|b| b.is_compiled()).map(|b| b.name()).collect();
            return Err(Error::Backend(format!(
                "backend {name} is not in this build (it has: {}); rebuild with `--features {name}`",
                compiled.join(", ")
            )));
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
            Err(Error::Backend(format!("backend {name} cannot use device {index}: {why}{driver}")))
        })
    }

    /// All devices that there are, in the order of their numbers (of wgpu's, number 0 means the one
    /// that is preferred).
    fn devices(self) -> Vec<Device> {
        match self {
            #[cfg(feature = "wgpu-bare")]
            Self::Wgpu => Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec(),
            #[cfg(feature = "cuda-bare")]
            Self::Cuda => Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(),
            _ => vec![self.first()],
        }
    }

    fn open(self, index: usize) -> Result<Device> {
        if self == Self::Wgpu && index == 0 {
            return Ok(self.first());
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
            return Ok(devices.swap_remove(index));
        }
        let there: Vec<_> = (0..devices.len()).map(|i| i.to_string()).collect();
        let there = if there.is_empty() { "none at all".to_owned() } else { there.join(", ") };
        Err(Error::Backend(format!(
            "backend {} has no device {index}; there are: {there}",
            self.name()
        )))
    }

    /// The one that is used unless another is asked for; CUDA's is the first of its list.
    fn first(self) -> Device {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => Device::flex(),
            #[cfg(feature = "ndarray")]
            #[expect(deprecated, reason = "kept as a second opinion for as long as Burn ships it")]
            Self::Ndarray => Device::ndarray(),
            #[cfg(feature = "wgpu-bare")]
            Self::Wgpu => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
            #[allow(unreachable_patterns, reason = "reachable in builds with fewer backends")]
            _ => unreachable!("compiled in, and not CUDA"),
        }
    }
}

thread_local! {
    /// Whether this thread keeps its panics off the terminal, and where its last one was.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `work`, turning a panic of this thread into its message, with the place it comes from
/// behind it, and keeping it off the terminal.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // The hook is the whole program's: set once, and silent for threads that ask for it.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match QUIET.get() {
            true => PLACE.set(
                info.location()
                    .map_or_else(String::new, |l| format!(" ({}:{})", l.file(), l.line())),
            ),
            false => {
                crate::terminal::release();
                hook(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    result.map_err(|panic| format!("{}{}", panic_text(&*panic), PLACE.take()))
}

/// What a panic says, in one line: causes are on lines of their own, behind them perhaps a
/// backtrace.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    let lines = text.unwrap_or("unknown reason").lines().map(str::trim);
    let told: Vec<&str> =
        lines.take_while(|line| !line.to_lowercase().starts_with("backtrace")).take(40).collect();
    told.join(" ").chars().take(2000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiled_backends_open_and_others_say_how_to_get_them() {
        for kind in BackendKind::ALL {
            match (kind.is_compiled(), kind.device(0)) {
                (false, result) => {
                    let error = result.unwrap_err().to_string();
                    assert!(error.contains(&format!("--features {}", kind.name())), "{error}");
                }
                (true, Ok(_)) => (),
                (true, Err(e)) => {
                    assert!(matches!(kind, BackendKind::Wgpu | BackendKind::Cuda), "{e}")
                }
            }
        }
        assert!(BackendKind::Flex.device(1).is_err());
    }

    #[test]
    fn a_panic_becomes_its_causes_in_one_line() {
        let told = quietly(|| {
            panic!("cannot read\n  Caused by:\n    out of memory\nBacktrace\n  0: main")
        })
        .unwrap_err();
        assert!(
            told.starts_with("cannot read Caused by: out of memory (src/backend/kind.rs:"),
            "{told}"
        );
        assert_eq!(quietly(|| 3), Ok(3));
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
}
