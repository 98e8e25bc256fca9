//! Audio files that revox reads itself: WAV, FLAC, AIFF, CAF and SPHERE. Browsers decode others,
//! and round what they decode.

use std::path::Path;

use revox::audio::Source;
use revox::error::Remedy;
use wasm_bindgen::prelude::*;

use crate::error;

/// The samples of an audio file, at its own rate.
#[wasm_bindgen]
pub struct Recording {
    rate: u32,
    channels: Vec<Vec<f32>>,
}

#[wasm_bindgen]
impl Recording {
    /// Decodes the file with these bytes. Errors call it `name`.
    ///
    /// # Errors
    /// A damaged file; one of another format, by its name where it is known.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: Vec<u8>, name: &str) -> Result<Recording, JsError> {
        Self::read(&bytes, Path::new(name)).map_err(error)
    }

    /// Samples per second.
    #[wasm_bindgen(getter)]
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// The number of channels.
    #[wasm_bindgen(getter)]
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// The samples of a channel, from 0, full scale = 1.
    ///
    /// # Errors
    /// No such channel.
    pub fn channel(&self, place: usize) -> Result<Vec<f32>, JsError> {
        let none = || JsError::new(&format!("there is no channel {place}"));
        self.channels.get(place).cloned().ok_or_else(none)
    }
}

impl Recording {
    fn read(bytes: &[u8], name: &Path) -> revox::Result<Self> {
        let open = |rate: u32, channel| Source::of_bytes(name, bytes.to_vec(), rate, channel);
        // The rate is known once the file is open. Another one than the file's is never read.
        let any = 16_000;
        let (rate, count) = match open(any, None) {
            Ok(source) => (source.source_rate(), 1),
            Err(several) => match several.remedy() {
                Some(&Remedy::ChooseChannel { channels }) => {
                    (open(any, Some(0))?.source_rate(), channels)
                }
                _ => return Err(several),
            },
        };
        let chosen = |place: usize| (count > 1).then_some(place);
        let channels = (0..count).map(|place| samples(open(rate, chosen(place))?));
        Ok(Self { rate, channels: channels.collect::<revox::Result<_>>()? })
    }
}

/// All samples of a source.
fn samples(mut source: Source) -> revox::Result<Vec<f32>> {
    const PIECE: usize = 1 << 20;
    let mut all = Vec::new();
    loop {
        let piece = source.read(PIECE)?;
        if piece.is_empty() {
            return Ok(all);
        }
        all.extend(piece);
    }
}
