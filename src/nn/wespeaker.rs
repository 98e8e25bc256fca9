//! Blocks of networks against WeSpeaker's: outputs, gradients and running statistics, as
//! `fixtures/f9_zoo` of the shared data has them. Blocks are private, so each stands with its tests
//! where it is written, and they call [`compare`].

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use serde_json::Value;

use super::{Init, Mode, Run, assign_named, collect_named, gradients_named, names_and_shapes};
use crate::backend::BackendKind;
use crate::shared::{Tensors, json, shared};

/// Largest difference of an output, as a fraction of the largest value.
const OUTPUT: f32 = 1e-5;
/// Largest relative error (L2) of a gradient.
const GRADIENT: f64 = 1e-4;
/// Largest relative error (L2) of a running statistic.
const STATISTIC: f64 = 1e-5;

/// Compares a block with WeSpeaker's of a name, on every CPU backend, in training and in evaluation
/// where both were recorded. `make` builds the block at a root, `forward` runs it on the inputs.
/// Our names begin with `place` where WeSpeaker's begin with nothing.
///
/// The block may have more inner channels than WeSpeaker's. Weights of those are 0, so they change
/// no output, and they must have no gradient.
pub(crate) fn compare<M: Module, const D: usize, const O: usize>(
    name: &str,
    place: &str,
    make: impl Fn(&Init) -> M,
    forward: impl Fn(&M, &mut Run, &[Tensor<D>]) -> Tensor<O>,
) {
    let Some(folder) = shared("fixtures/f9_zoo") else { return };
    let tensors = Tensors::open(folder.join("blocks.safetensors"));
    let table = json(folder.join("blocks.json"));
    let cases = table[name]["cases"].as_object().expect("the block was recorded");
    let recorded = [("train", Mode::Train), ("eval", Mode::Eval)].into_iter();
    let recorded: Vec<_> = recorded.filter(|(case, _)| cases.contains_key(*case)).collect();
    assert_eq!(recorded.len(), cases.len(), "{name}");
    for kind in [BackendKind::Flex, BackendKind::Ndarray].into_iter().filter(|k| k.is_compiled()) {
        let device = kind.device(0).unwrap();
        for &(case, mode) in &recorded {
            let reference =
                Reference { tensors: &tensors, name, case, place, zero: zeros(&cases[case]) };
            let what = format!("{name}, {case}, {}", kind.name());
            // Clones share running statistics: every case has a block of its own.
            let block = reference.with_weights(make(&Init::new(&device, 0))).train();
            let taped = device.clone().autodiff();
            let inputs: Vec<Tensor<D>> = reference
                .inputs()
                .iter()
                .map(|x| reference.tensor(&format!("{name}/{x}"), &taped).require_grad())
                .collect();
            let y = forward(&block, &mut Run::new(mode), &inputs);
            let seed: Tensor<O> = reference.tensor(&format!("{name}/grad_out"), &taped);
            let gradients = (y.clone() * seed).sum().backward();
            reference.compare_output(&what, y);
            for (x, of) in reference.inputs().into_iter().zip(inputs) {
                let ours = values(of.grad(&gradients).unwrap().into_data());
                let wanted = tensors.f32(&format!("{name}/{case}/grad_{x}_f64"));
                near(&format!("{what}: gradient of {x}"), &ours, &wanted, GRADIENT);
            }
            reference.compare_gradients(&what, &block, &gradients);
            if mode == Mode::Train {
                reference.compare_statistics(&what, &block);
            }
        }
    }
}

/// Parameters whose gradients are 0 in exact arithmetic. Those that were stored are noise.
fn zeros(case: &Value) -> Vec<String> {
    serde_json::from_value(case["gradients_zero_in_exact_arithmetic"].clone()).unwrap()
}

/// A pass of one of WeSpeaker's blocks.
struct Reference<'a> {
    tensors: &'a Tensors,
    name: &'a str,
    case: &'a str,
    place: &'a str,
    zero: Vec<String>,
}

impl Reference<'_> {
    /// The names of the inputs.
    fn inputs(&self) -> Vec<&'static str> {
        let is_there = |x: &&str| self.tensors.has(&format!("{}/{x}", self.name));
        ["x", "x0", "x1"].into_iter().filter(is_there).collect()
    }

    fn tensor<const N: usize>(&self, name: &str, device: &Device) -> Tensor<N> {
        let data = TensorData::new(self.tensors.f32(name), self.tensors.shape(name));
        Tensor::from_data(data, device)
    }

    /// WeSpeaker's name of a tensor of ours.
    fn bare<'n>(&self, ours: &'n str) -> &'n str {
        ours.strip_prefix(self.place).unwrap_or_else(|| panic!("{ours} is not in {}", self.place))
    }

    /// Tensors whose names begin so, but for the counters of BatchNorm.
    fn count(&self, prefix: &str) -> usize {
        let names = self.tensors.names();
        let wanted = |n: &&String| n.starts_with(prefix) && !n.ends_with("num_batches_tracked");
        names.iter().filter(wanted).count()
    }

    fn with_weights<M: Module>(&self, block: M) -> M {
        let prefix = format!("{}/weights/", self.name);
        let own = names_and_shapes(&block);
        assert_eq!(own.len(), self.count(&prefix), "{}: {own:?}", self.name);
        let weights = own.into_iter().map(|(name, shape)| {
            let stored = format!("{prefix}{}", self.bare(&name));
            let (values, narrow) = (self.tensors.f32(&stored), self.tensors.shape(&stored));
            let mut wide = vec![0.0; shape.iter().product()];
            for (at, value) in corner(&stored, &narrow, &shape).into_iter().zip(values) {
                wide[at] = value;
            }
            (name, TensorData::new(wide, shape))
        });
        let weights: HashMap<String, TensorData> = weights.collect();
        assign_named(block, weights)
    }

    /// The part of our tensor that WeSpeaker's block has. All else must be 0.
    fn part(&self, stored: &str, ours: TensorData) -> Vec<f32> {
        let places = corner(stored, &self.tensors.shape(stored), &ours.shape().to_vec());
        let mut all = values(ours);
        let part = places.into_iter().map(|at| std::mem::take(&mut all[at])).collect();
        assert!(all.iter().all(|&x| x == 0.0), "{stored}: inner channels beyond WeSpeaker's");
        part
    }

    fn compare_output<const O: usize>(&self, what: &str, y: Tensor<O>) {
        let stored = format!("{}/{}/y_f64", self.name, self.case);
        assert_eq!(y.dims().to_vec(), self.tensors.shape(&stored), "{what}");
        let (ours, wanted) = (values(y.into_data()), self.tensors.f32(&stored));
        let largest = wanted.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let worst = ours.iter().zip(&wanted).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(ours.iter().all(|x| x.is_finite()), "{what}");
        assert!(worst <= OUTPUT * largest, "{what}: off by {worst}, largest value {largest}");
    }

    fn compare_gradients<M: Module>(&self, what: &str, block: &M, gradients: &Gradients) {
        let prefix = format!("{}/{}/grad_f64/", self.name, self.case);
        let (mut checked, mut skipped) = (0, 0);
        for (name, ours) in gradients_named(block, gradients) {
            let name = self.bare(&name);
            let stored = format!("{prefix}{name}");
            let ours = self.part(&stored, ours);
            if self.zero.iter().any(|zero| zero == name) {
                skipped += 1;
            } else {
                let what = format!("{what}: gradient of {name}");
                near(&what, &ours, &self.tensors.f32(&stored), GRADIENT);
            }
            checked += 1;
        }
        assert_eq!(checked, self.count(&prefix), "{what}: every parameter has a gradient");
        assert_eq!(skipped, self.zero.len(), "{what}: {:?}", self.zero);
    }

    /// Compares the statistics after the pass.
    fn compare_statistics<M: Module>(&self, what: &str, block: &M) {
        let prefix = format!("{}/{}/buf_after/", self.name, self.case);
        let all = collect_named(block).into_iter();
        let all: Vec<_> = all.filter(|(name, _)| name.contains("running_")).collect();
        assert_eq!(all.len(), self.count(&prefix), "{what}");
        for (name, ours) in all {
            let stored = format!("{prefix}{}", self.bare(&name));
            let ours = self.part(&stored, ours);
            near(&format!("{what}: {name}"), &ours, &self.tensors.f32(&stored), STATISTIC);
        }
    }
}

fn values(data: TensorData) -> Vec<f32> {
    data.try_to_vec().unwrap()
}

/// Where the values of a tensor stand in the first places of every axis of a larger one.
fn corner(name: &str, narrow: &[usize], wide: &[usize]) -> Vec<usize> {
    assert_eq!(narrow.len(), wide.len(), "{name}");
    assert!(narrow.iter().zip(wide).all(|(n, w)| n <= w), "{name}: {narrow:?} in {wide:?}");
    let place = |mut rest: usize| {
        let (mut at, mut stride) = (0, 1);
        for (&n, &w) in narrow.iter().zip(wide).rev() {
            at += rest % n * stride;
            rest /= n;
            stride *= w;
        }
        at
    };
    (0..narrow.iter().product()).map(place).collect()
}

/// Asserts a relative error (L2).
fn near(what: &str, ours: &[f32], wanted: &[f32], most: f64) {
    assert_eq!(ours.len(), wanted.len(), "{what}");
    let square = |x: f32| f64::from(x).powi(2);
    let difference: f64 = ours.iter().zip(wanted).map(|(a, b)| square(a - b)).sum();
    let error = (difference / wanted.iter().map(|&b| square(b)).sum::<f64>()).sqrt();
    assert!(error < most, "{what}: relative error {error}");
}

#[test]
fn the_corner_of_a_tensor() {
    assert_eq!(corner("square", &[2, 2], &[2, 2]), [0, 1, 2, 3]);
    assert_eq!(corner("rows", &[2, 2], &[3, 2]), [0, 1, 2, 3]);
    assert_eq!(corner("columns", &[2, 2, 1], &[2, 3, 1]), [0, 1, 3, 4]);
}
