//! A differentiable function with parameters of its own, and its gradients by a private tape.

use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor};

use super::entrance::Entrance;
use super::piece::Pieces;
use super::seed::seed;
use super::values::{Fill, Harvest, Thaw};
use crate::backend::{Mode, is_gpu};

/// One or more tensors `[batch, channels, mels, frames]` that travel together.
pub type Streams = Vec<Tensor<4>>;

/// A function from streams to streams. Apart from batch statistics (see [`Mode`]) it depends on its
/// inputs and parameters only: running it again gives the same outputs.
pub trait Layer: Module + 'static {
    /// Applies the function. Each stream is `[batch, channels, mels, frames]`.
    fn forward(&self, x: Streams, mode: Mode) -> Streams;

    /// The same function in pieces, if it is better differentiated piece by piece: each runs the
    /// same operations on the same parameters (clones of them), and their gradients have the same
    /// bits.
    fn pieces(&self) -> Option<Pieces> {
        None
    }

    /// A scalar on the tape whose derivative by the outputs is `dy`; none if nothing is tracked.
    /// Nobody wants the outputs, so a layer need not make those that no gradient needs.
    fn seeded(&self, x: Streams, dy: Streams, mode: Mode) -> Option<Tensor<1>> {
        seeds(Layer::forward(self, x, mode), dy)
    }
}

/// [`Layer::seeded`] of outputs that were made.
pub(crate) fn seeds(y: Streams, dy: Streams) -> Option<Tensor<1>> {
    let roots = y.into_iter().zip(dy).filter(|(y, _)| y.is_tracked()).map(|(y, dy)| seed(y, dy));
    roots.reduce(|a, b| a + b)
}

/// A [`Layer`] whose type is forgotten; every layer is one. Parameters are numbered in the order in
/// which the module is traversed.
pub trait AnyLayer {
    /// [`Layer::forward`].
    fn forward(&self, x: Streams, mode: Mode) -> Streams;

    /// [`AnyLayer::forward`] with values without a tape in the place of the layer's own, by the
    /// numbers of parameters. An empty list has none.
    fn forward_with(&self, values: Vec<Option<DispatchTensor>>, x: Streams, mode: Mode) -> Streams;

    /// Parameters and buffers, as they are stored.
    fn parameters(&self) -> Vec<DispatchTensor>;

    /// The ids of [`AnyLayer::parameters`].
    fn ids(&self) -> Vec<ParamId>;

    /// Runs the function again and differentiates it: the gradients of the inputs, if they are
    /// wanted. The tape lives in this call only.
    ///
    /// `outputs` receives the outputs before the backward pass, so their memory can be used again.
    /// `gradients` receives the gradients of tracked parameters with their numbers, when nothing
    /// here holds the parameters any more.
    fn pull(
        &self,
        again: Again,
        outputs: &mut dyn FnMut(Streams),
        gradients: &mut dyn FnMut(usize, DispatchTensor),
    ) -> Option<Streams>;

    /// [`AnyLayer::pull`] of inputs that are given away, of the layer as a whole: each is held for
    /// as long as an operation needs it, and an operation may write into its place unless someone
    /// else holds it. Without `outputs` nobody wants these; see [`Layer::seeded`].
    fn pull_given(
        &self,
        again: Again,
        outputs: Option<&mut dyn FnMut(Streams)>,
        gradients: &mut dyn FnMut(usize, DispatchTensor),
    ) -> Option<Streams>;
}

/// A pass to repeat and differentiate.
pub struct Again<'a> {
    /// The inputs.
    pub x: Streams,
    /// The gradient of each output.
    pub dy: Streams,
    /// The mode of the first pass.
    pub mode: Mode,
    /// Whether the inputs' gradients are wanted.
    pub inputs: bool,
    /// Which parameters' gradients are wanted.
    pub tracked: &'a [bool],
    /// Values without a tape in the place of the layer's own, by the numbers of parameters. An
    /// empty list has none.
    pub values: Vec<Option<DispatchTensor>>,
}

impl<L: Layer> AnyLayer for L {
    fn forward(&self, x: Streams, mode: Mode) -> Streams {
        Layer::forward(self, x, mode)
    }

    fn forward_with(&self, values: Vec<Option<DispatchTensor>>, x: Streams, mode: Mode) -> Streams {
        match values.iter().any(Option::is_some) {
            true => Layer::forward(&self.clone().map(&mut Fill(values.into_iter())), x, mode),
            false => Layer::forward(self, x, mode),
        }
    }

    fn parameters(&self) -> Vec<DispatchTensor> {
        struct Collect(Vec<DispatchTensor>);
        impl ModuleVisitor for Collect {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.push(param.base().into_dispatch());
            }
        }
        let mut collect = Collect(Vec::new());
        self.visit(&mut collect);
        collect.0
    }

    fn ids(&self) -> Vec<ParamId> {
        struct Collect(Vec<ParamId>);
        impl ModuleVisitor for Collect {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.push(param.id);
            }
        }
        let mut collect = Collect(Vec::new());
        self.visit(&mut collect);
        collect.0
    }

    fn pull(
        &self,
        again: Again,
        outputs: &mut dyn FnMut(Streams),
        gradients: &mut dyn FnMut(usize, DispatchTensor),
    ) -> Option<Streams> {
        match self.pieces() {
            Some(pieces) => pieces.pull(again, &self.ids(), outputs, gradients),
            None => differentiate(self, again, false, Some(outputs), gradients),
        }
    }

    fn pull_given(
        &self,
        again: Again,
        outputs: Option<&mut dyn FnMut(Streams)>,
        gradients: &mut dyn FnMut(usize, DispatchTensor),
    ) -> Option<Streams> {
        differentiate(self, again, true, outputs, gradients)
    }
}

/// [`AnyLayer::pull`] of a layer as a whole. With `given` the inputs are freed early.
fn differentiate<L: Layer>(
    layer: &L,
    again: Again,
    given: bool,
    outputs: Option<&mut dyn FnMut(Streams)>,
    gradients: &mut dyn FnMut(usize, DispatchTensor),
) -> Option<Streams> {
    let Again { x, dy, mode, inputs, tracked, values } = again;
    let device = x.first().map(Tensor::device);
    let mut thaw = Thaw { tracked: tracked.iter(), values: values.into_iter() };
    let layer = layer.clone().map(&mut thaw);
    let enter = |x: Tensor<4>| match given && inputs {
        true => Entrance::given(x),
        false => Entrance::leaf(x, inputs),
    };
    let (x, entrances): (Streams, Vec<Entrance>) = x.into_iter().map(enter).unzip();
    let root = match outputs {
        None => layer.seeded(x, dy, mode.again()),
        Some(outputs) => {
            let y = layer.forward(x, mode.again());
            let made: Streams = y.iter().map(|y| y.clone().inner()).collect();
            let root = seeds(y, dy);
            outputs(made);
            root
        }
    };
    in_order(device.as_ref());
    let mut found = root.map(|root| root.backward());
    let dx = inputs
        .then(|| entrances.into_iter().map(|entrance| entrance.gradient(found.as_mut())).collect());
    if let Some(found) = found {
        let tracked = tracked.iter().enumerate();
        let mut harvest = Harvest { gradients: found, tracked, ripe: Vec::new() };
        layer.visit(&mut harvest);
        let Harvest { ripe, .. } = harvest;
        drop(layer);
        ripe.into_iter().for_each(|(number, gradient)| gradients(number, gradient));
    }
    in_order(device.as_ref());
    dx
}

/// Makes the device's queue hold everything so far. Fusion may put operations that do not depend on
/// each other in another order: a forward pass before the backward pass in front of it, with the
/// activations of both in memory. This waits for no result.
///
/// # Panics
/// If the device failed.
pub(crate) fn in_order(device: Option<&Device>) {
    if let Some(device) = device.filter(|device| is_gpu(device)) {
        device.flush().unwrap_or_else(|e| panic!("{e}"));
    }
}
