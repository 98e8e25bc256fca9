//! Samples of a WAV file as numbers in -1..1.

use super::format::{Encoding, Format};
use crate::audio::pcm::{a_law, mu_law};

/// Appends the samples of one channel. `data` are whole frames.
///
/// Integers of n bytes are divided by 2^(8n - 1). Where fewer bits count, they are the upper ones.
pub(super) fn decode(data: &[u8], format: &Format, channel: usize, samples: &mut Vec<f32>) {
    let place = (channel, format.channels);
    match (format.encoding, format.container) {
        (Encoding::Integer, 1) => {
            append::<1>(data, place, samples, |[b]| (f32::from(b) - 128.0) / 128.0)
        }
        (Encoding::Integer, 2) => append(data, place, samples, integer::<2>),
        (Encoding::Integer, 3) => append(data, place, samples, integer::<3>),
        (Encoding::Integer, _) => append(data, place, samples, integer::<4>),
        (Encoding::Float, 4) => append(data, place, samples, f32::from_le_bytes),
        (Encoding::Float, _) => append::<8>(data, place, samples, |b| f64::from_le_bytes(b) as f32),
        (Encoding::ALaw, _) => {
            append::<1>(data, place, samples, |[b]| f32::from(a_law(b)) / 32_768.0)
        }
        (Encoding::MuLaw, _) => {
            append::<1>(data, place, samples, |[b]| f32::from(mu_law(b)) / 32_768.0)
        }
    }
}

/// Appends the values of one of several channels of `N` bytes.
fn append<const N: usize>(
    data: &[u8],
    (channel, channels): (usize, usize),
    samples: &mut Vec<f32>,
    value: impl Fn([u8; N]) -> f32,
) {
    let (values, _) = data.as_chunks::<N>();
    let value = |bytes: &[u8; N]| value(*bytes);
    // A step that is known makes vectors of a loop.
    match channels {
        1 => samples.extend(values.iter().map(value)),
        _ => samples.extend(values.iter().skip(channel).step_by(channels).map(value)),
    }
}

/// A number of `N` bytes in two's complement, moved to the top of 32 bits.
fn integer<const N: usize>(bytes: [u8; N]) -> f32 {
    let mut word = [0; 4];
    word[4 - N..].copy_from_slice(&bytes);
    i32::from_le_bytes(word) as f32 / 2_147_483_648.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel_of(bytes: &[u8], format: &Format, channel: usize) -> Vec<f32> {
        let mut samples = Vec::new();
        decode(bytes, format, channel, &mut samples);
        samples
    }

    fn decoded(encoding: Encoding, container: usize, bytes: &[u8]) -> Vec<f32> {
        channel_of(bytes, &Format { encoding, container, channels: 1, rate: 8000 }, 0)
    }

    #[test]
    fn integers_of_every_width() {
        let (quarter, least) = ([0.25f32, -1.0], [-0.25f32]);
        assert_eq!(decoded(Encoding::Integer, 1, &[0xa0, 0]), quarter);
        assert_eq!(decoded(Encoding::Integer, 1, &[0x60]), least);
        assert_eq!(decoded(Encoding::Integer, 2, &[0, 0x20, 0, 0x80]), quarter);
        assert_eq!(decoded(Encoding::Integer, 3, &[0, 0, 0x20, 0, 0, 0x80]), quarter);
        assert_eq!(decoded(Encoding::Integer, 4, &[0, 0, 0, 0x20, 0, 0, 0, 0x80]), quarter);
        assert_eq!(decoded(Encoding::Integer, 2, &[0, 0xe0]), least);
        assert_eq!(decoded(Encoding::Integer, 3, &[1, 0, 0]), [1.0 / 8_388_608.0]);
    }

    #[test]
    fn floats_and_channels() {
        let four: Vec<u8> =
            [0.5f32, -0.75, 0.25, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let format = Format { encoding: Encoding::Float, container: 4, channels: 2, rate: 8000 };
        assert_eq!(channel_of(&four, &format, 0), [0.5, 0.25]);
        assert_eq!(channel_of(&four, &format, 1), [-0.75, 2.0]);
        let eight: Vec<u8> = [0.1f64, -1.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(decoded(Encoding::Float, 8, &eight), [0.1, -1.0]);
    }
}
