//! A network's graph as nodes of ONNX, one by one. Only the number of mels is fixed: utterances may
//! have any number of frames, and a batch any number of utterances of one length.

use super::builder::{Builder, Window};
use super::compose;
use super::integers::{self, Integers, Layer};
use super::proto::{Attribute, Data, Setting};
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::nn::graph::{Graph, Node, Op, Value};
use crate::nn::{Combine, ConvConfig, Epsilon, Map};

/// Writes the nodes behind the image `[B, 1, mels, T]`. Returns the name of the embedding
/// `[B, dim]`.
///
/// # Errors
/// Tensors that the model lacks.
pub(super) fn network(
    b: &mut Builder,
    graph: &Graph,
    weights: &mut Weights,
    integers: &Integers,
    image: String,
) -> Result<String> {
    let mut values = vec![image];
    for (n, node) in graph.nodes.iter().enumerate() {
        let stage = node.stage.to_string().replace(' ', "");
        b.enter(graph.layer(node).unwrap_or(&stage));
        let (layer, is_folded) = (integers.layer(n), integers.is_folded(n));
        let bytes = layer.map(|layer| b.rounded(&values[node.inputs[0].0], layer.input));
        let mut inputs: Vec<&str> = node.inputs.iter().map(|v| values[v.0].as_str()).collect();
        if let Some(bytes) = &bytes {
            inputs[0] = bytes;
        }
        let made = Operation { graph, node, weights, layer, is_folded }.write(b, &inputs)?;
        values.push(match integers.scale(Value(n + 1)) {
            Some(scale) => b.rounded(&made, scale),
            None => made,
        });
    }
    Ok(values.swap_remove(graph.output.0))
}

/// A node of the network with what it may ask for.
struct Operation<'a> {
    graph: &'a Graph,
    node: &'a Node,
    weights: &'a mut Weights,
    /// How it computes, if in integers.
    layer: Option<Layer>,
    /// Whether it is a BatchNorm layer that is part of a convolution.
    is_folded: bool,
}

impl<'a> Operation<'a> {
    /// Name of one of its tensors.
    fn tensor(&self, i: usize) -> Result<&'a str> {
        let place = self.node.tensors.get(i);
        let missing = || Error::invalid(format!("{:?} lacks a tensor", self.node.op));
        place.map(|&place| self.graph.tensors[place].name.as_str()).ok_or_else(missing)
    }

    /// Axes of what it makes, the batch among them.
    fn rank(&self) -> usize {
        self.node.size.len() + 1
    }

    fn write(&mut self, b: &mut Builder, x: &[&str]) -> Result<String> {
        let Node { op, inputs, size, .. } = self.node;
        let old = self.graph.size(inputs[0]);
        Ok(match op {
            Op::Conv2d(config) => self.convolution(b, x[0], config)?,
            Op::Conv1d(config) => self.convolution(b, x[0], config)?,
            Op::Norm { relu: true, .. } if self.is_folded => b.op("Relu", &[x[0]]),
            Op::Norm { .. } if self.is_folded => x[0].to_owned(),
            Op::Norm { relu, epsilon } => self.norm(b, x[0], *relu, *epsilon)?,
            Op::LayerNorm => self.layer_norm(b, x[0])?,
            Op::Map(f) => map(b, *f, x[0], self.rank()),
            Op::Combine(f) => combine(b, *f, x[0], x[1]),
            Op::Concat(axis) => b.concat(x, axis + 1),
            Op::Channels(range) => b.channels(x[0], range.start, range.end),
            Op::Half(half) => b.channels(x[0], half * size[0], (half + 1) * size[0]),
            Op::Mean(axes) => {
                let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64 + 1).collect();
                b.mean(x[0], &axes)
            }
            Op::Swap => b.transpose(x[0], &[0, 2, 1, 3]),
            Op::Segments(frames) => compose::segments(b, x[0], size[0], *frames),
            Op::Spread => compose::spread(b, x[0], x[1]),
            Op::Scores(heads) => compose::scores(b, [x[0], x[1]], *heads, old[0]),
            Op::Attend(heads) => compose::attend(b, [x[0], x[1]], *heads, size[0]),
            Op::Mix => self.mix(b, x)?,
            Op::SimAm => compose::simam(b, x[0], size[1]),
            Op::Trim(multiple) => compose::trim(b, x[0], *multiple),
            Op::Repeat(times) => compose::repeat(b, x[0], size[0], *times),
            // A value may have any number of readers.
            Op::Copy => x[0].to_owned(),
            Op::Pad(multiples) => compose::pad(b, x[0], size[1] - old[1], multiples[1]),
            Op::Reshape(shape) => {
                let shape: Vec<i64> = shape.iter().map(|&n| i64::from(n)).collect();
                b.reshape(x[0], &shape)
            }
            Op::Pool(kind) => compose::pool(b, *kind, x, size[0]),
            Op::Linear => self.linear(b, x[0])?,
            Op::Squeeze(squeeze) => compose::squeeze(b, x[0], *squeeze, old),
            Op::Snap(bits) => compose::snap(b, x[0], *bits),
            Op::Shift(bits) => {
                let change = compose::snap(b, x[1], *bits);
                b.op("Add", &[x[0], &change])
            }
        })
    }

    fn convolution<const D: usize, const N: usize>(
        &mut self,
        b: &mut Builder,
        x: &str,
        config: &ConvConfig<D, N>,
    ) -> Result<String> {
        let (weight, bias) = self.weight_and_bias(b, &config.weight_shape(), config.bias)?;
        let window = Window {
            kernel: &config.kernel,
            stride: &config.stride,
            padding: &config.padding,
            dilation: config.dilation,
            groups: config.groups,
        };
        Ok(b.convolve(x, &weight, bias.as_deref(), &window))
    }

    /// The weights of a convolution, of these dims, and what is added to each output.
    fn weight_and_bias(
        &mut self,
        b: &mut Builder,
        dims: &[usize],
        has_bias: bool,
    ) -> Result<(String, Option<String>)> {
        if let Some(layer) = self.layer {
            let [weight, bias] = self.integers(b, dims, has_bias, layer)?;
            return Ok((weight, Some(bias)));
        }
        let weight = self.weights.write(b, self.tensor(0)?, dims)?;
        let bias = match has_bias {
            true => Some(self.weights.write(b, self.tensor(1)?, &dims[..1])?),
            false => None,
        };
        Ok((weight, bias))
    }

    /// The same in integers, with the BatchNorm layer that is behind the convolution.
    fn integers(
        &mut self,
        b: &mut Builder,
        dims: &[usize],
        has_bias: bool,
        layer: Layer,
    ) -> Result<[String; 2]> {
        let graph = self.graph;
        let norm = layer.norm.and_then(|n| match graph.nodes[n].op {
            Op::Norm { epsilon, .. } => Some((&graph.nodes[n], epsilon)),
            _ => None,
        });
        let [scale, mut shift] = match norm {
            Some((norm, epsilon)) => self.scale_and_shift(norm, epsilon)?,
            None => [1.0, 0.0].map(|value| vec![value; dims[0]]),
        };
        if has_bias {
            let bias = self.weights.values(self.tensor(1)?)?;
            let rows = shift.iter_mut().zip(&scale).zip(bias);
            rows.for_each(|((shift, scale), bias)| *shift += bias * scale);
        }
        let name = self.tensor(0)?;
        let weights = self.weights.packed(name)?;
        Ok(integers::write(b, name, dims, weights, &[scale, shift], layer.input))
    }

    /// Over frames, a linear layer is a convolution of one tap.
    fn linear(&mut self, b: &mut Builder, x: &str) -> Result<String> {
        let (weight, bias) = (self.tensor(0)?, self.tensor(1)?);
        let place = self.node.tensors[0];
        let mut dims = self.graph.tensors[place].shape.clone();
        if self.rank() > 2 {
            dims.push(1);
            let (weight, bias) = self.weight_and_bias(b, &dims, true)?;
            return Ok(b.convolve(x, &weight, bias.as_deref(), &Window::TAP));
        }
        let bias = self.weights.write(b, bias, &dims[..1])?;
        let weight = self.weights.write(b, weight, &dims)?;
        let transposed = Attribute("transB", Setting::Int(1));
        Ok(b.node("Gemm", &[x, &weight, &bias], vec![transposed]))
    }

    /// Evaluation takes factor and summand alone, which here stand for mean 0 and variance 1. A
    /// layer without weight and bias has its statistics.
    fn norm(&mut self, b: &mut Builder, x: &str, relu: bool, epsilon: Epsilon) -> Result<String> {
        let channels = self.node.size[0];
        let (zeros, ones) = (b.filled(0.0, channels), b.filled(1.0, channels));
        let (scale, shift, mean, variance, added) = if self.node.tensors.len() == 2 {
            let mean = self.weights.write(b, self.tensor(0)?, &[channels])?;
            let variance = self.weights.write(b, self.tensor(1)?, &[channels])?;
            (ones, zeros, mean, variance, epsilon.value() as f32)
        } else {
            let [scale, shift] = self.scale_and_shift(self.node, epsilon)?.map(Data::F32);
            let layer = self.graph.layer(self.node).unwrap_or_default();
            let scale = b.tensor(format!("{layer}.scale"), &[channels], scale);
            let shift = b.tensor(format!("{layer}.shift"), &[channels], shift);
            (scale, shift, zeros, ones, 0.0)
        };
        let epsilon = Attribute("epsilon", Setting::Float(added));
        let inputs = [x, &scale, &shift, &mean, &variance];
        let y = b.node("BatchNormalization", &inputs, vec![epsilon]);
        Ok(if relu { b.op("Relu", &[&y]) } else { y })
    }

    /// The factors and summands of a BatchNorm layer.
    fn scale_and_shift(&mut self, norm: &Node, epsilon: Epsilon) -> Result<[Vec<f32>; 2]> {
        let (graph, places) = (self.graph, norm.tensors.iter());
        let names: Vec<&str> = places.map(|&place| graph.tensors[place].name.as_str()).collect();
        self.weights.norm(&names, epsilon)
    }

    fn layer_norm(&mut self, b: &mut Builder, x: &str) -> Result<String> {
        let mut dims = vec![1; self.rank() - 1];
        dims[0] = self.node.size[0];
        let weight = self.weights.write(b, self.tensor(0)?, &dims)?;
        let bias = self.weights.write(b, self.tensor(1)?, &dims)?;
        Ok(compose::layer_norm(b, x, &weight, &bias))
    }

    /// The file's network takes the softmax of the tensor. A value that is alone is the sum.
    fn mix(&mut self, b: &mut Builder, x: &[&str]) -> Result<String> {
        if let [alone] = x {
            return Ok((*alone).to_owned());
        }
        let (name, channels) = (self.tensor(0)?, self.node.size[0]);
        let logits = self.weights.write(b, name, &[x.len(), channels, 1])?;
        let axis = Attribute("axis", Setting::Int(0));
        let weights = b.node("Softmax", &[&logits], vec![axis]);
        let mut sum: Option<String> = None;
        for (i, x) in x.iter().enumerate() {
            let place = b.ints(&[i as i64]);
            let own = b.op("Gather", &[&weights, &place]);
            let term = b.op("Mul", &[x, &own]);
            sum = Some(match sum {
                None => term,
                Some(sum) => b.op("Add", &[&sum, &term]),
            });
        }
        sum.ok_or_else(|| Error::invalid(format!("`{name}` weighs no values")))
    }
}

/// A function of one value with so many axes.
fn map(b: &mut Builder, f: Map, x: &str, rank: usize) -> String {
    match f {
        Map::Relu => b.op("Relu", &[x]),
        Map::Sigmoid => b.op("Sigmoid", &[x]),
        Map::Tanh => b.op("Tanh", &[x]),
        Map::Clip20 => {
            let (least, most) = (b.number(0.0), b.number(20.0));
            b.op("Clip", &[x, &least, &most])
        }
        Map::Silu => {
            let gate = b.op("Sigmoid", &[x]);
            b.op("Mul", &[x, &gate])
        }
        Map::Gelu => compose::gelu(b, x),
        Map::GeluTanh => compose::gelu_tanh(b, x),
        Map::Softmax => {
            let axis = Attribute("axis", Setting::Int(rank as i64 - 1));
            b.node("Softmax", &[x], vec![axis])
        }
    }
}

/// A function of two values.
fn combine(b: &mut Builder, f: Combine, x: &str, y: &str) -> String {
    match f {
        Combine::Add => b.op("Add", &[x, y]),
        Combine::Subtract => b.op("Sub", &[x, y]),
        Combine::Multiply => b.op("Mul", &[x, y]),
        Combine::Mean => {
            let (sum, half) = (b.op("Add", &[x, y]), b.number(0.5));
            b.op("Mul", &[&sum, &half])
        }
    }
}

#[cfg(test)]
mod tests;
