//! The loss by which the sensitivity of layers is measured.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use burn::module::Module;
use burn::tensor::Device;

use crate::corpus::shards::SCANNING;
use crate::corpus::synth;
use crate::error::{Error, Result};
use crate::model_file::{Model, NamedTensors};
use crate::nn::{Mode, gradients_named};
use crate::progress::{Progress, reporting};
use crate::quant::sensitivity::Gradients;
use crate::train::classes::class_names;
use crate::train::loader::first_batches;
use crate::train::{Batch, Recipe, TrainSet, Trainee};
use crate::zoo::Network;

/// A recipe's loss over its first training batches, under the final margin.
pub struct Judge {
    trainee: Trainee,
    batches: Vec<Batch>,
    device: Device,
    /// The recipe's seed.
    pub(super) seed: u64,
}

impl Judge {
    /// Reads the batches, after synthesizing the corpus if the recipe asks for that. `head` is the
    /// model's training head; `quiet` shows no progress bar.
    ///
    /// # Errors
    /// A head that lacks some of the recipe's speakers; audio that cannot be read; fewer examples
    /// than wanted.
    pub fn new(
        recipe: &Recipe,
        model: &Model,
        head: NamedTensors,
        device: &Device,
        quiet: bool,
    ) -> Result<Self> {
        if let Some(config) = &recipe.data.synth {
            let progress = Mutex::new(Progress::new("synthesizing", config.files(), quiet));
            let done = |_: usize, _: usize| progress.lock().expect("no holder panics").add(1);
            synth::ensure(config, &AtomicBool::new(false), &done)?;
        }
        let set = TrainSet::new(recipe, Arc::new(|_: &str| ()), &reporting(SCANNING, quiet))?;
        let trainee =
            Trainee::new(&recipe.model, &recipe.loss, set.classes(), device, recipe.seed)?;
        let classes = class_names(&set.corpus().speakers, &recipe.data.speeds);
        let (trainee, found) =
            trainee.starting_with(model.network.clone(), head, &model.header.speakers, &classes)?;
        if found.added > 0 {
            return Err(Error::invalid(
                "the model has no training head of the recipe's speakers, so there is no loss \
                 whose Hessian could be measured; quantize.sensitivity.measure = \"error\" needs \
                 none",
            ));
        }
        let config = recipe.quantize.clone().unwrap_or_default().sensitivity;
        let batches =
            first_batches(&set, config.batches, recipe.train.batch_size, recipe.margin.last)?;
        Ok(Self { trainee, batches, device: device.clone().autodiff(), seed: recipe.seed })
    }

    /// The mean gradient over the batches at a network's weights. BatchNorm uses its running
    /// statistics.
    pub(super) fn gradients(&self, network: &Network) -> Gradients {
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
        sums
    }
}
