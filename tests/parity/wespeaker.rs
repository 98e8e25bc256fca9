//! WeSpeaker's classes and their arguments as architectures.

use revox::nn::PoolingKind;
use revox::zoo::{Architecture, Layers, Row};
use serde_json::{Value, json};

/// The architecture of a class with its arguments; nothing where the zoo has no such network, or
/// `models.rs` builds it.
pub fn architecture(config: &Value) -> Option<Architecture> {
    let get = |key: &str, default: Value| match &config[key] {
        Value::Null => default,
        given => given.clone(),
    };
    let (row, width, layers) = match config["cls"].as_str()? {
        "ECAPA_TDNN" => (
            "ecapa-tdnn-512",
            "channels",
            json!({ "ecapa": { "embedding_norm": get("emb_bn", json!(false)) } }),
        ),
        "CAMPPlus" => (
            "campplus",
            "init_channels",
            json!({ "campplus": {
                "growth": get("growth_rate", json!(32)),
                "bottleneck": get("bn_size", json!(4)),
            } }),
        ),
        class @ ("ERes2Net" | "Res2Net") => {
            let fusion = class == "ERes2Net";
            let layers = json!({ "res2net": {
                "blocks": config["num_blocks"],
                "base_width": get("baseWidth", json!(32)),
                "scale": get("scale", json!(2)),
                "expansion": get("expansion", json!(2)),
                "fusion": fusion,
            } });
            (if fusion { "eres2net34" } else { "res2net34" }, "m_channels", layers)
        }
        "SimAM_ResNet34_ASP" => {
            ("simam-resnet34", "in_planes", json!({ "simam-resnet": { "blocks": [3, 4, 6, 3] } }))
        }
        "XVEC" => ("tdnn", "hid_dim", json!({ "tdnn": { "statistics": config["stats_dim"] } })),
        "ReDimNet" => {
            let layers = redimnet(config, 4)?;
            ("redimnet-b2", "C", json!({ "redimnet": layers }))
        }
        "ReDimNet2Wrap" => {
            let mut layers = redimnet(config, 1)?;
            layers["flat"] = json!(config["return_2d_output"] != json!(true));
            layers["compressed"] = get("compress_tconvs", json!(true));
            layers["embedding_norm"] = get("emb_bn", json!(false));
            ("redimnet2-b0", "C", json!({ "redimnet2": layers }))
        }
        _ => return None,
    };
    let number = |key: &str| Some(usize::try_from(config[key].as_u64()?).unwrap());
    let layers: Layers = serde_json::from_value(layers).unwrap();
    let own = Layers::of(Row::of(row).unwrap()).unwrap();
    Some(Architecture {
        width: number(width).unwrap(),
        mels: number("feat_dim").or_else(|| number("acoustic_dim")).unwrap(),
        embedding_dim: number("embed_dim").unwrap(),
        pooling: pooling(config)?,
        two_embedding_layers: config["two_emb_layer"] == json!(true) || row == "tdnn",
        layers: (layers != own).then_some(layers),
        ..Architecture::named(row).unwrap()
    })
}

/// The pooling of a class; nothing if there is no such pooling here.
fn pooling(config: &Value) -> Option<PoolingKind> {
    let class = config["cls"].as_str()?;
    let (own, global) = match class {
        "SimAM_ResNet34_ASP" => ("ASP", false),
        "ReDimNet" | "ReDimNet2Wrap" => ("ASTP", true),
        _ => ("TSTP", false),
    };
    let kind = config["pooling_func"].as_str().unwrap_or(own);
    let global = config["global_context_att"].as_bool().unwrap_or(global);
    let kind = if kind == "ASTP" && global { "ASTP-GLOBAL" } else { kind };
    serde_json::from_value(json!(kind)).ok()
}

/// What both generations of ReDimNet have; nothing for options that the zoo lacks. `groups` is the
/// class's own divisor.
fn redimnet(config: &Value, groups: usize) -> Option<Value> {
    let lacking = ["dual_agg", "agg_gnorm", "use_freq_pos_enc", "before_pool_offset"];
    let context = config["block_1d_type"].as_str().unwrap_or("conv+att");
    if lacking.iter().any(|key| !config[*key].is_null()) || ["fc", "gru"].contains(&context) {
        return None;
    }
    let blocks = config["block_2d_type"].as_str().unwrap_or("basic_resnet");
    let stages = config["stages_setup"].as_array().unwrap().iter().map(|stage| {
        let mut own = json!({ "blocks": stage[1], "expansion": stage[2], "context": stage[4] });
        own["stride"] = match &stage[0] {
            Value::Array(both) => json!(both),
            mels => json!([mels, 1]),
        };
        // Other blocks do not look at their kernels.
        if blocks == "convnext_like" && stage[3][0] != json!([3, 3]) {
            own["kernel"] = stage[3][0].clone();
        }
        own
    });
    // A divisor of null stands for no groups.
    let divisor = config.get("group_divisor").cloned().unwrap_or_else(|| json!(groups));
    Some(json!({
        "context": context,
        "blocks": blocks,
        "group_divisor": divisor,
        "output": config["out_channels"],
        "stages": stages.collect::<Vec<Value>>(),
    }))
}
