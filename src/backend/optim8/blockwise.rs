//! Block-wise quantization in scalar Rust: the plain twin of every other form of it.

use super::CodeMap;

/// How a value is rounded to a code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// The nearest code; the lower of two equally near ones.
    #[default]
    Nearest,
    /// The nearest code, but never 0 for a negative value (as the CUDA kernels of bitsandbytes do;
    /// there -0.0 is a negative value, here it is 0).
    SignPreserving,
    /// The nearest code, but never 0 for a value above 0: with a second moment that is not 0,
    /// Adam's step stays bounded.
    AboveZero,
}

/// How a tensor is held in 8 bits: each block of `block` values, in row-major order, has its
/// largest magnitude and a code a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Codec {
    /// Values of the codes.
    pub map: CodeMap,
    /// Rounding rule.
    pub rounding: Rounding,
    /// Values of a block; the last one may be shorter.
    pub block: usize,
}

impl Codec {
    /// Blocks of `count` values.
    pub fn blocks(&self, count: usize) -> usize {
        count.div_ceil(self.block)
    }

    /// The code of `x` in a block of largest magnitude `absmax`.
    pub fn encode(&self, x: f32, absmax: f32) -> u8 {
        let zero = self.map.zero();
        let code = if absmax > 0.0 { self.map.nearest(x / absmax) } else { zero };
        match self.rounding {
            Rounding::SignPreserving if code == zero && x < 0.0 => zero.saturating_sub(1),
            Rounding::AboveZero if code == zero && x > 0.0 => zero + 1,
            Rounding::Nearest | Rounding::SignPreserving | Rounding::AboveZero => code,
        }
    }

    /// Codes and largest magnitudes. Values must be finite.
    pub fn quantize(&self, values: &[f32]) -> (Vec<u8>, Vec<f32>) {
        let absmax: Vec<f32> = values
            .chunks(self.block)
            .map(|b| b.iter().fold(0.0, |m: f32, x| m.max(x.abs())))
            .collect();
        let codes = values.chunks(self.block).zip(&absmax);
        (
            codes
                .flat_map(|(block, &absmax)| block.iter().map(move |&x| self.encode(x, absmax)))
                .collect(),
            absmax,
        )
    }

    /// The values that codes stand for.
    pub fn dequantize(&self, codes: &[u8], absmax: &[f32]) -> Vec<f32> {
        let blocks = codes.chunks(self.block).zip(absmax);
        blocks
            .flat_map(|(b, &absmax)| {
                b.iter().map(move |&c| self.map.values()[usize::from(c)] * absmax)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_small_values() {
        let codec = |map, rounding| Codec { map, rounding, block: 4 };
        let values = [1.0, -1e-9, 1e-9, -0.0];
        let codes = |map, rounding| codec(map, rounding).quantize(&values).0;
        assert_eq!(codes(CodeMap::Signed, Rounding::Nearest), [255, 127, 127, 127]);
        assert_eq!(codes(CodeMap::Signed, Rounding::SignPreserving), [255, 126, 127, 127]);
        assert_eq!(codes(CodeMap::Signed, Rounding::AboveZero), [255, 127, 128, 127]);
        assert_eq!(codes(CodeMap::Unsigned, Rounding::AboveZero), [255, 0, 1, 0]);
    }

    #[test]
    fn blocks_of_zeros_and_of_one_value() {
        let codec = Codec { map: CodeMap::Signed, rounding: Rounding::Nearest, block: 2 };
        let (codes, absmax) = codec.quantize(&[0.0, -0.0, -3.0]);
        assert_eq!(
            (codes.as_slice(), absmax.as_slice()),
            ([127, 127, 0].as_slice(), [0.0, 3.0].as_slice())
        );
        assert_eq!(codec.dequantize(&codes, &absmax), [0.0, 0.0, -0.992_968_74 * 3.0]);
        assert_eq!(codec.quantize(&[]), (vec![], vec![]));
    }
}
