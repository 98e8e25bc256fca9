//! Where the gradients of a body's parameters go as the backward pass leaves their functions.
//!
//! Usually they go onto the tape, which keeps all of them until the pass ends. During
//! [`delivering`] a [`Sink`] is offered each as soon as its function is differentiated: those of
//! the last function first; within a function in the order in which its module is visited. The
//! order is that of the body alone, so ranks with the same body have the same.
//!
//! Offered are gradients that are complete as far as the body knows: of leaves of the tape (what an
//! optimizer trains) that are in the body once. All others go onto the tape, where parts add up.
//! The body cannot know whether a parameter is used outside of it, or in another body. Whoever
//! takes such a gradient has a part of it; the rest goes onto the tape, or is offered later.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use burn::backend::DispatchTensor;
use burn::backend::autodiff::NodeId;
use burn::module::ParamId;

/// Takes gradients while a backward pass is under way.
pub trait Sink {
    /// Takes the gradient of a parameter, which has no tape and the parameter's shape, or gives it
    /// back: then it goes onto the tape.
    fn deliver(&mut self, id: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor>;
}

thread_local! {
    /// The sink of the backward pass that this thread runs.
    static SINK: RefCell<Option<Rc<RefCell<dyn Sink>>>> = const { RefCell::new(None) };
}

/// A sink while it is in use. The one before it returns at the end, whatever ends the pass.
struct Installed(Option<Rc<RefCell<dyn Sink>>>);

impl Installed {
    fn new(sink: Rc<RefCell<dyn Sink>>) -> Self {
        Self(SINK.replace(Some(sink)))
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        SINK.set(self.0.take());
    }
}

/// Runs a backward pass whose bodies deliver their gradients to `sink`. Returns the sink and what
/// the pass returns.
///
/// # Panics
/// If `pass` does.
pub fn delivering<S: Sink + 'static, T>(sink: S, pass: impl FnOnce() -> T) -> (S, T) {
    let sink = Rc::new(RefCell::new(sink));
    let installed = Installed::new(sink.clone());
    let done = pass();
    drop(installed);
    let sink = Rc::into_inner(sink).expect("references end with the calls that made them");
    (sink.into_inner(), done)
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
    sink: Rc<RefCell<dyn Sink>>,
    /// By function and parameter; none where the gradient may be a part.
    ids: Vec<Vec<Option<ParamId>>>,
}

impl Offers {
    /// Offers to the sink in use, if there is one. `goals` and `ids` are by function and parameter.
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
            Some(id) => self.sink.borrow_mut().deliver(id, gradient),
            None => Some(gradient),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panics::quietly;

    /// Takes nothing.
    struct Idle(u8);

    impl Sink for Idle {
        fn deliver(&mut self, _: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor> {
            Some(gradient)
        }
    }

    fn is_there() -> bool {
        Offers::begin(&[], Vec::new).is_some()
    }

    #[test]
    fn a_sink_is_there_during_the_pass_only() {
        assert!(!is_there());
        let (outer, (inner, there)) = delivering(Idle(1), || {
            let (inner, there) = delivering(Idle(2), is_there);
            (inner, there && is_there())
        });
        assert_eq!((outer.0, inner.0, there), (1, 2, true));
        assert!(!is_there());
    }

    #[test]
    fn a_panic_leaves_no_sink_behind() {
        let failed = quietly(|| drop(delivering(Idle(0), || assert!(!is_there(), "a sink"))));
        assert!(failed.is_err() && !is_there());
    }
}
