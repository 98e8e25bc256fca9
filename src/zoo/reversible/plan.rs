//! From an architecture's name and options to a table of stages with every size in it.

use super::super::resnet::BlockKind;
use super::super::{Architecture, nowhere};
use super::network::RevNet;
use super::options::{MergeRule, ReversibleType, StreamRule, TransitionRule};
use crate::error::{Error, Result};
use crate::nn::{Branch, BranchKind, Conv2dConfig, Init, Order, Squeeze, Trace};

/// What an ordinary network lends its reversible types.
#[derive(Debug, Clone, Copy)]
pub(in crate::zoo) struct Base {
    /// Blocks of each stage.
    pub blocks: [usize; 4],
    /// Strides over mels and frames in front of each stage; none where resolution stays.
    pub strides: [Option<[usize; 2]>; 4],
    /// Whose convolutions the residual functions have.
    pub branch: BranchKind,
    /// The strided block, if it has one.
    pub block: Option<BlockKind>,
}

impl Base {
    /// Output channels for each channel of width.
    fn expansion(&self) -> usize {
        self.block.map_or(1, |block| block.output(1))
    }
}

/// What stands in front of a stage's reversible blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::zoo) enum Entry {
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
pub(in crate::zoo) struct StagePlan {
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
pub(in crate::zoo) struct Plan {
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

/// Frames of an utterance on which parameters are counted; they do not depend on it.
const FRAMES: usize = 8;

impl Plan {
    /// The plan of an architecture of a reversible type.
    ///
    /// # Errors
    /// Impossible choices.
    pub fn new(arch: &Architecture, kind: ReversibleType, base: &Base) -> Result<Self> {
        if let Some(inner) = arch.reversible.inner {
            if !(inner.is_finite() && inner > 0.0 && inner <= 64.0) {
                return Err(bad(format!("inner = {inner}: must be above 0 and at most 64")));
            }
            return Self::with(arch, kind, base, inner);
        }
        let plan = Self::with(arch, kind, base, 1.0)?;
        let wanted = arch.ordinary().graph(FRAMES)?.parameters();
        let whole = RevNet::new(Init::blank(&nowhere()), arch, &plan);
        let whole = Trace::record(&whole, [arch.mels, FRAMES]).parameters();
        // Only the residual functions change with their inner width.
        let rest = whole - plan.inside();
        let off = |plan: &Self| ((rest + plan.inside()) as f64 / wanted as f64 - 1.0).abs();
        if off(&plan) <= PARITY {
            return Ok(plan);
        }
        // Parameters grow with the inner width: the best multiple of 1/64 is next to where they
        // pass the ordinary network's.
        let at = |i: i32| Self::with(arch, kind, base, f64::from(i) / 64.0);
        let (mut low, mut high) = (4, 256);
        while low + 1 < high {
            let middle = (low + high) / 2;
            let parameters = rest + at(middle)?.inside();
            (low, high) = if parameters <= wanted { (middle, high) } else { (low, middle) };
        }
        let (below, above) = (at(low)?, at(high)?);
        Ok(if off(&below) <= off(&above) { below } else { above })
    }

    /// Parameters of all residual functions.
    fn inside(&self) -> usize {
        let of = |stage: &StagePlan| {
            let init = Init::blank(&nowhere());
            let branch = Branch::new(init, self.kind, self.order, stage.width, stage.inner);
            2 * stage.blocks * Trace::part(&branch, vec![stage.width, 1, 1]).parameters()
        };
        self.stages.iter().map(of).sum()
    }

    /// Mels behind the last stage, for so many of the input.
    pub fn mels(&self, mels: usize) -> usize {
        let padded = mels.next_multiple_of(self.multiple[0]);
        self.stages.iter().fold(padded, |mels, stage| match stage.entry {
            Entry::Direct => mels,
            Entry::PerStream(conv) | Entry::Merged(conv) => conv.output_size([mels, 1])[0],
            Entry::Block(.., stride) => mels.div_ceil(stride[0]),
            Entry::Squeeze(squeeze) => mels / squeeze.mels,
        })
    }

    fn with(arch: &Architecture, kind: ReversibleType, base: &Base, inner: f64) -> Result<Self> {
        let options = &arch.reversible;
        let full = kind == ReversibleType::Full;
        let Base { blocks: counts, strides, branch, block } = *base;
        let expansion = base.expansion();
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
        if through_block && block.is_none() {
            let choice = "DF-ResNets have no strided block; choose per-stream or merged";
            return Err(bad(format!("transition = \"block\": {choice}")));
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
        // Streams of one channel are useless, and Burn's fusion on wgpu computes them wrongly.
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
                match (strides[s], transition, block) {
                    (stride, TransitionRule::Block, Some(kind))
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
                    (None, TransitionRule::PerStream | TransitionRule::Merged, _)
                    | (_, TransitionRule::Block, _) => Entry::Direct,
                }
            };
            let inner = match branch {
                BranchKind::Inverted => round(inner * 4.0 * base as f64),
                BranchKind::Basic | BranchKind::Bottleneck => round(inner * base as f64),
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
