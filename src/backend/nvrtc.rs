//! NVRTC, NVIDIA's compiler of kernels at run time, and the headers that kernels include. Neither
//! is a part of the driver.

#![allow(unsafe_code, reason = "a library is looked for by loading it")]

use std::path::Path;

/// A header that kernels in bf16 include. The others lie beside it.
const HEADER: &str = "include/cuda_bf16.h";

/// The missing parts, and where to get them; none if nothing is missing.
pub(super) fn missing() -> Option<String> {
    // SAFETY: only loads a library by NVIDIA's names for it.
    let library = unsafe { cudarc::nvrtc::sys::is_culib_present() };
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
}
