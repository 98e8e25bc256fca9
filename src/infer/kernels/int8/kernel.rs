//! What the inner loops are told, and which of them a processor has.

use super::super::Level;
use super::scale::Rounding;
use super::tile;
use crate::infer::plane::Form;

/// Outputs of a tile, at most.
pub(super) const MOST: usize = 8;

/// Positions that follow each other, for one block of outputs.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    /// Input of the first position, in the first plane.
    pub x: *const u32,
    /// Words from an input plane to the next one.
    pub x_plane: usize,
    /// Planes of the input, of four channels each.
    pub planes: usize,
    /// Where the taps lie, from a position of `x` on.
    pub taps: &'a [isize],
    /// Weights of the first plane and tap: the block's outputs, tap by tap; of each output the
    /// word, or two, that its set wants.
    pub weights: *const u32,
    /// Words from the weights of a plane to those of the next one.
    pub weights_step: usize,
    /// What the sums of the block's outputs begin with.
    pub start: [i32; MOST],
    /// Factors and summands of the block's outputs, as many as the kernel has.
    pub scale: *const f32,
    pub shift: *const f32,
    /// What is added, for the first output and position, and how it lies.
    pub add: Option<(*const u32, Form)>,
    pub relu: bool,
    /// The first output's first position.
    pub y: *mut u32,
    /// What the output's bytes are rounded with; nothing where it is floats.
    pub rounding: Option<Rounding>,
    /// Words from a plane to the next one, in `y` and `add`.
    pub y_plane: usize,
    /// Outputs of the block, at most those of the kernel.
    pub outputs: usize,
    /// Positions.
    pub length: usize,
}

/// The inner loops of an instruction set.
pub(super) struct Kernel {
    /// The set.
    #[cfg(test)]
    pub name: &'static str,
    /// Outputs of a tile, a multiple of 4.
    pub outputs: usize,
    /// Positions of a tile. Input is read for that many, whether there are so many or not.
    pub positions: usize,
    /// Whether a weight is two words of i16, channels 0 and 2, then 1 and 3; else it is one word of
    /// bytes.
    pub wide: bool,
    /// What is subtracted from every byte of the input.
    pub bias: i32,
    /// Computes a run.
    ///
    /// # Safety
    /// The processor has the set's instructions. The run's pointers are valid for what it says: `x`
    /// for every plane and tap at every position of whole tiles, the others for the run's outputs
    /// and positions. Nobody else uses these places of `y` meanwhile.
    pub run: unsafe fn(&Run<'_>),
}

impl Kernel {
    /// The fastest kernel of a level on this processor.
    ///
    /// # Panics
    /// If the processor does not have the level.
    pub fn of(level: Level) -> &'static Self {
        let kernels = Self::all(level);
        kernels.last().copied().unwrap_or_else(|| panic!("the processor does not have {level:?}"))
    }

    /// All kernels of a level that this processor has instructions for, the fastest one last.
    pub fn all(level: Level) -> Vec<&'static Self> {
        if !level.is_available() {
            return Vec::new();
        }
        match level {
            Level::Portable => vec![&tile::portable::KERNEL],
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => match is_x86_feature_detected!("avxvnni") {
                true => vec![&tile::avx2::KERNEL, &tile::avx_vnni::KERNEL],
                false => vec![&tile::avx2::KERNEL],
            },
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => match is_x86_feature_detected!("avx512vnni") {
                true => vec![&tile::avx512::KERNEL],
                false => Self::all(Level::Avx2),
            },
            #[cfg(target_arch = "aarch64")]
            Level::Neon => match std::arch::is_aarch64_feature_detected!("dotprod") {
                true => vec![&tile::neon::KERNEL, &tile::neon_dot::KERNEL],
                false => vec![&tile::neon::KERNEL],
            },
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128 => vec![&tile::simd128::KERNEL],
            _ => Vec::new(),
        }
    }
}
