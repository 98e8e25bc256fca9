//! What a checkpointed network recomputes.

use std::sync::Arc;

use super::setting;
use crate::backend::reversible::Execution;
use crate::cli::Global;
use crate::error::Result;
use crate::memory::{Setting, plan};
use crate::nn::graph::Span;
use crate::terminal::note;
use crate::train::{Load, Recipe};

/// The spans of a recipe's network by the plan of a training by so many ranks with so many devices
/// each; none unless the network is checkpointed. With `told` the plan is printed.
pub(in crate::cli) fn spans(
    recipe: &Recipe,
    global: &Global,
    parts: [usize; 2],
    told: bool,
) -> Result<Option<Arc<[Span]>>> {
    if recipe.train.execution != Some(Execution::Checkpointed) {
        return Ok(None);
    }
    let [ranks, devices] = parts;
    let setting = match (setting(recipe, parts, global), &recipe.data.synth) {
        (Ok(setting), _) => setting,
        (Err(error), None) => return Err(error),
        // The corpus is yet to be made.
        (Err(_), Some(synth)) => {
            let turns = (ranks * devices * recipe.train.accumulate).max(1);
            let load = Load {
                batch: recipe.train.batch_size.div_ceil(turns),
                frames: recipe.data.frames,
                speakers: synth.speakers * recipe.data.speeds.len(),
            };
            Setting::of_load(recipe, load, ranks)
        }
    };
    let plan = plan(&setting, global.backend)?;
    if told {
        plan.lines().iter().for_each(|line| note!("{line}"));
    }
    Ok(Some(plan.spans))
}
