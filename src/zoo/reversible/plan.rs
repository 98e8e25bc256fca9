//! From an architecture's name and options to a table of stages with every size in it.

use super::super::network::Network;
use super::super::{Architecture, FRAMES};
use super::options::MergeRule::{self, Concat, Mean, Project};
use super::options::StreamRule::{self, Duplicate, Split};
use super::options::TransitionRule::{Block, Merged, PerStream};
use super::options::{ReversibleOptions, ReversibleType};
use crate::error::{Error, Result};
use crate::nn::{Branch, BranchKind, Conv2dConfig, Init, Order, Squeeze, Trace};

/// What reversible types take over from the ordinary network.
#[derive(Debug, Clone, Copy)]
pub(in crate::zoo) struct Base {
    /// Blocks of each stage.
    pub blocks: [usize; 4],
    /// Strides over mels and frames in front of each stage; none where resolution stays.
    pub strides: [Option<[usize; 2]>; 4],
    /// Whose convolutions the residual functions have.
    pub kind: BranchKind,
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
    Block(usize, usize, [usize; 2]),
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
    /// How its output becomes two streams; none where the first entry wants it whole.
    pub streams: Option<StreamRule>,
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
    /// Mels behind the last stage.
    pub mels: usize,
}

/// Parameters may differ from the ordinary network's by this part before the inner width is
/// changed.
const PARITY: f64 = 0.01;

impl Plan {
    /// The plan of an architecture of a reversible type.
    ///
    /// # Errors
    /// Impossible choices.
    pub fn new(arch: &Architecture, kind: ReversibleType, base: &Base) -> Result<Self> {
        if let Some(inner) = arch.reversible.inner {
            if !(inner.is_finite() && inner > 0.0 && inner <= 64.0) {
                return bad(format!("inner = {inner}: must be above 0 and at most 64"));
            }
            return Self::with(arch, kind, base, inner);
        }
        let plan = Self::with(arch, kind, base, 1.0)?;
        let (name, reversible) = (arch.base_name().to_owned(), ReversibleOptions::default());
        let ordinary = Architecture { name, reversible, ..arch.clone() };
        let wanted = ordinary.layout()?.parameters();
        let init = Init::blank();
        let whole = Network::new(plan.init(&init, arch), 1);
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
            let branch =
                Branch::new(Init::blank(), self.kind, self.order, stage.width, stage.inner);
            2 * stage.blocks * Trace::part(&branch, vec![stage.width, 1, 1]).parameters()
        };
        self.stages.iter().map(of).sum()
    }

    fn with(arch: &Architecture, kind: ReversibleType, base: &Base, inner: f64) -> Result<Self> {
        let options = &arch.reversible;
        let full = kind == ReversibleType::Full;
        let Base { blocks: counts, strides, kind } = *base;
        let expansion = kind.channels(1).1;
        let bottleneck = kind == BranchKind::Bottleneck;
        if full && options.transition.is_some() {
            return bad(
                "transition: Type II squeezes between its stages; the choice belongs to rev1-",
            );
        }
        let usual = if bottleneck { Block } else { PerStream };
        let transition = options.transition.unwrap_or(usual);
        let through_block = !full && transition == Block;
        if through_block && kind == BranchKind::Inverted {
            return bad(
                "transition = \"block\": DF-ResNets have no strided block; choose per-stream or \
                 merged",
            );
        }
        let usual = if full || bottleneck { Split } else { Duplicate };
        let streams = options.streams.unwrap_or(usual);
        let state = options.state.unwrap_or(match streams {
            _ if full && bottleneck => arch.width,
            _ if full => arch.width / 2,
            Duplicate => 2 * expansion * arch.width,
            Split => expansion * arch.width,
        });
        // Streams of one channel are useless, and Burn's fusion on wgpu computes them wrongly.
        if state < 4 || state % 2 == 1 || state > 1 << 14 {
            return bad(format!(
                "state = {state} channels: an even number is expected, 4 or more, for two streams"
            ));
        }
        if through_block && streams == Duplicate {
            return bad(
                "transition = \"block\" works on both streams as one; choose streams = \"split\"",
            );
        }
        // A block at a stage's entry is one of the ordinary network's.
        let left = |s: usize| counts[s] - usize::from(through_block && (s > 0 || bottleneck));
        let halved = |s| if s < 3 { left(s).div_ceil(2) } else { (left(s) / 2).max(1) };
        let counts = std::array::from_fn(halved);
        let counts = options.blocks.unwrap_or(counts);
        if counts.iter().any(|&n| n > 1000) {
            return bad(format!("blocks = {counts:?}: at most 1000 a stage"));
        }
        let wanted = expansion * arch.width;
        if through_block && state != wanted {
            return bad(format!(
                "state = {state}: with transition = \"block\" it must be {wanted}"
            ));
        }
        let stem = match streams {
            _ if through_block && bottleneck => arch.width,
            Duplicate => state / 2,
            Split => state,
        };
        let grain = (arch.width / 8).max(1) as f64;
        let round = |n: f64| (((n / grain).round() * grain) as usize).max(1);
        let mut width = state / 2;
        let (mut multiple, mut shrunk) = ([1, 1], 1);
        let mut stages = Vec::new();
        for (s, &blocks) in counts.iter().enumerate() {
            let base = arch.width << s;
            let before = width;
            if !full {
                width = (state / 2) << s;
            }
            let conv = |times: usize, stride| {
                Conv2dConfig::new(times * before, times * width, 3).stride(stride)
            };
            // Bottlenecks widen the stem's output, so they have a block in front of every stage.
            let stride = strides[s].or((through_block && bottleneck).then_some([1, 1]));
            shrunk *= stride.map_or(1, |stride| stride[0]);
            let entry = match (stride, transition) {
                (None, _) => Entry::Direct,
                (Some([mels, frames]), _) if full => {
                    multiple = [multiple[0] * mels, multiple[1] * frames];
                    width *= mels * frames;
                    Entry::Squeeze(Squeeze { mels, frames })
                }
                (Some(stride), PerStream) => Entry::PerStream(conv(1, stride)),
                (Some(stride), Merged) => Entry::Merged(conv(2, stride)),
                (Some(stride), Block) => {
                    Entry::Block(if s == 0 { stem } else { 2 * before }, base, stride)
                }
            };
            let inner = round(inner * kind.channels(base).0 as f64);
            stages.push(StagePlan { entry, width, inner, blocks });
        }
        let merge = options.merge.unwrap_or(match streams {
            _ if full => Project,
            Duplicate => Mean,
            Split => Concat,
        });
        let whole = matches!(stages[0].entry, Entry::Block(..));
        Ok(Self {
            stem,
            streams: (!whole).then_some(streams),
            multiple,
            stages,
            kind,
            order: options.order.unwrap_or(Order::PreActivation),
            merge,
            project: 8 * expansion * arch.width,
            mels: arch.mels.div_ceil(shrunk),
        })
    }
}

fn bad<T>(message: impl std::fmt::Display) -> Result<T> {
    Err(Error::invalid(format!("reversible: {message}")))
}
