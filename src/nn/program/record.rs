//! The interpreter that writes the program down.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use burn::backend::DispatchTensor;
use burn::module::Module;
use burn::tensor::Tensor;

use crate::backend::reversible::Execution;
use crate::nn::graph::Value;
use crate::nn::{
    BatchNorm, Body, Combine, Conv1d, Conv2d, Exec, LayerNorm, Linear, Map, Mix, Net, Run, Stage,
    Statistics,
};

/// A layer of any kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has some hundreds of them")]
pub(super) enum Layer {
    Conv2d(Conv2d),
    Conv1d(Conv1d),
    Norm(BatchNorm),
    LayerNorm(LayerNorm),
    Mix(Mix),
    Linear(Linear),
}

/// The layer of a kind.
macro_rules! the {
    ($kind:ident, $layer:expr) => {
        match $layer {
            Some(Layer::$kind(layer)) => layer,
            _ => unreachable!("operations are recorded with their layers"),
        }
    };
}

/// What computes a value of others, with the layer if there is one.
type Compute =
    dyn Fn(&mut Run, Option<&Layer>, Vec<DispatchTensor>) -> DispatchTensor + Send + Sync;

/// [`Compute`], shared.
#[derive(Clone)]
pub(super) struct Code(Arc<Compute>);

impl Code {
    /// The value.
    pub fn run(
        &self,
        run: &mut Run,
        layer: Option<&Layer>,
        given: Vec<DispatchTensor>,
    ) -> DispatchTensor {
        (self.0)(run, layer, given)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// An operation.
#[derive(Debug)]
pub(super) struct Line {
    pub inputs: Vec<Value>,
    pub output: Value,
    /// Axes of the output.
    pub axes: usize,
    pub layer: Option<Layer>,
    pub code: Code,
}

/// Records operations with their layers.
pub(super) struct Record {
    lines: Vec<Line>,
    /// Values so far, those included that only [`Trace`](crate::nn::Trace) makes.
    values: usize,
}

impl Record {
    /// The lines of a network in forward order, and its embedding.
    pub fn of<N: Net>(network: &N) -> (Vec<Line>, Value) {
        let mut record = Self { lines: Vec::new(), values: 0 };
        let output = network.forward(&mut record, Value(0));
        (record.lines, output)
    }

    /// A line whose inputs are forgotten types.
    fn push<const O: usize>(
        &mut self,
        layer: Option<Layer>,
        inputs: Vec<Value>,
        code: impl Fn(&mut Run, Option<&Layer>, Vec<DispatchTensor>) -> Tensor<O>
        + Send
        + Sync
        + 'static,
    ) -> Value {
        self.values += 1;
        let output = Value(self.values);
        let code = Code(Arc::new(
            move |run: &mut Run, layer: Option<&Layer>, given: Vec<DispatchTensor>| {
                code(run, layer, given).into_dispatch()
            },
        ));
        self.lines.push(Line { inputs, output, axes: O, layer, code });
        output
    }

    /// An operation on one value.
    fn one<const D: usize, const O: usize, F>(
        &mut self,
        layer: Option<Layer>,
        x: Value,
        code: F,
    ) -> Value
    where
        F: Fn(&mut Run, Option<&Layer>, Tensor<D>) -> Tensor<O> + Send + Sync + 'static,
    {
        self.all(layer, vec![x], move |run, layer, mut given: Vec<Tensor<D>>| {
            code(run, layer, given.remove(0))
        })
    }

    /// An operation on two values.
    fn two<const D: usize, const O: usize, F>(
        &mut self,
        layer: Option<Layer>,
        inputs: [Value; 2],
        code: F,
    ) -> Value
    where
        F: Fn(&mut Run, Option<&Layer>, [Tensor<D>; 2]) -> Tensor<O> + Send + Sync + 'static,
    {
        self.all(layer, inputs.to_vec(), move |run, layer, mut given: Vec<Tensor<D>>| {
            let x = given.remove(0);
            code(run, layer, [x, given.remove(0)])
        })
    }

    /// An operation on any number of values.
    fn all<const D: usize, const O: usize, F>(
        &mut self,
        layer: Option<Layer>,
        inputs: Vec<Value>,
        code: F,
    ) -> Value
    where
        F: Fn(&mut Run, Option<&Layer>, Vec<Tensor<D>>) -> Tensor<O> + Send + Sync + 'static,
    {
        self.push(layer, inputs, move |run, layer, given| {
            code(run, layer, given.into_iter().map(Tensor::from_dispatch).collect())
        })
    }
}

impl Exec for Record {
    type Value<const D: usize> = Value;

    fn stage(&mut self, _: Stage) {}

    fn conv2d(&mut self, layer: &Conv2d, x: Value) -> Value {
        self.one(Some(Layer::Conv2d(layer.clone())), x, |run, layer, x: Tensor<4>| {
            run.conv2d(the!(Conv2d, layer), x)
        })
    }

    fn conv1d(&mut self, layer: &Conv1d, x: Value) -> Value {
        self.one(Some(Layer::Conv1d(layer.clone())), x, |run, layer, x: Tensor<3>| {
            run.conv1d(the!(Conv1d, layer), x)
        })
    }

    fn norm<const D: usize>(&mut self, layer: &BatchNorm, x: Value, relu: bool) -> Value {
        self.one(Some(Layer::Norm(layer.clone())), x, move |run, layer, x: Tensor<D>| {
            run.norm::<D>(the!(Norm, layer), x, relu)
        })
    }

    fn norm_add_relu<const D: usize>(
        &mut self,
        layer: &BatchNorm,
        x: Value,
        other: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        // The graph has three operations: what is normalised, the sum, and its ReLU.
        self.values += 1;
        let other = other(self);
        self.values += 1;
        let layer = Some(Layer::Norm(layer.clone()));
        self.two(layer, [x, other], |run, layer, [x, other]: [Tensor<D>; 2]| {
            run.norm_add_relu::<D>(the!(Norm, layer), x, |_| other)
        })
    }

    fn layer_norm<const D: usize>(&mut self, layer: &LayerNorm, x: Value) -> Value {
        self.one(Some(Layer::LayerNorm(layer.clone())), x, |run, layer, x: Tensor<D>| {
            run.layer_norm::<D>(the!(LayerNorm, layer), x)
        })
    }

    fn map<const D: usize>(&mut self, f: Map, x: Value) -> Value {
        self.one(None, x, move |run, _, x: Tensor<D>| run.map::<D>(f, x))
    }

    fn combine<const D: usize>(&mut self, f: Combine, x: Value, y: Value) -> Value {
        self.two(None, [x, y], move |run, _, [x, y]: [Tensor<D>; 2]| run.combine::<D>(f, x, y))
    }

    fn concat<const D: usize>(&mut self, all: Vec<Value>, axis: usize) -> Value {
        self.all(None, all, move |run, _, all: Vec<Tensor<D>>| run.concat::<D>(all, axis))
    }

    fn channels<const D: usize>(&mut self, x: &Value, range: Range<usize>) -> Value {
        self.one(None, *x, move |run, _, x: Tensor<D>| run.channels::<D>(&x, range.clone()))
    }

    fn mean<const D: usize>(&mut self, x: &Value, axes: &[usize]) -> Value {
        let axes = axes.to_vec();
        self.one(None, *x, move |run, _, x: Tensor<D>| run.mean::<D>(&x, &axes))
    }

    fn swap(&mut self, x: Value) -> Value {
        self.one(None, x, |run, _, x: Tensor<4>| run.swap(x))
    }

    fn segments(&mut self, x: &Value, frames: usize) -> Value {
        self.one(None, *x, move |run, _, x: Tensor<3>| run.segments(&x, frames))
    }

    fn spread(&mut self, x: Value, like: &Value) -> Value {
        self.two(None, [x, *like], |run, _, [x, like]: [Tensor<3>; 2]| run.spread(x, &like))
    }

    fn attend(&mut self, heads: usize, q: Value, k: Value, v: Value) -> Value {
        // The graph has three operations: logits, softmax, and the weighted sum.
        self.values += 2;
        self.push(None, vec![q, k, v], move |run, _, given| {
            let mut given = given.into_iter().map(Tensor::<3>::from_dispatch);
            let mut next = || given.next().expect("queries, keys and values");
            let (q, k, v) = (next(), next(), next());
            run.attend(heads, q, k, v)
        })
    }

    fn mix(&mut self, layer: &Mix, all: Vec<Value>) -> Value {
        self.all(Some(Layer::Mix(layer.clone())), all, |run, layer, all: Vec<Tensor<3>>| {
            run.mix(the!(Mix, layer), all)
        })
    }

    fn simam(&mut self, x: Value) -> Value {
        self.one(None, x, |run, _, x: Tensor<4>| run.simam(x))
    }

    fn trim(&mut self, x: Value, multiple: usize) -> Value {
        self.one(None, x, move |run, _, x: Tensor<4>| run.trim(x, multiple))
    }

    fn repeat(&mut self, x: Value, times: usize) -> Value {
        self.one(None, x, move |run, _, x: Tensor<3>| run.repeat(x, times))
    }

    fn copy(&mut self, x: &Value) -> Value {
        self.one(None, *x, |run, _, x: Tensor<4>| run.copy(&x))
    }

    fn pad(&mut self, x: Value, multiples: [usize; 2]) -> Value {
        self.one(None, x, move |run, _, x: Tensor<4>| run.pad(x, multiples))
    }

    fn reshape<const D: usize, const O: usize>(&mut self, x: Value, shape: [i32; O]) -> Value {
        self.one(None, x, move |run, _, x: Tensor<D>| run.reshape::<D, O>(x, shape))
    }

    fn pool(&mut self, kind: Statistics, x: Value, attention: Option<Value>) -> Value {
        let inputs = std::iter::once(x).chain(attention).collect();
        self.all(None, inputs, move |run, _, given: Vec<Tensor<3>>| {
            let mut given = given.into_iter();
            let x = given.next().expect("what is pooled");
            run.pool(kind, x, given.next())
        })
    }

    fn linear<const D: usize>(&mut self, layer: &Linear, x: Value) -> Value {
        self.one(Some(Layer::Linear(layer.clone())), x, |run, layer, x: Tensor<D>| {
            run.linear::<D>(the!(Linear, layer), x)
        })
    }

    fn body<B: Body>(&mut self, _: &B, _: Value, _: Execution) -> Value {
        panic!("a reversible body has an execution of its own")
    }
}
