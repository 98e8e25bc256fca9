//! `revox quantize`: packed models from the command line, and their use.

mod refused;

use revox::model_file::update_header;
use revox::scoring::{Calibration, Column, Fitted};

use crate::Place;
use crate::recipe::{data, lists, train};
use crate::training::{SPEEDS, recipe};

/// A schedule without a warm-up.
const SCHEDULE: &str = "[schedule]\nwarm_up_epochs = 0\n";

/// A place with a trained model and the recipe it came from.
fn place() -> Place {
    let place = Place::make();
    place.write("r.toml", &recipe());
    place.ok(&[
        "train",
        "r.toml",
        "--quiet",
        "--out",
        "run",
        "--set",
        "train.epochs=1",
        "--set",
        "data.passes=3",
    ]);
    std::fs::copy(place.path("run/model.safetensors"), place.path("m.safetensors")).unwrap();
    let tune = [data(&(lists("corpus") + SPEEDS)), SCHEDULE.to_owned(), train(3, "")].concat();
    place.write("tune.toml", &tune);
    place.wav("a.wav", 1.0, 100.0);
    place.wav("b.wav", 1.0, 180.0);
    place
}

const SMALL: [&str; 2] = ["--set", "quantize.small_layers=fewer-bits"];

fn args<'a>(first: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    [&["quantize", "m.safetensors", "--quiet"], first, rest].concat()
}

#[test]
fn a_packed_model_is_used_like_any_other() {
    let place = place();
    let made = place.json(&args(&["--bits", "3", "-o", "q.safetensors"], &SMALL));
    let bytes = std::fs::metadata(place.path("q.safetensors")).unwrap().len();
    assert_eq!(made["bytes"].as_u64(), Some(bytes));
    assert!(made["ratio"].as_f64().unwrap() > 3.0, "{}", made["ratio"]);
    let info = place.json(&["info", "q.safetensors"]);
    assert_eq!(info["layers"], made["layers"]);
    let layers = info["layers"].as_array().unwrap();
    let layer = |name: &str| layers.iter().find(|l| l["name"] == name).unwrap();
    assert_eq!(
        (layer("seg_1.weight")["bits"].as_u64(), layer("seg_1.bias")["bits"].as_u64()),
        (Some(3), Some(32))
    );
    assert_eq!(layer("seg_1.weight")["scheme"], "kmeans");
    assert!(place.ok(&["info", "q.safetensors"]).contains("bits a weight"));
    assert!(place.json(&["compare", "q.safetensors", "a.wav", "b.wav"])["score"].is_number());
    for model in ["m", "q"] {
        let (file, out) = (format!("{model}.safetensors"), format!("{model}.e.safetensors"));
        place.ok(&["embed", &file, "--wav-scp", "corpus/dev/wav.scp", "-o", &out, "--quiet"]);
        place.ok(&[
            "score",
            &out,
            "corpus/dev/trials.txt",
            "-o",
            &format!("{model}.txt"),
            "--quiet",
        ]);
        place.ok(&["eval", &format!("{model}.txt")]);
    }
    let text = place.ok(&args(&["--bits", "4", "-o", "again.safetensors"], &SMALL));
    assert!(
        text.contains("seg_1.weight")
            && text.contains("everything else (f32)")
            && text.contains("x)"),
        "{text}"
    );
    // Without training nothing is random: the file is the same again.
    place.ok(&args(&["--bits", "4", "-o", "twice.safetensors"], &SMALL));
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("again.safetensors") == read("twice.safetensors"));
}

#[test]
fn every_method_trains_and_writes_the_output_only() {
    let place = place();
    let before = place.list(".");
    for (i, method) in [
        &["--bits", "2"][..],
        &["--bits", "2", "--set", "quantize.update=frozen-mean"],
        &["--bits", "2", "--set", "quantize.update=frozen-gradient"],
        &[
            "--bits",
            "2",
            "--set",
            "quantize.stages=3",
            "--set",
            "quantize.order=front",
            "--set",
            "quantize.restart_rate=true",
        ],
        &["--bits", "2", "--set", "train.average_last=2"],
        &["--method", "binary-static", "--set", "quantize.per_channel=true"],
        &[
            "--method",
            "binary-adaptive",
            "--set",
            "quantize.offset=true",
            "--set",
            "quantize.clip=2.0",
        ],
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("q{i}.safetensors");
        let made = place
            .json(&args(&["--recipe", "tune.toml", "-o", &out], &[method, &SMALL[..]].concat()));
        assert!(
            made["eer"].as_f64().unwrap() <= 1.0 && made["ratio"].as_f64().unwrap() > 4.0,
            "{method:?}: {made}"
        );
        assert!(made["training"]["steps"].as_u64().unwrap() > 0);
        assert!(place.json(&["compare", &out, "a.wav", "b.wav"])["score"].is_number());
        let mut wanted = before.clone();
        wanted.push(out.clone());
        wanted.sort();
        let mut now = place.list(".");
        now.sort();
        assert_eq!(now, wanted, "{method:?}");
        std::fs::remove_file(place.path(&out)).unwrap();
    }
    // The seed decides, and nothing else.
    let train = |out: &str, seed: &str| {
        place.ok(&args(
            &["--bits", "2", "--recipe", "tune.toml", "--seed", seed, "-o", out],
            &SMALL,
        ));
        std::fs::read(place.path(out)).unwrap()
    };
    assert!(train("1.safetensors", "1") == train("2.safetensors", "1"));
    assert!(train("1.safetensors", "1") != train("3.safetensors", "2"));
}

/// Mixed precision makes a file of the size asked for.
#[test]
fn targets_are_met_within_two_percent() {
    let place = place();
    let error = ["--set", "quantize.sensitivity.measure=error"];
    let mixed = |target: &str, out: &str, more: &[&str]| {
        let target = ["--method", "mixed", "--target-size", target, "-o", out];
        place.json(&args(&target, more))["bytes"].as_u64().unwrap()
    };
    let table = place.json(&args(&["--pareto", "sizes.svg"], &error));
    let points = table["points"].as_array().unwrap();
    let bytes = |p: &serde_json::Value| p["bytes"].as_u64().unwrap();
    let (least, most) = (bytes(&points[0]), bytes(&points[points.len() - 1]));
    assert!(points.len() > 20 && points.windows(2).all(|p| bytes(&p[0]) < bytes(&p[1])));
    assert!(std::fs::read_to_string(place.path("sizes.svg")).unwrap().contains("<svg"));
    for part in 1..10 {
        let target = least + (most - least) * part / 10;
        let made = mixed(&target.to_string(), "q.safetensors", &error);
        assert!(made <= target && made * 100 >= target * 98, "{made} bytes, {target} asked for");
    }
    // By Hessian, with training in stages. The size includes the header that training writes.
    let target = (least + most) / 2 + 2000;
    let hessian = [
        "--recipe",
        "tune.toml",
        "--set",
        "quantize.stages=3",
        "--set",
        "quantize.sensitivity.probes=3",
    ];
    let made = mixed(&target.to_string(), "h.safetensors", &hessian);
    assert!(made <= target && made * 100 >= target * 98, "{made} bytes, {target} asked for");
    for (target, wanted) in [("2kB", "cannot be reached"), ("10MB", "cannot be reached")] {
        let all =
            args(&["--method", "mixed", "--target-size", target, "-o", "x.safetensors"], &error);
        place.fails(&all, &[wanted, "this model's file has", "MB)"]);
    }
    assert!(!place.path("x.safetensors").exists());
}

/// Training further without a quantizer.
#[test]
fn a_model_is_trained_further() {
    let place = place();
    let first =
        place.json(&["train", "tune.toml", "--init", "m.safetensors", "--out", "more", "--quiet"]);
    assert_eq!(first["epochs"].as_u64(), Some(3));
    // The same recipe from random weights gives another model.
    let network = [
        "--set",
        "model.name=resnet10",
        "--set",
        "model.width=2",
        "--set",
        "model.mels=24",
        "--set",
        "model.embedding_dim=8",
    ];
    place.ok(&[&["train", "tune.toml", "--out", "new", "--quiet"][..], &network].concat());
    let read = |run: &str| std::fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(read("more") != read("new"));
    // A run cannot be resumed with another model to start from.
    place.ok(&[
        "train",
        "tune.toml",
        "--init",
        "m.safetensors",
        "--out",
        "more",
        "--quiet",
        "--resume",
    ]);
    place.fails(
        &[
            "train",
            "tune.toml",
            "--init",
            "new/model.safetensors",
            "--out",
            "more",
            "--quiet",
            "--resume",
        ],
        &["another recipe"],
    );
}

/// The learning rate at the end of each epoch, with a stage an epoch.
#[test]
fn stages_can_restart_the_learning_rate() {
    let place = place();
    let rates = |run: &str, restart: &str| -> Vec<f64> {
        let restart = format!("quantize.restart_rate={restart}");
        let stages =
            ["--set", "quantize.stages=3", "--set", "quantize.order=front", "--set", &restart];
        let tune = ["--recipe", "tune.toml", "--bits", "2", "-o", "q.safetensors", "--run", run];
        place.ok(&args(&tune, &[&SMALL[..], &stages].concat()));
        let lines = std::fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap();
        lines
            .lines()
            .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["lr"].as_f64().unwrap())
            .collect()
    };
    let (once, thrice) = (rates("once", "false"), rates("thrice", "true"));
    assert!(once.windows(2).all(|r| r[0] > 2.0 * r[1]), "{once:?}");
    assert!(thrice.iter().all(|r| r == &thrice[0]) && thrice[0] < once[1], "{thrice:?}, {once:?}");
}

#[test]
fn what_was_measured_before_is_said() {
    let place = Place::make();
    place.model("m.safetensors");
    let model = place.path("m.safetensors");
    let quantize = || {
        let all = ["quantize", "m.safetensors", "--bits", "4", "-o", "q.safetensors"];
        let ran = place.run(&[&all[..], &SMALL].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.err
    };
    let err = quantize();
    assert!(err.contains("thresholds in the packed model are those of the f32 model"), "{err}");
    let calibration = Calibration {
        columns: vec![Column::Score],
        weights: vec![9.0],
        bias: -1.5,
        fitted: Fitted { prior: 0.01, cosines: true, ..Fitted::default() },
    };
    update_header(&model, &model, |h| h.scoring.calibration = Some(calibration)).unwrap();
    let err = quantize();
    assert!(err.contains("thresholds and calibration in the packed model"), "{err}");
    update_header(&model, &model, |h| h.scoring.threshold_eer = None).unwrap();
    let err = quantize();
    assert!(err.contains("the calibration in the packed model is that of"), "{err}");
    update_header(&model, &model, |h| h.scoring.calibration = None).unwrap();
    let err = quantize();
    assert!(!err.contains("in the packed model"), "{err}");
}
