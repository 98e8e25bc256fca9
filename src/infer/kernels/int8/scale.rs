//! Bytes that stand for values.

/// How bytes stand for values: `step * (byte - zero)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    /// The distance of neighbouring values; a normal number above 0.
    pub step: f32,
    /// The byte of the value 0.
    pub zero: u8,
}

/// What values are rounded with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounding {
    /// Steps of a value of 1.
    pub inverse: f32,
    /// Steps of the values of the bytes 0 and 255.
    pub low: f32,
    pub high: f32,
    /// The byte of the value 0.
    pub zero: i32,
}

impl Scale {
    /// The scale of the range from `low` to `high`, which is widened to hold 0: 0 is always one of
    /// its values. Where no value is negative, `zero` is 0. A range of no width has the step 1.
    pub fn of([low, high]: [f32; 2]) -> Self {
        let (low, high) = (f64::from(low).min(0.0), f64::from(high).max(0.0));
        if low == high {
            return Self { step: 1.0, zero: 0 };
        }
        // The inverse of a smaller step is not finite.
        let step = (((high - low) / 255.0) as f32).max(f32::MIN_POSITIVE);
        Self { step, zero: (-low / f64::from(step)).round_ties_even() as u8 }
    }

    /// Four bytes of the value 0.
    pub fn word(self) -> u32 {
        u32::from_le_bytes([self.zero; 4])
    }

    /// The byte nearest to a value, ties to the even number of steps. Values beyond the range get
    /// the byte at its end, and so does NaN: 0.
    #[cfg(feature = "burn")]
    pub fn byte(self, value: f32) -> u8 {
        let Rounding { inverse, low, high, zero } = self.rounding();
        let steps = (value * inverse).max(low).min(high);
        (steps.round_ties_even() as i32 + zero) as u8
    }

    /// The value of a byte.
    #[cfg(feature = "burn")]
    pub fn value(self, byte: u8) -> f32 {
        f32::from(i16::from(byte) - i16::from(self.zero)) * self.step
    }

    pub(super) fn rounding(self) -> Rounding {
        let zero = f32::from(self.zero);
        Rounding {
            inverse: 1.0 / self.step,
            low: 0.0 - zero,
            high: 255.0 - zero,
            zero: i32::from(self.zero),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn a_range_is_covered_and_holds_zero() {
        let mut stream = Stream::new(1, "range", &[]);
        for _ in 0..1000 {
            let size = stream.between(-30.0, 30.0).exp2();
            let low = (-size * stream.uniform()) as f32;
            let high = (size * stream.uniform()) as f32;
            let scale = Scale::of([low, high]);
            assert_eq!(scale.byte(0.0), scale.zero);
            assert_eq!(scale.value(scale.zero), 0.0);
            // The zero is rounded, so an end may lie half a step outside.
            for end in [low, high] {
                let error = (scale.value(scale.byte(end)) - end).abs();
                assert!(error <= 0.5001 * scale.step, "{low}..{high}: {end} is off by {error}");
            }
            for byte in 0..=255 {
                assert_eq!(scale.byte(scale.value(byte)), byte);
            }
        }
    }

    #[test]
    fn ranges_at_their_limits() {
        assert_eq!(Scale::of([0.0, 0.0]), Scale { step: 1.0, zero: 0 });
        assert_eq!(Scale::of([0.0, 255.0]), Scale { step: 1.0, zero: 0 });
        assert_eq!(Scale::of([-255.0, 0.0]), Scale { step: 1.0, zero: 255 });
        assert_eq!(Scale::of([-127.0, 128.0]), Scale { step: 1.0, zero: 127 });
        // Widened to hold 0.
        assert_eq!(Scale::of([51.0, 255.0]), Scale { step: 1.0, zero: 0 });
        let least = Scale::of([0.0, f32::from_bits(1)]);
        assert!(least.rounding().inverse.is_finite());
        let most = Scale::of([f32::MIN, f32::MAX]);
        assert!(most.step.is_finite());
        assert_eq!([most.byte(f32::MIN), most.byte(f32::MAX)], [0, 255]);
    }

    #[test]
    fn values_are_rounded_to_even_and_clamped() {
        let scale = Scale { step: 0.5, zero: 10 };
        let values = [0.25, 0.75, -0.25, -0.75, -5.0, -5.5, 122.5, 200.0];
        let bytes = [10, 12, 10, 8, 0, 0, 255, 255];
        assert_eq!(values.map(|value| scale.byte(value)), bytes);
        let (infinity, nan) = (f32::INFINITY, f32::NAN);
        assert_eq!([infinity, -infinity, nan].map(|value| scale.byte(value)), [255, 0, 0]);
        assert_eq!(scale.value(12), 1.0);
        assert_eq!(scale.word(), 0x0a0a_0a0a);
    }
}
