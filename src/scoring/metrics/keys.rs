//! Scores as integers, which are faster to sort.

use crate::corpus::Pair;
use crate::scoring::Scored;

/// Maps a number to an integer of the same order. Integers are faster to sort.
pub(super) fn ordered(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The inverse of [`ordered`].
pub(super) fn back(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

/// Merges the sorted keys of nontargets and targets into one sorted list.
pub(super) fn merged([nontargets, targets]: &[Vec<u64>; 2]) -> Vec<Scored> {
    let trial =
        |key: u64, target: bool| Scored { score: back(key), pair: Pair::new(0, 0, Some(target)) };
    let mut all = Vec::with_capacity(nontargets.len() + targets.len());
    let (mut n, mut t) = (0, 0);
    // Branches that depend on the keys would be mispredicted about every other time.
    while let (Some(&nontarget), Some(&target)) = (nontargets.get(n), targets.get(t)) {
        let is_target = target < nontarget;
        all.push(trial(target.min(nontarget), is_target));
        t += usize::from(is_target);
        n += usize::from(!is_target);
    }
    all.extend(nontargets[n..].iter().map(|&key| trial(key, false)));
    all.extend(targets[t..].iter().map(|&key| trial(key, true)));
    all
}
