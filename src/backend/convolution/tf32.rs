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
