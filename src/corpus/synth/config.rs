//! The settings of a synthetic corpus.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Most recordings, about a terabyte.
const MOST_FILES: u64 = 10_000_000;
/// Most pairs that trials are drawn from. They take 2 GB of memory.
const MOST_PAIRS: u64 = 50_000_000;

/// The settings of a synthetic corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynthConfig {
    /// Folder to make, with `train` and `dev` in it.
    pub out: PathBuf,
    /// Training speakers.
    #[serde(default = "default_speakers")]
    pub speakers: usize,
    /// Utterances of each speaker, training and dev.
    #[serde(default = "default_utterances")]
    pub utterances: usize,
    /// Mean length of an utterance, seconds. Lengths spread from 0.6 to 1.4 times as much.
    #[serde(default = "default_seconds")]
    pub seconds: f64,
    /// Further speakers for the dev trials.
    #[serde(default = "default_dev_speakers")]
    pub dev_speakers: usize,
    /// Seed of all draws.
    #[serde(default = "default_seed")]
    pub seed: u64,
}

fn default_speakers() -> usize {
    40
}
fn default_utterances() -> usize {
    10
}
fn default_seconds() -> f64 {
    2.5
}
fn default_dev_speakers() -> usize {
    20
}
fn default_seed() -> u64 {
    1
}

impl SynthConfig {
    /// The defaults, into `out`.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            speakers: default_speakers(),
            utterances: default_utterances(),
            seconds: default_seconds(),
            dev_speakers: default_dev_speakers(),
            seed: default_seed(),
        }
    }

    /// Refuses impossible settings, and those that would take too much time or memory.
    ///
    /// # Errors
    /// The first such setting.
    pub fn check(&self) -> Result<()> {
        let bad = |m: String| Err(Error::Invalid(format!("synth: {m}")));
        if self.out.as_os_str().is_empty() {
            return bad("out must name a folder".into());
        }
        for (name, value, most) in [
            ("speakers", self.speakers, 100_000),
            ("dev_speakers", self.dev_speakers, 100_000),
            ("utterances", self.utterances, 10_000),
        ] {
            if !(2..=most).contains(&value) {
                return bad(format!("{name} = {value}: must be 2 to {most}"));
            }
        }
        if !(0.5..=60.0).contains(&self.seconds) {
            return bad(format!("seconds = {}: must be 0.5 to 60", self.seconds));
        }
        // At these sizes none of the products overflows 64 bits.
        let (speakers, dev, utterances) =
            (self.speakers as u64, self.dev_speakers as u64, self.utterances as u64);
        let files = (speakers + dev) * utterances;
        if files > MOST_FILES {
            return bad(format!(
                "{files} files; at most {MOST_FILES}: fewer speakers or utterances"
            ));
        }
        let pairs = (dev * utterances) * (dev * utterances - 1) / 2;
        if pairs > MOST_PAIRS {
            return bad(format!(
                "trials are drawn from {pairs} pairs of dev utterances; at most {MOST_PAIRS}: \
                 fewer dev_speakers or utterances"
            ));
        }
        Ok(())
    }

    /// Number of recordings, if [`SynthConfig::check`] passes.
    pub fn files(&self) -> usize {
        (self.speakers + self.dev_speakers) * self.utterances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_little_or_too_much_is_named() {
        let refused = |change: &dyn Fn(&mut SynthConfig), wanted: &str| {
            let mut config = SynthConfig::new("x");
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        };
        SynthConfig::new("x").check().unwrap();
        refused(&|c| c.speakers = 1, "speakers = 1: must be 2 to 100000");
        refused(&|c| c.dev_speakers = usize::MAX, "dev_speakers = ");
        refused(&|c| c.utterances = 0, "utterances = 0");
        refused(&|c| c.seconds = f64::NAN, "seconds = NaN");
        refused(&|c| c.seconds = 1e30, "seconds = 1");
        refused(&|c| (c.speakers, c.utterances) = (100_000, 1_000), "files; at most");
        refused(&|c| (c.dev_speakers, c.utterances) = (1_000, 100), "pairs of dev utterances");
    }
}
