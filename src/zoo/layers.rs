//! Sizes of families beyond width and embedding, for networks other than the published ones.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The layers of a network, by its family. In a recipe:
///
/// ```toml
/// [model]
/// name = "eres2net34"
/// [model.layers.res2net]
/// blocks = [3, 4, 6, 3]
/// base_width = 24
/// scale = 3
/// expansion = 4
/// fusion = true
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layers {
    /// ECAPA-TDNN.
    Ecapa(Ecapa),
    /// CAM++.
    #[serde(rename = "campplus")]
    CamPlusPlus(CamPlusPlus),
    /// ReDimNet.
    #[serde(rename = "redimnet")]
    ReDimNet(ReDimNet),
    /// ReDimNet2.
    #[serde(rename = "redimnet2")]
    ReDimNet2(ReDimNet2),
    /// Res2Net and ERes2Net.
    #[serde(rename = "res2net")]
    Res2Net(Res2Net),
    /// SimAM-ResNet.
    #[serde(rename = "simam-resnet")]
    SimAm(SimAm),
    /// The x-vector's TDNN.
    Tdnn(Tdnn),
}

/// What tells ECAPA-TDNNs apart besides width and pooling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ecapa {
    /// BatchNorm behind the embedding (WeSpeaker's `emb_bn`).
    pub embedding_norm: bool,
}

/// The sizes of a CAM++ that its width does not say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CamPlusPlus {
    /// Channels that each layer adds (WeSpeaker's `growth_rate`).
    pub growth: usize,
    /// Channels inside a layer, as a multiple of `growth` (WeSpeaker's `bn_size`).
    pub bottleneck: usize,
}

/// What tells ReDimNets apart besides width, mels and pooling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReDimNet {
    /// The time contexts (WeSpeaker's `block_1d_type`).
    pub context: Context,
    /// The blocks over mels and frames (WeSpeaker's `block_2d_type`).
    pub blocks: Blocks2d,
    /// Channels of each group of the blocks' convolutions. Without it they have one group, and
    /// residual blocks lack the 1x1 convolutions behind them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_divisor: Option<usize>,
    /// Values of a frame that are pooled (WeSpeaker's `out_channels`): a 1x1 convolution with
    /// BatchNorm makes them. Without it all values of the last sum are pooled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<usize>,
    /// The stages, in order.
    pub stages: Cow<'static, [ReDimNetStage]>,
}

/// What tells ReDimNet2s apart besides width, mels and pooling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReDimNet2 {
    /// The time contexts (WeSpeaker's `block_1d_type`).
    pub context: Context,
    /// The blocks over mels and frames (WeSpeaker's `block_2d_type`).
    pub blocks: Blocks2d,
    /// Channels of each group of the blocks' convolutions. Without it they have one group, and
    /// residual blocks lack the 1x1 convolutions behind them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_divisor: Option<usize>,
    /// Channels that a 1x1 convolution makes for the pooling (WeSpeaker's `out_channels`). Without
    /// it the last sum is pooled as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<usize>,
    /// Whether the last sum is pooled flat; otherwise it is folded into an image, of which all
    /// channels and mels are pooled (WeSpeaker's `return_2d_output`).
    pub flat: bool,
    /// Whether each stage's first convolution has as many groups as its channels allow (WeSpeaker's
    /// `compress_tconvs`).
    pub compressed: bool,
    /// Whether BatchNorm follows the embedding (WeSpeaker's `emb_bn`).
    pub embedding_norm: bool,
    /// The stages, in order.
    pub stages: Cow<'static, [ReDimNetStage]>,
}

/// What a time context computes between its two 1x1 convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Context {
    /// Four ConvNeXt blocks with kernels of 7, 19, 31 and 59 frames, and self-attention.
    #[serde(rename = "conv+att")]
    ConvAttention,
    /// A depthwise convolution over 59 frames, which tells positions, and self-attention whose
    /// feed-forward layer is twice as wide.
    #[serde(rename = "att")]
    Attention,
}

/// The blocks over mels and frames. Files have WeSpeaker's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blocks2d {
    /// Two convolutions of 3x3 and ReLU behind the sum.
    #[serde(rename = "basic_resnet")]
    Basic,
    /// The same with a gate for every mel.
    #[serde(rename = "basic_resnet_fwse")]
    BasicSe,
    /// ConvNeXt's: a convolution, BatchNorm, GELU, a 1x1 convolution, and nothing behind the sum.
    #[serde(rename = "convnext_like")]
    ConvNext,
}

/// A stage of either family.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReDimNetStage {
    /// Strides over mels and frames. Channels grow by the first; ReDimNet has 1 for the second.
    pub stride: [usize; 2],
    /// Blocks over mels and frames.
    pub blocks: usize,
    /// Channels inside the blocks, as a multiple of the stage's own.
    pub expansion: f64,
    /// What divides the values of a frame, channels times mels, down to the channels of the time
    /// context; none where the stage has no time context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// Kernel of ReDimNet2's ConvNeXt blocks over mels and frames; 3x3 if not given, and always in
    /// all other blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<[usize; 2]>,
}

/// Members of the family. The architecture's width is the channels of the stem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Res2Net {
    /// Blocks of each stage.
    pub blocks: [usize; 4],
    /// Channels of a split for every 64 channels of a stage, before expansion.
    pub base_width: usize,
    /// Number of splits, 2 or more.
    pub scale: usize,
    /// How many times a stage's channels its blocks put out.
    pub expansion: usize,
    /// ERes2Net rather than Res2Net.
    pub fusion: bool,
}

/// The sizes of a SimAM-ResNet that its width does not say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimAm {
    /// Blocks of each stage.
    pub blocks: [usize; 4],
}

/// What tells TDNNs apart besides width and pooling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tdnn {
    /// Channels of the last layer, which are pooled (WeSpeaker's `stats_dim`).
    pub statistics: usize,
}
