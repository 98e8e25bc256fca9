//! How much speech recordings hold.

use crate::cli::values::counted;
use crate::inference::Facts;

/// What the recordings of this process hold.
#[derive(Default)]
pub(super) struct Heard {
    recordings: usize,
    seconds: f64,
    speech: f64,
}

impl Heard {
    /// Counts a recording.
    pub fn add(&mut self, facts: &Facts) {
        self.recordings += 1;
        self.seconds += facts.seconds;
        self.speech += facts.quality.speech_seconds;
    }

    /// Whether there was a recording.
    pub fn is_some(&self) -> bool {
        self.recordings > 0
    }

    /// Says how much was left out as no speech.
    pub fn left_out(&self) -> String {
        let Self { recordings, seconds, speech } = *self;
        let removed = (seconds - speech).max(0.0);
        format!(
            "left out {removed:.1} s of {seconds:.1} s as no speech ({:.0} %), in {}",
            100.0 * removed / seconds.max(f64::MIN_POSITIVE),
            counted(recordings, "recording")
        )
    }
}
