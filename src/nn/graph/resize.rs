//! The graph of the same network for another number of frames.

use super::{Function, Graph, Node, Op, Size, Step, Value};
use crate::error::{Error, Result};
use crate::nn::{Combine, ConvConfig, Statistics};

/// Most values of a frame, and the largest number in an operation: no network of ours comes near.
/// It keeps memory within bounds for graphs of unknown origin.
const MOST: usize = 1 << 20;

/// The widest kernel, the largest stride and the farthest taps.
const WIDEST: usize = 128;

impl Graph {
    /// The graph for another number of frames, equal to the one that the network itself records.
    ///
    /// What an operation does never depends on frames. Only zeros on the right ([`Op::Pad`]) are
    /// left out of a graph that needs none. So the graph must have been recorded where its zeros
    /// were needed.
    ///
    /// # Errors
    /// Fewer frames than the network takes; operations that do not fit each other, their inputs
    /// or their tensors.
    pub fn resized(&self, frames: usize) -> Result<Self> {
        let &[channels, mels, _] = self.input.as_slice() else {
            return Err(misfit("the input has other axes than an image"));
        };
        let input = vec![channels, mels, frames];
        let mut made = Self { tensors: self.tensors.clone(), input, ..Self::default() };
        // What each old value is called, and how many nodes stand in front of each old node.
        let (mut names, mut before) = (vec![Value(0)], vec![0]);
        for node in &self.nodes {
            let renamed = node.inputs.iter().map(|value| names.get(value.0).copied());
            let inputs: Option<Vec<Value>> = renamed.collect();
            let inputs = inputs.ok_or_else(|| misfit("a node reads what is made behind it"))?;
            let size = made.size_of(node, &inputs)?;
            made.fits(node, &inputs, &size)?;
            match node.op {
                Op::Pad(_) if size == *made.size(inputs[0]) => names.push(inputs[0]),
                _ => {
                    let (op, tensors) = (node.op.clone(), node.tensors.clone());
                    made.nodes.push(Node { op, inputs, tensors, size, stage: node.stage });
                    names.push(Value(made.nodes.len()));
                }
            }
            before.push(made.nodes.len());
        }
        let renamed = |value: &Value| {
            names.get(value.0).copied().ok_or_else(|| misfit("a value that no node makes"))
        };
        let function = |function: &Function| -> Result<Function> {
            let place = |node: usize| {
                before.get(node).copied().ok_or_else(|| misfit("a function of no nodes"))
            };
            Ok(Function {
                inputs: function.inputs.iter().map(renamed).collect::<Result<_>>()?,
                nodes: place(function.nodes.start)?..place(function.nodes.end)?,
                outputs: function.outputs.iter().map(renamed).collect::<Result<_>>()?,
            })
        };
        let step = |(name, step): &(String, Step)| -> Result<(String, Step)> {
            let step = match step {
                Step::Couple(f, g) => Step::Couple(function(f)?, function(g)?),
                Step::Keep(f) => Step::Keep(function(f)?),
                Step::Squeeze | Step::Halves(_) => step.clone(),
            };
            Ok((name.clone(), step))
        };
        made.output = renamed(&self.output)?;
        made.steps = self.steps.iter().map(step).collect::<Result<_>>()?;
        made.tail = function(&self.tail)?;
        Ok(made)
    }

    /// The size of what a node makes of these values.
    fn size_of(&self, node: &Node, inputs: &[Value]) -> Result<Size> {
        let op = &node.op;
        let wrong = || misfit(format!("{op:?} has other inputs than it takes"));
        let all: Vec<&[usize]> = inputs.iter().map(|&v| self.size(v).as_slice()).collect();
        let size = match (op, all.as_slice()) {
            (Op::Conv2d(config), &[&[channels, mels, frames]]) if channels == config.input => {
                let [mels, frames] = convolved(config, [mels, frames])?;
                vec![config.output, mels, frames]
            }
            (Op::Conv1d(config), &[&[channels, frames]]) if channels == config.input => {
                let [frames] = convolved(config, [frames])?;
                vec![config.output, frames]
            }
            (Op::Norm { .. } | Op::LayerNorm | Op::Map(_) | Op::Copy, &[x]) => x.to_vec(),
            (&Op::Snap(bits), &[x]) if is_grid(bits) => x.to_vec(),
            (&Op::Shift(bits), &[x, y]) if is_grid(bits) && x == y => x.to_vec(),
            (Op::Combine(Combine::Mean), &[x, y]) if x == y => x.to_vec(),
            (Op::Combine(Combine::Mean), _) => return Err(wrong()),
            (Op::Combine(_), &[x, y]) if is_repeated(y, x) => x.to_vec(),
            (&Op::Concat(axis), &[first, ..]) if axis < first.len() => {
                let other = |x: &[usize]| x.len() == first.len() && differ_at(x, first, axis);
                if !all.iter().all(|x| other(x)) {
                    return Err(wrong());
                }
                let mut size = first.to_vec();
                size[axis] = all.iter().map(|x| x[axis]).sum();
                size
            }
            (Op::Channels(range), &[x]) if range.start <= range.end && range.end <= x[0] => {
                with_channels(x, range.len())
            }
            (Op::Mean(axes), &[x]) if axes.iter().all(|&axis| axis < x.len()) => {
                let mut size = x.to_vec();
                axes.iter().for_each(|&axis| size[axis] = 1);
                size
            }
            (Op::Swap, &[&[channels, mels, frames]]) => vec![mels, channels, frames],
            (&Op::Segments(length), &[x @ &[_, _]]) if length > 0 => x.to_vec(),
            (Op::Spread, &[&[channels, 1], &[_, frames]]) => vec![channels, frames],
            (&Op::Scores(heads), &[x @ &[channels, frames], y])
                if x == y && heads > 0 && channels.is_multiple_of(heads) =>
            {
                vec![heads, frames, frames]
            }
            (&Op::Attend(heads), &[&[own, rows, columns], &[channels, frames]])
                if own == heads
                    && heads > 0
                    && channels.is_multiple_of(heads)
                    && [rows, columns] == [frames; 2] =>
            {
                vec![channels, frames]
            }
            (Op::Mix, &[first @ &[_, _], ..]) if all.iter().all(|x| *x == first) => first.to_vec(),
            (Op::SimAm, &[x @ &[_, _, _]]) => x.to_vec(),
            (&Op::Trim(multiple), &[&[channels, mels, frames]]) if multiple > 0 => {
                vec![channels, mels, frames - frames % multiple]
            }
            (&Op::Repeat(times), &[&[channels, frames]]) if times > 0 => {
                vec![channels, frames.checked_mul(times).ok_or_else(wrong)?]
            }
            (&Op::Pad([over_mels, over_frames]), &[&[channels, mels, frames]])
                if (1..=MOST).contains(&over_mels) && (1..=MOST).contains(&over_frames) =>
            {
                let (mels, frames) =
                    (mels.next_multiple_of(over_mels), frames.next_multiple_of(over_frames));
                vec![channels, mels, frames]
            }
            (Op::Reshape(shape), &[x]) => reshaped(x, shape).ok_or_else(wrong)?,
            (&Op::Pool(kind), &[&[channels, _]]) if !is_weighted(kind) => {
                vec![channels * kind.count()]
            }
            (&Op::Pool(kind), &[x @ &[channels, _], y]) if is_weighted(kind) && x == y => {
                vec![channels * kind.count()]
            }
            (Op::Linear, &[x @ (&[_] | &[_, _])]) => {
                let weight = node.tensors.first().and_then(|&place| self.tensors.get(place));
                with_channels(x, *weight.and_then(|w| w.shape.first()).ok_or_else(wrong)?)
            }
            (&Op::Half(which), &[x @ &[channels, _, _]])
                if which < 2 && channels.is_multiple_of(2) =>
            {
                with_channels(x, channels / 2)
            }
            (Op::Squeeze(factors), &[&[channels, mels, frames]])
                if (1..=MOST).contains(&factors.mels)
                    && (1..=MOST).contains(&factors.frames)
                    && mels.is_multiple_of(factors.mels)
                    && frames.is_multiple_of(factors.frames) =>
            {
                let grown = channels.checked_mul(factors.mels * factors.frames);
                vec![grown.ok_or_else(wrong)?, mels / factors.mels, frames / factors.frames]
            }
            _ => return Err(wrong()),
        };
        Ok(size)
    }

    /// Refuses a node whose tensors are not those of its operation, and sizes out of bounds.
    fn fits(&self, node: &Node, inputs: &[Value], size: &Size) -> Result<()> {
        let wrong = |what: &str| Err(misfit(format!("{:?} {what}", node.op)));
        if size.contains(&0) {
            return wrong("makes nothing of so few frames");
        }
        let frames = self.input.last().map_or(1, |&frames| frames.max(1));
        let square = if size.len() == 3 && size[1] == size[2] { size[2] } else { 1 };
        let most = MOST.checked_mul(frames).and_then(|most| most.checked_mul(square));
        let elements = size.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
        if elements.is_none_or(|elements| most.is_none_or(|most| elements > most)) {
            return wrong("makes more values than any network of ours");
        }
        let shapes = node.tensors.iter().map(|&place| self.tensors.get(place));
        let Some(infos) = shapes.collect::<Option<Vec<_>>>() else {
            return wrong("has tensors that are not there");
        };
        let shapes: Vec<&[usize]> = infos.iter().map(|info| info.shape.as_slice()).collect();
        let channels = [size[0]];
        let are_rows = |shapes: &[&[usize]]| shapes.iter().all(|shape| *shape == channels);
        let fit = match (&node.op, shapes.as_slice()) {
            (Op::Conv2d(c), [weight, bias @ ..]) => {
                *weight == c.weight_shape() && bias.len() == usize::from(c.bias) && are_rows(bias)
            }
            (Op::Conv1d(c), [weight, bias @ ..]) => {
                *weight == c.weight_shape() && bias.len() == usize::from(c.bias) && are_rows(bias)
            }
            (Op::Linear, &[weight, bias]) => {
                let input = self.size(inputs[0])[0];
                *weight == [size[0], input] && *bias == channels
            }
            (Op::Norm { .. }, all) => (all.len() == 2 || all.len() == 4) && are_rows(all),
            (Op::LayerNorm, all) => all.len() == 2 && are_rows(all),
            // The weight of a value that is alone does not count, nor do its channels.
            (Op::Mix, &[&[1, 1, _, 1]]) => inputs.len() == 1,
            (Op::Mix, &[weights]) => *weights == [1, inputs.len(), size[0], 1],
            (Op::Conv2d(_) | Op::Conv1d(_) | Op::Linear | Op::Mix, _) => false,
            (_, none) => none.is_empty(),
        };
        if fit { Ok(()) } else { wrong("has tensors of other shapes") }
    }
}

/// A graph that contradicts itself.
fn misfit(what: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("the network's graph: {what}"))
}

/// The size behind a convolution, whose kernel is no wider than those that kernels of the runtime
/// are tested with.
fn convolved<const D: usize, const N: usize>(
    config: &ConvConfig<D, N>,
    size: [usize; N],
) -> Result<[usize; N]> {
    let ConvConfig { input, output, kernel, stride, padding, dilation, groups, .. } = *config;
    let within = |n: usize, most: usize| (1..=most).contains(&n);
    let is_window = |i: usize| {
        within(kernel[i], WIDEST)
            && within(stride[i], WIDEST)
            && padding[i] <= dilation * (kernel[i] / 2)
    };
    let is_possible = within(dilation, WIDEST)
        && [input, output, groups].into_iter().all(|n| within(n, MOST))
        && (0..N).all(is_window)
        && input.is_multiple_of(groups)
        && output.is_multiple_of(groups);
    match is_possible {
        true => Ok(config.output_size(size)),
        false => Err(misfit(format!("{config:?} is no convolution"))),
    }
}

/// Whether the exponent of a grid is one of f32.
fn is_grid(bits: i32) -> bool {
    (-100..=100).contains(&bits)
}

fn is_weighted(kind: Statistics) -> bool {
    matches!(kind, Statistics::Weighted(_))
}

/// Whether values of size `y` can be repeated to the size `x`.
fn is_repeated(y: &[usize], x: &[usize]) -> bool {
    y.len() == x.len() && y.iter().zip(x).all(|(&y, &x)| y == x || y == 1)
}

/// Whether sizes are equal but for one axis.
fn differ_at(x: &[usize], y: &[usize], axis: usize) -> bool {
    x.iter().zip(y).enumerate().all(|(i, (x, y))| i == axis || x == y)
}

fn with_channels(size: &[usize], channels: usize) -> Size {
    let mut size = size.to_vec();
    size[0] = channels;
    size
}

/// A size in the shape of [`Op::Reshape`], in which 0 keeps the batch and -1 is what is left.
fn reshaped(size: &[usize], shape: &[i32]) -> Option<Size> {
    let (&batch, new) = shape.split_first()?;
    let elements: usize = size.iter().product();
    let mut known = new.iter().copied().filter(|&n| n > 0);
    let known = known.try_fold(1usize, |all, n| all.checked_mul(usize::try_from(n).ok()?))?;
    let left = new.iter().filter(|&&n| n <= 0).count();
    if batch != 0 || new.is_empty() || left > 1 || !elements.is_multiple_of(known) {
        return None;
    }
    let axis = |&n: &i32| usize::try_from(n).ok().filter(|&n| n > 0).unwrap_or(elements / known);
    let made: Size = new.iter().map(axis).collect();
    (made.iter().product::<usize>() == elements).then_some(made)
}
