//! What can be wrong with the audio of a dev utterance, found without a network.

use std::path::Path;

use crate::audio::{Level, Source};
use crate::error::{Error, Result};
use crate::inference::{Extractor, WINDOW};

/// Reads a recording to its end, and makes features of it.
///
/// # Errors
/// Audio that cannot be read, is shorter than the network takes, or silent. Features that are not
/// finite.
pub(super) fn check(extractor: &Extractor, mut source: Source) -> Result<()> {
    let path = source.path().to_owned();
    let fbank = extractor.fbank().config();
    let most = (WINDOW * f64::from(fbank.sample_rate)) as usize;
    let mut level = Level::default();
    loop {
        let samples = source.read(most)?;
        if samples.is_empty() {
            break;
        }
        // The last part of a long recording may be short: tests cut it into equal windows.
        let is_first = level.samples() == 0;
        if is_first || samples.len() >= fbank.sample_rate as usize {
            let features = extractor.features(&samples, None);
            features.map_err(|e| e.retold(|text| Error::file(&path, text)))?;
        }
        level.add(&samples);
    }
    match level.is_silent() {
        true => Err(silence(&path)),
        false => Ok(()),
    }
}

/// The fault of a silent recording: its embedding tells nothing of a voice.
pub(super) fn silence(path: &Path) -> Error {
    Error::file(path, "silent: its samples do not change")
}
