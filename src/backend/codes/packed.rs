//! Codes as a string of bits.

/// Codes, each below `2^bits`, as a string of bits: first code and lowest bit first, zeros behind
/// the last.
pub fn pack(codes: &[u8], bits: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; packed_len(codes.len(), bits)];
    for (i, &code) in codes.iter().enumerate() {
        let (byte, shift) = (i * bits / 8, i * bits % 8);
        let both = u16::from(code) << shift;
        bytes[byte] |= both as u8;
        if shift + bits > 8 {
            bytes[byte + 1] |= (both >> 8) as u8;
        }
    }
    bytes
}

/// The first `count` codes of [`pack`]'s bytes.
pub fn codes(bytes: &[u8], bits: usize, count: usize) -> impl Iterator<Item = u8> + '_ {
    let mask = ((1u16 << bits) - 1) as u8;
    (0..count).map(move |i| {
        let (byte, shift) = (i * bits / 8, i * bits % 8);
        let next = bytes.get(byte + 1).copied().unwrap_or(0);
        (u16::from_le_bytes([bytes[byte], next]) >> shift) as u8 & mask
    })
}

/// Bytes of `count` codes.
pub fn packed_len(count: usize, bits: usize) -> usize {
    (count * bits).div_ceil(8)
}
