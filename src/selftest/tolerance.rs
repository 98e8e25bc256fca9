//! The largest differences allowed in all cases, and why.

use crate::backend::BackendKind;

/// The largest differences allowed, as fractions of the largest value compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// One operation and its gradients in f32. f32 rounds by 6e-8, and sums of some hundred
    /// products in another order lose a few more bits.
    pub operation: f64,
    /// One operation whose factors are rounded to TF32, each by up to 2^-11.
    pub tf32: f64,
    /// One operation in bf16 or f16. Results are rounded by up to 2^-9, and a backend may add up
    /// hundreds of products in that type.
    pub half: f64,
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
        let (tf32, half) = (2e-3, 2e-2);
        match kind {
            // IEEE arithmetic throughout.
            BackendKind::Flex | BackendKind::Ndarray => Self {
                operation: 1e-5,
                tf32,
                half,
                embedding: 1e-5,
                step: 1e-3,
                twin: 1e-5,
                states: 1e-4,
            },
            // Vulkan and CUDA allow division and roots to be off by 2.5 units in the last place,
            // small numbers to be flushed to 0, and fused multiplication and addition. In f32 no
            // product of ours runs on tensor cores.
            BackendKind::Wgpu | BackendKind::Cuda => Self {
                operation: 2e-5,
                tf32,
                half,
                embedding: 1e-4,
                step: 1e-3,
                twin: 1e-4,
                states: 1e-3,
            },
        }
    }
}
