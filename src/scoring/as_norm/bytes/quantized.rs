//! Vectors rounded to bytes.

use crate::lanes::Lanes;

/// How a vector was rounded.
#[derive(Clone, Copy)]
pub(super) struct Quantized {
    /// What the bytes are multiples of.
    pub step: f32,
    /// The length of the difference.
    pub error: f32,
}

impl Quantized {
    /// Rounds a unit vector to `bytes` from -127 to 127. Zeros fill the last group of four.
    pub fn of(unit: &[f64], bytes: &mut Vec<i8>) -> Self {
        // A number of this size has no digits behind the point, and its last eight bits are those
        // of the whole number that was added.
        const WHOLE: f64 = (3u64 << 51) as f64;

        let largest = unit.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let step = (largest / 127.0) as f32;
        let wide = f64::from(step);
        let inverse = if wide > 0.0 { 1.0 / wide } else { 0.0 };
        bytes.clear();
        bytes.extend(unit.iter().map(|x| (x * inverse + WHOLE).to_bits() as i8));
        let square = Lanes::<8>::sum2(unit, &bytes[..], |x, q| {
            let off = x - wide * f64::from(q);
            off * off
        });
        bytes.resize(unit.len().next_multiple_of(4), 0);
        Self { step, error: square.sqrt() as f32 }
    }
}
