//! Sizes of layers that a checkpoint's shapes tell.

use super::weights::Weights;
use crate::zoo::{Architecture, CamPlusPlus, Ecapa, Layers, Row, Tdnn};

/// The layers of the network of `arch` in a file, if its shapes tell them and they are not the
/// usual ones. A number of blocks is not read off: a network with another one has another name.
pub(super) fn told(arch: &Architecture, weights: &Weights) -> Option<Layers> {
    let usual = Layers::of(Row::of(arch.base_name())?)?;
    let shape = |name: &str| Some(weights.network.get(name)?.shape.as_slice());
    let told = match &usual {
        Layers::Ecapa(Ecapa { embedding_norm: _ }) => {
            Layers::Ecapa(Ecapa { embedding_norm: shape("bn2.weight").is_some() })
        }
        Layers::CamPlusPlus(CamPlusPlus { growth: _, bottleneck: _ }) => {
            let first = "xvector.block1.tdnnd1.cam_layer.linear_local.weight";
            let [growth, inner, _] = *shape(first)? else { return None };
            let whole = growth > 0 && inner % growth == 0;
            let bottleneck = whole.then(|| inner / growth)?;
            Layers::CamPlusPlus(CamPlusPlus { growth, bottleneck })
        }
        Layers::Tdnn(Tdnn { statistics: _ }) => {
            let statistics = *shape("frame_5.conv_1d.weight")?.first()?;
            Layers::Tdnn(Tdnn { statistics })
        }
        Layers::ReDimNet(_) | Layers::ReDimNet2(_) | Layers::Res2Net(_) | Layers::SimAm(_) => {
            return None;
        }
    };
    (told != usual).then_some(told)
}

/// Whether a configuration may say sizes of layers that shapes do not tell.
pub(super) fn are_open(arch: &Architecture) -> bool {
    let usual = Row::of(arch.base_name()).and_then(Layers::of);
    matches!(usual, Some(Layers::ReDimNet(_) | Layers::ReDimNet2(_) | Layers::Res2Net(_)))
}
