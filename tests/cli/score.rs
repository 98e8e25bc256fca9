//! Scores of models, normalised scores, likelihood ratios.

use std::collections::HashMap;

use revox::corpus::read_wav_scp;
use revox::model_file::update_header;
use revox::scoring::{
    Calibration, Cohort, Column, Compared, Embeddings, Fitted, Fold, Norm, OtherScores, Quantity,
    Scorer, SubtractedMean, read_scores,
};

use crate::{Place, arg, shared_or_skip};

/// Embeddings in directions that numbers choose.
fn embeddings(prefix: &str, count: usize, first: usize) -> Embeddings {
    let mut all = Embeddings::new(6);
    for i in 0..count {
        let value = |j: usize| (((first + i) * 7 + j * 3 + 1) as f32 * 0.737).sin();
        let size = 1.0 + i as f32;
        let row: Vec<f32> = (0..6).map(|j| size * (0.4 + value(j))).collect();
        all.push(&format!("{prefix}{i}"), &row).unwrap();
    }
    all
}

/// A place with embeddings `a0` to `a5`, a cohort, and trials.
fn place() -> (Place, Embeddings, Embeddings) {
    let place = Place::make();
    let (all, cohort) = (embeddings("a", 6, 0), embeddings("c", 12, 50));
    all.save(place.path("e.safetensors")).unwrap();
    cohort.save(place.path("c.safetensors")).unwrap();
    place.write("trials", "1 a0 a1\n0 a0 a2\n0 a3 a4\n1 a5 a0\n");
    (place, all, cohort)
}

const TRIALS: [(usize, usize); 4] = [(0, 1), (0, 2), (3, 4), (5, 0)];

fn scores(place: &Place, args: &[&str]) -> Vec<f64> {
    place.ok(&[&["score", "e.safetensors", "trials", "-o", "scores"][..], args].concat());
    read_scores(place.path("scores")).unwrap().iter().map(|t| t.score).collect()
}

fn near(found: &[f64], wanted: &[f64]) {
    // Files have nine decimals.
    let is_near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-8;
    assert!(
        found.len() == wanted.len() && found.iter().zip(wanted).all(is_near),
        "{found:?} instead of {wanted:?}"
    );
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(x, y)| x * y).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn models_are_averages_of_their_utterances() {
    let (place, all, _) = place();
    place.write("models", "ann a0 a1 a2\nbob a3\n");
    place.write("trials", "ann a4 target\nbob a5 nontarget\nann a3 nontarget\n");
    let trials: [(&[usize], usize); 3] = [(&[0, 1, 2], 4), (&[3], 5), (&[0, 1, 2], 3)];
    let scorer = Scorer::new(&all, None).unwrap();
    let row = |i: usize| all.row(i).iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let mean = |rows: Vec<Vec<f64>>| -> Vec<f64> {
        let sum = |j: usize| rows.iter().map(|row| row[j]).sum::<f64>();
        (0..6).map(|j| sum(j) / rows.len() as f64).collect()
    };
    let raw = trials.map(|(m, t)| cosine(&mean(m.iter().map(|&i| row(i)).collect()), &row(t)));
    let unit =
        trials.map(|(m, t)| cosine(&mean(m.iter().map(|&i| scorer.unit(i)).collect()), &row(t)));
    let each =
        trials.map(|(m, t)| m.iter().map(|&i| scorer.score(i, t)).sum::<f64>() / m.len() as f64);
    let enroll = ["--enroll", "models"];
    near(&scores(&place, &enroll), &raw);
    for (name, wanted) in [("embeddings", raw), ("unit", unit), ("scores", each)] {
        near(&scores(&place, &[&enroll[..], &["--average", name]].concat()), &wanted);
    }
    let text = std::fs::read_to_string(place.path("scores")).unwrap();
    assert!(text.starts_with("ann a4 ") && text.lines().count() == 3, "{text}");
    // Normalised, one utterance or several.
    let found = scores(&place, &["--enroll", "models", "--cohort", "c.safetensors"]);
    place.write("trials", "a3 a5 nontarget\n");
    near(&found[1..2], &scores(&place, &["--cohort", "c.safetensors"]));
}

#[test]
fn trials_without_embeddings_are_left_out_where_that_is_wanted() {
    let (place, ..) = place();
    let all = scores(&place, &[]);
    // Lines 1, 3, 4 and 6 are the trials of before.
    place.write("trials", "1 a0 a1\n1 a0 x\n0 a0 a2\n0 a3 a4\n0 y x\n1 a5 a0\n");
    let score = ["score", "e.safetensors", "trials", "-o", "scores"];
    place.fails(&score, &["trials:2: unknown utterance `x`", "; --skip-missing leaves out such"]);
    let skip = [&score[..], &["--skip-missing"]].concat();
    let ran = place.run(&skip);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let wanted = "warning: trials: 2 trials left out, for 2 utterances without an embedding; \
                  the first is `x` in line 2";
    assert!(ran.err.contains(wanted), "{}", ran.err);
    assert_eq!(scores(&place, &["--skip-missing"]), all);
    let report = place.json(&skip);
    assert_eq!((&report["trials"], &report["trials_left_out"]), (&4.into(), &2.into()));
    // With models, their utterances must be there.
    place.write("trials", "ann a4 target\nann x target\nbob a5 nontarget\n");
    place.write("models", "ann a0 a1\nbob a2\n");
    let enroll = [&skip[..], &["--enroll", "models"]].concat();
    assert_eq!(place.json(&enroll)["trials_left_out"], 1);
    place.write("models", "ann a0 a9\nbob a2\n");
    place.fails(&enroll, &["models:1: unknown utterance `a9`"]);
    place.write("trials", "a0 x target\na1 x nontarget\n");
    place.fails(&skip, &["trials: every trial names one of 1 utterance without", "`x` in line 1"]);
    // A list that names everything otherwise is no list of missing utterances.
    place.write("trials", "s/b0 s/b1 target\n");
    place.fails(&skip, &["trials:1: unknown utterance `s/b0`"]);
}

#[test]
fn bad_lists_of_models_are_named() {
    let (place, ..) = place();
    place.write("trials", "ann a4 target\n\nbob a5 nontarget\n");
    let fails = |models: &str, wanted: &[&str]| {
        place.write("models", models);
        place.fails(
            &["score", "e.safetensors", "trials", "-o", "scores", "--enroll", "models"],
            wanted,
        );
        assert!(!place.path("scores").exists());
    };
    fails("ann a0\nbob a1\nann a2\n", &["models:3: model `ann` again; it is already in line 1"]);
    fails("ann a0 a1 a0\nbob a1\n", &["models:1: model `ann` has utterance `a0` twice"]);
    fails("ann a0\nbob\n", &["models:2: model `bob` has no utterances"]);
    fails("ann a0\nbob a1 a9\n", &["models:2: unknown utterance `a9`; e.safetensors has none"]);
    fails("ann a0 a1\n", &["trials:3: unknown model `bob`; models has none of that name"]);
    fails("\n", &["models: holds no models"]);
    place.write("models", "ann a0\nbob a1\n");
    place.write("trials", "ann a4 target\nbob ann nontarget\n");
    let score = ["score", "e.safetensors", "trials", "--enroll", "models", "-o"];
    let to = |output: &'static str| [&score[..], &[output]].concat();
    // A model is no utterance.
    place.fails(&to("scores"), &["unknown utterance `ann`"]);
    place.fails(&to("models"), &["models", "would be lost"]);
    assert_eq!(place.run(&[&to("s")[..], &["--average", "median"]].concat()).code, 2);
    let alone = ["score", "e.safetensors", "trials", "-o", "s", "--average", "unit"];
    assert_eq!(place.run(&alone).code, 2);
    let help = place.ok(&["score", "--help"]);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted = "With --plda utterances are counted by the book unless this is `embeddings`";
    assert!(help.contains(wanted), "{help}");
}

#[test]
fn every_form_of_normalisation_has_its_name() {
    let (place, all, cohort) = place();
    let scorer = Scorer::new(&all, Some(all.mean())).unwrap();
    let members = Scorer::new(&cohort, Some(all.mean())).unwrap();
    let compared = Compared::new(&scorer, None);
    let given = ["--mean", "e.safetensors", "--cohort", "c.safetensors"];
    let with = |more: &[&str]| scores(&place, &[&given[..], more].concat());
    for norm in Norm::ALL {
        let cohort = Cohort::new(norm, &members, 4).unwrap();
        let by = cohort.normalise(compared, 0..6, 0..6, &|| ()).unwrap();
        let wanted = TRIALS.map(|(e, t)| by.score(e, t));
        let top: &[&str] = if norm.is_adaptive() { &["--top-n", "4"] } else { &[] };
        near(&with(&[&["--norm", norm.name()][..], top].concat()), &wanted);
        if norm == Norm::As1 {
            near(&with(top), &wanted);
        }
    }
    let score = ["score", "e.safetensors", "trials", "-o", "s"];
    let more = ["--cohort", "c.safetensors", "--norm", "z", "--top-n", "4"];
    place.ends(2, &[&score[..], &more].concat(), &["--top-n: --norm z counts the whole cohort"]);
    for few in ["0", "1", "many"] {
        let top = ["--cohort", "c.safetensors", "--top-n", few];
        assert_eq!(place.run(&[&score[..], &top].concat()).code, 2, "{few}");
    }
    for name in ["s.npz", "s.csv", "s.JSON", "s.safetensors", "s.h5", "s.ark", "s.scp"] {
        let to = ["score", "e.safetensors", "trials", "-o", name];
        let wanted = format!("{name}: no file of this ending is written; give one of: .txt");
        place.fails(&to, &[&wanted]);
        assert!(!place.path(name).exists());
    }
    place.ok(&["score", "e.safetensors", "trials", "-o", "s.txt"]);
    assert_eq!(place.run(&[&score[..], &["--norm", "z"]].concat()).code, 2);
    let report = place.json(&[&score[..], &["--cohort", "c.safetensors", "--norm", "zt"]].concat());
    assert_eq!((&report["scores"], &report["trials"]), (&"zt".into(), &4.into()));
    assert_eq!(place.json(&score)["scores"], "cosine");
}

/// Stores a calibration in a model.
fn calibrate(place: &Place, columns: &[(Column, f64)], cosines: bool) {
    place.model("m.safetensors");
    let model = place.path("m.safetensors");
    let calibration = Calibration {
        columns: columns.iter().map(|c| c.0).collect(),
        weights: columns.iter().map(|c| c.1).collect(),
        bias: -1.5,
        fitted: Fitted { prior: 0.01, cosines, ..Fitted::default() },
    };
    update_header(&model, &model, |header| header.scoring.calibration = Some(calibration)).unwrap();
}

#[test]
fn calibrated_scores_are_likelihood_ratios() {
    let (place, all, cohort) = place();
    let calibration = ["--calibration", "m.safetensors"];
    let with = |more: &[&str]| scores(&place, &[&calibration[..], more].concat());
    let scorer = Scorer::new(&all, None).unwrap();
    let cosines = TRIALS.map(|(e, t)| scorer.score(e, t));
    calibrate(&place, &[(Column::Score, 9.0)], true);
    near(&with(&[]), &cosines.map(|s| 9.0 * s - 1.5));
    // All measures.
    let columns = [
        (Column::Score, 9.0),
        (Column::Sides(Fold::Min, Quantity::Norm), 0.25),
        (Column::Sides(Fold::Difference, Quantity::Seconds), -0.5),
        (Column::Sides(Fold::Max, Quantity::Cohort), 2.0),
    ];
    calibrate(&place, &columns, true);
    place.write("utt2dur", "a0 1\na1 2.5\na2 4\na3 8\na4 16\na5 0.5\nother 3\n");
    let seconds = [1.0, 2.5, 4.0, 8.0, 16.0, 0.5];
    let members = Scorer::new(&cohort, None).unwrap();
    let nearest = Cohort::new(Norm::As1, &members, 5).unwrap();
    let by = nearest.normalise(Compared::new(&scorer, None), 0..6, 0..6, &|| ()).unwrap();
    let length = |i: usize| all.row(i).iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
    let all_columns = |s: f64, (e, t): (usize, usize)| {
        let [a, b] = by.statistics(e, t).unwrap();
        9.0 * s + 0.25 * length(e).min(length(t)) - 0.5 * f64::abs(seconds[e] - seconds[t])
            + 2.0 * a.mean.max(b.mean)
            - 1.5
    };
    let measures = ["--durations", "utt2dur", "--cohort", "c.safetensors", "--top-n", "5"];
    let ratios = |found: Vec<f64>, raw: [f64; 4]| {
        for (i, found) in found.into_iter().enumerate() {
            // The lengths above are sums of rounded squares.
            let wanted = all_columns(raw[i], TRIALS[i]);
            assert!((found - wanted).abs() < 1e-5, "{found} instead of {wanted}");
        }
    };
    ratios(with(&[&measures[..], &["--keep-cosines"]].concat()), cosines);
    calibrate(&place, &columns, false);
    ratios(with(&measures), TRIALS.map(|(e, t)| by.score(e, t)));
    // The measures come from the same cohort, whatever the form.
    let z = Cohort::new(Norm::Z, &members, 5).unwrap();
    let z = z.normalise(Compared::new(&scorer, None), 0..6, 0..6, &|| ()).unwrap();
    let z = TRIALS.map(|(e, t)| z.score(e, t));
    ratios(with(&[&measures[..], &["--norm", "z"]].concat()), z);
}

#[test]
fn a_calibration_of_other_scores_is_refused() {
    let (place, ..) = place();
    let cohort = ["--cohort", "c.safetensors"];
    let fails = |more: &[&str], wanted: &str| {
        let score = ["score", "e.safetensors", "trials", "-o", "s"];
        let model = ["--calibration", "m.safetensors"];
        place.fails(&[&score[..], &model, more].concat(), &[wanted]);
        assert!(!place.path("s").exists());
    };
    place.model("m.safetensors");
    fails(&[], "m.safetensors: holds no calibration");
    calibrate(&place, &[(Column::Score, 9.0)], true);
    fails(&cohort, "fitted on cosines; these are scores normalised by as1");
    let kept = [&cohort[..], &["--keep-cosines"]].concat();
    fails(&kept, "--keep-cosines: the calibration of m.safetensors weighs no cohort mean");
    place.write("utt2dur", "a0 1\na1 0.1\na2 1\na3 1\na4 1\n");
    fails(&["--durations", "utt2dur"], "--durations: the calibration of m.safetensors weighs no");
    calibrate(&place, &[(Column::Score, 9.0)], false);
    fails(&[], "fitted on scores that are no cosines; these are cosines");
    let with = |fold, quantity| [(Column::Score, 9.0), (Column::Sides(fold, quantity), 1.0)];
    calibrate(&place, &with(Fold::Min, Quantity::Cohort), true);
    fails(&[], "give --cohort");
    calibrate(&place, &with(Fold::Ratio, Quantity::Seconds), true);
    fails(&[], "give --durations");
    fails(&["--durations", "utt2dur"], "utt2dur: has no seconds of utterance `a5`");
    let alone = ["score", "e.safetensors", "trials", "-o", "s", "--durations", "utt2dur"];
    assert_eq!(place.run(&alone).code, 2);
}

#[test]
fn scores_that_were_made_otherwise_are_refused() {
    let (place, all, _) = place();
    let store = |change: &dyn Fn(&mut Fitted)| {
        calibrate(&place, &[(Column::Score, 9.0)], true);
        let model = place.path("m.safetensors");
        update_header(&model, &model, |header| {
            header.scoring.calibration.iter_mut().for_each(|c| change(&mut c.fitted));
        })
        .unwrap();
    };
    let score =
        ["score", "e.safetensors", "trials", "-o", "scores", "--calibration", "m.safetensors"];
    let fails = |more: &[&str], wanted: &str| {
        place.fails(&[&score[..], more].concat(), &["m.safetensors: its calibration", wanted]);
    };
    let tells = |more: &[&str], wanted: Option<&str>| {
        let ran = place.run(&[&score[..], more].concat());
        assert_eq!((ran.code, ran.err.contains("earlier version")), (0, wanted.is_some()));
        assert!(ran.err.contains(wanted.unwrap_or_default()), "{}", ran.err);
    };
    // The mean.
    let mean = ["--mean", "e.safetensors"];
    store(&|fitted| fitted.mean = Some(SubtractedMean::None));
    tells(&[], None);
    fails(&mean, "without a mean subtracted; these are less the mean embedding");
    store(&|fitted| fitted.mean = Some(SubtractedMean::of(Some(&all.mean()), None)));
    tells(&mean, None);
    fails(&[], "less the mean embedding");
    fails(&["--mean", "c.safetensors"], "; these are less the mean embedding");
    store(&|_| ());
    tells(&mean, Some("does not say whether a mean was subtracted"));
    // The cohort's speakers.
    place.write("utt2spk", &(0..12).map(|i| format!("c{i} s{}\n", i / 2)).collect::<String>());
    let cohort = ["--cohort", "c.safetensors"];
    let averaged = [&cohort[..], &["--utt2spk", "utt2spk"]].concat();
    let normalised = |averaged: Option<bool>| {
        store(&|fitted| {
            let (norm, top_n, cohort) = (Norm::As1, Some(300), None);
            let others = OtherScores::Normalised { norm, top_n, cohort, averaged };
            (fitted.cosines, fitted.others) = (false, Some(others));
        });
    };
    normalised(Some(true));
    tells(&averaged, None);
    fails(&cohort, "a cohort averaged by speaker; these scores have one of single embeddings");
    normalised(Some(false));
    tells(&cohort, None);
    fails(&averaged, "of single embeddings; these scores have one averaged by speaker");
    normalised(None);
    tells(&cohort, None);
    tells(&averaged, Some("does not say whether its cohort was averaged by speaker"));
}

#[test]
fn the_scale_of_ratios_is_said() {
    let (place, ..) = place();
    calibrate(&place, &[(Column::Score, 9.0)], true);
    let score = ["score", "e.safetensors", "trials", "-o", "s", "--calibration", "m.safetensors"];
    let ran = place.run(&score);
    assert!(ran.out.contains("4 log-likelihood ratios in s"), "{}", ran.out);
    assert!(ran.err.contains("natural logarithms of likelihood ratios"), "{}", ran.err);
    assert_eq!(place.json(&score)["scores"], "llr");
}

/// Lists of others name files, and models by speakers.
#[test]
fn models_of_three_files_are_found() {
    let lists = shared_or_skip!("data/speechocean762/dev");
    let place = Place::make();
    let files = read_wav_scp(lists.join("wav.scp")).unwrap();
    let mut all = Embeddings::new(6);
    for (i, (id, ..)) in files.iter().enumerate() {
        all.push(id, embeddings("x", 1, i).row(0)).unwrap();
    }
    all.save(place.path("e.safetensors")).unwrap();
    let at = |name: &str| arg(&lists.join(name)).to_owned();
    let (trials, models, scp) = (at("trials_enroll3.txt"), at("enroll3.txt"), at("wav.scp"));
    let score = ["score", "e.safetensors", &trials, "--enroll", &models, "-o"];
    // By the list of files, and by last names.
    place.ok(&[&score[..], &["listed", "--wav-scp", &scp]].concat());
    place.ok(&[&score[..], &["guessed"]].concat());
    let [listed, guessed] =
        ["listed", "guessed"].map(|name| std::fs::read_to_string(place.path(name)).unwrap());
    assert_eq!(listed, guessed);
    let id_of: HashMap<&str, &str> =
        files.iter().map(|(id, file, _)| (file.as_str(), id.as_str())).collect();
    let list = std::fs::read_to_string(lists.join("enroll3.txt")).unwrap();
    let first = read_scores(place.path("listed")).unwrap().swap_remove(0);
    let line = list.lines().find(|line| line.starts_with(&format!("{} ", first.enroll))).unwrap();
    let row = |file: &str| all.row(all.position(id_of[file]).unwrap()).to_vec();
    let rows: Vec<Vec<f32>> = line.split_whitespace().skip(1).map(row).collect();
    let mean = |j: usize| rows.iter().map(|row| f64::from(row[j])).sum::<f64>() / 3.0;
    let model: Vec<f64> = (0..6).map(mean).collect();
    let test: Vec<f64> = row(&first.test).into_iter().map(f64::from).collect();
    near(&[first.score], &[cosine(&model, &test)]);
}
