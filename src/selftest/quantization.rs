//! Quantized weights: tables, training through a quantizer, packed networks and their files.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::training::{Named, gradients};
use super::{Findings, Subject, numbers, small, tensor, values};
use crate::audio::FbankConfig;
use crate::backend::codes::{nearest, pack, unpack, words};
use crate::error::{Error, Result};
use crate::losses::HeadConfig;
use crate::model_file::{Frontend, Header, Model, NamedTensors};
use crate::nn::{Mode, PoolingKind, names_and_shapes};
use crate::quant::config::SmallLayers;
use crate::quant::{Codebook, Method, QuantizeConfig, Quantizer, TensorScheme, uniform};
use crate::train::Trainee;
use crate::train::quantize::quantize;

/// Lookups only compare and copy, so all backends give the same bits.
fn tables(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let weights = numbers(6000);
    let binary =
        QuantizeConfig { method: Method::BinaryStatic, per_channel: true, ..Default::default() }
            .scheme(1);
    for scheme in (1..=8).map(TensorScheme::kmeans).chain([binary]) {
        let bits = scheme.bits;
        let book = Codebook::fit(scheme, &weights, &[30, 200])
            .map_err(|e| Error::Undefined(format!("a codebook of {bits} bits: {e}")))?;
        let codes = book.encode(&weights);
        let wanted = book.decode(&codes);
        let rows = |values: Vec<f32>| {
            let columns = values.len() / book.groups();
            tensor(values, [book.groups(), columns], &subject.device)
        };
        let what = if book.groups() > 1 {
            "1 bit, a table per channel".to_owned()
        } else {
            format!("{bits} bits")
        };
        let x: Tensor<2> = tensor(weights.clone(), [30, 200], &subject.device);
        let ours = values(nearest(x, rows(book.bounds()), rows(book.table())).into_data());
        findings.same(format!("nearest centroids, {what}"), &ours, &wanted);
        let words = words(&pack(&codes, bits), &subject.device);
        let ours = values(unpack(words, rows(book.table()), bits, [6000]).into_data());
        findings.same(format!("unpacked weights, {what}"), &ours, &wanted);
    }
    Ok(())
}

fn three_bits() -> QuantizeConfig {
    QuantizeConfig { bits: 3, small_layers: SmallLayers::FewerBits, ..Default::default() }
}

/// The loss, and the gradients of latent weights.
fn step(name: &str, device: &Device) -> Result<Named> {
    let trainee =
        Trainee::new(&small(name, PoolingKind::Tstp)?, &HeadConfig::default(), 4, device, 3)?;
    let plan = uniform(&names_and_shapes(&trainee.network), &three_bits())?;
    let network = Quantizer::new(plan, three_bits()).attach(trainee.network)?;
    let trainee = Trainee { network, ..trainee }.train();
    let (mut all, _) = gradients(&trainee, 40, device);
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

pub(super) fn run(subject: &Subject, findings: &mut Findings) -> Result<()> {
    tables(subject, findings)?;
    for name in ["resnet10", "rev1-resnet10"] {
        let (ours, wanted) = (step(name, &subject.device)?, step(name, &subject.peer)?);
        findings.all_near(
            &format!("{name} through a quantizer"),
            &ours,
            &wanted,
            subject.tolerance.step,
        );
    }
    Ok(())
}

/// Packs a network on one device, reads the file on another, and gives its embeddings, the file,
/// and the file written again.
fn journey(from: &Device, to: &Device) -> Result<(Vec<f32>, Vec<u8>, Vec<u8>)> {
    let folder =
        tempfile::tempdir().map_err(|e| Error::Undefined(format!("no temporary folder: {e}")))?;
    let path = folder.path().join("packed.safetensors");
    let arch = small("df-resnet32", PoolingKind::Tstp)?;
    let network = arch.init(from, 5)?;
    let frontend = Frontend { fbank: FbankConfig { mels: 16, ..Default::default() }, cmn: true };
    let model = Model { header: Header::new(arch, frontend), network };
    let plan = uniform(&names_and_shapes(&model.network), &three_bits())?;
    let packed = quantize(&model, &Quantizer::new(plan, three_bits()), from)?;
    let bytes = packed.to_bytes(&path, NamedTensors::default())?;
    crate::fs::write_bytes(&path, &bytes)?;
    let read = Model::load(&path, to)?;
    let again = read.to_bytes(&path, NamedTensors::default())?;
    let x = tensor(numbers(2 * 40 * 16), [2, 40, 16], to);
    Ok((values(read.network.forward(x, Mode::Eval).into_data()), bytes, again))
}

pub(super) fn packed(subject: &Subject, findings: &mut Findings) -> Result<()> {
    let (here, there) = (&subject.device, &subject.peer);
    let (wanted, file, _) = journey(there, there)?;
    for (what, from, to) in
        [("packed and read here", here, here), ("packed there, read here", there, here)]
    {
        let (ours, bytes, again) = journey(from, to)?;
        findings.near(format!("embeddings, {what}"), &ours, &wanted, subject.tolerance.embedding);
        findings.same(format!("file, {what}"), &bytes, &file);
        findings.same(format!("file written again, {what}"), &again, &file);
    }
    Ok(())
}
