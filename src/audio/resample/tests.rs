use super::*;

fn tone(rate: u32, hertz: f64, n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| (std::f64::consts::TAU * hertz * i as f64 / f64::from(rate)).sin() as f32 * 0.5)
        .collect()
}

/// False for NaN.
fn is_near(a: f32, b: f32) -> bool {
    (a - b).abs() < 2e-3
}

#[test]
fn a_tone_stays_the_same_tone() {
    for from in [8000, 11025, 22050, 44100, 48000] {
        let input = tone(from, 1000.0, from as usize);
        let output = resample(&input, from, 16000).unwrap();
        assert_eq!(output.len(), 16000);
        let wanted = tone(16000, 1000.0, 16000);
        let far = (2000..14000).find(|&i| !is_near(output[i], wanted[i]));
        assert_eq!(far, None, "{from} Hz");
    }
}

#[test]
fn samples_that_are_no_numbers_are_refused() {
    let mut samples = tone(44_100, 1000.0, 9000);
    samples[5000] = f32::NAN;
    let whole = resample(&samples, 44_100, 16_000).unwrap_err().to_string();
    assert!(whole.ends_with("sample 5000 is NaN, not a number"), "{whole}");
    assert_eq!(in_pieces(&samples, 1000, 44_100, 16_000).unwrap_err().to_string(), whole);
}

/// The result of [`Resampling`] for samples in pieces of `piece`.
fn in_pieces(samples: &[f32], piece: usize, from: u32, to: u32) -> Result<Vec<f32>> {
    let mut resampling = Resampling::new(from, to);
    let mut out = Vec::new();
    for piece in samples.chunks(piece) {
        resampling.push(piece, false, &mut out)?;
    }
    resampling.push(&[], true, &mut out)?;
    Ok(out)
}

#[test]
fn pieces_become_the_same_as_the_whole() {
    for (from, to) in [(8000, 16_000), (48_000, 16_000), (44_100, 16_000), (16_000, 11_025)] {
        let call = prepare(from, to).unwrap().input_frames_next();
        for length in
            [0, 1, 2, 3, 100, call - 1, call, call + 1, 2 * call, 3 * call - 7, 5 * call + 3]
        {
            let samples: Vec<f32> =
                (0..length).map(|i| ((i * i) as f32 * 0.001).sin() * 0.9).collect();
            let whole = resample(&samples, from, to).unwrap();
            assert_eq!(whole.len(), resampled_length(length, from, to));
            for piece in [1000, call, 2 * call + 1, usize::MAX] {
                let out = in_pieces(&samples, piece, from, to).unwrap();
                let equal = out.iter().map(|x| x.to_bits()).eq(whole.iter().map(|x| x.to_bits()));
                assert!(equal, "{from} to {to} Hz: {length} samples, {piece} at a time");
                let mut at_once = Vec::new();
                Resampling::new(from, to).push(&samples, true, &mut at_once).unwrap();
                assert!(at_once == out);
            }
        }
    }
}

#[test]
fn pieces_have_the_errors_of_the_whole() {
    let mut samples = tone(8000, 1000.0, 3000);
    samples[2500] = f32::MAX;
    for (from, to) in [(8000, 16_000), (3, 16_000), (767_999, 16_000)] {
        let wanted = resample(&samples, from, to).unwrap_err().to_string();
        assert_eq!(in_pieces(&samples, usize::MAX, from, to).unwrap_err().to_string(), wanted);
    }
    let error = in_pieces(&samples, 1000, 8000, 16_000).unwrap_err().to_string();
    assert!(error.contains("sample 2500 is"), "{error}");
    assert!(
        in_pieces(&samples[..10], 1, 3, 16_000)
            .unwrap_err()
            .to_string()
            .contains("not a rate of audio")
    );
}

#[test]
fn speed_changes_length_and_pitch() {
    let input = tone(16000, 1000.0, 16000);
    let output = speed(&input, 1.1).unwrap();
    assert_eq!(output.len(), 14545);
    let wanted = tone(16000, 1100.0, 14545);
    assert_eq!((2000..12000).find(|&i| !is_near(output[i], wanted[i])), None);
    assert!(matches!(speed(&input, 1.0).unwrap(), Cow::Borrowed(_)));
    // A resampler that was used before gives the same.
    for other in [0.9, 1.1] {
        speed(&tone(16000, 300.0, 777), other).unwrap();
        assert!(speed(&input, 1.1).unwrap() == output);
    }
}

#[test]
fn impossible_rates_are_errors() {
    assert!(resample(&[0.0; 100], 3, 16000).is_err());
    assert!(resample(&[0.0; 100], 767_999, 16000).is_err());
    assert_eq!(resample(&[0.0; 705_600], 705_600, 16000).unwrap().len(), 16000);
}
