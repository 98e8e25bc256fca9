//! Each verb on good input.

use crate::shared_or_skip;
use crate::{Place, arg};

#[test]
fn every_verb_has_help_that_ends_with_an_example() {
    let place = Place::make();
    let help = place.ok(&["--help"]);
    assert!(
        help.trim_end().ends_with("revox train recipes/quickstart.toml")
            && help.contains("this build has"),
        "{help}"
    );
    assert!(help.contains("--no-checksum"), "{help}");
    for verb in [
        "synth",
        "prepare",
        "fbank",
        "train",
        "embed",
        "score",
        "eval",
        "compare",
        "import",
        "info",
        "quantize",
        "memory",
        "bench",
        "doctor",
        "zoo",
        "completions",
        "man",
    ] {
        assert!(help.contains(verb), "{verb} is not in: {help}");
        let text = place.ok(&[verb, "--help"]);
        // Its own options come first, then the global ones, and no list of what each value means.
        let options = text.find("\nGlobal options:").unwrap();
        assert!(text.find("--backend").unwrap() > options && !text.contains("- flex:"), "{text}");
        let last = text.trim_end().lines().last().unwrap();
        assert!(last.trim_start().starts_with(&format!("revox {verb}")), "{verb}: {last}");
    }
    assert_eq!(place.run(&["nonsense"]).code, 2);
    assert_eq!(place.run(&["fbank"]).code, 2);
    assert_eq!(place.run(&["zoo", "--backend", "tpu"]).code, 2);
}

/// A reader that has seen enough (`revox zoo | head -1`) ends a short verb by SIGPIPE, without a
/// word.
#[test]
#[cfg(unix)]
fn a_closed_pipe_ends_short_verbs() {
    use std::os::unix::process::ExitStatusExt;
    let place = Place::make();
    for args in [&["zoo"][..], &["zoo", "--json"], &["--help"], &["train", "--help"], &["man"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = place.command(args).stdout(writer).output().unwrap();
        assert_eq!(
            (ended.status.signal(), ended.stderr.len()),
            (Some(13), 0),
            "{args:?}: {}",
            ended.status
        );
    }
}

#[test]
fn shells_and_man_get_their_files() {
    let place = Place::make();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.ok(&["completions", shell]);
        assert!(script.contains("revox") && script.contains("wav-scp"), "{shell}: {script}");
    }
    assert!(place.ok(&["man"]).starts_with(".ie") || place.ok(&["man"]).contains(".TH"));
    assert!(place.ok(&["man", "train"]).contains("resume"));
    place.fails(&["man", "trane"], &["no verb `trane`"]);
    place.ok(&["man", "--dir", "man1"]);
    let pages = place.list("man1");
    assert!(
        pages.contains(&"revox.1".into()) && pages.contains(&"revox-quantize.1".into()),
        "{pages:?}"
    );
}

#[test]
fn a_mean_is_stored_for_compare() {
    let place = Place::make();
    place.model("m.safetensors");
    (0..6).for_each(|i| place.wav(&format!("{i}.wav"), 1.0, 90.0 + 17.0 * f64::from(i)));
    let embed = |extra: &[&'static str]| -> Vec<&'static str> {
        [&["embed", "m.safetensors", "0.wav", "1.wav", "2.wav", "-o", "e.safetensors"], extra]
            .concat()
    };
    place.ok(&embed(&["--mean=centred.safetensors"]));
    let info = |model: &str| place.json(&["info", model]);
    assert!(info("m.safetensors")["scoring"]["embedding_mean"].is_null());
    let scoring = info("centred.safetensors")["scoring"].clone();
    assert_eq!(scoring["embedding_mean"].as_array().unwrap().len(), 16);
    // A threshold of scores without the mean would mean nothing.
    assert!(scoring["threshold_eer"].is_null(), "{scoring}");
    place.write("trials", "1 0 1\n");
    place.ok(&["score", "e.safetensors", "trials", "--mean", "e.safetensors", "-o", "scores"]);
    let scores = std::fs::read_to_string(place.path("scores")).unwrap();
    let wanted: f64 = scores.split_whitespace().nth(2).unwrap().parse().unwrap();
    let ran = place.run(&["compare", "centred.safetensors", "0.wav", "1.wav", "--json"]);
    let score =
        serde_json::from_str::<serde_json::Value>(&ran.out).unwrap()["score"].as_f64().unwrap();
    // The model holds the mean in f32.
    assert!((score - wanted).abs() < 1e-5, "{score} {wanted}");
    let ran = place.run(&["compare", "centred.safetensors", "0.wav", "1.wav"]);
    assert!(
        ran.out.contains("no decision") && ran.err.contains("--save-threshold"),
        "{} {}",
        ran.out,
        ran.err
    );
    place.ok(&embed(&["--mean"]));
    assert_eq!(info("m.safetensors")["scoring"], scoring);
    place.fails(&embed(&["--mean=0.wav"]), &["0.wav", "would be lost"]);
}

#[test]
fn zoo_lists_every_architecture() {
    let place = Place::make();
    let rows = place.json(&["zoo"]);
    assert_eq!(rows.as_array().unwrap().len(), 3 * revox::zoo::ZOO.len());
    let row = rows.as_array().unwrap().iter().find(|r| r["arch"] == "resnet34").unwrap().clone();
    assert_eq!(
        (row["parameters"].as_u64(), row["activation_bytes"].as_u64()),
        (Some(6_634_336), Some(4 * 15_568_000))
    );
    assert!(place.ok(&["zoo"]).contains("rev2-gemini-df-resnet237"));
    let row =
        rows.as_array().unwrap().iter().find(|r| r["arch"] == "rev2-resnet34").unwrap().clone();
    assert!(
        row["held_bytes"].as_u64() < Some(2 << 20)
            && row["activation_bytes"].as_u64() > Some(40 << 20),
        "{row}"
    );
}

#[test]
fn memory_accounts_counts_and_draws() {
    let place = Place::make();
    let args = [
        "memory",
        "rev1-resnet10",
        "--width",
        "8",
        "--mels",
        "40",
        "--batch",
        "4",
        "--speakers",
        "50",
    ];
    let report = place.json(&[&args[..], &["--measure", "--svg", "bars.svg"]].concat());
    let bytes = |key: &str| report[key].as_u64().unwrap();
    for key in ["weights", "gradients", "optimizer", "activations", "workspace"] {
        assert!(bytes(key) < bytes("peak"), "{key}: {report}");
    }
    assert!(bytes("measured_peak") > bytes("weights") + bytes("optimizer"), "{report}");
    assert!(
        report["baseline"]["activations"].as_u64() > Some(2 * bytes("activations")),
        "{report}"
    );
    let svg = std::fs::read_to_string(place.path("bars.svg")).unwrap();
    assert!(
        svg.starts_with("<svg") && svg.contains("rev1-resnet10") && svg.contains("workspace"),
        "{svg}"
    );
    let text = place.ok(&["memory", "rev2-resnet293", "rev2-df-resnet233", "--optimizer", "adamw"]);
    assert!(
        text.contains("GiB") && text.contains("times less") && text.contains("df-resnet233"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    place.fails(&["memory", "resnet18", "--svg", "x.png"], &["--svg x.png", "SVG"]);
    let small = place.json(&[&args[..], &["--optimizer", "adamw8bit"]].concat());
    let state = |report: &serde_json::Value| report["optimizer"].as_u64().unwrap();
    assert_eq!(
        (&small["optimizer_name"], &small["baseline"]["optimizer_name"]),
        (&"adamw8bit".into(), &"adamw".into())
    );
    assert!(state(&small) < state(&small["baseline"]), "{small}");
    let text = place.ok(&["memory", "resnet34", "--optimizer", "sgd8bit"]);
    assert!(text.contains("resnet34 8-bit"), "{text}");
    let taped = place.json(&[&args[..], &["--execution", "taped"]].concat());
    assert!(taped["activations"].as_u64() > Some(2 * bytes("activations")), "{taped}");
    place.fails(&["memory", "resnet18", "--execution", "taped"], &["rev1- and rev2-"]);
    place.fails(&["memory", "resnet17"], &["no architecture `resnet17`", "rev1-"]);
    place.fails(&["memory", "resnet18", "--batch", "1"], &["batch = 1: must be 2"]);
}

#[test]
fn doctor_tells_what_works() {
    let place = Place::make();
    let report = place.json(&["doctor"]);
    let flex = report["backends"]
        .as_array()
        .unwrap()
        .iter()
        .find(|b| b["name"] == "flex")
        .unwrap()
        .clone();
    assert_eq!(flex["works"], cfg!(feature = "flex"));
    assert!(place.ok(&["doctor"]).contains("flex"));
}

#[test]
fn a_backend_that_is_not_compiled_in_names_its_feature() {
    let place = Place::make();
    place.wav("a.wav", 1.0, 100.0);
    place.model("m.safetensors");
    if !cfg!(feature = "cuda-bare") {
        place.fails(
            &["embed", "m.safetensors", "a.wav", "-o", "e.safetensors", "--backend", "cuda"],
            &["backend cuda is not in this build", "--features cuda"],
        );
    }
    place.fails(&["info", "m.safetensors", "--device", "3"], &["has no device 3; there are: 0"]);
}

#[test]
fn fbank_writes_one_tensor_a_file() {
    let place = Place::make();
    place.wav("a.wav", 1.0, 100.0);
    place.wav("b.wav", 0.5, 150.0);
    let report =
        place.json(&["fbank", "a.wav", "b.wav", "-o", "f.safetensors", "--mels", "40", "--cmn"]);
    assert_eq!(report["frames"], 98 + 48);
    let bytes = std::fs::read(place.path("f.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("a").unwrap().shape(), [98, 40]);
    // Dither follows the seed.
    let dithered = |seed: &str, out: &str| {
        place.ok(&["fbank", "a.wav", "-o", out, "--dither", "1", "--seed", seed]);
        std::fs::read(place.path(out)).unwrap()
    };
    assert!(dithered("1", "d1") == dithered("1", "d2"));
    assert!(dithered("1", "d1") != dithered("2", "d3"));
    place.fails(&["fbank", "a.wav", "./a.wav", "-o", "g.safetensors"], &["has the id `a`"]);
}

#[test]
fn synth_embed_score_eval_compare_go_together() {
    let place = Place::make();
    place.ok(&[
        "synth",
        "c",
        "--speakers",
        "2",
        "--dev-speakers",
        "4",
        "--utterances",
        "4",
        "--seconds",
        "1.2",
    ]);
    place.fails(&["synth", "c"], &["is already there"]);
    place.model("m.safetensors");
    let e = place.json(&[
        "embed",
        "m.safetensors",
        "--wav-scp",
        "c/dev/wav.scp",
        "-o",
        "e.safetensors",
    ]);
    assert_eq!((e["utterances"].as_u64(), e["dim"].as_u64()), (Some(16), Some(16)));
    // From features: the same embeddings.
    let ids: Vec<String> = std::fs::read_to_string(place.path("c/dev/wav.scp"))
        .unwrap()
        .lines()
        .map(|l| format!("c/dev/{}", l.split_whitespace().nth(1).unwrap()))
        .collect();
    let load = |n: &str| revox::scoring::Embeddings::load(place.path(n)).unwrap();
    let a = load("e.safetensors");
    for cmn in [true, false] {
        let mut fbank = vec!["fbank", "-o", "f.safetensors", "--mels", "40"];
        fbank.extend(cmn.then_some("--cmn"));
        fbank.extend(ids.iter().map(String::as_str));
        place.ok(&fbank);
        place.ok(&[
            "embed",
            "m.safetensors",
            "--features",
            "f.safetensors",
            "-o",
            "e2.safetensors",
        ]);
        let b = load("e2.safetensors");
        for id in a.ids() {
            let (x, y) = (a.row(a.position(id).unwrap()), b.row(b.position(id).unwrap()));
            assert!(x.iter().zip(y).all(|(x, y)| (x - y).abs() < 1e-5), "{id}, cmn {cmn}");
        }
    }
    // Features made otherwise are refused.
    place.ok(&["fbank", &ids[0], "-o", "p.safetensors", "--mels", "40", "--window", "povey"]);
    place.fails(
        &["embed", "m.safetensors", "--features", "p.safetensors", "-o", "x"],
        &["p.safetensors", "povey", "hamming"],
    );
    place.ok(&["score", "e.safetensors", "c/dev/trials.txt", "-o", "scores"]);
    let eval = place.json(&["eval", "scores", "--det", "det.svg", "--utt2spk", "c/dev/utt2spk"]);
    let eer = eval["eer"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&eer) && eval["targets"] == 24, "{eval}");
    let ci = eval["eer_ci95"].as_array().unwrap();
    assert!(ci[0].as_f64().unwrap() <= eer && eer <= ci[1].as_f64().unwrap(), "{eval}");
    // Without utt2spk the target trials tell the speakers: here the same.
    assert_eq!(place.json(&["eval", "scores"])["eer_ci95"].as_array().unwrap().len(), 2);
    assert!(std::fs::read_to_string(place.path("det.svg")).unwrap().starts_with("<svg"));
    assert!(place.ok(&["eval", "scores", "--trials", "c/dev/trials.txt"]).contains("EER"));
    // Mean subtraction and AS-norm change scores, not the list.
    place.ok(&["embed", "m.safetensors", "--wav-scp", "c/train/wav.scp", "-o", "t.safetensors"]);
    let norm = [
        "score",
        "e.safetensors",
        "c/dev/trials.txt",
        "-o",
        "n",
        "--mean",
        "t.safetensors",
        "--cohort",
        "t.safetensors",
        "--top-n",
        "4",
    ];
    place.ok(&norm);
    let (plain, normed) = (
        std::fs::read_to_string(place.path("scores")).unwrap(),
        std::fs::read_to_string(place.path("n")).unwrap(),
    );
    assert_eq!(plain.lines().count(), normed.lines().count());
    assert_ne!(plain, normed);
    let same = place.json(&["compare", "m.safetensors", &ids[0], &ids[0]]);
    assert!(
        (same["score"].as_f64().unwrap() - 1.0).abs() < 1e-6 && same["same_speaker"] == true,
        "{same}"
    );
    assert!(place.ok(&["compare", "m.safetensors", &ids[0], &ids[5]]).contains("speaker"));
    assert!(place.ok(&["info", "m.safetensors", "--layers"]).contains("layer1.0.conv1.weight"));
    let info = place.json(&["info", "m.safetensors"]);
    assert_eq!(info["layers"][0]["bits"], 32);
    assert_eq!(info["frontend"]["fbank"]["mels"], 40);
}

#[test]
fn prepare_folder_makes_lists() {
    let place = Place::make();
    place.wav("in/x/1.wav", 0.5, 100.0);
    place.wav("in/x/2.wav", 0.5, 110.0);
    place.wav("in/y/1.wav", 0.5, 200.0);
    place.write("in/y/2.wav", "not audio");
    let ran = place.run(&["prepare", "folder", "in", "lists", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("in/y/2.wav"), "{}", ran.err);
    assert_eq!(place.list("lists"), ["problems.txt", "spk2utt", "utt2spk", "wav.scp"]);
    place.fails(&["prepare", "folder", "in", "lists"], &["already there"]);
}

#[test]
fn import_makes_a_model_that_embeds() {
    let folder = shared_or_skip!("fixtures/f2_models");
    let place = Place::make();
    let user = std::path::absolute(folder.join("resnet18_voxceleb_style")).unwrap();
    let (pt, yaml) = (user.join("avg_model.pt"), user.join("config.yaml"));
    let report = place.json(&["import", arg(&pt), "--config", arg(&yaml), "-o", "m.safetensors"]);
    assert_eq!(report["parameters"], 3_122_272);
    assert_eq!(report["arch"]["mels"], 40);
    place.wav("a.wav", 1.0, 120.0);
    assert_eq!(place.json(&["embed", "m.safetensors", "a.wav", "-o", "e.safetensors"])["dim"], 128);
    place.fails(
        &["import", arg(&pt), "--arch", "resnet34", "-o", "n.safetensors"],
        &["avg_model.pt", "seg_1.weight", "--config"],
    );
    assert!(!place.path("n.safetensors").exists());
}

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
    assert_eq!(figures.len(), 2 * (1 + 4 * 5));
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
    place.fails(&["bench", "optim", "--steps", "0"], &["at least one step"]);
}

#[cfg(all(feature = "flex", feature = "ndarray"))]
#[test]
fn the_selftest_tells_each_case() {
    let place = Place::make();
    let report = place.json(&["doctor", "--selftest"]);
    assert_eq!(
        (report["backend"].as_str(), report["passed"].as_bool()),
        (Some("flex"), Some(true)),
        "{report}"
    );
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), revox::selftest::CASES.len());
    for case in cases {
        assert!(case["error"].as_f64() <= case["tolerance"].as_f64(), "{case}");
        assert!(case["comparisons"].as_u64() > Some(2) && case["passed"] == true, "{case}");
    }
    place.fails(
        &["doctor", "--selftest", "--device", "1"],
        &["backend flex has no device 1; there are: 0"],
    );
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
    place.fails(&["bench", "train", "resnet11"], &["no architecture `resnet11`"]);
    place.fails(&["bench", "train", "--batch", "1"], &["batch = 1"]);
}

/// The script for GPUs, on the CPU and small: every part of it, but the peer that this machine may
/// or may not have.
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
        command.envs([("NETWORKS", "resnet10 rev2-resnet10"), ("DEEP", "rev1-df-resnet32")]);
        super::finish(command.output().unwrap())
    };
    let ran = run();
    assert_eq!(ran.code, 0, "{}", ran.err);
    for row in [
        "| resnet10 | sgd | 2x24 | f32 |",
        "| resnet10 | sgd | 2x24 | bf16 |",
        "| rev2-resnet10 | sgd8bit |",
        "| rev1-df-resnet32 | adamw8bit |",
        "| adam8bit | 5000 |",
    ] {
        assert!(ran.out.contains(row), "{row}: {}", ran.out);
    }
    assert!(ran.err.contains("no torch") && !ran.err.contains("failed"), "{}", ran.err);
    assert!(place.ok(&["bench", "report", "gpu.json"]) == ran.out);
    let again = run();
    assert!(again.code == 1 && again.err.contains("gpu.json is there already"), "{}", again.err);
}
