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
    /// Samples per second of AAC with one channel, whose packets can be passed over.
    mono: Option<u32>,
    /// Numbers to draw for the packets that were passed over.
    draws: u64,
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
        let resets = aac == Some(1);
        let mono = match coding {
            Coding::Aac { config, .. } if resets => aac::rate_of(config),
            _ => None,
        };
        Ok(Self { parameters, decoder, used: false, resets, aac, mono, draws: 0, channel })
    }
}

impl Codec for Decoder {
    fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<(), String> {
        if let Some(channels) = self.aac {
            aac::check(packet, channels)?;
        }
        self.used = true;
        let draws = std::mem::take(&mut self.draws);
        // Until this packet has come through.
        let resets = std::mem::take(&mut self.resets) && draws == 0 && !aac::may_have_noise(packet);
        if self.decoder.is_none() {
            self.decoder = Some(make(&self.parameters)?);
        }
        let Some(decoder) = &mut self.decoder else { return Err("there is no decoder".into()) };
        if draws > 0 {
            for packet in aac::drawing(draws) {
                decoder.decode_ref(&packet_of(&packet)).map_err(told)?;
            }
            // Their windows and their overlap are not wanted. What was drawn stays drawn.
            decoder.reset();
        }
        let packet = packet_of(packet);
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
        self.draws = 0;
    }

    fn pass(&mut self, packet: &[u8]) -> bool {
        let Some(draws) = self.mono.and_then(|rate| aac::draws(packet, rate)) else { return false };
        self.draws += draws;
        true
    }
}

/// A packet for symphonia, which needs no time of it.
fn packet_of(bytes: &[u8]) -> PacketRef<'_> {
    PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of one long window of five bands, with these sections and levels.
    fn long(sections: &str) -> Vec<u8> {
        aac::packed(&format!("000 0000 01011010 0 00 0 000101 0 {sections} 000 111"))
    }

    #[test]
    fn behind_packets_that_were_passed_over_all_samples_are_the_same() {
        let mut packets: Vec<Vec<u8>> =
            (1..10).flat_map(|i| aac::drawing(4 * (i * 67 % 256))).collect();
        packets.insert(2, long("0000 00101"));
        packets.insert(5, long("1101 00101 100000000 0000"));
        packets.insert(5, long("0000 00010 1101 00011 100000010 00"));
        // What ffmpeg writes for 16 kHz and one channel.
        let coding = Coding::Aac { config: vec![0x14, 0x08], channels: 1 };
        let mut decoder = Decoder::new(&coding, 0).unwrap();
        let mut decoded = |first: usize, passes: bool| {
            decoder.reset();
            if passes {
                assert!(packets[..first].iter().all(|packet| decoder.pass(packet)));
            }
            let mut samples = Vec::new();
            for packet in &packets[first..] {
                decoder.decode(packet, &mut samples).unwrap();
            }
            samples
        };
        let whole = decoded(0, false);
        assert_eq!(whole.len(), 1024 * packets.len());
        for first in 1..packets.len() - 1 {
            let wanted = &whole[1024 * (first + 1)..];
            assert!(decoded(first, true)[1024..] == *wanted, "from packet {first}");
            // The noise depends on what was drawn.
            assert!(decoded(first, false)[1024..] != *wanted, "from packet {first}");
        }
        decoder.reset();
        assert!(!decoder.pass(&aac::packed("001 0000")));
    }

    #[test]
    fn other_packets_are_not_passed_over() {
        let two = Coding::Aac { config: vec![0x14, 0x10], channels: 2 };
        let mut decoder = Decoder::new(&two, 0).unwrap();
        assert!(!decoder.pass(&long("0000 00101")));
        // Without noise the rate does not matter.
        let fast = Coding::Aac { config: vec![0x12, 0x08], channels: 1 };
        let mut decoder = Decoder::new(&fast, 0).unwrap();
        assert!(decoder.pass(&long("0000 00101")));
        assert!(!decoder.pass(&long("1101 00101 100000000 0000")));
    }
}
