//! The speakers of utterances, where a list has millions.

use std::path::Path;

use super::Words;
use super::lists::speaker_map;
use crate::error::{Error, Result};
use crate::fs;

/// The speaker of each utterance. An utterance takes about 70 bytes; the name of a speaker is there
/// once.
#[derive(Debug, Clone, Default)]
pub struct SpeakerOf {
    utterances: Words,
    speakers: Words,
    /// The number of each utterance's speaker.
    numbers: Vec<u32>,
}

impl SpeakerOf {
    /// Reads a list, as [`read_utt2spk`](super::read_utt2spk) does.
    ///
    /// # Errors
    /// Those of [`read_utt2spk`](super::read_utt2spk); 2^31 utterances or more.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read_to_string(path)?;
        let mut all = Self::default();
        for (utterance, (speaker, line)) in speaker_map(path, &text)? {
            let known = all.utterances.intern(utterance, line);
            let (Some(_), Some(speaker)) = (known, all.speakers.intern(speaker, line)) else {
                let most = all.numbers.len();
                return Err(Error::line(path, line, format!("more than {most} utterances")));
            };
            all.numbers.push(speaker);
        }
        Ok(all)
    }

    /// The speaker of an utterance.
    pub fn get(&self, utterance: &str) -> Option<&str> {
        let number = self.utterances.find(utterance)?;
        Some(self.speakers.get(self.numbers[number as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::read_utt2spk;

    #[test]
    fn speakers_are_those_of_the_list() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("utt2spk");
        let lines: String = (0..3000).map(|i| format!("u{i} s{}\n", i * i % 71)).collect();
        std::fs::write(&path, lines).unwrap();
        let (ours, wanted) = (SpeakerOf::read(&path).unwrap(), read_utt2spk(&path).unwrap());
        assert_eq!(wanted.len(), 3000);
        for (utterance, (speaker, _)) in &wanted {
            assert_eq!(ours.get(utterance), Some(speaker.as_str()));
        }
        assert_eq!(ours.get("u3000"), None);
        let by_speaker = dir.path().join("spk2utt");
        std::fs::write(&by_speaker, "ann a1 a2\nbob b1\n").unwrap();
        let ours = SpeakerOf::read(&by_speaker).unwrap();
        let found = ["a1", "b1", "a2", "ann"].map(|utterance| ours.get(utterance));
        assert_eq!(found, [Some("ann"), Some("bob"), Some("ann"), None]);
        std::fs::write(&path, "a ann\na bob\n").unwrap();
        let error = SpeakerOf::read(&path).unwrap_err().to_string();
        assert!(error.contains("utt2spk:2: utterance `a` again"), "{error}");
    }
}
