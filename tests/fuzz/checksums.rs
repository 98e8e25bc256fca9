//! Checksums of the formats that are fuzzed, so that a damaged file can be made to look whole.

/// A checksum that shifts left, most significant bit first, begins with 0 and is not inverted.
fn shifted(bytes: &[u8], polynomial: u32, width: u32) -> u32 {
    let top = 1u32 << (width - 1);
    let mask = top | (top - 1);
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ (u32::from(byte) << (width - 8)), |crc, _| {
            (if crc & top != 0 { (crc << 1) ^ polynomial } else { crc << 1 }) & mask
        })
    })
}

/// Of a FLAC frame's header (RFC 9639, section 9.1.8).
pub fn crc8(bytes: &[u8]) -> u8 {
    shifted(bytes, 0x07, 8) as u8
}

/// Of a FLAC frame (RFC 9639, section 9.3).
pub fn crc16(bytes: &[u8]) -> u16 {
    shifted(bytes, 0x8005, 16) as u16
}

/// Of an entry of a zip archive (PKWARE's APPNOTE, section 4.4.7).
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 != 0 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

/// MD5 (RFC 1321): FLAC keeps that of its samples.
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] =
        [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend((8 * bytes.len() as u64).to_le_bytes());
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded.chunks_exact(64) {
        let word = |i: usize| {
            u32::from_le_bytes([block[4 * i], block[4 * i + 1], block[4 * i + 2], block[4 * i + 3]])
        };
        let [mut a, mut b, mut c, mut d] = state;
        for i in 0..64 {
            let (mixed, k) = match i / 16 {
                0 => ((b & c) | (!b & d), i),
                1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
                2 => (b ^ c ^ d, (3 * i + 5) % 16),
                _ => (c ^ (b | !d), 7 * i % 16),
            };
            let constant = ((i as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(constant).wrapping_add(word(k));
            (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(SHIFTS[i / 16][i % 4])));
        }
        state = [
            state[0].wrapping_add(a),
            state[1].wrapping_add(b),
            state[2].wrapping_add(c),
            state[3].wrapping_add(d),
        ];
    }
    let mut digest = [0; 16];
    digest
        .chunks_exact_mut(4)
        .zip(state)
        .for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_le_bytes()));
    digest
}

/// Of HDF5's metadata: Bob Jenkins' lookup3, `hashlittle` with the value 0 to begin with.
pub fn lookup3(mut bytes: &[u8]) -> u32 {
    let mut state = [0xdead_beef_u32.wrapping_add(bytes.len() as u32); 3];
    let add = |state: &mut [u32; 3], block: &[u8]| {
        for (i, &byte) in block.iter().enumerate() {
            state[i / 4] = state[i / 4].wrapping_add(u32::from(byte) << (8 * (i % 4)));
        }
    };
    while bytes.len() > 12 {
        let (block, rest) = bytes.split_at(12);
        add(&mut state, block);
        for (i, turn) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
            let (x, y, z) = (i % 3, (i + 2) % 3, (i + 1) % 3);
            state[x] = state[x].wrapping_sub(state[y]) ^ state[y].rotate_left(turn);
            state[y] = state[y].wrapping_add(state[z]);
        }
        bytes = rest;
    }
    if bytes.is_empty() {
        return state[2];
    }
    add(&mut state, bytes);
    for (i, turn) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
        let (x, y) = ((i + 2) % 3, (i + 1) % 3);
        state[x] = (state[x] ^ state[y]).wrapping_sub(state[y].rotate_left(turn));
    }
    state[2]
}

/// Makes the checksums of an HDF5 file those of its superblock and object headers, where they are
/// of the versions that have some.
pub fn seal_hdf5(file: &mut [u8]) {
    if file.get(8).is_some_and(|version| [2, 3].contains(version)) {
        seal_block(file, 0, 44);
    }
    let is_header = |at: &usize| file[*at..].starts_with(b"OHDR");
    let headers: Vec<usize> = (0..file.len()).filter(is_header).collect();
    for at in headers {
        let Some(&flags) = file.get(at + 5) else { continue };
        // Times, and limits of attributes.
        let more = 16 * usize::from(flags & 0x20 != 0) + 4 * usize::from(flags & 0x10 != 0);
        let (begin, width) = (at + 6 + more, 1usize << (flags & 3));
        let Some(digits) = file.get(begin..begin + width) else { continue };
        let size = digits.iter().rev().fold(0u64, |size, &byte| (size << 8) | u64::from(byte));
        if size <= file.len() as u64 {
            seal_block(file, at, begin + width + size as usize);
        }
    }
}

/// Puts the checksum of a block behind it, if there is room.
fn seal_block(file: &mut [u8], begin: usize, end: usize) {
    if end + 4 <= file.len() {
        let sum = lookup3(&file[begin..end]).to_le_bytes();
        file[end..end + 4].copy_from_slice(&sum);
    }
}
