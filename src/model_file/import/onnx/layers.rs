//! A network as layers with weights, and which of them each layer reads: what an ONNX graph and
//! ours have in common.

use crate::nn::graph::{Graph, Node, Op};
use crate::nn::{ConvConfig, Epsilon, Map, Stage};

/// What a layer computes, without its number of channels, which tells one size of a network from
/// another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A convolution.
    Conv {
        kernel: Vec<usize>,
        stride: Vec<usize>,
        /// In front of every axis, then behind every axis.
        padding: Vec<usize>,
        dilation: Vec<usize>,
        groups: Groups,
    },
    /// A linear layer.
    Linear,
    /// A BatchNorm that does not follow a convolution or linear layer.
    Norm,
}

/// Groups of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Groups {
    One,
    Depthwise,
    Several(usize),
}

impl Groups {
    /// `inputs` is the number of input channels of a group.
    pub fn of(groups: usize, inputs: usize) -> Self {
        match (groups, inputs) {
            (1, _) => Self::One,
            (_, 1) => Self::Depthwise,
            (groups, _) => Self::Several(groups),
        }
    }
}

/// An operation. Operations stand in order: each reads what those before it make.
#[derive(Debug)]
pub(super) struct Step {
    /// The values that it reads.
    pub reads: Vec<usize>,
    /// The values that it makes.
    pub makes: Vec<usize>,
    /// The layer, if it has weights.
    pub layer: Option<usize>,
}

/// A network, with what is known of each layer.
#[derive(Debug)]
pub(super) struct Net<L> {
    pub steps: Vec<Step>,
    pub layers: Vec<L>,
    /// How many values there are.
    pub values: usize,
    pub tally: Tally,
}

impl<L> Net<L> {
    /// A network without operations.
    pub fn empty(values: usize) -> Self {
        Self { steps: Vec::new(), layers: Vec::new(), values, tally: Tally::default() }
    }

    /// What each layer reads.
    pub fn sources(&self) -> Vec<Sources> {
        let mut flow = vec![Sources::default(); self.values];
        let mut all = vec![Sources::default(); self.layers.len()];
        for step in &self.steps {
            let from = merged(step.reads.iter().map(|&x| flow[x]));
            if let Some(layer) = step.layer {
                all[layer] = from;
            }
            step.makes.iter().for_each(|&x| flow[x] = step.layer.map_or(from, itself));
        }
        all
    }

    /// What the layers compute that read each layer, as `kind` tells.
    pub fn readers(&self, kind: impl Fn(&L) -> &Kind) -> Vec<Vec<&Kind>> {
        let mut readers = vec![Vec::new(); self.layers.len()];
        for (layer, sources) in self.layers.iter().zip(self.sources()) {
            for source in sources.into_iter().filter(|&source| source > 0) {
                readers[source - 1].push(kind(layer));
            }
        }
        readers
    }
}

/// How many kinds two lists have in common.
pub(super) fn common(a: &[&Kind], b: &[&Kind]) -> usize {
    let mut left = b.to_vec();
    let is_there = |kind: &&&Kind| match left.iter().position(|other| other == *kind) {
        Some(place) => {
            left.swap_remove(place);
            true
        }
        None => false,
    };
    a.iter().filter(is_there).count()
}

/// How many layers and activations of each kind there are. Networks with other numbers compute
/// something else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub convs: usize,
    pub linears: usize,
    pub norms: usize,
    pub relus: usize,
    pub sigmoids: usize,
    pub tanhs: usize,
}

impl Tally {
    pub fn layer(&mut self, kind: &Kind) {
        match kind {
            Kind::Conv { .. } => self.convs += 1,
            Kind::Linear => self.linears += 1,
            Kind::Norm => self.norms += 1,
        }
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Norm { relu: true, .. } | Op::Map(Map::Relu) => self.relus += 1,
            Op::Map(Map::Sigmoid | Map::Silu) | Op::SimAm => self.sigmoids += 1,
            Op::Map(Map::Tanh | Map::GeluTanh) => self.tanhs += 1,
            _ => {}
        }
    }

    /// Every number with its name.
    pub fn named(&self) -> [(usize, &'static str); 6] {
        let Self { convs, linears, norms, relus, sigmoids, tanhs } = *self;
        [
            (convs, "convolutions"),
            (linears, "linear layers"),
            (norms, "BatchNorms of their own"),
            (relus, "ReLU"),
            (sigmoids, "Sigmoid"),
            (tanhs, "Tanh"),
        ]
    }
}

/// The last layers that a value comes from, the latest first: places from 1, and 0 for none. More
/// would tell little more, and a sum over many blocks has a great many.
pub(super) type Sources = [usize; 4];

/// What a value comes from that is made of others.
pub(super) fn merged(all: impl Iterator<Item = Sources>) -> Sources {
    all.fold(Sources::default(), |a, b| {
        let (mut a, mut b) = (&a[..], &b[..]);
        std::array::from_fn(|_| {
            let last = a.first().max(b.first()).copied().unwrap_or(0);
            for side in [&mut a, &mut b] {
                if let Some((_, rest)) = side.split_first().filter(|(first, _)| **first == last) {
                    *side = rest;
                }
            }
            last
        })
    })
}

/// The sources of a layer's output.
pub(super) fn itself(layer: usize) -> Sources {
    [layer + 1, 0, 0, 0]
}

/// A layer of our graph. Tensors are places in [`Graph::tensors`].
#[derive(Debug)]
pub(super) struct Wanted {
    pub kind: Kind,
    /// Weight, and bias if there is one; none of a BatchNorm.
    pub weights: Vec<usize>,
    /// The BatchNorm behind it, or itself.
    pub norm: Option<WantedNorm>,
}

/// A BatchNorm of our graph.
#[derive(Debug)]
pub(super) struct WantedNorm {
    /// Weight and bias unless it has none, running mean and variance.
    pub tensors: Vec<usize>,
    pub epsilon: Epsilon,
}

impl Net<Wanted> {
    /// The layers of our graph, and the tally without those from the pooling on.
    ///
    /// # Errors
    /// The name of a layer that is neither convolution nor linear layer nor BatchNorm.
    pub fn of(graph: &Graph) -> Result<(Self, Tally), String> {
        let values = graph.nodes.len() + 1;
        let (mut net, mut body) = (Self::empty(values), Tally::default());
        let mut uses = vec![0usize; values];
        let mut straight: Vec<Option<usize>> = vec![None; values];
        for input in graph.nodes.iter().flat_map(|node| &node.inputs) {
            uses[input.0] += 1;
        }
        for (i, node) in graph.nodes.iter().enumerate() {
            let from = node.inputs.first().filter(|x| uses[x.0] == 1).and_then(|x| straight[x.0]);
            let mut made = Tally::default();
            made.op(&node.op);
            let layer = match (layer(graph, node)?, from) {
                (None, from) => {
                    if matches!(node.op, Op::Reshape(_) | Op::Copy) {
                        straight[i + 1] = from;
                    }
                    None
                }
                (Some(Wanted { kind: Kind::Norm, norm, .. }), Some(from)) => {
                    let behind: &mut Wanted = &mut net.layers[from];
                    behind.norm = norm;
                    None
                }
                (Some(layer), _) => {
                    made.layer(&layer.kind);
                    let place = net.layers.len();
                    if layer.norm.is_none() {
                        straight[i + 1] = Some(place);
                    }
                    net.layers.push(layer);
                    Some(place)
                }
            };
            // The second input of `Spread` gives only the number of frames.
            let read = if node.op == Op::Spread { 1 } else { node.inputs.len() };
            let reads = node.inputs.iter().take(read).map(|x| x.0).collect();
            net.steps.push(Step { reads, makes: vec![i + 1], layer });
            net.tally = sum(net.tally, made);
            if ![Stage::POOLING, Stage::EMBEDDING].contains(&node.stage) {
                body = sum(body, made);
            }
        }
        Ok((net, body))
    }
}

fn sum(a: Tally, b: Tally) -> Tally {
    Tally {
        convs: a.convs + b.convs,
        linears: a.linears + b.linears,
        norms: a.norms + b.norms,
        relus: a.relus + b.relus,
        sigmoids: a.sigmoids + b.sigmoids,
        tanhs: a.tanhs + b.tanhs,
    }
}

/// The layer of a node, if it has weights.
fn layer(graph: &Graph, node: &Node) -> Result<Option<Wanted>, String> {
    let weighted = |kind| Wanted { kind, weights: node.tensors.clone(), norm: None };
    Ok(Some(match &node.op {
        Op::Conv2d(config) => weighted(kind(config)),
        Op::Conv1d(config) => weighted(kind(config)),
        Op::Linear => weighted(Kind::Linear),
        Op::Norm { epsilon, .. } => {
            let norm = Some(WantedNorm { tensors: node.tensors.clone(), epsilon: *epsilon });
            Wanted { kind: Kind::Norm, weights: Vec::new(), norm }
        }
        _ if node.tensors.is_empty() => return Ok(None),
        _ => return Err(graph.layer(node).unwrap_or_default().to_owned()),
    }))
}

fn kind<const D: usize, const N: usize>(config: &ConvConfig<D, N>) -> Kind {
    Kind::Conv {
        kernel: config.kernel.to_vec(),
        stride: config.stride.to_vec(),
        padding: config.padding.repeat(2),
        dilation: vec![config.dilation; N],
        groups: Groups::of(config.groups, config.input / config.groups),
    }
}

#[cfg(test)]
mod tests;
