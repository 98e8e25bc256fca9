//! A trained network quantized: which bits each layer gets, and the packed model, with or without
//! training through the quantizer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::module::Module;
use burn::tensor::Device;

use super::classes::class_names;
use super::loader::first_batches;
use super::{Recipe, TrainSet, Trainee};
use crate::corpus::synth;
use crate::error::{Error, Result};
use crate::model_file::{Header, Model, NamedTensors, Training, layer_sizes};
use crate::nn::{Mode, collect_named, gradients_named, names_and_shapes};
use crate::quant::allocation::{Allocation, Choice, allocate, allocate_between, pareto, range};
use crate::quant::sensitivity::{Gradients, Measure, Trace, traces};
use crate::quant::{
    Codebook, Method, Plan, Planned, QuantizeConfig, Quantizer, candidates, fits, msft, uniform,
};

/// The loss a network is judged by when its layers' sensitivities are measured.
pub struct Judge {
    trainee: Trainee,
    batches: Vec<super::Batch>,
    device: Device,
    seed: u64,
}

impl Judge {
    /// The recipe's loss over its first training batches, under the final margin.
    ///
    /// # Errors
    /// A model without a head for the recipe's speakers.
    pub fn new(
        recipe: &Recipe,
        model: &Model,
        head: NamedTensors,
        device: &Device,
        quiet: bool,
    ) -> Result<Self> {
        if let Some(config) = &recipe.data.synth {
            synth::ensure(config, quiet, &AtomicBool::new(false))?;
        }
        let set = TrainSet::new(recipe, Arc::new(|_: &str| ()))?;
        let trainee =
            Trainee::new(&recipe.model, &recipe.loss, set.classes(), device, recipe.seed)?;
        let classes = class_names(&set.corpus().speakers, &recipe.data.speeds);
        let (trainee, found) =
            trainee.starting_with(model.network.clone(), head, &model.header.speakers, &classes)?;
        if found.added > 0 {
            return Err(Error::invalid(
                "the model has no training head of the recipe's speakers, so there is no loss whose Hessian could be measured; \
                 quantize.sensitivity.measure = \"error\" needs none",
            ));
        }
        let config = recipe.quantize.clone().unwrap_or_default().sensitivity;
        let batches =
            first_batches(&set, config.batches, recipe.train.batch_size, recipe.margin.last)?;
        Ok(Self { trainee, batches, device: device.clone().autodiff(), seed: recipe.seed })
    }

    /// The mean gradient over the batches, statistics at rest.
    fn gradients(&self, network: &crate::zoo::Network) -> Result<Gradients> {
        let trainee = Trainee { network: network.clone(), ..self.trainee.clone() }.train();
        let mut sums = Gradients::new();
        for batch in &self.batches {
            let margin = batch.margin;
            let (features, labels) = batch.clone().into_tensors(&self.device);
            let gradients = trainee.pass_in(Mode::Eval, features, labels, margin).loss.backward();
            for (name, data) in gradients_named(&trainee.network, &gradients) {
                let values = data.iter::<f32>().map(|g| g / self.batches.len() as f32);
                match sums.get_mut(&name) {
                    None => drop(sums.insert(name, values.collect())),
                    Some(sum) => sum.iter_mut().zip(values).for_each(|(s, g)| *s += g),
                }
            }
        }
        Ok(sums)
    }
}

/// A layer's place in a plan of mixed precision.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The tensor.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its Hessian's mean trace, where that was measured.
    pub trace: Option<Trace>,
    /// What it may become, with the perturbation each choice costs.
    pub choices: Vec<Choice>,
}

impl Layer {
    /// The perturbation at so many bits.
    fn cost(&self, bits: usize) -> f64 {
        self.choices.iter().find(|c| c.bits == bits).map_or(0.0, |c| c.cost)
    }
}

/// The layers that may be quantized, with what each of `bits` would cost them.
///
/// # Errors
/// Weights that cannot be quantized, with the tensor's name; measuring by Hessian without a loss.
pub fn layers(
    model: &Model,
    config: &QuantizeConfig,
    bits: &[usize],
    judge: Option<&Judge>,
    done: &mut dyn FnMut(usize, f64),
) -> Result<Vec<Layer>> {
    let tensors = candidates(&names_and_shapes(&model.network), config)?;
    let names: Vec<String> = tensors.iter().map(|t| t.0.clone()).collect();
    let measured = match (config.sensitivity.measure, judge) {
        (Measure::Error, _) => None,
        (Measure::Hessian, None) => {
            return Err(Error::invalid(
                "the Hessian is of a loss over data: a recipe is needed, or quantize.sensitivity.measure = \"error\"",
            ));
        }
        (Measure::Hessian, Some(judge)) => Some(traces(
            &model.network,
            &names,
            &config.sensitivity,
            judge.seed,
            &mut |network| judge.gradients(network),
            done,
        )?),
    };
    let all: HashMap<String, burn::tensor::TensorData> =
        collect_named(&model.network).into_iter().collect();
    let layer = |(i, (name, shape)): (usize, (String, Vec<usize>))| {
        let weights: Vec<f32> = all[&name].iter::<f32>().collect();
        let trace = measured.as_ref().map(|m| m[i].clone());
        let squares: f64 = weights.iter().map(|&w| f64::from(w).powi(2)).sum();
        let weight = trace.as_ref().map_or(1.0 / squares.max(f64::MIN_POSITIVE), Trace::weight);
        let schemes = bits.iter().map(|&b| config.scheme(b)).filter(|&s| fits(&shape, s));
        let choice = |scheme: crate::quant::TensorScheme| {
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
fn plan_of(layers: &[Layer], allocation: &Allocation, config: &QuantizeConfig) -> Plan {
    let planned = |(layer, choice): (&Layer, &Choice)| {
        (
            layer.name.clone(),
            Planned { shape: layer.shape.clone(), scheme: config.scheme(choice.bits), stage: 0 },
        )
    };
    layers.iter().zip(&allocation.choices).map(planned).collect()
}

fn choices(layers: &[Layer]) -> Vec<Vec<Choice>> {
    layers.iter().map(|l| l.choices.clone()).collect()
}

/// The largest choice of every layer.
fn largest(layers: &[Layer]) -> Allocation {
    let largest =
        |l: &Layer| *l.choices.iter().max_by_key(|c| c.bytes).expect("a layer has choices");
    Allocation { choices: layers.iter().map(largest).collect(), bytes: 0, cost: 0.0 }
}

/// Bytes of a packed file that are not codes and codebooks of the layers allocated. A header that
/// training is yet to write is taken as long as it may become.
fn overhead(
    model: &Model,
    layers: &[Layer],
    allocation: &Allocation,
    config: &QuantizeConfig,
    recipe: Option<&Recipe>,
) -> Result<usize> {
    let mut header = model.header.clone();
    if let Some(recipe) = recipe {
        header = header_of(recipe);
        let long = -std::f64::consts::PI / 1e3;
        header.scoring.threshold_eer = Some(long);
        header.scoring.thresholds = [0.1, 0.05, 0.01, 0.001].map(|far| (far, long)).to_vec();
    }
    let quantizer = Quantizer::new(plan_of(layers, allocation, config), config.clone());
    let network = quantizer.attach(model.network.clone())?;
    let device = network.devices().first().cloned().unwrap_or_default();
    let packed = Model::packed(&header, &network, &quantizer, &device)?;
    let bytes =
        packed.to_bytes(std::path::Path::new("packed model"), NamedTensors::default())?.len();
    let inside = |name: &str| layers.iter().any(|l| l.name == name);
    let inside: usize =
        layer_sizes(&packed).iter().filter(|l| inside(&l.name)).map(|l| l.bytes).sum();
    Ok(bytes - inside)
}

/// The longest header that training by a recipe can end with.
fn header_of(recipe: &Recipe) -> Header {
    let mut header = Header::new(recipe.model.clone(), recipe.frontend());
    header.training = Some(Training {
        recipe: recipe.to_toml(),
        seed: recipe.seed,
        data_hash: "0".repeat(64),
        steps: 1_000_000_000,
        epoch: 1_000_000,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    header
}

/// The smallest part of a target that its file may have.
const FULL: f64 = 0.98;

/// What is to be done with a model.
pub struct Outline {
    /// Layer by layer, with stages.
    pub quantizer: Quantizer,
    /// What it was chosen by, if anything was chosen.
    pub layers: Vec<Layer>,
}

/// Decides on bits and stages.
///
/// # Errors
/// A target that cannot be reached, with the range that can; tensors that cannot be quantized.
pub fn outline(
    model: &Model,
    config: &QuantizeConfig,
    judge: Option<&Judge>,
    recipe: Option<&Recipe>,
    done: &mut dyn FnMut(usize, f64),
) -> Result<Outline> {
    config.check()?;
    let mixed = config.method == Method::Mixed;
    let bits: Vec<usize> = if mixed { config.candidates.clone() } else { (1..=8).collect() };
    let layers = if config.weighs_layers() {
        layers(model, config, &bits, judge, done)?
    } else {
        Vec::new()
    };
    let mut plan = match (mixed, config.target_bytes) {
        (true, Some(target)) => mixed_plan(model, config, &layers, target, recipe)?,
        _ => uniform(&names_and_shapes(&model.network), config)?,
    };
    let names: Vec<String> = names_and_shapes(&model.network).into_iter().map(|n| n.0).collect();
    let costs = layers
        .iter()
        .map(|l| (l.name.clone(), plan.get(&l.name).map_or(0.0, |p| l.cost(p.scheme.bits))));
    let costs: HashMap<String, f64> = costs.collect();
    if config.stages > 1 {
        msft::assign(&mut plan, config.order, config.stages, &names, &costs);
    }
    Ok(Outline { quantizer: Quantizer::new(plan, config.clone()), layers })
}

fn mixed_plan(
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
            "a file of {target} bytes cannot be reached: with {:?} bits this model's file has {} to {} bytes ({:.3} to {:.3} MB)",
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
    // The header of a smaller model is shorter by some digits, which leaves a little more to the
    // layers.
    let second = within(around(&first)?)?;
    let best = if second.bytes + around(&second)? <= target { second } else { first };
    Ok(plan_of(layers, &best, config))
}

/// A point of the trade between size and perturbation.
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

/// Every point that is best at some price of a byte.
///
/// # Errors
/// Those of [`layers`].
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

/// The packed model of a network as it is, without training.
///
/// # Errors
/// Tensors that cannot be quantized.
pub fn quantize(model: &Model, quantizer: &Quantizer, device: &Device) -> Result<Model> {
    let network = quantizer.attach(model.network.clone())?;
    // Without training there are no stages.
    quantizer.set_stage(quantizer.stages());
    Model::packed(&model.header, &network, quantizer, device)
}
