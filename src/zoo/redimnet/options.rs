//! What tells the members of both families apart, and the sizes that follow from it.

use std::ops::RangeInclusive;

use crate::error::{Error, Result};
use crate::zoo::{Architecture, Blocks2d, Context, ReDimNetStage, without_asp};

/// Heads of the self-attention.
pub(super) const HEADS: usize = 4;

// No file may ask for more.
const MOST_STAGES: usize = 16;
const MOST_BLOCKS: usize = 32;
const MOST_STRIDE: usize = 8;
/// Frames that become one.
const MOST_FRAMES: usize = 32;
const MOST_EXPANSION: f64 = 8.0;
const MOST_CHANNELS: usize = 1 << 14;
const MOST_DIVISOR: usize = 1 << 20;
const MOST_EDGE: usize = 15;

/// A stage with the usual kernel.
pub(super) const fn stage(
    stride: [usize; 2],
    blocks: usize,
    expansion: f64,
    context: Option<usize>,
) -> ReDimNetStage {
    ReDimNetStage { stride, blocks, expansion, context, kernel: None }
}

/// Where the two families differ.
#[derive(Clone, Copy)]
pub(super) enum Generation {
    /// ReDimNet.
    First,
    /// ReDimNet2, whose first convolutions may be grouped (`compressed`), and whose pooling sees
    /// flat values or an image.
    Second { compressed: bool, flat: bool },
}

/// What the two families have in common.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    pub generation: Generation,
    pub context: Context,
    pub blocks: Blocks2d,
    pub group_divisor: Option<usize>,
    pub output: Option<usize>,
    pub stages: &'a [ReDimNetStage],
}

/// A stage's sizes.
pub(super) struct Plan {
    /// Channels and mels of the image that its input is folded into.
    pub input: [usize; 2],
    /// Kernel and stride of the first convolution. Over frames it is the product of all strides so
    /// far, since every stage reads all frames.
    pub stride: [usize; 2],
    /// Channels inside the blocks.
    pub inner: usize,
    /// Channels and mels behind the stage.
    pub output: [usize; 2],
    /// Channels of the time context.
    pub hidden: Option<usize>,
    /// As given.
    pub stage: ReDimNetStage,
}

impl Plan {
    /// Values of a frame, the same in all stages.
    pub fn volume(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Whether convolutions lead from the blocks' channels to the stage's.
    pub fn narrows(&self) -> bool {
        self.stage.expansion != 1.0
    }
}

impl Shared<'_> {
    /// The stages' sizes.
    pub fn plans(&self, arch: &Architecture) -> Vec<Plan> {
        let (mut size, mut frames) = ([arch.width, arch.mels], 1);
        let plan = |stage: &ReDimNetStage| {
            let (input, over) = (size, stage.stride);
            size = [over[0] * input[0], input[1] / over[0]];
            frames *= over[1];
            Plan {
                input,
                stride: [over[0], frames],
                inner: (size[0] as f64 * stage.expansion) as usize,
                output: size,
                hidden: stage.context.map(|divisor| arch.width * arch.mels / divisor),
                stage: *stage,
            }
        };
        self.stages.iter().map(plan).collect()
    }

    /// The product of the strides over mels (0) or frames (1).
    pub fn strides(&self, axis: usize) -> usize {
        self.stages.iter().map(|stage| stage.stride[axis]).product()
    }

    /// Groups of a block's convolution of so many channels.
    pub fn groups(&self, channels: usize) -> usize {
        self.group_divisor.map_or(1, |divisor| channels / divisor)
    }

    /// Values of a frame that are pooled.
    pub fn pooled(&self, arch: &Architecture) -> usize {
        let Some(output) = self.output else { return arch.width * arch.mels };
        match self.generation {
            Generation::First | Generation::Second { flat: true, .. } => output,
            Generation::Second { flat: false, .. } => output * (arch.mels / self.strides(0)),
        }
    }

    /// Refuses sizes that do not fit together.
    ///
    /// # Errors
    /// The first of them.
    pub fn check(&self, arch: &Architecture) -> Result<()> {
        let name = format!("`{}`", arch.name);
        within(&name, "number of stages", self.stages.len(), 1..=MOST_STAGES)?;
        within(&name, "output", self.output.unwrap_or(1), 1..=MOST_CHANNELS)?;
        within(&name, "group_divisor", self.group_divisor.unwrap_or(1), 1..=MOST_CHANNELS)?;
        for (stage, number) in self.stages.iter().zip(1..) {
            self.check_stage(stage, &format!("{name}, stage {number}"))?;
        }
        let (mels, multiple) = (arch.mels, self.strides(0));
        if !mels.is_multiple_of(multiple) {
            let near = mels.next_multiple_of(multiple);
            return Err(Error::invalid(format!(
                "{name}: mels = {mels}: must be a multiple of {multiple}, the product of its \
                 strides over mels, such as {near}"
            )));
        }
        within(&name, "product of the strides over frames", self.strides(1), 1..=MOST_FRAMES)?;
        for (plan, number) in self.plans(arch).iter().zip(1..) {
            self.check_plan(plan, &format!("{name}, stage {number}"))?;
        }
        self.check_pooling(arch, &name)
    }

    fn check_stage(&self, stage: &ReDimNetStage, place: &str) -> Result<()> {
        within(place, "stride over mels", stage.stride[0], 1..=MOST_STRIDE)?;
        let most = match self.generation {
            Generation::First => 1,
            Generation::Second { .. } => MOST_STRIDE,
        };
        within(place, "stride over frames", stage.stride[1], 1..=most)?;
        within(place, "blocks", stage.blocks, 0..=MOST_BLOCKS)?;
        within(place, "context", stage.context.unwrap_or(1), 1..=MOST_DIVISOR)?;
        let expansion = stage.expansion;
        if !(f64::MIN_POSITIVE..=MOST_EXPANSION).contains(&expansion) {
            return Err(Error::invalid(format!(
                "{place}: expansion = {expansion}: must be above 0 and at most {MOST_EXPANSION}"
            )));
        }
        let Some(kernel) = stage.kernel else { return Ok(()) };
        match (self.generation, self.blocks) {
            (Generation::Second { .. }, Blocks2d::ConvNext) => {}
            (Generation::First, Blocks2d::ConvNext)
            | (
                Generation::First | Generation::Second { .. },
                Blocks2d::Basic | Blocks2d::BasicSe,
            ) => {
                return Err(Error::invalid(format!(
                    "{place}: only ReDimNet2's convnext_like blocks have a kernel; leave it out"
                )));
            }
        }
        if kernel.iter().any(|&edge| edge % 2 == 0 || edge > MOST_EDGE) {
            return Err(Error::invalid(format!(
                "{place}: kernel = {kernel:?}: must be two odd numbers up to {MOST_EDGE}"
            )));
        }
        Ok(())
    }

    fn check_plan(&self, plan: &Plan, place: &str) -> Result<()> {
        let (inner, output) = (plan.inner, plan.output[0]);
        within(place, "channels of its blocks", inner, 1..=MOST_CHANNELS)?;
        self.check_groups([inner, inner], place)?;
        match self.generation {
            Generation::First if plan.narrows() => self.check_groups([inner, output], place)?,
            Generation::First | Generation::Second { .. } => {}
        }
        match plan.hidden {
            Some(hidden) if hidden == 0 || !hidden.is_multiple_of(HEADS) => {
                let volume = plan.volume();
                Err(Error::invalid(format!(
                    "{place}: its time context has {hidden} channels ({volume} values of a frame \
                     by context): they must be a multiple of {HEADS}"
                )))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Groups follow from the output channels, and must divide both.
    fn check_groups(&self, [input, output]: [usize; 2], place: &str) -> Result<()> {
        let groups = self.groups(output);
        if groups > 0 && input.is_multiple_of(groups) && output.is_multiple_of(groups) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{place}: a convolution from {input} to {output} channels cannot have {groups} \
             groups; another group_divisor is needed"
        )))
    }

    fn check_pooling(&self, arch: &Architecture, name: &str) -> Result<()> {
        let (pooled, divisor) = (self.pooled(arch), arch.pooling.divisor());
        if !pooled.is_multiple_of(divisor) {
            let kind = arch.pooling.name();
            return Err(Error::invalid(format!(
                "{name} has no pooling {kind} of {pooled} values of a frame: they must be a \
                 multiple of {divisor}"
            )));
        }
        without_asp(arch)
    }
}

fn within(place: &str, what: &str, value: usize, range: RangeInclusive<usize>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    let must = if least == most { format!("{least}") } else { format!("{least} to {most}") };
    Err(Error::invalid(format!("{place}: {what} = {value}: must be {must}")))
}
