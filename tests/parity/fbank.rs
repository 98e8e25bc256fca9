//! Kaldi's filter banks: torchaudio and kaldi-native-fbank on the files of fixtures f1.

use revox::audio::{self, Fbank, FbankConfig, Window, subtract_mean};

use crate::shared::{Tensors, json};
use crate::shared_or_skip;

/// The two tests of the fixture's README: values within 14 (natural log) of their frame's largest
/// agree to 1e-3; everywhere the exponentials agree to 1e-4 of the frame's largest.
fn assert_close(name: &str, ours: &[f32], reference: &[f32], mels: usize, log: bool) {
    assert_eq!(ours.len(), reference.len(), "{name}");
    for (t, (a, b)) in ours.chunks_exact(mels).zip(reference.chunks_exact(mels)).enumerate() {
        let top = b.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (m, (&x, &y)) in a.iter().zip(b).enumerate() {
            if log && y > top - 14.0 {
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

fn window(name: &str) -> Window {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).unwrap()
}

#[test]
fn every_track_mels_and_window_equals_both_peers() {
    let folder = shared_or_skip!("fixtures/f1_fbank");
    let tensors = Tensors::open(folder.join("fbank.safetensors"));
    let mut cases = 0;
    for name in tensors.names() {
        let parts: Vec<&str> = name.split('/').collect();
        let [track, setting, what] = parts[..] else { panic!("{name}") };
        if track == "sines_head" && !setting.starts_with("80_") && !setting.starts_with("40_") {
            continue; // the variants below
        }
        let (bins, kind) = setting.split_once('_').unwrap();
        let mels: usize = bins.parse().unwrap();
        let config = FbankConfig { mels, window: window(kind), ..FbankConfig::default() };
        let audio = audio::load(folder.join(format!("{track}.wav")), 16000, None).unwrap();
        let mut ours = Fbank::new(config).unwrap().compute(&audio.samples, None);
        if what == "torchaudio_cmn" {
            subtract_mean(&mut ours, mels);
            // The mean moves every value of a mel alike, so compare directly where log values are
            // well above the floor.
            let reference = tensors.f32(&name);
            assert_eq!(ours.len(), reference.len());
            let plain = tensors.f32(&name.replace("_cmn", ""));
            for (i, (a, b)) in ours.iter().zip(&reference).enumerate() {
                let frame = &plain[i / mels * mels..(i / mels + 1) * mels];
                let top = frame.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                if plain[i] > top - 14.0 {
                    assert!((a - b).abs() <= 2e-3, "{name} {i}: {a} {b}");
                }
            }
        } else {
            let reference = tensors.f32(&name);
            assert_eq!(tensors.shape(&name), [ours.len() / mels, mels], "{name}");
            assert_close(&name, &ours, &reference, mels, true);
        }
        if track == "silence" {
            let floor = f32::EPSILON.ln();
            assert!(
                ours.iter()
                    .all(|v| (v - floor).abs() < 1e-6 || what == "torchaudio_cmn" && *v == 0.0)
            );
        }
        cases += 1;
    }
    assert!(cases > 70, "only {cases} cases");
}

#[test]
fn every_option_equals_torchaudio() {
    let folder = shared_or_skip!("fixtures/f1_fbank");
    let tensors = Tensors::open(folder.join("fbank.safetensors"));
    let audio = audio::load(folder.join("sines_head.wav"), 16000, None).unwrap();
    let variants = json(folder.join("meta.json"));
    for variant in variants["variants_sines_head"].as_object().unwrap().keys() {
        let mut config = FbankConfig::default();
        match variant.as_str() {
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
        let ours = Fbank::new(config).unwrap().compute(&audio.samples, None);
        assert_close(
            variant,
            &ours,
            &tensors.f32(&format!("sines_head/{variant}/torchaudio")),
            80,
            log,
        );
    }
}

#[test]
fn flac_and_wav_of_the_same_speech_are_the_same_samples() {
    let folder = shared_or_skip!("fixtures/f1_fbank");
    let data = shared_or_skip!("data/speechocean762");
    let meta = json(folder.join("meta.json"));
    // The fixture's speech was cut from the corpus before silence was trimmed there, so only
    // decoding is compared: every FLAC of a speaker decodes, at 16 kHz, within full scale and above
    // silence.
    assert!(meta["tracks"]["speech0"].is_object());
    let mut files = 0;
    for entry in std::fs::read_dir(data.join("flac")).unwrap().take(3) {
        for file in std::fs::read_dir(entry.unwrap().path()).unwrap() {
            let audio = audio::load(file.unwrap().path(), 16000, None).unwrap();
            assert_eq!(audio.source_rate, 16000);
            assert!(audio.seconds() > 1.0 && (0.001..0.5).contains(&audio.rms()));
            assert!(audio.samples.iter().all(|x| x.abs() <= 1.0));
            files += 1;
        }
    }
    assert!(files > 10);
}
