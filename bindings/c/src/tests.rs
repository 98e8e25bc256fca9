//! The calls, as a program in C makes them.

use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::ptr::{self, null, null_mut};

use engine::audio::write_wav16;

use crate::decide::*;
use crate::hear::*;
use crate::models::RevoxModel;
use crate::open::*;
use crate::quality::*;
use crate::status::{RevoxStatus as S, revox_last_error, revox_version};

const RATE: u32 = 16_000;

fn text(text: *const c_char) -> String {
    assert!(!text.is_null());
    // SAFETY: the library's texts end, and stay while the test reads them.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

pub fn last_error() -> String {
    text(revox_last_error())
}

/// The call failed in this way, and says so.
#[track_caller]
fn fails(status: S, wanted: S, words: &str) {
    let error = last_error();
    assert_eq!(status, wanted, "{error}");
    assert!(error.contains(words), "{error}");
}

fn path(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

fn model_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/default/model.safetensors")
}

/// A model that ends with its test.
struct Model(*mut RevoxModel);

impl Drop for Model {
    fn drop(&mut self) {
        assert_eq!(revox_free(self.0), S::Ok);
    }
}

impl Model {
    fn open() -> Self {
        let (mut model, path) = (null_mut(), path(&model_path()));
        // SAFETY: pointers to locals.
        assert_eq!(unsafe { revox_open(path.as_ptr(), &raw mut model) }, S::Ok, "{}", last_error());
        Self(model)
    }

    fn of_bytes(bytes: &[u8]) -> (S, *mut RevoxModel) {
        let mut model = null_mut();
        // SAFETY: pointers to locals.
        (unsafe { revox_open_bytes(bytes.as_ptr(), bytes.len(), &raw mut model) }, model)
    }

    fn embed(&self, samples: &[f32], rate: u32) -> (S, Vec<f32>, RevoxQuality) {
        let mut embedding = vec![0.0; revox_dim(self.0)];
        let mut quality = RevoxQuality::of(&nothing());
        let (samples, count, row) = (samples.as_ptr(), samples.len(), embedding.as_mut_ptr());
        let (length, place) = (embedding.len(), &raw mut quality);
        // SAFETY: pointers to locals.
        let status = unsafe { revox_embed(self.0, samples, count, rate, row, length, place) };
        (status, embedding, quality)
    }

    fn heard(&self, samples: &[f32], rate: u32) -> (Vec<f32>, RevoxQuality) {
        let (status, embedding, quality) = self.embed(samples, rate);
        assert_eq!(status, S::Ok, "{}", last_error());
        (embedding, quality)
    }
}

fn nothing() -> engine::inference::Facts {
    let engine = engine::portable::Model::open(&model_path()).unwrap();
    engine.quality(&[0.0; 16_000], RATE).unwrap()
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
fn all_ways_to_hear_give_the_librarys_embedding() {
    let model = Model::open();
    let engine = engine::portable::Model::open(&model_path()).unwrap();
    assert_eq!(revox_dim(model.0), engine.dim());
    assert_eq!(revox_sample_rate(model.0), engine.sample_rate());
    assert_eq!(
        (text(revox_name(model.0)).as_str(), text(revox_hash(model.0)).as_str()),
        (engine.name(), engine.hash())
    );
    let integers: Vec<i16> =
        voice(1.2, 8000, 120.0).iter().map(|x| (x * 32_768.0).round() as i16).collect();
    let floats: Vec<f32> = integers.iter().map(|&x| f32::from(x) / 32_768.0).collect();
    let wanted = engine.hear(&floats, 8000).unwrap();

    let (embedding, quality) = model.heard(&floats, 8000);
    assert_eq!(embedding, wanted.embedding);
    assert_eq!(quality.speech_seconds, wanted.facts.quality.speech_seconds);
    assert_eq!(text(quality.warnings.as_ptr()), wanted.facts.warnings.join("\n"));
    assert!(!wanted.facts.warnings.is_empty());
    assert_eq!(quality.facts().frames, wanted.facts.frames);

    let mut row = vec![0.0; embedding.len()];
    let (start, length) = (row.as_mut_ptr(), row.len());
    let (samples, count) = (integers.as_ptr(), integers.len());
    // SAFETY: pointers to locals.
    let status =
        unsafe { revox_embed_int16(model.0, samples, count, 8000, start, length, null_mut()) };
    assert_eq!((status, &row), (S::Ok, &embedding));

    let dir = tempfile_dir();
    let file = dir.join("a.wav");
    write_wav16(&file, &floats, 8000).unwrap();
    row.fill(0.0);
    for channel in [REVOX_ONLY_CHANNEL, 0] {
        let (path, start) = (path(&file), row.as_mut_ptr());
        // SAFETY: pointers to locals.
        let status =
            unsafe { revox_embed_file(model.0, path.as_ptr(), channel, start, length, null_mut()) };
        assert_eq!((status, &row), (S::Ok, &embedding));
    }
    // SAFETY: pointers to locals.
    unsafe {
        let (path, start) = (path(&file), row.as_mut_ptr());
        let file = |channel: i32, path: *const c_char| {
            revox_embed_file(model.0, path, channel, start, length, null_mut())
        };
        fails(file(-2, path.as_ptr()), S::Argument, "channel -2");
        fails(file(1, path.as_ptr()), S::Audio, "channel");
        fails(file(0, c"/no/such/file.wav".as_ptr()), S::File, "/no/such/file.wav: cannot");
        fails(file(0, null()), S::Argument, "the path is null");
    }
    std::fs::remove_dir_all(dir).unwrap();

    let mut only = RevoxQuality::of(&nothing());
    let (samples, count) = (floats.as_ptr(), floats.len());
    // SAFETY: pointers to locals.
    assert_eq!(unsafe { revox_quality(model.0, samples, count, 8000, &raw mut only) }, S::Ok);
    assert_eq!(only.facts(), quality.facts());
}

/// A folder of the test's own.
fn tempfile_dir() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("revox-c-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn scores_and_decisions_are_the_librarys() {
    let model = Model::open();
    let engine = engine::portable::Model::open(&model_path()).unwrap();
    let samples = [voice(1.5, RATE, 100.0), voice(1.5, RATE, 210.0)];
    let [a, b] = samples.each_ref().map(|samples| engine.hear(samples, RATE).unwrap());
    let wanted = engine.compare(&a, &b).unwrap();
    let [(a, qa), (b, qb)] = samples.each_ref().map(|samples| model.heard(samples, RATE));
    let (first, second, length) = (a.as_ptr(), b.as_ptr(), a.len());
    // SAFETY: pointers to locals.
    unsafe {
        let mut score = 0.0;
        assert_eq!(revox_score(model.0, first, second, length, &raw mut score), S::Ok);
        assert_eq!(score, wanted.score);
        let mut threshold = 0.0;
        let place = &raw mut threshold;
        assert_eq!(revox_threshold(model.0, REVOX_EQUAL_ERROR, place), S::Ok);
        assert_eq!(threshold, engine.threshold(None).unwrap());
        assert_eq!(revox_threshold(model.0, 0.01, place), S::Ok);
        assert_eq!(threshold, engine.threshold(Some(0.01)).unwrap());
        fails(revox_threshold(model.0, 0.5, place), S::Absent, "false-accept rate 0.5");
        for rate in [f64::NAN, -0.5, 2.0] {
            fails(revox_threshold(model.0, rate, place), S::Argument, "a false-accept rate");
        }
        for (score, wanted) in [(threshold, true), (threshold - 1e-9, false)] {
            let mut same = !wanted;
            assert_eq!(revox_decide(model.0, score, 0.01, &raw mut same), S::Ok);
            assert_eq!(same, wanted);
        }
        fails(revox_decide(model.0, f64::NAN, 0.01, &raw mut false), S::Argument, "score is NaN");

        let mut llr = 0.5;
        let (qa, qb) = (&raw const qa, &raw const qb);
        let status = revox_llr(model.0, first, qa, second, qb, length, &raw mut llr);
        fails(status, S::Absent, "no calibration");
        assert_eq!(llr, 0.5);
        let mut probability = 0.0;
        let place = &raw mut probability;
        assert_eq!(revox_probability(model.0, 0.0, 0.25, place), S::Ok);
        assert!((probability - 0.25).abs() < 1e-12);
        assert_eq!(revox_probability(model.0, 0.0, REVOX_OWN_PRIOR, place), S::Ok);
        assert!((probability - 0.5).abs() < 1e-12);
        for prior in [0.0, 1.0, f64::NAN, -2.0] {
            fails(revox_probability(model.0, 0.0, prior, place), S::Argument, "a prior of");
        }
        fails(revox_probability(model.0, f64::NAN, 0.5, place), S::Argument, "NaN");

        let mut verdict =
            RevoxVerdict { score: 0.0, llr: 0.0, probability: 0.0, threshold: 0.0, same: -1 };
        let place = &raw mut verdict;
        let status = revox_compare(model.0, first, qa, second, qb, length, place);
        assert_eq!(status, S::Ok, "{}", last_error());
        assert_eq!((verdict.score, Some(verdict.threshold)), (wanted.score, wanted.threshold));
        assert_eq!(Some(verdict.same == 1), wanted.same);
        assert!(verdict.llr.is_nan() && verdict.probability.is_nan());
        let silent = RevoxQuality { silent: 1, ..*qa };
        let status = revox_compare(model.0, first, &raw const silent, second, qb, length, place);
        fails(status, S::Undefined, "the first recording: silent");
    }
}

/// A model with a calibration has ratios, and decides by them.
#[test]
fn calibrated_models_have_ratios() {
    let file = std::fs::read(model_path()).unwrap();
    let bytes = with_header(&file, &|header| {
        let calibration = r#""scoring":{"calibration":{"columns":"score","weights":[10.0],"#;
        let fitted = r#""bias":-4.0,"fitted":{"prior":0.1,"cosines":true}},"#;
        header.replacen("\"scoring\":{", &format!("{calibration}{fitted}"), 1)
    });
    let engine = engine::portable::Model::from_bytes(bytes.clone()).unwrap();
    let (status, handle) = Model::of_bytes(&bytes);
    assert_eq!(status, S::Ok, "{}", last_error());
    let model = Model(handle);
    let samples = [voice(1.5, RATE, 100.0), voice(1.5, RATE, 210.0)];
    let [a, b] = samples.each_ref().map(|samples| engine.hear(samples, RATE).unwrap());
    let wanted = engine.compare(&a, &b).unwrap();
    let [(a, qa), (b, qb)] = samples.each_ref().map(|samples| model.heard(samples, RATE));
    let (first, second, length) = (a.as_ptr(), b.as_ptr(), a.len());
    let (qa, qb) = (&raw const qa, &raw const qb);
    let (mut llr, mut probability) = (0.0, 0.0);
    // SAFETY: pointers to locals.
    unsafe {
        assert_eq!(revox_llr(model.0, first, qa, second, qb, length, &raw mut llr), S::Ok);
        let status = revox_probability(model.0, llr, REVOX_OWN_PRIOR, &raw mut probability);
        assert_eq!(status, S::Ok);
    }
    assert_eq!((Some(llr), Some(probability)), (wanted.llr, wanted.probability));
    assert!((llr - (10.0 * wanted.score - 4.0)).abs() < 1e-9);
}

/// The file with another header of its own. The checksum is of the tensors alone.
fn with_header(file: &[u8], change: &dyn Fn(&str) -> String) -> Vec<u8> {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&file[8..8 + length]).unwrap();
    // The header of revox is a JSON text inside the JSON of safetensors.
    let start = header.find("\"revox\":\"").unwrap() + "\"revox\":\"".len();
    let end = start + header[start..].find("}\"").unwrap() + 1;
    let own = header[start..end].replace("\\\"", "\"");
    let own = change(&own).replace('"', "\\\"");
    let mut made = format!("{}{own}{}", &header[..start], &header[end..]);
    while made.len() % 8 != 0 {
        made.push(' ');
    }
    let mut bytes = (made.len() as u64).to_le_bytes().to_vec();
    bytes.extend(made.as_bytes());
    bytes.extend(&file[8 + length..]);
    bytes
}

#[test]
fn bad_models_are_errors() {
    let good = std::fs::read(model_path()).unwrap();
    for cut in [0, 1, 7, 8, 100, good.len() / 2, good.len() - 1] {
        let (status, model) = Model::of_bytes(&good[..cut]);
        fails(status, S::Model, "the model: ");
        assert!(model.is_null());
    }
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fails(Model::of_bytes(&damaged).0, S::Model, "damaged");
    let newer = with_header(&good, &|header| header.replacen("\"format\":1", "\"format\":2", 1));
    fails(Model::of_bytes(&newer).0, S::Model, "model format 2; this version reads 1");
    let mut model = null_mut();
    // SAFETY: pointers to locals, and null.
    unsafe {
        let place = &raw mut model;
        fails(revox_open(c"/no/such".as_ptr(), place), S::File, "/no/such: cannot");
        fails(revox_open(c"Cargo.toml".as_ptr(), place), S::Model, "Cargo.toml: ");
        fails(revox_open(null(), place), S::Argument, "the path is null");
        fails(revox_open(c"Cargo.toml".as_ptr(), null_mut()), S::Argument, "place for the model");
        fails(revox_open_bytes(null(), 9, place), S::Argument, "the model is null");
        fails(revox_open_bytes(null(), 0, place), S::Model, "the model: ");
        let most = usize::MAX;
        fails(revox_open_bytes(good.as_ptr(), most, place), S::Argument, "more than memory holds");
        #[cfg(feature = "shipped")]
        {
            assert_eq!(revox_open_shipped(place), S::Ok);
            assert_eq!(text(revox_hash(model)), text(revox_hash(Model::open().0)));
            assert_eq!(revox_free(model), S::Ok);
        }
        #[cfg(not(feature = "shipped"))]
        fails(revox_open_shipped(place), S::Absent, "without the shipped model");
    }
}

#[test]
fn bad_recordings_are_errors() {
    let model = Model::open();
    let good = voice(0.5, RATE, 90.0);
    fails(model.embed(&[], RATE).0, S::Audio, "holds no samples");
    fails(model.embed(&[0.0, f32::NAN], RATE).0, S::Audio, "sample 1 is NaN");
    fails(model.embed(&[0.0, 1.0, f32::INFINITY], RATE).0, S::Audio, "sample 2 is");
    fails(model.embed(&good, 0).0, S::Audio, "not a rate of audio");
    fails(model.embed(&good, u32::MAX).0, S::Audio, "not a rate of audio");
    fails(model.embed(&good[..100], RATE).0, S::Audio, "");
    let mut row = vec![7.0; revox_dim(model.0)];
    let (length, count) = (row.len(), good.len());
    let (start, samples) = (row.as_mut_ptr(), good.as_ptr());
    let embed = |samples, count, start, length| {
        // SAFETY: pointers to locals, null, or not aligned, which is refused.
        unsafe { revox_embed(model.0, samples, count, RATE, start, length, null_mut()) }
    };
    fails(embed(null(), count, start, length), S::Argument, "the samples is null");
    fails(embed(null(), 0, start, length), S::Audio, "holds no samples");
    fails(embed(samples, usize::MAX / 2, start, length), S::Argument, "more than memory holds");
    fails(embed(samples.wrapping_byte_add(1), 9, start, length), S::Argument, "not aligned");
    fails(embed(samples, count, null_mut(), length), S::Argument, "the embedding is null");
    fails(embed(samples, count, start, length - 1), S::Argument, "room for 127 values");
    fails(embed(samples, count, start.wrapping_byte_add(2), length), S::Argument, "not aligned");
    let mut score = 0.0;
    let place = &raw mut score;
    // SAFETY: pointers to locals, and null.
    unsafe {
        let quality = null();
        let status = revox_llr(model.0, start, quality, start, quality, length, place);
        fails(status, S::Argument, "the quality of the first recording is null");
        fails(revox_score(model.0, start, null(), length, place), S::Argument, "second embedding");
        fails(revox_score(model.0, start, start, 3, place), S::Argument, "of 3 values");
        fails(revox_score(model.0, start, start, length, null_mut()), S::Argument, "is null");
        assert!(row.iter().all(|&value| value == 7.0), "a failed call leaves the memory");
        row[0] = f32::NAN;
        let status = revox_score(model.0, row.as_ptr(), row.as_ptr(), length, place);
        assert_ne!(status, S::Ok);
        row.fill(0.0);
        let status = revox_score(model.0, row.as_ptr(), row.as_ptr(), length, place);
        assert_ne!(status, S::Ok);
    }
    assert_eq!(score, 0.0);
}

#[test]
fn calls_after_free_are_errors() {
    let model = Model::open();
    let freed = {
        let other = Model::open();
        other.0
    };
    let mut row = [0.0; 128];
    let samples = voice(0.5, RATE, 90.0);
    for (handle, wanted, words) in [
        (freed, S::Handle, "the model was freed"),
        (ptr::without_provenance_mut(usize::MAX), S::Handle, "never was a model"),
        (null_mut(), S::Argument, "the model is null"),
    ] {
        let (start, count, row) = (samples.as_ptr(), samples.len(), row.as_mut_ptr());
        // SAFETY: pointers to locals.
        let status = unsafe { revox_embed(handle, start, count, RATE, row, 128, null_mut()) };
        fails(status, wanted, words);
        assert_eq!((revox_dim(handle), revox_sample_rate(handle)), (0, 0));
        assert!(revox_name(handle).is_null() && revox_hash(handle).is_null());
        fails(wanted, wanted, words);
    }
    fails(revox_free(freed), S::Handle, "the model was freed");
    assert_eq!(revox_free(null_mut()), S::Ok);
    assert_eq!(revox_dim(model.0), 128);
    assert_eq!(text(revox_version()), env!("CARGO_PKG_VERSION"));
}

/// Models may be freed while other threads hear with them.
#[test]
fn threads_share_models() {
    let model = Model::open();
    let samples = voice(0.8, RATE, 90.0);
    let (wanted, _) = model.heard(&samples, RATE);
    let handle = model.0.addr();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let shared =
                    std::mem::ManuallyDrop::new(Model(ptr::without_provenance_mut(handle)));
                for _ in 0..4 {
                    match shared.embed(&samples, RATE) {
                        (S::Ok, embedding, _) => assert_eq!(embedding, wanted),
                        (status, _, _) => fails(status, S::Handle, "freed"),
                    }
                }
            });
        }
        drop(model);
    });
}
