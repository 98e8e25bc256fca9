//! One block of outputs of a convolution that sees a position alone, for a reader that wants no
//! more of the output at one time.

#![allow(unsafe_code, reason = "tiles read and write places that are no neighbours")]

use std::ops::Range;
use std::ptr::null;

use super::tile::Run;
use super::{Dense, Geometry, Packed, Way};
use crate::infer::plane::{GUARD, Plane};

/// Input and output of a block.
pub(in super::super) struct Block<'a> {
    /// The input, with guards.
    pub x: &'a [f32],
    /// Its channels, rows and frames.
    pub size: [usize; 3],
    /// Zeros behind each of its rows.
    pub pad: usize,
    /// What is computed: positions of a channel, counted over rows with their zeros.
    pub positions: Range<usize>,
    /// Whether negative results become 0.
    pub relu: bool,
    /// The output, a few rows of each of the block's channels, with guards. Zeros stand behind
    /// these rows too.
    pub y: &'a mut [f32],
    /// Values from a channel of it to the next one.
    pub y_plane: usize,
    /// Where the first position lies in a channel of it.
    pub to: usize,
}

impl Dense {
    /// Whether an output sees one input of every channel, where it stands.
    pub fn is_pointwise(&self) -> bool {
        let Geometry { kernel, stride, padding, .. } = self.geometry;
        kernel == [1, 1] && stride == [1, 1] && padding == [0, 0]
    }

    /// Outputs of a block, and positions of a tile.
    pub fn tile(&self) -> [usize; 2] {
        [self.kernel.outputs, self.kernel.positions]
    }

    /// Outputs.
    pub fn outputs(&self) -> usize {
        self.geometry.output
    }

    /// Values of scratch for the weights of a block of a pointwise convolution.
    pub fn unpacked(&self) -> usize {
        self.weights().scratch()
    }

    /// The weights of a pointwise convolution.
    fn weights(&self) -> &Packed {
        match &self.way {
            Way::Direct(weights) => weights,
            Way::Winograd(_) => panic!("outputs see more than a position"),
        }
    }

    /// `act(convolution(x) * scale + shift)` for a block of outputs, the bits of
    /// [`run`](Self::run). Scratch has [`unpacked`](Self::unpacked) values.
    ///
    /// # Panics
    /// If outputs see more than a position, the input has other channels, or a slice is too short.
    pub(in super::super) fn run_block(&self, number: usize, block: Block<'_>, scratch: &mut [f32]) {
        let Self { geometry, kernel, scale, shift, .. } = self;
        let Block { x, size, pad, positions, relu, y, y_plane, to } = block;
        let input = Plane::of(&size, pad);
        let (x_plane, length) = (size[1] * input.pitch, positions.len());
        assert!(self.is_pointwise() && size[0] == geometry.input, "another convolution's input");
        assert!(x.len() >= input.buffer() && positions.end <= x_plane, "values without guards");
        assert!(to + length <= y_plane, "positions beyond the channel");
        assert!(y.len() >= GUARD + kernel.outputs * y_plane, "channels beyond the output");
        let first = number * kernel.outputs;
        let outputs = kernel.outputs.min(geometry.output - first);
        let weights = self.weights().block(number, scratch);
        let run = Run {
            x: x.as_ptr().wrapping_add(GUARD + positions.start),
            x_plane,
            channels: geometry.input,
            taps: &[0],
            weights: weights.as_ptr(),
            weights_step: kernel.outputs,
            scale: scale.as_ptr().wrapping_add(first),
            shift: shift.as_ptr().wrapping_add(first),
            add: null(),
            relu,
            y: y.as_mut_ptr().wrapping_add(GUARD + to),
            y_plane,
            outputs,
            length,
        };
        // SAFETY: `Dense::new` found the level to be there. The slices are as long as was checked:
        // what whole tiles read beyond the last position is in the input's guard. Blocks of scale
        // and shift are whole.
        unsafe { (kernel.run)(&run) };
        let row = positions.start - positions.start % input.pitch;
        for at in (row + input.width..positions.end).step_by(input.pitch) {
            let (at, end) = (at.max(positions.start), (at + pad).min(positions.end));
            for output in 0..outputs {
                let place = GUARD + output * y_plane + to + at - positions.start;
                y[place..place + end - at].fill(0.0);
            }
        }
    }
}
