//! Every family's checkpoints, told by their shapes, and what errors say of them.

use super::*;
use crate::nn::PoolingKind;
use crate::zoo::{CamPlusPlus, Ecapa, Res2Net, Tdnn};

/// A small network.
fn small(name: &str, width: usize, mels: usize) -> Architecture {
    Architecture { width, mels, embedding_dim: 8, ..Architecture::named(name).unwrap() }
}

fn ecapa(pooling: PoolingKind, embedding_norm: bool) -> Architecture {
    let layers = embedding_norm.then_some(Layers::Ecapa(Ecapa { embedding_norm }));
    Architecture { pooling, layers, ..small("ecapa-tdnn-512", 16, 24) }
}

/// Imports a network's checkpoint, of which only the name is known.
fn read(saved: &[Saved], options: ImportOptions) -> Result<Imported, String> {
    let place = Place::new();
    import_noted(&place.write(saved), &options, &Device::default()).map_err(|e| e.to_string())
}

fn named(name: &str) -> ImportOptions {
    ImportOptions { arch: Some(name.to_owned()), ..ImportOptions::default() }
}

#[track_caller]
fn told(arch: &Architecture) {
    let imported = read(&state_of(arch, "module.", 5), named(&arch.name)).unwrap();
    assert_eq!(imported.model.header.arch, *arch);
    assert_eq!(imported.model.header.frontend.fbank.mels, arch.mels);
    let wanted = values(&arch.init(&Device::default(), 5).unwrap());
    assert_eq!(values(&imported.model.network), wanted, "{}", arch.name);
    let noted = imported.notes.iter().any(|note| note.contains("other sizes"));
    assert_eq!(noted, arch.layers.is_some(), "{:?}", imported.notes);
}

#[test]
fn shapes_tell_a_networks_sizes() {
    told(&ecapa(PoolingKind::Astp, false));
    told(&ecapa(PoolingKind::AstpGlobal, true));
    told(&ecapa(PoolingKind::Tstp, false));
    told(&ecapa(PoolingKind::Mqmhastp, true));
    let layers = Some(Layers::CamPlusPlus(CamPlusPlus { growth: 4, bottleneck: 2 }));
    told(&Architecture { layers, ..small("campplus", 16, 16) });
    let layers = Some(Layers::Tdnn(Tdnn { statistics: 16 }));
    let tdnn = Architecture { layers, ..small("tdnn", 8, 12) };
    told(&tdnn);
    told(&Architecture { two_embedding_layers: false, ..tdnn.clone() });
    told(&Architecture { pooling: PoolingKind::Mqmhastp, ..tdnn });
    told(&small("redimnet-b0", 4, 60));
    told(&small("redimnet2-b0", 4, 40));
    told(&small("simam-resnet34", 4, 80));
    let two = Architecture { two_embedding_layers: true, ..small("res2net34", 8, 80) };
    told(&two);
}

/// Layers that no published network has.
fn other_layers() -> Option<Layers> {
    Some(Layers::Res2Net(Res2Net {
        blocks: [1, 1, 1, 1],
        base_width: 32,
        scale: 2,
        expansion: 2,
        fusion: true,
    }))
}

/// Sizes that shapes leave open come from the options.
#[test]
fn layers_may_be_said() {
    let layers = other_layers();
    let arch = Architecture { layers: layers.clone(), ..small("eres2net34", 8, 40) };
    let saved = state_of(&arch, "", 5);
    let said = ImportOptions { layers, mels: Some(40), ..named("eres2net34") };
    assert_eq!(read(&saved, said.clone()).unwrap().model.header.arch, arch);
    let error = read(&saved, ImportOptions { layers: None, ..said.clone() }).unwrap_err();
    assert!(error.contains("no tensor `layer1.1.conv1.weight`"), "{error}");
    let saved = state_of(&small("tdnn", 8, 40), "", 5);
    let error = read(&saved, ImportOptions { arch: Some("tdnn".into()), ..said }).unwrap_err();
    assert!(error.contains("another family than that of `tdnn`"), "{error}");
}

#[test]
fn a_configuration_says_the_layers() {
    let place = Place::new();
    let arch = ecapa(PoolingKind::AstpGlobal, true);
    let path = place.write(&state_of(&arch, "", 5));
    let config = place.dir.path().join("config.yaml");
    let run = |args: &str| {
        let text = format!("model: ECAPA_TDNN\nmodel_args: {{feat_dim: 24, {args}}}\n");
        std::fs::write(&config, text).unwrap();
        let options = ImportOptions { config: Some(config.clone()), ..ImportOptions::default() };
        import_noted(&path, &options, &Device::default()).map_err(|e| e.to_string())
    };
    let imported = run("channels: 16, emb_bn: true, global_context_att: true").unwrap();
    // The name is that of the nearest row.
    let wanted = Architecture { name: "ecapa-tdnn-glob-512".into(), ..arch };
    assert_eq!(imported.model.header.arch, wanted);
    let fails = |args: &str, wanted: &str| {
        let error = run(args).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    };
    fails("emb_bn: false, global_context_att: true", "`bn2.bias` has no place in ecapa-tdnn-glob");
    fails("emb_bn: true", "`pool.linear1.weight` has shape [128, 4608, 1]");
    fails("emb_bn: true, pooling_func: TAP", "`linear.weight` takes 3072 values");
    fails("channels: 512, emb_bn: true, global_context_att: true", "model_args.channels: 512");
}

#[test]
fn an_error_says_what_a_checkpoint_looks_like() {
    let ecapas = "it looks like ecapa-tdnn-512 or ecapa-tdnn-1024";
    let saved = state_of(&ecapa(PoolingKind::Astp, false), "model.", 5);
    let unnamed = ImportOptions::default;
    for (options, wanted) in [
        (unnamed(), "does not name its architecture"),
        (named("campplus"), "no tensor `xvector.tdnn.linear.weight`"),
        (named("resnet34"), "no tensor `conv1.weight`"),
    ] {
        let error = read(&saved, options).unwrap_err();
        assert!(error.contains(wanted) && error.ends_with(ecapas), "{error}");
    }
    // Shapes tell which of four it is.
    let saved = state_of(&ecapa(PoolingKind::AstpGlobal, false), "", 5);
    let error = read(&saved, unnamed()).unwrap_err();
    assert!(error.ends_with("like ecapa-tdnn-glob-512 or ecapa-tdnn-glob-1024"), "{error}");
    let saved = state("", 5);
    let error = read(&saved, unnamed()).unwrap_err();
    assert!(error.ends_with("it looks like resnet10"), "{error}");
    let error = read(&saved, ImportOptions { mels: Some(16), ..named("resnet18") }).unwrap_err();
    assert!(error.contains("`layer1.1.conv1.weight`"), "{error}");
    assert!(error.ends_with("it looks like resnet10"), "{error}");
    // One of its own kind, and one of no kind.
    let mut saved = saved;
    saved.retain(|(name, ..)| name != "bn1.bias");
    let error = read(&saved, ImportOptions { mels: Some(16), ..named("resnet10") }).unwrap_err();
    assert!(error.contains("no tensor `bn1.bias`") && !error.contains("looks like"), "{error}");
    let error = read(&[tensor("conv1.weight", &[2, 1, 3, 3])], unnamed()).unwrap_err();
    assert!(!error.contains("looks like"), "{error}");
}

/// Sizes that are not the published ones stand in a configuration.
#[test]
fn an_error_about_sizes_says_what_to_do() {
    let fails = |saved: &[Saved], options: ImportOptions| {
        let place = Place::new();
        import_noted(&place.write(saved), &options, &Device::default()).unwrap_err()
    };
    let layers = other_layers();
    let arch = Architecture { layers, ..small("eres2net34", 8, 40) };
    let saved = state_of(&arch, "", 5);
    let error = fails(&saved, ImportOptions { mels: Some(40), ..named("eres2net34") });
    assert_eq!(error.remedy(), Some(&Remedy::SaySizes), "{error}");
    // A width that the published stages cannot have.
    let saved =
        [tensor("backbone.stem.0.weight", &[9, 1, 3, 3]), tensor("linear.weight", &[8, 128])];
    let error = fails(&saved, named("redimnet2-b6"));
    assert_eq!(error.remedy(), Some(&Remedy::SaySizes), "{error}");
    assert!(error.to_string().ends_with("; its tensors tell a width of 9"), "{error}");
    // Of no network at all, and of another one.
    let error = fails(&[tensor("a", &[1])], named("redimnet2-b6"));
    assert_eq!(error.remedy(), Some(&Remedy::SayArchitecture), "{error}");
    let saved = state_of(&ecapa(PoolingKind::Astp, false), "", 5);
    let error = fails(&saved, named("redimnet2-b6"));
    assert!(error.remedy().is_none() && error.to_string().contains("it looks like"), "{error}");
}
