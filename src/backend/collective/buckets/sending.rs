//! Sums that begin while the backward pass goes on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::Buckets;
use crate::backend::collective::Communicator;
use crate::backend::reversible::Sink;

/// Takes the gradients of reversible bodies into buckets, and begins the sums of full ones. The
/// bodies give the order, and they are the same on all ranks.
///
/// A gradient must be the rank's own sum when it goes. So the sink belongs to the last pass of a
/// step, and adds what the earlier passes have found.
///
/// # Panics
/// In the middle of the pass, as all faults of operations: a device that fails. At the end of the
/// pass or before: a body's parameter that is used outside of it, too.
pub struct Sending {
    ranks: Arc<dyn Communicator>,
    buckets: Buckets,
    /// Gradients of earlier passes, each flat.
    before: HashMap<ParamId, Tensor<1>>,
    sent: HashSet<ParamId>,
}

const ONCE: &str = "a parameter of a reversible body is used once";

impl Sending {
    /// A sink that fills buckets. `before` are the gradients of the step's earlier passes.
    pub fn new<M: Module>(
        ranks: &Arc<dyn Communicator>,
        buckets: Buckets,
        before: GradientsParams,
        module: &M,
    ) -> Self {
        let mut flat = Flat { gradients: before, flat: HashMap::new() };
        if !flat.gradients.is_empty() {
            module.visit(&mut flat);
        }
        Self { ranks: ranks.clone(), buckets, before: flat.flat, sent: HashSet::new() }
    }

    /// The end of the last pass, with the gradients that it has left on the tape. It gives back the
    /// step's gradients that are not in buckets, and the buckets.
    pub fn end<M: Module>(
        self,
        gradients: GradientsParams,
        module: &M,
    ) -> (GradientsParams, Buckets) {
        let Self { buckets, before, sent, .. } = self;
        let mut join = Join { gradients, before, sent };
        module.visit(&mut join);
        (join.gradients, buckets)
    }
}

impl Sink for Sending {
    fn lend(&mut self, _: ParamId) -> Option<DispatchTensor> {
        None
    }

    fn deliver(&mut self, id: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor> {
        assert!(self.sent.insert(id), "{ONCE}");
        // Nothing depends on the type's number of axes before the gradient is flat.
        let gradient = Tensor::<1>::from_dispatch(gradient);
        let shape = gradient.shape();
        let flat = gradient.reshape([shape.num_elements()]);
        let sum = match self.before.remove(&id) {
            Some(before) => before.add(flat),
            None => flat,
        };
        let added = self.buckets.add(&*self.ranks, id, shape, sum);
        added.unwrap_or_else(|words| panic!("{words}"));
        None
    }
}

/// Makes gradients flat.
struct Flat {
    gradients: GradientsParams,
    flat: HashMap<ParamId, Tensor<1>>,
}

impl ModuleVisitor for Flat {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let count = gradient.shape().num_elements();
            self.flat.insert(param.id, gradient.reshape([count]));
        }
    }
}

/// Adds the gradients of earlier passes to those of the last one that were not sent.
struct Join {
    gradients: GradientsParams,
    before: HashMap<ParamId, Tensor<1>>,
    sent: HashSet<ParamId>,
}

impl ModuleVisitor for Join {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let last = self.gradients.remove::<D>(param.id);
        assert!(last.is_none() || !self.sent.contains(&param.id), "{ONCE}");
        let before = self.before.remove(&param.id).map(|flat| flat.reshape::<D, _>(param.dims()));
        let sum = match (before, last) {
            (Some(before), Some(last)) => before.add(last),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return,
        };
        self.gradients.register(param.id, sum);
    }
}
