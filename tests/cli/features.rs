//! Features from archives in the place of our own file: their embeddings are the same.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;

use revox::archive::{Reader, Shape};
use revox::scoring::Embeddings;

use crate::{Place, arg};

/// Mel filters of the model.
const MELS: usize = 40;
const IDS: [&str; 3] = ["a", "b", "c"];

/// A matrix `[frames, mels]`, row-major.
type Matrix = Vec<f32>;

/// Recordings, a model, and features in a file of our own and in archives.
fn place() -> Place {
    let place = Place::make();
    place.model("m.safetensors");
    // Frames differ: no pitch has whole periods in the 10 ms from one to the next.
    for (i, id) in IDS.into_iter().enumerate() {
        place.wav(&format!("{id}.wav"), 0.6 + 0.2 * i as f64, 103.0 + 41.0 * i as f64);
    }
    for output in ["f.safetensors", "ark,scp:f.ark,f.scp", "ark,t:f.txt"] {
        place.ok(&["fbank", "a.wav", "b.wav", "c.wav", "--mels", "40", "-o", output]);
    }
    place
}

/// The embeddings of features, by id.
fn embedded(place: &Place, features: &str) -> BTreeMap<String, Vec<f32>> {
    place.ok(&["embed", "m.safetensors", "--features", features, "-o", "e.safetensors"]);
    let all = Embeddings::load(place.path("e.safetensors")).unwrap();
    (0..all.len()).map(|i| (all.id(i).to_owned(), all.row(i).to_vec())).collect()
}

#[test]
fn archives_of_features_embed_as_our_own_file() {
    let place = place();
    let wanted = embedded(&place, "f.safetensors");
    assert_eq!(wanted.keys().collect::<Vec<_>>(), IDS);
    for input in ["f.ark", "f.scp", "ark:f.ark", "scp:f.scp", "ark:f.txt"] {
        assert!(embedded(&place, input) == wanted, "{input}");
    }
    // Those of the recordings, too.
    place.ok(&["embed", "m.safetensors", "a.wav", "b.wav", "c.wav", "-o", "r.safetensors"]);
    let all = Embeddings::load(place.path("r.safetensors")).unwrap();
    for (id, row) in &wanted {
        assert_near(id, all.row(all.position(id).unwrap()), row);
    }
    // A list in another order, with some rows of an utterance.
    let list = std::fs::read_to_string(place.path("f.scp")).unwrap();
    let line = |id: &str| list.lines().find(|line| line.starts_with(id)).unwrap().to_owned();
    place.write("some.scp", &format!("{}\n{}[0:29]\n", line("c"), line("a")));
    let some = embedded(&place, "some.scp");
    assert_eq!(some.keys().collect::<Vec<_>>(), ["a", "c"]);
    assert!(some["c"] == wanted["c"] && some["a"] != wanted["a"]);
}

#[test]
fn compressed_features_embed_as_what_they_hold() {
    let place = place();
    let matrices: Vec<(String, Matrix)> = Reader::open(place.path("f.ark"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            assert!(matches!(entry.array.shape, Shape::Matrix { columns: MELS, .. }));
            (entry.key, entry.array.values)
        })
        .collect();
    let original = embedded(&place, "f.ark");
    for kind in [Kind::TwoBytes, Kind::OneByte, Kind::ByColumn] {
        let (mut compressed, mut plain) = (Vec::new(), Vec::new());
        for (key, matrix) in &matrices {
            let (bytes, held) = kind.compress(matrix);
            let largest = matrix.iter().zip(&held).fold(0.0f32, |m, (x, y)| m.max((x - y).abs()));
            assert!(largest > 0.0 && largest <= kind.step(matrix), "{kind:?}: {largest}");
            compressed.extend([key.as_bytes(), b" \0B", &bytes].concat());
            plain.extend([key.as_bytes(), b" \0B", &whole(&held)].concat());
        }
        std::fs::write(place.path("compressed.ark"), compressed).unwrap();
        std::fs::write(place.path("plain.ark"), plain).unwrap();
        let (found, wanted) = (embedded(&place, "compressed.ark"), embedded(&place, "plain.ark"));
        assert_eq!(found.keys().collect::<Vec<_>>(), IDS);
        for (id, row) in &found {
            assert_near(&format!("{kind:?} {id}"), row, &wanted[id]);
            assert!(*row != original[id], "{kind:?} {id}: nothing was lost");
        }
    }
}

#[test]
fn archives_that_do_not_fit_the_model_are_refused_by_their_keys() {
    let place = place();
    place.ok(&["fbank", "a.wav", "--mels", "24", "-o", "narrow.ark"]);
    let whole = std::fs::read(place.path("f.ark")).unwrap();
    std::fs::write(place.path("cut.ark"), &whole[..whole.len() - 10]).unwrap();
    place.write("vector.ark", "a  [ 1 2 3 ]\n");
    place.write("empty.ark", "");
    for (file, wanted) in [
        ("narrow.ark", "40 columns are wanted"),
        ("vector.ark", "a vector of 3 values where a matrix is wanted"),
        ("cut.ark", "`c`"),
        ("empty.ark", "holds no features"),
    ] {
        let embed = ["embed", "m.safetensors", "--features", file, "-o", "x.safetensors"];
        place.fails(&embed, &[file, wanted]);
    }
    assert!(!place.path("x.safetensors").exists());
}

#[test]
fn the_archive_behind_a_list_is_an_input() {
    let place = place();
    let kept = std::fs::read(place.path("f.ark")).unwrap();
    for features in ["f.scp", "scp:f.scp"] {
        for output in ["f.ark", "ark:./f.ark", "ark,scp:e.ark,f.scp"] {
            let embed = ["embed", "m.safetensors", "--features", features, "-o", output];
            place.fails(&embed, &["would be lost"]);
        }
    }
    assert!(std::fs::read(place.path("f.ark")).unwrap() == kept);
    // Features have no channels.
    let embed = ["embed", "m.safetensors", "--features", "f.scp", "--channel", "1", "-o", "e.npz"];
    let ran = place.run(&embed);
    assert!(ran.code == 2 && ran.err.contains("--channel"), "{}", ran.err);
}

/// A recording on standard input, as a file and through a pipe.
#[test]
fn a_recording_comes_from_standard_input() {
    let place = place();
    let recording = std::fs::read(place.path("a.wav")).unwrap();
    let run = |args: &[&str], piped: bool| {
        let mut command = place.command(args);
        let ran = if piped {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut running = command.spawn().unwrap();
            running.stdin.take().unwrap().write_all(&recording).unwrap();
            running.wait_with_output().unwrap()
        } else {
            command.stdin(std::fs::File::open(place.path("a.wav")).unwrap());
            command.output().unwrap()
        };
        let ran = crate::finish(ran);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
        ran
    };
    let wanted = embedded(&place, "f.safetensors");
    let features = std::fs::read(place.path("f.safetensors")).unwrap();
    let features = safetensors::SafeTensors::deserialize(&features).unwrap();
    for piped in [false, true] {
        // Its id is its name.
        run(&["fbank", "-", "--mels", "40", "-o", "s.safetensors"], piped);
        let file = std::fs::read(place.path("s.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&file).unwrap();
        assert_eq!(file.names(), ["-"]);
        assert!(file.tensor("-").unwrap().data() == features.tensor("a").unwrap().data());
        run(&["embed", "m.safetensors", "-", "b.wav", "-o", "s2.safetensors"], piped);
        let all = Embeddings::load(place.path("s2.safetensors")).unwrap();
        assert_eq!(all.ids().collect::<Vec<_>>(), ["-", "b"]);
        assert_near("-", all.row(0), &wanted["a"]);
        let ran = run(&["compare", "m.safetensors", "-", "a.wav", "--json"], piped);
        let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert!((report["score"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{report}");
    }
    // Nothing on it.
    let empty = ["embed", "m.safetensors", "-", "-o", "x.safetensors"];
    place.fails(&empty, &["-: the file is empty"]);
    let other = place.path("-");
    place.fails(&["fbank", "-", arg(&other), "-o", "x.safetensors"], &["has the id `-`"]);
}

fn assert_near(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}");
    let near = |(x, y): (&f32, &f32)| (x - y).abs() <= 1e-4 * (1.0 + y.abs());
    assert!(a.iter().zip(b).all(near), "{what}: {a:?} and {b:?}");
}

/// Kaldi's kinds of compressed matrices.
#[derive(Debug, Clone, Copy)]
enum Kind {
    TwoBytes,
    OneByte,
    ByColumn,
}

/// The least value, and the range of values.
fn range(matrix: &[f32]) -> (f32, f32) {
    let least = matrix.iter().copied().fold(f32::INFINITY, f32::min);
    (least, matrix.iter().copied().fold(f32::NEG_INFINITY, f32::max) - least)
}

impl Kind {
    /// The largest loss: half of a step in the first two kinds. By column, a step of a byte is at
    /// most a 63rd of the range, between values that are rounded themselves.
    fn step(self, matrix: &[f32]) -> f32 {
        let (_, range) = range(matrix);
        match self {
            Self::TwoBytes => range / 65535.0,
            Self::OneByte => range / 255.0,
            Self::ByColumn => range / 60.0,
        }
    }

    /// An array from its kind on, and the values that it holds.
    fn compress(self, matrix: &[f32]) -> (Vec<u8>, Matrix) {
        let (least, range) = range(matrix);
        let rows = matrix.len() / MELS;
        let mut bytes = match self {
            Self::TwoBytes => b"CM2 ".to_vec(),
            Self::OneByte => b"CM3 ".to_vec(),
            Self::ByColumn => b"CM ".to_vec(),
        };
        bytes.extend([least, range].map(f32::to_le_bytes).concat());
        bytes.extend([rows as i32, MELS as i32].map(i32::to_le_bytes).concat());
        let most = if matches!(self, Self::OneByte) { 255.0 } else { 65535.0 };
        let (low, width) = (f64::from(least), f64::from(range));
        let step = |x: f64| ((x - low) / width * most).round();
        let value = |step: f64| low + width * step / most;
        let mut held = Vec::new();
        match self {
            Self::TwoBytes | Self::OneByte => {
                for &x in matrix {
                    let step = step(f64::from(x));
                    match self {
                        Self::OneByte => bytes.push(step as u8),
                        _ => bytes.extend((step as u16).to_le_bytes()),
                    }
                    held.push(value(step) as f32);
                }
            }
            Self::ByColumn => {
                let columns: Vec<Vec<f64>> = (0..MELS)
                    .map(|c| matrix.iter().skip(c).step_by(MELS).map(|&x| x.into()).collect())
                    .collect();
                let mut quantiles = Vec::new();
                for column in &columns {
                    let mut sorted = column.clone();
                    sorted.sort_by(f64::total_cmp);
                    let steps = [0, rows / 4, 3 * rows / 4, rows - 1].map(|i| step(sorted[i]));
                    steps.iter().for_each(|&s| bytes.extend((s as u16).to_le_bytes()));
                    quantiles.push(steps.map(value));
                }
                held = vec![0.0; matrix.len()];
                for (c, (column, quantiles)) in columns.iter().zip(&quantiles).enumerate() {
                    for (row, &x) in column.iter().enumerate() {
                        let (byte, kept) = between(quantiles, x);
                        bytes.push(byte);
                        held[row * MELS + c] = kept as f32;
                    }
                }
            }
        }
        (bytes, held)
    }
}

/// The nearest of the bytes 0 to 255 that stand for values between four quantiles, and its value.
fn between(quantiles: &[f64; 4], x: f64) -> (u8, f64) {
    let [q0, q25, q75, q100] = *quantiles;
    let value = |byte: u8| match byte {
        0..=64 => q0 + (q25 - q0) * f64::from(byte) / 64.0,
        65..=192 => q25 + (q75 - q25) * (f64::from(byte) - 64.0) / 128.0,
        193.. => q75 + (q100 - q75) * (f64::from(byte) - 192.0) / 63.0,
    };
    let all = (0..=255).map(|byte| (byte, value(byte)));
    all.min_by(|a, b| (a.1 - x).abs().total_cmp(&(b.1 - x).abs())).unwrap()
}

/// A matrix without compression, from its kind on.
fn whole(matrix: &[f32]) -> Vec<u8> {
    let size = |n: usize| [&[4u8][..], &(n as i32).to_le_bytes()].concat();
    let values = matrix.iter().flat_map(|x| x.to_le_bytes());
    let begin = [b"FM ".to_vec(), size(matrix.len() / MELS), size(MELS)].concat();
    begin.into_iter().chain(values).collect()
}
