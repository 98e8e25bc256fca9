//! A small model that decides where its score is clear, and a large one elsewhere.

use revox::audio::FbankConfig;
use revox::model_file::{Frontend, Header, Model};
use revox::scoring::{Calibration, Column, Fitted};
use revox::zoo::Architecture;
use serde_json::Value;

use crate::Place;

const UTTERANCES: usize = 6;
/// Frames of a second.
const FRAMES: usize = 98;

/// Bias and weight of each model's calibration.
const SMALL: (f64, f64) = (-50.0, 90.0);
const LARGE: (f64, f64) = (1000.0, -70.0);

fn arch(width: usize) -> Architecture {
    Architecture { width, mels: 40, embedding_dim: 16, ..Architecture::named("resnet10").unwrap() }
}

/// An untrained model with a calibration.
fn model(place: &Place, name: &str, width: usize, (bias, weight): (f64, f64), cosines: bool) {
    let arch = arch(width);
    let network = arch.init(&Default::default(), 7 + width as u64).unwrap();
    let fbank = FbankConfig { mels: 40, ..Default::default() };
    let mut header = Header::new(arch, Frontend { fbank, cmn: true });
    header.scoring.calibration = Some(Calibration {
        columns: vec![Column::Score],
        weights: vec![weight],
        bias,
        fitted: Fitted { prior: 0.01, cosines, ..Default::default() },
    });
    Model { header, network }.save(place.path(name), Default::default()).unwrap();
}

/// Two models, six recordings of a second, and all trials of them.
fn place() -> Place {
    let place = Place::make();
    model(&place, "s.safetensors", 2, SMALL, true);
    model(&place, "l.safetensors", 4, LARGE, true);
    let (mut list, mut trials) = (String::new(), String::new());
    for i in 0..UTTERANCES {
        place.wav(&format!("{i}.wav"), 1.0, 90.0 + 31.0 * i as f64);
        list += &format!("u{i} {i}.wav\n");
        for j in 0..i {
            trials += &format!("{} u{i} u{j}\n", (i + j + 1) % 2);
        }
    }
    place.write("wav.scp", &list);
    place.write("trials", &trials);
    place
}

/// Sides and scores of a file.
fn scores(place: &Place, name: &str) -> Vec<([String; 2], f64)> {
    let text = std::fs::read_to_string(place.path(name)).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        ([fields[0].to_owned(), fields[1].to_owned()], fields[2].parse().unwrap())
    };
    text.lines().map(line).collect()
}

/// The LLRs of one model alone, by `embed` and `score`.
fn alone(place: &Place, model: &str, (bias, weight): (f64, f64)) -> Vec<([String; 2], f64)> {
    place.ok(&["embed", model, "--wav-scp", "wav.scp", "-o", "e.safetensors"]);
    place.ok(&["score", "e.safetensors", "trials", "-o", "alone"]);
    let llrs = scores(place, "alone").into_iter();
    llrs.map(|(sides, score)| (sides, bias + weight * score)).collect()
}

const BOTH: &str = "s.safetensors:l.safetensors";
const CASCADE: [&str; 7] = ["score", "wav.scp", "trials", "--cascade", BOTH, "-o", "scores"];
const BAND: [&str; 2] = ["--band", "-1:1"];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn each_trial_has_the_score_of_the_model_that_decides() {
    let place = place();
    let small = alone(&place, "s.safetensors", SMALL);
    let large = alone(&place, "l.safetensors", LARGE);
    let mut sorted: Vec<f64> = small.iter().map(|(_, llr)| *llr).collect();
    sorted.sort_by(f64::total_cmp);
    // Between two LLRs, so that the nine decimals of scores decide nothing.
    let between = |i: usize| f64::midpoint(sorted[i - 1], sorted[i]);
    let (low, high) = (between(4), between(6));
    let band = format!("{low}:{high}");
    let report = place.json(&[&CASCADE[..], &["--band", &band]].concat());
    let found = scores(&place, "scores");
    let mut named = std::collections::BTreeSet::new();
    for (((sides, llr), small), large) in found.iter().zip(&small).zip(&large) {
        assert_eq!((sides, sides), (&small.0, &large.0));
        let is_unclear = low <= small.1 && small.1 < high;
        let wanted = if is_unclear { large.1 } else { small.1 };
        assert!((llr - wanted).abs() < 1e-6, "{sides:?}: {llr} {wanted}");
        named.extend(sides.iter().filter(|_| is_unclear));
    }
    assert_eq!((found.len(), &report["unclear"]), (15, &2.into()), "{report}");
    assert_eq!(report["band"], band);
    assert_eq!(report["small"]["embedded"], UTTERANCES, "{report}");
    assert_eq!(report["large"]["embedded"], named.len(), "{report}");

    let macs = |width: usize| arch(width).account(FRAMES).unwrap().macs() as f64;
    let cost = |name: &str, key: &str| number(&report[name][key]);
    let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
    near(cost("small", "macs_per_trial"), macs(2));
    near(cost("large", "macs_per_trial"), macs(4));
    near(cost("cascade", "macs_per_trial"), macs(2) + macs(4) * 2.0 / 15.0);
    let kept = (6.0 * macs(2) + named.len() as f64 * macs(4)) / 15.0;
    near(cost("cascade", "macs_per_trial_kept"), kept);

    assert!(report["large"]["eer"].is_null() && report["small"]["eer"].is_number(), "{report}");
    let compared = place.json(&[&CASCADE[..], &["--band", &band, "--compare"]].concat());
    assert!(compared["large"]["eer"].is_number(), "{compared}");
    for key in ["eer", "min_dcf", "macs_per_trial", "macs_per_trial_kept"] {
        assert_eq!(compared["cascade"][key], report["cascade"][key]);
    }
    assert_eq!(scores(&place, "scores"), found);
    // The rates are those of the file.
    let eval = place.json(&["eval", "scores", "--replicates", "0"]);
    assert!((number(&eval["eer"]) - number(&report["cascade"]["eer"])).abs() < 1e-9, "{eval}");
    let text = place.ok(&[&CASCADE[..], &["--band", &band]].concat());
    assert!(text.contains("billions a trial") && text.contains("cascade"), "{text}");
}

#[test]
fn a_band_that_was_chosen_can_be_given() {
    let place = place();
    let dev = ["--band-from", "trials", "--band-list", "wav.scp", "--loss", "0"];
    let report = place.json(&[&CASCADE[..], &dev].concat());
    let (chosen, band) = (&report["chosen"], report["band"].as_str().unwrap());
    assert_eq!(chosen["share"], report["share"]);
    assert!(number(&chosen["eer"]) <= number(&chosen["large_eer"]) + 1e-9, "{report}");
    for (key, of) in [("eer", "cascade"), ("small_eer", "small")] {
        assert!((number(&chosen[key]) - number(&report[of]["eer"])).abs() < 1e-9, "{report}");
    }
    let before = std::fs::read(place.path("scores")).unwrap();
    let again = place.json(&[&CASCADE[..], &["--band", band]].concat());
    assert!(std::fs::read(place.path("scores")).unwrap() == before);
    assert!(again["chosen"].is_null() && again["cascade"] == report["cascade"], "{again}");
    // Without labels there are scores and no rates.
    place.write("trials", "u0 u1\nu2 u1\n");
    let plain = place.json(&[&CASCADE[..], &["--band", "-inf:inf"]].concat());
    assert!(plain["cascade"]["eer"].is_null() && plain["share"] == 1.0, "{plain}");
}

#[test]
fn a_cascade_that_spares_nothing_is_warned_of() {
    let place = place();
    let warned = |models: &'static str| {
        let cascade = ["score", "wav.scp", "trials", "-o", "scores", "--cascade", models];
        let ran = place.run(&[&cascade[..], &BAND].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.err
    };
    assert!(!warned(BOTH).contains("multiplications"));
    let err = warned("l.safetensors:s.safetensors");
    for words in ["l.safetensors takes more multiplications than", "spares none"] {
        assert!(err.contains(words), "{words}: {err}");
    }
    assert!(warned("s.safetensors:s.safetensors").contains("as many multiplications as"));
}

#[test]
fn what_a_cascade_lacks_is_said() {
    let place = place();
    place.model("plain.safetensors");
    model(&place, "normalised.safetensors", 2, SMALL, false);
    let cascade = |models: &'static str, more: &[&'static str]| -> Vec<&'static str> {
        [&["score", "wav.scp", "trials", "-o", "scores", "--cascade", models], more].concat()
    };
    for (models, wanted) in [
        ("plain.safetensors:l.safetensors", ["plain.safetensors: ", "`revox calibrate`"]),
        ("s.safetensors:plain.safetensors", ["plain.safetensors: ", "`revox calibrate`"]),
        ("normalised.safetensors:l.safetensors", ["normalised.safetensors", "cosines"]),
        ("none.safetensors:l.safetensors", ["none.safetensors", "cannot read"]),
        ("x:y:z", ["SMALL:LARGE", "x:y:z"]),
    ] {
        place.fails(&cascade(models, &BAND), &wanted);
    }
    let ran = place.run(&cascade("s.safetensors", &BAND));
    assert!(ran.code == 2 && ran.err.contains("SMALL:LARGE"), "{}", ran.err);
    place.ends(2, &cascade(BOTH, &[]), &["--band LOW:HIGH", "--band-from TRIALS"]);
    // Embeddings are no recordings, whatever their form.
    place.ok(&["embed", "s.safetensors", "--wav-scp", "wav.scp", "-o", "e.safetensors"]);
    std::fs::copy(place.path("e.safetensors"), place.path("e")).unwrap();
    place.ok(&["embed", "s.safetensors", "--wav-scp", "wav.scp", "-o", "e.npz"]);
    place.ok(&["embed", "s.safetensors", "--wav-scp", "wav.scp", "-o", "e.ark"]);
    for name in ["e.safetensors", "e", "e.npz", "e.ark", "s.safetensors"] {
        let cascade = ["score", name, "trials", "-o", "scores", "--cascade", BOTH];
        place
            .fails(&[&cascade[..], &BAND].concat(), &[name, "is no list of recordings", "wav.scp"]);
        let dev = ["--band-from", "trials", "--band-list", name];
        place.fails(&[&CASCADE[..], &dev].concat(), &[name, "is no list of recordings"]);
    }
    let npz = ["score", "wav.scp", "trials", "-o", "scores.npz", "--cascade", BOTH];
    place.fails(&[&npz[..], &BAND].concat(), &["scores.npz: no file of this ending"]);
    let onto_list = ["score", "wav.scp", "trials", "-o", "wav.scp", "--cascade", BOTH];
    place.fails(&[&onto_list[..], &BAND].concat(), &["wav.scp", "would be lost"]);
    place.write("unlabelled", "u0 u1\n");
    let dev = ["--band-from", "unlabelled", "--band-list", "wav.scp"];
    place.fails(&cascade(BOTH, &dev), &["unlabelled:1: has no label"]);
    place.write("one-kind", "1 u0 u1\n");
    let dev = ["--band-from", "one-kind", "--band-list", "wav.scp"];
    place.fails(&cascade(BOTH, &dev), &["one-kind: ", "1 targets and 0 nontargets"]);
    place.write("trials", "1 u0 u1\n0 u0 other\n");
    place.fails(&cascade(BOTH, &BAND), &["trials:2: unknown utterance `other`"]);
    assert!(!place.path("scores").exists());
    for more in [
        &["--band", "2:1"][..],
        &["--band", "-1:1", "--mean", "e.safetensors"],
        &["--band-from", "trials"],
        &["--band", "-1:1", "--loss", "0.1"],
        &["--band", "-1:1", "--band-list", "wav.scp"],
        &["--loss", "0.1"],
        &["--band", "-1:1", "--top-n", "5"],
    ] {
        assert_eq!(place.run(&cascade(BOTH, more)).code, 2, "{more:?}");
    }
    // Without --cascade its other options have nothing to do.
    for more in [&BAND[..], &["--compare"], &["--compare", "--mean", "e.safetensors"]] {
        let bare = [&["score", "e.safetensors", "trials", "-o", "scores"], more].concat();
        assert_eq!(place.run(&bare).code, 2, "{more:?}");
    }
}
