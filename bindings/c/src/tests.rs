//! The calls, as a program in C makes them.

mod handles;
mod hear;
mod scores;

use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use crate::hear::revox_embed;
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

/// The file with another header of its own, and without a checksum, which is read as well.
fn with_header(file: &[u8], change: &dyn Fn(&str) -> String) -> Vec<u8> {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&file[8..8 + length]).unwrap();
    let mut header: serde_json::Value = serde_json::from_str(header).unwrap();
    // The header of revox is a JSON text inside the JSON of safetensors.
    let texts = header["__metadata__"].as_object_mut().unwrap();
    let own = change(texts["revox"].as_str().unwrap());
    texts.insert("revox".to_owned(), own.into());
    assert!(texts.remove("sha256").is_some());
    let mut made = header.to_string();
    while made.len() % 8 != 0 {
        made.push(' ');
    }
    let mut bytes = (made.len() as u64).to_le_bytes().to_vec();
    bytes.extend(made.as_bytes());
    bytes.extend(&file[8 + length..]);
    bytes
}
