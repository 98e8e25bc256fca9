//! The largest differences allowed in all cases, and why.

use crate::backend::BackendKind;

/// The largest differences allowed, as fractions of the largest value compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// One operation and its gradients against another backend. f32 rounds by 6e-8, and sums of
    /// some hundred products in another order lose a few more bits.
    pub operation: f64,
    /// Embeddings against the reference implementation in f64: tens of operations in sequence.
    pub embedding: f64,
    /// A training step against another backend. Gradients jump where a rectifier's input is nearly
    /// 0. The streams of reversible networks lie on a grid of 2^-18: a value rounded to another
    /// point of it is off by 4e-6.
    pub step: f64,
    /// Recomputed gradients against those of the taped twin on the same device. Both do the same
    /// arithmetic on the same recovered inputs. A backend that chooses kernels or fuses operations
    /// at run time may sum in another order.
    pub twin: f64,
    /// Parameters' moves in steps with 8-bit states. A few codes may be next to the right one,
    /// which is off by up to a hundredth of the block's largest value.
    pub states: f64,
}

impl Tolerance {
    /// The tolerance for a backend.
    pub fn of(kind: BackendKind) -> Self {
        match kind {
            // IEEE arithmetic throughout.
            BackendKind::Flex | BackendKind::Ndarray => {
                Self { operation: 1e-5, embedding: 1e-5, step: 1e-3, twin: 1e-5, states: 1e-4 }
            }
            // Vulkan and CUDA allow division and roots to be off by 2.5 units in the last place,
            // small numbers to be flushed to 0, and fused multiplication and addition.
            BackendKind::Wgpu => {
                Self { operation: 2e-5, embedding: 1e-4, step: 1e-3, twin: 1e-4, states: 1e-3 }
            }
            // The same. And from Ampere on, autotune may choose kernels that round factors to TF32,
            // by up to 2^-12. In an interpreter of such kernels' PTX, single operations were off by
            // 4e-4, BatchNorm's gradients by 3e-3. Where the tiny difference of two twins decides
            // the rounding of a factor, it grows to that size in a few of the products.
            BackendKind::Cuda => {
                Self { operation: 2e-3, embedding: 5e-3, step: 2e-2, twin: 1e-3, states: 1e-3 }
            }
        }
    }
}
