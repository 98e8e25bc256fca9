//! Kaldi's archives, as kaldiio writes and reads them.

use std::collections::BTreeMap;

use revox::archive::{Array, Reader, Shape};

use crate::shared::{Tensors, fixture};

/// Arrays by key.
fn read(file: &str) -> BTreeMap<String, Array> {
    let path = fixture("archives").join(file);
    let entries = Reader::open(path).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.key, entry.array)).collect()
}

/// The range of values that a compressed matrix can have. Steps of it are rounded in f32.
fn range(key: &str) -> f32 {
    match key {
        "method4" => 65535.0,
        "method6" => 255.0,
        _ => 6.0,
    }
}

#[test]
fn archives_are_read_as_kaldiio_reads_them() {
    let wanted = Tensors::open(fixture("archives").join("wanted.safetensors"));
    let mut checked = 0;
    for file in ["plain.ark", "plain.scp", "text.ark", "compressed.ark"] {
        for (key, array) in read(file) {
            let shape = match array.shape {
                Shape::Vector { length } => vec![length],
                Shape::Matrix { rows, columns } => vec![rows, columns],
            };
            assert_eq!(shape, wanted.shape(&key), "{file} {key}");
            let allowed = if file == "compressed.ark" { 1e-6 * range(&key) } else { 0.0 };
            for (i, (x, y)) in array.values.iter().zip(wanted.f32(&key)).enumerate() {
                assert!((x - y).abs() <= allowed, "{file} {key} {i}: {x} against {y}");
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 4 + 4 + 2 + 6);
}
