//! Which layers compute in integers, which values are bytes, and where floats become bytes.
//!
//! A layer with ranges reads bytes. What it reads is in bytes alone if a convolution makes it, and
//! everything that reads it takes bytes of one scale; otherwise a step of its own makes bytes of
//! the floats. No layer depends on this choice, which may be another one for another length.

use std::collections::{HashMap, HashSet};

use super::{Laid, Lowered, Plain, Step, Work};
use crate::error::{Error, Result};
use crate::infer::kernels::Scale;
use crate::infer::layer::{Numbers, Recipe};
use crate::infer::plan::Interval;
use crate::infer::plane::Form;
use crate::nn::graph::Graph;
use crate::quant::{Activations, Ranges};

/// Lets the layers that have ranges compute in integers.
///
/// # Errors
/// Ranges of what cannot compute in integers.
pub(super) fn integers(
    lowered: &mut Lowered,
    graph: &Graph,
    activations: &Activations,
) -> Result<()> {
    let ranges = ranges(lowered, graph, activations)?;
    let forms = forms(lowered, &ranges);
    for (laid, form) in lowered.values.iter_mut().zip(forms) {
        if let Form::Bytes(_) = form {
            // Nothing else lies in its buffer.
            (laid.form, laid.plane) = (form, form.plane(&laid.size, laid.plane.pad()));
            lowered.buffers[laid.buffer].len = laid.plane.buffer();
        }
    }
    let (steps, mut twins) = (std::mem::take(&mut lowered.steps), HashMap::new());
    for (mut step, ranges) in steps.into_iter().zip(ranges) {
        if let Some(ranges) = ranges {
            let (x, scale) = (step.inputs[0], Scale::of(ranges.input));
            if lowered.values[x].form == Form::Floats {
                let key = (x, scale.step.to_bits(), scale.zero);
                let twin = twins.entry(key).or_insert_with(|| quantized(lowered, x, scale));
                step.inputs[0] = *twin;
            }
        }
        let output = &lowered.values[step.output];
        if let Work::Layer { layer, .. } = &mut step.work {
            layer.numbers = match (ranges, output.form, layer.parts()) {
                (Some(ranges), ..) => Numbers::Bytes(Scale::of(ranges.input)),
                (None, Form::Bytes(_), Some(parts)) => Numbers::Parts(parts),
                (None, ..) => Numbers::Floats,
            };
        }
        // Steps have other numbers than before.
        let (now, buffer) = (lowered.steps.len(), &mut lowered.buffers[output.buffer]);
        (buffer.first, buffer.last) = (now, now);
        lowered.steps.push(step);
    }
    Ok(())
}

/// The ranges of each step that computes in integers.
fn ranges(
    lowered: &Lowered,
    graph: &Graph,
    activations: &Activations,
) -> Result<Vec<Option<Ranges>>> {
    let mut found = HashSet::new();
    let of = |step: &Step<Recipe>| {
        let Work::Layer { layer, .. } = &step.work else { return None };
        let name = layer.name(graph).filter(|_| layer.takes_bytes())?;
        let ranges = activations.layers.get(name).copied();
        found.extend(ranges.map(|_| name));
        ranges
    };
    let ranges = lowered.steps.iter().map(of).collect();
    match activations.layers.keys().find(|name| !found.contains(name.as_str())) {
        None => Ok(ranges),
        Some(name) => Err(Error::Invalid(format!(
            "the model has ranges of activations for `{name}`, which cannot compute in integers"
        ))),
    }
}

/// What reads a value.
#[derive(Clone, Default)]
struct Readers {
    /// Whether anything takes floats alone.
    floats: bool,
    /// The scales of the layers that convolve it.
    scales: Vec<Scale>,
    /// Whether a layer adds it, of any scale.
    sums: bool,
}

/// The form of each value that a step makes.
fn forms(lowered: &Lowered, ranges: &[Option<Ranges>]) -> Vec<Form> {
    let mut readers = vec![Readers::default(); lowered.values.len()];
    readers[lowered.output].floats = true;
    for (step, ranges) in lowered.steps.iter().zip(ranges) {
        for (place, &input) in step.inputs.iter().enumerate() {
            match (ranges, place) {
                (Some(ranges), 0) => readers[input].scales.push(Scale::of(ranges.input)),
                (Some(_), _) => readers[input].sums = true,
                (None, _) => readers[input].floats = true,
            }
        }
    }
    let mut views = vec![0; lowered.buffers.len()];
    lowered.values.iter().for_each(|laid| views[laid.buffer] += 1);
    let mut forms = vec![Form::Floats; lowered.values.len()];
    for (step, ranges) in lowered.steps.iter().zip(ranges) {
        let is_alone = views[lowered.values[step.output].buffer] == 1;
        let parts = match &step.work {
            Work::Layer { layer, .. } => layer.parts(),
            Work::Expansion { .. } | Work::Plain(_) => None,
        };
        let readers = &readers[step.output];
        let scale = match readers.scales[..] {
            [scale, ref rest @ ..] if rest.iter().all(|other| *other == scale) => Some(scale),
            [] if readers.sums => ranges.map(|ranges| Scale::of(ranges.output)),
            _ => None,
        };
        if let Some(scale) = scale
            && is_alone
            && !readers.floats
            && (ranges.is_some() || parts.is_some())
        {
            forms[step.output] = Form::Bytes(scale);
        }
    }
    forms
}

/// Adds a step that makes bytes of a value.
fn quantized(lowered: &mut Lowered, x: usize, scale: Scale) -> usize {
    let (form, now, output) = (Form::Bytes(scale), lowered.steps.len(), lowered.values.len());
    let Laid { size, plane, .. } = lowered.values[x].clone();
    let (plane, buffer) = (form.plane(&size, plane.pad()), lowered.buffers.len());
    lowered.buffers.push(Interval { first: now, last: now, len: plane.buffer() });
    lowered.values.push(Laid { size, plane, form, buffer, offset: 0 });
    let (work, inputs) = (Work::Plain(Plain::Quantize(scale)), vec![x]);
    lowered.steps.push(Step { work, inputs, output, in_place: false });
    output
}
