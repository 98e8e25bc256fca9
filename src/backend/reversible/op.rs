//! The node on the tape: [`ReversibleOps`] over `Backend`, with its gradient.

use std::fmt;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, binary, unary};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Backend, BackendTensor, Dispatch, DispatchKindConversion, DispatchTensor, TensorMetadata,
    backend_extension,
};
use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use super::cpu;
use super::{Mode, Reversible, chain};
use crate::backend::layer::Freeze;

/// A tensor on the tape.
type AutodiffTensor<B> = FloatTensor<Autodiff<B>>;

/// What a backend must offer for reversible bodies. Every backend of ours does; the work is in the
/// autodiff decorator.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub trait ReversibleOps: Backend {
    /// The body's output for the input `x`. `parameters` are those of the body's functions,
    /// function by function. Under autodiff the whole is one node whose parents are `x` and the
    /// tracked parameters.
    fn reversible<M: Reversible>(
        x: FloatTensor<Self>,
        parameters: Vec<Vec<DispatchTensor>>,
        body: M,
        mode: Mode,
    ) -> FloatTensor<Self>;

    /// A scalar whose derivative by `y` is `dy`, without the multiplication and sum of `(y *
    /// dy).sum()`. Its value is 0.
    fn seed(y: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The nearest multiples of `2^-bits`, ties to even. Gradients pass unchanged.
    fn snap(x: FloatTensor<Self>, bits: i32) -> FloatTensor<Self>;

    /// `x` plus the nearest multiples of `2^-bits` to `change`, of the same shape; `back` subtracts
    /// them.
    fn shift(
        x: FloatTensor<Self>,
        change: FloatTensor<Self>,
        bits: i32,
        back: bool,
    ) -> FloatTensor<Self>;
}

/// [`ReversibleOps::reversible`] of whatever backend `x` is on.
pub(super) fn apply<M: Reversible>(
    x: DispatchTensor,
    parameters: Vec<Vec<DispatchTensor>>,
    body: M,
    mode: Mode,
) -> DispatchTensor {
    <Dispatch as ReversibleOps>::reversible(x, parameters, body, mode)
}

/// [`ReversibleOps::seed`] of high-level tensors.
pub(in crate::backend) fn seed(y: Tensor<4>, dy: Tensor<4>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as ReversibleOps>::seed(y.into_dispatch(), dy.into_dispatch()))
}

/// [`ReversibleOps::snap`] of a high-level tensor.
pub(super) fn snap(x: Tensor<4>, bits: i32) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as ReversibleOps>::snap(x.into_dispatch(), bits))
}

/// [`ReversibleOps::shift`] of high-level tensors.
pub(super) fn shift(x: Tensor<4>, change: Tensor<4>, bits: i32, back: bool) -> Tensor<4> {
    let (x, change) = (x.into_dispatch(), change.into_dispatch());
    Tensor::from_dispatch(<Dispatch as ReversibleOps>::shift(x, change, bits, back))
}

/// [`ReversibleOps::snap`] by three ordinary operations.
pub(super) fn snap_plain<B: Backend>(x: FloatTensor<B>, bits: i32) -> FloatTensor<B> {
    let x = B::float_round(B::float_mul_scalar(x, 2f64.powi(bits).into()));
    B::float_mul_scalar(x, 2f64.powi(-bits).into())
}

/// [`ReversibleOps::shift`] by ordinary operations.
pub(super) fn shift_plain<B: Backend>(
    x: FloatTensor<B>,
    change: FloatTensor<B>,
    bits: i32,
    back: bool,
) -> FloatTensor<B> {
    let change = snap_plain::<B>(change, bits);
    if back { B::float_sub(x, change) } else { B::float_add(x, change) }
}

fn zero<B: Backend>(like: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_zeros([1].into(), &like.device(), like.dtype().into())
}

fn lift<B: Backend>(x: FloatTensor<B>) -> Tensor<4>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    Tensor::from_dispatch(DispatchTensor::from_backend(BackendTensor::Float(x)))
}

fn lower<B: Backend>(x: DispatchTensor) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    DispatchTensor::try_into_backend(x).expect("all tensors of a body are on one backend").float()
}

/// Without autodiff there is nothing to record.
macro_rules! without_autodiff {
    ($backend:ident, $snap:path, $shift:path, $cfg:meta) => {
        #[$cfg]
        impl ReversibleOps for burn::backend::$backend {
            fn reversible<M: Reversible>(
                x: FloatTensor<Self>,
                _parameters: Vec<Vec<DispatchTensor>>,
                body: M,
                mode: Mode,
            ) -> FloatTensor<Self> {
                let y = chain::single(chain::forward(&body, vec![lift::<Self>(x)], mode, None));
                lower::<Self>(y.into_dispatch())
            }

            fn seed(y: FloatTensor<Self>, _dy: FloatTensor<Self>) -> FloatTensor<Self> {
                zero::<Self>(&y)
            }

            fn snap(x: FloatTensor<Self>, bits: i32) -> FloatTensor<Self> {
                $snap(x, bits)
            }

            fn shift(
                x: FloatTensor<Self>,
                change: FloatTensor<Self>,
                bits: i32,
                back: bool,
            ) -> FloatTensor<Self> {
                $shift(x, change, bits, back)
            }
        }
    };
}
without_autodiff!(Flex, cpu::snap, cpu::shift, cfg(feature = "flex"));
without_autodiff!(NdArray, snap_plain::<Self>, shift_plain::<Self>, cfg(feature = "ndarray"));
without_autodiff!(Cube, snap_plain::<Self>, shift_plain::<Self>, cfg(feature = "cube"));

impl<B: Backend, C: CheckpointStrategy> ReversibleOps for Autodiff<B, C>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Self>,
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
                let tensor = <DispatchTensor as DispatchKindConversion<Self>>::try_into_backend(p)
                    .ok()?
                    .float();
                let id = tensor.is_tracked().then(|| tensor.id())?;
                anchor = Some(match anchor.take() {
                    None => tensor,
                    Some(others) => join::<B, C>(others, tensor),
                });
                Some(id)
            };
            nodes.push(layer.into_iter().map(of).collect::<Vec<_>>());
        }
        let anchor = anchor.unwrap_or_else(|| AutodiffTensor::new(x.primitive().clone()));
        // The node must not hold tensors of this tape: they would keep it alive.
        let body = body.map(&mut Freeze(flags(&nodes).concat().iter()));
        let prepared =
            Recompute::<M>(std::marker::PhantomData).prepare::<C>([x.node(), anchor.node()]);
        drop(anchor);
        let mut kept = Vec::new();
        let x = vec![lift::<B>(x.into_primitive())];
        match prepared.compute_bound().stateful() {
            OpsKind::UnTracked(prepared) => {
                let y = chain::forward(&body, x, mode, None);
                prepared.finish(lower::<B>(chain::single(y).inner().into_dispatch()))
            }
            OpsKind::Tracked(prepared) => {
                let y = chain::single(chain::forward(&body, x, mode, Some(&mut kept))).inner();
                let last_is_kept = matches!(body.steps().last(), Some(super::Step::Keep(_)));
                let output = (!last_is_kept).then(|| vec![y.clone()]);
                let y = lower::<B>(y.into_dispatch());
                prepared.finish(State { body, mode, nodes, kept, output }, y)
            }
        }
    }

    fn seed(y: AutodiffTensor<B>, dy: AutodiffTensor<B>) -> AutodiffTensor<B> {
        #[derive(Debug)]
        struct Seed;

        impl<B: Backend> Backward<B, 1> for Seed {
            type State = FloatTensor<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                gradients.consume::<B>(&ops.node);
                let [y] = ops.parents;
                if let Some(y) = y {
                    gradients.register::<B>(y.id, ops.state);
                }
            }
        }

        let zero = zero::<B>(y.primitive());
        match Seed.prepare::<C>([y.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(dy.into_primitive(), zero),
            OpsKind::UnTracked(prepared) => prepared.finish(zero),
        }
    }

    fn snap(x: AutodiffTensor<B>, bits: i32) -> AutodiffTensor<B> {
        #[derive(Debug)]
        struct Snap;

        impl<B: Backend> Backward<B, 1> for Snap {
            type State = ();

            fn backward(self, ops: Ops<(), 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
                unary::<B, _>(ops.parents, ops.node, gradients, |dy| dy);
            }
        }

        let prepared = Snap.prepare::<C>([x.node()]);
        prepared
            .compute_bound()
            .stateless(lower::<B>(snap(lift::<B>(x.into_primitive()), bits).into_dispatch()))
    }

    fn shift(
        x: AutodiffTensor<B>,
        change: AutodiffTensor<B>,
        bits: i32,
        back: bool,
    ) -> AutodiffTensor<B> {
        #[derive(Debug)]
        struct Shift;

        impl<B: Backend> Backward<B, 2> for Shift {
            /// Whether the change was subtracted.
            type State = bool;

            fn backward(self, ops: Ops<bool, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let (parents, node, back) = (ops.parents, ops.node, ops.state);
                let change = |dy| if back { B::float_neg(dy) } else { dy };
                binary::<B, _, _>(parents, node, gradients, |dy| dy, change);
            }
        }

        let prepared = Shift.prepare::<C>([x.node(), change.node()]);
        let [x, change] = [x, change].map(|t| lift::<B>(t.into_primitive()));
        let y = lower::<B>(shift(x, change, bits, back).into_dispatch());
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(back, y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}

fn flags(nodes: &[Vec<Option<NodeId>>]) -> Vec<Vec<bool>> {
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

/// What the backward pass needs.
#[derive(Clone)]
struct State<M> {
    body: M,
    mode: Mode,
    /// Where each tracked parameter's gradient goes.
    nodes: Vec<Vec<Option<NodeId>>>,
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

struct Recompute<M>(std::marker::PhantomData<fn() -> M>);

impl<M> fmt::Debug for Recompute<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recompute")
    }
}

impl<B: Backend, M: Reversible> Backward<B, 2> for Recompute<M>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = State<M>;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = lift::<B>(gradients.consume::<B>(&ops.node));
        let [x, _] = ops.parents;
        let State { body, mode, nodes, kept, output } = ops.state;
        let held = chain::Held { kept, output };
        let mut sink = |layer: usize, parameter: usize, gradient: DispatchTensor| {
            let node = nodes[layer][parameter].expect("only tracked parameters are differentiated");
            gradients.register::<B>(node, lower::<B>(gradient));
        };
        let dx =
            chain::backward(&body, held, vec![dy], mode, x.is_some(), &flags(&nodes), &mut sink);
        if let (Some(x), Some(dx)) = (x, dx) {
            gradients.register::<B>(x.id, lower::<B>(chain::single(dx).into_dispatch()));
        }
    }
}
