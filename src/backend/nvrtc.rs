//! NVRTC, NVIDIA's compiler of kernels at run time, and the headers that kernels include. Neither
//! is a part of the driver.

#![allow(unsafe_code, reason = "a library is looked for by loading it, and asked what it knows")]

use std::path::Path;

use cudarc::driver::result::device;
use cudarc::driver::sys::CUdevice_attribute as Attribute;
use cudarc::nvrtc::sys;

/// A header that kernels in bf16 include. The others lie beside it.
const HEADER: &str = "include/cuda_bf16.h";

/// The missing parts, and where to get them; none if nothing is missing.
pub(super) fn missing() -> Option<String> {
    // SAFETY: only loads a library by NVIDIA's names for it.
    let library = unsafe { sys::is_culib_present() };
    missing_of(library, cubecl_cuda::install::cuda_path().as_deref())
}

fn missing_of(library: bool, toolkit: Option<&Path>) -> Option<String> {
    let headers = toolkit.is_some_and(|path| path.join(HEADER).is_file());
    let place = toolkit
        .map_or_else(|| "there is none".to_owned(), |path| format!("found: {}", path.display()));
    let lacks: Vec<_> = [
        (!library)
            .then(|| "libnvrtc, which compiles kernels, is not on the library path".to_owned()),
        (!headers).then(|| format!("{HEADER} and its like are not in the CUDA toolkit ({place})")),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!lacks.is_empty()).then(|| {
        format!(
            "{}; install a CUDA toolkit no newer than the driver, or \
             `pip install --target cuda nvidia-cuda-{{nvrtc,runtime,crt,cccl}}==13.0.*` and set \
             CUDA_PATH to cuda/nvidia/cu13 and LD_LIBRARY_PATH to its lib",
            lacks.join("; ")
        )
    })
}

/// Why NVRTC has no code for GPU `index`, and which release has; none if it has, or if driver or
/// NVRTC do not say.
pub(super) fn unknown(index: usize) -> Option<String> {
    let (name, arch) = gpu(index)?;
    let nvrtc = Nvrtc::found()?;
    nvrtc.refusal(&name, arch)
}

/// A GPU's name, and its compute capability as NVRTC writes it (8.6 is 86).
fn gpu(index: usize) -> Option<(String, i32)> {
    cudarc::driver::result::init().ok()?;
    let gpu = device::get(i32::try_from(index).ok()?).ok()?;
    // SAFETY: the driver has given out this device.
    let of = |attribute| unsafe { device::get_attribute(gpu, attribute) }.ok();
    let major = of(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = of(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    let name = device::get_name(gpu).unwrap_or_else(|_| "this GPU".into());
    Some((name, 10 * major + minor))
}

/// What NVRTC says of itself.
struct Nvrtc {
    version: [i32; 2],
    /// Compute capabilities that it has code for.
    archs: Vec<i32>,
}

impl Nvrtc {
    fn found() -> Option<Self> {
        let (mut major, mut minor, mut count) = (0, 0, 0);
        // SAFETY: NVRTC writes a number to each place, and `count` numbers to the list.
        let archs = unsafe {
            sys::nvrtcVersion(&raw mut major, &raw mut minor).result().ok()?;
            sys::nvrtcGetNumSupportedArchs(&raw mut count).result().ok()?;
            let mut archs = vec![0; usize::try_from(count).ok()?];
            sys::nvrtcGetSupportedArchs(archs.as_mut_ptr()).result().ok()?;
            archs
        };
        Some(Self { version: [major, minor], archs })
    }

    fn refusal(&self, gpu: &str, arch: i32) -> Option<String> {
        let Self { version: [major, minor], archs } = self;
        if archs.contains(&arch) {
            return None;
        }
        let (oldest, newest) = (archs.iter().min()?, archs.iter().max()?);
        // CUDA 13 has no code for GPUs before Turing, CUDA 12 none for GPUs before Maxwell.
        let other = match arch {
            ..50 => "no release that this program can use knows it",
            50..75 if arch < *oldest => "CUDA 12.9 is the last release that knows it",
            _ => "a newer release may know it",
        };
        Some(format!(
            "NVRTC {major}.{minor} has no code for {gpu} (sm_{arch}), but for sm_{oldest} to \
             sm_{newest}; {other}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told() {
        let toolkit = tempfile::tempdir().unwrap();
        let root = toolkit.path();
        let neither = missing_of(false, None).unwrap();
        assert!(
            neither.contains("libnvrtc")
                && neither.contains("there is none")
                && neither.contains("pip install")
        );
        let headers = missing_of(true, Some(root)).unwrap();
        assert!(
            !headers.contains("libnvrtc,") && headers.contains(&root.display().to_string()),
            "{headers}"
        );
        std::fs::create_dir(root.join("include")).unwrap();
        std::fs::write(root.join(HEADER), "").unwrap();
        assert!(missing_of(false, Some(root)).unwrap().starts_with("libnvrtc"));
        assert_eq!(missing_of(true, Some(root)), None);
    }

    #[test]
    fn a_gpu_that_nvrtc_does_not_know_is_named() {
        let nvrtc = Nvrtc { version: [13, 0], archs: vec![75, 80, 86, 90, 120] };
        assert_eq!(nvrtc.refusal("a card", 86), None);
        let old = nvrtc.refusal("Tesla V100", 70).unwrap();
        assert!(
            old.starts_with("NVRTC 13.0 has no code for Tesla V100 (sm_70), but for sm_75 to"),
            "{old}"
        );
        for (arch, other) in [(30, "no release"), (61, "CUDA 12.9"), (130, "a newer release")] {
            let told = nvrtc.refusal("a card", arch).unwrap();
            assert!(told.contains(other), "{told}");
        }
        // An NVRTC that knows the generation before and the one behind.
        assert!(nvrtc.refusal("a card", 89).unwrap().ends_with("a newer release may know it"));
    }
}
