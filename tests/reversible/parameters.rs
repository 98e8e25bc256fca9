//! Parameters that are not plain leaves used once, inputs that are not tracked, several threads.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};
use revox::backend::Mode;
use revox::backend::reversible::{Execution, Reversible, run};
use revox::nn::gradients_named;

use crate::body::{Body, Outcome, noise, numbers, step, worst};

const SHAPE: [usize; 4] = [2, 4, 6, 10];

/// Loss gradients by name after a step of a body that is on the tape already.
fn gradients(body: &Body, x: Tensor<4>, execution: Execution) -> Outcome {
    let device = x.device().inner();
    let y = run(body, x, Mode::Train, execution);
    let loss = (y.clone() * noise(y.dims(), "loss", DType::F32, &device)).sum();
    let gradients = loss.backward();
    gradients_named(body, &gradients)
        .into_iter()
        .map(|(name, data)| (name, numbers(data)))
        .collect()
}

/// Both executions must give the body that `prepare` makes the same `wanted` gradients.
fn agree(prepare: impl Fn() -> Body, wanted: usize) {
    let x = noise(SHAPE, "x", DType::F32, &Device::default()).autodiff();
    let reversible = gradients(&prepare(), x.clone(), Execution::Reversible);
    assert_eq!(reversible.len(), wanted);
    let (name, d) = worst(&reversible, &gradients(&prepare(), x, Execution::Taped));
    assert!(d < 1e-5, "{name}: {d:e}");
}

fn body(blocks: usize) -> Body {
    Body::new(&Device::default(), 1, blocks, 2, true).train()
}

#[test]
fn an_input_without_gradient_does_not_lose_the_parameters_gradients() {
    agree(|| body(3), 3 * 2 * 6);
}

#[test]
fn frozen_parameters_get_none() {
    let frozen = |all: bool| {
        let mut body = body(3);
        for (f, g) in &mut body.blocks[..if all { 3 } else { 2 }] {
            *f = f.clone().no_grad();
            g.conv1 = g.conv1.clone().no_grad();
            if all {
                *g = g.clone().no_grad();
            }
        }
        body
    };
    agree(|| frozen(false), 12 + 2 * 5);
    // With nothing to train, the input's gradient still passes.
    let x = noise(SHAPE, "x", DType::F32, &Device::default()).autodiff().require_grad();
    let of = |execution| {
        let y = run(&frozen(true), x.clone(), Mode::Train, execution);
        numbers(x.grad(&(y.clone() * y).sum().backward()).unwrap().into_data())
    };
    let d = worst(
        &vec![("x".into(), of(Execution::Reversible))],
        &vec![("x".into(), of(Execution::Taped))],
    )
    .1;
    assert!(d < 1e-5, "{d:e}");
}

#[test]
fn a_parameter_used_twice_in_the_body_gets_the_sum() {
    let shared = || {
        let mut body = body(3);
        let weight = body.blocks[0].0.conv1.weight.clone();
        body.blocks[1].1.conv2.weight = weight.clone();
        body.blocks[2].0.conv1.weight = weight;
        body
    };
    agree(shared, 3 * 2 * 6);
}

#[test]
fn a_parameter_used_outside_too_gets_the_sum() {
    let of = |execution| {
        let body = body(2);
        let x = noise(SHAPE, "x", DType::F32, &Device::default()).autodiff();
        let weight = body.blocks[1].0.conv2.weight.val();
        let x = x * weight.clone().mean().reshape([1, 1, 1, 1]);
        let y = run(&body, x, Mode::Train, execution).powi_scalar(3)
            * (weight.clone().sum() + 1.0).reshape([1, 1, 1, 1]);
        let gradients = y.sum().backward();
        gradients_named(&body, &gradients)
            .into_iter()
            .map(|(n, d)| (n, numbers(d)))
            .collect::<Outcome>()
    };
    let (name, d) = worst(&of(Execution::Reversible), &of(Execution::Taped));
    assert!(d < 1e-5, "{name}: {d:e}");
}

/// A weight that is the result of an operation on the leaf that is trained, as under quantization.
#[test]
fn a_weight_that_is_computed_passes_its_gradient_on() {
    struct Twice(Vec<Tensor<4>>);
    impl ModuleMapper for Twice {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if D != 4 {
                return param;
            }
            let leaf = param.val();
            self.0.push(Tensor::from_dispatch(leaf.clone().into_dispatch()));
            let computed = leaf.clone() * leaf.clone().abs();
            Param::initialized(param.id, computed)
        }
    }
    let of = |execution| {
        let mut twice = Twice(Vec::new());
        let body = body(2).map(&mut twice);
        let x = noise(SHAPE, "x", DType::F32, &Device::default()).autodiff();
        let y = run(&body, x, Mode::Train, execution);
        let gradients =
            (y.clone() * noise(y.dims(), "loss", DType::F32, &Device::default())).sum().backward();
        let leaves = twice.0.iter().enumerate();
        leaves
            .map(|(i, w)| (i.to_string(), numbers(w.grad(&gradients).unwrap().into_data())))
            .collect::<Outcome>()
    };
    let (ours, theirs) = (of(Execution::Reversible), of(Execution::Taped));
    assert_eq!(ours.len(), 8);
    let (name, d) = worst(&ours, &theirs);
    assert!(d < 1e-5, "{name}: {d:e}");
}

#[test]
fn several_threads_train_at_once() {
    let device = Device::default();
    let x = noise(SHAPE, "x", DType::F32, &device);
    let wanted: Vec<Outcome> =
        (0..4).map(|i| step(&Body::new(&device, i, 6, 2, true), &x, Execution::Taped)).collect();
    std::thread::scope(|scope| {
        for (i, wanted) in wanted.iter().enumerate() {
            let (device, x) = (&device, &x);
            scope.spawn(move || {
                let body = Body::new(device, i as u64, 6, 2, true);
                for _ in 0..10 {
                    let (name, d) = worst(&step(&body, x, Execution::Reversible), wanted);
                    assert!(d < 1e-5, "{name}: {d:e}");
                }
            });
        }
    });
}

#[test]
fn running_statistics_move_once_a_step() {
    let device = Device::default();
    let of = |execution| {
        let body = Body::new(&device, 1, 2, 2, false).train();
        for i in 0..3 {
            let x = noise(SHAPE, &format!("x{i}"), DType::F32, &device).autodiff();
            run(&body, x, Mode::Train, execution).sum().backward();
        }
        let norm = &body.blocks[1].1.bn2;
        [norm.running_mean.value_sync(), norm.running_var.value_sync()]
            .map(|t| numbers(t.into_data()))
    };
    assert_eq!(of(Execution::Reversible), of(Execution::Taped));
}

#[test]
fn the_body_is_one_node_of_inputs_and_parameters() {
    // The backward pass frees the body's state, so a second pass starts afresh.
    let device = Device::default();
    let body = Body::new(&device, 1, 2, 2, false).train();
    assert_eq!(body.steps().len(), 4);
    let x = noise(SHAPE, "x", DType::F32, &device).autodiff().require_grad();
    let of = || {
        let y = run(&body, x.clone(), Mode::Replay, Execution::Reversible);
        numbers(x.grad(&y.powi_scalar(2).sum().backward()).unwrap().into_data())
    };
    assert_eq!(of(), of());
}
