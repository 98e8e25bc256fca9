//! What all ranks must have in common before the first step.

use super::{Begin, Data};
use crate::backend::collective::agree;
use crate::error::Result;
use crate::train::ranks::{alike, digest, is_alone, is_first};
use crate::train::{Identity, Recipe, RunOptions};

/// Refuses ranks that read other lists, or files of other sizes.
pub(super) fn same_data(
    identity: &mut Identity,
    recipe: &Recipe,
    options: &RunOptions,
    data: &Data,
) -> Result<()> {
    let ranks = &*options.ranks;
    if is_alone(ranks) {
        return Ok(());
    }
    let read = match is_first(ranks) {
        true => Ok(()),
        false => {
            let (train, dev) = (data.set.corpus(), data.dev.corpus());
            identity.add_data(recipe, train, dev, false, true, &options.stop)
        }
    };
    agree(ranks, read)?;
    let of_data = identity.data.iter().map(|(name, f)| (&**name, f.lists.clone() + &f.sizes));
    let of_model = [("the model to begin with", identity.init.clone().unwrap_or_default())];
    alike(ranks, &of_model.into_iter().chain(of_data).collect::<Vec<_>>())
}

/// Refuses ranks that do not begin with the same weights and states at the same place.
pub(super) fn same_weights(options: &RunOptions, begin: &Begin) -> Result<()> {
    let ranks = &*options.ranks;
    if is_alone(ranks) {
        return Ok(());
    }
    let Begin { trainee, optimizer, state, .. } = begin;
    let place = format!("{} {} {:?} {}", state.epoch, state.batch, state.best, state.averaged);
    let digests = agree(ranks, digest(trainee, optimizer))?;
    alike(ranks, &digests.into_iter().chain([("checkpoint", place)]).collect::<Vec<_>>())
}
