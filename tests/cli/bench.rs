//! `revox bench`.

use revox::train::OptimizerConfig;

use crate::Place;
use crate::recipe::{data, lists, model, rising, train};

#[test]
fn bench_optim_times_every_optimizer() {
    let place = Place::make();
    let help = place.ok(&["bench", "optim", "--help"]);
    assert!(
        help.trim_end().lines().last().unwrap().trim_start().starts_with("revox bench optim"),
        "{help}"
    );
    let small = ["bench", "optim", "--parameters", "5K,300", "--steps", "1"];
    let figures = place.json(&small);
    let figures = figures.as_array().unwrap();
    // Each size, and all tensors of ResNet34, has one figure of a copy and four of each optimizer.
    assert_eq!(figures.len(), 3 * (1 + 4 * OptimizerConfig::NAMES.len()));
    for figure in figures {
        assert!(figure["value"].as_f64() >= Some(0.0) && figure["backend"] == "flex", "{figure}");
        assert!(figure["unit"].is_string() && figure["threads"].as_u64() > Some(0), "{figure}");
    }
    let text = place.ok(&[&small[..], &["--optimizer", "sgd,sgd8bit"]].concat());
    assert!(
        text.contains("5000 parameters") && text.contains("sgd8bit") && !text.contains("adamw"),
        "{text}"
    );
    assert_eq!(place.run(&["bench", "optim", "--parameters", "0"]).code, 2);
    assert_eq!(place.run(&["bench", "optim", "--optimizer", "lion"]).code, 2);
    place.ends(2, &["bench", "optim", "--steps", "0"], &["--steps", "1 or more are wanted"]);
}

#[test]
fn bench_train_has_figures_and_report_makes_tables_of_them() {
    let place = Place::make();
    let small = [
        "bench",
        "train",
        "resnet10",
        "rev1-resnet10",
        "--batch",
        "2",
        "--frames",
        "24",
        "--steps",
        "1",
    ];
    let figures =
        place.json(&[&small[..], &["--optimizer", "sgd,sgd8bit", "--speakers", "10"]].concat());
    let names: Vec<&str> =
        figures.as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
    for name in [
        "train/resnet10/sgd/2x24",
        "train/rev1-resnet10/sgd8bit/2x24/rate",
        "train/resnet10/sgd8bit/2x24/peak",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    place.write("figures.json", &figures.to_string());
    let table = place.ok(&["bench", "report", "figures.json"]);
    assert!(table.contains("| rev1-resnet10 | sgd8bit | 2x24 | f32 | flex |"), "{table}");
    place.fails(&["bench", "report", "nothing.json"], &["nothing.json: cannot read"]);
    place.write("bad.json", "{\n\"a\": }");
    place.fails(&["bench", "report", "bad.json"], &["bad.json:2"]);
    place.ends(2, &["bench", "train", "resnet11"], &["no architecture `resnet11`"]);
    place.ends(2, &["bench", "train", "--batch", "1"], &["--batch", "2 or more are wanted"]);
}

#[test]
fn bench_embed_compares_the_runtime_with_burn() {
    let place = Place::make();
    let small = ["bench", "embed", "resnet10", "--frames", "24", "--runs", "1"];
    let chosen = ["--level", "portable", "--save", "models"];
    let figures = place.json(&[&small[..], &chosen].concat());
    let figure = |what: &str| {
        let name = format!("embed/resnet10/{what}");
        let all = figures.as_array().unwrap();
        all.iter().find(|f| f["name"] == name.as_str()).unwrap_or_else(|| panic!("{name}"))
    };
    for what in ["f32", "packed", "f32/held", "packed/file", "kmeans/cpu", "ratio"] {
        assert_eq!(figure(what)["backend"], "flex", "{what}");
    }
    for what in ["runtime/f32", "runtime/packed", "runtime/packed/peak", "runtime/ratio"] {
        assert_eq!(figure(what)["backend"], "portable", "{what}");
    }
    for what in ["int8", "int8/arena", "int8/of-floats", "int8/distance"] {
        assert_eq!(figure(&format!("runtime/{what}"))["backend"], "portable", "{what}");
    }
    assert_eq!(figure("rten")["backend"], "rten");
    let info = place.json(&["info", "models/resnet10-int8.safetensors"]);
    assert_eq!(info["activations"]["bits"], 8, "{info}");
    // The program counts its bytes, and the arena stays between passes.
    let value = |what: &str| figure(what)["value"].as_f64().unwrap();
    let told = value("runtime/packed/weights") + value("runtime/packed/arena");
    assert!(value("runtime/packed/held") >= told, "{told}");
    for (file, weights) in [("resnet10", "f32"), ("resnet10-packed", "codes")] {
        let model = format!("models/{file}.safetensors");
        place.ok(&["export", &model, "--weights", weights, "-o", "x.onnx"]);
    }
    place.write("figures.json", &figures.to_string());
    let table = place.ok(&["bench", "report", "figures.json"]);
    for weights in ["f32", "int8", "packed"] {
        let row = format!("| resnet10 | {weights} | portable |");
        assert!(table.contains(&row), "{table}");
    }
    let text = place.ok(&small);
    assert!(text.starts_with("Burn on flex, runtime with"), "{text}");
    assert!(text.contains("int8 ranges: synthetic speech"), "{text}");
    assert_eq!(place.run(&["bench", "embed", "--level", "mmx"]).code, 2);
    place.ends(2, &["bench", "embed", "--runs", "0"], &["--runs", "1 or more are wanted"]);
    place.ends(2, &["bench", "embed", "--bits", "9"], &["--bits", "1 to 8 bits"]);
}

#[test]
fn bench_data_tells_whether_steps_wait() {
    let place = Place::make();
    let sizes = ["--speakers", "3", "--dev-speakers", "2", "--utterances", "3", "--seconds", "0.8"];
    place.ok(&[&["synth", "corpus", "--quiet"][..], &sizes].concat());
    let recipe = [data(&lists("corpus")), model(16, 4), rising(1), train(2, "")].concat();
    place.write("r.toml", &recipe);
    place.write("both.toml", &(recipe + "[large_margin]\nframes = 60\nbatch_size = 6\n"));
    let bench = ["bench", "data", "r.toml", "--examples", "8"];
    let figures = |more: &[&str]| -> Vec<serde_json::Value> {
        let figures = place.json(&[&bench[..], more].concat());
        for figure in figures.as_array().unwrap() {
            let value = figure["value"].as_f64().unwrap();
            assert!(value > 0.0 && value.is_finite(), "{figure}");
        }
        figures.as_array().unwrap().clone()
    };
    let value = |figures: &[serde_json::Value], name: &str| {
        let found = figures.iter().find(|f| f["name"] == format!("data/{name}").as_str());
        found.and_then(|figure| figure["value"].as_f64())
    };
    let plain = figures(&["--no-step"]);
    // Of four stages three figures, two of all stages, and one of the loader.
    assert_eq!(plain.len(), 4 * 3 + 3, "{plain:?}");
    let stages = ["read", "decode", "augment", "features"];
    let shares = stages.iter().map(|stage| value(&plain, &format!("{stage}/share")).unwrap());
    assert!((shares.sum::<f64>() - 1.0).abs() < 1e-9, "{plain:?}");
    // A stage alone is faster than all of them.
    for (rate, of_all) in stages.iter().flat_map(|stage| {
        [((*stage).to_owned(), "example"), (format!("{stage}/core"), "example/core")]
    }) {
        assert!(value(&plain, &rate) >= value(&plain, of_all), "{rate}: {plain:?}");
    }
    assert!(plain.iter().all(|f| f["threads"] == 1 && f["backend"] == "cpu"), "{plain:?}");
    let whole = figures(&["--set", "data.threads=2"]);
    assert!(value(&whole, "step").is_some() && value(&whole, "device-features").is_none());
    let loader = whole.iter().find(|f| f["name"] == "data/loader").unwrap();
    assert_eq!(loader["threads"], 2);
    // The device's features are a figure of their own, and part of the step.
    let device = figures(&["--set", "data.features=device", "--set", "train.accumulate=2"]);
    let named = |name: &str| device.iter().find(|f| f["name"] == name).unwrap();
    assert_eq!(named("data/device-features")["backend"], "flex");
    assert_eq!(named("data/step")["unit"], "examples/s");
    // The last line is the verdict.
    let text = place.ok(&bench);
    let last = text.trim_end().lines().last().unwrap();
    let verdicts = [
        ("1 thread makes ", " times what steps take: they do not wait"),
        ("steps take ", " times what 1 thread makes: they wait (data.threads)"),
    ];
    assert!(verdicts.iter().any(|(a, b)| last.starts_with(a) && last.ends_with(b)), "{text}");
    let text = place.ok(&[&bench[..], &["--no-step"]].concat());
    assert!(text.trim_end().lines().last().unwrap().starts_with("data/loader"), "{text}");
    // The second phase is mentioned, or measured.
    let both = ["bench", "data", "both.toml", "--examples", "6", "--no-step"];
    let ran = place.run(&both);
    let note = "note: the second phase has crops of 60 frames: --large-margin measures it";
    assert!(ran.code == 0 && ran.err.contains(note), "{}", ran.err);
    let ran = place.run(&[&both[..], &["--large-margin"]].concat());
    assert!(ran.code == 0 && !ran.err.contains("second phase"), "{}", ran.err);
    let fails = |more: &[&str], wanted: &[&str]| {
        place.fails(&[&["bench", "data"][..], more].concat(), wanted);
    };
    // A recipe without a network is one for a training that begins with a model.
    let further = [data(&lists("corpus")), rising(1), train(2, "")].concat();
    place.write("further.toml", &further);
    fails(&["further.toml"], &["missing field `model`", "--init MODEL"]);
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/models/default/model.safetensors");
    place.ok(&["bench", "data", "further.toml", "--examples", "6", "--no-step", "--init", shipped]);
    fails(&["r.toml", "--large-margin"], &["r.toml: has no second phase"]);
    fails(&["r.toml", "--examples", "0"], &["at least one example"]);
    fails(&["none.toml"], &["none.toml: cannot read"]);
    fails(&["r.toml", "--set", "data.train=none"], &["none"]);
    fails(&["r.toml", "--set", "train.batch_size=1000"], &["9 training examples do not fill"]);
    std::fs::remove_file(place.path("corpus/train/wav/s00001/s00001-0002.wav")).unwrap();
    fails(&["r.toml", "--no-step"], &["corpus/train/wav.scp:", "s00001-0002.wav"]);
}

/// Runs every part of the script for GPUs on the CPU, with small sizes. PyTorch, the peer, is
/// hidden: this machine may or may not have it.
#[cfg(all(unix, feature = "flex", feature = "ndarray"))]
#[test]
fn the_script_for_gpus_measures_everything() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::make();
    std::fs::create_dir(place.path("bin")).unwrap();
    place.write("bin/python3", "#!/bin/sh\nexit 1\n");
    std::fs::set_permissions(place.path("bin/python3"), std::fs::Permissions::from_mode(0o755))
        .unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/gpu.sh");
    let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap());
    let run = || {
        let mut command = std::process::Command::new("bash");
        command
            .args([script, env!("CARGO_BIN_EXE_revox"), "gpu.json"])
            .current_dir(place.dir.path())
            .env("PATH", &path);
        command.envs([
            ("BACKEND", "flex"),
            ("BATCH", "2"),
            ("FRAMES", "24"),
            ("STEPS", "1"),
            ("PARAMETERS", "5K"),
        ]);
        command.envs([("NETWORKS", "resnet10 rev2-resnet10"), ("PRECISIONS", "f32 bf16")]);
        command.envs([("DEEP", "df-resnet32 rev1-df-resnet32"), ("DEEP_BATCH", "2")]);
        crate::finish(command.output().unwrap())
    };
    let ran = run();
    assert_eq!(ran.code, 0, "{}", ran.err);
    for row in [
        "| resnet10 | sgd | 2x24 | f32 |",
        "| resnet10 | sgd | 2x24 | bf16 |",
        "| rev2-resnet10 | sgd8bit |",
        "| rev1-df-resnet32 | sgd8bit |",
        "| adam8bit | 5000 |",
    ] {
        assert!(ran.out.contains(row), "{row}: {}", ran.out);
    }
    assert!(ran.err.contains("no torch") && !ran.err.contains("failed"), "{}", ran.err);
    assert!(place.ok(&["bench", "report", "gpu.json"]) == ran.out);
    let again = run();
    assert!(again.code == 1 && again.err.contains("gpu.json is there already"), "{}", again.err);
}

/// As the help and docs/files.md say.
#[test]
fn json_is_one_object_or_an_array_of_objects() {
    let place = Place::make();
    let memory = |networks: &[&str]| {
        let small = ["--width", "8", "--mels", "40", "--batch", "2", "--speakers", "5"];
        place.json(&[&["memory"][..], networks, &small].concat())
    };
    let zoo = place.json(&["zoo"]);
    let (several, one) = (memory(&["resnet10", "resnet18"]), memory(&["resnet10"]));
    for all in [&zoo, &several] {
        let all = all.as_array().unwrap_or_else(|| panic!("no array: {all}"));
        assert!(all.len() > 1 && all.iter().all(serde_json::Value::is_object), "{all:?}");
    }
    assert!(one.is_object() && place.json(&["doctor"]).is_object(), "{one}");
    let ran = place.run(&["info", "none", "--json"]);
    let failed: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert!(ran.code == 1 && failed["error"].is_string(), "{failed}");
    assert!(place.ok(&["zoo", "--help"]).contains("array"));
}
