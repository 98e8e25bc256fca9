//! Where outputs go, and what they must not destroy.

mod archives;
mod embeddings;
mod overwriting;
mod printing;
mod replaced;
#[cfg(unix)]
mod special;

use std::path::PathBuf;

use crate::place::Place;

/// A place with a model, recordings, lists around them, features, embeddings and scores.
fn place() -> Place {
    let place = Place::make();
    place.model("m.safetensors");
    place.wav("a.wav", 1.0, 100.0);
    place.wav("b.wav", 1.0, 180.0);
    place.write("wav.scp", "a a.wav\nb b.wav\n");
    place.write("utt2spk", "a ann\nb bob\n");
    place.write("trials", "1 a a\n0 a b\n");
    place.ok(&["fbank", "a.wav", "b.wav", "-o", "f.safetensors", "--mels", "40"]);
    place.ok(&["embed", "m.safetensors", "a.wav", "b.wav", "-o", "e.safetensors"]);
    place.ok(&["score", "e.safetensors", "trials", "-o", "scores"]);
    place
}

fn bytes(path: PathBuf) -> Vec<u8> {
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
