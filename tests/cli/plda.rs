//! Models of voices: training, adaptation, forms of files.

use revox::scoring::{Embeddings, Plda};
use serde_json::Value;

use crate::Place;

/// Embeddings of eight values: `count` of each of ten speakers, at random about the speaker's own.
fn embeddings(place: &Place, name: &str, count: usize, shift: f32) {
    let mut state = 12_345_u64;
    let mut random = || {
        // A sum of uniform numbers is near enough to a normal one.
        let sum: f32 = (0..6)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 40) as f32 / (1u64 << 24) as f32
            })
            .sum();
        sum - 3.0
    };
    let (mut all, mut list) = (Embeddings::new(8), String::new());
    for speaker in 0..10 {
        let voice: [f32; 8] = std::array::from_fn(|_| 2.0 * random() + shift);
        for utterance in 0..count {
            let id = format!("s{speaker}-u{utterance}");
            all.push(&id, &voice.map(|x| x + random())).unwrap();
            list += &format!("{id} s{speaker}\n");
        }
    }
    all.save(place.path(&format!("{name}.safetensors"))).unwrap();
    place.write(&format!("{name}.utt2spk"), &list);
}

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["plda", "train", "e.safetensors", "--utt2spk", "e.utt2spk"][..], more].concat()
}

#[test]
fn a_model_is_trained_adapted_and_converted() {
    let place = Place::make();
    embeddings(&place, "e", 6, 0.0);
    embeddings(&place, "new", 2, 5.0);
    let options = ["--mean", "e.safetensors", "--length-norm", "--lda", "4", "--iterations", "3"];
    let report = place.json(&train(&[&options[..], &["-o", "p.safetensors"]].concat()));
    let facts = ["speakers", "utterances", "dim", "input_dim", "iterations"].map(|k| &report[k]);
    assert_eq!(facts, [10, 60, 4, 8, 3]);
    assert!(report["trace_between"].as_f64().unwrap() > 0.0, "{report}");
    assert_eq!((&report["length_norm"], &report["subtracts_mean"]), (&true.into(), &true.into()));
    let plda = Plda::load(place.path("p.safetensors")).unwrap();
    assert_eq!((plda.dim(), plda.chain().links().len()), (4, 3));
    let adapt = ["plda", "adapt", "p.safetensors", "new.safetensors", "-o", "a.safetensors"];
    let report = place.json(&adapt);
    assert_eq!((&report["embeddings"], &report["length_norm"]), (&20.into(), &false.into()));
    assert!(Plda::load(place.path("a.safetensors")).unwrap().has_mean());
    let said = place.ok(&train(&["-o", "k.kaldi"]));
    assert!(said.contains("PLDA of 8 values from 60 utterances of 10 speakers"), "{said}");
    place.ok(&["plda", "convert", "k.kaldi", "-o", "k.safetensors"]);
    place.ok(&["plda", "convert", "k.safetensors", "-o", "again.plda"]);
    let [first, again] = ["k.kaldi", "again.plda"].map(|n| std::fs::read(place.path(n)).unwrap());
    assert!(first == again && first.starts_with(b"\0B<Plda> DV "));
    place.ok(&["plda", "convert", "k.kaldi", "-o", "k.h5"]);
    for (name, form, lda) in [
        ("p.safetensors", "safetensors", serde_json::json!([8, 4])),
        ("k.kaldi", "kaldi", Value::Null),
        ("k.h5", "hdf5", Value::Null),
    ] {
        let json = place.json(&["info", name]);
        let facts = [&json["kind"], &json["form"], &json["lda"], &json["input_dim"]];
        assert_eq!(facts, [&"plda".into(), &form.into(), &lda, &8.into()], "{json}");
        let text = place.ok(&["info", name]);
        assert!(text.contains("a PLDA model") && text.contains("embeddings of 8 values"), "{text}");
    }
    let text = place.ok(&["info", "p.safetensors"]);
    for words in ["LDA from 8 to 4 values", "a mean of 8 values is subtracted", "made equal"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    place.fails(&["info", "k.kaldi", "--layers"], &["k.kaldi: is no model"]);
    for args in [
        &["calibrate", "p.safetensors", "--scores", "scores"][..],
        &["export", "p.safetensors", "-o", "p.onnx"],
    ] {
        place.fails(args, &["p.safetensors: is a PLDA model; wanted is a network's model"]);
    }
    place.ok(&["plda", "convert", "k.h5", "-o", "h.kaldi"]);
    assert_eq!(std::fs::read(place.path("h.kaldi")).unwrap(), first);
}

#[test]
fn poor_sets_are_told_or_refused() {
    let place = Place::make();
    embeddings(&place, "e", 1, 0.0);
    place.fails(
        &train(&["-o", "p.safetensors"]),
        &["e.safetensors: each of 10 speakers has one utterance"],
    );
    let few: String = (0..10).map(|i| format!("s{i}-u0 s{}\n", i / 2)).collect();
    place.write("pairs.utt2spk", &few);
    place.write("some.utt2spk", &few.replace("s9-u0 s4", "s9-u0 alone"));
    let with = |list| ["plda", "train", "e.safetensors", "--utt2spk", list, "-o", "p.safetensors"];
    let ran = place.run(&with("some.utt2spk"));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("note: 2 of 6 speakers have one utterance"), "{}", ran.err);
    let mut six = Embeddings::new(8);
    let all = Embeddings::load(place.path("e.safetensors")).unwrap();
    (0..6).for_each(|i| six.push(all.id(i), all.row(i)).unwrap());
    six.save(place.path("six.safetensors")).unwrap();
    let ran = place.run(&[
        "plda",
        "train",
        "six.safetensors",
        "--utt2spk",
        "pairs.utt2spk",
        "-o",
        "q.safetensors",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("warning: 6 utterances for embeddings of 8 values"), "{}", ran.err);
    place.write("none.utt2spk", "s0-u0 s0\n");
    place.fails(&with("none.utt2spk"), &["none.utt2spk: has no speaker of utterance `s1-u0`"]);
}

#[test]
fn an_adaptation_is_measured_and_poor_ones_are_warned_of() {
    let place = Place::make();
    embeddings(&place, "e", 6, 0.0);
    place.ok(&train(&["-o", "p.safetensors"]));
    // Of each speaker the first utterance against all second ones.
    let all = (0..10).flat_map(|a| (0..10).map(move |b| (a, b)));
    let trials: String =
        all.map(|(a, b)| format!("{} s{a}-u0 s{b}-u1\n", u8::from(a == b))).collect();
    place.write("trials", &trials);
    let adapt = ["plda", "adapt", "p.safetensors", "e.safetensors", "-o", "a.safetensors"];
    let with = [&adapt[..], &["--trials", "trials"]].concat();
    let report = place.json(&with);
    let rate = |plda: &str| {
        place.ok(&["score", "e.safetensors", "trials", "-o", "scores", "--plda", plda]);
        place.json(&["eval", "scores", "--replicates", "0"])["eer"].as_f64().unwrap()
    };
    for (key, plda) in [("eer_before", "p.safetensors"), ("eer", "a.safetensors")] {
        let told = report[key].as_f64().unwrap();
        assert!((told - rate(plda)).abs() < 1e-9, "{key}: {report}");
    }
    let ran = place.run(&with);
    let is_worse = report["eer"].as_f64() > report["eer_before"].as_f64();
    assert_eq!(ran.err.contains("the adapted model is worse"), is_worse, "{}", ran.err);
    assert!(ran.out.contains(" before, ") && ran.out.contains("PLDA adapted to"), "{}", ran.out);
    // Sixty embeddings of eight values are few; ten speakers are, too.
    assert!(ran.err.contains("warning: 60 embeddings of 8 values"), "{}", ran.err);
    let ran = place.run(&train(&["-o", "p.safetensors"]));
    assert!(ran.err.contains("warning: 10 speakers"), "{}", ran.err);
    place.write("trials", "s0-u0 s0-u1\n");
    place.fails(&with, &["trials:1: has no label"]);
    place.write("trials", "1 s0-u0 s0-u1\n0 s0-u0 nobody\n");
    place.fails(&with, &["trials:2: unknown utterance `nobody`"]);
    std::fs::remove_file(place.path("a.safetensors")).unwrap();
    place.write("trials", "1 s0-u0 s0-u1\n");
    place.fails(&with, &["trials: ", "1 targets and 0 nontargets"]);
    assert!(!place.path("a.safetensors").exists());
}

#[test]
fn bad_input_is_refused_before_anything_is_written() {
    let place = Place::make();
    embeddings(&place, "e", 3, 0.0);
    for (bad, wanted) in [
        (&["-o", "p.txt"][..], "a PLDA file's name ends in .safetensors"),
        (&["-o", "p.h5", "--iterations", "0"], "1 or more are wanted"),
        (&["-o", "p.h5", "--lda", "0"], "1 or more are wanted"),
    ] {
        let ran = place.run(&train(bad));
        assert!(ran.code == 2 && ran.err.contains(wanted), "{bad:?}: {}", ran.err);
    }
    place.fails(&train(&["-o", "e.safetensors"]), &["which would be lost"]);
    place.fails(&train(&["-o", "p.h5", "--lda", "9"]), &["LDA to 9: 1 to 8 are possible"]);
    place.fails(&train(&["-o", "p.kaldi", "--lda", "4"]), &["p.kaldi: this form", "an LDA"]);
    let convert = ["plda", "convert", "e.safetensors", "-o", "p.h5"];
    place.fails(&convert, &["e.safetensors: holds no PLDA"]);
    place.write("text", "hello, this is no model");
    let convert = ["plda", "convert", "text", "-o", "p.h5"];
    place.fails(&convert, &["text: not a readable PLDA file"]);
    place.ok(&train(&["-o", "p.safetensors"]));
    let adapt = ["plda", "adapt", "p.safetensors", "e.safetensors", "-o", "a.h5"];
    assert_eq!(place.run(&[&adapt[..], &["--within", "2"]].concat()).code, 2);
    let both = ["--within", "0.8", "--between", "0.8"];
    place.ends(2, &[&adapt[..], &both].concat(), &["--within 0.8 --between 0.8: 1 together"]);
    assert!(!place.list(".").iter().any(|name| name == "a.h5" || name == "p.h5"));
}
