use burn::tensor::Device;

use super::*;
use crate::audio::{FbankConfig, load, write_wav16};
use crate::backend::BackendKind;
use crate::inference::Embedder;
use crate::model_file::{self, Frontend, NamedTensors, NamedThreshold};
use crate::scoring::{Fitted, parse_columns};
use crate::zoo::Architecture;
use crate::zoo::tests::small;

const RATE: u32 = 16_000;

/// Where the program takes the runtime.
fn flex() -> Device {
    BackendKind::Flex.device(0).expect("tests are built with it")
}

fn of(arch: Architecture) -> model_file::Model {
    let network = arch.init(&flex(), 5).unwrap();
    let fbank = FbankConfig { mels: arch.mels, ..FbankConfig::default() };
    model_file::Model { header: Header::new(arch, Frontend { fbank, cmn: true }), network }
}

fn named(name: &str) -> model_file::Model {
    of(small(16).find(|arch| arch.name == name).unwrap())
}

fn bytes(model: &model_file::Model) -> Vec<u8> {
    model.to_bytes(Path::new("m"), NamedTensors::default()).unwrap()
}

fn ready(model: &model_file::Model) -> Model {
    Model::from_bytes(bytes(model)).unwrap()
}

/// A voice of a pitch, with pauses.
fn voice(seconds: f64, rate: u32, pitch: f64) -> Vec<f32> {
    let sample = |i: usize| {
        let t = i as f64 / f64::from(rate);
        let harmonics = (1..20).map(|h| (std::f64::consts::TAU * pitch * f64::from(h) * t).sin());
        let loudness = (3.0 * t).sin().max(0.0) * 0.02;
        (loudness * harmonics.sum::<f64>()) as f32
    };
    (0..(seconds * f64::from(rate)) as usize).map(sample).collect()
}

#[test]
fn embeddings_are_those_of_the_program_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let device = flex();
    let names = ["resnet10", "rev2-resnet10", "ecapa-tdnn-512", "campplus", "tdnn"];
    for model in names.map(named) {
        let (program, portable) = (Embedder::of(&model, &device).unwrap(), ready(&model));
        for (rate, seconds) in [(RATE, 1.01), (8000, 0.7), (44_100, 1.3)] {
            let path = dir.path().join("a.wav");
            write_wav16(&path, &voice(seconds, rate, 120.0), rate).unwrap();
            let wanted = program.file(&path).unwrap();
            let samples = load(&path, rate, None).unwrap().samples;
            assert_eq!(portable.hear_file(&path, None).unwrap().embedding, wanted);
            assert_eq!(portable.embed(&samples, rate).unwrap(), wanted, "{rate} Hz");
            let both = [(samples.as_slice(), rate); 2];
            assert_eq!(portable.embed_many(&both).unwrap(), [wanted.clone(), wanted]);
        }
    }
}

/// 4 bits a weight.
#[test]
fn the_shipped_model_hears_as_the_program_does() {
    let (device, model) = (flex(), Model::shipped().unwrap());
    let path = Path::new("shipped");
    let whole = model_file::Model::from_bytes(path, SHIPPED.to_vec(), &device).unwrap();
    assert!(!whole.header.quantization.is_empty());
    let samples = voice(2.0, RATE, 140.0);
    let wanted = Embedder::of(&whole, &device).unwrap().samples(&samples).unwrap();
    assert_eq!(model.embed(&samples, RATE).unwrap(), wanted);
    assert_eq!((model.dim(), model.sample_rate()), (wanted.len(), RATE));
    assert_eq!(model.name(), whole.header.arch.name);
    assert_eq!(model.threshold(None).ok(), whole.header.scoring.threshold_eer);
}

#[test]
fn models_are_shared_by_threads() {
    let model = ready(&named("resnet10"));
    let samples = voice(1.0, RATE, 100.0);
    let wanted = model.embed(&samples, RATE).unwrap();
    std::thread::scope(|scope| {
        let embed = || assert_eq!(model.embed(&samples, RATE).unwrap(), wanted);
        (0..3).for_each(|_| drop(scope.spawn(embed)));
    });
}

#[test]
fn what_is_no_speech_is_refused_by_name() {
    let model = ready(&named("tdnn"));
    let fails = |samples: &[f32], rate: u32| model.hear(samples, rate).unwrap_err().to_string();
    assert!(fails(&[], RATE).contains("holds no samples"));
    assert!(fails(&[0.0, f32::NAN, 0.0], RATE).contains("sample 1 is NaN"));
    assert!(fails(&[0.0; 900], 3).contains("not a rate of audio"));
    assert!(fails(&voice(0.05, RATE, 90.0), RATE).contains("15 or more"));
    let mut places = Vec::new();
    let good = voice(0.5, RATE, 90.0);
    model
        .hear_many(&[(&good, RATE), (&[], RATE), (&good, RATE)], &mut |place, heard| {
            places.push((place, heard.is_ok()));
            Ok(())
        })
        .unwrap();
    assert_eq!(places, [(0, true), (1, false), (2, true)]);
    let silence = model.hear(&[0.0; 16_000], RATE).unwrap();
    let error = model.compare(&silence, &silence).unwrap_err().to_string();
    assert!(error.contains("the first recording: silent"), "{error}");
    assert!(model.score(&[0.0; 20], &[1.0; 20]).is_err());
    assert!(model.score(&[1.0; 19], &[1.0; 20]).unwrap_err().to_string().contains("19 values"));
}

#[test]
fn quality_is_that_of_hearing() {
    let model = ready(&named("resnet10"));
    let samples = voice(2.0, 8000, 110.0);
    let facts = model.quality(&samples, 8000).unwrap();
    assert_eq!(facts, model.hear(&samples, 8000).unwrap().facts);
    assert!((facts.seconds - 2.0).abs() < 0.01 && facts.quality.bandwidth < 4100.0);
    assert!(facts.warnings.iter().any(|w| w.contains("recorded at 8000 Hz")), "{facts:?}");
}

#[test]
fn scores_are_read_by_what_the_model_stores() {
    let mut model = named("resnet10");
    let scoring = &mut model.header.scoring;
    scoring.embedding_mean = Some(vec![0.01; 20]);
    let bare = ready(&model);
    let [a, b] = [100.0, 200.0].map(|pitch| bare.hear(&voice(1.5, RATE, pitch), RATE).unwrap());
    let plain = bare.compare(&a, &b).unwrap();
    assert_eq!(
        (plain.llr, plain.probability, plain.threshold, plain.same),
        (None, None, None, None)
    );
    assert!(bare.threshold(None).is_err());
    assert!((bare.compare(&a, &a).unwrap().score - 1.0).abs() < 1e-12);

    model.header.scoring.threshold_eer = Some(plain.score - 0.01);
    model.header.scoring.thresholds = vec![(0.01, 0.75)];
    let strict = NamedThreshold { false_accept_rate: 0.001, threshold: 0.875 };
    model.header.scoring.named_thresholds.insert("strict".into(), strict);
    let with = ready(&model);
    assert_eq!(with.compare(&a, &b).unwrap().same, Some(true));
    assert_eq!(with.threshold(Some(0.01)).unwrap(), 0.75);
    assert_eq!(with.threshold(Some(0.001)).unwrap(), 0.875);
    let error = with.threshold(Some(0.5)).unwrap_err().to_string();
    assert!(error.contains("false-accept rate 0.5, but for 0.01, 0.001"), "{error}");

    let fitted = Fitted { prior: 0.5, cosines: true, ..Fitted::default() };
    let columns = parse_columns("score").unwrap();
    let (weights, bias) = (vec![10.0], -10.0 * plain.score - 1.0);
    let calibration = crate::scoring::Calibration { columns, weights, bias, fitted };
    model.header.scoring.calibration = Some(calibration);
    let verdict = ready(&model).compare(&a, &b).unwrap();
    assert!((verdict.llr.unwrap() + 1.0).abs() < 1e-9, "{verdict:?}");
    let wanted = 1.0 / (1.0 + 1f64.exp());
    assert!((verdict.probability.unwrap() - wanted).abs() < 1e-9);
    assert_eq!((verdict.same, verdict.threshold), (Some(false), None));
    assert!((ready(&model).probability(0.0, Some(0.25)) - 0.25).abs() < 1e-12);
}

#[test]
fn cut_and_damaged_models_are_errors() {
    let good = bytes(&named("resnet10"));
    for cut in [0, 7, 100, good.len() / 2, good.len() - 1] {
        let error = Model::from_bytes(good[..cut].to_vec()).err().unwrap().to_string();
        assert!(error.contains("the model: "), "{error}");
    }
    let mut damaged = good;
    *damaged.last_mut().unwrap() ^= 1;
    assert!(Model::from_bytes(damaged).err().unwrap().to_string().contains("is damaged"));
    let error = Model::open(Path::new("README.md")).err().unwrap();
    assert!(error.to_string().contains("README.md"), "{error}");
}
