//! Steps of convolutions: of groups of channels or parts of the output, one after another.

use std::ops::Range;

use super::{Inputs, Output};
use crate::infer::kernels::{
    Add, Call, Dense, IntAdd, IntCall, IntDense, IntOutput, Level, quantize,
};
use crate::infer::layer::part_of;
use crate::infer::plane::{Form, GUARD, Plane, TAIL};

/// The rows of one of so many equal parts of a value, with what stands in front of them and behind
/// them.
fn part(plane: Plane, i: usize, parts: usize) -> Range<usize> {
    let len = plane.len() / parts;
    i * len..i * len + GUARD + len + TAIL
}

/// Convolutions in floats. Those of one group read the same.
pub(super) fn floats(
    level: Level,
    parts: &[Dense],
    groups: usize,
    relu: bool,
    inputs: &Inputs<'_>,
    output: Output<'_>,
) {
    let Output { y, form, in_place, scratch } = output;
    let x = inputs.at(0);
    let (count, pad) = (parts.len(), x.plane.pad());
    let (size, made) = (part_of(x.size, groups), part_of(y.size, count));
    let other = (inputs.places.len() > 1 && !in_place).then(|| inputs.at(1));
    for (i, dense) in parts.iter().enumerate() {
        let add = match other {
            Some(other) => Add::Of(&other.values[part(other.plane, i, count)]),
            None if in_place => Add::InPlace,
            None => Add::Nothing,
        };
        let x = &x.values[part(x.plane, i % groups, groups)];
        let own = &mut y.values[part(y.plane, i, count)];
        match form {
            Form::Floats => {
                dense.run(Call { x, size, pad, y: own, add, relu, scratch: &mut *scratch });
            }
            Form::Bytes(scale) => {
                let (floats, scratch) = scratch.split_at_mut(Plane::of(&made, pad).buffer());
                dense.run(Call { x, size, pad, y: &mut *floats, add, relu, scratch });
                // What stands in front of a part are the last words of the one before.
                let words: &mut [u32] = bytemuck::cast_slice_mut(own);
                let mut front = [0; GUARD];
                front.copy_from_slice(&words[..GUARD]);
                quantize(level, floats, made, pad, scale, words, pad);
                words[..GUARD].copy_from_slice(&front);
            }
        }
    }
}

/// Convolutions in integers, one for each group.
pub(super) fn integers(groups: &[IntDense], relu: bool, inputs: &Inputs<'_>, output: Output<'_>) {
    let Output { y, form, in_place, scratch } = output;
    let x = inputs.at(0);
    let (count, pad) = (groups.len(), x.plane.pad());
    let size = part_of(x.size, count);
    let other = (inputs.places.len() > 1 && !in_place).then(|| (inputs.at(1), inputs.form(1)));
    let scratch: &mut [u32] = bytemuck::cast_slice_mut(scratch);
    for (i, group) in groups.iter().enumerate() {
        debug_assert_eq!(inputs.form(0), Form::Bytes(group.input()), "a layer's input");
        let add = match other {
            Some((other, form)) => {
                let values = &other.values[part(other.plane, i, count)];
                match form {
                    Form::Floats => IntAdd::Floats(values),
                    Form::Bytes(scale) => IntAdd::Bytes(bytemuck::cast_slice(values), scale),
                }
            }
            None if in_place => IntAdd::InPlace,
            None => IntAdd::Nothing,
        };
        let own = &mut y.values[part(y.plane, i, count)];
        let y = match form {
            Form::Floats => IntOutput::Floats(own),
            Form::Bytes(scale) => IntOutput::Bytes(bytemuck::cast_slice_mut(own), scale),
        };
        let x = bytemuck::cast_slice(&x.values[part(x.plane, i, count)]);
        group.run(IntCall { x, size, pad, y, add, relu, scratch: &mut *scratch });
    }
}
