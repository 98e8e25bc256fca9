//! Rearrangements that lose nothing.

#[cfg(feature = "burn")]
mod rearrange;

use serde::{Deserialize, Serialize};

/// Space to channels on every stream, as in i-RevNet (arXiv 1802.07088): mels and frames shrink by
/// the factors, channels grow by their product. Output channel `(dy * frames + dx) * channels + c`
/// holds sub-row dy, sub-column dx of input channel c.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Squeeze {
    /// Factor over mels.
    pub mels: usize,
    /// Factor over frames.
    pub frames: usize,
}

/// One tensor as two streams: the halves of its channels, of which there must be an even number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Halves {
    /// One tensor to two.
    Split,
    /// Two tensors to one.
    Join,
}

impl Halves {
    /// What undoes it.
    pub fn opposite(self) -> Self {
        match self {
            Self::Split => Self::Join,
            Self::Join => Self::Split,
        }
    }
}
