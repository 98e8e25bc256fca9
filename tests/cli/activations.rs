//! `revox quantize --activations`: models that compute in integers, and their use.

use serde_json::Value;

use crate::Place;

const PITCHES: [f64; 4] = [100.0, 130.0, 180.0, 220.0];

/// A place with a model and a list of four utterances.
fn place() -> Place {
    let place = Place::make();
    place.model("m.safetensors");
    let mut list = String::new();
    for (i, pitch) in PITCHES.into_iter().enumerate() {
        place.wav(&format!("{i}.wav"), 1.0, pitch);
        list += &format!("u{i} {i}.wav\n");
    }
    place.write("wav.scp", &list);
    place
}

/// The command that gives a model ranges.
fn args<'a>(model: &'a str, audio: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let first =
        ["quantize", model, "--activations", "int8", "--calibrate", audio, "-o", output, "--quiet"];
    [&first[..], more].concat()
}

const ALL: [&str; 2] = ["--floats", "none"];
const PACKED: [&str; 4] = ["--bits", "3", "--set", "quantize.small_layers=fewer-bits"];

fn read(place: &Place, name: &str) -> Vec<u8> {
    std::fs::read(place.path(name)).unwrap()
}

fn score(place: &Place, model: &str, more: &[&str]) -> Value {
    place.json(&[&["compare", model, "0.wav", "2.wav"][..], more].concat())["score"].clone()
}

#[test]
fn a_model_with_ranges_computes_in_integers() {
    let place = place();
    let made = place.json(&args("m.safetensors", "wav.scp", "i.safetensors", &ALL));
    let activations = &made["activations"];
    assert_eq!((&activations["bits"], &activations["utterances"]), (&8.into(), &4.into()));
    assert_eq!(activations["method"], "percentile");
    assert!(activations["layers"].as_u64() > Some(3), "{made}");
    let [mean, largest] = ["cosine_distance", "largest_cosine_distance"]
        .map(|what| made["calibration"][what].as_f64().unwrap());
    assert!(mean > 0.0 && largest >= mean, "{made}");
    let utterance = made["calibration"]["utterance"].as_str().unwrap();
    assert!(["u0", "u1", "u2", "u3"].contains(&utterance), "{made}");
    let bytes = read(&place, "i.safetensors");
    assert_eq!(made["bytes"].as_u64(), Some(bytes.len() as u64));
    let info = place.json(&["info", "i.safetensors"]);
    assert_eq!((&info["activations"], &info["layers"]), (activations, &made["layers"]));
    assert!(place.json(&["info", "m.safetensors"])["activations"].is_null());
    let text = place.ok(&["info", "i.safetensors"]);
    assert!(text.contains("activations   8 bits in") && text.contains("percentile"), "{text}");
    // The weights are those of before, and nothing is random but the choice of utterances.
    let tensors = |name| revox::model_file::read_safetensors(&place.path(name)).unwrap().0.0;
    assert!(tensors("i.safetensors") == tensors("m.safetensors"));
    let text = place.ok(&args("m.safetensors", "wav.scp", "again.safetensors", &ALL));
    assert!(text.contains("in 8 bits (ranges by percentile, 4 utterances)"), "{text}");
    assert!(text.contains("to f32, on these utterances: mean "), "{text}");
    assert!(text.contains(&format!("({utterance})")), "{text}");
    assert!(read(&place, "again.safetensors") == bytes);
    // A model that has ranges already gets the same ones again.
    place.ok(&args("i.safetensors", "wav.scp", "again.safetensors", &ALL));
    assert!(read(&place, "again.safetensors") == bytes);
    assert_ne!(score(&place, "i.safetensors", &[]), score(&place, "m.safetensors", &[]));
    let mse = [&ALL[..], &["--range", "mse"]].concat();
    let made = place.json(&args("m.safetensors", "wav.scp", "mse.safetensors", &mse));
    assert_eq!(made["activations"]["method"], "mse");
}

#[cfg(feature = "ndarray")]
#[test]
fn other_backends_compute_activations_in_f32_and_say_so() {
    let place = place();
    place.ok(&args("m.safetensors", "wav.scp", "i.safetensors", &ALL));
    let ndarray = ["--backend", "ndarray"];
    assert_eq!(score(&place, "i.safetensors", &ndarray), score(&place, "m.safetensors", &ndarray));
    let note = "activations are computed in f32";
    for verb in [&["compare", "MODEL", "0.wav", "2.wav"][..], &["embed", "MODEL", "0.wav"]] {
        for (model, backend, notes) in [
            ("i.safetensors", "ndarray", 1),
            ("i.safetensors", "flex", 0),
            ("m.safetensors", "ndarray", 0),
        ] {
            let mut args: Vec<&str> =
                verb.iter().map(|&word| if word == "MODEL" { model } else { word }).collect();
            args.extend(["--backend", backend]);
            if verb[0] == "embed" {
                args.extend(["-o", "e.safetensors"]);
            }
            let ran = place.run(&args);
            assert_eq!((ran.code, ran.err.matches(note).count()), (0, notes), "{}", ran.err);
        }
    }
}

#[test]
fn weights_are_packed_before_or_at_the_same_time() {
    let place = place();
    let both = [&ALL[..], &PACKED].concat();
    let made = place.json(&args("m.safetensors", "wav.scp", "both.safetensors", &both));
    assert!(made["ratio"].as_f64() > Some(2.0) && made["calibration"].is_object(), "{made}");
    let pack = |model: &str, output: &str| {
        place.run(&[&["quantize", model, "-o", output][..], &PACKED].concat())
    };
    assert_eq!(pack("m.safetensors", "p.safetensors").code, 0);
    let text = place.ok(&args("p.safetensors", "wav.scp", "after.safetensors", &ALL));
    assert!(text.contains("to the same weights with f32 activations"), "{text}");
    assert!(read(&place, "after.safetensors") == read(&place, "both.safetensors"));
    let text = place.ok(&["info", "both.safetensors"]);
    assert!(text.contains("bits a weight") && text.contains("activations   8 bits"), "{text}");
    assert!(score(&place, "both.safetensors", &[]).is_number());
    // Ranges are those of the model's weights. Other weights are written without them.
    place.ok(&args("m.safetensors", "wav.scp", "i.safetensors", &ALL));
    let ran = pack("i.safetensors", "again.safetensors");
    assert!(ran.code == 0 && ran.err.contains("computes activations in f32"), "{}", ran.err);
    assert!(read(&place, "again.safetensors") == read(&place, "p.safetensors"));
    // So is an ONNX file.
    let ran = place.run(&["export", "i.safetensors", "-o", "x.onnx"]);
    assert!(ran.code == 0 && ran.err.contains("computes activations in f32"), "{}", ran.err);
    place.fails(
        &args("p.safetensors", "wav.scp", "x.safetensors", &["--bits", "4"]),
        &["p.safetensors: is quantized"],
    );
}

#[test]
fn layers_stay_in_f32_by_name_or_by_cost() {
    let place = place();
    let layers = |more: &[&str]| {
        let made = place.json(&args("m.safetensors", "wav.scp", "i.safetensors", more));
        let floats = made["calibration"]["floats"].as_array().unwrap().clone();
        (made["activations"]["layers"].as_u64().unwrap(), floats)
    };
    let (all, floats) = layers(&ALL);
    assert!(floats.is_empty(), "{floats:?}");
    let names = "layer3.0.conv1.weight,layer4.0.conv2.weight";
    let (fewer, _) = layers(&["--floats", names]);
    assert_eq!(fewer + 2, all);
    let (by_cost, floats) = layers(&[]);
    assert_eq!(by_cost + floats.len() as u64, all);
    assert_eq!(layers(&["--floats", "auto"]), (by_cost, floats));
    place.fails(
        &args("m.safetensors", "wav.scp", "x.safetensors", &["--floats", "none,conv9.weight"]),
        &["`none` is unknown, or in f32 in any case", "layer4.0.conv2.weight"],
    );
}

#[test]
fn utterances_are_listed_or_lie_in_folders() {
    let place = place();
    let ranges = |audio: &str, more: &[&str]| {
        place.ok(&args("m.safetensors", audio, "i.safetensors", &[&ALL[..], more].concat()));
        let info = place.json(&["info", "i.safetensors"]);
        (info["activations"]["utterances"].as_u64().unwrap(), read(&place, "i.safetensors"))
    };
    let listed = ranges("wav.scp", &[]);
    assert_eq!(listed.0, 4);
    // The folder of a list, folders of speakers whose files have equal names, WeSpeaker's list.
    let mut raw = String::new();
    for i in 0..4 {
        let (from, name) = (format!("{i}.wav"), format!("audio/{i}/a.wav"));
        std::fs::create_dir_all(place.path(&name).parent().unwrap()).unwrap();
        std::fs::copy(place.path(&from), place.path(&name)).unwrap();
        raw += &format!("{{\"key\": \"u{i}\", \"wav\": \"{i}.wav\", \"spk\": \"s\"}}\n");
    }
    place.write("audio/notes.txt", "no audio");
    place.write("audio/.hidden/b.wav", "no audio either");
    place.write("raw.list", &raw);
    for audio in [".", "audio", "raw.list"] {
        assert!(ranges(audio, &[]) == listed, "{audio}");
    }
    // Of a long list some are drawn.
    let mut long = String::new();
    for i in 0..70 {
        let name = format!("many/{i}.wav");
        place.wav(&name, 0.3, 90.0 + 2.0 * f64::from(i));
        long += &format!("u{i} {name}\n");
    }
    place.write("long.scp", &long);
    let some = ranges("long.scp", &[]);
    assert_eq!(some.0, 64);
    assert!(ranges("long.scp", &["--seed", "0"]) == some);
    assert!(ranges("long.scp", &["--seed", "1"]) != some);
    let mut loud = args("m.safetensors", "long.scp", "i.safetensors", &ALL);
    loud.retain(|word| *word != "--quiet");
    let ran = place.run(&loud);
    assert!(ran.err.contains("64 of 70 utterances, drawn under seed 0"), "{}", ran.err);
    assert!(ran.err.contains("thresholds in the model"), "{}", ran.err);
}

#[test]
fn few_and_faint_utterances_are_warned_of() {
    let place = place();
    let faint: Vec<f32> = (0..16000).map(|i| 2e-4 * (0.05 * i as f32).sin()).collect();
    revox::audio::write_wav16(place.path("faint.wav"), &faint, 16000).unwrap();
    place.write("faint.scp", "a 0.wav\nb faint.wav\n");
    let chosen = args("m.safetensors", "faint.scp", "i.safetensors", &ALL);
    let ran = place.run(&chosen);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("warning: the calibration is on 2 utterances"), "{}", ran.err);
    assert!(ran.err.contains("very faint audio, first ") && ran.err.contains("faint.wav"));
}

#[test]
fn impossible_wishes_and_bad_audio_are_refused() {
    let place = place();
    for wrong in [
        &["--activations", "int8"][..],
        &["--activations", "int4", "--calibrate", "wav.scp"],
        &["--activations", "int8", "--calibrate", "wav.scp", "--range", "minmax"],
        &["--activations", "int8", "--calibrate", "wav.scp", "--pareto", "sizes.svg"],
        &["--calibrate", "wav.scp"],
        &["--range", "mse"],
        &["--floats", "none"],
        &["--channel", "0"],
    ] {
        let ran = place.run(&[&["quantize", "m.safetensors", "-o", "x.st"], wrong].concat());
        assert_eq!(ran.code, 2, "{wrong:?}: {}", ran.err);
    }
    let fails = |audio: &str, wanted: &[&str]| {
        for more in [&ALL[..], &PACKED] {
            place.fails(&args("m.safetensors", audio, "x.safetensors", more), wanted);
        }
    };
    revox::audio::write_wav16(place.path("zero.wav"), &[0.0; 16000], 16000).unwrap();
    place.write("text.wav", "this is a text renamed to .wav");
    place.wav("short.wav", 0.02, 100.0);
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 16000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut two = hound::WavWriter::create(place.path("two.wav"), spec).unwrap();
    (0..32000i32).for_each(|i| two.write_sample((i * i % 4001) as i16).unwrap());
    two.finalize().unwrap();
    for (file, wanted) in [
        ("zero.wav", "silent: its samples do not change"),
        ("text.wav", "no audio file of a known format"),
        ("short.wav", "shorter than one frame"),
        ("absent.wav", "absent.wav"),
        ("two.wav", "--channel"),
    ] {
        place.write("bad.scp", &format!("a 0.wav\nb {file}\n"));
        fails("bad.scp", &["bad.scp:2: ", file, wanted]);
    }
    let chosen = ["--channel", "0", "--floats", "none"];
    place.ok(&args("m.safetensors", "bad.scp", "i.safetensors", &chosen));
    std::fs::create_dir(place.path("empty")).unwrap();
    fails("empty", &["empty: has neither audio files nor a list"]);
    fails("none.scp", &["none.scp: cannot read"]);
    place.write("bad.scp", "a\n");
    fails("bad.scp", &["bad.scp:1: one field"]);
    place.fails(&args("m.safetensors", "wav.scp", "1.wav", &[]), &["1.wav", "would be lost"]);
    place.fails(&args("0.wav", "wav.scp", "x.safetensors", &[]), &["0.wav: not a readable"]);
    assert!(!place.path("x.safetensors").exists());
}
