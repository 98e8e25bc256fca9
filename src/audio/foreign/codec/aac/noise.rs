//! Bands of noise (ISO 14496-3, 4.6.13): the one thing in AAC that a decoder draws.

use super::{Element, first};
use crate::audio::foreign::bits::Bits;

/// The book of a band that is noise.
const NOISE: u32 = 13;
/// The window sequence of eight short windows.
const SHORT: u32 = 2;

/// Whether the channel of a packet may have bands of noise. Packets of which that is not known may.
pub(in crate::audio::foreign::codec) fn may_have_noise(packet: &[u8]) -> bool {
    of_packet(packet).unwrap_or(true)
}

/// None if the packet ends too early, or begins with other channels.
fn of_packet(packet: &[u8]) -> Option<bool> {
    let mut bits = Bits::new(packet);
    loop {
        match first(&mut bits)? {
            Element::Single => return of_channel(&mut bits),
            Element::Other => {}
            Element::Pair | Element::End => return None,
        }
    }
}

/// A channel, behind the kind of its element, up to its sections.
fn of_channel(bits: &mut Bits) -> Option<bool> {
    // The element's number, the gain, a reserved bit.
    bits.skip(4 + 8 + 1)?;
    let is_short = bits.take(2)? == SHORT;
    bits.skip(1)?;
    let (bands, groups) = match is_short {
        true => {
            let bands = bits.take(4)?;
            // A zero begins a new group.
            let grouping = bits.take(7)?;
            (bands, 1 + 7 - grouping.count_ones())
        }
        false => {
            let bands = bits.take(6)?;
            // Low complexity has no prediction.
            if bits.take(1)? == 1 {
                return None;
            }
            (bands, 1)
        }
    };
    let width = if is_short { 3 } else { 5 };
    for _ in 0..groups {
        let mut band = 0;
        while band < bands {
            if bits.take(4)? == NOISE {
                return Some(true);
            }
            loop {
                let more = bits.take(width)?;
                band += more;
                if more < (1 << width) - 1 {
                    break;
                }
            }
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::super::tests::packed;
    use super::*;

    #[test]
    fn bands_of_noise_are_found_by_their_book() {
        let long = |sections: &str| format!("000 0000 00000000 0 00 0 000101 0 {sections}");
        let short = |sections: &str| format!("000 0000 00000000 0 10 0 0010 0111111 {sections}");
        for (packet, wanted) in [
            (long("0001 00010 0010 00011 0000"), false),
            (long("0001 00010 1101 00011 0000"), true),
            // Two groups of two bands.
            (short("0001 010 0001 010 0000"), false),
            (short("0001 010 0001 001 1101 001 0000"), true),
            // Behind two bytes of filling.
            (format!("110 0010 {} {}", "0".repeat(16), long("0001 00101 0000")), false),
            // A pair, an end, prediction, a packet that is cut off.
            ("001 0000".to_owned(), true),
            ("111".to_owned(), true),
            ("000 0000 00000000 0 00 0 000101 1 0001 00101".to_owned(), true),
            (long("0001 00010"), true),
        ] {
            assert_eq!(may_have_noise(&packed(&packet)), wanted, "{packet}");
        }
    }
}
