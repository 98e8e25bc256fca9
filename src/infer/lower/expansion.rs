//! Expansions that run together with the depthwise convolution behind them; see
//! [`Expansion`](crate::infer::kernels::Expansion).

use super::{Laid, Lowered, Step, Work};
use crate::infer::kernels::fits;
use crate::infer::layer::{Kind, Recipe};
use crate::infer::program::image;

/// Lets each depthwise convolution run in one step with the layer in front of it, where that sees a
/// position alone, nothing else reads what it makes, and nothing is added to it. Does nothing where
/// the utterance is so long that strips of rows would not stay in the cache.
pub(super) fn join(lowered: &mut Lowered) {
    let before = before(lowered);
    let mut is_inside = vec![false; before.len()];
    before.iter().flatten().for_each(|&expansion| is_inside[expansion] = true);
    if !is_inside.contains(&true) {
        return;
    }
    let mut steps: Vec<_> = std::mem::take(&mut lowered.steps).into_iter().map(Some).collect();
    for (i, before) in before.into_iter().enumerate() {
        let Some(step) = steps[i].take_if(|_| !is_inside[i]) else { continue };
        let step = match before.and_then(|expansion| steps[expansion].take()) {
            Some(expansion) => {
                // Nothing lies there any more.
                lowered.buffers[lowered.values[expansion.output].buffer].len = 0;
                joined(expansion, step)
            }
            None => step,
        };
        // Steps have other numbers than before.
        let now = lowered.steps.len();
        let buffer = &mut lowered.buffers[lowered.values[step.output].buffer];
        (buffer.first, buffer.last) = (now, now);
        lowered.steps.push(step);
    }
}

/// The step in front of each step that can run within it.
fn before(lowered: &Lowered) -> Vec<Option<usize>> {
    let Lowered { steps, values, buffers, output } = lowered;
    let (mut views, mut readers) = (vec![0; buffers.len()], vec![0; buffers.len()]);
    values.iter().for_each(|laid| views[laid.buffer] += 1);
    let inputs = steps.iter().flat_map(|step| &step.inputs);
    inputs.chain([output]).for_each(|&value| readers[values[value].buffer] += 1);
    let mut makers = vec![None; values.len()];
    for (i, step) in steps.iter().enumerate() {
        makers[step.output] = Some(i);
    }
    let of = |step: &Step<Recipe>| {
        let [x] = step.inputs[..] else { return None };
        let (expansion, buffer) = (makers[x]?, values[x].buffer);
        let is_alone = views[buffer] == 1 && readers[buffer] == 1;
        (is_alone && can_join(&steps[expansion], step, &values[x])).then_some(expansion)
    };
    steps.iter().map(of).collect()
}

/// Whether a step can run within the one that reads what it makes.
fn can_join(expansion: &Step<Recipe>, depthwise: &Step<Recipe>, between: &Laid) -> bool {
    let (Work::Layer { layer: first, .. }, Work::Layer { layer: second, .. }) =
        (&expansion.work, &depthwise.work)
    else {
        return false;
    };
    let (Kind::Dense(dense), Kind::Depthwise(filters)) = (first.kind, second.kind) else {
        return false;
    };
    let [_, mels, _] = image(&between.size);
    let reach = filters.dilation * (filters.kernel[0] - 1) + 1;
    dense.is_pointwise()
        && dense.groups == 1
        && expansion.inputs.len() == 1
        && filters.output == dense.output
        && fits(mels, between.plane.pitch, reach)
}

fn joined(expansion: Step<Recipe>, depthwise: Step<Recipe>) -> Step<Recipe> {
    let (Work::Layer { layer: first, relu: inner }, Work::Layer { layer: second, relu }) =
        (expansion.work, depthwise.work)
    else {
        unreachable!("both are layers")
    };
    Step {
        work: Work::Expansion { layers: [first, second], relu: [inner, relu] },
        inputs: expansion.inputs,
        output: depthwise.output,
        in_place: false,
    }
}
