//! What a new head takes over from an old one.

use super::*;
use crate::losses::LossKind;

fn arch() -> Architecture {
    Architecture {
        width: 2,
        mels: 16,
        embedding_dim: 4,
        ..Architecture::named("resnet10").unwrap()
    }
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|s| (*s).to_owned()).collect()
}

fn trainee(head: &HeadConfig, classes: usize, seed: u64) -> Trainee {
    Trainee::new(&arch(), head, classes, &Device::default(), seed).unwrap()
}

/// The head's tensors as a model file names them.
fn head_of(trainee: &Trainee) -> NamedTensors {
    NamedTensors::from_burn(collect_named(&trainee.projection)).prefixed(HEAD_PREFIX)
}

/// The values of a class: its rows of each tensor.
fn class(trainee: &Trainee, place: usize, classes: usize) -> Vec<f32> {
    let rows = |data: TensorData| {
        let values: Vec<f32> = data.iter::<f32>().collect();
        let count = values.len() / classes;
        values[place * count..(place + 1) * count].to_vec()
    };
    collect_named(&trainee.projection).into_iter().flat_map(|(_, data)| rows(data)).collect()
}

fn start(head: &HeadConfig, old: &Trainee, from: &[&str], to: &[&str]) -> (Trainee, HeadMatch) {
    let network = arch().init(&Device::default(), 7).unwrap();
    trainee(head, to.len(), 9)
        .starting_with(network, head_of(old), &names(from), &names(to))
        .unwrap()
}

fn heads() -> [HeadConfig; 4] {
    let kind = |kind, sub_centers| HeadConfig { kind, sub_centers, ..HeadConfig::default() };
    [
        kind(LossKind::Aam, 1),
        kind(LossKind::Aam, 3),
        kind(LossKind::Softmax, 1),
        kind(LossKind::SphereFace2, 1),
    ]
}

/// SphereFace2's bias belongs to no speaker. WeSpeaker's checkpoints have it as `[1, 1]`.
#[test]
fn a_bias_of_all_speakers_is_kept_with_any_of_them() {
    let head = HeadConfig { kind: LossKind::SphereFace2, ..HeadConfig::default() };
    let bias = |trainee: &Trainee| {
        let all = collect_named(&trainee.projection);
        let (_, data) = all.into_iter().find(|(name, _)| name == "bias").unwrap();
        (data.shape().to_vec(), data.iter::<f32>().collect::<Vec<_>>())
    };
    let fresh = bias(&trainee(&head, 3, 9));
    for shape in [vec![1], vec![1, 1]] {
        let mut old = collect_named(&trainee(&head, 2, 1).projection);
        for (_, data) in old.iter_mut().filter(|(name, _)| name == "bias") {
            *data = TensorData::new(vec![-7.5f32], shape.clone());
        }
        let start = |new: &[&str]| {
            let network = arch().init(&Device::default(), 7).unwrap();
            let old = NamedTensors::from_burn(old.clone()).prefixed(HEAD_PREFIX);
            trainee(&head, 3, 9)
                .starting_with(network, old, &names(&["a", "b"]), &names(new))
                .unwrap()
        };
        let (ours, found) = start(&["b", "c", "d"]);
        assert_eq!((found.kept, bias(&ours)), (1, (vec![1], vec![-7.5])));
        let (ours, found) = start(&["c", "d", "e"]);
        assert_eq!((found.kept, bias(&ours)), (0, fresh.clone()));
    }
}

#[test]
fn speakers_keep_their_rows_and_strangers_get_none() {
    for head in heads() {
        let old = trainee(&head, 4, 1);
        let (ours, found) = start(&head, &old, &["a", "b", "c", "d"], &["d", "new", "a"]);
        assert_eq!((found.kept, found.added, found.dropped, &found.caution), (2, 1, 2, &None));
        let fresh = trainee(&head, 3, 9);
        assert_eq!(class(&ours, 0, 3), class(&old, 3, 4), "{head:?}");
        assert_eq!(class(&ours, 1, 3), class(&fresh, 1, 3), "{head:?}");
        assert_eq!(class(&ours, 2, 3), class(&old, 0, 4), "{head:?}");
    }
}

#[test]
fn as_many_strangers_inherit_nothing() {
    for head in heads() {
        let old = trainee(&head, 2, 1);
        let (ours, found) = start(&head, &old, &["a", "b"], &["x", "y"]);
        assert_eq!((found.kept, found.added, found.dropped), (0, 2, 2));
        assert_eq!(class(&ours, 0, 2), class(&trainee(&head, 2, 9), 0, 2), "{head:?}");
    }
}

#[test]
fn rows_without_names_are_taken_in_order_with_a_caution() {
    for head in heads() {
        let old = trainee(&head, 2, 1);
        let (ours, found) = start(&head, &old, &[], &["x", "y"]);
        assert_eq!((found.kept, found.added), (2, 0));
        assert!(found.caution.unwrap().contains("does not name"));
        assert_eq!(class(&ours, 1, 2), class(&old, 1, 2), "{head:?}");
        let (ours, found) = start(&head, &old, &[], &["x", "y", "z"]);
        assert_eq!((found.kept, found.added), (0, 3));
        assert!(found.caution.unwrap().contains("anew"));
        assert_eq!(class(&ours, 1, 3), class(&trainee(&head, 3, 9), 1, 3), "{head:?}");
    }
}

#[test]
fn another_kind_of_head_begins_anew() {
    let heads = heads();
    for (i, old) in heads.iter().enumerate() {
        for new in heads.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, head)| head) {
            let (ours, found) = start(new, &trainee(old, 2, 1), &["a", "b"], &["a", "b"]);
            assert_eq!((found.kept, found.added, found.dropped), (0, 2, 2));
            assert!(found.caution.unwrap().contains("another kind"));
            assert_eq!(class(&ours, 0, 2), class(&trainee(new, 2, 9), 0, 2));
        }
    }
    let network = arch().init(&Device::default(), 7).unwrap();
    let none = NamedTensors::default();
    let (_, found) =
        trainee(&heads[0], 2, 9).starting_with(network, none, &[], &names(&["a", "b"])).unwrap();
    assert!(found.caution.unwrap().contains("no training head"));
}
