//! From recordings and checkpoints to scores and decisions, on good input.

use crate::shared::sets;
use crate::{Place, arg};

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
    // The old threshold is dropped: it belongs to scores without the mean.
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
    // Embeddings of features are those of the recordings.
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
        assert_eq!((a.len(), a.dim()), (b.len(), b.dim()));
        for id in a.ids() {
            let (x, y) = (a.row(a.position(id).unwrap()), b.row(b.position(id).unwrap()));
            assert!(x.iter().zip(y).all(|(x, y)| (x - y).abs() < 1e-5), "{id}, cmn {cmn}");
        }
    }
    // Features with other settings than the model's are refused.
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
    // Without utt2spk the speakers follow from the target trials. Here they are the same.
    assert_eq!(place.json(&["eval", "scores"])["eer_ci95"].as_array().unwrap().len(), 2);
    assert!(std::fs::read_to_string(place.path("det.svg")).unwrap().starts_with("<svg"));
    assert!(place.ok(&["eval", "scores", "--trials", "c/dev/trials.txt"]).contains("EER"));
    // Mean subtraction and AS-norm change the scores but not the list of trials.
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

/// A model folder as users have it: a checkpoint and its configuration.
struct User {
    folder: &'static str,
    parameters: u64,
    mels: u64,
    dim: u64,
}

#[test]
fn import_makes_a_model_that_embeds() {
    let committed = User { folder: "folder", parameters: 5_750, mels: 24, dim: 8 };
    let large =
        User { folder: "resnet18_voxceleb_style", parameters: 3_122_272, mels: 40, dim: 128 };
    for (folder, user) in sets(("networks", committed), ("fixtures/f2_models", large)) {
        let folder = folder.join(user.folder);
        let (pt, yaml) = (folder.join("avg_model.pt"), folder.join("config.yaml"));
        let place = Place::make();
        let import = ["import", arg(&pt), "--config", arg(&yaml), "-o", "m.safetensors"];
        let report = place.json(&import);
        assert_eq!(report["parameters"], user.parameters);
        assert_eq!(report["arch"]["mels"], user.mels);
        // The folder alone does too: the configuration lies beside the checkpoint.
        let of_folder = place.json(&["import", arg(&folder), "-o", "f.safetensors"]);
        assert_eq!(of_folder["arch"], report["arch"]);
        place.wav("a.wav", 1.0, 120.0);
        let embedded = place.json(&["embed", "m.safetensors", "a.wav", "-o", "e.safetensors"]);
        assert_eq!(embedded["dim"], user.dim);
        place.fails(
            &["import", arg(&pt), "--arch", "resnet34", "-o", "n.safetensors"],
            &["avg_model.pt", "seg_1.weight", "--config"],
        );
        assert!(!place.path("n.safetensors").exists());
    }
}
