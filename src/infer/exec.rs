//! A program at work.

mod convolutions;

use std::ops::Range;

use super::kernels::ops::{self, Source, Target};
use super::kernels::{Add, Call, quantize};
use super::layer::{Layer, expansion_of};
use super::lower::{INPUTS, Plain, Work};
use super::plane::{Form, GUARD, Plane};
use super::program::{Arena, Program, Slot, image};
use super::strips::Front;

/// The memory that a step may read: all but what it writes. Pieces with the places where they
/// begin, the first of which is 0.
struct Others<'a>([(usize, &'a [f32]); 3]);

impl<'a> Others<'a> {
    fn at(&self, slot: &'a Slot) -> Source<'a> {
        let Range { start, end } = slot.range();
        let piece = self.0.partition_point(|&(first, _)| first <= start) - 1;
        let (first, all) = self.0[piece];
        Source { values: &all[start - first..end - first], size: &slot.size, plane: slot.plane }
    }
}

/// Memory as a step sees it.
struct Apart<'a> {
    others: Others<'a>,
    own: &'a mut [f32],
    scratch: &'a mut [f32],
}

/// Parts memory into what a step makes, its scratch, and what it may read.
fn apart(values: &mut [f32], own: Range<usize>, scratch: Range<usize>) -> Apart<'_> {
    let is_first = own.start <= scratch.start;
    let (low, high) = if is_first { (&own, &scratch) } else { (&scratch, &own) };
    let (before, rest) = values.split_at_mut(low.start);
    let (first, rest) = rest.split_at_mut(low.len());
    let (between, rest) = rest.split_at_mut(high.start - low.end);
    let (second, behind) = rest.split_at_mut(high.len());
    let others = Others([(0, &*before), (low.end, &*between), (high.end, &*behind)]);
    let (own, scratch) = if is_first { (first, second) } else { (second, first) };
    Apart { others, own, scratch }
}

/// What a step reads.
struct Inputs<'a> {
    others: Others<'a>,
    slots: &'a [Slot],
    places: &'a [usize],
}

impl<'a> Inputs<'a> {
    fn at(&self, i: usize) -> Source<'a> {
        self.others.at(&self.slots[self.places[i]])
    }

    fn form(&self, i: usize) -> Form {
        self.slots[self.places[i]].form
    }

    /// Calls `take` with all of them from the `first` on.
    fn all(&self, first: usize, take: impl FnOnce(&[Source<'a>])) {
        let mut all = [self.at(first); INPUTS];
        let count = self.places.len() - first;
        (1..count).for_each(|i| all[i] = self.at(first + i));
        take(&all[..count]);
    }
}

/// What a step writes.
struct Output<'a> {
    y: Target<'a>,
    form: Form,
    /// Whether it holds an operand before.
    in_place: bool,
    scratch: &'a mut [f32],
}

/// Writes the zeros in front of a value and behind it.
pub(super) fn clear(values: &mut [f32], plane: Plane, form: Form) {
    let zero = match form {
        Form::Floats => 0,
        Form::Bytes(scale) => scale.word(),
    };
    let words: &mut [u32] = bytemuck::cast_slice_mut(values);
    words[..GUARD].fill(zero);
    words[GUARD + plane.len()..].fill(zero);
}

impl Program {
    /// The embedding of features `[frames, mels]`.
    pub fn run(&self, arena: &mut Arena, features: &[f32]) -> Vec<f32> {
        // A thread that is not of the pool would hand over to it, and wait, in each parallel loop.
        rayon::scope(|_| {
            let values = arena.memory(self);
            self.compute(features, values);
            self.end(values)
        })
    }

    /// Runs all steps on features `[frames, mels]`.
    pub(super) fn compute(&self, features: &[f32], values: &mut [f32]) {
        match &self.front {
            None => self.begin(features, values),
            Some(front) => self.begin_in_strips(front, features, values),
        }
        (0..self.steps.len()).for_each(|i| self.step(i, values));
    }

    /// The embedding, when all steps have run.
    pub(super) fn end(&self, values: &[f32]) -> Vec<f32> {
        let output = &self.slots[self.output];
        values[output.start + GUARD..][..output.plane.len()].to_vec()
    }

    /// Writes the input, the image of the features.
    pub(super) fn begin(&self, features: &[f32], values: &mut [f32]) {
        let (values, plane) = (&mut values[self.slots[0].range()], self.slots[0].plane);
        clear(values, plane, Form::Floats);
        let rows = values[GUARD..][..plane.len()].chunks_exact_mut(plane.pitch);
        for (mel, row) in rows.enumerate() {
            let (frames, zeros) = row.split_at_mut(plane.width);
            let of_mel = features[mel..].iter().step_by(plane.rows);
            frames.iter_mut().zip(of_mel).for_each(|(to, &from)| *to = from);
            zeros.fill(0.0);
        }
    }

    /// Writes the input, which a front makes of the features.
    fn begin_in_strips(&self, front: &Front, features: &[f32], values: &mut [f32]) {
        let room = front.start..front.start + front.program.values();
        let input = &self.slots[0];
        let Apart { own, scratch, .. } = apart(values, input.range(), room);
        front.run(features, scratch, own, input.plane);
    }

    /// Runs a step, when those before it have run.
    pub(super) fn step(&self, i: usize, values: &mut [f32]) {
        let step = &self.steps[i];
        let Slot { size, plane, form, .. } = &self.slots[step.output];
        let own = self.slots[step.output].range();
        let Apart { others, own, scratch } = apart(values, own, self.scratch[i].clone());
        if !step.in_place {
            clear(own, *plane, *form);
        }
        let inputs = Inputs { others, slots: &self.slots, places: &step.inputs };
        let y = Target { values: own, size, plane: *plane };
        match (&step.work, step.in_place) {
            (Work::Layer { layer, relu }, in_place) => {
                self.layer(layer, *relu, &inputs, Output { y, form: *form, in_place, scratch });
            }
            (Work::Expansion { layers, relu }, _) => {
                let x = inputs.at(0);
                let (size, pad, add) = (image(x.size), x.plane.pad(), Add::Nothing);
                let (x, y) = (x.values, y.values);
                let call = Call { x, size, pad, y, add, relu: relu[1], scratch };
                expansion_of(layers, *relu).run(call);
            }
            (Work::Plain(plain), true) => self.plain_in_place(plain, &inputs, y),
            (Work::Plain(plain), false) => self.plain(plain, &inputs, y),
        }
    }

    fn layer(&self, layer: &Layer, relu: bool, inputs: &Inputs<'_>, output: Output<'_>) {
        let level = self.level;
        match (layer, output.in_place) {
            (Layer::Dense { parts, groups }, _) => {
                convolutions::floats(level, parts, *groups, relu, inputs, output);
            }
            (Layer::Integers(groups), _) => {
                convolutions::integers(groups, relu, inputs, output);
            }
            (Layer::Depthwise(depthwise), in_place) => {
                let x = inputs.at(0);
                let (size, pad) = (image(x.size), x.plane.pad());
                let add = match (in_place, inputs.places.len()) {
                    (true, _) => Add::InPlace,
                    (false, 1) => Add::Nothing,
                    (false, _) => Add::Of(inputs.at(1).values),
                };
                let (x, y) = (x.values, output.y.values);
                depthwise.run(Call { x, size, pad, y, add, relu, scratch: &mut [] });
            }
            (Layer::Linear(linear), _) => linear.run(relu, inputs.at(0), output.y),
            (Layer::Affine { scale, shift }, true) => {
                ops::affine_in_place(level, scale, shift, relu, output.y);
            }
            (Layer::Affine { scale, shift }, false) => {
                ops::affine(level, scale, shift, relu, inputs.at(0), output.y);
            }
            (Layer::LayerNorm { weight, bias }, true) => {
                ops::layer_norm_in_place(level, weight, bias, output.y);
            }
            (Layer::LayerNorm { weight, bias }, false) => {
                ops::layer_norm(level, weight, bias, inputs.at(0), output.y);
            }
            (Layer::Mix(weights), _) => {
                inputs.all(0, |all| ops::mix(level, weights, all, output.y));
            }
        }
    }

    fn plain_in_place(&self, plain: &Plain, inputs: &Inputs<'_>, y: Target<'_>) {
        let level = self.level;
        match plain {
            Plain::Map(f) => ops::map_in_place(level, *f, y),
            Plain::Snap(bits) => ops::snap_in_place(level, *bits, y),
            Plain::SimAm => ops::simam_in_place(level, y),
            Plain::Combine(f) => ops::combine_in_place(level, *f, y, inputs.at(1)),
            Plain::Shift(bits) => ops::shift_in_place(level, *bits, y, inputs.at(1)),
            Plain::Concat(_) => inputs.all(1, |behind| ops::append(behind, y)),
            other => unreachable!("{other:?} has a place of its own"),
        }
    }

    fn plain(&self, plain: &Plain, inputs: &Inputs<'_>, y: Target<'_>) {
        let (level, x) = (self.level, inputs.at(0));
        match plain {
            Plain::Map(f) => ops::map(level, *f, x, y),
            Plain::Combine(f) => ops::combine(level, *f, x, inputs.at(1), y),
            Plain::Concat(axis) => inputs.all(0, |all| ops::concat(*axis, all, y)),
            Plain::Mean(axes) => ops::mean(level, axes, x, y),
            Plain::Swap => ops::swap(x, y),
            Plain::Segments(frames) => ops::segments(level, *frames, x, y),
            Plain::Spread => ops::spread(x, y),
            Plain::Scores(heads) => ops::scores(level, *heads, x, inputs.at(1), y),
            Plain::Attend(heads) => ops::attend(level, *heads, x, inputs.at(1), y),
            Plain::SimAm => ops::simam(level, x, y),
            Plain::Fit => ops::fit(x, y),
            Plain::Repeat(times) => ops::repeat(*times, x, y),
            Plain::Reshape => ops::reshape(x, y),
            Plain::Pool(kind) => {
                let attention = (inputs.places.len() > 1).then(|| inputs.at(1));
                ops::pool(level, *kind, x, attention, y);
            }
            Plain::Squeeze(squeeze) => ops::squeeze(*squeeze, x, y),
            Plain::Snap(bits) => ops::snap(level, *bits, x, y),
            Plain::Shift(bits) => ops::shift(level, *bits, x, inputs.at(1), y),
            Plain::Quantize(scale) => {
                let (size, pad) = (image(x.size), x.plane.pad());
                let words = bytemuck::cast_slice_mut(y.values);
                quantize(level, x.values, size, pad, *scale, words, y.plane.pad());
            }
        }
    }
}
