//! Tables of values on a device.

use burn::tensor::Tensor;

use super::Scheme;

impl Scheme {
    /// What [`Rule::table`](super::Rule::table) gives, on a device, bit for bit: numbers
    /// `[groups, columns]` to values `[groups, entries]`.
    pub(in crate::quant) fn tensor_table(self, numbers: Tensor<2>) -> Tensor<2> {
        match self {
            Self::KMeans => numbers,
            Self::BinaryStatic | Self::BinaryAdaptive => around_offsets(numbers),
        }
    }
}

/// Scales, with or without offsets.
fn around_offsets(numbers: Tensor<2>) -> Tensor<2> {
    let [groups, columns] = numbers.dims();
    let scale = numbers.clone().slice([0..groups, 0..1]);
    let offset = match columns {
        1 => scale.zeros_like(),
        _ => numbers.slice([0..groups, 1..2]),
    };
    Tensor::cat(vec![offset.clone() - scale.clone(), offset + scale], 1)
}
