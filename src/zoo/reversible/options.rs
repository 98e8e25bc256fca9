//! What the publications leave open about reversible networks, as named options.

use serde::{Deserialize, Serialize};

use crate::nn::Order;

/// How much of a network is reversible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReversibleType {
    /// Type I: the blocks of each stage; layers that lose resolution keep their input.
    Partial,
    /// Type II: loss of resolution too, by a squeeze that moves mels and frames into channels.
    Full,
}

impl ReversibleType {
    /// What names of such architectures begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Partial => "rev1-",
            Self::Full => "rev2-",
        }
    }
}

/// How the stem's output becomes two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamRule {
    /// Both streams are the stem's output.
    Duplicate,
    /// Each stream is half of its channels.
    Split,
}

/// What stands between the stages of Type I.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransitionRule {
    /// A strided 3x3 convolution with BatchNorm on each stream, weights of its own.
    PerStream,
    /// One such convolution on both streams together.
    Merged,
    /// The strided residual block of the ordinary network on both streams together.
    Block,
}

/// How two streams become one before pooling. BatchNorm and ReLU follow each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergeRule {
    /// Their mean.
    Mean,
    /// All channels of both.
    Concat,
    /// All channels of both, then (behind BatchNorm and ReLU) a 1x1 convolution to the ordinary
    /// network's last width, BatchNorm and ReLU.
    Project,
}

/// The choices. What is not given follows from the architecture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReversibleOptions {
    /// Reversible blocks of each stage, two residual functions each. Default: half as many as the
    /// ordinary network has blocks, rounded up, in the last stage down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<[usize; 4]>,
    /// Default: `duplicate` for Type I of basic blocks and DF-ResNets, else `split`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<StreamRule>,
    /// Channels of both streams together in the first stage. Default: twice the width for Type I
    /// with `duplicate`, the ordinary network's for `split`; Type II: half the width, bottleneck
    /// blocks: the width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<usize>,
    /// Type I only. Default: `per-stream`; with bottleneck blocks `block`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transition: Option<TransitionRule>,
    /// Default: `mean` behind `duplicate`, `concat` behind `split`, `project` for Type II.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge: Option<MergeRule>,
    /// Default: `pre-activation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Inner channels of the residual functions, as a multiple of the ordinary network's in the
    /// same stage. Default: 1 if the network then has the ordinary one's parameters within 1 %,
    /// else the multiple that comes nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<f64>,
}
