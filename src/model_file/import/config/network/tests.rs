//! Configurations of every class become architectures, and what they cannot have is refused.

use std::path::Path;

use super::*;
use crate::error::Error;
use crate::zoo::{Context, ReDimNet2, ReDimNetStage};

/// A configuration of a class with these arguments, in YAML's flow style.
fn read(class: &str, args: &str) -> Result<Config> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    let text = format!("model: {class}\nmodel_args: {{{args}}}\ndataset_args: {{}}\n");
    std::fs::write(&path, text).unwrap();
    Config::read(&path)
}

#[track_caller]
fn taken(class: &str, args: &str) -> Config {
    read(class, args).unwrap_or_else(|e| panic!("{class} {args}: {e}"))
}

#[track_caller]
fn refused(class: &str, args: &str, wanted: &str) {
    let Err(error) = read(class, args) else { panic!("{class} {args} was taken") };
    let error = error.to_string();
    assert!(error.contains("config.yaml:") && error.contains(wanted), "{class} {args}: {error}");
}

#[test]
fn every_class_is_a_network_of_the_zoo() {
    for class in CLASSES {
        let config = taken(class.name, "");
        assert!(class.rows.contains(&config.arch.as_str()), "{}: {}", class.name, config.arch);
        if class.rows.len() == 1 {
            assert_eq!(config.layers, None, "{}", class.name);
            let usual = Architecture::named(&config.arch).unwrap().pooling;
            assert!(config.pooling.is_none_or(|kind| kind == usual), "{}", class.name);
        }
    }
}

#[test]
fn poolings_see_all_frames_where_the_class_or_an_argument_says_so() {
    use PoolingKind::{Asp, Astp, AstpGlobal, Mqmhastp, Tap, Tstp};
    for (class, args, wanted) in [
        ("ResNet34", "", None),
        ("ResNet34", "pooling_func: MQMHASTP", Some(Mqmhastp)),
        ("ECAPA_TDNN_c512", "pooling_func: ASTP", Some(Astp)),
        ("ECAPA_TDNN_GLOB_c512", "pooling_func: ASTP", Some(AstpGlobal)),
        ("ECAPA_TDNN_GLOB_c1024", "pooling_func: TAP", Some(Tap)),
        ("ECAPA_TDNN", "global_context_att: true", Some(AstpGlobal)),
        ("ECAPA_TDNN", "channels: 1024", Some(Astp)),
        ("ReDimNetB1", "", None),
        ("ReDimNetB2", "", Some(AstpGlobal)),
        ("ReDimNet", "", None),
        ("ReDimNet2B6", "pooling_func: ASTP", Some(AstpGlobal)),
        ("ReDimNet2B6", "global_context_att: false", Some(Astp)),
        ("SimAM_ResNet34_ASP", "", Some(Asp)),
        ("XVEC", "pooling_func: TSTP", Some(Tstp)),
    ] {
        assert_eq!(taken(class, args).pooling, wanted, "{class} {args}");
    }
    for other in ["ASP", "ASTP-GLOBAL", "XI", "tstp"] {
        refused("ECAPA_TDNN_c512", &format!("pooling_func: {other}"), "are supported");
    }
}

#[test]
fn a_class_of_all_sizes_is_called_after_the_nearest_network() {
    for (class, args, wanted) in [
        ("ECAPA_TDNN", "", "ecapa-tdnn-512"),
        ("ECAPA_TDNN", "channels: 1024", "ecapa-tdnn-1024"),
        ("ECAPA_TDNN", "{channels: 1024, global_context_att: true}", "ecapa-tdnn-glob-1024"),
        ("ECAPA_TDNN", "{channels: 64, emb_bn: true}", "ecapa-tdnn-512"),
        ("ERes2Net", "m_channels: 64", "eres2net34-large"),
        ("ERes2Net", "{m_channels: 64, baseWidth: 24, scale: 3, expansion: 4}", "eres2net34-aug"),
        ("Res2Net", "{m_channels: 8, num_blocks: [2, 2, 2, 2]}", "res2net34"),
        ("ReDimNet2Wrap", "", "redimnet2-b4"),
        ("ReDimNet2Custom", "{C: 32, out_channels: 64}", "redimnet2-b4"),
    ] {
        let args = args.trim_start_matches('{').trim_end_matches('}');
        assert_eq!(taken(class, args).arch, wanted, "{class} {args}");
    }
}

/// Layers are said only where they are not the published ones.
#[test]
fn layers_are_those_of_the_arguments() {
    let layers = |class: &str, args: &str| taken(class, args).layers;
    assert_eq!(layers("ECAPA_TDNN_c512", "emb_bn: false"), None);
    let ecapa = Layers::Ecapa(Ecapa { embedding_norm: true });
    assert_eq!(layers("ECAPA_TDNN_c512", "emb_bn: true"), Some(ecapa));
    let usual = "growth_rate: 32, bn_size: 4, init_channels: 128, config_str: batchnorm-relu";
    assert_eq!(layers("CAMPPlus", usual), None);
    let campplus = Layers::CamPlusPlus(CamPlusPlus { growth: 8, bottleneck: 4 });
    assert_eq!(layers("CAMPPlus", "growth_rate: 8"), Some(campplus));
    assert_eq!(layers("XVEC", "hid_dim: 512, stats_dim: 1500"), None);
    let tdnn = Layers::Tdnn(Tdnn { statistics: 128 });
    assert_eq!(layers("XVEC", "stats_dim: 128"), Some(tdnn));
    assert_eq!(layers("SimAM_ResNet34_ASP", "dropout: 0.2, in_planes: 4"), None);
    let res2net = Layers::Res2Net(Res2Net {
        blocks: [1, 1, 2, 1],
        base_width: 24,
        scale: 3,
        expansion: 4,
        fusion: true,
    });
    let args = "m_channels: 4, num_blocks: [1, 1, 2, 1], baseWidth: 24, scale: 3, expansion: 4";
    assert_eq!(layers("ERes2Net", args), Some(res2net));
}

#[test]
fn stages_of_redimnets_are_read() {
    let args = "feat_dim: 36, C: 4, block_1d_type: att, block_2d_type: convnext_like, \
                group_divisor: null, out_channels: 96, \
                stages_setup: [[1, 1, 1, [[3, 3]], 12], [3, 2, 1.5, [[7, 1]], null]]";
    let Some(Layers::ReDimNet(found)) = taken("ReDimNet", args).layers else { panic!("{args}") };
    let stage = |stride, blocks, expansion, context| ReDimNetStage {
        stride,
        blocks,
        expansion,
        context,
        kernel: None,
    };
    let wanted = ReDimNet {
        context: Context::Attention,
        blocks: Blocks2d::ConvNext,
        group_divisor: None,
        output: Some(96),
        stages: vec![stage([1, 1], 1, 1.0, Some(12)), stage([3, 1], 2, 1.5, None)].into(),
    };
    assert_eq!(found, wanted);
    let args = "out_channels: 32, block_2d_type: convnext_like, group_divisor: 4, \
                compress_tconvs: false, return_2d_output: true, emb_bn: true, \
                stages_setup: [[[1, 1], 1, 2, [[3, 5]], 24], [[2, 2], 1, 1, [[3, 3]], 12]]";
    let Some(Layers::ReDimNet2(found)) = taken("ReDimNet2B0", args).layers else {
        panic!("{args}")
    };
    let first = ReDimNetStage { kernel: Some([3, 5]), ..stage([1, 1], 1, 2.0, Some(24)) };
    let wanted = ReDimNet2 {
        context: Context::ConvAttention,
        blocks: Blocks2d::ConvNext,
        group_divisor: Some(4),
        output: Some(32),
        flat: false,
        compressed: false,
        embedding_norm: true,
        stages: vec![first, stage([2, 2], 1, 1.0, Some(12))].into(),
    };
    assert_eq!(found, wanted);
    // What the class ignores may have any value, and its defaults may be written out.
    let args = "feat_dim: 72, embed_dim: 192, two_emb_layer: true, spec: fbank, causal: none, \
                dual_agg: false, before_pool_offset: null, pad_right_samples: null, C: 12, \
                spec_in_channels: 1, fm_weigthing_type: NC, hop_length: 200, out_channels: 64";
    assert_eq!(taken("ReDimNet2B0", args).layers, None);
}

#[test]
fn what_a_class_cannot_have_is_refused_by_name() {
    for (class, args, key) in [
        ("ECAPA_TDNN_c512", "channels: 64", "model_args.channels"),
        ("ECAPA_TDNN_c512", "two_emb_layer: true", "layer: ECAPA_TDNN_c512 lacks this key, which"),
        ("ECAPA_TDNN_c512", "gru: 1", "model_args.gru: revox does not know this key"),
        ("ECAPA_TDNN", "channels: 2000", "model_args.channels: 2000"),
        ("CAMPPlus", "config_str: batchnorm-prelu", "model_args.config_str"),
        ("CAMPPlus", "growth_rate: 0", "model_args.growth_rate"),
        ("ReDimNetB2", "C: 8", "model_args.C"),
        ("ReDimNet", "block_1d_type: gru", "`gru` is not supported; conv+att and att are"),
        ("ReDimNet", "block_2d_type: convnext_like_relu", "model_args.block_2d_type"),
        ("ReDimNet", "group_divisor: 0", "model_args.group_divisor"),
        ("ReDimNet", "stages_setup: []", "model_args.stages_setup"),
        ("ReDimNet", "stages_setup: [[1, 1, 1, []]]", "stages_setup[0]: 4 values, where 5"),
        ("ReDimNet", "stages_setup: [[4, 1, 1, [], 1]]", "stages_setup[0][0]: 4"),
        ("ReDimNet2B0", "stages_setup: [[2, 1, 1, [], 1]]", "stages_setup[0][0]: a list"),
        ("ReDimNet2B0", "dual_agg: true", "model_args.dual_agg: only false"),
        ("ReDimNet2B0", "agg_gnorm: true", "model_args.agg_gnorm: only false"),
        ("ReDimNet2B0", "use_freq_pos_enc: true", "model_args.use_freq_pos_enc: only false"),
        ("ReDimNet2B0", "before_pool_offset: 7", "model_args.before_pool_offset"),
        ("ReDimNet2B0", "causal: full", "model_args.causal: only none"),
        ("ReDimNet2B0", "spec: tf", "model_args.spec: only fbank"),
        ("ERes2Net34_Base", "baseWidth: 26", "model_args.baseWidth"),
        ("ERes2Net", "num_blocks: [3, 4, 6]", "model_args.num_blocks: 3 values"),
        ("ERes2Net", "num_blocks: [3, 4, 6, 0]", "model_args.num_blocks[3]: 0"),
        ("SimAM_ResNet34_ASP", "feat_dim: 80", "model_args.feat_dim"),
        ("XVEC", "stats_dim: many", "model_args.stats_dim"),
        ("XVEC", "channels: 512", "model_args.channels"),
    ] {
        refused(class, args, key);
    }
}

#[test]
fn sizes_are_compared_with_the_checkpoints() {
    let agrees = |class: &str, args: &str, change: fn(&mut Architecture)| {
        let config = taken(class, args);
        let mut arch = Architecture::named(&config.arch).unwrap();
        change(&mut arch);
        config.agrees(&arch, Path::new("x.pt")).map_err(|e: Error| e.to_string())
    };
    agrees("CAMPPlus", "init_channels: 128, embed_dim: 512", |_| ()).unwrap();
    agrees("ReDimNet2B0", "two_emb_layer: true", |_| ()).unwrap();
    for (class, args, key) in [
        ("CAMPPlus", "init_channels: 128", "model_args.init_channels: 128, but x.pt has 8"),
        ("ECAPA_TDNN", "channels: 512", "model_args.channels: 512"),
        ("ReDimNet2B0", "C: 12", "model_args.C: 12"),
        ("SimAM_ResNet34_ASP", "in_planes: 64", "model_args.in_planes: 64"),
        ("XVEC", "hid_dim: 512", "model_args.hid_dim: 512"),
    ] {
        let error = agrees(class, args, |arch| arch.width = 8).unwrap_err();
        assert!(error.contains(key), "{error}");
    }
    let config = taken("SimAM_ResNet34_ASP", "acoustic_dim: 40");
    assert_eq!((config.mels, config.frontend.fbank.mels), (Some(40), 40));
    assert_eq!(taken("ReDimNet2B0", "F: 60").mels, Some(60));
}
