//! Gradients that leave a backward pass before its end.

use std::collections::HashMap;

use burn::backend::DispatchTensor;
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{DType, Device, Tensor};
use revox::backend::reversible::{Execution, Sink, delivering, run};
use revox::backend::{BackendKind, Mode};
use revox::nn::{gradients_named, ids_named};

use crate::body::{Body, Outcome, noise, numbers};

/// Takes every second gradient that it is offered, or all.
#[derive(Default)]
struct Taker {
    all: bool,
    offered: Vec<ParamId>,
    taken: HashMap<ParamId, Vec<f64>>,
}

impl Sink for Taker {
    fn deliver(&mut self, id: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor> {
        self.offered.push(id);
        if !self.all && self.offered.len().is_multiple_of(2) {
            return Some(gradient);
        }
        let values = numbers(Tensor::<1>::from_dispatch(gradient).into_data());
        assert!(self.taken.insert(id, values).is_none(), "taken twice");
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
    let taker = Taker { all, ..Taker::default() };
    let (Taker { offered, taken, .. }, left) = delivering(taker, || left(body));
    let names = ids_named(body);
    let offered = offered.iter().map(|id| names[id].clone()).collect();
    let taken = taken.into_iter().map(|(id, values)| (names[&id].clone(), values)).collect();
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
