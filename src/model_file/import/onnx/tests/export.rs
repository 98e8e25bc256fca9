//! Writes a network as `torch.onnx.export` does: a BatchNorm that alone reads a convolution is
//! folded into it, and other tensors keep their names behind `model.`. Operations without weights
//! only hand values on.

use std::collections::{HashMap, HashSet};

use burn::tensor::Device;

use crate::model_file::import::onnx::writer::{File, Node, integer, integers, real, tensor};
use crate::nn::graph::{self, Graph, Op, Value};
use crate::nn::{Combine, ConvConfig, Map, collect_named, trained};
use crate::zoo::{Architecture, Network};

pub struct Export {
    pub network: Network,
    graph: Graph,
    mels: usize,
    values: HashMap<String, Vec<f32>>,
    /// For each node the convolution that it is folded into.
    folds: HashMap<usize, usize>,
}

impl Export {
    pub fn of(arch: &Architecture) -> Self {
        let graph = arch.layout().unwrap();
        let network = trained(arch.init(&Device::default(), 3).unwrap());
        let values = collect_named(&network).into_iter();
        let values = values.map(|(name, data)| (name, data.iter::<f32>().collect())).collect();
        let mut uses = HashMap::<Value, usize>::new();
        let inputs = graph.nodes.iter().flat_map(|node| &node.inputs);
        inputs.for_each(|&input| *uses.entry(input).or_default() += 1);
        let fold = |(i, node): (usize, &graph::Node)| {
            let before = node.inputs[0].0.checked_sub(1)?;
            let conv = matches!(graph.nodes[before].op, Op::Conv2d(_) | Op::Conv1d(_));
            let is_norm = matches!(node.op, Op::Norm { .. });
            (conv && is_norm && uses[&node.inputs[0]] == 1).then_some((i, before))
        };
        let folds = graph.nodes.iter().enumerate().filter_map(fold).collect();
        Self { network, mels: arch.mels, values, folds, graph }
    }

    fn tensor(&self, place: usize) -> (&str, &[usize], &[f32]) {
        let info = &self.graph.tensors[place];
        (&info.name, &info.shape, &self.values[&info.name])
    }

    /// Factor and summand of every channel.
    fn scale_and_shift(&self, norm: usize) -> Vec<(f32, f32)> {
        let node = &self.graph.nodes[norm];
        let Op::Norm { epsilon, .. } = node.op else { panic!("{node:?}") };
        let all: Vec<&[f32]> = node.tensors.iter().map(|&place| self.tensor(place).2).collect();
        let (affine, [mean, var]) = all.split_at(all.len() - 2) else { panic!("{node:?}") };
        let one = |c: usize| {
            let weight = affine.first().map_or(1.0, |w| f64::from(w[c]));
            let bias = affine.last().map_or(0.0, |b| f64::from(b[c]));
            let scale = weight / (f64::from(var[c]) + epsilon.value()).sqrt();
            (scale as f32, (bias - f64::from(mean[c]) * scale) as f32)
        };
        (0..var.len()).map(one).collect()
    }

    /// Weight and bias of a convolution into which this BatchNorm is folded.
    fn fold(&self, conv: usize, norm: usize) -> (Vec<f32>, Vec<f32>) {
        let node = &self.graph.nodes[conv];
        let (scales, weight) = (self.scale_and_shift(norm), self.tensor(node.tensors[0]).2);
        let each = weight.len() / scales.len();
        let rows = weight.chunks(each).zip(&scales);
        let weight = rows.flat_map(|(row, (scale, _))| row.iter().map(move |x| x * scale));
        let own = node.tensors.get(1).map(|&place| self.tensor(place).2);
        let bias = scales.iter().enumerate();
        let bias = bias.map(|(c, (scale, shift))| own.map_or(0.0, |own| own[c]) * scale + shift);
        (weight.collect(), bias.collect())
    }

    /// What an import must find of tensors that are no BatchNorm's identity.
    pub fn folded(&self) -> HashMap<String, Vec<f32>> {
        let mut all = self.values.clone();
        for (&norm, &conv) in &self.folds {
            let (weight, bias) = self.fold(conv, norm);
            let (conv, norm) = (&self.graph.nodes[conv].tensors, &self.graph.nodes[norm].tensors);
            all.insert(self.graph.tensors[conv[0]].name.clone(), weight);
            all.insert(self.graph.tensors[norm[1]].name.clone(), bias);
        }
        all
    }

    pub fn file(&self) -> File {
        let mut file = File { mels: self.mels, ..File::default() };
        file.nodes
            .push(Node::new("Transpose", &["feats"], "turned").with(integers("perm", &[0, 2, 1])));
        file.nodes.push(Node::new("Unsqueeze", &["turned"], "v0"));
        let last = self.graph.output.0;
        for i in 0..self.graph.nodes.len() {
            let output = if i + 1 == last { "embs".to_owned() } else { format!("v{}", i + 1) };
            self.node(&mut file, i, &output);
        }
        file
    }

    /// The same with the nodes as late as possible in the reverse of their order.
    pub fn reordered(&self) -> File {
        let mut file = self.file();
        let mut left = std::mem::take(&mut file.nodes);
        let made: HashSet<String> = left.iter().map(|node| node.output.clone()).collect();
        let mut ready = HashSet::new();
        let is_ready = |node: &Node, ready: &HashSet<String>| {
            node.inputs.iter().all(|name| !made.contains(name) || ready.contains(name))
        };
        while let Some(place) = left.iter().rposition(|node| is_ready(node, &ready)) {
            let node = left.remove(place);
            ready.insert(node.output.clone());
            file.nodes.push(node);
        }
        assert!(left.is_empty());
        file
    }

    fn keep(&self, file: &mut File, place: usize) -> String {
        let (name, shape, values) = self.tensor(place);
        let name = format!("model.{name}");
        file.tensors.push(tensor(&name, shape, values));
        name
    }

    fn node(&self, file: &mut File, i: usize, output: &str) {
        let node = &self.graph.nodes[i];
        let inputs: Vec<String> = node.inputs.iter().map(|x| format!("v{}", x.0)).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let plain = |op: &str| Node::new(op, &inputs, output);
        let made = match &node.op {
            Op::Conv2d(config) => self.conv(file, i, config, inputs[0], output),
            Op::Conv1d(config) => self.conv(file, i, config, inputs[0], output),
            Op::Norm { relu, epsilon } => {
                let made = if *relu { format!("{output}_n") } else { output.to_owned() };
                let norm = match self.folds.contains_key(&i) {
                    true => Node::new("Identity", &inputs, &made),
                    false => self.norm(file, i, inputs[0], &made, epsilon.value() as f32),
                };
                file.nodes.push(norm);
                if !relu {
                    return;
                }
                Node::new("Relu", &[&made], output)
            }
            Op::Linear => {
                let names: Vec<String> =
                    node.tensors.iter().map(|&place| self.keep(file, place)).collect();
                let all: Vec<&str> =
                    inputs.iter().copied().chain(names.iter().map(String::as_str)).collect();
                Node::new("Gemm", &all, output).with(integer("transB", 1))
            }
            Op::Map(Map::Relu) => plain("Relu"),
            Op::Map(Map::Sigmoid) => plain("Sigmoid"),
            Op::Map(Map::Tanh) => plain("Tanh"),
            Op::Map(Map::Softmax) => plain("Softmax"),
            Op::SimAm => {
                let gate = format!("{output}_gate");
                file.nodes.push(Node::new("Sigmoid", &inputs, &gate));
                Node::new("Mul", &[inputs[0], &gate], output)
            }
            Op::Combine(Combine::Add) => plain("Add"),
            Op::Combine(Combine::Multiply) => plain("Mul"),
            Op::Spread => {
                let sizes = format!("{output}_sizes");
                file.nodes.push(Node::new("Shape", &inputs[1..], &sizes));
                Node::new("Expand", &[inputs[0], &sizes], output)
            }
            Op::Concat(_) => plain("Concat"),
            Op::Channels(_) => plain("Slice"),
            Op::Mean(_) => plain("ReduceMean"),
            Op::Segments(_) => plain("AveragePool"),
            Op::Reshape(_) => plain("Reshape"),
            Op::Pool(_) => plain("ReduceSum"),
            other => panic!("{other:?}"),
        };
        file.nodes.push(made);
    }

    fn conv<const D: usize, const N: usize>(
        &self,
        file: &mut File,
        i: usize,
        config: &ConvConfig<D, N>,
        input: &str,
        output: &str,
    ) -> Node {
        let node = &self.graph.nodes[i];
        let folded = self.folds.iter().find(|(_, conv)| **conv == i);
        let names: Vec<String> = match folded {
            None => node.tensors.iter().map(|&place| self.keep(file, place)).collect(),
            Some((&norm, _)) => {
                let (weight, bias) = self.fold(i, norm);
                let names = [0, 1].map(|part| format!("onnx::Conv_{}", 2 * i + part));
                let shape = &self.graph.tensors[node.tensors[0]].shape;
                file.tensors.push(tensor(&names[0], shape, &weight));
                file.tensors.push(tensor(&names[1], &[bias.len()], &bias));
                names.to_vec()
            }
        };
        let inputs: Vec<&str> =
            std::iter::once(input).chain(names.iter().map(String::as_str)).collect();
        Node::new("Conv", &inputs, output)
            .with(integers("strides", &config.stride))
            .with(integers("pads", &config.padding.repeat(2)))
            .with(integers("dilations", &[config.dilation; N]))
            .with(integer("group", config.groups as u64))
    }

    fn norm(&self, file: &mut File, i: usize, input: &str, output: &str, epsilon: f32) -> Node {
        let places = &self.graph.nodes[i].tensors;
        let mut names = Vec::new();
        if places.len() == 2 {
            let channels = self.tensor(places[0]).2.len();
            for (part, value) in [("w", 1.0), ("b", 0.0)] {
                let name = format!("onnx::BatchNormalization_{i}{part}");
                file.tensors.push(tensor(&name, &[channels], &vec![value; channels]));
                names.push(name);
            }
        }
        names.extend(places.iter().map(|&place| self.keep(file, place)));
        let inputs: Vec<&str> =
            std::iter::once(input).chain(names.iter().map(String::as_str)).collect();
        Node::new("BatchNormalization", &inputs, output).with(real("epsilon", epsilon))
    }
}
