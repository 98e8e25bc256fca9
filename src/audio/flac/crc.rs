//! Checksums of FLAC frames (RFC 9639, sections 9.1.8 and 9.3): most significant bit first, from 0.

const CRC8: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = (remainder((i as u16) << 8, 0x0700) >> 8) as u8;
        i += 1;
    }
    table
};

const CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = remainder((i as u16) << 8, 0x8005);
        i += 1;
    }
    table
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
    bytes.iter().fold(0u16, |crc, &byte| (crc << 8) ^ CRC16[usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_checksums() {
        // The published check values, those of the digits 1 to 9.
        assert_eq!(crc8(b"123456789"), 0xf4);
        assert_eq!(crc16(b"123456789"), 0xfee8);
    }
}
