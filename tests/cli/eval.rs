//! `eval`: costs, conditions, several systems, identification.

use revox::rng::Stream;
use revox::scoring::{Cost, Curve, actual_dcf, cllr, min_cllr};
use serde_json::Value;

use crate::Place;

/// Trials of all pairs of 12 speakers' utterances `sNN-0` to `sNN-2`, as score lines, and their
/// scores. Targets score higher by `shift`.
fn scores(shift: f64, seed: u64) -> (String, Vec<(f64, bool)>) {
    let mut stream = Stream::new(seed, "test", &[]);
    let (mut text, mut trials) = (String::new(), Vec::new());
    for (a, b) in (0..36).flat_map(|a| (a + 1..36).map(move |b| (a, b))) {
        let target = a / 3 == b / 3;
        let score = stream.normal() + if target { shift } else { -shift };
        let score: f64 = format!("{score:.9}").parse().unwrap();
        let name = |i: i32| format!("s{:02}-{}", i / 3, i % 3);
        text += &format!("{} {} {score:.9} {}\n", name(a), name(b), u8::from(target));
        trials.push((score, target));
    }
    (text, trials)
}

fn near(value: &Value, wanted: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - wanted).abs() < 1e-9)
}

#[test]
fn priors_costs_and_ratios() {
    let place = Place::make();
    let (text, trials) = scores(1.5, 1);
    place.write("llrs", &text);
    let curve = Curve::new(trials.iter().copied()).unwrap();
    let plain = place.json(&["eval", "llrs", "--replicates", "0"]);
    assert!(near(&plain["min_dcf"]["0.01"], curve.min_dcf(0.01).cost), "{plain}");
    assert!(near(&plain["min_cllr"], min_cllr(&trials).unwrap()), "{plain}");
    assert!(plain["cllr"].is_null() && plain["act_dcf"].is_null(), "{plain}");
    let asked = ["eval", "llrs", "--llr", "--p-target", "1e-3", "--p-target", "0.5"];
    let costs = ["--c-miss", "10", "--c-fa", "2", "--replicates", "30"];
    let report = place.json(&[&asked[..], &costs].concat());
    for (key, prior) in [("1e-3", 0.001), ("0.5", 0.5)] {
        let cost = Cost::new(prior, 10.0, 2.0).unwrap();
        assert!(near(&report["min_dcf"][key], curve.min_cost(&cost).cost), "{report}");
        let actual = actual_dcf(&trials, prior, 10.0, 2.0).unwrap();
        assert!(near(&report["act_dcf"][key], actual), "{report}");
        assert_eq!(report["min_dcf_ci95"][key].as_array().unwrap().len(), 2);
    }
    assert_eq!(report["min_dcf"].as_object().unwrap().len(), 2);
    assert!(near(&report["cllr"], cllr(&trials).unwrap()), "{report}");
    let text = place.ok(&[&asked[..], &costs].concat());
    for words in ["minDCF(0.001, 10:2)", "actual DCF(0.5, 10:2)", "min Cllr", "from LLR -1.609 on"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    // Cosines are no ratios.
    place.write("cosines", "a b 0.9 1\nc d 0.1 0\n");
    let ran = place.run(&["eval", "cosines", "--llr", "--replicates", "0"]);
    assert!(ran.code == 0 && ran.err.contains("every score is between -1 and 1"), "{}", ran.err);
    for bad in [["--p-target", "0"], ["--p-target", "1.5"], ["--c-miss", "0"], ["--c-fa", "x"]] {
        assert_eq!(place.run(&[&["eval", "llrs"][..], &bad].concat()).code, 2, "{bad:?}");
    }
}

#[test]
fn rates_by_condition() {
    let place = Place::make();
    let (text, trials) = scores(1.0, 2);
    place.write("scores", &text);
    let speaker = |i: usize| format!("s{i:02}");
    let utt2spk: String =
        (0..36).map(|i| format!("{}-{} {}\n", speaker(i / 3), i % 3, speaker(i / 3))).collect();
    let gender: String =
        (0..12).map(|i| format!("{} {}\n", speaker(i), ["f", "m"][i % 2])).collect();
    let about: String = (0..36)
        .map(|i| format!("{}-{} {} phone\n", speaker(i / 3), i % 3, 1.5 + (i % 3) as f64))
        .collect();
    place.write("utt2spk", &utt2spk);
    place.write("spk2gender", &gender);
    place.write("about", &format!("utt seconds device\n{about}"));
    let eval = ["eval", "scores", "--replicates", "0", "--utt2spk", "utt2spk"];
    let by = |more: &[&'static str]| -> Vec<&'static str> { [&eval[..], more].concat() };
    let both = by(&["--by", "gender=spk2gender", "--by", "about:seconds", "--bins", "2,3"]);
    let report = place.json(&both);
    let genders = report["conditions"]["gender"].as_array().unwrap();
    let values: Vec<&str> = genders.iter().map(|c| c["value"].as_str().unwrap()).collect();
    assert_eq!(values, ["f", "f-m", "m"]);
    // Speakers of different genders have no target trials.
    assert!(genders[1]["eer"].is_null() && genders[1]["remark"] == "no targets", "{report}");
    assert_eq!((&genders[0]["targets"], &genders[1]["nontargets"]), (&18.into(), &324.into()));
    // By the definition: both sides are of even speakers.
    let pairs = (0..36).flat_map(|a| (a + 1..36).map(move |b| (a, b)));
    let even = pairs.zip(&trials).filter(|((a, b), _)| a / 3 % 2 == 0 && b / 3 % 2 == 0);
    let wanted = Curve::new(even.map(|(_, trial)| *trial)).unwrap();
    assert!(near(&genders[0]["eer"], wanted.eer().rate), "{report}");
    assert!(near(&genders[0]["min_dcf"]["0.05"], wanted.min_dcf(0.05).cost), "{report}");
    let seconds = report["conditions"]["seconds"].as_array().unwrap();
    assert_eq!(seconds[1]["value"], "<2-2..3");
    let counts = |key: &str| seconds.iter().map(|c| c[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((counts("targets"), counts("nontargets")), (36, 594));
    let text = place.ok(&both);
    for words in ["gender", "f-m", "no targets", "too few trials", ">=3"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // All columns, where none is named.
    let all = place.json(&by(&["--by", "about", "--bins", "2,3"]));
    assert_eq!(all["conditions"].as_object().unwrap().len(), 2);

    place.write("few", "s00-0 f\ns00-1 f\n");
    place.fails(&by(&["--by", "few"]), &["scores:2:", "s00-2", "few"]);
    place.write("speakers", "s00 f\ns01 m\n");
    place.fails(&by(&["--by", "speakers"]), &["scores:6:", "speakers lacks its speaker `s02`"]);
    place.fails(&by(&["--by", "about:age"]), &["about: has no column `age`", "seconds, device"]);
    place.fails(&by(&["--by", "spk2gender", "--bins", "2,3"]), &["--bins: no column"]);
    for bad in ["3,2", "2,2", "two", ""] {
        let ran = place.run(&by(&["--by", "about", "--bins", bad]));
        assert!(ran.code == 2 && ran.err.contains("--bins"), "{bad}: {}", ran.err);
    }
    place.fails(&by(&["--by", "about", "--by", "about"]), &["two conditions are named"]);
    place.fails(&by(&["--by", "none"]), &["none: cannot read"]);
    std::fs::copy(place.path("about"), place.path("about.svg")).unwrap();
    place.fails(&by(&["--by", "about.svg", "--det", "about.svg"]), &["about.svg"]);
}

#[test]
fn several_systems_are_compared() {
    let place = Place::make();
    let (old, trials) = scores(0.3, 3);
    let (new, _) = scores(2.0, 4);
    place.write("old.txt", &old);
    // The order of lines does not matter.
    let reversed: String = new.lines().rev().map(|line| format!("{line}\n")).collect();
    place.write("new.txt", &reversed);
    let eval = ["eval", "old.txt", "new.txt", "--replicates", "60"];
    let report = place.json(&[&eval[..], &["--det", "det.svg"]].concat());
    assert_eq!(report["same_trials"], true);
    let [first, second] = [0usize, 1].map(|i| &report["systems"][i]);
    assert_eq!((&first["name"], &second["name"]), (&"old".into(), &"new".into()));
    let curve = Curve::new(trials).unwrap();
    assert!(near(&first["eer"], curve.eer().rate) && first["eer_difference_ci95"].is_null());
    let high = second["eer_difference_ci95"][1].as_f64().unwrap();
    assert!(high < 0.0, "the second system is better: {report}");
    let alone = place.json(&["eval", "new.txt", "--replicates", "60"]);
    assert_eq!(alone["min_dcf"], second["min_dcf"]);
    let svg = std::fs::read_to_string(place.path("det.svg")).unwrap();
    assert!(svg.contains("old: EER") && svg.contains("new: EER"), "{svg}");
    let text = place.ok(&[&eval[..], &["--name", "A", "--name", "B"]].concat());
    assert!(text.contains("EER of B minus that of A: -") && text.contains("min Cllr"), "{text}");

    // Trials that differ are no error, but have no interval of the difference.
    let fewer: String = old.lines().skip(2).map(|line| format!("{line}\n")).collect();
    place.write("fewer", &fewer);
    let ran = place.run(&["eval", "new.txt", "fewer", "--replicates", "30", "--json"]);
    assert!(
        ran.code == 0
            && ran.err.contains("the trials differ: 2 of new.txt are not in fewer, 0 of fewer"),
        "{}",
        ran.err
    );
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["same_trials"], false);
    assert!(report["systems"][1]["eer_difference_ci95"].is_null(), "{report}");
    let wrong = old.replacen(" 1\n", " 0\n", 1);
    place.write("wrong", &wrong);
    let wanted = ["wrong:1: trial s00-0 s00-1 is nontarget here and target in old.txt"];
    place.fails(&["eval", "old.txt", "wrong"], &wanted);
    let few = ["eval", "old.txt", "new.txt", "--name", "A"];
    place.ends(2, &few, &["--name: 1 names", "--help tells"]);
    place.model("m.safetensors");
    place.ends(
        2,
        &["eval", "old.txt", "new.txt", "--save-threshold", "m.safetensors"],
        &["--save-threshold is for one score file"],
    );
    place.ends(2, &["eval", "old.txt", "new.txt", "--det", "x.csv"], &["x.csv", "write .svg"]);
    let ran = place.run(&["eval", "old.txt", "--replicates", "10"]);
    let wanted = "warning: no interval: 10 resamplings are too few, 20 are needed";
    assert!(ran.code == 0 && ran.err.contains(wanted), "{}", ran.err);
}

#[test]
fn many_systems_have_one_table_and_one_drawing() {
    let place = Place::make();
    let names: Vec<String> = (0..18).map(|i| format!("system{i}")).collect();
    for (i, name) in names.iter().enumerate() {
        place.write(name, &scores(0.2 + 0.1 * i as f64, 7).0);
    }
    let eval = |count: usize, more: &[&'static str]| -> Vec<&str> {
        let files = names[..count].iter().map(String::as_str);
        ["eval", "--replicates", "0"].into_iter().chain(files).chain(more.iter().copied()).collect()
    };
    for count in [9, 18] {
        let plain = place.ok(&eval(count, &[]));
        let ran = place.run(&eval(count, &["--det", "det.svg"]));
        assert_eq!((ran.code, ran.out), (0, plain.clone()), "{}", ran.err);
        assert_eq!(ran.err.contains("the first 16 of 18 systems are drawn"), count == 18);
        let svg = std::fs::read_to_string(place.path("det.svg")).unwrap();
        for (i, name) in names[..count].iter().enumerate() {
            assert!(plain.contains(name), "{plain}");
            assert_eq!(svg.contains(&format!("{name}: EER")), i < 16, "{name}");
        }
        // Without intervals there are no heads of them either.
        assert!(!plain.contains("interval"), "{plain}");
    }
    let text = place.ok(&["eval", "system0", "system9", "--replicates", "40"]);
    assert!(text.contains("EER 95 % interval") && text.contains("interval(0.01)"), "{text}");
}

#[test]
fn probes_are_identified() {
    let place = Place::make();
    // Probe p finds its model, q finds it second, r and t are not enrolled.
    place.write(
        "scores",
        "m p 0.9 1\nn p 0.2 0\nm q 0.6 0\nn q 0.5 1\nm r 0.7 0\nn r 0.1 0\nm t 0.3 0\n",
    );
    let ran = place.run(&["eval", "scores", "--identification", "--json"]);
    assert!(ran.code == 0 && ran.err.contains("1 of 4 probes have no score"), "{}", ran.err);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&report["mated"], &report["non_mated"]), (&2.into(), &2.into()));
    assert_eq!((&report["cmc"]["1"], &report["cmc"]["5"]), (&0.5.into(), &1.0.into()));
    let strict = &report["open_set"][3];
    assert_eq!((&strict["threshold"], &strict["fnir"]), (&0.9.into(), &0.5.into()));
    let text = place.ok(&["eval", "scores", "--identification"]);
    assert!(text.contains("2 mated, 2 not; 2 models") && text.contains("FNIR at FPIR"), "{text}");
    place.write("mated", "m p 0.9 1\n");
    let report = place.json(&["eval", "mated", "--identification"]);
    assert!(report["open_set"].is_null(), "{report}");
    place.write("strangers", "m p 0.9 0\n");
    place.fails(&["eval", "strangers", "--identification"], &["strangers: ", "need target trials"]);
    for option in [&["--llr"][..], &["--det", "x.svg"], &["--p-target", "0.1"]] {
        let args = [&["eval", "scores", "--identification"][..], option].concat();
        assert_eq!(place.run(&args).code, 2, "{option:?}");
    }
}

#[test]
fn scores_without_information_and_without_rates() {
    let place = Place::make();
    place.write("constant", "a b 0 1\na c 0 0\na d 0 0\n");
    let report = place.json(&["eval", "constant", "--llr", "--replicates", "0"]);
    assert_eq!((&report["eer"], &report["min_dcf"]["0.05"]), (&0.5.into(), &1.0.into()));
    assert!(near(&report["cllr"], 1.0) && near(&report["min_cllr"], 1.0), "{report}");
    assert!(near(&report["act_dcf"]["0.01"], 1.0), "{report}");
    place.write("infinite", "a b inf 1\na c inf 0\na d -inf 0\n");
    let report = place.json(&["eval", "infinite", "--llr", "--replicates", "0"]);
    assert!(report["cllr"].is_null() && report["min_cllr"].is_number(), "{report}");
    for (text, wanted) in
        [("a b 0.5 1\n", "1 targets and 0 nontargets"), ("a c 0.5 0\n", "0 targets and 1")]
    {
        place.write("one", text);
        place.fails(&["eval", "one"], &["one: ", wanted]);
        place.fails(&["eval", "constant", "one"], &["one: ", wanted]);
    }
}
