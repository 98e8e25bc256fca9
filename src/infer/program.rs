//! A network's steps for one number of frames, and the memory in which they run.

use std::sync::Arc;

use super::kernels::Level;
use super::layer::{Layer, Layers};
use super::lower::{Laid, Step, Work, lower};
use super::plan::{LINE, Plan, plan};
use super::plane::Plane;
use crate::error::Result;
use crate::nn::graph::{Graph, Size};

/// Steps, and where their values lie.
pub(super) struct Program {
    /// Frames of the utterance.
    pub frames: usize,
    pub(super) level: Level,
    pub(super) steps: Vec<Step<Arc<Layer>>>,
    /// The first one is the input.
    pub(super) slots: Vec<Slot>,
    /// The embedding's slot.
    pub(super) output: usize,
    /// Values of all slots.
    values: usize,
    /// Values of scratch that the steps want, each at its time.
    scratch: usize,
}

/// Where a value lies in the arena.
pub(super) struct Slot {
    pub size: Size,
    pub plane: Plane,
    /// Where the zeros in front of it begin.
    pub start: usize,
}

impl Program {
    /// The program of a graph.
    ///
    /// # Errors
    /// An operation that the runtime lacks; a layer that is not among these.
    pub fn new(graph: &Graph, layers: &Layers, level: Level) -> Result<Self> {
        let lowered = lower(graph)?;
        let Plan { starts, len } = plan(&lowered.buffers);
        let slot = |laid: Laid| {
            let start = starts[laid.buffer] + laid.offset;
            Slot { size: laid.size, plane: laid.plane, start }
        };
        let slots: Vec<Slot> = lowered.values.into_iter().map(slot).collect();
        let (mut steps, mut scratch) = (Vec::with_capacity(lowered.steps.len()), 0);
        for Step { work, inputs, output, in_place } in lowered.steps {
            let work = match work {
                Work::Layer { layer, relu } => {
                    let (layer, x) = (layers.get(&layer)?, &slots[inputs[0]]);
                    scratch = layer.scratch(image(&x.size), x.plane.pad()).max(scratch);
                    Work::Layer { layer, relu }
                }
                Work::Plain(plain) => Work::Plain(plain),
            };
            steps.push(Step { work, inputs, output, in_place });
        }
        let frames = graph.input.last().copied().unwrap_or(0);
        Ok(Self { frames, level, steps, slots, output: lowered.output, values: len, scratch })
    }

    /// Values of an arena that is just large enough.
    fn arena(&self) -> usize {
        // The allocator's alignment is that of a single value.
        LINE + self.values + self.scratch
    }

    /// Bytes of an arena that is just large enough.
    pub fn arena_bytes(&self) -> usize {
        self.arena() * size_of::<f32>()
    }
}

/// A size as that of an image: `[channels, frames]` has one mel, `[values]` one mel and one frame.
pub(super) fn image(size: &[usize]) -> [usize; 3] {
    match *size {
        [channels, mels, frames] => [channels, mels, frames],
        [channels, frames] => [channels, 1, frames],
        _ => [size.iter().product(), 1, 1],
    }
}

/// Memory for one run at a time, of any program.
#[derive(Default)]
pub(super) struct Arena(Vec<f32>);

impl Arena {
    /// Bytes that it holds.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<f32>()
    }

    /// Memory for a program's values, which begins at a cache line, and for its scratch. What is in
    /// it is left from other runs.
    pub fn parts(&mut self, program: &Program) -> (&mut [f32], &mut [f32]) {
        if self.0.len() < program.arena() {
            // The old memory goes back before new memory is taken.
            self.0 = Vec::new();
            self.0 = vec![0.0; program.arena()];
        }
        let first = self.0.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        let (values, rest) = self.0[first..].split_at_mut(program.values);
        (values, &mut rest[..program.scratch])
    }
}
