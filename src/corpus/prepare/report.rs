//! What a preparation wants and what it made.

use super::Problems;

/// How a corpus is checked.
#[derive(Debug, Clone, PartialEq)]
pub struct PrepareSettings {
    /// Samples per second at which the audio will be used.
    pub sample_rate: u32,
    /// Shorter files are left out, seconds.
    pub min_seconds: f64,
    /// Opens every file, but decodes none: damage behind the header, silence and copies are not
    /// found. Lengths are those that headers promise.
    pub headers_only: bool,
    /// Writes nothing.
    pub dry_run: bool,
}

impl Default for PrepareSettings {
    fn default() -> Self {
        Self { sample_rate: 16_000, min_seconds: 0.1, headers_only: false, dry_run: false }
    }
}

/// One folder of lists.
#[derive(Debug, Clone, PartialEq)]
pub struct ListsReport {
    /// Its name below the output folder; empty for the output folder itself.
    pub name: String,
    /// Its utterances.
    pub utterances: usize,
    /// Their speakers; 0 for lists without speakers.
    pub speakers: usize,
    /// Length of all audio as far as it is known, seconds.
    pub seconds: f64,
}

/// One list of trials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialsReport {
    /// Its name below the output folder.
    pub name: String,
    /// Its trials.
    pub trials: usize,
    /// Trials that are left out, since an utterance of them is.
    pub left_out: usize,
}

/// What a preparation found and wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PrepareReport {
    /// Usable utterances.
    pub utterances: usize,
    /// Their speakers; 0 for a corpus without speakers.
    pub speakers: usize,
    /// Length of all audio as far as it is known, seconds.
    pub seconds: f64,
    /// Folders with lists.
    pub lists: Vec<ListsReport>,
    /// Lists of trials.
    pub trials: Vec<TrialsReport>,
    /// What is left out, and other remarks.
    pub problems: Problems,
}
