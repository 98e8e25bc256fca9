//! A network's steps for one number of frames, and the memory in which they run.

use std::ops::Range;
use std::sync::Arc;

use super::kernels::Level;
use super::layer::{Layer, Layers, expansion_of};
use super::lower::{Laid, Lowered, Step, Work, joined, lower};
use super::plan::{Interval, LINE, Plan, plan};
use super::plane::{Form, Plane};
use super::strips::{Front, Strip};
use crate::error::Result;
use crate::nn::graph::{Graph, Size};
use crate::quant::Activations;

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
    /// Where the scratch of each step lies.
    pub(super) scratch: Vec<Range<usize>>,
    /// Values of the arena.
    values: usize,
    /// The layers that make the input of the first step. None if that is the features.
    pub(super) front: Option<Box<Front>>,
}

/// Where a value lies in the arena.
pub(super) struct Slot {
    pub size: Size,
    pub plane: Plane,
    pub form: Form,
    /// Where the zeros in front of it begin.
    pub start: usize,
}

impl Slot {
    /// Where it lies, with what is in front of it and behind it.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.plane.buffer()
    }

    /// Its rows in an arena, if it is floats.
    #[cfg(feature = "burn")]
    pub fn rows<'a>(&self, values: &'a [f32]) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let Plane { width, pitch, .. } = self.plane;
        let rows = values[self.start + super::plane::GUARD..][..self.plane.len()]
            .chunks_exact(pitch.max(1));
        rows.map(move |row| &row[..width])
    }
}

impl Program {
    /// The program of a graph whose layers these are. Without `joins`, each layer is a step of its
    /// own; that changes no bit.
    ///
    /// # Errors
    /// An operation that the runtime lacks; a layer that is not among these; ranges of what cannot
    /// compute in integers.
    pub fn new(
        graph: &Graph,
        layers: &Layers,
        level: Level,
        activations: Option<&Activations>,
        joins: bool,
    ) -> Result<Self> {
        let lowered = match activations {
            None if joins => joined(graph)?,
            _ => lower(graph, activations)?,
        };
        let frames = graph.input.last().copied().unwrap_or(0);
        Self::laid(lowered, frames, None, layers, level)
    }

    /// The program of a graph whose input a front makes, strip by strip. `frames` are those of the
    /// utterance. All computes in floats.
    ///
    /// # Errors
    /// Those of [`Program::new`].
    pub fn behind(
        front: (Self, Vec<Strip>),
        frames: usize,
        graph: &Graph,
        layers: &Layers,
        level: Level,
    ) -> Result<Self> {
        Self::laid(joined(graph)?, frames, Some(front), layers, level)
    }

    /// The program of these steps.
    fn laid(
        lowered: Lowered,
        frames: usize,
        front: Option<(Self, Vec<Strip>)>,
        layers: &Layers,
        level: Level,
    ) -> Result<Self> {
        let Lowered { steps: lowered, values, mut buffers, output } = lowered;
        // The front is a step before all others. Of their values, it makes the input.
        let before = usize::from(front.is_some());
        for (i, buffer) in buffers.iter_mut().enumerate() {
            buffer.first += if i == values[0].buffer { 0 } else { before };
            buffer.last += before;
        }
        let room = buffers.len();
        if let Some((front, _)) = &front {
            buffers.push(Interval { first: 0, last: 0, len: front.values });
        }
        let (mut steps, mut rooms) = (Vec::with_capacity(lowered.len()), Vec::new());
        for (now, Step { work, inputs, output, in_place }) in (before..).zip(lowered) {
            let (x, y) = (&values[inputs[0]], &values[output]);
            let (work, len) = match work {
                Work::Layer { layer, relu } => {
                    let layer = layers.get(&layer)?;
                    let len = layer.scratch(x, y);
                    (Work::Layer { layer, relu }, len)
                }
                Work::Expansion { layers: [expansion, depthwise], relu } => {
                    let both = [layers.get(&expansion)?, layers.get(&depthwise)?];
                    let len = expansion_of(&both, relu).scratch(image(&x.size), x.plane.pad());
                    (Work::Expansion { layers: both, relu }, len)
                }
                Work::Plain(plain) => (Work::Plain(plain), 0),
            };
            // Scratch lies among the values, where nothing else is at its time.
            rooms.push((len > 0).then_some(buffers.len()));
            if len > 0 {
                buffers.push(Interval { first: now, last: now, len });
            }
            steps.push(Step { work, inputs, output, in_place });
        }
        let Plan { starts, len } = plan(&buffers);
        let slot = |Laid { size, plane, form, buffer, offset }| {
            let start = starts[buffer] + offset;
            Slot { size, plane, form, start }
        };
        let slots = values.into_iter().map(slot).collect();
        let place = |buffer: usize| starts[buffer]..starts[buffer] + buffers[buffer].len;
        let scratch = rooms.into_iter().map(|room| room.map_or(len..len, place)).collect();
        let front =
            front.map(|(program, strips)| Box::new(Front { program, start: starts[room], strips }));
        Ok(Self { frames, level, steps, slots, output, scratch, values: len, front })
    }

    /// A program's own part of the memory of one that it is the front of.
    pub fn values(&self) -> usize {
        self.values
    }

    /// Values of an arena that is just large enough.
    fn arena(&self) -> usize {
        // The allocator's alignment is that of a single value.
        LINE + self.values
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

    /// Memory for a program's values and scratch, which begins at a cache line. What is in it is
    /// left from other runs.
    pub fn memory(&mut self, program: &Program) -> &mut [f32] {
        if self.0.len() < program.arena() {
            // The old memory goes back before new memory is taken.
            self.0 = Vec::new();
            self.0 = vec![0.0; program.arena()];
        }
        let first = self.0.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        &mut self.0[first..][..program.values]
    }
}
