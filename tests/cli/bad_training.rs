//! Trainings that cannot be, or cannot go on: a clear message, and nothing half-written.

use crate::Place;
use crate::training::{place, recipe, recipe_of_corpus};

/// A place with a recipe and its corpus.
fn place_with_corpus() -> Place {
    let place = place();
    let sizes = ["--speakers", "4", "--dev-speakers", "4", "--utterances", "4", "--seconds", "1.0"];
    place.ok(&[&["synth", "corpus"][..], &sizes].concat());
    place.write("r.toml", &recipe_of_corpus());
    place
}

/// A limit on the size of files acts as a full disk: writing the first checkpoint fails half-way.
#[test]
#[cfg(unix)]
fn a_disk_that_fills_up_while_training_is_named_and_leaves_nothing_half_written() {
    let place = place_with_corpus();
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
    let typo = recipe().replace("batch_size", "batchsize");
    place.write("typo.toml", &typo);
    let line = 1 + typo.lines().position(|line| line.starts_with("batchsize")).unwrap();
    let wanted = format!("typo.toml:{line}: unknown field `batchsize`");
    place.fails(&["train", "typo.toml"], &[&wanted]);
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
    resume("train.batch_size=8");
    resume("model.width=4");
    resume("model.name=resnet18");
    // The error names what differs, with both values.
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
    let place = place_with_corpus();
    let original = std::fs::read_to_string(place.path("corpus/train/utt2spk")).unwrap();
    let second = original.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let without: String =
        original.lines().filter(|l| !l.starts_with(&second)).map(|l| format!("{l}\n")).collect();
    place.write("corpus/train/utt2spk", &without);
    place.fails(&["train", "r.toml"], &["wav.scp:2:", &second, "no speaker"]);
    place.write("corpus/train/utt2spk", &original);
    // A file that breaks off during the training is named with its line. No model is written.
    let wav = place.path("corpus/train/wav/s00001").join("s00001-0002.wav");
    let bytes = std::fs::read(&wav).unwrap();
    std::fs::write(&wav, &bytes[..bytes.len() / 2]).unwrap();
    place.fails(
        &["train", "r.toml", "--out", "cut"],
        &[
            "corpus/train/wav.scp:7:",
            "s00001-0002.wav",
            "promises",
            "data.tolerate = 0.001 allows none of 16 utterances",
        ],
    );
    assert!(!place.path("cut/model.safetensors").exists());
    // The steps before it are saved, and the run can be resumed.
    let resume = ["train", "r.toml", "--out", "cut", "--resume"];
    place.fails(&resume, &["corpus/train/wav.scp:7:", "--resume"]);
    revox::audio::write_wav16(&wav, &[0.1; 100], 16000).unwrap();
    place.fails(&resume, &["the lists or audio files have changed", "data.train", "--accept"]);
    let accepted = [&resume[..], &["--accept", "data.train"]].concat();
    place.fails(&accepted, &["corpus/train/wav.scp:7:", "fewer than one frame"]);
    // A silent file, a speaker with a single utterance and one of the dev set are warnings.
    revox::audio::write_wav16(&wav, &[0.0; 16000], 16000).unwrap();
    let lone: String = original
        .lines()
        .enumerate()
        .map(|(i, l)| {
            if i == 0 {
                format!("{} s00004\n", l.split(' ').next().unwrap())
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
            && ran.err.contains("`s00004` has a single utterance")
            && ran.err.contains("1 speaker of data.dev is in data.train"),
        "{}",
        ran.err
    );
    place.write("corpus/train/utt2spk", &original);
    // A dev file ends the run before its first step.
    let wav = place.path("corpus/dev/wav/s00004").join("s00004-0001.wav");
    let bytes = std::fs::read(&wav).unwrap();
    std::fs::write(&wav, &bytes[..bytes.len() / 2]).unwrap();
    let wanted = ["corpus/dev/wav.scp:", "promises", "allows none of 16 dev", "data.tolerate=0.2"];
    place.fails(&["train", "r.toml", "--out", "dev"], &wanted);
    assert!(!place.path("dev").exists());
    // If one may be left out, its trials are, and the rates say so.
    let tolerant = ["train", "r.toml", "--out", "dev", "--set", "data.tolerate=0.1"];
    let ran = place.run(&[&tolerant[..], &["--quiet", "--json"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let trials = std::fs::read_to_string(place.path("corpus/dev/trials.txt")).unwrap();
    let of_it = trials.lines().filter(|line| line.contains("s00004-0001")).count();
    assert!(of_it > 0 && ran.out.contains(&format!("\"trials_left_out\":{of_it}")), "{}", ran.out);
    let left_out = std::fs::read_to_string(place.path("dev/left-out.txt")).unwrap();
    assert!(left_out.contains("promises") && left_out.lines().count() == 1, "{left_out}");
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["skipped"], 1, "{told}");
    assert_eq!(told["left_out"], serde_json::json!([left_out.trim_end()]), "{told}");
    // A run that had ended still knows it.
    let ran = place.run(&[&tolerant[..], &["--quiet", "--json", "--resume"]].concat());
    assert!(ran.code == 0 && ran.out.contains("\"skipped\":1,"), "{}{}", ran.out, ran.err);
    std::fs::write(&wav, &bytes).unwrap();
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
        &["do not fill one batch", "--set train.batch_size="],
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
