//! What layers add to a variance.

use serde::{Deserialize, Serialize};

/// What is added to a variance before its root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Epsilon {
    /// 1e-5, PyTorch's default.
    #[default]
    E5,
    /// 1e-6.
    E6,
}

impl Epsilon {
    /// The number.
    pub fn value(self) -> f64 {
        match self {
            Self::E5 => 1e-5,
            Self::E6 => 1e-6,
        }
    }

    /// The running variance whose divisor is 1: a layer with it and mean 0 has its weight as factor
    /// and its bias as summand.
    pub fn identity_variance(self) -> f32 {
        1.0 - self.value() as f32
    }
}

/// What layer normalisation adds to a variance before its root.
pub(crate) const LAYER_NORM_EPSILON: f64 = 1e-6;
