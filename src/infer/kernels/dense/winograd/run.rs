//! The way of input through a thread's scratch to output.

#![allow(unsafe_code, reason = "threads write to places of one output that are not neighbours")]

use std::ops::Range;
use std::ptr::null;

use super::super::run::{Output, check};
use super::super::tasks::{self, share};
use super::super::tile::Run;
use super::super::{Add, Call, Dense};
use super::shape::{Piece, Shape};
use super::steps::{Rows, Sums};
use super::{KINDS, Own, TAPS, Winograd};
use crate::infer::plane::GUARD;

/// What all tasks of a call have in common.
struct Work<'a> {
    winograd: &'a Winograd,
    dense: &'a Dense,
    shape: Shape,
    /// Input with guards.
    x: &'a [f32],
    /// The first value.
    y: Output,
    add: Add<'a>,
    relu: bool,
}

/// Blocks of outputs.
fn blocks(dense: &Dense) -> usize {
    dense.geometry.output.div_ceil(dense.kernel.outputs)
}

/// Threads that a call may have.
pub(super) fn threads(dense: &Dense, shape: &Shape) -> usize {
    let values: usize = shape.size.iter().product();
    let products = dense.geometry.output * values * 3 * TAPS;
    tasks::threads(products).min((shape.parts() * blocks(dense)).max(1))
}

pub(super) fn run(winograd: &Winograd, dense: &Dense, call: Call<'_>) {
    check(&dense.geometry, &call);
    let Call { x, size, pad, y, add, relu, scratch } = call;
    let shape = Shape::of(size, pad, dense.kernel.positions);
    // SAFETY: the output has guards.
    let y = Output(unsafe { y.as_mut_ptr().add(GUARD) });
    let work = Work { winograd, dense, shape, x, y, add, relu };
    let (tasks, threads) = ([shape.parts(), blocks(dense)], threads(dense, &shape));
    share(tasks, threads, winograd.each(&shape), scratch, |scratch, tasks| {
        let mut own = winograd.own(&shape, scratch);
        let mut transformed = None;
        for [part, block] in tasks {
            if transformed != Some(part) {
                work.transform(part, own.input);
                transformed = Some(part);
            }
            work.block(part, block, &mut own);
        }
    });
}

impl Work<'_> {
    /// Transforms the input of a part, and of one position on each side.
    fn transform(&self, part: usize, to: &mut [f32]) {
        let Shape { size: [channels, mels, _], pitch, .. } = self.shape;
        let (Range { start, end }, plane) = (self.shape.part(part), self.shape.plane());
        assert!(to.len() >= channels * KINDS * plane, "room for transformed input");
        for (channel, to) in to.chunks_exact_mut(KINDS * plane).take(channels).enumerate() {
            let x = &self.x[GUARD + channel * mels * pitch..];
            if start == 0 {
                // In front of the first row are zeros.
                let before = self.shape.place(0, 0) - 1;
                to.iter_mut().skip(before).step_by(plane).for_each(|to| *to = 0.0);
            }
            for Piece { pair, places, at } in self.shape.pieces(start.saturating_sub(1)..end + 1) {
                let row = |i: usize| match (2 * pair + i).checked_sub(1) {
                    Some(row) if row < mels => x[row * pitch + places.start..].as_ptr(),
                    _ => null(),
                };
                let rows = Rows {
                    from: [0, 1, 2, 3].map(row),
                    to: to[self.shape.place(at, start)..].as_mut_ptr(),
                    to_plane: plane,
                    length: places.len(),
                };
                // SAFETY: the input has a tail behind its last row, and planes have room behind
                // their last position, for what whole vectors take. What they write too far is
                // overwritten by the next piece, or read by nobody.
                unsafe { self.winograd.steps.input(&rows) };
            }
        }
    }

    /// Computes a block of outputs at the positions of a part, whose input is transformed.
    fn block(&self, part: usize, block: usize, own: &mut Own<'_>) {
        let (Range { start, end }, first) =
            (self.shape.part(part), block * self.dense.kernel.outputs);
        let outputs = self.dense.kernel.outputs.min(self.dense.geometry.output - first);
        let weights = self.winograd.block(block, own.plain, own.weights);
        for at in (start..end).step_by(self.shape.together) {
            let positions = at..end.min(at + self.shape.together);
            self.sums(start, positions.clone(), outputs, own.input, weights, own.sums);
            self.finish(positions, first, outputs, own.sums);
        }
        self.clear(self.shape.own(part), first, outputs);
    }

    /// The sums of all kinds at some positions of a part that begins at `start`.
    fn sums(
        &self,
        start: usize,
        positions: Range<usize>,
        outputs: usize,
        input: &[f32],
        weights: &[f32],
        sums: &mut [f32],
    ) {
        let (together, plane) = (self.shape.together, self.shape.plane());
        assert!(input.len() >= self.shape.input(), "transformed input");
        let kernel = self.dense.kernel;
        let row = TAPS * kernel.outputs;
        let place = self.shape.place(positions.start, start);
        let kinds = sums.chunks_exact_mut(kernel.outputs * together);
        let weights = weights.chunks_exact(self.winograd.kind_len());
        for (kind, (sums, weights)) in kinds.zip(weights).enumerate() {
            let run = Run {
                // Taps reach in front of it.
                x: input.as_ptr().wrapping_add(kind * plane + place),
                x_plane: KINDS * plane,
                channels: self.winograd.channels,
                taps: &[-1, 0, 1],
                weights: weights.as_ptr(),
                weights_step: row,
                scale: null(),
                shift: null(),
                add: null(),
                relu: false,
                y: sums.as_mut_ptr(),
                y_plane: together,
                outputs,
                length: positions.len(),
            };
            // SAFETY: `Dense` found the level to be there. Planes hold whole vectors of positions,
            // and one more on each side; there is room for the sums of as many positions.
            unsafe { (kernel.run)(&run) };
        }
    }

    /// Makes values of the sums at some positions.
    fn finish(&self, positions: Range<usize>, first: usize, outputs: usize, sums: &[f32]) {
        let Shape { size: [_, mels, frames], pitch, together, .. } = self.shape;
        let Dense { kernel, scale, shift, .. } = self.dense;
        let begin = positions.start;
        for Piece { pair, places, at } in self.shape.pieces(positions) {
            let length = places.end.min(frames).saturating_sub(places.start);
            let y = (first * mels + 2 * pair) * pitch + places.start;
            if length == 0 {
                continue;
            }
            // SAFETY: all places are inside of slices whose lengths were checked, and behind the
            // sums is room for a vector. No other task has these places of the output.
            unsafe {
                let to = self.y.0.add(y);
                let add = match self.add {
                    Add::Of(add) => add.as_ptr().add(GUARD + y),
                    Add::InPlace => to.cast_const(),
                    Add::Nothing => null(),
                };
                self.winograd.steps.output(&Sums {
                    sums: sums.as_ptr().add(at - begin),
                    kind: kernel.outputs * together,
                    plane: together,
                    scale: &scale[first..],
                    shift: &shift[first..],
                    add,
                    relu: self.relu,
                    y: to,
                    y_plane: mels * pitch,
                    y_row: pitch,
                    rows: self.shape.rows(pair),
                    outputs,
                    length,
                });
            }
        }
    }

    /// Writes the zeros behind rows.
    fn clear(&self, own: Range<usize>, first: usize, outputs: usize) {
        let Shape { size: [_, mels, frames], pitch, .. } = self.shape;
        for Piece { pair, places, .. } in self.shape.pieces(own) {
            let pad = places.start.max(frames)..places.end;
            for output in first..first + outputs {
                for row in 2 * pair..2 * pair + self.shape.rows(pair) {
                    // SAFETY: the places are inside of the output, and of no other task.
                    unsafe {
                        let pads = self.y.0.add((output * mels + row) * pitch + pad.start);
                        pads.write_bytes(0, pad.len());
                    }
                }
            }
        }
    }
}
