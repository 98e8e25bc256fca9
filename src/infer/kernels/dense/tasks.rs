//! A convolution's work, shared out among threads: a task is one block of outputs at the positions
//! of one part.

use std::iter;
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
        let threads = threads(products);
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
    /// every task.
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
        share([parts.len(), *blocks], *threads, each, scratch, |scratch, tasks| {
            for [part, block] in tasks {
                compute(&parts[part], block, scratch);
            }
        });
    }
}

/// As many threads as that many multiplications are worth.
pub(super) fn threads(products: usize) -> usize {
    if products < WORTH { 1 } else { rayon::current_num_threads() }
}

/// Calls `work` on so many threads at most, with `each` values of scratch that are the thread's own
/// and the tasks that fall to it: so many parts times so many blocks, all blocks of a part before
/// those of the next one. A thread takes blocks of one part as long as there are parts for all.
///
/// # Panics
/// If there is less scratch than for one thread.
pub(super) fn share<T: Send>(
    [parts, blocks]: [usize; 2],
    threads: usize,
    each: usize,
    scratch: &mut [T],
    work: impl Fn(&mut [T], &mut dyn Iterator<Item = [usize; 2]>) + Sync,
) {
    let tasks = parts * blocks;
    let taken = (tasks / (4 * threads)).clamp(1, blocks.max(1));
    let next = AtomicUsize::new(0);
    let start = |scratch: &mut [T]| {
        let takes = iter::from_fn(|| {
            let first = next.fetch_add(taken, Ordering::Relaxed);
            if first < tasks { Some(first..tasks.min(first + taken)) } else { None }
        });
        work(scratch, &mut takes.flatten().map(|task| [task / blocks, task % blocks]));
    };
    match each {
        0 if threads == 1 => start(&mut []),
        0 => (0..threads).into_par_iter().for_each(|_| start(&mut [])),
        each => {
            assert!(scratch.len() >= each, "too little scratch");
            let places = scratch.chunks_exact_mut(each).take(threads);
            match threads {
                1 => places.for_each(start),
                _ => places.collect::<Vec<_>>().into_par_iter().for_each(start),
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
