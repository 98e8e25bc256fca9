//! Packets that are made to draw numbers.
//!
//! A decoder draws the noise of all packets one after the other, so that the noise of a packet
//! depends on how much was drawn before it. A decoder that passes over packets draws as much for
//! packets of nothing but noise, which are few: one draws up to 1,024 numbers.

use super::noise::SHORT_BANDS;

/// Most numbers that are drawn for a packet.
const MOST: u64 = 1024;
/// Windows of a packet, each of which has [`SHORT_BANDS`].
const WINDOWS: usize = 8;
/// Bands of a window.
const BANDS: usize = SHORT_BANDS.len() - 1;

/// Packets of one channel at 16 kHz for which a decoder draws so many numbers, a multiple of four:
/// all bands have such widths.
pub(in crate::audio::foreign::codec) fn drawing(draws: u64) -> impl Iterator<Item = Vec<u8>> {
    let (whole, rest) = ((draws / MOST) as usize, draws % MOST);
    let last = (rest > 0).then(|| packet(rest));
    std::iter::repeat_n(packet(MOST), whole).chain(last)
}

/// One of them, for at most [`MOST`] numbers: eight short windows, each a group of its own.
fn packet(mut draws: u64) -> Vec<u8> {
    let mut bits = Writer::default();
    // One channel of number 0, a gain of 90, and a reserved bit.
    bits.put(0, 3 + 4);
    bits.put(90, 8);
    bits.put(0, 1);
    // Short windows of the first shape, and no window in the group of the one before.
    bits.put(2, 2);
    bits.put(0, 1);
    bits.put(BANDS as u32, 4);
    bits.put(0, WINDOWS - 1);
    let mut noisy = 0;
    for _ in 0..WINDOWS {
        // Widths do not fall from band to band. The eight bands of four make up what is left.
        let mut is_noise = [false; BANDS];
        for (band, is_noise) in is_noise.iter_mut().enumerate().rev() {
            let width = SHORT_BANDS[band + 1] - SHORT_BANDS[band];
            if width <= draws {
                draws -= width;
                *is_noise = true;
                noisy += 1;
            }
        }
        for section in is_noise.chunk_by(|a, b| a == b) {
            bits.put(if section[0] { 13 } else { 0 }, 4);
            // A seven says that more follows.
            (0..section.len() / 7).for_each(|_| bits.put(7, 3));
            bits.put(section.len() as u32 % 7, 3);
        }
    }
    // The first level is a number, and the others are the same: each a zero.
    if noisy > 0 {
        bits.put(256, 9);
        bits.put(0, noisy - 1);
    }
    // Neither pulses nor shaping nor a change of gain, and the end.
    bits.put(0, 3);
    bits.put(7, 3);
    bits.bytes
}

/// Writes numbers, the most significant bit of a byte first.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    /// Bits so far.
    count: usize,
}

impl Writer {
    /// Writes a number of this many bits. In front of 32 of them are zeros.
    fn put(&mut self, value: u32, width: usize) {
        for place in (0..width).rev() {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = if place < 32 { (value >> place) & 1 } else { 0 };
            if let Some(byte) = self.bytes.last_mut() {
                *byte |= (bit as u8) << (7 - self.count % 8);
            }
            self.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check, draws};
    use super::*;

    #[test]
    fn packets_draw_what_they_are_made_for() {
        for wanted in (0..5000).step_by(4) {
            let packets: Vec<Vec<u8>> = drawing(wanted).collect();
            assert_eq!(packets.len() as u64, wanted.div_ceil(MOST));
            let found: Option<u64> = packets.iter().map(|packet| draws(packet, 16_000)).sum();
            assert_eq!(found, Some(wanted));
            assert!(packets.iter().all(|packet| check(packet, 1).is_ok()));
        }
    }
}
