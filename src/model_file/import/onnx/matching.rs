//! Pairs the layers of an ONNX graph with those of a network, and names their tensors.
//!
//! A layer's counterpart computes the same kind of thing of the same layers' outputs. Where several
//! do, a name that was kept decides, then what reads it, then the order.
//!
//! `torch.onnx.export` folds a BatchNorm behind a convolution into it: the convolution keeps what
//! it got, and the BatchNorm becomes the identity.

use std::collections::BTreeMap;

use super::layers::{Kind, Net, Sources, Wanted, WantedNorm, common, itself, merged};
use super::walk::{Constant, Layer, Norm};
use crate::model_file::import::checkpoint::{Entry, Form};
use crate::nn::Graph;

/// Tensors by the names that the network gives them, and how many BatchNorms were folded.
pub(super) struct Named {
    pub tensors: BTreeMap<String, Entry>,
    pub folded: usize,
}

/// The file's tensors as those of a network, whose graph this is.
///
/// # Errors
/// What differs first.
pub(super) fn named(net: &Net<Layer>, graph: &Graph, content: &[u8]) -> Result<Named, String> {
    let (wanted, _) = Net::of(graph)
        .map_err(|layer| format!("`{layer}` is a layer that is not found by a graph's shape"))?;
    let pairs = pairs(net, &wanted, graph)?;
    let mut naming = Naming { graph, content, tensors: BTreeMap::new(), folded: 0 };
    for (layer, place) in net.layers.iter().zip(pairs) {
        naming
            .layer(layer, &wanted.layers[place])
            .map_err(|e| format!("{}: {e}", layer.node.shown()))?;
    }
    Ok(Named { tensors: naming.tensors, folded: naming.folded })
}

/// The place of each layer's counterpart.
fn pairs(net: &Net<Layer>, wanted: &Net<Wanted>, graph: &Graph) -> Result<Vec<usize>, String> {
    for ((found, what), (wanted, _)) in net.tally.named().into_iter().zip(wanted.tally.named()) {
        if found != wanted {
            return Err(format!("{found} {what} in the file, {wanted} in the network"));
        }
    }
    let sources = wanted.sources();
    let wanted_readers = wanted.readers(|layer| &layer.kind);
    let readers = net.readers(|layer| &layer.kind);
    let mut free: Vec<usize> = (0..wanted.layers.len()).collect();
    let mut flow = vec![Sources::default(); net.values];
    let mut pairs = Vec::with_capacity(net.layers.len());
    for step in &net.steps {
        let from = merged(step.reads.iter().map(|&x| flow[x]));
        let made = match step.layer {
            None => from,
            Some(number) => {
                let layer = &net.layers[number];
                let fits = |place: &usize| {
                    sources[*place] == from && wanted.layers[*place].kind == layer.kind
                };
                let named = |place: &usize| is_called(layer, &wanted.layers[*place], graph);
                let all = || free.iter().copied().filter(fits);
                // Of several, the first one with the most.
                let shared = |place: &usize| {
                    let most = common(&readers[number], &wanted_readers[*place]);
                    (most, std::cmp::Reverse(*place))
                };
                let Some(place) = all().find(named).or_else(|| all().max_by_key(shared)) else {
                    return Err(unpaired(layer, free.first().copied(), wanted, graph));
                };
                free.retain(|&other| other != place);
                pairs.push(place);
                itself(place)
            }
        };
        step.makes.iter().for_each(|&x| flow[x] = made);
    }
    Ok(pairs)
}

/// Whether the file gives the layer's tensor the network's name, with or without a prefix.
fn is_called(layer: &Layer, wanted: &Wanted, graph: &Graph) -> bool {
    let weight = layer.weights.as_ref().map(|(weight, _)| weight);
    let first = weight.or(layer.norm.as_ref().and_then(|norm| norm.tensors.last()));
    let norm = wanted.norm.as_ref().and_then(|norm| norm.tensors.last());
    let (Some(first), Some(&place)) = (first, wanted.weights.first().or(norm)) else {
        return false;
    };
    let prefix = first.name.strip_suffix(graph.tensors[place].name.as_str());
    prefix.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('.'))
}

/// The error of a layer without counterpart.
fn unpaired(layer: &Layer, next: Option<usize>, wanted: &Net<Wanted>, graph: &Graph) -> String {
    let shown = layer.node.shown();
    let name = next.and_then(|place| {
        let Wanted { weights, norm, .. } = &wanted.layers[place];
        let norm = norm.as_ref().and_then(|norm| norm.tensors.first());
        Some(&graph.tensors[*weights.first().or(norm)?].name)
    });
    match name {
        Some(name) => format!(
            "{shown} computes {}, of which there is none at its place in the network; the first \
             layer there without a counterpart has the tensor `{name}`",
            described(&layer.kind)
        ),
        None => format!("{shown} has no counterpart in the network"),
    }
}

fn described(kind: &Kind) -> String {
    match kind {
        Kind::Linear => "a linear layer".to_owned(),
        Kind::Norm => "a BatchNorm".to_owned(),
        Kind::Conv { kernel, stride, padding, dilation, groups } => format!(
            "a convolution (kernel {kernel:?}, strides {stride:?}, pads {padding:?}, \
             dilations {dilation:?}, groups {groups:?})"
        ),
    }
}

struct Naming<'a> {
    graph: &'a Graph,
    content: &'a [u8],
    tensors: BTreeMap<String, Entry>,
    folded: usize,
}

impl Naming<'_> {
    fn put(&mut self, place: usize, entry: Entry) {
        self.tensors.insert(self.graph.tensors[place].name.clone(), entry);
    }

    fn layer(&mut self, layer: &Layer, wanted: &Wanted) -> Result<(), String> {
        let Some((weight, bias)) = &layer.weights else {
            let norms = layer.norm.as_ref().zip(wanted.norm.as_ref());
            return norms.map_or(Ok(()), |(norm, wanted)| self.norm(norm, wanted));
        };
        let channels = weight.shape().first().copied().unwrap_or(0);
        if let Some(&place) = wanted.weights.first() {
            self.put(place, entry(weight, Form::AsIs)?);
        }
        let own_bias = wanted.weights.get(1).copied();
        if let (None, Some(norm)) = (&layer.norm, &wanted.norm) {
            let bias = bias.as_ref().ok_or("it has neither a BatchNorm behind it nor a bias")?;
            return self.fold(bias, channels, own_bias, norm);
        }
        match (bias, own_bias) {
            (Some(bias), Some(place)) => self.put(place, entry(bias, Form::AsIs)?),
            (None, None) => {}
            (Some(bias), None) => {
                return Err(format!("it has the bias `{}`, and the network none", bias.name));
            }
            (None, Some(place)) => {
                let name = &self.graph.tensors[place].name;
                return Err(format!("it has no bias, and the network has `{name}`"));
            }
        }
        match (&layer.norm, &wanted.norm) {
            (Some(norm), Some(wanted)) => self.norm(norm, wanted),
            (Some(_), None) => Err("a BatchNorm is behind it, and the network has none".to_owned()),
            (None, _) => Ok(()),
        }
    }

    /// A BatchNorm that the file has too.
    fn norm(&mut self, norm: &Norm, wanted: &WantedNorm) -> Result<(), String> {
        let epsilon = wanted.epsilon.value();
        if (f64::from(norm.epsilon) - epsilon).abs() > 1e-3 * epsilon {
            let found = norm.epsilon;
            return Err(format!(
                "its BatchNorm adds {found} to variances, the network's {epsilon}"
            ));
        }
        let [scale, shift, ..] = &norm.tensors;
        let skipped = norm.tensors.len().saturating_sub(wanted.tensors.len());
        if skipped > 0 && !(self.is_all(scale, 1.0)? && self.is_all(shift, 0.0)?) {
            let names = format!("`{}` and `{}`", scale.name, shift.name);
            return Err(format!("the network's BatchNorm has no weight and bias for {names}"));
        }
        for (constant, &place) in norm.tensors.iter().skip(skipped).zip(&wanted.tensors) {
            self.put(place, entry(constant, Form::AsIs)?);
        }
        Ok(())
    }

    /// A BatchNorm that the file has not: it was folded into the layer, which then has a bias.
    fn fold(
        &mut self,
        bias: &Constant,
        channels: usize,
        own_bias: Option<usize>,
        norm: &WantedNorm,
    ) -> Result<(), String> {
        self.folded += 1;
        let (place, form) = match (own_bias, &norm.tensors[..]) {
            (Some(own), [_, _] | [_, _, _, _]) => (own, Form::AsIs),
            (None, &[_, shift, _, _]) => (shift, Form::AsIs),
            // Without a bias of its own, what is added is minus the mean.
            (None, &[mean, _]) => (mean, Form::Negated),
            (_, other) => return Err(format!("a BatchNorm of {} tensors", other.len())),
        };
        // From the end: a BatchNorm without weight and bias has the last two alone.
        let identity = [1.0, 0.0, 0.0, norm.epsilon.identity_variance()];
        for (&tensor, value) in norm.tensors.iter().rev().zip(identity.into_iter().rev()) {
            self.put(tensor, Entry::constant(value, channels));
        }
        self.put(place, entry(bias, form)?);
        Ok(())
    }

    fn is_all(&self, constant: &Constant, value: f32) -> Result<bool, String> {
        let values = super::values(self.content, constant.name, constant.tensor)?;
        Ok(values.iter().all(|&x| x == value))
    }
}

/// A tensor of the file, its values unread.
pub(super) fn entry(constant: &Constant, form: Form) -> Result<Entry, String> {
    let (name, tensor) = (constant.name, constant.tensor);
    let range = tensor.range(name)?;
    let shape = constant.shape();
    if shape.contains(&0) {
        return Err(format!("initialiser `{name}` has shape {shape:?}, and no values"));
    }
    let form = if constant.turned { Form::Turned } else { form };
    Ok(Entry::within(tensor.number, tensor.dtype.clone(), shape, range, form))
}
