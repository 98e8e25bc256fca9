//! A convolution's way from input to output, on all threads.

#![allow(unsafe_code, reason = "threads write to places of one output that are not neighbours")]

use super::super::dense::grid::Grid;
use super::super::dense::parts::Runs;
use super::super::dense::tasks::Tasks;
use super::kernel::{Kernel, Run};
use super::{IntAdd, IntCall, IntDense, IntOutput};
use crate::infer::plane::{Form, GUARD, Plane};

/// Words that threads share.
#[derive(Clone, Copy)]
struct Words(*mut u32);

// SAFETY: every place of the output is in one task's runs only; what is added is either read only,
// or the same place.
unsafe impl Sync for Words {}

/// What all tasks of a call have in common.
struct Work<'a> {
    dense: &'a IntDense,
    grid: &'a Grid,
    /// Input with guards, or its phases.
    x: &'a [u32],
    /// The first word, and how the output lies.
    y: Words,
    form: Form,
    /// The same of what is added.
    add: Option<(Words, Form)>,
    relu: bool,
    /// Rows and frames of the output, and words from a row to the next one.
    made: [usize; 2],
    pitch: usize,
}

pub(super) fn run(dense: &IntDense, call: IntCall<'_>) {
    let IntCall { x, size, pad, y, add, relu, scratch } = call;
    let geometry = &dense.geometry;
    let [channels, mels, frames] = size;
    assert_eq!(channels, geometry.input, "channels");
    assert!(geometry.padding[1] <= pad.min(GUARD), "{pad} zeros behind rows are too few");
    let size = [channels.div_ceil(4), mels, frames];
    let made = geometry.made([mels, frames]);
    let pitch = made[1] + pad;
    assert!(x.len() >= Plane::of(&size, pad).buffer(), "input without guards");
    let first = |words: *mut u32, count: usize, form: Form| {
        let plane = form.plane(&[geometry.output, made[0], made[1]], pad);
        assert!(count >= plane.buffer(), "values without guards");
        // SAFETY: there are guards.
        (Words(unsafe { words.add(GUARD) }), form)
    };
    let (y, form) = match y {
        IntOutput::Floats(y) => first(y.as_mut_ptr().cast(), y.len(), Form::Floats),
        IntOutput::Bytes(y, scale) => first(y.as_mut_ptr(), y.len(), Form::Bytes(scale)),
    };
    let add = match add {
        IntAdd::Nothing => None,
        IntAdd::Floats(add) => Some(first(add.as_ptr().cast_mut().cast(), add.len(), Form::Floats)),
        IntAdd::Bytes(add, scale) => {
            Some(first(add.as_ptr().cast_mut(), add.len(), Form::Bytes(scale)))
        }
        IntAdd::InPlace => Some((y, form)),
    };

    let grid = Grid::of(geometry, size, pad);
    let (copies, unpacked) = scratch.split_at_mut(grid.scratch());
    let x = match &grid.phases {
        Some(phases) => {
            phases.fill(x, dense.input.word(), copies);
            copies
        }
        None => x,
    };
    let Kernel { outputs, positions, .. } = *dense.kernel;
    let tasks = Tasks::of(geometry, &grid, size, pad, [outputs, positions]);
    let work = Work { dense, grid: &grid, x, y, form, add, relu, made, pitch };
    tasks.run(dense.weights.scratch(), unpacked, |part, block, unpacked| {
        work.block(part, block, unpacked);
    });
}

/// Channels of a word.
fn channels(form: Form) -> usize {
    match form {
        Form::Floats => 1,
        Form::Bytes(_) => 4,
    }
}

impl Work<'_> {
    /// Computes a block of outputs at the positions of a part.
    fn block(&self, part: &[Runs], block: usize, unpacked: &mut [u32]) {
        let IntDense { kernel, weights, scale, shift, .. } = self.dense;
        let words = weights.block(block, unpacked);
        let each = if kernel.wide { 2 * kernel.outputs } else { kernel.outputs };
        let first = block * kernel.outputs;
        let outputs = kernel.outputs.min(self.dense.geometry.output - first);
        let y_plane = self.made[0] * self.pitch;
        let all_taps = self.grid.taps.len();
        let (rounding, zero) = match self.form {
            Form::Floats => (None, 0),
            Form::Bytes(scale) => (Some(scale.rounding()), scale.word()),
        };
        for runs in part {
            let start = weights.start(block, runs.taps.clone(), all_taps);
            for i in 0..runs.count {
                let (x, y) = (runs.x + i * runs.x_step, runs.y + i * runs.y_step);
                let place = |form: Form| first / channels(form) * y_plane + y;
                // SAFETY: all places are inside of slices whose lengths were checked: the input's
                // zeros and guards take up what taps and whole tiles reach beyond its rows.
                let run = unsafe {
                    Run {
                        x: self.x.as_ptr().wrapping_add(GUARD + x),
                        x_plane: self.grid.plane,
                        planes: self.dense.geometry.input.div_ceil(4),
                        taps: &self.grid.taps[runs.taps.clone()],
                        weights: words.as_ptr().add(runs.taps.start * each),
                        weights_step: all_taps * each,
                        start,
                        scale: scale.as_ptr().add(first),
                        shift: shift.as_ptr().add(first),
                        add: self
                            .add
                            .map(|(add, form)| (add.0.add(place(form)).cast_const(), form)),
                        relu: self.relu,
                        y: self.y.0.add(place(self.form)),
                        rounding,
                        y_plane,
                        outputs,
                        length: runs.length,
                    }
                };
                // SAFETY: the kernel is of a level that is there. No other task has these places of
                // the output.
                unsafe { (kernel.run)(&run) };
                let planes = outputs.div_ceil(channels(self.form));
                for pad in runs.pads(i, self.made[1], self.pitch) {
                    for plane in 0..planes {
                        let at = place(self.form) - y + plane * y_plane + pad.start;
                        // SAFETY: the places are inside of the output, and of no other task.
                        let pads =
                            unsafe { std::slice::from_raw_parts_mut(self.y.0.add(at), pad.len()) };
                        pads.fill(zero);
                    }
                }
            }
        }
    }
}
