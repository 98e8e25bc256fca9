use super::*;
use crate::nn::wespeaker::compare;

/// Two stages that stride over frames, the second over mels too, on 26 frames, of which 24 count.
#[test]
fn backbones_are_wespeakers() {
    let network = ReDimNet2 {
        output: Some(10),
        stages: vec![stage([1, 2], 1, 2.0, Some(6)), stage([2, 2], 1, 1.0, Some(6))].into(),
        ..B0
    };
    let own = Architecture::named("redimnet2-b0").unwrap();
    let arch = Architecture { width: 4, mels: 12, ..own };
    let bone = |init: &Init| Bone::new(init, &network, &arch);
    compare("redimnet2_bone", "", bone, |bone, e, x| bone.forward(e, x[0].clone()));
}
