//! Models.

use revox::portable::Model;
use revox::scoring::bayes_threshold;
use wasm_bindgen::prelude::*;

use crate::error;
use crate::utterance::Heard;
use crate::verdict::Comparison;

/// A model, ready to hear.
#[wasm_bindgen]
pub struct VoiceModel(Model);

#[wasm_bindgen]
impl VoiceModel {
    /// The model whose file's bytes these are.
    ///
    /// # Errors
    /// Bytes that are no model, or damaged; a model of a later version, or of an older one that
    /// lacks its network's graph.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: Vec<u8>) -> Result<VoiceModel, JsError> {
        Model::from_bytes(bytes).map(Self).map_err(error)
    }

    /// The name of its network.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.0.name().to_owned()
    }

    /// Values of an embedding.
    #[wasm_bindgen(getter)]
    pub fn dim(&self) -> usize {
        self.0.dim()
    }

    /// The rate of the samples that its front-end takes, Hz. Others are resampled.
    #[wasm_bindgen(getter, js_name = sampleRate)]
    pub fn sample_rate(&self) -> u32 {
        self.0.sample_rate()
    }

    /// SHA-256 of its file, in hex.
    #[wasm_bindgen(getter)]
    pub fn hash(&self) -> String {
        self.0.hash().to_owned()
    }

    /// The score from which on it is the same voice, at the equal error rate, if it has one.
    #[wasm_bindgen(getter)]
    pub fn threshold(&self) -> Option<f64> {
        self.0.threshold(None).ok()
    }

    /// Whether it makes probabilities of scores.
    #[wasm_bindgen(getter, js_name = isCalibrated)]
    pub fn is_calibrated(&self) -> bool {
        let scoring = &self.0.header().scoring;
        scoring
            .calibration
            .as_ref()
            .is_some_and(|stored| stored.takes_cosines(scoring.embedding_mean.as_deref()))
    }

    /// How probable one voice is before anything is heard, unless the caller says otherwise.
    #[wasm_bindgen(getter)]
    pub fn prior(&self) -> f64 {
        self.0.probability(0.0, None)
    }

    /// The false-accept rates for which it has thresholds, 0 to 1, descending.
    #[wasm_bindgen(getter)]
    pub fn rates(&self) -> Vec<f64> {
        let mut rates: Vec<f64> = self.0.header().scoring.rates().collect();
        rates.sort_by(|a, b| b.total_cmp(a));
        rates.dedup();
        rates
    }

    /// The score from which on it is the same voice, at one of those rates.
    ///
    /// # Errors
    /// No threshold for the rate.
    #[wasm_bindgen(js_name = thresholdAt)]
    pub fn threshold_at(&self, rate: f64) -> Result<f64, JsError> {
        self.0.threshold(Some(rate)).map_err(error)
    }

    /// Hears samples of one channel, full scale = 1, at any rate in Hz.
    ///
    /// # Errors
    /// No samples, or some that are not finite; a rate that no audio has; fewer samples than the
    /// network takes.
    pub fn hear(&self, samples: &[f32], rate: u32) -> Result<Heard, JsError> {
        self.0.hear(samples, rate).map(Heard).map_err(error)
    }

    /// Whether two recordings have the same voice, as `revox compare` says it. `prior` is how
    /// probable that is before anything is heard, between 0 and 1; without it the calibration's
    /// counts. A model without a calibration decides by its threshold.
    ///
    /// # Errors
    /// A recording in which nobody speaks; a prior out of its range.
    pub fn compare(
        &self,
        first: &Heard,
        second: &Heard,
        prior: Option<f64>,
    ) -> Result<Comparison, JsError> {
        if prior.is_some_and(|prior| !(prior > 0.0 && prior < 1.0)) {
            return Err(JsError::new("a prior lies between 0 and 1"));
        }
        let mut verdict = self.0.compare(&first.0, &second.0).map_err(error)?;
        let prior = verdict.llr.map(|_| prior.unwrap_or_else(|| self.prior()));
        if let (Some(llr), Some(prior)) = (verdict.llr, prior) {
            verdict.probability = Some(self.0.probability(llr, Some(prior)));
            verdict.same = Some(llr >= bayes_threshold(prior, 1.0, 1.0));
        }
        Ok(Comparison { verdict, prior })
    }
}
