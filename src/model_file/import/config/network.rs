//! What a configuration says of the network.

use super::classes::{CLASSES, Class};
use super::{Config, Said, Tells, redimnet};
use crate::audio::FbankConfig;
use crate::error::Result;
use crate::model_file::import::section::Section;
use crate::nn::PoolingKind;
use crate::zoo::{
    Architecture, Blocks2d, CamPlusPlus, Ecapa, Layers, ReDimNet, Res2Net, Row, SimAm, Tdnn,
};

/// The range of a width.
const WIDTH: std::ops::RangeInclusive<f64> = 1.0..=1024.0;
/// Names of the width: of ResNets and Res2Nets, ECAPA, CAM++, ReDimNets, SimAM, TDNN.
const WIDTHS: [&str; 6] = ["m_channels", "channels", "init_channels", "C", "in_planes", "hid_dim"];

impl Config {
    /// Reads `model_args` of a class. `self.arch` names its first row.
    pub(super) fn network(&mut self, class: &Class, args: &Section) -> Result<()> {
        if let Some(key) = args.unknown(class.args) {
            let others = CLASSES.iter().flat_map(|other| other.args).copied();
            return Err(match others.flatten().any(|other| *other == key) {
                true => {
                    let class = class.name;
                    args.error(key, format!("{class} lacks this key, which other networks have"))
                }
                false => {
                    args.error(key, "revox does not know this key, which may change the network")
                }
            });
        }
        for key in ["feat_dim", "acoustic_dim", "F"] {
            // ReDimNet2 takes F where there is no feat_dim.
            self.mels = self.mels.or(args.whole(key, FbankConfig::MELS)?);
        }
        let usual = Row::of(&self.arch).and_then(Layers::of);
        self.pooling = pooling(class, args, usual.as_ref())?;
        let layers = match usual {
            Some(usual) => Some(layers(class, args, usual)?),
            None => None,
        };
        self.sizes(args, layers.as_ref())?;
        if let Some(row) = self.nearest(class, layers.as_ref()) {
            self.arch = row.to_owned();
        }
        // Nothing is said of layers that are the network's own.
        self.layers = layers.filter(|layers| own(&self.arch).as_ref() != Some(layers));
        Ok(())
    }

    /// Keeps the sizes that the checkpoint tells too.
    fn sizes(&mut self, args: &Section, layers: Option<&Layers>) -> Result<()> {
        let mut say = |key: &'static str, tells: Tells, value: String| {
            let line = args.cell(key).map_or(1, |cell| cell.line());
            self.said.push(Said { key, line, value, tells });
        };
        if let Some(dim) = args.whole("embed_dim", 1.0..=65536.0)? {
            say("embed_dim", Tells::Dimension, dim.to_string());
        }
        for key in WIDTHS {
            if let Some(width) = args.whole(key, WIDTH)? {
                say(key, Tells::Width, width.to_string());
            }
        }
        let two = args.flag("two_emb_layer")?;
        match (two, layers) {
            // WeSpeaker's ReDimNet2 takes the key and does not use it.
            (None, _) | (_, Some(Layers::ReDimNet2(_))) => {}
            (Some(two), _) => say("two_emb_layer", Tells::TwoLayers, two.to_string()),
        }
        Ok(())
    }

    /// Whether the arguments give the width.
    pub fn says_width(&self) -> bool {
        self.said.iter().any(|said| said.tells == Tells::Width)
    }

    /// The class's row with the most of these layers, the width and the pooling.
    fn nearest(&self, class: &Class, layers: Option<&Layers>) -> Option<&'static str> {
        let width = self.said.iter().find(|said| said.tells == Tells::Width);
        let fits = |row: &&'static str| {
            let Ok(arch) = Architecture::named(row) else { return 0 };
            let same_width = width.is_some_and(|said| said.value == arch.width.to_string());
            let same_pooling = self.pooling == Some(arch.pooling);
            4 * usize::from(own(row).as_ref() == layers)
                + 2 * usize::from(same_width)
                + usize::from(same_pooling)
        };
        // The last of equals is taken, here the first row.
        class.rows.iter().copied().rev().max_by_key(fits)
    }
}

/// A row's layers.
fn own(row: &str) -> Option<Layers> {
    Row::of(row).and_then(Layers::of)
}

/// The pooling, if the arguments say it or the class has attention by default.
fn pooling(class: &Class, args: &Section, layers: Option<&Layers>) -> Result<Option<PoolingKind>> {
    let global = args.flag("global_context_att")?.or(class.global);
    let astp = global.map(|all| if all { PoolingKind::AstpGlobal } else { PoolingKind::Astp });
    match args.text("pooling_func")? {
        Some("TSTP") => Ok(Some(PoolingKind::Tstp)),
        Some("TAP") => Ok(Some(PoolingKind::Tap)),
        Some("TSDP") => Ok(Some(PoolingKind::Tsdp)),
        Some("MQMHASTP") => Ok(Some(PoolingKind::Mqmhastp)),
        Some("ASTP") => Ok(astp),
        Some(other) => {
            let message = format!("{other}: TSTP, TAP, TSDP, ASTP and MQMHASTP are supported");
            Err(args.error("pooling_func", message))
        }
        None => Ok(match layers {
            Some(Layers::Ecapa(_) | Layers::ReDimNet(_) | Layers::ReDimNet2(_)) => astp,
            Some(Layers::SimAm(_)) => Some(PoolingKind::Asp),
            Some(Layers::CamPlusPlus(_) | Layers::Res2Net(_) | Layers::Tdnn(_)) | None => None,
        }),
    }
}

/// The layers: the class's `usual` ones, but for the arguments.
fn layers(class: &Class, args: &Section, usual: Layers) -> Result<Layers> {
    Ok(match usual {
        Layers::Ecapa(Ecapa { embedding_norm }) => {
            Layers::Ecapa(Ecapa { embedding_norm: args.flag("emb_bn")?.unwrap_or(embedding_norm) })
        }
        Layers::CamPlusPlus(CamPlusPlus { growth, bottleneck }) => {
            if let Some(other) = args.text("config_str")?.filter(|&s| s != "batchnorm-relu") {
                let message = format!("`{other}` is not supported; batchnorm-relu is");
                return Err(args.error("config_str", message));
            }
            Layers::CamPlusPlus(CamPlusPlus {
                growth: args.whole("growth_rate", 1.0..=1024.0)?.unwrap_or(growth),
                bottleneck: args.whole("bn_size", 1.0..=1024.0)?.unwrap_or(bottleneck),
            })
        }
        Layers::ReDimNet(usual) if class.rows.len() > 1 => {
            // The class's own default, where B2 has ConvNeXt's blocks.
            let usual = ReDimNet { blocks: Blocks2d::Basic, ..usual };
            Layers::ReDimNet(redimnet::first(args, usual)?)
        }
        Layers::ReDimNet(usual) => Layers::ReDimNet(redimnet::first(args, usual)?),
        Layers::ReDimNet2(usual) => Layers::ReDimNet2(redimnet::second(args, usual)?),
        Layers::Res2Net(usual) => Layers::Res2Net(res2net(args, usual)?),
        Layers::SimAm(SimAm { blocks }) => {
            // Embeddings are computed without dropout.
            args.number("dropout", 0.0..=1.0)?;
            Layers::SimAm(SimAm { blocks })
        }
        Layers::Tdnn(Tdnn { statistics }) => Layers::Tdnn(Tdnn {
            statistics: args.whole("stats_dim", 1.0..=65536.0)?.unwrap_or(statistics),
        }),
    })
}

fn res2net(args: &Section, usual: Res2Net) -> Result<Res2Net> {
    let mut layers = usual;
    if let Some(cell) = args.cell("num_blocks") {
        let blocks: [_; 4] = cell.array()?;
        for (place, cell) in layers.blocks.iter_mut().zip(&blocks) {
            *place = cell.whole(1.0..=256.0)?;
        }
    }
    for (key, most, place) in [
        ("baseWidth", 1024.0, &mut layers.base_width),
        ("scale", 64.0, &mut layers.scale),
        ("expansion", 64.0, &mut layers.expansion),
    ] {
        *place = args.whole(key, 1.0..=most)?.unwrap_or(*place);
    }
    Ok(layers)
}

#[cfg(test)]
mod tests;
