//! Every key of a configuration is honoured or refused.

use super::*;
use crate::audio::Window;

/// A configuration with `line` in a section of `dataset_args`, in `dataset_args` itself, or at the
/// top.
fn read(section: &str, line: &str) -> Result<Config> {
    let mut text = String::from("model: ResNet10\nmodel_args: {feat_dim: 16, embed_dim: 8}\n");
    match section {
        "" => text += &format!("{line}\ndataset_args: {{}}\n"),
        "dataset_args" => text += &format!("dataset_args:\n  {line}\n"),
        nested => text += &format!("dataset_args:\n  {nested}:\n    {line}\n"),
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    Config::read(&path)
}

fn frontend(section: &str, line: &str) -> Frontend {
    read(section, line).unwrap_or_else(|e| panic!("{line}: {e}")).frontend
}

#[track_caller]
fn refused(section: &str, line: &str, wanted: &str) {
    let Err(error) = read(section, line) else { panic!("{line} was taken") };
    let error = error.to_string();
    let key = line.split(':').next().unwrap();
    let full = if section.is_empty() { key.to_owned() } else { format!("{key}: ") };
    assert!(
        error.contains("config.yaml:") && error.contains(&full) && error.contains(wanted),
        "{line}: {error}"
    );
}

#[test]
fn defaults_are_the_references() {
    let config = read("dataset_args", "shuffle: true").unwrap();
    let wanted = FbankConfig { mels: 16, dither: 1.0, ..FbankConfig::default() };
    assert_eq!(config.frontend, Frontend { fbank: wanted, cmn: true });
    assert_eq!((config.arch.as_str(), config.mels, config.pooling), ("resnet10", Some(16), None));
}

#[test]
fn mean_subtraction_is_what_three_keys_say_together() {
    for (line, cmn) in
        [("cmvn: false", false), ("cmvn: 'false'", false), ("cmvn: no", false), ("cmvn: 0", false)]
    {
        assert_eq!(frontend("dataset_args", line).cmn, cmn, "{line}");
    }
    for line in ["cmvn: true", "cmvn: 'True'", "cmvn: on", "cmvn: 1"] {
        assert!(frontend("dataset_args", line).cmn, "{line}");
    }
    assert!(!frontend("cmvn_args", "norm_mean: false").cmn);
    assert!(frontend("cmvn_args", "{norm_mean: true, norm_var: false}").cmn);
    assert!(frontend("fbank_args", "subtract_mean: true").cmn);
    // Without cmvn, norm_var has no effect.
    assert!(!frontend("dataset_args", "{cmvn: false, cmvn_args: {norm_var: true}}").cmn);
    assert!(frontend("dataset_args", "{cmvn: false, fbank_args: {subtract_mean: true}}").cmn);
    refused("cmvn_args", "norm_var: true", "variance");
    refused("cmvn_args", "norm_vars: true", "does not know");
    refused("dataset_args", "cmvn: maybe", "neither true nor false");
    refused("dataset_args", "cmvn:", "has no value");
}

#[test]
fn a_rate_is_the_same_whatever_its_type() {
    for rate in ["8000", "8000.0", "'8000'", "\"8e3\"", "8e3", "8_000", "0x1f40"] {
        assert_eq!(
            frontend("dataset_args", &format!("resample_rate: {rate}")).fbank.sample_rate,
            8000,
            "{rate}"
        );
    }
    for rate in [
        "-16000",
        "0",
        "999",
        "4294983296",
        "4294951296",
        "1e12",
        "1e400",
        ".inf",
        ".nan",
        "16000.5",
    ] {
        refused("dataset_args", &format!("resample_rate: {rate}"), rate);
    }
    for rate in ["[16000]", "{a: 1}", "~", "16 kHz", "true", "''"] {
        refused("dataset_args", &format!("resample_rate: {rate}"), "");
    }
}

#[test]
fn every_setting_of_the_filter_bank_is_honoured() {
    let fbank = |line: &str| frontend("fbank_args", line).fbank;
    let base = FbankConfig { mels: 16, dither: 1.0, ..FbankConfig::default() };
    assert_eq!(fbank("frame_length: 20"), FbankConfig { frame_length_ms: 20.0, ..base.clone() });
    assert_eq!(fbank("frame_shift: '12.5'"), FbankConfig { frame_shift_ms: 12.5, ..base.clone() });
    assert_eq!(fbank("dither: 0"), FbankConfig { dither: 0.0, ..base.clone() });
    assert_eq!(fbank("low_freq: 300"), FbankConfig { low_freq: 300.0, ..base.clone() });
    assert_eq!(fbank("high_freq: -400.0"), FbankConfig { high_freq: -400.0, ..base.clone() });
    assert_eq!(
        fbank("preemphasis_coefficient: 0.5"),
        FbankConfig { preemphasis: 0.5, ..base.clone() }
    );
    assert_eq!(
        fbank("remove_dc_offset: false"),
        FbankConfig { remove_dc_offset: false, ..base.clone() }
    );
    assert_eq!(fbank("snip_edges: false"), FbankConfig { snip_edges: false, ..base.clone() });
    assert_eq!(fbank("use_log_fbank: false"), FbankConfig { log: false, ..base.clone() });
    assert_eq!(fbank("use_power: 'False'"), FbankConfig { power: false, ..base.clone() });
    assert_eq!(fbank("window_type: povey"), FbankConfig { window: Window::Povey, ..base.clone() });
    for line in [
        "num_mel_bins: 16",
        "htk_compat: true",
        "energy_floor: 0.0",
        "sample_frequency: 16000.0",
        "channel: -1",
    ] {
        assert_eq!(fbank(line), base, "{line}");
    }
    for line in
        ["use_energy: false", "vtln_warp: 1.0", "round_to_power_of_two: true", "min_duration: 0"]
    {
        assert_eq!(fbank(line), base, "{line}");
    }
}

#[test]
fn what_would_change_features_otherwise_is_refused_by_name() {
    for line in [
        "use_energy: true",
        "round_to_power_of_two: false",
        "vtln_warp: 1.1",
        "min_duration: 0.5",
        "channel: 1",
        "sample_frequency: 8000",
        "window_type: rectangular",
        "num_mel_bins: 40",
        "num_mel_bins: -16",
        "num_mel_bins: 1e9",
        "frame_length: 1e12",
        "frame_length: -25",
        "frame_shift: 0",
        "frame_shift: .nan",
        "dither: -1",
        "preemphasis_coefficient: 2",
        "low_freq: x",
        "num_mels: 80",
        "sample_rate: 8000",
        "n_fft: 512",
    ] {
        refused("fbank_args", line, "");
    }
    for line in [
        "frontend: s3prl",
        "frontend: lfcc",
        "frontend: whisper_encoder",
        "frontend: w2vbert",
        "frontend: raw_wav",
        "frontend: FBANK",
        "raw_wav: true",
        "lfcc_args: {}",
        "feature_type: mfcc",
        "vad: true",
        "fbank_args: 80",
        "cmvn_args: [norm_mean]",
    ] {
        refused("dataset_args", line, "");
    }
    for line in ["resample_rate: 8000", "cmvn: false", "frontend: s3prl", "data_type: feat"] {
        refused("", line, "");
    }
    refused("", "feature_args: {raw_wav: false}", "raw_wav");
    refused("", "feature_args: {feat_dim: 40}", "40");
    assert!(frontend("", "feature_args: {raw_wav: True, num_frms: 200}").cmn);
    // Settings of a front-end that was not chosen have no effect.
    frontend("dataset_args", "{frontend: fbank, s3prl_args: {layer: -1}}");
    // Each value is possible, but not both together.
    refused_together("fbank_args", "{low_freq: 5000, high_freq: 4000}", "Hz");
    refused_together("fbank_args", "{frame_length: 1, frame_shift: 1}", "mel filter");
}

#[track_caller]
fn refused_together(section: &str, line: &str, wanted: &str) {
    let Err(error) = read(section, line) else { panic!("{line} was taken") };
    let error = error.to_string();
    assert!(error.contains("config.yaml: dataset_args") && error.contains(wanted), "{error}");
}

#[test]
fn networks_are_named_and_compared() {
    let read = |text: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    };
    let fails = |text: &str, wanted: &str| {
        let Err(error) = read(text) else { panic!("{text} was taken") };
        assert!(error.to_string().contains(wanted), "{error}");
    };
    fails("dataset_args: {}", "no `model:` in this configuration: add it, such as");
    fails(
        "model: REPVGG_A0",
        "config.yaml:1: model: revox has no REPVGG_A0; it has ResNet18, ResNet34,",
    );
    fails("model: ResNet18\nmodel_args: {pooling_func: XI}", "TSDP, ASTP and MQMHASTP are");
    fails("model: ResNet18\nmodel_args: {feat_dim: -1}", "feat_dim");
    fails("model: ResNet18\nmodel_args: {emb_bn: true}", "emb_bn");
    let Err(error) = read("dataset_args: {}") else { panic!("it was taken") };
    assert_eq!(error.remedy(), Some(&Remedy::SayArchitectureInstead));
    fails("[a, b]", "not a map");
    let config =
        read("model: Gemini_DF_ResNet114\nmodel_args:\n  embed_dim: 192\n  two_emb_layer: False")
            .unwrap();
    assert_eq!((config.arch.as_str(), config.notes.len()), ("gemini-df-resnet114", 1));
    let arch =
        Architecture { embedding_dim: 192, ..Architecture::named("gemini-df-resnet114").unwrap() };
    config.agrees(&arch, Path::new("x.pt")).unwrap();
    let other = Architecture { embedding_dim: 256, ..arch.clone() };
    let error = config.agrees(&other, Path::new("x.pt")).unwrap_err().to_string();
    assert!(
        error.contains("config.yaml:3: model_args.embed_dim: 192, but x.pt has 256"),
        "{error}"
    );
    let two = Architecture { two_embedding_layers: true, ..arch };
    assert!(
        config.agrees(&two, Path::new("x.pt")).unwrap_err().to_string().contains("two_emb_layer")
    );
}
