use super::*;
use crate::audio::{load, write_wav16};
use crate::inference::tests::{extractor, recording, tone};

#[test]
fn long_recordings_are_cut_into_equal_windows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    write_wav16(&path, &tone(50_000), 16_000).unwrap();
    let extractor = extractor();
    let read = |window| {
        recording(&Reading { extractor: &extractor, channel: None, window }, &path).unwrap()
    };
    let (whole, cut) = (read(WINDOW), read(1.0));
    assert_eq!((whole.windows.len(), whole.facts.warnings.len()), (1, 0));
    // 3.125 s are four windows of 12,500 samples.
    assert_eq!(cut.windows.iter().map(|w| w.frames).collect::<Vec<_>>(), [76; 4]);
    assert!(cut.facts.warnings[0].contains("3 s long"), "{:?}", cut.facts.warnings);
    assert!(cut.facts.warnings[0].contains("4 windows of 1 s"), "{:?}", cut.facts.warnings);
    let samples = load(&path, 16_000, None).unwrap().samples;
    for (window, samples) in cut.windows.iter().zip(samples.chunks(12_500)) {
        assert_eq!(window.values, extractor.features(samples, None).unwrap().values);
    }
    let warnings = cut.facts.warnings.clone();
    assert_eq!(cut.facts, Facts { warnings, frames: 4 * 76, ..whole.facts.clone() });
    assert_eq!(
        (whole.facts.seconds, whole.facts.silent, whole.facts.frames),
        (3.125, false, 311)
    );
}

/// The length of a FLAC file is unknown at first. A resampled file is cut at its new rate.
#[test]
fn windows_are_the_same_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let samples = tone(25_000);
    let steps: Vec<i64> = samples.iter().map(|x| (x * 32_768.0).round() as i64).collect();
    let wav = dir.path().join("a.wav");
    write_wav16(&wav, &samples, 8000).unwrap();
    let extractor = extractor();
    for window in [0.7, 1.0, 3.124, 3.125, 60.0] {
        let reading = Reading { extractor: &extractor, channel: None, window };
        let wanted = recording(&reading, &wav).unwrap();
        assert_eq!(wanted.windows.len(), (3.125 / window).ceil() as usize);
        for known in [true, false] {
            let flac = dir.path().join("a.flac");
            std::fs::write(&flac, crate::audio::tests::flac_of(&steps, 1000, 8000, known))
                .unwrap();
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
    let extractor = extractor();
    let error = |window| {
        let reading = Reading { extractor: &extractor, channel: None, window };
        recording(&reading, &path).err().unwrap().to_string()
    };
    for (window, wanted) in [
        (60.0, "frame 242 "),
        (1.0, "frame 75 "),
        (0.001, "16 samples are shorter than one frame"),
    ] {
        assert!(
            error(window).contains("a.wav: ") && error(window).contains(wanted),
            "{}",
            error(window)
        );
    }
}
