//! One row for each network. `revox zoo`, help, shell completion and errors read it.
//!
//! A new network of a family that is here takes a row of [`ROWS`]; a new family takes its file and
//! its type in the lists of [`Backbone`] and [`Layers`](super::Layers).

use super::df_resnet::{Depths, GEMINI, ORIGINAL};
use super::network::Backbone;
use super::resnet::Blocks;
use super::reversible::{Base, ReversibleType};
use super::{
    Architecture, Layers, campplus, ecapa, redimnet, res2net, resnet10, simam_resnet, tdnn,
};
use crate::error::Result;
use crate::nn::BranchKind::{Basic, Bottleneck};
use crate::nn::Init;
use crate::nn::PoolingKind::{self, Asp, Astp, AstpGlobal, Tstp};

/// One network.
pub struct Row {
    /// Its name on the command line, in recipes and in model files.
    pub name: &'static str,
    /// Where it was published.
    pub paper: &'static str,
    /// Parameters in millions, as published.
    pub published: Option<f64>,
    /// What a recipe that names only the network gets.
    pub settings: Settings,
    pub(super) network: &'static dyn Member,
}

/// What a recipe that names only the network gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// See [`Architecture::width`].
    pub width: usize,
    /// See [`Architecture::mels`].
    pub mels: usize,
    /// See [`Architecture::embedding_dim`].
    pub embedding_dim: usize,
    /// See [`Architecture::pooling`].
    pub pooling: PoolingKind,
    /// See [`Architecture::two_embedding_layers`].
    pub two_embedding_layers: bool,
}

impl Settings {
    /// 32 channels, 80 mels, 256-d, TSTP.
    pub const DEFAULT: Self = Self {
        width: 32,
        mels: 80,
        embedding_dim: 256,
        pooling: Tstp,
        two_embedding_layers: false,
    };

    const fn of(width: usize, mels: usize, embedding_dim: usize, pooling: PoolingKind) -> Self {
        Self { width, mels, embedding_dim, pooling, two_embedding_layers: false }
    }
}

/// What a row builds.
pub(super) trait Member: Sync {
    /// The network at a place.
    fn init(&self, init: &Init, arch: &Architecture) -> Backbone;

    /// Refuses sizes and options that the family lacks. General bounds were checked before.
    ///
    /// # Errors
    /// The first of them.
    fn check(&self, _arch: &Architecture) -> Result<()> {
        Ok(())
    }

    /// Fewest frames of an utterance.
    fn least_frames(&self) -> usize {
        1
    }

    /// The tensor whose first axis is the width, if it is not the first tensor.
    fn width_tensor(&self) -> Option<&'static str> {
        None
    }

    /// What its reversible types are made of; nothing if it offers none.
    fn base(&self) -> Option<Base> {
        None
    }

    /// Its sizes, if a recipe may choose others.
    fn layers(&self) -> Option<Layers> {
        None
    }
}

const RESNET: &str = "arXiv 1512.03385";
const DF_RESNET: &str = "doi 10.1109/TASLP.2023.3273417";
const GOLDEN_GEMINI: &str = "arXiv 2312.03620";
const ECAPA: &str = "arXiv 2005.07143";
const CAMPPLUS: &str = "arXiv 2303.00332";
const REDIMNET: &str = "arXiv 2407.18223";
const REDIMNET2: &str = "arXiv 2603.11841";
const ERES2NET: &str = "arXiv 2305.12838";
const RES2NET: &str = "arXiv 1904.01169";
const SIMAM: &str = "PMLR 139 (Yang et al. 2021)";
const TDNN: &str = "doi 10.1109/ICASSP.2018.8461375";
const OURS: &str = "revox";

/// Every network. Sources of depths: WeSpeaker `resnet.py`, `gemini_dfresnet.py`; sources of
/// published parameters: WeSpeaker's VoxCeleb table and the papers. The networks from ECAPA on are
/// WeSpeaker's; ReDimNets have other numbers of parameters there than in their papers. `resnet10`
/// and `df-resnet32` are ours, small members of their families for quick runs.
pub const ROWS: &[Row] = &[
    row("resnet10", OURS, None, &resnet10::NETWORK),
    row("resnet18", RESNET, None, &Blocks(Basic, [2, 2, 2, 2])),
    row("resnet34", RESNET, Some(6.63), &Blocks(Basic, [3, 4, 6, 3])),
    row("resnet50", RESNET, None, &Blocks(Bottleneck, [3, 4, 6, 3])),
    row("resnet101", RESNET, None, &Blocks(Bottleneck, [3, 4, 23, 3])),
    row("resnet152", RESNET, None, &Blocks(Bottleneck, [3, 8, 36, 3])),
    row("resnet221", RESNET, Some(23.79), &Blocks(Bottleneck, [6, 16, 48, 3])),
    row("resnet293", RESNET, Some(28.62), &Blocks(Bottleneck, [10, 20, 64, 3])),
    row("df-resnet32", OURS, None, &Depths(ORIGINAL, [2, 2, 4, 2])),
    row("df-resnet56", DF_RESNET, Some(4.5), &Depths(ORIGINAL, [3, 3, 9, 3])),
    row("df-resnet110", DF_RESNET, None, &Depths(ORIGINAL, [3, 3, 27, 3])),
    row("df-resnet179", DF_RESNET, None, &Depths(ORIGINAL, [3, 8, 45, 3])),
    row("df-resnet233", DF_RESNET, Some(12.3), &Depths(ORIGINAL, [3, 8, 63, 3])),
    row("gemini-df-resnet60", GOLDEN_GEMINI, None, &Depths(GEMINI, [3, 3, 9, 3])),
    row("gemini-df-resnet114", GOLDEN_GEMINI, Some(6.53), &Depths(GEMINI, [3, 3, 27, 3])),
    row("gemini-df-resnet183", GOLDEN_GEMINI, None, &Depths(GEMINI, [3, 8, 45, 3])),
    row("gemini-df-resnet237", GOLDEN_GEMINI, None, &Depths(GEMINI, [3, 8, 63, 3])),
    with("ecapa-tdnn-512", ECAPA, None, ecapa(512, Astp), &ecapa::ECAPA),
    with("ecapa-tdnn-1024", ECAPA, None, ecapa(1024, Astp), &ecapa::ECAPA),
    with("ecapa-tdnn-glob-512", ECAPA, Some(6.19), ecapa(512, AstpGlobal), &ecapa::ECAPA),
    with("ecapa-tdnn-glob-1024", ECAPA, Some(14.65), ecapa(1024, AstpGlobal), &ecapa::ECAPA),
    with("campplus", CAMPPLUS, Some(7.18), Settings::of(128, 80, 512, Tstp), &campplus::CAMPPLUS),
    with("redimnet-b0", REDIMNET, Some(1.0), redimnet(10, 60), &redimnet::B0),
    with("redimnet-b1", REDIMNET, None, redimnet(12, 72), &redimnet::B1),
    with("redimnet-b2", REDIMNET, None, redimnet(16, 72), &redimnet::B2),
    with("redimnet-b3", REDIMNET, None, redimnet(16, 72), &redimnet::B3),
    with("redimnet-b4", REDIMNET, None, redimnet(32, 72), &redimnet::B4),
    with("redimnet-b5", REDIMNET, None, redimnet(32, 72), &redimnet::B5),
    with("redimnet-b6", REDIMNET, Some(15.0), redimnet(32, 72), &redimnet::B6),
    with("redimnet2-b0", REDIMNET2, None, redimnet(12, 72), &redimnet::second::B0),
    with("redimnet2-b1", REDIMNET2, None, redimnet(16, 72), &redimnet::second::B1),
    with("redimnet2-b2", REDIMNET2, None, redimnet(20, 72), &redimnet::second::B2),
    with("redimnet2-b3", REDIMNET2, None, redimnet(24, 72), &redimnet::second::B3),
    with("redimnet2-b4", REDIMNET2, None, redimnet(32, 72), &redimnet::second::B4),
    with("redimnet2-b5", REDIMNET2, None, redimnet(48, 72), &redimnet::second::B5),
    with("redimnet2-b6", REDIMNET2, None, redimnet(64, 72), &redimnet::second::B6),
    row("eres2net34", ERES2NET, None, &res2net::ERES2NET34),
    with("eres2net34-large", ERES2NET, None, LARGE, &res2net::ERES2NET34_LARGE),
    with("eres2net34-aug", ERES2NET, None, LARGE, &res2net::ERES2NET34_AUG),
    row("res2net34", RES2NET, None, &res2net::RES2NET34),
    with("res2net34-large", RES2NET, None, LARGE, &res2net::RES2NET34_LARGE),
    with("simam-resnet34", SIMAM, Some(25.2), SIMAM_SETTINGS, &simam_resnet::SIMAM_34),
    with("simam-resnet100", SIMAM, Some(50.2), SIMAM_SETTINGS, &simam_resnet::SIMAM_100),
    with("tdnn", TDNN, Some(4.61), TDNN_SETTINGS, &tdnn::TDNN),
];

const LARGE: Settings = Settings::of(64, 80, 256, Tstp);
const SIMAM_SETTINGS: Settings = Settings::of(64, 80, 256, Asp);
const TDNN_SETTINGS: Settings =
    Settings { two_embedding_layers: true, ..Settings::of(512, 80, 512, Tstp) };

const fn row(
    name: &'static str,
    paper: &'static str,
    published: Option<f64>,
    network: &'static dyn Member,
) -> Row {
    Row { name, paper, published, settings: Settings::DEFAULT, network }
}

/// A row with settings of its own.
const fn with(
    name: &'static str,
    paper: &'static str,
    published: Option<f64>,
    settings: Settings,
    network: &'static dyn Member,
) -> Row {
    Row { name, paper, published, settings, network }
}

const fn ecapa(width: usize, pooling: PoolingKind) -> Settings {
    Settings::of(width, 80, 192, pooling)
}

const fn redimnet(width: usize, mels: usize) -> Settings {
    Settings::of(width, mels, 192, AstpGlobal)
}

impl Row {
    /// The row of a name, without reversible type.
    pub fn of(name: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.name == name)
    }

    /// Whether the network exists as `rev1-` and `rev2-` too.
    pub fn has_reversible_types(&self) -> bool {
        self.network.base().is_some()
    }
}

impl Layers {
    /// Those of a published network. ResNets and DF-ResNets have none to choose.
    pub fn of(row: &Row) -> Option<Self> {
        row.network.layers()
    }

    /// Whether both are of one family.
    pub fn is_of_the_family_of(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    pub(super) fn member(&self) -> &dyn Member {
        match self {
            Self::Ecapa(layers) => layers,
            Self::CamPlusPlus(layers) => layers,
            Self::ReDimNet(layers) => layers,
            Self::ReDimNet2(layers) => layers,
            Self::Res2Net(layers) => layers,
            Self::SimAm(layers) => layers,
            Self::Tdnn(layers) => layers,
        }
    }
}

/// Every name: those of [`ROWS`], and each that has them as Type I and Type II.
pub fn names() -> impl Iterator<Item = String> {
    let reversible = |kind: ReversibleType| {
        let rows = ROWS.iter().filter(|row| row.has_reversible_types());
        rows.map(move |row| format!("{}{}", kind.prefix(), row.name))
    };
    let plain = ROWS.iter().map(|row| row.name.to_owned());
    plain.chain([ReversibleType::Partial, ReversibleType::Full].into_iter().flat_map(reversible))
}

/// The list of names for people, types summed up.
pub(super) fn listed() -> String {
    let all = |rows: Vec<&Row>| rows.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    let (with, without): (Vec<&Row>, Vec<&Row>) =
        ROWS.iter().partition(|row| row.has_reversible_types());
    format!("{}, each also as rev1-... and rev2-...; {}", all(with), all(without))
}

/// Names that may be meant by an unknown one: one contains the other, letters and digits alone.
pub(super) fn near(name: &str) -> Vec<&'static str> {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let wanted = plain(name);
    let is_near = |row: &&Row| {
        let own = plain(row.name);
        wanted.len() >= 4 && (own.contains(&wanted) || wanted.contains(&own))
    };
    ROWS.iter().filter(is_near).map(|row| row.name).collect()
}
