//! A program at work.

use std::ops::Range;
use std::sync::Arc;

use super::kernels::ops::{self, Source, Target};
use super::kernels::{Add, Call, Dense};
use super::layer::Layer;
use super::lower::{INPUTS, Plain, Step, Work};
use super::plane::{GUARD, Plane, TAIL};
use super::program::{Arena, Program, Slot, image};

impl Slot {
    /// Where it lies, zeros included.
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.plane.buffer()
    }
}

/// The values that a step may read: all but the one that it writes.
struct Others<'a> {
    before: &'a [f32],
    behind: &'a [f32],
    /// Where those behind begin.
    end: usize,
}

impl<'a> Others<'a> {
    fn at(&self, slot: &'a Slot) -> Source<'a> {
        let range = slot.range();
        let values = match range.end <= self.before.len() {
            true => &self.before[range],
            false => &self.behind[range.start - self.end..range.end - self.end],
        };
        Source { values, size: &slot.size, plane: slot.plane }
    }
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

    /// Calls `take` with all of them.
    fn all(&self, take: impl FnOnce(&[Source<'a>])) {
        let mut all = [self.at(0); INPUTS];
        let count = self.places.len();
        (1..count).for_each(|i| all[i] = self.at(i));
        take(&all[..count]);
    }
}

/// Writes the zeros in front of a value and behind it.
fn clear(values: &mut [f32], plane: Plane) {
    values[..GUARD].fill(0.0);
    values[GUARD + plane.len()..].fill(0.0);
}

impl Program {
    /// The embedding of features `[frames, mels]`.
    pub fn run(&self, arena: &mut Arena, features: &[f32]) -> Vec<f32> {
        let (values, scratch) = arena.parts(self);
        self.begin(features, &mut values[self.slots[0].range()]);
        for step in &self.steps {
            self.step(step, values, scratch);
        }
        let output = &self.slots[self.output];
        values[output.start + GUARD..][..output.plane.len()].to_vec()
    }

    /// Writes the input, the image of the features.
    fn begin(&self, features: &[f32], values: &mut [f32]) {
        let plane = self.slots[0].plane;
        clear(values, plane);
        let rows = values[GUARD..][..plane.len()].chunks_exact_mut(plane.pitch);
        for (mel, row) in rows.enumerate() {
            let (frames, zeros) = row.split_at_mut(plane.width);
            let of_mel = features[mel..].iter().step_by(plane.rows);
            frames.iter_mut().zip(of_mel).for_each(|(to, &from)| *to = from);
            zeros.fill(0.0);
        }
    }

    fn step(&self, step: &Step<Arc<Layer>>, values: &mut [f32], scratch: &mut [f32]) {
        let slot = &self.slots[step.output];
        let Range { start, end } = slot.range();
        let (before, rest) = values.split_at_mut(start);
        let (own, behind) = rest.split_at_mut(end - start);
        if !step.in_place {
            clear(own, slot.plane);
        }
        let others = Others { before, behind, end };
        let inputs = Inputs { others, slots: &self.slots, places: &step.inputs };
        let y = Target { values: own, size: &slot.size, plane: slot.plane };
        match (&step.work, step.in_place) {
            (Work::Layer { layer, relu }, in_place) => {
                self.layer(layer, *relu, in_place, &inputs, y, scratch);
            }
            (Work::Plain(plain), true) => self.plain_in_place(plain, &inputs, y),
            (Work::Plain(plain), false) => self.plain(plain, &inputs, y),
        }
    }

    fn layer(
        &self,
        layer: &Layer,
        relu: bool,
        in_place: bool,
        inputs: &Inputs<'_>,
        y: Target<'_>,
        scratch: &mut [f32],
    ) {
        let level = self.level;
        match (layer, in_place) {
            (Layer::Dense(groups), _) => dense(groups, relu, in_place, inputs, y, scratch),
            (Layer::Depthwise(depthwise), _) => {
                let x = inputs.at(0);
                let (size, pad) = (image(x.size), x.plane.pad());
                let add = match (in_place, inputs.places.len()) {
                    (true, _) => Add::InPlace,
                    (false, 1) => Add::Nothing,
                    (false, _) => Add::Of(inputs.at(1).values),
                };
                let (x, y) = (x.values, y.values);
                depthwise.run(Call { x, size, pad, y, add, relu, scratch: &mut [] });
            }
            (Layer::Linear(linear), _) => linear.run(relu, inputs.at(0), y),
            (Layer::Affine { scale, shift }, true) => {
                ops::affine_in_place(level, scale, shift, relu, y);
            }
            (Layer::Affine { scale, shift }, false) => {
                ops::affine(level, scale, shift, relu, inputs.at(0), y);
            }
            (Layer::LayerNorm { weight, bias }, true) => {
                ops::layer_norm_in_place(level, weight, bias, y);
            }
            (Layer::LayerNorm { weight, bias }, false) => {
                ops::layer_norm(level, weight, bias, inputs.at(0), y);
            }
            (Layer::Mix(weights), _) => inputs.all(|all| ops::mix(level, weights, all, y)),
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
            other => unreachable!("{other:?} has a place of its own"),
        }
    }

    fn plain(&self, plain: &Plain, inputs: &Inputs<'_>, y: Target<'_>) {
        let (level, x) = (self.level, inputs.at(0));
        match plain {
            Plain::Map(f) => ops::map(level, *f, x, y),
            Plain::Combine(f) => ops::combine(level, *f, x, inputs.at(1), y),
            Plain::Concat(axis) => inputs.all(|all| ops::concat(*axis, all, y)),
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
        }
    }
}

/// Convolutions of groups of channels, one after another.
fn dense(
    groups: &[Dense],
    relu: bool,
    in_place: bool,
    inputs: &Inputs<'_>,
    y: Target<'_>,
    scratch: &mut [f32],
) {
    let x = inputs.at(0);
    let (count, pad) = (groups.len(), x.plane.pad());
    let [channels, mels, frames] = image(x.size);
    let size = [channels / count, mels, frames];
    let other = (inputs.places.len() > 1 && !in_place).then(|| inputs.at(1).values);
    // The group's rows of a value, with what stands in front of them and behind them.
    let part = |plane: Plane, group: usize| {
        let len = plane.len() / count;
        group * len..group * len + GUARD + len + TAIL
    };
    for (group, dense) in groups.iter().enumerate() {
        let own = part(y.plane, group);
        let add = match other {
            Some(values) => Add::Of(&values[own.clone()]),
            None if in_place => Add::InPlace,
            None => Add::Nothing,
        };
        let (x, y) = (&x.values[part(x.plane, group)], &mut y.values[own]);
        dense.run(Call { x, size, pad, y, add, relu, scratch: &mut *scratch });
    }
}
