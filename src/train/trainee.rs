//! The module that is trained: a network and its classification head.

mod frozen;
mod statistics;

use std::collections::HashMap;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::classes::{Correspondence, HeadMatch};
use crate::backend::reversible::Execution;
use crate::backend::{is_gpu, lasting};
use crate::error::{Error, Result};
use crate::losses::{Head, HeadConfig, HeadOutput, Judged};
use crate::model_file::{HEAD_PREFIX, NamedTensors};
use crate::nn::graph::Span;
use crate::nn::{Init, Mode, assign_named, collect_named, names_and_shapes};
use crate::zoo::{Architecture, Network};

/// Network and head.
#[derive(Module, Debug)]
pub struct Trainee {
    /// Features to embeddings.
    pub network: Network,
    /// Embeddings to logits.
    pub projection: Head,
}

/// What one forward pass gives.
pub struct Pass {
    /// `[batch, embedding_dim]`.
    pub embeddings: Tensor<2>,
    /// Logits with margin and scores without.
    pub head: HeadOutput,
    /// The head's mean loss, `[1]`.
    pub loss: Tensor<1>,
}

impl Trainee {
    /// A new network and head, in evaluation state. `train()` prepares them for training.
    ///
    /// # Errors
    /// Settings that cannot work, for the network or for a head of so many speakers.
    pub fn new(
        arch: &Architecture,
        head: &HeadConfig,
        speakers: usize,
        device: &Device,
        seed: u64,
    ) -> Result<Self> {
        head.check(speakers)?;
        let projection =
            head.init(Init::new(device, seed).at("projection"), arch.embedding_dim, speakers);
        Ok(Self { network: arch.init(device, seed)?, projection })
    }

    /// The same with the weights of another network and head. Rows of the head go by the names of
    /// their classes: `old` are those of `head`, as the model file lists them, `new` those of this
    /// trainee. A class that only the new head has begins anew; so do all classes if the two heads
    /// are of different kinds. Rows of a head without names are taken in their order if their
    /// number is the same.
    ///
    /// # Errors
    /// A number of names that does not fit the head's rows.
    pub fn starting_with(
        self,
        network: Network,
        head: NamedTensors,
        old: &[String],
        new: &[String],
    ) -> Result<(Self, HeadMatch)> {
        let values: HashMap<String, TensorData> = head
            .0
            .into_iter()
            .map(|(name, data)| (name.strip_prefix(HEAD_PREFIX).unwrap_or(&name).to_owned(), data))
            .collect();
        let wanted = names_and_shapes(&self.projection);
        let misfits = |(name, shape): &(String, Vec<usize>)| {
            !self.projection.is_shared(name) && !shape[0].is_multiple_of(new.len())
        };
        if new.is_empty() || wanted.iter().any(misfits) {
            return Err(Error::Invalid(format!(
                "{} names of classes do not fit the head {wanted:?}",
                new.len()
            )));
        }
        // A bias and the number of centers make the kind of a head.
        let same_kind = |classes: usize| {
            let fits = |(name, shape): &(String, Vec<usize>)| {
                let Some(found) = values.get(name).map(|data| data.shape().to_vec()) else {
                    return false;
                };
                match self.projection.is_shared(name) {
                    true => found.iter().product::<usize>() == 1,
                    false => {
                        let rows = shape[0] / new.len() * classes;
                        found.first() == Some(&rows) && found.get(1..) == Some(&shape[1..])
                    }
                }
            };
            wanted.iter().all(fits)
                && values.contains_key("bias") == wanted.iter().any(|(name, _)| name == "bias")
        };
        let (found, caution) = match (values.is_empty(), old.is_empty()) {
            (true, _) => (
                Correspondence::none(0, new),
                Some("the model has no training head: the head starts anew"),
            ),
            (false, false) if same_kind(old.len()) => (Correspondence::by_name(old, new), None),
            (false, false) => (
                Correspondence::none(old.len(), new),
                Some("the model's training head is of another kind: the head starts anew"),
            ),
            (false, true) if same_kind(new.len()) => (
                Correspondence::by_place(new),
                Some(
                    "the model does not name the speakers of its training head: its rows are \
                     taken in their order",
                ),
            ),
            (false, true) => (
                Correspondence::none(0, new),
                Some(
                    "the model has a training head of other speakers, whom it does not name: the \
                     head starts anew",
                ),
            ),
        };
        let summary = found.summary(caution.map(str::to_owned));
        if summary.kept == 0 {
            return Ok((Self { network, ..self }, summary));
        }
        let rows = collect_named(&self.projection).into_iter().map(|(name, fresh)| {
            let data = match self.projection.is_shared(&name) {
                true => {
                    let value: Vec<f32> = values[&name].iter::<f32>().collect();
                    TensorData::new(value, fresh.shape().to_vec())
                }
                false => found.rows(&fresh, &values[&name]),
            };
            (name, data)
        });
        let values = rows.collect();
        Ok((Self { network, projection: assign_named(self.projection, values) }, summary))
    }

    /// The same with a choice of how its reversible network trains.
    ///
    /// # Errors
    /// A choice for an ordinary network.
    pub fn with_execution(self, execution: Option<Execution>) -> Result<Self> {
        match execution {
            Some(execution) => {
                Ok(Self { network: self.network.with_execution(execution)?, ..self })
            }
            None => Ok(self),
        }
    }

    /// The same with spans of its ordinary network recomputed in the backward pass.
    ///
    /// # Errors
    /// Those of [`Network::checkpointed`].
    pub fn checkpointed(self, spans: Arc<[Span]>) -> Result<Self> {
        Ok(Self { network: self.network.checkpointed(spans)?, ..self })
    }

    /// The same with parameters outside of the pages that a GPU's activations share; nothing else
    /// on CPUs. It comes before `train()`.
    #[must_use]
    pub fn lasting(self) -> Self {
        struct Lasting;

        impl ModuleMapper for Lasting {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(lasting)
            }
        }

        match is_gpu(&self.device()) {
            true => self.map(&mut Lasting),
            false => self,
        }
    }

    /// Features `[batch, frames, mels]` and labels `[batch]` under a margin, in training mode.
    pub fn pass(&self, features: Tensor<3>, labels: Tensor<1, Int>, margin: f64) -> Pass {
        self.pass_in(Mode::Train, features, labels, margin)
    }

    /// Loss and right answers of [`Trainee::pass`], as training steps take them: many speakers come
    /// in parts ([`Head::judge`]). Embeddings and logits do not outlive it.
    pub fn judge(&self, features: Tensor<3>, labels: Tensor<1, Int>, margin: f64) -> Judged {
        self.projection.judge(self.network.forward(features, Mode::Train), labels, margin)
    }

    /// [`Trainee::pass`] in a given mode.
    pub fn pass_in(
        &self,
        mode: Mode,
        features: Tensor<3>,
        labels: Tensor<1, Int>,
        margin: f64,
    ) -> Pass {
        let embeddings = self.network.forward(features, mode);
        let head = self.projection.forward(embeddings.clone(), labels.clone(), margin);
        let loss = self.projection.loss(head.logits.clone(), labels);
        Pass { embeddings, head, loss }
    }
}

#[cfg(test)]
mod tests;
