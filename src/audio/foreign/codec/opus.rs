//! The decoder of Opus: libopus, translated to Rust.
//!
//! It is the only crate so far whose samples are those of libopus in every mode, and that is fast.

#![allow(unsafe_code, reason = "the translation keeps the functions of C")]

use unsafe_libopus::{opus_decode_float, opus_decoder_get_size, opus_decoder_init};

use super::Codec;

/// Samples per second that the decoder gives, whatever the encoder was given.
const RATE: i32 = 48_000;
/// Most samples of a packet: 120 ms.
const MOST: usize = 5760;

/// One channel of an Opus stream.
pub(super) struct Decoder {
    /// The memory of libopus's decoder. It is plain data that holds places within itself as
    /// distances only.
    state: Vec<u64>,
    channels: i32,
    channel: usize,
    gain: f32,
    /// The samples of a packet, interleaved.
    samples: Vec<f32>,
    used: bool,
}

impl Decoder {
    /// The decoder of a channel of one or two. All samples are multiplied by `gain`.
    ///
    /// # Errors
    /// Another number of channels.
    pub fn new(channels: usize, channel: usize, gain: f32) -> Result<Self, String> {
        if !(1..=2).contains(&channels) || channel >= channels {
            return Err(format!("{channels} channels"));
        }
        // SAFETY: the function computes a number of bytes from a number of channels.
        let bytes = unsafe { opus_decoder_get_size(channels as i32) };
        let mut decoder = Self {
            state: vec![0; (bytes.max(0) as usize).div_ceil(size_of::<u64>())],
            channels: channels as i32,
            channel,
            gain,
            samples: vec![0.0; MOST * channels],
            used: false,
        };
        match decoder.start() {
            0 => Ok(decoder),
            code => Err(format!("error {code} of libopus")),
        }
    }

    fn start(&mut self) -> i32 {
        // SAFETY: the memory has the size that libopus asks for, and the alignment of a pointer.
        unsafe { opus_decoder_init(self.state.as_mut_ptr().cast(), RATE, self.channels) }
    }
}

impl Codec for Decoder {
    fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<(), String> {
        self.used = true;
        // Without bytes, the decoder would make up what is missing.
        let length = i32::try_from(packet.len()).ok().filter(|length| *length > 0);
        let Some(length) = length else { return Err("it is empty, or far too long".into()) };
        // SAFETY: `start` has made the decoder, the packet has `length` bytes, and there is room
        // for `MOST` samples of each channel.
        let count = unsafe {
            opus_decode_float(
                self.state.as_mut_ptr().cast(),
                packet.as_ptr(),
                length,
                self.samples.as_mut_ptr(),
                MOST as i32,
                0,
            )
        };
        let Ok(count) = usize::try_from(count) else {
            return Err(format!("it is no packet of Opus (error {count} of libopus)"));
        };
        let step = self.channels as usize;
        let all = self.samples[..count * step].iter().skip(self.channel).step_by(step);
        samples.extend(all.map(|x| x * self.gain));
        Ok(())
    }

    fn reset(&mut self) {
        if std::mem::take(&mut self.used) {
            // It succeeded with the same arguments before.
            self.start();
        }
    }
}
