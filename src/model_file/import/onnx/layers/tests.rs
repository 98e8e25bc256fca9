use super::*;
use crate::zoo::Architecture;

#[test]
fn sources_are_the_latest_of_both() {
    let of = |all: &[Sources]| merged(all.iter().copied());
    assert_eq!(of(&[]), [0; 4]);
    assert_eq!(of(&[[5, 3, 0, 0], [4, 3, 2, 1]]), [5, 4, 3, 2]);
    assert_eq!(of(&[[2, 0, 0, 0], [2, 0, 0, 0], itself(6)]), [7, 2, 0, 0]);
}

#[test]
fn layers_take_the_norm_behind_them() {
    let graph = Architecture::named("resnet10").unwrap().layout().unwrap();
    let (net, body) = Net::of(&graph).unwrap();
    // Stem, two in each of four blocks, three shortcuts, the embedding layer.
    let wanted = Tally { convs: 12, linears: 1, relus: 9, ..Tally::default() };
    assert_eq!(net.tally, wanted);
    assert_eq!(body, Tally { linears: 0, ..wanted });
    let convs = net.layers.iter().filter(|layer| layer.kind != Kind::Linear);
    assert!(convs.clone().count() == 12 && convs.clone().all(|layer| layer.norm.is_some()));
    // The second block's first convolution and its shortcut read the first block's sum.
    let sources = net.sources();
    assert_eq!([sources[0], sources[1], sources[3]], [[0; 4], itself(0), [3, 1, 0, 0]]);
    assert_eq!(sources[3], sources[5]);
    // ECAPA's come behind ReLU, and stand on their own.
    let graph = Architecture::named("ecapa-tdnn-512").unwrap().layout().unwrap();
    let (net, _) = Net::of(&graph).unwrap();
    assert!(net.tally.norms > 20, "{:?}", net.tally);
    let graph = Architecture::named("redimnet-b0").unwrap().layout().unwrap();
    assert!(Net::of(&graph).is_err());
}
