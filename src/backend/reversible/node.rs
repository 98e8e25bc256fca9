//! The whole body as one node of the tape.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchKindConversion, DispatchTensor, backend_extension};
use burn::module::ParamId;
use burn::tensor::Tensor;

use super::body::{Reversible, Step};
use super::chain;
use super::deliver::{deliver, lend, lends};
use super::lift::Lift;
use super::values::{Freeze, Hollow};
use crate::backend::Mode;

/// A tensor on the tape.
type AutodiffTensor<B> = FloatTensor<Autodiff<B>>;

/// Operations that a backend needs for reversible bodies. The work is in the autodiff decorator:
/// without a tape nothing has to be recovered.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait ReversibleOps: Lift {
    /// The body's output for the input `x`, both `[batch, channels, mels, frames]`. `parameters`
    /// are those of the body's functions, function by function. Under autodiff the whole is one
    /// node, whose parents are `x` and the tracked parameters.
    fn reversible<M: Reversible>(
        x: FloatTensor<Self>,
        parameters: Vec<Vec<DispatchTensor>>,
        body: M,
        mode: Mode,
    ) -> FloatTensor<Self> {
        drop(parameters);
        lower::<Self>(chain::single(chain::forward(&body, vec![Self::lift(x)], mode, None)))
    }
}

#[cfg(feature = "flex")]
impl ReversibleOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl ReversibleOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl ReversibleOps for burn::backend::Cube {}

/// [`ReversibleOps::reversible`] of a high-level tensor.
pub(super) fn apply<M: Reversible>(body: &M, x: Tensor<4>, mode: Mode) -> Tensor<4> {
    let (x, parameters) = (x.into_dispatch(), chain::parameters(&body.steps()));
    let y = <Dispatch as ReversibleOps>::reversible(x, parameters, body.clone(), mode);
    Tensor::from_dispatch(y)
}

/// The backend's tensor.
fn lower<B: Lift>(x: Tensor<4>) -> FloatTensor<B> {
    B::lower(x.into_dispatch()).expect("all tensors of a body are on one backend")
}

impl<B: Lift, C: CheckpointStrategy> ReversibleOps for Autodiff<B, C>
where
    DispatchTensor: DispatchKindConversion<Self>,
{
    fn reversible<M: Reversible>(
        x: AutodiffTensor<B>,
        parameters: Vec<Vec<DispatchTensor>>,
        body: M,
        mode: Mode,
    ) -> AutodiffTensor<B> {
        let mut anchor: Option<AutodiffTensor<B>> = None;
        let mut nodes = Vec::new();
        for layer in parameters {
            let of = |p: DispatchTensor| {
                // A parameter that is not on the tape is a constant.
                let tensor = <Self as Lift>::lower(p).ok()?;
                let goal = tensor.is_tracked().then(|| Goal {
                    node: tensor.id(),
                    is_leaf: <Self as FloatTensorOps<Self>>::float_is_require_grad(&tensor),
                })?;
                anchor = Some(match anchor.take() {
                    None => tensor,
                    Some(others) => join::<B, C>(others, tensor),
                });
                Some(goal)
            };
            nodes.push(layer.into_iter().map(of).collect::<Vec<_>>());
        }
        let anchor = anchor.unwrap_or_else(|| AutodiffTensor::new(x.primitive().clone()));
        // The node must not hold tensors of this tape: they would keep it alive.
        let body = body.map(&mut Freeze(flags(&nodes).concat().iter()));
        let prepared = Recompute::<M>(PhantomData).prepare::<C>([x.node(), anchor.node()]);
        drop(anchor);
        let mut kept = Vec::new();
        let x = vec![B::lift(x.into_primitive())];
        match prepared.compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => {
                let y = chain::forward(&body, x, mode, None);
                prepared.finish(lower::<B>(chain::single(y).inner()))
            }
            OpsKind::Tracked(prepared) => {
                let y = chain::single(chain::forward(&body, x, mode, Some(&mut kept))).inner();
                let last_is_kept = matches!(body.steps().last(), Some(Step::Keep(_)));
                let output = (!last_is_kept).then(|| vec![y.clone()]);
                let y = lower::<B>(y);
                prepared.finish(State { body, mode, nodes, kept, output }, y)
            }
        }
    }
}

/// Where a tracked parameter's gradient goes.
#[derive(Debug, Clone, Copy)]
struct Goal {
    node: NodeId,
    /// Whether the parameter is a leaf of the tape, which is what an optimizer trains.
    is_leaf: bool,
}

/// Which parameters are leaves that occur once in the body: their gradients are complete when their
/// function is done.
fn whole(goals: &[Vec<Option<Goal>>]) -> Vec<Vec<bool>> {
    let mut uses = HashMap::<NodeId, usize>::new();
    for goal in goals.iter().flatten().flatten() {
        *uses.entry(goal.node).or_default() += 1;
    }
    let is_whole = |goal: &Option<Goal>| goal.is_some_and(|g| g.is_leaf && uses[&g.node] == 1);
    goals.iter().map(|goals| goals.iter().map(is_whole).collect()).collect()
}

/// Which parameters the sink in use, if there is one, lends.
fn given(ids: &[Vec<ParamId>], whole: &[Vec<bool>]) -> Vec<Vec<bool>> {
    let of = |(ids, whole): (&Vec<ParamId>, &Vec<bool>)| {
        ids.iter().zip(whole).map(|(&id, &whole)| whole && lends(id)).collect()
    };
    ids.iter().zip(whole).map(of).collect()
}

/// The values of the parameters of a function that are lent.
fn lent(ids: &[ParamId], given: &[bool]) -> Vec<Option<DispatchTensor>> {
    ids.iter().zip(given).map(|(&id, &given)| given.then(|| lend(id)).flatten()).collect()
}

fn flags(nodes: &[Vec<Option<Goal>>]) -> Vec<Vec<bool>> {
    nodes.iter().map(|layer| layer.iter().map(Option::is_some).collect()).collect()
}

/// A node behind both tensors, so that one parent can stand for any number of them. No gradient
/// passes through it: the node that uses it gives each tensor its gradient directly, and the order
/// of the tape guarantees that this happens before the tensors' own steps.
fn join<B: Backend, C: CheckpointStrategy>(
    a: AutodiffTensor<B>,
    b: AutodiffTensor<B>,
) -> AutodiffTensor<B> {
    #[derive(Debug)]
    struct Join;

    impl<B: Backend> Backward<B, 2> for Join {
        type State = ();

        fn backward(self, _: Ops<(), 2>, _: &mut Gradients, _: &mut Checkpointer) {}
    }

    let value = a.primitive().clone();
    Join.prepare::<C>([a.node(), b.node()]).compute_bound().stateless(value)
}

/// State for the backward pass.
#[derive(Clone)]
struct State<M> {
    body: M,
    mode: Mode,
    /// Where each tracked parameter's gradient goes.
    nodes: Vec<Vec<Option<Goal>>>,
    kept: Vec<Vec<Tensor<4>>>,
    output: Option<Vec<Tensor<4>>>,
}

impl<M> fmt::Debug for State<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("mode", &self.mode)
            .field("kept", &self.kept.len())
            .finish_non_exhaustive()
    }
}

/// The backward pass of a body of type M.
struct Recompute<M>(PhantomData<fn() -> M>);

impl<M> fmt::Debug for Recompute<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recompute")
    }
}

impl<B: Lift, M: Reversible> Backward<B, 2> for Recompute<M> {
    type State = State<M>;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = B::lift(gradients.consume::<B>(&ops.node));
        let [x, _] = ops.parents;
        let State { body, mode, nodes, kept, output } = ops.state;
        let ids = chain::ids(&body.steps());
        let whole = whole(&nodes);
        let given = given(&ids, &whole);
        let all = given.concat();
        let body = match all.contains(&true) {
            true => body.map(&mut Hollow::new(&all)),
            false => body,
        };
        let values = |layer: usize| lent(&ids[layer], &given[layer]);
        let held = chain::Held { kept, output, lent: &values };
        let mut sink = |layer: usize, parameter: usize, gradient: DispatchTensor| {
            let gradient = match whole[layer][parameter] {
                true => deliver(ids[layer][parameter], gradient),
                false => Some(gradient),
            };
            let Some(gradient) = gradient else { return };
            let goal = nodes[layer][parameter].expect("only tracked parameters are differentiated");
            let gradient = B::lower(gradient).expect("gradients are on the parameters' backend");
            gradients.register::<B>(goal.node, gradient);
        };
        let dx =
            chain::backward(&body, held, vec![dy], mode, x.is_some(), &flags(&nodes), &mut sink);
        if let (Some(x), Some(dx)) = (x, dx) {
            gradients.register::<B>(x.id, lower::<B>(chain::single(dx)));
        }
    }
}
