//! Speakers in parts against all at once.

use burn::module::Module;
use burn::tensor::{Device, TensorData};

use super::*;
use crate::backend::BackendKind;
use crate::losses::InterTopK;
use crate::nn::{Init, gradients_named};
use crate::rng::Stream;

const BATCH: usize = 9;
const DIM: usize = 6;
const SPEAKERS: usize = 7;

fn configs() -> Vec<HeadConfig> {
    let base = HeadConfig::default();
    vec![
        base.clone(),
        HeadConfig { easy_margin: true, ..base.clone() },
        HeadConfig { sub_centers: 3, ..base.clone() },
        HeadConfig { kind: LossKind::Am, scale: 20.0, ..base.clone() },
        HeadConfig { kind: LossKind::Am, sub_centers: 2, ..base },
    ]
}

/// A head, embeddings as a leaf, and labels of the first and last speaker among others.
#[derive(Clone)]
struct Case {
    head: Head,
    embeddings: Tensor<2>,
    labels: Tensor<1, Int>,
}

impl Case {
    fn new(config: &HeadConfig, speakers: usize, batch: usize, device: &Device) -> Self {
        let autodiff = device.clone().autodiff();
        let mut stream = Stream::new(2, "speakers in parts", &[]);
        let values: Vec<f32> = (0..batch * DIM).map(|_| stream.normal() as f32).collect();
        let embeddings = Tensor::<2>::from_data(TensorData::new(values, [batch, DIM]), &autodiff);
        let last = speakers as i64 - 1;
        let labels: Vec<i64> = (0..batch as i64).map(|i| (i * last / 4) % (last + 1)).collect();
        Self {
            head: config.init(Init::new(device, 3), DIM, speakers).train(),
            embeddings: embeddings.require_grad(),
            labels: Tensor::from_data(TensorData::new(labels, [batch]), &autodiff),
        }
    }

    /// By [`Head::forward`] and [`Head::loss`]: all speakers at once.
    fn whole(&self) -> Judged {
        let out = self.head.forward(self.embeddings.clone(), self.labels.clone(), 0.2);
        let right = super::super::right(out.scores, self.labels.clone());
        Judged { loss: self.head.loss(out.logits, self.labels.clone()), right }
    }

    fn parts(&self, part: usize) -> Judged {
        self.head.in_parts(self.embeddings.clone(), self.labels.clone(), 0.2, part)
    }

    /// Loss, right answers, and the gradients of 0.7 times the loss by embeddings and weights.
    fn numbers(&self, judged: Judged) -> [Vec<f64>; 4] {
        let Judged { loss, right } = judged;
        let mut gradients = (loss.clone() * 0.7).backward();
        let embeddings = self.embeddings.grad_remove(&mut gradients).unwrap();
        let (_, weight) = gradients_named(&self.head, &gradients).into_iter().next().unwrap();
        [loss.into_data(), right.into_data(), embeddings.into_data(), weight]
            .map(|data| data.iter::<f64>().collect())
    }
}

#[track_caller]
fn near(ours: &[Vec<f64>; 4], wanted: &[Vec<f64>; 4], what: &str) {
    assert_eq!(ours[1], wanted[1], "{what}: right answers");
    for (ours, wanted) in ours.iter().zip(wanted) {
        assert_eq!(ours.len(), wanted.len(), "{what}");
        let largest = wanted.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let off = ours.iter().zip(wanted).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
        assert!(off <= 1e-5 * largest, "{what}: {off} of {largest}");
    }
}

/// Each speaker by itself, parts with and without a rest, and all in one part.
#[test]
fn parts_give_loss_and_gradients_of_the_whole() {
    for kind in BackendKind::ALL {
        let Ok(device) = kind.device(0) else { continue };
        for config in configs() {
            let case = Case::new(&config, SPEAKERS, BATCH, &device);
            let wanted = case.numbers(case.whole());
            for part in [1, 2, 3, SPEAKERS, SPEAKERS + 5] {
                let what = format!("{kind:?}, {config:?}, {part} at a time");
                near(&case.numbers(case.parts(part)), &wanted, &what);
            }
        }
    }
}

/// Gradients that nobody wants are not computed, and change nothing about the others.
#[test]
fn frozen_weights_and_constant_embeddings_have_no_gradients() {
    let device = Device::default();
    let case = Case::new(&HeadConfig::default(), SPEAKERS, BATCH, &device);
    let [_, _, embeddings, weight] = case.numbers(case.parts(3));

    let frozen = Case { head: case.head.clone().no_grad(), ..case.clone() };
    let mut gradients = (frozen.parts(3).loss * 0.7).backward();
    let found = frozen.embeddings.grad_remove(&mut gradients).unwrap().into_data();
    assert_eq!(found.iter::<f64>().collect::<Vec<_>>(), embeddings);
    assert!(gradients_named(&frozen.head, &gradients).is_empty());

    let constant = case.embeddings.clone().inner().autodiff();
    let judged = case.head.in_parts(constant, case.labels.clone(), 0.2, 3);
    let gradients = (judged.loss * 0.7).backward();
    let (_, found) = gradients_named(&case.head, &gradients).into_iter().next().unwrap();
    assert_eq!(found.iter::<f64>().collect::<Vec<_>>(), weight);
}

/// A head without a tape is judged too.
#[test]
fn parts_need_no_tape() {
    let case = Case::new(&HeadConfig::default(), SPEAKERS, BATCH, &Device::default());
    let wanted = case.numbers(case.whole());
    let (head, x) = (case.head.clone().valid(), case.embeddings.clone().inner());
    let judged = head.in_parts(x, case.labels.clone().inner(), 0.2, 2);
    let loss = judged.loss.into_scalar::<f64>();
    assert!((loss - wanted[0][0]).abs() < 1e-5 * wanted[0][0]);
    assert_eq!(judged.right.into_scalar::<f64>(), wanted[1][0]);
}

/// Small heads stay as they are, to the bit; large ones come in parts.
#[test]
fn size_decides() {
    let config = HeadConfig::default();
    let case = Case::new(&config, SPEAKERS, BATCH, &Device::default());
    let judged = case.head.judge(case.embeddings.clone(), case.labels.clone(), 0.2);
    assert_eq!(case.numbers(judged), case.numbers(case.whole()));

    let large = Case::new(&config, 60_000, 40, &Device::default());
    let part = speakers_at_once(&config, 40, DIM, 60_000).unwrap();
    let judged = large.head.judge(large.embeddings.clone(), large.labels.clone(), 0.2);
    let ours = large.numbers(judged);
    assert_eq!(ours, large.numbers(large.parts(part)));
    near(&ours, &large.numbers(large.whole()), "60000 speakers");
}

#[test]
fn parts_hold_few_values() {
    let config = HeadConfig::default();
    assert_eq!(speakers_at_once(&config, 128, 256, 5994), None);
    assert_eq!(speakers_at_once(&config, 512, 256, 4096), None);
    assert_eq!(speakers_at_once(&config, 512, 256, 4097), Some((1 << 19) / 768));
    for (batch, dim, speakers, sub_centers) in
        [(512, 256, 17_982, 1), (512, 256, 17_982, 3), (1 << 20, 256, 100, 1), (3, 2, 1 << 20, 1)]
    {
        let config = HeadConfig { sub_centers, ..config.clone() };
        let part = speakers_at_once(&config, batch, dim, speakers).unwrap();
        let values = part * sub_centers * (batch + dim);
        assert!(part == 1 || (values <= 1 << 19 && part <= speakers), "{part}");
    }
    let penalty = Some(InterTopK::default());
    for config in [
        HeadConfig { inter_topk: penalty, ..config.clone() },
        HeadConfig { kind: LossKind::Softmax, ..config.clone() },
        HeadConfig { kind: LossKind::SphereFace2, ..config },
    ] {
        assert_eq!(speakers_at_once(&config, 512, 256, 17_982), None, "{config:?}");
    }
}
