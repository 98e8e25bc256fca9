//! Ranges of activations from a few utterances, and the layers that stay in f32 for what they would
//! cost in integers.
//!
//! A pass in f32 over all utterances finds the largest values that layers read and make, a second
//! one their histograms, which give the ranges. Then embeddings are computed in integers, and
//! compared with those in f32.

mod histogram;
mod judge;
mod names;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::layer::{Layer, Recipe};
use super::lower::{Work, lower};
use super::program::Arena;
use super::runtime::Runtime;
use crate::error::{Error, Result};
use crate::inference::Features;
use crate::model_file::Model;
use crate::nn::graph::Graph;
use crate::quant::{Activations, RangeMethod, Ranges};
use histogram::{Histogram, Peaks};
use judge::{Distance, Judge};
pub(super) use names::candidates;

/// Utterances by which the cost of one layer is measured: the first ones, at most so many.
const ALONE: usize = 8;

/// What calibration found.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The ranges of the layers that compute in integers; none if no layer is left.
    pub activations: Activations,
    /// The cosine distance of embeddings in integers to those in f32, the mean over all utterances.
    pub cosine_distance: f64,
    /// The utterance, from 0, whose embedding is furthest from its own in f32, and its distance.
    pub largest: (usize, f64),
    /// The layers that could compute in integers and stay in f32.
    pub floats: Vec<FloatLayer>,
}

/// A layer that stays in f32 by choice.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatLayer {
    /// The name of its weights.
    pub name: String,
    /// The mean cosine distance with this layer alone in integers, over 8 utterances at most.
    pub cost: f64,
}

/// Which layers stay in f32, of those that could compute in integers. These are the convolutions
/// whose channels, of each group, are multiples of 4; but not the network's first one, those of the
/// pooling, and what computes with one vector for an utterance, as the last layer does.
#[derive(Debug, Clone, PartialEq)]
pub enum Floats {
    /// None, if the mean cosine distance of all embeddings is no larger than the limit then.
    /// Otherwise each layer's cost alone is measured, and the costliest stay, as few as bisection
    /// finds to be enough.
    Auto {
        /// The largest mean cosine distance.
        limit: f64,
    },
    /// None.
    None,
    /// Those with weights of these names.
    Named(Vec<String>),
}

/// Finds the ranges of a model's activations in utterances. Ranges that its header has do not
/// matter. The result does not depend on the number of threads.
///
/// `progress` hears how many passes over an utterance are done, and how many there can be at most.
///
/// # Errors
/// No utterance, and those of [`Runtime::embed`]; a name of no layer that could compute in
/// integers; a layer that reads or makes nothing but zeros, or values that are not finite; an
/// embedding without direction; those of [`Runtime::of`].
pub fn calibrate(
    model: &Model,
    features: &[Features],
    method: RangeMethod,
    floats: &Floats,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Calibration> {
    if features.is_empty() {
        return Err(Error::invalid("calibration needs one utterance or more"));
    }
    let graph = model.header.arch.layout()?;
    let lowered = lower(&graph, None)?;
    let layers = candidates(&graph, &lowered);
    let all: Vec<&str> = layers.iter().filter_map(|layer| layer.name(&graph)).collect();
    let (count, few) = (features.len(), features.len().min(ALONE));
    let measured = match floats {
        Floats::None => 0,
        Floats::Named(named) => {
            names::check(named, &all)?;
            named.len() * few
        }
        // Bisection halves what is left.
        Floats::Auto { .. } => {
            all.len() * few + count * all.len().next_power_of_two().ilog2() as usize
        }
    };
    let mut passes = Passes { done: 0, all: 3 * count + measured, progress };
    let (wanted, ranges) = observe(model, &graph, &layers, features, method, &mut passes)?;
    let mut judge = Judge { model, features, method, wanted, ranges, passes };
    let (integers, floats, distance) = match floats {
        Floats::None => (all.clone(), Vec::new(), judge.distance(&all, count)?),
        Floats::Named(named) => {
            let is_named = |name: &&str| named.iter().any(|other| other == name);
            let (floats, integers): (Vec<&str>, _) = all.iter().copied().partition(is_named);
            let distance = judge.distance(&integers, count)?;
            (integers, judge.alone(&floats)?, distance)
        }
        Floats::Auto { limit } => judge.within(&all, *limit)?,
    };
    let Distance { mean: cosine_distance, largest } = distance;
    let activations = judge.activations(&integers);
    Ok(Calibration { activations, cosine_distance, largest, floats })
}

/// Passes over an utterance.
struct Passes<'a> {
    done: usize,
    all: usize,
    progress: &'a mut dyn FnMut(usize, usize),
}

impl Passes<'_> {
    fn add(&mut self) {
        self.done += 1;
        (self.progress)(self.done, self.all);
    }
}

/// Embeddings in f32, and the ranges of layers by name.
type Observed = (Vec<Vec<f32>>, BTreeMap<String, Ranges>);

/// What these layers read and make.
fn observe(
    model: &Model,
    graph: &Graph,
    layers: &[&Recipe],
    features: &[Features],
    method: RangeMethod,
    passes: &mut Passes<'_>,
) -> Result<Observed> {
    let runtime = Runtime::floats_of(model)?.step_by_step();
    let mut places = HashMap::new();
    for (place, layer) in layers.iter().enumerate() {
        places.insert(Arc::as_ptr(&runtime.layers.get(layer)?), place);
    }
    let watcher = Watcher { runtime, places };
    let mut peaks = vec![[Peaks::default(); 2]; layers.len()];
    let mut embeddings = Vec::with_capacity(features.len());
    for utterance in features {
        let see = &mut |place: usize, side: usize, row: &[f32]| peaks[place][side].see(row);
        embeddings.push(watcher.watch(utterance, see)?);
        passes.add();
    }
    let mut histograms = Vec::with_capacity(layers.len());
    for (layer, peaks) in layers.iter().zip(peaks) {
        let name = layer.name(graph).unwrap_or_default();
        let of = |peaks: Peaks, does: &str| {
            let wrong =
                |what: &str| Error::Undefined(format!("the layer of `{name}` {does} {what}"));
            Histogram::new(peaks).map_err(wrong)
        };
        let [input, output] = peaks;
        histograms.push([of(input, "reads")?, of(output, "makes")?]);
    }
    let is_aimless = |x: &Vec<f32>| !x.iter().all(|x| x.is_finite()) || x.iter().all(|&x| x == 0.0);
    if let Some(number) = embeddings.iter().position(is_aimless) {
        return Err(Error::Undefined(format!(
            "the embedding of utterance {} of the calibration has no direction",
            number + 1
        )));
    }
    for utterance in features {
        let see = &mut |place: usize, side: usize, row: &[f32]| histograms[place][side].see(row);
        watcher.watch(utterance, see)?;
        passes.add();
    }
    let ranges = layers.iter().zip(histograms).filter_map(|(layer, [input, output])| {
        let ranges = Ranges { input: input.range(method), output: output.range(method) };
        Some((layer.name(graph)?.to_owned(), ranges))
    });
    Ok((embeddings, ranges.collect()))
}

/// A runtime in f32 whose layers are watched.
struct Watcher {
    runtime: Runtime,
    /// The watched layers' numbers.
    places: HashMap<*const Layer, usize>,
}

impl Watcher {
    /// The embedding of an utterance. `see` gets the rows of what each watched layer reads (0) and
    /// makes (1).
    fn watch(
        &self,
        utterance: &Features,
        see: &mut dyn FnMut(usize, usize, &[f32]),
    ) -> Result<Vec<f32>> {
        let program = self.runtime.program_for(&utterance.values, utterance.frames)?;
        let mut arena = Arena::default();
        let values = arena.memory(&program);
        program.begin(&utterance.values, values);
        for (i, step) in program.steps.iter().enumerate() {
            program.step(i, values);
            if let Work::Layer { layer, .. } = &step.work
                && let Some(&place) = self.places.get(&Arc::as_ptr(layer))
            {
                for (side, slot) in [step.inputs[0], step.output].into_iter().enumerate() {
                    program.slots[slot].rows(values).for_each(|row| see(place, side, row));
                }
            }
        }
        Ok(program.end(values))
    }
}

#[cfg(test)]
mod tests;
