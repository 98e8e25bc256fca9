//! WAV and FLAC files of every kind, each with its correct samples or its correct error.

use std::path::Path;

use revox::audio::load;
use revox::error::Remedy;

use crate::place::Place;
use crate::shared_or_skip;

/// Sample rate of all files but one.
const RATE: u32 = 16_000;

/// The signal that all files were made from: float64 of numpy's format, version 1.
fn reference(folder: &Path) -> Vec<f64> {
    let bytes = std::fs::read(folder.join("reference_x.npy")).unwrap();
    // A magic number and the version, the length of a description, the description, the values.
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (description, values) = bytes[10..].split_at(length);
    assert!(String::from_utf8_lossy(description).contains("'<f8'"));
    values.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The first channel at the file's own rate.
fn samples(path: &Path) -> Vec<f32> {
    load(path, RATE, Some(0)).unwrap_or_else(|e| panic!("{e}")).samples
}

fn error_of(path: &Path) -> String {
    match load(path, RATE, Some(0)) {
        Ok(audio) => panic!("{}: {} samples and no error", path.display(), audio.samples.len()),
        Err(error) => error.to_string(),
    }
}

/// An ID3v2 tag of 1.2 MB that contains the magic numbers of other formats.
fn large_tag() -> Vec<u8> {
    let cover =
        b"APIC fLaC\0\0\0\x22 \xff\xf8\xc5\x08\x00 ID3\x04\0\0\0\0\0\x05 RIFF\0\0\0\0WAVEdata"
            .repeat(26_000);
    let length = cover.len();
    assert!(length > 1_200_000);
    let mut tag = b"ID3\x03\0\0".to_vec();
    tag.extend([21, 14, 7, 0].map(|shift| (length >> shift) as u8 & 0x7f));
    tag.extend(cover);
    tag
}

#[test]
fn the_plain_forms_are_the_signal() {
    let folder = shared_or_skip!("cases/audio");
    let signal = reference(&folder);
    for name in ["w00_plain.wav", "f00_plain.flac"] {
        let found = samples(&folder.join(name));
        assert_eq!(found.len(), 16_000, "{name}");
        let worst =
            found.iter().zip(&signal).map(|(&y, x)| (f64::from(y) - x).abs()).fold(0.0, f64::max);
        assert!(worst <= 1.0 / 32_768.0, "{name}: {worst}");
    }
}

#[test]
fn sixteen_bits_are_the_same_samples_however_they_are_wrapped() {
    let folder = shared_or_skip!("cases/audio");
    let plain = samples(&folder.join("w00_plain.wav"));
    for name in [
        "w01_odd_chunk_padded.wav",
        "w01b_odd_LIST_padded.wav",
        "w02_ffmpeg_pipe.wav",
        "w02b_sox_pipe.wav",
        "w03_sizes_zero.wav",
        "w03b_sizes_intmax.wav",
        "w06_fmt20_audition.wav",
        "w06b_fmt18.wav",
        "w06e_ext_fmt42.wav",
        "w09_byterate_wrong.wav",
        "w09b_byterate_zero.wav",
        "w14_trailing_id3.wav",
        "w15_riffsize_is_datasize.wav",
        "w15b_riffsize_minus8.wav",
        "f00_plain.flac",
        "f01_id3v2_small.flac",
        "f02_id3v1_at_end.flac",
        "f02b_id3v1_at_end_total_unknown.flac",
        "f02c_zeros_at_end.flac",
        "f03_total_unknown.flac",
        "f03a_own_encoder_plain.flac",
        "f04_minblock_0.flac",
        "f04b_minblock_is_last_block.flac",
        "f07_variable_blocks.flac",
        // Its header promises half of its samples.
        "f12_promises_fewer.flac",
    ] {
        assert!(samples(&folder.join(name)) == plain, "{name}");
    }
    for (name, length) in [("f10_last_block_8.flac", 12_296), ("f13_one_block.flac", 500)] {
        assert!(samples(&folder.join(name)) == plain[..length], "{name}");
    }
    let stereo = folder.join("f14_stereo.flac");
    for channel in [0, 1] {
        assert!(load(&stereo, RATE, Some(channel)).unwrap().samples == plain, "channel {channel}");
    }
    let error = load(&stereo, RATE, None).unwrap_err();
    assert_eq!(error.remedy(), Some(&Remedy::ChooseChannel { channels: 2 }), "{error}");
}

#[test]
fn other_encodings_are_within_a_step_of_the_signal() {
    let folder = shared_or_skip!("cases/audio");
    let signal = reference(&folder);
    let bits = |bits: i32| move |_: f64| 2f64.powi(1 - bits);
    // 32-bit and floating-point samples become f32, whose steps below 0.5 are 2^-25.
    let single = |_: f64| 2f64.powi(-25);
    // G.711: a segment is 16 to 32 steps, and the smallest step of A-law is 16 of 16 bits.
    let law = |x: f64| (x.abs() / 16.0).max(16.0 / 32_768.0);
    type Rounding<'a> = &'a dyn Fn(f64) -> f64;
    let cases: [(&str, usize, Rounding); 17] = [
        ("w04_ext24in32_left.wav", 16_000, &bits(24)),
        ("w04b_ext24in24.wav", 16_000, &bits(24)),
        ("w04c_ext20in24.wav", 16_000, &bits(20)),
        ("w04e_extfloat.wav", 16_000, &single),
        ("w04f_ext12in16.wav", 16_000, &bits(12)),
        ("w06c_pcm32_fmt18.wav", 16_000, &single),
        ("w06d_float_fmt40.wav", 16_000, &single),
        ("w07_fact12.wav", 16_000, &single),
        ("w08_scipy_float64.wav", 16_000, &single),
        ("w12_alaw.wav", 16_000, &law),
        ("w12b_ulaw.wav", 16_000, &law),
        ("w13_rf64.wav", 16_000, &bits(16)),
        ("w16_u8_odd_then_LIST.wav", 15_999, &bits(8)),
        ("f06_24bit.flac", 16_000, &bits(24)),
        ("f06b_32bit.flac", 16_000, &single),
        ("f06c_20bit.flac", 16_000, &bits(20)),
        ("f06d_12bit.flac", 16_000, &bits(12)),
    ];
    for (name, length, step) in cases {
        let found = samples(&folder.join(name));
        assert_eq!(found.len(), length, "{name}");
        for (i, (&y, &x)) in found.iter().zip(&signal).enumerate() {
            let error = (f64::from(y) - x).abs();
            assert!(error <= step(x), "{name}: sample {i} is {y}, not {x}");
        }
    }
}

#[test]
fn a_rate_that_nobody_uses_is_read() {
    let folder = shared_or_skip!("cases/audio");
    let path = folder.join("w17_rate_odd_22254.wav");
    let audio = load(&path, 22_254, None).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let wanted: Vec<f32> = bytes[44..]
        .chunks_exact(2)
        .map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0)
        .collect();
    assert_eq!((audio.samples.len(), audio.source_rate), (22_254, 22_254));
    assert!(audio.samples == wanted);
    assert_eq!(samples(&path).len(), 16_000);
}

#[test]
fn damaged_files_are_errors_that_name_the_place() {
    let folder = shared_or_skip!("cases/audio");
    for (name, wanted) in [
        ("w01c_odd_chunk_unpadded.wav", "no chunk begins at byte 62"),
        ("w01c_odd_chunk_unpadded.wav", "perhaps no pad byte"),
        ("w10_half_sample_at_end.wav", "31999 bytes are not whole frames of 2 bytes"),
        ("w10b_half_frame_at_end.wav", "63998 bytes are not whole frames of 4 bytes"),
        ("f03b_damaged_block_total_known.flac", "at byte 8245 (sample 4096, 0.256 s)"),
        ("f03c_damaged_block_total_unknown.flac", "at byte 8245 (sample 4096, 0.256 s)"),
        ("f03d_cut_total_unknown.flac", "at byte 24651 (sample 12288, 0.768 s)"),
        ("f05_md5_wrong.flac", "MD5"),
        (
            "f08_two_files_in_one.flac",
            "at byte 23086 (sample 16000, 1.000 s) another FLAC file begins",
        ),
    ] {
        let error = error_of(&folder.join(name));
        assert!(error.contains(name) && error.contains(wanted), "{error}: `{wanted}` is missing");
    }
}

#[test]
fn large_tags_in_front_are_skipped() {
    let folder = shared_or_skip!("cases/audio");
    let plain = samples(&folder.join("w00_plain.wav"));
    let dir = tempfile::tempdir().unwrap();
    let (tag, path) = (large_tag(), dir.path().join("tagged"));
    for name in [
        "f00_plain.flac",
        "f03_total_unknown.flac",
        "f02b_id3v1_at_end_total_unknown.flac",
        "w00_plain.wav",
    ] {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        for tags in [tag.clone(), [tag.as_slice(), &tag].concat()] {
            std::fs::write(&path, [tags.as_slice(), &bytes].concat()).unwrap();
            assert!(samples(&path) == plain, "{name}");
        }
    }
    std::fs::write(&path, &tag[..1_000_000]).unwrap();
    assert!(error_of(&path).contains("ends inside its ID3v2 tag"));
    std::fs::write(&path, &tag).unwrap();
    assert!(error_of(&path).contains("MP3"));
}

/// The header has neither the number of samples nor their MD5. Only the frames can show that
/// something is missing.
#[test]
fn nothing_is_lost_from_a_stream_of_unknown_length() {
    let folder = shared_or_skip!("cases/audio");
    let bytes = std::fs::read(folder.join("f03_total_unknown.flac")).unwrap();
    let whole = samples(&folder.join("f03_total_unknown.flac"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.flac");
    // Where the frames begin, and where each but the last one ends.
    let (begin, ends) = (86, [6003usize, 11_921, 17_790]);
    let near = |cut: usize| ends.iter().any(|end| end.abs_diff(cut) < 4) || bytes.len() - cut < 4;
    let mut between = 0;
    for cut in (0..bytes.len()).filter(|&cut| cut % 17 == 0 || near(cut)) {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        match ends.iter().position(|&end| end == cut) {
            // A file cut between two frames looks complete.
            Some(frame) => {
                assert!(samples(&path) == whole[..4096 * (frame + 1)], "{cut} bytes");
                between += 1;
            }
            None => assert!(error_of(&path).contains("a.flac"), "{cut} bytes"),
        }
    }
    assert_eq!(between, 3);
    for at in (begin..bytes.len()).step_by(13) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, flipped).unwrap();
        let error = error_of(&path);
        assert!(error.contains("at byte ") && error.contains("(sample "), "byte {at}: {error}");
    }
    // With the number of samples and their MD5, a cut between two frames is an error, too.
    let known = std::fs::read(folder.join("f00_plain.flac")).unwrap();
    for cut in ends {
        std::fs::write(&path, &known[..cut]).unwrap();
        assert!(error_of(&path).contains("promises 16000 samples"), "{cut} bytes");
    }
}

#[test]
fn formats_that_are_not_read_are_named_with_what_to_do() {
    let place = Place::make();
    let mut six =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x06\0\x80\x3e\0\0\0\0\0\0\x0c\0\x10\0data".to_vec();
    six.extend(96_000u32.to_le_bytes());
    six.extend((0..96_000u32).map(|i| (i.wrapping_mul(7919) >> 4) as u8));
    let mut adpcm = six.clone();
    adpcm[20] = 0x11;
    let files: [(&str, &[u8]); 6] = [
        ("six.wav", &six),
        ("adpcm.wav", &adpcm),
        ("song.amr", b"#!AMR\n0000"),
        ("voice note.au", b".snd\0\0\0\x18"),
        ("not.wav", b"RIFX\0\0\0\0WAVE"),
        (
            "a.ogg",
            b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\x02\x03\x04\0\0\0\0\x05\x06\x07\x08\x01\x13Speex   ",
        ),
    ];
    for (name, bytes) in files {
        std::fs::write(place.path(name), bytes).unwrap();
    }
    for (name, wanted) in [
        ("six.wav", ["has 6 channels; choose one with --channel N, from 0 to 5", ""]),
        ("adpcm.wav", ["IMA ADPCM", "ffmpeg -i adpcm.wav -c:a pcm_s16le adpcm.pcm.wav"]),
        ("song.amr", ["is AMR audio", "ffmpeg -i song.amr -c:a pcm_s16le song.wav"]),
        (
            "voice note.au",
            ["is AU audio", "ffmpeg -i 'voice note.au' -c:a pcm_s16le 'voice note.wav'"],
        ),
        ("not.wav", ["is big-endian WAV (RIFX)", "not.pcm.wav"]),
        ("a.ogg", ["is Ogg Speex audio", "a.wav"]),
    ] {
        place
            .fails(&["fbank", name, "-o", "f.safetensors"], &[[name].as_slice(), &wanted].concat());
    }
    place.ok(&["fbank", "six.wav", "--channel", "5", "-o", "f.safetensors"]);
}
