//! Functions of one value and of two.

use serde::{Deserialize, Serialize};

/// A function of one value, element by element but for the softmax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Map {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 20)`, as in Res2Net for speakers.
    Clip20,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x / (1 + exp(-x))`.
    Silu,
    /// `x (1 + erf(x / sqrt(2))) / 2` (arXiv 1606.08415).
    Gelu,
    /// The same, approximated: `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`.
    GeluTanh,
    /// Softmax over the last axis.
    Softmax,
}

impl Map {
    /// Whether 0 stays 0.
    pub fn keeps_zero(self) -> bool {
        match self {
            Self::Relu | Self::Clip20 | Self::Tanh => true,
            Self::Silu | Self::Gelu | Self::GeluTanh => true,
            Self::Sigmoid | Self::Softmax => false,
        }
    }

    /// Whether the derivative is computed from the result. The others want the argument.
    pub fn keeps_result(self) -> bool {
        match self {
            Self::Relu | Self::Sigmoid | Self::Tanh | Self::Softmax => true,
            Self::Clip20 | Self::Silu | Self::Gelu | Self::GeluTanh => false,
        }
    }
}

/// A function of two values, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Combine {
    /// `x + y`.
    Add,
    /// `x - y`.
    Subtract,
    /// `x * y`.
    Multiply,
    /// `(x + y) / 2`, of one shape.
    Mean,
}
