//! Bands of noise (ISO 14496-3, 4.6.13): the one thing in AAC that a decoder draws.

use std::ops::Range;

use super::{Element, first};
use crate::audio::foreign::bits::Bits;

/// The book of a band that is noise.
const NOISE: u32 = 13;
/// The window sequence of eight short windows.
const SHORT: u32 = 2;

/// Samples per second for which the bands are known here: 16, 12 and 11.025 kHz have the same.
const KNOWN: Range<u32> = 9391..18_783;
/// Where the bands of a long window begin and end at these rates.
const LONG_BANDS: [u64; 44] = [
    0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 100, 112, 124, 136, 148, 160, 172, 184, 196, 212,
    228, 244, 260, 280, 300, 320, 344, 368, 396, 424, 456, 492, 532, 572, 616, 664, 716, 772, 832,
    896, 960, 1024,
];
/// Where those of a short window do.
pub(super) const SHORT_BANDS: [u64; 16] =
    [0, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 60, 72, 88, 108, 128];

/// Whether the channel of a packet may have bands of noise. Packets of which that is not known may.
pub(in crate::audio::foreign::codec) fn may_have_noise(packet: &[u8]) -> bool {
    let mut found = false;
    let is_known = noise(packet, |_| found = true).is_some();
    found || !is_known
}

/// How many numbers a decoder draws for a packet of one channel, one for each value of noise. None
/// where that is not known.
pub(in crate::audio::foreign::codec) fn draws(packet: &[u8], rate: u32) -> Option<u64> {
    let mut sum = Some(0);
    noise(packet, |found| sum = sum.zip(found.values(rate)).map(|(sum, values)| sum + values))?;
    sum
}

/// Bands of noise side by side.
struct Found {
    is_short: bool,
    /// Windows that have them.
    windows: u64,
    bands: Range<usize>,
}

impl Found {
    /// The number of their values, if the bands are known.
    fn values(&self, rate: u32) -> Option<u64> {
        let ends: &[u64] = if self.is_short { &SHORT_BANDS } else { &LONG_BANDS };
        let Range { start, end } = self.bands;
        let width = ends.get(end)? - ends.get(start)?;
        KNOWN.contains(&rate).then_some(width * self.windows)
    }
}

/// Visits the noise of a packet's channel. None if the packet ends too early, or begins with other
/// channels.
fn noise(packet: &[u8], visit: impl FnMut(Found)) -> Option<()> {
    let mut bits = Bits::new(packet);
    loop {
        match first(&mut bits)? {
            Element::Single => return of_channel(&mut bits, visit),
            Element::Other => {}
            Element::Pair | Element::End => return None,
        }
    }
}

/// A channel, behind the kind of its element, up to its sections.
fn of_channel(bits: &mut Bits, mut visit: impl FnMut(Found)) -> Option<()> {
    // The element's number, the gain, a reserved bit.
    bits.skip(4 + 8 + 1)?;
    let is_short = bits.take(2)? == SHORT;
    bits.skip(1)?;
    // The windows of each group.
    let (mut windows, mut groups) = ([1; 8], 1);
    let bands = match is_short {
        true => {
            let bands = bits.take(4)?;
            for _ in 1..8 {
                // A zero begins a new group.
                match bits.take(1)? {
                    0 => groups += 1,
                    _ => windows[groups - 1] += 1,
                }
            }
            bands as usize
        }
        false => {
            let bands = bits.take(6)?;
            // Low complexity has no prediction.
            if bits.take(1)? == 1 {
                return None;
            }
            bands as usize
        }
    };
    let width = if is_short { 3 } else { 5 };
    for &windows in &windows[..groups] {
        let mut band = 0;
        while band < bands {
            let (book, begin) = (bits.take(4)?, band);
            loop {
                let more = bits.take(width)?;
                band += more as usize;
                if more < (1 << width) - 1 {
                    break;
                }
            }
            if band > bands {
                return None;
            }
            if book == NOISE {
                visit(Found { is_short, windows, bands: begin..band });
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::packed;
    use super::*;

    fn long(sections: &str) -> Vec<u8> {
        packed(&format!("000 0000 00000000 0 00 0 000101 0 {sections}"))
    }

    /// Two groups, the first of one window.
    fn short(sections: &str) -> Vec<u8> {
        packed(&format!("000 0000 00000000 0 10 0 0010 0111111 {sections}"))
    }

    #[test]
    fn bands_of_noise_are_found_by_their_book() {
        let filled = format!("110 0010 {} 000 0000 00000000 0 00 0 000101 0", "0".repeat(16));
        for (packet, wanted) in [
            (long("0001 00010 0010 00011 0000"), false),
            (long("0001 00010 1101 00011 0000"), true),
            // Groups of two bands.
            (short("0001 010 0001 010 0000"), false),
            (short("0001 010 0001 001 1101 001 0000"), true),
            // Behind two bytes of filling.
            (packed(&format!("{filled} 0001 00101 0000")), false),
            // A pair, an end, prediction, more bands than there are, a packet that is cut off.
            (packed("001 0000"), true),
            (packed("111"), true),
            (packed("000 0000 00000000 0 00 0 000101 1 0001 00101"), true),
            (long("0001 00110 0000"), true),
            (long("0001 00010"), true),
        ] {
            assert_eq!(may_have_noise(&packet), wanted, "{packet:?}");
        }
    }

    #[test]
    fn every_value_of_noise_is_drawn() {
        for (packet, rate, wanted) in [
            (long("0001 00010 1101 00011 0000"), 16_000, Some(24)),
            (long("1101 00001 0001 00010 1101 00010 0000"), 11_025, Some(24)),
            (long("0001 00101 0000"), 16_000, Some(0)),
            (short("0001 010 0001 001 1101 001 0000"), 16_000, Some(7 * 4)),
            (short("1101 010 1101 001 0001 001 0000"), 16_000, Some(8 + 7 * 4)),
            // At other rates the bands are not known here.
            (long("0001 00010 1101 00011 0000"), 44_100, None),
            (long("0001 00101 0000"), 44_100, Some(0)),
            (long("1101 00010"), 16_000, None),
        ] {
            assert_eq!(draws(&packet, rate), wanted, "{packet:?} at {rate} Hz");
        }
    }
}
