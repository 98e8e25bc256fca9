use super::blocks::Block2d;
use super::context::TimeContext;
use super::convnext::ConvNext;
use super::options::Plan;
use super::*;
use crate::nn::wespeaker::compare;
use crate::nn::{Conv2dConfig, PoolingKind};
use crate::zoo::ReDimNet2;

/// Values of all parameters, frozen ones included.
fn parameters(arch: &Architecture) -> usize {
    let tensors = arch.layout().unwrap().names_and_shapes();
    let trained = tensors.iter().filter(|(name, _)| !name.contains(".running_"));
    trained.map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

fn named(name: &str) -> Architecture {
    Architecture::named(name).unwrap()
}

fn of_first(layers: ReDimNet) -> Option<Layers> {
    Some(Layers::ReDimNet(layers))
}

fn of_second(layers: ReDimNet2) -> Option<Layers> {
    Some(Layers::ReDimNet2(layers))
}

/// Counted on WeSpeaker's own classes with 192-d embeddings.
#[test]
fn parameters_are_those_of_the_reference() {
    for (name, count) in [
        ("redimnet-b0", 1_001_851),
        ("redimnet-b1", 2_123_481),
        ("redimnet-b2", 4_888_241),
        ("redimnet-b3", 3_220_413),
        ("redimnet-b4", 6_432_305),
        ("redimnet-b5", 7_650_545),
        ("redimnet-b6", 15_006_257),
        ("redimnet2-b0", 703_060),
        ("redimnet2-b1", 1_254_992),
        ("redimnet2-b2", 2_530_208),
        ("redimnet2-b3", 2_364_712),
        ("redimnet2-b4", 6_659_744),
        ("redimnet2-b5", 7_900_456),
        ("redimnet2-b6", 12_394_784),
    ] {
        let arch = Architecture { embedding_dim: 192, ..named(name) };
        assert_eq!(parameters(&arch), count, "{name}");
    }
    assert_eq!(parameters(&Architecture { mels: 72, ..named("redimnet-b0") }), 1_249_711);
}

/// The same for what no published member has: no groups, a narrower output, an image of ConvNeXt
/// blocks with other kernels, attention behind a convolution for positions.
#[test]
fn parameters_of_other_layers_are_those_of_the_reference() {
    let small = |name: &str, width, embedding_dim, layers| Architecture {
        width,
        mels: 72,
        embedding_dim,
        pooling: PoolingKind::AstpGlobal,
        layers,
        ..named(name)
    };
    let att = ReDimNet {
        context: Context::Attention,
        stages: vec![stage([1, 1], 1, 1.0, Some(12)), stage([2, 1], 1, 1.0, Some(12))].into(),
        group_divisor: Some(1),
        ..B1
    };
    assert_eq!(parameters(&small("redimnet-b1", 4, 32, of_first(att))), 209_241);
    let ungrouped = ReDimNet {
        group_divisor: None,
        stages: vec![stage([1, 1], 1, 1.0, Some(12)), stage([3, 1], 1, 2.0, Some(12))].into(),
        ..B0
    };
    let arch = small("redimnet-b0", 4, 32, of_first(ungrouped));
    assert_eq!(parameters(&Architecture { pooling: PoolingKind::Tstp, ..arch }), 80_541);
    let gated = ReDimNet {
        group_divisor: Some(2),
        output: Some(96),
        stages: vec![
            stage([1, 1], 1, 2.0, Some(24)),
            stage([2, 1], 1, 2.0, Some(24)),
            stage([2, 1], 2, 1.0, Some(12)),
        ]
        .into(),
        ..B3
    };
    let arch = small("redimnet-b3", 4, 32, of_first(gated));
    assert_eq!(parameters(&Architecture { two_embedding_layers: true, ..arch }), 145_817);
    let image = ReDimNet2 {
        output: Some(6),
        stages: vec![
            stage([1, 1], 1, 3.0, Some(48)),
            stage([2, 1], 1, 2.0, Some(48)),
            stage([1, 2], 2, 0.75, Some(24)),
            stage([2, 2], 1, 0.5, Some(24)),
        ]
        .into(),
        ..second::B6
    };
    assert_eq!(parameters(&small("redimnet2-b6", 8, 48, of_second(image))), 194_014);
    let kernel = |edges, stage| ReDimNetStage { kernel: Some(edges), ..stage };
    let convnext = ReDimNet2 {
        blocks: Blocks2d::ConvNext,
        group_divisor: Some(4),
        output: Some(32),
        compressed: false,
        stages: vec![
            kernel([3, 5], stage([1, 1], 1, 2.0, Some(24))),
            kernel([3, 7], stage([2, 2], 1, 1.0, Some(12))),
        ]
        .into(),
        ..second::B0
    };
    assert_eq!(parameters(&small("redimnet2-b0", 4, 32, of_second(convnext))), 65_072);
}

/// Modules without tensors leave gaps in the numbers.
#[test]
fn names_are_those_of_the_reference() {
    for (name, tensors) in [
        (
            "redimnet-b0",
            [
                ("backbone.inputs_weights.0", vec![1, 1, 1, 1]),
                ("backbone.inputs_weights.5", vec![1, 6, 600, 1]),
                ("backbone.stage0.4.tcm.4.attention.q_proj.weight", vec![20, 20]),
                ("backbone.stage1.0.weight", vec![40, 10, 2, 1]),
                ("backbone.stage1.4.3.weight", vec![20, 20, 1, 1]),
                ("backbone.stage1.6.tcm.3.dwconvs.0.weight", vec![20, 1, 59]),
            ],
        ),
        (
            "redimnet2-b6",
            [
                ("backbone.stage0.0.w", vec![1, 1, 4608, 1]),
                ("backbone.stage1.7.0.weight", vec![128, 256, 1, 1]),
                ("backbone.stage3.9.red_dim_conv.0.weight", vec![96, 4608, 1]),
                ("backbone.stage4.2.weight", vec![192, 4, 1, 4]),
                ("backbone.fin_wght1d.w", vec![1, 7, 4608, 1]),
                ("backbone.head.weight", vec![224, 512, 1, 1]),
            ],
        ),
    ] {
        let all = named(name).layout().unwrap().names_and_shapes();
        for (tensor, shape) in tensors {
            assert!(all.contains(&(tensor.to_owned(), shape)), "{name}: {tensor}");
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let with = |stage: ReDimNetStage| ReDimNet { stages: vec![stage].into(), ..B0 };
    let base = || named("redimnet-b0");
    let layers = |layers| Architecture { layers: of_first(layers), ..base() };
    let plain = stage([1, 1], 1, 1.0, Some(30));
    for (arch, words) in [
        (Architecture { mels: 62, ..base() }, "multiple of 4"),
        (Architecture { pooling: PoolingKind::Asp, ..base() }, "ASTP-GLOBAL"),
        (layers(with(ReDimNetStage { stride: [1, 2], ..plain })), "stride over frames = 2"),
        (layers(with(ReDimNetStage { stride: [0, 1], ..plain })), "stride over mels = 0"),
        (layers(with(ReDimNetStage { context: Some(100), ..plain })), "multiple of 4"),
        (layers(with(ReDimNetStage { context: Some(0), ..plain })), "context = 0"),
        (layers(with(ReDimNetStage { kernel: Some([3, 5]), ..plain })), "leave it out"),
        (layers(with(ReDimNetStage { expansion: f64::NAN, ..plain })), "expansion = NaN"),
        (layers(with(ReDimNetStage { expansion: 0.01, ..plain })), "channels of its blocks = 0"),
        (layers(ReDimNet { group_divisor: Some(11), ..B0 }), "cannot have 0 groups"),
        (layers(ReDimNet { stages: Cow::Borrowed(&[]), ..B0 }), "number of stages = 0"),
        (
            Architecture { two_embedding_layers: true, ..named("redimnet2-b0") },
            "no second embedding layer",
        ),
    ] {
        let error = arch.check().unwrap_err().to_string();
        assert!(error.contains(words), "{error}, not {words}");
    }
    assert_eq!(named("redimnet2-b0").least_frames().unwrap(), 4);
}

/// Files and recipes hold WeSpeaker's names.
#[test]
fn layers_stand_in_files() {
    let text = serde_json::to_string(&B1).unwrap();
    assert!(text.contains(r#""context":"conv+att","blocks":"convnext_like""#), "{text}");
    assert_eq!(serde_json::from_str::<ReDimNet>(&text).unwrap(), B1);
    let text = serde_json::to_string(&second::B6).unwrap();
    assert_eq!(serde_json::from_str::<ReDimNet2>(&text).unwrap(), second::B6);
}

#[test]
fn blocks_are_wespeakers() {
    let convnext = |init: &Init| ConvNext::new(init, Conv2dConfig::new(8, 8, 3).grouped(2));
    compare("redimnet_convnext2d", "", convnext, |block, e, x| block.forward(e, x[0].clone()));
    let gated = |init: &Init| {
        let stages = [stage([1, 1], 1, 1.0, None)];
        let shared = Shared {
            generation: Generation::First,
            context: Context::ConvAttention,
            blocks: Blocks2d::BasicSe,
            group_divisor: Some(2),
            output: None,
            stages: &stages,
        };
        let plan = Plan {
            input: [8, 6],
            stride: [1, 1],
            inner: 8,
            output: [8, 6],
            hidden: None,
            stage: stages[0],
        };
        Block2d::new(init, &shared, &plan)
    };
    compare("redimnet_resnet_fwse", "conv_block.", gated, |block, e, x| {
        block.forward(e, x[0].clone())
    });
}

#[test]
fn time_contexts_are_wespeakers() {
    for (name, kind) in [
        ("redimnet_tcm_conv_att", Context::ConvAttention),
        ("redimnet_tcm_att", Context::Attention),
    ] {
        let context = |init: &Init| TimeContext::new(init, kind, 24, 8);
        compare(name, "", context, |context, e, x| context.forward(e, x[0].clone()));
    }
}

/// Two stages. The first widens its blocks, the second strides over mels.
#[test]
fn backbones_are_wespeakers() {
    let network = ReDimNet {
        context: Context::ConvAttention,
        blocks: Blocks2d::ConvNext,
        group_divisor: Some(2),
        output: None,
        stages: vec![stage([1, 1], 1, 2.0, Some(6)), stage([2, 1], 1, 1.0, Some(6))].into(),
    };
    let arch = Architecture { width: 4, mels: 12, ..named("redimnet-b1") };
    let bone = |init: &Init| Bone::new(init, &network.shared(), &arch);
    compare("redimnet_bone", "", bone, |bone, e, x| bone.forward(e, x[0].clone()));
}
