//! One row for each network. `revox zoo`, help, shell completion and errors read it.
//!
//! A new network of a family that is here takes a row of [`ROWS`]; a new family takes its file and
//! its type in the list of [`Backbone`].

use super::df_resnet::{Depths, GEMINI, ORIGINAL};
use super::network::Backbone;
use super::resnet::Blocks;
use super::reversible::{Base, ReversibleType};
use super::{Architecture, resnet10};
use crate::nn::BranchKind::{Basic, Bottleneck};
use crate::nn::Init;

/// One network.
pub struct Row {
    /// Its name on the command line, in recipes and in model files.
    pub name: &'static str,
    /// Where it was published.
    pub paper: &'static str,
    /// Parameters in millions, as published.
    pub published: Option<f64>,
    pub(super) network: &'static dyn Member,
}

/// What a row builds.
pub(super) trait Member: Sync {
    /// The network up to its pooled statistics, and how many channels times mels it pools.
    fn init(&self, init: &Init, arch: &Architecture) -> (Backbone, usize);

    /// What its reversible types are made of; nothing if it offers none.
    fn base(&self) -> Option<Base>;
}

const RESNET: &str = "arXiv 1512.03385";
const DF_RESNET: &str = "doi 10.1109/TASLP.2023.3273417";
const GOLDEN_GEMINI: &str = "arXiv 2312.03620";
const OURS: &str = "revox";

/// Every network. Sources of depths: WeSpeaker `resnet.py`, `gemini_dfresnet.py`; sources of
/// published parameters: WeSpeaker's VoxCeleb table and the papers. `resnet10` and `df-resnet32`
/// are ours, small members of their families for quick runs.
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
];

const fn row(
    name: &'static str,
    paper: &'static str,
    published: Option<f64>,
    network: &'static dyn Member,
) -> Row {
    Row { name, paper, published, network }
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
    let names = all(ROWS.iter().collect());
    match without.is_empty() {
        true => format!("{names}, each also as rev1-... and rev2-..."),
        false => format!("{names}; as rev1-... and rev2-...: {}", all(with)),
    }
}
