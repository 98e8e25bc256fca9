//! How one tensor is quantized: the schemes, and what each of them is.
//!
//! A scheme has one file with its [`Rule`], the values that weights may take and what a file stores
//! of them, and its [`Search`], how they are found and follow weights that move. Codebooks, packed
//! files and training through a quantizer ask both.

mod binary;
mod centroids;
#[cfg(feature = "burn")]
mod on_device;

use serde::{Deserialize, Serialize};

use crate::backend::codes::packed_len;
use crate::error::Result;

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
    /// The scheme's rule.
    pub(super) fn rule(self) -> &'static dyn Rule {
        match self {
            Self::KMeans => &centroids::Centroids,
            Self::BinaryStatic => &binary::Binary { adaptive: false },
            Self::BinaryAdaptive => &binary::Binary { adaptive: true },
        }
    }

    /// How the scheme finds its numbers.
    pub(super) fn search(self) -> &'static dyn Search {
        match self {
            Self::KMeans => &centroids::Centroids,
            Self::BinaryStatic => &binary::Binary { adaptive: false },
            Self::BinaryAdaptive => &binary::Binary { adaptive: true },
        }
    }
}

/// What a scheme is. Its codebook is a list of numbers, equally many for each group of weights
/// ([`TensorScheme::groups`]): the values themselves, or what they are computed from.
pub(super) trait Rule {
    /// Bits of a code where so many are wanted.
    fn bits(&self, wanted: usize) -> usize;

    /// Whether the numbers are scales (and offsets), which a group may have for itself.
    fn has_scales(&self) -> bool;

    /// Whether the numbers are centroids: the values themselves, one list for the whole tensor.
    /// Each can become the mean of its members, or be trained by itself.
    fn has_centroids(&self) -> bool;

    /// Shape of `count` numbers in a file.
    fn stored_shape(&self, scheme: TensorScheme, groups: usize, count: usize) -> Vec<usize>;

    /// Whether a codebook may have `count` numbers.
    fn allows(&self, scheme: TensorScheme, groups: usize, count: usize) -> bool;

    /// Values that a code can stand for in each group, of a codebook of `count` numbers.
    fn entries(&self, count: usize) -> usize;

    /// The numbers, filled up to as many as a scheme of these bits has at most.
    fn padded(&self, scheme: TensorScheme, numbers: &[f32]) -> Vec<f32>;

    /// `[groups, 2^bits]`: the values of each group, ascending. The last one stands again where
    /// there are fewer.
    fn table(&self, scheme: TensorScheme, numbers: &[f32]) -> Vec<f32>;

    /// `[groups, 2^bits - 1]`: what separates the values.
    fn bounds(&self, scheme: TensorScheme, numbers: &[f32]) -> Vec<f32>;
}

/// How a scheme finds its numbers. A trait of its own, so that what only reads models has none of
/// it.
pub(super) trait Search: Rule {
    /// The numbers for weights: finite ones, at least `2^bits` of them.
    fn fit(&self, scheme: TensorScheme, groups: usize, weights: &[f32]) -> Result<Vec<f32>>;

    /// The numbers after weights have moved a little, found in at most `steps` iterations from the
    /// old ones.
    fn follow(
        &self,
        scheme: TensorScheme,
        groups: usize,
        numbers: &[f32],
        weights: &[f32],
        steps: usize,
    ) -> Result<Vec<f32>>;

    /// The numbers without what [`Rule::padded`] has added.
    #[cfg_attr(not(feature = "burn"), expect(dead_code, reason = "networks in training have it"))]
    fn trimmed(&self, numbers: Vec<f32>) -> Vec<f32>;
}

/// A scheme with its choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorScheme {
    /// The scheme.
    pub scheme: Scheme,
    /// Bits of a code, 1 to 8; 1 for the binary schemes.
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

    /// Whether the scheme has codes of so many bits.
    pub fn has_possible_bits(&self) -> bool {
        (1..=8).contains(&self.bits) && self.scheme.rule().bits(self.bits) == self.bits
    }

    /// Whether the scheme knows the choices made: `per_channel` and `offset` are about scales.
    pub fn has_possible_choices(&self) -> bool {
        self.scheme.rule().has_scales() || !self.per_channel && !self.offset
    }

    /// Groups of a weight of this shape (output channels first), which are the rows of its table:
    /// one a channel, or one in all.
    pub fn groups(&self, shape: &[usize]) -> usize {
        if self.per_channel { shape[0] } else { 1 }
    }

    /// Shape of the codebook in a file: `[centroids]`, or for the binary schemes `[groups, 1]`
    /// scales or `[groups, 2]` scales and offsets.
    pub fn codebook_shape(&self, shape: &[usize], centroids: usize) -> Vec<usize> {
        self.scheme.rule().stored_shape(*self, self.groups(shape), centroids)
    }

    /// Bytes of the packed codes and a full codebook of a weight of this shape.
    pub fn bytes(&self, shape: &[usize]) -> usize {
        let codebook: usize = self.codebook_shape(shape, 1 << self.bits).iter().product();
        packed_len(shape.iter().product(), self.bits) + 4 * codebook
    }
}
