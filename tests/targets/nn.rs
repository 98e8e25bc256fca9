//! What kernels know of layers. The fields here are those of the crate's own type.

#[path = "../../src/nn/epsilon.rs"]
mod epsilon;
#[path = "../../src/nn/function.rs"]
mod function;
#[path = "../../src/nn/pooling/moments.rs"]
mod moments;

pub(crate) use crate::functions::SIMAM_LAMBDA;
pub(crate) use epsilon::LAYER_NORM_EPSILON;
pub(crate) use function::{Combine, Map};
pub(crate) use moments::{DEVIATION_EPSILON, Floor, Statistics};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Squeeze {
    pub mels: usize,
    pub frames: usize,
}
