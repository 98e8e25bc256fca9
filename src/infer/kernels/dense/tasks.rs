//! A convolution's work, shared out among threads: a task is one block of outputs at the positions
//! of one part.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::Geometry;
use super::grid::Grid;
use super::parts::{Runs, Shares};

/// Bytes of a part's input: what stays in a core's second cache, beside weights.
const CACHED: usize = 384 << 10;

/// Multiplications that are worth a second thread.
const WORTH: usize = 1 << 19;

/// All tasks of a call.
pub(in super::super) struct Tasks {
    parts: Vec<Vec<Runs>>,
    blocks: usize,
    threads: usize,
}

impl Tasks {
    /// The tasks for an input of `[channels, rows, frames]` values of four bytes, and tiles of so
    /// many outputs and positions.
    pub fn of(
        geometry: &Geometry,
        grid: &Grid,
        size: [usize; 3],
        pad: usize,
        [outputs, positions]: [usize; 2],
    ) -> Self {
        let [channels, mels, frames] = size;
        let made = geometry.made([mels, frames]);
        let pitch = made[1] + pad;
        let blocks = geometry.output.div_ceil(outputs);
        let products = geometry.output * channels * grid.taps.len() * made[0] * made[1];
        let threads = if products < WORTH { 1 } else { rayon::current_num_threads() };
        let shares = Shares {
            geometry,
            grid,
            mels,
            made,
            pad,
            goal: goal(grid, channels, made[0] * pitch, pitch, (4 * threads).div_ceil(blocks)),
            tile: positions,
        };
        Self { parts: shares.parts(), blocks, threads }
    }

    /// Calls `compute` with the part, the block and a thread's own `each` values of scratch, for
    /// every task. A thread takes blocks of one part as long as there are parts for all.
    ///
    /// # Panics
    /// If there is less scratch than for each thread.
    pub fn run<T: Send>(
        &self,
        each: usize,
        scratch: &mut [T],
        compute: impl Fn(&[Runs], usize, &mut [T]) + Sync,
    ) {
        let Self { parts, blocks, threads } = self;
        let (blocks, threads) = (*blocks, *threads);
        let tasks = parts.len() * blocks;
        let taken = (tasks / (4 * threads)).clamp(1, blocks.max(1));
        let next = AtomicUsize::new(0);
        let take = |scratch: &mut [T]| {
            loop {
                let first = next.fetch_add(taken, Ordering::Relaxed);
                if first >= tasks {
                    return;
                }
                for task in first..tasks.min(first + taken) {
                    compute(&parts[task / blocks], task % blocks, scratch);
                }
            }
        };
        match each {
            0 if threads == 1 => take(&mut []),
            0 => (0..threads).into_par_iter().for_each(|_| take(&mut [])),
            each => {
                assert!(scratch.len() >= each, "too little scratch");
                let places = scratch.chunks_exact_mut(each).take(threads);
                match threads {
                    1 => places.for_each(take),
                    _ => places.collect::<Vec<_>>().into_par_iter().for_each(take),
                }
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
