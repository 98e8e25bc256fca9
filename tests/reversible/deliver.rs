//! Gradients that a sink takes as the backward pass leaves the functions of a body.

use std::collections::HashMap;

use burn::backend::{DispatchTensor, TensorMetadata};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};
use revox::backend::Mode;
use revox::backend::reversible::{Execution, Sink, delivering, run};
use revox::nn::{collect_named, gradients_named, ids_named};

use crate::body::{Body, Outcome, Unit, noise, numbers};

const SHAPE: [usize; 4] = [2, 4, 6, 10];

/// Takes all gradients, and lends what it has.
#[derive(Default)]
struct Taker {
    values: HashMap<ParamId, DispatchTensor>,
    taken: Vec<(ParamId, Vec<f64>)>,
}

impl Sink for Taker {
    fn lend(&mut self, id: ParamId) -> Option<DispatchTensor> {
        self.values.remove(&id)
    }

    fn deliver(&mut self, id: ParamId, gradient: DispatchTensor) -> Option<DispatchTensor> {
        let gradient = match gradient.rank() {
            1 => Tensor::<1>::from_dispatch(gradient).into_data(),
            4 => Tensor::<4>::from_dispatch(gradient).into_data(),
            rank => panic!("no parameter has {rank} axes"),
        };
        self.taken.push((id, numbers(gradient)));
        None
    }
}

impl Taker {
    /// With the values of a body, times a factor.
    fn with(body: &Body, factor: f32) -> Self {
        struct Collect(HashMap<ParamId, DispatchTensor>, f32);
        impl ModuleVisitor for Collect {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                // Running statistics are no parameters.
                if param.val().is_require_grad() {
                    let value = param.val().inner() * self.1;
                    self.0.insert(param.id, value.into_dispatch());
                }
            }
        }
        let mut collect = Collect(HashMap::new(), factor);
        body.visit(&mut collect);
        Self { values: collect.0, taken: Vec::new() }
    }
}

fn body() -> Body {
    Body::new(&Device::default(), 1, 3, 2, true).train()
}

fn sorted(mut all: Outcome) -> Outcome {
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn loss(body: &Body) -> Tensor<1> {
    let device = Device::default();
    let x = noise(SHAPE, "x", DType::F32, &device).autodiff();
    let y = run(body, x, Mode::Train, Execution::Reversible);
    (y.clone() * noise(y.dims(), "loss", DType::F32, &device)).sum()
}

fn named(all: Vec<(String, TensorData)>) -> Outcome {
    sorted(all.into_iter().map(|(name, data)| (name, numbers(data))).collect())
}

fn buffers(body: &Body) -> Outcome {
    let all = collect_named(&body.valid()).into_iter();
    named(all.filter(|(name, _)| name.contains("running_")).collect())
}

/// What goes onto the tape without a sink, and running statistics afterwards.
fn wanted() -> (Outcome, Outcome) {
    let body = body();
    let gradients = loss(&body).backward();
    (named(gradients_named(&body, &gradients)), buffers(&body))
}

#[test]
fn a_sink_gets_what_the_tape_would_get() {
    let (wanted, statistics) = wanted();
    for lends in [false, true] {
        let body = body();
        let taker = if lends { Taker::with(&body, 1.0) } else { Taker::default() };
        let loss = loss(&body);
        let (taker, gradients) = delivering(taker, || loss.backward());
        assert!(gradients_named(&body, &gradients).is_empty(), "the tape has none");
        let names = ids_named(&body);
        let got = taker.taken.into_iter().map(|(id, values)| (names[&id].clone(), values));
        assert!(sorted(got.collect()) == wanted, "lends: {lends}");
        assert_eq!(buffers(&body), statistics);
        assert!(taker.values.is_empty());
    }
}

/// Functions are differentiated from the last to the first: G, then F, of each block.
#[test]
fn gradients_come_function_by_function() {
    let body = body();
    let loss = loss(&body);
    let (taker, _) = delivering(Taker::default(), || loss.backward());
    let place = |id: ParamId| taker.taken.iter().position(|(taken, _)| *taken == id).unwrap();
    let of = |unit: &Unit| {
        let ids =
            [unit.conv1.weight.id, unit.conv2.weight.id, unit.bn2.weight.as_ref().unwrap().id];
        ids.map(|id| place(id) / 6)
    };
    let met: Vec<[usize; 3]> = body.blocks.iter().rev().flat_map(|(f, g)| [of(g), of(f)]).collect();
    assert_eq!(met, [0, 1, 2, 3, 4, 5].map(|n| [n; 3]));
}

#[test]
fn the_values_are_those_that_are_lent() {
    let body = body();
    let loss = loss(&body);
    let (taker, _) = delivering(Taker::with(&body, 0.5), || loss.backward());
    let names = ids_named(&body);
    let got = taker.taken.into_iter().map(|(id, values)| (names[&id].clone(), values));
    assert!(sorted(got.collect()) != wanted().0);
}

/// A gradient is complete only when all functions with the parameter are done.
#[test]
fn a_parameter_that_occurs_twice_stays_on_the_tape() {
    let shared = || {
        let mut body = body();
        body.blocks[1].1.conv2.weight = body.blocks[0].0.conv1.weight.clone();
        body
    };
    let plain = shared();
    let gradients = loss(&plain).backward();
    let wanted = plain.blocks[0].0.conv1.weight.val().grad(&gradients).unwrap().into_data();
    let body = shared();
    let loss = loss(&body);
    let (taker, gradients) = delivering(Taker::with(&body, 1.0), || loss.backward());
    let weight = &body.blocks[0].0.conv1.weight;
    assert_eq!(weight.val().grad(&gradients).unwrap().into_data(), wanted);
    assert!(taker.taken.iter().all(|(id, _)| *id != weight.id));
    assert_eq!(taker.taken.len(), 3 * 2 * 6 - 2);
}

/// A frozen weight, and one that is the result of an operation.
#[test]
fn frozen_and_computed_weights_are_not_delivered() {
    struct Squared;
    impl ModuleMapper for Squared {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let leaf = param.val();
            Param::initialized(param.id, leaf.clone() * leaf)
        }
    }
    let mut body = body();
    body.blocks[2].0.conv1 = body.blocks[2].0.conv1.clone().no_grad();
    body.blocks[2].1.conv1 = body.blocks[2].1.conv1.clone().map(&mut Squared);
    let loss = loss(&body);
    let (taker, _) = delivering(Taker::default(), || loss.backward());
    assert_eq!(taker.taken.len(), 3 * 2 * 6 - 2);
    let apart = [body.blocks[2].0.conv1.weight.id, body.blocks[2].1.conv1.weight.id];
    assert!(taker.taken.iter().all(|(id, _)| !apart.contains(id)));
}
