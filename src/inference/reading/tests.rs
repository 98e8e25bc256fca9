use super::*;
use crate::audio::{load, write_wav16};
use crate::inference::tests::{MELS, extractor, meter, reading, recording, tone};
use crate::rng::Stream;

#[test]
fn long_recordings_are_cut_into_equal_windows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    write_wav16(&path, &tone(50_000), 16_000).unwrap();
    let (extractor, meter) = (extractor(), meter());
    let read = |window| recording(&reading(&extractor, &meter, window), &path).unwrap();
    let (whole, cut) = (read(WINDOW), read(1.0));
    // A tone of 127 Hz is no voice.
    assert_eq!((whole.windows.len(), whole.facts.warnings.len()), (1, 1));
    assert!(whole.facts.warnings[0].starts_with("telephone band"), "{:?}", whole.facts.warnings);
    // 3.125 s are four windows of 12,500 samples.
    assert_eq!(cut.windows.iter().map(|w| w.frames).collect::<Vec<_>>(), [76; 4]);
    let warnings = cut.facts.warnings.clone();
    assert!(warnings.len() == 2 && warnings[1].contains("3 s long"), "{warnings:?}");
    assert!(warnings[1].ends_with("4 windows of 1 s"), "{warnings:?}");
    let samples = load(&path, 16_000, None).unwrap().samples;
    for (window, samples) in cut.windows.iter().zip(samples.chunks(12_500)) {
        assert_eq!(window.values, extractor.features(samples, None).unwrap().values);
    }
    let quality = cut.facts.quality;
    assert_eq!(cut.facts, Facts { warnings, frames: 4 * 76, quality, ..whole.facts.clone() });
    assert_eq!((quality.speech_seconds, quality.clipped), (3.125, 0.0));
    assert!((quality.bandwidth - whole.facts.quality.bandwidth).abs() < 100.0, "{quality:?}");
    assert_eq!((whole.facts.seconds, whole.facts.silent, whole.facts.frames), (3.125, false, 311));
}

/// The length of a FLAC file is unknown at first. A resampled file is cut at its new rate.
#[test]
fn windows_are_the_same_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let samples = tone(25_000);
    let steps: Vec<i64> = samples.iter().map(|x| (x * 32_768.0).round() as i64).collect();
    let wav = dir.path().join("a.wav");
    write_wav16(&wav, &samples, 8000).unwrap();
    let (extractor, meter) = (extractor(), meter());
    for window in [0.7, 1.0, 3.124, 3.125, 60.0] {
        let reading = reading(&extractor, &meter, window);
        let wanted = recording(&reading, &wav).unwrap();
        assert_eq!(wanted.windows.len(), (3.125 / window).ceil() as usize);
        for known in [true, false] {
            let flac = dir.path().join("a.flac");
            std::fs::write(&flac, crate::audio::tests::flac_of(&steps, 1000, 8000, known)).unwrap();
            let found = recording(&reading, &flac).unwrap();
            assert_eq!(found.facts, wanted.facts);
            assert!(
                found
                    .windows
                    .iter()
                    .map(|w| &w.values)
                    .eq(wanted.windows.iter().map(|w| &w.values))
            );
        }
    }
}

#[test]
fn errors_of_any_window_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    let mut samples = tone(40_000);
    samples[39_000] = 1e30;
    samples.iter().for_each(|&x| writer.write_sample(x).unwrap());
    writer.finalize().unwrap();
    let (extractor, meter) = (extractor(), meter());
    let error = |window| {
        let reading = reading(&extractor, &meter, window);
        recording(&reading, &path).err().unwrap().to_string()
    };
    for (window, wanted) in
        [(60.0, "frame 242 "), (1.0, "frame 75 "), (0.001, "16 samples are shorter than one frame")]
    {
        assert!(
            error(window).contains("a.wav: ") && error(window).contains(wanted),
            "{}",
            error(window)
        );
    }
}

/// Noise of a loudness, full scale = 1.
fn noise(length: usize, loudness: f64) -> Vec<f32> {
    let mut noise = Stream::new(9, "noise", &[]);
    (0..length).map(|_| (loudness * noise.normal()) as f32).collect()
}

#[test]
fn only_speech_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    let pause = vec![0.0f32; 16_000];
    let samples = [noise(16_000, 0.1), pause.clone(), noise(8000, 0.05), pause].concat();
    write_wav16(&path, &samples, 16_000).unwrap();
    let (extractor, meter) = (extractor(), meter());
    let all = recording(&reading(&extractor, &meter, WINDOW), &path).unwrap();
    let vad = Reading { vad: true, ..reading(&extractor, &meter, WINDOW) };
    let only = recording(&vad, &path).unwrap();
    assert_eq!((only.facts.seconds, only.facts.quality), (all.facts.seconds, all.facts.quality));
    let samples = load(&path, 16_000, None).unwrap().samples;
    let speech = meter.window(&samples).1;
    // Those without the mean, then the mean of those that are left.
    let features = extractor.fbank().features(&samples, None).unwrap();
    let frames = features.chunks(MELS).zip(&speech).filter(|(_, is)| **is).map(|(frame, _)| frame);
    let frames: Vec<&[f32]> = frames.collect();
    assert!((150..165).contains(&frames.len()), "{}", frames.len());
    let mean = |mel: usize| frames.iter().map(|f| f64::from(f[mel])).sum::<f64>();
    let means: Vec<f64> = (0..MELS).map(|mel| mean(mel) / frames.len() as f64).collect();
    let found = &only.windows[0];
    assert_eq!((found.frames, only.facts.frames), (frames.len(), frames.len()));
    for (found, frame) in found.values.chunks(MELS).zip(&frames) {
        for ((found, value), mean) in found.iter().zip(*frame).zip(&means) {
            assert!((f64::from(*found) - (f64::from(*value) - mean)).abs() < 1e-4);
        }
    }
    assert_eq!(vad.features_of(&samples).unwrap()[0].values, found.values);
}

/// A window without speech does not count, a recording without it is an error.
#[test]
fn windows_without_speech_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    let (extractor, meter) = (extractor(), meter());
    let read = |samples: &[f32], window: f64| {
        write_wav16(&path, samples, 16_000).unwrap();
        let reading = Reading { vad: true, ..reading(&extractor, &meter, window) };
        recording(&reading, &path)
    };
    // A step of 16 bits is heard, but is no speech.
    let faint: Vec<f32> = (0..16_000).map(|i| (i % 2) as f32 / 32_768.0).collect();
    let samples =
        [noise(16_000, 0.1), faint.clone(), vec![0.0; 16_000], noise(16_000, 0.1)].concat();
    let found = read(&samples, 1.0).unwrap();
    assert_eq!(found.windows.iter().map(|w| w.frames).collect::<Vec<_>>(), [98, 98]);
    assert!((found.facts.quality.speech_seconds - 2.0).abs() < 1e-9, "{:?}", found.facts);
    let warnings = &found.facts.warnings;
    let wanted = "2 windows of 1 s; 2 more have too little speech";
    assert!(warnings.last().unwrap().ends_with(wanted), "{warnings:?}");
    for (samples, wanted) in [
        (faint, "a.wav: has no speech, or too little; its level is 93 dB below full scale"),
        (vec![0.0; 16_000], "a.wav: silent: there is no speech in it"),
        (vec![0.0; 399], "a.wav: 399 samples are shorter than one frame"),
    ] {
        for window in [WINDOW, 0.5] {
            let error = read(&samples, window).err().unwrap().to_string();
            assert!(error.contains(wanted), "{window}: {error}");
        }
    }
    let reading = Reading { vad: true, ..reading(&extractor, &meter, 0.5) };
    for samples in [&samples[16_000..32_000], &samples[16_000..20_000]] {
        let error = reading.features_of(samples).unwrap_err().to_string();
        assert!(error.contains("has no speech"), "{error}");
    }
}

#[test]
fn quality_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    let (extractor, meter) = (extractor(), meter());
    let facts = |samples: &[f32], rate: u32| {
        write_wav16(&path, samples, rate).unwrap();
        recording(&reading(&extractor, &meter, WINDOW), &path).unwrap().facts
    };
    let good = facts(&noise(20_000, 0.1), 16_000);
    assert!(good.warnings.is_empty(), "{:?}", good.warnings);
    assert_eq!((good.quality.bandwidth, good.quality.speech_seconds), (8000.0, 1.25));
    let short = facts(&noise(8000, 0.1), 16_000);
    assert_eq!(short.warnings, ["only 0.50 s of speech"]);
    let clipped: Vec<f32> =
        (0..20_000).map(|i| (2.0 * (i as f32 * 0.05).sin()).clamp(-1.0, 0.999)).collect();
    let clipped = facts(&clipped, 16_000);
    assert!(clipped.warnings[0].starts_with("clipped: 6"), "{:?}", clipped.warnings);
    // The low rate is told once.
    let narrow = facts(&noise(20_000, 0.1), 8000);
    assert!((3500.0..4500.0).contains(&narrow.quality.bandwidth), "{:?}", narrow.quality);
    assert!(narrow.warnings.len() == 1 && narrow.warnings[0].contains("recorded at 8000 Hz"));
    // Of silence nothing more is said.
    let silent = facts(&[0.0; 16_000], 16_000);
    assert!(silent.silent && silent.warnings.is_empty(), "{:?}", silent.warnings);
    assert_eq!(silent.quality, Quality::default());
}
