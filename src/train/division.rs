//! The division of a module's parameters among ranks. Each rank keeps the optimizer's states of its
//! own parameters and updates these alone: the first stage of ZeRO (Rajbhandari et al. 2020,
//! <https://arxiv.org/abs/1910.02054>).
//!
//! Tensors stay whole, so that blocks of 8-bit states are those of an undivided optimizer.

use std::cmp::Reverse;
use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::OptimizerConfig;

/// Bytes of states, and values. Bytes count first.
type Load = [usize; 2];

/// Parameters with the numbers of their values, by rank.
pub(crate) type Round = Vec<Vec<(ParamId, usize)>>;

/// The rank of each of these tensors. The largest one goes first, always to the rank that has
/// least. So ranks differ by the largest tensor at most.
fn owners(tensors: &[Load], ranks: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    // The order of equal tensors stays: all ranks get the same division.
    order.sort_by_key(|&i| Reverse(tensors[i]));
    let (mut held, mut owners) = (vec![[0; 2]; ranks], vec![0; tensors.len()]);
    for i in order {
        let least = (0..ranks).min_by_key(|&rank| held[rank]).unwrap_or(0);
        for (sum, part) in held[least].iter_mut().zip(tensors[i]) {
            *sum += part;
        }
        owners[i] = least;
    }
    owners
}

/// Bytes of states by rank.
fn bytes(tensors: &[Load], owners: &[usize], ranks: usize) -> Vec<usize> {
    let mut sums = vec![0; ranks];
    owners.iter().zip(tensors).for_each(|(&owner, [bytes, _])| sums[owner] += bytes);
    sums
}

/// Bytes of state of the rank that has most, if ranks divide tensors of so many values.
pub(crate) fn largest_share(optimizer: &OptimizerConfig, tensors: &[usize], ranks: usize) -> usize {
    let load = |&values: &usize| [optimizer.state_bytes(&[values]), values];
    let loads: Vec<Load> = tensors.iter().map(load).collect();
    bytes(&loads, &owners(&loads, ranks), ranks).into_iter().max().unwrap_or(0)
}

/// Which rank has which parameters of a module.
#[derive(Debug)]
pub(crate) struct Division {
    owners: HashMap<ParamId, usize>,
    /// Parameters that are trained, with the numbers of their values, in the module's order.
    trained: Vec<(ParamId, usize)>,
    /// Bytes of states by rank.
    bytes: Vec<usize>,
}

impl Division {
    /// The division of a module in training state. It depends on nothing but the shapes of its
    /// tensors, which of them are trained, and the optimizer.
    pub fn of<M: Module>(module: &M, optimizer: &OptimizerConfig, ranks: usize) -> Self {
        struct Met(Vec<(ParamId, usize, bool)>);

        impl ModuleVisitor for Met {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let values = param.lazy_shape().num_elements();
                self.0.push((param.id, values, param.is_require_grad()));
            }
        }

        let mut met = Met(Vec::new());
        module.visit(&mut met);
        let load = |&(_, values, is_trained): &(ParamId, usize, bool)| match is_trained {
            true => [optimizer.state_bytes(&[values]), values],
            // It may have states from a time when it was trained.
            false => [0, values],
        };
        let loads: Vec<Load> = met.0.iter().map(load).collect();
        let owners = owners(&loads, ranks);
        let bytes = bytes(&loads, &owners, ranks);
        let trained = met.0.iter().filter(|(.., is_trained)| *is_trained);
        Self {
            trained: trained.map(|&(id, values, _)| (id, values)).collect(),
            owners: met.0.iter().map(|(id, ..)| *id).zip(owners).collect(),
            bytes,
        }
    }

    /// Whether a rank has a parameter.
    pub fn is_of(&self, rank: usize, parameter: ParamId) -> bool {
        self.owners.get(&parameter) == Some(&rank)
    }

    /// The rank with most bytes of states.
    pub fn fullest(&self) -> usize {
        (0..self.bytes.len()).max_by_key(|&rank| self.bytes[rank]).unwrap_or(0)
    }

    /// Bytes of states by rank.
    #[cfg(test)]
    pub fn bytes(&self) -> &[usize] {
        &self.bytes
    }

    /// The gradients of a rank's parameters.
    pub fn gradients<M: Module>(
        &self,
        rank: usize,
        module: &M,
        gradients: GradientsParams,
    ) -> GradientsParams {
        struct Leave<'a>(&'a Division, usize, GradientsParams);

        impl ModuleVisitor for Leave<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let Self(division, rank, gradients) = self;
                if !division.is_of(*rank, param.id) {
                    drop(gradients.remove::<D>(param.id));
                }
            }
        }

        let mut leave = Leave(self, rank, gradients);
        module.visit(&mut leave);
        leave.2
    }

    /// The trained parameters in portions. A rank has at most `full` values in each, or a single
    /// tensor.
    pub fn rounds(&self, full: usize) -> Vec<Round> {
        let ranks = self.bytes.len();
        let mut rounds: Vec<Round> = Vec::new();
        for rank in 0..ranks {
            let (mut round, mut count) = (0, 0);
            for &(id, values) in self.trained.iter().filter(|(id, _)| self.is_of(rank, *id)) {
                if count > 0 && count + values > full {
                    (round, count) = (round + 1, 0);
                }
                if rounds.len() == round {
                    rounds.push(vec![Vec::new(); ranks]);
                }
                rounds[round][rank].push((id, values));
                count += values;
            }
        }
        rounds
    }
}

#[cfg(test)]
mod tests;
