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
    // Every threshold of its header, in words and for programs, and on whose speech they hold.
    let words = [
        "0.4414 at equal error rate",
        "0.4171 at 10 % false accepts",
        "0.4976 at 5 % false accepts",
        "0.6186 at 1 % false accepts",
        "0.7140 at 0.1 % false accepts",
        "0.6282",
    ];
    for wanted in words {
        assert!(ran.err.contains(wanted), "{wanted}: {}", ran.err);
    }
    let of_far = |far: f64| {
        let all = model["thresholds"].as_array().unwrap();
        let at = all.iter().find(|at| at["far"] == far);
        at.unwrap_or_else(|| panic!("{far}: {json}"))["threshold"].as_f64().unwrap()
    };
    for (far, wanted) in [(0.1, 0.4171), (0.05, 0.4976), (0.01, 0.6186), (0.001, 0.7140)] {
        assert!((of_far(far) - wanted).abs() < 1e-4, "{far}: {json}");
    }
    assert_eq!(model["thresholds"].as_array().unwrap().len(), 4);
    assert!(model["thresholds_are"].as_str().unwrap().contains("accept too much"), "{json}");
    // Options may stand between the recordings.
    let again = place.json(&["compare", "a.wav", "--channel", "0", "b.wav"]);
    assert_eq!(again["score"], json["score"]);
    // A buzz below 1 kHz is worth a warning.
    let err = place.run(&["compare", "a.wav", "b.wav", "--quiet"]).err;
    assert!(err.lines().all(|line| line.starts_with("warning: ")), "{err}");
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

/// The process's standard input is empty.
#[test]
fn what_cannot_be_standard_input_is_told() {
    let place = place();
    place.model("m.safetensors");
    place.write("wav.scp", "a a.wav\n");
    let no_model = "a model cannot be standard input";
    for (args, wanted) in [
        (&["info", "-"][..], "-: cannot be standard input"),
        (&["embed", "-", "a.wav", "-o", "e"], no_model),
        (&["embed", "-", "--wav-scp", "wav.scp", "-o", "e"], no_model),
        (&["export", "-", "-o", "e.onnx"], no_model),
        (&["embed", "--data", "-", "-o", "e"], "a corpus cannot be standard input"),
        (&["embed", "m.safetensors", "--features", "-", "-o", "e"], "is `ark:-`"),
    ] {
        place.fails(args, &[wanted]);
    }
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
    for wanted in ["speechocean762", "librispeech_mini", "seed", "SHA-256", "limits", "cb337c6"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let json = place.json(&["zoo", "--details", "default"]);
    assert_eq!(json["card"]["tested"].as_array().unwrap().len(), 2);
    assert!(json["arch"]["name"].is_string(), "{json}");
}

#[test]
fn cards_hold_what_each_source_counted() {
    let place = Place::make();
    let text = place.ok(&["zoo", "--details", "campplus"]);
    for wanted in
        ["7.18 million parameters", "Vox1-O (cleaned)", "  0.730  cosine  minDCF(0.01) 0.091"]
    {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let text = place.ok(&["zoo", "--details", "eres2net34"]);
    for wanted in ["192-d, 6.61 million parameters", "7.88 million parameters: the recipe"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let json = place.json(&["zoo", "--details", "eres2net34-large"]);
    assert_eq!(
        (&json["parameters"], &json["card"]["parameters"]),
        (&22_462_784.into(), &22_462_784.into())
    );
    assert_eq!(json["card"]["published_on_o"][0]["rates"][1]["min_dcf"][0], 0.055);
}
