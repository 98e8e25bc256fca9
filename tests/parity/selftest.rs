//! The self-test's reference embeddings are WeSpeaker's: those of the first utterances, by networks
//! with weights from a formula.

use std::collections::HashMap;
use std::path::Path;

use revox::selftest::reference;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::shared::{Tensors, json};
use crate::shared_or_skip;

/// The set of fixtures that has a reference, and its name there.
fn fixture_of(here: &str) -> (&'static str, String) {
    match here {
        "input_f40" | "input_f80" => ("fixtures/f2_models", here.to_owned()),
        "input_f72" => ("fixtures/f9_zoo", here.to_owned()),
        "ReDimNet2B0" => ("fixtures/f9_zoo", here.to_owned()),
        _ => ("fixtures/f2_models", format!("small/{here}")),
    }
}

/// Values and shape.
type Row = (Vec<f32>, Vec<usize>);

/// The stored tensors' names, and their values in the fixtures of this folder.
fn stored(folder: &Path) -> Vec<(String, Row)> {
    let row = |here: &str, suffix: &str| {
        let (set, there) = fixture_of(here);
        let tensors = Tensors::open(folder.join(set).join("procedural.safetensors"));
        (here.to_owned(), first_row(&tensors, &format!("{there}{suffix}")))
    };
    let inputs = ["input_f40", "input_f72", "input_f80"].map(|name| row(name, ""));
    let networks = reference::networks().unwrap();
    inputs.into_iter().chain(networks.iter().map(|n| row(n.name, "/emb_f64"))).collect()
}

fn first_row(tensors: &Tensors, name: &str) -> Row {
    let (values, mut shape) = (tensors.f32(name), tensors.shape(name));
    let row = values.len() / shape[0];
    shape[0] = 1;
    (values[..row].to_vec(), shape)
}

#[test]
fn stored_references_are_the_fixtures() {
    let folder = shared_or_skip!("");
    let all = stored(&folder);
    assert_eq!(all.len(), 3 + 6);
    assert_eq!(SafeTensors::deserialize(reference::FILE).unwrap().len(), all.len());
    for (here, wanted) in all {
        assert_eq!(reference::tensor(&here).unwrap(), wanted, "{here}");
    }
    for network in reference::networks().unwrap() {
        let (set, there) = fixture_of(network.name);
        let table = json(folder.join(set).join("procedural.json"));
        assert_eq!(table["seed"].as_u64(), Some(network.seed), "{there}");
        assert_eq!(table["models"][&there]["gain"].as_f64(), Some(network.gain), "{there}");
    }
}

/// Makes the file anew: `cargo test --test parity write_the_references -- --ignored`.
#[test]
#[ignore = "writes assets/reference-embeddings.safetensors"]
fn write_the_references() {
    let folder = shared_or_skip!("");
    let parts: Vec<(String, Vec<usize>, Vec<u8>)> = stored(&folder)
        .into_iter()
        .map(|(here, (values, shape))| {
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
