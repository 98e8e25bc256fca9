use std::path::Path;

use burn::tensor::TensorData;

use super::*;
use crate::audio::write_wav16;
use crate::error::Result;
use crate::inference::tests::{MELS, flex, frontend, network, tone};
use crate::inference::{Embedder, Facts, Features};
use crate::nn::graph::Op;
use crate::nn::{Mode, difference, trained};
use crate::rng::Stream;
use crate::zoo::tests::various;
use crate::zoo::{Architecture, names};

#[test]
fn lengths_are_few() {
    let lengths: BTreeSet<usize> = (1..=2048).map(padded_length).collect();
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), FRAMES);
    for frames in 1..10_000 {
        let padded = padded_length(frames);
        assert!(padded >= frames && padded.is_multiple_of(GRAIN), "{frames}: {padded}");
        // From one length to the next they grow by at most a half; the first and the longest ones
        // double.
        let doubles = frames <= 128 || frames > 2048;
        let most = if doubles { 2 * frames } else { 3 * frames / 2 };
        assert!(frames < 32 || padded <= most, "{frames}: {padded}");
    }
    let padding = Mutex::new(Padding::new(&FbankConfig::default()));
    let shapes = Shapes { longest: 2998, padding: &padding };
    let all = [1, 64, 65, 2048, 2049, 2998, 2999];
    // The longest window has no more than its own length, what is not cut into windows has.
    assert_eq!(all.map(|frames| shapes.length(frames)), [64, 64, 128, 2048, 3008, 3008, 4096]);
}

#[test]
fn lengths_are_multiples_of_every_network_s_stride() {
    for name in names() {
        let graph = Architecture::named(&name).unwrap().graph(FRAMES[0]).unwrap();
        let pool = graph.nodes.iter().find(|node| matches!(node.op, Op::Pool(_))).unwrap();
        let left = graph.size(pool.inputs[0])[1];
        // Convolutions without padding lose the frames that an utterance must have.
        let left = left + if name == "tdnn" { 14 } else { 0 };
        let stride = FRAMES[0] / left;
        assert_eq!((stride * left, GRAIN % stride), (FRAMES[0], 0), "{name}");
    }
}

#[test]
fn batches_are_more_than_half_full() {
    assert_eq!([0, 1, 3, 4, 63, 64, 200].map(full), [1, 1, 1, 4, 16, 64, 64]);
    let of = |most: usize| [1, 2, 3, 5, 8, 9, 16, 17, 40].map(|waiting| size(waiting, most));
    assert_eq!(of(16), [1, 1, 4, 4, 4, 16, 16, 16, 16]);
    assert_eq!(of(64), [1, 1, 4, 4, 4, 16, 16, 16, 64]);
    assert_eq!(of(1), [1; 9]);
}

#[test]
fn padding_is_told() {
    let padding = Mutex::new(Padding::new(&FbankConfig::default()));
    let shapes = Shapes { longest: 30_000, padding: &padding };
    let text = || padding.lock().unwrap().to_string();
    shapes.count(4, 128, 400);
    assert_eq!(text(), "lengths in 1 shape, 1.28 s; padded by 28 % on average");
    shapes.count(1, 1536, 1536);
    shapes.count(16, 64, 1024);
    assert_eq!(text(), "lengths in 3 shapes, 0.64 s to 15.36 s; padded by 4 % on average");
}

/// Lengths `own` together in `frames` frames, with noise behind them, against each alone.
fn compare(arch: &Architecture, frames: usize, own: &[usize]) {
    let (device, mels) = (flex(), arch.mels);
    let network = trained(arch.init(&device, 7).unwrap());
    let mut stream = Stream::new(5, "shapes", &[]);
    let values: Vec<f32> = (0..own.len() * frames * mels).map(|_| stream.normal() as f32).collect();
    let values = TensorData::new(values, [own.len(), frames, mels]);
    let features = Tensor::<3>::from_data(values, &device);
    let rows = |output: Tensor<2>| output.into_data().iter::<f32>().collect::<Vec<f32>>();
    let ours = rows(masked(&network, features.clone(), own.to_vec()));
    let ours = ours.chunks_exact(arch.embedding_dim);
    for ((i, &length), ours) in own.iter().enumerate().zip(ours) {
        let alone = features.clone().slice([i..i + 1, 0..length, 0..mels]);
        let off = difference(ours, &rows(network.forward(alone, Mode::Eval)));
        assert!(off <= 1e-5, "{} {:?}, {length} frames: {off}", arch.name, arch.pooling);
    }
}

#[test]
fn every_network_gives_what_it_gives_without_padding() {
    let mut seen = 0;
    for arch in various(16) {
        let least = arch.least_frames().unwrap();
        // Strides and squeezes by 8 leave 6, 4, 2 and 1 frames.
        let mut lengths = vec![48, 29, 9, 5];
        lengths.retain(|&frames| frames >= least);
        compare(&arch, 48, &lengths);
        seen += 1;
    }
    assert!(seen > names().count(), "{seen}");
}

/// Files of several lengths, two of them in windows, and feature sets.
#[test]
fn embeddings_are_those_of_cpu_backends() {
    let dir = tempfile::tempdir().unwrap();
    let (network, device) = (trained(network()), flex());
    let seconds = [0.3, 0.9, 2.1, 0.31, 0.95, 1.0, 0.4];
    let paths: Vec<_> = (0..seconds.len()).map(|i| dir.path().join(format!("{i}.wav"))).collect();
    for (path, seconds) in paths.iter().zip(seconds) {
        write_wav16(path, &tone((16_000.0 * seconds) as usize), 16_000).unwrap();
    }
    let paths: Vec<&Path> = paths.iter().map(|path| path.as_path()).collect();
    let embedder = || Embedder::by_burn(&network, &frontend(), &device).unwrap().window(0.98);
    let files = |embedder: &Embedder| {
        let mut rows = Vec::new();
        let mut each = |i: usize, result: Result<(Facts, Vec<f32>)>| -> Result<()> {
            assert_eq!(i, rows.len());
            rows.push(result?.1);
            Ok(())
        };
        embedder.files(&paths, &mut each).unwrap();
        rows
    };
    let (cpu, gpu) = (embedder(), embedder().padding_as_on_gpus());
    for (i, (ours, wanted)) in files(&gpu).iter().zip(&files(&cpu)).enumerate() {
        let off = difference(ours, wanted);
        assert!(off <= 1e-5, "{} s: {off}", seconds[i]);
    }
    assert!(cpu.padding().is_none());
    // A window has 96 frames, which is a multiple of 16: there is no longer length.
    let text = gpu.padding().expect("seven files").to_string();
    assert!(text.starts_with("lengths in 2 shapes, 0.64 s to 0.96 s; padded by "), "{text}");

    let sets: Vec<Features> = [3, 70, 130, 64, 300]
        .iter()
        .map(|&frames| {
            let values = (0..frames * MELS).map(|i| (i as f32 * 0.37).sin()).collect();
            Features { values, frames, mels: MELS }
        })
        .collect();
    let sets: Vec<&Features> = sets.iter().collect();
    let done = std::cell::Cell::new(0);
    let gpu = embedder().padding_as_on_gpus();
    let ours = gpu.features(&sets, &|n| done.set(done.get() + n));
    assert_eq!((ours.len(), done.get()), (5, 5));
    for (ours, wanted) in ours.iter().zip(&cpu.features(&sets, &|_| ())) {
        assert!(difference(ours, wanted) <= 1e-5);
    }
    let text = gpu.padding().expect("five sets").to_string();
    assert!(text.starts_with("lengths in 4 shapes, 0.64 s to 3.84 s; padded by "), "{text}");
}
