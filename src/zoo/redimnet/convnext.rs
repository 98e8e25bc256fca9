//! ConvNeXt's block (arXiv 2201.03545), with BatchNorm.

use burn::module::Module;

use crate::nn::{BatchNorm, Combine, Conv, ConvConfig, Exec, Init, Map};

/// `x` plus convolution, BatchNorm, GELU and 1x1 convolution of it. Field names are WeSpeaker's.
#[derive(Module, Debug)]
pub(super) struct ConvNext<const D: usize, const N: usize> {
    dwconvs: [Conv<D, N>; 1],
    norm: BatchNorm,
    pwconv1: Conv<D, N>,
}

impl<const D: usize, const N: usize> ConvNext<D, N> {
    /// The block whose first convolution is this one, which keeps the shape.
    pub fn new(init: &Init, first: ConvConfig<D, N>) -> Self {
        let channels = first.output;
        let pointwise = ConvConfig::<D, N>::new(channels, channels, 1).biased();
        Self {
            dwconvs: [first.biased().init(init.at("dwconvs").at(0))],
            norm: BatchNorm::new(init.at("norm"), channels),
            pwconv1: pointwise.init(init.at("pwconv1")),
        }
    }
}

impl ConvNext<4, 2> {
    /// `[batch, channels, mels, frames]` -> the same shape.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let [first] = &self.dwconvs;
        let y = e.conv_norm(first, &self.norm, x.clone());
        let y = e.map(Map::Gelu, y);
        let y = e.conv2d(&self.pwconv1, y);
        e.combine(Combine::Add, y, x)
    }
}

impl ConvNext<3, 1> {
    /// `[batch, channels, frames]` -> the same shape.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<3>) -> E::Value<3> {
        let [first] = &self.dwconvs;
        let y = e.conv1d(first, x.clone());
        let y = e.norm(&self.norm, y, false);
        let y = e.map(Map::Gelu, y);
        let y = e.conv1d(&self.pwconv1, y);
        e.combine(Combine::Add, y, x)
    }
}
