//! Quantizes a trained network: decides which bits each layer gets, and makes the packed model,
//! with or without training through the quantizer.

mod judge;
mod layers;
mod size;

pub use judge::Judge;
pub use layers::{Layer, layers};
pub use size::{Point, frontier};

use std::collections::HashMap;

use burn::tensor::Device;

use super::Recipe;
use crate::error::Result;
use crate::model_file::Model;
use crate::quant::{QuantizeConfig, Quantizer, msft, uniform};

/// All tensors of a model's network by name and shape, in its order.
fn tensors(model: &Model) -> Result<Vec<(String, Vec<usize>)>> {
    Ok(model.header.arch.layout()?.names_and_shapes())
}

/// How a model is to be quantized.
pub struct Outline {
    /// The plan, layer by layer, with stages.
    pub quantizer: Quantizer,
    /// The costs by which bits or stages were chosen; empty if they do not depend on costs.
    pub layers: Vec<Layer>,
}

/// Decides on bits and stages. `done` is called as [`layers()`] says.
///
/// # Errors
/// Impossible options; a target size that cannot be reached, with the range that can; tensors that
/// cannot be quantized.
pub fn outline(
    model: &Model,
    config: &QuantizeConfig,
    judge: Option<&Judge>,
    recipe: Option<&Recipe>,
    done: &mut dyn FnMut(usize, f64),
) -> Result<Outline> {
    config.check()?;
    let layers = if config.weighs_layers() {
        layers(model, config, &config.weighed_bits(), judge, done)?
    } else {
        Vec::new()
    };
    let tensors = tensors(model)?;
    // `check` has made sure that a target is there exactly if the method has one.
    let mut plan = match config.target_bytes {
        Some(target) => size::plan_for(model, config, &layers, target, recipe)?,
        None => uniform(&tensors, config)?,
    };
    if config.stages > 1 {
        let names: Vec<String> = tensors.into_iter().map(|t| t.0).collect();
        let cost = |l: &Layer| plan.get(&l.name).map_or(0.0, |p| l.cost(p.scheme.bits));
        let costs: HashMap<String, f64> =
            layers.iter().map(|l| (l.name.clone(), cost(l))).collect();
        msft::assign(&mut plan, config.order, config.stages, &names, &costs);
    }
    Ok(Outline { quantizer: Quantizer::new(plan, config.clone()), layers })
}

/// The packed model of a network as it is, without training.
///
/// # Errors
/// Tensors that cannot be quantized.
pub fn quantize(model: &Model, quantizer: &Quantizer, device: &Device) -> Result<Model> {
    let network = quantizer.attach(model.network.clone())?;
    // Without training there are no stages: every layer is quantized.
    quantizer.set_stage(quantizer.stages());
    Model::packed(&model.header, &network, quantizer, device)
}
