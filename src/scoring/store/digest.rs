//! Checksums of recordings. SQLite notices damage to its pages' structure, not to values.

use sha2::{Digest, Sha256};

use super::Recording;
use crate::bytes;

/// Bytes of a checksum: the first ones of a SHA-256.
const LENGTH: usize = 16;

/// A recording of a voice, with all that its checksum covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Covered<'a> {
    /// The hash of the store's model.
    pub model: &'a str,
    /// The voice's name.
    pub name: &'a str,
    /// When the voice was enrolled, seconds since the beginning of 1970.
    pub enrolled: i64,
    /// The recording.
    pub recording: &'a Recording,
    /// When that was enrolled.
    pub created: i64,
}

impl Covered<'_> {
    /// The checksum.
    pub fn digest(&self) -> [u8; LENGTH] {
        let Self { model, name, enrolled, recording, created } = self;
        let mut hash = Sha256::new();
        for text in [*model, *name, recording.file.as_str()] {
            // With lengths, so that no two rows are one text.
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        for time in [enrolled, created] {
            hash.update(time.to_le_bytes());
        }
        hash.update(recording.seconds.to_le_bytes());
        hash.update(bytes::from_f32(&recording.embedding));
        let (whole, mut first) = (hash.finalize(), [0; LENGTH]);
        first.iter_mut().zip(whole.iter()).for_each(|(to, from)| *to = *from);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_anywhere_changes_the_checksum() {
        let recording = Recording { file: "a".into(), seconds: 1.5, embedding: vec![1.0, 2.0] };
        let row =
            Covered { model: "abc", name: "anna", enrolled: 7, recording: &recording, created: 8 };
        let own = row.digest();
        assert_eq!(own, Covered { recording: &recording.clone(), ..row }.digest());
        assert_ne!(own, Covered { model: "abd", ..row }.digest());
        assert_ne!(own, Covered { enrolled: 8, created: 7, ..row }.digest());
        let other = Recording { file: "aa".into(), ..recording.clone() };
        assert_ne!(own, Covered { name: "ann", recording: &other, ..row }.digest());
        let other = Recording { seconds: 1.25, ..recording.clone() };
        assert_ne!(own, Covered { recording: &other, ..row }.digest());
        let embedding = vec![1.0, 2.0f32.next_up()];
        let other = Recording { embedding, ..recording.clone() };
        assert_ne!(own, Covered { recording: &other, ..row }.digest());
    }
}
