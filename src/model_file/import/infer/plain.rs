//! What a file has beyond the plainest network of its family.

use std::collections::HashSet;

use crate::error::Result;
use crate::model_file::import::weights::Weights;
use crate::nn::PoolingKind;
use crate::nn::graph::Info;
use crate::zoo::Architecture;

/// Poolings that have no tensors.
pub(super) const WITHOUT_ATTENTION: [PoolingKind; 3] =
    [PoolingKind::Tstp, PoolingKind::Tap, PoolingKind::Tsdp];

/// The network with the fewest tensors that a family offers: one embedding layer, and a pooling
/// without attention.
pub(super) struct Plain {
    pub arch: Architecture,
    names: HashSet<String>,
}

impl Plain {
    /// The one of `arch`'s sizes.
    pub fn of(arch: &Architecture) -> Result<Self> {
        let mut arch = arch.clone();
        offers(&mut arch, |arch| arch.two_embedding_layers = false);
        for pooling in WITHOUT_ATTENTION {
            if offers(&mut arch, |arch| arch.pooling = pooling) {
                break;
            }
        }
        let tensors = arch.layout()?.tensors.into_iter();
        Ok(Self { arch, names: tensors.map(|tensor| tensor.name).collect() })
    }

    /// The tensors that the network has in addition with this change; none if the family does not
    /// offer it.
    pub fn added(&self, change: impl FnOnce(&mut Architecture)) -> Result<Vec<Info>> {
        let mut changed = self.arch.clone();
        if !offers(&mut changed, change) {
            return Ok(Vec::new());
        }
        let tensors = changed.layout()?.tensors.into_iter();
        Ok(tensors.filter(|tensor| !self.names.contains(&tensor.name)).collect())
    }

    /// Whether the file has tensors that this network does not have.
    fn lacks_some(&self, weights: &Weights) -> bool {
        weights.network.keys().any(|name| !self.names.contains(*name))
    }

    /// Whether the file has two embedding layers.
    pub fn two_embedding_layers(&self, weights: &Weights) -> Result<bool> {
        if self.arch.two_embedding_layers || !self.lacks_some(weights) {
            return Ok(self.arch.two_embedding_layers);
        }
        let added = self.added(|arch| arch.two_embedding_layers = true)?;
        Ok(added.iter().any(|tensor| has(weights, tensor)))
    }

    /// The pooling whose attention the file has. Poolings whose tensors have the same names are
    /// told apart by shapes.
    pub fn attention(&self, weights: &Weights) -> Result<Option<PoolingKind>> {
        let mut named = None;
        if !self.lacks_some(weights) {
            return Ok(named);
        }
        for pooling in PoolingKind::ALL {
            let added = self.added(|arch| arch.pooling = pooling)?;
            if !added.iter().any(|tensor| has(weights, tensor)) {
                continue;
            }
            let is_there = |tensor: &Info| {
                let entry = weights.network.get(tensor.name.as_str());
                entry.is_some_and(|entry| entry.shape == tensor.shape)
            };
            if added.iter().all(is_there) {
                return Ok(Some(pooling));
            }
            named = named.or(Some(pooling));
        }
        Ok(named)
    }
}

fn has(weights: &Weights, tensor: &Info) -> bool {
    weights.network.contains_key(tensor.name.as_str())
}

/// Makes a change if the family offers the changed network.
fn offers(arch: &mut Architecture, change: impl FnOnce(&mut Architecture)) -> bool {
    let mut changed = arch.clone();
    change(&mut changed);
    let offered = changed.check().is_ok();
    if offered {
        *arch = changed;
    }
    offered
}
