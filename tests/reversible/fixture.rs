//! Three couplings against plain autograd of PyTorch in f64.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use revox::backend::Mode;
use revox::backend::reversible::{Execution, Reversible, Step, invert, run};
use revox::nn::{
    BranchKind, Coupling, Halves, Init, Order, assign_named, collect_named, gradients_named,
};

use crate::shared::{Tensors, fixture};

#[derive(Module, Debug)]
struct Three {
    blocks: Vec<Coupling>,
    #[module(skip)]
    grid: Option<i32>,
}

impl Reversible for Three {
    fn steps(&self) -> Vec<Step<'_>> {
        let couplings = self.blocks.iter().map(Coupling::step);
        let (split, join) = (Step::Rearrange(&Halves::Split), Step::Rearrange(&Halves::Join));
        [split].into_iter().chain(couplings).chain([join]).collect()
    }

    fn grid(&self) -> Option<i32> {
        self.grid
    }
}

/// `blocks.0.f.convs.1.weight` -> `0.Fm.conv2.weight`.
fn reference_name(name: &str) -> String {
    name.replace("blocks.", "")
        .replace(".f.", ".Fm.")
        .replace(".g.", ".Gm.")
        .replace("convs.0", "conv1")
        .replace("convs.1", "conv2")
        .replace("norms.0", "bn1")
        .replace("norms.1", "bn2")
}

fn values(data: TensorData) -> Vec<f32> {
    data.try_to_vec::<f32>().unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

fn relative_l2(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (difference / b.iter().map(|b| f64::from(*b).powi(2)).sum::<f64>()).sqrt()
}

/// Without a grid, and on one so fine that its rounding stays below the tolerance.
#[test]
fn three_couplings_equal_the_reference() {
    for grid in [None, Some(20)] {
        check(grid);
    }
}

fn check(grid: Option<i32>) {
    let t = Tensors::open(fixture("reversible/revnet.safetensors"));
    let device = Device::default();
    for (kind, order) in [("preact", Order::PreActivation), ("postbn", Order::PostActivation)] {
        let tensor = |name: &str| {
            let name = format!("{kind}/{name}");
            Tensor::<4>::from_data(TensorData::new(t.f32(&name), t.shape(&name)), &device)
        };
        let coupling = |b: usize| {
            Coupling::new(Init::new(&device, 0).at("blocks").at(b), BranchKind::Basic, order, 4, 4)
        };
        let body = Three { blocks: (0..3).map(coupling).collect(), grid };
        let weights = collect_named(&body).into_iter().map(|(name, data)| {
            let wanted = format!("{kind}/weights/{}", reference_name(&name));
            (name, TensorData::new(t.f32(&wanted), data.shape().to_vec()))
        });
        let weights: HashMap<String, TensorData> = weights.collect();
        assert_eq!(weights.len(), 3 * 2 * (6 + 4));
        let body = assign_named(body.clone(), weights);
        let y_eval = values(run(&body, tensor("x"), Mode::Eval, Execution::Reversible).into_data());
        let d = largest_difference(&y_eval, &t.f32(&format!("{kind}/y_eval")));
        assert!(d < 1e-5, "{kind} {grid:?}: {d:e}");
        for execution in [Execution::Reversible, Execution::Taped] {
            let body = body.valid().train();
            let x = tensor("x").autodiff().require_grad();
            let y = run(&body, x.clone(), Mode::Train, execution);
            let gradients = (y.clone() * tensor("grad_out")).sum().backward();
            let d =
                largest_difference(&values(y.clone().into_data()), &t.f32(&format!("{kind}/y")));
            assert!(d < 1e-5, "{kind} {grid:?}: {d:e}");
            let dx = values(x.grad(&gradients).unwrap().into_data());
            assert!(
                largest_difference(&dx, &t.f32(&format!("{kind}/grad_x"))) < 1e-5,
                "{kind} {grid:?} {execution:?}"
            );
            assert!(
                relative_l2(&dx, &t.f32(&format!("{kind}/grad_x"))) < 1e-5,
                "{kind} {grid:?} {execution:?}"
            );
            let named = gradients_named(&body, &gradients);
            assert_eq!(named.len(), 3 * 2 * 6);
            for (name, gradient) in named {
                let d = relative_l2(
                    &values(gradient),
                    &t.f32(&format!("{kind}/grad/{}", reference_name(&name))),
                );
                assert!(d < 1e-5, "{kind} {grid:?} {execution:?} {name}: {d:e}");
            }
            let all = collect_named(&body.valid()).into_iter();
            let statistics: Vec<_> = all.filter(|(name, _)| name.contains("running_")).collect();
            assert_eq!(statistics.len(), 3 * 2 * 4);
            for (name, data) in statistics {
                let wanted =
                    t.f32(&format!("{kind}/buf_after_one_forward/{}", reference_name(&name)));
                let d = largest_difference(&values(data), &wanted);
                assert!(d < 1e-5, "{kind} {grid:?} {execution:?} {name}: {d:e}");
            }
            let again = values(invert(&body.valid(), y.inner(), Mode::Train).unwrap().into_data());
            assert!(largest_difference(&again, &t.f32(&format!("{kind}/x"))) < 1e-4);
        }
    }
}
