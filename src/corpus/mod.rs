//! Lists of recordings, speakers and trials, in Kaldi's and VoxCeleb's forms. With the feature
//! `train`, also making such lists of a folder of audio, and making a synthetic corpus.

mod durations;
mod endings;
mod enrollment;
mod lists;
mod names;
#[cfg(feature = "train")]
pub mod prepare;
mod raw_list;
mod shard;
pub mod shards;
mod speaker_of;
#[cfg(feature = "train")]
pub mod split;
#[cfg(feature = "train")]
pub mod synth;
mod trials;
mod utterances;

pub use durations::read_utt2dur;
#[cfg(feature = "cli")]
pub(crate) use endings::is_audio;
pub use enrollment::{Enrollment, Enrollments};
pub use lists::{locate, read_ids, read_utt2spk, read_wav_scp};
pub use names::{Names, Resolved};
pub use shard::Shard;
pub use speaker_of::SpeakerOf;
pub(crate) use trials::{
    Entry, Fields, Found, Grammar, find_line, label_name, parse_label, read_all,
};
pub use trials::{Pair, Sides, Text, Trial, TrialList, Words, read_trials, resolve, write_trials};
pub use utterances::{Corpus, Place, Utterance};

/// What long work calls after each file, with the number of finished files and that of all. The
/// calls come from several threads, so the numbers need not rise.
pub type Done<'a> = dyn Fn(usize, usize) + Sync + 'a;
