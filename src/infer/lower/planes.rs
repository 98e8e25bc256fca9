//! Which values have rows without zeros behind them, and how many zeros the others have.

use crate::error::Result;
use crate::infer::plane::GUARD;
use crate::nn::graph::{Graph, Node, Op, Value};

/// Zeros behind each row: as many as the widest convolution wants beside a frame.
///
/// # Errors
/// A convolution that wants more of them than stand in front of a value.
pub(super) fn pad(graph: &Graph) -> Result<usize> {
    let mut most = 1;
    for node in &graph.nodes {
        let padding = match &node.op {
            Op::Conv1d(config) => config.padding[0],
            Op::Conv2d(config) => config.padding[1],
            _ => 0,
        };
        if padding > GUARD {
            return Err(super::lacks(&node.op));
        }
        most = most.max(padding);
    }
    Ok(most)
}

/// Whether each value is compact: a single row, or rows of one frame that stand side by side, such
/// as means over frames. Layers see a compact value as a vector.
///
/// No decision depends on the number of frames. Values that have one frame because the utterance is
/// short are not compact.
pub(super) fn compact(graph: &Graph) -> Vec<bool> {
    let mut all = vec![graph.input.len() < 2];
    for node in &graph.nodes {
        let of = |value: &Value| all[value.0];
        let first = node.inputs.first().is_some_and(of);
        let last = node.size.len() - 1;
        let is = match &node.op {
            _ if last == 0 => true,
            Op::Mean(axes) => axes.contains(&last),
            Op::Concat(_) | Op::Mix => node.size[last] == 1 && node.inputs.iter().all(of),
            Op::Conv1d(_) | Op::Conv2d(_) | Op::Linear => is_vector(graph, &all, node),
            Op::Map(_) | Op::Combine(_) | Op::Snap(_) | Op::Shift(_) => first,
            Op::Norm { .. } | Op::LayerNorm | Op::SimAm | Op::Copy | Op::Half(_) => first,
            Op::Channels(_) | Op::Reshape(_) | Op::Trim(_) | Op::Repeat(_) => {
                first && node.size[last] == 1
            }
            Op::Swap | Op::Squeeze(_) | Op::Segments(_) | Op::Spread | Op::Scores(_) => false,
            Op::Attend(_) | Op::Pad(_) | Op::Pool(_) => false,
        };
        all.push(is);
    }
    all
}

/// Whether a layer is a matrix times the vector that it reads.
pub(super) fn is_vector(graph: &Graph, compact: &[bool], node: &Node) -> bool {
    let Some(&x) = node.inputs.first() else { return false };
    let is_matrix = match &node.op {
        Op::Linear => true,
        Op::Conv1d(config) => config.is_pointwise() && config.groups == 1,
        Op::Conv2d(config) => config.is_pointwise() && config.groups == 1,
        _ => false,
    };
    is_matrix && compact[x.0] && graph.size(x)[1..].iter().product::<usize>() == 1
}
