//! A recording that was heard.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::audio::LEAST_SPEECH;
use crate::cli::shown;
use crate::error::{Error, Result};
use crate::inference::Facts;
use crate::scoring::Recording;

/// With fewer seconds of speech a score is less reliable than error rates suggest.
const SHORT: f64 = 2.0;

/// A recording with its embedding.
pub(in crate::cli) struct Heard {
    pub path: PathBuf,
    pub facts: Facts,
    /// `[dim]`.
    pub embedding: Vec<f32>,
}

impl Heard {
    /// A recording that has enough to tell of a voice.
    ///
    /// # Errors
    /// Silence; less speech than [`LEAST_SPEECH`].
    pub fn of(path: &Path, facts: Facts, embedding: Vec<f32>) -> Result<Self> {
        if facts.silent {
            let message = "silent: its samples do not change, there is no voice to hear";
            return Err(Error::file(path, message));
        }
        let seconds = facts.quality.speech_seconds;
        if seconds < LEAST_SPEECH {
            let message = format!(
                "{seconds:.2} s of speech in {:.2} s; {LEAST_SPEECH} s at least are needed",
                facts.seconds
            );
            return Err(Error::file(path, message));
        }
        Ok(Self { path: path.to_owned(), facts, embedding })
    }

    /// Why scores with this recording may mislead.
    pub fn warnings(&self) -> Vec<String> {
        let Facts { warnings, quality, .. } = &self.facts;
        let mut all = warnings.clone();
        // Shorter ones have a warning already.
        if (1.0..SHORT).contains(&quality.speech_seconds) {
            all.push(format!("only {:.2} s of speech", quality.speech_seconds));
        }
        all.into_iter().map(|warning| format!("{}: {warning}", self.path.display())).collect()
    }

    /// What a store keeps.
    pub fn recording(&self) -> Recording {
        Recording {
            file: shown(&self.path),
            seconds: self.facts.quality.speech_seconds,
            embedding: self.embedding.clone(),
        }
    }

    /// What there is to hear, in words.
    pub fn text(&self) -> String {
        let Facts { seconds, quality, .. } = &self.facts;
        format!(
            "{:.2} s of speech in {seconds:.2} s, up to {:.0} Hz, {:.2} % clipped",
            quality.speech_seconds,
            quality.bandwidth,
            100.0 * quality.clipped
        )
    }

    /// The same as JSON, with the path.
    pub fn json(&self) -> Value {
        let Facts { seconds, quality, .. } = &self.facts;
        json!({
            "path": shown(&self.path),
            "seconds": seconds,
            "speech_seconds": quality.speech_seconds,
            "clipped": quality.clipped,
            "bandwidth": quality.bandwidth,
        })
    }
}
