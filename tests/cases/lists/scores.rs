//! From embeddings to scores, and from scores to error rates and thresholds.

use revox::model_file::read_header;
use revox::scoring::{Embeddings, ScoredTrial, read_scores};

use super::absolute;
use crate::place::{Place, arg};
use crate::shared_or_skip;

fn rates(trials: &[ScoredTrial], threshold: f64) -> (f64, f64) {
    let share = |target: bool, accepted: bool| {
        let of: Vec<bool> = trials
            .iter()
            .filter(|t| t.label == Some(target))
            .map(|t| t.score >= threshold)
            .collect();
        of.iter().filter(|a| **a == accepted).count() as f64 / of.len() as f64
    };
    (share(true, false), share(false, true))
}

#[test]
fn contradictions_between_trials_and_scores_are_errors() {
    let lists = absolute(shared_or_skip!("cases/lists"));
    let place = Place::make();
    let at = |name: &str| arg(&lists.join(name)).to_owned();
    let eval = |scores: &str, trials: &str| {
        ["eval".to_owned(), at(scores), "--trials".to_owned(), at(trials)]
    };
    let fails = |scores: &str, trials: &str, wanted: &[&str]| {
        place.fails(&eval(scores, trials).each_ref().map(String::as_str), wanted);
    };
    fails("swap/scores", "swap/trials", &["swap/scores:1: no label for a b"]);
    fails(
        "dup/scores",
        "dup/trials_conflict",
        &["trials_conflict:4: trial a b is nontarget here and target in line 1"],
    );
    fails("dup/scores4", "dup/trials_conflict4", &["trials_conflict4:5:", "line 1"]);
    let ok = place.json(&eval("dup/scores4", "dup/trials_ok4").each_ref().map(String::as_str));
    assert_eq!((&ok["eer"], &ok["unscored"]), (&0.0.into(), &0.into()));
    let more = eval("dup/scores", "dup/trials_more");
    let ran = place.run(&more.each_ref().map(String::as_str));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains("trials_more:4: no score for a e; the rates leave out 3 of 6 trials"),
        "{}",
        ran.err
    );
    assert_eq!(place.json(&more.each_ref().map(String::as_str))["unscored"], 3);
    // Within the score file, and between it and the list.
    place.write("twice", "a b 0.5 1\na c 0.1 0\na b 0.6 1\n");
    place.fails(&["eval", "twice"], &["twice:3: trial a b scores 0.6 here and 0.5 in line 1"]);
    place.write("labelled", "a b 0.5 tgt\na c 0.1 imp\n");
    place.write("trials", "0 a b\n0 a c\n");
    place.fails(&["eval", "labelled", "--trials", "trials"], &["labelled:1:", "trials:1"]);
    // Training and scoring read the same lists.
    let mut e = Embeddings::new(2);
    ["a", "b", "c", "d"].iter().for_each(|id| e.push(id, &[1.0, 2.0]).unwrap());
    e.save(place.path("e.safetensors")).unwrap();
    place.fails(
        &["score", "e.safetensors", &at("dup/trials_conflict"), "-o", "s"],
        &["trials_conflict:4:"],
    );
    assert!(!place.path("s").exists());
}

/// Rates worked out by hand. The last pair are misses and false accepts at the threshold.
#[test]
fn rates_and_thresholds_of_special_scores() {
    let folder = absolute(shared_or_skip!("cases/lists/sc"));
    let place = Place::make();
    let (third, random) = (1.0 / 3.0, (215.0 / 638.0, 346.0 / 1181.0));
    for (name, eer, dcf, wanted) in [
        ("one_each", 0.0, [0.0, 0.0], Some((0.0, 0.0))),
        ("ties", 0.5, [1.0, 1.0], Some((0.0, 1.0))),
        ("two_steps", 0.2, [0.6, 0.6], Some((0.2, 0.2))),
        ("random_ties", 16857.0 / 53416.0, [1.0, 0.9833797403507468], Some(random)),
        ("inverted", 1.0, [1.0, 1.0], Some((1.0, 1.0))),
        ("huge", 0.5, [1.0, 1.0], Some((0.5, 0.5))),
        ("inf", third, [third, third], Some((third, 0.0))),
        ("inf_half", 0.5, [1.0, 1.0], Some((0.5, 0.5))),
        ("inf_targets", 0.0, [0.0, 0.0], Some((0.0, 0.0))),
        ("neginf_all", 0.5, [1.0, 1.0], None),
    ] {
        let scores = folder.join(name);
        let report = place.json(&["eval", arg(&scores), "--replicates", "0"]);
        let near = |value: &serde_json::Value, wanted: f64| {
            let value = value.as_f64().unwrap();
            assert!((value - wanted).abs() < 1e-12, "{name}: {value} instead of {wanted}");
        };
        near(&report["eer"], eer);
        near(&report["min_dcf"]["0.01"], dcf[0]);
        near(&report["min_dcf"]["0.05"], dcf[1]);
        let threshold = report["threshold_eer"].as_f64();
        let trials = read_scores(&scores).unwrap();
        assert_eq!(threshold.map(|t| rates(&trials, t)), wanted, "{name}: {threshold:?}");
    }
    let printed = place.ok(&["eval", arg(&folder.join("inf_targets"))]);
    let threshold = printed.lines().find_map(|l| l.strip_prefix("threshold at EER ")).unwrap();
    assert!(threshold.parse::<f64>().unwrap() > 0.2, "{printed}");
    place.model("m.safetensors");
    place.ok(&["eval", arg(&folder.join("inf_targets")), "--save-threshold", "m.safetensors"]);
    let stored = read_header(place.path("m.safetensors")).unwrap().scoring;
    assert!(
        stored.threshold_eer.unwrap() > 0.2 && stored.thresholds.iter().all(|t| t.1.is_finite()),
        "{stored:?}"
    );
    place.fails(
        &["eval", arg(&folder.join("neginf_all")), "--save-threshold", "m.safetensors"],
        &["no threshold"],
    );
}

#[test]
fn a_cohort_without_spread_is_an_error() {
    let models = absolute(shared_or_skip!("cases/models"));
    let place = Place::make();
    let at = |name: &str| arg(&models.join(name)).to_owned();
    let run = |cohort: &str, top: &str| {
        let (e, trials, cohort) = (at("e_trial.safetensors"), at("e_trials.txt"), at(cohort));
        let args = ["score", &e, &trials, "-o", "scores", "--cohort", &cohort, "--top-n", top];
        let ran = place.run(&args);
        let scores = (ran.code == 0).then(|| read_scores(place.path("scores")).unwrap());
        (ran.err, scores.map(|s| s.iter().map(|t| t.score).collect::<Vec<f64>>()))
    };
    for cohort in ["e_cohort_copies.safetensors", "e_cohort_scaled.safetensors"] {
        for top in ["2", "5", "10", "300"] {
            let (err, scores) = run(cohort, top);
            assert!(
                scores.is_none() && err.contains(cohort) && err.contains("`u00` is equally far"),
                "{err}"
            );
        }
    }
    // Five copies of `u00` among forty others are an error only if these five are the nearest used.
    let few = "e_cohort_few_copies.safetensors";
    let (err, scores) = run(few, "5");
    assert!(scores.is_none() && err.contains("`u00` is equally far from its 5 nearest"), "{err}");
    // Values of an independent program, in f64.
    let near = |scores: Option<Vec<f64>>, wanted: [f64; 3]| {
        let scores = scores.unwrap();
        assert!(scores.iter().zip(wanted).all(|(s, w)| (s - w).abs() < 1e-8), "{:?}", &scores[..3]);
        assert!(scores.len() == 66 && scores.iter().all(|s| s.abs() < 100.0));
    };
    near(run(few, "10").1, [-1.0303370031801944, -0.7132442788159018, 5.845701354056338]);
    near(
        run("e_cohort.safetensors", "10").1,
        [0.0028644965033966, 0.38452345892961126, 2.9659028729794548],
    );
    // More than the cohort holds.
    let (err, scores) = run("e_cohort.safetensors", "300");
    assert!(err.contains("note: ") && err.contains("has 40 embeddings, so --top-n is 40"), "{err}");
    near(scores, [1.2985317816661017, 1.5070827257574928, 2.5995747287365]);
    assert!(run("e_cohort.safetensors", "1").0.contains("invalid value '1' for '--top-n"));
}

#[test]
fn embeddings_that_no_trial_uses_may_be_zero_and_copies_score_one() {
    let models = absolute(shared_or_skip!("cases/models"));
    let place = Place::make();
    let zero = models.join("e_unused_zero.safetensors");
    place.write("trials", "1 u0 u1\n0 u0 u2\n");
    place.ok(&["score", arg(&zero), "trials", "-o", "scores"]);
    place.write("trials", "1 u0 u1\n0 u0 unused_zero\n");
    place.fails(&["score", arg(&zero), "trials", "-o", "s"], &["`unused_zero` is zero"]);
    for name in ["e_same", "e_near"] {
        let (e, trials) =
            (models.join(format!("{name}.safetensors")), models.join("e_same_trials.txt"));
        place.ok(&["score", arg(&e), arg(&trials), "-o", "scores"]);
        let scores = read_scores(place.path("scores")).unwrap();
        assert!(!scores.is_empty(), "{name}");
        assert!(scores.iter().all(|t| t.score == 1.0), "{name}: {scores:?}");
        assert_eq!(place.json(&["eval", "scores", "--replicates", "0"])["eer"], 0.5);
        // Their difference from the mean is rounding.
        place.fails(
            &["score", arg(&e), arg(&trials), "-o", "s", "--mean", arg(&e)],
            &["`u0` is the mean itself"],
        );
    }
}

#[test]
fn eval_refuses_before_it_works() {
    let place = Place::make();
    place.write("scores", "a b 0.5 1\na c 0.1 0\na d 0.2 0\n");
    place.fails(&["eval", "scores", "--utt2spk", "none"], &["none: cannot read"]);
    place.write("utt2spk", "a s\nb s\nc t\n");
    place.fails(&["eval", "scores", "--utt2spk", "utt2spk"], &["scores:3:", "`d`", "utt2spk"]);
    for det in ["x.png", "x.pdf", "x"] {
        let ran = place.run(&["eval", "scores", "--det", det]);
        let wanted = format!("invalid value '{det}' for '--det <DET>': write .svg or .csv");
        assert!(ran.code == 2 && ran.err.contains(&wanted), "{}", ran.err);
    }
    std::fs::copy(place.path("scores"), place.path("scores.csv")).unwrap();
    place.fails(&["eval", "scores.csv", "--det", "./scores.csv"], &["would be lost"]);
    place.fails(
        &["eval", "scores", "--save-threshold", "none.safetensors"],
        &["none.safetensors: cannot read"],
    );
    place.fails(
        &["eval", "scores", "--save-threshold", "utt2spk"],
        &["utt2spk: not a readable safetensors file"],
    );
    // Too few speakers for an interval are no error.
    let ran = place.run(&["eval", "scores", "--det", "det.csv", "--replicates", "10"]);
    assert!(ran.code == 0 && ran.err.contains("warning: no interval"), "{}", ran.err);
    assert!(
        std::fs::read_to_string(place.path("det.csv")).unwrap().starts_with("threshold,fpr,fnr")
    );
    let mut e = Embeddings::new(2);
    ["a", "b"].iter().for_each(|id| e.push(id, &[1.0, 2.0]).unwrap());
    e.save(place.path("e.safetensors")).unwrap();
    place.write("trials", "1 a b\n");
    place.fails(&["score", "e.safetensors", "trials", "-o", "trials"], &["would be lost"]);
    place.fails(&["score", "e.safetensors", "trials", "-o", "./e.safetensors"], &["would be lost"]);
    // The archive behind a list is an input, too.
    e.save_as(place.path("x.ark")).unwrap();
    place.write("x.scp", "a x.ark:2\n");
    let kept = std::fs::read(place.path("x.ark")).unwrap();
    let cohort = ["e.safetensors", "trials", "--cohort", "scp:x.scp"];
    for inputs in [&["x.scp", "trials"][..], &cohort] {
        let score = [&["score"][..], inputs, &["-o", "x.ark"]].concat();
        place.fails(&score, &["x.ark: is", "would be lost"]);
    }
    assert!(std::fs::read(place.path("x.ark")).unwrap() == kept);
    assert_eq!(
        place.ok(&["score", "e.safetensors", "trials", "-o", "-"]),
        "a b 1.000000000 target\n"
    );
}

#[test]
fn a_threshold_is_stored_and_nothing_else_changes() {
    let place = Place::make();
    place.model("m.safetensors");
    place.wav("a.wav", 1.0, 100.0);
    place.wav("b.wav", 1.0, 180.0);
    let embedded = |out: &str| {
        place.ok(&["embed", "m.safetensors", "a.wav", "b.wav", "-o", out]);
        std::fs::read(place.path(out)).unwrap()
    };
    let before = embedded("before");
    place.write("scores", "a b 0.9 1\na c 0.8 1\na d 0.6 0\na e 0.1 0\n");
    let text = place.ok(&["eval", "scores", "--save-threshold", "m.safetensors"]);
    assert!(text.contains("thresholds stored in m.safetensors"), "{text}");
    assert!(embedded("after") == before);
    let scoring = read_header(place.path("m.safetensors")).unwrap().scoring;
    assert_eq!(scoring.threshold_eer, Some(0.8));
    assert_eq!(scoring.thresholds, [0.1, 0.05, 0.01, 0.001].map(|far| (far, 0.8)));
    assert_eq!(place.json(&["compare", "m.safetensors", "a.wav", "b.wav"])["threshold"], 0.8);
    // Scores of AS-norm are no cosines.
    place.write("scores", "a b 9.5 1\na c 2.5 0\n");
    let ran = place.run(&["eval", "scores", "--save-threshold", "m.safetensors"]);
    assert!(ran.code == 1 && ran.err.contains("scores:1: score 9.5 is no cosine"), "{}", ran.err);
    assert_eq!(place.list("."), ["a.wav", "after", "b.wav", "before", "m.safetensors", "scores"]);
}

#[test]
fn labels_that_speakers_contradict_are_errors() {
    let place = Place::make();
    place.write("utt2spk", "a s1\nb s2\nc s1\n");
    place.write("scores", "a c 0.9 target\na b 0.1 nontarget\n");
    let eval = ["eval", "scores", "--utt2spk", "utt2spk", "--replicates", "0"];
    place.ok(&eval);
    place.write("scores", "a c 0.9 target\na b 0.1 target\nb c 0.1 nontarget\n");
    place.fails(&eval, &["scores:2: trial a b is target", "utt2spk has two speakers"]);
    place.write("scores", "a b 0.9 nontarget\na c 0.1 nontarget\na a 0.5 target\n");
    place.fails(&eval, &["scores:2: trial a c is nontarget", "has one speaker"]);
    // Trials that name files, by the list of them.
    place.write("wav.scp", "a /d/x/1.wav\nb /d/x/2.wav\nc /d/y/1.wav\n");
    place.write("scores", "x/1.wav y/1.wav 0.9 target\nx/1.wav x/2.wav 0.1 nontarget\n");
    place.fails(&eval, &["unknown utterance"]);
    place.ok(&[&eval[..], &["--wav-scp", "wav.scp"]].concat());
}

#[test]
fn thresholds_are_cosines() {
    let place = Place::make();
    place.model("m.safetensors");
    place.wav("a.wav", 1.0, 100.0);
    let compare = |threshold: &str| {
        place.run(&["compare", "m.safetensors", "a.wav", "a.wav", "--threshold", threshold])
    };
    for threshold in ["nan", "inf", "2", "-1.5", "x"] {
        assert_eq!(compare(threshold).code, 2, "{threshold}");
    }
    assert!(compare("-0.2").out.contains("same speaker"));
}
