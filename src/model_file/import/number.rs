//! Number formats of weights.

use burn::tensor::{bf16, f16};

use crate::bytes;

/// A number format of weights. All of them become f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// 64 bits.
    F64,
    /// 32 bits.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
}

impl Number {
    /// Bytes of a value.
    pub fn size(self) -> u64 {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The values of little-endian bytes, rounded to f32.
    pub fn values(self, data: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytes::to_f32(data),
            Self::F64 => {
                data.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect()
            }
            Self::F16 => {
                data.as_chunks::<2>().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect()
            }
            Self::Bf16 => {
                data.as_chunks::<2>().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IEEE 754: sign, 5 bits of exponent, 10 of fraction.
    fn half(bits: u16) -> f64 {
        let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
        let (exponent, fraction) = (i32::from((bits >> 10) & 31), f64::from(bits & 1023) / 1024.0);
        match exponent {
            31 if fraction > 0.0 => f64::NAN,
            31 => sign * f64::INFINITY,
            0 => sign * fraction * 2f64.powi(-14),
            e => sign * (1.0 + fraction) * 2f64.powi(e - 15),
        }
    }

    #[test]
    fn every_half_and_bfloat16_is_its_value() {
        let bits: Vec<u16> = (0..=u16::MAX).collect();
        let data: Vec<u8> = bits.iter().flat_map(|b| b.to_le_bytes()).collect();
        let equal =
            |a: f32, b: f64| f64::from(a).to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        for (&b, value) in bits.iter().zip(Number::F16.values(&data)) {
            assert!(equal(value, half(b)), "{b:#06x}: {value}");
        }
        for (&b, value) in bits.iter().zip(Number::Bf16.values(&data)) {
            assert!(
                equal(value, f64::from(f32::from_bits(u32::from(b) << 16))),
                "{b:#06x}: {value}"
            );
        }
    }

    #[test]
    fn doubles_are_rounded_to_the_nearest() {
        let values = [
            0.1,
            -0.0,
            1.0 + 2f64.powi(-24),
            1.0 + 3.0 * 2f64.powi(-24),
            2f64.powi(-149),
            1e-60,
            1e300,
        ];
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let wanted =
            [0.1f32, -0.0, 1.0, 1.0 + 4.0 * 2f32.powi(-24), f32::from_bits(1), 0.0, f32::INFINITY];
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&Number::F64.values(&data)), bits(&wanted));
        assert_eq!(Number::F32.values(&1.5f32.to_le_bytes()), [1.5]);
    }
}
