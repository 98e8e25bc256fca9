//! Checksums of recordings. SQLite notices damage to its pages' structure, not to values.

use sha2::{Digest, Sha256};

use super::Recording;
use crate::bytes;

/// Bytes of a checksum: the first ones of a SHA-256.
const LENGTH: usize = 8;

/// The checksum of a recording of a voice.
pub(super) fn digest(name: &str, recording: &Recording) -> [u8; LENGTH] {
    let mut hash = Sha256::new();
    for text in [name, recording.file.as_str()] {
        // With lengths, so that no two pairs of names are one text.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(recording.seconds.to_le_bytes());
    hash.update(bytes::from_f32(&recording.embedding));
    let (whole, mut first) = (hash.finalize(), [0; LENGTH]);
    first.iter_mut().zip(whole.iter()).for_each(|(to, from)| *to = *from);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_anywhere_changes_the_checksum() {
        let recording = Recording { file: "a".into(), seconds: 1.5, embedding: vec![1.0, 2.0] };
        let own = digest("anna", &recording);
        assert_eq!(own, digest("anna", &recording.clone()));
        assert_ne!(own, digest("ann", &Recording { file: "aa".into(), ..recording.clone() }));
        assert_ne!(own, digest("anna", &Recording { seconds: 1.25, ..recording.clone() }));
        let embedding = vec![1.0, 2.0f32.next_up()];
        assert_ne!(own, digest("anna", &Recording { embedding, ..recording }));
    }
}
