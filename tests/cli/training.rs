//! `revox train` from recipe to model, interrupted and resumed.

use std::time::{Duration, Instant};

use crate::Place;

pub const RECIPE: &str = r#"
seed = 3
[data]
frames = 50
threads = 1
speeds = [1.0, 1.1]
[data.synth]
out = "corpus"
speakers = 4
dev_speakers = 4
utterances = 4
seconds = 1.0
[augment.spec]
[model]
name = "resnet10"
width = 2
mels = 24
embedding_dim = 8
[margin]
initial = 0.0
last = 0.2
increase_start_epoch = 2
fix_start_epoch = 3
[schedule]
initial_lr = 0.05
final_lr = 0.01
warm_up_epochs = 1
scale_ratio = 1.0
[train]
epochs = 3
batch_size = 4
"#;

fn place() -> Place {
    let place = Place::make();
    place.write("r.toml", RECIPE);
    place
}

/// The recipe for a corpus that is there already.
fn recipe_of_corpus() -> String {
    let (before, synth) = RECIPE.split_once("[data.synth]").unwrap();
    let (_, after) = synth.split_once("[augment").unwrap();
    let lists = "[data]\ntrain = \"corpus/train\"\ndev = \"corpus/dev\"\n";
    format!("{}[augment{after}", before.replace("[data]\n", lists))
}

fn model(place: &Place, run: &str) -> Vec<u8> {
    std::fs::read(place.path(run).join("model.safetensors")).unwrap()
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
    // Two checkpoints: the newest, and the one before by its step.
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
    // The pasted line works, the lock is a recipe, and the folder is not written into again.
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
    let before = model(&place, "runs/r");
    place.ok(&["train", "r.toml", "--resume", "--quiet"]);
    assert!(before == model(&place, "runs/r"), "resuming a finished run changed it");
    // Another seed: another model.
    place.ok(&["train", "r.toml", "--out", "seed", "--quiet", "--seed", "4"]);
    assert!(bits("runs/r") != bits("seed"));
}

#[test]
#[cfg(unix)]
fn ctrl_c_in_mid_epoch_loses_nothing() {
    interrupted_is_uninterrupted(&[]);
}

/// With states in 8 bits, small as the tensors are.
#[test]
#[cfg(unix)]
fn ctrl_c_loses_no_8_bit_state() {
    for optimizer in ["sgd8bit", "adamw8bit"] {
        let kind = format!("optimizer.kind={optimizer}");
        interrupted_is_uninterrupted(&["--set", &kind, "--set", "optimizer.states.min_size=8"]);
    }
}

/// Through a quantizer, stage by stage.
#[test]
#[cfg(unix)]
fn ctrl_c_loses_no_stage_of_a_quantization() {
    let place = place();
    place.ok(&["train", "r.toml", "--out", "first", "--quiet", "--set", "train.epochs=1"]);
    let verb = ["quantize", "first/model.safetensors", "--recipe", "r.toml", "--bits", "2"];
    let changes = [
        "quantize.small_layers=fewer-bits",
        "quantize.stages=3",
        "quantize.order=front",
        "quantize.refresh_every=2",
    ];
    for update in ["lloyd", "frozen-mean", "frozen-gradient"] {
        let update = format!("quantize.update={update}");
        let sets: Vec<&str> =
            changes.iter().chain([&update.as_str()]).flat_map(|c| ["--set", c]).collect();
        let quantize = |out: &str| -> Vec<String> {
            let all =
                [&verb[..], &["-o", out, "--quiet", "--set", "data.passes=6"], &sets].concat();
            all.into_iter().map(str::to_owned).collect()
        };
        let whole = quantize("whole.q");
        place.ok(&whole.iter().map(String::as_str).collect::<Vec<_>>());
        let parts = quantize("parts.q");
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        // The folder that nobody has named stays there as long as it is needed.
        if interrupt(&place, &parts, "parts.run") {
            assert!(
                place.path("parts.run/checkpoint.safetensors").exists()
                    && !place.path("parts.q").exists()
            );
            place.fails(&parts, &["parts.run", "--resume"]);
            place.ok(&[&parts[..], &["--resume"]].concat());
        }
        let read = |name: &str| std::fs::read(place.path(name)).unwrap();
        assert!(read("whole.q") == read("parts.q"), "interrupted and resumed = uninterrupted");
        for gone in ["whole.run", "parts.run"] {
            assert!(!place.path(gone).exists());
        }
        for output in ["whole.q", "parts.q"] {
            std::fs::remove_file(place.path(output)).unwrap();
        }
    }
}

/// Runs a command and interrupts it when its folder shows that it is under way; false if it was
/// done before.
#[cfg(unix)]
fn interrupt(place: &Place, command: &[&str], run: &str) -> bool {
    let mut child = place
        .command(command)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !place.path(run).join("recipe.lock.toml").exists()
        && begun.elapsed() < Duration::from_secs(60)
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap()
        .success();
    let status = child.wait().unwrap();
    let ran = crate::finish(child.wait_with_output().unwrap());
    if interrupted && status.code() == Some(130) {
        assert!(
            ran.err.contains("--resume") && ran.err.contains("checkpoint.safetensors"),
            "{}",
            ran.err
        );
        assert!(ran.out.is_empty());
        return true;
    }
    assert_eq!(status.code(), Some(0), "{}", ran.err); // the run was faster than the signal
    false
}

#[cfg(unix)]
fn interrupted_is_uninterrupted(changes: &[&str]) {
    let place = place();
    let longer = [&["--set", "data.passes=6", "--quiet"], changes].concat();
    let args = |extra: &[&'static str]| -> Vec<&str> {
        [&["train", "r.toml"][..], extra, &longer].concat()
    };
    place.ok(&args(&["--out", "whole"]));
    if interrupt(&place, &args(&["--out", "parts"]), "parts") {
        place.ok(&args(&["--out", "parts", "--resume"]));
    }
    assert!(
        model(&place, "whole") == model(&place, "parts"),
        "interrupted and resumed = uninterrupted"
    );
    let lines = |run: &str| {
        std::fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap().lines().count()
    };
    assert_eq!((lines("whole"), lines("parts")), (3, 3));
}

#[test]
#[cfg(unix)]
fn ctrl_c_while_synthesizing_leaves_nothing() {
    let place = place();
    let many = ["synth", "big", "--speakers", "500", "--utterances", "20"];
    let mut child = place.command(&many).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while place.list(".").len() < 2 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(place.list("."), ["r.toml"]);
}

/// A limit on the size of files stands in for a full disk: the write of the first checkpoint fails
/// half-way.
#[test]
#[cfg(unix)]
fn a_disk_that_fills_up_while_training_is_named_and_leaves_nothing_half_written() {
    let place = place();
    place.ok(&[
        "synth",
        "corpus",
        "--speakers",
        "4",
        "--dev-speakers",
        "4",
        "--utterances",
        "4",
        "--seconds",
        "1.0",
    ]);
    place.write("r.toml", &recipe_of_corpus());
    let script = format!(
        "trap '' XFSZ; ulimit -f 16; exec '{}' train r.toml --out full --quiet",
        env!("CARGO_BIN_EXE_revox")
    );
    let limited = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(place.dir.path())
        .output();
    let Ok(limited) = limited else {
        eprintln!("skipped: no bash here to set the limit");
        return;
    };
    let ran = crate::finish(limited);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.err.contains("full/checkpoint.safetensors: cannot write")
            && !ran.err.contains("panicked"),
        "{}",
        ran.err
    );
    assert_eq!(place.list("full"), ["recipe.lock.toml"]);
    // With room again the same command works.
    place.ok(&["train", "r.toml", "--out", "full", "--quiet"]);
}

#[test]
fn recipes_corpora_and_checkpoints_that_do_not_fit() {
    let place = place();
    place.write("typo.toml", &RECIPE.replace("batch_size", "batchsize"));
    place.fails(&["train", "typo.toml"], &["typo.toml:31: unknown field `batchsize`"]);
    place.fails(&["train", "r.toml", "--set", "train.epochs=0"], &["train.epochs = 0"]);
    place.fails(
        &["train", "r.toml", "--resume", "--out", "none"],
        &["none/checkpoint.safetensors: no checkpoint"],
    );
    place.ok(&[
        "train",
        "r.toml",
        "--out",
        "run",
        "--quiet",
        "--set",
        "train.epochs=1",
        "--set",
        "margin.fix_start_epoch=2",
    ]);
    let resume = |set: &str| {
        place.fails(
            &["train", "r.toml", "--out", "run", "--resume", "--set", set],
            &["run/checkpoint.safetensors"],
        )
    };
    resume("train.epochs=2");
    resume("model.width=4");
    resume("model.name=resnet18");
    // What differs is named with both values, and what cannot be accepted too.
    place.fails(
        &["train", "r.toml", "--out", "run", "--resume", "--set", "model.width=4"],
        &["belongs to another recipe", "model.width = 4", "2"],
    );
    let whole = std::fs::read(place.path("run/checkpoint.safetensors")).unwrap();
    std::fs::write(place.path("run/checkpoint.safetensors"), &whole[..whole.len() / 3]).unwrap();
    place.fails(
        &["train", "r.toml", "--out", "run", "--resume"],
        &["run/checkpoint.safetensors: not a readable checkpoint"],
    );
}

#[test]
fn broken_training_corpora() {
    let place = place();
    place.ok(&[
        "synth",
        "corpus",
        "--speakers",
        "4",
        "--dev-speakers",
        "4",
        "--utterances",
        "4",
        "--seconds",
        "1.0",
    ]);
    place.write("r.toml", &recipe_of_corpus());
    let original = std::fs::read_to_string(place.path("corpus/train/utt2spk")).unwrap();
    let second = original.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let without: String =
        original.lines().filter(|l| !l.starts_with(&second)).map(|l| format!("{l}\n")).collect();
    place.write("corpus/train/utt2spk", &without);
    place.fails(&["train", "r.toml"], &["wav.scp:2:", &second, "no speaker"]);
    place.write("corpus/train/utt2spk", &original);
    // A file that breaks off while training: named with its line; no model is left behind.
    let wav = place.path("corpus/train/wav/s00001").join("s00001-0002.wav");
    let bytes = std::fs::read(&wav).unwrap();
    std::fs::write(&wav, &bytes[..bytes.len() / 2]).unwrap();
    place.fails(
        &["train", "r.toml", "--out", "cut"],
        &["corpus/train/wav.scp:7:", "s00001-0002.wav", "promises"],
    );
    assert!(!place.path("cut/model.safetensors").exists());
    // What was done before is saved, and the run can go on.
    let resume = ["train", "r.toml", "--out", "cut", "--resume"];
    place.fails(&resume, &["corpus/train/wav.scp:7:", "--resume"]);
    revox::audio::write_wav16(&wav, &[0.1; 100], 16000).unwrap();
    place.fails(&resume, &["the lists or audio files have changed", "data.train", "--accept"]);
    let accepted = [&resume[..], &["--accept", "data.train"]].concat();
    place.fails(&accepted, &["corpus/train/wav.scp:7:", "fewer than one frame"]);
    // A silent one is trained on, with a warning; so is a speaker with a single utterance.
    revox::audio::write_wav16(&wav, &[0.0; 16000], 16000).unwrap();
    let lone: String = original
        .lines()
        .enumerate()
        .map(|(i, l)| {
            if i == 0 {
                format!("{} lone\n", l.split(' ').next().unwrap())
            } else {
                format!("{l}\n")
            }
        })
        .collect();
    place.write("corpus/train/utt2spk", &lone);
    let ran = place.run(&["train", "r.toml", "--out", "warned", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains("`s00001-0002` is silent")
            && ran.err.contains("`lone` has a single utterance"),
        "{}",
        ran.err
    );
    place.write("corpus/train/utt2spk", &original);
    let trials = std::fs::read_to_string(place.path("corpus/dev/trials.txt")).unwrap();
    place.write("corpus/dev/trials.txt", &format!("{trials}1 nobody s00004-0001\n"));
    place.fails(&["train", "r.toml", "--out", "t"], &["trials.txt:", "unknown utterance `nobody`"]);
    place.fails(
        &["train", "r.toml", "--out", "t", "--set", "train.batch_size=1000"],
        &["trials.txt"],
    );
    place.write("corpus/dev/trials.txt", &trials);
    place.fails(
        &["train", "r.toml", "--out", "t", "--set", "train.batch_size=1000"],
        &["do not fill one batch"],
    );
}

#[test]
fn a_loss_that_is_not_a_number_stops_with_its_circumstances() {
    let place = place();
    // A learning rate that no network survives.
    let ran = place.run(&[
        "train",
        "r.toml",
        "--out",
        "nan",
        "--quiet",
        "--set",
        "schedule.initial_lr=100",
        "--set",
        "schedule.final_lr=100",
        "--set",
        "schedule.scale_ratio=10000",
        "--set",
        "loss.kind=softmax",
        "--set",
        "data.passes=20",
        "--set",
        "schedule.warm_up_epochs=0",
    ]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    for wanted in [
        "the loss is",
        "at step",
        "learning rate 1e6",
        "the checkpoint of step 0 is in nan",
        "the batch was: s0000",
    ] {
        assert!(ran.err.contains(wanted), "{wanted}: {}", ran.err);
    }
    assert!(!ran.err.contains("panicked"));
}

#[test]
fn a_checkpoint_of_another_optimizer_is_refused() {
    let place = place();
    let train = |optimizer: &'static str, extra: &[&'static str]| -> Vec<&'static str> {
        [&["train", "r.toml", "--out", "r", "--quiet", "--set", optimizer][..], extra].concat()
    };
    place.ok(&train("optimizer=sgd8bit", &[]));
    let metrics = std::fs::read_to_string(place.path("r/metrics.jsonl")).unwrap();
    assert_eq!(metrics.matches("\"skipped_steps\":0").count(), 3, "{metrics}");
    place.fails(
        &train("optimizer=adam8bit", &["--resume"]),
        &["another recipe", "optimizer.kind", "adam8bit", "sgd8bit"],
    );
    place.fails(
        &train("optimizer=adamw", &["--resume"]),
        &["checkpoint.safetensors", "optimizer.kind"],
    );
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

/// A reversible network trains to the same model whether it recomputes or keeps its activations,
/// interrupted or not; frames that Type II must pad.
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
    // The checkpoint is the same for both, and belongs to one type only.
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

/// Batches in parts: another run than one of whole batches, because of BatchNorm, resumed like any
/// other, and refused where it cannot be.
#[test]
fn batches_can_be_divided() {
    let place = place();
    let train = |out: &str, more: &[&str]| {
        place.ok(&[&["train", "r.toml", "--out", out, "-q"], more].concat())
    };
    train("whole", &[]);
    train("parts", &["--accumulate", "2"]);
    train("same", &["--set", "train.accumulate=2", "--devices", "0"]);
    assert!(model(&place, "parts") == model(&place, "same"));
    assert!(model(&place, "parts") != model(&place, "whole"));
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
    fails(&["--devices", "0,0"], &["device 0 twice"]);
    fails(&["--devices", "0,1"], &["backend flex has no device 1; there are: 0"]);
    assert_eq!(place.run(&["train", "r.toml", "--devices", "0", "--device", "0"]).code, 2);
}

#[cfg(feature = "flex")]
#[test]
fn convolutions_can_train_in_bf16() {
    let place = place();
    place.ok(&[
        "train",
        "r.toml",
        "--out",
        "f32",
        "-q",
        "--set",
        "train.epochs=1",
        "--precision",
        "f32",
    ]);
    let report = place.json(&[
        "train",
        "r.toml",
        "--out",
        "bf16",
        "-q",
        "--set",
        "train.epochs=1",
        "--precision",
        "bf16",
    ]);
    assert!(report["eer"].as_f64().is_some_and(|eer| eer < 0.6), "{report}");
    assert!(model(&place, "f32") != model(&place, "bf16"));
    // What is written is f32, and a run goes on in what it began with.
    let info = place.json(&["info", "bf16/model.safetensors"]);
    assert!(info["layers"].as_array().unwrap().iter().all(|l| l["bits"] == 32), "{info}");
    place.fails(
        &["train", "r.toml", "--out", "bf16", "--resume", "--set", "train.epochs=1"],
        &["belongs to another recipe"],
    );
    place.ok(&[
        "train",
        "r.toml",
        "--out",
        "bf16",
        "-q",
        "--resume",
        "--set",
        "train.epochs=1",
        "--precision",
        "bf16",
    ]);
    place.fails(
        &["train", "r.toml", "--out", "nd", "--precision", "bf16", "--backend", "ndarray"],
        &["does not compute in bf16"],
    );
}
