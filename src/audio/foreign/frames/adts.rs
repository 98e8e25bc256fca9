//! The headers of AAC frames in ADTS (ISO 13818-7).

use super::{Head, Syntax};
use crate::audio::foreign::bits::Bits;
use crate::audio::foreign::codec::aac;

pub(super) const SYNTAX: Syntax = Syntax { name: "AAC (ADTS)", parse };

/// The fields of a header.
struct Fields {
    object: u8,
    rate: u8,
    channels: u8,
    /// Bytes of the header.
    header: usize,
    /// Bytes of the frame.
    bytes: usize,
}

fn fields(bytes: &[u8]) -> Option<Fields> {
    let mut bits = Bits::new(bytes);
    if bits.take(12)? != 0xfff {
        return None;
    }
    bits.skip(1)?;
    let layer = bits.take(2)?;
    let header = if bits.take(1)? == 1 { 7 } else { 9 };
    let (object, rate) = (bits.take(2)? as u8 + 1, bits.take(4)? as u8);
    bits.skip(1)?;
    let channels = bits.take(3)? as u8;
    bits.skip(4)?;
    let bytes = bits.take(13)? as usize;
    bits.skip(11)?;
    let packets = bits.take(2)? + 1;
    let makes_sense = layer == 0 && packets == 1 && bytes > header;
    makes_sense.then_some(Fields { object, rate, channels, header, bytes })
}

fn parse(bytes: &[u8]) -> Option<Head> {
    let fields = fields(bytes)?;
    Some(Head {
        bytes: fields.bytes,
        before: fields.header,
        samples: aac::SAMPLES,
        rate: *aac::RATES.get(usize::from(fields.rate))?,
        channels: usize::from(fields.channels),
    })
}

/// The configuration that a header stands for.
pub(super) fn config(bytes: &[u8]) -> Option<Vec<u8>> {
    let Fields { object, rate, channels, .. } = fields(bytes)?;
    Some(vec![(object << 3) | (rate >> 1), (rate << 7) | (channels << 3)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_give_lengths_and_configurations() {
        // 16 kHz, one channel, 100 bytes without a checksum.
        let header = [0xff, 0xf1, 0x60, 0x40, 0x0c, 0x9f, 0xfc, 0];
        let wanted = Head { bytes: 100, before: 7, samples: 1024, rate: 16_000, channels: 1 };
        assert_eq!(parse(&header), Some(wanted));
        assert_eq!(config(&header), Some(vec![0x14, 0x08]));
        for (at, value) in [(0, 0xfe), (1, 0xf3), (2, 0x7c), (6, 0xfd), (4, 0)] {
            let mut bad = header;
            bad[at] = value;
            if at == 4 {
                bad[5] = 0x1f;
            }
            assert_eq!(parse(&bad), None, "{at}");
        }
        assert_eq!(parse(&header[..6]), None);
    }
}
