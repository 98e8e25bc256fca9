//! Codes become weights.

#![allow(unsafe_code, reason = "vector instructions are used where the level has them")]

use super::super::Level;

/// The value of each code.
#[derive(Clone, Copy)]
pub(super) enum Table<'a> {
    /// For all weights: one value a code.
    One(&'a [f32]),
    /// For each of 16 neighbours its own: 16 values a code.
    Lanes(&'a [f32]),
}

/// Weights of `bits` bits each, whose number is a multiple of 16. Behind the last code 8 more bytes
/// can be read.
pub(super) fn unpack(
    level: Level,
    codes: &[u8],
    bits: usize,
    table: Table<'_>,
    weights: &mut [f32],
) {
    match (level, table) {
        #[cfg(target_arch = "x86_64")]
        (Level::Avx512, Table::One(table)) if bits <= 4 => {
            // SAFETY: a level is used where the processor has its instructions.
            unsafe { x86_64::few(codes, bits, table, weights) }
        }
        #[cfg(target_arch = "x86_64")]
        (Level::Avx512, Table::Lanes(table)) if bits == 1 => {
            // SAFETY: as above.
            unsafe { x86_64::two(codes, table, weights) }
        }
        (_, Table::One(table)) => plain(codes, bits, weights, |code, _| table[code]),
        (_, Table::Lanes(table)) => {
            plain(codes, bits, weights, |code, lane| table[code * 16 + lane]);
        }
    }
}

/// One code after the other. Eight of them begin on a byte.
#[inline(always)]
fn plain(codes: &[u8], bits: usize, weights: &mut [f32], value: impl Fn(usize, usize) -> f32) {
    let mask = (1usize << bits) - 1;
    let (groups, _) = weights.as_chunks_mut::<8>();
    for (i, group) in groups.iter_mut().enumerate() {
        let mut word = [0; 8];
        word.copy_from_slice(&codes[i * bits..][..8]);
        let word = u64::from_le_bytes(word);
        for (j, weight) in group.iter_mut().enumerate() {
            *weight = value((word >> (j * bits)) as usize & mask, i % 2 * 8 + j);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;

    /// Codes of up to 4 bits: the table is one vector.
    #[target_feature(enable = "avx512f")]
    pub(super) fn few(codes: &[u8], bits: usize, table: &[f32], weights: &mut [f32]) {
        let mut entries = [0.0f32; 16];
        entries[..1 << bits].copy_from_slice(&table[..1 << bits]);
        let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
        let shifts = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(bits as i32));
        let mask = _mm512_set1_epi32((1 << bits) - 1);
        // SAFETY: as many values as lanes.
        let table = unsafe { _mm512_loadu_ps(entries.as_ptr()) };
        let (groups, _) = weights.as_chunks_mut::<16>();
        for (group, codes) in groups.iter_mut().zip(codes.windows(bits + 4).step_by(2 * bits)) {
            let word = |at: usize| {
                let bytes = [codes[at], codes[at + 1], codes[at + 2], codes[at + 3]];
                i32::from_le_bytes(bytes)
            };
            let low = _mm512_set1_epi32(word(0));
            let words = _mm512_mask_set1_epi32(low, 0xff00, word(bits));
            let codes = _mm512_and_si512(_mm512_srlv_epi32(words, shifts), mask);
            // SAFETY: the group has as many values as lanes.
            unsafe {
                _mm512_storeu_ps(group.as_mut_ptr(), _mm512_permutexvar_ps(codes, table));
            }
        }
    }

    /// Codes of 1 bit, with two values for each lane.
    #[target_feature(enable = "avx512f")]
    pub(super) fn two(codes: &[u8], table: &[f32], weights: &mut [f32]) {
        let (tables, _) = table.as_chunks::<16>();
        // SAFETY: each has as many values as lanes.
        let [zero, one] = [0, 1].map(|code| unsafe { _mm512_loadu_ps(tables[code].as_ptr()) });
        let (groups, _) = weights.as_chunks_mut::<16>();
        for (group, codes) in groups.iter_mut().zip(codes.as_chunks::<2>().0) {
            let values = _mm512_mask_blend_ps(u16::from_le_bytes(*codes), zero, one);
            // SAFETY: the group has as many values as lanes.
            unsafe { _mm512_storeu_ps(group.as_mut_ptr(), values) };
        }
    }
}
