use std::fs::File;
use std::sync::Arc;

use super::*;
use crate::audio::flac;
use crate::audio::input::tests::{held, paged};

/// All samples of a file, and their rate.
pub fn all(mut blocks: impl Blocks) -> Result<(Vec<f32>, u32)> {
    let mut samples = Vec::new();
    while blocks.more(&mut samples)? {}
    Ok((samples, blocks.rate()))
}

/// A WAV file of one channel.
fn wav(spec: hound::WavSpec, samples: &[f32]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for &x in samples {
        match spec.sample_format {
            hound::SampleFormat::Float => writer.write_sample(x).unwrap(),
            hound::SampleFormat::Int => {
                let full = f64::from(1u32 << (spec.bits_per_sample - 1));
                writer.write_sample((f64::from(x) * full) as i32).unwrap();
            }
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn tone(length: usize) -> Vec<f32> {
    (0..length).map(|i| (i as f32 * 0.05).sin() * 0.7).collect()
}

/// Files of one channel in every encoding that the tests can write: name and bytes.
fn files() -> Vec<(String, Vec<u8>)> {
    use hound::SampleFormat::{Float, Int};
    let mut files = Vec::new();
    for (bits, sample_format) in [(8, Int), (16, Int), (24, Int), (32, Int), (32, Float)] {
        for sample_rate in [16_000, 8000, 44_100] {
            let spec =
                hound::WavSpec { channels: 1, sample_rate, bits_per_sample: bits, sample_format };
            files.push((
                format!("{bits}-{sample_format:?}-{sample_rate}.wav"),
                wav(spec, &tone(5000)),
            ));
        }
    }
    for (known, rate) in [(true, 16_000), (false, 16_000), (true, 22_050), (false, 48_000)] {
        let samples: Vec<i64> = tone(5000).iter().map(|x| (x * 30_000.0) as i64).collect();
        files.push((
            format!("{known}-{rate}.flac"),
            flac::tests::file_of(&samples, 700, rate, known),
        ));
    }
    files
}

/// All samples, read `wanted` at a time.
fn pieces(source: &mut Source, wanted: usize) -> Vec<f32> {
    let mut samples = Vec::new();
    loop {
        let piece = source.read(wanted).unwrap();
        samples.extend_from_slice(&piece);
        if piece.len() < wanted {
            assert!(source.read(wanted).unwrap().is_empty());
            return samples;
        }
    }
}

#[test]
fn pieces_are_the_samples_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files() {
        let path = dir.path().join(&name);
        std::fs::write(&path, &bytes).unwrap();
        let whole = super::super::load(&path, 16_000, None).unwrap();
        assert!(whole.samples.len() > 1000, "{name}");
        for page in [None, Some(100), Some(4096)] {
            for wanted in [usize::MAX, 10_000, 1000, 37] {
                let input =
                    page.map_or_else(|| held(&name, &bytes), |page| paged(&name, &bytes, page));
                let mut source = Source::of(input, 16_000, None).unwrap();
                assert_eq!(source.source_rate(), whole.source_rate);
                let known = source.known_length();
                assert!(
                    known.is_none_or(|length| length == whole.samples.len()),
                    "{name}: {known:?}"
                );
                assert_eq!(known.is_some(), name.ends_with("wav"));
                assert!(pieces(&mut source, wanted) == whole.samples, "{name}, {page:?}, {wanted}");
                let last = whole.samples.len();
                for start in [4321.min(last), 0, 17, last - 1, last, 700] {
                    source.seek(start).unwrap();
                    assert!(
                        source.read(wanted.min(500)).unwrap()
                            == whole.samples[start..]
                                [..wanted.min(500).min(whole.samples.len() - start)],
                        "{name}, {page:?}, from {start}"
                    );
                }
                source.rewind();
                // Again from the first sample, and after a part.
                assert_eq!(source.length().unwrap(), whole.samples.len(), "{name}");
                assert!(source.read(10).unwrap() == whole.samples[..10], "{name}");
                source.rewind();
                assert!(source.read(usize::MAX).unwrap() == whole.samples, "{name}");
            }
        }
    }
}

#[test]
fn the_level_is_that_of_the_whole() {
    for (name, bytes) in files() {
        let samples =
            Source::of(held(&name, &bytes), 16_000, None).unwrap().read(usize::MAX).unwrap();
        let level = Source::of(paged(&name, &bytes, 512), 16_000, None).unwrap().level().unwrap();
        assert_eq!(level, Level::of(&samples), "{name}");
        assert_eq!((level.samples(), level.is_silent()), (samples.len(), false));
    }
}

#[test]
fn faults_behind_the_first_block_are_found() {
    let spec = |bits_per_sample, sample_format| hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample,
        sample_format,
    };
    let mut samples = tone(70_000);
    samples[69_999] = f32::NAN;
    let bytes = wav(spec(32, hound::SampleFormat::Float), &samples);
    for input in [held("a.wav", &bytes), paged("a.wav", &bytes, 999)] {
        let mut source = Source::of(input, 16_000, None).unwrap();
        assert_eq!(source.read(1000).unwrap(), samples[..1000]);
        let error = source.read(usize::MAX).unwrap_err().to_string();
        assert!(error.contains("a.wav: sample 69999 is NaN"), "{error}");
    }
    let mut source = Source::of(paged("a.wav", &bytes, 999), 8000, None).unwrap();
    let error = source.read(usize::MAX).unwrap_err().to_string();
    assert!(error.contains("a.wav: sample 69999 is NaN"), "{error}");
    samples[69_999] = -2e30;
    let bytes = wav(spec(32, hound::SampleFormat::Float), &samples);
    let mut source = Source::of(paged("a.wav", &bytes, 999), 8000, None).unwrap();
    let error = source.read(usize::MAX).unwrap_err().to_string();
    assert!(
        error.contains("a.wav: cannot resample from 16000 Hz to 8000 Hz: sample 69999 is -2e30"),
        "{error}"
    );
    let bytes = wav(spec(16, hound::SampleFormat::Int), &tone(5000));
    let cut = |bytes: &[u8]| {
        Source::of(paged("a.wav", bytes, 64), 16_000, None).map(|_| ()).unwrap_err().to_string()
    };
    assert!(cut(&bytes[..9000]).contains("promises 10000 bytes of samples, the file holds 8956"));
    assert!(cut(&[0; 100]).contains("no audio file"));
}

#[test]
fn of_a_long_wav_file_only_a_crop_is_read() {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let bytes = wav(spec, &tone(400_000));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    let all = Source::of(held("a.wav", &bytes), 16_000, Some(1)).unwrap().read(usize::MAX);
    let all = all.unwrap();
    assert_eq!(all.len(), 200_000);
    for before in [0, 1001] {
        std::fs::write(&path, [vec![5; before].as_slice(), &bytes].concat()).unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        let place = before as u64..(before + bytes.len()) as u64;
        let mut source = match before {
            0 => Source::open(&path, 16_000, Some(1)).unwrap(),
            _ => Source::of_part(&path, file, place, 16_000, Some(1)).unwrap(),
        };
        // Nothing behind the crop is there any more, and nothing of it is read.
        let end = before + bytes.len() - 4 * (all.len() - 132_000);
        let writer = File::options().write(true).open(&path).unwrap();
        writer.set_len(end as u64).unwrap();
        source.seek(100_000).unwrap();
        assert!(source.read(32_000).unwrap() == all[100_000..132_000]);
        let error = source.read(1).unwrap_err().to_string();
        assert!(error.contains("became shorter"), "{error}");
    }
}

#[test]
fn a_piece_is_no_larger_than_asked_for() {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let bytes = wav(spec, &tone(300_000));
    let mut source = Source::of(paged("a.wav", &bytes, 4096), 16_000, None).unwrap();
    assert_eq!(source.path(), Path::new("a.wav"));
    for _ in 0..3 {
        let piece = source.read(20_000).unwrap();
        assert!(piece.len() == 20_000 && source.ready.is_empty(), "{}", source.ready.len());
    }
}
