//! What a model says of two recordings.

use revox::portable::Verdict;
use wasm_bindgen::prelude::*;

/// What a model says of two recordings. What it does not give is undefined.
#[wasm_bindgen]
pub struct Comparison {
    pub(crate) verdict: Verdict,
    pub(crate) prior: Option<f64>,
}

#[wasm_bindgen]
impl Comparison {
    /// The cosine of the embeddings, less the model's mean if it has one.
    #[wasm_bindgen(getter)]
    pub fn score(&self) -> f64 {
        self.verdict.score
    }

    /// The log-likelihood ratio, natural logarithm, of a calibrated model.
    #[wasm_bindgen(getter)]
    pub fn llr(&self) -> Option<f64> {
        self.verdict.llr
    }

    /// The probability of one voice at the prior, 0 to 1, by a calibrated model.
    #[wasm_bindgen(getter)]
    pub fn probability(&self) -> Option<f64> {
        self.verdict.probability
    }

    /// How probable one voice was before anything was heard, if there is a probability.
    #[wasm_bindgen(getter)]
    pub fn prior(&self) -> Option<f64> {
        self.prior
    }

    /// The score from which on it is the same voice, if a threshold decides.
    #[wasm_bindgen(getter)]
    pub fn threshold(&self) -> Option<f64> {
        self.verdict.threshold
    }

    /// Whether it is the same voice, if anything decides.
    #[wasm_bindgen(getter)]
    pub fn same(&self) -> Option<bool> {
        self.verdict.same
    }

    /// Why it may mislead.
    #[wasm_bindgen(getter)]
    pub fn warnings(&self) -> Vec<String> {
        self.verdict.warnings.clone()
    }
}
