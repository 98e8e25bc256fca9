//! Whether f32 convolutions may run on tensor cores, which round their inputs to TF32 (8 bits of
//! exponent, 10 of mantissa).

use std::sync::atomic::{AtomicBool, Ordering};

static ALLOWED: AtomicBool = AtomicBool::new(false);

/// Allows TF32 in this process's f32 convolutions on CUDA devices, like PyTorch's
/// `torch.backends.cudnn.allow_tf32`; at first it is not allowed.
pub fn allow_tf32(allowed: bool) {
    ALLOWED.store(allowed, Ordering::Relaxed);
}

/// Whether TF32 is allowed.
pub fn tf32_allowed() -> bool {
    ALLOWED.load(Ordering::Relaxed)
}

/// Whether a convolution of this tensor is left to Burn's kernels, which use tensor cores: on CUDA
/// in f16, in bf16 from the Ampere generation on, and in f32 where TF32 is allowed. Turing has no
/// arithmetic in bf16; our own kernels compute in f32.
#[cfg(feature = "cube")]
pub(super) fn uses_tensor_cores(x: &burn_cubecl::tensor::CubeTensor) -> bool {
    use burn::tensor::DType;
    use burn_cubecl::cubecl::ir::{ElemType, FloatKind};
    let has = |kind| x.client.properties().supports_type(ElemType::Float(kind));
    matches!(x.device, burn_cubecl::CubeDevice::Cuda(_))
        && match x.dtype {
            DType::F16 => true,
            DType::BF16 => has(FloatKind::TF32),
            DType::F32 => tf32_allowed(),
            _ => false,
        }
}
