//! Lists of recordings, speakers and trials, in Kaldi's and VoxCeleb's forms; how corpora are made
//! and scanned.

mod lists;
mod names;
pub mod prepare;
pub mod synth;
mod trials;

pub use lists::{Corpus, Utterance, locate, read_utt2spk, read_wav_scp};
pub use names::{Names, Resolved};
pub(crate) use trials::{
    Entry, Fields, Found, Grammar, find_line, label_name, parse_label, read_all,
};
pub use trials::{Pair, Sides, Text, Trial, TrialList, Words, read_trials, resolve, write_trials};
