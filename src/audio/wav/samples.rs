//! Samples of a WAV file as numbers in -1..1.

use super::format::{Encoding, Format};

/// Appends the samples of one channel. `data` are whole frames.
///
/// Integers of n bytes are divided by 2^(8n - 1). Where fewer bits count, they are the upper ones.
pub(super) fn decode(data: &[u8], format: &Format, channel: usize, samples: &mut Vec<f32>) {
    let value: fn(&[u8]) -> f32 = match (format.encoding, format.container) {
        (Encoding::Integer, 1) => |b: &[u8]| (f32::from(b[0]) - 128.0) / 128.0,
        (Encoding::Integer, 2) => integer::<2>,
        (Encoding::Integer, 3) => integer::<3>,
        (Encoding::Integer, _) => integer::<4>,
        (Encoding::Float, 4) => |b: &[u8]| f32::from_le_bytes(array(b)),
        (Encoding::Float, _) => |b: &[u8]| f64::from_le_bytes(array(b)) as f32,
        (Encoding::ALaw, _) => |b: &[u8]| f32::from(a_law(b[0])) / 32_768.0,
        (Encoding::MuLaw, _) => |b: &[u8]| f32::from(mu_law(b[0])) / 32_768.0,
    };
    let at = channel * format.container;
    samples.extend(
        data.chunks_exact(format.frame()).map(|frame| value(&frame[at..at + format.container])),
    );
}

/// A number of `N` bytes in two's complement, moved to the top of 32 bits.
fn integer<const N: usize>(bytes: &[u8]) -> f32 {
    let mut word = [0; 4];
    word[4 - N..].copy_from_slice(&bytes[..N]);
    i32::from_le_bytes(word) as f32 / 2_147_483_648.0
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}

/// A-law (ITU-T G.711) as 16 bits. A code has a sign, three bits of exponent and four of mantissa,
/// and every second bit is inverted. The value is the middle of its step.
fn a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (exponent, mantissa) = ((code >> 4) & 7, i16::from(code & 15));
    let size = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    if code & 0x80 == 0 { -size } else { size }
}

/// Mu-law (ITU-T G.711) as 16 bits. A code has a sign, three bits of exponent and four of mantissa,
/// all inverted. They stand for the value plus 33 * 4.
fn mu_law(code: u8) -> i16 {
    let code = !code;
    let size = (((i16::from(code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { size } else { -size }
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

    /// The largest, the smallest and one value in between, on the scale of 16 bits.
    #[test]
    fn laws_of_telephones() {
        assert_eq!([0xaa, 0x2a, 0xd5, 0x55, 0xb5].map(a_law), [32_256, -32_256, 8, -8, 8_448]);
        assert_eq!([0x80, 0x00, 0xff, 0x7f, 0xfe].map(mu_law), [32_124, -32_124, 0, 0, 8]);
        // The codes of positive numbers rise with them, and those of negative ones mirror them.
        let positive: Vec<i16> = (0x80..=0xff).map(|code: u8| a_law(code ^ 0x55)).collect();
        assert!(
            positive.is_sorted_by(|a, b| a < b)
                && (0..=0xff).all(|code| a_law(code) == -a_law(code ^ 0x80))
        );
        let falling: Vec<i16> = (0x80..=0xff).map(mu_law).collect();
        assert!(
            falling.is_sorted_by(|a, b| a > b)
                && (0..=0xff).all(|code| mu_law(code) == -mu_law(code ^ 0x80))
        );
    }
}
