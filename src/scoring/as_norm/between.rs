//! The places of values within limits.

#![allow(unsafe_code, reason = "vector instructions are used where the processor has them")]

/// How many values a vector holds.
#[cfg(target_arch = "x86_64")]
const WIDTH: usize = 16;

/// The places of the values from `low` on and below `high`, in their order. They lie in `room`,
/// which only grows.
pub(super) fn between<'r>(
    values: &[f32],
    low: f32,
    high: f32,
    room: &'r mut Vec<u32>,
) -> &'r [u32] {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("popcnt") {
        // SAFETY: the processor has these instructions.
        return unsafe { with_512_bits(values, low, high, room) };
    }
    plain(values, low, high, room)
}

fn plain<'r>(values: &[f32], low: f32, high: f32, room: &'r mut Vec<u32>) -> &'r [u32] {
    room.resize(room.len().max(values.len()), 0);
    let mut count = 0;
    // Without a branch: which values pass cannot be foreseen.
    for (place, &x) in (0..).zip(values) {
        room[count] = place;
        count += usize::from((x >= low) & (x < high));
    }
    &room[..count]
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,popcnt")]
fn with_512_bits<'r>(values: &[f32], low: f32, high: f32, room: &'r mut Vec<u32>) -> &'r [u32] {
    use std::arch::x86_64::*;

    room.resize(room.len().max(values.len() + WIDTH), 0);
    let (least, end) = (_mm512_set1_ps(low), _mm512_set1_ps(high));
    let mut places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let (groups, rest) = values.as_chunks::<WIDTH>();
    let mut count = 0;
    for group in groups {
        // SAFETY: a group is a whole vector.
        let x = unsafe { _mm512_loadu_ps(group.as_ptr()) };
        let passed =
            _mm512_cmp_ps_mask::<_CMP_GE_OQ>(x, least) & _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, end);
        // A whole vector is stored: some processors are slow to store the packed part alone.
        let packed = _mm512_maskz_compress_epi32(passed, places);
        let to = &mut room[count..count + WIDTH];
        // SAFETY: `to` has room for a whole vector.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), packed) };
        count += passed.count_ones() as usize;
        places = _mm512_add_epi32(places, _mm512_set1_epi32(WIDTH as i32));
    }
    let first = values.len() - rest.len();
    for (place, &x) in (first as u32..).zip(rest) {
        room[count] = place;
        count += usize::from((x >= low) & (x < high));
    }
    &room[..count]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn places_are_those_of_the_plain_twin() {
        let (mut stream, mut room) = (Stream::new(1, "test", &[]), Vec::new());
        for _ in 0..2000 {
            // Whole numbers, so that many values are at the limits.
            let count = stream.below(200);
            let values: Vec<f32> = (0..count).map(|_| stream.below(9) as f32).collect();
            let mut limit = || match stream.below(6) {
                0 => f32::NEG_INFINITY,
                1 => f32::INFINITY,
                n => n as f32,
            };
            let (low, high) = (limit(), limit());
            let wanted: Vec<u32> =
                (0..count as u32).filter(|&i| (low..high).contains(&values[i as usize])).collect();
            assert_eq!(between(&values, low, high, &mut room), wanted);
            assert_eq!(plain(&values, low, high, &mut room), wanted);
        }
    }
}
