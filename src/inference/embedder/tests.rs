use super::*;
use crate::audio::{load, write_wav16};
use crate::backend::BackendKind;
use crate::inference::tests::{MELS, arch, flex, frontend, network, recording, tone};
use crate::model_file::Header;
use crate::nn::{Precision, difference, names_and_shapes, trained};
use crate::quant::config::SmallLayers;
use crate::quant::{Activations, QuantizeConfig, Quantizer, RangeMethod, Ranges, uniform};

/// Feature sets of several lengths, some of them equal.
fn sets() -> Vec<Features> {
    let of = |frames: usize| {
        let values = (0..frames * MELS).map(|i| ((i + frames) as f32 * 0.37).sin()).collect();
        Features { values, frames, mels: MELS }
    };
    [3, 70, 130, 70, 300, 3, 3, 70].map(of).to_vec()
}

fn assert_near(ours: &Embedder, burns: &Embedder) {
    assert!(ours.runtime.is_some() && burns.runtime.is_none());
    let sets = sets();
    let sets: Vec<&Features> = sets.iter().collect();
    let rows = |embedder: &Embedder| embedder.features(&sets, &|_| ());
    for (i, (ours, wanted)) in rows(ours).iter().zip(&rows(burns)).enumerate() {
        let off = difference(ours, wanted);
        assert!(off <= 1e-5, "{} frames: {off}", sets[i].frames);
    }
}

#[test]
fn the_runtime_gives_burns_embeddings() {
    let device = flex();
    let network = trained(arch().init(&device, 1).unwrap());
    let burns = Embedder::by_burn(&network, &frontend(), &device).unwrap();
    assert_near(&Embedder::new(&network, &frontend(), &device).unwrap(), &burns);
    let on_tape = Embedder::new(&network, &frontend(), &device.clone().autodiff()).unwrap();
    assert_near(&on_tape, &burns);
    let header = Header::new(arch(), frontend());
    let model = Model { header, network: network.clone() };
    assert_near(&Embedder::of(&model, &device).unwrap(), &burns);
    // Ndarray is a second opinion, so Burn runs it.
    if let Ok(device) = BackendKind::Ndarray.device(0) {
        let network = arch().init(&device, 1).unwrap();
        let embedder = Embedder::new(&network, &frontend(), &device).unwrap();
        assert!(embedder.runtime.is_none());
    }
}

/// Where the network's tensors are not what it computes with, only a packed model says what is.
#[test]
fn quantized_networks_keep_their_weights() {
    let device = flex();
    let network = trained(arch().init(&device, 1).unwrap());
    let small_layers = SmallLayers::FewerBits;
    let config = QuantizeConfig { small_layers, ..QuantizeConfig::default() };
    let plan = uniform(&names_and_shapes(&network), &config).unwrap();
    let quantizer = Quantizer::new(plan, config);
    let network = quantizer.attach(network).unwrap();
    quantizer.set_stage(quantizer.stages());
    let header = Header::new(arch(), frontend());
    let packed = Model::packed(&header, &network, &quantizer, &device).unwrap();
    let model = Model { header, network };
    for embedder in [
        Embedder::new(&model.network, &frontend(), &device).unwrap(),
        Embedder::of(&model, &device).unwrap(),
        Embedder::new(&packed.network, &frontend(), &device).unwrap(),
    ] {
        assert!(embedder.runtime.is_none());
        assert_near(&Embedder::of(&packed, &device).unwrap(), &embedder);
    }
    for network in [&model.network, &packed.network] {
        assert!(Runtime::of_network(network, MELS).is_err());
    }
}

/// A model whose last convolution computes in integers.
fn with_ranges(device: &Device) -> Model {
    let network = trained(arch().init(device, 1).unwrap());
    let mut header = Header::new(arch(), frontend());
    let ranges = Ranges { input: [0.0, 4.0], output: [0.0, 4.0] };
    let layers = [("layer4.0.conv2.weight".to_owned(), ranges)].into();
    let (bits, method) = (Activations::BITS, RangeMethod::Percentile);
    header.activations = Some(Activations { bits, method, utterances: 1, layers });
    Model { header, network }
}

#[test]
fn models_with_ranges_compute_in_integers_where_a_runtime_runs_them() {
    let sets = sets();
    let set = &sets[1];
    let of = |embedder: &Embedder| embedder.features(&[set], &|_| ()).remove(0);
    let model = with_ranges(&flex());
    let ours = of(&Embedder::of(&model, &flex()).unwrap());
    assert_eq!(ours, Runtime::of(&model).unwrap().embed(&set.values, set.frames).unwrap());
    for floats in [
        of(&Embedder::of(&model.with_f32_activations(), &flex()).unwrap()),
        of(&Embedder::new(&model.network, &frontend(), &flex()).unwrap()),
    ] {
        let off = difference(&ours, &floats);
        assert!(off > 1e-5, "{off}");
    }
    if let Ok(device) = BackendKind::Ndarray.device(0) {
        let model = with_ranges(&device);
        let embedder = Embedder::of(&model, &device).unwrap();
        let burns = Embedder::by_burn(&model.network, &frontend(), &device).unwrap();
        assert!(embedder.runtime.is_none() && of(&embedder) == of(&burns));
    }
}

#[test]
fn networks_that_compute_in_fewer_bits_keep_to_them() {
    let device = flex();
    for precision in [Precision::Bf16, Precision::F16] {
        let network = precision.apply(network(), &device).unwrap();
        let embedder = Embedder::new(&network, &frontend(), &device).unwrap();
        assert!(embedder.runtime.is_none() && Runtime::of_network(&network, MELS).is_err());
    }
}

#[test]
fn burn_takes_the_place_of_a_runtime_that_lacks_an_operation() {
    let (network, device) = (network(), flex());
    let embedder = Embedder::by_burn(&network, &frontend(), &device).unwrap();
    let embedder = embedder.by(Some(Err(Error::invalid("no such operation"))));
    let sets = sets();
    assert_eq!(embedder.features(&[&sets[0]], &|_| ())[0].len(), 8);
}

#[test]
fn samples_have_the_embedding_of_their_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    write_wav16(&path, &tone(50_000), 16_000).unwrap();
    let samples = load(&path, 16_000, None).unwrap().samples;
    let (network, device) = (network(), Device::default());
    for window in [WINDOW, 3.125, 1.0, 0.7] {
        let embedder = Embedder::new(&network, &frontend(), &device).unwrap().window(window);
        let embedding = embedder.file(&path).unwrap();
        assert_eq!(embedding.len(), 8);
        assert_eq!(embedder.samples(&samples).unwrap(), embedding, "{window}");
        // A tone is louder than what is no speech.
        let embedder = embedder.vad(true);
        assert_eq!(embedder.file(&path).unwrap(), embedding, "{window}");
        assert_eq!(embedder.samples(&samples).unwrap(), embedding, "{window}");
    }
    let embedder = Embedder::new(&network, &frontend(), &device).unwrap();
    assert!(embedder.samples(&[]).is_err() && embedder.samples(&samples[..100]).is_err());
    let error = embedder.file(&dir.path().join("b.wav")).unwrap_err().to_string();
    assert!(error.contains("b.wav"), "{error}");
}

#[test]
fn the_embedding_of_windows_is_their_mean_direction() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    write_wav16(&path, &tone(50_000), 16_000).unwrap();
    let (network, device) = (network(), Device::default());
    let of = |window| {
        let embedder = Embedder::new(&network, &frontend(), &device).unwrap().window(window);
        let windows = recording(&embedder.reading(), &path).unwrap().windows;
        let rows = embedder.features(&windows.iter().collect::<Vec<_>>(), &|_| ());
        (embedder.file(&path).unwrap(), rows)
    };
    let (mean, rows) = of(1.0);
    let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
    for (i, m) in mean.iter().enumerate() {
        let wanted = rows.iter().map(|row| row[i] / length(row)).sum::<f32>() / 4.0;
        assert!((m - wanted).abs() < 1e-6, "{m} {wanted}");
    }
    let (single, rows) = of(WINDOW);
    assert_eq!(vec![single], rows);
}

#[test]
fn a_channel_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let (two, one) = (dir.path().join("two.wav"), dir.path().join("one.wav"));
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&two, spec).unwrap();
    let samples = tone(8000);
    for x in &samples {
        writer.write_sample(0i16).unwrap();
        writer.write_sample((x * 32_768.0).round() as i16).unwrap();
    }
    writer.finalize().unwrap();
    write_wav16(&one, &samples, 16_000).unwrap();
    let (network, device) = (network(), Device::default());
    let embedder = || Embedder::new(&network, &frontend(), &device).unwrap();
    let error = embedder().file(&two).unwrap_err().to_string();
    assert!(error.contains("has 2 channels"), "{error}");
    assert_eq!(embedder().channel(Some(1)).file(&two).unwrap(), embedder().file(&one).unwrap());
}
