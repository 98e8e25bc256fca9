//! `revox train` from recipe to model.

use crate::Place;
use crate::recipe::{data, lists, model, rising, train};

/// Speeds at which utterances are played.
pub const SPEEDS: &str = "speeds = [1.0, 1.1]\n";

/// A corpus that is made first, of 16 utterances to train on.
const SYNTH: &str = "[data.synth]\nout = \"corpus\"\nspeakers = 4\ndev_speakers = 4\n\
                     utterances = 4\nseconds = 1.0\n";

/// Everything but the data.
fn without_data() -> String {
    ["[augment.spec]\n".to_owned(), model(24, 8), rising(2), train(3, "")].concat()
}

/// A recipe that makes its corpus.
pub fn recipe() -> String {
    [data(SPEEDS), SYNTH.to_owned(), without_data()].concat()
}

/// The recipe for a corpus that is there already.
pub fn recipe_of_corpus() -> String {
    data(&(lists("corpus") + SPEEDS)) + &without_data()
}

/// A place with the recipe `r.toml`.
pub fn place() -> Place {
    let place = Place::make();
    place.write("r.toml", &recipe());
    place
}

/// The model file of a run.
pub fn made(place: &Place, run: &str) -> Vec<u8> {
    std::fs::read(place.path(run).join("model.safetensors")).unwrap()
}

#[test]
fn a_warm_up_beyond_the_end_is_told_of() {
    let place = place();
    let sets = ["train.epochs=1", "margin.increase_start_epoch=1", "margin.fix_start_epoch=1"];
    let train = |out: &str, warm_up: &str| {
        let mut words = vec!["train", "r.toml", "--quiet", "--out", out, "--set", warm_up];
        sets.iter().for_each(|set| words.extend(["--set", set]));
        let ran = place.run(&words);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.err
    };
    let wanted = "warning: the learning rate warms up for 4 epochs, in a training of 1 epoch: it \
                  does not reach schedule.initial_lr (schedule.warm_up_epochs)";
    let told = train("short", "schedule.warm_up_epochs=4");
    assert!(told.contains(wanted), "{told}");
    let told = train("long", "schedule.warm_up_epochs=1");
    assert!(!told.contains("warms up"), "{told}");
}

#[test]
fn a_run_leaves_model_metrics_recipe_checkpoint_and_curve() {
    let place = place();
    let out = place.ok(&["train", "r.toml", "--quiet"]);
    assert!(
        out.contains("dev EER")
            && out.contains("95 % interval")
            && out.contains("revox compare runs/r/model.safetensors"),
        "{out}"
    );
    // The newest checkpoint and the one before it, which has its step in its name.
    let (older, files): (Vec<String>, Vec<String>) =
        place.list("runs/r").into_iter().partition(|name| name.starts_with("checkpoint-"));
    assert_eq!(
        files,
        [
            "checkpoint.safetensors",
            "det.svg",
            "metrics.jsonl",
            "model.safetensors",
            "recipe.lock.toml"
        ]
    );
    assert_eq!(older.len(), 1, "{older:?}");
    let metrics = std::fs::read_to_string(place.path("runs/r/metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        metrics.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines
            .iter()
            .all(|l| l["eer"].as_f64().unwrap() <= 1.0 && l["loss"].as_f64().unwrap() > 0.0)
    );
    assert_eq!((lines[0]["margin"].as_f64(), lines[2]["margin"].as_f64()), (Some(0.0), Some(0.2)));
    // The printed command works, the lock file is a recipe, and the folder is not reused.
    let line = out.lines().find(|l| l.starts_with("try")).unwrap();
    let words: Vec<&str> = line.split_whitespace().skip(2).collect();
    assert!(place.ok(&words).contains("score"));
    place.fails(&["train", "r.toml"], &["runs/r", "holds a run already", "--resume"]);
    let lock = place.ok(&["train", "runs/r/recipe.lock.toml", "--out", "again", "--quiet"]);
    assert!(lock.contains("dev EER"));
    // Same seed, same data: the same model, whatever the number of loader threads.
    place.ok(&["train", "r.toml", "--out", "threads", "--quiet", "--set", "data.threads=3"]);
    let values = |run: &str| {
        revox::model_file::read_safetensors(&place.path(run).join("model.safetensors")).unwrap().0.0
    };
    let bits = |run: &str| -> Vec<u32> {
        values(run)
            .iter()
            .flat_map(|(_, d)| d.iter::<f32>().map(f32::to_bits).collect::<Vec<_>>())
            .collect()
    };
    assert!(bits("runs/r") == bits("threads"), "loader threads changed the result");
    // The run can be resumed when it is done: nothing changes.
    let before = made(&place, "runs/r");
    place.ok(&["train", "r.toml", "--resume", "--quiet"]);
    assert!(before == made(&place, "runs/r"), "resuming a finished run changed it");
    // Another seed: another model.
    place.ok(&["train", "r.toml", "--out", "seed", "--quiet", "--seed", "4"]);
    assert!(bits("runs/r") != bits("seed"));
}

#[test]
fn early_stopping_stops_and_averaging_averages() {
    let place = place();
    // Nothing is learned at this rate, so the dev EER soon stops improving.
    let frozen = [
        "--set",
        "schedule.initial_lr=1e-9",
        "--set",
        "schedule.final_lr=1e-9",
        "--set",
        "train.epochs=30",
        "--set",
        "train.patience=2",
    ];
    let report =
        place.json(&[&["train", "r.toml", "--out", "early", "--quiet"][..], &frozen].concat());
    let (epochs, best) =
        (report["epochs"].as_u64().unwrap(), report["best_epoch"].as_u64().unwrap());
    assert!(epochs < 30 && epochs == best + 2, "{report}");
    // The model is the best epoch's, and says so: 4 steps an epoch.
    assert_eq!(place.json(&["info", "early/model.safetensors"])["training"]["steps"], 4 * best);
    place.fails(
        &[
            "train",
            "r.toml",
            "--out",
            "x",
            "--set",
            "train.patience=1",
            "--set",
            "train.average_last=2",
        ],
        &["choose one"],
    );

    place.ok(&["train", "r.toml", "--out", "mean", "--quiet", "--set", "train.average_last=2"]);
    let bytes = std::fs::read(place.path("mean/checkpoint.safetensors")).unwrap();
    let checkpoint = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let model =
        revox::model_file::read_safetensors(&place.path("mean/model.safetensors")).unwrap().0;
    let mut differs = false;
    for (name, data) in &model.0 {
        let full =
            if name.starts_with("projection.") { name.clone() } else { format!("network.{name}") };
        let floats = |n: String| -> Vec<f32> {
            let view = checkpoint.tensor(&n).unwrap();
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let (sum, last) = (floats(format!("average.{full}")), floats(format!("model.{full}")));
        for ((m, s), l) in data.iter::<f32>().zip(sum).zip(last) {
            assert_eq!(m, s / 2.0, "{name}");
            differs |= m != l;
        }
    }
    assert!(differs, "the mean is not the last epoch");
}

/// A reversible network trains to the same model whether it recomputes or keeps its activations.
/// Type II has to pad the frames here.
#[test]
fn reversible_networks_train_like_their_taped_twins() {
    let place = place();
    let train = |name: &str, out: &str, more: &[&str]| {
        let model = format!("model.name={name}");
        let width =
            ["--set", "model.width=8", "--set", "data.frames=51", "--set", "train.epochs=2"];
        let margin = ["--set", "margin.fix_start_epoch=2"];
        place.ok(&[
            &["train", "r.toml", "--out", out, "--quiet", "--set", &model],
            &width[..],
            &margin,
            more,
        ]
        .concat())
    };
    let values = |run: &str| -> Vec<f32> {
        let file = place.path(run).join("model.safetensors");
        let tensors = revox::model_file::read_safetensors(&file).unwrap().0.0;
        tensors.iter().flat_map(|(_, d)| d.iter::<f32>().collect::<Vec<_>>()).collect()
    };
    for name in ["rev1-resnet10", "rev2-resnet10", "rev2-df-resnet32"] {
        let taped = format!("{name}-taped");
        assert!(train(name, name, &[]).contains("dev EER"));
        train(name, &taped, &["--set", "train.execution=taped"]);
        let (ours, twin) = (values(name), values(&taped));
        assert!(!ours.is_empty() && ours.iter().all(|x| x.is_finite()));
        let largest = ours.iter().zip(&twin).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(largest < 1e-3, "{name}: {largest}");
        let info = place.ok(&["info", &format!("{name}/model.safetensors")]);
        assert!(info.contains(name), "{info}");
    }
    // A checkpoint fits both executions but only one type.
    let resume = |set: &str| {
        let args =
            ["train", "r.toml", "--out", "rev1-resnet10", "--resume", "--set", "model.width=8"];
        place.fails(
            &[&args[..], &["--set", set]].concat(),
            &["rev1-resnet10/checkpoint.safetensors", "belongs to another recipe", "model.name"],
        );
    };
    resume("model.name=rev2-resnet10");
    resume("model.name=resnet10");
    place.fails(
        &[
            "train",
            "r.toml",
            "--out",
            "odd",
            "--set",
            "model.name=rev2-resnet10",
            "--set",
            "model.reversible.state=3",
        ],
        &["state = 3", "an even number is expected"],
    );
    place.fails(&["train", "r.toml", "--set", "train.execution=taped"], &["rev1-resnet10"]);
}

/// Training with divided batches differs from training with whole ones, because of BatchNorm.
#[test]
fn batches_can_be_divided() {
    let place = place();
    let train = |out: &str, more: &[&str]| {
        place.ok(&[&["train", "r.toml", "--out", out, "-q"], more].concat())
    };
    train("whole", &[]);
    train("parts", &["--accumulate", "2"]);
    train("same", &["--set", "train.accumulate=2", "--devices", "0"]);
    assert!(made(&place, "parts") == made(&place, "same"));
    assert!(made(&place, "parts") != made(&place, "whole"));
    let lock = std::fs::read_to_string(place.path("parts/recipe.lock.toml")).unwrap();
    assert!(lock.contains("accumulate = 2"), "{lock}");
    place.fails(&["train", "r.toml", "--out", "parts", "--resume"], &["belongs to another recipe"]);
    let fails = |more: &[&str], wanted: &[&str]| {
        place.fails(&[&["train", "r.toml", "--out", "bad"], more].concat(), wanted);
        assert!(!place.path("bad").exists());
    };
    fails(
        &["--accumulate", "3"],
        &["train.accumulate = 3: from 1 to half of train.batch_size = 4"],
    );
    fails(&["--accumulate", "0"], &["train.accumulate = 0"]);
    place.ends(2, &["train", "r.toml", "--devices", "0,0"], &["device 0 twice"]);
    fails(&["--devices", "0,1"], &["backend flex has no device 1; there are: 0"]);
    assert_eq!(place.run(&["train", "r.toml", "--devices", "0", "--device", "0"]).code, 2);
}

#[cfg(feature = "flex")]
#[test]
fn convolutions_can_train_in_fewer_bits() {
    let place = place();
    let train = |out: &str, more: &[&str]| {
        let all = ["train", "r.toml", "--out", out, "-q", "--set", "train.epochs=1"];
        place.json(&[&all[..], more].concat())
    };
    train("f32", &["--precision", "f32"]);
    for precision in ["bf16", "f16"] {
        let report = train(precision, &["--precision", precision]);
        assert!(report["eer"].as_f64().is_some_and(|eer| eer < 0.6), "{precision}: {report}");
        assert!(made(&place, "f32") != made(&place, precision));
        // Files hold f32, and a run must resume with the precision it began with.
        let info = place.json(&["info", &format!("{precision}/model.safetensors")]);
        assert!(info["layers"].as_array().unwrap().iter().all(|l| l["bits"] == 32), "{info}");
        place.fails(
            &["train", "r.toml", "--out", precision, "--resume", "--set", "train.epochs=1"],
            &["belongs to another recipe"],
        );
        train(precision, &["--resume", "--precision", precision]);
    }
    assert!(made(&place, "bf16") != made(&place, "f16"));
    for (precision, backend) in
        [("bf16", "ndarray"), ("f16", "ndarray"), ("tf32", "flex"), ("tf32", "ndarray")]
    {
        let wanted = format!("does not compute in {precision}: ");
        let out = format!("{precision}-on-{backend}");
        place.fails(
            &["train", "r.toml", "--out", &out, "--precision", precision, "--backend", backend],
            &[&wanted, "use --precision f32"],
        );
    }
}
