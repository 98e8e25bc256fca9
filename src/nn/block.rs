//! Residual blocks: ResNet's (arXiv 1512.03385; layout of WeSpeaker's `resnet.py`) and DF-ResNet's
//! (`gemini_dfresnet.py`).

use burn::module::Module;

use super::{BatchNorm, Conv2d, Conv2dConfig, Exec, Init, Part};
use crate::backend::AnyLayer;
use crate::backend::reversible::Fork;

/// Which convolutions a residual block has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchKind {
    /// ResNet's basic block: two 3x3 convolutions.
    Basic,
    /// ResNet's bottleneck: 1x1, 3x3, and 1x1 to four times as many channels.
    Bottleneck,
    /// DF-ResNet's inverted bottleneck: 1x1 to four times as many channels, depthwise 3x3, and 1x1
    /// back.
    Inverted,
}

impl BranchKind {
    /// Inner and output channels of a block of `width`.
    pub fn channels(self, width: usize) -> (usize, usize) {
        match self {
            Self::Basic => (width, width),
            Self::Bottleneck => (width, 4 * width),
            Self::Inverted => (4 * width, width),
        }
    }

    /// The convolutions from input over inner to output `channels`. The first of 3x3 strides.
    pub fn convolutions(self, channels: [usize; 3], stride: [usize; 2]) -> Vec<Conv2dConfig> {
        let [input, inner, output] = channels;
        let conv = Conv2dConfig::new;
        let middle = conv(inner, inner, 3).stride(stride);
        let (first, last) = (conv(input, inner, 1), conv(inner, output, 1));
        match self {
            Self::Basic => vec![conv(input, inner, 3).stride(stride), conv(inner, output, 3)],
            Self::Bottleneck => vec![first, middle, last],
            Self::Inverted => vec![first, middle.depthwise(), last],
        }
    }
}

/// Convolutions, each with BatchNorm behind it and ReLU between them, plus shortcut, ReLU.
#[derive(Module, Debug)]
pub struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Option<Conv2d>,
    bn3: Option<BatchNorm>,
    /// A projection, where the shape changes.
    shortcut: Option<Downsample>,
}

impl Block {
    /// The block of `width` channels.
    pub fn new(
        init: Init,
        kind: BranchKind,
        input: usize,
        width: usize,
        stride: [usize; 2],
    ) -> Self {
        let (inner, output) = kind.channels(width);
        let convs = kind.convolutions([input, inner, output], stride);
        let mut layers = convs.iter().zip(1..).map(|(conv, i)| {
            let norm = BatchNorm::new(init.at(format!("bn{i}")), conv.output);
            (conv.init(init.at(format!("conv{i}"))), norm)
        });
        let mut next = || layers.next().expect("every kind has two convolutions or more");
        let ((conv1, bn1), (conv2, bn2)) = (next(), next());
        let (conv3, bn3) = layers.next().unzip();
        let shortcut = (input != output || stride != [1, 1]).then(|| {
            let conv = Conv2dConfig::new(input, output, 1).stride(stride);
            downsample(init.at("shortcut"), conv)
        });
        Self { conv1, bn1, conv2, bn2, conv3, bn3, shortcut }
    }

    /// `[batch, input, mels, frames]` -> `[batch, output, mels', frames']`.
    pub fn forward<E: Exec>(&self, e: &mut E, x: E::Value<4>) -> E::Value<4> {
        let mut y = e.conv_norm_relu(&self.conv1, &self.bn1, x.clone());
        let (y, last) = match self.conv3.as_ref().zip(self.bn3.as_ref()) {
            None => (e.conv2d(&self.conv2, y), &self.bn2),
            Some((conv3, bn3)) => {
                y = e.conv_norm_relu(&self.conv2, &self.bn2, y);
                (e.conv2d(conv3, y), bn3)
            }
        };
        e.norm_add_relu(last, y, |e| match &self.shortcut {
            None => x,
            Some((conv, norm)) => e.conv_norm(conv, norm, x),
        })
    }
}

/// What follows convolution and BatchNorm in a piece of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    Nothing,
    Relu,
    /// The sum with a second stream, then ReLU.
    Sum,
}

/// A convolution of a block with its BatchNorm.
#[derive(Module, Debug)]
struct Piece {
    conv: Conv2d,
    norm: BatchNorm,
    #[module(skip)]
    behind: Behind,
}

impl Part for Piece {
    fn forward<E: Exec>(&self, e: &mut E, mut x: Vec<E::Value<4>>) -> Vec<E::Value<4>> {
        let Self { conv, norm, behind } = self;
        let input = x.remove(0);
        vec![match behind {
            Behind::Nothing => e.conv_norm(conv, norm, input),
            Behind::Relu => e.conv_norm_relu(conv, norm, input),
            Behind::Sum => {
                let y = e.conv2d(conv, input);
                e.norm_add_relu(norm, y, |_| x.remove(0))
            }
        }]
    }
}

impl Block {
    /// [`Block::forward`] in pieces; none without a projection, where a tape of the whole holds
    /// little more.
    pub fn pieces(&self) -> Option<Fork> {
        let piece = |conv: &Conv2d, norm: &BatchNorm, behind| -> Box<dyn AnyLayer> {
            Box::new(Piece { conv: conv.clone(), norm: norm.clone(), behind })
        };
        let (conv, norm) = self.shortcut.as_ref()?;
        let mut main = vec![piece(&self.conv1, &self.bn1, Behind::Relu)];
        let last = match self.conv3.as_ref().zip(self.bn3.as_ref()) {
            None => piece(&self.conv2, &self.bn2, Behind::Sum),
            Some((conv3, bn3)) => {
                main.push(piece(&self.conv2, &self.bn2, Behind::Relu));
                piece(conv3, bn3, Behind::Sum)
            }
        };
        Some(Fork { main, other: piece(conv, norm, Behind::Nothing), last })
    }
}

/// conv + BatchNorm. A tuple, so that its parts are named `0` and `1` as in a PyTorch `Sequential`.
pub type Downsample = (Conv2d, BatchNorm);

/// The pair at a place.
pub fn downsample(init: Init, conv: Conv2dConfig) -> Downsample {
    (conv.init(init.at(0)), BatchNorm::new(init.at(1), conv.output))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;
    use crate::backend::reversible::Pieces;
    use crate::backend::{Again, Mode};
    use crate::nn::names_and_shapes;
    use crate::nn::pulled::{Pulled, bits};
    use crate::rng::Stream;

    /// A block that is differentiated as a whole.
    #[derive(Module, Debug)]
    struct Whole {
        block: Block,
    }

    impl Part for Whole {
        fn forward<E: Exec>(&self, e: &mut E, mut x: Vec<E::Value<4>>) -> Vec<E::Value<4>> {
            vec![self.block.forward(e, x.remove(0))]
        }
    }

    /// A block that is differentiated in pieces.
    #[derive(Module, Debug)]
    struct Forked {
        block: Block,
    }

    impl Part for Forked {
        fn forward<E: Exec>(&self, e: &mut E, mut x: Vec<E::Value<4>>) -> Vec<E::Value<4>> {
            vec![self.block.forward(e, x.remove(0))]
        }

        fn pieces(&self) -> Option<Pieces> {
            self.block.pieces().map(Pieces::Fork)
        }
    }

    fn block(kind: BranchKind, seed: u64) -> Block {
        Block::new(Init::new(&Device::default(), seed), kind, 6, 4, [2, 2])
    }

    fn noise(shape: [usize; 4], seed: u64) -> Tensor<4> {
        let mut stream = Stream::new(seed, "block", &[]);
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|_| stream.normal() as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::default())
    }

    fn pulled(layer: &dyn AnyLayer, block: &Block, inputs: bool, lender: Option<&Block>) -> Pulled {
        let names = names_and_shapes(block);
        let tracked: Vec<bool> = names.iter().map(|(name, _)| !name.contains("running")).collect();
        let axes = |number: usize| names[number].1.len();
        let values = lender.map_or_else(Vec::new, |lender| {
            let all = Whole { block: lender.clone() }.parameters();
            all.into_iter().zip(&tracked).map(|(value, &lent)| lent.then_some(value)).collect()
        });
        let x = noise([3, 6, 8, 10], 1);
        let width = names.iter().rev().find(|(name, _)| name.starts_with("shortcut")).unwrap().1[0];
        let dy = noise([3, width, 4, 5], 2);
        let again = Again {
            x: vec![x],
            dy: vec![dy],
            mode: Mode::Train,
            inputs,
            tracked: &tracked,
            values,
        };
        let (mut output, mut parameters) = (Vec::new(), Vec::new());
        let dx = layer.pull(
            again,
            &mut |mut y: Vec<Tensor<4>>| output = bits(y.remove(0).into_dispatch(), 4),
            &mut |number: usize, gradient| parameters.push((number, bits(gradient, axes(number)))),
        );
        parameters.sort_unstable();
        let input = dx.map(|mut dx| bits(dx.remove(0).into_dispatch(), 4));
        Pulled { output, input, parameters }
    }

    /// The gradients of pieces are those of the whole, to the bit, with own parameters and with
    /// those that someone else lends. Running statistics stay.
    #[test]
    fn pieces_give_the_gradients_of_the_whole() {
        for kind in [BranchKind::Basic, BranchKind::Bottleneck, BranchKind::Inverted] {
            let (own, other) = (block(kind, 1), block(kind, 2));
            let before: Vec<_> = Whole { block: own.clone() }.parameters();
            for inputs in [true, false] {
                let whole = pulled(&Whole { block: own.clone() }, &own, inputs, None);
                let forked = Forked { block: own.clone() };
                assert!(pulled(&forked, &own, inputs, None) == whole, "{kind:?}, inputs {inputs}");
                let hollow = Forked { block: other.clone() };
                let lent = pulled(&hollow, &other, inputs, Some(&own));
                assert!(lent == whole, "{kind:?}, lent, inputs {inputs}");
                assert_eq!(whole.input.is_some(), inputs);
                let convolutions = if kind == BranchKind::Basic { 3 } else { 4 };
                assert_eq!(whole.parameters.len(), 3 * convolutions, "{kind:?}");
            }
            let after = Whole { block: own.clone() }.parameters();
            let names = names_and_shapes(&own);
            for ((before, after), (name, shape)) in before.into_iter().zip(after).zip(&names) {
                assert_eq!(bits(before, shape.len()), bits(after, shape.len()), "{name}");
            }
        }
    }

    #[test]
    fn a_block_without_a_projection_is_one_piece() {
        let init = Init::new(&Device::default(), 1);
        assert!(Block::new(init, BranchKind::Basic, 4, 4, [1, 1]).pieces().is_none());
    }
}
