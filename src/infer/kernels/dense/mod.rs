//! Convolutions over rows and frames of all input channels, with what follows them: scale, shift,
//! another value, ReLU.
//!
//! Vectors run over frames, which lie side by side; each weight is multiplied with whole vectors.
//! Rows are followed by zeros, so the rows of a channel, zeros included, are one long run of
//! positions, and a tap is a fixed distance. Nothing is copied but the input of convolutions with a
//! stride over frames. A sum has the order of the input channels, then of the taps, whatever the
//! number of threads.
//!
//! The most common convolution of images, three taps each way without stride, takes a third fewer
//! multiplications by [Winograd's way](winograd).

#[cfg(target_arch = "x86_64")]
mod avx2;
mod blocks;
pub(super) mod grid;
mod pack;
pub(super) mod parts;
mod run;
pub(super) mod tasks;
pub(super) mod tile;
mod unpack;
mod winograd;

#[cfg(test)]
mod tests;

use super::Level;
pub(super) use blocks::Block;
use grid::Grid;
use pack::Packed;
use tile::Kernel;
use winograd::Winograd;

/// Shape of a convolution. Axes are rows and frames; without rows, the kernel has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Channels of the input, of one group.
    pub input: usize,
    /// Channels of the output, of one group.
    pub output: usize,
    /// Taps.
    pub kernel: [usize; 2],
    /// Distance of an output's taps from those of its neighbour.
    pub stride: [usize; 2],
    /// Distance between taps.
    pub dilation: [usize; 2],
    /// Zeros in front and behind.
    pub padding: [usize; 2],
}

impl Geometry {
    /// Rows and frames of the output, of an input of that many: 0 where the kernel is larger than
    /// the padded input.
    pub fn made(&self, size: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            match (size[axis] + 2 * self.padding[axis]).checked_sub(reach) {
                Some(rest) => rest / self.stride[axis] + 1,
                None => 0,
            }
        })
    }
}

/// Weights `[output, input, rows, frames]`, row-major.
#[cfg_attr(test, derive(Clone))]
pub(crate) enum Weights {
    /// Each by itself.
    Floats(Vec<f32>),
    /// Few values.
    Codes {
        /// Bits of a code, up to 8.
        bits: u32,
        /// The codes, as [`pack`](crate::backend::codes::pack) has them.
        codes: Vec<u8>,
        /// The value of each code: `[2^bits]` or fewer, or as many for each output.
        values: Vec<f32>,
        /// Whether each output has values of its own.
        per_output: bool,
    },
}

/// What is added to a convolution's scaled and shifted result, before ReLU.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Add<'a> {
    /// Nothing.
    Nothing,
    /// A value of the output's size, with guards.
    Of(&'a [f32]),
    /// What the output holds before.
    InPlace,
}

/// Input and output of a convolution. Both lie as [`Plane`](crate::infer::plane::Plane) says, with
/// guards. The input may be a range of a larger value's channels: its first row follows `pad`
/// zeros, and its last value [`TAIL`](crate::infer::plane::TAIL) values of any kind.
pub(crate) struct Call<'a> {
    /// The input.
    pub x: &'a [f32],
    /// Its channels, rows and frames.
    pub size: [usize; 3],
    /// Zeros behind each row, of input and output; no fewer than the padding over frames.
    pub pad: usize,
    /// The output. Its rows' pads become 0; its guards stay.
    pub y: &'a mut [f32],
    /// What is added.
    pub add: Add<'a>,
    /// Whether negative results become 0.
    pub relu: bool,
    /// [`Dense::scratch`] values, whatever they are.
    pub scratch: &'a mut [f32],
}

/// A convolution without groups, ready to run.
pub(crate) struct Dense {
    geometry: Geometry,
    kernel: &'static Kernel,
    way: Way,
    /// One for each output, and zeros up to whole blocks.
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// How sums are computed, with the weights for it.
enum Way {
    /// As a convolution is defined.
    Direct(Packed),
    /// Two rows at once.
    Winograd(Winograd),
}

impl Dense {
    /// Packs weights. `scale` and `shift` have a value for each output. The geometry alone decides
    /// how sums are computed: by Winograd's way, if the kernel has 3 by 3 taps, no stride and no
    /// dilation, one zero on each side, and at least 16 channels of input and of output.
    ///
    /// # Panics
    /// If the processor does not have the level, or the numbers of values do not fit the geometry.
    pub fn new(
        weights: Weights,
        scale: Vec<f32>,
        shift: Vec<f32>,
        geometry: Geometry,
        level: Level,
    ) -> Self {
        let way = |weights: Packed, kernel: &Kernel| match Winograd::suits(&geometry) {
            true => Way::Winograd(Winograd::new(weights, &geometry, kernel, level)),
            false => Way::Direct(weights),
        };
        Self::by(way, weights, [scale, shift], geometry, level)
    }

    /// The same, computed as a convolution is defined: the plain twin.
    #[cfg(test)]
    fn direct(
        weights: Weights,
        scale: Vec<f32>,
        shift: Vec<f32>,
        geometry: Geometry,
        level: Level,
    ) -> Self {
        Self::by(|weights, _| Way::Direct(weights), weights, [scale, shift], geometry, level)
    }

    fn by(
        way: impl FnOnce(Packed, &Kernel) -> Way,
        weights: Weights,
        [mut scale, mut shift]: [Vec<f32>; 2],
        geometry: Geometry,
        level: Level,
    ) -> Self {
        assert!(level.is_available(), "the processor does not have {level:?}");
        assert_eq!([scale.len(), shift.len()], [geometry.output; 2], "scale and shift");
        let kernel = Kernel::of(level);
        let way = way(Packed::new(weights, &geometry, kernel.outputs, level), kernel);
        let whole = geometry.output.next_multiple_of(kernel.outputs);
        scale.resize(whole, 0.0);
        shift.resize(whole, 0.0);
        Self { geometry, kernel, way, scale, shift }
    }

    /// Values of scratch that [`run`](Self::run) wants for an input `[channels, rows, frames]`:
    /// copies of the input, and a block of weights for each thread of the pool; or what
    /// [`Winograd`] wants.
    pub fn scratch(&self, input: [usize; 3], pad: usize) -> usize {
        match &self.way {
            Way::Direct(weights) => {
                let copies = Grid::of(&self.geometry, input, pad).scratch();
                copies + weights.scratch() * rayon::current_num_threads()
            }
            Way::Winograd(winograd) => winograd.scratch(self, input, pad),
        }
    }

    /// `act(convolution(x) * scale + shift [+ add])`.
    ///
    /// # Panics
    /// If a slice is too short, the input has other channels, or `pad` is less than the padding.
    pub fn run(&self, call: Call<'_>) {
        match &self.way {
            Way::Direct(weights) => run::run(self, weights, call),
            Way::Winograd(winograd) => winograd.run(self, call),
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let weights = match &self.way {
            Way::Direct(weights) => weights.bytes(),
            Way::Winograd(winograd) => winograd.bytes(),
        };
        weights + size_of_val(&self.scale[..]) + size_of_val(&self.shift[..])
    }
}
