//! The self-test's reference embeddings are WeSpeaker's: those of the first utterances, by networks
//! with weights from a formula.

use std::collections::HashMap;
use std::path::Path;

use revox::selftest::reference;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::shared::{Tensors, json};
use crate::shared_or_skip;

/// Their names there and here.
fn names() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        ["input_f40", "input_f80"].iter().map(|n| ((*n).into(), (*n).into())).collect();
    all.extend(
        reference::networks()
            .unwrap()
            .iter()
            .map(|(n, _)| (format!("small/{n}/emb_f64"), (*n).to_owned())),
    );
    all
}

fn first_row(tensors: &Tensors, name: &str) -> (Vec<f32>, Vec<usize>) {
    let (values, mut shape) = (tensors.f32(name), tensors.shape(name));
    let row = values.len() / shape[0];
    shape[0] = 1;
    (values[..row].to_vec(), shape)
}

#[test]
fn stored_references_are_the_fixtures() {
    let folder = shared_or_skip!("fixtures/f2_models");
    let table = json(folder.join("procedural.json"));
    assert_eq!(table["seed"].as_u64(), Some(reference::SEED));
    let tensors = Tensors::open(folder.join("procedural.safetensors"));
    assert_eq!(names().len(), 2 + 4);
    for (there, here) in names() {
        assert_eq!(reference::tensor(&here).unwrap(), first_row(&tensors, &there), "{here}");
    }
    for (name, _) in reference::networks().unwrap() {
        assert_eq!(
            table["models"][format!("small/{name}")]["gain"].as_f64(),
            Some(reference::GAIN),
            "{name}"
        );
    }
    assert_eq!(SafeTensors::deserialize(reference::FILE).unwrap().len(), names().len());
}

/// Makes the file anew: `cargo test --test parity write_the_references -- --ignored`.
#[test]
#[ignore = "writes assets/reference-embeddings.safetensors"]
fn write_the_references() {
    let folder = shared_or_skip!("fixtures/f2_models");
    let tensors = Tensors::open(folder.join("procedural.safetensors"));
    let parts: Vec<(String, Vec<usize>, Vec<u8>)> = names()
        .into_iter()
        .map(|(there, here)| {
            let (values, shape) = first_row(&tensors, &there);
            (here, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect())
        })
        .collect();
    let views: HashMap<&str, TensorView> = parts
        .iter()
        .map(|(n, s, b)| (n.as_str(), TensorView::new(Dtype::F32, s.clone(), b).unwrap()))
        .collect();
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/reference-embeddings.safetensors");
    std::fs::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
}
