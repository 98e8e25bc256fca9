//! What runs a step, as far as its memory depends on that.

use crate::backend::BackendKind;
use crate::backend::convolution::{Splits, scratch};
use crate::nn::Conv2dConfig;
use crate::train::OptimizerConfig;

/// Bytes to which CUDA's rows are filled up at least and at most.
const PITCH: (usize, usize) = (16, 512);

/// What runs a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    /// The default CPU backend with so many threads.
    Cpu { threads: usize },
    /// A GPU backend. With `pitch`, rows of tensors that Burn allocates are filled up.
    Gpu { pitch: bool },
}

impl Machine {
    /// What a backend runs on.
    pub fn of(kind: BackendKind) -> Self {
        match kind {
            BackendKind::Flex | BackendKind::Ndarray => {
                Self::Cpu { threads: rayon::current_num_threads() }
            }
            BackendKind::Wgpu => Self::Gpu { pitch: false },
            BackendKind::Cuda => Self::Gpu { pitch: true },
        }
    }

    /// Whether it has memory of its own.
    pub fn is_gpu(self) -> bool {
        match self {
            Self::Cpu { .. } => false,
            Self::Gpu { .. } => true,
        }
    }

    /// Scratch space of an optimizer that steps tensors of so many values one after the other: on
    /// CPUs one new tensor of the largest one that it does not change in place. Burn's optimizers
    /// write each result into whatever nothing else needs any more: SGD its momentum's into the
    /// gradient times 1, Adam its moments' into the old ones; then the step is made in a copy of
    /// the moment, when the gradient is gone.
    pub fn step_scratch(
        self,
        optimizer: &OptimizerConfig,
        counts: impl Iterator<Item = usize>,
    ) -> usize {
        match self {
            Self::Gpu { .. } => 0,
            Self::Cpu { .. } => {
                let renewed = counts.filter(|&count| optimizer.makes_new_values(count));
                4 * renewed.max().unwrap_or(0)
            }
        }
    }

    /// Bytes of an f32 tensor `[batch, size...]`. Images are made by kernels of ours, which fill up
    /// no rows.
    pub fn bytes(self, batch: usize, size: &[usize]) -> usize {
        let values = size.iter().product::<usize>();
        match self {
            Self::Gpu { pitch: true } if size.len() < 3 => {
                let width = size.last().copied().unwrap_or(1);
                batch * values / width.max(1) * row(width)
            }
            Self::Cpu { .. } | Self::Gpu { .. } => 4 * batch * values,
        }
    }

    /// Scratch space of a convolution over mels and frames: of the output, of the weights'
    /// gradient, of the input's gradient. Sizes are those behind the batch.
    pub fn scratch(
        self,
        batch: usize,
        conv: &Conv2dConfig,
        input: &[usize],
        output: &[usize],
    ) -> [usize; 3] {
        let whole = |size: &[usize]| [batch, size[0], size[1], size[2]];
        let weight = conv.weight_shape();
        match self {
            Self::Cpu { threads } => scratch(whole(input), weight, conv.window(), threads),
            Self::Gpu { .. } if conv.groups > 1 => [0; 3],
            Self::Gpu { .. } => {
                let splits = Splits::of(whole(input), whole(output), conv.kernel);
                [0, splits.bytes(weight.iter().product()), 0]
            }
        }
    }
}

/// Bytes of a row of so many f32 values on CUDA: filled up to a multiple of the next power of two
/// (`optimal_align` of cubecl-runtime 0.11.3).
fn row(width: usize) -> usize {
    let bytes = 4 * width;
    match width {
        0 | 1 => bytes,
        _ => bytes.next_multiple_of(bytes.next_power_of_two().clamp(PITCH.0, PITCH.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_filled_up_on_cuda_alone() {
        for (width, bytes) in [(1, 4), (2, 16), (25, 128), (100, 512), (200, 1024), (5994, 24064)] {
            assert_eq!(row(width), bytes, "{width}");
        }
        let [cpu, wgpu, cuda] =
            [BackendKind::Flex, BackendKind::Wgpu, BackendKind::Cuda].map(Machine::of);
        // Burn makes matrices and what is pooled, kernels of ours make images.
        assert_eq!(cuda.bytes(3, &[7, 25]), 3 * 7 * 128);
        assert_eq!(cuda.bytes(3, &[5994]), 3 * 24064);
        assert_eq!(cuda.bytes(3, &[2, 5, 25]), 4 * 3 * 2 * 5 * 25);
        for plain in [cpu, wgpu] {
            assert_eq!(plain.bytes(3, &[7, 25]), 4 * 3 * 7 * 25);
        }
        assert!(cuda.is_gpu() && wgpu.is_gpu() && !cpu.is_gpu());
    }

    #[test]
    fn a_step_in_32_bits_makes_one_tensor() {
        let counts = [10_000, 64, 30_000];
        for (name, bytes) in [
            ("sgd", 120_000),
            ("adam", 120_000),
            ("adamw", 120_000),
            ("sgd8bit", 4 * 64),
            ("adamw8bit", 4 * 64),
        ] {
            let optimizer = OptimizerConfig::named(name).unwrap();
            let scratch = |kind| Machine::of(kind).step_scratch(&optimizer, counts.into_iter());
            assert_eq!(scratch(BackendKind::Flex), bytes, "{name}");
            assert_eq!(scratch(BackendKind::Cuda), 0, "{name}");
        }
    }

    #[test]
    fn a_gpu_has_no_columns() {
        let conv = Conv2dConfig::new(32, 32, 3);
        let size = [32, 80, 200];
        let [output, weights, input] =
            Machine::of(BackendKind::Cuda).scratch(8, &conv, &size, &size);
        assert_eq!((output, input), (0, 0));
        let weight = 4 * 32 * 32 * 9;
        assert!(weights.is_multiple_of(weight) && weights <= 32 << 20, "{weights}");
    }
}
