//! Bits by layer for a file of a given size.

use std::path::Path;

use burn::module::Module;

use super::layers::{Layer, choices, largest, plan_of};
use crate::error::{Error, Result};
use crate::model_file::{Header, Model, NamedTensors, Training, layer_sizes};
use crate::quant::allocation::{Allocation, allocate, allocate_between, pareto, range};
use crate::quant::{Plan, QuantizeConfig, Quantizer};
use crate::scoring::MODEL_FALSE_ACCEPT_RATES;
use crate::train::Recipe;

/// The least part of the target size that a file is to have, if the choices allow it.
const FULL: f64 = 0.98;

/// Bytes of a packed file besides the codes and codebooks of the layers allocated. If a recipe is
/// given, training will write another header: the longest one possible counts.
fn overhead(
    model: &Model,
    layers: &[Layer],
    allocation: &Allocation,
    config: &QuantizeConfig,
    recipe: Option<&Recipe>,
) -> Result<usize> {
    let header = recipe.map_or_else(|| model.header.clone(), longest_header);
    let quantizer = Quantizer::new(plan_of(layers, allocation, config), config.clone());
    let network = quantizer.attach(model.network.clone())?;
    let device = network.devices().first().cloned().unwrap_or_default();
    let packed = Model::packed(&header, &network, &quantizer, &device)?;
    let bytes = packed.to_bytes(Path::new("packed model"), NamedTensors::default())?.len();
    let inside = |name: &str| layers.iter().any(|l| l.name == name);
    let inside: usize =
        layer_sizes(&packed).iter().filter(|l| inside(&l.name)).map(|l| l.bytes).sum();
    Ok(bytes - inside)
}

/// The longest header with which a training by a recipe can end.
fn longest_header(recipe: &Recipe) -> Header {
    let mut header = Header::new(recipe.model.clone(), recipe.frontend());
    header.training = Some(Training {
        recipe: recipe.to_toml(),
        seed: recipe.seed,
        data_hash: "0".repeat(64),
        steps: 1_000_000_000,
        epoch: 1_000_000,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    // A number with a sign and many digits.
    let long = -std::f64::consts::PI / 1e3;
    header.scoring.threshold_eer = Some(long);
    header.scoring.thresholds = MODEL_FALSE_ACCEPT_RATES.map(|far| (far, long)).to_vec();
    header
}

/// The plan of least perturbation for a file of at most `target` bytes, and of at least [`FULL`] of
/// them if the choices allow it.
///
/// # Errors
/// A target that cannot be reached, with the range that can.
pub(super) fn plan_for(
    model: &Model,
    config: &QuantizeConfig,
    layers: &[Layer],
    target: usize,
    recipe: Option<&Recipe>,
) -> Result<Plan> {
    let (choices, around) =
        (choices(layers), |a: &Allocation| overhead(model, layers, a, config, recipe));
    let [least, most] = range(&choices)?;
    let longest = around(&largest(layers))?;
    let unreachable = || {
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        Error::Invalid(format!(
            "a file of {target} bytes cannot be reached: with {:?} bits this model's file has {} \
             to {} bytes ({:.3} to {:.3} MB)",
            config.candidates,
            least + longest,
            most + longest,
            megabytes(least + longest),
            megabytes(most + longest)
        ))
    };
    let low = (FULL * target as f64).ceil() as usize;
    let within = |around: usize| -> Result<Allocation> {
        let budget = target.checked_sub(around).filter(|&b| b >= least).ok_or_else(unreachable)?;
        let best = allocate(&choices, budget)?;
        let fuller = match best.bytes + around < low {
            true => allocate_between(&choices, low - around, budget)?,
            false => None,
        };
        Ok(fuller.unwrap_or(best))
    };
    if low > most + longest {
        return Err(unreachable());
    }
    let first = within(longest)?;
    // A smaller model's header is shorter by some digits, which leaves a little more for the
    // layers.
    let second = within(around(&first)?)?;
    let best = if second.bytes + around(&second)? <= target { second } else { first };
    Ok(plan_of(layers, &best, config))
}

/// A point of the trade-off between size and perturbation.
#[derive(Debug, Clone)]
pub struct Point {
    /// Bytes of the file.
    pub bytes: usize,
    /// Mean bits of a quantized weight.
    pub mean_bits: f64,
    /// Summed perturbation.
    pub cost: f64,
    /// Bits of each layer.
    pub bits: Vec<usize>,
}

/// The points that are best at some price of a byte, from the smallest to the largest file.
///
/// # Errors
/// Weights that cannot be quantized.
pub fn frontier(model: &Model, config: &QuantizeConfig, layers: &[Layer]) -> Result<Vec<Point>> {
    let count = |l: &Layer| l.shape.iter().product::<usize>();
    let all: usize = layers.iter().map(count).sum();
    let list = pareto(&choices(layers))?;
    // Headers differ by a few digits.
    let around = overhead(model, layers, &list[list.len() / 2], config, None)?;
    let point = |a: Allocation| {
        let bits: Vec<usize> = a.choices.iter().map(|c| c.bits).collect();
        let sum: usize = bits.iter().zip(layers).map(|(b, l)| b * count(l)).sum();
        Point { bytes: a.bytes + around, mean_bits: sum as f64 / all as f64, cost: a.cost, bits }
    };
    Ok(list.into_iter().map(point).collect())
}
