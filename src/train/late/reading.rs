//! The copy of a small tensor to the host in two halves: started now, waited for later.

use burn::tensor::Tensor;

#[cfg(feature = "cube")]
use super::cube::{Queued, queued};
use crate::backend::failure;
use crate::error::{Error, Result};
use crate::panics::panic_text;

/// A copy that was started.
pub(super) enum Reading {
    /// The copy is in the device's queue.
    #[cfg(feature = "cube")]
    Queued(Queued),
    /// Nothing is queued: the tensor is read when its values are wanted. A CPU has computed it
    /// already. A GPU could not compute it, and the read says why.
    Held(Box<Tensor<1>>),
}

impl Reading {
    /// Starts the copy of a tensor `[n]` of f32.
    pub fn start(values: Tensor<1>) -> Self {
        #[cfg(feature = "cube")]
        if crate::backend::is_gpu(&values.device()) {
            return match queued(values) {
                Ok(copy) => Self::Queued(copy),
                Err(values) => Self::Held(values),
            };
        }
        Self::Held(Box::new(values))
    }

    /// Waits for the values.
    ///
    /// # Errors
    /// A device that fails.
    pub fn wait(self) -> Result<Vec<f32>> {
        match self {
            #[cfg(feature = "cube")]
            Self::Queued(copy) => copy.wait().map_err(failed),
            Self::Held(values) => match values.try_into_data() {
                Ok(data) => Ok(data.iter::<f32>().collect()),
                Err(e) => Err(failed(e.to_string())),
            },
        }
    }
}

/// The error behind a backend's words.
fn failed(words: String) -> Error {
    failure(&panic_text(&words))
}
