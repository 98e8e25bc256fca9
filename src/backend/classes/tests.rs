//! Parts against all classes at once.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::*;
use crate::backend::BackendKind;
use crate::rng::Stream;

/// Products and nothing else, times a factor.
#[derive(Debug, Clone)]
struct Products(f64);

impl Logits for Products {
    fn logits(&self, x: Tensor<2>, weight: Tensor<2>, _: &Own) -> Scored {
        let scores = x.matmul(weight.transpose());
        Scored { logits: scores.clone() * self.0, scores }
    }
}

fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut stream = Stream::new(seed, "classes", &[]);
    (0..count).map(|_| stream.normal() as f32).collect()
}

fn leaf(values: Vec<f32>, columns: usize, device: &Device) -> Tensor<2> {
    let rows = values.len() / columns;
    let data = TensorData::new(values, [rows, columns]);
    Tensor::from_data(data, &device.clone().autodiff()).require_grad()
}

/// Loss, right answers, and the gradients of both factors.
fn traced(
    [x, weight]: [Tensor<2>; 2],
    loss: impl Fn(Tensor<2>, Tensor<2>) -> [Tensor<1>; 2],
) -> [Vec<f64>; 4] {
    let [loss, right] = loss(x.clone(), weight.clone());
    let mut gradients = loss.backward();
    let [dx, dweight] = [x, weight].map(|t| t.grad_remove(&mut gradients).unwrap().into_data());
    [loss.into_data(), right.into_data(), dx, dweight].map(|data| data.iter::<f64>().collect())
}

/// Factors up to those whose exponentials f32 cannot hold.
#[test]
fn parts_are_burns_cross_entropy() {
    let (batch, dim, classes) = (5, 3, 8);
    for kind in BackendKind::ALL {
        let Ok(device) = kind.device(0) else { continue };
        let labels = TensorData::new(vec![0i64, 7, 3, 3, 5], [batch]);
        let labels = Tensor::<1, Int>::from_data(labels, &device);
        let tensors = || {
            let (x, weight) = (values(batch * dim, 1), values(classes * dim, 2));
            [leaf(x, dim, &device), leaf(weight, dim, &device)]
        };
        for factor in [1.0, 30.0, 3000.0] {
            let wanted = traced(tensors(), |x, weight| {
                let scores = x.matmul(weight.transpose());
                let loss = log_softmax(scores.clone() * factor, 1)
                    .gather(1, labels.clone().unsqueeze_dim::<2>(1))
                    .mean()
                    .neg();
                let right = scores.inner().argmax(1).reshape([batch]).equal(labels.clone());
                [loss, right.float().sum()]
            });
            for part in [1, 3, 8] {
                let ours = traced(tensors(), |x, weight| {
                    let labels = labels.clone();
                    class_loss(
                        x,
                        weight,
                        Classes { logits: Products(factor), labels, rows: 1, part },
                    )
                });
                let what = format!("{kind:?}, factor {factor}, {part} at a time");
                assert_eq!(ours[1], wanted[1], "{what}");
                for (ours, wanted) in ours.iter().zip(&wanted) {
                    let largest = wanted.iter().fold(0.0f64, |m, x| m.max(x.abs()));
                    for (a, b) in ours.iter().zip(wanted) {
                        assert!((a - b).abs() <= 2e-5 * largest, "{what}: {a} against {b}");
                    }
                }
            }
        }
    }
}

/// The first of equal scores counts, also where a later part has the same one.
#[test]
fn of_equal_scores_the_first_counts() {
    let device = Device::default();
    let weight = leaf(vec![1.0, 2.0, 2.0, 0.0, 2.0], 1, &device);
    for (label, right) in [(0i64, 0.0), (1, 1.0), (2, 0.0), (4, 0.0)] {
        let labels = Tensor::<1, Int>::from_data(TensorData::new(vec![label], [1]), &device);
        for part in [1, 2, 5] {
            let x = leaf(vec![1.0], 1, &device);
            let of = Classes { logits: Products(1.0), labels: labels.clone(), rows: 1, part };
            let [_, found] = class_loss(x, weight.clone(), of);
            assert_eq!(found.into_scalar::<f64>(), right, "label {label}, {part} at a time");
        }
    }
}
