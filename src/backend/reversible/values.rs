//! What happens to the parameters of a function when it runs on a tape of its own.

use std::iter::Enumerate;
use std::slice::Iter;
use std::vec::IntoIter;

use burn::backend::DispatchTensor;
use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

/// Makes tracked parameters leaves of a new tape. Buffers must stay what they are: a running
/// statistic is one cell shared by all copies of a module.
pub(super) struct Thaw<'a> {
    /// Which parameters.
    pub tracked: Iter<'a, bool>,
    /// Values in the place of the parameters' own.
    pub values: IntoIter<Option<DispatchTensor>>,
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

/// Puts values in the place of parameters.
pub(super) struct Fill(pub IntoIter<Option<DispatchTensor>>);

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.next().flatten() {
            Some(value) => param.map(|_| Tensor::from_dispatch(value)),
            None => param,
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
pub(super) struct Harvest<'a> {
    /// Those of a tape.
    pub gradients: Gradients,
    /// Which parameters.
    pub tracked: Enumerate<Iter<'a, bool>>,
    /// Those that were found, with the numbers of their parameters.
    pub ripe: Vec<(usize, DispatchTensor)>,
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
