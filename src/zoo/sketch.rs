//! A network as arithmetic sees it: which operation makes which tensor of what size. Parameters,
//! multiplications and bytes are counted on it, without a single weight.

use crate::nn::{BranchKind, Conv2dConfig, InvertedBottleneck, Order, PoolingKind};

/// A tensor of a [`Function`]: its inputs come first, then the outputs of its operations.
pub type Value = usize;

/// Channels, mels and frames of one utterance's tensor.
pub type Size = [usize; 3];

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Convolution without bias.
    Conv(Conv2dConfig),
    /// Batch normalisation; with weight and bias or without.
    BatchNorm(bool),
    /// Rectifier.
    Relu,
    /// Sum of two tensors.
    Add,
    /// Half the sum of two tensors.
    Mean,
    /// Zeros on the right of mels and frames.
    Pad,
    /// Pooling over time.
    Pool(PoolingKind),
    /// Linear layer with bias.
    Linear,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The layer's name in the checkpoint, if it has parameters there; what it is, otherwise.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<Value>,
    /// What it makes.
    pub size: Size,
}

/// Operations from inputs to outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Function {
    /// Sizes of the inputs.
    pub inputs: Vec<Size>,
    /// In forward order.
    pub nodes: Vec<Node>,
    /// What leaves the function.
    pub outputs: Vec<Value>,
}

/// What a rearrangement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rearrangement {
    /// Streams laid out anew.
    Squeeze,
    /// One tensor as two; views.
    Split,
    /// Two tensors as one.
    Join,
}

impl Rearrangement {
    /// What undoes it.
    pub fn inverse(self) -> Self {
        match self {
            Self::Squeeze => Self::Squeeze,
            Self::Split => Self::Join,
            Self::Join => Self::Split,
        }
    }
}

/// A step of a body; see [`crate::backend::reversible::Step`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SketchStep {
    /// Additive coupling.
    Couple(Function, Function),
    /// A rearrangement.
    Rearrange(Rearrangement),
    /// Any function.
    Keep(Function),
}

/// A network: the body and what makes embeddings of pooled statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    /// Named steps. A network without reversible type is a single [`SketchStep::Keep`].
    pub steps: Vec<(String, SketchStep)>,
    /// The embedding layers.
    pub tail: Function,
}

impl Node {
    /// Trainable parameters, given the sizes of what it reads.
    pub fn parameters(&self, input: Size) -> usize {
        match &self.op {
            Op::Conv(conv) => conv.weight_shape().iter().product(),
            Op::BatchNorm(affine) => 2 * self.size[0] * usize::from(*affine),
            Op::Pool(kind) => kind.parameters(input[0] * input[1]),
            Op::Linear => (input[0] + 1) * self.size[0],
            _ => 0,
        }
    }

    /// Multiply-accumulate operations of one utterance.
    pub fn macs(&self, input: Size) -> usize {
        match &self.op {
            Op::Conv(conv) => {
                conv.weight_shape().iter().product::<usize>() * self.size[1] * self.size[2]
            }
            Op::Pool(kind) => kind.macs(input[0] * input[1], input[2]),
            Op::Linear => input[0] * self.size[0],
            _ => 0,
        }
    }
}

impl Function {
    /// A function of inputs of these sizes.
    pub fn of(inputs: &[Size]) -> Self {
        Self { inputs: inputs.to_vec(), ..Self::default() }
    }

    /// A tensor's size.
    pub fn size(&self, value: Value) -> Size {
        match value.checked_sub(self.inputs.len()) {
            None => self.inputs[value],
            Some(node) => self.nodes[node].size,
        }
    }

    /// Sizes of the outputs.
    pub fn output_sizes(&self) -> Vec<Size> {
        self.outputs.iter().map(|&v| self.size(v)).collect()
    }

    /// Values that an ordinary tape keeps for the backward pass: what convolutions, linear layers
    /// and normalisations read and what rectifiers make, each once.
    pub fn kept(&self) -> Vec<Value> {
        let mut kept = std::collections::BTreeSet::new();
        for (i, node) in self.nodes.iter().enumerate() {
            match node.op {
                Op::Conv(_) | Op::BatchNorm(_) | Op::Linear => kept.extend(&node.inputs),
                Op::Relu => _ = kept.insert(self.inputs.len() + i),
                _ => (),
            }
        }
        kept.into_iter().collect()
    }

    fn push(&mut self, name: impl Into<String>, op: Op, inputs: &[Value], size: Size) -> Value {
        self.nodes.push(Node { name: name.into(), op, inputs: inputs.to_vec(), size });
        self.inputs.len() + self.nodes.len() - 1
    }

    pub(super) fn conv(&mut self, name: &str, conv: Conv2dConfig, x: Value) -> Value {
        let [channels, mels, frames] = self.size(x);
        debug_assert_eq!(channels, conv.input, "{name}");
        let [mels, frames] = conv.output_size([mels, frames]);
        self.push(name, Op::Conv(conv), &[x], [conv.output, mels, frames])
    }

    pub(super) fn norm(&mut self, name: &str, x: Value) -> Value {
        self.push(name, Op::BatchNorm(true), &[x], self.size(x))
    }

    pub(super) fn relu(&mut self, x: Value) -> Value {
        self.push("relu", Op::Relu, &[x], self.size(x))
    }

    fn sum(&mut self, x: Value, y: Value) -> Value {
        self.push("sum", Op::Add, &[x, y], self.size(x))
    }

    pub(super) fn mean(&mut self, x: Value, y: Value) -> Value {
        self.push("mean", Op::Mean, &[x, y], self.size(x))
    }

    pub(super) fn pad(&mut self, x: Value, mels: usize, frames: usize) -> Value {
        let size = [self.size(x)[0], mels, frames];
        if size == self.size(x) { x } else { self.push("pad", Op::Pad, &[x], size) }
    }

    /// Convolution and BatchNorm, named as given.
    pub(super) fn conv_norm(
        &mut self,
        conv_name: &str,
        norm_name: &str,
        conv: Conv2dConfig,
        x: Value,
    ) -> Value {
        let y = self.conv(conv_name, conv, x);
        self.norm(norm_name, y)
    }

    /// A ResNet block of either kind (`widths` are the channels its convolutions make), with its
    /// shortcut.
    pub(super) fn residual_block(
        &mut self,
        name: &str,
        convs: &[Conv2dConfig],
        stride: [usize; 2],
        x: Value,
    ) -> Value {
        let (input, output) = (convs[0].input, convs[convs.len() - 1].output);
        let mut y = x;
        for (i, &conv) in convs.iter().enumerate() {
            y = if i > 0 { self.relu(y) } else { y };
            y = self.conv_norm(
                &format!("{name}.conv{}", i + 1),
                &format!("{name}.bn{}", i + 1),
                conv,
                y,
            );
        }
        let mut shortcut = x;
        if input != output || stride != [1, 1] {
            let conv = Conv2dConfig::new(input, output, 1).stride(stride);
            shortcut = self.conv_norm(
                &format!("{name}.shortcut.0"),
                &format!("{name}.shortcut.1"),
                conv,
                x,
            );
        }
        let y = self.sum(y, shortcut);
        self.relu(y)
    }

    /// DF-ResNet's block.
    pub(super) fn inverted_block(&mut self, name: &str, width: usize, x: Value) -> Value {
        let convs = BranchKind::Inverted.convolutions(width, InvertedBottleneck::EXPANSION * width);
        self.residual_block(name, &convs, [1, 1], x)
    }

    /// A reversible block's residual function.
    pub(super) fn branch(
        name: &str,
        kind: BranchKind,
        order: Order,
        width: usize,
        inner: usize,
        size: [usize; 2],
    ) -> Self {
        let mut f = Self::of(&[[width, size[0], size[1]]]);
        let mut x = 0;
        for (i, conv) in kind.convolutions(width, inner).into_iter().enumerate() {
            let (c, n) = (format!("{name}.convs.{i}"), format!("{name}.norms.{i}"));
            x = match order {
                Order::PreActivation => {
                    let y = f.norm(&n, x);
                    let y = f.relu(y);
                    f.conv(&c, conv, y)
                }
                Order::PostActivation => {
                    let y = if i > 0 { f.relu(x) } else { x };
                    f.conv_norm(&c, &n, conv, y)
                }
            };
        }
        f.outputs = vec![x];
        f
    }

    pub(super) fn pool(&mut self, kind: PoolingKind, name: &str, x: Value) -> Value {
        let [channels, mels, _] = self.size(x);
        self.push(name, Op::Pool(kind), &[x], [channels * mels * kind.statistics(), 1, 1])
    }

    /// Pooled statistics to embeddings.
    pub(super) fn tail(pooled: usize, dim: usize, two: bool) -> Self {
        let mut f = Self::of(&[[pooled, 1, 1]]);
        let mut x = f.push("seg_1", Op::Linear, &[0], [dim, 1, 1]);
        if two {
            x = f.relu(x);
            x = f.push("seg_bn_1", Op::BatchNorm(false), &[x], [dim, 1, 1]);
            x = f.push("seg_2", Op::Linear, &[x], [dim, 1, 1]);
        }
        f.outputs = vec![x];
        f
    }
}

impl Sketch {
    /// A network without reversible type.
    pub(super) fn plain(body: Function, dim: usize, two: bool) -> Self {
        let pooled = body.output_sizes()[0][0];
        Self {
            steps: vec![("body".into(), SketchStep::Keep(body))],
            tail: Function::tail(pooled, dim, two),
        }
    }

    /// Every function with the name of its step, in forward order.
    pub fn functions(&self) -> impl Iterator<Item = (&str, &Function)> {
        self.steps
            .iter()
            .flat_map(|(name, step)| {
                let functions: Vec<&Function> = match step {
                    SketchStep::Couple(f, g) => vec![f, g],
                    SketchStep::Rearrange(_) => vec![],
                    SketchStep::Keep(f) => vec![f],
                };
                functions.into_iter().map(move |f| (name.as_str(), f))
            })
            .chain([("embedding", &self.tail)])
    }
}
