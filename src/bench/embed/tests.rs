//! Figures of small networks.

use super::*;

#[test]
fn every_network_has_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = EmbedBench {
        // Not the front-end's usual number of mels.
        architectures: vec!["redimnet2-b0".into()],
        bits: 4,
        frames: 20,
        runs: 1,
        backend: "flex",
        level: Level::best(),
        save: Some(folder.path().join("models")),
    };
    let mut reports = 0;
    let figures = embed(&bench, &Device::default(), &mut |_| reports += 1).unwrap();
    // With the feature `cli`, rten adds three, and says itself that it begins.
    let more = usize::from(cfg!(feature = "cli"));
    assert_eq!((figures.len(), reports), (48 + 3 * more, 5 + more));
    let of = |what: &str| {
        figures.iter().find(|f| f.name == format!("embed/redimnet2-b0/{what}")).unwrap()
    };
    let value = |what: &str| of(what).value;
    for form in ["f32", "packed", "runtime/f32", "runtime/int8", "runtime/packed"] {
        let giga = value(form) * value(&format!("{form}/rate"));
        let macs = Architecture::named("redimnet2-b0").unwrap().account(20).unwrap().macs();
        assert!((1e9 * giga / macs as f64 - 1.0).abs() < 1e-9, "{form}: {giga}");
        let by = if form.starts_with("runtime") { bench.level.name() } else { "flex" };
        assert_eq!(of(form).backend, by);
    }
    assert_eq!(value("ratio"), value("packed") / value("f32"));
    assert_eq!(value("runtime/ratio"), value("runtime/packed") / value("runtime/f32"));
    assert_eq!(value("runtime/f32/ratio"), value("runtime/f32") / value("f32"));
    assert!(value("runtime/f32/off") < 1e-5 && value("runtime/packed/off") < 1e-5);
    if cfg!(feature = "cli") {
        assert!(value("rten/off") < 1e-4, "{}", value("rten/off"));
        assert_eq!(value("runtime/of-rten"), value("runtime/f32") / value("rten"));
    }
    assert_eq!(value("runtime/int8/of-floats"), value("runtime/int8") / value("runtime/f32"));
    assert!(value("runtime/int8/off") > 1e-5 && value("runtime/int8/distance") > 0.0);
    assert!(value("runtime/int8/weights") < value("runtime/f32/weights"));
    assert!(value("runtime/packed-int8/weights") < value("runtime/int8/weights"));
    assert!(value("runtime/packed-int8/distance") > 0.0);
    assert!(value("packed/file") > 1e5 && value("runtime/packed/arena") > 1e4);
    assert!(4.0 * value("runtime/packed/weights") < 3.0 * value("runtime/f32/weights"));
    for (file, is_packed, is_int8) in [
        ("redimnet2-b0", false, false),
        ("redimnet2-b0-int8", false, true),
        ("redimnet2-b0-packed", true, false),
        ("redimnet2-b0-packed-int8", true, true),
    ] {
        let path = folder.path().join(format!("models/{file}.safetensors"));
        let header = Model::load(path, &Device::default()).unwrap().header;
        assert_eq!(header.quantization.is_empty(), !is_packed);
        assert_eq!(header.activations.is_some(), is_int8);
    }
    let foreign = if cfg!(target_arch = "x86_64") { Level::Neon } else { Level::Avx512 };
    let lacking = EmbedBench { level: foreign, ..bench.clone() };
    let error = embed(&lacking, &Device::default(), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("processor has no"), "{error}");
    let impossible = EmbedBench { bits: 9, ..bench.clone() };
    let error = embed(&impossible, &Device::default(), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("bits = 9"), "{error}");
    bench.architectures = vec!["resnet11".into()];
    assert!(embed(&bench, &Device::default(), &mut |_| ()).is_err());
}

#[test]
fn differences_are_parts_of_the_largest_value() {
    assert_eq!(off(&[1.0, -3.0], &[1.5, -4.0]).unwrap(), 0.25);
    for (ours, wanted) in [([0.0], [0.0]), ([f32::NAN], [1.0]), ([1.0], [f32::INFINITY])] {
        off(&ours, &wanted).unwrap_err();
    }
}
