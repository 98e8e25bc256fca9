//! Flipped bits, and files of newer versions.

use burn::tensor::Device;
use revox::model_file::Model;
use revox::scoring::Embeddings;
use revox::train::{Recipe, Trainee, checkpoint};

use crate::checkpoint::{STATE, state};
use crate::place::Place;
use crate::sign::{is_signed, with_metadata};

/// Bits that are flipped in each file, at equal distances over all of it.
const FLIPS: usize = 1000;
/// Training speakers of the corpus.
const SPEAKERS: usize = 3;

/// A place with a run, and embeddings by its model.
fn place() -> Place {
    let place = Place::with_corpus();
    place.ok(&["train", "r.toml", "--out", "run"]);
    place.ok(&[
        "embed",
        "run/model.safetensors",
        "--wav-scp",
        "corpus/dev/wav.scp",
        "-o",
        "e.safetensors",
    ]);
    place
}

/// Reads a checkpoint as a resumed run does.
fn load_checkpoint(place: &Place) -> impl Fn(&str) -> Result<(), String> {
    let recipe = Recipe::load(place.path("r.toml"), &[]).unwrap();
    let fresh = Trainee::new(&recipe.model, &recipe.loss, SPEAKERS, &Device::default(), 1).unwrap();
    let folder = place.path("");
    move |name: &str| {
        let read = checkpoint::load(&folder.join(name), fresh.clone(), &recipe.optimizer);
        read.map(drop).map_err(|e| e.to_string())
    }
}

/// A file with any flipped bit is refused by name.
fn flip(place: &Place, name: &str, load: impl Fn(&str) -> Result<(), String>) {
    load(name).unwrap();
    let good = place.read(name);
    assert!(is_signed(&good), "{name}");
    let damaged = format!("damaged-{}", name.replace('/', "-"));
    for i in 0..FLIPS {
        let bit = i * (8 * good.len() - 1) / (FLIPS - 1);
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        place.write(&damaged, &bytes);
        let Err(error) = load(&damaged) else { panic!("{name} is read with bit {bit} flipped") };
        assert!(error.contains(&format!("{damaged}: ")), "bit {bit}: {error}");
    }
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let place = place();
    flip(&place, "run/model.safetensors", |name| {
        Model::load(place.path(name), &Device::default()).map(drop).map_err(|e| e.to_string())
    });
    flip(&place, "e.safetensors", |name| {
        Embeddings::load(place.path(name)).map(drop).map_err(|e| e.to_string())
    });
    flip(&place, "run/checkpoint.safetensors", load_checkpoint(&place));
}

/// The program reports the damage and proposes the checkpoint before.
#[test]
fn a_damaged_checkpoint_has_one_before_it() {
    let place = place();
    let model = place.read("run/model.safetensors");
    let mut bytes = place.read("run/checkpoint.safetensors");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    place.write("run/checkpoint.safetensors", &bytes);
    let resume = ["train", "r.toml", "--out", "run", "--resume"];
    let ran = place.run(&resume);
    assert!(
        ran.code() == Some(1) && ran.err.contains("run/checkpoint.safetensors: is damaged"),
        "{ran}"
    );
    assert!(ran.err.contains("remove it to go on with run/checkpoint-"), "{ran}");
    std::fs::remove_file(place.path("run/checkpoint.safetensors")).unwrap();
    place.ok(&resume);
    assert!(
        place.read("run/model.safetensors") == model,
        "another model after going on with the checkpoint before"
    );
}

#[test]
fn a_checkpoint_of_a_newer_version_says_so() {
    let place = place();
    let load = load_checkpoint(&place);
    let good = place.read("run/checkpoint.safetensors");
    let mut newer = state(&good);
    let format = newer["format"].as_u64().unwrap();
    // With a new signature the same state is read, so only the number matters below.
    place.write("same.safetensors", &with_metadata(&good, STATE, &newer.to_string()));
    load("same.safetensors").unwrap();
    newer["format"] = (format + 1).into();
    newer["version"] = "99.1.0".into();
    let bytes = with_metadata(&good, STATE, &newer.to_string());
    place.write("newer.safetensors", &bytes);
    let error = load("newer.safetensors").unwrap_err();
    let wanted = [
        format!("format {}", format + 1),
        "newer revox 99.1.0".to_owned(),
        "newer.safetensors".to_owned(),
    ];
    assert!(wanted.iter().all(|text| error.contains(text)), "{error}");
    // Resuming the run reports it and changes nothing.
    place.write("run/checkpoint.safetensors", &bytes);
    let ran = place.run(&["train", "r.toml", "--out", "run", "--resume"]);
    assert!(
        ran.code() == Some(1) && ran.err.contains(&wanted[0]) && ran.err.contains(&wanted[1]),
        "{ran}"
    );
    assert!(place.read("run/checkpoint.safetensors") == bytes);
}
