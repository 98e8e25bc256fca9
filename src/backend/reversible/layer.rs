//! A differentiable function with parameters of its own, and its gradients by a private tape.

use std::slice::Iter;
use std::vec::IntoIter;

use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor};

use super::seed::seed;
use crate::backend::{Mode, is_gpu};

/// One or more tensors `[batch, channels, mels, frames]` that travel together.
pub type Streams = Vec<Tensor<4>>;

/// A function from streams to streams. Apart from batch statistics (see [`Mode`]) it depends on its
/// inputs and parameters only: running it again gives the same outputs.
pub trait Layer: Module + 'static {
    /// Applies the function. Each stream is `[batch, channels, mels, frames]`.
    fn forward(&self, x: Streams, mode: Mode) -> Streams;
}

/// A [`Layer`] whose type is forgotten; every layer is one. Parameters are numbered in the order in
/// which the module is traversed.
pub trait AnyLayer {
    /// [`Layer::forward`].
    fn forward(&self, x: Streams, mode: Mode) -> Streams;

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
        let Again { x, dy, mode, inputs, tracked, values } = again;
        let device = x.first().map(Tensor::device);
        let mut thaw = Thaw { tracked: tracked.iter(), values: values.into_iter() };
        let layer = self.clone().map(&mut thaw);
        let leaf = |x: Tensor<4>| if inputs { x.autodiff().require_grad() } else { x.autodiff() };
        let x: Streams = x.into_iter().map(leaf).collect();
        let y = layer.forward(x.clone(), mode.again());
        let values: Streams = y.iter().map(|y| y.clone().inner()).collect();
        let roots =
            y.into_iter().zip(dy).filter(|(y, _)| y.is_tracked()).map(|(y, dy)| seed(y, dy));
        let root = roots.reduce(|a, b| a + b);
        outputs(values);
        in_order(device.as_ref());
        let mut found = root.map(|root| root.backward());
        let dx = inputs.then(|| {
            let gradient = |x: &Tensor<4>| {
                let gradient = found.as_mut().and_then(|found| x.grad_remove(found));
                gradient.unwrap_or_else(|| x.clone().inner().zeros_like())
            };
            x.iter().map(gradient).collect()
        });
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

/// Makes tracked parameters leaves of a new tape. Buffers must stay what they are: a running
/// statistic is one cell shared by all copies of a module.
struct Thaw<'a> {
    tracked: Iter<'a, bool>,
    /// Values in the place of the parameters' own.
    values: IntoIter<Option<DispatchTensor>>,
}

impl ModuleMapper for Thaw<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = self.values.next().flatten();
        match self.tracked.next() {
            Some(true) => param.map(|own| {
                let value = value.map_or_else(|| own.inner(), Tensor::from_dispatch);
                value.autodiff().require_grad()
            }),
            _ => param,
        }
    }
}

/// Replaces parameters by a tensor of one value: others have theirs.
pub(super) struct Hollow<'a> {
    /// Which parameters.
    given: Iter<'a, bool>,
    /// The memory of that value.
    one: Option<Tensor<1>>,
}

impl<'a> Hollow<'a> {
    pub fn new(given: &'a [bool]) -> Self {
        Self { given: given.iter(), one: None }
    }
}

impl ModuleMapper for Hollow<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(true) = self.given.next() else { return param };
        param.map(|own| {
            let one = self.one.get_or_insert_with(|| Tensor::zeros([1], &own.device()));
            one.clone().reshape([1; D])
        })
    }
}

/// Takes tracked parameters off their tape: same values, no gradient.
pub(super) struct Freeze<'a>(pub Iter<'a, bool>);

impl ModuleMapper for Freeze<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.next() {
            Some(true) => param.map(Tensor::inner),
            _ => param,
        }
    }
}

/// Collects the gradients of tracked parameters.
struct Harvest<'a> {
    gradients: burn::tensor::Gradients,
    tracked: std::iter::Enumerate<Iter<'a, bool>>,
    /// Those that were found, with the numbers of their parameters.
    ripe: Vec<(usize, DispatchTensor)>,
}

impl ModuleVisitor for Harvest<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some((index, true)) = self.tracked.next() else { return };
        // A parameter that the function did not use has none.
        if let Some(gradient) = param.base().grad_remove(&mut self.gradients) {
            self.ripe.push((index, gradient.into_dispatch()));
        }
    }
}
