//! What an output does not replace, and what it does.

use revox::model_file::{NamedThreshold, read_header, update_header};
use revox::scoring::{Store, StoreModel};

use super::{bytes, place};
use crate::place::Place;

/// The same place with a store of voices and another model.
fn with_store() -> Place {
    let place = place();
    let (hash, arch, frontend) = ("abc".into(), "resnet10".into(), "{}".into());
    let model = StoreModel { hash, arch, frontend, dim: 16 };
    drop(Store::open_or_create(place.path("voices.db"), &model).unwrap());
    std::fs::copy(place.path("m.safetensors"), place.path("other.safetensors")).unwrap();
    place
}

#[test]
fn no_verb_replaces_a_store_and_only_those_of_models_a_model() {
    let place = with_store();
    place.write("many", "a ann\nb ann\n");
    let embed = ["embed", "m.safetensors", "a.wav"];
    let fbank = ["fbank", "a.wav", "--mels", "40"];
    let others =
        [&["score", "e.safetensors", "trials"][..], &embed, &fbank, &["merge", "e.safetensors"]];
    let kept = |args: &[&str], output: &str, what: &str| {
        let before = bytes(place.path(output));
        place.fails(&[args, &["-o", output]].concat(), &[output, what, "remove it"]);
        assert!(bytes(place.path(output)) == before, "{args:?}");
    };
    std::fs::copy(place.path("other.safetensors"), place.path("other")).unwrap();
    for args in others {
        kept(args, "voices.db", "is a store of voices, which would be lost");
        kept(args, "other", "is a network's model, which would be lost");
    }
    let plda = ["plda", "train", "e.safetensors", "--utt2spk", "many"];
    kept(&plda, "other.safetensors", "is a network's model");
    let before = bytes(place.path("voices.db"));
    for more in [&["--speech", "voices.db"][..], &["--mean=voices.db"]] {
        let wanted = ["voices.db: is a store of voices"];
        place.fails(&[&embed[..], &["-o", "x"], more].concat(), &wanted);
    }
    assert!(bytes(place.path("voices.db")) == before && !place.path("x").exists());
    // What makes models may replace them, and files of its own kind are replaced as ever.
    let small = ["--set", "quantize.small_layers=fewer-bits"];
    let quantize = ["quantize", "m.safetensors", "--bits", "4", "-o", "other.safetensors"];
    place.ok(&[&quantize[..], &small].concat());
    place.ok(&["export", "m.safetensors", "-o", "other.safetensors"]);
    place.ok(&[&embed[..], &["-o", "e.safetensors"]].concat());
}

#[test]
fn a_calibration_replaces_a_model_and_nothing_else() {
    let place = place();
    let onto = ["calibrate", "m.safetensors", "--scores", "scores", "-o"];
    for output in ["e.safetensors", "f.safetensors", "utt2spk"] {
        let before = bytes(place.path(output));
        let wanted = format!("{output}: is there already and is no model, so it is not replaced");
        place.fails(&[&onto[..], &[output]].concat(), &[&wanted]);
        assert!(bytes(place.path(output)) == before, "{output}");
    }
}

#[test]
fn embeddings_in_the_place_of_a_model_are_named() {
    let place = place();
    let wanted = ["e.safetensors: holds embeddings; wanted is a network's model"];
    for args in [
        &["calibrate", "e.safetensors", "--scores", "scores"][..],
        &["embed", "e.safetensors", "a.wav", "-o", "x"],
        &["export", "e.safetensors", "-o", "x.onnx"],
    ] {
        place.fails(args, &wanted);
        assert!(!place.run(args).err.contains("import"), "{args:?}");
    }
}

#[test]
fn a_mean_says_what_the_model_loses() {
    let place = place();
    let model = place.path("m.safetensors");
    let strict = NamedThreshold { false_accept_rate: 0.0001, threshold: 0.875 };
    update_header(&model, &model, |header| {
        header.scoring.named_thresholds.insert("strict".into(), strict);
    })
    .unwrap();
    let embed = ["embed", "m.safetensors", "a.wav", "b.wav", "-o", "x"];
    let ran = place.run(&[&embed[..], &["--mean=copy.safetensors"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    for wanted in ["in m.safetensors alone: the model's thresholds", "with names, `strict`"] {
        assert!(ran.err.contains(wanted), "`{wanted}` is not in: {}", ran.err);
    }
    assert!(ran.out.contains("their mean is in copy.safetensors"), "{}", ran.out);
    let ran = place.run(&[&embed[..], &["--mean"]].concat());
    assert!(ran.err.contains("and so gone: the model's thresholds"), "{}", ran.err);
    assert!(read_header(&model).unwrap().scoring.named_thresholds.is_empty());
    let ran = place.run(&[&embed[..], &["--mean"]].concat());
    assert!(ran.code == 0 && !ran.err.contains("of scores without this mean"), "{}", ran.err);
}

#[test]
fn what_was_left_out_is_listed_even_if_that_is_everything() {
    let place = place();
    let skip = ["text.wav", "none.wav", "--skip-errors", "--skipped", "list"];
    place.write("text.wav", "no audio");
    for args in [
        &["embed", "m.safetensors", "-o", "x"][..],
        &["embed", "m.safetensors", "-o", "y", "--vad"],
        &["fbank", "-o", "z"],
    ] {
        place.fails(&[args, &skip].concat(), &["none of 2 files could be"]);
        let list = std::fs::read_to_string(place.path("list")).unwrap();
        assert!(list.starts_with("text ") && list.contains("\nnone "), "{list}");
        std::fs::remove_file(place.path("list")).unwrap();
    }
}
