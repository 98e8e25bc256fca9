//! Which utterances are of one speaker.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::scoring::Embeddings;

/// The utterances of each speaker, as places of a set of embeddings.
#[derive(Debug, Clone)]
pub struct Groups(Vec<Vec<usize>>);

impl Groups {
    /// Groups all embeddings by their speakers.
    ///
    /// # Errors
    /// An utterance for which `speaker_of` has no speaker.
    pub fn new(
        embeddings: &Embeddings,
        speaker_of: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let mut members: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, id) in embeddings.ids().enumerate() {
            let speaker = speaker_of(id)
                .ok_or_else(|| Error::invalid(format!("has no speaker of utterance `{id}`")))?;
            members.entry(speaker).or_default().push(i);
        }
        Ok(Self(members.into_values().collect()))
    }

    /// All embeddings as those of one speaker.
    pub(in crate::scoring) fn together(embeddings: &Embeddings) -> Self {
        Self(vec![(0..embeddings.len()).collect()])
    }

    /// Only the speakers of several utterances.
    pub(super) fn of_several(&self) -> Self {
        Self(self.0.iter().filter(|places| places.len() > 1).cloned().collect())
    }

    /// The places of each speaker's utterances. The speakers are in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &[usize]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Number of speakers.
    pub fn speakers(&self) -> usize {
        self.0.len()
    }

    /// Number of utterances.
    pub fn utterances(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Number of speakers of a single utterance, who tell nothing of how a voice varies.
    pub fn alone(&self) -> usize {
        self.0.iter().filter(|places| places.len() == 1).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utterances_are_grouped_by_speaker() {
        let mut all = Embeddings::new(1);
        ["b-1", "a-1", "b-2", "c-1"].iter().for_each(|id| all.push(id, &[0.0]).unwrap());
        let speaker = |id: &str| id.split_once('-').map(|(speaker, _)| speaker.to_owned());
        let groups = Groups::new(&all, &speaker).unwrap();
        assert!(groups.iter().eq([&[1][..], &[0, 2], &[3]]));
        assert_eq!((groups.speakers(), groups.utterances(), groups.alone()), (3, 4, 2));
        assert!(groups.of_several().iter().eq([&[0, 2][..]]));
        assert!(Groups::together(&all).iter().eq([&[0, 1, 2, 3][..]]));
        all.push("d", &[0.0]).unwrap();
        let error = Groups::new(&all, &speaker).err().unwrap().to_string();
        assert_eq!(error, "has no speaker of utterance `d`");
    }
}
