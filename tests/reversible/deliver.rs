//! Gradients that leave a backward pass before its end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{DType, Device, Tensor};
use revox::backend::reversible::{Execution, Sink, run, with_sink};
use revox::backend::{BackendKind, Mode};
use revox::nn::{gradients_named, ids_named};

use crate::body::{Body, Outcome, noise, numbers};

/// Takes every second gradient that it is offered, or all.
struct Taker {
    all: bool,
    offered: RefCell<Vec<ParamId>>,
    taken: RefCell<HashMap<ParamId, Vec<f64>>>,
}

impl Sink for Taker {
    fn take(&self, parameter: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor> {
        let mut offered = self.offered.borrow_mut();
        offered.push(parameter);
        if !self.all && offered.len().is_multiple_of(2) {
            return Some(gradient);
        }
        let values = numbers(Tensor::<1>::from_dispatch(gradient).into_data());
        assert!(self.taken.borrow_mut().insert(parameter, values).is_none(), "taken twice");
        None
    }
}

/// The backend that repeats itself to the bit.
fn device() -> Device {
    BackendKind::Flex.device(0).unwrap()
}

fn body() -> Body {
    Body::new(&device(), 1, 3, 2, true).train()
}

/// Gradients by name that the tape has after a step.
fn left(body: &Body) -> Outcome {
    let x = noise([2, 4, 6, 10], "x", DType::F32, &device()).autodiff();
    let y = run(body, x, Mode::Train, Execution::Reversible);
    let loss = (y.clone() * noise(y.dims(), "loss", DType::F32, &device())).sum();
    let gradients = gradients_named(body, &loss.backward()).into_iter();
    gradients.map(|(name, data)| (name, numbers(data))).collect()
}

/// The gradients that a sink is offered, by name and in their order, those that it takes, and those
/// that are left.
fn divided(body: &Body, all: bool) -> (Vec<String>, Outcome, Outcome) {
    let (offered, taken) = (RefCell::default(), RefCell::default());
    let taker = Rc::new(Taker { all, offered, taken });
    let left = with_sink(taker.clone(), || left(body));
    let names = ids_named(body);
    let offered = taker.offered.take().iter().map(|id| names[id].clone()).collect();
    let taken = taker.taken.take().into_iter().map(|(id, g)| (names[&id].clone(), g)).collect();
    (offered, taken, left)
}

fn sorted(mut all: Outcome) -> Outcome {
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The last function's come first. Buffers have no gradient.
#[test]
fn gradients_are_offered_function_by_function_from_the_last() {
    let (offered, taken, left) = divided(&body(), true);
    let mut wanted = Vec::new();
    for block in (0..3).rev() {
        for function in ["1", "0"] {
            for name in ["conv1.weight", "bn1.weight", "bn1.bias"] {
                wanted.push(format!("blocks.{block}.{function}.{name}"));
            }
            for name in ["conv2.weight", "bn2.weight", "bn2.bias"] {
                wanted.push(format!("blocks.{block}.{function}.{name}"));
            }
        }
    }
    assert_eq!(offered, wanted);
    assert_eq!((taken.len(), left.len()), (wanted.len(), 0));
}

/// What is taken and what is left are together what a pass without a sink gives, to the bit.
#[test]
fn a_sink_changes_no_gradient() {
    let wanted = sorted(left(&body()));
    for all in [true, false] {
        let (offered, taken, left) = divided(&body(), all);
        assert_eq!(offered.len(), wanted.len());
        assert_eq!(left.is_empty(), all);
        assert!(!taken.is_empty());
        assert!(sorted(taken.into_iter().chain(left).collect()) == wanted, "other gradients");
    }
    // The sink ended with its work.
    assert!(sorted(left(&body())) == wanted);
}

/// A parameter that is there twice, one that is computed from a leaf, and one that is frozen.
#[test]
fn what_is_not_whole_is_not_offered() {
    let mut body = body();
    let shared = body.blocks[0].0.conv1.weight.clone();
    body.blocks[1].1.conv2.weight = shared;
    body.blocks[2].0.conv1 = body.blocks[2].0.conv1.clone().no_grad();
    body.blocks[2].1.conv1 = body.blocks[2].1.conv1.clone().map(&mut Squared);
    let (offered, _, left) = divided(&body, true);
    assert_eq!(offered.len(), 3 * 2 * 6 - 4);
    let left: Vec<String> = left.into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["blocks.0.0.conv1.weight", "blocks.1.1.conv2.weight"]);
    let computed = ["blocks.2.0.conv1.weight", "blocks.2.1.conv1.weight"];
    assert!(offered.iter().all(|name| !left.contains(name) && !computed.contains(&&name[..])));
}

/// Weights that are results of operations.
struct Squared;

impl ModuleMapper for Squared {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let leaf = param.val();
        Param::initialized(param.id, leaf.clone() * leaf)
    }
}
