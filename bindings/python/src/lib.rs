//! The native half of the Python package `revox`. The other half, `python/revox`, turns what users
//! give into lists of paths, or of samples as float32 with their rates; here is what computes.

mod arrays;
mod errors;
mod features;
mod metrics;
mod model;
mod pool;
mod utterance;

use pyo3::prelude::*;

/// The native half of `revox`: use `revox`.
#[pymodule]
mod _revox {
    #[pymodule_export]
    use crate::features::{fbank_of_file, fbank_of_samples};
    #[pymodule_export]
    use crate::metrics::{eer, min_dcf, read_embeddings, read_wav_scp};
    #[pymodule_export]
    use crate::model::Model;
    #[pymodule_export]
    use crate::pool::forked;
    #[pymodule_export]
    use crate::utterance::Utterance;
}
