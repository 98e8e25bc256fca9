//! The purpose of a pass.

/// What a forward pass does with batch statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Running statistics normalise; nothing is updated.
    Eval,
    /// Batch statistics normalise and move the running statistics.
    Train,
    /// Batch statistics normalise, running statistics stay: the recomputation of a pass already
    /// counted.
    Replay,
}

impl Mode {
    /// The mode of a recomputation of a pass of this mode.
    pub fn again(self) -> Self {
        match self {
            Self::Train => Self::Replay,
            Self::Eval | Self::Replay => self,
        }
    }
}
