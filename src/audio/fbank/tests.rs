use super::*;

#[test]
fn filters_are_triangles_that_overlap_by_half() {
    let fbank = Fbank::new(FbankConfig::default()).unwrap();
    assert_eq!(fbank.filters.len(), 80);
    // Away from the ends, neighbouring triangles add up to one in every bin.
    let mut total = vec![0.0f32; 257];
    for filter in &fbank.filters {
        for (i, w) in filter.weights.iter().enumerate() {
            assert!((0.0..=1.0).contains(w));
            total[filter.first + i] += w;
        }
    }
    assert!(total[10..230].iter().all(|t| (t - 1.0).abs() < 1e-3), "{total:?}");
}

#[test]
fn frames_follow_length() {
    let config = FbankConfig::default();
    for (samples, frames) in [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16000, 98)] {
        assert_eq!(config.frames_of(samples), frames);
        let fbank = Fbank::new(config.clone()).unwrap();
        assert_eq!(fbank.compute(&vec![0.1; samples], None).len(), frames * 80);
    }
    assert_eq!(config.frames_of(config.samples_for(200)), 200);
}

#[test]
fn dither_is_seeded_and_scales() {
    let fbank = Fbank::new(FbankConfig { dither: 1.0, ..Default::default() }).unwrap();
    let silence = vec![0.0; 4000];
    let run = |seed| fbank.compute(&silence, Some(&mut Stream::new(seed, "dither", &[])));
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    // Noise of one 16-bit step lifts silence far above the floor; without a stream it stays
    // there.
    assert!(run(1).iter().all(|&v| v > -10.0));
    assert!(fbank.compute(&silence, None).iter().all(|&v| (v - FLOOR.ln()).abs() < 1e-6));
}

#[test]
fn mean_subtraction_leaves_zero_means() {
    let mut x: Vec<f32> = (0..60).map(|i| (i * i % 17) as f32).collect();
    subtract_mean(&mut x, 3);
    for m in 0..3 {
        let mean: f32 = x.iter().skip(m).step_by(3).sum::<f32>() / 20.0;
        assert!(mean.abs() < 1e-6);
    }
}

#[test]
fn impossible_settings_are_errors_that_name_them() {
    let bad = |c: FbankConfig, wanted: &str| {
        let error = c.check().unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(Fbank::new(c).is_err());
    };
    let default = FbankConfig::default;
    for mels in [0, 2, 1025, usize::MAX] {
        bad(FbankConfig { mels, ..default() }, "mels");
    }
    for sample_rate in [0, 999, 768_001, u32::MAX] {
        bad(FbankConfig { sample_rate, ..default() }, "sample_rate");
    }
    // The last: 64 TB, were it not refused first.
    for frame_length_ms in [0.0, -25.0, 1000.1, f64::NAN, f64::INFINITY, 1e12] {
        bad(FbankConfig { frame_length_ms, ..default() }, "frame_length_ms");
    }
    for frame_shift_ms in [0.0, -10.0, 1e12, f64::NAN] {
        bad(FbankConfig { frame_shift_ms, ..default() }, "frame_shift_ms");
    }
    for dither in [-1.0, f64::NAN, f64::INFINITY, 1e35] {
        bad(FbankConfig { dither, ..default() }, "dither");
    }
    for scale in [0.0, -1.0, 1e35, f64::NAN, f64::INFINITY] {
        bad(FbankConfig { scale, ..default() }, "scale");
    }
    for preemphasis in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
        bad(FbankConfig { preemphasis, ..default() }, "preemphasis");
    }
    bad(FbankConfig { sample_rate: 768_000, frame_length_ms: 1000.0, ..default() }, "samples");
    bad(FbankConfig { sample_rate: 1000, frame_length_ms: 1.0, ..default() }, "samples");
    bad(FbankConfig { low_freq: 9000.0, ..default() }, "Hz");
    bad(FbankConfig { low_freq: -1.0, ..default() }, "Hz");
    bad(FbankConfig { high_freq: -8000.0, ..default() }, "Hz");
    bad(FbankConfig { high_freq: 8000.1, ..default() }, "Hz");
    bad(FbankConfig { low_freq: f64::NAN, ..default() }, "low_freq");
    bad(FbankConfig { high_freq: f64::NAN, ..default() }, "high_freq");
}

#[test]
fn a_filter_without_a_bin_is_an_error() {
    let with = |mels, sample_rate| FbankConfig { mels, sample_rate, ..FbankConfig::default() };
    for (mels, rate) in
        [(3, 16000), (16, 16000), (40, 16000), (80, 16000), (120, 16000), (80, 8000), (80, 48000)]
    {
        with(mels, rate).check().unwrap();
    }
    let error = with(128, 16000).check().unwrap_err().to_string();
    assert!(
        error.contains("mel filter 3") && error.contains("128") && error.contains("512 points"),
        "{error}"
    );
    assert!(with(96, 8000).check().is_err());
    // Longer frames have more bins.
    FbankConfig { frame_length_ms: 50.0, ..with(128, 16000) }.check().unwrap();
}

#[test]
fn features_that_are_not_finite_are_errors() {
    let tone = |pitch: f32, level: f32| -> Vec<f32> {
        (0..4000).map(|i| level * (i as f32 * pitch).sin()).collect()
    };
    for config in [
        FbankConfig::default(),
        FbankConfig { log: false, ..Default::default() },
        FbankConfig { power: false, ..Default::default() },
        FbankConfig { remove_dc_offset: false, preemphasis: 0.0, ..Default::default() },
    ] {
        let fbank = Fbank::new(config).unwrap();
        for level in [1e20, 1e35, 3e38, f32::INFINITY, f32::NAN] {
            let error = fbank.features(&tone(0.3, level), None).unwrap_err().to_string();
            assert!(error.contains("frame 0") && error.contains("not finite"), "{level}: {error}");
        }
        assert!(fbank.features(&tone(0.3, 1.0), None).is_ok());
    }
    // One sample is enough, and the frame is named. Frame 12 is the first that sees sample
    // 2240.
    let fbank = Fbank::new(FbankConfig::default()).unwrap();
    let mut samples = tone(0.3, 0.1);
    samples[2240] = f32::NAN;
    let error = fbank.features(&samples, None).unwrap_err().to_string();
    assert!(error.contains("frame 12 "), "{error}");
    let error = fbank.features(&[0.1; 399], None).unwrap_err().to_string();
    assert!(error.contains("399 samples are shorter than one frame"), "{error}");
}

#[test]
fn signals_are_mirrored_at_both_ends() {
    let n = 3;
    let indices: Vec<usize> = (-7..10).map(|i| mirrored(i, n)).collect();
    assert_eq!(indices, [0, 0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1, 2, 2]);
    assert!((-5..5).all(|i| mirrored(i, 1) == 0));
}
