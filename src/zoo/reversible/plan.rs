//! From an architecture's name and options to a table of stages with every size in it.

use super::super::{Architecture, BlockKind, Body, df_resnet, resnet};
use super::options::{MergeRule, ReversibleOptions, ReversibleType, StreamRule, TransitionRule};
use crate::error::{Error, Result};
use crate::nn::{BranchKind, Conv2dConfig, Order, Squeeze};

/// What stands in front of a stage's reversible blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Direct,
    /// [`TransitionRule::PerStream`].
    PerStream(Conv2dConfig),
    /// [`TransitionRule::Merged`].
    Merged(Conv2dConfig),
    /// [`TransitionRule::Block`]: input channels, width and stride of the block.
    Block(BlockKind, usize, usize, [usize; 2]),
    /// Type II.
    Squeeze(Squeeze),
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagePlan {
    /// What comes first.
    pub entry: Entry,
    /// Channels of each stream.
    pub width: usize,
    /// Inner channels of the residual functions.
    pub inner: usize,
    /// Reversible blocks.
    pub blocks: usize,
}

/// A reversible network with nothing left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Channels of the stem.
    pub stem: usize,
    /// Whether the first entry wants the stem's output whole.
    pub whole_stem: bool,
    /// How it becomes two streams, otherwise.
    pub streams: StreamRule,
    /// Mels and frames are padded with zeros on the right to multiples of these (Type II; 1
    /// elsewhere).
    pub multiple: [usize; 2],
    /// The stages.
    pub stages: Vec<StagePlan>,
    /// The residual functions' convolutions.
    pub kind: BranchKind,
    /// The residual functions' order.
    pub order: Order,
    /// How streams become one.
    pub merge: MergeRule,
    /// Channels behind [`MergeRule::Project`].
    pub project: usize,
}

/// Parameters may differ from the ordinary network's by this part before the inner width is
/// changed.
const PARITY: f64 = 0.01;

impl Plan {
    /// The plan of an architecture of a reversible type. Impossible choices are errors.
    pub fn new(arch: &Architecture, kind: ReversibleType, body: Body) -> Result<Self> {
        if let Some(inner) = arch.reversible.inner {
            if !(inner.is_finite() && inner > 0.0 && inner <= 64.0) {
                return Err(bad(format!("inner = {inner}: must be above 0 and at most 64")));
            }
            return Self::with(arch, kind, body, inner);
        }
        let plain = Architecture {
            name: arch.base_name().to_owned(),
            reversible: ReversibleOptions::default(),
            ..arch.clone()
        };
        let wanted = plain.account(8)?.parameters() as f64;
        let off =
            |plan: &Self| (plan.sketch(arch, 8).account().parameters() as f64 / wanted - 1.0).abs();
        let plan = Self::with(arch, kind, body, 1.0)?;
        if off(&plan) <= PARITY {
            return Ok(plan);
        }
        // Parameters grow with the inner width: the best multiple of 1/64 is next to where they
        // pass the ordinary network's.
        let at = |i: i32| Self::with(arch, kind, body, f64::from(i) / 64.0);
        let (mut low, mut high) = (4, 256);
        while low + 1 < high {
            let middle = (low + high) / 2;
            let parameters = at(middle)?.sketch(arch, 8).account().parameters() as f64;
            (low, high) = if parameters <= wanted { (middle, high) } else { (low, middle) };
        }
        let (below, above) = (at(low)?, at(high)?);
        Ok(if off(&below) <= off(&above) { below } else { above })
    }

    fn with(arch: &Architecture, kind: ReversibleType, body: Body, inner: f64) -> Result<Self> {
        let options = &arch.reversible;
        let full = kind == ReversibleType::Full;
        let (counts, strides, branch, expansion): (_, [Option<[usize; 2]>; 4], _, _) = match body {
            Body::ResNet(block, counts) => {
                let strides = resnet::STRIDES.map(|s| (s > 1).then_some([s, s]));
                let branch = match block {
                    BlockKind::Basic => BranchKind::Basic,
                    BlockKind::Bottleneck => BranchKind::Bottleneck,
                };
                (counts, strides, branch, block.output(1))
            }
            Body::DfResNet(layout, counts) => {
                (counts, df_resnet::strides(layout), BranchKind::Inverted, 1)
            }
        };
        let bottleneck = branch == BranchKind::Bottleneck;
        if full && options.transition.is_some() {
            return Err(bad(
                "transition: Type II squeezes between its stages; the choice belongs to rev1-"
                    .into(),
            ));
        }
        let transition = options.transition.unwrap_or(match bottleneck {
            true => TransitionRule::Block,
            false => TransitionRule::PerStream,
        });
        let through_block = !full && transition == TransitionRule::Block;
        if through_block && branch == BranchKind::Inverted {
            return Err(bad(
                "transition = \"block\": DF-ResNets have no strided block; choose per-stream or merged".into()
            ));
        }
        let streams = options.streams.unwrap_or(match full || bottleneck {
            true => StreamRule::Split,
            false => StreamRule::Duplicate,
        });
        let state = options.state.unwrap_or(match (full, streams) {
            (true, _) if bottleneck => arch.width,
            (true, _) => arch.width / 2,
            (false, StreamRule::Duplicate) => 2 * expansion * arch.width,
            (false, StreamRule::Split) => expansion * arch.width,
        });
        // Streams of one channel are of no use, and Burn's fusion on wgpu computes them wrongly.
        if state < 4 || state % 2 == 1 || state > 1 << 14 {
            return Err(bad(format!(
                "state = {state} channels: an even number is expected, 4 or more, for two streams"
            )));
        }
        if through_block && streams == StreamRule::Duplicate {
            return Err(bad(
                "transition = \"block\" works on both streams as one; choose streams = \"split\""
                    .into(),
            ));
        }
        let half = |n: usize, s: usize| if s < 3 { n.div_ceil(2) } else { (n / 2).max(1) };
        // A block at a stage's entry is one of the ordinary network's.
        let left =
            |n: usize, s: usize| if through_block && (s > 0 || bottleneck) { n - 1 } else { n };
        let counts: [usize; 4] = std::array::from_fn(|s| half(left(counts[s], s), s));
        let counts = options.blocks.unwrap_or(counts);
        if counts.iter().any(|&n| n > 1000) {
            return Err(bad(format!("blocks = {counts:?}: at most 1000 a stage")));
        }
        let stem = match streams {
            _ if through_block && bottleneck => arch.width,
            StreamRule::Duplicate => state / 2,
            StreamRule::Split => state,
        };
        let grain = (arch.width / 8).max(1) as f64;
        let round = |n: f64| (((n / grain).round() * grain) as usize).max(1);
        let mut width = state / 2;
        let mut multiple = [1, 1];
        let mut stages = Vec::new();
        for (s, &blocks) in counts.iter().enumerate() {
            let base = arch.width << s;
            let before = width;
            let entry = if full {
                strides[s].map_or(Entry::Direct, |[mels, frames]| {
                    multiple = [multiple[0] * mels, multiple[1] * frames];
                    width *= mels * frames;
                    Entry::Squeeze(Squeeze { mels, frames })
                })
            } else {
                width = (state / 2) << s;
                let conv = |times: usize, stride| {
                    Conv2dConfig::new(times * before, times * width, 3).stride(stride)
                };
                match (strides[s], transition, body) {
                    (stride, TransitionRule::Block, Body::ResNet(kind, _))
                        if stride.is_some() || bottleneck =>
                    {
                        let input = if s == 0 { stem } else { 2 * before };
                        if 2 * width != kind.output(base) {
                            let wanted = expansion * arch.width;
                            return Err(bad(format!(
                                "state = {state}: with transition = \"block\" it must be {wanted}"
                            )));
                        }
                        Entry::Block(kind, input, base, stride.unwrap_or([1, 1]))
                    }
                    (Some(stride), TransitionRule::PerStream, _) => {
                        Entry::PerStream(conv(1, stride))
                    }
                    (Some(stride), TransitionRule::Merged, _) => Entry::Merged(conv(2, stride)),
                    _ => Entry::Direct,
                }
            };
            let inner = match branch {
                BranchKind::Inverted => round(inner * 4.0 * base as f64),
                _ => round(inner * base as f64),
            };
            stages.push(StagePlan { entry, width, inner, blocks });
        }
        let merge = options.merge.unwrap_or(match (full, streams) {
            (true, _) => MergeRule::Project,
            (false, StreamRule::Duplicate) => MergeRule::Mean,
            (false, StreamRule::Split) => MergeRule::Concat,
        });
        Ok(Self {
            stem,
            whole_stem: matches!(stages[0].entry, Entry::Block(..)),
            streams,
            multiple,
            stages,
            kind: branch,
            order: options.order.unwrap_or(Order::PreActivation),
            merge,
            project: 8 * expansion * arch.width,
        })
    }
}

fn bad(message: String) -> Error {
    Error::invalid(format!("reversible: {message}"))
}
