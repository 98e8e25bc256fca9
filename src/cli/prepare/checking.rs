//! Options that say how files are checked.

use crate::cli::values::within;
use crate::corpus::prepare::PrepareSettings;
use crate::error::Result;

/// How files are checked.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Checking {
    /// Rate at which the audio will be used.
    #[arg(long, default_value_t = 16000,
          value_parser = clap::value_parser!(u32).range(1000..=768_000))]
    sample_rate: u32,
    /// Leave out shorter files.
    #[arg(long, default_value_t = 0.1, value_parser = seconds)]
    min_seconds: f64,
    /// Only open files, not decode them: damage behind the header, silence and copies stay
    /// unfound, and lengths are what headers say.
    #[arg(long)]
    headers: bool,
    /// Write nothing; print what would be written, and every problem.
    #[arg(long)]
    pub dry_run: bool,
}

/// A shortest length.
fn seconds(text: &str) -> Result<f64, String> {
    within(text, 0.0..=3600.0, "0 to 3600 seconds are possible")
}

impl Checking {
    /// The same for the library.
    pub fn settings(&self) -> PrepareSettings {
        PrepareSettings {
            sample_rate: self.sample_rate,
            min_seconds: self.min_seconds,
            headers_only: self.headers,
            dry_run: self.dry_run,
        }
    }
}
