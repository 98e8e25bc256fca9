//! What the quantization of each layer would cost.

use std::collections::HashMap;

use burn::tensor::TensorData;

use super::{Judge, tensors};
use crate::error::{Error, Remedy, Result};
use crate::model_file::Model;
use crate::nn::collect_named;
use crate::quant::allocation::{Allocation, Choice};
use crate::quant::sensitivity::{Measure, Trace, traces};
use crate::quant::{Codebook, Plan, Planned, QuantizeConfig, TensorScheme, candidates, fits};

/// A layer that may be quantized.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The weight's name.
    pub name: String,
    /// The weight's shape.
    pub shape: Vec<usize>,
    /// The mean trace of the loss's Hessian, if that was measured.
    pub trace: Option<Trace>,
    /// The bits that it may get, with the perturbation that they cost.
    pub choices: Vec<Choice>,
}

impl Layer {
    /// The perturbation at so many bits.
    pub(super) fn cost(&self, bits: usize) -> f64 {
        self.choices.iter().find(|c| c.bits == bits).map_or(0.0, |c| c.cost)
    }
}

/// The layers that may be quantized, with what each of `bits` would cost them. `done` is called
/// after each probe of the Hessian with the number of probes and the largest relative error so far.
///
/// # Errors
/// Weights that cannot be quantized, with the tensor's name; a Hessian that is to be measured
/// without a judge ([`Remedy::GiveRecipe`]).
pub fn layers(
    model: &Model,
    config: &QuantizeConfig,
    bits: &[usize],
    judge: Option<&Judge>,
    done: &mut dyn FnMut(usize, f64),
) -> Result<Vec<Layer>> {
    let tensors = candidates(&tensors(model)?, config)?;
    let names: Vec<String> = tensors.iter().map(|t| t.0.clone()).collect();
    let measured = match (config.sensitivity.measure, judge) {
        (Measure::Error, _) => None,
        (Measure::Hessian, None) => {
            return Err(Error::invalid(
                "the Hessian is of a loss over data: a recipe is needed, or \
                 quantize.sensitivity.measure = \"error\"",
            )
            .with(Remedy::GiveRecipe));
        }
        (Measure::Hessian, Some(judge)) => Some(traces(
            &model.network,
            &names,
            &config.sensitivity,
            judge.seed,
            &mut |network| Ok(judge.gradients(network)),
            done,
        )?),
    };
    let all: HashMap<String, TensorData> = collect_named(&model.network).into_iter().collect();
    let layer = |(i, (name, shape)): (usize, (String, Vec<usize>))| {
        let weights: Vec<f32> = all[&name].iter::<f32>().collect();
        let trace = measured.as_ref().map(|m| m[i].clone());
        let squares: f64 = weights.iter().map(|&w| f64::from(w).powi(2)).sum();
        let weight = trace.as_ref().map_or(1.0 / squares.max(f64::MIN_POSITIVE), Trace::weight);
        let schemes = bits.iter().map(|&b| config.scheme(b)).filter(|&s| fits(&shape, s));
        let choice = |scheme: TensorScheme| {
            let book = Codebook::fit(scheme, &weights, &shape)
                .map_err(|e| Error::Invalid(format!("tensor `{name}`: {e}")))?;
            Ok(Choice {
                bits: scheme.bits,
                bytes: scheme.bytes(&shape),
                cost: weight * book.error(&weights),
            })
        };
        let choices = schemes.map(choice).collect::<Result<Vec<_>>>()?;
        Ok(Layer { name, shape, trace, choices })
    };
    tensors
        .into_iter()
        .enumerate()
        .map(layer)
        .filter(|l| l.as_ref().map_or(true, |l| !l.choices.is_empty()))
        .collect()
}

/// The plan that carries out an allocation.
pub(super) fn plan_of(layers: &[Layer], allocation: &Allocation, config: &QuantizeConfig) -> Plan {
    let planned = |(layer, choice): (&Layer, &Choice)| {
        (
            layer.name.clone(),
            Planned { shape: layer.shape.clone(), scheme: config.scheme(choice.bits), stage: 0 },
        )
    };
    layers.iter().zip(&allocation.choices).map(planned).collect()
}

/// The choices of each layer.
pub(super) fn choices(layers: &[Layer]) -> Vec<Vec<Choice>> {
    layers.iter().map(|l| l.choices.clone()).collect()
}

/// The largest choice of every layer.
pub(super) fn largest(layers: &[Layer]) -> Allocation {
    let largest =
        |l: &Layer| *l.choices.iter().max_by_key(|c| c.bytes).expect("a layer has choices");
    Allocation { choices: layers.iter().map(largest).collect(), bytes: 0, cost: 0.0 }
}
