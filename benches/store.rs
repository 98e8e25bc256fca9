//! Speed of a store of 100,000 voices: loading it, and one search. Both use one core.
//!
//!     cargo bench --bench store

use revox::rng::Stream;
use revox::scoring::{Recording, Store, StoreModel};
use tempfile::TempDir;

const VOICES: usize = 100_000;
const DIM: usize = 256;

fn main() {
    divan::main();
}

fn random(stream: &mut Stream) -> Vec<f32> {
    (0..DIM).map(|_| stream.normal() as f32).collect()
}

/// A folder with a store `voices`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = StoreModel {
        hash: "0".repeat(64),
        arch: "bench".to_owned(),
        frontend: "{}".to_owned(),
        dim: DIM,
    };
    let mut store = Store::open_or_create(folder.path().join("voices"), &model).unwrap();
    let mut stream = Stream::new(1, "bench", &[]);
    let voices: Vec<(String, [Recording; 1])> = (0..VOICES)
        .map(|i| {
            let embedding = random(&mut stream);
            let recording = Recording { file: "a.wav".to_owned(), seconds: 3.0, embedding };
            (format!("voice {i}"), [recording])
        })
        .collect();
    store.enroll(voices.iter().map(|(name, all)| (name.as_str(), &all[..]))).unwrap();
    folder
}

#[divan::bench(sample_count = 5)]
fn load_100000_voices(bencher: divan::Bencher) {
    let folder = folder();
    let (path, mean) = (folder.path().join("voices"), [0.01; DIM]);
    bencher.bench(|| Store::open(&path).unwrap().index(Some(&mean[..])).unwrap().len());
}

/// Directions are random: the nearest voices hardly differ, which is the worst case.
#[divan::bench(sample_count = 50)]
fn search_the_5_nearest_of_100000_voices(bencher: divan::Bencher) {
    let (folder, mean) = (folder(), [0.01; DIM]);
    let store = Store::open(folder.path().join("voices")).unwrap();
    let index = store.index(Some(&mean[..])).unwrap();
    let mut stream = Stream::new(2, "bench", &[]);
    bencher
        .with_inputs(|| random(&mut stream))
        .bench_local_refs(|embedding| index.search(embedding, 5).unwrap());
}
