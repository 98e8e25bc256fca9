//! What kernels know of layers. Constants and fields here are those beside Burn's operations.

#[path = "../../src/nn/function.rs"]
mod function;
#[path = "../../src/nn/pooling/moments.rs"]
mod moments;

pub(crate) use function::{Combine, Map};
pub(crate) use moments::{DEVIATION_EPSILON, Floor, Statistics};

pub(crate) const LAYER_NORM_EPSILON: f64 = 1e-6;
pub(crate) const SIMAM_LAMBDA: f64 = 1e-4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Squeeze {
    pub mels: usize,
    pub frames: usize,
}
