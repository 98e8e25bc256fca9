//! Orders of layers within residual functions.

use serde::{Deserialize, Serialize};

/// Where normalisation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// BN - ReLU - conv, as in RevNet (arXiv 1707.04585).
    PreActivation,
    /// conv - BN, with ReLU between the pairs.
    PostActivation,
}
