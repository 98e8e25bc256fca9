//! Shares of states by count.

use std::collections::BTreeSet;

use burn::tensor::Device;
use proptest::prelude::*;

use super::*;
use crate::losses::HeadConfig;
use crate::train::Trainee;
use crate::zoo::Architecture;

proptest! {
    /// No rank has more than another one and the largest tensor, and nothing is lost.
    #[test]
    fn shares_are_balanced(
        loads in prop::collection::vec([0_usize..1000, 0_usize..1000], 0..60),
        ranks in 1_usize..9,
    ) {
        let owners = owners(&loads, ranks);
        prop_assert_eq!(owners.len(), loads.len());
        let held = bytes(&loads, &owners, ranks);
        let all = || loads.iter().map(|load| load[0]);
        prop_assert_eq!(held.iter().sum::<usize>(), all().sum::<usize>());
        let [most, least] = [held.iter().max(), held.iter().min()].map(|x| *x.unwrap());
        prop_assert!(most - least <= all().max().unwrap_or(0), "{held:?}");
    }
}

#[test]
fn the_largest_goes_first() {
    let of = |bytes: &[usize]| -> Vec<usize> {
        owners(&bytes.iter().map(|&n| [n, n]).collect::<Vec<_>>(), 2)
    };
    assert_eq!(of(&[1, 5, 4, 3, 3]), [1, 0, 1, 1, 0]);
    // Without states, values count.
    assert_eq!(owners(&[[0, 1], [0, 5], [0, 4], [0, 3]], 2), [0, 0, 1, 1]);
}

#[test]
fn one_rank_has_all_and_four_have_a_quarter() {
    let tensors = [64, 5000, 5000, 5000, 5000];
    for name in OptimizerConfig::NAMES {
        let optimizer = OptimizerConfig::named(name).unwrap();
        let whole = optimizer.state_bytes(&tensors);
        assert_eq!(largest_share(&optimizer, &tensors, 1), whole, "{name}");
        let most = optimizer.state_bytes(&[64, 5000]);
        assert_eq!(largest_share(&optimizer, &tensors, 4), most, "{name}");
        assert!(3 * most < whole, "{name}");
    }
}

/// Every trained parameter is in one portion of its rank. What is frozen is in none.
#[test]
fn rounds_hold_every_trained_parameter_once() {
    let arch = Architecture {
        width: 2,
        mels: 16,
        embedding_dim: 8,
        ..Architecture::named("resnet10").unwrap()
    };
    let trainee = Trainee::new(&arch, &HeadConfig::default(), 3, &Device::default(), 1).unwrap();
    let trainee = trainee.frozen(&["projection".to_owned()]).train();
    let optimizer = OptimizerConfig::named("adamw").unwrap();
    let division = Division::of(&trainee, &optimizer, 3);
    let values: usize = division.trained.iter().map(|(_, values)| values).sum();
    assert_eq!(division.bytes().iter().sum::<usize>(), 8 * values);
    assert_eq!(division.bytes()[division.fullest()], *division.bytes().iter().max().unwrap());
    let largest = division.trained.iter().map(|(_, values)| *values).max().unwrap();
    for full in [1, 100, usize::MAX] {
        let rounds = division.rounds(full);
        let mut met = BTreeSet::new();
        for round in &rounds {
            assert_eq!(round.len(), 3);
            for (rank, parameters) in round.iter().enumerate() {
                let count: usize = parameters.iter().map(|(_, values)| values).sum();
                assert!(count <= full.max(largest) && (count <= full || parameters.len() == 1));
                for (id, _) in parameters {
                    assert!(division.is_of(rank, *id) && met.insert(id.val()), "{full}");
                }
            }
        }
        assert_eq!(met.len(), division.trained.len());
        assert_eq!(rounds.len() == 1, full == usize::MAX);
    }
    let frozen = trainee.projection.num_params();
    let all: usize = trainee.num_params();
    assert!(frozen > 0 && values <= all - frozen);
}
