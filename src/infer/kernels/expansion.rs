//! The two convolutions in the middle of an inverted bottleneck (MobileNetV2, arXiv 1801.04381) as
//! one: the expansion, which sees a position of all channels, and the depthwise convolution of what
//! it makes.
//!
//! The expanded value, the largest of such a block, is never there as a whole. A thread computes a
//! strip of a few of its rows for a few blocks of channels, and at once the rows of the result that
//! see no later ones. Memory of two strips takes turns, so that the rows above a strip are still
//! there, and none is computed twice. Strips and input stay in the core's second cache.
//!
//! Each value is computed as by the two convolutions one after the other, and has the same bits.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::dense::Block;
use super::ops::{Depthwise, Rows};
use super::{Call, Dense};
use crate::infer::plane::{GUARD, Plane, TAIL};

/// Bytes of the strips that a thread holds, about.
const HELD: usize = 512 << 10;
/// Bytes of input that are read again for each block of channels.
const INPUT: usize = 256 << 10;
/// Most channels of a block at any level.
const CHANNELS: usize = 8;
/// Multiplications that are worth a second thread.
const WORTH: usize = 1 << 19;

/// How the rows of a channel of the expanded value are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Strips {
    /// Rows of a strip.
    rows: usize,
    /// Rows that are held: two strips, or all.
    held: usize,
    /// Row `r` lies in place `r & mask`.
    mask: usize,
}

impl Strips {
    /// Strips of channels of so many rows, each of `row` bytes for all channels of a block, where a
    /// row of the result reaches over `reach` of them.
    fn of(mels: usize, row: usize, reach: usize) -> Self {
        // A row of the result sees a strip and the one above it.
        let least = (reach - 1).next_power_of_two();
        // Eight blocks of channels share what is read.
        let most = HELD / 8 / (2 * row).max(1);
        let rows = if most > least { 1 << most.ilog2() } else { least };
        match mels <= 2 * rows {
            true => Self { rows: mels.max(1), held: mels, mask: usize::MAX },
            false => Self { rows, held: 2 * rows, mask: 2 * rows - 1 },
        }
    }
}

/// Bytes of a row of `pitch` values, of so many channels.
fn bytes(channels: usize, pitch: usize) -> usize {
    channels * pitch * size_of::<f32>()
}

/// Whether strips of rows of `pitch` values are short enough to gain anything: four blocks of
/// channels share what they read. A row of the result reaches over `reach` of `mels` rows.
pub(crate) fn fits(mels: usize, pitch: usize, reach: usize) -> bool {
    let row = bytes(CHANNELS, pitch);
    Strips::of(mels, row, reach).held * row <= HELD / 4
}

/// The two convolutions. The depthwise one has one filter a channel.
pub(crate) struct Expansion<'a> {
    /// The first one, which sees a position alone.
    pub dense: &'a Dense,
    /// Whether its negative results become 0.
    pub relu: bool,
    /// The one behind it.
    pub depthwise: &'a Depthwise,
}

/// What all tasks of a call have in common.
struct Work<'a> {
    expansion: &'a Expansion<'a>,
    x: &'a [f32],
    size: [usize; 3],
    pad: usize,
    relu: bool,
    shape: Shape,
}

/// How the work is parted.
struct Shape {
    strips: Strips,
    /// Values of the memory of a block's strips, with guards.
    ring: usize,
    /// Positions of the input that are computed for one block after the other.
    part: usize,
    /// Blocks of a task.
    blocks: usize,
    threads: usize,
    /// Values of scratch of a thread.
    each: usize,
}

impl Shape {
    fn of(expansion: &Expansion<'_>, [channels, mels, frames]: [usize; 3], pad: usize) -> Self {
        let Expansion { dense, depthwise, .. } = expansion;
        let ([outputs, tile], pitch) = (dense.tile(), frames + pad);
        let row = bytes(outputs, pitch);
        let strips = Strips::of(mels, row, depthwise.reach());
        let products = dense.outputs() * channels * mels * frames;
        let threads = if products < WORTH { 1 } else { rayon::current_num_threads() };
        let all = dense.outputs().div_ceil(outputs).max(1);
        let held = (HELD / (strips.held * row).max(1)).max(1);
        // Tasks of about the same size, two for each thread or more, and as many for each. With
        // fewer threads, no thread wants more scratch than all had together.
        let tasks = all.div_ceil(held).max(all.min(2 * threads)).next_multiple_of(threads);
        let blocks = all.div_ceil(tasks);
        let positions = strips.rows * pitch;
        let parts = positions.div_ceil((INPUT / bytes(channels, 1).max(1)).max(tile)).max(1);
        let part = positions.div_ceil(parts).next_multiple_of(tile);
        let ring = GUARD + outputs * strips.held * pitch + TAIL;
        let each = blocks * ring + dense.unpacked();
        Self { strips, ring, part, blocks, threads, each }
    }
}

impl Expansion<'_> {
    /// Values of scratch that [`run`](Self::run) wants for an input `[channels, rows, frames]`: the
    /// strips and a block of weights of each thread of the pool.
    pub fn scratch(&self, input: [usize; 3], pad: usize) -> usize {
        let Shape { threads, each, .. } = Shape::of(self, input, pad);
        threads * each
    }

    /// What the two convolutions make of the input. Nothing can be added.
    ///
    /// # Panics
    /// If a slice is too short, or the input has other channels.
    pub fn run(&self, call: Call<'_>) {
        let Call { x, size, pad, y, relu, scratch, .. } = call;
        let [_, mels, frames] = size;
        let [rows, width] = self.depthwise.made([mels, frames]);
        let plane = Plane::of(&[self.dense.outputs(), rows, width], pad);
        let work = Work { expansion: self, x, size, pad, relu, shape: Shape::of(self, size, pad) };
        let Shape { blocks, threads, each, .. } = work.shape;
        let channels = blocks * self.dense.tile()[0];
        let own = y[GUARD..][..plane.len()].chunks_mut((channels * rows * plane.pitch).max(1));
        let tasks = Mutex::new(own.enumerate());
        let take = |scratch: &mut [f32]| {
            loop {
                // The lock is held no longer than this statement.
                let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((task, y)) = next else { return };
                work.task(task * blocks, y, [rows, width], scratch);
            }
        };
        assert!(scratch.len() >= each, "too little scratch");
        let places = scratch.chunks_exact_mut(each).take(threads);
        match threads {
            1 => places.for_each(take),
            _ => places.collect::<Vec<_>>().into_par_iter().for_each(take),
        }
    }
}

impl Work<'_> {
    /// Fills the channels of the result whose memory `y` is. They begin with those of a block.
    fn task(&self, first_block: usize, y: &mut [f32], made: [usize; 2], scratch: &mut [f32]) {
        let Self { expansion: Expansion { dense, depthwise, relu }, x, size, pad, .. } = *self;
        let Shape { strips: Strips { rows, held, mask }, ring, part, blocks, .. } = self.shape;
        let ([_, mels, frames], [outputs, _]) = (size, dense.tile());
        let (pitch, y_pitch) = (frames + pad, made[1] + pad);
        let (y_plane, plane) = (made[0] * y_pitch, held * pitch);
        let used = (y.len() / y_plane).div_ceil(outputs);
        let (rings, unpacked) = scratch.split_at_mut(blocks * ring);
        for ring in rings.chunks_exact_mut(ring) {
            // Zeros in front of a channel's first row. Those behind rows come with the rows.
            let firsts = (0..outputs).map(|channel| GUARD + channel * plane);
            firsts.for_each(|first| ring[first - pad..first].fill(0.0));
        }
        let mut done = 0;
        for top in (0..mels).step_by(rows) {
            let end = (top + rows).min(mels);
            let (from, last) = (top * pitch, end * pitch);
            for at in (from..last).step_by(part) {
                for (block, ring) in rings.chunks_exact_mut(ring).take(used).enumerate() {
                    let positions = at..(at + part).min(last);
                    let to = (top & mask) * pitch + at - from;
                    let y_plane = plane;
                    let block_of =
                        Block { x, size, pad, positions, relu: *relu, y: ring, y_plane, to };
                    dense.run_block(first_block + block, block_of, unpacked);
                }
            }
            let ready = if end == mels { made[0] } else { depthwise.ready(end).min(made[0]) };
            for (channel, y) in y.chunks_exact_mut(y_plane).enumerate() {
                let x = &rings[channel / outputs * ring..][..ring];
                let first = GUARD + channel % outputs * plane;
                let seen = Rows { x, first, pitch, mels, mask };
                let y = &mut y[done * y_pitch..ready * y_pitch];
                let output = first_block * outputs + channel;
                depthwise.rows(output, seen, done..ready, self.relu, y, [made[1], y_pitch]);
            }
            done = ready;
        }
    }
}

#[cfg(test)]
mod tests;
