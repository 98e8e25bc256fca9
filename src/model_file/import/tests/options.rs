//! What options and configurations say.

use super::*;

#[test]
fn options_and_configuration_must_not_contradict() {
    let place = Place::new();
    let path = place.write(&state("", 3));
    let config = place.dir.path().join("config.yaml");
    let run = |text: &str, options: ImportOptions| {
        std::fs::write(&config, text).unwrap();
        let options = ImportOptions { config: Some(config.clone()), ..options };
        import_noted(&path, &options, &Device::default()).map_err(|e| e.to_string())
    };
    let text = "model: ResNet10\n\
                model_args: {feat_dim: 16, embed_dim: 8, m_channels: 2}\n\
                dataset_args: {cmvn: false}\n";
    let imported = run(text, ImportOptions::default()).unwrap();
    assert!(
        !imported.model.header.frontend.cmn && imported.notes.is_empty(),
        "{:?}",
        imported.notes
    );
    run(
        text,
        ImportOptions { mels: Some(16), arch: Some("resnet10".into()), ..Default::default() },
    )
    .unwrap();
    let fails = |text: &str, options: ImportOptions, wanted: &str| {
        let error = run(text, options).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    };
    fails(
        text,
        ImportOptions { mels: Some(40), ..Default::default() },
        "mels 40, but the configuration says 16",
    );
    fails(
        text,
        ImportOptions { arch: Some("resnet18".into()), ..Default::default() },
        "arch \"resnet18\", but the configuration says \"resnet10\"",
    );
    fails(
        &text.replace("embed_dim: 8", "embed_dim: 16"),
        ImportOptions::default(),
        "model_args.embed_dim: 16",
    );
    fails(
        &text.replace("m_channels: 2", "m_channels: 32"),
        ImportOptions::default(),
        "m_channels: 32",
    );
    fails(
        &text.replace("m_channels: 2", "two_emb_layer: true"),
        ImportOptions::default(),
        "two_emb_layer: true",
    );
}

/// What a checkpoint leaves open must be said.
#[test]
fn what_nothing_tells_is_asked_for() {
    let place = Place::new();
    let path = place.write(&state("", 3));
    let fails = |options: ImportOptions, wanted: &str, remedy: Remedy| {
        let error = import_noted(&path, &options, &Device::default()).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert_eq!(error.remedy(), Some(&remedy));
    };
    fails(ImportOptions::default(), "name its architecture", Remedy::SayArchitecture);
    let arch = Some("resnet10".to_owned());
    let wanted = "`seg_1.weight` takes 64 values, but 80 mels with TSTP pooling give 320";
    fails(ImportOptions { arch, ..Default::default() }, wanted, Remedy::SayFrontEnd);
}

#[test]
fn what_is_no_file_lacks_no_name() {
    let dir = tempfile::tempdir().unwrap();
    for (name, wanted) in [("none.onnx", "none.onnx: cannot open"), ("", "is a folder, not a file")]
    {
        let (path, options) = (dir.path().join(name), ImportOptions::default());
        let error = import_noted(&path, &options, &Device::default()).unwrap_err();
        assert!(error.to_string().contains(wanted) && error.remedy().is_none(), "{error}");
    }
}
