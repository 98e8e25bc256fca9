//! Kaldi's archives and their lists, and NumPy's archives of embeddings.

use std::path::Path;

use revox::archive::{Entry, Output, Reader, Shape, View, check_key};
use revox::rng::Stream;
use revox::scoring::Embeddings;

use crate::mutate::{self, pick};
use crate::runner::{Outcome, Target, Verdict, run};
use crate::text::text;

/// A binary compressed matrix of 3 x 2: the token, least value and range, sizes, steps.
fn compressed(key: &str, token: &str, steps: usize) -> Vec<u8> {
    let sizes = [3i32, 2].map(i32::to_le_bytes).concat();
    let range = [-1.5f32, 4.0].map(f32::to_le_bytes).concat();
    let steps: Vec<u8> = (0..steps).map(|i| (i * 37) as u8).collect();
    [format!("{key} \0B{token} ").as_bytes(), &range[..], &sizes[..], &steps[..]].concat()
}

/// Archives of every kind of array.
fn archives() -> Vec<Vec<u8>> {
    let values: Vec<f32> = (0..60).map(|i| (i as f32 * 0.3).sin()).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a");
    let keys = ["a", "sub/ü.wav", "c"];
    let array = |i: usize| match i {
        0 => View::Vector(&values[..7]),
        1 => View::Matrix { values: &values, columns: 12 },
        _ => View::Matrix { values: &[], columns: 0 },
    };
    let mut all: Vec<Vec<u8>> = ["ark", "ark,t"]
        .iter()
        .map(|form| {
            let name = format!("{form}:{}", path.display());
            let output = Output::parse(Path::new(&name)).expect("a name").expect("an archive");
            output.write(keys.len(), &|i| keys[i], &array).expect("written");
            std::fs::read(&path).expect("a file")
        })
        .collect();
    let doubles = [2.5f64, -1e300].map(f64::to_le_bytes).concat();
    let doubles = [&b"d \0BDV \x04\x02\0\0\0"[..], &doubles[..]].concat();
    let each = [
        compressed("x", "CM", 2 * 8 + 6),
        compressed("y", "CM2", 2 * 6),
        compressed("z", "CM3", 6),
        doubles,
    ];
    all.push(each.concat());
    all
}

fn changed(stream: &mut Stream, seeds: &[Vec<u8>], hot: usize) -> Vec<u8> {
    let mut data = pick(stream, seeds).clone();
    for _ in 0..1 + stream.below(4) {
        mutate::change(stream, &mut data, seeds, hot);
    }
    data
}

/// Reads all entries, or gives the error, which must name the file.
fn entries(path: &Path) -> Result<Result<Vec<Entry>, revox::Error>, String> {
    let name = path.file_name().and_then(|name| name.to_str()).expect("the target's name");
    let read = Reader::open(path).and_then(|reader| reader.collect::<Result<Vec<Entry>, _>>());
    match read {
        Err(e) if !e.to_string().contains(name) => Err(format!("an error without its file: {e}")),
        read => Ok(read),
    }
}

/// An array has the values of its shape.
fn sound(entry: &Entry) -> bool {
    let wanted = match entry.array.shape {
        Shape::Vector { length } => Some(length),
        Shape::Matrix { rows, columns } => rows.checked_mul(columns),
    };
    wanted == Some(entry.array.values.len())
}

/// What was read can be written and read again.
fn again(path: &Path, entries: &[Entry]) -> Result<(), String> {
    if entries.iter().any(|entry| check_key(&entry.key).is_err()) {
        return Ok(());
    }
    let path = path.with_file_name("again.ark");
    let output = Output::parse(&path).expect("a name").expect("an archive");
    output
        .write(entries.len(), &|i| entries[i].key.as_str(), &|i| entries[i].array.view())
        .map_err(|e| format!("not written: {e}"))?;
    let bits = |entries: &[Entry]| -> Vec<(String, Shape, Vec<u32>)> {
        let of = |entry: &Entry| entry.array.values.iter().map(|x| x.to_bits()).collect();
        entries.iter().map(|entry| (entry.key.clone(), entry.array.shape, of(entry))).collect()
    };
    let read: Result<Vec<Entry>, _> = Reader::open(&path).map_err(|e| e.to_string())?.collect();
    match bits(&read.map_err(|e| e.to_string())?) == bits(entries) {
        true => Ok(()),
        false => Err("other arrays after writing them".into()),
    }
}

fn read_archive(path: &Path, bytes: &[u8]) -> Outcome {
    let Ok(entries) = entries(path)? else { return Ok(Verdict::Refused) };
    let values: usize = entries.iter().map(|entry| entry.array.values.len()).sum();
    if values > bytes.len() || !entries.iter().all(sound) {
        return Err(format!("{values} values in a file of {} bytes", bytes.len()));
    }
    if bytes.len().is_multiple_of(8) {
        again(path, &entries)?;
    }
    Ok(Verdict::Read)
}

#[test]
fn archive_entries() {
    let good = archives();
    run(&Target {
        name: "archive_entries",
        file: "f.ark",
        good: &good,
        make: &|stream| changed(stream, &good, 60),
        read: &read_archive,
    });
}

#[test]
fn archive_lists() {
    let texts =
        ["u1 g.ark:2\nu2 g.ark:2[0:4]\n", "a g.ark:2\n\nb ./g.ark:2[1:1]\r\n", "u1\tg.ark:2\n"];
    let good: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let words = ["g.ark", ":2", ":999", "[0:1]", "[1:", "[0:1,2:3]", "|", "u1", "f.scp", ":"];
    // A matrix of five rows, whose array begins at byte 2.
    let matrix = [&b"k \0BFM \x04\x05\0\0\0\x04\x01\0\0\0"[..], &[0; 20][..]].concat();
    let read = |path: &Path, _: &[u8]| -> Outcome {
        let beside = path.with_file_name("g.ark");
        if !beside.exists() {
            std::fs::write(&beside, &matrix).expect("the folder takes files");
        }
        match entries(path)? {
            Err(_) => Ok(Verdict::Refused),
            Ok(entries) if entries.iter().all(sound) => Ok(Verdict::Read),
            Ok(_) => Err("an array of another size than its shape".into()),
        }
    };
    run(&Target {
        name: "archive_lists",
        file: "f.scp",
        good: &good,
        make: &|stream| text(stream, &good, &words),
        read: &read,
    });
}

#[test]
fn numpy_archives() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("e.npz");
    let good: Vec<Vec<u8>> = [1usize, 5]
        .iter()
        .map(|&count| {
            let mut all = Embeddings::new(3);
            for i in 0..count {
                all.push(&format!("ü{i}"), &[1.0, i as f32, -0.5]).expect("a new id");
            }
            all.save_as(&path).expect("written");
            std::fs::read(&path).expect("a file")
        })
        .collect();
    let read = |path: &Path, _: &[u8]| -> Outcome {
        match Embeddings::load(path) {
            Ok(all) if !all.is_empty() && all.ids().len() == all.len() => Ok(Verdict::Read),
            Ok(all) => Err(format!("{} embeddings of {} values", all.len(), all.dim())),
            Err(e) if e.to_string().contains("e.npz") => Ok(Verdict::Refused),
            Err(e) => Err(format!("an error without its file: {e}")),
        }
    };
    run(&Target {
        name: "numpy_archives",
        file: "e.npz",
        good: &good,
        make: &|stream| changed(stream, &good, 0),
        read: &read,
    });
}
