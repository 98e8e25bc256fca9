//! The two checksums of HDF5.

use super::source::Cursor;

/// Bytes of a checksum.
pub(super) const SUM: usize = 4;

/// A structure without the checksum at its end, which must be its own.
pub(super) fn checked(structure: Cursor<'_>) -> Result<Cursor<'_>, String> {
    let (body, sum) = structure.0.split_last_chunk::<SUM>().ok_or("a part of it is too short")?;
    match lookup3(body) == u32::from_le_bytes(*sum) {
        true => Ok(Cursor(body)),
        false => Err("a checksum is not that of its bytes".into()),
    }
}

/// Of structures: Bob Jenkins' `hashlittle` of lookup3 (burtleburtle.net/bob/c/lookup3.c) with the
/// initial value 0.
pub(super) fn lookup3(bytes: &[u8]) -> u32 {
    const BLOCK: usize = 12;
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let [mut a, mut b, mut c] = [start; 3];
    let words = |block: &[u8]| {
        let mut padded = [0; BLOCK];
        padded[..block.len()].copy_from_slice(block);
        let [a, b, c] = [0, 4, 8]
            .map(|i| u32::from_le_bytes([padded[i], padded[i + 1], padded[i + 2], padded[i + 3]]));
        (a, b, c)
    };
    // The last block is treated otherwise, even if it is whole.
    let (body, tail) = bytes.split_at(bytes.len().saturating_sub(1) / BLOCK * BLOCK);
    for block in body.chunks_exact(BLOCK) {
        let (x, y, z) = words(block);
        (a, b, c) = (a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(z));
        for turn in [4, 6, 8, 16, 19, 4] {
            let mixed = a.wrapping_sub(c) ^ c.rotate_left(turn);
            (a, b, c) = (b, c.wrapping_add(b), mixed);
        }
    }
    if tail.is_empty() {
        return c;
    }
    let (x, y, z) = words(tail);
    (a, b, c) = (a.wrapping_add(x), b.wrapping_add(y), c.wrapping_add(z));
    for turn in [14, 11, 25, 16, 4, 14, 24] {
        (a, b, c) = (b, (c ^ b).wrapping_sub(b.rotate_left(turn)), a);
    }
    b
}

/// Of chunks: Fletcher's sums of words of 16 bits, the higher byte first.
pub(super) fn fletcher32(bytes: &[u8]) -> u32 {
    let folded = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let (mut low, mut high) = (0, 0);
    for pair in bytes.chunks(2) {
        let word = (u32::from(pair[0]) << 8) | pair.get(1).map_or(0, |&byte| u32::from(byte));
        low = folded(low + word);
        high = folded(high + low);
    }
    (high << 16) | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_known_texts() {
        // From the comments of lookup3.c.
        assert_eq!(lookup3(b""), 0xdead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
        // Words 0x6162, 0x6364, 0x6500 by hand: their sum, and the sum of the sums.
        let (first, second, third) = (0x6162, 0x6162 + 0x6364, 0x6162 + 0x6364 + 0x6500 - 0xffff);
        let high = (first + second + third) % 0xffff;
        assert_eq!(fletcher32(b"abcde"), (high << 16) | third);
    }
}
