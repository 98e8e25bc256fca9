//! Embeddings of a list in shards, and the file that they become.

use std::path::Path;

use revox::scoring::Embeddings;

use crate::Place;

/// A model and seven recordings.
fn place() -> Place {
    let place = Place::make();
    place.model("m.safetensors");
    let mut lists = [String::new(), String::new()];
    for i in 0..7 {
        place.wav(&format!("{i}.wav"), 0.4 + 0.1 * f64::from(i % 3), 90.0 + 17.0 * f64::from(i));
        lists[0] += &format!("u{i} {i}.wav\n");
        lists[1] += &format!("u{i} s{}\n", i % 2);
    }
    place.write("wav.scp", &lists[0]);
    place.write("utt2spk", &lists[1]);
    place
}

fn bytes(place: &Place, name: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(place.dir.path().join(name)).unwrap()
}

/// The command that embeds the corpus.
fn embed<'a>(output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["embed", "m.safetensors", "--data", ".", "-o", output][..], more].concat()
}

const MERGE: [&str; 4] = ["merge", "1", "2", "3"];

#[test]
fn shards_become_the_file_of_one_run() {
    let place = place();
    place.ok(&embed("whole", &[]));
    // The shards and their order do not matter.
    for shard in ["3", "1", "2"] {
        let of = format!("{shard}/3");
        let report = place.json(&embed(shard, &["--shard", &of]));
        let count = if shard == "1" { 3 } else { 2 };
        assert_eq!((&report["utterances"], &report["shard"]), (&count.into(), &of.as_str().into()));
    }
    let all = Embeddings::load(place.path("2")).unwrap();
    assert_eq!(all.ids().collect::<Vec<_>>(), ["u1", "u4"]);
    let report = place.json(&["merge", "2", "3", "1", "-o", "merged"]);
    assert_eq!((&report["embeddings"], &report["files"]), (&7.into(), &3.into()));
    assert!(bytes(&place, "merged") == bytes(&place, "whole"));
    place.ok(&[&MERGE[..], &["--order", "wav.scp", "-o", "listed"]].concat());
    assert!(bytes(&place, "listed") == bytes(&place, "whole"));
    // A wav.scp and files that are named have shards too.
    let by_list = ["embed", "m.safetensors", "--wav-scp", "wav.scp", "--shard", "2/3"];
    place.ok(&[&by_list[..], &["-o", "list"]].concat());
    let named = ["embed", "m.safetensors", "0.wav", "1.wav", "2.wav", "--shard", "2/2"];
    let text = place.ok(&[&named[..], &["-o", "named"]].concat());
    assert!(
        text.contains("1 embedding of 16 values in named (shard 2/2 of 3 utterances)"),
        "{text}"
    );
    let rows = |name: &str| Embeddings::load(place.path(name)).unwrap().row(0).to_vec();
    assert!(rows("list") == rows("2") && rows("named") == rows("2"));
}

#[test]
fn what_shards_leave_out_is_left_out() {
    let place = place();
    place.write("4.wav", "no audio");
    let skip = ["--skip-errors"];
    place.ok(&embed("whole", &skip));
    for shard in ["1", "2", "3"] {
        let of = format!("{shard}/3");
        place.ok(&embed(shard, &["--shard", &of, "--skip-errors"]));
    }
    let merge = [&MERGE[..], &["-o", "merged"]].concat();
    let text = place.ok(&merge);
    assert!(
        text.contains("6 embeddings of 16 values in merged, of 3 files; 1 utterance"),
        "{text}"
    );
    assert!(bytes(&place, "merged") == bytes(&place, "whole"));
    place.ok(&[&merge[..], &["--order", "utt2spk"]].concat());
    assert!(bytes(&place, "merged") == bytes(&place, "whole"));
}

#[test]
fn shards_of_different_work_are_refused() {
    let place = place();
    place.ok(&embed("1", &["--shard", "1/3"]));
    let merge = ["merge", "1", "2", "3", "-o", "merged"];
    place.ok(&embed("2", &["--shard", "2/3"]));
    place.fails(&["merge", "1", "2", "-o", "merged"], &["shards are missing: 3/3"]);
    place.ok(&embed("3", &["--shard", "3/3", "--window", "10"]));
    place.fails(&merge, &["3: is of another window than 1"]);
    place.ok(&embed("3", &["--shard", "3/3", "--channel", "0"]));
    place.fails(&merge, &["3: is of another channel than 1"]);
    let list = std::fs::read_to_string(place.path("wav.scp")).unwrap();
    place.write("other/wav.scp", &list.replace("u0 ", "v0 ").replace(' ', " ../"));
    place.write("other/utt2spk", "v0 s\nu1 s\nu2 s\nu3 s\nu4 s\nu5 s\nu6 s\n");
    let other = ["embed", "m.safetensors", "--data", "other", "--shard", "3/3", "-o", "3"];
    place.ok(&other);
    place.fails(&merge, &["3: is of another list than 1"]);
    place.ok(&embed("3", &["--shard", "3/4"]));
    place.fails(&merge, &["3: is shard 3/4, and 1 is shard 1/3"]);
    place.ok(&embed("whole", &[]));
    place.fails(&["merge", "1", "2", "whole", "-o", "merged"], &["whole: is no shard, and 1"]);
    place.fails(&["merge", "1", "2", "m.safetensors", "-o", "merged"], &["m.safetensors: "]);
    place.fails(&["merge", "1", "2", "wav.scp", "-o", "merged"], &["wav.scp: "]);
    place.fails(&["merge", "1", "1", "2", "-o", "merged"], &["1: is shard 1/3, as 1 is"]);
    place.fails(&["merge", "1", "2", "-o", "1"], &["1: is an input"]);
    assert!(!place.path("merged").exists());
}

#[test]
fn shards_that_are_none_are_refused() {
    let place = place();
    for (shard, wanted) in [("0/3", "`0/3` is no shard"), ("4/3", "I from 1 to N")] {
        let ran = place.run(&embed("e", &["--shard", shard]));
        assert!(ran.code == 2 && ran.err.contains(wanted), "{}", ran.err);
    }
    for more in [&["--mean"][..], &["--mean-by", "utt2spk"]] {
        let ran = place.run(&embed("e", &[&["--shard", "1/3"][..], more].concat()));
        assert_eq!(ran.code, 2, "{}", ran.err);
    }
    place.fails(&embed("e", &["--shard", "8/9"]), &["shard 8/9 is empty", "has 7 utterances"]);
    // The line is that of the whole list.
    place.write("5.wav", "no audio");
    place.fails(&embed("e", &["--shard", "6/7"]), &["wav.scp:6: "]);
    assert!(!place.path("e").exists());
}

#[test]
fn files_that_are_no_shards_are_joined_with_a_note() {
    let place = place();
    place.ok(&["embed", "m.safetensors", "0.wav", "1.wav", "-o", "a"]);
    place.ok(&["embed", "m.safetensors", "2.wav", "-o", "b"]);
    let ran = place.run(&["merge", "a", "b", "-o", "c"]);
    assert!(ran.code == 0 && ran.err.contains("these files are no shards"), "{}", ran.err);
    let all = Embeddings::load(place.path("c")).unwrap();
    assert_eq!(all.ids().collect::<Vec<_>>(), ["0", "1", "2"]);
    place.fails(&["merge", "c", "b", "-o", "d"], &["b: has an embedding of `2`, as c has"]);
}
