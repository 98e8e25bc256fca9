//! What every network has in common.

#[cfg(feature = "train")]
use std::collections::HashSet;
use std::sync::Arc;

use burn::module::Module;
#[cfg(feature = "train")]
use burn::module::ParamId;
use burn::tensor::Tensor;

use super::campplus::CamPlusPlusNet;
use super::df_resnet::DfResNet;
use super::ecapa::EcapaTdnn;
use super::redimnet::ReDimNetNet;
use super::redimnet::second::ReDimNet2Net;
use super::res2net::Res2NetNet;
use super::resnet::ResNet;
use super::reversible::RevNet;
use super::simam_resnet::SimAmNet;
use super::tdnn::TdnnNet;
use crate::backend::reversible::Execution;
use crate::error::{Error, Result};
use crate::nn::graph::Span;
use crate::nn::{Exec, Mode, Net, Run, Stage, run_spans};

/// Any network of the registry; field names are WeSpeaker's. `unnamed` adds no prefix to names.
#[derive(Module, Debug)]
pub struct Network {
    unnamed: Backbone,
    #[module(skip)]
    least_frames: usize,
    /// What is recomputed while training; nothing unless told.
    #[module(skip)]
    spans: Option<Arc<[Span]>>,
}

/// The families: features to embeddings.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one in a program, not an array of them")]
pub(super) enum Backbone {
    ResNet(ResNet),
    DfResNet(DfResNet),
    Reversible(RevNet),
    Ecapa(EcapaTdnn),
    CamPlusPlus(CamPlusPlusNet),
    ReDimNet(ReDimNetNet),
    ReDimNet2(ReDimNet2Net),
    Res2Net(Res2NetNet),
    SimAm(SimAmNet),
    Tdnn(TdnnNet),
}

impl Network {
    /// A network that takes so many frames or more.
    pub(super) fn new(backbone: Backbone, least_frames: usize) -> Self {
        Self { unnamed: backbone, least_frames, spans: None }
    }

    /// Fewest frames of an utterance.
    pub fn least_frames(&self) -> usize {
        self.least_frames
    }

    /// Chooses how a reversible network trains.
    ///
    /// # Errors
    /// An ordinary network, whose choice is [`Network::checkpointed`], and
    /// [`Execution::Checkpointed`].
    pub fn with_execution(mut self, execution: Execution) -> Result<Self> {
        if execution == Execution::Checkpointed {
            let message = "checkpointed execution wants a plan, which rev1- and rev2- \
                           architectures do not need";
            return Err(Error::invalid(message));
        }
        let Backbone::Reversible(network) = &mut self.unnamed else {
            let message = "only rev1- and rev2- architectures have a choice of execution";
            return Err(Error::invalid(message));
        };
        network.execution = execution;
        Ok(self)
    }

    /// The ids of parameters and buffers that a training with recomputed activations uses function
    /// by function: those of a reversible network's body. An ordinary network has none, nor has a
    /// reversible one on the ordinary tape.
    #[cfg(feature = "train")]
    pub(crate) fn recomputed(&self) -> HashSet<ParamId> {
        match &self.unnamed {
            Backbone::Reversible(net) if net.execution == Execution::Reversible => net.body_ids(),
            _ => HashSet::new(),
        }
    }

    /// Recomputes spans of an ordinary network in the backward pass of a training, as a plan says:
    /// one span after the other up to the pooled statistics, divided at cuts of the network's
    /// [graph](crate::nn::Graph::cuts). Gradients and running statistics are those of the ordinary
    /// pass.
    ///
    /// # Errors
    /// A reversible network, which recomputes its activations already. Spans with gaps, and cuts
    /// outside of their span.
    pub fn checkpointed(self, spans: Arc<[Span]>) -> Result<Self> {
        if matches!(self.unnamed, Backbone::Reversible(_)) {
            let message = "a reversible network recomputes its activations already";
            return Err(Error::invalid(message));
        }
        let mut end = 0;
        for span in &*spans {
            if span.nodes.start != end || span.nodes.is_empty() {
                return Err(Error::invalid("the spans of a plan follow each other without gaps"));
            }
            if !span.ends().is_sorted_by(|a, b| a < b) {
                return Err(Error::invalid("the cuts of a plan's span lie within it, in order"));
            }
            end = span.nodes.end;
        }
        Ok(Self { spans: Some(spans), ..self })
    }

    /// Mean-subtracted features `[batch, frames, mels]` -> embeddings `[batch, embedding_dim]`.
    pub fn forward(&self, features: Tensor<3>, mode: Mode) -> Tensor<2> {
        let image = image(features);
        match &self.spans {
            Some(spans) if image.is_autodiff() => run_spans(self, image, mode, spans),
            Some(_) | None => Net::forward(self, &mut Run::new(mode), image),
        }
    }

    /// [`Network::forward`] with a cut in front of the embedding layers, so that their gradients
    /// can be done with before those of the body begin: `cut` gets the pooled statistics `[batch,
    /// statistics]`, and gives what the embedding layers read. Only reversible networks have one;
    /// the tape of the others keeps its gradients to the end in any case.
    #[cfg(feature = "train")]
    pub(crate) fn forward_cut(
        &self,
        features: Tensor<3>,
        mode: Mode,
        cut: impl FnOnce(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        match &self.unnamed {
            Backbone::Reversible(net) if net.execution == Execution::Reversible => {
                let mut run = Run::new(mode);
                let pooled = net.pooled(&mut run, image(features));
                net.embed(&mut run, cut(pooled))
            }
            _ => self.forward(features, mode),
        }
    }
}

/// The networks see an image of height mels and width frames.
fn image(features: Tensor<3>) -> Tensor<4> {
    features.swap_dims(1, 2).unsqueeze_dim(1)
}

impl Net for Network {
    fn forward<E: Exec>(&self, e: &mut E, image: E::Value<4>) -> E::Value<2> {
        e.stage(Stage::STEM);
        match &self.unnamed {
            Backbone::ResNet(network) => network.forward(e, image),
            Backbone::DfResNet(network) => network.forward(e, image),
            Backbone::Reversible(network) => network.forward(e, image),
            Backbone::Ecapa(network) => network.forward(e, image),
            Backbone::CamPlusPlus(network) => network.forward(e, image),
            Backbone::ReDimNet(network) => network.forward(e, image),
            Backbone::ReDimNet2(network) => network.forward(e, image),
            Backbone::Res2Net(network) => network.forward(e, image),
            Backbone::SimAm(network) => network.forward(e, image),
            Backbone::Tdnn(network) => network.forward(e, image),
        }
    }
}
