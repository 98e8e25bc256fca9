use super::*;
use crate::audio::load;
use crate::corpus::{locate, read_wav_scp};
use crate::rng::Stream;
use crate::shared::shared;

/// Amplitudes and seconds of a tone.
const PARTS: [(f64, f64); 8] = [
    (0.0, 0.3),
    (0.3, 0.5),
    (0.0003, 0.4),
    (0.03, 0.3),
    (0.0003, 0.2),
    (0.003, 0.4),
    (0.3, 0.2),
    (0.0, 0.5),
];

fn signal(gain: f64) -> Vec<f32> {
    let amplitudes = PARTS
        .iter()
        .flat_map(|&(amplitude, seconds)| vec![amplitude; (seconds * 16_000.0).round() as usize]);
    let tone = amplitudes.enumerate().map(|(i, a)| (a * gain * (0.4 * i as f64).sin()) as f32);
    tone.collect()
}

fn kaldis() -> VadConfig {
    VadConfig { range_db: None, ..VadConfig::default() }
}

fn vad(config: VadConfig) -> Vad {
    Vad::new(config, &FbankConfig::default()).unwrap()
}

/// First and end of each run of speech.
fn runs(speech: &[bool]) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let mut first = 0;
    for run in speech.chunk_by(|a, b| a == b) {
        if run[0] {
            runs.push((first, first + run.len()));
        }
        first += run.len();
    }
    runs
}

/// The numbers are NumPy's:
///
/// ```python
/// import numpy as np
/// parts = [(0, .3), (.3, .5), (.0003, .4), (.03, .3), (.0003, .2), (.003, .4), (.3, .2), (0, .5)]
/// a = np.concatenate([np.full(round(s * 16000), a) for a, s in parts])
/// def runs(gain, base, context, proportion, relative):
///     x = (a * gain * np.sin(0.4 * np.arange(len(a)))).astype(np.float32).astype(np.float64)
///     f = np.stack([x[i:i + 400] for i in range(0, len(x) - 399, 160)]) * 32768
///     e = np.log(np.maximum(((f - f.mean(1, keepdims=True)) ** 2).sum(1), 400))
///     threshold, db, s = base + 0.5 * e.mean(), np.log(10) / 10, np.sort(e)
///     quiet, loud = s[int(0.05 * (len(s) - 1))], s[int(0.95 * (len(s) - 1))]
///     if relative and loud - quiet >= 15 * db:
///         threshold = min(threshold, max(loud - 25 * db, quiet + 6 * db))
///     v = [(e > threshold)[max(0, t - context):t + context + 1] for t in range(len(e))]
///     speech = np.array([w.sum() >= proportion * len(w) for w in v]).astype(int)
///     edges = np.flatnonzero(np.diff(np.concatenate([[0], speech, [0]])))
///     return list(zip(edges[::2], edges[1::2]))
/// for arguments in [(1, 5.5, 2, .12, 0), (1, 5.5, 2, .12, 1), (1, 5, 0, .6, 0),
///                   (.008, 5.5, 2, .12, 0), (.008, 5.5, 2, .12, 1)]:
///     print(runs(*arguments))
/// ```
#[test]
fn speech_is_numpy_s() {
    let program = VadConfig { energy_threshold: 5.0, context: 0, proportion: 0.6, ..kaldis() };
    let loud: &[(usize, usize)] = &[(26, 82), (116, 152), (166, 232)];
    let cases = [
        (1.0, kaldis(), loud),
        (1.0, VadConfig::default(), loud),
        (1.0, program, &[(28, 80), (118, 150), (168, 230)]),
        // Kaldi's rule loses what is faint.
        (0.008, kaldis(), &[(26, 82), (206, 232)]),
        (0.008, VadConfig::default(), &[(26, 82), (117, 152), (206, 232)]),
    ];
    for (gain, config, wanted) in cases {
        let speech = vad(config.clone()).speech(&signal(gain));
        assert_eq!(speech.len(), 278);
        assert_eq!(runs(&speech), wanted, "{gain}: {config:?}");
    }
}

/// The rule over a whole signal, word by word.
fn plainly(config: &VadConfig, framing: &FbankConfig, samples: &[f32]) -> Vec<bool> {
    let (length, shift) = (framing.frame_length(), framing.frame_shift());
    let mut energies = Vec::new();
    let mut start = 0;
    while start + length <= samples.len() {
        let frame: Vec<f64> =
            samples[start..start + length].iter().map(|&x| 32_768.0 * f64::from(x)).collect();
        let mean = frame.iter().sum::<f64>() / length as f64;
        let energy: f64 = frame.iter().map(|x| (x - mean) * (x - mean)).sum();
        energies.push(energy.max(length as f64).ln());
        start += shift;
    }
    let mean = energies.iter().sum::<f64>() / energies.len() as f64;
    let threshold = config.energy_threshold + config.mean_scale * mean;
    let context = config.context as isize;
    let is_speech = |t: isize| {
        let (mut loud, mut all) = (0.0, 0.0);
        for other in t - context..=t + context {
            if let Some(&energy) = usize::try_from(other).ok().and_then(|i| energies.get(i)) {
                all += 1.0;
                loud += f64::from(energy > threshold);
            }
        }
        loud >= config.proportion * all
    };
    (0..energies.len() as isize).map(is_speech).collect()
}

#[test]
fn frames_are_those_of_the_plain_rule() {
    let mut noise = Stream::new(5, "noise", &[]);
    // Loudness wanders over 60 dB, on an offset.
    let samples: Vec<f32> = (0..40_000)
        .map(|i| {
            let level = -2.0 + 1.5 * (i as f64 * 0.000_5).sin();
            (0.1 + 10f64.powf(level) * noise.normal()) as f32
        })
        .collect();
    let eight = FbankConfig { sample_rate: 8000, ..FbankConfig::default() };
    for framing in [FbankConfig::default(), eight] {
        for (context, proportion) in [(0, 0.6), (2, 0.12), (5, 0.6), (usize::MAX, 0.5)] {
            let config = VadConfig { context, proportion, ..kaldis() };
            let vad = Vad::new(config.clone(), &framing).unwrap();
            let found = vad.speech(&samples);
            let near = VadConfig { context: context.min(1000), ..config };
            assert_eq!(found, plainly(&near, &framing, &samples), "{context}, {proportion}");
            let voiced = found.iter().filter(|&&is| is).count();
            assert!(context > 5 || (voiced > 0 && voiced < found.len()), "{context}: {voiced}");
        }
    }
}

#[test]
fn every_frame_of_features_has_an_answer() {
    for snip_edges in [true, false] {
        let framing = FbankConfig { snip_edges, ..FbankConfig::default() };
        let vad = Vad::new(VadConfig::default(), &framing).unwrap();
        for length in [0, 79, 80, 399, 400, 559, 560, 16_000] {
            let tone: Vec<f32> = (0..length).map(|i| (i as f32 * 0.3).sin() * 0.2).collect();
            let speech = vad.speech(&tone);
            assert_eq!(speech.len(), framing.frames_of(length), "{length}, {snip_edges}");
            assert!(speech.iter().all(|&is| is), "{length}, {snip_edges}");
        }
    }
    let bad = FbankConfig { frame_shift_ms: 0.0, ..FbankConfig::default() };
    assert!(Vad::new(VadConfig::default(), &bad).is_err());
}

#[test]
fn faint_noise_is_no_speech_at_any_step() {
    let mut noise = Stream::new(6, "noise", &[]);
    // In steps of 16 bits.
    for level in [0.0, 0.3, 1.0, 3.0, 8.0] {
        let samples: Vec<f32> =
            (0..32_000).map(|_| ((level * noise.normal()).round() / FULL_SCALE) as f32).collect();
        let speech = vad(VadConfig::default()).speech(&samples);
        assert!(!speech.contains(&true), "{level}");
    }
    // What overflows is no panic.
    for level in [1e20, f32::MAX, f32::INFINITY, f32::NAN] {
        assert_eq!(vad(VadConfig::default()).speech(&[level; 800]).len(), 3);
    }
}

/// Recordings keep their speech, also 40 dB fainter, where Kaldi's rule loses more of it.
#[test]
fn speech_is_kept() {
    let Some(list) = shared("data/speechocean762/dev/wav.scp") else { return };
    let (vad, kaldis) = (vad(VadConfig::default()), vad(kaldis()));
    let all = read_wav_scp(&list).unwrap();
    let share = |vad: &Vad, samples: &[f32]| {
        let speech = vad.speech(samples);
        speech.iter().filter(|&&is| is).count() as f64 / speech.len() as f64
    };
    for (id, file, _) in all.iter().step_by(50) {
        let samples = load(locate(&list, file), 16_000, None).unwrap().samples;
        let whole = share(&vad, &samples);
        assert!((0.4..=1.0).contains(&whole), "{id}: {whole}");
        let faint: Vec<f32> = samples.iter().map(|x| (x * 327.68).round() / 32_768.0).collect();
        let (found, kaldis) = (share(&vad, &faint), share(&kaldis, &faint));
        assert!(found > 0.4 && found > kaldis, "{id}: {found}, {kaldis}");
    }
}
