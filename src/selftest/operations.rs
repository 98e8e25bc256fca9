//! Our own operations against another backend: outputs and gradients.

use burn::tensor::{Device, Tensor};

use super::{Findings, Subject, numbers, tensor, values};
use crate::backend::convolution::{Window, convolve};
use crate::backend::depthwise::depthwise;
use crate::backend::norm::normalize;
use crate::error::Result;

/// The output of an operation on tensors of these shapes, and the gradient of each of them.
fn traced<const N: usize>(
    device: &Device,
    shapes: [&[usize]; N],
    operation: impl Fn([Tensor<4>; N]) -> Tensor<4>,
) -> Vec<Vec<f32>> {
    let leaves = shapes.map(|shape| {
        let mut four = [1; 4];
        four[..shape.len()].copy_from_slice(shape);
        tensor(numbers(shape.iter().product()), four, &device.clone().autodiff()).require_grad()
    });
    let y = operation(leaves.clone());
    let dims = y.dims();
    let weights =
        tensor(numbers(dims.iter().product::<usize>()), dims, &device.clone().autodiff()).sin();
    let gradients = (y.clone() * weights).sum().backward();
    let mut all = vec![values(y.into_data())];
    all.extend(
        leaves.map(|leaf| leaf.grad(&gradients).map_or_else(Vec::new, |g| values(g.into_data()))),
    );
    all
}

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let mut compare = |what: String, on: &dyn Fn(&Device) -> Vec<Vec<f32>>| {
        for (i, (ours, wanted)) in on(&subject.device).iter().zip(on(&subject.peer)).enumerate() {
            let part = if i == 0 { "output".to_owned() } else { format!("gradient {i}") };
            findings.near(format!("{what}, {part}"), ours, &wanted, subject.tolerance.operation);
        }
    };
    for (kernel, stride) in [(3, [1, 1]), (3, [2, 2]), (3, [2, 1]), (1, [1, 1]), (1, [2, 2])] {
        compare(format!("convolution {kernel}x{kernel}, stride {stride:?}"), &|device| {
            let shapes: [&[usize]; 2] = [&[2, 5, 9, 21], &[7, 5, kernel, kernel]];
            let window = Window::same([kernel; 2], stride);
            traced(device, shapes, |[x, w]| convolve(x, w, window))
        });
    }
    for kernel in [1, 3, 5] {
        compare(format!("depthwise {kernel}x{kernel}"), &|device| {
            traced(device, [&[2, 5, 9, 21], &[5, 1, kernel, kernel]], |[x, w]| depthwise(x, w))
        });
    }
    for rectify in [false, true] {
        let what = if rectify { "BatchNorm and ReLU" } else { "BatchNorm" };
        compare(what.into(), &|device| {
            traced(device, [&[3, 4, 5, 7], &[4], &[4]], |[x, gamma, beta]| {
                normalize(x, gamma.reshape([4]), beta.reshape([4]), 1e-5, rectify).0
            })
        });
    }
    Ok(())
}
