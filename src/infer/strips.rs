//! The first layers of a network strip by strip.
//!
//! The first layers make the largest values: those of ResNet34's first stage have 3 MB for 3
//! seconds, those of its last one 0.4 MB. Each frame of them is made of some frames around it. So
//! the first layers, the *front*, can run on some frames of the utterance and what these see on
//! both sides, and then on the next ones. The arena has the values of one strip, and the value
//! behind the front as a whole.
//!
//! Every frame is computed as in the whole utterance, so embeddings have the same bits. What the
//! strips see twice is computed twice.

mod sight;

use std::ops::Range;

use super::exec::clear;
use super::kernels::Level;
use super::layer::Layers;
use super::lower;
use super::plane::{Form, GUARD, Plane};
use super::program::Program;
use crate::error::Result;
use crate::nn::graph::{Graph, Node, Value};
use sight::{Sight, sights};

/// Bytes of an arena that is worth dividing.
const LARGE: usize = 4 << 20;
/// Most strips.
const MOST: usize = 16;
/// How much of the network's multiplications may be made twice: one in so many.
const AGAIN: usize = 25;
/// What weights and arena take together must become so much smaller: one part in so many. What is
/// computed twice would be a poor price for less.
const GAIN: usize = 5;

/// The first layers, and where they run.
pub(super) struct Front {
    /// For the frames of a strip.
    pub program: Program,
    /// Where its memory lies in the arena.
    pub start: usize,
    pub strips: Vec<Strip>,
}

impl Front {
    /// Makes the value behind the front, `to`, of features `[frames, mels]`.
    pub fn run(&self, features: &[f32], own: &mut [f32], to: &mut [f32], plane: Plane) {
        let Self { program, strips, .. } = self;
        let (mels, made) = (program.slots[0].plane.rows, &program.slots[program.output]);
        clear(to, plane, Form::Floats);
        let rows = to[GUARD..][..plane.len()].chunks_exact_mut(plane.pitch);
        rows.for_each(|row| row[plane.width..].fill(0.0));
        for Strip { first, own: frames, at } in strips {
            program.compute(&features[first * mels..][..program.frames * mels], own);
            let from = own[made.start + GUARD..].chunks(made.plane.pitch);
            let rows = to[GUARD..][..plane.len()].chunks_exact_mut(plane.pitch);
            for (to, from) in rows.zip(from) {
                to[*at..][..frames.len()].copy_from_slice(&from[frames.clone()]);
            }
        }
    }
}

/// Frames that run together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Strip {
    /// Its first frame in the utterance.
    pub first: usize,
    /// The frames that count, of those that it makes.
    pub own: Range<usize>,
    /// Where they lie among those of the whole utterance.
    pub at: usize,
}

/// A place where a network can be divided.
struct Cut {
    /// The nodes in front of it.
    nodes: usize,
    sight: Sight,
    /// Frames of the value there.
    made: usize,
    /// Multiplications in front of it.
    macs: usize,
}

/// The strips of an utterance of so many frames, each of `width` frames, whose front makes `made`
/// frames in all. None if strips of this width do not come to the end.
fn strips(sight: Sight, frames: usize, width: usize, made: usize) -> Option<Vec<Strip>> {
    let Sight { stride, left, right } = sight;
    // All in frames that the front makes. Where a strip is cut, the layers see zeros instead of
    // frames, so what is made of these does not count.
    let (edge, end) = (left.div_ceil(stride), width.checked_sub(right + 1)? / stride + 1);
    let last = frames.checked_sub(width)? / stride;
    let (mut all, mut start, mut covered) = (Vec::new(), 0, 0);
    loop {
        let own = covered - start..if start == last { made - start } else { end };
        all.push(Strip { first: start * stride, own: own.clone(), at: covered });
        covered = start + own.end;
        if start == last {
            return Some(all);
        }
        let next = covered.checked_sub(edge)?.min(last);
        if next <= start {
            return None;
        }
        start = next;
    }
}

/// The narrowest strips that are so many or fewer. All have one width, so that one program is
/// enough, and begin at multiples of the stride.
fn narrowest(cut: &Cut, frames: usize, count: usize) -> Option<(usize, Vec<Strip>)> {
    let stride = cut.sight.stride;
    let least = frames.div_ceil(count);
    let first = frames - (frames - least) / stride * stride;
    (first..frames).step_by(stride).find_map(|width| {
        let found = strips(cut.sight, frames, width, cut.made)?;
        (found.len() <= count).then_some((width, found))
    })
}

/// The nodes in front of a cut.
fn in_front(graph: &Graph, cut: usize) -> Graph {
    let (input, nodes) = (graph.input.clone(), graph.nodes[..cut].to_vec());
    Graph { tensors: graph.tensors.clone(), input, nodes, output: Value(cut), ..Graph::default() }
}

/// The nodes behind a cut, which is their input.
fn behind(graph: &Graph, cut: usize) -> Graph {
    let moved = |value: &Value| Value(value.0 - cut);
    let nodes = graph.nodes[cut..].iter().map(|node| {
        let inputs = node.inputs.iter().map(moved).collect();
        Node { inputs, ..node.clone() }
    });
    let (input, nodes) = (graph.size(Value(cut)).clone(), nodes.collect());
    Graph { input, nodes, output: moved(&graph.output), ..Graph::default() }
}

/// Where a network can be divided: behind each value that is smaller than all earlier ones there.
fn cuts(graph: &Graph) -> Vec<Cut> {
    let (sights, is_made) = (sights(graph), lower::made(graph));
    let mut smallest = usize::MAX;
    let fits = |&nodes: &usize| nodes < graph.nodes.len() && is_made[nodes - 1];
    let found = graph.cuts().into_iter().filter(fits).filter_map(|nodes| {
        let (sight, elements) = (sights[nodes]?, graph.elements(Value(nodes)));
        // A larger front would save nothing then.
        if elements >= smallest {
            return None;
        }
        smallest = elements;
        let macs = graph.nodes[..nodes].iter().map(|node| graph.node_macs(node)).sum();
        let made = graph.size(Value(nodes)).last().copied()?;
        Some(Cut { nodes, sight, made, macs })
    });
    found.collect()
}

/// The program of a graph in strips, if that takes clearly less memory than `whole`, which computes
/// the same at once. All computes in floats.
///
/// # Errors
/// Those of [`Program::new`].
pub(super) fn divided(
    whole: &Program,
    graph: &Graph,
    layers: &Layers,
    level: Level,
) -> Result<Option<Program>> {
    // Strips can save the arena of `whole` at most.
    let can_be_worth = whole.arena_bytes() * GAIN >= whole.arena_bytes() + layers.bytes();
    if whole.arena_bytes() < LARGE || !can_be_worth {
        return Ok(None);
    }
    let (frames, macs) = (whole.frames, graph.macs());
    let program = |graph: &Graph| Program::new(graph, layers, level, None, true);
    // Bytes of the arena, where the cut is, and the strips.
    let mut best: Option<(usize, usize, usize, Vec<Strip>)> = None;
    for cut in cuts(graph) {
        let rest = program(&behind(graph, cut.nodes))?;
        let all = program(&in_front(graph, cut.nodes))?.arena_bytes();
        let value = rest.slots[0].range().len() * size_of::<f32>();
        for count in 2..=MOST {
            let Some((width, strips)) = narrowest(&cut, frames, count) else { continue };
            if cut.macs * (width * strips.len() - frames) > macs / AGAIN * frames {
                break;
            }
            // Front values have as many bytes as the strip has frames, nearly.
            let arena = rest.arena_bytes().max(value + all * width / frames);
            if best.as_ref().is_none_or(|&(least, ..)| arena < least) {
                best = Some((arena, cut.nodes, width, strips));
            }
        }
    }
    let Some((_, cut, width, strips)) = best else { return Ok(None) };
    let front = program(&in_front(graph, cut).resized(width)?)?;
    let made = Program::behind((front, strips), frames, &behind(graph, cut), layers, level)?;
    let saved = whole.arena_bytes().saturating_sub(made.arena_bytes());
    let is_worth = saved * GAIN >= whole.arena_bytes() + layers.bytes();
    Ok(is_worth.then_some(made))
}

#[cfg(test)]
mod tests;
