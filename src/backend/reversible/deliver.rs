//! Where the gradients of a body's parameters go as the backward pass leaves their functions.
//!
//! Usually they go onto the tape, which keeps all of them until the pass ends. During
//! [`delivering`] a [`Sink`] gets each of them as soon as it is complete: a parameter that occurs
//! in one function of the body has its gradient when that function has been differentiated. Those
//! of the last function come first; within a function they come in the order in which its module is
//! visited. So ranks with the same body have the same order. Parameters that occur in several
//! functions, and results of other operations, keep their places on the tape.
//!
//! A sink may change the parameter itself at that moment, in place, if nobody else holds it. So the
//! body gives up its parameters when the backward pass begins, and gets each function's from the
//! sink until that function is done.

use std::cell::RefCell;
use std::rc::Rc;

use burn::backend::DispatchTensor;
use burn::module::ParamId;

/// Takes gradients while a backward pass is under way.
pub trait Sink {
    /// The value of a parameter, without a tape, for the time until its gradient is delivered. The
    /// body forgets its own. None if the body is to keep its own.
    ///
    /// Whoever lends a parameter vouches that it occurs nowhere outside of the body.
    fn lend(&mut self, id: ParamId) -> Option<DispatchTensor>;

    /// Takes a complete gradient, which has no tape, or gives it back: then it goes onto the tape.
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

fn current() -> Option<Rc<RefCell<dyn Sink>>> {
    SINK.with_borrow(Clone::clone)
}

/// [`Sink::lend`] of the sink in use.
pub(super) fn lend(id: ParamId) -> Option<DispatchTensor> {
    let sink = current()?;
    sink.borrow_mut().lend(id)
}

/// [`Sink::deliver`] of the sink in use. Without one the gradient comes back.
pub(super) fn deliver(id: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor> {
    match current() {
        Some(sink) => sink.borrow_mut().deliver(id, gradient),
        None => Some(gradient),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panics::quietly;

    /// Lends nothing, and takes nothing.
    struct Idle(u8);

    impl Sink for Idle {
        fn lend(&mut self, _: ParamId) -> Option<DispatchTensor> {
            self.0 += 1;
            None
        }

        fn deliver(&mut self, _: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor> {
            Some(gradient)
        }
    }

    #[test]
    fn a_sink_is_there_during_the_pass_only() {
        let id = ParamId::new();
        let outer = delivering(Idle(0), || {
            assert!(lend(id).is_none());
            let (inner, ()) = delivering(Idle(10), || drop(lend(id)));
            assert_eq!(inner.0, 11);
            drop(lend(id));
            7
        });
        assert_eq!((outer.0.0, outer.1), (2, 7));
        assert!(current().is_none());
    }

    #[test]
    fn a_panic_leaves_no_sink_behind() {
        let failed = quietly(|| {
            delivering(Idle(0), || assert!(current().is_none(), "there is a sink"));
        });
        assert!(failed.is_err() && current().is_none());
    }
}
