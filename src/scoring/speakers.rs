//! The speakers of trials, and how often the bootstrap draws each of them.

use rayon::prelude::*;

use crate::rng::Stream;

/// Replicates that share a pass over the trials.
pub(super) const LANES: usize = 8;

/// Finds speakers from target trials: all utterances that a chain of target trials connects belong
/// to one speaker. `targets` holds pairs of utterance numbers below `utterances`. Returns the
/// speaker's number for each utterance; speakers are numbered from 0 by their first utterance.
pub fn speakers_from_targets(
    utterances: usize,
    targets: impl IntoIterator<Item = (u32, u32)>,
) -> Vec<u32> {
    fn root(parent: &mut [u32], mut i: u32) -> u32 {
        while parent[i as usize] != i {
            parent[i as usize] = parent[parent[i as usize] as usize];
            i = parent[i as usize];
        }
        i
    }
    let mut parent: Vec<u32> = (0..).take(utterances).collect();
    for (a, b) in targets {
        let (a, b) = (root(&mut parent, a), root(&mut parent, b));
        parent[a.max(b) as usize] = a.min(b);
    }
    // The root is the first of a speaker's utterances.
    let mut next = 0;
    let mut speakers: Vec<u32> = Vec::with_capacity(utterances);
    for i in (0..).take(utterances) {
        let root = root(&mut parent, i);
        speakers.push(if root == i { next } else { speakers[root as usize] });
        next += u32::from(root == i);
    }
    speakers
}

/// How often each speaker was drawn in a replicate.
pub(super) struct Draws(Vec<u32>);

impl Draws {
    /// Draws as many speakers as there are, with replacement.
    pub fn of(seed: u64, replicate: usize, speakers: usize) -> Self {
        let mut stream = Stream::new(seed, "bootstrap", &[replicate as u64]);
        let mut draws = vec![0; speakers];
        for _ in 0..speakers {
            draws[stream.below(speakers)] += 1;
        }
        Self(draws)
    }

    /// Draws of a speaker.
    pub fn of_speaker(&self, speaker: u32) -> u64 {
        u64::from(self.0[speaker as usize])
    }

    /// The draws of several replicates by speaker, `[speakers + 1, LANES]`: one row a speaker, and
    /// a last row of ones. Lanes beyond the replicates are 0.
    pub fn side_by_side(all: &[Self]) -> Vec<[u32; LANES]> {
        let speakers = all.first().map_or(0, |draws| draws.0.len());
        let row = |s: usize| -> [u32; LANES] {
            std::array::from_fn(|lane| all.get(lane).map_or(0, |draws| draws.0[s]))
        };
        let mut rows: Vec<[u32; LANES]> = Vec::with_capacity(speakers + 1);
        rows.par_extend((0..speakers).into_par_iter().map(row));
        rows.push([1; LANES]);
        rows
    }
}

#[cfg(test)]
impl From<&[u32]> for Draws {
    fn from(draws: &[u32]) -> Self {
        Self(draws.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_trials_tell_who_is_who() {
        let names = ["a1", "a2", "a3", "b1", "b2", "c"];
        let number = |name: &str| names.iter().position(|n| *n == name).unwrap() as u32;
        let targets =
            [("a1", "a2"), ("a2", "a3"), ("b1", "b2")].map(|(a, b)| (number(a), number(b)));
        assert_eq!(speakers_from_targets(names.len(), targets), [0, 0, 0, 1, 1, 2]);
        // The chains come in any order, and one trial pairs an utterance with itself.
        let chains = [(5, 3), (4, 4), (1, 5), (0, 2)];
        assert_eq!(speakers_from_targets(6, chains), [0, 1, 0, 1, 2, 1]);
        assert!(speakers_from_targets(0, []).is_empty());
    }

    #[test]
    fn draws_are_as_many_as_speakers() {
        let drawn: Vec<Draws> = (0..3).map(|replicate| Draws::of(1, replicate, 50)).collect();
        assert!(drawn.iter().all(|d| d.0.iter().sum::<u32>() == 50 && d.0.contains(&0)));
        let rows = Draws::side_by_side(&drawn);
        assert_eq!((rows.len(), rows[50]), (51, [1; LANES]));
        for (s, row) in rows[..50].iter().enumerate() {
            assert!((0..3).all(|lane| u64::from(row[lane]) == drawn[lane].of_speaker(s as u32)));
            assert!(row[3..].iter().all(|n| *n == 0));
        }
    }
}
