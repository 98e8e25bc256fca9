//! The decoders of symphonia: AAC, ALAC, MP3 and Vorbis.

use std::cell::RefCell;

use symphonia::core::audio::{Audio, GenericAudioBufferRef};
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_ALAC, CODEC_ID_MP3, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
};
use symphonia::core::errors::Error;
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::{AacDecoder, AlacDecoder, MpaDecoder, VorbisDecoder};

use super::{Codec, Coding, aac};

/// One channel of what a decoder of symphonia gives.
pub(super) struct Decoder {
    parameters: AudioCodecParameters,
    /// None after a reset that it does not survive.
    decoder: Option<Box<dyn AudioDecoder>>,
    /// Whether it has decoded anything.
    used: bool,
    /// Whether a reset makes it new: the state of AAC's noise generator has no reset of its own,
    /// and after an error nobody knows.
    resets: bool,
    /// Channels of AAC, which must be those of every packet.
    aac: Option<usize>,
    channel: usize,
}

impl Decoder {
    /// The decoder of a channel.
    ///
    /// # Errors
    /// A configuration that symphonia refuses.
    pub fn new(coding: &Coding, channel: usize) -> Result<Self, String> {
        let (id, data, aac) = match coding {
            Coding::Aac { config, channels } => (CODEC_ID_AAC, config.clone(), Some(*channels)),
            Coding::Alac(cookie) => (CODEC_ID_ALAC, cookie.clone(), None),
            Coding::Mp3 => (CODEC_ID_MP3, Vec::new(), None),
            Coding::Vorbis { identification, setup } => {
                (CODEC_ID_VORBIS, [identification.as_slice(), setup].concat(), None)
            }
            Coding::Opus { .. } => return Err("it is not a codec of symphonia".into()),
        };
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(id).with_extra_data(data.into_boxed_slice());
        let decoder = Some(kept(&parameters).map_or_else(|| make(&parameters), Ok)?);
        Ok(Self { parameters, decoder, used: false, resets: aac == Some(1), aac, channel })
    }
}

impl Codec for Decoder {
    fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<(), String> {
        if let Some(channels) = self.aac {
            aac::check(packet, channels)?;
        }
        self.used = true;
        // Until this packet has come through.
        let resets = std::mem::take(&mut self.resets) && !aac::may_have_noise(packet);
        if self.decoder.is_none() {
            self.decoder = Some(make(&self.parameters)?);
        }
        let Some(decoder) = &mut self.decoder else { return Err("there is no decoder".into()) };
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, packet);
        const MISSING: &str = "it lacks the channel";
        match decoder.decode_ref(&packet).map_err(told)? {
            GenericAudioBufferRef::F32(all) => {
                samples.extend_from_slice(all.plane(self.channel).ok_or(MISSING)?);
            }
            GenericAudioBufferRef::S32(all) => {
                let plane = all.plane(self.channel).ok_or(MISSING)?;
                samples.extend(plane.iter().map(|&x| x as f32 / 2_147_483_648.0));
            }
            _ => return Err("the decoder gives samples of another kind".into()),
        }
        self.resets = resets;
        Ok(())
    }

    fn reset(&mut self) {
        if std::mem::take(&mut self.used) {
            match &mut self.decoder {
                Some(decoder) if self.resets => decoder.reset(),
                _ => self.decoder = None,
            }
            self.resets = self.aac == Some(1);
        }
    }
}

/// A decoder of AAC and its configuration.
type Kept = (Box<[u8]>, Box<dyn AudioDecoder>);

thread_local! {
    /// The last decoder of AAC that can decode another recording. Its windows take a tenth of the
    /// time of a recording of 7 s to make.
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// The decoder that was kept, if it is one for these parameters.
fn kept(parameters: &AudioCodecParameters) -> Option<Box<dyn AudioDecoder>> {
    let wanted = parameters.extra_data.as_deref().filter(|_| parameters.codec == CODEC_ID_AAC)?;
    KEPT.with_borrow_mut(|kept| {
        let (_, decoder) = kept.take_if(|(config, _)| **config == *wanted)?;
        Some(decoder)
    })
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let Some(mut decoder) = self.decoder.take().filter(|_| self.resets) else { return };
        let Some(config) = self.parameters.extra_data.clone() else { return };
        decoder.reset();
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| kept.replace(Some((config, decoder))));
    }
}

fn make(parameters: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, String> {
    const AAC: AudioCodecId = CODEC_ID_AAC;
    const ALAC: AudioCodecId = CODEC_ID_ALAC;
    const MP3: AudioCodecId = CODEC_ID_MP3;
    let options = AudioDecoderOptions::default();
    Ok(match parameters.codec {
        AAC => Box::new(AacDecoder::try_new(parameters, &options).map_err(told)?),
        ALAC => Box::new(AlacDecoder::try_new(parameters, &options).map_err(told)?),
        MP3 => Box::new(MpaDecoder::try_new(parameters, &options).map_err(told)?),
        _ => Box::new(VorbisDecoder::try_new(parameters, &options).map_err(told)?),
    })
}

/// An error of symphonia without its kind: the reason alone.
fn told(error: Error) -> String {
    match error {
        Error::DecodeError(why) | Error::Unsupported(why) | Error::LimitError(why) => why.into(),
        Error::IoError(_) => "it ends too early".into(),
        other => other.to_string(),
    }
}
