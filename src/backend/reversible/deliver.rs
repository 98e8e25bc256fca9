//! Gradients leave the backward pass of a body one by one, for whoever wants them before its end:
//! to send them to other ranks, or to use them up at once.
//!
//! [`with_sink`] installs a [`Sink`] for the backward passes of this thread within some work. The
//! sink is offered gradients as soon as the function that they belong to is differentiated: those
//! of the last function first; within a function in the order in which its module is visited. The
//! order is that of the body alone. What the sink takes, the tape's gradients do not get.
//!
//! Offered are gradients that are whole as far as the body knows: of leaves of the tape (what an
//! optimizer trains) that are in the body once. All others go to the tape, where parts add up. The
//! body cannot know whether a parameter is used outside of it, or in another body. Whoever takes
//! such a gradient has a part of it; the rest goes to the tape, or is offered later.
//!
//! Without a sink nothing is done.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use burn::backend::DispatchTensor;
use burn::backend::autodiff::NodeId;
use burn::module::ParamId;

/// Takes gradients while a backward pass goes on.
pub trait Sink {
    /// The gradient of a parameter, off the tape and of the parameter's shape. One that comes back
    /// goes to the tape, as without a sink.
    ///
    /// It is called in the middle of a backward pass, so it must not run one on the same tape.
    fn take(&self, parameter: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor>;
}

thread_local! {
    /// Who takes the gradients of this thread's bodies.
    static SINK: RefCell<Option<Rc<dyn Sink>>> = const { RefCell::new(None) };
}

/// Does work whose backward passes offer the gradients of reversible bodies to a sink.
pub fn with_sink<T>(sink: Rc<dyn Sink>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Rc<dyn Sink>>);

    impl Drop for Restore {
        fn drop(&mut self) {
            SINK.set(self.0.take());
        }
    }

    let _restore = Restore(SINK.replace(Some(sink)));
    work()
}

/// Where a tracked parameter's gradient goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    pub node: NodeId,
    /// Whether the parameter is a leaf of the tape.
    pub is_leaf: bool,
}

/// What the backward pass of one body offers.
pub(super) struct Offers {
    sink: Rc<dyn Sink>,
    /// By function and parameter; none where the gradient may be a part.
    ids: Vec<Vec<Option<ParamId>>>,
}

impl Offers {
    /// Offers to the sink of this thread, if it has one. `goals` and `ids` are by function and
    /// parameter.
    pub fn begin(
        goals: &[Vec<Option<Goal>>],
        ids: impl FnOnce() -> Vec<Vec<ParamId>>,
    ) -> Option<Self> {
        let sink = SINK.with_borrow(Clone::clone)?;
        let mut uses = HashMap::<NodeId, usize>::new();
        for goal in goals.iter().flatten().flatten() {
            *uses.entry(goal.node).or_default() += 1;
        }
        let is_whole = |goal: &Goal| goal.is_leaf && uses[&goal.node] == 1;
        let of = |(goals, ids): (&Vec<Option<Goal>>, Vec<ParamId>)| {
            let whole = goals.iter().map(|goal| goal.as_ref().is_some_and(is_whole));
            whole.zip(ids).map(|(whole, id)| whole.then_some(id)).collect::<Vec<_>>()
        };
        let ids = goals.iter().zip(ids()).map(of).collect();
        Some(Self { sink, ids })
    }

    /// Offers a gradient. What comes back is for the tape.
    pub fn offer(
        &self,
        function: usize,
        parameter: usize,
        gradient: DispatchTensor,
    ) -> Option<DispatchTensor> {
        match self.ids[function][parameter] {
            Some(id) => self.sink.take(id, gradient),
            None => Some(gradient),
        }
    }
}
