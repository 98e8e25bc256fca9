use super::*;
use crate::audio::input::tests::every;

const ENCODINGS: [(Encoding, usize); 11] = [
    (Encoding::Unsigned, 1),
    (Encoding::Unsigned, 2),
    (Encoding::Signed, 1),
    (Encoding::Signed, 2),
    (Encoding::Signed, 3),
    (Encoding::Signed, 4),
    (Encoding::Unsigned, 4),
    (Encoding::Float, 4),
    (Encoding::Float, 8),
    (Encoding::ALaw, 1),
    (Encoding::MuLaw, 1),
];

/// The bytes of a number in -1..1.
fn bytes_of(x: f64, encoding: Encoding, bytes: usize, big_endian: bool) -> Vec<u8> {
    let law = |law: fn(u8) -> i16| {
        let near = |code: &u8| (f64::from(law(*code)) / 32_768.0 - x).abs();
        (0..=255u8).min_by(|a, b| near(a).total_cmp(&near(b))).unwrap()
    };
    let full = 2f64.powi(8 * bytes as i32 - 1);
    let number = match encoding {
        Encoding::Unsigned => (x * full + full) as i64,
        _ => (x * full) as i64,
    };
    let mut found = match (encoding, bytes) {
        (Encoding::Float, 4) => (x as f32).to_le_bytes().to_vec(),
        (Encoding::Float, _) => x.to_le_bytes().to_vec(),
        (Encoding::ALaw, _) => vec![law(a_law)],
        (Encoding::MuLaw, _) => vec![law(mu_law)],
        _ => number.to_le_bytes()[..bytes].to_vec(),
    };
    if big_endian {
        found.reverse();
    }
    found
}

#[test]
fn every_layout_gives_the_numbers_that_went_in() {
    let wanted: Vec<f64> = (0..300).map(|i| (f64::from(i) * 0.37).sin() * 0.9).collect();
    for (encoding, bytes) in ENCODINGS {
        for (big_endian, channels) in [(false, 1), (true, 1), (false, 2), (true, 3)] {
            let layout = Layout { encoding, bytes, big_endian, channels };
            assert!(layout.is_possible());
            let data: Vec<u8> =
                wanted.iter().flat_map(|x| bytes_of(*x, encoding, bytes, big_endian)).collect();
            let step = match encoding {
                Encoding::Float => 1e-7,
                Encoding::ALaw | Encoding::MuLaw => 0.02,
                _ => 2f64.powi(1 - 8 * bytes as i32).max(1e-7),
            };
            for channel in 0..channels {
                for input in every("a.raw", &[b"head".as_slice(), &data].concat()) {
                    let place = 4..4 + data.len() as u64;
                    let mut reader =
                        Reader::new(input, "raw", layout, 8000, place, Some(channel)).unwrap();
                    let mut all = Vec::new();
                    while reader.more(&mut all).unwrap() {}
                    assert_eq!(reader.length(), Some(all.len() as u64));
                    let chosen = wanted.iter().skip(channel).step_by(channels);
                    assert!(
                        all.iter().zip(chosen).all(|(y, x)| (f64::from(*y) - x).abs() <= step),
                        "{layout:?}"
                    );
                    for from in [17, 0, all.len(), all.len() + 9, 3] {
                        let first = reader.seek(from as u64).unwrap() as usize;
                        let mut rest = Vec::new();
                        while reader.more(&mut rest).unwrap() {}
                        assert!(first <= from && rest == all[first..], "{layout:?} {from}");
                    }
                }
            }
        }
    }
}

#[test]
fn parts_of_frames_are_errors() {
    let layout = Layout { encoding: Encoding::Signed, bytes: 2, big_endian: false, channels: 2 };
    for input in every("a.sph", &[0; 10]) {
        let error = Reader::new(input, "SPHERE", layout, 8000, 0..10, Some(0)).err().unwrap();
        assert!(error.to_string().contains("10 bytes are not whole frames of 4 bytes"));
    }
}
