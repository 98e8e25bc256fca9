//! Analysis windows, as Kaldi's `feature-window.cc` defines them.

use serde::{Deserialize, Serialize};

/// The analysis window of a frame. Kaldi's default is povey, WeSpeaker's is hamming. A model works
/// only with the window of its training, so the model file records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// 0.54 - 0.46 cos.
    Hamming,
    /// (0.5 - 0.5 cos)^0.85.
    Povey,
    /// 0.5 - 0.5 cos.
    Hanning,
}

impl Window {
    /// The `n` values of the window. It is symmetric: the first value equals the last.
    pub fn values(self, n: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU / (n.max(2) - 1) as f64;
        (0..n)
            .map(|i| {
                let cos = (step * i as f64).cos();
                let value = match self {
                    Window::Hamming => 0.54 - 0.46 * cos,
                    Window::Povey => (0.5 - 0.5 * cos).powf(0.85),
                    Window::Hanning => 0.5 - 0.5 * cos,
                };
                value as f32
            })
            .collect()
    }
}
