//! Packets become samples. The decoders are those of other crates; without the feature `formats`
//! there are none.

pub(super) mod aac;
#[cfg(feature = "formats")]
mod decoders;
#[cfg(feature = "formats")]
mod guard;
#[cfg(feature = "formats")]
mod opus;
pub(super) mod vorbis;

use std::path::Path;

use crate::error::Result;

/// The decoder of one channel of a recording.
pub(super) trait Codec: Send {
    /// Appends the samples of a packet, full scale = 1.
    ///
    /// # Errors
    /// Why the packet cannot be decoded.
    fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<(), String>;

    /// Forgets all packets, so that the first one can follow.
    fn reset(&mut self);

    /// Passes over the next packet without decoding it, behind a reset and no other packets than
    /// such ones. False if all packets must be decoded: then a reset has to follow.
    ///
    /// The first packet that is decoded behind those that were passed over gives other samples than
    /// if they had been decoded, and all further packets give the same ones, to the bit.
    fn pass(&mut self, packet: &[u8]) -> bool {
        let _ = packet;
        false
    }
}

/// A codec, with what its decoder has to know.
#[cfg_attr(not(feature = "formats"), allow(dead_code, reason = "there are no decoders"))]
pub(super) enum Coding {
    /// AAC of low complexity: its configuration (ISO 14496-3), and its channels, 1 or 2.
    Aac { config: Vec<u8>, channels: usize },
    /// ALAC: its configuration ("magic cookie").
    Alac(Vec<u8>),
    /// MPEG layer III.
    Mp3,
    /// Vorbis: its first and its third packet.
    Vorbis { identification: Vec<u8>, setup: Vec<u8> },
    /// Opus: its channels, 1 or 2, and a factor for all samples.
    Opus { channels: usize, gain: f32 },
}

impl Coding {
    fn name(&self) -> &'static str {
        match self {
            Self::Aac { .. } => "AAC",
            Self::Alac(_) => "ALAC",
            Self::Mp3 => "MP3",
            Self::Vorbis { .. } => "Vorbis",
            Self::Opus { .. } => "Opus",
        }
    }

    /// The decoder of a channel. `path` is the file's name for errors.
    ///
    /// # Errors
    /// A configuration that the decoder refuses.
    #[cfg(feature = "formats")]
    pub fn decoder(self, path: &Path, channel: usize) -> Result<Box<dyn Codec>> {
        let name = self.name();
        let decoder: Result<Box<dyn Codec>, String> = match self {
            Self::Opus { channels, gain } => {
                let make = move || opus::Decoder::new(channels, channel, gain);
                guard::Guard::new(make).map(|d| Box::new(d) as Box<dyn Codec>)
            }
            other => {
                let make = move || decoders::Decoder::new(&other, channel);
                guard::Guard::new(make).map(|d| Box::new(d) as Box<dyn Codec>)
            }
        };
        decoder.map_err(|why| {
            let message = format!("its {name} audio cannot be decoded: {why}");
            crate::error::Error::file(path, message)
        })
    }

    /// The decoder of a channel. `path` is the file's name for errors.
    ///
    /// # Errors
    /// This program was built without decoders.
    #[cfg(not(feature = "formats"))]
    pub fn decoder(self, path: &Path, _channel: usize) -> Result<Box<dyn Codec>> {
        let message = format!(
            "is {} audio; this program was built without the feature `formats`",
            self.name()
        );
        let remedy = crate::error::Remedy::RebuildWith { feature: "formats" };
        Err(crate::error::Error::file(path, message).with(remedy))
    }
}
