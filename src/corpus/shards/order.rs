//! The order of an epoch over tar files.

use crate::rng::Stream;

/// Bits of a place within the stretch of one tar file.
const FINE: u32 = 32;

/// The order of an epoch: utterances, and the number of the pass, from 0. `shards_of` has the
/// number of each utterance's tar file.
///
/// Each of the `passes` has every utterance once. Its tar files begin in random order, and the
/// utterances of each one are spread at random until `mix` tar files have begun. So at most `mix`
/// of them are in use at any time. With `mix` at least the number of tar files, all orders are
/// equally likely.
///
/// The result depends on nothing but the arguments.
pub fn order(
    shards_of: &[u32],
    seed: u64,
    epoch: usize,
    passes: usize,
    mix: usize,
) -> Vec<(u32, u32)> {
    let mut shards: Vec<u32> = shards_of.to_vec();
    shards.sort_unstable();
    shards.dedup();
    let all = shards.len();
    let spread = mix.clamp(1, all.max(1));
    let mut order = Vec::with_capacity(shards_of.len() * passes);
    for pass in 0..passes as u32 {
        let mut draw = Stream::new(seed, "shard order", &[epoch as u64, u64::from(pass)]);
        // A tar file's number among those that occur, to its rank.
        let mut ranks: Vec<u64> = (0..all as u64).collect();
        draw.shuffle(&mut ranks);
        if spread == all {
            ranks.fill(0);
        }
        let mut places: Vec<(u64, u32)> = (0u32..)
            .zip(shards_of)
            .map(|(utterance, shard)| {
                let number = shards.partition_point(|other| other < shard);
                let within = u128::from(draw.bits()) * spread as u128;
                ((ranks[number] << FINE) + (within >> (64 - FINE)) as u64, utterance)
            })
            .collect();
        places.sort_unstable();
        order.extend(places.into_iter().map(|(_, utterance)| (utterance, pass)));
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_utterance_comes_once_a_pass_and_near_its_shards(
            sizes in prop::collection::vec(0usize..40, 1..30),
            seed in any::<u64>(),
            passes in 1usize..4,
            mix in 0usize..40,
        ) {
            let shards_of: Vec<u32> = (0u32..)
                .zip(&sizes)
                .flat_map(|(shard, &size)| std::iter::repeat_n(3 * shard, size))
                .collect();
            let found = order(&shards_of, seed, 5, passes, mix);
            prop_assert_eq!(&found, &order(&shards_of, seed, 5, passes, mix));
            let mut sorted = found.clone();
            sorted.sort_unstable();
            let count = shards_of.len() as u32;
            let wanted: Vec<(u32, u32)> =
                (0..count).flat_map(|u| (0..passes as u32).map(move |p| (u, p))).collect();
            prop_assert_eq!(sorted, wanted);
            for (pass, part) in found.chunks(shards_of.len().max(1)).enumerate() {
                prop_assert!(part.iter().all(|&(_, p)| p as usize == pass));
                // The first and the last place of each shard.
                let mut spans: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
                for (at, &(u, _)) in part.iter().enumerate() {
                    spans.entry(shards_of[u as usize]).or_insert((at, at)).1 = at;
                }
                for at in 0..part.len() {
                    let open = spans.values().filter(|(a, b)| (*a..=*b).contains(&at)).count();
                    prop_assert!(open <= mix.max(1), "{open} of {mix}");
                }
            }
        }
    }

    #[test]
    fn epochs_and_seeds_have_their_own_orders() {
        let shards_of: Vec<u32> = (0..600).map(|i| i / 20).collect();
        let base = order(&shards_of, 1, 1, 2, 4);
        for other in [order(&shards_of, 2, 1, 2, 4), order(&shards_of, 1, 2, 2, 4)] {
            assert_ne!(other, base);
        }
        let pass = |p: usize| base[600 * p..600 * (p + 1)].iter().map(|found| found.0);
        assert!(pass(0).ne(pass(1)));
        assert!(order(&[], 1, 1, 3, 4).is_empty());
    }

    /// One shard is a corpus without shards: its utterances are shuffled through and through.
    #[test]
    fn a_wide_mix_is_a_plain_shuffle() {
        let (count, epochs) = (50u32, 2000);
        for shards_of in [vec![0; 50], (0..count).map(|i| i / 10).collect()] {
            let mut mean = vec![0.0f64; count as usize];
            for epoch in 0..epochs {
                for (place, (utterance, _)) in order(&shards_of, 3, epoch, 1, 5).iter().enumerate()
                {
                    mean[*utterance as usize] += place as f64 / epochs as f64;
                }
            }
            // The mean of a uniform place is 24.5, with a standard error of 0.32.
            assert!(mean.iter().all(|m| (m - 24.5).abs() < 1.6), "{mean:?}");
        }
    }
}
