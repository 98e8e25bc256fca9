//! What a network costs, by arithmetic on its table of stages.

use super::{Architecture, BlockKind, Body, df_resnet, resnet};
use crate::error::Result;
use crate::nn::{Conv2dConfig, InvertedBottleneck};

/// One layer's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerCost {
    /// The layer's name in the checkpoint.
    pub name: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Multiply-accumulate operations for one utterance.
    pub macs: usize,
    /// Elements that an ordinary tape keeps for the backward pass: convolution inputs, BatchNorm inputs and ReLU outputs, each once.
    pub kept: usize,
}

/// A network's costs, layer by layer, for one utterance.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// In the order of the forward pass.
    pub layers: Vec<LayerCost>,
}

impl Account {
    pub(super) fn of(arch: &Architecture, frames: usize) -> Result<Self> {
        let mut account = Account::default();
        let mut size = [arch.mels, frames];
        let stem = Conv2dConfig::new(1, arch.width, 3);
        let mut channels = arch.width;
        match arch.body()? {
            Body::ResNet(kind, blocks) => {
                // The input, the convolution's output, the ReLU's output.
                account.conv("conv1", stem, &mut size.clone(), (1 + 2 * arch.width) * size[0] * size[1]);
                for (s, &count) in blocks.iter().enumerate() {
                    for b in 0..count {
                        let stride = if b == 0 { [resnet::STRIDES[s]; 2] } else { [1, 1] };
                        let name = format!("layer{}.{b}", s + 1);
                        account.residual_block(&name, kind, channels, arch.width << s, stride, &mut size);
                        channels = kind.output(arch.width << s);
                    }
                }
            }
            Body::DfResNet(layout, depths) => {
                let name = |i: usize| format!("downsample_layers.{i}.0");
                account.conv(&name(0), stem, &mut size.clone(), (1 + 2 * arch.width) * size[0] * size[1]);
                let mut index = 0;
                for (s, stride) in df_resnet::strides(layout).into_iter().enumerate() {
                    if let Some(stride) = stride {
                        index += 1;
                        let conv = Conv2dConfig::new(channels, arch.width << s, 3).stride(stride);
                        let [mels, frames] = conv.output_size(size);
                        account.conv(&name(index), conv, &mut size, 2 * conv.output * mels * frames);
                        channels = conv.output;
                    }
                    for b in 0..depths[s] {
                        account.inverted_bottleneck(&format!("stages.{s}.{b}"), channels, &mut size);
                    }
                }
            }
        }
        let pooled = channels * size[0];
        let outputs = pooled * arch.pooling.statistics();
        account.push("pool", arch.pooling.parameters(pooled), arch.pooling.macs(pooled, size[1]), 0);
        account.push("seg_1", (outputs + 1) * arch.embedding_dim, outputs * arch.embedding_dim, 0);
        if arch.two_embedding_layers {
            account.push("seg_2", (arch.embedding_dim + 1) * arch.embedding_dim, arch.embedding_dim.pow(2), 0);
        }
        Ok(account)
    }

    /// Trainable parameters of the backbone.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|l| l.parameters).sum()
    }

    /// Multiply-accumulate operations for one utterance.
    pub fn macs(&self) -> usize {
        self.layers.iter().map(|l| l.macs).sum()
    }

    /// Bytes of f32 activations that an ordinary tape keeps for one utterance, without the pooling and what follows.
    pub fn activation_bytes(&self) -> usize {
        4 * self.layers.iter().map(|l| l.kept).sum::<usize>()
    }

    fn push(&mut self, name: &str, parameters: usize, macs: usize, kept: usize) {
        self.layers.push(LayerCost { name: name.to_owned(), parameters, macs, kept });
    }

    /// A convolution with its BatchNorm; `size` becomes the output's.
    fn conv(&mut self, name: &str, conv: Conv2dConfig, size: &mut [usize; 2], kept: usize) {
        *size = conv.output_size(*size);
        let weights: usize = conv.weight_shape().iter().product();
        self.push(name, weights + 2 * conv.output, weights * size[0] * size[1], kept);
    }

    fn residual_block(
        &mut self,
        name: &str,
        kind: BlockKind,
        input: usize,
        width: usize,
        stride: [usize; 2],
        size: &mut [usize; 2],
    ) {
        let output = kind.output(width);
        let before = *size;
        let conv = |input, output, kernel| Conv2dConfig::new(input, output, kernel);
        let after = conv(input, width, 3).stride(stride).output_size(before);
        let (n_in, n_out) = (before[0] * before[1], after[0] * after[1]);
        let at = |layer: &str| format!("{name}.{layer}");
        match kind {
            BlockKind::Basic => {
                self.conv(&at("conv1"), conv(input, width, 3).stride(stride), size, 2 * width * n_out);
                self.conv(&at("conv2"), conv(width, width, 3), size, 2 * width * n_out);
            }
            BlockKind::Bottleneck => {
                self.conv(&at("conv1"), conv(input, width, 1), size, 2 * width * n_in);
                self.conv(&at("conv2"), conv(width, width, 3).stride(stride), size, 2 * width * n_out);
                self.conv(&at("conv3"), conv(width, output, 1), size, 2 * output * n_out);
            }
        }
        if input != output || stride != [1, 1] {
            let shortcut = conv(input, output, 1).stride(stride);
            self.conv(&at("shortcut.0"), shortcut, &mut before.clone(), output * n_out);
        }
    }

    fn inverted_bottleneck(&mut self, name: &str, width: usize, size: &mut [usize; 2]) {
        let inner = InvertedBottleneck::EXPANSION * width;
        let n = size[0] * size[1];
        let at = |layer: &str| format!("{name}.{layer}");
        self.conv(&at("conv1"), Conv2dConfig::new(width, inner, 1), size, 2 * inner * n);
        self.conv(&at("conv2"), Conv2dConfig::new(inner, inner, 3).depthwise(), size, 2 * inner * n);
        self.conv(&at("conv3"), Conv2dConfig::new(inner, width, 1), size, 2 * width * n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements kept for one 80 x 200 crop, counted by hand from the rules: a basic block keeps 4 C N, a bottleneck of inner
    /// width p 12 p N, an inverted bottleneck 18 C N, a projection shortcut its output, the stem (1 + 2 * 32) N.
    #[test]
    fn kept_activations_follow_the_rules() {
        for (name, elements) in [
            ("resnet34", 15_568_000),
            ("resnet50", 49_808_000),
            ("resnet101", 75_920_000),
            ("resnet152", 108_176_000),
            ("resnet221", 169_616_000),
            ("resnet293", 231_056_000),
            ("df-resnet56", 67_600_000),
            ("df-resnet110", 109_072_000),
            ("df-resnet179", 173_584_000),
            ("df-resnet233", 215_056_000),
        ] {
            let account = Architecture::named(name).unwrap().account(200).unwrap();
            assert_eq!(account.activation_bytes(), 4 * elements, "{name}");
        }
    }

    /// WeSpeaker's README gives 4.55 G for ResNet34, 21.29 G for ResNet221, 28.10 G for ResNet293 (2 s crops).
    #[test]
    fn multiplications_match_published_figures() {
        for (name, giga) in [("resnet34", 4.55), ("resnet221", 21.29), ("resnet293", 28.10)] {
            let macs = Architecture::named(name).unwrap().account(200).unwrap().macs() as f64 / 1e9;
            assert!((macs - giga).abs() / giga < 0.02, "{name}: {macs}");
        }
    }
}
