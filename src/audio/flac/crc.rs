//! Checksums of FLAC frames (RFC 9639, sections 9.1.8 and 9.3): most significant bit first, from 0.

static CRC8: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = (remainder((i as u16) << 8, 0x0700) >> 8) as u8;
        i += 1;
    }
    table
};

/// Bytes that are divided at a time.
const STEP: usize = 16;

/// The remainders of a byte with 0, 1, 2, ... zero bytes behind it.
static CRC16: [[u16; 256]; STEP] = {
    let mut tables = [[0; 256]; STEP];
    let mut i = 0;
    while i < 256 {
        let mut crc = (i as u16) << 8;
        let mut zeros = 0;
        while zeros < STEP {
            crc = remainder(crc, 0x8005);
            tables[zeros][i] = crc;
            zeros += 1;
        }
        i += 1;
    }
    tables
};

/// The remainder of a byte, which stands in the high half of `value`, divided by a polynomial of
/// degree 16. A polynomial of degree 8 stands in the high half, and so does its remainder.
const fn remainder(mut value: u16, polynomial: u16) -> u16 {
    let mut bit = 0;
    while bit < 8 {
        value = if value & 0x8000 == 0 { value << 1 } else { (value << 1) ^ polynomial };
        bit += 1;
    }
    value
}

/// The checksum of a frame's header, with the polynomial x^8 + x^2 + x + 1.
pub(super) fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |crc, &byte| CRC8[usize::from(crc ^ byte)])
}

/// The checksum of a frame, with the polynomial x^16 + x^15 + x^2 + 1.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let crc = steps.iter().fold(0u16, |crc, step| {
        let [high, low] = crc.to_be_bytes();
        let mut step = *step;
        step[0] ^= high;
        step[1] ^= low;
        // The bytes that wait for the checksum so far come last.
        step.iter()
            .rev()
            .zip(&CRC16)
            .fold(0u16, |crc, (&byte, table)| crc ^ table[usize::from(byte)])
    });
    rest.iter().fold(crc, |crc, &byte| (crc << 8) ^ CRC16[0][usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_checksums() {
        // The published check values, those of the digits 1 to 9.
        assert_eq!(crc8(b"123456789"), 0xf4);
        assert_eq!(crc16(b"123456789"), 0xfee8);
    }

    proptest! {
        #[test]
        fn many_bytes_at_a_time_or_one(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let wanted = bytes
                .iter()
                .fold(0u16, |crc, &byte| remainder(crc ^ (u16::from(byte) << 8), 0x8005));
            prop_assert_eq!(crc16(&bytes), wanted);
        }
    }
}
