//! Embeddings on their way into the output: all of them, or their means by speaker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::list::List;
use crate::corpus::SpeakerOf;
use crate::error::{Error, Result};
use crate::scoring::Embeddings;

/// What is kept of embeddings.
pub(super) enum Collected {
    /// All of them.
    Each(Embeddings),
    /// Sums by speaker.
    BySpeaker(Sums),
}

/// The sum of each speaker's embeddings, in f64.
pub(super) struct Sums {
    map: PathBuf,
    speaker_of: SpeakerOf,
    sums: BTreeMap<String, (Vec<f64>, usize)>,
    dim: usize,
    count: usize,
}

impl Collected {
    /// Nothing yet. `mean_by` is the list of speakers, if means by speaker are wanted.
    ///
    /// # Errors
    /// Those of [`SpeakerOf::read`].
    pub fn new(dim: usize, mean_by: Option<&Path>) -> Result<Self> {
        let Some(map) = mean_by else { return Ok(Self::Each(Embeddings::new(dim))) };
        let (speaker_of, sums) = (SpeakerOf::read(map)?, BTreeMap::new());
        Ok(Self::BySpeaker(Sums { map: map.to_owned(), speaker_of, sums, dim, count: 0 }))
    }

    /// Refuses a list with an utterance whose speaker is not known.
    ///
    /// # Errors
    /// The first such utterance.
    pub fn check(&self, list: &List) -> Result<()> {
        let Self::BySpeaker(sums) = self else { return Ok(()) };
        (0..list.len()).try_for_each(|place| sums.speaker(list.id(place)).map(|_| ()))
    }

    /// Takes the embedding `[dim]` of an utterance.
    ///
    /// # Errors
    /// Values that are not finite; an id that was there already; an utterance without a speaker.
    pub fn push(&mut self, id: &str, row: &[f32]) -> Result<()> {
        if row.iter().any(|x| !x.is_finite()) {
            return Err(Error::Undefined(format!("the embedding of `{id}` is not finite")));
        }
        match self {
            Self::Each(all) => all.push(id, row),
            Self::BySpeaker(sums) => sums.push(id, row),
        }
    }

    /// Number of values of an embedding.
    pub fn dim(&self) -> usize {
        match self {
            Self::Each(all) => all.dim(),
            Self::BySpeaker(sums) => sums.dim,
        }
    }

    /// Number of utterances so far.
    pub fn count(&self) -> usize {
        match self {
            Self::Each(all) => all.len(),
            Self::BySpeaker(sums) => sums.count,
        }
    }

    /// The embeddings to be written: all in their order, or the means by speaker's name.
    ///
    /// # Errors
    /// None but those of [`Embeddings::push`].
    pub fn finish(self) -> Result<Embeddings> {
        let sums = match self {
            Self::Each(all) => return Ok(all),
            Self::BySpeaker(sums) => sums,
        };
        let mut means = Embeddings::new(sums.dim);
        for (speaker, (sum, n)) in sums.sums {
            let mean: Vec<f32> = sum.iter().map(|s| (s / n as f64) as f32).collect();
            means.push(&speaker, &mean)?;
        }
        Ok(means)
    }
}

impl Sums {
    fn speaker(&self, id: &str) -> Result<&str> {
        let unknown = || Error::file(&self.map, format!("has no speaker of utterance `{id}`"));
        self.speaker_of.get(id).ok_or_else(unknown)
    }

    fn push(&mut self, id: &str, row: &[f32]) -> Result<()> {
        let speaker = self.speaker(id)?.to_owned();
        let dim = self.dim;
        let (sum, n) = self.sums.entry(speaker).or_insert_with(|| (vec![0.0; dim], 0));
        sum.iter_mut().zip(row).for_each(|(s, &x)| *s += f64::from(x));
        *n += 1;
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn means_are_those_of_all_embeddings() {
        let dir = tempfile::tempdir().unwrap();
        let map = dir.path().join("utt2spk");
        let speaker = |i: usize| format!("s{}", i * i % 7);
        let lines: String = (0..50).map(|i| format!("u{i} {}\n", speaker(i))).collect();
        std::fs::write(&map, lines).unwrap();
        let mut stream = Stream::new(1, "test", &[]);
        let mut all = Collected::new(5, None).unwrap();
        let mut means = Collected::new(5, Some(&map)).unwrap();
        for i in 0..50 {
            let row: Vec<f32> = (0..5).map(|_| stream.normal() as f32).collect();
            all.push(&format!("u{i}"), &row).unwrap();
            means.push(&format!("u{i}"), &row).unwrap();
        }
        assert_eq!((all.count(), means.count()), (50, 50));
        let error = means.push("other", &[0.0; 5]).unwrap_err().to_string();
        assert!(error.contains("utt2spk: has no speaker of utterance `other`"), "{error}");
        let error = means.push("u1", &[f32::NAN; 5]).unwrap_err().to_string();
        assert!(error.contains("`u1` is not finite"), "{error}");
        let (all, means) = (all.finish().unwrap(), means.finish().unwrap());
        let wanted = all.speaker_means(&|id| Some(speaker(id[1..].parse().unwrap()))).unwrap();
        assert_eq!(means.len(), wanted.len());
        for name in (0..7).map(|i| format!("s{i}")) {
            let place = |e: &Embeddings| e.position(&name);
            assert_eq!(place(&means), place(&wanted));
            if let Some(i) = place(&means) {
                assert_eq!(means.row(i), wanted.row(i), "{name}");
            }
        }
    }
}
