//! How states are held: the options of every optimizer with 8-bit states.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::settings::bad;
use crate::backend::optim8::{Rounding, not_finite};
use crate::error::Result;

/// The block sizes that can be set.
const BLOCK_SIZES: [usize; 7] = [64, 128, 256, 512, 1024, 2048, 4096];

/// Which of its neighbours a value between two codes gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateRounding {
    /// The nearest code, exactly.
    #[default]
    Nearest,
    /// The nearest code, but a negative first moment is never stored as 0 (bitsandbytes' CUDA
    /// kernels).
    SignPreserving,
}

impl StateRounding {
    /// The rule for a state of both signs.
    pub(super) fn signed(self) -> Rounding {
        match self {
            Self::Nearest => Rounding::Nearest,
            Self::SignPreserving => Rounding::SignPreserving,
        }
    }
}

/// How states are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct States {
    /// Values that share a scale: a power of two from 64 to 4096. 256 is more exact than 2048; 2048
    /// saves another 0.7 % of the 32-bit state.
    pub block_size: usize,
    /// Tensors of fewer values keep 32-bit states: biases and BatchNorm, which are small and
    /// sensitive.
    pub min_size: usize,
    /// Rounding rule of first moments.
    pub rounding: StateRounding,
}

impl Default for States {
    fn default() -> Self {
        Self { block_size: 256, min_size: 4096, rounding: StateRounding::Nearest }
    }
}

impl States {
    /// Refuses an unknown block size.
    ///
    /// # Errors
    /// Names the possible sizes.
    pub fn check(&self) -> Result<()> {
        match BLOCK_SIZES.contains(&self.block_size) {
            true => Ok(()),
            false => Err(bad(format!(
                "block_size = {}: must be one of {BLOCK_SIZES:?}",
                self.block_size
            ))),
        }
    }

    /// Bytes of one state of a tensor of `count` values.
    pub fn bytes(&self, count: usize) -> usize {
        match count < self.min_size {
            true => 4 * count,
            false => count.next_multiple_of(4) + 4 * count.div_ceil(self.block_size),
        }
    }
}

/// Checks gradients before they are used, and counts those that are not finite.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    on: bool,
    skipped: Arc<AtomicU64>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { on: true, skipped: Arc::default() }
    }
}

impl Watch {
    pub fn set(&mut self, on: bool) {
        self.on = on;
    }

    /// Whether the gradient can be used. This waits for the device.
    pub fn passes<const D: usize>(&self, gradient: &Tensor<D>) -> bool {
        let fine = !self.on || not_finite(gradient.clone()).into_scalar::<f32>() == 0.0;
        if !fine {
            self.skipped.fetch_add(1, Ordering::Relaxed);
        }
        fine
    }

    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_blocks() {
        let states = States::default();
        assert_eq!(states.bytes(4095), 4 * 4095);
        assert_eq!(states.bytes(4096), 4096 + 4 * 16);
        assert_eq!(states.bytes(4097), 4100 + 4 * 17);
        assert!(
            States { block_size: 100, ..States::default() }
                .check()
                .unwrap_err()
                .to_string()
                .contains("2048")
        );
    }
}
