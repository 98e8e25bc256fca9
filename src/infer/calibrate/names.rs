//! The layers that may compute in integers, and their names.

use crate::error::{Error, Result};
use crate::infer::layer::{Kind, Recipe};
use crate::infer::lower::Lowered;
use crate::nn::Stage;
use crate::nn::graph::Graph;

/// What the layers are made of that compute in integers unless they cost too much; see
/// [`Floats`](super::Floats).
pub(in crate::infer) fn candidates<'a>(graph: &Graph, lowered: &'a Lowered) -> Vec<&'a Recipe> {
    let is_pooling = |recipe: &Recipe| {
        let first = recipe.tensors.first();
        let mut nodes = graph.nodes.iter().filter(|node| node.tensors.first() == first);
        nodes.any(|node| node.stage == Stage::POOLING)
    };
    let is_convolution = |kind| matches!(kind, Kind::Dense(_) | Kind::Depthwise(_));
    let convolutions = lowered.recipes().filter(|recipe| is_convolution(recipe.kind));
    convolutions.skip(1).filter(|recipe| recipe.takes_bytes() && !is_pooling(recipe)).collect()
}

/// Refuses names of other layers.
///
/// # Errors
/// The first of them, and what may be meant.
pub(super) fn check(given: &[String], all: &[&str]) -> Result<()> {
    let Some(unknown) = given.iter().find(|name| !all.contains(&name.as_str())) else {
        return Ok(());
    };
    // One contains the other.
    let is_near = |name: &&str| name.contains(unknown.as_str()) || unknown.contains(*name);
    let near: Vec<&str> = all.iter().copied().filter(is_near).collect();
    let others = match near.is_empty() {
        true => format!("there are: {}", all.join(", ")),
        false => format!("did you mean {}?", near.join(" or ")),
    };
    Err(Error::Invalid(format!(
        "`{unknown}` is unknown, or in f32 in any case: it is none of the layers that could \
         compute in integers; {others}"
    )))
}
