//! Which statistics of frames there are.

use serde::{Deserialize, Serialize};

/// Added to a variance before its root.
pub(crate) const DEVIATION_EPSILON: f64 = 1e-7;

/// Which statistics of the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Statistics {
    /// Mean and standard deviation, sqrt(unbiased variance + 1e-7).
    Both,
    /// Mean.
    Mean,
    /// Standard deviation.
    Deviation,
    /// Mean and standard deviation of weighted frames. A smaller variance than the floor is the
    /// floor.
    Weighted(Floor),
}

/// The least variance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Floor {
    /// 1e-7.
    E7,
    /// 1e-5.
    E5,
}

impl Floor {
    /// The number.
    pub fn value(self) -> f64 {
        match self {
            Self::E7 => 1e-7,
            Self::E5 => 1e-5,
        }
    }
}

impl Statistics {
    /// Outputs for each input channel.
    pub fn count(self) -> usize {
        match self {
            Self::Both | Self::Weighted(_) => 2,
            Self::Mean | Self::Deviation => 1,
        }
    }
}
