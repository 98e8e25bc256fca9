//! SphereFace2 against plain scalar code in f64, at the ends of its ranges, and in a training.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, TensorData};

use super::*;
use crate::losses::{Head, LossKind};
use crate::nn::{Init, gradients_named};
use crate::optim::{Gate, SgdConfig};
use crate::rng::Stream;

fn config(form: Form) -> HeadConfig {
    HeadConfig { kind: LossKind::SphereFace2, form: Some(form), ..HeadConfig::default() }
}

/// Rows of embeddings and of weights, a bias, and labels.
#[derive(Clone)]
struct Case {
    embeddings: Vec<Vec<f64>>,
    weights: Vec<Vec<f64>>,
    bias: f64,
    labels: Vec<usize>,
}

impl Case {
    /// Numbers that f32 holds exactly, so that both computations begin with the same ones.
    fn drawn(batch: usize, speakers: usize, dim: usize) -> Self {
        let mut stream = Stream::new(5, "sphereface2", &[]);
        let mut rows = |count: usize| -> Vec<Vec<f64>> {
            (0..count)
                .map(|_| (0..dim).map(|_| f64::from(stream.normal() as f32)).collect())
                .collect()
        };
        let (embeddings, weights) = (rows(batch), rows(speakers));
        let labels = (0..batch).map(|i| i % speakers).collect();
        Self { embeddings, weights, bias: 14.5, labels }
    }

    /// All numbers in order: embeddings, weights, bias.
    fn numbers(&mut self) -> Vec<&mut f64> {
        let rows = self.embeddings.iter_mut().chain(&mut self.weights);
        rows.flatten().chain(std::iter::once(&mut self.bias)).collect()
    }

    fn tensor(rows: &[Vec<f64>], device: &Device) -> Tensor<2> {
        let values: Vec<f32> = rows.iter().flatten().map(|&x| x as f32).collect();
        Tensor::from_data(TensorData::new(values, [rows.len(), rows[0].len()]), device)
    }

    /// Loss and gradients of [`Case::numbers`] by the head.
    fn by_head(&self, config: &HeadConfig, margin: f64) -> (f64, Vec<f64>) {
        let (plain, device) = (Device::default(), Device::default().autodiff());
        let mut head = config.init(Init::new(&plain, 0), self.weights[0].len(), self.weights.len());
        head.weight = Param::from_data(Self::tensor(&self.weights, &plain).into_data(), &plain);
        let bias = TensorData::new(vec![self.bias as f32], [1]);
        head.bias = Some(Param::from_data(bias, &plain));
        let head = head.train();
        let embeddings = Self::tensor(&self.embeddings, &device).require_grad();
        let labels: Vec<i64> = self.labels.iter().map(|&label| label as i64).collect();
        let count = labels.len();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), &device);
        let out = head.forward(embeddings.clone(), labels.clone(), margin);
        let loss = head.loss(out.logits, labels);
        let gradients = loss.backward();
        let mut all: Vec<f64> =
            embeddings.grad(&gradients).unwrap().into_data().iter::<f64>().collect();
        for name in ["weight", "bias"] {
            let named = gradients_named(&head, &gradients);
            let (_, data) = named.iter().find(|(n, _)| n == name).unwrap();
            all.extend(data.iter::<f64>());
        }
        (loss.into_data().iter::<f64>().next().unwrap(), all)
    }

    /// The loss as the publication has it, in f64.
    fn by_formula(&self, config: &HeadConfig, margin: f64) -> f64 {
        let (lambda, s, t) = (config.lambda(), config.scale, config.t() as i32);
        let g = |z: f64| 2.0 * ((z + 1.0) / 2.0).powi(t) - 1.0;
        let losses = self.embeddings.iter().zip(&self.labels).map(|(x, &label)| {
            let each = self.weights.iter().enumerate().map(|(speaker, w)| {
                let angle = cosine(x, w).acos();
                let is_own = speaker == label;
                let sign = if is_own { 1.0 } else { -1.0 };
                let z = match config.form() {
                    Form::C => g(angle.cos()) - sign * margin,
                    Form::A if is_own && angle + margin > std::f64::consts::PI => {
                        g(angle.cos() - 1.0 + margin.cos())
                    }
                    Form::A => g((angle + sign * margin).cos()),
                };
                let weight = if is_own { lambda } else { 1.0 - lambda };
                weight * (1.0 + (-sign * (s * z + self.bias)).exp()).ln()
            });
            each.sum::<f64>()
        });
        losses.sum::<f64>() / self.labels.len() as f64
    }

    /// The gradient of [`Case::by_formula`] by finite differences.
    fn slopes(&self, config: &HeadConfig, margin: f64) -> Vec<f64> {
        const STEP: f64 = 1e-6;
        let count = self.clone().numbers().len();
        let at = |i: usize, step: f64| {
            let mut moved = self.clone();
            *moved.numbers()[i] += step;
            moved.by_formula(config, margin)
        };
        (0..count).map(|i| (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP)).collect()
    }
}

fn cosine(x: &[f64], y: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    (dot(x, y) / (dot(x, x) * dot(y, y)).sqrt()).clamp(-1.0, 1.0)
}

#[test]
fn loss_and_gradients_equal_the_formula() {
    let case = Case::drawn(6, 5, 8);
    for form in [Form::C, Form::A] {
        for (t, lambda, margin) in [(3, 0.7, 0.2), (1, 0.5, 0.0), (2, 0.2, 0.4), (7, 0.9, 0.15)] {
            let config =
                HeadConfig { t: Some(t), lambda: Some(lambda), scale: 16.0, ..config(form) };
            let (loss, gradients) = case.by_head(&config, margin);
            let wanted = case.by_formula(&config, margin);
            let what = format!("{form:?} {t} {lambda} {margin}");
            assert!((loss - wanted).abs() < 2e-5 * wanted, "{what}: {loss} against {wanted}");
            let slopes = case.slopes(&config, margin);
            assert_eq!(gradients.len(), slopes.len());
            let largest = slopes.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            for (i, (ours, wanted)) in gradients.iter().zip(&slopes).enumerate() {
                assert!(
                    (ours - wanted).abs() < 1e-4 * largest,
                    "{what}, number {i}: {ours} against {wanted}"
                );
            }
        }
    }
}

/// Embeddings parallel and anti-parallel to their own and to another speaker, and one of zeros.
#[test]
fn extreme_cosines_give_finite_values() {
    let axis =
        |at: usize, x: f64| -> Vec<f64> { (0..4).map(|i| if i == at { x } else { 0.0 }).collect() };
    let case = Case {
        embeddings: vec![axis(0, 1.0), axis(0, -3.0), axis(1, 2.0), axis(1, -1.0), axis(0, 0.0)],
        weights: (0..4).map(|i| axis(i, 1.0)).collect(),
        bias: 24.0,
        labels: vec![0, 0, 0, 0, 0],
    };
    for form in [Form::C, Form::A] {
        for (scale, t) in [(32.0, 3), (1e-3, 1), (1e4, 2), (1e4, 16)] {
            for margin in [0.0, 0.2, 1.5] {
                for bias in [24.0, 0.0, -1e4] {
                    let config = HeadConfig { scale, t: Some(t), ..config(form) };
                    let (loss, gradients) = Case { bias, ..case.clone() }.by_head(&config, margin);
                    let is_finite = loss.is_finite() && gradients.iter().all(|g| g.is_finite());
                    assert!(is_finite, "{form:?} {scale} {t} {margin} {bias}: {loss}");
                }
            }
        }
    }
}

/// log(1 + e^x) from the exact value at 0 to where e^x overflows f32.
#[test]
fn softplus_is_exact_far_out() {
    let device = Device::default().autodiff();
    let x = [-200.0f32, -40.0, -3.0, 0.0, 3.0, 40.0, 200.0];
    let tensor =
        Tensor::<2>::from_data(TensorData::new(x.to_vec(), [1, x.len()]), &device).require_grad();
    let y = softplus(tensor.clone());
    let gradients = y.clone().sum().backward();
    let y: Vec<f64> = y.into_data().iter::<f64>().collect();
    let slopes: Vec<f64> = tensor.grad(&gradients).unwrap().into_data().iter::<f64>().collect();
    for (i, x) in x.into_iter().map(f64::from).enumerate() {
        let wanted = x.max(0.0) + (-x.abs()).exp().ln_1p();
        assert!((y[i] - wanted).abs() <= 1e-5 * wanted.max(1e-30), "{x}: {}", y[i]);
        let wanted = 1.0 / (1.0 + (-x).exp());
        assert!((slopes[i] - wanted).abs() <= 1e-5 * wanted.max(1e-30), "{x}: {}", slopes[i]);
    }
}

/// At the first bias, and with all cosines 0, nothing pulls on the bias.
#[test]
fn the_first_bias_is_balanced() {
    for speakers in [2, 10, 500] {
        for (t, lambda) in [(3, 0.7), (1, 0.4), (8, 0.9)] {
            let config =
                HeadConfig { t: Some(t), lambda: Some(lambda), scale: 20.0, ..config(Form::C) };
            let bias = Binary::of(&config).first_bias(speakers);
            let logit = config.scale * (2.0 * 0.5f64.powi(t as i32) - 1.0) + bias;
            let sure = 1.0 / (1.0 + (-logit).exp());
            let (own, others) =
                (lambda * (1.0 - sure), (1.0 - lambda) * (speakers - 1) as f64 * sure);
            assert!((own - others).abs() < 1e-9 * own, "{speakers} {t} {lambda}");
            let head = config.init(Init::new(&Device::default(), 0), 4, speakers);
            let first: Vec<f32> = head.bias.unwrap().val().into_data().iter::<f32>().collect();
            assert_eq!(first, [bias as f32]);
        }
    }
}

#[test]
fn a_small_training_learns() {
    let (speakers, dim, count) = (4, 6, 24);
    let (plain, device) = (Device::default(), Device::default().autodiff());
    let mut stream = Stream::new(6, "sphereface2 training", &[]);
    let labels: Vec<i64> = (0..count as i64).map(|i| i % speakers as i64).collect();
    let mut values = Vec::new();
    for &label in &labels {
        let center = |i: usize| if i as i64 == label { 1.0 } else { 0.0 };
        values.extend((0..dim).map(|i| (center(i) + 0.2 * stream.normal()) as f32));
    }
    let x = Tensor::<2>::from_data(TensorData::new(values, [count, dim]), &device);
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [count]), &device);
    for (form, margin) in [(Form::C, 0.2), (Form::A, 0.15)] {
        let config = HeadConfig { scale: 16.0, ..config(form) };
        let mut head: Head = config.init(Init::new(&plain, 1), dim, speakers).train();
        let mut optimizer = SgdConfig::default().stepper().unwrap();
        let mut losses = Vec::new();
        for _ in 0..100 {
            let out = head.forward(x.clone(), labels.clone(), margin);
            let loss = head.loss(out.logits, labels.clone());
            losses.push(loss.clone().into_data().iter::<f64>().next().unwrap());
            let gradients = GradientsParams::from_grads(loss.backward(), &head);
            head = optimizer.step(0.05, head, gradients, Gate::Open(1.0));
        }
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.1 * first, "{form:?}: {first} to {last}");
        let scores = head.forward(x.clone(), labels.clone(), margin).scores;
        let right = scores.argmax(1).reshape([count]).equal(labels.clone());
        let right: f64 = right.float().sum().into_data().iter::<f64>().next().unwrap();
        assert!(right > 0.9 * count as f64, "{form:?}: {right} of {count}");
    }
}
