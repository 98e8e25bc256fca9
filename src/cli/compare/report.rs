//! What `revox compare` prints.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::decision::{Verdict, likely};
use crate::cli::shown;
use crate::inference::Facts;

/// A verdict on two recordings.
pub(super) struct Report<'a> {
    /// The verdict.
    pub verdict: &'a Verdict,
    /// The prior of its probability, if it has one.
    pub prior: Option<f64>,
    /// The recordings.
    pub files: [(&'a Path, &'a Facts); 2],
    /// Everything that may mislead.
    pub warnings: &'a [String],
}

/// The level of a recording, dB relative to full scale.
pub(super) fn level(facts: &Facts) -> f64 {
    20.0 * facts.rms.log10()
}

impl Report<'_> {
    /// For programs. What the model does not give is null.
    pub(super) fn json(&self) -> Value {
        let file = |(path, facts): (&Path, &Facts)| {
            json!({
                "path": shown(path),
                "seconds": facts.seconds,
                "speech_seconds": facts.quality.speech_seconds,
                "level_db": level(facts),
                "clipped": facts.quality.clipped,
                "bandwidth": facts.quality.bandwidth,
                "frames": facts.frames,
            })
        };
        let Verdict { score, llr, probability, threshold, same, basis, .. } = self.verdict;
        json!({
            "score": score,
            "llr": llr,
            "probability": probability,
            "prior": self.prior,
            "threshold": threshold,
            "same_speaker": same,
            "basis": basis,
            "files": self.files.map(file),
            "warnings": self.warnings,
        })
    }

    /// For people, in lines.
    pub(super) fn text(&self) -> String {
        let Verdict { score, llr, probability, same, basis, .. } = self.verdict;
        let decision = match same {
            Some(true) => "same speaker",
            Some(false) => "different speakers",
            None => "no decision: the model holds no threshold and no calibration for cosines",
        };
        let mut lines = vec![format!("score {score:.4}   {decision}")];
        if let (Some(llr), Some(p), Some(prior)) = (llr, probability, self.prior) {
            let p = likely(*p);
            lines.push(format!("log-likelihood ratio {llr:.2}, probability {p} at prior {prior}"));
        }
        if same.is_some() {
            lines.push(format!("decided by {basis}"));
        }
        for (path, facts) in self.files {
            let (speech, level) = (facts.quality.speech_seconds, level(facts));
            let clipped = 100.0 * facts.quality.clipped;
            lines.push(format!(
                "{}: {:.2} s, {speech:.2} s of speech, {} frames, {level:.0} dB, {clipped:.1} % \
                 clipped, up to {:.0} Hz",
                path.display(),
                facts.seconds,
                facts.frames,
                facts.quality.bandwidth
            ));
        }
        lines.join("\n")
    }
}
