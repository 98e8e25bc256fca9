//! Results that take the place of operands which nobody reads any more.

use super::{Laid, Lowered, Plain, Step, Work};
use crate::infer::layer::{Kind, Recipe};
use crate::infer::plane::{Form, Plane};
use crate::nn::Combine;

/// Lets results take the place of operands where the operation can work in place, and sets the
/// lifetimes of buffers.
pub(super) fn reuse(lowered: &mut Lowered) {
    let Lowered { steps, values, buffers, output } = lowered;
    for (i, step) in steps.iter().enumerate() {
        step.inputs.iter().for_each(|&input| buffers[values[input].buffer].last = i);
    }
    buffers[values[*output].buffer].last = steps.len();
    // The buffer that each one has become a part of.
    let mut place: Vec<usize> = (0..buffers.len()).collect();
    for (i, step) in steps.iter_mut().enumerate() {
        let made = &values[step.output];
        let Some(from) = operands(step, values).into_iter().find(|&operand| {
            let value = &values[step.inputs[operand]];
            let buffer = place[value.buffer];
            let is_whole = value.offset == 0 && buffers[buffer].len == value.plane.buffer();
            let mut others = step.inputs.iter().enumerate().filter(|&(j, _)| j != operand);
            (value.plane == made.plane || is_extended(step, values))
                && value.form == made.form
                && is_whole
                && buffers[buffer].last == i
                && others.all(|(_, &other)| place[values[other].buffer] != buffer)
        }) else {
            continue;
        };
        let (old, new) = (place[values[step.inputs[from]].buffer], made.buffer);
        place[new] = old;
        buffers[old].last = buffers[new].last;
        buffers[old].len = buffers[new].len;
        step.in_place = true;
        if let Work::Plain(Plain::Combine(_)) = step.work {
            step.inputs.swap(0, from);
        }
    }
    let kept: Vec<usize> = (0..buffers.len()).filter(|&buffer| place[buffer] == buffer).collect();
    for value in values.iter_mut() {
        value.buffer = kept.partition_point(|&buffer| buffer < place[value.buffer]);
    }
    *buffers = kept.into_iter().map(|buffer| buffers[buffer]).collect();
}

/// Whether a step writes more rows behind those of its first input. In a network of dense blocks
/// (CAM++) each layer does, and the first rows need not be copied for each.
fn is_extended(step: &Step<Recipe>, values: &[Laid]) -> bool {
    let made = &values[step.output];
    let fits = |&input: &usize| {
        let Laid { plane, form, .. } = &values[input];
        let of_rows = |plane: &Plane| (plane.width, plane.pitch);
        of_rows(plane) == of_rows(&made.plane) && *form == made.form
    };
    matches!(step.work, Work::Plain(Plain::Concat(0)))
        && made.size.len() > 1
        && made.form == Form::Floats
        && step.inputs.iter().all(fits)
}

/// The operands whose place the result of a step may take, the best one first.
fn operands(step: &Step<Recipe>, values: &[Laid]) -> Vec<usize> {
    match &step.work {
        Work::Layer { layer, .. } => match layer.kind {
            Kind::Affine | Kind::LayerNorm => vec![0],
            // The sum's other operand.
            Kind::Dense(_) | Kind::Depthwise(_) if step.inputs.len() > 1 => vec![1],
            Kind::Dense(_) | Kind::Depthwise(_) | Kind::Linear { .. } | Kind::Mix(_) => vec![],
        },
        Work::Plain(Plain::Map(_) | Plain::Snap(_) | Plain::Shift(_) | Plain::SimAm) => vec![0],
        Work::Plain(Plain::Combine(f)) => {
            let [x, y] = [0, 1].map(|i| &values[step.inputs[i]].size);
            if *f == Combine::Subtract || x != y { vec![0] } else { vec![0, 1] }
        }
        Work::Plain(Plain::Concat(0)) if is_extended(step, values) => vec![0],
        Work::Expansion { .. } | Work::Plain(_) => vec![],
    }
}
