//! Res2Net for speakers (arXiv 1904.01169; WeSpeaker `res2net.py`) and ERes2Net, which fuses within
//! its blocks and across its stages (arXiv 2305.12838; WeSpeaker `eres2net.py`).
//!
//! | stage | channels | mels x frames | fused with |
//! |---|---|---|---|
//! | stem | width | 1 | |
//! | 1 | expansion width | 1 | |
//! | 2 | 2 expansion width | 1/2 | stage 1 |
//! | 3 | 4 expansion width | 1/4 | the fusion before |
//! | 4 | 8 expansion width | 1/8 | the fusion before |
//!
//! A fusion halves mels and frames of what lies below by a 3x3 convolution without BatchNorm. The
//! last fusion is pooled; Res2Net pools stage 4.
//!
//! There is no reversible type. Blocks keep the shape inside a stage, so additive coupling would
//! fit, but for the clip behind each sum, which loses what it cuts off. It would have to go, and
//! halves of the channels would want other widths for the same number of parameters. ERes2Net would
//! also keep the outputs of all four stages for its fusions. That network would be a new one, of
//! which nobody has reported how well it does; for ResNets arXiv 2412.01195 does.

mod block;
mod fusion;

use burn::module::Module;

use super::network::Backbone;
use super::registry::Member;
use super::{Architecture, Layers, Res2Net, segments, without_asp};
use crate::error::{Error, Result};
use crate::nn::{BatchNorm, Conv2d, Conv2dConfig, Exec, Init, Pooling, Segments, Stage};
use block::{Block, Splits};
use fusion::Fusion;

/// Res2Net34.
pub(in crate::zoo) const RES2NET34: Res2Net =
    Res2Net { blocks: [3, 4, 6, 3], base_width: 32, scale: 2, expansion: 2, fusion: false };

/// Res2Net34-Large, which is wider.
pub(in crate::zoo) const RES2NET34_LARGE: Res2Net = RES2NET34;

/// ERes2Net34.
pub(in crate::zoo) const ERES2NET34: Res2Net = Res2Net { fusion: true, ..RES2NET34 };

/// ERes2Net34-Large, which is wider.
pub(in crate::zoo) const ERES2NET34_LARGE: Res2Net = ERES2NET34;

/// ERes2Net34-aug.
pub(in crate::zoo) const ERES2NET34_AUG: Res2Net =
    Res2Net { base_width: 24, scale: 3, expansion: 4, ..ERES2NET34 };

/// Strides over `[mels, frames]` of each stage's first block.
const STRIDES: [[usize; 2]; 4] = [[1, 1], [2, 2], [2, 2], [2, 2]];

impl Res2Net {
    /// Channels of a split in blocks of so many channels.
    fn split(&self, planes: usize) -> usize {
        planes * self.base_width / 64
    }

    /// What a stage's blocks do with their splits. Stages count from 0.
    fn splits(&self, stage: usize) -> Splits {
        match (self.fusion, stage) {
            (false, _) => Splits::Summed,
            (true, 0 | 1) => Splits::AllSummed,
            (true, _) => Splits::AllFused,
        }
    }
}

impl Member for Res2Net {
    fn init(&self, init: &Init, arch: &Architecture) -> Backbone {
        let output = |s: usize| self.expansion * (arch.width << s);
        let stage = |s: usize| -> Vec<Block> {
            let block = |b: usize| {
                let input = match (s, b) {
                    (0, 0) => arch.width,
                    (s, 0) => output(s - 1),
                    (s, _) => output(s),
                };
                let stride = if b == 0 { STRIDES[s] } else { [1, 1] };
                let place = init.at(format!("layer{}", s + 1)).at(b);
                Block::new(&place, self, self.splits(s), input, arch.width << s, stride)
            };
            (0..self.blocks[s]).map(block).collect()
        };
        let down = |name: &str, s: usize| {
            let conv = Conv2dConfig::new(output(s), output(s + 1), 3).stride(STRIDES[s + 1]);
            self.fusion.then(|| conv.init(init.at(name)))
        };
        let fuse =
            |name: &str, s: usize| self.fusion.then(|| Fusion::new(init.at(name), output(s)));
        let shrunk: usize = STRIDES.iter().map(|stride| stride[0]).product();
        let pooled = output(3) * arch.mels.div_ceil(shrunk);
        Backbone::Res2Net(Res2NetNet {
            conv1: Conv2dConfig::new(1, arch.width, 3).init(init.at("conv1")),
            bn1: BatchNorm::new(init.at("bn1"), arch.width),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
            layer1_downsample: down("layer1_downsample", 0),
            layer2_downsample: down("layer2_downsample", 1),
            layer3_downsample: down("layer3_downsample", 2),
            fuse_mode12: fuse("fuse_mode12", 1),
            fuse_mode123: fuse("fuse_mode123", 2),
            fuse_mode1234: fuse("fuse_mode1234", 3),
            pool: Pooling::new(init.at("pool"), arch.pooling, pooled),
            unnamed: segments(init, arch, pooled),
        })
    }

    fn check(&self, arch: &Architecture) -> Result<()> {
        let name = &arch.name;
        let within = |what: &str, value: usize, least: usize, most: usize| {
            let fits = (least..=most).contains(&value);
            fits.then_some(()).ok_or_else(|| {
                Error::invalid(format!("`{name}`: {what} = {value}: must be {least} to {most}"))
            })
        };
        self.blocks.into_iter().try_for_each(|blocks| within("blocks", blocks, 1, 256))?;
        within("base_width", self.base_width, 1, 1024)?;
        within("scale", self.scale, 2, 64)?;
        within("expansion", self.expansion, 1, 64)?;
        if self.split(arch.width) == 0 {
            let least = 64usize.div_ceil(self.base_width);
            let message =
                format!("`{name}` has no channels at width {}; {least} is the least", arch.width);
            return Err(Error::invalid(message));
        }
        // Channels times mels are a multiple of 8, as MQMHASTP's heads want them.
        without_asp(arch)
    }

    fn layers(&self) -> Option<Layers> {
        Some(Layers::Res2Net(self.clone()))
    }
}

/// The network; field names are WeSpeaker's.
#[derive(Module, Debug)]
pub(in crate::zoo) struct Res2NetNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
    layer1_downsample: Option<Conv2d>,
    layer2_downsample: Option<Conv2d>,
    layer3_downsample: Option<Conv2d>,
    fuse_mode12: Option<Fusion>,
    fuse_mode123: Option<Fusion>,
    fuse_mode1234: Option<Fusion>,
    pool: Pooling,
    unnamed: Segments,
}

impl Res2NetNet {
    /// `[batch, 1, mels, frames]` -> `[batch, embedding_dim]`.
    pub fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        let x = e.conv_norm_relu(&self.conv1, &self.bn1, image);
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        let stage = |e: &mut E, s: usize, x: E::Value<4>| {
            e.stage(Stage::numbered("stage", s + 1));
            stages[s].iter().fold(x, |x, block| block.forward(e, x))
        };
        let fusions = [
            (&self.layer1_downsample, &self.fuse_mode12),
            (&self.layer2_downsample, &self.fuse_mode123),
            (&self.layer3_downsample, &self.fuse_mode1234),
        ];
        let mut x = stage(e, 0, x);
        let mut fused = self.fuse_mode12.as_ref().map(|_| x.clone());
        for (s, (down, fuse)) in (1..).zip(fusions) {
            x = stage(e, s, x);
            let below = down.as_ref().zip(fuse.as_ref()).zip(fused.take());
            fused = below.map(|((down, fuse), below)| {
                e.stage(Stage::numbered("fusion", s));
                let below = e.conv2d(down, below);
                fuse.forward(e, x.clone(), below)
            });
        }
        e.stage(Stage::POOLING);
        let pooled = self.pool.forward(e, fused.unwrap_or(x));
        self.unnamed.forward(e, pooled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::PoolingKind;
    use crate::nn::wespeaker::compare;

    fn named(name: &str) -> Architecture {
        Architecture::named(name).unwrap()
    }

    /// Counts of WeSpeaker's classes.
    #[test]
    fn parameters_are_the_references() {
        let count = |arch: Architecture| arch.account(200).unwrap().parameters();
        for (name, wanted) in [
            ("eres2net34", 7_266_112),
            ("eres2net34-large", 23_773_568),
            ("eres2net34-aug", 57_786_528),
            ("res2net34", 4_689_024),
            ("res2net34-large", 13_481_472),
        ] {
            assert_eq!(count(named(name)), wanted, "{name}");
        }
        let two = Architecture { two_embedding_layers: true, ..named("eres2net34") };
        assert_eq!(count(two), 7_331_904);
        let longer = Architecture { embedding_dim: 512, ..named("eres2net34") };
        assert_eq!(count(longer), 9_887_808);
    }

    #[test]
    fn fusions_are_wespeakers() {
        let fusion = |init: &Init| Fusion::new(init.clone(), 8);
        compare("eres2net_aff", "", fusion, |fusion, e, x| {
            fusion.forward(e, x[0].clone(), x[1].clone())
        });
        let block = |init: &Init| Block::new(init, &ERES2NET34, Splits::AllFused, 8, 16, [2, 2]);
        compare("eres2net_block_aff", "", block, |block, e, x| block.forward(e, x[0].clone()));
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let refused = |of: &Res2Net, arch: Architecture, wanted: &str| {
            let error = of.check(&arch).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        };
        let arch = named("eres2net34-aug");
        refused(&ERES2NET34_AUG, Architecture { width: 2, ..arch.clone() }, "3 is the least");
        assert!(ERES2NET34_AUG.check(&Architecture { width: 3, ..arch.clone() }).is_ok());
        let asp = Architecture { pooling: PoolingKind::Asp, ..arch.clone() };
        refused(&ERES2NET34_AUG, asp, "no ASP");
        let none = Res2Net { blocks: [1, 0, 1, 1], ..RES2NET34 };
        refused(&none, arch.clone(), "blocks = 0: must be 1 to 256");
        let one = Res2Net { scale: 1, ..RES2NET34 };
        refused(&one, arch, "scale = 1: must be 2 to 64");
    }
}
