//! What is trained: a network and its classification head.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::backend::reversible::Execution;
use crate::error::Result;
use crate::losses::{Head, HeadConfig, HeadOutput, cross_entropy};
use crate::model_file::{HEAD_PREFIX, NamedTensors};
use crate::nn::{Init, Mode, assign_named, names_and_shapes};
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
    /// Mean cross-entropy, `[1]`.
    pub loss: Tensor<1>,
}

impl Trainee {
    /// In evaluation state; `train()` it to train.
    pub fn new(arch: &Architecture, head: &HeadConfig, speakers: usize, device: &Device, seed: u64) -> Result<Self> {
        head.check(speakers)?;
        let projection = head.init(Init::new(device, seed).at("projection"), arch.embedding_dim, speakers);
        Ok(Self { network: arch.init(device, seed)?, projection })
    }

    /// With weights that are there already. A head that does not fit is told of and starts anew.
    pub fn starting_with(self, network: Network, head: NamedTensors, warn: &dyn Fn(&str)) -> Result<Self> {
        let values: HashMap<String, TensorData> =
            head.0.into_iter().map(|(name, data)| (name.trim_start_matches(HEAD_PREFIX).to_owned(), data)).collect();
        let wanted = names_and_shapes(&self.projection);
        let fits =
            |(name, shape): &(String, Vec<usize>)| values.get(name).is_some_and(|data| data.shape().to_vec() == *shape);
        let projection = match wanted.iter().all(fits) {
            true => assign_named(self.projection, values),
            false => {
                let why = if values.is_empty() { "has no training head" } else { "has a head of other speakers" };
                warn(&format!("the model {why}: the head starts anew"));
                self.projection
            }
        };
        Ok(Self { network, projection })
    }

    /// With a choice of how its reversible network trains; an ordinary network has none.
    pub fn with_execution(self, execution: Option<Execution>) -> Result<Self> {
        match execution {
            Some(execution) => Ok(Self { network: self.network.with_execution(execution)?, ..self }),
            None => Ok(self),
        }
    }

    /// Features `[batch, frames, mels]` and labels `[batch]` under a margin, in training mode.
    pub fn pass(&self, features: Tensor<3>, labels: Tensor<1, Int>, margin: f64) -> Pass {
        self.pass_in(Mode::Train, features, labels, margin)
    }

    /// [`Trainee::pass`] in any mode.
    pub fn pass_in(&self, mode: Mode, features: Tensor<3>, labels: Tensor<1, Int>, margin: f64) -> Pass {
        let embeddings = self.network.forward(features, mode);
        let head = self.projection.forward(embeddings.clone(), labels.clone(), margin);
        let loss = cross_entropy(head.logits.clone(), labels);
        Pass { embeddings, head, loss }
    }
}
