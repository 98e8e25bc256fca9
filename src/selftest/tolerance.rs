//! How far a backend may be off, and why: one place for all cases.

use crate::backend::BackendKind;

/// Largest difference allowed, as a fraction of the largest value compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// One operation and its gradients against another backend: f32 has 6e-8, and sums of some
    /// hundred products in another order lose a few bits of it.
    pub operation: f64,
    /// Embeddings against the reference implementation in f64: some tens of such operations one
    /// after another.
    pub embedding: f64,
    /// A training step against another backend. Gradients jump wherever a rectifier's input is
    /// nearly 0, and the streams of reversible networks lie on a grid of 2^-18: what is rounded to
    /// another point of it is 4e-6 off at once.
    pub step: f64,
    /// Recomputed gradients against those of the taped twin on the same device. On the grid of
    /// recovered inputs both do the same arithmetic; where a backend chooses its kernels as it
    /// goes, or fuses operations anew each time, sums may be in another order.
    pub twin: f64,
    /// What steps with 8-bit states have moved: a code next to the right one is off by up to 1 part
    /// in 100 of a block's largest value; few are.
    pub states: f64,
}

impl Tolerance {
    /// That of a backend.
    pub fn of(kind: BackendKind) -> Self {
        match kind {
            // IEEE arithmetic throughout.
            BackendKind::Flex | BackendKind::Ndarray => {
                Self { operation: 1e-5, embedding: 1e-5, step: 1e-3, twin: 1e-5, states: 1e-4 }
            }
            // Division and roots may be off by 2.5 units in the last place (Vulkan's and CUDA's
            // promise), small numbers may be flushed to 0, and a multiplication and an addition may
            // be one operation.
            BackendKind::Wgpu => {
                Self { operation: 2e-5, embedding: 1e-4, step: 1e-3, twin: 1e-4, states: 1e-3 }
            }
            // The same, and among the kernels that autotune chooses from on GPUs from Ampere on are
            // some that round factors to TF32, by up to 2^-12 of each: single operations were 4e-4
            // off, BatchNorm's gradients 3e-3, when the PTX of such kernels was interpreted on the
            // CPU. A factor on the verge of a rounding brings what little twins differ by to that
            // size, in a few of the products.
            BackendKind::Cuda => {
                Self { operation: 2e-3, embedding: 5e-3, step: 2e-2, twin: 1e-3, states: 1e-3 }
            }
        }
    }
}
