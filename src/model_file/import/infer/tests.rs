use super::*;
use crate::nn::PoolingKind;

#[test]
fn landmarks_come_from_the_graph() {
    for (name, width, embedding) in [
        ("resnet10", "conv1.weight", "seg_1.weight"),
        ("gemini-df-resnet60", "downsample_layers.0.0.weight", "seg_1.weight"),
        ("ecapa-tdnn-512", "layer1.conv.weight", "linear.weight"),
        ("campplus", "xvector.tdnn.linear.weight", "xvector.dense.linear.weight"),
        ("redimnet-b0", "backbone.stem.0.weight", "seg_1.weight"),
        ("redimnet2-b0", "backbone.stem.0.weight", "linear.weight"),
        ("eres2net34", "conv1.weight", "seg_1.weight"),
        ("simam-resnet34", "front.conv1.weight", "bottleneck.weight"),
        ("tdnn", "frame_1.conv_1d.weight", "seg_1.weight"),
    ] {
        let arch = Architecture::named(name).unwrap();
        let landmarks = Landmarks::of(&arch).unwrap();
        assert_eq!(landmarks.names(), [width, embedding], "{name}");
        assert_eq!(landmarks.width.shape[0], arch.width, "{name}");
        assert_eq!(landmarks.embedding.shape[0], arch.embedding_dim, "{name}");
    }
}

/// What a family adds to its plainest network, by names.
#[test]
fn additions_are_those_that_the_family_offers() {
    for (name, two, attention) in [
        ("resnet10", "seg_2.weight", "pool.linear1.weight"),
        ("rev2-df-resnet32", "seg_2.weight", "pool.linear1.weight"),
        ("tdnn", "seg_2.weight", "pool.linear1.weight"),
        ("ecapa-tdnn-512", "", "pool.linear1.weight"),
        ("simam-resnet34", "", ""),
    ] {
        let plain = Plain::of(&Architecture::named(name).unwrap()).unwrap();
        let has = |added: Vec<Info>, name: &str| match name {
            "" => added.is_empty(),
            name => added.iter().any(|tensor| tensor.name.ends_with(name)),
        };
        let added = plain.added(|arch| arch.two_embedding_layers = true).unwrap();
        assert!(has(added, two), "{name}");
        let added = plain.added(|arch| arch.pooling = PoolingKind::Astp).unwrap();
        assert!(has(added, attention), "{name}");
    }
}
