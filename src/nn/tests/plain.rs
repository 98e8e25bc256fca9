//! Graphs evaluated operation by operation: the plain twin of every forward pass.

use burn::tensor::activation::{relu, sigmoid, softmax};
use burn::tensor::module::{conv1d, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Int, Tensor, TensorData};

use super::super::graph::{Graph, Op};
use super::super::*;

/// The output of a graph for a batch of images, in evaluation mode. `tensors` are the values of
/// [`Graph::tensors`].
pub fn evaluate(graph: &Graph, tensors: Vec<TensorData>, image: Tensor<4>) -> Tensor<2> {
    let (device, batch) = (image.device(), image.dims()[0]);
    let flat = |data: &TensorData| {
        let count = data.shape().iter().product::<usize>();
        Tensor::<1>::from_data(TensorData::new(data.iter::<f32>().collect(), [count]), &device)
    };
    let tensors: Vec<Tensor<1>> = tensors.iter().map(flat).collect();
    let mut values = vec![image.reshape([-1])];
    for node in &graph.nodes {
        let input = |i: usize| Step {
            values: values[node.inputs[i].0].clone(),
            size: graph.size(node.inputs[i]).clone(),
            batch,
        };
        let tensor = |i: usize| tensors[node.tensors[i]].clone();
        let shape = |i: usize| graph.tensors[node.tensors[i]].shape.clone();
        let made = one(node, &input, &tensor, &shape);
        assert_eq!(made.dims()[0], batch * node.size.iter().product::<usize>(), "{node:?}");
        values.push(made);
    }
    values[graph.output.0].clone().reshape([batch as i32, -1])
}

/// A value: its elements, and its size without the batch.
struct Step {
    values: Tensor<1>,
    size: Vec<usize>,
    batch: usize,
}

impl Step {
    fn is<const D: usize>(self) -> Tensor<D> {
        let shape: Vec<usize> = std::iter::once(self.batch).chain(self.size).collect();
        self.values.reshape(<[usize; D]>::try_from(shape).expect("as many axes"))
    }
}

fn end<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    x.reshape([-1])
}

fn one(
    node: &graph::Node,
    input: &dyn Fn(usize) -> Step,
    tensor: &dyn Fn(usize) -> Tensor<1>,
    shape: &dyn Fn(usize) -> Vec<usize>,
) -> Tensor<1> {
    match &node.op {
        Op::Conv2d(c) => {
            let weight = tensor(0).reshape(c.weight_shape());
            let options = ConvOptions::new(c.stride, c.padding, [c.dilation; 2], c.groups);
            end(conv2d(input(0).is(), weight, c.bias.then(|| tensor(1)), options))
        }
        Op::Conv1d(c) => {
            let weight = tensor(0).reshape(c.weight_shape());
            let options = ConvOptions::new(c.stride, c.padding, [c.dilation], c.groups);
            end(conv1d(input(0).is(), weight, c.bias.then(|| tensor(1)), options))
        }
        Op::Norm { relu: rectified, epsilon } => {
            let x = input(0);
            let (channels, batch) = (x.size[0], x.batch as i32);
            let x = x.values.reshape([batch, channels as i32, -1]);
            let affine = node.tensors.len() == 4;
            let statistics = if affine { 2 } else { 0 };
            let row = |t: Tensor<1>| t.reshape([1, channels, 1]);
            let mut y = (x - row(tensor(statistics)))
                / (row(tensor(statistics + 1)) + epsilon.value()).sqrt();
            if affine {
                y = y * row(tensor(0)) + row(tensor(1));
            }
            end(if *rectified { relu(y) } else { y })
        }
        Op::LayerNorm => {
            let x = input(0);
            let (channels, batch) = (x.size[0], x.batch as i32);
            let x = x.values.reshape([batch, channels as i32, -1]);
            let row = |t: Tensor<1>| t.reshape([1, channels, 1]);
            let off = x.clone() - x.mean_dim(1);
            let variance = off.clone().square().mean_dim(1);
            end(off / (variance + 1e-6).sqrt() * row(tensor(0)) + row(tensor(1)))
        }
        Op::Map(f) => mapped(*f, input(0)),
        Op::Combine(Combine::Add) => broadcast(input, |x, y| x + y),
        Op::Combine(Combine::Subtract) => broadcast(input, |x, y| x - y),
        Op::Combine(Combine::Multiply) => broadcast(input, |x, y| x * y),
        Op::Combine(Combine::Mean) => (input(0).values + input(1).values) / 2.0,
        Op::Concat(axis) => {
            let all = (0..node.inputs.len()).map(|i| four(input(i))).collect();
            end(Tensor::cat(all, axis + 1))
        }
        Op::Pad(_) => {
            let x = input(0).is::<4>();
            let [batch, channels, mels, frames] = x.dims();
            let padded = Tensor::zeros([batch, channels, node.size[1], node.size[2]], &x.device());
            end(padded.slice_assign([0..batch, 0..channels, 0..mels, 0..frames], x))
        }
        Op::Copy | Op::Reshape(_) => input(0).values,
        Op::Pool(kind) => {
            let x = input(0).is::<3>();
            let frames = x.dims()[2];
            let flat = |t: Tensor<3>| t.flatten::<2>(1, 2);
            let weights = match kind {
                Statistics::Weighted(_) => input(1).is::<3>(),
                _ => x.ones_like() / frames as f64,
            };
            let mean = (weights.clone() * x.clone()).sum_dim(2);
            let off = x - mean.clone();
            let variance = (weights * off.clone() * off).sum_dim(2);
            let std = match kind {
                Statistics::Weighted(floor) => variance.clamp_min(floor.value()).sqrt(),
                _ => (variance * (frames as f64 / (frames.max(2) - 1) as f64) + 1e-7).sqrt(),
            };
            end(match kind {
                Statistics::Mean => flat(mean),
                Statistics::Deviation => flat(std),
                Statistics::Both | Statistics::Weighted(_) => {
                    Tensor::cat(vec![flat(mean), flat(std)], 1)
                }
            })
        }
        Op::Linear => {
            let [output, inputs] = shape(0)[..] else { unreachable!() };
            let x = input(0);
            let x: Tensor<3> = x.values.reshape([x.batch as i32, inputs as i32, -1]);
            let weight = tensor(0).reshape([1, output, inputs]);
            end(weight.matmul(x) + tensor(1).reshape([1, output, 1]))
        }
        Op::Channels(range) => {
            let x = input(0);
            let x: Tensor<3> = x.values.reshape([x.batch as i32, x.size[0] as i32, -1]);
            end(x.narrow(1, range.start, range.len()))
        }
        Op::Mean(axes) => {
            let x = four(input(0));
            end(axes.iter().fold(x, |x, axis| x.mean_dim(axis + 1)))
        }
        Op::Swap => end(input(0).is::<4>().swap_dims(1, 2)),
        Op::Segments(length) => {
            let x = input(0).is::<3>();
            let [batch, channels, frames] = x.dims();
            let segment = |start: usize| {
                let count = (*length).min(frames - start);
                let mean = x.clone().narrow(2, start, count).mean_dim(2);
                mean.expand([batch, channels, count])
            };
            end(Tensor::cat((0..frames).step_by(*length).map(segment).collect(), 2))
        }
        Op::Spread => {
            let x = input(0).is::<3>();
            let [batch, channels, _] = x.dims();
            end(x.expand([batch, channels, node.size[1]]))
        }
        Op::Scores(heads) => {
            let all = |i: usize| split(input(i), *heads);
            let (q, k) = (all(0), all(1));
            let share = q.dims()[2] as f64;
            end(q.swap_dims(2, 3).matmul(k) / share.sqrt())
        }
        Op::Attend(heads) => {
            let weights = input(0).is::<4>();
            end(split(input(1), *heads).matmul(weights.swap_dims(2, 3)))
        }
        Op::Mix => {
            let [_, inputs, channels, _] = shape(0)[..] else { unreachable!() };
            if inputs == 1 {
                return input(0).values;
            }
            let weights = softmax(tensor(0).reshape([inputs, channels]), 0);
            let term = |i: usize| {
                let weight = weights.clone().narrow(0, i, 1).reshape([1, channels, 1]);
                input(i).is::<3>() * weight
            };
            end((1..inputs).fold(term(0), |sum, i| sum + term(i)))
        }
        Op::SimAm => {
            let x = input(0).is::<4>();
            let [_, _, mels, frames] = x.dims();
            let over = |t: Tensor<4>| t.sum_dim(2).sum_dim(3);
            let off = (x.clone() - over(x.clone()) / (mels * frames) as f64).square();
            let variance = over(off.clone()) / (mels * frames - 1) as f64;
            end(x * sigmoid(off / (variance * 4.0 + 4e-4) + 0.5))
        }
        Op::Trim(_) => end(input(0).is::<4>().narrow(3, 0, node.size[2])),
        Op::Repeat(times) => {
            let x = input(0).is::<3>();
            let frames = x.dims()[2] as i32;
            let places =
                Tensor::<1, Int>::arange(0..i64::from(frames) * *times as i64, &x.device());
            end(x.select(2, places / *times as i64))
        }
        Op::Half(half) => end(input(0).is::<4>().chunk(2, 1).remove(*half)),
        Op::Squeeze(s) => {
            let x = input(0).is::<4>();
            let parts = (0..s.mels * s.frames).map(|part| {
                let (row, column) = (part / s.frames, part % s.frames);
                let [batch, channels, mels, frames] = x.dims();
                x.clone()
                    .reshape([batch, channels, mels / s.mels, s.mels, frames / s.frames, s.frames])
                    .narrow(3, row, 1)
                    .narrow(5, column, 1)
                    .reshape([batch, channels, mels / s.mels, frames / s.frames])
            });
            end(Tensor::cat(parts.collect(), 1))
        }
        Op::Snap(bits) => snapped(input(0).values, *bits),
        Op::Shift(bits) => input(0).values + snapped(input(1).values, *bits),
    }
}

fn mapped(f: Map, x: Step) -> Tensor<1> {
    match f {
        Map::Relu => relu(x.values),
        Map::Clip20 => x.values.clamp(0.0, 20.0),
        Map::Sigmoid => sigmoid(x.values),
        Map::Tanh => x.values.tanh(),
        Map::Silu => x.values.clone() * sigmoid(x.values),
        Map::Gelu => {
            let x = x.values;
            x.clone() * ((x * 0.5f64.sqrt()).erf() + 1.0) * 0.5
        }
        Map::GeluTanh => {
            let x = x.values;
            let inner = x.clone() + x.clone().powi_scalar(3) * 0.044_715;
            let tanh = (inner * (2.0 / std::f64::consts::PI).sqrt()).tanh();
            x * (tanh + 1.0) * 0.5
        }
        Map::Softmax => {
            let width = x.size[x.size.len() - 1] as i32;
            end(softmax(x.values.reshape([-1, width]), 1))
        }
    }
}

/// `[batch, heads, channels / heads, frames]` of `[channels, frames]`.
fn split(x: Step, heads: usize) -> Tensor<4> {
    let [channels, frames] = x.size[..] else { unreachable!() };
    x.values.reshape([x.batch, heads, channels / heads, frames])
}

fn snapped(x: Tensor<1>, bits: i32) -> Tensor<1> {
    (x * 2f64.powi(bits)).round() / 2f64.powi(bits)
}

/// A value with axes of size 1 behind its own, up to four.
fn four(mut x: Step) -> Tensor<4> {
    x.size.resize(3, 1);
    x.is()
}

/// An operation on two values, of which the second is repeated.
fn broadcast(
    input: &dyn Fn(usize) -> Step,
    f: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4>,
) -> Tensor<1> {
    end(f(four(input(0)), four(input(1))))
}
