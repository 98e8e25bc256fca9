//! How one tensor is quantized.

use serde::{Deserialize, Serialize};

use crate::backend::codes::packed_len;

/// Where the values come from that weights may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// `2^bits` centroids of the tensor's weights by k-means; with 1 bit the naive binary
    /// quantizer.
    #[serde(rename = "kmeans")]
    KMeans,
    /// `±mean|w|` of the weights at the beginning, which then stays.
    BinaryStatic,
    /// `±mean|w|` of the weights as they are.
    BinaryAdaptive,
}

impl Scheme {
    /// Whether it has two values by construction.
    pub fn is_binary(self) -> bool {
        self != Self::KMeans
    }
}

/// A scheme with its choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorScheme {
    /// The scheme.
    pub scheme: Scheme,
    /// Bits of a code, 1 to 8; 1 for the binary ones.
    pub bits: usize,
    /// A scale for each output channel instead of one for the tensor (binary only).
    #[serde(default, skip_serializing_if = "is_false")]
    pub per_channel: bool,
    /// The two values lie around the mean weight instead of around 0 (binary only).
    #[serde(default, skip_serializing_if = "is_false")]
    pub offset: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_false(x: &bool) -> bool {
    !x
}

impl TensorScheme {
    /// k-means with `2^bits` centroids.
    pub fn kmeans(bits: usize) -> Self {
        Self { scheme: Scheme::KMeans, bits, per_channel: false, offset: false }
    }

    /// Rows of the table for a weight of this shape (output channels first).
    pub fn groups(&self, shape: &[usize]) -> usize {
        if self.per_channel { shape[0] } else { 1 }
    }

    /// Shape of the codebook as it is stored: `[centroids]`, or for the binary schemes `[groups,
    /// 1]` scales or `[groups, 2]` scales and offsets.
    pub fn codebook_shape(&self, shape: &[usize], centroids: usize) -> Vec<usize> {
        match self.scheme {
            Scheme::KMeans => vec![centroids],
            _ => vec![self.groups(shape), 1 + usize::from(self.offset)],
        }
    }

    /// Bytes of codes and a full codebook.
    pub fn bytes(&self, shape: &[usize]) -> usize {
        let codebook: usize = self.codebook_shape(shape, 1 << self.bits).iter().product();
        packed_len(shape.iter().product(), self.bits) + 4 * codebook
    }
}
