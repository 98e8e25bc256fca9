//! The model inside the program, which `compare` and `embed` use when none is named.

use crate::Place;

fn place() -> Place {
    let place = Place::make();
    place.wav("a.wav", 1.5, 100.0);
    place.wav("b.wav", 1.5, 170.0);
    place
}

#[test]
fn compare_needs_no_model() {
    let place = place();
    let json = place.json(&["compare", "a.wav", "b.wav"]);
    let model = &json["default_model"];
    assert!(json["score"].is_f64() && json["same_speaker"].is_boolean(), "{json}");
    assert_eq!(json["threshold"], model["threshold_eer"], "{json}");
    assert!(model["eer"]["speechocean762 dev"].as_f64().unwrap() < 0.1, "{json}");
    assert!(model["limits"].as_str().unwrap().contains("little"), "{json}");
    let ran = place.run(&["compare", "a.wav", "b.wav"]);
    for wanted in ["inside the program", "EER", "threshold", "little", "zoo --details default"] {
        assert!(ran.err.contains(wanted), "{wanted}: {}", ran.err);
    }
    // Options may stand between the recordings.
    let again = place.json(&["compare", "a.wav", "--channel", "0", "b.wav"]);
    assert_eq!(again["score"], json["score"]);
    assert!(place.run(&["compare", "a.wav", "b.wav", "--quiet"]).err.is_empty());
}

#[test]
fn embed_needs_no_model() {
    let place = place();
    place.write("wav.scp", "a a.wav\nb b.wav\n");
    let json = place.json(&["embed", "a.wav", "b.wav", "-o", "files.safetensors"]);
    assert_eq!(json["utterances"], 2);
    assert!(json["default_model"]["title"].is_string(), "{json}");
    place.ok(&["embed", "--wav-scp", "wav.scp", "-o", "list.safetensors"]);
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("files.safetensors") == read("list.safetensors"));
}

#[test]
fn models_are_told_from_recordings_by_content() {
    let place = place();
    place.model("m.safetensors");
    std::fs::copy(place.path("m.safetensors"), place.path("model")).unwrap();
    let dim =
        |model: &str| place.json(&["embed", model, "a.wav", "-o", "e.safetensors"])["dim"].clone();
    assert_eq!((dim("model"), dim("m.safetensors")), (16.into(), 16.into()));
    let json = place.json(&["embed", "model", "a.wav", "-o", "e.safetensors"]);
    assert!(json["default_model"].is_null(), "{json}");
    let json = place.json(&["compare", "model", "a.wav", "b.wav"]);
    assert!(json["default_model"].is_null(), "{json}");
}

#[test]
fn what_is_neither_is_told() {
    let place = place();
    place.model("m.safetensors");
    place.write("text", "neither one nor the other");
    place.write("wav.scp", "a a.wav\n");
    place.fails(
        &["embed", "text", "a.wav", "-o", "e"],
        &["text: no audio file", "nor is it a model"],
    );
    place
        .fails(&["embed", "m.safetensors", "-o", "e"], &["m.safetensors: is a model", "--wav-scp"]);
    place.fails(
        &["embed", "m.safetensors", "a.wav", "--wav-scp", "wav.scp", "-o", "e"],
        &["a.wav: is named beside wav.scp"],
    );
    place.fails(&["embed", "a.wav", "-o", "e", "--mean"], &["--mean", "name one"]);
    place.fails(&["compare", "m.safetensors", "a.wav"], &["m.safetensors: is a model", "two"]);
    assert!(!place.path("e").exists());
    for usage in [&["embed", "-o", "e"][..], &["compare", "a.wav"]] {
        assert_eq!(place.run(usage).code, 2);
    }
}

#[test]
fn the_model_inside_has_a_card() {
    let place = Place::make();
    let text = place.ok(&["zoo", "--details", "default"]);
    for wanted in ["speechocean762", "librispeech_mini", "seed", "SHA-256", "limits"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let json = place.json(&["zoo", "--details", "default"]);
    assert_eq!(json["card"]["tested"].as_array().unwrap().len(), 2);
    assert!(json["arch"]["name"].is_string(), "{json}");
}
