//! Lists, trials, scores and the folders that lists are made of.

mod long;
mod scores;

use std::path::{Path, PathBuf};

use revox::corpus::{Corpus, read_trials, read_wav_scp, resolve};
use revox::scoring::{Embeddings, read_scores};

use crate::place::{Place, arg};
use crate::shared_or_skip;

/// A path that works from any folder.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(path).unwrap()
}

#[test]
fn byte_order_marks_and_carriage_returns_are_no_part_of_ids() {
    let lists = absolute(shared_or_skip!("cases/lists"));
    let corpus = Corpus::load(lists.join("bom")).unwrap();
    assert_eq!(corpus.utterances.iter().map(|u| &*u.id).collect::<Vec<_>>(), ["a1", "a2"]);
    assert_eq!(corpus.speakers, ["s1", "s2"]);
    for folder in ["bom", "crlf"] {
        let entries = read_wav_scp(lists.join(folder).join("wav.scp")).unwrap();
        let names: Vec<(&str, &str)> =
            entries.iter().map(|e| (e.0.as_str(), e.1.as_str())).collect();
        assert_eq!(names, [("a1", "../a1.wav"), ("a2", "../a2.wav")], "{folder}");
        let trials = read_trials(lists.join(folder).join("trials")).unwrap();
        let first = (trials[0].target, trials[0].enroll.as_str(), trials[0].test.as_str());
        assert_eq!((first, trials.len()), ((Some(true), "a1", "a2"), 2), "{folder}");
    }
    let place = Place::make();
    place.model("m.safetensors");
    let at = |name: &str| arg(&lists.join(name)).to_owned();
    place.ok(&["embed", "m.safetensors", "--wav-scp", &at("bom/wav.scp"), "-o", "e.safetensors"]);
    place.ok(&["score", "e.safetensors", &at("bom/trials"), "-o", "scores"]);
    assert_eq!(read_scores(place.path("scores")).unwrap()[0].enroll, "a1");
    assert_eq!(place.json(&["eval", &at("bom/scores"), "--replicates", "0"])["eer"], 0.0);
    // The mark is gone from utt2spk, too: it is `a3` that has no speaker.
    place.fails(
        &["eval", &at("bom/scores"), "--utt2spk", &at("bom/utt2spk")],
        &["scores:2:", "`a3`", "bom/utt2spk"],
    );
}

#[test]
fn labels_in_other_words_are_read() {
    let lists = absolute(shared_or_skip!("cases/lists"));
    let models = absolute(shared_or_skip!("cases/models"));
    let place = Place::make();
    for name in ["voices/trials", "voices/trials2", "voices/trials3"] {
        let (e, trials) = (models.join("e_trial.safetensors"), lists.join(name));
        place.ok(&["score", arg(&e), arg(&trials), "-o", "scores"]);
        let report = place.json(&["eval", "scores", "--replicates", "0"]);
        assert_eq!((&report["targets"], &report["nontargets"]), (&1.into(), &1.into()), "{name}");
        let labels: Vec<_> =
            read_scores(place.path("scores")).unwrap().iter().map(|t| t.label).collect();
        assert_eq!(labels, [Some(false), Some(true)], "{name}");
    }
    place.write("words", "a b 0.9 Same\na c 0.2 DIFFERENT\na d 0.8 true\na e 0.1 diff\n");
    assert_eq!(place.json(&["eval", "words", "--replicates", "0"])["eer"], 0.0);
}

#[test]
fn folders_whose_names_become_one_are_refused() {
    let lists = absolute(shared_or_skip!("cases/lists"));
    let place = Place::make();
    let prep = lists.join("prep");
    place.fails(&["prepare", "folder", arg(&prep), "out"], &["prep/Ann Lee`", "prep/Ann_Lee`"]);
    assert!(!place.path("out").exists());
    let mac = place.json(&["prepare", "folder", arg(&lists.join("prep_mac")), "out"]);
    assert_eq!((&mac["utterances"], &mac["speakers"]), (&2.into(), &2.into()), "{mac}");
    let ids: Vec<String> =
        read_wav_scp(place.path("out/wav.scp")).unwrap().into_iter().map(|e| e.0).collect();
    assert_eq!(ids, ["ann/1.wav", "bob/1.WAV"]);
    let is_hidden = |p: &serde_json::Value| {
        p["kind"] == "hidden" && p["first"].as_str().unwrap().contains("1 hidden f")
    };
    assert!(mac["problems"].as_array().unwrap().iter().any(is_hidden), "{mac}");
}

#[test]
#[cfg(target_os = "linux")]
fn one_bad_name_does_not_end_the_preparation() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::make();
    place.wav("in/ann/1.wav", 0.3, 100.0);
    place.wav("in/ben/1.wav", 0.3, 150.0);
    let odd = place.path("in/ann").join(std::ffi::OsStr::from_bytes(b"caf\xe9.wav"));
    std::fs::copy(place.path("in/ann/1.wav"), odd).unwrap();
    std::os::unix::fs::symlink("/no/such/file.wav", place.path("in/ben/2.wav")).unwrap();
    std::os::unix::fs::symlink("..", place.path("in/ben/up")).unwrap();
    place.wav("in/ben/two\nlines.wav", 0.3, 120.0);
    let ran = place.run(&["prepare", "folder", "in", "out"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for wanted in [
        r"caf\xE9.wav",
        "ben/2.wav: a link to nothing",
        "ben/up: a link back to in",
        r"two\nlines.wav",
    ] {
        assert!(ran.err.contains(wanted), "{wanted} is not in: {}", ran.err);
    }
    let text = std::fs::read_to_string(place.path("out/wav.scp")).unwrap() + &ran.err + &ran.out;
    assert!(!text.contains('\u{fffd}'), "{text}");
    assert_eq!(Corpus::load(place.path("out")).unwrap().speakers, ["ann", "ben"]);
}

#[test]
fn audio_of_other_formats_is_counted() {
    let place = Place::make();
    place.wav("in/ann/1.wav", 1.0, 100.0);
    place.wav("in/bob/1.wav", 1.0, 180.0);
    place.ok(&["prepare", "folder", "in", "plain"]);
    ["ann/2.mp3", "ann/3.wave", "bob/2.m4a", "bob/notes.txt"]
        .iter()
        .for_each(|f| place.write(&format!("in/{f}"), "x"));
    place.ok(&["prepare", "folder", "in", "mixed"]);
    let problems =
        |folder: &str| std::fs::read_to_string(place.path(folder).join("problems.txt")).unwrap();
    assert!(!problems("plain").contains("unreadable"), "{}", problems("plain"));
    let mixed = problems("mixed");
    assert!(mixed.matches("unreadable: ").count() == 3 && mixed.contains("2.mp3"), "{mixed}");
}

#[test]
fn a_path_does_not_reach_another_recording() {
    let models = absolute(shared_or_skip!("cases/models"));
    let place = Place::make();
    let (e, trials) = (models.join("e_stem.safetensors"), models.join("e_stem_trials.txt"));
    place.fails(
        &["score", arg(&e), arg(&trials), "-o", "scores"],
        &["e_stem_trials.txt:1: unknown utterance `id10003/zzz/00001.wav`", "`00001`"],
    );
    let mut e = Embeddings::new(2);
    e.push("a", &[1.0, 0.5]).unwrap();
    e.push("b", &[0.2, 1.0]).unwrap();
    e.save(place.path("e.safetensors")).unwrap();
    place.write("two", "1 x/a.wav y/a.wav\n");
    place.fails(
        &["score", "e.safetensors", "two", "-o", "scores"],
        &["two:1:", "`x/a.wav`", "`y/a.wav`"],
    );
    assert!(!place.path("scores").exists());
    // A list that names every recording by its path is accepted, with a note.
    place.write("paths", "1 x/a.wav x/b.wav\n");
    let ran = place.run(&["score", "e.safetensors", "paths", "-o", "scores"]);
    assert!(ran.code == 0 && ran.err.contains("note: paths names files by path"), "{}", ran.err);
    place.write("endings", "1 a.wav b.flac\n");
    let ran = place.run(&["score", "e.safetensors", "endings", "-o", "scores"]);
    assert!(ran.code == 0 && !ran.err.contains("note"), "{}", ran.err);
}

/// VoxCeleb's trials name the ends of paths, and `prepare folder` lists whole paths.
#[test]
fn lists_of_voxceleb_go_together() {
    let place = Place::make();
    let files = ["id10001/a-b_c/00001.wav", "id10001/zzz/00001.wav", "id10002/xyz/00001.wav"];
    files
        .iter()
        .zip([100.0, 120.0, 180.0])
        .for_each(|(f, pitch)| place.wav(&format!("vox/wav/{f}"), 0.5, pitch));
    place.ok(&["prepare", "folder", "vox/wav", "lists"]);
    place.write(
        "lists/trials.txt",
        &format!("1 {} {}\n0 {} {}\n", files[0], files[1], files[0], files[2]),
    );
    let corpus = Corpus::load(place.path("lists")).unwrap();
    let list = place.path("lists/trials.txt");
    let trials = read_trials(&list).unwrap();
    assert_eq!(resolve(&list, &trials, &corpus.names()).unwrap(), (vec![(0, 1), (0, 2)], None));
    place.model("m.safetensors");
    place.ok(&["embed", "m.safetensors", "--wav-scp", "lists/wav.scp", "-o", "e.safetensors"]);
    let score = ["score", "e.safetensors", "lists/trials.txt", "-o", "scores"];
    place.ok(&score);
    place.ok(&[&score[..], &["--wav-scp", "lists/wav.scp"]].concat());
    assert_eq!(read_scores(place.path("scores")).unwrap()[1].test, files[2]);
    place.write("other.scp", "q vox/wav/id10002/xyz/00001.wav\n");
    place.fails(
        &[&score[..], &["--wav-scp", "other.scp"]].concat(),
        &["other.scp: has none of the utterances"],
    );
}

/// The lists of real corpora.
#[test]
fn lists_of_corpora_are_read_as_before() {
    for folder in ["data/speechocean762/dev", "data/librispeech_mini/dev"] {
        let folder: PathBuf = shared_or_skip!(folder);
        let corpus = Corpus::load(&folder).unwrap();
        let list: &Path = &folder.join("trials.txt");
        let trials = read_trials(list).unwrap();
        let (places, note) = resolve(list, &trials, &corpus.names()).unwrap();
        assert!(trials.len() >= 600 && places.len() == trials.len(), "{}", list.display());
        for (trial, (a, b)) in trials.iter().zip(places) {
            let names = [a, b].map(|u| corpus.utterances[u].listed().unwrap());
            assert_eq!(names, [&trial.enroll, &trial.test]);
        }
        assert_eq!(note, None);
    }
}
