//! A convolution's way from input to output, on all threads.

#![allow(unsafe_code, reason = "threads write to places of one output that are not neighbours")]

use std::ptr::null;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::grid::Grid;
use super::parts::{Runs, Shares};
use super::tile::Run;
use super::{Add, Call, Dense};
use crate::infer::plane::{GUARD, Plane};

/// Bytes of a part's input: what stays in a core's second cache, beside weights.
const CACHED: usize = 384 << 10;

/// Multiplications that are worth a second thread.
const WORTH: usize = 1 << 19;

/// The output, which threads share.
struct Output(*mut f32);

// SAFETY: every place is in one task's runs only.
unsafe impl Sync for Output {}

/// What all tasks of a call have in common.
struct Work<'a> {
    dense: &'a Dense,
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

pub(super) fn run(dense: &Dense, call: Call<'_>) {
    let Call { x, size, pad, y, add, relu, scratch } = call;
    let geometry = &dense.geometry;
    let [channels, mels, frames] = size;
    let made = geometry.made([mels, frames]);
    let input = Plane::of(&size, pad);
    let output = Plane::of(&[geometry.output, made[0], made[1]], pad);
    let pitch = output.pitch;
    assert_eq!(channels, geometry.input, "channels");
    assert!(geometry.padding[1] <= pad.min(GUARD), "{pad} zeros behind rows are too few");
    assert!(x.len() >= input.buffer() && y.len() >= output.buffer(), "values without guards");
    if let Add::Of(add) = add {
        assert!(add.len() >= output.buffer(), "values without guards");
    }

    let grid = Grid::of(geometry, size, pad);
    let (copies, unpacked) = scratch.split_at_mut(grid.scratch());
    let x = match &grid.phases {
        Some(phases) => {
            phases.fill(x, copies);
            copies
        }
        None => x,
    };
    let blocks = geometry.output.div_ceil(dense.kernel.outputs);
    let products = geometry.output * channels * grid.taps.len() * made[0] * made[1];
    let threads = if products < WORTH { 1 } else { rayon::current_num_threads() };
    let shares = Shares {
        geometry,
        grid: &grid,
        mels,
        made,
        pad,
        goal: goal(&grid, channels, made[0] * pitch, pitch, (4 * threads).div_ceil(blocks)),
        tile: dense.kernel.positions,
    };
    let parts = shares.parts();
    // SAFETY: the output has guards.
    let y = Output(unsafe { y.as_mut_ptr().add(GUARD) });
    let work = Work { dense, grid: &grid, x, y, add, relu, made, pitch };

    // A thread takes blocks of one part as long as there are parts for all.
    let tasks = parts.len() * blocks;
    let taken = (tasks / (4 * threads)).clamp(1, blocks.max(1));
    let next = AtomicUsize::new(0);
    let each = |unpacked: &mut [f32]| {
        loop {
            let first = next.fetch_add(taken, Ordering::Relaxed);
            if first >= tasks {
                return;
            }
            for task in first..tasks.min(first + taken) {
                work.block(&parts[task / blocks], task % blocks, unpacked);
            }
        }
    };
    match dense.weights.scratch() {
        0 if threads == 1 => each(&mut []),
        0 => (0..threads).into_par_iter().for_each(|_| each(&mut [])),
        block => {
            assert!(unpacked.len() >= block, "too little scratch");
            let places = unpacked.chunks_exact_mut(block).take(threads);
            match threads {
                1 => places.for_each(each),
                _ => places.collect::<Vec<_>>().into_par_iter().for_each(each),
            }
        }
    }
}

/// Positions of a part: input that stays in the cache, and at least `least` parts in all.
fn goal(grid: &Grid, channels: usize, positions: usize, pitch: usize, least: usize) -> usize {
    let phases = grid.phases.as_ref().map_or(1, |phases| phases.count());
    let each = (channels * phases * grid.row * size_of::<f32>()).div_ceil(pitch.max(1));
    (CACHED / each.max(1)).min(positions.div_ceil(least.max(1)))
}

impl Work<'_> {
    /// Computes a block of outputs at the positions of a part.
    fn block(&self, part: &[Runs], block: usize, unpacked: &mut [f32]) {
        let Dense { geometry, kernel, weights, scale, shift } = self.dense;
        let first = block * kernel.outputs;
        let weights = weights.block(block, unpacked);
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
                for output in 0..outputs {
                    self.clear(y + output * y_plane, runs.y + i * runs.y_step, runs.own);
                }
            }
        }
    }

    /// Makes the pads among `own` places of a channel 0. They begin at `y` in the output, and at
    /// `place` in the channel.
    fn clear(&self, y: usize, place: usize, own: usize) {
        let [_, width] = self.made;
        let mut pad = place - place % self.pitch + width;
        while pad < place + own {
            let end = (pad + self.pitch - width).min(place + own);
            let start = pad.max(place);
            if start < end {
                // SAFETY: the places are inside of the output, and of no other task.
                unsafe { self.y.0.add(y + start - place).write_bytes(0, end - start) };
            }
            pad += self.pitch;
        }
    }
}
