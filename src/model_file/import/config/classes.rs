//! WeSpeaker's networks, by the names that its configurations have for them.

use crate::zoo::Architecture;

/// A class or function of WeSpeaker that makes networks.
#[derive(Debug)]
pub(super) struct Class {
    /// Its name.
    pub name: &'static str,
    /// Its rows of the registry. The first has its default layers. A class that takes all sizes as
    /// arguments has several rows: the one nearest to the arguments names the network.
    pub rows: &'static [&'static str],
    /// Whether ASTP sees mean and standard deviation of all frames, unless an argument says
    /// otherwise. WeSpeaker's versions differ where it is `None`: shapes tell.
    pub global: Option<bool>,
    /// The arguments that it takes.
    pub args: &'static [&'static [&'static str]],
}

const COMMON: &[&str] = &["embed_dim", "feat_dim", "pooling_func"];
const TWO: &[&str] = &["two_emb_layer"];
/// An argument of the classes behind WeSpeaker's functions.
const WIDTH: &[&str] = &["m_channels"];
const ECAPA: &[&str] = &["emb_bn"];
const OPEN_ECAPA: &[&str] = &["channels", "global_context_att"];
const CAMPPLUS: &[&str] = &["bn_size", "config_str", "growth_rate", "init_channels"];
const OPEN_REDIMNET: &[&str] = &[
    "C",
    "block_1d_type",
    "block_2d_type",
    "global_context_att",
    "group_divisor",
    "out_channels",
    "stages_setup",
];
const REDIMNET2: &[&str] = &[
    "F",
    "agg_gnorm",
    "before_pool_offset",
    "causal",
    "compress_tconvs",
    "dual_agg",
    "emb_bn",
    "fm_weigthing_type",
    "pad_right_samples",
    "return_2d_output",
    "return_all_outputs",
    "spec",
    "spec_in_channels",
    "use_freq_pos_enc",
];
/// Arguments that ReDimNet2 takes and does not use, at least with fbank.
const REDIMNET2_UNUSED: &[&str] = &[
    "feat_agg_dropout",
    "feat_type",
    "head_activation",
    "hop_length",
    "num_classes",
    "spec_params",
    "two_emb_layer",
];
const RES2NET_BLOCKS: &[&str] = &["baseWidth", "expansion", "scale"];
const OPEN_RES2NET: &[&str] = &["m_channels", "num_blocks"];
const SIMAM: &[&str] = &["acoustic_dim", "dropout", "embed_dim", "in_planes"];
const TDNN: &[&str] = &["hid_dim", "stats_dim"];

const RESNET_ARGS: &[&[&str]] = &[COMMON, TWO, WIDTH];
const ECAPA_ARGS: &[&[&str]] = &[COMMON, ECAPA];
const REDIMNET_ARGS: &[&[&str]] = &[COMMON, TWO];
const REDIMNET2_ARGS: &[&[&str]] = &[COMMON, OPEN_REDIMNET, REDIMNET2, REDIMNET2_UNUSED];
const RES2NET_ARGS: &[&[&str]] = &[COMMON, TWO];
const OPEN_RES2NET_ARGS: &[&[&str]] = &[COMMON, TWO, RES2NET_BLOCKS, OPEN_RES2NET];

const ECAPA_ROWS: &[&str] =
    &["ecapa-tdnn-512", "ecapa-tdnn-1024", "ecapa-tdnn-glob-512", "ecapa-tdnn-glob-1024"];
/// B2 first: its stages are the class's default.
const REDIMNET_ROWS: &[&str] = &[
    "redimnet-b2",
    "redimnet-b0",
    "redimnet-b1",
    "redimnet-b3",
    "redimnet-b4",
    "redimnet-b5",
    "redimnet-b6",
];
/// B4 first: its layers are the class's default.
const REDIMNET2_ROWS: &[&str] = &[
    "redimnet2-b4",
    "redimnet2-b0",
    "redimnet2-b1",
    "redimnet2-b2",
    "redimnet2-b3",
    "redimnet2-b5",
    "redimnet2-b6",
];
const ERES2NET_ROWS: &[&str] = &["eres2net34", "eres2net34-large", "eres2net34-aug"];
const RES2NET_ROWS: &[&str] = &["res2net34", "res2net34-large"];

/// A function for one network.
const fn one(
    name: &'static str,
    row: &'static [&'static str; 1],
    args: &'static [&'static [&'static str]],
) -> Class {
    Class { name, rows: row, global: Some(false), args }
}

/// The same with global context.
const fn global(
    name: &'static str,
    row: &'static [&'static str; 1],
    args: &'static [&'static [&'static str]],
) -> Class {
    Class { name, rows: row, global: Some(true), args }
}

/// A class for several, or one of which versions differ.
const fn open(
    name: &'static str,
    rows: &'static [&'static str],
    global: Option<bool>,
    args: &'static [&'static [&'static str]],
) -> Class {
    Class { name, rows, global, args }
}

/// All that are read.
pub(super) const CLASSES: &[Class] = &[
    one("ResNet18", &["resnet18"], RESNET_ARGS),
    one("ResNet34", &["resnet34"], RESNET_ARGS),
    one("ResNet50", &["resnet50"], RESNET_ARGS),
    one("ResNet101", &["resnet101"], RESNET_ARGS),
    one("ResNet152", &["resnet152"], RESNET_ARGS),
    one("ResNet221", &["resnet221"], RESNET_ARGS),
    one("ResNet293", &["resnet293"], RESNET_ARGS),
    one("Gemini_DF_ResNet60", &["gemini-df-resnet60"], RESNET_ARGS),
    one("Gemini_DF_ResNet114", &["gemini-df-resnet114"], RESNET_ARGS),
    one("Gemini_DF_ResNet183", &["gemini-df-resnet183"], RESNET_ARGS),
    one("Gemini_DF_ResNet237", &["gemini-df-resnet237"], RESNET_ARGS),
    one("ECAPA_TDNN_c512", &["ecapa-tdnn-512"], ECAPA_ARGS),
    one("ECAPA_TDNN_c1024", &["ecapa-tdnn-1024"], ECAPA_ARGS),
    global("ECAPA_TDNN_GLOB_c512", &["ecapa-tdnn-glob-512"], ECAPA_ARGS),
    global("ECAPA_TDNN_GLOB_c1024", &["ecapa-tdnn-glob-1024"], ECAPA_ARGS),
    open("ECAPA_TDNN", ECAPA_ROWS, Some(false), &[COMMON, ECAPA, OPEN_ECAPA]),
    one("CAMPPlus", &["campplus"], &[COMMON, CAMPPLUS]),
    global("ReDimNetB0", &["redimnet-b0"], REDIMNET_ARGS),
    open("ReDimNetB1", &["redimnet-b1"], None, REDIMNET_ARGS),
    global("ReDimNetB2", &["redimnet-b2"], REDIMNET_ARGS),
    global("ReDimNetB3", &["redimnet-b3"], REDIMNET_ARGS),
    global("ReDimNetB4", &["redimnet-b4"], REDIMNET_ARGS),
    global("ReDimNetB5", &["redimnet-b5"], REDIMNET_ARGS),
    global("ReDimNetB6", &["redimnet-b6"], REDIMNET_ARGS),
    open("ReDimNet", REDIMNET_ROWS, None, &[COMMON, TWO, OPEN_REDIMNET]),
    global("ReDimNet2B0", &["redimnet2-b0"], REDIMNET2_ARGS),
    global("ReDimNet2B1", &["redimnet2-b1"], REDIMNET2_ARGS),
    global("ReDimNet2B2", &["redimnet2-b2"], REDIMNET2_ARGS),
    global("ReDimNet2B3", &["redimnet2-b3"], REDIMNET2_ARGS),
    global("ReDimNet2B4", &["redimnet2-b4"], REDIMNET2_ARGS),
    global("ReDimNet2B5", &["redimnet2-b5"], REDIMNET2_ARGS),
    global("ReDimNet2B6", &["redimnet2-b6"], REDIMNET2_ARGS),
    open("ReDimNet2Custom", REDIMNET2_ROWS, Some(true), REDIMNET2_ARGS),
    open("ReDimNet2Wrap", REDIMNET2_ROWS, Some(true), REDIMNET2_ARGS),
    one("ERes2Net34_Base", &["eres2net34"], RES2NET_ARGS),
    one("ERes2Net34_Large", &["eres2net34-large"], RES2NET_ARGS),
    one("ERes2Net34_aug", &["eres2net34-aug"], &[COMMON, TWO, RES2NET_BLOCKS]),
    open("ERes2Net", ERES2NET_ROWS, Some(false), OPEN_RES2NET_ARGS),
    one("Res2Net34_Base", &["res2net34"], RES2NET_ARGS),
    one("Res2Net34_Large", &["res2net34-large"], RES2NET_ARGS),
    open("Res2Net", RES2NET_ROWS, Some(false), OPEN_RES2NET_ARGS),
    one("SimAM_ResNet34_ASP", &["simam-resnet34"], &[SIMAM]),
    one("SimAM_ResNet100_ASP", &["simam-resnet100"], &[SIMAM]),
    one("XVEC", &["tdnn"], &[COMMON, TDNN]),
];

/// The class of this name.
pub(super) fn named(name: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.name == name)
}

/// The zoo's name of a ResNet that WeSpeaker lacks, or that it writes in other letters: `resnet10`
/// of `ResNet10`.
pub(super) fn resnet(name: &str) -> Option<String> {
    let name = name.to_lowercase().replace("gemini_df_resnet", "gemini-df-resnet");
    let base = Architecture::named(&name).ok()?.base_name().to_owned();
    let family = base.trim_start_matches("gemini-").trim_start_matches("df-");
    family.starts_with("resnet").then_some(name)
}

/// A ResNet with arguments like WeSpeaker's.
pub(super) const RESNET: Class =
    Class { name: "ResNet", rows: &[], global: Some(false), args: RESNET_ARGS };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::PoolingKind;
    use crate::zoo::{Layers, Row};

    #[test]
    fn classes_are_rows_of_the_registry() {
        for class in CLASSES {
            let rows: Vec<&Row> = class.rows.iter().filter_map(|row| Row::of(row)).collect();
            assert_eq!(rows.len(), class.rows.len(), "{}", class.name);
            let mut layers = rows.iter().map(|row| Layers::of(row));
            let one_family = |layers: Option<Layers>| match (layers, Layers::of(rows[0])) {
                (Some(one), Some(first)) => one.is_of_the_family_of(&first),
                (one, first) => one == first,
            };
            assert!(layers.all(one_family), "{}", class.name);
            // A single network's own pooling is what the class has by default.
            if let [row] = rows[..] {
                let global = row.settings.pooling == PoolingKind::AstpGlobal;
                assert!(class.global.is_none_or(|own| own == global), "{}", class.name);
            }
        }
    }

    #[test]
    fn resnets_are_found_in_any_letters() {
        assert_eq!(resnet("ResNet10").unwrap(), "resnet10");
        assert_eq!(resnet("Gemini_DF_ResNet60").unwrap(), "gemini-df-resnet60");
        assert_eq!(resnet("rev1-df-resnet56").unwrap(), "rev1-df-resnet56");
        for other in ["ResNet11", "campplus", "simam-resnet34", "Res2Net34", "REPVGG_A0", ""] {
            assert_eq!(resnet(other), None, "{other}");
        }
    }
}
