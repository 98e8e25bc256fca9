//! What goes wrong with large corpora: shards that are cut, files that are damaged, rates that
//! differ, lists of others, and commands in lists. Each is named with its file and line.

mod commands;
mod lists;
mod recordings;
mod shards;

use std::path::Path;

use revox::corpus::{locate, read_utt2spk, read_wav_scp};

use crate::place::{Place, Ran};
use crate::recipe::{data, model, rising, train};

/// A place with a synthetic corpus `syn`, a recipe for it, and an untrained model.
fn place() -> Place {
    let place = Place::make();
    let sizes = ["--speakers", "3", "--dev-speakers", "3", "--utterances", "4", "--seconds", "0.8"];
    place.ok(&[&["synth", "syn", "--quiet"][..], &sizes].concat());
    place.write("r.toml", &recipe("syn/train"));
    place.model("m.safetensors");
    place
}

fn recipe(lists: &str) -> String {
    let lists = format!("train = \"{lists}\"\ndev = \"syn/dev\"\n");
    [data(&lists), model(16, 4), rising(1), train(2, "")].concat()
}

/// Id, file with its whole path, and speaker of each utterance of the corpus.
fn utterances(place: &Place) -> Vec<(String, String, String)> {
    let scp = place.path("syn/train/wav.scp");
    let speakers = read_utt2spk(place.path("syn/train/utt2spk")).unwrap();
    read_wav_scp(&scp)
        .unwrap()
        .into_iter()
        .map(|(id, file, _)| {
            let speaker = speakers[&id].0.clone();
            (id, locate(&scp, &file).to_str().unwrap().to_owned(), speaker)
        })
        .collect()
}

/// Writes `wav.scp` and `utt2spk`.
fn write_lists(place: &Place, folder: &str, entries: &[(String, String, String)]) {
    let scp: String = entries.iter().map(|(id, file, _)| format!("{id} {file}\n")).collect();
    let map: String = entries.iter().map(|(id, _, speaker)| format!("{id} {speaker}\n")).collect();
    place.write(&format!("{folder}/wav.scp"), &scp);
    place.write(&format!("{folder}/utt2spk"), &map);
}

fn entry(id: &str, file: &str, speaker: &str) -> (String, String, String) {
    (id.to_owned(), file.to_owned(), speaker.to_owned())
}

/// Trains with changes, and expects success.
fn trained(place: &Place, out: &str, sets: &[&str]) -> Ran {
    let sets: Vec<&str> = sets.iter().flat_map(|&set| ["--set", set]).collect();
    let ran = place.run(&[&["train", "r.toml", "--quiet", "--out", out][..], &sets].concat());
    assert_eq!(ran.code, 0, "{sets:?}: {}", ran.err);
    ran
}

/// The weights of a run's model, bit for bit.
fn weights(place: &Place, out: &str) -> Vec<u32> {
    let path = place.path(out).join("model.safetensors");
    let (tensors, _) = revox::model_file::read_safetensors(&path).unwrap();
    let bits = |data: &burn::tensor::TensorData| -> Vec<u32> {
        data.iter::<f32>().map(f32::to_bits).collect()
    };
    tensors.0.iter().flat_map(|(_, data)| bits(data)).collect()
}

fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// Every verb that reads a corpus refuses it, and names what is wrong.
fn refused(place: &Place, corpus: &str, wanted: &[&str]) {
    let set = format!("data.train={corpus}");
    place.fails(&["train", "r.toml", "--quiet", "--out", "none", "--set", &set], wanted);
    place.fails(&["embed", "m.safetensors", "--data", corpus, "-o", "e.safetensors"], wanted);
    place.fails(&["pack", corpus, "packed"], wanted);
    for file in ["none/model.safetensors", "e.safetensors", "packed"] {
        assert!(!place.path(file).exists(), "{file}");
    }
}
