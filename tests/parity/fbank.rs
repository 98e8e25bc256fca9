//! Kaldi's filter banks, by kaldi-native-fbank and torchaudio.

use std::path::{Path, PathBuf};

use revox::audio::{self, Fbank, FbankConfig, Window, subtract_mean, write_wav16};

use crate::shared::{Tensors, fixture, sets};
use crate::shared_or_skip;

/// How far from the largest value of its frame (natural log) a value still counts by itself.
const RANGE: f32 = 14.0;
/// Settings of `sines_head` that differ from the default in one option.
const VARIANTS: [&str; 8] =
    ["hanning", "preemph0", "nodc", "nosnip", "lin", "mag", "lo100hi7600", "himinus400"];

/// Largest value of each frame.
fn tops(values: &[f32], mels: usize) -> impl Iterator<Item = f32> {
    let largest = |frame: &[f32]| frame.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.chunks_exact(mels).map(largest)
}

/// Two tests: values within [`RANGE`] of their frame's largest agree to 1e-3; everywhere the
/// exponentials agree to 1e-4 of the frame's largest.
fn assert_close(name: &str, ours: &[f32], reference: &[f32], mels: usize, log: bool) {
    assert_eq!(ours.len(), reference.len(), "{name}");
    let frames = ours.chunks_exact(mels).zip(reference.chunks_exact(mels));
    for (t, ((a, b), top)) in frames.zip(tops(reference, mels)).enumerate() {
        for (m, (&x, &y)) in a.iter().zip(b).enumerate() {
            if log && y > top - RANGE {
                assert!((x - y).abs() <= 1e-3, "{name} frame {t} mel {m}: {x} against {y}");
            }
            let (e, f, largest) = match log {
                true => ((x - top).exp(), (y - top).exp(), 1.0),
                false => (x, y, top),
            };
            assert!((e - f).abs() <= 1e-4 * largest, "{name} frame {t} mel {m}: {x} against {y}");
        }
    }
}

/// The mean moves every value of a mel alike, so values are compared where they are well above the
/// floor before the mean is subtracted.
fn assert_close_without_mean(
    name: &str,
    ours: &[f32],
    reference: &[f32],
    plain: &[f32],
    mels: usize,
) {
    assert_eq!((ours.len(), plain.len()), (reference.len(), reference.len()), "{name}");
    for (t, top) in tops(plain, mels).enumerate() {
        for i in t * mels..(t + 1) * mels {
            let (a, b) = (ours[i], reference[i]);
            assert!(plain[i] <= top - RANGE || (a - b).abs() <= 2e-3, "{name} {i}: {a} {b}");
        }
    }
}

fn window(name: &str) -> Window {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).unwrap()
}

fn load(path: PathBuf) -> Vec<f32> {
    audio::load(path, 16000, None).unwrap().samples
}

#[test]
fn every_track_mels_and_window_equals_the_peers() {
    for (folder, wanted) in sets(("fbank", 54), ("fixtures/f1_fbank", 108)) {
        assert_eq!(check_tracks(&folder), wanted, "{}", folder.display());
    }
}

/// Compares every track of a folder and returns how many arrays that were.
fn check_tracks(folder: &Path) -> usize {
    let tensors = Tensors::open(folder.join("fbank.safetensors"));
    let mut cases = 0;
    for name in tensors.names() {
        let [track, setting, peer] = name.split('/').collect::<Vec<_>>().try_into().unwrap();
        if VARIANTS.contains(&setting) {
            continue;
        }
        let (bins, kind) = setting.split_once('_').unwrap();
        let mels: usize = bins.parse().unwrap();
        let config = FbankConfig { mels, window: window(kind), ..FbankConfig::default() };
        let samples = load(folder.join(format!("{track}.wav")));
        let mut ours = Fbank::new(config).unwrap().compute(&samples, None);
        let reference = tensors.f32(&name);
        assert_eq!(tensors.shape(&name), [ours.len() / mels, mels], "{name}");
        if peer.ends_with("_cmn") {
            subtract_mean(&mut ours, mels);
            let plain = tensors.f32(&name.replace("_cmn", ""));
            assert_close_without_mean(&name, &ours, &reference, &plain, mels);
        } else {
            assert_close(&name, &ours, &reference, mels, true);
        }
        if track == "silence" {
            let wanted = if peer.ends_with("_cmn") { 0.0 } else { f32::EPSILON.ln() };
            assert!(ours.iter().all(|v| (v - wanted).abs() < 1e-6), "{name}");
        }
        cases += 1;
    }
    cases
}

#[test]
fn every_option_equals_the_peers() {
    for (folder, peer) in sets(("fbank", "knf"), ("fixtures/f1_fbank", "torchaudio")) {
        let tensors = Tensors::open(folder.join("fbank.safetensors"));
        let samples = load(folder.join("sines_head.wav"));
        for variant in VARIANTS {
            let mut config = FbankConfig::default();
            match variant {
                "hanning" => config.window = Window::Hanning,
                "preemph0" => config.preemphasis = 0.0,
                "nodc" => config.remove_dc_offset = false,
                "nosnip" => config.snip_edges = false,
                "lin" => config.log = false,
                "mag" => config.power = false,
                "lo100hi7600" => (config.low_freq, config.high_freq) = (100.0, 7600.0),
                "himinus400" => config.high_freq = -400.0,
                other => panic!("unknown variant {other}"),
            }
            let log = config.log;
            let ours = Fbank::new(config).unwrap().compute(&samples, None);
            let reference = tensors.f32(&format!("sines_head/{variant}/{peer}"));
            assert_close(variant, &ours, &reference, 80, log);
        }
    }
}

/// Both decoders' samples and features of one recording, to the bit.
fn assert_same(flac: PathBuf, wav: PathBuf) {
    let name = flac.display().to_string();
    let (flac, wav) = (load(flac), load(wav));
    assert!(flac == wav, "{name}: other samples than its WAV file");
    let fbank = Fbank::new(FbankConfig::default()).unwrap();
    let features = fbank.compute(&flac, None);
    assert!(!features.is_empty() && features == fbank.compute(&wav, None), "{name}");
}

/// FLAC files by libsndfile's encoder, of the samples that the WAV files hold.
#[test]
fn flac_and_wav_of_one_recording_have_the_same_features() {
    let folder = fixture("fbank");
    let flacs: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "flac"))
        .collect();
    assert_eq!(flacs.len(), 3);
    for flac in flacs {
        let wav = flac.with_extension("wav");
        assert_same(flac, wav);
    }
}

/// Real speech: what the FLAC decoder gives, through a WAV file and back.
#[test]
fn speech_has_the_same_features_as_flac_and_as_wav() {
    let data = shared_or_skip!("data/speechocean762");
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("a.wav");
    let mut files = 0;
    for speaker in std::fs::read_dir(data.join("flac")).unwrap().take(3) {
        for flac in std::fs::read_dir(speaker.unwrap().path()).unwrap() {
            let flac = flac.unwrap().path();
            let audio = audio::load(&flac, 16000, None).unwrap();
            assert_eq!(audio.source_rate, 16000);
            assert!(audio.seconds() > 1.0 && (0.001..0.5).contains(&audio.rms()));
            write_wav16(&wav, &audio.samples, 16000).unwrap();
            assert_same(flac, wav.clone());
            files += 1;
        }
    }
    assert!(files > 10, "only {files} files");
}
