//! Losses of heads and their gradients against another backend, for numbers of speakers that GPUs
//! read by one, by two and by four at a time.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Findings, Subject, numbers, tensor, values};
use crate::error::Result;
use crate::losses::{Form, HeadConfig, InterTopK, LossKind};
use crate::nn::{Init, gradients_named};

/// Examples, and values of an embedding.
const BATCH: usize = 4;
const DIM: usize = 6;

/// Loss, and gradients of embeddings and of all the head's tensors.
fn gradients(config: &HeadConfig, speakers: usize, device: &Device) -> Vec<(String, Vec<f32>)> {
    let device = device.clone().autodiff();
    let head = config.init(Init::new(&device, 3), DIM, speakers).train();
    let labels = vec![0i64, speakers as i64 - 1, 1, speakers as i64 - 1];
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &device);
    let x = tensor(numbers(BATCH * DIM), [BATCH, DIM], &device).require_grad();
    let loss = head.judge(x.clone(), labels, 0.2).loss;
    let gradients = loss.backward();
    let mut all = vec![("loss".to_owned(), values(loss.into_data()))];
    if let Some(gradient) = x.grad(&gradients) {
        all.push(("gradient of embeddings".to_owned(), values(gradient.into_data())));
    }
    let named = gradients_named(&head, &gradients);
    all.extend(named.into_iter().map(|(name, d)| (format!("gradient of {name}"), values(d))));
    all
}

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let plain = HeadConfig::default();
    let of = |kind| HeadConfig { kind, ..plain.clone() };
    let hardest = |k| Some(InterTopK { k, penalty: 0.06 });
    let heads = [
        ("softmax", of(LossKind::Softmax)),
        ("am", of(LossKind::Am)),
        ("aam", of(LossKind::Aam)),
        ("aam, hardest", HeadConfig { inter_topk: hardest(1), ..plain.clone() }),
        ("aam, three hardest", HeadConfig { inter_topk: hardest(3), ..plain.clone() }),
        ("aam, two centers", HeadConfig { sub_centers: 2, ..plain.clone() }),
        ("sphereface2", of(LossKind::SphereFace2)),
        ("sphereface2, form A", HeadConfig { form: Some(Form::A), ..of(LossKind::SphereFace2) }),
    ];
    for (name, config) in heads {
        for speakers in [5, 6, 8] {
            let ours = gradients(&config, speakers, &subject.device);
            let wanted = gradients(&config, speakers, &subject.peer);
            for ((what, ours), (_, wanted)) in ours.iter().zip(&wanted) {
                let case = format!("{name}, {speakers} speakers, {what}");
                findings.near(case, ours, wanted, subject.tolerance.operation);
            }
        }
    }
    Ok(())
}
