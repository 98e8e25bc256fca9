//! Recordings.

use std::ptr::null;

use engine::audio::write_wav16;

use super::*;
use crate::decide::{revox_llr, revox_score};
use crate::hear::*;

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

        // Of two channels, the second is silent.
        let stereo = dir.join("stereo.wav");
        let both = integers.iter().flat_map(|&sample| [sample, 0]);
        std::fs::write(&stereo, wav(2, 8000, both)).unwrap();
        let stereo = CString::new(stereo.to_str().unwrap()).unwrap();
        let words = "choose a channel, from 0 to 1";
        fails(file(REVOX_ONLY_CHANNEL, stereo.as_ptr()), S::Audio, words);
        row.fill(0.0);
        let start = row.as_mut_ptr();
        let status = revox_embed_file(model.0, stereo.as_ptr(), 0, start, length, null_mut());
        assert_eq!((status, &row), (S::Ok, &embedding));
    }
    std::fs::remove_dir_all(dir).unwrap();

    let mut only = RevoxQuality::of(&nothing());
    let (samples, count) = (floats.as_ptr(), floats.len());
    // SAFETY: pointers to locals.
    assert_eq!(unsafe { revox_quality(model.0, samples, count, 8000, &raw mut only) }, S::Ok);
    assert_eq!(only.facts(), quality.facts());
}

/// A WAV file of 16 bits, whose channels alternate.
fn wav(channels: u16, rate: u32, samples: impl Iterator<Item = i16>) -> Vec<u8> {
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let frame = 2 * channels;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(b"\x10\0data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// A folder of the test's own.
fn tempfile_dir() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("revox-c-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn bad_recordings_are_errors() {
    let model = Model::open();
    let good = voice(0.5, RATE, 90.0);
    fails(model.embed(&[], RATE).0, S::Audio, "holds no samples");
    fails(model.embed(&[0.0, f32::NAN], RATE).0, S::Audio, "sample 1 is NaN");
    fails(model.embed(&[0.0, 1.0, f32::INFINITY], RATE).0, S::Audio, "sample 2 is");
    fails(model.embed(&[0.5, -19660.0], RATE).0, S::Audio, "samples reach 19660, but full scale");
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
