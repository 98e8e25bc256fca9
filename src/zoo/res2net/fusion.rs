//! Attentive fusion of two values (AFF; arXiv 2305.12838, WeSpeaker `eres2net.py`).

use burn::module::Module;

use crate::nn::{BatchNorm, Combine, Conv2d, Conv2dConfig, Exec, Init, Map};

/// A place in a PyTorch `Sequential` that has no tensors: an activation.
#[derive(Module, Debug)]
struct Activation;

/// `x a + y (2 - a)`, where `a` = 1 + tanh of two 1x1 convolutions of both. Field names and places
/// are WeSpeaker's.
#[derive(Module, Debug)]
pub(super) struct Fusion {
    local_att: (Conv2d, BatchNorm, Activation, Conv2d, BatchNorm),
}

impl Fusion {
    /// The fusion of two values of so many channels. The convolutions have a quarter between them.
    pub fn new(init: Init, channels: usize) -> Self {
        let (place, inner) = (init.at("local_att"), channels / 4);
        let conv = |i: usize, input, output| {
            Conv2dConfig::new(input, output, 1).biased().init(place.at(i))
        };
        Self {
            local_att: (
                conv(0, 2 * channels, inner),
                BatchNorm::new(place.at(1), inner),
                Activation,
                conv(3, inner, channels),
                BatchNorm::new(place.at(4), channels),
            ),
        }
    }

    /// Each value and the result are `[batch, channels, mels, frames]`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>, y: E::Value<4>) -> E::Value<4> {
        let (first, first_norm, Activation, second, second_norm) = &self.local_att;
        let t = e.concat(vec![x.clone(), y.clone()], 1);
        let t = e.conv_norm(first, first_norm, t);
        let t = e.map(Map::Silu, t);
        let t = e.conv_norm(second, second_norm, t);
        let t = e.map(Map::Tanh, t);
        // x (1 + t) + y (1 - t) = (x + y) + t (x - y).
        let sum = e.combine(Combine::Add, x.clone(), y.clone());
        let difference = e.combine(Combine::Subtract, x, y);
        let change = e.combine(Combine::Multiply, t, difference);
        e.combine(Combine::Add, sum, change)
    }
}
