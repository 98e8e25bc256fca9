//! The dynamic-tree data type: 256 values in [-1, 1] whose spacing grows with their size, seven
//! decades each way.

use std::sync::LazyLock;

use crate::backend::bound;

/// Values of a map.
pub const CODES: usize = 256;

/// Which of the two maps. Construction as in `create_dynamic_map` of bitsandbytes, bit for bit
/// (Dettmers et al., *8-bit Optimizers via Block-wise Quantization*, 2021, section 1.3): for each
/// decade `10^-6 ..= 10^0` the mid-points of equal parts of [0.1, 1], twice as many from decade to
/// decade, then 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodeMap {
    /// For values of both signs: 1, 2, 4 ... 64 values a decade and sign. There is 1 but no -1;
    /// code 127 is 0.
    Signed,
    /// For values that are not negative: 2, 4, 8 ... 128 values a decade. Code 0 is 0.
    Unsigned,
}

struct Table {
    values: [f32; CODES],
    bounds: [f32; CODES - 1],
}

static SIGNED: LazyLock<Table> = LazyLock::new(|| Table::new(true));
static UNSIGNED: LazyLock<Table> = LazyLock::new(|| Table::new(false));

impl Table {
    fn new(signed: bool) -> Self {
        let mut values = vec![0.0f32, 1.0];
        for decade in 0..7 {
            let scale = 10f64.powi(decade - 6) as f32;
            let parts = 1usize << (decade as usize + usize::from(!signed));
            let step = (1.0f32 - 0.1) / parts as f32;
            // The end points as a fused multiply-add gives them, from whichever end is nearer.
            let end = |k: usize| match k < parts.div_ceil(2) {
                true => (f64::from(0.1f32) + f64::from(step) * k as f64) as f32,
                false => (1.0 - f64::from(step) * (parts - k) as f64) as f32,
            };
            for k in 0..parts {
                let value = scale * ((end(k) + end(k + 1)) / 2.0);
                values.push(value);
                if signed {
                    values.push(-value);
                }
            }
        }
        values.sort_by(f32::total_cmp);
        let values: [f32; CODES] =
            values.try_into().expect("127 values a sign, or 254, with 0 and 1");
        Self { values, bounds: std::array::from_fn(|i| bound(values[i], values[i + 1])) }
    }
}

impl CodeMap {
    fn table(self) -> &'static Table {
        match self {
            Self::Signed => &SIGNED,
            Self::Unsigned => &UNSIGNED,
        }
    }

    /// The values by code, ascending.
    pub fn values(self) -> &'static [f32; CODES] {
        &self.table().values
    }

    /// `x` has a code above `i` exactly if `x > bounds()[i]`.
    pub fn bounds(self) -> &'static [f32; CODES - 1] {
        &self.table().bounds
    }

    /// The code whose value is 0.
    pub const fn zero(self) -> u8 {
        match self {
            Self::Signed => 127,
            Self::Unsigned => 0,
        }
    }

    /// The code of the value nearest to `x`; the lower of two equally near ones. NaN counts as 0.
    pub fn nearest(self, x: f32) -> u8 {
        match x.is_nan() {
            true => self.zero(),
            false => self.bounds().partition_point(|&b| x > b) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ends_and_zero_are_where_they_belong() {
        let (signed, unsigned) = (CodeMap::Signed.values(), CodeMap::Unsigned.values());
        assert_eq!((signed[0], signed[127], signed[255]), (-0.992_968_74, 0.0, 1.0));
        assert_eq!((unsigned[0], unsigned[254], unsigned[255]), (0.0, 0.996_484_4, 1.0));
        for map in [CodeMap::Signed, CodeMap::Unsigned] {
            assert!(map.values().is_sorted_by(|a, b| a < b));
            assert_eq!(map.values()[usize::from(map.zero())], 0.0);
            for (code, &value) in map.values().iter().enumerate() {
                assert_eq!(usize::from(map.nearest(value)), code);
            }
        }
        assert_eq!((1..=127).filter(|&i| signed[127 - i] == -signed[127 + i]).count(), 127);
    }

    /// Distances in f64, which holds every difference of an f32 and a value of the map exactly
    /// enough to order them.
    fn brute_force(map: CodeMap, x: f32) -> u8 {
        let distance = |code: usize| (f64::from(x) - f64::from(map.values()[code])).abs();
        (0..CODES)
            .reduce(|best, code| if distance(code) < distance(best) { code } else { best })
            .unwrap() as u8
    }

    #[test]
    fn mid_points_go_to_the_lower_code_and_their_neighbours_to_their_own() {
        for map in [CodeMap::Signed, CodeMap::Unsigned] {
            for (code, &bound) in map.bounds().iter().enumerate() {
                assert_eq!(usize::from(map.nearest(bound)), code);
                assert_eq!(usize::from(map.nearest(bound.next_up())), code + 1);
                for x in [bound.next_down(), bound, bound.next_up()] {
                    assert_eq!(map.nearest(x), brute_force(map, x), "{x:e}");
                }
            }
        }
    }

    #[test]
    fn odd_numbers_have_a_code() {
        for map in [CodeMap::Signed, CodeMap::Unsigned] {
            for x in [0.0, -0.0, f32::from_bits(1), -f32::from_bits(1), f32::MIN_POSITIVE, f32::NAN]
            {
                assert_eq!(map.nearest(x), map.zero(), "{x:e}");
            }
            assert_eq!((map.nearest(f32::MAX), map.nearest(f32::INFINITY)), (255, 255));
            assert_eq!((map.nearest(f32::MIN), map.nearest(f32::NEG_INFINITY)), (0, 0));
        }
    }

    proptest! {
        #[test]
        fn nearest_is_what_brute_force_finds(x: f32) {
            // Far away f64 cannot tell the distances apart any more.
            let x = x.clamp(-1e9, 1e9);
            for map in [CodeMap::Signed, CodeMap::Unsigned] {
                prop_assert_eq!(map.nearest(x), brute_force(map, x));
            }
        }

        #[test]
        fn nearest_is_what_brute_force_finds_where_the_codes_are(x in -1.0f32..=1.0) {
            for map in [CodeMap::Signed, CodeMap::Unsigned] {
                prop_assert_eq!(map.nearest(x), brute_force(map, x));
            }
        }
    }
}
