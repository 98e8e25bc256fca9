//! `calibrate`, and decisions by what it stores.

use std::fmt::Write;

use revox::model_file::{read_header, update_header};
use revox::rng::Stream;
use revox::scoring::{Evidence, Fitted, Norm, OtherScores, SubtractedMean};

use crate::Place;

const SPEAKERS: usize = 12;

/// Writes labelled scores of all trials between three utterances of each speaker: cosines times
/// `scale`. `utt2spk` has the speakers, `utt2dur` 3 to 6.5 seconds.
fn scores(place: &Place, scale: f64) {
    let mut stream = Stream::new(3, "scores", &[]);
    let (mut scores, mut speakers, mut seconds) = (String::new(), String::new(), String::new());
    let utterances: Vec<(usize, usize)> =
        (0..SPEAKERS).flat_map(|s| (0..3).map(move |u| (s, u))).collect();
    for (i, &(s, u)) in utterances.iter().enumerate() {
        writeln!(speakers, "s{s}-{u} s{s}").unwrap();
        writeln!(seconds, "s{s}-{u} {:.2}", 3.0 + 0.1 * i as f64).unwrap();
        for &(t, v) in &utterances[..i] {
            let (mean, label) = if s == t { (0.6, 1) } else { (0.2, 0) };
            let score = scale * (mean + 0.15 * stream.normal()).clamp(-1.0, 1.0);
            writeln!(scores, "s{s}-{u} s{t}-{v} {score:.6} {label}").unwrap();
        }
    }
    place.write("scores", &scores);
    place.write("utt2spk", &speakers);
    place.write("utt2dur", &seconds);
}

#[test]
fn a_calibrated_model_gives_probabilities() {
    let place = Place::make();
    place.model("m.safetensors");
    place.wav("a.wav", 1.5, 100.0);
    place.wav("b.wav", 1.5, 180.0);
    scores(&place, 1.0);
    let before = std::fs::read(place.path("m.safetensors")).unwrap();
    let args = ["calibrate", "m.safetensors", "--scores", "scores", "--utt2spk", "utt2spk"];
    let more = ["--durations", "utt2dur", "--threshold", "strict=0.01", "-o", "c.safetensors"];
    let json = place.json(&[&args[..], &more].concat());
    assert_eq!((json["targets"].as_u64(), json["nontargets"].as_u64()), (Some(36), Some(594)));
    assert_eq!((json["speakers"].as_u64(), json["penalty"].as_f64()), (Some(12), Some(0.0)));
    assert_eq!(json["columns"], serde_json::json!(["atanh-score"]));
    assert_eq!(
        (json["scores_of"].as_str(), json["fit_prior"].as_f64()),
        (Some("cosine"), Some(0.5))
    );
    let number = |name: &str| json[name].as_f64().unwrap();
    assert!(0.0 < number("min_cllr") && number("min_cllr") < number("cllr"), "{json}");
    assert!(number("cllr") < 0.8 && number("act_dcf") > 0.0 && number("prior") == 0.01, "{json}");
    let ran = place.run(&[&args[..], &["--folds", "99", "-o", "x.safetensors"]].concat());
    let wanted = "--folds 99: each of the 12 speakers is a fold of its own";
    assert!(ran.code == 0 && ran.err.contains(wanted), "{}", ran.err);
    // Without -o the model itself is changed, and the speakers are found from the targets.
    assert!(std::fs::read(place.path("m.safetensors")).unwrap() == before);
    let ran = place.run(&args[..4]);
    assert!(ran.code == 0 && ran.err.contains("are taken as cosines; --scores-of"), "{}", ran.err);
    for wanted in ["12 speakers", "bits on speakers left out (", "stored in m.safetensors"] {
        assert!(ran.out.contains(wanted), "{wanted}: {}", ran.out);
    }
    let of = |model: &str| read_header(place.path(model)).unwrap().scoring.calibration.unwrap();
    let (plain, timed) = (of("m.safetensors"), of("c.safetensors"));
    assert_eq!((plain.weights, plain.bias), (timed.weights.clone(), timed.bias));
    assert_eq!(timed.fitted.seconds, Some([3.0, 6.5]));

    let [file] = &timed.fitted.files[..] else { panic!("{:?}", timed.fitted.files) };
    assert_eq!((file.name.as_str(), json["files"][0]["name"].as_str()), ("scores", Some("scores")));
    let info = place.ok(&["info", "c.safetensors"]);
    let hash = file.sha256.as_deref().unwrap();
    assert!(hash.len() == 64 && info.contains(&format!("scores, SHA-256 {hash}")), "{info}");
    for wanted in ["named strict, at false-accept rate 0.01", "LLR = ", "of cosines, for prior"] {
        assert!(info.contains(wanted), "{wanted}: {info}");
    }

    let compare = ["compare", "c.safetensors", "a.wav", "b.wav"];
    let found = place.json(&compare);
    let none = Evidence::default();
    let llr = timed.llr(found["score"].as_f64().unwrap(), &none, &none).unwrap();
    assert!((found["llr"].as_f64().unwrap() - llr).abs() < 1e-9, "{found}");
    let p = 1.0 / (1.0 + 99.0 * (-llr).exp());
    assert!((found["probability"].as_f64().unwrap() - p).abs() < 1e-9, "{found}");
    assert_eq!(
        (found["prior"].as_f64(), found["same_speaker"].as_bool()),
        (Some(0.01), Some(p >= 0.5))
    );
    assert!(found["threshold"].is_null() && found["files"][0]["speech_seconds"].is_f64());
    // Recordings of 1.5 s, where the calibration saw 3 s and more.
    let warnings = found["warnings"].to_string();
    for side in ["a.wav", "b.wav"] {
        assert!(warnings.contains(&format!("{side} has 1.")), "{warnings}");
    }
    assert!(warnings.contains("the calibration covers 3.00 s and more"), "{warnings}");
    let strict = place.json(&[&compare[..], &["--at", "strict", "--prior", "0.5"]].concat());
    assert_eq!(strict["threshold"], json["thresholds"][0]["threshold"]);
    assert_eq!(strict["prior"], 0.5);
    let text = place.ok(&compare);
    assert!(text.contains("at prior 0.01") && text.contains("decided by probability"), "{text}");
    place.fails(&[&compare[..], &["--at", "lax"]].concat(), &["no threshold `lax`, but `strict`"]);
    let usage = place.run(&[&compare[..], &["--at", "strict", "--far", "0.1"]].concat());
    assert_eq!(usage.code, 2, "{}", usage.err);
    // A model that holds none.
    place.model("none.safetensors");
    let none = ["compare", "none.safetensors", "a.wav", "b.wav", "--prior", "0.1"];
    place.fails(&none, &["none.safetensors", "holds no calibration", "revox calibrate"]);
}

#[test]
fn quality_is_weighed() {
    let place = Place::make();
    place.model("m.safetensors");
    scores(&place, 1.0);
    let args = ["calibrate", "m.safetensors", "--scores", "scores", "--quality"];
    let timed = ["min-seconds,max-seconds,difference-seconds", "--durations", "utt2dur"];
    let ran = place.run(&[&args[..], &timed, &["--json"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["columns"], serde_json::json!(["atanh-score", "min-seconds", "max-seconds"]));
    assert_eq!(json["left_out"], serde_json::json!(["difference-seconds"]));
    assert!(ran.err.contains("left out: difference-seconds"), "{}", ran.err);
    let capped = place.json(&[&args[..], &timed, &["--max-seconds", "4"]].concat());
    assert_eq!(capped["seconds"], serde_json::json!([3.0, 4.0]));
    for (rest, wanted) in [
        (&["min-seconds"][..], "--quality weighs seconds: give --durations"),
        (&["min-norm"], "give --embeddings"),
        (&["wespeaker-qmf", "--durations", "utt2dur", "--embeddings", "e"], "--cohort"),
        (&["min-cohort", "--cohort", "e"], "give --embeddings and --cohort"),
        (&["score", "--cohort", "e"], "--cohort: no column of --quality weighs it"),
        (&["score", "--embeddings", "e"], "no column of --quality weighs them"),
    ] {
        place.ends(2, &[&args[..], rest].concat(), &[wanted]);
    }
    place.write("utt2dur", "s0-0 1\n");
    place.fails(&[&args[..], &timed].concat(), &["scores:1", "utt2dur"]);
    assert_eq!(place.run(&[&args[..], &["norm"]].concat()).code, 2);
}

#[test]
fn norms_and_cohorts_come_from_embeddings() {
    let place = Place::make();
    place.model("m.safetensors");
    scores(&place, 1.0);
    let mut stream = Stream::new(4, "embeddings", &[]);
    let mut fill = |name: &str, ids: &[String]| {
        let mut all = revox::scoring::Embeddings::new(16);
        for id in ids {
            let row: Vec<f32> = (0..16).map(|_| stream.normal() as f32).collect();
            all.push(id, &row).unwrap();
        }
        all.save(place.path(name)).unwrap();
    };
    let ids: Vec<String> =
        (0..SPEAKERS).flat_map(|s| (0..3).map(move |u| format!("s{s}-{u}"))).collect();
    fill("e", &ids);
    fill("cohort", &(0..20).map(|i| i.to_string()).collect::<Vec<_>>());
    let ran = place.run(&[
        "calibrate",
        "m.safetensors",
        "--scores",
        "scores",
        "--quality",
        "wespeaker-qmf-nodur",
        "--embeddings",
        "e",
        "--cohort",
        "cohort",
        "--top-n",
        "5",
        "--json",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["columns"].as_array().unwrap().len(), 7, "{json}");
    // Random measures predict nothing.
    assert!(json["cllr"].as_f64() > json["score_cllr"].as_f64(), "{json}");
    let warning = "--quality makes the calibration worse: on speakers left out, Cllr is";
    assert!(ran.err.contains(warning), "{}", ran.err);
    assert!(ran.err.contains("weighs a cohort: only `revox score --calibration`"), "{}", ran.err);
    place.wav("a.wav", 1.5, 100.0);
    let compare = ["compare", "m.safetensors", "a.wav", "a.wav"];
    // The model's threshold decides instead.
    let found = place.json(&compare);
    assert!(found["llr"].is_null() && found["same_speaker"] == true, "{found}");
    assert!(found["basis"].as_str().unwrap().contains("equal error rate"), "{found}");
    let warning = found["warnings"].to_string();
    assert!(warning.contains("m.safetensors: its calibration cannot be used"), "{warning}");
    let wanted = ["m.safetensors: --prior and --cost need", "Store one without cohort columns"];
    place.fails(&[&compare[..], &["--prior", "0.5"]].concat(), &wanted);
    let found = place.json(&[&compare[..], &["--threshold", "0.5"]].concat());
    assert!(found["llr"].is_null() && found["same_speaker"] == true, "{found}");
}

#[test]
fn a_calibration_keeps_the_mean_that_was_subtracted() {
    let place = Place::make();
    place.model("m.safetensors");
    place.wav("a.wav", 1.5, 100.0);
    scores(&place, 1.0);
    let mut all = revox::scoring::Embeddings::new(16);
    for i in 0..4 {
        let row: Vec<f32> = (0..16).map(|j| 0.01 * (i * j) as f32 + 0.1).collect();
        all.push(&format!("u{i}"), &row).unwrap();
    }
    all.save(place.path("e")).unwrap();
    let mean: Vec<f32> = all.mean().into_iter().map(|x| x as f32).collect();
    let model = place.path("m.safetensors");
    update_header(&model, &model, |h| h.scoring.embedding_mean = Some(mean.clone())).unwrap();
    let args = ["calibrate", "m.safetensors", "--scores", "scores", "-o", "c.safetensors"];
    let compare = ["compare", "c.safetensors", "a.wav", "a.wav"];
    // Scores without the mean are not those of the model.
    let ran = place.run(&args);
    let wanted = "is of scores without a mean subtracted, and the model's own are less the mean";
    assert!(ran.code == 0 && ran.err.contains(wanted), "{}", ran.err);
    let ran = place.run(&compare);
    assert!(ran.code == 0 && ran.err.contains("its calibration cannot be used"), "{}", ran.err);
    let ran = place.run(&[&args[..], &["--mean", "e"]].concat());
    assert!(ran.code == 0 && !ran.err.contains("is of scores"), "{}", ran.err);
    let fitted = read_header(place.path("c.safetensors")).unwrap().scoring.calibration.unwrap();
    assert_eq!(fitted.fitted.mean, Some(SubtractedMean::own(Some(&mean))));
    let found = place.json(&compare);
    assert!(found["llr"].is_f64(), "{found}");
    place.fails(&[&args[..], &["--mean", "none"]].concat(), &["none"]);
}

#[test]
fn scores_that_calibrate_nothing_are_refused() {
    let place = Place::make();
    place.model("m.safetensors");
    let before = std::fs::read(place.path("m.safetensors")).unwrap();
    let args = ["calibrate", "m.safetensors", "--scores", "scores"];
    for (scores, wanted) in [
        ("a b 0.5 1\na c 0.4 1\n", "2 targets and 0 nontargets"),
        ("a b 0.5 0\na c 0.4 0\n", "0 targets and 2 nontargets"),
        ("a b 0.5 1\na c 0.5 0\n", "all scores are equal"),
        ("a b 0.5 1\na c -inf 0\n", "scores:2: score -inf is no number"),
        ("a b 0.5\n", "scores:1: no label for a b; give --trials"),
        ("a b 0.5 1\na c 0.4 0\n", "three folds"),
        ("a b 0.5 1\na c 0.4 0\nd e 0.6 1\nd c 0.3 0\n", "cross-validation"),
    ] {
        place.write("scores", scores);
        place.fails(&args, &["scores", wanted]);
    }
    scores(&place, 10.0);
    place.fails(&[&args[..], &["--threshold", "x=0.1"]].concat(), &["scores:", "is no cosine"]);
    place.fails(&[&args[..], &["-o", "scores"]].concat(), &["would be lost"]);
    place.write("list", "a a.wav\n");
    place
        .fails(&[&args[..], &["-o", "list"]].concat(), &["list: is there already and is no model"]);
    assert_eq!(std::fs::read_to_string(place.path("list")).unwrap(), "a a.wav\n");
    place.ends(2, &[&args[..], &["--wav-scp", "l"]].concat(), &["--wav-scp is of use only"]);
    for bad in [["--threshold", "=0.1"], ["--threshold", "x"], ["--prior", "1"], ["--folds", "2"]] {
        assert_eq!(place.run(&[&args[..], &bad].concat()).code, 2, "{bad:?}");
    }
    assert!(std::fs::read(place.path("m.safetensors")).unwrap() == before);
}

#[test]
fn doubtful_calibrations_are_told() {
    let place = Place::make();
    place.model("m.safetensors");
    place.wav("a.wav", 1.5, 100.0);
    let args = ["calibrate", "m.safetensors", "--scores", "scores"];
    let compare = ["compare", "m.safetensors", "a.wav", "a.wav"];
    // Scores that nobody named: `compare` has others, and decides by a threshold.
    scores(&place, 10.0);
    let ran = place.run(&args);
    assert!(ran.code == 0 && ran.err.contains("say what they are with --scores-of"), "{}", ran.err);
    let ran = place.run(&compare);
    assert!(ran.code == 0 && ran.out.contains("(equal error rate)"), "{}", ran.out);
    assert!(ran.err.contains("fitted on scores that are no cosines"), "{}", ran.err);
    // Distances.
    scores(&place, -1.0);
    let ran = place.run(&[&args[..], &["-o", "c.safetensors"]].concat());
    let kept = "earlier calibration, of scores that are no cosines and for prior 0.01, is in m.";
    assert!(ran.err.contains(kept), "{}", ran.err);
    let ran = place.run(&args);
    assert!(ran.err.contains("and for prior 0.01, is gone"), "{}", ran.err);
    assert!(
        ran.code == 0 && ran.err.contains("trials of one speaker have the lower scores"),
        "{}",
        ran.err
    );
    // No errors at all: four speakers and more, all trials apart.
    let mut apart = String::new();
    for i in 0..8 {
        writeln!(apart, "a{i} b{i} 0.{} 1", 80 + i).unwrap();
        (0..i).for_each(|j| writeln!(apart, "a{i} a{j} 0.{} 0", 10 + j).unwrap());
    }
    place.write("scores", &apart);
    let ran = place.run(&[&args[..], &["--json"]].concat());
    assert!(ran.code == 0 && ran.err.contains("infinitely steep"), "{}", ran.err);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert!((json["penalty"].as_f64().unwrap() - 0.5 / 36.0).abs() < 1e-12, "{json}");
    let found = place.json(&compare);
    assert!(found["llr"].as_f64().is_some_and(|llr| llr.abs() < 50.0), "{found}");
}

#[test]
fn calibrations_know_their_scores() {
    let place = Place::make();
    place.model("m.safetensors");
    scores(&place, 10.0);
    place.write("cohort", "abc");
    let args = ["calibrate", "m.safetensors", "--scores", "scores", "-o", "c.safetensors"];
    let with = |more: &[&str]| {
        let json = place.json(&[&args[..], more].concat());
        let fitted = read_header(place.path("c.safetensors")).unwrap().scoring.calibration.unwrap();
        (json, fitted.fitted)
    };
    let (json, fitted) = with(&["--scores-of", "as1", "--cohort", "cohort", "--top-n", "7"]);
    // The digest of `abc` in FIPS 180-4's examples.
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let cohort = Some(hash.to_owned());
    let of_cohort = |averaged: bool| {
        let (cohort, averaged) = (cohort.clone(), Some(averaged));
        OtherScores::Normalised { norm: Norm::As1, top_n: Some(7), cohort, averaged }
    };
    let as1 = of_cohort(false);
    assert_eq!((fitted.cosines, fitted.others), (false, Some(as1)));
    assert_eq!(fitted.mean, Some(SubtractedMean::None));
    assert_eq!((json["scores_of"].as_str(), json["fit_prior"].as_f64()), (Some("as1"), Some(0.01)));
    assert_eq!(json["columns"], serde_json::json!(["score"]));
    assert_eq!(json["others"]["cohort"], hash);
    let of = |more: &[&str]| with(more).1.others;
    let as1 = ["--scores-of", "as1", "--cohort", "cohort", "--top-n", "7"];
    assert_eq!(of(&[&as1[..], &["--cohort-utt2spk", "utt2spk"]].concat()), Some(of_cohort(true)));
    let plda = Some(OtherScores::Plda { model: Some(hash.into()) });
    assert_eq!(of(&["--plda", "cohort"]), plda);
    assert_eq!(of(&["--scores-of", "plda"]), Some(OtherScores::Plda { model: None }));
    assert_eq!(of(&["--scores-of", "llr"]), Some(OtherScores::Llr));
    assert_eq!(of(&["--scores-of", "other"]), None);
    // Of scores that are not named nothing is known.
    assert_eq!(with(&["--scores-of", "other"]).1.mean, None);
    let alone = ["--scores-of", "as1", "--cohort-utt2spk", "utt2spk"];
    assert_eq!(place.run(&[&args[..], &alone].concat()).code, 2);
    for (more, wanted) in [
        (&["--scores-of", "cosine"][..], "is no cosine, as --scores-of has it"),
        (&["--scores-of", "as1", "--shape", "atanh"], "holds no cosines, which --shape atanh"),
        (&["--scores-of", "plda", "--plda", "none"], "none"),
    ] {
        place.fails(&[&args[..], more].concat(), &[wanted]);
    }
    for (more, wanted) in [
        (&["--scores-of", "as1", "--plda", "cohort"][..], "--plda: --scores-of says"),
        (&["--scores-of", "plda", "--cohort", "cohort"], "--cohort: no column"),
        (&["--scores-of", "as1", "--threshold", "x=0.1"], "stores thresholds of cosines"),
        (&["--scores-of", "as9"], "there are cosine"),
    ] {
        place.ends(2, &[&args[..], more].concat(), &[wanted]);
    }
    // Scores of PLDA may lie in -1 to 1 too.
    scores(&place, 1.0);
    let (_, fitted) = with(&["--scores-of", "plda"]);
    assert!(!fitted.cosines);
    let (json, fitted) = with(&["--shape", "line"]);
    assert_eq!(json["columns"], serde_json::json!(["score"]));
    let Fitted { cosines, prior, fit_prior, .. } = fitted;
    assert_eq!((cosines, prior, fit_prior), (true, 0.01, None));
    let (_, fitted) = with(&["--prior", "0.3", "--fit-prior", "0.2"]);
    assert_eq!((fitted.prior, fitted.fit_prior), (0.3, Some(0.2)));
}
