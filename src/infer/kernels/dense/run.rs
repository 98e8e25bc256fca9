//! A convolution's way from input to output, on all threads.

#![allow(unsafe_code, reason = "threads write to places of one output that are not neighbours")]

use std::ptr::null;

use super::grid::Grid;
use super::pack::Packed;
use super::parts::Runs;
use super::tasks::Tasks;
use super::tile::{Kernel, Run};
use super::{Add, Call, Dense, Geometry};
use crate::infer::plane::{GUARD, Plane};

/// The output, which threads share.
pub(super) struct Output(pub(super) *mut f32);

// SAFETY: every place is written by one task only.
unsafe impl Sync for Output {}

/// What all tasks of a call have in common.
struct Work<'a> {
    dense: &'a Dense,
    weights: &'a Packed,
    grid: &'a Grid,
    /// Input with guards, or its phases.
    x: &'a [f32],
    /// The first value.
    y: Output,
    add: Add<'a>,
    relu: bool,
    /// Rows and frames of the output, and values from a row to the next one.
    made: [usize; 2],
    pitch: usize,
}

/// Checks that a call fits the convolution, and gives rows and frames of the output.
///
/// # Panics
/// As [`Dense::run`] does.
pub(super) fn check(geometry: &Geometry, call: &Call<'_>) -> [usize; 2] {
    let Call { size, pad, .. } = *call;
    let [channels, mels, frames] = size;
    let made = geometry.made([mels, frames]);
    let (input, output) = (
        Plane::of(&size, pad).buffer(),
        Plane::of(&[geometry.output, made[0], made[1]], pad).buffer(),
    );
    assert_eq!(channels, geometry.input, "channels");
    assert!(geometry.padding[1] <= pad.min(GUARD), "{pad} zeros behind rows are too few");
    assert!(call.x.len() >= input && call.y.len() >= output, "values without guards");
    if let Add::Of(add) = call.add {
        assert!(add.len() >= output, "values without guards");
    }
    made
}

/// Runs a convolution as it is defined, with these weights.
pub(super) fn run(dense: &Dense, weights: &Packed, call: Call<'_>) {
    let made = check(&dense.geometry, &call);
    let Call { x, size, pad, y, add, relu, scratch } = call;
    let geometry = &dense.geometry;
    let pitch = made[1] + pad;
    let grid = Grid::of(geometry, size, pad);
    let (copies, unpacked) = scratch.split_at_mut(grid.scratch());
    let x = match &grid.phases {
        Some(phases) => {
            phases.fill(x, 0.0, copies);
            copies
        }
        None => x,
    };
    let Kernel { outputs, positions, .. } = *dense.kernel;
    let tasks = Tasks::of(geometry, &grid, size, pad, [outputs, positions]);
    // SAFETY: the output has guards.
    let y = Output(unsafe { y.as_mut_ptr().add(GUARD) });
    let work = Work { dense, weights, grid: &grid, x, y, add, relu, made, pitch };
    tasks.run(weights.scratch(), unpacked, |part, block, unpacked| {
        work.block(part, block, unpacked);
    });
}

impl Work<'_> {
    /// Computes a block of outputs at the positions of a part.
    fn block(&self, part: &[Runs], block: usize, unpacked: &mut [f32]) {
        let Dense { geometry, kernel, scale, shift, .. } = self.dense;
        let first = block * kernel.outputs;
        let weights = self.weights.block(block, unpacked);
        let y_plane = self.made[0] * self.pitch;
        let all_taps = self.grid.taps.len();
        let outputs = kernel.outputs.min(geometry.output - first);
        for runs in part {
            for i in 0..runs.count {
                let (x, y) = (runs.x + i * runs.x_step, first * y_plane + runs.y + i * runs.y_step);
                // SAFETY: all places are inside of slices whose lengths were checked: the input's
                // zeros and guards take up what taps and whole tiles reach beyond its rows.
                let run = unsafe {
                    let to = self.y.0.add(y);
                    let add = match self.add {
                        Add::Of(add) => add.as_ptr().add(GUARD + y),
                        Add::InPlace => to.cast_const(),
                        Add::Nothing => null(),
                    };
                    Run {
                        x: self.x.as_ptr().wrapping_add(GUARD + x),
                        x_plane: self.grid.plane,
                        channels: geometry.input,
                        taps: &self.grid.taps[runs.taps.clone()],
                        weights: weights.as_ptr().add(runs.taps.start * kernel.outputs),
                        weights_step: all_taps * kernel.outputs,
                        scale: scale.as_ptr().add(first),
                        shift: shift.as_ptr().add(first),
                        add,
                        relu: self.relu,
                        y: to,
                        y_plane,
                        outputs,
                        length: runs.length,
                    }
                };
                // SAFETY: `Dense::new` found the level to be there. No other task has these places
                // of the output.
                unsafe { (kernel.run)(&run) };
                for pad in runs.pads(i, self.made[1], self.pitch) {
                    for output in 0..outputs {
                        // SAFETY: the places are inside of the output, and of no other task.
                        unsafe {
                            let pads = self.y.0.add((first + output) * y_plane + pad.start);
                            pads.write_bytes(0, pad.len());
                        }
                    }
                }
            }
        }
    }
}
