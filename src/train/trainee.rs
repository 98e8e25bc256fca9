//! The module that is trained: a network and its classification head.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::classes::{Correspondence, HeadMatch};
use crate::backend::reversible::Execution;
use crate::backend::{is_gpu, lasting};
use crate::error::{Error, Result};
use crate::losses::{Head, HeadConfig, HeadOutput, cross_entropy};
use crate::model_file::{HEAD_PREFIX, NamedTensors};
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
    /// Mean cross-entropy, `[1]`.
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
        if new.is_empty() || wanted.iter().any(|(_, shape)| !shape[0].is_multiple_of(new.len())) {
            return Err(Error::Invalid(format!(
                "{} names of classes do not fit the head {wanted:?}",
                new.len()
            )));
        }
        // A bias and the number of centers make the kind of a head.
        let same_kind = |classes: usize| {
            let fits = |(name, shape): &(String, Vec<usize>)| {
                let rows = shape[0] / new.len() * classes;
                let found = values.get(name).map(|data| data.shape().to_vec()).unwrap_or_default();
                found.first() == Some(&rows) && found.get(1..) == Some(&shape[1..])
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
            let data = found.rows(&fresh, &values[&name]);
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
        let loss = cross_entropy(head.logits.clone(), labels);
        Pass { embeddings, head, loss }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::LossKind;

    fn arch() -> Architecture {
        Architecture {
            width: 2,
            mels: 16,
            embedding_dim: 4,
            ..Architecture::named("resnet10").unwrap()
        }
    }

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|s| (*s).to_owned()).collect()
    }

    fn trainee(head: &HeadConfig, classes: usize, seed: u64) -> Trainee {
        Trainee::new(&arch(), head, classes, &Device::default(), seed).unwrap()
    }

    /// The head's tensors as a model file names them.
    fn head_of(trainee: &Trainee) -> NamedTensors {
        NamedTensors::from_burn(collect_named(&trainee.projection)).prefixed(HEAD_PREFIX)
    }

    /// The values of a class: its rows of each tensor.
    fn class(trainee: &Trainee, place: usize, classes: usize) -> Vec<f32> {
        let rows = |data: TensorData| {
            let values: Vec<f32> = data.iter::<f32>().collect();
            let count = values.len() / classes;
            values[place * count..(place + 1) * count].to_vec()
        };
        collect_named(&trainee.projection).into_iter().flat_map(|(_, data)| rows(data)).collect()
    }

    fn start(head: &HeadConfig, old: &Trainee, from: &[&str], to: &[&str]) -> (Trainee, HeadMatch) {
        let network = arch().init(&Device::default(), 7).unwrap();
        trainee(head, to.len(), 9)
            .starting_with(network, head_of(old), &names(from), &names(to))
            .unwrap()
    }

    fn heads() -> [HeadConfig; 3] {
        let kind = |kind, sub_centers| HeadConfig { kind, sub_centers, ..HeadConfig::default() };
        [kind(LossKind::Aam, 1), kind(LossKind::Aam, 3), kind(LossKind::Softmax, 1)]
    }

    #[test]
    fn speakers_keep_their_rows_and_strangers_get_none() {
        for head in heads() {
            let old = trainee(&head, 4, 1);
            let (ours, found) = start(&head, &old, &["a", "b", "c", "d"], &["d", "new", "a"]);
            assert_eq!((found.kept, found.added, found.dropped, &found.caution), (2, 1, 2, &None));
            let fresh = trainee(&head, 3, 9);
            assert_eq!(class(&ours, 0, 3), class(&old, 3, 4), "{head:?}");
            assert_eq!(class(&ours, 1, 3), class(&fresh, 1, 3), "{head:?}");
            assert_eq!(class(&ours, 2, 3), class(&old, 0, 4), "{head:?}");
        }
    }

    #[test]
    fn as_many_strangers_inherit_nothing() {
        for head in heads() {
            let old = trainee(&head, 2, 1);
            let (ours, found) = start(&head, &old, &["a", "b"], &["x", "y"]);
            assert_eq!((found.kept, found.added, found.dropped), (0, 2, 2));
            assert_eq!(class(&ours, 0, 2), class(&trainee(&head, 2, 9), 0, 2), "{head:?}");
        }
    }

    #[test]
    fn rows_without_names_are_taken_in_order_with_a_caution() {
        for head in heads() {
            let old = trainee(&head, 2, 1);
            let (ours, found) = start(&head, &old, &[], &["x", "y"]);
            assert_eq!((found.kept, found.added), (2, 0));
            assert!(found.caution.unwrap().contains("does not name"));
            assert_eq!(class(&ours, 1, 2), class(&old, 1, 2), "{head:?}");
            let (ours, found) = start(&head, &old, &[], &["x", "y", "z"]);
            assert_eq!((found.kept, found.added), (0, 3));
            assert!(found.caution.unwrap().contains("anew"));
            assert_eq!(class(&ours, 1, 3), class(&trainee(&head, 3, 9), 1, 3), "{head:?}");
        }
    }

    #[test]
    fn another_kind_of_head_begins_anew() {
        let heads = heads();
        for (i, old) in heads.iter().enumerate() {
            for new in heads.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, head)| head) {
                let (ours, found) = start(new, &trainee(old, 2, 1), &["a", "b"], &["a", "b"]);
                assert_eq!((found.kept, found.added, found.dropped), (0, 2, 2));
                assert!(found.caution.unwrap().contains("another kind"));
                assert_eq!(class(&ours, 0, 2), class(&trainee(new, 2, 9), 0, 2));
            }
        }
        let network = arch().init(&Device::default(), 7).unwrap();
        let none = NamedTensors::default();
        let (_, found) = trainee(&heads[0], 2, 9)
            .starting_with(network, none, &[], &names(&["a", "b"]))
            .unwrap();
        assert!(found.caution.unwrap().contains("no training head"));
    }
}
