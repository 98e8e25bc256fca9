//! Sizes of families beyond width and embedding, for networks other than the published ones.

use serde::{Deserialize, Serialize};

pub use super::campplus::CamPlusPlus;
pub use super::ecapa::Ecapa;
pub use super::redimnet::{Blocks2d, Context, ReDimNet, ReDimNet2, ReDimNetStage};
use super::registry::{Member, Row};
pub use super::res2net::Res2Net;
pub use super::simam_resnet::SimAm;
pub use super::tdnn::Tdnn;

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
