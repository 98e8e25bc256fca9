//! What `revox info` tells of files that are no models.

use revox::scoring::Embeddings;

use crate::Place;

fn embeddings() -> Embeddings {
    let mut all = Embeddings::new(3);
    for i in 0..5u8 {
        all.push(&format!("u{i}"), &[f32::from(i), 1.0, -1.0]).unwrap();
    }
    all
}

#[test]
fn embeddings_are_described_in_every_form() {
    let place = Place::make();
    let root = place.path("").display().to_string();
    for (output, input, form, checksum) in [
        ("@e.safetensors", "e.safetensors", "safetensors", "holds"),
        ("@e", "e", "safetensors", "holds"),
        ("@e.npz", "e.npz", "npz", "holds"),
        ("@e.ark", "e.ark", "kaldi", "none"),
        ("ark,scp:@x.ark,@x.scp", "x.scp", "kaldi", "none"),
        ("ark,t:@y", "ark:y", "kaldi", "none"),
    ] {
        embeddings().save_as(output.replace('@', &root)).unwrap();
        let json = place.json(&["info", input]);
        for (key, wanted) in [
            ("kind", "embeddings"),
            ("form", form),
            ("checksum", checksum),
            ("first_id", "u0"),
            ("last_id", "u4"),
        ] {
            assert_eq!(json[key], wanted, "{input}: {json}");
        }
        assert_eq!((&json["embeddings"], &json["embedding_dim"]), (&5.into(), &3.into()));
        let bytes = std::fs::metadata(place.path(input)).ok().map(|about| about.len());
        assert_eq!(json["bytes"].as_u64(), bytes, "{input}: {json}");
        let text = place.ok(&["info", input]);
        assert!(text.contains("5 of 3 values") && text.contains("u4"), "{text}");
    }
    let json = place.json(&["info", "e.safetensors", "--no-checksum"]);
    assert_eq!(json["checksum"], "unchecked", "{json}");
    place.fails(&["info", "e.safetensors", "--layers"], &["e.safetensors: is no model"]);
    let mut bytes = std::fs::read(place.path("e.safetensors")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(place.path("e.safetensors"), bytes).unwrap();
    place.fails(&["info", "e.safetensors"], &["e.safetensors: is damaged", "SHA-256"]);
}

#[test]
fn models_and_unknown_files_are_told_as_before() {
    let place = Place::make();
    place.model("m.safetensors");
    let json = place.json(&["info", "m.safetensors"]);
    assert_eq!((&json["kind"], &json["embedding_dim"]), (&"model".into(), &16.into()));
    place.write("text", "a b c\n");
    place.write("checkpoint.pt", "PK\u{3}\u{4} and so on");
    for name in ["text", "checkpoint.pt"] {
        place.fails(&["info", name], &[name, "not a readable safetensors file"]);
    }
    // What they are is said, and what makes a model of them.
    place.write("x.onnx", "\u{8}\u{8}\u{12}\u{5}other");
    place.wav("a.wav", 0.5, 100.0);
    for verb in
        [&["compare", "x.onnx", "a.wav", "a.wav"][..], &["embed", "x.onnx", "a.wav", "-o", "e"]]
    {
        place.fails(verb, &["x.onnx: ", "it is an ONNX file", "`revox import FILE"]);
    }
    place.fails(&["compare", "text", "a.wav", "a.wav"], &["text: ", "it is a text"]);
    place.write("folder/wav.scp", "a a.wav\n");
    for name in ["folder", "none"] {
        place.fails(&["info", name], &[name, "cannot read"]);
    }
}

#[test]
fn shards_are_described_with_and_without_an_index() {
    let place = Place::make();
    let mut lists = [String::new(), String::new()];
    for i in 0..8 {
        place.wav(&format!("{i}.wav"), 0.5 + 0.1 * f64::from(i % 3), 90.0 + 17.0 * f64::from(i));
        lists[0] += &format!("u{i} {i}.wav\n");
        lists[1] += &format!("u{i} s{}\n", i % 3);
    }
    place.write("wav.scp", &lists[0]);
    place.write("utt2spk", &lists[1]);
    place.ok(&["pack", ".", "shards", "--per-shard", "3"]);
    let names = place.list("shards");
    let size = |name: &String| std::fs::metadata(place.path("shards").join(name)).unwrap().len();
    let bytes: u64 = names.iter().filter(|name| name.ends_with(".tar")).map(size).sum();
    let described = |name: &str| {
        let mut json = place.json(&["info", name]);
        for (key, wanted) in [("utterances", 8), ("speakers", 3), ("shards", 3), ("bytes", bytes)] {
            assert_eq!(json[key], wanted, "{name}: {json}");
        }
        assert_eq!((&json["kind"], &json["largest"]["utterances"]), (&"shards".into(), &3.into()));
        assert!(json["audio_bytes"].as_u64() < Some(bytes), "{json}");
        json["index"].take()
    };
    for name in ["shards", "shards/shard.list", "shards/shard.index.tsv"] {
        assert_eq!(described(name), true, "{name}");
    }
    let text = place.ok(&["info", "shards"]);
    assert!(text.contains("8 of 3 speakers") && text.contains("with an index"), "{text}");
    std::fs::remove_file(place.path("shards/shard.index.tsv")).unwrap();
    assert_eq!(described("shards"), false);
    assert_eq!(place.ok(&["info", "shards"]).lines().count(), 7);
    std::fs::remove_file(place.path("shards/shards_000000001.tar")).unwrap();
    place.fails(&["info", "shards"], &["shard.list:2: ", "no such file"]);
}
