//! Tar files of recordings, and lists of others.

use revox::scoring::Embeddings;
use serde_json::json;

use super::{bytes, place, refused, trained, utterances, weights};

#[test]
fn damaged_shards_are_named() {
    let place = place();
    place.ok(&["pack", "syn/train", "shards", "--per-shard", "4"]);
    let name = "shards_000000001.tar";
    let tar = place.path("shards").join(name);
    let whole = bytes(&tar);
    // Within its last recording, and without the zeros that end it.
    for (cut, wanted) in [(5000, "is cut short: its entry `"), (1024, "is cut short behind its")] {
        std::fs::write(&tar, &whole[..whole.len() - cut]).unwrap();
        refused(&place, "shards", &[name, wanted, "copy"]);
    }
    for (content, wanted) in [
        (b"\x1f\x8b\x08\0".repeat(300), "is compressed; unpack it (gunzip)"),
        (Vec::new(), "is empty, not a tar file"),
        (b"text\n".repeat(300), "is not a tar file"),
        ([whole.clone(), whole.clone()].concat(), "tar files that were joined"),
    ] {
        std::fs::write(&tar, content).unwrap();
        refused(&place, "shards/shard.list", &[name, wanted]);
    }
    std::fs::remove_file(&tar).unwrap();
    refused(&place, "shards", &["shards/shard.list:2: ", name, "no such file"]);
}

#[test]
fn an_entry_that_no_list_knows_is_named() {
    let place = place();
    place.ok(&["pack", "syn/train", "shards", "--per-shard", "4"]);
    let map = std::fs::read_to_string(place.path("shards/utt2spk")).unwrap();
    // What stands beside the list is read, so no output takes its place.
    for output in ["shards/shard.index.tsv", "shards/utt2spk", "shards/shard.list"] {
        let embed = ["embed", "m.safetensors", "--data", "shards", "-o", output];
        place.fails(&embed, &[output, "would be lost"]);
    }
    let (first, others) = map.split_once('\n').unwrap();
    let (id, _) = first.split_once(' ').unwrap();
    place.write("shards/utt2spk", others);
    let unknown = format!("its utterance `{id}` is not in ");
    refused(&place, "shards", &["shards_00000000", ".tar: ", &unknown, "shards/utt2spk; add"]);
    // The list has another speaker than the tar file.
    place.write("shards/utt2spk", &format!("{id} nobody\n{others}"));
    refused(&place, "shards", &["shards/utt2spk:1: ", "`nobody`", id, "shards_00000000"]);
}

#[test]
fn lines_that_are_no_json_are_named() {
    let place = place();
    let line = |id: &str| json!({"key": id, "wav": "a.wav", "spk": "ann"}).to_string();
    place.wav("a.wav", 0.8, 100.0);
    for (second, wanted) in [
        ("u2 a.wav".to_owned(), "this is no JSON"),
        (line("u2").replace("\"spk\"", "\"speaker\""), "missing field `spk`"),
        (line("u2") + "}", "this is no JSON"),
        (line("u1"), "utterance `u1` again; it is already in line 1"),
        (line("u2").replace("a.wav", "b.wav"), "b.wav: no such file"),
        (line("u2").replace("a.wav", "cat a.wav |"), "--allow-pipes"),
    ] {
        place.write("raw/raw.list", &format!("{}\n{second}\n", line("u1")));
        refused(&place, "raw/raw.list", &["raw/raw.list:2: ", wanted]);
        refused(&place, "raw", &["raw/raw.list:2: ", wanted]);
    }
}

#[test]
fn lists_of_others_train_and_embed_as_ours_do() {
    let place = place();
    let all = utterances(&place);
    let line = |(id, file, speaker): &(String, String, String)| {
        json!({"key": id, "wav": file, "spk": speaker, "dur": 0.8}).to_string() + "\n"
    };
    place.write("raw/raw.list", &all.iter().map(line).collect::<String>());
    place.ok(&["pack", "raw", "shards", "--per-shard", "5", "--flac"]);
    trained(&place, "ours", &[]);
    trained(&place, "raw-folder", &["data.train=raw"]);
    trained(&place, "raw-list", &["data.train=raw/raw.list", "data.threads=3"]);
    let ours = weights(&place, "ours");
    assert!(weights(&place, "raw-folder") == ours && weights(&place, "raw-list") == ours);
    // Tar files have an order of their own.
    trained(&place, "shards-1", &["data.train=shards"]);
    trained(&place, "shards-3", &["data.train=shards/shard.list", "data.threads=3"]);
    let shards = weights(&place, "shards-1");
    assert!(weights(&place, "shards-3") == shards && shards != ours);
    // Embeddings are the same, whatever the list.
    let embed = |option: &str, list: &str, output: &str| {
        place.ok(&["embed", "m.safetensors", option, list, "-o", output]);
        Embeddings::load(place.path(output)).unwrap()
    };
    let wanted = embed("--wav-scp", "syn/train/wav.scp", "e.safetensors");
    for (list, output) in [
        ("raw", "1.safetensors"),
        ("raw/raw.list", "2.safetensors"),
        ("shards", "3.safetensors"),
        ("shards/shard.list", "4.safetensors"),
    ] {
        let found = embed("--data", list, output);
        assert_eq!(found.len(), wanted.len(), "{list}");
        for (i, id) in wanted.ids().enumerate() {
            let row = found.row(found.position(id).unwrap());
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * (1.0 + a.abs());
            assert!(row.iter().zip(wanted.row(i)).all(near), "{list}: {id}");
        }
    }
}
