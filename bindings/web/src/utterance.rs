//! What was heard of a recording.

use revox::portable::Utterance;
use wasm_bindgen::prelude::*;

/// A recording that a model heard.
#[wasm_bindgen]
pub struct Heard(pub(crate) Utterance);

#[wasm_bindgen]
impl Heard {
    /// The embedding.
    #[wasm_bindgen(getter)]
    pub fn embedding(&self) -> Vec<f32> {
        self.0.embedding.clone()
    }

    /// Its length, s.
    #[wasm_bindgen(getter)]
    pub fn seconds(&self) -> f64 {
        self.0.facts.seconds
    }

    /// How long somebody speaks, s.
    #[wasm_bindgen(getter, js_name = speechSeconds)]
    pub fn speech_seconds(&self) -> f64 {
        self.0.facts.quality.speech_seconds
    }

    /// Its level, dB relative to full scale.
    #[wasm_bindgen(getter)]
    pub fn level(&self) -> f64 {
        20.0 * self.0.facts.rms.log10()
    }

    /// Share of samples that are clipped, 0 to 1.
    #[wasm_bindgen(getter)]
    pub fn clipped(&self) -> f64 {
        self.0.facts.quality.clipped
    }

    /// The frequency up to which it has sound, Hz.
    #[wasm_bindgen(getter)]
    pub fn bandwidth(&self) -> f64 {
        self.0.facts.quality.bandwidth
    }

    /// Whether its samples do not change.
    #[wasm_bindgen(getter)]
    pub fn silent(&self) -> bool {
        self.0.facts.silent
    }

    /// What makes its scores less reliable.
    #[wasm_bindgen(getter)]
    pub fn warnings(&self) -> Vec<String> {
        self.0.facts.warnings.clone()
    }
}
