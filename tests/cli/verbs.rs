//! The verbs: help, and those that tell of the program, the networks and the machine.

use crate::Place;

/// The verbs of a command, each followed by those below it.
fn verbs(command: &clap::Command, above: &[String]) -> Vec<Vec<String>> {
    let below = |verb: &clap::Command| {
        let path = [above, &[verb.get_name().to_owned()]].concat();
        let deeper = verbs(verb, &path);
        [path].into_iter().chain(deeper)
    };
    command.get_subcommands().filter(|verb| verb.get_name() != "help").flat_map(below).collect()
}

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
    let verbs = verbs(&revox::cli::command(), &[]);
    // The verbs below `prepare` and `bench` are among them.
    assert!(verbs.len() > 20 && verbs.contains(&vec!["bench".into(), "optim".into()]), "{verbs:?}");
    for verb in &verbs {
        let name = verb.join(" ");
        assert!(help.contains(&verb[0]), "{name} is not in: {help}");
        let words: Vec<&str> = verb.iter().map(String::as_str).chain(["--help"]).collect();
        let text = place.ok(&words);
        // Own options come before global ones. Values are not explained one by one.
        let options = text.find("\nGlobal options:").unwrap();
        assert!(text.find("--backend").unwrap() > options && !text.contains("- flex:"), "{text}");
        let last = text.trim_end().lines().last().unwrap();
        assert!(last.contains(&format!("revox {name}")), "{name}: {last}");
    }
    assert_eq!(place.run(&["nonsense"]).code, 2);
    assert_eq!(place.run(&["fbank"]).code, 2);
    assert_eq!(place.run(&["zoo", "--backend", "tpu"]).code, 2);
}

/// SIGPIPE ends a short verb silently when its reader stops reading (`revox zoo | head -1`).
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
    place.ends(2, &["man", "trane"], &["no verb `trane`"]);
    place.ok(&["man", "--dir", "man1"]);
    let pages = place.list("man1");
    assert!(
        pages.contains(&"revox.1".into()) && pages.contains(&"revox-quantize.1".into()),
        "{pages:?}"
    );
}

#[test]
fn zoo_lists_every_architecture() {
    let place = Place::make();
    let rows = place.json(&["zoo"]);
    let listed: Vec<&str> =
        rows.as_array().unwrap().iter().map(|row| row["arch"].as_str().unwrap()).collect();
    assert_eq!(listed, revox::zoo::names().collect::<Vec<_>>());
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
fn zoo_describes_a_network() {
    let place = Place::make();
    let text = place.ok(&["zoo", "--details", "resnet34"]);
    for wanted in ["0.659", "CC BY 4.0", "arxiv.org/abs/1512.03385", "6634336", "LM, AS-norm, QMF"]
    {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let json = place.json(&["zoo", "--details", "resnet34"]);
    assert_eq!((&json["parameters"], &json["bytes"]), (&6_634_336.into(), &json["card"]["bytes"]));
    assert_eq!(json["card"]["published"][0]["rates"][0]["eer_percent"][0], 0.867);
    // A deep network's header is no matter of some kilobytes.
    let packed = place.json(&["zoo", "--details", "campplus"])["bytes_beside"]["packed"].clone();
    let packed = packed.as_u64().unwrap();
    assert!((100_000..200_000).contains(&packed), "{packed}");
    let text = place.ok(&["zoo", "--details", "campplus"]);
    assert!(text.contains(&format!(" KB in f32, {} KB packed", packed.div_ceil(1000))), "{text}");
    // Without a card there is what can be computed.
    let json = place.json(&["zoo", "--details", "rev2-resnet34", "--frames", "400"]);
    assert!(json["card"].is_null() && json["held_bytes"].is_u64() && json["frames"] == 400);
    assert!(place.ok(&["zoo", "--details", "resnet18"]).contains("nothing is noted"));
    let wanted = ["resnet35", "there are cards of resnet34,", "--help tells what is possible"];
    place.ends(2, &["zoo", "--details", "resnet35"], &wanted);
    assert_eq!(place.run(&["zoo", "--details", "resnet34", "--mels", "80"]).code, 2);
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
    let ran = place.run(&["memory", "resnet18", "--svg", "x.png"]);
    let wanted = "invalid value 'x.png' for '--svg <FILE>': the drawing is SVG";
    assert!(ran.code == 2 && ran.out.is_empty() && ran.err.contains(wanted), "{}", ran.err);
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
    let released = place.json(&[&args[..], &["--release-gradients"]].concat());
    assert!(released["gradients"].as_u64() < Some(bytes("gradients")), "{released}");
    place.ends(2, &["memory", "resnet18", "--execution", "taped"], &["rev1- and rev2-"]);
    let small = ["memory", "resnet18", "--width", "16", "--batch", "8"];
    let checkpointed = place.json(&[&small[..], &["--execution", "checkpointed"]].concat());
    let peak = |report: &serde_json::Value| report["peak"].as_u64().unwrap();
    assert!(peak(&checkpointed) < peak(&checkpointed["baseline"]), "{checkpointed}");
    assert_eq!(checkpointed["plan"]["bytes"], checkpointed["peak"]);
    let text = place.ok(&[&small[..], &["--compare", "--memory", "2GB"]].concat());
    for part in ["resnet18 (checkpointed)", "rev1-resnet18", "rev2-resnet18", "plan: "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let within = ["--execution", "checkpointed", "--memory", "2MB"];
    place.fails(&[&small[..], &within].concat(), &["train.memory = 1.9 MiB", "at least"]);
    place.ends(2, &[&small[..], &["--memory", "2GB"]].concat(), &["--memory is a budget"]);
    place.ends(2, &["memory", "resnet17"], &["no architecture `resnet17`", "rev1-"]);
    place.ends(2, &["memory", "resnet18", "--batch", "1"], &["--batch", "2 or more are wanted"]);
}

#[test]
fn memory_puts_options_beside_each_other() {
    let place = Place::make();
    let args = ["memory", "rev2-resnet50", "--batch", "8", "--options"];
    let text = place.ok(&args);
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("resnet50")).collect();
    assert!(rows[0].starts_with("| resnet50 | `sgd` | kept | f32 | "), "{text}");
    let report = place.json(&args);
    let peak = |i: usize| report["options"][i]["peak"].as_u64().unwrap();
    assert!(rows.len() == 20 && (1..20).all(|i| peak(i) <= peak(0)), "{report}");
    for other in ["--release-gradients", "--measure", "--dry", "--compare"] {
        assert_eq!(place.run(&[&args[..], &[other]].concat()).code, 2, "{other}");
    }
}

#[test]
fn memory_tells_what_ranks_send() {
    let place = Place::make();
    let args = ["memory", "resnet10", "--width", "8", "--mels", "40", "--batch", "4"];
    let ranks = ["--ranks", "2", "--tflops", "10"];
    let report = place.json(&[&args[..], &ranks].concat());
    let sent = &report["communication"];
    // Two ranks send all gradients once.
    assert_eq!(sent["bytes"].as_f64(), report["gradients"].as_f64());
    let figure = |name: &str, link: &str| sent[name][link].as_f64().unwrap();
    let ratio = figure("seconds", "1 Gb/s") / figure("seconds", "10 Gb/s");
    assert!((ratio - 10.0).abs() < 1e-9, "{sent}");
    let share = 10.0 / figure("even_tflops", "NVLink");
    assert!((figure("against_computing", "NVLink") / share - 1.0).abs() < 1e-9, "{sent}");
    let text = place.ok(&[&args[..], &ranks].concat());
    assert!(
        text.contains("each of 2 ranks sends") && text.contains("against 10 TFLOP/s"),
        "{text}"
    );
    assert!(place.json(&args)["communication"].is_null());
    for bad in [&["--ranks", "1"][..], &["--tflops", "5"], &["--ranks", "2", "--tflops", "0"]] {
        assert_eq!(place.run(&[&args[..], bad].concat()).code, 2, "{bad:?}");
    }
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
    let precisions: &[&str] = if cfg!(feature = "flex") { &["f32", "bf16", "f16"] } else { &[] };
    assert_eq!(flex["precisions"], serde_json::json!(precisions));
    let text = place.ok(&["doctor"]);
    assert!(text.contains("flex"), "{text}");
    assert_eq!(text.contains(": f32, bf16, f16\n"), cfg!(feature = "flex"), "{text}");
}

/// Without a machine that has it, what is missing is told: the feature, the library, the backend.
#[test]
fn nccl_or_what_it_lacks_is_told() {
    let place = Place::make();
    let compiled = cfg!(feature = "nccl");
    let report = place.json(&["doctor"])["nccl"].clone();
    assert_eq!(report["compiled"], compiled, "{report}");
    assert_ne!(report["version"].is_null(), report["detail"].is_null(), "{report}");
    let text = place.ok(&["doctor"]);
    assert!(text.lines().any(|line| line.starts_with("nccl ")), "{text}");
    let train = ["train", "r.toml", "--link", "nccl"];
    match compiled {
        false => {
            let wanted = ["NCCL is not in this build", "--features nccl"];
            assert_eq!(report["detail"], wanted.join("; rebuild with `") + "`");
            place.fails(&train, &wanted);
        }
        true => {
            place.ends(2, &train, &["--link nccl sums on NVIDIA GPUs", "--backend cuda, not flex"]);
            if let Some(detail) = report["detail"].as_str() {
                assert!(detail.contains("libnccl.so.2 cannot be loaded"), "{detail}");
                place.fails(&[&train[..], &["--backend", "cuda"]].concat(), &[detail]);
            }
        }
    }
    assert_eq!(place.run(&["train", "r.toml", "--link", "tcp"]).code, 2);
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
