//! Operations between convolutions, and their gradients, against another backend in f32: on GPUs in
//! every type of floats that the device has, which our kernels store what they compute in.

use burn::module::{Module, Param};
use burn::nn::LinearConfig;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor};

use super::{Findings, Subject, numbers, tensor, values};
use crate::backend::depthwise::depthwise;
use crate::backend::gelu::gelu;
use crate::backend::is_gpu;
use crate::backend::norm::{Running, affine, normalize_with, rectify};
use crate::backend::rearrange::{fit, join, split, squeeze};
use crate::backend::reversible::{shift, snap, sum};
use crate::backend::rows::unit_rows;
use crate::error::Result;
use crate::optim::Gate;
use crate::train::OptimizerConfig;

/// Bits of the grid: values in 16 bits lie on it.
const BITS: i32 = 10;

/// Where and in which type an operation runs, and the type that its numbers are rounded to before.
struct Place<'a> {
    device: &'a Device,
    rounded: DType,
    inside: DType,
}

impl Place<'_> {
    fn noise<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        let x = tensor(numbers(shape.iter().product()), shape, self.device);
        x.cast(self.rounded).cast(self.inside).autodiff()
    }

    /// The output of an operation on two images, and the gradient of each.
    fn traced(
        &self,
        shapes: [[usize; 4]; 2],
        operation: &dyn Fn(&Self, [Tensor<4>; 2]) -> Tensor<4>,
    ) -> Vec<Vec<f32>> {
        let leaves = shapes.map(|shape| self.noise(shape).require_grad());
        let y = operation(self, leaves.clone());
        // Weights that have nothing to do with the input: else some gradients are nearly 0. They
        // are made in f32, for everybody alike, and rounded once.
        let weights = (self.noise(y.dims()).cast(DType::F32) * 3.7).sin();
        let weights = weights.cast(self.rounded).cast(self.inside);
        let gradients = (y.clone() * weights).sum().backward();
        let mut all = vec![values(y.into_data())];
        // A second image that the operation does not take has no gradient.
        let gradient = |leaf: &Tensor<4>| leaf.grad(&gradients).map(|g| values(g.into_data()));
        all.extend(leaves.iter().filter_map(gradient));
        all
    }

    /// A number for each of four channels. They stay f32 beside 16 bits.
    fn channels(&self, turn: f32) -> Tensor<1> {
        Tensor::<1>::from_floats([1.0, 0.5, -0.7, 2.0], self.device).autodiff() * turn
    }
}

type Operation = (&'static str, [[usize; 4]; 2], fn(&Place, [Tensor<4>; 2]) -> Tensor<4>);

const IMAGE: [usize; 4] = [3, 4, 6, 10];
const ONE: [usize; 4] = [1; 4];

/// The normalisation with everything around it.
fn norm(place: &Place, x: Tensor<4>, other: Option<Tensor<4>>, rectify: bool) -> Tensor<4> {
    let affine = [1.0, 0.1].map(|turn| place.channels(turn));
    let [mean, var] = [0.3, 0.2].map(|turn| place.channels(turn).inner());
    let running = Running { mean, var, momentum: 0.1 };
    normalize_with(x, other, affine, Some(running), 1e-5, rectify).0
}

const OPERATIONS: [Operation; 15] = [
    ("squeeze 2x2", [IMAGE, ONE], |_, [x, _]| squeeze(x, [2, 2])),
    ("squeeze 2x1", [IMAGE, ONE], |_, [x, _]| squeeze(x, [2, 1])),
    ("halves", [IMAGE, ONE], |_, [x, _]| {
        let [a, b] = split(x, 1);
        join(b, a)
    }),
    ("padding", [IMAGE, ONE], |_, [x, _]| fit(x, [8, 12])),
    ("grid", [IMAGE, ONE], |_, [x, _]| snap(x, BITS)),
    ("coupling", [IMAGE, IMAGE], |_, [x, y]| shift(x, y, BITS, false)),
    ("sum", [IMAGE, IMAGE], |_, [x, y]| sum(x, y)),
    ("BatchNorm", [IMAGE, ONE], |place, [x, _]| norm(place, x, None, false)),
    ("BatchNorm and ReLU", [IMAGE, ONE], |place, [x, _]| norm(place, x, None, true)),
    ("end of a block", [IMAGE, IMAGE], |place, [x, y]| norm(place, x, Some(y), true)),
    ("ReLU", [IMAGE, ONE], |_, [x, _]| rectify(x)),
    ("GELU", [IMAGE, ONE], |_, [x, _]| gelu(x)),
    ("BatchNorm's evaluation", [IMAGE, IMAGE], |place, [x, y]| {
        // It has no gradient of its own.
        let numbers = [1.0, 0.1].map(|turn| place.channels(turn).inner());
        let evaluated = affine(x.clone().inner(), Some(y.clone().inner()), numbers, true);
        evaluated.autodiff() + (x + y) * 0.1
    }),
    ("depthwise, few channels", [[2, 3, 9, 64], [3, 1, 3, 3]], |_, [x, w]| depthwise(x, w)),
    ("unit rows", [[5, 130, 1, 1], ONE], |_, [x, _]| {
        unit_rows(x.reshape([5, 130])).reshape([5, 130, 1, 1])
    }),
];

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    for rounded in [DType::F32, DType::F16, DType::BF16] {
        let half = rounded != DType::F32;
        if half && !(is_gpu(&subject.device) && subject.device.supports_dtype(rounded)) {
            continue;
        }
        let ours = Place { device: &subject.device, rounded, inside: rounded };
        let peer = Place { device: &subject.peer, rounded, inside: DType::F32 };
        let tolerance = if half { subject.tolerance.half } else { subject.tolerance.operation };
        for (name, shapes, operation) in OPERATIONS {
            let of = |place: &Place| place.traced(shapes, &operation);
            for (i, (ours, wanted)) in of(&ours).iter().zip(of(&peer)).enumerate() {
                let part = if i == 0 { "output".to_owned() } else { format!("gradient {i}") };
                findings.near(format!("{name}, {rounded:?}, {part}"), ours, &wanted, tolerance);
            }
        }
    }
    adam(subject, findings)
}

/// Steps of Adam with moments in 32 bits.
fn adam(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let stepped = |device: &Device| -> Result<Vec<f32>> {
        let mut module = LinearConfig::new(9, 7).with_bias(false).init(device);
        module.weight = Param::from_tensor(tensor(numbers(63), [9, 7], device));
        let mut module = module.train();
        let mut optimizer = OptimizerConfig::named("adam")?.init()?;
        for turn in 1..3 {
            let gradient = tensor(numbers(63), [9, 7], device) * f64::from(turn);
            let mut gradients = GradientsParams::new();
            gradients.register(module.weight.id, gradient);
            module = optimizer.step(0.1, module, gradients, Gate::Open(1.0));
        }
        Ok(values(module.weight.val().inner().into_data()))
    };
    let (ours, wanted) = (stepped(&subject.device)?, stepped(&subject.peer)?);
    findings.near("steps of Adam", &ours, &wanted, subject.tolerance.operation);
    Ok(())
}
