//! How kernels visit `[batch, channels, inner]`: each cube has one channel (`CUBE_POS_Y`) and one
//! part of its values (`CUBE_POS_X`). And what they compute of a value, in f32.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// How the values of a channel are divided into parts, and a part among a cube's units.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Walk {
    /// Utterances.
    pub(super) batch: u32,
    /// Channels.
    pub(super) channels: u32,
    /// Vectors of one channel of one utterance.
    pub(super) inner: u32,
    /// Utterances of a part.
    pub(super) rows: u32,
    /// Of `inner`, the vectors of a part.
    pub(super) span: u32,
    /// Parts along `inner`.
    pub(super) spans: u32,
    /// Units side by side along `inner`; a power of two.
    pub(super) lanes: u32,
}

/// The unit's first utterance, and the end of the part's utterances.
#[cube]
pub(super) fn rows_of(walk: &Walk) -> (u32, u32) {
    let first = (CUBE_POS_X / walk.spans) * walk.rows;
    let batch = walk.batch;
    let end = first + walk.rows;
    (first + UNIT_POS_X / walk.lanes, select(end < batch, end, batch))
}

/// The unit's first vector of an utterance's channel, and the end of the part's vectors.
#[cube]
pub(super) fn span_of(walk: &Walk) -> (u32, u32) {
    let first = (CUBE_POS_X % walk.spans) * walk.span;
    let inner = walk.inner;
    let end = first + walk.span;
    (first + UNIT_POS_X % walk.lanes, select(end < inner, end, inner))
}

/// One over the standard deviation.
#[cube]
pub(super) fn inverse_of(variance: f32, epsilon: f32) -> f32 {
    1.0f32 / f32::sqrt(variance + epsilon)
}

/// `(x - mean) * scale + shift`. Both passes compute it in the same way, so that they agree on the
/// rectifier's mask.
#[cube]
pub(super) fn normalized<N: Size>(
    x: Vector<f32, N>,
    mean: f32,
    scale: f32,
    shift: f32,
) -> Vector<f32, N> {
    let off = x - Vector::<f32, N>::new(mean);
    fma(off, Vector::<f32, N>::new(scale), Vector::<f32, N>::new(shift))
}

/// `x` where `y` is not 0 or less, else 0. NaN stays NaN.
#[cube]
pub(super) fn passed<N: Size>(y: Vector<f32, N>, x: Vector<f32, N>) -> Vector<f32, N> {
    let zero = Vector::<f32, N>::new(0.0f32);
    select_many(y.less_equal(&zero), zero, x)
}
