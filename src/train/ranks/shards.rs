//! Ranks that divide the optimizer's states among them.
//!
//! Each rank updates its own parameters and gives the others their new values. The weights are
//! those of an undivided optimizer, to the bit. So are checkpoints: rank 0 gets the states of all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Bytes, Tensor};

use super::{is_alone, is_first};
use crate::backend::collective::{Communicator, agree};
use crate::backend::failure;
use crate::bytes::{from_f32, to_f32};
use crate::error::{Error, Result};
use crate::optim::{self, Stepper};
use crate::panics::panic_text;
use crate::train::division::{Division, Round};
use crate::train::{Recipe, Trainee};

/// Values that all ranks together give at one time: 64 MiB of f32. More would take more memory of
/// the host, and MPI gathers 2 GiB at most.
const AT_ONCE: usize = 1 << 24;

/// This rank's view of the division.
pub(in crate::train) struct Shards {
    ranks: Arc<dyn Communicator>,
    division: Division,
    rounds: Vec<Round>,
}

/// New values of parameters of other ranks.
pub(in crate::train) struct Values(HashMap<ParamId, Vec<f32>>);

impl Shards {
    /// The division of a trainee, if the recipe wants one and there are several ranks.
    pub fn of(recipe: &Recipe, ranks: &Arc<dyn Communicator>, trainee: &Trainee) -> Option<Self> {
        if !recipe.train.shard_states || is_alone(&**ranks) {
            return None;
        }
        // In evaluation state nothing tells which parameters are trained.
        let division = Division::of(&trainee.clone().train(), &recipe.optimizer, ranks.size());
        Some(Self::new(ranks, division, AT_ONCE))
    }

    fn new(ranks: &Arc<dyn Communicator>, division: Division, at_once: usize) -> Self {
        let rounds = division.rounds(at_once / ranks.size());
        Self { ranks: ranks.clone(), division, rounds }
    }

    /// The optimizer with the states of this rank's parameters alone.
    ///
    /// # Errors
    /// States that have no form in bytes.
    pub fn own_states(&self, optimizer: Stepper) -> Result<Stepper> {
        let rank = self.ranks.rank();
        optimizer.keeping(&|id| self.division.is_of(rank, ParamId::from(id)))
    }

    /// The gradients of this rank's parameters.
    pub fn own_gradients<M: Module>(
        &self,
        module: &M,
        gradients: GradientsParams,
    ) -> GradientsParams {
        self.division.gradients(self.ranks.rank(), module, gradients)
    }

    /// How many times the ranks have to give each other values after a step.
    pub fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// Gives the others the values of this rank's parameters of a round, and gets theirs. It waits
    /// for the device.
    ///
    /// # Errors
    /// A device that fails, on any rank. A fault of the connection. Ranks that divide otherwise.
    pub fn exchanged<M: Module>(&self, round: usize, module: &M) -> Result<Values> {
        let (ranks, round) = (&*self.ranks, &self.rounds[round]);
        let ours = read(module, &round[ranks.rank()]);
        let all = ranks.gather(ours.as_deref().map(from_f32).unwrap_or_default())?;
        let wanted = |parameters: &[(ParamId, usize)]| -> usize {
            parameters.iter().map(|(_, values)| 4 * values).sum()
        };
        if all.iter().map(Vec::len).ne(round.iter().map(|parameters| wanted(parameters))) {
            agree(ranks, ours)?;
            let message = "ranks divide the optimizer's states in different ways";
            return Err(Error::Training(message.into()));
        }
        let mut values = HashMap::new();
        for (rank, (bytes, parameters)) in all.into_iter().zip(round).enumerate() {
            if rank == ranks.rank() {
                continue;
            }
            let mut rest = &bytes[..];
            for (id, count) in parameters {
                let (part, behind) = rest.split_at(4 * count);
                rest = behind;
                values.insert(*id, to_f32(part));
            }
        }
        Ok(Values(values))
    }

    /// The record of the states of all ranks, on rank 0; the others get nothing. All ranks call
    /// this at the same point.
    ///
    /// # Errors
    /// States that have no form in bytes, on any rank. A fault of the connection.
    pub fn whole(&self, optimizer: &Stepper) -> Result<Option<Bytes>> {
        let ranks = &*self.ranks;
        let ours = agree(ranks, optimizer.into_bytes())?;
        // One after another: only rank 0 holds more than one record besides its own.
        let mut records = Vec::new();
        for rank in 1..ranks.size() {
            let told = if rank == ranks.rank() { ours.to_vec() } else { Vec::new() };
            let told = ranks.broadcast(told, rank)?;
            if is_first(ranks) {
                records.push(Bytes::from_bytes_vec(told));
            }
        }
        match is_first(ranks) {
            true => optim::joined(std::iter::once(ours).chain(records)).map(Some),
            false => Ok(None),
        }
    }
}

impl Values {
    /// The module with these values.
    pub fn put<M: Module>(self, module: M) -> M {
        optim::with_values(module, self.0)
    }
}

/// The values of parameters, in the module's order.
fn read<M: Module>(module: &M, parameters: &[(ParamId, usize)]) -> Result<Vec<f32>> {
    struct Take(HashSet<ParamId>, Vec<Tensor<1>>);

    impl ModuleVisitor for Take {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.0.contains(&param.id) {
                let value = param.val().inner();
                let count = value.shape().num_elements();
                self.1.push(value.reshape([count]));
            }
        }
    }

    let mut take = Take(parameters.iter().map(|(id, _)| *id).collect(), Vec::new());
    module.visit(&mut take);
    if take.1.is_empty() {
        return Ok(Vec::new());
    }
    match Tensor::cat(take.1, 0).try_into_data() {
        Ok(data) => Ok(data.iter::<f32>().collect()),
        Err(e) => Err(failure(&panic_text(&e.to_string()))),
    }
}

#[cfg(test)]
mod tests;
