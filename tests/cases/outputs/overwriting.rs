//! An output that is an input is refused, however its path is spelled.

use std::collections::BTreeMap;

use super::{bytes, place};
use crate::place::Place;

/// Every file of the place, those behind links too.
fn snapshot(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let names = place.list(".").into_iter().filter(|name| place.path(name).is_file());
    names.map(|name| (name.clone(), bytes(place.path(&name)))).collect()
}

/// Runs a verb with each spelling of an input as its output: exit 1, and not a byte changes.
fn refuses(place: &Place, args: &[&str], option: &str, input: &str) {
    let mut spellings = vec![input.to_owned(), format!("./{input}"), format!("sub/../{input}")];
    spellings.push(place.path(input).to_str().unwrap().to_owned());
    let ending = input.rsplit_once('.').map_or("", |(_, ending)| ending);
    let (hard, soft, softer) =
        (format!("hard.{ending}"), format!("soft.{ending}"), format!("softer.{ending}"));
    std::fs::hard_link(place.path(input), place.path(&hard)).unwrap();
    spellings.push(hard.clone());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(input, place.path(&soft)).unwrap();
        std::os::unix::fs::symlink(&soft, place.path(&softer)).unwrap();
        spellings.extend([soft.clone(), softer.clone()]);
    }
    let before = snapshot(place);
    for output in &spellings {
        let all = [args, &[option, output.as_str()]].concat();
        place.fails(&all, &[output.as_str(), "would be lost"]);
        assert!(snapshot(place) == before, "revox {}: a file has changed", all.join(" "));
    }
    for link in [hard, soft, softer] {
        // Not every system has soft links.
        let _ = std::fs::remove_file(place.path(&link));
    }
}

fn with_folder() -> Place {
    let place = place();
    std::fs::create_dir(place.path("sub")).unwrap();
    place
}

#[test]
fn embed_and_fbank() {
    let place = with_folder();
    let files: [&str; 4] = ["embed", "m.safetensors", "a.wav", "b.wav"];
    for input in ["m.safetensors", "a.wav", "b.wav"] {
        refuses(&place, &files, "-o", input);
    }
    for input in ["m.safetensors", "wav.scp", "b.wav"] {
        refuses(&place, &["embed", "m.safetensors", "--wav-scp", "wav.scp"], "-o", input);
        refuses(&place, &["embed", "./m.safetensors", "--wav-scp", "sub/../wav.scp"], "-o", input);
    }
    for input in ["m.safetensors", "f.safetensors"] {
        refuses(&place, &["embed", "m.safetensors", "--features", "f.safetensors"], "-o", input);
    }
    for input in ["a.wav", "b.wav"] {
        refuses(&place, &["fbank", "a.wav", "b.wav"], "-o", input);
    }
}

#[test]
fn score_and_eval() {
    let place = with_folder();
    for name in ["mean", "cohort"] {
        std::fs::copy(place.path("e.safetensors"), place.path(name)).unwrap();
    }
    for input in ["e.safetensors", "trials"] {
        refuses(&place, &["score", "e.safetensors", "trials"], "-o", input);
    }
    let all = [
        "score",
        "e.safetensors",
        "trials",
        "--mean",
        "mean",
        "--cohort",
        "cohort",
        "--utt2spk",
        "utt2spk",
    ];
    for input in ["e.safetensors", "trials", "mean", "cohort", "utt2spk"] {
        refuses(&place, &[&all[..], &["--top-n", "2"]].concat(), "-o", input);
    }
    // A drawing's name ends in .svg; so may a list's.
    for name in ["scores", "trials", "utt2spk"] {
        std::fs::copy(place.path(name), place.path(&format!("{name}.svg"))).unwrap();
    }
    let all = ["eval", "scores.svg", "--trials", "trials.svg", "--utt2spk", "utt2spk.svg"];
    for input in ["scores.svg", "trials.svg", "utt2spk.svg"] {
        refuses(&place, &all, "--det", input);
    }
    refuses(&place, &["eval", "scores.svg"], "--det", "scores.svg");
}

#[test]
fn import_and_quantize() {
    let place = with_folder();
    let config = "model: ResNet10\nmodel_args:\n  feat_dim: 40\n  embed_dim: 16\n\
                  \x20 pooling_func: TSTP\n  two_emb_layer: false\n\
                  dataset_args:\n  resample_rate: 16000\n";
    place.write("config.yaml", config);
    std::fs::copy(place.path("m.safetensors"), place.path("p.safetensors")).unwrap();
    refuses(
        &place,
        &["import", "p.safetensors", "--arch", "resnet10", "--mels", "40"],
        "-o",
        "p.safetensors",
    );
    for input in ["p.safetensors", "config.yaml"] {
        refuses(&place, &["import", "p.safetensors", "--config", "config.yaml"], "-o", input);
    }
    refuses(&place, &["quantize", "m.safetensors", "--bits", "4"], "-o", "m.safetensors");
    place.write("recipe.toml", "[data]\ntrain = \"t\"\ndev = \"d\"\n");
    for input in ["m.safetensors", "recipe.toml"] {
        refuses(
            &place,
            &["quantize", "m.safetensors", "--bits", "4", "--recipe", "recipe.toml"],
            "-o",
            input,
        );
    }
}

/// The training's folder would be in the place of the model. That is an error before the training.
#[test]
fn quantize_names_its_folder_first() {
    let place = with_folder();
    let mut listed = place.list(".");
    place.write("recipe.toml", "[data]\ntrain = \"t\"\ndev = \"d\"\n");
    let all =
        ["quantize", "m.safetensors", "--bits", "4", "--recipe", "recipe.toml", "-o", "x.run"];
    place.ends(2, &all, &["x.run"]);
    listed.push("recipe.toml".into());
    listed.sort();
    assert_eq!(place.list("."), listed, "something was made before the names were looked at");
}
