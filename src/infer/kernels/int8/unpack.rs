//! Codes become weights of one byte, and these weights of two.

#![allow(unsafe_code, reason = "vector instructions are used where the processor has them")]

/// Weights of `bits` bits each, whose number is a multiple of 64, as words of four. `tables` has a
/// weight for each of `2^bits` codes; one table for all, or one for each of the outputs that take
/// turns word by word.
pub(super) fn unpack(codes: &[u8], bits: usize, tables: &[i8], words: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if tables.len() == 1 << bits && x86_64::is_available() {
        // SAFETY: the processor was found to have the instructions.
        unsafe { x86_64::unpack(codes, bits, tables, words) };
        return;
    }
    if tables.len() == 1 << bits {
        plain(codes, bits, words, |code, _| tables[code]);
    } else {
        let outputs = tables.len() >> bits;
        plain(codes, bits, words, |code, word| tables[((word % outputs) << bits) + code]);
    }
}

/// One code after the other. Eight of them begin on a byte.
#[inline(always)]
fn plain(codes: &[u8], bits: usize, words: &mut [u32], weight: impl Fn(usize, usize) -> i8) {
    let mask = (1usize << bits) - 1;
    let (pairs, _) = words.as_chunks_mut::<2>();
    for (i, (pair, codes)) in pairs.iter_mut().zip(codes.chunks_exact(bits)).enumerate() {
        let mut all = [0; 8];
        all[..bits].copy_from_slice(codes);
        let all = u64::from_le_bytes(all);
        for (j, word) in pair.iter_mut().enumerate() {
            let code = |k: usize| (all >> ((4 * j + k) * bits)) as usize & mask;
            let bytes = [0, 1, 2, 3].map(|k| weight(code(k), 2 * i + j) as u8);
            *word = u32::from_le_bytes(bytes);
        }
    }
}

/// Words of four i8 become two words of two i16 each: bytes 0 and 2, then 1 and 3.
pub(super) fn widen(words: &[u32], wide: &mut [u32]) {
    let two = |low: u32, high: u32| {
        let [low, high] = [low, high].map(|byte| u32::from(byte as i8 as i16 as u16));
        low | high << 16
    };
    for (&word, wide) in words.iter().zip(wide.as_chunks_mut::<2>().0) {
        *wide = [two(word, word >> 16), two(word >> 8, word >> 24)];
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;

    pub(super) fn is_available() -> bool {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi")
    }

    /// 64 codes at a time: eight go to each lane of 64 bits, from there each to a byte, and tables
    /// are vectors.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn unpack(codes: &[u8], bits: usize, table: &[i8], words: &mut [u32]) {
        let mut entries = [0i8; 256];
        entries[..1 << bits].copy_from_slice(table);
        let vector = |bytes: &[i8]| {
            let (bytes, _) = bytes.as_chunks::<64>();
            // SAFETY: as many bytes as lanes.
            unsafe { _mm512_loadu_si512(bytes[0].as_ptr().cast()) }
        };
        let [a, b, c, d] = [0, 64, 128, 192].map(|first| vector(&entries[first..]));
        let mut places = [0i8; 64];
        let mut shifts = [0i8; 64];
        for (i, (place, shift)) in places.iter_mut().zip(&mut shifts).enumerate() {
            *place = (i / 8 * bits + i % 8) as i8;
            *shift = (i % 8 * bits) as i8;
        }
        let (places, shifts) = (vector(&places), vector(&shifts));
        let mask = _mm512_set1_epi8(((1u16 << bits) - 1) as i8);
        let is_there = u64::MAX >> (64 - 8 * bits);
        let (groups, _) = words.as_chunks_mut::<16>();
        for (group, codes) in groups.iter_mut().zip(codes.chunks_exact(8 * bits)) {
            // SAFETY: as many bytes as codes; others are not touched.
            let codes = unsafe { _mm512_maskz_loadu_epi8(is_there, codes.as_ptr().cast()) };
            let codes = _mm512_permutexvar_epi8(places, codes);
            let codes = _mm512_and_si512(_mm512_multishift_epi64_epi8(shifts, codes), mask);
            let low = _mm512_permutex2var_epi8(a, codes, b);
            let weights = if bits < 8 {
                low
            } else {
                let high = _mm512_permutex2var_epi8(c, codes, d);
                _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high)
            };
            // SAFETY: the group has as many bytes.
            unsafe { _mm512_storeu_si512(group.as_mut_ptr().cast(), weights) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::codes::pack;
    use crate::rng::Stream;

    #[test]
    fn codes_become_their_weights() {
        let mut stream = Stream::new(5, "codes", &[]);
        for bits in 1..=8 {
            for (outputs, count) in [(1, 64), (1, 640), (8, 64), (4, 192)] {
                let codes: Vec<u8> = (0..count).map(|_| stream.below(1 << bits) as u8).collect();
                let tables: Vec<i8> =
                    (0..outputs << bits).map(|_| stream.below(256) as u8 as i8).collect();
                let mut words = vec![0; count / 4];
                let packed = pack(&codes, bits);
                unpack(&packed, bits, &tables, &mut words);
                let found: Vec<i8> =
                    words.iter().flat_map(|w| w.to_le_bytes()).map(|b| b as i8).collect();
                let table = |i: usize| (i / 4 % outputs) << bits;
                let wanted: Vec<i8> =
                    (0..count).map(|i| tables[table(i) + usize::from(codes[i])]).collect();
                assert_eq!(found, wanted, "{bits} bits, {outputs} outputs");
                if outputs == 1 {
                    plain(&packed, bits, &mut words, |code, _| tables[code]);
                    let plain = words.iter().flat_map(|w| w.to_le_bytes()).map(|b| b as i8);
                    assert!(plain.eq(wanted), "{bits} bits");
                }
            }
        }
    }

    #[test]
    fn wide_weights_are_even_and_odd_ones() {
        let word = u32::from_le_bytes([1, 0x80, 0xff, 5]);
        let mut wide = [0; 2];
        widen(&[word], &mut wide);
        assert_eq!(wide, [0xffff_0001, 0x0005_ff80]);
    }
}
